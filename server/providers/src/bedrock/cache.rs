//! Cache points: blocks of their own, after what is to be cached.

use headworks_core::{CacheKind, CacheMark, Target};

use super::{
    model::{Family, family},
    turns::Block,
};
use crate::cache::{MOST, keep_last, places};

/// What a target's cache can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caching {
    /// Cache points are taken at all.
    points: bool,
    /// Also after tools: not by Nova.
    tools: bool,
    /// With a lifetime: by Claude alone.
    ttl: bool,
}

/// Claude and Nova have cache points (Bedrock, "Prompt caching"); other models refuse them.
pub(super) fn caching(target: &Target) -> Caching {
    let family = family(&target.upstream_name);
    let kind = target.model.as_ref().map_or(CacheKind::Unknown, |m| m.capabilities.caching);
    let points = match kind {
        CacheKind::Explicit => true,
        CacheKind::None | CacheKind::Automatic => false,
        CacheKind::Unknown => matches!(family, Family::Claude | Family::Nova),
    };
    Caching { points, tools: points && family != Family::Nova, ttl: family == Family::Claude }
}

impl Caching {
    /// Keeps the client's marks, the last four; or, where it set none and `auto` asks for it, places them.
    /// True where some of the client's were dropped.
    pub(super) fn settle(self, target: &Target, auto: Option<CacheMark>, tools: &mut [Block], system: &mut [Block], turns: &mut [Vec<Block>]) -> bool {
        if !self.points {
            tools.iter_mut().chain(&mut *system).chain(turns.iter_mut().flatten()).for_each(|block| block.cache = CacheMark::None);
            return false;
        }
        if !self.tools {
            tools.iter_mut().for_each(|tool| tool.cache = CacheMark::None);
        }
        let marked = |blocks: &[Block]| blocks.iter().any(|block| block.cache != CacheMark::None);
        if marked(tools) || marked(system) || turns.iter().any(|turn| marked(turn)) {
            return keep_last(tools.iter_mut().chain(system).chain(turns.iter_mut().flatten()).map(|block| &mut block.cache));
        }
        let Some(mark) = auto else { return false };
        let mark = if mark == CacheMark::None { CacheMark::Default } else { mark };
        let bytes = |blocks: &[Block]| blocks.iter().map(|block| block.bytes).sum::<usize>();
        let sizes: Vec<usize> = turns.iter().map(|turn| bytes(turn)).collect();
        let found = places(target, bytes(tools), bytes(system), &sizes);
        debug_assert!(found.count() <= MOST);
        if let (true, Some(last)) = (found.tools && self.tools, tools.last_mut()) {
            last.cache = mark;
        }
        if let (true, Some(last)) = (found.system, system.last_mut()) {
            last.cache = mark;
        }
        for at in found.turns {
            if let Some(last) = turns.get_mut(at).and_then(|turn| turn.iter_mut().rev().find(|block| block.markable)) {
                last.cache = mark;
            }
        }
        false
    }

    /// The cache point of a mark.
    pub(super) fn point(self, mark: CacheMark) -> Option<&'static str> {
        match mark {
            CacheMark::None => None,
            CacheMark::OneHour if self.ttl => Some(r#"{"cachePoint":{"type":"default","ttl":"1h"}}"#),
            CacheMark::FiveMinutes if self.ttl => Some(r#"{"cachePoint":{"type":"default","ttl":"5m"}}"#),
            CacheMark::Default | CacheMark::FiveMinutes | CacheMark::OneHour => Some(r#"{"cachePoint":{"type":"default"}}"#),
        }
    }

    /// A lifetime was asked for that this target's cache has not.
    pub(super) fn loses(self, mark: CacheMark) -> bool {
        self.points && !self.ttl && mark == CacheMark::OneHour
    }
}
