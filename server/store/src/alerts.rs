//! Crossings of budgets' thresholds: an outbox that survives a restart, and the news of them.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use headworks_api::storage::AlertRecord;
use prost::Message;
use tokio::sync::broadcast;

use crate::{Change, Expect, Store, StoreError};

const TABLE: &[u8] = b"alert/";
/// How many alerts a slow watcher may be behind.
const BEHIND: usize = 256;
/// How long alerts are kept, nanoseconds: 400 days, so that a lifetime's are there a year later.
const KEPT: i64 = 400 * 24 * 3600 * 1_000_000_000;

/// Numbers of `AlertDelivery` in the public schema.
pub mod delivery {
    /// There was no webhook when it was raised; sent to one that is set within a day.
    pub const NONE: i32 = 0;
    /// It will be tried, or tried again.
    pub const PENDING: i32 = 1;
    /// The webhook took it.
    pub const DELIVERED: i32 = 2;
    /// It was given up.
    pub const FAILED: i32 = 3;
}

/// The alerts.
pub struct Alerts {
    store: Arc<dyn Store>,
    news: broadcast::Sender<Arc<AlertRecord>>,
}

fn place(id: &str) -> Vec<u8> {
    [TABLE, id.as_bytes()].concat()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

/// The same crossing has the same id, whoever tells of it and how often.
fn id(alert: &AlertRecord) -> String {
    let what = format!("{}\0{}\0{}\0{}\0{}", alert.payer_id, alert.window, alert.window_unix_seconds, alert.limit_nano_usd, alert.percent);
    format!("alt_{}", &blake3::hash(what.as_bytes()).to_hex()[..24])
}

impl Alerts {
    /// Over a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, news: broadcast::channel(BEHIND).0 }
    }

    /// Keeps an alert and tells its watchers; `None` where the crossing is known. Id and time are filled in.
    pub async fn add(&self, mut alert: AlertRecord) -> Result<Option<Arc<AlertRecord>>, StoreError> {
        alert.id = id(&alert);
        alert.create_unix_nanos = now();
        let put = Change::Put { key: place(&alert.id), value: alert.encode_to_vec().into(), expect: Expect::Absent };
        match self.store.commit(vec![put]).await {
            Ok(_) => {
                let alert = Arc::new(alert);
                // Nobody may be watching.
                let _ = self.news.send(alert.clone());
                Ok(Some(alert))
            }
            Err(StoreError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps what became of an alert's delivery.
    pub async fn keep(&self, alert: &AlertRecord) -> Result<(), StoreError> {
        self.store.commit(vec![Change::Put { key: place(&alert.id), value: alert.encode_to_vec().into(), expect: Expect::Any }]).await?;
        Ok(())
    }

    /// All alerts, newest first.
    pub async fn list(&self) -> Result<Vec<AlertRecord>, StoreError> {
        let (mut all, mut after): (Vec<AlertRecord>, Option<Vec<u8>>) = (Vec::new(), None);
        loop {
            let page = self.store.scan(TABLE, after.as_deref(), 1000).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.0.clone());
            for (key, _, value) in page {
                let alert = AlertRecord::decode(value).map_err(|error| StoreError::Damaged {
                    folder: "of the store".to_owned(),
                    detail: format!("{}: {error}", String::from_utf8_lossy(&key)),
                })?;
                all.push(alert);
            }
        }
        all.sort_by(|a, b| (b.create_unix_nanos, &b.id).cmp(&(a.create_unix_nanos, &a.id)));
        Ok(all)
    }

    /// Forgets alerts that are over a year old; says how many.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let before = now().saturating_sub(KEPT);
        let old: Vec<Change> = self
            .list()
            .await?
            .into_iter()
            .filter(|alert| alert.create_unix_nanos < before)
            .map(|alert| Change::Delete { key: place(&alert.id), expect: Expect::Any })
            .collect();
        let count = old.len();
        if count > 0 {
            self.store.commit(old).await?;
        }
        Ok(count)
    }

    /// Alerts from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<AlertRecord>> {
        self.news.subscribe()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::MemoryStore;

    fn alert(percent: i32, window_start: i64) -> AlertRecord {
        AlertRecord { payer_id: "key_1".into(), percent, limit_nano_usd: 100, window: 1, window_unix_seconds: window_start, ..Default::default() }
    }

    #[tokio::test]
    async fn a_crossing_is_kept_and_told_once_also_across_restarts() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let alerts = Alerts::new(store.clone());
        let mut watched = alerts.watch();
        let first = alerts.add(alert(50, 0)).await.unwrap().unwrap();
        assert!(alerts.add(alert(50, 0)).await.unwrap().is_none());
        assert_eq!(watched.recv().await.unwrap(), first);
        assert!(watched.try_recv().is_err());
        let again = Alerts::new(store);
        assert!(again.add(alert(50, 0)).await.unwrap().is_none());
        assert!(again.add(alert(75, 0)).await.unwrap().is_some());
        assert!(again.add(alert(50, 86_400)).await.unwrap().is_some());
        again.keep(&AlertRecord { delivery: delivery::DELIVERED, ..(*first).clone() }).await.unwrap();
        let all = again.list().await.unwrap();
        assert_eq!(all.iter().map(|a| (a.percent, a.window_unix_seconds, a.delivery)).collect::<Vec<_>>(), [(50, 86_400, 0), (75, 0, 0), (50, 0, 2)]);
        assert_eq!(again.sweep().await.unwrap(), 0);
    }
}
