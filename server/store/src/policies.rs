//! Policies by name, answered from memory.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use headworks_api::storage::PolicyRecord;
use headworks_core::{Fault, Reason};
use prost::Message;
use tokio::sync::Mutex;

use crate::{Change, Expect, Store, StoreError};

const TABLE: &[u8] = b"policy/";

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
                let record = PolicyRecord::decode(value).map_err(|error| StoreError::Damaged {
                    folder: "of the store".to_owned(),
                    detail: format!("{}: {error}", String::from_utf8_lossy(&key)),
                })?;
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

    /// Makes a policy. Effective when this returns.
    pub async fn create(&self, record: PolicyRecord) -> Result<u64, Fault> {
        let _one = self.writing.lock().await;
        let exists = || Fault::new(Reason::AlreadyExists, format!("a policy \"{}\" exists; choose another name or delete it first", record.name));
        let put = Change::Put { key: place(&record.name), value: record.encode_to_vec().into(), expect: Expect::Absent };
        let version = match self.store.commit(vec![put]).await {
            Err(StoreError::Conflict { .. }) => return Err(exists()),
            other => other?,
        };
        let mut known = (**self.snapshot.load()).clone();
        known.insert(record.name.as_str().into(), (Arc::new(record), version));
        self.snapshot.store(Arc::new(known));
        Ok(version)
    }

    /// Deletes a policy; `version`: only if it is still this one.
    pub async fn delete(&self, name: &str, version: Option<u64>) -> Result<(), Fault> {
        let _one = self.writing.lock().await;
        if self.get(name).is_none() {
            return Err(Fault::new(Reason::NotFound, format!("no policy \"{name}\"; PolicyService.ListPolicies lists them")));
        }
        let expect = version.map_or(Expect::Any, Expect::Version);
        self.store.commit(vec![Change::Delete { key: place(name), expect }]).await?;
        let mut known = (**self.snapshot.load()).clone();
        known.remove(name);
        self.snapshot.store(Arc::new(known));
        Ok(())
    }
}
