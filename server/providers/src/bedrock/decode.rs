//! Reads Converse's answers, whole or streamed, into events.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, DialectName, EventKind, Fault, FinishReason, Json, Str, Target};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    error,
    usage::{ServiceTier, Usage},
    whole,
};
use crate::{
    Decoder, Head,
    calls::Ids,
    fault,
    frame::{
        self,
        aws::{AwsMessage, AwsParser},
    },
    spell::object,
    text::Text,
};

/// Reads one answer.
pub(super) struct BedrockDecoder {
    target: Target,
    form: Form,
    state: State,
}

enum Form {
    Unknown,
    Json(BytesMut),
    Events(AwsParser),
}

/// What is known of the answer so far.
#[derive(Default)]
pub(super) struct State {
    /// The provider's id of the request.
    id: Option<Str>,
    /// The model's name on the wire: Converse does not repeat it.
    model: Str,
    begun: bool,
    /// Open blocks by Bedrock's index.
    blocks: BTreeMap<u32, Open>,
    calls: Ids,
    metered: bool,
    stopped: bool,
}

/// A block whose end has not come.
#[derive(Default)]
struct Open {
    kind: Kind,
    signature: String,
    /// Decoded: pieces of base64 cannot be joined.
    redacted: Vec<u8>,
}

#[derive(Default)]
enum Kind {
    /// Text or reasoning: its deltas say which.
    #[default]
    Plain,
    /// Our own index of a call, and whether any of its input came.
    Call(u32, bool),
    /// A tool that the provider runs, and its input so far (F1).
    HostedCall { start: Json, input: String },
    /// What such a tool gave back, piece by piece.
    HostedResult { start: Json, content: Vec<Json> },
    /// Something else.
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    #[serde(default)]
    content_block_index: u32,
    #[serde(borrow, default)]
    start: Option<Start<'a>>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    service_tier: Option<ServiceTier>,
    #[serde(borrow, default)]
    trace: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow, default)]
    tool_use: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    image: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolStart<'a> {
    #[serde(borrow, default)]
    tool_use_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    tool_use: Option<ToolDelta<'a>>,
    #[serde(borrow, default)]
    tool_result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<ReasoningDelta<'a>>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolDelta<'a> {
    #[serde(borrow, default)]
    input: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta<'a> {
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    redacted_content: Option<Text<'a>>,
}

impl BedrockDecoder {
    pub(super) fn new(target: &Target, head: &Head<'_>) -> Self {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let form = if header("content-type").contains("vnd.amazon.eventstream") { Form::Events(AwsParser::default()) } else { Form::Unknown };
        let state = State {
            id: Some(header("x-amzn-requestid")).filter(|id| !id.is_empty()).map(Str::from),
            model: (&*target.upstream_name).into(),
            ..State::default()
        };
        Self { target: target.clone(), form, state }
    }
}

impl Decoder for BedrockDecoder {
    fn push(&mut self, chunk: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let begun;
        let chunk = if matches!(self.form, Form::Unknown) {
            let Some((first, rest)) = frame::first(chunk) else { return Ok(()) };
            self.form = match first {
                // A length prelude begins with zeros; JSON with a brace.
                0 => Form::Events(AwsParser::default()),
                _ => Form::Json(BytesMut::new()),
            };
            begun = rest;
            &begun
        } else {
            chunk
        };
        let (target, state) = (&self.target, &mut self.state);
        match &mut self.form {
            Form::Unknown => Ok(()),
            Form::Json(body) => {
                body.extend_from_slice(chunk);
                Ok(())
            }
            Form::Events(parser) => parser.push(chunk, |message| state.message(target, &message, out)).map_err(|fault| fault.at(&target.id)),
        }
    }

    fn end(&mut self, out: &mut Batch) -> Result<(), Fault> {
        let target = &self.target;
        match &mut self.form {
            Form::Unknown => Err(fault::broken(target, "the answer is empty")),
            Form::Json(body) => {
                let body = body.split().freeze();
                whole::read(target, &mut self.state, &body, out)
            }
            // F10: once it said why it stopped the answer is whole, with its metadata or without.
            Form::Events(_) if self.state.stopped => Ok(()),
            Form::Events(parser) => {
                parser.end().map_err(|fault| fault.at(&target.id))?;
                Err(fault::broken(target, "the stream ended before the answer was complete"))
            }
        }
    }

