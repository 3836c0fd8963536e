//! One catalogue file.

use std::{collections::BTreeMap, sync::Arc};

use headworks_core::{
    AuthScheme, CacheKind, Capabilities, Capability, DialectName, Effort, EffortRange, FACTOR_ONE, Factor, Model, ModelId, ModelOrigin, NanoUsd, OffPeak,
    Price, Quirks, Rates, Status, Tier, Window, date_seconds, month_seconds,
};
use serde::Deserialize;

use super::{CatalogError, quirks::RawQuirks, rate, share};

/// What a file says of the host.
pub(super) struct HostFacts {
    pub name: Arc<str>,
    pub dialect: Option<DialectName>,
    pub dialect_word: Arc<str>,
    pub base_url: Arc<str>,
    pub auth: AuthScheme,
    pub key_env: Vec<Arc<str>>,
    pub regions: Vec<Arc<str>>,
    pub reseller: bool,
    pub quirks: Quirks,
    pub endpoints: Vec<(DialectName, Arc<str>)>,
}

/// A file.
pub(super) struct File {
    pub host: HostFacts,
    pub models: Vec<Model>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    dialect: Option<String>,
    dialect_word: String,
    base_url: String,
    auth: String,
    #[serde(default)]
    key_env: Vec<String>,
    #[serde(default)]
    regions: Vec<String>,
    #[serde(default)]
    reseller: bool,
    #[serde(default)]
    quirks: RawQuirks,
    #[serde(default)]
    endpoints: BTreeMap<String, String>,
    models: Vec<RawModel>,
}

/// What models are for.
const MODES: [&str; 5] = ["chat", "embedding", "image", "audio", "rerank"];

/// A model as files and configuration write it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawModel {
    /// Its name at the host.
    pub name: String,
    /// What the host calls it on the wire, if not by its name.
    pub upstream: Option<String>,
    /// `chat` unless said otherwise.
    pub mode: Option<String>,
    /// Its dialect, if not the host's.
    pub dialect: Option<String>,
    /// A dialect that has no name here.
    pub foreign: Option<String>,
    /// Tokens of input and output together.
    pub context: Option<i64>,
    /// Most tokens of input.
    pub max_input: Option<i64>,
    /// Most tokens of output.
    pub max_output: Option<i64>,
    /// What it costs; absent: unknown.
    pub price: Option<RawPrice>,
    /// What it can do.
    pub can: Vec<String>,
    /// What it cannot.
    pub cannot: Vec<String>,
    /// `none`, `automatic` or `explicit`.
    pub caching: Option<String>,
    /// Words of effort it takes.
    pub efforts: Vec<String>,
    /// Least and most tokens of thinking; 0: no bound.
    pub thinking_budget: Option<(i64, i64)>,
    /// Thinking can be turned on and off.
    pub thinking_toggle: bool,
    /// Fewest tokens worth a cache breakpoint.
    pub cache_min: Option<i64>,
    /// Where it runs.
    pub regions: Vec<String>,
    /// `active`, `preview`, `deprecated`, `hidden`.
    pub status: Option<String>,
    /// `YYYY-MM-DD`.
    pub deprecation: Option<String>,
    /// `YYYY-MM-DD`, or `YYYY-MM`.
    pub release: Option<String>,
    /// Other full ids.
    pub aliases: Vec<String>,
    /// The full id of the model that this is a copy of.
    pub canonical: Option<String>,
    /// Length of its vectors.
    pub dimensions: Option<i64>,
    /// Prices by units other than tokens: decimal strings, US dollars a unit.
    pub units: BTreeMap<String, String>,
}

