// Made of chat_service.proto.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import type { CallOptions, Core } from "../runtime.js";
import type * as v1 from "../v1.js";
import { ChatService } from "../gen/headworks/v1/chat_service_pb.js";

/**
 * Answers chats in one piece.
 */
export class Chat {
  readonly #core: Core;
  readonly #stub: Client<typeof ChatService>;

  constructor(core: Core) {
    this.#core = core;
    this.#stub = createClient(ChatService, core.transport);
  }

  /**
   * Answers a chat. Needs the role CALLER. The initial metadata carry `headworks-request-id`; the trailers carry
   * `headworks-request-id`, `headworks-provider`, `headworks-model`, `headworks-attempts` and `headworks-cost-usd`.
   * Errors: INVALID_REQUEST with field violations, MODEL_NOT_FOUND, MODEL_FORBIDDEN, REGION_FORBIDDEN,
   * CONTEXT_TOO_LONG, CAPABILITY_MISSING, RATE_LIMITED, BUDGET_EXCEEDED, COST_UNBOUNDED, PRICE_UNKNOWN,
   * UPSTREAM_CREDENTIALS, UPSTREAM_REJECTED, ALL_TARGETS_FAILED, TIMEOUT, OVERLOADED, NOT_IMPLEMENTED.
   */
  complete(request: MessageInitShape<typeof v1.CompleteRequestSchema> = {}, options?: CallOptions): Promise<v1.CompleteResponse> {
    return this.#core.unary((o) => this.#stub.complete(request, o), Boolean(request.chat?.requestId), options);
  }
}
