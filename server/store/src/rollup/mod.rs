//! Sums over calls, kept beside the records, so that questions about millions of calls read a few blocks.
//!
//! Every record that lands is added to the block of the minute its call began in, once per section
//! ([`facets::Section`]). Blocks are written with the ledger window they include all up to, in one commit, so a
//! record is in the sums exactly once, whatever happens: after a crash the windows since then are read again.
//! When an hour is over its minutes are summed up into a block, and so are a day's hours; a late call is added to
//! each of its blocks that is closed already.

mod block;
mod facets;
mod query;
mod sketch;
mod sums;
mod times;

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use block::Block;
use bytes::Bytes;
pub use facets::Facet;
use facets::Section;
use headworks_api::storage::{RequestRecord, RollupState};
use parking_lot::Mutex;
use prost::Message;
pub use query::{By, Only, QueryError, Question, Row, Step};
pub use sketch::Sketch;
pub use sums::{Counts, Sums};
use times::{DAY, HOUR, Level, MINUTE, place};
use tokio::sync::broadcast;

use crate::{
    Change, Expect, Store, StoreError,
    ledger::{WINDOWS, decode, place as window_place, time_of},
};

/// How far the sums have got.
pub(crate) const STATE: &[u8] = b"meta/rolled";
/// How often blocks are written, at least.
const PERIOD: Duration = Duration::from_secs(10);
/// Calls after which they are written whatever the time.
const MOST_PENDING: usize = 20_000;
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

#[derive(Default)]
struct Pending {
    minutes: BTreeMap<i64, BTreeMap<Section, Block>>,
    calls: usize,
    /// The last window in it.
    seen: u64,
}

