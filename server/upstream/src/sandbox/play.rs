use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, header};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::{
    ask::Refusal,
    reply::{Answer, Ending},
    wire::{self, Stamp},
};

/// A chunk stops growing here, when many pieces are due at once.
const CHUNK: usize = 16 << 10;

/// A body that comes at the model's pace. Dropping it ends it.
pub(crate) struct Playback(State);

enum State {
    Once(Option<Bytes>),
    Stream(Box<Running>),
}

struct Running {
    answer: Answer,
    stamp: Stamp,
    began: Instant,
    /// The next piece; one past the last is the end.
    next: usize,
    started: bool,
    over: bool,
    sleep: Pin<Box<Sleep>>,
}

/// Begins an answer: a stream at once, a whole body when its last token would have come.
pub(super) async fn begin(answer: Answer) -> Response<Playback> {
    let stamp = stamp();
    if answer.stream {
        let running =
            Running { began: Instant::now(), sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), answer, stamp, next: 0, started: false, over: false };
        return response(200, "text/event-stream", State::Stream(Box::new(running)));
    }
    tokio::time::sleep(due(&answer, answer.pieces.len())).await;
    let mut body = wire::whole(&answer, &stamp);
    if let Ending::Cut(_) = answer.ending {
        body.truncate(body.len() / 2);
    }
    response(200, "application/json", State::Once(Some(body.into())))
}

/// A body, at once.
pub(super) fn whole(body: Vec<u8>) -> Response<Playback> {
    response(200, "application/json", State::Once(Some(body.into())))
}

/// An error, at once.
pub(super) fn refuse(refusal: &Refusal) -> Response<Playback> {
    let body = wire::refusal(refusal);
    let mut response = response(refusal.status, "application/json", State::Once(Some(body.into())));
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn response(status: u16, kind: &'static str, state: State) -> Response<Playback> {
    let mut response = Response::new(Playback(state));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An id that no other answer of this process has, nor one of a process before it.
fn stamp() -> Stamp {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Stamp { id: format!("chatcmpl-sandbox-{:x}-{count:x}", now.as_micros()), created: now.as_secs() }
}

/// When a piece comes, counted from the start.
fn due(answer: &Answer, piece: usize) -> Duration {
    answer.pace.first + answer.pace.gap.saturating_mul(u32::try_from(piece).unwrap_or(u32::MAX))
}

impl Running {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.over {
            return Poll::Ready(None);
        }
        let mut out = BytesMut::new();
        if !self.started {
            self.started = true;
            wire::start(&self.answer, &self.stamp, &mut out);
            return Poll::Ready(Some(out.freeze()));
        }
        let stop = match self.answer.ending {
            Ending::Whole => self.answer.pieces.len(),
            Ending::Cut(after) | Ending::Hang(after) => after.min(self.answer.pieces.len()),
        };
        while self.next < stop && out.len() < CHUNK {
            self.sleep.as_mut().reset(self.began + due(&self.answer, self.next));
            if self.sleep.as_mut().poll(cx).is_pending() {
                break;
            }
            if let Some(piece) = self.answer.pieces.get(self.next) {
                wire::piece(&self.answer, &self.stamp, piece, &mut out);
            }
            self.next += 1;
        }
        if self.next >= stop {
            match self.answer.ending {
                Ending::Whole => {
                    wire::end(&self.answer, &self.stamp, &mut out);
                    self.over = true;
                }
                Ending::Cut(_) => self.over = true,
                // Nobody wakes it again: whoever waits gives up.
                Ending::Hang(_) => {}
            }
        }
        match (out.is_empty(), self.over) {
            (false, _) => Poll::Ready(Some(out.freeze())),
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
        }
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut self.get_mut().0 {
            State::Once(body) => Poll::Ready(body.take()),
            State::Stream(running) => running.poll(cx),
        };
        next.map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
