//! Deadlines and retries. Knows nothing of the schema.

use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    time::Duration,
};

use futures_core::Stream;
use futures_util::stream::try_unfold;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{
    Code, Request, Response, Status, Streaming,
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
    transport::Channel,
};

use crate::Error;

/// The largest message sent or taken, bytes.
pub(crate) const MESSAGE_LIMIT: usize = 64 << 20;

/// Answers one after the other; an error is the last.
pub type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>;

const RETRIED: [&str; 4] = ["RATE_LIMITED", "OVERLOADED", "ALL_TARGETS_FAILED", "INTERNAL"];

/// A connection with the client's ways. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Core {
    pub(crate) channel: Channel,
    pub(crate) timeout: Duration,
    pub(crate) max_retries: u32,
    pub(crate) metadata: Vec<(AsciiMetadataKey, AsciiMetadataValue)>,
}

/// Counts the tries of one call and waits for the next.
#[derive(Debug)]
pub(crate) struct Tries {
    made: u32,
    limit: u32,
    pub(crate) end: Instant,
}

impl Tries {
    /// There was progress: the count begins anew.
    pub(crate) fn progress(&mut self) {
        self.made = 0;
    }

    /// Waits for the next try; gives the error back when there is none.
    pub(crate) async fn wait(&mut self, error: Error, idempotent: bool) -> Result<(), Error> {
        let limit = if error.reason() == "INTERNAL" { self.limit.min(1) } else { self.limit };
        let again = (idempotent && error.lost()) || (error.from_gateway() && RETRIED.contains(&error.reason()) && error.retryable());
        if error.no_retry() || !again || self.made >= limit {
            return Err(error);
        }
        self.made += 1;
        let backoff = Duration::from_millis(200).saturating_mul(1 << (self.made - 1).min(5)).min(Duration::from_secs(8));
        let jitter = RandomState::new().hash_one(self.made) % 512;
        let wait = error.retry_after().unwrap_or(backoff * (768 + u32::try_from(jitter).unwrap_or(0)) / 1024);
        if Instant::now() + wait >= self.end {
            return Err(error);
        }
        sleep(wait).await;
        Ok(())
    }
}

/// The deadline passed on this side.
pub(crate) fn late() -> Error {
    Error::new(Code::DeadlineExceeded, "the deadline passed")
}

impl Core {
    pub(crate) fn tries(&self) -> Tries {
        Tries { made: 0, limit: self.max_retries, end: Instant::now() + self.timeout }
    }

    pub(crate) fn request<Q>(&self, message: Q, end: Instant) -> Request<Q> {
        let mut request = Request::new(message);
        // The gateway's own word about a deadline says more than ours: it gets a head start.
        request.set_timeout(end.saturating_duration_since(Instant::now()));
        for (name, value) in &self.metadata {
            request.metadata_mut().insert(name, value.clone());
        }
        request
    }

    pub(crate) async fn unary<Q, R, F>(&self, message: Q, idempotent: bool, call: impl Fn(Request<Q>) -> F) -> Result<R, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let mut tries = self.tries();
        loop {
            let error = match timeout_at(tries.end, call(self.request(message.clone(), tries.end))).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => on_time(status, tries.end),
                Err(_) => late(),
            };
            tries.wait(error, idempotent).await?;
        }
    }

    pub(crate) fn stream<Q, R, F>(&self, message: Q, idempotent: bool, call: impl Fn(Request<Q>) -> F + Send + Sync + 'static) -> Answers<R>
    where
        Q: Clone + Send + Sync + 'static,
        R: Send + 'static,
        F: Future<Output = Result<Response<Streaming<R>>, Status>> + Send + 'static,
    {
        let (core, tries) = (self.clone(), self.tries());
        let call = std::sync::Arc::new(call);
        Box::pin(try_unfold((tries, None::<Streaming<R>>, false), move |(mut tries, mut open, mut begun)| {
            let (core, message, call) = (core.clone(), message.clone(), call.clone());
            async move {
                loop {
                    let error = match next(&core, &mut open, &message, tries.end, call.as_ref()).await {
                        Ok(None) => return Ok(None),
                        Ok(Some(answer)) => {
                            begun = true;
                            return Ok(Some((answer, (tries, open, begun))));
                        }
                        Err(error) => error,
                    };
                    open = None;
                    if begun {
                        return Err(error);
                    }
                    tries.wait(error, idempotent).await?;
                }
            }
        }))
    }
}

/// The next answer of a stream that is opened first if it is not.
pub(crate) async fn next<Q: Clone, R, F>(
    core: &Core,
    open: &mut Option<Streaming<R>>,
    message: &Q,
    end: Instant,
    call: impl Fn(Request<Q>) -> F,
) -> Result<Option<R>, Error>
where
    F: Future<Output = Result<Response<Streaming<R>>, Status>>,
{
    let waited = timeout_at(end, async {
        let stream = match open {
            Some(stream) => stream,
            None => open.insert(call(core.request(message.clone(), end)).await?.into_inner()),
        };
        stream.message().await
    });
    waited.await.map_err(|_| late())?.map_err(|status| on_time(status, end))
}

/// tonic says CANCELLED when its own clock ran out.
fn on_time(status: Status, end: Instant) -> Error {
    if status.code() == Code::Cancelled && Instant::now() >= end { late() } else { Error::from(status) }
}

/// All items of all pages.
pub(crate) fn pages<Q, P, T, F>(
    request: Q,
    fetch: impl Fn(Q) -> F + Send + Sync + 'static,
    split: impl Fn(P) -> (Vec<T>, String) + Send + Sync + 'static,
    turn: impl Fn(&mut Q, String) + Send + Sync + 'static,
) -> Answers<T>
where
    Q: Clone + Send + 'static,
    P: Send + 'static,
    T: Send + 'static,
    F: Future<Output = Result<P, Error>> + Send + 'static,
{
    let steps = std::sync::Arc::new((fetch, split, turn));
    Box::pin(try_unfold((Some(request), Vec::new().into_iter()), move |(mut request, mut items)| {
        let steps = steps.clone();
        async move {
            loop {
                if let Some(item) = items.next() {
                    return Ok(Some((item, (request, items))));
                }
                let Some(mut ask) = request.take() else { return Ok(None) };
                let (fetched, token) = (steps.1)((steps.0)(ask.clone()).await?);
                items = fetched.into_iter();
                if !token.is_empty() {
                    (steps.2)(&mut ask, token);
                    request = Some(ask);
                }
            }
        }
    }))
}
