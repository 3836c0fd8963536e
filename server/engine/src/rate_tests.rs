#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const MINUTE: i64 = 60_000;

fn limit(unit: Unit, seconds: i64, most: i64, model: Option<&str>) -> RateLimit {
    RateLimit { unit, seconds, most, model: model.map(Arc::from) }
}

fn tenant(lists: Vec<(&str, Vec<RateLimit>)>) -> Arc<Tenant> {
    let payers: Vec<Payer> = lists.into_iter().map(|(id, limits)| Payer { id: id.into(), title: id.into(), budget: None, limits }).collect();
    Arc::new(Tenant { id: payers[0].id.clone(), payers, ..Tenant::default() })
}

fn need(input: i64, output: Option<i64>) -> impl FnOnce() -> Need {
    move || Need { input, output }
}

fn call(rates: &Rates, key: &Arc<Tenant>, input: i64, output: Option<i64>, now: i64) -> Result<Permit, Fault> {
    rates.take(key, Scope::Call, need(input, output), now).map(|permit| permit.expect("a limit applies"))
}

#[test]
fn requests_are_counted_over_a_window_that_slides() {
    let rates = Rates::default();
    let key = tenant(vec![("k", vec![limit(Unit::Requests, 60, 10, None)])]);
    let start = 100 * MINUTE;
    for n in 0..10 {
        let permit = call(&rates, &key, 0, None, start).unwrap();
        assert_eq!(permit.facts().requests, Some(Left { limit: 10, remaining: 9 - n, reset: Duration::from_secs(120) }));
        permit.settle(0);
    }
    let fault = call(&rates, &key, 0, None, start + 30_000).err().unwrap();
    // 30 s to the end of the window, and a tenth of the next until one of ten is out of reach.
    assert_eq!((fault.reason, fault.retry_after), (Reason::RateLimited, Some(Duration::from_secs(36))));
    assert_eq!(fault.rates.unwrap().requests.unwrap().remaining, 0);
    assert!(call(&rates, &key, 0, None, start + 65_999).is_err());
    call(&rates, &key, 0, None, start + 66_000).unwrap().settle(0);
    assert!(call(&rates, &key, 0, None, start + 66_001).is_err());
    // After two silent windows all of it is there.
    assert_eq!(call(&rates, &key, 0, None, start + 3 * MINUTE).unwrap().facts().requests.unwrap().remaining, 9);
}

#[test]
fn l5_tokens_are_reserved_and_corrected_at_the_end() {
    let rates = Rates::default();
    let key = tenant(vec![("k", vec![limit(Unit::Tokens, 60, 1000, None)])]);
    let first = call(&rates, &key, 100, Some(800), MINUTE).unwrap();
    assert!(call(&rates, &key, 100, Some(1), MINUTE).is_err(), "reserved, not yet used");
    first.settle(150);
    let second = call(&rates, &key, 100, Some(700), MINUTE).unwrap();
    assert_eq!(second.facts().tokens.unwrap().remaining, 50);
    // One that used more than it reserved weighs on the others.
    second.settle(900);
    assert!(call(&rates, &key, 1, Some(0), MINUTE).is_err());
    // One that could never pass is told so, and not to wait.
    let never = call(&rates, &key, 1, Some(1000), 10 * MINUTE).err().unwrap();
    assert!(never.retry_after.is_none() && never.message.contains("smaller max_tokens"), "{}", never.message);
    // One that does not say what it writes takes what is there, up to 1024.
    let unstated = call(&rates, &key, 10, None, 20 * MINUTE).unwrap();
    assert_eq!(unstated.facts().tokens.unwrap().remaining, 0);
    drop(unstated);
    assert_eq!(call(&rates, &key, 10, Some(0), 20 * MINUTE).unwrap().facts().tokens.unwrap().remaining, 990, "dropped unsettled: all is back");
}

#[test]
fn a_correction_reaches_the_window_it_belongs_to() {
    let rates = Rates::default();
    let key = tenant(vec![("k", vec![limit(Unit::Tokens, 60, 1000, None)])]);
    let long = call(&rates, &key, 0, Some(1000), 10 * MINUTE).unwrap();
    assert!(call(&rates, &key, 0, Some(600), 11 * MINUTE + 30_000).is_err());
    long.settle(100);
    assert_eq!(call(&rates, &key, 0, Some(600), 11 * MINUTE + 30_000).unwrap().facts().tokens.unwrap().remaining, 350);
}

