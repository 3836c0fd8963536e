//! Answers made by us: what no recording holds.

use headworks_core::{Cause, FinishReason, Target};
use serde_json::{Value, json};

use super::{STREAM, fold, frames, read};
use crate::testing;

fn target() -> Target {
    testing::target("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", |_| ())
}

fn start(index: u32, start: Value) -> Value {
    json!({"contentBlockStart": {"contentBlockIndex": index, "start": start}})
}

fn delta(index: u32, delta: Value) -> Value {
    json!({"contentBlockDelta": {"contentBlockIndex": index, "delta": delta, "p": "abcd"}})
}

fn stop(index: u32) -> Value {
    json!({"contentBlockStop": {"contentBlockIndex": index}})
}

fn ended(reason: &str) -> Value {
    json!({"messageStop": {"stopReason": reason}})
}

/// Base64 of a signature with the shape of Anthropic's.
const SIGNED: &str = "EgoKCAgLGAIqQGFi";

/// One answer with everything in it, streamed.
fn everything() -> Vec<Value> {
    vec![
        json!({"messageStart": {"role": "assistant"}}),
        delta(0, json!({"reasoningContent": {"text": "hm"}})),
        delta(0, json!({"reasoningContent": {"text": "m"}})),
        delta(0, json!({"reasoningContent": {"signature": "EgoKCAgL"}})),
        delta(0, json!({"reasoningContent": {"signature": "GAIqQGFi"}})),
        stop(0),
        // Two pieces that do not join as base64.
        delta(1, json!({"reasoningContent": {"redactedContent": "/w=="}})),
        delta(1, json!({"reasoningContent": {"redactedContent": "/v8="}})),
        stop(1),
        delta(2, json!({"text": "Grüezi "})),
        delta(2, json!({"text": "😀"})),
        delta(2, json!({"citation": {"title": "t"}})),
        stop(2),
        start(3, json!({"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use"}})),
        delta(3, json!({"toolUse": {"input": "{\"q\":"}})),
        delta(3, json!({"toolUse": {"input": "1}"}})),
        stop(3),
        start(4, json!({"toolResult": {"toolUseId": "s1", "type": "nova_grounding_result", "status": "success"}})),
        delta(4, json!({"toolResult": [{"json": {"a": 1}}]})),
        stop(4),
        start(5, json!({"toolUse": {"toolUseId": "a", "name": "f"}})),
        delta(5, json!({"toolUse": {"input": ""}})),
        start(6, json!({"toolUse": {"toolUseId": "b", "name": "g", "type": "tool_use"}})),
        delta(6, json!({"toolUse": {"input": "{\"x\""}})),
        delta(6, json!({"toolUse": {"input": ":1}"}})),
        stop(5),
        stop(6),
        json!({"somethingNew": {"a": 1}}),
        ended("tool_use"),
        json!({"metadata": {"usage": {"inputTokens": 5, "outputTokens": 9, "totalTokens": 14, "cacheReadInputTokens": 2}, "serviceTier": {"type": "flex"},
            "metrics": {"latencyMs": 3}}}),
    ]
}

/// The same answer, whole.
fn whole() -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "hmm", "signature": SIGNED}}},
            {"reasoningContent": {"redactedContent": "//7/"}},
            {"citationsContent": {"content": [{"text": "Grüezi "}, {"text": "😀"}], "citations": [{"title": "t"}]}},
            {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use", "input": {"q": 1}}},
            {"toolResult": {"toolUseId": "s1", "type": "nova_grounding_result", "status": "success", "content": [{"json": {"a": 1}}]}},
            {"toolUse": {"toolUseId": "a", "name": "f", "input": {}}},
            {"toolUse": {"toolUseId": "b", "name": "g", "type": "tool_use", "input": {"x": 1}}},
        ]}},
        "stopReason": "tool_use", "serviceTier": {"type": "flex"}, "additionalModelResponseFields": "x",
        "usage": {"inputTokens": 5, "outputTokens": 9, "totalTokens": 14, "cacheReadInputTokens": 2, "serverToolUsage": {}}
    })
}

#[test]
fn f11_streamed_and_whole_are_the_same_answer() {
    let (events, fault) = read(&target(), "application/json", whole().to_string().as_bytes(), 1);
    assert_eq!(fault, None);
    let unary = fold(&events);
    let (events, fault) = read(&target(), STREAM, &frames(&everything()), 1);
    assert_eq!(fault, None);
    assert_eq!(fold(&events), unary);
    assert_eq!(unary.text, "Grüezi 😀", "F9");
    assert_eq!(unary.signatures, [SIGNED], "T2");
    assert_eq!(unary.redacted, ["//7/"]);
    assert_eq!(unary.finish, [FinishReason::ToolCalls]);
    assert_eq!(unary.tier.as_deref(), Some("flex"));
    // F1: what the provider ran is no call, and touches no call's arguments.
    assert_eq!(unary.calls, [("a".into(), "f".into(), json!({})), ("b".into(), "g".into(), json!({"x": 1}))]);
    assert_eq!(unary.hosted.len(), 2);
}

