//! What a running call has said so far, for any number of readers, now or later.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{StreamExt, stream};
use headworks_core::{Batch, EventKind, Facts, Fault, ModelId, Reason, Reply, Vector};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};

/// How much a tape may hold, where readers may come back for it.
#[derive(Clone)]
pub(crate) struct Bounds {
    /// Most bytes of one tape.
    pub most: usize,
    /// Most bytes of all tapes together.
    pub most_of_all: usize,
    /// Bytes of all tapes together.
    pub used: Arc<AtomicUsize>,
    /// Bytes that are held beside this one for as long as it is: what was asked.
    pub beside: usize,
}

/// The tape. Its job ends with the last who holds it.
pub(crate) struct Tape {
    head: watch::Sender<Option<Result<Head, Fault>>>,
    said: Mutex<Said>,
    more: Notify,
    room: Notify,
    job: Mutex<Option<AbortHandle>>,
    bounds: Option<Bounds>,
}

#[derive(Default)]
struct Said {
    batches: VecDeque<Batch>,
    /// How many batches were let go at the front.
    gone: usize,
    bytes: usize,
    end: Option<Result<(), Fault>>,
    /// Where each reader is.
    readers: BTreeMap<u64, usize>,
    next_reader: u64,
    /// It outgrew its bounds: what all readers have seen is let go, and nobody can begin anew.
    outgrown: bool,
}

#[derive(Clone)]
struct Head {
    served_by: ModelId,
    request_id: Arc<str>,
    attempts: u32,
    facts: Facts,
}

fn broken() -> Fault {
    Fault::internal("the call ended without an answer")
}

impl Drop for Tape {
    fn drop(&mut self) {
        // Nobody wants the rest.
        if let Some(job) = self.job.get_mut().take() {
            job.abort();
        }
        if let Some(bounds) = &self.bounds {
            bounds.used.fetch_sub(self.said.get_mut().bytes + bounds.beside, Ordering::Relaxed);
        }
    }
}

impl Tape {
    /// An empty tape, and the end of it that its job writes on.
    pub(crate) fn new(bounds: Option<Bounds>) -> (Arc<Self>, Recorder) {
        if let Some(bounds) = &bounds {
            bounds.used.fetch_add(bounds.beside, Ordering::Relaxed);
        }
        let tape =
            Arc::new(Self { head: watch::Sender::new(None), said: Mutex::default(), more: Notify::new(), room: Notify::new(), job: Mutex::default(), bounds });
        let recorder = Recorder { tape: Arc::downgrade(&tape) };
        (tape, recorder)
    }

    /// Names the job that writes on it.
    pub(crate) fn started(&self, job: AbortHandle) {
        *self.job.lock() = Some(job);
    }

    /// True once all is said.
    pub(crate) fn is_over(&self) -> bool {
        self.said.lock().end.is_some()
    }

    /// Everything from its beginning, and what is still to come. STREAM_GONE where the beginning is no longer held.
    pub(crate) async fn join(self: Arc<Self>) -> Result<Reply, Fault> {
        let seat = Seat::take(&self)?;
        let mut seen = self.head.subscribe();
        let head = match seen.wait_for(Option::is_some).await {
            Ok(head) => head.clone(),
            Err(_) => None,
        };
        let head = head.unwrap_or_else(|| Err(broken()))?;
        let events = stream::unfold(Some(seat), |seat| async move {
            let mut seat = seat?;
            let next = seat.next().await?;
            let rest = next.is_ok().then_some(seat);
            Some((next, rest))
        });
        Ok(Reply { served_by: head.served_by, request_id: head.request_id, attempts: head.attempts, facts: head.facts, events: Box::pin(events) })
    }
}

/// A reader's place.
struct Seat {
    tape: Arc<Tape>,
    id: u64,
}

impl Seat {
    fn take(tape: &Arc<Tape>) -> Result<Self, Fault> {
        let mut said = tape.said.lock();
        if said.outgrown {
            return Err(Fault::new(Reason::StreamGone, "the stream outgrew streams.max_bytes_per_stream and can no longer be resumed"));
        }
        let id = said.next_reader;
        said.next_reader += 1;
        said.readers.insert(id, 0);
        drop(said);
        Ok(Self { tape: tape.clone(), id })
    }

