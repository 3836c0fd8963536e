//! Spells a request as OpenAI's Responses.

use bytes::Bytes;
use headworks_core::{Capability, ChatRequest, DialectName, Fault, Json, Message, MessageRole, Output, Part, PartKind, Source, Target, Tool, ToolChoice};
use http::{Method, Request, header};

use super::{item, relay};
use crate::{
    Encoded, Note, azure,
    dialect::missing,
    openai::{effort_of, effort_word},
    spell::{Array, Object, object},
};

/// The request for a target.
pub(super) fn encode(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    let deployed;
    let target = if target.host.dialect == Some(DialectName::Azure) {
        deployed = Target { upstream_name: azure::deployment(target), ..target.clone() };
        &deployed
    } else {
        target
    };
    let mut notes = Vec::new();
    let body = match &request.original {
        Some(original) if original.dialect == DialectName::OpenAiResponses => relay::relay(target, request, original, &mut notes),
        _ => spell(target, request, &mut notes)?,
    };
    let mut built = Request::builder().method(Method::POST).uri(url(target)).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in &target.host.quirks.headers {
        built = built.header(&**name, &**value);
    }
    let request = built.body(Bytes::from(body)).map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(Encoded { request, notes })
}

/// Where a host serves Responses. (Azure is asked in this dialect beside its own, without its envelope.)
fn url(target: &Target) -> String {
    match target.host.dialect {
        Some(DialectName::Azure) => azure::url(target, DialectName::OpenAiResponses, &target.upstream_name),
        _ => format!("{}/responses", target.host.base_url.trim_end_matches('/')),
    }
}

/// The request spelled out from our own words.
fn spell(target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) -> Result<Vec<u8>, Fault> {
    refuse_impossible(target, request)?;
    crate::dialect::unsaid(target, request, DialectName::OpenAiResponses, notes);
    let id = &target.id;
    let quirks = &target.host.quirks;
    let capabilities = target.model.as_ref().map(|m| m.capabilities).unwrap_or_default();
    let thinks = capabilities.reasoning != Capability::No;
    let s = &request.sampling;
    lost(id, request, notes);
    let mut note = |note: Note| notes.push(note);
    let rejects = |name: &str| quirks.rejects.iter().any(|rejected| &**rejected == name);
    let theirs = |name: &str| request.extra.get(name).filter(|_| matches!(request.extra_dialect, Some(DialectName::OpenAi | DialectName::OpenAiResponses)));
    let mut out = Vec::with_capacity(1024);
    object(&mut out, |o| {
        o.str("model", &target.upstream_name);
        o.arr("input", |items| request.messages.iter().for_each(|m| message(items, m, target)));
        if request.stream {
            o.val("stream", true);
        }
        o.val("store", false);
        let logprobs = s.logprobs == Some(true) || s.top_logprobs.is_some();
        let asked = request.extra.get("include").filter(|_| request.extra_dialect == Some(DialectName::OpenAiResponses));
        let mut include: Vec<String> = asked.and_then(|json| json.read().ok()).unwrap_or_default();
        for (word, wanted) in [(relay::SEALED, relay::wants_sealed(target, request)), (LOGPROBS, logprobs)] {
            if wanted && !include.iter().any(|said| said == word) {
                include.push(word.to_owned());
            }
        }
        if !include.is_empty() {
            o.arr("include", |a| include.iter().for_each(|word| a.str(word)));
        }
        o.opt("top_logprobs", s.top_logprobs);
        if crate::dialect::fixed(target, request) && (s.temperature.is_some() || s.top_p.is_some()) {
            crate::dialect::unsampled(target, request, "temperature and top_p", "").into_iter().for_each(&mut note);
        } else {
            o.opt("temperature", s.temperature);
            o.opt("top_p", s.top_p);
        }
        // OpenAI refuses less than 16 ("Responses: max_output_tokens").
        if s.max_tokens.is_some_and(|most| most < 16) {
            note(Note::parameter("max_tokens", format!("{id} writes at least 16 tokens where a limit is set"), "max_tokens was raised to that"));
        }
        o.opt("max_output_tokens", s.max_tokens.map(|most| most.max(16)));
        if !request.tools.is_empty() {
            o.arr("tools", |tools| request.tools.iter().for_each(|t| tool(tools, t, request.extra_dialect)));
        }
        match &request.tool_choice {
            None => {}
            Some(_) if request.tools.is_empty() => {}
            Some(ToolChoice::Auto) => o.str("tool_choice", "auto"),
            Some(ToolChoice::None) => o.str("tool_choice", "none"),
            Some(ToolChoice::Required) => o.str("tool_choice", "required"),
            Some(ToolChoice::Named(name)) => o.obj("tool_choice", |o| {
                o.str("type", "function");
                o.str("name", name);
            }),
        }
        o.opt("parallel_tool_calls", request.parallel_tool_calls.filter(|_| !request.tools.is_empty() && !rejects("parallel_tool_calls")));
        let verbosity = theirs("verbosity");
        if request.output != Output::Text || verbosity.is_some() {
            o.obj("text", |t| {
                format(t, &request.output);
                t.opt_json("verbosity", verbosity);
            });
        }
        let effort = request.reasoning.effort.or_else(|| request.reasoning.budget_tokens.map(effort_of)).filter(|_| thinks);
        let summary = request.reasoning.include == Some(true) && thinks;
        if effort.is_some() || summary {
            o.obj("reasoning", |r| {
                r.opt_str("effort", effort.map(effort_word));
                if summary {
                    r.str("summary", "auto");
                }
            });
        }
        if !request.metadata.is_empty() && matches!(&*id.provider, "openai" | "azure") {
            o.val("metadata", &request.metadata);
        }
        o.opt_str("service_tier", request.service_tier.as_deref());
        o.opt_str("user", request.user.as_deref().filter(|_| !rejects("user")));
        match request.extra_dialect {
            Some(DialectName::OpenAiResponses) => {
                for (name, value) in request.extra.iter().filter(|(name, _)| !rejects(name) && !NOT_SENT.contains(&&***name)) {
                    o.raw(name, value.as_str());
                }
            }
            Some(DialectName::OpenAi) => {
                for name in SHARED {
                    o.opt_json(name, theirs(name).filter(|_| !rejects(name)));
                }
            }
            _ => {}
        }
    });
    Ok(out)
}

