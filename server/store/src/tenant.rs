//! What a key may do and who pays for it, worked out of its record and those of its groups.

use std::{collections::BTreeMap, sync::Arc};

use headworks_api::storage::{BudgetRecord, GroupRecord, KeyRecord, RateLimitRecord};
use headworks_core::{ALERTS, Budget, BudgetWindow, Fit, Key, Markup, NanoUsd, OnLoss, Payer, RateLimit, Role, Unit};

/// Groups above a key: no more than this.
pub(crate) const DEPTH: usize = 8;

/// Groups by id.
pub(crate) type Groups = BTreeMap<Arc<str>, (Arc<GroupRecord>, u64)>;

/// The role with this number in the public schema.
pub fn role(number: i32) -> Option<Role> {
    match number {
        1 => Some(Role::Admin),
        2 => Some(Role::Caller),
        3 => Some(Role::KeyManager),
        4 => Some(Role::Reader),
        _ => None,
    }
}

/// What becomes of calls that a target cannot express, by its number in the public schema.
fn on_loss(number: i32) -> Option<OnLoss> {
    match number {
        1 => Some(OnLoss::Drop),
        2 => Some(OnLoss::Refuse),
        3 => Some(OnLoss::Skip),
        _ => None,
    }
}

/// The window with this number in the public schema.
pub fn window(number: i32) -> BudgetWindow {
    match number {
        1 => BudgetWindow::Day,
        2 => BudgetWindow::Week,
        3 => BudgetWindow::Month,
        _ => BudgetWindow::Lifetime,
    }
}

/// A group's chain: itself, its parent, and so on. Ends at [`DEPTH`], whatever the store holds.
pub(crate) fn chain<'a>(groups: &'a Groups, id: &str) -> Vec<&'a Arc<GroupRecord>> {
    let mut chain: Vec<&Arc<GroupRecord>> = Vec::new();
    let mut next = groups.get(id);
    while let Some((group, _)) = next {
        if chain.len() == DEPTH {
            break;
        }
        chain.push(group);
        next = groups.get(group.parent_id.as_str());
    }
    chain
}

fn texts(list: &[String]) -> Vec<Arc<str>> {
    list.iter().map(|text| text.as_str().into()).collect()
}

fn named(text: &str) -> Option<Arc<str>> {
    Some(text).filter(|text| !text.is_empty()).map(Arc::from)
}

fn budget(record: &BudgetRecord) -> Budget {
    let mut alerts: Vec<i64> = match (record.no_alerts, record.alert_percents.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => ALERTS.to_vec(),
        (false, false) => record.alert_percents.iter().map(|percent| i64::from(*percent)).collect(),
    };
    alerts.sort_unstable();
    alerts.dedup();
    Budget {
        limit: NanoUsd(record.limit_nano_usd),
        window: window(record.window),
        soft: record.soft,
        fit: match record.fit {
            1 => Some(Fit::Lower),
            2 => Some(Fit::Refuse),
            _ => None,
        },
        alerts,
        allow_unbounded: record.allow_unbounded,
        allow_unknown_price: record.allow_unknown_price,
    }
}

fn limits(requests: Option<i64>, tokens: Option<i64>, concurrent: Option<i64>, more: &[RateLimitRecord]) -> Vec<RateLimit> {
    let short = [(Unit::Requests, 60, requests), (Unit::Tokens, 60, tokens), (Unit::Concurrent, 0, concurrent)];
    let short = short.into_iter().filter_map(|(unit, seconds, most)| Some(RateLimit { unit, seconds, most: most?, model: None }));
    let more = more.iter().filter_map(|limit| {
        let unit = match limit.unit {
            1 => Unit::Requests,
            2 => Unit::Tokens,
            3 => Unit::Concurrent,
            _ => return None,
        };
        let seconds = match (unit, limit.window) {
            (Unit::Concurrent, _) => 0,
            (_, 1) => 1,
            (_, 3) => 3_600,
            (_, 4) => 86_400,
            _ => 60,
        };
        Some(RateLimit { unit, seconds, most: limit.limit, model: named(&limit.model) })
    });
    short.chain(more).collect()
}

fn title(kind: &str, name: &str, id: &str) -> Arc<str> {
    if name.is_empty() { format!("{kind} {id}").into() } else { format!("{kind} \"{name}\"").into() }
}

/// A group as one that pays.
pub(crate) fn payer(group: &GroupRecord) -> Payer {
    Payer {
        id: group.id.as_str().into(),
        title: title("group", &group.name, &group.id),
        budget: group.budget.as_ref().map(budget),
        limits: limits(group.requests_per_minute, group.tokens_per_minute, group.concurrent_calls, &group.rate_limits),
    }
}

/// The regions that all lists allow. Lists that have nothing in common allow nowhere, which is not the same as everywhere.
fn regions<'a>(lists: impl Iterator<Item = &'a Vec<String>>) -> Vec<Arc<str>> {
    let mut common: Option<Vec<&str>> = None;
    for list in lists.filter(|list| !list.is_empty()) {
        common = Some(match common {
            None => list.iter().map(String::as_str).collect(),
            Some(so_far) => so_far.into_iter().filter(|region| list.iter().any(|other| other == region)).collect(),
        });
    }
    match common {
        Some(none) if none.is_empty() => vec!["(no region: those of the key and its groups have none in common)".into()],
        Some(some) => some.into_iter().map(Arc::from).collect(),
        None => Vec::new(),
    }
}

/// A key with all that its groups say.
pub(crate) fn view(record: &KeyRecord, groups: &Groups) -> Arc<Key> {
    let chain = chain(groups, &record.group_id);
    let lifetime = record.budget_nano_usd.map(|limit| BudgetRecord { limit_nano_usd: limit, window: 4, ..BudgetRecord::default() });
    let own = Payer {
        id: record.id.as_str().into(),
        title: title("key", &record.name, &record.id),
        budget: record.budget.as_ref().or(lifetime.as_ref()).map(budget),
        limits: limits(record.requests_per_minute, record.tokens_per_minute, record.concurrent_calls, &record.rate_limits),
    };
    let providers = std::iter::once(&record.allowed_providers).chain(chain.iter().map(|group| &group.allowed_providers));
    Arc::new(Key {
        id: own.id.clone(),
        name: record.name.as_str().into(),
        roles: record.roles.iter().filter_map(|number| role(*number)).collect(),
        allowed_models: texts(&record.allowed_models),
        group_models: chain.iter().map(|group| texts(&group.allowed_models)).filter(|list| !list.is_empty()).collect(),
        allowed_providers: providers.map(|list| texts(list)).filter(|list| !list.is_empty()).collect(),
        default_policy: named(&record.default_policy).or_else(|| chain.iter().find_map(|group| named(&group.default_policy))),
        auto_cache: record.auto_cache.or_else(|| chain.iter().find_map(|group| group.auto_cache)).unwrap_or(false),
        on_loss: on_loss(record.on_loss).or_else(|| chain.iter().find_map(|group| on_loss(group.on_loss))),
        regions: regions(std::iter::once(&record.regions).chain(chain.iter().map(|group| &group.regions))),
        guardrail_profile: named(&record.guardrail_profile).or_else(|| chain.iter().find_map(|group| named(&group.guardrail_profile))),
        markup: Markup(record.markup_basis_points.or_else(|| chain.iter().find_map(|group| group.markup_basis_points)).unwrap_or(0).into()),
        payers: std::iter::once(own).chain(chain.iter().map(|group| payer(group))).collect(),
    })
}
