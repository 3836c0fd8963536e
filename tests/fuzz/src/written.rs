//! Bytes as a host's answer, written for the clients of a door and read back: whole and streamed mean the same, and the same
//! as what the host said; nothing that failed ends well.

use std::{collections::BTreeMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use headworks_core::{AttemptReport, Batch, DialectName, Event, EventKind, Fault, FinishReason, NanoUsd, Outcome, Receipt, Target, Timings, Tokens};
use headworks_providers::{Door, ErrorFace, anthropic::AnthropicDoor, dialect, frame::sse::SseParser, openai::OpenAiDoor, responses::ResponsesDoor};
use http::HeaderMap;
use serde_json::Value;

use crate::{
    chosen,
    hosts::{self, codec, open, read, target},
};

/// One host for each dialect.
const HOSTS: [&str; 7] = [
    "openai/gpt-4o",
    "anthropic/claude-sonnet-4-5",
    "google/gemini-2.5-flash",
    "cohere/command-a-03-2025",
    "openai/gpt-5-pro",
    "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0",
    "deepseek/deepseek-v4-flash",
];

/// For clients of chat completions.
pub fn chat(data: &[u8]) {
    written(&OpenAiDoor, data);
}

/// For clients of Anthropic's messages.
pub fn messages(data: &[u8]) {
    written(&AnthropicDoor, data);
}

/// For clients of OpenAI's Responses.
pub fn responses(data: &[u8]) {
    written(&ResponsesDoor, data);
}

/// The account of a call that went to one target.
pub fn receipt(target: &Target) -> Receipt {
    let tokens = Tokens { input: 3, output: 4, ..Tokens::default() };
    let attempt = AttemptReport {
        ordinal: 1,
        target: target.id.clone(),
        served_model: None,
        outcome: Outcome::Success,
        reason: None,
        status: 200,
        message: None,
        timings: Timings::default(),
        tokens,
        estimated: false,
        cost: Some(NanoUsd(7)),
        markup: NanoUsd(0),
        rates: None,
        service_tier: None,
        hold: NanoUsd(9),
        hedge: false,
    };
    Receipt {
        request_id: "req_1".into(),
        asked: "m".into(),
        policy: None,
        attempts: vec![attempt],
        skipped: Vec::new(),
        notes: Vec::new(),
        tokens,
        cost: NanoUsd(7),
        cost_known: true,
        estimated: false,
        saved: NanoUsd(0),
        cached: None,
    }
}

/// One answer as a reader knows it at its end.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    text: String,
    refusal: String,
    reasoning: String,
    calls: Vec<(String, String)>,
    finish: Option<FinishReason>,
}

/// Anthropic's clients are told of a refusal in the text, where it stands.
fn fold<'a>(door: &dyn Door, events: impl Iterator<Item = &'a Event>) -> BTreeMap<u16, Said> {
    let mut choices: BTreeMap<u16, Said> = BTreeMap::new();
    for event in events {
        let said = choices.entry(event.choice).or_default();
        match &event.kind {
            EventKind::Text(text) => said.text.push_str(text),
            EventKind::Refusal(text) if door.name() == DialectName::Anthropic => said.text.push_str(text),
            EventKind::Refusal(text) => said.refusal.push_str(text),
            EventKind::Reasoning(text) => said.reasoning.push_str(text),
            EventKind::ToolCallStart { name, .. } => said.calls.push((name.to_string(), String::new())),
            EventKind::ToolCallArguments { index, piece } => {
                if let Some(call) = said.calls.get_mut(*index as usize) {
                    call.1.push_str(piece);
                }
            }
            EventKind::Finished(reason) => said.finish = Some(*reason),
            _ => {}
        }
    }
    choices
}

