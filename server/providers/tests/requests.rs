//! Recorded requests of OpenAI's dialect, sent in by a client and on to the host they were recorded at: what the host gets
//! means the same. What is spelled otherwise on purpose is undone here, by name; anything else is a difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, path::PathBuf};

use bytes::Bytes;
use headworks_providers::{Door, catalog, dialect, openai::OpenAiDoor};
use http::HeaderMap;
use serde_json::{Map, Value};

/// The body without what may be spelled in several ways.
fn meaning(mut body: Value) -> Value {
    let o = body.as_object_mut().unwrap();
    // Asked by the gateway for itself; the client's own wish is kept apart (A14).
    o.remove("stream_options");
    for (from, to) in [("max_completion_tokens", "max_tokens"), ("random_seed", "seed"), ("reasoning_effort", "reasoning")] {
        if let Some(value) = o.remove(from) {
            o.insert(to.to_owned(), value);
        }
    }
    if o.get("reasoning").is_some_and(Value::is_object) {
        let effort = o["reasoning"]["effort"].clone();
        o.insert("reasoning".to_owned(), effort);
    }
    if o.get("stream") == Some(&Value::Bool(false)) {
        o.remove("stream");
    }
    if o.get("n") == Some(&1.into()) {
        o.remove("n");
    }
    if o.get("tool_choice").is_some_and(|choice| choice == "any") {
        o.insert("tool_choice".to_owned(), "required".into());
    }
    for list in ["tools", "functions"] {
        if o.get(list).and_then(Value::as_array).is_some_and(Vec::is_empty) {
            o.remove(list);
        }
    }
    for tool in o.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        // The one word it could be is left out by some clients.
        tool.as_object_mut().unwrap().entry("type").or_insert_with(|| "function".into());
    }
    // Ids are names: the same ones must be the same again.
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    let mut number = |id: &Value| {
        let next = ids.len();
        Value::from(*ids.entry(id.as_str().unwrap_or_default().to_owned()).or_insert(next))
    };
    for message in o.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        let m: &mut Map<String, Value> = message.as_object_mut().unwrap();
        m.remove("prefix");
        if m["role"] == "tool" {
            m.remove("name");
        }
        if m["role"] == "developer" {
            m.insert("role".to_owned(), "system".into());
        }
        if let Some(id) = m.get("tool_call_id").map(&mut number) {
            m.insert("tool_call_id".to_owned(), id);
        }
        for call in m.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            let id = number(&call["id"]);
            call["id"] = id;
            call.as_object_mut().unwrap().remove("index");
            call["type"] = "function".into();
        }
        if m.get("tool_calls").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            m.remove("tool_calls");
        }
        let text = m
            .get("content")
            .and_then(Value::as_array)
            .filter(|parts| parts.iter().all(|p| p["type"] == "text"))
            .map(|parts| parts.iter().map(|p| p["text"].as_str().unwrap_or_default()).collect::<String>());
        if let Some(text) = text {
            m.insert("content".to_owned(), text.into());
        }
        if m.get("content").is_some_and(|content| content == "") {
            m.remove("content");
        }
        if m.get("reasoning_content").is_some_and(|text| text.as_str().is_some_and(|text| text.trim().is_empty())) {
            m.remove("reasoning_content");
        }
    }
    without_nulls(body)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect()),
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        // 0 and 0.0 are one number.
        Value::Number(n) if n.as_f64().is_some_and(|n| n.fract() == 0.0 && n.abs() < 1e15) => Value::from(n.as_f64().unwrap_or(0.0) as i64),
        other => other,
    }
}

/// Where two values first differ.
fn difference(a: &Value, b: &Value, path: &str) -> Option<String> {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys: std::collections::BTreeSet<_> = x.keys().chain(y.keys()).collect();
            keys.into_iter().find_map(|key| match (x.get(key), y.get(key)) {
                (Some(a), Some(b)) => difference(a, b, &format!("{path}.{key}")),
                (Some(_), None) => Some(format!("{path}.{key} is lost")),
                (None, _) => Some(format!("{path}.{key} is invented")),
            })
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().find_map(|(at, (a, b))| difference(a, b, &format!("{path}[{at}]")))
        }
        _ if a == b => None,
        _ => Some(format!("{path} differs: {a:.60} {b:.60}")),
    }
}

