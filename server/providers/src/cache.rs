//! Where prompt caching breaks: one rule for every provider whose cache has to
//! be asked for at a place in the prompt (Anthropic anywhere, Bedrock's cache points).
//!
//! Gemini's `cachedContents` are not made here. Every Gemini model in use caches by
//! itself and reads its own cache at the price of a made one, which costs storage by
//! the hour beside (Google, "Context caching"): one pays nowhere. A test holds the
//! catalogue to this. A cache that a client made itself is used:
//! `extra_body.google.cached_content`, as in Google's documents.

use headworks_core::{CacheKind, CacheMark, Target};

/// Breakpoints a request may hold (Anthropic, "Prompt caching"; Amazon Bedrock, "Prompt caching").
pub const MOST: usize = 4;

/// The minimum assumed of a model whose own is unknown, tokens.
const UNKNOWN_MINIMUM: i64 = 4096;

/// A lower estimate of tokens: one for every 6 bytes. English runs at about 4
/// bytes a token and JSON at less; only long repetitions run above 6.
pub fn least_tokens(bytes: usize) -> i64 {
    i64::try_from(bytes / 6).unwrap_or(i64::MAX)
}

/// Where breakpoints go, in the order in which the prompt is cached: tools, system, turns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// After the last tool.
    pub tools: bool,
    /// After the last system block.
    pub system: bool,
    /// After the last block of these turns.
    pub turns: Vec<usize>,
}

impl Places {
    /// How many there are; never above [`MOST`].
    pub fn count(&self) -> usize {
        usize::from(self.tools) + usize::from(self.system) + self.turns.len()
    }
}

/// Places breakpoints at the ends of the largest stable blocks: the tools, the
/// system prompt, the turn before the last, the last turn. None where the prompt
/// up to there is below the target's minimum by the lower estimate, and none for
/// a model that is known not to cache. Sizes are bytes as they are sent.
pub fn places(target: &Target, tools: usize, system: usize, turns: &[usize]) -> Places {
    let model = target.model.as_deref();
    if model.is_some_and(|m| m.capabilities.caching == CacheKind::None) {
        return Places::default();
    }
    let minimum = model.and_then(|m| m.cache_min_tokens).unwrap_or(UNKNOWN_MINIMUM);
    let mut so_far = tools;
    let mut found = Places { tools: tools > 0 && least_tokens(so_far) >= minimum, ..Places::default() };
    so_far += system;
    found.system = system > 0 && least_tokens(so_far) >= minimum;
    for (at, bytes) in turns.iter().enumerate() {
        so_far += bytes;
        let stable = at + 2 >= turns.len();
        if stable && least_tokens(so_far) >= minimum {
            found.turns.push(at);
        }
    }
    found
}

/// Keeps a client's own marks, the last four where there are more: a later mark
/// covers everything before it, so dropping the earliest loses least. True where some were dropped.
pub fn keep_last<'a>(marks: impl Iterator<Item = &'a mut CacheMark>) -> bool {
    let marks: Vec<&mut CacheMark> = marks.filter(|mark| **mark != CacheMark::None).collect();
    let over = marks.len().saturating_sub(MOST);
    marks.into_iter().take(over).for_each(|mark| *mark = CacheMark::None);
    over > 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn t10_breakpoints_stand_after_large_stable_blocks() {
        let at = |minimum, tools, system, turns: &[usize]| {
            let found = places(&crate::testing::target("anthropic", "claude", |m| m.cache_min_tokens = minimum), tools, system, turns);
            assert!(found.count() <= MOST);
            (found.tools, found.system, found.turns)
        };
        assert_eq!(at(Some(1024), 0, 0, &[100]), (false, false, vec![]), "too small");
        assert_eq!(at(Some(1024), 0, 6 * 1024, &[100]), (false, true, vec![0]));
        assert_eq!(at(Some(1024), 6 * 1024, 6 * 1024, &[9000; 5]), (true, true, vec![3, 4]), "four at the most");
        assert_eq!(at(Some(1024), 100, 0, &[9000, 9000]), (false, false, vec![0, 1]), "what is not there is not marked");
        assert_eq!(at(None, 0, 6 * 4095, &[1]), (false, false, vec![]), "an unknown minimum is 4096");
        let none = crate::testing::target("anthropic", "claude", |m| m.capabilities.caching = CacheKind::None);
        assert_eq!(places(&none, 90_000, 90_000, &[90_000]), Places::default(), "a model without a cache gets no marks");
    }

    #[test]
    fn t10_more_than_four_marks_keep_the_last_four() {
        let mut marks = [CacheMark::OneHour, CacheMark::None, CacheMark::Default, CacheMark::Default, CacheMark::Default, CacheMark::FiveMinutes];
        assert!(keep_last(marks.iter_mut()));
        assert_eq!(marks[..3], [CacheMark::None, CacheMark::None, CacheMark::Default]);
        assert!(!keep_last(marks.iter_mut()));
    }
}
