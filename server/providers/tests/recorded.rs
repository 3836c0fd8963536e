//! Recorded answers of many hosts, read in pieces of several sizes: text, tools, usage and end must be what the raw body says
//! (F2, F4, F5, F6, F8, F9, A1, A2, S1). What a client must get is computed here, independently of the decoders.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::Bytes;
use headworks_core::{Batch, Catalog, EventKind, Fault, Target};
use headworks_providers::{Head, catalog, dialect};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

/// What a reader of an answer gets.
#[derive(Debug, Default, PartialEq, Clone)]
struct Said {
    text: String,
    tools: Vec<(String, Value)>,
    /// Prompt and completion; several pairs where the host's own numbers support them.
    usage: Vec<(i64, i64)>,
}

fn arguments(text: &str) -> Value {
    if text.trim().is_empty() { Value::Object(Default::default()) } else { serde_json::from_str(text).unwrap_or_else(|_| Value::String(format!("RAW {text}"))) }
}

fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_f64().map(|n| n as i64)).unwrap_or(0)
}

fn openai(objects: &[Value], streamed: bool) -> Said {
    let mut said = Said::default();
    let mut calls: Vec<(u64, String, String, String)> = Vec::new();
    for object in objects {
        for choice in object["choices"].as_array().into_iter().flatten().filter(|c| c["index"].as_u64().unwrap_or(0) == 0) {
            let delta = if streamed { &choice["delta"] } else { &choice["message"] };
            match &delta["content"] {
                Value::String(text) => said.text.push_str(text),
                Value::Array(parts) => parts.iter().filter(|p| p["type"] == "text").for_each(|p| said.text.push_str(p["text"].as_str().unwrap_or_default())),
                _ => {}
            }
            for (at, call) in delta["tool_calls"].as_array().into_iter().flatten().enumerate() {
                let index = call["index"].as_u64().filter(|_| streamed).unwrap_or(at as u64);
                let id = call["id"].as_str().unwrap_or_default();
                // Some hosts number every call 0 and tell them apart by id only.
                let known = calls.iter().rposition(|(i, known, ..)| *i == index && (id.is_empty() || known == id || known.is_empty()));
                let at = known.unwrap_or_else(|| {
                    calls.push((index, id.to_owned(), String::new(), String::new()));
                    calls.len() - 1
                });
                let function = &call["function"];
                if calls[at].2.is_empty() {
                    calls[at].2 = function["name"].as_str().unwrap_or_default().to_owned();
                }
                match &function["arguments"] {
                    Value::String(text) => calls[at].3.push_str(text),
                    Value::Null => {}
                    other => calls[at].3.push_str(&other.to_string()),
                }
            }
        }
        let usage = if object["usage"].is_object() { &object["usage"] } else { &object["x_groq"]["usage"] };
        if usage.is_object() && usage["prompt_tokens"].is_number() {
            let (prompt, completion) = (number(&usage["prompt_tokens"]), number(&usage["completion_tokens"]));
            let beside = number(&usage["completion_tokens_details"]["reasoning_tokens"]);
            said.usage = vec![(prompt, completion)];
            if beside > 0 && number(&usage["total_tokens"]) == prompt + completion + beside {
                said.usage = vec![(prompt, completion + beside)];
            }
        }
    }
    said.tools = calls.into_iter().map(|(_, _, name, text)| (name, arguments(&text))).collect();
    said
}

