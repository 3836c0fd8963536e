//! Writes an answer as one of Anthropic's messages.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, ChatRequest, DialectName, EventKind, Fault, FinishReason, Json, Reason, Receipt, Str, Tokens};

use super::{error, incoming::Kind};
use crate::{
    ErrorFace, Writer,
    facts::facts,
    spell::{Array, Object, object},
};

/// What an answer holds, which decides how its end is told.
#[derive(Clone, Copy, Default)]
pub(super) struct Held {
    /// Text or a call.
    pub content: bool,
    /// A call.
    pub calls: bool,
    /// The model refused, in words.
    pub refused: bool,
}

/// Anthropic's word for the end. It has none for an answer that the provider calls failed, or ends for a reason that
/// nobody knows yet: what has content is delivered (F5), and `headworks.finish` says so; what has none is an error.
pub(super) fn stop_word(reason: FinishReason, held: Held) -> Result<&'static str, Fault> {
    let refused = held.refused;
    match reason {
        FinishReason::Error if held.calls => Ok("tool_use"),
        FinishReason::Error if held.content => Ok("end_turn"),
        FinishReason::Stop if refused => Ok("refusal"),
        FinishReason::Stop => Ok("end_turn"),
        FinishReason::Length => Ok("max_tokens"),
        FinishReason::ToolCalls => Ok("tool_use"),
        FinishReason::ContentFilter => Ok("refusal"),
        FinishReason::Error => {
            let mut fault = Fault::new(Reason::StreamBroken, "the answer broke off: the provider says that it failed, and it holds nothing");
            // It was made, and is paid for: trying again is the caller's choice.
            fault.attempts = 1;
            Err(fault)
        }
    }
}

/// The answer's id in the form that clients know.
pub(super) fn message_id(id: &str) -> String {
    if id.starts_with("msg_") {
        return id.to_owned();
    }
    let plain: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-').collect();
    format!("msg_{}", if plain.is_empty() { "headworks" } else { &plain })
}

/// `usage` in Anthropic's form: the kinds are disjoint.
pub(super) fn usage(o: &mut Object<'_>, t: &Tokens, tier: Option<&str>) {
    o.val("input_tokens", t.prompt() - t.cache_write() - t.cache_read - t.cache_read_audio);
    o.val("cache_creation_input_tokens", t.cache_write());
    o.val("cache_read_input_tokens", t.cache_read + t.cache_read_audio);
    if t.cache_write() > 0 {
        o.obj("cache_creation", |c| {
            c.val("ephemeral_5m_input_tokens", t.cache_write_5m);
            c.val("ephemeral_1h_input_tokens", t.cache_write_1h + t.cache_write_12h);
        });
    }
    o.val("output_tokens", t.completion());
    if t.reasoning > 0 {
        o.obj("output_tokens_details", |d| d.val("thinking_tokens", t.reasoning));
    }
    o.opt_str("service_tier", tier);
}

/// `,"cost":..` put into a `usage` object that is written already; unchanged where there is no cost to tell.
pub(super) fn with_cost(usage: &str, receipt: &Receipt) -> String {
    match usage.trim_end().strip_suffix('}') {
        Some(open) if receipt.cost_known => {
            let comma = if open.trim_end().ends_with('{') { "" } else { "," };
            format!("{open}{comma}\"cost\":{}}}", receipt.cost)
        }
        _ => usage.to_owned(),
    }
}

/// Whether something that a provider ran itself is a block that Anthropic's clients know.
pub(super) fn is_block(json: &Json) -> bool {
    let kind = json.read::<Kind<'_>>().ok().and_then(|k| k.kind);
    kind.is_some_and(|kind| matches!(&*kind, "server_tool_use" | "mcp_tool_use" | "container_upload") || kind.ends_with("_tool_result"))
}

/// One content block, as it adds up.
enum Block {
    Text { text: String, citations: Vec<Json> },
    Thinking { text: String, signature: String },
    Redacted(Str),
    Call { index: u32, id: Str, name: Str, arguments: String, signature: Option<Str> },
    Hosted(Json),
}

