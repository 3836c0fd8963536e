//! Order by weight: a race in which each target's time is drawn from its weight. The first is first with the
//! probability that its weight has in the sum; without it, the others share its weight in proportion; and a
//! trace or user whose target stays well keeps it, whatever befalls the rest.

use crate::mix;

/// The places of `entrants` (name and weight), first to last. Those of weight 0 do not run.
/// `seed` belongs to the trace, the user or the dice.
pub(crate) fn race<'a>(policy: &str, seed: u64, entrants: impl Iterator<Item = (&'a str, u32)>) -> Vec<usize> {
    let mut times: Vec<(f64, usize)> = entrants
        .enumerate()
        .filter(|(_, (_, weight))| *weight > 0)
        .map(|(at, (name, weight))| (-mix::unit(mix::draw(seed, &[policy, name])).ln() / f64::from(weight), at))
        .collect();
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    times.into_iter().map(|(_, at)| at).collect()
}

/// What the race is drawn from: the trace, else the user, else the dice.
pub(crate) fn seed(trace_id: Option<&str>, user_id: Option<&str>, dice: u64) -> u64 {
    match (trace_id, user_id) {
        (Some(trace), _) => mix::draw(1, &[trace]),
        (None, Some(user)) => mix::draw(2, &[user]),
        (None, None) => dice,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const FIELD: [(&str, u32); 4] = [("a/x", 70), ("b/y", 20), ("c/z", 10), ("d/w", 0)];

    fn first(seed: u64, without: &str) -> usize {
        race("p", seed, FIELD.into_iter())[..].iter().copied().find(|at| FIELD[*at].0 != without).unwrap()
    }

    /// Chi-squared of what was drawn against what weights say. 13.8: one in a thousand with two degrees of freedom.
    fn chi(drawn: &[f64], weights: &[f64]) -> f64 {
        let (n, sum): (f64, f64) = (drawn.iter().sum(), weights.iter().sum());
        drawn.iter().zip(weights).map(|(got, w)| (got - n * w / sum).powi(2) / (n * w / sum)).sum()
    }

    #[test]
    fn weights_hold_within_statistical_bounds() {
        let mut drawn = [0.0; 4];
        for n in 0..100_000u32 {
            drawn[first(seed(Some(&format!("trace-{n}")), None, 0), "")] += 1.0;
        }
        assert_eq!(drawn[3], 0.0, "weight 0 is never drawn");
        assert!(chi(&drawn[..3], &[70.0, 20.0, 10.0]) < 13.8, "{drawn:?}");
    }

    #[test]
    fn a_missing_target_gives_its_weight_to_the_others_and_moves_nobody_else() {
        let mut drawn = [0.0; 4];
        for n in 0..100_000u64 {
            let seed = seed(None, None, n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let (all, rest) = (first(seed, ""), first(seed, "a/x"));
            assert!(all == 0 || all == rest, "who was not at the missing target stays");
            drawn[rest] += 1.0;
        }
        assert!(chi(&drawn[1..3], &[20.0, 10.0]) < 10.8, "{drawn:?}");
    }

    #[test]
    fn traces_come_before_users_and_users_before_dice() {
        assert_eq!(seed(Some("t"), Some("u"), 1), seed(Some("t"), Some("v"), 2));
        assert_eq!(seed(None, Some("u"), 1), seed(None, Some("u"), 2));
        assert_ne!(seed(None, Some("t"), 1), seed(Some("t"), None, 1));
        assert_ne!(seed(None, None, 1), seed(None, None, 2));
    }
}
