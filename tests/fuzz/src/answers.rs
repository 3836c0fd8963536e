//! Bytes as a host's answer.

use std::collections::{BTreeMap, BTreeSet};

use headworks_core::{DialectName, Event, EventKind, FinishReason, Target};
use headworks_providers::{Dialect, Head, dialect};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::{
    LONGEST, chosen,
    hosts::{self, Read, TARGETS, codec, open, read, target},
};

/// Bytes as an answer of one host. The first byte says in what pieces they come, the second of what kind they are.
pub fn answer(id: &str, data: &[u8]) {
    if let Some((size, kind, bytes)) = chosen(data) {
        let target = target(id);
        check(codec(&target), &target, size + 1, kind, bytes);
    }
}

/// Bytes as an answer of OpenAI's Responses.
pub fn responses(data: &[u8]) {
    if let Some((size, kind, bytes)) = chosen(data) {
        check(dialect(DialectName::OpenAiResponses).expect("a codec"), &target("openai/gpt-5-pro"), size + 1, kind, bytes);
    }
}

/// Bytes as an answer of any host, or as a count of tokens; the second byte chooses among both.
pub fn any_host(data: &[u8]) {
    let Some((size, choice, bytes)) = chosen(data) else { return };
    let (at, kind) = (choice / (hosts::MANY + 1), choice % (hosts::MANY + 1));
    let target = target(TARGETS[at % TARGETS.len()]);
    if kind < hosts::MANY {
        return check(codec(&target), &target, size + 1, kind, bytes);
    }
    let count = |size: usize| read(open("application/json", |head| codec(&target).count_decoder(&target, head)), bytes, size);
    let whole = count(LONGEST);
    assert_eq!(whole, count(size + 1));
    let counted = |event: &Event| matches!(event.kind, EventKind::Counted { tokens: 0.., .. });
    assert!(whole.fault.is_some() || whole.events().any(counted), "a count that counts nothing: {whole:?}");
}

fn check(codec: &dyn Dialect, target: &Target, size: usize, kind: usize, bytes: &[u8]) {
    let (kind, body) = hosts::body(codec.name(), kind, bytes);
    let whole = read(open(kind, |head| codec.decoder(target, head)), &body, LONGEST * 4);
    let cut = read(open(kind, |head| codec.decoder(target, head)), &body, size);
    // S1, F2: however the bytes are cut.
    assert_eq!(whole, cut, "in pieces of {size}");
    keeps_the_rules(&whole);
    as_an_error(codec, target, size, bytes);
}

/// Text, calls and ends as every reader of events relies on them.
fn keeps_the_rules(read: &Read) {
    let mut ids = BTreeSet::new();
    // Calls begun and ended, why the choice ended, and whether more came behind that.
    let mut choices: BTreeMap<u16, (u32, BTreeSet<u32>, Option<FinishReason>, bool)> = BTreeMap::new();
    let events: Vec<&Event> = read.events().collect();
    for event in &events {
        let (calls, ended, finish, late) = choices.entry(event.choice).or_default();
        *late |= finish.is_some() && event.kind.is_content();
        match &event.kind {
            // F6: 0, 1, 2, ... with ids of their own.
            EventKind::ToolCallStart { index, id, .. } => {
                assert_eq!(*index, *calls, "{events:?}");
                assert!(!id.is_empty() && ids.insert((event.choice, id.to_string())), "an id twice: {events:?}");
                *calls += 1;
            }
            EventKind::ToolCallArguments { index, .. } => assert!(*index < *calls && !ended.contains(index), "arguments of no open call: {events:?}"),
            EventKind::ToolCallEnd { index } => assert!(*index < *calls && ended.insert(*index), "an end of no open call: {events:?}"),
            // F4: counts are never negative.
            EventKind::Usage { tokens: t, .. } => {
                let kinds = [t.input, t.cache_read, t.cache_write_5m, t.cache_write_1h, t.cache_write_12h, t.input_audio, t.cache_read_audio];
                assert!(kinds.iter().chain(&[t.input_image, t.output, t.reasoning, t.output_audio, t.output_image]).all(|n| *n >= 0), "{t:?}");
                // Anybody may add them up.
                let _ = (t.prompt() + t.completion(), t.cache_write());
            }
            EventKind::Finished(reason) => *finish = Some(*reason),
            _ => {}
        }
    }
    if read.fault.is_none() {
        // R3, F3: nothing ends well that did not say so.
        assert!(choices.values().any(|choice| choice.2.is_some()), "a good end that nobody told: {events:?}");
        for (calls, ended, finish, _) in choices.values().filter(|choice| !choice.3) {
            assert_eq!(ended.len(), *calls as usize, "calls without an end: {events:?}");
            // T5: calls to run, and only they, make an answer end for them.
            match finish {
                Some(FinishReason::ToolCalls) => assert!(*calls > 0, "no calls to run: {events:?}"),
                Some(FinishReason::Stop) => assert_eq!(*calls, 0, "calls that nobody is told of: {events:?}"),
                _ => {}
            }
        }
    }
}

/// The same bytes as an answer that is an error: its status is kept, and no secret or endless wait comes of it.
fn as_an_error(codec: &dyn Dialect, target: &Target, choice: usize, bytes: &[u8]) {
    const STATUSES: [u16; 14] = [400, 401, 402, 403, 404, 408, 409, 410, 413, 422, 429, 500, 503, 529];
    let status = STATUSES[choice % STATUSES.len()];
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(&bytes[..bytes.len().min(40)]) {
        for name in ["retry-after", "retry-after-ms", "date", "x-amzn-errortype"] {
            headers.insert(name, value.clone());
        }
    }
    let head = Head { status: StatusCode::from_u16(status).expect("a status"), headers: &headers };
    let fault = codec.fault(target, &head, bytes);
    assert_eq!(fault.upstream.as_ref().map(|said| said.status), Some(status));
    assert!(fault.retry_after.is_none_or(|wait| wait.as_secs() <= 31 * 86_400), "{:?}", fault.retry_after);
}
