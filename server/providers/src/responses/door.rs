//! Reads OpenAI's Responses from clients.

use std::sync::Arc;

use bytes::Bytes;
use headworks_core::{ChatRequest, DialectName, Fault, Json, Message, MessageRole, Opaque, Original, Output, Part, PartKind, Source, Str, Tool, ToolChoice};
use serde_json::value::RawValue;

use super::{
    incoming::{Body, ChoiceIn, Format, ItemIn, PartIn, ToolIn},
    item, writer,
};
use crate::{
    Door, ErrorFace, Writer, extension,
    openai::{base64, effort, error_body, source, unreadable},
    text::Text,
};

/// OpenAI's Responses as a door. What `previous_response_id` and `item_reference` mean must already stand in the input.
#[derive(Debug)]
pub struct ResponsesDoor;

/// Top-level members that have a word of ours; the rest is passed on to Responses targets as it is.
const KNOWN: &[&str] = &[
    "model",
    "input",
    "instructions",
    "stream",
    "temperature",
    "top_p",
    "max_output_tokens",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "metadata",
    "service_tier",
    "user",
    "background",
    "conversation",
    "headworks",
    "requesty",
    "models",
    "provider",
    "route",
    "transforms",
    "auto_cache",
];

impl Door for ResponsesDoor {
    fn name(&self) -> DialectName {
        DialectName::OpenAiResponses
    }

    fn request(&self, _: &http::HeaderMap, body: &Bytes) -> Result<ChatRequest, Fault> {
        let parsed: Body<'_> = serde_json::from_slice(body).map_err(|error| unreadable::<Body<'_>>(body, &error, "model and input"))?;
        let members = crate::members(body).map_err(|error| unreadable::<Body<'_>>(body, &error.0, "model and input"))?;
        let mut request = build(parsed, body)?;
        for member in &members {
            if !KNOWN.contains(&&*member.name)
                && let Some(Ok(text)) = body.get(member.value.clone()).map(std::str::from_utf8)
                && let Ok(json) = Json::parse(text)
            {
                request.extra.insert(member.name.clone(), json);
            }
        }
        request.extra_dialect = Some(DialectName::OpenAiResponses);
        request.original = Some(Arc::new(Original { dialect: DialectName::OpenAiResponses, body: body.clone(), members }));
        Ok(request)
    }

    fn writer(&self, request: &ChatRequest) -> Box<dyn Writer> {
        Box::new(writer::ResponsesWriter::new(request))
    }

    fn fault(&self, fault: &Fault, face: &ErrorFace) -> Bytes {
        error_body(fault, face)
    }
}

/// Wrong JSON below a path, in serde's words without its place in the piece.
fn wrong(path: &str, error: &serde_json::Error) -> Fault {
    let said = error.to_string();
    Fault::invalid(path, said.split(" at line ").next().unwrap_or_default())
}

fn set(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

fn build(body: Body<'_>, bytes: &Bytes) -> Result<ChatRequest, Fault> {
    let arc = |text: Text<'_>| -> Arc<str> { Arc::from(&*text) };
    if body.background == Some(true) {
        return Err(Fault::invalid("background", "this gateway answers at once; send false, and stream or wait for the answer"));
    }
    if set(body.conversation).is_some() {
        return Err(Fault::invalid("conversation", "this gateway keeps responses, not conversations; send previous_response_id"));
    }
    let models = body.models.unwrap_or_default();
    let model = match (body.model.filter(|m| !m.is_empty()), models.first()) {
        (Some(model), _) => arc(model),
        (None, Some(first)) => first.clone(),
        (None, None) => return Err(Fault::invalid("model", "is missing; name one as provider/model, such as openai/gpt-5 or sandbox/echo")),
    };
    let mut request = ChatRequest {
        model,
        parallel_tool_calls: body.parallel_tool_calls,
        auto_cache: body.auto_cache,
        stream: body.stream.unwrap_or(false),
        include_usage: true,
        metadata: body.metadata.unwrap_or_default(),
        service_tier: body.service_tier.map(arc),
        user: body.user.map(arc),
        ..ChatRequest::default()
    };
    if let Some(raw) = set(body.instructions) {
        match serde_json::from_str::<Text<'_>>(raw.get()) {
            Ok(text) => request.messages.push(said(MessageRole::System, vec![Part::text(Str::from_cow(bytes, text))])),
            Err(_) => items(raw, "instructions", bytes, &mut request.messages)?,
        }
    }
    match set(body.input) {
        Some(raw) if raw.get().starts_with('"') => {
            let text: Text<'_> = serde_json::from_str(raw.get()).map_err(|error| wrong("input", &error))?;
            request.messages.push(said(MessageRole::User, vec![Part::text(Str::from_cow(bytes, text))]));
        }
        Some(raw) => items(raw, "input", bytes, &mut request.messages)?,
        None if set(body.prompt).is_some() => {}
        None => return Err(Fault::invalid("input", "is missing; send a string or a list of items")),
    }
    if request.messages.is_empty() && set(body.prompt).is_none() {
        return Err(Fault::invalid("input", "is empty; send at least one item"));
    }
    let s = &mut request.sampling;
    (s.temperature, s.top_p, s.max_tokens, s.top_logprobs) = (body.temperature, body.top_p, body.max_output_tokens, body.top_logprobs);
    if s.max_tokens.is_some_and(|n| n < 1) {
        return Err(Fault::invalid("max_output_tokens", "must be 1 or more"));
    }
    s.logprobs = s.top_logprobs.filter(|n| *n > 0).map(|_| true);
    for (at, raw) in body.tools.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(raw, at, bytes)?);
    }
    if let Some(raw) = set(body.tool_choice) {
        choose(raw, &mut request)?;
    }
    if let Some(text) = body.text {
        if let Some(format) = text.format {
            request.output = output(format, bytes)?;
        }
        if let Some(raw) = set(text.verbosity) {
            request.extra.insert("verbosity".into(), Json::from(raw));
        }
    }
    if let Some(reasoning) = body.reasoning {
        request.reasoning.effort = reasoning.effort.map(|word| effort(&word, "reasoning.effort")).transpose()?;
        request.reasoning.include = reasoning.summary.or(reasoning.generate_summary).map(|_| true);
    }
    extension::gateway(&mut request, models, body.provider, body.headworks, body.requesty)?;
    let _ = body.store;
    Ok(request)
}

