//! Records that are kept no longer.

use headworks_api::storage::RollupState;
use prost::Message;

use crate::{
    Change, Expect, Store, StoreError,
    ledger::{OPEN, WINDOWS, place, time_of},
    rollup::STATE,
};

/// Windows taken away in one commit: memory and the wait of other writers stay small (O2).
const BATCH: usize = 128;

/// Takes away the ledger's windows that landed before `before`, Unix nanoseconds; says how many. Spend and sums
/// stay. Windows that are not in the sums yet, or that may hold an open call's intent, are left.
pub async fn forget(store: &dyn Store, before: u64) -> Result<u64, StoreError> {
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
    let open = store.get(OPEN).await?.and_then(|(_, bytes)| number(&bytes)).unwrap_or(0);
    let rolled = match store.get(STATE).await? {
        Some((_, bytes)) => RollupState::decode(bytes).map_or(0, |state| u64::try_from(state.rolled).unwrap_or(0)),
        None => 0,
    };
    let before = before.min(open).min(rolled);
    let mut count = 0;
    loop {
        // From the first: what was taken away is no longer in the way.
        let page = store.scan(WINDOWS, Some(&place(0)), BATCH).await?;
        let old: Vec<Change> = page
            .into_iter()
            .filter(|(key, ..)| time_of(key).is_some_and(|at| at < before))
            .map(|(key, ..)| Change::Delete { key, expect: Expect::Any })
            .collect();
        if old.is_empty() {
            return Ok(count);
        }
        count += old.len() as u64;
        let full = old.len() == BATCH;
        store.commit(old).await?;
        if !full {
            return Ok(count);
        }
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;

    use headworks_api::storage::RequestRecord;

    use super::*;
    use crate::{Filter, Keep, Ledger, MemoryStore, Question, Records, Rollups};

    #[tokio::test]
    async fn o2_old_records_go_in_batches_and_their_sums_and_spend_stay() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let now = 1_790_000_000;
        let record = |n: i64| RequestRecord {
            id: format!("req_{n}"),
            key_id: "k".into(),
            start_unix_nanos: (now + n) * 1_000_000_000,
            outcome: 1,
            cost_nano_usd: 1,
            cost_known: true,
            ..RequestRecord::default()
        };
        let ledger = Ledger::open(store.clone()).await.unwrap();
        for n in 0..300 {
            drop(ledger.record(record(n), true));
            ledger.flush().await.unwrap();
        }
        assert_eq!(forget(&*store, u64::MAX).await.unwrap(), 0, "nothing is in the sums yet");
        let rollups = Rollups::open(store.clone(), Keep::default(), now).await.unwrap();
        // The ledger says where its oldest open call is once a second; here it says so now.
        let last = store.scan_back(WINDOWS, None, 1).await.unwrap().pop().unwrap().0;
        let open = time_of(&last).unwrap().to_be_bytes().to_vec().into();
        store.commit(vec![Change::Put { key: OPEN.to_vec(), value: open, expect: Expect::Any }]).await.unwrap();
        let gone = forget(&*store, u64::MAX).await.unwrap();
        assert!(gone > 200, "{gone}");
        let left = Records::new(store.clone()).list(&Filter::default(), 1000, None).await.unwrap().records.len();
        assert!(left < 100, "{left}");
        let answer = rollups.query(&Question { from: 0, until: now + 400, ..Question::default() }, now).await.unwrap();
        let spent: Vec<_> = ledger.spent().into_iter().map(|(payer, tally)| (payer, tally.span(headworks_core::BudgetWindow::Lifetime).spent.0)).collect();
        assert_eq!((answer[0].sums.counts.requests, spent), (300, vec![("k".to_owned(), 300)]));
    }
}
