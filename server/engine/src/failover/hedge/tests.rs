#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use headworks_core::{Budget, Cause, Fit, NanoUsd, Outcome, Payer, Reason, Receipt};
use headworks_policy::{Limits, Policy, Retries};
use tokio::time::Instant;

use super::*;
use crate::{
    Config,
    testing::{Bench, Play},
};

const S: fn(u64) -> Duration = Duration::from_secs;
const MS: fn(u64) -> Duration = Duration::from_millis;

/// A chain that hedges after 100 ms, every call of it.
fn chain(bench: &Bench, models: &[&str], change: impl FnOnce(&mut Policy)) {
    bench.chain(models, |policy| {
        policy.course.hedging = Some(Hedging { delay: Some(MS(100)), max_percent: 100 });
        change(policy);
    });
}

fn bench(plays: &[(&str, &[Play])]) -> Bench {
    let bench = Bench::new(Config::default());
    plays.iter().for_each(|(target, play)| bench.play(target, play));
    bench
}

/// Target, ordinal, outcome and whether it was the second, in the order in which they ended.
fn ways(receipt: &Receipt) -> Vec<(String, u32, Outcome, bool)> {
    receipt.attempts.iter().map(|a| (a.target.to_string(), a.ordinal, a.outcome, a.hedge)).collect()
}

fn way(target: &str, ordinal: u32, outcome: Outcome, hedge: bool) -> (String, u32, Outcome, bool) {
    (target.to_owned(), ordinal, outcome, hedge)
}

