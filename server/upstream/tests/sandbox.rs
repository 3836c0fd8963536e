//! The sandbox, through the same encoder and decoder as any host.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use futures_util::StreamExt;
use headworks_core::{Cause, Event, EventKind, Fault, FinishReason, Tokens};
use headworks_upstream::{Config, Secrets, Upstream};
use serde_json::{Value, json};
use support::{all, attempt, sandbox, text};
use tokio::time::Instant;

async fn ask(model: &str, body: Value) -> Result<(Vec<Event>, Option<Fault>), Fault> {
    let upstream = Upstream::new(&Config::default(), Secrets::new()).unwrap();
    Ok(all(upstream.attempt(attempt(sandbox(model), body)).await?).await)
}

async fn good(model: &str, body: Value) -> Vec<Event> {
    let (events, fault) = ask(model, body).await.unwrap();
    assert_eq!(fault, None);
    events
}

fn said(words: &str, more: Value) -> Value {
    let mut body = json!({ "messages": [{ "role": "user", "content": words }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn finish(events: &[Event]) -> Vec<FinishReason> {
    let finished = events.iter().filter_map(|event| match event.kind {
        EventKind::Finished(reason) => Some(reason),
        _ => None,
    });
    finished.collect()
}

fn tokens(events: &[Event]) -> Tokens {
    let usage = events.iter().rev().find_map(|event| match event.kind {
        EventKind::Usage { tokens, .. } => Some(tokens),
        _ => None,
    });
    usage.expect("usage")
}

/// Calls of choice 0: id, name, arguments.
fn calls(events: &[Event]) -> Vec<(String, String, Value)> {
    let mut calls: Vec<(String, String, String)> = Vec::new();
    for event in events.iter().filter(|event| event.choice == 0) {
        match &event.kind {
            EventKind::ToolCallStart { id, name, .. } => calls.push((id.to_string(), name.to_string(), String::new())),
            EventKind::ToolCallArguments { index, piece } => calls[*index as usize].2.push_str(piece),
            _ => {}
        }
    }
    calls.into_iter().map(|(id, name, arguments)| (id, name, serde_json::from_str(&arguments).unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn echo_says_what_it_was_told_streamed_and_whole() {
    for stream in [false, true] {
        let options = if stream { json!({ "stream": true, "stream_options": { "include_usage": true } }) } else { json!({}) };
        let events = good("echo", said("one two  three", options)).await;
        assert_eq!((text(&events).as_str(), finish(&events)), ("one two  three", vec![FinishReason::Stop]));
        assert_eq!(tokens(&events), Tokens { input: 3, output: 3, ..Tokens::default() });
        let EventKind::Started { id, model, created } = &events[0].kind else { panic!("{events:?}") };
        assert_eq!(model.as_deref(), Some("sandbox-echo"));
        assert!(id.as_ref().unwrap().starts_with("chatcmpl-sandbox-") && created.is_some());
        let pieces = events.iter().filter(|event| matches!(&event.kind, EventKind::Text(text) if !text.is_empty())).count();
        assert_eq!(pieces, if stream { 3 } else { 1 });
    }
    let picture = json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } }] }] });
    let events = good("echo", picture).await;
    assert_eq!((text(&events).as_str(), tokens(&events).input), ("(a picture)", 85));
}

