//! Streams that outlive their connection: a client that lost it reads on from where it was.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use dashmap::DashMap;
use futures_core::{Stream, future::BoxFuture};
use futures_util::future::Either;
use headworks_core::{Batch, Call, EventStream, Fault, Memo, Reason, Reply, Tenant, Work};
use parking_lot::Mutex;
use serde::Deserialize;
use tower::{Layer, Service};

use crate::{
    Shared,
    tape::{Bounds, Recorder, Tape, size},
};

/// What is kept for clients that come back. `[streams]` in the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamsConfig {
    /// Longest `resume_window`, seconds; a longer one is cut to it, and the answer's headers say so. 0: no stream can
    /// be resumed. Default 600.
    pub max_window_s: u64,
    /// Most bytes kept of one stream, with the request where a REST door needs it; a larger one can no longer be resumed. Default 8 MiB.
    pub max_bytes_per_stream: usize,
    /// Most bytes kept of all streams; those that are over go first. Default 256 MiB.
    pub max_bytes: usize,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        Self { max_window_s: 600, max_bytes_per_stream: 8 << 20, max_bytes: 256 << 20 }
    }
}

/// The streams that can be resumed, in the memory of this node.
pub struct Streams {
    config: StreamsConfig,
    open: DashMap<Arc<str>, Kept>,
    used: Arc<AtomicUsize>,
    /// Those that are over, the oldest first: the first to make room.
    over: Mutex<VecDeque<Arc<str>>>,
    closing: AtomicBool,
}

struct Kept {
    owner: Arc<str>,
    tape: Arc<Tape>,
    window: Duration,
    memo: Option<Memo>,
    readers: usize,
    /// How often the last reader left.
    departures: u64,
}

/// A stream taken up again.
pub struct Resumed {
    /// What its door left for this moment.
    pub memo: Option<Memo>,
    /// All of it from its beginning.
    pub reply: BoxFuture<'static, Result<Reply, Fault>>,
}

/// How long a stream is kept after it was read to its end: whether the last of it reached the client, nobody knows.
const READ: Duration = Duration::from_secs(10);

fn gone(id: &str) -> Fault {
    Fault::new(
        Reason::StreamGone,
        format!("no stream \"{id}\" of this key can be resumed here: it was begun without resume_window, its window is over, or the gateway was restarted"),
    )
}

impl Streams {
    /// None yet.
    pub fn new(config: StreamsConfig) -> Arc<Self> {
        Arc::new(Self { config, open: DashMap::new(), used: Arc::default(), over: Mutex::default(), closing: AtomicBool::new(false) })
    }

    /// For how long a client that asks this may stay away; `None`: its stream ends with its connection.
    pub fn window(&self, work: &Work) -> Option<Duration> {
        let asked = work.routing().resume_window.filter(|_| work.is_streamed())?;
        Some(asked.min(Duration::from_secs(self.config.max_window_s))).filter(|window| !window.is_zero())
    }

    /// How many can be resumed now.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// True when none can be resumed.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Bytes kept.
    pub fn bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn begin(self: &Arc<Self>, call: &mut Call, window: Duration) -> (Arc<Tape>, Recorder, Presence) {
        // The door keeps the request, to write the answer anew.
        let beside = call.memo.as_ref().and(call.work.original()).map_or(0, |original| original.body.len());
        let bounds = Bounds { most: self.config.max_bytes_per_stream, most_of_all: self.config.max_bytes, used: self.used.clone(), beside };
        let (tape, recorder) = Tape::new(Some(bounds));
        let kept = Kept { owner: call.tenant.id.clone(), tape: tape.clone(), window, memo: call.memo.take(), readers: 1, departures: 0 };
        self.open.insert(call.id.clone(), kept);
        (tape, recorder, Presence { streams: self.clone(), id: call.id.clone(), read: false })
    }

    /// Takes a stream up again. Only its owner's key may; another's looks the same as one that is gone.
    pub fn resume(self: &Arc<Self>, tenant: &Tenant, id: &str) -> Result<Resumed, Fault> {
        let mut kept = self.open.get_mut(id).filter(|kept| kept.owner == tenant.id).ok_or_else(|| gone(id))?;
        kept.readers += 1;
        let (tape, memo) = (kept.tape.clone(), kept.memo.clone());
        let presence = Presence { streams: self.clone(), id: kept.key().clone(), read: false };
        drop(kept);
        Ok(Resumed { memo, reply: Box::pin(attend(tape, presence)) })
    }

