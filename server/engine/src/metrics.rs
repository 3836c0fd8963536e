//! Prometheus counters. Labels are names from the catalogue and reasons: never a
//! key, a user or text that a client invented.

use std::{sync::Arc, time::Duration};

use headworks_core::{ModelId, NanoUsd, Reason, Tokens};
use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    provider: String,
    model: String,
    policy: String,
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TargetLabels {
    provider: String,
    model: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AttemptLabels {
    provider: String,
    model: String,
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FailoverLabels {
    provider: String,
    model: String,
    policy: String,
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LookupLabels {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HedgeLabels {
    provider: String,
    model: String,
    policy: String,
}

impl HedgeLabels {
    fn new(at: &ModelId, policy: Option<&str>) -> Self {
        Self { provider: at.provider.to_string(), model: at.model.to_string(), policy: policy.unwrap_or_default().to_owned() }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TokenLabels {
    provider: String,
    model: String,
    kind: &'static str,
}

const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// Every counter of the gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<CallLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    duration: Family<TargetLabels, Histogram, fn() -> Histogram>,
    first_token: Family<TargetLabels, Histogram, fn() -> Histogram>,
    tokens: Family<TokenLabels, Counter>,
    cost: Family<TargetLabels, Counter>,
    failovers: Family<FailoverLabels, Counter>,
    hedges: Family<HedgeLabels, Counter>,
    hedges_won: Family<HedgeLabels, Counter>,
    lookups: Family<LookupLabels, Counter>,
    in_flight: Gauge,
}

/// The counters of one target, looked up once and kept with its stack.
#[derive(Clone, Debug)]
pub struct TargetMetrics {
    served: Counter,
    duration: Histogram,
    first_token: Histogram,
    input: Counter,
    cache_read: Counter,
    cache_write: Counter,
    output: Counter,
    reasoning: Counter,
    cost: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::default()),
            requests: Family::default(),
            attempts: Family::default(),
            duration: Family::new_with_constructor(seconds),
            first_token: Family::new_with_constructor(seconds),
            tokens: Family::default(),
            cost: Family::default(),
            failovers: Family::default(),
            hedges: Family::default(),
            hedges_won: Family::default(),
            lookups: Family::default(),
            in_flight: Gauge::default(),
        };
        {
            let mut r = metrics.registry.lock();
            r.register("headworks_requests", "Calls that are over", metrics.requests.clone());
            r.register("headworks_attempts", "Attempts at targets that are over", metrics.attempts.clone());
            r.register("headworks_request_duration_seconds", "From arrival to end", metrics.duration.clone());
            r.register("headworks_time_to_first_token_seconds", "From an attempt's start to its first content", metrics.first_token.clone());
            r.register("headworks_tokens", "Tokens by kind", metrics.tokens.clone());
            r.register("headworks_cost_nano_usd", "Cost in billionths of a US dollar", metrics.cost.clone());
            r.register("headworks_failovers", "Attempts that were given up for the next target", metrics.failovers.clone());
            r.register("headworks_hedges", "Second attempts begun beside one that was late", metrics.hedges.clone());
            r.register("headworks_response_cache_lookups", "Calls that may be answered from memory, by whether they were", metrics.lookups.clone());
            r.register("headworks_hedges_won", "Second attempts that answered first", metrics.hedges_won.clone());
            r.register("headworks_requests_in_flight", "Calls under way", metrics.in_flight.clone());
        }
        metrics
    }
}

impl Metrics {
    /// The text that Prometheus scrapes.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry.lock());
        text
    }

    /// The counters of a target under its shared id.
    pub fn target(&self, id: &ModelId) -> Arc<TargetMetrics> {
        let labels = TargetLabels { provider: id.provider.to_string(), model: id.model.to_string() };
        let kind = |kind| {
            let labels = TokenLabels { provider: id.provider.to_string(), model: id.model.to_string(), kind };
            self.tokens.get_or_create_owned(&labels)
        };
        let ok = AttemptLabels { provider: id.provider.to_string(), model: id.model.to_string(), reason: "OK".to_owned() };
        Arc::new(TargetMetrics {
            served: self.attempts.get_or_create_owned(&ok),
            duration: self.duration.get_or_create_owned(&labels),
            first_token: self.first_token.get_or_create_owned(&labels),
            input: kind("input"),
            cache_read: kind("cache_read"),
            cache_write: kind("cache_write"),
            output: kind("output"),
            reasoning: kind("reasoning"),
            cost: self.cost.get_or_create_owned(&labels),
        })
    }

    /// A call is over.
    pub fn call_over(&self, served: Option<&ModelId>, policy: Option<&str>, reason: Option<Reason>) {
        let labels = CallLabels {
            provider: served.map_or_else(String::new, |id| id.provider.to_string()),
            model: served.map_or_else(String::new, |id| id.model.to_string()),
            policy: policy.unwrap_or_default().to_owned(),
            reason: reason.map_or("OK", Reason::name).to_owned(),
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// An attempt failed.
    pub fn attempt_failed(&self, id: &ModelId, reason: Reason) {
        let labels = AttemptLabels { provider: id.provider.to_string(), model: id.model.to_string(), reason: reason.name().to_owned() };
        self.attempts.get_or_create(&labels).inc();
    }

    /// A target failed, and another is tried.
    pub fn failed_over(&self, policy: Option<&str>, from: &ModelId, reason: Reason) {
        let labels = FailoverLabels {
            provider: from.provider.to_string(),
            model: from.model.to_string(),
            policy: policy.unwrap_or_default().to_owned(),
            reason: reason.name().to_owned(),
        };
        self.failovers.get_or_create(&labels).inc();
    }

    /// A second attempt began at this target.
    pub fn hedged(&self, policy: Option<&str>, at: &ModelId) {
        self.hedges.get_or_create(&HedgeLabels::new(at, policy)).inc();
    }

    /// A second attempt answered first.
    pub fn hedge_won(&self, policy: Option<&str>, at: &ModelId) {
        self.hedges_won.get_or_create(&HedgeLabels::new(at, policy)).inc();
    }

    /// A call was looked for among the answers that may be given again.
    pub fn looked_up(&self, result: &'static str) {
        self.lookups.get_or_create(&LookupLabels { result }).inc();
    }

    /// Calls under way.
    pub fn in_flight(&self) -> &Gauge {
        &self.in_flight
    }
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl TargetMetrics {
    /// An attempt served; how long it took in all.
    pub fn served(&self, total: Duration) {
        self.served.inc();
        self.duration.observe(total.as_secs_f64());
    }

    /// The first content came.
    pub fn first_token(&self, after: Duration) {
        self.first_token.observe(after.as_secs_f64());
    }

    /// What an attempt used.
    pub fn used(&self, tokens: &Tokens, cost: NanoUsd) {
        self.input.inc_by(count(tokens.prompt() - tokens.cache_read - tokens.cache_write()));
        self.cache_read.inc_by(count(tokens.cache_read));
        self.cache_write.inc_by(count(tokens.cache_write()));
        self.output.inc_by(count(tokens.completion() - tokens.reasoning));
        self.reasoning.inc_by(count(tokens.reasoning));
        self.cost.inc_by(count(cost.0));
    }
}
