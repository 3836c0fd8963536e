//! Connections to hosts that may be needed in a moment: opened before they are, and not again while they stand.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use headworks_core::Host;
use parking_lot::Mutex;

/// How long the request that opens a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// When each host was last called for its connection alone.
#[derive(Default)]
pub(crate) struct Warmth(Mutex<HashMap<Arc<str>, Instant>>);

impl Warmth {
    /// Whether it is time to call this host: never within `idle` of the last time.
    pub(crate) fn due(&self, host: &Host, idle: Duration) -> bool {
        let mut last = self.0.lock();
        let now = Instant::now();
        match last.get(&host.base_url) {
            Some(then) if now.duration_since(*then) < idle => false,
            _ => {
                last.insert(host.base_url.clone(), now);
                true
            }
        }
    }
}

/// A request without credentials or body, whose answer is of no interest: it leaves an open connection in the pool.
pub(crate) async fn open(client: reqwest::Client, url: reqwest::Url) {
    let answer = client.head(url).timeout(PATIENCE).send().await;
    if let Err(error) = answer {
        tracing::debug!(error = %error.without_url(), "a fallback's host cannot be reached ahead of time");
    }
}
