//! Turns and blocks as Converse wants them.

use base64::{Engine, engine::general_purpose::STANDARD};
use headworks_core::{CacheMark, ChatRequest, DialectName, Fault, LossKind, MessageRole, Opaque, Part, PartKind, Target};

use super::{
    media::{Media, Names, sound},
    model::{Family, family, takes_system},
};
use crate::{
    Note,
    dialect::missing,
    spell::{Object, object},
};

/// One content block, spelled.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The block.
    pub json: String,
    /// How much of it counts towards the prompt.
    pub bytes: usize,
    /// Whether the prompt is to be cached up to here.
    pub cache: CacheMark,
    /// Whether a mark may stand after it: not after reasoning.
    pub markable: bool,
    /// What it is, as far as the order of blocks depends on it.
    pub kind: Kind,
}

/// The kinds of blocks that the order depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A document by its name: its turn needs text beside it.
    Document(String),
    /// The result of the call with this id.
    Result(String),
    /// A call with this id.
    Call(String),
    /// Anything else.
    Other,
}

/// One turn.
#[derive(Debug)]
pub(super) struct Turn {
    /// `user` or `assistant`.
    pub role: &'static str,
    /// What is said.
    pub blocks: Vec<Block>,
}

/// The whole conversation: system blocks, then turns that alternate.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Instructions.
    pub system: Vec<Block>,
    /// Turns.
    pub turns: Vec<Turn>,
}

/// A tool's name that Converse accepts: letters, digits, `_` and `-`, at most 64. The same input gives the same output.
pub(super) fn legal(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect();
    if clean.is_empty() {
        return "_".to_owned();
    }
    if clean.len() <= 64 {
        return clean;
    }
    // Long ones may differ only at their ends: FNV-1a tells them apart.
    let hash = clean.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{}_{hash:016x}", clean.get(..47).unwrap_or_default())
}

impl Block {
    pub(super) fn new(kind: Kind, bytes: usize, cache: CacheMark, fill: impl FnOnce(&mut Object<'_>)) -> Self {
        let mut json = Vec::with_capacity(bytes + 64);
        object(&mut json, fill);
        Self { json: String::from_utf8(json).unwrap_or_default(), bytes, cache, markable: true, kind }
    }

    /// Text.
    pub(super) fn text(text: &str, cache: CacheMark) -> Self {
        Self::new(Kind::Text, text.len(), cache, |o| o.str("text", text))
    }
}

struct Speller<'a> {
    target: &'a Target,
    family: Family,
    names: Names,
    /// Documents are to be cited.
    cite: bool,
    notes: &'a mut Vec<Note>,
}

/// Bytes of a prompt that a picture or page counts as: about a thousand tokens.
const MEDIA_BYTES: usize = 6_000;

