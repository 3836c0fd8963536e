//! The account of calls: intents and records, packed one value per commit window.
//!
//! Everything that arrives while a commit is on its way to disk goes into the
//! next window together, so that one flush serves many calls. A window's key is
//! the time of its commit, which makes a record findable by the time in its id.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use headworks_api::storage::{AttemptRecord, Intent, RequestRecord, Window};
use headworks_core::Fault;
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{mpsc, oneshot};

use crate::{Change, Expect, Store, StoreError, store::counter};

pub(crate) const WINDOWS: &[u8] = b"ledger/";
const SPEND: &[u8] = b"spend/";
/// The oldest window that may hold an intent whose call is not over.
const OPEN: &[u8] = b"meta/open";
/// Number of `ATTEMPT_OUTCOME_UNKNOWN` in the public schema.
const UNKNOWN: i32 = 5;
/// Most entries in one window: about 32 KiB of records, well inside one of sled's segments.
const MOST: usize = 128;

enum Entry {
    Intent(Intent),
    Record(Box<RequestRecord>),
    /// Only to be told when all before it is done.
    Flush,
}

/// Resolves when an entry is on disk.
pub type Done = oneshot::Receiver<Result<(), StoreError>>;

/// The ledger.
#[derive(Clone)]
pub struct Ledger {
    queue: mpsc::UnboundedSender<(Entry, oneshot::Sender<Result<(), StoreError>>)>,
    spent: Arc<Mutex<HashMap<String, i64>>>,
}

pub(crate) fn place(window: u64) -> Vec<u8> {
    [WINDOWS, &window.to_be_bytes()].concat()
}

pub(crate) fn time_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(WINDOWS)?.try_into().ok()?))
}

