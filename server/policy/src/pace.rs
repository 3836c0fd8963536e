//! How fast a target is: means in which the newest counts most, and old news fades to none.
//! From them comes how long a target may keep silent before it is late.

use std::time::Duration;

use crate::Goal;

/// After this long without news, what is known counts half.
const HALF_LIFE: Duration = Duration::from_secs(120);
/// The weight of everything known; each new value weighs 1 beside it.
const MOST: f64 = 19.0;
/// Below this weight a target counts as unseen: it is tried again to learn anew.
const LEAST: f64 = 0.1;
/// Answers that a target must have given before it can be late: the mean of fewer says little of its spread.
pub const LEAST_ANSWERS: u32 = 8;
/// A target is late when it takes this many mean deviations longer than its mean: the same bound that TCP sets for its
/// retransmissions (RFC 6298, section 2), beyond all but the tail of any distribution with one peak.
const DEVIATIONS: f64 = 4.0;
/// The least time beyond the mean, as RFC 6298 has the grain of its clock: timers here tick by the millisecond, and a
/// busy machine wakes a task several of them late.
const GRAIN: Duration = Duration::from_millis(10);

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

/// A mean, with the mean of how far values lie from it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spread {
    mean: Mean,
    deviation: Mean,
    /// How many values it knows.
    count: u32,
}

impl Spread {
    fn take(&mut self, now: Duration, value: f64) {
        let known = self.mean.get(now);
        // One value tells nothing of the spread: half of it is taken, as RFC 6298 begins.
        self.deviation.take(now, known.map_or(value / 2.0, |mean| (value - mean).abs()));
        self.count = known.map_or(1, |_| self.count.saturating_add(1));
        self.mean.take(now, value);
    }

    fn late_after(&self, now: Duration) -> Result<Duration, u32> {
        match self.mean.get(now) {
            Some(mean) if self.count >= LEAST_ANSWERS => {
                let beyond = (DEVIATIONS * self.deviation.value).max(GRAIN.as_secs_f64());
                Ok(Duration::try_from_secs_f64(mean + beyond).unwrap_or(Duration::MAX))
            }
            Some(_) => Err(self.count),
            None => Err(0),
        }
    }
}

/// What was measured of one target, in one class of request sizes. Times are counted from any fixed moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Learned {
    first_token: Spread,
    /// Whole answers, which come at once.
    whole: Spread,
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
        } else {
            self.whole.take(now, total.as_secs_f64());
        }
        let writing = total.saturating_sub(first_token.unwrap_or_default()).as_secs_f64();
        // A streamed answer's first token came before the writing began.
        let written = if first_token.is_some() { tokens - 1 } else { tokens };
        if written > 0 {
            #[allow(clippy::cast_precision_loss)]
            self.seconds_per_token.take(now, writing / written as f64);
        }
    }

    /// Takes in that an attempt was given up after it had shown nothing for this long. Where that is longer than
    /// usual it is as good as an answer after that time: a target that became slow must not look fast because nobody
    /// waits for it any more.
    pub fn waited(&mut self, now: Duration, streamed: bool, waited: Duration) {
        let spread = if streamed { &mut self.first_token } else { &mut self.whole };
        if spread.mean.get(now).is_some_and(|mean| waited.as_secs_f64() > mean) {
            spread.take(now, waited.as_secs_f64());
        }
    }

    /// How long an attempt may show no content before it is late; else how many answers are known, fewer than
    /// [`LEAST_ANSWERS`].
    pub fn late_after(&self, now: Duration, streamed: bool) -> Result<Duration, u32> {
        if streamed { self.first_token.late_after(now) } else { self.whole.late_after(now) }
    }

    /// What is known now.
    pub fn pace(&self, now: Duration) -> Pace {
        Pace {
            first_token: self.first_token.mean.get(now).map(|s| Duration::try_from_secs_f64(s).unwrap_or_default()),
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

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn late_is_four_deviations_beyond_the_mean_and_needs_eight_answers() {
        let mut learned = Learned::default();
        for at in 0..7 {
            assert_eq!(learned.late_after(S(at), true), Err(u32::try_from(at).unwrap()));
            learned.served(S(at), Some(MS(100)), S(3), 11);
        }
        learned.served(S(7), Some(MS(100)), S(3), 11);
        let eighth = learned.late_after(S(7), true).unwrap();
        assert!(eighth > MS(110) && eighth < MS(150), "what the first value left of its spread: {eighth:?}");
        (8..200).for_each(|at| learned.served(S(at), Some(MS(100)), S(3), 11));
        let steady = learned.late_after(S(200), true).unwrap();
        assert!(steady >= MS(110) && steady < MS(111), "no less than the grain beyond the mean: {steady:?}");
        assert_eq!(learned.late_after(S(200), false), Err(0), "whole answers are learned apart");
        // Values of 60 and 140 ms by turns: mean 100, deviation 40.
        (200..400).for_each(|at| learned.served(S(at), Some(MS(if at % 2 == 0 { 60 } else { 140 })), S(3), 11));
        let wide = learned.late_after(S(400), true).unwrap();
        assert!(wide > MS(240) && wide < MS(280), "{wide:?}");
        assert_eq!(learned.late_after(S(400 + 1200), true), Err(0), "old news fades");
        learned.served(S(1600), Some(MS(100)), S(3), 11);
        assert_eq!(learned.late_after(S(1600), true), Err(1), "and counting begins anew");
    }

    #[test]
    fn a_target_that_nobody_waits_for_any_more_is_learned_to_be_slow() {
        let mut learned = Learned::default();
        learned.waited(S(0), true, S(5));
        assert_eq!(learned.pace(S(0)), Pace::default(), "a bound alone says nothing of a target that is not known");
        (0..20).for_each(|at| learned.served(S(at), Some(MS(100)), S(3), 11));
        learned.waited(S(20), true, MS(50));
        assert_eq!(learned.pace(S(20)).first_token, Some(MS(100)), "nor does one below the mean");
        let before = learned.late_after(S(20), true).unwrap();
        (20..30).for_each(|at| learned.waited(S(at), true, before + MS(50)));
        let (slow, after) = (learned.pace(S(30)).first_token.unwrap(), learned.late_after(S(30), true).unwrap());
        assert!(slow > MS(120) && after > before + MS(50), "{before:?}: mean {slow:?}, late after {after:?}");
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
