//! Where prompt caching breaks: at most four places a request.

use headworks_core::{CacheMark, Target};

use super::request::Block;

/// Breakpoints a request may hold (Anthropic, "Prompt caching").
pub(super) const MOST: usize = 4;
/// The minimum assumed of a model whose own is unknown, tokens.
const UNKNOWN_MINIMUM: i64 = 4096;

/// A lower estimate of tokens: one for every 6 bytes. English runs at about 4
/// bytes a token and JSON at less; only long repetitions run above 6.
fn least_tokens(bytes: usize) -> i64 {
    i64::try_from(bytes / 6).unwrap_or(i64::MAX)
}

/// The prompt in the order in which Anthropic caches it.
pub(super) struct Prompt<'a> {
    /// Bytes of each tool.
    pub tools: Vec<usize>,
    /// System blocks.
    pub system: &'a mut Vec<Block>,
    /// The blocks of each turn.
    pub turns: &'a mut Vec<Vec<Block>>,
}

/// Whether the client marked anything itself.
pub(super) fn marked(prompt: &Prompt<'_>, tools: &[CacheMark]) -> bool {
    tools.iter().any(|mark| *mark != CacheMark::None) || prompt.system.iter().chain(prompt.turns.iter().flatten()).any(|block| block.cache != CacheMark::None)
}

/// Keeps the client's own marks, the last four where there are more: a later mark
/// covers everything before it, so dropping the earliest loses least.
pub(super) fn clamp(prompt: &mut Prompt<'_>, tools: &mut [CacheMark]) -> bool {
    let mut marks: Vec<&mut CacheMark> = tools.iter_mut().filter(|mark| **mark != CacheMark::None).collect();
    marks.extend(prompt.system.iter_mut().map(|b| &mut b.cache).filter(|mark| **mark != CacheMark::None));
    marks.extend(prompt.turns.iter_mut().flatten().map(|b| &mut b.cache).filter(|mark| **mark != CacheMark::None));
    let over = marks.len().saturating_sub(MOST);
    marks.into_iter().take(over).for_each(|mark| *mark = CacheMark::None);
    over > 0
}

/// Places breakpoints at the ends of the largest stable blocks: the tools, the
/// system prompt, the turn before the last, the last turn. None where the prompt
/// up to there is below the model's minimum by the lower estimate.
pub(super) fn place(target: &Target, prompt: &mut Prompt<'_>, tools: &mut [CacheMark], ttl: CacheMark) {
    let mark = if ttl == CacheMark::None { CacheMark::Default } else { ttl };
    let minimum = target.model.as_ref().and_then(|m| m.cache_min_tokens).unwrap_or(UNKNOWN_MINIMUM);
    let tool_bytes: usize = prompt.tools.iter().sum();
    let system_bytes: usize = prompt.system.iter().map(|b| b.bytes).sum();
    let mut so_far = tool_bytes;
    if let (Some(last), true) = (tools.last_mut(), least_tokens(so_far) >= minimum) {
        *last = mark;
    }
    so_far += system_bytes;
    if let (Some(last), true) = (prompt.system.last_mut(), least_tokens(so_far) >= minimum) {
        last.cache = mark;
    }
    let count = prompt.turns.len();
    for (at, turn) in prompt.turns.iter_mut().enumerate() {
        so_far += turn.iter().map(|b| b.bytes).sum::<usize>();
        let stable = at + 1 == count || at + 2 == count;
        if let (Some(last), true) = (turn.iter_mut().rev().find(|b| b.markable), stable && least_tokens(so_far) >= minimum) {
            last.cache = mark;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn block(bytes: usize) -> Block {
        Block { json: String::new(), bytes, cache: CacheMark::None, markable: true }
    }

    fn run(minimum: Option<i64>, tools: usize, system: usize, turns: &[usize]) -> (usize, usize, usize) {
        let target = crate::testing::target("anthropic", "claude", |m| m.cache_min_tokens = minimum);
        let mut system = if system > 0 { vec![block(system)] } else { vec![] };
        let mut turns: Vec<Vec<Block>> = turns.iter().map(|n| vec![block(*n)]).collect();
        let mut marks = vec![CacheMark::None; usize::from(tools > 0)];
        let mut prompt = Prompt { tools: vec![tools; marks.len()], system: &mut system, turns: &mut turns };
        place(&target, &mut prompt, &mut marks, CacheMark::None);
        let count = |marks: Vec<CacheMark>| marks.iter().filter(|m| **m != CacheMark::None).count();
        (count(marks), count(system.iter().map(|b| b.cache).collect()), count(turns.iter().flatten().map(|b| b.cache).collect()))
    }

    #[test]
    fn t10_auto_cache_marks_large_stable_blocks_and_never_a_fifth() {
        assert_eq!(run(Some(1024), 0, 0, &[100]), (0, 0, 0), "too small");
        assert_eq!(run(Some(1024), 0, 6 * 1024, &[100]), (0, 1, 1));
        assert_eq!(run(Some(1024), 6 * 1024, 6 * 1024, &[9000, 9000, 9000, 9000]), (1, 1, 2), "four at the most");
        assert_eq!(run(None, 0, 6 * 4095, &[1]), (0, 0, 0), "an unknown minimum is 4096");
        assert_eq!(run(None, 0, 6 * 4096, &[1]), (0, 1, 1));
    }

    #[test]
    fn t10_more_than_four_marks_keep_the_last_four() {
        let mut system: Vec<Block> = (0..3).map(|_| Block { cache: CacheMark::OneHour, ..block(1) }).collect();
        let mut turns = vec![(0..3).map(|_| Block { cache: CacheMark::Default, ..block(1) }).collect::<Vec<_>>()];
        let mut prompt = Prompt { tools: vec![], system: &mut system, turns: &mut turns };
        assert!(clamp(&mut prompt, &mut []));
        assert_eq!(system.iter().map(|b| b.cache).collect::<Vec<_>>(), [CacheMark::None, CacheMark::None, CacheMark::OneHour]);
        assert!(turns[0].iter().all(|b| b.cache == CacheMark::Default));
    }
}
