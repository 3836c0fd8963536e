//! What is sent to Anthropic: a client's own body where there is one, else spelled from our words.

use headworks_core::{CacheMark, Capability, Effort, Message, MessageRole, Part, PartKind, Reasoning, Source, Tool, ToolChoice};
use serde_json::json;

use super::*;
use crate::openai::OpenAiDoor;

fn chat(body: &Value) -> ChatRequest {
    OpenAiDoor.request(&HeaderMap::new(), &Bytes::from(body.to_string())).unwrap()
}

fn marks(json: &Value) -> usize {
    json.to_string().matches("\"cache_control\"").count()
}

/// Base64 of bytes that begin as Gemini's signatures do, made up.
const GEMINIS: &str = "EgYKBAEMOdY=";

#[test]
fn t12_a_body_of_the_same_dialect_is_sent_on_byte_for_byte() {
    let body = r#"{"unknown" : {"n":1.50,"big":12345678901234567890,"e":1e3}, "model":"anthropic/claude","max_tokens": 10,"headworks":{"tags":["x"]},"messages":[{"role":"user","content":[{"type":"text","text":"h\u00e9","x":1.0}]}],"models":["a/b"],"stream":true}"#;
    let request = AnthropicDoor.request(&HeaderMap::new(), &Bytes::from(body)).unwrap();
    let encoded = Anthropic.encode(&target(), &request).unwrap();
    assert_eq!(
        std::str::from_utf8(encoded.request.body()).unwrap(),
        r#"{"unknown":{"n":1.50,"big":12345678901234567890,"e":1e3},"model":"claude","max_tokens":10,"messages":[{"role":"user","content":[{"type":"text","text":"h\u00e9","x":1.0}]}],"stream":true}"#
    );
    assert!(encoded.notes.is_empty());
    assert_eq!(encoded.request.uri(), "http://host/v1/messages");
    assert_eq!(encoded.request.headers()["anthropic-version"], "2023-06-01");
}

#[test]
fn max_tokens_is_filled_in_and_lowered_as_the_note_says() {
    let ask = |max: Value| asked(&json!({"model": "m", "max_tokens": max, "messages": [{"role": "user", "content": "x"}]}));
    for (said, wanted, lost) in [(json!(null), 64_000, Some(false)), (json!(100_000), 64_000, Some(true)), (json!(5), 5, None)] {
        let encoded = Anthropic.encode(&target(), &ask(said)).unwrap();
        let body: Value = serde_json::from_slice(encoded.request.body()).unwrap();
        assert_eq!((body["max_tokens"].as_i64(), encoded.notes.first().map(|n| n.lost.is_some())), (Some(wanted), lost));
    }
}

#[test]
fn t10_auto_cache_marks_a_clients_own_body_and_never_a_fifth() {
    let long = "word ".repeat(2_000);
    let ask = |auto: Value| {
        asked(&json!({"model": "m", "max_tokens": 1, "auto_cache": auto, "headworks": {"cache_ttl": "1h"}, "system": long, "unknown": 1.50,
            "tools": [{"name": "f", "description": long, "input_schema": {"type": "object"}, "x": 1}, {"name": "late", "input_schema": {"type": "object"}, "defer_loading": true}],
            "messages": [{"role": "user", "content": long}, {"role": "assistant", "content": [{"type": "text", "text": "a", "y": 2}, {"type": "thinking", "thinking": "t", "signature": "EqQB"}]},
                         {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": ""}]}]}))
    };
    for off in [json!(false), json!(null)] {
        assert_eq!(marks(&sent(&ask(off))), 0);
    }
    let body = sent(&ask(json!(true)));
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!(marks(&body), 4);
    assert_eq!((&body["tools"][0]["cache_control"], &body["tools"][0]["x"]), (&mark, &json!(1)), "not on a tool that is loaded later");
    assert_eq!((&body["system"][0]["cache_control"], body["system"][0]["text"].as_str()), (&mark, Some(long.as_str())));
    assert_eq!((&body["messages"][1]["content"][0]["cache_control"], &body["messages"][1]["content"][0]["y"]), (&mark, &json!(2)), "not on reasoning");
    assert_eq!(&body["messages"][2]["content"][0]["cache_control"], &mark, "not on empty text");
    assert_eq!(body["messages"][0]["content"], long);
}

#[test]
fn t10_a_clients_own_marks_are_kept_and_at_most_four() {
    let block = |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": "5m"}});
    let long = "word ".repeat(2_000);
    let kept = asked(&json!({"model": "m", "max_tokens": 1, "auto_cache": true, "system": [block(&long)], "messages": [{"role": "user", "content": long}]}));
    assert_eq!(sent(&kept)["system"][0], block(&long));
    assert_eq!(marks(&sent(&kept)), 1, "what the client marked is all there is");
    let whole = asked(
        &json!({"model": "m", "max_tokens": 1, "auto_cache": true, "cache_control": {"type": "ephemeral"}, "system": long, "messages": [{"role": "user", "content": long}]}),
    );
    assert_eq!(marks(&sent(&whole)), 1, "a mark on the whole request is the client's own too");
    let many = asked(
        &json!({"model": "m", "max_tokens": 1, "tools": [{"name": "f", "input_schema": {}, "cache_control": {"type": "ephemeral"}}], "system": [block("a"), block("b")],
        "messages": [{"role": "user", "content": [block("c")]}, {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}, "cache_control": {"type": "ephemeral"}}]},
                     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "r", "cache_control": {"type": "ephemeral"}}]}]}),
    );
    let encoded = Anthropic.encode(&target(), &many).unwrap();
    let body: Value = serde_json::from_slice(encoded.request.body()).unwrap();
    assert_eq!((marks(&body), encoded.notes.len()), (4, 1));
    assert_eq!((marks(&body["tools"]), marks(&body["system"][0]), marks(&body["system"][1]), marks(&body["messages"])), (0, 0, 1, 3), "the last four");
}

