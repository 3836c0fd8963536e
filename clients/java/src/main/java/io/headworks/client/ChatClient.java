package io.headworks.client;

import io.headworks.v1.ChatServiceGrpc;

/**
 * Answers chats in one piece.
 */
public final class ChatClient {
  private final Core core;

  ChatClient(Core core) {
    this.core = core;
  }

  /**
   * Answers a chat. Needs the role CALLER. The initial metadata carry <code>headworks-request-id</code>; the trailers carry
   * <code>headworks-request-id</code>, <code>headworks-provider</code>, <code>headworks-model</code>, <code>headworks-attempts</code> and <code>headworks-cost-usd</code>.
   * Errors: INVALID_REQUEST with field violations, MODEL_NOT_FOUND, MODEL_FORBIDDEN, REGION_FORBIDDEN,
   * CONTEXT_TOO_LONG, CAPABILITY_MISSING, RATE_LIMITED, BUDGET_EXCEEDED, COST_UNBOUNDED, PRICE_UNKNOWN,
   * UPSTREAM_CREDENTIALS, UPSTREAM_REJECTED, ALL_TARGETS_FAILED, TIMEOUT, OVERLOADED, NOT_IMPLEMENTED.
   */
  public io.headworks.v1.CompleteResponse complete(io.headworks.v1.CompleteRequest request) {
    return complete(request, RequestOptions.DEFAULT);
  }

  /**
   * Answers a chat. Needs the role CALLER. The initial metadata carry <code>headworks-request-id</code>; the trailers carry
   * <code>headworks-request-id</code>, <code>headworks-provider</code>, <code>headworks-model</code>, <code>headworks-attempts</code> and <code>headworks-cost-usd</code>.
   * Errors: INVALID_REQUEST with field violations, MODEL_NOT_FOUND, MODEL_FORBIDDEN, REGION_FORBIDDEN,
   * CONTEXT_TOO_LONG, CAPABILITY_MISSING, RATE_LIMITED, BUDGET_EXCEEDED, COST_UNBOUNDED, PRICE_UNKNOWN,
   * UPSTREAM_CREDENTIALS, UPSTREAM_REJECTED, ALL_TARGETS_FAILED, TIMEOUT, OVERLOADED, NOT_IMPLEMENTED.
   */
  public io.headworks.v1.CompleteResponse complete(io.headworks.v1.CompleteRequest request, RequestOptions options) {
    return core.unary(ChatServiceGrpc.getCompleteMethod(), request, !request.getChat().getRequestId().isEmpty(), options);
  }
}
