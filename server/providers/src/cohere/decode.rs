//! Reads an answer of Cohere's chat, whole or streamed, into events.

use bytes::Bytes;
use headworks_core::{Batch, DialectName, EventKind, Fault, FinishReason, Json, Str, Target, UpstreamError};
use serde_json::value::RawValue;

use super::wire::{Answer, Call, Content, Message};
use crate::{Decoder, Head, calls::Ids, fault, frame::body::Body, text::Text};

/// Reads one answer.
pub(super) struct CohereDecoder {
    body: Body,
    state: State,
}

struct State {
    target: Target,
    started: bool,
    ids: Ids,
    /// Calls begun, by Cohere's index, and whether their end was told; our index is the place in the list.
    calls: Vec<(u32, bool)>,
    citations: Vec<Json>,
    done: bool,
}

impl CohereDecoder {
    pub(super) fn new(target: &Target, head: &Head<'_>) -> Self {
        let state = State { target: target.clone(), started: false, ids: Ids::default(), calls: Vec::new(), citations: Vec::new(), done: false };
        Self { body: Body::new(head), state }
    }
}

impl Decoder for CohereDecoder {
    fn push(&mut self, chunk: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let Self { body, state } = self;
        body.push(chunk, |event| state.event(event.data, out))
    }

    fn end(&mut self, out: &mut Batch) -> Result<(), Fault> {
        let Self { body, state } = self;
        match body.end(|event| state.event(event.data, out))? {
            Some(whole) => state.whole(&whole, out),
            None if state.done => Ok(()),
            None => Err(fault::broken(&state.target, "the stream ended before the answer was complete")),
        }
    }

    fn is_done(&self) -> bool {
        self.state.done
    }
}

impl State {
    /// A whole answer.
    fn whole(&mut self, data: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        fault::text(&self.target, data)?;
        let answer = self.parse(data)?;
        let message = answer.message.and_then(|raw| serde_json::from_str::<Message<'_>>(raw.get()).ok());
        let Some(message) = message else { return Err(self.no_answer(&answer)) };
        self.start(answer.id, data, out);
        self.plan(message.tool_plan, data, out);
        for content in message.content.into_iter().flatten() {
            self.content(content, data, out);
        }
        for (at, call) in message.tool_calls.into_iter().flatten().enumerate() {
            let index = u32::try_from(at).unwrap_or(u32::MAX);
            self.call(index, call, data, out);
            self.end_calls(Some(index), out);
        }
        if let Some(list) = message.citations.and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok()) {
            self.citations.extend(list.into_iter().map(Json::from));
        }
        logprobs(answer.logprobs, out);
        if let Some(tokens) = answer.usage.and_then(|usage| usage.tokens()) {
            out.push(EventKind::Usage { tokens, service_tier: None });
        }
        self.finish(answer.finish_reason.as_deref().unwrap_or("COMPLETE"), None, out)
    }

    /// One event of a stream.
    fn event(&mut self, data: Bytes, out: &mut Batch) -> Result<(), Fault> {
        if self.done || data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let answer = self.parse(&data)?;
        let Some(kind) = answer.kind.as_deref() else {
            // An error in place of an event is its words alone; anything else without a type is new.
            return if answer.message.is_some() { Err(self.no_answer(&answer)) } else { Ok(()) };
        };
        let index = answer.index.unwrap_or(0);
        let (delta, piece) = match answer.delta {
            Some(mut delta) => {
                let piece = delta.message.take();
                (Some(delta), piece)
            }
            None => (None, None),
        };
        match (kind, piece) {
            ("message-start", _) => self.start(answer.id, &data, out),
            ("content-start" | "content-delta", Some(piece)) => {
                if let Some(content) = piece.content {
                    self.content(content, &data, out);
                }
                logprobs(answer.logprobs, out);
            }
            ("tool-plan-delta", Some(piece)) => self.plan(piece.tool_plan, &data, out),
            ("tool-call-start", Some(piece)) => {
                if let Some(call) = piece.tool_calls {
                    self.call(index, call, &data, out);
                }
            }
            ("tool-call-delta", Some(piece)) => {
                let arguments = piece.tool_calls.and_then(|c| c.function).and_then(|f| f.arguments);
                self.arguments(index, arguments, &data, out)?;
            }
            ("tool-call-end", _) => self.end_calls(Some(index), out),
            ("citation-start", Some(piece)) => self.citations.extend(piece.citations.map(Json::from)),
            ("message-end", _) => {
                self.end_calls(None, out);
                let delta = delta.as_ref();
                if let Some(tokens) = delta.and_then(|d| d.usage.as_ref()).and_then(|usage| usage.tokens()) {
                    out.push(EventKind::Usage { tokens, service_tier: None });
                }
                let reason = delta.and_then(|d| d.finish_reason.as_deref()).unwrap_or("COMPLETE");
                return self.finish(reason, delta.and_then(|d| d.error.as_deref()), out);
            }
            _ => {}
        }
        Ok(())
    }