#[test]
fn t10_marks_survive_from_the_chat_door() {
    let mark = json!({"type": "ephemeral"});
    let body = sent(&chat(&json!({"model": "m", "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": mark}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}, "cache_control": mark}]},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "r", "cache_control": mark}]}],
        "tools": [{"type": "function", "function": {"name": "f"}, "cache_control": mark}]})));
    assert_eq!((marks(&body["system"]), marks(&body["messages"][0]), marks(&body["tools"])), (1, 1, 1), "{body}");
}

#[test]
fn t3_only_the_issuer_gets_a_signature_back() {
    let turn = |signature: &str| {
        json!({"model": "m", "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2048}, "messages": [{"role": "user", "content": "x"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": signature}, {"type": "tool_use", "id": "a", "name": "f", "input": {"n": 1.50}, "signature": signature}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "r"}]}]})
    };
    // From another maker, or nobody: the reasoning goes, the call stays, and the request can succeed.
    for foreign in ["", GEMINIS, "gAAAAABoxyz"] {
        let encoded = Anthropic.encode(&target(), &asked(&turn(foreign))).unwrap();
        let body: Value = serde_json::from_slice(encoded.request.body()).unwrap();
        assert_eq!(body["messages"][1]["content"], json!([{"type": "tool_use", "id": "a", "name": "f", "input": {"n": 1.50}}]), "{foreign}");
        assert!(body.get("thinking").is_none(), "{foreign}: thinking cannot begin in the middle of a round");
        assert!(encoded.notes.iter().any(|note| note.text.contains("thinking")), "{foreign}");
        // The same from our own words.
        let mut spelled = asked(&turn(foreign));
        spelled.edited();
        let body = sent(&spelled);
        assert_eq!((body["messages"][1]["content"].as_array().map(Vec::len), body.get("thinking")), (Some(1), None), "{foreign}");
    }
    for ours in ["EqQB", "RXJRQg=="] {
        let body = sent(&asked(&turn(ours)));
        assert_eq!((body["messages"][1]["content"][0]["signature"].as_str(), body["thinking"]["budget_tokens"].as_i64()), (Some(ours), Some(2048)));
    }
}

#[test]
fn t2_reasoning_is_replayed_as_it_was_from_either_door() {
    let blocks = json!([{"type": "thinking", "thinking": "hm", "signature": "EqQB"}, {"type": "redacted_thinking", "data": "data"}, {"type": "thinking", "thinking": "", "signature": "EqQC"}]);
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1.50}"}});
    let body = sent(&chat(
        &json!({"model": "m", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": null, "thinking_blocks": blocks, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "r"}]}),
    ));
    assert_eq!(body["messages"][1]["content"].as_array().unwrap()[..3], blocks.as_array().unwrap()[..], "before the call, in order");
    assert_eq!(body["messages"][1]["content"][3]["type"], "tool_use");
}

#[test]
fn t8_all_results_go_into_one_message_before_any_text() {
    let body = sent(&chat(&json!({"model": "m", "messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "content": "y", "tool_calls": [{"id": "a.1", "function": {"name": "f", "arguments": "{}"}}, {"id": "b", "function": {"name": "g", "arguments": "{}"}}, {"id": "c", "function": {"name": "g", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a.1", "content": "1"}, {"role": "tool", "tool_call_id": "b", "content": "2"}, {"role": "user", "content": "go on"}]})));
    let turn = body["messages"][2]["content"].as_array().unwrap();
    assert_eq!(turn.iter().map(|b| b["type"].as_str().unwrap()).collect::<Vec<_>>(), ["tool_result", "tool_result", "tool_result", "text"]);
    assert_eq!(
        (turn[0]["tool_use_id"].as_str(), turn[2]["tool_use_id"].as_str(), turn[2]["is_error"].as_bool()),
        (Some("a_1"), Some("c"), Some(true)),
        "{turn:?}"
    );
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(3));
}

#[test]
fn t9_every_role_has_a_place() {
    let body = sent(&chat(
        &json!({"model": "m", "messages": [{"role": "system", "content": "one"}, {"role": "developer", "content": "two"}, {"role": "user", "content": "x"},
        {"role": "assistant", "content": ""}, {"role": "user", "content": "y"}, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, {"role": "function", "name": "f", "content": "r"}]}),
    ));
    assert_eq!(body["system"].as_array().map(Vec::len), Some(2));
    let roles: Vec<&str> = body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"], "{body}");
}

