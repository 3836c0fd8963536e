//! Who holds the cache of which prompt: bounded, and forgotten with the provider's cache.

use std::{collections::HashMap, time::Duration};

use headworks_core::ModelId;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Shards, so that calls do not wait for each other.
const SHARDS: usize = 16;

/// Prefixes and their targets, in two generations: when the young one is full it becomes the old one, whose
/// entries are gone unless they were used meanwhile.
#[derive(Debug)]
pub struct Homes {
    shards: [Mutex<Shard>; SHARDS],
    /// Entries of one generation of one shard.
    most: usize,
}

#[derive(Debug, Default)]
struct Shard {
    young: HashMap<u64, Home>,
    old: HashMap<u64, Home>,
}

#[derive(Clone, Debug)]
struct Home {
    target: ModelId,
    until: Instant,
}

impl Homes {
    /// Room for about so many prefixes.
    pub fn new(entries: usize) -> Self {
        Self { shards: Default::default(), most: entries.div_ceil(2 * SHARDS) }
    }

    fn shard(&self, prefix: u64) -> &Mutex<Shard> {
        // The number is well mixed already.
        #[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]
        &self.shards[prefix as usize % SHARDS]
    }

    /// Who holds the longest of these prefixes (shortest first), while its cache lives.
    pub fn find(&self, prefixes: &[u64]) -> Option<ModelId> {
        let now = Instant::now();
        prefixes.iter().rev().find_map(|prefix| {
            let shard = self.shard(*prefix).lock();
            let home = shard.young.get(prefix).or_else(|| shard.old.get(prefix)).filter(|home| home.until > now)?;
            Some(home.target.clone())
        })
    }

    /// A target read these prefixes; its cache lives this long from now.
    pub fn stay(&self, prefixes: &[u64], target: &ModelId, lifetime: Duration) {
        if lifetime == Duration::ZERO || self.most == 0 {
            return;
        }
        let home = Home { target: target.clone(), until: Instant::now() + lifetime };
        for prefix in prefixes {
            let mut shard = self.shard(*prefix).lock();
            if shard.young.len() >= self.most && !shard.young.contains_key(prefix) {
                shard.old = std::mem::take(&mut shard.young);
            }
            shard.young.insert(*prefix, home.clone());
        }
    }

    /// Prefixes kept now.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock()).map(|shard| shard.young.len() + shard.old.len()).sum()
    }

    /// True when none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const FIVE: Duration = Duration::from_secs(300);

    #[tokio::test(start_paused = true)]
    async fn the_longest_prefix_decides_until_its_cache_is_gone() {
        let (homes, a, b) = (Homes::new(1000), ModelId::new("a", "x"), ModelId::new("b", "y"));
        homes.stay(&[1, 2], &a, FIVE);
        homes.stay(&[1, 3], &b, FIVE);
        assert_eq!(homes.find(&[1, 2, 9]), Some(a.clone()));
        assert_eq!(homes.find(&[1, 3]), Some(b.clone()));
        assert_eq!(homes.find(&[1]), Some(b), "the last to read it");
        assert_eq!(homes.find(&[7, 8]), None);
        advance(FIVE / 2).await;
        homes.stay(&[2], &a, FIVE);
        advance(FIVE / 2).await;
        assert_eq!((homes.find(&[2]), homes.find(&[3])), (Some(a.clone()), None), "use keeps it alive");
        homes.stay(&[5], &a, Duration::ZERO);
        assert_eq!(homes.find(&[5]), None);
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let (homes, a) = (Homes::new(1_600), ModelId::new("a", "x"));
        for n in 0..100_000u64 {
            homes.stay(&[n, u64::MAX], &a, FIVE);
        }
        assert!(homes.len() <= 1_600, "{}", homes.len());
        assert!(homes.find(&[u64::MAX]).is_some() && homes.find(&[99_999]).is_some() && homes.find(&[0]).is_none());
    }
}
