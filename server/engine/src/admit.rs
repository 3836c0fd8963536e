//! Lets a call in: who pays, may they, and until when.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_core::future::BoxFuture;
use headworks_core::{Call, Fault, Inbound, Reason, Reply, Role};
use tower::{Layer, Service};

use crate::{Shared, clock};

/// Makes [`Admit`]s.
#[derive(Clone)]
pub struct AdmitLayer {
    /// Keys and catalogue.
    pub shared: Arc<Shared>,
}

impl<S> Layer<S> for AdmitLayer {
    type Service = Admit<S>;
    fn layer(&self, inner: S) -> Admit<S> {
        Admit { inner, shared: self.shared.clone() }
    }
}

/// Turns an [`Inbound`] into a [`Call`].
#[derive(Clone)]
pub struct Admit<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Inbound> for Admit<S>
where
    S: Service<Call, Response = Reply, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Reply;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Reply, Fault>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, inbound: Inbound) -> Self::Future {
        match admit(&self.shared, inbound) {
            Ok(call) => Box::pin(self.inner.call(call)),
            Err(fault) => {
                self.shared.metrics.call_over(None, None, Some(fault.reason));
                Box::pin(std::future::ready(Err(fault)))
            }
        }
    }
}

fn admit(shared: &Shared, inbound: Inbound) -> Result<Call, Fault> {
    let tenant = shared.keys.authenticate(&inbound.credential)?;
    if !tenant.roles.iter().any(|role| matches!(role, Role::Admin | Role::Caller)) {
        return Err(Fault::new(Reason::PermissionDenied, "this key may not call models; it lacks the role CALLER"));
    }
    if shared.draining.load(std::sync::atomic::Ordering::Relaxed) {
        let fault = Fault::new(Reason::Overloaded, "the gateway is shutting down; try another node or try again shortly");
        return Err(fault.after(Some(Duration::from_secs(1))));
    }
    let mut work = inbound.work;
    if tenant.auto_cache
        && let Some(chat) = work.chat_mut()
    {
        chat.auto_cache.get_or_insert(true);
    }
    let asked = work.routing().timeout.and_then(|limit| Instant::now().checked_add(limit));
    Ok(Call {
        id: inbound.id,
        tenant,
        work,
        deadline: match (inbound.deadline, asked) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        },
        arrived_unix_nanos: clock::unix_nanos(),
        origin: inbound.origin,
        catalog: shared.catalog.load_full(),
        traceparent: inbound.traceparent,
        memo: inbound.memo,
    })
}
