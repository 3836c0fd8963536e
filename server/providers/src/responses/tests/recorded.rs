//! Recorded answers, read in small pieces: what a client must get is computed from the raw body.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
};

use headworks_core::FinishReason;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{fold, read};
use crate::{Dialect, Head, responses::Responses, testing};

fn records(name: &str) -> Option<impl Iterator<Item = Value>> {
    let root =
        std::env::var_os("HEADWORKS_SHARED_DATA").map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from);
    let path = root.join("traffic/dev").join(name);
    let Ok(file) = std::fs::File::open(&path) else {
        println!("SKIPPED: no recordings at {}", path.display());
        return None;
    };
    Some(BufReader::new(file).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
}

/// What the raw body says.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: String,
    refusal: String,
    tools: Vec<(String, String, Value)>,
    sealed: Vec<String>,
    hosted: usize,
    usage: Option<(i64, i64, i64, i64)>,
}

fn parsed(arguments: &Value) -> Value {
    match arguments {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
        other => other.clone(),
    }
}

/// By the items of the output, which a stream gives in its `output_item.done` events.
fn said(items: &[Value], usage: &Value) -> Said {
    let mut said = Said::default();
    for item in items {
        match item["type"].as_str().unwrap() {
            "message" => {
                for part in item["content"].as_array().into_iter().flatten() {
                    said.text.push_str(part["text"].as_str().unwrap_or_default());
                    said.refusal.push_str(part["refusal"].as_str().unwrap_or_default());
                }
            }
            "function_call" => {
                said.tools.push((item["call_id"].as_str().unwrap_or_default().into(), item["name"].as_str().unwrap().into(), parsed(&item["arguments"])))
            }
            "reasoning" => said.sealed.extend(item["encrypted_content"].as_str().filter(|s| !s.is_empty()).map(str::to_owned)),
            kind if crate::responses::item::CLIENT_RUNS.contains(&kind) => {}
            _ => said.hosted += 1,
        }
    }
    if let Some(input) = usage["input_tokens"].as_i64() {
        let n = |path: &str| usage.pointer(path).and_then(Value::as_i64).unwrap_or(0);
        said.usage =
            Some((input, usage["output_tokens"].as_i64().unwrap(), n("/input_tokens_details/cached_tokens"), n("/output_tokens_details/reasoning_tokens")));
    }
    said
}

fn replay(file: &str, least: usize) {
    let Some(records) = records(file) else { return };
    let target = testing::target("openai", "gpt-5", |_| ());
    let (mut compared, mut errors, mut unfinished) = (0, 0, 0);
    for record in records {
        let (id, response) = (record["id"].as_str().unwrap(), &record["response"]);
        let body = response["body"].as_str().unwrap_or_default();
        let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        if status != 200 {
            let head = Head { status: StatusCode::from_u16(status).unwrap(), headers: &HeaderMap::new() };
            assert_eq!(Responses.fault(&target, &head, body.as_bytes()).upstream.unwrap().status, status, "{id}");
            errors += 1;
            continue;
        }
        let sse = ["data:", "event:", ":"].iter().any(|start| body.trim_start().starts_with(start));
        // A fixture may hold the answers of several turns: the first is one answer.
        let second = body.match_indices("data: {\"type\":\"response.created\"").nth(1).map_or(body.len(), |(at, _)| at);
        let body = body.get(..second).unwrap();
        let (items, end, status, dropped): (Vec<Value>, Value, String, bool) = if sse {
            let clean = body.replace("\r\n", "\n");
            let events: Vec<Value> = clean.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok()).collect();
            let items: Vec<Value> = events.iter().filter(|e| e["type"] == "response.output_item.done").map(|e| e["item"].clone()).collect();
            let last = events.iter().rfind(|e| e["response"].is_object()).map(|e| e["response"].clone()).unwrap_or_default();
            let failed = events.iter().any(|e| e["type"] == "error");
            let whole = events.iter().any(|e| matches!(e["type"].as_str(), Some("response.completed" | "response.incomplete")));
            // Hand-made streams may leave items without their end.
            let deltas: String = events.iter().filter(|e| e["type"] == "response.output_text.delta").filter_map(|e| e["delta"].as_str()).collect();
            let texts = said(&items, &Value::Null).text;
            let items = if items.is_empty() { last["output"].as_array().cloned().unwrap_or_default() } else { items };
            (items, last, if failed || !whole { "failed".into() } else { "ok".into() }, !texts.is_empty() && texts != deltas)
        } else {
            let Ok(value) = serde_json::from_str::<Value>(body) else { panic!("{id}: {body}") };
            let status = value["status"].as_str().unwrap_or("completed").to_owned();
            (value["output"].as_array().cloned().unwrap_or_default(), value, status, false)
        };
        let wanted = said(&items, &end["usage"]);
        let kind = if sse { "text/event-stream" } else { "application/json" };
        for size in [1 << 20, 13, 1] {
            let (events, fault) = read(&target, kind, body.as_bytes(), size);
            let answer = fold(&events);
            if let Some(fault) = fault {
                assert!(matches!(&*status, "failed" | "queued" | "in_progress") || end["object"] != "response", "{id} in pieces of {size}: {fault:?}");
                assert!(answer.finish.is_empty(), "F3, {id}: no good end");
                unfinished += usize::from(size == 1);
                continue;
            }
            let got = Said {
                text: answer.text,
                refusal: answer.refusal,
                tools: answer.calls.iter().map(|c| (c.0.clone(), c.1.clone(), parsed(&Value::String(c.2.clone())))).collect(),
                sealed: answer.sealed,
                hosted: answer.hosted,
                usage: wanted.usage.and(answer.tokens.map(|t| (t.prompt(), t.completion(), t.cache_read, t.reasoning))),
            };
            if !dropped {
                assert_eq!(got, wanted, "{id} in pieces of {size}");
            }
            assert!(answer.calls.iter().all(|call| call.3), "{id}: every call ends");
            assert_eq!(answer.finish.len(), 1, "{id}");
            if !wanted.tools.is_empty() && end["status"] == "completed" {
                assert_eq!(answer.finish, [FinishReason::ToolCalls], "{id}");
            }
            compared += usize::from(size == 1 && !dropped);
        }
    }
    println!("{file}: {compared} answers and {errors} errors read as recorded, {unfinished} told as unfinished");
    assert!(compared >= least, "only {compared} answers of {file} could be compared");
}

#[test]
fn s1_f9_f4_recorded_openai() {
    replay("openai-responses.jsonl", 600);
}

#[test]
fn s1_f9_f4_recorded_xai() {
    replay("xai-responses.jsonl", 80);
}

#[test]
fn s1_f9_f4_recorded_azure() {
    replay("azure-responses.jsonl", 20);
}

#[test]
fn s1_f9_f4_recorded_bedrock_mantle() {
    replay("bedrock-mantle-responses.jsonl", 12);
}

#[test]
fn s1_f9_f4_recorded_others() {
    replay("deepseek-responses.jsonl", 8);
    replay("openrouter-responses.jsonl", 8);
    replay("mistralrs-responses.jsonl", 2);
    replay("openai-compatible-responses.jsonl", 4);
}
