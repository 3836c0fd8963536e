//! What the door reads.

use headworks_core::{CacheMark, DialectName, Effort, MessageRole, Opaque, Output, PartKind, Reason, Source, Tool, ToolChoice};
use serde_json::json;

use super::*;

#[test]
fn everything_that_clients_send_is_understood() {
    let request = asked(&json!({
        "model": "anthropic/claude", "max_tokens": 32000, "stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "stop_sequences": ["a", "b"],
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=1"}, {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "EqQB"}, {"type": "redacted_thinking", "data": "xx"}, {"type": "thinking", "thinking": "", "signature": "EqQC"},
                {"type": "text", "text": "look"}, {"type": "tool_use", "id": "t1", "name": "f", "input": {"big": 12345678901234567890u64}},
                {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}]},
            {"role": "user", "content": [
                {"type": "text", "text": "and"},
                {"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": [{"type": "text", "text": "no"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}], "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                {"type": "document", "title": "T", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
                {"type": "search_result", "title": "S", "source": "https://s", "content": [{"type": "text", "text": "found"}]}]},
        ],
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}, {"type": "custom", "name": "g", "input_schema": {"type": "object"}, "strict": true},
                  {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "metadata": {"user_id": "{\"device_id\":\"x\"}"}, "service_tier": "standard_only",
        "mcp_servers": [{"name": "m"}], "context_management": {"edits": []}, "container": "c1", "whatever_comes": {"n": 1.50},
        "headworks": {"auto_cache": true, "cache_ttl": "1h", "tags": ["t"], "user_id": "u", "trace_id": "tr"}
    }));
    assert!(request.stream);
    assert_eq!(request.sampling.max_tokens, Some(32000));
    assert_eq!((request.sampling.temperature, request.sampling.top_p, request.sampling.top_k, request.sampling.stop.len()), (Some(0.5), Some(0.9), Some(5), 2));
    let roles: Vec<MessageRole> = request.messages.iter().map(|m| m.role).collect();
    assert_eq!(roles, [MessageRole::System, MessageRole::User, MessageRole::Assistant, MessageRole::Tool, MessageRole::User]);
    assert_eq!(request.messages[0].parts[1].cache, CacheMark::OneHour);
    let said = &request.messages[2].parts;
    assert!(matches!(&said[0].kind, PartKind::Reasoning { text, signature: Some(s), .. } if &**text == "hm" && &**s == "EqQB"));
    assert!(matches!(&said[1].kind, PartKind::Reasoning { redacted: Some(data), .. } if &**data == "xx"), "T2");
    assert!(matches!(&said[2].kind, PartKind::Reasoning { text, signature: Some(_), .. } if text.is_empty()), "T2: empty but signed");
    assert!(matches!(&said[4].kind, PartKind::ToolCall { arguments, .. } if arguments.contains("12345678901234567890")), "T12");
    assert!(matches!(&said[5].kind, PartKind::Opaque(Opaque { dialect: DialectName::Anthropic, .. })));
    assert!(
        matches!(&request.messages[3].parts[..], [part] if part.cache == CacheMark::Default && matches!(&part.kind, PartKind::ToolResult { is_error: true, parts, .. } if parts.len() == 2))
    );
    let with: Vec<_> = request.messages[4].parts.iter().map(|p| &p.kind).collect();
    assert!(matches!(with[1], PartKind::Image { source: Source::Url(_), .. }));
    assert!(matches!(with[2], PartKind::File { source: Source::Base64 { .. }, name: Some(_) }));
    assert!(matches!(with[3], PartKind::Text(text) if &**text == "plain"));
    assert!(with.iter().any(|kind| matches!(kind, PartKind::Text(text) if &**text == "found")));
    assert!(matches!(&request.tools[0], Tool::Function { cache: CacheMark::Default, .. }));
    assert!(matches!(&request.tools[1], Tool::Function { strict: Some(true), .. }));
    assert!(matches!(&request.tools[2], Tool::Hosted { dialect: DialectName::Anthropic, json } if json.as_str().contains("max_uses")));
    assert_eq!((request.tool_choice.clone(), request.parallel_tool_calls), (Some(ToolChoice::Named("f".into())), Some(false)));
    assert_eq!((request.reasoning.budget_tokens, request.reasoning.effort), (Some(2048), Some(Effort::High)));
    assert!(matches!(request.output, Output::Schema { .. }));
    assert_eq!((request.user.as_deref(), request.service_tier.as_deref()), (Some("{\"device_id\":\"x\"}"), Some("default")));
    assert_eq!(request.extra.keys().map(|k| &**k).collect::<Vec<_>>(), ["container", "context_management", "mcp_servers", "whatever_comes"]);
    assert_eq!((request.auto_cache, request.cache_ttl), (Some(true), CacheMark::OneHour));
    assert_eq!((&*request.routing.tags, request.routing.trace_id.as_deref()), (&["t".into()][..], Some("tr")));
}

