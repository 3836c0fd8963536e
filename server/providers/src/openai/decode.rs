//! Reads a chat completion, whole or streamed, into events.

use std::sync::Arc;

use bytes::Bytes;
use headworks_core::{Batch, DialectName, EventKind, Fault, FinishReason, Frame, Host, Str, Target};
use serde_json::{Value, value::RawValue};

use super::{
    error,
    wire::{self, Chunk, Content, Delta, ToolCall},
};
use crate::{Decoder, Head, calls::Whole, fault, frame::body::Body, text::Text};

/// Reads one answer.
pub(super) struct OpenAiDecoder {
    body: Body,
    state: State,
}

struct State {
    target: Target,
    host: Arc<Host>,
    started: bool,
    id: Str,
    choices: Vec<ChoiceState>,
    /// A piece came for a call that was over and not whole.
    late: bool,
    done: bool,
}

#[derive(Default)]
struct ChoiceState {
    calls: Vec<Call>,
    /// Something was said of it: hosts may leave out numbers.
    begun: bool,
    finished: bool,
    hosted_only: bool,
}

struct Call {
    /// The host's index for it; several calls may share one.
    wire: u32,
    id: String,
    /// Complete: its end was told.
    ended: bool,
    /// Its arguments so far.
    arguments: Whole,
}

impl OpenAiDecoder {
    pub(super) fn new(target: &Target, head: &Head<'_>) -> Self {
        let state =
            State { target: target.clone(), host: target.host.clone(), started: false, id: Str::default(), choices: Vec::new(), late: false, done: false };
        Self { body: Body::new(head), state }
    }
}

impl Decoder for OpenAiDecoder {
    fn push(&mut self, chunk: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let Self { body, state } = self;
        body.push(chunk, |event| {
            out.dialect = Some(DialectName::OpenAi);
            state.frame(event.data, event.raw, out)
        })
    }

    fn end(&mut self, out: &mut Batch) -> Result<(), Fault> {
        let Self { body, state } = self;
        out.dialect = Some(DialectName::OpenAi);
        if let Some(whole) = body.end(|event| state.frame(event.data, event.raw, out))? {
            return state.whole(whole, out);
        }
        if state.done || (!state.choices.is_empty() && state.choices.iter().all(|choice| choice.finished || !choice.begun)) {
            state.done = true;
            return Ok(());
        }
        Err(fault::broken(&state.target, "the stream ended before the answer was complete"))
    }

    fn is_done(&self) -> bool {
        self.state.done
    }
}

