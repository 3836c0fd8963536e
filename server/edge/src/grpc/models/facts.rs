//! A model as clients see it.

use headworks_api::v1;
use headworks_core::{AuthScheme, CacheKind, Capability, Effort, ModelOrigin, Price, Rates, Status as Standing, Target, Window};

use crate::grpc::key_fields;

fn capability(value: Capability) -> i32 {
    (match value {
        Capability::Yes => v1::Capability::Yes,
        Capability::No => v1::Capability::No,
        Capability::Unknown => v1::Capability::Unspecified,
    }) as i32
}

fn rates(r: &Rates) -> v1::Rates {
    v1::Rates {
        input_nano_usd: r.input,
        output_nano_usd: r.output,
        cache_read_nano_usd: r.cache_read,
        cache_write_5m_nano_usd: r.cache_write_5m,
        cache_write_1h_nano_usd: r.cache_write_1h,
        cache_write_12h_nano_usd: r.cache_write_12h,
        reasoning_nano_usd: r.reasoning,
        input_audio_nano_usd: r.input_audio,
        output_audio_nano_usd: r.output_audio,
        cache_read_audio_nano_usd: r.cache_read_audio,
        input_image_nano_usd: r.input_image,
        output_image_nano_usd: r.output_image,
    }
}

fn price(p: &Price) -> v1::Price {
    v1::Price {
        base: Some(rates(&p.base)),
        tiers: p.tiers.iter().map(|t| v1::PriceTier { above_input_tokens: t.above_input_tokens, rates: Some(rates(&t.rates)) }).collect(),
        service_tiers: p.service_tiers.iter().map(|(name, r)| (name.to_string(), rates(r))).collect(),
        off_peak: p.off_peak.as_ref().map(|quiet| v1::OffPeak { rates: Some(rates(&quiet.rates)), windows: quiet.windows.iter().map(window).collect() }),
        residency_billionths: p.residency.iter().map(|(place, factor)| (place.to_string(), factor.0)).collect(),
    }
}

fn window(window: &Window) -> v1::TimeWindow {
    let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let days = (0..7).filter(|day| window.days & (1 << day) != 0).map(|day| day + 1).collect();
    v1::TimeWindow { days, start: clock(window.from), end: clock(window.until) }
}

pub(super) fn texts(list: &[std::sync::Arc<str>]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

pub(crate) fn supported(target: &Target) -> bool {
    target.dialect.is_some_and(|d| headworks_providers::dialect(d).is_some()) && !matches!(target.host.auth, AuthScheme::Unsupported(_))
}

fn effort(word: Effort) -> i32 {
    (match word {
        Effort::None => v1::ReasoningEffort::None,
        Effort::Minimal => v1::ReasoningEffort::Minimal,
        Effort::Low => v1::ReasoningEffort::Low,
        Effort::Medium => v1::ReasoningEffort::Medium,
        Effort::High => v1::ReasoningEffort::High,
        Effort::XHigh => v1::ReasoningEffort::Xhigh,
        Effort::Max => v1::ReasoningEffort::Max,
    }) as i32
}

pub(super) fn origin(origin: ModelOrigin) -> v1::ModelOrigin {
    match origin {
        ModelOrigin::BuiltIn => v1::ModelOrigin::BuiltIn,
        ModelOrigin::Config => v1::ModelOrigin::Config,
        ModelOrigin::Api => v1::ModelOrigin::Api,
    }
}

/// A model; `etag`: of what the API says of it.
pub(super) fn shown(target: &Target, etag: Option<u64>, unix_seconds: i64) -> v1::Model {
    let facts = target.model.as_deref();
    let can = facts.map(|m| m.capabilities).unwrap_or_default();
    let word = facts.and_then(|m| m.foreign_dialect.as_deref()).unwrap_or(&target.host.dialect_word);
    v1::Model {
        id: target.id.to_string(),
        provider: target.id.provider.to_string(),
        upstream_name: target.upstream_name.to_string(),
        aliases: facts.map(|m| texts(&m.aliases)).unwrap_or_default(),
        mode: facts.map_or("chat", |m| &m.mode).to_owned(),
        dialect: target.dialect.map_or(word, |d| d.as_str()).to_owned(),
        supported: supported(target),
        configured: target.host.configured,
        context_window: facts.and_then(|m| m.context_window),
        max_input_tokens: facts.and_then(|m| m.max_input_tokens),
        max_output_tokens: facts.and_then(|m| m.max_output_tokens),
        price: facts.and_then(|m| m.price.as_deref()).map(price),
        capabilities: Some(v1::Capabilities {
            tools: capability(can.tools),
            parallel_tools: capability(can.parallel_tools),
            vision: capability(can.vision),
            pdf: capability(can.pdf),
            audio: capability(can.audio),
            structured_output: capability(can.structured_output),
            reasoning: capability(can.reasoning),
            streaming: capability(can.streaming),
            sampling: capability(can.sampling),
            prompt_caching: match can.caching {
                CacheKind::None => "none",
                CacheKind::Automatic => "automatic",
                CacheKind::Explicit => "explicit",
                CacheKind::Unknown => "",
            }
            .to_owned(),
        }),
        status: match facts.map(|m| m.status) {
            None => v1::ModelStatus::Unspecified,
            Some(Standing::Active) => v1::ModelStatus::Active,
            Some(Standing::Preview) => v1::ModelStatus::Preview,
            Some(Standing::Deprecated) => v1::ModelStatus::Deprecated,
            Some(Standing::Hidden) => v1::ModelStatus::Hidden,
        } as i32,
        deprecation_date: facts.and_then(|m| m.deprecation_date.as_deref()).unwrap_or_default().to_owned(),
        regions: facts.map(|m| texts(&m.regions)).unwrap_or_default(),
        release_date: facts.and_then(|m| m.release_date.as_deref()).unwrap_or_default().to_owned(),
        canonical: facts.and_then(|m| m.canonical.as_deref()).unwrap_or_default().to_owned(),
        dimensions: facts.and_then(|m| m.dimensions),
        origin: facts.map_or(v1::ModelOrigin::Unspecified, |m| origin(m.origin)) as i32,
        etag: etag.map(key_fields::etag).unwrap_or_default(),
        supported_parameters: headworks_providers::parameters(target).into_iter().map(str::to_owned).collect(),
        unit_prices: facts.map(|m| m.unit_prices.iter().map(|(unit, price)| (unit.to_string(), price.to_string())).collect()).unwrap_or_default(),
        warning: headworks_policy::warning(target, unix_seconds).map(|text| text.to_string()).unwrap_or_default(),
        reasoning_efforts: facts.map(|m| m.reasoning.efforts.iter().map(|word| effort(*word)).collect()).unwrap_or_default(),
        cache_min_tokens: facts.and_then(|m| m.cache_min_tokens),
    }
}
