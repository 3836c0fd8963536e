//! Keys: kept by the hash of their secret, answered from memory.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use headworks_api::storage::KeyRecord;
use headworks_core::{Fault, Key, Payer, Reason, Role};
use prost::Message;
use tokio::sync::Mutex;

use crate::{
    Change, Expect, Secret, Store, StoreError,
    groups::missing,
    secret,
    tenant::{self, Groups},
};

const TABLE: &[u8] = b"key/";
const PEPPER: &[u8] = b"meta/pepper";
/// The longest that a rotated secret works on: 30 days, in nanoseconds.
const LONGEST_OVERLAP: i64 = 30 * 24 * 3600 * 1_000_000_000;

/// What a new key shall be.
pub type NewKey = KeyRecord;

/// Changes a record; says which field is wrong.
pub type KeyChange<'a> = &'a (dyn Fn(&mut KeyRecord) -> Result<(), Fault> + Send + Sync);

#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) record: Arc<KeyRecord>,
    key: Arc<Key>,
    version: u64,
}

/// A secret that works: whose it is, and until when where it was rotated away.
#[derive(Clone)]
struct Credential {
    known: Known,
    until: Option<i64>,
}

/// All keys and groups at one moment. What a key may do is worked out when it changes, never per call.
#[derive(Default, Clone)]
pub(crate) struct Snapshot {
    by_hash: HashMap<[u8; 32], Credential>,
    pub(crate) by_id: HashMap<Arc<str>, Known>,
    pub(crate) groups: Groups,
}

