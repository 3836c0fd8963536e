//! What an attempt cost: the exact sum over its kinds of token, rounded once.

use std::borrow::Cow;

use headworks_core::{DialectName, FACTOR_ONE, NanoUsd, Price, Rates, Target, Tokens, Work};

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

/// What, beside the tokens, a price depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms<'a> {
    /// The service tier actually served.
    pub service_tier: Option<&'a str>,
    /// Where the provider was made to process.
    pub residency: Option<&'a str>,
    /// When the attempt began.
    pub unix_seconds: i64,
}

/// Where an attempt is processed, as far as that can change its price: what the
/// provider said, else what the request asked for, else what the host is configured for.
pub fn residency<'a>(target: &'a Target, work: &'a Work, said: Option<&'a str>) -> Option<Cow<'a, str>> {
    if let Some(said) = said {
        return Some(said.into());
    }
    // Anthropic's `inference_geo`: platform.claude.com, "Data residency".
    let asked = work.chat().filter(|_| target.dialect == Some(DialectName::Anthropic)).and_then(|chat| chat.extra.get("inference_geo"));
    if let Some(place) = asked.and_then(|json| json.read::<Cow<'a, str>>().ok()) {
        return Some(place);
    }
    target.host.options.residency.as_deref().map(Cow::Borrowed)
}

/// Applies a price. The long-context tier reprices the whole request; a service
/// tier that has rates of its own replaces the base, and neither long-context
/// tiers nor hours are combined with it. Residency multiplies whatever applies.
pub fn price(price: &Price, tokens: &Tokens, terms: &Terms<'_>) -> Priced {
    let rates = rates(price, tokens.prompt(), terms);
    let factor = i128::from(factor(price, terms));
    // A request that the provider took has used tokens.
    let fee = i128::from(price.per_request.filter(|_| *tokens != Tokens::default()).unwrap_or(0)) * headworks_core::ATTOS_PER_NANO * i128::from(FACTOR_ONE);
    let cost = sum(&rates, tokens) * factor + fee;
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
    let saved = round(sum(&rates, &uncached) * factor + fee - cost);
    Priced { cost: round(cost), rates: rates.times(factor), saved }
}

fn factor(price: &Price, terms: &Terms<'_>) -> i64 {
    terms.residency.and_then(|place| price.residency.get(place)).map_or(FACTOR_ONE, |factor| factor.0)
}

/// The rates in force for an input of this length, before residency.
fn rates(price: &Price, prompt: i64, terms: &Terms<'_>) -> Rates {
    if let Some(over) = terms.service_tier.and_then(|name| price.service_tiers.get(name)) {
        return price.base.overlaid(over);
    }
    if let Some(tier) = price.tiers.iter().rfind(|tier| prompt > tier.above_input_tokens) {
        return price.base.overlaid(&tier.rates);
    }
    match &price.off_peak {
        Some(quiet) if quiet.windows.iter().any(|window| window.holds(terms.unix_seconds)) => price.base.overlaid(&quiet.rates),
        _ => price.base,
    }
}

/// What each kind of token costs, once every kind without a rate of its own has one: a cache read costs what input
/// costs (never nothing), an hour's cache write twice the input, reasoning what output costs.
struct Full {
    input: i64,
    cache_read: i64,
    write: i64,
    hour: i64,
    half_day: i64,
    audio: i64,
    audio_read: i64,
    image: i64,
    output: i64,
    reasoning: i64,
    output_audio: i64,
    output_image: i64,
}

impl Full {
    fn of(rates: &Rates) -> Self {
        let input = rates.input.unwrap_or(0);
        let output = rates.output.unwrap_or(0);
        let write = rates.cache_write_5m.unwrap_or(input);
        let hour = rates.cache_write_1h.unwrap_or_else(|| if rates.cache_write_5m.is_some() { input.saturating_mul(2).max(write) } else { input });
        let audio = rates.input_audio.unwrap_or(input);
        Self {
            input,
            cache_read: rates.cache_read.unwrap_or(input),
            write,
            hour,
            half_day: rates.cache_write_12h.unwrap_or(hour),
            audio,
            audio_read: rates.cache_read_audio.or(rates.cache_read).unwrap_or(audio),
            image: rates.input_image.unwrap_or(input),
            output,
            reasoning: rates.reasoning.unwrap_or(output),
            output_audio: rates.output_audio.unwrap_or(output),
            output_image: rates.output_image.unwrap_or(output),
        }
    }
}

/// The highest rates that a token of input, and one of output, can be charged at, whatever tier, hour or place applies.
pub(crate) fn dearest(price: &Price) -> (i64, i64) {
    let over = price.tiers.iter().map(|tier| &tier.rates).chain(price.service_tiers.values()).chain(price.off_peak.iter().map(|quiet| &quiet.rates));
    let tables = over.map(|over| price.base.overlaid(over));
    let (read, write) = std::iter::once(price.base).chain(tables).map(|rates| Full::of(&rates)).fold((0, 0), |(read, write), f| {
        let input = [f.input, f.cache_read, f.write, f.hour, f.half_day, f.audio, f.audio_read, f.image].into_iter().max().unwrap_or(0);
        let output = [f.output, f.reasoning, f.output_audio, f.output_image].into_iter().max().unwrap_or(0);
        (read.max(input), write.max(output))
    });
    // Where the answer is processed may be known only from the answer itself.
    let factor = price.residency.values().map(|factor| factor.0).max().unwrap_or(FACTOR_ONE).max(FACTOR_ONE);
    let times = |rate: i64| {
        let unit = i128::from(FACTOR_ONE);
        i64::try_from((i128::from(rate) * i128::from(factor) + unit - 1).div_euclid(unit)).unwrap_or(i64::MAX)
    };
    (times(read), times(write))
}