impl Block {
    fn write(&self, blocks: &mut Array<'_>) {
        blocks.obj(|o| match self {
            Block::Text { text, citations } => {
                o.str("type", "text");
                o.str("text", text);
                if !citations.is_empty() {
                    o.arr("citations", |a| citations.iter().for_each(|c| a.raw(c.as_str())));
                }
            }
            Block::Thinking { text, signature } => {
                o.str("type", "thinking");
                o.str("thinking", text);
                o.str("signature", signature);
            }
            Block::Redacted(data) => {
                o.str("type", "redacted_thinking");
                o.str("data", data);
            }
            Block::Call { id, name, arguments, signature, .. } => {
                o.str("type", "tool_use");
                o.str("id", id);
                o.str("name", name);
                let whole = arguments.trim();
                match serde_json::from_str::<&serde_json::value::RawValue>(whole) {
                    Ok(raw) if raw.get().starts_with('{') => o.raw("input", raw.get()),
                    _ if matches!(whole, "" | "null") => o.raw("input", "{}"),
                    // What the model wrote is no object; the form that Anthropic proposes for it keeps all of it.
                    _ => o.obj("input", |i| i.str("INVALID_JSON", arguments)),
                }
                o.opt_str("signature", signature.as_deref());
            }
            Block::Hosted(_) => {}
        });
    }
}

/// Writes one JSON body at the end.
pub(super) struct Unary {
    asked: Arc<str>,
    thinks: bool,
    id: Str,
    model: Str,
    blocks: Vec<Block>,
    finish: FinishReason,
    held: Held,
    tier: Option<Str>,
    original: Option<Bytes>,
}

impl Unary {
    pub(super) fn new(request: &ChatRequest) -> Self {
        Self {
            asked: request.model.clone(),
            thinks: thinks(request),
            id: Str::default(),
            model: Str::default(),
            blocks: Vec::new(),
            finish: FinishReason::Stop,
            held: Held::default(),
            tier: None,
            original: None,
        }
    }

