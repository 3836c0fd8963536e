use std::time::Duration;

use headworks_core::{Fit, Work};
use headworks_policy::Retries;
use serde::Deserialize;

/// How calls are driven. `[engine]` in the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Most attempts one call may cause, over all targets: the worst case of upstream calls per client call. Default 4.
    pub max_attempts: u32,
    /// Most retries at one target before the next is tried, where no policy says otherwise; they count as attempts. Default 0.
    pub retries_per_target: u32,
    /// Milliseconds before the first retry; doubled with each, half of it drawn by chance. Default 100.
    pub retry_backoff_ms: u64,
    /// Most milliseconds before a retry; a provider that asks for more is not retried. Default 2000.
    pub retry_max_backoff_ms: u64,
    /// Milliseconds until the first content of a streamed attempt. Default 60000.
    pub first_token_timeout_ms: u64,
    /// Milliseconds between two pieces of content. Default 60000.
    pub between_tokens_timeout_ms: u64,
    /// Milliseconds for an attempt as a whole. Default 600000.
    pub total_timeout_ms: u64,
    /// Most attempts under way at one target; more are answered OVERLOADED or go to the next target. Default 4096.
    pub max_concurrent_per_target: usize,
    /// Failures in a row that open a target's circuit breaker. Default 5.
    pub breaker_failures: u32,
    /// Milliseconds a circuit stays open before one probe is let through. Default 15000.
    pub breaker_open_ms: u64,
    /// Milliseconds a target rests after a failure for which it names no time itself: others are preferred meanwhile.
    /// Doubled with each failure in a row, up to `breaker_open_ms`. Default 1000.
    pub failure_rest_ms: u64,
    /// Prompt prefixes remembered with the target that holds their cache, about 100 bytes each; 0: none. Default 65536.
    pub affinity_entries: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            retries_per_target: 0,
            retry_backoff_ms: 100,
            retry_max_backoff_ms: 2_000,
            first_token_timeout_ms: 60_000,
            between_tokens_timeout_ms: 60_000,
            total_timeout_ms: 600_000,
            max_concurrent_per_target: 4096,
            breaker_failures: 5,
            breaker_open_ms: 15_000,
            failure_rest_ms: 1_000,
            affinity_entries: 65_536,
        }
    }
}

/// Budgets. `[budget]` in the configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// What becomes of a call when what is left of a hard budget does not cover the most it can cost, where the budget
    /// does not say: `lower` (default) lowers its `max_tokens` to what is left, not below 256, and says so; `refuse` refuses it.
    pub fit: Fit,
}

/// Time limits of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the first content of a streamed attempt.
    pub first_token: Duration,
    /// Between two pieces of content.
    pub between_tokens: Duration,
    /// For the attempt as a whole.
    pub total: Duration,
}

impl Timeouts {
    /// How long an attempt at this may show no content.
    pub fn until_content(&self, work: &Work) -> Duration {
        if work.is_streamed() { self.total.min(self.first_token) } else { self.total }
    }
}

impl Config {
    /// The limits an attempt has when no policy says otherwise.
    pub fn timeouts(&self) -> Timeouts {
        Timeouts {
            first_token: Duration::from_millis(self.first_token_timeout_ms),
            between_tokens: Duration::from_millis(self.between_tokens_timeout_ms),
            total: Duration::from_millis(self.total_timeout_ms),
        }
    }

    /// The retries at one target when no policy says otherwise.
    pub fn retries(&self) -> Retries {
        Retries {
            per_target: self.retries_per_target,
            backoff: Duration::from_millis(self.retry_backoff_ms),
            max_backoff: Duration::from_millis(self.retry_max_backoff_ms),
        }
    }

    /// Says which field cannot work.
    pub fn check(&self) -> Result<(), String> {
        for (field, value) in [
            ("max_attempts", u64::from(self.max_attempts)),
            ("first_token_timeout_ms", self.first_token_timeout_ms),
            ("between_tokens_timeout_ms", self.between_tokens_timeout_ms),
            ("total_timeout_ms", self.total_timeout_ms),
            ("max_concurrent_per_target", self.max_concurrent_per_target as u64),
            ("breaker_failures", u64::from(self.breaker_failures)),
        ] {
            if value == 0 {
                return Err(format!("engine.{field} must be 1 or more"));
            }
        }
        Ok(())
    }
}
