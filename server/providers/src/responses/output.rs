//! The items of an answer as they add up, and the events that tell of them.

use headworks_core::{EventKind, Json, Str};

use super::item;
use crate::spell::{Array, Object, array, object};

/// A stream's events as they are written; silent for an answer in one piece.
pub(super) struct Tape {
    pub(super) streamed: bool,
    /// The number of the next event.
    pub(super) next: u64,
}

impl Tape {
    /// Writes one event.
    pub(super) fn event(&mut self, out: &mut Vec<u8>, kind: &str, fill: impl FnOnce(&mut Object<'_>)) {
        if !self.streamed {
            return;
        }
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        object(out, |o| {
            o.str("type", kind);
            o.val("sequence_number", self.next);
            fill(o);
        });
        out.extend_from_slice(b"\n\n");
        self.next += 1;
    }
}

enum Kind {
    Message(Vec<Said>),
    Reasoning {
        text: String,
        sealed: Option<String>,
    },
    Call {
        id: Str,
        name: Str,
        arguments: String,
    },
    /// An item of this dialect as it came.
    Raw(Json),
}

/// A part of a message.
struct Said {
    refusal: bool,
    text: String,
    logprobs: Vec<String>,
    annotations: Vec<String>,
}

struct Entry {
    id: String,
    kind: Kind,
    open: bool,
}

/// The items, in order.
#[derive(Default)]
pub(super) struct Items {
    entries: Vec<Entry>,
    /// Where our calls stand among them, by their index.
    calls: Vec<usize>,
    /// Where the first of them stands in the whole answer: behind what an upstream told itself.
    pub(super) before: usize,
}

impl Items {
    /// Takes one event; `logprobs` are those of its text.
    pub(super) fn add(&mut self, kind: &EventKind, logprobs: Option<&Json>, stem: &str, tape: &mut Tape, out: &mut Vec<u8>) {
        match kind {
            EventKind::Text(text) => self.say(text, false, logprobs, stem, tape, out),
            EventKind::Refusal(text) => self.say(text, true, None, stem, tape, out),
            EventKind::Reasoning(text) => self.think(text, stem, tape, out),
            EventKind::ReasoningSignature(signature) => self.seal(signature.to_string(), stem, tape, out),
            EventKind::RedactedReasoning(data) => {
                self.close_last(tape, out, "completed");
                self.seal(item::seal_redacted(data), stem, tape, out);
            }
            EventKind::ToolCallStart { id, name, signature, .. } => {
                self.close_last(tape, out, "completed");
                // T1: it travels where clients look for what must be given back.
                if let Some(signature) = signature {
                    self.seal(item::seal_call(id, signature), stem, tape, out);
                }
                self.calls.push(self.entries.len());
                self.push("fc", Kind::Call { id: id.clone(), name: name.clone(), arguments: String::new() }, stem, tape, out);
            }
            EventKind::ToolCallArguments { index, piece } => {
                let Some(at) = usize::try_from(*index).ok().and_then(|index| self.calls.get(index)).copied() else { return };
                let place = self.before + at;
                if let Some(Entry { id, kind: Kind::Call { arguments, .. }, .. }) = self.entries.get_mut(at) {
                    arguments.push_str(piece);
                    tape.event(out, "response.function_call_arguments.delta", |o| {
                        o.str("item_id", id);
                        o.val("output_index", place);
                        o.str("delta", piece);
                    });
                }
            }
            EventKind::ToolCallEnd { index } => {
                if let Some(at) = usize::try_from(*index).ok().and_then(|index| self.calls.get(index)).copied() {
                    self.close(at, tape, out, "completed");
                }
            }
            EventKind::Hosted(json) if item::is_item(json.as_str()) => self.raw(json, stem, tape, out),
            EventKind::Opaque { dialect: headworks_core::DialectName::OpenAiResponses, name, json } if &**name == "annotation" => {
                self.annotate(json.as_str(), tape, out);
            }
            EventKind::Opaque { dialect: headworks_core::DialectName::OpenAiResponses, json, .. } => self.raw(json, stem, tape, out),
            EventKind::Opaque { dialect: headworks_core::DialectName::OpenAi, name, json } if &**name == "annotations" => {
                for annotation in item::flat_annotations(json) {
                    self.annotate(&annotation, tape, out);
                }
            }
            _ => {}
        }
    }

    /// Closes what is open.
    pub(super) fn end(&mut self, tape: &mut Tape, out: &mut Vec<u8>, last: &str) {
        let count = self.entries.len();
        for at in 0..count {
            self.close(at, tape, out, if at + 1 == count { last } else { "completed" });
        }
    }

    /// The output as a JSON list.
    pub(super) fn list(&self, last: &str) -> String {
        let mut out = Vec::new();
        let count = self.entries.len();
        array(&mut out, |a| {
            for (at, entry) in self.entries.iter().enumerate() {
                entry.write(a, if at + 1 == count { last } else { "completed" });
            }
        });
        String::from_utf8(out).unwrap_or_default()
    }

