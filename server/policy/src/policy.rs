//! A policy as data: what an admin decided, in the words of `headworks.v1.Policy`.

use std::{sync::Arc, time::Duration};

use crate::{condition::Branch, retry::Retries};

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

impl Limits {
    /// These limits; where one is absent, that of `otherwise`.
    #[must_use]
    pub fn or(self, otherwise: Limits) -> Limits {
        Limits {
            first_token: self.first_token.or(otherwise.first_token),
            between_tokens: self.between_tokens.or(otherwise.between_tokens),
            total: self.total.or(otherwise.total),
        }
    }
}

/// Which targets serve a call, in which order, and how the attempts are driven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: Arc<str>,
    /// How targets are chosen.
    pub rule: Rule,
    /// Limits where a target has none of its own.
    pub timeouts: Limits,
    /// Regions allowed; empty: all.
    pub regions: Vec<Arc<str>>,
    /// Requests stay with the target that holds their prompt's cache.
    pub affinity: bool,
    /// How attempts are driven.
    pub course: Course,
}

/// How the attempts of a call are driven. That of the policy asked for holds; those of nested ones do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// Most attempts one call may cause, retries included; `None`: the gateway's.
    pub max_attempts: Option<u32>,
    /// Retries at the same target; `None`: the gateway's.
    pub retries: Option<Retries>,
    /// What happens when every target rests.
    pub all_down: AllDown,
    /// A refusal by one provider's content policy goes to the next target.
    pub past_content_policy: bool,
    /// What happens when an answer breaks after it began.
    pub mid_stream: MidStream,
    /// When a second attempt begins beside a first; `None`: never.
    pub hedging: Option<Hedging>,
}

/// A second attempt beside a first that shows no content for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedging {
    /// How long the first is waited for; `None`: what was learned of its target.
    pub delay: Option<Duration>,
    /// Most share of calls that get a second attempt, in percent.
    pub max_percent: u32,
}

impl Default for Hedging {
    fn default() -> Self {
        Self { delay: None, max_percent: 10 }
    }
}

/// What happens when every target rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllDown {
    /// The one that rests shortest is tried.
    #[default]
    LeastBad,
    /// Nobody is called: 503 with `retry-after`.
    FailFast,
}

/// What happens when an answer breaks after it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MidStream {
    /// The failure is told in the stream.
    #[default]
    Fail,
    /// The next target goes on from the text already sent.
    Continue,
    /// The client is told to discard, and the next target starts over.
    Restart,
}

/// How targets are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// In order, until one answers.
    Fallback(Vec<PolicyTarget>),
    /// By weight.
    Weighted(Vec<WeightedTarget>),
    /// The fastest first.
    Latency {
        /// Among these.
        targets: Vec<PolicyTarget>,
        /// Fastest in what.
        goal: Goal,
        /// Share of calls, in millionths, that go to a target whose speed is unknown, while there is one.
        explore: u32,
    },
    /// The cheapest for this request first.
    Cost(Vec<PolicyTarget>),
    /// By conditions on the request.
    Conditional {
        /// Tried in order.
        branches: Vec<Branch>,
        /// Where none holds; `None`: the model that was asked for.
        otherwise: Option<PolicyTarget>,
    },
}

impl Default for Rule {
    fn default() -> Self {
        Rule::Fallback(Vec::new())
    }
}

/// One target of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyTarget {
    /// `provider/model`, a bare name or `policy/NAME`.
    pub model: Arc<str>,
    /// Its own limits.
    pub timeouts: Limits,
}

/// One target with a weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightedTarget {
    /// Where.
    pub target: PolicyTarget,
    /// Its share, against the sum of all.
    pub weight: u32,
    /// Its share for calls of one key, by the key's id.
    pub by_key: Vec<(Arc<str>, u32)>,
}

impl WeightedTarget {
    /// Its share for a call of this key.
    pub fn weight_for(&self, key_id: &str) -> u32 {
        self.by_key.iter().find(|(id, _)| **id == *key_id).map_or(self.weight, |(_, weight)| *weight)
    }
}

/// Fastest in what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// The whole answer, at the length that is expected.
    #[default]
    Whole,
    /// Its first token.
    FirstToken,
    /// Tokens a second once it began.
    Throughput,
}

impl Policy {
    /// Every target it names, in the order of the schema: branches before `otherwise`.
    pub fn targets(&self) -> Vec<&PolicyTarget> {
        match &self.rule {
            Rule::Fallback(targets) | Rule::Cost(targets) | Rule::Latency { targets, .. } => targets.iter().collect(),
            Rule::Weighted(targets) => targets.iter().map(|t| &t.target).collect(),
            Rule::Conditional { branches, otherwise } => branches.iter().map(|b| &b.target).chain(otherwise).collect(),
        }
    }
}
