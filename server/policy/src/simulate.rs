//! What would have happened under a policy, by what is on record.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use headworks_core::{Catalog, Cause, Key, ModelId, NanoUsd, Target, Tokens, Work};

use crate::{Ask, Learned, Limits, Pace, Plan, Policy, Retries, Size, SizeClass, Terms, World, dice, plan, price, residency, verdict_under};

/// One recorded call.
pub struct Recorded {
    /// Its id.
    pub id: Arc<str>,
    /// When it came, after 1970.
    pub at: Duration,
    /// What it asked, as far as it is on record.
    pub work: Work,
    /// Who paid.
    pub tenant: Arc<Key>,
    /// What it used.
    pub tokens: Tokens,
    /// Every attempt, in order.
    pub attempts: Vec<Tried>,
    /// It was answered.
    pub success: bool,
    /// How long it took.
    pub latency: Duration,
}

/// One recorded attempt.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Where.
    pub target: ModelId,
    /// When it began, after 1970.
    pub at: Duration,
    /// Why it failed; `None`: it served.
    pub cause: Option<Cause>,
    /// Until its first content, where that is on record of a streamed answer.
    pub first_token: Option<Duration>,
    /// Until its end.
    pub total: Duration,
    /// Tokens read and written.
    pub size: Size,
    /// What it cost; `None`: unknown.
    pub cost: Option<NanoUsd>,
    /// It was cancelled because another attempt ended the call: how it would have gone is not on record.
    pub lost: bool,
}

/// What a simulation is run with.
pub struct Setting<'a> {
    /// Hosts, models and prices.
    pub catalog: &'a Catalog,
    /// The policy to try.
    pub policy: &'a Arc<Policy>,
    /// Other policies, which it may name.
    pub policies: &'a dyn Fn(&str) -> Option<Arc<Policy>>,
    /// Most attempts, where the policy does not say.
    pub max_attempts: u32,
    /// Retries, where the policy does not say.
    pub retries: Retries,
    /// Limits, where the policy does not say.
    pub limits: Limits,
}

/// Sums over calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Calls.
    pub requests: i64,
    /// Those answered.
    pub successes: i64,
    /// Those that needed another target.
    pub failovers: i64,
    /// Attempts.
    pub attempts: i64,
    /// What is known of their cost.
    pub cost: NanoUsd,
    /// Calls with a cost that is not known.
    pub price_unknown: i64,
    /// Latencies of calls answered, sorted.
    pub latencies: Vec<Duration>,
    /// Times to the first token, sorted.
    pub first_tokens: Vec<Duration>,
}

/// What would have happened, beside what did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Simulation {
    /// With the policy.
    pub simulated: Sums,
    /// On record.
    pub recorded: Sums,
    /// The same by the target that would serve, or served; else the last that was tried.
    pub targets: BTreeMap<ModelId, (Sums, Sums)>,
    /// What had to be assumed.
    pub notes: Vec<String>,
}

/// The way of one call.
#[derive(Debug, Default)]
struct Way {
    last: Option<ModelId>,
    success: bool,
    targets: usize,
    attempts: i64,
    cost: NanoUsd,
    price_unknown: bool,
    /// `None`: nothing on record tells.
    latency: Option<Duration>,
    first_token: Option<Duration>,
}

impl Sums {
    fn add(&mut self, way: &Way) {
        self.requests += 1;
        self.successes += i64::from(way.success);
        self.failovers += i64::from(way.targets > 1);
        self.attempts += way.attempts;
        self.cost += way.cost;
        self.price_unknown += i64::from(way.price_unknown);
        if way.success {
            self.latencies.extend(way.latency);
            self.first_tokens.extend(way.first_token);
        }
    }

    fn sort(&mut self) {
        self.latencies.sort_unstable();
        self.first_tokens.sort_unstable();
    }
}

/// The value below which this share (of 100) of a sorted list lies; `None`: the list is empty.
pub fn percentile(sorted: &[Duration], share: usize) -> Option<Duration> {
    let place = (sorted.len() * share).div_ceil(100).max(1) - 1;
    sorted.get(place).copied()
}

/// What is known of the targets at a moment of the simulation.
#[derive(Default)]
struct Market {
    /// Every attempt on record, by target, in order of time.
    tried: HashMap<ModelId, Vec<Tried>>,
    pace: HashMap<(ModelId, SizeClass), Learned>,
    /// Failures in a row, and until when it rests.
    rest: HashMap<ModelId, (u32, Duration)>,
}

impl Market {
    /// The attempt on record that comes nearest in time, the `nth` one; of the same class of size where there is one.
    fn nearest(&self, target: &ModelId, at: Duration, class: SizeClass, nth: usize) -> Option<&Tried> {
        let all = self.tried.get(target)?;
        let far = |tried: &&Tried| tried.at.abs_diff(at);
        let middle = all.partition_point(|tried| tried.at < at);
        // A few on each side are enough: the list is in order.
        let (from, to) = (middle.saturating_sub(64), (middle + 64).min(all.len()));
        let mut near: Vec<&Tried> = all.get(from..to).unwrap_or_default().iter().collect();
        near.sort_by_key(far);
        let same: Vec<&Tried> = near.iter().copied().filter(|tried| tried.size.class() == class).collect();
        let list = if same.is_empty() { near } else { same };
        list.get(nth.min(list.len().saturating_sub(1))).copied()
    }

