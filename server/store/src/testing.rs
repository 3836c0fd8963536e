//! For tests: a store that fails when it is told to.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Change, Changes, Entry, MemoryStore, Revision, Store, StoreError, Version};

/// Memory, some of whose commits fail and change nothing.
#[derive(Default)]
pub(crate) struct Failing {
    inner: MemoryStore,
    before: AtomicI64,
    times: AtomicI64,
}

impl Failing {
    /// After so many commits from now, so many fail.
    pub(crate) fn fail(&self, before: i64, times: i64) {
        self.times.store(0, Ordering::SeqCst);
        self.before.store(before, Ordering::SeqCst);
        self.times.store(times, Ordering::SeqCst);
    }

    /// How many commits are still to fail.
    pub(crate) fn left(&self) -> i64 {
        self.times.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for Failing {
    async fn get(&self, key: &[u8]) -> Result<Option<(Version, Bytes)>, StoreError> {
        self.inner.get(key).await
    }

    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan(prefix, after, limit).await
    }

    async fn scan_back(&self, prefix: &[u8], before: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan_back(prefix, before, limit).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Revision, StoreError> {
        if self.times.load(Ordering::SeqCst) > 0 && self.before.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.times.fetch_sub(1, Ordering::SeqCst);
            return Err(StoreError::Unavailable("as the test wants it".to_owned()));
        }
        self.inner.commit(changes).await
    }

    fn watch(&self, prefix: &[u8], from: Revision) -> Changes {
        self.inner.watch(prefix, from)
    }

    fn healthy(&self) -> Result<(), StoreError> {
        self.inner.healthy()
    }
}