    /// Ends a stream that is under way. True if it was.
    pub fn cancel(&self, tenant: &Tenant, id: &str) -> bool {
        self.open.remove_if(id, |_, kept| kept.owner == tenant.id && !kept.tape.is_over()).is_some()
    }

    /// No client can come back any more: streams without one end now, others with their connections.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.open.retain(|_, kept| kept.readers > 0);
    }

    fn left(self: &Arc<Self>, id: &Arc<str>, read: bool) {
        let Some(mut kept) = self.open.get_mut(id) else { return };
        kept.readers -= 1;
        if kept.readers > 0 {
            return;
        }
        kept.departures += 1;
        let (departure, window) = (kept.departures, if read { kept.window.min(READ) } else { kept.window });
        drop(kept);
        let (streams, id) = (self.clone(), id.clone());
        let forget = move || streams.open.remove_if(&id, |_, kept| kept.readers == 0 && kept.departures == departure);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !self.closing.load(Ordering::Acquire) => drop(runtime.spawn(async move {
                tokio::time::sleep(window).await;
                forget();
            })),
            _ => drop(forget()),
        }
    }

    /// Makes room for so many bytes: streams that are over go, the oldest first.
    fn squeeze(&self, bytes: usize) {
        while self.bytes() + bytes > self.config.max_bytes {
            let Some(id) = self.over.lock().pop_front() else { return };
            self.open.remove_if(&id, |_, kept| kept.readers == 0);
        }
    }

    fn ended(&self, id: Arc<str>, begun: bool) {
        if !begun {
            // The client was told in the place of an answer.
            self.open.remove(&id);
            return;
        }
        let mut over = self.over.lock();
        over.push_back(id);
        // Those whose window passed are still named here.
        if over.len() > 2 * self.open.len() + 64 {
            over.retain(|id| self.open.contains_key(id));
        }
    }
}

/// A reader of a stream; its window begins when the last one leaves.
struct Presence {
    streams: Arc<Streams>,
    id: Arc<str>,
    /// It has read to the end.
    read: bool,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.streams.left(&self.id, self.read);
    }
}

async fn attend(tape: Arc<Tape>, presence: Presence) -> Result<Reply, Fault> {
    let mut reply = tape.join().await?;
    reply.events = Box::pin(Attended { events: reply.events, presence });
    Ok(reply)
}

struct Attended {
    events: EventStream,
    presence: Presence,
}

impl Stream for Attended {
    type Item = Result<Batch, Fault>;
    fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.events.as_mut().poll_next(cx));
        self.presence.read |= !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

/// Makes [`Resumable`]s.
#[derive(Clone)]
pub struct ResumableLayer {
    /// The streams.
    pub shared: Arc<Shared>,
}

impl<S> Layer<S> for ResumableLayer {
    type Service = Resumable<S>;
    fn layer(&self, inner: S) -> Resumable<S> {
        Resumable { inner, shared: self.shared.clone() }
    }
}

/// Puts the answers of clients that may come back onto a tape; lets all others through.
#[derive(Clone)]
pub struct Resumable<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Call> for Resumable<S>
where
    S: Service<Call, Response = Reply, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Fault;
    type Future = Either<S::Future, BoxFuture<'static, Result<Reply, Fault>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        let Some(window) = self.shared.streams.window(&call.work) else {
            return Either::Left(self.inner.call(call));
        };
        let streams = self.shared.streams.clone();
        let (tape, recorder, presence) = streams.begin(&mut call, window);
        let id = call.id.clone();
        let answer = self.inner.call(call);
        let job = tokio::spawn(async move {
            let begun = match answer.await {
                Err(fault) => {
                    recorder.begin(Err(fault));
                    false
                }
                Ok(reply) => {
                    if let Some(end) = recorder.play(reply, |batch| streams.squeeze(size(batch))).await {
                        recorder.end(end);
                    }
                    true
                }
            };
            streams.ended(id, begun);
        });
        tape.started(job.abort_handle());
        Either::Right(Box::pin(attend(tape, presence)))
    }
}

impl Shared {
    /// Ends a call of this tenant. Only its owner's key may; another's looks the same as one that is gone.
    pub fn cancel(&self, tenant: &Tenant, id: &str) -> Result<(), Fault> {
        // A stream that joined another call under its request id is not on the list of running ones.
        self.running.cancel(tenant, id).or_else(|fault| if self.streams.cancel(tenant, id) { Ok(()) } else { Err(fault) })
    }
}

#[cfg(test)]
mod tests;
