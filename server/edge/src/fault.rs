//! The one table of how a reason looks outside. No wildcard arm: a new reason must say what it is.

use headworks_core::{Cause, Fault, Reason};
use headworks_providers::ErrorFace;
use tonic::Code;

/// How a reason looks at every door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face {
    /// gRPC status code.
    pub grpc: Code,
    /// HTTP status.
    pub http: u16,
    /// OpenAI's `error.type`.
    pub kind: &'static str,
    /// OpenAI's `error.code`.
    pub code: Option<&'static str>,
    /// Whether the same call may succeed if made again.
    pub retryable: bool,
}

const fn row(grpc: Code, http: u16, kind: &'static str, code: Option<&'static str>, retryable: bool) -> Face {
    Face { grpc, http, kind, code, retryable }
}

const REQUEST: &str = "invalid_request_error";
const PERMISSION: &str = "permission_error";
const API: &str = "api_error";

/// The table.
pub const fn face(reason: Reason) -> Face {
    match reason {
        Reason::UnauthenticatedKey | Reason::KeyExpired | Reason::KeyRevoked => row(Code::Unauthenticated, 401, REQUEST, Some("invalid_api_key"), false),
        Reason::PermissionDenied => row(Code::PermissionDenied, 403, PERMISSION, Some("permission_denied"), false),
        Reason::ModelForbidden => row(Code::PermissionDenied, 403, PERMISSION, Some("model_forbidden"), false),
        Reason::RegionForbidden => row(Code::PermissionDenied, 403, PERMISSION, Some("region_forbidden"), false),
        Reason::InvalidRequest => row(Code::InvalidArgument, 400, REQUEST, None, false),
        Reason::PayloadTooLarge => row(Code::ResourceExhausted, 413, REQUEST, Some("payload_too_large"), false),
        Reason::ModelNotFound => row(Code::NotFound, 404, REQUEST, Some("model_not_found"), false),
        Reason::NotFound => row(Code::NotFound, 404, REQUEST, Some("not_found"), false),
        Reason::ContextTooLong => row(Code::InvalidArgument, 400, REQUEST, Some("context_length_exceeded"), false),
        Reason::CapabilityMissing => row(Code::FailedPrecondition, 400, REQUEST, Some("unsupported"), false),
        Reason::RateLimited => row(Code::ResourceExhausted, 429, "rate_limit_error", Some("rate_limit_exceeded"), true),
        Reason::BudgetExceeded | Reason::BudgetWouldExceed | Reason::CostUnbounded | Reason::PriceUnknown => {
            row(Code::ResourceExhausted, 429, "insufficient_quota", Some("budget_exceeded"), false)
        }
        Reason::GuardrailBlocked => row(Code::FailedPrecondition, 400, REQUEST, Some("content_filter"), false),
        Reason::UpstreamCredentials => row(Code::Unavailable, 502, API, Some("upstream_credentials"), false),
        Reason::UpstreamRejected => row(Code::InvalidArgument, 400, REQUEST, None, false),
        Reason::AllTargetsFailed => row(Code::Unavailable, 503, API, Some("all_targets_failed"), true),
        Reason::Timeout => row(Code::DeadlineExceeded, 504, API, Some("timeout"), true),
        Reason::StreamBroken => row(Code::Unavailable, 502, API, Some("stream_broken"), true),
        Reason::StreamGone => row(Code::NotFound, 404, REQUEST, Some("stream_gone"), false),
        Reason::NotImplemented => row(Code::Unimplemented, 501, API, Some("not_implemented"), false),
        Reason::Conflict => row(Code::Aborted, 409, REQUEST, Some("conflict"), false),
        Reason::AlreadyExists => row(Code::AlreadyExists, 409, REQUEST, Some("already_exists"), false),
        Reason::Overloaded => row(Code::Unavailable, 503, API, Some("overloaded"), true),
        Reason::Internal => row(Code::Internal, 500, API, Some("internal"), true),
        // 499 is what proxies write when the client closed the request first.
        Reason::Cancelled => row(Code::Cancelled, 499, API, Some("cancelled"), false),
    }
}

/// The face of one fault: what the provider said shows through where it refused the request itself.
pub fn of(fault: &Fault) -> Face {
    let mut face = face(fault.reason);
    match fault.reason {
        Reason::UpstreamRejected => {
            if let Some(status @ 400..=499) = fault.upstream.as_ref().map(|u| u.status) {
                face.http = status;
                face.grpc = grpc_of(status);
            }
        }
        Reason::AllTargetsFailed if fault.cause == Cause::RateLimited => {
            (face.http, face.grpc) = (429, Code::ResourceExhausted);
            (face.kind, face.code) = ("rate_limit_error", Some("rate_limit_exceeded"));
        }
        _ => {}
    }
    face
}

/// The canonical gRPC code of an HTTP status that a provider answered with.
const fn grpc_of(status: u16) -> Code {
    match status {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 => Code::Aborted,
        413 | 429 => Code::ResourceExhausted,
        _ => Code::InvalidArgument,
    }
}

/// The same for the codecs that write REST errors.
pub fn rest(fault: &Fault, request_id: Option<std::sync::Arc<str>>) -> ErrorFace {
    let face = of(fault);
    ErrorFace { status: face.http, kind: face.kind, code: face.code, retryable: face.retryable, request_id }
}

/// What clients read: the message, and the provider's own words where the request itself was refused.
pub fn message(fault: &Fault) -> String {
    match (&fault.upstream, fault.reason) {
        (Some(upstream), Reason::UpstreamRejected | Reason::ContextTooLong) if !upstream.message.is_empty() => {
            format!("{}: {}", fault.message, upstream.message)
        }
        _ => fault.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_face_and_a_help_page() {
        for reason in Reason::ALL {
            let face = face(*reason);
            assert!((400..600).contains(&face.http), "{reason:?}");
            let page = format!("{}/reasons/{}.md", env!("CARGO_MANIFEST_DIR"), reason.name());
            assert!(std::path::Path::new(&page).is_file(), "no help page {page}");
        }
    }

    #[test]
    fn f13_the_providers_status_shows_through() {
        let upstream = headworks_core::UpstreamError { status: 422, message: "bad schema".into(), ..Default::default() };
        let mut fault = Fault::new(Reason::UpstreamRejected, "openai/x refused the request");
        fault.upstream = Some(upstream.into());
        assert_eq!((of(&fault).http, of(&fault).grpc), (422, Code::InvalidArgument));
        assert_eq!(message(&fault), "openai/x refused the request: bad schema");
    }
}