    async fn next(&mut self) -> Option<Result<Batch, Fault>> {
        let tape = &self.tape;
        loop {
            let more = tape.more.notified();
            tokio::pin!(more);
            // Registered before looking, so that nothing said in between is missed.
            more.as_mut().enable();
            {
                let mut said = tape.said.lock();
                let gone = said.gone;
                let at = said.readers.get(&self.id).copied().unwrap_or_default();
                if let Some(batch) = said.batches.get(at.saturating_sub(gone)).cloned() {
                    said.readers.insert(self.id, at + 1);
                    if said.outgrown {
                        let freed = said.let_go();
                        tape.freed(freed);
                    }
                    return Some(Ok(batch));
                }
                match &said.end {
                    Some(Ok(())) => return None,
                    Some(Err(fault)) => return Some(Err(fault.clone())),
                    None => {}
                }
            }
            more.await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut said = self.tape.said.lock();
        said.readers.remove(&self.id);
        let freed = if said.outgrown { said.let_go() } else { 0 };
        drop(said);
        self.tape.freed(freed);
    }
}

impl Said {
    /// Lets go of what all readers have seen.
    fn let_go(&mut self) -> usize {
        let seen = self.readers.values().copied().min().unwrap_or(usize::MAX);
        let mut freed = 0;
        while self.gone < seen
            && let Some(batch) = self.batches.pop_front()
        {
            self.gone += 1;
            freed += size(&batch);
        }
        self.bytes -= freed;
        freed
    }
}

impl Tape {
    fn freed(&self, bytes: usize) {
        if let Some(bounds) = &self.bounds {
            bounds.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.room.notify_one();
    }

    /// False where it has to wait for its readers first; `None` where it has none left that could ever see more.
    fn has_room(&self) -> Option<bool> {
        let Some(bounds) = &self.bounds else { return Some(true) };
        let said = self.said.lock();
        if !said.outgrown {
            return Some(true);
        }
        (!said.readers.is_empty()).then_some(said.bytes < bounds.most)
    }

    fn push(&self, batch: Batch) {
        let mut said = self.said.lock();
        if let Some(bounds) = &self.bounds {
            let bytes = size(&batch);
            said.bytes += bytes;
            let all = bounds.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
            if !said.outgrown && (said.bytes + bounds.beside > bounds.most || all > bounds.most_of_all) {
                said.outgrown = true;
                let freed = said.let_go();
                bounds.used.fetch_sub(freed, Ordering::Relaxed);
            }
        }
        said.batches.push_back(batch);
        drop(said);
        self.more.notify_waiters();
    }
}

/// What a batch holds in memory, near enough.
pub(crate) fn size(batch: &Batch) -> usize {
    let event = |kind: &EventKind| match kind {
        EventKind::Text(text)
        | EventKind::Refusal(text)
        | EventKind::Reasoning(text)
        | EventKind::ReasoningSignature(text)
        | EventKind::RedactedReasoning(text)
        | EventKind::ToolCallArguments { piece: text, .. } => text.len(),
        EventKind::Hosted(json) | EventKind::Logprobs(json) | EventKind::Opaque { json, .. } | EventKind::Embedded { vector: Vector::Float(json), .. } => {
            json.as_str().len()
        }
        EventKind::Embedded { vector: Vector::Base64(text), .. } => text.len(),
        _ => 64,
    };
    // Frames share their bytes with the events where both are there, but a frame is larger than what it says.
    let events: usize = batch.events.iter().map(|e| event(&e.kind)).sum();
    let frames: usize = batch.frames.iter().map(|f| f.bytes.len()).sum();
    events + frames + 160
}

/// The end of a tape that its job writes on. Holds the tape weakly, so that the tape ends with its last reader; leaves
/// no reader waiting, however the job ends.
pub(crate) struct Recorder {
    tape: Weak<Tape>,
}

impl Recorder {
    /// Whether anybody still holds the tape.
    pub(crate) fn is_wanted(&self) -> bool {
        self.tape.strong_count() > 0
    }

    /// True if this is the tape's own recorder.
    pub(crate) fn is_of(&self, tape: &Weak<Tape>) -> bool {
        Weak::ptr_eq(tape, &self.tape)
    }

    /// The answer begins, or there is none.
    pub(crate) fn begin(&self, head: Result<&Reply, Fault>) {
        let Some(tape) = self.tape.upgrade() else { return };
        let head = head.map(|reply| Head {
            served_by: reply.served_by.clone(),
            request_id: reply.request_id.clone(),
            attempts: reply.attempts,
            facts: reply.facts.clone(),
        });
        tape.head.send_replace(Some(head));
    }

    /// Puts a batch onto the tape, as soon as it has room. False: nobody wants the rest.
    pub(crate) async fn say(&self, batch: Batch) -> bool {
        loop {
            let Some(tape) = self.tape.upgrade() else { return false };
            match tape.has_room() {
                Some(true) => {
                    tape.push(batch);
                    return true;
                }
                // It is too large to be read from its beginning, and nobody reads on.
                None => return false,
                // Whoever reads on or leaves wakes this.
                Some(false) => tape.room.notified().await,
            }
        }
    }

    /// Puts a whole answer onto the tape, and shows each batch to `see` first. How it ended; `None`: nobody wanted the rest.
    pub(crate) async fn play(&self, mut reply: Reply, mut see: impl FnMut(&mut Batch)) -> Option<Result<(), Fault>> {
        self.begin(Ok(&reply));
        while let Some(next) = reply.events.next().await {
            match next {
                Ok(mut batch) => {
                    see(&mut batch);
                    if !self.say(batch).await {
                        return None;
                    }
                }
                Err(fault) => return Some(Err(fault)),
            }
        }
        Some(Ok(()))
    }

    /// All is said.
    pub(crate) fn end(&self, end: Result<(), Fault>) {
        if let Some(tape) = self.tape.upgrade() {
            tape.said.lock().end.get_or_insert(end);
            tape.more.notify_waiters();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let Some(tape) = self.tape.upgrade() else { return };
        tape.head.send_if_modified(|head| {
            let open = head.is_none();
            head.get_or_insert_with(|| Err(broken()));
            open
        });
        self.end(Err(broken()));
    }
}
