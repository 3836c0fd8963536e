//! Sums over calls, kept beside the records, so that questions about millions of calls read a few blocks.
//!
//! Every record that lands is added to the block of the minute its call began in, once per whole section
//! ([`facets::Section`]); what other sections show is made of those. Blocks are written with the ledger window they
//! include all up to, in one commit, so a record is in the sums exactly once, whatever happens: after a crash the
//! windows since then are read again. When an hour is over its minutes are summed up into a block, and so are a
//! day's hours; a late call is added to each of its blocks that is closed already. Calls of a time whose minutes are
//! kept no longer, in a history that was brought here, are added to their hour at once.

mod block;
mod facets;
mod kept;
mod query;
mod sketch;
mod sums;
mod times;
mod write;

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use block::Block;
pub use facets::Facet;
use facets::Section;
use headworks_api::storage::{RequestRecord, RollupState};
use parking_lot::Mutex;
use prost::Message;
pub use query::{By, Only, QueryError, Question, Row, Step};
pub use sketch::Sketch;
pub use sums::{Counts, Sums};
use times::{DAY, HOUR, Level};
use tokio::sync::broadcast;

use crate::{
    Store, StoreError,
    ledger::{WINDOWS, decode, place as window_place, time_of},
};

/// How far the sums have got.
pub(crate) const STATE: &[u8] = b"meta/sums";
/// How long what landed waits for more before it is counted and shown to watchers.
const TOGETHER: Duration = Duration::from_millis(5);
/// How often blocks are written, at least.
const PERIOD: Duration = Duration::from_secs(10);
/// Calls after which they are written whatever the time.
const MOST_PENDING: usize = 20_000;
/// Stretches of time after which they are: each is a block per section, however few its calls.
const MOST_STRETCHES: usize = 240;
/// An hour is summed up this long after its end: most of its calls have ended by then.
const GRACE: i64 = 300;
/// Landed windows kept for watchers that are slow.
const WATCHED: usize = 1024;

/// A ledger window that is on disk.
#[derive(Debug)]
pub struct Landed {
    /// The window's key.
    pub at: u64,
    /// Its records.
    pub records: Vec<RequestRecord>,
}

/// How long blocks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Days that minutes are told apart. 0: for ever.
    pub minute_days: u32,
    /// Days that hours are told apart. 0: for ever.
    pub hour_days: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self { minute_days: 7, hour_days: 400 }
    }
}

/// The sums, and whoever listens to calls as they land. Cheap to clone.
#[derive(Clone)]
pub struct Rollups {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    keep: Keep,
    /// Not written yet, by minute.
    pending: Mutex<Pending>,
    /// Held for writing while blocks and what is pending change places, for reading by questions.
    turn: tokio::sync::RwLock<()>,
    state: Mutex<RollupState>,
    watchers: broadcast::Sender<Arc<Landed>>,
}

/// Sums of a stretch of time that are not written yet, by section: whole ones alone.
type Counted = BTreeMap<Section, Block>;

#[derive(Default)]
struct Pending {
    /// By beginning, Unix seconds: minutes, and hours of which no minutes are kept.
    counted: BTreeMap<(i64, Level), Counted>,
    calls: usize,
    /// The last window in it.
    seen: u64,
}

impl Pending {
    fn full(&self) -> bool {
        self.calls >= MOST_PENDING || self.counted.len() >= MOST_STRETCHES
    }

    /// Adds what landed with a window; calls that began before `minutes_from`, Unix seconds, to their hour.
    fn add(&mut self, at: u64, records: &[RequestRecord], minutes_from: i64) {
        for record in records {
            let began = record.start_unix_nanos.div_euclid(1_000_000_000);
            let level = if began < minutes_from { Level::Hour } else { Level::Minute };
            let rows = block::rows(record);
            let counted = self.counted.entry((began.div_euclid(level.seconds()) * level.seconds(), level)).or_default();
            for section in Section::WHOLE {
                counted.entry(section).or_default().record(section, record, &rows);
            }
        }
        self.calls += records.len();
        self.seen = self.seen.max(at);
    }
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_secs()).ok()).unwrap_or(0)
}

