//! Recorded answers of the Gemini API, read in small pieces: what a client must get is computed from the raw body.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
};

use headworks_core::FinishReason;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{fold, read};
use crate::{Dialect, Head, gemini::Gemini, testing};

fn records(name: &str) -> Option<impl Iterator<Item = Value>> {
    let root =
        std::env::var_os("HEADWORKS_SHARED_DATA").map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from);
    let path = root.join("traffic/dev").join(name);
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: no recordings at {}", path.display());
        return None;
    };
    Some(BufReader::new(file).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
}

/// What the raw body says: text, reasoning, tools, prompt and completion tokens.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: String,
    reasoning: String,
    tools: Vec<(String, Value)>,
    usage: Option<(i64, i64)>,
}

fn said(objects: &[Value]) -> Said {
    let mut said = Said::default();
    for object in objects {
        let first = &object["candidates"][0];
        for part in first["content"]["parts"].as_array().into_iter().flatten() {
            match part["text"].as_str() {
                Some(text) if part["thought"] == true => said.reasoning.push_str(text),
                Some(text) => said.text.push_str(text),
                None => {}
            }
            if let Some(call) = part.get("functionCall") {
                let args = call.get("args").cloned().unwrap_or_else(|| Value::Object(Default::default()));
                said.tools.push((call["name"].as_str().unwrap().to_owned(), args));
            }
        }
        let usage = &object["usageMetadata"];
        if let Some(prompt) = usage["promptTokenCount"].as_i64() {
            let n = |name: &str| usage[name].as_i64().unwrap_or(0);
            said.usage = Some((prompt + n("toolUsePromptTokenCount"), n("candidatesTokenCount") + n("thoughtsTokenCount")));
        }
    }
    said
}

fn objects(body: &str, sse: bool) -> Vec<Value> {
    if !sse {
        return match serde_json::from_str(body).unwrap() {
            Value::Array(list) => list,
            one => vec![one],
        };
    }
    let body = body.replace("\r\n", "\n");
    body.split("\n\n").filter_map(|block| serde_json::from_str(block.trim().strip_prefix("data:")?).ok()).collect()
}

fn replay(file: &str, least: usize) {
    let Some(records) = records(file) else { return };
    let target = testing::target("gemini", "gemini-2.5-flash", |_| ());
    let (mut compared, mut errors) = (0, 0);
    for record in records {
        let (id, response) = (record["id"].as_str().unwrap(), &record["response"]);
        let body = response["body"].as_str().unwrap_or_default();
        let status = response["status"].as_u64().unwrap() as u16;
        if status != 200 {
            let head = Head { status: StatusCode::from_u16(status).unwrap(), headers: &HeaderMap::new() };
            let fault = Gemini.fault(&target, &head, body.as_bytes());
            assert_eq!(fault.upstream.unwrap().status, status, "{id}");
            errors += 1;
            continue;
        }
        // Arguments in pieces are sent only to who asks for them.
        if body.contains("\"partialArgs\"") || body.contains("\"predictions\"") {
            continue;
        }
        let sse = body.trim_start().starts_with("data:");
        let objects = objects(body, sse);
        let wanted = said(&objects);
        let kind = if sse { "text/event-stream" } else { "application/json" };
        // Some recordings lost the blank line behind their last event, which a whole body has.
        for size in [1 << 20, 13, 1] {
            let answer = match read(&target, kind, body.as_bytes(), size) {
                Ok(events) => fold(&events, 0),
                Err(failed) => {
                    let (fault, events) = *failed;
                    // The provider broke off in these: said, not hidden (F3).
                    let told = body.contains("\n{\n  \"error\"") || body.contains("\"error\":") || !body.contains("finishReason");
                    assert!(told, "{id} in pieces of {size}: {fault:?}");
                    assert!(!events.iter().any(|e| matches!(e.kind, headworks_core::EventKind::Finished(_))), "{id}: no good end");
                    continue;
                }
            };
            let got = Said {
                text: answer.text,
                reasoning: answer.reasoning,
                tools: answer.calls.iter().map(|c| (c.1.clone(), serde_json::from_str(&c.2).unwrap())).collect(),
                usage: wanted.usage.and(answer.tokens.map(|t| (t.prompt(), t.completion()))),
            };
            assert_eq!(got, wanted, "{id} in pieces of {size}");
            assert_eq!(answer.finish.len(), 1, "{id}");
            if !wanted.tools.is_empty() && body.contains("\"STOP\"") {
                assert_eq!(answer.finish, [FinishReason::ToolCalls], "{id}");
            }
            compared += usize::from(size == 1);
        }
    }
    println!("{file}: {compared} answers and {errors} errors read as recorded");
    assert!(compared >= least, "only {compared} answers of {file} could be compared");
}

#[test]
fn f9_f4_f11_recorded_whole_answers() {
    replay("gemini-generate.jsonl", 430);
}

#[test]
fn f9_f4_f12_recorded_streams() {
    replay("gemini-stream.jsonl", 140);
}
