package io.headworks.client;

import java.time.Duration;
import java.util.Map;

/**
 * How one call is made, where it differs from the client's ways.
 *
 * @param timeout deadline of the whole call, retries included; null: the client's
 * @param maxRetries tries after the first; null: the client's
 * @param metadata more metadata to send
 */
public record RequestOptions(Duration timeout, Integer maxRetries, Map<String, String> metadata) {
  /** The client's ways. */
  public static final RequestOptions DEFAULT = new RequestOptions(null, null, Map.of());

  /** With a deadline. */
  public RequestOptions withTimeout(Duration timeout) {
    return new RequestOptions(timeout, maxRetries, metadata);
  }

  /** With a number of tries after the first. */
  public RequestOptions withMaxRetries(int maxRetries) {
    return new RequestOptions(timeout, maxRetries, metadata);
  }

  /** With more metadata. */
  public RequestOptions withMetadata(Map<String, String> metadata) {
    return new RequestOptions(timeout, maxRetries, Map.copyOf(metadata));
  }
}
