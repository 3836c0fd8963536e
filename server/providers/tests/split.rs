//! S1, F2: any split of an answer's bytes gives the same events, and an answer cut short anywhere is told, never a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use headworks_core::{Batch, Catalog, DialectName, EventKind, Target};
use headworks_providers::{Head, catalog, dialect};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use proptest::prelude::*;

struct Sample {
    name: &'static str,
    dialect: DialectName,
    target: &'static str,
    kind: &'static str,
    body: &'static str,
}

const SAMPLES: [Sample; 7] = [
    Sample {
        name: "openai stream",
        dialect: DialectName::OpenAi,
        target: "openai/gpt-4o",
        kind: "text/event-stream",
        body: concat!(
            ": comment\r\n\r\ndata: {\"id\":\"a\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Grüezi \u{1F600}\"}}]}\n\n",
            "data:{\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\"\"}},{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}}]}\n\n",
            "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}},{\"index\":1,\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n",
            "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: {\"id\":\"a\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n"
        ),
    },
    Sample {
        name: "openai whole",
        dialect: DialectName::OpenAi,
        target: "openai/gpt-4o",
        kind: "application/json",
        body: "\n  {\"id\":\"a\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"é→\",\"reasoning_content\":\"hm\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}",
    },
    Sample {
        name: "anthropic stream",
        dialect: DialectName::Anthropic,
        target: "anthropic/claude-sonnet-4-5",
        kind: "text/event-stream",
        body: concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"EqQB\"}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web\",\"input\":{}}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"q\\\":1}\"}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"ü\\\":1}\"}}\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
        ),
    },
    Sample {
        name: "gemini stream",
        dialect: DialectName::Gemini,
        target: "google/gemini-2.5-flash",
        kind: "text/event-stream",
        body: concat!(
            "data: {\"responseId\":\"r\",\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Grü\"}]}}]}\r\n\r\n",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":1}},\"thoughtSignature\":\"c2ln\"},{\"functionCall\":{\"name\":\"g\"}}]}}]}\r\n\r\n",
            "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":7,\"candidatesTokenCount\":2,\"thoughtsTokenCount\":3}}\r\n\r\n"
        ),
    },
    Sample {
        name: "gemini array (F12)",
        dialect: DialectName::Gemini,
        target: "google/gemini-2.5-flash",
        kind: "application/json",
        body: "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a}\\\"{b\"}]}}]}\n,\r\n{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"c\"}]},\"finishReason\":\"MAX_TOKENS\"}],\"usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":1}}]",
    },
    Sample {
        name: "responses stream",
        dialect: DialectName::OpenAiResponses,
        target: "openai/gpt-5-pro",
        kind: "text/event-stream",
        body: concat!(
            "event: response.created\r\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\",\"created_at\":1,\"output\":[]}}\r\n\r\n",
            "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"rs\",\"summary\":[]}}\n\n",
            "data:{\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":0,\"summary_index\":0,\"delta\":\"hm→\"}\n\n",
            "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"rs\",\"summary\":[{\"text\":\"hm→\"}],\"encrypted_content\":\"gAAAAA\"}}\n\n: comment\n\n",
            "data: {\"type\":\"response.output_text.delta\",\"output_index\":1,\"content_index\":0,\"delta\":\"Grüezi \u{1F600}\",\"logprobs\":[]}\n\n",
            "data: {\"type\":\"response.output_item.added\",\"output_index\":2,\"item\":{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"\"}}\n\n",
            "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":2,\"delta\":\"{\\\"ü\\\":1}\"}\n\n",
            "data: {\"type\":\"response.output_item.done\",\"output_index\":2,\"item\":{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{\\\"ü\\\":1}\"}}\n\n",
            "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n"
        ),
    },
    Sample {
        name: "anthropic whole",
        dialect: DialectName::Anthropic,
        target: "anthropic/claude-sonnet-4-5",
        kind: "application/json",
        body: "{\"id\":\"m\",\"model\":\"c\",\"content\":[{\"type\":\"text\",\"text\":\"é\"},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"ü\":1}}],\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":5,\"output_tokens\":9}}",
    },
];

fn targets() -> Catalog {
    catalog::load(&BTreeMap::new(), &|_| None).unwrap()
}

/// The events of a body in these pieces, neighbours of one kind joined; and whether it ended well.
fn read(sample: &Sample, target: &Target, pieces: &[&[u8]]) -> (Vec<EventKind>, bool) {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(sample.kind));
    let head = Head { status: StatusCode::OK, headers: &headers };
    let mut decoder = dialect(sample.dialect).unwrap().decoder(target, &head);
    let mut batch = Batch::default();
    let good = pieces.iter().all(|piece| decoder.push(&Bytes::copy_from_slice(piece), &mut batch).is_ok()) && decoder.end(&mut batch).is_ok();
    (batch.events.into_iter().map(|event| event.kind).collect(), good)
}

