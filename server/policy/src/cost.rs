//! What an attempt cost: the exact sum over its kinds of token, rounded once.

use headworks_core::{NanoUsd, Price, Rates, Tokens};

/// A price applied to tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced {
    /// What it cost.
    pub cost: NanoUsd,
    /// The rates used, with long-context tier or service tier applied.
    pub rates: Rates,
    /// What it would have cost more without a cache; negative where writing to the cache cost more.
    pub saved: NanoUsd,
}

/// Applies a price. The long-context tier reprices the whole request; a service
/// tier that has rates of its own replaces the base, and long-context tiers are not combined with it.
pub fn price(price: &Price, tokens: &Tokens, service_tier: Option<&str>, _unix_seconds: i64) -> Priced {
    let rates = rates(price, tokens.prompt(), service_tier);
    let cost = sum(&rates, tokens);
    let uncached = Tokens {
        input: tokens.input + tokens.cache_read + tokens.cache_write(),
        cache_read: 0,
        cache_write_5m: 0,
        cache_write_1h: 0,
        cache_write_12h: 0,
        input_audio: tokens.input_audio + tokens.cache_read_audio,
        cache_read_audio: 0,
        ..*tokens
    };
    let saved = round(sum(&rates, &uncached) - cost);
    Priced { cost: round(cost), rates, saved }
}

/// The rates in force for an input of this length.
pub fn rates(price: &Price, prompt: i64, service_tier: Option<&str>) -> Rates {
    let tier = price.tiers.iter().rfind(|tier| prompt > tier.above_input_tokens);
    match service_tier.and_then(|name| price.service_tiers.get(name)) {
        Some(over) => price.base.overlaid(over),
        None => match tier {
            Some(tier) => price.base.overlaid(&tier.rates),
            None => price.base,
        },
    }
}

/// Tokens times rates, in millionths of a nano-USD. A kind without a rate of its
/// own costs what it would cost without that kind: a cache read what input costs
/// (never nothing), an hour's cache write twice the input, reasoning what output costs.
fn sum(rates: &Rates, t: &Tokens) -> i128 {
    let input = rates.input.unwrap_or(0);
    let output = rates.output.unwrap_or(0);
    let write = rates.cache_write_5m.unwrap_or(input);
    let hour = rates.cache_write_1h.unwrap_or_else(|| if rates.cache_write_5m.is_some() { input.saturating_mul(2).max(write) } else { input });
    let audio = rates.input_audio.unwrap_or(input);
    let of = |tokens: i64, rate: i64| i128::from(tokens.max(0)) * i128::from(rate);
    let thought = t.reasoning.min(t.output);
    of(t.input, input)
        + of(t.cache_read, rates.cache_read.unwrap_or(input))
        + of(t.cache_write_5m, write)
        + of(t.cache_write_1h, hour)
        + of(t.cache_write_12h, rates.cache_write_12h.unwrap_or(hour))
        + of(t.input_audio, audio)
        + of(t.cache_read_audio, rates.cache_read_audio.or(rates.cache_read).unwrap_or(audio))
        + of(t.input_image, rates.input_image.unwrap_or(input))
        + of(t.output - thought, output)
        + of(thought, rates.reasoning.unwrap_or(output))
        + of(t.output_audio, rates.output_audio.unwrap_or(output))
        + of(t.output_image, rates.output_image.unwrap_or(output))
}

/// Half up, held at the largest amount.
fn round(millionths: i128) -> NanoUsd {
    let nanos = (millionths + 500_000).div_euclid(headworks_core::ATTOS_PER_NANO);
    NanoUsd(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use headworks_core::Tier;
    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> Option<i64> {
        Some(NanoUsd::from_decimal(text).unwrap().0)
    }

    fn sonnet() -> Price {
        Price {
            base: Rates {
                input: usd("3"),
                output: usd("15"),
                cache_read: usd("0.3"),
                cache_write_5m: usd("3.75"),
                cache_write_1h: usd("6"),
                ..Rates::default()
            },
            tiers: vec![Tier {
                above_input_tokens: 200_000,
                rates: Rates { input: usd("6"), output: usd("22.5"), cache_read: usd("0.6"), ..Rates::default() },
            }],
            ..Price::default()
        }
    }

    #[test]
    fn a3_a4_each_kind_is_priced_once_at_its_own_rate() {
        let tokens = Tokens { input: 10, cache_read: 1000, cache_write_5m: 100, cache_write_1h: 50, output: 20, ..Tokens::default() };
        let priced = price(&sonnet(), &tokens, None, 0);
        assert_eq!(priced.cost.0, 10 * 3000 + 1000 * 300 + 100 * 3750 + 50 * 6000 + 20 * 15000);
        assert_eq!(priced.saved.0, 1150 * 3000 - (1000 * 300 + 100 * 3750 + 50 * 6000));
        assert_eq!(price(&Price { base: Rates { input: usd("1"), ..Rates::default() }, ..Price::default() }, &tokens, None, 0).cost.0, 1160 * 1000);
    }

    #[test]
    fn a6_the_long_context_tier_reprices_the_whole_request() {
        let at = |input| price(&sonnet(), &Tokens { input, cache_read: 100_000, output: 10, ..Tokens::default() }, None, 0).cost.0;
        assert_eq!(at(100_000), 100_000 * 3000 + 100_000 * 300 + 150_000);
        assert_eq!(at(100_001), 100_001 * 6000 + 100_000 * 600 + 225_000);
    }

    #[test]
    fn a11_rounded_half_up_once() {
        let cheap = Price { base: Rates { input: Some(1), output: Some(1), ..Rates::default() }, ..Price::default() };
        for (input, output, nanos) in [(499_999, 0, 0), (500_000, 0, 1), (250_000, 250_000, 1), (1_499_999, 0, 1)] {
            assert_eq!(price(&cheap, &Tokens { input, output, ..Tokens::default() }, None, 0).cost.0, nanos, "{input} {output}");
        }
    }

    proptest! {
        #[test]
        fn more_tokens_never_cost_less(a in 0i64..1_000_000, b in 0i64..1_000_000, c in 0i64..1_000_000, more in 0i64..1000) {
            let tokens = Tokens { input: a, cache_read: b, output: c, reasoning: c / 2, ..Tokens::default() };
            let larger = Tokens { output: c + more, ..tokens };
            prop_assert!(price(&sonnet(), &tokens, None, 0).cost <= price(&sonnet(), &larger, None, 0).cost);
        }
    }
}
