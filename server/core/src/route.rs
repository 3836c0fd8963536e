use std::{sync::Arc, time::Duration};

use crate::{ModelId, NanoUsd, Rates, Reason, Tokens};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Outcome {
    /// It served the whole answer.
    Success,
    /// It failed before any content.
    Failed,
    /// It broke after content.
    FailedPartial,
    /// The caller went away.
    Cancelled,
    /// Nobody knows: the gateway died under it.
    Unknown,
}

/// Durations of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Timings {
    /// Unix nanoseconds when it began.
    pub start_unix_nanos: i64,
    /// Until its end.
    pub total: Duration,
    /// Until its first content.
    pub first_token: Option<Duration>,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AttemptReport {
    /// From 1.
    pub ordinal: u32,
    /// Where it went.
    pub target: ModelId,
    /// The host's own name for the model that served, where it said so.
    pub served_model: Option<Arc<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where it did not succeed.
    pub reason: Option<Reason>,
    /// HTTP status of the provider's answer; 0 if there was none.
    pub status: u16,
    /// What went wrong, for people.
    pub message: Option<Arc<str>>,
    /// When and how long.
    pub timings: Timings,
    /// What it used.
    pub tokens: Tokens,
    /// The counts are ours, not the provider's.
    pub estimated: bool,
    /// What it cost; `None` where the price is unknown.
    pub cost: Option<NanoUsd>,
    /// What the operator adds to that cost.
    #[serde(default)]
    pub markup: NanoUsd,
    /// The rates used, nano-USD per million tokens, tiers and service tier applied.
    pub rates: Option<Rates>,
    /// The service tier served.
    pub service_tier: Option<Arc<str>>,
    /// What was held for it.
    pub hold: NanoUsd,
    /// It was a second attempt, begun beside another that was late.
    #[serde(default)]
    pub hedge: bool,
}

/// Tokens of the attempts that wrote what the client has: the last, whatever became of it, and those before that broke
/// after content, since another one went on or started over. Of each attempt: whether it broke so, and its tokens.
pub fn written(attempts: impl DoubleEndedIterator<Item = (bool, Tokens)>) -> Tokens {
    let mut sum = Tokens::default();
    attempts.rev().enumerate().filter(|(back, (broke, _))| *back == 0 || *broke).for_each(|(_, (_, tokens))| sum += tokens);
    sum
}

/// A target that was not tried.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Skipped {
    /// The target.
    pub target: ModelId,
    /// Why.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
}

/// The account of a whole call.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// Identifies the request in records.
    pub request_id: Arc<str>,
    /// The model as the client asked for it.
    pub asked: Arc<str>,
    /// The policy applied, where there was one.
    pub policy: Option<Arc<str>>,
    /// Every attempt, in the order in which they ended: the one that served comes last.
    pub attempts: Vec<AttemptReport>,
    /// Targets that were left out.
    pub skipped: Vec<Skipped>,
    /// Things done on the client's behalf, such as a `max_tokens` filled in.
    pub notes: Vec<Arc<str>>,
    /// Tokens of the attempt that served; where several wrote the answer, of these together.
    pub tokens: Tokens,
    /// Sum over the attempts whose price is known.
    pub cost: NanoUsd,
    /// Every attempt that used tokens had a price.
    pub cost_known: bool,
    /// Some count is an estimate.
    pub estimated: bool,
    /// What the served attempt would have cost more without its cache; negative if caching cost more. Of an answer given
    /// again, what it cost when it was made.
    pub saved: NanoUsd,
    /// It is an answer given again: nobody was asked.
    #[serde(default)]
    pub cached: Option<Cached>,
}

/// An answer given again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cached {
    /// Who made it.
    pub target: ModelId,
    /// When, Unix nanoseconds.
    pub made_unix_nanos: i64,
    /// How long ago.
    pub age: std::time::Duration,
    /// Some of its counts are estimates.
    pub estimated: bool,
}