fn said(role: MessageRole, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extra: Vec::new() }
}

/// Items become messages; what an assistant did stands in one message until somebody else speaks.
fn items(raw: &RawValue, path: &str, bytes: &Bytes, messages: &mut Vec<Message>) -> Result<(), Fault> {
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| Fault::invalid(path, "must be a string or a list of items"))?;
    let mut fresh = true;
    // Signatures that stand before the call they are for.
    let mut signatures: Vec<(String, Str)> = Vec::new();
    for (at, raw) in list.into_iter().enumerate() {
        let here = format!("{path}[{at}]");
        let item: ItemIn<'_> = serde_json::from_str(raw.get()).map_err(|error| wrong(&here, &error))?;
        let role = match item.role.as_deref() {
            Some("assistant") => MessageRole::Assistant,
            Some("system") => MessageRole::System,
            Some("developer") => MessageRole::Developer,
            _ => MessageRole::User,
        };
        let mut assistant = |parts: Vec<Part>| match messages.last_mut().filter(|last| !fresh && last.role == MessageRole::Assistant) {
            Some(last) => last.parts.extend(parts),
            None => messages.push(said(MessageRole::Assistant, parts)),
        };
        match item.kind.as_deref().unwrap_or("message") {
            "message" => {
                match item.role.as_deref() {
                    Some("user" | "assistant" | "system" | "developer") => {}
                    Some(other) => {
                        return Err(Fault::invalid(format!("{here}.role"), format!("\"{other}\" is no role; use user, assistant, system or developer")));
                    }
                    None => return Err(Fault::invalid(format!("{here}.role"), "is missing; use user, assistant, system or developer")),
                }
                let parts = content(item.content, &format!("{here}.content"), bytes)?;
                if role == MessageRole::Assistant {
                    assistant(parts);
                } else {
                    messages.push(said(role, parts));
                }
            }
            "function_call" => {
                let lacks = |field: &str| Fault::invalid(format!("{here}.{field}"), "is missing");
                let id = item.call_id.filter(|id| !id.is_empty()).ok_or_else(|| lacks("call_id"))?;
                let name = item.name.filter(|name| !name.is_empty()).ok_or_else(|| lacks("name"))?;
                let arguments = arguments(item.arguments, &format!("{here}.arguments"), bytes)?;
                let signature = signatures.iter().rposition(|(of, _)| *of == *id).map(|at| signatures.swap_remove(at).1);
                assistant(vec![Part::new(PartKind::ToolCall { id: Str::from_cow(bytes, id), name: Str::from_cow(bytes, name), arguments, signature })]);
            }
            "function_call_output" => {
                let id = item.call_id.filter(|id| !id.is_empty()).ok_or_else(|| Fault::invalid(format!("{here}.call_id"), "is missing"))?;
                let parts = content(item.output, &format!("{here}.output"), bytes)?;
                let result = PartKind::ToolResult { id: Str::from_cow(bytes, id), name: None, parts, is_error: false };
                messages.push(said(MessageRole::Tool, vec![Part::new(result)]));
            }
            "reasoning" => {
                let thought: Vec<&str> = item.summary.iter().flatten().filter_map(|part| part.text.as_deref()).collect();
                let thought = if thought.is_empty() { item.content.map(texts).unwrap_or_default() } else { thought.concat() };
                let sealed = item.encrypted_content.filter(|sealed| !sealed.is_empty());
                if let Some((call, signature)) = sealed.as_deref().and_then(item::call_signature) {
                    signatures.push((call.to_owned(), signature.into()));
                } else if let Some(data) = sealed.as_deref().and_then(item::redacted) {
                    assistant(vec![Part::new(PartKind::Reasoning { text: Str::default(), signature: None, redacted: Some(data.into()) })]);
                } else if sealed.is_some() || !thought.is_empty() {
                    let signature = sealed.map(|sealed| Str::from_cow(bytes, sealed));
                    assistant(vec![Part::new(PartKind::Reasoning { text: thought.into(), signature, redacted: None })]);
                }
            }
            "item_reference" => {
                let id = item.id.as_deref().unwrap_or_default();
                return Err(Fault::invalid(format!("{here}.id"), format!("no item \"{id}\" is kept here for this key; send the item itself")));
            }
            _ => assistant(vec![Part::new(PartKind::Opaque(Opaque { dialect: DialectName::OpenAiResponses, issuer: "".into(), json: Json::from(raw) }))]),
        }
        fresh = false;
    }
    Ok(())
}

