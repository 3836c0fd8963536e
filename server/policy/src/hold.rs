//! The most an attempt can cost, held before it starts.

use headworks_core::{Capability, ChatRequest, DialectName, Effort, EmbedRequest, Markup, NanoUsd, Output, Part, PartKind, Price, Source, Target, Tool, Work};

use crate::cost::dearest;

/// What is held for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The most it can cost, markup included.
    pub amount: NanoUsd,
    /// The part of it that is markup.
    pub markup: NanoUsd,
    /// The most tokens it can write.
    pub output_limit: i64,
    /// Whether `amount` is a proven bound. Not for tools that the provider runs, nor where the model's limits are unknown.
    pub bounded: bool,
    /// Whether the price is known.
    pub price_known: bool,
    /// Whether its `max_tokens` may be lowered: not where that would cut what must be whole.
    pub lowerable: bool,
    /// What its input can cost, millionths of a nano-USD.
    input: i128,
    /// What a token of `output_limit` can cost, in the same unit.
    per_token: i128,
    rate: Markup,
}

impl Hold {
    /// The hold of an input of some cost and so many tokens of output, both in millionths of a nano-USD.
    pub fn new(input: i128, per_token: i128, output_limit: i64) -> Self {
        let hold = Self {
            amount: NanoUsd::ZERO,
            markup: NanoUsd::ZERO,
            output_limit,
            bounded: true,
            price_known: true,
            lowerable: false,
            input,
            per_token,
            rate: Markup::default(),
        };
        hold.of_output(output_limit)
    }

    /// The hold of what is billed by nobody.
    pub fn nothing() -> Self {
        Self::new(0, 0, 0)
    }

    /// The hold where no price is known.
    fn unpriced(output_limit: i64, bounded: bool) -> Self {
        Self { bounded, price_known: false, ..Self::new(0, 0, output_limit) }
    }

    /// The same with this much added to its cost.
    #[must_use]
    pub fn with_markup(self, rate: Markup) -> Self {
        Self { rate, ..self }.of_output(self.output_limit)
    }

    /// The same for another limit of output.
    #[must_use]
    pub fn of_output(self, output_limit: i64) -> Self {
        let exact = self.input + i128::from(output_limit) * self.per_token;
        let cost = NanoUsd(i64::try_from((exact + 999_999) / 1_000_000).unwrap_or(i64::MAX));
        let markup = self.rate.most(cost);
        Self { amount: cost + markup, markup, output_limit, ..self }
    }

    /// The largest limit of output whose hold is no more than `left`; below 0 where the input alone is more.
    pub fn fitting(&self, left: NanoUsd) -> i64 {
        if self.per_token == 0 {
            return if self.amount <= left { self.output_limit } else { -1 };
        }
        let cost = i128::from(self.rate.within(left).0) * 1_000_000;
        i64::try_from((cost - self.input).div_euclid(self.per_token)).unwrap_or(if cost > self.input { i64::MAX } else { -1 })
    }
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
        Work::CountTokens(_) => Hold::nothing(),
    }
}

/// Vectors cost what their input does; hosts that bill output bill none.
fn embed(target: &Target, request: &EmbedRequest) -> Hold {
    let Some(price) = target.model.as_deref().and_then(|m| m.price.as_deref()) else {
        return Hold::unpriced(0, true);
    };
    let input = request.inputs.iter().map(|input| AROUND + i64::try_from(input.most_tokens()).unwrap_or(i64::MAX)).fold(0, i64::saturating_add);
    let (read, _) = dearest(price);
    Hold::new(fee(price) + i128::from(input) * i128::from(read), 0, 0)
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
    // A window bounds what is read, not what the provider asks for each use of its tools.
    let fees_bounded = !request.tools.iter().any(|tool| matches!(tool, Tool::Hosted { .. }));
    let bounded = fees_bounded && (bounded_input || model.is_some_and(|m| m.context_window.is_some())) && (asked.is_some() || most.is_some());
    let answers = request.sampling.n.unwrap_or(1).max(1);
    let Some(price) = model.and_then(|m| m.price.as_deref()) else {
        return Hold::unpriced(output_limit, bounded);
    };
    let (read, write) = dearest(price);
    let hold = Hold::new(fee(price) + i128::from(input) * i128::from(read), i128::from(answers) * i128::from(write), output_limit);
    Hold { bounded, lowerable: lowerable(target, request), ..hold }
}

/// What a provider asks for the request itself, millionths of a nano-USD.
fn fee(price: &Price) -> i128 {
    i128::from(price.per_request.unwrap_or(0)) * headworks_core::ATTOS_PER_NANO
}

/// Whether a smaller `max_tokens` leaves an answer of use: thoughts could take all of it, and half a JSON value is none.
fn lowerable(target: &Target, request: &ChatRequest) -> bool {
    let asked = &request.reasoning;
    let off = asked.effort == Some(Effort::None) || asked.budget_tokens == Some(0);
    let on = !off && (asked.effort.is_some() || asked.budget_tokens.is_some());
    // Models that think unless told otherwise; Anthropic's think only when told.
    let by_itself = !off
        && target.dialect != Some(DialectName::Anthropic)
        && target.model.as_deref().is_some_and(|model| {
            let range = &model.reasoning;
            model.capabilities.reasoning == Capability::Yes && (range.budget.is_some() || !range.efforts.is_empty() && !range.efforts.contains(&Effort::None))
        });
    !on && !by_itself && !matches!(request.output, Output::Schema { .. })
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
    if let Output::Schema { schema, .. } = &request.output {
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

    use headworks_core::{ChatRequest, EmbedInput, Rates, Work};

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
            origin: Default::default(),
        };
        Target { id, host: Arc::new(host), model: Some(Arc::new(model)), upstream_name: "m".into(), dialect: None, known: true }
    }

    #[test]
    fn vectors_are_held_for_by_the_size_of_their_input_and_counts_are_free() {
        let inputs = vec![EmbedInput::Text("twelve bytes".into()), EmbedInput::Tokens(vec![1; 30])];
        let held = hold(&target(), &Work::from(EmbedRequest { inputs, ..Default::default() }));
        assert_eq!((held.amount, held.output_limit, held.bounded, held.price_known), (NanoUsd(12 + 30 + 2 * AROUND), 0, true, true));
        let counted = hold(&target(), &Work::CountTokens(Arc::new(ChatRequest::default())));
        assert_eq!((counted.amount, counted.bounded, counted.price_known), (NanoUsd::ZERO, true, true));
    }
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod proofs;
