#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use futures_util::StreamExt;
use headworks_core::{ChatRequest, DialectName, Member, Original};
use headworks_policy::PolicyTarget;
use tower::ServiceExt;

use super::*;
use crate::{
    Config, StreamsConfig,
    testing::{Bench, Play},
};

const S: fn(u64) -> Duration = Duration::from_secs;
const HOUR: Duration = Duration::from_secs(3600);

fn bench() -> Bench {
    let bench = Bench::keeping(Config::default(), StreamsConfig::default());
    bench.play("a/m", &[Play::Word("good", 5)]);
    bench.play("b/m", &[Play::Word("other", 5)]);
    bench
}

fn within(age: Duration) -> impl Fn(&mut ChatRequest) {
    move |chat| chat.routing.response_cache = Some(age)
}

/// A10, G2: an answer given again has its tokens, costs nothing and says so, whole or streamed; the provider is not asked.
#[tokio::test(start_paused = true)]
async fn a10_an_answer_given_again_tells_its_tokens_costs_nothing_and_says_so() {
    let bench = bench();
    let (text, first) = bench.ask("a/m", &[], within(HOUR)).await.unwrap();
    assert_eq!((text.as_str(), bench.seen(), &first.cached), ("good", vec!["a/m".to_owned()], &None));
    tokio::time::advance(S(7)).await;
    for stream in [true, false] {
        let asked = |chat: &mut ChatRequest| {
            chat.stream = stream;
            chat.include_usage = stream;
            chat.routing.tags = vec!["another".into()];
            chat.routing.response_cache = Some(HOUR);
        };
        let (again, receipt) = bench.ask("a/m", &[], asked).await.unwrap();
        assert_eq!((again.as_str(), bench.seen()), ("good", vec![]), "nobody is asked");
        assert_eq!((receipt.tokens, receipt.cost, receipt.saved, receipt.cost_known), (first.tokens, NanoUsd(0), first.cost, true));
        let cached = receipt.cached.clone().unwrap();
        assert_eq!((cached.target.to_string(), cached.age, receipt.attempts.len()), ("a/m".to_owned(), S(7), 0));
        assert_ne!(receipt.request_id, first.request_id, "a call of its own");
    }
    let mut reply = bench.gateway.clone().oneshot(bench.request("x", "a/m", &[], within(HOUR))).await.unwrap();
    assert_eq!((reply.facts.lookup, reply.attempts, reply.served_by.to_string()), (Some(Lookup::Hit(S(7))), 0, "a/m".to_owned()));
    while reply.events.next().await.is_some() {}
    assert_eq!(bench.ledger.records.lock().len(), 4, "each is on record");
}

/// G2: whatever decides the answer makes it another call.
#[tokio::test(start_paused = true)]
async fn g2_what_decides_the_answer_tells_calls_apart() {
    let bench = bench();
    bench.ask("a/m", &[], within(HOUR)).await.unwrap();
    let others: [fn(&mut ChatRequest); 6] = [
        |chat| chat.sampling.temperature = Some(0.5),
        |chat| chat.sampling.max_tokens = Some(5),
        |chat| chat.messages.push(chat.messages[0].clone()),
        |chat| chat.messages[0].name = Some("me".into()),
        |chat| chat.parallel_tool_calls = Some(true),
        |chat| chat.user = Some("someone".into()),
    ];
    for (n, change) in others.into_iter().enumerate() {
        let ask = |chat: &mut ChatRequest| {
            change(chat);
            chat.routing.response_cache = Some(HOUR);
        };
        bench.ask("a/m", &[], ask).await.unwrap();
        assert_eq!(bench.seen(), ["a/m"], "{n}");
        bench.ask("a/m", &[], ask).await.unwrap();
        assert_eq!(bench.seen(), [""; 0], "{n}, asked again");
    }
    bench.pay(|key| key.id = "another".into());
    bench.ask("a/m", &[], within(HOUR)).await.unwrap();
    assert_eq!(bench.seen(), ["a/m"], "another key");
}

