//! Decisions as arithmetic: which targets, in which order, at what price, and
//! what a failure means. Times and standings arrive as arguments.

mod cost;
mod hold;
mod plan;
mod verdict;

pub use cost::{Priced, Terms, price, residency};
pub use hold::{Hold, hold};
pub use plan::{Health, Limits, Plan, Planned, Policy, PolicyTarget, plan};
pub use verdict::{Cool, Verdict, verdict};
