//! `QueryUsage`: sums over calls.

use std::collections::{BTreeMap, HashMap};

use headworks_api::v1;
use headworks_core::{Fault, Reason, Tenant};
use headworks_store::{By, Counts, Facet, Filter, Only, QueryError, Question, Row, Step, Sums};

use super::{records, requests};
use crate::App;

/// What can be summed.
const METRICS: [&str; 10] =
    ["requests", "errors", "failovers", "tokens", "cost", "saved", "latency", "time_to_first_token", "tokens_per_second", "errors_by_reason"];
/// Months are told by a step of their own.
const INTERVALS: [(i64, Step); 3] = [(60, Step::Minute), (3_600, Step::Hour), (86_400, Step::Day)];
/// The reach of a question without a start, seconds: what people look at first.
const fn reach(step: Step) -> i64 {
    match step {
        Step::Minute => 6 * 3_600,
        Step::Hour => 7 * 86_400,
        Step::Day | Step::Whole => 30 * 86_400,
        Step::Month => 366 * 86_400,
    }
}

/// Answers.
pub(super) async fn query(app: &App, tenant: &Tenant, asked: v1::QueryUsageRequest) -> Result<v1::QueryUsageResponse, Fault> {
    let now = headworks_engine::unix_seconds();
    let metrics = Metrics::read(&asked.metrics)?;
    let names = asked.group_by.clone();
    let mut by = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let unknown = || {
                let names: Vec<&str> = Facet::ALL.iter().map(|facet| facet.name()).collect();
                Fault::invalid(format!("group_by[{at}]"), format!("\"{name}\" is none of {}, tag, user, metadata.NAME", names.join(", ")))
            };
            By::from_name(name).ok_or_else(unknown)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let by_reason = metrics.has("errors_by_reason");
    if by_reason {
        by.push(By::Facet(Facet::Reason));
    }
    let filter = requests::filter(tenant, asked.filter)?;
    let until = if filter.before == 0 { now + 60 } else { filter.before.div_euclid(1_000_000_000) };
    let step = step(asked.step, asked.interval.as_ref())?;
    let from = if filter.from == 0 { until.min(now) - reach(step) } else { filter.from.div_euclid(1_000_000_000) };
    if from >= until {
        return Err(Fault::invalid("filter.end_time", "is not after filter.start_time"));
    }
    let question = Question {
        from,
        until,
        only: only(&filter),
        by,
        step,
        percentiles: ["latency", "time_to_first_token", "tokens_per_second"].iter().any(|name| metrics.has(name)),
    };
    let answer = app.rollups.query(&question, now).await.map_err(fault)?;
    let reasons = if by_reason { Some(names.len()) } else { None };
    let spent: i64 = answer.iter().map(|row| row.sums.counts.cost.saturating_add(row.sums.counts.markup)).sum();
    let rows = folded(answer, reasons);
    let skip = if asked.page_token.is_empty() {
        0
    } else {
        asked.page_token.parse::<usize>().map_err(|_| Fault::invalid("page_token", "is none of ours; send next_page_token of the page before"))?
    };
    let size = match asked.page_size {
        0 => 100,
        1.. => usize::try_from(asked.page_size).unwrap_or(1000).min(1000),
        _ => return Err(Fault::invalid("page_size", "must be 0 or more")),
    };
    let next_page_token = if rows.len() > skip.saturating_add(size) { (skip + size).to_string() } else { String::new() };
    Ok(v1::QueryUsageResponse {
        rows: rows.iter().skip(skip).take(size).map(|(row, reasons)| metrics.row(&names, row, reasons)).collect(),
        next_page_token,
        projected_cost_nano_usd: projected(spent, from, until, now),
    })
}

/// Linear: what was spent until now, over the share of the time that has passed.
fn projected(spent: i64, from: i64, until: i64, now: i64) -> Option<i64> {
    let passed = now - from;
    if passed <= 0 || now >= until {
        return None;
    }
    i64::try_from(i128::from(spent) * i128::from(until - from) / i128::from(passed)).ok()
}

fn fault(error: QueryError) -> Fault {
    match error {
        QueryError::Store(error) => error.into(),
        QueryError::MinutesGone(_) => Fault::invalid("step", error.to_string()),
        QueryError::TooMany => Fault::new(Reason::InvalidRequest, error.to_string()),
    }
}

