//! Durable changes, handed on in order to whoever watches.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Key, Revision};

/// How many changes are kept for watchers that are behind.
const KEPT: usize = 4096;

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// A value was put; `None`: taken away.
    Changed {
        /// When.
        revision: Revision,
        /// Where.
        key: Key,
        /// What stands there now.
        value: Option<Bytes>,
    },
    /// Too much was missed: scan again, then watch from this revision.
    Lagged(Revision),
}

type Told = (Revision, Key, Option<Bytes>);

/// The changes of one store. Only what somebody watches is kept: the ledger's
/// windows pass by without a copy.
pub(crate) struct Log {
    kept: Mutex<Kept>,
    more: Notify,
}

struct Kept {
    changes: VecDeque<Told>,
    /// The newest change that is no longer there.
    dropped: Revision,
    /// The last revision told, watched or not.
    last: Revision,
    /// What is watched, one entry per watcher.
    watched: Vec<Key>,
}

impl Log {
    /// Starts at a revision.
    pub(crate) fn at(revision: Revision) -> Arc<Self> {
        let kept = Kept { changes: VecDeque::new(), dropped: revision, last: revision, watched: Vec::new() };
        Arc::new(Self { kept: Mutex::new(kept), more: Notify::new() })
    }

    /// Tells of a commit.
    pub(crate) fn tell(&self, revision: Revision, changes: impl IntoIterator<Item = (Key, Option<Bytes>)>) {
        let mut news = false;
        {
            let mut guard = self.kept.lock();
            let kept = &mut *guard;
            kept.last = revision;
            for (key, value) in changes {
                if !kept.watched.iter().any(|prefix| key.starts_with(prefix)) {
                    continue;
                }
                if kept.changes.len() == KEPT
                    && let Some((oldest, ..)) = kept.changes.pop_front()
                {
                    kept.dropped = oldest;
                }
                kept.changes.push_back((revision, key, value));
                news = true;
            }
        }
        if news {
            self.more.notify_waiters();
        }
    }

    /// Watches from a revision. Whoever comes with an old one is told to scan.
    pub(crate) fn watch(self: &Arc<Self>, prefix: &[u8], from: Revision) -> Changes {
        let mut kept = self.kept.lock();
        kept.watched.push(prefix.to_vec());
        Changes { log: self.clone(), prefix: prefix.to_vec(), seen: from, since: kept.last, queue: VecDeque::new() }
    }
}

/// A watcher.
pub struct Changes {
    log: Arc<Log>,
    prefix: Vec<u8>,
    seen: Revision,
    /// Changes after this one were kept for this watcher.
    since: Revision,
    queue: VecDeque<Told>,
}

impl Drop for Changes {
    fn drop(&mut self) {
        let mut kept = self.log.kept.lock();
        if let Some(place) = kept.watched.iter().position(|prefix| *prefix == self.prefix) {
            kept.watched.swap_remove(place);
        }
        if kept.watched.is_empty() {
            kept.changes = VecDeque::new();
        }
    }
}

impl Changes {
    /// The next change; waits for it.
    pub async fn next(&mut self) -> Watched {
        loop {
            if let Some((revision, key, value)) = self.queue.pop_front() {
                return Watched::Changed { revision, key, value };
            }
            let more = self.log.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            {
                let kept = self.log.kept.lock();
                if self.seen < kept.dropped.max(self.since) {
                    self.seen = kept.last;
                    return Watched::Lagged(kept.last);
                }
                for told in kept.changes.iter().filter(|(revision, ..)| *revision > self.seen) {
                    if told.1.starts_with(&self.prefix) {
                        self.queue.push_back(told.clone());
                    }
                }
                self.seen = self.seen.max(kept.last);
            }
            if self.queue.is_empty() {
                more.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn put(key: &str) -> [(Key, Option<Bytes>); 1] {
        [(key.into(), Some(Bytes::new()))]
    }

    #[tokio::test]
    async fn only_what_is_watched_is_kept_and_the_late_are_told_to_scan() {
        let log = Log::at(7);
        log.tell(8, put("a/1"));
        let mut late = log.watch(b"a/", 7);
        assert_eq!(late.next().await, Watched::Lagged(8));
        log.tell(9, put("b/1"));
        log.tell(10, put("a/2"));
        assert_eq!(late.next().await, Watched::Changed { revision: 10, key: b"a/2".into(), value: Some(Bytes::new()) });
        assert_eq!(log.kept.lock().changes.len(), 1);
        for n in 0..=KEPT as u64 {
            log.tell(11 + n, put("a/3"));
        }
        let last = 11 + KEPT as u64;
        assert_eq!(late.next().await, Watched::Lagged(last));
        drop(late);
        log.tell(last + 1, put("a/4"));
        assert!(log.kept.lock().changes.is_empty());
    }
}
