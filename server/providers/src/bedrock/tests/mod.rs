#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod read;
mod recorded;
mod sent;

use bytes::Bytes;
use headworks_core::{Batch, Event, EventKind, Fault, FinishReason, Target, Tokens};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use super::Bedrock;
use crate::{Dialect, Head, frame::aws};

const STREAM: &str = "application/vnd.amazon.eventstream";

/// The events of a body in pieces of this size, and how it ended.
fn read(target: &Target, kind: &str, body: &[u8], size: usize) -> (Vec<Event>, Option<Fault>) {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_str(kind).unwrap());
    headers.insert("x-amzn-requestid", HeaderValue::from_static("request-1"));
    let mut decoder = Bedrock.decoder(target, &Head { status: StatusCode::OK, headers: &headers });
    let mut batch = Batch::default();
    for piece in body.chunks(size.max(1)) {
        if let Err(fault) = decoder.push(&Bytes::copy_from_slice(piece), &mut batch) {
            return (batch.events.into_vec(), Some(fault));
        }
    }
    let end = decoder.end(&mut batch).err();
    (batch.events.into_vec(), end)
}

/// What a client gets of an answer.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    text: String,
    reasoning: String,
    signatures: Vec<String>,
    redacted: Vec<String>,
    calls: Vec<(String, String, Value)>,
    hosted: Vec<Value>,
    tokens: Option<Tokens>,
    tier: Option<String>,
    finish: Vec<FinishReason>,
}

fn fold(events: &[Event]) -> Answer {
    let (mut out, mut arguments) = (Answer::default(), Vec::<String>::new());
    for event in events {
        match &event.kind {
            EventKind::Text(text) => out.text.push_str(text),
            EventKind::Reasoning(text) => out.reasoning.push_str(text),
            EventKind::ReasoningSignature(text) => out.signatures.push(text.to_string()),
            EventKind::RedactedReasoning(text) => out.redacted.push(text.to_string()),
            EventKind::ToolCallStart { index, id, name, .. } => {
                assert_eq!(*index as usize, out.calls.len(), "F6: calls are counted from 0");
                out.calls.push((id.to_string(), name.to_string(), Value::Null));
                arguments.push(String::new());
            }
            EventKind::ToolCallArguments { index, piece } => arguments[*index as usize].push_str(piece),
            EventKind::Hosted(json) => out.hosted.push(json.read().unwrap()),
            EventKind::Usage { tokens, service_tier } => (out.tokens, out.tier) = (Some(*tokens), service_tier.as_ref().map(ToString::to_string)),
            EventKind::Finished(reason) => out.finish.push(*reason),
            _ => {}
        }
    }
    for (call, text) in out.calls.iter_mut().zip(arguments) {
        call.2 = serde_json::from_str(&text).unwrap_or(Value::String(text));
    }
    out
}

/// Events of Converse, one JSON object `{type: payload}` each, in AWS's framing.
fn frames(events: &[Value]) -> Vec<u8> {
    let one = |event: &Value| {
        let (name, payload) = event.as_object().unwrap().iter().next().unwrap();
        let kind = if name.ends_with("Exception") { ":exception-type" } else { ":event-type" };
        let message = if name.ends_with("Exception") { "exception" } else { "event" };
        aws::message(&[(kind, name), (":content-type", "application/json"), (":message-type", message)], payload.to_string().as_bytes())
    };
    events.iter().flat_map(one).collect()
}
