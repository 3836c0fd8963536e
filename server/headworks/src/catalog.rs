//! `headworks catalog`: the models that the gateway knows, without starting it.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Write},
    path::Path,
};

use headworks_core::{Capability, Catalog, ModelOrigin, NanoUsd, Price, Status, Target, matches_pattern};
use headworks_providers::catalog;

use crate::config::Config;

type Env = BTreeMap<String, String>;

/// `headworks catalog check`.
pub fn check(named: Option<&Path>, env: &Env) -> Result<(), String> {
    let (config, file) = Config::load(named, env).map_err(|error| error.to_string())?;
    let source = file.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
    let lookup = |name: &str| env.get(name).cloned();
    let mut report = catalog::check(&config.providers, &source, &lookup);
    if report.problems.is_empty() {
        let made = catalog::load(&config.providers, &lookup).and_then(|made| catalog::aliases_lead(&made));
        report.problems.extend(made.err().map(|error| error.to_string()));
    }
    let catalog::Report { providers, models, listed, priced, aliases, configured, problems } = report;
    let mut text = problems.iter().map(|problem| format!("{problem}\n")).collect::<String>();
    text += &format!("{providers} providers, {models} models ({listed} listed, {priced} with a price, {configured} by {source}), {aliases} other names\n");
    say(&text)?;
    match problems.len() {
        0 => Ok(()),
        1 => Err("1 problem".to_owned()),
        many => Err(format!("{many} problems")),
    }
}

/// `headworks catalog list`.
pub fn list(named: Option<&Path>, pattern: &str, env: &Env) -> Result<(), String> {
    let catalog = load(named, env)?;
    let mut targets: Vec<_> = catalog.targets().filter(|target| matches_pattern(pattern, &target.id.to_string())).collect();
    targets.sort_by_cached_key(|target| target.id.to_string());
    if targets.is_empty() {
        return Err(format!("no model fits \"{pattern}\"{}", nearest(&catalog, pattern)));
    }
    say(&targets.iter().map(|target| line(target)).collect::<String>())
}

/// `headworks catalog show MODEL`.
pub fn show(named: Option<&Path>, model: &str, env: &Env) -> Result<(), String> {
    let catalog = load(named, env)?;
    let found = catalog.target(model).filter(|target| target.known).or_else(|| catalog.bare(model));
    let target = found.ok_or_else(|| format!("no model \"{model}\"{}", nearest(&catalog, model)))?;
    say(&all(&target))
}

fn load(named: Option<&Path>, env: &Env) -> Result<Catalog, String> {
    let (config, _) = Config::load(named, env).map_err(|error| error.to_string())?;
    catalog::load(&config.providers, &|name| env.get(name).cloned()).map_err(|error| error.to_string())
}

fn nearest(catalog: &Catalog, name: &str) -> String {
    let nearest = catalog.nearest(name);
    if nearest.is_empty() { String::new() } else { format!("; did you mean {}?", nearest.join(" or ")) }
}

/// Writes to standard output; a reader that has seen enough is no error.
fn say(text: &str) -> Result<(), String> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("the answer cannot be written: {error}")),
        _ => Ok(()),
    }
}

const fn standing(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Preview => "preview",
        Status::Deprecated => "deprecated",
        Status::Hidden => "hidden",
    }
}

fn dollars(rate: Option<i64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("${}", NanoUsd(rate)))
}

fn number(value: Option<i64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn line(target: &Target) -> String {
    let Some(model) = target.model.as_deref() else { return String::new() };
    let base = model.price.as_ref().map(|price| price.base).unwrap_or_default();
    format!(
        "{:<64} {:<9} {:<10} {:>9} {:>9} {:>9}\n",
        target.id.to_string(),
        model.mode,
        standing(model.status),
        number(model.context_window),
        dollars(base.input),
        dollars(base.output)
    )
}

fn all(target: &Target) -> String {
    let Some(model) = target.model.as_deref() else { return String::new() };
    let origin = match model.origin {
        ModelOrigin::BuiltIn => "the catalogue",
        ModelOrigin::Config => "the configuration, over the catalogue",
        ModelOrigin::Api => "the API",
    };
    let can = &model.capabilities;
    let known = can.named();
    let which = |wanted: Capability| known.iter().filter(|(_, has)| *has == wanted).map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut rows: Vec<(&str, String)> = vec![
        ("id", target.id.to_string()),
        ("sent as", target.upstream_name.to_string()),
        ("aliases", model.aliases.join(", ")),
        ("copy of", model.canonical.as_deref().unwrap_or_default().to_owned()),
        ("for", model.mode.to_string()),
        ("dialect", target.dialect.map_or_else(|| target.host.dialect_word.to_string(), |dialect| dialect.as_str().to_owned())),
        ("standing", standing(model.status).to_owned()),
        ("released", model.release_date.as_deref().unwrap_or_default().to_owned()),
        ("retired", model.deprecation_date.as_deref().unwrap_or_default().to_owned()),
        ("context", number(model.context_window)),
        ("most input", number(model.max_input_tokens)),
        ("most output", number(model.max_output_tokens)),
        ("dimensions", model.dimensions.map(|n| n.to_string()).unwrap_or_default()),
        ("can", which(Capability::Yes)),
        ("cannot", which(Capability::No)),
        ("takes", headworks_providers::parameters(target).join(", ")),
        ("regions", model.regions.join(", ")),
        ("known by", origin.to_owned()),
    ];
    rows.extend(model.price.as_deref().map(prices).unwrap_or_default());
    rows.iter().filter(|(_, value)| !value.is_empty() && value != "-").map(|(name, value)| format!("{name:<14} {value}\n")).collect()
}

fn prices(price: &Price) -> Vec<(&'static str, String)> {
    let r = &price.base;
    let per = [
        ("input", r.input),
        ("output", r.output),
        ("cache read", r.cache_read),
        ("cache write 5m", r.cache_write_5m),
        ("cache write 1h", r.cache_write_1h),
        ("reasoning", r.reasoning),
        ("audio input", r.input_audio),
        ("audio output", r.output_audio),
    ];
    let mut rows: Vec<_> =
        per.into_iter().filter(|(_, rate)| rate.is_some()).map(|(name, rate)| (name, format!("{} per million tokens", dollars(rate)))).collect();
    rows.extend(
        price.tiers.iter().map(|t| ("above", format!("{} tokens: input {}, output {}", t.above_input_tokens, dollars(t.rates.input), dollars(t.rates.output)))),
    );
    rows.extend(price.service_tiers.iter().map(|(name, t)| ("tier", format!("{name}: input {}, output {}", dollars(t.input), dollars(t.output)))));
    rows
}
