//! Answers of every dialect written for the clients of every door, and requests of every door spelled for every host:
//! S4 (roles and signs of life), F7 (good ends), T4 and T6 (calls told in turns), T13 (tools reach every host).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use headworks_core::{AttemptReport, Batch, Catalog, DialectName, EventKind, NanoUsd, Outcome, Reason, Receipt, Target, Timings, Tokens};
use headworks_providers::{Dialect, Door, Head, anthropic::AnthropicDoor, catalog, dialect, frame::aws::message, openai::OpenAiDoor, responses::ResponsesDoor};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

const DOORS: [&dyn Door; 3] = [&OpenAiDoor, &AnthropicDoor, &ResponsesDoor];

fn targets() -> Catalog {
    let over = "[azure]\nbase_url = \"http://h\"\n[bedrock]\nregion = \"us-east-1\"\n";
    catalog::load(&toml::from_str(over).unwrap(), &|name| (name == "GOOGLE_VERTEX_PROJECT").then(|| "p".to_owned())).unwrap()
}

fn codec(name: DialectName) -> &'static dyn Dialect {
    dialect(name).unwrap()
}

/// A stream of one dialect: text, with whatever signs of life its hosts send.
struct Sample {
    dialect: DialectName,
    target: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

const SSE: &str = "text/event-stream";

fn text_samples() -> Vec<Sample> {
    let sse = |events: &[Value]| events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap_or("message"))).collect::<String>();
    let aws = |name: &str, payload: Value| message(&[(":event-type", name), (":message-type", "event")], payload.to_string().as_bytes());
    let one = |dialect, target, body: String| Sample { dialect, target, kind: SSE, body: body.into_bytes() };
    vec![
        // Without a role, with comments as OpenRouter and nginx send them, and an event without data.
        one(
            DialectName::OpenAi,
            "openai/gpt-4o",
            ": OPENROUTER PROCESSING\n\nevent: ping\n\ndata: {\"id\":\"a\",\"model\":\"m\",\"created\":1,\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüezi\"}}]}\n\n: still here\n\ndata: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".to_owned(),
        ),
        one(
            DialectName::Anthropic,
            "anthropic/claude-sonnet-4-5",
            sse(&[
                json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}}),
                json!({"type": "ping"}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                json!({"type": "ping"}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüezi"}}),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}}),
                json!({"type": "message_stop"}),
            ]),
        ),
        one(
            DialectName::Gemini,
            "google/gemini-2.5-flash",
            ": alive\r\n\r\ndata: {\"responseId\":\"r\",\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Grüezi\"}]}}]}\r\n\r\ndata: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":4}}\r\n\r\n".to_owned(),
        ),
        one(
            DialectName::Cohere,
            "cohere/command-a-03-2025",
            sse(&[
                json!({"type": "message-start", "id": "i"}),
                json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Grüezi"}}}}),
                json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}),
            ]),
        ),
        one(
            DialectName::OpenAiResponses,
            "openai/gpt-5-pro",
            format!(
                ": keep-alive\n\n{}",
                sse(&[
                    json!({"type": "response.created", "sequence_number": 0, "response": {"id": "r", "model": "m", "created_at": 1, "output": []}}),
                    json!({"type": "keepalive", "sequence_number": 1}),
                    json!({"type": "response.output_text.delta", "sequence_number": 2, "output_index": 0, "content_index": 0, "delta": "Grüezi", "logprobs": []}),
                    json!({"type": "response.completed", "sequence_number": 3, "response": {"status": "completed", "output": []}}),
                ])
            ),
        ),
        Sample {
            dialect: DialectName::Bedrock,
            target: "bedrock/amazon.nova-pro-v1:0",
            kind: "application/vnd.amazon.eventstream",
            body: [
                aws("messageStart", json!({"role": "assistant"})),
                aws("somethingNew", json!({})),
                aws("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "Grüezi"}})),
                aws("messageStop", json!({"stopReason": "end_turn"})),
                aws("metadata", json!({"usage": {"inputTokens": 3, "outputTokens": 4}})),
            ]
            .concat(),
        },
    ]
}