impl Speller<'_> {
    fn part(&mut self, part: &Part, path: &str) -> Result<Option<Block>, Fault> {
        let id = &self.target.id;
        let missing = |what: String| missing(self.target, path, &format!("{path}: {what}"));
        Ok(Some(match &part.kind {
            // Blank text is refused upstream.
            PartKind::Text(text) | PartKind::Refusal(text) if text.trim().is_empty() => return Ok(None),
            PartKind::Text(text) | PartKind::Refusal(text) => Block::text(text, part.cache),
            PartKind::Image { source, .. } => {
                let media = Media::of(source, None, false).map_err(missing)?;
                Block::new(Kind::Other, MEDIA_BYTES, part.cache, |o| o.obj(media.block, |b| media.write(b)))
            }
            PartKind::File { source, name } => {
                let media = Media::of(source, name.as_deref(), true).map_err(missing)?;
                let name = (media.block == "document").then(|| self.names.legal(name.as_deref()));
                let kind = name.clone().map_or(Kind::Other, Kind::Document);
                Block::new(kind, MEDIA_BYTES, part.cache, |o| {
                    o.obj(media.block, |b| {
                        b.opt_str("name", name.as_deref());
                        media.write(b);
                        if self.cite && media.block == "document" {
                            b.raw("citations", r#"{"enabled":true}"#);
                        }
                    });
                })
            }
            PartKind::Audio { data, format } => {
                let format = sound(format).ok_or_else(|| missing(format!("the sound format \"{format}\" is not taken")))?;
                Block::new(Kind::Other, MEDIA_BYTES, part.cache, |o| {
                    o.obj("audio", |a| {
                        a.str("format", format);
                        a.obj("source", |s| s.str("bytes", data));
                    });
                })
            }
            PartKind::ToolCall { id, name, arguments, .. } => Block::new(Kind::Call(legal(id)), name.len() + arguments.len(), part.cache, |o| {
                o.obj("toolUse", |t| {
                    t.str("toolUseId", &legal(id));
                    t.str("name", &legal(name));
                    t.raw("input", arguments);
                });
            }),
            PartKind::ToolResult { id, parts, is_error, .. } => {
                let mut inner = Vec::new();
                for part in parts {
                    inner.extend(self.part(part, path)?);
                }
                let bytes = inner.iter().map(|b| b.bytes).sum();
                let cache = inner.iter().map(|b| b.cache).fold(part.cache, |cache, mark| if mark == CacheMark::None { cache } else { mark });
                result(&legal(id), *is_error, &inner, bytes, cache)
            }
            PartKind::Reasoning { redacted: Some(data), .. } if self.replays(data) => {
                // Converse carries the issuer's text as bytes; where it came from Bedrock unread, it is base64 already.
                let blob = if crate::gemini::is_anthropic(data) { STANDARD.encode(data.as_bytes()) } else { data.to_string() };
                let block = Block::new(Kind::Other, data.len(), CacheMark::None, |o| o.obj("reasoningContent", |r| r.str("redactedContent", &blob)));
                Block { markable: false, ..block }
            }
            PartKind::Reasoning { text, signature: Some(signature), redacted: None } if self.replays(signature) => {
                let block = Block::new(Kind::Other, text.len(), CacheMark::None, |o| {
                    o.obj("reasoningContent", |r| {
                        r.obj("reasoningText", |t| {
                            t.str("text", text);
                            t.str("signature", signature);
                        });
                    });
                });
                Block { markable: false, ..block }
            }
            // T3: unsigned, or signed by somebody else: nobody here could replay it.
            PartKind::Reasoning { .. } => return Ok(None),
            PartKind::Opaque(Opaque { dialect: DialectName::Bedrock, json, .. }) if json.as_str().starts_with('{') => {
                Block { json: json.as_str().to_owned(), bytes: json.as_str().len(), cache: part.cache, markable: true, kind: Kind::Other }
            }
            PartKind::Opaque(Opaque { dialect, .. }) => {
                let cause = format!("{id} does not know a block at {path} that only the dialect \"{}\" has", dialect.as_str());
                self.notes.push(Note::lost(LossKind::Part, [path], cause, "it was left out"));
                return Ok(None);
            }
        }))
    }

    /// Whether reasoning signed so may be shown to this model: Anthropic's to Claude, wherever it was issued (T3).
    fn replays(&self, signature: &str) -> bool {
        matches!(self.family, Family::Claude | Family::Unnamed) && (crate::gemini::is_anthropic(signature) || wrapped(signature))
    }
}

/// Redacted reasoning as Bedrock sent it, where its inside could not be read as Anthropic's own text.
fn wrapped(data: &str) -> bool {
    STANDARD.decode(data).is_ok_and(|inner| std::str::from_utf8(&inner).is_ok_and(crate::gemini::is_anthropic))
}

/// A tool's result.
fn result(id: &str, is_error: bool, inner: &[Block], bytes: usize, cache: CacheMark) -> Block {
    Block::new(Kind::Result(id.to_owned()), bytes, cache, |o| {
        o.obj("toolResult", |t| {
            t.str("toolUseId", id);
            t.arr("content", |a| inner.iter().for_each(|b| a.raw(&b.json)));
            if is_error {
                t.str("status", "error");
            }
        });
    })
}

