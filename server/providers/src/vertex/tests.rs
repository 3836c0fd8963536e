#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use headworks_core::{Catalog, Cause, Message, MessageRole, Part, Reason, Sampling, Tool, ToolChoice};
use serde_json::{Value, json};

use super::*;
use crate::catalog;

fn load(config: &str, env: &[(&str, &str)]) -> Catalog {
    let env: BTreeMap<String, String> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    catalog::load(&toml::from_str(config).unwrap(), &|name| env.get(name).cloned()).unwrap()
}

fn ask(stream: bool) -> ChatRequest {
    let user = Message { role: MessageRole::User, parts: vec![Part::text("hi")], name: None, extra: Vec::new() };
    ChatRequest { messages: vec![user], stream, ..ChatRequest::default() }
}

fn sent(catalog: &Catalog, model: &str, request: &ChatRequest) -> (String, http::HeaderMap, Value) {
    let target = catalog.target(model).unwrap();
    assert_eq!(target.dialect, Some(DialectName::Vertex), "{model}");
    let encoded = Vertex.encode(&target, request).unwrap();
    (encoded.request.uri().to_string(), encoded.request.headers().clone(), serde_json::from_slice(encoded.request.body()).unwrap())
}

#[test]
fn every_publisher_has_its_path() {
    let catalog = load("[vertex]\nbase_url = \"http://h/v1\"", &[]);
    let at = "http://h/v1/projects/-/locations/global";
    for (model, unary, streamed) in [
        (
            "gemini-2.5-flash",
            "publishers/google/models/gemini-2.5-flash:generateContent",
            "publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        ),
        ("gemini-new", "publishers/google/models/gemini-new:generateContent", "publishers/google/models/gemini-new:streamGenerateContent?alt=sse"),
        (
            "claude-opus-4-5-20251101",
            "publishers/anthropic/models/claude-opus-4-5@20251101:rawPredict",
            "publishers/anthropic/models/claude-opus-4-5@20251101:streamRawPredict",
        ),
        ("claude-new", "publishers/anthropic/models/claude-new:rawPredict", "publishers/anthropic/models/claude-new:streamRawPredict"),
        ("mistralai/codestral-2-001", "publishers/mistralai/models/codestral-2@001:rawPredict", "publishers/mistralai/models/codestral-2@001:streamRawPredict"),
        ("mistral-medium-3", "publishers/mistralai/models/mistral-medium-3:rawPredict", "publishers/mistralai/models/mistral-medium-3:streamRawPredict"),
        ("jamba-1.5", "publishers/ai21/models/jamba-1.5:rawPredict", "publishers/ai21/models/jamba-1.5:streamRawPredict"),
        ("meta/llama-4-scout-17b-16e-instruct-maas", "endpoints/openapi/chat/completions", "endpoints/openapi/chat/completions"),
        ("xai/grok-4.3", "endpoints/openapi/chat/completions", "endpoints/openapi/chat/completions"),
        ("new/model-maas", "endpoints/openapi/chat/completions", "endpoints/openapi/chat/completions"),
    ] {
        assert_eq!(sent(&catalog, &format!("vertex/{model}"), &ask(false)).0, format!("{at}/{unary}"));
        assert_eq!(sent(&catalog, &format!("vertex/{model}"), &ask(true)).0, format!("{at}/{streamed}"));
    }
    // Every chat model of the catalogue can be spelled.
    for target in catalog.targets().filter(|t| &*t.id.provider == "vertex") {
        assert!(Vertex.encode(target, &ask(true)).is_ok(), "{}", target.id);
    }
}

#[test]
fn the_location_chooses_the_host_and_the_residence() {
    for (location, base, region) in [
        ("global", "https://aiplatform.googleapis.com/v1", "global"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com/v1", "eu"),
        ("europe-west2", "https://europe-west2-aiplatform.googleapis.com/v1", "europe-west2"),
        ("us-east5", "https://us-east5-aiplatform.googleapis.com/v1", "us"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com/v1", "eu"),
    ] {
        let catalog = load("", &[("GOOGLE_VERTEX_PROJECT", "my-project"), ("GOOGLE_VERTEX_LOCATION", location)]);
        let host = catalog.host("vertex").unwrap();
        assert_eq!((&*host.base_url, &*host.regions[0]), (base, region));
        let url = sent(&catalog, "vertex/gemini-2.5-pro", &ask(false)).0;
        assert_eq!(url, format!("{base}/projects/my-project/locations/{location}/publishers/google/models/gemini-2.5-pro:generateContent"));
    }
    // Configuration goes before the environment.
    let catalog = load("[vertex]\nproject = \"mine\"\nlocation = \"us-central1\"", &[("GOOGLE_VERTEX_PROJECT", "x"), ("GOOGLE_VERTEX_LOCATION", "eu")]);
    assert!(
        sent(&catalog, "vertex/gemini-2.5-pro", &ask(false))
            .0
            .starts_with("https://us-central1-aiplatform.googleapis.com/v1/projects/mine/locations/us-central1/")
    );
    // Without a project there is nothing to ask.
    let catalog = load("", &[]);
    assert!(!catalog.host("vertex").unwrap().configured);
    let fault = Vertex.encode(&catalog.target("vertex/gemini-2.5-pro").unwrap(), &ask(false)).unwrap_err();
    assert!(fault.reason == Reason::UpstreamCredentials && fault.message.contains("GOOGLE_VERTEX_PROJECT"), "{fault:?}");
}

#[test]
fn claude_is_told_its_version_in_the_body() {
    let catalog = load("[vertex]\nbase_url = \"http://h/v1\"", &[]);
    let (_, headers, body) = sent(&catalog, "vertex/claude-sonnet-4-5", &ask(true));
    assert_eq!((body["anthropic_version"].as_str(), body.get("model"), body["stream"].as_bool()), (Some("vertex-2023-10-16"), None, Some(true)));
    assert!(headers.get("anthropic-version").is_none());
    assert_eq!(body["messages"][0]["content"][0]["text"], "hi");
}

#[test]
fn t13_tools_reach_every_publisher_in_its_own_form() {
    let catalog = load("[vertex]\nbase_url = \"http://h/v1\"", &[]);
    let tool = Tool::Function { name: "f".into(), description: None, parameters: None, strict: None, cache: Default::default() };
    let request = ChatRequest { tools: vec![tool], tool_choice: Some(ToolChoice::Named("f".into())), ..ask(false) };
    let body = |model: &str| sent(&catalog, model, &request).2;
    assert_eq!(body("vertex/gemini-2.5-pro")["tools"][0]["functionDeclarations"][0]["name"], "f");
    assert_eq!(body("vertex/claude-sonnet-4-5")["tool_choice"], json!({"type": "tool", "name": "f"}));
    let mistral = body("vertex/mistral-medium-3");
    assert_eq!((&mistral["tools"][0]["function"]["name"], &mistral["tool_choice"]), (&json!("f"), &json!("any")));
    assert_eq!(body("vertex/openai/gpt-oss-120b-maas")["tool_choice"]["function"]["name"], "f");
}

#[test]
fn mistral_keeps_its_ways_on_vertex() {
    let catalog = load("[vertex]\nbase_url = \"http://h/v1\"", &[]);
    let request = ChatRequest { sampling: Sampling { seed: Some(7), ..Sampling::default() }, ..ask(true) };
    let (_, _, body) = sent(&catalog, "vertex/codestral-2-001", &request);
    assert_eq!((&body["model"], &body["random_seed"], body.get("stream_options")), (&json!("codestral-2"), &json!(7), None));
}

#[test]
fn a_service_tier_travels_in_a_header() {
    let catalog = load("[vertex]\nbase_url = \"http://h/v1\"", &[]);
    let (_, headers, body) = sent(&catalog, "vertex/gemini-2.5-pro", &ChatRequest { service_tier: Some("flex".into()), ..ask(false) });
    assert_eq!((headers.get(TIER).unwrap().as_bytes(), body.get("service_tier")), (&b"flex"[..], None));
}

#[test]
fn f13_errors_of_google_and_of_the_maker_are_both_read() {
    let catalog = load("[vertex]\nbase_url = \"http://h/v1\"", &[]);
    let target = catalog.target("vertex/claude-sonnet-4-5").unwrap();
    let head = |status: u16| Head { status: http::StatusCode::from_u16(status).unwrap(), headers: Box::leak(Box::default()) };
    let googles = br#"{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"26s"}]}}"#;
    let fault = Vertex.fault(&target, &head(429), googles);
    assert_eq!((fault.cause, fault.retry_after.map(|d| d.as_secs())), (Cause::RateLimited, Some(26)));
    let makers = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert_eq!(Vertex.fault(&target, &head(529), makers).cause, Cause::Unavailable);
    assert_eq!(Vertex.fault(&target, &head(404), b"not found").cause, Cause::ModelMissing);
}

#[test]
fn counts_are_asked_where_vertex_counts() {
    let catalog = load("[vertex]\nbase_url = \"http://h/v1\"", &[]);
    for (model, path) in [
        ("vertex/gemini-2.5-pro", "publishers/google/models/gemini-2.5-pro:countTokens"),
        ("vertex/claude-sonnet-4-5", "publishers/anthropic/models/count-tokens:rawPredict"),
    ] {
        let target = catalog.target(model).unwrap();
        match Vertex.encode_count(&target, &ask(false)) {
            Ok(encoded) => {
                assert_eq!(encoded.request.uri().to_string(), format!("http://h/v1/projects/-/locations/global/{path}"));
                let body: Value = serde_json::from_slice(encoded.request.body()).unwrap();
                assert!(body["contents"].is_array() || (body["anthropic_version"].is_string() && body["model"].is_string()), "{body}");
            }
            Err(fault) => assert_eq!(fault.reason, Reason::CapabilityMissing, "the dialect inside counts, or says that it cannot: {fault:?}"),
        }
    }
}
