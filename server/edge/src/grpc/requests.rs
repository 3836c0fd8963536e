//! `UsageService`: records of calls.

use std::pin::Pin;

use futures_core::Stream;
use headworks_api::v1;
use headworks_core::{Fault, Reason, Role};
use headworks_store::Filter;
use tonic::{Request, Response, Status, async_trait};

use super::{Doors, later, page_size, records, status};

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[async_trait]
impl v1::usage_service_server::UsageService for Doors {
    type WatchRequestsStream = Streamed<v1::WatchRequestsResponse>;
    type ExportRequestsStream = Streamed<v1::ExportRequestsResponse>;

    async fn query_usage(&self, request: Request<v1::QueryUsageRequest>) -> Result<Response<v1::QueryUsageResponse>, Status> {
        self.tenant(&request)?;
        Err(later("UsageService.QueryUsage"))
    }

    async fn list_requests(&self, request: Request<v1::ListRequestsRequest>) -> Result<Response<v1::ListRequestsResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let asked = request.into_inner();
        let filter = asked.filter.unwrap_or_default();
        let mut key_id = filter.key_id;
        if !tenant.is(Role::Admin) {
            if !key_id.is_empty() && *key_id != *tenant.id {
                let fault = Fault::new(Reason::PermissionDenied, "filter.key_id: a key without the role ADMIN sees its own calls only");
                return Err(status(&fault, None));
            }
            key_id = tenant.id.to_string();
        }
        let filter = Filter {
            key_id,
            served_by: filter.served_by,
            outcome: filter.outcome,
            from: records::unix_nanos(filter.start_time),
            before: records::unix_nanos(filter.end_time),
            tag: filter.tag,
        };
        let token = Some(asked.page_token.as_str()).filter(|t| !t.is_empty());
        let page = self.0.records.list(&filter, page_size(asked.page_size)?, token).await.map_err(|error| status(&error.into(), None))?;
        Ok(Response::new(v1::ListRequestsResponse {
            requests: page.records.into_iter().map(records::record).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_request(&self, request: Request<v1::GetRequestRequest>) -> Result<Response<v1::GetRequestResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let id = &request.get_ref().id;
        let found = self.0.records.get(id).await.map_err(|error| status(&error.into(), None))?;
        // Another's record looks the same as none at all.
        let found = found.filter(|record| tenant.is(Role::Admin) || record.key_id == *tenant.id);
        let record = found.ok_or_else(|| {
            status(&Fault::new(Reason::NotFound, format!("no record \"{id}\" that this key may see; a call's record lands when it ends")), None)
        })?;
        Ok(Response::new(v1::GetRequestResponse { request: Some(records::record(record)) }))
    }

    async fn watch_requests(&self, request: Request<v1::WatchRequestsRequest>) -> Result<Response<Self::WatchRequestsStream>, Status> {
        self.tenant(&request)?;
        Err(later("UsageService.WatchRequests"))
    }

    async fn export_requests(&self, request: Request<v1::ExportRequestsRequest>) -> Result<Response<Self::ExportRequestsStream>, Status> {
        self.tenant(&request)?;
        Err(later("UsageService.ExportRequests"))
    }
}