/// What each read of a body gave.
fn read(target: &Target, name: DialectName, kind: &'static str, body: &[u8]) -> Vec<Batch> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut decoder = codec(name).decoder(target, &Head { status: StatusCode::OK, headers: &headers });
    let mut batches: Vec<Batch> = body
        .chunks(40)
        .map(|piece| {
            let mut batch = Batch::default();
            decoder.push(&Bytes::copy_from_slice(piece), &mut batch).unwrap();
            batch
        })
        .collect();
    let mut last = Batch::default();
    decoder.end(&mut last).unwrap();
    batches.push(last);
    batches
}

fn receipt(target: &Target) -> Batch {
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
    let mut batch = Batch::default();
    batch.push(EventKind::Receipt(Arc::new(Receipt {
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
    })));
    batch
}

/// The least that a client can ask of a door.
fn least(door: &dyn Door, stream: bool, more: Value) -> Bytes {
    let mut body = json!({"model": "m", "stream": stream});
    let fields = match door.name() {
        DialectName::OpenAiResponses => json!({"input": "x"}),
        _ => json!({"max_tokens": 99, "messages": [{"role": "user", "content": "x"}]}),
    };
    for (name, value) in fields.as_object().unwrap().iter().chain(more.as_object().unwrap()) {
        body[name] = value.clone();
    }
    Bytes::from(body.to_string())
}

fn written(door: &dyn Door, stream: bool, batches: &[Batch], target: &Target) -> String {
    let mut writer = door.writer(&door.request(&HeaderMap::new(), &least(door, stream, json!({}))).unwrap());
    let mut out = BytesMut::new();
    writer.begin("req_1");
    for batch in batches.iter().chain([&receipt(target)]) {
        writer.push(batch, &mut out).unwrap();
    }
    String::from_utf8(out.to_vec()).unwrap()
}

/// The data of each event; `[DONE]` as null.
fn events(stream: &str) -> Vec<Value> {
    stream.lines().filter_map(|line| line.strip_prefix("data:")).map(|data| serde_json::from_str(data.trim()).unwrap_or(Value::Null)).collect()
}

#[test]
fn s4_f7_the_first_chunk_has_the_role_and_the_last_is_done() {
    let catalog = targets();
    for sample in text_samples() {
        let target = catalog.target(sample.target).unwrap();
        let batches = read(&target, sample.dialect, sample.kind, &sample.body);
        let chat = events(&written(&OpenAiDoor, true, &batches, &target));
        let roles: Vec<_> = chat.iter().map(|chunk| chunk["choices"][0]["delta"]["role"].as_str()).collect();
        assert_eq!(roles[0], Some("assistant"), "{}: {chat:?}", sample.target);
        assert!(roles[1..].iter().all(Option::is_none), "{}: once", sample.target);
        assert_eq!(chat.iter().position(Value::is_null), Some(chat.len() - 1), "F7 {}: [DONE] is last", sample.target);
        let text: String = chat.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(text, "Grüezi", "{}", sample.target);
        let messages = events(&written(&AnthropicDoor, true, &batches, &target));
        assert_eq!((&messages[0]["type"], &messages[0]["message"]["role"]), (&json!("message_start"), &json!("assistant")), "{}", sample.target);
        assert_eq!(messages.last().unwrap()["type"], "message_stop", "F7 {}", sample.target);
        let responses = events(&written(&ResponsesDoor, true, &batches, &target));
        assert_eq!(
            (&responses[0]["type"], &responses.last().unwrap()["type"]),
            (&json!("response.created"), &json!("response.completed")),
            "F7 {}",
            sample.target
        );
    }
}

