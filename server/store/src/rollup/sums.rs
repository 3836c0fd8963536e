//! What is counted of calls.

use headworks_api::storage::{AttemptRecord, RequestRecord, RollupCell};

use super::{kept::Cell, sketch::Sketch};
use crate::{estimated, read_tokens, records::failed_over};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Plain sums. Their order is that on disk: only append.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: i64,)* }

        impl Counts {
            fn list(&self) -> Vec<i64> {
                let mut list = vec![$(self.$name,)*];
                while list.last() == Some(&0) {
                    list.pop();
                }
                list
            }

            fn add_list(&mut self, list: &[i64]) {
                let mut values = list.iter().copied();
                $(self.$name = self.$name.saturating_add(values.next().unwrap_or(0));)*
            }

            /// Adds another's sums.
            pub fn add(&mut self, other: &Self) {
                $(self.$name = self.$name.saturating_add(other.$name);)*
            }
        }
    };
}

counts! {
    /// Calls.
    requests,
    /// Calls that did not succeed; those that their caller gave up are not among them.
    errors,
    /// Calls that their caller gave up.
    cancelled,
    /// Calls that ended at another target than their first; retries of the same are none.
    failovers,
    /// Calls in which a second attempt ran beside a first.
    hedges,
    /// Calls that a guardrail stopped or edited.
    guardrail_hits,
    /// Calls that read from a prompt cache.
    cache_hits,
    /// Calls that used tokens whose price is unknown.
    price_unknown,
    /// Calls of whose counts some are estimates.
    estimated,
    /// Attempts.
    attempts,
    /// Attempts that did not serve.
    failed_attempts,
    /// Billionths of a US dollar, without markup.
    cost,
    /// What a cache saved, net of what writing to it cost.
    saved,
    /// What was added to the cost.
    markup,
    /// Input that met no cache.
    input,
    /// Input read from a cache.
    cache_read,
    /// Input written to a cache for 5 minutes.
    cache_write_5m,
    /// Input written to a cache for an hour.
    cache_write_1h,
    /// Input written to a cache for 12 hours.
    cache_write_12h,
    /// Sound heard.
    input_audio,
    /// Sound read from a cache.
    cache_read_audio,
    /// Pictures seen.
    input_image,
    /// Text written.
    output,
    /// The part of it that was reasoning.
    reasoning,
    /// Sound made.
    output_audio,
    /// Pictures made.
    output_image,
    /// Calls that were answered from memory.
    response_cache_hits,
}

/// Everything that is counted of some calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Plain sums.
    pub counts: Counts,
    /// Nanoseconds from a call's arrival to its end; of calls that were answered.
    pub latency: Sketch,
    /// Nanoseconds from an attempt's start to its first content.
    pub first_token: Sketch,
    /// Thousandths of an output token per second, from first content to end.
    pub speed: Sketch,
}

const SUCCESS: i32 = 1;
const CANCELLED: i32 = 4;
/// Shorter answers say little about a model's speed.
const LEAST_FOR_SPEED: i64 = 16;

impl Sums {
    /// Adds another's.
    pub fn merge(&mut self, other: &Sums) {
        self.counts.add(&other.counts);
        self.latency.merge(&other.latency);
        self.first_token.merge(&other.first_token);
        self.speed.merge(&other.speed);
    }

    /// Adds what is kept in a cell; its sketches only where they are wanted.
    pub fn merge_cell(&mut self, cell: &Cell<'_>, sketches: bool) {
        self.counts.add_list(&cell.sums);
        if sketches {
            self.latency.merge_packed(cell.latency);
            self.first_token.merge_packed(cell.first_token);
            self.speed.merge_packed(cell.speed);
        }
    }

    /// The cell that keeps these.
    pub fn cell(&self, facets: Vec<i32>, extra: i32) -> RollupCell {
        RollupCell {
            facets,
            extra,
            sums: self.counts.list(),
            latency: self.latency.packed(),
            first_token: self.first_token.packed(),
            speed: self.speed.packed(),
        }
    }

    /// What the last attempt of a call adds: the call itself is counted where it ended.
    pub fn of_call(record: &RequestRecord) -> Self {
        let mut sums = record.attempts.last().map(Self::of_attempt).unwrap_or_default();
        let counts = &mut sums.counts;
        counts.requests = 1;
        counts.errors = i64::from(record.outcome != SUCCESS && record.outcome != CANCELLED);
        counts.cancelled = i64::from(record.outcome == CANCELLED);
        counts.failovers = i64::from(failed_over(record));
        counts.hedges = i64::from(record.attempts.iter().any(|a| a.hedge));
        counts.cache_hits = i64::from(counts.cache_read + counts.cache_read_audio > 0);
        counts.price_unknown = i64::from(!record.cost_known);
        counts.estimated = i64::from(estimated(record));
        counts.saved = record.saved_nano_usd;
        counts.response_cache_hits = i64::from(!record.cached_from.is_empty());
        if record.outcome == SUCCESS {
            sums.latency.add(record.latency_nanos);
        }
        sums
    }

    /// What an attempt adds that another one came after.
    pub fn of_attempt(attempt: &AttemptRecord) -> Self {
        let tokens = read_tokens(&attempt.tokens);
        let mut sums = Sums {
            counts: Counts {
                attempts: 1,
                failed_attempts: i64::from(attempt.outcome != SUCCESS && attempt.outcome != CANCELLED),
                cost: attempt.cost_nano_usd.unwrap_or(0),
                markup: attempt.markup_nano_usd,
                input: tokens.input,
                cache_read: tokens.cache_read,
                cache_write_5m: tokens.cache_write_5m,
                cache_write_1h: tokens.cache_write_1h,
                cache_write_12h: tokens.cache_write_12h,
                input_audio: tokens.input_audio,
                cache_read_audio: tokens.cache_read_audio,
                input_image: tokens.input_image,
                output: tokens.output,
                reasoning: tokens.reasoning,
                output_audio: tokens.output_audio,
                output_image: tokens.output_image,
                ..Counts::default()
            },
            ..Sums::default()
        };
        if let Some(first) = attempt.first_token_nanos {
            sums.first_token.add(first);
            let (written, after) = (sums.counts.output, attempt.latency_nanos.saturating_sub(first));
            if attempt.outcome == SUCCESS && written >= LEAST_FOR_SPEED && after > 0 {
                let per_second = i128::from(written) * 1_000_000_000_000 / i128::from(after);
                sums.speed.add(i64::try_from(per_second).unwrap_or(i64::MAX));
            }
        }
        sums
    }
}
