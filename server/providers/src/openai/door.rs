//! Reads OpenAI's chat completions from clients.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use headworks_core::{
    CacheMark, ChatRequest, DialectName, Effort, Fault, Json, Message, MessageRole, Opaque, Original, Output, Part, PartKind, Source, Str, Tool, ToolChoice,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    incoming::{AudioIn, Body, CacheControl, Content, FunctionDef, FunctionIn, ImageIn, Msg, PartIn, ResponseFormat, ToolIn},
    writer,
};
use crate::{Door, ErrorFace, Writer, extension, spell, text::Text};

/// OpenAI's chat completions as a door.
#[derive(Debug)]
pub struct OpenAiDoor;

/// Top-level members that have a word of ours; the rest is passed on to OpenAI-like targets as it is.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "metadata",
    "service_tier",
    "user",
    "headworks",
    "requesty",
    "models",
    "provider",
    "route",
    "transforms",
    "auto_cache",
];

impl Door for OpenAiDoor {
    fn name(&self) -> DialectName {
        DialectName::OpenAi
    }

    fn request(&self, _: &http::HeaderMap, body: &Bytes) -> Result<ChatRequest, Fault> {
        let parsed: Body<'_> = serde_json::from_slice(body).map_err(|error| unreadable::<Body<'_>>(body, &error, "model and messages"))?;
        let members = crate::members(body).map_err(|error| unreadable::<Body<'_>>(body, &error.0, "model and messages"))?;
        let mut request = build(parsed, body)?;
        for member in &members {
            if !KNOWN.contains(&&*member.name)
                && let Some(Ok(text)) = body.get(member.value.clone()).map(std::str::from_utf8)
                && let Ok(json) = Json::parse(text)
            {
                request.extra.insert(member.name.clone(), json);
            }
        }
        request.extra_dialect = Some(DialectName::OpenAi);
        request.original = Some(Arc::new(Original { dialect: DialectName::OpenAi, body: body.clone(), members }));
        Ok(request)
    }

    fn writer(&self, request: &ChatRequest) -> Box<dyn Writer> {
        if request.stream { Box::new(writer::Streamed::new(request)) } else { Box::new(writer::Unary::new(request)) }
    }

    fn fault(&self, fault: &Fault, face: &ErrorFace) -> Bytes {
        error_body(fault, face)
    }
}

/// What is wrong with a body that serde refused, and where. Slow, and only for bodies that are wrong.
pub(crate) fn unreadable<'de, B: Deserialize<'de>>(body: &'de Bytes, error: &serde_json::Error, wanted: &str) -> Fault {
    if body.is_empty() {
        return Fault::invalid("", format!("the request body is empty; send a JSON object with {wanted}"));
    }
    if let Err(bad) = std::str::from_utf8(body) {
        return Fault::invalid("", format!("the request body is not UTF-8: byte {} is wrong", bad.valid_up_to()));
    }
    match error.classify() {
        serde_json::error::Category::Data => {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            match serde_path_to_error::deserialize::<_, B>(&mut deserializer) {
                Err(found) => {
                    let path = found.path().to_string();
                    let said = found.into_inner().to_string();
                    let said = said.split(" at line ").next().unwrap_or_default().to_owned();
                    let field = if path == "." { String::new() } else { path };
                    Fault::invalid(field, said)
                }
                Ok(_) => Fault::invalid("", error.to_string()),
            }
        }
        _ => Fault::invalid("", format!("the request body is not valid JSON: {error}")),
    }
}

