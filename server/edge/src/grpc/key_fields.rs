//! Between the schema's words and the store's: fields of keys and groups.

use headworks_api::{
    storage::{BudgetRecord, GroupRecord, KeyRecord, RateLimitRecord},
    v1,
};
use headworks_core::{Fault, Role};

use super::records;

/// The longest name, characters.
const NAME: usize = 200;
/// The most labels, patterns, regions or limits on one key or group.
const LIST: usize = 256;

pub(super) fn etag(version: u64) -> String {
    format!("v{version}")
}

/// The version in an etag; `None`: none was given.
pub(crate) fn version(etag: &str, field: &str) -> Result<Option<u64>, Fault> {
    if etag.is_empty() {
        return Ok(None);
    }
    etag.strip_prefix('v').and_then(|v| v.parse().ok()).map(Some).ok_or_else(|| Fault::invalid(field, format!("\"{etag}\" is not one that the gateway gave")))
}

pub(super) fn shown(record: &KeyRecord, version: u64) -> v1::Key {
    let now = headworks_engine::unix_nanos();
    let state = if record.revoke_unix_nanos != 0 {
        v1::KeyState::Revoked
    } else if record.expire_unix_nanos != 0 && record.expire_unix_nanos <= now {
        v1::KeyState::Expired
    } else {
        v1::KeyState::Active
    };
    let lifetime = || record.budget_nano_usd.map(|limit| BudgetRecord { limit_nano_usd: limit, window: 4, ..BudgetRecord::default() });
    v1::Key {
        id: record.id.clone(),
        name: record.name.clone(),
        labels: record.labels.clone(),
        roles: record.roles.clone(),
        allowed_models: record.allowed_models.clone(),
        default_policy: record.default_policy.clone(),
        auto_cache: record.auto_cache,
        regions: record.regions.clone(),
        budget: record.budget.clone().or_else(lifetime).map(shown_budget),
        expire_time: records::timestamp(record.expire_unix_nanos),
        create_time: records::timestamp(record.create_unix_nanos),
        update_time: records::timestamp(record.update_unix_nanos),
        revoke_time: records::timestamp(record.revoke_unix_nanos),
        state: state as i32,
        secret_hint: record.secret_hint.clone(),
        etag: etag(version),
        group: record.group_id.clone(),
        requests_per_minute: record.requests_per_minute,
        tokens_per_minute: record.tokens_per_minute,
        concurrent_calls: record.concurrent_calls,
        rate_limits: record.rate_limits.iter().map(shown_limit).collect(),
        allowed_providers: record.allowed_providers.clone(),
        guardrail_profile: record.guardrail_profile.clone(),
        markup_basis_points: record.markup_basis_points,
        on_loss: record.on_loss,
        previous_secret_expire_time: records::timestamp(record.previous_expire_unix_nanos).filter(|_| record.previous_expire_unix_nanos > now),
    }
}

pub(super) fn shown_group(record: &GroupRecord, version: u64) -> v1::Group {
    v1::Group {
        id: record.id.clone(),
        name: record.name.clone(),
        parent: record.parent_id.clone(),
        budget: record.budget.clone().map(shown_budget),
        etag: etag(version),
        labels: record.labels.clone(),
        allowed_models: record.allowed_models.clone(),
        regions: record.regions.clone(),
        create_time: records::timestamp(record.create_unix_nanos),
        update_time: records::timestamp(record.update_unix_nanos),
        allowed_providers: record.allowed_providers.clone(),
        default_policy: record.default_policy.clone(),
        auto_cache: record.auto_cache,
        guardrail_profile: record.guardrail_profile.clone(),
        requests_per_minute: record.requests_per_minute,
        tokens_per_minute: record.tokens_per_minute,
        concurrent_calls: record.concurrent_calls,
        rate_limits: record.rate_limits.iter().map(shown_limit).collect(),
        markup_basis_points: record.markup_basis_points,
        on_loss: record.on_loss,
    }
}

pub(super) fn shown_budget(b: BudgetRecord) -> v1::Budget {
    v1::Budget {
        limit_nano_usd: b.limit_nano_usd,
        window: b.window,
        soft: b.soft,
        fit: b.fit,
        alert_percents: b.alert_percents,
        no_alerts: b.no_alerts,
        allow_unbounded: b.allow_unbounded,
        allow_unknown_price: b.allow_unknown_price,
    }
}

fn shown_limit(limit: &RateLimitRecord) -> v1::RateLimit {
    v1::RateLimit { unit: limit.unit, window: limit.window, limit: limit.limit, model: limit.model.clone() }
}

fn roles(asked: &[i32], by: &headworks_core::Tenant) -> Result<Vec<i32>, Fault> {
    if asked.is_empty() {
        return Ok(vec![v1::KeyRole::Caller as i32]);
    }
    for (at, number) in asked.iter().enumerate() {
        let field = format!("key.roles[{at}]");
        let role = headworks_store::role(*number).ok_or_else(|| Fault::invalid(&field, "is no role; ADMIN, CALLER, KEY_MANAGER and READER are"))?;
        if matches!(role, Role::Admin | Role::KeyManager) && !by.is(Role::Admin) {
            let message = format!("{field}: only a key with the role ADMIN gives the roles ADMIN and KEY_MANAGER");
            return Err(Fault::new(headworks_core::Reason::PermissionDenied, message));
        }
    }
    Ok(asked.to_vec())
}

