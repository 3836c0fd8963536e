//! Puts cache marks on blocks, by the rule that all providers share.

use headworks_core::{CacheMark, Target};

use super::request::Block;
use crate::cache;

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

/// Keeps the client's own marks, the last four where there are more.
pub(super) fn clamp(prompt: &mut Prompt<'_>, tools: &mut [CacheMark]) -> bool {
    let blocks = prompt.system.iter_mut().chain(prompt.turns.iter_mut().flatten()).map(|block| &mut block.cache);
    cache::keep_last(tools.iter_mut().chain(blocks))
}

/// Places breakpoints where the shared rule wants them.
pub(super) fn place(target: &Target, prompt: &mut Prompt<'_>, tools: &mut [CacheMark], ttl: CacheMark) {
    let mark = if ttl == CacheMark::None { CacheMark::Default } else { ttl };
    let sizes: Vec<usize> = prompt.turns.iter().map(|turn| turn.iter().map(|b| b.bytes).sum()).collect();
    let places = cache::places(target, prompt.tools.iter().sum(), prompt.system.iter().map(|b| b.bytes).sum(), &sizes);
    if let (Some(last), true) = (tools.last_mut(), places.tools) {
        *last = mark;
    }
    if let (Some(last), true) = (prompt.system.last_mut(), places.system) {
        last.cache = mark;
    }
    for at in places.turns {
        if let Some(last) = prompt.turns.get_mut(at).and_then(|turn| turn.iter_mut().rev().find(|b| b.markable)) {
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
