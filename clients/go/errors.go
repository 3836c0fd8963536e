package headworks

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Reason says why something was refused or failed. The list grows.
type Reason string

// The reasons.
const (
	// No key, a malformed key or one that nobody made.
	// Example: `ErrorInfo{reason: "UNAUTHENTICATED_KEY", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false"}}`.
	ReasonUnauthenticatedKey Reason = "UNAUTHENTICATED_KEY"
	// The key's time is over.
	// Example: `ErrorInfo{reason: "KEY_EXPIRED", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false"}}`.
	ReasonKeyExpired Reason = "KEY_EXPIRED"
	// The key was revoked.
	// Example: `ErrorInfo{reason: "KEY_REVOKED", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false"}}`.
	ReasonKeyRevoked Reason = "KEY_REVOKED"
	// The key's roles do not allow the call.
	// Example: `ErrorInfo{reason: "PERMISSION_DENIED", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false"}}`.
	ReasonPermissionDenied Reason = "PERMISSION_DENIED"
	// The key may not use the model.
	// Example: `ErrorInfo{reason: "MODEL_FORBIDDEN", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
	ReasonModelForbidden Reason = "MODEL_FORBIDDEN"
	// No target inside the required region.
	// Example: `ErrorInfo{reason: "REGION_FORBIDDEN", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
	ReasonRegionForbidden Reason = "REGION_FORBIDDEN"
	// The request is malformed; violations name the fields.
	// Example: `ErrorInfo{reason: "INVALID_REQUEST", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
	ReasonInvalidRequest Reason = "INVALID_REQUEST"
	// The request is larger than the gateway accepts.
	// Example: `ErrorInfo{reason: "PAYLOAD_TOO_LARGE", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false"}}`.
	ReasonPayloadTooLarge Reason = "PAYLOAD_TOO_LARGE"
	// No such model or policy to ask for.
	// Example: `ErrorInfo{reason: "MODEL_NOT_FOUND", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
	ReasonModelNotFound Reason = "MODEL_NOT_FOUND"
	// The input does not fit the model's context.
	// Example: `ErrorInfo{reason: "CONTEXT_TOO_LONG", domain: "headworks",
	// metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
	// "target": "openai/gpt-5", "upstream_status": "400"}}`.
	ReasonContextTooLong Reason = "CONTEXT_TOO_LONG"
	// The model or gateway cannot do what was asked.
	// Example: `ErrorInfo{reason: "CAPABILITY_MISSING", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
	ReasonCapabilityMissing Reason = "CAPABILITY_MISSING"
	// Too many requests or tokens.
	// Example: `ErrorInfo{reason: "RATE_LIMITED", domain: "headworks",
	// metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1",
	// "target": "openai/gpt-5", "upstream_status": "429"}}`.
	ReasonRateLimited Reason = "RATE_LIMITED"
	// The budget is spent.
	// Example: `ErrorInfo{reason: "BUDGET_EXCEEDED", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
	ReasonBudgetExceeded Reason = "BUDGET_EXCEEDED"
	// What the call may cost has no upper bound.
	// Example: `ErrorInfo{reason: "COST_UNBOUNDED", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
	ReasonCostUnbounded Reason = "COST_UNBOUNDED"
	// The model's price is unknown and the key's budget is hard.
	// Example: `ErrorInfo{reason: "PRICE_UNKNOWN", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
	ReasonPriceUnknown Reason = "PRICE_UNKNOWN"
	// A guardrail refused the content.
	// Example: `ErrorInfo{reason: "GUARDRAIL_BLOCKED", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
	ReasonGuardrailBlocked Reason = "GUARDRAIL_BLOCKED"
	// The provider refused the gateway's credentials or credit.
	// Example: `ErrorInfo{reason: "UPSTREAM_CREDENTIALS", domain: "headworks",
	// metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
	// "target": "openai/gpt-5", "upstream_status": "401"}}`.
	ReasonUpstreamCredentials Reason = "UPSTREAM_CREDENTIALS"
	// The provider refused the request itself.
	// Example: `ErrorInfo{reason: "UPSTREAM_REJECTED", domain: "headworks",
	// metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
	// "target": "openai/gpt-5", "upstream_status": "422"}}`.
	ReasonUpstreamRejected Reason = "UPSTREAM_REJECTED"
	// Every target that could serve failed.
	// Example: `ErrorInfo{reason: "ALL_TARGETS_FAILED", domain: "headworks",
	// metadata: {"attempts": "2", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
	ReasonAllTargetsFailed Reason = "ALL_TARGETS_FAILED"
	// A deadline passed.
	// Example: `ErrorInfo{reason: "TIMEOUT", domain: "headworks",
	// metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
	ReasonTimeout Reason = "TIMEOUT"
	// The answer broke off after it had begun.
	// Example: `ErrorInfo{reason: "STREAM_BROKEN", domain: "headworks",
	// metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
	ReasonStreamBroken Reason = "STREAM_BROKEN"
	// No such stream, or it is over.
	// Example: `ErrorInfo{reason: "STREAM_GONE", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false"}}`.
	ReasonStreamGone Reason = "STREAM_GONE"
	// Not in this build.
	// Example: `ErrorInfo{reason: "NOT_IMPLEMENTED", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false"}}`.
	ReasonNotImplemented Reason = "NOT_IMPLEMENTED"
	// The resource changed since it was read.
	// Example: `ErrorInfo{reason: "CONFLICT", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false"}}`.
	ReasonConflict Reason = "CONFLICT"
	// The resource exists.
	// Example: `ErrorInfo{reason: "ALREADY_EXISTS", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false"}}`.
	ReasonAlreadyExists Reason = "ALREADY_EXISTS"
	// The gateway is at its limit.
	// Example: `ErrorInfo{reason: "OVERLOADED", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "true", "request_id": "req_06dz1"}}`.
	ReasonOverloaded Reason = "OVERLOADED"
	// A fault of the gateway itself.
	// Example: `ErrorInfo{reason: "INTERNAL", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "true", "request_id": "req_06dz1"}}`.
	ReasonInternal Reason = "INTERNAL"
	// In routes only: the target's hold did not fit the budget.
	// Example: `SkippedTarget{target: "openai/gpt-5", reason: REASON_BUDGET_WOULD_EXCEED}`; as the reason of an error it
	// would read `ErrorInfo{reason: "BUDGET_WOULD_EXCEED", domain: "headworks"}`.
	ReasonBudgetWouldExceed Reason = "BUDGET_WOULD_EXCEED"
	// The caller went away or cancelled.
	// Example: `ErrorInfo{reason: "CANCELLED", domain: "headworks",
	// metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
	ReasonCancelled Reason = "CANCELLED"
	// No such key, policy, record or other resource.
	// Example: `ErrorInfo{reason: "NOT_FOUND", domain: "headworks",
	// metadata: {"attempts": "0", "retryable": "false"}}`.
	ReasonNotFound Reason = "NOT_FOUND"
)