/// The keys.
pub struct Keys {
    pub(crate) store: Arc<dyn Store>,
    pepper: [u8; 32],
    snapshot: ArcSwap<Snapshot>,
    /// A key from the environment: every role, not in the store.
    given: Option<([u8; 32], Arc<Key>)>,
    /// Changes one at a time, so that the snapshot follows the store.
    pub(crate) writing: Mutex<()>,
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

fn place(id: &str) -> Vec<u8> {
    [TABLE, id.as_bytes()].concat()
}

impl Keys {
    /// Reads all keys. `given` is a secret from the environment that holds every role.
    pub async fn open(store: Arc<dyn Store>, given: Option<&str>) -> Result<Self, StoreError> {
        let pepper = pepper(&*store).await?;
        let given = given.map(|secret| {
            let (id, name): (Arc<str>, Arc<str>) = ("admin".into(), "admin key from the environment".into());
            let payers = vec![Payer { id: id.clone(), title: name.clone(), ..Payer::default() }];
            let key = Key { id, name, roles: vec![Role::Admin], payers, ..Key::default() };
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
        let mut snapshot = Snapshot { groups: self.read_groups().await?, ..Snapshot::default() };
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
        if !secret::plausible(credential) {
            return Err(Fault::new(Reason::UnauthenticatedKey, "the key is not whole: its checksum is wrong; copy it again"));
        }
        let unknown = || Fault::new(Reason::UnauthenticatedKey, "this gateway does not know the key; check that it was copied whole and is for this gateway");
        let hash = hash(&self.pepper, credential);
        if let Some((given, key)) = &self.given
            && *given == hash
        {
            return Ok(key.clone());
        }
        let snapshot = self.snapshot.load();
        let Some(Credential { known, until }) = snapshot.by_hash.get(&hash) else { return Err(unknown()) };
        if known.record.revoke_unix_nanos != 0 {
            return Err(Fault::new(Reason::KeyRevoked, format!("the key {} was revoked; ask for a new one", known.record.id)));
        }
        if until.is_some_and(|until| until <= now()) {
            return Err(Fault::new(Reason::KeyExpired, format!("this secret of the key {} was rotated away; use the new one", known.record.id)));
        }
        if known.record.expire_unix_nanos != 0 && known.record.expire_unix_nanos <= now() {
            return Err(Fault::new(Reason::KeyExpired, format!("the key {} has expired; ask for a new one", known.record.id)));
        }
        Ok(known.key.clone())
    }

    /// Makes a key. Id, hash, hint and times are filled in.
    pub async fn create(&self, mut record: NewKey) -> Result<(Arc<KeyRecord>, u64, Secret), Fault> {
        let _one = self.writing.lock().await;
        self.in_group(&record.group_id)?;
        let secret = Secret::new()?;
        record.id = new_id("key")?;
        record.secret_hash = Bytes::copy_from_slice(&hash(&self.pepper, secret.reveal()));
        record.secret_hint = secret.hint();
        record.create_unix_nanos = now();
        record.update_unix_nanos = record.create_unix_nanos;
        record.revoke_unix_nanos = 0;
        let (record, version) = self.put(record, Expect::Absent).await?;
        Ok((record, version, secret))
    }

    /// Gives a key a new secret. The old one works on for `overlap` nanoseconds; one from an earlier rotation ends now.
    pub async fn rotate(&self, id: &str, overlap: i64) -> Result<(Arc<KeyRecord>, u64, Secret), Fault> {
        if !(0..=LONGEST_OVERLAP).contains(&overlap) {
            return Err(Fault::invalid("overlap", "must be from 0 to 30 days"));
        }
        let secret = Secret::new()?;
        let fresh = Bytes::copy_from_slice(&hash(&self.pepper, secret.reveal()));
        let turn = |record: &mut KeyRecord| {
            if record.revoke_unix_nanos != 0 {
                return Err(Fault::new(Reason::Conflict, format!("the key {} was revoked for good; make a new one", record.id)));
            }
            record.previous_hash = if overlap > 0 { std::mem::take(&mut record.secret_hash) } else { Bytes::new() };
            record.previous_expire_unix_nanos = if overlap > 0 { now().saturating_add(overlap) } else { 0 };
            record.secret_hash = fresh.clone();
            record.secret_hint = secret.hint();
            Ok(())
        };
        let (record, version) = self.update(id, None, &turn).await?;
        Ok((record, version, secret))
    }

    /// A key and its version.
    pub fn get(&self, id: &str) -> Option<(Arc<KeyRecord>, u64)> {
        self.snapshot.load().by_id.get(id).map(|known| (known.record.clone(), known.version))
    }

    /// A key as its calls see it.
    pub fn tenant(&self, id: &str) -> Option<Arc<Key>> {
        if let Some((_, key)) = self.given.as_ref().filter(|(_, key)| *key.id == *id) {
            return Some(key.clone());
        }
        self.snapshot.load().by_id.get(id).map(|known| known.key.clone())
    }

    /// All keys, by id.
    pub fn list(&self) -> Vec<(Arc<KeyRecord>, u64)> {
        let snapshot = self.snapshot.load();
        let mut all: Vec<_> = snapshot.by_id.values().map(|known| (known.record.clone(), known.version)).collect();
        all.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        all
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Before the caller is answered: the next call sees the change.
    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    fn in_group(&self, id: &str) -> Result<(), Fault> {
        if id.is_empty() || self.snapshot.load().groups.contains_key(id) { Ok(()) } else { Err(missing(id)) }
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
        if record.group_id != old.group_id {
            self.in_group(&record.group_id)?;
        }
        record.update_unix_nanos = now();
        self.put(record, Expect::Version(now_at)).await
    }

    async fn put(&self, record: KeyRecord, expect: Expect) -> Result<(Arc<KeyRecord>, u64), Fault> {
        let put = Change::Put { key: place(&record.id), value: record.encode_to_vec().into(), expect };
        let version = self.store.commit(vec![put]).await?;
        let mut snapshot = (**self.snapshot.load()).clone();
        let record = insert(&mut snapshot, record, version);
        self.publish(snapshot);
        Ok((record, version))
    }
}

impl Snapshot {
    /// Works out anew what every key may do: a group changed.
    pub(crate) fn rework(&mut self) {
        for known in std::mem::take(&mut self.by_id).into_values() {
            insert(self, (*known.record).clone(), known.version);
        }
    }
}

/// A new id: `key_` or `grp_` and 16 digits.
pub(crate) fn new_id(kind: &str) -> Result<String, Fault> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| Fault::internal(format!("no random numbers: {error}")))?;
    Ok(format!("{kind}_{}", random.iter().map(|b| format!("{b:02x}")).collect::<String>()))
}

fn insert(snapshot: &mut Snapshot, record: KeyRecord, version: u64) -> Arc<KeyRecord> {
    let known = Known { key: tenant::view(&record, &snapshot.groups), record: Arc::new(record), version };
    let record = known.record.clone();
    if let Some(old) = snapshot.by_id.insert(record.id.as_str().into(), known.clone()) {
        for hash in [&old.record.secret_hash, &old.record.previous_hash] {
            if let Ok(hash) = <[u8; 32]>::try_from(&hash[..]) {
                snapshot.by_hash.remove(&hash);
            }
        }
    }
    if let Ok(hash) = <[u8; 32]>::try_from(&record.previous_hash[..]) {
        snapshot.by_hash.insert(hash, Credential { known: known.clone(), until: Some(record.previous_expire_unix_nanos) });
    }
    if let Ok(hash) = <[u8; 32]>::try_from(&record.secret_hash[..]) {
        snapshot.by_hash.insert(hash, Credential { known, until: None });
    }
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
        let (record, version, secret) = keys.create(KeyRecord { name: "app".into(), roles: vec![2], ..Default::default() }).await.unwrap();
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

    #[tokio::test]
    async fn rotation_overlaps_for_as_long_as_asked_and_survives_a_restart() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let keys = Keys::open(store.clone(), None).await.unwrap();
        let (record, _, first) = keys.create(KeyRecord { roles: vec![2], ..Default::default() }).await.unwrap();
        let (_, _, second) = keys.rotate(&record.id, 3_600_000_000_000).await.unwrap();
        for keys in [&keys, &Keys::open(store.clone(), None).await.unwrap()] {
            assert_eq!(*keys.authenticate(first.reveal()).unwrap().id, record.id);
            assert_eq!(*keys.authenticate(second.reveal()).unwrap().id, record.id);
        }
        keys.update(&record.id, None, &|r| {
            r.previous_expire_unix_nanos = 1;
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(reason(keys.authenticate(first.reveal())), Reason::KeyExpired);
        let (_, _, third) = keys.rotate(&record.id, 0).await.unwrap();
        assert_eq!(reason(keys.authenticate(second.reveal())), Reason::UnauthenticatedKey);
        assert!(keys.authenticate(third.reveal()).is_ok());
        assert_eq!(keys.rotate(&record.id, -1).await.unwrap_err().reason, Reason::InvalidRequest);
        keys.update(&record.id, None, &|r| {
            r.revoke_unix_nanos = 1;
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(keys.rotate(&record.id, 0).await.unwrap_err().reason, Reason::Conflict);
    }
}
