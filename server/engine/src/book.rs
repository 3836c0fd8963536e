//! The account of one call: opened before its first attempt, closed exactly once
//! when the answer ends, breaks or is dropped.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures_core::Stream;
use headworks_core::{
    AttemptReport, Batch, Cached, Call, EventKind, EventStream, Facts, Fault, ModelId, NanoUsd, Outcome, Planned, Reason, Receipt, Skipped, Tokens, written,
};
use parking_lot::Mutex;

use crate::{
    Shared,
    control::Cancel,
    ports::{Ack, Closing, Pending},
    rate::Permit,
};

/// The account.
pub struct Book {
    /// The call.
    pub call: Call,
    shared: Arc<Shared>,
    policy: Option<Arc<str>>,
    started: Instant,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    attempts: Vec<AttemptReport>,
    skipped: Vec<Skipped>,
    notes: Vec<Arc<str>>,
    warnings: Vec<(ModelId, Arc<str>)>,
    saved: NanoUsd,
    /// What the last attempt was changed to.
    adjusted: Option<Arc<str>>,
    /// What the call took from rate limits.
    permit: Option<Permit>,
    /// The answer was given before; what it used and cost then.
    cached: Option<(Cached, Tokens, NanoUsd)>,
    closed: bool,
}

impl Book {
    /// Opens the account of a planned call.
    pub fn open(shared: Arc<Shared>, planned: &Planned, permit: Option<Permit>) -> Arc<Self> {
        shared.metrics.in_flight().inc();
        Arc::new(Self {
            call: planned.call.clone(),
            shared,
            policy: planned.policy.clone(),
            started: Instant::now(),
            lines: Mutex::new(Lines {
                skipped: planned.skipped.clone(),
                notes: planned.notes.clone(),
                warnings: planned.warnings.clone(),
                permit,
                ..Lines::default()
            }),
        })
    }

    /// What became of an attempt.
    pub fn report(&self, report: AttemptReport, saved: NanoUsd) {
        let mut lines = self.lines.lock();
        lines.attempts.push(report);
        lines.saved = saved;
    }

    /// A target that was left out on the way.
    pub fn skip(&self, target: &ModelId, reason: Reason, message: String) {
        self.lines.lock().skipped.push(Skipped { target: target.clone(), reason, message });
    }

    /// Something done on the client's behalf.
    pub fn note(&self, notes: impl IntoIterator<Item = Arc<str>>) {
        self.lines.lock().notes.extend(notes);
    }

    /// What the attempt that begins now was changed to so that it fits a budget.
    pub fn adjust(&self, adjusted: Option<Arc<str>>) {
        self.lines.lock().adjusted = adjusted;
    }

    /// The answer is one given before, which used and cost so much.
    pub fn cached(&self, cached: Cached, tokens: Tokens, cost: NanoUsd) {
        self.lines.lock().cached = Some((cached, tokens, cost));
    }

    /// What the attempts that wrote the answer have used so far.
    pub fn written(&self) -> Tokens {
        wrote(&self.lines.lock().attempts)
    }

    /// What is known before the answer of this target.
    pub fn facts(&self, served: &ModelId) -> Facts {
        let lines = self.lines.lock();
        let warning = lines.warnings.iter().find(|(id, _)| id == served).map(|(_, warning)| warning.clone());
        Facts { adjusted: lines.adjusted.clone(), warning, rates: lines.permit.as_ref().map(|permit| Box::new(permit.facts())), lookup: None }
    }

    /// Counts an attempt that did not serve.
    pub fn attempt_failed(&self, id: &ModelId, reason: Reason) {
        self.shared.metrics.attempt_failed(id, reason);
    }

    /// How many attempts are over.
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.lines.lock().attempts.len()).unwrap_or(u32::MAX)
    }

    /// Closes the account: the record is on its way to disk when this returns.
    /// `None` if it was closed before.
    pub fn close(&self, outcome: Outcome, reason: Option<Reason>) -> Option<(Arc<Receipt>, Pending)> {
        let receipt = {
            let mut lines = self.lines.lock();
            if std::mem::replace(&mut lines.closed, true) {
                return None;
            }
            let permit = lines.permit.take();
            let receipt = receipt(&self.call, self.policy.clone(), &mut lines);
            drop(lines);
            if let Some(permit) = permit {
                permit.settle(receipt.attempts.iter().map(|a| a.tokens.prompt().saturating_add(a.tokens.completion())).fold(0, i64::saturating_add));
            }
            Arc::new(receipt)
        };
        let served = receipt.attempts.last().map(|a| &a.target);
        let label = served.and_then(|id| self.call.catalog.target(&id.to_string())).map(|t| crate::health::shared_id(&t));
        self.shared.metrics.in_flight().dec();
        self.shared.metrics.call_over(label.as_ref(), self.policy.as_deref(), reason);
        tracing::debug!(
            request_id = %self.call.id, key_id = %self.call.tenant.id, ?outcome, attempts = receipt.attempts.len(),
            cost_usd = %receipt.cost, millis = self.started.elapsed().as_millis() as u64, "call over"
        );
        let closing = Closing { call: self.call.clone(), receipt: receipt.clone(), outcome, reason };
        Some((receipt, self.shared.ledger.record(closing)))
    }

    /// Closes the account of a call that never began to answer, and waits for its record where the ledger's mode says so.
    pub async fn fail(&self, mut fault: Fault) -> Fault {
        fault.attempts = self.attempts();
        let outcome = if fault.reason == Reason::Cancelled { Outcome::Cancelled } else { Outcome::Failed };
        if let Some((_, pending)) = self.close(outcome, Some(fault.reason))
            && self.shared.ack == Ack::Before
            && let Err(lost) = pending.await
        {
            return lost;
        }
        fault
    }

    /// The answer's events, with the account closed at their end.
    pub fn account(self: Arc<Self>, events: EventStream, cancel: Cancel) -> EventStream {
        Box::pin(Accounted { events: Some(events), book: self, state: State::Streaming, cancel })
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        // A call dropped before it began to answer, by a caller that went away.
        let cancelled = !self.lines.get_mut().closed;
        if cancelled {
            drop(self.close(Outcome::Cancelled, Some(Reason::Cancelled)));
        }
    }
}

