//! Tries one target after the other until one yields its first content.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::future::BoxFuture;
use headworks_core::{Attempt, Batch, Cause, EventStream, Fault, ModelId, Reason, Reply, Target};
use headworks_policy::verdict;
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

use crate::{
    Shared,
    control::Entry,
    stack::Stacks,
    stage::{Booked, Trial},
};

/// One target's stack, from meter to upstream.
pub type Stack = BoxCloneSyncService<Trial, EventStream, Fault>;

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
            let begun = tokio::select! {
                biased;
                begun = attempts(&stacks, &booked) => begun,
                () = cancelled => Err(Fault::new(Reason::Cancelled, "the call was cancelled by its owner").because(Cause::Cancelled)),
            };
            match begun {
                Ok((target, attempts, events)) => {
                    let events = booked.book.account(events, entry.cancel.clone());
                    Ok(Reply {
                        served_by: target.id.clone(),
                        request_id: booked.planned.call.id.clone(),
                        attempts,
                        events: Box::pin(Listed { events, _entry: entry }),
                    })
                }
                Err(fault) => Err(booked.book.fail(fault).await),
            }
        })
    }
}

async fn attempts(stacks: &Stacks, booked: &Booked) -> Result<(Arc<Target>, u32, EventStream), Fault> {
    let planned = &booked.planned;
    let mut failures: Vec<(ModelId, Fault)> = Vec::new();
    let mut refused: Option<Fault> = None;
    let mut ordinal = 0;
    let mut least_context = 0;
    for (target, timeouts) in planned.targets.iter().zip(&booked.timeouts) {
        if ordinal >= booked.max_attempts {
            break;
        }
        let window = target.model.as_ref().and_then(|m| m.context_window);
        if least_context > 0 && window.is_some_and(|w| w <= least_context) {
            let message = "its context is no larger than that of a target the input did not fit".to_owned();
            booked.book.skip(&target.id, Reason::ContextTooLong, message);
            continue;
        }
        if planned.call.deadline.is_some_and(|deadline| deadline <= std::time::Instant::now()) {
            let fault = Fault::new(Reason::Timeout, "the caller's deadline passed before an answer began");
            return Err(fault.because(Cause::Timeout(headworks_core::Limit::Deadline)));
        }
        let (stack, metrics) = stacks.of(target);
        let trial = Trial {
            attempt: Attempt { call: planned.call.clone(), target: target.clone(), ordinal: ordinal + 1 },
            timeouts: *timeouts,
            book: booked.book.clone(),
        };
        match stack.oneshot(trial).await {
            Ok(events) => return Ok((target.clone(), ordinal + 1, events)),
            Err(fault) if is_budget(fault.reason) => {
                // Another target may be cheap enough.
                refused.get_or_insert(fault);
            }
            Err(fault) => {
                ordinal += 1;
                let verdict = verdict(fault.cause);
                if fault.cause == Cause::ContextTooLong {
                    least_context = least_context.max(window.unwrap_or(0));
                }
                let next = verdict.next;
                failures.push((target.id.clone(), fault));
                if !next {
                    break;
                }
                metrics.failed_over();
            }
        }
    }
    Err(outcome(failures, refused))
}

fn is_budget(reason: Reason) -> bool {
    matches!(reason, Reason::BudgetExceeded | Reason::CostUnbounded | Reason::PriceUnknown)
}

/// The fault of a call none of whose attempts served. A lone failure speaks for itself.
fn outcome(mut failures: Vec<(ModelId, Fault)>, refused: Option<Fault>) -> Fault {
    let Some((_, last)) = failures.last() else {
        return refused.unwrap_or_else(|| Fault::internal("the plan held no target"));
    };
    if failures.len() == 1 || !verdict(last.cause).next {
        return failures.pop().map_or_else(|| Fault::internal("no attempt was made"), |(_, fault)| fault);
    }
    let limited = failures.iter().all(|(_, fault)| fault.cause == Cause::RateLimited);
    let story: Vec<String> = failures.iter().map(|(id, fault)| format!("{id}: {}", fault.reason.name())).collect();
    let wait: Option<Duration> = failures.iter().filter_map(|(_, fault)| fault.retry_after).min();
    let message = format!("all {} targets tried failed ({}); the route of the request tells more", failures.len(), story.join(", "));
    let mut fault = Fault::new(Reason::AllTargetsFailed, message).because(if limited { Cause::RateLimited } else { Cause::Unavailable }).after(wait);
    fault.target = failures.pop().map(|(id, _)| id);
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