/// Asks for log probabilities.
const LOGPROBS: &str = "message.output_text.logprobs";
/// Members of chat completions that mean the same here.
const SHARED: &[&str] = &["prompt_cache_key", "prompt_cache_retention", "safety_identifier"];
/// Members of Responses that are written otherwise, or not sent.
const NOT_SENT: &[&str] = &["store", "include", "verbosity", "previous_response_id", "instructions"];

/// Says what Responses have no word for.
fn lost(id: &headworks_core::ModelId, request: &ChatRequest, notes: &mut Vec<Note>) {
    let s = &request.sampling;
    let wanted = [
        ("top_k", s.top_k.is_some()),
        ("min_p", s.min_p.is_some()),
        ("frequency_penalty", s.frequency_penalty.is_some_and(|p| p != 0.0)),
        ("presence_penalty", s.presence_penalty.is_some_and(|p| p != 0.0)),
        ("repetition_penalty", s.repetition_penalty.is_some()),
        ("seed", s.seed.is_some()),
        ("stop", !s.stop.is_empty()),
        ("logit_bias", !s.logit_bias.is_empty()),
    ];
    for (name, _) in wanted.iter().filter(|(_, asked)| *asked) {
        notes.push(unspeakable(id, name));
    }
    if request.extra_dialect == Some(DialectName::OpenAi) {
        let plain = |name: &str, json: &Json| name == "modalities" && json.read::<Vec<String>>().is_ok_and(|list| list == ["text"]);
        let known = |name: &str, json: &Json| SHARED.contains(&name) || matches!(name, "verbosity" | "store") || plain(name, json) || json.as_str() == "null";
        for (name, _) in request.extra.iter().filter(|(name, json)| !known(name, json)) {
            notes.push(unspeakable(id, name));
        }
    }
    if request.tools.is_empty() && matches!(request.tool_choice, Some(ToolChoice::Auto | ToolChoice::Required | ToolChoice::Named(_))) {
        notes.push(Note::aside("tool_choice without tools was left out".to_owned()));
    }
}

fn unspeakable(id: &headworks_core::ModelId, name: &str) -> Note {
    Note::parameter(name, format!("{id} is spoken to in Responses, which have no {name}"), "it was left out")
}

/// What cannot be left out without changing what the request means.
fn refuse_impossible(target: &Target, request: &ChatRequest) -> Result<(), Fault> {
    for tool in &request.tools {
        if let Tool::Hosted { dialect, .. } = tool
            && *dialect != DialectName::OpenAiResponses
        {
            return Err(missing(target, "tools", &format!("a tool that {} runs cannot be used here", dialect.as_str())));
        }
    }
    if request.sampling.n.is_some_and(|n| n > 1) {
        return Err(missing(target, "n", "Responses give one answer; n must be 1"));
    }
    Ok(())
}

