//! Verbs in time: the tower stack that a call passes through.
//!
//! `Inbound -> admit -> resumable -> once -> Call -> route -> Booked -> cached -> failover -> Trial ->
//! meter -> limit -> breaker -> observe -> timed -> Attempt -> upstream`.
//! A layer out of place does not compile.

mod admit;
mod affinity;
mod book;
mod breaker;
mod budget;
mod cached;
mod clock;
mod config;
mod control;
mod failover;
mod health;
mod id;
mod limit;
mod meter;
mod metrics;
mod observe;
mod once;
pub mod ports;
mod print;
mod rate;
mod route;
#[cfg(test)]
mod settle_tests;
mod stack;
mod stage;
mod streams;
mod tape;
#[cfg(test)]
mod testing;
mod timed;

use std::sync::{Arc, atomic::AtomicBool};

pub use affinity::Homes;
use arc_swap::ArcSwap;
pub use budget::{Budgets, Lowered, Reserved, Told};
pub use cached::{Answers, AnswersConfig};
pub use clock::{unix_nanos, unix_seconds};
pub use config::{BudgetConfig, Config, Timeouts};
pub use control::{Cancel, Running};
pub use failover::{Hedge, Hedges};
use headworks_core::{Catalog, Loss, Target, Work};
pub use health::{Board, Standing};
pub use id::request as request_id;
pub use metrics::Metrics;
pub use rate::{Need, Permit, Rates, Scope};
pub use stack::{Gateway, Leaf, gateway};
pub use streams::{Resumed, Streams, StreamsConfig};

/// What the layers share: built once, at start.
pub struct Shared {
    /// How calls are driven.
    pub config: Config,
    /// Who may call.
    pub keys: Arc<dyn ports::Keys>,
    /// Named policies.
    pub policies: Arc<dyn ports::Policies>,
    /// The durable account.
    pub ledger: Arc<dyn ports::Ledger>,
    /// Durable memory of idempotency keys.
    pub memory: Arc<dyn ports::Memory>,
    /// When a record has to be on disk.
    pub ack: ports::Ack,
    /// Hosts and models, replaced as a whole.
    pub catalog: ArcSwap<Catalog>,
    /// Standing of targets.
    pub board: Board,
    /// Who holds the cache of which prompt.
    pub homes: Homes,
    /// What a target cannot express of a request. Pure.
    pub losses: fn(&Target, &Work) -> Vec<Loss>,
    /// Keeps connections to fallbacks.
    pub warm: Arc<dyn ports::Warm>,
    /// Money held and spent.
    pub budgets: Budgets,
    /// Requests and tokens per window, and calls at once.
    pub rates: Rates,
    /// Which calls may have a second attempt.
    pub hedges: Hedges,
    /// Calls under way.
    pub running: Arc<Running>,
    /// Streams that clients may come back to.
    pub streams: Arc<Streams>,
    /// Answers that may be given again.
    pub answers: Answers,
    /// Counters.
    pub metrics: Metrics,
    /// Set when the gateway shuts down: no new calls.
    pub draining: AtomicBool,
}
