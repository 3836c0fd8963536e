//! The REST door: thin, over the same engine.

mod body;
mod chat;
mod embeddings;
mod ids;
mod messages;
mod models;
mod ops;
mod responses;
mod sse;
mod streams;

use std::sync::Arc;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use headworks_core::{Fault, Lookup, Rated, Reason};
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
        .route("/v1/streams/{id}", get(streams::resume).delete(streams::cancel).fallback(method_not_allowed))
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
/// The stream, towards `/v1/streams`.
pub(crate) const STREAM_ID: HeaderName = HeaderName::from_static("x-headworks-stream-id");
/// The longest that the client of a stream may stay away, milliseconds.
pub(crate) const RESUME_WINDOW: HeaderName = HeaderName::from_static("x-headworks-resume-window-ms");
pub(crate) const CACHE: HeaderName = HeaderName::from_static("x-headworks-cache");
pub(crate) const COST: HeaderName = HeaderName::from_static("x-headworks-cost-usd");

/// How the answer differs from what was asked so that it fits a budget.
pub(crate) const ADJUSTED: HeaderName = HeaderName::from_static("x-headworks-adjusted");

/// What the caller should be warned of: the model that serves is about to be retired.
pub(crate) const WARNING: HeaderName = HeaderName::from_static("x-headworks-warning");

/// Tells whether the answer was given before, and its age as HTTP does (RFC 9111, 5.1).
pub(crate) fn lookup_headers(headers: &mut HeaderMap, lookup: Lookup, name: &'static str) {
    let (said, age) = match lookup {
        Lookup::Hit(age) => ("hit", Some(age.as_secs())),
        Lookup::Miss => ("miss", None),
    };
    headers.insert(name, HeaderValue::from_static(said));
    if let Some(age) = age {
        headers.insert(header::AGE, HeaderValue::from(age));
    }
}

/// Limit, what remains of it and until when, of requests.
const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
/// The same of tokens.
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// How far rate limits are, in the names and forms of OpenAI's.
pub(crate) fn rate_headers(headers: &mut HeaderMap, rates: &Rated) {
    for (left, [limit, remaining, reset]) in [(rates.requests, REQUESTS), (rates.tokens, TOKENS)] {
        let Some(left) = left else { continue };
        headers.insert(limit, HeaderValue::from(left.limit));
        headers.insert(remaining, HeaderValue::from(left.remaining));
        headers.insert(reset, value(&span(left.reset)));
    }
}

/// `850ms`, `6.5s`, `2m0s`, `1h0m0s`.
fn span(time: std::time::Duration) -> String {
    let millis = time.as_millis();
    let (hours, minutes, seconds, part) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60, millis % 1000);
    match (hours, minutes, part) {
        (0, 0, _) if millis < 1000 => format!("{millis}ms"),
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{seconds}.{part:03}s"),
        (0, _, 0) => format!("{minutes}m{seconds}s"),
        (0, ..) => format!("{minutes}m{seconds}.{part:03}s"),
        (.., 0) => format!("{hours}h{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}.{part:03}s"),
    }
}

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
    if let Some(rates) = &fault.rates {
        rate_headers(headers, rates);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn times_are_written_as_openai_writes_them() {
        for (millis, text) in [(0, "0ms"), (850, "850ms"), (6_500, "6.500s"), (120_000, "2m0s"), (3_600_000, "1h0m0s"), (86_461_001, "24h1m1.001s")] {
            assert_eq!(super::span(Duration::from_millis(millis)), text);
        }
    }
}
