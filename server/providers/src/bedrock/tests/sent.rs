//! What is sent to Converse.

use bytes::Bytes;
use headworks_core::{
    CacheKind, CacheMark, Capability, ChatRequest, DialectName, Effort, Json, Message, MessageRole, Model, Opaque, Part, PartKind, Reason, Source, Target, Tool,
};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::{Dialect, Door, bedrock::Bedrock, openai::OpenAiDoor, testing};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "amazon.nova-2-lite-v1:0";
/// A signature with the shape of Anthropic's, and one of somebody else's.
const SIGNED: &str = "EgoKCAgLGAIqQGFi";
const FOREIGN: &str = "CrwDAREpTQ==";

fn target(name: &str) -> Target {
    with(name, |_| ())
}

fn with(name: &str, change: impl FnOnce(&mut Model)) -> Target {
    testing::target("bedrock", name, change)
}

/// The request that a client writes in OpenAI's words.
fn asked(mut body: Value) -> ChatRequest {
    body["model"] = json!("bedrock/m");
    OpenAiDoor.request(&HeaderMap::new(), &Bytes::from(body.to_string())).unwrap()
}

fn sent_to(target: &Target, request: &ChatRequest) -> (Value, Vec<String>) {
    let encoded = Bedrock.encode(target, request).unwrap();
    let body = serde_json::from_slice(encoded.request.body()).unwrap();
    (body, encoded.notes.iter().filter(|n| n.lost.is_some()).map(|n| n.to_string()).collect())
}

fn sent(name: &str, body: Value) -> (Value, Vec<String>) {
    sent_to(&target(name), &asked(body))
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn call(id: &str, name: &str, args: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": args}})
}

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}}})
}

fn message(role: MessageRole, parts: Vec<PartKind>) -> Message {
    Message { role, parts: parts.into_iter().map(Part::new).collect(), name: None, extra: Vec::new() }
}

#[test]
fn where_a_request_goes() {
    for (name, stream, path) in [
        (CLAUDE, false, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"),
        (CLAUDE, true, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"),
        (
            "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2",
            false,
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fa1b2/converse",
        ),
        ("x y/ü~_.-", false, "/model/x%20y%2F%C3%BC~_.-/converse"),
    ] {
        let request = asked(json!({"messages": [user("hi")], "stream": stream}));
        let encoded = Bedrock.encode(&target(name), &request).unwrap();
        assert_eq!(encoded.request.uri().to_string(), format!("http://host{path}"));
        assert_eq!(encoded.request.method(), "POST");
        assert!(encoded.request.headers().get("authorization").is_none());
        assert!(encoded.notes.is_empty(), "{:?}", encoded.notes);
        assert_eq!(serde_json::from_slice::<Value>(encoded.request.body()).unwrap(), json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}));
    }
    let counted = Bedrock.encode_count(&target(CLAUDE), &asked(json!({"messages": [user("hi")], "max_tokens": 5}))).unwrap();
    assert!(counted.request.uri().path().ends_with("/count-tokens"));
    let body: Value = serde_json::from_slice(counted.request.body()).unwrap();
    assert_eq!(body, json!({"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}}}));
}

#[test]
fn t9_every_role_finds_its_place() {
    let (body, notes) = sent(
        CLAUDE,
        json!({"messages": [
            {"role": "system", "content": "one"}, {"role": "developer", "content": [{"type": "text", "text": "two"}]}, user("a"), user("b"),
            {"role": "assistant", "content": ""}, {"role": "assistant", "content": null}, {"role": "assistant", "content": "c"},
            {"role": "system", "content": "three"}, user("   "), user("d")
        ]}),
    );
    assert_eq!(body["system"], json!([{"text": "one"}, {"text": "two"}, {"text": "three"}]));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
            {"role": "assistant", "content": [{"text": "c"}]},
            {"role": "user", "content": [{"text": "d"}]}
        ])
    );
    assert!(notes.is_empty(), "{notes:?}");
    let (body, _) = sent("mistral.mistral-7b-instruct-v0:2", json!({"messages": [{"role": "system", "content": "one"}, user("a")]}));
    assert_eq!((&body["system"], &body["messages"][0]["content"]), (&Value::Null, &json!([{"text": "one"}, {"text": "a"}])));
    let none = Bedrock.encode(&target(CLAUDE), &asked(json!({"messages": [{"role": "system", "content": "one"}]}))).unwrap_err();
    assert_eq!((none.reason, none.field()), (Reason::InvalidRequest, Some("messages")));
}

