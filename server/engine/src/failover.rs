//! Tries one target after the other until one yields its first content.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::future::BoxFuture;
use headworks_core::{Attempt, Batch, Cause, EventStream, Fault, Reason, Reply, Target};
use headworks_policy::{MidStream, Retries, Verdict, affinity, verdict_under};
use tokio::time::Instant;
use tower::{Service, util::BoxCloneSyncService};

use crate::{
    Shared, breaker,
    control::Entry,
    health::shared_id,
    id,
    stack::Stacks,
    stage::{Booked, Trial},
};

mod carry;
mod hedge;

use carry::{Carried, Way};
pub use hedge::{Hedge, Hedges, Race};
use hedge::{Hedged, alone};

/// One target's stack, from meter to upstream.
pub type Stack = BoxCloneSyncService<Trial, EventStream, Fault>;

/// How many targets after the first are kept within reach of a connection.
const WARM: usize = 2;

/// Drives the attempts of a call.
#[derive(Clone)]
pub struct Failover {
    /// Everything shared.
    pub shared: Arc<Shared>,
    /// The targets' stacks.
    pub stacks: Arc<Stacks>,
}

impl Service<Booked> for Failover {
    type Response = Reply;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Reply, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, booked: Booked) -> Self::Future {
        let (shared, stacks) = (self.shared.clone(), self.stacks.clone());
        Box::pin(async move {
            let call = &booked.planned.call;
            let entry = shared.running.enter(call.id.clone(), call.tenant.id.clone());
            let cancel = entry.cancel.clone();
            let cancelled = std::future::poll_fn(|cx| if cancel.poll(cx) { Poll::Ready(()) } else { Poll::Pending });
            let drive = Drive::new(&shared, &stacks, &booked);
            let begun = tokio::select! {
                biased;
                begun = drive.run() => begun,
                () = cancelled => Err(Fault::new(Reason::Cancelled, "the call was cancelled by its owner").because(Cause::Cancelled)),
            };
            match begun {
                Ok((target, attempts, events)) => {
                    let (book, request_id) = (booked.book.clone(), booked.planned.call.id.clone());
                    let served_by = target.id.clone();
                    let events = match carry::choice(&booked) {
                        MidStream::Fail => events,
                        choice => Box::pin(Carried::new(Arc::new(Way { shared, stacks, booked }), choice, target, events)),
                    };
                    let facts = book.facts(&served_by);
                    let events = book.account(events, entry.cancel.clone());
                    Ok(Reply { served_by, request_id, attempts, facts, events: Box::pin(Listed { events, _entry: entry }) })
                }
                Err(fault) => Err(booked.book.fail(fault).await),
            }
        })
    }
}

/// The attempts of one call. Whatever one attempt learned stays in `failures`; the next begins from nothing.
struct Drive<'a> {
    shared: &'a Shared,
    stacks: &'a Stacks,
    booked: &'a Booked,
    failures: Vec<(Arc<Target>, Fault)>,
    /// Why no attempt was made at a target, where no other failure tells more.
    refused: Option<Fault>,
    ordinal: u32,
    /// The largest context that the input was too long for.
    least_context: i64,
    /// Where the call's second attempt ran.
    hedged: Option<Hedged>,
}

impl<'a> Drive<'a> {
    fn new(shared: &'a Shared, stacks: &'a Stacks, booked: &'a Booked) -> Self {
        Self { shared, stacks, booked, failures: Vec::new(), refused: None, ordinal: 0, least_context: 0, hedged: None }
    }

    /// Goes on after so many attempts, the last of which broke.
    fn after(shared: &'a Shared, stacks: &'a Stacks, booked: &'a Booked, attempts: u32, broken: Arc<Target>, fault: Fault) -> Self {
        Self { failures: vec![(broken, fault)], ordinal: attempts, ..Self::new(shared, stacks, booked) }
    }