fn counted(bench: &Bench, line: &str) -> bool {
    bench.shared.metrics.render().lines().any(|l| l == line)
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_begins_beside_one_that_is_late_and_the_slower_is_cancelled_and_paid() {
    let bench = bench(&[("a/priced", &[Play::Word("slow", 5_000)]), ("b/priced", &[Play::Word("fast", 50)])]);
    chain(&bench, &["a/priced", "b/priced"], |_| {});
    let began = Instant::now();
    let (text, receipt) = bench.call("policy/p", &[]).await.unwrap();
    assert_eq!((text.as_str(), began.elapsed()), ("fast", MS(150)));
    assert_eq!(ways(&receipt), [way("a/priced", 1, Outcome::Cancelled, false), way("b/priced", 2, Outcome::Success, true)]);
    let [lost, won] = &receipt.attempts[..] else { panic!() };
    assert_eq!((lost.reason, lost.message.as_deref(), lost.timings.total), (Some(Reason::Cancelled), Some("attempt 2 at b/priced answered first"), MS(150)));
    assert!(lost.estimated && lost.tokens.input > 0 && lost.tokens.output == 0, "what it read is paid: {lost:?}");
    assert_eq!((lost.cost, won.cost), (Some(NanoUsd(1_000 * lost.tokens.input)), Some(NanoUsd(10_000 + 22_000))));
    assert_eq!(receipt.cost, lost.cost.unwrap() + won.cost.unwrap());
    assert!(lost.hold > NanoUsd::ZERO && won.hold > NanoUsd::ZERO, "each has a hold of its own");
    // To be slow is no failure.
    assert_eq!(bench.rest("a/priced"), Duration::ZERO);
    assert!(counted(&bench, r#"headworks_hedges_total{provider="b",model="priced",policy="p"} 1"#));
    assert!(counted(&bench, r#"headworks_hedges_won_total{provider="b",model="priced",policy="p"} 1"#));
    assert!(!bench.shared.metrics.render().contains("headworks_failovers_total{"));
}

#[tokio::test(start_paused = true)]
async fn the_first_attempt_may_still_win_and_one_in_time_stays_alone() {
    let bench = bench(&[("a/m", &[Play::Word("soon", 120), Play::Word("at once", 90)]), ("b/m", &[Play::Word("later", 50)])]);
    chain(&bench, &["a/m", "b/m"], |_| {});
    let (text, receipt) = bench.call("policy/p", &[]).await.unwrap();
    assert_eq!((text.as_str(), ways(&receipt)), ("soon", vec![way("b/m", 2, Outcome::Cancelled, true), way("a/m", 1, Outcome::Success, false)]));
    assert_eq!(receipt.attempts[0].message.as_deref(), Some("attempt 1 at a/m answered first"));
    assert!(!counted(&bench, r#"headworks_hedges_won_total{provider="b",model="m",policy="p"} 1"#));
    let (text, receipt) = bench.call("policy/p", &[]).await.unwrap();
    assert_eq!((text.as_str(), ways(&receipt)), ("at once", vec![way("a/m", 1, Outcome::Success, false)]));
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_learned_from_eight_answers_for_streams_and_whole_answers_apart() {
    let mut plays = vec![Play::Word("usual", 100); 8];
    plays.extend([Play::Word("slow", 5_000), Play::Word("whole and slow", 5_000)]);
    let bench = bench(&[("a/m", &plays), ("b/m", &[Play::Word("second", 10)])]);
    chain(&bench, &["a/m", "b/m"], |p| p.course.hedging = Some(Hedging { delay: None, max_percent: 100 }));
    let told = || {
        let request = headworks_core::ChatRequest { model: "policy/p".into(), stream: true, ..Default::default() };
        let plan = bench.shared.plan("x", &request.clone().into(), &Default::default(), &bench.shared.catalog.load()).unwrap();
        bench.shared.hedge(&plan, &request.into()).unwrap()
    };
    for known in 0..8 {
        assert!(told().after.is_none() && told().message.ends_with(&format!("it has given {known} of late")), "{}", told().message);
        assert_eq!(bench.call("policy/p", &[]).await.unwrap().1.attempts.len(), 1);
    }
    let hedge = told();
    let after = hedge.after.unwrap();
    assert!(after > MS(100) && after < MS(200), "{after:?}");
    assert_eq!((hedge.target.unwrap().id.to_string(), hedge.message.contains("the mean of a/m with small streamed requests")), ("b/m".to_owned(), true));
    let began = Instant::now();
    assert_eq!(bench.call("policy/p", &[]).await.unwrap().0, "second");
    assert!(began.elapsed().abs_diff(after + MS(10)) <= MS(2), "the timer ticks by the millisecond: {:?} {after:?}", began.elapsed());
    let (text, _) = bench.ask("policy/p", &[], |request| request.stream = false).await.unwrap();
    assert_eq!(text, "whole and slow", "no whole answer was seen");
}

#[tokio::test(start_paused = true)]
async fn where_one_fails_the_other_goes_on_and_where_both_fail_the_next_has_its_turn() {
    let hang = |p: &mut Policy| p.timeouts = Limits { first_token: Some(S(1)), ..Limits::default() };
    // The second fails: the first is waited for.
    let one = bench(&[("a/m", &[Play::Word("good", 800)]), ("b/m", &[Play::Fail(Cause::Unavailable, None)])]);
    chain(&one, &["a/m", "b/m"], hang);
    let (text, receipt) = one.call("policy/p", &[]).await.unwrap();
    assert_eq!((text.as_str(), ways(&receipt)), ("good", vec![way("b/m", 2, Outcome::Failed, true), way("a/m", 1, Outcome::Success, false)]));
    assert_eq!(one.rest("b/m"), S(1).saturating_sub(MS(700)), "its failure is learned from");
    // The first fails: the second serves, and that is a failover.
    let two = bench(&[("a/m", &[Play::Hang]), ("b/m", &[Play::Word("good", 950)])]);
    chain(&two, &["a/m", "b/m"], hang);
    let (text, receipt) = two.call("policy/p", &[]).await.unwrap();
    assert_eq!((text.as_str(), ways(&receipt)), ("good", vec![way("a/m", 1, Outcome::Failed, false), way("b/m", 2, Outcome::Success, true)]));
    assert!(counted(&two, r#"headworks_failovers_total{provider="a",model="m",policy="p",reason="TIMEOUT"} 1"#));
    // Both fail: no retry at either, and the third has its turn.
    let three = bench(&[("a/m", &[Play::Hang]), ("b/m", &[Play::Fail(Cause::Connect, None)]), ("c/m", &[Play::Word("good", 0)])]);
    chain(&three, &["a/m", "b/m", "c/m"], |p| {
        hang(p);
        p.course.retries = Some(Retries { per_target: 3, ..Retries::default() });
    });
    let (text, receipt) = three.call("policy/p", &[]).await.unwrap();
    assert_eq!((text.as_str(), three.seen()), ("good", ["a/m", "b/m", "c/m"].map(str::to_owned).to_vec()));
    assert_eq!(receipt.attempts.iter().map(|a| (a.ordinal, a.reason.is_some())).collect::<Vec<_>>(), [(2, true), (1, true), (3, false)]);
    // Nobody is left: both failures are told.
    let none = bench(&[("a/m", &[Play::Hang]), ("b/m", &[Play::Fail(Cause::Connect, None)])]);
    chain(&none, &["a/m", "b/m"], hang);
    let fault = none.call("policy/p", &[]).await.unwrap_err();
    assert!(fault.attempts == 2 && fault.message.contains("b/m: ALL_TARGETS_FAILED, a/m: TIMEOUT"), "{}", fault.message);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_no_target_can_mend_ends_both() {
    let bench = bench(&[("a/m", &[Play::Hang]), ("b/m", &[Play::Fail(Cause::Rejected, None)])]);
    chain(&bench, &["a/m", "b/m"], |_| {});
    let began = Instant::now();
    let fault = bench.call("policy/p", &[]).await.unwrap_err();
    assert_eq!((fault.cause, fault.attempts, began.elapsed()), (Cause::Rejected, 2, MS(100)));
    assert!(counted(&bench, r#"headworks_attempts_total{provider="a",model="m",reason="CANCELLED"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_is_refused_means_no_second_attempt_and_takes_nothing_from_the_share() {
    let bench = bench(&[("a/priced", &[Play::Word("slow", 500)]), ("b/priced", &[Play::Word("fast", 0)])]);
    bench.chain(&["a/priced", "b/priced"], |p| p.course.hedging = Some(Hedging { delay: Some(MS(100)), max_percent: 1 }));
    let budget = |limit: i64| {
        bench.pay(|key| {
            let budget = Budget { limit: NanoUsd(limit), fit: Some(Fit::Refuse), ..Budget::default() };
            key.payers = vec![Payer { id: "k".into(), title: "key k".into(), budget: Some(budget), limits: vec![] }];
        });
    };
    budget(1_000_000_000);
    let hold = bench.ask("a/priced", &[], |_| {}).await.unwrap().1.attempts[0].hold.0;
    budget(hold + hold / 2 + 32_000);
    let (text, receipt) = bench.call("policy/p", &[]).await.unwrap();
    assert_eq!((text.as_str(), ways(&receipt)), ("slow", vec![way("a/priced", 1, Outcome::Success, false)]));
    assert!(receipt.notes.iter().any(|note| note.starts_with("no second attempt at b/priced: ")), "{:?}", receipt.notes);
    assert_eq!(bench.seen(), ["a/priced"]);
    budget(1_000_000_000);
    assert_eq!(bench.call("policy/p", &[]).await.unwrap().0, "fast", "the one given in advance is still there");
    assert_eq!(bench.call("policy/p", &[]).await.unwrap().0, "slow", "and now it is used up");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_policys_share_of_calls_is_hedged() {
    let bench = bench(&[("a/m", &[Play::Word("slow", 1_000)]), ("b/m", &[Play::Word("fast", 0)])]);
    bench.chain(&["a/m", "b/m"], |p| p.course.hedging = Some(Hedging { delay: Some(MS(100)), max_percent: 10 }));
    let mut hedged = Vec::new();
    for call in 1..=40 {
        if bench.call("policy/p", &[]).await.unwrap().0 == "fast" {
            hedged.push(call);
        }
    }
    assert_eq!(hedged, [1, 10, 20, 30, 40], "one in advance, then every tenth");
    // A share left unused is kept for ten.
    bench.play("a/m", &[Play::Word("quick", 0)]);
    for _ in 0..500 {
        bench.call("policy/p", &[]).await.unwrap();
    }
    bench.play("a/m", &[Play::Word("slow", 1_000)]);
    let mut more = 0;
    for _ in 0..30 {
        more += u32::from(bench.call("policy/p", &[]).await.unwrap().0 == "fast");
    }
    assert!((12..=13).contains(&more), "ten kept, and every tenth of thirty: {more}");
}

#[tokio::test(start_paused = true)]
async fn the_attempt_budget_holds_and_one_call_has_one_second_attempt_at_a_target_that_is_well() {
    let slow = |word| vec![Play::Word(word, 1_000)];
    let all = || bench(&[("a/m", &slow("a")), ("b/m", &slow("b")), ("c/m", &slow("c")), ("d/m", &slow("d"))]);
    let one = all();
    chain(&one, &["a/m", "b/m"], |p| p.course.max_attempts = Some(1));
    assert_eq!((one.call("policy/p", &[]).await.unwrap().0.as_str(), one.seen().len()), ("a", 1));
    // The first of four fails, so the budget of two has room for one alone.
    chain(&one, &["d/m", "a/m", "b/m"], |p| p.course.max_attempts = Some(2));
    one.play("d/m", &[Play::Fail(Cause::Unfit, None)]);
    one.call("policy/p", &[]).await.unwrap();
    assert_eq!(one.seen(), ["d/m", "a/m"]);
    // With three, the second attempt runs beside the one that the failure led to.
    chain(&one, &["d/m", "a/m", "b/m"], |p| p.course.max_attempts = Some(3));
    let (_, receipt) = one.call("policy/p", &[]).await.unwrap();
    assert_eq!((one.seen(), receipt.attempts.last().map(|a| a.ordinal)), (["d/m", "a/m", "b/m"].map(str::to_owned).to_vec(), Some(2)));
    // No third beside two that are late, and one that rests is passed over.
    let two = all();
    two.play("b/m", &[Play::Fail(Cause::RateLimited, Some(60_000))]);
    two.call("b/m", &[]).await.unwrap_err();
    chain(&two, &["a/m", "c/m", "b/m", "d/m"], |p| p.course.retries = None);
    two.call("policy/p", &[]).await.unwrap();
    assert_eq!(two.seen(), ["a/m", "c/m"]);
    chain(&two, &["a/m", "b/m"], |_| {});
    two.call("policy/p", &[]).await.unwrap();
    assert_eq!(two.seen(), ["a/m"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_cancels_both() {
    let bench = bench(&[("a/m", &[Play::Hang]), ("b/m", &[Play::Hang])]);
    chain(&bench, &["a/m", "b/m"], |_| {});
    assert!(tokio::time::timeout(MS(300), bench.call("policy/p", &[])).await.is_err());
    for target in ["a", "b"] {
        assert!(counted(&bench, &format!(r#"headworks_attempts_total{{provider="{target}",model="m",reason="CANCELLED"}} 1"#)));
        assert_eq!(bench.rest(&format!("{target}/m")), Duration::ZERO);
    }
}
