// Made of embedding_service.proto.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import type { CallOptions, Core } from "../runtime.js";
import type * as v1 from "../v1.js";
import { EmbeddingService } from "../gen/headworks/v1/embedding_service_pb.js";

/**
 * Turns texts into vectors.
 */
export class Embeddings {
  readonly #core: Core;
  readonly #stub: Client<typeof EmbeddingService>;

  constructor(core: Core) {
    this.#core = core;
    this.#stub = createClient(EmbeddingService, core.transport);
  }

  /**
   * Embeds texts. Needs the role CALLER. More inputs than the provider takes at once are sent in pieces and
   * answered as one call. Falls back only to another host of the same model: vectors of two models cannot be compared.
   * Errors: those of `ChatService.Complete`.
   */
  embed(request: MessageInitShape<typeof v1.EmbedRequestSchema> = {}, options?: CallOptions): Promise<v1.EmbedResponse> {
    return this.#core.unary((o) => this.#stub.embed(request, o), Boolean(request.requestId), options);
  }
}
