//! What is read of Anthropic's answers, whole and streamed.

use headworks_core::{Cause, FinishReason, Reason};
use serde_json::json;

use super::*;
use crate::openai::OpenAiDoor;

fn kinds(body: &[u8], stream: bool) -> Vec<EventKind> {
    read(body, stream, 11).into_iter().flat_map(|batch| batch.events).map(|event| event.kind).collect()
}

fn sse(events: &[Value]) -> String {
    events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap())).collect()
}

/// A stream of these blocks, each with its deltas.
fn streamed(start: Value, blocks: &[(Value, Vec<Value>)], stop: &str, usage: Value) -> String {
    let mut all = vec![json!({"type": "message_start", "message": {"id": "msg_1", "model": "c", "content": [], "usage": start}})];
    for (index, (block, deltas)) in blocks.iter().enumerate() {
        all.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        all.extend(deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
        all.push(json!({"type": "content_block_stop", "index": index}));
    }
    all.push(json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage}));
    all.push(json!({"type": "message_stop"}));
    sse(&all)
}

fn whole(blocks: Value, stop: &str, usage: Value) -> String {
    json!({"id": "msg_1", "model": "c", "content": blocks, "stop_reason": stop, "usage": usage}).to_string()
}

fn tokens(kinds: &[EventKind]) -> Tokens {
    kinds.iter().rev().find_map(|kind| if let EventKind::Usage { tokens, .. } = kind { Some(*tokens) } else { None }).unwrap()
}

fn finish(kinds: &[EventKind]) -> FinishReason {
    kinds.iter().find_map(|kind| if let EventKind::Finished(reason) = kind { Some(*reason) } else { None }).unwrap()
}

fn calls(kinds: &[EventKind]) -> Vec<(u32, String, String, Value)> {
    let mut out: Vec<(u32, String, String, String)> = Vec::new();
    for kind in kinds {
        match kind {
            EventKind::ToolCallStart { index, id, name, .. } => out.push((*index, id.to_string(), name.to_string(), String::new())),
            EventKind::ToolCallArguments { index, piece } => out.iter_mut().find(|c| c.0 == *index).unwrap().3.push_str(piece),
            _ => {}
        }
    }
    out.into_iter().map(|(index, id, name, arguments)| (index, id, name, serde_json::from_str(&arguments).unwrap())).collect()
}

fn piece(json: &str) -> Value {
    json!({"type": "input_json_delta", "partial_json": json})
}

