//! Recorded answers of Converse, read in small pieces: what a client must get is computed from the raw body.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use headworks_core::{Cause, FinishReason};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use super::{Answer, STREAM, fold, frames, read};
use crate::{
    Dialect, Head,
    bedrock::Bedrock,
    frame::aws::{AwsMessage, AwsParser},
    testing,
};

fn records(name: &str) -> Option<Vec<Value>> {
    let root =
        std::env::var_os("HEADWORKS_SHARED_DATA").map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from);
    let path = root.join("traffic/dev").join(name);
    let Ok(file) = std::fs::File::open(&path) else {
        println!("SKIPPED: no recordings at {} (HEADWORKS_SHARED_DATA)", path.display());
        return None;
    };
    Some(BufReader::new(file).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect())
}

/// The raw bytes of an answer. Some recordings hold base64 once more, some decoded events.
fn body(response: &Value) -> Vec<u8> {
    if let Some(text) = response["body_base64"].as_str() {
        let bytes = STANDARD.decode(text).unwrap();
        return if bytes.starts_with(b"AAAA") { STANDARD.decode(bytes).unwrap() } else { bytes };
    }
    let text = response["body"].as_str().unwrap_or_default();
    if response["body_kind"] == "ndjson-decoded-eventstream" {
        return frames(&text.lines().filter(|l| !l.trim().is_empty()).map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<_>>());
    }
    text.as_bytes().to_vec()
}

