//! What the gateway has to say of a call, the same at every door.

use headworks_core::Receipt;

use crate::spell::Object;

/// The provider counted, so there is something to tell.
pub(crate) fn counted(receipt: &Receipt) -> bool {
    receipt.attempts.last().is_some_and(|a| !a.estimated)
}

/// What the gateway has to say of the call.
pub(crate) fn facts(o: &mut Object<'_>, receipt: &Receipt) {
    o.str("request_id", &receipt.request_id);
    if let Some(last) = receipt.attempts.last() {
        o.str("provider", &last.target.provider);
        o.str("model", &last.target.to_string());
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
                    o.str("outcome", if attempt.reason.is_some() { "failed" } else { "success" });
                    o.opt_str("reason", attempt.reason.map(headworks_core::Reason::name));
                    o.val("status", attempt.status);
                });
            }
        });
    }
}
