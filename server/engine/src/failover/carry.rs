//! Answers that broke off after content, and go on at another target: the client sees one answer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::{Stream, future::BoxFuture};
use headworks_core::{Batch, Cause, Event, EventKind, EventStream, Fault, Limit, Origin, Planned, Reason, Target, Tokens, Work};
use headworks_policy::{
    MidStream,
    continuation::{self, Form, Seam},
    verdict_under,
};

use super::Drive;
use crate::{Shared, stack::Stacks, stage::Booked};

/// Everything it takes to begin anew.
pub(super) struct Way {
    pub shared: Arc<Shared>,
    pub stacks: Arc<Stacks>,
    pub booked: Booked,
}

/// What this call's policy wants when its answer breaks, as far as its door and its request allow.
pub(super) fn choice(booked: &Booked) -> MidStream {
    let call = &booked.planned.call;
    let Some(chat) = call.work.chat().filter(|chat| chat.stream) else { return MidStream::Fail };
    match booked.course.mid_stream {
        MidStream::Continue if continuation::can_continue(chat) => MidStream::Continue,
        // Only gRPC has a word for starting over.
        MidStream::Restart if call.origin == Origin::Grpc => MidStream::Restart,
        _ => MidStream::Fail,
    }
}

/// A target that goes on.
struct Next {
    target: Arc<Target>,
    events: EventStream,
    seam: Seam,
}

/// The events of an answer that may change its target.
pub(super) struct Carried {
    way: Arc<Way>,
    restart: bool,
    events: EventStream,
    target: Arc<Target>,
    so_far: SoFar,
    /// A search for the next target, and why it is needed.
    search: Option<(BoxFuture<'static, Option<Next>>, Fault)>,
    over: bool,
}

/// What the client has of the answer.
#[derive(Default)]
struct SoFar {
    text: String,
    /// Bytes written, reasoning included.
    written: usize,
    reasoned: bool,
    finished: bool,
    /// From the first tool call on, everything is held until the answer is complete: half a call is never seen.
    held: Vec<Event>,
    holding: bool,
    /// Where the text of another target joins.
    seam: Option<Seam>,
    /// What the targets before used.
    used: Tokens,
}

impl Carried {
    pub(super) fn new(way: Arc<Way>, choice: MidStream, target: Arc<Target>, events: EventStream) -> Self {
        Self { way, restart: choice == MidStream::Restart, events, target, so_far: SoFar::default(), search: None, over: false }
    }

    /// Whether another target can help after this.
    fn can_go_on(&self, fault: &Fault) -> bool {
        let next = verdict_under(fault.cause, self.way.booked.course.past_content_policy).next;
        next && fault.reason != Reason::Cancelled && fault.cause != Cause::Timeout(Limit::Deadline) && (self.restart || !self.so_far.finished)
    }

    fn search(&mut self, fault: Fault) {
        self.so_far.lose();
        let said = if self.restart { String::new() } else { self.so_far.text.clone() };
        let search = search(self.way.clone(), self.target.clone(), fault.clone(), said, self.so_far.written);
        self.search = Some((Box::pin(search), fault));
    }

    /// Another target has begun: what the client is told of it.
    fn change(&mut self, next: Next) -> Batch {
        let (from, to) = (self.target.id.clone(), next.target.id.clone());
        self.target = next.target;
        self.events = next.events;
        let mut batch = Batch::default();
        if self.restart {
            self.so_far = SoFar::default();
            batch.push(EventKind::Restarted { from, to });
        } else {
            self.so_far.seam = Some(next.seam);
            self.so_far.used = self.way.booked.book.written();
            batch.push(EventKind::Recovered { from, to });
        }
        batch
    }
}

impl SoFar {
    /// What was held back of a target that broke is lost: the next one writes it anew.
    fn lose(&mut self) {
        if let Some(mut seam) = self.seam.take() {
            // Text whose place was not known yet: it never reached the client.
            drop(seam.flush());
        }
        self.held.clear();
        self.holding = false;
    }

