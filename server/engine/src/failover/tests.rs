#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use headworks_core::Limit;
use headworks_policy::{AllDown, Limits, PolicyTarget, Rule};

use super::*;
use crate::{
    Config,
    testing::{Bench, LATE, Play},
};
use headworks_core::ChatRequest;

const S: fn(u64) -> Duration = Duration::from_secs;

#[tokio::test(start_paused = true)]
async fn r4_three_ways_to_fail_then_a_good_one_and_all_three_rest() {
    let bench = Bench::new(Config::default());
    bench.play("a/m", &[Play::Fail(Cause::Connect, None)]);
    bench.play("b/m", &[Play::Fail(Cause::RateLimited, Some(7_000))]);
    bench.play("c/m", &[Play::Fail(LATE, None)]);
    bench.play("d/m", &[Play::Word("good", 0)]);
    let (text, receipt) = bench.call("a/m", &["b/m", "c/m", "d/m"]).await.unwrap();
    assert_eq!(text, "good", "nothing of the failed ones");
    assert_eq!(receipt.attempts.iter().map(|a| a.ordinal).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(receipt.attempts[3].reason.is_none() && receipt.attempts[..3].iter().all(|a| a.reason.is_some()));
    assert_eq!(["a/m", "b/m", "c/m", "d/m"].map(|t| bench.rest(t)), [S(1), S(7), S(1), S(0)]);
    // R8: the very next pick leaves all three out.
    bench.call("a/m", &["b/m", "c/m", "d/m"]).await.unwrap();
    assert_eq!(bench.seen(), ["d/m"]);
}

#[tokio::test(start_paused = true)]
async fn r5_what_each_failure_leads_to() {
    let table = [
        (Cause::Connect, true, S(1)),
        (Cause::Timeout(Limit::FirstToken), true, S(1)),
        (Cause::Unavailable, true, S(1)),
        (Cause::RateLimited, true, S(1)),
        (Cause::Credentials, true, S(60)),
        (Cause::ModelMissing, true, S(60)),
        (Cause::Broken, true, S(1)),
        (Cause::Garbled, true, S(1)),
        (Cause::Unfit, true, S(0)),
        (Cause::ContextTooLong, true, S(0)),
        (Cause::Rejected, false, S(0)),
        (Cause::ContentPolicy, false, S(0)),
    ];
    for (cause, next, rest) in table {
        let bench = Bench::new(Config::default());
        bench.play("a/m", &[Play::Fail(cause, None)]);
        bench.play("b/big", &[Play::Word("good", 0)]);
        let got = bench.call("a/m", &["b/big"]).await;
        assert_eq!((got.is_ok(), bench.rest("a/m")), (next, rest), "{cause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn r5_too_long_an_input_goes_to_larger_contexts_alone_and_content_refusals_where_the_policy_says() {
    let bench = Bench::new(Config::default());
    bench.play("a/m", &[Play::Fail(Cause::ContextTooLong, None)]);
    bench.play("c/big", &[Play::Word("good", 0)]);
    let (_, receipt) = bench.call("a/m", &["b/m", "c/big"]).await.unwrap();
    assert_eq!(bench.seen(), ["a/m", "c/big"]);
    assert_eq!((&*receipt.skipped[0].target.provider, receipt.skipped[0].reason), ("b", Reason::ContextTooLong));
    bench.play("a/m", &[Play::Fail(Cause::ContentPolicy, None)]);
    for (past, good) in [(false, false), (true, true)] {
        bench.chain(&["a/m", "c/big"], |p| p.course.past_content_policy = past);
        assert_eq!(bench.call("policy/p", &[]).await.is_ok(), good);
    }
}

#[tokio::test(start_paused = true)]
async fn r6_the_budget_counts_every_attempt_retries_included() {
    let bench = Bench::new(Config { max_attempts: 4, retries_per_target: 2, breaker_failures: 100, ..Config::default() });
    for target in ["a/m", "b/m", "c/m"] {
        bench.play(target, &[Play::Fail(Cause::Unavailable, None)]);
    }
    let fault = bench.call("a/m", &["b/m", "c/m"]).await.unwrap_err();
    assert_eq!((bench.seen(), fault.attempts), (["a/m", "a/m", "a/m", "b/m"].map(str::to_owned).to_vec(), 4));
    // The policy's own numbers hold instead.
    bench.chain(&["c/m", "d/m"], |p| {
        p.course.max_attempts = Some(3);
        p.course.retries = Some(Retries { per_target: 1, ..Retries::default() });
    });
    bench.play("d/m", &[Play::Word("good", 0)]);
    let began = tokio::time::Instant::now();
    let (_, receipt) = bench.call("policy/p", &[]).await.unwrap();
    assert_eq!((bench.seen(), receipt.attempts.len()), (["c/m", "c/m", "d/m"].map(str::to_owned).to_vec(), 3));
    assert!((50..=100).contains(&began.elapsed().as_millis()), "one wait of 50 to 100 ms: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn r5_retry_after_is_obeyed_where_it_fits_and_others_are_asked_where_not() {
    let bench = Bench::new(Config { retries_per_target: 1, retry_max_backoff_ms: 1_000, ..Config::default() });
    bench.play("a/m", &[Play::Fail(Cause::RateLimited, Some(800)), Play::Word("again", 0)]);
    let began = tokio::time::Instant::now();
    assert_eq!(bench.call("a/m", &[]).await.unwrap().0, "again");
    assert_eq!(began.elapsed(), Duration::from_millis(800));
    bench.play("b/m", &[Play::Fail(Cause::RateLimited, Some(5_000))]);
    let fault = bench.call("b/m", &[]).await.unwrap_err();
    assert_eq!((bench.seen().len(), fault.reason, fault.retry_after), (1, Reason::RateLimited, Some(S(5))), "F13: a lone limit passes through");
}

#[tokio::test(start_paused = true)]
async fn r7_an_open_circuit_costs_no_attempt_and_one_probe_closes_it() {
    let bench = Bench::new(Config { breaker_failures: 2, breaker_open_ms: 10_000, max_attempts: 1, ..Config::default() });
    bench.play("a/m", &[Play::Fail(Cause::Unavailable, None), Play::Fail(Cause::Unavailable, None), Play::Word("well", 0)]);
    bench.play("b/m", &[Play::Word("other", 0)]);
    for _ in 0..2 {
        bench.call("a/m", &[]).await.unwrap_err();
    }
    let fault = bench.call("a/m", &[]).await.unwrap_err();
    assert_eq!((bench.seen().len(), fault.reason, fault.retry_after, fault.attempts), (0, Reason::AllTargetsFailed, Some(S(10)), 0));
    assert_eq!(bench.call("a/m", &["b/m"]).await.unwrap().0, "other", "it does not use up the budget of one attempt");
    tokio::time::advance(S(10)).await;
    assert_eq!(bench.call("a/m", &[]).await.unwrap().0, "well");
    assert_eq!(bench.rest("a/m"), S(0));
}

#[tokio::test(start_paused = true)]
async fn r9_a_target_that_never_answers_fails_over_within_its_first_token_limit() {
    let bench = Bench::new(Config::default());
    bench.play("a/m", &[Play::Hang]);
    bench.play("b/m", &[Play::Word("good", 0)]);
    let first = |seconds| Limits { first_token: Some(S(seconds)), ..Limits::default() };
    let hanging = PolicyTarget { model: "a/m".into(), timeouts: first(2) };
    bench.chain(&[], |p| p.rule = Rule::Fallback(vec![hanging, PolicyTarget { model: "b/m".into(), ..Default::default() }]));
    let began = tokio::time::Instant::now();
    let (text, receipt) = bench.call("policy/p", &[]).await.unwrap();
    assert_eq!((text.as_str(), began.elapsed(), receipt.attempts[0].reason), ("good", S(2), Some(Reason::Timeout)));
    // A unary attempt shows nothing before its end: the limit of the whole holds.
    bench.chain(&["a/m", "b/m"], |p| p.timeouts = Limits { total: Some(S(5)), ..first(1) });
    tokio::time::advance(S(60)).await;
    let began = tokio::time::Instant::now();
    bench.ask("policy/p", &[], |request| request.stream = false).await.unwrap();
    assert_eq!(began.elapsed(), S(5));
}

#[tokio::test(start_paused = true)]
async fn r10_when_all_rest_the_least_bad_is_tried_or_nobody() {
    let bench = Bench::new(Config::default());
    bench.play("a/m", &[Play::Fail(Cause::RateLimited, Some(9_000)), Play::Word("a", 0)]);
    bench.play("b/m", &[Play::Fail(Cause::RateLimited, Some(4_000)), Play::Word("b", 0)]);
    bench.chain(&["a/m", "b/m"], |_| {});
    let fault = bench.call("policy/p", &[]).await.unwrap_err();
    assert_eq!((fault.cause, fault.retry_after), (Cause::RateLimited, Some(S(4))), "429, since all were limited");
    bench.chain(&["a/m", "b/m"], |p| p.course.all_down = AllDown::FailFast);
    let fault = bench.call("policy/p", &[]).await.unwrap_err();
    assert_eq!((bench.seen().len(), fault.reason, fault.retry_after), (0, Reason::AllTargetsFailed, Some(S(4))));
    bench.chain(&["a/m", "b/m"], |_| {});
    assert_eq!(bench.call("policy/p", &[]).await.unwrap().0, "b", "it rests shortest");
}

#[tokio::test(start_paused = true)]
async fn r2_a_break_after_content_counts_against_the_target() {
    let bench = Bench::new(Config::default());
    bench.play("a/m", &[Play::Break]);
    bench.play("b/m", &[Play::Word("good", 0)]);
    let fault = bench.call("a/m", &["b/m"]).await.unwrap_err();
    assert_eq!((fault.reason, bench.seen().len()), (Reason::StreamBroken, 1));
    assert_eq!(bench.call("a/m", &["b/m"]).await.unwrap().0, "good");
    assert_eq!(bench.seen(), ["b/m"]);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_with_the_target_that_read_it() {
    let bench = Bench::new(Config::default());
    bench.play("a/m", &[Play::Fail(Cause::Unavailable, None), Play::Word("a", 0)]);
    bench.play("b/m", &[Play::Word("b", 0), Play::Word("b", 0), Play::Fail(Cause::Unavailable, None)]);
    bench.chain(&["a/m", "b/m"], |_| {});
    let long = |request: &mut ChatRequest| request.messages[0].parts = vec![headworks_core::Part::text("x".repeat(6000))];
    assert_eq!(bench.ask("policy/p", &[], long).await.unwrap().0, "b", "a failed");
    tokio::time::advance(S(100)).await;
    assert_eq!(bench.ask("policy/p", &[], long).await.unwrap().0, "b", "a is well again, but b holds the cache");
    assert_eq!(bench.call("policy/p", &[]).await.unwrap().0, "a", "a short prompt has none");
    assert_eq!(bench.ask("policy/p", &[], long).await.unwrap().0, "a", "b failed");
    assert_eq!(bench.seen(), ["b/m", "a/m"]);
    tokio::time::advance(S(100)).await;
    assert_eq!(bench.ask("policy/p", &[], long).await.unwrap().0, "a");
    assert_eq!(bench.seen(), ["a/m"], "and now a holds it");
}

#[tokio::test(start_paused = true)]
async fn speed_is_learned_from_what_served_and_fallbacks_are_kept_warm() {
    let bench = Bench::new(Config::default());
    bench.play("a/m", &[Play::Word("slow", 900)]);
    bench.play("b/m", &[Play::Word("fast", 100)]);
    let targets = ["a/m", "b/m"].map(|m| PolicyTarget { model: m.into(), ..Default::default() }).to_vec();
    bench.chain(&[], |p| p.rule = Rule::Latency { targets, goal: headworks_policy::Goal::Whole, explore: 500_000 });
    for _ in 0..20 {
        bench.call("policy/p", &[]).await.unwrap();
    }
    for _ in 0..20 {
        assert_eq!(bench.call("policy/p", &[]).await.unwrap().0, "fast");
    }
    let target = bench.shared.catalog.load().target("a/m").unwrap();
    let pace = bench.shared.board.seen(&target).unwrap().pace(headworks_policy::SizeClass::Small);
    assert_eq!(pace.first_token, Some(Duration::from_millis(900)));
    assert_eq!(bench.warmed.lock().last().map(String::as_str), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn failovers_are_counted_by_policy_and_model() {
    let bench = Bench::new(Config::default());
    bench.play("a/m", &[Play::Fail(Cause::Unavailable, None)]);
    bench.play("b/m", &[Play::Word("good", 0)]);
    bench.chain(&["a/m", "b/m"], |_| {});
    bench.call("policy/p", &[]).await.unwrap();
    bench.call("a/m", &[]).await.unwrap_err();
    let text = bench.shared.metrics.render();
    let line = r#"headworks_failovers_total{provider="a",model="m",policy="p",reason="ALL_TARGETS_FAILED"} 1"#;
    assert!(text.contains(line), "a last failure with nobody to go to is no failover:\n{text}");
}
