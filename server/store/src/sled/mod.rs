//! The embedded store. One writer commits for everybody: at once when idle, and
//! together what arrived while the last commit was on its way to disk.

mod blobs;
mod journal;

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;

use self::{blobs::Blobs, journal::Journal};
use crate::{
    Change, Changes, Entry, Key, Revision, Store, StoreError, Version,
    changes::Log,
    store::{after_prefix, apply},
};

/// The last revision, so that versions go on growing after a restart. Not visible: keys of users never begin with 0.
const REVISION: &[u8] = b"\0revision";

/// Most callers' changes in one commit.
const MOST: usize = 1024;

/// The store.
#[derive(Clone)]
pub struct SledStore {
    tree: sled::Tree,
    jobs: mpsc::Sender<Job>,
    writer: Arc<Mutex<Writer>>,
    log: Arc<Log>,
    failed: Arc<AtomicBool>,
    // Keeps the folder locked for as long as any clone lives.
    _db: sled::Db,
}

struct Job {
    changes: Vec<Change>,
    reply: oneshot::Sender<Result<Revision, StoreError>>,
}

impl SledStore {
    /// Opens a folder, or makes it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let name = folder.display().to_string();
        let damaged = |detail: String| StoreError::Damaged { folder: name.clone(), detail };
        // sled panics on some damage; that must be an error like the others.
        let opened = std::panic::catch_unwind(|| {
            sled::Config::new()
                .path(folder)
                .cache_capacity(16 << 20)
                // Our writer flushes; a second flusher would only wake up.
                .flush_every_ms(None)
                .open()
        });
        let db = match opened {
            Err(_) => return Err(damaged("opening it panicked".to_owned())),
            Ok(Err(sled::Error::Io(error))) if is_lock(&error) => return Err(StoreError::Locked(name)),
            Ok(Err(sled::Error::Io(error))) => return Err(StoreError::Unavailable(format!("the data folder {name}: {error}"))),
            Ok(Err(error)) => return Err(damaged(error.to_string())),
            Ok(Ok(db)) => db,
        };
        let blobs = Blobs::open(folder).map_err(|error| StoreError::Unavailable(format!("{name}/blobs: {error}")))?;
        let file = File::open(folder.join("db")).map_err(|error| StoreError::Unavailable(format!("{name}/db: {error}")))?;
        let tree = db.open_tree("state").map_err(|error| damaged(error.to_string()))?;
        let flushed = match tree.get(REVISION).map_err(|error| damaged(error.to_string()))? {
            Some(bytes) => u64::from_be_bytes(bytes.as_ref().try_into().map_err(|_| damaged("the revision is not a number".to_owned()))?),
            None => 0,
        };
        let journal = Journal::open(folder).map_err(|error| StoreError::Unavailable(format!("{name}/journal: {error}")))?;
        let mut writer = Writer {
            db: db.clone(),
            tree: tree.clone(),
            file,
            blobs,
            journal,
            folder: folder.to_path_buf(),
            revision: flushed,
            log: Log::at(0),
            failed: Arc::new(AtomicBool::new(false)),
        };
        writer.replay()?;
        let (jobs, queue) = mpsc::channel();
        let (log, failed) = (Log::at(writer.revision), writer.failed.clone());
        writer.log = log.clone();
        let writer = Arc::new(Mutex::new(writer));
        let shared = writer.clone();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&shared, &queue))
            .map_err(|error| StoreError::Unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { tree, jobs, writer, log, failed, _db: db })
    }

    /// Bytes of the folder's file, for measurements.
    pub fn size_on_disk(&self) -> u64 {
        self._db.size_on_disk().unwrap_or(0)
    }
}

