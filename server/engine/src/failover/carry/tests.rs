#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use std::time::Duration;

use futures_util::StreamExt;
use headworks_core::{ChatRequest, EventKind as E, FinishReason, Inbound, Message, MessageRole, Origin, Outcome, Output, Part, Tokens};

use super::*;
use crate::{
    Config,
    testing::{Bench, Play},
};

fn text(text: &str) -> E {
    E::Text(text.into())
}

fn usage(input: i64, output: i64) -> E {
    E::Usage { tokens: Tokens { input, output, ..Tokens::default() }, service_tier: None }
}

fn call(index: u32, id: &str) -> [E; 3] {
    let name = "look".into();
    [E::ToolCallStart { index, id: id.into(), name, signature: None }, E::ToolCallArguments { index, piece: "{}".into() }, E::ToolCallEnd { index }]
}

fn stop() -> E {
    E::Finished(FinishReason::Stop)
}

fn bench(models: &[&str], mid_stream: MidStream) -> Bench {
    let bench = Bench::new(Config::default());
    bench.chain(models, |policy| policy.course.mid_stream = mid_stream);
    bench
}

/// Calls and gives every event, and the fault that ended the stream, if one did.
async fn events(bench: &Bench, origin: Origin, change: impl FnOnce(&mut ChatRequest)) -> (Vec<E>, Option<Fault>) {
    use tower::ServiceExt;
    let mut request = ChatRequest { model: "policy/p".into(), stream: true, ..ChatRequest::default() };
    request.messages.push(Message { role: MessageRole::User, parts: vec![Part::text("hi")], name: None, extra: vec![] });
    change(&mut request);
    let inbound = Inbound { id: crate::request_id(), credential: "x".into(), work: request.into(), deadline: None, origin, traceparent: None, memo: None };
    let mut reply = bench.gateway.clone().oneshot(inbound).await.unwrap();
    let mut all = Vec::new();
    while let Some(next) = reply.events.next().await {
        match next {
            Ok(batch) => all.extend(batch.events.into_iter().map(|event| event.kind)),
            Err(fault) => return (all, Some(fault)),
        }
    }
    (all, None)
}

fn said(events: &[E]) -> String {
    events.iter().filter_map(|kind| if let E::Text(text) = kind { Some(text.as_str()) } else { None }).collect()
}