/// Puts the messages into Converse's order: instructions apart, turns that alternate, all results of a turn's
/// calls together and before any text (T8), a call without a result answered by an error.
pub(super) fn conversation(target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) -> Result<Conversation, Fault> {
    let mut speller = Speller { target, family: family(&target.upstream_name), names: Names::default(), cite: request.citations, notes };
    let mut out = Conversation::default();
    let mut open: Vec<String> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let mut blocks = Vec::new();
        for part in &message.parts {
            blocks.extend(speller.part(part, &path)?);
        }
        if matches!(message.role, MessageRole::System | MessageRole::Developer) {
            if let Some(bad) = blocks.iter().find(|b| b.kind != Kind::Text) {
                let what = format!("{path}: instructions can only be text, and this is {}", bad.json.get(..40).unwrap_or(&bad.json));
                return Err(missing(target, &path, &what));
            }
            // Wherever they stand, instructions go to the top: Converse takes none in between.
            out.system.extend(blocks);
            continue;
        }
        let role = if message.role == MessageRole::Assistant { "assistant" } else { "user" };
        if role == "user" {
            open.retain(|id| !blocks.iter().any(|b| b.kind == Kind::Result(id.clone())));
            // Results that come message by message still belong to one turn.
            if request.messages.get(at + 1).is_none_or(|next| next.role != MessageRole::Tool) {
                close(&mut blocks, &mut open);
            }
        } else {
            let mut results = Vec::new();
            close(&mut results, &mut open);
            push(&mut out.turns, "user", results);
            open.extend(blocks.iter().filter_map(|b| if let Kind::Call(id) = &b.kind { Some(id.clone()) } else { None }));
        }
        push(&mut out.turns, role, blocks);
    }
    let mut results = Vec::new();
    close(&mut results, &mut open);
    push(&mut out.turns, "user", results);
    if out.turns.is_empty() {
        return Err(Fault::invalid("messages", format!("{} needs at least one message that is no instruction and not blank", target.id)).at(&target.id));
    }
    arrange(target, &mut out, speller.notes);
    Ok(out)
}

fn arrange(target: &Target, out: &mut Conversation, notes: &mut Vec<Note>) {
    for turn in &mut out.turns {
        // Results first, whatever order the client said them in.
        turn.blocks.sort_by_key(|b| !matches!(b.kind, Kind::Result(_)));
        // A document needs text beside it.
        let name = turn.blocks.iter().find_map(|b| if let Kind::Document(name) = &b.kind { Some(name.clone()) } else { None });
        if let Some(name) = name.filter(|_| !turn.blocks.iter().any(|b| b.kind == Kind::Text)) {
            notes.push(Note::aside(format!("{} wants text beside a document; its name was put there", target.id)));
            turn.blocks.push(Block::text(&name, CacheMark::None));
        }
    }
    if !out.system.is_empty()
        && !takes_system(&target.upstream_name)
        && let Some(first) = out.turns.first_mut().filter(|turn| turn.role == "user")
    {
        notes.push(Note::aside(format!("{} takes no instructions apart; they were put before the first message", target.id)));
        first.blocks.splice(0..0, out.system.drain(..));
    }
}

/// A call without a result gets one that says so: a turn that leaves one open is refused.
fn close(blocks: &mut Vec<Block>, open: &mut Vec<String>) {
    for id in open.drain(..) {
        let said = Block::text("no result was given", CacheMark::None);
        blocks.push(result(&id, true, &[said], 0, CacheMark::None));
    }
}

fn push(turns: &mut Vec<Turn>, role: &'static str, blocks: Vec<Block>) {
    if blocks.is_empty() {
        return;
    }
    match turns.last_mut() {
        Some(last) if last.role == role => last.blocks.extend(blocks),
        _ => turns.push(Turn { role, blocks }),
    }
}
