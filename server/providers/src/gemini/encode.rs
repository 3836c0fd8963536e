//! Spells a request as Gemini's generateContent.

use std::sync::Arc;

use bytes::Bytes;
use headworks_core::{
    Capability, ChatRequest, DialectName, Effort, Fault, Json, MessageRole, Opaque, Output, Part, PartKind, Reason, Source, Str, Target, Tool, ToolChoice,
};
use http::{Method, Request, header};
use serde_json::Value;

use super::schema::inlined;
use crate::{
    Encoded,
    spell::{Array, Object, object},
};

/// What Google documents to send where a signature was lost (Gemini, "Thought signatures").
const LOST_SIGNATURE: &str = "skip_thought_signature_validator";
/// Most stop sequences that Gemini takes.
const MOST_STOPS: usize = 5;

/// The request for a target.
pub(super) fn encode(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    let mut notes: Vec<Arc<str>> = Vec::new();
    let id = &target.id;
    let missing = |what: &str| Fault::new(Reason::CapabilityMissing, format!("{id}: {what}")).at(id);
    for tool in &request.tools {
        if matches!(tool, Tool::Hosted { dialect, .. } if *dialect != DialectName::Gemini) {
            return Err(missing("a tool that another provider runs cannot be used here"));
        }
    }
    let mut out = Vec::with_capacity(2048);
    let mut contents = Vec::new();
    let mut system: Vec<&Part> = Vec::new();
    turns(request, target, &mut contents, &mut system)?;
    if contents.is_empty() {
        return Err(Fault::invalid("messages", format!("{id} needs at least one message that is no instruction")).at(id));
    }
    object(&mut out, |o| {
        if !system.is_empty() {
            o.obj("systemInstruction", |s| s.arr("parts", |a| system.iter().for_each(|p| part(a, p, None))));
        }
        o.arr("contents", |a| {
            for (role, parts) in &contents {
                a.obj(|c| {
                    c.str("role", role);
                    c.raw("parts", parts);
                });
            }
        });
        tools(o, request);
        o.obj("generationConfig", |g| config(g, target, request, &mut notes));
        if request.extra_dialect == Some(DialectName::Gemini) {
            request.extra.iter().for_each(|(name, value)| o.raw(name, value.as_str()));
        } else {
            for name in request.extra.keys() {
                notes.push(format!("{id} has no parameter {name}; it was left out").into());
            }
        }
    });
    if request.parallel_tool_calls == Some(false) {
        notes.push(format!("{id} cannot be kept from calling several tools at once").into());
    }
    if request.service_tier.as_deref().is_some_and(|tier| !matches!(tier, "auto" | "default")) {
        notes.push(format!("{id} takes no service tier; it was left out").into());
    }
    let method = if request.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let url = format!("{}/v1beta/models/{}:{method}", target.host.base_url, escaped(&target.upstream_name));
    let mut built = Request::builder().method(Method::POST).uri(url).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in &target.host.quirks.headers {
        built = built.header(&**name, &**value);
    }
    let request = built.body(Bytes::from(out)).map_err(|error| Fault::internal(format!("{id}: base_url: {error}")))?;
    Ok(Encoded { request, notes })
}

