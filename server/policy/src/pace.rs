//! How fast a target is: means in which the newest counts most, and old news fades to none.

use std::time::Duration;

use crate::Goal;

/// After this long without news, what is known counts half.
const HALF_LIFE: Duration = Duration::from_secs(120);
/// The weight of everything known; each new value weighs 1 beside it.
const MOST: f64 = 19.0;
/// Below this weight a target counts as unseen: it is tried again to learn anew.
const LEAST: f64 = 0.1;

/// A mean that forgets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    value: f64,
    weight: f64,
    at: Duration,
}

impl Mean {
    fn faded(&self, now: Duration) -> f64 {
        let age = now.saturating_sub(self.at).as_secs_f64();
        self.weight * (-age / HALF_LIFE.as_secs_f64()).exp2()
    }

    fn take(&mut self, now: Duration, value: f64) {
        let old = self.faded(now).min(MOST);
        self.value += (value - self.value) / (old + 1.0);
        self.weight = old + 1.0;
        self.at = now.max(self.at);
    }

    fn get(&self, now: Duration) -> Option<f64> {
        (self.faded(now) >= LEAST).then_some(self.value)
    }
}

/// What was measured of one target, in one class of request sizes. Times are counted from any fixed moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Learned {
    first_token: Mean,
    seconds_per_token: Mean,
}

/// How fast a target is, as far as known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Until its first token.
    pub first_token: Option<Duration>,
    /// For each token then; where only whole answers were seen, for each token of them.
    pub seconds_per_token: Option<f64>,
}

impl Learned {
    /// Takes an attempt in that served: its first token (streamed answers alone show it), its whole time and the
    /// tokens it wrote.
    pub fn served(&mut self, now: Duration, first_token: Option<Duration>, total: Duration, tokens: i64) {
        if let Some(first) = first_token {
            self.first_token.take(now, first.as_secs_f64());
        }
        let writing = total.saturating_sub(first_token.unwrap_or_default()).as_secs_f64();
        // A streamed answer's first token came before the writing began.
        let written = if first_token.is_some() { tokens - 1 } else { tokens };
        if written > 0 {
            #[allow(clippy::cast_precision_loss)]
            self.seconds_per_token.take(now, writing / written as f64);
        }
    }

    /// What is known now.
    pub fn pace(&self, now: Duration) -> Pace {
        Pace {
            first_token: self.first_token.get(now).map(|s| Duration::try_from_secs_f64(s).unwrap_or_default()),
            seconds_per_token: self.seconds_per_token.get(now),
        }
    }
}

impl Pace {
    /// Seconds it takes by this goal for an answer of so many tokens; `None`: unseen.
    pub fn seconds(&self, goal: Goal, tokens: i64) -> Option<f64> {
        let first = self.first_token.map(|d| d.as_secs_f64());
        #[allow(clippy::cast_precision_loss)]
        let writing = self.seconds_per_token.map(|each| each * tokens.max(1) as f64);
        match goal {
            Goal::FirstToken => first,
            Goal::Throughput => writing,
            Goal::Whole => match (first, writing) {
                (None, None) => None,
                (first, writing) => Some(first.unwrap_or(0.0) + writing.unwrap_or(0.0)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_newest_counts_most_and_old_news_fades() {
        let mut learned = Learned::default();
        assert_eq!(learned.pace(S(0)), Pace::default());
        for at in 0..100 {
            learned.served(S(at), Some(S(1)), S(3), 11);
        }
        assert_eq!(learned.pace(S(100)).first_token, Some(S(1)));
        assert!((learned.pace(S(100)).seconds_per_token.unwrap() - 0.2).abs() < 1e-9);
        for at in 100..130 {
            learned.served(S(at), Some(S(4)), S(24), 11);
        }
        let now = learned.pace(S(130));
        assert!(now.first_token.unwrap() > Duration::from_millis(3_200), "thirty new values outweigh a hundred old ones: {now:?}");
        assert!((now.seconds(Goal::Whole, 10).unwrap() - (now.first_token.unwrap().as_secs_f64() + 10.0 * now.seconds_per_token.unwrap())).abs() < 1e-6);
        assert!(learned.pace(S(130 + 600)).first_token.is_some());
        assert_eq!(learned.pace(S(130 + 1200)), Pace::default(), "after twenty minutes of silence nothing is known");
    }

    #[test]
    fn whole_answers_teach_speed_but_no_first_token() {
        let mut learned = Learned::default();
        learned.served(S(5), None, S(2), 10);
        let pace = learned.pace(S(5));
        assert_eq!((pace.first_token, pace.seconds_per_token), (None, Some(0.2)));
        assert_eq!(pace.seconds(Goal::FirstToken, 10), None);
        assert_eq!(pace.seconds(Goal::Whole, 10), Some(2.0));
    }
}