/// The readable reasoning of an item that has no summary.
fn texts(raw: &RawValue) -> String {
    let parts: Vec<PartIn<'_>> = serde_json::from_str(raw.get()).unwrap_or_default();
    parts.iter().filter_map(|part| part.text.as_deref()).collect()
}

/// T14: said here, where the item's place is known, not by a provider.
fn arguments(raw: Option<&RawValue>, path: &str, bytes: &Bytes) -> Result<Str, Fault> {
    let text = match set(raw) {
        None => Str::default(),
        Some(raw) if raw.get().starts_with('"') => {
            serde_json::from_str::<Text<'_>>(raw.get()).map(|text| Str::from_cow(bytes, text)).map_err(|error| wrong(path, &error))?
        }
        Some(raw) => raw.get().into(),
    };
    let text = if text.trim().is_empty() { Str::from_static("{}") } else { text };
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(raw) if raw.get().starts_with('{') => Ok(text),
        Ok(_) => Err(Fault::invalid(path, "must be a JSON object, as a string")),
        Err(error) => Err(Fault::invalid(path, format!("must be a JSON object, as a string; it is not valid JSON: {error}"))),
    }
}

fn content(raw: Option<&RawValue>, path: &str, bytes: &Bytes) -> Result<Vec<Part>, Fault> {
    let Some(raw) = set(raw) else { return Err(Fault::invalid(path, "is missing; send a string or a list of parts")) };
    if raw.get().starts_with('"') {
        let text: Text<'_> = serde_json::from_str(raw.get()).map_err(|error| wrong(path, &error))?;
        return Ok(vec![Part::text(Str::from_cow(bytes, text))]);
    }
    let parts: Vec<PartIn<'_>> = serde_json::from_str(raw.get()).map_err(|error| wrong(path, &error))?;
    parts.into_iter().enumerate().map(|(at, p)| part(p, &format!("{path}[{at}]"), bytes)).collect()
}

