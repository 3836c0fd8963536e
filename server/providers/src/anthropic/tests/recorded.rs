//! Every recorded exchange of this dialect: the request relayed with the same meaning, the answer read and written at
//! any split. Recordings are read where they lie and never kept here.

use std::path::PathBuf;

use headworks_core::EventKind;
use serde_json::json;

use super::*;

/// `HEADWORKS_SHARED_DATA`, else where the repository's neighbour keeps it.
fn recordings() -> Vec<Value> {
    let root = std::env::var_os("HEADWORKS_SHARED_DATA").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = root.join("traffic/dev/anthropic-messages.jsonl");
    match std::fs::read_to_string(&path) {
        Ok(text) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        Err(_) => {
            println!("SKIPPED: {} is not there (HEADWORKS_SHARED_DATA)", path.display());
            Vec::new()
        }
    }
}

/// What differs between two bodies, by path.
fn differences(path: &str, ours: &Value, theirs: &Value, out: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                differences(&format!("{path}.{name}"), a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null), out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().for_each(|(at, (a, b))| differences(&format!("{path}[{at}]"), a, b, out))
        }
        _ if ours == theirs => {}
        _ => out.push(format!("{path}: {ours} instead of {theirs}")),
    }
}

/// The one reason for which a recorded request may be sent on otherwise than it came: reasoning without a signature,
/// which Anthropic refuses.
fn explained(body: &Value) -> bool {
    let blocks = body["messages"].as_array().into_iter().flatten().filter_map(|m| m["content"].as_array()).flatten();
    blocks.clone().any(|b| b["type"] == "thinking" && b["signature"].as_str().unwrap_or_default().is_empty())
}

#[test]
fn t12_recorded_requests_reach_the_same_dialect_with_the_same_meaning() {
    let (mut seen, mut refused, mut changed) = (0, Vec::new(), Vec::new());
    for record in recordings() {
        let body = &record["request"]["body"];
        if !body.is_object() || record["request"]["method"] != "POST" {
            continue;
        }
        seen += 1;
        let text = body.to_string();
        let request = match AnthropicDoor.request(&HeaderMap::new(), &Bytes::from(text)) {
            Ok(request) => request,
            // What the provider refused too may be refused here.
            Err(_) if record["response"]["status"].as_i64().unwrap_or(0) >= 400 => continue,
            Err(fault) => {
                refused.push(format!("{}: {fault}", record["id"]));
                continue;
            }
        };
        let mut host = target();
        host.model = None;
        host.upstream_name = body["model"].as_str().unwrap_or_default().into();
        let encoded = Anthropic.encode(&host, &request).unwrap();
        let mut found = Vec::new();
        differences("", &serde_json::from_slice(encoded.request.body()).unwrap(), body, &mut found);
        if !found.is_empty() && !explained(body) {
            changed.push(format!("{}: {found:?}", record["id"]));
        }
        // The same in our own words must be something that can be said at all.
        let mut spelled = request.clone();
        spelled.edited();
        if let Err(fault) = Anthropic.encode(&host, &spelled) {
            refused.push(format!("{} spelled: {fault}", record["id"]));
        }
    }
    println!("{seen} recorded requests, {} refused, {} changed", refused.len(), changed.len());
    assert!(refused.is_empty() && changed.is_empty(), "refused: {refused:#?}\nchanged: {changed:#?}");
}

/// The content that matters to a reader: text joined, calls, reasoning.
fn content(message: &Value) -> Value {
    let blocks = || message["content"].as_array().into_iter().flatten();
    let of = |kind: &str, field: &str| blocks().filter(|b| b["type"] == kind).filter_map(|b| b[field].as_str()).collect::<String>();
    let calls: Vec<Value> = blocks().filter(|b| b["type"] == "tool_use").map(|b| json!([b["id"], b["name"], b["input"]])).collect();
    json!([of("text", "text"), of("thinking", "thinking"), of("thinking", "signature"), of("redacted_thinking", "data"), calls])
}

#[test]
fn f2_recorded_answers_are_read_and_written_the_same_at_any_split() {
    let (mut seen, mut bad) = (0, Vec::new());
    for record in recordings() {
        let response = &record["response"];
        let Some(body) = response["body"].as_str().filter(|_| response["status"].as_i64().unwrap_or(200) == 200) else { continue };
        let stream = body.trim_start().starts_with("event") || body.trim_start().starts_with("data");
        // A file that holds the answers of several turns is no answer.
        if body.matches("\"message_start\"").count() > 1 || (!stream && !body.contains("\"content\"")) || body.contains("event: error") {
            continue;
        }
        if stream && !body.contains("message_stop") {
            continue;
        }
        let used = |batches: &[Batch]| {
            let usage = batches.iter().flat_map(|b| &b.events).filter_map(|e| if let EventKind::Usage { tokens, .. } = e.kind { Some(tokens) } else { None });
            usage.last().unwrap_or_default()
        };
        let ask = asked(
            &json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "x"}], "thinking": {"type": "enabled", "budget_tokens": 2000}}),
        );
        let take = |text: &str| if stream { message(text) } else { serde_json::from_str(text).unwrap() };
        let theirs = if stream { None } else { Some(content(&serde_json::from_str(body).unwrap())) };
        let mut first = None;
        seen += 1;
        for piece in [usize::MAX, 64, 7, 1] {
            let mut batches = read(body.as_bytes(), stream, piece);
            batches.push(batch([receipt(used(&batches))]));
            let relayed = content(&take(&written(&ask, &batches)));
            // The same from the events alone, as a client of another host's frames gets it.
            batches.iter_mut().for_each(Batch::edited);
            let written_anew = content(&take(&written(&ask, &batches)));
            let same = first.get_or_insert_with(|| theirs.clone().unwrap_or_else(|| relayed.clone()));
            if relayed != *same || written_anew != *same {
                bad.push(format!("{} cut into {piece}: {relayed} and {written_anew} instead of {same}", record["id"]));
                break;
            }
        }
    }
    println!("{seen} recorded answers");
    assert!(bad.is_empty(), "{} of {seen}: {:#?}", bad.len(), bad.iter().take(5).collect::<Vec<_>>());
}
