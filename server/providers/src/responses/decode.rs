//! Reads a response, whole or streamed, into events.

use std::sync::Arc;

use bytes::Bytes;
use headworks_core::{Batch, DialectName, EventKind, Fault, FinishReason, Frame, Host, Json, Str, Target};
use serde_json::{Value, value::RawValue};

use super::{
    item,
    wire::{self, Event, Item, Piece, Response},
};
use crate::{Decoder, Head, fault, frame::body::Body, openai, text::Text};

/// Reads one answer.
pub(super) struct ResponsesDecoder {
    body: Body,
    state: State,
}

struct State {
    target: Target,
    host: Arc<Host>,
    started: bool,
    items: Vec<Told>,
    /// Ids of the client's calls, in order: their places are our indices.
    calls: Vec<String>,
    /// The client has something to run.
    to_run: bool,
    done: bool,
}

/// What was told of one item of the output.
struct Told {
    /// The host's index for it.
    place: u32,
    kind: Kind,
    /// Bytes of its text, reasoning or arguments told so far.
    told: usize,
    closed: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Message,
    /// Whether its text is the summary: hosts that send both say the same twice.
    Reasoning(Option<bool>),
    /// Our own index of the call.
    Call(u32),
    /// Something the provider runs, or that only this dialect understands.
    Other,
}

impl ResponsesDecoder {
    pub(super) fn new(target: &Target, head: &Head<'_>) -> Self {
        let host = target.host.clone();
        let state = State { target: target.clone(), host, started: false, items: Vec::new(), calls: Vec::new(), to_run: false, done: false };
        Self { body: Body::new(head), state }
    }
}

impl Decoder for ResponsesDecoder {
    fn push(&mut self, chunk: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let Self { body, state } = self;
        body.push(chunk, |event| {
            out.dialect = Some(DialectName::OpenAiResponses);
            state.frame(&event.data, event.raw, out)
        })
    }

    fn end(&mut self, out: &mut Batch) -> Result<(), Fault> {
        let Self { body, state } = self;
        out.dialect = Some(DialectName::OpenAiResponses);
        match body.end(|event| state.frame(&event.data, event.raw, out))? {
            Some(whole) => state.whole(whole, out),
            None if state.done => Ok(()),
            None => Err(fault::broken(&state.target, "the stream ended before the answer was complete")),
        }
    }

    fn is_done(&self) -> bool {
        self.state.done
    }
}

/// What a call without an id, or with another's, is called.
fn unique(calls: &[String], id: Option<&str>) -> String {
    let at = calls.len();
    let id = id.filter(|id| !id.is_empty()).map_or_else(|| format!("call_hw_{at}"), str::to_owned);
    if calls.contains(&id) { format!("{id}_{at}") } else { id }
}

/// Tells what there is of a text.
fn say(out: &mut Batch, data: &Bytes, text: Text<'_>, kind: fn(Str) -> EventKind) -> usize {
    let length = text.len();
    if length > 0 {
        out.push(kind(Str::from_cow(data, text)));
    }
    length
}

impl State {
    /// One SSE frame.
    fn frame(&mut self, data: &Bytes, raw: Bytes, out: &mut Batch) -> Result<(), Fault> {
        // Some hosts end with chat's mark.
        if self.done || data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let before = out.events.len();
        fault::text(&self.target, &raw)?;
        self.event(data, out)?;
        let events = u16::try_from(out.events.len() - before).unwrap_or(u16::MAX);
        out.frames.push(Frame { bytes: raw, events });
        Ok(())
    }

    /// A whole JSON body.
    fn whole(&mut self, body: Bytes, out: &mut Batch) -> Result<(), Fault> {
        fault::text(&self.target, &body)?;
        let response: Response<'_> = serde_json::from_slice(&body).map_err(|error| self.unreadable(&body, &error.to_string()))?;
        if response.output.is_none() && response.object.is_none() && response.status.is_none() {
            return Err(self.unreadable(&body, "it holds no output"));
        }
        self.start(&response, &body, out);
        self.finish(response, &body, out)?;
        let events = u16::try_from(out.events.len()).unwrap_or(u16::MAX);
        out.frames.push(Frame { bytes: body, events });
        Ok(())
    }

