//! Spells a request as Anthropic's messages.

use bytes::Bytes;
use headworks_core::{CacheMark, Capability, ChatRequest, DialectName, Effort, Fault, Json, Output, Target, Tool, ToolChoice};
use http::{Method, Request, header};

use super::{
    cache::{self, Prompt},
    relay::relay,
    request::{Conversation, control, conversation, legal, write},
    signature,
};
use crate::{
    Encoded, Note,
    dialect::{foreign, missing},
    openai::{effort_of, effort_word},
    spell::{Object, object},
};

/// Output for a model whose limit is unknown: the dialect requires a number.
const UNKNOWN_OUTPUT: i64 = 4096;
/// The least that Anthropic takes as a thinking budget, tokens.
const LEAST_THINKING: i64 = 1024;

/// The request for a target.
pub(super) fn encode(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    crate::dialect::all_understood(target, request, DialectName::Anthropic)?;
    let mut notes: Vec<Note> = Vec::new();
    let body = body(target, request, &mut notes)?;
    address(target, request, "/v1/messages", body, notes)
}

/// The request for a count of a chat's tokens (Anthropic, "Token counting").
pub(super) fn encode_count(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    let mut notes: Vec<Note> = Vec::new();
    let body = match &request.original {
        Some(original) if original.dialect == DialectName::Anthropic => relay(target, request, original, true, &mut notes),
        _ => spell(target, request, true, &mut notes)?,
    };
    address(target, request, "/v1/messages/count_tokens", body, notes)
}

/// The body of a chat: the client's own where it speaks this dialect.
pub(crate) fn body(target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) -> Result<Vec<u8>, Fault> {
    match &request.original {
        Some(original) if original.dialect == DialectName::Anthropic => Ok(relay(target, request, original, false, notes)),
        _ => spell(target, request, false, notes),
    }
}

fn address(target: &Target, request: &ChatRequest, path: &str, body: Vec<u8>, notes: Vec<Note>) -> Result<Encoded, Fault> {
    let mut built = Request::builder().method(Method::POST).uri(format!("{}{path}", target.host.base_url)).header(header::CONTENT_TYPE, "application/json");
    let mut betas: Vec<&str> = request.betas.iter().map(|beta| &**beta).collect();
    for (name, value) in &target.host.quirks.headers {
        if &**name == "anthropic-beta" {
            betas.push(value);
        } else {
            built = built.header(&**name, &**value);
        }
    }
    if !betas.is_empty() {
        built = built.header("anthropic-beta", betas.join(","));
    }
    if !target.host.quirks.headers.iter().any(|(name, _)| &**name == "anthropic-version") {
        built = built.header("anthropic-version", "2023-06-01");
    }
    let request = built.body(Bytes::from(body)).map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(Encoded { request, notes })
}

/// The limit of the output, which the dialect requires: the client's, at most what the model writes.
pub(super) fn max_tokens(target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) -> i64 {
    let id = &target.id;
    let most = target.model.as_deref().and_then(|m| m.max_output_tokens);
    match (request.sampling.max_tokens, most) {
        (Some(asked), Some(most)) if asked > most => {
            notes.push(crate::dialect::shortened(target, most));
            most
        }
        (Some(asked), _) => asked,
        (None, most) => {
            let filled = most.unwrap_or(UNKNOWN_OUTPUT);
            notes.push(Note::aside(format!("{id} requires max_tokens; {filled} was filled in")));
            filled
        }
    }
}

