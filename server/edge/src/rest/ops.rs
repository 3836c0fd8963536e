use std::sync::atomic::Ordering;

use axum::{extract::State, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{json, refuse};
use crate::{App, app::bearer};

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> Response {
    json(StatusCode::OK, r#"{"status":"ok"}"#)
}

/// `GET /readyz`: new calls are taken.
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    if app.shared.draining.load(Ordering::Relaxed) {
        return json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#);
    }
    match app.records.healthy() {
        Ok(()) => json(StatusCode::OK, r#"{"status":"ready"}"#),
        Err(fault) => refuse(&fault, None),
    }
}

/// `GET /metrics`, for Prometheus. On the public port it needs an admin's key unless the port is local.
pub(crate) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    let open = app.metrics_open();
    if !open && let Err(fault) = app.admin(bearer(&headers)) {
        return refuse(&fault, None);
    }
    let mut response = Response::new(app.shared.metrics.render().into());
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
