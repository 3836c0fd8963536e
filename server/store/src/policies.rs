//! Policies by name, answered from memory.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use headworks_api::storage::PolicyRecord;
use headworks_core::{Fault, Reason};
use prost::Message;
use tokio::sync::Mutex;

use crate::{Change, Expect, Store, StoreError};

const TABLE: &[u8] = b"policy/";
/// Every version of every policy, kept when the policy is gone.
const VERSIONS: &[u8] = b"policy-version/";

/// Changes a record; says which field is wrong.
pub type PolicyChange<'a> = &'a (dyn Fn(&mut PolicyRecord) -> Result<(), Fault> + Send + Sync);

type Known = BTreeMap<Arc<str>, (Arc<PolicyRecord>, u64)>;

/// The policies.
pub struct Policies {
    store: Arc<dyn Store>,
    snapshot: ArcSwap<Known>,
    writing: Mutex<()>,
}

fn place(name: &str) -> Vec<u8> {
    [TABLE, name.as_bytes()].concat()
}

/// Where the versions of a policy stand: in order of their numbers.
fn versions(name: &str) -> Vec<u8> {
    [VERSIONS, name.as_bytes(), b"/"].concat()
}

fn version_place(name: &str, version: i64) -> Vec<u8> {
    [versions(name).as_slice(), format!("{version:010}").as_bytes()].concat()
}

fn decode(key: &[u8], value: bytes::Bytes) -> Result<PolicyRecord, StoreError> {
    PolicyRecord::decode(value)
        .map_err(|error| StoreError::Damaged { folder: "of the store".to_owned(), detail: format!("{}: {error}", String::from_utf8_lossy(key)) })
}

fn missing(name: &str) -> Fault {
    Fault::new(Reason::NotFound, format!("no policy \"{name}\"; PolicyService.ListPolicies lists them"))
}

