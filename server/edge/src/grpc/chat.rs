//! `ChatService` and `StreamService`.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use headworks_api::v1::{self, stream_event::Kind};
use headworks_core::{Batch, Event, EventKind, EventStream, Facts, Fault, FinishReason, Inbound, Origin, Receipt, Reply, Work};
use http::HeaderValue;
use tonic::{Request, Response, Status, async_trait};
use tower::ServiceExt;

use super::{Doors, convert, deadline, headers, records, status, trailers::Late};
use crate::app::bearer;

/// Calls the engine.
pub(super) async fn call<T>(doors: &Doors, request: &Request<T>, work: impl Into<Work>, id: &Arc<str>) -> Result<Reply, Fault> {
    let headers = headers(request);
    let deadline = match headers.get("grpc-timeout").and_then(|v| v.to_str().ok()) {
        None => None,
        Some(text) => {
            let limit = deadline::parse(text).ok_or_else(|| Fault::invalid("grpc-timeout", format!("\"{text}\" is no timeout such as 250m or 30S")))?;
            Instant::now().checked_add(limit)
        }
    };
    let inbound = Inbound {
        id: id.clone(),
        credential: bearer(&headers).unwrap_or_default().into(),
        work: work.into(),
        deadline,
        origin: Origin::Grpc,
        traceparent: headers.get("traceparent").and_then(|v| v.to_str().ok()).map(Arc::from),
        memo: None,
    };
    doors.0.gateway.clone().oneshot(inbound).await
}

/// Names the call and, where it is one, its stream; tells its payers what they should know.
pub(super) fn name<T>(response: &mut Response<T>, id: &Arc<str>, facts: &Facts) {
    let headers = response.metadata_mut().as_mut();
    for (name, text) in [("headworks-adjusted", &facts.adjusted), ("headworks-warning", &facts.warning)] {
        if let Some(text) = text.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(name, text);
        }
    }
    if let Some(rates) = &facts.rates {
        crate::rest::rate_headers(headers, rates);
    }
    if let Some(lookup) = facts.lookup {
        crate::rest::lookup_headers(headers, lookup, "headworks-response-cache");
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        let headers = response.metadata_mut().as_mut();
        headers.insert("headworks-request-id", value.clone());
        headers.insert("headworks-stream-id", value);
    }
}

/// The longest that the client of a stream may stay away, milliseconds.
const RESUME_WINDOW: &str = "headworks-resume-window-ms";

#[async_trait]
impl v1::chat_service_server::ChatService for Doors {
    async fn complete(&self, mut request: Request<v1::CompleteRequest>) -> Result<Response<v1::CompleteResponse>, Status> {
        self.tenant(&request)?;
        let id = headworks_engine::request_id();
        let refuse = |fault: Fault| status(&fault, Some(&id));
        let chat = convert::chat(request.get_mut().chat.take(), false).map_err(refuse)?;
        let mut reply = call(self, &request, chat, &id).await.map_err(refuse)?;
        let late = Late::default();
        let facts = std::mem::take(&mut reply.facts);
        let mut fold = Fold { reply: v1::ChatReply { served_by: reply.served_by.to_string(), ..v1::ChatReply::default() } };
        while let Some(batch) = reply.events.next().await {
            for event in batch.map_err(refuse)?.events {
                if let EventKind::Receipt(receipt) = &event.kind {
                    late.tell(receipt);
                }
                fold.add(event);
            }
        }
        let mut response = Response::new(v1::CompleteResponse { reply: Some(fold.reply) });
        name(&mut response, &id, &facts);
        response.extensions_mut().insert(late);
        Ok(response)
    }
}

/// A reply is the fold of its events.
struct Fold {
    reply: v1::ChatReply,
}