#[test]
fn s4_signs_of_life_are_no_answer_and_each_door_has_its_own() {
    let catalog = targets();
    for sample in text_samples() {
        let target = catalog.target(sample.target).unwrap();
        let batches = read(&target, sample.dialect, sample.kind, &sample.body);
        let kinds: Vec<_> = batches.iter().flat_map(|batch| &batch.events).map(|event| &event.kind).collect();
        let content: Vec<_> = kinds.iter().filter(|kind| kind.is_content()).collect();
        assert!(matches!(content[..], [EventKind::Text(_), EventKind::Finished(_)]), "{}: {kinds:?}", sample.target);
        assert_eq!(kinds.iter().filter(|kind| matches!(kind, EventKind::Started { .. })).count(), 1, "{}: one start", sample.target);
    }
    // What their clients skip: a comment, or Anthropic's ping. A whole answer has nothing to say before its end.
    for door in DOORS {
        let sign = |stream| door.writer(&door.request(&HeaderMap::new(), &least(door, stream, json!({}))).unwrap()).keep_alive();
        let wanted: &[u8] = if door.name() == DialectName::Anthropic { b"event: ping\ndata: {\"type\":\"ping\"}\n\n" } else { b": keep-alive\n\n" };
        assert_eq!((&sign(true)[..], &sign(false)[..]), (wanted, &b""[..]), "{:?}", door.name());
    }
}

/// The calls of an answer at a door, however it was asked for.
fn calls(door: &dyn Door, stream: bool, text: &str) -> Vec<(String, Value)> {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    if !stream {
        let whole = parsed(text);
        return match door.name() {
            DialectName::Anthropic => whole["content"].as_array().unwrap().iter().map(|b| (name(b), b["input"].clone())).collect(),
            DialectName::OpenAiResponses => whole["output"].as_array().unwrap().iter().map(|i| (name(i), parsed(i["arguments"].as_str().unwrap()))).collect(),
            _ => {
                let calls = whole["choices"][0]["message"]["tool_calls"].as_array().unwrap();
                calls.iter().map(|c| (name(&c["function"]), parsed(c["function"]["arguments"].as_str().unwrap()))).collect()
            }
        };
    }
    let mut open: BTreeMap<u64, (String, String)> = BTreeMap::new();
    for event in events(text) {
        let at = event["index"].as_u64().or(event["output_index"].as_u64()).unwrap_or_default();
        match event["type"].as_str() {
            Some("content_block_start") => drop(open.insert(at, (name(&event["content_block"]), String::new()))),
            Some("content_block_delta") => open.get_mut(&at).expect("an open block").1.push_str(event["delta"]["partial_json"].as_str().unwrap()),
            Some("response.output_item.added") => drop(open.insert(at, (name(&event["item"]), String::new()))),
            Some("response.function_call_arguments.delta") => open.get_mut(&at).expect("an open item").1.push_str(event["delta"].as_str().unwrap()),
            // What is done is told once more as a whole.
            Some("response.output_item.done") => assert_eq!(event["item"]["arguments"].as_str(), Some(&*open[&at].1)),
            Some(_) => {}
            None => {
                for call in event["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
                    let entry = open.entry(call["index"].as_u64().unwrap()).or_default();
                    entry.0.push_str(call["function"]["name"].as_str().unwrap_or_default());
                    entry.1.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
                }
            }
        }
    }
    open.into_values().map(|(name, text)| (name, if text.is_empty() { json!({}) } else { parsed(&text) })).collect()
}

