//! From the schema's policies to the planner's.

use std::{sync::Arc, time::Duration};

use headworks_api::v1::{self, condition::Kind as Look, policy::Kind};
use headworks_core::{Fault, Window};
use headworks_policy::{AllDown, Branch, Condition, Course, Goal, Hedging, Limits, MidStream, Policy, PolicyTarget, Retries, Rule, Test, WeightedTarget};

use crate::grpc::convert::duration;

type Read<T> = Result<T, Fault>;

/// A policy as the planner reads it, and where its parts stand in the schema.
pub(crate) struct Parsed {
    /// The policy.
    pub policy: Policy,
    /// Path of its rule: `policy.weighted`.
    pub kind: String,
    /// Paths of its targets, in the order of `Policy::targets`.
    pub fields: Vec<String>,
}

/// Share of calls, in millionths, that explore unless a policy says otherwise.
const EXPLORE: u32 = 100_000;

/// Reads a policy; says which field cannot be read. What it names is not looked up.
pub fn read_policy(policy: &v1::Policy) -> Result<Policy, Fault> {
    parse(policy).map(|parsed| parsed.policy)
}

pub(crate) fn parse(policy: &v1::Policy) -> Read<Parsed> {
    let kind = policy
        .kind
        .as_ref()
        .ok_or_else(|| Fault::invalid("policy.fallback", "is missing; a policy needs one of fallback, weighted, latency, cost and conditional"))?;
    let (rule, at, fields) = rule(kind)?;
    if !(0..=64).contains(&policy.max_attempts) {
        return Err(Fault::invalid("policy.max_attempts", "must be 0 to 64"));
    }
    let course = Course {
        max_attempts: u32::try_from(policy.max_attempts).ok().filter(|most| *most > 0),
        retries: policy.retries.as_ref().map(retries).transpose()?,
        all_down: match v1::AllDown::try_from(policy.on_all_down) {
            Ok(v1::AllDown::Unspecified | v1::AllDown::LeastBad) => AllDown::LeastBad,
            Ok(v1::AllDown::FailFast) => AllDown::FailFast,
            Err(_) => return Err(Fault::invalid("policy.on_all_down", format!("{} is no AllDown", policy.on_all_down))),
        },
        past_content_policy: policy.failover_on_content_policy,
        mid_stream: mid_stream(policy.mid_stream)?,
        hedging: policy.hedging.as_ref().map(hedging).transpose()?,
    };
    let affinity = match v1::CacheAffinity::try_from(policy.cache_affinity) {
        Ok(v1::CacheAffinity::Unspecified | v1::CacheAffinity::On) => true,
        Ok(v1::CacheAffinity::Off) => false,
        Err(_) => return Err(Fault::invalid("policy.cache_affinity", format!("{} is no CacheAffinity", policy.cache_affinity))),
    };
    if let Some(at) = policy.regions.iter().position(String::is_empty) {
        return Err(Fault::invalid(format!("policy.regions[{at}]"), "is empty"));
    }
    let policy = Policy {
        name: policy.name.as_str().into(),
        rule,
        timeouts: limits(policy.timeouts.as_ref(), "policy.timeouts")?,
        regions: policy.regions.iter().map(|r| r.as_str().into()).collect(),
        affinity,
        course,
    };
    Ok(Parsed { policy, kind: at, fields })
}

fn mid_stream(number: i32) -> Read<MidStream> {
    match v1::MidStream::try_from(number) {
        Ok(v1::MidStream::Unspecified | v1::MidStream::Fail) => Ok(MidStream::Fail),
        Ok(v1::MidStream::Continue) => Ok(MidStream::Continue),
        Ok(v1::MidStream::Restart) => Ok(MidStream::Restart),
        Err(_) => Err(Fault::invalid("policy.mid_stream", format!("{number} is no MidStream"))),
    }
}

fn limits(timeouts: Option<&v1::Timeouts>, field: &str) -> Read<Limits> {
    let Some(t) = timeouts else { return Ok(Limits::default()) };
    let limit = |value: Option<prost_types::Duration>, name: &str| {
        let field = format!("{field}.{name}");
        match duration(value, &field)? {
            Some(limit) if limit.is_zero() => Err(Fault::invalid(field, "must be above 0")),
            limit => Ok(limit),
        }
    };
    Ok(Limits {
        first_token: limit(t.first_token, "first_token")?,
        between_tokens: limit(t.between_tokens, "between_tokens")?,
        total: limit(t.total, "total")?,
    })
}

