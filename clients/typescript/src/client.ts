// The client, over whatever transport.
import type { Transport } from "@connectrpc/connect";
import { type ClientOptions, Core } from "./runtime.js";
import { Chat } from "./services/chat.js";
import { Embeddings } from "./services/embeddings.js";
import { Keys } from "./services/keys.js";
import { Policies } from "./services/policies.js";
import { Models } from "./services/models.js";
import { Streams } from "./services/streams.js";
import { Usage } from "./services/usage.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { Reply } from "./chat.js";
import { StreamService } from "./gen/headworks/v1/stream_service_pb.js";
import { type CallOptions, Tries } from "./runtime.js";
import { ChatStream } from "./stream.js";
import { ChatReplySchema, ChatSchema } from "./v1.js";
import { clone, create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";

/** A client of the gateway. */
export class Client {
  readonly #core: Core;
  /** Answers chats in one piece. */
  readonly chat: Chat;
  /** Turns texts into vectors. */
  readonly embeddings: Embeddings;
  /** Manages keys, groups and budgets. Needs the role ADMIN or KEY_MANAGER, to read READER too, but for a key that reads itself. A key manager makes and changes no key with the role ADMIN or KEY_MANAGER. A key manager or reader that belongs to a group reaches that group and what is in it alone; what is out of reach is NOT_FOUND. It reads its own group but does not change it. */
  readonly keys: Keys;
  /** Manages policies: which targets serve a call, and in which order. Needs the role ADMIN; to read, KEY_MANAGER or READER will do, and to explain and simulate, READER. */
  readonly policies: Policies;
  /** Tells which models and providers there are, and what they would make of a request. Admins add models and change them. */
  readonly models: Models;
  /** Answers chats as they are written. */
  readonly streams: Streams;
  /** Tells what was called and what it cost. A key sees its own calls; one with the role READER those of its group and below, or all where it has no group; an admin all. */
  readonly usage: Usage;

  constructor(transport: Transport, options: ClientOptions = {}) {
    this.#core = new Core(transport, options);
    this.chat = new Chat(this.#core);
    this.embeddings = new Embeddings(this.#core);
    this.keys = new Keys(this.#core);
    this.policies = new Policies(this.#core);
    this.models = new Models(this.#core);
    this.streams = new Streams(this.#core);
    this.usage = new Usage(this.#core);
  }

  /** Answers a chat in one piece. */
  async complete(chat: MessageInitShape<typeof ChatSchema>, options?: CallOptions): Promise<Reply> {
    const { reply } = await this.chat.complete({ chat }, options);
    return new Reply(reply ?? create(ChatReplySchema));
  }

  /** Answers a chat as it is written. */
  stream(chat: MessageInitShape<typeof ChatSchema>, options: CallOptions = {}): ChatStream {
    const stub = createClient(StreamService, this.#core.transport);
    const asked = clone(ChatSchema, create(ChatSchema, chat));
    const window = (asked.resumeWindow ??= durationFromMs(60_000));
    return new ChatStream({
      open: (o) => stub.stream({ chat: asked }, o),
      resume: (streamId, afterSequence, o) => stub.resume({ streamId, afterSequence }, o),
      cancel: (streamId) => this.streams.cancel({ streamId }),
      tries: new Tries(this.#core, options),
      resumable: window.seconds > 0n || window.nanos > 0,
      repeatable: Boolean(chat.requestId),
      signal: options.signal,
    });
  }
}
