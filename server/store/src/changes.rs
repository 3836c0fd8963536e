//! Durable changes, handed on in order.

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

/// The changes of one store.
#[derive(Default)]
pub(crate) struct Log {
    kept: Mutex<(VecDeque<Told>, Revision)>,
    more: Notify,
}

impl Log {
    /// Starts at a revision.
    pub(crate) fn at(revision: Revision) -> Arc<Self> {
        Arc::new(Self { kept: Mutex::new((VecDeque::new(), revision)), more: Notify::new() })
    }

    /// Tells of a commit.
    pub(crate) fn tell(&self, revision: Revision, changes: impl IntoIterator<Item = (Key, Option<Bytes>)>) {
        {
            let mut kept = self.kept.lock();
            for (key, value) in changes {
                if kept.0.len() == KEPT
                    && let Some((oldest, ..)) = kept.0.pop_front()
                {
                    kept.1 = oldest;
                }
                kept.0.push_back((revision, key, value));
            }
        }
        self.more.notify_waiters();
    }

    /// Watches from a revision.
    pub(crate) fn watch(self: &Arc<Self>, prefix: &[u8], from: Revision) -> Changes {
        Changes { log: self.clone(), prefix: prefix.to_vec(), seen: from, queue: VecDeque::new() }
    }
}

/// A watcher.
pub struct Changes {
    log: Arc<Log>,
    prefix: Vec<u8>,
    seen: Revision,
    queue: VecDeque<Told>,
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
                if self.seen < kept.1 {
                    let now = kept.0.back().map_or(kept.1, |(revision, ..)| *revision);
                    self.seen = now;
                    return Watched::Lagged(now);
                }
                for told in kept.0.iter().filter(|(revision, ..)| *revision > self.seen) {
                    if told.1.starts_with(&self.prefix) {
                        self.queue.push_back(told.clone());
                    }
                }
                if let Some((revision, ..)) = kept.0.back() {
                    self.seen = self.seen.max(*revision);
                }
            }
            if self.queue.is_empty() {
                more.await;
            }
        }
    }
}
