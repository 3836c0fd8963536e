//! A circuit breaker per target, and the cooldowns that providers ask for.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::future::BoxFuture;
use headworks_core::{Begun, Cause, Fault, ModelId, Reason};
use tower::{Layer, Service};

use crate::{
    health::{Gate, Standing},
    stage::Trial,
};

/// Makes [`Breaker`]s of one target.
#[derive(Clone)]
pub struct BreakerLayer {
    /// The target's standing.
    pub standing: Arc<Standing>,
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Breaker<S>;
    fn layer(&self, inner: S) -> Breaker<S> {
        Breaker { inner, standing: self.standing.clone() }
    }
}

/// Stops attempts while the target is known to fail, and learns from each outcome.
#[derive(Clone)]
pub struct Breaker<S> {
    inner: S,
    standing: Arc<Standing>,
}

/// Gives the probe's slot back on every way out, also when the attempt is dropped.
struct Probe(Arc<Standing>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.probe_over();
    }
}

impl<S> Service<Trial> for Breaker<S>
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
        let standing = self.standing.clone();
        let probe = match standing.gate() {
            Gate::Closed => None,
            Gate::Probe => Some(Probe(standing.clone())),
            Gate::Open(wait) => return Box::pin(std::future::ready(Err(open(&trial.attempt.target.id, wait)))),
        };
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let target = trial.attempt.target.id.clone();
            let result = inner.call(trial).await;
            match &result {
                Ok(_) => standing.succeeded(),
                Err(fault) => learn(&standing, fault, &target),
            }
            drop(probe);
            result
        })
    }
}

/// Why an attempt is not made.
pub fn open(target: &ModelId, wait: Duration) -> Fault {
    Fault::new(Reason::AllTargetsFailed, format!("{target} failed repeatedly and rests; try again later"))
        .because(Cause::Unavailable)
        .after(Some(wait.max(Duration::from_secs(1))))
        .at(target)
}

/// Learns from a failure before content, or after it.
pub fn learn(standing: &Standing, fault: &Fault, target: &ModelId) {
    if standing.learn(fault) {
        tracing::warn!(%target, reason = fault.reason.name(), message = %fault.message, "circuit opened");
    }
}
