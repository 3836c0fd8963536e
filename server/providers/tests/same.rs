//! T12: recorded requests of OpenAI's Responses and of embeddings, sent in by a client and on to a host of the same dialect,
//! reach it member for member as they came; numbers keep every digit at every door. (Chat: `requests.rs`; Anthropic's messages:
//! `src/anthropic/tests/recorded.rs`.)
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, path::PathBuf};

use bytes::Bytes;
use headworks_core::{Catalog, DialectName, Fault};
use headworks_providers::{Door, Encoded, anthropic::AnthropicDoor, catalog, dialect, embed::EmbedDoor, members, openai::OpenAiDoor, responses::ResponsesDoor};
use http::HeaderMap;
use serde_json::Value;

fn targets() -> Catalog {
    catalog::load(&toml::from_str("[azure]\nbase_url = \"http://h\"\n").unwrap(), &|_| None).unwrap()
}

/// The recorded request bodies of these files; `None` where there are no recordings.
fn bodies(files: &[&str]) -> Option<Vec<(String, Value)>> {
    let root =
        std::env::var_os("HEADWORKS_SHARED_DATA").map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")), PathBuf::from);
    if !root.join("traffic/dev").is_dir() {
        println!("SKIPPED: no recordings at {} (HEADWORKS_SHARED_DATA)", root.display());
        return None;
    }
    let lines = files.iter().flat_map(|file| {
        let text = std::fs::read_to_string(root.join(format!("traffic/dev/{file}.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    });
    let good = lines.filter(|r| r["response"]["status"].as_u64().is_none_or(|status| status < 300));
    Some(good.filter(|r| r["request"]["body"]["model"].is_string()).map(|r| (r["id"].as_str().unwrap().to_owned(), r["request"]["body"].clone())).collect())
}

/// The top-level members of a body as they are written.
fn raw(body: &[u8]) -> BTreeMap<String, String> {
    let text = |range: std::ops::Range<usize>| String::from_utf8(body[range].to_vec()).unwrap();
    members(body).unwrap().into_iter().map(|m| (m.name.to_string(), text(m.value))).collect()
}

/// What differs between the members of two bodies, by name.
fn differences(came: &[u8], went: &[u8], known: impl Fn(&str) -> bool) -> Vec<String> {
    let (came, went) = (raw(came), raw(went));
    let names: std::collections::BTreeSet<_> = came.keys().chain(went.keys()).collect();
    // Null and nothing are the same.
    let value = |of: &BTreeMap<String, String>, name: &str| of.get(name).filter(|json| *json != "null").cloned();
    let told = |name: &&&String| value(&came, name) != value(&went, name) && !known(name);
    names.iter().filter(told).map(|name| format!("{name}: {:.90?} became {:.90?}", came.get(*name), went.get(*name))).collect()
}

struct Report {
    same: usize,
    different: BTreeMap<String, Vec<String>>,
}

/// Sends each body in and on, and tells what is not as it was.
fn report(bodies: &[(String, Value)], send: impl Fn(&Value, &Bytes) -> Option<Result<Encoded, Fault>>, known: impl Fn(&Value, &str) -> bool) -> Report {
    let mut report = Report { same: 0, different: BTreeMap::new() };
    for (id, value) in bodies {
        let body = Bytes::from(value.to_string());
        let found = match send(value, &body) {
            None => continue,
            Some(Ok(encoded)) => differences(&body, encoded.request.body(), |name| known(value, name)),
            Some(Err(fault)) => vec![format!("refused: {}", fault.message)],
        };
        report.same += usize::from(found.is_empty());
        for what in found {
            report.different.entry(what).or_default().push(id.clone());
        }
    }
    for (what, ids) in &report.different {
        println!("{} x {what}: {}", ids.len(), ids.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" "));
    }
    println!("{} requests reach their host member for member", report.same);
    report
}

#[test]
fn t12_recorded_responses_reach_their_host_as_they_came() {
    let files = [
        "openai-responses",
        "azure-responses",
        "xai-responses",
        "bedrock-mantle-responses",
        "deepseek-responses",
        "openrouter-responses",
        "openai-compatible-responses",
    ];
    let Some(bodies) = bodies(&files) else { return };
    let catalog = targets();
    let codec = dialect(DialectName::OpenAiResponses).unwrap();
    let send = |value: &Value, body: &Bytes| {
        // Refused by name at the door; and what only the gateway's own store can put in place.
        let theirs = ["background", "conversation", "previous_response_id"].iter().any(|name| !matches!(value[name], Value::Null | Value::Bool(false)));
        let names = value["input"].as_array().is_some_and(|items| items.iter().any(|item| item["type"] == "item_reference"));
        if theirs || names {
            return None;
        }
        let target = catalog.target(&format!("openai/{}", value["model"].as_str().unwrap())).unwrap();
        Some(ResponsesDoor.request(&HeaderMap::new(), body).and_then(|request| codec.encode(&target, &request)))
    };
    // What is said to a router (`provider`) is answered here. Upstreams keep nothing (`store`), so reasoning is asked for sealed (`include`); what another provider sealed, and bare ids
    // of what a provider was to keep, are left out of the input (T3).
    let sealed = |value: &Value| value["input"].as_array().is_some_and(|items| items.iter().any(|item| item["type"] == "reasoning"));
    let report = report(&bodies, send, |value, name| matches!(name, "store" | "include" | "provider") || (name == "input" && sealed(value)));
    assert!(report.different.is_empty() && report.same > 500, "{} the same; {:#?}", report.same, report.different);
}

#[test]
fn t12_recorded_requests_for_vectors_reach_their_host_as_they_came() {
    let Some(bodies) =
        bodies(&["openai-embeddings", "azure-embeddings", "doubleword-embeddings", "llamacpp-embeddings", "local-embeddings", "ollama-embeddings"])
    else {
        return;
    };
    let catalog = targets();
    let send = |value: &Value, body: &Bytes| {
        // Ollama's own older form has another path.
        value.get("input")?;
        let target = catalog.target(&format!("openai/{}", value["model"].as_str().unwrap())).unwrap();
        let codec = target.dialect.and_then(dialect).unwrap();
        Some(EmbedDoor.request(body).and_then(|request| codec.encode_embed(&target, &request)))
    };
    let report = report(&bodies, send, |_, _| false);
    assert!(report.different.is_empty() && report.same > 70, "{} the same; {:#?}", report.same, report.different);
}

/// Numbers that a float of 64 bits cannot hold, and spellings that a parser would change.
const NUMBERS: [&str; 6] = ["12345678901234567890123", "0.1000000000000000055511151231257827", "1E5", "-0.0", "1.50", "9007199254740993"];

#[test]
fn t12_numbers_keep_every_digit_at_every_door() {
    let catalog = targets();
    let doors: [(&dyn Door, &str, &str); 3] = [
        (&OpenAiDoor, "openai/gpt-4o", r#""messages":[{"role":"user","content":"x"}]"#),
        (&AnthropicDoor, "anthropic/claude-sonnet-4-5", r#""max_tokens":9,"messages":[{"role":"user","content":"x"}]"#),
        (&ResponsesDoor, "openai/gpt-5-pro", r#""input":"x""#),
    ];
    for number in NUMBERS {
        let extra = format!(r#""x_extra":{{"n":{number},"deep":[{number}]}}"#);
        for (door, id, rest) in doors {
            let target = catalog.target(id).unwrap();
            let body = format!(r#"{{"model":"m",{rest},{extra}}}"#);
            let mut request = door.request(&HeaderMap::new(), &Bytes::from(body)).unwrap();
            for edited in [false, true] {
                let sent = dialect(door.name()).unwrap().encode(&target, &request).unwrap();
                let sent = std::str::from_utf8(sent.request.body()).unwrap().to_owned();
                assert!(sent.contains(&extra), "{number} at {:?}, edited: {edited}: {sent}", door.name());
                request.edited();
            }
        }
        let request = EmbedDoor.request(&Bytes::from(format!(r#"{{"model":"m","input":"x",{extra}}}"#))).unwrap();
        let target = catalog.target("openai/text-embedding-3-small").unwrap();
        let sent = dialect(DialectName::OpenAi).unwrap().encode_embed(&target, &request).unwrap();
        assert!(std::str::from_utf8(sent.request.body()).unwrap().contains(&extra), "{number} for vectors");
    }
    // A parameter that we have a word for passes as it was written while nobody edits it.
    let request = OpenAiDoor
        .request(&HeaderMap::new(), &Bytes::from_static(br#"{"model":"m","temperature":0.70000,"messages":[{"role":"user","content":"x"}]}"#))
        .unwrap();
    let sent = dialect(DialectName::OpenAi).unwrap().encode(&catalog.target("openai/gpt-4o").unwrap(), &request).unwrap();
    assert!(std::str::from_utf8(sent.request.body()).unwrap().contains(r#""temperature":0.70000"#));
}

/// A budget lowers the limit of a call. The rest of the client's own body goes on as it came.
#[test]
fn t12_a_lowered_limit_changes_nothing_else() {
    let catalog = targets();
    let block = r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"},"citations":{"enabled":true},"x_new":1.50}"#;
    let doors: [(&dyn Door, &str, String, &str); 3] = [
        (&OpenAiDoor, "openai/gpt-4o", r#""messages":[{"role":"user","content":"x","x_new":1.50}]"#.to_owned(), "max_tokens"),
        (&AnthropicDoor, "anthropic/claude-sonnet-4-5", format!(r#""messages":[{{"role":"user","content":[{block}]}}]"#), "max_tokens"),
        (&ResponsesDoor, "openai/gpt-5-pro", r#""input":[{"role":"user","content":"x","x_new":1.50}]"#.to_owned(), "max_output_tokens"),
    ];
    for (door, id, rest, name) in doors {
        let target = catalog.target(id).unwrap();
        let field = if door.name() == DialectName::OpenAi { &*target.host.quirks.max_tokens_field } else { name };
        for said in [Some("9000"), Some("9e3"), Some("null"), None] {
            let limit = said.map(|said| format!(r#""{name}":{said},"#)).unwrap_or_default();
            let Ok(mut request) = door.request(&HeaderMap::new(), &Bytes::from(format!(r#"{{"model":"m",{limit}{rest}}}"#))) else { continue };
            let sent = |request: &headworks_core::ChatRequest| {
                let sent = dialect(door.name()).unwrap().encode(&target, request).unwrap();
                String::from_utf8(sent.request.body().to_vec()).unwrap()
            };
            if let Some(said) = said.filter(|said| said.parse::<i64>().is_ok()) {
                assert!(sent(&request).contains(&format!(r#""{field}":{said}"#)), "as it was written");
            }
            request.sampling.max_tokens = Some(300);
            let sent = sent(&request);
            assert!(sent.contains(&rest) && sent.contains(&format!(r#""{field}":300"#)) && sent.matches(field).count() == 1, "{said:?}: {sent}");
        }
    }
}
