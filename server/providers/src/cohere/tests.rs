#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use headworks_core::{Batch, Capability, Cause, EventKind, FinishReason, Tokens};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::*;
use crate::{Door, openai::OpenAiDoor, testing};

fn sent_to(target: &Target, body: Value) -> Result<(Value, Vec<String>), Fault> {
    let request = OpenAiDoor.request(&HeaderMap::new(), &Bytes::from(body.to_string())).unwrap();
    let encoded = Cohere.encode(target, &request)?;
    assert_eq!(encoded.request.uri(), "http://host/v2/chat");
    Ok((serde_json::from_slice(encoded.request.body()).unwrap(), encoded.notes.iter().map(ToString::to_string).collect()))
}

fn sent(body: Value) -> (Value, Vec<String>) {
    sent_to(&testing::target("cohere", "command-a-03-2025", |_| ()), body).unwrap()
}

fn read_as(kind: &'static str, bytes: &[u8], size: usize) -> Result<Vec<EventKind>, Fault> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let head = Head { status: StatusCode::OK, headers: &headers };
    let mut decoder = Cohere.decoder(&testing::target("cohere", "m", |_| ()), &head);
    let mut batch = Batch::default();
    for piece in bytes.chunks(size) {
        decoder.push(&Bytes::copy_from_slice(piece), &mut batch)?;
    }
    decoder.end(&mut batch)?;
    assert!(decoder.is_done());
    Ok(batch.events.into_iter().map(|e| e.kind).collect())
}

const STREAM: &str = concat!(
    "event: message-start\ndata: {\"id\":\"i\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_calls\":[]}}}\n\n",
    "event: tool-plan-delta\ndata: {\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":\"I will\"}}}\n\n",
    "event: tool-call-start\ndata: {\"type\":\"tool-call-start\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"f_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}}}}\n\n",
    "event: tool-call-delta\ndata: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{\\\"x\\\":\"}}}}}\n\n",
    "event: tool-call-delta\ndata: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"1}\"}}}}}\n\n",
    "event: tool-call-end\ndata: {\"type\":\"tool-call-end\",\"index\":0}\n\n",
    "event: tool-call-start\ndata: {\"type\":\"tool-call-start\",\"index\":1,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"g_2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}}}}\n\n",
    "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TOOL_CALL\",\"usage\":{\"billed_units\":{\"input_tokens\":45,\"output_tokens\":29},\"tokens\":{\"input_tokens\":1469,\"output_tokens\":42},\"cached_tokens\":1024}}}\n\n",
);

fn call(index: u32, id: &'static str, name: &'static str) -> EventKind {
    EventKind::ToolCallStart { index, id: id.into(), name: name.into(), signature: None }
}

#[test]
fn t4_t5_f8_calls_in_a_stream() {
    let usage = EventKind::Usage { tokens: Tokens { input: 45, output: 29, ..Tokens::default() }, service_tier: None };
    let wanted = [
        EventKind::Started { id: Some("i".into()), model: None, created: None },
        EventKind::Reasoning("I will".into()),
        call(0, "f_1", "f"),
        EventKind::ToolCallArguments { index: 0, piece: "{\"x\":".into() },
        EventKind::ToolCallArguments { index: 0, piece: "1}".into() },
        EventKind::ToolCallEnd { index: 0 },
        call(1, "g_2", "g"),
        EventKind::ToolCallArguments { index: 1, piece: "{}".into() },
        EventKind::ToolCallEnd { index: 1 },
        usage,
        EventKind::Finished(FinishReason::ToolCalls),
    ];
    for size in [1 << 20, 7, 1] {
        assert_eq!(read_as("text/event-stream", STREAM.as_bytes(), size).unwrap(), wanted, "in pieces of {size}");
    }
}

