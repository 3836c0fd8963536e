#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use std::sync::Arc;

use futures_util::StreamExt;
use headworks_core::{ChatRequest, EventKind, Fault, Inbound, Key, Message, MessageRole, Origin, Part, Reason, Reply};
use tower::ServiceExt;

use super::*;
use crate::{
    Config,
    testing::{Bench, Play},
};

fn bench() -> Bench {
    let bench = Bench::new(Config::default());
    bench.chain(&["a/m"], |_| {});
    bench
}

/// Begins a stream that can be resumed for so many seconds.
async fn begin(bench: &Bench, id: &str, window: u64, request_id: Option<&str>) -> Result<Reply, Fault> {
    let mut request = ChatRequest { model: "policy/p".into(), stream: true, ..ChatRequest::default() };
    request.messages.push(Message { role: MessageRole::User, parts: vec![Part::text("hi")], name: None, extra: vec![] });
    request.routing.resume_window = Some(Duration::from_secs(window));
    request.routing.request_id = request_id.map(Into::into);
    let inbound = Inbound { id: id.into(), credential: "x".into(), work: request.into(), deadline: None, origin: Origin::Grpc, traceparent: None, memo: None };
    bench.gateway.clone().oneshot(inbound).await
}

fn owner(id: &str) -> Tenant {
    Key { id: id.into(), ..Key::default() }
}

/// The words of the next so many events; of all if there are fewer.
async fn words(reply: &mut Reply, most: usize) -> Result<Vec<String>, Fault> {
    let mut words = Vec::new();
    while words.len() < most
        && let Some(batch) = reply.events.next().await
    {
        words.extend(batch?.events.iter().filter_map(|event| match &event.kind {
            EventKind::Text(text) => Some(text.trim().to_owned()),
            EventKind::Receipt(_) => Some("receipt".to_owned()),
            _ => None,
        }));
    }
    Ok(words)
}

async fn resume(bench: &Bench, id: &str) -> Result<Reply, Fault> {
    bench.shared.streams.resume(&owner("k"), id)?.reply.await
}

