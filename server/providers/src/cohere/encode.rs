//! Spells a request as Cohere's chat, version 2.

use bytes::Bytes;
use headworks_core::{
    Capability, ChatRequest, DialectName, Effort, Fault, Json, Message, MessageRole, Output, Part, PartKind, Source, Target, Tool, ToolChoice,
};
use http::{Method, Request, header};

use crate::{
    Encoded, Note,
    dialect::missing,
    spell::{Array, Object, object},
};

/// Most stop sequences that Cohere takes.
const MOST_STOPS: usize = 5;

/// The request for a target.
pub(super) fn encode(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    crate::dialect::all_understood(target, request, DialectName::Cohere)?;
    refuse_impossible(target, request)?;
    // For what it refuses; what is left out is told below, since some of another door's words are Cohere's own.
    crate::dialect::foreign(target, request, DialectName::Cohere, &mut Vec::new())?;
    let mut notes: Vec<Note> = Vec::new();
    crate::dialect::unsaid(target, request, DialectName::Cohere, &mut notes);
    let mut out = Vec::with_capacity(1024);
    object(&mut out, |o| {
        o.str("model", &target.upstream_name);
        o.arr("messages", |a| request.messages.iter().for_each(|m| message(a, m, target)));
        if request.stream {
            o.val("stream", true);
        }
        tools(o, target, request, &mut notes);
        match &request.output {
            Output::Text => {}
            Output::Json => o.obj("response_format", |f| f.str("type", "json_object")),
            Output::Schema { schema, .. } => o.obj("response_format", |f| {
                f.str("type", "json_object");
                f.raw("json_schema", schema.as_str());
            }),
        }
        sampling(o, target, request, &mut notes);
        thinking(o, target, request, &mut notes);
        if request.extra_dialect == Some(DialectName::Cohere) {
            request.extra.iter().for_each(|(name, value)| o.raw(name, value.as_str()));
        } else {
            for (name, value) in &request.extra {
                // The same words in other doors: what only Cohere has can be sent through them.
                match &**name {
                    "documents" | "citation_options" | "safety_mode" | "priority" => o.raw(name, value.as_str()),
                    "cache_control" => {}
                    _ if value.as_str() == "null" => {}
                    _ => notes.push(Note::unknown(target, name)),
                }
            }
        }
    });
    let mut built = Request::builder().method(Method::POST).uri(format!("{}/v2/chat", target.host.base_url)).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in &target.host.quirks.headers {
        built = built.header(&**name, &**value);
    }
    let request = built.body(Bytes::from(out)).map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(Encoded { request, notes })
}

/// What cannot be left out without changing what the request means.
fn refuse_impossible(target: &Target, request: &ChatRequest) -> Result<(), Fault> {
    let missing = |field: &str, what: &str| Err(missing(target, field, what));
    if request.sampling.n.is_some_and(|n| n > 1) {
        return missing("n", "n above 1 is not offered by this provider");
    }
    if request.tools.iter().any(|t| matches!(t, Tool::Hosted { .. })) {
        return missing("tools", "a tool that another provider runs cannot be used here");
    }
    if !request.tools.is_empty() && request.output != Output::Text {
        return missing("response_format", "takes either tools or response_format, not both");
    }
    let parts = request.messages.iter().enumerate().flat_map(|(at, m)| m.parts.iter().enumerate().map(move |(i, part)| (at, i, part)));
    for (at, i, part) in parts {
        let place = || format!("messages[{at}].content[{i}]");
        match &part.kind {
            PartKind::Audio { .. } => return missing(&place(), "takes no sound"),
            PartKind::File { .. } => return missing(&place(), "takes no files; send their text, or documents"),
            PartKind::Image { source: Source::FileId(_), .. } => return missing(&place(), "takes pictures by URL or inline, not by a file's id"),
            _ => {}
        }
    }
    Ok(())
}

