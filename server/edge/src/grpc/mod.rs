//! The gRPC door: native over HTTP/2, and gRPC-Web for browsers.

mod alerts;
mod budgets;
mod chat;
pub(crate) mod convert;
mod deadline;
pub(crate) mod embed;
mod groups;
mod key_fields;
mod keys;
pub(crate) mod models;
pub(crate) mod policies;
mod reach;
mod records;
mod requests;
mod status;
mod trailers;
mod usage;

use axum::{Router, response::Response};
use futures_core::Stream;
use headworks_api::{FILE_DESCRIPTOR_SET, v1};
use headworks_core::{Fault, Role, Tenant};
use http::{HeaderMap, HeaderValue};
use std::{pin::Pin, sync::Arc};
use tonic::{Request, Status, service::Routes};
use tonic_web::GrpcWebLayer;

use crate::{App, app::bearer};
pub(crate) use models::supported;
pub(crate) use status::status;

/// A server's stream of messages.
pub(crate) type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The door's services share this.
#[derive(Clone)]
pub(crate) struct Doors(pub App);

impl Doors {
    /// Who calls.
    fn tenant<T>(&self, request: &Request<T>) -> Result<Arc<Tenant>, Status> {
        let headers = request.metadata().clone().into_headers();
        self.0.authenticate(bearer(&headers)).map_err(|fault| status(&fault, None))
    }

    /// Who calls, if it holds one of these roles.
    fn holding<T>(&self, request: &Request<T>, roles: &[Role]) -> Result<Arc<Tenant>, Status> {
        let headers = request.metadata().clone().into_headers();
        self.0.holding(bearer(&headers), roles).map_err(|fault| status(&fault, None))
    }

    /// Who calls, if it may administer.
    fn admin<T>(&self, request: &Request<T>) -> Result<Arc<Tenant>, Status> {
        let headers = request.metadata().clone().into_headers();
        self.0.admin(bearer(&headers)).map_err(|fault| status(&fault, None))
    }
}

/// Page sizes: 100 unless said, 1000 at most.
pub(crate) fn page_size(asked: i32) -> Result<usize, Status> {
    match asked {
        0 => Ok(100),
        1.. => Ok(usize::try_from(asked).unwrap_or(1000).min(1000)),
        _ => Err(status(&Fault::invalid("page_size", "must be 0 or more"), None)),
    }
}

/// A page of a list that is held in memory, ordered by `id`.
pub(crate) fn page<T>(all: Vec<T>, size: usize, token: &str, id: impl Fn(&T) -> String) -> (Vec<T>, String) {
    let mut rest = all.into_iter().filter(|item| token.is_empty() || *id(item) > *token).peekable();
    let mut page: Vec<T> = Vec::new();
    while page.len() < size {
        match rest.next() {
            Some(item) => page.push(item),
            None => break,
        }
    }
    let next = match (rest.peek(), page.last()) {
        (Some(_), Some(last)) => id(last),
        _ => String::new(),
    };
    (page, next)
}

fn finish(routes: Routes) -> Router {
    routes
        .into_axum_router()
        .route_layer(axum::middleware::map_response(trailers::append))
        // As a route's layer, since as the server's it would answer 400 to every REST call over HTTP/1.1.
        .route_layer(GrpcWebLayer::new())
}

/// Services of the public port.
pub(crate) fn routes(app: &App, with_admin: bool) -> Router {
    let doors = Doors(app.clone());
    let most = app.config.max_body_bytes;
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(async move {
        reporter.set_serving::<v1::chat_service_server::ChatServiceServer<Doors>>().await;
        reporter.set_serving::<v1::stream_service_server::StreamServiceServer<Doors>>().await;
    });
    let mut routes = Routes::new(health)
        .add_service(v1::chat_service_server::ChatServiceServer::new(doors.clone()).max_decoding_message_size(most))
        .add_service(v1::stream_service_server::StreamServiceServer::new(doors.clone()).max_decoding_message_size(most))
        .add_service(v1::embedding_service_server::EmbeddingServiceServer::new(doors.clone()).max_decoding_message_size(most))
        .add_service(v1::model_service_server::ModelServiceServer::new(doors.clone()))
        .add_service(v1::usage_service_server::UsageServiceServer::new(doors.clone()))
        .add_service(v1::key_service_server::KeyServiceServer::new(doors.clone()));
    if with_admin {
        routes = administer(routes, doors);
    }
    finish(routes)
}

/// Services of the admin port.
pub(crate) fn admin_routes(app: &App) -> Router {
    let doors = Doors(app.clone());
    let routes =
        Routes::new(v1::key_service_server::KeyServiceServer::new(doors.clone())).add_service(v1::usage_service_server::UsageServiceServer::new(doors.clone()));
    finish(administer(routes, doors))
}

fn administer(routes: Routes, doors: Doors) -> Routes {
    let mut routes = routes.add_service(v1::policy_service_server::PolicyServiceServer::new(doors));
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // Without it grpcurl prints error details as bytes.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => tracing::error!(%error, "reflection is off"),
    }
    routes
}

/// Nobody's method, told as gRPC tells it.
pub(crate) fn unknown_method(path: &str, content_type: &str) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(content_type) {
        headers.insert(http::header::CONTENT_TYPE, kind);
    }
    headers.insert("grpc-status", HeaderValue::from_static("12"));
    let text: String = format!("no method {path}; grpcurl list shows the services")
        .chars()
        .map(|c| if c.is_ascii_graphic() && c != '%' || c == ' ' { c } else { '?' })
        .collect();
    if let Ok(text) = HeaderValue::from_str(&text) {
        headers.insert("grpc-message", text);
    }
    response
}

/// Headers of a call.
pub(crate) fn headers<T>(request: &Request<T>) -> HeaderMap {
    request.metadata().clone().into_headers()
}
