package io.headworks.client;

/** Why something was refused or failed, as {@link HeadworksException#reason()} has it. The list grows. */
public final class Reason {
  /**
   * No key, a malformed key or one that nobody made.
   * Example: <code>ErrorInfo{reason: "UNAUTHENTICATED_KEY", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false"}}</code>.
   */
  public static final String UNAUTHENTICATED_KEY = "UNAUTHENTICATED_KEY";

  /**
   * The key's time is over.
   * Example: <code>ErrorInfo{reason: "KEY_EXPIRED", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false"}}</code>.
   */
  public static final String KEY_EXPIRED = "KEY_EXPIRED";

  /**
   * The key was revoked.
   * Example: <code>ErrorInfo{reason: "KEY_REVOKED", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false"}}</code>.
   */
  public static final String KEY_REVOKED = "KEY_REVOKED";

  /**
   * The key's roles do not allow the call.
   * Example: <code>ErrorInfo{reason: "PERMISSION_DENIED", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false"}}</code>.
   */
  public static final String PERMISSION_DENIED = "PERMISSION_DENIED";

  /**
   * The key may not use the model.
   * Example: <code>ErrorInfo{reason: "MODEL_FORBIDDEN", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}</code>.
   */
  public static final String MODEL_FORBIDDEN = "MODEL_FORBIDDEN";

  /**
   * No target inside the required region.
   * Example: <code>ErrorInfo{reason: "REGION_FORBIDDEN", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}</code>.
   */
  public static final String REGION_FORBIDDEN = "REGION_FORBIDDEN";

  /**
   * The request is malformed; violations name the fields.
   * Example: <code>ErrorInfo{reason: "INVALID_REQUEST", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}</code>.
   */
  public static final String INVALID_REQUEST = "INVALID_REQUEST";

  /**
   * The request is larger than the gateway accepts.
   * Example: <code>ErrorInfo{reason: "PAYLOAD_TOO_LARGE", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false"}}</code>.
   */
  public static final String PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE";

  /**
   * No such model or policy to ask for.
   * Example: <code>ErrorInfo{reason: "MODEL_NOT_FOUND", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}</code>.
   */
  public static final String MODEL_NOT_FOUND = "MODEL_NOT_FOUND";

  /**
   * The input does not fit the model's context.
   * Example: <code>ErrorInfo{reason: "CONTEXT_TOO_LONG", domain: "headworks",
   * metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
   * "target": "openai/gpt-5", "upstream_status": "400"}}</code>.
   */
  public static final String CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG";

  /**
   * The model or gateway cannot do what was asked.
   * Example: <code>ErrorInfo{reason: "CAPABILITY_MISSING", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}</code>.
   */
  public static final String CAPABILITY_MISSING = "CAPABILITY_MISSING";

  /**
   * Too many requests or tokens.
   * Example: <code>ErrorInfo{reason: "RATE_LIMITED", domain: "headworks",
   * metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1",
   * "target": "openai/gpt-5", "upstream_status": "429"}}</code>.
   */
  public static final String RATE_LIMITED = "RATE_LIMITED";

  /**
   * The budget is spent.
   * Example: <code>ErrorInfo{reason: "BUDGET_EXCEEDED", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}</code>.
   */
  public static final String BUDGET_EXCEEDED = "BUDGET_EXCEEDED";

  /**
   * What the call may cost has no upper bound.
   * Example: <code>ErrorInfo{reason: "COST_UNBOUNDED", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}</code>.
   */
  public static final String COST_UNBOUNDED = "COST_UNBOUNDED";

  /**
   * The model's price is unknown and the key's budget is hard.
   * Example: <code>ErrorInfo{reason: "PRICE_UNKNOWN", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}</code>.
   */
  public static final String PRICE_UNKNOWN = "PRICE_UNKNOWN";

  /**
   * A guardrail refused the content.
   * Example: <code>ErrorInfo{reason: "GUARDRAIL_BLOCKED", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}</code>.
   */
  public static final String GUARDRAIL_BLOCKED = "GUARDRAIL_BLOCKED";