/// Prices: decimal strings, US dollars per million tokens.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawPrice {
    /// Plain input.
    pub input: Option<String>,
    /// Output.
    pub output: Option<String>,
    /// Input read from a cache.
    pub cache_read: Option<String>,
    /// Input written to a cache for 5 minutes.
    pub cache_write_5m: Option<String>,
    /// Input written to a cache for one hour.
    pub cache_write_1h: Option<String>,
    /// Input written to a cache for 12 hours.
    pub cache_write_12h: Option<String>,
    /// Reasoning, where it is not billed as output.
    pub reasoning: Option<String>,
    /// Sound heard.
    pub input_audio: Option<String>,
    /// Sound written.
    pub output_audio: Option<String>,
    /// Sound read from a cache.
    pub cache_read_audio: Option<String>,
    /// Pictures seen.
    pub input_image: Option<String>,
    /// Pictures written.
    pub output_image: Option<String>,
    /// In a tier: it applies when all input tokens exceed this.
    pub above: Option<i64>,
    /// Rates for long inputs.
    pub tiers: Vec<RawPrice>,
    /// Rates by service tier.
    pub service_tiers: BTreeMap<String, RawPrice>,
    /// Rates of quiet hours.
    pub off_peak: Option<Box<RawPrice>>,
    /// Those hours.
    pub windows: Vec<RawWindow>,
    /// Factors by where it is made to process.
    pub residency: BTreeMap<String, String>,
}

/// Hours of the week, UTC.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawWindow {
    /// On which they begin: 1 is Monday, 7 Sunday. Empty: all.
    pub days: Vec<u8>,
    /// `HH:MM-HH:MM`; an end that is not later is on the next day.
    pub hours: Vec<String>,
}

/// Reads a file's models one by one: those that can be used, and what is wrong with the others. Fails where the file itself
/// cannot be read.
pub(super) fn look(id: &str, text: &str) -> Result<(Vec<Model>, Vec<CatalogError>), CatalogError> {
    let mut raw: Raw = toml::from_str(text).map_err(|error| CatalogError(error.to_string()))?;
    let (provider, mut prices): (Arc<str>, _) = (id.into(), Vec::new());
    let (mut models, mut wrong) = (Vec::new(), Vec::new());
    for model_of in std::mem::take(&mut raw.models) {
        let ordered = model_of.price.as_ref().is_none_or(|price| price.tiers.is_sorted_by_key(|tier| tier.above));
        match model(&provider, model_of, &mut prices) {
            Ok(model) if ordered => models.push(model),
            Ok(model) => wrong.push(CatalogError(format!("{}: price.tiers: are not in the order of their tokens", model.id))),
            Err(error) => wrong.push(error),
        }
    }
    // What it says of the host is read as it is at start.
    wrong.extend(made(id, raw).err());
    Ok((models, wrong))
}

/// Reads a file.
pub(super) fn read(id: &str, text: &str) -> Result<File, CatalogError> {
    let wrong = |what: String| CatalogError(format!("catalogue file {id}.toml: {what}"));
    made(id, toml::from_str(text).map_err(|error| wrong(error.to_string()))?)
}

fn made(id: &str, raw: Raw) -> Result<File, CatalogError> {
    let wrong = |what: String| CatalogError(format!("catalogue file {id}.toml: {what}"));
    let dialect = match raw.dialect.as_deref() {
        Some(name) => Some(DialectName::from_name(name).ok_or_else(|| wrong(format!("dialect \"{name}\" is not known")))?),
        None => None,
    };
    let auth = match raw.auth.split_once(':') {
        None if raw.auth == "none" => AuthScheme::None,
        None if raw.auth == "bearer" => AuthScheme::Bearer,
        None if raw.auth == "aws" => AuthScheme::Aws,
        None if raw.auth == "google" => AuthScheme::Google,
        None if raw.auth == "azure" => AuthScheme::Azure,
        Some(("header", name)) => AuthScheme::Header(name.to_lowercase().into()),
        Some(("unsupported", name)) => AuthScheme::Unsupported(name.into()),
        _ => return Err(wrong(format!("auth \"{}\" is not known", raw.auth))),
    };
    let arcs = |list: Vec<String>| list.into_iter().map(Arc::from).collect();
    let quirks = raw.quirks.over(Quirks::default()).map_err(|what| wrong(format!("quirks.{what}")))?;
    let endpoints = raw
        .endpoints
        .iter()
        .map(|(name, url)| Ok((DialectName::from_name(name).ok_or_else(|| wrong(format!("endpoints: \"{name}\" is no dialect")))?, url.as_str().into())))
        .collect::<Result<_, CatalogError>>()?;
    let provider: Arc<str> = id.into();
    let mut prices = Vec::new();
    let models = raw.models.into_iter().map(|m| model(&provider, m, &mut prices)).collect::<Result<_, _>>()?;
    let host = HostFacts {
        name: raw.name.into(),
        dialect,
        dialect_word: raw.dialect_word.into(),
        base_url: raw.base_url.into(),
        auth,
        key_env: arcs(raw.key_env),
        regions: arcs(raw.regions),
        reseller: raw.reseller,
        quirks,
        endpoints,
    };
    Ok(File { host, models })
}

