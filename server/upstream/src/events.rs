use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use headworks_core::{Batch, Fault, Target};
use headworks_providers::{Decoder, fault};
use http_body::Body;

use crate::{auth::Shown, pool::Slot};

/// How long the rest of a finished answer's body may take before its connection is given up.
const DRAIN: Duration = Duration::from_secs(1);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The events of one answer, read from its body as it comes. Dropping it before the end cancels the upstream.
pub(crate) struct Events<B: Body<Data = Bytes> + Send + Unpin + 'static> {
    state: State<B>,
    decoder: Box<dyn Decoder>,
    /// Bytes the body may still have.
    left: u64,
    limit: u64,
    target: Arc<Target>,
    shown: Shown,
    slot: Option<Slot>,
}

enum State<B> {
    /// More may come.
    Open(B),
    /// The answer is complete; what is left of the body is of no interest, but its connection is.
    Tail(B),
    /// Fails once the events before it are out.
    Failed(Fault),
    Over,
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Events<B> {
    pub(crate) fn new(body: B, decoder: Box<dyn Decoder>, limit: u64, target: Arc<Target>, shown: Shown, slot: Option<Slot>) -> Self {
        Self { state: State::Open(body), decoder, left: limit, limit, target, shown, slot }
    }

    fn blame(&self, fault: Fault) -> Fault {
        self.shown.redact(fault.at(&self.target.id))
    }

    fn read(&mut self, chunk: &Bytes, batch: &mut Batch) -> Result<(), Fault> {
        let Some(left) = self.left.checked_sub(chunk.len() as u64) else {
            return Err(fault::garbled(
                &self.target,
                &format!("the answer is larger than {} bytes; raise upstream.max_body_bytes, or ask for a stream", self.limit),
            ));
        };
        self.left = left;
        self.decoder.push(chunk, batch)
    }
}

impl<B> Stream for Events<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Item = Result<Batch, Fault>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let State::Open(body) = &mut this.state else {
                return Poll::Ready(match std::mem::replace(&mut this.state, State::Over) {
                    State::Failed(fault) => Some(Err(fault)),
                    State::Tail(body) => {
                        drain(body, this.slot.take(), cx);
                        None
                    }
                    State::Open(_) | State::Over => None,
                });
            };
            let frame = ready!(Pin::new(body).poll_frame(cx));
            let mut batch = Batch::default();
            let result = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) if !chunk.is_empty() => this.read(&chunk, &mut batch),
                    _ => continue,
                },
                Some(Err(error)) if !this.decoder.is_told() => Err(cut(&this.target, error.into().as_ref())),
                Some(Err(_)) | None => {
                    let result = this.decoder.end(&mut batch);
                    this.state = State::Over;
                    this.slot = None;
                    result
                }
            };
            if let Err(fault) = result {
                // What came before the fault is real and goes first.
                this.state = State::Failed(this.blame(fault));
                this.slot = None;
            } else if this.decoder.is_done() {
                this.state = match std::mem::replace(&mut this.state, State::Over) {
                    State::Open(body) => State::Tail(body),
                    other => other,
                };
            }
            if !batch.events.is_empty() || !batch.frames.is_empty() {
                return Poll::Ready(Some(Ok(batch)));
            }
        }
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Drop for Events<B> {
    fn drop(&mut self) {
        if let State::Tail(body) = std::mem::replace(&mut self.state, State::Over) {
            drain(body, self.slot.take(), &mut Context::from_waker(Waker::noop()));
        }
    }
}

/// Reads a complete answer's body to its end, so that the connection can be used again. Keeps nobody waiting.
fn drain<B: Body<Data = Bytes> + Send + Unpin + 'static>(mut body: B, slot: Option<Slot>, cx: &mut Context<'_>) {
    match Pin::new(&mut body).poll_frame(cx) {
        Poll::Ready(None | Some(Err(_))) => return,
        Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
    }
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            let _slot = slot;
            let rest = async { while let Some(Ok(_)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {} };
            let _ = tokio::time::timeout(DRAIN, rest).await;
        });
    }
}

fn cut(target: &Target, error: &(dyn std::error::Error + 'static)) -> Fault {
    fault::broken(target, &format!("the connection broke in the middle of the answer: {}", root(error)))
}

/// The innermost cause: the layers above it only say that something failed.
pub(crate) fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