fn cohere(objects: &[Value], streamed: bool) -> Said {
    let mut said = Said::default();
    let usage = if streamed {
        let mut calls: BTreeMap<u64, (String, String)> = BTreeMap::new();
        for object in objects {
            let message = &object["delta"]["message"];
            said.text.push_str(message["content"]["text"].as_str().unwrap_or_default());
            if let Some(call) = message["tool_calls"].as_object() {
                let entry = calls.entry(object["index"].as_u64().unwrap_or(0)).or_default();
                entry.0.push_str(call["function"]["name"].as_str().unwrap_or_default());
                entry.1.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
            }
        }
        said.tools = calls.into_values().map(|(name, text)| (name, arguments(&text))).collect();
        objects.iter().find(|o| o["type"] == "message-end").map(|o| o["delta"]["usage"].clone()).unwrap_or_default()
    } else {
        let message = &objects[0]["message"];
        for part in message["content"].as_array().into_iter().flatten() {
            said.text.push_str(part["text"].as_str().unwrap_or_default());
        }
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        said.tools = calls.map(|c| (c["function"]["name"].as_str().unwrap().to_owned(), arguments(c["function"]["arguments"].as_str().unwrap()))).collect();
        objects[0]["usage"].clone()
    };
    let counts = if usage["billed_units"]["input_tokens"].is_number() { &usage["billed_units"] } else { &usage["tokens"] };
    if counts["input_tokens"].is_number() {
        said.usage = vec![(number(&counts["input_tokens"]), number(&counts["output_tokens"]))];
    }
    said
}

fn gemini(objects: &[Value], _: bool) -> Said {
    let mut said = Said::default();
    for object in objects {
        for part in object["candidates"][0]["content"]["parts"].as_array().into_iter().flatten() {
            if part["thought"] != true {
                said.text.push_str(part["text"].as_str().unwrap_or_default());
            }
            if let Some(call) = part.get("functionCall") {
                said.tools.push((call["name"].as_str().unwrap().to_owned(), call.get("args").cloned().unwrap_or_else(|| Value::Object(Default::default()))));
            }
        }
        let usage = &object["usageMetadata"];
        if usage["promptTokenCount"].is_number() {
            let n = |name: &str| number(&usage[name]);
            said.usage = vec![(n("promptTokenCount") + n("toolUsePromptTokenCount"), n("candidatesTokenCount") + n("thoughtsTokenCount"))];
        }
    }
    said
}

fn anthropic(objects: &[Value], streamed: bool) -> Said {
    let mut said = Said::default();
    let mut blocks: BTreeMap<u64, (String, String)> = BTreeMap::new();
    let mut usage = serde_json::Map::new();
    if streamed {
        for object in objects {
            let found = if object["message"].is_object() { &object["message"]["usage"] } else { &object["usage"] };
            usage.extend(found.as_object().cloned().unwrap_or_default());
            let index = object["index"].as_u64().unwrap_or(0);
            if object["content_block"]["type"] == "tool_use" {
                blocks.insert(index, (object["content_block"]["name"].as_str().unwrap().to_owned(), String::new()));
            }
            said.text.push_str(object["delta"]["text"].as_str().unwrap_or_default());
            if let (Some(piece), Some(block)) = (object["delta"]["partial_json"].as_str(), blocks.get_mut(&index)) {
                block.1.push_str(piece);
            }
        }
        said.tools = blocks.into_values().map(|(name, text)| (name, arguments(&text))).collect();
    } else {
        for block in objects[0]["content"].as_array().into_iter().flatten() {
            said.text.push_str(block["text"].as_str().unwrap_or_default());
            if block["type"] == "tool_use" {
                said.tools.push((block["name"].as_str().unwrap().to_owned(), block["input"].clone()));
            }
        }
        usage = objects[0]["usage"].as_object().cloned().unwrap_or_default();
    }
    let n = |name: &str| usage.get(name).map_or(0, number);
    if usage.contains_key("output_tokens") {
        said.usage = vec![(n("input_tokens") + n("cache_read_input_tokens") + n("cache_creation_input_tokens"), n("output_tokens"))];
    }
    said
}