/// Checks a model and makes it ours.
pub(super) fn model(provider: &Arc<str>, raw: RawModel, prices: &mut Vec<Arc<Price>>) -> Result<Model, CatalogError> {
    let place = format!("{provider}/{}", raw.name);
    let wrong = |field: &str, what: String| CatalogError(format!("{place}: {field}: {what}"));
    if raw.name.is_empty() {
        return Err(wrong("name", "is empty".to_owned()));
    }
    for (field, value) in
        [("context", raw.context), ("max_input", raw.max_input), ("max_output", raw.max_output), ("cache_min", raw.cache_min), ("dimensions", raw.dimensions)]
    {
        // Larger than any model's by far: a slip of units.
        if value.is_some_and(|n| !(1..=1_000_000_000).contains(&n)) {
            return Err(wrong(field, "must be a number above 0".to_owned()));
        }
    }
    if let Some(date) = raw.deprecation.as_deref().filter(|date| date_seconds(date).is_none()) {
        return Err(wrong("deprecation", format!("\"{date}\" is no date; write YYYY-MM-DD")));
    }
    if let Some(date) = raw.release.as_deref().filter(|date| month_seconds(date).is_none()) {
        return Err(wrong("release", format!("\"{date}\" is no date; write YYYY-MM-DD, or YYYY-MM where the day is not known")));
    }
    for region in &raw.regions {
        if region.is_empty() || !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(wrong("regions", format!("\"{region}\" is no region; they look like eu or eu-west-1")));
        }
    }
    if let Some(mode) = raw.mode.as_deref().filter(|mode| !MODES.contains(mode)) {
        return Err(wrong("mode", format!("\"{mode}\" is none of {}", MODES.join(", "))));
    }
    let dialect = match raw.dialect.as_deref() {
        Some(name) => Some(DialectName::from_name(name).ok_or_else(|| wrong("dialect", format!("\"{name}\" is no dialect")))?),
        None => None,
    };
    let mut capabilities = Capabilities::default();
    for (list, value, field) in [(&raw.can, Capability::Yes, "can"), (&raw.cannot, Capability::No, "cannot")] {
        for name in list {
            *match name.as_str() {
                "tools" => &mut capabilities.tools,
                "parallel_tools" => &mut capabilities.parallel_tools,
                "vision" => &mut capabilities.vision,
                "pdf" => &mut capabilities.pdf,
                "audio" => &mut capabilities.audio,
                "structured_output" => &mut capabilities.structured_output,
                "reasoning" => &mut capabilities.reasoning,
                "streaming" => &mut capabilities.streaming,
                "sampling" => &mut capabilities.sampling,
                other => return Err(wrong(field, format!("\"{other}\" is no capability"))),
            } = value;
        }
    }
    capabilities.caching = match raw.caching.as_deref() {
        None => CacheKind::Unknown,
        Some("none") => CacheKind::None,
        Some("automatic") => CacheKind::Automatic,
        Some("explicit") => CacheKind::Explicit,
        Some(other) => return Err(wrong("caching", format!("\"{other}\" is none of none, automatic, explicit"))),
    };
    let efforts = raw.efforts.iter().map(|word| effort(word).ok_or_else(|| wrong("efforts", format!("\"{word}\" is no effort")))).collect::<Result<_, _>>()?;
    let status = match raw.status.as_deref() {
        None | Some("active") => Status::Active,
        Some("preview") => Status::Preview,
        Some("deprecated") => Status::Deprecated,
        Some("hidden") => Status::Hidden,
        Some(other) => return Err(wrong("status", format!("\"{other}\" is none of active, preview, deprecated, hidden"))),
    };
    let unit_prices: BTreeMap<Arc<str>, Arc<str>> =
        raw.units.iter().map(|(unit, text)| unit_price(&place, unit, text).map(|()| (unit.as_str().into(), text.as_str().into()))).collect::<Result<_, _>>()?;
    let fee = per_request(&place, &unit_prices)?;
    let price = raw.price.map(|p| price(&place, &p)).transpose()?;
    let price = price.map(|p| Price { per_request: fee, ..p }).filter(|p| *p != Price::default()).map(|p| share(prices, p));
    let name: Arc<str> = raw.name.into();
    Ok(Model {
        upstream_name: raw.upstream.map_or_else(|| name.clone(), Arc::from),
        id: ModelId { provider: provider.clone(), model: name },
        mode: raw.mode.map_or_else(|| "chat".into(), Arc::from),
        dialect,
        foreign_dialect: raw.foreign.map(Arc::from),
        context_window: raw.context,
        max_input_tokens: raw.max_input,
        max_output_tokens: raw.max_output,
        price,
        capabilities,
        reasoning: EffortRange { efforts, budget: raw.thinking_budget, toggle: raw.thinking_toggle },
        cache_min_tokens: raw.cache_min,
        regions: raw.regions.into_iter().map(Arc::from).collect(),
        status,
        deprecation_date: raw.deprecation.map(Arc::from),
        release_date: raw.release.map(Arc::from),
        aliases: raw.aliases.into_iter().map(Arc::from).collect(),
        canonical: raw.canonical.map(Arc::from),
        dimensions: raw.dimensions,
        unit_prices,
        origin: ModelOrigin::BuiltIn,
    })
}

