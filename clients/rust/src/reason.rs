//! Why something was refused or failed, as [`Error::reason`](crate::Error::reason) has it. The list grows.

/// No key, a malformed key or one that nobody made.
/// Example: `ErrorInfo{reason: "UNAUTHENTICATED_KEY", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false"}}`.
pub const UNAUTHENTICATED_KEY: &str = "UNAUTHENTICATED_KEY";

/// The key's time is over.
/// Example: `ErrorInfo{reason: "KEY_EXPIRED", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false"}}`.
pub const KEY_EXPIRED: &str = "KEY_EXPIRED";

/// The key was revoked.
/// Example: `ErrorInfo{reason: "KEY_REVOKED", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false"}}`.
pub const KEY_REVOKED: &str = "KEY_REVOKED";

/// The key's roles do not allow the call.
/// Example: `ErrorInfo{reason: "PERMISSION_DENIED", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false"}}`.
pub const PERMISSION_DENIED: &str = "PERMISSION_DENIED";

/// The key may not use the model.
/// Example: `ErrorInfo{reason: "MODEL_FORBIDDEN", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
pub const MODEL_FORBIDDEN: &str = "MODEL_FORBIDDEN";

/// No target inside the required region.
/// Example: `ErrorInfo{reason: "REGION_FORBIDDEN", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
pub const REGION_FORBIDDEN: &str = "REGION_FORBIDDEN";

/// The request is malformed; violations name the fields.
/// Example: `ErrorInfo{reason: "INVALID_REQUEST", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
pub const INVALID_REQUEST: &str = "INVALID_REQUEST";

/// The request is larger than the gateway accepts.
/// Example: `ErrorInfo{reason: "PAYLOAD_TOO_LARGE", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false"}}`.
pub const PAYLOAD_TOO_LARGE: &str = "PAYLOAD_TOO_LARGE";

/// No such model or policy to ask for.
/// Example: `ErrorInfo{reason: "MODEL_NOT_FOUND", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
pub const MODEL_NOT_FOUND: &str = "MODEL_NOT_FOUND";

/// The input does not fit the model's context.
/// Example: `ErrorInfo{reason: "CONTEXT_TOO_LONG", domain: "headworks",
/// metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
/// "target": "openai/gpt-5", "upstream_status": "400"}}`.
pub const CONTEXT_TOO_LONG: &str = "CONTEXT_TOO_LONG";

/// The model or gateway cannot do what was asked.
/// Example: `ErrorInfo{reason: "CAPABILITY_MISSING", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
pub const CAPABILITY_MISSING: &str = "CAPABILITY_MISSING";

/// Too many requests or tokens.
/// Example: `ErrorInfo{reason: "RATE_LIMITED", domain: "headworks",
/// metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1",
/// "target": "openai/gpt-5", "upstream_status": "429"}}`.
pub const RATE_LIMITED: &str = "RATE_LIMITED";

/// The budget is spent.
/// Example: `ErrorInfo{reason: "BUDGET_EXCEEDED", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
pub const BUDGET_EXCEEDED: &str = "BUDGET_EXCEEDED";

/// What the call may cost has no upper bound.
/// Example: `ErrorInfo{reason: "COST_UNBOUNDED", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
pub const COST_UNBOUNDED: &str = "COST_UNBOUNDED";

/// The model's price is unknown and the key's budget is hard.
/// Example: `ErrorInfo{reason: "PRICE_UNKNOWN", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
pub const PRICE_UNKNOWN: &str = "PRICE_UNKNOWN";

/// A guardrail refused the content.
/// Example: `ErrorInfo{reason: "GUARDRAIL_BLOCKED", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
pub const GUARDRAIL_BLOCKED: &str = "GUARDRAIL_BLOCKED";

/// The provider refused the gateway's credentials or credit.
/// Example: `ErrorInfo{reason: "UPSTREAM_CREDENTIALS", domain: "headworks",
/// metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
/// "target": "openai/gpt-5", "upstream_status": "401"}}`.
pub const UPSTREAM_CREDENTIALS: &str = "UPSTREAM_CREDENTIALS";

/// The provider refused the request itself.
/// Example: `ErrorInfo{reason: "UPSTREAM_REJECTED", domain: "headworks",
/// metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
/// "target": "openai/gpt-5", "upstream_status": "422"}}`.
pub const UPSTREAM_REJECTED: &str = "UPSTREAM_REJECTED";

/// Every target that could serve failed.
/// Example: `ErrorInfo{reason: "ALL_TARGETS_FAILED", domain: "headworks",
/// metadata: {"attempts": "2", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
pub const ALL_TARGETS_FAILED: &str = "ALL_TARGETS_FAILED";

/// A deadline passed.
/// Example: `ErrorInfo{reason: "TIMEOUT", domain: "headworks",
/// metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
pub const TIMEOUT: &str = "TIMEOUT";

/// The answer broke off after it had begun.
/// Example: `ErrorInfo{reason: "STREAM_BROKEN", domain: "headworks",
/// metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
pub const STREAM_BROKEN: &str = "STREAM_BROKEN";

/// No such stream, or it is over.
/// Example: `ErrorInfo{reason: "STREAM_GONE", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false"}}`.
pub const STREAM_GONE: &str = "STREAM_GONE";

/// Not in this build.
/// Example: `ErrorInfo{reason: "NOT_IMPLEMENTED", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false"}}`.
pub const NOT_IMPLEMENTED: &str = "NOT_IMPLEMENTED";

/// The resource changed since it was read.
/// Example: `ErrorInfo{reason: "CONFLICT", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false"}}`.
pub const CONFLICT: &str = "CONFLICT";

/// The resource exists.
/// Example: `ErrorInfo{reason: "ALREADY_EXISTS", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false"}}`.
pub const ALREADY_EXISTS: &str = "ALREADY_EXISTS";

/// The gateway is at its limit.
/// Example: `ErrorInfo{reason: "OVERLOADED", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "true", "request_id": "req_06dz1"}}`.
pub const OVERLOADED: &str = "OVERLOADED";

/// A fault of the gateway itself.
/// Example: `ErrorInfo{reason: "INTERNAL", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "true", "request_id": "req_06dz1"}}`.
pub const INTERNAL: &str = "INTERNAL";

/// In routes only: the target's hold did not fit the budget.
/// Example: `SkippedTarget{target: "openai/gpt-5", reason: REASON_BUDGET_WOULD_EXCEED}`; as the reason of an error it
/// would read `ErrorInfo{reason: "BUDGET_WOULD_EXCEED", domain: "headworks"}`.
pub const BUDGET_WOULD_EXCEED: &str = "BUDGET_WOULD_EXCEED";

/// The caller went away or cancelled.
/// Example: `ErrorInfo{reason: "CANCELLED", domain: "headworks",
/// metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
pub const CANCELLED: &str = "CANCELLED";

/// No such key, policy, record or other resource.
/// Example: `ErrorInfo{reason: "NOT_FOUND", domain: "headworks",
/// metadata: {"attempts": "0", "retryable": "false"}}`.
pub const NOT_FOUND: &str = "NOT_FOUND";
