//! Why a target stands where it does.

use std::{fmt, sync::Arc, time::Duration};

use headworks_core::{NanoUsd, Sort};

/// Why a target stands where it does: the steps that led to it, and what moved it since.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// From the policy that names it outwards.
    pub steps: Vec<Step>,
    /// It is named by the request itself, beside a policy or without one.
    pub by_request: bool,
    /// The request sorts its targets.
    pub sort: Option<Sort>,
    /// The request prefers its provider.
    pub preferred: bool,
    /// It holds the prompt's cache.
    pub home: bool,
    /// How long it rests; zero: it is well.
    pub rest: Duration,
}

/// One policy on the way to a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name.
    pub policy: Arc<str>,
    /// Its reason.
    pub by: By,
}

/// A policy's reason for a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum By {
    /// It is the nth of a chain, from 1.
    Chain(usize),
    /// Its weight, and the sum of those that run.
    Weight(u32, u32),
    /// Its expected time in seconds; `None`: unknown.
    Speed(Option<f64>),
    /// Its speed is unknown, and this call is spent on learning it.
    Explored,
    /// What it is expected to cost; `None`: unknown.
    Cost(Option<NanoUsd>),
    /// Its branch, from 1, and the conditions that hold.
    Branch(usize, Arc<str>),
    /// No branch holds.
    #[default]
    Otherwise,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::Chain(at) => write!(f, "number {at} of the chain"),
            By::Weight(weight, sum) => write!(f, "drawn by weight {weight} of {sum}"),
            By::Speed(Some(seconds)) => write!(f, "expected to take {seconds:.3} s"),
            By::Speed(None) => f.write_str("of unknown speed, so after the known ones"),
            By::Explored => f.write_str("of unknown speed, tried to learn it"),
            By::Cost(Some(cost)) => write!(f, "expected to cost ${cost}"),
            By::Cost(None) => f.write_str("of unknown price, so after the known ones"),
            By::Branch(at, conditions) => write!(f, "branch {at} holds ({conditions})"),
            By::Otherwise => f.write_str("no branch holds"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        let mut say = |f: &mut fmt::Formatter<'_>, what: fmt::Arguments<'_>| {
            let written = write!(f, "{between}{what}");
            between = "; ";
            written
        };
        for step in self.steps.iter().rev() {
            say(f, format_args!("policy {}: {}", step.policy, step.by))?;
        }
        if self.by_request {
            say(f, format_args!("named by the request"))?;
        }
        if let Some(sort) = self.sort {
            say(f, format_args!("sorted by {} as the request asks", sort.name()))?;
        }
        if self.preferred {
            say(f, format_args!("of a provider that the request prefers"))?;
        }
        if self.home {
            say(f, format_args!("first because it holds the cache of this prompt"))?;
        }
        if self.rest > Duration::ZERO {
            say(f, format_args!("last because it rests for {:.1} s after failing", self.rest.as_secs_f64()))?;
        }
        Ok(())
    }
}
