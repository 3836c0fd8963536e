//! Keys: kept by the hash of their secret, answered from memory.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use headworks_api::storage::KeyRecord;
use headworks_core::{Fault, Key, NanoUsd, Reason, Role};
use prost::Message;
use tokio::sync::Mutex;

use crate::{Change, Expect, Secret, Store, StoreError, secret};

const TABLE: &[u8] = b"key/";
const PEPPER: &[u8] = b"meta/pepper";
/// Number of `KEY_ROLE_ADMIN` and `KEY_ROLE_CALLER` in the public schema.
const ADMIN: i32 = 1;
const CALLER: i32 = 2;

/// What a new key shall be.
pub type NewKey = KeyRecord;

/// Changes a record; says which field is wrong.
pub type KeyChange<'a> = &'a (dyn Fn(&mut KeyRecord) -> Result<(), Fault> + Send + Sync);

#[derive(Clone)]
struct Known {
    record: Arc<KeyRecord>,
    key: Arc<Key>,
    version: u64,
}

#[derive(Default, Clone)]
struct Snapshot {
    by_hash: HashMap<[u8; 32], Known>,
    by_id: HashMap<Arc<str>, [u8; 32]>,
}

/// The keys.
pub struct Keys {
    store: Arc<dyn Store>,
    pepper: [u8; 32],
    snapshot: ArcSwap<Snapshot>,
    /// A key from the environment: every role, not in the store.
    given: Option<([u8; 32], Arc<Key>)>,
    /// Changes one at a time, so that the snapshot follows the store.
    writing: Mutex<()>,
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

fn place(id: &str) -> Vec<u8> {
    [TABLE, id.as_bytes()].concat()
}

fn view(record: &KeyRecord) -> Arc<Key> {
    let texts = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
    Arc::new(Key {
        id: record.id.as_str().into(),
        name: record.name.as_str().into(),
        roles: record
            .roles
            .iter()
            .filter_map(|role| match *role {
                ADMIN => Some(Role::Admin),
                CALLER => Some(Role::Caller),
                _ => None,
            })
            .collect(),
        allowed_models: texts(&record.allowed_models),
        default_policy: Some(record.default_policy.as_str()).filter(|p| !p.is_empty()).map(Arc::from),
        auto_cache: record.auto_cache.unwrap_or(false),
        regions: texts(&record.regions),
        budget: record.budget_nano_usd.map(NanoUsd),
    })
}

impl Keys {
    /// Reads all keys. `given` is a secret from the environment that holds every role.
    pub async fn open(store: Arc<dyn Store>, given: Option<&str>) -> Result<Self, StoreError> {
        let pepper = pepper(&*store).await?;
        let given = given.map(|secret| {
            let key = Key {
                id: "admin".into(),
                name: "admin key from the environment".into(),
                roles: vec![Role::Admin],
                allowed_models: Vec::new(),
                default_policy: None,
                auto_cache: false,
                regions: Vec::new(),
                budget: None,
            };
            (hash(&pepper, secret), Arc::new(key))
        });
        let keys = Self { store, pepper, snapshot: ArcSwap::default(), given, writing: Mutex::new(()) };
        keys.reload().await?;
        Ok(keys)
    }

    /// True where no key was ever made.
    pub fn is_empty(&self) -> bool {
        self.given.is_none() && self.snapshot.load().by_id.is_empty()
    }

