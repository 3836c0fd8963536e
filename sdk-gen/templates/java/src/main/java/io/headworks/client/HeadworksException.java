package io.headworks.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** A call that failed. */
public final class HeadworksException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private static final Metadata.Key<String> PUSHBACK = Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER);
  private static final Set<Status.Code> LOST = Set.of(Status.Code.UNAVAILABLE, Status.Code.INTERNAL, Status.Code.UNKNOWN);

  /** What is wrong with one field of a request. */
  public record FieldViolation(String field, String description) {}

  private final Status.Code code;
  private final String reason;
  private final transient Map<String, String> metadata;
  private final transient Duration retryAfter;
  private final transient List<FieldViolation> violations;
  private final boolean fromGateway;
  private final boolean noRetry;

  private HeadworksException(String message, Status.Code code, String reason, Map<String, String> metadata, Duration retryAfter,
      List<FieldViolation> violations, boolean fromGateway, boolean noRetry, Throwable cause) {
    super((reason.isEmpty() ? code.name() : reason) + ": " + message, cause);
    this.code = code;
    this.reason = reason;
    this.metadata = Map.copyOf(metadata);
    this.retryAfter = retryAfter;
    this.violations = List.copyOf(violations);
    this.fromGateway = fromGateway;
    this.noRetry = noRetry;
  }

  /** The exception of whatever a call threw. */
  static HeadworksException of(Throwable thrown) {
    if (thrown instanceof HeadworksException ours) {
      return ours;
    }
    Status status = Status.fromThrowable(thrown);
    Metadata trailers = thrown instanceof StatusRuntimeException failed ? failed.getTrailers() : null;
    String reason = "";
    Map<String, String> metadata = Map.of();
    Duration retryAfter = null;
    List<FieldViolation> violations = new ArrayList<>();
    boolean ours = false;
    com.google.rpc.Status rich = StatusProto.fromThrowable(thrown);
    try {
      for (Any detail : rich == null ? List.<Any>of() : rich.getDetailsList()) {
        if (detail.is(ErrorInfo.class) && detail.unpack(ErrorInfo.class).getDomain().equals("headworks")) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          reason = info.getReason();
          metadata = info.getMetadataMap();
          ours = true;
        } else if (detail.is(RetryInfo.class)) {
          var delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        } else if (detail.is(BadRequest.class)) {
          for (var one : detail.unpack(BadRequest.class).getFieldViolationsList()) {
            violations.add(new FieldViolation(one.getField(), one.getDescription()));
          }
        }
      }
    } catch (InvalidProtocolBufferException unreadable) {
      thrown.addSuppressed(unreadable);
    }
    if (!ours) {
      reason = switch (status.getCode()) {
        case DEADLINE_EXCEEDED -> "TIMEOUT";
        case CANCELLED -> "CANCELLED";
        default -> "";
      };
    }
    String pushback = trailers == null ? null : trailers.get(PUSHBACK);
    String message = status.getDescription() == null ? status.getCode().name().toLowerCase(java.util.Locale.ROOT) : status.getDescription();
    return new HeadworksException(message, status.getCode(), reason, metadata, retryAfter, violations, ours,
        pushback != null && pushback.startsWith("-"), thrown);
  }

  /** gRPC's code. */
  public Status.Code code() {
    return code;
  }

  /** Why, in a word of {@link Reason}. Empty: the gateway was not reached. */
  public String reason() {
    return reason;
  }

  /** {@code attempts}, {@code retryable}, and {@code request_id}, {@code target}, {@code upstream_status} where there are such. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** How long to wait before another try, where the gateway said so. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /** The fields at fault, of an INVALID_REQUEST. */
  public List<FieldViolation> violations() {
    return violations;
  }

  /** Whether the gateway itself said so; otherwise the connection or the local deadline did. */
  public boolean fromGateway() {
    return fromGateway;
  }

  /** Whether the gateway asked not to be tried again now. */
  public boolean noRetry() {
    return noRetry;
  }

  /** Whether the connection was lost, so that nobody knows how the call ended. */
  public boolean lost() {
    return !fromGateway && LOST.contains(code);
  }

  /** Whether the same call may succeed later. */
  public boolean retryable() {
    return "true".equals(metadata.get("retryable")) || lost();
  }

  /** Identifies the call in the gateway's records. Empty: it was not recorded. */
  public String requestId() {
    return metadata.getOrDefault("request_id", "");
  }

  /** How many attempts the gateway made. */
  public int attempts() {
    return Integer.parseInt(metadata.getOrDefault("attempts", "0"));
  }
}
