// Errors that carry the gateway's reason.
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";

/** Why something was refused or failed. The list grows. */
export const Reason = {
  // No key, a malformed key or one that nobody made.
  // Example: `ErrorInfo{reason: "UNAUTHENTICATED_KEY", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false"}}`.
  UNAUTHENTICATED_KEY: "UNAUTHENTICATED_KEY",
  // The key's time is over.
  // Example: `ErrorInfo{reason: "KEY_EXPIRED", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false"}}`.
  KEY_EXPIRED: "KEY_EXPIRED",
  // The key was revoked.
  // Example: `ErrorInfo{reason: "KEY_REVOKED", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false"}}`.
  KEY_REVOKED: "KEY_REVOKED",
  // The key's roles do not allow the call.
  // Example: `ErrorInfo{reason: "PERMISSION_DENIED", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false"}}`.
  PERMISSION_DENIED: "PERMISSION_DENIED",
  // The key may not use the model.
  // Example: `ErrorInfo{reason: "MODEL_FORBIDDEN", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
  MODEL_FORBIDDEN: "MODEL_FORBIDDEN",
  // No target inside the required region.
  // Example: `ErrorInfo{reason: "REGION_FORBIDDEN", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
  REGION_FORBIDDEN: "REGION_FORBIDDEN",
  // The request is malformed; violations name the fields.
  // Example: `ErrorInfo{reason: "INVALID_REQUEST", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
  INVALID_REQUEST: "INVALID_REQUEST",
  // The request is larger than the gateway accepts.
  // Example: `ErrorInfo{reason: "PAYLOAD_TOO_LARGE", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false"}}`.
  PAYLOAD_TOO_LARGE: "PAYLOAD_TOO_LARGE",
  // No such model or policy to ask for.
  // Example: `ErrorInfo{reason: "MODEL_NOT_FOUND", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
  MODEL_NOT_FOUND: "MODEL_NOT_FOUND",
  // The input does not fit the model's context.
  // Example: `ErrorInfo{reason: "CONTEXT_TOO_LONG", domain: "headworks",
  // metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
  // "target": "openai/gpt-5", "upstream_status": "400"}}`.
  CONTEXT_TOO_LONG: "CONTEXT_TOO_LONG",
  // The model or gateway cannot do what was asked.
  // Example: `ErrorInfo{reason: "CAPABILITY_MISSING", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
  CAPABILITY_MISSING: "CAPABILITY_MISSING",
  // Too many requests or tokens.
  // Example: `ErrorInfo{reason: "RATE_LIMITED", domain: "headworks",
  // metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1",
  // "target": "openai/gpt-5", "upstream_status": "429"}}`.
  RATE_LIMITED: "RATE_LIMITED",
  // The budget is spent.
  // Example: `ErrorInfo{reason: "BUDGET_EXCEEDED", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
  BUDGET_EXCEEDED: "BUDGET_EXCEEDED",
  // What the call may cost has no upper bound.
  // Example: `ErrorInfo{reason: "COST_UNBOUNDED", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
  COST_UNBOUNDED: "COST_UNBOUNDED",
  // The model's price is unknown and the key's budget is hard.
  // Example: `ErrorInfo{reason: "PRICE_UNKNOWN", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
  PRICE_UNKNOWN: "PRICE_UNKNOWN",
  // A guardrail refused the content.
  // Example: `ErrorInfo{reason: "GUARDRAIL_BLOCKED", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false", "request_id": "req_06dz1"}}`.
  GUARDRAIL_BLOCKED: "GUARDRAIL_BLOCKED",
  // The provider refused the gateway's credentials or credit.
  // Example: `ErrorInfo{reason: "UPSTREAM_CREDENTIALS", domain: "headworks",
  // metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
  // "target": "openai/gpt-5", "upstream_status": "401"}}`.
  UPSTREAM_CREDENTIALS: "UPSTREAM_CREDENTIALS",
  // The provider refused the request itself.
  // Example: `ErrorInfo{reason: "UPSTREAM_REJECTED", domain: "headworks",
  // metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1",
  // "target": "openai/gpt-5", "upstream_status": "422"}}`.
  UPSTREAM_REJECTED: "UPSTREAM_REJECTED",
  // Every target that could serve failed.
  // Example: `ErrorInfo{reason: "ALL_TARGETS_FAILED", domain: "headworks",
  // metadata: {"attempts": "2", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
  ALL_TARGETS_FAILED: "ALL_TARGETS_FAILED",
  // A deadline passed.
  // Example: `ErrorInfo{reason: "TIMEOUT", domain: "headworks",
  // metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
  TIMEOUT: "TIMEOUT",
  // The answer broke off after it had begun.
  // Example: `ErrorInfo{reason: "STREAM_BROKEN", domain: "headworks",
  // metadata: {"attempts": "1", "retryable": "true", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
  STREAM_BROKEN: "STREAM_BROKEN",
  // No such stream, or it is over.
  // Example: `ErrorInfo{reason: "STREAM_GONE", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false"}}`.
  STREAM_GONE: "STREAM_GONE",
  // Not in this build.
  // Example: `ErrorInfo{reason: "NOT_IMPLEMENTED", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false"}}`.
  NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
  // The resource changed since it was read.
  // Example: `ErrorInfo{reason: "CONFLICT", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false"}}`.
  CONFLICT: "CONFLICT",
  // The resource exists.
  // Example: `ErrorInfo{reason: "ALREADY_EXISTS", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false"}}`.
  ALREADY_EXISTS: "ALREADY_EXISTS",
  // The gateway is at its limit.
  // Example: `ErrorInfo{reason: "OVERLOADED", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "true", "request_id": "req_06dz1"}}`.
  OVERLOADED: "OVERLOADED",
  // A fault of the gateway itself.
  // Example: `ErrorInfo{reason: "INTERNAL", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "true", "request_id": "req_06dz1"}}`.
  INTERNAL: "INTERNAL",
  // In routes only: the target's hold did not fit the budget.
  // Example: `SkippedTarget{target: "openai/gpt-5", reason: REASON_BUDGET_WOULD_EXCEED}`; as the reason of an error it
  // would read `ErrorInfo{reason: "BUDGET_WOULD_EXCEED", domain: "headworks"}`.
  BUDGET_WOULD_EXCEED: "BUDGET_WOULD_EXCEED",
  // The caller went away or cancelled.
  // Example: `ErrorInfo{reason: "CANCELLED", domain: "headworks",
  // metadata: {"attempts": "1", "retryable": "false", "request_id": "req_06dz1", "target": "openai/gpt-5"}}`.
  CANCELLED: "CANCELLED",
  // No such key, policy, record or other resource.
  // Example: `ErrorInfo{reason: "NOT_FOUND", domain: "headworks",
  // metadata: {"attempts": "0", "retryable": "false"}}`.
  NOT_FOUND: "NOT_FOUND",
} as const;