#[test]
fn t12_recorded_requests_reach_their_host_with_the_same_meaning() {
    let root =
        std::env::var_os("HEADWORKS_SHARED_DATA").map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from);
    if !root.join("traffic/dev").is_dir() {
        println!("SKIPPED: no recordings at {} (HEADWORKS_SHARED_DATA)", root.display());
        return;
    }
    let over = "[azure]\nbase_url = \"http://h\"\n";
    let catalog = catalog::load(&toml::from_str(over).unwrap(), &|_| None).unwrap();
    let (mut same, mut different, mut refused) = (0, BTreeMap::<String, Vec<String>>::new(), BTreeMap::<String, Vec<String>>::new());
    for (file, provider) in [
        ("openai-chat", "openai"),
        ("mistral", "mistral"),
        ("deepseek", "deepseek"),
        ("groq", "groq"),
        ("openrouter-chat", "openrouter"),
        ("ollama-chat", "ollama"),
        ("perplexity-chat", "perplexity"),
        ("xai-chat", "xai"),
        ("zai-chat", "zai"),
        ("together-chat", "together"),
        ("cerebras-chat", "cerebras"),
        ("alibaba-chat", "alibaba"),
        ("azure-chat", "azure"),
        ("llamacpp-chat", "openai-compatible"),
        ("venice-chat", "openai-compatible"),
        ("huggingface-chat", "openai-compatible"),
        ("gpustack-chat", "openai-compatible"),
        ("doubleword-chat", "openai-compatible"),
        ("vercel-gateway-chat", "openai-compatible"),
    ] {
        for line in std::fs::read_to_string(root.join(format!("traffic/dev/{file}.jsonl"))).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let body = &record["request"]["body"];
            let good = record["response"]["status"].as_u64().is_none_or(|status| status < 300);
            let Some(model) = body["model"].as_str().filter(|_| good && body["messages"].is_array()) else { continue };
            let id = record["id"].as_str().unwrap();
            let request = match OpenAiDoor.request(&HeaderMap::new(), &Bytes::from(body.to_string())) {
                Ok(request) => request,
                Err(fault) => {
                    refused.entry(format!("{file} at the door: {}", fault.message)).or_default().push(id.to_owned());
                    continue;
                }
            };
            let target = catalog.target(&format!("{provider}/{model}")).unwrap();
            let Some(codec) = target.dialect.and_then(dialect) else { continue };
            match codec.encode(&target, &request) {
                Ok(encoded) if encoded.request.uri().path().ends_with("/chat/completions") => {
                    let mut sent: Value = serde_json::from_slice(encoded.request.body()).unwrap();
                    sent["model"] = model.into();
                    match difference(&meaning(body.clone()), &meaning(sent), "") {
                        None => same += 1,
                        Some(what) => different.entry(format!("{file}{what}")).or_default().push(id.to_owned()),
                    }
                }
                Ok(_) => {}
                Err(fault) => refused.entry(format!("{file}: {}", fault.message)).or_default().push(id.to_owned()),
            }
        }
    }
    for (what, ids) in different.iter().chain(&refused) {
        println!("{} x {what}: {}", ids.len(), ids.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" "));
    }
    println!("{same} requests mean the same at their host");
    let known = |what: &str| EXPLAINED.iter().any(|(begin, _)| what.contains(begin));
    let unexplained: Vec<_> = different.keys().chain(refused.keys()).filter(|what| !known(what)).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert!(same > 1000, "only {same}");
}

/// Differences on purpose, and why.
const EXPLAINED: [(&str, &str); 2] = [
    ("groq at the door: messages[2].tool_calls[0].function.arguments: must be a JSON object", "T14: arguments that are none are told"),
    ("zai-chat.reasoning is lost", "Z.ai is told by thinking.type"),
];
