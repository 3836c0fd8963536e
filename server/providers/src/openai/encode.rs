//! Spells a request as OpenAI's chat completions.

use bytes::Bytes;
use headworks_core::{Capability, ChatRequest, DialectName, Effort, Fault, Json, Original, Output, Target, Tool, ToolChoice};
use http::{Method, Request, header};

use super::{turns, ways};
use crate::{
    Encoded, Note,
    dialect::{self, foreign, missing},
    spell::{Array, Object, object, string},
};

/// The request for a target.
pub(super) fn encode(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    crate::dialect::all_understood(target, request, DialectName::OpenAi)?;
    refuse_impossible(target, request)?;
    let mut notes = Vec::new();
    foreign(target, request, DialectName::OpenAi, &mut notes)?;
    let body = match &request.original {
        Some(original) if original.dialect == DialectName::OpenAi && !ways::rewrites(target, request, original) => relay(target, request, original, &mut notes),
        _ => spell(target, request, &mut notes)?,
    };
    let mut built =
        Request::builder().method(Method::POST).uri(format!("{}/chat/completions", target.host.base_url)).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in &target.host.quirks.headers {
        built = built.header(&**name, &**value);
    }
    let request = built.body(Bytes::from(body)).map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(Encoded { request, notes })
}

/// The client's own body with only the routing keys changed: one pass, one allocation.
fn relay(target: &Target, request: &ChatRequest, original: &Original, notes: &mut Vec<Note>) -> Vec<u8> {
    let body = &original.body;
    let quirks = &target.host.quirks;
    let mut out = Vec::with_capacity(body.len() + target.upstream_name.len() + 64);
    out.push(b'{');
    let has = |name: &str| original.members.iter().any(|m| &*m.name == name);
    let ask_usage = request.stream && quirks.stream_usage_option;
    let (mut asked_usage, mut limited) = (false, false);
    for member in &original.members {
        let value = body.get(member.value.clone()).unwrap_or_default();
        let name = &*member.name;
        let mut put = |name: &str, value: &[u8]| {
            if out.len() > 1 {
                out.push(b',');
            }
            string(&mut out, name);
            out.push(b':');
            out.extend_from_slice(value);
        };
        match name {
            "model" => {
                let mut model = Vec::with_capacity(target.upstream_name.len() + 2);
                string(&mut model, &target.upstream_name);
                put(name, &model);
            }
            // Answered by the gateway; a host that routes itself is given its own object.
            "provider" | "models" | "route" | "transforms" if &*target.id.provider == "openrouter" => put(name, value),
            name if headworks_core::GATEWAY_MEMBERS.contains(&name) => {}
            "stream_options" if request.stream => {
                if quirks.stream_usage_option {
                    asked_usage = true;
                    put(name, &with_usage(value));
                }
            }
            "stream_options" => {}
            "max_tokens" | "max_completion_tokens" => {
                // OpenAI takes either but not both; its newer models and some hosts take one only.
                let superseded = name == "max_tokens" && has("max_completion_tokens");
                if !superseded && value != b"null" {
                    limited = true;
                    put(&quirks.max_tokens_field, &dialect::limit(request, value));
                }
            }
            "seed" if value != b"null" && !ways::rejects(target, "seed") => put(&quirks.seed_field, value),
            name if dialect::refused(target, request, name, value, notes) => {}
            name if ways::rejects(target, name) => {
                notes.push(Note::not_taken(target, name));
            }
            name => put(name, value),
        }
    }
    // A limit that the client's own body does not say: the gateway has set it since.
    if let Some(limit) = request.sampling.max_tokens.filter(|_| !limited) {
        out.push(b',');
        string(&mut out, &quirks.max_tokens_field);
        out.extend_from_slice(format!(":{limit}").as_bytes());
    }
    if ask_usage && !asked_usage {
        out.extend_from_slice(br#","stream_options":{"include_usage":true}"#);
    }
    for (name, json) in quirks.always.iter().filter(|(name, _)| !has(name)) {
        out.push(b',');
        string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(json.as_bytes());
    }
    out.push(b'}');
    out
}

/// `stream_options` with usage asked for, whatever else the client put there.
fn with_usage(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 24);
    out.extend_from_slice(br#"{"include_usage":true"#);
    for member in crate::members(value).unwrap_or_default() {
        if &*member.name != "include_usage" {
            out.push(b',');
            string(&mut out, &member.name);
            out.push(b':');
            out.extend_from_slice(value.get(member.value).unwrap_or_default());
        }
    }
    out.push(b'}');
    out
}

/// The request spelled out from our own words.
fn spell(target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) -> Result<Vec<u8>, Fault> {
    let quirks = &target.host.quirks;
    let rejects = |name: &str| ways::rejects(target, name);
    dialect::unsaid(target, request, DialectName::OpenAi, notes);
    let mut out = Vec::with_capacity(1024);
    object(&mut out, |o| {
        o.str("model", &target.upstream_name);
        o.arr("messages", |messages| turns::messages(messages, target, request, notes));
        let mut note = |note: Note| notes.push(note);
        if request.stream || ways::stream_only(target) {
            o.val("stream", true);
            if quirks.stream_usage_option {
                o.raw("stream_options", r#"{"include_usage":true}"#);
            }
        }
        let s = &request.sampling;
        if crate::dialect::fixed(target, request) && (s.temperature.is_some() || s.top_p.is_some()) {
            crate::dialect::unsampled(target, request, "temperature and top_p", "").into_iter().for_each(&mut note);
        } else {
            o.opt("temperature", s.temperature);
            o.opt("top_p", s.top_p);
        }
        let mut number = |o: &mut Object<'_>, name: &str, value: Option<f64>| {
            if value.is_some() && rejects(name) {
                note(Note::not_taken(target, name));
            } else {
                o.opt(name, value);
            }
        };
        number(o, "frequency_penalty", s.frequency_penalty);
        number(o, "presence_penalty", s.presence_penalty);
        number(o, "repetition_penalty", s.repetition_penalty);
        number(o, "min_p", s.min_p);
        for (name, value) in [("top_k", s.top_k), ("n", s.n.filter(|n| *n != 1)), ("top_logprobs", s.top_logprobs)] {
            if value.is_some() && rejects(name) {
                note(Note::not_taken(target, name));
            } else {
                o.opt(name, value);
            }
        }
        o.opt(&quirks.seed_field, s.seed.filter(|_| !rejects("seed")));
        o.opt(&quirks.max_tokens_field, s.max_tokens);
        if !s.stop.is_empty() && rejects("stop") {
            note(Note::not_taken(target, "stop"));
        } else if !s.stop.is_empty() {
            o.val("stop", s.stop.iter().map(|t| t.as_str()).collect::<Vec<_>>());
        }
        if s.logprobs == Some(true) && rejects("logprobs") {
            note(Note::not_taken(target, "logprobs"));
        } else {
            o.opt("logprobs", s.logprobs);
        }
        if !s.logit_bias.is_empty() && rejects("logit_bias") {
            note(Note::not_taken(target, "logit_bias"));
        } else if !s.logit_bias.is_empty() {
            o.val("logit_bias", &s.logit_bias);
        }
        if !request.tools.is_empty() {
            // A host that cannot be told a tool's name is offered that tool alone.
            let only = match &request.tool_choice {
                Some(ToolChoice::Named(name)) if !quirks.named_tool_choice => Some(name),
                _ => None,
            };
            let offered = |t: &&Tool| only.is_none_or(|only| matches!(t, Tool::Function { name, .. } if name == only));
            o.arr("tools", |tools| request.tools.iter().filter(offered).for_each(|t| tool(tools, t)));
        }
        match &request.tool_choice {
            None => {}
            Some(ToolChoice::Auto) => o.str("tool_choice", "auto"),
            Some(ToolChoice::None) => o.str("tool_choice", "none"),
            Some(ToolChoice::Required) => o.opt_str("tool_choice", quirks.required_word.as_deref()),
            Some(ToolChoice::Named(_)) if !quirks.named_tool_choice => o.opt_str("tool_choice", quirks.required_word.as_deref()),
            Some(ToolChoice::Named(name)) => o.obj("tool_choice", |o| {
                o.str("type", "function");
                o.obj("function", |f| f.str("name", name));
            }),
        }
        o.opt("parallel_tool_calls", request.parallel_tool_calls.filter(|_| !request.tools.is_empty() && !rejects("parallel_tool_calls")));
        match &request.output {
            Output::Text => {}
            Output::Json => o.raw("response_format", r#"{"type":"json_object"}"#),
            Output::Schema { name, description, schema, strict } => o.obj("response_format", |o| {
                o.str("type", "json_schema");
                o.obj("json_schema", |o| {
                    o.str("name", name);
                    o.opt_str("description", description.as_deref());
                    o.opt("strict", *strict);
                    o.raw("schema", schema.as_str());
                });
            }),
        }
        if ways::reasoning(o, target, request) {
            note(Note::parameter("reasoning", format!("{} does not think", target.id), "what was said about reasoning was left out"));
        }
        if !request.metadata.is_empty() && &*target.id.provider == "openai" {
            o.val("metadata", &request.metadata);
        }
        o.opt_str("service_tier", request.service_tier.as_deref());
        o.opt_str("user", request.user.as_deref().filter(|_| !rejects("user")));
        let left = [("user", request.user.is_some()), ("seed", s.seed.is_some()), ("parallel_tool_calls", request.parallel_tool_calls.is_some())];
        for (name, _) in left.into_iter().filter(|(name, set)| *set && rejects(name)) {
            note(Note::not_taken(target, name));
        }
        if request.extra_dialect == Some(DialectName::OpenAi) {
            for (name, value) in &request.extra {
                if rejects(name) {
                    note(Note::not_taken(target, name));
                } else {
                    o.raw(name, value.as_str());
                }
            }
        }
        for (name, json) in quirks.always.iter().filter(|(name, _)| !request.extra.contains_key(name)) {
            o.raw(name, json);
        }
    });
    Ok(out)
}

/// What cannot be left out without changing what the request means.
fn refuse_impossible(target: &Target, request: &ChatRequest) -> Result<(), Fault> {
    for tool in &request.tools {
        if let Tool::Hosted { dialect, .. } = tool
            && *dialect != DialectName::OpenAi
        {
            return Err(missing(target, "tools", &format!("a tool that {} runs cannot be used here", dialect.as_str())));
        }
    }
    let quirks = &target.host.quirks;
    let can = target.model.as_ref().map(|m| m.capabilities.tools).unwrap_or_default();
    if !request.tools.is_empty() && can != Capability::Yes && ways::rejects(target, "tools") {
        return Err(missing(target, "tools", "takes no tools"));
    }
    if !request.tools.is_empty() && request.output != Output::Text && quirks.tools_or_format {
        return Err(missing(target, "response_format", "takes either tools or response_format, not both"));
    }
    match &request.tool_choice {
        Some(ToolChoice::Required) if quirks.required_word.is_none() => {
            Err(missing(target, "tool_choice", "cannot be made to call a tool; tool_choice can be auto or none"))
        }
        Some(ToolChoice::Named(_)) if quirks.required_word.is_none() && !quirks.named_tool_choice => {
            Err(missing(target, "tool_choice", "cannot be made to call a certain tool; tool_choice can be auto or none"))
        }
        _ => Ok(()),
    }
}

/// The word for an effort.
pub(crate) const fn effort_word(effort: Effort) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh => "xhigh",
        Effort::Max => "max",
    }
}

fn tool(tools: &mut Array<'_>, tool: &Tool) {
    match tool {
        Tool::Function { name, description, parameters, strict, .. } => tools.obj(|o| {
            o.str("type", "function");
            o.obj("function", |f| {
                f.str("name", name);
                f.opt_str("description", description.as_deref());
                f.raw("parameters", parameters.as_ref().map_or(r#"{"type":"object","properties":{}}"#, Json::as_str));
                f.opt("strict", *strict);
            });
        }),
        Tool::Hosted { json, .. } => tools.raw(json.as_str()),
    }
}
