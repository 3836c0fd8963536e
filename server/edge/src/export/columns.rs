//! The columns of an export, once for all forms. Their order and names are what people's scripts rely on: only append.

use headworks_api::storage::{AttemptRecord, RequestRecord};
use headworks_core::{NanoUsd, Tokens};
use headworks_store::{estimated, served_by, why, written_tokens};

/// What stands in a column.
pub(super) enum Cell {
    /// Text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A whole number, where there is one.
    Maybe(Option<i64>),
    /// Yes or no.
    Bool(bool),
    /// Unix nanoseconds.
    Time(i64),
}

/// What kind of thing stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// [`Cell::Text`].
    Text,
    /// [`Cell::Int`].
    Int,
    /// [`Cell::Maybe`].
    Maybe,
    /// [`Cell::Bool`].
    Bool,
    /// [`Cell::Time`].
    Time,
}

/// A column: name, kind, and how it is read.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) read: fn(&RequestRecord) -> Cell,
}

macro_rules! columns {
    ($($name:literal $kind:ident $read:expr;)*) => {
        /// All columns.
        pub(super) const COLUMNS: &[Column] = &[$(Column { name: $name, kind: Kind::$kind, read: |r| Cell::$kind($read(r)) },)*];
    };
}

type R<'a> = &'a RequestRecord;

const SUCCESS: i32 = 1;
const FAILED_PARTIAL: i32 = 3;

fn last(r: R<'_>) -> Option<&AttemptRecord> {
    r.attempts.last()
}

fn served(r: R<'_>) -> Option<&AttemptRecord> {
    last(r).filter(|a| a.outcome == SUCCESS || a.outcome == FAILED_PARTIAL)
}

fn tokens(r: R<'_>) -> Tokens {
    written_tokens(r)
}

fn outcome(r: R<'_>) -> String {
    match r.outcome {
        1 => "SUCCESS",
        2 => "FAILED",
        3 => "FAILED_PARTIAL",
        4 => "CANCELLED",
        5 => "UNKNOWN",
        _ => "",
    }
    .to_owned()
}

columns! {
    "id" Text |r: R<'_>| r.id.clone();
    "time" Time |r: R<'_>| r.start_unix_nanos;
    "key_id" Text |r: R<'_>| r.key_id.clone();
    "group_id" Text |r: R<'_>| r.group_ids.first().cloned().unwrap_or_default();
    "model" Text |r: R<'_>| r.model.clone();
    "policy" Text |r: R<'_>| r.policy.clone();
    "provider" Text |r: R<'_>| served_by(r).map(|(provider, _)| provider.to_owned()).unwrap_or_default();
    "served_by" Text |r: R<'_>| served_by(r).map(|(provider, model)| format!("{provider}/{model}")).unwrap_or_default();
    "served_model" Text |r: R<'_>| served(r).map(|a| a.served_model.clone()).unwrap_or_default();
    "outcome" Text outcome;
    "reason" Text |r: R<'_>| why(r).to_owned();
    "http_status" Int |r: R<'_>| last(r).map_or(0, |a| i64::from(a.status));
    "attempts" Int |r: R<'_>| i64::try_from(r.attempts.len()).unwrap_or(i64::MAX);
    "door" Text |r: R<'_>| r.door.clone();
    "streamed" Bool |r: R<'_>| r.streamed;
    "latency_nanos" Int |r: R<'_>| r.latency_nanos;
    "first_token_nanos" Maybe |r: R<'_>| last(r).and_then(|a| a.first_token_nanos);
    "input_tokens" Int |r: R<'_>| tokens(r).input;
    "cache_read_tokens" Int |r: R<'_>| tokens(r).cache_read;
    "cache_write_5m_tokens" Int |r: R<'_>| tokens(r).cache_write_5m;
    "cache_write_1h_tokens" Int |r: R<'_>| tokens(r).cache_write_1h;
    "cache_write_12h_tokens" Int |r: R<'_>| tokens(r).cache_write_12h;
    "input_audio_tokens" Int |r: R<'_>| tokens(r).input_audio;
    "cache_read_audio_tokens" Int |r: R<'_>| tokens(r).cache_read_audio;
    "input_image_tokens" Int |r: R<'_>| tokens(r).input_image;
    "output_tokens" Int |r: R<'_>| tokens(r).output;
    "reasoning_tokens" Int |r: R<'_>| tokens(r).reasoning;
    "output_audio_tokens" Int |r: R<'_>| tokens(r).output_audio;
    "output_image_tokens" Int |r: R<'_>| tokens(r).output_image;
    "cost_nano_usd" Int |r: R<'_>| r.cost_nano_usd;
    "cost_usd" Text |r: R<'_>| NanoUsd(r.cost_nano_usd).to_string();
    "cost_known" Bool |r: R<'_>| r.cost_known;
    "saved_nano_usd" Int |r: R<'_>| r.saved_nano_usd;
    "estimated" Bool |r: R<'_>| estimated(r);
    "service_tier" Text |r: R<'_>| last(r).map(|a| a.service_tier.clone()).unwrap_or_default();
    "user_id" Text |r: R<'_>| r.user_id.clone();
    "trace_id" Text |r: R<'_>| r.trace_id.clone();
    "tags" Text |r: R<'_>| serde_json::to_string(&r.tags).unwrap_or_default();
    "metadata" Text |r: R<'_>| serde_json::to_string(&r.metadata.iter().collect::<std::collections::BTreeMap<_, _>>()).unwrap_or_default();
    "markup_nano_usd" Int |r: R<'_>| r.markup_nano_usd;
    "hedged" Bool |r: R<'_>| r.attempts.iter().any(|a| a.hedge);
    "cached" Bool |r: R<'_>| !r.cached_from.is_empty();
}

/// A time as people and programs read it: RFC 3339, UTC, nanoseconds.
pub(super) fn rfc3339(unix_nanos: i64) -> String {
    prost_types::Timestamp { seconds: unix_nanos.div_euclid(1_000_000_000), nanos: i32::try_from(unix_nanos.rem_euclid(1_000_000_000)).unwrap_or(0) }
        .to_string()
}