/// A body of which the conversation is this.
fn body(messages: &str, more: &str) -> Arc<Original> {
    let body = format!("{{\"messages\":{messages},{more}}}");
    let mut members = vec![Member { name: "messages".into(), key: 1..11, value: 12..12 + messages.len() }];
    let (name, _) = more.split_once(':').unwrap();
    let key = 13 + messages.len()..13 + messages.len() + name.len();
    members.push(Member { name: name.trim_matches('"').into(), value: key.end + 1..body.len() - 1, key });
    Arc::new(Original { dialect: DialectName::Anthropic, body: body.into(), members })
}

/// G2: what we have no word for reaches a target of the same dialect in the client's own body, and decides its answer too.
#[tokio::test(start_paused = true)]
async fn g2_bodies_that_say_something_else_in_words_we_do_not_know_are_other_calls() {
    let bench = bench();
    let table: [(&str, &str, &[&str]); 6] = [
        (r#"[{"x":1}]"#, r#""stream":true"#, &["a/m"]),
        (r#"[{"x":1}]"#, r#""stream":false"#, &[]),
        (r#"[{"x":1}]"#, r#""stream_options":{"include_usage":true}"#, &[]),
        (r#"[{"x":1}]"#, r#""headworks":{"tags":["t"]}"#, &[]),
        (r#"[{"x":2}]"#, r#""stream":true"#, &["a/m"]),
        (r#"[{"x":1}]"#, r#""verbosity":"low""#, &["a/m"]),
    ];
    for (messages, more, wanted) in table {
        let ask = |chat: &mut ChatRequest| {
            chat.original = Some(body(messages, more));
            chat.routing.response_cache = Some(HOUR);
        };
        bench.ask("a/m", &[], ask).await.unwrap();
        assert_eq!(bench.seen(), wanted, "{messages} {more}");
    }
    bench.ask("a/m", &[], within(HOUR)).await.unwrap();
    assert_eq!(bench.seen(), ["a/m"], "a typed call has no body");
}

#[tokio::test(start_paused = true)]
async fn an_answer_given_again_has_no_id_of_the_first_and_keeps_its_estimates() {
    let bench = bench();
    let started = EventKind::Started { id: Some("chatcmpl-1".into()), model: Some("m-1".into()), created: Some(7) };
    // It counts nothing: the gateway has to.
    bench.play("a/m", &[Play::Events(vec![started, EventKind::Text("good".into()), EventKind::Finished(headworks_core::FinishReason::Stop)], false)]);
    let (_, first) = bench.ask("a/m", &[], within(HOUR)).await.unwrap();
    let mut reply = bench.gateway.clone().oneshot(bench.request("x", "a/m", &[], within(HOUR))).await.unwrap();
    let mut events = Vec::new();
    while let Some(batch) = reply.events.next().await {
        events.extend(batch.unwrap().events.into_iter().map(|event| event.kind));
    }
    assert_eq!(events[0], EventKind::Started { id: None, model: Some("m-1".into()), created: Some(7) });
    let Some(EventKind::Receipt(receipt)) = events.last() else { panic!("{events:?}") };
    assert_eq!((receipt.cached.is_some(), receipt.estimated, first.estimated), (true, true, true));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_again_no_longer_than_both_calls_said_and_only_to_those_that_ask() {
    let bench = bench();
    bench.ask("a/m", &[], within(S(100))).await.unwrap();
    tokio::time::advance(S(50)).await;
    let table: [(Option<u64>, &[&str]); 4] = [(None, &["a/m"]), (Some(0), &["a/m"]), (Some(60), &[]), (Some(1000), &[])];
    for (age, wanted) in table {
        bench.ask("a/m", &[], |chat| chat.routing.response_cache = age.map(S)).await.unwrap();
        assert_eq!(bench.seen(), wanted, "{age:?}");
    }
    bench.ask("a/m", &[], within(S(40))).await.unwrap();
    assert_eq!(bench.seen(), ["a/m"], "too old for this one, which is kept in its place");
    tokio::time::advance(S(41)).await;
    bench.ask("a/m", &[], within(S(1000))).await.unwrap();
    assert_eq!(bench.seen(), ["a/m"], "kept for 40 seconds, as its call said");
}

/// A change of policy holds at once: an answer of a target that is none of it any more is not given again.
#[tokio::test(start_paused = true)]
async fn an_answer_of_a_target_that_the_call_may_not_go_to_is_not_given_again() {
    let bench = bench();
    bench.chain(&["a/m", "b/m"], |_| {});
    assert_eq!(bench.ask("policy/p", &[], within(HOUR)).await.unwrap().0, "good");
    assert_eq!(bench.ask("policy/p", &[], within(HOUR)).await.unwrap().1.cached.as_ref().map(|c| c.target.to_string()).as_deref(), Some("a/m"));
    bench.chain(&["b/m"], |policy| policy.rule = headworks_policy::Rule::Fallback(vec![PolicyTarget { model: "b/m".into(), ..PolicyTarget::default() }]));
    assert_eq!(bench.ask("policy/p", &[], within(HOUR)).await.unwrap().0, "other");
}

#[tokio::test(start_paused = true)]
async fn what_failed_broke_was_left_or_is_too_large_is_not_kept() {
    let bench = bench();
    for play in [Play::Fail(headworks_core::Cause::Rejected, None), Play::Break] {
        bench.play("a/m", &[play, Play::Word("good", 0)]);
        bench.ask("a/m", &[], within(HOUR)).await.unwrap_err();
        let (_, receipt) = bench
            .ask("a/m", &[], |chat| {
                chat.routing.response_cache = Some(HOUR);
                chat.sampling.seed = Some(1)
            })
            .await
            .unwrap();
        assert!(receipt.cached.is_none());
        bench.shared.answers.kept.as_ref().unwrap().clear();
    }
    // Two targets wrote it: neither's answer.
    bench.chain(&["a/m", "b/m"], |policy| policy.course.mid_stream = headworks_policy::MidStream::Continue);
    bench.play("a/m", &[Play::Events(vec![EventKind::Text("go".into())], true)]);
    bench.ask("policy/p", &[], within(HOUR)).await.unwrap();
    assert_eq!(bench.shared.answers.kept.as_ref().unwrap().len(), 0, "it went on at another target");
    // Vectors are counted as what they are.
    let mut batch = Batch::default();
    batch.push(EventKind::Embedded { index: 0, vector: headworks_core::Vector::Base64("A".repeat(10_000).as_str().into()) });
    assert!(size(&batch) > 10_000);
    bench.play("a/m", &[Play::Drip(50, 10)]);
    let mut reply = bench.gateway.clone().oneshot(bench.request("x", "a/m", &[], within(HOUR))).await.unwrap();
    reply.events.next().await;
    drop(reply);
    assert_eq!(bench.shared.answers.kept.as_ref().unwrap().len(), 0, "left");
    let small = Answers::new(AnswersConfig { max_bytes: 0, ..AnswersConfig::default() });
    let work: Work = ChatRequest { routing: headworks_core::Routing { response_cache: Some(HOUR), ..Default::default() }, ..ChatRequest::default() }.into();
    assert_eq!(small.asked(&work), None, "turned off");
    assert_eq!(Answers::new(AnswersConfig { max_age_s: 60, ..AnswersConfig::default() }).asked(&work), Some(S(60)), "cut to what the gateway allows");
}

#[tokio::test(start_paused = true)]
async fn answers_take_no_more_room_than_they_may() {
    let answers = Answers::new(AnswersConfig { max_bytes: 80_000, ..AnswersConfig::default() });
    let id = ModelId { provider: "a".into(), model: "m".into() };
    for n in 0..1_000u32 {
        let mut print = [0; 32];
        print[..4].copy_from_slice(&n.to_le_bytes());
        let answer = Answer {
            served_by: id.clone(),
            events: Vec::new(),
            tokens: Tokens::default(),
            cost: NanoUsd(1),
            made: Instant::now(),
            made_unix_nanos: 0,
            estimated: false,
            keep: HOUR,
            bytes: 1_000,
        };
        answers.keep(print, answer);
    }
    let kept = answers.kept.as_ref().unwrap();
    assert!(kept.weight() <= 80_000 && kept.len() > 40, "{} bytes, {} answers", kept.weight(), kept.len());
}