fn build(body: Body<'_>, bytes: &Bytes) -> Result<ChatRequest, Fault> {
    let own = |text: Text<'_>| Str::from_cow(bytes, text);
    let arc = |text: Text<'_>| -> Arc<str> { Arc::from(&*text) };
    let models = body.models.unwrap_or_default();
    let model = match (body.model.filter(|m| !m.is_empty()), models.first()) {
        (Some(model), _) => arc(model),
        (None, Some(first)) => first.clone(),
        (None, None) => return Err(Fault::invalid("model", "is missing; name one as provider/model, such as openai/gpt-5 or sandbox/echo")),
    };
    let messages = body.messages.ok_or_else(|| Fault::invalid("messages", "is missing; send a list with at least one message"))?;
    if messages.is_empty() {
        return Err(Fault::invalid("messages", "is empty; send at least one message"));
    }
    let mut request = ChatRequest {
        model,
        messages: messages.into_iter().enumerate().map(|(at, m)| message(m, at, bytes)).collect::<Result<_, _>>()?,
        parallel_tool_calls: body.parallel_tool_calls,
        auto_cache: body.auto_cache,
        stream: body.stream.unwrap_or(false),
        include_usage: body.stream_options.and_then(|o| o.include_usage).unwrap_or(false),
        metadata: body.metadata.unwrap_or_default(),
        service_tier: body.service_tier.map(arc),
        user: body.user.map(arc),
        ..ChatRequest::default()
    };
    let s = &mut request.sampling;
    (s.temperature, s.top_p, s.top_k, s.min_p) = (body.temperature, body.top_p, body.top_k, body.min_p);
    (s.frequency_penalty, s.presence_penalty, s.repetition_penalty) = (body.frequency_penalty, body.presence_penalty, body.repetition_penalty);
    (s.seed, s.n, s.logprobs, s.top_logprobs) = (body.seed, body.n, body.logprobs, body.top_logprobs);
    s.max_tokens = body.max_completion_tokens.or(body.max_tokens);
    if s.max_tokens.is_some_and(|n| n < 1) {
        let field = if body.max_completion_tokens.is_some() { "max_completion_tokens" } else { "max_tokens" };
        return Err(Fault::invalid(field, "must be 1 or more"));
    }
    if s.n.is_some_and(|n| !(1..=128).contains(&n)) {
        return Err(Fault::invalid("n", "must be 1 to 128"));
    }
    s.stop = body.stop.map(|stop| stop.0.into_iter().map(own).collect()).unwrap_or_default();
    s.logit_bias = body.logit_bias.unwrap_or_default();

    for (at, raw) in body.tools.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(raw, at, bytes)?);
    }
    for (at, function) in body.functions.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(function_tool(function, CacheMark::None, &format!("functions[{at}]"), bytes)?);
    }
    if let Some(raw) = body.tool_choice.or(body.function_call).filter(|raw| raw.get() != "null") {
        request.tool_choice = Some(tool_choice(raw)?);
    }
    if let Some(format) = body.response_format {
        request.output = output(format, bytes)?;
    }
    if let Some(word) = body.reasoning_effort {
        request.reasoning.effort = Some(effort(&word, "reasoning_effort")?);
    }
    if let Some(reasoning) = body.reasoning {
        if let Some(word) = reasoning.effort {
            request.reasoning.effort = Some(effort(&word, "reasoning.effort")?);
        }
        request.reasoning.budget_tokens = reasoning.max_tokens;
        request.reasoning.include = reasoning.exclude.map(|exclude| !exclude);
        if reasoning.enabled == Some(false) {
            request.reasoning.effort = Some(Effort::None);
        }
    }
    extension::gateway(&mut request, models, body.provider, body.headworks, body.requesty)?;
    Ok(request)
}

fn mark(control: Option<CacheControl>, path: &str) -> Result<CacheMark, Fault> {
    match control.map(|c| c.ttl) {
        None => Ok(CacheMark::None),
        Some(None) => Ok(CacheMark::Default),
        Some(Some(ttl)) if ttl == "5m" => Ok(CacheMark::FiveMinutes),
        Some(Some(ttl)) if ttl == "1h" => Ok(CacheMark::OneHour),
        Some(Some(ttl)) => Err(Fault::invalid(format!("{path}.cache_control.ttl"), format!("\"{ttl}\" is neither \"5m\" nor \"1h\""))),
    }
}

