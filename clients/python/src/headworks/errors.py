"""Errors that carry the gateway's reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Mapping

import grpc
from google.rpc import error_details_pb2, status_pb2


class Reason(StrEnum):
    """Why something was refused or failed. The list grows; compare with `==`."""

    # No key, a malformed key or one that nobody made.
    # Example: `ErrorInfo{reason: "UNAUTHENTICATED_KEY", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false"}}`.
    UNAUTHENTICATED_KEY = "UNAUTHENTICATED_KEY"
    # The key's time is over.
    # Example: `ErrorInfo{reason: "KEY_EXPIRED", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false"}}`.
    KEY_EXPIRED = "KEY_EXPIRED"
    # The key was revoked.
    # Example: `ErrorInfo{reason: "KEY_REVOKED", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false"}}`.
    KEY_REVOKED = "KEY_REVOKED"
    # The key's roles do not allow the call.
    # Example: `ErrorInfo{reason: "PERMISSION_DENIED", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false"}}`.
    PERMISSION_DENIED = "PERMISSION_DENIED"
    # The key may not use the model.
    # Example: `ErrorInfo{reason: "MODEL_FORBIDDEN", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
    MODEL_FORBIDDEN = "MODEL_FORBIDDEN"
    # No target inside the required region.
    # Example: `ErrorInfo{reason: "REGION_FORBIDDEN", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
    REGION_FORBIDDEN = "REGION_FORBIDDEN"
    # The request is malformed; violations name the fields.
    # Example: `ErrorInfo{reason: "INVALID_REQUEST", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
    INVALID_REQUEST = "INVALID_REQUEST"
    # The request is larger than the gateway accepts.
    # Example: `ErrorInfo{reason: "PAYLOAD_TOO_LARGE", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false"}}`.
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    # No such model or policy to ask for.
    # Example: `ErrorInfo{reason: "MODEL_NOT_FOUND", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    # The input does not fit the model's context.
    # Example: `ErrorInfo{reason: "CONTEXT_TOO_LONG", domain: "headworks",
    # metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
    # "target": "openai/gpt-5", "upstream_status": "400"}}`.
    CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG"
    # The model or gateway cannot do what was asked.
    # Example: `ErrorInfo{reason: "CAPABILITY_MISSING", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
    CAPABILITY_MISSING = "CAPABILITY_MISSING"
    # Too many requests or tokens.
    # Example: `ErrorInfo{reason: "RATE_LIMITED", domain: "headworks",
    # metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1",
    # "target": "openai/gpt-5", "upstream_status": "429"}}`.
    RATE_LIMITED = "RATE_LIMITED"
    # The budget is spent.
    # Example: `ErrorInfo{reason: "BUDGET_EXCEEDED", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    # What the call may cost has no upper bound.
    # Example: `ErrorInfo{reason: "COST_UNBOUNDED", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
    COST_UNBOUNDED = "COST_UNBOUNDED"
    # The model's price is unknown and the key's budget is hard.
    # Example: `ErrorInfo{reason: "PRICE_UNKNOWN", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
    PRICE_UNKNOWN = "PRICE_UNKNOWN"
    # A guardrail refused the content.
    # Example: `ErrorInfo{reason: "GUARDRAIL_BLOCKED", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
    GUARDRAIL_BLOCKED = "GUARDRAIL_BLOCKED"
    # The provider refused the gateway's credentials or credit.
    # Example: `ErrorInfo{reason: "UPSTREAM_CREDENTIALS", domain: "headworks",
    # metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
    # "target": "openai/gpt-5", "upstream_status": "401"}}`.
    UPSTREAM_CREDENTIALS = "UPSTREAM_CREDENTIALS"
    # The provider refused the request itself.
    # Example: `ErrorInfo{reason: "UPSTREAM_REJECTED", domain: "headworks",
    # metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
    # "target": "openai/gpt-5", "upstream_status": "422"}}`.
    UPSTREAM_REJECTED = "UPSTREAM_REJECTED"
    # Every target that could serve failed.
    # Example: `ErrorInfo{reason: "ALL_TARGETS_FAILED", domain: "headworks",
    # metadata: {"attempts": "2", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
    ALL_TARGETS_FAILED = "ALL_TARGETS_FAILED"
    # A deadline passed.
    # Example: `ErrorInfo{reason: "TIMEOUT", domain: "headworks",
    # metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
    TIMEOUT = "TIMEOUT"
    # The answer broke off after it had begun.
    # Example: `ErrorInfo{reason: "STREAM_BROKEN", domain: "headworks",
    # metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
    STREAM_BROKEN = "STREAM_BROKEN"
    # No such stream, or it is over.
    # Example: `ErrorInfo{reason: "STREAM_GONE", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false"}}`.
    STREAM_GONE = "STREAM_GONE"
    # Not in this build.
    # Example: `ErrorInfo{reason: "NOT_IMPLEMENTED", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false"}}`.
    NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
    # The resource changed since it was read.
    # Example: `ErrorInfo{reason: "CONFLICT", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false"}}`.
    CONFLICT = "CONFLICT"
    # The resource exists.
    # Example: `ErrorInfo{reason: "ALREADY_EXISTS", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false"}}`.
    ALREADY_EXISTS = "ALREADY_EXISTS"
    # The gateway is at its limit.
    # Example: `ErrorInfo{reason: "OVERLOADED", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "true", "request_id": "req_06dz1"}}`.
    OVERLOADED = "OVERLOADED"
    # A fault of the gateway itself.
    # Example: `ErrorInfo{reason: "INTERNAL", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "true", "request_id": "req_06dz1"}}`.
    INTERNAL = "INTERNAL"
    # In routes only: the target's hold did not fit the budget.
    # Example: `SkippedTarget{target: "openai/gpt-5", reason: REASON_BUDGET_WOULD_EXCEED}`; as the reason of an error it
    # would read `ErrorInfo{reason: "BUDGET_WOULD_EXCEED", domain: "headworks"}`.
    BUDGET_WOULD_EXCEED = "BUDGET_WOULD_EXCEED"
    # The caller went away or cancelled.
    # Example: `ErrorInfo{reason: "CANCELLED", domain: "headworks",
    # metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
    CANCELLED = "CANCELLED"
    # No such key, policy, record or other resource.
    # Example: `ErrorInfo{reason: "NOT_FOUND", domain: "headworks",
    # metadata: {"attempts": "0", "retryable": "false"}}`.
    NOT_FOUND = "NOT_FOUND"


@dataclass(frozen=True)
class FieldViolation:
    """What is wrong with one field of a request."""

    field: str
    description: str


class HeadworksError(Exception):
    """A call that failed.

    `reason` says why, in a word of `Reason`; empty when the gateway was not reached.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
        violations: tuple[FieldViolation, ...] = (),
        from_gateway: bool = False,
        no_retry: bool = False,
    ) -> None:
        super().__init__(f"{reason or code.name}: {message}")
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.retry_after = retry_after
        """How long to wait before another try, where the gateway said so."""
        self.violations = violations
        """The fields at fault, of an INVALID_REQUEST."""
        self.from_gateway = from_gateway
        """Whether the gateway itself said so; otherwise the connection or the local deadline did."""
        self.no_retry = no_retry
        """Whether the gateway asked not to be tried again now."""

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.metadata.get("retryable") == "true" or self.lost

    @property
    def lost(self) -> bool:
        """Whether the connection was lost, so that nobody knows how the call ended."""
        codes = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
        return not self.from_gateway and self.code in codes

    @property
    def request_id(self) -> str:
        """Identifies the call in the gateway's records. Empty: it was not recorded."""
        return self.metadata.get("request_id", "")

    @property
    def attempts(self) -> int:
        """How many attempts the gateway made."""
        return int(self.metadata.get("attempts", "0"))


