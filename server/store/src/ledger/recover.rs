//! What an earlier run left: its sums are brought up to its last window, and calls left open become records.

use std::collections::{BTreeMap, HashMap, HashSet};

use headworks_api::storage::{AttemptRecord, Intent, RequestRecord};
use headworks_core::Tally;

use super::{OPEN, SUMMED, UNKNOWN, WINDOWS, decode, place, spent, time_of};
use crate::{Store, StoreError};

/// What an earlier run left.
pub(super) struct Found {
    /// Records for calls that have an intent and no record, each with the window of its first intent.
    pub left: Vec<(u64, RequestRecord)>,
    /// What each payer spent, by all records that there are.
    pub spent: HashMap<String, Tally>,
    /// Those for whom that is more than is kept.
    pub changed: HashSet<String>,
}

/// Reads it.
pub(super) async fn found(store: &dyn Store) -> Result<Found, StoreError> {
    let mark = async |key| Ok::<_, StoreError>(store.get(key).await?.and_then(|(_, bytes)| bytes.as_ref().try_into().ok().map(u64::from_be_bytes)));
    let (low, summed) = (mark(OPEN).await?.unwrap_or(0), mark(SUMMED).await?.unwrap_or(u64::MAX));
    let (mut spent, mut changed) = (spent::read(store).await?, HashSet::new());
    let mut open: BTreeMap<String, (u64, Vec<Intent>)> = BTreeMap::new();
    let mut after = Some(place(low.saturating_sub(1)));
    loop {
        let page = store.scan(WINDOWS, after.as_deref(), 500).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.0.clone());
        for (key, _, value) in page {
            let window = decode(&key, value)?;
            let at = time_of(&key).unwrap_or(0);
            for intent in window.intents {
                open.entry(intent.request_id.clone()).or_insert_with(|| (at, Vec::new())).1.push(intent);
            }
            for record in window.records {
                if at > summed {
                    spent::add(&mut spent, &record, &mut changed);
                }
                open.remove(&record.id);
            }
        }
    }
    let left = open.into_values().filter_map(|(at, intents)| Some((at, unknown(intents)?))).collect();
    Ok(Found { left, spent, changed })
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
