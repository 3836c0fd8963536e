package io.headworks.client;

import io.headworks.v1.KeyServiceGrpc;

/**
 * Manages keys, groups and budgets. Needs the role ADMIN or KEY_MANAGER, to read READER too, but for a key that reads
 * itself. A key manager makes and changes no key with the role ADMIN or KEY_MANAGER. A key manager or reader that
 * belongs to a group reaches that group and what is in it alone; what is out of reach is NOT_FOUND. It reads its own
 * group but does not change it.
 */
public final class KeysClient {
  private final Core core;

  KeysClient(Core core) {
    this.core = core;
  }

  /**
   * Makes a key. Its secret is in this answer and nowhere else.
   * Errors: INVALID_REQUEST, NOT_FOUND for an unknown group, PERMISSION_DENIED.
   */
  public io.headworks.v1.CreateKeyResponse createKey(io.headworks.v1.CreateKeyRequest request) {
    return createKey(request, RequestOptions.DEFAULT);
  }

  /**
   * Makes a key. Its secret is in this answer and nowhere else.
   * Errors: INVALID_REQUEST, NOT_FOUND for an unknown group, PERMISSION_DENIED.
   */
  public io.headworks.v1.CreateKeyResponse createKey(io.headworks.v1.CreateKeyRequest request, RequestOptions options) {
    return core.unary(KeyServiceGrpc.getCreateKeyMethod(), request, false, options);
  }

  /**
   * Gets a key. A key may always get itself, by the id <code>self</code> too.
   * Errors: NOT_FOUND, also for a key that the caller may not see.
   */
  public io.headworks.v1.GetKeyResponse getKey(io.headworks.v1.GetKeyRequest request) {
    return getKey(request, RequestOptions.DEFAULT);
  }

  /**
   * Gets a key. A key may always get itself, by the id <code>self</code> too.
   * Errors: NOT_FOUND, also for a key that the caller may not see.
   */
  public io.headworks.v1.GetKeyResponse getKey(io.headworks.v1.GetKeyRequest request, RequestOptions options) {
    return core.unary(KeyServiceGrpc.getGetKeyMethod(), request, true, options);
  }

  /**
   * Lists keys, by id.
   * Errors: INVALID_REQUEST, PERMISSION_DENIED.
   */
  public Pager<io.headworks.v1.Key, io.headworks.v1.ListKeysResponse> listKeys(io.headworks.v1.ListKeysRequest request) {
    return listKeys(request, RequestOptions.DEFAULT);
  }

  /**
   * Lists keys, by id.
   * Errors: INVALID_REQUEST, PERMISSION_DENIED.
   */
  public Pager<io.headworks.v1.Key, io.headworks.v1.ListKeysResponse> listKeys(io.headworks.v1.ListKeysRequest request, RequestOptions options) {
    return new Pager<>(
        token -> core.unary(KeyServiceGrpc.getListKeysMethod(), request.toBuilder().setPageToken(token).build(), true, options),
        io.headworks.v1.ListKeysResponse::getKeysList,
        io.headworks.v1.ListKeysResponse::getNextPageToken,
        request.getPageToken());
  }

  /**
   * Changes a key. Effective for the next call.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST for an unknown path, PERMISSION_DENIED.
   */
  public io.headworks.v1.UpdateKeyResponse updateKey(io.headworks.v1.UpdateKeyRequest request) {
    return updateKey(request, RequestOptions.DEFAULT);
  }

  /**
   * Changes a key. Effective for the next call.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST for an unknown path, PERMISSION_DENIED.
   */
  public io.headworks.v1.UpdateKeyResponse updateKey(io.headworks.v1.UpdateKeyRequest request, RequestOptions options) {
    return core.unary(KeyServiceGrpc.getUpdateKeyMethod(), request, false, options);
  }

  /**
   * Gives a key a new secret; the old one works on for a while. What the key spent stays with it.
   * Errors: NOT_FOUND, CONFLICT for a revoked key, INVALID_REQUEST, PERMISSION_DENIED.
   */
  public io.headworks.v1.RotateKeyResponse rotateKey(io.headworks.v1.RotateKeyRequest request) {
    return rotateKey(request, RequestOptions.DEFAULT);
  }

