//! A request id is called once: a repeat joins the running call or gets what was recorded.

use std::{
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use dashmap::{DashMap, Entry};
use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use headworks_core::{Batch, Call, EventKind, Facts, Fault, ModelId, Reason, Receipt, Reply};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tower::{Layer, Service};

use crate::{
    Shared,
    ports::{Pending, Remembered},
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

type Running = DashMap<(Arc<str>, Arc<str>), Weak<Tape>>;

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
            let (tape, first) = match running.entry(key.clone()) {
                Entry::Occupied(mut entry) => match entry.get().upgrade() {
                    Some(tape) => (tape, false),
                    None => {
                        let tape = Tape::new(fingerprint);
                        entry.insert(Arc::downgrade(&tape));
                        (tape, true)
                    }
                },
                Entry::Vacant(entry) => {
                    let tape = Tape::new(fingerprint);
                    entry.insert(Arc::downgrade(&tape));
                    (tape, true)
                }
            };
            if tape.fingerprint != fingerprint {
                return Err(differs(&id));
            }
            if first {
                // From here on the job alone carries the call: whoever leaves, the others are told.
                let slot = Slot { running, key, tape: Arc::downgrade(&tape) };
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
fn recall(past: &Remembered, fingerprint: [u8; 32], id: &str) -> Result<Reply, Fault> {
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

/// The job's end of a tape. Takes the call off the list of running ones, and
/// leaves nobody waiting, however the job ends. Holds the tape weakly, so that
/// the tape ends with its last reader.
struct Slot {
    running: Arc<Running>,
    key: (Arc<str>, Arc<str>),
    tape: Weak<Tape>,
}

impl Slot {
    fn begin(&self, head: Result<Head, Fault>) {
        if let Some(tape) = self.tape.upgrade() {
            tape.head.send_replace(Some(head));
        }
    }

    /// Whether anybody still listens.
    fn say(&self, batch: Batch) -> bool {
        let Some(tape) = self.tape.upgrade() else { return false };
        tape.said.lock().push(batch);
        tape.more.notify_waiters();
        true
    }

    fn end(self, end: Result<(), Fault>) {
        if let Some(tape) = self.tape.upgrade() {
            *tape.end.lock() = Some(end);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Another call may have taken the place since.
        self.running.remove_if(&self.key, |_, tape| Weak::ptr_eq(tape, &self.tape));
        let Some(tape) = self.tape.upgrade() else { return };
        let broken = || Fault::internal("the call under this request_id ended without an answer");
        tape.head.send_if_modified(|head| {
            let open = head.is_none();
            head.get_or_insert_with(|| Err(broken()));
            open
        });
        tape.end.lock().get_or_insert_with(|| Err(broken()));
        tape.more.notify_waiters();
    }
}

/// Everything a running call has said so far, for any number of readers.
struct Tape {
    fingerprint: [u8; 32],
    head: watch::Sender<Option<Result<Head, Fault>>>,
    said: Mutex<Vec<Batch>>,
    end: Mutex<Option<Result<(), Fault>>>,
    more: Notify,
    job: Mutex<Option<tokio::task::AbortHandle>>,
}

#[derive(Clone)]
struct Head {
    served_by: ModelId,
    request_id: Arc<str>,
    attempts: u32,
    facts: Facts,
}

impl Head {
    fn of(reply: &Reply) -> Self {
        Self { served_by: reply.served_by.clone(), request_id: reply.request_id.clone(), attempts: reply.attempts, facts: reply.facts.clone() }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        // The last reader is gone: nobody wants the rest.
        if let Some(job) = self.job.get_mut().take() {
            job.abort();
        }
    }
}

impl Tape {
    fn new(fingerprint: [u8; 32]) -> Arc<Self> {
        Arc::new(Self {
            fingerprint,
            head: watch::Sender::new(None),
            said: Mutex::default(),
            end: Mutex::default(),
            more: Notify::new(),
            job: Mutex::default(),
        })
    }

    fn started(&self, job: tokio::task::AbortHandle) {
        *self.job.lock() = Some(job);
    }

    async fn join(self: Arc<Self>) -> Result<Reply, Fault> {
        let mut seen = self.head.subscribe();
        let head = match seen.wait_for(Option::is_some).await {
            Ok(head) => head.clone(),
            Err(_) => None,
        };
        let head = head.unwrap_or_else(|| Err(Fault::internal("the call under this request_id ended without an answer")))?;
        let reader = futures_util::stream::unfold((self, 0, false), |(tape, at, over)| async move {
            if over {
                return None;
            }
            loop {
                let next = {
                    let more = tape.more.notified();
                    tokio::pin!(more);
                    // Registered before looking, so that nothing said in between is missed.
                    more.as_mut().enable();
                    let said = tape.said.lock().get(at).cloned();
                    let end = tape.end.lock().clone();
                    match (said, end) {
                        (Some(batch), _) => Some(Ok(batch)),
                        (None, Some(Ok(()))) => return None,
                        (None, Some(Err(fault))) => Some(Err(fault)),
                        (None, None) => {
                            more.await;
                            None
                        }
                    }
                };
                if let Some(item) = next {
                    let over = item.is_err();
                    return Some((item, (tape, at + 1, over)));
                }
            }
        });
        Ok(Reply { served_by: head.served_by, request_id: head.request_id, attempts: head.attempts, facts: head.facts, events: Box::pin(reader) })
    }
}

/// Keeps a word about a call whose readers all left, so that a repeat is told.
struct Unfinished {
    shared: Arc<Shared>,
    key: (Arc<str>, Arc<str>),
    fingerprint: [u8; 32],
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
async fn drive(slot: Slot, fingerprint: [u8; 32], shared: Arc<Shared>, call: impl Future<Output = Result<Reply, Fault>> + Send) {
    let key = slot.key.clone();
    match shared.memory.claim(key.0.clone(), key.1.clone(), fingerprint).await {
        Err(fault) => return slot.begin(Err(fault)),
        Ok(Some(past)) => {
            return match recall(&past, fingerprint, &key.1) {
                Err(fault) => slot.begin(Err(fault)),
                Ok(reply) => {
                    slot.begin(Ok(Head::of(&reply)));
                    let (end, ..) = play(&slot, reply).await;
                    slot.end(end);
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
            slot.begin(Err(fault));
        }
        Ok(reply) => {
            let head = Head::of(&reply);
            slot.begin(Ok(head.clone()));
            let (end, events, receipt) = play(&slot, reply).await;
            if slot.tape.strong_count() == 0 {
                return;
            }
            let kept = match (&end, receipt) {
                (Err(fault), _) => Kept::Failed { reason: fault.reason, message: fault.message.clone() },
                (Ok(()), Some(receipt)) => Kept::Answer { served_by: head.served_by, request_id: head.request_id, attempts: head.attempts, events, receipt },
                (Ok(()), None) => Kept::TooLarge,
            };
            let large = serde_json::to_vec(&kept).map_or(true, |bytes| bytes.len() > KEEP_MOST);
            log_lost(unfinished.keep(if large { &Kept::TooLarge } else { &kept }).await);
            slot.end(end);
        }
    }
}

/// Puts an answer onto the tape for as long as anybody listens.
async fn play(slot: &Slot, mut reply: Reply) -> (Result<(), Fault>, Vec<headworks_core::Event>, Option<Arc<Receipt>>) {
    let (mut end, mut events, mut receipt) = (Ok(()), Vec::new(), None);
    while let Some(next) = reply.events.next().await {
        match next {
            Ok(mut batch) => {
                batch.edited();
                for event in &batch.events {
                    match &event.kind {
                        EventKind::Receipt(account) => receipt = Some(account.clone()),
                        _ => events.push(event.clone()),
                    }
                }
                if !slot.say(batch) {
                    break;
                }
            }
            Err(fault) => end = Err(fault),
        }
    }
    (end, events, receipt)
}

fn log_lost(kept: Result<(), Fault>) {
    if let Err(fault) = kept {
        tracing::error!(message = %fault.message, "the outcome of an idempotent call could not be kept");
    }
}

/// What makes two requests the same: everything the client said.
fn fingerprint(call: &Call) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    match call.work.original() {
        Some(original) => hash.update(&original.body),
        // A typed request has no bytes of its own; its debug form names every field.
        None => hash.update(format!("{:?}", call.work).as_bytes()),
    };
    // The same body at another door is another request.
    hash.update(call.work.kind().as_str().as_bytes());
    *hash.finalize().as_bytes()
}
