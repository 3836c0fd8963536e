package io.headworks.client;

import io.headworks.v1.EmbeddingServiceGrpc;

/**
 * Turns texts into vectors.
 */
public final class EmbeddingsClient {
  private final Core core;

  EmbeddingsClient(Core core) {
    this.core = core;
  }

  /**
   * Embeds texts. Needs the role CALLER. Not served by this version.
   * Errors: NOT_IMPLEMENTED, and those of <code>ChatService.Complete</code>.
   */
  public io.headworks.v1.EmbedResponse embed(io.headworks.v1.EmbedRequest request) {
    return embed(request, RequestOptions.DEFAULT);
  }

  /**
   * Embeds texts. Needs the role CALLER. Not served by this version.
   * Errors: NOT_IMPLEMENTED, and those of <code>ChatService.Complete</code>.
   */
  public io.headworks.v1.EmbedResponse embed(io.headworks.v1.EmbedRequest request, RequestOptions options) {
    return core.unary(EmbeddingServiceGrpc.getEmbedMethod(), request, !request.getRequestId().isEmpty(), options);
  }
}
