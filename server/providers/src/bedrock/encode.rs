//! Spells a request as Converse's.

use std::sync::Arc;

use bytes::Bytes;
use headworks_core::{Capability, ChatRequest, DialectName, Fault, Json, Output, Target};
use http::{Method, Request, header};

use super::{
    cache::{Caching, caching},
    model::{Family, Thinking, family, one_of_temperature_and_top_p, think},
    tools::{Tools, tools},
    turns::{Block, Conversation, conversation, legal},
};
use crate::{
    Encoded, Note,
    dialect::missing,
    spell::{Array, Object, object},
};

/// Converse's own members that a client may name at any door: what none of our words say.
const PASSED_ON: &[&str] = &["guardrailConfig", "performanceConfig", "promptVariables", "additionalModelResponseFieldPaths"];
/// Labels that a request may carry (Converse, `requestMetadata`).
const MOST_LABELS: usize = 16;

/// `additionalModelRequestFields`: the maker's own words, beside Converse's.
#[derive(Debug, Default)]
pub(super) struct Additional(Vec<(Arc<str>, String)>);

impl Additional {
    /// Adds a member; a list or what the client gave itself under this name is kept, lists together.
    pub(super) fn put(&mut self, name: &str, json: String) {
        let Some((_, old)) = self.0.iter_mut().find(|(known, _)| &**known == name) else {
            self.0.push((name.into(), json));
            return;
        };
        if let (Some(head), Some(tail)) = (old.strip_suffix(']'), json.strip_prefix('[')) {
            let comma = if head.trim_end().ends_with('[') || tail.trim_start().starts_with(']') { "" } else { "," };
            *old = format!("{head}{comma}{tail}");
        }
    }
}

/// The parts of a body that `count-tokens` shares with `converse`.
struct Spelled {
    system: Vec<Block>,
    roles: Vec<&'static str>,
    turns: Vec<Vec<Block>>,
    tools: Tools,
    fields: Additional,
    caching: Caching,
    thinking: Thinking,
}

/// The request for a target.
pub(super) fn encode(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    let mut notes = Vec::new();
    let spelled = spell(target, request, &mut notes)?;
    let mut out = Vec::with_capacity(2048);
    object(&mut out, |o| {
        conversation_members(o, &spelled);
        inference(o, target, request, spelled.thinking, &mut notes);
        output(o, request);
        tier(o, target, request, &mut notes);
        labels(o, target, request, &mut notes);
        for name in PASSED_ON {
            if let Some(value) = request.extra.get(*name) {
                o.raw(name, value.as_str());
            }
        }
        additional(o, &spelled.fields);
    });
    let verb = if request.stream { "converse-stream" } else { "converse" };
    post(target, verb, out, notes)
}

/// The request that counts the tokens of a chat (Bedrock, `CountTokens`).
pub(super) fn count(target: &Target, request: &ChatRequest) -> Result<Encoded, Fault> {
    let mut notes = Vec::new();
    let spelled = spell(target, request, &mut notes)?;
    let mut out = Vec::with_capacity(2048);
    object(&mut out, |o| {
        o.obj("input", |i| {
            i.obj("converse", |c| {
                conversation_members(c, &spelled);
                additional(c, &spelled.fields);
            });
        });
    });
    post(target, "count-tokens", out, notes)
}

fn spell(target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) -> Result<Spelled, Fault> {
    let id = &target.id;
    if request.sampling.n.is_some_and(|n| n > 1) {
        return Err(missing(target, "n", "n above 1 is not offered by this provider"));
    }
    crate::dialect::unsaid(target, request, DialectName::Bedrock, notes);
    let Conversation { mut system, turns } = conversation(target, request, notes)?;
    let mut fields = extras(target, request, notes);
    let mut tools = tools(target, request, &turns, &mut fields, notes)?;
    if request.output == Output::Json {
        // Without a schema there is no mode for it: an instruction is what remains.
        notes.push(Note::parameter("response_format", format!("{id} has no JSON mode"), "the model was told in words"));
        system.push(Block::text("Answer with one JSON object and nothing else.", headworks_core::CacheMark::None));
    }
    let (roles, mut turns): (Vec<_>, Vec<_>) = turns.into_iter().map(|turn| (turn.role, turn.blocks)).unzip();
    let caching = caching(target);
    let auto = (request.auto_cache == Some(true)).then_some(request.cache_ttl);
    if caching.settle(target, auto, &mut tools.specs, &mut system, &mut turns) {
        notes.push(crate::dialect::overmarked(target));
    }
    if tools.specs.iter().chain(&system).chain(turns.iter().flatten()).any(|block| caching.loses(block.cache)) {
        notes.push(Note::parameter("cache_control", format!("{id} has one lifetime for what it caches"), "the hour asked for was left out"));
    }
    let thinking = think(target, request, request.sampling.max_tokens, &mut fields, notes);
    top_k(target, request, thinking, &mut fields, notes);
    Ok(Spelled { system, roles, turns, tools, fields, caching, thinking })
}