fn message(m: Msg<'_>, at: usize, bytes: &Bytes) -> Result<Message, Fault> {
    let own = |text: Text<'_>| Str::from_cow(bytes, text);
    let here = format_args!("messages[{at}]").to_string();
    let role = match m.role.as_deref() {
        Some("system") => MessageRole::System,
        Some("developer") => MessageRole::Developer,
        Some("user") => MessageRole::User,
        Some("assistant") => MessageRole::Assistant,
        Some("tool" | "function") => MessageRole::Tool,
        Some(other) => {
            return Err(Fault::invalid(format!("{here}.role"), format!("\"{other}\" is no role; use system, developer, user, assistant or tool")));
        }
        None => return Err(Fault::invalid(format!("{here}.role"), "is missing; use system, developer, user, assistant or tool")),
    };
    let message_mark = mark(m.cache_control, &here)?;
    let mut parts = Vec::new();
    for block in m.thinking_blocks.into_iter().flatten() {
        let kind = match block.kind.as_deref() {
            Some("redacted_thinking") => PartKind::Reasoning { text: Str::default(), signature: None, redacted: block.data.map(own) },
            _ => PartKind::Reasoning { text: block.thinking.map(|t| own(t.text())).unwrap_or_default(), signature: block.signature.map(own), redacted: None },
        };
        parts.push(Part::new(kind));
    }
    if let (Some(text), true) = (m.reasoning_content.filter(|t| !t.is_empty()), parts.is_empty()) {
        parts.push(Part::new(PartKind::Reasoning { text: own(text), signature: None, redacted: None }));
    }
    let mut said = Vec::new();
    match m.content {
        Some(Content::Text(text)) => said.push(Part::text(own(text))),
        Some(Content::Parts(list)) => {
            for (i, p) in list.into_iter().enumerate() {
                said.push(part(p, &format!("{here}.content[{i}]"), bytes)?);
            }
        }
        None if role == MessageRole::Assistant => {}
        None => return Err(Fault::invalid(format!("{here}.content"), "is missing; send a string or a list of parts")),
    }
    if let (Some(last), true) = (said.last_mut(), message_mark != CacheMark::None) {
        last.cache = message_mark;
    }
    if role == MessageRole::Tool {
        let legacy = m.role.as_deref() == Some("function");
        let name = m.name.map(own);
        let id = match m.tool_call_id {
            Some(id) => own(id),
            None if legacy => name.clone().unwrap_or_default(),
            None => return Err(Fault::invalid(format!("{here}.tool_call_id"), "is missing; name the call that this result answers")),
        };
        let mut result = Part::new(PartKind::ToolResult { id, name, parts: said, is_error: false });
        result.cache = message_mark;
        return Ok(Message { role, parts: vec![result], name: None, extra: Vec::new() });
    }
    parts.extend(said);
    if let Some(text) = m.refusal.filter(|t| !t.is_empty()) {
        parts.push(Part::new(PartKind::Refusal(own(text))));
    }
    for (i, call) in m.tool_calls.into_iter().flatten().enumerate() {
        let path = format!("{here}.tool_calls[{i}]");
        let function = call.function.ok_or_else(|| Fault::invalid(format!("{path}.function"), "is missing"))?;
        let id = call.id.map(own).filter(|id| !id.is_empty()).ok_or_else(|| Fault::invalid(format!("{path}.id"), "is missing"))?;
        let signature = call.extra_content.and_then(|e| e.google).and_then(|g| g.thought_signature).map(own);
        parts.push(Part::new(tool_call(id, function, signature, &format!("{path}.function"), bytes)?));
    }
    if let Some(function) = m.function_call {
        let id = function.name.as_ref().map(|n| Str::from(&**n)).unwrap_or_default();
        parts.push(Part::new(tool_call(id, function, None, &format!("{here}.function_call"), bytes)?));
    }
    let name = m.name.map(|n| Arc::from(&*n));
    Ok(Message { role, parts, name, extra: Vec::new() })
}

