//! Which targets are tried, in which order, and why not the others.

use std::{sync::Arc, time::Duration};

use headworks_core::{Catalog, Cause, Fault, Key, Loss, ModelId, NanoUsd, OnLoss, Reason, Skipped, Sort, Target, Work};

use crate::{AllDown, Course, Goal, Limits, Pace, Place, Policy, Size, SizeClass, affinity, cheapest, fit, loss, space, standing, walk::Walk};

/// Who asks what.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// What is asked.
    pub work: &'a Work,
    /// Who pays.
    pub tenant: &'a Key,
    /// Its size, where it is known better than by estimate.
    pub size: Option<Size>,
}

/// What is known when a call is planned. Everything that changes with time arrives here.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Hosts and models.
    pub catalog: &'a Catalog,
    /// Named policies.
    pub policies: &'a dyn Fn(&str) -> Option<Arc<Policy>>,
    /// How long a target should rest; zero: it is well.
    pub rest: &'a dyn Fn(&Target) -> Duration,
    /// How fast a target is.
    pub pace: &'a dyn Fn(&Target, SizeClass) -> Pace,
    /// Who holds the cache of the longest of these prefixes, shortest first.
    pub home: &'a dyn Fn(&[u64]) -> Option<ModelId>,
    /// What a target cannot express of a request; asked only where that matters.
    pub losses: &'a dyn Fn(&Target, &Work) -> Vec<Loss>,
    /// Drawn anew for each call.
    pub dice: u64,
    /// Now.
    pub unix_seconds: i64,
}

/// A target with its limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Where.
    pub target: Arc<Target>,
    /// For how long.
    pub timeouts: Limits,
    /// Why it stands here.
    pub place: Place,
}

/// What will be tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In this order; never empty.
    pub targets: Vec<Planned>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// The policy applied.
    pub policy: Option<Arc<str>>,
    /// What the client should know.
    pub notes: Vec<Arc<str>>,
    /// What it should be warned of where one of these targets serves it. The notes say it too.
    pub warnings: Vec<(ModelId, Arc<str>)>,
    /// How the attempts are driven.
    pub course: Course,
    /// Prefixes of the prompt that a provider may hold in its cache; empty where there is no choice of targets.
    pub prefixes: Vec<u64>,
}

/// Why nothing will be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the client.
    pub fault: Fault,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// The policy applied.
    pub policy: Option<Arc<str>>,
}

/// Plans a call. Same arguments, same plan.
pub fn plan(ask: &Ask<'_>, world: &World<'_>) -> Result<Plan, Box<Refusal>> {
    let (work, tenant) = (ask.work, ask.tenant);
    let (model, routing) = (work.model(), work.routing());
    let refuse = |fault| Box::new(Refusal { fault, skipped: Vec::new(), policy: None });
    let policy = match tenant.default_policy.as_deref().or_else(|| model.strip_prefix("policy/")) {
        Some(name) => {
            let unknown = || refuse(Fault::new(Reason::ModelNotFound, format!("no policy \"{name}\"; PolicyService.ListPolicies lists them")));
            let found = (world.policies)(name).ok_or_else(unknown)?;
            if model.starts_with("policy/") && !tenant.may_use(model) {
                return Err(refuse(fit::forbidden(model)));
            }
            Some(found)
        }
        None => None,
    };
    let mut walk = Walk::new(work, tenant, ask.size, world);
    let mut targets = match &policy {
        Some(policy) => walk.policy(policy, Limits::default()),
        None => walk.named(model),
    };
    for model in &routing.models {
        let mut more = walk.named(model);
        more.iter_mut().for_each(|planned| planned.place.by_request = policy.is_some());
        targets.append(&mut more);
    }
    let (mut skipped, mut refusal, unfit) = walk.end();
    let mut seen: Vec<ModelId> = Vec::with_capacity(targets.len());
    targets.retain(|planned| {
        !seen.contains(&planned.target.id) && {
            seen.push(planned.target.id.clone());
            true
        }
    });
    skipped.retain(|skipped| !seen.contains(&skipped.target));
    let (mut notes, mut warnings) = (Vec::new(), Vec::new());
    for planned in &targets {
        match standing::warning(&planned.target, world.unix_seconds) {
            Some(warning) => {
                notes.push(warning.clone());
                warnings.push((planned.target.id.clone(), warning));
            }
            None => notes.extend(standing::note(&planned.target)),
        }
    }
    let mut plan = Plan {
        notes,
        warnings,
        policy: policy.as_ref().map(|p| p.name.clone()),
        course: policy.as_ref().map_or_else(Course::default, |p| p.course),
        targets,
        skipped,
        prefixes: Vec::new(),
    };
    // Who wants a refusal rather than a loss wants one too where the catalogue knows that a target cannot.
    let settled = match unfit.filter(|_| loss::wanted(ask) == OnLoss::Refuse) {
        Some(mut fault) => {
            fault.message.push_str("; on_loss is REFUSE: leave it out, choose another target, or allow DROP or SKIP");
            Err(fault)
        }
        None => loss::settle(&mut plan, ask, world),
    };
    match settled {
        Ok(lacking) => refusal = refusal.or(lacking),
        Err(fault) => return Err(Box::new(Refusal { fault, skipped: plan.skipped, policy: plan.policy })),
    }
    if plan.targets.is_empty() {
        let fault = nothing(&plan.skipped, refusal);
        return Err(Box::new(Refusal { fault, skipped: plan.skipped, policy: plan.policy }));
    }
    if matches!(work, Work::Embed(_)) {
        space::one(&mut plan);
    }
    if plan.targets.len() > 1 {
        narrow(&mut plan, ask, world, policy.as_deref().is_none_or(|p| p.affinity));
    }
    rested(plan)
}

