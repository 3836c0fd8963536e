//! The conversation as Gemini's `contents`: roles user and model in turn, a tool round in one piece each.

use headworks_core::{ChatRequest, DialectName, Fault, MessageRole, Opaque, Part, PartKind, Target};
use serde_json::value::RawValue;

use super::{
    media,
    signature::{self, LOST},
};
use crate::{
    Note,
    spell::{Array, Object, array},
};

/// What is said, and by whom.
pub(super) struct Turns {
    /// `parts` of `systemInstruction`, as a JSON array; empty: none.
    pub(super) system: Vec<u8>,
    /// Role and `parts`, as a JSON array.
    pub(super) contents: Vec<(&'static str, Vec<u8>)>,
}

/// A turn being written: messages of one role that follow each other are one.
#[derive(Default)]
struct Run {
    model: bool,
    /// Items of `parts`: answers to calls come first, then what came with them.
    results: Vec<Vec<u8>>,
    shown: Vec<Vec<u8>>,
    said: Vec<Vec<u8>>,
    /// The turn's first call was written.
    called: bool,
}

impl Run {
    fn is_empty(&self) -> bool {
        self.results.is_empty() && self.shown.is_empty() && self.said.is_empty()
    }
}

/// A call that waits for its answer.
struct Pending<'a> {
    id: &'a str,
    name: &'a str,
    answered: bool,
}

struct Work<'a> {
    target: &'a Target,
    notes: &'a mut Vec<Note>,
    out: Vec<(&'static str, Vec<u8>)>,
    run: Run,
    /// Calls of the latest model turn.
    pending: Vec<Pending<'a>>,
    /// Every call so far, for the names of late answers.
    names: Vec<(&'a str, &'a str)>,
}

/// Spells the messages. Fails where a part cannot be said to Gemini at all.
pub(super) fn turns(target: &Target, request: &ChatRequest, notes: &mut Vec<Note>) -> Result<Turns, Fault> {
    let mut work = Work { target, notes, out: Vec::new(), run: Run::default(), pending: Vec::new(), names: Vec::new() };
    let mut system: Vec<Vec<u8>> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        match message.role {
            MessageRole::System | MessageRole::Developer => {
                for (i, part) in message.parts.iter().enumerate() {
                    match &part.kind {
                        PartKind::Text(text) if text.is_empty() => {}
                        PartKind::Text(text) => system.push(item(|a| text_part(a, text, None))),
                        _ => return Err(missing(target, &format!("{path}.content[{i}]"), "instructions can only be text")),
                    }
                }
            }
            MessageRole::Assistant => {
                work.model(&message.parts);
            }
            MessageRole::User | MessageRole::Tool => {
                // Who says nothing takes no turn.
                let empty = |part: &Part| matches!(&part.kind, PartKind::Text(text) | PartKind::Refusal(text) if text.is_empty());
                if !message.parts.iter().all(empty) {
                    work.turn(false);
                    work.user(&message.parts, &path)?;
                }
            }
        }
    }
    work.close();
    let mut contents = work.out;
    if contents.is_empty() {
        if system.is_empty() {
            return Err(Fault::invalid("messages", format!("{} needs at least one message that says something", target.id)).at(&target.id));
        }
        // Contents must not be empty: instructions alone are what is asked.
        work.notes.push(Note::aside(format!("{} needs a message beside instructions; they were sent as the user's", target.id)));
        contents.push(("user", joined(std::mem::take(&mut system))));
    }
    Ok(Turns { system: if system.is_empty() { Vec::new() } else { joined(system) }, contents })
}

fn missing(target: &Target, path: &str, what: &str) -> Fault {
    crate::dialect::missing(target, path, &format!("{path}: {what}"))
}

fn joined(items: Vec<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.iter().map(|i| i.len() + 1).sum::<usize>() + 2);
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item);
    }
    out.push(b']');
    out
}

