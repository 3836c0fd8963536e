#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use headworks_core::{Catalog, Factor, Host, Json, Message, MessageRole, Model, ModelId, Price, Rates, Tier, Tokens};
use proptest::prelude::*;

use super::*;

fn target(price: Option<Price>, max_output: Option<i64>) -> Arc<Target> {
    let host = Host {
        id: "p".into(),
        name: "P".into(),
        dialect: Some(DialectName::OpenAi),
        dialect_word: "openai".into(),
        base_url: "http://p".into(),
        auth: headworks_core::AuthScheme::None,
        key_env: Vec::new(),
        regions: Vec::new(),
        reseller: false,
        quirks: Default::default(),
        options: Default::default(),
        configured: true,
    };
    let model = Model {
        id: ModelId::new("p", "m"),
        upstream_name: "m".into(),
        mode: "chat".into(),
        dialect: None,
        foreign_dialect: None,
        context_window: None,
        max_input_tokens: None,
        max_output_tokens: max_output,
        price: price.map(Arc::new),
        capabilities: Default::default(),
        reasoning: Default::default(),
        cache_min_tokens: None,
        regions: Vec::new(),
        status: Default::default(),
        deprecation_date: None,
        release_date: None,
        aliases: Vec::new(),
        canonical: None,
        dimensions: None,
        unit_prices: Default::default(),
        origin: Default::default(),
    };
    Catalog::new([Arc::new(host)], [Arc::new(model)]).target("p/m").unwrap()
}

fn ask(text: &str, max_tokens: Option<i64>) -> ChatRequest {
    let mut request = ChatRequest::default();
    request.messages.push(Message { role: MessageRole::User, name: None, parts: vec![Part::text(text)], extra: Vec::new() });
    request.sampling.max_tokens = max_tokens;
    request
}

fn plain(input: i64, output: i64) -> Price {
    Price { base: Rates { input: Some(input), output: Some(output), ..Rates::default() }, ..Price::default() }
}

#[test]
fn l7_a_huge_max_tokens_is_held_at_what_the_model_can_write() {
    let target = target(Some(plain(1_000_000, 2_000_000)), Some(1_000));
    let huge = hold(&target, &ask("hi", Some(1_000_000_000)).into());
    assert_eq!((huge.output_limit, huge.bounded), (1_000, true));
    assert_eq!(huge.amount, hold(&target, &ask("hi", None).into()).amount);
    assert!(hold(&target, &ask("hi", Some(10)).into()).amount < huge.amount);
}

#[test]
fn l6_an_unknown_price_is_unknown_and_never_free() {
    let hold = hold(&target(None, Some(1_000)), &ask("hi", None).into());
    assert!(!hold.price_known);
}

#[test]
fn l1_what_has_no_bound_says_so() {
    let mut request = ask("hi", Some(10));
    assert!(hold(&target(Some(plain(1, 1)), Some(10)), &request.clone().into()).bounded);
    assert!(!hold(&target(Some(plain(1, 1)), None), &ask("hi", None).into()).bounded);
    request.tools.push(Tool::Hosted { dialect: DialectName::OpenAi, json: Json::parse("{}").unwrap() });
    assert!(!hold(&target(Some(plain(1, 1)), Some(10)), &request.into()).bounded);
}

#[test]
fn a_limit_is_lowered_only_where_half_an_answer_is_of_use() {
    let target = target(Some(plain(1, 1)), Some(10));
    let mut request = ask("hi", None);
    assert!(hold(&target, &request.clone().into()).lowerable);
    request.reasoning.effort = Some(Effort::High);
    assert!(!hold(&target, &request.clone().into()).lowerable);
    request.reasoning.effort = Some(Effort::None);
    assert!(hold(&target, &request.clone().into()).lowerable);
    request.output = Output::Schema { name: "x".into(), description: None, schema: Json::parse("{}").unwrap(), strict: None };
    assert!(!hold(&target, &request.into()).lowerable);
}

fn rate() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![Just(None), (0i64..60_000_000_000).prop_map(Some)]
}

prop_compose! {
    fn rates()(input in rate(), output in rate(), read in rate(), m5 in rate(), h1 in rate(), h12 in rate(), reasoning in rate(), audio in rate(), out_audio in rate()) -> Rates {
        Rates { input, output, cache_read: read, cache_write_5m: m5, cache_write_1h: h1, cache_write_12h: h12, reasoning, input_audio: audio, output_audio: out_audio, ..Rates::default() }
    }
}

proptest! {
    #[test]
    fn l1_no_use_of_tokens_within_the_bounds_costs_more_than_the_hold(
        base in rates(), tier in rates(), flex in rates(), above in 0i64..500, basis in 0i64..20_000,
        text in "[a-z ]{0,400}", most in 1i64..500, split in prop::array::uniform6(0i64..100), out in 0i64..500, thought in 0i64..500,
        service in prop_oneof![Just(None), Just(Some("flex"))], place in prop_oneof![Just(None), Just(Some("us"))],
        factor in 500_000_000i64..3_000_000_000, fee in prop_oneof![Just(None), (0i64..1_000_000_000).prop_map(Some)],
    ) {
        let price = Price { base, tiers: vec![Tier { above_input_tokens: above, rates: tier }], service_tiers: [("flex".into(), flex)].into(), residency: [("us".into(), Factor(factor))].into(), per_request: fee, ..Price::default() };
        let held = hold(&target(Some(price.clone()), Some(most)), &ask(&text, None).into()).with_markup(Markup(basis));
        let mut left = text.len() as i64 + 3 * AROUND;
        let mut part = |share: i64| { let taken = left * share / 100; left -= taken; taken };
        let tokens = Tokens {
            cache_read: part(split[0]), cache_write_5m: part(split[1]), cache_write_1h: part(split[2]), cache_write_12h: part(split[3]),
            input_audio: part(split[4]), input: part(split[5]), output: out.min(most), reasoning: thought.min(out).min(most), ..Tokens::default()
        };
        let cost = crate::price(&price, &tokens, &crate::Terms { service_tier: service, residency: place, unix_seconds: 0 }).cost;
        prop_assert!(cost + Markup(basis).on(cost) <= held.amount, "{cost:?} {held:?}");
    }

    #[test]
    fn the_largest_limit_that_fits_fits_and_the_next_does_not(input in 0i64..1_000_000_000, per in 1i64..100_000_000, basis in 0i64..20_000, left in 0i64..1_000_000_000) {
        let hold = Hold::new(i128::from(input) * 1_000_000, i128::from(per) * 1_000, 1 << 40).with_markup(Markup(basis));
        let fits = hold.fitting(NanoUsd(left));
        if fits >= 0 {
            prop_assert!(hold.of_output(fits).amount.0 <= left);
        }
        prop_assert!(fits < 0 || hold.of_output(fits + 1).amount.0 > left);
    }
}
