//! Tells the log of every attempt.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use futures_core::future::BoxFuture;
use headworks_core::{Begun, Fault};
use tower::{Layer, Service};

use crate::stage::Trial;

/// Makes [`Observe`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObserveLayer;

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;
    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner }
    }
}

/// Logs how an attempt began, with the time to its first content.
#[derive(Clone)]
pub struct Observe<S> {
    inner: S,
}

impl<S> Service<Trial> for Observe<S>
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
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let (started, request) = (Instant::now(), trial.attempt.clone());
            let result = inner.call(trial).await;
            let (took, target) = (started.elapsed(), &request.target.id);
            match &result {
                Ok(begun) => {
                    tracing::debug!(request_id = %request.call.id, %target, ordinal = request.ordinal, status = begun.status, micros = took.as_micros() as u64, "attempt answers");
                }
                Err(fault) => {
                    let status = fault.upstream.as_ref().map_or(0, |u| u.status);
                    tracing::info!(request_id = %request.call.id, %target, ordinal = request.ordinal, status, reason = fault.reason.name(), cause = ?fault.cause, message = %fault.message, "attempt failed");
                }
            }
            result
        })
    }
}
