//! Errors in Anthropic's shape.

use bytes::Bytes;
use headworks_core::{Fault, Reason};

use crate::{ErrorFace, spell::object};

/// Anthropic's word for an error (Anthropic, "Errors").
fn kind(fault: &Fault, face: &ErrorFace) -> &'static str {
    match fault.reason {
        Reason::Overloaded => return "overloaded_error",
        Reason::BudgetExceeded | Reason::BudgetWouldExceed | Reason::CostUnbounded | Reason::PriceUnknown => return "billing_error",
        _ => {}
    }
    match status(fault, face) {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The status, which is the table's but for one: 529 where a provider said it, and nothing else could serve.
pub(super) fn status(fault: &Fault, face: &ErrorFace) -> u16 {
    let said = fault.upstream.as_ref().is_some_and(|u| u.status == 529 || u.kind.as_deref() == Some("overloaded_error"));
    if said && fault.reason == Reason::AllTargetsFailed && fault.attempts <= 1 { 529 } else { face.status }
}

/// One error.
pub(super) fn body(fault: &Fault, face: &ErrorFace) -> Bytes {
    let mut out = Vec::with_capacity(256);
    object(&mut out, |o| {
        o.str("type", "error");
        o.obj("error", |e| {
            e.str("type", kind(fault, face));
            e.str("message", &fault.message);
            e.obj("headworks", |h| {
                h.str("reason", fault.reason.name());
                h.val("retryable", face.retryable);
                h.val("attempts", fault.attempts);
                h.opt_str("field", fault.field());
            });
        });
        o.opt_str("request_id", face.request_id.as_deref());
    });
    out.into()
}