/// What the request prefers among several targets.
fn narrow(plan: &mut Plan, ask: &Ask<'_>, world: &World<'_>, affinity: bool) {
    let work = ask.work;
    let routing = work.routing();
    if let Some(sort) = routing.sort {
        let size = ask.size.unwrap_or_else(|| Size::of(work));
        plan.targets.sort_by_cached_key(|planned| rank(sort, &planned.target, work, size, world));
        plan.targets.iter_mut().for_each(|planned| planned.place.sort = Some(sort));
    }
    // The client's preferred providers come first, in its order; the rest keep theirs.
    if !routing.order.is_empty() {
        let at = |planned: &Planned| routing.order.iter().position(|name| fit::names(std::slice::from_ref(name), &planned.target));
        plan.targets.sort_by_key(|planned| at(planned).unwrap_or(routing.order.len()));
        plan.targets.iter_mut().for_each(|planned| planned.place.preferred = at(planned).is_some());
    }
    if let Some(request) = work.chat().filter(|_| affinity) {
        plan.prefixes = affinity::prefixes(request);
        // What the client says of order outweighs what a cache saves.
        let home = if plan.prefixes.is_empty() || routing.sort.is_some() || !routing.order.is_empty() { None } else { (world.home)(&plan.prefixes) };
        if let Some(at) = home.and_then(|home| plan.targets.iter().position(|planned| planned.target.id == home)) {
            plan.targets[..=at].rotate_right(1);
            if let Some(first) = plan.targets.first_mut() {
                first.place.home = true;
            }
        }
    }
    if routing.allow_fallbacks == Some(false) {
        for left in plan.targets.drain(1..) {
            let message = format!("{} comes after the first, and the request allows no fallbacks", left.target.id);
            plan.skipped.push(Skipped { target: left.target.id.clone(), reason: Reason::CapabilityMissing, message });
        }
    }
}

/// Resting targets go last, the one that rests shortest first: when all rest, the least bad is tried, or nobody.
fn rested(mut plan: Plan) -> Result<Plan, Box<Refusal>> {
    plan.targets.sort_by_key(|planned| planned.place.rest);
    let least = plan.targets.first().map_or(Duration::ZERO, |planned| planned.place.rest);
    if plan.course.all_down == AllDown::LeastBad || least == Duration::ZERO {
        return Ok(plan);
    }
    let resting: Vec<String> = plan.targets.iter().map(|p| format!("{} for {} s", p.target.id, p.place.rest.as_secs_f64().ceil())).collect();
    let message = format!("every target rests after failing ({}); try again later", resting.join(", "));
    let fault = Fault::new(Reason::AllTargetsFailed, message).because(Cause::Unavailable).after(Some(least.max(Duration::from_secs(1))));
    for planned in plan.targets {
        let message = format!("{} rests after failing, and the policy calls nobody while all do", planned.target.id);
        plan.skipped.push(Skipped { target: planned.target.id.clone(), reason: Reason::AllTargetsFailed, message });
    }
    Err(Box::new(Refusal { fault, skipped: plan.skipped, policy: plan.policy }))
}

/// A sort's measure of a target, small before large, unknown last: nano-USD or nanoseconds.
fn rank(sort: Sort, target: &Target, work: &Work, size: Size, world: &World<'_>) -> i64 {
    let seconds = |goal| (world.pace)(target, size.class()).seconds(goal, size.output);
    #[allow(clippy::cast_possible_truncation)]
    let nanos = |seconds: Option<f64>| seconds.map_or(i64::MAX, |s| (s * 1e9) as i64);
    match sort {
        Sort::Price => cheapest::expected(target, size, work, world.unix_seconds).map_or(i64::MAX, |NanoUsd(cost)| cost),
        Sort::Latency => nanos(seconds(Goal::FirstToken).or_else(|| seconds(Goal::Whole))),
        Sort::Throughput => nanos(seconds(Goal::Throughput)),
    }
}

/// The fault of a plan without targets. A region that must be kept comes before all else, then the first refusal.
fn nothing(skipped: &[Skipped], first: Option<Fault>) -> Fault {
    let mut fault = first.unwrap_or_else(|| Fault::new(Reason::ModelNotFound, "the policy has no targets"));
    if let Some(outside) = skipped.iter().find(|s| s.reason == Reason::RegionForbidden)
        && fault.reason != Reason::RegionForbidden
    {
        fault = Fault::new(Reason::RegionForbidden, outside.message.clone()).at(&outside.target);
    }
    if skipped.len() > 1 {
        let all: Vec<String> = skipped.iter().map(|s| s.message.clone()).collect();
        fault.message = format!("no target can serve this: {}", all.join("; "));
    }
    fault
}

#[cfg(test)]
mod tests;
