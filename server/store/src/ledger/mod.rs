//! The account of calls: intents and records, packed one value per commit window.
//!
//! Everything that arrives while a commit is on its way to disk goes into the
//! next window together, so that one flush serves many calls. A window's key is
//! the time of its commit, which makes a record findable by the time in its id.

mod backfill;
mod queue;
mod recover;
mod spent;
mod window;
mod workers;
mod writer;

use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
};

pub use backfill::Backfill;
use bytes::Bytes;
use headworks_api::storage::{Intent, RequestRecord, Window};
use headworks_core::{Fault, Tally};
use parking_lot::Mutex;
use tokio::sync::oneshot;
pub use workers::Workers;

use crate::{Landed, Store, StoreError};

pub(crate) const WINDOWS: &[u8] = b"ledger/";
/// What each payer spent: `SpendRecord`s. Behind by the windows after [`SUMMED`].
const SPENT: &[u8] = b"spent/";
/// What older versions kept in its place: the lifetime's sum of each key alone.
const SPEND: &[u8] = b"spend/";
/// The oldest window that may hold an intent whose call is not over.
pub(crate) const OPEN: &[u8] = b"meta/open";
/// The last window whose records are in what is kept of payers' sums; absent: all are, as older versions left it. Never
/// before [`OPEN`], so that what a start reads for the one is enough for the other, and retention takes nothing unsummed.
const SUMMED: &[u8] = b"meta/summed";
/// Number of `ATTEMPT_OUTCOME_UNKNOWN` in the public schema.
const UNKNOWN: i32 = 5;
enum Entry {
    Intent(Intent),
    Record(Box<RequestRecord>),
    /// Only to be told when all before it is done.
    Flush,
}

struct Queued {
    entry: Entry,
    /// Whether somebody waits for it, so that it should not wait for company.
    urgent: bool,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// Resolves when an entry is on disk.
pub type Done = oneshot::Receiver<Result<(), StoreError>>;

/// The ledger.
#[derive(Clone)]
pub struct Ledger {
    queue: Arc<queue::Sender>,
    spent: Arc<Mutex<HashMap<String, Tally>>>,
}

pub(crate) fn place(window: u64) -> Vec<u8> {
    [WINDOWS, &window.to_be_bytes()].concat()
}

pub(crate) fn time_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(WINDOWS)?.try_into().ok()?))
}

/// A window's message, packed no longer: texts stand in it as they are.
pub(crate) fn plain(key: &[u8], value: Bytes) -> Result<Bytes, StoreError> {
    window::plain(time_of(key), value)
}

pub(crate) fn decode(key: &[u8], value: Bytes) -> Result<Window, StoreError> {
    window::unpack(time_of(key), value)
}

impl Ledger {
    /// Accounts for what an earlier run left open, then takes entries. Must be called inside a tokio runtime.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        Self::tapped(store, None, Workers::default()).await
    }

    /// The same, and tells of every window once it is on disk. `workers`: while none of them is idle, commits wait for company.
    pub async fn tapped(store: Arc<dyn Store>, tap: Option<mpsc::Sender<Arc<Landed>>>, workers: Workers) -> Result<Self, StoreError> {
        let last = store.scan_back(WINDOWS, None, 1).await?.first().and_then(|(key, ..)| time_of(key)).unwrap_or(0);
        let found = recover::found(&*store).await?;
        let left: Vec<RequestRecord> = found.left.iter().map(|(_, record)| record.clone()).collect();
        let (queue, entries) = queue::queue(workers);
        let writer = writer::Writer::new(store, last, found, tap);
        let spent = writer.spent();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run(&entries, &runtime))
            .map_err(|error| StoreError::Unavailable(format!("no thread for the ledger: {error}")))?;
        let ledger = Self { queue: Arc::new(queue), spent };
        let count = left.len();
        for record in left {
            // One by one into the queue; the last one's answer means that all are on disk.
            drop(ledger.record(record, false));
        }
        ledger.flush().await?;
        if count > 0 {
            tracing::warn!(calls = count, "calls that an earlier run did not finish were recorded with outcome UNKNOWN, at what was held for them");
        }
        Ok(ledger)
    }

    fn send(&self, entry: Entry, urgent: bool) -> Done {
        let (done, answer) = oneshot::channel();
        // Where the writer is gone, the receiver tells so.
        self.queue.send(Queued { entry, urgent, done });
        answer
    }

    /// Notes that an attempt begins. Under way when this returns.
    pub fn intent(&self, intent: Intent) -> Done {
        self.send(Entry::Intent(intent), true)
    }

    /// Notes that a call is over; closes its intents. Under way when this returns.
    /// `awaited`: somebody waits for it; without, it may wait some milliseconds for one that is.
    pub fn record(&self, record: RequestRecord, awaited: bool) -> Done {
        self.send(Entry::Record(Box::new(record)), awaited)
    }

    /// Waits until all that was noted before is on disk.
    pub async fn flush(&self) -> Result<(), StoreError> {
        wait(self.send(Entry::Flush, true)).await
    }

    /// What each key and group has spent, by window: the sums of its records.
    pub fn spent(&self) -> Vec<(String, Tally)> {
        self.spent.lock().iter().map(|(payer, tally)| (payer.clone(), *tally)).collect()
    }
}

/// The outcome of an entry.
pub(crate) async fn wait(done: Done) -> Result<(), StoreError> {
    done.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the ledger has stopped".to_owned())))
}

/// The same, as a fault.
pub async fn settled(done: Done) -> Result<(), Fault> {
    wait(done).await.map_err(Fault::from)
}

#[cfg(test)]
mod tests;
