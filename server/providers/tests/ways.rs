//! The hosts' own ways: what each is sent for the same client's request, from the facts of its catalogue file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, sync::OnceLock};

use bytes::Bytes;
use headworks_core::{Catalog, Fault, Reason};
use headworks_providers::{Door, catalog, dialect, openai::OpenAiDoor};
use http::HeaderMap;
use serde_json::{Value, json};

fn targets() -> &'static Catalog {
    static ONCE: OnceLock<Catalog> = OnceLock::new();
    ONCE.get_or_init(|| catalog::load(&BTreeMap::new(), &|_| None).unwrap())
}

fn try_sent(model: &str, body: &Value) -> Result<(Value, Vec<String>), Fault> {
    let target = targets().target(model).unwrap();
    let request = OpenAiDoor.request(&HeaderMap::new(), &Bytes::from(body.to_string())).unwrap();
    let encoded = dialect(target.dialect.unwrap()).unwrap().encode(&target, &request)?;
    Ok((serde_json::from_slice(encoded.request.body()).unwrap(), encoded.notes.iter().map(ToString::to_string).collect()))
}

fn sent(model: &str, body: &Value) -> Value {
    try_sent(model, body).unwrap().0
}

fn ask(more: Value) -> Value {
    let mut body = json!({"model": "x", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn tools(choice: Value) -> Value {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}});
    ask(json!({"tools": [tool("f"), tool("g")], "tool_choice": choice}))
}

