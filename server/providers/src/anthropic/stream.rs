//! Writes an answer as the events of Anthropic's stream.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, ChatRequest, DialectName, Event, EventKind, Fault, FinishReason, Receipt, Str, Tokens};
use serde::Deserialize;

use super::{
    error,
    incoming::Kind as Typed,
    writer::{Held, is_block, message_id, stop_word, thinks, told, usage, with_cost},
};
use crate::{
    ErrorFace, Writer, estimate,
    spell::{Object, object},
};

/// What a block is.
enum Kind {
    Text,
    Thinking,
    /// Our index of the call, and its arguments so far.
    Call(u32, String),
    /// Only the upstream's own frames speak of it.
    Other,
}

/// A block that has begun and not ended.
struct Open {
    index: u32,
    kind: Kind,
}

impl Open {
    /// Nothing more can come for it.
    fn is_complete(&self) -> bool {
        match &self.kind {
            Kind::Call(_, arguments) => serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok(),
            Kind::Text | Kind::Thinking | Kind::Other => true,
        }
    }
}

/// Writes server-sent events.
pub(super) struct Streamed {
    asked: Arc<str>,
    thinks: bool,
    /// Our guess at the input, for the first event where the upstream counts only at the end (A13).
    guess: i64,
    begun: bool,
    id: Str,
    model: Str,
    tokens: Tokens,
    tier: Option<Str>,
    open: Vec<Open>,
    next: u32,
    calls: u32,
    /// The upstream's frames may be passed on: no block of our own stands between them.
    relay: bool,
    /// The upstream's own `message_delta`, kept until the cost is known.
    delta: Option<Bytes>,
    finish: FinishReason,
    held: Held,
}

/// The parts of a frame that tell which block it begins or ends.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    content_block: Option<Typed<'a>>,
}

impl Streamed {
    pub(super) fn new(request: &ChatRequest) -> Self {
        Self {
            asked: request.model.clone(),
            thinks: thinks(request),
            guess: estimate::input_tokens(request),
            begun: false,
            id: Str::default(),
            model: Str::default(),
            tokens: Tokens::default(),
            tier: None,
            open: Vec::new(),
            next: 0,
            calls: 0,
            relay: true,
            delta: None,
            finish: FinishReason::Stop,
            held: Held::default(),
        }
    }

    fn learn(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Started { id, model, .. } => {
                // Copied: a piece of the upstream's first read would keep all of it in memory for as long as the stream lasts.
                self.id = id.as_deref().map(Str::from).unwrap_or_default();
                self.model = model.as_deref().map(Str::from).unwrap_or_default();
            }
            EventKind::Usage { tokens, service_tier } => {
                self.tokens = *tokens;
                self.tier = service_tier.as_deref().map(Str::from).or(self.tier.take());
            }
            EventKind::Finished(reason) => self.finish = *reason,
            _ => {}
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let mut tokens = self.tokens;
        let guessed = tokens.prompt() == 0;
        if guessed {
            tokens.input = self.guess;
        }
        event(out, "message_start", |o| {
            o.obj("message", |m| {
                m.str("id", &message_id(&self.id));
                m.str("type", "message");
                m.str("role", "assistant");
                m.str("model", if self.model.is_empty() { &self.asked } else { &self.model });
                m.raw("content", "[]");
                m.raw("stop_reason", "null");
                m.raw("stop_sequence", "null");
                m.obj("usage", |u| usage(u, &tokens, self.tier.as_deref()));
            });
            // A13: most hosts count at the end alone. The count at the end replaces the guess.
            if guessed {
                o.obj("headworks", |h| h.val("input_tokens_estimated", true));
            }
        });
    }

