// For Node: native gRPC over HTTP/2.
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Client } from "./client.js";
import { type ClientOptions, identify, messageLimit } from "./runtime.js";
import { version } from "./version.js";

export * from "./common.js";

/** A client of the gateway by native gRPC. Defaults: `HEADWORKS_URL`, then http://127.0.0.1:8080; `HEADWORKS_API_KEY`. */
export class Headworks extends Client {
  readonly #session: Http2SessionManager;

  constructor(options: ClientOptions = {}) {
    const baseUrl = (options.baseUrl ?? process.env["HEADWORKS_URL"] ?? "http://127.0.0.1:8080").replace(/\/+$/, "");
    const agent = `${options.userAgent ? options.userAgent + " " : ""}headworks-node/${version} node/${process.versions.node}`;
    const session = new Http2SessionManager(baseUrl, { pingIntervalMs: 60_000, pingIdleConnection: false });
    const transport = createGrpcTransport({
      baseUrl,
      sessionManager: session,
      readMaxBytes: messageLimit,
      writeMaxBytes: messageLimit,
      interceptors: [identify(options.apiKey ?? process.env["HEADWORKS_API_KEY"] ?? "", "user-agent", agent)],
    });
    super(transport, options);
    this.#session = session;
  }

  /** Closes the connection; calls under way end. */
  close(): void {
    this.#session.abort();
  }
}