impl Fold {
    fn add(&mut self, event: Event) {
        let reply = &mut self.reply;
        match event.kind {
            EventKind::Started { id, model, created } => {
                reply.id = id.map(|t| t.to_string()).unwrap_or_default();
                reply.model = model.map(|t| t.to_string()).unwrap_or_default();
                reply.create_time = created.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
                return;
            }
            EventKind::Receipt(receipt) => {
                reply.request_id = receipt.request_id.to_string();
                reply.usage = Some(records::usage(&receipt));
                reply.route = Some(records::route(&receipt));
                return;
            }
            EventKind::Usage { .. } => return,
            _ => {}
        }
        while reply.choices.len() <= usize::from(event.choice) {
            let index = i32::try_from(reply.choices.len()).unwrap_or(i32::MAX);
            let message = v1::Message { role: v1::Role::Assistant as i32, ..v1::Message::default() };
            reply.choices.push(v1::Choice { index, message: Some(message), ..v1::Choice::default() });
        }
        let Some(choice) = reply.choices.get_mut(usize::from(event.choice)) else { return };
        let parts = &mut choice.message.get_or_insert_default().parts;
        grow(parts, event.kind, &mut choice.finish_reason, &mut choice.logprobs_json, &mut choice.hosted_json);
    }
}

fn bytes(text: &headworks_core::Str) -> Bytes {
    text.as_bytes().clone()
}

fn grow(parts: &mut Vec<v1::Part>, kind: EventKind, finish: &mut i32, logprobs: &mut String, hosted: &mut Vec<String>) {
    use v1::part::Kind as P;
    let push = |parts: &mut Vec<v1::Part>, kind| parts.push(v1::Part { kind: Some(kind), cache_control: None });
    match kind {
        EventKind::Text(text) => match parts.last_mut().and_then(|p| p.kind.as_mut()) {
            Some(P::Text(so_far)) => so_far.push_str(&text),
            _ => push(parts, P::Text(text.to_string())),
        },
        EventKind::Refusal(text) => match parts.last_mut().and_then(|p| p.kind.as_mut()) {
            Some(P::Refusal(so_far)) => so_far.push_str(&text),
            _ => push(parts, P::Refusal(text.to_string())),
        },
        EventKind::Reasoning(text) => match parts.last_mut().and_then(|p| p.kind.as_mut()) {
            Some(P::Reasoning(r)) if r.signature.is_empty() && r.redacted.is_empty() => r.text.push_str(&text),
            _ => push(parts, P::Reasoning(v1::Reasoning { text: text.to_string(), ..v1::Reasoning::default() })),
        },
        EventKind::ReasoningSignature(signature) => match parts.last_mut().and_then(|p| p.kind.as_mut()) {
            Some(P::Reasoning(r)) if r.signature.is_empty() && r.redacted.is_empty() => r.signature = bytes(&signature),
            _ => push(parts, P::Reasoning(v1::Reasoning { signature: bytes(&signature), ..v1::Reasoning::default() })),
        },
        EventKind::RedactedReasoning(data) => push(parts, P::Reasoning(v1::Reasoning { redacted: bytes(&data), ..v1::Reasoning::default() })),
        EventKind::ToolCallStart { id, name, signature, .. } => push(
            parts,
            P::ToolCall(v1::ToolCall {
                id: id.to_string(),
                name: name.to_string(),
                arguments_json: String::new(),
                signature: signature.as_ref().map(bytes).unwrap_or_default(),
            }),
        ),
        EventKind::ToolCallArguments { index, piece } => {
            let calls = parts.iter_mut().filter_map(|p| if let Some(P::ToolCall(call)) = &mut p.kind { Some(call) } else { None });
            if let Some(call) = calls.into_iter().nth(usize::try_from(index).unwrap_or(usize::MAX)) {
                call.arguments_json.push_str(&piece);
            }
        }
        EventKind::Hosted(json) => hosted.push(json.as_str().to_owned()),
        EventKind::Logprobs(json) => *logprobs = json.as_str().to_owned(),
        EventKind::Opaque { dialect, json, .. } => push(parts, P::Opaque(v1::Opaque { dialect: dialect.as_str().to_owned(), json: json.as_str().to_owned() })),
        EventKind::Finished(reason) => *finish = finished(reason) as i32,
        EventKind::Started { .. }
        | EventKind::Recovered { .. }
        | EventKind::Restarted { .. }
        | EventKind::ToolCallEnd { .. }
        | EventKind::Embedded { .. }
        | EventKind::Counted { .. }
        | EventKind::Residency(_)
        | EventKind::Usage { .. }
        | EventKind::Receipt(_) => {}
    }
}