fn receipt(call: &Call, policy: Option<Arc<str>>, lines: &mut Lines) -> Receipt {
    let attempts = std::mem::take(&mut lines.attempts);
    let cached = lines.cached.take();
    let used = |a: &AttemptReport| a.tokens.prompt() + a.tokens.completion() > 0;
    Receipt {
        request_id: call.id.clone(),
        asked: call.work.model().clone(),
        policy,
        tokens: cached.as_ref().map_or_else(|| wrote(&attempts), |(_, tokens, _)| *tokens),
        cost: attempts.iter().filter_map(|a| a.cost).sum(),
        cost_known: attempts.iter().all(|a| a.cost.is_some() || !used(a)),
        estimated: attempts.iter().any(|a| a.estimated) || cached.as_ref().is_some_and(|(cached, ..)| cached.estimated),
        saved: cached.as_ref().map_or(lines.saved, |(.., cost)| *cost),
        skipped: std::mem::take(&mut lines.skipped),
        notes: std::mem::take(&mut lines.notes),
        attempts,
        cached: cached.map(|(cached, ..)| cached),
    }
}

fn wrote(attempts: &[AttemptReport]) -> Tokens {
    written(attempts.iter().map(|a| (a.outcome == Outcome::FailedPartial, a.tokens)))
}

enum State {
    Streaming,
    /// The answer is over; its record is on the way to disk and must arrive first.
    Recording(Pending, Result<Arc<Receipt>, Fault>),
    Done,
}

struct Accounted {
    events: Option<EventStream>,
    book: Arc<Book>,
    state: State,
    cancel: Cancel,
}

fn receipt_batch(receipt: Arc<Receipt>) -> Batch {
    let mut batch = Batch::default();
    batch.push(EventKind::Receipt(receipt));
    batch
}

impl Accounted {
    /// Ends the answer: `Ok(None)` for a good end.
    fn end(&mut self, end: Option<Fault>) -> Poll<Option<Result<Batch, Fault>>> {
        // The attempt settles when its events are dropped, so before the account is closed.
        self.events = None;
        let (outcome, reason) = match &end {
            None => (Outcome::Success, None),
            Some(fault) if fault.reason == Reason::Cancelled => (Outcome::Cancelled, Some(fault.reason)),
            Some(fault) => (Outcome::FailedPartial, Some(fault.reason)),
        };
        let Some((receipt, pending)) = self.book.close(outcome, reason) else {
            self.state = State::Done;
            return Poll::Ready(None);
        };
        let last = match end {
            None => Ok(receipt),
            Some(mut fault) => {
                fault.attempts = u32::try_from(receipt.attempts.len()).unwrap_or(u32::MAX);
                Err(fault)
            }
        };
        if self.book.shared.ack == Ack::Before {
            self.state = State::Recording(pending, last);
            return Poll::Pending;
        }
        self.state = State::Done;
        Poll::Ready(Some(last.map(receipt_batch)))
    }
}

impl Stream for Accounted {
    type Item = Result<Batch, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if matches!(this.state, State::Streaming) {
            if this.cancel.poll(cx) {
                let end = Fault::new(Reason::Cancelled, "the stream was cancelled by its owner");
                if let ready @ Poll::Ready(_) = this.end(Some(end)) {
                    return ready;
                }
            } else {
                let next = match &mut this.events {
                    Some(events) => std::task::ready!(events.as_mut().poll_next(cx)),
                    None => None,
                };
                let ended = match next {
                    Some(Ok(batch)) => return Poll::Ready(Some(Ok(batch))),
                    Some(Err(fault)) => this.end(Some(fault)),
                    None => this.end(None),
                };
                if ended.is_ready() {
                    return ended;
                }
            }
        }
        match std::mem::replace(&mut this.state, State::Done) {
            State::Recording(mut pending, last) => match pending.as_mut().poll(cx) {
                Poll::Pending => {
                    this.state = State::Recording(pending, last);
                    Poll::Pending
                }
                Poll::Ready(Err(lost)) => Poll::Ready(Some(Err(lost))),
                Poll::Ready(Ok(())) => Poll::Ready(Some(last.map(receipt_batch))),
            },
            State::Streaming | State::Done => Poll::Ready(None),
        }
    }
}

impl Drop for Accounted {
    fn drop(&mut self) {
        if matches!(self.state, State::Streaming) {
            self.events = None;
            drop(self.book.close(Outcome::Cancelled, Some(Reason::Cancelled)));
        }
    }
}
