//! What the engine needs of the world: small traits, implemented where the stores are.

use std::{pin::Pin, sync::Arc};

use headworks_core::{BudgetWindow, Call, Fault, Host, ModelId, NanoUsd, Outcome, Reason, Receipt, Tenant};
use headworks_policy::Policy;

/// A future that is already under way when it is handed out: dropping it does not undo the work.
pub type Pending = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// Who may call. Answers from memory.
pub trait Keys: Send + Sync {
    /// The tenant of a credential, or why there is none.
    fn authenticate(&self, credential: &str) -> Result<Arc<Tenant>, Fault>;
}

/// Named policies. Answers from memory.
pub trait Policies: Send + Sync {
    /// The policy with this name.
    fn policy(&self, name: &str) -> Option<Arc<Policy>>;
}

/// Keeps connections to hosts that may be needed in a moment. Returns at once; no call waits for it.
pub trait Warm: Send + Sync {
    /// This host may be needed.
    fn warm(&self, host: &Arc<Host>);
}

/// Written before an attempt's answer is seen: that it happens, and what it may cost.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The request.
    pub request_id: Arc<str>,
    /// Which attempt of it, from 1.
    pub ordinal: u32,
    /// Who pays: the key, and its groups.
    pub tenant: Arc<Tenant>,
    /// Where it goes.
    pub target: ModelId,
    /// The most it can cost, markup included.
    pub hold: NanoUsd,
    /// The part of it that is markup.
    pub markup: NanoUsd,
    /// Unix nanoseconds.
    pub start_unix_nanos: i64,
}

/// A threshold of a budget was crossed. Told at least once per threshold, limit and window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The key or group.
    pub payer: Arc<str>,
    /// For people.
    pub title: Arc<str>,
    /// The threshold.
    pub percent: i64,
    /// The budget's limit.
    pub limit: NanoUsd,
    /// What was spent by then.
    pub spent: NanoUsd,
    /// The budget's window.
    pub window: BudgetWindow,
    /// Unix seconds of its beginning.
    pub window_start: i64,
    /// Unix seconds when the attempt that crossed it began.
    pub at: i64,
}

/// The full account of a call.
#[derive(Clone)]
pub struct Closing {
    /// The call.
    pub call: Call,
    /// What became of it.
    pub receipt: Arc<Receipt>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not succeed. The only word on it where there was no attempt.
    pub reason: Option<Reason>,
}

/// The durable account. Both calls enqueue at once; the future resolves when the entry is on disk.
pub trait Ledger: Send + Sync {
    /// An attempt begins.
    fn intent(&self, intent: Intent) -> Pending;
    /// A call is over; closes its intents.
    fn record(&self, closing: Closing) -> Pending;
}

/// What was kept of an idempotent call.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// Hash of the request, so that another request under the same id is noticed.
    pub fingerprint: [u8; 32],
    /// The encoded outcome; `None` while it runs, and for good if the gateway died under it.
    pub outcome: Option<Vec<u8>>,
}

/// Durable memory of idempotency keys, 24 hours each.
pub trait Memory: Send + Sync {
    /// Takes the id for a call, durably, or tells what it is taken by.
    fn claim(&self, key_id: Arc<str>, id: Arc<str>, fingerprint: [u8; 32]) -> Claim;
    /// Keeps the outcome.
    fn keep(&self, key_id: Arc<str>, id: Arc<str>, remembered: Remembered) -> Pending;
    /// Gives the id back: nothing was called.
    fn release(&self, key_id: Arc<str>, id: Arc<str>) -> Pending;
}

/// Resolves to what the id is taken by, or `None` when it is now ours.
pub type Claim = Pin<Box<dyn Future<Output = Result<Option<Remembered>, Fault>> + Send>>;

/// When a record has to be on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ack {
    /// After the answer: the intent alone is on disk before the answer is seen.
    #[default]
    After,
    /// Before the answer's end.
    Before,
}