    fn push(&mut self, prefix: &str, kind: Kind, stem: &str, tape: &mut Tape, out: &mut Vec<u8>) {
        let at = self.before + self.entries.len();
        let entry = Entry { id: format!("{prefix}_{stem}_{at}"), kind, open: true };
        tape.event(out, "response.output_item.added", |o| {
            o.val("output_index", at);
            o.raw("item", &entry.json("in_progress"));
        });
        self.entries.push(entry);
    }

    fn close_last(&mut self, tape: &mut Tape, out: &mut Vec<u8>, status: &str) {
        if let Some(at) = self.entries.len().checked_sub(1)
            && matches!(self.entries.get(at), Some(Entry { kind: Kind::Message(_) | Kind::Reasoning { .. }, open: true, .. }))
        {
            self.close(at, tape, out, status);
        }
    }

    fn say(&mut self, text: &str, refusal: bool, logprobs: Option<&Json>, stem: &str, tape: &mut Tape, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.entries.last(), Some(Entry { kind: Kind::Message(_), open: true, .. })) {
            self.close_last(tape, out, "completed");
            self.push("msg", Kind::Message(Vec::new()), stem, tape, out);
        }
        let place = self.before + self.entries.len() - 1;
        let Some(Entry { id, kind: Kind::Message(parts), .. }) = self.entries.last_mut() else { return };
        if parts.last().is_none_or(|part| part.refusal != refusal) {
            if let Some(part) = parts.last() {
                part.done(tape, out, id, place, parts.len() - 1);
            }
            parts.push(Said { refusal, text: String::new(), logprobs: Vec::new(), annotations: Vec::new() });
            tape.event(out, "response.content_part.added", |o| {
                o.str("item_id", id);
                o.val("output_index", place);
                o.val("content_index", parts.len() - 1);
                o.raw(
                    "part",
                    if refusal { r#"{"type":"refusal","refusal":""}"# } else { r#"{"type":"output_text","text":"","annotations":[],"logprobs":[]}"# },
                );
            });
        }
        let content = parts.len() - 1;
        let Some(part) = parts.last_mut() else { return };
        part.text.push_str(text);
        let probabilities = logprobs.and_then(item::logprob_items).unwrap_or_default();
        if !probabilities.is_empty() {
            part.logprobs.push(probabilities.clone());
        }
        tape.event(out, if refusal { "response.refusal.delta" } else { "response.output_text.delta" }, |o| {
            o.str("item_id", id);
            o.val("output_index", place);
            o.val("content_index", content);
            o.str("delta", text);
            if !refusal {
                o.raw("logprobs", &format!("[{probabilities}]"));
            }
        });
    }

    fn annotate(&mut self, annotation: &str, tape: &mut Tape, out: &mut Vec<u8>) {
        let Some(at) = self.entries.iter().rposition(|entry| matches!(entry.kind, Kind::Message(_)) && entry.open) else { return };
        let place = self.before + at;
        let Some(Entry { id, kind: Kind::Message(parts), .. }) = self.entries.get_mut(at) else { return };
        let Some(content) = parts.iter().rposition(|part| !part.refusal) else { return };
        let Some(part) = parts.get_mut(content) else { return };
        tape.event(out, "response.output_text.annotation.added", |o| {
            o.str("item_id", id);
            o.val("output_index", place);
            o.val("content_index", content);
            o.val("annotation_index", part.annotations.len());
            o.raw("annotation", annotation);
        });
        part.annotations.push(annotation.to_owned());
    }

    fn think(&mut self, text: &str, stem: &str, tape: &mut Tape, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.entries.last(), Some(Entry { kind: Kind::Reasoning { sealed: None, .. }, open: true, .. })) {
            self.close_last(tape, out, "completed");
            self.push("rs", Kind::Reasoning { text: String::new(), sealed: None }, stem, tape, out);
        }
        let place = self.before + self.entries.len() - 1;
        let Some(Entry { id, kind: Kind::Reasoning { text: thought, .. }, .. }) = self.entries.last_mut() else { return };
        let told = |o: &mut Object<'_>| {
            o.str("item_id", id);
            o.val("output_index", place);
            o.val("summary_index", 0);
        };
        if thought.is_empty() {
            tape.event(out, "response.reasoning_summary_part.added", |o| {
                told(o);
                o.raw("part", r#"{"type":"summary_text","text":""}"#);
            });
        }
        thought.push_str(text);
        tape.event(out, "response.reasoning_summary_text.delta", |o| {
            told(o);
            o.str("delta", text);
        });
    }

    /// Sealed reasoning: of the item that is open, or one of its own.
    fn seal(&mut self, seal: String, stem: &str, tape: &mut Tape, out: &mut Vec<u8>) {
        if !matches!(self.entries.last(), Some(Entry { kind: Kind::Reasoning { sealed: None, .. }, open: true, .. })) {
            self.close_last(tape, out, "completed");
            self.push("rs", Kind::Reasoning { text: String::new(), sealed: None }, stem, tape, out);
        }
        if let Some(Entry { kind: Kind::Reasoning { sealed, .. }, .. }) = self.entries.last_mut() {
            *sealed = Some(seal);
        }
        self.close_last(tape, out, "completed");
    }

