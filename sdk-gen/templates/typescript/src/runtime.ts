// Deadlines and retries. Knows nothing of the schema.
import type { CallOptions as ConnectOptions, Interceptor, Transport } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import { fromThrown, HeadworksError } from "./errors.js";

/** The largest message sent or taken, bytes. */
export const messageLimit = 64 << 20;

/** Reasons that another try can help. */
const retried = new Set(["RATE_LIMITED", "OVERLOADED", "ALL_TARGETS_FAILED", "INTERNAL"]);

/** How the client works. */
export interface ClientOptions {
  /** The gateway, such as `https://gateway.example`. */
  readonly baseUrl?: string;
  /** Its key. */
  readonly apiKey?: string;
  /** Deadline of each call, retries included. Default: 10 minutes. */
  readonly timeoutMs?: number;
  /** Tries after the first, where another can help. Default: 2. */
  readonly maxRetries?: number;
  /** Put before the client's own user agent. */
  readonly userAgent?: string;
}

/** How one call is made, where it differs from the client's ways. */
export interface CallOptions {
  /** Deadline of the whole call, retries included. */
  readonly timeoutMs?: number;
  /** Tries after the first. */
  readonly maxRetries?: number;
  /** Ends the call. */
  readonly signal?: AbortSignal;
  /** More headers to send. */
  readonly headers?: HeadersInit;
}

/** Sends the key and the client's name. */
export function identify(apiKey: string, agentHeader: string, agent: string): Interceptor {
  return (next) => (request) => {
    if (apiKey) request.header.set("authorization", `Bearer ${apiKey}`);
    request.header.set(agentHeader, agent);
    return next(request);
  };
}

/** Counts the tries of one call and waits for the next. */
export class Tries {
  #made = 0;
  readonly #end: number;
  readonly #limit: number;
  readonly #signal: AbortSignal | undefined;
  readonly #headers: HeadersInit | undefined;

  constructor(core: Core, options: CallOptions) {
    this.#limit = options.maxRetries ?? core.maxRetries;
    this.#end = Date.now() + (options.timeoutMs ?? core.timeoutMs);
    this.#signal = options.signal;
    this.#headers = options.headers;
  }

  /** There was progress: the count begins anew. */
  progress(): void {
    this.#made = 0;
  }

  /** What the next try is made with. */
  options(signal = this.#signal): ConnectOptions {
    const headers = this.#headers === undefined ? {} : { headers: this.#headers };
    return { timeoutMs: Math.max(1, this.#end - Date.now()), ...(signal ? { signal } : {}), ...headers };
  }

  /** Waits for the next try; throws the error when there is none. */
  async wait(thrown: unknown, idempotent: boolean, signal = this.#signal): Promise<void> {
    const error = fromThrown(thrown);
    const limit = error.reason === "INTERNAL" ? Math.min(1, this.#limit) : this.#limit;
    const again = (idempotent && error.lost) || (error.fromGateway && retried.has(error.reason) && error.retryable);
    if (error.noRetry || !again || this.#made >= limit || signal?.aborted) throw error;
    this.#made += 1;
    const backoff = Math.min(200 * 2 ** (this.#made - 1), 8000) * (0.75 + Math.random() / 2);
    const wait = error.retryAfterMs ?? backoff;
    if (Date.now() + wait >= this.#end) throw error;
    await pause(wait, signal);
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    function done() {
      signal?.removeEventListener("abort", stop);
      resolve();
    }
    function stop() {
      clearTimeout(timer);
      reject(new HeadworksError("the call was cancelled", Code.Canceled, { reason: "CANCELLED", metadata: {}, violations: [], fromGateway: false, noRetry: true }));
    }
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** What the services stand on. */
export class Core {
  readonly timeoutMs: number;
  readonly maxRetries: number;

  constructor(readonly transport: Transport, options: ClientOptions) {
    this.timeoutMs = options.timeoutMs ?? 600_000;
    this.maxRetries = options.maxRetries ?? 2;
  }

  /** Makes a call, and again where that can help. */
  async unary<R>(call: (options: ConnectOptions) => Promise<R>, idempotent: boolean, options: CallOptions = {}): Promise<R> {
    const tries = new Tries(this, options);
    for (;;) {
      try {
        return await call(tries.options());
      } catch (thrown) {
        await tries.wait(thrown, idempotent);
      }
    }
  }

  /** Makes a streaming call, and again while nothing came of it. */
  async *stream<R>(call: (options: ConnectOptions) => AsyncIterable<R>, idempotent: boolean, options: CallOptions = {}): AsyncGenerator<R> {
    const tries = new Tries(this, options);
    for (let begun = false; ; ) {
      try {
        for await (const one of call(tries.options())) {
          begun = true;
          yield one;
        }
        return;
      } catch (thrown) {
        if (begun) throw fromThrown(thrown);
        await tries.wait(thrown, idempotent);
      }
    }
  }
}

/** A list that fetches its pages as it is walked: `for await` over all items, or over `pages()`. */
export class Pager<T, P extends { nextPageToken: string }> implements AsyncIterable<T> {
  readonly #fetch: (token: string) => Promise<P>;
  readonly #items: (page: P) => readonly T[];
  readonly #token: string;

  constructor(fetch: (token: string) => Promise<P>, items: (page: P) => readonly T[], token: string) {
    this.#fetch = fetch;
    this.#items = items;
    this.#token = token;
  }

  async *pages(): AsyncGenerator<P> {
    for (let token = this.#token; ; ) {
      const page = await this.#fetch(token);
      yield page;
      token = page.nextPageToken;
      if (!token) return;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for await (const page of this.pages()) yield* this.#items(page);
  }
}
