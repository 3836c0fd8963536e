//! Whether a target can serve a request at all: names, keys, regions, prices, capabilities.

use std::sync::Arc;

use headworks_core::{AuthScheme, Capability, Catalog, Cause, ChatRequest, Fault, Key, Output, Part, PartKind, Reason, Source, Target, Tool, Violation, Work};

pub(crate) fn forbidden(name: &str) -> Fault {
    Fault::new(Reason::ModelForbidden, format!("this key may not use {name}; GET /v1/models lists what it may"))
}

/// The target of a name.
pub(crate) fn target(name: &str, catalog: &Catalog) -> Result<Arc<Target>, Fault> {
    if let Some(found) = catalog.target(name) {
        return Ok(found);
    }
    if let Some(found) = catalog.bare(name) {
        return Ok(found);
    }
    let nearest = catalog.nearest(name);
    let hint = if nearest.is_empty() { "GET /v1/models lists them".to_owned() } else { format!("did you mean {}?", nearest.join(" or ")) };
    let what = match name.split_once('/') {
        Some((provider, _)) if catalog.host(provider).is_none() => format!("no provider \"{provider}\" (asked for \"{name}\")"),
        Some(_) => format!("no model \"{name}\""),
        None => format!("no model \"{name}\"; write provider/model"),
    };
    Err(Fault::new(Reason::ModelNotFound, format!("{what}; {hint}")))
}

/// Why a target cannot serve a request.
pub(crate) fn check<'a>(target: &Target, work: &Work, tenant: &Key, by_policy: bool, regions: impl Iterator<Item = &'a [Arc<str>]>) -> Result<(), Fault> {
    let id = &target.id;
    let routing = work.routing();
    // What an admin put into a policy may be used by every key that may use the policy.
    if !by_policy && !tenant.may_use(&id.to_string()) {
        return Err(forbidden(&id.to_string()));
    }
    // Providers are another matter: where data may go holds for policies too.
    if !tenant.may_use_provider(&id.provider) {
        return Err(Fault::new(Reason::ModelForbidden, format!("{id}: calls of this key may not go to provider {}", id.provider)).at(id));
    }
    let filtered = |what: String| Fault::new(Reason::CapabilityMissing, what).at(id);
    if !routing.only.is_empty() && !names(&routing.only, target) {
        return Err(filtered(format!("{id} is not among those allowed by the request (only)")));
    }
    if names(&routing.ignore, target) {
        return Err(filtered(format!("{id} is left out by the request (ignore)")));
    }
    let model = target.model.as_deref();
    for wanted in regions.filter(|r| !r.is_empty()) {
        if !stays_in(target, wanted) {
            let wanted: Vec<&str> = wanted.iter().map(|r| &**r).collect();
            return Err(Fault::new(Reason::RegionForbidden, format!("{id} is not known to process only in {}", wanted.join(", "))).at(id));
        }
    }
    if target.dialect.is_none() {
        let word = model.and_then(|m| m.foreign_dialect.as_deref()).unwrap_or(&target.host.dialect_word);
        return Err(filtered(format!("{id} speaks {word}, which this build does not")));
    }
    if let AuthScheme::Unsupported(scheme) = &target.host.auth {
        return Err(filtered(format!("{id} wants credentials by {scheme}, which this build does not have")));
    }
    if let Some(mode) = model.map(|m| &*m.mode).filter(|mode| *mode != work.kind().mode()) {
        return Err(filtered(format!("{id} is for {mode}, not for {}", work.kind().mode())));
    }
    if let Some((input, output)) = routing.max_price {
        let rates = model.and_then(|m| m.price.as_deref()).map(|p| p.base);
        let dear = |rate: Option<i64>, most: headworks_core::NanoUsd| rate.is_none_or(|rate| rate > most.0) && most.0 != i64::MAX;
        if rates.is_none_or(|r| dear(r.input, input) || dear(r.output, output)) {
            return Err(filtered(format!("{id} costs more than max_price allows, or its price is unknown")));
        }
    }
    if let Some(chat) = work.chat() {
        capable(target, chat)?;
    }
    if !target.host.configured {
        let env = target.host.key_env.first().map_or("its key", |env| env);
        let what = target.host.options.missing.as_deref().map_or_else(|| format!("the operator must set {env}"), |what| format!("it lacks {what}"));
        return Err(Fault::new(Reason::UpstreamCredentials, format!("{id}: provider {} is not configured; {what}", id.provider)).at(id));
    }
    Ok(())
}

