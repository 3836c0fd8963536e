//! Reads Gemini's answers: one object, server-sent events, or an array of objects.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, DialectName, EventKind, Fault, FinishReason, Json, Str, Target};
use serde_json::{Value, value::RawValue};

use super::{
    array::ArrayParser,
    said,
    wire::{self, Answer, Call, Candidate, PartIn},
};
use crate::{
    Decoder, Head, fault,
    frame::{
        self,
        sse::{LARGEST, SseParser},
    },
};

/// How much of a stream's end is looked at for an error that is no event, bytes.
const TAIL: usize = 16 << 10;
/// Candidates beyond which an answer is taken for nonsense. Google gives 8 at most.
const MOST_CANDIDATES: usize = 128;

/// Reads one answer.
pub(super) struct GeminiDecoder {
    form: Form,
    state: State,
}

enum Form {
    /// Decided by the first byte that is no white space.
    Unknown,
    /// One object, or an array of them.
    Objects(ArrayParser),
    Sse(SseParser, Tail),
}

/// The last bytes of a stream.
#[derive(Default)]
struct Tail {
    bytes: BytesMut,
    /// It begins in the middle of a line.
    cut: bool,
}

struct State {
    target: Target,
    started: bool,
    /// What made-up call ids begin with.
    id: String,
    ids: HashSet<String>,
    choices: Vec<Choice>,
    blocked: bool,
    /// The answer is one object: complete as it is.
    whole: bool,
    /// The tier by the answer's header, for answers that do not say it themselves.
    tier: Option<&'static str>,
}

#[derive(Default, Clone)]
struct Choice {
    calls: u32,
    stop: Option<FinishReason>,
}

impl GeminiDecoder {
    pub(super) fn new(target: &Target, head: &Head<'_>) -> Self {
        let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let sse = header("content-type").contains("event-stream");
        let state = State {
            target: target.clone(),
            started: false,
            id: String::new(),
            ids: HashSet::new(),
            choices: Vec::new(),
            blocked: false,
            whole: false,
            tier: wire::tier(header("x-gemini-service-tier")),
        };
        Self { form: if sse { Form::Sse(SseParser::default(), Tail::default()) } else { Form::Unknown }, state }
    }
}

impl Decoder for GeminiDecoder {
    fn push(&mut self, chunk: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let state = &mut self.state;
        // Google answers what it was not asked in SSE as JSON, whatever the type says.
        let begun;
        let chunk = if matches!(self.form, Form::Unknown) {
            let Some((first, rest)) = frame::first(chunk) else { return Ok(()) };
            self.form = match first {
                b'{' | b'[' => {
                    state.whole = first == b'{';
                    Form::Objects(ArrayParser::default())
                }
                _ => Form::Sse(SseParser::default(), Tail::default()),
            };
            begun = rest;
            &begun
        } else {
            chunk
        };
        match &mut self.form {
            Form::Unknown => Ok(()),
            Form::Objects(parser) => {
                parser.push(chunk).iter().try_for_each(|object| state.read(object, out))?;
                if parser.held() > LARGEST {
                    return Err(fault::garbled(&state.target, "a piece of the answer is larger than 64 MiB"));
                }
                Ok(())
            }
            Form::Sse(parser, tail) => {
                tail.push(chunk);
                parser.push(chunk, |event| state.read(&event.data, out))
            }
        }
    }

    fn end(&mut self, out: &mut Batch) -> Result<(), Fault> {
        let state = &mut self.state;
        match &mut self.form {
            Form::Unknown => return Err(fault::broken(&state.target, "the answer is empty")),
            Form::Objects(parser) if parser.open() => {
                return Err(fault::broken(&state.target, "the answer ended in the middle of an object"));
            }
            Form::Objects(_) => {}
            Form::Sse(parser, tail) => {
                parser.end(|event| state.read(&event.data, out))?;
                if let Some(error) = tail.error() {
                    return Err(said(&state.target, &error, None));
                }
            }
        }
        state.finish(out)
    }

    fn is_done(&self) -> bool {
        // Usage may come after the reason to stop: only the body's end is the end.
        false
    }
}

impl Tail {
    fn push(&mut self, chunk: &Bytes) {
        let chunk = match chunk.len().checked_sub(TAIL) {
            Some(skip) if skip > 0 => {
                self.bytes.clear();
                self.cut = true;
                chunk.get(skip..).unwrap_or_default()
            }
            _ => chunk,
        };
        self.bytes.extend_from_slice(chunk);
        // Trimmed rarely, so that a byte is moved once on average.
        if self.bytes.len() > 4 * TAIL {
            self.bytes = BytesMut::from(self.bytes.get(self.bytes.len() - TAIL..).unwrap_or_default());
            self.cut = true;
        }
    }

