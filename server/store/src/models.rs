//! What the API says of models, answered from memory.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use headworks_api::storage::ModelRecord;
use headworks_core::{Fault, Reason};
use prost::Message;

use crate::{Change, Expect, Store, StoreError};

const TABLE: &[u8] = b"model/";

type Known = BTreeMap<Arc<str>, (Arc<ModelRecord>, u64)>;

/// Records of models by id, with their versions. Who changes them sees to it that one change is made at a time.
pub struct Models {
    store: Arc<dyn Store>,
    snapshot: ArcSwap<Known>,
}

fn place(id: &str) -> Vec<u8> {
    [TABLE, id.as_bytes()].concat()
}

impl Models {
    /// Reads all of them.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let mut known = Known::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = store.scan(TABLE, after.as_deref(), 1000).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.0.clone());
            for (key, version, value) in page {
                let record = ModelRecord::decode(value).map_err(|error| StoreError::Damaged {
                    folder: "of the store".to_owned(),
                    detail: format!("{}: {error}", String::from_utf8_lossy(&key)),
                })?;
                known.insert(record.id.as_str().into(), (Arc::new(record), version));
            }
        }
        Ok(Self { store, snapshot: ArcSwap::from_pointee(known) })
    }

    /// What is said of a model, and its version.
    pub fn get(&self, id: &str) -> Option<(Arc<ModelRecord>, u64)> {
        self.snapshot.load().get(id).cloned()
    }

    /// All that is said, by id.
    pub fn list(&self) -> Vec<(Arc<ModelRecord>, u64)> {
        self.snapshot.load().values().cloned().collect()
    }

    /// Puts a record where this version stands, or none. Durable when this returns.
    pub async fn put(&self, record: ModelRecord, over: Option<u64>) -> Result<u64, Fault> {
        let change = Change::Put { key: place(&record.id), value: record.encode_to_vec().into(), expect: over.map_or(Expect::Absent, Expect::Version) };
        let version = self.store.commit(vec![change]).await.map_err(|error| conflict(error, &record.id))?;
        let mut known = (**self.snapshot.load()).clone();
        known.insert(record.id.as_str().into(), (Arc::new(record), version));
        self.snapshot.store(Arc::new(known));
        Ok(version)
    }

    /// Takes a record away where this version stands. Durable when this returns.
    pub async fn delete(&self, id: &str, version: u64) -> Result<(), Fault> {
        self.store.commit(vec![Change::Delete { key: place(id), expect: Expect::Version(version) }]).await.map_err(|error| conflict(error, id))?;
        let mut known = (**self.snapshot.load()).clone();
        known.remove(id);
        self.snapshot.store(Arc::new(known));
        Ok(())
    }
}

fn conflict(error: StoreError, id: &str) -> Fault {
    match error {
        StoreError::Conflict { .. } => {
            Fault::new(Reason::Conflict, format!("what is said of {id} changed since it was read; read it again and repeat the change"))
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::MemoryStore;

    #[tokio::test]
    async fn what_is_put_is_found_by_another_process_and_versions_guard_it() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let models = Models::open(store.clone()).await.unwrap();
        let record = ModelRecord { id: "a/b".into(), ..ModelRecord::default() };
        let first = models.put(record.clone(), None).await.unwrap();
        assert_eq!(models.put(record.clone(), None).await.unwrap_err().reason, Reason::Conflict);
        assert_eq!(models.put(record.clone(), Some(first + 9)).await.unwrap_err().reason, Reason::Conflict);
        let second = models.put(ModelRecord { update_unix_nanos: 5, ..record }, Some(first)).await.unwrap();
        let again = Models::open(store.clone()).await.unwrap();
        assert_eq!(again.get("a/b").map(|(r, version)| (r.update_unix_nanos, version)), Some((5, second)));
        again.delete("a/b", second).await.unwrap();
        assert!(again.list().is_empty() && Models::open(store).await.unwrap().get("a/b").is_none());
    }
}