#[test]
fn t4_t6_calls_told_in_turns_keep_their_arguments_at_every_door() {
    let catalog = targets();
    let target = catalog.target("openai-compatible/any").unwrap();
    let chunk =
        |calls: Value| format!("data: {}\n\n", json!({"id": "a", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"tool_calls": calls}}]}));
    let begins =
        |at: u32, name: &str, text: &str| json!({"index": at, "id": format!("c{at}"), "type": "function", "function": {"name": name, "arguments": text}});
    let goes_on = |at: u32, text: &str| json!({"index": at, "function": {"arguments": text}});
    let wanted = vec![("f".to_owned(), json!({"x": "}"})), ("g".to_owned(), json!({})), ("h".to_owned(), json!({"y": [1]}))];
    for (what, pieces) in [
        (
            "all begin at once",
            vec![json!([begins(0, "f", ""), begins(1, "g", ""), begins(2, "h", "")]), json!([goes_on(0, "{\"x\":\"}\"}")]), json!([goes_on(2, "{\"y\":[1]}")])],
        ),
        (
            "piece by piece in turns",
            vec![
                json!([begins(0, "f", "{\"x\":\"")]),
                json!([begins(1, "g", "{}"), goes_on(0, "}")]),
                json!([begins(2, "h", "{\"y\"")]),
                json!([goes_on(0, "\"}")]),
                json!([goes_on(2, ":[1]}")]),
            ],
        ),
        ("one after the other", vec![json!([begins(0, "f", "{\"x\":\"}\"}")]), json!([begins(1, "g", "{}")]), json!([begins(2, "h", "{\"y\":[1]}")])]),
    ] {
        let body: String = pieces
            .into_iter()
            .map(chunk)
            .chain(["data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n".to_owned()])
            .collect();
        let batches = read(&target, DialectName::OpenAi, SSE, body.as_bytes());
        let ends: Vec<_> = batches.iter().flat_map(|b| &b.events).filter(|e| matches!(e.kind, EventKind::ToolCallEnd { .. })).collect();
        assert_eq!(ends.len(), 3, "{what}");
        for door in DOORS {
            for stream in [true, false] {
                assert_eq!(calls(door, stream, &written(door, stream, &batches, &target)), wanted, "{what}, for {:?}, streamed: {stream}", door.name());
            }
        }
    }
}

#[test]
fn t4_f3_pieces_of_a_call_that_was_over_are_an_error_unless_they_repeat_it() {
    let catalog = targets();
    let target = catalog.target("openai-compatible/any").unwrap();
    let chunk = |choice: Value| format!("data: {}\n\n", json!({"id": "a", "created": 1, "model": "m", "choices": [choice]}));
    let call = |text: &str| json!({"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": text}}]}});
    let finish = chunk(json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"}));
    for (first, behind, good) in [("{}", "{}", true), ("{\"x\"", ":1}", false)] {
        let body = format!("{}{finish}{}data: [DONE]\n\n", chunk(call(first)), chunk(call(behind)));
        let mut decoder = codec(DialectName::OpenAi).decoder(&target, &Head { status: StatusCode::OK, headers: &HeaderMap::new() });
        let mut batch = Batch::default();
        let read = decoder.push(&Bytes::from(body), &mut batch);
        assert_eq!(read.is_ok(), good, "{first}{behind}");
        let pieces: String =
            batch.events.iter().filter_map(|e| if let EventKind::ToolCallArguments { piece, .. } = &e.kind { Some(piece.as_str()) } else { None }).collect();
        assert_eq!(pieces, first);
    }
    // Calls without ids under one number are as many as there are whole ones.
    let one = |name: &str, text: &str| chunk(json!({"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": name, "arguments": text}}]}}));
    let body = format!("{}{}{finish}data: [DONE]\n\n", one("f", "{\"x\":1}"), one("g", "{}"));
    let batches = read(&target, DialectName::OpenAi, SSE, body.as_bytes());
    let wanted = vec![("f".to_owned(), json!({"x": 1})), ("g".to_owned(), json!({}))];
    assert_eq!(calls(&OpenAiDoor, true, &written(&OpenAiDoor, true, &batches, &target)), wanted);
}

#[test]
fn f6_choices_that_a_host_leaves_out_are_not_invented() {
    let catalog = targets();
    let target = catalog.target("openai-compatible/any").unwrap();
    let chunk = |choice: Value| format!("data: {}\n\n", json!({"id": "a", "created": 1, "model": "m", "choices": [choice]}));
    for end in [chunk(json!({"index": 2, "delta": {}, "finish_reason": "stop"})), String::new()] {
        let body = format!("{}{end}data: [DONE]\n\n", chunk(json!({"index": 2, "delta": {"content": "a"}})));
        let batches = read(&target, DialectName::OpenAi, SSE, body.as_bytes());
        let whole: Value = serde_json::from_str(&written(&OpenAiDoor, false, &batches, &target)).unwrap();
        let told: Vec<_> = whole["choices"].as_array().unwrap().iter().map(|c| (c["index"].as_u64(), c["finish_reason"].as_str())).collect();
        assert_eq!(told, [(Some(2), Some("stop"))]);
        let streamed = events(&written(&OpenAiDoor, true, &batches, &target));
        assert!(streamed.iter().flat_map(|chunk| chunk["choices"].as_array()).flatten().all(|choice| choice["index"] == 2), "{streamed:?}");
    }
}

