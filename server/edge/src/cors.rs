//! Which browsers' pages may call.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The layer for the configured origins; `None` when there are none.
pub(crate) fn layer(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin.trim_end_matches('/')).ok()))
    };
    let allowed = CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(names(&[
            // `*` would not cover authorization.
            "authorization",
            "content-type",
            "x-api-key",
            "idempotency-key",
            "traceparent",
            "last-event-id",
            "x-grpc-web",
            "x-user-agent",
            "grpc-timeout",
            "connect-protocol-version",
            "x-headworks-timeout-ms",
            "x-headworks-on-loss",
            "x-title",
            "anthropic-version",
            "anthropic-beta",
            "anthropic-dangerous-direct-browser-access",
            // OpenAI's SDK for browsers
            "x-stainless-arch",
            "x-stainless-lang",
            "x-stainless-os",
            "x-stainless-package-version",
            "x-stainless-retry-count",
            "x-stainless-runtime",
            "x-stainless-runtime-version",
            "x-stainless-timeout",
            "x-stainless-helper-method",
            "openai-organization",
            "openai-project",
        ]))
        .expose_headers(names(&[
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            "grpc-encoding",
            "headworks-request-id",
            "headworks-stream-id",
            "headworks-resume-window-ms",
            "headworks-provider",
            "headworks-model",
            "headworks-attempts",
            "headworks-cost-usd",
            "x-headworks-request-id",
            "x-request-id",
            "request-id",
            "x-headworks-stream-id",
            "x-headworks-resume-window-ms",
            "x-headworks-provider",
            "x-headworks-model",
            "x-headworks-attempts",
            "x-headworks-cache",
            "x-headworks-cost-usd",
            "x-headworks-adjusted",
            "x-headworks-warning",
            "headworks-adjusted",
            "headworks-warning",
            "x-should-retry",
            "retry-after",
            "retry-after-ms",
        ]))
        .max_age(Duration::from_secs(7200));
    Some(allowed)
}

fn names(names: &[&'static str]) -> Vec<HeaderName> {
    names.iter().map(|name| HeaderName::from_static(name)).collect()
}
