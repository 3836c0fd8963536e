//! Reads records, and makes them of what the engine knows.

use std::sync::Arc;

use bytes::Bytes;
use headworks_api::storage::{AttemptRecord, RequestRecord, SkippedRecord};
use headworks_core::{AttemptReport, Call, Fault, Origin, Outcome, Rates, Reason, Receipt, Tokens};

use crate::{
    Ledger, Store, StoreError,
    ledger::{WINDOWS, decode, place, plain, time_of},
};

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this key; empty: all.
    pub key_id: String,
    /// Only served by this `provider/model` or provider; empty: all.
    pub served_by: String,
    /// Only with this outcome, by its number; 0: all.
    pub outcome: i32,
    /// Only from here on, Unix nanoseconds; 0: all.
    pub from: i64,
    /// Only before this, Unix nanoseconds; 0: all.
    pub before: i64,
    /// Only with this tag; empty: all.
    pub tag: String,
    /// Only of keys in this group or below it; empty: all.
    pub group_id: String,
    /// The same again: as far as whoever asks may see; empty: all.
    pub within: String,
    /// Only those that asked for this model; empty: all.
    pub model: String,
    /// Only by this policy; empty: all.
    pub policy: String,
    /// Only of this user; empty: all.
    pub user_id: String,
    /// Only those that failed for this reason, by its name; empty: all.
    pub reason: String,
    /// Only by this door; empty: all.
    pub door: String,
    /// Only with these values in their metadata.
    pub metadata: std::collections::HashMap<String, String>,
}

/// Some records, newest first.
#[derive(Debug, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<RequestRecord>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<String>,
}

/// The records.
#[derive(Clone)]
pub struct Records {
    store: Arc<dyn Store>,
    ledger: Option<Ledger>,
}

impl Filter {
    /// Whether a record is among those asked for.
    pub fn takes(&self, r: &RequestRecord) -> bool {
        let is = |wanted: &str, value: &str| wanted.is_empty() || wanted == value;
        let served = || {
            let last = r.attempts.last().map(|a| (a.provider.as_str(), a.model.as_str())).or(r.cached_from.split_once('/'));
            last.is_some_and(|(provider, model)| provider == self.served_by || self.served_by.split_once('/') == Some((provider, model)))
        };
        (self.key_id.is_empty() || r.key_id == self.key_id)
            && (self.served_by.is_empty() || served())
            && (self.outcome == 0 || r.outcome == self.outcome)
            && (self.from == 0 || r.start_unix_nanos >= self.from)
            && (self.before == 0 || r.start_unix_nanos < self.before)
            && (self.tag.is_empty() || r.tags.contains(&self.tag))
            && (self.group_id.is_empty() || r.group_ids.contains(&self.group_id))
            && (self.within.is_empty() || r.group_ids.contains(&self.within))
            && is(&self.model, &r.model)
            && is(&self.policy, &r.policy)
            && is(&self.user_id, &r.user_id)
            && is(&self.reason, why(r))
            && is(&self.door, &r.door)
            && self.metadata.iter().all(|(name, value)| r.metadata.get(name) == Some(value))
    }
}

/// The time in a request's id, Unix nanoseconds: see the engine's `request_id`.
fn arrived(id: &str) -> Option<u64> {
    const DIGITS: &str = "0123456789abcdefghjkmnpqrstvwxyz";
    let digits = id.strip_prefix("req_").filter(|d| d.len() == 24)?;
    let value = digits.chars().try_fold(0u128, |sum, c| DIGITS.find(c).map(|d| (sum << 5) | d as u128))?;
    u64::try_from(value >> 72).ok()?.checked_mul(1_000_000)
}

