//! Answers that clients may go on from: each with what it was asked, kept for a time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use headworks_api::storage::ResponseRecord;
use headworks_core::Fault;
use prost::Message;
use serde::Deserialize;

use crate::{Change, Expect, Store, StoreError};

/// Most turns of one conversation.
const LONGEST: usize = 1000;

/// Stored responses. `[responses]` in the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResponsesConfig {
    /// Days that an answer is kept after it was given or last gone on from. Default 30, as at OpenAI; 0 keeps none.
    pub ttl_days: u64,
    /// Largest turn that is kept, bytes of its input and answer together. Default 8 MiB.
    pub max_bytes: usize,
}

impl Default for ResponsesConfig {
    fn default() -> Self {
        Self { ttl_days: 30, max_bytes: 8 << 20 }
    }
}

/// One turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptResponse {
    /// What this turn was asked: a JSON list of items.
    pub input: Bytes,
    /// The response object as the client got it.
    pub response: Bytes,
    /// The turn before it.
    pub previous: Option<String>,
    /// Ids of the items that may be referred to.
    pub items: Vec<String>,
    /// It was larger than the limit: nothing but this note is kept.
    pub too_large: bool,
}

/// The turns, each for its own key alone.
#[derive(Clone)]
pub struct Responses {
    store: Arc<dyn Store>,
    ttl: Duration,
    most: usize,
}

fn place(key_id: &str, id: &str) -> Vec<u8> {
    format!("resp/{key_id}/{id}").into_bytes()
}

fn item_place(key_id: &str, id: &str) -> Vec<u8> {
    format!("respitem/{key_id}/{id}").into_bytes()
}