fn is_lock(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

fn split(bytes: &[u8]) -> Option<(Version, Bytes)> {
    let (version, value) = bytes.split_at_checked(8)?;
    Some((u64::from_be_bytes(version.try_into().ok()?), Bytes::copy_from_slice(value)))
}

/// The opposite of [`split`].
fn joined(revision: Revision, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 8);
    bytes.extend_from_slice(&revision.to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

struct Writer {
    db: sled::Db,
    tree: sled::Tree,
    file: File,
    blobs: Blobs,
    journal: Journal,
    folder: PathBuf,
    revision: Revision,
    log: Arc<Log>,
    failed: Arc<AtomicBool>,
}

type Overlay = HashMap<Key, Option<Bytes>>;

/// Commits what comes, all that waits together, until nobody is left who could send.
fn run(writer: &Mutex<Writer>, queue: &mpsc::Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let Ok(mut writer) = held(writer) else { return };
        // Whoever came while another commit was on its way to disk is here by now.
        let jobs: Vec<Job> = std::iter::once(first).chain(queue.try_iter().take(MOST - 1)).collect();
        let outcomes = writer.commit(jobs.iter().map(|job| &job.changes[..]));
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            let _ = job.reply.send(outcome);
        }
    }
    // The next start need not replay.
    let Ok(mut writer) = held(writer) else { return };
    if !writer.failed.load(Ordering::Acquire)
        && let Err(error) = writer.checkpoint()
    {
        tracing::warn!(%error, "the last flush failed; the journal has what is missing");
    }
}

/// The writer, for one commit. Whoever panicked in the midst of one left it where nobody knows: nothing is written any more.
fn held(writer: &Mutex<Writer>) -> Result<MutexGuard<'_, Writer>, StoreError> {
    writer.lock().map_err(|broken| {
        broken.get_ref().failed.store(true, Ordering::Release);
        refused()
    })
}

fn refused() -> StoreError {
    StoreError::Unavailable("an earlier write failed; restart the gateway once the disk is well".to_owned())
}

impl Writer {
    /// One commit for all, but for those whose expectations are not met. An outcome for each, in order.
    fn commit<'a>(&mut self, jobs: impl Iterator<Item = &'a [Change]>) -> Vec<Result<Revision, StoreError>> {
        if self.failed.load(Ordering::Acquire) {
            return jobs.map(|_| Err(refused())).collect();
        }
        let revision = self.revision + 1;
        let mut overlay = Overlay::new();
        // A loser alone is turned away; the others go on.
        let mut outcomes: Vec<_> = jobs.map(|changes| self.check(changes, &overlay, revision).map(|made| overlay.extend(made)).map(|()| revision)).collect();
        if overlay.is_empty() && outcomes.iter().all(Result::is_err) {
            return outcomes;
        }
        match self.write(&overlay, revision) {
            Ok(()) => self.log.tell(revision, overlay),
            Err(error) => {
                // What is on disk now is unknown: no more promises until a restart has looked.
                self.failed.store(true, Ordering::Release);
                tracing::error!(folder = %self.folder.display(), %error, "the store cannot write; the gateway takes no more calls");
                for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
                    *outcome = Err(error.clone());
                }
            }
        }
        outcomes
    }

    fn check(&self, changes: &[Change], overlay: &Overlay, revision: Revision) -> Result<Overlay, StoreError> {
        let mut made = Overlay::with_capacity(changes.len());
        for change in changes {
            let key = change.key();
            let current = match made.get(key).or_else(|| overlay.get(key)) {
                Some(value) => value.clone().map(|value| (revision, value)),
                // A blind put needs no read.
                None if matches!(change, Change::Put { expect: crate::Expect::Any, .. }) => None,
                None => self.tree.get(key).map_err(unavailable)?.as_deref().and_then(split),
            };
            let value = apply(change, current)?;
            made.insert(key.clone(), value);
        }
        Ok(made)
    }

    /// Durable in the journal first; then sled takes it, and readers see it.
    fn write(&mut self, overlay: &Overlay, revision: Revision) -> Result<(), StoreError> {
        if !self.journal.prepare(revision, overlay.iter().map(|(key, value)| (&key[..], value.as_deref()))) {
            self.checkpoint()?;
        }
        let journaled = self.journal.fits();
        if journaled {
            self.journal.write().map_err(|error| StoreError::Unavailable(format!("the journal: {error}")))?;
        }
        let changes = overlay.iter().map(|(key, value)| (&key[..], value.as_deref()));
        if journaled {
            self.apply(changes, revision)?;
            self.revision = revision;
            Ok(())
        } else {
            self.apply_whole(changes, revision)?;
            self.revision = revision;
            self.checkpoint()
        }
    }

    /// Gives sled the changes of a commit that the journal has, one by one: after a crash it has them all again. A batch of
    /// sled's would be whole by itself, at the price of two writes of its own and of waking all of its threads for each.
    fn apply<'a>(&self, changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>, revision: Revision) -> Result<(), StoreError> {
        for (key, value) in changes {
            match value {
                Some(value) => self.tree.insert(key, joined(revision, value)),
                None => self.tree.remove(key),
            }
            .map_err(unavailable)?;
        }
        Ok(())
    }

    /// Gives sled a commit that is too large for the journal, whole.
    fn apply_whole<'a>(&self, changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>, revision: Revision) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, joined(revision, value)),
                None => batch.remove(key),
            }
        }
        self.tree.apply_batch(batch).map_err(unavailable)
    }

    /// Makes all that sled has durable without the journal, which begins anew. sled's
    /// flush alone reaches neither the disk's write cache nor files of large pages.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.tree.insert(REVISION, &self.revision.to_be_bytes()).map_err(unavailable)?;
        self.db.flush().map_err(unavailable)?;
        self.blobs.sync().map_err(|error| StoreError::Unavailable(format!("fsync of blobs: {error}")))?;
        self.file.sync_all().map_err(|error| StoreError::Unavailable(format!("fsync: {error}")))?;
        self.journal.restart();
        Ok(())
    }

    /// Gives sled what the last run had only in the journal. Doing it twice does no harm.
    fn replay(&mut self) -> Result<(), StoreError> {
        let unread = |error: std::io::Error| StoreError::Unavailable(format!("the journal cannot be read: {error}"));
        let mut round = self.journal.round().map_err(unread)?;
        while let Some((revision, changes)) = round.next().map_err(unread)? {
            if revision > self.revision + 1 {
                let detail = format!("the journal goes on at change {revision}, but sled's file ends at {}", self.revision);
                return Err(StoreError::Damaged { folder: self.folder.display().to_string(), detail });
            }
            if revision > self.revision {
                self.apply(changes.iter().map(|(key, value)| (&key[..], value.as_deref())), revision)?;
                self.revision = revision;
            }
        }
        self.checkpoint()
    }
}

