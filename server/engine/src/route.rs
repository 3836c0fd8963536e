//! Decides which targets are tried, in which order, and opens the call's account.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::future::BoxFuture;
use headworks_core::{Call, Fault, ModelId, Planned, Reply};
use headworks_policy::{self as policy, Health};
use tower::{Layer, Service};

use crate::{Shared, Timeouts, book::Book, stage::Booked};

/// Makes [`Route`]s.
#[derive(Clone)]
pub struct RouteLayer {
    /// Policies, health.
    pub shared: Arc<Shared>,
}

impl<S> Layer<S> for RouteLayer {
    type Service = Route<S>;
    fn layer(&self, inner: S) -> Route<S> {
        Route { inner, shared: self.shared.clone() }
    }
}

/// Turns a [`Call`] into a [`Booked`] one.
#[derive(Clone)]
pub struct Route<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Call> for Route<S>
where
    S: Service<Booked, Response = Reply, Error = Fault> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Reply, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        match route(&self.shared, call) {
            Ok(booked) => Box::pin(self.inner.call(booked)),
            Err(fault) => {
                self.shared.metrics.call_over(None, None, Some(fault.reason));
                Box::pin(std::future::ready(Err(fault)))
            }
        }
    }
}

fn route(shared: &Arc<Shared>, call: Call) -> Result<Booked, Fault> {
    let health = |id: &ModelId| shared.board.seen(id).map_or_else(Health::default, |standing| standing.health());
    let named = |name: &str| shared.policies.policy(name);
    let plan = policy::plan(&call.work, &call.tenant, &call.catalog, &named, &health)?;
    let standard = shared.config.timeouts();
    let timeouts = plan
        .targets
        .iter()
        .map(|planned| {
            let limit = |chosen: Option<Duration>, otherwise| chosen.unwrap_or(otherwise);
            Timeouts {
                first_token: limit(planned.timeouts.first_token, standard.first_token),
                between_tokens: limit(planned.timeouts.between_tokens, standard.between_tokens),
                total: limit(planned.timeouts.total, standard.total),
            }
        })
        .collect();
    let planned = Planned {
        targets: plan.targets.into_iter().map(|planned| planned.target).collect(),
        skipped: plan.skipped,
        policy: plan.policy,
        notes: plan.notes,
        call,
    };
    let max_attempts = plan.max_attempts.unwrap_or(shared.config.max_attempts);
    Ok(Booked { book: Book::open(shared.clone(), &planned), planned, max_attempts, timeouts })
}
