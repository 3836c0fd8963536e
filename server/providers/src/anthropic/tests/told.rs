//! What clients of the door get, whoever answered.

use headworks_core::{Fault, FinishReason, Json, Reason, Str};
use serde_json::json;

use super::*;

fn ask(stream: bool) -> ChatRequest {
    asked(&json!({"model": "openai/gpt", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "how are you today?"}]}))
}

fn started() -> EventKind {
    EventKind::Started { id: Some("chatcmpl-1".into()), model: Some("gpt-2025".into()), created: None }
}

fn call(index: u32, id: &'static str) -> EventKind {
    EventKind::ToolCallStart { index, id: Str::from_static(id), name: Str::from_static("f"), signature: None }
}

fn piece(index: u32, piece: &'static str) -> EventKind {
    EventKind::ToolCallArguments { index, piece: Str::from_static(piece) }
}

fn counted() -> Tokens {
    Tokens { input: 5, cache_read: 3, cache_write_5m: 2, cache_write_1h: 1, output: 7, reasoning: 4, ..Tokens::default() }
}

/// The same answer, streamed and whole; both are given to `check` as the message a client holds.
fn both(kinds: &[EventKind], check: impl Fn(&Value)) -> String {
    let all = || kinds.iter().cloned().chain([receipt(counted())]);
    let text = written(&ask(true), &all().map(|kind| batch([kind])).collect::<Vec<_>>());
    check(&message(&text));
    assert_eq!(message(&written(&ask(true), &[batch(all())])), message(&text), "however it was cut");
    let whole: Value = serde_json::from_str(&written(&ask(false), &[batch(all())])).unwrap();
    check(&whole);
    text
}

#[test]
fn f11_a_stream_adds_up_to_the_whole_answer() {
    let kinds = [
        started(),
        EventKind::Reasoning("hm ".into()),
        EventKind::Reasoning("ok".into()),
        EventKind::Text("Grü".into()),
        EventKind::Text("ezi".into()),
        call(0, "c1"),
        piece(0, "{\"a\":"),
        piece(0, "1}"),
        call(1, "c2"),
        EventKind::ToolCallEnd { index: 0 },
        EventKind::ToolCallEnd { index: 1 },
        EventKind::Usage { tokens: counted(), service_tier: Some("standard".into()) },
        EventKind::Finished(FinishReason::ToolCalls),
    ];
    let text = both(&kinds, |message| {
        assert_eq!(
            (message["id"].as_str(), message["model"].as_str(), message["role"].as_str()),
            (Some("msg_chatcmpl-1"), Some("gpt-2025"), Some("assistant"))
        );
        assert_eq!(message["stop_reason"], "tool_use");
        assert_eq!(
            message["content"],
            json!([{"type": "thinking", "thinking": "hm ok", "signature": ""}, {"type": "text", "text": "Grüezi"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}, {"type": "tool_use", "id": "c2", "name": "f", "input": {}}])
        );
        let usage = &message["usage"];
        let counts = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"].map(|name| usage[name].as_i64().unwrap());
        assert_eq!(counts, [5, 3, 3, 7], "A3: the kinds are disjoint");
        assert_eq!(
            (&usage["cache_creation"]["ephemeral_5m_input_tokens"], &usage["cache_creation"]["ephemeral_1h_input_tokens"]),
            (&json!(2), &json!(1)),
            "A4"
        );
        assert_eq!((&usage["cost"], &usage["output_tokens_details"]["thinking_tokens"]), (&json!(0.0015), &json!(4)));
    });
    let all = events(&text);
    assert_eq!(all.last().unwrap().1["headworks"]["cost_nano_usd"], 1_500_000);
    assert_eq!(all.last().unwrap().1["headworks"]["saved_nano_usd"], 200);
    let start = &all[0].1["message"]["usage"];
    assert!(start["input_tokens"].as_i64().unwrap() > 0, "A13: the input is never told as 0");
    assert_eq!(all[0].1["headworks"], json!({"input_tokens_estimated": true}), "A13: a guess is called one");
    // Where the upstream counts at once, its own count is told.
    let early = [
        started(),
        EventKind::Usage { tokens: counted(), service_tier: None },
        EventKind::Text("x".into()),
        EventKind::Finished(FinishReason::Stop),
        receipt(counted()),
    ];
    let first = events(&written(&ask(true), &[batch(early)]))[0].1.clone();
    assert_eq!(first["headworks"], Value::Null, "A13: a count is none");
    let start = &first["message"]["usage"];
    assert_eq!((start["input_tokens"].as_i64(), start["cache_read_input_tokens"].as_i64()), (Some(5), Some(3)), "A13");
}

