//! A stream of server-sent events as an HTTP body. Dropping it ends the call.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use headworks_core::{EventStream, Fault, Reply};
use headworks_providers::Writer;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::{ids::Ids, responses::Keep};
use crate::fault;

/// A call that has not begun to answer.
pub(crate) type Calling = Pin<Box<dyn Future<Output = Result<Reply, Fault>> + Send>>;

enum State {
    Calling(Calling),
    Streaming(EventStream),
    Done,
}

/// The body. What is ready leaves in one piece; a lone event is never held back.
pub(crate) struct Sse {
    state: State,
    writer: Box<dyn Writer>,
    request_id: Arc<str>,
    keep_alive: Duration,
    silence: Pin<Box<Sleep>>,
    last: Instant,
    /// Keeps the whole answer.
    keep: Option<Keep>,
    /// The answer is being kept; its end waits for that.
    keeping: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    held: BytesMut,
    /// Numbers the events of a stream that can be resumed.
    ids: Option<Box<Ids>>,
}

/// Enough for one write; more waits for the next, so that memory stays bounded.
const WRITE: usize = 32 << 10;

impl Sse {
    /// The body of an answer that has begun.
    pub(crate) fn begun(reply: Reply, writer: Box<dyn Writer>, request_id: Arc<str>, keep_alive: Duration, keep: Option<Keep>) -> Self {
        let mut writer = writer;
        writer.begin(&reply.request_id);
        Self::new(State::Streaming(reply.events), writer, request_id, keep_alive, keep)
    }

    /// The body of an answer still waited for.
    pub(crate) fn waiting(call: Calling, writer: Box<dyn Writer>, request_id: Arc<str>, keep_alive: Duration, keep: Option<Keep>) -> Self {
        Self::new(State::Calling(call), writer, request_id, keep_alive, keep)
    }

    fn new(state: State, writer: Box<dyn Writer>, request_id: Arc<str>, keep_alive: Duration, keep: Option<Keep>) -> Self {
        let silence = Box::pin(tokio::time::sleep(keep_alive));
        Self { state, writer, request_id, keep_alive, silence, last: Instant::now(), keep, keeping: None, held: BytesMut::new(), ids: None }
    }

    /// Numbers the events, for a client that may come back, or came back after this one.
    pub(crate) fn numbered(mut self, after: Option<u64>) -> Self {
        self.ids = after.map(|after| Box::new(Ids::after(after)));
        self
    }

    fn number(&mut self, from: usize, out: &mut BytesMut) {
        if let Some(ids) = &mut self.ids {
            let fresh = out.split_off(from);
            ids.write(&fresh, out);
        }
    }

    fn broken(&mut self, fault: &Fault, out: &mut BytesMut) {
        let face = fault::rest(fault, Some(self.request_id.clone()));
        let from = out.len();
        self.writer.fault(fault, &face, out);
        self.number(from, out);
        self.state = State::Done;
    }
}

impl Body for Sse {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let mut out = BytesMut::new();
        if let Some(keeping) = &mut this.keeping {
            std::task::ready!(keeping.as_mut().poll(cx));
            this.keeping = None;
            out = std::mem::take(&mut this.held);
        }
        loop {
            match &mut this.state {
                State::Done => break,
                State::Calling(call) => match call.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(reply)) => {
                        this.writer.begin(&reply.request_id);
                        this.state = State::Streaming(reply.events);
                    }
                    Poll::Ready(Err(fault)) => this.broken(&fault, &mut out),
                },
                State::Streaming(events) => match events.as_mut().poll_next(cx) {
                    Poll::Pending => break,
                    Poll::Ready(None) => this.state = State::Done,
                    Poll::Ready(Some(Err(fault))) => this.broken(&fault, &mut out),
                    Poll::Ready(Some(Ok(batch))) => {
                        let from = out.len();
                        let written = this.writer.push(&batch, &mut out);
                        this.number(from, &mut out);
                        if let Err(fault) = written {
                            this.broken(&fault, &mut out);
                        }
                        if this.keep.is_some()
                            && let Some(whole) = this.writer.kept()
                            && let Some(keep) = this.keep.take()
                        {
                            // What a client is told to be kept can be gone on from at once.
                            let mut keeping = keep(whole);
                            if keeping.as_mut().poll(cx).is_pending() {
                                this.keeping = Some(keeping);
                                this.held = out;
                                return Poll::Pending;
                            }
                        }
                        if out.len() >= WRITE {
                            break;
                        }
                    }
                },
            }
        }
        if !out.is_empty() {
            this.last = Instant::now();
            return Poll::Ready(Some(Ok(Frame::data(out.freeze()))));
        }
        if matches!(this.state, State::Done) {
            return Poll::Ready(None);
        }
        while this.silence.as_mut().poll(cx).is_ready() {
            // Not reset on every event: the timer looks at the clock when it fires.
            let due = this.last + this.keep_alive;
            let now = Instant::now();
            if now < due {
                this.silence.as_mut().reset(due);
                continue;
            }
            this.last = now;
            this.silence.as_mut().reset(now + this.keep_alive);
            let beat = this.writer.keep_alive();
            if !beat.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(beat))));
            }
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Done)
    }
}
