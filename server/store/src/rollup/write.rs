//! Writes what is pending into blocks, sums up what is over, and takes away what is kept no longer.

use std::collections::BTreeMap;

use bytes::Bytes;
use headworks_api::storage::RollupState;
use prost::Message;

use super::{
    GRACE, Rollups, STATE,
    block::Block,
    facets::Section,
    times::{self, DAY, HOUR, Level, MINUTE, place},
};
use crate::{Change, Expect, StoreError};

/// Blocks taken away in one commit.
const FORGOTTEN: usize = 256;

/// Blocks to be put, by their keys.
#[derive(Default)]
struct Changed(BTreeMap<Vec<u8>, Block>);

impl Rollups {
    /// Writes what is pending, sums up hours and days that are over, and drops what is kept no longer.
    ///
    /// Each commit takes the shared state with it: what failed later is done again by the next call, and nothing twice.
    pub async fn write(&self, now: i64) -> Result<(), StoreError> {
        let _turn = self.shared.turn.write().await;
        self.write_pending().await?;
        if self.close(now).await? {
            self.forget(now).await?;
        }
        Ok(())
    }

    /// Puts what is pending into its blocks, in one commit with how far they have got. Where that fails it stays pending.
    async fn write_pending(&self) -> Result<(), StoreError> {
        let mut state = *self.shared.state.lock();
        let (minutes, seen, calls) = {
            let mut pending = self.shared.pending.lock();
            let calls = std::mem::take(&mut pending.calls);
            (std::mem::take(&mut pending.minutes), pending.seen, calls)
        };
        let rolled = i64::try_from(seen).unwrap_or(i64::MAX);
        if minutes.is_empty() && rolled == state.rolled {
            return Ok(());
        }
        state.rolled = rolled;
        let done = match self.blocks(&minutes, &state).await {
            Ok(changes) => self.commit(changes, state).await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            // Put back: what came meanwhile is added to it.
            let mut pending = self.shared.pending.lock();
            for (minute, sections) in minutes {
                let place = pending.minutes.entry(minute).or_default();
                for (section, block) in sections {
                    place.entry(section).or_default().merge(&block);
                }
            }
            pending.calls += calls;
        }
        done
    }

    /// The blocks as they are with these minutes added: an hour or a day that is closed already gains too.
    async fn blocks(&self, minutes: &BTreeMap<i64, BTreeMap<Section, Block>>, state: &RollupState) -> Result<Changed, StoreError> {
        let mut changes = Changed::default();
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
        Ok(changes)
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

    /// Writes blocks and a new state, in one commit; then the state is the shared one.
    async fn commit(&self, changes: Changed, state: RollupState) -> Result<(), StoreError> {
        let put = |key, value| Change::Put { key, value, expect: Expect::Any };
        let mut all: Vec<Change> = changes.0.into_iter().map(|(key, block)| put(key, block.encode())).collect();
        all.push(put(STATE.to_vec(), Bytes::from(state.encode_to_vec())));
        self.shared.store.commit(all).await?;
        *self.shared.state.lock() = state;
        Ok(())
    }

    /// Sums up the hours and days that are over; says whether there was one.
    async fn close(&self, now: i64) -> Result<bool, StoreError> {
        let mut any = false;
        for (level, finer) in [(Level::Hour, Level::Minute), (Level::Day, Level::Hour)] {
            loop {
                let mut state = *self.shared.state.lock();
                let over = (now - GRACE).div_euclid(level.seconds());
                // A day's hours must be closed before it is.
                let (closed, over) = match level {
                    Level::Day => (&mut state.days_closed, over.min(state.hours_closed * HOUR / DAY)),
                    Level::Hour | Level::Minute => (&mut state.hours_closed, over),
                };
                if *closed >= over {
                    break;
                }
                // Where nothing happened for long, the next hour with calls is looked for.
                let next = self.first(finer, *closed * level.seconds() / finer.seconds()).await?;
                let next = next.map_or(over, |at| (at * finer.seconds()).div_euclid(level.seconds())).min(over);
                *closed = (next + 1).min(over);
                let changes = if next < over { self.sum_up(level, finer, next).await? } else { Changed::default() };
                self.commit(changes, state).await?;
                any = true;
            }
        }
        Ok(any)
    }

    /// The blocks of an hour or a day, from finer ones.
    async fn sum_up(&self, level: Level, finer: Level, at: i64) -> Result<Changed, StoreError> {
        let mut changes = Changed::default();
        let from = at * level.seconds() / finer.seconds();
        let until = (at + 1) * level.seconds() / finer.seconds();
        for section in Section::ALL {
            let mut sum = Block::default();
            for (_, block) in self.kept(section, finer, from, until).await? {
                sum.merge(&Block::decode(block)?);
            }
            if !sum.is_empty() {
                changes.0.insert(place(section, level, at), sum);
            }
        }
        Ok(changes)
    }

    /// The first block of a level from `at` on, whatever its section: all sections but those of extras have one for every call.
    async fn first(&self, level: Level, at: i64) -> Result<Option<i64>, StoreError> {
        let found = self.shared.store.scan(&times::prefix(Section::Models, level), Some(&times::before(Section::Models, level, at)), 1).await?;
        Ok(found.first().and_then(|(key, ..)| times::read(key)))
    }

    /// The kept blocks of a section from `from` until before `until`.
    pub(super) async fn kept(&self, section: Section, level: Level, from: i64, until: i64) -> Result<Vec<(i64, Bytes)>, StoreError> {
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