#[test]
fn a_clock_that_goes_back_neither_opens_a_window_again_nor_misplaces_a_correction() {
    let rates = Rates::default();
    let key = tenant(vec![("k", vec![limit(Unit::Tokens, 60, 1000, None)])]);
    let first = call(&rates, &key, 0, Some(400), 10 * MINUTE).unwrap();
    let late = call(&rates, &key, 0, Some(600), 9 * MINUTE).unwrap();
    assert!(call(&rates, &key, 0, Some(1), 9 * MINUTE).is_err());
    first.settle(0);
    late.settle(100);
    assert_eq!(call(&rates, &key, 0, Some(0), 10 * MINUTE).unwrap().facts().tokens.unwrap().remaining, 900);
}

#[test]
fn large_counts_are_weighed_as_exactly_as_small_ones() {
    for (count, part, whole) in [(0, 5, 10), (7, 3, 10), (1_000_000_000_000, 59_999, 60_000), (i64::MAX, 1, 2), (i64::MAX - 1, 60_000, 60_000), (-5, 1, 2)] {
        let exact = (i128::from(count.max(0)) * i128::from(part) + i128::from(whole) - 1) / i128::from(whole);
        assert_eq!(i128::from(weighed(count, part, whole)), exact.min(i128::from(i64::MAX)), "{count} * {part} / {whole}");
    }
}

#[test]
fn calls_at_once_are_given_back_however_they_end() {
    let rates = Rates::default();
    let key = tenant(vec![("k", vec![limit(Unit::Concurrent, 0, 2, None)]), ("g", vec![limit(Unit::Concurrent, 0, 3, None)])]);
    let other = tenant(vec![("o", vec![]), key_group()]);
    fn key_group() -> (&'static str, Vec<RateLimit>) {
        ("g", vec![limit(Unit::Concurrent, 0, 3, None)])
    }
    let a = call(&rates, &key, 0, None, 0).unwrap();
    let b = call(&rates, &key, 0, None, 0).unwrap();
    let refused = call(&rates, &key, 0, None, 0).err().unwrap();
    assert!(refused.message.starts_with("k ") && refused.retry_after == Some(CONCURRENT_WAIT), "{}", refused.message);
    let c = call(&rates, &other, 0, None, 0).unwrap();
    assert!(call(&rates, &other, 0, None, 0).err().unwrap().message.starts_with("g "));
    a.settle(5);
    drop(b);
    let _again = (call(&rates, &other, 0, None, 0).unwrap(), call(&rates, &key, 0, None, 0).unwrap());
    drop(c);
}

#[test]
fn limits_of_a_model_are_for_its_targets_alone_and_all_or_none_are_taken() {
    let rates = Rates::default();
    let key = tenant(vec![("k", vec![limit(Unit::Requests, 60, 1, Some("openai/*"))]), ("g", vec![limit(Unit::Requests, 60, 2, Some("*/gpt-5"))])]);
    let at = |id: &str| {
        let (provider, model) = id.split_once('/').unwrap();
        rates.take(&key, Scope::Target(&ModelId::new(provider, model)), need(0, None), MINUTE)
    };
    assert!(rates.take(&key, Scope::Call, need(0, None), MINUTE).unwrap().is_none());
    assert!(at("anthropic/claude").unwrap().is_none());
    at("openai/gpt-5").unwrap().unwrap().settle(0);
    // The key's limit refuses; the group's is not touched by it.
    assert!(at("openai/gpt-5").is_err() && at("openai/gpt-5").is_err());
    at("azure/gpt-5").unwrap().unwrap().settle(0);
    assert!(at("azure/gpt-5").is_err());
}

#[test]
fn l3_a_changed_limit_counts_at_once_and_keeps_what_was_counted() {
    let rates = Rates::default();
    let wide = tenant(vec![("k", vec![limit(Unit::Requests, 60, 10, None)])]);
    for _ in 0..5 {
        call(&rates, &wide, 0, None, MINUTE).unwrap().settle(0);
    }
    let narrow = tenant(vec![("k", vec![limit(Unit::Tokens, 60, 10, None), limit(Unit::Requests, 60, 5, None)])]);
    assert!(call(&rates, &narrow, 0, None, MINUTE).is_err());
    let unlimited = tenant(vec![("k", vec![])]);
    assert!(rates.take(&unlimited, Scope::Call, need(0, None), MINUTE).unwrap().is_none());
}

#[test]
fn many_threads_never_pass_a_limit() {
    let rates = Arc::new(Rates::default());
    let key = tenant(vec![("k", vec![limit(Unit::Requests, 60, 100, None)]), ("g", vec![limit(Unit::Tokens, 60, 1_000_000, None)])]);
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let (rates, key) = (rates.clone(), key.clone());
            std::thread::spawn(move || (0..20).filter(|_| call(&rates, &key, 1, Some(1), MINUTE).map(|permit| permit.settle(2)).is_ok()).count())
        })
        .collect();
    assert_eq!(threads.into_iter().map(|t| t.join().unwrap()).sum::<usize>(), 100);
}