    fn parse<'a>(&self, data: &'a Bytes) -> Result<Answer<'a>, Fault> {
        serde_json::from_slice(data).map_err(|error| fault::garbled(&self.target, &format!("a piece of the answer cannot be read ({error})")))
    }

    fn start(&mut self, id: Option<Text<'_>>, data: &Bytes, out: &mut Batch) {
        if !std::mem::replace(&mut self.started, true) {
            let id = id.map(|id| Str::from_cow(data, id)).filter(|id| !id.is_empty());
            out.push(EventKind::Started { id, model: None, created: None });
        }
    }

    fn content(&mut self, content: Content<'_>, data: &Bytes, out: &mut Batch) {
        self.start(None, data, out);
        if let Some(text) = content.thinking.filter(|text| !text.is_empty()) {
            out.push(EventKind::Reasoning(Str::from_cow(data, text)));
        }
        if let Some(text) = content.text.filter(|text| !text.is_empty()) {
            out.push(EventKind::Text(Str::from_cow(data, text)));
        }
    }

    /// What the model means to do with its tools: thought, not said ("Basic usage of tool use").
    fn plan(&mut self, plan: Option<Text<'_>>, data: &Bytes, out: &mut Batch) {
        if let Some(plan) = plan.filter(|plan| !plan.is_empty()) {
            self.start(None, data, out);
            out.push(EventKind::Reasoning(Str::from_cow(data, plan)));
        }
    }

    fn call(&mut self, index: u32, call: Call<'_>, data: &Bytes, out: &mut Batch) {
        self.start(None, data, out);
        let function = call.function;
        let (name, arguments) = function.map_or((None, None), |f| (f.name, f.arguments));
        let (ours, id) = self.ids.next(call.id.map(|id| Str::from_cow(data, id)), "call");
        self.calls.push((index, false));
        out.push(EventKind::ToolCallStart { index: ours, id, name: name.map(|n| Str::from_cow(data, n)).unwrap_or_default(), signature: None });
        // A call just begun is there.
        let _ = self.arguments(index, arguments, data, out);
    }

    fn arguments(&mut self, index: u32, arguments: Option<&RawValue>, data: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let Some(ours) = self.calls.iter().rposition(|(known, ended)| *known == index && !ended) else {
            return Err(fault::garbled(&self.target, "arguments came for a call that never began, or was over"));
        };
        let piece = match arguments.map(RawValue::get) {
            None | Some("null") => return Ok(()),
            Some(text) if text.starts_with('"') => match serde_json::from_str::<Text<'_>>(text) {
                Ok(text) => Str::from_cow(data, text),
                Err(_) => return Ok(()),
            },
            Some(object) => Str::within(data, object),
        };
        if !piece.is_empty() {
            out.push(EventKind::ToolCallArguments { index: u32::try_from(ours).unwrap_or(u32::MAX), piece });
        }
        Ok(())
    }

    /// Ends the calls of this index, or all.
    fn end_calls(&mut self, only: Option<u32>, out: &mut Batch) {
        for (at, (index, ended)) in self.calls.iter_mut().enumerate() {
            if only.is_none_or(|only| only == *index) && !std::mem::replace(ended, true) {
                out.push(EventKind::ToolCallEnd { index: u32::try_from(at).unwrap_or(u32::MAX) });
            }
        }
    }

    fn finish(&mut self, reason: &str, error: Option<&str>, out: &mut Batch) -> Result<(), Fault> {
        let finish = match reason {
            "MAX_TOKENS" | "ERROR_LIMIT" => FinishReason::Length,
            "ERROR_TOXIC" => FinishReason::ContentFilter,
            // F3: the answer failed, however much of it is there.
            "ERROR" | "TIMEOUT" => return Err(self.failed(error.unwrap_or("the answer failed"))),
            // T5, F8: what counts is whether there are calls to run.
            _ if !self.calls.is_empty() => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        };
        if !self.citations.is_empty() {
            let list: Vec<&str> = self.citations.iter().map(Json::as_str).collect();
            if let Ok(json) = Json::parse(format!("[{}]", list.join(","))) {
                out.push(EventKind::Opaque { dialect: DialectName::Cohere, name: Str::from_static("citations"), json });
            }
        }
        out.push(EventKind::Finished(finish));
        self.done = true;
        Ok(())
    }

    /// What came is no answer: perhaps an error in words.
    fn no_answer(&self, answer: &Answer<'_>) -> Fault {
        match answer.message.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok()) {
            Some(message) => self.failed(&message),
            None => fault::garbled(&self.target, "the answer holds no message"),
        }
    }

    fn failed(&self, message: &str) -> Fault {
        fault::fault(&self.target, UpstreamError { message: message.to_owned(), ..UpstreamError::default() }, None)
    }
}

/// Log probabilities in OpenAI's form: Cohere gives one number for each run of tokens.
fn logprobs(raw: Option<&RawValue>, out: &mut Batch) {
    #[derive(serde::Deserialize)]
    struct Run {
        #[serde(default)]
        text: String,
        #[serde(default)]
        logprobs: Vec<f64>,
    }
    let Some(raw) = raw.map(RawValue::get).filter(|text| *text != "null") else { return };
    let runs: Vec<Run> = match serde_json::from_str(raw).or_else(|_| serde_json::from_str(raw).map(|one| vec![one])) {
        Ok(runs) => runs,
        Err(_) => return,
    };
    let content: Vec<_> = runs
        .iter()
        .filter_map(|run| Some(serde_json::json!({ "token": run.text, "logprob": run.logprobs.first()?, "bytes": run.text.as_bytes(), "top_logprobs": [] })))
        .collect();
    if let Ok(json) = Json::of(&serde_json::json!({ "content": content })) {
        out.push(EventKind::Logprobs(json));
    }
}
