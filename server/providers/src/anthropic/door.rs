//! Reads Anthropic's messages from clients.

use std::sync::Arc;

use bytes::Bytes;
use headworks_core::{ChatRequest, DialectName, Effort, Fault, Json, Message, MessageRole, Original, Output, Part, PartKind, Str, Tool, ToolChoice};
use http::HeaderMap;
use serde_json::Value;

use super::{
    blocks::{self, mark},
    error,
    incoming::{Body, ChoiceIn, FormatIn, Msg, ThinkingIn, ToolIn},
    stream::Streamed,
    writer::Unary,
};
use crate::{Door, ErrorFace, Writer, extension, openai::effort, text::Text};

/// Anthropic's messages as a door.
#[derive(Debug)]
pub struct AnthropicDoor;

/// Top-level members that have a word of ours; the rest is passed on to Anthropic's own dialect as it is.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "system",
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "service_tier",
];

impl Door for AnthropicDoor {
    fn name(&self) -> DialectName {
        DialectName::Anthropic
    }

    fn request(&self, headers: &HeaderMap, body: &Bytes) -> Result<ChatRequest, Fault> {
        let parsed: Body<'_> = serde_json::from_slice(body).map_err(|error| unreadable(body, &error))?;
        let members = crate::members(body).map_err(|error| unreadable(body, &error.0))?;
        let mut request = build(parsed, body)?;
        for member in &members {
            let name = &*member.name;
            if !KNOWN.contains(&name)
                && !headworks_core::GATEWAY_MEMBERS.contains(&name)
                && let Some(Ok(text)) = body.get(member.value.clone()).map(std::str::from_utf8)
                && let Ok(json) = Json::parse(text)
            {
                request.extra.insert(member.name.clone(), json);
            }
        }
        request.citations = memchr::memmem::find(body, b"\"citations\"").is_some() && serde_json::from_slice(body).is_ok_and(|body| cites(&body));
        request.betas = betas(headers);
        request.extra_dialect = Some(DialectName::Anthropic);
        request.original = Some(Arc::new(Original { dialect: DialectName::Anthropic, body: body.clone(), members }));
        Ok(request)
    }

    fn writer(&self, request: &ChatRequest) -> Box<dyn Writer> {
        if request.stream { Box::new(Streamed::new(request)) } else { Box::new(Unary::new(request)) }
    }

    fn fault(&self, fault: &Fault, face: &ErrorFace) -> Bytes {
        error::body(fault, face)
    }

    fn status(&self, fault: &Fault, face: &ErrorFace) -> u16 {
        error::status(fault, face)
    }

    fn id_header(&self) -> &'static str {
        "request-id"
    }
}

/// What `anthropic-beta` names, over all its lines, each once.
fn betas(headers: &HeaderMap) -> Vec<Arc<str>> {
    let mut found: Vec<Arc<str>> = Vec::new();
    for value in headers.get_all("anthropic-beta") {
        for name in value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !found.iter().any(|known| &**known == name) {
                found.push(name.into());
            }
        }
    }
    found
}

/// What is wrong with a body that serde refused, and where. Slow, and only for bodies that are wrong.
fn unreadable(body: &Bytes, error: &serde_json::Error) -> Fault {
    if body.is_empty() {
        return Fault::invalid("", "the request body is empty; send a JSON object with model, max_tokens and messages");
    }
    if let Err(bad) = std::str::from_utf8(body) {
        return Fault::invalid("", format!("the request body is not UTF-8: byte {} is wrong", bad.valid_up_to()));
    }
    if error.classify() == serde_json::error::Category::Data {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        if let Err(found) = serde_path_to_error::deserialize::<_, Body<'_>>(&mut deserializer) {
            let path = found.path().to_string();
            let said = found.into_inner().to_string();
            return Fault::invalid(if path == "." { String::new() } else { path }, said.split(" at line ").next().unwrap_or_default());
        }
    }
    Fault::invalid("", format!("the request body is not valid JSON: {error}"))
}

