//! Turns entries into windows, one commit each, on a thread of its own.
//!
//! When a commit starts is what decides its share of a request's cost: a flush
//! costs the same for one entry as for a hundred. So the first entry after a
//! pause is committed at once, and under load the next commit waits for company
//! while the workers have other things to do (`queue.rs`).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, mpsc},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use headworks_api::storage::Window;
use headworks_core::Tally;
use parking_lot::Mutex;
use prost::Message;

use super::{
    Entry, OPEN, Queued, SUMMED, place,
    queue::{Pace, Receiver},
    recover::Found,
    spent,
    window::Packer,
};
use crate::{Change, Expect, Landed, Store, StoreError};

/// Bytes of one window, before it is packed; what is larger alone has one of its own. sled keeps sixteen values in a page,
/// and forgets pages above 128 KiB never.
const LARGEST: usize = 16 << 10;

/// How long sums and marks may be behind, nanoseconds: what a start has to read anew.
const MARKED_EVERY: u64 = 1_000_000_000;

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
    /// The last window when sums and marks were last written.
    marked: u64,
    packer: Packer,
    spent: Arc<Mutex<HashMap<String, Tally>>>,
    /// Payers whose sums have changed since they were written.
    changed: HashSet<String>,
    /// What could not be written yet. It goes before whatever comes next: a record is never given up.
    owed: Owed,
    /// Told of what is on disk.
    tap: Option<mpsc::Sender<Arc<Landed>>>,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| u64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

impl Writer {
    /// After what an earlier run left; `last`: the key of its last window. Its open calls stay open until their records come.
    pub(super) fn new(store: Arc<dyn Store>, last: u64, found: Found, tap: Option<mpsc::Sender<Arc<Landed>>>) -> Self {
        let mut writer = Self {
            store,
            last,
            open: BTreeMap::new(),
            windows: HashMap::new(),
            marked: 0,
            packer: Packer::default(),
            spent: Arc::new(Mutex::new(found.spent)),
            changed: found.changed,
            owed: Owed::default(),
            tap,
        };
        for (at, record) in &found.left {
            writer.opened(*at, &record.id);
        }
        writer
    }

    /// What each payer spent, as it goes on.
    pub(super) fn spent(&self) -> Arc<Mutex<HashMap<String, Tally>>> {
        self.spent.clone()
    }

    /// Works until the sender is gone.
    pub(super) fn run(mut self, queue: &Receiver, runtime: &tokio::runtime::Handle) {
        // For stores whose commits are asynchronous.
        let _inside = runtime.enter();
        let mut batch: Vec<Queued> = Vec::new();
        let mut pace = Pace::new();
        while queue.wait(&pace) {
            queue.take(&mut batch);
            pace.begin();
            let mut windows = Windows::default();
            let mut waiting = Vec::with_capacity(batch.len());
            for queued in batch.drain(..) {
                match queued.entry {
                    Entry::Intent(intent) => windows.with_room(intent.encoded_len()).intents.push(intent),
                    Entry::Record(record) => windows.with_room(record.encoded_len()).records.push(*record),
                    Entry::Flush => {}
                }
                waiting.push(queued.done);
            }
            self.owe(windows.all);
            let outcome = if self.owed.changes.is_empty() { Ok(()) } else { self.commit() };
            for done in waiting {
                let _ = done.send(outcome.clone());
            }
            pace.end();
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
    fn commit(&mut self) -> Result<(), StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.store.commit_blocking(&self.owed.changes) {
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

    /// Adds windows to what is to be written, and what they add to their payers' sums; writes those now and then.
    fn owe(&mut self, windows: Vec<Window>) {
        if windows.is_empty() {
            return;
        }
        let mut keys: Vec<u64> = Vec::with_capacity(windows.len());
        for window in &windows {
            let at = now().max(self.last + 1);
            self.last = at;
            self.follow(at, window);
            self.owed.changes.push(put(place(at), self.packer.pack(window)));
            keys.push(at);
        }
        {
            let mut spent = self.spent.lock();
            for record in windows.iter().flat_map(|window| &window.records) {
                spent::add(&mut spent, record, &mut self.changed);
            }
        }
        if self.last.saturating_sub(self.marked) > MARKED_EVERY {
            self.mark();
        }
        let landed = windows.into_iter().zip(keys).filter(|(window, _)| !window.records.is_empty());
        self.owed.landing.extend(landed.map(|(window, at)| Landed { at, records: window.records }));
    }

    /// Has the sums written as they are now, and from where a start has to read.
    fn mark(&mut self) {
        self.marked = self.last;
        self.owed.changes.extend(spent::put(&self.spent.lock(), &mut self.changed));
        let low = self.open.first_key_value().map_or(self.last, |(window, _)| *window);
        self.owed.changes.extend([(OPEN, low), (SUMMED, self.last)].map(|(mark, at)| put(mark.to_vec(), Bytes::copy_from_slice(&at.to_be_bytes()))));
    }

    /// A call has an intent in a window.
    fn opened(&mut self, at: u64, id: &str) {
        if !self.windows.contains_key(id) {
            self.windows.insert(id.to_owned(), at);
            *self.open.entry(at).or_default() += 1;
        }
    }

    /// Which calls are open, by the window that holds their first intent.
    fn follow(&mut self, at: u64, window: &Window) {
        for intent in &window.intents {
            self.opened(at, &intent.request_id);
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
    }
}

/// The windows of one commit.
#[derive(Default)]
struct Windows {
    all: Vec<Window>,
    /// Bytes of the last.
    bytes: usize,
}

impl Windows {
    /// The last window, or a new one where that has no room for so many bytes more.
    fn with_room(&mut self, bytes: usize) -> &mut Window {
        if self.all.is_empty() || self.bytes.saturating_add(bytes) > LARGEST {
            self.all.push(Window::default());
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let last = self.all.len() - 1;
        &mut self.all[last]
    }
}

fn put(key: Vec<u8>, value: Bytes) -> Change {
    Change::Put { key, value, expect: Expect::Any }
}