/** What is wrong with one field of a request. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** What the gateway told with an error. */
export interface ErrorFacts {
  /** Why, in a word of `Reason`. Empty: the gateway was not reached. */
  readonly reason: string;
  /** `attempts`, `retryable`, and `request_id`, `target`, `upstream_status` where there are such. */
  readonly metadata: Readonly<Record<string, string>>;
  /** How long to wait before another try, milliseconds, where the gateway said so. */
  readonly retryAfterMs?: number;
  /** The fields at fault, of an INVALID_REQUEST. */
  readonly violations: readonly FieldViolation[];
  /** Whether the gateway itself said so; otherwise the connection or the local deadline did. */
  readonly fromGateway: boolean;
  /** Whether the gateway asked not to be tried again now. */
  readonly noRetry: boolean;
}

/** A call that failed. */
export class HeadworksError extends Error implements ErrorFacts {
  override readonly name = "HeadworksError";
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
  readonly violations: readonly FieldViolation[];
  readonly fromGateway: boolean;
  readonly noRetry: boolean;

  constructor(
    message: string,
    /** gRPC's code. */
    readonly code: Code,
    facts: ErrorFacts,
    cause?: unknown,
  ) {
    super(`${facts.reason || Code[code]}: ${message}`, { cause });
    this.reason = facts.reason;
    this.metadata = facts.metadata;
    if (facts.retryAfterMs !== undefined) this.retryAfterMs = facts.retryAfterMs;
    this.violations = facts.violations;
    this.fromGateway = facts.fromGateway;
    this.noRetry = facts.noRetry;
  }

