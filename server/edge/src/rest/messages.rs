//! Anthropic's paths.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::Response,
};
use futures_util::StreamExt;
use headworks_core::{EventKind, Fault, Inbound, Origin, Reason, Work};
use headworks_providers::{Door, anthropic::AnthropicDoor};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use tower::ServiceExt;

use super::{REQUEST_ID, body, chat, json, refuse_at, text, value};
use crate::{App, app::bearer};

/// Says that a count is the gateway's own guess.
const ESTIMATED: HeaderName = HeaderName::from_static("x-headworks-estimated");

/// `POST /v1/messages`, with or without `?beta=true`.
pub(crate) async fn create(State(app): State<App>, request: Request) -> Response {
    chat::serve(app, request, &AnthropicDoor, Origin::RestMessages).await
}

/// `POST /v1/messages/count_tokens`: asked of the host that would serve, estimated where it cannot tell. It goes the
/// way of every call, so that keys, policies and failover hold; nobody is billed for it.
pub(crate) async fn count(State(app): State<App>, request: Request) -> Response {
    let id = headworks_engine::request_id();
    match counted(app, request, id.clone()).await {
        Ok(response) => response,
        Err(fault) => refuse_at(&AnthropicDoor, &fault, Some(id)),
    }
}

#[derive(Serialize)]
struct Answer {
    input_tokens: i64,
    headworks: Facts,
}

#[derive(Serialize)]
struct Facts {
    request_id: Arc<str>,
    model: String,
    /// The count is a guess: about four bytes of text a token.
    estimated: bool,
}

async fn counted(app: App, request: Request, id: Arc<str>) -> Result<Response, Fault> {
    let headers = request.headers().clone();
    let credential = bearer(&headers).or_else(|| text(&headers, "x-api-key"));
    app.authenticate(credential)?;
    let body = body::read(request, app.config.max_body_bytes).await?;
    let mut asked = AnthropicDoor.request(&headers, &body)?;
    chat::from_headers(&headers, &mut asked.routing)?;
    let inbound = Inbound {
        id: id.clone(),
        credential: credential.unwrap_or_default().into(),
        work: Work::CountTokens(Arc::new(asked)),
        deadline: chat::deadline(&headers)?,
        origin: Origin::RestMessages,
        traceparent: text(&headers, "traceparent").map(Arc::from),
        memo: None,
    };
    let mut reply = app.gateway.clone().oneshot(inbound).await?;
    let mut found = None;
    // Read to its end: only then is the call accounted for.
    while let Some(batch) = reply.events.next().await {
        for event in batch?.events {
            if let EventKind::Counted { tokens, estimated } = event.kind {
                found = Some((tokens, estimated));
            }
        }
    }
    let (input_tokens, estimated) = found.ok_or_else(|| Fault::internal("the count came without a number"))?;
    let facts = Facts { request_id: reply.request_id.clone(), model: reply.served_by.to_string(), estimated };
    let text = serde_json::to_vec(&Answer { input_tokens, headworks: facts }).map_err(|error| Fault::internal(error.to_string()))?;
    let mut response = json(StatusCode::OK, text);
    let headers = response.headers_mut();
    chat::route_headers(headers, &reply);
    headers.insert(REQUEST_ID, value(&reply.request_id));
    headers.insert(HeaderName::from_static(AnthropicDoor.id_header()), value(&reply.request_id));
    if estimated {
        headers.insert(ESTIMATED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Another method, told in Anthropic's shape.
pub(crate) async fn method_not_allowed(request: Request) -> Response {
    let fault = Fault::new(Reason::InvalidRequest, format!("{} does not take {}; use POST", request.uri().path(), request.method()));
    let mut response = refuse_at(&AnthropicDoor, &fault, None);
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