/// Whether a key may use a target that it asks for by name, whatever the request.
pub fn usable(target: &Target, tenant: &Key) -> bool {
    tenant.may_use(&target.id.to_string()) && (tenant.regions.is_empty() || stays_in(target, &tenant.regions))
}

/// Whether a target is known to process in these regions only. All of its places must be allowed: a target that may
/// process elsewhere is no residency.
fn stays_in(target: &Target, wanted: &[Arc<str>]) -> bool {
    let places = target.model.as_deref().map(|m| &m.regions[..]).filter(|r| !r.is_empty()).unwrap_or(&target.host.regions);
    !places.is_empty() && places.iter().all(|place| wanted.iter().any(|region| lies_in(place, region)))
}

/// Whether a list of providers and `provider/model` names holds a target.
pub(crate) fn names(list: &[Arc<str>], target: &Target) -> bool {
    let id = &target.id;
    list.iter().any(|name| *name == id.provider || name.split_once('/').is_some_and(|(p, m)| *p == *id.provider && *m == *id.model))
}

/// Whether a place lies in a region: `eu-west-1` lies in `eu`.
fn lies_in(place: &str, region: &str) -> bool {
    place.strip_prefix(region).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// What a model is known not to take.
fn capable(target: &Target, request: &ChatRequest) -> Result<(), Fault> {
    let Some(model) = target.model.as_deref() else { return Ok(()) };
    let can = &model.capabilities;
    let id = &target.id;
    let lacks = |what: &str, field: String| {
        let message = format!("{id} does not take {what} ({field})");
        let mut fault = Fault::new(Reason::CapabilityMissing, message.clone()).because(Cause::Unfit).at(id);
        fault.violations = Box::new([Violation { field, description: message }]);
        Err(fault)
    };
    if can.tools == Capability::No && request.tools.iter().any(|t| matches!(t, Tool::Function { .. })) {
        return lacks("tools", "tools".to_owned());
    }
    if can.structured_output == Capability::No && matches!(request.output, Output::Schema { .. }) {
        return lacks("a JSON Schema for its answer", "response_format".to_owned());
    }
    if can.streaming == Capability::No && request.stream {
        return lacks("streaming", "stream".to_owned());
    }
    for (at, message) in request.messages.iter().enumerate() {
        for (i, part) in message.parts.iter().enumerate() {
            let place = || format!("messages[{at}].content[{i}]");
            match needs(part) {
                Some(Needs::Vision) if can.vision == Capability::No => return lacks("images", place()),
                Some(Needs::Pdf) if can.pdf == Capability::No => return lacks("PDF files", place()),
                Some(Needs::Audio) if can.audio == Capability::No => return lacks("audio", place()),
                _ => {}
            }
        }
    }
    Ok(())
}

enum Needs {
    Vision,
    Pdf,
    Audio,
}

fn needs(part: &Part) -> Option<Needs> {
    match &part.kind {
        PartKind::Image { .. } => Some(Needs::Vision),
        PartKind::File { source: Source::Base64 { mime, .. }, .. } if &**mime == "application/pdf" => Some(Needs::Pdf),
        PartKind::Audio { .. } => Some(Needs::Audio),
        PartKind::ToolResult { parts, .. } => parts.iter().find_map(needs),
        _ => None,
    }
}
