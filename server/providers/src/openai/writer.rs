//! Writes an answer as OpenAI's clients read it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, ChatRequest, DialectName, Event, EventKind, Fault, FinishReason, Receipt, Str, Tokens};

use super::door::error_body;
use crate::{
    ErrorFace, Writer,
    facts::{counted, facts},
    spell::{Object, object, string},
};

/// OpenAI's word for the end.
pub(super) const fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Error => "error",
    }
}

/// What the answer calls itself; learned from its first event.
#[derive(Default)]
struct Identity {
    id: Str,
    model: Str,
    created: i64,
}

impl Identity {
    fn learn(&mut self, kind: &EventKind, asked: &str) {
        if let EventKind::Started { id, model, created } = kind {
            // Copied: a piece of the upstream's first read would keep all of it in memory for as long as the stream lasts.
            self.id = id.as_deref().map(Str::from).unwrap_or_default();
            self.model = model.as_deref().unwrap_or(asked).into();
            self.created = created.unwrap_or(0);
        }
    }

    fn fill(&mut self, receipt: &Receipt) {
        if self.id.is_empty() {
            self.id = format!("chatcmpl-{}", receipt.request_id.trim_start_matches("req_")).into();
        }
        if self.created == 0 {
            let made = receipt.cached.as_ref().map(|cached| cached.made_unix_nanos);
            let made = made.or(receipt.attempts.last().map(|attempt| attempt.timings.start_unix_nanos));
            self.created = made.unwrap_or(0) / 1_000_000_000;
        }
    }
}

/// `usage` in OpenAI's form, with the cost.
fn usage(o: &mut Object<'_>, receipt: &Receipt) {
    let t: &Tokens = &receipt.tokens;
    o.val("prompt_tokens", t.prompt());
    o.val("completion_tokens", t.completion());
    o.val("total_tokens", t.prompt() + t.completion());
    o.obj("prompt_tokens_details", |d| {
        d.val("cached_tokens", t.cache_read + t.cache_read_audio);
        d.val("cache_write_tokens", t.cache_write());
        d.val("audio_tokens", t.input_audio + t.cache_read_audio);
    });
    o.obj("completion_tokens_details", |d| {
        d.val("reasoning_tokens", t.reasoning);
        d.val("audio_tokens", t.output_audio);
    });
    if receipt.cost_known {
        o.raw("cost", &receipt.cost.to_string());
    }
}

/// One of the answers, as it adds up.
#[derive(Default)]
struct Choice {
    text: String,
    refusal: String,
    reasoning: String,
    blocks: Vec<Block>,
    calls: Vec<Call>,
    logprobs: Vec<headworks_core::Json>,
    annotations: Option<headworks_core::Json>,
    finish: Option<FinishReason>,
    /// Something was said of it: hosts may leave out numbers.
    begun: bool,
}

enum Block {
    Signed { text: String, signature: Str },
    Redacted(Str),
}

struct Call {
    id: Str,
    name: Str,
    arguments: String,
    signature: Option<Str>,
}

/// Writes one JSON body at the end.
pub(super) struct Unary {
    asked: Arc<str>,
    identity: Identity,
    choices: Vec<Choice>,
    unsigned: String,
    original: Option<Bytes>,
}

impl Unary {
    pub(super) fn new(request: &ChatRequest) -> Self {
        Self { asked: request.model.clone(), identity: Identity::default(), choices: Vec::new(), unsigned: String::new(), original: None }
    }

    fn add(&mut self, event: &Event) {
        while self.choices.len() <= usize::from(event.choice) {
            self.choices.push(Choice::default());
        }
        self.identity.learn(&event.kind, &self.asked);
        let Some(choice) = self.choices.get_mut(usize::from(event.choice)) else { return };
        // What is said of the whole answer is said of no choice.
        choice.begun |= !matches!(event.kind, EventKind::Started { .. } | EventKind::Usage { .. } | EventKind::Residency(_));
        match &event.kind {
            EventKind::Text(text) => choice.text.push_str(text),
            EventKind::Refusal(text) => choice.refusal.push_str(text),
            EventKind::Reasoning(text) => {
                choice.reasoning.push_str(text);
                self.unsigned.push_str(text);
            }
            EventKind::ReasoningSignature(signature) => {
                choice.blocks.push(Block::Signed { text: std::mem::take(&mut self.unsigned), signature: signature.clone() });
            }
            EventKind::RedactedReasoning(data) => choice.blocks.push(Block::Redacted(data.clone())),
            EventKind::ToolCallStart { id, name, signature, .. } => {
                choice.calls.push(Call { id: id.clone(), name: name.clone(), arguments: String::new(), signature: signature.clone() })
            }
            EventKind::ToolCallArguments { index, piece } => {
                if let Some(call) = usize::try_from(*index).ok().and_then(|at| choice.calls.get_mut(at)) {
                    call.arguments.push_str(piece);
                }
            }
            EventKind::Logprobs(json) => choice.logprobs.push(json.clone()),
            EventKind::Opaque { dialect: DialectName::OpenAi, name, json } if &**name == "annotations" => choice.annotations = Some(json.clone()),
            EventKind::Finished(reason) => choice.finish = Some(*reason),
            _ => {}
        }
    }