fn receipt(events: &[E]) -> &headworks_core::Receipt {
    match events.last() {
        Some(E::Receipt(receipt)) => receipt,
        other => panic!("no receipt but {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_target_goes_on_and_the_client_sees_one_answer() {
    let bench = bench(&["a/m", "b/m"], MidStream::Continue);
    bench.play("a/m", &[Play::Events(vec![text("The quick "), text("brown fo")], true)]);
    bench.play("b/m", &[Play::Events(vec![text("quick brown fo"), text("x jumps."), stop(), usage(30, 9)], false)]);
    let (all, fault) = events(&bench, Origin::RestChat, |_| {}).await;
    assert!(fault.is_none());
    assert_eq!(said(&all), "The quick brown fox jumps.");
    let told: Vec<_> = all.iter().filter_map(|e| if let E::Recovered { from, to } = e { Some((from.to_string(), to.to_string())) } else { None }).collect();
    assert_eq!(told, [("a/m".to_owned(), "b/m".to_owned())]);
    let receipt = receipt(&all);
    let outcomes: Vec<_> = receipt.attempts.iter().map(|a| (a.ordinal, a.target.to_string(), a.outcome)).collect();
    assert_eq!(outcomes, [(1, "a/m".to_owned(), Outcome::FailedPartial), (2, "b/m".to_owned(), Outcome::Success)], "the route names both");
    // What broke is estimated (18 bytes written), what ended is counted; both wrote the answer.
    assert_eq!((receipt.tokens.input, receipt.tokens.output, receipt.estimated), (1 + 30, 5 + 9, true));
    assert!(all.contains(&usage(31, 14)), "the client is told of both: {all:?}");
    let asked = bench.asked.lock();
    let told: Vec<_> = asked[1].messages.iter().map(|m| m.role).collect();
    assert_eq!(told, [MessageRole::User, MessageRole::Assistant, MessageRole::User]);
}

#[tokio::test(start_paused = true)]
async fn the_policy_decides() {
    for (choice, origin, text, ok) in [
        (MidStream::Fail, Origin::Grpc, "half", false),
        (MidStream::Continue, Origin::Grpc, "half whole", true),
        (MidStream::Restart, Origin::Grpc, "halfwhole", true),
        // No word for it at the REST doors.
        (MidStream::Restart, Origin::RestChat, "half", false),
    ] {
        let bench = bench(&["a/m", "b/m"], choice);
        bench.play("a/m", &[Play::Break]);
        bench.play("b/m", &[Play::Word("whole", 0)]);
        let (all, fault) = events(&bench, origin, |_| {}).await;
        assert_eq!((said(&all).as_str(), fault.is_none()), (text, ok), "{choice:?} at {origin:?}");
        if let Some(fault) = fault {
            assert_eq!(fault.reason, Reason::StreamBroken);
        }
        let restarted = all.iter().any(|e| matches!(e, E::Restarted { from, to } if &*from.provider == "a" && &*to.provider == "b"));
        assert_eq!(restarted, choice == MidStream::Restart && ok);
        if restarted {
            let receipt = receipt(&all);
            assert_eq!((receipt.attempts.len(), receipt.tokens.output), (2, 1 + 11), "what was discarded was sent too, and is counted with what was paid");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_tool_call_is_never_seen() {
    let bench = bench(&["a/m", "b/m"], MidStream::Continue);
    let [start, arguments, _] = call(0, "one");
    let whole = |id| call(0, id).into_iter().chain(call(1, "more")).chain([E::Finished(FinishReason::ToolCalls)]);
    bench.play("a/m", &[Play::Events(vec![text("Let me look. "), start, arguments], true)]);
    bench.play("b/m", &[Play::Events([text("Now")].into_iter().chain(whole("two")).collect(), false)]);
    let (all, fault) = events(&bench, Origin::RestMessages, |_| {}).await;
    assert!(fault.is_none());
    let calls: Vec<&str> = all.iter().filter_map(|e| if let E::ToolCallStart { id, .. } = e { Some(id.as_str()) } else { None }).collect();
    assert_eq!((said(&all).as_str(), calls), ("Let me look. Now", vec!["two", "more"]));
    // Calls come in order and whole, before the end, even where nothing breaks.
    let bench = self::bench(&["a/m"], MidStream::Continue);
    bench.play("a/m", &[Play::Events(whole("three").collect(), false)]);
    let (all, _) = events(&bench, Origin::RestMessages, |_| {}).await;
    assert_eq!(all[..all.len() - 1], whole("three").collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_go_on_the_client_is_told_of_the_break() {
    let bench = bench(&["a/m", "b/m"], MidStream::Continue);
    bench.play("a/m", &[Play::Break, Play::Fail(Cause::Unavailable, None)]);
    bench.play("b/m", &[Play::Fail(Cause::Unavailable, None)]);
    let (all, fault) = events(&bench, Origin::Grpc, |_| {}).await;
    let fault = fault.unwrap();
    assert_eq!((said(&all).as_str(), fault.reason, fault.attempts), ("half", Reason::StreamBroken, 3));
    assert_eq!(bench.seen(), ["a/m", "b/m", "a/m"], "the one that broke is asked last");
}

#[tokio::test(start_paused = true)]
async fn a_lone_target_is_asked_again_within_the_attempt_budget() {
    for (most, whole) in [(4, true), (1, false)] {
        let bench = Bench::new(Config::default());
        bench.chain(&["a/m"], |policy| (policy.course.mid_stream, policy.course.max_attempts) = (MidStream::Continue, Some(most)));
        bench.play("a/m", &[Play::Break, Play::Break, Play::Word("end", 0)]);
        let (all, fault) = events(&bench, Origin::Grpc, |_| {}).await;
        assert_eq!((said(&all).as_str(), fault.is_none()), if whole { ("half end", true) } else { ("half", false) }, "{most} attempts");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_a_break() {
    let bench = Bench::new(Config { between_tokens_timeout_ms: 500, ..Config::default() });
    bench.chain(&["a/m", "b/m"], |policy| policy.course.mid_stream = MidStream::Continue);
    bench.play("a/m", &[Play::Drip(3, 400), Play::Drip(9, 600)]);
    bench.play("b/m", &[Play::Word("w1 w2 w3", 0)]);
    let (all, _) = events(&bench, Origin::Grpc, |_| {}).await;
    assert_eq!((said(&all).as_str(), receipt(&all).attempts.len()), ("w1 w2 w3 ", 1));
    let (all, fault) = events(&bench, Origin::Grpc, |_| {}).await;
    assert!(fault.is_none());
    assert_eq!((said(&all).as_str(), receipt(&all).attempts.len()), ("w1 w2 w3", 2));
}

#[tokio::test(start_paused = true)]
async fn what_has_no_middle_is_not_gone_on_with() {
    type Change = fn(&mut ChatRequest);
    let changes: [Change; 2] = [|r| r.output = Output::Json, |r| r.sampling.n = Some(2)];
    for change in changes {
        let bench = bench(&["a/m", "b/m"], MidStream::Continue);
        bench.play("a/m", &[Play::Break]);
        bench.play("b/m", &[Play::Word("whole", 0)]);
        let (_, fault) = events(&bench, Origin::Grpc, change).await;
        assert_eq!((fault.unwrap().reason, bench.seen()), (Reason::StreamBroken, vec!["a/m".to_owned()]));
    }
    let bench = bench(&["a/m", "b/m"], MidStream::Continue);
    bench.play("a/m", &[Play::Events(vec![text("all"), stop()], true)]);
    let (all, fault) = events(&bench, Origin::Grpc, |_| {}).await;
    assert_eq!((said(&all).as_str(), fault.is_some()), ("all", true), "it had ended: nobody has anything to add");
}

#[tokio::test(start_paused = true)]
async fn of_a_thought_in_two_halves_no_signature_is_passed_on() {
    let bench = bench(&["a/m", "b/m"], MidStream::Continue);
    let thought = |t: &str| E::Reasoning(t.into());
    bench.play("a/m", &[Play::Events(vec![thought("hm")], true)]);
    let whole = || Play::Events(vec![thought("well"), E::ReasoningSignature("sig".into()), text("So be it."), stop()], false);
    bench.play("b/m", &[whole()]);
    let (all, _) = events(&bench, Origin::Grpc, |_| {}).await;
    assert!(all.contains(&thought("hm")) && all.contains(&thought("well")) && !all.iter().any(|e| matches!(e, E::ReasoningSignature(_))), "{all:?}");
    assert_eq!(said(&all), "So be it.");
    let bench = self::bench(&["a/m", "b/m"], MidStream::Continue);
    bench.play("a/m", &[Play::Events(vec![text("So")], true)]);
    bench.play("b/m", &[whole()]);
    let (all, _) = events(&bench, Origin::Grpc, |_| {}).await;
    assert!(!all.iter().any(|e| matches!(e, E::Reasoning(_) | E::ReasoningSignature(_))), "text was there already: {all:?}");
    assert_eq!(said(&all), "So be it.");
}

#[tokio::test(start_paused = true)]
async fn each_attempt_holds_and_settles_and_the_call_can_be_cancelled_between_them() {
    let bench = bench(&["a/m", "b/m"], MidStream::Continue);
    bench.play("a/m", &[Play::Break]);
    bench.play("b/m", &[Play::Hang]);
    let stream = events(&bench, Origin::Grpc, |_| {});
    let gone = tokio::time::timeout(Duration::from_millis(50), stream).await;
    assert!(gone.is_err(), "it waits for the second target");
    assert!(bench.shared.running.is_empty(), "and ends with its client");
    assert_eq!(bench.seen(), ["a/m", "b/m"]);
}
