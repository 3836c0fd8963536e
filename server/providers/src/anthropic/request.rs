//! Turns and blocks as Anthropic wants them.

use headworks_core::{CacheMark, ChatRequest, DialectName, Fault, MessageRole, Opaque, Part, PartKind, Source, Target};

use super::signature;
use crate::{
    dialect::missing,
    spell::{Object, array, object},
};

/// One content block, spelled but for its cache mark.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// `{"type":..` without its closing brace.
    pub json: String,
    /// How much of it counts towards the prompt.
    pub bytes: usize,
    /// Whether the prompt is to be cached up to here.
    pub cache: CacheMark,
    /// Whether a mark may stand on it: not on reasoning.
    pub markable: bool,
}

/// The whole conversation: system blocks, then turns that alternate.
pub(super) struct Conversation {
    /// System blocks.
    pub system: Vec<Block>,
    /// Who speaks in each turn.
    pub roles: Vec<&'static str>,
    /// The blocks of each turn.
    pub turns: Vec<Vec<Block>>,
}

/// A tool id or name that Anthropic accepts: letters, digits, `_` and `-`. The same input gives the same output.
pub(super) fn legal(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).take(64).collect();
    if clean.is_empty() { "_".to_owned() } else { clean }
}

fn block(part: &Part, bytes: usize, fill: impl FnOnce(&mut Object<'_>)) -> Block {
    let mut json = Vec::with_capacity(bytes + 64);
    object(&mut json, fill);
    json.pop();
    let markable = !matches!(part.kind, PartKind::Reasoning { .. });
    Block { json: String::from_utf8(json).unwrap_or_default(), bytes, cache: part.cache, markable }
}

/// Gemini's signatures are bare base64 of another kind; Anthropic's are long and come with reasoning. One that
/// rides on a tool call is never Anthropic's. `cite`: documents are to be cited.
fn spell(part: &Part, target: &Target, cite: bool, path: &str) -> Result<Option<Block>, Fault> {
    let missing = |what: &str| missing(target, path, &format!("{path}: {what}"));
    Ok(Some(match &part.kind {
        // Empty text is refused upstream.
        PartKind::Text(text) | PartKind::Refusal(text) if text.is_empty() => return Ok(None),
        PartKind::Text(text) | PartKind::Refusal(text) => block(part, text.len(), |o| {
            o.str("type", "text");
            o.str("text", text);
        }),
        PartKind::Image { source, .. } => block(part, 6_000, |o| {
            o.str("type", "image");
            o.obj("source", |s| from(s, source));
        }),
        PartKind::File { source, name } => block(part, 6_000, |o| {
            o.str("type", "document");
            o.obj("source", |s| from(s, source));
            o.opt_str("title", name.as_deref());
            if cite {
                o.raw("citations", r#"{"enabled":true}"#);
            }
        }),
        PartKind::Audio { .. } => return Err(missing("audio cannot be sent to this provider")),
        PartKind::ToolCall { id, name, arguments, .. } => block(part, name.len() + arguments.len(), |o| {
            o.str("type", "tool_use");
            o.str("id", &legal(id));
            o.str("name", &legal(name));
            o.raw("input", arguments);
        }),
        PartKind::ToolResult { id, parts, is_error, .. } => {
            let inner = parts.iter().map(|p| spell(p, target, cite, path)).collect::<Result<Vec<_>, _>>()?;
            let inner: Vec<Block> = inner.into_iter().flatten().collect();
            let bytes = inner.iter().map(|b| b.bytes).sum();
            block(part, bytes, |o| {
                o.str("type", "tool_result");
                o.str("tool_use_id", &legal(id));
                if !inner.is_empty() {
                    o.arr("content", |a| inner.iter().for_each(|b| a.raw(&format!("{}}}", b.json))));
                }
                if *is_error {
                    o.val("is_error", true);
                }
            })
        }
        // T3: what another maker signed, or nobody, cannot be replayed.
        PartKind::Reasoning { .. } if !signature::replayable(part) => return Ok(None),
        PartKind::Reasoning { redacted: Some(data), .. } => block(part, data.len(), |o| {
            o.str("type", "redacted_thinking");
            o.str("data", data);
        }),
        PartKind::Reasoning { text, signature: Some(signature), .. } => block(part, text.len(), |o| {
            o.str("type", "thinking");
            o.str("thinking", text);
            o.str("signature", signature);
        }),
        PartKind::Reasoning { .. } => return Ok(None),
        PartKind::Opaque(Opaque { dialect: DialectName::Anthropic, json, .. }) if json.as_str().starts_with('{') => {
            let text = json.as_str().trim_end();
            Block { json: text.get(..text.len().saturating_sub(1)).unwrap_or_default().to_owned(), bytes: text.len(), cache: part.cache, markable: true }
        }
        PartKind::Opaque(_) => return Ok(None),
    }))
}

fn from(o: &mut Object<'_>, source: &Source) {
    match source {
        Source::Url(url) => {
            o.str("type", "url");
            o.str("url", url);
        }
        Source::Base64 { mime, data } => {
            o.str("type", "base64");
            o.str("media_type", mime);
            o.str("data", data);
        }
        Source::FileId(id) => {
            o.str("type", "file");
            o.str("file_id", id);
        }
    }
}

/// Puts the messages into Anthropic's order: instructions apart, turns that
/// alternate, all results of a turn's tools together and before any text (T8).
pub(super) fn conversation(target: &Target, request: &ChatRequest) -> Result<Conversation, Fault> {
    let mut out = Conversation { system: Vec::new(), roles: Vec::new(), turns: Vec::new() };
    let mut waiting: Vec<String> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        let mut blocks = Vec::new();
        for part in &message.parts {
            blocks.extend(spell(part, target, request.citations, &format!("messages[{at}]"))?);
        }
        let instructions = matches!(message.role, MessageRole::System | MessageRole::Developer);
        if instructions {
            // Wherever they stand, instructions go to the top: Anthropic takes none in between.
            out.system.extend(blocks);
            continue;
        }
        let role = if message.role == MessageRole::Assistant { "assistant" } else { "user" };
        if role == "user" && !waiting.is_empty() {
            answer(&mut blocks, &mut waiting);
        }
        if role == "assistant" {
            if !waiting.is_empty() {
                let mut results = Vec::new();
                finish(&mut results, &mut waiting);
                push(&mut out, "user", results);
            }
            for part in &message.parts {
                if let PartKind::ToolCall { id, .. } = &part.kind {
                    waiting.push(legal(id));
                }
            }
        }
        // Results that come message by message still belong to one turn.
        let more_results = request.messages.get(at + 1).is_some_and(|next| next.role == MessageRole::Tool);
        if role == "user" && !more_results && !waiting.is_empty() {
            finish(&mut blocks, &mut waiting);
        }
        if !blocks.is_empty() {
            push(&mut out, role, blocks);
        }
    }
    if !waiting.is_empty() {
        let mut results = Vec::new();
        finish(&mut results, &mut waiting);
        push(&mut out, "user", results);
    }
    for turn in &mut out.turns {
        // Results first, whatever order the client said them in.
        turn.sort_by_key(|b| !b.json.contains("\"type\":\"tool_result\""));
    }
    if out.turns.is_empty() {
        return Err(Fault::invalid("messages", format!("{} needs at least one message that is no instruction", target.id)).at(&target.id));
    }
    Ok(out)
}

fn answer(blocks: &mut [Block], waiting: &mut Vec<String>) {
    waiting.retain(|id| !blocks.iter().any(|b| b.json.contains(&format!("\"tool_use_id\":\"{id}\""))));
}

/// A call without a result gets one that says so: Anthropic refuses a turn that leaves one open.
fn finish(blocks: &mut Vec<Block>, waiting: &mut Vec<String>) {
    for id in waiting.drain(..) {
        let json = format!("{{\"type\":\"tool_result\",\"tool_use_id\":\"{id}\",\"is_error\":true,\"content\":\"no result was given\"");
        blocks.push(Block { bytes: json.len(), json, cache: CacheMark::None, markable: true });
    }
}

fn push(out: &mut Conversation, role: &'static str, blocks: Vec<Block>) {
    if let (Some(last), Some(turn)) = (out.roles.last(), out.turns.last_mut())
        && *last == role
    {
        turn.extend(blocks);
        return;
    }
    out.roles.push(role);
    out.turns.push(blocks);
}

/// Writes blocks with their marks.
pub(super) fn write(out: &mut Vec<u8>, blocks: &[Block]) {
    array(out, |a| {
        for block in blocks {
            let mark = control(block.cache).map(|c| format!(",\"cache_control\":{c}")).unwrap_or_default();
            a.raw(&format!("{}{mark}}}", block.json));
        }
    });
}

/// `cache_control` of a mark.
pub(super) const fn control(mark: CacheMark) -> Option<&'static str> {
    match mark {
        CacheMark::None => None,
        CacheMark::Default => Some(r#"{"type":"ephemeral"}"#),
        CacheMark::FiveMinutes => Some(r#"{"type":"ephemeral","ttl":"5m"}"#),
        CacheMark::OneHour => Some(r#"{"type":"ephemeral","ttl":"1h"}"#),
    }
}
