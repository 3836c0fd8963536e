//! What the gateway has learned of each target: breaker, cooldown, speed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use headworks_core::{Fault, ModelId, Target};
use headworks_policy::{Cool, Learned, Pace, SizeClass, verdict};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Config;

/// The standing of one target. Plain atomics where every attempt reads or writes.
#[derive(Debug)]
pub struct Standing {
    epoch: Instant,
    failures: AtomicU32,
    /// Milliseconds after `epoch` until which the circuit is open; 0: closed.
    open_until: AtomicU64,
    /// Until when the target rests at its own request, or because time alone rarely mends what failed. Outlasts a success.
    cooling_until: AtomicU64,
    /// Until when it rests after failing. Ends with a success.
    resting_until: AtomicU64,
    probing: AtomicU32,
    /// Speed with small and with large requests.
    pace: [Mutex<Learned>; 2],
    limit: u32,
    open: Duration,
    /// The rest after a failure that names no time itself.
    short: Duration,
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

/// How soon to ask again while another probe is under way.
const PROBING: Duration = Duration::from_millis(100);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn place(class: SizeClass) -> usize {
    match class {
        SizeClass::Small => 0,
        SizeClass::Large => 1,
    }
}

impl Standing {
    fn new(config: &Config) -> Self {
        Self {
            epoch: Instant::now(),
            failures: AtomicU32::new(0),
            open_until: AtomicU64::new(0),
            cooling_until: AtomicU64::new(0),
            resting_until: AtomicU64::new(0),
            probing: AtomicU32::new(0),
            pace: Default::default(),
            limit: config.breaker_failures,
            open: Duration::from_millis(config.breaker_open_ms),
            short: Duration::from_millis(config.failure_rest_ms),
        }
    }

    fn now(&self) -> u64 {
        // 1 at the least, since 0 means "never".
        millis(self.epoch.elapsed()).saturating_add(1)
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
            Err(_) => Gate::Open(PROBING),
        }
    }

    /// How long the breaker would turn an attempt away; `None`: it would not. Takes no slot.
    pub fn shut(&self) -> Option<Duration> {
        let until = self.open_until.load(Ordering::Acquire);
        let now = if until == 0 { return None } else { self.now() };
        if now < until {
            return Some(Duration::from_millis(until - now));
        }
        (self.probing.load(Ordering::Acquire) != 0).then_some(PROBING)
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
            self.resting_until.store(0, Ordering::Release);
        }
    }

    /// Learns from a failure. True when this opened the circuit. Effective on the very next pick.
    pub fn learn(&self, fault: &Fault) -> bool {
        let verdict = verdict(fault.cause);
        let failures = if verdict.counts { self.failures.fetch_add(1, Ordering::AcqRel).saturating_add(1) } else { 0 };
        let rest = match (verdict.cool, fault.retry_after) {
            (Cool::Asked(_), None) => Some(self.short),
            (_, asked) => verdict.rest(asked),
        };
        if let Some(rest) = rest {
            let (until, rest) = match failures {
                // In a row, each failure doubles the rest, up to what an open circuit has.
                1.. if fault.retry_after.is_none() => (&self.resting_until, rest.saturating_mul(1 << (failures - 1).min(16)).min(self.open.max(rest))),
                _ => (&self.cooling_until, rest),
            };
            until.fetch_max(self.now().saturating_add(millis(rest)), Ordering::AcqRel);
        }
        if failures < self.limit || failures == 0 {
            return false;
        }
        self.open_until.store(self.now().saturating_add(millis(self.open)), Ordering::Release);
        failures == self.limit
    }

    /// How long until it should be picked again; zero: now.
    pub fn rest(&self) -> Duration {
        let until = [&self.cooling_until, &self.resting_until, &self.open_until].map(|until| until.load(Ordering::Acquire)).into_iter().max().unwrap_or(0);
        if until == 0 { Duration::ZERO } else { Duration::from_millis(until.saturating_sub(self.now())) }
    }

    /// Learns how fast an attempt was that served: its first token where it was streamed, its time and the tokens it wrote.
    pub fn served(&self, class: SizeClass, first_token: Option<Duration>, total: Duration, tokens: i64) {
        let now = self.epoch.elapsed();
        if let Some(learned) = self.pace.get(place(class)) {
            learned.lock().served(now, first_token, total, tokens);
        }
    }

    /// Learns that an attempt was given up after it had shown nothing for this long.
    pub fn waited(&self, class: SizeClass, streamed: bool, waited: Duration) {
        let now = self.epoch.elapsed();
        if let Some(learned) = self.pace.get(place(class)) {
            learned.lock().waited(now, streamed, waited);
        }
    }

    /// How long an attempt may show no content before it is late, by what was learned; else how many answers are
    /// known, too few for that.
    pub fn late_after(&self, class: SizeClass, streamed: bool) -> Result<Duration, u32> {
        self.pace.get(place(class)).map_or(Err(0), |learned| learned.lock().late_after(self.epoch.elapsed(), streamed))
    }

    /// How fast it is with requests of this class.
    pub fn pace(&self, class: SizeClass) -> Pace {
        self.pace.get(place(class)).map_or_else(Pace::default, |learned| learned.lock().pace(self.epoch.elapsed()))
    }
}