    fn take(&mut self, batch: Batch) -> Batch {
        // Written anew from its events: the frames of two targets do not make one answer.
        let mut out = Batch::default();
        for mut event in batch.events {
            let joined = self.seam.is_some();
            match &mut event.kind {
                EventKind::Started { .. } if joined => continue,
                EventKind::Text(text) => {
                    if let Some(seam) = &mut self.seam {
                        *text = seam.push(text).into();
                        if text.is_empty() {
                            continue;
                        }
                    }
                    self.text.push_str(text);
                    self.written += text.len();
                }
                // A client that has text already needs no thoughts before it; of a thought in two halves no signature is true.
                EventKind::Reasoning(_) | EventKind::RedactedReasoning(_) if joined && !self.text.is_empty() => continue,
                EventKind::ReasoningSignature(_) if joined && (self.reasoned || !self.text.is_empty()) => continue,
                EventKind::Reasoning(text) => {
                    self.reasoned |= !joined;
                    self.written += text.len();
                }
                EventKind::Usage { tokens, .. } if joined => *tokens += self.used,
                EventKind::ToolCallStart { .. } => {
                    self.flush(&mut out);
                    self.holding = true;
                }
                EventKind::Finished(_) => {
                    self.flush(&mut out);
                    out.events.extend(self.held.drain(..));
                    (self.holding, self.finished) = (false, true);
                }
                _ => {}
            }
            if self.holding {
                self.held.push(event);
            } else {
                out.events.push(event);
            }
        }
        out
    }

    /// Text that waited for its place.
    fn flush(&mut self, out: &mut Batch) {
        let text = self.seam.as_mut().map(Seam::flush).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        self.text.push_str(&text);
        let event = Event { choice: 0, kind: EventKind::Text(text.into()) };
        if self.holding { self.held.push(event) } else { out.events.push(event) }
    }
}

/// Looks for a target that goes on: those after the one that broke, then those before it, then itself.
async fn search(way: Arc<Way>, broken: Arc<Target>, fault: Fault, said: String, written: usize) -> Option<Next> {
    let booked = &way.booked;
    let Planned { call, targets, policy, .. } = &booked.planned;
    let chat = call.work.chat()?;
    let at = targets.iter().position(|target| target.id == broken.id)?;
    let order = (at + 1..targets.len()).chain(0..=at);
    for place in order {
        let (Some(target), Some(timeouts)) = (targets.get(place), booked.timeouts.get(place)) else { continue };
        let wished = continuation::form(target, chat, &said);
        // A target that does not take its last message for its own says so before it costs anything.
        let forms = [Some(wished), (wished == Form::Prefill).then_some(Form::Instruct)];
        for form in forms.into_iter().flatten() {
            if booked.book.attempts() >= booked.max_attempts {
                return None;
            }
            let mut call = call.clone();
            if form != Form::Anew {
                call.work = Work::Chat(Arc::new(continuation::ask(chat, form, &said, written)));
            }
            let next = Booked {
                planned: Planned { call, targets: vec![target.clone()], skipped: Vec::new(), policy: policy.clone(), notes: Vec::new(), warnings: Vec::new() },
                book: booked.book.clone(),
                max_attempts: booked.max_attempts,
                timeouts: vec![*timeouts],
                course: booked.course,
                prefixes: Vec::new(),
            };
            let drive = Drive::after(&way.shared, &way.stacks, &next, booked.book.attempts(), broken.clone(), fault.clone());
            match drive.run().await {
                Ok((target, _, events)) => return Some(Next { target, events, seam: Seam::new(form, &said) }),
                Err(fault) if fault.cause == Cause::Rejected && form == Form::Prefill => {}
                Err(_) => break,
            }
        }
    }
    None
}

impl Stream for Carried {
    type Item = Result<Batch, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if this.over {
                return Poll::Ready(None);
            }
            if let Some((search, _)) = &mut this.search {
                let found = std::task::ready!(search.as_mut().poll(cx));
                let Some((_, fault)) = this.search.take() else { continue };
                match found {
                    Some(next) => return Poll::Ready(Some(Ok(this.change(next)))),
                    None => {
                        this.over = true;
                        return Poll::Ready(Some(Err(fault)));
                    }
                }
            }
            match std::task::ready!(this.events.as_mut().poll_next(cx)) {
                Some(Ok(batch)) if this.restart => return Poll::Ready(Some(Ok(batch))),
                Some(Ok(batch)) => {
                    let batch = this.so_far.take(batch);
                    if !batch.events.is_empty() {
                        return Poll::Ready(Some(Ok(batch)));
                    }
                }
                Some(Err(fault)) if this.can_go_on(&fault) => this.search(fault),
                Some(Err(fault)) => {
                    this.over = true;
                    return Poll::Ready(Some(Err(fault)));
                }
                None => {
                    this.over = true;
                    let mut rest = Batch::default();
                    this.so_far.flush(&mut rest);
                    rest.events.extend(this.so_far.held.drain(..));
                    return Poll::Ready((!rest.events.is_empty()).then_some(Ok(rest)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