fn budget(asked: Option<&v1::Budget>, at: &str) -> Result<Option<BudgetRecord>, Fault> {
    let Some(asked) = asked else { return Ok(None) };
    let wrong = |field: &str, what: &str| Err(Fault::invalid(format!("{at}.budget.{field}"), what));
    if asked.limit_nano_usd < 0 {
        return wrong("limit_nano_usd", "must be 0 or more");
    }
    if v1::BudgetWindow::try_from(asked.window).is_err() {
        return wrong("window", "is no window; DAY, WEEK, MONTH and LIFETIME are");
    }
    if v1::BudgetFit::try_from(asked.fit).is_err() {
        return wrong("fit", "is neither LOWER nor REFUSE");
    }
    if asked.alert_percents.len() > 20 || asked.alert_percents.iter().any(|percent| !(1..=1000).contains(percent)) {
        return wrong("alert_percents", "must be at most 20 numbers from 1 to 1000");
    }
    Ok(Some(BudgetRecord {
        limit_nano_usd: asked.limit_nano_usd,
        window: asked.window.max(0),
        soft: asked.soft,
        fit: asked.fit,
        alert_percents: asked.alert_percents.clone(),
        no_alerts: asked.no_alerts,
        allow_unbounded: asked.allow_unbounded,
        allow_unknown_price: asked.allow_unknown_price,
    }))
}

fn limits(asked: &[v1::RateLimit], at: &str) -> Result<Vec<RateLimitRecord>, Fault> {
    few(asked.len(), &format!("{at}.rate_limits"))?;
    let one = |(place, limit): (usize, &v1::RateLimit)| {
        let wrong = |field: &str, what: &str| Err(Fault::invalid(format!("{at}.rate_limits[{place}].{field}"), what));
        match v1::RateUnit::try_from(limit.unit) {
            Ok(v1::RateUnit::Unspecified) | Err(_) => return wrong("unit", "is no unit; REQUESTS, TOKENS and CONCURRENT_CALLS are"),
            Ok(v1::RateUnit::ConcurrentCalls) if limit.window != 0 => return wrong("window", "must be left out for CONCURRENT_CALLS"),
            Ok(_) => {}
        }
        if v1::RateWindow::try_from(limit.window).is_err() {
            return wrong("window", "is no window; SECOND, MINUTE, HOUR and DAY are");
        }
        if limit.limit < 1 {
            return wrong("limit", "must be 1 or more");
        }
        Ok(RateLimitRecord { unit: limit.unit, window: limit.window, limit: limit.limit, model: limit.model.clone() })
    };
    asked.iter().enumerate().map(one).collect()
}

fn positive(value: Option<i64>, field: &str) -> Result<Option<i64>, Fault> {
    match value {
        Some(..1) => Err(Fault::invalid(field, "must be 1 or more; leave it out for no limit")),
        value => Ok(value),
    }
}

fn markup(value: Option<i32>, at: &str) -> Result<Option<i32>, Fault> {
    match value {
        Some(..0 | 100_001..) => Err(Fault::invalid(format!("{at}.markup_basis_points"), "must be from 0 to 100000 (1000 %)")),
        value => Ok(value),
    }
}

fn on_loss(number: i32, field: &str) -> Result<i32, Fault> {
    super::convert::on_loss(number, field).map(|_| number)
}

fn few(count: usize, field: &str) -> Result<(), Fault> {
    if count > LIST { Err(Fault::invalid(field, format!("has more than {LIST} entries"))) } else { Ok(()) }
}

fn list(texts: &[String], field: String) -> Result<Vec<String>, Fault> {
    few(texts.len(), &field)?;
    match texts.iter().position(|text| text.is_empty() || text.len() > 500) {
        Some(at) => Err(Fault::invalid(format!("{field}[{at}]"), "must have 1 to 500 characters")),
        None => Ok(texts.to_vec()),
    }
}

fn name(text: &str, field: &str) -> Result<String, Fault> {
    if text.chars().count() > NAME {
        return Err(Fault::invalid(field, format!("is longer than {NAME} characters")));
    }
    Ok(text.to_owned())
}

fn expiry(time: Option<prost_types::Timestamp>) -> Result<i64, Fault> {
    let nanos = records::unix_nanos(time);
    if time.is_some() && nanos <= 0 {
        return Err(Fault::invalid("key.expire_time", "must be after 1970"));
    }
    Ok(nanos)
}

fn unknown(path: &str, known: &[&str]) -> Fault {
    Fault::invalid("update_mask", format!("\"{path}\" cannot be changed; {} can", known.join(", ")))
}

