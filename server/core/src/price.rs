use std::{collections::BTreeMap, sync::Arc};

/// Prices by kind of token, in nano-USD per million tokens. `None` means that
/// the kind has no price of its own (see `headworks_policy::cost` for what then applies).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Plain input.
    pub input: Option<i64>,
    /// Output, reasoning included unless `reasoning` says otherwise.
    pub output: Option<i64>,
    /// Input read from a cache.
    pub cache_read: Option<i64>,
    /// Input written to a cache for 5 minutes.
    pub cache_write_5m: Option<i64>,
    /// Input written to a cache for 1 hour.
    pub cache_write_1h: Option<i64>,
    /// Input written to a cache for 12 hours.
    pub cache_write_12h: Option<i64>,
    /// Reasoning, where it is not billed as output.
    pub reasoning: Option<i64>,
    /// Audio input.
    pub input_audio: Option<i64>,
    /// Audio output.
    pub output_audio: Option<i64>,
    /// Audio input read from a cache.
    pub cache_read_audio: Option<i64>,
    /// Image input.
    pub input_image: Option<i64>,
    /// Image output.
    pub output_image: Option<i64>,
}

impl Rates {
    /// Every rate times a factor in billionths, rounded half up: for showing; amounts are multiplied before they are rounded.
    pub fn times(self, factor: i128) -> Rates {
        let one = |rate: Option<i64>| {
            let unit = i128::from(FACTOR_ONE);
            rate.map(|rate| i64::try_from((i128::from(rate) * factor + unit / 2).div_euclid(unit)).unwrap_or(i64::MAX))
        };
        Rates {
            input: one(self.input),
            output: one(self.output),
            cache_read: one(self.cache_read),
            cache_write_5m: one(self.cache_write_5m),
            cache_write_1h: one(self.cache_write_1h),
            cache_write_12h: one(self.cache_write_12h),
            reasoning: one(self.reasoning),
            input_audio: one(self.input_audio),
            output_audio: one(self.output_audio),
            cache_read_audio: one(self.cache_read_audio),
            input_image: one(self.input_image),
            output_image: one(self.output_image),
        }
    }

    /// These rates, with every one that `over` names replaced.
    pub fn overlaid(self, over: &Rates) -> Rates {
        Rates {
            input: over.input.or(self.input),
            output: over.output.or(self.output),
            cache_read: over.cache_read.or(self.cache_read),
            cache_write_5m: over.cache_write_5m.or(self.cache_write_5m),
            cache_write_1h: over.cache_write_1h.or(self.cache_write_1h),
            cache_write_12h: over.cache_write_12h.or(self.cache_write_12h),
            reasoning: over.reasoning.or(self.reasoning),
            input_audio: over.input_audio.or(self.input_audio),
            output_audio: over.output_audio.or(self.output_audio),
            cache_read_audio: over.cache_read_audio.or(self.cache_read_audio),
            input_image: over.input_image.or(self.input_image),
            output_image: over.output_image.or(self.output_image),
        }
    }
}

/// Rates for the whole request once its input is long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The tier applies when all input tokens together, cached ones included, exceed this.
    pub above_input_tokens: i64,
    /// What changes in it.
    pub rates: Rates,
}

/// A time of the day, on some days of the week, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Days it holds on, Monday in the lowest bit.
    pub days: u8,
    /// Minutes after midnight when it begins.
    pub from: u16,
    /// Minutes after midnight when it is over; 1440 is the day's end. Not after `from`: on the next day.
    pub until: u16,
}

impl Window {
    /// Whether a moment lies in it.
    pub const fn holds(&self, unix_seconds: i64) -> bool {
        let day = unix_seconds.div_euclid(86_400);
        // 1970 began on a Thursday.
        let (today, yesterday) = ((day + 3).rem_euclid(7), (day + 2).rem_euclid(7));
        let minute = unix_seconds.rem_euclid(86_400) / 60;
        let begun = self.days & (1 << today) != 0 && minute >= self.from as i64;
        let running = minute < self.until as i64;
        // Over midnight it belongs to the day it begins on.
        if self.from < self.until { begun && running } else { begun || (self.days & (1 << yesterday) != 0 && running) }
    }
}

/// Other rates at certain hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffPeak {
    /// What changes then.
    pub rates: Rates,
    /// When.
    pub windows: Vec<Window>,
}

/// What [`Factor`]s are counted in.
pub const FACTOR_ONE: i64 = 1_000_000_000;

/// A multiplier of every token's price, in billionths: 1.1 is 1,100,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(pub i64);

/// Everything the catalogue knows about what a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// The base rates.
    pub base: Rates,
    /// Long-context tiers, ascending.
    pub tiers: Vec<Tier>,
    /// Rates by service tier actually served (`batch`, `flex`, `priority`): base tier only.
    pub service_tiers: BTreeMap<Arc<str>, Rates>,
    /// Rates at certain hours: base tier only.
    pub off_peak: Option<OffPeak>,
    /// Multipliers by where the provider is made to process: `eu`, `us`, `regional`.
    pub residency: BTreeMap<Arc<str>, Factor>,
    /// Nano-USD for a request, beside its tokens.
    pub per_request: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn windows_hold_by_weekday_and_minute_utc() {
        // 2026-11-25 is a Wednesday.
        let wednesday = 1_795_564_800;
        let morning = Window { days: 0b1_1111, from: 60, until: 240 };
        for (moment, holds) in [(0, false), (3599, false), (3600, true), (4 * 3600 - 1, true), (4 * 3600, false), (3 * 86_400 + 3600, false)] {
            assert_eq!(morning.holds(wednesday + moment), holds, "{moment}");
        }
        let weekend = Window { days: 0b110_0000, from: 0, until: 1440 };
        assert!(weekend.holds(wednesday + 3 * 86_400) && weekend.holds(wednesday + 5 * 86_400 - 1) && !weekend.holds(wednesday + 5 * 86_400));
    }
}
