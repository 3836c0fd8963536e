//! Decides which targets are tried, in which order, and opens the call's account.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::future::BoxFuture;
use headworks_core::{Call, Catalog, Fault, Planned, Reply, Tenant, Work, WorkKind};
use headworks_policy::{self as policy, Ask, Limits, Pace, Plan, Refusal, World};
use tower::{Layer, Service};

use crate::{
    Shared, Timeouts,
    book::Book,
    clock,
    meter::input_tokens,
    rate::{Need, Scope},
    stage::Booked,
};

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
            Err(refusal) => {
                self.shared.metrics.call_over(None, refusal.policy.as_deref(), Some(refusal.fault.reason));
                Box::pin(std::future::ready(Err(refusal.fault)))
            }
        }
    }
}

impl Shared {
    /// Plans a call as it would be tried now. Calls nobody. The id is where its dice come from.
    pub fn plan(&self, id: &str, work: &Work, tenant: &Tenant, catalog: &Catalog) -> Result<Plan, Box<Refusal>> {
        policy::plan(
            &Ask { work, tenant, size: None },
            &World {
                catalog,
                policies: &|name| self.policies.policy(name),
                rest: &|target| self.board.seen(target).map_or(Duration::ZERO, |standing| standing.rest()),
                pace: &|target, class| self.board.seen(target).map_or_else(Pace::default, |standing| standing.pace(class)),
                home: &|prefixes| self.homes.find(prefixes),
                losses: &self.losses,
                dice: policy::dice(id),
                unix_seconds: clock::unix_seconds(),
            },
        )
    }

    /// The limits of an attempt under a plan's.
    pub fn timeouts(&self, limits: &Limits) -> Timeouts {
        let standard = self.config.timeouts();
        Timeouts {
            first_token: limits.first_token.unwrap_or(standard.first_token),
            between_tokens: limits.between_tokens.unwrap_or(standard.between_tokens),
            total: limits.total.unwrap_or(standard.total),
        }
    }
}

/// What a call may use, for the limits of its payers. The output it states is cut to what the model can write.
fn need(call: &Call) -> Need {
    let chat = call.work.chat();
    let stated = chat.and_then(|chat| chat.sampling.max_tokens);
    let most = || call.catalog.target(call.work.model())?.model.as_ref()?.max_output_tokens;
    let output = match (call.work.kind(), stated) {
        (WorkKind::Chat, Some(stated)) => Some(most().map_or(stated, |most| stated.min(most)).max(0)),
        (WorkKind::Chat, None) => None,
        (WorkKind::Embed | WorkKind::CountTokens, _) => Some(0),
    };
    Need { input: input_tokens(&call.work), output }
}

fn route(shared: &Arc<Shared>, call: Call) -> Result<Booked, Box<Refusal>> {
    let limited = |fault| Box::new(Refusal { fault, skipped: Vec::new(), policy: None });
    let permit = shared.rates.take(&call.tenant, Scope::Call, || need(&call), clock::steady_millis()).map_err(limited)?;
    let plan = shared.plan(&call.id, &call.work, &call.tenant, &call.catalog)?;
    let max_attempts = plan.course.max_attempts.unwrap_or(shared.config.max_attempts);
    let timeouts = plan.targets.iter().map(|planned| shared.timeouts(&planned.timeouts)).collect();
    let planned = Planned {
        targets: plan.targets.into_iter().map(|planned| planned.target).collect(),
        skipped: plan.skipped,
        policy: plan.policy,
        notes: plan.notes,
        warnings: plan.warnings,
        call,
    };
    let book = Book::open(shared.clone(), &planned, permit);
    Ok(Booked { book, planned, max_attempts, timeouts, course: plan.course, prefixes: plan.prefixes })
}