fn effort(word: &str) -> Option<Effort> {
    Some(match word {
        "none" => Effort::None,
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" => Effort::XHigh,
        "max" => Effort::Max,
        _ => return None,
    })
}

fn price(place: &str, raw: &RawPrice) -> Result<Price, CatalogError> {
    let mut tiers = raw
        .tiers
        .iter()
        .map(|tier| {
            let above = tier.above.filter(|n| *n > 0).ok_or_else(|| CatalogError(format!("{place}: price.tiers: above must be a number of tokens")))?;
            Ok(Tier { above_input_tokens: above, rates: rates(place, tier)? })
        })
        .collect::<Result<Vec<_>, CatalogError>>()?;
    tiers.sort_by_key(|tier| tier.above_input_tokens);
    if tiers.windows(2).any(|pair| matches!(pair, [a, b] if a.above_input_tokens == b.above_input_tokens)) {
        return Err(CatalogError(format!("{place}: price.tiers: two begin at the same number of tokens")));
    }
    let service_tiers = raw.service_tiers.iter().map(|(name, tier)| Ok((name.as_str().into(), rates(place, tier)?))).collect::<Result<_, CatalogError>>()?;
    let off_peak = match &raw.off_peak {
        Some(quiet) => Some(OffPeak { rates: rates(&format!("{place}: price.off_peak"), quiet)?, windows: windows(place, &quiet.windows)? }),
        None => None,
    };
    let residency = raw.residency.iter().map(|(name, text)| Ok((name.as_str().into(), factor(place, name, text)?))).collect::<Result<_, CatalogError>>()?;
    Ok(Price { base: rates(place, raw)?, tiers, service_tiers, off_peak, residency, per_request: None })
}