impl Records {
    /// Over a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, ledger: None }
    }

    /// Reads only once all that this ledger was told is there, so that whoever got an answer finds its record.
    #[must_use]
    pub fn after(self, ledger: Ledger) -> Self {
        Self { ledger: Some(ledger), ..self }
    }

    async fn caught_up(&self) {
        if let Some(ledger) = &self.ledger
            && let Err(error) = ledger.flush().await
        {
            // Old records can still be read.
            tracing::error!(%error, "the ledger cannot write; the newest records may be missing");
        }
    }

    /// Whether new records can be expected to land.
    pub fn healthy(&self) -> Result<(), Fault> {
        Ok(self.store.healthy()?)
    }

    /// One record. Looked for from the time in its id on, for a day: a record lands after its call began, and no call lasts longer.
    pub async fn get(&self, id: &str) -> Result<Option<RequestRecord>, StoreError> {
        let Some(from) = arrived(id) else { return Ok(None) };
        self.caught_up().await;
        let mut after = Some(place(from.saturating_sub(1)));
        loop {
            let page = self.store.scan(WINDOWS, after.as_deref(), 100).await?;
            let Some(last) = page.last() else { return Ok(None) };
            after = Some(last.0.clone());
            for (key, _, value) in page {
                if time_of(&key).is_some_and(|at| at > from.saturating_add(DAY_NANOS)) {
                    return Ok(None);
                }
                // Ids are plain text in it: most windows need no decoding.
                let value = plain(&key, value)?;
                if !holds(&value, id) {
                    continue;
                }
                if let Some(found) = decode(&key, value)?.records.into_iter().find(|record| record.id == id) {
                    return Ok(Some(found));
                }
            }
        }
    }

    /// Records, newest first by the time they landed. `token` is a page's `next`. A page for which very many records would have to be
    /// read ends early, and may be empty: the next one goes on from there.
    pub async fn list(&self, filter: &Filter, size: usize, token: Option<&str>) -> Result<Page, StoreError> {
        // A token names the last record given: window and place in it, counted from the end.
        let (mut before, mut skip) = match token.and_then(|t| t.split_once('.')).and_then(|(w, s)| Some((w.parse::<u64>().ok()?, s.parse::<usize>().ok()?))) {
            Some((window, given)) => (Some(place(window.saturating_add(1))), given),
            None => (None, 0),
        };
        let (mut page, mut seen) = (Page::default(), 0);
        if token.is_none() {
            self.caught_up().await;
        }
        loop {
            let windows = self.store.scan_back(WINDOWS, before.as_deref(), 50).await?;
            let Some(last) = windows.last() else { return Ok(page) };
            before = Some(last.0.clone());
            for (key, _, value) in windows {
                let window = time_of(&key).unwrap_or(0);
                // A window is committed after its calls began: nothing older can be new enough.
                if filter.from > 0 && window < u64::try_from(filter.from).unwrap_or(0) {
                    return Ok(page);
                }
                for (given, record) in decode(&key, value)?.records.into_iter().rev().enumerate().skip(std::mem::take(&mut skip)) {
                    seen += 1;
                    if !filter.takes(&record) {
                        if seen >= MOST_READ {
                            page.next = Some(format!("{window}.{}", given + 1));
                            return Ok(page);
                        }
                        continue;
                    }
                    page.records.push(record);
                    if page.records.len() == size {
                        page.next = Some(format!("{window}.{}", given + 1));
                        return Ok(page);
                    }
                }
            }
        }
    }
}

impl Records {
    /// Records in the order they landed, some at a time: `after` is what the last call gave.
    /// `None` in place of a next: there are no more.
    pub async fn forward(&self, filter: &Filter, after: Option<u64>) -> Result<(Vec<RequestRecord>, Option<u64>), StoreError> {
        let from = u64::try_from(filter.from).unwrap_or(0);
        if after.is_none() {
            self.caught_up().await;
        }
        let start = after.unwrap_or(from.saturating_sub(1));
        let page = self.store.scan(WINDOWS, Some(&place(start)), 64).await?;
        let Some(last) = page.last().and_then(|(key, ..)| time_of(key)) else { return Ok((Vec::new(), None)) };
        let mut found = Vec::new();
        for (key, _, value) in page {
            // No call lasts a day: what landed later began too late.
            if filter.before > 0 && time_of(&key).is_some_and(|at| at > u64::try_from(filter.before).unwrap_or(0).saturating_add(DAY_NANOS)) {
                return Ok((found, None));
            }
            found.extend(decode(&key, value)?.records.into_iter().filter(|record| filter.takes(record)));
        }
        Ok((found, Some(last)))
    }
}

