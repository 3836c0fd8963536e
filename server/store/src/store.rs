use async_trait::async_trait;
use bytes::Bytes;

use crate::{Changes, StoreError};

/// `<table>/<tenant>/<id>`, as bytes. Keys sort bytewise.
pub type Key = Vec<u8>;

/// Grows with every change of the store; a value carries that of its last change.
pub type Version = u64;

/// How far the store has got.
pub type Revision = u64;

/// One value with its key and version.
pub type Entry = (Key, Version, Bytes);

/// What must stand at a key for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever.
    Any,
    /// Nothing.
    Absent,
    /// A value of this version.
    Version(Version),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Puts a value.
    Put {
        /// Where.
        key: Key,
        /// What.
        value: Bytes,
        /// What must stand there.
        expect: Expect,
    },
    /// Takes a value away. Nothing there is fine with `Expect::Any`.
    Delete {
        /// Where.
        key: Key,
        /// What must stand there.
        expect: Expect,
    },
    /// Adds to a counter: eight bytes, big-endian, two's complement; absent is 0.
    Add {
        /// Where.
        key: Key,
        /// How much.
        delta: i64,
        /// What it must not pass.
        ceiling: Option<i64>,
    },
}

impl Change {
    /// Where the change is.
    pub fn key(&self) -> &Key {
        match self {
            Change::Put { key, .. } | Change::Delete { key, .. } | Change::Add { key, .. } => key,
        }
    }
}

/// Durable memory. Whatever passes [`crate::suite`] is one.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The value at a key.
    async fn get(&self, key: &[u8]) -> Result<Option<(Version, Bytes)>, StoreError>;

    /// Values whose keys begin with `prefix` and come after `after`, in order of keys, at most `limit`.
    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// The same from the end: keys before `before`, last first.
    async fn scan_back(&self, prefix: &[u8], before: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Makes all of the changes or none. They are durable when this returns.
    async fn commit(&self, changes: Vec<Change>) -> Result<Revision, StoreError>;

    /// The same from a thread that may wait, inside a runtime's context. Worth a way of its own where a commit needs no
    /// other thread: on a busy core, handing one over and back costs as much as writing it.
    fn commit_blocking(&self, changes: &[Change]) -> Result<Revision, StoreError> {
        tokio::runtime::Handle::current().block_on(self.commit(changes.to_vec()))
    }

    /// Durable changes under `prefix` after `from`, in order; or that too much was missed.
    fn watch(&self, prefix: &[u8], from: Revision) -> Changes;

    /// Whether writes can be expected to succeed.
    fn healthy(&self) -> Result<(), StoreError>;
}

/// What a change of `current` gives, or why not. Shared by every backend, so that they agree.
pub(crate) fn apply(change: &Change, current: Option<(Version, Bytes)>) -> Result<Option<Bytes>, StoreError> {
    let conflict = |found| Err(StoreError::Conflict { key: change.key().clone(), found });
    let as_expected = |expect: &Expect| match (expect, &current) {
        (Expect::Any, _) => true,
        (Expect::Absent, found) => found.is_none(),
        (Expect::Version(wanted), Some((version, _))) => wanted == version,
        (Expect::Version(_), None) => false,
    };
    match change {
        Change::Put { value, expect, .. } => {
            if as_expected(expect) {
                Ok(Some(value.clone()))
            } else {
                conflict(current)
            }
        }
        Change::Delete { expect, .. } => {
            if as_expected(expect) {
                Ok(None)
            } else {
                conflict(current)
            }
        }
        Change::Add { key, delta, ceiling } => {
            let value = current.as_ref().map_or(Ok(0), |(_, bytes)| counter(bytes).ok_or(()));
            let Ok(value) = value else { return conflict(current) };
            let sum = value.saturating_add(*delta);
            if ceiling.is_some_and(|most| *delta > 0 && sum > most) {
                return Err(StoreError::Ceiling { key: key.clone(), value });
            }
            Ok(Some(Bytes::copy_from_slice(&sum.to_be_bytes())))
        }
    }
}

/// Reads a counter.
pub(crate) fn counter(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.try_into().ok()?))
}

/// The first key that does not begin with `prefix` any more; `None`: there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}
