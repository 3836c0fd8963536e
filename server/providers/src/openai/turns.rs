//! Spells a conversation as chat messages, by the host's rules of order.

use std::{borrow::Cow, collections::HashMap};

use headworks_core::{Capability, ChatRequest, DialectName, Message, MessageRole, Opaque, Part, PartKind, Source, Target};
use serde_json::value::RawValue;

use super::ways;
use crate::{
    Note,
    spell::{Array, Object},
};

/// Stands between a tool's result and the user where a host wants the assistant there.
const BRIDGE: &str = "OK.";

/// All messages of a request.
pub(super) fn messages(out: &mut Array<'_>, target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) {
    let quirks = &target.host.quirks;
    let joined = if quirks.alternate { Cow::Owned(take_turns(&request.messages)) } else { Cow::Borrowed(request.messages.as_slice()) };
    let mut turns = Turns { target, names: HashMap::new(), after_tool: false, bridged: false };
    let last = joined.len().saturating_sub(1);
    // The client's own messages, one for each of ours unless some were joined.
    let own = own_messages(request).filter(|own| own.len() == joined.len()).unwrap_or_default();
    for (at, message) in joined.iter().enumerate() {
        turns.message(out, message, own.get(at).copied(), at == last);
    }
    if turns.bridged {
        notes.push(Note::aside(format!("{} wants the assistant after a tool; \"{BRIDGE}\" was put between", target.id)));
    }
}

/// Members of a message that are spelled here; others are passed on as the client wrote them.
const SPELLED: [&str; 10] = ["role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "thinking_blocks", "cache_control", "prefix"];

fn own_messages(request: &ChatRequest) -> Option<Vec<&RawValue>> {
    let original = request.original.as_ref().filter(|original| original.dialect == DialectName::OpenAi)?;
    let member = original.members.iter().rfind(|m| &*m.name == "messages")?;
    serde_json::from_slice(original.body.get(member.value.clone())?).ok()
}

/// What the client said in a message and we have no word for (T12).
fn rest_of(o: &mut Object<'_>, own: Option<&RawValue>, spelled: &[&str]) {
    let Some(own) = own else { return };
    for member in crate::members(own.get().as_bytes()).unwrap_or_default() {
        if SPELLED.contains(&&*member.name) || spelled.contains(&&*member.name) {
            continue;
        }
        if let Some(value) = own.get().get(member.value) {
            o.raw(&member.name, value);
        }
    }
}

/// Neighbours of one role become one message.
fn take_turns(messages: &[Message]) -> Vec<Message> {
    let mut joined: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        match joined.last_mut().filter(|last| last.role == message.role) {
            Some(last) => {
                if !last.parts.is_empty() && !message.parts.is_empty() {
                    last.parts.push(Part::text("\n\n"));
                }
                last.parts.extend(message.parts.iter().cloned());
            }
            None => joined.push(message.clone()),
        }
    }
    joined
}

struct Turns<'a> {
    target: &'a Target,
    /// The tool of a call, by the call's id.
    names: HashMap<&'a str, &'a str>,
    /// A tool's result was the last message.
    after_tool: bool,
    bridged: bool,
}

