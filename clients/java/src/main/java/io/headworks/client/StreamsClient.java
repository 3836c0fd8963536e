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
   * Answers a chat event by event. Needs the role CALLER. The initial metadata carry <code>headworks-request-id</code>,
   * <code>headworks-stream-id</code> and, where the stream can be resumed, <code>headworks-resume-window-ms</code>; the trailers what those of <code>ChatService.Complete</code> carry. A stream that fails ends with a
   * status; what came before it is a partial answer.
   * Errors: those of <code>ChatService.Complete</code>, and STREAM_BROKEN once there was content.
   */
  public Answers<io.headworks.v1.StreamResponse> stream(io.headworks.v1.StreamRequest request) {
    return stream(request, RequestOptions.DEFAULT);
  }

  /**
   * Answers a chat event by event. Needs the role CALLER. The initial metadata carry <code>headworks-request-id</code>,
   * <code>headworks-stream-id</code> and, where the stream can be resumed, <code>headworks-resume-window-ms</code>; the trailers what those of <code>ChatService.Complete</code> carry. A stream that fails ends with a
   * status; what came before it is a partial answer.
   * Errors: those of <code>ChatService.Complete</code>, and STREAM_BROKEN once there was content.
   */
  public Answers<io.headworks.v1.StreamResponse> stream(io.headworks.v1.StreamRequest request, RequestOptions options) {
    return core.stream(StreamServiceGrpc.getStreamMethod(), request, !request.getChat().getRequestId().isEmpty(), options);
  }

  /**
   * Goes on with a stream whose connection was lost, for as long as its <code>resume_window</code>. Only the key that began it
   * may. Streams are kept in the memory of the node that began them; those begun at a REST door are read on there, by
   * <code>GET /v1/streams/{id}</code> with the header <code>last-event-id</code>.
   * Errors: STREAM_GONE; INVALID_REQUEST for an <code>after_sequence</code> beyond the end.
   */
  public Answers<io.headworks.v1.ResumeResponse> resume(io.headworks.v1.ResumeRequest request) {
    return resume(request, RequestOptions.DEFAULT);
  }

  /**
   * Goes on with a stream whose connection was lost, for as long as its <code>resume_window</code>. Only the key that began it
   * may. Streams are kept in the memory of the node that began them; those begun at a REST door are read on there, by
   * <code>GET /v1/streams/{id}</code> with the header <code>last-event-id</code>.
   * Errors: STREAM_GONE; INVALID_REQUEST for an <code>after_sequence</code> beyond the end.
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
