//! One port for everything: native gRPC (h2c), gRPC-Web and REST over HTTP/1.1 and HTTP/2.

use std::{net::SocketAddr, sync::Arc, sync::atomic::Ordering, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::{App, cors, grpc, rest};

/// Why a port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The text is no address.
    #[error("\"{text}\" is not an address such as 127.0.0.1:8080 (server.{field})")]
    Address {
        /// The setting.
        field: &'static str,
        /// What it says.
        text: String,
    },
    /// Another program has the port.
    #[error("{addr} is in use by another program; stop it, or choose another port with server.{field} or HEADWORKS__SERVER__{}=127.0.0.1:0", field.to_uppercase())]
    Busy {
        /// The setting.
        field: &'static str,
        /// The address.
        addr: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {addr} (server.{field}): {error}")]
    Other {
        /// The setting.
        field: &'static str,
        /// The address.
        addr: SocketAddr,
        /// The system's word.
        error: std::io::Error,
    },
}

/// Takes a port.
pub async fn bind(field: &'static str, text: &str) -> Result<TcpListener, BindError> {
    let addr: SocketAddr = text.parse().map_err(|_| BindError::Address { field, text: text.to_owned() })?;
    TcpListener::bind(addr).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => BindError::Busy { field, addr },
        _ => BindError::Other { field, addr, error },
    })
}

/// The router of the public port. Admin services are on it unless they have a port of their own.
pub fn public(app: &App) -> Router {
    let with_admin = app.config.admin_listen.is_empty();
    let mut rest = rest::routes();
    if with_admin {
        rest = rest.merge(rest::admin_routes());
    }
    assemble(app, grpc::routes(app, with_admin), rest)
}

/// The router of the admin port.
pub fn admin(app: &App) -> Router {
    assemble(app, grpc::admin_routes(app), rest::admin_routes())
}

fn assemble(app: &App, grpc: Router, rest: Router<App>) -> Router {
    let router = grpc.merge(rest.with_state(app.clone())).fallback(fallback);
    match cors::layer(&app.config.cors_origins) {
        // Outermost: a browser's OPTIONS must not reach the doors.
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// Nobody's path: each kind of client is told in its own words.
async fn fallback(request: Request) -> axum::response::Response {
    let kind = request.headers().get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/grpc") {
        return grpc::unknown_method(request.uri().path(), kind);
    }
    if request.method() == http::Method::HEAD && request.uri().path() == "/" {
        // Some clients look whether anybody is there before they call.
        return axum::response::Response::new(Body::empty());
    }
    rest::not_found(request.method(), request.uri().path())
}

/// Serves a port until `stop` resolves, then lets calls under way finish for as long as the configuration says.
pub async fn serve(listener: TcpListener, router: Router, app: App, stop: impl Future<Output = ()>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30)).keep_alive(true).pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(1024)
        .adaptive_window(false)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    let builder = Arc::new(builder);
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: waiting a little beats spinning.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        // A token must not wait for the one after it.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = tower::service_fn(move |request: http::Request<hyper::body::Incoming>| router.clone().oneshot(request.map(Body::new)));
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
    }
    app.shared.draining.store(true, Ordering::Relaxed);
    app.shared.streams.close();
    drop(listener);
    let drain = Duration::from_millis(app.config.drain_ms);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(calls = app.shared.running.len(), "calls were cut off at the end of the drain time");
    }
}
