//! Made of usage_service.proto.

use tonic::transport::Channel;

use crate::{
    Error,
    core::{Answers, Core, MESSAGE_LIMIT},
    v1::{self, usage_service_client::UsageServiceClient},
};

/// Tells what was called and what it cost. A key sees its own calls; one with the role READER those of its group and
/// below, or all where it has no group; an admin all.
#[derive(Clone, Debug)]
pub struct Usage {
    core: Core,
    stub: UsageServiceClient<Channel>,
}

impl Usage {
    pub(crate) fn new(core: Core) -> Self {
        let stub = UsageServiceClient::new(core.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT);
        Self { core, stub }
    }

    /// Sums over calls. Rows come by step, then by group. A call counts where it ended; tokens and money of an attempt
    /// that another came after count at that attempt's provider and model.
    /// Errors: INVALID_REQUEST for an unknown metric or group, PERMISSION_DENIED for another key's calls.
    pub async fn query_usage(&self, request: v1::QueryUsageRequest) -> Result<v1::QueryUsageResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.query_usage(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// All items of [`query_usage`](Self::query_usage), page after page.
    pub fn query_usage_all(&self, request: v1::QueryUsageRequest) -> Answers<v1::UsageRow> {
        let all = self.clone();
        crate::core::pages(
            request,
            move |request| {
                let all = all.clone();
                async move { all.query_usage(request).await }
            },
            |page: v1::QueryUsageResponse| (page.rows, page.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// Lists calls, newest first.
    /// Errors: INVALID_REQUEST, PERMISSION_DENIED for another key's calls.
    pub async fn list_requests(&self, request: v1::ListRequestsRequest) -> Result<v1::ListRequestsResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.list_requests(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// All items of [`list_requests`](Self::list_requests), page after page.
    pub fn list_requests_all(&self, request: v1::ListRequestsRequest) -> Answers<v1::RequestRecord> {
        let all = self.clone();
        crate::core::pages(
            request,
            move |request| {
                let all = all.clone();
                async move { all.list_requests(request).await }
            },
            |page: v1::ListRequestsResponse| (page.requests, page.next_page_token),
            |request, token| request.page_token = token,
        )
    }

    /// Gets one call with every attempt.
    /// Errors: NOT_FOUND, also for a call that the caller may not see; a call's record lands when it ends.
    pub async fn get_request(&self, request: v1::GetRequestRequest) -> Result<v1::GetRequestResponse, Error> {
        let again = true;
        let call = |request| {
            let mut stub = self.stub.clone();
            async move { stub.get_request(request).await }
        };
        self.core.unary(request, again, call).await
    }

    /// Tells of calls once their records are on disk, from now on. A reader that is too slow misses calls and is told so
    /// by `missed_windows`.
    /// Errors: PERMISSION_DENIED for another key's calls.
    pub fn watch_requests(&self, request: v1::WatchRequestsRequest) -> Answers<v1::WatchRequestsResponse> {
        let stub = self.stub.clone();
        let again = true;
        self.core.stream(request, again, move |request| {
            let mut stub = stub.clone();
            async move { stub.watch_requests(request).await }
        })
    }

    /// Writes out calls, oldest first. The pieces' bytes, one after the other, are the file.
    /// Errors: PERMISSION_DENIED for another key's calls.
    pub fn export_requests(&self, request: v1::ExportRequestsRequest) -> Answers<v1::ExportRequestsResponse> {
        let stub = self.stub.clone();
        let again = true;
        self.core.stream(request, again, move |request| {
            let mut stub = stub.clone();
            async move { stub.export_requests(request).await }
        })
    }
}
