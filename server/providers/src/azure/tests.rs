#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use bytes::Bytes;
use headworks_core::{AuthScheme, Batch, Catalog, Cause, EventKind, FinishReason, Message, MessageRole, Part, Sampling};
use serde_json::{Value, json};

use super::*;
use crate::catalog;

fn load(config: &str, env: &[(&str, &str)]) -> Catalog {
    let env: BTreeMap<String, String> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    catalog::load(&toml::from_str(config).unwrap(), &|name| env.get(name).cloned()).unwrap()
}

fn sent(catalog: &Catalog, model: &str) -> (String, Value) {
    let target = catalog.target(model).unwrap();
    assert_eq!(target.dialect, Some(DialectName::Azure), "{model}");
    let user = Message { role: MessageRole::User, parts: vec![Part::text("hi")], name: None, extra: Vec::new() };
    let sampling = Sampling { max_tokens: Some(9), ..Sampling::default() };
    let encoded = Azure.encode(&target, &ChatRequest { messages: vec![user], stream: true, sampling, ..ChatRequest::default() }).unwrap();
    (encoded.request.uri().to_string(), serde_json::from_slice(encoded.request.body()).unwrap())
}

#[test]
fn the_resource_comes_from_configuration_or_environment() {
    let v1 = "https://res.openai.azure.com/openai/v1/chat/completions";
    for (config, env, wanted) in [
        ("", &[("AZURE_RESOURCE_NAME", "res")][..], v1),
        ("", &[("AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com/")], v1),
        ("", &[("AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com/openai/v1/")], v1),
        ("", &[("AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com"), ("AZURE_RESOURCE_NAME", "other")], v1),
        ("[azure]\nbase_url = \"http://h/openai\"", &[("AZURE_RESOURCE_NAME", "res")], "http://h/openai/v1/chat/completions"),
        ("[azure]\nbase_url = \"http://h/openai/v1\"", &[], "http://h/openai/v1/chat/completions"),
    ] {
        assert_eq!(sent(&load(config, env), "azure/gpt-4o").0, wanted, "{config} {env:?}");
    }
    let catalog = load("", &[("AZURE_API_KEY", "k")]);
    assert!(!catalog.host("azure").unwrap().configured, "no resource is named");
    let catalog = load("", &[("AZURE_API_KEY", "k"), ("AZURE_RESOURCE_NAME", "res")]);
    let host = catalog.host("azure").unwrap();
    assert!(host.configured && host.auth == AuthScheme::Azure);
    let entra = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "s"), ("AZURE_RESOURCE_NAME", "res")];
    assert!(load("", &entra).host("azure").unwrap().configured);
}

#[test]
fn deployments_and_versions_make_the_path() {
    let config =
        "[azure]\nbase_url = \"http://h/openai\"\napi_version = \"2024-10-21\"\ndeployments = { \"gpt-4o\" = \"my deployment\", \"o3\" = \"thinker\" }";
    let catalog = load(config, &[]);
    let (url, body) = sent(&catalog, "azure/gpt-4o");
    assert_eq!(url, "http://h/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21");
    assert_eq!((&body["max_completion_tokens"], &body["stream_options"]), (&json!(9), &json!({"include_usage": true})));
    assert_eq!(sent(&catalog, "azure/gpt-4.1").0, "http://h/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21");
    let catalog = load("[azure]\nbase_url = \"http://h/openai\"\ndeployments = { \"gpt-4o\" = \"mine\" }", &[]);
    assert_eq!(sent(&catalog, "azure/gpt-4o").1["model"], "mine");
    assert_eq!(sent(&catalog, "azure/gpt-4o@eu").1["model"], "mine", "the base model's deployment serves its data zone too");
}

#[test]
fn t11_an_old_version_is_asked_in_old_words() {
    let catalog = load("[azure]\nbase_url = \"http://h/openai\"\napi_version = \"2024-02-01\"", &[]);
    let (_, body) = sent(&catalog, "azure/gpt-4o");
    assert_eq!((&body["max_tokens"], body.get("max_completion_tokens"), body.get("stream_options")), (&json!(9), None, None));
}

