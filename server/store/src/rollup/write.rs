//! Writes what is pending into blocks, sums up what is over, and takes away what is kept no longer.

use std::collections::BTreeMap;

use bytes::Bytes;
use headworks_api::storage::RollupState;
use prost::Message;

use super::{
    Counted, GRACE, Rollups, STATE,
    block::Block,
    facets::Section,
    times::{self, DAY, HOUR, Level, place},
};
use crate::{Change, Expect, StoreError};

/// Parts of blocks read at once.
const PAGE: usize = 256;
/// Blocks taken away in one commit.
const FORGOTTEN: usize = 256;
/// The sections that stores have since this number was written with them.
const SECTIONS: i32 = 1;

/// Blocks to be put, by their keys.
#[derive(Default)]
struct Changed(BTreeMap<Vec<u8>, Block>);

/// Puts a block, part by part. One that is there already has no more parts: calls are added to blocks, never taken away.
fn puts(key: &[u8], block: &Block) -> Vec<Change> {
    let put = |(number, value)| Change::Put { key: times::part(key.to_vec(), number), value, expect: Expect::Any };
    block.encode().into_iter().enumerate().map(put).collect()
}

impl Rollups {
    /// Writes what is pending, sums up hours and days that are over, and drops what is kept no longer.
    ///
    /// Each commit takes the shared state with it: what failed later is done again by the next call, and nothing twice.
    pub async fn write(&self, now: i64) -> Result<(), StoreError> {
        let _turn = self.shared.turn.write().await;
        // What is counted by the hour belongs into hours that are closed.
        let hour = self.shared.pending.lock().counted.keys().filter(|(_, level)| *level == Level::Hour).map(|(start, _)| start / HOUR + 1).max();
        let mut any = self.close(Level::Hour, Level::Minute, hour.unwrap_or(0)).await?;
        self.write_pending().await?;
        any |= self.close(Level::Hour, Level::Minute, (now - GRACE).div_euclid(HOUR)).await?;
        // A day's hours must be closed before it is.
        let closed = self.shared.state.lock().hours_closed * HOUR;
        any |= self.close(Level::Day, Level::Hour, (now - GRACE).min(closed).div_euclid(DAY)).await?;
        if any {
            self.forget(now).await?;
        }
        Ok(())
    }

    /// Puts what is pending into its blocks, in one commit with how far they have got. Where that fails it stays pending.
    async fn write_pending(&self) -> Result<(), StoreError> {
        let mut state = *self.shared.state.lock();
        let (counted, seen, calls) = {
            let mut pending = self.shared.pending.lock();
            let calls = std::mem::take(&mut pending.calls);
            (std::mem::take(&mut pending.counted), pending.seen, calls)
        };
        let rolled = i64::try_from(seen).unwrap_or(i64::MAX);
        if counted.is_empty() && rolled == state.rolled {
            return Ok(());
        }
        state.rolled = rolled;
        let done = match self.blocks(&counted, &state).await {
            Ok(changes) => self.commit(changes, state).await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            // Put back: what came meanwhile is added to it.
            let mut pending = self.shared.pending.lock();
            for (stretch, sections) in counted {
                let place = pending.counted.entry(stretch).or_default();
                for (section, block) in sections {
                    place.entry(section).or_default().merge(&block);
                }
            }
            pending.calls += calls;
        }
        done
    }

    /// The blocks as they are with this added: an hour or a day that is closed already gains too.
    async fn blocks(&self, counted: &BTreeMap<(i64, Level), Counted>, state: &RollupState) -> Result<Changed, StoreError> {
        let mut changes = Changed::default();
        for ((start, shortest), sections) in counted {
            let (hour, day) = (start.div_euclid(HOUR), start.div_euclid(DAY));
            let gains = |level| match level {
                Level::Minute => true,
                Level::Hour => hour < state.hours_closed,
                Level::Day => day < state.days_closed,
            };
            for (whole, block) in sections.iter().filter(|(_, block)| !block.is_empty()) {
                for section in whole.made() {
                    let levels = Level::ALL.into_iter().filter(|level| (*shortest).max(section.finest()) <= *level && gains(*level));
                    let part = if section == *whole { None } else { Some(Block::of(section, block)) };
                    for level in levels {
                        self.add(&mut changes, section, level, start.div_euclid(level.seconds()), part.as_ref().unwrap_or(block)).await?;
                    }
                }
            }
        }
        Ok(changes)
    }

    /// Adds to a block that is kept, or among the changes already.
    async fn add(&self, changes: &mut Changed, section: Section, level: Level, at: i64, more: &Block) -> Result<(), StoreError> {
        let key = place(section, level, at);
        if !changes.0.contains_key(&key) {
            changes.0.insert(key.clone(), self.sum(section, level, at, at + 1).await?);
        }
        if let Some(block) = changes.0.get_mut(&key) {
            block.merge(more);
        }
        Ok(())
    }

    /// Writes blocks and a new state, in one commit; then the state is the shared one.
    async fn commit(&self, changes: Changed, state: RollupState) -> Result<(), StoreError> {
        let mut all: Vec<Change> = changes.0.into_iter().flat_map(|(key, block)| puts(&key, &block)).collect();
        all.push(Change::Put { key: STATE.to_vec(), value: Bytes::from(state.encode_to_vec()), expect: Expect::Any });
        self.shared.store.commit(all).await?;
        *self.shared.state.lock() = state;
        Ok(())
    }