fn history() -> Value {
    json!([{"role": "user", "content": "go"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "call_abc", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_abc", "content": "1"}, {"role": "user", "content": "so?"}])
}

#[test]
fn t11_the_limit_of_output_has_the_hosts_name() {
    for (model, field) in [
        ("openai/gpt-5", "max_completion_tokens"),
        ("groq/llama-3.3-70b-versatile", "max_completion_tokens"),
        ("cerebras/gpt-oss-120b", "max_completion_tokens"),
        ("xai/grok-4.6", "max_completion_tokens"),
        ("mistral/mistral-medium-latest", "max_tokens"),
        ("deepseek/deepseek-v4-flash", "max_tokens"),
        ("together/any", "max_tokens"),
        ("ollama/any", "max_tokens"),
    ] {
        for given in ["max_tokens", "max_completion_tokens"] {
            let body = sent(model, &ask(json!({given: 9})));
            let fields: Vec<_> = body.as_object().unwrap().keys().filter(|k| k.contains("max_")).collect();
            assert_eq!((fields, &body[field]), (vec![&field.to_owned()], &json!(9)), "{model} {given}");
        }
    }
}

#[test]
fn a14_usage_in_streams_is_asked_where_it_must_be() {
    let body = ask(json!({"stream": true}));
    for model in ["openai/gpt-5", "groq/any", "openrouter/any", "deepseek/any", "vllm/any", "zai/any"] {
        assert_eq!(sent(model, &body)["stream_options"], json!({"include_usage": true}), "{model}");
    }
    for model in ["mistral/any", "perplexity/sonar"] {
        assert_eq!(sent(model, &ask(json!({"stream": true, "stream_options": {"include_usage": true}}))).get("stream_options"), None, "{model}");
    }
}

#[test]
fn mistral_is_spoken_to_in_its_own_way() {
    let (body, notes) = try_sent("mistral/mistral-medium-latest", &ask(json!({"seed": 7, "user": "u", "messages": history()}))).unwrap();
    assert_eq!((&body["random_seed"], body.get("seed"), body.get("user")), (&json!(7), None, None));
    let messages = body["messages"].as_array().unwrap();
    let id = messages[1]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
    assert_eq!(messages[2]["tool_call_id"], id);
    assert!(notes.iter().any(|n| n.contains("user")), "{notes:?}");
    // Nothing is put between what its own service takes as it is.
    let roles: Vec<_> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "user"]);
    // An answer begun for it is told as such.
    let begun = ask(json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "It is"}]}));
    assert_eq!(sent("mistral/mistral-medium-latest", &begun)["messages"][1], json!({"role": "assistant", "content": "It is", "prefix": true}));
    // An id that fits stays.
    let own = ask(
        json!({"messages": [{"role": "user", "content": "go"}, {"role": "assistant", "tool_calls": [{"id": "abcDEF123", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "abcDEF123", "content": "1"}]}),
    );
    assert_eq!(sent("mistral/mistral-medium-latest", &own)["messages"][2]["tool_call_id"], "abcDEF123");
    // Without anything of the kind the client's own bytes go on.
    assert_eq!(sent("mistral/any", &ask(json!({"safe_prompt": true, "n": 1})))["safe_prompt"], true);
}

#[test]
fn older_mistrals_get_the_order_they_insist_on() {
    let over = "[vertex]\nbase_url = \"http://h\"\n";
    let catalog = catalog::load(&toml::from_str(over).unwrap(), &|_| None).unwrap();
    let request = OpenAiDoor.request(&HeaderMap::new(), &Bytes::from(ask(json!({"messages": history()})).to_string())).unwrap();
    let target = catalog.target("vertex/mistral-large-2411").unwrap();
    let encoded = dialect(target.dialect.unwrap()).unwrap().encode(&target, &request).unwrap();
    let body: Value = serde_json::from_slice(encoded.request.body()).unwrap();
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant", "user"]);
    assert_eq!(messages[2]["name"], "f");
    assert!(encoded.notes.iter().any(|n| n.text.contains("after a tool") && n.lost.is_none()), "{:?}", encoded.notes);
}

#[test]
fn t12_what_a_client_says_beside_our_words_is_passed_on() {
    // The role has to be rewritten, and so the whole message; what we have no word for stays.
    let body = ask(json!({"messages": [{"role": "developer", "content": "d", "x_mark": 1.50}, {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning_details": [{"signature": "s"}], "reasoning_content": "r"}, {"role": "user", "content": "c"}], "x_big": 12345678901234567890_u64}));
    let sent = sent("groq/any", &body);
    assert_eq!(
        (&sent["messages"][0]["role"], &sent["messages"][0]["x_mark"], &sent["x_big"]),
        (&json!("system"), &json!(1.50), &json!(12345678901234567890_u64))
    );
    assert_eq!((&sent["messages"][2]["reasoning_details"][0]["signature"], &sent["messages"][2]["reasoning_content"]), (&json!("s"), &json!("r")));
}

#[test]
fn parts_of_one_host_are_refused_by_another_dialect() {
    let of = |part: Value| ask(json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, part]}]}));
    let film = of(json!({"type": "video_url", "video_url": {"url": "https://h/v.mp4"}}));
    assert_eq!(sent("openrouter/any", &film)["messages"][0]["content"][1]["video_url"]["url"], "https://h/v.mp4");
    for model in ["anthropic/claude-sonnet-4-5", "google/gemini-2.5-flash", "cohere/command-a-03-2025"] {
        assert_eq!(try_sent(model, &film).unwrap_err().reason, Reason::CapabilityMissing, "{model}");
    }
    // A file by URL has a word of its own: it reaches who can read it.
    let document = of(json!({"type": "document_url", "document_url": "https://h/d.pdf"}));
    assert_eq!(sent("mistral/any", &document)["messages"][0]["content"][1], json!({"type": "document_url", "document_url": "https://h/d.pdf"}));
    assert_eq!(sent("anthropic/claude-sonnet-4-5", &document)["messages"][0]["content"][1]["source"]["url"], "https://h/d.pdf");
}

#[test]
fn t13_a_forced_tool_is_forced_in_the_hosts_words_or_refused() {
    let named = json!({"type": "function", "function": {"name": "g"}});
    for (model, required, by_name) in [
        ("openai/gpt-5", Some(json!("required")), Some((2, named.clone()))),
        ("groq/any", Some(json!("required")), Some((2, named.clone()))),
        ("mistral/any", Some(json!("any")), Some((2, named.clone()))),
        ("fireworks/any", Some(json!("any")), Some((2, named.clone()))),
        ("moonshot/any", None, Some((2, named.clone()))),
        ("deepinfra/any", None, None),
    ] {
        let wanted = |choice: Value| try_sent(model, &tools(choice)).map(|(b, _)| (b["tools"].as_array().unwrap().len(), b["tool_choice"].clone()));
        match required {
            Some(word) => assert_eq!(wanted(json!("required")).unwrap(), (2, word), "{model}"),
            None => assert_eq!(wanted(json!("required")).unwrap_err().reason, Reason::CapabilityMissing, "{model}"),
        }
        match by_name {
            Some(by_name) => assert_eq!(wanted(named.clone()).unwrap(), by_name, "{model}"),
            None => assert_eq!(wanted(named.clone()).unwrap_err().reason, Reason::CapabilityMissing, "{model}"),
        }
        assert_eq!(wanted(json!("auto")).unwrap(), (2, json!("auto")), "{model}");
    }
}

#[test]
fn t13_tools_are_never_left_out_silently() {
    assert_eq!(try_sent("perplexity/sonar", &tools(json!("auto"))).unwrap_err().reason, Reason::CapabilityMissing);
    let mut both = tools(json!("auto"));
    both["response_format"] = json!({"type": "json_object"});
    assert_eq!(try_sent("fireworks/any", &both).unwrap_err().reason, Reason::CapabilityMissing);
    assert!(try_sent("openai/gpt-5", &both).is_ok());
}

#[test]
fn perplexity_wants_turns_taken() {
    let body = sent(
        "perplexity/sonar",
        &ask(
            json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]}),
        ),
    );
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant"]);
    let text: String = messages[1]["content"].as_array().unwrap().iter().map(|p| p["text"].as_str().unwrap()).collect();
    assert_eq!(text, "a\n\nb");
}