    /// Begins a block of ours, after ending those that are complete.
    fn start(&mut self, kind: Kind, out: &mut Vec<u8>, block: impl FnOnce(&mut Object<'_>)) -> u32 {
        self.begin(out);
        self.relay = false;
        self.end(out, Open::is_complete);
        let index = self.next;
        self.next += 1;
        event(out, "content_block_start", |o| {
            o.val("index", index);
            o.obj("content_block", block);
        });
        self.open.push(Open { index, kind });
        index
    }

    /// Ends the open blocks that `which` names, in order.
    fn end(&mut self, out: &mut Vec<u8>, which: impl Fn(&Open) -> bool) {
        self.open.retain(|open| {
            let over = which(open);
            if over {
                if matches!(&open.kind, Kind::Call(_, arguments) if arguments.is_empty()) {
                    delta(out, open.index, |d| {
                        d.str("type", "input_json_delta");
                        d.str("partial_json", "{}");
                    });
                }
                event(out, "content_block_stop", |o| o.val("index", open.index));
            }
            !over
        });
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.held.content = true;
        let open = self.open.iter().find(|open| matches!(open.kind, Kind::Text)).map(|open| open.index);
        let index = open.unwrap_or_else(|| {
            self.start(Kind::Text, out, |b| {
                b.str("type", "text");
                b.str("text", "");
            })
        });
        delta(out, index, |d| {
            d.str("type", "text_delta");
            d.str("text", text);
        });
    }

    fn thinking(&mut self, out: &mut Vec<u8>) -> u32 {
        let open = self.open.iter().find(|open| matches!(open.kind, Kind::Thinking)).map(|open| open.index);
        open.unwrap_or_else(|| {
            self.start(Kind::Thinking, out, |b| {
                b.str("type", "thinking");
                b.str("thinking", "");
                b.str("signature", "");
            })
        })
    }

    /// A block that is told in one piece.
    fn whole(&mut self, out: &mut Vec<u8>, json: &str) {
        self.begin(out);
        self.relay = false;
        self.end(out, Open::is_complete);
        let index = self.next;
        self.next += 1;
        event(out, "content_block_start", |o| {
            o.val("index", index);
            o.raw("content_block", json);
        });
        event(out, "content_block_stop", |o| o.val("index", index));
    }

    fn write(&mut self, happened: &Event, out: &mut Vec<u8>) -> Result<(), Fault> {
        if happened.choice != 0 {
            // Anthropic's messages hold one answer.
            return Ok(());
        }
        match &happened.kind {
            EventKind::Text(text) => self.text(text, out),
            EventKind::Refusal(text) => {
                self.held.refused = true;
                self.text(text, out);
            }
            EventKind::Reasoning(text) if !text.is_empty() => {
                let index = self.thinking(out);
                delta(out, index, |d| {
                    d.str("type", "thinking_delta");
                    d.str("thinking", text);
                });
            }
            EventKind::ReasoningSignature(signature) if self.thinks || self.open.iter().any(|open| matches!(open.kind, Kind::Thinking)) => {
                let index = self.thinking(out);
                delta(out, index, |d| {
                    d.str("type", "signature_delta");
                    d.str("signature", signature);
                });
                self.end(out, |open| open.index == index);
            }
            EventKind::RedactedReasoning(data) => {
                let mut json = Vec::new();
                object(&mut json, |b| {
                    b.str("type", "redacted_thinking");
                    b.str("data", data);
                });
                self.whole(out, std::str::from_utf8(&json).unwrap_or("{}"));
            }
            EventKind::ToolCallStart { index, id, name, signature } => {
                self.calls = self.calls.max(index + 1);
                (self.held.content, self.held.calls) = (true, true);
                self.start(Kind::Call(*index, String::new()), out, |b| {
                    b.str("type", "tool_use");
                    b.str("id", id);
                    b.str("name", name);
                    b.raw("input", "{}");
                    b.opt_str("signature", signature.as_deref());
                });
            }
            EventKind::ToolCallArguments { index, piece } => {
                let call = self.open.iter_mut().find_map(|open| match &mut open.kind {
                    Kind::Call(own, arguments) if own == index => Some((open.index, arguments)),
                    _ => None,
                });
                if let (Some((at, arguments)), false) = (call, piece.is_empty()) {
                    arguments.push_str(piece);
                    delta(out, at, |d| {
                        d.str("type", "input_json_delta");
                        d.str("partial_json", piece);
                    });
                }
            }
            EventKind::ToolCallEnd { index } => self.end(out, |open| matches!(open.kind, Kind::Call(own, _) if own == *index)),
            EventKind::Hosted(json) if is_block(json) => self.whole(out, json.as_str()),
            EventKind::Opaque { dialect: DialectName::Anthropic, name, json } if &**name == "citation" => {
                if let Some(at) = self.open.iter().find(|open| matches!(open.kind, Kind::Text)).map(|open| open.index) {
                    delta(out, at, |d| {
                        d.str("type", "citations_delta");
                        d.raw("citation", json.as_str());
                    });
                }
            }
            EventKind::Receipt(receipt) => self.close(receipt, out)?,
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, receipt: &Receipt, out: &mut Vec<u8>) -> Result<(), Fault> {
        let stop = stop_word(self.finish, self.held)?;
        self.begin(out);
        self.end(out, |_| true);
        match self.delta.take() {
            Some(theirs) => out.extend_from_slice(&priced(&theirs, receipt)),
            None => {
                let mut counts = Vec::new();
                object(&mut counts, |u| usage(u, &receipt.tokens, self.tier.as_deref()));
                event(out, "message_delta", |o| {
                    o.obj("delta", |d| {
                        d.str("stop_reason", stop);
                        d.raw("stop_sequence", "null");
                    });
                    o.raw("usage", &with_cost(std::str::from_utf8(&counts).unwrap_or("{}"), receipt));
                });
            }
        }
        event(out, "message_stop", |o| o.obj("headworks", |h| told(h, receipt, self.finish)));
        Ok(())
    }

    /// Passes a frame of the same dialect on as it came. False where it has to be written from its events.
    fn pass(&mut self, frame: &Bytes, out: &mut Vec<u8>) -> bool {
        let Some(name) = event_name(frame) else { return false };
        match name {
            b"message_start" if self.begun => return true,
            b"message_start" => self.begun = true,
            // Ours tells what the call cost.
            b"message_stop" => return true,
            b"message_delta" => {
                if let Some(earlier) = self.delta.replace(Bytes::copy_from_slice(frame)) {
                    out.extend_from_slice(&earlier);
                }
                return true;
            }
            b"content_block_start" | b"content_block_stop" => {
                let Some(told) = data(frame).and_then(|text| serde_json::from_slice::<Told<'_>>(text).ok()) else { return false };
                if name == b"content_block_stop" {
                    self.open.retain(|open| open.index != told.index);
                } else {
                    let kind = match told.content_block.and_then(|b| b.kind).as_deref() {
                        Some("text") => Kind::Text,
                        Some("thinking") => Kind::Thinking,
                        Some("tool_use") => {
                            self.calls += 1;
                            // Its arguments pass unread: neither complete nor empty.
                            Kind::Call(self.calls - 1, " ".to_owned())
                        }
                        _ => Kind::Other,
                    };
                    self.next = told.index.saturating_add(1);
                    self.open.push(Open { index: told.index, kind });
                }
            }
            _ => {}
        }
        if name != b"message_start" {
            self.begin(out);
        }
        out.extend_from_slice(frame);
        true
    }
}

/// What `event:` says, where the frame begins with it: clients skip events without a name.
fn event_name(frame: &[u8]) -> Option<&[u8]> {
    let line = frame.strip_prefix(b"event:")?;
    let end = line.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
    line.get(..end).map(<[u8]>::trim_ascii)
}

/// The frame's one line of data.
fn data(frame: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(frame, b"\ndata:").or_else(|| memchr::memmem::find(frame, b"\rdata:"))?;
    let rest = frame.get(at + 6..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
    rest.get(..end).map(<[u8]>::trim_ascii)
}

/// The upstream's `message_delta` with the cost put into its usage; nothing else is changed.
fn priced(frame: &Bytes, receipt: &Receipt) -> Bytes {
    let put = || {
        let data = data(frame)?;
        let from = data.as_ptr() as usize - frame.as_ptr() as usize;
        let members = crate::members(data).ok()?;
        let place = members.iter().rev().find(|m| &*m.name == "usage")?.value.clone();
        let theirs = std::str::from_utf8(data.get(place.clone())?).ok()?;
        let mut out = Vec::with_capacity(frame.len() + 32);
        out.extend_from_slice(frame.get(..from + place.start)?);
        out.extend_from_slice(with_cost(theirs, receipt).as_bytes());
        out.extend_from_slice(frame.get(from + place.end..)?);
        Some(Bytes::from(out))
    };
    put().unwrap_or_else(|| frame.clone())
}

/// One event with its name, in a line and in its data.
fn event(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    object(out, |o| {
        o.str("type", name);
        fill(o);
    });
    out.extend_from_slice(b"\n\n");
}

fn delta(out: &mut Vec<u8>, index: u32, fill: impl FnOnce(&mut Object<'_>)) {
    event(out, "content_block_delta", |o| {
        o.val("index", index);
        o.obj("delta", fill);
    });
}

impl Writer for Streamed {
    fn push(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Fault> {
        let mut buffer = Vec::new();
        // First what the whole batch tells: the first event to the client holds counts that came with it.
        batch.events.iter().filter(|event| event.choice == 0).for_each(|event| self.learn(&event.kind));
        let mut events = &batch.events[..];
        if batch.dialect == Some(DialectName::Anthropic) {
            for frame in &batch.frames {
                let (mine, rest) = events.split_at(usize::from(frame.events).min(events.len()));
                events = rest;
                if self.relay && self.pass(&frame.bytes, &mut buffer) {
                    continue;
                }
                self.relay = false;
                for event in mine {
                    self.write(event, &mut buffer)?;
                }
            }
        }
        for event in events {
            self.write(event, &mut buffer)?;
        }
        out.extend_from_slice(&buffer);
        Ok(())
    }

    fn fault(&mut self, fault: &Fault, face: &ErrorFace, out: &mut BytesMut) {
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(&error::body(fault, face));
        out.extend_from_slice(b"\n\n");
    }

    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n")
    }
}