    fn event(&mut self, data: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let event: Event<'_> = serde_json::from_slice(data).map_err(|error| self.unreadable(data, &error.to_string()))?;
        let place = event.output_index.unwrap_or(0);
        match event.kind.as_deref().unwrap_or_default() {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = event.response.and_then(|raw| serde_json::from_str::<Response<'_>>(raw.get()).ok()) {
                    self.start(&response, data, out);
                }
            }
            "response.output_item.added" => {
                if let Some(item) = event.item.and_then(|raw| serde_json::from_str::<Item<'_>>(raw.get()).ok()) {
                    self.open(place, &item, out);
                }
            }
            "response.output_item.done" => {
                if let Some(raw) = event.item {
                    self.close(place, raw, data, out);
                }
            }
            "response.output_text.delta" => {
                if let Some(text) = event.delta {
                    self.entry(place, Kind::Message).told += say(out, data, text, EventKind::Text);
                }
                if let Some(json) = wire::logprobs(event.logprobs) {
                    out.push(EventKind::Logprobs(json));
                }
            }
            "response.refusal.delta" => {
                if let Some(text) = event.delta {
                    self.entry(place, Kind::Message).told += say(out, data, text, EventKind::Refusal);
                }
            }
            kind @ ("response.reasoning_summary_text.delta" | "response.reasoning_text.delta") => {
                let summary = kind == "response.reasoning_summary_text.delta";
                let entry = self.entry(place, Kind::Reasoning(None));
                if let (Kind::Reasoning(form), Some(text)) = (&mut entry.kind, event.delta)
                    && *form.get_or_insert(summary) == summary
                {
                    entry.told += say(out, data, text, EventKind::Reasoning);
                }
            }
            "response.function_call_arguments.delta" => {
                if let (Some((at, index)), Some(piece)) = (self.call_at(place), event.delta)
                    && !piece.is_empty()
                    && let Some(told) = self.items.get_mut(at)
                {
                    told.told += piece.len();
                    out.push(EventKind::ToolCallArguments { index, piece: Str::from_cow(data, piece) });
                }
            }
            "response.function_call_arguments.done" => {
                if let Some(arguments) = event.arguments {
                    self.arguments(place, Str::from_cow(data, arguments), out);
                }
            }
            "response.output_text.annotation.added" => {
                if let Some(raw) = event.annotation {
                    out.push(EventKind::Opaque { dialect: DialectName::OpenAiResponses, name: Str::from_static("annotation"), json: Json::from(raw) });
                }
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                let raw = event.response.ok_or_else(|| self.unreadable(data, "its end holds no response"))?;
                let response: Response<'_> = serde_json::from_str(raw.get()).map_err(|error| self.unreadable(data, &error.to_string()))?;
                self.start(&response, data, out);
                self.finish(response, data, out)?;
            }
            "error" => return Err(self.said(data)),
            _ => {
                if event.kind.is_none() {
                    return Err(self.unreadable(data, "it has no type"));
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, response: &Response<'_>, data: &Bytes, out: &mut Batch) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let own = |text: &Option<Text<'_>>| text.as_deref().filter(|text| !text.is_empty()).map(|text| Str::within(data, text));
        #[allow(clippy::cast_possible_truncation)]
        let created = response.created_at.filter(|at| at.is_finite()).map(|at| at as i64);
        out.push(EventKind::Started { id: own(&response.id), model: own(&response.model), created });
    }

    /// What was told of the item at a place, or a new one.
    fn entry(&mut self, place: u32, kind: Kind) -> &mut Told {
        let fits = |told: &Told| told.place == place && !told.closed && std::mem::discriminant(&told.kind) == std::mem::discriminant(&kind);
        let at = self.items.iter().rposition(fits).unwrap_or_else(|| {
            self.items.push(Told { place, kind, told: 0, closed: false });
            self.items.len() - 1
        });
        // The place was just found or made.
        &mut self.items[at]
    }

    fn call_at(&self, place: u32) -> Option<(usize, u32)> {
        let at = self.items.iter().rposition(|told| told.place == place && !told.closed)?;
        match self.items.get(at)?.kind {
            Kind::Call(index) => Some((at, index)),
            _ => None,
        }
    }

    fn open(&mut self, place: u32, item: &Item<'_>, out: &mut Batch) {
        match item.kind.as_deref() {
            Some("function_call") => {
                let index = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
                let id = unique(&self.calls, item.call_id.as_deref().filter(|id| !id.is_empty()).or(item.id.as_deref()));
                self.calls.push(id.clone());
                self.to_run = true;
                let name = item.name.as_deref().unwrap_or_default().into();
                out.push(EventKind::ToolCallStart { index, id: id.into(), name, signature: None });
                self.items.push(Told { place, kind: Kind::Call(index), told: 0, closed: false });
            }
            Some("message") => self.items.push(Told { place, kind: Kind::Message, told: 0, closed: false }),
            Some("reasoning") => self.items.push(Told { place, kind: Kind::Reasoning(None), told: 0, closed: false }),
            _ => self.items.push(Told { place, kind: Kind::Other, told: 0, closed: false }),
        }
    }

    /// A call's whole arguments, where none of them came in pieces.
    fn arguments(&mut self, place: u32, arguments: Str, out: &mut Batch) {
        if let Some((at, index)) = self.call_at(place)
            && let Some(told) = self.items.get_mut(at).filter(|told| told.told == 0)
            && !arguments.is_empty()
        {
            told.told = arguments.len();
            out.push(EventKind::ToolCallArguments { index, piece: arguments });
        }
    }

    /// An item is complete: what its pieces did not tell is told now.
    fn close(&mut self, place: u32, raw: &RawValue, data: &Bytes, out: &mut Batch) {
        let Ok(item) = serde_json::from_str::<Item<'_>>(raw.get()) else { return };
        match item.kind.as_deref().unwrap_or_default() {
            "function_call" => {
                if self.call_at(place).is_none() {
                    self.open(place, &item, out);
                }
                match item.arguments.map(RawValue::get) {
                    None | Some("null") => {}
                    Some(text) if text.starts_with('"') => {
                        if let Ok(text) = serde_json::from_str::<Text<'_>>(text) {
                            self.arguments(place, Str::from_cow(data, text), out);
                        }
                    }
                    Some(object) => self.arguments(place, object.into(), out),
                }
                if let Some((at, index)) = self.call_at(place)
                    && let Some(told) = self.items.get_mut(at)
                {
                    told.closed = true;
                    out.push(EventKind::ToolCallEnd { index });
                }
            }
            "message" => {
                let told = self.entry(place, Kind::Message);
                told.closed = true;
                if told.told == 0 {
                    told.told = item.content.into_iter().flatten().map(|piece| content(piece, data, out)).sum();
                }
            }
            "reasoning" => {
                let told = self.entry(place, Kind::Reasoning(None));
                told.closed = true;
                if told.told == 0 {
                    let summary = item.summary.unwrap_or_default();
                    let pieces = if summary.is_empty() { item.content.unwrap_or_default() } else { summary };
                    told.told = pieces.into_iter().filter_map(|piece| piece.text).map(|text| say(out, data, text, EventKind::Reasoning)).sum();
                }
                if let Some(sealed) = item.encrypted_content.filter(|sealed| !sealed.is_empty()) {
                    out.push(EventKind::ReasoningSignature(Str::from_cow(data, sealed)));
                }
            }
            kind if item::CLIENT_RUNS.contains(&kind) => {
                self.to_run = true;
                self.other(place);
                out.push(EventKind::Opaque { dialect: DialectName::OpenAiResponses, name: kind.into(), json: Json::from(raw) });
            }
            _ => {
                self.other(place);
                out.push(EventKind::Hosted(Json::from(raw)));
            }
        }
    }

    fn other(&mut self, place: u32) {
        self.entry(place, Kind::Other).closed = true;
    }

    /// The end: usage, and why.
    fn finish(&mut self, response: Response<'_>, data: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        if let Some(raw) = response.error.filter(|raw| raw.get() != "null") {
            return Err(self.said(format!("{{\"error\":{}}}", raw.get()).as_bytes()));
        }
        let reason = response.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
        let ended = match response.status.as_deref() {
            Some("incomplete") => match reason {
                Some("content_filter") => Some(FinishReason::ContentFilter),
                _ => Some(FinishReason::Length),
            },
            Some(status @ ("failed" | "cancelled" | "queued" | "in_progress")) => {
                return Err(fault::broken(&self.target, &format!("the answer is not complete: its status is \"{status}\"")));
            }
            _ => None,
        };
        // A host that streams nothing but its end says everything here.
        if self.items.is_empty() {
            for (place, raw) in response.output.unwrap_or_default().into_iter().enumerate() {
                self.close(u32::try_from(place).unwrap_or(u32::MAX), raw, data, out);
            }
        }
        for told in &mut self.items {
            if let (Kind::Call(index), false) = (told.kind, std::mem::replace(&mut told.closed, true)) {
                out.push(EventKind::ToolCallEnd { index });
            }
        }
        if let Some(tokens) = response.usage.and_then(|raw| wire::tokens(raw, &self.host.quirks)) {
            let service_tier = response.service_tier.filter(|tier| !tier.is_empty()).map(|tier| Str::from_cow(data, tier));
            out.push(EventKind::Usage { tokens, service_tier });
        }
        // T5: what counts is whether there are calls to run.
        let reason = ended.unwrap_or(if self.to_run { FinishReason::ToolCalls } else { FinishReason::Stop });
        out.push(EventKind::Finished(reason));
        self.done = true;
        Ok(())
    }