    /// Sums up the hours or days before `over`; says whether there was one.
    async fn close(&self, level: Level, finer: Level, over: i64) -> Result<bool, StoreError> {
        let mut any = false;
        loop {
            let mut state = *self.shared.state.lock();
            let closed = if level == Level::Day { &mut state.days_closed } else { &mut state.hours_closed };
            if *closed >= over {
                return Ok(any);
            }
            // Where nothing happened for long, the next hour with calls is looked for: every call is in the section of models.
            let next = self.first(Section::Models, finer, *closed * level.seconds() / finer.seconds()).await?;
            let next = next.map_or(over, |at| (at * finer.seconds()).div_euclid(level.seconds())).min(over);
            *closed = (next + 1).min(over);
            if next < over {
                self.sum_up(level, finer, next).await?;
            }
            self.commit(Changed::default(), state).await?;
            any = true;
        }
    }

    /// Writes the blocks of an hour or a day, from finer ones: a commit for each whole section, since those of a busy day are
    /// large. They count once it is closed; until then they are written again as they were.
    async fn sum_up(&self, level: Level, finer: Level, at: i64) -> Result<(), StoreError> {
        let from = at * level.seconds() / finer.seconds();
        let until = (at + 1) * level.seconds() / finer.seconds();
        for whole in Section::WHOLE {
            let sum = self.sum(whole, finer, from, until).await?;
            self.put(whole, level, at, &sum, |_| true).await?;
        }
        Ok(())
    }

    /// Puts the block of a whole section and those made of it, of which `which` says.
    async fn put(&self, whole: Section, level: Level, at: i64, sum: &Block, which: impl Fn(Section) -> bool) -> Result<(), StoreError> {
        let made = whole.made().filter(|section| which(*section));
        let of = |section| if section == whole { puts(&place(section, level, at), sum) } else { puts(&place(section, level, at), &Block::of(section, sum)) };
        let changes: Vec<Change> = made.flat_map(of).collect();
        if !sum.is_empty() {
            self.shared.store.commit(changes).await?;
        }
        Ok(())
    }

    /// Makes sections that the store was written without.
    pub(super) async fn complete(&self) -> Result<(), StoreError> {
        let mut state = *self.shared.state.lock();
        if state.sections >= SECTIONS {
            return Ok(());
        }
        for level in [Level::Hour, Level::Day] {
            for whole in Section::WHOLE {
                let mut next = self.first(whole, level, 0).await?;
                while let Some(at) = next {
                    let block = self.sum(whole, level, at, at + 1).await?;
                    self.put(whole, level, at, &block, |section| section.finest() == Level::Hour).await?;
                    next = self.first(whole, level, at + 1).await?;
                }
            }
        }
        state.sections = SECTIONS;
        self.commit(Changed::default(), state).await
    }

    /// The first block of a section and level from `at` on.
    async fn first(&self, section: Section, level: Level, at: i64) -> Result<Option<i64>, StoreError> {
        let found = self.shared.store.scan(&times::prefix(section, level), Some(&times::before(section, level, at)), 1).await?;
        Ok(found.first().and_then(|(key, ..)| times::read(key)))
    }

    /// The sums of a section from `from` until before `until`.
    async fn sum(&self, section: Section, level: Level, from: i64, until: i64) -> Result<Block, StoreError> {
        let mut sum = Block::default();
        self.each_kept(section, level, from, until, |_, bytes| sum.merge_kept(bytes)).await?;
        Ok(sum)
    }

    /// Shows the kept parts of blocks of a section from `from` until before `until`, with their times; some are in memory at once.
    pub(super) async fn each_kept(
        &self,
        section: Section,
        level: Level,
        from: i64,
        until: i64,
        mut see: impl FnMut(i64, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut after = times::before(section, level, from);
        loop {
            let page = self.shared.store.scan(&times::prefix(section, level), Some(&after), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.0);
            for (key, _, value) in &page {
                match times::read(key) {
                    Some(at) if at < until => see(at, value)?,
                    _ => return Ok(()),
                }
            }
        }
    }

    /// Drops minutes and hours that are kept no longer and are in a longer block, some at a time.
    async fn forget(&self, now: i64) -> Result<(), StoreError> {
        let state = *self.shared.state.lock();
        let closed =
            [(Level::Minute, self.shared.keep.minute_days, state.hours_closed * HOUR), (Level::Hour, self.shared.keep.hour_days, state.days_closed * DAY)];
        for (level, days, closed) in closed {
            if days == 0 {
                continue;
            }
            let until = (now - i64::from(days) * DAY).min(closed).div_euclid(level.seconds());
            for section in Section::ALL {
                loop {
                    let page = self.shared.store.scan(&times::prefix(section, level), None, FORGOTTEN).await?;
                    let old = page.into_iter().filter(|(key, ..)| times::read(key).is_some_and(|at| at < until));
                    let changes: Vec<Change> = old.map(|(key, ..)| Change::Delete { key, expect: Expect::Any }).collect();
                    let more = changes.len() == FORGOTTEN;
                    if !changes.is_empty() {
                        self.shared.store.commit(changes).await?;
                    }
                    if !more {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}
