use std::ops::AddAssign;

/// Tokens of one attempt by kind. The kinds are disjoint, so that the cost is
/// the plain sum over them; `reasoning` alone is a part of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// Input that was neither read from nor written to a cache, and is not audio or image.
    pub input: i64,
    /// Input read from a prompt cache.
    pub cache_read: i64,
    /// Input written to a prompt cache for 5 minutes, or to a cache without a choice of lifetimes.
    pub cache_write_5m: i64,
    /// Input written to a prompt cache for 1 hour.
    pub cache_write_1h: i64,
    /// Input written to a prompt cache for 12 hours.
    pub cache_write_12h: i64,
    /// Uncached audio input.
    pub input_audio: i64,
    /// Audio input read from a prompt cache.
    pub cache_read_audio: i64,
    /// Image input where the provider counts it apart.
    pub input_image: i64,
    /// Text written, reasoning included.
    pub output: i64,
    /// The part of `output` that was reasoning.
    pub reasoning: i64,
    /// Audio written.
    pub output_audio: i64,
    /// Image tokens written.
    pub output_image: i64,
}

impl Tokens {
    /// No answer has more of a kind. What a host tells beyond that is no count, and adding it up must not overflow.
    pub const MOST: i64 = 1_000_000_000_000;

    /// A count as a host told it: absent or below nothing is 0.
    pub fn count(told: Option<i64>) -> i64 {
        told.unwrap_or(0).clamp(0, Self::MOST)
    }

    /// Everything the model read.
    pub fn prompt(&self) -> i64 {
        self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.cache_write_12h
            + self.input_audio
            + self.cache_read_audio
            + self.input_image
    }

    /// Everything the model wrote, reasoning included.
    pub fn completion(&self) -> i64 {
        self.output + self.output_audio + self.output_image
    }

    /// All cache writes, whatever their lifetime.
    pub fn cache_write(&self) -> i64 {
        self.cache_write_5m + self.cache_write_1h + self.cache_write_12h
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.input += other.input;
        self.cache_read += other.cache_read;
        self.cache_write_5m += other.cache_write_5m;
        self.cache_write_1h += other.cache_write_1h;
        self.cache_write_12h += other.cache_write_12h;
        self.input_audio += other.input_audio;
        self.cache_read_audio += other.cache_read_audio;
        self.input_image += other.input_image;
        self.output += other.output;
        self.reasoning += other.reasoning;
        self.output_audio += other.output_audio;
        self.output_image += other.output_image;
    }
}

#[cfg(test)]
mod tests {
    use super::Tokens;

    #[test]
    fn a_count_is_what_was_told_within_reason() {
        for (told, count) in [(None, 0), (Some(-5), 0), (Some(0), 0), (Some(7), 7), (Some(i64::MAX), Tokens::MOST)] {
            assert_eq!(Tokens::count(told), count, "{told:?}");
        }
        let all = Tokens::count(Some(i64::MAX));
        let most = Tokens { input: all, cache_read: all, cache_write_5m: all, cache_write_1h: all, output: all, output_audio: all, ..Tokens::default() };
        assert!(most.prompt() + most.completion() > 0);
    }
}
