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
    /// It says something about the target's health.
    pub counts: bool,
    /// How long the target rests.
    pub cool: Cool,
}

/// The longest rest that a provider's own word can bring, so that a mistaken header does not shut a target for days.
const LONGEST: Duration = Duration::from_secs(300);

const fn row(next: bool, counts: bool, cool: Cool) -> Verdict {
    Verdict { next, counts, cool }
}

/// The table.
pub const fn verdict(cause: Cause) -> Verdict {
    match cause {
        Cause::Connect | Cause::Timeout(_) | Cause::Unavailable | Cause::Broken | Cause::Garbled => row(true, true, Cool::None),
        // Without a hint a short rest: the next pick prefers others, and a lone target is tried all the same.
        Cause::RateLimited => row(true, false, Cool::Asked(Duration::from_secs(1))),
        Cause::Credentials => row(true, false, Cool::Fixed(Duration::from_secs(60))),
        Cause::ModelMissing => row(true, false, Cool::Fixed(Duration::from_secs(60))),
        Cause::ContextTooLong | Cause::Unfit => row(true, false, Cool::None),
        Cause::ContentPolicy | Cause::Rejected | Cause::Local | Cause::Cancelled => row(false, false, Cool::None),
    }
}

impl Verdict {
    /// The rest, given what the provider asked for.
    pub fn rest(&self, retry_after: Option<Duration>) -> Option<Duration> {
        match self.cool {
            Cool::None => None,
            Cool::Asked(otherwise) => Some(retry_after.unwrap_or(otherwise).min(LONGEST)),
            Cool::Fixed(rest) => Some(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use headworks_core::Limit;

    use super::*;

    #[test]
    fn r5_decision_table() {
        let table = [
            (Cause::Connect, true, true),
            (Cause::Timeout(Limit::FirstToken), true, true),
            (Cause::Unavailable, true, true),
            (Cause::RateLimited, true, false),
            (Cause::Credentials, true, false),
            (Cause::ModelMissing, true, false),
            (Cause::ContextTooLong, true, false),
            (Cause::Unfit, true, false),
            (Cause::Rejected, false, false),
            (Cause::ContentPolicy, false, false),
            (Cause::Cancelled, false, false),
        ];
        for (cause, next, counts) in table {
            let v = verdict(cause);
            assert_eq!((v.next, v.counts), (next, counts), "{cause:?}");
        }
    }

    #[test]
    fn f13_a_limit_closes_a_target_no_longer_than_it_asked() {
        let v = verdict(Cause::RateLimited);
        assert_eq!(v.rest(Some(Duration::from_millis(300))), Some(Duration::from_millis(300)));
        assert_eq!(v.rest(None), Some(Duration::from_secs(1)));
        assert_eq!(v.rest(Some(Duration::from_secs(86_400))), Some(LONGEST));
        assert_eq!(verdict(Cause::Rejected).rest(Some(Duration::from_secs(9))), None);
    }
}
