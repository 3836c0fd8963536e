// Made of policy_service.proto.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { type CallOptions, type Core, Pager } from "../runtime.js";
import type * as v1 from "../v1.js";
import { PolicyService } from "../gen/headworks/v1/policy_service_pb.js";

/**
 * Manages policies: which targets serve a call, and in which order. Needs the role ADMIN; to
 * read, KEY_MANAGER or READER will do, and to explain and simulate, READER.
 */
export class Policies {
  readonly #core: Core;
  readonly #stub: Client<typeof PolicyService>;

  constructor(core: Core) {
    this.#core = core;
    this.#stub = createClient(PolicyService, core.transport);
  }

  /**
   * Makes a policy, to be asked for as `policy/NAME`.
   * Errors: ALREADY_EXISTS, INVALID_REQUEST with the field, NOT_IMPLEMENTED for what this version does not serve.
   */
  createPolicy(request: MessageInitShape<typeof v1.CreatePolicyRequestSchema> = {}, options?: CallOptions): Promise<v1.CreatePolicyResponse> {
    return this.#core.unary((o) => this.#stub.createPolicy(request, o), false, options);
  }

  /**
   * Gets a policy, or an earlier version of it.
   * Errors: NOT_FOUND.
   */
  getPolicy(request: MessageInitShape<typeof v1.GetPolicyRequestSchema> = {}, options?: CallOptions): Promise<v1.GetPolicyResponse> {
    return this.#core.unary((o) => this.#stub.getPolicy(request, o), true, options);
  }

  /**
   * Lists policies, by name.
   * Errors: INVALID_REQUEST.
   */
  listPolicies(request: MessageInitShape<typeof v1.ListPoliciesRequestSchema> = {}, options?: CallOptions): Pager<v1.Policy, v1.ListPoliciesResponse> {
    const fetch = (pageToken: string) => this.#core.unary((o) => this.#stub.listPolicies({ ...request, pageToken }, o), true, options);
    return new Pager(fetch, (page) => page.policies, request.pageToken ?? "");
  }

  /**
   * Lists the versions of a policy, newest first. They outlive the policy.
   * Errors: NOT_FOUND.
   */
  listPolicyVersions(request: MessageInitShape<typeof v1.ListPolicyVersionsRequestSchema> = {}, options?: CallOptions): Pager<v1.Policy, v1.ListPolicyVersionsResponse> {
    const fetch = (pageToken: string) => this.#core.unary((o) => this.#stub.listPolicyVersions({ ...request, pageToken }, o), true, options);
    return new Pager(fetch, (page) => page.policies, request.pageToken ?? "");
  }

  /**
   * Changes a policy. Effective for the next call.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST with the field or for an unknown path.
   */
  updatePolicy(request: MessageInitShape<typeof v1.UpdatePolicyRequestSchema> = {}, options?: CallOptions): Promise<v1.UpdatePolicyResponse> {
    return this.#core.unary((o) => this.#stub.updatePolicy(request, o), false, options);
  }

  /**
   * Deletes a policy. Effective for the next call.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, or if a key, a group or another policy still names it.
   */
  deletePolicy(request: MessageInitShape<typeof v1.DeletePolicyRequestSchema> = {}, options?: CallOptions): Promise<v1.DeletePolicyResponse> {
    return this.#core.unary((o) => this.#stub.deletePolicy(request, o), false, options);
  }

  /**
   * Tells what would be tried for a chat and what was left out, and why; calls nobody. The way is that of a real call.
   * Errors: INVALID_REQUEST, NOT_FOUND for a key. Where nothing would be tried, the answer says so.
   */
  explainRoute(request: MessageInitShape<typeof v1.ExplainRouteRequestSchema> = {}, options?: CallOptions): Promise<v1.ExplainRouteResponse> {
    return this.#core.unary((o) => this.#stub.explainRoute(request, o), true, options);
  }

  /**
   * Replays recorded requests through a policy and tells what would have happened. Calls nobody.
   * Errors: INVALID_REQUEST.
   */
  simulatePolicy(request: MessageInitShape<typeof v1.SimulatePolicyRequestSchema> = {}, options?: CallOptions): Promise<v1.SimulatePolicyResponse> {
    return this.#core.unary((o) => this.#stub.simulatePolicy(request, o), true, options);
  }
}
