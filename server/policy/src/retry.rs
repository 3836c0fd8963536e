//! Retries at the same target: how often, and how long to wait before each.

use std::time::Duration;

use crate::Verdict;

/// Retries at the same target, inside the attempt budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Most retries at one target.
    pub per_target: u32,
    /// The wait before the first; doubled with each.
    pub backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { per_target: 0, backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2) }
    }
}

impl Retries {
    /// How long to wait before trying the same target again, or `None`: the next target's turn.
    /// `done` retries were made there. A provider's own `retry_after` is obeyed where it fits,
    /// and where it does not, others are asked meanwhile. Half of a wait of our own is drawn by `dice`.
    pub fn wait(&self, verdict: &Verdict, done: u32, retry_after: Option<Duration>, dice: u64) -> Option<Duration> {
        if !verdict.retry || done >= self.per_target {
            return None;
        }
        let longest = self.backoff.saturating_mul(2u32.saturating_pow(done.min(16))).min(self.max_backoff);
        let half = longest / 2;
        let jitter = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).checked_add(1).map_or(0, |most| dice % most);
        let own = half + Duration::from_nanos(jitter);
        match retry_after {
            Some(asked) if asked > self.max_backoff => None,
            Some(asked) => Some(own.max(asked)),
            None => Some(own),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use headworks_core::Cause;
    use proptest::prelude::*;

    use super::*;
    use crate::verdict;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn r5_r6_retries_are_counted_and_obey_what_the_provider_asks() {
        let retries = Retries { per_target: 2, backoff: MS(100), max_backoff: MS(1000) };
        let table = [
            (Cause::Unavailable, 0, None, Some((50, 100))),
            (Cause::Unavailable, 1, None, Some((100, 200))),
            (Cause::Unavailable, 2, None, None),
            (Cause::Connect, 0, None, Some((50, 100))),
            (Cause::RateLimited, 0, Some(MS(700)), Some((700, 700))),
            (Cause::RateLimited, 0, Some(MS(1500)), None),
            (Cause::Credentials, 0, None, None),
            (Cause::Rejected, 0, None, None),
            (Cause::ContextTooLong, 0, None, None),
        ];
        for (cause, done, asked, wanted) in table {
            let got = retries.wait(&verdict(cause), done, asked, 12_345_678_901);
            match wanted {
                None => assert_eq!(got, None, "{cause:?} {done}"),
                Some((least, most)) => assert!(got.is_some_and(|d| d >= MS(least) && d <= MS(most)), "{cause:?} {done}: {got:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn waits_stay_within_their_bounds(per in 1u32..20, done in 0u32..40, base in 0u64..5000, most in 0u64..5000, dice: u64) {
            let retries = Retries { per_target: per, backoff: MS(base), max_backoff: MS(most) };
            if let Some(wait) = retries.wait(&verdict(Cause::Connect), done, None, dice) {
                prop_assert!(done < per && wait <= MS(most) && wait >= MS(base.min(most)) / 2);
            }
        }
    }
}
