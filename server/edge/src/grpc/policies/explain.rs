//! `ExplainRoute`: the plan of a real call, told instead of followed.

use std::sync::Arc;

use headworks_api::v1;
use headworks_core::{Fault, Reason, Skipped, Tenant, Work};
use headworks_engine::Timeouts;
use headworks_policy::{Planned, hold};

use crate::grpc::{
    Doors, convert,
    reach::{Reach, USAGE},
    records,
};

fn limits(timeouts: Timeouts) -> v1::Timeouts {
    let read = |limit| prost_types::Duration::try_from(limit).ok();
    v1::Timeouts { first_token: read(timeouts.first_token), between_tokens: read(timeouts.between_tokens), total: read(timeouts.total) }
}

fn left_out(skipped: &[Skipped]) -> impl Iterator<Item = v1::ExplainedTarget> + '_ {
    skipped.iter().map(|skipped| v1::ExplainedTarget {
        target: if skipped.target.provider.is_empty() { skipped.target.model.to_string() } else { skipped.target.to_string() },
        reason: records::reason(skipped.reason),
        message: skipped.message.clone(),
        ..v1::ExplainedTarget::default()
    })
}

impl Doors {
    /// What would be tried. The same code plans a call; here it is told instead of followed.
    pub(super) fn explain(&self, asked: v1::ExplainRouteRequest, caller: &Arc<Tenant>) -> Result<v1::ExplainRouteResponse, Fault> {
        let shared = &self.0.shared;
        let tenant = match asked.key_id.as_str() {
            "" => caller.clone(),
            id => self
                .0
                .keys
                .tenant(id)
                .filter(|_| *caller.id == *id || Reach::of(caller, &USAGE).key(&self.0.keys, id))
                .ok_or_else(|| Fault::new(Reason::NotFound, format!("no key \"{id}\"; KeyService.ListKeys lists them")))?,
        };
        let work = Work::from(convert::chat(asked.chat, true)?);
        let default = |most: Option<u32>| i32::try_from(most.unwrap_or(shared.config.max_attempts)).unwrap_or(i32::MAX);
        let plan = match shared.plan(&headworks_engine::request_id(), &work, &tenant, &shared.catalog.load()) {
            Ok(plan) => plan,
            Err(refusal) => {
                return Ok(v1::ExplainRouteResponse {
                    targets: left_out(&refusal.skipped).collect(),
                    policy: refusal.policy.as_deref().unwrap_or_default().to_owned(),
                    reason: records::reason(refusal.fault.reason),
                    message: refusal.fault.message,
                    attempt_budget: default(None),
                    ..v1::ExplainRouteResponse::default()
                });
            }
        };
        let mut place = 0;
        let mut explained = |planned: &Planned| {
            let hold = hold(&planned.target, &work).with_markup(tenant.markup);
            let mut told = v1::ExplainedTarget {
                target: planned.target.id.to_string(),
                message: planned.place.to_string(),
                hold_nano_usd: hold.price_known.then_some(hold.amount.0),
                timeouts: Some(limits(shared.timeouts(&planned.timeouts))),
                ..v1::ExplainedTarget::default()
            };
            // Held for a moment: whether it fits is known to the budget alone.
            match shared.budgets.reserve(&tenant, &hold, headworks_engine::unix_seconds()) {
                Ok(held) => {
                    drop(held);
                    place += 1;
                    told.place = place;
                }
                Err(fault) => {
                    told.reason = records::reason(Reason::BudgetWouldExceed);
                    told.message = fault.message;
                }
            }
            told
        };
        let (tried, dear): (Vec<_>, Vec<_>) = plan.targets.iter().map(&mut explained).partition(|told| told.place > 0);
        Ok(v1::ExplainRouteResponse {
            reason: if tried.is_empty() { records::reason(Reason::BudgetExceeded) } else { 0 },
            message: if tried.is_empty() { "no target fits the budget".to_owned() } else { String::new() },
            targets: tried.into_iter().chain(dear).chain(left_out(&plan.skipped)).collect(),
            policy: plan.policy.as_deref().unwrap_or_default().to_owned(),
            notes: plan.notes.iter().map(ToString::to_string).collect(),
            attempt_budget: default(plan.course.max_attempts),
            hedge: shared.hedge(&plan, &work).map(|hedge| v1::ExplainedHedge {
                delay: hedge.after.and_then(|after| prost_types::Duration::try_from(after).ok()),
                target: hedge.target.map(|target| target.id.to_string()).unwrap_or_default(),
                message: hedge.message,
            }),
        })
    }
}
