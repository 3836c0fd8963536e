//! What clients are given.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headworks_core::{
    AttemptReport, Batch, ChatRequest, EventKind, Fault, FinishReason, Frame, Json, ModelId, NanoUsd, Outcome, PartKind, Reason, Receipt, Timings, Tokens,
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::read;
use crate::{Door, ErrorFace, Writer, frame::sse::SseParser, responses::ResponsesDoor, testing::target};

fn receipt() -> EventKind {
    let tokens = Tokens { input: 7, cache_read: 4, output: 7, reasoning: 2, ..Tokens::default() };
    let attempt = AttemptReport {
        ordinal: 1,
        target: ModelId::new("p", "m"),
        served_model: None,
        outcome: Outcome::Success,
        reason: None,
        status: 200,
        message: None,
        timings: Timings { start_unix_nanos: 0, total: Default::default(), first_token: None },
        tokens,
        estimated: false,
        cost: Some(NanoUsd(5)),
        markup: Default::default(),
        rates: None,
        service_tier: None,
        hold: NanoUsd(9),
        hedge: false,
    };
    EventKind::Receipt(Arc::new(Receipt {
        request_id: "req_x".into(),
        asked: "p/m".into(),
        policy: None,
        attempts: vec![attempt],
        skipped: Vec::new(),
        notes: Vec::new(),
        tokens,
        cost: NanoUsd(5),
        cost_known: true,
        estimated: false,
        saved: NanoUsd(0),
        cached: None,
    }))
}

fn asked(body: &Value) -> Result<ChatRequest, Fault> {
    ResponsesDoor.request(&HeaderMap::new(), &Bytes::from(body.to_string()))
}

fn writer(body: Value) -> Box<dyn Writer> {
    let mut writer = ResponsesDoor.writer(&asked(&body).unwrap());
    writer.begin("req_06a5b4c3d2e1f0g9h8j7k6m5");
    writer
}

/// The events of written bytes, numbered without a gap.
fn events(bytes: &[u8]) -> Vec<Value> {
    let mut out = Vec::new();
    let mut parser = SseParser::default();
    parser
        .push(&Bytes::copy_from_slice(bytes), |event| {
            let value: Value = serde_json::from_slice(&event.data).unwrap();
            assert_eq!(value["type"], std::str::from_utf8(&event.name).unwrap());
            assert_eq!(value["sequence_number"], out.len());
            out.push(value);
            Ok(())
        })
        .unwrap();
    out
}

