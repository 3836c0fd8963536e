//! Reads Anthropic's messages, whole or streamed, into events.

use bytes::Bytes;
use headworks_core::{Batch, DialectName, EventKind, Fault, FinishReason, Frame, Json, Str, Target, Tokens, UpstreamError};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Decoder, Head, calls::Ids, fault, frame::body::Body, text::Text};

/// Reads one answer.
pub(super) struct AnthropicDecoder {
    body: Body,
    state: State,
}

struct State {
    target: Target,
    /// What each block is, by Anthropic's index.
    blocks: Vec<(u32, Kind)>,
    calls: Ids,
    /// The last event was given another id than it came with: its own bytes must not be passed on.
    renamed: bool,
    usage: Counts,
    stop: Option<FinishReason>,
    done: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Thinking,
    Redacted,
    /// Our own index of the call, and whether any of its input came.
    Call(u32, bool),
    /// Something the provider runs itself: its deltas are nobody's arguments (F1).
    Hosted,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(borrow, default)]
    error: Option<Error<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(borrow, default)]
    error: Option<Error<'a>>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Text<'a>>,
    #[serde(borrow, default)]
    signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Option<Text<'a>>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Text<'a>>,
    #[serde(borrow, default)]
    signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Error<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Usage {
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cache_read_input_tokens: Option<i64>,
    cache_creation_input_tokens: Option<i64>,
    cache_creation: Option<Creation>,
    output_tokens_details: Option<OutputDetails>,
    service_tier: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Creation {
    ephemeral_5m_input_tokens: Option<i64>,
    ephemeral_1h_input_tokens: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<i64>,
}

/// The last report of each count; `input_tokens` leaves cached ones out (Anthropic, "Prompt caching").
#[derive(Default)]
struct Counts {
    seen: Usage,
}

impl Counts {
    fn add(&mut self, new: Usage) -> EventKind {
        let seen = &mut self.seen;
        seen.input_tokens = new.input_tokens.or(seen.input_tokens);
        seen.output_tokens = new.output_tokens.or(seen.output_tokens);
        seen.cache_read_input_tokens = new.cache_read_input_tokens.or(seen.cache_read_input_tokens);
        seen.cache_creation_input_tokens = new.cache_creation_input_tokens.or(seen.cache_creation_input_tokens);
        seen.cache_creation = new.cache_creation.or(seen.cache_creation.take());
        seen.output_tokens_details = new.output_tokens_details.or(seen.output_tokens_details.take());
        seen.service_tier = new.service_tier.or(seen.service_tier.take());
        let count = Tokens::count;
        let split = |kind: fn(&Creation) -> Option<i64>| seen.cache_creation.as_ref().map_or(0, |c| count(kind(c)));
        let (minutes, hour) = (split(|c| c.ephemeral_5m_input_tokens), split(|c| c.ephemeral_1h_input_tokens));
        // The sum is what counts; a split without one is its own sum.
        let written = if seen.cache_creation_input_tokens.is_none() { minutes + hour } else { count(seen.cache_creation_input_tokens) };
        let hour = hour.min(written);
        let output = count(seen.output_tokens);
        let tokens = Tokens {
            input: count(seen.input_tokens),
            cache_read: count(seen.cache_read_input_tokens),
            cache_write_5m: written - hour,
            cache_write_1h: hour,
            output,
            reasoning: seen.output_tokens_details.as_ref().map_or(0, |d| count(d.thinking_tokens)).min(output),
            ..Tokens::default()
        };
        EventKind::Usage { tokens, service_tier: seen.service_tier.as_deref().map(Str::from) }
    }
}

impl AnthropicDecoder {
    pub(super) fn new(target: &Target, head: &Head<'_>) -> Self {
        let state =
            State { target: target.clone(), blocks: Vec::new(), calls: Ids::default(), renamed: false, usage: Counts::default(), stop: None, done: false };
        Self { body: Body::new(head), state }
    }
}

impl Decoder for AnthropicDecoder {
    fn push(&mut self, chunk: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let Self { body, state } = self;
        body.push(chunk, |event| state.frame(&event.data, event.raw, out))
    }

    fn end(&mut self, out: &mut Batch) -> Result<(), Fault> {
        let Self { body, state } = self;
        match body.end(|event| state.frame(&event.data, event.raw, out))? {
            Some(whole) => state.whole(&whole, out),
            None if state.done => Ok(()),
            None if state.stop.is_some() => {
                state.finish(out);
                Ok(())
            }
            None => Err(fault::broken(&state.target, "the stream ended before the answer was complete")),
        }
    }

    fn is_done(&self) -> bool {
        self.state.done
    }
}

impl State {
    fn whole(&mut self, body: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        fault::text(&self.target, body)?;
        let message: Message<'_> =
            serde_json::from_slice(body).map_err(|error| fault::garbled(&self.target, &format!("the answer cannot be read ({error})")))?;
        if let Some(error) = message.error {
            return Err(self.said(error));
        }
        if message.content.is_none() && message.stop_reason.is_none() {
            return Err(fault::garbled(&self.target, "the answer holds no content"));
        }
        self.started(&message, body, out);
        for (at, raw) in message.content.unwrap_or_default().into_iter().enumerate() {
            let index = u32::try_from(at).unwrap_or(u32::MAX);
            self.begin(index, raw, body, false, out);
            self.close(index, out);
        }
        self.stop = Some(reason(message.stop_reason.as_deref().unwrap_or("end_turn")));
        if let Some(usage) = message.usage {
            out.push(self.usage.add(usage));
        }
        self.finish(out);
        out.dialect = Some(DialectName::Anthropic);
        let events = u16::try_from(out.events.len()).unwrap_or(u16::MAX);
        let own = if self.renamed { Bytes::new() } else { body.slice(body.len() - body.trim_ascii_start().len()..) };
        out.frames.push(Frame { bytes: own, events });
        Ok(())
    }

    /// One event of a stream, with its own bytes for clients of the same dialect.
    fn frame(&mut self, data: &Bytes, raw: Bytes, out: &mut Batch) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        let before = out.events.len();
        fault::text(&self.target, &raw)?;
        self.event(data, out)?;
        let events = u16::try_from(out.events.len() - before).unwrap_or(u16::MAX);
        // What lacks its blank line cannot stand before another event.
        let whole = raw.ends_with(b"\n\n") || raw.ends_with(b"\r\n\r\n") || raw.ends_with(b"\r\r");
        out.dialect = Some(DialectName::Anthropic);
        let own = whole && !std::mem::take(&mut self.renamed);
        out.frames.push(Frame { bytes: if own { raw } else { Bytes::new() }, events });
        Ok(())
    }

    fn started(&self, message: &Message<'_>, body: &Bytes, out: &mut Batch) {
        let own = |text: &Option<Text<'_>>| text.as_ref().map(|t| Str::within(body, t)).filter(|t| !t.is_empty());
        out.push(EventKind::Started { id: own(&message.id), model: own(&message.model), created: None });
    }

    fn event(&mut self, data: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let event: Event<'_> =
            serde_json::from_slice(data).map_err(|error| fault::garbled(&self.target, &format!("a piece of the answer cannot be read ({error})")))?;
        match event.kind.as_deref() {
            Some("message_start") => {
                if let Some(message) = event.message {
                    self.started(&message, data, out);
                    if let Some(usage) = message.usage {
                        out.push(self.usage.add(usage));
                    }
                }
            }
            Some("content_block_start") => {
                if let Some(raw) = event.content_block {
                    self.begin(event.index, raw, data, true, out);
                }
            }
            Some("content_block_delta") => {
                if let Some(delta) = event.delta {
                    self.delta(event.index, delta, data, out);
                }
            }
            Some("content_block_stop") => self.close(event.index, out),
            Some("message_delta") => {
                if let Some(stop) = event.delta.and_then(|d| d.stop_reason) {
                    self.stop = Some(reason(&stop));
                }
                if let Some(usage) = event.usage {
                    out.push(self.usage.add(usage));
                }
            }
            Some("message_stop") => self.finish(out),
            Some("error") => return Err(self.said(event.error.unwrap_or(Error { kind: None, message: None }))),
            // Pings, and whatever comes to be.
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, index: u32, raw: &RawValue, data: &Bytes, streamed: bool, out: &mut Batch) {
        let Ok(block) = serde_json::from_str::<Block<'_>>(raw.get()) else { return };
        self.close(index, out);
        let own = |text: &Text<'_>| Str::within(data, text);
        let kind = match block.kind.as_deref() {
            Some("text") => {
                if let Some(text) = block.text.as_ref().filter(|t| !t.is_empty()) {
                    out.push(EventKind::Text(own(text)));
                }
                if let Some(citations) = block.citations.filter(|c| !matches!(c.get(), "null" | "[]")) {
                    out.push(EventKind::Opaque { dialect: DialectName::Anthropic, name: Str::from_static("citations"), json: Json::from(citations) });
                }
                Kind::Text
            }
            Some("thinking") => {
                if let Some(text) = block.thinking.as_ref().filter(|t| !t.is_empty()) {
                    out.push(EventKind::Reasoning(own(text)));
                }
                if let Some(signature) = block.signature.as_ref().filter(|t| !t.is_empty()) {
                    out.push(EventKind::ReasoningSignature(own(signature)));
                }
                Kind::Thinking
            }
            Some("redacted_thinking") => {
                out.push(EventKind::RedactedReasoning(block.data.as_ref().map(own).unwrap_or_default()));
                Kind::Redacted
            }
            Some("tool_use") => {
                let told = block.id.as_ref().map(own);
                let (ours, id) = self.calls.next(told.clone(), "toolu");
                self.renamed |= told.is_none_or(|told| told != id);
                out.push(EventKind::ToolCallStart { index: ours, id, name: block.name.as_ref().map(own).unwrap_or_default(), signature: None });
                // Streams begin with an empty input and send it in pieces; some send it whole.
                let given = block.input.map(RawValue::get).filter(|text| !matches!(text.trim(), "null")).filter(|text| !streamed || text.trim() != "{}");
                if let Some(text) = given {
                    out.push(EventKind::ToolCallArguments { index: ours, piece: text.into() });
                }
                Kind::Call(ours, given.is_some())
            }
            _ => {
                out.push(EventKind::Hosted(Json::from(raw)));
                Kind::Hosted
            }
        };
        self.blocks.retain(|(at, _)| *at != index);
        self.blocks.push((index, kind));
    }

    fn delta(&mut self, index: u32, delta: Delta<'_>, data: &Bytes, out: &mut Batch) {
        let kind = self.blocks.iter_mut().find(|(at, _)| *at == index).map(|(_, kind)| kind);
        let own = |text: Text<'_>| Str::from_cow(data, text);
        match (delta.kind.as_deref(), kind) {
            (Some("text_delta"), _) => {
                if let Some(text) = delta.text.filter(|t| !t.is_empty()) {
                    out.push(EventKind::Text(own(text)));
                }
            }
            (Some("thinking_delta"), _) => {
                if let Some(text) = delta.thinking.filter(|t| !t.is_empty()) {
                    out.push(EventKind::Reasoning(own(text)));
                }
            }
            (Some("signature_delta"), _) => {
                if let Some(signature) = delta.signature {
                    out.push(EventKind::ReasoningSignature(own(signature)));
                }
            }
            (Some("input_json_delta"), Some(Kind::Call(ours, any))) => {
                if let Some(piece) = delta.partial_json.filter(|t| !t.is_empty()) {
                    *any = true;
                    out.push(EventKind::ToolCallArguments { index: *ours, piece: own(piece) });
                }
            }
            (Some("citations_delta"), _) => {
                if let Some(citation) = delta.citation {
                    out.push(EventKind::Opaque { dialect: DialectName::Anthropic, name: Str::from_static("citation"), json: Json::from(citation) });
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, index: u32, out: &mut Batch) {
        if let Some((_, Kind::Call(ours, any))) = self.blocks.iter().find(|(at, _)| *at == index) {
            if !any {
                out.push(EventKind::ToolCallArguments { index: *ours, piece: Str::from_static("{}") });
            }
            out.push(EventKind::ToolCallEnd { index: *ours });
            self.blocks.retain(|(at, _)| *at != index);
        }
    }

    fn finish(&mut self, out: &mut Batch) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        // A block whose end was not told has ended all the same.
        let open: Vec<u32> = self.blocks.iter().map(|(index, _)| *index).collect();
        open.into_iter().for_each(|index| self.close(index, out));
        let finish = match self.stop.unwrap_or(FinishReason::Stop) {
            // T5: what counts is whether there are calls to run.
            FinishReason::Stop | FinishReason::ToolCalls if self.calls.count() > 0 => FinishReason::ToolCalls,
            FinishReason::ToolCalls => FinishReason::Stop,
            other => other,
        };
        out.push(EventKind::Finished(finish));
    }

    fn said(&self, error: Error<'_>) -> Fault {
        let error = UpstreamError {
            message: error.message.map(|m| m.to_string()).unwrap_or_default(),
            kind: error.kind.map(|k| k.to_string()),
            ..UpstreamError::default()
        };
        fault::fault(&self.target, error, None)
    }
}

fn reason(stop: &str) -> FinishReason {
    match stop {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}