fn retries(retries: &v1::Retries) -> Read<Retries> {
    let standard = Retries::default();
    let wait = |value: Option<prost_types::Duration>, name: &str, otherwise: Duration| match duration(value, name)? {
        Some(wait) if wait > Duration::from_secs(60) => Err(Fault::invalid(name, "must be 60 s or less")),
        wait => Ok(wait.unwrap_or(otherwise)),
    };
    let backoff = wait(retries.backoff, "policy.retries.backoff", standard.backoff)?;
    Ok(Retries {
        per_target: u32::try_from(retries.per_target)
            .ok()
            .filter(|most| *most <= 10)
            .ok_or_else(|| Fault::invalid("policy.retries.per_target", "must be 0 to 10"))?,
        backoff,
        max_backoff: wait(retries.max_backoff, "policy.retries.max_backoff", standard.max_backoff.max(backoff))?,
    })
}

/// Timers tick by the millisecond, and nobody is waited for longer than this.
const DELAYS: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(600);

fn hedging(hedging: &v1::Hedging) -> Read<Hedging> {
    let field = "policy.hedging.delay";
    let delay = match duration(hedging.delay, field)? {
        Some(delay) if !DELAYS.contains(&delay) => return Err(Fault::invalid(field, "must be 1 ms to 10 min; leave it out for one that is learned")),
        delay => delay,
    };
    let percent = u32::try_from(hedging.max_percent).ok().filter(|percent| *percent <= 100);
    Ok(Hedging {
        delay,
        max_percent: match percent.ok_or_else(|| Fault::invalid("policy.hedging.max_percent", "must be 1 to 100, or 0 for the default of 10"))? {
            0 => Hedging::default().max_percent,
            percent => percent,
        },
    })
}

fn target(model: &str, timeouts: Option<&v1::Timeouts>, at: &str) -> Read<PolicyTarget> {
    if model.is_empty() {
        return Err(Fault::invalid(format!("{at}.model"), "is missing; name one as provider/model or policy/NAME"));
    }
    Ok(PolicyTarget { model: model.into(), timeouts: limits(timeouts, &format!("{at}.timeouts"))? })
}

fn list(targets: &[v1::PolicyTarget], at: &str) -> Read<(Vec<PolicyTarget>, Vec<String>)> {
    let one = |(n, t): (usize, &v1::PolicyTarget)| {
        let here = format!("{at}.targets[{n}]");
        Ok((target(&t.model, t.timeouts.as_ref(), &here)?, format!("{here}.model")))
    };
    Ok(targets.iter().enumerate().map(one).collect::<Read<Vec<_>>>()?.into_iter().unzip())
}

/// Targets by `models` or by `targets`, not by both.
fn either(models: &[String], targets: &[v1::PolicyTarget], at: &str) -> Read<(Vec<PolicyTarget>, Vec<String>)> {
    if models.is_empty() {
        return list(targets, at);
    }
    if !targets.is_empty() {
        return Err(Fault::invalid(format!("{at}.targets"), "stands beside models; use one of the two"));
    }
    if let Some(n) = models.iter().position(String::is_empty) {
        return Err(Fault::invalid(format!("{at}.models[{n}]"), "is empty"));
    }
    let plain = |model: &String| PolicyTarget { model: model.as_str().into(), timeouts: Limits::default() };
    Ok((models.iter().map(plain).collect(), (0..models.len()).map(|n| format!("{at}.models[{n}]")).collect()))
}

fn rule(kind: &Kind) -> Read<(Rule, String, Vec<String>)> {
    Ok(match kind {
        Kind::Fallback(chain) => {
            let at = "policy.fallback";
            let (targets, fields) = list(&chain.targets, at)?;
            (Rule::Fallback(targets), at.to_owned(), fields)
        }
        Kind::Weighted(weighted) => {
            let at = "policy.weighted";
            let one = |(n, t): (usize, &v1::WeightedTarget)| {
                let here = format!("{at}.targets[{n}]");
                let weight = |weight: i32, name: &str| {
                    u32::try_from(weight).ok().filter(|w| *w <= 1_000_000).ok_or_else(|| Fault::invalid(format!("{here}.{name}"), "must be 0 to 1000000"))
                };
                let mut by_key = t.weight_by_key.iter().map(|(id, w)| Ok((Arc::from(id.as_str()), weight(*w, "weight_by_key")?))).collect::<Read<Vec<_>>>()?;
                by_key.sort();
                let target = WeightedTarget { target: target(&t.model, t.timeouts.as_ref(), &here)?, weight: weight(t.weight, "weight")?, by_key };
                Ok((target, format!("{here}.model")))
            };
            let (targets, fields) = weighted.targets.iter().enumerate().map(one).collect::<Read<Vec<_>>>()?.into_iter().unzip();
            (Rule::Weighted(targets), at.to_owned(), fields)
        }
        Kind::Latency(latency) => {
            let at = "policy.latency";
            let (targets, fields) = either(&latency.models, &latency.targets, at)?;
            let goal = match v1::LatencyGoal::try_from(latency.goal) {
                Ok(v1::LatencyGoal::Unspecified | v1::LatencyGoal::WholeAnswer) => Goal::Whole,
                Ok(v1::LatencyGoal::FirstToken) => Goal::FirstToken,
                Ok(v1::LatencyGoal::Throughput) => Goal::Throughput,
                Err(_) => return Err(Fault::invalid("policy.latency.goal", format!("{} is no LatencyGoal", latency.goal))),
            };
            (Rule::Latency { targets, goal, explore: explore(latency.explore)? }, at.to_owned(), fields)
        }
        Kind::Cost(cost) => {
            let at = "policy.cost";
            let (targets, fields) = either(&cost.models, &cost.targets, at)?;
            (Rule::Cost(targets), at.to_owned(), fields)
        }
        Kind::Conditional(conditional) => conditions(conditional)?,
    })
}