/// Most records read for one page.
const MOST_READ: usize = 200_000;
/// Nanoseconds of a day.
const DAY_NANOS: u64 = 86_400_000_000_000;

fn holds(value: &Bytes, id: &str) -> bool {
    value.windows(id.len()).any(|window| window == id.as_bytes())
}

/// Number of an outcome in the public schema.
fn outcome(outcome: Outcome) -> i32 {
    match outcome {
        Outcome::Success => 1,
        Outcome::Failed => 2,
        Outcome::FailedPartial => 3,
        Outcome::Cancelled => 4,
        Outcome::Unknown => 5,
    }
}

/// Name of the reason why a call did not succeed; empty: it did. What its last attempt met says more than how the call
/// was closed, and a call without an attempt has only the latter.
pub fn why(record: &RequestRecord) -> &str {
    record.attempts.last().map(|attempt| attempt.reason.as_str()).filter(|reason| !reason.is_empty()).unwrap_or(&record.reason)
}

/// Whether some count of a call is an estimate.
pub fn estimated(record: &RequestRecord) -> bool {
    record.cached_estimated || record.attempts.iter().any(|a| a.estimated)
}

/// Whether a call ended at another target than one that failed before. Attempts at the same target are retries; one
/// that lost a race to another did not fail, and one that failed beside the first while that went on led nowhere.
pub fn failed_over(record: &RequestRecord) -> bool {
    let Some(last) = record.attempts.last() else { return false };
    let failed = |a: &AttemptRecord| a.ordinal <= last.ordinal && a.outcome != outcome(Outcome::Cancelled);
    record.attempts.iter().any(|a| failed(a) && (&a.provider, &a.model) != (&last.provider, &last.model))
}

/// The record of a call.
pub fn request_record(call: &Call, receipt: &Receipt, ended: Outcome, reason: Option<Reason>, now_unix_nanos: i64) -> RequestRecord {
    let routing = call.work.routing();
    let metadata = call.work.metadata().iter().chain(&routing.labels).map(|(k, v)| (k.clone(), v.clone())).collect();
    RequestRecord {
        id: receipt.request_id.to_string(),
        key_id: call.tenant.id.to_string(),
        group_ids: call.tenant.groups().map(ToString::to_string).collect(),
        markup_nano_usd: receipt.attempts.iter().map(|a| a.markup.0).fold(0, i64::saturating_add),
        model: receipt.asked.to_string(),
        policy: receipt.policy.as_deref().unwrap_or_default().to_owned(),
        start_unix_nanos: call.arrived_unix_nanos,
        latency_nanos: now_unix_nanos.saturating_sub(call.arrived_unix_nanos),
        outcome: outcome(ended),
        reason: reason.map(|reason| reason.name().to_owned()).unwrap_or_default(),
        attempts: receipt.attempts.iter().map(attempt).collect(),
        skipped: receipt
            .skipped
            .iter()
            .map(|s| SkippedRecord { target: s.target.to_string(), reason: s.reason.name().to_owned(), message: s.message.clone() })
            .collect(),
        notes: receipt.notes.iter().map(ToString::to_string).collect(),
        cost_nano_usd: receipt.cost.0,
        cost_known: receipt.cost_known,
        saved_nano_usd: receipt.saved.0,
        cached_from: receipt.cached.as_ref().map(|cached| cached.target.to_string()).unwrap_or_default(),
        cached_tokens: receipt.cached.as_ref().map(|_| tokens(&receipt.tokens)).unwrap_or_default(),
        cached_estimated: receipt.cached.as_ref().is_some_and(|cached| cached.estimated),
        tags: routing.tags.iter().map(ToString::to_string).collect(),
        user_id: routing.user_id.as_ref().or(call.work.user()).map(|user| &**user).unwrap_or_default().to_owned(),
        trace_id: routing.trace_id.as_deref().unwrap_or_default().to_owned(),
        metadata,
        has_tools: call.work.chat().is_some_and(|chat| !chat.tools.is_empty()),
        has_images: call.work.chat().is_some_and(|chat| chat.has_images()),
        streamed: call.work.is_streamed(),
        door: match call.origin {
            Origin::Grpc => "grpc",
            Origin::RestChat => "rest-chat",
            Origin::RestResponses => "rest-responses",
            Origin::RestMessages => "rest-messages",
            Origin::RestEmbeddings => "rest-embeddings",
        }
        .to_owned(),
    }
}

