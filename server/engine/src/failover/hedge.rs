//! A second attempt beside one that is late: the first content of either is the answer, and the other is cancelled.

use std::{
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use headworks_core::{EventStream, Fault, Target, Work, WorkKind};
use headworks_policy::{Hedging, LEAST_ANSWERS, Plan, Size, SizeClass};
use tower::ServiceExt;

use super::{Drive, Stack, is_refusal};
use crate::{Shared, health::shared_id, stage::Trial};

/// What came of attempts at targets of the plan: the first content of one, or the failure that was the last.
pub(super) type Tried = Result<(Arc<Target>, EventStream), (Arc<Target>, Fault)>;

/// One attempt by itself.
pub(super) async fn alone(stack: Stack, trial: Trial) -> Tried {
    let target = trial.attempt.target.clone();
    match stack.oneshot(trial).await {
        Ok(events) => Ok((target, events)),
        Err(fault) => Err((target, fault)),
    }
}

/// Where the call's second attempt ran, by the places of the plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hedged {
    /// The one that was late.
    pub first: usize,
    /// The one beside it.
    pub second: usize,
}

/// What the two attempts of a race share: how it ended.
#[derive(Debug, Default)]
pub struct Race(OnceLock<(u32, Arc<str>)>);

impl Race {
    fn end(&self, trial: &Trial, what: &str) {
        let attempt = &trial.attempt;
        // Only the first end counts, and there is one alone.
        let _ = self.0.set((attempt.ordinal, format!("attempt {} at {} {what}", attempt.ordinal, attempt.target.id).into()));
    }

    /// Why this attempt was cancelled, where the other one of the race is the reason.
    pub fn ended_for(&self, ordinal: u32) -> Option<Arc<str>> {
        self.0.get().filter(|(by, _)| *by != ordinal).map(|(_, how)| how.clone())
    }
}

/// A second attempt, in hundredths: a call adds its policy's percents.
const ONE: i64 = 100;
/// The most that is kept of a share left unused: a slow spell after a long calm shall not double the bill for long.
const KEPT: i64 = 10 * ONE;

/// Which calls may have a second attempt: a bucket for each policy that hedges, filled by its calls. A target that
/// turns slow for all of them can so not double the calls that are made.
#[derive(Debug, Default)]
pub struct Hedges(DashMap<Arc<str>, AtomicI64>);

impl Hedges {
    /// A call of this policy came.
    fn called(&self, policy: &Arc<str>, percent: u32) {
        let add = |bucket: &AtomicI64| {
            let _ = bucket.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| Some((held + i64::from(percent)).min(KEPT)));
        };
        match self.0.get(policy) {
            Some(bucket) => add(&bucket),
            // The first is given in advance, so that a policy's first slow call is helped too.
            None => add(self.0.entry(policy.clone()).or_insert_with(|| AtomicI64::new(ONE)).value()),
        }
    }

    fn take(&self, policy: &str) -> bool {
        let taken = |held: i64| (held >= ONE).then_some(held - ONE);
        self.0.get(policy).is_some_and(|bucket| bucket.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).is_ok())
    }

    fn give_back(&self, policy: &str) {
        if let Some(bucket) = self.0.get(policy) {
            bucket.fetch_add(ONE, Ordering::AcqRel);
        }
    }
}

/// The second attempt that a plan foresees.
#[derive(Clone, Debug)]
pub struct Hedge {
    /// When it begins, after the first attempt began; `None`: none does.
    pub after: Option<Duration>,
    /// Where it goes.
    pub target: Option<Arc<Target>>,
    /// Whence the time comes, or why none begins, for people.
    pub message: String,
}

/// Why no attempt at a target is ever late.
enum Never {
    /// Such work is not hedged.
    Counting,
    /// So many answers of it are known, too few to learn from.
    Answers(u32),
}

impl Shared {
    /// When an attempt is so late that another begins beside it.
    fn late_after(&self, hedging: &Hedging, target: &Target, work: &Work) -> Result<Duration, Never> {
        if work.kind() == WorkKind::CountTokens {
            return Err(Never::Counting);
        }
        if let Some(delay) = hedging.delay {
            return Ok(delay);
        }
        let standing = self.board.seen(target).ok_or(Never::Answers(0))?;
        standing.late_after(Size::of(work).class(), work.is_streamed()).map_err(Never::Answers)
    }