#[test]
fn features_in_trial_are_named_once() {
    let mut headers = HeaderMap::new();
    headers.append("anthropic-beta", HeaderValue::from_static("a-1, b-2"));
    headers.append("anthropic-beta", HeaderValue::from_static("b-2,c-3"));
    let body = Bytes::from(r#"{"model":"m","messages":[{"role":"user","content":"x"}],"requesty":{"auto_cache":false}}"#);
    let request = AnthropicDoor.request(&headers, &body).unwrap();
    assert_eq!(request.betas.iter().map(|b| &**b).collect::<Vec<_>>(), ["a-1", "b-2", "c-3"]);
    assert_eq!(request.auto_cache, Some(false));
    let encoded = Anthropic.encode(&target(), &request).unwrap();
    assert_eq!(encoded.request.headers()["anthropic-beta"], "a-1,b-2,c-3");
}

#[test]
fn t14_what_is_wrong_is_named_where_it_stands() {
    let ask = |messages: Value| json!({"model": "m", "max_tokens": 1, "messages": messages});
    for (body, field) in [
        (json!({"messages": [{"role": "user", "content": "x"}]}), "model"),
        (json!({"model": "m"}), "messages"),
        (ask(json!([])), "messages"),
        (ask(json!([{"role": "tool", "content": "x"}])), "messages[0].role"),
        (ask(json!([{"role": "user"}])), "messages[0].content"),
        (ask(json!([{"role": "user", "content": 7}])), "messages[0].content"),
        (ask(json!([{"role": "user", "content": [{"text": "x"}]}])), "messages[0].content[0].type"),
        (ask(json!([{"role": "user", "content": [{"type": "text"}]}])), "messages[0].content[0].text"),
        (
            ask(json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": "{bad"}]}])),
            "messages[1].content[0].input",
        ),
        (
            ask(json!([{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "!"}}]}])),
            "messages[0].content[0].source.data",
        ),
        (
            ask(json!([{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "2h"}}]}])),
            "messages[0].content[0].cache_control.ttl",
        ),
        (json!({"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "x"}]}), "max_tokens"),
        (json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [{"name": "f"}]}), "tools[0].input_schema"),
        (json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "tool_choice": {"type": "some"}}), "tool_choice.type"),
        (json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "headworks": {"auto_cash": true}}), "headworks.auto_cash"),
    ] {
        let fault = AnthropicDoor.request(&HeaderMap::new(), &Bytes::from(body.to_string())).expect_err(&body.to_string());
        assert_eq!((fault.reason, fault.field().unwrap_or_default()), (Reason::InvalidRequest, field), "{fault} {body}");
    }
    for raw in ["", "{", "[]", "\u{fffd}"] {
        assert_eq!(AnthropicDoor.request(&HeaderMap::new(), &Bytes::from(raw)).expect_err(raw).reason, Reason::InvalidRequest);
    }
}

#[test]
fn errors_have_anthropics_shape_and_529_only_where_it_is_true() {
    let face = |status| crate::ErrorFace { status, kind: "api_error", code: None, retryable: true, request_id: Some("req_1".into()) };
    let said = |status: u16, kind: &str| {
        let mut fault = headworks_core::Fault::new(Reason::AllTargetsFailed, "down");
        fault.upstream = Some(headworks_core::UpstreamError { status, kind: Some(kind.into()), ..Default::default() }.into());
        fault.attempts = 1;
        fault
    };
    for (fault, status, kind, shown) in [
        (said(529, "overloaded_error"), 503, "overloaded_error", 529),
        (said(500, "api_error"), 503, "api_error", 503),
        (headworks_core::Fault::new(Reason::Overloaded, "x"), 503, "overloaded_error", 503),
        (headworks_core::Fault::new(Reason::UnauthenticatedKey, "x"), 401, "authentication_error", 401),
        (headworks_core::Fault::new(Reason::BudgetExceeded, "x"), 429, "billing_error", 429),
        (headworks_core::Fault::invalid("model", "x"), 400, "invalid_request_error", 400),
        (headworks_core::Fault::new(Reason::PayloadTooLarge, "x"), 413, "request_too_large", 413),
        (headworks_core::Fault::new(Reason::Timeout, "x"), 504, "timeout_error", 504),
        (headworks_core::Fault::new(Reason::ModelNotFound, "x"), 404, "not_found_error", 404),
        (headworks_core::Fault::new(Reason::RateLimited, "x"), 429, "rate_limit_error", 429),
    ] {
        let body: Value = serde_json::from_slice(&AnthropicDoor.fault(&fault, &face(status))).unwrap();
        assert_eq!((body["type"].as_str(), body["error"]["type"].as_str(), body["request_id"].as_str()), (Some("error"), Some(kind), Some("req_1")));
        assert_eq!(body["error"]["headworks"]["reason"], fault.reason.name());
        assert_eq!(AnthropicDoor.status(&fault, &face(status)), shown, "{kind}");
    }
}