fn explore(share: Option<f64>) -> Read<u32> {
    match share {
        None => Ok(EXPLORE),
        Some(share) if (0.0..=1.0).contains(&share) => {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let millionths = (share * 1_000_000.0).round() as u32;
            Ok(millionths)
        }
        Some(_) => Err(Fault::invalid("policy.latency.explore", "must be 0 to 1")),
    }
}

fn conditions(conditional: &v1::ConditionalPolicy) -> Read<(Rule, String, Vec<String>)> {
    let at = "policy.conditional";
    let mut fields = Vec::new();
    let mut branches = Vec::new();
    for (n, branch) in conditional.branches.iter().enumerate() {
        let here = format!("{at}.branches[{n}]");
        let one = |(i, c): (usize, &v1::Condition)| Ok(Condition { test: test(c, &format!("{here}.conditions[{i}]"))?, negated: c.negated });
        let conditions = branch.conditions.iter().enumerate().map(one).collect::<Read<_>>()?;
        branches.push(Branch { conditions, target: target(&branch.model, branch.timeouts.as_ref(), &here)? });
        fields.push(format!("{here}.model"));
    }
    let otherwise = Some(conditional.otherwise.as_str()).filter(|model| !model.is_empty());
    let otherwise = otherwise.map(|model| PolicyTarget { model: model.into(), timeouts: Limits::default() });
    if otherwise.is_some() {
        fields.push(format!("{at}.otherwise"));
    }
    Ok((Rule::Conditional { branches, otherwise }, at.to_owned(), fields))
}

fn test(condition: &v1::Condition, at: &str) -> Read<Test> {
    Ok(match condition.kind.as_ref() {
        Some(Look::Model(pattern)) => Test::Model(pattern.as_str().into()),
        Some(Look::MinInputTokens(least)) => Test::MinInput(*least),
        Some(Look::MaxInputTokens(most)) => Test::MaxInput(*most),
        Some(Look::HasTools(wanted)) => Test::Tools(*wanted),
        Some(Look::HasImages(wanted)) => Test::Images(*wanted),
        Some(Look::Tag(tag)) => Test::Tag(tag.as_str().into()),
        Some(Look::KeyId(id)) => Test::Key(id.as_str().into()),
        Some(Look::Region(region)) => Test::Region(region.as_str().into()),
        Some(Look::Time(window)) => Test::Time(self::window(window, &format!("{at}.time"))?),
        None => return Err(Fault::invalid(at, "is empty; set what it looks at")),
    })
}

fn window(window: &v1::TimeWindow, at: &str) -> Read<Window> {
    let minute = |text: &str, name: &str| {
        let parts = text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2);
        let number = parts.and_then(|(h, m)| Some((h.parse::<u16>().ok()?, m.parse::<u16>().ok()?)));
        match number {
            Some((hour, minute)) if minute < 60 && (hour < 24 || (hour, minute) == (24, 0)) => Ok(hour * 60 + minute),
            _ => Err(Fault::invalid(format!("{at}.{name}"), format!("\"{text}\" is no time of the day; write it as 09:30, UTC"))),
        }
    };
    let mut days = if window.days.is_empty() { 0x7f } else { 0 };
    for (n, day) in window.days.iter().enumerate() {
        if !(1..=7).contains(day) {
            return Err(Fault::invalid(format!("{at}.days[{n}]"), format!("{day} is no day; 1 is Monday and 7 is Sunday")));
        }
        days |= 1 << (day - 1);
    }
    Ok(Window { days, from: minute(&window.start, "start")?, until: minute(&window.end, "end")? })
}