fn tool_call(id: Str, function: FunctionIn<'_>, signature: Option<Str>, path: &str, bytes: &Bytes) -> Result<PartKind, Fault> {
    let name = function.name.map(|n| Str::from_cow(bytes, n)).filter(|n| !n.is_empty()).ok_or_else(|| Fault::invalid(format!("{path}.name"), "is missing"))?;
    let arguments = function.arguments.map(|a| Str::from_cow(bytes, a)).unwrap_or_default();
    // T14: said here, where the message's place is known, not by a provider.
    let arguments = if arguments.trim().is_empty() { Str::from_static("{}") } else { arguments };
    match serde_json::from_str::<&RawValue>(&arguments) {
        Ok(raw) if raw.get().starts_with('{') => Ok(PartKind::ToolCall { id, name, arguments, signature }),
        Ok(_) => Err(Fault::invalid(format!("{path}.arguments"), "must be a JSON object, as a string")),
        Err(error) => Err(Fault::invalid(format!("{path}.arguments"), format!("must be a JSON object, as a string; it is not valid JSON: {error}"))),
    }
}

fn part(p: PartIn<'_>, path: &str, bytes: &Bytes) -> Result<Part, Fault> {
    let own = |text: Text<'_>| Str::from_cow(bytes, text);
    let lacks = |field: &str| Fault::invalid(format!("{path}.{field}"), "is missing");
    let cache = mark(p.cache_control, path)?;
    let kind = match p.kind.as_deref() {
        Some("text" | "input_text" | "output_text") => PartKind::Text(own(p.text.ok_or_else(|| lacks("text"))?)),
        Some("image_url") => {
            let raw = p.image_url.ok_or_else(|| lacks("image_url"))?;
            let image = if raw.get().starts_with('"') {
                serde_json::from_str(raw.get()).map(|url| ImageIn { url, detail: None })
            } else {
                serde_json::from_str::<ImageIn<'_>>(raw.get())
            };
            let image = image.map_err(|_| Fault::invalid(format!("{path}.image_url"), "must be an object with url, an https: or data: URL"))?;
            PartKind::Image { source: source(image.url, &format!("{path}.image_url.url"), bytes)?, detail: image.detail.map(|d| Arc::from(&*d)) }
        }
        Some("input_audio") => {
            let raw = p.input_audio.ok_or_else(|| lacks("input_audio"))?;
            // Mistral takes the sound itself or its URL as a string, without a format.
            if raw.get().starts_with('"') {
                return Ok(Part { kind: own_part("input_audio", raw)?, cache });
            }
            let audio: AudioIn<'_> =
                serde_json::from_str(raw.get()).map_err(|_| Fault::invalid(format!("{path}.input_audio"), "must be an object with data and format"))?;
            PartKind::Audio { data: base64(own(audio.data), &format!("{path}.input_audio.data"))?, format: Arc::from(&*audio.format) }
        }
        Some("file") => {
            let file = p.file.ok_or_else(|| lacks("file"))?;
            let source = match (file.file_data, file.file_id) {
                (Some(data), _) if data.starts_with("data:") || data.starts_with("http") => source(data, &format!("{path}.file.file_data"), bytes)?,
                (Some(data), _) => Source::Base64 { mime: "application/pdf".into(), data: base64(own(data), &format!("{path}.file.file_data"))? },
                (None, Some(id)) => Source::FileId(own(id)),
                (None, None) => return Err(lacks("file.file_data")),
            };
            PartKind::File { source, name: file.filename.map(own) }
        }
        Some(kind @ ("document_url" | "file_url")) => {
            let (raw, name) = if kind == "file_url" { (p.file_url, p.file_name) } else { (p.document_url, p.document_name) };
            let raw = raw.ok_or_else(|| lacks(kind))?;
            let url = if raw.get().starts_with('"') {
                serde_json::from_str(raw.get())
            } else {
                serde_json::from_str::<ImageIn<'_>>(raw.get()).map(|object| object.url)
            };
            let url = url.map_err(|_| Fault::invalid(format!("{path}.{kind}"), "must be an https: or data: URL"))?;
            PartKind::File { source: source(url, &format!("{path}.{kind}"), bytes)?, name: name.map(own) }
        }
        Some("video_url") => own_part("video_url", p.video_url.ok_or_else(|| lacks("video_url"))?)?,
        Some("refusal") => PartKind::Refusal(own(p.refusal.ok_or_else(|| lacks("refusal"))?)),
        Some("thinking") => {
            PartKind::Reasoning { text: p.thinking.map(|t| own(t.text())).unwrap_or_default(), signature: p.signature.map(own), redacted: None }
        }
        Some("redacted_thinking") => PartKind::Reasoning { text: Str::default(), signature: None, redacted: p.data.map(own) },
        Some(other) => {
            return Err(Fault::invalid(format!("{path}.type"), format!("\"{other}\" is no part; use text, image_url, input_audio or file")));
        }
        None => return Err(Fault::invalid(format!("{path}.type"), "is missing; use text, image_url, input_audio or file")),
    };
    Ok(Part { kind, cache })
}

