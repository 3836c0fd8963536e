#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use headworks_core::{AuthScheme, ChatRequest, DialectName, Host, Model, Price, Quirks, Rates, Role};

use super::*;
use crate::{PolicyTarget, Rule};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Hosts `a`, `b`, `c`; a model `m` at each, a nano-dollar per token of input, and 1, 2 and 3 per token of output.
fn catalog() -> Catalog {
    let host = |id: &str| {
        Arc::new(Host {
            id: id.into(),
            name: id.into(),
            dialect: Some(DialectName::OpenAi),
            dialect_word: "openai".into(),
            base_url: "http://x".into(),
            auth: AuthScheme::None,
            key_env: vec![],
            regions: vec![],
            reseller: false,
            quirks: Quirks::default(),
            options: Default::default(),
            configured: true,
        })
    };
    let model = |(id, output): (&str, i64)| {
        let base = Rates { input: Some(1_000_000), output: Some(output * 1_000_000), ..Rates::default() };
        Arc::new(Model {
            id: ModelId::new(id, "m"),
            upstream_name: "m".into(),
            mode: "chat".into(),
            dialect: None,
            foreign_dialect: None,
            context_window: None,
            max_input_tokens: None,
            max_output_tokens: None,
            price: Some(Arc::new(Price { base, ..Price::default() })),
            capabilities: Default::default(),
            reasoning: Default::default(),
            cache_min_tokens: None,
            regions: vec![],
            status: Default::default(),
            deprecation_date: None,
            release_date: None,
            aliases: vec![],
            canonical: None,
            dimensions: None,
            unit_prices: Default::default(),
            origin: Default::default(),
        })
    };
    Catalog::new(["a", "b", "c"].map(host), [("a", 1), ("b", 2), ("c", 3)].map(model))
}

fn tried(target: &str, at: u64, cause: Option<Cause>, first: u64, total: u64, output: i64) -> Tried {
    Tried {
        target: ModelId::new(target, "m"),
        at: Duration::from_secs(at),
        cause,
        first_token: cause.is_none().then(|| MS(first)),
        total: MS(total),
        size: Size { input: 100, output },
        cost: Some(NanoUsd(if cause.is_none() { 100 + output } else { 0 })),
        lost: false,
    }
}

/// A call with its one attempt, or a failing and a serving one.
fn call(n: u64, attempts: Vec<Tried>) -> Recorded {
    let last = attempts.last().unwrap().clone();
    let key = Key { id: "k".into(), name: "k".into(), roles: vec![Role::Caller], ..Key::default() };
    Recorded {
        id: format!("req_{n}").into(),
        at: Duration::from_secs(n),
        work: ChatRequest { model: "a/m".into(), stream: true, ..ChatRequest::default() }.into(),
        tenant: Arc::new(key),
        tokens: Tokens { input: 100, output: last.size.output, ..Tokens::default() },
        success: last.cause.is_none(),
        latency: attempts.iter().map(|t| t.total).sum(),
        attempts,
    }
}

fn run(calls: Vec<Recorded>, targets: &[&str], change: impl FnOnce(&mut Policy)) -> Simulation {
    let targets = targets.iter().map(|m| PolicyTarget { model: (*m).into(), ..Default::default() }).collect();
    let mut policy = Policy { name: "try".into(), rule: Rule::Fallback(targets), ..Default::default() };
    change(&mut policy);
    let setting = Setting {
        catalog: &catalog(),
        policy: &Arc::new(policy),
        policies: &|_| None,
        max_attempts: 4,
        retries: Retries::default(),
        limits: Limits::default(),
    };
    simulate(calls, &setting)
}

#[test]
fn the_policy_that_was_in_force_gives_what_happened() {
    let calls = || (0..100).map(|n| call(n * 10, vec![tried("a", n * 10, None, 100, 1000 + n, 50)])).collect::<Vec<_>>();
    let same = run(calls(), &["a/m"], |_| {});
    assert_eq!(same.simulated, same.recorded);
    assert_eq!((same.recorded.requests, same.recorded.successes, same.recorded.cost), (100, 100, NanoUsd(15_000)));
    assert_eq!(percentile(&same.recorded.latencies, 50), Some(MS(1049)));
    assert_eq!(percentile(&same.recorded.latencies, 99), Some(MS(1098)));
    assert_eq!(percentile(&[], 50), None);
}

