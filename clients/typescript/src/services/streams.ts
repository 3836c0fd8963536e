// Made of stream_service.proto.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import type { CallOptions, Core } from "../runtime.js";
import type * as v1 from "../v1.js";
import { StreamService } from "../gen/headworks/v1/stream_service_pb.js";

/**
 * Answers chats as they are written.
 */
export class Streams {
  readonly #core: Core;
  readonly #stub: Client<typeof StreamService>;

  constructor(core: Core) {
    this.#core = core;
    this.#stub = createClient(StreamService, core.transport);
  }

  /**
   * Answers a chat event by event. Needs the role CALLER. The initial metadata carry `headworks-request-id`,
   * `headworks-stream-id` and, where the stream can be resumed, `headworks-resume-window-ms`; the trailers what those of `ChatService.Complete` carry. A stream that fails ends with a
   * status; what came before it is a partial answer.
   * Errors: those of `ChatService.Complete`, and STREAM_BROKEN once there was content.
   */
  stream(request: MessageInitShape<typeof v1.StreamRequestSchema> = {}, options?: CallOptions): AsyncIterable<v1.StreamResponse> {
    return this.#core.stream((o) => this.#stub.stream(request, o), Boolean(request.chat?.requestId), options);
  }

  /**
   * Goes on with a stream whose connection was lost, for as long as its `resume_window`. Only the key that began it
   * may. Streams are kept in the memory of the node that began them; those begun at a REST door are read on there, by
   * `GET /v1/streams/{id}` with the header `last-event-id`.
   * Errors: STREAM_GONE; INVALID_REQUEST for an `after_sequence` beyond the end.
   */
  resume(request: MessageInitShape<typeof v1.ResumeRequestSchema> = {}, options?: CallOptions): AsyncIterable<v1.ResumeResponse> {
    return this.#core.stream((o) => this.#stub.resume(request, o), true, options);
  }

  /**
   * Ends a stream; what was consumed is billed. Only the key that began it may.
   * Errors: STREAM_GONE if it is not under way or is another key's.
   */
  cancel(request: MessageInitShape<typeof v1.CancelRequestSchema> = {}, options?: CallOptions): Promise<v1.CancelResponse> {
    return this.#core.unary((o) => this.#stub.cancel(request, o), true, options);
  }
}
