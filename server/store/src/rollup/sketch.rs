//! Percentiles that can be added up: counts in buckets whose width grows with their value, as in DDSketch
//! (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", 2019).

use bytes::Bytes;
use prost::encoding::{decode_varint, encode_varint};

/// A value is told apart from its bucket's middle by at most this share.
const ERROR: f64 = 0.009;
/// Buckets of all numbers that 64 bits can hold.
const BUCKETS: i64 = 2_500;

fn base() -> f64 {
    ((1.0 + ERROR) / (1.0 - ERROR)).ln()
}

/// Counts of positive whole numbers, by magnitude.
#[derive(Clone, Debug, Default)]
pub struct Sketch {
    /// The bucket of the first count.
    first: i64,
    counts: Vec<u64>,
    count: u64,
}

impl PartialEq for Sketch {
    fn eq(&self, other: &Self) -> bool {
        self.buckets().eq(other.buckets())
    }
}

impl Eq for Sketch {}

impl Sketch {
    fn buckets(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        (self.first..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    fn put(&mut self, bucket: i64, count: u64) {
        let bucket = bucket.clamp(0, BUCKETS);
        if self.counts.is_empty() {
            self.first = bucket;
        }
        if bucket < self.first {
            // Room for more below, so that values which come in descending order do not move all others each time.
            let room = i64::try_from(self.counts.len() / 2).unwrap_or(0).min(bucket);
            let missing = usize::try_from(self.first - (bucket - room)).unwrap_or(0);
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = bucket - room;
        }
        let at = usize::try_from(bucket - self.first).unwrap_or(0);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        if let Some(slot) = self.counts.get_mut(at) {
            *slot += count;
        }
        self.count += count;
    }

    /// Counts a value; what is below 1 counts as 1.
    pub fn add(&mut self, value: i64) {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
        let bucket = ((value.max(1) as f64).ln() / base()).ceil() as i64;
        self.put(bucket, 1);
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Sketch) {
        other.buckets().for_each(|(bucket, count)| self.put(bucket, count));
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value below which the share `q` (0 to 1) of the values lies, within one per cent; `None` where nothing was counted.
    pub fn quantile(&self, q: f64) -> Option<i64> {
        let last = self.count.checked_sub(1)?;
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rank = (q.clamp(0.0, 1.0) * last as f64).round() as u64;
        let mut seen = 0;
        let found = self.buckets().find(|(_, count)| {
            seen += count;
            seen > rank
        });
        found.map(|(bucket, _)| middle(bucket))
    }

    /// The sketch as bytes: for each bucket the step from the last one and its count, as varints.
    pub fn packed(&self) -> Bytes {
        let mut last = 0;
        let mut out = Vec::new();
        for (bucket, count) in self.buckets() {
            encode_varint((bucket - last).cast_unsigned(), &mut out);
            encode_varint(count, &mut out);
            last = bucket;
        }
        out.into()
    }

    /// Reads what [`Sketch::packed`] gave, and adds it. Stops where the bytes are not such.
    pub fn merge_packed(&mut self, mut packed: &[u8]) {
        let mut bucket = 0i64;
        while let (Ok(step), Ok(count)) = (decode_varint(&mut packed), decode_varint(&mut packed)) {
            bucket = bucket.saturating_add(step.cast_signed());
            self.put(bucket, count);
        }
    }
}

/// The value that stands for a bucket: as far, by ratio, from its lower as from its upper edge.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn middle(bucket: i64) -> i64 {
    let upper = (bucket as f64 * base()).exp();
    let value = (upper * (1.0 - ERROR)).round() as i64;
    value.max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn exact(values: &[i64], q: f64) -> i64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        sorted[(q * (sorted.len() - 1) as f64).round() as usize]
    }

    proptest! {
        #[test]
        fn percentiles_are_within_one_per_cent_and_merging_changes_nothing(
            values in proptest::collection::vec(1i64..600_000_000_000, 1..400), cut in 0usize..400, q in 0.0f64..=1.0,
        ) {
            let cut = cut.min(values.len());
            let (mut left, mut right, mut whole) = (Sketch::default(), Sketch::default(), Sketch::default());
            values[..cut].iter().for_each(|v| left.add(*v));
            values[cut..].iter().for_each(|v| right.add(*v));
            values.iter().for_each(|v| whole.add(*v));
            left.merge(&right);
            prop_assert_eq!(&left, &whole);
            let mut back = Sketch::default();
            back.merge_packed(&whole.packed());
            prop_assert_eq!(&back, &whole);
            let (found, truth) = (whole.quantile(q).unwrap(), exact(&values, q));
            // One more than a per cent of small numbers: they are whole.
            prop_assert!((found - truth).abs() as f64 <= truth as f64 * 0.01 + 1.0, "{} for {}", found, truth);
        }
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
    }
}