/// What Converse's reasons for stopping mean, where the answer holds `calls` to run.
fn finish(stop: &Value, calls: usize) -> FinishReason {
    match stop.as_str() {
        Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
        Some("guardrail_intervened" | "content_filtered") => FinishReason::ContentFilter,
        _ if calls > 0 => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

fn prompt(usage: &Value) -> Option<(i64, i64)> {
    let n = |name: &str| usage[name].as_i64().unwrap_or(0);
    usage["outputTokens"].as_i64().map(|out| (n("inputTokens") + n("cacheReadInputTokens") + n("cacheWriteInputTokens"), out))
}

/// Compares, in pieces of several sizes, with what `want` reads from the raw body.
fn compare(record: &Value, kind: &str, bytes: &[u8], want: &Answer, usage: Option<(i64, i64)>) {
    let target = testing::target("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", |_| ());
    for size in [usize::MAX, 1, 7, 64] {
        let id = record["id"].as_str().unwrap();
        let (events, fault) = read(&target, kind, bytes, size);
        assert_eq!(fault, None, "{id} in pieces of {size}");
        let mut got = fold(&events);
        assert_eq!(got.tokens.take().map(|t| (t.prompt(), t.completion())), usage, "{id}: usage");
        assert_eq!((got.hosted.len(), got.redacted.len()), (want.hosted.len(), want.redacted.len()), "{id}");
        (got.hosted, got.redacted, got.tier) = Default::default();
        let want = Answer { hosted: Vec::new(), redacted: Vec::new(), tokens: None, ..clone(want) };
        assert_eq!(got, want, "{id} in pieces of {size}");
    }
}

fn clone(a: &Answer) -> Answer {
    Answer {
        text: a.text.clone(),
        reasoning: a.reasoning.clone(),
        signatures: a.signatures.clone(),
        redacted: a.redacted.clone(),
        calls: a.calls.clone(),
        hosted: a.hosted.clone(),
        tokens: a.tokens,
        tier: a.tier.clone(),
        finish: a.finish.clone(),
    }
}

#[test]
fn f1_f4_f8_f9_every_recorded_answer_is_read_as_it_says() {
    let Some(records) = records("bedrock-converse.jsonl") else { return };
    let (mut answers, mut errors) = (0, 0);
    for record in &records {
        let (response, id) = (&record["response"], record["id"].as_str().unwrap());
        let bytes = body(response);
        let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        if status != 200 {
            let mut headers = HeaderMap::new();
            if let Some(kind) = response["headers"]["x-amzn-errortype"].as_str() {
                headers.insert("x-amzn-errortype", HeaderValue::from_str(kind).unwrap());
            }
            let target = testing::target("bedrock", "m", |_| ());
            let fault = Bedrock.fault(&target, &Head { status: StatusCode::from_u16(status).unwrap(), headers: &headers }, &bytes);
            let said = fault.upstream.unwrap();
            let raw: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!((said.status, Some(said.message.as_str())), (status, raw["message"].as_str()), "{id}");
            assert!(matches!(fault.cause, Cause::Rejected | Cause::ModelMissing | Cause::ContextTooLong), "{id}: {:?}", fault.cause);
            errors += 1;
            continue;
        }
        let raw: Value = serde_json::from_slice(&bytes).unwrap();
        let mut want = Answer::default();
        for block in raw["output"]["message"]["content"].as_array().unwrap() {
            want.text.push_str(block["text"].as_str().unwrap_or_default());
            for text in block["citationsContent"]["content"].as_array().into_iter().flatten() {
                want.text.push_str(text["text"].as_str().unwrap());
            }
            let thought = &block["reasoningContent"]["reasoningText"];
            want.reasoning.push_str(thought["text"].as_str().unwrap_or_default());
            want.signatures.extend(thought["signature"].as_str().filter(|s| !s.is_empty()).map(str::to_owned));
            want.redacted.extend(block["reasoningContent"]["redactedContent"].as_str().map(str::to_owned));
            let call = &block["toolUse"];
            if call["type"] == "server_tool_use" || block.get("toolResult").is_some() {
                want.hosted.push(block.clone());
            } else if let Some(name) = call["name"].as_str() {
                want.calls.push((call["toolUseId"].as_str().unwrap().to_owned(), name.to_owned(), call["input"].clone()));
            }
        }
        want.finish = vec![finish(&raw["stopReason"], want.calls.len())];
        compare(record, "application/json", &bytes, &want, prompt(&raw["usage"]));
        answers += 1;
    }
    println!("{answers} answers, {errors} errors");
    assert_eq!((answers, errors), (214, 9));
}

#[test]
fn f1_f2_f10_f11_every_recorded_stream_is_read_as_it_says() {
    let Some(records) = records("bedrock-converse-stream.jsonl") else { return };
    for record in &records {
        let bytes = body(&record["response"]);
        let mut messages: Vec<AwsMessage> = Vec::new();
        AwsParser::default()
            .push(&bytes.clone().into(), |message| {
                messages.push(message);
                Ok(())
            })
            .unwrap();
        let (mut want, mut usage, mut stop) = (Answer::default(), None, Value::Null);
        let mut calls: Vec<(u64, String)> = Vec::new();
        for message in &messages {
            let event: Value = serde_json::from_slice(&message.payload).unwrap();
            match &message.name[..] {
                b"contentBlockStart" => {
                    if let Some(name) = event["start"]["toolUse"]["name"].as_str() {
                        let id = event["start"]["toolUse"]["toolUseId"].as_str().unwrap();
                        want.calls.push((id.to_owned(), name.to_owned(), Value::Null));
                        calls.push((event["contentBlockIndex"].as_u64().unwrap(), String::new()));
                    }
                }
                b"contentBlockDelta" => {
                    let delta = &event["delta"];
                    want.text.push_str(delta["text"].as_str().unwrap_or_default());
                    want.reasoning.push_str(delta["reasoningContent"]["text"].as_str().unwrap_or_default());
                    want.signatures.extend(delta["reasoningContent"]["signature"].as_str().filter(|s| !s.is_empty()).map(str::to_owned));
                    if let Some(piece) = delta["toolUse"]["input"].as_str() {
                        calls.iter_mut().find(|(at, _)| Some(*at) == event["contentBlockIndex"].as_u64()).unwrap().1.push_str(piece);
                    }
                }
                b"metadata" => usage = prompt(&event["usage"]),
                b"messageStop" => stop = event["stopReason"].clone(),
                _ => {}
            }
        }
        for (call, (_, text)) in want.calls.iter_mut().zip(calls) {
            call.2 = serde_json::from_str(if text.is_empty() { "{}" } else { &text }).unwrap();
        }
        want.finish = vec![finish(&stop, want.calls.len())];
        compare(record, STREAM, &bytes, &want, usage);
    }
    println!("{} streams", records.len());
    assert_eq!(records.len(), 55);
}
