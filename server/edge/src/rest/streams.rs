//! Streams whose connection was lost: read on, or ended.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use headworks_core::{ChatRequest, Fault};
use headworks_providers::Door;
use http::{HeaderMap, HeaderName, StatusCode};

use super::{STREAM_ID, chat, json, refuse, responses::Keeper, value};
use crate::App;

/// What it takes to write a stream's events anew.
pub(super) struct Written {
    /// The door it was begun at.
    pub door: &'static dyn Door,
    /// What was asked there.
    pub chat: Arc<ChatRequest>,
    /// Keeps the whole answer.
    pub keeper: Option<Keeper>,
}

/// Set by browsers' `EventSource` by itself.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `GET /v1/streams/{id}`: the events after `last-event-id`, in the form of the door where the stream began.
pub(crate) async fn resume(State(app): State<App>, Path(id): Path<String>, request: Request) -> Response {
    read_on(&app, request.headers(), id).await.unwrap_or_else(|fault| refuse(&fault, None))
}

async fn read_on(app: &App, headers: &HeaderMap, id: String) -> Result<Response, Fault> {
    let tenant = app.authenticate(chat::credential(headers))?;
    let after = match headers.get(LAST_EVENT_ID) {
        None => 0,
        Some(said) => said.to_str().ok().and_then(|said| said.parse().ok()).ok_or_else(|| {
            Fault::invalid("last-event-id", format!("{said:?} is not the number of an event; send the last \"id\" that was read, or leave the header out"))
        })?,
    };
    let resumed = app.shared.streams.resume(&tenant, &id)?;
    let written = resumed.memo.and_then(|memo| memo.downcast::<Written>().ok());
    let Some(written) = written else {
        return Err(Fault::invalid("id", format!("\"{id}\" was begun by gRPC; read on with StreamService.Resume")));
    };
    let Written { door, chat, keeper } = &*written;
    let id: Arc<str> = id.into();
    let (writer, keep) = (door.writer(chat), keeper.as_ref().map(|keeper| keeper()));
    let mut response = chat::events(app, resumed.reply, writer, keep, *door, &id, Some(after)).await?;
    response.headers_mut().insert(STREAM_ID, value(&id));
    Ok(response)
}

/// `DELETE /v1/streams/{id}`: ends a call that is under way; what was consumed is billed.
pub(crate) async fn cancel(State(app): State<App>, Path(id): Path<String>, request: Request) -> Response {
    let ended = app.authenticate(chat::credential(request.headers())).and_then(|tenant| app.shared.cancel(&tenant, &id));
    match ended {
        Err(fault) => refuse(&fault, None),
        Ok(()) => json(StatusCode::OK, serde_json::json!({"id": id, "object": "stream", "cancelled": true}).to_string()),
    }
}
