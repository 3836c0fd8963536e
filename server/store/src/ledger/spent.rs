//! What each payer spent, as the sums of its records by window. Kept once a second, with the last window that is in it:
//! three values more in each commit cost more than the commit's own.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use headworks_api::storage::{RequestRecord, SpendRecord};
use headworks_core::{BudgetWindow, NanoUsd, Tally};
use prost::Message;

use super::{SPEND, SPENT};
use crate::{Change, Expect, Store, StoreError, store::counter};

/// The sums of all payers as they were kept.
pub(super) async fn read(store: &dyn Store) -> Result<HashMap<String, Tally>, StoreError> {
    let mut all = HashMap::new();
    // The older form first, so that the newer stands over it.
    for table in [SPEND, SPENT] {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = store.scan(table, after.as_deref(), 1000).await?;
            let Some(end) = page.last() else { break };
            after = Some(end.0.clone());
            for (key, _, value) in page {
                let payer = String::from_utf8_lossy(key.strip_prefix(table).unwrap_or_default()).into_owned();
                let record = if table == SPEND {
                    SpendRecord { lifetime_nano_usd: counter(&value).unwrap_or(0), ..SpendRecord::default() }
                } else {
                    SpendRecord::decode(value)
                        .map_err(|error| StoreError::Damaged { folder: "of the store".to_owned(), detail: format!("what {payer} spent: {error}") })?
                };
                all.insert(payer, tally(&record));
            }
        }
    }
    Ok(all)
}

fn tally(r: &SpendRecord) -> Tally {
    let span = |start, spent| (start, NanoUsd(spent));
    Tally::seeded(
        span(r.day_unix_seconds, r.day_nano_usd),
        span(r.week_unix_seconds, r.week_nano_usd),
        span(r.month_unix_seconds, r.month_nano_usd),
        NanoUsd(r.lifetime_nano_usd),
    )
}

fn record(tally: &Tally) -> SpendRecord {
    let [day, week, month, lifetime] = BudgetWindow::ALL.map(|window| tally.span(window));
    SpendRecord {
        lifetime_nano_usd: lifetime.spent.0,
        day_unix_seconds: day.start,
        day_nano_usd: day.spent.0,
        week_unix_seconds: week.start,
        week_nano_usd: week.spent.0,
        month_unix_seconds: month.start,
        month_nano_usd: month.spent.0,
    }
}

/// Adds a record to the sums of all who pay for it: each attempt in the windows in which it began.
pub(super) fn add(spent: &mut HashMap<String, Tally>, record: &RequestRecord, changed: &mut HashSet<String>) {
    for payer in std::iter::once(&record.key_id).chain(&record.group_ids) {
        if !spent.contains_key(payer) {
            spent.insert(payer.clone(), Tally::default());
        }
        let Some(tally) = spent.get_mut(payer) else { continue };
        let mut count = |nanos: i64, amount: i64| {
            let at = nanos.div_euclid(1_000_000_000);
            tally.roll(at);
            tally.settle(at, NanoUsd::ZERO, NanoUsd(amount));
        };
        if record.attempts.is_empty() {
            count(record.start_unix_nanos, record.cost_nano_usd.saturating_add(record.markup_nano_usd));
        }
        for attempt in &record.attempts {
            count(attempt.start_unix_nanos, attempt.cost_nano_usd.unwrap_or(0).saturating_add(attempt.markup_nano_usd));
        }
        if !changed.contains(payer) {
            changed.insert(payer.clone());
        }
    }
}

/// Writes the sums that have changed.
pub(super) fn put<'a>(spent: &'a HashMap<String, Tally>, changed: &'a mut HashSet<String>) -> impl Iterator<Item = Change> + 'a {
    changed.drain().filter_map(|payer| Some(change(&payer, spent.get(&payer)?)))
}

fn change(payer: &str, tally: &Tally) -> Change {
    Change::Put { key: [SPENT, payer.as_bytes()].concat(), value: Bytes::from(record(tally).encode_to_vec()), expect: Expect::Any }
}