    async fn reload(&self) -> Result<(), StoreError> {
        let mut snapshot = Snapshot::default();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(TABLE, after.as_deref(), 1000).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.0.clone());
            for (key, version, value) in page {
                let record = decode(&key, &value)?;
                insert(&mut snapshot, record, version);
            }
        }
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Who a secret belongs to. Answers from memory, in the same steps whatever is wrong.
    pub fn authenticate(&self, credential: &str) -> Result<Arc<Key>, Fault> {
        let unknown = || Fault::new(Reason::UnauthenticatedKey, "this gateway does not know the key; check that it was copied whole and is for this gateway");
        let hash = hash(&self.pepper, credential);
        if let Some((given, key)) = &self.given
            && *given == hash
        {
            return Ok(key.clone());
        }
        let snapshot = self.snapshot.load();
        let Some(known) = snapshot.by_hash.get(&hash) else {
            if !secret::plausible(credential) {
                return Err(Fault::new(Reason::UnauthenticatedKey, "the key is not whole: its checksum is wrong; copy it again"));
            }
            return Err(unknown());
        };
        if known.record.revoke_unix_nanos != 0 {
            return Err(Fault::new(Reason::KeyRevoked, format!("the key {} was revoked; ask for a new one", known.record.id)));
        }
        if known.record.expire_unix_nanos != 0 && known.record.expire_unix_nanos <= now() {
            return Err(Fault::new(Reason::KeyExpired, format!("the key {} has expired; ask for a new one", known.record.id)));
        }
        Ok(known.key.clone())
    }

    /// Makes a key. Id, hash, hint and times are filled in.
    pub async fn create(&self, mut record: NewKey) -> Result<(Arc<KeyRecord>, u64, Secret), Fault> {
        let _one = self.writing.lock().await;
        let secret = Secret::new()?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| Fault::internal(format!("no random numbers: {error}")))?;
        record.id = format!("key_{}", random.iter().map(|b| format!("{b:02x}")).collect::<String>());
        record.secret_hash = Bytes::copy_from_slice(&hash(&self.pepper, secret.reveal()));
        record.secret_hint = secret.hint();
        record.create_unix_nanos = now();
        record.update_unix_nanos = record.create_unix_nanos;
        record.revoke_unix_nanos = 0;
        let (record, version) = self.put(record, Expect::Absent).await?;
        Ok((record, version, secret))
    }

    /// A key and its version.
    pub fn get(&self, id: &str) -> Option<(Arc<KeyRecord>, u64)> {
        let snapshot = self.snapshot.load();
        let known = snapshot.by_id.get(id).and_then(|hash| snapshot.by_hash.get(hash))?;
        Some((known.record.clone(), known.version))
    }

    /// What the hot path knows of a key, by its id: for planning as if it called.
    pub fn tenant(&self, id: &str) -> Option<Arc<Key>> {
        if let Some((_, key)) = self.given.as_ref().filter(|(_, key)| *key.id == *id) {
            return Some(key.clone());
        }
        let snapshot = self.snapshot.load();
        snapshot.by_id.get(id).and_then(|hash| snapshot.by_hash.get(hash)).map(|known| known.key.clone())
    }

    /// All keys, by id.
    pub fn list(&self) -> Vec<(Arc<KeyRecord>, u64)> {
        let snapshot = self.snapshot.load();
        let mut all: Vec<_> = snapshot.by_hash.values().map(|known| (known.record.clone(), known.version)).collect();
        all.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        all
    }

    /// Changes a key; `version`: only if it is still this one. Effective when this returns.
    pub async fn update(&self, id: &str, version: Option<u64>, change: KeyChange<'_>) -> Result<(Arc<KeyRecord>, u64), Fault> {
        let _one = self.writing.lock().await;
        let (old, now_at) = self.get(id).ok_or_else(|| Fault::new(Reason::NotFound, format!("no key \"{id}\"; KeyService.ListKeys lists them")))?;
        if version.is_some_and(|wanted| wanted != now_at) {
            return Err(Fault::new(Reason::Conflict, format!("the key {id} changed since it was read; read it again and repeat the change")));
        }
        let mut record = (*old).clone();
        change(&mut record)?;
        record.update_unix_nanos = now();
        self.put(record, Expect::Version(now_at)).await
    }

    async fn put(&self, record: KeyRecord, expect: Expect) -> Result<(Arc<KeyRecord>, u64), Fault> {
        let put = Change::Put { key: place(&record.id), value: record.encode_to_vec().into(), expect };
        let version = self.store.commit(vec![put]).await?;
        let mut snapshot = (**self.snapshot.load()).clone();
        let record = insert(&mut snapshot, record, version);
        // Before the caller is answered: the next call sees the change.
        self.snapshot.store(Arc::new(snapshot));
        Ok((record, version))
    }
}

