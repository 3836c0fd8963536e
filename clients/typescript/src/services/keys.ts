// Made of key_service.proto.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { type CallOptions, type Core, Pager } from "../runtime.js";
import type * as v1 from "../v1.js";
import { KeyService } from "../gen/headworks/v1/key_service_pb.js";

/**
 * Manages keys, groups and budgets. Needs the role ADMIN, but for a key that reads itself.
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
   * Errors: INVALID_REQUEST, PERMISSION_DENIED, NOT_IMPLEMENTED for a field that this version does not serve.
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
   * Gives a key a new secret; the old one works on for a while. Not served by this version.
   * Errors: NOT_IMPLEMENTED, NOT_FOUND, PERMISSION_DENIED.
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
   * Makes a group. Not served by this version.
   * Errors: NOT_IMPLEMENTED, INVALID_REQUEST, PERMISSION_DENIED.
   */
  createGroup(request: MessageInitShape<typeof v1.CreateGroupRequestSchema> = {}, options?: CallOptions): Promise<v1.CreateGroupResponse> {
    return this.#core.unary((o) => this.#stub.createGroup(request, o), false, options);
  }

  /**
   * Gets a group. Not served by this version.
   * Errors: NOT_IMPLEMENTED, NOT_FOUND, PERMISSION_DENIED.
   */
  getGroup(request: MessageInitShape<typeof v1.GetGroupRequestSchema> = {}, options?: CallOptions): Promise<v1.GetGroupResponse> {
    return this.#core.unary((o) => this.#stub.getGroup(request, o), true, options);
  }

  /**
   * Lists groups. Not served by this version.
   * Errors: NOT_IMPLEMENTED, INVALID_REQUEST, PERMISSION_DENIED.
   */
  listGroups(request: MessageInitShape<typeof v1.ListGroupsRequestSchema> = {}, options?: CallOptions): Pager<v1.Group, v1.ListGroupsResponse> {
    const fetch = (pageToken: string) => this.#core.unary((o) => this.#stub.listGroups({ ...request, pageToken }, o), true, options);
    return new Pager(fetch, (page) => page.groups, request.pageToken ?? "");
  }

  /**
   * Changes a group. Not served by this version.
   * Errors: NOT_IMPLEMENTED, NOT_FOUND, CONFLICT, INVALID_REQUEST, PERMISSION_DENIED.
   */
  updateGroup(request: MessageInitShape<typeof v1.UpdateGroupRequestSchema> = {}, options?: CallOptions): Promise<v1.UpdateGroupResponse> {
    return this.#core.unary((o) => this.#stub.updateGroup(request, o), false, options);
  }

  /**
   * Deletes a group. Not served by this version.
   * Errors: NOT_IMPLEMENTED, NOT_FOUND, CONFLICT, PERMISSION_DENIED.
   */
  deleteGroup(request: MessageInitShape<typeof v1.DeleteGroupRequestSchema> = {}, options?: CallOptions): Promise<v1.DeleteGroupResponse> {
    return this.#core.unary((o) => this.#stub.deleteGroup(request, o), false, options);
  }

  /**
   * Gets what is left of a key's budget. A key may always ask for its own. Not served by this version.
   * Errors: NOT_IMPLEMENTED, NOT_FOUND.
   */
  getBudget(request: MessageInitShape<typeof v1.GetBudgetRequestSchema> = {}, options?: CallOptions): Promise<v1.GetBudgetResponse> {
    return this.#core.unary((o) => this.#stub.getBudget(request, o), true, options);
  }
}
