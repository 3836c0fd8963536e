//! The dialect as a whole: what is sent, what is read, what clients get.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod asked;
mod recorded;
mod sent;
mod told;

use bytes::{Bytes, BytesMut};
use headworks_core::{AttemptReport, Batch, ChatRequest, Event, EventKind, ModelId, NanoUsd, Outcome, Receipt, Target, Tokens};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::{Anthropic, AnthropicDoor};
use crate::{Dialect, Door, Head};

/// What the door makes of a body.
fn asked(body: &Value) -> ChatRequest {
    AnthropicDoor.request(&HeaderMap::new(), &Bytes::from(body.to_string())).unwrap_or_else(|fault| panic!("{fault}: {body}"))
}

/// A target with a minimum of 1024 tokens for its cache.
fn target() -> Target {
    crate::testing::target("anthropic", "claude", |_| ())
}

/// The body that is sent.
fn sent(request: &ChatRequest) -> Value {
    let encoded = Anthropic.encode(&target(), request).unwrap();
    serde_json::from_slice(encoded.request.body()).unwrap_or_else(|error| panic!("{error}: {:?}", encoded.request.body()))
}

/// The account of a call that used these tokens.
fn receipt(tokens: Tokens) -> EventKind {
    let report = AttemptReport {
        ordinal: 1,
        target: ModelId::new("openai", "gpt"),
        served_model: None,
        outcome: Outcome::Success,
        reason: None,
        status: 200,
        message: None,
        timings: Default::default(),
        tokens,
        estimated: false,
        cost: Some(NanoUsd(1_500_000)),
        markup: Default::default(),
        rates: None,
        service_tier: None,
        hold: NanoUsd::ZERO,
        hedge: false,
    };
    let receipt = Receipt {
        request_id: "req_7".into(),
        asked: "openai/gpt".into(),
        policy: None,
        attempts: vec![report],
        skipped: Vec::new(),
        notes: Vec::new(),
        tokens,
        cost: NanoUsd(1_500_000),
        cost_known: true,
        estimated: false,
        saved: NanoUsd(200),
        cached: None,
    };
    EventKind::Receipt(receipt.into())
}

fn batch(kinds: impl IntoIterator<Item = EventKind>) -> Batch {
    let mut batch = Batch::default();
    kinds.into_iter().for_each(|kind| batch.events.push(Event { choice: 0, kind }));
    batch
}

/// What a client gets for these batches.
fn written(request: &ChatRequest, batches: &[Batch]) -> String {
    let (mut writer, mut out) = (AnthropicDoor.writer(request), BytesMut::new());
    batches.iter().for_each(|batch| writer.push(batch, &mut out).unwrap());
    String::from_utf8(out.to_vec()).unwrap()
}

/// The batches that an answer gives, one for each piece of its bytes.
fn read(body: &[u8], stream: bool, piece: usize) -> Vec<Batch> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(if stream { "text/event-stream" } else { "application/json" }));
    let mut decoder = Anthropic.decoder(&target(), &Head { status: StatusCode::OK, headers: &headers });
    let mut out = Vec::new();
    for chunk in body.chunks(piece.max(1)) {
        let mut batch = Batch::default();
        decoder.push(&Bytes::copy_from_slice(chunk), &mut batch).unwrap();
        out.push(batch);
    }
    let mut last = Batch::default();
    decoder.end(&mut last).unwrap();
    out.push(last);
    out.retain(|batch| !batch.events.is_empty() || !batch.frames.is_empty());
    out
}

/// The events of a stream: name and data. Fails where an event lacks its name or the two differ.
fn events(text: &str) -> Vec<(String, Value)> {
    text.split_terminator("\n\n")
        .map(|block| {
            let mut lines = block.lines();
            let name = lines.next().and_then(|l| l.strip_prefix("event: ")).unwrap_or_else(|| panic!("no name: {block}"));
            let data: Value = serde_json::from_str(lines.next().and_then(|l| l.strip_prefix("data: ")).unwrap()).unwrap();
            assert_eq!(data["type"], name, "{block}");
            (name.to_owned(), data)
        })
        .collect()
}

/// The message that a client adds up from its events, as Anthropic's SDKs do; checks their order on the way.
fn message(text: &str) -> Value {
    let all = events(text);
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "ping").collect();
    assert_eq!((names.first(), names.last()), (Some(&"message_start"), Some(&"message_stop")), "{names:?}");
    let mut message = all[0].1["message"].clone();
    let mut inputs: Vec<String> = Vec::new();
    let mut open: Vec<u64> = Vec::new();
    for (name, data) in &all[1..] {
        let index = data["index"].as_u64();
        match name.as_str() {
            "content_block_start" => {
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(index, Some(content.len() as u64), "blocks begin in order");
                content.push(data["content_block"].clone());
                inputs.push(String::new());
                open.push(index.unwrap());
            }
            "content_block_stop" => {
                let at = open.iter().position(|i| Some(*i) == index).expect("only what is open ends");
                open.remove(at);
                let at = index.unwrap() as usize;
                if !inputs[at].is_empty() {
                    // Cut by the token limit: what has come is kept as text.
                    let cut = || serde_json::json!({ "INVALID_JSON": inputs[at] });
                    message["content"][at]["input"] = serde_json::from_str(&inputs[at]).unwrap_or_else(|_| cut());
                }
            }
            "content_block_delta" => {
                assert!(open.contains(&index.unwrap()), "a delta for a block that is not open: {data}");
                let (block, delta) = (&mut message["content"][index.unwrap() as usize], &data["delta"]);
                let field = match delta["type"].as_str().unwrap() {
                    "text_delta" => "text",
                    "thinking_delta" => "thinking",
                    "signature_delta" => "signature",
                    "input_json_delta" => {
                        inputs[index.unwrap() as usize].push_str(delta["partial_json"].as_str().unwrap());
                        continue;
                    }
                    _ => continue,
                };
                let old = block[field].as_str().unwrap_or_default().to_owned();
                block[field] = Value::from(old + delta[field].as_str().unwrap());
            }
            "message_delta" => {
                assert!(open.is_empty(), "every block ends before the message does");
                message["stop_reason"] = data["delta"]["stop_reason"].clone();
                for (name, count) in data["usage"].as_object().into_iter().flatten() {
                    message["usage"][name] = count.clone();
                }
            }
            _ => {}
        }
    }
    message
}
