//! What a request would cost at a target, by its estimated size.

use headworks_core::{NanoUsd, Target, Tokens, Work};

use crate::{Size, Terms, price, residency};

/// By estimate; `None`: the price is unknown.
pub(crate) fn expected(target: &Target, size: Size, work: &Work, unix_seconds: i64) -> Option<NanoUsd> {
    let model = target.model.as_deref()?;
    let output = model.max_output_tokens.map_or(size.output, |most| size.output.min(most));
    let tokens = Tokens { input: size.input, output, ..Tokens::default() };
    let place = residency(target, work, None);
    let terms = Terms { service_tier: work.chat().and_then(|chat| chat.service_tier.as_deref()), residency: place.as_deref(), unix_seconds };
    Some(price(model.price.as_deref()?, &tokens, &terms).cost)
}