    fn is_done(&self) -> bool {
        self.state.stopped && self.state.metered
    }

    fn is_told(&self) -> bool {
        self.state.stopped
    }
}

impl State {
    /// The answer exists.
    pub(super) fn started(&mut self, out: &mut Batch) {
        if !std::mem::replace(&mut self.begun, true) {
            out.push(EventKind::Started { id: self.id.take(), model: Some(self.model.clone()), created: None });
        }
    }

    /// A call for the client begins; gives our index of it.
    pub(super) fn call(&mut self, id: Option<Str>, name: Option<Str>, out: &mut Batch) -> u32 {
        let (index, id) = self.calls.next(id, "tooluse");
        out.push(EventKind::ToolCallStart { index, id, name: name.unwrap_or_default(), signature: None });
        index
    }

    /// The answer ended for this reason.
    pub(super) fn finish(&mut self, stop: &str, out: &mut Batch) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        let open: Vec<u32> = self.blocks.keys().copied().collect();
        open.into_iter().for_each(|index| self.close(index, out));
        let finish = match stop {
            "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
            "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
            "malformed_model_output" | "malformed_tool_use" => FinishReason::Error,
            // T5: what counts is whether there are calls to run.
            _ if self.calls.count() > 0 => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        };
        out.push(EventKind::Finished(finish));
    }

    /// One message of the stream, told by its type (F10).
    fn message(&mut self, target: &Target, message: &AwsMessage, out: &mut Batch) -> Result<(), Fault> {
        if self.stopped && self.metered {
            return Ok(());
        }
        if matches!(&message.kind[..], b"exception" | b"error") {
            return Err(error::in_stream(target, message));
        }
        // What was said is said: only what it cost can follow.
        if self.stopped && !matches!(&message.name[..], b"metadata") && !message.name.ends_with(b"Exception") {
            return Ok(());
        }
        let data = &message.payload;
        let read = || {
            let unread = |error| fault::garbled(target, &format!("a piece of the answer cannot be read ({error})"));
            serde_json::from_slice::<Piece<'_>>(data).map_err(unread)
        };
        match &message.name[..] {
            b"messageStart" => self.started(out),
            b"contentBlockStart" => {
                let piece = read()?;
                self.started(out);
                if let Some(start) = piece.start {
                    self.begin(piece.content_block_index, &start, data, out);
                }
            }
            b"contentBlockDelta" => {
                let piece = read()?;
                self.started(out);
                if let Some(delta) = piece.delta {
                    self.delta(piece.content_block_index, delta, data, out);
                }
            }
            b"contentBlockStop" => self.close(read()?.content_block_index, out),
            b"messageStop" => {
                let piece = read()?;
                self.started(out);
                self.finish(piece.stop_reason.as_deref().unwrap_or_default(), out);
            }
            b"metadata" => {
                let piece = read()?;
                if let Some(trace) = piece.trace {
                    out.push(EventKind::Opaque { dialect: DialectName::Bedrock, name: Str::from_static("trace"), json: Json::from(trace) });
                }
                if let Some(kind) = piece.usage.and_then(|usage| usage.event(piece.service_tier.as_ref())) {
                    self.metered = true;
                    out.push(kind);
                }
            }
            // An exception whose sender left out what kind of message it is.
            name if name.ends_with(b"Exception") => return Err(error::in_stream(target, message)),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, index: u32, start: &Start<'_>, data: &Bytes, out: &mut Batch) {
        let own = |text: Text<'_>| Str::from_cow(data, text);
        let kind = if let Some(raw) = start.tool_use {
            let Ok(tool) = serde_json::from_str::<ToolStart<'_>>(raw.get()) else { return };
            if whole::hosted(tool.kind.as_deref()) {
                Kind::HostedCall { start: Json::from(raw), input: String::new() }
            } else {
                Kind::Call(self.call(tool.tool_use_id.map(own), tool.name.map(own), out), false)
            }
        } else if let Some(raw) = start.tool_result {
            Kind::HostedResult { start: Json::from(raw), content: Vec::new() }
        } else if start.image.is_some() {
            Kind::Other
        } else {
            Kind::Plain
        };
        self.close(index, out);
        self.blocks.insert(index, Open { kind, ..Open::default() });
    }

    fn delta(&mut self, index: u32, delta: Delta<'_>, data: &Bytes, out: &mut Batch) {
        let own = |text: Text<'_>| Str::from_cow(data, text);
        let open = self.blocks.entry(index).or_default();
        if let Some(text) = delta.text.filter(|t| !t.is_empty()) {
            out.push(EventKind::Text(own(text)));
        }
        if let Some(piece) = delta.tool_use.and_then(|t| t.input).filter(|t| !t.is_empty()) {
            match &mut open.kind {
                Kind::Call(ours, any) => {
                    *any = true;
                    out.push(EventKind::ToolCallArguments { index: *ours, piece: own(piece) });
                }
                Kind::HostedCall { input, .. } => input.push_str(&piece),
                _ => {}
            }
        }
        if let (Some(raw), Kind::HostedResult { content, .. }) = (delta.tool_result, &mut open.kind) {
            match serde_json::from_str::<Vec<Json>>(raw.get()) {
                Ok(items) => content.extend(items),
                Err(_) => content.push(Json::from(raw)),
            }
        }
        if let Some(thought) = delta.reasoning_content {
            if let Some(text) = thought.text.filter(|t| !t.is_empty()) {
                out.push(EventKind::Reasoning(own(text)));
            }
            if let Some(signature) = thought.signature {
                open.signature.push_str(&signature);
            }
            if let Some(blob) = thought.redacted_content {
                match STANDARD.decode(blob.as_bytes()) {
                    Ok(bytes) => open.redacted.extend(bytes),
                    Err(_) => out.push(EventKind::RedactedReasoning(own(blob))),
                }
            }
        }
        if let Some(citation) = delta.citation {
            out.push(EventKind::Opaque { dialect: DialectName::Bedrock, name: Str::from_static("citation"), json: Json::from(citation) });
        }
    }

    /// A block is complete.
    fn close(&mut self, index: u32, out: &mut Batch) {
        let Some(open) = self.blocks.remove(&index) else { return };
        if !open.signature.is_empty() {
            out.push(EventKind::ReasoningSignature(open.signature.into()));
        }
        if !open.redacted.is_empty() {
            out.push(EventKind::RedactedReasoning(whole::redacted(&STANDARD.encode(&open.redacted))));
        }
        match open.kind {
            Kind::Call(index, any) => {
                if !any {
                    out.push(EventKind::ToolCallArguments { index, piece: Str::from_static("{}") });
                }
                out.push(EventKind::ToolCallEnd { index });
            }
            Kind::HostedCall { start, input } => {
                let input = Json::parse(input.clone()).or_else(|_| Json::of(&input));
                out.events.extend(hosted("toolUse", &start, "input", input.ok().as_ref()).map(|kind| headworks_core::Event { choice: 0, kind }));
            }
            Kind::HostedResult { start, content } => {
                let content = Json::of(&content).ok();
                out.events.extend(hosted("toolResult", &start, "content", content.as_ref()).map(|kind| headworks_core::Event { choice: 0, kind }));
            }
            Kind::Plain | Kind::Other => {}
        }
    }
}

/// What a tool of the provider's own did, in the form that a whole answer gives it.
fn hosted(block: &str, start: &Json, name: &str, value: Option<&Json>) -> Option<EventKind> {
    let members: BTreeMap<String, Json> = start.read().ok()?;
    let mut out = Vec::new();
    object(&mut out, |o| {
        o.obj(block, |b| {
            members.iter().filter(|(known, _)| *known != name).for_each(|(known, value)| b.raw(known, value.as_str()));
            b.opt_json(name, value);
        });
    });
    Json::parse(String::from_utf8(out).ok()?).ok().map(EventKind::Hosted)
}
