//! A1 to A6, A11: the worked price cases, from a provider's own usage object to the nano-dollar:
//! each is put into an answer of its dialect, decoded, and priced from the catalogue.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, path::PathBuf};

use bytes::Bytes;
use headworks_core::{Batch, DialectName, EventKind, NanoUsd, Tokens};
use headworks_providers::{Head, catalog, dialect};
use serde_json::{Value, json};

/// Cases that this build does not price, and why.
const NOT_YET: [(&str, &str); 0] = [];

fn answer(dialect: &str, model: &str, usage: &Value, tier: Option<&str>) -> Value {
    let mut answer = match dialect {
        "anthropic" => json!({"id": "x", "type": "message", "role": "assistant", "model": model, "content": [{"type": "text", "text": "a"}],
            "stop_reason": "end_turn", "stop_sequence": null, "usage": usage}),
        "gemini" => json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": usage, "modelVersion": model, "responseId": "x"}),
        "openai-responses" => json!({"id": "x", "object": "response", "created_at": 1, "model": model, "status": "completed", "usage": usage,
            "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}]}),
        "bedrock" => json!({"output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}, "stopReason": "end_turn", "usage": usage}),
        "embeddings" => json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": model, "usage": usage}),
        _ => json!({"id": "x", "object": "chat.completion", "created": 1, "model": model, "usage": usage,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]}),
    };
    if let Some(tier) = tier {
        match dialect {
            "anthropic" => answer["usage"]["service_tier"] = json!(tier),
            _ => answer["service_tier"] = json!(tier),
        }
    }
    answer
}

#[test]
fn a1_to_a6_a11_worked_cases_are_exact_to_the_nano_dollar() {
    let data = std::env::var_os("HEADWORKS_SHARED_DATA").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(data.join("prices/cases.json")) else {
        eprintln!("SKIPPED: {}/prices/cases.json is not there (HEADWORKS_SHARED_DATA)", data.display());
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let catalog = catalog::load(&BTreeMap::new(), &|_| None).expect("the catalogue");
    let (mut exact, mut wrong) = (0, Vec::new());
    for case in &cases {
        let (id, model) = (case["case_id"].as_str().unwrap(), case["model"].as_str().unwrap());
        if NOT_YET.iter().any(|(name, _)| *name == id) {
            continue;
        }
        let target = catalog.target(model).unwrap_or_else(|| panic!("{id}: no model {model}"));
        // OpenAI's models are asked in whichever dialect the client speaks; the case says which.
        let spoken = case["dialect"].as_str().filter(|word| *word == "openai-responses").and_then(DialectName::from_name).or(target.dialect);
        let codec = spoken.and_then(dialect).unwrap_or_else(|| panic!("{id}: no codec for {model}"));
        let tier = case["options"]["service_tier"].as_str();
        let body = Bytes::from(answer(case["dialect"].as_str().unwrap(), &target.upstream_name, &case["usage"], tier).to_string());
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        let head = Head { status: http::StatusCode::OK, headers: &headers };
        let vectors = case["dialect"] == "embeddings";
        let (mut decoder, mut batch) = (if vectors { codec.embed_decoder(&target, &head) } else { codec.decoder(&target, &head) }, Batch::default());
        decoder.push(&body, &mut batch).and_then(|()| decoder.end(&mut batch)).unwrap_or_else(|fault| panic!("{id}: {fault:?}"));
        let mut last: Option<(Tokens, Option<String>)> = None;
        for event in &batch.events {
            if let EventKind::Usage { tokens, service_tier } = &event.kind {
                last = Some((*tokens, service_tier.as_ref().map(|tier| tier.as_str().to_owned())));
            }
        }
        let (tokens, served) = last.unwrap_or_else(|| panic!("{id}: no usage"));
        let price = target.model.as_ref().and_then(|model| model.price.as_deref()).unwrap_or_else(|| panic!("{id}: {model} has no price"));
        // Wednesdays: at noon DeepSeek is cheap, at two in the morning it is not.
        let unix_seconds = if case["options"]["off_peak"].as_bool() == Some(true) { 1_795_608_000 } else { 1_795_572_000 };
        let terms = headworks_policy::Terms { service_tier: served.as_deref(), residency: case["options"]["residency"].as_str(), unix_seconds };
        let cost = headworks_policy::price(price, &tokens, &terms).cost;
        let expected = NanoUsd::from_decimal(case["expected_cost_usd"].as_str().unwrap()).unwrap();
        if cost == expected {
            exact += 1;
        } else {
            wrong.push(format!("{id} {model}: {cost} instead of {expected} ({}), {tokens:?}", case["rule"].as_str().unwrap_or_default()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{exact} of {} cases exact; not in this build: {NOT_YET:?}", cases.len());
    assert_eq!(exact + NOT_YET.len(), cases.len());
}
