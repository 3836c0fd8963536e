//! The catalogue, and bytes read as an answer of one of its hosts.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use headworks_core::{Batch, Catalog, DialectName, Event, Fault, Target};
use headworks_providers::{Decoder, Dialect, Head, catalog, dialect, frame::aws};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};

/// One target for each dialect and each host with ways of its own.
pub const TARGETS: [&str; 22] = [
    "openai/gpt-4o",
    "anthropic/claude-sonnet-4-5",
    "google/gemini-2.5-flash",
    "cohere/command-a-03-2025",
    "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0",
    "bedrock/amazon.nova-pro-v1:0",
    "azure/gpt-4o",
    "azure/claude-sonnet-4-5",
    "vertex/gemini-2.5-flash",
    "vertex/claude-sonnet-4-5",
    "vertex/codestral-2",
    "vertex/openai/gpt-oss-120b-maas",
    "mistral/mistral-medium-latest",
    "deepseek/deepseek-v4-flash",
    "perplexity/sonar",
    "alibaba/qwq-plus",
    "xai/grok-4.6",
    "openrouter/any",
    "zai/any",
    "ollama/any",
    "groq/any",
    "openai-compatible/any",
];

fn catalog() -> &'static Catalog {
    static ONCE: OnceLock<Catalog> = OnceLock::new();
    ONCE.get_or_init(|| {
        let set = ["GOOGLE_VERTEX_PROJECT", "AZURE_RESOURCE_NAME", "AWS_REGION"];
        let over = toml::from_str("[azure]\nbase_url = \"http://h\"\n[bedrock]\nregion = \"us-east-1\"\n").expect("TOML");
        catalog::load(&over, &|name: &str| set.contains(&name).then(|| "x".to_owned())).expect("the catalogue")
    })
}

/// A target of the catalogue.
pub fn target(id: &str) -> Arc<Target> {
    catalog().target(id).unwrap_or_else(|| panic!("{id} is no target of the catalogue"))
}

/// The codec of a target.
pub fn codec(target: &Target) -> &'static dyn Dialect {
    target.dialect.and_then(dialect).expect("a codec")
}

/// The kinds of answers.
const KINDS: [&str; 3] = ["application/json", "text/event-stream", ""];

/// How many kinds of answers a host has, as far as bytes are read.
pub const MANY: usize = 4;

/// Whether answers of this kind are Amazon's events, written here so that their checksums are right.
fn spelled(name: DialectName, kind: usize) -> bool {
    name == DialectName::Bedrock && kind % MANY == 3
}

/// The content type of an answer, and its bytes.
pub fn body(name: DialectName, kind: usize, bytes: &[u8]) -> (&'static str, Bytes) {
    let kind = kind % MANY;
    if spelled(name, kind) {
        return ("application/vnd.amazon.eventstream", aws_events(bytes));
    }
    match (name, KINDS.get(kind).copied().unwrap_or_default()) {
        (DialectName::Bedrock, "text/event-stream") => ("application/vnd.amazon.eventstream", Bytes::copy_from_slice(bytes)),
        (_, kind) => (kind, Bytes::copy_from_slice(bytes)),
    }
}

/// Lines `type payload` as Amazon's events, with lengths and checksums that are right.
fn aws_events(lines: &[u8]) -> Bytes {
    let mut out = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (name, payload) = line.split_at(at);
        let name = String::from_utf8_lossy(name);
        // The length of a header is one byte.
        let name: String = name.chars().take(40).collect();
        let (header, message) = match name.ends_with("Exception") {
            true => (":exception-type", "exception"),
            false => (":event-type", "event"),
        };
        out.extend(aws::message(&[(header, &name), (":content-type", "application/json"), (":message-type", message)], payload.trim_ascii()));
    }
    out.into()
}

/// What was read, and how it ended.
#[derive(Debug)]
pub struct Read {
    /// What each read gave.
    pub batches: Vec<Batch>,
    /// What went wrong; `None` where the answer is whole.
    pub fault: Option<Fault>,
}

impl Read {
    /// The events, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.batches.iter().flat_map(|batch| &batch.events)
    }
}

impl PartialEq for Read {
    fn eq(&self, other: &Self) -> bool {
        // Words tell lines and columns, which begin anew with each piece.
        let kind = |fault: &Option<Fault>| fault.as_ref().map(|fault| (fault.reason, fault.cause));
        self.events().eq(other.events()) && kind(&self.fault) == kind(&other.fault)
    }
}

/// Opens a decoder for an answer of this content type.
pub fn open(kind: &str, make: impl FnOnce(&Head<'_>) -> Box<dyn Decoder>) -> Box<dyn Decoder> {
    let mut headers = HeaderMap::new();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert(CONTENT_TYPE, kind);
    }
    make(&Head { status: StatusCode::OK, headers: &headers })
}

/// Reads bytes in pieces of this size.
pub fn read(mut decoder: Box<dyn Decoder>, bytes: &[u8], size: usize) -> Read {
    let mut batches = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        let mut batch = Batch::default();
        let pushed = decoder.push(&Bytes::copy_from_slice(piece), &mut batch);
        covered(&batch);
        batches.push(batch);
        if let Err(fault) = pushed {
            return Read { batches, fault: Some(fault) };
        }
    }
    let mut batch = Batch::default();
    let fault = decoder.end(&mut batch).err();
    covered(&batch);
    batches.push(batch);
    Read { batches, fault }
}

/// Frames cover the events that came with them; what the end adds stands behind those.
fn covered(batch: &Batch) {
    let by_frames: usize = batch.frames.iter().map(|frame| usize::from(frame.events)).sum();
    assert!(by_frames <= batch.events.len(), "frames cover {by_frames} of {} events", batch.events.len());
}
