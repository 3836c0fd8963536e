//! The way of a call, in order: one reason a line.

use std::sync::Arc;

use dashmap::DashMap;
use headworks_core::{Attempt, Begun, Fault, Inbound, ModelId, Reply, Target};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use crate::{
    Shared,
    admit::AdmitLayer,
    breaker::BreakerLayer,
    failover::{Failover, Stack},
    health::shared_id,
    limit::LimitLayer,
    meter::MeterLayer,
    metrics::TargetMetrics,
    observe::ObserveLayer,
    once::OnceLayer,
    route::RouteLayer,
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
            .layer(OnceLayer { shared: shared.clone() }) // a repeated request id never reaches a target
            .layer(RouteLayer { shared: shared.clone() }) // from here on we know who could serve
            .service(Failover { shared: shared.clone(), stacks }),
    )
}

/// The stacks of the targets: built on first use and kept.
pub struct Stacks {
    shared: Arc<Shared>,
    leaf: Leaf,
    stacks: DashMap<ModelId, (Stack, Arc<TargetMetrics>)>,
}

impl Stacks {
    /// The stack of a target, and its counters.
    pub fn of(&self, target: &Target) -> (Stack, Arc<TargetMetrics>) {
        let id = shared_id(target);
        if let Some(found) = self.stacks.get(&id) {
            return found.clone();
        }
        let built = self.build(target, &id);
        self.stacks.entry(id).or_insert(built).clone()
    }

    fn build(&self, target: &Target, id: &ModelId) -> (Stack, Arc<TargetMetrics>) {
        let standing = self.shared.board.of(target);
        let metrics = self.shared.metrics.target(id);
        let stack = ServiceBuilder::new()
            .layer(MeterLayer { shared: self.shared.clone(), metrics: metrics.clone() }) // money first: no attempt without a hold
            .layer(LimitLayer::new(self.shared.config.max_concurrent_per_target)) // a full target must not cost a probe
            .layer(BreakerLayer { standing: standing.clone() }) // sees timeouts as failures, so outside them
            .layer(ObserveLayer { standing }) // times what the upstream alone took
            .layer(TimedLayer) // and the limits run from the moment the request leaves
            .service(self.leaf.clone());
        (BoxCloneSyncService::new(stack), metrics)
    }
}