    /// The first target from this place on that is well: a second attempt is to gain time.
    fn well<'a>(&self, mut targets: impl Iterator<Item = (usize, &'a Arc<Target>)>) -> Option<(usize, &'a Arc<Target>)> {
        targets.find(|(_, target)| self.board.seen(target).is_none_or(|standing| standing.shut().is_none() && standing.rest().is_zero()))
    }

    /// The second attempt beside the first of a plan, as it would be made now; `None`: the policy does not hedge.
    pub fn hedge(&self, plan: &Plan, work: &Work) -> Option<Hedge> {
        let hedging = plan.course.hedging?;
        let none = |message: String| Hedge { after: None, target: None, message };
        let targets = || plan.targets.iter().map(|planned| &planned.target).enumerate();
        let first = plan.targets.first()?;
        let id = &first.target.id;
        let size = if Size::of(work).class() == SizeClass::Small { "small" } else { "large" };
        let kind = format!("{size} {} requests", if work.is_streamed() { "streamed" } else { "whole" });
        let whence = match hedging.delay {
            Some(_) => "set by the policy".to_owned(),
            None => format!("the mean of {id} with {kind} and four deviations"),
        };
        Some(match self.late_after(&hedging, &first.target, work) {
            Err(Never::Counting) => none("counting tokens is not hedged".to_owned()),
            Err(Never::Answers(known)) => {
                none(format!("when {id} is late with {kind} is not known before {LEAST_ANSWERS} answers; it has given {known} of late"))
            }
            _ if plan.course.max_attempts.unwrap_or(self.config.max_attempts) < 2 => none("a call may cause one attempt alone".to_owned()),
            Ok(after) => match self.well(targets().skip(1)) {
                None => none("there is no other target that is well".to_owned()),
                Some(_) if after >= self.timeouts(&first.timeouts).until_content(work) => {
                    none(format!("{id} is given up before it is late, after {} s ({whence})", after.as_secs_f64()))
                }
                Some((_, target)) => {
                    let message = format!("{whence}; at most {} % of calls get a second attempt", hedging.max_percent);
                    Hedge { after: Some(after), target: Some(target.clone()), message }
                }
            },
        })
    }
}

impl Drive<'_> {
    /// Counts the call towards the share of its policy that may have a second attempt.
    pub(super) fn count_for_hedging(&self) {
        let planned = &self.booked.planned;
        if let (Some(hedging), Some(policy)) = (&self.booked.course.hedging, &planned.policy) {
            self.shared.hedges.called(policy, hedging.max_percent);
        }
    }

    /// The first try at a target, and where the policy hedges and it is late, one at the next target beside it. Where
    /// both fail, the failure that came first is counted when this returns.
    pub(super) async fn race(&mut self, place: usize, stack: Stack, mut trial: Trial) -> Tried {
        let target = trial.attempt.target.clone();
        let (hedging, work) = (self.booked.course.hedging, &self.booked.planned.call.work);
        let late = hedging.filter(|_| self.hedged.is_none()).and_then(|hedging| self.shared.late_after(&hedging, &target, work).ok());
        let Some(after) = late else {
            return alone(stack, trial).await;
        };
        let race = Arc::new(Race::default());
        trial.race = Some(race.clone());
        let mut first = pin!(alone(stack, trial.clone()));
        if let Ok(early) = tokio::time::timeout(after, first.as_mut()).await {
            return early;
        }
        let Some((hedged, beside)) = self.beside(place, &race) else {
            return first.await;
        };
        let (stack, _) = self.stacks.of(&beside.attempt.target);
        let mut second = pin!(alone(stack, beside.clone()));
        let (policy, at) = (self.booked.planned.policy.as_deref(), shared_id(&beside.attempt.target));
        let (mut first_runs, mut second_runs) = (true, true);
        loop {
            // The second is polled first: whether its hold is granted is known from its first poll.
            let (hedge, tried) = tokio::select! {
                biased;
                tried = second.as_mut(), if second_runs => (true, tried),
                tried = first.as_mut(), if first_runs => (false, tried),
            };
            if hedge && self.hedged.is_none() && matches!(&tried, Err((_, fault)) if is_refusal(fault)) {
                // Nothing was sent.
                self.shared.hedges.give_back(policy.unwrap_or_default());
                return first.await;
            }
            if self.hedged.is_none() {
                self.hedged = Some(hedged);
                self.shared.metrics.hedged(policy, &at);
            }
            let (ended, other_runs) = if hedge { (&beside, first_runs) } else { (&trial, second_runs) };
            match tried {
                Ok(served) => {
                    // The other has had its attempt as well; it is cancelled when this returns.
                    self.ordinal += u32::from(other_runs);
                    race.end(ended, "answered first");
                    if hedge {
                        self.shared.metrics.hedge_won(policy, &at);
                    }
                    return Ok(served);
                }
                Err(failed) if !other_runs => return Err(failed),
                Err(failed) if !self.verdict(&failed.1).next => {
                    self.ordinal += 1;
                    race.end(ended, "failed in a way that no other target can mend");
                    return Err(failed);
                }
                Err((target, fault)) => {
                    if hedge {
                        second_runs = false;
                    } else {
                        first_runs = false;
                        self.shared.metrics.failed_over(policy, &shared_id(&target), fault.reason);
                    }
                    self.failed(target, fault);
                }
            }
        }
    }

    /// The attempt to make beside the one at this place, where there is a target for it and the policy's share allows it.
    fn beside(&self, place: usize, race: &Arc<Race>) -> Option<(Hedged, Trial)> {
        let planned = &self.booked.planned;
        if self.ordinal + 2 > self.booked.max_attempts {
            return None;
        }
        let later = planned.targets.iter().enumerate().skip(place + 1).filter(|(_, target)| self.holds(target));
        let (second, _) = self.shared.well(later)?;
        let mut trial = self.trial(second)?;
        trial.attempt.ordinal += 1;
        trial.hedge = true;
        trial.race = Some(race.clone());
        self.shared.hedges.take(planned.policy.as_deref()?).then_some((Hedged { first: place, second }, trial))
    }
}

#[cfg(test)]
mod tests;
