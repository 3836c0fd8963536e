//! A model in JSON: OpenAI's four members, OpenRouter's beside them, and ours in `headworks`.

use std::{collections::BTreeMap, sync::Arc};

use headworks_core::{CacheKind, Capability, ModelOrigin, Price, Rates, Status, Target, month_seconds};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Model {
    pub(super) id: String,
    object: &'static str,
    created: i64,
    owned_by: String,
    // What Anthropic's clients read.
    #[serde(rename = "type")]
    kind: &'static str,
    display_name: String,
    created_at: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<i64>,
    /// As earlier versions wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<Architecture>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<BTreeMap<&'static str, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_provider: Option<TopProvider>,
    supported_parameters: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical_slug: Option<Arc<str>>,
    headworks: Own,
}

#[derive(Serialize)]
struct Architecture {
    modality: String,
    input_modalities: Vec<&'static str>,
    output_modalities: Vec<&'static str>,
}

#[derive(Serialize)]
struct TopProvider {
    context_length: Option<i64>,
    max_completion_tokens: Option<i64>,
    is_moderated: bool,
}

/// What neither has a member for.
#[derive(Default, Serialize)]
struct Own {
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<Arc<str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    capabilities: BTreeMap<&'static str, bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_caching: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_date: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retirement_date: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    regions: Vec<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'static str>,
    /// Nano-USD per million tokens: what is billed, to the last digit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    nano_usd_per_million_tokens: BTreeMap<&'static str, i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tiers: Vec<Tier>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unit_prices: BTreeMap<Arc<str>, Arc<str>>,
}

#[derive(Serialize)]
struct Tier {
    above_input_tokens: i64,
    nano_usd_per_million_tokens: BTreeMap<&'static str, i64>,
}

/// US dollars per token, from nano-USD per million tokens: exact, without an exponent.
fn per_token(nanos: i64) -> String {
    let digits = format!("{:016}", nanos.unsigned_abs());
    let (whole, fraction) = digits.split_at(digits.len() - 15);
    let fraction = fraction.trim_end_matches('0');
    let sign = if nanos < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn named(rates: &Rates) -> BTreeMap<&'static str, i64> {
    let all = [
        ("input", rates.input),
        ("output", rates.output),
        ("cache_read", rates.cache_read),
        ("cache_write_5m", rates.cache_write_5m),
        ("cache_write_1h", rates.cache_write_1h),
        ("cache_write_12h", rates.cache_write_12h),
        ("reasoning", rates.reasoning),
        ("input_audio", rates.input_audio),
        ("output_audio", rates.output_audio),
        ("cache_read_audio", rates.cache_read_audio),
        ("input_image", rates.input_image),
        ("output_image", rates.output_image),
    ];
    all.into_iter().filter_map(|(name, rate)| Some((name, rate?))).collect()
}

/// In OpenRouter's words. A kind without a price of its own is left out.
fn pricing(price: &Price) -> BTreeMap<&'static str, String> {
    let r = &price.base;
    let all = [
        ("prompt", r.input),
        ("completion", r.output),
        ("input_cache_read", r.cache_read),
        ("input_cache_write", r.cache_write_5m),
        ("internal_reasoning", r.reasoning),
        ("audio", r.input_audio),
    ];
    let fee = price.per_request.map(|nanos| ("request", headworks_core::NanoUsd(nanos).to_string()));
    all.into_iter().filter_map(|(name, rate)| Some((name, per_token(rate?)))).chain(fee).collect()
}

fn architecture(can: &headworks_core::Capabilities, mode: &str) -> Architecture {
    let mut input = vec!["text"];
    for (word, has) in [("image", can.vision), ("file", can.pdf), ("audio", can.audio)] {
        if has == Capability::Yes {
            input.push(word);
        }
    }
    let output = if mode == "embedding" { "embeddings" } else { "text" };
    Architecture { modality: format!("{}->{output}", input.join("+")), input_modalities: input, output_modalities: vec![output] }
}

/// RFC 3339 of a date; the beginning of 1970 where there is none.
fn moment(date: Option<&str>) -> String {
    match date {
        Some(day) if day.len() == 10 => format!("{day}T00:00:00Z"),
        Some(month) => format!("{month}-01T00:00:00Z"),
        None => "1970-01-01T00:00:00Z".to_owned(),
    }
}

