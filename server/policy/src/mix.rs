//! Numbers drawn from names: the same on every machine and in every release, so that
//! a trace meets the same target on every node.

/// Hashes bytes, eight at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mix(u64);

/// A large odd number: the golden ratio in 64 bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Mix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ ODD)
    }

    pub(crate) fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 ^= self.0 >> 32;
    }

    /// Takes bytes in; their length too, so that "ab", "c" and "a", "bc" differ.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Takes bytes in without their length.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.word(u64::from_le_bytes(last));
        }
    }

    /// The number, every bit of which depends on all that was taken in (splitmix64's last steps).
    pub(crate) fn finish(self) -> u64 {
        let mut z = self.0.wrapping_add(ODD);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A number for some words under a seed.
pub(crate) fn draw(seed: u64, words: &[&str]) -> u64 {
    let mut mix = Mix::new(seed);
    words.iter().for_each(|word| mix.bytes(word.as_bytes()));
    mix.finish()
}

/// What a call's dice show, by its id: ids are random, and a recorded call can be thrown again.
pub fn dice(request_id: &str) -> u64 {
    draw(0, &[request_id])
}

/// Between 0 and 1, neither of them.
pub(crate) fn unit(number: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let high = (number >> 11) as f64;
    (high + 0.5) / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_what_they_are_between_releases() {
        assert_eq!(draw(1, &["a", "b"]), draw(1, &["a", "b"]));
        assert_ne!(draw(1, &["ab", "c"]), draw(1, &["a", "bc"]));
        assert_eq!(draw(0, &["trace-1", "openai/gpt-5"]), 9_356_905_115_807_721_941);
    }

    #[test]
    fn units_are_spread_evenly() {
        let mut tenths = [0u32; 10];
        for n in 0..100_000u32 {
            let at = unit(draw(u64::from(n), &["x"])) * 10.0;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let at = at as usize;
            tenths[at] += 1;
        }
        assert!(tenths.iter().all(|n| (9_600..=10_400).contains(n)), "{tenths:?}");
    }
}