fn everything() -> Vec<EventKind> {
    let arguments = |index, piece: &str| EventKind::ToolCallArguments { index, piece: piece.into() };
    vec![
        EventKind::Started { id: Some("x".into()), model: Some("m-1".into()), created: Some(1_750_000_000) },
        EventKind::Reasoning("hm ".into()),
        EventKind::Reasoning("→".into()),
        EventKind::ReasoningSignature("EqQB".into()),
        EventKind::RedactedReasoning("blob".into()),
        EventKind::Text("Grüezi".into()),
        EventKind::Logprobs(Json::parse(r#"{"content":[{"token":"G","bytes":null,"logprob":-0.5,"top_logprobs":[]}]}"#).unwrap()),
        EventKind::Text(" you".into()),
        EventKind::Refusal("no".into()),
        EventKind::ToolCallStart { index: 0, id: "c0".into(), name: "f".into(), signature: Some("c2ln".into()) },
        EventKind::ToolCallStart { index: 1, id: "c1".into(), name: "g".into(), signature: None },
        arguments(1, "{\"b\""),
        arguments(0, "{\"a\":1}"),
        arguments(1, ":2}"),
        EventKind::ToolCallEnd { index: 0 },
        EventKind::ToolCallEnd { index: 1 },
        EventKind::Usage { tokens: Tokens::default(), service_tier: Some("flex".into()) },
        EventKind::Finished(FinishReason::ToolCalls),
        receipt(),
    ]
}

fn write(writer: &mut dyn Writer, kinds: &[EventKind]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for kind in kinds {
        let mut batch = Batch::default();
        batch.push(kind.clone());
        writer.push(&batch, &mut out).unwrap();
    }
    out.to_vec()
}

#[test]
fn f11_t4_t6_the_stream_adds_up_to_the_whole() {
    let request = json!({"model": "p/m", "input": "hi", "instructions": "be kind", "tools": [{"type": "function", "name": "f"}], "metadata": {"a": "b"}});
    let mut unary = writer(request.clone());
    let whole: Value = serde_json::from_slice(&write(&mut *unary, &everything())).unwrap();
    let mut streamed = writer(
        json!({"model": "p/m", "input": "hi", "instructions": "be kind", "tools": [{"type": "function", "name": "f"}], "metadata": {"a": "b"}, "stream": true}),
    );
    let told = events(&write(&mut *streamed, &everything()));
    let last = told.last().unwrap();
    assert_eq!((&last["type"], &last["response"]), (&json!("response.completed"), &whole));
    assert_eq!(serde_json::from_slice::<Value>(&streamed.kept().unwrap()).unwrap(), whole, "what is kept is what was told");
    let kinds: Vec<&str> = whole["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "reasoning", "message", "reasoning", "function_call", "function_call"]);
    assert_eq!(whole["output"][4]["arguments"], "{\"a\":1}");
    assert_eq!(whole["output"][5]["arguments"], "{\"b\":2}");
    assert_eq!(whole["output"][2]["content"][0]["text"], "Grüezi you");
    assert_eq!(whole["output"][2]["content"][1], json!({"type": "refusal", "refusal": "no"}));
    assert_eq!(
        (&whole["instructions"], &whole["metadata"], &whole["service_tier"], &whole["model"]),
        (&json!("be kind"), &json!({"a": "b"}), &json!("flex"), &json!("m-1"))
    );
    assert_eq!(whole["usage"]["input_tokens_details"]["cached_tokens"], 4);
    let done: Vec<&Value> = told.iter().filter(|e| e["type"] == "response.output_item.done").map(|e| &e["item"]).collect();
    let mut listed: Vec<&Value> = whole["output"].as_array().unwrap().iter().collect();
    let mut sorted = done.clone();
    sorted.sort_by_key(|item| item["id"].to_string());
    listed.sort_by_key(|item| item["id"].to_string());
    assert_eq!(sorted, listed);
    for index in [4, 5] {
        let deltas: String = told
            .iter()
            .filter(|e| e["type"] == "response.function_call_arguments.delta" && e["output_index"] == index)
            .map(|e| e["delta"].as_str().unwrap())
            .collect();
        assert_eq!(deltas, whole["output"][index]["arguments"].as_str().unwrap());
    }
}

#[test]
fn t1_t2_what_was_told_comes_back_as_it_was_issued() {
    let whole: Value = serde_json::from_slice(&write(&mut *writer(json!({"model": "p/m", "input": "hi"})), &everything())).unwrap();
    let mut input = whole["output"].as_array().unwrap().clone();
    input.push(json!({"type": "function_call_output", "call_id": "c0", "output": "1"}));
    let request = asked(&json!({"model": "p/m", "input": input})).unwrap();
    let parts: Vec<&PartKind> = request.messages[0].parts.iter().map(|part| &part.kind).collect();
    assert_eq!(parts[0], &PartKind::Reasoning { text: "hm →".into(), signature: Some("EqQB".into()), redacted: None });
    assert_eq!(parts[1], &PartKind::Reasoning { text: "".into(), signature: None, redacted: Some("blob".into()) });
    assert_eq!(parts[2], &PartKind::Text("Grüezi you".into()));
    assert_eq!(parts[4], &PartKind::ToolCall { id: "c0".into(), name: "f".into(), arguments: "{\"a\":1}".into(), signature: Some("c2ln".into()) });
    assert_eq!(request.messages.len(), 2, "one turn of the assistant, one of the tool");
}

#[test]
fn r2_a_broken_stream_never_completes() {
    let mut streamed = writer(json!({"model": "p/m", "input": "hi", "stream": true}));
    let mut out = BytesMut::from(&write(&mut *streamed, &[EventKind::Text("half".into())])[..]);
    let face = ErrorFace { status: 502, kind: "api_error", code: Some("stream_broken"), retryable: true, request_id: None };
    streamed.fault(&Fault::new(Reason::StreamBroken, "the answer broke off"), &face, &mut out);
    let told = events(&out);
    let kinds: Vec<&str> = told.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[kinds.len() - 2..], ["error", "response.failed"]);
    assert!(!kinds.contains(&"response.completed"));
    let error = &told[told.len() - 2];
    assert_eq!((&error["code"], &error["error"]["headworks"]["reason"]), (&json!("stream_broken"), &json!("STREAM_BROKEN")));
    assert_eq!(streamed.kept(), None, "and is not kept");
}

#[test]
fn t12_frames_of_this_dialect_pass_as_they_came() {
    let created = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_u\",\"store\":false,\"x\":1.50,\"previous_response_id\":null}}\n\n";
    let delta =
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\", \"delta\":\"a\",\"output_index\":0,\"n\":12345678901234567890}\n\n";
    let end = "data: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"resp_u\",\"status\":\"completed\",\"output\":[],\"x\":2.0,\"store\":false,\"usage\":{\"input_tokens\":1,\"output_tokens\":1,\"theirs\":3}}}\n\n";
    let target = target("openai", "gpt-5", |_| ());
    let body = [created, delta, end].concat();
    let mut streamed = writer(json!({"model": "p/m", "input": "hi", "stream": true, "previous_response_id": "resp_p"}));
    let mut headers = HeaderMap::new();
    headers.insert("content-type", http::HeaderValue::from_static("text/event-stream"));
    let mut decoder = crate::Dialect::decoder(&crate::responses::Responses, &target, &crate::Head { status: http::StatusCode::OK, headers: &headers });
    let mut out = BytesMut::new();
    for piece in body.as_bytes().chunks(10) {
        let mut batch = Batch::default();
        decoder.push(&Bytes::copy_from_slice(piece), &mut batch).unwrap();
        streamed.push(&batch, &mut out).unwrap();
    }
    let before = out.len();
    out.extend_from_slice(&write(&mut *streamed, &[receipt()]));
    let text = String::from_utf8(out.to_vec()).unwrap();
    assert!(text.contains(delta), "{text}");
    assert!(text.starts_with("event: response.created\n") && text.contains(r#""id":"resp_u","store":true,"x":1.50,"previous_response_id":"resp_p""#), "{text}");
    let last = &text[before..];
    assert!(
        last.contains(r#""x":2.0,"store":true"#) && last.contains(r#""theirs":3"#) && last.contains("\"cost\":") && last.contains("\"headworks\":"),
        "{last}"
    );
    let kept: Value = serde_json::from_slice(&streamed.kept().unwrap()).unwrap();
    assert_eq!((&kept["id"], &kept["store"]), (&json!("resp_u"), &json!(true)));
    // The unary body too.
    let whole =
        r#"{"id":"resp_u","object":"response","status":"completed","output":[],"big":12345678901234567890,"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let (kinds, fault) = read(&target, "application/json", whole.as_bytes(), 9);
    assert!(fault.is_none());
    let mut unary = writer(json!({"model": "p/m", "input": "hi", "store": false}));
    let mut batch = Batch { dialect: Some(headworks_core::DialectName::OpenAiResponses), ..Batch::default() };
    batch.frames.push(Frame { bytes: whole.into(), events: u16::try_from(kinds.len()).unwrap() });
    kinds.into_iter().for_each(|kind| batch.push(kind));
    let mut out = BytesMut::new();
    unary.push(&batch, &mut out).unwrap();
    out.extend_from_slice(&write(&mut *unary, &[receipt()]));
    assert!(std::str::from_utf8(&out).unwrap().contains(r#""big":12345678901234567890"#));
    assert_eq!(unary.kept(), None, "store: false");
}

#[test]
fn t14_errors_name_the_field() {
    let call = |arguments: &str| json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments});
    let say = |input: Value| json!({"model": "p/m", "input": input});
    for (body, field) in [
        (say(json!([{"role": "user", "content": "x"}, call("{broken")])), "input[1].arguments"),
        (say(json!([call("[1]")])), "input[0].arguments"),
        (say(json!([{"role": "robot", "content": "x"}])), "input[0].role"),
        (say(json!([{"role": "user", "content": [{"type": "picture"}]}])), "input[0].content[0].type"),
        (say(json!([{"type": "item_reference", "id": "msg_1"}])), "input[0].id"),
        (say(json!([])), "input"),
        (json!({"model": "p/m"}), "input"),
        (json!({"input": "x"}), "model"),
        (json!({"model": "p/m", "input": "x", "background": true}), "background"),
        (json!({"model": "p/m", "input": "x", "conversation": "c"}), "conversation"),
        (json!({"model": "p/m", "input": "x", "tools": [{"type": "function"}]}), "tools[0].name"),
        (json!({"model": "p/m", "input": "x", "text": {"format": {"type": "yaml"}}}), "text.format.type"),
        (json!({"model": "p/m", "input": "x", "temperature": "hot"}), "temperature"),
        (json!({"model": "p/m", "input": "x", "max_output_tokens": 0}), "max_output_tokens"),
    ] {
        let fault = asked(&body).unwrap_err();
        assert_eq!(fault.field(), Some(field), "{body}: {fault:?}");
    }
}
