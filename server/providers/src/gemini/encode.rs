//! Spells a request as Gemini's generateContent.

use bytes::Bytes;
use headworks_core::{Capability, ChatRequest, DialectName, Fault, Output, Target, Tool, ToolChoice};
use http::{Method, Request, header};

use super::{
    schema::{self, Use},
    signature, think,
    turns::{Turns, turns},
};
use crate::{
    Encoded, Note,
    dialect::{foreign, missing},
    envelope,
    spell::{Object, object},
};

/// Most stop sequences that Gemini takes (`GenerationConfig.stopSequences`).
const MOST_STOPS: usize = 5;
/// Most alternatives that Gemini returns with a token (`GenerationConfig.logprobs`).
const MOST_LOGPROBS: i64 = 20;

/// The request for a target.
pub(super) fn encode(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    crate::dialect::all_understood(target, request, DialectName::Gemini)?;
    refuse_impossible(target, request)?;
    let mut notes: Vec<Note> = Vec::new();
    foreign(target, request, DialectName::Gemini, &mut notes)?;
    crate::dialect::unsaid(target, request, DialectName::Gemini, &mut notes);
    let id = &target.id;
    let Turns { system, contents } = turns(target, request, &mut notes)?;
    let json = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_default();
    let mut out = Vec::with_capacity(contents.iter().map(|(_, parts)| parts.len() + 32).sum::<usize>() + 1024);
    object(&mut out, |o| {
        if !system.is_empty() {
            o.obj("systemInstruction", |s| s.raw("parts", &json(system)));
        }
        o.arr("contents", |a| {
            for (role, parts) in contents {
                a.obj(|c| {
                    c.str("role", role);
                    c.raw("parts", &json(parts));
                });
            }
        });
        tools(o, target, request, &mut notes);
        o.obj("generationConfig", |g| config(g, target, request, &mut notes));
        match request.service_tier.as_deref() {
            None | Some("auto" | "default") => {}
            // Documented under "Flex inference" and "Priority inference".
            Some(tier @ ("flex" | "priority" | "standard")) => o.str("service_tier", tier),
            Some(tier) => notes.push(Note::parameter("service_tier", format!("{id} has no service tier {tier}"), "it was left out")),
        }
        if let Some(name) = cached_content(request) {
            o.str("cachedContent", &name);
        }
        if request.extra_dialect == Some(DialectName::Gemini) {
            request.extra.iter().for_each(|(name, value)| o.raw(name, value.as_str()));
        }
    });
    let method = if request.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let url = format!("{}/v1beta/{}:{method}", target.host.base_url, resource(&target.upstream_name));
    let mut built = Request::builder().method(Method::POST).uri(url).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in &target.host.quirks.headers {
        built = built.header(&**name, &**value);
    }
    let request = built.body(Bytes::from(out)).map_err(|error| Fault::internal(format!("{id}: base_url: {error}")))?;
    Ok(Encoded { request, notes })
}

/// A cache that the client made, as OpenAI's clients name it to Google (`extra_body.google.cached_content`); `None` where
/// `extra_body` says anything beside.
pub(crate) fn cached_content(request: &ChatRequest) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Extra {
        google: Google,
    }
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Google {
        cached_content: String,
    }
    let said = request.extra.get("extra_body").filter(|_| request.extra_dialect == Some(DialectName::OpenAi))?;
    said.read::<Extra>().ok().map(|extra| extra.google.cached_content)
}

/// The request for a count of a chat's tokens (`models.countTokens`).
pub(super) fn encode_count(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    let mut encoded = encode(target, request)?;
    let name = resource(&target.upstream_name);
    let inner = envelope::reshape(encoded.request.body(), Some(("model", &name)), &["service_tier"]);
    *encoded.request.body_mut() = [&b"{\"generateContentRequest\":"[..], &inner, b"}"].concat().into();
    envelope::readdress(target, &mut encoded, format!("{}/v1beta/{name}:countTokens", target.host.base_url))?;
    Ok(encoded)
}

/// What cannot be left out without changing what the request means.
fn refuse_impossible(target: &Target, request: &ChatRequest) -> Result<(), Fault> {
    for tool in &request.tools {
        if let Tool::Hosted { dialect, .. } = tool
            && *dialect != DialectName::Gemini
        {
            return Err(missing(target, "tools", &format!("a tool that {} runs cannot be used here", dialect.as_str())));
        }
    }
    let functions = request.tools.iter().any(|t| matches!(t, Tool::Function { .. }));
    if functions && request.output != Output::Text && signature::generation(target).is_some_and(|n| n < 3) {
        return Err(missing(target, "response_format", "tools together with JSON output need Gemini 3 or later"));
    }
    if let Some(ToolChoice::Named(name)) = &request.tool_choice {
        let known = |tool: &Tool| matches!(tool, Tool::Function { name: known, .. } if known == name);
        if !request.tools.iter().any(known) {
            return Err(Fault::invalid("tool_choice", format!("names {name}, which is none of the tools")).at(&target.id));
        }
    }
    Ok(())
}

