//! The REST door: thin, over the same engine.

mod body;
mod chat;
mod embeddings;
mod messages;
mod models;
mod ops;
mod responses;
mod sse;

use std::sync::Arc;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use headworks_core::{Fault, Reason};
use headworks_providers::{Door, openai::OpenAiDoor};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{App, fault};

/// The routes of the public port.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/chat/completions", post(chat::complete).fallback(method_not_allowed))
        .route("/v1/messages", post(messages::create).fallback(messages::method_not_allowed))
        .route("/v1/messages/count_tokens", post(messages::count).fallback(messages::method_not_allowed))
        .route("/v1/responses", post(responses::create).fallback(method_not_allowed))
        .route("/v1/responses/{id}", get(responses::get).delete(responses::delete).fallback(method_not_allowed))
        .route("/v1/responses/{id}/input_items", get(responses::input_items).fallback(method_not_allowed))
        .route("/v1/embeddings", post(embeddings::embed).fallback(method_not_allowed))
        .route("/v1/models", get(models::list).fallback(method_not_allowed))
        .route("/v1/models/{*id}", get(models::get).fallback(method_not_allowed))
        .route("/healthz", get(ops::healthz).fallback(method_not_allowed))
        .route("/readyz", get(ops::readyz).fallback(method_not_allowed))
}

/// The routes for operators.
pub fn admin_routes() -> Router<App> {
    Router::new().route("/metrics", get(ops::metrics).fallback(method_not_allowed))
}

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-headworks-request-id");
pub(crate) const PROVIDER: HeaderName = HeaderName::from_static("x-headworks-provider");
pub(crate) const MODEL: HeaderName = HeaderName::from_static("x-headworks-model");
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-headworks-attempts");
pub(crate) const CACHE: HeaderName = HeaderName::from_static("x-headworks-cache");
pub(crate) const COST: HeaderName = HeaderName::from_static("x-headworks-cost-usd");

/// A header value of any text that can be one.
pub(crate) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A fault in OpenAI's shape.
pub(crate) fn refuse(fault: &Fault, request_id: Option<Arc<str>>) -> Response {
    refuse_at(&OpenAiDoor, fault, request_id)
}

/// A fault in a door's own shape, with the headers its clients look at.
pub(crate) fn refuse_at(door: &dyn Door, fault: &Fault, request_id: Option<Arc<str>>) -> Response {
    let face = fault::rest(fault, request_id.clone());
    let mut shown = fault.clone();
    shown.message = fault::message(fault);
    let body: Bytes = door.fault(&shown, &face);
    let mut response = json(StatusCode::from_u16(door.status(&shown, &face)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body);
    let headers = response.headers_mut();
    if let Some(id) = request_id {
        headers.insert(REQUEST_ID, value(&id));
        headers.insert(HeaderName::from_static(door.id_header()), value(&id));
    }
    headers.insert(ATTEMPTS, value(&fault.attempts.to_string()));
    headers.insert("x-should-retry", HeaderValue::from_static(if face.retryable && fault.attempts == 0 { "true" } else { "false" }));
    if let Some(wait) = fault.retry_after {
        headers.insert(header::RETRY_AFTER, value(&wait.as_millis().div_ceil(1000).to_string()));
        headers.insert("retry-after-ms", value(&wait.as_millis().to_string()));
    }
    if fault.reason == Reason::UnauthenticatedKey {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A path that the gateway does not serve.
pub(crate) fn not_found(method: &http::Method, path: &str) -> Response {
    let fault = Fault::new(
        Reason::NotFound,
        format!("no route {method} {path}; chat is at POST /v1/chat/completions, /v1/responses and /v1/messages, models at GET /v1/models"),
    );
    refuse(&fault, None)
}

async fn method_not_allowed(request: axum::extract::Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let fault = Fault::new(Reason::InvalidRequest, format!("{path} does not take {method}"));
    let mut response = refuse(&fault, None);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// A header's text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}
