use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use headworks_core::{EventKind, Fault, Inbound, Memo, Origin, Receipt, Reply, Routing, Work};
use headworks_providers::{Door, openai::OpenAiDoor};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tower::ServiceExt;

use super::{
    ADJUSTED, ATTEMPTS, CACHE, COST, MODEL, PROVIDER, REQUEST_ID, RESUME_WINDOW, STREAM_ID, WARNING, body, json, lookup_headers, rate_headers, refuse_at,
    responses::{Keep, Keeper},
    sse::{Calling, Sse},
    streams::Written,
    text, value,
};
use crate::{App, app::bearer};

/// `POST /v1/chat/completions`.
pub(crate) async fn complete(State(app): State<App>, request: Request) -> Response {
    serve(app, request, &OpenAiDoor, Origin::RestChat).await
}

/// One chat call through a REST door: read, call, write; faults in the door's own shape.
pub(crate) async fn serve(app: App, request: Request, door: &'static dyn Door, origin: Origin) -> Response {
    let id = headworks_engine::request_id();
    match answer(app, request, door, origin, id.clone()).await {
        Ok(response) => response,
        Err(fault) => refuse_at(door, &fault, Some(id)),
    }
}

async fn answer(app: App, request: Request, door: &'static dyn Door, origin: Origin, id: Arc<str>) -> Result<Response, Fault> {
    let headers = request.headers().clone();
    app.authenticate(credential(&headers))?;
    let body = body::read(request, app.config.max_body_bytes).await?;
    carry(app, headers, body, door, origin, id, None).await
}

pub(super) fn credential(headers: &HeaderMap) -> Option<&str> {
    bearer(headers).or_else(|| text(headers, "x-api-key"))
}

/// One chat call from its body on; what `keeper` makes is given the whole answer before the client sees its end.
pub(crate) async fn carry(
    app: App,
    headers: HeaderMap,
    body: Bytes,
    door: &'static dyn Door,
    origin: Origin,
    id: Arc<str>,
    keeper: Option<Keeper>,
) -> Result<Response, Fault> {
    let credential = credential(&headers);
    let mut chat = door.request(&headers, &body)?;
    from_headers(&headers, &mut chat.routing)?;
    let writer = door.writer(&chat);
    let streamed = chat.stream;
    let work = Work::from(chat);
    let window = app.shared.streams.window(&work);
    let memo = window.and(work.chat()).map(|chat| Arc::new(Written { door, chat: chat.clone(), keeper: keeper.clone() }) as Memo);
    let keep = keeper.map(|keeper| keeper());
    let inbound = Inbound {
        id: id.clone(),
        credential: credential.unwrap_or_default().into(),
        work,
        deadline: deadline(&headers)?,
        origin,
        traceparent: text(&headers, "traceparent").map(Arc::from),
        memo,
    };
    let call = app.gateway.clone().oneshot(inbound);
    if !streamed {
        return unary(call.await?, writer, door, keep).await;
    }
    let mut response = events(&app, Box::pin(call), writer, keep, door, &id, window.and(Some(0))).await?;
    if let Some(window) = window {
        let headers = response.headers_mut();
        headers.insert(STREAM_ID, value(&id));
        headers.insert(RESUME_WINDOW, value(&window.as_millis().to_string()));
    }
    Ok(response)
}

/// The events of a call as they come; numbered, where `after` says which was the last that the client has.
pub(super) async fn events(
    app: &App,
    mut call: Calling,
    writer: Box<dyn headworks_providers::Writer>,
    keep: Option<Keep>,
    door: &dyn Door,
    id: &Arc<str>,
    after: Option<u64>,
) -> Result<Response, Fault> {
    // The headers wait for content, so that a failure before it can still be an HTTP status.
    let begun = tokio::time::timeout(app.hold_headers(), &mut call).await;
    let mut response = Response::new(axum::body::Body::empty());
    let sse = match begun {
        Ok(reply) => {
            let reply = reply?;
            route_headers(response.headers_mut(), &reply);
            Sse::begun(reply, writer, id.clone(), app.keep_alive(), keep)
        }
        Err(_) => Sse::waiting(call, writer, id.clone(), app.keep_alive(), keep),
    };
    *response.body_mut() = axum::body::Body::new(sse.numbered(after));
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, value(id));
    headers.insert(HeaderName::from_static(door.id_header()), value(id));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx and its kin buffer answers unless told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

