// Made of key_service.proto.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { type CallOptions, type Core, Pager } from "../runtime.js";
import type * as v1 from "../v1.js";
import { KeyService } from "../gen/headworks/v1/key_service_pb.js";

/**
 * Manages keys, groups and budgets. Needs the role ADMIN or KEY_MANAGER, to read READER too, but for a key that reads
 * itself. A key manager makes and changes no key with the role ADMIN or KEY_MANAGER. A key manager or reader that
 * belongs to a group reaches that group and what is in it alone; what is out of reach is NOT_FOUND. It reads its own
 * group but does not change it.
 */
export class Keys {
  readonly #core: Core;
  readonly #stub: Client<typeof KeyService>;

  constructor(core: Core) {
    this.#core = core;
    this.#stub = createClient(KeyService, core.transport);
  }

  /**
   * Makes a key. Its secret is in this answer and nowhere else.
   * Errors: INVALID_REQUEST, NOT_FOUND for an unknown group, PERMISSION_DENIED.
   */
  createKey(request: MessageInitShape<typeof v1.CreateKeyRequestSchema> = {}, options?: CallOptions): Promise<v1.CreateKeyResponse> {
    return this.#core.unary((o) => this.#stub.createKey(request, o), false, options);
  }

  /**
   * Gets a key. A key may always get itself, by the id `self` too.
   * Errors: NOT_FOUND, also for a key that the caller may not see.
   */
  getKey(request: MessageInitShape<typeof v1.GetKeyRequestSchema> = {}, options?: CallOptions): Promise<v1.GetKeyResponse> {
    return this.#core.unary((o) => this.#stub.getKey(request, o), true, options);
  }

  /**
   * Lists keys, by id.
   * Errors: INVALID_REQUEST, PERMISSION_DENIED.
   */
  listKeys(request: MessageInitShape<typeof v1.ListKeysRequestSchema> = {}, options?: CallOptions): Pager<v1.Key, v1.ListKeysResponse> {
    const fetch = (pageToken: string) => this.#core.unary((o) => this.#stub.listKeys({ ...request, pageToken }, o), true, options);
    return new Pager(fetch, (page) => page.keys, request.pageToken ?? "");
  }

  /**
   * Changes a key. Effective for the next call.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST for an unknown path, PERMISSION_DENIED.
   */
  updateKey(request: MessageInitShape<typeof v1.UpdateKeyRequestSchema> = {}, options?: CallOptions): Promise<v1.UpdateKeyResponse> {
    return this.#core.unary((o) => this.#stub.updateKey(request, o), false, options);
  }

  /**
   * Gives a key a new secret; the old one works on for a while. What the key spent stays with it.
   * Errors: NOT_FOUND, CONFLICT for a revoked key, INVALID_REQUEST, PERMISSION_DENIED.
   */
  rotateKey(request: MessageInitShape<typeof v1.RotateKeyRequestSchema> = {}, options?: CallOptions): Promise<v1.RotateKeyResponse> {
    return this.#core.unary((o) => this.#stub.rotateKey(request, o), false, options);
  }

  /**
   * Ends a key for good. Effective for the next call.
   * Errors: NOT_FOUND, PERMISSION_DENIED. Revoking twice is no error.
   */
  revokeKey(request: MessageInitShape<typeof v1.RevokeKeyRequestSchema> = {}, options?: CallOptions): Promise<v1.RevokeKeyResponse> {
    return this.#core.unary((o) => this.#stub.revokeKey(request, o), true, options);
  }

  /**
   * Makes a group.
   * Errors: INVALID_REQUEST, NOT_FOUND for an unknown parent, PERMISSION_DENIED.
   */
  createGroup(request: MessageInitShape<typeof v1.CreateGroupRequestSchema> = {}, options?: CallOptions): Promise<v1.CreateGroupResponse> {
    return this.#core.unary((o) => this.#stub.createGroup(request, o), false, options);
  }

  /**
   * Gets a group.
   * Errors: NOT_FOUND, PERMISSION_DENIED.
   */
  getGroup(request: MessageInitShape<typeof v1.GetGroupRequestSchema> = {}, options?: CallOptions): Promise<v1.GetGroupResponse> {
    return this.#core.unary((o) => this.#stub.getGroup(request, o), true, options);
  }

  /**
   * Lists groups, by id.
   * Errors: INVALID_REQUEST, PERMISSION_DENIED.
   */
  listGroups(request: MessageInitShape<typeof v1.ListGroupsRequestSchema> = {}, options?: CallOptions): Pager<v1.Group, v1.ListGroupsResponse> {
    const fetch = (pageToken: string) => this.#core.unary((o) => this.#stub.listGroups({ ...request, pageToken }, o), true, options);
    return new Pager(fetch, (page) => page.groups, request.pageToken ?? "");
  }

  /**
   * Changes a group. Effective for the next call of every key in it.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST for a circle of groups or an unknown path, PERMISSION_DENIED.
   */
  updateGroup(request: MessageInitShape<typeof v1.UpdateGroupRequestSchema> = {}, options?: CallOptions): Promise<v1.UpdateGroupResponse> {
    return this.#core.unary((o) => this.#stub.updateGroup(request, o), false, options);
  }

  /**
   * Deletes a group. Revoked keys in it lose their group.
   * Errors: NOT_FOUND, CONFLICT if the etag is old or keys or groups are still in it, PERMISSION_DENIED.
   */
  deleteGroup(request: MessageInitShape<typeof v1.DeleteGroupRequestSchema> = {}, options?: CallOptions): Promise<v1.DeleteGroupResponse> {
    return this.#core.unary((o) => this.#stub.deleteGroup(request, o), false, options);
  }

  /**
   * Gets what is left of a key's or group's budget. A key may always ask for its own.
   * Errors: NOT_FOUND, INVALID_REQUEST.
   */
  getBudget(request: MessageInitShape<typeof v1.GetBudgetRequestSchema> = {}, options?: CallOptions): Promise<v1.GetBudgetResponse> {
    return this.#core.unary((o) => this.#stub.getBudget(request, o), true, options);
  }

  /**
   * Lists crossings of budgets' thresholds, newest first. A key without a role to read others sees its own.
   * Errors: INVALID_REQUEST.
   */
  listAlerts(request: MessageInitShape<typeof v1.ListAlertsRequestSchema> = {}, options?: CallOptions): Pager<v1.Alert, v1.ListAlertsResponse> {
    const fetch = (pageToken: string) => this.#core.unary((o) => this.#stub.listAlerts({ ...request, pageToken }, o), true, options);
    return new Pager(fetch, (page) => page.alerts, request.pageToken ?? "");
  }

  /**
   * Tells of crossings of budgets' thresholds as they happen. A key without a role to read others sees its own.
   * Errors: OVERLOADED where the caller reads too slowly.
   */
  watchAlerts(request: MessageInitShape<typeof v1.WatchAlertsRequestSchema> = {}, options?: CallOptions): AsyncIterable<v1.WatchAlertsResponse> {
    return this.#core.stream((o) => this.#stub.watchAlerts(request, o), true, options);
  }
}
