use headworks_core::{Cause, FinishReason, Target, Tokens};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Answer, fold, read};
use crate::testing;

const JSON: &str = "application/json; charset=UTF-8";
const SSE: &str = "text/event-stream";

fn target() -> Target {
    testing::target("gemini", "gemini-3-pro", |_| ())
}

fn chunk(parts: Value, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({"candidates": [candidate], "modelVersion": "gemini-3-pro-001", "responseId": "r-1_x",
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 15, "serviceTier": "standard"}})
}

fn sse(chunks: &[Value]) -> String {
    chunks.iter().map(|c| format!("data: {c}\r\n\r\n")).collect()
}

fn array(chunks: &[Value]) -> String {
    let items: Vec<String> = chunks.iter().map(|c| serde_json::to_string_pretty(c).unwrap()).collect();
    format!("\n [{}\n]\n", items.join(",\r\n"))
}

/// A turn of thought, text and two calls, in the pieces that Gemini sends.
fn turn() -> Vec<Value> {
    vec![
        chunk(json!([{"text": "Let me ", "thought": true}]), None),
        chunk(json!([{"text": "look.", "thought": true}]), None),
        chunk(json!([{"text": "Grüezi 😀 \"}{[\\"}]), None),
        chunk(json!([{"functionCall": {"name": "f", "args": {"city": "Zü \\\" \n rich", "n": 1.50}}, "thoughtSignature": "c2lnbmVk"}]), None),
        chunk(json!([{"functionCall": {"name": "f", "args": {"city": "Bern"}, "id": "own"}}]), None),
        chunk(json!([{"text": "", "thoughtSignature": "dGFpbA=="}]), Some("STOP")),
    ]
}

fn wanted() -> Answer {
    let call = |id: &str, args: &str, signature: Option<&str>| (id.to_owned(), "f".to_owned(), args.to_owned(), signature.map(str::to_owned));
    Answer {
        text: "Grüezi 😀 \"}{[\\".to_owned(),
        reasoning: "Let me look.".to_owned(),
        calls: vec![call("call_r1x_0_0", r#"{"city":"Zü \\\" \n rich","n":1.5}"#, Some("c2lnbmVk")), call("own", r#"{"city":"Bern"}"#, None)],
        signatures: vec!["dGFpbA==".to_owned()],
        finish: vec![FinishReason::ToolCalls],
        tokens: Some(Tokens { input: 10, output: 5, reasoning: 2, ..Tokens::default() }),
        tier: Some("default".to_owned()),
        model: Some("gemini-3-pro-001".to_owned()),
        ..Answer::default()
    }
}

#[test]
fn f12_f11_t4_t5_sse_array_and_whole_answer_agree() {
    let pieces = turn();
    let parts: Vec<Value> = pieces.iter().flat_map(|c| c["candidates"][0]["content"]["parts"].as_array().unwrap().clone()).collect();
    let whole = chunk(json!(parts), Some("STOP")).to_string();
    for (kind, body) in [
        (SSE, sse(&pieces)),
        (JSON, array(&pieces)),
        (JSON, whole.clone()),
        ("", sse(&pieces)),
        (JSON, format!("\n  {whole}\n")),
        (SSE, sse(&pieces).trim_end().to_owned()),
        (SSE, format!(": hello\n\n{}data: [DONE]\n\n", sse(&pieces))),
    ] {
        assert_eq!(fold(&read(&target(), kind, body.as_bytes(), 1 << 20).unwrap(), 0), wanted(), "{kind}");
    }
}

#[test]
fn s1_one_byte_at_a_time_gives_the_same_events() {
    for (kind, body) in [(SSE, sse(&turn())), (JSON, array(&turn()))] {
        let whole = read(&target(), kind, body.as_bytes(), 1 << 20).unwrap();
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(read(&target(), kind, body.as_bytes(), size).unwrap(), whole, "{kind} in pieces of {size}");
        }
    }
}

proptest! {
    #[test]
    fn s1_no_text_can_confuse_the_array_parser(texts in proptest::collection::vec("[\\PC\"\\\\{}\\[\\]]{0,20}", 1..5), size in 1usize..40) {
        let chunks: Vec<Value> = texts.iter().map(|t| chunk(json!([{"text": t}]), Some("STOP"))).collect();
        for (kind, body) in [(JSON, array(&chunks)), (SSE, sse(&chunks))] {
            let got = fold(&read(&target(), kind, body.as_bytes(), size).unwrap(), 0);
            prop_assert_eq!(got.text, texts.concat());
        }
    }

    #[test]
    fn no_bytes_can_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..2000) {
        let _ = read(&target(), JSON, &bytes, 7);
        let _ = read(&target(), SSE, &bytes, 7);
        let body = sse(&turn());
        let cut = body.as_bytes().get(..at.min(body.len())).unwrap();
        let _ = read(&target(), SSE, cut, 64);
    }
}

