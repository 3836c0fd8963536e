//! Decisions as arithmetic: which targets, in which order, at what price, and
//! what a failure means. Times, dice and standings arrive as arguments.

pub mod affinity;
mod cheapest;
mod condition;
pub mod continuation;
mod cost;
mod fit;
mod hold;
mod latency;
mod loss;
mod mix;
mod pace;
mod place;
mod plan;
mod policy;
mod retry;
mod simulate;
mod size;
mod space;
mod standing;
mod validate;
mod verdict;
mod walk;
mod weighted;

pub use condition::{Branch, Condition, Test};
pub use cost::{Priced, Terms, price, residency};
pub use fit::usable;
pub use hold::{Hold, hold};
pub use mix::dice;
pub use pace::{LEAST_ANSWERS, Learned, Pace};
pub use place::{By, Place, Step};
pub use plan::{Ask, Plan, Planned, Refusal, World, plan};
pub use policy::{AllDown, Course, Goal, Hedging, Limits, MidStream, Policy, PolicyTarget, Rule, WeightedTarget};
pub use retry::Retries;
pub use simulate::{Recorded, Setting, Simulation, Sums, Tried, percentile, simulate};
pub use size::{LARGE, Size, SizeClass};
pub use standing::warning;
pub use validate::{Known, validate};
pub use verdict::{Cool, Verdict, verdict, verdict_under};
pub use walk::{DEEPEST, MOST_TARGETS};