/// A part that only hosts of this dialect understand.
fn own_part(kind: &str, raw: &RawValue) -> Result<PartKind, Fault> {
    let json = Json::parse(format!("{{\"type\":\"{kind}\",\"{kind}\":{}}}", raw.get())).map_err(|error| Fault::internal(error.to_string()))?;
    Ok(PartKind::Opaque(Opaque { dialect: DialectName::OpenAi, issuer: "".into(), json }))
}

/// A `data:` URL is the thing itself.
pub(crate) fn source(url: Text<'_>, path: &str, bytes: &Bytes) -> Result<Source, Fault> {
    if url.is_empty() {
        return Err(Fault::invalid(path, "is empty; send an https: or data: URL"));
    }
    let Some(rest) = url.strip_prefix("data:") else { return Ok(Source::Url(Str::from_cow(bytes, url))) };
    let (mime, data) = rest.split_once(";base64,").ok_or_else(|| Fault::invalid(path, "is a data: URL without base64; write data:MEDIA/TYPE;base64,DATA"))?;
    Ok(Source::Base64 { mime: mime.into(), data: base64(Str::within(bytes, data), path)? })
}

pub(crate) fn base64(data: Str, path: &str) -> Result<Str, Fault> {
    // Checked without keeping what it decodes to.
    let valid = data.len().is_multiple_of(4) && {
        let mut buffer = [0; 3072];
        data.as_bytes().chunks(4096).all(|piece| STANDARD.decode_slice(piece, &mut buffer).is_ok())
    };
    if valid { Ok(data) } else { Err(Fault::invalid(path, "is not valid base64 (standard alphabet, padded)")) }
}

fn tool(raw: &RawValue, at: usize, bytes: &Bytes) -> Result<Tool, Fault> {
    let path = format!("tools[{at}]");
    let said: ToolIn<'_> = serde_json::from_str(raw.get()).map_err(|error| {
        let what = error.to_string();
        Fault::invalid(path.clone(), what.split(" at line ").next().unwrap_or_default())
    })?;
    match said.kind.as_deref() {
        // Some clients leave out the one word it could be.
        None if said.function.is_some() => {
            function_tool(said.function.unwrap_or_default(), mark(said.cache_control, &path)?, &format!("{path}.function"), bytes)
        }
        Some("function") => {
            let function = said.function.ok_or_else(|| Fault::invalid(format!("{path}.function"), "is missing"))?;
            function_tool(function, mark(said.cache_control, &path)?, &format!("{path}.function"), bytes)
        }
        Some(_) => Ok(Tool::Hosted { dialect: DialectName::OpenAi, json: Json::from(raw) }),
        None => Err(Fault::invalid(format!("{path}.type"), "is missing; use function")),
    }
}