fn step(asked: i32, interval: Option<&prost_types::Duration>) -> Result<Step, Fault> {
    match v1::UsageStep::try_from(asked) {
        Ok(v1::UsageStep::Minute) => Ok(Step::Minute),
        Ok(v1::UsageStep::Hour) => Ok(Step::Hour),
        Ok(v1::UsageStep::Day) => Ok(Step::Day),
        Ok(v1::UsageStep::Month) => Ok(Step::Month),
        Ok(v1::UsageStep::Unspecified) => match interval {
            None => Ok(Step::Whole),
            Some(length) => INTERVALS
                .iter()
                .find(|(seconds, _)| (*seconds, 0) == (length.seconds, length.nanos))
                .map(|(_, step)| *step)
                .ok_or_else(|| Fault::invalid("interval", "must be 60s, 3600s or 86400s; for months use step")),
        },
        Err(_) => Err(Fault::invalid("step", "is none of MINUTE, HOUR, DAY, MONTH")),
    }
}

fn only(filter: &Filter) -> Vec<Only> {
    let provider = if filter.served_by.contains('/') { Facet::ServedBy } else { Facet::Provider };
    let outcome = if filter.outcome == 0 { String::new() } else { filter.outcome.to_string() };
    let facets = [
        (By::Facet(Facet::Key), &filter.key_id),
        (By::Facet(provider), &filter.served_by),
        (By::Facet(Facet::Outcome), &outcome),
        (By::Tag, &filter.tag),
        (By::Facet(Facet::Groups), &filter.group_id),
        (By::Facet(Facet::Groups), &filter.within),
        (By::Facet(Facet::Model), &filter.model),
        (By::Facet(Facet::Policy), &filter.policy),
        (By::User, &filter.user_id),
        (By::Facet(Facet::Reason), &filter.reason),
        (By::Facet(Facet::Door), &filter.door),
    ];
    let mut only: Vec<Only> = facets.into_iter().filter(|(_, value)| !value.is_empty()).map(|(by, value)| Only { by, value: value.clone() }).collect();
    only.extend(filter.metadata.iter().map(|(name, value)| Only { by: By::Metadata(name.clone()), value: value.clone() }));
    only
}

type Reasons = HashMap<String, i64>;

/// Puts the rows of different reasons together; `at`: where the reason stands among the values.
fn folded(rows: Vec<Row>, at: Option<usize>) -> Vec<(Row, Reasons)> {
    let Some(at) = at else { return rows.into_iter().map(|row| (row, Reasons::new())).collect() };
    let mut found: BTreeMap<(i64, Vec<String>), (Sums, Reasons)> = BTreeMap::new();
    for mut row in rows {
        let reason = if at < row.values.len() { row.values.remove(at) } else { String::new() };
        let (sums, reasons) = found.entry((row.start, row.values)).or_default();
        if row.sums.counts.errors > 0 && !reason.is_empty() {
            *reasons.entry(reason).or_default() += row.sums.counts.errors;
        }
        sums.merge(&row.sums);
    }
    found.into_iter().map(|((start, values), (sums, reasons))| (Row { start, values, sums }, reasons)).collect()
}