#[test]
fn claude_lives_beside_the_openai_models() {
    for (base, wanted) in [
        ("https://res.openai.azure.com/openai", "https://res.services.ai.azure.com/anthropic/v1/messages"),
        ("https://res.services.ai.azure.com/openai", "https://res.services.ai.azure.com/anthropic/v1/messages"),
        ("https://res.services.ai.azure.com/anthropic", "https://res.services.ai.azure.com/anthropic/v1/messages"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1/anthropic/v1/messages"),
    ] {
        let (url, body) = sent(&load(&format!("[azure]\nbase_url = \"{base}\""), &[]), "azure/claude-sonnet-5");
        assert_eq!((url.as_str(), body["max_tokens"].as_i64()), (wanted, Some(9)));
    }
}

#[test]
fn foundrys_inference_endpoint_has_one_path() {
    let catalog = load("[azure]\nbase_url = \"https://res.services.ai.azure.com/models\"\napi_version = \"2024-05-01-preview\"", &[]);
    let (url, body) = sent(&catalog, "azure/DeepSeek-R1");
    assert_eq!(url, "https://res.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview");
    assert_eq!(body["model"], "DeepSeek-R1");
}

fn read(pieces: &[&[u8]]) -> Vec<EventKind> {
    let catalog = load("[azure]\nbase_url = \"http://h/openai\"", &[]);
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
    let head = Head { status: http::StatusCode::OK, headers: &headers };
    let mut decoder = Azure.decoder(&catalog.target("azure/gpt-4o").unwrap(), &head);
    let mut batch = Batch::default();
    for piece in pieces {
        decoder.push(&Bytes::copy_from_slice(piece), &mut batch).unwrap();
    }
    decoder.end(&mut batch).unwrap();
    batch.events.into_iter().map(|e| e.kind).collect()
}

#[test]
fn f5_what_the_filters_found_is_no_answer() {
    let stream = concat!(
        "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{}}]}\n\n",
        "data: {\"choices\":[{\"content_filter_results\":{},\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null,\"index\":0}],\"created\":5,\"id\":\"c1\",\"model\":\"gpt-4o-2024\"}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"content_filter\",\"index\":0}],\"created\":5,\"id\":\"c1\",\"model\":\"gpt-4o-2024\"}\n\ndata: [DONE]\n\n"
    );
    let wanted = [
        EventKind::Started { id: Some("c1".into()), model: Some("gpt-4o-2024".into()), created: Some(5) },
        EventKind::Text("Hi".into()),
        EventKind::Finished(FinishReason::ContentFilter),
    ];
    assert_eq!(read(&[stream.as_bytes()]), wanted);
    assert_eq!(read(&stream.as_bytes().chunks(1).collect::<Vec<_>>()), wanted);
}

#[test]
fn f13_errors_say_what_lies_underneath() {
    let catalog = load("[azure]\nbase_url = \"http://h/openai\"", &[]);
    let target = catalog.target("azure/gpt-4o").unwrap();
    for (status, retry, body, cause) in [
        (
            400,
            None,
            r#"{"error":{"message":"The response was filtered","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            Cause::ContentPolicy,
        ),
        (404, None, r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#, Cause::ModelMissing),
        (429, Some("13"), r#"{"error":{"code":"429","message":"Please retry after 13 seconds."}}"#, Cause::RateLimited),
        (401, None, r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}"#, Cause::Credentials),
    ] {
        let mut headers = http::HeaderMap::new();
        if let Some(retry) = retry {
            headers.insert(http::header::RETRY_AFTER, retry.parse().unwrap());
        }
        let fault = Azure.fault(&target, &Head { status: http::StatusCode::from_u16(status).unwrap(), headers: &headers }, body.as_bytes());
        assert_eq!((fault.cause, fault.retry_after.map(|d| d.as_secs().to_string()).as_deref()), (cause, retry), "{body}");
    }
}