pub(super) async fn unary(mut reply: Reply, mut writer: Box<dyn headworks_providers::Writer>, door: &dyn Door, keep: Option<Keep>) -> Result<Response, Fault> {
    writer.begin(&reply.request_id);
    let mut out = BytesMut::new();
    let mut receipt: Option<Arc<Receipt>> = None;
    while let Some(batch) = reply.events.next().await {
        let batch = batch?;
        if let Some(EventKind::Receipt(account)) = batch.events.last().map(|event| &event.kind) {
            receipt = Some(account.clone());
        }
        writer.push(&batch, &mut out)?;
    }
    if let (Some(keep), Some(whole)) = (keep, writer.kept()) {
        keep(whole).await;
    }
    let mut response = json(StatusCode::OK, out.freeze());
    let headers = response.headers_mut();
    route_headers(headers, &reply);
    headers.insert(REQUEST_ID, value(&reply.request_id));
    headers.insert(HeaderName::from_static(door.id_header()), value(&reply.request_id));
    if let Some(receipt) = receipt {
        let cache = match (&receipt.estimated, receipt.tokens.cache_read, receipt.tokens.cache_write()) {
            (_, 1.., _) => "hit",
            (_, _, 1..) => "miss",
            _ => "off",
        };
        headers.insert(CACHE, HeaderValue::from_static(cache));
        if receipt.cost_known {
            headers.insert(COST, value(&receipt.cost.to_string()));
        }
    }
    Ok(response)
}

/// Most headers that an answer usually has.
const HEADERS: usize = 16;

pub(super) fn route_headers(headers: &mut HeaderMap, reply: &Reply) {
    // Growing once for each few is dearer than the room.
    headers.reserve(HEADERS);
    headers.insert(PROVIDER, value(&reply.served_by.provider));
    headers.insert(MODEL, value(&reply.served_by.to_string()));
    headers.insert(ATTEMPTS, HeaderValue::from(reply.attempts));
    if let Some(adjusted) = &reply.facts.adjusted {
        headers.insert(ADJUSTED, value(adjusted));
    }
    if let Some(warning) = &reply.facts.warning {
        headers.insert(WARNING, value(warning));
    }
    if let Some(rates) = &reply.facts.rates {
        rate_headers(headers, rates);
    }
    if let Some(lookup) = reply.facts.lookup {
        lookup_headers(headers, lookup, RESPONSE_CACHE);
    }
}

/// `grpc-timeout` is for gRPC; REST clients say `x-headworks-timeout-ms`.
pub(super) fn deadline(headers: &HeaderMap) -> Result<Option<Instant>, Fault> {
    let Some(said) = text(headers, "x-headworks-timeout-ms") else { return Ok(None) };
    let millis: u64 = said
        .parse()
        .ok()
        .filter(|millis| *millis > 0)
        .ok_or_else(|| Fault::invalid("x-headworks-timeout-ms", format!("\"{said}\" is not a number of milliseconds above 0")))?;
    Ok(Instant::now().checked_add(Duration::from_millis(millis)))
}

/// What becomes of a call that a target cannot express, for clients that cannot add to their bodies; the body stands above it.
const ON_LOSS: &str = "x-headworks-on-loss";

/// Asked: how many seconds old an answer given again may be. Answered: `hit` or `miss`.
const RESPONSE_CACHE: &str = "x-headworks-response-cache";

/// What clients say in headers rather than in the body.
pub(super) fn from_headers(headers: &HeaderMap, routing: &mut Routing) -> Result<(), Fault> {
    if let Some(id) = text(headers, "idempotency-key") {
        if id.len() > 255 {
            return Err(Fault::invalid("Idempotency-Key", "longer than 255 characters"));
        }
        routing.request_id.get_or_insert_with(|| id.into());
    }
    if let Some(word) = text(headers, ON_LOSS) {
        let said = headworks_providers::on_loss(word, ON_LOSS)?;
        routing.on_loss.get_or_insert(said);
    }
    if let Some(said) = text(headers, RESPONSE_CACHE) {
        let seconds = said.parse().map_err(|_| Fault::invalid(RESPONSE_CACHE, format!("\"{said}\" is not a number of seconds")))?;
        let age = headworks_providers::seconds(seconds, RESPONSE_CACHE)?;
        routing.response_cache.get_or_insert(age);
    }
    for (header, name) in [("http-referer", "referer"), ("x-title", "title")] {
        if let Some(said) = text(headers, header) {
            routing.label(name, said);
        }
    }
    for (name, value) in headers {
        let own = name.as_str().strip_prefix("x-headworks-").or_else(|| name.as_str().strip_prefix("x-requesty-"));
        if let (Some(own), Ok(said)) = (own, value.to_str())
            && !matches!(own, "timeout-ms" | "on-loss" | "response-cache")
        {
            routing.label(own, said);
        }
    }
    Ok(())
}