#[test]
fn t8_all_results_go_into_one_message_before_any_text() {
    let (body, _) = sent(
        CLAUDE,
        json!({"tools": [function("f")], "messages": [
            user("a"),
            {"role": "assistant", "content": "calling", "tool_calls": [call("call.1", "f", "{\"x\":1}"), call("b", "f", "{}"), call("c", "f", "{}")]},
            {"role": "tool", "tool_call_id": "call.1", "content": "one"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "{\"$ref\":\"#/x\"}"}]},
            user("and now?")
        ]}),
    );
    assert_eq!(
        body["messages"][1]["content"],
        json!([{"text": "calling"}, {"toolUse": {"toolUseId": "call_1", "name": "f", "input": {"x": 1}}},
            {"toolUse": {"toolUseId": "b", "name": "f", "input": {}}}, {"toolUse": {"toolUseId": "c", "name": "f", "input": {}}}])
    );
    assert_eq!(
        body["messages"][2]["content"],
        json!([
            {"toolResult": {"toolUseId": "call_1", "content": [{"text": "one"}]}},
            {"toolResult": {"toolUseId": "b", "content": [{"text": "{\"$ref\":\"#/x\"}"}]}},
            {"toolResult": {"toolUseId": "c", "content": [{"text": "no result was given"}], "status": "error"}},
            {"text": "and now?"}
        ])
    );
    // Nothing follows the calls at all; ids of any length stay apart.
    let long = ["x".repeat(80) + "1", "x".repeat(80) + "2"];
    let (body, _) = sent(
        CLAUDE,
        json!({"tools": [function("f")], "messages": [user("a"), {"role": "assistant", "tool_calls": [call(&long[0], "f", "{}"), call(&long[1], "f", "{}")]}]}),
    );
    let ids: Vec<&str> = body["messages"][2]["content"].as_array().unwrap().iter().map(|b| b["toolResult"]["toolUseId"].as_str().unwrap()).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.len() == 64), "{ids:?}");
}

#[test]
fn t13_tools_never_vanish() {
    let spec = |name: &str, schema: Value| json!({"toolSpec": {"name": name, "description": "d", "inputSchema": {"json": schema}}});
    let schema = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}});
    let named = json!({"type": "function", "function": {"name": "f"}});
    for (choice, wanted) in
        [(Value::Null, Value::Null), (json!("auto"), json!({"auto": {}})), (json!("required"), json!({"any": {}})), (named, json!({"tool": {"name": "f"}}))]
    {
        let mut request = json!({"messages": [user("a")], "tools": [function("f"), function("g h")]});
        if !choice.is_null() {
            request["tool_choice"] = choice;
        }
        for name in [CLAUDE, NOVA, "meta.llama3-1-70b-instruct-v1:0"] {
            let (body, notes) = sent(name, request.clone());
            assert_eq!(body["toolConfig"]["tools"], json!([spec("f", schema.clone()), spec("g_h", schema.clone())]));
            assert_eq!(body["toolConfig"].get("toolChoice").unwrap_or(&Value::Null), &wanted);
            assert!(notes.is_empty(), "{notes:?}");
        }
    }
    // None: nothing to declare, unless the history needs it.
    let none = json!({"messages": [user("a")], "tools": [function("f")], "tool_choice": "none"});
    assert!(sent(CLAUDE, none).0.get("toolConfig").is_none());
    let history = json!([user("a"), {"role": "assistant", "tool_calls": [call("1", "f", "{}")]}, {"role": "tool", "tool_call_id": "1", "content": "x"}]);
    let (body, notes) = sent(CLAUDE, json!({"messages": history, "tools": [function("f")], "tool_choice": "none"}));
    assert_eq!(body["additionalModelRequestFields"], json!({"tool_choice": {"type": "none"}}));
    assert!(body["toolConfig"]["tools"][0]["toolSpec"]["name"] == "f" && notes.is_empty());
    let (_, notes) = sent(NOVA, json!({"messages": history, "tools": [function("f")], "tool_choice": "none"}));
    assert_eq!(notes.len(), 1, "{notes:?}");
    // A history with calls wants tools declared, also where the client gives none.
    let (body, notes) = sent(NOVA, json!({"messages": history}));
    assert_eq!(body["toolConfig"]["tools"], json!([{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]));
    assert!(notes.is_empty(), "{notes:?}");
    // One at a time.
    let (body, notes) = sent(CLAUDE, json!({"messages": [user("a")], "tools": [function("f")], "parallel_tool_calls": false, "tool_choice": "required"}));
    assert_eq!(body["additionalModelRequestFields"]["tool_choice"], json!({"type": "any", "disable_parallel_tool_use": true}));
    assert!(body["toolConfig"].get("toolChoice").is_none() && notes.is_empty());
}