fn conversation_members(o: &mut Object<'_>, spelled: &Spelled) {
    let Spelled { system, roles, turns, tools, caching, .. } = spelled;
    o.arr("messages", |a| {
        for (role, blocks) in roles.iter().zip(turns) {
            a.obj(|m| {
                m.str("role", role);
                m.arr("content", |c| write(c, blocks, *caching));
            });
        }
    });
    if !system.is_empty() {
        o.arr("system", |a| write(a, system, *caching));
    }
    if !tools.specs.is_empty() {
        o.obj("toolConfig", |t| {
            t.arr("tools", |a| write(a, &tools.specs, *caching));
            if let Some(choice) = &tools.choice {
                t.raw("toolChoice", choice);
            }
        });
    }
}

/// Blocks, each followed by its cache point.
fn write(a: &mut Array<'_>, blocks: &[Block], caching: Caching) {
    for block in blocks {
        a.raw(&block.json);
        if let Some(point) = caching.point(block.cache) {
            a.raw(point);
        }
    }
}

/// What the client said in the maker's own words. From Anthropic's door all of it is Claude's; from other doors
/// only what is named as such.
fn extras(target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) -> Additional {
    let mut fields = Additional::default();
    if let Some(given) = request.extra.get("additionalModelRequestFields") {
        match given.read::<std::collections::BTreeMap<String, Json>>() {
            Ok(members) => members.into_iter().for_each(|(name, value)| fields.put(&name, value.as_str().to_owned())),
            Err(_) => {
                let name = "additionalModelRequestFields";
                notes.push(Note::parameter(name, format!("{}: {name} is no object", target.id), "it was left out"));
            }
        }
    }
    let native = request.extra_dialect == Some(DialectName::Anthropic) && family(&target.upstream_name) == Family::Claude;
    for (name, value) in &request.extra {
        if PASSED_ON.contains(&&**name) || &**name == "additionalModelRequestFields" {
            continue;
        }
        if native {
            fields.put(name, value.as_str().to_owned());
        } else {
            notes.push(Note::unknown(target, name));
        }
    }
    fields
}

fn additional(o: &mut Object<'_>, fields: &Additional) {
    if !fields.0.is_empty() {
        o.obj("additionalModelRequestFields", |f| fields.0.iter().for_each(|(name, json)| f.raw(name, json)));
    }
}

fn top_k(target: &Target, request: &ChatRequest, thinking: Thinking, fields: &mut Additional, notes: &mut Vec<Note>) {
    let Some(top_k) = request.sampling.top_k else { return };
    if fixed(target, thinking) {
        // Told with the other sampling parameters.
        return;
    }
    match family(&target.upstream_name) {
        Family::Claude | Family::Mistral => fields.put("top_k", top_k.to_string()),
        Family::Nova => fields.put("inferenceConfig", format!("{{\"topK\":{top_k}}}")),
        Family::Cohere => fields.put("k", top_k.to_string()),
        Family::Gpt | Family::Other | Family::Unnamed => notes.push(Note::not_taken(target, "top_k")),
    }
}

/// The model takes no sampling parameters, or not while it thinks.
fn fixed(target: &Target, thinking: Thinking) -> bool {
    thinking.on || target.model.as_ref().is_some_and(|m| m.capabilities.sampling == Capability::No)
}

