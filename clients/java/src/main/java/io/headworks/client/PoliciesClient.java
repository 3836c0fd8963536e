package io.headworks.client;

import io.headworks.v1.PolicyServiceGrpc;

/**
 * Manages policies: which targets serve a call, and in which order. Needs the role ADMIN; to
 * read, KEY_MANAGER or READER will do, and to explain and simulate, READER.
 */
public final class PoliciesClient {
  private final Core core;

  PoliciesClient(Core core) {
    this.core = core;
  }

  /**
   * Makes a policy, to be asked for as <code>policy/NAME</code>.
   * Errors: ALREADY_EXISTS, INVALID_REQUEST with the field, NOT_IMPLEMENTED for what this version does not serve.
   */
  public io.headworks.v1.CreatePolicyResponse createPolicy(io.headworks.v1.CreatePolicyRequest request) {
    return createPolicy(request, RequestOptions.DEFAULT);
  }

  /**
   * Makes a policy, to be asked for as <code>policy/NAME</code>.
   * Errors: ALREADY_EXISTS, INVALID_REQUEST with the field, NOT_IMPLEMENTED for what this version does not serve.
   */
  public io.headworks.v1.CreatePolicyResponse createPolicy(io.headworks.v1.CreatePolicyRequest request, RequestOptions options) {
    return core.unary(PolicyServiceGrpc.getCreatePolicyMethod(), request, false, options);
  }

  /**
   * Gets a policy, or an earlier version of it.
   * Errors: NOT_FOUND.
   */
  public io.headworks.v1.GetPolicyResponse getPolicy(io.headworks.v1.GetPolicyRequest request) {
    return getPolicy(request, RequestOptions.DEFAULT);
  }

  /**
   * Gets a policy, or an earlier version of it.
   * Errors: NOT_FOUND.
   */
  public io.headworks.v1.GetPolicyResponse getPolicy(io.headworks.v1.GetPolicyRequest request, RequestOptions options) {
    return core.unary(PolicyServiceGrpc.getGetPolicyMethod(), request, true, options);
  }

  /**
   * Lists policies, by name.
   * Errors: INVALID_REQUEST.
   */
  public Pager<io.headworks.v1.Policy, io.headworks.v1.ListPoliciesResponse> listPolicies(io.headworks.v1.ListPoliciesRequest request) {
    return listPolicies(request, RequestOptions.DEFAULT);
  }

  /**
   * Lists policies, by name.
   * Errors: INVALID_REQUEST.
   */
  public Pager<io.headworks.v1.Policy, io.headworks.v1.ListPoliciesResponse> listPolicies(io.headworks.v1.ListPoliciesRequest request, RequestOptions options) {
    return new Pager<>(
        token -> core.unary(PolicyServiceGrpc.getListPoliciesMethod(), request.toBuilder().setPageToken(token).build(), true, options),
        io.headworks.v1.ListPoliciesResponse::getPoliciesList,
        io.headworks.v1.ListPoliciesResponse::getNextPageToken,
        request.getPageToken());
  }

  /**
   * Lists the versions of a policy, newest first. They outlive the policy.
   * Errors: NOT_FOUND.
   */
  public Pager<io.headworks.v1.Policy, io.headworks.v1.ListPolicyVersionsResponse> listPolicyVersions(io.headworks.v1.ListPolicyVersionsRequest request) {
    return listPolicyVersions(request, RequestOptions.DEFAULT);
  }

  /**
   * Lists the versions of a policy, newest first. They outlive the policy.
   * Errors: NOT_FOUND.
   */
  public Pager<io.headworks.v1.Policy, io.headworks.v1.ListPolicyVersionsResponse> listPolicyVersions(io.headworks.v1.ListPolicyVersionsRequest request, RequestOptions options) {
    return new Pager<>(
        token -> core.unary(PolicyServiceGrpc.getListPolicyVersionsMethod(), request.toBuilder().setPageToken(token).build(), true, options),
        io.headworks.v1.ListPolicyVersionsResponse::getPoliciesList,
        io.headworks.v1.ListPolicyVersionsResponse::getNextPageToken,
        request.getPageToken());
  }

  /**
   * Changes a policy. Effective for the next call.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST with the field or for an unknown path.
   */
  public io.headworks.v1.UpdatePolicyResponse updatePolicy(io.headworks.v1.UpdatePolicyRequest request) {
    return updatePolicy(request, RequestOptions.DEFAULT);
  }

  /**
   * Changes a policy. Effective for the next call.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST with the field or for an unknown path.
   */
  public io.headworks.v1.UpdatePolicyResponse updatePolicy(io.headworks.v1.UpdatePolicyRequest request, RequestOptions options) {
    return core.unary(PolicyServiceGrpc.getUpdatePolicyMethod(), request, false, options);
  }

  /**
   * Deletes a policy. Effective for the next call.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, or if a key, a group or another policy still names it.
   */
  public io.headworks.v1.DeletePolicyResponse deletePolicy(io.headworks.v1.DeletePolicyRequest request) {
    return deletePolicy(request, RequestOptions.DEFAULT);
  }

  /**
   * Deletes a policy. Effective for the next call.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, or if a key, a group or another policy still names it.
   */
  public io.headworks.v1.DeletePolicyResponse deletePolicy(io.headworks.v1.DeletePolicyRequest request, RequestOptions options) {
    return core.unary(PolicyServiceGrpc.getDeletePolicyMethod(), request, false, options);
  }

  /**
   * Tells what would be tried for a chat and what was left out, and why; calls nobody. The way is that of a real call.
   * Errors: INVALID_REQUEST, NOT_FOUND for a key. Where nothing would be tried, the answer says so.
   */
  public io.headworks.v1.ExplainRouteResponse explainRoute(io.headworks.v1.ExplainRouteRequest request) {
    return explainRoute(request, RequestOptions.DEFAULT);
  }

  /**
   * Tells what would be tried for a chat and what was left out, and why; calls nobody. The way is that of a real call.
   * Errors: INVALID_REQUEST, NOT_FOUND for a key. Where nothing would be tried, the answer says so.
   */
  public io.headworks.v1.ExplainRouteResponse explainRoute(io.headworks.v1.ExplainRouteRequest request, RequestOptions options) {
    return core.unary(PolicyServiceGrpc.getExplainRouteMethod(), request, true, options);
  }

  /**
   * Replays recorded requests through a policy and tells what would have happened. Calls nobody.
   * Errors: INVALID_REQUEST.
   */
  public io.headworks.v1.SimulatePolicyResponse simulatePolicy(io.headworks.v1.SimulatePolicyRequest request) {
    return simulatePolicy(request, RequestOptions.DEFAULT);
  }

  /**
   * Replays recorded requests through a policy and tells what would have happened. Calls nobody.
   * Errors: INVALID_REQUEST.
   */
  public io.headworks.v1.SimulatePolicyResponse simulatePolicy(io.headworks.v1.SimulatePolicyRequest request, RequestOptions options) {
    return core.unary(PolicyServiceGrpc.getSimulatePolicyMethod(), request, true, options);
  }
}