    fn raw(&mut self, json: &Json, stem: &str, tape: &mut Tape, out: &mut Vec<u8>) {
        self.close_last(tape, out, "completed");
        self.push("item", Kind::Raw(json.clone()), stem, tape, out);
        self.close(self.entries.len() - 1, tape, out, "completed");
    }

    fn close(&mut self, at: usize, tape: &mut Tape, out: &mut Vec<u8>, status: &str) {
        let place = self.before + at;
        let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.open) else { return };
        entry.open = false;
        let id = entry.id.clone();
        match &mut entry.kind {
            Kind::Message(parts) => {
                if let Some(part) = parts.last() {
                    part.done(tape, out, &id, place, parts.len() - 1);
                }
            }
            Kind::Reasoning { text, .. } if !text.is_empty() => {
                tape.event(out, "response.reasoning_summary_text.done", |o| {
                    o.str("item_id", &id);
                    o.val("output_index", place);
                    o.val("summary_index", 0);
                    o.str("text", text);
                });
                tape.event(out, "response.reasoning_summary_part.done", |o| {
                    o.str("item_id", &id);
                    o.val("output_index", place);
                    o.val("summary_index", 0);
                    o.obj("part", |p| {
                        p.str("type", "summary_text");
                        p.str("text", text);
                    });
                });
            }
            Kind::Call { arguments, name, .. } => {
                if arguments.is_empty() {
                    arguments.push_str("{}");
                    tape.event(out, "response.function_call_arguments.delta", |o| {
                        o.str("item_id", &id);
                        o.val("output_index", place);
                        o.str("delta", "{}");
                    });
                }
                tape.event(out, "response.function_call_arguments.done", |o| {
                    o.str("item_id", &id);
                    o.str("name", name);
                    o.val("output_index", place);
                    o.str("arguments", arguments);
                });
            }
            Kind::Reasoning { .. } | Kind::Raw(_) => {}
        }
        let json = entry.json(status);
        tape.event(out, "response.output_item.done", |o| {
            o.val("output_index", place);
            o.raw("item", &json);
        });
    }
}

impl Said {
    fn json(&self) -> String {
        let mut out = Vec::new();
        object(&mut out, |o| {
            if self.refusal {
                o.str("type", "refusal");
                o.str("refusal", &self.text);
            } else {
                o.str("type", "output_text");
                o.str("text", &self.text);
                o.raw("annotations", &format!("[{}]", self.annotations.join(",")));
                o.raw("logprobs", &format!("[{}]", self.logprobs.join(",")));
            }
        });
        String::from_utf8(out).unwrap_or_default()
    }

    fn done(&self, tape: &mut Tape, out: &mut Vec<u8>, id: &str, place: usize, content: usize) {
        tape.event(out, if self.refusal { "response.refusal.done" } else { "response.output_text.done" }, |o| {
            o.str("item_id", id);
            o.val("output_index", place);
            o.val("content_index", content);
            if self.refusal {
                o.str("refusal", &self.text);
            } else {
                o.str("text", &self.text);
                o.raw("logprobs", &format!("[{}]", self.logprobs.join(",")));
            }
        });
        tape.event(out, "response.content_part.done", |o| {
            o.str("item_id", id);
            o.val("output_index", place);
            o.val("content_index", content);
            o.raw("part", &self.json());
        });
    }
}

impl Entry {
    fn json(&self, status: &str) -> String {
        let mut out = Vec::new();
        array(&mut out, |a| self.write(a, status));
        let text = String::from_utf8(out).unwrap_or_default();
        text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or_default().to_owned()
    }

    fn write(&self, list: &mut Array<'_>, status: &str) {
        match &self.kind {
            Kind::Raw(json) => list.raw(json.as_str()),
            Kind::Message(parts) => list.obj(|o| {
                o.str("id", &self.id);
                o.str("type", "message");
                o.str("status", status);
                o.str("role", "assistant");
                o.arr("content", |a| parts.iter().for_each(|part| a.raw(&part.json())));
            }),
            Kind::Reasoning { text, sealed } => list.obj(|o| {
                o.str("id", &self.id);
                o.str("type", "reasoning");
                o.str("status", status);
                o.arr("summary", |a| {
                    if !text.is_empty() {
                        a.obj(|o| {
                            o.str("type", "summary_text");
                            o.str("text", text);
                        });
                    }
                });
                o.opt_str("encrypted_content", sealed.as_deref());
            }),
            Kind::Call { id, name, arguments } => list.obj(|o| {
                o.str("id", &self.id);
                o.str("type", "function_call");
                o.str("status", status);
                o.str("call_id", id);
                o.str("name", name);
                o.str("arguments", arguments);
            }),
        }
    }
}