#[test]
fn a1_a2_a3_a4_streams_and_whole_answers_count_the_same() {
    let usage = json!({"input_tokens": 5, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 30, "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}, "service_tier": "priority"});
    let wanted = Tokens { input: 5, cache_read: 40, cache_write_5m: 10, cache_write_1h: 20, output: 9, reasoning: 4, ..Tokens::default() };
    let text = json!({"type": "text", "text": "x"});
    let mut early = usage.clone();
    early["output_tokens"] = json!(1);
    for answer in [
        kinds(whole(json!([text]), "end_turn", usage.clone()).as_bytes(), false),
        // The counts at the beginning, the output at the end; everything at the end; everything twice.
        kinds(streamed(early, &[(text.clone(), vec![])], "end_turn", json!({"output_tokens": 9})).as_bytes(), true),
        kinds(streamed(json!(null), &[(text.clone(), vec![])], "end_turn", usage.clone()).as_bytes(), true),
        kinds(streamed(usage.clone(), &[(text, vec![])], "end_turn", usage).as_bytes(), true),
    ] {
        let got = tokens(&answer);
        // Where `message_delta` alone speaks, thinking is told there.
        assert_eq!(Tokens { reasoning: 4, ..got }, wanted);
        assert_eq!((got.prompt(), got.completion()), (75, 9), "F4: the prompt is everything read");
        assert!(answer.iter().any(|k| matches!(k, EventKind::Usage { service_tier: Some(tier), .. } if &**tier == "priority")));
    }
    let odd = kinds(
        whole(
            json!([{"type": "text", "text": "x"}]),
            "end_turn",
            json!({"input_tokens": -5, "cache_creation": {"ephemeral_1h_input_tokens": 7}, "output_tokens": 2}),
        )
        .as_bytes(),
        false,
    );
    assert_eq!(tokens(&odd), Tokens { cache_write_1h: 7, output: 2, ..Tokens::default() }, "never negative; a split without a sum is one");
}

#[test]
fn a12_a14_the_chat_door_adds_the_total_up_and_tells_it_only_when_asked() {
    let body = streamed(
        json!({"input_tokens": 5, "output_tokens": 1}),
        &[(json!({"type": "text", "text": ""}), vec![json!({"type": "text_delta", "text": "x"})])],
        "end_turn",
        json!({"output_tokens": 9}),
    );
    for asked in [true, false] {
        let ask = json!({"model": "m", "stream": true, "stream_options": {"include_usage": asked}, "messages": [{"role": "user", "content": "x"}]});
        let request = OpenAiDoor.request(&HeaderMap::new(), &Bytes::from(ask.to_string())).unwrap();
        let (mut writer, mut out) = (OpenAiDoor.writer(&request), BytesMut::new());
        let mut batches = read(body.as_bytes(), true, 30);
        batches.push(batch([receipt(Tokens { input: 5, output: 9, ..Tokens::default() })]));
        batches.iter().for_each(|batch| writer.push(batch, &mut out).unwrap());
        let text = String::from_utf8(out.to_vec()).unwrap();
        assert_eq!(text.matches("\"total_tokens\":14").count(), usize::from(asked), "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "F7");
    }
}

#[test]
fn t4_t5_t6_f6_calls_are_counted_from_nought_and_whole_either_way() {
    let call = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "f", "input": input});
    let hosted = json!({"type": "server_tool_use", "id": "s", "name": "web", "input": {}});
    let stream = streamed(
        json!({"input_tokens": 1}),
        &[
            (json!({"type": "text", "text": ""}), vec![json!({"type": "text_delta", "text": "hm"})]),
            (hosted.clone(), vec![piece("{\"q\":"), piece("1}")]),
            (call("a", json!({})), vec![piece(""), piece("{\"x\""), piece(":1}")]),
            (call("b", json!({})), vec![]),
            // Some hosts send the whole input at once.
            (call("c", json!({"y": 2})), vec![]),
        ],
        "tool_use",
        json!({"output_tokens": 3}),
    );
    let at_once = whole(
        json!([{"type": "text", "text": "hm"}, hosted, call("a", json!({"x": 1})), call("b", json!({})), call("c", json!({"y": 2}))]),
        "tool_use",
        json!({"output_tokens": 3}),
    );
    let (one, two) = (kinds(stream.as_bytes(), true), kinds(at_once.as_bytes(), false));
    let named = |n: u32, id: &str, input: Value| (n, id.to_owned(), "f".to_owned(), input);
    let wanted = vec![named(0, "a", json!({"x": 1})), named(1, "b", json!({})), named(2, "c", json!({"y": 2}))];
    assert_eq!((calls(&one), finish(&one)), (wanted.clone(), FinishReason::ToolCalls));
    assert_eq!((calls(&two), finish(&two)), (wanted, FinishReason::ToolCalls), "F11");
    // T5, F8: what counts is whether there are calls to run.
    for (blocks, stop, want) in [
        (json!([{"type": "text", "text": "x"}]), "tool_use", FinishReason::Stop),
        (json!([{"type": "server_tool_use", "id": "s", "name": "w", "input": {}}]), "end_turn", FinishReason::Stop),
        (json!([{"type": "mcp_tool_use", "id": "s", "name": "w", "input": {}}]), "pause_turn", FinishReason::Stop),
        (json!([call("a", json!({}))]), "end_turn", FinishReason::ToolCalls),
        (json!([call("a", json!({}))]), "max_tokens", FinishReason::Length),
        (json!([{"type": "text", "text": "x"}]), "stop_sequence", FinishReason::Stop),
        (json!([{"type": "text", "text": "x"}]), "refusal", FinishReason::ContentFilter),
        (json!([{"type": "text", "text": "x"}]), "model_context_window_exceeded", FinishReason::Length),
        (json!([{"type": "text", "text": "x"}]), "something_new", FinishReason::Stop),
    ] {
        assert_eq!(finish(&kinds(whole(blocks, stop, json!({})).as_bytes(), false)), want, "{stop}");
    }
}

#[test]
fn f5_f9_what_is_absent_or_unknown_never_fails_an_answer() {
    for body in [
        json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}).to_string(),
        json!({"id": null, "model": null, "content": [{"type": "text", "text": "a", "citations": null}, {"type": "new_kind", "n": 1}, {"type": "text", "text": "b"}], "stop_reason": null, "usage": null}).to_string(),
    ] {
        let got = kinds(body.as_bytes(), false);
        let text: String = got.iter().filter_map(|k| if let EventKind::Text(t) = k { Some(t.to_string()) } else { None }).collect();
        assert_eq!((text.as_str(), finish(&got)), ("ab", FinishReason::Stop), "nothing added between blocks");
    }
    assert_eq!(finish(&kinds(json!({"content": [], "stop_reason": "end_turn"}).to_string().as_bytes(), false)), FinishReason::Stop, "an empty answer is one");
}

