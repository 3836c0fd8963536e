//! The most an attempt can cost, held before it starts.

use headworks_core::{ChatRequest, EmbedRequest, FACTOR_ONE, NanoUsd, Part, PartKind, Price, Rates, Source, Target, Tool, Work};

/// What is held for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The most it can cost.
    pub amount: NanoUsd,
    /// The most tokens it can write.
    pub output_limit: i64,
    /// Whether `amount` is a proven bound. Not for tools that the provider runs, nor where the model's limits are unknown.
    pub bounded: bool,
    /// Whether the price is known.
    pub price_known: bool,
}

/// Tokens of template around each message, tool and part: generous.
const AROUND: i64 = 16;
/// Tokens of a picture, whatever its size: more than any provider of the catalogue charges for one at full detail.
const PICTURE: i64 = 6_000;
/// Output that a model of unknown limits is given where a dialect needs a number.
const UNKNOWN_OUTPUT: i64 = 4_096;

/// The most that work can cost at a target. A token is at least one byte of
/// UTF-8, so the bytes bound the tokens of text.
pub fn hold(target: &Target, work: &Work) -> Hold {
    match work {
        Work::Chat(request) => chat(target, request),
        Work::Embed(request) => embed(target, request),
        // No provider bills a count.
        Work::CountTokens(_) => Hold { amount: NanoUsd::ZERO, output_limit: 0, bounded: true, price_known: true },
    }
}

/// Vectors cost what their input does; hosts that bill output bill none.
fn embed(target: &Target, request: &EmbedRequest) -> Hold {
    let Some(price) = target.model.as_deref().and_then(|m| m.price.as_deref()) else {
        return Hold { amount: NanoUsd::ZERO, output_limit: 0, bounded: true, price_known: false };
    };
    let input = request.inputs.iter().map(|input| AROUND + i64::try_from(input.most_tokens()).unwrap_or(i64::MAX)).fold(0, i64::saturating_add);
    let (read, _) = dearest(price);
    let nanos = (i128::from(price.per_request.unwrap_or(0)) * 1_000_000 + i128::from(input) * i128::from(read) + 999_999) / 1_000_000;
    Hold { amount: NanoUsd(i64::try_from(nanos).unwrap_or(i64::MAX)), output_limit: 0, bounded: true, price_known: true }
}

fn chat(target: &Target, request: &ChatRequest) -> Hold {
    let model = target.model.as_deref();
    let most = model.and_then(|m| m.max_output_tokens.or(m.context_window));
    let asked = request.sampling.max_tokens;
    // A client's 1e9 pins no budget: the model stops at its own limit.
    let output_limit = match (asked, most) {
        (Some(asked), Some(most)) => asked.min(most),
        (Some(asked), None) => asked,
        (None, Some(most)) => most,
        (None, None) => UNKNOWN_OUTPUT,
    }
    .max(0);
    let (input, bounded_input) = input_bound(request);
    let input = match model.and_then(|m| m.max_input_tokens.or(m.context_window)) {
        Some(window) => input.min(window),
        None => input,
    };
    let bounded = (bounded_input || model.is_some_and(|m| m.context_window.is_some())) && (asked.is_some() || most.is_some());
    let answers = request.sampling.n.unwrap_or(1).max(1);
    let Some(price) = model.and_then(|m| m.price.as_deref()) else {
        return Hold { amount: NanoUsd::ZERO, output_limit, bounded, price_known: false };
    };
    let (read, write) = dearest(price);
    let fee = i128::from(price.per_request.unwrap_or(0)) * 1_000_000;
    let exact = fee + i128::from(input) * i128::from(read) + i128::from(output_limit) * i128::from(answers) * i128::from(write);
    let nanos = (exact + 999_999) / 1_000_000;
    Hold { amount: NanoUsd(i64::try_from(nanos).unwrap_or(i64::MAX)), output_limit, bounded, price_known: true }
}