/// What the events say; `Err` where the answer failed.
fn read(target: &Target, kind: &str, body: &[u8], size: usize) -> Result<Said, Fault> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
    let mut decoder = dialect(target.dialect.unwrap()).unwrap().decoder(target, &Head { status: StatusCode::OK, headers: &headers });
    let mut batch = Batch::default();
    for piece in body.chunks(size) {
        decoder.push(&Bytes::copy_from_slice(piece), &mut batch)?;
        if decoder.is_done() {
            break;
        }
    }
    if !decoder.is_done() {
        decoder.end(&mut batch)?;
    }
    let mut said = Said::default();
    let (mut calls, mut ids, mut finished) = (Vec::<(String, String)>::new(), Vec::new(), 0);
    for event in batch.events.iter().filter(|e| e.choice == 0) {
        match &event.kind {
            EventKind::Text(text) => said.text.push_str(text),
            EventKind::ToolCallStart { index, name, id, .. } => {
                assert_eq!(*index as usize, calls.len(), "T4, F6: calls are numbered 0, 1, 2");
                assert!(!ids.contains(id), "F6: ids are unique");
                ids.push(id.clone());
                calls.push((name.to_string(), String::new()));
            }
            EventKind::ToolCallArguments { index, piece } => calls[*index as usize].1.push_str(piece),
            EventKind::Usage { tokens, .. } => said.usage = vec![(tokens.prompt(), tokens.completion())],
            EventKind::Finished(_) => finished += 1,
            _ => {}
        }
    }
    assert_eq!(finished, 1, "an answer ends once");
    said.tools = calls.into_iter().map(|(name, text)| (name, arguments(&text))).collect();
    Ok(said)
}

fn objects(body: &str, streamed: bool) -> Vec<Value> {
    if !streamed {
        return match serde_json::from_str(body.trim()) {
            Ok(Value::Array(list)) => list,
            Ok(one) => vec![one],
            Err(_) => Vec::new(),
        };
    }
    let body = body.replace("\r\n", "\n");
    let data = |block: &str| block.lines().filter_map(|l| l.strip_prefix("data:")).map(str::trim_start).collect::<Vec<_>>().join("\n");
    body.split("\n\n").filter_map(|block| serde_json::from_str(&data(block)).ok()).collect()
}