  /**
   * Gives a key a new secret; the old one works on for a while. What the key spent stays with it.
   * Errors: NOT_FOUND, CONFLICT for a revoked key, INVALID_REQUEST, PERMISSION_DENIED.
   */
  public io.headworks.v1.RotateKeyResponse rotateKey(io.headworks.v1.RotateKeyRequest request, RequestOptions options) {
    return core.unary(KeyServiceGrpc.getRotateKeyMethod(), request, false, options);
  }

  /**
   * Ends a key for good. Effective for the next call.
   * Errors: NOT_FOUND, PERMISSION_DENIED. Revoking twice is no error.
   */
  public io.headworks.v1.RevokeKeyResponse revokeKey(io.headworks.v1.RevokeKeyRequest request) {
    return revokeKey(request, RequestOptions.DEFAULT);
  }

  /**
   * Ends a key for good. Effective for the next call.
   * Errors: NOT_FOUND, PERMISSION_DENIED. Revoking twice is no error.
   */
  public io.headworks.v1.RevokeKeyResponse revokeKey(io.headworks.v1.RevokeKeyRequest request, RequestOptions options) {
    return core.unary(KeyServiceGrpc.getRevokeKeyMethod(), request, true, options);
  }

  /**
   * Makes a group.
   * Errors: INVALID_REQUEST, NOT_FOUND for an unknown parent, PERMISSION_DENIED.
   */
  public io.headworks.v1.CreateGroupResponse createGroup(io.headworks.v1.CreateGroupRequest request) {
    return createGroup(request, RequestOptions.DEFAULT);
  }

  /**
   * Makes a group.
   * Errors: INVALID_REQUEST, NOT_FOUND for an unknown parent, PERMISSION_DENIED.
   */
  public io.headworks.v1.CreateGroupResponse createGroup(io.headworks.v1.CreateGroupRequest request, RequestOptions options) {
    return core.unary(KeyServiceGrpc.getCreateGroupMethod(), request, false, options);
  }

  /**
   * Gets a group.
   * Errors: NOT_FOUND, PERMISSION_DENIED.
   */
  public io.headworks.v1.GetGroupResponse getGroup(io.headworks.v1.GetGroupRequest request) {
    return getGroup(request, RequestOptions.DEFAULT);
  }

  /**
   * Gets a group.
   * Errors: NOT_FOUND, PERMISSION_DENIED.
   */
  public io.headworks.v1.GetGroupResponse getGroup(io.headworks.v1.GetGroupRequest request, RequestOptions options) {
    return core.unary(KeyServiceGrpc.getGetGroupMethod(), request, true, options);
  }

  /**
   * Lists groups, by id.
   * Errors: INVALID_REQUEST, PERMISSION_DENIED.
   */
  public Pager<io.headworks.v1.Group, io.headworks.v1.ListGroupsResponse> listGroups(io.headworks.v1.ListGroupsRequest request) {
    return listGroups(request, RequestOptions.DEFAULT);
  }

  /**
   * Lists groups, by id.
   * Errors: INVALID_REQUEST, PERMISSION_DENIED.
   */
  public Pager<io.headworks.v1.Group, io.headworks.v1.ListGroupsResponse> listGroups(io.headworks.v1.ListGroupsRequest request, RequestOptions options) {
    return new Pager<>(
        token -> core.unary(KeyServiceGrpc.getListGroupsMethod(), request.toBuilder().setPageToken(token).build(), true, options),
        io.headworks.v1.ListGroupsResponse::getGroupsList,
        io.headworks.v1.ListGroupsResponse::getNextPageToken,
        request.getPageToken());
  }

  /**
   * Changes a group. Effective for the next call of every key in it.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST for a circle of groups or an unknown path, PERMISSION_DENIED.
   */
  public io.headworks.v1.UpdateGroupResponse updateGroup(io.headworks.v1.UpdateGroupRequest request) {
    return updateGroup(request, RequestOptions.DEFAULT);
  }