#[test]
fn r3_an_answer_that_stops_early_is_broken() {
    let pieces = turn();
    let cut = &pieces[..5];
    let text = array(&pieces);
    for (kind, body) in [
        (SSE, sse(cut)),
        (JSON, array(cut)),
        (JSON, text.get(..text.len() / 2).unwrap_or_default().to_owned()),
        (JSON, String::new()),
        (SSE, String::new()),
        (JSON, "[]".to_owned()),
        (JSON, "{}".to_owned()),
        (JSON, "{\"candidates\":[".to_owned()),
    ] {
        let (fault, _) = *read(&target(), kind, body.as_bytes(), 64).unwrap_err();
        assert_eq!(fault.cause, Cause::Broken, "{kind} {body:.40}");
    }
    // The reason to stop is enough: there is no [DONE].
    assert!(read(&target(), SSE, sse(&pieces).as_bytes(), 64).is_ok());
}

#[test]
fn f3_r1_errors_inside_an_answer_are_told() {
    let error = json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    let first = sse(&turn()[..2]);
    for (kind, body) in [
        (SSE, format!("{first}data: {error}\n\n")),
        (SSE, format!("{first}data: [{error}]\n\n")),
        // Google breaks off with a bare object, pretty printed.
        (SSE, format!("{first}{}\n", serde_json::to_string_pretty(&error).unwrap())),
        (SSE, format!("{}[{error}]\n", "data: {\"candidates\":[]}\r\n\r\n".repeat(4000))),
        (JSON, format!("[{error}]")),
        (JSON, array(&[turn()[0].clone(), error.clone()])),
        (JSON, error.to_string()),
    ] {
        for size in [1 << 20, 5] {
            let (fault, _) = *read(&target(), kind, body.as_bytes(), size).unwrap_err();
            assert_eq!(fault.cause, Cause::Unavailable, "{kind} {body:.60}");
            assert_eq!(fault.upstream.unwrap().status, 503);
        }
    }
    // Text that speaks of errors is text.
    let talk = sse(&[chunk(json!([{"text": "\n{\"error\": {\"code\": 1}}\n"}]), Some("STOP"))]);
    assert_eq!(fold(&read(&target(), SSE, talk.as_bytes(), 9).unwrap(), 0).text, "\n{\"error\": {\"code\": 1}}\n");
}

#[test]
fn f5_what_is_missing_or_odd_never_fails_an_answer() {
    let table = [
        (json!({"candidates": [{"finishReason": "STOP"}]}), FinishReason::Stop),
        (json!({"candidates": [{"content": {}, "finishReason": "MAX_TOKENS"}]}), FinishReason::Length),
        (json!({"candidates": [{"content": null, "index": null, "finishReason": 1}]}), FinishReason::Stop),
        (json!({"candidates": [{"content": {"parts": null}}], "usageMetadata": null}), FinishReason::Stop),
        (
            json!({"candidates": [{"content": {"parts": [null, 7, {"new": {}}]}, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": "x"}}),
            FinishReason::Stop,
        ),
        (json!({"candidates": [{"finishReason": "STOP"}], "modelVersion": 3, "responseId": null, "promptFeedback": {}}), FinishReason::Stop),
        (json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}, "finishReason": "STOP"}]}), FinishReason::ToolCalls),
    ];
    for (body, finish) in table {
        let got = fold(&read(&target(), JSON, body.to_string().as_bytes(), 16).unwrap(), 0);
        assert_eq!(got.finish, [finish], "{body}");
        assert_eq!(got.tokens, None, "F4: counts are never invented");
        assert!(got.calls.iter().all(|c| c.2 == "{}"));
    }
}

