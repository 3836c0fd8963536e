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
   * Embeds texts. Needs the role CALLER. More inputs than the provider takes at once are sent in pieces and
   * answered as one call. Falls back only to another host of the same model: vectors of two models cannot be compared.
   * Errors: those of <code>ChatService.Complete</code>.
   */
  public io.headworks.v1.EmbedResponse embed(io.headworks.v1.EmbedRequest request) {
    return embed(request, RequestOptions.DEFAULT);
  }

  /**
   * Embeds texts. Needs the role CALLER. More inputs than the provider takes at once are sent in pieces and
   * answered as one call. Falls back only to another host of the same model: vectors of two models cannot be compared.
   * Errors: those of <code>ChatService.Complete</code>.
   */
  public io.headworks.v1.EmbedResponse embed(io.headworks.v1.EmbedRequest request, RequestOptions options) {
    return core.unary(EmbeddingServiceGrpc.getEmbedMethod(), request, !request.getRequestId().isEmpty(), options);
  }
}