#[test]
fn t13_tools_are_said_or_refused_never_dropped() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}, {"type": "web_search_20250305", "name": "web_search"}]);
    let mut request = asked(&json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], "tools": tools}));
    assert_eq!(sent(&request)["tools"], tools);
    request.edited();
    assert_eq!(sent(&request)["tools"].as_array().map(Vec::len), Some(2));
    let other = crate::testing::target("openai", "gpt", |_| ());
    let refused = crate::openai::OpenAi.encode(&other, &request).expect_err("a tool that Anthropic runs");
    assert_eq!(refused.reason, headworks_core::Reason::CapabilityMissing);
    let servers = asked(&json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], "mcp_servers": [{"name": "m"}]}));
    assert_eq!(crate::openai::OpenAi.encode(&other, &servers).expect_err("servers are tools").reason, headworks_core::Reason::CapabilityMissing);
    let extra = asked(
        &json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], "container": "c", "cache_control": {"type": "ephemeral"}}),
    );
    let notes = crate::openai::OpenAi.encode(&other, &extra).unwrap().notes;
    assert_eq!(
        notes.iter().filter(|n| n.lost.is_some()).map(|n| n.text.to_string()).collect::<Vec<_>>(),
        ["openai/gpt has no parameter container; it was left out"]
    );
}

#[test]
fn thinking_is_said_in_the_models_own_way() {
    let say = |reasoning: Reasoning, change: fn(&mut headworks_core::Model)| {
        let user = Message { role: MessageRole::User, parts: vec![Part::text("x")], name: None, extra: Vec::new() };
        let request = ChatRequest { messages: vec![user], reasoning, ..ChatRequest::default() };
        let target = crate::testing::target("anthropic", "claude", change);
        let body: Value = serde_json::from_slice(Anthropic.encode(&target, &request).unwrap().request.body()).unwrap();
        (body["thinking"].clone(), body["output_config"]["effort"].clone())
    };
    let word = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let words: fn(&mut headworks_core::Model) = |m| m.reasoning.efforts = vec![Effort::Low, Effort::Medium, Effort::High];
    assert_eq!(say(word(Effort::Max), words), (json!({"type": "adaptive"}), json!("high")), "the nearest word");
    assert_eq!(say(Reasoning { budget_tokens: Some(5000), ..Reasoning::default() }, words), (json!({"type": "adaptive"}), json!("medium")));
    assert_eq!(say(Reasoning { include: Some(true), ..Reasoning::default() }, words), (json!({"type": "adaptive"}), Value::Null));
    assert_eq!(say(word(Effort::Low), |_| ()), (json!({"type": "enabled", "budget_tokens": 2048}), Value::Null));
    assert_eq!(say(word(Effort::None), words), (Value::Null, Value::Null));
    assert_eq!(say(word(Effort::High), |m| m.capabilities.reasoning = Capability::No), (Value::Null, Value::Null));
}

#[test]
fn a_forced_tool_and_a_picture_are_spelled() {
    let user = Message {
        role: MessageRole::User,
        parts: vec![Part { kind: PartKind::Image { source: Source::FileId("f1".into()), detail: None }, cache: CacheMark::FiveMinutes }],
        name: None,
        extra: Vec::new(),
    };
    let tool = Tool::Function { name: "f".into(), description: None, parameters: None, strict: None, cache: CacheMark::OneHour };
    let request = ChatRequest { messages: vec![user], tools: vec![tool], tool_choice: Some(ToolChoice::Required), ..ChatRequest::default() };
    let body = sent(&request);
    assert_eq!(
        body["messages"][0]["content"][0],
        json!({"type": "image", "source": {"type": "file", "file_id": "f1"}, "cache_control": {"type": "ephemeral", "ttl": "5m"}})
    );
    assert_eq!((&body["tools"][0]["cache_control"]["ttl"], &body["tool_choice"]["type"]), (&json!("1h"), &json!("any")));
}

#[test]
fn a_count_asks_for_neither_limit_nor_stream() {
    for own in [true, false] {
        let mut request = asked(&json!({"model": "m", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "x"}]}));
        if !own {
            request.edited();
        }
        let encoded = Anthropic.encode_count(&target(), &request).unwrap();
        let body: Value = serde_json::from_slice(encoded.request.body()).unwrap();
        assert_eq!(encoded.request.uri(), "http://host/v1/messages/count_tokens");
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["messages", "model"], "{own}");
        let gemini = crate::testing::target("gemini", "gemini-2.5-flash", |_| ());
        let encoded = crate::gemini::Gemini.encode_count(&gemini, &request).unwrap();
        let body: Value = serde_json::from_slice(encoded.request.body()).unwrap();
        assert_eq!(encoded.request.uri(), "http://host/v1beta/models/gemini-2.5-flash:countTokens");
        assert_eq!(
            (body["generateContentRequest"]["model"].as_str(), body["generateContentRequest"]["contents"][0]["parts"][0]["text"].as_str()),
            (Some("models/gemini-2.5-flash"), Some("x"))
        );
    }
}
