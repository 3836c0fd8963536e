//! A store that forgets: for tests, and for gateways that need no memory.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    Change, Changes, Entry, Key, Revision, Store, StoreError, Version,
    changes::Log,
    store::{after_prefix, apply},
};

/// The store.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    log: Arc<Log>,
}

#[derive(Default)]
struct State {
    values: BTreeMap<Key, (Version, Bytes)>,
    revision: Revision,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { state: Arc::default(), log: Log::at(0) }
    }
}

fn range(prefix: &[u8], after: Option<&[u8]>, before: Option<&[u8]>) -> (Bound<Key>, Bound<Key>) {
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after.to_vec()),
        _ => Bound::Included(prefix.to_vec()),
    };
    let end = match (before, after_prefix(prefix)) {
        (Some(before), Some(end)) => Bound::Excluded(before.to_vec().min(end)),
        (Some(before), None) => Bound::Excluded(before.to_vec()),
        (None, Some(end)) => Bound::Excluded(end),
        (None, None) => Bound::Unbounded,
    };
    (start, end)
}

fn sound((start, end): &(Bound<Key>, Bound<Key>)) -> bool {
    match (start, end) {
        (Bound::Included(a), Bound::Excluded(b)) => a <= b,
        (Bound::Excluded(a), Bound::Excluded(b)) => a < b,
        _ => true,
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &[u8]) -> Result<Option<(Version, Bytes)>, StoreError> {
        Ok(self.state.lock().values.get(key).cloned())
    }

    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let range = range(prefix, after, None);
        if !sound(&range) {
            return Ok(Vec::new());
        }
        Ok(self.state.lock().values.range(range).take(limit).map(|(k, (v, b))| (k.clone(), *v, b.clone())).collect())
    }

    async fn scan_back(&self, prefix: &[u8], before: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let range = range(prefix, None, before);
        if !sound(&range) {
            return Ok(Vec::new());
        }
        Ok(self.state.lock().values.range(range).rev().take(limit).map(|(k, (v, b))| (k.clone(), *v, b.clone())).collect())
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Revision, StoreError> {
        let mut state = self.state.lock();
        let mut made: BTreeMap<Key, Option<Bytes>> = BTreeMap::new();
        for change in &changes {
            let key = change.key();
            let current = match made.get(key) {
                Some(value) => value.clone().map(|value| (state.revision + 1, value)),
                None => state.values.get(key).cloned(),
            };
            let value = apply(change, current)?;
            made.insert(key.clone(), value);
        }
        state.revision += 1;
        let revision = state.revision;
        for (key, value) in &made {
            match value {
                Some(value) => state.values.insert(key.clone(), (revision, value.clone())),
                None => state.values.remove(key),
            };
        }
        // Told under the lock, so that watchers see commits in order.
        self.log.tell(revision, made);
        Ok(revision)
    }

    fn watch(&self, prefix: &[u8], from: Revision) -> Changes {
        self.log.watch(prefix, from)
    }

    fn healthy(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn memory_is_a_store() {
        crate::suite::run(|| async { Arc::new(MemoryStore::default()) as Arc<dyn Store> }).await;
    }
}
