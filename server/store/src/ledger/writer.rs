//! Turns entries into windows, one commit each, on a thread of its own.
//!
//! When a commit starts is what decides its share of a request's cost: a flush
//! costs the same for one entry as for a hundred. So the first entry after a
//! pause is committed at once, and under load the next commit waits a moment for
//! company, as PostgreSQL does with `commit_delay` and `commit_siblings`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, mpsc},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use headworks_api::storage::Window;
use headworks_core::Tally;
use parking_lot::Mutex;

use super::{Entry, OPEN, Queued, place, queue::Receiver, spent, window::Packer};
use crate::{Change, Expect, Landed, Store, StoreError};

/// Least time from the start of one commit to that of the next while calls are many.
const DELAY: Duration = Duration::from_millis(1);
/// How many open calls are many.
const SIBLINGS: usize = 5;

/// The pauses between tries of a commit that failed: each double the last, some three seconds in all.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LAST_PAUSE: Duration = Duration::from_millis(1_600);

#[derive(Default)]
struct Owed {
    changes: Vec<Change>,
    landing: Vec<Landed>,
}

pub(super) struct Writer {
    store: Arc<dyn Store>,
    /// Key of the last window: time, but always growing.
    last: u64,
    /// Open calls by the window that holds their first intent.
    open: BTreeMap<u64, usize>,
    windows: HashMap<String, u64>,
    low: u64,
    packer: Packer,
    spent: Arc<Mutex<HashMap<String, Tally>>>,
    /// What could not be written yet. It goes before whatever comes next: a record is never given up.
    owed: Owed,
    /// Told of what is on disk.
    tap: Option<mpsc::Sender<Arc<Landed>>>,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| u64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

impl Writer {
    pub(super) fn new(store: Arc<dyn Store>, last: u64, spent: Arc<Mutex<HashMap<String, Tally>>>, tap: Option<mpsc::Sender<Arc<Landed>>>) -> Self {
        Self { store, last, open: BTreeMap::new(), windows: HashMap::new(), low: 0, packer: Packer::default(), spent, owed: Owed::default(), tap }
    }

    /// Works until the sender is gone.
    pub(super) fn run(mut self, queue: &Receiver, runtime: &tokio::runtime::Handle) {
        let mut batch: Vec<Queued> = Vec::new();
        let mut began = Instant::now().checked_sub(DELAY).unwrap_or_else(Instant::now);
        while queue.wait() {
            if self.windows.len() >= SIBLINGS {
                // No wake-ups meanwhile: whoever comes is found in the queue.
                std::thread::sleep(DELAY.saturating_sub(began.elapsed()));
            }
            queue.take(&mut batch);
            began = Instant::now();
            let mut window = Window::default();
            let mut waiting = Vec::with_capacity(batch.len());
            for queued in batch.drain(..) {
                match queued.entry {
                    Entry::Intent(intent) => window.intents.push(intent),
                    Entry::Record(record) => window.records.push(*record),
                    Entry::Flush => {}
                }
                waiting.push(queued.done);
            }
            if !window.intents.is_empty() || !window.records.is_empty() {
                let changes = self.changes(&window);
                self.owed.changes.extend(changes);
                if !window.records.is_empty() {
                    self.owed.landing.push(Landed { at: self.last, records: window.records });
                }
            }
            let outcome = if self.owed.changes.is_empty() { Ok(()) } else { self.commit(runtime) };
            for done in waiting {
                let _ = done.send(outcome.clone());
            }
            if outcome.is_ok() {
                for landed in self.owed.landing.drain(..) {
                    if let Some(tap) = &self.tap {
                        // Whoever listened may have stopped; the records are on disk all the same.
                        let _ = tap.send(Arc::new(landed));
                    }
                }
            }
        }
    }

    /// Writes what is owed, and tries again for some seconds where the store may recover. Twice the same does no harm:
    /// windows have keys of their own, and what payers spent is written as a sum.
    fn commit(&mut self, runtime: &tokio::runtime::Handle) -> Result<(), StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match runtime.block_on(self.store.commit(self.owed.changes.clone())) {
                Ok(_) => {
                    self.owed.changes.clear();
                    return Ok(());
                }
                Err(error) if self.store.healthy().is_err() || pause > LAST_PAUSE => {
                    tracing::error!(%error, windows = self.owed.landing.len(), "the ledger cannot write; what it owes is written with what comes next");
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(%error, "the ledger could not write; trying again");
                    std::thread::sleep(pause);
                    pause *= 2;
                }
            }
        }
    }

    fn changes(&mut self, window: &Window) -> Vec<Change> {
        let at = now().max(self.last + 1);
        self.last = at;
        for intent in &window.intents {
            if !self.windows.contains_key(&intent.request_id) {
                self.windows.insert(intent.request_id.clone(), at);
                *self.open.entry(at).or_default() += 1;
            }
        }
        for record in &window.records {
            if let Some(opened) = self.windows.remove(&record.id)
                && let Some(count) = self.open.get_mut(&opened)
            {
                *count -= 1;
                if *count == 0 {
                    self.open.remove(&opened);
                }
            }
        }
        let mut changes = Vec::with_capacity(3);
        changes.push(put(place(at), self.packer.pack(window)));
        if !window.records.is_empty() {
            let mut spent = self.spent.lock();
            let mut payers: Vec<&str> = Vec::new();
            for record in &window.records {
                spent::add(&mut spent, record, &mut payers);
            }
            changes.extend(payers.into_iter().filter_map(|payer| Some(spent::put(payer, spent.get(payer)?))));
        }
        // Nothing older than this needs to be looked at after a crash. Written seldom: being low costs only time then.
        let low = self.open.first_key_value().map_or(at, |(window, _)| *window);
        if low.saturating_sub(self.low) > 1_000_000_000 {
            self.low = low;
            changes.push(put(OPEN.to_vec(), Bytes::copy_from_slice(&low.to_be_bytes())));
        }
        changes
    }
}

fn put(key: Vec<u8>, value: Bytes) -> Change {
    Change::Put { key, value, expect: Expect::Any }
}