    async fn run(mut self) -> Result<(Arc<Target>, u32, EventStream), Fault> {
        let booked = self.booked;
        self.warm();
        if self.ordinal == 0 {
            self.count_for_hedging();
        }
        for (place, target) in booked.planned.targets.iter().enumerate() {
            if self.ordinal >= booked.max_attempts {
                break;
            }
            // A second attempt was this target's turn.
            if self.hedged.is_some_and(|hedged| hedged.second == place) {
                continue;
            }
            if self.in_time()?
                && self.worth_trying(target)
                && let Some((target, events)) = self.at(place).await?
            {
                if !booked.prefixes.is_empty() {
                    let lifetime = affinity::lifetime(&target, &booked.planned.call.work);
                    self.shared.homes.stay(&booked.prefixes, &target.id, lifetime);
                }
                return Ok((target, self.ordinal, events));
            }
        }
        Err(self.outcome())
    }

    /// What is tried at a target of the plan, under the ordinal of the next attempt.
    fn trial(&self, place: usize) -> Option<Trial> {
        let booked = self.booked;
        Some(Trial {
            attempt: Attempt { call: booked.planned.call.clone(), target: booked.planned.targets.get(place)?.clone(), ordinal: self.ordinal + 1 },
            timeouts: *booked.timeouts.get(place)?,
            book: booked.book.clone(),
            hedge: false,
            race: None,
        })
    }

    /// Attempts at one target: the first, which another may be begun beside, and retries where the policy wants them.
    /// `None`: the next one's turn.
    async fn at(&mut self, place: usize) -> Result<Option<(Arc<Target>, EventStream)>, Fault> {
        if let Some((last, fault)) = self.failures.last() {
            self.shared.metrics.failed_over(self.booked.planned.policy.as_deref(), &shared_id(last), fault.reason);
        }
        let retries = self.booked.course.retries.unwrap_or_else(|| self.shared.config.retries());
        let mut retried = 0;
        while let Some(trial) = self.trial(place) {
            let (stack, standing) = self.stacks.of(&trial.attempt.target);
            let tried = if retried == 0 { self.race(place, stack, trial).await } else { alone(stack, trial).await };
            let (target, fault) = match tried {
                Ok(served) => {
                    self.ordinal += 1;
                    return Ok(Some(served));
                }
                Err((_, fault)) if is_refusal(&fault) => {
                    // Another target may be cheap enough.
                    self.refused.get_or_insert(fault);
                    return Ok(None);
                }
                Err(failed) => failed,
            };
            let (verdict, retry_after) = (self.verdict(&fault), fault.retry_after);
            self.failed(target, fault);
            let again = standing.shut().is_none() && self.hedged.is_none_or(|hedged| hedged.first != place);
            match self.wait(&retries, &verdict, retried, retry_after).filter(|_| again) {
                Some(wait) => {
                    tokio::time::sleep(wait).await;
                    retried += 1;
                }
                None if verdict.next => return Ok(None),
                None => return Err(self.outcome_now()),
            }
        }
        Ok(None)
    }

    fn verdict(&self, fault: &Fault) -> Verdict {
        verdict_under(fault.cause, self.booked.course.past_content_policy)
    }

    /// Counts an attempt that failed.
    fn failed(&mut self, target: Arc<Target>, fault: Fault) {
        self.ordinal += 1;
        if fault.cause == Cause::ContextTooLong {
            self.least_context = self.least_context.max(window(&target).unwrap_or(0));
        }
        self.failures.push((target, fault));
    }

    /// How long to wait before a retry, where one fits into the budget and the caller's time.
    fn wait(&self, retries: &Retries, verdict: &Verdict, retried: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if self.ordinal >= self.booked.max_attempts {
            return None;
        }
        let wait = retries.wait(verdict, retried, retry_after, id::random64())?;
        let deadline = self.booked.planned.call.deadline;
        deadline.is_none_or(|deadline| Instant::from_std(deadline) > Instant::now() + wait).then_some(wait)
    }

