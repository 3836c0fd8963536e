//! Time limits of one attempt, and the commit point: an attempt counts once its
//! first content is in hand.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::{Stream, future::BoxFuture};
use futures_util::StreamExt;
use headworks_core::{Attempt, Batch, Begun, Cause, EventStream, Fault, Limit, ModelId, Reason};
use tokio::time::{Instant, Sleep, timeout_at};
use tower::{Layer, Service};

use crate::stage::Trial;

/// Makes [`Timed`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimedLayer;

impl<S> Layer<S> for TimedLayer {
    type Service = Timed<S>;
    fn layer(&self, inner: S) -> Timed<S> {
        Timed { inner }
    }
}

/// Calls the upstream and answers once there is content, or says which limit passed.
#[derive(Clone)]
pub struct Timed<S> {
    inner: S,
}

impl<S> Service<Trial> for Timed<S>
where
    S: Service<Attempt, Response = Begun, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Begun;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Begun, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, trial: Trial) -> Self::Future {
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let target = trial.attempt.target.id.clone();
            let now = Instant::now();
            let by_caller = trial.total() < trial.timeouts.total;
            let total = now + trial.total();
            let streamed = trial.attempt.call.work.is_streamed();
            let first = if streamed { total.min(now + trial.timeouts.first_token) } else { total };
            let late = |limit| late(&target, if limit == Limit::Total && by_caller { Limit::Deadline } else { limit }, &trial.timeouts);
            let which = if first < total { Limit::FirstToken } else { Limit::Total };

            let begun = timeout_at(first, inner.call(trial.attempt.clone())).await.map_err(|_| late(which))?;
            let mut begun = begun.map_err(|fault| fault.at(&target))?;
            let mut head = Vec::new();
            loop {
                match timeout_at(first, begun.events.next()).await.map_err(|_| late(which))? {
                    Some(Ok(batch)) => {
                        let content = batch.has_content();
                        head.push(batch);
                        if content {
                            break;
                        }
                    }
                    Some(Err(fault)) => return Err(fault.at(&target)),
                    None => {
                        let fault = Fault::new(Reason::AllTargetsFailed, format!("{target} answered with nothing"));
                        return Err(fault.because(Cause::Broken).at(&target));
                    }
                }
            }
            head.reverse();
            let sleep = Box::pin(tokio::time::sleep_until(total.min(Instant::now() + trial.timeouts.between_tokens)));
            begun.events = Box::pin(Watched {
                head,
                events: begun.events,
                sleep,
                last: Instant::now(),
                between: trial.timeouts.between_tokens,
                total,
                by_caller,
                target,
                over: false,
            });
            Ok(begun)
        })
    }
}

fn late(target: &ModelId, limit: Limit, timeouts: &crate::Timeouts) -> Fault {
    let seconds = |d: Duration| format!("{} s", d.as_secs_f64());
    let what = match limit {
        Limit::Connect => "did not accept a connection in time".to_owned(),
        Limit::FirstToken => format!("gave no first token within {}", seconds(timeouts.first_token)),
        Limit::BetweenTokens => format!("fell silent for {}", seconds(timeouts.between_tokens)),
        Limit::Total => format!("did not finish within {}", seconds(timeouts.total)),
        Limit::Deadline => "did not finish before the caller's deadline".to_owned(),
    };
    Fault::new(Reason::Timeout, format!("{target} {what}")).because(Cause::Timeout(limit)).at(target)
}

struct Watched {
    /// Batches up to the first content, last first.
    head: Vec<Batch>,
    events: EventStream,
    sleep: Pin<Box<Sleep>>,
    last: Instant,
    between: Duration,
    total: Instant,
    by_caller: bool,
    target: ModelId,
    over: bool,
}

impl Stream for Watched {
    type Item = Result<Batch, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if let Some(batch) = this.head.pop() {
            return Poll::Ready(Some(Ok(batch)));
        }
        match this.events.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(batch))) => {
                // The timer is not touched here: it looks at `last` when it fires.
                if batch.has_content() {
                    this.last = Instant::now();
                }
                return Poll::Ready(Some(Ok(batch)));
            }
            Poll::Ready(Some(Err(fault))) => {
                this.over = true;
                return Poll::Ready(Some(Err(broken(fault.at(&this.target)))));
            }
            Poll::Ready(None) => {
                this.over = true;
                return Poll::Ready(None);
            }
            Poll::Pending => {}
        }
        while this.sleep.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let quiet = this.last + this.between;
            let limit = if now >= this.total {
                if this.by_caller { Limit::Deadline } else { Limit::Total }
            } else if now >= quiet {
                Limit::BetweenTokens
            } else {
                this.sleep.as_mut().reset(quiet.min(this.total));
                continue;
            };
            this.over = true;
            let timeouts = crate::Timeouts { first_token: this.between, between_tokens: this.between, total: this.total - this.last };
            let mut fault = late(&this.target, limit, &timeouts);
            if limit == Limit::Total {
                fault.message = format!("{} did not finish in the time an attempt has", this.target);
            }
            return Poll::Ready(Some(Err(if limit == Limit::Deadline { fault } else { broken(fault) })));
        }
        Poll::Pending
    }
}

/// A fault after content: the stream broke, whatever lay underneath.
fn broken(mut fault: Fault) -> Fault {
    if fault.reason != Reason::Cancelled {
        fault.reason = Reason::StreamBroken;
        fault.message = format!("the answer broke off: {}", fault.message);
    }
    fault
}