#[test]
fn t9_the_developers_role_is_the_systems_elsewhere() {
    let body = ask(json!({"messages": [{"role": "developer", "content": "d"}, {"role": "user", "content": "a"}]}));
    for (model, role) in [
        ("openai/gpt-5", "developer"),
        ("groq/any", "system"),
        ("mistral/any", "system"),
        ("vllm/any", "system"),
        ("deepseek/any", "system"),
        ("xai/any", "system"),
    ] {
        assert_eq!(sent(model, &body)["messages"][0]["role"], role, "{model}");
    }
}

#[test]
fn reasoning_goes_back_where_it_must() {
    let with = |reasoning: Value| {
        let mut messages = history();
        messages[1]["reasoning_content"] = reasoning;
        ask(json!({"messages": messages}))
    };
    let back = |model: &str, body: &Value| sent(model, body)["messages"][1].get("reasoning_content").cloned();
    assert_eq!(back("deepseek/deepseek-v4-flash", &with(json!("because"))), Some(json!("because")));
    // A call of another model has none: the host refuses its absence, so it gets a blank.
    assert_eq!(back("deepseek/deepseek-v4-flash", &ask(json!({"messages": history()}))), Some(json!(" ")));
    assert_eq!(back("moonshot/any", &with(json!("because"))), Some(json!("because")));
    // Mistral: a part of the content.
    let thinker = targets()
        .targets()
        .find(|t| &*t.id.provider == "mistral" && t.model.as_ref().is_some_and(|m| m.capabilities.reasoning == headworks_core::Capability::Yes))
        .unwrap();
    let body = sent(&thinker.id.to_string(), &with(json!("because")));
    assert_eq!(body["messages"][1]["content"][0], json!({"type": "thinking", "thinking": [{"type": "text", "text": "because"}]}));
}

#[test]
fn thinking_is_asked_in_the_hosts_words() {
    let thinks = |provider: &str| {
        let found = targets().targets().find(|t| {
            &*t.id.provider == provider
                && t.dialect == Some(headworks_core::DialectName::OpenAi)
                && &*t.model.as_ref().unwrap().mode == "chat"
                && t.model.as_ref().unwrap().capabilities.reasoning == headworks_core::Capability::Yes
        });
        found.unwrap().id.to_string()
    };
    for (provider, effort, wanted) in [
        ("alibaba", "high", json!({"enable_thinking": true})),
        ("alibaba", "none", json!({"enable_thinking": false})),
        ("zai", "low", json!({"thinking": {"type": "enabled"}})),
        ("zai", "none", json!({"thinking": {"type": "disabled"}})),
        ("openrouter", "low", json!({"reasoning_effort": "low"})),
        ("openai", "low", json!({"reasoning_effort": "low"})),
    ] {
        let body = sent(&thinks(provider), &ask(json!({"reasoning_effort": effort})));
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(body.get(name), Some(value), "{provider} {effort}: {body}");
        }
    }
    // OpenRouter's own object, towards OpenRouter and towards others.
    let object = ask(json!({"reasoning": {"effort": "high"}}));
    assert_eq!(sent(&thinks("openrouter"), &object)["reasoning"], json!({"effort": "high"}));
    let openai = sent(&thinks("openai"), &object);
    assert_eq!((&openai["reasoning_effort"], openai.get("reasoning")), (&json!("high"), None));
}

#[test]
fn what_a_host_rejects_is_left_out_and_told() {
    let (body, notes) =
        try_sent("xai/grok-4.6", &ask(json!({"stop": ["x"], "presence_penalty": 0.5, "messages": [{"role": "user", "name": "Ann", "content": "a"}]}))).unwrap();
    assert_eq!((body.get("stop"), body.get("presence_penalty"), body["messages"][0].get("name")), (None, None, None));
    assert!(notes.iter().any(|n| n.contains("stop")) && notes.iter().any(|n| n.contains("presence_penalty")), "{notes:?}");
    let (body, notes) = try_sent("mistral/any", &ask(json!({"logit_bias": {"1": 2.0}}))).unwrap();
    assert!(body.get("logit_bias").is_none() && notes.iter().any(|n| n.contains("logit_bias")), "{notes:?}");
    assert_eq!(sent("minimax/any", &ask(json!({})))["reasoning_split"], true);
    assert_eq!(sent("alibaba/qwq-plus", &ask(json!({})))["stream"], true, "it answers only in streams");
}