fn windows(place: &str, raw: &[RawWindow]) -> Result<Vec<Window>, CatalogError> {
    let wrong = |what: String| CatalogError(format!("{place}: price.off_peak.windows: {what}"));
    let mut windows = Vec::new();
    for span in raw {
        let mut days = if span.days.is_empty() { 0x7f } else { 0 };
        for day in &span.days {
            if !(1..=7).contains(day) {
                return Err(wrong(format!("day {day} is none of 1 (Monday) to 7 (Sunday)")));
            }
            days |= 1u8 << (day - 1);
        }
        for hours in &span.hours {
            let clock = |text: &str| {
                let (h, m) = text.split_once(':')?;
                let (h, m) = (h.parse::<u16>().ok()?, m.parse::<u16>().ok()?);
                (h <= 24 && m < 60 && h * 60 + m <= 1440).then_some(h * 60 + m)
            };
            let read = hours.split_once('-').and_then(|(from, until)| Some((clock(from)?, clock(until)?)));
            let (from, until) = read.ok_or_else(|| wrong(format!("\"{hours}\" is no span such as 04:00-06:00")))?;
            // Both lead to the same; this is how it is told.
            let until = if until == 0 { 1440 } else { until };
            if from == 1440 {
                return Err(wrong(format!("\"{hours}\" begins when the day is over; write 00:00")));
            }
            windows.push(Window { days, from, until });
        }
    }
    if windows.is_empty() { Err(wrong("are missing; off-peak rates need hours".to_owned())) } else { Ok(windows) }
}

/// A multiplier of prices. One outside a tenth and ten is a slip.
fn factor(place: &str, name: &str, text: &str) -> Result<Factor, CatalogError> {
    let wrong = |what: String| CatalogError(format!("{place}: price.residency.{name}: {what}"));
    let NanoUsd(factor) = NanoUsd::from_decimal(text).map_err(|error| wrong(error.to_string()))?;
    if !(FACTOR_ONE / 10..=FACTOR_ONE * 10).contains(&factor) {
        return Err(wrong(format!("\"{text}\" is out of range; it multiplies every price, so write 1.1 for a tenth more")));
    }
    Ok(Factor(factor))
}

/// A unit price is shown as it is written; it has to be a decimal that a unit can cost.
fn unit_price(place: &str, unit: &str, text: &str) -> Result<(), CatalogError> {
    let wrong = |what: &str| CatalogError(format!("{place}: units.{unit}: \"{text}\" {what}"));
    if !unit.starts_with("per_") {
        return Err(wrong("belongs to no unit; units are called per_request, per_image_input and the like"));
    }
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
        return Err(wrong("is not a plain decimal number such as 0.04"));
    }
    if whole.parse::<u32>().map_or(true, |dollars| dollars > 1000) {
        return Err(wrong("is out of range; it is US dollars for one unit"));
    }
    Ok(())
}

/// The one unit price that is billed, in nano-USD.
pub(super) fn per_request(place: &str, units: &BTreeMap<Arc<str>, Arc<str>>) -> Result<Option<i64>, CatalogError> {
    let read = |text: &Arc<str>| NanoUsd::from_decimal(text).map(|NanoUsd(nanos)| nanos);
    units.get("per_request").map(read).transpose().map_err(|error| CatalogError(format!("{place}: units.per_request: {error}")))
}

fn rates(place: &str, raw: &RawPrice) -> Result<Rates, CatalogError> {
    let one = |field: &str, text: &Option<String>| text.as_deref().map(|text| rate(&format!("{place}: price.{field}"), text)).transpose();
    Ok(Rates {
        input: one("input", &raw.input)?,
        output: one("output", &raw.output)?,
        cache_read: one("cache_read", &raw.cache_read)?,
        cache_write_5m: one("cache_write_5m", &raw.cache_write_5m)?,
        cache_write_1h: one("cache_write_1h", &raw.cache_write_1h)?,
        cache_write_12h: one("cache_write_12h", &raw.cache_write_12h)?,
        reasoning: one("reasoning", &raw.reasoning)?,
        input_audio: one("input_audio", &raw.input_audio)?,
        output_audio: one("output_audio", &raw.output_audio)?,
        cache_read_audio: one("cache_read_audio", &raw.cache_read_audio)?,
        input_image: one("input_image", &raw.input_image)?,
        output_image: one("output_image", &raw.output_image)?,
    })
}
