use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_core::Stream;
use smallvec::SmallVec;

use crate::{DialectName, Fault, Json, ModelId, Receipt, Str, Tokens, Vector};

/// One thing that happened in an answer. A reply is the fold of its events.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// Which of the `n` answers, from 0.
    pub choice: u16,
    /// What happened.
    pub kind: EventKind,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum FinishReason {
    /// The model was done, or met a stop text.
    Stop,
    /// A token limit.
    Length,
    /// The client has complete calls to run.
    ToolCalls,
    /// A content filter or refusal.
    ContentFilter,
    /// The provider says the answer failed.
    Error,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum EventKind {
    /// The answer exists; not content.
    Started {
        /// The provider's id of it.
        id: Option<Str>,
        /// The host's own name for the model that serves.
        model: Option<Str>,
        /// Unix seconds by the provider's clock.
        created: Option<i64>,
    },
    /// Text.
    Text(Str),
    /// A refusal, in words.
    Refusal(Str),
    /// Reasoning that can be read.
    Reasoning(Str),
    /// The signature that closes the reasoning block before it; also alone, with no text.
    ReasoningSignature(Str),
    /// A block of encrypted reasoning.
    RedactedReasoning(Str),
    /// A tool call begins.
    ToolCallStart {
        /// 0, 1, 2, ... per choice, over the whole answer.
        index: u32,
        /// Unique in the answer.
        id: Str,
        /// The tool.
        name: Str,
        /// The issuer's signature on the call.
        signature: Option<Str>,
    },
    /// More of a call's arguments: pieces of one JSON object.
    ToolCallArguments {
        /// Which call.
        index: u32,
        /// The piece.
        piece: Str,
    },
    /// A call's arguments are complete.
    ToolCallEnd {
        /// Which call.
        index: u32,
    },
    /// Something that a provider's own tool did; never a call for the client to run.
    Hosted(Json),
    /// Log probabilities of the text just given, in OpenAI's `logprobs` form.
    Logprobs(Json),
    /// Something else that only this dialect understands, such as annotations.
    Opaque {
        /// The dialect.
        dialect: DialectName,
        /// Its name there.
        name: Str,
        /// The value.
        json: Json,
    },
    /// Tokens so far; the last report wins.
    Usage {
        /// By kind.
        tokens: Tokens,
        /// The service tier that the provider says it used.
        service_tier: Option<Str>,
    },
    /// One input's vector.
    Embedded {
        /// Which input, from 0.
        index: u32,
        /// The vector.
        vector: Vector,
    },
    /// How many tokens the input has: the answer to a count, which nobody bills.
    Counted {
        /// Tokens of the input.
        tokens: i64,
        /// The count is the gateway's own guess: the host has no way to ask.
        estimated: bool,
    },
    /// Where the provider says it processed the answer, in its own word, where that decides the price (Anthropic's `inference_geo`).
    Residency(Str),
    /// This choice is complete.
    Finished(FinishReason),
    /// Another target goes on where one broke off. Made by the gateway, never by a dialect.
    Recovered {
        /// What broke off.
        from: ModelId,
        /// What goes on.
        to: ModelId,
    },
    /// What came before is to be discarded: the answer starts over. Made by the gateway, never by a dialect.
    Restarted {
        /// What broke off.
        from: ModelId,
        /// What starts over.
        to: ModelId,
    },
    /// The whole call is accounted for; the last event of every good answer. Made by the gateway, never by a dialect.
    Receipt(Arc<Receipt>),
}

impl EventKind {
    /// True for what a reader of the answer would notice: the commit point of failover.
    pub fn is_content(&self) -> bool {
        match self {
            EventKind::Text(text) | EventKind::Refusal(text) | EventKind::Reasoning(text) => !text.is_empty(),
            EventKind::ReasoningSignature(_)
            | EventKind::RedactedReasoning(_)
            | EventKind::ToolCallStart { .. }
            | EventKind::ToolCallArguments { .. }
            | EventKind::ToolCallEnd { .. }
            | EventKind::Hosted(_)
            | EventKind::Embedded { .. }
            | EventKind::Counted { .. }
            | EventKind::Finished(_)
            | EventKind::Receipt(_) => true,
            EventKind::Recovered { .. }
            | EventKind::Restarted { .. }
            | EventKind::Started { .. }
            | EventKind::Logprobs(_)
            | EventKind::Opaque { .. }
            | EventKind::Usage { .. }
            | EventKind::Residency(_) => false,
        }
    }
}

/// The upstream's own bytes behind some events: one SSE frame with its blank
/// line, or one whole JSON body.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The bytes; empty where the frame must not be passed on as it came
    /// (wrong tool index, another field name than the dialect's standard, ...).
    pub bytes: Bytes,
    /// How many of the batch's events came from it; frames and events are in the same order.
    pub events: u16,
}