    fn learn(&mut self, tried: &Tried) {
        if tried.cause.is_none() && !tried.lost {
            let learned = self.pace.entry((tried.target.clone(), tried.size.class())).or_default();
            learned.served(tried.at, tried.first_token, tried.total, tried.size.output);
        }
    }
}

/// Replays calls, oldest first. Calls nobody and throws no dice but those of the recorded ids.
pub fn simulate(mut calls: Vec<Recorded>, setting: &Setting<'_>) -> Simulation {
    calls.sort_by_key(|call| call.at);
    let mut market = Market::default();
    let lost = calls.iter().flat_map(|call| &call.attempts).filter(|tried| tried.lost).count();
    for tried in calls.iter().flat_map(|call| &call.attempts).filter(|tried| !tried.lost) {
        market.tried.entry(tried.target.clone()).or_default().push(tried.clone());
    }
    market.tried.values_mut().for_each(|list| list.sort_by_key(|tried| tried.at));
    let mut simulation = Simulation::default();
    let mut blank = BTreeMap::<ModelId, i64>::new();
    let mut refused = BTreeMap::<String, i64>::new();
    for call in &calls {
        let way = match planned(call, setting, &market) {
            Ok(plan) => drive(call, &plan, setting, &mut market, &mut blank),
            Err(reason) => {
                *refused.entry(reason).or_default() += 1;
                Way::default()
            }
        };
        // What was learned on the day is known to the calls after it.
        call.attempts.iter().for_each(|tried| market.learn(tried));
        let really = recorded(call);
        simulation.simulated.add(&way);
        simulation.recorded.add(&really);
        if let Some(target) = &way.last {
            simulation.targets.entry(target.clone()).or_default().0.add(&way);
        }
        if let Some(target) = &really.last {
            simulation.targets.entry(target.clone()).or_default().1.add(&really);
        }
    }
    simulation.simulated.sort();
    simulation.recorded.sort();
    simulation.targets.values_mut().for_each(|(a, b)| {
        a.sort();
        b.sort();
    });
    if setting.policy.course.hedging.is_some() {
        let message = "its second attempts are not simulated: with them, the slowest answers would come sooner, and some attempts more would be paid";
        simulation.notes.push(message.to_owned());
    }
    if lost > 0 {
        let message = format!("{lost} attempts on record lost a race to another; how they would have gone is taken from others at the same target");
        simulation.notes.push(message);
    }
    for (target, count) in blank {
        simulation.notes.push(format!("{target}: nothing on record in this time; {count} attempts there are taken as served, at an unknown latency"));
    }
    for (reason, count) in refused {
        simulation.notes.push(format!("{count} requests would be refused: {reason}"));
    }
    simulation
}

fn planned(call: &Recorded, setting: &Setting<'_>, market: &Market) -> Result<Plan, String> {
    // Tried as if it were the key's own: it then sees the model that was asked for.
    let tenant = Key { default_policy: Some(setting.policy.name.clone()), ..(*call.tenant).clone() };
    let output = call.tokens.completion().max(1);
    let size = Size { input: call.tokens.prompt(), output };
    let world = World {
        losses: &|_, _| Vec::new(),
        catalog: setting.catalog,
        policies: &|name| if *name == *setting.policy.name { Some(setting.policy.clone()) } else { (setting.policies)(name) },
        rest: &|target: &Target| market.rest.get(&target.id).map_or(Duration::ZERO, |(_, until)| until.saturating_sub(call.at)),
        pace: &|target: &Target, class| market.pace.get(&(target.id.clone(), class)).map_or_else(Pace::default, |learned| learned.pace(call.at)),
        home: &|_| None,
        dice: dice(&call.id),
        unix_seconds: i64::try_from(call.at.as_secs()).unwrap_or(i64::MAX),
    };
    plan(&Ask { work: &call.work, tenant: &tenant, size: Some(size) }, &world)
        .map_err(|refusal| format!("{}: {}", refusal.fault.reason.name(), refusal.fault.message))
}

