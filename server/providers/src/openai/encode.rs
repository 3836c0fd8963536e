//! Spells a request as OpenAI's chat completions.

use bytes::Bytes;
use headworks_core::{
    Capability, ChatRequest, DialectName, Effort, Fault, Json, Message, MessageRole, Original, Output, Part, PartKind, Quirks, Reason, Source, Target, Tool,
    ToolChoice,
};
use http::{Method, Request, header};

use super::extension;
use crate::{
    Encoded, Note,
    spell::{Array, Object, object, string},
};

/// The request for a target.
pub(super) fn encode(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    let mut notes = Vec::new();
    let body = match &request.original {
        Some(original) if original.dialect == DialectName::OpenAi && !rewrites(&target.host.quirks, request) => relay(target, request, original, &mut notes),
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

/// Whether the host needs messages in another form than the client wrote them.
fn rewrites(quirks: &Quirks, request: &ChatRequest) -> bool {
    quirks.plain_text_content && request.messages.iter().any(|m| m.parts.len() != 1)
}

/// The client's own body with only the routing keys changed: one pass, one allocation.
fn relay(target: &Target, request: &ChatRequest, original: &Original, notes: &mut Vec<Note>) -> Vec<u8> {
    let body = &original.body;
    let quirks = &target.host.quirks;
    let mut out = Vec::with_capacity(body.len() + target.upstream_name.len() + 64);
    out.push(b'{');
    let has = |name: &str| original.members.iter().any(|m| &*m.name == name);
    let ask_usage = request.stream && quirks.stream_usage_option;
    let mut asked_usage = false;
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
            "provider" | "models" | "route" if &*target.id.provider == "openrouter" => put(name, value),
            name if extension::GATEWAY_MEMBERS.contains(&name) => {}
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
                    put(&quirks.max_tokens_field, value);
                }
            }
            name if quirks.rejects.iter().any(|rejected| &**rejected == name) => {
                notes.push(format!("{} does not take {name}; it was left out", target.id).into());
            }
            name => put(name, value),
        }
    }
    if ask_usage && !asked_usage {
        out.extend_from_slice(br#","stream_options":{"include_usage":true}"#);
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
    refuse_impossible(target, request)?;
    let quirks = &target.host.quirks;
    let capabilities = target.model.as_ref().map(|m| m.capabilities).unwrap_or_default();
    let mut note = |text: String| notes.push(text.into());
    let rejects = |name: &str| quirks.rejects.iter().any(|rejected| &**rejected == name);
    let mut out = Vec::with_capacity(1024);
    object(&mut out, |o| {
        o.str("model", &target.upstream_name);
        o.arr("messages", |messages| request.messages.iter().for_each(|m| message(messages, m, target)));
        if request.stream {
            o.val("stream", true);
            if quirks.stream_usage_option {
                o.raw("stream_options", r#"{"include_usage":true}"#);
            }
        }
        let s = &request.sampling;
        if capabilities.sampling == Capability::No && (s.temperature.is_some() || s.top_p.is_some()) {
            note(format!("{} does not take temperature and top_p; they were left out", target.id));
        } else {
            o.opt("temperature", s.temperature);
            o.opt("top_p", s.top_p);
        }
        let mut number = |o: &mut Object<'_>, name: &str, value: Option<f64>| {
            if value.is_some() && rejects(name) {
                note(format!("{} does not take {name}; it was left out", target.id));
            } else {
                o.opt(name, value);
            }
        };
        number(o, "frequency_penalty", s.frequency_penalty);
        number(o, "presence_penalty", s.presence_penalty);
        number(o, "repetition_penalty", s.repetition_penalty);
        number(o, "min_p", s.min_p);
        o.opt("top_k", s.top_k);
        o.opt("seed", s.seed.filter(|_| !rejects("seed")));
        o.opt(&quirks.max_tokens_field, s.max_tokens);
        if !s.stop.is_empty() {
            o.val("stop", s.stop.iter().map(|t| t.as_str()).collect::<Vec<_>>());
        }
        o.opt("n", s.n.filter(|n| *n != 1));
        o.opt("logprobs", s.logprobs);
        o.opt("top_logprobs", s.top_logprobs);
        if !s.logit_bias.is_empty() {
            o.val("logit_bias", &s.logit_bias);
        }
        if !request.tools.is_empty() {
            o.arr("tools", |tools| request.tools.iter().for_each(|t| tool(tools, t)));
        }
        match &request.tool_choice {
            None => {}
            Some(ToolChoice::Auto) => o.str("tool_choice", "auto"),
            Some(ToolChoice::None) => o.str("tool_choice", "none"),
            Some(ToolChoice::Required) => o.str("tool_choice", "required"),
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
        if let Some(effort) = request.reasoning.effort.filter(|_| capabilities.reasoning != Capability::No) {
            o.str("reasoning_effort", effort_word(effort));
        } else if let Some(budget) = request.reasoning.budget_tokens.filter(|_| capabilities.reasoning != Capability::No) {
            o.str("reasoning_effort", effort_word(effort_of(budget)));
        }
        if !request.metadata.is_empty() && &*target.id.provider == "openai" {
            o.val("metadata", &request.metadata);
        }
        o.opt_str("service_tier", request.service_tier.as_deref());
        o.opt_str("user", request.user.as_deref().filter(|_| !rejects("user")));
        if request.extra_dialect == Some(DialectName::OpenAi) {
            for (name, value) in request.extra.iter().filter(|(name, _)| !rejects(name)) {
                o.raw(name, value.as_str());
            }
        }
    });
    Ok(out)
}

/// What cannot be left out without changing what the request means.
fn refuse_impossible(target: &Target, request: &ChatRequest) -> Result<(), Fault> {
    let missing = |what: String| Fault::new(Reason::CapabilityMissing, format!("{}: {what}", target.id)).at(&target.id);
    for tool in &request.tools {
        if let Tool::Hosted { dialect, .. } = tool
            && *dialect != DialectName::OpenAi
        {
            return Err(missing(format!("a tool that {} runs cannot be used here", dialect.as_str())));
        }
    }
    Ok(())
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

/// The nearest word for a budget of tokens: a quarter, half and all of what large models commonly take.
const fn effort_of(budget: i64) -> Effort {
    match budget {
        i64::MIN..=0 => Effort::None,
        1..=4096 => Effort::Low,
        4097..=16384 => Effort::Medium,
        _ => Effort::High,
    }
}

fn message(messages: &mut Array<'_>, message: &Message, target: &Target) {
    // A tool's results are messages of their own here, one per call.
    let (results, rest): (Vec<&Part>, Vec<&Part>) = message.parts.iter().partition(|p| matches!(p.kind, PartKind::ToolResult { .. }));
    for part in results {
        if let PartKind::ToolResult { id, parts, .. } = &part.kind {
            messages.obj(|o| {
                o.str("role", "tool");
                o.str("tool_call_id", id);
                content(o, &parts.iter().collect::<Vec<_>>(), target);
            });
        }
    }
    if rest.is_empty() && message.parts.iter().any(|p| matches!(p.kind, PartKind::ToolResult { .. })) {
        return;
    }
    messages.obj(|o| {
        o.str(
            "role",
            match message.role {
                MessageRole::System => "system",
                MessageRole::Developer if &*target.id.provider == "openai" => "developer",
                MessageRole::Developer => "system",
                MessageRole::User | MessageRole::Tool => "user",
                MessageRole::Assistant => "assistant",
            },
        );
        o.opt_str("name", message.name.as_deref());
        let said: Vec<&Part> = rest
            .iter()
            .copied()
            .filter(|p| matches!(p.kind, PartKind::Text(_) | PartKind::Image { .. } | PartKind::File { .. } | PartKind::Audio { .. }))
            .collect();
        let calls: Vec<&Part> = rest.iter().copied().filter(|p| matches!(p.kind, PartKind::ToolCall { .. })).collect();
        if said.is_empty() && message.role == MessageRole::Assistant {
            o.raw("content", if calls.is_empty() { "\"\"" } else { "null" });
        } else {
            content(o, &said, target);
        }
        for part in &rest {
            match &part.kind {
                PartKind::Refusal(text) => o.str("refusal", text),
                PartKind::Reasoning { text, .. } if target.host.quirks.echo_reasoning && !text.is_empty() => o.str("reasoning_content", text),
                _ => {}
            }
        }
        if !calls.is_empty() {
            o.arr("tool_calls", |a| calls.iter().for_each(|part| call(a, &part.kind)));
        }
    });
}

fn call(calls: &mut Array<'_>, kind: &PartKind) {
    let PartKind::ToolCall { id, name, arguments, .. } = kind else { return };
    calls.obj(|o| {
        o.str("id", id);
        o.str("type", "function");
        o.obj("function", |f| {
            f.str("name", name);
            f.str("arguments", arguments);
        });
    });
}

fn content(o: &mut Object<'_>, parts: &[&Part], target: &Target) {
    let texts: Option<Vec<&str>> = parts.iter().map(|p| if let PartKind::Text(t) = &p.kind { Some(t.as_str()) } else { None }).collect();
    match texts.as_deref() {
        Some([]) => o.str("content", ""),
        Some([one]) => o.str("content", one),
        Some(many) if target.host.quirks.plain_text_content => o.str("content", &many.concat()),
        _ => o.arr("content", |a| parts.iter().for_each(|p| piece(a, &p.kind))),
    }
}

fn piece(pieces: &mut Array<'_>, kind: &PartKind) {
    match kind {
        PartKind::Text(text) => pieces.obj(|o| {
            o.str("type", "text");
            o.str("text", text);
        }),
        PartKind::Image { source, detail } => pieces.obj(|o| {
            o.str("type", "image_url");
            o.obj("image_url", |i| {
                i.str("url", &url(source));
                i.opt_str("detail", detail.as_deref());
            });
        }),
        PartKind::File { source, name } => pieces.obj(|o| {
            o.str("type", "file");
            o.obj("file", |f| {
                match source {
                    Source::FileId(id) => f.str("file_id", id),
                    other => f.str("file_data", &url(other)),
                }
                f.opt_str("filename", name.as_deref());
            });
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

fn url(source: &Source) -> String {
    match source {
        Source::Url(url) | Source::FileId(url) => url.to_string(),
        Source::Base64 { mime, data } => format!("data:{mime};base64,{data}"),
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