/// What is asked for.
struct Metrics(Vec<&'static str>);

impl Metrics {
    fn read(asked: &[String]) -> Result<Self, Fault> {
        if asked.is_empty() {
            return Ok(Self(METRICS.into_iter().filter(|name| *name != "errors_by_reason").collect()));
        }
        let known = |(at, name): (usize, &String)| {
            let found = METRICS.into_iter().find(|metric| metric == name);
            found.ok_or_else(|| Fault::invalid(format!("metrics[{at}]"), format!("\"{name}\" is none of {}", METRICS.join(", "))))
        };
        asked.iter().enumerate().map(known).collect::<Result<_, _>>().map(Self)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    fn row(&self, names: &[String], row: &Row, reasons: &Reasons) -> v1::UsageRow {
        let Sums { counts, latency, first_token, speed } = &row.sums;
        let Counts { requests, errors, failovers, .. } = *counts;
        let mut out = v1::UsageRow {
            group: names.iter().cloned().zip(row.values.iter().cloned()).collect(),
            start_time: records::timestamp(row.start.saturating_mul(1_000_000_000)),
            ..v1::UsageRow::default()
        };
        for (name, value) in &mut out.group {
            if name == "outcome" {
                *value = outcome(value);
            }
        }
        if self.has("requests") {
            (out.request_count, out.cancelled_count, out.attempt_count) = (requests, counts.cancelled, counts.attempts);
            out.guardrail_hit_count = counts.guardrail_hits;
        }
        if self.has("errors") {
            (out.error_count, out.failed_attempt_count) = (errors, counts.failed_attempts);
        }
        out.errors_by_reason = reasons.clone();
        if self.has("failovers") {
            (out.failover_count, out.hedge_count, out.failover_rate) = (failovers, counts.hedges, share(failovers, requests));
        }
        out.usage = self.usage(counts);
        if self.has("cost") {
            out.price_unknown_count = counts.price_unknown;
        }
        if self.has("saved") {
            out.cost_without_cache_nano_usd = counts.cost.saturating_add(counts.saved);
            out.cache_hit_count = counts.cache_hits;
            out.response_cache_hit_count = counts.response_cache_hits;
            out.cache_hit_rate = share(counts.cache_hits, requests);
            out.cache_token_rate = share(counts.cache_read + counts.cache_read_audio, prompt(counts));
        }
        let span =
            |nanos: Option<i64>| nanos.and_then(|n| prost_types::Duration::try_from(std::time::Duration::from_nanos(u64::try_from(n).unwrap_or(0))).ok());
        if self.has("latency") {
            [out.latency_p50, out.latency_p90, out.latency_p95, out.latency_p99] = [0.5, 0.9, 0.95, 0.99].map(|q| span(latency.quantile(q)));
        }
        if self.has("time_to_first_token") {
            [out.time_to_first_token_p50, out.time_to_first_token_p90, out.time_to_first_token_p95, out.time_to_first_token_p99] =
                [0.5, 0.9, 0.95, 0.99].map(|q| span(first_token.quantile(q)));
        }
        if self.has("tokens_per_second") {
            #[allow(clippy::cast_precision_loss)]
            let speed = |q| speed.quantile(q).map_or(0.0, |thousandths| thousandths as f64 / 1000.0);
            (out.tokens_per_second_p50, out.tokens_per_second_p10) = (speed(0.5), speed(0.1));
        }
        out
    }

    fn usage(&self, c: &Counts) -> Option<v1::Usage> {
        let mut usage = v1::Usage::default();
        if self.has("tokens") {
            usage = v1::Usage {
                input_tokens: c.input,
                cache_read_tokens: c.cache_read,
                cache_write_5m_tokens: c.cache_write_5m,
                cache_write_1h_tokens: c.cache_write_1h,
                cache_write_12h_tokens: c.cache_write_12h,
                input_audio_tokens: c.input_audio,
                cache_read_audio_tokens: c.cache_read_audio,
                input_image_tokens: c.input_image,
                output_tokens: c.output,
                reasoning_tokens: c.reasoning,
                output_audio_tokens: c.output_audio,
                output_image_tokens: c.output_image,
                prompt_tokens: prompt(c),
                completion_tokens: c.output + c.output_audio + c.output_image,
                estimated: c.estimated > 0,
                ..usage
            };
        }
        if self.has("cost") {
            (usage.cost_nano_usd, usage.markup_nano_usd, usage.cost_known) = (c.cost, c.markup, c.price_unknown == 0);
        }
        if self.has("saved") {
            usage.saved_nano_usd = c.saved;
        }
        ["tokens", "cost", "saved"].iter().any(|name| self.has(name)).then_some(usage)
    }
}

fn prompt(c: &Counts) -> i64 {
    c.input + c.cache_read + c.cache_write_5m + c.cache_write_1h + c.cache_write_12h + c.input_audio + c.cache_read_audio + c.input_image
}

#[allow(clippy::cast_precision_loss)]
fn share(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// An outcome by its name in the schema, without its prefix.
fn outcome(number: &str) -> String {
    let known = number.parse::<i32>().ok().and_then(|n| v1::AttemptOutcome::try_from(n).ok());
    known.map(|outcome| outcome.as_str_name().trim_start_matches("ATTEMPT_OUTCOME_").to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_is_spent_goes_on_as_it_did() {
        for (spent, from, until, now, wanted) in [(100, 0, 100, 50, Some(200)), (100, 0, 100, 100, None), (100, 0, 100, 0, None), (7, 0, 3, 2, Some(10))] {
            assert_eq!(projected(spent, from, until, now), wanted, "{from} {until} {now}");
        }
    }

    #[test]
    fn unknown_names_are_told_with_the_known_ones() {
        assert!(Metrics::read(&["costs".to_owned()]).err().unwrap().message.contains("metrics[0]: \"costs\" is none of requests"));
        assert!(step(0, Some(&prost_types::Duration { seconds: 30, nanos: 0 })).unwrap_err().message.contains("interval"));
    }

    #[test]
    fn rows_of_reasons_fold_into_one_with_a_count_for_each() {
        let row = |reason: &str, errors| Row {
            start: 0,
            values: vec!["k".to_owned(), reason.to_owned()],
            sums: Sums { counts: Counts { requests: 2, errors, ..Counts::default() }, ..Sums::default() },
        };
        let rows = folded(vec![row("", 0), row("TIMEOUT", 2)], Some(1));
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].0.sums.counts.requests, &rows[0].1), (4, &Reasons::from([("TIMEOUT".to_owned(), 2)])));
    }
}
