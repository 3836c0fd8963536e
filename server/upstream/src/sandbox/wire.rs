use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    ask::Refusal,
    reply::{Answer, Piece},
};

/// What every chunk of an answer repeats.
pub(super) struct Stamp {
    pub id: String,
    /// Unix seconds.
    pub created: u64,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u64,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Serialize)]
struct CallDelta<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

fn call_id(stamp: &Stamp, choice: u64, index: u32) -> String {
    format!("call_{}_{choice}_{index}", stamp.id)
}

fn usage(answer: &Answer) -> Value {
    json!({
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        "prompt_tokens_details": { "cached_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": answer.reasoning_tokens },
    })
}

fn frame(answer: &Answer, stamp: &Stamp, choices: &[ChunkChoice<'_>], usage: Option<Value>, out: &mut BytesMut) {
    let chunk = Chunk { id: &stamp.id, object: "chat.completion.chunk", created: stamp.created, model: &answer.model, choices, usage };
    out.extend_from_slice(b"data: ");
    // Neither the value nor the buffer can fail.
    let _ = serde_json::to_writer(out.writer(), &chunk);
    out.extend_from_slice(b"\n\n");
}

fn each_choice<'a>(answer: &Answer, stamp: &Stamp, out: &mut BytesMut, delta: impl Fn(u64) -> Delta<'a>, finish: Option<&'static str>) {
    for index in 0..answer.choices {
        frame(answer, stamp, &[ChunkChoice { index, delta: delta(index), finish_reason: finish }], None, out);
    }
}

/// The chunk that only says who speaks.
pub(super) fn start(answer: &Answer, stamp: &Stamp, out: &mut BytesMut) {
    let delta = |_| Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
    each_choice(answer, stamp, out, delta, None);
}

/// One piece, for every choice.
pub(super) fn piece(answer: &Answer, stamp: &Stamp, piece: &Piece, out: &mut BytesMut) {
    let delta = |choice| match piece {
        Piece::Text(text) => Delta { content: Some(text), ..Delta::default() },
        Piece::Reasoning(text) => Delta { reasoning_content: Some(text), ..Delta::default() },
        Piece::Call { index, name } => Delta {
            tool_calls: Some([CallDelta {
                index: *index,
                id: Some(call_id(stamp, choice, *index)),
                kind: Some("function"),
                function: FunctionDelta { name: Some(name), arguments: "" },
            }]),
            ..Delta::default()
        },
        Piece::Arguments { index, piece } => Delta {
            tool_calls: Some([CallDelta { index: *index, id: None, kind: None, function: FunctionDelta { name: None, arguments: piece } }]),
            ..Delta::default()
        },
    };
    each_choice(answer, stamp, out, delta, None);
}

/// The good end of a stream.
pub(super) fn end(answer: &Answer, stamp: &Stamp, out: &mut BytesMut) {
    each_choice(answer, stamp, out, |_| Delta::default(), Some(answer.finish));
    if answer.include_usage {
        frame(answer, stamp, &[], Some(usage(answer)), out);
    }
    out.extend_from_slice(b"data: [DONE]\n\n");
}

/// The whole answer as one JSON body.
pub(super) fn whole(answer: &Answer, stamp: &Stamp) -> Vec<u8> {
    let choices: Vec<Value> = (0..answer.choices)
        .map(|choice| json!({ "index": choice, "message": message(answer, stamp, choice), "logprobs": null, "finish_reason": answer.finish }))
        .collect();
    let body = json!({
        "id": stamp.id,
        "object": "chat.completion",
        "created": stamp.created,
        "model": answer.model,
        "choices": choices,
        "usage": usage(answer),
    });
    body.to_string().into_bytes()
}

fn message(answer: &Answer, stamp: &Stamp, choice: u64) -> Value {
    let (mut text, mut reasoning) = (String::new(), String::new());
    let mut calls: Vec<(u32, &str, String)> = Vec::new();
    for piece in &answer.pieces {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Reasoning(piece) => reasoning.push_str(piece),
            Piece::Call { index, name } => calls.push((*index, name, String::new())),
            Piece::Arguments { piece, .. } => {
                if let Some((_, _, arguments)) = calls.last_mut() {
                    arguments.push_str(piece);
                }
            }
        }
    }
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { Value::from(text) };
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
    if !reasoning.is_empty() {
        message["reasoning_content"] = reasoning.into();
    }
    if !calls.is_empty() {
        let calls = calls.into_iter().map(|(index, name, arguments)| {
            json!({
                "id": call_id(stamp, choice, index),
                "type": "function",
                "function": { "name": name, "arguments": arguments },
            })
        });
        message["tool_calls"] = calls.collect();
    }
    message
}

/// The body of an error.
pub(super) fn refusal(refusal: &Refusal) -> Vec<u8> {
    let Refusal { message, kind, code, param, .. } = refusal;
    json!({ "error": { "message": message, "type": kind, "code": code, "param": param } }).to_string().into_bytes()
}