/// Sorted by time, so that a sweep reads only what is due.
fn due_place(expire: i64, key_id: &str, id: &str) -> Vec<u8> {
    format!("respdue/{:012}/{key_id}/{id}", expire / 1_000_000_000).into_bytes()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

impl Responses {
    /// Over a store.
    pub fn new(store: Arc<dyn Store>, config: &ResponsesConfig) -> Self {
        Self { store, ttl: Duration::from_secs(config.ttl_days.min(36_500) * 86_400), most: config.max_bytes }
    }

    fn expiry(&self) -> i64 {
        now().saturating_add(i64::try_from(self.ttl.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Keeps a turn, durably. One that is too large leaves a note that it was.
    pub async fn keep(&self, key_id: &str, id: &str, turn: KeptResponse) -> Result<(), Fault> {
        if self.ttl.is_zero() || id.is_empty() || id.len() > 256 {
            return Ok(());
        }
        let expire = self.expiry();
        let too_large = turn.input.len() + turn.response.len() > self.most;
        let turn = if too_large { KeptResponse { too_large, previous: turn.previous, ..KeptResponse::default() } } else { turn };
        let mut changes = vec![
            Change::Put { key: place(key_id, id), value: record(&turn, expire), expect: Expect::Any },
            Change::Put { key: due_place(expire, key_id, id), value: Bytes::new(), expect: Expect::Any },
        ];
        for item in &turn.items {
            changes.push(Change::Put { key: item_place(key_id, item), value: Bytes::copy_from_slice(id.as_bytes()), expect: Expect::Any });
        }
        self.store.commit(changes).await?;
        Ok(())
    }

    async fn read(&self, key_id: &str, id: &str) -> Result<Option<ResponseRecord>, Fault> {
        let Some((_, bytes)) = self.store.get(&place(key_id, id)).await? else { return Ok(None) };
        let record = ResponseRecord::decode(bytes).map_err(|error| Fault::internal(format!("stored response {id}: {error}")))?;
        Ok(Some(record).filter(|record| record.expire_unix_nanos > now()))
    }

    /// A turn, where this key has it.
    pub async fn get(&self, key_id: &str, id: &str) -> Result<Option<KeptResponse>, Fault> {
        Ok(self.read(key_id, id).await?.map(turn))
    }

    /// The turn that an item belongs to.
    pub async fn of_item(&self, key_id: &str, item: &str) -> Result<Option<KeptResponse>, Fault> {
        let Some((_, bytes)) = self.store.get(&item_place(key_id, item)).await? else { return Ok(None) };
        self.get(key_id, &String::from_utf8_lossy(&bytes)).await
    }

    /// A conversation up to a turn, oldest first; `None` where a turn of it is not there any more. Turns that have
    /// lived half their time are kept for another whole one.
    pub async fn conversation(&self, key_id: &str, id: &str) -> Result<Option<Vec<KeptResponse>>, Fault> {
        let (mut turns, mut renewed, mut next) = (Vec::new(), Vec::new(), Some(id.to_owned()));
        let (expire, half) = (self.expiry(), now().saturating_add(i64::try_from(self.ttl.as_nanos() / 2).unwrap_or(i64::MAX)));
        while let Some(id) = next {
            if turns.len() >= LONGEST {
                return Err(Fault::invalid("previous_response_id", format!("the conversation has more than {LONGEST} turns; begin a new one")));
            }
            let Some(record) = self.read(key_id, &id).await? else { return Ok(None) };
            let (old, turn) = (record.expire_unix_nanos, turn(record));
            if old < half {
                renewed.push(Change::Delete { key: due_place(old, key_id, &id), expect: Expect::Any });
                renewed.push(Change::Put { key: due_place(expire, key_id, &id), value: Bytes::new(), expect: Expect::Any });
                renewed.push(Change::Put { key: place(key_id, &id), value: self::record(&turn, expire), expect: Expect::Any });
            }
            next = turn.previous.clone();
            turns.push(turn);
        }
        if !renewed.is_empty() {
            self.store.commit(renewed).await?;
        }
        turns.reverse();
        Ok(Some(turns))
    }

    /// Forgets a turn; says whether it was there.
    pub async fn forget(&self, key_id: &str, id: &str) -> Result<bool, Fault> {
        let Some(record) = self.read(key_id, id).await? else { return Ok(false) };
        self.store.commit(removal(key_id, id, &record)).await?;
        Ok(true)
    }

    /// Forgets the turns whose time is over; says how many.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let (mut after, mut gone): (Option<Vec<u8>>, usize) = (None, 0);
        let today = format!("respdue/{:012}/", now() / 1_000_000_000).into_bytes();
        loop {
            let page = self.store.scan(b"respdue/", after.as_deref(), 200).await?;
            let due: Vec<Vec<u8>> = page.into_iter().map(|(key, ..)| key).take_while(|key| *key < today).collect();
            let Some(last) = due.last() else { return Ok(gone) };
            after = Some(last.clone());
            let mut changes = Vec::new();
            for key in due {
                let text = String::from_utf8_lossy(&key).into_owned();
                let mut parts = text.splitn(4, '/').skip(2);
                changes.push(Change::Delete { key, expect: Expect::Any });
                let (Some(key_id), Some(id)) = (parts.next(), parts.next()) else { continue };
                let Some((version, bytes)) = self.store.get(&place(key_id, id)).await? else { continue };
                let Ok(record) = ResponseRecord::decode(bytes) else { continue };
                // Put again since: another entry says when it is due.
                if record.expire_unix_nanos > now() {
                    continue;
                }
                gone += 1;
                let mut out = removal(key_id, id, &record);
                if let Some(Change::Delete { expect, .. }) = out.first_mut() {
                    *expect = Expect::Version(version);
                }
                changes.append(&mut out);
            }
            match self.store.commit(changes).await {
                // Somebody went on from one of them in this moment: the next sweep looks again.
                Ok(_) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn record(turn: &KeptResponse, expire: i64) -> Bytes {
    ResponseRecord {
        input_json: turn.input.clone(),
        response_json: turn.response.clone(),
        previous_id: turn.previous.clone().unwrap_or_default(),
        item_ids: turn.items.clone(),
        expire_unix_nanos: expire,
        too_large: turn.too_large,
    }
    .encode_to_vec()
    .into()
}

fn turn(record: ResponseRecord) -> KeptResponse {
    KeptResponse {
        input: record.input_json,
        response: record.response_json,
        previous: Some(record.previous_id).filter(|id| !id.is_empty()),
        items: record.item_ids,
        too_large: record.too_large,
    }
}

fn removal(key_id: &str, id: &str, record: &ResponseRecord) -> Vec<Change> {
    let places = [place(key_id, id), due_place(record.expire_unix_nanos, key_id, id)];
    let items = record.item_ids.iter().map(|item| item_place(key_id, item));
    places.into_iter().chain(items).map(|key| Change::Delete { key, expect: Expect::Any }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::MemoryStore;

    fn turn(text: &str, previous: Option<&str>) -> KeptResponse {
        let items = vec![format!("msg_{text}")];
        KeptResponse { input: "[1]".into(), response: text.to_owned().into(), previous: previous.map(str::to_owned), items, too_large: false }
    }

    #[tokio::test]
    async fn turns_are_their_keys_own_and_form_conversations() {
        let responses = Responses::new(Arc::new(MemoryStore::default()), &ResponsesConfig::default());
        responses.keep("k1", "a", turn("a", None)).await.unwrap();
        responses.keep("k1", "b", turn("b", Some("a"))).await.unwrap();
        let all = responses.conversation("k1", "b").await.unwrap().unwrap();
        assert_eq!(all, [turn("a", None), turn("b", Some("a"))]);
        assert_eq!(responses.conversation("k2", "b").await.unwrap(), None, "another key has none of it");
        assert_eq!(responses.of_item("k1", "msg_b").await.unwrap(), Some(turn("b", Some("a"))));
        assert!(responses.forget("k1", "a").await.unwrap());
        assert!(!responses.forget("k1", "a").await.unwrap());
        assert_eq!(responses.conversation("k1", "b").await.unwrap(), None, "what was deleted is not gone on from");
        assert_eq!(responses.of_item("k1", "msg_a").await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_too_large_or_too_old_is_told_and_swept() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let small = Responses::new(store.clone(), &ResponsesConfig { max_bytes: 5, ..ResponsesConfig::default() });
        small.keep("k", "big", turn("far too long", None)).await.unwrap();
        assert!(small.get("k", "big").await.unwrap().unwrap().too_large);
        let off = Responses::new(store.clone(), &ResponsesConfig { ttl_days: 0, ..ResponsesConfig::default() });
        off.keep("k", "off", turn("x", None)).await.unwrap();
        assert_eq!(off.get("k", "off").await.unwrap(), None);

        let past = 1_000_000_000;
        let old = turn("old", None);
        let put = |key, value| Change::Put { key, value, expect: Expect::Any };
        let changes =
            vec![put(place("k", "old"), record(&old, past)), put(due_place(past, "k", "old"), Bytes::new()), put(item_place("k", "msg_old"), "old".into())];
        store.commit(changes).await.unwrap();
        assert_eq!(small.get("k", "old").await.unwrap(), None, "its time is over");
        assert_eq!(small.sweep().await.unwrap(), 1);
        for key in [place("k", "old"), due_place(past, "k", "old"), item_place("k", "msg_old")] {
            assert_eq!(store.get(&key).await.unwrap(), None);
        }
        assert!(small.get("k", "big").await.unwrap().is_some());
    }
}
