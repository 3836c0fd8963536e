//! How far a call has got, by type.

use std::{sync::Arc, time::Duration};

use headworks_core::{Attempt, Planned};
use headworks_policy::Course;

use crate::{Timeouts, book::Book, failover::Race};

/// A planned call whose account is open.
pub struct Booked {
    /// The call and its targets.
    pub planned: Planned,
    /// Its account.
    pub book: Arc<Book>,
    /// Most attempts it may cause.
    pub max_attempts: u32,
    /// Time limits of each attempt, by the place of its target in the plan.
    pub timeouts: Vec<Timeouts>,
    /// How the attempts are driven.
    pub course: Course,
    /// Prefixes of the prompt, for whoever reads them next; empty where there is no choice of targets.
    pub prefixes: Vec<u64>,
}

/// One attempt with what it is measured against.
#[derive(Clone)]
pub struct Trial {
    /// Call and target.
    pub attempt: Attempt,
    /// Its time limits.
    pub timeouts: Timeouts,
    /// Where it is accounted for.
    pub book: Arc<Book>,
    /// It is begun beside another that is late.
    pub hedge: bool,
    /// The race it may have to run; `None`: it runs alone.
    pub race: Option<Arc<Race>>,
}

impl Trial {
    /// The time limit of the whole attempt: its own or the caller's, whichever ends first.
    pub fn total(&self) -> Duration {
        match self.attempt.call.deadline {
            Some(deadline) => self.timeouts.total.min(deadline.saturating_duration_since(std::time::Instant::now())),
            None => self.timeouts.total,
        }
    }
}