impl Rollups {
    /// Opens the sums and adds what landed since they were last written. Reads in batches. `now`: Unix seconds.
    pub async fn open(store: Arc<dyn Store>, keep: Keep, now: i64) -> Result<Self, StoreError> {
        let state = match store.get(STATE).await? {
            // Taken for empty, every call would be counted again.
            Some((_, bytes)) => RollupState::decode(bytes)
                .map_err(|error| StoreError::Damaged { folder: "of the store".to_owned(), detail: format!("how far the sums have got: {error}") })?,
            None => RollupState::default(),
        };
        let rolled = u64::try_from(state.rolled).unwrap_or(0);
        let shared = Shared {
            store,
            keep,
            pending: Mutex::new(Pending { seen: rolled, ..Pending::default() }),
            turn: tokio::sync::RwLock::new(()),
            state: Mutex::new(state),
            watchers: broadcast::Sender::new(WATCHED),
        };
        let rollups = Self { shared: Arc::new(shared) };
        rollups.complete().await?;
        // Whole hours, of which no minute is to be kept.
        let minutes_from = if keep.minute_days == 0 { i64::MIN } else { (now - i64::from(keep.minute_days) * DAY).div_euclid(HOUR) * HOUR };
        let mut after = Some(window_place(rolled));
        loop {
            let page = rollups.shared.store.scan(WINDOWS, after.as_deref(), 500).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.0.clone());
            // Hours are closed as they go by, so that a long history is not late for all of them.
            let reached = time_of(&last.0).and_then(|at| i64::try_from(at / 1_000_000_000).ok()).map_or(now, |at| at.min(now));
            for (key, _, value) in page {
                let records = decode(&key, value)?.records;
                rollups.shared.pending.lock().add(time_of(&key).unwrap_or(0), &records, minutes_from);
            }
            if rollups.shared.pending.lock().full() {
                rollups.write(reached).await?;
            }
        }
        rollups.write(now).await?;
        Ok(rollups)
    }

    /// Starts to take what lands, on a thread of its own. The sender is for the ledger.
    pub fn start(&self) -> Result<mpsc::Sender<Arc<Landed>>, StoreError> {
        let (sender, landed) = mpsc::channel::<Arc<Landed>>();
        let rollups = self.clone();
        let runtime = tokio::runtime::Handle::current();
        let run = move || {
            let mut due = std::time::Instant::now() + PERIOD;
            loop {
                match landed.recv_timeout(due.saturating_duration_since(std::time::Instant::now())) {
                    Ok(window) => {
                        rollups.take(&window);
                        // What lands meanwhile wakes nobody.
                        std::thread::sleep(TOGETHER);
                        landed.try_iter().for_each(|window| rollups.take(&window));
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    // What is not written yet is counted again at the next start.
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                }
                let full = rollups.shared.pending.lock().full();
                if full || std::time::Instant::now() >= due {
                    due = std::time::Instant::now() + PERIOD;
                    if let Err(error) = runtime.block_on(rollups.write(unix_now())) {
                        // The records are safe; the sums are made again from them.
                        tracing::error!(%error, "sums over calls could not be written; trying again");
                    }
                }
            }
        };
        std::thread::Builder::new()
            .name("rollups".to_owned())
            .spawn(run)
            .map_err(|error| StoreError::Unavailable(format!("no thread for the sums: {error}")))?;
        Ok(sender)
    }

    fn take(&self, window: &Arc<Landed>) {
        self.shared.pending.lock().add(window.at, &window.records, i64::MIN);
        // Nobody may be listening.
        let _ = self.shared.watchers.send(window.clone());
    }

    /// Calls as they land, from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Landed>> {
        self.shared.watchers.subscribe()
    }
}

#[cfg(test)]
mod tests;