  /**
   * The provider refused the gateway's credentials or credit.
   * Example: <code>ErrorInfo{reason: "UPSTREAM_CREDENTIALS", domain: "headworks",
   * metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
   * "target": "openai/gpt-5", "upstream_status": "401"}}</code>.
   */
  public static final String UPSTREAM_CREDENTIALS = "UPSTREAM_CREDENTIALS";

  /**
   * The provider refused the request itself.
   * Example: <code>ErrorInfo{reason: "UPSTREAM_REJECTED", domain: "headworks",
   * metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
   * "target": "openai/gpt-5", "upstream_status": "422"}}</code>.
   */
  public static final String UPSTREAM_REJECTED = "UPSTREAM_REJECTED";

  /**
   * Every target that could serve failed.
   * Example: <code>ErrorInfo{reason: "ALL_TARGETS_FAILED", domain: "headworks",
   * metadata: {"attempts": "2", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}</code>.
   */
  public static final String ALL_TARGETS_FAILED = "ALL_TARGETS_FAILED";

  /**
   * A deadline passed.
   * Example: <code>ErrorInfo{reason: "TIMEOUT", domain: "headworks",
   * metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}</code>.
   */
  public static final String TIMEOUT = "TIMEOUT";

  /**
   * The answer broke off after it had begun.
   * Example: <code>ErrorInfo{reason: "STREAM_BROKEN", domain: "headworks",
   * metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}</code>.
   */
  public static final String STREAM_BROKEN = "STREAM_BROKEN";

  /**
   * No such stream, or it is over.
   * Example: <code>ErrorInfo{reason: "STREAM_GONE", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false"}}</code>.
   */
  public static final String STREAM_GONE = "STREAM_GONE";

  /**
   * Not in this build.
   * Example: <code>ErrorInfo{reason: "NOT_IMPLEMENTED", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false"}}</code>.
   */
  public static final String NOT_IMPLEMENTED = "NOT_IMPLEMENTED";

  /**
   * The resource changed since it was read.
   * Example: <code>ErrorInfo{reason: "CONFLICT", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false"}}</code>.
   */
  public static final String CONFLICT = "CONFLICT";

  /**
   * The resource exists.
   * Example: <code>ErrorInfo{reason: "ALREADY_EXISTS", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false"}}</code>.
   */
  public static final String ALREADY_EXISTS = "ALREADY_EXISTS";

  /**
   * The gateway is at its limit.
   * Example: <code>ErrorInfo{reason: "OVERLOADED", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "true", "request_id": "req_06dz1"}}</code>.
   */
  public static final String OVERLOADED = "OVERLOADED";

  /**
   * A fault of the gateway itself.
   * Example: <code>ErrorInfo{reason: "INTERNAL", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "true", "request_id": "req_06dz1"}}</code>.
   */
  public static final String INTERNAL = "INTERNAL";

  /**
   * In routes only: the target's hold did not fit the budget.
   * Example: <code>SkippedTarget{target: "openai/gpt-5", reason: REASON_BUDGET_WOULD_EXCEED}</code>; as the reason of an error it
   * would read <code>ErrorInfo{reason: "BUDGET_WOULD_EXCEED", domain: "headworks"}</code>.
   */
  public static final String BUDGET_WOULD_EXCEED = "BUDGET_WOULD_EXCEED";

  /**
   * The caller went away or cancelled.
   * Example: <code>ErrorInfo{reason: "CANCELLED", domain: "headworks",
   * metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1", "target": "openai/gpt-5"}}</code>.
   */
  public static final String CANCELLED = "CANCELLED";

  /**
   * No such key, policy, record or other resource.
   * Example: <code>ErrorInfo{reason: "NOT_FOUND", domain: "headworks",
   * metadata: {"attempts": "0", "retryable": "false"}}</code>.
   */
  public static final String NOT_FOUND = "NOT_FOUND";

  private Reason() {}
}
