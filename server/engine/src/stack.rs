//! The way of a call, in order: one reason a line.

use std::sync::Arc;

use dashmap::DashMap;
use headworks_core::{Attempt, Begun, Fault, Inbound, ModelId, Reply, Target};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use crate::{
    Shared,
    admit::AdmitLayer,
    breaker::BreakerLayer,
    cached::CachedLayer,
    failover::{Failover, Stack},
    health::{Standing, shared_id},
    limit::LimitLayer,
    meter::MeterLayer,
    observe::ObserveLayer,
    once::OnceLayer,
    route::RouteLayer,
    streams::ResumableLayer,
    timed::TimedLayer,
};

/// The way of a call, from a door's request to the events of its answer.
pub type Gateway = BoxCloneSyncService<Inbound, Reply, Fault>;

/// Whatever speaks to upstreams.
pub type Leaf = BoxCloneSyncService<Attempt, Begun, Fault>;

/// Puts the layers together.
pub fn gateway(shared: &Arc<Shared>, leaf: Leaf) -> Gateway {
    let stacks = Arc::new(Stacks { shared: shared.clone(), leaf, stacks: DashMap::new() });
    BoxCloneSyncService::new(
        ServiceBuilder::new()
            .layer(AdmitLayer { shared: shared.clone() }) // nobody unknown gets further
            .layer(ResumableLayer { shared: shared.clone() }) // who may come back reads from a tape
            .layer(OnceLayer { shared: shared.clone() }) // a repeated request id never reaches a target
            .layer(RouteLayer { shared: shared.clone() }) // from here on we know who could serve
            .layer(CachedLayer { shared: shared.clone() }) // what was answered before, and may be again
            .service(Failover { shared: shared.clone(), stacks }),
    )
}

/// The stacks of the targets: built on first use and kept.
pub struct Stacks {
    shared: Arc<Shared>,
    leaf: Leaf,
    stacks: DashMap<ModelId, (Stack, Arc<Standing>)>,
}

impl Stacks {
    /// The stack of a target, and its standing.
    pub fn of(&self, target: &Target) -> (Stack, Arc<Standing>) {
        if let Some(found) = self.stacks.get(&target.id) {
            return found.clone();
        }
        // Names that clients invent share one beyond what the board has room for.
        let (id, standing) = self.shared.board.of(target);
        if let Some(found) = self.stacks.get(&id) {
            return found.clone();
        }
        let built = self.build(target, standing);
        self.stacks.entry(id).or_insert(built).clone()
    }

    fn build(&self, target: &Target, standing: Arc<Standing>) -> (Stack, Arc<Standing>) {
        let metrics = self.shared.metrics.target(&shared_id(target));
        let stack = ServiceBuilder::new()
            .layer(MeterLayer { shared: self.shared.clone(), metrics, standing: standing.clone() }) // money first: no attempt without a hold
            .layer(LimitLayer::new(self.shared.config.max_concurrent_per_target)) // a full target must not cost a probe
            .layer(BreakerLayer { standing: standing.clone() }) // sees timeouts as failures, so outside them
            .layer(ObserveLayer) // logs what the upstream alone took
            .layer(TimedLayer) // and the limits run from the moment the request leaves
            .service(self.leaf.clone());
        (BoxCloneSyncService::new(stack), standing)
    }
}