fn finished(reason: FinishReason) -> v1::FinishReason {
    match reason {
        FinishReason::Stop => v1::FinishReason::Stop,
        FinishReason::Length => v1::FinishReason::Length,
        FinishReason::ToolCalls => v1::FinishReason::ToolCalls,
        FinishReason::ContentFilter => v1::FinishReason::ContentFilter,
        FinishReason::Error => v1::FinishReason::Error,
    }
}

/// Events as messages, numbered from 1.
pub(crate) struct Numbered {
    events: EventStream,
    ready: std::collections::VecDeque<v1::StreamResponse>,
    sequence: i64,
    /// Events up to this one were seen by the client.
    after: i64,
    request_id: Arc<str>,
    id: Arc<str>,
    served_by: String,
    late: Late,
    failed: Option<Status>,
    over: bool,
}

impl Numbered {
    fn new(reply: Reply, stream: &Arc<str>, after: i64, late: Late) -> Self {
        Self {
            events: reply.events,
            ready: std::collections::VecDeque::new(),
            sequence: 0,
            after,
            request_id: reply.request_id,
            id: stream.clone(),
            served_by: reply.served_by.to_string(),
            late,
            failed: None,
            over: false,
        }
    }

    fn take(&mut self, batch: Batch) {
        for event in batch.events {
            if let EventKind::Receipt(receipt) = &event.kind {
                self.late.tell(receipt);
            }
            if let Some(kind) = self.kind(event.kind) {
                self.sequence += 1;
                if self.sequence <= self.after {
                    continue;
                }
                let event = v1::StreamEvent { sequence: self.sequence, choice: i32::from(event.choice), kind: Some(kind) };
                self.ready.push_back(v1::StreamResponse { event: Some(event) });
            }
        }
    }

    fn kind(&mut self, kind: EventKind) -> Option<Kind> {
        let index = |index: u32| i32::try_from(index).unwrap_or(i32::MAX);
        Some(match kind {
            EventKind::Started { id, model, .. } => Kind::Started(v1::Started {
                request_id: self.request_id.to_string(),
                stream_id: self.id.to_string(),
                served_by: self.served_by.clone(),
                model: model.map(|m| m.to_string()).unwrap_or_default(),
                id: id.map(|i| i.to_string()).unwrap_or_default(),
            }),
            EventKind::Text(text) => Kind::Text(text.to_string()),
            EventKind::Refusal(text) => Kind::Refusal(text.to_string()),
            EventKind::Reasoning(text) => Kind::Reasoning(text.to_string()),
            EventKind::ReasoningSignature(signature) => Kind::ReasoningSignature(bytes(&signature)),
            EventKind::RedactedReasoning(data) => Kind::RedactedReasoning(bytes(&data)),
            EventKind::ToolCallStart { index: at, id, name, signature } => Kind::ToolCallStarted(v1::ToolCallStarted {
                index: index(at),
                id: id.to_string(),
                name: name.to_string(),
                signature: signature.as_ref().map(bytes).unwrap_or_default(),
            }),
            EventKind::ToolCallArguments { index: at, piece } => Kind::ToolCallArguments(v1::ToolCallArguments { index: index(at), piece: piece.to_string() }),
            EventKind::ToolCallEnd { index: at } => Kind::ToolCallEnded(v1::ToolCallEnded { index: index(at) }),
            EventKind::Hosted(json) => Kind::HostedJson(json.as_str().to_owned()),
            EventKind::Logprobs(json) => Kind::LogprobsJson(json.as_str().to_owned()),
            EventKind::Opaque { dialect, json, .. } => Kind::Opaque(v1::Opaque { dialect: dialect.as_str().to_owned(), json: json.as_str().to_owned() }),
            EventKind::Finished(reason) => Kind::Finished(v1::Finished { reason: finished(reason) as i32 }),
            EventKind::Recovered { from, to } => {
                self.served_by = to.to_string();
                Kind::Recovered(v1::Recovered { from: from.to_string(), to: self.served_by.clone() })
            }
            EventKind::Restarted { from, to } => {
                self.served_by = to.to_string();
                Kind::Restarted(v1::Restarted { from: from.to_string(), to: self.served_by.clone() })
            }
            EventKind::Receipt(receipt) => completed(&receipt),
            EventKind::Embedded { .. } | EventKind::Counted { .. } | EventKind::Residency(_) | EventKind::Usage { .. } => return None,
        })
    }
}