/// What one read from the upstream gave. Events move through the layers together.
/// Most reads give one event, and a batch is moved at every layer: so one is kept in place.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The events, in order.
    pub events: SmallVec<[Event; 1]>,
    /// The bytes they came from, while nobody has edited the events. Where
    /// present, `frames` covers all `events`.
    pub frames: SmallVec<[Frame; 1]>,
    /// The dialect of `frames`.
    pub dialect: Option<DialectName>,
}

impl Batch {
    /// Appends an event of choice 0.
    pub fn push(&mut self, kind: EventKind) {
        self.events.push(Event { choice: 0, kind });
    }

    /// Appends an event.
    pub fn push_for(&mut self, choice: u16, kind: EventKind) {
        self.events.push(Event { choice, kind });
    }

    /// True if anything in it is content.
    pub fn has_content(&self) -> bool {
        self.events.iter().any(|event| event.kind.is_content())
    }

    /// Forgets the upstream's bytes: an event was edited.
    pub fn edited(&mut self) {
        self.frames.clear();
        self.dialect = None;
    }
}

/// The events of an answer, as they come.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Batch, Fault>> + Send>>;

/// An upstream's answer that has begun, before anybody accounted for it.
pub struct Begun {
    /// HTTP status.
    pub status: u16,
    /// What was changed on the client's behalf to spell the request.
    pub notes: Vec<Arc<str>>,
    /// The answer.
    pub events: EventStream,
}

/// What is known of a call before its answer, for headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What was changed so that the call fits a budget: `max_tokens=512`.
    pub adjusted: Option<Arc<str>>,
    /// What the client should be warned of: the model that serves is about to be retired.
    pub warning: Option<Arc<str>>,
    /// How far the nearest limits of requests and of tokens are.
    pub rates: Option<Box<Rated>>,
    /// Whether the call was answered before, where it asked for that.
    pub lookup: Option<Lookup>,
}

/// What became of a call that may be answered from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It was, by an answer of this age.
    Hit(std::time::Duration),
    /// It was not.
    Miss,
}

/// How far rate limits are, where there are some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rated {
    /// Of the limits of requests the one with the least left.
    pub requests: Option<Left>,
    /// Of the limits of tokens.
    pub tokens: Option<Left>,
}

/// How far one rate limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The limit.
    pub limit: i64,
    /// What is left of it now, this call taken off.
    pub remaining: i64,
    /// Until all of it is there again.
    pub reset: std::time::Duration,
}

/// An answer that has begun.
pub struct Reply {
    /// Who serves it.
    pub served_by: ModelId,
    /// Identifies the request in records.
    pub request_id: Arc<str>,
    /// How many attempts it took to begin.
    pub attempts: u32,
    /// What its payers should know before the answer.
    pub facts: Facts,
    /// The answer.
    pub events: EventStream,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("served_by", &self.served_by).field("request_id", &self.request_id).finish_non_exhaustive()
    }
}
