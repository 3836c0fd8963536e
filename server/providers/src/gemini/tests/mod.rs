//! The dialect as a whole: what is sent, what is read, and recorded answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod read;
mod recorded;
mod sent;

use bytes::Bytes;
use headworks_core::{Batch, Event, EventKind, Fault, FinishReason, Target, Tokens};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Gemini;
use crate::{Dialect, Head};

/// Reads `body` in pieces of `size` bytes.
fn read(target: &Target, kind: &'static str, body: &[u8], size: usize) -> Result<Vec<Event>, Box<(Fault, Vec<Event>)>> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut decoder = Gemini.decoder(target, &Head { status: StatusCode::OK, headers: &headers });
    let mut out = Batch::default();
    let mut go = || {
        for piece in body.chunks(size.max(1)) {
            decoder.push(&Bytes::copy_from_slice(piece), &mut out)?;
            assert!(!decoder.is_done(), "usage may come in the last bytes");
        }
        decoder.end(&mut out)
    };
    let result = go();
    let events = out.events.into_vec();
    match result {
        Ok(()) => Ok(events),
        Err(fault) => Err(Box::new((fault, events))),
    }
}

/// A choice folded from its events.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    text: String,
    reasoning: String,
    /// Id, name, arguments, signature.
    calls: Vec<(String, String, String, Option<String>)>,
    signatures: Vec<String>,
    hosted: usize,
    opaque: Vec<String>,
    logprobs: Vec<String>,
    finish: Vec<FinishReason>,
    tokens: Option<Tokens>,
    tier: Option<String>,
    model: Option<String>,
}

fn fold(events: &[Event], choice: u16) -> Answer {
    let mut a = Answer::default();
    for event in events {
        match &event.kind {
            EventKind::Usage { tokens, service_tier } => {
                a.tokens = Some(*tokens);
                a.tier = service_tier.as_ref().map(|t| t.to_string());
            }
            EventKind::Started { model, .. } => a.model = model.as_ref().map(|m| m.to_string()),
            _ if event.choice != choice => {}
            EventKind::Text(text) => a.text.push_str(text),
            EventKind::Reasoning(text) => a.reasoning.push_str(text),
            EventKind::ReasoningSignature(s) => a.signatures.push(s.to_string()),
            EventKind::ToolCallStart { index, id, name, signature } => {
                assert_eq!(*index as usize, a.calls.len(), "T4: indices run 0, 1, 2");
                a.calls.push((id.to_string(), name.to_string(), String::new(), signature.as_ref().map(|s| s.to_string())));
            }
            EventKind::ToolCallArguments { index, piece } => a.calls[*index as usize].2.push_str(piece),
            EventKind::ToolCallEnd { index } => assert!((*index as usize) < a.calls.len()),
            EventKind::Hosted(_) => a.hosted += 1,
            EventKind::Opaque { name, .. } => a.opaque.push(name.to_string()),
            EventKind::Logprobs(json) => a.logprobs.push(json.as_str().to_owned()),
            EventKind::Finished(reason) => a.finish.push(*reason),
            other => panic!("no event of this dialect: {other:?}"),
        }
    }
    a
}