fn gone(bench: &Bench, key: &str, id: &str) -> bool {
    matches!(bench.shared.streams.resume(&owner(key), id), Err(fault) if fault.reason == Reason::StreamGone)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_in_time_reads_everything_once() {
    let bench = bench();
    bench.play("a/m", &[Play::Drip(6, 1_000)]);
    let mut reply = begin(&bench, "s", 10, None).await.unwrap();
    assert_eq!(words(&mut reply, 2).await.unwrap(), ["w1", "w2"]);
    drop(reply);
    // The upstream goes on meanwhile.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let mut again = resume(&bench, "s").await.unwrap();
    assert_eq!(words(&mut again, 4).await.unwrap(), ["w1", "w2", "w3", "w4"]);
    drop(again);
    // It ended while nobody read it, and is there for as long as the window lasts.
    tokio::time::sleep(Duration::from_millis(9_000)).await;
    let mut last = resume(&bench, "s").await.unwrap();
    assert_eq!(words(&mut last, 99).await.unwrap(), ["w1", "w2", "w3", "w4", "w5", "w6", "receipt"]);
    assert_eq!(bench.seen(), ["a/m"], "one call upstream");
    drop(last);
    tokio::time::sleep(Duration::from_millis(10_001)).await;
    assert!(gone(&bench, "k", "s"));
    assert_eq!((bench.shared.streams.len(), bench.shared.streams.bytes()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_call_ends_with_its_window() {
    let bench = bench();
    bench.play("a/m", &[Play::Drip(100, 1_000)]);
    let mut reply = begin(&bench, "s", 5, None).await.unwrap();
    words(&mut reply, 1).await.unwrap();
    drop(reply);
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert_eq!(bench.shared.running.len(), 1, "not over yet");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.shared.running.len(), 0, "nobody came back: the upstream was told to stop");
    assert!(gone(&bench, "k", "s"));
    assert_eq!(bench.shared.streams.bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_window_begins_anew_whenever_the_last_reader_leaves() {
    let bench = bench();
    bench.play("a/m", &[Play::Drip(100, 1_000)]);
    let reply = begin(&bench, "s", 5, None).await.unwrap();
    let other = resume(&bench, "s").await.unwrap();
    drop(reply);
    tokio::time::sleep(Duration::from_secs(20)).await;
    drop(other);
    tokio::time::sleep(Duration::from_secs(4)).await;
    drop(resume(&bench, "s").await.unwrap());
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!gone(&bench, "k", "s"), "four seconds after the last left, eight after the one before");
}

#[tokio::test(start_paused = true)]
async fn only_the_owner_may_resume_or_cancel() {
    let bench = bench();
    bench.play("a/m", &[Play::Drip(5, 1_000)]);
    let mut reply = begin(&bench, "s", 10, None).await.unwrap();
    assert!(gone(&bench, "other", "s") && gone(&bench, "k", "t"));
    assert_eq!(bench.shared.cancel(&owner("other"), "s").unwrap_err().reason, Reason::StreamGone);
    bench.shared.cancel(&owner("k"), "s").unwrap();
    assert_eq!(words(&mut reply, 99).await.unwrap_err().reason, Reason::Cancelled);
    let mut again = resume(&bench, "s").await.unwrap();
    assert_eq!(words(&mut again, 99).await.unwrap_err().reason, Reason::Cancelled, "who comes back is told the same");
    assert_eq!(bench.shared.cancel(&owner("k"), "s").unwrap_err().reason, Reason::StreamGone, "it is over");
}

#[tokio::test(start_paused = true)]
async fn without_a_window_the_call_ends_with_its_connection() {
    let bench = bench();
    bench.play("a/m", &[Play::Drip(100, 1_000)]);
    for window in [0, 1] {
        let shorter = Streams::new(StreamsConfig { max_window_s: window, ..StreamsConfig::default() });
        let mut chat = ChatRequest { stream: true, ..ChatRequest::default() };
        chat.routing.resume_window = Some(Duration::from_secs(9));
        assert_eq!(shorter.window(&chat.clone().into()), (window > 0).then_some(Duration::from_secs(1)), "cut to what the operator allows");
        chat.stream = false;
        assert_eq!(shorter.window(&chat.into()), None, "an answer in one piece has no middle");
    }
    let mut reply = begin(&bench, "s", 0, None).await.unwrap();
    words(&mut reply, 1).await.unwrap();
    drop(reply);
    assert!(bench.shared.running.is_empty() && gone(&bench, "k", "s"));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_id_joins_a_stream_whose_client_left() {
    let bench = bench();
    bench.play("a/m", &[Play::Drip(4, 1_000)]);
    let mut reply = begin(&bench, "s", 10, Some("r")).await.unwrap();
    words(&mut reply, 1).await.unwrap();
    drop(reply);
    let mut joined = begin(&bench, "t", 10, Some("r")).await.unwrap();
    assert_eq!(&*joined.request_id, "s");
    assert_eq!(words(&mut joined, 99).await.unwrap().len(), 5);
    assert_eq!(bench.seen(), ["a/m"], "never called twice");
    assert!(!gone(&bench, "k", "t"), "it can be resumed under its own name too");
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_content_leaves_nothing_to_resume() {
    let bench = bench();
    bench.play("a/m", &[Play::Fail(headworks_core::Cause::Unavailable, None)]);
    assert!(begin(&bench, "s", 10, None).await.is_err());
    tokio::task::yield_now().await;
    assert!(gone(&bench, "k", "s"));
    bench.play("a/m", &[Play::Break]);
    let mut reply = begin(&bench, "b", 10, None).await.unwrap();
    assert_eq!(words(&mut reply, 99).await.unwrap_err().reason, Reason::StreamBroken);
    let mut again = resume(&bench, "b").await.unwrap();
    assert_eq!(words(&mut again, 1).await.unwrap(), ["half"]);
    assert_eq!(words(&mut again, 1).await.unwrap_err().reason, Reason::StreamBroken);
}

/// A gateway whose streams hold this many bytes each, and together.
fn small(each: usize, all: usize) -> Bench {
    let bench = Bench::keeping(Config::default(), StreamsConfig { max_bytes_per_stream: each, max_bytes: all, ..StreamsConfig::default() });
    bench.chain(&["a/m"], |_| {});
    bench
}

#[tokio::test(start_paused = true)]
async fn a_stream_too_large_to_keep_is_delivered_but_not_resumed() {
    let bench = small(1_000, 1 << 20);
    bench.play("a/m", &[Play::Drip(100, 1_000)]);
    let mut reply = begin(&bench, "s", 10, None).await.unwrap();
    // The reader stops: so does the upstream, once the tape is full.
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(bench.shared.streams.bytes() < 2_000, "{} bytes", bench.shared.streams.bytes());
    let refused = resume(&bench, "s").await.unwrap_err();
    assert!(refused.reason == Reason::StreamGone && refused.message.contains("max_bytes_per_stream"), "{refused}");
    assert_eq!(words(&mut reply, 200).await.unwrap().len(), 101, "every word and the receipt");
    drop(reply);
    // One that nobody reads ends.
    let mut reply = begin(&bench, "t", 1_000, None).await.unwrap();
    words(&mut reply, 1).await.unwrap();
    drop(reply);
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(bench.shared.running.is_empty());
}

#[tokio::test(start_paused = true)]
async fn finished_streams_make_room_first() {
    let bench = small(1 << 20, 4_000);
    bench.play("a/m", &[Play::Drip(8, 10)]);
    for id in ["1", "2", "3"] {
        let mut reply = begin(&bench, id, 100, None).await.unwrap();
        assert_eq!(words(&mut reply, 99).await.unwrap().len(), 9);
        tokio::task::yield_now().await;
    }
    assert!(gone(&bench, "k", "1"), "the oldest is let go");
    assert!(!gone(&bench, "k", "3"));
    assert!(bench.shared.streams.bytes() <= 4_000);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_ends_streams_without_a_client_and_lets_others_finish() {
    let bench = bench();
    bench.play("a/m", &[Play::Drip(5, 1_000)]);
    let mut read = begin(&bench, "read", 100, None).await.unwrap();
    let left = begin(&bench, "left", 100, None).await.unwrap();
    drop(left);
    assert_eq!(bench.shared.running.len(), 2);
    bench.shared.draining.store(true, Ordering::Relaxed);
    bench.shared.streams.close();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(bench.shared.running.len(), 1, "nobody can come back to a gateway that stops");
    assert_eq!(words(&mut read, 99).await.unwrap().len(), 6);
    drop(read);
    assert!(bench.shared.streams.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_door_left_is_there_when_its_client_comes_back() {
    let bench = bench();
    bench.play("a/m", &[Play::Drip(2, 1_000)]);
    let mut request = ChatRequest { model: "policy/p".into(), stream: true, ..ChatRequest::default() };
    request.messages.push(Message { role: MessageRole::User, parts: vec![Part::text("hi")], name: None, extra: vec![] });
    request.routing.resume_window = Some(Duration::from_secs(9));
    let memo: headworks_core::Memo = Arc::new("a note".to_owned());
    let inbound =
        Inbound { id: "s".into(), credential: "x".into(), work: request.into(), deadline: None, origin: Origin::RestChat, traceparent: None, memo: Some(memo) };
    drop(bench.gateway.clone().oneshot(inbound).await.unwrap());
    let resumed = bench.shared.streams.resume(&owner("k"), "s").unwrap();
    assert_eq!(resumed.memo.unwrap().downcast_ref::<String>().unwrap(), "a note");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_to_its_end_is_kept_for_a_moment_only() {
    let bench = bench();
    bench.play("a/m", &[Play::Drip(2, 1_000)]);
    let mut read = begin(&bench, "read", 600, None).await.unwrap();
    let mut left = begin(&bench, "left", 600, None).await.unwrap();
    words(&mut read, 99).await.unwrap();
    words(&mut left, 1).await.unwrap();
    drop((read, left));
    // Its last words may not have arrived.
    tokio::time::sleep(READ - Duration::from_millis(1)).await;
    assert_eq!(bench.shared.streams.len(), 2);
    tokio::time::sleep(READ).await;
    assert_eq!(bench.shared.streams.len(), 1);
    assert!(!gone(&bench, "k", "left"));
}