/// Tokens times rates, in millionths of a nano-USD.
fn sum(rates: &Rates, t: &Tokens) -> i128 {
    let full = Full::of(rates);
    let of = |tokens: i64, rate: i64| i128::from(tokens.max(0)) * i128::from(rate);
    let thought = t.reasoning.min(t.output);
    of(t.input, full.input)
        + of(t.cache_read, full.cache_read)
        + of(t.cache_write_5m, full.write)
        + of(t.cache_write_1h, full.hour)
        + of(t.cache_write_12h, full.half_day)
        + of(t.input_audio, full.audio)
        + of(t.cache_read_audio, full.audio_read)
        + of(t.input_image, full.image)
        + of(t.output - thought, full.output)
        + of(thought, full.reasoning)
        + of(t.output_audio, full.output_audio)
        + of(t.output_image, full.output_image)
}

/// From millionths of a nano-USD times [`FACTOR_ONE`]: half up, held at the largest amount.
fn round(exact: i128) -> NanoUsd {
    let unit = headworks_core::ATTOS_PER_NANO * i128::from(FACTOR_ONE);
    let nanos = (exact + unit / 2).div_euclid(unit);
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
        let priced = price(&sonnet(), &tokens, &Terms::default());
        assert_eq!(priced.cost.0, 10 * 3000 + 1000 * 300 + 100 * 3750 + 50 * 6000 + 20 * 15000);
        assert_eq!(priced.saved.0, 1150 * 3000 - (1000 * 300 + 100 * 3750 + 50 * 6000));
        assert_eq!(price(&Price { base: Rates { input: usd("1"), ..Rates::default() }, ..Price::default() }, &tokens, &Terms::default()).cost.0, 1160 * 1000);
    }

    #[test]
    fn a6_the_long_context_tier_reprices_the_whole_request() {
        let at = |input| price(&sonnet(), &Tokens { input, cache_read: 100_000, output: 10, ..Tokens::default() }, &Terms::default()).cost.0;
        assert_eq!(at(100_000), 100_000 * 3000 + 100_000 * 300 + 150_000);
        assert_eq!(at(100_001), 100_001 * 6000 + 100_000 * 600 + 225_000);
    }

    #[test]
    fn a11_rounded_half_up_once() {
        let cheap = Price { base: Rates { input: Some(1), output: Some(1), ..Rates::default() }, ..Price::default() };
        for (input, output, nanos) in [(499_999, 0, 0), (500_000, 0, 1), (250_000, 250_000, 1), (1_499_999, 0, 1)] {
            assert_eq!(price(&cheap, &Tokens { input, output, ..Tokens::default() }, &Terms::default()).cost.0, nanos, "{input} {output}");
        }
    }

    #[test]
    fn hours_service_tiers_and_residency_each_have_their_rule() {
        use headworks_core::{Factor, OffPeak, Window};
        let half = Rates { input: usd("1.5"), ..Rates::default() };
        let mut p = sonnet();
        p.off_peak = Some(OffPeak { rates: half, windows: vec![Window { days: 0x7f, from: 60, until: 120 }] });
        p.service_tiers.insert("flex".into(), Rates { input: usd("1"), ..Rates::default() });
        p.residency.insert("us".into(), Factor(1_100_000_000));
        p.per_request = Some(7);
        let tokens = Tokens { input: 1001, ..Tokens::default() };
        let cost = |service_tier, residency, unix_seconds| price(&p, &tokens, &Terms { service_tier, residency, unix_seconds }).cost.0;
        assert_eq!(cost(None, None, 0), 1001 * 3000 + 7);
        assert_eq!(cost(None, None, 3600), 1001 * 1500 + 7);
        assert_eq!(cost(Some("flex"), None, 3600), 1001 * 1000 + 7);
        assert_eq!(cost(None, Some("us"), 0), 1001 * 3300 + 7);
        assert_eq!(cost(None, Some("mars"), 0), 1001 * 3000 + 7);
        assert_eq!(price(&p, &Tokens::default(), &Terms::default()).cost.0, 0);
        assert_eq!(price(&p, &tokens, &Terms { residency: Some("us"), ..Terms::default() }).rates.input, usd("3.3"));
    }

    proptest! {
        #[test]
        fn more_tokens_never_cost_less(a in 0i64..1_000_000, b in 0i64..1_000_000, c in 0i64..1_000_000, more in 0i64..1000) {
            let tokens = Tokens { input: a, cache_read: b, output: c, reasoning: c / 2, ..Tokens::default() };
            let larger = Tokens { output: c + more, ..tokens };
            prop_assert!(price(&sonnet(), &tokens, &Terms::default()).cost <= price(&sonnet(), &larger, &Terms::default()).cost);
        }
    }
}