    fn in_time(&self) -> Result<bool, Fault> {
        if self.booked.planned.call.deadline.is_some_and(|deadline| deadline <= Instant::now().into_std()) {
            let fault = Fault::new(Reason::Timeout, "the caller's deadline passed before an answer began");
            return Err(fault.because(Cause::Timeout(headworks_core::Limit::Deadline)));
        }
        Ok(true)
    }

    /// False where the input was too long for a context no smaller than this target's.
    fn holds(&self, target: &Target) -> bool {
        self.least_context == 0 || window(target).is_none_or(|window| window > self.least_context)
    }

    /// False where it is known before an attempt that it would be in vain; the route says why.
    fn worth_trying(&mut self, target: &Target) -> bool {
        if !self.holds(target) {
            let message = "its context is no larger than that of a target the input did not fit".to_owned();
            self.booked.book.skip(&target.id, Reason::ContextTooLong, message);
            return false;
        }
        if let Some(wait) = self.shared.board.seen(target).and_then(|standing| standing.shut()) {
            let fault = breaker::open(&target.id, wait);
            self.booked.book.skip(&target.id, fault.reason, fault.message.clone());
            self.refused.get_or_insert(fault);
            return false;
        }
        true
    }

    /// A failure is followed at once by a request to the next target: its connection should stand by then.
    fn warm(&self) {
        let targets = &self.booked.planned.targets;
        let reach = usize::try_from(self.booked.max_attempts).unwrap_or(usize::MAX).min(WARM + 1);
        let Some(first) = targets.first() else { return };
        for next in targets.iter().take(reach).skip(1).filter(|next| next.host.base_url != first.host.base_url) {
            self.shared.warm.warm(&next.host);
        }
    }

    fn outcome_now(&mut self) -> Fault {
        outcome(std::mem::take(&mut self.failures), self.refused.take())
    }

    fn outcome(mut self) -> Fault {
        self.outcome_now()
    }
}

fn window(target: &Target) -> Option<i64> {
    target.model.as_ref().and_then(|m| m.context_window)
}

/// Refused by a budget or a limit of the caller's own: nothing was sent.
fn is_refusal(fault: &Fault) -> bool {
    matches!(fault.reason, Reason::BudgetExceeded | Reason::CostUnbounded | Reason::PriceUnknown)
        || fault.reason == Reason::RateLimited && fault.cause == Cause::Local
}

/// The fault of a call none of whose attempts served. Where one target alone was tried, its last failure speaks for itself.
fn outcome(mut failures: Vec<(Arc<Target>, Fault)>, refused: Option<Fault>) -> Fault {
    let Some((at, last)) = failures.last() else {
        return refused.unwrap_or_else(|| Fault::internal("the plan held no target"));
    };
    let alone = failures.iter().all(|(target, _)| target.id == at.id);
    if alone || !headworks_policy::verdict(last.cause).next {
        return failures.pop().map_or_else(|| Fault::internal("no attempt was made"), |(_, fault)| fault);
    }
    let limited = failures.iter().all(|(_, fault)| fault.cause == Cause::RateLimited);
    let story: Vec<String> = failures.iter().map(|(target, fault)| format!("{}: {}", target.id, fault.reason.name())).collect();
    let wait: Option<Duration> = failures.iter().filter_map(|(_, fault)| fault.retry_after).min();
    let message = format!("all {} attempts failed ({}); the route of the request tells more", failures.len(), story.join(", "));
    let mut fault = Fault::new(Reason::AllTargetsFailed, message).because(if limited { Cause::RateLimited } else { Cause::Unavailable }).after(wait);
    fault.target = failures.pop().map(|(target, _)| target.id.clone());
    fault
}

struct Listed {
    events: EventStream,
    _entry: Entry,
}

impl futures_core::Stream for Listed {
    type Item = Result<Batch, Fault>;
    fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(cx)
    }
}

#[cfg(test)]
mod tests;
