package io.headworks.client;

import io.headworks.v1.UsageServiceGrpc;

/**
 * Tells what was called and what it cost. A key sees its own calls; one with the role READER those of its group and
 * below, or all where it has no group; an admin all.
 */
public final class UsageClient {
  private final Core core;

  UsageClient(Core core) {
    this.core = core;
  }

  /**
   * Sums over calls. Rows come by step, then by group. A call counts where it ended; tokens and money of an attempt
   * that another came after count at that attempt's provider and model.
   * Errors: INVALID_REQUEST for an unknown metric or group, PERMISSION_DENIED for another key's calls.
   */
  public Pager<io.headworks.v1.UsageRow, io.headworks.v1.QueryUsageResponse> queryUsage(io.headworks.v1.QueryUsageRequest request) {
    return queryUsage(request, RequestOptions.DEFAULT);
  }

  /**
   * Sums over calls. Rows come by step, then by group. A call counts where it ended; tokens and money of an attempt
   * that another came after count at that attempt's provider and model.
   * Errors: INVALID_REQUEST for an unknown metric or group, PERMISSION_DENIED for another key's calls.
   */
  public Pager<io.headworks.v1.UsageRow, io.headworks.v1.QueryUsageResponse> queryUsage(io.headworks.v1.QueryUsageRequest request, RequestOptions options) {
    return new Pager<>(
        token -> core.unary(UsageServiceGrpc.getQueryUsageMethod(), request.toBuilder().setPageToken(token).build(), true, options),
        io.headworks.v1.QueryUsageResponse::getRowsList,
        io.headworks.v1.QueryUsageResponse::getNextPageToken,
        request.getPageToken());
  }

  /**
   * Lists calls, newest first.
   * Errors: INVALID_REQUEST, PERMISSION_DENIED for another key's calls.
   */
  public Pager<io.headworks.v1.RequestRecord, io.headworks.v1.ListRequestsResponse> listRequests(io.headworks.v1.ListRequestsRequest request) {
    return listRequests(request, RequestOptions.DEFAULT);
  }

  /**
   * Lists calls, newest first.
   * Errors: INVALID_REQUEST, PERMISSION_DENIED for another key's calls.
   */
  public Pager<io.headworks.v1.RequestRecord, io.headworks.v1.ListRequestsResponse> listRequests(io.headworks.v1.ListRequestsRequest request, RequestOptions options) {
    return new Pager<>(
        token -> core.unary(UsageServiceGrpc.getListRequestsMethod(), request.toBuilder().setPageToken(token).build(), true, options),
        io.headworks.v1.ListRequestsResponse::getRequestsList,
        io.headworks.v1.ListRequestsResponse::getNextPageToken,
        request.getPageToken());
  }

  /**
   * Gets one call with every attempt.
   * Errors: NOT_FOUND, also for a call that the caller may not see; a call's record lands when it ends.
   */
  public io.headworks.v1.GetRequestResponse getRequest(io.headworks.v1.GetRequestRequest request) {
    return getRequest(request, RequestOptions.DEFAULT);
  }

  /**
   * Gets one call with every attempt.
   * Errors: NOT_FOUND, also for a call that the caller may not see; a call's record lands when it ends.
   */
  public io.headworks.v1.GetRequestResponse getRequest(io.headworks.v1.GetRequestRequest request, RequestOptions options) {
    return core.unary(UsageServiceGrpc.getGetRequestMethod(), request, true, options);
  }

  /**
   * Tells of calls once their records are on disk, from now on. A reader that is too slow misses calls and is told so
   * by <code>missed_windows</code>.
   * Errors: PERMISSION_DENIED for another key's calls.
   */
  public Answers<io.headworks.v1.WatchRequestsResponse> watchRequests(io.headworks.v1.WatchRequestsRequest request) {
    return watchRequests(request, RequestOptions.DEFAULT);
  }

  /**
   * Tells of calls once their records are on disk, from now on. A reader that is too slow misses calls and is told so
   * by <code>missed_windows</code>.
   * Errors: PERMISSION_DENIED for another key's calls.
   */
  public Answers<io.headworks.v1.WatchRequestsResponse> watchRequests(io.headworks.v1.WatchRequestsRequest request, RequestOptions options) {
    return core.stream(UsageServiceGrpc.getWatchRequestsMethod(), request, true, options);
  }

  /**
   * Writes out calls, oldest first. The pieces' bytes, one after the other, are the file.
   * Errors: PERMISSION_DENIED for another key's calls.
   */
  public Answers<io.headworks.v1.ExportRequestsResponse> exportRequests(io.headworks.v1.ExportRequestsRequest request) {
    return exportRequests(request, RequestOptions.DEFAULT);
  }

  /**
   * Writes out calls, oldest first. The pieces' bytes, one after the other, are the file.
   * Errors: PERMISSION_DENIED for another key's calls.
   */
  public Answers<io.headworks.v1.ExportRequestsResponse> exportRequests(io.headworks.v1.ExportRequestsRequest request, RequestOptions options) {
    return core.stream(UsageServiceGrpc.getExportRequestsMethod(), request, true, options);
  }
}