/// Models whose names the catalogue does not know that have a standing of their own; beyond, they share one per provider.
const UNKNOWN: u32 = 1_024;

/// The standing of every target seen.
#[derive(Debug)]
pub struct Board {
    config: Config,
    targets: DashMap<ModelId, Arc<Standing>>,
    unknown: AtomicU32,
}

impl Board {
    /// An empty board.
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), targets: DashMap::new(), unknown: AtomicU32::new(0) }
    }

    /// The standing of a target, and the id it is kept under. Clients can invent names without end; the board has one.
    pub fn of(&self, target: &Target) -> (ModelId, Arc<Standing>) {
        if let Some(found) = self.targets.get(&target.id) {
            return (target.id.clone(), found.clone());
        }
        let own = target.known || self.unknown.load(Ordering::Relaxed) < UNKNOWN;
        if own && !target.known {
            self.unknown.fetch_add(1, Ordering::Relaxed);
        }
        let id = if own { target.id.clone() } else { shared_id(target) };
        let standing = self.targets.entry(id.clone()).or_insert_with(|| Arc::new(Standing::new(&self.config))).clone();
        (id, standing)
    }

    /// The standing of a target, if any attempt went there.
    pub fn seen(&self, target: &Target) -> Option<Arc<Standing>> {
        let found = self.targets.get(&target.id).or_else(|| if target.known { None } else { self.targets.get(&shared_id(target)) });
        found.map(|found| found.clone())
    }
}

/// The id under which a target's metrics are kept: labels are names of the catalogue alone.
pub fn shared_id(target: &Target) -> ModelId {
    if target.known { target.id.clone() } else { ModelId { provider: target.id.provider.clone(), model: "other".into() } }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use headworks_core::{Cause, Reason};
    use tokio::time::advance;

    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn standing() -> Standing {
        Standing::new(&Config { breaker_failures: 3, breaker_open_ms: 10_000, ..Config::default() })
    }

    fn fault(cause: Cause, retry_after: Option<u64>) -> Fault {
        Fault::new(Reason::AllTargetsFailed, "x").because(cause).after(retry_after.map(S))
    }

    #[tokio::test(start_paused = true)]
    async fn r7_half_open_lets_one_probe_through_and_frees_its_slot_on_every_outcome() {
        let outcomes: [fn(&Standing); 4] = [
            |s| assert!(!s.learn(&fault(Cause::RateLimited, None)), "neutral"),
            |s| assert!(!s.learn(&fault(Cause::Unavailable, None)), "failed: open again, and told once"),
            |_| {}, // the attempt was dropped
            |s| s.succeeded(),
        ];
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let s = standing();
            assert!(!s.learn(&fault(Cause::Unavailable, None)) && !s.learn(&fault(Cause::Connect, None)));
            assert_eq!(s.gate(), Gate::Closed);
            assert!(s.learn(&fault(Cause::Broken, None)), "the third opens");
            assert_eq!((s.gate(), s.shut()), (Gate::Open(S(10)), Some(S(10))));
            advance(S(10)).await;
            assert_eq!(s.shut(), None, "asking takes no slot");
            assert_eq!(s.gate(), Gate::Probe);
            assert_eq!((s.gate(), s.shut()), (Gate::Open(PROBING), Some(PROBING)), "one at a time");
            outcome(&s);
            s.probe_over();
            match at {
                1 => {
                    assert_eq!(s.gate(), Gate::Open(S(10)));
                    advance(S(10)).await;
                    assert_eq!(s.gate(), Gate::Probe);
                }
                3 => assert_eq!((s.gate(), s.rest()), (Gate::Closed, Duration::ZERO)),
                _ => assert_eq!(s.gate(), Gate::Probe, "the slot is free again"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn r8_cooldown_is_effective_on_the_next_pick_and_ends_on_time() {
        let s = standing();
        assert_eq!(s.rest(), Duration::ZERO);
        s.learn(&fault(Cause::RateLimited, Some(5)));
        assert_eq!(s.rest(), S(5));
        assert_eq!(s.gate(), Gate::Closed, "a cooled target can still be tried when it is the last one");
        s.succeeded();
        assert_eq!(s.rest(), S(5), "an older call that succeeds does not end what the provider asked for");
        advance(S(5)).await;
        assert_eq!(s.rest(), Duration::ZERO);
        s.learn(&fault(Cause::Credentials, Some(1)));
        assert_eq!(s.rest(), S(60));
    }

    #[tokio::test(start_paused = true)]
    async fn rests_double_with_each_failure_in_a_row_and_end_with_a_success() {
        let s = Standing::new(&Config { breaker_failures: 100, breaker_open_ms: 6_000, ..Config::default() });
        for wanted in [1, 2, 4, 6, 6] {
            s.learn(&fault(Cause::Unavailable, None));
            assert_eq!(s.rest(), S(wanted));
        }
        s.succeeded();
        assert_eq!(s.rest(), Duration::ZERO);
    }
}