/// One item of an array, written with `fill`.
fn item(fill: impl FnOnce(&mut Array<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    array(&mut out, fill);
    out.pop();
    if !out.is_empty() {
        out.remove(0);
    }
    out
}

fn text_part(a: &mut Array<'_>, text: &str, signature: Option<&str>) {
    a.obj(|o| {
        o.str("text", text);
        o.opt_str("thoughtSignature", signature);
    });
}

impl<'a> Work<'a> {
    /// Begins a turn unless this role's is open.
    fn turn(&mut self, model: bool) {
        if self.run.is_empty() {
            self.run.model = model;
        } else if self.run.model != model {
            self.close();
            self.run.model = model;
        }
    }

    fn close(&mut self) {
        let mut run = std::mem::take(&mut self.run);
        if run.is_empty() {
            return;
        }
        if !run.model {
            // Gemini counts: as many answers as the turn before had calls.
            for call in self.pending.iter().filter(|call| !call.answered) {
                self.notes.push(Note::aside(format!("the call {} has no result; an error was sent in its place", call.id)));
                run.results.push(item(|a| response(a, call.id, call.name, |r| r.str("error", "no result was given"), &[])));
            }
            self.pending.clear();
        }
        let mut items = run.results;
        items.append(&mut run.shown);
        items.append(&mut run.said);
        self.out.push((if run.model { "model" } else { "user" }, joined(items)));
    }

    fn model(&mut self, parts: &'a [Part]) {
        // A signature of reasoning rides on what follows it.
        let mut riding: Option<&str> = None;
        let mut said: Vec<Vec<u8>> = Vec::new();
        let mut calls: Vec<Pending<'a>> = Vec::new();
        let mut called = self.run.model && self.run.called;
        for part in parts {
            match &part.kind {
                PartKind::Reasoning { text, signature: Some(own), redacted: None } if signature::ours(own) => {
                    if !text.is_empty() {
                        said.push(item(|a| {
                            a.obj(|o| {
                                o.str("text", text);
                                o.val("thought", true);
                            });
                        }));
                    }
                    riding = Some(own);
                }
                // T3: somebody else's, or nobody's.
                PartKind::Reasoning { .. } => {}
                PartKind::Text(text) | PartKind::Refusal(text) if text.is_empty() => {}
                PartKind::Text(text) | PartKind::Refusal(text) => {
                    let signature = riding.take();
                    said.push(item(|a| text_part(a, text, signature)));
                }
                PartKind::ToolCall { id, name, arguments, signature: own } => {
                    let own = own.as_deref().filter(|own| signature::ours(own)).or_else(|| riding.take());
                    // T1: only the first call of a turn carries one, and has to.
                    let lost = own.is_none() && !called && signature::required(self.target);
                    called = true;
                    if lost {
                        self.notes.push(Note::aside(format!("the call {id} came back without its thought signature; {LOST} was sent")));
                    }
                    let own = own.or(lost.then_some(LOST));
                    said.push(item(|a| {
                        a.obj(|o| {
                            o.obj("functionCall", |f| {
                                f.opt_str("id", Some(id.as_str()).filter(|id| !id.is_empty()));
                                f.str("name", name);
                                f.raw("args", if arguments.trim().is_empty() { "{}" } else { arguments });
                            });
                            o.opt_str("thoughtSignature", own);
                        });
                    }));
                    calls.push(Pending { id, name, answered: false });
                    self.names.push((id, name));
                }
                PartKind::Opaque(Opaque { dialect: DialectName::Gemini, json, .. }) => said.push(json.as_str().as_bytes().to_vec()),
                PartKind::Opaque(_) => {}
                // What the model drew or said goes back as it was; results are never the model's.
                PartKind::Image { .. } | PartKind::File { .. } | PartKind::Audio { .. } => {
                    if let Ok(json) = media::part(self.target, &part.kind, self.notes) {
                        said.push(json);
                    }
                }
                PartKind::ToolResult { .. } => {}
            }
        }
        if let Some(signature) = riding {
            // Nothing followed: Gemini itself sends such a signature with an empty text.
            said.push(item(|a| text_part(a, "", Some(signature))));
        }
        // Who says nothing takes no turn.
        if !said.is_empty() {
            self.turn(true);
            self.run.called = called;
            self.run.said.append(&mut said);
            self.pending.append(&mut calls);
        }
    }

    fn user(&mut self, parts: &'a [Part], path: &str) -> Result<(), Fault> {
        for (at, part) in parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            match &part.kind {
                PartKind::Text(text) | PartKind::Refusal(text) if text.is_empty() => {}
                PartKind::Text(text) | PartKind::Refusal(text) => self.run.said.push(item(|a| text_part(a, text, None))),
                PartKind::ToolResult { id, name, parts, is_error } => self.result(id, name.as_deref(), parts, *is_error, &path)?,
                PartKind::Image { .. } | PartKind::File { .. } | PartKind::Audio { .. } => {
                    let json = media::part(self.target, &part.kind, self.notes).map_err(|what| missing(self.target, &path, &what))?;
                    self.run.said.push(json);
                }
                PartKind::Opaque(Opaque { dialect: DialectName::Gemini, json, .. }) => self.run.said.push(json.as_str().as_bytes().to_vec()),
                PartKind::ToolCall { .. } | PartKind::Reasoning { .. } | PartKind::Opaque(_) => {}
            }
        }
        Ok(())
    }

    fn result(&mut self, id: &'a str, said: Option<&str>, parts: &[Part], is_error: bool, path: &str) -> Result<(), Fault> {
        let known = self.names.iter().rev().find(|(known, _)| *known == id).map(|(_, name)| *name);
        if let Some(call) = self.pending.iter_mut().find(|call| call.id == id && !call.answered) {
            call.answered = true;
        }
        let name = known.or(said).unwrap_or(id);
        let mut text = String::new();
        let mut inside = Vec::new();
        // Gemini 3 takes pictures inside a result ("Multimodal function responses"); before it they follow.
        let nested = signature::generation(self.target).is_some_and(|n| n >= 3);
        for part in parts {
            match &part.kind {
                PartKind::Text(piece) | PartKind::Refusal(piece) => text.push_str(piece),
                kind @ (PartKind::Image { .. } | PartKind::File { .. } | PartKind::Audio { .. }) => {
                    // Sound is not among what may stand inside.
                    let within = nested && !matches!(kind, PartKind::Audio { .. });
                    let json = media::part(self.target, kind, self.notes).map_err(|what| missing(self.target, path, &what))?;
                    if within { inside.push(json) } else { self.run.shown.push(json) }
                }
                _ => {}
            }
        }
        self.run.results.push(item(|a| {
            response(
                a,
                id,
                name,
                |r| match (is_error, object(&text)) {
                    (false, true) => r.members(&text),
                    (false, false) => r.str("output", &text),
                    (true, true) => r.raw("error", text.trim()),
                    (true, false) => r.str("error", &text),
                },
                &inside,
            );
        }));
        Ok(())
    }
}

