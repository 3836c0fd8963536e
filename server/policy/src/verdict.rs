//! What a failure means for the next attempt: the table, as data.

use std::time::Duration;

use headworks_core::Cause;

/// How long a target rests after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cool {
    /// Not at all.
    None,
    /// As long as it asks, else this long.
    Asked(Duration),
    /// This long, whatever it asks.
    Fixed(Duration),
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The next target may be tried.
    pub next: bool,
    /// The same target may be tried again, where a policy wants it: trying again can help.
    pub retry: bool,
    /// It says something about the target's health.
    pub counts: bool,
    /// How long the target rests.
    pub cool: Cool,
}

/// The longest rest that a provider's own word can bring, so that a mistaken header does not shut a target for days.
const LONGEST: Duration = Duration::from_secs(300);

/// The rest after one failure that says nothing of its length: the next pick prefers others, and a lone target is tried all the same.
const SHORT: Duration = Duration::from_secs(1);
/// The rest after a failure that time alone rarely mends.
const LONG: Duration = Duration::from_secs(60);

const fn row(next: bool, retry: bool, counts: bool, cool: Cool) -> Verdict {
    Verdict { next, retry, counts, cool }
}

/// The table. Statuses and words become causes in `headworks_providers::fault`.
pub const fn verdict(cause: Cause) -> Verdict {
    match cause {
        //                                                          next  retry counts
        Cause::Connect | Cause::Unavailable | Cause::Broken => row(true, true, true, Cool::Asked(SHORT)),
        // The next target has the time that the same one would waste again.
        Cause::Timeout(_) | Cause::Garbled => row(true, false, true, Cool::Asked(SHORT)),
        Cause::RateLimited => row(true, true, false, Cool::Asked(SHORT)),
        Cause::Credentials | Cause::ModelMissing => row(true, false, false, Cool::Fixed(LONG)),
        // To targets with a larger context alone: see the engine's failover.
        Cause::ContextTooLong | Cause::Unfit => row(true, false, false, Cool::None),
        // To others only where the policy says so.
        Cause::ContentPolicy => row(false, false, false, Cool::None),
        Cause::Rejected | Cause::Local | Cause::Cancelled => row(false, false, false, Cool::None),
    }
}

impl Verdict {
    /// The rest, given what the provider asked for. A provider's word is held to [`LONGEST`].
    pub fn rest(&self, retry_after: Option<Duration>) -> Option<Duration> {
        match self.cool {
            Cool::None => None,
            Cool::Asked(otherwise) => Some(retry_after.unwrap_or(otherwise).min(LONGEST)),
            Cool::Fixed(rest) => Some(rest),
        }
    }
}

/// What a failure means under a policy that may send content refusals elsewhere.
pub const fn verdict_under(cause: Cause, past_content_policy: bool) -> Verdict {
    match cause {
        Cause::ContentPolicy if past_content_policy => row(true, false, false, Cool::None),
        other => verdict(other),
    }
}

#[cfg(test)]
mod tests {
    use headworks_core::Limit;

    use super::*;

    #[test]
    fn r5_decision_table() {
        let short = Some(SHORT);
        let long = Some(LONG);
        let table = [
            (Cause::Connect, true, true, true, short),
            (Cause::Timeout(Limit::Connect), true, false, true, short),
            (Cause::Timeout(Limit::FirstToken), true, false, true, short),
            (Cause::Unavailable, true, true, true, short),
            (Cause::Broken, true, true, true, short),
            (Cause::Garbled, true, false, true, short),
            (Cause::RateLimited, true, true, false, short),
            (Cause::Credentials, true, false, false, long),
            (Cause::ModelMissing, true, false, false, long),
            (Cause::ContextTooLong, true, false, false, None),
            (Cause::Unfit, true, false, false, None),
            (Cause::Rejected, false, false, false, None),
            (Cause::ContentPolicy, false, false, false, None),
            (Cause::Local, false, false, false, None),
            (Cause::Cancelled, false, false, false, None),
        ];
        for (cause, next, retry, counts, rest) in table {
            let v = verdict(cause);
            assert_eq!((v.next, v.retry, v.counts, v.rest(None)), (next, retry, counts, rest), "{cause:?}");
            assert_eq!(verdict_under(cause, false), v);
            assert_eq!(verdict_under(cause, true).next, next || cause == Cause::ContentPolicy, "{cause:?}");
        }
    }

    #[test]
    fn f13_r5_a_limit_closes_a_target_no_longer_than_it_asked_and_that_is_clamped() {
        let v = verdict(Cause::RateLimited);
        assert_eq!(v.rest(Some(Duration::from_millis(300))), Some(Duration::from_millis(300)));
        assert_eq!(v.rest(Some(Duration::from_secs(86_400))), Some(LONGEST));
        assert_eq!(verdict(Cause::Unavailable).rest(Some(Duration::from_secs(20))), Some(Duration::from_secs(20)), "529 with retry-after");
        assert_eq!(verdict(Cause::Rejected).rest(Some(Duration::from_secs(9))), None);
    }
}