/// The highest rate that any input, and any output, can be charged at.
fn dearest(price: &Price) -> (i64, i64) {
    let tables = std::iter::once(&price.base)
        .chain(price.tiers.iter().map(|t| &t.rates))
        .chain(price.service_tiers.values())
        .chain(price.off_peak.iter().map(|quiet| &quiet.rates));
    let mut read = 0;
    let mut write = 0;
    for r in tables {
        let Rates {
            input,
            output,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            cache_write_12h,
            reasoning,
            input_audio,
            output_audio,
            cache_read_audio,
            input_image,
            output_image,
        } = *r;
        let most = |rates: &[Option<i64>]| rates.iter().flatten().copied().max().unwrap_or(0);
        read = most(&[Some(read), input, cache_read, cache_write_5m, cache_write_1h, cache_write_12h, input_audio, cache_read_audio, input_image]);
        write = most(&[Some(write), output, reasoning, output_audio, output_image]);
    }
    // Where a provider writes to a cache by the hour and names no rate, it is twice the input.
    if price.base.cache_write_5m.is_some() && price.base.cache_write_1h.is_none() {
        read = read.max(price.base.input.unwrap_or(0).saturating_mul(2));
    }
    // Where the answer is processed may be known only from the answer itself.
    let factor = price.residency.values().map(|factor| factor.0).max().unwrap_or(FACTOR_ONE).max(FACTOR_ONE);
    let times = |rate: i64| {
        let unit = i128::from(FACTOR_ONE);
        i64::try_from((i128::from(rate) * i128::from(factor) + unit - 1).div_euclid(unit)).unwrap_or(i64::MAX)
    };
    (times(read), times(write))
}

/// Most tokens of the input, and whether that is proven.
fn input_bound(request: &ChatRequest) -> (i64, bool) {
    let mut total = AROUND;
    let mut proven = true;
    for message in &request.messages {
        total += AROUND;
        for part in &message.parts {
            add(part, &mut total, &mut proven);
        }
    }
    for tool in &request.tools {
        total += AROUND * 4;
        match tool {
            Tool::Function { name, description, parameters, .. } => {
                total += bytes(name) + description.as_deref().map_or(0, bytes) + parameters.as_ref().map_or(0, |p| bytes(p.as_str()));
            }
            Tool::Hosted { json, .. } => {
                // What the provider's own tool reads is not ours to bound.
                total += bytes(json.as_str());
                proven = false;
            }
        }
    }
    if let headworks_core::Output::Schema { schema, .. } = &request.output {
        total += bytes(schema.as_str()) + AROUND;
    }
    (total, proven)
}

fn bytes(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

fn add(part: &Part, total: &mut i64, proven: &mut bool) {
    *total += AROUND;
    match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => *total += bytes(text),
        PartKind::Reasoning { text, signature, redacted } => {
            *total += bytes(text) + signature.as_deref().map_or(0, bytes) + redacted.as_deref().map_or(0, bytes);
        }
        PartKind::ToolCall { id, name, arguments, .. } => *total += bytes(id) + bytes(name) + bytes(arguments),
        PartKind::ToolResult { parts, .. } => parts.iter().for_each(|p| add(p, total, proven)),
        PartKind::Image { .. } => *total += PICTURE,
        // A page of a file is at least a few hundred bytes; its base64 bounds text and pictures of it alike.
        PartKind::File { source: Source::Base64 { data, .. }, .. } => *total += bytes(data),
        PartKind::File { .. } => *proven = false,
        PartKind::Audio { data, .. } => *total += bytes(data),
        PartKind::Opaque(opaque) => *total += bytes(opaque.json.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headworks_core::{ChatRequest, EmbedInput, Work};

    use super::*;

    /// A target whose input costs a nano-dollar a token.
    fn target() -> Target {
        let host = headworks_core::Host {
            id: "h".into(),
            name: "h".into(),
            dialect: None,
            dialect_word: "h".into(),
            base_url: "http://h".into(),
            auth: headworks_core::AuthScheme::None,
            key_env: vec![],
            regions: vec![],
            reseller: false,
            quirks: Default::default(),
            options: Default::default(),
            configured: true,
        };
        let id = headworks_core::ModelId::new("h", "m");
        let model = headworks_core::Model {
            id: id.clone(),
            upstream_name: "m".into(),
            mode: "embedding".into(),
            dialect: None,
            foreign_dialect: None,
            context_window: None,
            max_input_tokens: None,
            max_output_tokens: None,
            price: Some(Arc::new(Price { base: Rates { input: Some(1_000_000), ..Rates::default() }, ..Price::default() })),
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
        };
        Target { id, host: Arc::new(host), model: Some(Arc::new(model)), upstream_name: "m".into(), dialect: None, known: true }
    }

    #[test]
    fn vectors_are_held_for_by_the_size_of_their_input_and_counts_are_free() {
        let inputs = vec![EmbedInput::Text("twelve bytes".into()), EmbedInput::Tokens(vec![1; 30])];
        let held = hold(&target(), &Work::from(EmbedRequest { inputs, ..Default::default() }));
        assert_eq!(held, Hold { amount: NanoUsd(12 + 30 + 2 * AROUND), output_limit: 0, bounded: true, price_known: true });
        let counted = hold(&target(), &Work::CountTokens(Arc::new(ChatRequest::default())));
        assert_eq!((counted.amount, counted.bounded, counted.price_known), (NanoUsd::ZERO, true, true));
    }
}