impl State {
    /// One SSE frame.
    fn frame(&mut self, data: Bytes, raw: Bytes, out: &mut Batch) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        let before = out.events.len();
        if data.trim_ascii() == b"[DONE]" {
            if self.choices.is_empty() {
                return Err(fault::broken(&self.target, "the stream ended without an answer"));
            }
            // F5: an answer that never said why it ended is whole all the same.
            let begun: Vec<usize> = self.choices.iter().enumerate().filter(|(_, choice)| choice.begun).map(|(index, _)| index).collect();
            for index in begun {
                self.finish(u16::try_from(index).unwrap_or(u16::MAX), "stop", out);
            }
            self.done = true;
            let events = u16::try_from(out.events.len() - before).unwrap_or(u16::MAX);
            out.frames.push(Frame { bytes: Bytes::new(), events });
            return Ok(());
        }
        fault::text(&self.target, &raw)?;
        let plain = self.read(&data, true, out)?;
        let events = u16::try_from(out.events.len() - before).unwrap_or(u16::MAX);
        out.frames.push(Frame { bytes: if plain { raw } else { Bytes::new() }, events });
        Ok(())
    }

    /// A whole JSON body.
    fn whole(&mut self, body: Bytes, out: &mut Batch) -> Result<(), Fault> {
        fault::text(&self.target, &body)?;
        let plain = self.read(&body, false, out)?;
        if self.choices.is_empty() {
            return Err(fault::garbled(&self.target, "the answer holds no choices"));
        }
        let events = u16::try_from(out.events.len()).unwrap_or(u16::MAX);
        out.frames.push(Frame { bytes: if plain { body } else { Bytes::new() }, events });
        self.done = true;
        Ok(())
    }

    /// Reads one JSON object; true if its bytes may be passed on as they came.
    fn read(&mut self, data: &Bytes, streamed: bool, out: &mut Batch) -> Result<bool, Fault> {
        let chunk: Chunk<'_> = match serde_json::from_slice(data) {
            Ok(chunk) => chunk,
            Err(error) => return Err(self.unreadable(data, &error.to_string())),
        };
        let failed = chunk.error.or_else(|| chunk.x_groq.as_ref().and_then(|x| x.error));
        if let Some(raw) = failed.filter(|raw| raw.get() != "null") {
            return Err(self.said(&format!("{{\"error\":{}}}", raw.get())));
        }
        if chunk.choices.is_none() && chunk.usage.is_none() && chunk.object.as_deref().is_none_or(|object| object == "error") {
            // {"message": ..} and the like: an error without the word.
            if let Some(error) = serde_json::from_slice::<Value>(data).ok().and_then(|value| error::read(&value)) {
                return Err(fault::fault(&self.target, error, None));
            }
        }
        let mut plain = true;
        if !self.started
            && streamed
            && chunk.usage.is_none()
            && chunk.id.as_deref().is_none_or(str::is_empty)
            && chunk.choices.as_ref().is_some_and(Vec::is_empty)
        {
            // Azure tells first what its filters found in the prompt, in a chunk without an answer.
            return Ok(false);
        }
        if !self.started {
            self.started = true;
            let id = chunk.id.map(|id| Str::from_cow(data, id)).filter(|id| !id.is_empty());
            self.id = id.as_deref().map(Str::from).unwrap_or_default();
            let model = chunk.model.map(|model| Str::from_cow(data, model)).filter(|model| !model.is_empty());
            plain &= id.is_some() && model.is_some() && chunk.created.is_some();
            out.push(EventKind::Started { id, model, created: chunk.created });
        }
        let mut usage: Option<&RawValue> = chunk.usage.or_else(|| chunk.x_groq.as_ref().and_then(|x| x.usage));
        for choice in chunk.choices.unwrap_or_default() {
            let index = choice.index.unwrap_or(0);
            usage = usage.or(choice.usage);
            while self.choices.len() <= usize::from(index) {
                if self.choices.len() > 128 {
                    return Err(fault::garbled(&self.target, "the answer numbers its choices beyond 128"));
                }
                self.choices.push(ChoiceState::default());
            }
            if let Some(state) = self.choices.get_mut(usize::from(index)) {
                state.begun = true;
            }
            // Perplexity puts both into every answer; each form has its own.
            let said = if streamed { choice.delta.or(choice.message) } else { choice.message.or(choice.delta) };
            if let Some(delta) = said {
                plain &= self.delta(index, delta, data, streamed, out);
                if self.late {
                    return Err(fault::garbled(&self.target, "a piece came of a call that was over"));
                }
            }
            if let Some(logprobs) = wire::json(choice.logprobs) {
                out.push_for(index, EventKind::Logprobs(logprobs));
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                let told = self.finish(index, &reason, out);
                plain &= !streamed && told == &*reason;
            } else if !streamed {
                // Whole answers without a reason are whole all the same.
                self.finish(index, "stop", out);
                plain = false;
            }
        }
        if let Some(tokens) = usage.and_then(|raw| wire::tokens(raw, &self.host.quirks)) {
            let service_tier = chunk.service_tier.map(|tier| Str::from_cow(data, tier));
            out.push(EventKind::Usage { tokens, service_tier });
            plain &= !streamed;
        }
        Ok(plain)
    }

    fn delta(&mut self, index: u16, delta: Delta<'_>, data: &Bytes, streamed: bool, out: &mut Batch) -> bool {
        let mut plain = true;
        let mut say = |text: Text<'_>, kind: fn(Str) -> EventKind| {
            if !text.is_empty() {
                out.push_for(index, kind(Str::from_cow(data, text)));
            }
        };
        match (delta.reasoning_content, delta.reasoning) {
            (Some(text), _) => say(text, EventKind::Reasoning),
            (None, Some(text)) => {
                plain &= text.is_empty();
                say(text, EventKind::Reasoning);
            }
            (None, None) => {
                for text in delta.reasoning_details.into_iter().flatten().filter_map(|detail| detail.text) {
                    plain &= text.is_empty();
                    say(text, EventKind::Reasoning);
                }
            }
        }
        match delta.content {
            Some(Content::Text(text)) => say(text, EventKind::Text),
            Some(Content::Parts(parts)) => {
                plain = false;
                for part in parts {
                    match part.kind.as_deref() {
                        Some("thinking") => {
                            part.thinking.into_iter().flatten().filter_map(|p| p.text).for_each(|text| say(text, EventKind::Reasoning));
                        }
                        Some("text") | None => part.text.into_iter().for_each(|text| say(text, EventKind::Text)),
                        Some(_) => {}
                    }
                }
            }
            None => {}
        }
        if let Some(refusal) = delta.refusal {
            say(refusal, EventKind::Refusal);
        }
        for (place, call) in delta.tool_calls.into_iter().flatten().enumerate() {
            plain &= self.call(index, place, call, data, streamed, out);
        }
        let begun = streamed && self.choices.get(usize::from(index)).is_some_and(|state| !state.calls.is_empty());
        if let Some(function) = delta.function_call.filter(|f| begun || f.name.as_ref().is_some_and(|name| !name.is_empty())) {
            // The form before tools: one call, without an id. Some hosts send an empty one with every answer.
            plain = false;
            self.call(index, 0, ToolCall { index: Some(0), id: None, function: Some(function), extra_content: None }, data, streamed, out);
        }
        if let Some(json) = wire::json(delta.annotations).filter(|json| json.as_str() != "[]") {
            out.push_for(index, EventKind::Opaque { dialect: DialectName::OpenAi, name: Str::from_static("annotations"), json });
        }
        plain
    }

    /// A piece of a tool call. Which call it belongs to is told by its id, else by its index;
    /// our own indices run 0, 1, 2, ... whatever the host counts.
    fn call(&mut self, choice: u16, place: usize, call: ToolCall<'_>, data: &Bytes, streamed: bool, out: &mut Batch) -> bool {
        let Some(state) = self.choices.get_mut(usize::from(choice)) else { return false };
        let stated = call.index;
        let wire = stated.unwrap_or(u32::try_from(place).unwrap_or(0));
        let id = call.id.as_deref().filter(|id| !id.is_empty());
        let known = match id {
            Some(id) => state.calls.iter().rposition(|c| c.id == id && c.wire == wire).or_else(|| state.calls.iter().rposition(|c| c.id == id)),
            None => state.calls.iter().rposition(|c| c.wire == wire),
        };
        // A whole answer holds each call once, whatever its id says.
        let known = known.filter(|_| streamed);
        let name = call.function.as_ref().and_then(|f| f.name.as_deref()).filter(|name| !name.is_empty());
        let arguments = call.function.as_ref().and_then(|f| f.arguments).and_then(|raw| arguments(raw, data));
        // Without an id, a second name under the same index is a second call once the first is complete JSON.
        let begins = arguments.as_ref().is_some_and(|(piece, _)| piece.trim_start().starts_with('{'));
        let second = |at: &usize| stated.is_none() || (begins && state.calls.get(*at).is_some_and(|call| call.arguments.is_whole()));
        let known = known.filter(|at| !(id.is_none() && name.is_some() && second(at)));
        let told = known.and_then(|at| state.calls.get(at));
        if state.finished || told.is_some_and(|call| call.ended) {
            // Who repeats what is whole has said nothing new; what is not whole would be passed off as such.
            self.late |= !told.is_some_and(|call| call.arguments.is_whole());
            return false;
        }
        let mut plain = !streamed || stated.is_some();
        let ours = match known {
            Some(at) => at,
            None => {
                let at = state.calls.len();
                let told = id.map_or_else(
                    || {
                        plain = false;
                        let tail: String = self.id.chars().filter(char::is_ascii_alphanumeric).rev().take(12).collect();
                        format!("call_{}_{choice}_{at}", if tail.is_empty() { "hw" } else { &tail })
                    },
                    str::to_owned,
                );
                let unique = if state.calls.iter().any(|c| c.id == told) {
                    plain = false;
                    format!("{told}_{at}")
                } else {
                    told
                };
                // Some hosts tell of several calls in turns: only what is whole has ended.
                for (before, call) in state.calls.iter_mut().enumerate().filter(|(_, call)| !call.ended && call.arguments.is_whole()) {
                    call.ended = true;
                    out.push_for(choice, EventKind::ToolCallEnd { index: u32::try_from(before).unwrap_or(0) });
                }
                state.calls.push(Call { wire, id: unique.clone(), ended: false, arguments: Whole::default() });
                let signature = call.extra_content.and_then(|e| e.google).and_then(|g| g.thought_signature);
                out.push_for(
                    choice,
                    EventKind::ToolCallStart {
                        index: u32::try_from(at).unwrap_or(0),
                        id: unique.into(),
                        name: name.unwrap_or_default().into(),
                        signature: signature.map(|s| (&*s).into()),
                    },
                );
                at
            }
        };
        let index = u32::try_from(ours).unwrap_or(0);
        plain &= !streamed || wire == index;
        if let Some((piece, as_text)) = arguments {
            plain &= as_text;
            if !piece.is_empty() {
                if let Some(call) = state.calls.get_mut(ours) {
                    call.arguments.read(&piece);
                }
                out.push_for(choice, EventKind::ToolCallArguments { index, piece });
            }
        }
        plain
    }

    fn finish(&mut self, choice: u16, reason: &str, out: &mut Batch) -> &'static str {
        let Some(state) = self.choices.get_mut(usize::from(choice)) else { return "" };
        for (at, call) in state.calls.iter_mut().enumerate().filter(|(_, call)| !call.ended) {
            call.ended = true;
            out.push_for(choice, EventKind::ToolCallEnd { index: u32::try_from(at).unwrap_or(0) });
        }
        let finish = match reason {
            "length" | "max_tokens" | "model_length" => FinishReason::Length,
            "content_filter" | "safety" => FinishReason::ContentFilter,
            "error" => FinishReason::Error,
            // T5: what counts is whether there are calls to run.
            _ if !state.calls.is_empty() && !state.hosted_only => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        };
        if !std::mem::replace(&mut state.finished, true) {
            out.push_for(choice, EventKind::Finished(finish));
        }
        super::writer::finish_word(finish)
    }

    /// Bytes that are no chunk: perhaps an error in words.
    fn unreadable(&self, data: &[u8], error: &str) -> Fault {
        if let Some(said) = serde_json::from_slice::<Value>(data).ok().and_then(|value| error::read(&value)) {
            return fault::fault(&self.target, said, None);
        }
        fault::garbled(&self.target, &format!("a piece of the answer cannot be read ({error})"))
    }

    /// An error in place of an answer.
    fn said(&self, json: &str) -> Fault {
        let mut said = serde_json::from_str::<Value>(json).ok().and_then(|value| error::read(&value)).unwrap_or_default();
        // Hosts that answer 200 put the status into the code.
        said.status = said.code.as_deref().and_then(|code| code.parse().ok()).filter(|code| (400..600).contains(code)).unwrap_or(0);
        fault::fault(&self.target, said, None)
    }
}

/// Arguments as text, and whether that is how they came.
fn arguments(raw: &RawValue, data: &Bytes) -> Option<(Str, bool)> {
    match raw.get() {
        "null" => None,
        text if text.starts_with('"') => {
            let text: Text<'_> = serde_json::from_str(text).ok()?;
            Some((Str::from_cow(data, text), true))
        }
        object => Some((object.into(), false)),
    }
}