#[test]
fn t6_arguments_add_up_whatever_the_order_they_come_in() {
    // A host that mixes the pieces of two calls; one whose call has no arguments; one whose arguments are no JSON.
    let mixed =
        [started(), call(0, "a"), call(1, "b"), piece(1, "{\"y\""), piece(0, "{\"x\":1}"), piece(1, ":2}"), EventKind::Finished(FinishReason::ToolCalls)];
    both(&mixed, |message| {
        assert_eq!((&message["content"][0]["input"], &message["content"][1]["input"]), (&json!({"x": 1}), &json!({"y": 2})), "T4");
    });
    let text = both(
        &[started(), call(0, "a"), EventKind::ToolCallEnd { index: 0 }, EventKind::Text("then".into()), EventKind::Finished(FinishReason::ToolCalls)],
        |message| {
            assert_eq!((&message["content"][0]["input"], &message["content"][1]["text"]), (&json!({}), &json!("then")));
        },
    );
    assert!(text.contains("\"partial_json\":\"{}\""));
    let cut = [started(), call(0, "a"), piece(0, "{\"x\":"), EventKind::Finished(FinishReason::Length), receipt(counted())];
    let whole: Value = serde_json::from_str(&written(&ask(false), &[batch(cut)])).unwrap();
    assert_eq!((&whole["content"][0]["input"], &whole["stop_reason"]), (&json!({"INVALID_JSON": "{\"x\":"}), &json!("max_tokens")));
}

#[test]
fn t1_a_signature_on_a_call_comes_and_goes_with_it() {
    let signed = EventKind::ToolCallStart { index: 0, id: "a".into(), name: "f".into(), signature: Some("c2ln".into()) };
    both(&[started(), signed, piece(0, "{}"), EventKind::ToolCallEnd { index: 0 }, EventKind::Finished(FinishReason::ToolCalls)], |message| {
        assert_eq!(message["content"][0]["signature"], "c2ln");
        let back = asked(&json!({"model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": message["content"]}]}));
        assert!(matches!(&back.messages[1].parts[0].kind, headworks_core::PartKind::ToolCall { signature: Some(s), .. } if &**s == "c2ln"));
    });
}

#[test]
fn t2_signed_reasoning_is_told_block_by_block() {
    let kinds = [
        EventKind::Reasoning("a".into()),
        EventKind::ReasoningSignature("EqQB".into()),
        EventKind::RedactedReasoning("xx".into()),
        EventKind::Reasoning("b".into()),
        EventKind::ReasoningSignature("EqQC".into()),
        EventKind::Text("t".into()),
        EventKind::Finished(FinishReason::Stop),
    ];
    both(&kinds, |message| {
        assert_eq!(
            message["content"],
            json!([{"type": "thinking", "thinking": "a", "signature": "EqQB"}, {"type": "redacted_thinking", "data": "xx"},
                {"type": "thinking", "thinking": "b", "signature": "EqQC"}, {"type": "text", "text": "t"}])
        );
    });
}

#[test]
fn f8_the_end_has_anthropics_word() {
    for (reason, word) in [
        (FinishReason::Stop, "end_turn"),
        (FinishReason::Length, "max_tokens"),
        (FinishReason::ToolCalls, "tool_use"),
        (FinishReason::ContentFilter, "refusal"),
    ] {
        both(&[started(), EventKind::Text("x".into()), EventKind::Finished(reason)], |message| assert_eq!(message["stop_reason"], word));
    }
    both(&[started(), EventKind::Refusal("no".into()), EventKind::Finished(FinishReason::Stop)], |message| {
        assert_eq!((&message["stop_reason"], &message["content"][0]["text"]), (&json!("refusal"), &json!("no")));
    });
}

#[test]
fn f1_what_a_provider_ran_itself_is_no_call() {
    let own = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}});
    let foreign = json!({"groundingMetadata": {}});
    let kinds = [
        started(),
        EventKind::Hosted(Json::of(&own).unwrap()),
        EventKind::Hosted(Json::of(&foreign).unwrap()),
        EventKind::Text("x".into()),
        EventKind::Finished(FinishReason::Stop),
    ];
    both(&kinds, |message| assert_eq!(message["content"], json!([own, {"type": "text", "text": "x"}])));
}