#[allow(clippy::needless_pass_by_value)]
fn unavailable(error: sled::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// Runs a read where it may block.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(read).await.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

fn entry(item: Result<(sled::IVec, sled::IVec), sled::Error>) -> Result<Option<Entry>, StoreError> {
    let (key, value) = item.map_err(unavailable)?;
    if key.starts_with(b"\0") {
        return Ok(None);
    }
    Ok(split(&value).map(|(version, value)| (key.to_vec(), version, value)))
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, key: &[u8]) -> Result<Option<(Version, Bytes)>, StoreError> {
        let (tree, key) = (self.tree.clone(), key.to_vec());
        blocking(move || Ok(tree.get(key).map_err(unavailable)?.as_deref().and_then(split))).await
    }

    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let (tree, prefix, after) = (self.tree.clone(), prefix.to_vec(), after.map(<[u8]>::to_vec));
        blocking(move || {
            let start = match after {
                // The next key there can be.
                Some(mut after) if after >= prefix => {
                    after.push(0);
                    after
                }
                _ => prefix.clone(),
            };
            let found = match after_prefix(&prefix) {
                Some(end) if start >= end => return Ok(Vec::new()),
                Some(end) => tree.range(start..end),
                None => tree.range(start..),
            };
            found.filter_map(|item| entry(item).transpose()).take(limit).collect()
        })
        .await
    }

    async fn scan_back(&self, prefix: &[u8], before: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let (tree, prefix, before) = (self.tree.clone(), prefix.to_vec(), before.map(<[u8]>::to_vec));
        blocking(move || {
            let end = match (before, after_prefix(&prefix)) {
                (Some(before), Some(end)) => Some(before.min(end)),
                (before, end) => before.or(end),
            };
            let found = match end {
                Some(end) if prefix >= end => return Ok(Vec::new()),
                Some(end) => tree.range(prefix..end),
                None => tree.range(prefix..),
            };
            found.rev().filter_map(|item| entry(item).transpose()).take(limit).collect()
        })
        .await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Revision, StoreError> {
        let (reply, answer) = oneshot::channel();
        let gone = || StoreError::Unavailable("the writer has stopped".to_owned());
        self.jobs.send(Job { changes, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn commit_blocking(&self, changes: &[Change]) -> Result<Revision, StoreError> {
        let outcome = held(&self.writer)?.commit(std::iter::once(changes)).pop();
        outcome.unwrap_or_else(|| Err(StoreError::Unavailable("a commit has no outcome".to_owned())))
    }

    fn watch(&self, prefix: &[u8], from: Revision) -> Changes {
        self.log.watch(prefix, from)
    }

    fn healthy(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) || self.writer.is_poisoned() { Err(refused()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn sled_is_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let count = std::sync::atomic::AtomicU32::new(0);
        crate::suite::run(|| {
            let path = folder.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
            async move { Arc::new(SledStore::open(&path).unwrap()) as Arc<dyn Store> }
        })
        .await;
    }

    #[tokio::test]
    async fn a_second_gateway_is_told_that_the_folder_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let _first = SledStore::open(folder.path()).unwrap();
        let error = SledStore::open(folder.path()).err().unwrap();
        assert!(matches!(error, StoreError::Locked(_)), "{error}");
    }

    #[tokio::test]
    async fn a_damaged_folder_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        {
            let store = SledStore::open(folder.path()).unwrap();
            let put = Change::Put { key: b"a".to_vec(), value: Bytes::from_static(b"b"), expect: crate::Expect::Any };
            store.commit(vec![put]).await.unwrap();
        }
        std::fs::write(folder.path().join("conf"), b"not a configuration").unwrap();
        // The writer's thread gives the lock back a moment after the last clone is gone.
        for _ in 0..100 {
            match SledStore::open(folder.path()).err().unwrap() {
                StoreError::Locked(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                error => {
                    assert!(error.to_string().contains("headworks import"), "{error}");
                    return;
                }
            }
        }
        panic!("the folder stayed locked");
    }

    /// Opens the folder once the last writer has given its lock back.
    async fn reopened(folder: &Path) -> SledStore {
        for _ in 0..100 {
            if let Ok(store) = SledStore::open(folder) {
                return store;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the folder stayed locked");
    }

    #[tokio::test]
    async fn what_only_the_journal_has_is_there_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let put = |key: String, size: usize| Change::Put { key: key.into_bytes(), value: vec![7; size].into(), expect: crate::Expect::Any };
        let store = SledStore::open(folder.path()).unwrap();
        // One too large for the journal among small ones, and a deletion.
        for (n, size) in [10, 20, 9 << 20, 30].into_iter().enumerate() {
            store.commit(vec![put(format!("k{n}"), size)]).await.unwrap();
        }
        let last = store.commit(vec![Change::Delete { key: b"k0".to_vec(), expect: crate::Expect::Any }]).await.unwrap();
        // A power loss takes all that sled has not flushed: a copy of the folder as it is now is the worst it can be.
        let lost = tempfile::tempdir().unwrap();
        std::fs::create_dir(lost.path().join("blobs")).unwrap();
        for name in ["conf", "db", "journal"] {
            std::fs::copy(folder.path().join(name), lost.path().join(name)).unwrap();
        }
        for entry in std::fs::read_dir(folder.path().join("blobs")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), lost.path().join("blobs").join(entry.file_name())).unwrap();
        }
        let after = SledStore::open(lost.path()).unwrap();
        let sizes: Vec<_> =
            after.scan(b"k", None, 10).await.unwrap().into_iter().map(|(key, _, value)| (String::from_utf8(key).unwrap(), value.len())).collect();
        assert_eq!(sizes, [("k1".to_owned(), 20), ("k2".to_owned(), 9 << 20), ("k3".to_owned(), 30)]);
        assert!(after.commit(vec![put("k4".to_owned(), 1)]).await.unwrap() > last);
    }

    #[tokio::test]
    async fn a_journal_of_many_rounds_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let put = |n: u64| Change::Put { key: format!("k{:03}", n % 500).into_bytes(), value: vec![n as u8; 4096].into(), expect: crate::Expect::Any };
        let store = SledStore::open(folder.path()).unwrap();
        for n in 0..5000 {
            store.commit(vec![put(n)]).await.unwrap();
        }
        drop(store);
        let store = reopened(folder.path()).await;
        let all = store.scan(b"k", None, 1000).await.unwrap();
        assert_eq!(all.len(), 500);
        for (n, (_, version, value)) in all.iter().enumerate() {
            assert_eq!((*version, value[0]), (4501 + n as u64, (4500 + n) as u8));
        }
    }

    #[tokio::test]
    async fn versions_go_on_growing_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let put = || Change::Put { key: b"a".to_vec(), value: Bytes::from_static(b"b"), expect: crate::Expect::Any };
        let first = SledStore::open(folder.path()).unwrap().commit(vec![put()]).await.unwrap();
        assert!(reopened(folder.path()).await.commit(vec![put()]).await.unwrap() > first);
    }
}
