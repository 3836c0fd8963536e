//! What is read of answers.

use headworks_core::{Cause, EventKind, FinishReason};

use super::{fold, read};
use crate::testing::target;

fn sse(events: &[&str]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

const CREATED: &str = r#"{"type":"response.created","response":{"id":"resp_1","object":"response","created_at":1750000000,"status":"in_progress","model":"gpt-5-2025-08-07","output":[]}}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"id":"resp_1","object":"response","status":"completed","service_tier":"flex","output":[],"usage":{"input_tokens":11,"input_tokens_details":{"cached_tokens":4},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":18}}}"#;

#[test]
fn t4_f1_f6_calls_and_hosted_tools_side_by_side() {
    let body = sse(&[
        CREATED,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"web_search_call","id":"ws_1","status":"in_progress"}}"#,
        r#"{"type":"response.web_search_call.searching","output_index":0,"item_id":"ws_1"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"web_search_call","id":"ws_1","status":"completed","action":{"query":"x"}}}"#,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":""}}"#,
        r#"{"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","id":"fc_2","call_id":"c1","name":"g","arguments":""}}"#,
        r#"{"type":"response.output_item.added","output_index":3,"item":{"type":"mcp_call","id":"mcp_1","name":"h","arguments":""}}"#,
        r#"{"type":"response.mcp_call_arguments.delta","output_index":3,"item_id":"mcp_1","delta":"{\"no\":1}"}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":2,"item_id":"fc_2","delta":"{\"b\""}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":1,"item_id":"fc_1","delta":"{\"a\":1}"}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":2,"item_id":"fc_2","delta":":2}"}"#,
        r#"{"type":"response.function_call_arguments.done","output_index":1,"item_id":"fc_1","arguments":"{\"a\":1}"}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"}}"#,
        r#"{"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","call_id":"c1","name":"g","arguments":"{\"b\":2}"}}"#,
        r#"{"type":"response.output_item.done","output_index":3,"item":{"type":"mcp_call","id":"mcp_1","name":"h","arguments":"{\"no\":1}","output":"ok"}}"#,
        COMPLETED,
    ]);
    let (events, fault) = read(&target("openai", "gpt-5", |_| ()), "text/event-stream", body.as_bytes(), 9);
    assert_eq!(fault, None);
    let answer = fold(&events);
    let call = |id: &str, name: &str, arguments: &str| (id.to_owned(), name.to_owned(), arguments.to_owned(), true);
    assert_eq!(answer.calls, [call("c1", "f", "{\"a\":1}"), call("c1_1", "g", "{\"b\":2}")], "ids are unique");
    assert_eq!((answer.hosted, &answer.finish[..]), (2, &[FinishReason::ToolCalls][..]));
    let tokens = answer.tokens.unwrap();
    assert_eq!((tokens.input, tokens.cache_read, tokens.output, tokens.reasoning, answer.tier.as_deref()), (7, 4, 7, 3, Some("flex")));
}

#[test]
fn t5_what_the_provider_ran_is_no_call_and_what_only_the_client_can_run_is() {
    let of = |item: &str| {
        let body = format!(r#"{{"object":"response","status":"completed","output":[{item}]}}"#);
        let (events, fault) = read(&target("openai", "gpt-5", |_| ()), "application/json", body.as_bytes(), 5);
        assert_eq!(fault, None);
        let answer = fold(&events);
        (answer.finish, answer.hosted, answer.opaque)
    };
    assert_eq!(of(r#"{"type":"code_interpreter_call","id":"ci_1"}"#), (vec![FinishReason::Stop], 1, vec![]));
    assert_eq!(
        of(r#"{"type":"custom_tool_call","call_id":"c","name":"sql","input":"SELECT 1"}"#),
        (vec![FinishReason::ToolCalls], 0, vec!["custom_tool_call".to_owned()])
    );
}

#[test]
fn f5_f11_pieces_that_never_came_are_told_at_the_end() {
    let item = r#"[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"gAAAAAx"},{"type":"message","content":[{"type":"output_text","text":"Grüezi","annotations":[{"type":"url_citation","url":"u"}],"logprobs":[{"token":"G","logprob":-0.1}]},{"type":"refusal","refusal":"no"}]},{"type":"function_call","call_id":"c","name":"f","arguments":{"x":1}}]"#;
    let whole = format!(r#"{{"id":"resp_1","object":"response","status":"completed","model":"m","output":{item}}}"#);
    let lazy = sse(&[&format!(r#"{{"type":"response.completed","response":{whole}}}"#)]);
    let target = target("openai", "gpt-5", |_| ());
    let (a, fault) = read(&target, "application/json", whole.as_bytes(), 3);
    assert_eq!(fault, None);
    let (b, fault) = read(&target, "text/event-stream", lazy.as_bytes(), 3);
    assert_eq!((fault, fold(&a)), (None, fold(&b)));
    let answer = fold(&a);
    assert_eq!((&*answer.text, &*answer.refusal, &*answer.reasoning), ("Grüezi", "no", "hm"));
    assert_eq!((answer.sealed.len(), answer.logprobs, answer.opaque), (1, 1, vec!["annotation".to_owned()]));
    assert_eq!(answer.calls[0].2, r#"{"x":1}"#);
}

#[test]
fn f3_r1_r2_errors_inside_a_good_status() {
    let target = target("openai", "gpt-5", |_| ());
    for (event, cause) in [
        (
            r#"{"type":"error","sequence_number":2,"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You exceeded your current quota"}}"#,
            Cause::Credentials,
        ),
        (r#"{"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null}"#, Cause::RateLimited),
        (
            r#"{"type":"response.failed","response":{"object":"response","status":"failed","error":{"code":"server_error","message":"oops"}}}"#,
            Cause::Unavailable,
        ),
        (r#"{"type":"response.failed","response":{"object":"response","status":"failed","error":null}}"#, Cause::Broken),
    ] {
        let body = sse(&[CREATED, event]);
        let (events, fault) = read(&target, "text/event-stream", body.as_bytes(), 11);
        assert_eq!(fault.unwrap().cause, cause, "{event}");
        assert!(!events.iter().any(EventKind::is_content), "R1: response.created is no content");
    }
}

#[test]
fn r3_an_end_without_its_event_is_no_end() {
    let target = target("openai", "gpt-5", |_| ());
    let text = r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"half","logprobs":[]}"#;
    let (_, fault) = read(&target, "text/event-stream", sse(&[CREATED, text]).as_bytes(), 7);
    assert_eq!(fault.unwrap().cause, Cause::Broken);
    let (events, fault) = read(&target, "text/event-stream", sse(&[CREATED, text, COMPLETED]).as_bytes(), 7);
    assert_eq!((fault, fold(&events).finish), (None, vec![FinishReason::Stop]), "and needs no [DONE]");
    for status in ["queued", "in_progress", "cancelled"] {
        let body = format!(r#"{{"object":"response","status":"{status}","output":[]}}"#);
        assert_eq!(read(&target, "application/json", body.as_bytes(), 99).1.unwrap().cause, Cause::Broken, "{status}");
    }
}

#[test]
fn t5_incomplete_says_why() {
    let target = target("openai", "gpt-5", |_| ());
    for (reason, finish) in [("max_output_tokens", FinishReason::Length), ("content_filter", FinishReason::ContentFilter)] {
        let body = format!(r#"{{"object":"response","status":"incomplete","incomplete_details":{{"reason":"{reason}"}},"output":[]}}"#);
        assert_eq!(fold(&read(&target, "application/json", body.as_bytes(), 99).0).finish, [finish]);
    }
}
