//! What is sent.

use std::sync::Arc;

use bytes::Bytes;
use headworks_core::{
    Capability, ChatRequest, DialectName, Effort, Json, Message, MessageRole, Opaque, Original, Output, Part, PartKind, Source, Tool, ToolChoice,
};
use serde_json::{Value, json};

use crate::{Dialect, responses::Responses, testing::target};

fn part(kind: PartKind) -> Part {
    Part::new(kind)
}

fn says(role: MessageRole, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extra: Vec::new() }
}

fn sent(provider: &str, request: &ChatRequest) -> (Value, Vec<String>) {
    let target = target(provider, "gpt-5", |m| m.capabilities.reasoning = Capability::Yes);
    let encoded = Responses.encode(&target, request).unwrap();
    assert_eq!(encoded.request.uri(), "http://host/responses");
    (serde_json::from_slice(encoded.request.body()).unwrap(), encoded.notes.iter().map(ToString::to_string).collect())
}

#[test]
fn t9_t2_a_conversation_becomes_items_in_order() {
    let call = |id: &str| part(PartKind::ToolCall { id: id.into(), name: "f".into(), arguments: "{\"a\":1}".into(), signature: None });
    let result = |id: &str, text: &str| part(PartKind::ToolResult { id: id.into(), name: None, parts: vec![Part::text(text)], is_error: false });
    let request = ChatRequest {
        messages: vec![
            says(MessageRole::System, vec![Part::text("be kind")]),
            says(MessageRole::Developer, vec![Part::text("be brief")]),
            says(
                MessageRole::User,
                vec![
                    Part::text("what is this"),
                    part(PartKind::Image { source: Source::Base64 { mime: "image/png".into(), data: "AAAA".into() }, detail: None }),
                    part(PartKind::File { source: Source::FileId("file-1".into()), name: None }),
                ],
            ),
            says(
                MessageRole::Assistant,
                vec![
                    part(PartKind::Reasoning { text: "hm".into(), signature: Some("gAAAAABx".into()), redacted: None }),
                    part(PartKind::Reasoning { text: "elsewhere".into(), signature: Some("EqQBCkYI".into()), redacted: None }),
                    Part::text("let me see"),
                    call("c1"),
                    call("c2"),
                    part(PartKind::Opaque(Opaque {
                        dialect: DialectName::OpenAiResponses,
                        issuer: "".into(),
                        json: Json::parse(r#"{"type":"web_search_call","id":"ws"}"#).unwrap(),
                    })),
                ],
            ),
            says(MessageRole::Tool, vec![result("c1", "one")]),
            says(MessageRole::Tool, vec![result("c2", "two")]),
        ],
        ..ChatRequest::default()
    };
    let (body, notes) = sent("openai", &request);
    assert_eq!(
        body["input"],
        json!([
            {"type": "message", "role": "system", "content": "be kind"},
            {"type": "message", "role": "developer", "content": "be brief"},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "what is this"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
                {"type": "input_file", "file_id": "file-1"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAAAABx"},
            {"type": "message", "role": "assistant", "content": "let me see"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{\"a\":1}"},
            {"type": "web_search_call", "id": "ws"},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "function_call_output", "call_id": "c2", "output": "two"},
        ])
    );
    assert_eq!((&body["store"], &body["include"], notes.len()), (&json!(false), &json!(["reasoning.encrypted_content"]), 0));
    let (body, _) = sent("xai", &request);
    assert!(!body["input"].to_string().contains("encrypted_content"), "T3: what OpenAI sealed is not shown to xAI");
}

#[test]
fn t11_parameters_in_this_dialects_words_and_what_has_none_is_said() {
    let mut request = ChatRequest {
        messages: vec![says(MessageRole::User, vec![Part::text("hi")])],
        tools: vec![Tool::Function { name: "f".into(), description: None, parameters: None, strict: None, cache: Default::default() }],
        tool_choice: Some(ToolChoice::Named("f".into())),
        parallel_tool_calls: Some(false),
        output: Output::Schema { name: "s".into(), description: None, schema: Json::parse(r#"{"type":"object"}"#).unwrap(), strict: Some(true) },
        stream: true,
        extra_dialect: Some(DialectName::OpenAi),
        ..ChatRequest::default()
    };
    request.sampling.max_tokens = Some(100);
    request.sampling.seed = Some(1);
    request.sampling.stop = vec!["x".into()];
    request.reasoning.effort = Some(Effort::Low);
    request.extra.insert("verbosity".into(), Json::parse("\"low\"").unwrap());
    request.extra.insert("prompt_cache_key".into(), Json::parse("\"k\"").unwrap());
    request.extra.insert("web_search_options".into(), Json::parse("{}").unwrap());
    let (body, notes) = sent("openai", &request);
    for (name, wanted) in [
        ("model", json!("gpt-5")),
        ("stream", json!(true)),
        ("max_output_tokens", json!(100)),
        ("tools", json!([{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": false}])),
        ("tool_choice", json!({"type": "function", "name": "f"})),
        ("parallel_tool_calls", json!(false)),
        ("text", json!({"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": true}, "verbosity": "low"})),
        ("reasoning", json!({"effort": "low"})),
        ("prompt_cache_key", json!("k")),
    ] {
        assert_eq!(body[name], wanted, "{name}");
    }
    for (at, name) in ["seed", "stop", "web_search_options"].iter().enumerate() {
        assert!(notes[at].contains(name), "{notes:?}");
    }
    request.sampling.n = Some(2);
    assert!(Responses.encode(&target("openai", "gpt-5", |_| ()), &request).is_err(), "n cannot be left out");
}

#[test]
fn t12_the_clients_own_body_keeps_its_bytes() {
    let text = r#"{"model":"openai/gpt-5", "input":[{"type":"message","role":"user","content":"é","x":1.50},{"type":"reasoning","id":"rs_1","summary":[]},{"type":"reasoning","summary":[],"encrypted_content":"gAAAAABx"}],"big":12345678901234567890,"temperature":0.70,"store":true,"include":["message.output_text.logprobs"],"headworks":{"tags":["a"]},"stream":true}"#;
    let body = Bytes::from_static(text.as_bytes());
    let members = crate::members(&body).unwrap();
    let request = ChatRequest { original: Some(Arc::new(Original { dialect: DialectName::OpenAiResponses, body, members })), ..ChatRequest::default() };
    let target = target("openai", "gpt-5", |m| m.capabilities.reasoning = Capability::Yes);
    let encoded = Responses.encode(&target, &request).unwrap();
    assert_eq!(
        std::str::from_utf8(encoded.request.body()).unwrap(),
        r#"{"model":"gpt-5","input":[{"type":"message","role":"user","content":"é","x":1.50},{"type":"reasoning","summary":[],"encrypted_content":"gAAAAABx"}],"big":12345678901234567890,"temperature":0.70,"include":["message.output_text.logprobs","reasoning.encrypted_content"],"stream":true,"store":false}"#
    );
}

#[test]
fn t12_what_a_client_wants_included_is_asked_for_also_where_its_body_is_spelled_anew() {
    let mut request = ChatRequest {
        messages: vec![says(MessageRole::User, vec![Part::text("x")])],
        extra_dialect: Some(DialectName::OpenAiResponses),
        ..ChatRequest::default()
    };
    request.sampling.top_logprobs = Some(2);
    request.extra.insert("include".into(), Json::parse(r#"["file_search_call.results"]"#).unwrap());
    assert_eq!(sent("openai", &request).0["include"], json!(["file_search_call.results", "reasoning.encrypted_content", "message.output_text.logprobs"]));
    // Who keeps nothing asks for the seals himself.
    request.extra.insert("store".into(), Json::parse("false").unwrap());
    request.extra.insert("include".into(), Json::parse(r#"["reasoning.encrypted_content"]"#).unwrap());
    assert_eq!(sent("openai", &request).0["include"], json!(["reasoning.encrypted_content", "message.output_text.logprobs"]));
}
