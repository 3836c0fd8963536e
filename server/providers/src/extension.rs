//! What OpenAI's body says to the gateway itself: `headworks` (or `requesty`),
//! and OpenRouter's `models` and `provider`.

use std::{sync::Arc, time::Duration};

use headworks_core::{CacheMark, ChatRequest, Fault, Json, NanoUsd, OnLoss, Sort};
use serde::Deserialize;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Headworks {
    auto_cache: Option<bool>,
    cache_ttl: Option<String>,
    tags: Option<Vec<Arc<str>>>,
    user_id: Option<Arc<str>>,
    trace_id: Option<Arc<str>>,
    request_id: Option<Arc<str>>,
    extra: Option<std::collections::BTreeMap<Arc<str>, Json>>,
    route: Option<Route>,
    on_loss: Option<String>,
    resume_window: Option<f64>,
    response_cache: Option<f64>,
    timeout_ms: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Route {
    models: Option<Vec<Arc<str>>>,
    only: Option<Vec<Arc<str>>>,
    ignore: Option<Vec<Arc<str>>>,
    order: Option<Vec<Arc<str>>>,
    allow_fallbacks: Option<bool>,
    require_parameters: Option<bool>,
    regions: Option<Vec<Arc<str>>>,
    max_price: Option<MaxPrice>,
    sort: Option<Arc<str>>,
}

/// OpenRouter's `provider`; what we have no use for is taken and left.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Provider {
    order: Option<Vec<Arc<str>>>,
    only: Option<Vec<Arc<str>>>,
    ignore: Option<Vec<Arc<str>>>,
    allow_fallbacks: Option<bool>,
    require_parameters: Option<bool>,
    max_price: Option<MaxPrice>,
    sort: Option<SortBy>,
}

/// A word, or OpenRouter's longer form.
#[derive(Deserialize)]
#[serde(untagged)]
enum SortBy {
    Word(Arc<str>),
    Object { by: Arc<str> },
}

fn sort(word: &str, field: &str) -> Result<Sort, Fault> {
    Sort::from_name(word).ok_or_else(|| Fault::invalid(field, format!("\"{word}\" is none of price, latency and throughput")))
}

/// What becomes of a request that a target cannot express, by its word.
pub fn on_loss(word: &str, field: &str) -> Result<OnLoss, Fault> {
    OnLoss::from_name(word).ok_or_else(|| Fault::invalid(field, format!("\"{word}\" is none of drop, refuse and skip")))
}

/// A length of time as clients write it.
pub fn seconds(seconds: f64, field: &str) -> Result<Duration, Fault> {
    Duration::try_from_secs_f64(seconds).map_err(|_| Fault::invalid(field, "must be a number of seconds, 0 or more"))
}

/// US dollars per million tokens, as number or string.
#[derive(Deserialize, Default)]
#[serde(default)]
struct MaxPrice {
    prompt: Option<Json>,
    completion: Option<Json>,
}

impl MaxPrice {
    fn read(&self, path: &str) -> Result<(NanoUsd, NanoUsd), Fault> {
        let one = |json: &Option<Json>, name: &str| match json {
            None => Ok(NanoUsd(i64::MAX)),
            Some(json) => NanoUsd::from_decimal(json.as_str().trim_matches('"'))
                .map_err(|error| Fault::invalid(format!("{path}.{name}"), format!("{error}, in US dollars per million tokens"))),
        };
        Ok((one(&self.prompt, "prompt")?, one(&self.completion, "completion")?))
    }
}

/// Puts what `headworks` says into the request.
fn headworks(request: &mut ChatRequest, said: Headworks, name: &str) -> Result<(), Fault> {
    let routing = &mut request.routing;
    request.auto_cache = said.auto_cache.or(request.auto_cache);
    if let Some(ttl) = said.cache_ttl {
        request.cache_ttl = match ttl.as_str() {
            "5m" => CacheMark::FiveMinutes,
            "1h" => CacheMark::OneHour,
            other => return Err(Fault::invalid(format!("{name}.cache_ttl"), format!("\"{other}\" is neither \"5m\" nor \"1h\""))),
        };
    }
    routing.tags = said.tags.unwrap_or_default();
    routing.user_id = said.user_id;
    routing.trace_id = said.trace_id;
    if let Some(id) = &said.request_id
        && (id.is_empty() || id.len() > 255)
    {
        return Err(Fault::invalid(format!("{name}.request_id"), "must have 1 to 255 characters"));
    }
    routing.request_id = said.request_id;
    routing.resume_window = said.resume_window.map(|window| seconds(window, &format!("{name}.resume_window"))).transpose()?;
    routing.response_cache = said.response_cache.map(|age| seconds(age, &format!("{name}.response_cache"))).transpose()?;
    if let Some(word) = said.on_loss {
        routing.on_loss = Some(on_loss(&word, &format!("{name}.on_loss"))?);
    }
    routing.timeout = said.timeout_ms.map(Duration::from_millis);
    for (key, value) in said.extra.unwrap_or_default() {
        routing.labels.insert(key.to_string(), value.as_str().trim_matches('"').to_owned());
    }
    if let Some(route) = said.route {
        routing.models = route.models.unwrap_or_default();
        routing.only = route.only.unwrap_or_default();
        routing.ignore = route.ignore.unwrap_or_default();
        routing.order = route.order.unwrap_or_default();
        routing.allow_fallbacks = route.allow_fallbacks;
        routing.require_parameters = route.require_parameters.unwrap_or(false);
        routing.regions = route.regions.unwrap_or_default();
        routing.sort = route.sort.map(|word| sort(&word, &format!("{name}.route.sort"))).transpose()?;
        routing.max_price = route.max_price.map(|price| price.read(&format!("{name}.route.max_price"))).transpose()?;
    }
    Ok(())
}

/// Puts what OpenRouter's `provider` says into the request.
pub(crate) fn provider(request: &mut ChatRequest, said: Provider) -> Result<(), Fault> {
    let routing = &mut request.routing;
    routing.order = said.order.unwrap_or_default();
    routing.only = said.only.unwrap_or_default();
    routing.ignore = said.ignore.unwrap_or_default();
    routing.allow_fallbacks = said.allow_fallbacks.or(routing.allow_fallbacks);
    routing.require_parameters |= said.require_parameters.unwrap_or(false);
    if let Some(SortBy::Word(word) | SortBy::Object { by: word }) = said.sort {
        routing.sort = Some(sort(&word, "provider.sort")?);
    }
    if let Some(price) = said.max_price {
        routing.max_price = Some(price.read("provider.max_price")?);
    }
    Ok(())
}

/// Puts everything that a body says to the gateway into the request: OpenRouter's `models` and `provider`
/// first, then `headworks`, which stands above them, or its other name `requesty`.
pub(crate) fn gateway(
    request: &mut ChatRequest,
    models: Vec<Arc<str>>,
    openrouter: Option<Provider>,
    ours: Option<Headworks>,
    requesty: Option<Headworks>,
) -> Result<(), Fault> {
    if let Some(said) = openrouter {
        provider(request, said)?;
    }
    match (ours, requesty) {
        (Some(_), Some(_)) => return Err(Fault::invalid("requesty", "stands beside headworks, which means the same; send one of them")),
        (Some(said), None) => headworks(request, said, "headworks")?,
        (None, Some(said)) => headworks(request, said, "requesty")?,
        (None, None) => {}
    }
    if request.routing.models.is_empty() {
        request.routing.models = models;
    }
    Ok(())
}
