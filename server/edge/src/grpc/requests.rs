//! `UsageService`: records of calls, one by one, live, and as files.

use bytes::Bytes;
use headworks_api::v1;
use headworks_core::{Fault, Reason, Tenant};
use headworks_store::Filter;
use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::{
    Doors, Streamed, page_size,
    reach::{Reach, USAGE},
    records, status, usage,
};
use crate::export;

/// Answers of a stream that may wait for their reader.
const WAITING: usize = 64;
/// Bytes of one piece of an export.
const PIECE: usize = 256 << 10;

/// The filter asked for, narrowed to what the caller may see.
pub(super) fn filter(tenant: &Tenant, asked: Option<v1::RequestFilter>) -> Result<Filter, Fault> {
    let asked = asked.unwrap_or_default();
    let (mut key_id, mut within) = (asked.key_id, String::new());
    match Reach::of(tenant, &USAGE) {
        Reach::Own(mine) if !key_id.is_empty() && *key_id != *mine => {
            return Err(Fault::new(Reason::PermissionDenied, "filter.key_id: a key without the role ADMIN or READER sees its own calls only"));
        }
        Reach::Own(mine) => key_id = mine.to_string(),
        Reach::Group(group) => within = group.to_string(),
        Reach::All => {}
    }
    let reason = match v1::Reason::try_from(asked.reason) {
        Ok(v1::Reason::Unspecified) => String::new(),
        Ok(reason) => reason.as_str_name().trim_start_matches("REASON_").to_owned(),
        Err(_) => return Err(Fault::invalid("filter.reason", format!("{} is no reason of this version", asked.reason))),
    };
    Ok(Filter {
        key_id,
        served_by: asked.served_by,
        outcome: asked.outcome,
        from: records::unix_nanos(asked.start_time),
        before: records::unix_nanos(asked.end_time),
        tag: asked.tag,
        group_id: asked.group_id,
        within,
        model: asked.model,
        policy: asked.policy,
        user_id: asked.user_id,
        reason,
        door: asked.door,
        metadata: asked.metadata,
    })
}

fn refuse(fault: Fault) -> Status {
    status(&fault, None)
}

#[async_trait]
impl v1::usage_service_server::UsageService for Doors {
    type WatchRequestsStream = Streamed<v1::WatchRequestsResponse>;
    type ExportRequestsStream = Streamed<v1::ExportRequestsResponse>;

    async fn query_usage(&self, request: Request<v1::QueryUsageRequest>) -> Result<Response<v1::QueryUsageResponse>, Status> {
        let tenant = self.tenant(&request)?;
        usage::query(&self.0, &tenant, request.into_inner()).await.map(Response::new).map_err(refuse)
    }

    async fn list_requests(&self, request: Request<v1::ListRequestsRequest>) -> Result<Response<v1::ListRequestsResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let asked = request.into_inner();
        let filter = filter(&tenant, asked.filter).map_err(refuse)?;
        let token = Some(asked.page_token.as_str()).filter(|t| !t.is_empty());
        let page = self.0.records.list(&filter, page_size(asked.page_size)?, token).await.map_err(|error| refuse(error.into()))?;
        Ok(Response::new(v1::ListRequestsResponse {
            requests: page.records.into_iter().map(records::record).collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn get_request(&self, request: Request<v1::GetRequestRequest>) -> Result<Response<v1::GetRequestResponse>, Status> {
        let tenant = self.tenant(&request)?;
        let id = &request.get_ref().id;
        let found = self.0.records.get(id).await.map_err(|error| refuse(error.into()))?;
        // Another's record looks the same as none at all.
        let found = found.filter(|record| record.key_id == *tenant.id || Reach::of(&tenant, &USAGE).call(record));
        let record = found
            .ok_or_else(|| refuse(Fault::new(Reason::NotFound, format!("no record \"{id}\" that this key may see; a call's record lands when it ends"))))?;
        Ok(Response::new(v1::GetRequestResponse { request: Some(records::record(record)) }))
    }

    async fn watch_requests(&self, request: Request<v1::WatchRequestsRequest>) -> Result<Response<Self::WatchRequestsStream>, Status> {
        let tenant = self.tenant(&request)?;
        let filter = filter(&tenant, request.into_inner().filter).map_err(refuse)?;
        let mut landed = self.0.rollups.watch();
        let (told, reader) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                let (records, missed) = tokio::select! {
                    next = landed.recv() => match next {
                        Ok(window) => (window.records.iter().filter(|r| filter.takes(r)).cloned().collect(), 0),
                        Err(RecvError::Lagged(missed)) => (Vec::new(), missed),
                        Err(RecvError::Closed) => return,
                    },
                    // The reader is gone.
                    () = told.closed() => return,
                };
                if missed > 0 {
                    let answer = v1::WatchRequestsResponse { request: None, missed_windows: i64::try_from(missed).unwrap_or(i64::MAX) };
                    if told.send(Ok(answer)).await.is_err() {
                        return;
                    }
                }
                for record in records {
                    let answer = v1::WatchRequestsResponse { request: Some(records::record(record)), missed_windows: 0 };
                    if told.send(Ok(answer)).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(reader))))
    }

    async fn export_requests(&self, request: Request<v1::ExportRequestsRequest>) -> Result<Response<Self::ExportRequestsStream>, Status> {
        let tenant = self.tenant(&request)?;
        let asked = request.into_inner();
        let format = v1::ExportFormat::try_from(asked.format).map_err(|_| refuse(Fault::invalid("format", "is none of JSON_LINES, CSV, PARQUET")))?;
        let mut form = export::form(format).map_err(refuse)?;
        let filter = filter(&tenant, asked.filter).map_err(refuse)?;
        let records = self.0.records.clone();
        let (told, reader) = mpsc::channel(4);
        tokio::spawn(async move {
            let mut after = None;
            loop {
                let page = match records.forward(&filter, after).await {
                    Ok(page) => page,
                    Err(error) => {
                        let _ = told.send(Err(refuse(error.into()))).await;
                        return;
                    }
                };
                after = page.1;
                let piece = form.push(&page.0).and_then(|piece| if after.is_none() { Ok([piece, form.end()?]) } else { Ok([piece, Bytes::new()]) });
                let pieces = match piece {
                    Ok(pieces) => pieces,
                    Err(fault) => {
                        let _ = told.send(Err(refuse(fault))).await;
                        return;
                    }
                };
                for mut piece in pieces {
                    while !piece.is_empty() {
                        let data = piece.split_to(piece.len().min(PIECE));
                        if told.send(Ok(v1::ExportRequestsResponse { data })).await.is_err() {
                            return;
                        }
                    }
                }
                if after.is_none() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(reader))))
    }
}