/// A model's name inside a path.
fn escaped(name: &str) -> String {
    name.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/') { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

type Turn = (&'static str, String);

fn turns<'a>(request: &'a ChatRequest, target: &Target, contents: &mut Vec<Turn>, system: &mut Vec<&'a Part>) -> Result<(), Fault> {
    let mut names: Vec<(&Str, &Str)> = Vec::new();
    let mut run: Option<(&'static str, Vec<u8>)> = None;
    for (at, message) in request.messages.iter().enumerate() {
        if matches!(message.role, MessageRole::System | MessageRole::Developer) {
            system.extend(&message.parts);
            continue;
        }
        let role = if message.role == MessageRole::Assistant { "model" } else { "user" };
        if run.as_ref().is_none_or(|(open, _)| *open != role) {
            close(&mut run, contents);
            run = Some((role, Vec::new()));
        }
        let Some((_, buffer)) = &mut run else { continue };
        let mut json = Vec::new();
        let mut first_call = true;
        // A signature of reasoning rides on what follows it.
        let mut signature: Option<&Str> = None;
        crate::spell::array(&mut json, |a| {
            for p in &message.parts {
                match &p.kind {
                    PartKind::ToolCall { id, name, signature: own, .. } => {
                        names.push((id, name));
                        // Only the first call of a turn carries one.
                        let lost = (first_call && thinks(target)).then_some(LOST_SIGNATURE);
                        first_call = false;
                        part(a, p, own.as_deref().or(signature.take().map(Str::as_str)).or(lost));
                    }
                    PartKind::Reasoning { signature: Some(s), text, .. } if gemini_signature(s) => {
                        if !text.is_empty() {
                            thought(a, text);
                        }
                        signature = Some(s);
                    }
                    PartKind::ToolResult { id, name, parts, is_error } => {
                        let found = name.as_deref().or_else(|| names.iter().rev().find(|(known, _)| *known == id).map(|(_, n)| n.as_str()));
                        result(a, found.unwrap_or("tool"), parts, *is_error);
                    }
                    PartKind::Text(_) => part(a, p, signature.take().map(Str::as_str)),
                    _ => part(a, p, None),
                }
            }
        });
        if let Some(bad) = message.parts.iter().position(|p| matches!(p.kind, PartKind::File { source: Source::FileId(_), .. })) {
            let what = format!("messages[{at}].content[{bad}]: another provider's file id cannot be used here; send the file itself");
            return Err(Fault::new(Reason::CapabilityMissing, format!("{}: {what}", target.id)).at(&target.id));
        }
        let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
        if !inner.is_empty() {
            if !buffer.is_empty() {
                buffer.push(b',');
            }
            buffer.extend_from_slice(inner);
        }
    }
    close(&mut run, contents);
    Ok(())
}

fn close(run: &mut Option<(&'static str, Vec<u8>)>, contents: &mut Vec<Turn>) {
    if let Some((role, parts)) = run.take()
        && !parts.is_empty()
    {
        contents.push((role, format!("[{}]", String::from_utf8(parts).unwrap_or_default())));
    }
}

/// Models that check signatures: those that think.
fn thinks(target: &Target) -> bool {
    target.model.as_ref().is_none_or(|m| m.capabilities.reasoning != Capability::No)
        && !target.upstream_name.starts_with("gemini-1")
        && !target.upstream_name.starts_with("gemini-2")
}

/// Anthropic's signatures decode to a protobuf that begins with these letters; they mean nothing to Gemini (T3).
fn gemini_signature(signature: &str) -> bool {
    !(signature.starts_with("Er") || signature.starts_with("Eq") || signature.starts_with("Es") || signature.starts_with("Et"))
}

fn thought(a: &mut Array<'_>, text: &str) {
    a.obj(|p| {
        p.str("text", text);
        p.val("thought", true);
    });
}

fn part(a: &mut Array<'_>, p: &Part, signature: Option<&str>) {
    let sign = |o: &mut Object<'_>| o.opt_str("thoughtSignature", signature);
    match &p.kind {
        PartKind::Text(text) | PartKind::Refusal(text) if text.is_empty() && signature.is_none() => {}
        PartKind::Text(text) | PartKind::Refusal(text) => a.obj(|o| {
            o.str("text", text);
            sign(o);
        }),
        PartKind::Image { source, .. } => data(a, source, "image/*"),
        PartKind::File { source, .. } => data(a, source, "application/pdf"),
        PartKind::Audio { data: sound, format } => a.obj(|o| {
            o.obj("inlineData", |d| {
                d.str("mimeType", &format!("audio/{format}"));
                d.str("data", sound);
            });
        }),
        PartKind::ToolCall { name, arguments, .. } => a.obj(|o| {
            o.obj("functionCall", |f| {
                f.str("name", name);
                f.raw("args", arguments);
            });
            sign(o);
        }),
        PartKind::Opaque(Opaque { dialect: DialectName::Gemini, json, .. }) => a.raw(json.as_str()),
        PartKind::ToolResult { .. } | PartKind::Reasoning { .. } | PartKind::Opaque(_) => {}
    }
}

fn data(a: &mut Array<'_>, source: &Source, guess: &str) {
    a.obj(|o| match source {
        Source::Base64 { mime, data } => o.obj("inlineData", |d| {
            d.str("mimeType", mime);
            d.str("data", data);
        }),
        Source::Url(url) | Source::FileId(url) => o.obj("fileData", |d| {
            d.str("mimeType", mime_of(url).unwrap_or(guess));
            d.str("fileUri", url);
        }),
    });
}

fn mime_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?.to_ascii_lowercase();
    [
        (".png", "image/png"),
        (".jpg", "image/jpeg"),
        (".jpeg", "image/jpeg"),
        (".webp", "image/webp"),
        (".gif", "image/gif"),
        (".pdf", "application/pdf"),
        (".mp3", "audio/mp3"),
        (".wav", "audio/wav"),
        (".mp4", "video/mp4"),
    ]
    .into_iter()
    .find(|(end, _)| path.ends_with(end))
    .map(|(_, mime)| mime)
}

/// A result is an object here. What is one already goes as it is: it is data (T7).
fn result(a: &mut Array<'_>, name: &str, parts: &[Part], is_error: bool) {
    let text: String = parts.iter().filter_map(|p| if let PartKind::Text(t) = &p.kind { Some(t.as_str()) } else { None }).collect();
    let is_object = text.trim_start().starts_with('{') && serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
    a.obj(|o| {
        o.obj("functionResponse", |f| {
            f.str("name", name);
            match (is_error, is_object) {
                (false, true) => f.raw("response", &text),
                (false, false) => f.obj("response", |r| r.str("result", &text)),
                (true, _) => f.obj("response", |r| r.str("error", &text)),
            }
        });
    });
    for p in parts.iter().filter(|p| !matches!(p.kind, PartKind::Text(_))) {
        part(a, p, None);
    }
}

fn clean(json: &Json) -> String {
    match json.read::<Value>() {
        // Only what holds references is rewritten; the rest keeps its digits and order.
        Ok(value) if json.as_str().contains("\"$ref\"") || json.as_str().contains("\"$schema\"") => inlined(&value).to_string(),
        _ => json.as_str().to_owned(),
    }
}

fn tools(o: &mut Object<'_>, request: &ChatRequest) {
    if request.tools.is_empty() {
        return;
    }
    o.arr("tools", |a| {
        if request.tools.iter().any(|t| matches!(t, Tool::Function { .. })) {
            a.obj(|t| {
                t.arr("functionDeclarations", |a| {
                    for tool in &request.tools {
                        let Tool::Function { name, description, parameters, .. } = tool else { continue };
                        a.obj(|f| {
                            f.str("name", name);
                            f.str("description", description.as_deref().unwrap_or_default());
                            if let Some(parameters) = parameters {
                                f.raw("parametersJsonSchema", &clean(parameters));
                            }
                        });
                    }
                });
            });
        }
        for tool in &request.tools {
            if let Tool::Hosted { json, .. } = tool {
                a.raw(json.as_str());
            }
        }
    });
    let (mode, only) = match &request.tool_choice {
        None => return,
        Some(ToolChoice::Auto) => ("AUTO", None),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", None),
        Some(ToolChoice::Named(name)) => ("ANY", Some(name)),
    };
    o.obj("toolConfig", |c| {
        c.obj("functionCallingConfig", |f| {
            f.str("mode", mode);
            if let Some(name) = only {
                f.arr("allowedFunctionNames", |a| a.str(name));
            }
        });
    });
}

fn config(g: &mut Object<'_>, target: &Target, request: &ChatRequest, notes: &mut Vec<Arc<str>>) {
    let s = &request.sampling;
    let id = &target.id;
    let model = target.model.as_deref();
    g.opt("temperature", s.temperature);
    g.opt("topP", s.top_p);
    g.opt("topK", s.top_k);
    let most = model.and_then(|m| m.max_output_tokens);
    match (s.max_tokens, most) {
        (Some(asked), Some(most)) if asked > most => {
            notes.push(format!("{id} writes at most {most} tokens; max_tokens was lowered to that").into());
            g.val("maxOutputTokens", most);
        }
        (asked, _) => g.opt("maxOutputTokens", asked),
    }
    if !s.stop.is_empty() {
        if s.stop.len() > MOST_STOPS {
            notes.push(format!("{id} takes {MOST_STOPS} stop texts; the first ones were sent").into());
        }
        g.val("stopSequences", s.stop.iter().take(MOST_STOPS).map(|t| t.as_str()).collect::<Vec<_>>());
    }
    g.opt("candidateCount", s.n.filter(|n| *n > 1));
    g.opt("seed", s.seed);
    g.opt("frequencyPenalty", s.frequency_penalty);
    g.opt("presencePenalty", s.presence_penalty);
    if s.logprobs == Some(true) {
        g.val("responseLogprobs", true);
        g.opt("logprobs", s.top_logprobs);
    }
    match &request.output {
        Output::Text => {}
        Output::Json => g.str("responseMimeType", "application/json"),
        Output::Schema { schema, .. } => {
            g.str("responseMimeType", "application/json");
            g.raw("responseJsonSchema", &clean(schema));
        }
    }
    for (name, set) in [("min_p", s.min_p.is_some()), ("repetition_penalty", s.repetition_penalty.is_some()), ("logit_bias", !s.logit_bias.is_empty())] {
        if set {
            notes.push(format!("{id} does not take {name}; it was left out").into());
        }
    }
    let reasoning = &request.reasoning;
    let asked = reasoning.effort.is_some() || reasoning.budget_tokens.is_some() || reasoning.include.is_some();
    if !asked || model.is_some_and(|m| m.capabilities.reasoning == Capability::No) {
        return;
    }
    let words = model.map(|m| &m.reasoning.efforts[..]).unwrap_or_default();
    let range = model.and_then(|m| m.reasoning.budget);
    g.obj("thinkingConfig", |t| {
        let off = reasoning.effort == Some(Effort::None) || reasoning.budget_tokens == Some(0);
        t.val("includeThoughts", reasoning.include.unwrap_or(!off));
        match (reasoning.budget_tokens, reasoning.effort) {
            (Some(budget), _) => t.val("thinkingBudget", budget),
            // Newer models take words; older ones a budget.
            (None, Some(effort)) if !words.is_empty() && range.is_none() => {
                let level = match effort {
                    Effort::None | Effort::Minimal | Effort::Low => "low",
                    Effort::Medium if words.contains(&Effort::Medium) => "medium",
                    _ => "high",
                };
                t.str("thinkingLevel", level);
            }
            (None, Some(effort)) => {
                let (least, most) = range.unwrap_or((0, 0));
                let wanted = match effort {
                    Effort::None => 0,
                    Effort::Minimal => 512,
                    Effort::Low => 1024,
                    Effort::Medium => 8192,
                    Effort::High | Effort::XHigh | Effort::Max => 24_576,
                };
                let bounded = wanted.max(least);
                t.val("thinkingBudget", if most > 0 { bounded.min(most) } else { bounded });
            }
            (None, None) => {}
        }
    });
}