/// What the client of a door is sent: the bytes, and whether they end well.
fn write(door: &dyn Door, stream: bool, batches: &[Batch], fault: Option<&Fault>, last: &Batch) -> (BytesMut, bool) {
    let input = if door.name() == DialectName::OpenAiResponses { r#""input":"x""# } else { r#""max_tokens":9,"messages":[{"role":"user","content":"x"}]"# };
    let thinks = if door.name() == DialectName::Anthropic { r#","thinking":{"type":"enabled","budget_tokens":1024}"# } else { "" };
    let ask = format!(r#"{{"model":"m","stream":{stream},{input}{thinks}}}"#);
    let mut writer = door.writer(&door.request(&HeaderMap::new(), &Bytes::from(ask)).expect("a request"));
    writer.begin("req_1");
    let mut out = BytesMut::new();
    let mut failed = batches.iter().find_map(|batch| writer.push(batch, &mut out).err()).or_else(|| fault.cloned());
    if failed.is_none() {
        failed = writer.push(last, &mut out).err();
    }
    let Some(fault) = failed else { return (out, true) };
    if !stream {
        assert!(out.is_empty(), "half an answer: {}", out.escape_ascii());
        return (out, false);
    }
    let face = ErrorFace { status: 502, kind: "api_error", code: None, retryable: true, request_id: None };
    writer.fault(&fault, &face, &mut out);
    (out, false)
}

fn written(door: &dyn Door, data: &[u8]) {
    let Some((size, choice, bytes)) = chosen(data) else { return };
    let (kind, forget, at) = (choice % hosts::MANY, choice / hosts::MANY % 2 == 1, choice / hosts::MANY / 2);
    let host = HOSTS[at % HOSTS.len()];
    let target = target(host);
    let codec = if host == "openai/gpt-5-pro" { dialect(DialectName::OpenAiResponses).expect("a codec") } else { codec(&target) };
    let (kind, body) = hosts::body(codec.name(), kind, bytes);
    let mut read_in = read(open(kind, |head| codec.decoder(&target, head)), &body, size + 1);
    if forget {
        read_in.batches.iter_mut().for_each(Batch::edited);
    }
    let mut last = Batch::default();
    last.push(EventKind::Receipt(Arc::new(receipt(&target))));
    let (streamed, good) = write(door, true, &read_in.batches, read_in.fault.as_ref(), &last);
    let told = frames(&streamed);
    if !good {
        return ends_badly(door, &told);
    }
    // What passes as it came has the host's own order; that it ends is all that can be said of it.
    let passed = !forget && codec.name() == door.name();
    if !passed {
        ends_well(door, &told);
    }
    let (whole, good) = write(door, false, &read_in.batches, None, &last);
    assert!(good, "streamed well and failed as a whole");
    serde_json::from_slice::<Value>(&whole).unwrap_or_else(|error| panic!("{error}: {}", whole.escape_ascii()));
    if passed {
        return;
    }

    let mut said = fold(door, read_in.events());
    if door.name() != DialectName::OpenAi {
        said.retain(|choice, _| *choice == 0);
    }
    let own = dialect(door.name()).expect("a codec");
    let own_target = crate::hosts::target(match door.name() {
        DialectName::Anthropic => "anthropic/claude-sonnet-4-5",
        _ => "openai/gpt-4o",
    });
    let back = |kind: &str, bytes: &[u8]| {
        let read = read(open(kind, |head| own.decoder(&own_target, head)), bytes, usize::MAX >> 1);
        assert!(read.fault.is_none(), "our own clients cannot read it: {:?}: {}", read.fault, bytes.escape_ascii());
        fold(door, read.events())
    };
    let (as_stream, as_whole) = (back("text/event-stream", &streamed), back("application/json", &whole));
    same(door, &as_stream, &as_whole, "whole and streamed");
    same(door, &as_stream, &said, "what was sent and what the host said");
}

/// Both mean the same, as far as a door has words for it.
fn same(door: &dyn Door, a: &BTreeMap<u16, Said>, b: &BTreeMap<u16, Said>, what: &str) {
    let plain = |choices: &BTreeMap<u16, Said>| -> BTreeMap<u16, Said> {
        choices.iter().map(|(choice, said)| (*choice, plainly(door, said.clone()))).filter(|(_, said)| *said != Said::default()).collect()
    };
    assert_eq!(plain(a), plain(b), "{what}");
}

fn plainly(door: &dyn Door, mut said: Said) -> Said {
    for (_, arguments) in &mut said.calls {
        // No arguments are an empty object everywhere.
        let value: Option<Value> = serde_json::from_str(arguments).ok();
        *arguments = match value {
            Some(value @ Value::Object(_)) => value.to_string(),
            _ if matches!(arguments.trim(), "" | "null") => "{}".to_owned(),
            // Anthropic's clients are given what is no object in one.
            _ if door.name() == DialectName::Anthropic => String::new(),
            _ => std::mem::take(arguments),
        };
        if door.name() == DialectName::Anthropic && arguments.contains("INVALID_JSON") {
            arguments.clear();
        }
    }
    if door.name() == DialectName::Anthropic {
        // It has no word for an end that is an error.
        said.finish = None;
    }
    said
}

/// Name and data of each event.
fn frames(stream: &[u8]) -> Vec<(String, Option<Value>)> {
    let (mut parser, mut told) = (SseParser::default(), Vec::new());
    let mut each = |event: headworks_providers::frame::sse::SseEvent| {
        let data = if &event.data[..] == b"[DONE]" {
            None
        } else {
            Some(serde_json::from_slice(&event.data).unwrap_or_else(|error| panic!("{error}: {}", event.data.escape_ascii())))
        };
        told.push((String::from_utf8_lossy(&event.name).into_owned(), data));
        Ok(())
    };
    parser.push(&Bytes::copy_from_slice(stream), &mut each).expect("small events");
    parser.end(&mut each).expect("small events");
    told
}

/// F3: an error is told last, and no good end stands before or behind it.
fn ends_badly(door: &dyn Door, told: &[(String, Option<Value>)]) {
    let (name, data) = told.last().expect("an error is told");
    let data = data.as_ref().expect("an error, not [DONE]");
    let well: &[&str] = match door.name() {
        DialectName::OpenAi => &[],
        DialectName::Anthropic => &["message_stop"],
        _ => &["response.completed", "response.incomplete"],
    };
    assert!(told.iter().all(|(name, data)| data.is_some() && !well.contains(&name.as_str())), "a good end in a stream that failed: {told:?}");
    match door.name() {
        DialectName::OpenAi => assert!(data["error"]["message"].is_string(), "{data}"),
        DialectName::Anthropic => assert_eq!((name.as_str(), &data["type"]), ("error", &Value::from("error"))),
        _ => assert!(matches!(name.as_str(), "error" | "response.failed"), "{name}"),
    }
}

fn ends_well(door: &dyn Door, told: &[(String, Option<Value>)]) {
    let ends = |wanted: &[&str]| told.iter().filter(|(name, _)| wanted.contains(&name.as_str())).count();
    let last = told.last().map(|(name, data)| (name.as_str(), data.is_some()));
    match door.name() {
        DialectName::OpenAi => {
            assert!(last.is_some_and(|(_, data)| !data) && told.iter().filter(|(_, data)| data.is_none()).count() == 1, "[DONE] once, last: {told:?}");
        }
        DialectName::Anthropic => {
            assert_eq!(told.first().map(|(name, _)| name.as_str()), Some("message_start"), "{told:?}");
            assert!(last == Some(("message_stop", true)) && ends(&["message_stop"]) == 1, "message_stop once, last: {told:?}");
        }
        _ => {
            let all = ["response.completed", "response.incomplete", "response.failed"];
            assert!(last.is_some_and(|(name, _)| all.contains(&name)) && ends(&all) == 1, "one end, last: {told:?}");
        }
    }
}
