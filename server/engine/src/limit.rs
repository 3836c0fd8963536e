//! Bounds the attempts under way at one target.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::{Stream, future::BoxFuture};
use headworks_core::{Batch, Begun, Cause, EventStream, Fault, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

use crate::stage::Trial;

/// Makes [`Limit`]s that share one semaphore.
#[derive(Clone)]
pub struct LimitLayer {
    permits: Arc<Semaphore>,
}

impl LimitLayer {
    /// At most `most` attempts at a time.
    pub fn new(most: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))) }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;
    fn layer(&self, inner: S) -> Limit<S> {
        Limit { inner, permits: self.permits.clone() }
    }
}

/// Refuses an attempt that does not fit, so that it can go elsewhere at once.
#[derive(Clone)]
pub struct Limit<S> {
    inner: S,
    permits: Arc<Semaphore>,
}

impl<S> Service<Trial> for Limit<S>
where
    S: Service<Trial, Response = Begun, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Begun;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Begun, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, trial: Trial) -> Self::Future {
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            let fault =
                Fault::new(Reason::Overloaded, format!("{} has as many calls under way as the gateway allows; try again shortly", trial.attempt.target.id))
                    .because(Cause::Unavailable)
                    .at(&trial.attempt.target.id);
            return Box::pin(std::future::ready(Err(fault)));
        };
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let mut begun = inner.call(trial).await?;
            begun.events = Box::pin(Permitted { events: begun.events, _permit: permit });
            Ok(begun)
        })
    }
}

struct Permitted {
    events: EventStream,
    _permit: OwnedSemaphorePermit,
}

impl Stream for Permitted {
    type Item = Result<Batch, Fault>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(cx)
    }
}
