//! T11: what each target would lose of a request, by the encoder that a call would use; and what it takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::type_complexity)]

use std::{collections::BTreeMap, sync::OnceLock};

use bytes::Bytes;
use headworks_core::{Catalog, DialectName, LossKind, Work};
use headworks_providers::{Door, anthropic::AnthropicDoor, catalog, losses, openai::OpenAiDoor, parameters, responses::ResponsesDoor};
use http::HeaderMap;
use serde_json::{Value, json};

fn targets() -> &'static Catalog {
    static ONCE: OnceLock<Catalog> = OnceLock::new();
    ONCE.get_or_init(|| catalog::load(&BTreeMap::new(), &|_| None).unwrap())
}

fn lost(door: &dyn Door, model: &str, mut body: Value) -> Vec<(LossKind, String, bool)> {
    let (messages, prompt) = (json!([{"role": "user", "content": "hi"}]), json!("hi"));
    let (name, said) = if door.name() == DialectName::OpenAiResponses { ("input", prompt) } else { ("messages", messages) };
    let members = body.as_object_mut().unwrap();
    members.insert("model".to_owned(), json!("x"));
    members.entry(name).or_insert(said);
    let work: Work = door.request(&HeaderMap::new(), &Bytes::from(body.to_string())).unwrap().into();
    let target = targets().target(model).unwrap();
    let mut lost: Vec<_> = losses(&target, &work).into_iter().map(|l| (l.kind, l.name.to_string(), l.essential)).collect();
    assert!(losses(&target, &work).iter().all(|l| !l.message.is_empty()), "{model}: every loss is said in words");
    lost.sort_by(|a, b| a.1.cmp(&b.1));
    lost
}

/// A document that the answer shall cite.
fn cited() -> Value {
    let pdf = json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "citations": {"enabled": true}});
    json!({"max_tokens": 9, "messages": [{"role": "user", "content": [pdf, {"type": "text", "text": "what is in it?"}]}]})
}