#[test]
fn f11_a_whole_answer_says_the_same_as_its_stream() {
    let body = json!({"id": "i", "finish_reason": "TOOL_CALL", "message": {"role": "assistant", "tool_plan": "I will", "tool_calls": [
        {"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
        {"id": "g_2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
        "usage": {"billed_units": {"input_tokens": 45, "output_tokens": 29}, "tokens": {"input_tokens": 1469, "output_tokens": 42}}});
    let joined = |events: Vec<EventKind>| {
        events.into_iter().fold(Vec::<EventKind>::new(), |mut all, event| {
            match (all.last_mut(), event) {
                (Some(EventKind::ToolCallArguments { index: a, piece: last }), EventKind::ToolCallArguments { index: b, piece }) if *a == b => {
                    *last = format!("{last}{piece}").into();
                }
                (_, event) => all.push(event),
            }
            all
        })
    };
    let whole = read_as("application/json", body.to_string().as_bytes(), 11).unwrap();
    assert_eq!(joined(whole), joined(read_as("text/event-stream", STREAM.as_bytes(), 1 << 20).unwrap()));
}

#[test]
fn a3_f4_usage_is_what_is_billed() {
    let usage = |said: Value| {
        let body = json!({"message": {"content": [{"type": "text", "text": "a"}]}, "finish_reason": "COMPLETE", "usage": said});
        read_as("application/json", body.to_string().as_bytes(), 1 << 20)
            .unwrap()
            .into_iter()
            .find_map(|e| if let EventKind::Usage { tokens, .. } = e { Some(tokens) } else { None })
    };
    let (input, output) = (25, 9);
    assert_eq!(
        usage(json!({"billed_units": {"input_tokens": 25, "output_tokens": 9}, "tokens": {"input_tokens": 91, "output_tokens": 11}})),
        Some(Tokens { input, output, ..Tokens::default() })
    );
    assert_eq!(usage(json!({"billed_units": {"input_tokens": 25.0, "output_tokens": 9.0}})), Some(Tokens { input, output, ..Tokens::default() }));
    assert_eq!(
        usage(json!({"tokens": {"input_tokens": 25, "output_tokens": 9, "reasoning_tokens": 5}})),
        Some(Tokens { input, output, reasoning: 5, ..Tokens::default() })
    );
    // F4: counts are never invented.
    assert_eq!(usage(json!({"billed_units": {"search_units": 1}})), None);
    assert_eq!(usage(Value::Null), None);
    // Nobody reads so much: found by fuzzing, where the sum of the two overflowed.
    let many = usage(json!({"tokens": {"input_tokens": 5, "output_tokens": 2e31}})).unwrap();
    assert_eq!((many.output, many.prompt() + many.completion()), (Tokens::MOST, Tokens::MOST + 5));
}

#[test]
fn thinking_citations_and_limits_are_read() {
    let stream = concat!(
        "data: {\"type\":\"message-start\",\"id\":\"i\"}\n\n",
        "data: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"thinking\",\"thinking\":\"hm\"}}}}\n\n",
        "data: {\"type\":\"content-delta\",\"index\":1,\"delta\":{\"message\":{\"content\":{\"text\":\"né\"}}}}\n\n",
        "data: {\"type\":\"citation-start\",\"index\":0,\"delta\":{\"message\":{\"citations\":{\"start\":0,\"end\":2}}}}\n\n",
        "data: {\"type\":\"something-new\",\"delta\":{\"message\":{\"content\":{\"text\":\"x\"}}}}\n\n",
        "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"MAX_TOKENS\"}}\n\ndata: [DONE]\n\n"
    );
    let events = read_as("text/event-stream", stream.as_bytes(), 3).unwrap();
    assert_eq!(events[1..3], [EventKind::Reasoning("hm".into()), EventKind::Text("né".into())]);
    assert!(
        matches!(&events[3], EventKind::Opaque { dialect: DialectName::Cohere, name, json } if &**name == "citations" && json.as_str() == r#"[{"start":0,"end":2}]"#),
        "{events:?}"
    );
    assert_eq!(events[4..], [EventKind::Finished(FinishReason::Length)]);
}

#[test]
fn f3_r3_what_fails_or_stops_short_is_told() {
    let start =
        "data: {\"type\":\"message-start\",\"id\":\"i\"}\n\ndata: {\"type\":\"content-delta\",\"delta\":{\"message\":{\"content\":{\"text\":\"a\"}}}}\n\n";
    let fails = |tail: &str| read_as("text/event-stream", format!("{start}{tail}").as_bytes(), 9).unwrap_err();
    assert_eq!(fails("").cause, Cause::Broken);
    assert_eq!(fails("data: {\"type\":\"mess").cause, Cause::Garbled);
    assert_eq!(
        fails("data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"ERROR\",\"error\":\"out of memory\"}}\n\n").upstream.unwrap().message,
        "out of memory"
    );
    assert_eq!(fails("data: {\"message\":\"too many requests\"}\n\n").cause, Cause::RateLimited);
    assert_eq!(
        fails("data: {\"type\":\"tool-call-delta\",\"index\":3,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"x\"}}}}}\n\n").cause,
        Cause::Garbled
    );
    assert_eq!(fails("data: {nonsense}\n\n").cause, Cause::Garbled);
}

#[test]
fn r5_errors_are_told_by_status_and_words() {
    let target = testing::target("cohere", "m", |_| ());
    for (status, body, cause) in [
        (404, r#"{"id":"x","message":"model 'nope' not found"}"#, Cause::ModelMissing),
        (401, r#"{"message":"invalid api token"}"#, Cause::Credentials),
        (429, r#"{"message":"You are using a Trial key"}"#, Cause::RateLimited),
        (400, r#"{"message":"invalid request: message must be at least 1 token long"}"#, Cause::Rejected),
        (503, "upstream gone", Cause::Unavailable),
    ] {
        let fault = Cohere.fault(&target, &Head { status: StatusCode::from_u16(status).unwrap(), headers: &HeaderMap::new() }, body.as_bytes());
        assert_eq!((fault.cause, fault.upstream.unwrap().status), (cause, status), "{body}");
    }
}

#[test]
fn what_is_asked_is_spelled_in_coheres_words() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    let (body, notes) = sent(json!({"model": "x", "messages": [
            {"role": "developer", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}]}],
        "max_tokens": 5, "top_p": 0.5, "top_k": 3, "seed": 7, "stop": ["x"], "temperature": 0.2, "frequency_penalty": 0.5, "stream": true,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}, "documents": [{"data": {"text": "d"}}], "logit_bias": {"1": 2.0}}));
    assert_eq!(
        body,
        json!({"model": "command-a-03-2025", "messages": [{"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}]}],
            "stream": true, "response_format": {"type": "json_object", "json_schema": schema}, "temperature": 0.2, "p": 0.5, "k": 3, "seed": 7,
            "frequency_penalty": 0.5, "max_tokens": 5, "stop_sequences": ["x"], "documents": [{"data": {"text": "d"}}]})
    );
    assert!(matches!(notes.as_slice(), [note] if note.contains("logit_bias")), "{notes:?}");
}

#[test]
fn t8_t9_t13_tools_and_their_results() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}, "strict": true}});
    let history = json!([{"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "reasoning_content": "plan", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}, {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"}, {"role": "tool", "tool_call_id": "b", "content": "2"}]);
    let ask = |choice: Value| json!({"model": "x", "messages": history, "tools": [tool("f"), tool("g")], "tool_choice": choice});
    let (body, _) = sent(ask(json!("required")));
    assert_eq!((&body["tool_choice"], &body["strict_tools"], body["tools"].as_array().unwrap().len()), (&json!("REQUIRED"), &json!(true), 2));
    assert_eq!((&body["messages"][1]["tool_plan"], body["messages"][1]["tool_calls"].as_array().unwrap().len()), (&json!("plan"), 2));
    assert_eq!(body["messages"][3], json!({"role": "tool", "tool_call_id": "b", "content": "2"}));
    // A tool by name: offered alone, and one must be called.
    let (body, _) = sent(ask(json!({"type": "function", "function": {"name": "g"}})));
    assert_eq!((&body["tool_choice"], &body["tools"][0]["function"]["name"], body["tools"].as_array().unwrap().len()), (&json!("REQUIRED"), &json!("g"), 1));
    assert_eq!(sent(ask(json!("none"))).0["tool_choice"], "NONE");
    assert_eq!(sent(ask(json!("auto"))).0.get("tool_choice"), None);
    // A model that thinks gets its thoughts back as such.
    let thinker = testing::target("cohere", "command-a-reasoning-08-2025", |m| m.capabilities.reasoning = Capability::Yes);
    let (body, _) = sent_to(&thinker, ask(json!("auto"))).unwrap();
    assert_eq!(body["messages"][1]["content"][0], json!({"type": "thinking", "thinking": "plan"}));
}

#[test]
fn t11_thinking_is_asked_only_of_who_can() {
    let ask = |effort: &str| json!({"model": "x", "messages": [{"role": "user", "content": "a"}], "reasoning_effort": effort});
    let of = |can: Capability, effort: &str| {
        sent_to(&testing::target("cohere", "m", |m| m.capabilities.reasoning = can), ask(effort)).unwrap().0.get("thinking").cloned()
    };
    assert_eq!(of(Capability::Yes, "high"), Some(json!({"type": "enabled"})));
    assert_eq!(of(Capability::Yes, "none"), Some(json!({"type": "disabled"})));
    assert_eq!(of(Capability::No, "high"), None);
}

#[test]
fn what_would_change_the_meaning_is_refused() {
    let target = testing::target("cohere", "m", |_| ());
    let user = json!([{"role": "user", "content": "a"}]);
    for body in [
        json!({"model": "x", "messages": user, "n": 2}),
        json!({"model": "x", "messages": user, "tools": [{"type": "function", "function": {"name": "f"}}], "response_format": {"type": "json_object"}}),
        json!({"model": "x", "messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]}),
    ] {
        assert_eq!(sent_to(&target, body.clone()).unwrap_err().reason, headworks_core::Reason::CapabilityMissing, "{body}");
    }
}