    /// Bytes that are no answer: perhaps an error in words.
    fn unreadable(&self, data: &[u8], error: &str) -> Fault {
        match serde_json::from_slice::<Value>(data).ok().and_then(|value| openai::read_error(&value)) {
            Some(said) => fault::fault(&self.target, said, None),
            None => fault::garbled(&self.target, &format!("a piece of the answer cannot be read ({error})")),
        }
    }

    /// An error in place of an answer: `{"error":{..}}`, or its members beside `type`.
    fn said(&self, json: &[u8]) -> Fault {
        let value = serde_json::from_slice::<Value>(json).unwrap_or_default();
        let mut said = openai::read_error(&value).unwrap_or_default();
        if said.kind.as_deref() == Some("error") {
            said.kind = None;
        }
        fault::fault(&self.target, said, None)
    }
}

fn content(piece: Piece<'_>, data: &Bytes, out: &mut Batch) -> usize {
    let mut told = 0;
    match (piece.kind.as_deref(), piece.text, piece.refusal) {
        (Some("refusal"), _, Some(text)) => told += say(out, data, text, EventKind::Refusal),
        (_, Some(text), _) => told += say(out, data, text, EventKind::Text),
        _ => {}
    }
    if let Some(json) = wire::logprobs(piece.logprobs) {
        out.push(EventKind::Logprobs(json));
    }
    for raw in piece.annotations.into_iter().flatten() {
        out.push(EventKind::Opaque { dialect: DialectName::OpenAiResponses, name: Str::from_static("annotation"), json: Json::from(raw) });
    }
    told
}