#[test]
fn t11_each_target_says_what_it_would_lose() {
    use LossKind::{Output, Parameter, Part, SchemaKeyword, Tool};
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^x", "minLength": 2}}}}});
    let sound = json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]}]);
    let claude = "anthropic/claude-sonnet-4-5";
    let table: Vec<(&dyn Door, &str, Value, Vec<(LossKind, &str, bool)>)> = vec![
        (&OpenAiDoor, "openai/gpt-4o", json!({"temperature": 0.2, "seed": 7, "logit_bias": {"1": 2}}), vec![]),
        // A table of models says who takes temperature; 1 is what holds without it.
        (&OpenAiDoor, "openai/o3", json!({"temperature": 0.2}), vec![(Parameter, "temperature", false)]),
        (&OpenAiDoor, "openai/o3", json!({"temperature": 1, "top_p": 1.0}), vec![]),
        (&OpenAiDoor, "openai/gpt-5.6-sol", json!({"temperature": 0.5, "reasoning_effort": "none"}), vec![]),
        (&OpenAiDoor, "openai/gpt-4o", json!({"reasoning_effort": "low"}), vec![(Parameter, "reasoning_effort", false)]),
        (&OpenAiDoor, "openai/gpt-4o", json!({"top_k": 5}), vec![(Parameter, "top_k", false)]),
        (&OpenAiDoor, "groq/llama-3.3-70b-versatile", json!({"top_k": 5}), vec![]),
        (
            &OpenAiDoor,
            "mistral/mistral-medium-latest",
            json!({"logit_bias": {"1": 2}, "user": "u"}),
            vec![(Parameter, "logit_bias", false), (Parameter, "user", false)],
        ),
        (
            &OpenAiDoor,
            claude,
            json!({"seed": 7, "frequency_penalty": 1, "max_tokens": 9}),
            vec![(Parameter, "frequency_penalty", false), (Parameter, "seed", false)],
        ),
        (
            &OpenAiDoor,
            claude,
            json!({"messages": [{"role": "user", "name": "ann", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]}]}),
            vec![(Parameter, "detail", false), (Parameter, "name", false)],
        ),
        (&AnthropicDoor, "openai/gpt-4o", cited(), vec![(Parameter, "citations", false)]),
        (&AnthropicDoor, "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0", cited(), vec![]),
        (&OpenAiDoor, claude, json!({"temperature": 1.5, "max_tokens": 9}), vec![(Parameter, "temperature", false)]),
        (&OpenAiDoor, claude, json!({"max_tokens": 10_000_000}), vec![(Parameter, "max_tokens", false)]),
        (&OpenAiDoor, claude, json!({"response_format": {"type": "json_object"}}), vec![(Parameter, "response_format", false)]),
        (&OpenAiDoor, claude, json!({"n": 2}), vec![(Parameter, "n", true)]),
        (&OpenAiDoor, claude, json!({"messages": sound}), vec![(Part, "messages[0]", true)]),
        (&OpenAiDoor, claude, json!({"tools": [tool], "reasoning_effort": "high", "tool_choice": "required"}), vec![(Parameter, "reasoning", false)]),
        (&OpenAiDoor, claude, json!({"prediction": {"type": "content", "content": "x"}}), vec![(Parameter, "prediction", false)]),
        (&OpenAiDoor, "google/gemini-2.5-flash", json!({"tools": [tool]}), vec![(SchemaKeyword, "minLength", false), (SchemaKeyword, "pattern", false)]),
        (
            &OpenAiDoor,
            "google/gemini-2.5-flash",
            json!({"min_p": 0.1, "stop": ["a", "b", "c", "d", "e", "f"]}),
            vec![(Parameter, "min_p", false), (Parameter, "stop", false)],
        ),
        (&OpenAiDoor, "google/gemini-2.5-flash", json!({"tools": [tool], "response_format": {"type": "json_object"}}), vec![(Output, "response_format", true)]),
        (&OpenAiDoor, "cohere/command-a-03-2025", json!({"parallel_tool_calls": false, "tools": [tool]}), vec![(Parameter, "parallel_tool_calls", false)]),
        (&OpenAiDoor, "cohere/command-a-03-2025", json!({"messages": sound}), vec![(Part, "messages[0].content[0]", true)]),
        (&OpenAiDoor, "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", json!({"seed": 1}), vec![(Parameter, "seed", false)]),
        (&OpenAiDoor, "moonshot/any", json!({"tools": [tool], "tool_choice": "required"}), vec![(Tool, "tool_choice", true)]),
        (&OpenAiDoor, "perplexity/sonar", json!({"tools": [tool]}), vec![(Tool, "tools", true)]),
        (&AnthropicDoor, "openai/gpt-4o", json!({"max_tokens": 9, "top_k": 5}), vec![(Parameter, "top_k", false)]),
        (
            &AnthropicDoor,
            "openai/gpt-4o",
            json!({"max_tokens": 9, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            vec![(Tool, "tools", true)],
        ),
        (&AnthropicDoor, "openai/gpt-4o", json!({"max_tokens": 9, "container": "c"}), vec![(Parameter, "container", false)]),
        (
            &AnthropicDoor,
            "openai/gpt-4o",
            json!({"max_tokens": 9, "mcp_servers": [{"type": "url", "url": "https://x", "name": "m"}]}),
            vec![(Parameter, "mcp_servers", true)],
        ),
        (&AnthropicDoor, claude, json!({"max_tokens": 9, "top_k": 5, "container": "c"}), vec![]),
        (&ResponsesDoor, claude, json!({"max_output_tokens": 9, "truncation": "auto"}), vec![(Parameter, "truncation", false)]),
        (&ResponsesDoor, claude, json!({"max_output_tokens": 9, "tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}), vec![(Tool, "tools", true)]),
        (&ResponsesDoor, "openai/o3", json!({"temperature": 0.2}), vec![(Parameter, "temperature", false)]),
    ];
    let mut wrong = Vec::new();
    for (door, model, body, wanted) in table {
        let said = body.to_string();
        let got = lost(door, model, body);
        let wanted: Vec<_> = wanted.into_iter().map(|(kind, name, essential)| (kind, name.to_owned(), essential)).collect();
        if got != wanted {
            wrong.push(format!("{} {model} {said}: {got:?}, not {wanted:?}", door.name().as_str()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn t11_what_a_target_takes_is_what_it_would_not_lose() {
    let takes = |model: &str| parameters(&targets().target(model).unwrap());
    for (model, name, wanted) in [
        ("openai/gpt-4o", "temperature", true),
        ("openai/gpt-4o", "top_k", false),
        ("openai/gpt-4o", "logit_bias", true),
        ("openai/gpt-4o", "reasoning", false),
        ("openai/o3", "temperature", false),
        ("openai/o3", "top_p", false),
        ("openai/o3", "reasoning", true),
        ("openai/o3", "max_tokens", true),
        ("anthropic/claude-sonnet-4-5", "temperature", true),
        ("anthropic/claude-sonnet-4-5", "top_p", true),
        ("anthropic/claude-sonnet-4-5", "seed", false),
        ("anthropic/claude-sonnet-4-5", "tools", true),
        ("anthropic/claude-sonnet-4-5", "tool_choice", true),
        ("anthropic/claude-sonnet-4-5", "reasoning", true),
        ("google/gemini-2.5-flash", "min_p", false),
        ("google/gemini-2.5-flash", "structured_outputs", true),
        ("moonshot/any", "tool_choice", false),
        ("perplexity/sonar", "tools", false),
        ("openai/text-embedding-3-small", "dimensions", true),
        ("openai/text-embedding-3-small", "temperature", false),
    ] {
        assert_eq!(takes(model).contains(&name), wanted, "{model} {name}: {:?}", takes(model));
    }
}
