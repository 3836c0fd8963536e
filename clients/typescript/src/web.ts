// For browsers: gRPC-Web.
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { Client } from "./client.js";
import { type ClientOptions, identify } from "./runtime.js";
import { version } from "./version.js";

export * from "./common.js";

/** A client of the gateway by gRPC-Web. `baseUrl` defaults to the page's own origin. The gateway must allow the page's origin. */
export class Headworks extends Client {
  constructor(options: ClientOptions = {}) {
    const baseUrl = options.baseUrl ?? globalThis.location.origin;
    const agent = `${options.userAgent ? options.userAgent + " " : ""}headworks-web/${version}`;
    super(createGrpcWebTransport({ baseUrl, interceptors: [identify(options.apiKey ?? "", "x-user-agent", agent)] }), options);
  }

  /** Nothing to close: the browser keeps its connections. */
  close(): void {}
}