/// Whether some document below is to be cited. Looked for only where the word is there at all.
fn cites(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(cites),
        Value::Object(members) => {
            let document = members.get("type").and_then(Value::as_str) == Some("document");
            (document && value.pointer("/citations/enabled") == Some(&Value::Bool(true))) || members.values().any(cites)
        }
        _ => false,
    }
}

fn build(body: Body<'_>, bytes: &Bytes) -> Result<ChatRequest, Fault> {
    let own = |text: Text<'_>| Str::from_cow(bytes, text);
    let arc = |text: Text<'_>| -> Arc<str> { Arc::from(&*text) };
    let models = body.models.unwrap_or_default();
    let model = match (body.model.filter(|m| !m.is_empty()), models.first()) {
        (Some(model), _) => arc(model),
        (None, Some(first)) => first.clone(),
        (None, None) => return Err(Fault::invalid("model", "is missing; name one as provider/model, such as anthropic/claude-sonnet-4-5 or sandbox/echo")),
    };
    let said = body.messages.ok_or_else(|| Fault::invalid("messages", "is missing; send a list with at least one message"))?;
    if said.is_empty() {
        return Err(Fault::invalid("messages", "is empty; send at least one message"));
    }
    let mut messages = Vec::with_capacity(said.len() + 1);
    if let Some(system) = body.system {
        let parts = blocks::parts(system, "system", bytes)?;
        messages.push(Message { role: MessageRole::System, parts, name: None, extra: Vec::new() });
    }
    for (at, one) in said.into_iter().enumerate() {
        message(one, at, bytes, &mut messages)?;
    }
    let mut request = ChatRequest {
        model,
        messages,
        auto_cache: body.auto_cache,
        stream: body.stream.unwrap_or(false),
        user: body.metadata.and_then(|m| m.user_id).map(arc),
        service_tier: body.service_tier.map(|tier| if &*tier == "standard_only" { "default".into() } else { arc(tier) }),
        ..ChatRequest::default()
    };
    let s = &mut request.sampling;
    (s.temperature, s.top_p, s.top_k, s.max_tokens) = (body.temperature, body.top_p, body.top_k, body.max_tokens);
    if s.max_tokens.is_some_and(|n| n < 1) {
        return Err(Fault::invalid("max_tokens", "must be 1 or more"));
    }
    s.stop = body.stop_sequences.unwrap_or_default().into_iter().map(own).collect();
    for (at, raw) in body.tools.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(raw.get(), at, bytes)?);
    }
    if let Some(choice) = body.tool_choice {
        tool_choice(&mut request, choice)?;
    }
    if let Some(thinking) = body.thinking {
        think(&mut request, &thinking)?;
    }
    let (said, format) = body.output_config.map(|c| (c.effort, c.format)).unwrap_or_default();
    if let Some(word) = said {
        request.reasoning.effort = Some(effort(&word, "output_config.effort")?);
    }
    if let Some((format, path)) = format.map(|f| (f, "output_config.format")).or(body.output_format.map(|f| (f, "output_format"))) {
        request.output = output(&format, path)?;
    }
    extension::gateway(&mut request, models, body.provider, body.headworks, body.requesty)?;
    Ok(request)
}

/// One message; results of tools become a turn of their own, before what else the user said with them (T8).
fn message(m: Msg<'_>, at: usize, bytes: &Bytes, out: &mut Vec<Message>) -> Result<(), Fault> {
    let here = format!("messages[{at}]");
    let role = match m.role.as_deref() {
        Some("user") => MessageRole::User,
        Some("assistant") => MessageRole::Assistant,
        Some("system") => MessageRole::System,
        Some(other) => return Err(Fault::invalid(format!("{here}.role"), format!("\"{other}\" is no role; use user or assistant"))),
        None => return Err(Fault::invalid(format!("{here}.role"), "is missing; use user or assistant")),
    };
    let content = m.content.ok_or_else(|| Fault::invalid(format!("{here}.content"), "is missing; send a string or a list of content blocks"))?;
    let parts = blocks::parts(content, &format!("{here}.content"), bytes)?;
    let say = |role, parts| Message { role, parts, name: None, extra: Vec::new() };
    let (results, rest): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| matches!(part.kind, PartKind::ToolResult { .. }));
    if results.is_empty() {
        out.push(say(role, rest));
        return Ok(());
    }
    if role != MessageRole::User {
        return Err(Fault::invalid(format!("{here}.content"), "holds a tool_result, which only the user may send"));
    }
    out.push(say(MessageRole::Tool, results));
    if !rest.is_empty() {
        out.push(say(role, rest));
    }
    Ok(())
}