#[test]
fn f3_errors_in_a_stream_and_streams_cut_short_are_faults() {
    let start = json!({"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 1}}});
    let body = |more: &[Value]| sse(&[std::slice::from_ref(&start), more].concat());
    for (text, cause, reason) in [
        (body(&[json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})]), Cause::Unavailable, Reason::AllTargetsFailed),
        (body(&[json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}})]), Cause::RateLimited, Reason::RateLimited),
        (body(&[json!({"type": "error"})]), Cause::Unavailable, Reason::AllTargetsFailed),
        (body(&[]), Cause::Broken, Reason::AllTargetsFailed),
        (body(&[]) + "event: content_block_delta\ndata: {\"type\":\n\n", Cause::Garbled, Reason::AllTargetsFailed),
        (String::new(), Cause::Broken, Reason::AllTargetsFailed),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        let mut decoder = Anthropic.decoder(&target(), &Head { status: StatusCode::OK, headers: &headers });
        let mut out = Batch::default();
        let fault = decoder.push(&Bytes::from(text.clone()), &mut out).and_then(|()| decoder.end(&mut out)).expect_err(&text);
        assert_eq!((fault.cause, fault.reason), (cause, reason), "{text}");
    }
    // R3: a stop reason without `message_stop` is an end.
    let ended = body(&[json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}})]);
    assert_eq!(finish(&kinds(ended.as_bytes(), true)), FinishReason::Stop);
}

#[test]
fn a_count_is_read_and_a_bad_one_is_a_fault() {
    let count = |body: &'static str| {
        let mut decoder = Anthropic.count_decoder(&target(), &Head { status: StatusCode::OK, headers: &HeaderMap::new() });
        let mut out = Batch::default();
        body.as_bytes().chunks(3).for_each(|piece| decoder.push(&Bytes::copy_from_slice(piece), &mut out).unwrap());
        decoder.end(&mut out).map(|()| out.events.first().map(|e| e.kind.clone())).map_err(|fault| fault.cause)
    };
    assert_eq!(count("{\"input_tokens\":2095,\"new\":1}"), Ok(Some(EventKind::Counted { tokens: 2095, estimated: false })));
    for bad in ["", "{}", "[]", "{\"input_tokens\":-1}", "{\"input_tokens\":\"7\"}"] {
        assert_eq!(count(bad), Err(Cause::Garbled), "{bad}");
    }
}