#[test]
fn t5_f8_reasons_to_stop() {
    for (word, text, call) in [
        ("STOP", FinishReason::Stop, FinishReason::ToolCalls),
        ("MAX_TOKENS", FinishReason::Length, FinishReason::Length),
        ("SAFETY", FinishReason::ContentFilter, FinishReason::ContentFilter),
        ("RECITATION", FinishReason::ContentFilter, FinishReason::ContentFilter),
        ("BLOCKLIST", FinishReason::ContentFilter, FinishReason::ContentFilter),
        ("PROHIBITED_CONTENT", FinishReason::ContentFilter, FinishReason::ContentFilter),
        ("SPII", FinishReason::ContentFilter, FinishReason::ContentFilter),
        ("IMAGE_SAFETY", FinishReason::ContentFilter, FinishReason::ContentFilter),
        ("MALFORMED_FUNCTION_CALL", FinishReason::Error, FinishReason::Error),
        ("OTHER", FinishReason::Error, FinishReason::Error),
        ("SOMETHING_NEW", FinishReason::Error, FinishReason::Error),
    ] {
        let body = sse(&[chunk(json!([{"text": "a"}]), None), chunk(json!([]), Some(word))]);
        assert_eq!(fold(&read(&target(), SSE, body.as_bytes(), 64).unwrap(), 0).finish, [text], "{word}");
        // The terminal chunk carries no call.
        let body = sse(&[chunk(json!([{"functionCall": {"name": "f", "args": {}}}]), None), chunk(json!([]), Some(word))]);
        assert_eq!(fold(&read(&target(), SSE, body.as_bytes(), 64).unwrap(), 0).finish, [call], "{word}");
    }
}

#[test]
fn a_refused_prompt_ends_by_its_filter() {
    for body in [
        json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}),
        json!({"promptFeedback": {"blockReason": 1}, "candidates": []}),
        json!({"promptFeedback": {"blockReasonMessage": "no"}}),
    ] {
        for (kind, text) in [(JSON, body.to_string()), (SSE, sse(std::slice::from_ref(&body)))] {
            let got = fold(&read(&target(), kind, text.as_bytes(), 64).unwrap(), 0);
            assert_eq!((got.finish, got.text), (vec![FinishReason::ContentFilter], String::new()), "{body}");
        }
    }
}

#[test]
fn a3_a5_f4_tokens_are_disjoint_and_the_last_report_wins() {
    let first = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": {"promptTokenCount": 90, "totalTokenCount": 90, "trafficType": "ON_DEMAND_FLEX"}});
    let last = json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {
        "promptTokenCount": 1000, "cachedContentTokenCount": 400, "toolUsePromptTokenCount": 50, "candidatesTokenCount": 70, "thoughtsTokenCount": 30,
        "totalTokenCount": 1150, "trafficType": "ON_DEMAND_FLEX",
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 600}, {"modality": "AUDIO", "tokenCount": 250}, {"modality": 2, "tokenCount": 150}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 300}, {"modality": "AUDIO", "tokenCount": 100}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 20}, {"modality": "TEXT", "tokenCount": 50}]}});
    let got = fold(&read(&target(), SSE, sse(&[first, last]).as_bytes(), 64).unwrap(), 0);
    let tokens = got.tokens.unwrap();
    let wanted = Tokens {
        input: 350,
        input_audio: 150,
        input_image: 150,
        cache_read: 300,
        cache_read_audio: 100,
        output: 80,
        reasoning: 30,
        output_image: 20,
        ..Tokens::default()
    };
    assert_eq!(tokens, wanted);
    assert_eq!(tokens.prompt() + tokens.completion(), 1150, "prompt and completion are the total");
    assert_eq!(got.tier.as_deref(), Some("flex"), "A6: the tier that served");
    // Nonsense stays within bounds.
    let odd = json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 5, "cachedContentTokenCount": 9, "candidatesTokenCount": -3,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 99}]}});
    let tokens = fold(&read(&target(), JSON, odd.to_string().as_bytes(), 64).unwrap(), 0).tokens.unwrap();
    assert_eq!((tokens.prompt(), tokens.completion(), tokens.input), (5, 0, 0));
}