fn format(o: &mut Object<'_>, output: &Output) {
    match output {
        Output::Text => {}
        Output::Json => o.raw("format", r#"{"type":"json_object"}"#),
        Output::Schema { name, description, schema, strict } => o.obj("format", |o| {
            o.str("type", "json_schema");
            o.str("name", name);
            o.opt_str("description", description.as_deref());
            o.raw("schema", schema.as_str());
            o.opt("strict", *strict);
        }),
    }
}

/// A message's parts are items: what is said stands together, calls, results and reasoning each alone.
fn message(items: &mut Array<'_>, message: &Message, target: &Target) {
    let mut said: Vec<&Part> = Vec::new();
    for part in &message.parts {
        match &part.kind {
            PartKind::Text(_) | PartKind::Image { .. } | PartKind::File { .. } | PartKind::Audio { .. } | PartKind::Refusal(_) => {
                said.push(part);
                continue;
            }
            _ => {}
        }
        spoken(items, message, &mut said);
        match &part.kind {
            PartKind::ToolCall { id, name, arguments, .. } => items.obj(|o| {
                o.str("type", "function_call");
                o.str("call_id", item::call_id(id));
                o.str("name", name);
                o.str("arguments", arguments);
            }),
            PartKind::ToolResult { id, parts, .. } => items.obj(|o| {
                o.str("type", "function_call_output");
                o.str("call_id", item::call_id(id));
                let texts: Option<Vec<&str>> = parts.iter().map(|p| if let PartKind::Text(t) = &p.kind { Some(t.as_str()) } else { None }).collect();
                match texts {
                    Some(texts) => o.str("output", &texts.concat()),
                    None => o.arr("output", |a| parts.iter().for_each(|p| piece(a, &p.kind, "input_text"))),
                }
            }),
            PartKind::Reasoning { text, signature: Some(sealed), .. } if item::ours(sealed, target) => items.obj(|o| {
                o.str("type", "reasoning");
                o.arr("summary", |a| {
                    if !text.is_empty() {
                        a.obj(|o| {
                            o.str("type", "summary_text");
                            o.str("text", text);
                        });
                    }
                });
                o.str("encrypted_content", sealed);
            }),
            PartKind::Opaque(opaque) if opaque.dialect == DialectName::OpenAiResponses => items.raw(opaque.json.as_str()),
            _ => {}
        }
    }
    spoken(items, message, &mut said);
}

/// One message of what was said so far, if anything was.
fn spoken(items: &mut Array<'_>, message: &Message, said: &mut Vec<&Part>) {
    let parts = std::mem::take(said);
    if parts.is_empty() {
        return;
    }
    let (role, text) = match message.role {
        MessageRole::System => ("system", "input_text"),
        MessageRole::Developer => ("developer", "input_text"),
        MessageRole::User | MessageRole::Tool => ("user", "input_text"),
        MessageRole::Assistant => ("assistant", "output_text"),
    };
    items.obj(|o| {
        o.str("type", "message");
        o.str("role", role);
        match &parts[..] {
            [Part { kind: PartKind::Text(text), .. }] => o.str("content", text),
            _ => o.arr("content", |a| parts.iter().for_each(|p| piece(a, &p.kind, text))),
        }
    });
}

fn piece(pieces: &mut Array<'_>, kind: &PartKind, text_word: &str) {
    match kind {
        PartKind::Text(text) => pieces.obj(|o| {
            o.str("type", text_word);
            o.str("text", text);
        }),
        PartKind::Refusal(text) => pieces.obj(|o| {
            o.str("type", "refusal");
            o.str("refusal", text);
        }),
        PartKind::Image { source, detail } => pieces.obj(|o| {
            o.str("type", "input_image");
            match source {
                Source::FileId(id) => o.str("file_id", id),
                other => o.str("image_url", &url_of(other)),
            }
            o.str("detail", detail.as_deref().unwrap_or("auto"));
        }),
        PartKind::File { source, name } => pieces.obj(|o| {
            o.str("type", "input_file");
            match source {
                Source::FileId(id) => o.str("file_id", id),
                Source::Url(url) => o.str("file_url", url),
                data @ Source::Base64 { .. } => {
                    // A name is required beside data.
                    o.str("filename", name.as_deref().unwrap_or("file.pdf"));
                    o.str("file_data", &url_of(data));
                }
            }
        }),
        PartKind::Audio { data, format } => pieces.obj(|o| {
            o.str("type", "input_audio");
            o.obj("input_audio", |a| {
                a.str("data", data);
                a.str("format", format);
            });
        }),
        _ => {}
    }
}

fn url_of(source: &Source) -> String {
    match source {
        Source::Url(url) | Source::FileId(url) => url.to_string(),
        Source::Base64 { mime, data } => format!("data:{mime};base64,{data}"),
    }
}

fn tool(tools: &mut Array<'_>, tool: &Tool, door: Option<DialectName>) {
    match tool {
        Tool::Function { name, description, parameters, strict, .. } => tools.obj(|o| {
            o.str("type", "function");
            o.str("name", name);
            o.opt_str("description", description.as_deref());
            o.raw("parameters", parameters.as_ref().map_or(r#"{"type":"object","properties":{}}"#, Json::as_str));
            // Absent means true here and false everywhere else.
            match strict {
                Some(strict) => o.val("strict", strict),
                None if door == Some(DialectName::OpenAiResponses) => {}
                None => o.val("strict", false),
            }
        }),
        Tool::Hosted { json, .. } => tools.raw(json.as_str()),
    }
}