// FieldViolation is what is wrong with one field of a request.
type FieldViolation struct {
	Field       string
	Description string
}

// Error is a call that failed. Get it with errors.As.
type Error struct {
	// Code is gRPC's.
	Code codes.Code
	// Reason says why, in a word. Empty: the gateway was not reached.
	Reason Reason
	// Message is for people.
	Message string
	// Metadata holds attempts and retryable, and request_id, target, upstream_status where there are such.
	Metadata map[string]string
	// RetryAfter is how long to wait before another try, where the gateway said so.
	RetryAfter time.Duration
	// Violations are the fields at fault, of a ReasonInvalidRequest.
	Violations []FieldViolation
	// FromGateway tells what the gateway itself said from what the connection or the local deadline did.
	FromGateway bool
	// NoRetry is set if the gateway asked not to be tried again now.
	NoRetry bool

	status *status.Status
}

// Error implements error.
func (e *Error) Error() string {
	reason := string(e.Reason)
	if reason == "" {
		reason = e.Code.String()
	}
	return fmt.Sprintf("headworks: %s: %s", reason, e.Message)
}

// GRPCStatus lets status.FromError see through.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Lost says whether the connection was lost, so that nobody knows how the call ended.
func (e *Error) Lost() bool {
	return !e.FromGateway && (e.Code == codes.Unavailable || e.Code == codes.Internal || e.Code == codes.Unknown)
}

// Retryable says whether the same call may succeed later.
func (e *Error) Retryable() bool { return e.Metadata["retryable"] == "true" || e.Lost() }

// RequestID identifies the call in the gateway's records. Empty: it was not recorded.
func (e *Error) RequestID() string { return e.Metadata["request_id"] }

// Attempts is how many attempts the gateway made.
func (e *Error) Attempts() int {
	made, _ := strconv.Atoi(e.Metadata["attempts"])
	return made
}

// fromStatus is the error of a failed gRPC call.
func fromStatus(err error, trailer metadata.MD) *Error {
	s := status.Convert(err)
	if s.Code() == codes.Unknown {
		// What contexts and the local side say has no status of its own.
		s = status.FromContextError(err)
	}
	e := &Error{Code: s.Code(), Message: s.Message(), status: s}
	for _, detail := range s.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == "headworks" {
				e.Reason, e.Metadata, e.FromGateway = Reason(detail.Reason), detail.Metadata, true
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = detail.RetryDelay.AsDuration()
		case *errdetails.BadRequest:
			for _, one := range detail.FieldViolations {
				e.Violations = append(e.Violations, FieldViolation{one.Field, one.Description})
			}
		}
	}
	if !e.FromGateway {
		switch e.Code {
		case codes.DeadlineExceeded:
			e.Reason = ReasonTimeout
		case codes.Canceled:
			e.Reason = ReasonCancelled
		}
	}
	for _, wait := range trailer.Get("grpc-retry-pushback-ms") {
		e.NoRetry = e.NoRetry || strings.HasPrefix(wait, "-")
	}
	return e
}
