//! Bytes as a client's request.

use std::collections::BTreeSet;

use bytes::Bytes;
use headworks_core::{ChatRequest, DialectName, Target};
use headworks_providers::{Dialect, Door, anthropic::AnthropicDoor, dialect, members, openai::OpenAiDoor, responses::ResponsesDoor};
use http::HeaderMap;
use serde_json::Value;

use crate::{
    LONGEST,
    hosts::{TARGETS, codec, target},
};

/// Bytes as a chat completion.
pub fn chat(data: &[u8]) {
    request(&OpenAiDoor, data);
}

/// Bytes as a message of Anthropic's.
pub fn messages(data: &[u8]) {
    request(&AnthropicDoor, data);
}

/// Bytes as a request of OpenAI's Responses.
pub fn responses(data: &[u8]) {
    request(&ResponsesDoor, data);
}

fn request(door: &dyn Door, data: &[u8]) {
    if data.len() > LONGEST {
        return;
    }
    let Ok(mut request) = door.request(&HeaderMap::new(), &Bytes::copy_from_slice(data)) else { return };
    for auto_cache in [None, Some(true)] {
        request.auto_cache = auto_cache;
        sent(&request);
    }
    let _ = door.writer(&request);
    request.auto_cache = None;
    request.edited();
    sent(&request);
    again(door, request);
}

/// Whatever is sent is a JSON object.
pub fn sent(request: &ChatRequest) {
    for id in TARGETS {
        let target = target(id);
        let codec = codec(&target);
        spelled(codec, &target, request);
        if target.host.quirks.responses {
            spelled(dialect(DialectName::OpenAiResponses).expect("a codec"), &target, request);
        }
    }
}

fn spelled(codec: &dyn Dialect, target: &Target, request: &ChatRequest) {
    for encoded in [codec.encode(target, request), codec.encode_count(target, request)].into_iter().flatten() {
        let body = encoded.request.body();
        assert!(members(body).is_ok() && serde_json::from_slice::<&serde_json::value::RawValue>(body).is_ok(), "{}: {}", target.id, body.escape_ascii());
    }
}

/// What we spell of a request, read by the door of the same dialect and spelled again, holds the same words and numbers; and
/// from then on every crossing gives the same.
fn again(door: &dyn Door, request: ChatRequest) {
    let id = match door.name() {
        DialectName::Anthropic => "anthropic/claude-sonnet-4-5",
        DialectName::OpenAiResponses => "openai/gpt-5-pro",
        _ => "openai/gpt-4o",
    };
    let target = target(id);
    let codec = dialect(door.name()).expect("a codec");
    let Ok(first) = codec.encode(&target, &request) else { return };
    let first = first.request.into_body();
    let cross = |body: &Bytes| {
        let mut back = door.request(&HeaderMap::new(), body).unwrap_or_else(|fault| panic!("not read: {fault:?}: {}", body.escape_ascii()));
        back.edited();
        back.betas.clone_from(&request.betas);
        codec.encode(&target, &back).unwrap_or_else(|fault| panic!("not spelled: {fault:?}: {}", body.escape_ascii())).request.into_body()
    };
    let second = cross(&first);
    let (mut before, mut behind) = (BTreeSet::new(), BTreeSet::new());
    leaves(&parsed(&first), &mut before);
    leaves(&parsed(&second), &mut behind);
    assert_eq!(before, behind, "{} became {}", first.escape_ascii(), second.escape_ascii());
    assert_eq!(parsed(&second), parsed(&cross(&second)));
}

/// All texts and numbers, but for those that only say what stands beside them.
fn leaves(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().filter(|(name, _)| !matches!(&***name, "type" | "role")).for_each(|(_, value)| leaves(value, found)),
        Value::Array(list) => list.iter().for_each(|value| leaves(value, found)),
        leaf => drop(found.insert(leaf.to_string())),
    }
}

fn parsed(body: &[u8]) -> Value {
    plain(serde_json::from_slice(body).expect("JSON"))
}

/// One text and a list of one text are the same content.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| match (&*name, plain(value)) {
                ("content" | "output", Value::Array(list)) => match &list[..] {
                    [Value::Object(one)] if one.len() == 2 && one.get("text").is_some_and(Value::is_string) => {
                        (name, one.get("text").cloned().unwrap_or_default())
                    }
                    _ => (name, Value::Array(list)),
                },
                (_, value) => (name, value),
            })
            .collect(),
        Value::Array(list) => list.into_iter().map(plain).collect(),
        other => other,
    }
}