#[test]
fn failures_on_record_lead_to_the_next_target_at_its_own_latency_and_price() {
    // a fails every tenth time; b is slower, twice as dear, and was seen with other calls.
    let mut calls: Vec<Recorded> = Vec::new();
    for n in 0..100 {
        let cause = (n % 10 == 0).then_some(Cause::Unavailable);
        calls.push(call(n * 100, vec![tried("a", n * 100, cause, 100, 500, 50)]));
        calls.push(call(n * 100 + 1, vec![tried("b", n * 100 + 1, None, 200, 2200, 100)]));
    }
    let alone = run(calls, &["a/m", "b/m"], |_| {});
    assert_eq!((alone.recorded.successes, alone.simulated.successes), (190, 200));
    assert!(alone.simulated.failovers >= 10, "{alone:?}");
    let (at_b, _) = &alone.targets[&ModelId::new("b", "m")];
    // 50 tokens: the first after 200 ms, the rest in half of 2 s.
    assert!(at_b.latencies.contains(&MS(500 + 200 + 1000)), "{:?}", at_b.latencies);
    assert!(at_b.cost.0 >= 10 * (100 + 2 * 50));
}

#[test]
fn limits_retries_and_rests_count_as_they_would() {
    let slow: Vec<Recorded> = (0..50).map(|n| call(n * 100, vec![tried("a", n * 100, None, 3000, 9000, 10)])).collect();
    let limited = run(slow, &["a/m"], |p| p.timeouts.first_token = Some(MS(2000)));
    assert_eq!((limited.simulated.successes, limited.recorded.successes), (0, 50));
    let failing = || (0..50).map(|n| call(n * 100, vec![tried("a", n * 100, Some(Cause::Connect), 0, 5, 10)])).collect::<Vec<_>>();
    let retried = run(failing(), &["a/m"], |p| p.course.retries = Some(Retries { per_target: 2, ..Retries::default() }));
    assert_eq!(retried.simulated.attempts, 150);
    // Nothing on record of c: said, not invented.
    let unknown = run(failing(), &["a/m", "c/m"], |_| {});
    assert_eq!((unknown.simulated.successes, unknown.simulated.latencies.len()), (50, 0));
    assert!(unknown.notes[0].starts_with("c/m: nothing on record"), "{:?}", unknown.notes);
    let closed = run(failing(), &["nobody/x"], |_| {});
    assert_eq!(closed.simulated.successes, 0);
    assert!(closed.notes[0].contains("50 requests would be refused: MODEL_NOT_FOUND"), "{:?}", closed.notes);
}

#[test]
fn a_latency_policy_learns_from_the_past_alone() {
    let mut calls: Vec<Recorded> = Vec::new();
    for n in 0..200 {
        // b is slow at first and fast later.
        calls.push(call(n * 2, vec![tried("a", n * 2, None, 500, 1000, 10)]));
        let first = if n < 100 { 2000 } else { 50 };
        calls.push(call(n * 2 + 1, vec![tried("b", n * 2 + 1, None, first, first + 100, 10)]));
    }
    let quick = run(calls, &["a/m", "b/m"], |p| {
        let Rule::Fallback(targets) = std::mem::take(&mut p.rule) else { return };
        p.rule = Rule::Latency { targets, goal: crate::Goal::Whole, explore: 0 };
    });
    let at = |id: &str| quick.targets[&ModelId::new(id, "m")].0.requests;
    assert!(at("a") > 150 && at("b") > 120, "a {} b {}", at("a"), at("b"));
    assert!(percentile(&quick.simulated.latencies, 90) < percentile(&quick.recorded.latencies, 90));
}

#[test]
fn an_attempt_that_lost_a_race_is_paid_but_says_nothing_of_its_target() {
    let lost = |n: u64| Tried { lost: true, ..tried("a", n, None, 0, 300, 0) };
    let mut calls: Vec<Recorded> = (0..50).map(|n| call(n * 10, vec![tried("a", n * 10, None, 100, 1_000, 50)])).collect();
    // The second attempt began 200 ms after the first and won.
    calls.extend((0..10).map(|n| call(n * 50 + 1, vec![lost(n * 50 + 1), tried("b", n * 50 + 2, None, 100, 1_000, 50)])));
    let hedged = run(calls, &["a/m", "b/m"], |p| p.course.hedging = Some(crate::Hedging::default()));
    assert_eq!((hedged.recorded.failovers, hedged.simulated.failovers), (0, 0), "to lose is not to fail");
    assert_eq!((hedged.recorded.attempts, hedged.simulated.attempts), (70, 60));
    assert_eq!(hedged.recorded.cost.0 - 60 * 150, 10 * 100, "what the losers read");
    assert_eq!(hedged.simulated.latencies, vec![MS(1_000); 60], "those that lost take as long as others there");
    assert_eq!(hedged.notes.len(), 2, "{:?}", hedged.notes);
    assert!(hedged.notes[0].contains("second attempts are not simulated") && hedged.notes[1].starts_with("10 attempts on record lost a race"));
}