#[test]
fn t13_tools_in_a_makers_own_words() {
    let hosted = |dialect, text: &str| Tool::Hosted { dialect, json: Json::parse(text).unwrap() };
    let mut request = asked(json!({"messages": [user("a")]}));
    request.tools = vec![
        hosted(DialectName::Anthropic, r#"{"type":"computer_20250124","name":"computer","display_width_px":1}"#),
        hosted(DialectName::Anthropic, r#"{"type":"bash_20250124","name":"bash"}"#),
        hosted(DialectName::Bedrock, r#"{"systemTool":{"name":"nova_grounding"}}"#),
    ];
    let (body, _) = sent_to(&target(CLAUDE), &request);
    assert_eq!(body["additionalModelRequestFields"]["tools"].as_array().unwrap().len(), 2);
    assert_eq!(body["additionalModelRequestFields"]["anthropic_beta"], json!(["computer-use-2025-01-24"]));
    assert_eq!(body["toolConfig"]["tools"], json!([{"systemTool": {"name": "nova_grounding"}}]));
    for (name, tool) in [
        (NOVA, hosted(DialectName::Anthropic, r#"{"type":"bash_20250124","name":"bash"}"#)),
        (CLAUDE, hosted(DialectName::Anthropic, r#"{"type":"web_search_20250305","name":"web_search"}"#)),
        (CLAUDE, hosted(DialectName::OpenAi, r#"{"type":"web_search"}"#)),
    ] {
        request.tools = vec![tool];
        assert_eq!(Bedrock.encode(&target(name), &request).unwrap_err().reason, Reason::CapabilityMissing);
    }
}

#[test]
fn t2_t3_reasoning_goes_back_to_who_signed_it() {
    let request = |parts: Vec<PartKind>| {
        let mut request = asked(json!({"messages": [user("a")], "tools": [function("f")]}));
        request.messages.push(message(MessageRole::Assistant, parts));
        request
            .messages
            .push(message(MessageRole::Tool, vec![PartKind::ToolResult { id: "1".into(), name: None, parts: vec![Part::text("r")], is_error: false }]));
        request
    };
    let reasoning = |text: &str, signature: Option<&str>| PartKind::Reasoning { text: text.into(), signature: signature.map(Into::into), redacted: None };
    let redacted = |data: &str| PartKind::Reasoning { text: "".into(), signature: None, redacted: Some(data.into()) };
    let call = || PartKind::ToolCall { id: "1".into(), name: "f".into(), arguments: "{}".into(), signature: Some(FOREIGN.into()) };
    let all = request(vec![
        reasoning("hm", Some(SIGNED)),
        reasoning("", Some(SIGNED)),
        redacted(SIGNED),
        redacted("RWdvS0NBZ0xHQUlxUUdGaQ=="),
        reasoning("unsigned", None),
        reasoning("foreign", Some(FOREIGN)),
        call(),
    ]);
    let signed = |text: &str| json!({"reasoningContent": {"reasoningText": {"text": text, "signature": SIGNED}}});
    let blob = json!({"reasoningContent": {"redactedContent": "RWdvS0NBZ0xHQUlxUUdGaQ=="}});
    let tool = json!({"toolUse": {"toolUseId": "1", "name": "f", "input": {}}});
    let (body, _) = sent_to(&target(CLAUDE), &all);
    assert_eq!(body["messages"][1]["content"], json!([signed("hm"), signed(""), blob, blob, tool]), "T2: byte for byte, in order, before the call");
    for other in [NOVA, "us.deepseek.r1-v1:0", "openai.gpt-oss-120b-1:0"] {
        assert_eq!(sent_to(&target(other), &all).0["messages"][1]["content"], json!([tool]), "T3 {other}");
    }
}

#[test]
fn t10_cache_marks_become_cache_points() {
    let text = |text: &str, mark: Option<&str>| match mark {
        Some("") => json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}),
        Some(ttl) => json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}}),
        None => json!({"type": "text", "text": text}),
    };
    let explicit = |m: &mut Model| m.capabilities.caching = CacheKind::Explicit;
    let mut request = asked(json!({"tools": [function("f")], "messages": [
        {"role": "system", "content": [text("s", Some("1h"))]},
        {"role": "user", "content": [text("a", Some("5m")), text("b", None)]},
        {"role": "assistant", "tool_calls": [call("1", "f", "{}")]},
    ]}));
    let Tool::Function { cache, .. } = &mut request.tools[0] else { panic!() };
    *cache = CacheMark::Default;
    let mut inner = Part::text("r");
    inner.cache = CacheMark::OneHour;
    request.messages.push(message(MessageRole::Tool, vec![PartKind::ToolResult { id: "1".into(), name: None, parts: vec![inner], is_error: false }]));
    let point = json!({"cachePoint": {"type": "default"}});
    let hour = json!({"cachePoint": {"type": "default", "ttl": "1h"}});
    let (body, notes) = sent_to(&with(CLAUDE, explicit), &request);
    assert_eq!(body["toolConfig"]["tools"][1], point);
    assert_eq!(body["system"], json!([{"text": "s"}, hour]));
    assert_eq!(body["messages"][0]["content"], json!([{"text": "a"}, {"cachePoint": {"type": "default", "ttl": "5m"}}, {"text": "b"}]));
    assert_eq!(body["messages"][2]["content"][1], hour);
    assert!(notes.is_empty(), "{notes:?}");

    // Nova: none after tools, one lifetime.
    let (body, notes) = sent_to(&with(NOVA, explicit), &request);
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body["system"], json!([{"text": "s"}, point]));
    assert_eq!(notes.len(), 1, "{notes:?}");

    // A model without a cache: silently nothing.
    let (body, notes) = sent_to(&target("meta.llama3-1-70b-instruct-v1:0"), &request);
    assert!(!body.to_string().contains("cachePoint") && notes.is_empty());

    // More than four: the last four.
    let six: Vec<Value> = (0..6).map(|n| text(&n.to_string(), Some(""))).collect();
    let (body, notes) = sent_to(&with(CLAUDE, explicit), &asked(json!({"messages": [{"role": "user", "content": six}]})));
    let kinds: Vec<bool> = body["messages"][0]["content"].as_array().unwrap().iter().map(|b| b.get("cachePoint").is_some()).collect();
    assert_eq!(kinds, [false, false, false, true, false, true, false, true, false, true]);
    assert_eq!(notes.len(), 1);
}

#[test]
fn t10_auto_cache_never_adds_a_fifth_point() {
    let long = "word ".repeat(5_000);
    let turns: Vec<Value> = (0..9).map(|n| if n % 2 == 0 { user(&long) } else { json!({"role": "assistant", "content": long}) }).collect();
    let mut all = vec![json!({"role": "system", "content": long})];
    all.extend(turns);
    let mut tool = function("f");
    tool["function"]["description"] = json!(long);
    let mut request = asked(json!({"tools": [tool], "messages": all, "headworks": {"auto_cache": true, "cache_ttl": "1h"}}));
    let points = |request: &ChatRequest, name: &str, kind: CacheKind| {
        let (body, _) = sent_to(&with(name, |m| m.capabilities.caching = kind), request);
        (body.to_string().matches("\"cachePoint\"").count(), body.to_string().matches("\"ttl\":\"1h\"").count())
    };
    assert_eq!(points(&request, CLAUDE, CacheKind::Explicit), (4, 4));
    assert_eq!(points(&request, NOVA, CacheKind::Explicit), (3, 0));
    assert_eq!(points(&request, CLAUDE, CacheKind::None), (0, 0));
    request.messages[1].parts[0].cache = CacheMark::Default;
    assert_eq!(points(&request, CLAUDE, CacheKind::Explicit), (1, 0), "the client's own marks are kept, and alone");
    request.messages[1].parts[0].cache = CacheMark::None;
    request.auto_cache = Some(false);
    assert_eq!(points(&request, CLAUDE, CacheKind::Explicit), (0, 0));
}

#[test]
fn t11_sampling_follows_the_model() {
    let body = json!({"messages": [user("a")], "temperature": 1.5, "top_k": 7, "max_completion_tokens": 100_000, "stop": ["x", " "], "seed": 1});
    let (got, notes) = sent(CLAUDE, body.clone());
    assert_eq!(got["inferenceConfig"], json!({"maxTokens": 64_000, "temperature": 1.0, "stopSequences": ["x"]}));
    assert_eq!(got["additionalModelRequestFields"], json!({"top_k": 7}));
    assert_eq!(notes.len(), 4, "{notes:?}");
    assert_eq!(sent(NOVA, body.clone()).0["additionalModelRequestFields"], json!({"inferenceConfig": {"topK": 7}}));
    let (got, notes) = sent("meta.llama3-1-70b-instruct-v1:0", body.clone());
    assert!(got.get("additionalModelRequestFields").is_none() && notes.iter().any(|n| n.contains("top_k")), "{notes:?}");
    let (got, notes) = sent_to(&with(CLAUDE, |m| m.capabilities.sampling = Capability::No), &asked(body));
    assert!(got["inferenceConfig"].get("temperature").is_none() && got.get("additionalModelRequestFields").is_none());
    assert_eq!(notes.iter().filter(|n| n.contains("temperature, top_p and top_k")).count(), 1, "{notes:?}");
    // Newer Claudes take one of the two.
    let both = json!({"messages": [user("a")], "temperature": 0.5, "top_p": 0.9});
    let (got, notes) = sent(CLAUDE, both.clone());
    assert!(got["inferenceConfig"] == json!({"temperature": 0.5}) && notes.len() == 1, "{notes:?}");
    for name in [NOVA, "anthropic.claude-3-haiku-20240307-v1:0"] {
        assert_eq!(
            sent(name, both.clone()),
            (json!({"messages": [{"role": "user", "content": [{"text": "a"}]}], "inferenceConfig": {"temperature": 0.5, "topP": 0.9}}), vec![])
        );
    }
    assert_eq!(Bedrock.encode(&target(CLAUDE), &asked(json!({"messages": [user("a")], "n": 2}))).unwrap_err().reason, Reason::CapabilityMissing);
}

#[test]
fn t11_thinking_in_the_words_of_each_maker() {
    let think = |effort: Option<Effort>, budget: Option<i64>, more: Value| {
        let mut body = json!({"messages": [user("a")]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut request = asked(body);
        (request.reasoning.effort, request.reasoning.budget_tokens) = (effort, budget);
        request
    };
    let budgeted = |m: &mut Model| m.reasoning.budget = Some((1024, 0));
    let adaptive = |m: &mut Model| m.reasoning.efforts = vec![Effort::Low, Effort::High];
    let fields = |target: &Target, request: &ChatRequest| {
        let (body, notes) = sent_to(target, request);
        (body.get("additionalModelRequestFields").cloned().unwrap_or_default(), body.get("inferenceConfig").cloned().unwrap_or_default(), notes.len())
    };
    let on = |budget: i64| json!({"thinking": {"type": "enabled", "budget_tokens": budget}});
    let claude = with(CLAUDE, budgeted);
    assert_eq!(fields(&claude, &think(Some(Effort::Low), None, json!({}))), (on(2048), json!({"maxTokens": 64_000}), 0));
    assert_eq!(fields(&claude, &think(None, Some(5000), json!({"max_tokens": 4000, "temperature": 0.3}))), (on(3999), json!({"maxTokens": 4000}), 1));
    assert_eq!(fields(&claude, &think(Some(Effort::High), None, json!({"max_tokens": 1000}))), (Value::Null, json!({"maxTokens": 1000}), 1), "no room");
    assert_eq!(fields(&claude, &think(Some(Effort::None), None, json!({}))), (Value::Null, Value::Null, 0));
    let forced = think(Some(Effort::High), None, json!({"tools": [function("f")], "tool_choice": "required"}));
    assert_eq!(fields(&claude, &forced).0, Value::Null, "a forced tool and thinking exclude each other");
    let (got, _, notes) = fields(&with(CLAUDE, adaptive), &think(Some(Effort::Max), None, json!({})));
    assert_eq!((got, notes), (json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "high"}}), 0));

    let nova = with(NOVA, |m| m.capabilities.reasoning = Capability::Yes);
    let level = |word: &str| json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}});
    assert_eq!(fields(&nova, &think(Some(Effort::Max), None, json!({}))), (level("high"), Value::Null, 0));
    assert_eq!(fields(&nova, &think(Some(Effort::High), None, json!({"max_tokens": 100}))), (level("medium"), json!({"maxTokens": 100}), 1));
    assert_eq!(fields(&target("openai.gpt-oss-120b-1:0"), &think(Some(Effort::Minimal), None, json!({}))).0, json!({"reasoning_effort": "low"}));
    assert_eq!(fields(&target("us.deepseek.r1-v1:0"), &think(Some(Effort::High), None, json!({}))), (Value::Null, Value::Null, 1));
}

