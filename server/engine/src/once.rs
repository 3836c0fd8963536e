//! A request id is called once: a repeat joins the running call or gets what was recorded.

use std::{
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use dashmap::{DashMap, Entry};
use futures_core::future::BoxFuture;
use headworks_core::{Batch, Call, EventKind, Facts, Fault, ModelId, Reason, Receipt, Reply};
use serde::{Deserialize, Serialize};
use tower::{Layer, Service};

use crate::{
    Shared,
    ports::{Pending, Remembered},
    print::{Print, Printer},
    tape::{Recorder, Tape},
};

/// The largest answer that is kept for a repeat, bytes of its encoded events.
const KEEP_MOST: usize = 4 << 20;

/// Makes [`Once`]s.
#[derive(Clone)]
pub struct OnceLayer {
    /// Durable memory.
    pub shared: Arc<Shared>,
}

impl<S> Layer<S> for OnceLayer {
    type Service = Once<S>;
    fn layer(&self, inner: S) -> Once<S> {
        Once { inner, shared: self.shared.clone(), running: Arc::default() }
    }
}

/// The tapes of calls under way, by key and request id, with the print of what was asked.
type Running = DashMap<(Arc<str>, Arc<str>), (Print, Weak<Tape>)>;

/// Lets calls without a request id through; plays back the others.
#[derive(Clone)]
pub struct Once<S> {
    inner: S,
    shared: Arc<Shared>,
    running: Arc<Running>,
}

impl<S> Service<Call> for Once<S>
where
    S: Service<Call, Response = Reply, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Reply, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Some(id) = call.work.routing().request_id.clone() else {
            return Box::pin(self.inner.call(call));
        };
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let (shared, running) = (self.shared.clone(), self.running.clone());
        Box::pin(async move {
            let fingerprint = fingerprint(&call);
            let key = (call.tenant.id.clone(), id.clone());
            let (asked, tape, recorder) = match running.entry(key.clone()) {
                Entry::Occupied(mut entry) => match entry.get().1.upgrade() {
                    Some(tape) => (entry.get().0, tape, None),
                    None => {
                        let (tape, recorder) = Tape::new(None);
                        entry.insert((fingerprint, Arc::downgrade(&tape)));
                        (fingerprint, tape, Some(recorder))
                    }
                },
                Entry::Vacant(entry) => {
                    let (tape, recorder) = Tape::new(None);
                    entry.insert((fingerprint, Arc::downgrade(&tape)));
                    (fingerprint, tape, Some(recorder))
                }
            };
            if asked != fingerprint {
                return Err(differs(&id));
            }
            if let Some(recorder) = recorder {
                // From here on the job alone carries the call: whoever leaves, the others are told.
                let slot = Slot { running, key, recorder };
                let job = drive(slot, fingerprint, shared, async move { inner.call(call).await });
                tape.started(tokio::spawn(job).abort_handle());
            }
            tape.join().await
        })
    }
}

fn differs(id: &str) -> Fault {
    Fault::invalid("request_id", format!("\"{id}\" was used for another request in the last 24 hours; use a new id"))
}

/// The answer that an earlier call under this id got.
fn recall(past: &Remembered, fingerprint: Print, id: &str) -> Result<Reply, Fault> {
    if past.fingerprint != fingerprint {
        return Err(differs(id));
    }
    let gone =
        |why: &str| Fault::new(Reason::Conflict, format!("the call under request_id \"{id}\" {why}; its record has the details, use a new id to call again"));
    let Some(outcome) = &past.outcome else {
        return Err(gone("was cut off when the gateway stopped and its outcome is unknown"));
    };
    match serde_json::from_slice::<Kept>(outcome) {
        Ok(Kept::Answer { served_by, request_id, attempts, events, receipt }) => {
            let mut batch = Batch { events: events.into(), ..Batch::default() };
            batch.push(EventKind::Receipt(receipt));
            let events = futures_util::stream::iter([Ok(batch)]);
            Ok(Reply { served_by, request_id, attempts, facts: Facts::default(), events: Box::pin(events) })
        }
        Ok(Kept::Failed { reason, message }) => Err(Fault::new(reason, message)),
        Ok(Kept::TooLarge) => Err(gone("was answered, but the answer was too large to keep")),
        Err(_) => Err(gone("was answered by another version of the gateway whose notes cannot be read")),
    }
}