/// A model as this key sees it.
pub(super) fn model(target: &Target, unix_seconds: i64) -> Model {
    let facts = target.model.as_deref();
    let can = facts.map(|m| m.capabilities).unwrap_or_default();
    let price = facts.and_then(|m| m.price.as_deref());
    let mode = facts.map_or("chat", |m| &m.mode);
    let release = facts.and_then(|m| m.release_date.as_deref());
    let (context, most) = (facts.and_then(|m| m.context_window.or(m.max_input_tokens)), facts.and_then(|m| m.max_output_tokens));
    let known = can.named();
    let name = format!("{}: {}", target.host.name, target.id.model);
    Model {
        id: target.id.to_string(),
        object: "model",
        created: release.and_then(month_seconds).unwrap_or(0),
        owned_by: target.id.provider.to_string(),
        kind: "model",
        display_name: name.clone(),
        created_at: moment(release),
        name,
        context_length: context,
        context_window: facts.and_then(|m| m.context_window),
        max_output_tokens: most,
        architecture: Some(architecture(&can, mode)),
        pricing: price.map(pricing),
        top_provider: Some(TopProvider { context_length: context, max_completion_tokens: most, is_moderated: false }),
        supported_parameters: headworks_providers::parameters(target),
        canonical_slug: facts.and_then(|m| m.canonical.clone()),
        headworks: Own {
            mode: mode.to_owned(),
            provider: Some(target.id.provider.clone()),
            aliases: facts.map(|m| m.aliases.clone()).unwrap_or_default(),
            capabilities: known.into_iter().filter(|(_, has)| *has != Capability::Unknown).map(|(name, has)| (name, has == Capability::Yes)).collect(),
            prompt_caching: match can.caching {
                CacheKind::None => Some("none"),
                CacheKind::Automatic => Some("automatic"),
                CacheKind::Explicit => Some("explicit"),
                CacheKind::Unknown => None,
            },
            max_input_tokens: facts.and_then(|m| m.max_input_tokens),
            dimensions: facts.and_then(|m| m.dimensions),
            status: facts.map(|m| match m.status {
                Status::Active => "active",
                Status::Preview => "preview",
                Status::Deprecated => "deprecated",
                Status::Hidden => "hidden",
            }),
            release_date: facts.and_then(|m| m.release_date.clone()),
            retirement_date: facts.and_then(|m| m.deprecation_date.clone()),
            warning: headworks_policy::warning(target, unix_seconds),
            regions: facts.map(|m| &m.regions).filter(|r| !r.is_empty()).unwrap_or(&target.host.regions).clone(),
            origin: facts.map(|m| match m.origin {
                ModelOrigin::BuiltIn => "built-in",
                ModelOrigin::Config => "config",
                ModelOrigin::Api => "api",
            }),
            nano_usd_per_million_tokens: price.map(|p| named(&p.base)).unwrap_or_default(),
            tiers: price
                .map(|p| p.tiers.iter().map(|t| Tier { above_input_tokens: t.above_input_tokens, nano_usd_per_million_tokens: named(&t.rates) }).collect())
                .unwrap_or_default(),
            unit_prices: facts.map(|m| m.unit_prices.clone()).unwrap_or_default(),
        },
    }
}

/// A policy that this key may ask for as if it were a model.
pub(super) fn policy(id: String) -> Model {
    Model {
        object: "model",
        created: 0,
        owned_by: "headworks".to_owned(),
        kind: "model",
        display_name: id.clone(),
        created_at: moment(None),
        name: id.clone(),
        context_length: None,
        context_window: None,
        max_output_tokens: None,
        architecture: None,
        pricing: None,
        top_provider: None,
        supported_parameters: Vec::new(),
        canonical_slug: None,
        headworks: Own { mode: "policy".to_owned(), ..Own::default() },
        id,
    }
}

#[cfg(test)]
mod tests {
    use super::per_token;

    #[test]
    fn prices_per_token_are_exact() {
        for (nanos, text) in [
            (0, "0"),
            (3_000_000_000, "0.000003"),
            (150_000_000, "0.00000015"),
            (1, "0.000000000000001"),
            (20_000_000_000_000, "0.02"),
            (2_000_000_000_000_000, "2"),
            (1_234_567_890, "0.00000123456789"),
        ] {
            assert_eq!(per_token(nanos), text, "{nanos}");
        }
    }
}