/// A model's resource name inside a path; tuned models say what they are themselves.
pub(crate) fn resource(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'/');
    let escaped: String = name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    if escaped.starts_with("models/") || escaped.starts_with("tunedModels/") { escaped } else { format!("models/{escaped}") }
}

fn tools(o: &mut Object<'_>, target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) {
    if request.tools.is_empty() {
        return;
    }
    let mut functions = 0;
    o.arr("tools", |a| {
        if request.tools.iter().any(|t| matches!(t, Tool::Function { .. })) {
            a.obj(|t| {
                t.arr("functionDeclarations", |a| {
                    for tool in &request.tools {
                        let Tool::Function { name, description, parameters, .. } = tool else { continue };
                        functions += 1;
                        a.obj(|f| {
                            f.str("name", name);
                            f.str("description", description.as_deref().unwrap_or_default());
                            if let Some(parameters) = parameters {
                                let what = format!("the parameters of {name}");
                                f.raw("parametersJsonSchema", &schema::accepted(parameters, Use::Arguments, &what, notes));
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
    if request.parallel_tool_calls == Some(false) {
        let cause = format!("{} cannot be kept from calling several tools at once", target.id);
        notes.push(Note::parameter("parallel_tool_calls", cause, "parallel_tool_calls was left out"));
    }
    let (mode, only) = match &request.tool_choice {
        None => return,
        Some(_) if functions == 0 => return,
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

fn config(g: &mut Object<'_>, target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) {
    let s = &request.sampling;
    let id = &target.id;
    let model = target.model.as_deref();
    if model.is_some_and(|m| m.capabilities.sampling == Capability::No) && (s.temperature.is_some() || s.top_p.is_some()) {
        notes.extend(crate::dialect::unsampled(target, request, "temperature and top_p", ""));
    } else {
        g.opt("temperature", s.temperature);
        g.opt("topP", s.top_p);
    }
    g.opt("topK", s.top_k);
    match (s.max_tokens, model.and_then(|m| m.max_output_tokens)) {
        (Some(asked), Some(most)) if asked > most => {
            notes.push(crate::dialect::shortened(target, most));
            g.val("maxOutputTokens", most);
        }
        (asked, _) => g.opt("maxOutputTokens", asked),
    }
    let stops: Vec<&str> = s.stop.iter().map(|text| text.as_str()).filter(|text| !text.is_empty()).collect();
    if stops.len() > MOST_STOPS {
        notes.push(Note::parameter("stop", format!("{id} takes {MOST_STOPS} stop texts"), "the first ones were sent"));
    }
    if !stops.is_empty() {
        g.val("stopSequences", stops.iter().take(MOST_STOPS).collect::<Vec<_>>());
    }
    g.opt("candidateCount", s.n.filter(|n| *n > 1));
    if let Some(seed) = s.seed {
        // 32 bits there. Folded, equal seeds stay equal.
        let folded = i32::try_from(seed).unwrap_or_else(|_| {
            notes.push(Note::parameter("seed", format!("{id} takes seeds of 32 bits"), "the seed was shortened to that"));
            (seed & 0x7fff_ffff) as i32
        });
        g.val("seed", folded);
    }
    g.opt("frequencyPenalty", s.frequency_penalty);
    g.opt("presencePenalty", s.presence_penalty);
    // The number alone asks for them too, as at Responses.
    if s.logprobs == Some(true) || s.top_logprobs.is_some_and(|n| n > 0) {
        g.val("responseLogprobs", true);
        g.opt("logprobs", s.top_logprobs.map(|n| n.clamp(0, MOST_LOGPROBS)));
    }
    for (name, set) in [("min_p", s.min_p.is_some()), ("repetition_penalty", s.repetition_penalty.is_some()), ("logit_bias", !s.logit_bias.is_empty())] {
        if set {
            notes.push(Note::not_taken(target, name));
        }
    }
    match &request.output {
        Output::Text => {}
        Output::Json => g.str("responseMimeType", "application/json"),
        Output::Schema { schema, .. } => {
            g.str("responseMimeType", "application/json");
            g.raw("responseJsonSchema", &schema::accepted(schema, Use::Answer, "the schema of the answer", notes));
        }
    }
    think::config(g, target, request, notes);
}
