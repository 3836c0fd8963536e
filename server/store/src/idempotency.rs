//! Idempotency keys: 24 hours each.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use headworks_api::storage::IdempotencyRecord;
use headworks_core::Fault;
use prost::Message;

use crate::{Change, Expect, Store, StoreError};

const DAY: i64 = 24 * 3600 * 1_000_000_000;

/// What is kept of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Hash of the request.
    pub fingerprint: [u8; 32],
    /// The outcome; `None` while it runs.
    pub outcome: Option<Bytes>,
}

/// What an id was taken by, or `None` when it is now the caller's.
pub type Claimed = Option<Kept>;

/// The ids.
#[derive(Clone)]
pub struct Idempotency {
    store: Arc<dyn Store>,
}

fn place(key_id: &str, id: &str) -> Vec<u8> {
    format!("idem/{key_id}/{id}").into_bytes()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

fn value(kept: &Kept) -> Bytes {
    IdempotencyRecord { fingerprint: Bytes::copy_from_slice(&kept.fingerprint), outcome: kept.outcome.clone(), expire_unix_nanos: now() + DAY }
        .encode_to_vec()
        .into()
}

impl Idempotency {
    /// Over a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Takes an id, durably, or tells what it is taken by.
    pub async fn claim(&self, key_id: &str, id: &str, fingerprint: [u8; 32]) -> Result<Claimed, Fault> {
        let mut expect = Expect::Absent;
        loop {
            let mine = value(&Kept { fingerprint, outcome: None });
            match self.store.commit(vec![Change::Put { key: place(key_id, id), value: mine, expect }]).await {
                Ok(_) => return Ok(None),
                Err(StoreError::Conflict { found: None, .. }) => expect = Expect::Absent,
                Err(StoreError::Conflict { found: Some((version, bytes)), .. }) => {
                    let record = IdempotencyRecord::decode(bytes).map_err(|error| Fault::internal(format!("idempotency key {id}: {error}")))?;
                    if record.expire_unix_nanos > now() {
                        let mut fingerprint = [0; 32];
                        if record.fingerprint.len() == 32 {
                            fingerprint.copy_from_slice(&record.fingerprint);
                        }
                        return Ok(Some(Kept { fingerprint, outcome: record.outcome }));
                    }
                    // Its day is over: take it from whoever had it.
                    expect = Expect::Version(version);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Keeps an outcome.
    pub async fn keep(&self, key_id: &str, id: &str, kept: &Kept) -> Result<(), Fault> {
        self.store.commit(vec![Change::Put { key: place(key_id, id), value: value(kept), expect: Expect::Any }]).await?;
        Ok(())
    }

    /// Gives an id back.
    pub async fn release(&self, key_id: &str, id: &str) -> Result<(), Fault> {
        self.store.commit(vec![Change::Delete { key: place(key_id, id), expect: Expect::Any }]).await?;
        Ok(())
    }

    /// Forgets the ids whose day is over; says how many.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let (mut after, mut gone): (Option<Vec<u8>>, usize) = (None, 0);
        loop {
            let page = self.store.scan(b"idem/", after.as_deref(), 500).await?;
            let Some(last) = page.last() else { return Ok(gone) };
            after = Some(last.0.clone());
            let over = |bytes: &Bytes| IdempotencyRecord::decode(bytes.clone()).is_ok_and(|r| r.expire_unix_nanos <= now());
            let changes: Vec<Change> = page
                .iter()
                .filter(|(_, _, bytes)| over(bytes))
                .map(|(key, version, _)| Change::Delete { key: key.clone(), expect: Expect::Version(*version) })
                .collect();
            gone += changes.len();
            if !changes.is_empty() {
                self.store.commit(changes).await?;
            }
        }
    }
}