#[tokio::test(start_paused = true)]
async fn limits_and_stop_texts_and_several_answers() {
    let events = good("echo", said("a b c d", json!({ "max_tokens": 2, "stream": true }))).await;
    assert_eq!((text(&events).as_str(), finish(&events)), ("a b", vec![FinishReason::Length]));
    let events = good("echo", said("a b c d", json!({ "max_tokens": 4 }))).await;
    assert_eq!(finish(&events), [FinishReason::Stop]);
    let events = good("echo", said("a b c d", json!({ "stop": [" c", "d"] }))).await;
    assert_eq!((text(&events).as_str(), finish(&events)), ("a b", vec![FinishReason::Stop]));
    for stream in [false, true] {
        let events = good("echo", said("hi", json!({ "n": 3, "stream": stream }))).await;
        assert_eq!(finish(&events).len(), 3);
        let last: String = events
            .iter()
            .filter(|event| event.choice == 2)
            .filter_map(|event| match &event.kind {
                EventKind::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(last, "hi");
    }
    let fault = ask("echo", said("hi", json!({ "n": 9 }))).await.unwrap_err();
    assert_eq!(fault.cause, Cause::Rejected, "{fault:?}");
}

#[tokio::test(start_paused = true)]
async fn slow_and_long_keep_their_pace() {
    let begun = Instant::now();
    good("slow", said("a b c", json!({ "stream": true }))).await;
    let took = begun.elapsed();
    assert!((2_400..2_500).contains(&took.as_millis()), "{took:?}");
    let begun = Instant::now();
    good("slow", said("a b c", json!({}))).await;
    assert!(begun.elapsed() >= Duration::from_millis(2_600));

    let events = good("long", said("please write 2500 words", json!({ "stream": true }))).await;
    assert_eq!(tokens(&events).output, 2_500);
    assert_eq!(text(&events).split(' ').count(), 2_500);
    let events = good("long", said("write", json!({}))).await;
    assert_eq!(tokens(&events).output, 1_000);
}

#[tokio::test(start_paused = true)]
async fn errors_and_unknown_models() {
    for (model, cause, status) in [
        ("error-401", Cause::Credentials, 401),
        ("error-429", Cause::RateLimited, 429),
        ("error-500", Cause::Unavailable, 500),
        ("no-such", Cause::ModelMissing, 404),
    ] {
        for stream in [false, true] {
            let fault = ask(model, said("hi", json!({ "stream": stream }))).await.unwrap_err();
            assert_eq!((fault.cause, fault.upstream.as_ref().unwrap().status), (cause, status), "{fault:?}");
            assert_eq!(fault.retry_after, (status == 429).then_some(Duration::from_secs(1)));
            if status == 404 {
                assert!(fault.upstream.unwrap().message.contains("break-mid-stream"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn texts_too_long_for_it() {
    let fault = ask("echo", said(&"a ".repeat(130_000), json!({}))).await.unwrap_err();
    assert_eq!(fault.cause, Cause::ContextTooLong, "{fault:?}");
    let events = good("echo", said(&"a ".repeat(20_000), json!({ "stream": true }))).await;
    assert_eq!((tokens(&events).output, finish(&events)), (16_384, vec![FinishReason::Length]));
}

#[tokio::test(start_paused = true)]
async fn silence_and_broken_answers() {
    let upstream = Upstream::new(&Config::default(), Secrets::new()).unwrap();
    let hour = Duration::from_secs(3_600);
    for (model, stream) in [("timeout", true), ("timeout", false), ("hang", false)] {
        let attempt = attempt(sandbox(model), said("hi", json!({ "stream": stream })));
        assert!(tokio::time::timeout(hour, upstream.attempt(attempt)).await.is_err(), "{model}");
    }
    let hang = attempt(sandbox("hang"), said("hi", json!({ "stream": true })));
    let mut begun = upstream.attempt(hang).await.unwrap();
    let mut events = Vec::new();
    while let Ok(next) = tokio::time::timeout(hour, begun.events.next()).await {
        events.extend(next.expect("it does not end").unwrap().events);
    }
    assert_eq!(text(&events), "This answer falls silent");

    for stream in [true, false] {
        let (events, fault) = ask("break-mid-stream", said("hi", json!({ "stream": stream }))).await.unwrap();
        assert_eq!(text(&events), if stream { "This answer breaks off" } else { "" });
        assert!(matches!(fault.unwrap().cause, Cause::Broken | Cause::Garbled));
    }
}

#[tokio::test(start_paused = true)]
async fn reasoning_comes_before_the_answer() {
    for stream in [false, true] {
        let events = good("reasoning", said("why", json!({ "stream": stream }))).await;
        let thought: String = events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Reasoning(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(thought, "I was asked: why. I can answer with the same words.");
        assert_eq!(text(&events), "why");
        if !stream {
            assert_eq!((tokens(&events).reasoning, tokens(&events).output), (11, 12));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tools_are_called_and_their_results_named() {
    let tool = |name: &str| {
        json!({ "type": "function", "function": { "name": name, "parameters": {
        "type": "object", "required": ["city", "days"],
        "properties": { "city": { "type": "string" }, "days": { "type": "integer", "minimum": 3 } },
    } } })
    };
    let tools = json!([tool("weather"), tool("news"), tool("never")]);
    for stream in [false, true] {
        let events = good("tools", said("hi", json!({ "tools": tools, "stream": stream }))).await;
        let both = calls(&events);
        assert_eq!(both.iter().map(|(_, name, _)| name.as_str()).collect::<Vec<_>>(), ["weather", "news"]);
        assert_ne!(both[0].0, both[1].0);
        assert_eq!(both[0].2, json!({ "city": "value", "days": 3 }));
        assert_eq!(finish(&events), [FinishReason::ToolCalls]);
        let one = good("tools", said("hi", json!({ "tools": tools, "stream": stream, "parallel_tool_calls": false }))).await;
        assert_eq!(calls(&one).len(), 1);
        let choice = json!({ "type": "function", "function": { "name": "never" } });
        let named = good("tools", said("hi", json!({ "tools": tools, "stream": stream, "tool_choice": choice }))).await;
        assert_eq!(calls(&named)[0].1, "never");
        let none = good("tools", said("hi", json!({ "tools": tools, "stream": stream, "tool_choice": "none" }))).await;
        assert_eq!((calls(&none).len(), finish(&none)), (0, vec![FinishReason::Stop]));
    }
    let body = json!({ "tools": tools, "messages": [
        { "role": "user", "content": "hi" },
        { "role": "assistant", "content": null, "tool_calls": [{ "id": "c7", "type": "function", "function": { "name": "news", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "c7", "content": "all quiet" },
    ] });
    assert_eq!(text(&good("tools", body).await), "The tool news answered: all quiet");
}

#[tokio::test(start_paused = true)]
async fn json_follows_the_schema() {
    let schema = json!({ "type": "object", "additionalProperties": false, "required": ["name", "tags"], "properties": {
        "name": { "type": "string", "minLength": 10 }, "tags": { "type": "array", "items": { "$ref": "#/$defs/tag" }, "minItems": 2 },
    }, "$defs": { "tag": { "enum": ["red", "blue"] } } });
    let format = |schema: &Value| json!({ "type": "json_schema", "json_schema": { "name": "it", "strict": true, "schema": schema } });
    for stream in [false, true] {
        let events = good("json", said("hi", json!({ "stream": stream, "response_format": format(&schema) }))).await;
        let value: Value = serde_json::from_str(&text(&events)).unwrap();
        assert_eq!(value, json!({ "name": "valuexxxxx", "tags": ["red", "red"] }));
    }
    let events = good("json", said("hi", json!({ "response_format": { "type": "json_object" } }))).await;
    assert_eq!(serde_json::from_str::<Value>(&text(&events)).unwrap(), json!({ "asked": "hi" }));
    let fault = ask("json", said("hi", json!({ "response_format": format(&json!({ "not": {} })) }))).await.unwrap_err();
    assert!(fault.upstream.unwrap().message.contains("\"not\""));
}