fn function_tool(f: FunctionDef<'_>, cache: CacheMark, path: &str, bytes: &Bytes) -> Result<Tool, Fault> {
    let name = f.name.map(|n| Str::from_cow(bytes, n)).filter(|n| !n.is_empty()).ok_or_else(|| Fault::invalid(format!("{path}.name"), "is missing"))?;
    let parameters = match f.parameters.filter(|raw| raw.get() != "null") {
        Some(raw) if raw.get().starts_with('{') => Some(Json::from(raw)),
        Some(_) => return Err(Fault::invalid(format!("{path}.parameters"), "must be a JSON Schema object")),
        None => None,
    };
    Ok(Tool::Function { name, description: f.description.map(|d| Str::from_cow(bytes, d)), parameters, strict: f.strict, cache })
}

fn tool_choice(raw: &RawValue) -> Result<ToolChoice, Fault> {
    #[derive(Deserialize)]
    struct Named {
        function: Option<Name>,
        name: Option<String>,
    }
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    let wrong = || Fault::invalid("tool_choice", "must be auto, none, required or {\"type\":\"function\",\"function\":{\"name\":..}}");
    match raw.get() {
        "\"auto\"" => Ok(ToolChoice::Auto),
        "\"none\"" => Ok(ToolChoice::None),
        "\"required\"" | "\"any\"" => Ok(ToolChoice::Required),
        object if object.starts_with('{') => {
            let named: Named = serde_json::from_str(object).map_err(|_| wrong())?;
            named.function.map(|f| f.name).or(named.name).map(|name| ToolChoice::Named(name.into())).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

fn output(format: ResponseFormat<'_>, bytes: &Bytes) -> Result<Output, Fault> {
    match format.kind.as_deref() {
        Some("text") => Ok(Output::Text),
        Some("json_object") => Ok(Output::Json),
        Some("json_schema") => {
            let said = format.json_schema.ok_or_else(|| Fault::invalid("response_format.json_schema", "is missing"))?;
            let schema = said
                .schema
                .filter(|raw| raw.get().starts_with('{'))
                .ok_or_else(|| Fault::invalid("response_format.json_schema.schema", "must be a JSON Schema object"))?;
            Ok(Output::Schema {
                name: said.name.map(|n| Str::from_cow(bytes, n)).unwrap_or_else(|| Str::from_static("answer")),
                description: said.description.map(|d| Str::from_cow(bytes, d)),
                schema: Json::from(schema),
                strict: said.strict,
            })
        }
        _ => Err(Fault::invalid("response_format.type", "must be text, json_object or json_schema")),
    }
}

/// The effort that a word means.
pub(crate) fn effort(word: &str, path: &str) -> Result<Effort, Fault> {
    Ok(match word {
        "none" => Effort::None,
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" => Effort::XHigh,
        "max" => Effort::Max,
        other => return Err(Fault::invalid(path, format!("\"{other}\" is none of none, minimal, low, medium, high, xhigh, max"))),
    })
}

/// An error in OpenAI's shape.
pub(crate) fn error_body(fault: &Fault, face: &ErrorFace) -> Bytes {
    let mut out = Vec::with_capacity(256);
    let upstream = fault.upstream.as_deref().filter(|_| fault.reason == headworks_core::Reason::UpstreamRejected);
    spell::object(&mut out, |o| {
        o.obj("error", |e| {
            e.str("message", &fault.message);
            e.str("type", upstream.and_then(|u| u.kind.as_deref()).unwrap_or(face.kind));
            match upstream.and_then(|u| u.code.as_deref()).or(face.code) {
                Some(code) => e.str("code", code),
                None => e.raw("code", "null"),
            }
            match upstream.and_then(|u| u.param.as_deref()).or(fault.field()) {
                Some(param) => e.str("param", param),
                None => e.raw("param", "null"),
            }
            e.obj("headworks", |h| {
                h.str("reason", fault.reason.name());
                h.val("retryable", face.retryable);
                h.val("attempts", fault.attempts);
                h.opt_str("request_id", face.request_id.as_deref());
            });
        });
    });
    out.into()
}
