//! `KeyService`: what is left of budgets.

use headworks_api::v1;
use headworks_core::{BudgetWindow, Fault, NanoUsd, Payer, Reason, Tenant};
use tonic::{Request, Response, Status};

use super::{
    Doors,
    key_fields::shown_budget,
    keys::refuse,
    reach::{READ, Reach},
    records,
};

impl Doors {
    pub(super) fn budget(&self, request: &Request<v1::GetBudgetRequest>) -> Result<Response<v1::GetBudgetResponse>, Status> {
        let tenant = self.tenant(request)?;
        let asked = request.get_ref();
        let (keys, reach) = (&self.0.keys, Reach::of(&tenant, &READ));
        let missing = |kind: &str, id: &str| refuse(Fault::new(Reason::NotFound, format!("no {kind} \"{id}\" that this key may see")));
        let (payers, budget) = match (asked.key_id.as_str(), asked.group_id.as_str()) {
            ("", "") => return Err(refuse(Fault::invalid("key_id", "is missing; name a key, \"self\" or a group_id"))),
            (key, "") => {
                let id = if key == "self" { &*tenant.id } else { key };
                let found = keys.tenant(id).filter(|_| *tenant.id == *id || reach.key(keys, id)).ok_or_else(|| missing("key", id))?;
                let budget = keys.get(id).and_then(|(record, _)| {
                    let lifetime = record.budget_nano_usd.map(|limit_nano_usd| v1::Budget { limit_nano_usd, window: 4, ..v1::Budget::default() });
                    record.budget.clone().map(shown_budget).or(lifetime)
                });
                (found.payers.clone(), budget)
            }
            ("", group) => {
                let (record, _) = keys.group(group).filter(|_| reach.group(keys, group)).ok_or_else(|| missing("group", group))?;
                (keys.payers(group), record.budget.clone().map(shown_budget))
            }
            _ => return Err(refuse(Fault::invalid("group_id", "cannot be given together with key_id"))),
        };
        let own = payers.first().ok_or_else(|| missing("payer", &asked.key_id))?;
        Ok(Response::new(self.standing(own, budget, &payers)))
    }

    fn standing(&self, own: &Payer, budget: Option<v1::Budget>, payers: &[Payer]) -> v1::GetBudgetResponse {
        let now = headworks_engine::unix_seconds();
        let budgets = &self.0.shared.budgets;
        let window = own.budget.as_ref().map_or(BudgetWindow::Lifetime, |budget| budget.window);
        let span = budgets.tally(&own.id, now).span(window);
        let left = own.budget.as_ref().map_or(0, |budget| budget.limit.0.saturating_sub(span.taken().0));
        let all = Tenant { payers: payers.to_vec(), ..Tenant::default() };
        let time = |seconds: i64| records::timestamp(seconds.saturating_mul(1_000_000_000));
        v1::GetBudgetResponse {
            budget,
            spent_nano_usd: span.spent.0,
            held_nano_usd: span.held.0,
            remaining_nano_usd: left,
            window_start_time: time(span.start),
            window_end_time: window.end(span.start).and_then(time),
            available_nano_usd: budgets.left(&all, now).map(|NanoUsd(left)| left.max(0)),
        }
    }
}
