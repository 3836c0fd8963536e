// Made of usage_service.proto.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { type CallOptions, type Core, Pager } from "../runtime.js";
import type * as v1 from "../v1.js";
import { UsageService } from "../gen/headworks/v1/usage_service_pb.js";

/**
 * Tells what was called and what it cost. A key sees its own calls; one with the role READER those of its group and
 * below, or all where it has no group; an admin all.
 */
export class Usage {
  readonly #core: Core;
  readonly #stub: Client<typeof UsageService>;

  constructor(core: Core) {
    this.#core = core;
    this.#stub = createClient(UsageService, core.transport);
  }

  /**
   * Sums over calls. Rows come by step, then by group. A call counts where it ended; tokens and money of an attempt
   * that another came after count at that attempt's provider and model.
   * Errors: INVALID_REQUEST for an unknown metric or group, PERMISSION_DENIED for another key's calls.
   */
  queryUsage(request: MessageInitShape<typeof v1.QueryUsageRequestSchema> = {}, options?: CallOptions): Pager<v1.UsageRow, v1.QueryUsageResponse> {
    const fetch = (pageToken: string) => this.#core.unary((o) => this.#stub.queryUsage({ ...request, pageToken }, o), true, options);
    return new Pager(fetch, (page) => page.rows, request.pageToken ?? "");
  }

  /**
   * Lists calls, newest first.
   * Errors: INVALID_REQUEST, PERMISSION_DENIED for another key's calls.
   */
  listRequests(request: MessageInitShape<typeof v1.ListRequestsRequestSchema> = {}, options?: CallOptions): Pager<v1.RequestRecord, v1.ListRequestsResponse> {
    const fetch = (pageToken: string) => this.#core.unary((o) => this.#stub.listRequests({ ...request, pageToken }, o), true, options);
    return new Pager(fetch, (page) => page.requests, request.pageToken ?? "");
  }

  /**
   * Gets one call with every attempt.
   * Errors: NOT_FOUND, also for a call that the caller may not see; a call's record lands when it ends.
   */
  getRequest(request: MessageInitShape<typeof v1.GetRequestRequestSchema> = {}, options?: CallOptions): Promise<v1.GetRequestResponse> {
    return this.#core.unary((o) => this.#stub.getRequest(request, o), true, options);
  }

  /**
   * Tells of calls once their records are on disk, from now on. A reader that is too slow misses calls and is told so
   * by `missed_windows`.
   * Errors: PERMISSION_DENIED for another key's calls.
   */
  watchRequests(request: MessageInitShape<typeof v1.WatchRequestsRequestSchema> = {}, options?: CallOptions): AsyncIterable<v1.WatchRequestsResponse> {
    return this.#core.stream((o) => this.#stub.watchRequests(request, o), true, options);
  }

  /**
   * Writes out calls, oldest first. The pieces' bytes, one after the other, are the file.
   * Errors: PERMISSION_DENIED for another key's calls.
   */
  exportRequests(request: MessageInitShape<typeof v1.ExportRequestsRequestSchema> = {}, options?: CallOptions): AsyncIterable<v1.ExportRequestsResponse> {
    return this.#core.stream((o) => this.#stub.exportRequests(request, o), true, options);
  }
}