fn part(p: PartIn<'_>, path: &str, bytes: &Bytes) -> Result<Part, Fault> {
    let own = |text: Text<'_>| Str::from_cow(bytes, text);
    let lacks = |field: &str| Fault::invalid(format!("{path}.{field}"), "is missing");
    Ok(Part::new(match p.kind.as_deref() {
        Some("input_text" | "output_text" | "text" | "summary_text" | "reasoning_text") => PartKind::Text(own(p.text.ok_or_else(|| lacks("text"))?)),
        Some("refusal") => PartKind::Refusal(own(p.refusal.ok_or_else(|| lacks("refusal"))?)),
        Some("input_image" | "computer_screenshot") => {
            let url = set(p.image_url).map(|raw| serde_json::from_str::<Text<'_>>(raw.get()));
            let source = match (url, p.file_id) {
                (Some(Ok(url)), _) => source(url, &format!("{path}.image_url"), bytes)?,
                (Some(Err(_)), _) => return Err(Fault::invalid(format!("{path}.image_url"), "must be a string, an https: or data: URL")),
                (None, Some(id)) => Source::FileId(own(id)),
                (None, None) => return Err(lacks("image_url")),
            };
            PartKind::Image { source, detail: p.detail.map(|d| Arc::from(&*d)) }
        }
        Some("input_file") => {
            let source = match (p.file_data, p.file_url, p.file_id) {
                (Some(data), _, _) if data.starts_with("data:") => source(data, &format!("{path}.file_data"), bytes)?,
                (Some(data), _, _) => Source::Base64 { mime: "application/pdf".into(), data: base64(own(data), &format!("{path}.file_data"))? },
                (None, Some(url), _) => Source::Url(own(url)),
                (None, None, Some(id)) => Source::FileId(own(id)),
                (None, None, None) => return Err(lacks("file_data")),
            };
            PartKind::File { source, name: p.filename.map(own) }
        }
        Some("input_audio") => {
            let audio = p.input_audio.ok_or_else(|| lacks("input_audio"))?;
            PartKind::Audio { data: base64(own(audio.data), &format!("{path}.input_audio.data"))?, format: Arc::from(&*audio.format) }
        }
        Some(other) => {
            return Err(Fault::invalid(
                format!("{path}.type"),
                format!("\"{other}\" is no part; use input_text, input_image, input_file, input_audio or output_text"),
            ));
        }
        None => return Err(Fault::invalid(format!("{path}.type"), "is missing; use input_text, input_image, input_file, input_audio or output_text")),
    }))
}

fn tool(raw: &RawValue, at: usize, bytes: &Bytes) -> Result<Tool, Fault> {
    let path = format!("tools[{at}]");
    let said: ToolIn<'_> = serde_json::from_str(raw.get()).map_err(|error| wrong(&path, &error))?;
    match said.kind.as_deref() {
        Some("function") => {
            let name = said.name.filter(|n| !n.is_empty()).ok_or_else(|| Fault::invalid(format!("{path}.name"), "is missing"))?;
            let parameters = match set(said.parameters) {
                Some(raw) if raw.get().starts_with('{') => Some(Json::from(raw)),
                Some(_) => return Err(Fault::invalid(format!("{path}.parameters"), "must be a JSON Schema object")),
                None => None,
            };
            let description = said.description.map(|d| Str::from_cow(bytes, d));
            Ok(Tool::Function { name: Str::from_cow(bytes, name), description, parameters, strict: said.strict, cache: Default::default() })
        }
        Some(_) => Ok(Tool::Hosted { dialect: DialectName::OpenAiResponses, json: Json::from(raw) }),
        None => Err(Fault::invalid(format!("{path}.type"), "is missing; use function")),
    }
}

fn choose(raw: &RawValue, request: &mut ChatRequest) -> Result<(), Fault> {
    let wrong = || Fault::invalid("tool_choice", "must be auto, none, required or {\"type\":\"function\",\"name\":..}");
    let word = |word: &str| match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" | "any" => Some(ToolChoice::Required),
        _ => None,
    };
    if let Ok(text) = serde_json::from_str::<Text<'_>>(raw.get()) {
        request.tool_choice = Some(word(&text).ok_or_else(wrong)?);
        return Ok(());
    }
    let said: ChoiceIn<'_> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    request.tool_choice = match (said.kind.as_deref(), said.name) {
        (Some("function"), Some(name)) => Some(ToolChoice::Named((&*name).into())),
        (Some("function"), None) | (None, _) => return Err(wrong()),
        // A list of those allowed is the same as offering no others.
        (Some("allowed_tools"), _) => {
            let allowed: Vec<String> = said.tools.into_iter().flatten().filter_map(|tool| tool.name).map(|name| name.to_string()).collect();
            request.tools.retain(|tool| match tool {
                Tool::Function { name, .. } => allowed.iter().any(|allowed| **allowed == **name),
                Tool::Hosted { .. } => true,
            });
            said.mode.as_deref().and_then(word)
        }
        // A hosted tool by its type: only its own provider is offered it.
        (Some(_), _) => Some(ToolChoice::Required),
    };
    Ok(())
}

fn output(format: Format<'_>, bytes: &Bytes) -> Result<Output, Fault> {
    match format.kind.as_deref() {
        Some("text") => Ok(Output::Text),
        Some("json_object") => Ok(Output::Json),
        Some("json_schema") => {
            let schema =
                format.schema.filter(|raw| raw.get().starts_with('{')).ok_or_else(|| Fault::invalid("text.format.schema", "must be a JSON Schema object"))?;
            Ok(Output::Schema {
                name: format.name.map(|n| Str::from_cow(bytes, n)).unwrap_or_else(|| Str::from_static("answer")),
                description: format.description.map(|d| Str::from_cow(bytes, d)),
                schema: Json::from(schema),
                strict: format.strict,
            })
        }
        _ => Err(Fault::invalid("text.format.type", "must be text, json_object or json_schema")),
    }
}