    /// An error object without `data:`: so Google breaks a stream off.
    fn error(&self) -> Option<Value> {
        let text = String::from_utf8_lossy(&self.bytes);
        let mut lines = text.split_inclusive('\n');
        let mut at = if self.cut { lines.next().map_or(0, str::len) } else { 0 };
        for line in lines {
            let lead = line.trim_start_matches(|c: char| c.is_whitespace() || c == '[');
            let start = at + line.len() - lead.len();
            at += line.len();
            let rest = text.get(start..)?;
            if rest.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with("\"error\"")) {
                let object = ArrayParser::default().push(rest.as_bytes()).into_iter().next()?;
                return serde_json::from_slice(&object).ok();
            }
        }
        None
    }
}

impl State {
    /// One object of the answer.
    fn read(&mut self, object: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let trimmed = object.trim_ascii();
        if trimmed.is_empty() || trimmed == b"[DONE]" {
            return Ok(());
        }
        if trimmed.starts_with(b"[") {
            // An error may come inside a list; nothing else does.
            let value = serde_json::from_slice(trimmed).unwrap_or(Value::Null);
            return Err(match value.get(0).and_then(|first: &Value| first.get("error")) {
                Some(_) => said(&self.target, &value, None),
                None => fault::garbled(&self.target, "a piece of the answer is a list"),
            });
        }
        let answer: Answer<'_> =
            serde_json::from_slice(object).map_err(|error| fault::garbled(&self.target, &format!("a piece of the answer cannot be read ({error})")))?;
        if answer.error.is_some_and(|raw| raw.get() != "null") {
            let value = serde_json::from_slice(object).unwrap_or(Value::Null);
            return Err(said(&self.target, &value, None));
        }
        if !std::mem::replace(&mut self.started, true) {
            let own = |text: &str| Some(Str::within(object, text)).filter(|t| !t.is_empty());
            let id = answer.response_id.as_deref().and_then(own);
            self.id = id.as_deref().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(16).collect();
            if self.id.is_empty() {
                // Without the answer's id, its text: ids must not repeat in the next turn.
                let mut hash = DefaultHasher::new();
                object.hash(&mut hash);
                self.id = format!("{:016x}", hash.finish());
            }
            let model = answer.model_version.as_deref().and_then(own);
            let model = model.or_else(|| Some(Str::from(&*self.target.upstream_name)));
            out.push(EventKind::Started { id, model, created: None });
        }
        self.blocked |= answer.prompt_feedback.is_some_and(|feedback| feedback.blocked());
        for candidate in answer.candidates.unwrap_or_default() {
            self.candidate(candidate, object, out)?;
        }
        if let Some((usage, tokens)) = answer.usage_metadata.and_then(|u| u.tokens().map(|t| (u, t))) {
            let service_tier = usage.tier().or(self.tier).map(Str::from_static);
            out.push(EventKind::Usage { tokens, service_tier });
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: Candidate<'_>, object: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let index = candidate.index.unwrap_or(0);
        if usize::from(index) >= MOST_CANDIDATES {
            return Err(fault::garbled(&self.target, "the answer numbers its candidates beyond 128"));
        }
        if self.choices.len() <= usize::from(index) {
            self.choices.resize(usize::from(index) + 1, Choice::default());
        }
        for raw in candidate.content.and_then(|c| c.parts).unwrap_or_default() {
            // A part that cannot be read is no part: null, or of a kind to come.
            let Ok(part) = serde_json::from_str::<PartIn<'_>>(raw.get()) else { continue };
            self.part(index, part, raw, object, out);
        }
        if let Some(json) = candidate.logprobs_result.and_then(|l| l.openai()) {
            out.push_for(index, EventKind::Logprobs(json));
        }
        for (name, raw) in [
            ("groundingMetadata", candidate.grounding_metadata),
            ("citationMetadata", candidate.citation_metadata),
            ("urlContextMetadata", candidate.url_context_metadata),
        ] {
            if let Some(raw) = raw.filter(|raw| !matches!(raw.get(), "null" | "{}")) {
                opaque(index, name, raw, out);
            }
        }
        if let (Some(reason), Some(choice)) = (candidate.finish_reason, self.choices.get_mut(usize::from(index))) {
            choice.stop = wire::finish(reason).or(choice.stop);
        }
        Ok(())
    }

    fn part(&mut self, index: u16, part: PartIn<'_>, raw: &RawValue, object: &Bytes, out: &mut Batch) {
        let signature = part.thought_signature.as_deref().filter(|t| !t.is_empty()).map(|t| Str::within(object, t));
        if let Some(call) = part.function_call {
            self.call(index, &call, signature, object, out);
            return;
        }
        // F1: what Google runs itself is never a call for the client. The part keeps its own signature.
        if part.executable_code.or(part.code_execution_result).or(part.tool_call).or(part.tool_response).is_some() {
            out.push_for(index, EventKind::Hosted(Json::from(raw)));
            return;
        }
        if part.inline_data.is_some() {
            opaque(index, "inlineData", raw, out);
            return;
        }
        if part.file_data.is_some() {
            opaque(index, "fileData", raw, out);
            return;
        }
        if let Some(text) = part.text.as_deref().filter(|t| !t.is_empty()) {
            let text = Str::within(object, text);
            out.push_for(index, if part.thought == Some(true) { EventKind::Reasoning(text) } else { EventKind::Text(text) });
        }
        if let Some(signature) = signature {
            out.push_for(index, EventKind::ReasoningSignature(signature));
        }
    }

    /// Gemini's calls come whole.
    fn call(&mut self, index: u16, call: &Call<'_>, signature: Option<Str>, object: &Bytes, out: &mut Batch) {
        let args = call.args.map(RawValue::get).filter(|text| *text != "null");
        let name = call.name.as_deref().unwrap_or_default();
        let Some(choice) = self.choices.get_mut(usize::from(index)) else { return };
        if name.is_empty() && args.is_none() {
            return;
        }
        let ours = choice.calls;
        choice.calls += 1;
        let told = call.id.as_deref().filter(|id| !id.is_empty() && !self.ids.contains(*id));
        let id = match told {
            Some(id) => Str::within(object, id),
            None => format!("call_{}_{index}_{ours}", self.id).into(),
        };
        self.ids.insert(id.to_string());
        out.push_for(index, EventKind::ToolCallStart { index: ours, id, name: Str::within(object, name), signature });
        let piece = args.map_or(Str::from_static("{}"), |args| compact(object, args));
        out.push_for(index, EventKind::ToolCallArguments { index: ours, piece });
        out.push_for(index, EventKind::ToolCallEnd { index: ours });
    }

    fn finish(&mut self, out: &mut Batch) -> Result<(), Fault> {
        if self.choices.is_empty() {
            if !self.blocked {
                return Err(fault::broken(&self.target, "the answer holds no candidates"));
            }
            self.choices.push(Choice { calls: 0, stop: Some(FinishReason::ContentFilter) });
        }
        let open = match (self.blocked, self.whole) {
            (true, _) => Some(FinishReason::ContentFilter),
            // A whole answer without a reason is whole all the same.
            (false, true) => Some(FinishReason::Stop),
            (false, false) => None,
        };
        if open.is_none() && self.choices.iter().any(|choice| choice.stop.is_none()) {
            return Err(fault::broken(&self.target, "the stream ended before the answer was complete"));
        }
        for (index, choice) in (0..).zip(&self.choices) {
            let finish = match choice.stop.or(open).unwrap_or(FinishReason::Error) {
                // T5: Gemini says STOP whether or not there are calls.
                FinishReason::Stop if choice.calls > 0 => FinishReason::ToolCalls,
                other => other,
            };
            out.push_for(index, EventKind::Finished(finish));
        }
        Ok(())
    }
}

fn opaque(index: u16, name: &'static str, raw: &RawValue, out: &mut Batch) {
    out.push_for(index, EventKind::Opaque { dialect: DialectName::Gemini, name: Str::from_static(name), json: Json::from(raw) });
}

/// Arguments without the line breaks and indentation that Google prints, which would go back and forth with every turn.
fn compact(object: &Bytes, args: &str) -> Str {
    if !args.contains('\n') {
        return Str::within(object, args);
    }
    let mut out = String::with_capacity(args.len());
    let (mut text, mut escape) = (false, false);
    for c in args.chars() {
        if text || !c.is_ascii_whitespace() {
            out.push(c);
        }
        match c {
            _ if escape => escape = false,
            '\\' if text => escape = true,
            '"' => text = !text,
            _ => {}
        }
    }
    out.into()
}