    fn add(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Started { id, model, .. } => {
                self.id = id.clone().unwrap_or_default();
                self.model = model.clone().unwrap_or_default();
            }
            EventKind::Text(piece) | EventKind::Refusal(piece) => {
                self.held.refused |= matches!(kind, EventKind::Refusal(_));
                self.held.content |= !piece.is_empty();
                match self.blocks.last_mut() {
                    Some(Block::Text { text, citations }) if citations.is_empty() => text.push_str(piece),
                    _ => self.blocks.push(Block::Text { text: piece.to_string(), citations: Vec::new() }),
                }
            }
            EventKind::Reasoning(piece) => match self.blocks.last_mut() {
                Some(Block::Thinking { text, signature }) if signature.is_empty() => text.push_str(piece),
                _ => self.blocks.push(Block::Thinking { text: piece.to_string(), signature: String::new() }),
            },
            EventKind::ReasoningSignature(signed) => match self.blocks.last_mut() {
                Some(Block::Thinking { signature, .. }) if signature.is_empty() => signature.push_str(signed),
                _ if self.thinks => self.blocks.push(Block::Thinking { text: String::new(), signature: signed.to_string() }),
                _ => {}
            },
            EventKind::RedactedReasoning(data) => self.blocks.push(Block::Redacted(data.clone())),
            EventKind::ToolCallStart { index, id, name, signature } => {
                (self.held.content, self.held.calls) = (true, true);
                let call = Block::Call { index: *index, id: id.clone(), name: name.clone(), arguments: String::new(), signature: signature.clone() };
                self.blocks.push(call);
            }
            EventKind::ToolCallArguments { index, piece } => {
                let call = self.blocks.iter_mut().find_map(|block| match block {
                    Block::Call { index: own, arguments, .. } if own == index => Some(arguments),
                    _ => None,
                });
                if let Some(arguments) = call {
                    arguments.push_str(piece);
                }
            }
            EventKind::Hosted(json) if is_block(json) => self.blocks.push(Block::Hosted(json.clone())),
            EventKind::Opaque { dialect: DialectName::Anthropic, name, json } => {
                if let Some(Block::Text { citations, .. }) = self.blocks.last_mut() {
                    match &**name {
                        "citations" => citations.extend(json.read::<Vec<Json>>().unwrap_or_default()),
                        "citation" => citations.push(json.clone()),
                        _ => {}
                    }
                }
            }
            EventKind::Usage { service_tier, .. } => self.tier = service_tier.clone().or(self.tier.take()),
            EventKind::Finished(reason) => self.finish = *reason,
            _ => {}
        }
    }

    /// The upstream's own body with the cost and our facts put in.
    fn splice(body: &Bytes, receipt: &Receipt) -> Option<Vec<u8>> {
        let members = crate::members(body).ok()?;
        let mut out = Vec::with_capacity(body.len() + 512);
        object(&mut out, |o| {
            for member in &members {
                let value = body.get(member.value.clone()).and_then(|v| std::str::from_utf8(v).ok()).unwrap_or("null");
                match &*member.name {
                    "headworks" => {}
                    "usage" => o.raw("usage", &with_cost(value, receipt)),
                    name => o.raw(name, value),
                }
            }
            o.obj("headworks", |h| facts(h, receipt));
        });
        Some(out)
    }

    fn whole(&self, receipt: &Receipt, stop: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        object(&mut out, |o| {
            let id = if self.id.is_empty() { receipt.request_id.trim_start_matches("req_") } else { &self.id };
            o.str("id", &message_id(id));
            o.str("type", "message");
            o.str("role", "assistant");
            o.str("model", if self.model.is_empty() { &self.asked } else { &self.model });
            o.arr("content", |a| {
                for block in &self.blocks {
                    match block {
                        Block::Hosted(json) => a.raw(json.as_str()),
                        block => block.write(a),
                    }
                }
            });
            o.str("stop_reason", stop);
            o.raw("stop_sequence", "null");
            let mut counts = Vec::new();
            object(&mut counts, |u| usage(u, &receipt.tokens, self.tier.as_deref()));
            o.raw("usage", &with_cost(std::str::from_utf8(&counts).unwrap_or("{}"), receipt));
            o.obj("headworks", |h| told(h, receipt, self.finish));
        });
        out
    }
}

/// What the gateway has to say, and the end that Anthropic has no word for.
pub(super) fn told(o: &mut Object<'_>, receipt: &Receipt, finish: FinishReason) {
    facts(o, receipt);
    if finish == FinishReason::Error {
        o.str("finish", "error");
    }
}

/// Whether the client asked to see what the model thinks.
pub(super) fn thinks(request: &ChatRequest) -> bool {
    let r = &request.reasoning;
    r.include == Some(true) || r.budget_tokens.is_some_and(|n| n > 0) || r.effort.is_some_and(|e| e != headworks_core::Effort::None)
}

impl Writer for Unary {
    fn push(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Fault> {
        if let (Some(DialectName::Anthropic), [frame]) = (batch.dialect, &batch.frames[..])
            && !frame.bytes.is_empty()
        {
            self.original = Some(frame.bytes.clone());
        }
        for event in &batch.events {
            let EventKind::Receipt(receipt) = &event.kind else {
                if event.choice == 0 {
                    self.add(&event.kind);
                }
                continue;
            };
            let stop = stop_word(self.finish, self.held)?;
            let body = self.original.take().and_then(|body| Self::splice(&body, receipt)).unwrap_or_else(|| self.whole(receipt, stop));
            out.extend_from_slice(&body);
        }
        Ok(())
    }

    fn fault(&mut self, fault: &Fault, face: &ErrorFace, out: &mut BytesMut) {
        out.extend_from_slice(&error::body(fault, face));
    }

    fn keep_alive(&self) -> Bytes {
        Bytes::new()
    }
}
