package io.headworks.client;

import io.headworks.v1.StreamServiceGrpc;

/**
 * Answers chats as they are written.
 */
public final class StreamsClient {
  private final Core core;

  StreamsClient(Core core) {
    this.core = core;
  }

  /**
   * Answers a chat event by event. Needs the role CALLER. The initial metadata carry <code>headworks-request-id</code> and
   * <code>headworks-stream-id</code>; the trailers what those of <code>ChatService.Complete</code> carry. A stream that fails ends with a
   * status; what came before it is a partial answer.
   * Errors: those of <code>ChatService.Complete</code>, and STREAM_BROKEN once there was content.
   */
  public Answers<io.headworks.v1.StreamResponse> stream(io.headworks.v1.StreamRequest request) {
    return stream(request, RequestOptions.DEFAULT);
  }

  /**
   * Answers a chat event by event. Needs the role CALLER. The initial metadata carry <code>headworks-request-id</code> and
   * <code>headworks-stream-id</code>; the trailers what those of <code>ChatService.Complete</code> carry. A stream that fails ends with a
   * status; what came before it is a partial answer.
   * Errors: those of <code>ChatService.Complete</code>, and STREAM_BROKEN once there was content.
   */
  public Answers<io.headworks.v1.StreamResponse> stream(io.headworks.v1.StreamRequest request, RequestOptions options) {
    return core.stream(StreamServiceGrpc.getStreamMethod(), request, !request.getChat().getRequestId().isEmpty(), options);
  }

  /**
   * Goes on with a stream whose connection was lost. Only the key that began it may. Not served by this version.
   * Errors: STREAM_GONE, NOT_IMPLEMENTED.
   */
  public Answers<io.headworks.v1.ResumeResponse> resume(io.headworks.v1.ResumeRequest request) {
    return resume(request, RequestOptions.DEFAULT);
  }

  /**
   * Goes on with a stream whose connection was lost. Only the key that began it may. Not served by this version.
   * Errors: STREAM_GONE, NOT_IMPLEMENTED.
   */
  public Answers<io.headworks.v1.ResumeResponse> resume(io.headworks.v1.ResumeRequest request, RequestOptions options) {
    return core.stream(StreamServiceGrpc.getResumeMethod(), request, true, options);
  }

  /**
   * Ends a stream; what was consumed is billed. Only the key that began it may.
   * Errors: STREAM_GONE if it is not under way or is another key's.
   */
  public io.headworks.v1.CancelResponse cancel(io.headworks.v1.CancelRequest request) {
    return cancel(request, RequestOptions.DEFAULT);
  }

  /**
   * Ends a stream; what was consumed is billed. Only the key that began it may.
   * Errors: STREAM_GONE if it is not under way or is another key's.
   */
  public io.headworks.v1.CancelResponse cancel(io.headworks.v1.CancelRequest request, RequestOptions options) {
    return core.unary(StreamServiceGrpc.getCancelMethod(), request, true, options);
  }
}