fn message(messages: &mut Array<'_>, message: &Message, target: &Target) {
    let (results, rest): (Vec<&Part>, Vec<&Part>) = message.parts.iter().partition(|p| matches!(p.kind, PartKind::ToolResult { .. }));
    for part in &results {
        if let PartKind::ToolResult { id, parts, .. } = &part.kind {
            messages.obj(|o| {
                o.str("role", "tool");
                o.str("tool_call_id", id);
                content(o, &parts.iter().collect::<Vec<_>>());
            });
        }
    }
    if rest.is_empty() && !results.is_empty() {
        return;
    }
    let said: Vec<&Part> = rest.iter().copied().filter(|p| matches!(p.kind, PartKind::Text(_) | PartKind::Image { .. } | PartKind::Refusal(_))).collect();
    messages.obj(|o| {
        if message.role != MessageRole::Assistant {
            o.str("role", if matches!(message.role, MessageRole::System | MessageRole::Developer) { "system" } else { "user" });
            content(o, &said);
            return;
        }
        o.str("role", "assistant");
        let calls: Vec<&Part> = rest.iter().copied().filter(|p| matches!(p.kind, PartKind::ToolCall { .. })).collect();
        // Cohere signs nothing; what another maker signed is not replayed (T3).
        let thought: String = rest
            .iter()
            .filter_map(|p| match &p.kind {
                PartKind::Reasoning { text, signature: None, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let thinks = target.model.as_ref().is_some_and(|m| m.capabilities.reasoning == Capability::Yes);
        if thinks && !thought.is_empty() {
            o.arr("content", |a| {
                a.obj(|t| {
                    t.str("type", "thinking");
                    t.str("thinking", &thought);
                });
                said.iter().for_each(|p| piece(a, &p.kind));
            });
        } else if !said.is_empty() || calls.is_empty() {
            content(o, &said);
        }
        if !calls.is_empty() {
            if !thinks && !thought.is_empty() {
                o.str("tool_plan", &thought);
            }
            o.arr("tool_calls", |a| {
                for part in calls {
                    let PartKind::ToolCall { id, name, arguments, .. } = &part.kind else { continue };
                    a.obj(|c| {
                        c.str("id", id);
                        c.str("type", "function");
                        c.obj("function", |f| {
                            f.str("name", name);
                            f.str("arguments", arguments);
                        });
                    });
                }
            });
        }
    });
}

fn content(o: &mut Object<'_>, parts: &[&Part]) {
    match parts {
        [] => o.str("content", ""),
        [Part { kind: PartKind::Text(text), .. }] => o.str("content", text),
        many => o.arr("content", |a| many.iter().for_each(|p| piece(a, &p.kind))),
    }
}

fn piece(pieces: &mut Array<'_>, kind: &PartKind) {
    match kind {
        PartKind::Text(text) | PartKind::Refusal(text) => pieces.obj(|o| {
            o.str("type", "text");
            o.str("text", text);
        }),
        PartKind::Image { source, detail } => pieces.obj(|o| {
            o.str("type", "image_url");
            o.obj("image_url", |i| {
                match source {
                    Source::Url(url) | Source::FileId(url) => i.str("url", url),
                    Source::Base64 { mime, data } => i.str("url", &format!("data:{mime};base64,{data}")),
                }
                i.opt_str("detail", detail.as_deref());
            });
        }),
        _ => {}
    }
}

fn tools(o: &mut Object<'_>, target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) {
    // There is no way to name one tool: it is offered alone, and one must be called.
    let only = match &request.tool_choice {
        Some(ToolChoice::Named(name)) => Some(name),
        _ => None,
    };
    let offered: Vec<&Tool> = request.tools.iter().filter(|t| only.is_none_or(|only| matches!(t, Tool::Function { name, .. } if name == only))).collect();
    if offered.is_empty() {
        return;
    }
    let mut strict = true;
    o.arr("tools", |a| {
        for tool in &offered {
            let Tool::Function { name, description, parameters, strict: wanted, .. } = tool else { continue };
            strict &= *wanted == Some(true);
            a.obj(|t| {
                t.str("type", "function");
                t.obj("function", |f| {
                    f.str("name", name);
                    f.opt_str("description", description.as_deref());
                    f.raw("parameters", parameters.as_ref().map_or(r#"{"type":"object","properties":{}}"#, Json::as_str));
                });
            });
        }
    });
    if strict {
        o.val("strict_tools", true);
    }
    match request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_)) => o.str("tool_choice", "REQUIRED"),
        Some(ToolChoice::None) => o.str("tool_choice", "NONE"),
        None | Some(ToolChoice::Auto) => {}
    }
    if request.parallel_tool_calls == Some(false) {
        let cause = format!("{} cannot be kept from calling several tools at once", target.id);
        notes.push(Note::parameter("parallel_tool_calls", cause, "parallel_tool_calls was left out"));
    }
}

fn sampling(o: &mut Object<'_>, target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) {
    let s = &request.sampling;
    let id = &target.id;
    o.opt("temperature", s.temperature);
    o.opt("p", s.top_p);
    o.opt("k", s.top_k);
    o.opt("seed", s.seed.filter(|seed| *seed >= 0));
    // 0 to 1 here, -2 to 2 in OpenAI's words.
    let mut penalty = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            o.val(name, value.clamp(0.0, 1.0));
            if !(0.0..=1.0).contains(&value) {
                notes.push(Note::parameter(name, format!("{id} takes {name} from 0 to 1"), &format!("{value} was moved into that")));
            }
        }
    };
    penalty("frequency_penalty", s.frequency_penalty);
    penalty("presence_penalty", s.presence_penalty);
    let most = target.model.as_ref().and_then(|m| m.max_output_tokens);
    match (s.max_tokens, most) {
        (Some(asked), Some(most)) if asked > most => {
            notes.push(crate::dialect::shortened(target, most));
            o.val("max_tokens", most);
        }
        (asked, _) => o.opt("max_tokens", asked),
    }
    if s.stop.len() > MOST_STOPS {
        notes.push(Note::parameter("stop", format!("{id} takes {MOST_STOPS} stop texts"), "the first ones were sent"));
    }
    if !s.stop.is_empty() {
        o.val("stop_sequences", s.stop.iter().take(MOST_STOPS).map(|t| t.as_str()).collect::<Vec<_>>());
    }
    o.opt("logprobs", s.logprobs.filter(|asked| *asked));
    for (name, set) in [
        ("min_p", s.min_p.is_some()),
        ("repetition_penalty", s.repetition_penalty.is_some()),
        ("top_logprobs", s.top_logprobs.is_some_and(|n| n > 0)),
        ("logit_bias", !s.logit_bias.is_empty()),
        ("service_tier", request.service_tier.as_deref().is_some_and(|tier| !matches!(tier, "auto" | "default"))),
        ("seed", s.seed.is_some_and(|seed| seed < 0)),
    ] {
        if set {
            notes.push(Note::not_taken(target, name));
        }
    }
}

fn thinking(o: &mut Object<'_>, target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) {
    let reasoning = &request.reasoning;
    let facts = target.model.as_ref();
    if reasoning.effort.is_none() && reasoning.budget_tokens.is_none() {
        return;
    }
    let off = reasoning.effort == Some(Effort::None) || reasoning.budget_tokens == Some(0);
    if facts.is_some_and(|m| m.capabilities.reasoning == Capability::No) {
        if !off {
            notes.push(Note::parameter("reasoning", format!("{} does not think", target.id), "what was said about reasoning was left out"));
        }
        return;
    }
    let efforts = facts.map_or(&[][..], |m| &m.reasoning.efforts);
    if let Some(effort) = reasoning.effort.filter(|effort| efforts.contains(effort)) {
        o.str("reasoning_effort", crate::openai::effort_word(effort));
        return;
    }
    o.obj("thinking", |t| {
        t.str("type", if off { "disabled" } else { "enabled" });
        t.opt("token_budget", reasoning.budget_tokens.filter(|n| *n > 0));
    });
}
