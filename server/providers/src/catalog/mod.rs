//! The catalogue of hosts and models: facts in files, range-checked on load.

mod check;
mod cloud;
mod config;
mod file;
mod layer;
mod quirks;

use std::{collections::BTreeMap, sync::Arc};

pub use check::{Report, aliases_lead, check};
pub use config::HostOverride;
pub use file::{RawModel, RawPrice, RawWindow};
use headworks_core::{AuthScheme, Catalog, DialectName, Host, ModelOrigin, NanoUsd, Price};
pub use layer::Said;
use layer::lay;
pub use quirks::RawQuirks;

const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

/// The provider that is built in.
pub const SANDBOX: &str = "sandbox";

/// Why there is no catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogError(pub String);

impl std::fmt::Display for CatalogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CatalogError {}

/// Where a host's key was looked for.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The catalogue with what the configuration changes. `env` says what an
/// environment variable holds: only whether a key is there is looked at.
pub fn load(overrides: &BTreeMap<String, HostOverride>, env: Env<'_>) -> Result<Catalog, CatalogError> {
    layered(overrides, &[], env).map(|(catalog, _)| catalog)
}

/// The same with what the API says of models over both, field by field. What of that cannot be used is left out and told:
/// a provider that is gone from the configuration is no reason not to start.
pub fn layered(overrides: &BTreeMap<String, HostOverride>, said: &[Said], env: Env<'_>) -> Result<(Catalog, Vec<CatalogError>), CatalogError> {
    let (mut hosts, mut models, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    let ids = FILES.iter().map(|(id, text)| (*id, Some(*text)));
    let added = overrides.keys().map(String::as_str).filter(|id| !FILES.iter().any(|(known, _)| known == id)).map(|id| (id, None));
    for (id, text) in ids.chain(added) {
        let over = overrides.get(id);
        if over.is_some_and(|over| over.enabled == Some(false)) {
            continue;
        }
        let file = text.map(|text| file::read(id, text)).transpose()?;
        let host = host(id, file.as_ref().map(|file| &file.host), over, env)?;
        let mut here = file.map(|file| file.models).unwrap_or_default();
        cloud::settle(&host, &mut here);
        let (provider, mut prices): (Arc<str>, _) = (host.id.clone(), Vec::new());
        for raw in over.into_iter().flat_map(|over| &over.models) {
            lay(&provider, raw, ModelOrigin::Config, &mut here, &mut prices).map_err(|error| CatalogError(format!("providers.{id}.models: {error}")))?;
        }
        for one in said.iter().filter(|one| *one.provider == *id) {
            wrong.extend(lay(&provider, &one.model, ModelOrigin::Api, &mut here, &mut prices).err());
        }
        hosts.push(host);
        models.extend(here);
    }
    let unknown = said.iter().filter(|one| !hosts.iter().any(|host| host.id == one.provider));
    wrong.extend(unknown.map(|one| CatalogError(format!("{}/{}: there is no provider \"{}\"", one.provider, one.model.name, one.provider))));
    let hosts = hosts.into_iter().map(Arc::new);
    Ok((Catalog::new(hosts, models.into_iter().map(Arc::new)), wrong))
}

/// The environment variable that holds a host's key now, if one does.
pub fn key_variable<'a>(host: &'a Host, env: Env<'_>) -> Option<&'a Arc<str>> {
    host.key_env.iter().find(|name| env(name).is_some_and(|value| !value.trim().is_empty()))
}

fn host(id: &str, known: Option<&file::HostFacts>, over: Option<&HostOverride>, env: Env<'_>) -> Result<Host, CatalogError> {
    let wrong = |field: &str, what: String| CatalogError(format!("providers.{id}.{field}: {what}"));
    let word = over.and_then(|o| o.dialect.as_deref());
    let dialect = match (word, known) {
        (Some(word), _) => Some(DialectName::from_name(word).ok_or_else(|| {
            let names: Vec<&str> = DialectName::ALL.iter().map(|d| d.as_str()).collect();
            wrong("dialect", format!("\"{word}\" is no dialect; use one of {}", names.join(", ")))
        })?),
        (None, Some(known)) => known.dialect,
        (None, None) => return Err(wrong("dialect", format!("is missing; \"{id}\" is not in the catalogue, so say dialect and base_url"))),
    };
    let base_url = over.and_then(|o| o.base_url.as_deref()).or(known.map(|k| &*k.base_url)).unwrap_or_default().trim_end_matches('/');
    if base_url.is_empty() && known.is_none() {
        return Err(wrong("base_url", "is missing".to_owned()));
    }
    let local = id == SANDBOX && base_url == "sandbox:";
    if !base_url.is_empty() && !local && !base_url.starts_with("http://") && !base_url.starts_with("https://") {
        return Err(wrong("base_url", format!("\"{base_url}\" does not begin with http:// or https://")));
    }
    let own_env = over.and_then(|o| o.api_key_env.as_deref());
    let auth = match known.map(|k| &k.auth) {
        // A local server that was given a key is shown it.
        Some(AuthScheme::None) if own_env.is_some() => AuthScheme::Bearer,
        Some(auth) => auth.clone(),
        None => match (dialect, own_env) {
            (Some(DialectName::Vertex), None) => AuthScheme::Google,
            (Some(DialectName::Azure), None) => AuthScheme::Azure,
            (Some(DialectName::Bedrock), None) => AuthScheme::Aws,
            (_, None) => AuthScheme::None,
            (Some(DialectName::Anthropic), _) => AuthScheme::Header("x-api-key".into()),
            (Some(DialectName::Gemini), _) => AuthScheme::Header("x-goog-api-key".into()),
            (Some(DialectName::Azure), _) => AuthScheme::Azure,
            _ => AuthScheme::Bearer,
        },
    };
    let key_env: Vec<Arc<str>> = match own_env {
        Some(name) => vec![name.into()],
        None => known.map(|k| k.key_env.clone()).unwrap_or_default(),
    };
    let mut quirks = known.map(|k| k.quirks.clone()).unwrap_or_default();
    if known.is_none() && dialect == Some(DialectName::Anthropic) {
        quirks.headers.push(("anthropic-version".into(), "2023-06-01".into()));
    }
    if let Some(said) = over.and_then(|o| o.quirks.as_ref()) {
        quirks = said.over(quirks).map_err(|what| wrong("quirks", what))?;
    }
    for (name, value) in over.into_iter().flat_map(|o| &o.headers) {
        quirks.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        quirks.headers.push((name.to_lowercase().into(), value.as_str().into()));
    }
    let mut host = Host {
        id: id.into(),
        name: over.and_then(|o| o.name.as_deref()).or(known.map(|k| &*k.name)).unwrap_or(id).into(),
        dialect,
        dialect_word: known.filter(|_| word.is_none()).map_or_else(|| dialect.map_or("", DialectName::as_str).into(), |k| k.dialect_word.clone()),
        base_url: base_url.into(),
        auth,
        key_env,
        regions: over
            .and_then(|o| o.regions.clone())
            .map_or_else(|| known.map(|k| k.regions.clone()).unwrap_or_default(), |r| r.iter().map(|r| r.as_str().into()).collect()),
        reseller: known.is_some_and(|k| k.reseller),
        quirks,
        options: cloud::options(dialect, over, env),
        configured: false,
    };
    let redirected = over.is_some_and(|o| o.base_url.is_some());
    host.options.endpoints = known.filter(|_| word.is_none()).map(|k| k.endpoints.clone()).unwrap_or_default();
    cloud::complete(&mut host, redirected, env);
    host.options.residency = host.options.residency.take().or_else(|| residency(&host));
    // A local server needs no key but has to be there: asked for in the configuration, or the sandbox.
    let keyless = host.auth == AuthScheme::None && (over.is_some() || local || known.is_none());
    host.configured = !host.base_url.is_empty()
        && !host.base_url.contains('{')
        && (keyless || key_variable(&host, env).is_some() || cloud::credentials(&host, over.is_some(), env));
    if !host.configured {
        host.options.missing = cloud::missing(&host);
    }
    Ok(host)
}

/// Where a host is made to process by its address, where its prices depend on that: OpenAI's regional
/// domains, and a location of Vertex other than `global`.
fn residency(host: &Host) -> Option<Arc<str>> {
    if let Some(rest) = host.base_url.strip_prefix("https://")
        && let Some((region @ ("eu" | "us"), "api.openai.com" | "api.openai.com/v1")) = rest.split_once('.')
    {
        return Some(region.into());
    }
    let regional = host.dialect == Some(DialectName::Vertex) && host.options.location.as_deref().is_some_and(|place| place != "global");
    regional.then(|| "regional".into())
}

/// Reads an exact decimal of US dollars per million tokens as a rate. A rate that
/// is most likely per token, or per thousand, is refused: A11.
pub(crate) fn rate(place: &str, text: &str) -> Result<i64, CatalogError> {
    /// $20,000 per million tokens: above any model's.
    const MOST: i64 = 20_000_000_000_000;
    /// A hundredth of a cent per million tokens: below any model's, and above what any but the dearest costs per token.
    const LEAST: i64 = 100_000;
    let wrong = |what: String| CatalogError(format!("{place}: {what}"));
    let NanoUsd(nanos) = NanoUsd::from_decimal(text).map_err(|error| wrong(error.to_string()))?;
    if nanos != 0 && !(LEAST..=MOST).contains(&nanos) {
        return Err(wrong(format!("\"{text}\" is out of range; prices are US dollars per million tokens")));
    }
    Ok(nanos)
}

/// Shares equal prices: most models of a family cost the same.
pub(crate) fn share(seen: &mut Vec<Arc<Price>>, price: Price) -> Arc<Price> {
    if let Some(found) = seen.iter().find(|known| ***known == price) {
        return found.clone();
    }
    let price = Arc::new(price);
    seen.push(price.clone());
    price
}

#[cfg(test)]
mod tests;