#[test]
fn f3_a_stream_that_fails_ends_in_an_error_and_never_well() {
    let (mut writer, mut out) = (AnthropicDoor.writer(&ask(true)), BytesMut::new());
    writer.push(&batch([started(), EventKind::Text("half".into())]), &mut out).unwrap();
    let face = crate::ErrorFace { status: 502, kind: "api_error", code: None, retryable: true, request_id: None };
    writer.fault(&Fault::new(Reason::StreamBroken, "it broke"), &face, &mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    assert_eq!(text.matches("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\"").count(), 1, "{text}");
    assert!(!text.contains("message_stop"));
    // The provider's own word for a failure is one too, streamed or not.
    for stream in [true, false] {
        let (mut writer, mut out) = (AnthropicDoor.writer(&ask(stream)), BytesMut::new());
        let kinds = [started(), EventKind::Finished(FinishReason::Error), receipt(counted())];
        assert_eq!(writer.push(&batch(kinds), &mut out).map_err(|fault| fault.reason), Err(Reason::StreamBroken));
        assert!(!String::from_utf8_lossy(&out).contains("message_stop"));
    }
    // F5: what it wrote is delivered all the same, and the end is told beside Anthropic's words.
    both(&[started(), EventKind::Text("whole".into()), EventKind::Finished(FinishReason::Error)], |message| {
        assert_eq!((&message["content"][0]["text"], &message["stop_reason"]), (&json!("whole"), &json!("end_turn")));
    });
    let kinds = [started(), EventKind::Text("x".into()), EventKind::Finished(FinishReason::Error), receipt(counted())];
    assert!(written(&ask(true), &[batch(kinds)]).contains("\"finish\":\"error\""));
    assert_eq!(&AnthropicDoor.writer(&ask(true)).keep_alive()[..], b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

/// Anthropic's own stream, with members and an event that nobody here knows.
const THEIRS: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"c\",\"content\":[],\"x\":1.50,\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"h\\u00e9\"},\"new\":12345678901234567890123}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"q\\\":1}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: something_new\ndata: {\"type\":\"something_new\"}\n\n",
);
const THEIR_END: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"pause_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":9,\"y\":1.0}}\n\n";

#[test]
fn t12_frames_of_the_same_dialect_pass_unedited() {
    let whole = format!("{THEIRS}{THEIR_END}event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n");
    for size in [1, 7, 100, 10_000] {
        let mut batches = read(whole.as_bytes(), true, size);
        batches.push(batch([receipt(Tokens { input: 5, output: 9, ..Tokens::default() })]));
        let text = written(&ask(true), &batches);
        let priced = THEIR_END.replace("\"y\":1.0}", "\"y\":1.0,\"cost\":0.0015}");
        assert!(text.starts_with(&format!("{THEIRS}{priced}event: message_stop\ndata: {{\"type\":\"message_stop\",\"headworks\":")), "{size}: {text}");
        message(&text);
    }
    let body = r#" {"id":"msg_1","content":[{"type":"text","text":"h\u00e9","z":1.50}],"stop_reason":"pause_turn","usage":{"input_tokens":5,"output_tokens":9,"y":1.0},"new":1e3}"#;
    let mut batches = read(body.as_bytes(), false, 9);
    batches.push(batch([receipt(Tokens::default())]));
    let text = written(&ask(false), &batches);
    let wanted = r#"{"id":"msg_1","content":[{"type":"text","text":"h\u00e9","z":1.50}],"stop_reason":"pause_turn","usage":{"input_tokens":5,"output_tokens":9,"y":1.0,"cost":0.0015},"new":1e3,"headworks":{"#;
    assert!(text.starts_with(wanted), "{text}");
}

#[test]
fn a_stream_that_a_guard_edits_in_the_middle_stays_in_order() {
    let whole = format!("{THEIRS}{THEIR_END}event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n");
    let all = read(whole.as_bytes(), true, 1);
    for edited in 0..all.len() {
        let mut batches = all.clone();
        batches[edited].edited();
        batches.push(batch([receipt(Tokens::default())]));
        if edited == 1 || edited >= 4 {
            // Without its frame, the begin or end of a block that holds nothing of ours is gone.
            continue;
        }
        let got = message(&written(&ask(true), &batches));
        assert_eq!(got["content"][0]["text"], "hé", "{edited}");
    }
}

#[test]
fn a_host_that_names_no_events_is_written_anew() {
    let bare = format!("{THEIRS}{THEIR_END}").replace("event: something_new\ndata: {\"type\":\"something_new\"}\n\n", "");
    let bare: String = bare.lines().filter(|line| !line.starts_with("event:")).map(|line| format!("{line}\n")).collect();
    let mut batches = read(bare.as_bytes(), true, 50);
    batches.push(batch([receipt(Tokens { input: 5, output: 9, ..Tokens::default() })]));
    let got = message(&written(&ask(true), &batches));
    assert_eq!((&got["content"][0]["text"], &got["content"][1]["type"], &got["usage"]["output_tokens"]), (&json!("hé"), &json!("server_tool_use"), &json!(9)));
}