fn completed(receipt: &Receipt) -> Kind {
    Kind::Completed(v1::Completed { usage: Some(records::usage(receipt)), route: Some(records::route(receipt)) })
}

impl Stream for Numbered {
    type Item = Result<v1::StreamResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(message) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(message)));
            }
            if let Some(status) = this.failed.take() {
                return Poll::Ready(Some(Err(status)));
            }
            if this.over {
                return Poll::Ready(None);
            }
            match std::task::ready!(this.events.as_mut().poll_next(cx)) {
                Some(Ok(batch)) => this.take(batch),
                Some(Err(fault)) => {
                    this.failed = Some(status(&fault, Some(&this.request_id)));
                    this.over = true;
                }
                None => {
                    if this.after > this.sequence {
                        let message = format!("is {}, and the whole stream had {} events", this.after, this.sequence);
                        this.failed = Some(status(&Fault::invalid("after_sequence", message), Some(&this.request_id)));
                    }
                    this.over = true;
                }
            }
        }
    }
}

#[async_trait]
impl v1::stream_service_server::StreamService for Doors {
    type StreamStream = Numbered;
    type ResumeStream = Pin<Box<dyn Stream<Item = Result<v1::ResumeResponse, Status>> + Send>>;

    async fn stream(&self, mut request: Request<v1::StreamRequest>) -> Result<Response<Numbered>, Status> {
        self.tenant(&request)?;
        let id = headworks_engine::request_id();
        let refuse = |fault: Fault| status(&fault, Some(&id));
        let chat = convert::chat(request.get_mut().chat.take(), true).map_err(refuse)?;
        let work = Work::from(chat);
        let window = self.0.shared.streams.window(&work);
        let mut reply = call(self, &request, work, &id).await.map_err(refuse)?;
        let (late, facts) = (Late::default(), std::mem::take(&mut reply.facts));
        let mut response = Response::new(Numbered::new(reply, &id, 0, late.clone()));
        name(&mut response, &id, &facts);
        if let Some(window) = window {
            let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
            response.metadata_mut().as_mut().insert(RESUME_WINDOW, HeaderValue::from(millis));
        }
        response.extensions_mut().insert(late);
        Ok(response)
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Result<Response<Self::ResumeStream>, Status> {
        let tenant = self.tenant(&request)?;
        let v1::ResumeRequest { stream_id, after_sequence } = request.into_inner();
        let refuse = |fault: Fault| status(&fault, None);
        if after_sequence < 0 {
            return Err(refuse(Fault::invalid("after_sequence", format!("is {after_sequence}; sequences begin at 1, and 0 asks for all"))));
        }
        let resumed = self.0.shared.streams.resume(&tenant, &stream_id).map_err(refuse)?;
        if resumed.memo.is_some() {
            let message = format!("\"{stream_id}\" was begun at a REST door; read on with GET /v1/streams/{stream_id} and the header last-event-id");
            return Err(refuse(Fault::invalid("stream_id", message)));
        }
        let mut reply = resumed.reply.await.map_err(refuse)?;
        let (late, facts, stream) = (Late::default(), std::mem::take(&mut reply.facts), Arc::from(stream_id));
        let events = Numbered::new(reply, &stream, after_sequence, late.clone());
        let events = events.map(|next| next.map(|response| v1::ResumeResponse { event: response.event }));
        let mut response = Response::new(Box::pin(events) as Self::ResumeStream);
        name(&mut response, &stream, &facts);
        response.extensions_mut().insert(late);
        Ok(response)
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Result<Response<v1::CancelResponse>, Status> {
        let tenant = self.tenant(&request)?;
        self.0.shared.cancel(&tenant, &request.get_ref().stream_id).map_err(|fault| status(&fault, None))?;
        Ok(Response::new(v1::CancelResponse {}))
    }
}
