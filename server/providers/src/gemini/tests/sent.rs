use bytes::Bytes;
use headworks_core::{
    CacheMark, Capability, ChatRequest, DialectName, Effort, Json, Message, MessageRole, Model, Part, PartKind, Reason, Source, Target, Tool,
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{fold, read};
use crate::{Dialect, Door, gemini::Gemini, openai::OpenAiDoor, testing};

fn target(name: &str) -> Target {
    testing::target("gemini", name, |_| ())
}

/// The request that a client writes in OpenAI's words.
fn asked(body: &Value) -> ChatRequest {
    OpenAiDoor.request(&HeaderMap::new(), &Bytes::from(body.to_string())).unwrap()
}

fn sent_to(target: &Target, request: &ChatRequest) -> (Value, Vec<String>) {
    let encoded = Gemini.encode(target, request).unwrap();
    let body = serde_json::from_slice(encoded.request.body()).unwrap();
    (body, encoded.notes.iter().map(|n| n.to_string()).collect())
}

fn sent(body: Value) -> (Value, Vec<String>) {
    sent_to(&target("gemini-2.5-flash"), &asked(&body))
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn call(id: &str, name: &str, args: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": args}})
}

fn function(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}})
}

#[test]
fn f12_where_a_request_goes() {
    for (name, stream, path) in [
        ("gemini-2.5-flash", false, "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("gemini-2.5-flash", true, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ("tunedModels/my model?", false, "/v1beta/tunedModels/my%20model%3F:generateContent"),
        ("models/x", false, "/v1beta/models/x:generateContent"),
    ] {
        let mut request = asked(&json!({"model": "m", "messages": [user("hi")]}));
        request.stream = stream;
        let encoded = Gemini.encode(&target(name), &request).unwrap();
        assert_eq!(encoded.request.uri().to_string(), format!("http://host{path}"));
        assert_eq!(encoded.request.method(), "POST");
        assert!(encoded.request.headers().get("x-goog-api-key").is_none());
    }
}

#[test]
fn t9_every_role_finds_its_place() {
    let (body, notes) = sent(json!({"model": "m", "messages": [
        {"role": "system", "content": "one"}, {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        user("a"), user("b"), {"role": "assistant", "content": ""}, user("c"),
        {"role": "assistant", "content": "d"}, {"role": "assistant", "content": null, "refusal": "e"}, {"role": "system", "content": "late"}, user("f")]}));
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "one"}, {"text": "two"}, {"text": "late"}]}));
    assert_eq!(
        body["contents"],
        json!([
            {"role": "user", "parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]},
            {"role": "model", "parts": [{"text": "d"}, {"text": "e"}]},
            {"role": "user", "parts": [{"text": "f"}]}])
    );
    assert!(notes.is_empty(), "{notes:?}");
    let (body, notes) = sent(json!({"model": "m", "messages": [{"role": "system", "content": "only"}]}));
    assert_eq!((&body["contents"], &body["systemInstruction"]), (&json!([{"role": "user", "parts": [{"text": "only"}]}]), &Value::Null));
    assert_eq!(notes.len(), 1);
    let empty = asked(&json!({"model": "m", "messages": [user("")]}));
    assert_eq!(Gemini.encode(&target("m"), &empty).unwrap_err().reason, Reason::InvalidRequest);
}