#[test]
fn pictures_documents_and_results_of_tools() {
    let base64 = |mime: &str| Source::Base64 { mime: mime.into(), data: "AAAA".into() };
    let file = |mime: &str, name: Option<&str>| PartKind::File { source: base64(mime), name: name.map(Into::into) };
    let mut request = asked(json!({"messages": [user("look")], "tools": [function("f")]}));
    let picture = PartKind::Image { source: base64("image/jpeg"), detail: None };
    request.messages[0].parts.extend([picture.clone(), file("application/pdf", Some("my report.pdf"))].map(Part::new));
    request
        .messages
        .push(message(MessageRole::Assistant, vec![PartKind::ToolCall { id: "1".into(), name: "f".into(), arguments: "{}".into(), signature: None }]));
    let parts = vec![Part::text("seen"), Part::new(picture), Part::new(file("text/csv", None))];
    request.messages.push(message(MessageRole::Tool, vec![PartKind::ToolResult { id: "1".into(), name: None, parts, is_error: true }]));
    request.messages.push(message(
        MessageRole::User,
        vec![file("application/pdf", Some("my report.pdf")), PartKind::Image { source: Source::Url("s3://b/a.png".into()), detail: None }],
    ));
    let image = json!({"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}});
    let document = |name: &str, format: &str| json!({"document": {"name": name, "format": format, "source": {"bytes": "AAAA"}}});
    let (body, _) = sent_to(&target(CLAUDE), &request);
    assert_eq!(body["messages"][0]["content"], json!([{"text": "look"}, image, document("my report", "pdf")]));
    assert_eq!(
        body["messages"][2]["content"],
        json!([
            {"toolResult": {"toolUseId": "1", "content": [{"text": "seen"}, image, document("document", "csv")], "status": "error"}},
            document("my report 2", "pdf"),
            {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/a.png"}}}},
            {"text": "my report 2"}
        ])
    );
    for bad in [Source::Url("https://host/a.png".into()), Source::FileId("f".into()), base64("image/tiff")] {
        let mut request = asked(json!({"messages": [user("look")]}));
        request.messages[0].parts.push(Part::new(PartKind::Image { source: bad, detail: None }));
        let fault = Bedrock.encode(&target(CLAUDE), &request).unwrap_err();
        assert!(fault.reason == Reason::CapabilityMissing && fault.message.contains("messages[0]"), "{fault:?}");
    }
}

#[test]
fn schemas_tiers_labels_guardrails_and_what_is_left_over() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false});
    let (body, notes) = sent(
        CLAUDE,
        json!({
            "messages": [user("a")], "service_tier": "priority", "user": "u-1", "metadata": {"team": "x y", "bad": "é"},
            "response_format": {"type": "json_schema", "json_schema": {"name": "my form", "description": "d", "schema": schema, "strict": true}},
            "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}, "performanceConfig": {"latency": "optimized"},
            "additionalModelRequestFields": {"anthropic_beta": ["x"], "big": 12_345_678_901_234_567_890_u64}, "new_thing": 1
        }),
    );
    let form = &body["outputConfig"]["textFormat"];
    assert_eq!((&form["type"], &form["structure"]["jsonSchema"]["name"]), (&json!("json_schema"), &json!("my_form")));
    assert_eq!(serde_json::from_str::<Value>(form["structure"]["jsonSchema"]["schema"].as_str().unwrap()).unwrap(), schema);
    assert_eq!(body["serviceTier"], json!({"type": "priority"}));
    assert_eq!(body["requestMetadata"], json!({"team": "x y", "user": "u-1"}));
    assert_eq!(body["guardrailConfig"], json!({"guardrailIdentifier": "g", "guardrailVersion": "1"}));
    assert_eq!(body["performanceConfig"], json!({"latency": "optimized"}));
    assert_eq!(body["additionalModelRequestFields"], json!({"anthropic_beta": ["x"], "big": 12_345_678_901_234_567_890_u64}));
    assert_eq!(notes.len(), 2, "a label and new_thing: {notes:?}");
    let (body, notes) = sent(NOVA, json!({"messages": [user("a")], "response_format": {"type": "json_object"}, "service_tier": "auto"}));
    assert!(body["system"][0]["text"].as_str().unwrap().contains("JSON") && notes.len() == 1 && body.get("serviceTier").is_none());
}

#[test]
fn what_anthropics_door_says_beyond_our_words_reaches_claude_alone() {
    let mut request = asked(json!({"messages": [user("a")]}));
    request.extra_dialect = Some(DialectName::Anthropic);
    request.extra.insert("context_management".into(), Json::parse(r#"{"edits":[]}"#).unwrap());
    assert_eq!(sent_to(&target(CLAUDE), &request).0["additionalModelRequestFields"], json!({"context_management": {"edits": []}}));
    let (body, notes) = sent_to(&target(NOVA), &request);
    assert!(body.get("additionalModelRequestFields").is_none() && notes.len() == 1);
    let opaque = |dialect| PartKind::Opaque(Opaque { dialect, issuer: "".into(), json: Json::parse(r#"{"guardContent":{"text":{"text":"x"}}}"#).unwrap() });
    request.extra.clear();
    request.messages[0].parts.extend([opaque(DialectName::Bedrock), opaque(DialectName::Gemini)].map(Part::new));
    let (body, notes) = sent_to(&target(CLAUDE), &request);
    assert_eq!(body["messages"][0]["content"], json!([{"text": "a"}, {"guardContent": {"text": {"text": "x"}}}]));
    assert_eq!(notes.len(), 1);
}