/// Takes the fields that the mask names from `key`.
pub(super) fn change_key(record: &mut KeyRecord, key: &v1::Key, paths: &[&str], by: &headworks_core::Tenant) -> Result<(), Fault> {
    for path in paths {
        match *path {
            "name" => record.name = name(&key.name, "key.name")?,
            "labels" => {
                few(key.labels.len(), "key.labels")?;
                record.labels = key.labels.clone();
            }
            "roles" => record.roles = roles(&key.roles, by)?,
            "allowed_models" => record.allowed_models = list(&key.allowed_models, "key.allowed_models".into())?,
            "allowed_providers" => record.allowed_providers = list(&key.allowed_providers, "key.allowed_providers".into())?,
            "default_policy" => record.default_policy = key.default_policy.clone(),
            "auto_cache" => record.auto_cache = key.auto_cache,
            "regions" => record.regions = list(&key.regions, "key.regions".into())?,
            "budget" => {
                record.budget = budget(key.budget.as_ref(), "key")?;
                record.budget_nano_usd = None;
            }
            "expire_time" => record.expire_unix_nanos = expiry(key.expire_time)?,
            "group" => record.group_id = key.group.clone(),
            "requests_per_minute" => record.requests_per_minute = positive(key.requests_per_minute, "key.requests_per_minute")?,
            "tokens_per_minute" => record.tokens_per_minute = positive(key.tokens_per_minute, "key.tokens_per_minute")?,
            "concurrent_calls" => record.concurrent_calls = positive(key.concurrent_calls, "key.concurrent_calls")?,
            "rate_limits" => record.rate_limits = limits(&key.rate_limits, "key")?,
            "guardrail_profile" => record.guardrail_profile = name(&key.guardrail_profile, "key.guardrail_profile")?,
            "markup_basis_points" => record.markup_basis_points = markup(key.markup_basis_points, "key")?,
            "on_loss" => record.on_loss = on_loss(key.on_loss, "key.on_loss")?,
            other => return Err(unknown(other, &KEY)),
        }
    }
    Ok(())
}

/// Takes the fields that the mask names from `group`.
pub(super) fn change_group(record: &mut GroupRecord, group: &v1::Group, paths: &[&str]) -> Result<(), Fault> {
    for path in paths {
        match *path {
            "name" => record.name = name(&group.name, "group.name")?,
            "parent" => record.parent_id = group.parent.clone(),
            "labels" => {
                few(group.labels.len(), "group.labels")?;
                record.labels = group.labels.clone();
            }
            "budget" => record.budget = budget(group.budget.as_ref(), "group")?,
            "allowed_models" => record.allowed_models = list(&group.allowed_models, "group.allowed_models".into())?,
            "allowed_providers" => record.allowed_providers = list(&group.allowed_providers, "group.allowed_providers".into())?,
            "regions" => record.regions = list(&group.regions, "group.regions".into())?,
            "default_policy" => record.default_policy = group.default_policy.clone(),
            "auto_cache" => record.auto_cache = group.auto_cache,
            "guardrail_profile" => record.guardrail_profile = name(&group.guardrail_profile, "group.guardrail_profile")?,
            "requests_per_minute" => record.requests_per_minute = positive(group.requests_per_minute, "group.requests_per_minute")?,
            "tokens_per_minute" => record.tokens_per_minute = positive(group.tokens_per_minute, "group.tokens_per_minute")?,
            "concurrent_calls" => record.concurrent_calls = positive(group.concurrent_calls, "group.concurrent_calls")?,
            "rate_limits" => record.rate_limits = limits(&group.rate_limits, "group")?,
            "markup_basis_points" => record.markup_basis_points = markup(group.markup_basis_points, "group")?,
            "on_loss" => record.on_loss = on_loss(group.on_loss, "group.on_loss")?,
            other => return Err(unknown(other, &GROUP)),
        }
    }
    Ok(())
}

/// What can be set of a key.
pub(super) const KEY: [&str; 18] = [
    "name",
    "labels",
    "roles",
    "allowed_models",
    "allowed_providers",
    "default_policy",
    "auto_cache",
    "regions",
    "budget",
    "expire_time",
    "group",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_calls",
    "rate_limits",
    "guardrail_profile",
    "markup_basis_points",
    "on_loss",
];

/// What can be set of a group.
pub(super) const GROUP: [&str; 16] = [
    "name",
    "parent",
    "labels",
    "budget",
    "allowed_models",
    "allowed_providers",
    "regions",
    "default_policy",
    "auto_cache",
    "guardrail_profile",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_calls",
    "rate_limits",
    "markup_basis_points",
    "on_loss",
];

/// The paths of a mask, of which there must be some.
pub(super) fn paths(mask: Option<&prost_types::FieldMask>) -> Result<Vec<&str>, Fault> {
    let paths: Vec<&str> = mask.map(|mask| mask.paths.iter().map(String::as_str).collect()).unwrap_or_default();
    if paths.is_empty() { Err(Fault::invalid("update_mask", "is empty; name the fields to change")) } else { Ok(paths) }
}