fn insert(snapshot: &mut Snapshot, record: KeyRecord, version: u64) -> Arc<KeyRecord> {
    let mut hash = [0; 32];
    if record.secret_hash.len() == hash.len() {
        hash.copy_from_slice(&record.secret_hash);
    }
    let known = Known { key: view(&record), record: Arc::new(record), version };
    let record = known.record.clone();
    snapshot.by_id.insert(record.id.as_str().into(), hash);
    snapshot.by_hash.insert(hash, known);
    record
}

fn decode(key: &[u8], value: &Bytes) -> Result<KeyRecord, StoreError> {
    KeyRecord::decode(value.clone())
        .map_err(|error| StoreError::Damaged { folder: "of the store".to_owned(), detail: format!("{}: {error}", String::from_utf8_lossy(key)) })
}

fn hash(pepper: &[u8; 32], secret: &str) -> [u8; 32] {
    *blake3::keyed_hash(pepper, secret.as_bytes()).as_bytes()
}

/// Makes hashes useless outside this store.
async fn pepper(store: &dyn Store) -> Result<[u8; 32], StoreError> {
    let mut fresh = [0; 32];
    getrandom::fill(&mut fresh).map_err(|error| StoreError::Unavailable(format!("no random numbers: {error}")))?;
    let put = Change::Put { key: PEPPER.to_vec(), value: Bytes::copy_from_slice(&fresh), expect: Expect::Absent };
    match store.commit(vec![put]).await {
        Ok(_) => Ok(fresh),
        Err(StoreError::Conflict { found: Some((_, kept)), .. }) if kept.len() == 32 => {
            fresh.copy_from_slice(&kept);
            Ok(fresh)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::MemoryStore;

    fn reason(result: Result<Arc<Key>, Fault>) -> Reason {
        result.unwrap_err().reason
    }

    #[tokio::test]
    async fn l3_a_change_is_seen_by_the_next_call_and_survives_a_restart() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let keys = Keys::open(store.clone(), Some("an-admin-key-of-16+")).await.unwrap();
        assert!(keys.authenticate("an-admin-key-of-16+").unwrap().is(Role::Caller));
        let (record, version, secret) = keys.create(KeyRecord { name: "app".into(), roles: vec![CALLER], ..Default::default() }).await.unwrap();
        assert_eq!(&*keys.authenticate(secret.reveal()).unwrap().id, record.id);
        let stale = keys.update(&record.id, Some(version + 9), &|_| Ok(())).await.unwrap_err();
        assert_eq!(stale.reason, Reason::Conflict);
        let allow = |r: &mut KeyRecord| {
            r.allowed_models = vec!["a/*".into()];
            Ok(())
        };
        keys.update(&record.id, Some(version), &allow).await.unwrap();
        assert!(!keys.authenticate(secret.reveal()).unwrap().may_use("b/x"));
        let again = Keys::open(store.clone(), None).await.unwrap();
        assert!(again.authenticate(secret.reveal()).unwrap().may_use("a/x"));
        keys.update(&record.id, None, &|r| {
            r.expire_unix_nanos = 1;
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(reason(keys.authenticate(secret.reveal())), Reason::KeyExpired);
        keys.update(&record.id, None, &|r| {
            r.revoke_unix_nanos = 1;
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(reason(keys.authenticate(secret.reveal())), Reason::KeyRevoked);
        assert_eq!(reason(keys.authenticate("hw_nonsense")), Reason::UnauthenticatedKey);
        // Neither the secret nor anything it could be read from is on disk.
        for (_, _, value) in store.scan(b"", None, 100).await.unwrap() {
            assert!(!String::from_utf8_lossy(&value).contains(&secret.reveal()[8..]));
        }
    }
}