fn attempt(a: &AttemptReport) -> AttemptRecord {
    AttemptRecord {
        ordinal: i32::try_from(a.ordinal).unwrap_or(i32::MAX),
        provider: a.target.provider.to_string(),
        model: a.target.model.to_string(),
        served_model: a.served_model.as_deref().unwrap_or_default().to_owned(),
        outcome: outcome(a.outcome),
        reason: a.reason.map(|r| r.name().to_owned()).unwrap_or_default(),
        status: i32::from(a.status),
        message: a.message.as_deref().unwrap_or_default().to_owned(),
        start_unix_nanos: a.timings.start_unix_nanos,
        latency_nanos: nanos(a.timings.total),
        first_token_nanos: a.timings.first_token.map(nanos),
        tokens: tokens(&a.tokens),
        rates: a.rates.as_ref().map(rates).unwrap_or_default(),
        cost_nano_usd: a.cost.map(|c| c.0),
        estimated: a.estimated,
        hold_nano_usd: a.hold.0,
        markup_nano_usd: a.markup.0,
        service_tier: a.service_tier.as_deref().unwrap_or_default().to_owned(),
        hedge: a.hedge,
    }
}

fn nanos(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn trimmed(mut list: Vec<i64>) -> Vec<i64> {
    while list.last() == Some(&0) {
        list.pop();
    }
    list
}

fn tokens(t: &Tokens) -> Vec<i64> {
    let Tokens {
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        cache_write_12h,
        input_audio,
        cache_read_audio,
        input_image,
        output,
        reasoning,
        output_audio,
        output_image,
    } = *t;
    trimmed(vec![
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        cache_write_12h,
        input_audio,
        cache_read_audio,
        input_image,
        output,
        reasoning,
        output_audio,
        output_image,
    ])
}

/// Tokens as an attempt's record holds them: the reverse of what [`request_record`] writes.
pub fn read_tokens(list: &[i64]) -> Tokens {
    let at = |place: usize| list.get(place).copied().unwrap_or(0);
    Tokens {
        input: at(0),
        cache_read: at(1),
        cache_write_5m: at(2),
        cache_write_1h: at(3),
        cache_write_12h: at(4),
        input_audio: at(5),
        cache_read_audio: at(6),
        input_image: at(7),
        output: at(8),
        reasoning: at(9),
        output_audio: at(10),
        output_image: at(11),
    }
}

/// Provider and model that answered a call: those of its last attempt where it gave something, or of the answer that was
/// given again.
pub fn served_by(record: &RequestRecord) -> Option<(&str, &str)> {
    let gave = [outcome(Outcome::Success), outcome(Outcome::FailedPartial)];
    let last = record.attempts.last().filter(|a| gave.contains(&a.outcome));
    last.map(|a| (a.provider.as_str(), a.model.as_str())).or(record.cached_from.split_once('/'))
}

/// Tokens of the attempts that wrote what the client has, or of the answer that was given again.
pub fn written_tokens(record: &RequestRecord) -> Tokens {
    if !record.cached_from.is_empty() {
        return read_tokens(&record.cached_tokens);
    }
    let partial = outcome(Outcome::FailedPartial);
    headworks_core::written(record.attempts.iter().map(|a| (a.outcome == partial, read_tokens(&a.tokens))))
}

fn rates(r: &Rates) -> Vec<i64> {
    let Rates {
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        cache_write_12h,
        reasoning,
        input_audio,
        output_audio,
        cache_read_audio,
        input_image,
        output_image,
    } = *r;
    let all = [
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        cache_write_12h,
        reasoning,
        input_audio,
        output_audio,
        cache_read_audio,
        input_image,
        output_image,
    ];
    trimmed(all.into_iter().map(|rate| rate.map_or(0, |rate| rate.saturating_add(1))).collect())
}