/// Replays a file through a target; returns how many answers were compared and how many errors were told.
fn replay(root: &std::path::Path, file: &str, target: &Arc<Target>, reader: fn(&[Value], bool) -> Said) -> (usize, usize) {
    let path = root.join(format!("traffic/dev/{file}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut compared, mut told) = (0, 0);
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let (id, response) = (record["id"].as_str().unwrap(), &record["response"]);
        let body = response["body"].as_str().unwrap_or_default();
        let status = response["status"].as_u64().unwrap_or(200) as u16;
        if !(200..300).contains(&status) {
            let head = Head { status: StatusCode::from_u16(status).unwrap(), headers: &HeaderMap::new() };
            let fault = dialect(target.dialect.unwrap()).unwrap().fault(target, &head, body.as_bytes());
            assert_eq!(fault.upstream.unwrap().status, status, "{id}");
            told += 1;
            continue;
        }
        // Images, and arguments in pieces that only who asks for them gets.
        if body.contains("\"predictions\"") || body.contains("\"partialArgs\"") || response["body_base64"].is_string() {
            continue;
        }
        let start = body.trim_start();
        let streamed = ["data:", "event:", ":", "id:"].iter().any(|begin| start.starts_with(begin));
        let objects = objects(body, streamed);
        let kind = if streamed { "text/event-stream" } else { "application/json" };
        // Recordings lost the blank line behind their last event.
        let whole = if streamed { format!("{}\n\n", body.trim_end()) } else { body.to_owned() };
        let broken = objects.iter().any(|o| o.get("error").is_some_and(|e| !e.is_null())) || body.contains("\n{\n  \"error\"");
        let wanted = reader(&objects, streamed);
        for size in [1 << 20, 13, 1] {
            match read(target, kind, whole.as_bytes(), size) {
                Ok(got) => {
                    assert!(!broken, "{file} {id}: F3: the host's error was swallowed");
                    assert_eq!((&got.text, &got.tools), (&wanted.text, &wanted.tools), "{file} {id} in pieces of {size}");
                    if let Some(usage) = wanted.usage.first() {
                        assert_eq!(got.usage.first(), Some(usage), "{file} {id}: usage");
                    }
                    compared += usize::from(size == 1);
                }
                Err(fault) => {
                    // Told, not hidden: the host broke off in these.
                    let cut = objects.is_empty()
                        || broken
                        || !(body.contains("\"finish_reason\":") || body.contains("\"finishReason\"") || body.contains("message_stop"));
                    let unfinished = streamed && !body.contains("[DONE]") && !body.contains("\"finish_reason\":\"");
                    assert!(
                        cut || unfinished,
                        "{file} {id} in pieces of {size}: {fault:?}\n{}",
                        body.chars().rev().take(600).collect::<Vec<_>>().into_iter().rev().collect::<String>()
                    );
                    told += usize::from(size == 1);
                }
            }
        }
    }
    (compared, told)
}

#[test]
fn recorded_answers_of_every_host_are_read_as_they_were_sent() {
    let root =
        std::env::var_os("HEADWORKS_SHARED_DATA").map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from);
    if !root.join("traffic/dev").is_dir() {
        println!("SKIPPED: no recordings at {} (HEADWORKS_SHARED_DATA)", root.display());
        return;
    }
    let over = "[vertex]\nbase_url = \"http://h\"\n[azure]\nbase_url = \"http://h\"\n";
    let catalog: Catalog = catalog::load(&toml::from_str(over).unwrap(), &|_| None).unwrap();
    type Reader = fn(&[Value], bool) -> Said;
    let table: [(&str, &str, Reader, usize); 28] = [
        ("vertex-gemini-generate", "vertex/gemini-2.5-flash", gemini, 138),
        ("vertex-gemini-stream", "vertex/gemini-2.5-flash", gemini, 30),
        ("vertex-anthropic", "vertex/claude-sonnet-4-5", anthropic, 6),
        ("azure-chat", "azure/gpt-4o", openai, 75),
        ("cohere-v2", "cohere/command-a-03-2025", cohere, 80),
        ("mistral", "mistral/any", openai, 190),
        ("deepseek", "deepseek/any", openai, 140),
        ("groq", "groq/any", openai, 75),
        ("openrouter-chat", "openrouter/any", openai, 270),
        ("llamacpp-chat", "openai-compatible/any", openai, 70),
        ("ollama-chat", "ollama/any", openai, 55),
        ("perplexity-chat", "perplexity/sonar", openai, 25),
        ("xai-chat", "xai/any", openai, 18),
        ("zai-chat", "zai/any", openai, 13),
        ("venice-chat", "openai-compatible/any", openai, 25),
        ("huggingface-chat", "openai-compatible/any", openai, 14),
        ("gpustack-chat", "openai-compatible/any", openai, 13),
        ("doubleword-chat", "openai-compatible/any", openai, 50),
        ("vercel-gateway-chat", "openai-compatible/any", openai, 35),
        ("together-chat", "together/any", openai, 1),
        ("cerebras-chat", "cerebras/any", openai, 1),
        ("alibaba-chat", "alibaba/any", openai, 1),
        ("local-chat", "openai-compatible/any", openai, 1),
        ("moonshot-chat", "moonshot/any", openai, 1),
        ("avian-chat", "openai-compatible/any", openai, 1),
        ("crusoe-chat", "openai-compatible/any", openai, 1),
        ("snowflake-chat", "openai-compatible/any", openai, 1),
        ("mistralrs-chat", "openai-compatible/any", openai, 1),
    ];
    let mut failed = Vec::new();
    for (file, model, reader, least) in table {
        let target = catalog.target(model).unwrap();
        match std::panic::catch_unwind(|| replay(&root, file, &target, reader)) {
            Ok((compared, told)) => {
                println!("{file}: {compared} answers as recorded, {told} errors told");
                if compared < least {
                    failed.push(format!("{file}: only {compared} of {least}"));
                }
            }
            Err(_) => failed.push(file.to_owned()),
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}
