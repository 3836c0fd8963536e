//! Which targets are tried, in which order, and why not the others.

use std::{sync::Arc, time::Duration};

use headworks_core::{
    AuthScheme, Capability, Catalog, ChatRequest, Fault, Key, ModelId, Output, Part, PartKind, Reason, Skipped, Source, Status, Target, Tool, Work,
};

/// A target's standing, as the planner sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How long it should rest; zero: it is well.
    pub rest: Duration,
}

/// Time limits that a policy sets; absent ones are the gateway's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Until the first content of a streamed attempt.
    pub first_token: Option<Duration>,
    /// Between two pieces of content.
    pub between_tokens: Option<Duration>,
    /// For the attempt as a whole.
    pub total: Option<Duration>,
}

/// A fallback chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: Arc<str>,
    /// Its targets, in order.
    pub targets: Vec<PolicyTarget>,
    /// Limits where a target has none of its own.
    pub timeouts: Limits,
    /// Most attempts one call may cause.
    pub max_attempts: Option<u32>,
    /// Regions allowed; empty: all.
    pub regions: Vec<Arc<str>>,
}

/// One target of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyTarget {
    /// `provider/model`.
    pub model: Arc<str>,
    /// Its own limits.
    pub timeouts: Limits,
}

/// A target with its limits.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Where.
    pub target: Arc<Target>,
    /// For how long.
    pub timeouts: Limits,
}

/// What will be tried.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In this order; never empty.
    pub targets: Vec<Planned>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// The policy applied.
    pub policy: Option<Arc<str>>,
    /// What the client should know.
    pub notes: Vec<Arc<str>>,
    /// Most attempts, where the policy says.
    pub max_attempts: Option<u32>,
}

/// Plans a call. Same arguments, same plan.
pub fn plan(
    work: &Work,
    tenant: &Key,
    catalog: &Catalog,
    policies: &dyn Fn(&str) -> Option<Arc<Policy>>,
    health: &dyn Fn(&ModelId) -> Health,
) -> Result<Plan, Fault> {
    let mut plan = Plan::default();
    let (model, routing) = (work.model(), work.routing());
    let mut regions: Vec<&[Arc<str>]> = vec![&tenant.regions, &routing.regions];
    let mut names: Vec<(Arc<str>, Limits)> = Vec::new();
    let policy_name = tenant.default_policy.as_deref().or_else(|| model.strip_prefix("policy/"));
    let policy = match policy_name {
        Some(name) => {
            let found =
                policies(name).ok_or_else(|| Fault::new(Reason::ModelNotFound, format!("no policy \"{name}\"; PolicyService.ListPolicies lists them")))?;
            if model.starts_with("policy/") && !tenant.may_use(model) {
                return Err(forbidden(model));
            }
            Some(found)
        }
        None => None,
    };
    match &policy {
        Some(policy) => {
            plan.policy = Some(policy.name.clone());
            plan.max_attempts = policy.max_attempts;
            regions.push(&policy.regions);
            names.extend(policy.targets.iter().map(|t| (t.model.clone(), over(t.timeouts, policy.timeouts))));
        }
        None => names.push((model.clone(), Limits::default())),
    }
    for model in &routing.models {
        if !names.iter().any(|(name, _)| name == model) {
            names.push((model.clone(), Limits::default()));
        }
    }
    let mut found: Vec<(Planned, Health)> = Vec::new();
    let mut first_refusal: Option<Fault> = None;
    for (name, timeouts) in names {
        match target(&name, catalog).and_then(|t| check(&t, work, tenant, policy.is_some(), &regions).map(|()| t)) {
            Ok(target) => {
                if found.iter().any(|(planned, _)| planned.target.id == target.id) {
                    continue;
                }
                if let Some(note) = standing_note(&target) {
                    plan.notes.push(note);
                }
                let health = health(&target.id);
                found.push((Planned { target, timeouts }, health));
            }
            Err(fault) => {
                let id = name.split_once('/').map_or_else(|| ModelId::new("", name.clone()), |(p, m)| ModelId::new(p, m));
                plan.skipped.push(Skipped { target: id, reason: fault.reason, message: fault.message.clone() });
                first_refusal.get_or_insert(fault);
            }
        }
    }
    // The client's preferred providers come first, in its order; the rest keep theirs.
    let order = &routing.order;
    if !order.is_empty() {
        found.sort_by_key(|(p, _)| order.iter().position(|o| *o == p.target.id.provider).unwrap_or(order.len()));
    }
    if routing.allow_fallbacks == Some(false) {
        found.truncate(1);
    }
    // Resting targets go last, the one that rests shortest first: when all rest, the least bad is tried.
    found.sort_by_key(|(_, health)| health.rest);
    plan.targets = found.into_iter().map(|(planned, _)| planned).collect();
    if plan.targets.is_empty() {
        return Err(nothing(plan.skipped, first_refusal));
    }
    Ok(plan)
}