fn drive(call: &Recorded, plan: &Plan, setting: &Setting<'_>, market: &mut Market, blank: &mut BTreeMap<ModelId, i64>) -> Way {
    let most = i64::from(plan.course.max_attempts.unwrap_or(setting.max_attempts));
    let retries = plan.course.retries.unwrap_or(setting.retries);
    let size = Size { input: call.tokens.prompt(), output: call.tokens.completion() };
    let mut way = Way { latency: Some(Duration::ZERO), ..Way::default() };
    for next in &plan.targets {
        if way.attempts >= most {
            break;
        }
        way.targets += 1;
        let mut retried = 0u32;
        loop {
            way.attempts += 1;
            let id = &next.target.id;
            way.last = Some(id.clone());
            let at = call.at + way.latency.unwrap_or_default();
            let own = call.attempts.iter().filter(|tried| tried.target == *id && !tried.lost).nth(usize::try_from(retried).unwrap_or(usize::MAX)).cloned();
            let tried = own.or_else(|| {
                market.nearest(id, at, size.class(), usize::try_from(retried).unwrap_or(0)).map(|near| scaled(near, size, next.target.as_ref(), call))
            });
            let Some(tried) = tried else {
                *blank.entry(id.clone()).or_default() += 1;
                way.success = true;
                way.latency = None;
                spend(&mut way, cost(&next.target, call));
                return way;
            };
            let tried = within(tried, next.timeouts.or(setting.limits), call.work.is_streamed());
            spend(&mut way, tried.cost);
            way.latency = way.latency.map(|so_far| so_far + tried.total);
            let Some(cause) = tried.cause else {
                let before = way.latency.unwrap_or_default().saturating_sub(tried.total);
                way.first_token = tried.first_token.map(|first| before + first);
                way.success = true;
                market.rest.remove(id);
                return way;
            };
            let verdict = verdict_under(cause, plan.course.past_content_policy);
            if let Some(rest) = verdict.rest(None) {
                let (failures, until) = market.rest.entry(id.clone()).or_default();
                *failures = if verdict.counts { failures.saturating_add(1) } else { *failures };
                let grown = rest.saturating_mul(1 << failures.saturating_sub(1).min(4));
                *until = (*until).max(at + tried.total + grown);
            }
            match retries.wait(&verdict, retried, None, dice(&call.id)).filter(|_| way.attempts < most) {
                Some(wait) => {
                    way.latency = way.latency.map(|so_far| so_far + wait);
                    retried += 1;
                }
                None if verdict.next => break,
                None => return way,
            }
        }
    }
    way
}

fn spend(way: &mut Way, cost: Option<NanoUsd>) {
    match cost {
        Some(cost) => way.cost += cost,
        None => way.price_unknown = true,
    }
}

/// A call's tokens at a target's price.
fn cost(target: &Target, call: &Recorded) -> Option<NanoUsd> {
    if call.tokens == Tokens::default() {
        return Some(NanoUsd::ZERO);
    }
    let place = residency(target, &call.work, None);
    let terms = Terms { residency: place.as_deref(), unix_seconds: i64::try_from(call.at.as_secs()).unwrap_or(i64::MAX), ..Terms::default() };
    Some(price(target.model.as_deref()?.price.as_deref()?, &call.tokens, &terms).cost)
}

/// Another call's attempt as it would be with this call's tokens.
fn scaled(near: &Tried, size: Size, target: &Target, call: &Recorded) -> Tried {
    if near.cause.is_some() {
        return Tried { cost: Some(NanoUsd::ZERO), ..near.clone() };
    }
    let first = near.first_token.unwrap_or_default();
    let writing = near.total.saturating_sub(first);
    #[allow(clippy::cast_precision_loss)]
    let factor = if near.size.output > 0 { size.output.max(1) as f64 / near.size.output as f64 } else { 1.0 };
    let writing = Duration::try_from_secs_f64(writing.as_secs_f64() * factor).unwrap_or(writing);
    Tried { total: first + writing, size, cost: cost(target, call), ..near.clone() }
}

/// An attempt under limits: what took too long would have been given up.
fn within(tried: Tried, limits: Limits, streamed: bool) -> Tried {
    let late = |limit, after| Tried { cause: Some(Cause::Timeout(limit)), first_token: None, total: after, cost: tried.cost, ..tried.clone() };
    match (limits.first_token.filter(|_| streamed), limits.total) {
        (Some(most), _) if tried.first_token.unwrap_or(tried.total) > most => late(headworks_core::Limit::FirstToken, most),
        (_, Some(most)) if tried.total > most => late(headworks_core::Limit::Total, most),
        _ => tried,
    }
}

/// What really happened.
fn recorded(call: &Recorded) -> Way {
    let end = call.attempts.last();
    // Those of a race that did not decide it led nowhere else.
    let led = |tried: &&Tried| !tried.lost && end.is_some_and(|end| tried.at <= end.at);
    let mut targets: Vec<&ModelId> = call.attempts.iter().filter(led).map(|tried| &tried.target).collect();
    targets.sort();
    targets.dedup();
    let mut way = Way {
        last: end.map(|tried| tried.target.clone()),
        success: call.success,
        targets: targets.len(),
        attempts: i64::try_from(call.attempts.len()).unwrap_or(i64::MAX),
        latency: Some(call.latency),
        ..Way::default()
    };
    call.attempts.iter().for_each(|tried| spend(&mut way, tried.cost));
    way.first_token = call.attempts.last().and_then(|tried| Some(tried.at.saturating_sub(call.at) + tried.first_token?));
    way
}

#[cfg(test)]
mod tests;
