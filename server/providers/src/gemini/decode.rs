//! Reads Gemini's answers: one object, server-sent events, or an array of objects.

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, DialectName, EventKind, Fault, FinishReason, Json, Str, Target, Tokens};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{array::ArrayParser, said};
use crate::{Decoder, Head, fault, frame::sse::SseParser, text::Text};

/// Reads one answer.
pub(super) struct GeminiDecoder {
    form: Form,
    state: State,
}

enum Form {
    Unknown,
    Array(ArrayParser),
    Sse(SseParser, BytesMut),
}

struct State {
    target: Target,
    started: bool,
    id: String,
    choices: Vec<Choice>,
    blocked: bool,
}

#[derive(Default, Clone)]
struct Choice {
    calls: u32,
    stop: Option<FinishReason>,
    finished: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow, default)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(default)]
    usage_metadata: Option<Usage>,
    #[serde(borrow, default)]
    model_version: Option<Text<'a>>,
    #[serde(borrow, default)]
    response_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow, default)]
    block_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    index: u16,
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    /// A word, or its number where a client library wrote the answer out again.
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citation_metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartIn<'a> {
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(default)]
    thought: Option<bool>,
    #[serde(borrow, default)]
    thought_signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    function_call: Option<Call<'a>>,
    #[serde(borrow, default)]
    executable_code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code_execution_result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    inline_data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Usage {
    prompt_token_count: Option<i64>,
    candidates_token_count: Option<i64>,
    thoughts_token_count: Option<i64>,
    cached_content_token_count: Option<i64>,
    tool_use_prompt_token_count: Option<i64>,
    prompt_tokens_details: Option<Vec<Modality>>,
    cache_tokens_details: Option<Vec<Modality>>,
    candidates_tokens_details: Option<Vec<Modality>>,
    traffic_type: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Modality {
    /// A word, or its number where a client library wrote the answer out again.
    modality: Option<Value>,
    token_count: Option<i64>,
}

fn of(list: &Option<Vec<Modality>>, modality: &str, number: i64) -> i64 {
    let is = |value: &Value| value.as_str() == Some(modality) || value.as_i64() == Some(number);
    list.iter().flatten().filter(|m| m.modality.as_ref().is_some_and(is)).filter_map(|m| m.token_count).sum::<i64>().max(0)
}

/// Tokens in disjoint kinds: the prompt count holds cached ones, thoughts stand beside candidates (A3, A5).
fn tokens(u: &Usage) -> Option<Tokens> {
    if u.prompt_token_count.is_none() && u.candidates_token_count.is_none() && u.thoughts_token_count.is_none() {
        return None;
    }
    let count = |n: Option<i64>| n.unwrap_or(0).max(0);
    let prompt = count(u.prompt_token_count) + count(u.tool_use_prompt_token_count);
    let cached = count(u.cached_content_token_count).min(prompt);
    let cached_audio = of(&u.cache_tokens_details, "AUDIO", 4).min(cached);
    let audio = (of(&u.prompt_tokens_details, "AUDIO", 4) - cached_audio).clamp(0, prompt - cached);
    let candidates = count(u.candidates_token_count);
    let thoughts = count(u.thoughts_token_count);
    let spoken = of(&u.candidates_tokens_details, "AUDIO", 4).min(candidates);
    let drawn = of(&u.candidates_tokens_details, "IMAGE", 2).min(candidates - spoken);
    Some(Tokens {
        input: prompt - cached - audio,
        cache_read: cached - cached_audio,
        cache_read_audio: cached_audio,
        input_audio: audio,
        output: candidates - spoken - drawn + thoughts,
        reasoning: thoughts,
        output_audio: spoken,
        output_image: drawn,
        ..Tokens::default()
    })
}

impl GeminiDecoder {
    pub(super) fn new(target: &Target, head: &Head<'_>) -> Self {
        let kind = head.headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let form = if kind.contains("event-stream") { Form::Sse(SseParser::default(), BytesMut::new()) } else { Form::Unknown };
        let state = State { target: target.clone(), started: false, id: String::new(), choices: Vec::new(), blocked: false };
        Self { form, state }
    }
}

impl Decoder for GeminiDecoder {
    fn push(&mut self, chunk: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        if matches!(self.form, Form::Unknown) {
            match chunk.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => return Ok(()),
                Some(b'{' | b'[') => self.form = Form::Array(ArrayParser::default()),
                Some(_) => self.form = Form::Sse(SseParser::default(), BytesMut::new()),
            }
        }
        let state = &mut self.state;
        match &mut self.form {
            Form::Unknown => Ok(()),
            Form::Array(parser) => parser.push(chunk).iter().try_for_each(|object| state.read(object, out)),
            Form::Sse(parser, bare) => {
                let result = parser.push(chunk, |event| state.read(&event.data, out));
                // Google breaks a stream off with a bare object: no data line, hence no event.
                bare.extend_from_slice(chunk);
                let keep = bare.len().saturating_sub(16 << 10);
                drop(bare.split_to(keep));
                result
            }
        }
    }

    fn end(&mut self, out: &mut Batch) -> Result<(), Fault> {
        let state = &mut self.state;
        match &mut self.form {
            Form::Unknown => return Err(fault::broken(&state.target, "the answer is empty")),
            Form::Array(parser) if parser.open() => return Err(fault::broken(&state.target, "the answer ended in the middle of an object")),
            Form::Array(_) => {}
            Form::Sse(parser, bare) => {
                parser.end(|event| state.read(&event.data, out))?;
                if let Some(error) = bare_error(bare) {
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

/// An error object that stands in a stream without `data:`.
fn bare_error(tail: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(tail);
    let at = text.match_indices('{').map(|(at, _)| at).find(|at| {
        let before = text.get(..*at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        let lead = before.get(line_start..).unwrap_or_default().trim();
        (lead.is_empty() || lead == "[") && text.get(at + 1..).is_some_and(|rest| rest.trim_start().starts_with("\"error\""))
    })?;
    let mut parser = ArrayParser::default();
    let object = parser.push(text.get(at..)?.as_bytes()).into_iter().next()?;
    serde_json::from_slice(&object).ok()
}

impl State {
    fn read(&mut self, object: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let answer: Answer<'_> =
            serde_json::from_slice(object).map_err(|error| fault::garbled(&self.target, &format!("a piece of the answer cannot be read ({error})")))?;
        if answer.error.is_some_and(|raw| raw.get() != "null") {
            let value = serde_json::from_slice(object).unwrap_or(Value::Null);
            return Err(said(&self.target, &value, None));
        }
        if !self.started {
            self.started = true;
            let id = answer.response_id.as_ref().map(|t| Str::within(object, t)).filter(|t| !t.is_empty());
            self.id = id.as_deref().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(16).collect();
            let model = answer.model_version.as_ref().map(|t| Str::within(object, t)).filter(|t| !t.is_empty());
            let model = model.or_else(|| Some(Str::from(&*self.target.upstream_name)));
            out.push(EventKind::Started { id, model, created: None });
        }
        if answer.prompt_feedback.is_some_and(|f| f.block_reason.is_some()) {
            self.blocked = true;
        }
        for candidate in answer.candidates.unwrap_or_default() {
            self.candidate(candidate, object, out)?;
        }
        if let Some((tokens, usage)) = answer.usage_metadata.and_then(|u| tokens(&u).map(|t| (t, u))) {
            out.push(EventKind::Usage { tokens, service_tier: usage.traffic_type.and_then(|t| t.as_str().map(|t| t.to_lowercase().into())) });
        }
        Ok(())
    }

    fn candidate(&mut self, candidate: Candidate<'_>, object: &Bytes, out: &mut Batch) -> Result<(), Fault> {
        let index = candidate.index;
        while self.choices.len() <= usize::from(index) {
            if self.choices.len() > 128 {
                return Err(fault::garbled(&self.target, "the answer numbers its candidates beyond 128"));
            }
            self.choices.push(Choice::default());
        }
        for raw in candidate.content.and_then(|c| c.parts).unwrap_or_default() {
            let Ok(part) = serde_json::from_str::<PartIn<'_>>(raw.get()) else { continue };
            self.part(index, part, raw, object, out);
        }
        for (name, raw) in [("groundingMetadata", candidate.grounding_metadata), ("citationMetadata", candidate.citation_metadata)] {
            if let Some(raw) = raw.filter(|raw| !matches!(raw.get(), "null" | "{}")) {
                out.push_for(index, EventKind::Opaque { dialect: DialectName::Gemini, name: Str::from_static(name), json: Json::from(raw) });
            }
        }
        if let (Some(reason), Some(choice)) = (candidate.finish_reason, self.choices.get_mut(usize::from(index))) {
            choice.stop = match reason.get().trim_matches('"') {
                "" | "null" | "0" | "FINISH_REASON_UNSPECIFIED" => choice.stop,
                "STOP" | "1" => Some(FinishReason::Stop),
                "MAX_TOKENS" | "2" => Some(FinishReason::Length),
                "3" | "4" | "6" | "7" | "8" | "9" | "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY" | "LANGUAGE" => {
                    Some(FinishReason::ContentFilter)
                }
                _ => Some(FinishReason::Error),
            };
        }
        Ok(())
    }

    fn part(&mut self, index: u16, part: PartIn<'_>, raw: &RawValue, object: &Bytes, out: &mut Batch) {
        let own = |text: &Text<'_>| Str::within(object, text);
        let signature = part.thought_signature.as_ref().map(own);
        if let Some(call) = part.function_call {
            let Some(choice) = self.choices.get_mut(usize::from(index)) else { return };
            let ours = choice.calls;
            choice.calls += 1;
            let id = match call.id.as_ref().filter(|id| !id.is_empty()) {
                Some(id) => own(id),
                None => format!("call_{}_{index}_{ours}", if self.id.is_empty() { "g" } else { &self.id }).into(),
            };
            let name = call.name.as_ref().map(own).unwrap_or_default();
            out.push_for(index, EventKind::ToolCallStart { index: ours, id, name, signature });
            let arguments = call.args.map(RawValue::get).filter(|text| *text != "null").unwrap_or("{}");
            out.push_for(index, EventKind::ToolCallArguments { index: ours, piece: Str::within(object, arguments) });
            out.push_for(index, EventKind::ToolCallEnd { index: ours });
            return;
        }
        if let Some(text) = part.text.as_ref().filter(|t| !t.is_empty()) {
            let text = own(text);
            out.push_for(index, if part.thought == Some(true) { EventKind::Reasoning(text) } else { EventKind::Text(text) });
        } else if part.executable_code.is_some() || part.code_execution_result.is_some() {
            out.push_for(index, EventKind::Hosted(Json::from(raw)));
        } else if part.inline_data.is_some() {
            out.push_for(index, EventKind::Opaque { dialect: DialectName::Gemini, name: Str::from_static("inlineData"), json: Json::from(raw) });
        }
        if let Some(signature) = signature {
            out.push_for(index, EventKind::ReasoningSignature(signature));
        }
    }

    fn finish(&mut self, out: &mut Batch) -> Result<(), Fault> {
        if self.choices.is_empty() {
            if !self.blocked {
                return Err(fault::broken(&self.target, "the answer holds no candidates"));
            }
            self.choices.push(Choice { stop: Some(FinishReason::ContentFilter), ..Choice::default() });
        }
        if self.choices.iter().all(|choice| choice.stop.is_none()) && !self.blocked {
            return Err(fault::broken(&self.target, "the answer ended before it was complete"));
        }
        for (index, choice) in self.choices.iter_mut().enumerate() {
            if std::mem::replace(&mut choice.finished, true) {
                continue;
            }
            let finish = match choice.stop.unwrap_or(FinishReason::Stop) {
                // T5: Gemini says STOP whether or not there are calls.
                FinishReason::Stop if choice.calls > 0 => FinishReason::ToolCalls,
                other => other,
            };
            out.push_for(u16::try_from(index).unwrap_or(u16::MAX), EventKind::Finished(finish));
        }
        Ok(())
    }
}