fn over(own: Limits, otherwise: Limits) -> Limits {
    Limits {
        first_token: own.first_token.or(otherwise.first_token),
        between_tokens: own.between_tokens.or(otherwise.between_tokens),
        total: own.total.or(otherwise.total),
    }
}

/// The fault of a plan without targets: the first refusal, and the others beside it.
fn nothing(skipped: Vec<Skipped>, first: Option<Fault>) -> Fault {
    let mut fault = first.unwrap_or_else(|| Fault::new(Reason::ModelNotFound, "the policy has no targets"));
    if skipped.len() > 1 {
        let all: Vec<String> = skipped.iter().map(|s| s.message.clone()).collect();
        fault.message = format!("no target can serve this: {}", all.join("; "));
    }
    fault
}

fn forbidden(name: &str) -> Fault {
    Fault::new(Reason::ModelForbidden, format!("this key may not use {name}; GET /v1/models lists what it may"))
}

/// The target of a name.
fn target(name: &str, catalog: &Catalog) -> Result<Arc<Target>, Fault> {
    if name.starts_with("policy/") {
        return Err(Fault::new(
            Reason::NotImplemented,
            format!("{name}: policies inside a list of models are not in this build; ask for the policy as the model"),
        ));
    }
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
fn check(target: &Target, work: &Work, tenant: &Key, by_policy: bool, regions: &[&[Arc<str>]]) -> Result<(), Fault> {
    let id = &target.id;
    let routing = work.routing();
    // What an admin put into a policy may be used by every key that may use the policy.
    if !by_policy && !tenant.may_use(&id.to_string()) {
        return Err(forbidden(&id.to_string()));
    }
    let filtered = |what: String| Fault::new(Reason::CapabilityMissing, what).at(id);
    if !routing.only.is_empty() && !routing.only.contains(&id.provider) {
        return Err(filtered(format!("{id}: provider {} is not among those allowed by the request (only)", id.provider)));
    }
    if routing.ignore.contains(&id.provider) {
        return Err(filtered(format!("{id}: provider {} is left out by the request (ignore)", id.provider)));
    }
    let model = target.model.as_deref();
    let places = model.map(|m| &m.regions[..]).filter(|r| !r.is_empty()).unwrap_or(&target.host.regions);
    for wanted in regions.iter().filter(|r| !r.is_empty()) {
        // All of the places must be allowed: a target that may process elsewhere is no residency.
        if places.is_empty() || !places.iter().all(|place| wanted.contains(place)) {
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
        capable(target, chat).map_err(filtered)?;
    }
    if !target.host.configured {
        let env = target.host.key_env.first().map_or("its key", |env| env);
        return Err(Fault::new(Reason::UpstreamCredentials, format!("{id}: provider {} is not configured; the operator must set {env}", id.provider)).at(id));
    }
    Ok(())
}

/// What a model is known not to take.
fn capable(target: &Target, request: &ChatRequest) -> Result<(), String> {
    let Some(model) = target.model.as_deref() else { return Ok(()) };
    let can = &model.capabilities;
    let id = &target.id;
    let lacks = |what: &str, place: Option<String>| {
        let place = place.map(|p| format!(" ({p})")).unwrap_or_default();
        Err(format!("{id} does not take {what}{place}"))
    };
    if can.tools == Capability::No && request.tools.iter().any(|t| matches!(t, Tool::Function { .. })) {
        return lacks("tools", Some("tools".to_owned()));
    }
    if can.structured_output == Capability::No && matches!(request.output, Output::Schema { .. }) {
        return lacks("a JSON Schema for its answer", Some("response_format".to_owned()));
    }
    if can.streaming == Capability::No && request.stream {
        return lacks("streaming", Some("stream".to_owned()));
    }
    for (at, message) in request.messages.iter().enumerate() {
        for (i, part) in message.parts.iter().enumerate() {
            let place = || Some(format!("messages[{at}].content[{i}]"));
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

fn standing_note(target: &Target) -> Option<Arc<str>> {
    let model = target.model.as_ref()?;
    let date = model.deprecation_date.as_deref().map(|d| format!(" (after {d})")).unwrap_or_default();
    match model.status {
        Status::Deprecated => Some(format!("{} is to be withdrawn{date}", target.id).into()),
        Status::Hidden => Some(format!("{} is withdrawn or was never confirmed{date}", target.id).into()),
        Status::Active | Status::Preview => None,
    }
}

#[cfg(test)]
mod tests;