impl<'a> Turns<'a> {
    fn message<'m: 'a>(&mut self, messages: &mut Array<'_>, message: &'m Message, own: Option<&RawValue>, last: bool) {
        let quirks = &self.target.host.quirks;
        // A tool's results are messages of their own here, one per call.
        let (results, rest): (Vec<&Part>, Vec<&Part>) = message.parts.iter().partition(|p| matches!(p.kind, PartKind::ToolResult { .. }));
        for part in &results {
            if let PartKind::ToolResult { id, name, parts, .. } = &part.kind {
                messages.obj(|o| {
                    o.str("role", "tool");
                    o.str("tool_call_id", &self.id(id));
                    if quirks.tool_names {
                        o.opt_str("name", name.as_deref().or_else(|| self.names.get(id.as_str()).copied()));
                    }
                    content(o, &parts.iter().collect::<Vec<_>>(), self.target);
                    if message.parts.len() == 1 {
                        rest_of(o, own, &[]);
                    }
                });
                self.after_tool = true;
            }
        }
        if rest.is_empty() && !results.is_empty() {
            return;
        }
        let role = match message.role {
            MessageRole::Developer if quirks.developer_role => "developer",
            MessageRole::System | MessageRole::Developer => "system",
            MessageRole::User | MessageRole::Tool => "user",
            MessageRole::Assistant => "assistant",
        };
        if std::mem::take(&mut self.after_tool) && role == "user" && quirks.assistant_after_tool {
            messages.obj(|o| {
                o.str("role", "assistant");
                o.str("content", BRIDGE);
            });
            self.bridged = true;
        }
        let calls: Vec<&Part> = rest.iter().copied().filter(|p| matches!(p.kind, PartKind::ToolCall { .. })).collect();
        for part in &calls {
            if let PartKind::ToolCall { id, name, .. } = &part.kind {
                self.names.insert(id, name);
            }
        }
        messages.obj(|o| {
            o.str("role", role);
            if !quirks.no_names {
                o.opt_str("name", message.name.as_deref());
            }
            let said: Vec<&Part> = rest
                .iter()
                .copied()
                .filter(|p| matches!(p.kind, PartKind::Text(_) | PartKind::Image { .. } | PartKind::File { .. } | PartKind::Audio { .. } | PartKind::Opaque(_)))
                .collect();
            let thought = if message.role == MessageRole::Assistant { unsigned(&rest) } else { String::new() };
            let can_think = self.target.model.as_ref().is_some_and(|m| m.capabilities.reasoning == Capability::Yes);
            if quirks.thinking_parts && can_think && !thought.is_empty() {
                o.arr("content", |a| {
                    a.obj(|t| {
                        t.str("type", "thinking");
                        t.arr("thinking", |a| {
                            a.obj(|p| {
                                p.str("type", "text");
                                p.str("text", &thought);
                            });
                        });
                    });
                    said.iter().for_each(|p| piece(a, &p.kind, self.target));
                });
            } else if said.is_empty() && message.role == MessageRole::Assistant {
                o.raw("content", if calls.is_empty() { "\"\"" } else { "null" });
            } else {
                content(o, &said, self.target);
            }
            for part in &rest {
                if let PartKind::Refusal(text) = &part.kind {
                    o.str("refusal", text);
                }
            }
            let parted = quirks.thinking_parts && can_think && !thought.is_empty();
            let mut written: &[&str] = if parted { &["reasoning_content"] } else { &[] };
            if quirks.echo_reasoning && !thought.is_empty() {
                o.str(&quirks.reasoning_field, &thought);
                written = &["reasoning_content"];
            } else if !calls.is_empty() && ways::wants_reasoning(self.target) {
                // Such a call without any is refused; of another model's call there is none to send.
                o.str(&quirks.reasoning_field, " ");
                written = &["reasoning_content"];
            }
            if !calls.is_empty() {
                o.arr("tool_calls", |a| calls.iter().for_each(|part| self.call(a, &part.kind)));
            }
            if quirks.assistant_prefix && last && role == "assistant" && calls.is_empty() {
                o.val("prefix", true);
            }
            if message.role == MessageRole::Assistant || results.is_empty() {
                rest_of(o, own, written);
            }
        });
    }

    fn call(&self, calls: &mut Array<'_>, kind: &PartKind) {
        let PartKind::ToolCall { id, name, arguments, .. } = kind else { return };
        calls.obj(|o| {
            o.str("id", &self.id(id));
            o.str("type", "function");
            o.obj("function", |f| {
                f.str("name", name);
                f.str("arguments", arguments);
            });
        });
    }

    /// A call's id as the host takes it. The same id always becomes the same.
    fn id<'i>(&self, id: &'i str) -> Cow<'i, str> {
        if !self.target.host.quirks.short_call_ids || ways::is_short(id) {
            return Cow::Borrowed(id);
        }
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        // FNV-1a.
        let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let nine = (0..9).map(|_| {
            let digit = DIGITS.get((hash % 62) as usize).copied().unwrap_or(b'0');
            hash /= 62;
            char::from(digit)
        });
        Cow::Owned(nine.collect())
    }
}

/// Reasoning that can be read and that no other maker signed (T3).
fn unsigned(parts: &[&Part]) -> String {
    let texts = parts.iter().filter_map(|p| match &p.kind {
        PartKind::Reasoning { text, signature: None, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn content(o: &mut Object<'_>, parts: &[&Part], target: &Target) {
    let texts: Option<Vec<&str>> = parts.iter().map(|p| if let PartKind::Text(t) = &p.kind { Some(t.as_str()) } else { None }).collect();
    match texts.as_deref() {
        Some([]) => o.str("content", ""),
        Some([one]) => o.str("content", one),
        Some(many) if target.host.quirks.plain_text_content => o.str("content", &many.concat()),
        _ => o.arr("content", |a| parts.iter().for_each(|p| piece(a, &p.kind, target))),
    }
}

fn piece(pieces: &mut Array<'_>, kind: &PartKind, target: &Target) {
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
        PartKind::File { source: Source::Url(url), name } if target.host.quirks.document_parts => pieces.obj(|o| {
            o.str("type", "document_url");
            o.str("document_url", url);
            o.opt_str("document_name", name.as_deref());
        }),
        PartKind::Opaque(Opaque { dialect: DialectName::OpenAi, json, .. }) => pieces.raw(json.as_str()),
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