#[test]
fn text_is_a_string_where_lists_are_refused() {
    let body = ask(json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}));
    for model in ["deepseek/any", "moonshot/any", "sambanova/any", "deepinfra/any"] {
        assert_eq!(sent(model, &body)["messages"][0]["content"], "ab", "{model}");
    }
    assert!(sent("openai/gpt-4o", &body)["messages"][0]["content"].is_array());
}

#[test]
fn every_provider_is_reached_at_the_url_of_the_facts() {
    let root =
        std::env::var_os("HEADWORKS_SHARED_DATA").map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").into(), std::path::PathBuf::from);
    let Ok(text) = std::fs::read_to_string(root.join("catalog/providers.json")) else {
        println!("SKIPPED: {} is not there (HEADWORKS_SHARED_DATA)", root.display());
        return;
    };
    let env = [("AZURE_RESOURCE_NAME", "res"), ("CLOUDFLARE_ACCOUNT_ID", "acc"), ("GOOGLE_VERTEX_PROJECT", "pro"), ("AWS_REGION", "eu-central-1")];
    let catalog = catalog::load(&BTreeMap::new(), &|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).unwrap();
    let facts: Vec<Value> = serde_json::from_str(&text).unwrap();
    let (mut compared, mut left) = (0, Vec::new());
    for fact in &facts {
        let (id, word) = (fact["id"].as_str().unwrap(), fact["wire_dialect"].as_str().unwrap());
        let base = fact["base_urls"]["default"].as_str().unwrap().trim_end_matches('/');
        let base = base.replace("{resource}", "res").replace("{account_id}", "acc").replace("{region}", "eu-central-1");
        let path = match (id, word) {
            ("vertex", _) => "/projects/pro/locations/global/publishers/google/models/m:generateContent",
            (_, "openai-chat") => "/chat/completions",
            (_, "anthropic-messages") => "/messages",
            (_, "gemini") => "/models/m:generateContent",
            (_, "azure-openai") => "/v1/chat/completions",
            (_, "bedrock-converse") => "/model/m/converse",
            (_, "cohere-v2") => "/chat",
            _ => "",
        };
        let target = catalog.target(&format!("{id}/m")).unwrap();
        let codec = target.dialect.and_then(dialect);
        match codec.filter(|_| base.starts_with("http") && !path.is_empty()) {
            Some(codec) => {
                let request = OpenAiDoor.request(&HeaderMap::new(), &Bytes::from(ask(json!({})).to_string())).unwrap();
                assert_eq!(codec.encode(&target, &request).unwrap().request.uri().to_string(), format!("{base}{path}"), "{id}");
                compared += 1;
            }
            None => left.push(id),
        }
    }
    println!("{compared} of {} providers compared; without a chat codec or a URL of their own: {left:?}", facts.len());
    assert!(compared >= 41, "only {compared} were compared: {left:?}");
}

#[test]
fn quirks_can_be_configured() {
    let text = "[my]\ndialect = \"openai\"\nbase_url = \"http://h\"\n[my.quirks]\nmax_tokens_field = \"max_completion_tokens\"\nrequired_word = \"any\"\n\
                [openai.quirks]\ndeveloper_role = false\n";
    let catalog = catalog::load(&toml::from_str(text).unwrap(), &|_| None).unwrap();
    let quirks = &catalog.host("my").unwrap().quirks;
    assert_eq!((&*quirks.max_tokens_field, quirks.required_word.as_deref()), ("max_completion_tokens", Some("any")));
    let openai = &catalog.host("openai").unwrap().quirks;
    assert!(!openai.developer_role && &*openai.max_tokens_field == "max_completion_tokens", "what is not said stays");
    let wrong = "[my]\ndialect = \"openai\"\nbase_url = \"http://h\"\n[my.quirks]\nreasoning_option = \"hard\"\n";
    let error = catalog::load(&toml::from_str(wrong).unwrap(), &|_| None).unwrap_err().to_string();
    assert!(error.starts_with("providers.my.quirks: reasoning_option: \"hard\""), "{error}");
}