#[test]
fn f10_message_stop_ends_the_answer_without_metadata() {
    let mut events = everything();
    events.pop();
    let (events, fault) = read(&target(), STREAM, &frames(&events), usize::MAX);
    assert_eq!(fault, None);
    assert_eq!(fold(&events).finish, [FinishReason::ToolCalls]);

    // Metadata may also come first.
    let early = [everything().pop().unwrap(), delta(0, json!({"text": "a"})), ended("end_turn")];
    let (events, fault) = read(&target(), STREAM, &frames(&early), usize::MAX);
    let answer = fold(&events);
    assert_eq!((fault, answer.finish, answer.tokens.map(|t| t.output)), (None, vec![FinishReason::Stop], Some(9)));
}

#[test]
fn f3_what_breaks_is_told() {
    let whole = frames(&everything());
    let first = frames(&everything()[..1]).len();
    // An end at every message before messageStop, and inside every message.
    let stopped = frames(&everything()[..everything().len() - 1]).len();
    for cut in 0..stopped {
        let (events, fault) = read(&target(), STREAM, &whole[..cut], usize::MAX);
        assert_eq!(fault.expect("told").cause, Cause::Broken, "cut at {cut}");
        assert!(fold(&events).finish.is_empty());
    }
    // An exception after text: the text stays, the end is a fault.
    let mut bad = frames(&[delta(0, json!({"text": "half"})), json!({"throttlingException": {"message": "Too many tokens"}})]);
    let (events, fault) = read(&target(), STREAM, &bad, 3);
    assert_eq!((fold(&events).text.as_str(), fault.map(|f| f.cause)), ("half", Some(Cause::RateLimited)));
    // A flipped bit.
    bad[first + 20] ^= 4;
    assert_eq!(read(&target(), STREAM, &bad, 3).1.map(|f| f.cause), Some(Cause::Garbled));
    // Bodies that are no answer.
    for (body, cause) in
        [("", Cause::Broken), ("{", Cause::Garbled), ("{}", Cause::Garbled), (r#"{"message":"no"}"#, Cause::Unavailable), ("<html>", Cause::Garbled)]
    {
        assert_eq!(read(&target(), "application/json", body.as_bytes(), 1).1.map(|f| f.cause), Some(cause), "{body}");
    }
}

#[test]
fn f5_absent_and_unknown_fields_fail_nothing() {
    for body in [
        json!({"output": {"message": {"content": [{"text": "a"}]}}}),
        json!({"output": {"message": {"role": "assistant", "content": [{"text": "a", "new": [1]}, {"text": ""}]}}, "stopReason": "end_turn", "usage": {}}),
        json!({"output": {"message": {"content": [{"text": "a"}, {"audio": {"format": "mp3"}}]}, "new": 1}, "stopReason": "something_new", "usage": null}),
    ] {
        let (events, fault) = read(&target(), "application/json", body.to_string().as_bytes(), usize::MAX);
        let answer = fold(&events);
        assert_eq!((fault, answer.text.as_str(), answer.finish, answer.tokens), (None, "a", vec![FinishReason::Stop], None), "{body}");
    }
    let empty = json!({"output": {"message": {"content": []}}, "stopReason": "end_turn"});
    let (events, fault) = read(&target(), "application/json", empty.to_string().as_bytes(), usize::MAX);
    assert_eq!((fault, fold(&events).finish), (None, vec![FinishReason::Stop]));
}

#[test]
fn f8_the_reason_follows_what_there_is_to_run() {
    for (reason, calls, wanted) in [
        ("end_turn", false, FinishReason::Stop),
        ("end_turn", true, FinishReason::ToolCalls),
        ("tool_use", false, FinishReason::Stop),
        ("stop_sequence", false, FinishReason::Stop),
        ("max_tokens", true, FinishReason::Length),
        ("model_context_window_exceeded", false, FinishReason::Length),
        ("guardrail_intervened", true, FinishReason::ContentFilter),
        ("content_filtered", false, FinishReason::ContentFilter),
        ("malformed_tool_use", false, FinishReason::Error),
    ] {
        let mut events = vec![delta(0, json!({"text": "a"}))];
        if calls {
            events.push(start(1, json!({"toolUse": {"toolUseId": "a", "name": "f"}})));
        }
        events.push(ended(reason));
        assert_eq!(fold(&read(&target(), STREAM, &frames(&events), usize::MAX).0).finish, [wanted], "{reason} {calls}");
    }
}

#[test]
fn f2_an_unknown_content_type_is_told_by_its_first_byte() {
    for kind in ["", "application/octet-stream"] {
        let (events, fault) = read(&target(), kind, &frames(&everything()), 5);
        assert_eq!((fault, fold(&events).text.as_str()), (None, "Grüezi 😀"));
        let (events, fault) = read(&target(), kind, whole().to_string().as_bytes(), 5);
        assert_eq!((fault, fold(&events).text.as_str()), (None, "Grüezi 😀"));
    }
}