def from_rpc(error: Any) -> HeadworksError:
    """The error of a failed gRPC call, sync or async."""
    code: grpc.StatusCode = error.code()
    message: str = error.details() or code.name.lower().replace("_", " ")
    trailers = {str(key): value for key, value in (error.trailing_metadata() or ())}
    reason, facts, wait, wrong, ours = "", dict[str, str](), None, list[FieldViolation](), False
    raw = trailers.get("grpc-status-details-bin")
    if isinstance(raw, bytes):
        for detail in status_pb2.Status.FromString(raw).details:
            info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info) and info.domain == "headworks":
                reason, facts, ours = info.reason, dict(info.metadata), True
            elif detail.Unpack(retry):
                wait = retry.retry_delay.ToTimedelta()
            elif detail.Unpack(bad):
                wrong += [FieldViolation(one.field, one.description) for one in bad.field_violations]
    if not ours:
        reason = {grpc.StatusCode.DEADLINE_EXCEEDED: "TIMEOUT", grpc.StatusCode.CANCELLED: "CANCELLED"}.get(code, "")
    return HeadworksError(
        message,
        code=code,
        reason=reason,
        metadata=facts,
        retry_after=wait,
        violations=tuple(wrong),
        from_gateway=ours,
        no_retry=str(trailers.get("grpc-retry-pushback-ms", "")).startswith("-"),
    )