#[test]
fn f5_a_stream_that_never_said_why_it_ended_is_whole_once_it_is_done() {
    let catalog = targets();
    let target = catalog.target("openai-compatible/any").unwrap();
    let body = "data: {\"id\":\"a\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n";
    let batches = read(&target, DialectName::OpenAi, SSE, body.as_bytes());
    let chat = events(&written(&OpenAiDoor, true, &batches, &target));
    assert!(chat.iter().any(|chunk| chunk["choices"][0]["finish_reason"] == "stop"), "{chat:?}");
    assert_eq!(events(&written(&AnthropicDoor, true, &batches, &target)).iter().filter(|e| e["delta"]["stop_reason"] == "end_turn").count(), 1);
    // R3: an end without anything before it is none.
    let mut decoder = codec(DialectName::OpenAi).decoder(&target, &Head { status: StatusCode::OK, headers: &HeaderMap::new() });
    let fault = decoder.push(&Bytes::from_static(b"data: [DONE]\n\n"), &mut Batch::default()).unwrap_err();
    assert_eq!(fault.cause, headworks_core::Cause::Broken);
}

#[test]
fn t13_tools_reach_every_host_or_the_request_is_refused() {
    let catalog = targets();
    let schema = json!({"type": "object", "properties": {"canton_of_it": {"type": "string"}}});
    let tools = |door: &dyn Door| match door.name() {
        DialectName::Anthropic => json!([{"name": "get_weather", "input_schema": schema}]),
        DialectName::OpenAiResponses => json!([{"type": "function", "name": "get_weather", "parameters": schema}]),
        _ => json!([{"type": "function", "function": {"name": "get_weather", "parameters": schema}}]),
    };
    let (mut carried, mut refused) = (0, 0);
    for door in DOORS {
        let request = door.request(&HeaderMap::new(), &least(door, false, json!({"tools": tools(door)}))).unwrap();
        for id in [
            "openai/gpt-4o",
            "openai/gpt-5-pro",
            "anthropic/claude-sonnet-4-5",
            "google/gemini-2.5-flash",
            "cohere/command-a-03-2025",
            "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0",
            "bedrock/amazon.nova-pro-v1:0",
            "bedrock/openai.gpt-oss-120b-1:0",
            "azure/gpt-4o",
            "azure/claude-sonnet-4-5",
            "vertex/gemini-2.5-flash",
            "vertex/claude-sonnet-4-5",
            "vertex/codestral-2",
            "mistral/mistral-medium-latest",
            "deepseek/deepseek-v4-flash",
            "perplexity/sonar",
            "groq/any",
            "xai/grok-4.6",
            "ollama/any",
            "openrouter/any",
            "voyage/voyage-4",
        ] {
            let Some(target) = catalog.target(id) else { continue };
            let Some(codec) = target.dialect.and_then(dialect) else { continue };
            match codec.encode(&target, &request) {
                Ok(encoded) => {
                    let body = std::str::from_utf8(encoded.request.body()).unwrap();
                    assert!(body.contains("get_weather") && body.contains("canton_of_it"), "{:?} to {id}: {body}", door.name());
                    carried += 1;
                }
                Err(fault) => {
                    assert_eq!(fault.reason, Reason::CapabilityMissing, "{id}: {fault:?}");
                    refused += 1;
                }
            }
        }
    }
    assert!(carried >= 50 && refused >= 3, "{carried} carried, {refused} refused");
}