fn tool(raw: &str, at: usize, bytes: &Bytes) -> Result<Tool, Fault> {
    let path = format!("tools[{at}]");
    let wrong = |error: &serde_json::Error| Fault::invalid(path.clone(), error.to_string().split(" at line ").next().unwrap_or_default().to_owned());
    let said: ToolIn<'_> = serde_json::from_str(raw).map_err(|error| wrong(&error))?;
    let cache = mark(said.cache_control.as_ref(), &path)?;
    if said.kind.as_deref().is_some_and(|kind| kind != "custom") {
        // Tools that Anthropic runs, or whose schema only it knows: kept in its own words, mark and all.
        return Json::parse(raw).map(|json| Tool::Hosted { dialect: DialectName::Anthropic, json }).map_err(|error| wrong(&error));
    }
    let own = |text: Text<'_>| Str::from_cow(bytes, text);
    let name = said.name.map(own).filter(|n| !n.is_empty()).ok_or_else(|| Fault::invalid(format!("{path}.name"), "is missing"))?;
    let parameters = match said.input_schema.map(|raw| raw.get()).filter(|text| *text != "null") {
        Some(text) if text.starts_with('{') => Json::parse(text).map(Some).map_err(|error| wrong(&error))?,
        Some(_) => return Err(Fault::invalid(format!("{path}.input_schema"), "must be a JSON Schema object")),
        None => return Err(Fault::invalid(format!("{path}.input_schema"), "is missing; send a JSON Schema object, or the type of a tool that Anthropic runs")),
    };
    Ok(Tool::Function { name, description: said.description.map(own), parameters, strict: said.strict, cache })
}

fn tool_choice(request: &mut ChatRequest, said: ChoiceIn<'_>) -> Result<(), Fault> {
    request.tool_choice = Some(match said.kind.as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => {
            let name = said.name.filter(|n| !n.is_empty()).ok_or_else(|| Fault::invalid("tool_choice.name", "is missing; name the tool to call"))?;
            ToolChoice::Named((&*name).into())
        }
        _ => return Err(Fault::invalid("tool_choice.type", "must be auto, any, tool or none")),
    });
    request.parallel_tool_calls = said.disable_parallel_tool_use.map(|single| !single);
    Ok(())
}

fn think(request: &mut ChatRequest, said: &ThinkingIn<'_>) -> Result<(), Fault> {
    let reasoning = &mut request.reasoning;
    match said.kind.as_deref() {
        Some("enabled") => {
            let budget = said.budget_tokens.ok_or_else(|| Fault::invalid("thinking.budget_tokens", "is missing"))?;
            reasoning.budget_tokens = Some(budget.max(0));
            reasoning.include = Some(true);
        }
        // The model decides how much; `output_config.effort` says how hard it should try.
        Some("adaptive") => reasoning.include = Some(true),
        Some("disabled") => reasoning.effort = Some(Effort::None),
        _ => return Err(Fault::invalid("thinking.type", "must be enabled, adaptive or disabled")),
    }
    if said.display.as_deref() == Some("omitted") {
        reasoning.include = Some(false);
    }
    Ok(())
}

fn output(format: &FormatIn<'_>, path: &str) -> Result<Output, Fault> {
    match (format.kind.as_deref(), format.schema.map(|raw| raw.get())) {
        (Some("json_schema"), Some(text)) if text.starts_with('{') => {
            let schema = Json::parse(text).map_err(|error| Fault::invalid(format!("{path}.schema"), error.to_string()))?;
            Ok(Output::Schema { name: Str::from_static("answer"), description: None, schema, strict: None })
        }
        (Some("json_schema"), _) => Err(Fault::invalid(format!("{path}.schema"), "must be a JSON Schema object")),
        _ => Err(Fault::invalid(format!("{path}.type"), "must be json_schema")),
    }
}
