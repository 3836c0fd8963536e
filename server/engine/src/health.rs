//! What the gateway has learned of each target: breaker, cooldown, latency.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use headworks_core::{ModelId, Target};
use headworks_policy::Health;

use crate::Config;

/// The standing of one target. Plain atomics: read and written on every attempt.
#[derive(Debug)]
pub struct Standing {
    epoch: Instant,
    failures: AtomicU32,
    /// Milliseconds after `epoch` until which the circuit is open; 0: closed.
    open_until: AtomicU64,
    /// Milliseconds after `epoch` until which the target rests at its own request.
    cooling_until: AtomicU64,
    probing: AtomicU32,
    /// Recency-weighted time to first token, microseconds; 0: unseen.
    first_token_micros: AtomicU64,
    limit: u32,
    open: Duration,
}

/// What the circuit breaker says to an attempt.
#[derive(Debug, PartialEq, Eq)]
pub enum Gate {
    /// Go.
    Closed,
    /// Go, as the one probe; the slot must be given back.
    Probe,
    /// Not now; ask again after this long.
    Open(Duration),
}

impl Standing {
    fn new(config: &Config) -> Self {
        Self {
            epoch: Instant::now(),
            failures: AtomicU32::new(0),
            open_until: AtomicU64::new(0),
            cooling_until: AtomicU64::new(0),
            probing: AtomicU32::new(0),
            first_token_micros: AtomicU64::new(0),
            limit: config.breaker_failures,
            open: Duration::from_millis(config.breaker_open_ms),
        }
    }

    fn now(&self) -> u64 {
        // 1 at the least, since 0 means "never".
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Asks the breaker. An open circuit whose time is over lets one probe through at a time.
    pub fn gate(&self) -> Gate {
        let until = self.open_until.load(Ordering::Acquire);
        if until == 0 {
            return Gate::Closed;
        }
        let now = self.now();
        if now < until {
            return Gate::Open(Duration::from_millis(until - now));
        }
        match self.probing.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Gate::Probe,
            Err(_) => Gate::Open(Duration::from_millis(100)),
        }
    }

    /// Gives the probe's slot back, whatever became of it.
    pub fn probe_over(&self) {
        self.probing.store(0, Ordering::Release);
    }

    /// An attempt served.
    pub fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 || self.open_until.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Release);
            self.open_until.store(0, Ordering::Release);
            self.cooling_until.store(0, Ordering::Release);
        }
    }

    /// An attempt failed in a way that says something about the target. True when this opened the circuit.
    pub fn failed(&self) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        if failures < self.limit {
            return false;
        }
        let until = self.now().saturating_add(u64::try_from(self.open.as_millis()).unwrap_or(u64::MAX));
        self.open_until.store(until, Ordering::Release);
        failures == self.limit
    }

    /// The target rests; effective on the very next pick.
    pub fn cool(&self, rest: Duration) {
        let until = self.now().saturating_add(u64::try_from(rest.as_millis()).unwrap_or(u64::MAX));
        self.cooling_until.fetch_max(until, Ordering::AcqRel);
    }

    /// How long until it should be picked again; zero: now.
    pub fn rest(&self) -> Duration {
        let until = self.cooling_until.load(Ordering::Acquire).max(self.open_until.load(Ordering::Acquire));
        if until == 0 { Duration::ZERO } else { Duration::from_millis(until.saturating_sub(self.now())) }
    }

    /// Takes a time to first token into the average: a fifth of each new one.
    pub fn observed(&self, first_token: Duration) {
        let new = u64::try_from(first_token.as_micros()).unwrap_or(u64::MAX).max(1);
        let old = self.first_token_micros.load(Ordering::Relaxed);
        let mean = if old == 0 { new } else { old - old / 5 + new / 5 };
        self.first_token_micros.store(mean.max(1), Ordering::Relaxed);
    }

    /// Recency-weighted time to first token; `None`: unseen.
    pub fn first_token(&self) -> Option<Duration> {
        Some(self.first_token_micros.load(Ordering::Relaxed)).filter(|m| *m > 0).map(Duration::from_micros)
    }

    /// In the planner's words.
    pub fn health(&self) -> Health {
        Health { rest: self.rest() }
    }
}

/// The standing of every target seen.
#[derive(Debug)]
pub struct Board {
    config: Config,
    targets: DashMap<ModelId, Arc<Standing>>,
}

impl Board {
    /// An empty board.
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), targets: DashMap::new() }
    }

    /// The standing of a target. Models that clients invent share one per provider.
    pub fn of(&self, target: &Target) -> Arc<Standing> {
        let id = shared_id(target);
        if let Some(found) = self.targets.get(&id) {
            return found.clone();
        }
        self.targets.entry(id).or_insert_with(|| Arc::new(Standing::new(&self.config))).clone()
    }

    /// The standing under an id, if any attempt went there.
    pub fn seen(&self, id: &ModelId) -> Option<Arc<Standing>> {
        self.targets.get(id).map(|found| found.clone())
    }
}

/// The id under which a target's stack, standing and metrics are kept.
pub fn shared_id(target: &Target) -> ModelId {
    if target.known { target.id.clone() } else { ModelId { provider: target.id.provider.clone(), model: "other".into() } }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn standing(open_ms: u64) -> Standing {
        Standing::new(&Config { breaker_failures: 2, breaker_open_ms: open_ms, ..Config::default() })
    }

    #[test]
    fn r7_half_open_lets_one_probe_through_and_frees_its_slot() {
        let s = standing(0);
        assert!(!s.failed());
        assert_eq!(s.gate(), Gate::Closed);
        assert!(s.failed());
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(s.gate(), Gate::Probe);
        assert!(matches!(s.gate(), Gate::Open(_)));
        s.probe_over();
        assert_eq!(s.gate(), Gate::Probe);
        s.succeeded();
        s.probe_over();
        assert_eq!(s.gate(), Gate::Closed);
    }

    #[test]
    fn r8_cooldown_is_effective_on_the_next_pick() {
        let s = standing(1000);
        assert_eq!(s.rest(), Duration::ZERO);
        s.cool(Duration::from_secs(5));
        assert!(s.rest() > Duration::from_secs(4));
        assert_eq!(s.gate(), Gate::Closed, "a cooled target can still be tried when it is the last one");
    }
}