/// The body spelled out from our own words.
fn spell(target: &Target, request: &ChatRequest, counting: bool, notes: &mut Vec<Note>) -> Result<Vec<u8>, Fault> {
    let mut note = |note: Note| notes.push(note);
    let id = &target.id;
    let s = &request.sampling;
    if s.n.is_some_and(|n| n > 1) {
        return Err(missing(target, "n", "n above 1 is not offered by this provider"));
    }
    if request.output == Output::Json {
        note(Note::parameter("response_format", format!("{id} has no JSON mode"), "the model was told in words"));
    }
    let mut unknown = Vec::new();
    foreign(target, request, DialectName::Anthropic, &mut unknown)?;
    crate::dialect::unsaid(target, request, DialectName::Anthropic, &mut unknown);
    unknown.into_iter().for_each(&mut note);
    let Conversation { mut system, roles, mut turns } = conversation(target, request)?;
    if request.output == Output::Json {
        // Without a schema there is no mode for it: an instruction is what remains.
        let text = r#"{"type":"text","text":"Answer with one JSON object and nothing else.""#;
        system.push(super::request::Block { json: text.to_owned(), bytes: text.len(), cache: CacheMark::None, markable: true });
    }
    let mut tool_marks: Vec<CacheMark> = Vec::new();
    let mut tools: Vec<Vec<u8>> = Vec::new();
    for tool in &request.tools {
        let (mark, json) = spell_tool(tool).ok_or_else(|| missing(target, "tools", "a tool that another provider runs cannot be used here"))?;
        tool_marks.push(mark);
        tools.push(json);
    }
    let mut prompt = Prompt { tools: tools.iter().map(Vec::len).collect(), system: &mut system, turns: &mut turns };
    if cache::marked(&prompt, &tool_marks) {
        if cache::clamp(&mut prompt, &mut tool_marks) {
            note(crate::dialect::overmarked(target));
        }
    } else if request.auto_cache == Some(true) {
        cache::place(target, &mut prompt, &mut tool_marks, request.cache_ttl);
    }

    let max_tokens = max_tokens(target, request, notes);
    let mut note = |note: Note| notes.push(note);
    let thinking = thinking(target, request, max_tokens);
    if thinking.is_none() && wants_thinking(request) {
        note(unthinking(target, request));
    }
    let capabilities = target.model.as_deref().map(|m| m.capabilities).unwrap_or_default();
    if request.tools.is_empty() && request.tool_choice.is_some() && request.tool_choice != Some(ToolChoice::None) {
        note(Note::aside("tool_choice without tools was left out".to_owned()));
    }

    let mut out = Vec::with_capacity(2048);
    object(&mut out, |o| {
        o.str("model", &target.upstream_name);
        if !counting {
            o.val("max_tokens", max_tokens);
        }
        if !system.is_empty() {
            let mut json = Vec::new();
            write(&mut json, &system);
            o.raw("system", std::str::from_utf8(&json).unwrap_or("[]"));
        }
        o.arr("messages", |a| {
            for (role, turn) in roles.iter().zip(&turns) {
                a.obj(|m| {
                    m.str("role", role);
                    let mut json = Vec::new();
                    write(&mut json, turn);
                    m.raw("content", std::str::from_utf8(&json).unwrap_or("[]"));
                });
            }
        });
        if request.stream && !counting {
            o.val("stream", true);
        }
        let fixed = capabilities.sampling == Capability::No || thinking.is_some();
        if fixed && (s.temperature.is_some() || s.top_p.is_some() || s.top_k.is_some()) {
            let why = if thinking.is_some() { " while it thinks" } else { "" };
            crate::dialect::unsampled(target, request, "temperature, top_p and top_k", why).into_iter().for_each(&mut note);
        } else if !fixed {
            if let Some(high) = s.temperature.filter(|t| *t > 1.0) {
                note(Note::parameter("temperature", format!("{id} takes a temperature of 1 at most"), &format!("{high} was lowered to that")));
            }
            o.opt("temperature", s.temperature.map(|t| t.min(1.0)));
            o.opt("top_p", s.top_p);
            o.opt("top_k", s.top_k);
        }
        let stop: Vec<&str> = s.stop.iter().map(|t| t.as_str()).filter(|t| !t.trim().is_empty()).collect();
        if !stop.is_empty() {
            o.val("stop_sequences", stop);
        }
        match thinking {
            Some(Thinking::Budget(budget)) => o.obj("thinking", |t| {
                t.str("type", "enabled");
                t.val("budget_tokens", budget);
            }),
            Some(Thinking::Adaptive(_)) => o.raw("thinking", r#"{"type":"adaptive"}"#),
            None => {}
        }
        if !tools.is_empty() {
            o.arr("tools", |a| {
                for (json, mark) in tools.iter().zip(&tool_marks) {
                    let text = std::str::from_utf8(json).unwrap_or("{}");
                    let mark = control(*mark).map(|c| format!(",\"cache_control\":{c}")).unwrap_or_default();
                    a.raw(&format!("{}{mark}}}", text.get(..text.len().saturating_sub(1)).unwrap_or_default()));
                }
            });
            choice(o, request);
        }
        let effort = if let Some(Thinking::Adaptive(effort)) = thinking { effort } else { None };
        let schema = if let Output::Schema { schema, .. } = &request.output { Some(schema) } else { None };
        if effort.is_some() || schema.is_some() {
            o.obj("output_config", |c| {
                c.opt_str("effort", effort.map(effort_word));
                if let Some(schema) = schema {
                    c.obj("format", |f| {
                        f.str("type", "json_schema");
                        f.raw("schema", schema.as_str());
                    });
                }
            });
        }
        if let Some(user) = request.user.as_deref().or(request.routing.user_id.as_deref()) {
            o.obj("metadata", |m| m.str("user_id", user));
        }
        match request.service_tier.as_deref() {
            Some("auto") => o.str("service_tier", "auto"),
            Some("default" | "standard_only") => o.str("service_tier", "standard_only"),
            Some(other) => note(Note::parameter("service_tier", format!("{id} has no service tier \"{other}\""), "it was left out")),
            None => {}
        }
        if request.extra_dialect == Some(DialectName::Anthropic) {
            request.extra.iter().for_each(|(name, value)| o.raw(name, value.as_str()));
        }
        for (name, set) in [
            ("frequency_penalty", s.frequency_penalty.is_some()),
            ("presence_penalty", s.presence_penalty.is_some()),
            ("repetition_penalty", s.repetition_penalty.is_some()),
            ("min_p", s.min_p.is_some()),
            ("seed", s.seed.is_some()),
            ("logprobs", s.logprobs == Some(true)),
            ("top_logprobs", s.top_logprobs.is_some_and(|n| n > 0)),
            ("logit_bias", !s.logit_bias.is_empty()),
        ] {
            if set {
                note(Note::not_taken(target, name));
            }
        }
    });
    Ok(out)
}

fn choice(o: &mut Object<'_>, request: &ChatRequest) {
    let single = request.parallel_tool_calls == Some(false);
    let kind = match &request.tool_choice {
        None if !single => return,
        None | Some(ToolChoice::Auto) => "auto",
        Some(ToolChoice::None) => "none",
        Some(ToolChoice::Required) => "any",
        Some(ToolChoice::Named(_)) => "tool",
    };
    o.obj("tool_choice", |c| {
        c.str("type", kind);
        if let Some(ToolChoice::Named(name)) = &request.tool_choice {
            c.str("name", &legal(name));
        }
        if single && kind != "none" {
            c.val("disable_parallel_tool_use", true);
        }
    });
}

fn spell_tool(tool: &Tool) -> Option<(CacheMark, Vec<u8>)> {
    let mut out = Vec::new();
    match tool {
        Tool::Function { name, description, parameters, strict, cache } => {
            object(&mut out, |o| {
                o.str("name", &legal(name));
                o.opt_str("description", description.as_deref());
                o.raw("input_schema", parameters.as_ref().map_or(r#"{"type":"object","properties":{}}"#, Json::as_str));
                o.opt("strict", strict.filter(|strict| *strict));
            });
            Some((*cache, out))
        }
        Tool::Hosted { dialect: DialectName::Anthropic, json } => Some((CacheMark::None, json.as_str().trim_end().as_bytes().to_vec())),
        Tool::Hosted { .. } => None,
    }
}

/// How the model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thinking {
    /// By tokens.
    Budget(i64),
    /// As it sees fit, this hard.
    Adaptive(Option<Effort>),
}

/// Whether thinking is asked for at all.
fn wants_thinking(request: &ChatRequest) -> bool {
    request.reasoning.budget_tokens.is_some_and(|n| n > 0) || request.reasoning.effort.is_some_and(|e| e != Effort::None)
}

/// Why thinking that was asked for is not.
fn unthinking(target: &Target, request: &ChatRequest) -> Note {
    let id = &target.id;
    let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    let cause = if target.model.as_ref().is_some_and(|m| m.capabilities.reasoning == Capability::No) {
        format!("{id} does not think")
    } else if forced {
        format!("{id} does not think where a tool is forced")
    } else if signature::round_without_reasoning(request) {
        return unfinished_round(target);
    } else {
        format!("{id} thinks with {LEAST_THINKING} tokens or more, which max_tokens leaves no room for")
    };
    Note::parameter("reasoning", cause, "thinking was left out")
}

/// A tool round that another maker's model began goes on without thinking.
pub(super) fn unfinished_round(target: &Target) -> Note {
    let cause = format!("{} does not think in the middle of a tool round that another provider began", target.id);
    Note::parameter("reasoning", cause, "thinking was left out")
}

/// How thinking that was asked for is said to this model. Models that take words think as they see fit, as hard as
/// the nearest word they take says; others by a budget below `max_tokens`, at least what Anthropic takes.
fn thinking(target: &Target, request: &ChatRequest, max_tokens: i64) -> Option<Thinking> {
    let model = target.model.as_deref();
    // A forced tool and thinking exclude each other.
    let forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    let adaptive = request.reasoning.include == Some(true) && request.reasoning.budget_tokens.is_none() && request.reasoning.effort != Some(Effort::None);
    if forced || model.is_some_and(|m| m.capabilities.reasoning == Capability::No) || !(wants_thinking(request) || adaptive) {
        return None;
    }
    let words = model.map(|m| &m.reasoning).filter(|r| !r.efforts.is_empty() && (r.budget.is_none() || request.reasoning.budget_tokens.is_none()));
    if let Some(words) = words {
        let asked = request.reasoning.effort.or(request.reasoning.budget_tokens.map(effort_of));
        let nearest = asked.and_then(|asked| words.efforts.iter().min_by_key(|word| (**word as i32 - asked as i32).abs()).copied());
        return Some(Thinking::Adaptive(nearest));
    }
    if signature::round_without_reasoning(request) {
        return None;
    }
    let asked = match (request.reasoning.budget_tokens, request.reasoning.effort) {
        (Some(budget), _) => budget,
        (None, Some(Effort::None)) => 0,
        (None, Some(Effort::Minimal)) => 1024,
        (None, Some(Effort::Low)) => 2048,
        (None, Some(Effort::Medium) | None) => 8192,
        (None, Some(Effort::High)) => 16_384,
        (None, Some(Effort::XHigh | Effort::Max)) => 32_768,
    };
    let most = model.and_then(|m| m.reasoning.budget).map(|(_, most)| most).filter(|most| *most > 0).unwrap_or(i64::MAX);
    let budget = asked.min(most).min(max_tokens - 1);
    (asked > 0 && budget >= LEAST_THINKING).then_some(Thinking::Budget(budget))
}
