use std::time::Duration;

/// Connections to providers: `[upstream]`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time for name lookup, TCP and TLS together, in milliseconds. Default 2000.
    pub connect_timeout_ms: u64,
    /// How long an idle connection is kept, in milliseconds. Default 50000, below the
    /// minute after which many providers close theirs.
    pub pool_idle_timeout_ms: u64,
    /// Idle connections kept per host; how many are in use at once has no limit here. Default 1024.
    pub pool_max_idle_per_host: usize,
    /// Idle time before TCP asks whether the peer is still there, in milliseconds; 0 never asks. Default 30000.
    pub tcp_keepalive_ms: u64,
    /// Offer HTTP/2 to hosts with TLS. Off by default: an HTTP/2 client opens one
    /// connection per host, where streams wait for each other once the host's limit is reached.
    pub http2: bool,
    /// With `http2`, how many clients, and so connections per host, share the load. Default 4.
    pub http2_clients: usize,
    /// Open a connection to the hosts that stand next in a plan, so that a failover does not wait for one: a HEAD request
    /// without credentials, at most one per host in four fifths of `pool_idle_timeout_ms`. Default true.
    pub warm_fallbacks: bool,
    /// Largest answer read as one body (not streamed), in bytes. Default 64 MiB.
    pub max_body_bytes: u64,
    /// Use the proxies named by `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`. Default false.
    pub env_proxy: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 2_000,
            pool_idle_timeout_ms: 50_000,
            pool_max_idle_per_host: 1_024,
            tcp_keepalive_ms: 30_000,
            http2: false,
            http2_clients: 4,
            warm_fallbacks: true,
            max_body_bytes: 64 << 20,
            env_proxy: false,
        }
    }
}

impl Config {
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}