fn response(a: &mut Array<'_>, id: &str, name: &str, fill: impl FnOnce(&mut Response<'_, '_>), inside: &[Vec<u8>]) {
    a.obj(|o| {
        o.obj("functionResponse", |f| {
            f.opt_str("id", Some(id).filter(|id| !id.is_empty()));
            f.str("name", name);
            fill(&mut Response(f));
            if !inside.is_empty() {
                f.raw("parts", &String::from_utf8(joined(inside.to_vec())).unwrap_or_default());
            }
        });
    });
}

/// Writes `response`, which has to be an object.
struct Response<'a, 'b>(&'a mut Object<'b>);

impl Response<'_, '_> {
    /// The text is the object itself.
    fn members(&mut self, text: &str) {
        self.0.raw("response", text.trim());
    }

    /// The only member, a string.
    fn str(&mut self, name: &str, text: &str) {
        self.0.obj("response", |r| r.str(name, text));
    }

    /// The only member, JSON.
    fn raw(&mut self, name: &str, json: &str) {
        self.0.obj("response", |r| r.raw(name, json));
    }
}

/// Whether a result may stand as an object: it is one, and nothing in it means anything to Gemini.
/// `$ref` in a response points at its pictures there, so data that holds it travels as text (T7).
fn object(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('{') && !text.contains("$ref") && serde_json::from_str::<&RawValue>(text).is_ok()
}
