//! From a policy, or a name, to the targets behind it, in order: policies may name policies.

use std::{sync::Arc, time::Duration};

use headworks_core::{Cause, Fault, Key, ModelId, Reason, Skipped, Work};

use crate::{
    Branch, Limits, Pace, Place, Planned, Policy, PolicyTarget, Rule, Size, WeightedTarget, World, cheapest,
    condition::Facts,
    fit,
    latency::{self, Entrant},
    place::{By, Step},
    weighted,
};

/// How deep policies may name policies.
pub const DEEPEST: usize = 8;
/// Most targets of one plan. More are left out, last first.
pub const MOST_TARGETS: usize = 256;

/// One planning under way.
pub(crate) struct Walk<'a> {
    work: &'a Work,
    tenant: &'a Key,
    world: &'a World<'a>,
    size: Option<Size>,
    /// The policies that led here, outermost first.
    trail: Vec<Arc<Policy>>,
    skipped: Vec<Skipped>,
    refusal: Option<Fault>,
    /// The first target that cannot take what the request holds.
    unfit: Option<Fault>,
    found: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(work: &'a Work, tenant: &'a Key, size: Option<Size>, world: &'a World<'a>) -> Self {
        Self { work, tenant, world, size, trail: Vec::new(), skipped: Vec::new(), refusal: None, unfit: None, found: 0 }
    }

    /// What was left out, the first refusal, and the first of a target that cannot take what the request holds.
    pub(crate) fn end(self) -> (Vec<Skipped>, Option<Fault>, Option<Fault>) {
        (self.skipped, self.refusal, self.unfit)
    }

    fn size(&mut self) -> Size {
        *self.size.get_or_insert_with(|| Size::of(self.work))
    }

    fn skip(&mut self, name: &str, fault: Fault) {
        let target = name.split_once('/').map_or_else(|| ModelId::new("", name), |(p, m)| ModelId::new(p, m));
        if !self.skipped.iter().any(|s| s.target == target && s.reason == fault.reason) {
            self.skipped.push(Skipped { target, reason: fault.reason, message: fault.message.clone() });
        }
        if fault.cause == Cause::Unfit {
            self.unfit.get_or_insert_with(|| fault.clone());
        }
        self.refusal.get_or_insert(fault);
    }

    /// What the request names itself: what the key may not use is refused.
    pub(crate) fn named(&mut self, name: &str) -> Vec<Planned> {
        if name.starts_with("policy/") && !self.tenant.may_use(name) {
            self.skip(name, fit::forbidden(name));
            return Vec::new();
        }
        self.entry(name, Limits::default(), false)
    }

    /// The targets of an entry: one, or those of a policy. What an admin put into a policy may be used by every key
    /// that may use the policy.
    fn entry(&mut self, name: &str, limits: Limits, by_policy: bool) -> Vec<Planned> {
        if let Some(nested) = name.strip_prefix("policy/") {
            let Some(policy) = (self.world.policies)(nested) else {
                self.skip(name, Fault::new(Reason::ModelNotFound, format!("no policy \"{nested}\"; PolicyService.ListPolicies lists them")));
                return Vec::new();
            };
            return self.policy(&policy, limits);
        }
        if self.found >= MOST_TARGETS {
            return Vec::new();
        }
        let regions = [&self.tenant.regions, &self.work.routing().regions].into_iter().chain(self.trail.iter().map(|p| &p.regions)).map(Vec::as_slice);
        let fitting = fit::target(name, self.world.catalog).and_then(|target| fit::check(&target, self.work, self.tenant, by_policy, regions).map(|()| target));
        match fitting {
            Ok(target) => {
                self.found += 1;
                let place = Place { rest: (self.world.rest)(&target), ..Place::default() };
                vec![Planned { target, timeouts: limits, place }]
            }
            Err(fault) => {
                self.skip(name, fault);
                Vec::new()
            }
        }
    }

    /// The targets of a policy, in its order.
    pub(crate) fn policy(&mut self, policy: &Arc<Policy>, outer: Limits) -> Vec<Planned> {
        let name = &policy.name;
        if self.trail.iter().any(|outer| outer.name == *name) || self.trail.len() >= DEEPEST {
            let fault = Fault::new(Reason::InvalidRequest, format!("policy/{name} leads back to itself, or policies are nested deeper than {DEEPEST}"));
            self.skip(&format!("policy/{name}"), fault);
            return Vec::new();
        }
        self.trail.push(policy.clone());
        let outer = policy.timeouts.or(outer);
        let groups = match &policy.rule {
            Rule::Fallback(targets) => {
                let groups = targets.iter().enumerate();
                groups.map(|(at, target)| (By::Chain(at + 1), self.entry(&target.model, target.timeouts.or(outer), true))).collect()
            }
            Rule::Weighted(targets) => self.weighted(name, targets, outer),
            Rule::Latency { targets, goal, explore } => self.fastest(targets, *goal, *explore, outer),
            Rule::Cost(targets) => self.cheapest(targets, outer),
            Rule::Conditional { branches, otherwise } => vec![self.branch(name, branches, otherwise.as_ref(), outer)],
        };
        self.trail.pop();
        let step = |by: &By, mut planned: Planned| {
            planned.place.steps.push(Step { policy: name.clone(), by: by.clone() });
            planned
        };
        groups.into_iter().flat_map(|(by, group)| group.into_iter().map(move |planned| (by.clone(), planned))).map(|(by, planned)| step(&by, planned)).collect()
    }

    fn groups(&mut self, targets: &[PolicyTarget], outer: Limits) -> Vec<Vec<Planned>> {
        targets.iter().map(|target| self.entry(&target.model, target.timeouts.or(outer), true)).collect()
    }

    fn weighted(&mut self, policy: &str, targets: &[WeightedTarget], outer: Limits) -> Vec<(By, Vec<Planned>)> {
        let mut field = Vec::with_capacity(targets.len());
        for entrant in targets {
            let (model, weight) = (&entrant.target.model, entrant.weight_for(&self.tenant.id));
            if weight == 0 {
                self.skip(model, Fault::new(Reason::ModelForbidden, format!("{model} has weight 0 for this key in policy {policy}")));
                continue;
            }
            let group = self.entry(model, entrant.target.timeouts.or(outer), true);
            if !group.is_empty() {
                field.push((model.clone(), weight, group));
            }
        }
        let routing = self.work.routing();
        let user = routing.user_id.as_deref().or(self.work.user().map(|user| &**user));
        let seed = weighted::seed(routing.trace_id.as_deref(), user, self.world.dice);
        let order = weighted::race(policy, seed, field.iter().map(|(name, weight, _)| (&**name, *weight)));
        let sum = field.iter().filter(|(_, _, group)| well(group)).map(|(_, weight, _)| *weight).sum();
        take(field.into_iter().map(|(_, weight, group)| (By::Weight(weight, sum), group)).collect(), &order)
    }

    fn fastest(&mut self, targets: &[PolicyTarget], goal: crate::Goal, explore: u32, outer: Limits) -> Vec<(By, Vec<Planned>)> {
        let size = self.size();
        let groups: Vec<Vec<Planned>> = self.groups(targets, outer).into_iter().filter(|group| !group.is_empty()).collect();
        let pace = |group: &[Planned]| lead(group).map_or_else(Pace::default, |planned| (self.world.pace)(&planned.target, size.class()));
        let entrants: Vec<Entrant> = groups.iter().map(|group| Entrant { pace: pace(group), well: well(group) }).collect();
        let (order, explored) = latency::order(&entrants, goal, size.output, explore, self.world.dice);
        let by = |at: usize| match entrants.get(at) {
            _ if explored == Some(at) => By::Explored,
            Some(entrant) => By::Speed(entrant.pace.seconds(goal, size.output)),
            None => By::Speed(None),
        };
        take(groups.into_iter().enumerate().map(|(at, group)| (by(at), group)).collect(), &order)
    }

    fn cheapest(&mut self, targets: &[PolicyTarget], outer: Limits) -> Vec<(By, Vec<Planned>)> {
        let (size, work, now) = (self.size(), self.work, self.world.unix_seconds);
        let cost = |group: &[Planned]| lead(group).and_then(|planned| cheapest::expected(&planned.target, size, work, now));
        let mut groups: Vec<_> = self.groups(targets, outer).into_iter().map(|group| (cost(&group), group)).collect();
        groups.sort_by_key(|(cost, _)| cost.map_or(i64::MAX, |cost| cost.0));
        groups.into_iter().map(|(cost, group)| (By::Cost(cost), group)).collect()
    }

    fn branch(&mut self, policy: &str, branches: &[Branch], otherwise: Option<&PolicyTarget>, outer: Limits) -> (By, Vec<Planned>) {
        let chat = self.work.chat();
        let facts = Facts {
            asked: self.work.model(),
            tools: chat.is_some_and(|chat| !chat.tools.is_empty()),
            images: chat.is_some_and(|chat| chat.has_images()),
            tags: &self.work.routing().tags,
            key_id: &self.tenant.id,
            regions: [&self.tenant.regions, &self.work.routing().regions],
            unix_seconds: self.world.unix_seconds,
            size: self.size.unwrap_or_else(|| Size::of(self.work)),
        };
        let holding = branches.iter().enumerate().find(|(_, branch)| branch.conditions.iter().all(|c| c.holds(&facts)));
        match (holding, otherwise) {
            (Some((at, branch)), _) => {
                let said: Vec<String> = branch.conditions.iter().map(ToString::to_string).collect();
                (By::Branch(at + 1, said.join(", ").into()), self.entry(&branch.target.model, branch.target.timeouts.or(outer), true))
            }
            (None, Some(target)) => (By::Otherwise, self.entry(&target.model, target.timeouts.or(outer), true)),
            (None, None) if self.work.model().starts_with("policy/") => {
                let message = format!("no branch of policy {policy} holds, and it names no model for that; ask for a model by name, or add \"otherwise\"");
                self.skip(&format!("policy/{policy}"), Fault::new(Reason::ModelNotFound, message));
                (By::Otherwise, Vec::new())
            }
            (None, None) => {
                let asked = self.work.model().clone();
                (By::Otherwise, self.entry(&asked, outer, false))
            }
        }
    }
}

/// The target that speaks for a group: its first that is well, else its first.
fn lead(group: &[Planned]) -> Option<&Planned> {
    group.iter().find(|planned| planned.place.rest == Duration::ZERO).or_else(|| group.first())
}

fn well(group: &[Planned]) -> bool {
    group.iter().any(|planned| planned.place.rest == Duration::ZERO)
}

fn take<T: Default>(mut all: Vec<T>, order: &[usize]) -> Vec<T> {
    order.iter().filter_map(|at| all.get_mut(*at).map(std::mem::take)).collect()
}
