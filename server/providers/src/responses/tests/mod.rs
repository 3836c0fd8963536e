#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod read;
mod recorded;
mod sent;
mod written;

use bytes::Bytes;
use headworks_core::{Batch, EventKind, Fault, FinishReason, Target, Tokens};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Responses;
use crate::{Dialect, Head};

/// An answer as its events add up.
#[derive(Debug, Default, PartialEq)]
struct Answer {
    id: String,
    model: String,
    text: String,
    refusal: String,
    reasoning: String,
    sealed: Vec<String>,
    /// Id, name, arguments, and whether its end was told.
    calls: Vec<(String, String, String, bool)>,
    hosted: usize,
    opaque: Vec<String>,
    logprobs: usize,
    tokens: Option<Tokens>,
    tier: Option<String>,
    finish: Vec<FinishReason>,
}

fn fold<'a>(events: impl IntoIterator<Item = &'a EventKind>) -> Answer {
    let mut a = Answer::default();
    for event in events {
        match event {
            EventKind::Started { id, model, .. } => {
                a.id = id.as_deref().unwrap_or_default().to_owned();
                a.model = model.as_deref().unwrap_or_default().to_owned();
            }
            EventKind::Text(t) => a.text.push_str(t),
            EventKind::Refusal(t) => a.refusal.push_str(t),
            EventKind::Reasoning(t) => a.reasoning.push_str(t),
            EventKind::ReasoningSignature(t) => a.sealed.push(t.to_string()),
            EventKind::ToolCallStart { index, id, name, .. } => {
                assert_eq!(usize::try_from(*index).unwrap(), a.calls.len(), "T4: indices run 0, 1, 2");
                a.calls.push((id.to_string(), name.to_string(), String::new(), false));
            }
            EventKind::ToolCallArguments { index, piece } => a.calls[*index as usize].2.push_str(piece),
            EventKind::ToolCallEnd { index } => {
                assert!(!std::mem::replace(&mut a.calls[*index as usize].3, true), "ends once");
            }
            EventKind::Hosted(_) => a.hosted += 1,
            EventKind::Opaque { name, .. } => a.opaque.push(name.to_string()),
            EventKind::Logprobs(_) => a.logprobs += 1,
            EventKind::Usage { tokens, service_tier } => {
                a.tokens = Some(*tokens);
                a.tier = service_tier.as_deref().map(str::to_owned);
            }
            EventKind::Finished(reason) => a.finish.push(*reason),
            other => panic!("{other:?} is not said by this dialect"),
        }
    }
    a
}

/// The events of a body read in pieces of `size` bytes; with the fault where it ends badly.
fn read(target: &Target, kind: &'static str, body: &[u8], size: usize) -> (Vec<EventKind>, Option<Fault>) {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut decoder = Responses.decoder(target, &Head { status: StatusCode::OK, headers: &headers });
    let mut batch = Batch::default();
    let mut fault = body.chunks(size).find_map(|piece| decoder.push(&Bytes::copy_from_slice(piece), &mut batch).err());
    if fault.is_none() && !decoder.is_done() {
        fault = decoder.end(&mut batch).err();
    }
    if fault.is_none() {
        let covered: usize = batch.frames.iter().map(|frame| usize::from(frame.events)).sum();
        assert_eq!(covered, batch.events.len(), "frames cover all events");
    }
    (batch.events.into_iter().map(|event| event.kind).collect(), fault)
}