pub(crate) fn decode(key: &[u8], value: Bytes) -> Result<Window, StoreError> {
    Window::decode(value)
        .map_err(|error| StoreError::Damaged { folder: "of the store".to_owned(), detail: format!("ledger window {:?}: {error}", time_of(key)) })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| u64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

impl Ledger {
    /// Accounts for what an earlier run left open, then takes entries. Must be called inside a tokio runtime.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let last = store.scan_back(WINDOWS, None, 1).await?.first().and_then(|(key, ..)| time_of(key)).unwrap_or(0);
        let mut spent = HashMap::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = store.scan(SPEND, after.as_deref(), 1000).await?;
            let Some(end) = page.last() else { break };
            after = Some(end.0.clone());
            for (key, _, value) in &page {
                let id = key.strip_prefix(SPEND).map(String::from_utf8_lossy).unwrap_or_default();
                spent.insert(id.into_owned(), counter(value).unwrap_or(0));
            }
        }
        let spent = Arc::new(Mutex::new(spent));
        let (queue, entries) = mpsc::unbounded_channel();
        let left = left_open(&*store).await?;
        let writer = Writer { store, last, open: BTreeMap::new(), windows: HashMap::new(), low: 0, spent: spent.clone() };
        tokio::spawn(writer.run(entries));
        let ledger = Self { queue, spent };
        let count = left.len();
        for record in left {
            // One by one into the queue; the last one's answer means that all are on disk.
            drop(ledger.record(record));
        }
        ledger.flush().await?;
        if count > 0 {
            tracing::warn!(calls = count, "calls that an earlier run did not finish were recorded with outcome UNKNOWN, at what was held for them");
        }
        Ok(ledger)
    }

    fn send(&self, entry: Entry) -> Done {
        let (done, answer) = oneshot::channel();
        // Where the writer is gone, the receiver tells so.
        let _ = self.queue.send((entry, done));
        answer
    }

    /// Notes that an attempt begins. Under way when this returns.
    pub fn intent(&self, intent: Intent) -> Done {
        self.send(Entry::Intent(intent))
    }

    /// Notes that a call is over; closes its intents. Under way when this returns.
    pub fn record(&self, record: RequestRecord) -> Done {
        self.send(Entry::Record(Box::new(record)))
    }

    /// Waits until all that was noted before is on disk.
    pub async fn flush(&self) -> Result<(), StoreError> {
        wait(self.send(Entry::Flush)).await
    }

    /// What each key has spent, as the sum of its records, billionths of a US dollar.
    pub fn spent(&self) -> Vec<(String, i64)> {
        self.spent.lock().iter().map(|(key, sum)| (key.clone(), *sum)).collect()
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

struct Writer {
    store: Arc<dyn Store>,
    /// Key of the last window: time, but always growing.
    last: u64,
    /// Open calls by the window that holds their first intent.
    open: BTreeMap<u64, usize>,
    windows: HashMap<String, u64>,
    low: u64,
    spent: Arc<Mutex<HashMap<String, i64>>>,
}

impl Writer {
    async fn run(mut self, mut entries: mpsc::UnboundedReceiver<(Entry, oneshot::Sender<Result<(), StoreError>>)>) {
        let mut batch = Vec::with_capacity(MOST);
        while entries.recv_many(&mut batch, MOST).await > 0 {
            // Whoever is about to note something goes first: one more turn of the scheduler, no timer.
            tokio::task::yield_now().await;
            while batch.len() < MOST {
                match entries.try_recv() {
                    Ok(entry) => batch.push(entry),
                    Err(_) => break,
                }
            }
            let mut window = Window::default();
            let mut waiting = Vec::with_capacity(batch.len());
            for (entry, done) in batch.drain(..) {
                match entry {
                    Entry::Intent(intent) => window.intents.push(intent),
                    Entry::Record(record) => window.records.push(*record),
                    Entry::Flush => {}
                }
                waiting.push(done);
            }
            let outcome = if window.intents.is_empty() && window.records.is_empty() { Ok(()) } else { self.commit(window).await };
            for done in waiting {
                let _ = done.send(outcome.clone());
            }
        }
    }

    async fn commit(&mut self, window: Window) -> Result<(), StoreError> {
        let at = now().max(self.last + 1);
        self.last = at;
        for intent in &window.intents {
            if !self.windows.contains_key(&intent.request_id) {
                self.windows.insert(intent.request_id.clone(), at);
                *self.open.entry(at).or_default() += 1;
            }
        }
        let mut sums: HashMap<&str, i64> = HashMap::new();
        for record in &window.records {
            let sum = sums.entry(&record.key_id).or_default();
            *sum = sum.saturating_add(record.cost_nano_usd);
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
        changes.push(Change::Put { key: place(at), value: window.encode_to_vec().into(), expect: Expect::Any });
        {
            let mut spent = self.spent.lock();
            for (key, sum) in sums {
                let total = spent.entry(key.to_owned()).or_default();
                *total = total.saturating_add(sum);
                let place = [SPEND, key.as_bytes()].concat();
                changes.push(Change::Put { key: place, value: Bytes::copy_from_slice(&total.to_be_bytes()), expect: Expect::Any });
            }
        }
        // Nothing older than this needs to be looked at after a crash. Written seldom: being low costs only time then.
        let low = self.open.first_key_value().map_or(at, |(window, _)| *window);
        if low.saturating_sub(self.low) > 1_000_000_000 {
            self.low = low;
            changes.push(Change::Put { key: OPEN.to_vec(), value: Bytes::copy_from_slice(&low.to_be_bytes()), expect: Expect::Any });
        }
        self.store.commit(changes).await.map(|_| ())
    }
}

/// Records for calls that have an intent and no record.
async fn left_open(store: &dyn Store) -> Result<Vec<RequestRecord>, StoreError> {
    let low = store.get(OPEN).await?.and_then(|(_, bytes)| bytes.as_ref().try_into().ok().map(u64::from_be_bytes)).unwrap_or(0);
    let mut open: BTreeMap<String, Vec<Intent>> = BTreeMap::new();
    let mut after = Some(place(low.saturating_sub(1)));
    loop {
        let page = store.scan(WINDOWS, after.as_deref(), 500).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.0.clone());
        for (key, _, value) in page {
            let window = decode(&key, value)?;
            for intent in window.intents {
                open.entry(intent.request_id.clone()).or_default().push(intent);
            }
            for record in window.records {
                open.remove(&record.id);
            }
        }
    }
    Ok(open.into_values().filter_map(unknown).collect())
}

/// The record of a call that nobody saw end: what was held counts as spent.
fn unknown(intents: Vec<Intent>) -> Option<RequestRecord> {
    let first = intents.first()?.clone();
    let attempts: Vec<AttemptRecord> = intents
        .into_iter()
        .map(|intent| AttemptRecord {
            ordinal: intent.ordinal,
            provider: intent.provider,
            model: intent.model,
            outcome: UNKNOWN,
            start_unix_nanos: intent.start_unix_nanos,
            cost_nano_usd: Some(intent.hold_nano_usd),
            estimated: true,
            hold_nano_usd: intent.hold_nano_usd,
            message: "the gateway stopped before this attempt ended".to_owned(),
            ..AttemptRecord::default()
        })
        .collect();
    Some(RequestRecord {
        id: first.request_id,
        key_id: first.key_id,
        start_unix_nanos: first.start_unix_nanos,
        outcome: UNKNOWN,
        cost_nano_usd: attempts.iter().map(|a| a.hold_nano_usd).fold(0, i64::saturating_add),
        cost_known: true,
        attempts,
        ..RequestRecord::default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::{Filter, MemoryStore, Records};

    fn intent(id: &str, ordinal: i32, hold: i64) -> Intent {
        Intent { request_id: id.into(), ordinal, key_id: "k".into(), provider: "p".into(), model: "m".into(), hold_nano_usd: hold, start_unix_nanos: 5 }
    }

    #[tokio::test]
    async fn l2_an_intent_without_a_record_becomes_one_record_at_its_hold() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let ledger = Ledger::open(store.clone()).await.unwrap();
        drop(ledger.intent(intent("req_1", 1, 10)));
        drop(ledger.intent(intent("req_2", 1, 100)));
        drop(ledger.intent(intent("req_2", 2, 50)));
        drop(ledger.record(RequestRecord { id: "req_1".into(), key_id: "k".into(), cost_nano_usd: 7, ..Default::default() }));
        ledger.flush().await.unwrap();
        for run in 0..3 {
            let again = Ledger::open(store.clone()).await.unwrap();
            assert_eq!(again.spent(), [("k".to_owned(), 157)], "run {run}");
            let all = Records::new(store.clone()).list(&Filter::default(), 10, None).await.unwrap();
            let mut seen: Vec<_> = all.records.iter().map(|r| (r.id.as_str(), r.cost_nano_usd, r.outcome)).collect();
            seen.sort_unstable();
            assert_eq!(seen, [("req_1", 7, 0), ("req_2", 150, UNKNOWN)], "run {run}");
        }
    }
}