    /// The upstream's own body with usage and our facts put in.
    fn splice(&self, body: &Bytes, receipt: &Receipt, out: &mut Vec<u8>) -> bool {
        let Ok(members) = crate::members(body) else { return false };
        let first = out.len();
        out.push(b'{');
        for member in &members {
            if matches!(&*member.name, "usage" | "headworks") {
                continue;
            }
            if out.len() > first + 1 {
                out.push(b',');
            }
            out.extend_from_slice(body.get(member.key.clone()).unwrap_or_default());
            out.push(b':');
            out.extend_from_slice(body.get(member.value.clone()).unwrap_or_default());
        }
        if counted(receipt) {
            out.extend_from_slice(br#","usage":"#);
            object(out, |o| {
                usage(o, receipt);
                // What else the provider counts stays.
                let theirs = members.iter().find(|m| &*m.name == "usage").and_then(|m| body.get(m.value.clone())).unwrap_or_default();
                for member in crate::members(theirs).unwrap_or_default() {
                    let ours = ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details", "cost"];
                    if !ours.contains(&&*member.name)
                        && let Some(Ok(value)) = theirs.get(member.value).map(std::str::from_utf8)
                    {
                        o.raw(&member.name, value);
                    }
                }
            });
        }
        out.extend_from_slice(br#","headworks":"#);
        object(out, |o| facts(o, receipt));
        out.push(b'}');
        true
    }
}

fn message(o: &mut Object<'_>, choice: &Choice) {
    o.str("role", "assistant");
    if choice.text.is_empty() && (!choice.calls.is_empty() || !choice.refusal.is_empty()) {
        o.raw("content", "null");
    } else {
        o.str("content", &choice.text);
    }
    if choice.refusal.is_empty() {
        o.raw("refusal", "null");
    } else {
        o.str("refusal", &choice.refusal);
    }
    if !choice.reasoning.is_empty() {
        o.str("reasoning_content", &choice.reasoning);
    }
    if !choice.blocks.is_empty() {
        o.arr("thinking_blocks", |a| {
            choice.blocks.iter().for_each(|block| {
                a.obj(|o| match block {
                    Block::Signed { text, signature } => {
                        o.str("type", "thinking");
                        o.str("thinking", text);
                        o.str("signature", signature);
                    }
                    Block::Redacted(data) => {
                        o.str("type", "redacted_thinking");
                        o.str("data", data);
                    }
                });
            });
        });
    }
    if !choice.calls.is_empty() {
        o.arr("tool_calls", |a| {
            choice.calls.iter().for_each(|call| {
                a.obj(|o| {
                    o.str("id", &call.id);
                    o.str("type", "function");
                    o.obj("function", |f| {
                        f.str("name", &call.name);
                        f.str("arguments", if call.arguments.is_empty() { "{}" } else { &call.arguments });
                    });
                    signature(o, call.signature.as_deref());
                });
            });
        });
    }
    o.opt_json("annotations", choice.annotations.as_ref());
}

fn signature(o: &mut Object<'_>, signature: Option<&str>) {
    if let Some(signature) = signature {
        o.obj("extra_content", |e| e.obj("google", |g| g.str("thought_signature", signature)));
    }
}

impl Writer for Unary {
    fn push(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Fault> {
        if let (Some(DialectName::OpenAi), [frame]) = (batch.dialect, &batch.frames[..])
            && !frame.bytes.is_empty()
        {
            self.original = Some(frame.bytes.clone());
        }
        for event in &batch.events {
            let EventKind::Receipt(receipt) = &event.kind else {
                self.add(event);
                continue;
            };
            let mut body = Vec::with_capacity(self.original.as_ref().map_or(512, |o| o.len() + 512));
            let original = self.original.take();
            if original.is_some_and(|original| self.splice(&original, receipt, &mut body)) {
                out.extend_from_slice(&body);
                continue;
            }
            body.clear();
            self.identity.fill(receipt);
            object(&mut body, |o| {
                o.str("id", &self.identity.id);
                o.str("object", "chat.completion");
                o.val("created", self.identity.created);
                o.str("model", &self.identity.model);
                o.arr("choices", |a| {
                    for (index, choice) in self.choices.iter().enumerate().filter(|(_, choice)| choice.begun) {
                        a.obj(|o| {
                            o.val("index", index);
                            o.obj("message", |m| message(m, choice));
                            match &choice.logprobs[..] {
                                [one] => o.raw("logprobs", one.as_str()),
                                _ => o.raw("logprobs", "null"),
                            }
                            o.str("finish_reason", finish_word(choice.finish.unwrap_or(FinishReason::Stop)));
                        });
                    }
                });
                if counted(receipt) {
                    o.obj("usage", |u| usage(u, receipt));
                }
                o.obj("headworks", |h| facts(h, receipt));
            });
            out.extend_from_slice(&body);
        }
        Ok(())
    }

    fn fault(&mut self, fault: &Fault, face: &ErrorFace, out: &mut BytesMut) {
        out.extend_from_slice(&error_body(fault, face));
    }

    fn keep_alive(&self) -> Bytes {
        Bytes::new()
    }
}

/// Writes server-sent events.
pub(super) struct Streamed {
    asked: Arc<str>,
    include_usage: bool,
    identity: Identity,
    /// `data: {"id":..,"model":..,"choices":[{"index":` up to the index.
    head: Vec<u8>,
    roles: Vec<bool>,
    /// Choices that ended; told once the call is accounted for, since our facts ride with them.
    finished: Vec<(u16, FinishReason)>,
    unsigned: String,
}

impl Streamed {
    pub(super) fn new(request: &ChatRequest) -> Self {
        Self {
            asked: request.model.clone(),
            include_usage: request.include_usage,
            identity: Identity::default(),
            head: Vec::new(),
            roles: Vec::new(),
            finished: Vec::new(),
            unsigned: String::new(),
        }
    }

    /// True once per choice.
    fn role(&mut self, choice: u16) -> bool {
        let at = usize::from(choice);
        while self.roles.len() <= at {
            self.roles.push(false);
        }
        self.roles.get_mut(at).is_some_and(|told| !std::mem::replace(told, true))
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        if self.head.is_empty() {
            let head = &mut self.head;
            head.extend_from_slice(b"data: {\"id\":");
            string(head, if self.identity.id.is_empty() { "chatcmpl-headworks" } else { &self.identity.id });
            head.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
            head.extend_from_slice(self.identity.created.to_string().as_bytes());
            head.extend_from_slice(b",\"model\":");
            string(head, if self.identity.model.is_empty() { &self.asked } else { &self.identity.model });
        }
        out.extend_from_slice(&self.head);
    }

    fn chunk(&mut self, out: &mut Vec<u8>, choice: u16, delta: impl FnOnce(&mut Object<'_>), logprobs: Option<&str>) {
        let role = self.role(choice);
        self.open(out);
        out.extend_from_slice(b",\"choices\":[");
        object(out, |o| {
            o.val("index", choice);
            o.obj("delta", |d| {
                if role {
                    d.str("role", "assistant");
                }
                delta(d);
            });
            o.raw("logprobs", logprobs.unwrap_or("null"));
            o.raw("finish_reason", "null");
        });
        out.extend_from_slice(b"]}\n\n");
    }

    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        let choice = event.choice;
        match &event.kind {
            EventKind::Started { .. } => self.identity.learn(&event.kind, &self.asked),
            EventKind::Text(text) => self.chunk(out, choice, |d| d.str("content", text), None),
            EventKind::Refusal(text) => self.chunk(out, choice, |d| d.str("refusal", text), None),
            EventKind::Reasoning(text) => {
                self.unsigned.push_str(text);
                self.chunk(out, choice, |d| d.str("reasoning_content", text), None);
            }
            EventKind::ReasoningSignature(signature) => {
                let text = std::mem::take(&mut self.unsigned);
                self.chunk(
                    out,
                    choice,
                    |d| {
                        d.arr("thinking_blocks", |a| {
                            a.obj(|o| {
                                o.str("type", "thinking");
                                o.str("thinking", &text);
                                o.str("signature", signature);
                            });
                        });
                    },
                    None,
                );
            }
            EventKind::RedactedReasoning(data) => self.chunk(
                out,
                choice,
                |d| {
                    d.arr("thinking_blocks", |a| {
                        a.obj(|o| {
                            o.str("type", "redacted_thinking");
                            o.str("data", data);
                        });
                    });
                },
                None,
            ),
            EventKind::ToolCallStart { index, id, name, signature: signed } => self.chunk(
                out,
                choice,
                |d| {
                    d.arr("tool_calls", |a| {
                        a.obj(|o| {
                            o.val("index", index);
                            o.str("id", id);
                            o.str("type", "function");
                            o.obj("function", |f| {
                                f.str("name", name);
                                f.str("arguments", "");
                            });
                            signature(o, signed.as_deref());
                        });
                    });
                },
                None,
            ),
            EventKind::ToolCallArguments { index, piece } => self.chunk(
                out,
                choice,
                |d| {
                    d.arr("tool_calls", |a| {
                        a.obj(|o| {
                            o.val("index", index);
                            o.obj("function", |f| f.str("arguments", piece));
                        });
                    });
                },
                None,
            ),
            EventKind::Logprobs(json) => self.chunk(out, choice, |_| {}, Some(json.as_str())),
            EventKind::Opaque { dialect: DialectName::OpenAi, name, json } if &**name == "annotations" => {
                self.chunk(out, choice, |d| d.raw("annotations", json.as_str()), None);
            }
            EventKind::Finished(reason) => self.finished.push((choice, *reason)),
            EventKind::Receipt(receipt) => self.close(receipt, out),
            EventKind::ToolCallEnd { .. }
            | EventKind::Hosted(_)
            | EventKind::Opaque { .. }
            | EventKind::Recovered { .. }
            | EventKind::Restarted { .. }
            | EventKind::Embedded { .. }
            | EventKind::Counted { .. }
            | EventKind::Residency(_)
            | EventKind::Usage { .. } => {}
        }
    }

    fn close(&mut self, receipt: &Receipt, out: &mut Vec<u8>) {
        let finished = std::mem::take(&mut self.finished);
        let last = finished.len().saturating_sub(1);
        for (at, (choice, reason)) in finished.into_iter().enumerate() {
            let role = self.role(choice);
            self.open(out);
            out.extend_from_slice(b",\"choices\":[");
            object(out, |o| {
                o.val("index", choice);
                o.obj("delta", |d| {
                    if role {
                        d.str("role", "assistant");
                    }
                });
                o.raw("logprobs", "null");
                o.str("finish_reason", finish_word(reason));
            });
            out.extend_from_slice(b"]");
            if at == last {
                out.extend_from_slice(b",\"headworks\":");
                object(out, |o| facts(o, receipt));
            }
            out.extend_from_slice(b"}\n\n");
        }
        if self.include_usage && counted(receipt) {
            self.open(out);
            out.extend_from_slice(b",\"choices\":[],\"usage\":");
            object(out, |o| usage(o, receipt));
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

/// Whether a frame of these events may be passed on as it came.
fn relayable(events: &[Event]) -> bool {
    events.iter().all(|event| {
        !matches!(
            event.kind,
            EventKind::Usage { .. } | EventKind::Finished(_) | EventKind::Receipt(_) | EventKind::ReasoningSignature(_) | EventKind::RedactedReasoning(_)
        )
    })
}

impl Writer for Streamed {
    fn push(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Fault> {
        let mut buffer = Vec::new();
        if batch.dialect != Some(DialectName::OpenAi) || batch.frames.is_empty() {
            batch.events.iter().for_each(|event| self.write(event, &mut buffer));
            out.extend_from_slice(&buffer);
            return Ok(());
        }
        let mut events = &batch.events[..];
        for frame in &batch.frames {
            let (mine, rest) = events.split_at(usize::from(frame.events).min(events.len()));
            events = rest;
            let first = mine.iter().any(|event| self.roles.get(usize::from(event.choice)).is_none_or(|told| !told));
            // The first chunk of a choice must say the role (S4).
            let says_role = !first || memchr::memmem::find(&frame.bytes, b"\"role\"").is_some();
            if !frame.bytes.is_empty() && !mine.is_empty() && relayable(mine) && says_role {
                for event in mine {
                    self.identity.learn(&event.kind, &self.asked);
                    self.role(event.choice);
                    if let EventKind::Reasoning(text) = &event.kind {
                        self.unsigned.push_str(text);
                    }
                }
                out.extend_from_slice(&frame.bytes);
            } else {
                mine.iter().for_each(|event| self.write(event, &mut buffer));
                out.extend_from_slice(&buffer);
                buffer.clear();
            }
        }
        events.iter().for_each(|event| self.write(event, &mut buffer));
        out.extend_from_slice(&buffer);
        Ok(())
    }

    fn fault(&mut self, fault: &Fault, face: &ErrorFace, out: &mut BytesMut) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error_body(fault, face));
        out.extend_from_slice(b"\n\n");
    }

    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b": keep-alive\n\n")
    }
}
