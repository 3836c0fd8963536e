use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Key, Revision, Version};

/// How many commits a watcher may fall behind before it must rescan.
pub(crate) const KEPT: usize = 1024;

/// One durable change, as a watcher sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The commit that made it.
    pub revision: Revision,
    /// What changed.
    pub key: Key,
    /// The new value; `None`: it was removed.
    pub value: Option<(Version, Bytes)>,
}

/// The watcher fell behind, or began before what is kept: scan again and watch from a new revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("changes were missed; scan again and watch from the store's revision")]
pub struct Lagged;

/// Recent commits, kept for watchers.
pub(crate) struct Feed {
    recent: Mutex<Recent>,
    news: Notify,
}

struct Recent {
    commits: VecDeque<(Revision, Arc<[Changed]>)>,
    /// Watchers from this revision on miss nothing.
    complete_from: Revision,
    newest: Revision,
}

impl Feed {
    pub(crate) fn new(start: Revision) -> Arc<Self> {
        let recent = Recent { commits: VecDeque::new(), complete_from: start, newest: start };
        Arc::new(Self { recent: Mutex::new(recent), news: Notify::new() })
    }

    pub(crate) fn newest(&self) -> Revision {
        self.recent.lock().newest
    }

    /// Tells watchers of commits that are durable, oldest first.
    pub(crate) fn publish(&self, commits: impl IntoIterator<Item = (Revision, Vec<Changed>)>) {
        let mut recent = self.recent.lock();
        for (revision, changes) in commits {
            recent.newest = recent.newest.max(revision);
            recent.commits.push_back((revision, changes.into()));
            if recent.commits.len() > KEPT
                && let Some((dropped, _)) = recent.commits.pop_front()
            {
                recent.complete_from = dropped;
            }
        }
        drop(recent);
        self.news.notify_waiters();
    }

    /// Forgets what was kept: changes up to `newest` happened unseen.
    pub(crate) fn skip_to(&self, newest: Revision) {
        let mut recent = self.recent.lock();
        recent.commits.clear();
        recent.newest = newest;
        recent.complete_from = newest;
        drop(recent);
        self.news.notify_waiters();
    }

    pub(crate) fn watch(self: &Arc<Self>, prefix: &[u8], from: Revision) -> Changes {
        Changes {
            feed: self.clone(),
            prefix: Bytes::copy_from_slice(prefix),
            seen: from,
            ready: VecDeque::new(),
            guard: None,
        }
    }
}

/// Durable changes in order. See [`crate::Store::watch`].
pub struct Changes {
    feed: Arc<Feed>,
    prefix: Bytes,
    seen: Revision,
    ready: VecDeque<Changed>,
    /// Kept alive as long as someone watches.
    guard: Option<Arc<dyn Send + Sync>>,
}

impl Changes {
    pub(crate) fn with_guard(mut self, guard: Arc<dyn Send + Sync>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// The next change. Waits as long as there is none; may be dropped while waiting.
    /// After [`Lagged`] every further call answers the same.
    pub async fn next(&mut self) -> Result<Changed, Lagged> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            let feed = self.feed.clone();
            // Registered before looking, so that a commit in between is not slept through.
            let news = feed.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if !self.collect()? {
                news.await;
            }
        }
    }

    fn collect(&mut self) -> Result<bool, Lagged> {
        let recent = self.feed.recent.lock();
        if self.seen < recent.complete_from {
            return Err(Lagged);
        }
        let new = recent.commits.partition_point(|(revision, _)| *revision <= self.seen);
        for (revision, changes) in recent.commits.range(new..) {
            self.seen = *revision;
            self.ready.extend(changes.iter().filter(|change| change.key.starts_with(&self.prefix)).cloned());
        }
        Ok(!self.ready.is_empty())
    }
}