impl Policies {
    /// Reads all policies.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let mut known = Known::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = store.scan(TABLE, after.as_deref(), 1000).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.0.clone());
            for (key, version, value) in page {
                let record = decode(&key, value)?;
                known.insert(record.name.as_str().into(), (Arc::new(record), version));
            }
        }
        Ok(Self { store, snapshot: ArcSwap::from_pointee(known), writing: Mutex::new(()) })
    }

    /// A policy and its version in the store.
    pub fn get(&self, name: &str) -> Option<(Arc<PolicyRecord>, u64)> {
        self.snapshot.load().get(name).cloned()
    }

    /// Changes whenever a policy does; for caches of what policies mean.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.snapshot.load().keys().cloned().collect()
    }

    /// All policies, by name.
    pub fn list(&self) -> Vec<(Arc<PolicyRecord>, u64)> {
        self.snapshot.load().values().cloned().collect()
    }

    /// Makes a policy. Effective when this returns. Its version follows those of an earlier policy of its name.
    pub async fn create(&self, mut record: PolicyRecord) -> Result<(Arc<PolicyRecord>, u64), Fault> {
        let _one = self.writing.lock().await;
        let exists = || Fault::new(Reason::AlreadyExists, format!("a policy \"{}\" exists; choose another name or delete it first", record.name));
        if self.get(&record.name).is_some() {
            return Err(exists());
        }
        record.version = self.newest(&record.name).await?.map_or(1, |last| last.version.saturating_add(1));
        match self.put(record.clone(), Expect::Absent).await {
            Err(StoreError::Conflict { .. }) => Err(exists()),
            other => Ok(other?),
        }
    }

    /// Changes a policy; `version`: only if it is still this one. Effective when this returns.
    pub async fn update(&self, name: &str, version: Option<u64>, change: PolicyChange<'_>) -> Result<(Arc<PolicyRecord>, u64), Fault> {
        let _one = self.writing.lock().await;
        let (old, now_at) = self.get(name).ok_or_else(|| missing(name))?;
        let changed = || Fault::new(Reason::Conflict, format!("the policy {name} changed since it was read; read it again and repeat the change"));
        if version.is_some_and(|wanted| wanted != now_at) {
            return Err(changed());
        }
        let mut record = (*old).clone();
        change(&mut record)?;
        record.version = old.version.saturating_add(1);
        match self.put(record, Expect::Version(now_at)).await {
            Err(StoreError::Conflict { .. }) => Err(changed()),
            other => Ok(other?),
        }
    }

    async fn put(&self, record: PolicyRecord, expect: Expect) -> Result<(Arc<PolicyRecord>, u64), StoreError> {
        let value: bytes::Bytes = record.encode_to_vec().into();
        let version = self
            .store
            .commit(vec![
                Change::Put { key: place(&record.name), value: value.clone(), expect },
                Change::Put { key: version_place(&record.name, record.version), value, expect: Expect::Any },
            ])
            .await?;
        let record = Arc::new(record);
        let mut known = (**self.snapshot.load()).clone();
        known.insert(record.name.as_str().into(), (record.clone(), version));
        self.snapshot.store(Arc::new(known));
        Ok((record, version))
    }

    async fn newest(&self, name: &str) -> Result<Option<PolicyRecord>, StoreError> {
        let last = self.store.scan_back(&versions(name), None, 1).await?.into_iter().next();
        last.map(|(key, _, value)| decode(&key, value)).transpose()
    }

    /// One version of a policy, also of one that is gone.
    pub async fn version(&self, name: &str, version: i64) -> Result<Option<PolicyRecord>, StoreError> {
        let key = version_place(name, version);
        let found = self.store.get(&key).await?;
        found.map(|(_, value)| decode(&key, value)).transpose()
    }

    /// Versions of a policy before this one (0: all), newest first, at most `limit`.
    pub async fn history(&self, name: &str, before: i64, limit: usize) -> Result<Vec<PolicyRecord>, StoreError> {
        let end = (before > 0).then(|| version_place(name, before));
        let page = self.store.scan_back(&versions(name), end.as_deref(), limit).await?;
        page.into_iter().map(|(key, _, value)| decode(&key, value)).collect()
    }

    /// Deletes a policy; `version`: only if it is still this one.
    pub async fn delete(&self, name: &str, version: Option<u64>) -> Result<(), Fault> {
        let _one = self.writing.lock().await;
        if self.get(name).is_none() {
            return Err(missing(name));
        }
        let expect = version.map_or(Expect::Any, Expect::Version);
        self.store.commit(vec![Change::Delete { key: place(name), expect }]).await?;
        let mut known = (**self.snapshot.load()).clone();
        known.remove(name);
        self.snapshot.store(Arc::new(known));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::MemoryStore;

    fn record(text: &'static [u8]) -> PolicyRecord {
        PolicyRecord { name: "p".into(), version: 0, policy: text.into() }
    }

    #[tokio::test]
    async fn every_version_is_kept_and_numbers_go_on_after_a_deletion() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let policies = Policies::open(store.clone()).await.unwrap();
        let (first, etag) = policies.create(record(b"one")).await.unwrap();
        assert_eq!(first.version, 1);
        assert_eq!(policies.create(record(b"x")).await.unwrap_err().reason, Reason::AlreadyExists);
        let stale = policies.update("p", Some(etag + 7), &|_| Ok(())).await.unwrap_err();
        assert_eq!(stale.reason, Reason::Conflict);
        let to = |text: &'static [u8]| {
            move |r: &mut PolicyRecord| {
                r.policy = text.into();
                Ok(())
            }
        };
        let (second, _) = policies.update("p", Some(etag), &to(b"two")).await.unwrap();
        assert_eq!((second.version, policies.get("p").unwrap().0.policy.as_ref()), (2, b"two".as_ref()));
        policies.delete("p", None).await.unwrap();
        assert_eq!(policies.update("p", None, &to(b"y")).await.unwrap_err().reason, Reason::NotFound);
        // Another process finds the same.
        let again = Policies::open(store).await.unwrap();
        assert_eq!(again.version("p", 1).await.unwrap().unwrap().policy.as_ref(), b"one");
        let (third, _) = again.create(record(b"three")).await.unwrap();
        assert_eq!(third.version, 3);
        let versions = |list: Vec<PolicyRecord>| list.iter().map(|r| r.version).collect::<Vec<_>>();
        assert_eq!(versions(again.history("p", 0, 2).await.unwrap()), [3, 2]);
        assert_eq!(versions(again.history("p", 2, 5).await.unwrap()), [1]);
        assert!(again.history("q", 0, 5).await.unwrap().is_empty());
    }
}
