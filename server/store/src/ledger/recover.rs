//! What an earlier run left open becomes records.

use std::collections::BTreeMap;

use headworks_api::storage::{AttemptRecord, Intent, RequestRecord};

use super::{OPEN, UNKNOWN, WINDOWS, decode, place};
use crate::{Store, StoreError};

/// Records for calls that have an intent and no record.
pub(super) async fn left_open(store: &dyn Store) -> Result<Vec<RequestRecord>, StoreError> {
    let low = store.get(OPEN).await?.and_then(|(_, bytes)| bytes.as_ref().try_into().ok().map(u64::from_be_bytes)).unwrap_or(0);
    let mut open: BTreeMap<String, Vec<Intent>> = BTreeMap::new();
    let mut after = Some(place(low.saturating_sub(1)));
    loop {
        let page = store.scan(WINDOWS, after.as_deref(), 500).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.0.clone());
        for (key, _, value) in page {
            let window = decode(&key, value)?;
            for intent in window.intents {
                open.entry(intent.request_id.clone()).or_default().push(intent);
            }
            for record in window.records {
                open.remove(&record.id);
            }
        }
    }
    Ok(open.into_values().filter_map(unknown).collect())
}

/// The record of a call that nobody saw end: what was held counts as spent.
fn unknown(intents: Vec<Intent>) -> Option<RequestRecord> {
    let first = intents.first()?.clone();
    let attempts: Vec<AttemptRecord> = intents
        .into_iter()
        .map(|intent| AttemptRecord {
            ordinal: intent.ordinal,
            provider: intent.provider,
            model: intent.model,
            outcome: UNKNOWN,
            start_unix_nanos: intent.start_unix_nanos,
            cost_nano_usd: Some(intent.hold_nano_usd.saturating_sub(intent.markup_nano_usd)),
            markup_nano_usd: intent.markup_nano_usd,
            estimated: true,
            hold_nano_usd: intent.hold_nano_usd,
            message: "the gateway stopped before this attempt ended".to_owned(),
            ..AttemptRecord::default()
        })
        .collect();
    Some(RequestRecord {
        id: first.request_id,
        key_id: first.key_id,
        start_unix_nanos: first.start_unix_nanos,
        outcome: UNKNOWN,
        group_ids: first.group_ids,
        cost_nano_usd: attempts.iter().filter_map(|a| a.cost_nano_usd).fold(0, i64::saturating_add),
        markup_nano_usd: attempts.iter().map(|a| a.markup_nano_usd).fold(0, i64::saturating_add),
        cost_known: true,
        attempts,
        ..RequestRecord::default()
    })
}