#[test]
fn t7_t8_results_are_data_in_one_turn() {
    let reference = r##"{"$ref":"#/$defs/A","big":12345678901234567890}"##;
    let (body, notes) = sent(json!({"model": "m", "messages": [
        user("go"),
        {"role": "assistant", "content": null, "tool_calls": [call("c1", "f", r#"{"n":1.50}"#), call("c2", "g", ""), call("c3", "h", "{}"), call("c4", "i", "{}")]},
        {"role": "tool", "tool_call_id": "c2", "content": r#"{"ok":true,"n":1.50}"#},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "[1,"}, {"type": "text", "text": "2]"}]},
        user("and?"),
        {"role": "tool", "tool_call_id": "c3", "content": reference}]}));
    let calls = &body["contents"][1]["parts"];
    assert_eq!(calls[0], json!({"functionCall": {"id": "c1", "name": "f", "args": {"n": 1.5}}}));
    assert_eq!(calls[1]["functionCall"]["args"], json!({}));
    assert_eq!(
        body["contents"][2],
        json!({"role": "user", "parts": [
            {"functionResponse": {"id": "c2", "name": "g", "response": {"ok": true, "n": 1.5}}},
            {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "[1,2]"}}},
            {"functionResponse": {"id": "c3", "name": "h", "response": {"output": reference}}},
            {"functionResponse": {"id": "c4", "name": "i", "response": {"error": "no result was given"}}},
            {"text": "and?"}]})
    );
    assert_eq!(body["contents"].as_array().unwrap().len(), 3);
    assert_eq!(notes.len(), 1, "{notes:?}");
    // Numbers go as they were written.
    let raw = Gemini.encode(
        &target("m"),
        &asked(&json!({"model": "m", "messages": [user("go"), {"role": "assistant", "tool_calls": [call("c1", "f", r#"{"n":1.50}"#)]}]})),
    );
    assert!(String::from_utf8(raw.unwrap().request.body().to_vec()).unwrap().contains(r#""args":{"n":1.50}"#));
    // A failed tool, and a result in the form before tools.
    let mut request = asked(&json!({"model": "m", "messages": [user("go"), {"role": "function", "name": "old", "content": "x"}]}));
    request.messages.push(Message {
        role: MessageRole::Tool,
        parts: vec![Part::new(PartKind::ToolResult { id: "c9".into(), name: Some("f".into()), parts: vec![Part::text("no")], is_error: true })],
        name: None,
        extra: Vec::new(),
    });
    let (body, _) = sent_to(&target("gemini-2.5-flash"), &request);
    assert_eq!(
        body["contents"][0]["parts"],
        json!([
            {"functionResponse": {"id": "old", "name": "old", "response": {"output": "x"}}},
            {"functionResponse": {"id": "c9", "name": "f", "response": {"error": "no"}}},
            {"text": "go"}])
    );
}

#[test]
fn media_of_every_kind() {
    let (body, notes) = sent(json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://x.example/a/b.WEBP?w=1"}},
        {"type": "image_url", "image_url": {"url": "https://x.example/picture"}},
        {"type": "image_url", "image_url": {"url": "gs://bucket/p.jpg"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "files/abc"}}]}]}));
    assert_eq!(
        body["contents"][0]["parts"],
        json!([
            {"text": "see"},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://x.example/a/b.WEBP?w=1"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/picture"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "gs://bucket/p.jpg"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
            {"fileData": {"fileUri": "http://host/v1beta/files/abc"}}])
    );
    assert_eq!(notes.len(), 1, "only a guess is noted: {notes:?}");
    let foreign = asked(&json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-abc"}}]}]}));
    let fault = Gemini.encode(&target("m"), &foreign).unwrap_err();
    assert_eq!(fault.reason, Reason::CapabilityMissing);
    assert!(fault.message.contains("messages[0].content[0]"), "{}", fault.message);
}

#[test]
fn pictures_in_results_stand_inside_or_after() {
    let mut request =
        asked(&json!({"model": "m", "messages": [user("go"), {"role": "assistant", "tool_calls": [call("c1", "f", "{}"), call("c2", "f", "{}")]}]}));
    let picture = Part::new(PartKind::Image { source: Source::Base64 { mime: "image/png".into(), data: "AAAA".into() }, detail: None });
    for id in ["c1", "c2"] {
        let parts = vec![Part::text("shot"), picture.clone()];
        let part = Part::new(PartKind::ToolResult { id: id.into(), name: None, parts, is_error: false });
        request.messages.push(Message { role: MessageRole::Tool, parts: vec![part], name: None, extra: Vec::new() });
    }
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let response = |id: &str| json!({"id": id, "name": "f", "response": {"output": "shot"}});
    let (body, _) = sent_to(&target("gemini-2.5-pro"), &request);
    assert_eq!(body["contents"][2]["parts"], json!([{"functionResponse": response("c1")}, {"functionResponse": response("c2")}, inline, inline]));
    let (body, _) = sent_to(&target("gemini-3-pro-preview"), &request);
    let mut nested = response("c1");
    nested["parts"] = json!([inline]);
    assert_eq!(body["contents"][2]["parts"][0], json!({"functionResponse": nested}));
    assert_eq!(body["contents"][2]["parts"].as_array().unwrap().len(), 2);
}

/// A Gemini signature: field 2 around field 1 that fills it.
const SIGNATURE: &str = "EgYKBAEMOdY=";

#[test]
fn t1_a_signature_survives_the_round() {
    let answer = json!({"responseId": "r", "candidates": [{"content": {"parts": [
        {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": SIGNATURE}, {"functionCall": {"name": "f", "args": {"a": 2}}}]}, "finishReason": "STOP"}]});
    for (kind, body) in [("application/json", answer.to_string()), ("text/event-stream", format!("data: {answer}\n\n"))] {
        let target = target("gemini-3-pro");
        let got = fold(&read(&target, kind, body.as_bytes(), 9).unwrap(), 0);
        let parts = got.calls.iter().map(|(id, name, arguments, signature)| {
            Part::new(PartKind::ToolCall {
                id: id.as_str().into(),
                name: name.as_str().into(),
                arguments: arguments.as_str().into(),
                signature: signature.as_deref().map(Into::into),
            })
        });
        let mut request = asked(&json!({"model": "m", "messages": [user("go")]}));
        request.messages.push(Message { role: MessageRole::Assistant, parts: parts.collect(), name: None, extra: Vec::new() });
        let (sent, notes) = sent_to(&target, &request);
        let calls = &sent["contents"][1]["parts"];
        assert_eq!((&calls[0]["thoughtSignature"], &calls[1]["thoughtSignature"]), (&json!(SIGNATURE), &Value::Null));
        assert!(notes.is_empty(), "{notes:?}");
    }
}

#[test]
fn t1_a_dropped_signature_is_replaced_on_the_first_call_of_each_turn() {
    let history = json!({"model": "m", "messages": [
        user("go"), {"role": "assistant", "tool_calls": [call("c1", "f", "{}"), call("c2", "f", "{}")]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"}, {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "assistant", "content": "then", "tool_calls": [call("c3", "f", "{}")]}, {"role": "tool", "tool_call_id": "c3", "content": "3"}]});
    let (body, notes) = sent_to(&target("gemini-3-flash-preview"), &asked(&history));
    let lost = json!("skip_thought_signature_validator");
    assert_eq!(body["contents"][1]["parts"][0]["thoughtSignature"], lost);
    assert_eq!(body["contents"][1]["parts"][1]["thoughtSignature"], Value::Null);
    assert_eq!(body["contents"][3]["parts"][0], json!({"text": "then"}));
    assert_eq!(body["contents"][3]["parts"][1]["thoughtSignature"], lost);
    assert_eq!(notes.len(), 2, "{notes:?}");
    // Models that do not insist are sent nothing.
    let (body, notes) = sent_to(&target("gemini-2.5-pro"), &asked(&history));
    assert!(!body.to_string().contains("thoughtSignature"));
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn t3_only_geminis_own_signatures_are_replayed() {
    let turn = |signature: &str| {
        asked(&json!({"model": "m", "messages": [user("go"),
            {"role": "assistant", "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": signature}], "content": "so"}, user("on")]}))
    };
    let (body, _) = sent_to(&target("gemini-3-pro"), &turn(SIGNATURE));
    assert_eq!(body["contents"][1]["parts"], json!([{"text": "hm", "thought": true}, {"text": "so", "thoughtSignature": SIGNATURE}]));
    // What Anthropic's begin with.
    for foreign in ["EooCCkYICxgCKkDYW6Ka", "Ev8BCkgIDRABGAI=", "no base64!"] {
        let (body, _) = sent_to(&target("gemini-3-pro"), &turn(foreign));
        assert_eq!(body["contents"][1]["parts"], json!([{"text": "so"}]), "{foreign}");
    }
    // Nothing follows: the signature comes as Gemini itself sends it then.
    let alone = asked(&json!({"model": "m", "messages": [user("go"),
        {"role": "assistant", "thinking_blocks": [{"type": "thinking", "thinking": "", "signature": SIGNATURE}], "content": null}, user("on")]}));
    let (body, _) = sent_to(&target("gemini-3-pro"), &alone);
    assert_eq!(body["contents"][1]["parts"], json!([{"text": "", "thoughtSignature": SIGNATURE}]));
    // Encrypted reasoning is Anthropic's alone.
    let redacted = asked(&json!({"model": "m", "messages": [user("go"),
        {"role": "assistant", "thinking_blocks": [{"type": "redacted_thinking", "data": "xyz"}], "content": "so"}, user("on")]}));
    assert_eq!(sent_to(&target("gemini-3-pro"), &redacted).0["contents"][1]["parts"], json!([{"text": "so"}]));
}

#[test]
fn t13_tools_and_the_choice_among_them() {
    let with = |choice: Value| {
        let mut body = json!({"model": "m", "messages": [user("go")], "tools": [function("f"), {"type": "function", "function": {"name": "bare"}}]});
        if !choice.is_null() {
            body["tool_choice"] = choice;
        }
        sent(body).0
    };
    let body = with(Value::Null);
    assert_eq!(
        body["tools"],
        json!([{"functionDeclarations": [
            {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object", "properties": {"a": {"type": "string"}}}},
            {"name": "bare", "description": ""}]}])
    );
    assert_eq!(body["toolConfig"], Value::Null);
    for (choice, wanted) in [
        (json!("auto"), json!({"mode": "AUTO"})),
        (json!("none"), json!({"mode": "NONE"})),
        (json!("required"), json!({"mode": "ANY"})),
        (json!({"type": "function", "function": {"name": "f"}}), json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
    ] {
        assert_eq!(with(choice)["toolConfig"]["functionCallingConfig"], wanted);
    }
    let unknown =
        asked(&json!({"model": "m", "messages": [user("go")], "tools": [function("f")], "tool_choice": {"type": "function", "function": {"name": "x"}}}));
    assert_eq!(Gemini.encode(&target("m"), &unknown).unwrap_err().field(), Some("tool_choice"));
    // Google's own tools stand beside functions; another provider's cannot.
    let mut request = asked(&json!({"model": "m", "messages": [user("go")], "tools": [function("f")], "parallel_tool_calls": false}));
    request.tools.push(Tool::Hosted { dialect: DialectName::Gemini, json: Json::parse(r#"{"googleSearch":{}}"#).unwrap() });
    let (body, notes) = sent_to(&target("gemini-3-pro"), &request);
    assert_eq!(body["tools"][1], json!({"googleSearch": {}}));
    assert_eq!(notes.len(), 1, "parallel_tool_calls cannot be said: {notes:?}");
    request.tools.push(Tool::Hosted { dialect: DialectName::Anthropic, json: Json::parse("{}").unwrap() });
    assert_eq!(Gemini.encode(&target("m"), &request).unwrap_err().reason, Reason::CapabilityMissing);
}

#[test]
fn l7_t11_generation_config() {
    let (body, notes) = sent(json!({"model": "m", "messages": [user("go")], "temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 1_000_000_000,
        "stop": ["1", "2", "3", "4", "5", "6"], "n": 2, "seed": 7, "frequency_penalty": 0.25, "presence_penalty": -0.5,
        "logprobs": true, "top_logprobs": 3, "logit_bias": {"1": 2}, "min_p": 0.1, "service_tier": "flex"}));
    assert_eq!(
        body["generationConfig"],
        json!({"temperature": 0.5, "topP": 0.9, "topK": 40, "maxOutputTokens": 64000, "stopSequences": ["1", "2", "3", "4", "5"], "candidateCount": 2, "seed": 7,
            "frequencyPenalty": 0.25, "presencePenalty": -0.5, "responseLogprobs": true, "logprobs": 3})
    );
    assert_eq!(body["service_tier"], "flex");
    for word in ["64000", "stop texts", "logit_bias", "min_p"] {
        assert!(notes.iter().any(|n| n.contains(word)), "{word}: {notes:?}");
    }
    assert_eq!(notes.len(), 4, "{notes:?}");
    let (body, notes) = sent(json!({"model": "m", "messages": [user("go")], "seed": 9_000_000_000_i64, "service_tier": "scale"}));
    let seed = body["generationConfig"]["seed"].as_i64().unwrap();
    assert!(i32::try_from(seed).is_ok() && body["service_tier"].is_null() && notes.len() == 2, "{notes:?}");
    assert_eq!(sent(json!({"model": "m", "messages": [user("go")], "n": 1, "service_tier": "auto"})).0["generationConfig"], json!({}));
    // A model that takes no sampling.
    let fixed = testing::target("gemini", "gemini-3-pro", |m| m.capabilities.sampling = Capability::No);
    let (body, notes) = sent_to(&fixed, &asked(&json!({"model": "m", "messages": [user("go")], "temperature": 0.5})));
    assert_eq!((&body["generationConfig"], notes.len()), (&json!({}), 1));
}

#[test]
fn the_form_of_the_answer() {
    let format = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"k": {"const": "v"}, "o": {"$ref": "#/$defs/O"}},
        "required": ["k"], "additionalProperties": false, "$defs": {"O": {"type": ["integer", "null"]}}}}});
    let (body, _) = sent(json!({"model": "m", "messages": [user("go")], "response_format": format}));
    assert_eq!(
        body["generationConfig"],
        json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "properties":
            {"k": {"type": "string", "enum": ["v"]}, "o": {"type": ["integer", "null"]}}, "required": ["k"], "additionalProperties": false}})
    );
    let (body, _) = sent(json!({"model": "m", "messages": [user("go")], "response_format": {"type": "json_object"}}));
    assert_eq!(body["generationConfig"], json!({"responseMimeType": "application/json"}));
    // Gemini 2 has no JSON output beside tools, Gemini 3 has.
    let both = asked(&json!({"model": "m", "messages": [user("go")], "response_format": format, "tools": [function("f")]}));
    assert_eq!(Gemini.encode(&target("gemini-2.5-pro"), &both).unwrap_err().reason, Reason::CapabilityMissing);
    assert!(Gemini.encode(&target("gemini-3-pro"), &both).is_ok());
}

#[test]
fn t11_thinking_by_the_models_own_range() {
    type Facts = fn(&mut Model);
    let words: Facts = |m| m.reasoning.efforts = vec![Effort::Low, Effort::Medium, Effort::High];
    let all_words: Facts = |m| m.reasoning.efforts = vec![Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];
    let flash: Facts = |m| (m.reasoning.budget, m.reasoning.toggle) = (Some((0, 24_576)), true);
    let lite: Facts = |m| (m.reasoning.budget, m.reasoning.toggle) = (Some((512, 24_576)), true);
    let pro: Facts = |m| m.reasoning.budget = Some((128, 32_768));
    let none: Facts = |m| m.capabilities.reasoning = Capability::No;
    let unknown: Facts = |_| ();
    let effort = |word: &str| json!({"reasoning_effort": word});
    let budget = |tokens: i64| json!({"reasoning": {"max_tokens": tokens}});
    let shown = |key: &str, value: Value| json!({"includeThoughts": true, key: value});
    let hidden = |key: &str, value: Value| json!({"includeThoughts": false, key: value});
    let table = [
        (words, "gemini-3-pro", effort("medium"), shown("thinkingLevel", json!("medium")), 0),
        (words, "gemini-3-pro", effort("minimal"), shown("thinkingLevel", json!("low")), 1),
        (all_words, "gemini-3-flash", effort("minimal"), shown("thinkingLevel", json!("minimal")), 0),
        (all_words, "gemini-3-flash", effort("none"), hidden("thinkingLevel", json!("minimal")), 1),
        (all_words, "gemini-3-flash", effort("xhigh"), shown("thinkingLevel", json!("high")), 1),
        (words, "gemini-3-pro", budget(20_000), shown("thinkingLevel", json!("high")), 0),
        (flash, "gemini-2.5-flash", effort("low"), shown("thinkingBudget", json!(1024)), 0),
        (flash, "gemini-2.5-flash", effort("none"), hidden("thinkingBudget", json!(0)), 0),
        (flash, "gemini-2.5-flash", budget(99_999), shown("thinkingBudget", json!(24_576)), 1),
        (lite, "gemini-2.5-flash-lite", budget(0), hidden("thinkingBudget", json!(0)), 0),
        (lite, "gemini-2.5-flash-lite", budget(100), shown("thinkingBudget", json!(512)), 1),
        (pro, "gemini-2.5-pro", budget(0), hidden("thinkingBudget", json!(128)), 1),
        (pro, "gemini-2.5-pro", effort("max"), shown("thinkingBudget", json!(32_768)), 0),
        (unknown, "gemini-3.9-new", effort("medium"), shown("thinkingLevel", json!("high")), 1),
        (unknown, "gemini-2.5-new", effort("medium"), shown("thinkingBudget", json!(8192)), 0),
        (none, "gemini-2.0-flash", effort("high"), Value::Null, 1),
        (none, "gemini-2.0-flash", effort("none"), Value::Null, 0),
        (words, "gemini-3-pro", json!({}), Value::Null, 0),
    ];
    for (facts, name, extra, wanted, noted) in table {
        let mut body = json!({"model": "m", "messages": [user("go")]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let (sent, notes) = sent_to(&testing::target("gemini", name, facts), &asked(&body));
        assert_eq!(sent["generationConfig"]["thinkingConfig"], wanted, "{name} {extra}");
        assert_eq!(notes.len(), noted, "{name} {extra}: {notes:?}");
    }
}

#[test]
fn what_cannot_be_said_is_noted() {
    let mut request = asked(&json!({"model": "m", "messages": [user("go")], "verbosity": "low"}));
    let (body, notes) = sent_to(&target("m"), &request);
    assert!(body.get("verbosity").is_none());
    assert!(notes.iter().any(|n| n.contains("verbosity")), "{notes:?}");
    // What a client wrote in Gemini's own words goes on.
    request.extra_dialect = Some(DialectName::Gemini);
    request.extra = [("safetySettings".into(), Json::parse("[]").unwrap())].into();
    request.messages[0].parts[0].cache = CacheMark::Default;
    assert_eq!(sent_to(&target("m"), &request).0["safetySettings"], json!([]));
}

#[test]
fn a_cache_that_the_client_made_is_used() {
    let cache = json!({"google": {"cached_content": "cachedContents/abc"}});
    let (body, notes) = sent(json!({"model": "m", "messages": [user("hi")], "extra_body": cache}));
    assert_eq!((&body["cachedContent"], notes.len()), (&json!("cachedContents/abc"), 0), "{notes:?}");
    // What is not understood is told, as every parameter that is lost.
    let (body, notes) = sent(json!({"model": "m", "messages": [user("hi")], "extra_body": {"google": {"cached_content": "x", "other": 1}}}));
    assert!(body.get("cachedContent").is_none() && notes.iter().any(|note| note.contains("extra_body")), "{notes:?}");
}