fn inference(o: &mut Object<'_>, target: &Target, request: &ChatRequest, thinking: Thinking, notes: &mut Vec<Note>) {
    let id = &target.id;
    let s = &request.sampling;
    let most = target.model.as_ref().and_then(|m| m.max_output_tokens);
    let max_tokens = match (s.max_tokens, most) {
        (Some(asked), Some(most)) if asked > most => {
            notes.push(crate::dialect::shortened(target, most));
            Some(most)
        }
        (Some(asked), _) => Some(asked),
        (None, _) => {
            thinking.room(target).inspect(|room| notes.push(Note::aside(format!("{id} wants max_tokens above its thinking budget; {room} was filled in"))))
        }
    };
    let (mut temperature, mut top_p) = (s.temperature, s.top_p);
    if fixed(target, thinking) {
        if temperature.is_some() || top_p.is_some() || s.top_k.is_some() {
            let why = if thinking.on { " while it thinks" } else { "" };
            notes.extend(crate::dialect::unsampled(target, request, "temperature, top_p and top_k", why));
        }
        (temperature, top_p) = (None, None);
    } else if temperature.is_some() && top_p.is_some() && one_of_temperature_and_top_p(&target.upstream_name) {
        notes.push(Note::parameter("top_p", format!("{id} takes temperature or top_p, not both"), "top_p was left out"));
        top_p = None;
    }
    if let Some(high) = temperature.filter(|t| *t > 1.0) {
        notes.push(Note::parameter("temperature", format!("{id} takes a temperature of 1 at most"), &format!("{high} was lowered to that")));
        temperature = Some(1.0);
    }
    let stop: Vec<&str> = s.stop.iter().map(|text| text.as_str()).filter(|text| !text.trim().is_empty()).collect();
    if stop.len() < s.stop.len() {
        notes.push(Note::parameter("stop", format!("{id} takes no blank stop text"), "it was left out"));
    }
    if max_tokens.is_some() || temperature.is_some() || top_p.is_some() || !stop.is_empty() {
        o.obj("inferenceConfig", |i| {
            i.opt("maxTokens", max_tokens);
            i.opt("temperature", temperature);
            i.opt("topP", top_p);
            if !stop.is_empty() {
                i.val("stopSequences", stop);
            }
        });
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
            notes.push(Note::not_taken(target, name));
        }
    }
}

fn output(o: &mut Object<'_>, request: &ChatRequest) {
    let Output::Schema { name, description, schema, .. } = &request.output else { return };
    o.obj("outputConfig", |c| {
        c.obj("textFormat", |f| {
            f.str("type", "json_schema");
            f.obj("structure", |s| {
                s.obj("jsonSchema", |j| {
                    // The schema travels as text.
                    j.str("schema", schema.as_str());
                    j.str("name", &legal(name));
                    j.opt_str("description", description.as_deref());
                });
            });
        });
    });
}

fn tier(o: &mut Object<'_>, target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) {
    let kind = match request.service_tier.as_deref() {
        None | Some("auto") => return,
        Some(word @ ("default" | "flex" | "priority" | "reserved")) => word,
        Some("standard" | "standard_only") => "default",
        Some(other) => {
            notes.push(Note::parameter("service_tier", format!("{} has no service tier \"{other}\"", target.id), "it was left out"));
            return;
        }
    };
    o.obj("serviceTier", |t| t.str("type", kind));
}

/// Labels and the end user, for the account's own invocation log.
fn labels(o: &mut Object<'_>, target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) {
    let legal = |text: &str, least: usize| {
        (least..=256).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":_@$#=/+,-.".contains(c))
    };
    let user = request.user.as_deref().filter(|_| !request.metadata.contains_key("user")).map(|user| ("user", user));
    let all = || request.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(user);
    let kept: Vec<_> = all().filter(|(name, value)| legal(name, 1) && legal(value, 0)).take(MOST_LABELS).collect();
    if kept.len() < all().count() {
        notes.push(Note::parameter("metadata", format!("{} takes {MOST_LABELS} labels of plain characters", target.id), "the others were left out"));
    }
    if !kept.is_empty() {
        o.obj("requestMetadata", |m| kept.iter().for_each(|(name, value)| m.str(name, value)));
    }
}

fn post(target: &Target, verb: &str, body: Vec<u8>, notes: Vec<Note>) -> Result<Encoded, Fault> {
    let url = format!("{}/model/{}/{verb}", target.host.base_url, segment(&target.upstream_name));
    let accept = if verb == "converse-stream" { "application/vnd.amazon.eventstream" } else { "application/json" };
    let mut built = Request::builder().method(Method::POST).uri(url).header(header::CONTENT_TYPE, "application/json").header(header::ACCEPT, accept);
    for (name, value) in &target.host.quirks.headers {
        built = built.header(&**name, &**value);
    }
    let request = built.body(Bytes::from(body)).map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(Encoded { request, notes })
}

/// A model id as one segment of a path: ARNs hold `:` and `/`.
pub(super) fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