  /** Whether the connection was lost, so that nobody knows how the call ended. */
  get lost(): boolean {
    return !this.fromGateway && [Code.Unavailable, Code.Internal, Code.Unknown, Code.Aborted, Code.DataLoss].includes(this.code);
  }

  /** Whether the same call may succeed later. */
  get retryable(): boolean {
    return this.metadata["retryable"] === "true" || this.lost;
  }

  /** Identifies the call in the gateway's records. Empty: it was not recorded. */
  get requestId(): string {
    return this.metadata["request_id"] ?? "";
  }

  /** How many attempts the gateway made. */
  get attempts(): number {
    return Number(this.metadata["attempts"] ?? 0);
  }
}

/** The error of whatever a call threw. */
export function fromThrown(thrown: unknown): HeadworksError {
  if (thrown instanceof HeadworksError) return thrown;
  const error = ConnectError.from(thrown);
  let reason = "", fromGateway = false, retryAfterMs: number | undefined;
  let metadata: Record<string, string> = {};
  const violations: FieldViolation[] = [];
  for (const detail of error.details) {
    if (!("type" in detail) || !(detail.value instanceof Uint8Array)) continue;
    const read = fields(detail.value);
    if (detail.type === "google.rpc.ErrorInfo" && text(read, 2) === "headworks") {
      reason = text(read, 1);
      fromGateway = true;
      metadata = Object.fromEntries(all(read, 3).map((entry) => [text(fields(entry), 1), text(fields(entry), 2)]));
    } else if (detail.type === "google.rpc.RetryInfo") {
      const wait = fields(all(read, 1)[0] ?? new Uint8Array());
      retryAfterMs = whole(wait, 1) * 1000 + Math.ceil(whole(wait, 2) / 1e6);
    } else if (detail.type === "google.rpc.BadRequest") {
      for (const one of all(read, 1)) violations.push({ field: text(fields(one), 1), description: text(fields(one), 2) });
    }
  }
  if (!fromGateway) reason = error.code === Code.DeadlineExceeded ? "TIMEOUT" : error.code === Code.Canceled ? "CANCELLED" : "";
  const noRetry = (error.metadata.get("grpc-retry-pushback-ms") ?? "").startsWith("-");
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  return new HeadworksError(error.rawMessage, error.code, { reason, metadata, violations, fromGateway, noRetry, ...wait }, thrown);
}

type Fields = [number, Uint8Array | number][];

/** The fields of a small message: what google.rpc's details need, without their schema. */
function fields(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes), found: Fields = [];
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    if (wire === WireType.LengthDelimited) found.push([number, reader.bytes()]);
    else if (wire === WireType.Varint) found.push([number, Number(reader.int64())]);
    else reader.skip(wire, number);
  }
  return found;
}

const all = (found: Fields, number: number) => found.flatMap(([at, value]) => (at === number && value instanceof Uint8Array ? [value] : []));
const text = (found: Fields, number: number) => new TextDecoder().decode(all(found, number)[0]);
const whole = (found: Fields, number: number) => {
  const value = found.find(([at]) => at === number)?.[1];
  return typeof value === "number" ? value : 0;
};
