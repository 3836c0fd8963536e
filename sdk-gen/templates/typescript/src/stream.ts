// Streams that survive a lost connection.
import type { CallOptions as ConnectOptions } from "@connectrpc/connect";
import { Fold, Reply } from "./chat.js";
import { fromThrown } from "./errors.js";
import type { Tries } from "./runtime.js";
import type { StreamEvent } from "./v1.js";

type Events = AsyncIterable<{ event?: StreamEvent | undefined }>;

/** How a stream is opened, gone on with, and ended. */
export interface Doors {
  open(options: ConnectOptions): Events;
  resume(streamId: string, afterSequence: bigint, options: ConnectOptions): Events;
  cancel(streamId: string): Promise<unknown>;
  readonly tries: Tries;
  readonly resumable: boolean;
  readonly repeatable: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * The events of an answer as it is written. Walk it with `for await` for events, `text()` for text alone, or
 * `collect()` the whole answer. Leaving the loop early, or `close()`, ends the call. A lost connection is taken up where
 * it broke, for a minute or the chat's `resumeWindow`; one of 0 turns that off.
 */
export class ChatStream implements AsyncIterable<StreamEvent> {
  readonly #doors: Doors;
  readonly #fold = new Fold();
  readonly #abort = new AbortController();
  readonly #events: AsyncGenerator<StreamEvent>;
  #streamId = "";
  #sequence = 0n;
  #resumes = 0;
  #over = false;

  constructor(doors: Doors) {
    this.#doors = doors;
    doors.signal?.addEventListener("abort", () => this.#leave(doors.signal?.reason), { once: true });
    if (doors.signal?.aborted) this.#abort.abort(doors.signal.reason);
    this.#events = this.#run();
  }

  /** Identifies the stream. Empty until its first event. */
  get streamId(): string {
    return this.#streamId;
  }

  /** How often a lost connection was taken up. */
  get resumes(): number {
    return this.#resumes;
  }

  /** The answer as far as it was read. */
  get soFar(): Reply {
    return new Reply(this.#fold.reply);
  }

  async *#run(): AsyncGenerator<StreamEvent> {
    const { tries, resumable, repeatable } = this.#doors;
    for (;;) {
      const options = tries.options(this.#abort.signal);
      const events = this.#streamId ? this.#doors.resume(this.#streamId, this.#sequence, options) : this.#doors.open(options);
      try {
        for await (const { event } of events) {
          if (!event || (event.sequence > 0n && event.sequence <= this.#sequence)) continue;
          this.#sequence = event.sequence;
          if (event.kind.case === "started") this.#streamId = event.kind.value.streamId;
          tries.progress();
          this.#fold.add(event);
          yield event;
        }
        this.#over = true;
        return;
      } catch (thrown) {
        const error = fromThrown(thrown);
        if (this.#streamId && !(resumable && error.lost)) {
          this.#over = true;
          throw error;
        }
        await tries.wait(error, repeatable || this.#streamId !== "", this.#abort.signal);
        if (this.#streamId) this.#resumes += 1;
      }
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent> {
    try {
      for (let next; !(next = await this.#events.next()).done; ) yield next.value;
    } finally {
      this.close();
    }
  }

  /** The pieces of text of one answer. */
  async *text(choice = 0): AsyncGenerator<string> {
    for await (const event of this) if (event.choice === choice && event.kind.case === "text") yield event.kind.value;
  }

  /** Reads to the end; the whole answer, with what was read before. */
  async collect(): Promise<Reply> {
    for await (const _ of this);
    return this.soFar;
  }

  /** Ends the stream at the gateway, also one with a `resumeWindow`. */
  async cancel(): Promise<void> {
    this.#over = true;
    if (this.#streamId) await this.#doors.cancel(this.#streamId);
    this.close();
  }

  /** Leaves the stream, and ends its call. */
  close(): void {
    this.#leave();
  }

  #leave(reason?: unknown): void {
    this.#abort.abort(reason);
    if (this.#over || !this.#streamId || !this.#doors.resumable) return;
    this.#over = true;
    // The gateway would go on for a client that may come back. If this fails, the call ends with its window.
    this.#doors.cancel(this.#streamId).catch(() => undefined);
  }
}