#[test]
fn f1_what_google_runs_itself_is_no_call() {
    let parts = json!([
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "x", "args": {"queries": ["q"]}}, "thoughtSignature": "AAAA"},
        {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "id": "x"}},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"text": "1"}
    ]);
    let mut body = chunk(parts, Some("STOP"));
    body["candidates"][0]["groundingMetadata"] = json!({"webSearchQueries": ["q"]});
    body["candidates"][0]["citationMetadata"] = json!({"citationSources": []});
    let got = fold(&read(&target(), JSON, body.to_string().as_bytes(), 64).unwrap(), 0);
    assert_eq!((got.hosted, got.calls.len(), got.finish), (4, 0, vec![FinishReason::Stop]));
    assert_eq!(got.opaque, ["inlineData", "groundingMetadata", "citationMetadata"]);
    assert_eq!((got.text.as_str(), got.signatures.len()), ("1", 0));
}

#[test]
fn f6_candidates_are_choices_and_ids_are_unique() {
    let call = json!({"functionCall": {"name": "f", "args": {}, "id": "same"}});
    let both = |finish: Value| {
        json!({"candidates": [
            {"index": 1, "content": {"parts": [call, {"text": "b"}]}, "finishReason": finish},
            {"index": 0, "content": {"parts": [call, call]}, "finishReason": finish}]})
    };
    let events = read(&target(), SSE, sse(&[both(json!(null)), both(json!("STOP"))]).as_bytes(), 64).unwrap();
    let (zero, one) = (fold(&events, 0), fold(&events, 1));
    assert_eq!((zero.calls.len(), one.calls.len(), one.text.as_str()), (4, 2, "bb"));
    let mut ids: Vec<&String> = zero.calls.iter().chain(&one.calls).map(|c| &c.0).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
    assert_eq!((zero.finish, one.finish), (vec![FinishReason::ToolCalls], vec![FinishReason::ToolCalls]));
    // One of two that never ended.
    let half = json!({"candidates": [{"index": 0, "finishReason": "STOP"}, {"index": 1, "content": {"parts": [{"text": "b"}]}}]});
    assert_eq!(read(&target(), SSE, sse(&[half]).as_bytes(), 64).unwrap_err().0.cause, Cause::Broken);
    // Numbers that would fill the memory.
    let far = json!({"candidates": [{"index": 65000, "finishReason": "STOP"}]}).to_string();
    assert_eq!(read(&target(), JSON, far.as_bytes(), 64).unwrap_err().0.cause, Cause::Garbled);
}

#[test]
fn made_up_ids_differ_between_answers() {
    let id = |text: &str| {
        let body = json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": text, "args": {}}}]}, "finishReason": "STOP"}]}).to_string();
        fold(&read(&target(), JSON, body.as_bytes(), 64).unwrap(), 0).calls[0].0.clone()
    };
    assert_ne!(id("a"), id("b"));
}

#[test]
fn logprobs_arrive_in_openais_form() {
    let mut body = chunk(json!([{"text": "é"}]), Some("STOP"));
    body["candidates"][0]["logprobsResult"] = json!({
        "chosenCandidates": [{"token": "é", "tokenId": 5, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "e", "logProbability": -1.25}]}]});
    let got = fold(&read(&target(), JSON, body.to_string().as_bytes(), 64).unwrap(), 0);
    let said: Value = serde_json::from_str(&got.logprobs[0]).unwrap();
    assert_eq!(
        said,
        json!({"content": [{"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": [
            {"token": "é", "logprob": -0.5, "bytes": [195, 169]}, {"token": "e", "logprob": -1.25, "bytes": [101]}]}], "refusal": null})
    );
}