  /**
   * Changes a group. Effective for the next call of every key in it.
   * Errors: NOT_FOUND, CONFLICT if the etag is old, INVALID_REQUEST for a circle of groups or an unknown path, PERMISSION_DENIED.
   */
  public io.headworks.v1.UpdateGroupResponse updateGroup(io.headworks.v1.UpdateGroupRequest request, RequestOptions options) {
    return core.unary(KeyServiceGrpc.getUpdateGroupMethod(), request, false, options);
  }

  /**
   * Deletes a group. Revoked keys in it lose their group.
   * Errors: NOT_FOUND, CONFLICT if the etag is old or keys or groups are still in it, PERMISSION_DENIED.
   */
  public io.headworks.v1.DeleteGroupResponse deleteGroup(io.headworks.v1.DeleteGroupRequest request) {
    return deleteGroup(request, RequestOptions.DEFAULT);
  }

  /**
   * Deletes a group. Revoked keys in it lose their group.
   * Errors: NOT_FOUND, CONFLICT if the etag is old or keys or groups are still in it, PERMISSION_DENIED.
   */
  public io.headworks.v1.DeleteGroupResponse deleteGroup(io.headworks.v1.DeleteGroupRequest request, RequestOptions options) {
    return core.unary(KeyServiceGrpc.getDeleteGroupMethod(), request, false, options);
  }

  /**
   * Gets what is left of a key's or group's budget. A key may always ask for its own.
   * Errors: NOT_FOUND, INVALID_REQUEST.
   */
  public io.headworks.v1.GetBudgetResponse getBudget(io.headworks.v1.GetBudgetRequest request) {
    return getBudget(request, RequestOptions.DEFAULT);
  }

  /**
   * Gets what is left of a key's or group's budget. A key may always ask for its own.
   * Errors: NOT_FOUND, INVALID_REQUEST.
   */
  public io.headworks.v1.GetBudgetResponse getBudget(io.headworks.v1.GetBudgetRequest request, RequestOptions options) {
    return core.unary(KeyServiceGrpc.getGetBudgetMethod(), request, true, options);
  }

  /**
   * Lists crossings of budgets' thresholds, newest first. A key without a role to read others sees its own.
   * Errors: INVALID_REQUEST.
   */
  public Pager<io.headworks.v1.Alert, io.headworks.v1.ListAlertsResponse> listAlerts(io.headworks.v1.ListAlertsRequest request) {
    return listAlerts(request, RequestOptions.DEFAULT);
  }

  /**
   * Lists crossings of budgets' thresholds, newest first. A key without a role to read others sees its own.
   * Errors: INVALID_REQUEST.
   */
  public Pager<io.headworks.v1.Alert, io.headworks.v1.ListAlertsResponse> listAlerts(io.headworks.v1.ListAlertsRequest request, RequestOptions options) {
    return new Pager<>(
        token -> core.unary(KeyServiceGrpc.getListAlertsMethod(), request.toBuilder().setPageToken(token).build(), true, options),
        io.headworks.v1.ListAlertsResponse::getAlertsList,
        io.headworks.v1.ListAlertsResponse::getNextPageToken,
        request.getPageToken());
  }

  /**
   * Tells of crossings of budgets' thresholds as they happen. A key without a role to read others sees its own.
   * Errors: OVERLOADED where the caller reads too slowly.
   */
  public Answers<io.headworks.v1.WatchAlertsResponse> watchAlerts(io.headworks.v1.WatchAlertsRequest request) {
    return watchAlerts(request, RequestOptions.DEFAULT);
  }

  /**
   * Tells of crossings of budgets' thresholds as they happen. A key without a role to read others sees its own.
   * Errors: OVERLOADED where the caller reads too slowly.
   */
  public Answers<io.headworks.v1.WatchAlertsResponse> watchAlerts(io.headworks.v1.WatchAlertsRequest request, RequestOptions options) {
    return core.stream(KeyServiceGrpc.getWatchAlertsMethod(), request, true, options);
  }
}
