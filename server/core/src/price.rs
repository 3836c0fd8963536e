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

/// Everything the catalogue knows about what a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// The base rates.
    pub base: Rates,
    /// Long-context tiers, ascending.
    pub tiers: Vec<Tier>,
    /// Rates by service tier actually served (`batch`, `flex`, `priority`): base tier only.
    pub service_tiers: BTreeMap<Arc<str>, Rates>,
}