impl Pending {
    fn add(&mut self, at: u64, records: &[RequestRecord]) {
        for record in records {
            let minute = record.start_unix_nanos.div_euclid(1_000_000_000).div_euclid(MINUTE);
            let rows = block::rows(record);
            let sections = self.minutes.entry(minute).or_default();
            for section in Section::ALL {
                sections.entry(section).or_default().record(section, record, &rows);
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
            Some((_, bytes)) => RollupState::decode(bytes).unwrap_or_default(),
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
        let mut after = Some(window_place(rolled));
        loop {
            let page = rollups.shared.store.scan(WINDOWS, after.as_deref(), 500).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.0.clone());
            for (key, _, value) in page {
                let records = decode(&key, value)?.records;
                rollups.shared.pending.lock().add(time_of(&key).unwrap_or(0), &records);
            }
            if rollups.shared.pending.lock().calls >= MOST_PENDING {
                rollups.write(now).await?;
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
                let over = match landed.recv_timeout(due.saturating_duration_since(std::time::Instant::now())) {
                    Ok(window) => {
                        rollups.take(&window);
                        false
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => false,
                    Err(mpsc::RecvTimeoutError::Disconnected) => true,
                };
                let full = rollups.shared.pending.lock().calls >= MOST_PENDING;
                if over || full || std::time::Instant::now() >= due {
                    due = std::time::Instant::now() + PERIOD;
                    if let Err(error) = runtime.block_on(rollups.write(unix_now())) {
                        // The records are safe; the sums are made again from them.
                        tracing::error!(%error, "sums over calls could not be written; trying again");
                    }
                }
                if over {
                    return;
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
        self.shared.pending.lock().add(window.at, &window.records);
        // Nobody may be listening.
        let _ = self.shared.watchers.send(window.clone());
    }

    /// Calls as they land, from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Landed>> {
        self.shared.watchers.subscribe()
    }

    /// Writes what is pending, sums up hours and days that are over, and drops what is kept no longer.
    pub async fn write(&self, now: i64) -> Result<(), StoreError> {
        let shared = &self.shared;
        let _turn = shared.turn.write().await;
        let mut state = *shared.state.lock();
        let (minutes, seen, calls) = {
            let mut pending = shared.pending.lock();
            let calls = std::mem::take(&mut pending.calls);
            (std::mem::take(&mut pending.minutes), pending.seen, calls)
        };
        let done = self.write_blocks(&minutes, &mut state, seen, now).await;
        match done {
            Ok(()) => {
                *shared.state.lock() = state;
                Ok(())
            }
            Err(error) => {
                // Put back: what came meanwhile is added to it.
                let mut pending = shared.pending.lock();
                for (minute, sections) in minutes {
                    let place = pending.minutes.entry(minute).or_default();
                    for (section, block) in sections {
                        place.entry(section).or_default().merge(&block);
                    }
                }
                pending.calls += calls;
                Err(error)
            }
        }
    }

    async fn write_blocks(&self, minutes: &BTreeMap<i64, BTreeMap<Section, Block>>, state: &mut RollupState, seen: u64, now: i64) -> Result<(), StoreError> {
        let mut changes = Changed::default();
        let rolled = i64::try_from(seen).unwrap_or(i64::MAX);
        for (minute, sections) in minutes {
            for (section, block) in sections.iter().filter(|(_, block)| !block.is_empty()) {
                let (hour, day) = (minute * MINUTE / HOUR, minute * MINUTE / DAY);
                self.add(&mut changes, *section, Level::Minute, *minute, block).await?;
                if hour < state.hours_closed {
                    self.add(&mut changes, *section, Level::Hour, hour, block).await?;
                }
                if day < state.days_closed {
                    self.add(&mut changes, *section, Level::Day, day, block).await?;
                }
            }
        }
        if !changes.0.is_empty() || rolled != state.rolled {
            state.rolled = rolled;
            self.commit(changes, state).await?;
        }
        self.close(state, now).await?;
        self.forget(now).await
    }

    /// Adds to a block that is kept, or among the changes already.
    async fn add(&self, changes: &mut Changed, section: Section, level: Level, at: i64, more: &Block) -> Result<(), StoreError> {
        let key = place(section, level, at);
        if !changes.0.contains_key(&key) {
            let kept = self.shared.store.get(&key).await?;
            let block = kept.map(|(_, bytes)| Block::decode(bytes)).transpose()?.unwrap_or_default();
            changes.0.insert(key.clone(), block);
        }
        if let Some(block) = changes.0.get_mut(&key) {
            block.merge(more);
        }
        Ok(())
    }

    async fn commit(&self, changes: Changed, state: &RollupState) -> Result<(), StoreError> {
        let put = |key, value| Change::Put { key, value, expect: Expect::Any };
        let mut all: Vec<Change> = changes.0.into_iter().map(|(key, block)| put(key, block.encode())).collect();
        all.push(put(STATE.to_vec(), Bytes::from(state.encode_to_vec())));
        self.shared.store.commit(all).await.map(|_| ())
    }

    /// Sums up the hours and days that are over.
    async fn close(&self, state: &mut RollupState, now: i64) -> Result<(), StoreError> {
        for (level, finer) in [(Level::Hour, Level::Minute), (Level::Day, Level::Hour)] {
            let over = (now - GRACE).div_euclid(level.seconds());
            // A day's hours must be closed before it is.
            let over = if level == Level::Day { over.min(state.hours_closed * HOUR / DAY) } else { over };
            loop {
                let closed = if level == Level::Hour { state.hours_closed } else { state.days_closed };
                if closed >= over {
                    break;
                }
                // Where nothing happened for long, the next hour with calls is looked for.
                let next = self.first(finer, closed * level.seconds() / finer.seconds()).await?;
                let next = next.map_or(over, |at| (at * finer.seconds()).div_euclid(level.seconds())).min(over);
                let mut changes = Changed::default();
                if next < over {
                    for section in Section::ALL {
                        let from = next * level.seconds() / finer.seconds();
                        let until = (next + 1) * level.seconds() / finer.seconds();
                        let mut sum = Block::default();
                        for (_, block) in self.kept(section, finer, from, until).await? {
                            sum.merge(&Block::decode(block)?);
                        }
                        if !sum.is_empty() {
                            changes.0.insert(place(section, level, next), sum);
                        }
                    }
                }
                let done = (next + 1).min(over);
                if level == Level::Hour {
                    state.hours_closed = done;
                } else {
                    state.days_closed = done;
                }
                self.commit(changes, state).await?;
            }
        }
        Ok(())
    }

    /// The first block of a level from `at` on, whatever its section: all sections but those of extras have one for every call.
    async fn first(&self, level: Level, at: i64) -> Result<Option<i64>, StoreError> {
        let found = self.shared.store.scan(&times::prefix(Section::Models, level), Some(&times::before(Section::Models, level, at)), 1).await?;
        Ok(found.first().and_then(|(key, ..)| times::read(key)))
    }

    /// The kept blocks of a section from `from` until before `until`.
    async fn kept(&self, section: Section, level: Level, from: i64, until: i64) -> Result<Vec<(i64, Bytes)>, StoreError> {
        let mut found = Vec::new();
        let mut after = times::before(section, level, from);
        loop {
            let page = self.shared.store.scan(&times::prefix(section, level), Some(&after), 64).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after.clone_from(&last.0);
            for (key, _, value) in page {
                match times::read(&key) {
                    Some(at) if at < until => found.push((at, value)),
                    _ => return Ok(found),
                }
            }
        }
    }

    /// Drops minutes and hours that are kept no longer, some at a time.
    async fn forget(&self, now: i64) -> Result<(), StoreError> {
        for (level, days) in [(Level::Minute, self.shared.keep.minute_days), (Level::Hour, self.shared.keep.hour_days)] {
            if days == 0 {
                continue;
            }
            let until = (now - i64::from(days) * DAY).div_euclid(level.seconds());
            for section in Section::ALL {
                let page = self.shared.store.scan(&times::prefix(section, level), None, 256).await?;
                let old = page.into_iter().filter(|(key, ..)| times::read(key).is_some_and(|at| at < until));
                let changes: Vec<Change> = old.map(|(key, ..)| Change::Delete { key, expect: Expect::Any }).collect();
                if !changes.is_empty() {
                    self.shared.store.commit(changes).await?;
                }
            }
        }
        Ok(())
    }
}

/// Blocks to be put, by their keys.
#[derive(Default)]
struct Changed(BTreeMap<Vec<u8>, Block>);

#[cfg(test)]
mod tests;
