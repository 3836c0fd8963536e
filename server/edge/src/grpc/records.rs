//! Between the schema's words and ours: what became of calls.

use std::time::Duration;

use headworks_api::{storage, v1};
use headworks_core::{AttemptReport, Outcome, Reason, Receipt, Tokens};
use headworks_store::{estimated, read_tokens, served_by, why, written_tokens};

pub(crate) fn timestamp(unix_nanos: i64) -> Option<prost_types::Timestamp> {
    (unix_nanos != 0).then(|| prost_types::Timestamp {
        seconds: unix_nanos.div_euclid(1_000_000_000),
        nanos: i32::try_from(unix_nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
    })
}

pub(crate) fn unix_nanos(time: Option<prost_types::Timestamp>) -> i64 {
    time.map_or(0, |t| t.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(t.nanos)))
}

fn span(nanos: i64) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))).ok()
}

fn outcome(outcome: Outcome) -> v1::AttemptOutcome {
    match outcome {
        Outcome::Success => v1::AttemptOutcome::Success,
        Outcome::Failed => v1::AttemptOutcome::Failed,
        Outcome::FailedPartial => v1::AttemptOutcome::FailedPartial,
        Outcome::Cancelled => v1::AttemptOutcome::Cancelled,
        Outcome::Unknown => v1::AttemptOutcome::Unknown,
    }
}

/// The number of a reason in the schema.
pub(crate) fn reason(reason: Reason) -> i32 {
    reason_named(reason.name())
}

fn reason_named(name: &str) -> i32 {
    v1::Reason::from_str_name(&format!("REASON_{name}")).map_or(0, |reason| reason as i32)
}

/// Tokens in the schema's words, without money.
fn tokens(t: &Tokens) -> v1::Usage {
    v1::Usage {
        input_tokens: t.input,
        cache_read_tokens: t.cache_read,
        cache_write_5m_tokens: t.cache_write_5m,
        cache_write_1h_tokens: t.cache_write_1h,
        cache_write_12h_tokens: t.cache_write_12h,
        input_audio_tokens: t.input_audio,
        cache_read_audio_tokens: t.cache_read_audio,
        input_image_tokens: t.input_image,
        output_tokens: t.output,
        reasoning_tokens: t.reasoning,
        output_audio_tokens: t.output_audio,
        output_image_tokens: t.output_image,
        prompt_tokens: t.prompt(),
        completion_tokens: t.completion(),
        ..v1::Usage::default()
    }
}

/// Usage of a whole call.
pub(crate) fn usage(receipt: &Receipt) -> v1::Usage {
    v1::Usage {
        cost_nano_usd: receipt.cost.0,
        markup_nano_usd: receipt.attempts.iter().map(|a| a.markup.0).fold(0, i64::saturating_add),
        saved_nano_usd: receipt.saved.0,
        cost_known: receipt.cost_known,
        estimated: receipt.estimated,
        cached: receipt.cached.is_some(),
        ..tokens(&receipt.tokens)
    }
}

/// How a call went.
pub(crate) fn route(receipt: &Receipt) -> v1::Route {
    v1::Route {
        request_id: receipt.request_id.to_string(),
        policy: receipt.policy.as_deref().unwrap_or_default().to_owned(),
        attempts: receipt.attempts.iter().map(attempt).collect(),
        skipped: receipt
            .skipped
            .iter()
            .map(|s| v1::SkippedTarget { target: s.target.to_string(), reason: reason(s.reason), message: s.message.clone() })
            .collect(),
        notes: receipt.notes.iter().map(ToString::to_string).collect(),
    }
}

fn attempt(a: &AttemptReport) -> v1::Attempt {
    let nanos = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
    v1::Attempt {
        ordinal: i32::try_from(a.ordinal).unwrap_or(i32::MAX),
        provider: a.target.provider.to_string(),
        model: a.target.model.to_string(),
        served_model: a.served_model.as_deref().unwrap_or_default().to_owned(),
        outcome: outcome(a.outcome) as i32,
        reason: a.reason.map_or(0, reason),
        http_status: i32::from(a.status),
        message: a.message.as_deref().unwrap_or_default().to_owned(),
        start_time: timestamp(a.timings.start_unix_nanos),
        latency: span(nanos(a.timings.total)),
        time_to_first_token: a.timings.first_token.and_then(|d| span(nanos(d))),
        usage: Some(v1::Usage {
            cost_nano_usd: a.cost.unwrap_or_default().0,
            markup_nano_usd: a.markup.0,
            cost_known: a.cost.is_some(),
            estimated: a.estimated,
            ..tokens(&a.tokens)
        }),
        hold_nano_usd: a.hold.0,
        service_tier: a.service_tier.as_deref().unwrap_or_default().to_owned(),
        hedge: a.hedge,
    }
}

fn stored_attempt(a: storage::AttemptRecord) -> v1::Attempt {
    v1::Attempt {
        ordinal: a.ordinal,
        reason: reason_named(&a.reason),
        http_status: a.status,
        start_time: timestamp(a.start_unix_nanos),
        latency: span(a.latency_nanos),
        time_to_first_token: a.first_token_nanos.and_then(span),
        usage: Some(v1::Usage {
            cost_nano_usd: a.cost_nano_usd.unwrap_or(0),
            markup_nano_usd: a.markup_nano_usd,
            cost_known: a.cost_nano_usd.is_some(),
            estimated: a.estimated,
            ..tokens(&read_tokens(&a.tokens))
        }),
        provider: a.provider,
        model: a.model,
        served_model: a.served_model,
        outcome: a.outcome,
        message: a.message,
        hold_nano_usd: a.hold_nano_usd,
        service_tier: a.service_tier,
        hedge: a.hedge,
    }
}

/// A record from the store.
pub(crate) fn record(r: storage::RequestRecord) -> v1::RequestRecord {
    v1::RequestRecord {
        served_by: served_by(&r).map(|(provider, model)| format!("{provider}/{model}")).unwrap_or_default(),
        reason: reason_named(why(&r)),
        usage: Some(v1::Usage {
            cost_nano_usd: r.cost_nano_usd,
            markup_nano_usd: r.markup_nano_usd,
            saved_nano_usd: r.saved_nano_usd,
            cost_known: r.cost_known,
            estimated: estimated(&r),
            cached: !r.cached_from.is_empty(),
            ..tokens(&written_tokens(&r))
        }),
        start_time: timestamp(r.start_unix_nanos),
        latency: span(r.latency_nanos),
        outcome: r.outcome,
        route: Some(v1::Route {
            request_id: r.id.clone(),
            policy: r.policy,
            attempts: r.attempts.into_iter().map(stored_attempt).collect(),
            skipped: r.skipped.into_iter().map(|s| v1::SkippedTarget { target: s.target, reason: reason_named(&s.reason), message: s.message }).collect(),
            notes: r.notes,
        }),
        id: r.id,
        key_id: r.key_id,
        model: r.model,
        tags: r.tags,
        user_id: r.user_id,
        trace_id: r.trace_id,
        metadata: r.metadata,
        streamed: r.streamed,
        door: r.door,
        group_ids: r.group_ids,
    }
}