#[derive(Serialize, Deserialize)]
enum Kept {
    Answer { served_by: ModelId, request_id: Arc<str>, attempts: u32, events: Vec<headworks_core::Event>, receipt: Arc<Receipt> },
    Failed { reason: Reason, message: String },
    TooLarge,
}

/// The job's place: takes the call off the list of running ones when it ends.
struct Slot {
    running: Arc<Running>,
    key: (Arc<str>, Arc<str>),
    recorder: Recorder,
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Another call may have taken the place since.
        self.running.remove_if(&self.key, |_, (_, tape)| self.recorder.is_of(tape));
    }
}

/// Keeps a word about a call whose readers all left, so that a repeat is told.
struct Unfinished {
    shared: Arc<Shared>,
    key: (Arc<str>, Arc<str>),
    fingerprint: Print,
    open: bool,
}

impl Unfinished {
    fn keep(&mut self, kept: &Kept) -> Pending {
        self.open = false;
        let remembered = Remembered { fingerprint: self.fingerprint, outcome: serde_json::to_vec(kept).ok() };
        self.shared.memory.keep(self.key.0.clone(), self.key.1.clone(), remembered)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.open {
            let message = "the caller of this request_id went away before its answer was complete".to_owned();
            drop(self.keep(&Kept::Failed { reason: Reason::Cancelled, message }));
        }
    }
}

/// Runs the call onto the tape and keeps its outcome, or plays what an earlier one got.
async fn drive(slot: Slot, fingerprint: Print, shared: Arc<Shared>, call: impl Future<Output = Result<Reply, Fault>> + Send) {
    let key = slot.key.clone();
    let recorder = &slot.recorder;
    match shared.memory.claim(key.0.clone(), key.1.clone(), fingerprint).await {
        Err(fault) => return recorder.begin(Err(fault)),
        Ok(Some(past)) => {
            return match recall(&past, fingerprint, &key.1) {
                Err(fault) => recorder.begin(Err(fault)),
                Ok(reply) => {
                    if let Some(end) = recorder.play(reply, |_| {}).await {
                        recorder.end(end);
                    }
                }
            };
        }
        Ok(None) => {}
    }
    let mut unfinished = Unfinished { shared: shared.clone(), key: key.clone(), fingerprint, open: true };
    match call.await {
        Err(fault) => {
            // Nothing was delivered: the same id may try again, unless an attempt was made and may have cost money.
            let kept = if fault.attempts == 0 {
                unfinished.open = false;
                shared.memory.release(key.0.clone(), key.1.clone()).await
            } else {
                unfinished.keep(&Kept::Failed { reason: fault.reason, message: fault.message.clone() }).await
            };
            log_lost(kept);
            recorder.begin(Err(fault));
        }
        Ok(reply) => {
            let (served_by, request_id, attempts) = (reply.served_by.clone(), reply.request_id.clone(), reply.attempts);
            let (mut events, mut receipt) = (Vec::new(), None);
            let end = recorder.play(reply, |batch| {
                batch.edited();
                for event in &batch.events {
                    match &event.kind {
                        EventKind::Receipt(account) => receipt = Some(account.clone()),
                        _ => events.push(event.clone()),
                    }
                }
            });
            let end = end.await;
            let Some(end) = end.filter(|_| recorder.is_wanted()) else { return };
            let kept = match (&end, receipt) {
                (Err(fault), _) => Kept::Failed { reason: fault.reason, message: fault.message.clone() },
                (Ok(()), Some(receipt)) => Kept::Answer { served_by, request_id, attempts, events, receipt },
                (Ok(()), None) => Kept::TooLarge,
            };
            let large = serde_json::to_vec(&kept).map_or(true, |bytes| bytes.len() > KEEP_MOST);
            log_lost(unfinished.keep(if large { &Kept::TooLarge } else { &kept }).await);
            recorder.end(end);
        }
    }
}

fn log_lost(kept: Result<(), Fault>) {
    if let Err(fault) = kept {
        tracing::error!(message = %fault.message, "the outcome of an idempotent call could not be kept");
    }
}

/// What makes two requests the same: everything the client said.
fn fingerprint(call: &Call) -> Print {
    let mut print = Printer::default();
    match call.work.original() {
        Some(original) => print.bytes(&original.body),
        // A typed request has no bytes of its own.
        None => print.fields(&call.work),
    }
    // The same body at another door is another request.
    print.bytes(call.work.kind().as_str().as_bytes());
    print.done()
}
