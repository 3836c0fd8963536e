//! What the gateway has to say of a call, the same at every door.

use headworks_core::{AttemptReport, Outcome, Receipt};

use crate::spell::Object;

/// The provider counted, so there is something to tell.
pub(crate) fn counted(receipt: &Receipt) -> bool {
    receipt.cached.as_ref().map(|cached| cached.estimated).or(receipt.attempts.last().map(|last| last.estimated)) == Some(false)
}

/// How an attempt ended, in a word. One that lost a race to another did not fail.
fn outcome(attempt: &AttemptReport) -> &'static str {
    match (attempt.outcome, attempt.reason) {
        (Outcome::Cancelled, _) => "cancelled",
        (_, Some(_)) => "failed",
        (_, None) => "success",
    }
}

/// What the gateway has to say of the call.
pub(crate) fn facts(o: &mut Object<'_>, receipt: &Receipt) {
    o.str("request_id", &receipt.request_id);
    if let Some(target) = receipt.cached.as_ref().map(|cached| &cached.target).or(receipt.attempts.last().map(|last| &last.target)) {
        o.str("provider", &target.provider);
        o.str("model", &target.to_string());
    }
    if let Some(cached) = &receipt.cached {
        o.val("cached", true);
        o.val("cached_age_s", cached.age.as_secs());
    }
    o.opt_str("policy", receipt.policy.as_deref());
    o.val("attempts", receipt.attempts.len());
    o.val("cost_nano_usd", receipt.cost.0);
    o.val("cost_known", receipt.cost_known);
    if receipt.saved.0 != 0 {
        o.val("saved_nano_usd", receipt.saved.0);
    }
    if receipt.estimated {
        o.val("estimated", true);
    }
    if !receipt.notes.is_empty() {
        o.val("notes", &receipt.notes);
    }
    if receipt.attempts.len() > 1 {
        o.arr("route", |a| {
            for attempt in &receipt.attempts {
                a.obj(|o| {
                    o.str("model", &attempt.target.to_string());
                    o.str("outcome", outcome(attempt));
                    o.opt_str("reason", attempt.reason.map(headworks_core::Reason::name));
                    o.val("status", attempt.status);
                    o.val("latency_ms", attempt.timings.total.as_millis());
                    if let Some(first) = attempt.timings.first_token {
                        o.val("first_token_ms", first.as_millis());
                    }
                    if let Some(cost) = attempt.cost {
                        o.val("cost_nano_usd", cost.0);
                    }
                    if attempt.hedge {
                        o.val("hedge", true);
                    }
                });
            }
        });
    }
}
