// What every entry offers.
export { Code } from "@connectrpc/connect";
export { durationFromMs, durationMs, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
export { Client } from "./client.js";
export { type ErrorFacts, type FieldViolation, HeadworksError, Reason } from "./errors.js";
export { nanoUsd, usd } from "./money.js";
export { type CallOptions, type ClientOptions, Core, Pager } from "./runtime.js";
export { Chat } from "./services/chat.js";
export { Embeddings } from "./services/embeddings.js";
export { Keys } from "./services/keys.js";
export { Policies } from "./services/policies.js";
export { Models } from "./services/models.js";
export { Streams } from "./services/streams.js";
export { Usage } from "./services/usage.js";
export * as v1 from "./v1.js";
export { version } from "./version.js";
export * from "./chat.js";
export { ChatStream } from "./stream.js";