#[test]
fn s1_every_split_and_every_truncation() {
    let catalog = targets();
    for sample in &SAMPLES {
        let target: Arc<Target> = catalog.target(sample.target).unwrap();
        let bytes = sample.body.as_bytes();
        let (whole, good) = read(sample, &target, &[bytes]);
        assert!(good && whole.len() > 3, "{}: {whole:?}", sample.name);
        for cut in 0..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read(sample, &target, &[head, tail]), (whole.clone(), true), "{} cut at {cut}", sample.name);
            // R3, F3: what ends early never ends well, unless only its good end is missing.
            let (events, good) = read(sample, &target, &[head]);
            let told_finish = events.iter().any(|event| matches!(event, EventKind::Finished(_)));
            assert!(!good || told_finish, "{} ended at {cut} as if it were whole", sample.name);
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(sample, &target, &single), (whole, true), "{} byte by byte", sample.name);
    }
}

#[test]
fn f1_tools_that_the_provider_runs_are_no_calls() {
    let catalog = targets();
    let sample = &SAMPLES[2];
    let (events, _) = read(sample, &catalog.target(sample.target).unwrap(), &[sample.body.as_bytes()]);
    let calls: Vec<_> = events.iter().filter(|event| matches!(event, EventKind::ToolCallStart { .. })).collect();
    let arguments: String =
        events.iter().filter_map(|e| if let EventKind::ToolCallArguments { piece, .. } = e { Some(piece.as_str()) } else { None }).collect();
    assert_eq!((calls.len(), arguments.as_str()), (1, "{\"ü\":1}"));
    assert!(events.contains(&EventKind::ReasoningSignature("EqQB".into())), "T2: an empty block's signature is kept");
}

#[test]
fn s1_white_space_before_a_body_is_nothing_however_it_is_cut() {
    let catalog = targets();
    for sample in &SAMPLES {
        // Without a type the form is told by the first byte.
        let sample = Sample { kind: "text/plain", body: sample.body.trim_start(), ..*sample };
        let target = catalog.target(sample.target).unwrap();
        let plain = read(&sample, &target, &[sample.body.as_bytes()]);
        let padded = [b" \r\n \t", sample.body.as_bytes()].concat();
        let single: Vec<&[u8]> = padded.chunks(1).collect();
        assert!(plain.1, "{}", sample.name);
        assert_eq!(read(&sample, &target, &[&padded]), plain, "{}", sample.name);
        assert_eq!(read(&sample, &target, &single), plain, "{} byte by byte", sample.name);
    }
}

#[test]
fn f3_bytes_that_are_no_text_are_an_error_also_where_nobody_reads_them() {
    let catalog = targets();
    // Dialects whose frames pass to clients as they came.
    for sample in SAMPLES.iter().filter(|s| matches!(s.dialect, DialectName::OpenAi | DialectName::Anthropic | DialectName::OpenAiResponses)) {
        let target = catalog.target(sample.target).unwrap();
        let at = sample.body.find('{').unwrap() + 1;
        let (head, tail) = sample.body.as_bytes().split_at(at);
        let bytes = [head, b"\"x_unknown\":\"\xb0\",", tail].concat();
        assert!(!read(sample, &target, &[&bytes]).1, "{}", sample.name);
    }
}

#[test]
fn t4_a_call_whose_end_was_not_told_ends_with_the_answer() {
    let catalog = targets();
    let sample = &SAMPLES[2];
    let body = sample.body.replace("{\"type\":\"content_block_stop\",\"index\":2}", "{\"type\":\"ping\"}");
    assert_ne!(body, sample.body);
    let (events, good) = read(sample, &catalog.target(sample.target).unwrap(), &[body.as_bytes()]);
    assert!(good);
    assert_eq!(events.iter().filter(|event| matches!(event, EventKind::ToolCallEnd { index: 0 })).count(), 1, "{events:?}");
    assert!(matches!(events.last(), Some(EventKind::Finished(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_at_all_never_panic(sample in 0usize..SAMPLES.len(), noise in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..400) {
        let catalog = targets_once();
        let sample = &SAMPLES[sample];
        let mut bytes = sample.body.as_bytes().to_vec();
        let at = at.min(bytes.len());
        bytes.splice(at..at, noise.iter().copied());
        let target = catalog.target(sample.target).unwrap();
        let (first, _) = read(sample, &target, &[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(7).collect();
        // Whatever is read of broken bytes is read the same however they are cut.
        let (second, _) = read(sample, &target, &single);
        prop_assert_eq!(first, second);
    }
}

fn targets_once() -> &'static Catalog {
    static ONCE: std::sync::OnceLock<Catalog> = std::sync::OnceLock::new();
    ONCE.get_or_init(targets)
}
