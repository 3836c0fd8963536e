use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;

use crate::Config;

/// URLs kept parsed. Names of models that clients invent can be part of a URL, so there is an end to it.
const URLS: usize = 4_096;

/// The HTTP client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for upstreams cannot be set up: {0}")]
pub struct SetupError(#[from] reqwest::Error);

/// Clients with their connections: one, or with HTTP/2 several that share the load.
pub(crate) struct Pool {
    clients: Vec<(reqwest::Client, Arc<AtomicUsize>)>,
    urls: RwLock<HashMap<http::Uri, reqwest::Url>>,
}

/// A place in use at one of several clients; given back when dropped.
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Gives the process its cryptography: reqwest panics where there is none.
pub(crate) fn provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Result<Self, SetupError> {
        provider();
        let count = if config.http2 { config.http2_clients.max(1) } else { 1 };
        let clients = (0..count).map(|_| Ok((client(config)?, Arc::default()))).collect::<Result<_, SetupError>>()?;
        Ok(Self { clients, urls: RwLock::default() })
    }

    /// The client with the fewest answers under way.
    pub(crate) fn pick(&self) -> Option<(&reqwest::Client, Option<Slot>)> {
        if let [(only, _)] = self.clients.as_slice() {
            return Some((only, None));
        }
        let (client, busy) = self.clients.iter().min_by_key(|(_, busy)| busy.load(Ordering::Relaxed))?;
        busy.fetch_add(1, Ordering::Relaxed);
        Some((client, Some(Slot(busy.clone()))))
    }

    /// The URL in the client's own form, parsed once.
    pub(crate) fn url(&self, uri: &http::Uri) -> Option<reqwest::Url> {
        if let Some(url) = self.urls.read().get(uri) {
            return Some(url.clone());
        }
        let url: reqwest::Url = uri.to_string().parse().ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let mut urls = self.urls.write();
        if urls.len() >= URLS {
            urls.clear();
        }
        urls.insert(uri.clone(), url.clone());
        Some(url)
    }
}

fn client(config: &Config) -> Result<reqwest::Client, SetupError> {
    let builder = || {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("headworks/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(config.connect_timeout())
            .pool_idle_timeout(Duration::from_millis(config.pool_idle_timeout_ms))
            .pool_max_idle_per_host(config.pool_max_idle_per_host)
            .tcp_keepalive((config.tcp_keepalive_ms > 0).then(|| Duration::from_millis(config.tcp_keepalive_ms)));
        if !config.env_proxy {
            builder = builder.no_proxy();
        }
        if config.http2 {
            // Finds dead connections before a request has to.
            builder.http2_keep_alive_interval(Duration::from_secs(20)).http2_keep_alive_while_idle(true).http2_adaptive_window(true)
        } else {
            builder.http1_only()
        }
    };
    match builder().build() {
        Ok(client) => Ok(client),
        // A machine without root certificates can still reach the sandbox and plain HTTP hosts.
        Err(error) => {
            let client = builder().tls_certs_only([]).build()?;
            tracing::warn!(
                %error,
                "no root certificates can be read, so no https provider can be reached; \
                 install ca-certificates or name a bundle by SSL_CERT_FILE"
            );
            Ok(client)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn http2_clients_share_the_load() {
        let config = Config { http2: true, http2_clients: 3, ..Config::default() };
        let pool = Pool::new(&config).unwrap();
        let busy = || pool.clients.iter().map(|(_, busy)| busy.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let mut slots: Vec<_> = (0..7).map(|_| pool.pick().unwrap().1).collect();
        assert_eq!(busy(), [3, 2, 2]);
        slots.truncate(1);
        assert_eq!(busy(), [1, 0, 0]);
        slots.clear();
        assert_eq!(busy(), [0, 0, 0]);
    }

    #[test]
    fn only_so_many_urls_are_kept() {
        let pool = Pool::new(&Config::default()).unwrap();
        for nth in 0..URLS + 10 {
            let uri: http::Uri = format!("http://host/{nth}?a=b").parse().unwrap();
            assert_eq!(pool.url(&uri).unwrap().as_str(), uri.to_string());
        }
        assert_eq!(pool.urls.read().len(), 10);
        assert_eq!(pool.url(&"ftp://host/x".parse().unwrap()), None);
    }
}
