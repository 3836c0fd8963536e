//! Order by speed, with some calls spent on learning.

use crate::{Goal, Pace, mix};

/// One entrant: its pace, and whether it is well.
pub(crate) struct Entrant {
    pub pace: Pace,
    pub well: bool,
}

/// The places of the entrants, first to last, and the one that is tried to learn its speed, if any.
/// Known ones come by their time for an answer of `tokens`, unknown ones after them as listed; but a share
/// `explore` (millionths) of calls begins with an unknown one that is well, and all do while nothing is known.
pub(crate) fn order(entrants: &[Entrant], goal: Goal, tokens: i64, explore: u32, dice: u64) -> (Vec<usize>, Option<usize>) {
    let seconds: Vec<Option<f64>> = entrants.iter().map(|e| e.pace.seconds(goal, tokens)).collect();
    let time = |at: usize| seconds.get(at).copied().flatten().unwrap_or(f64::INFINITY);
    let mut places: Vec<usize> = (0..entrants.len()).collect();
    places.sort_by(|a, b| time(*a).total_cmp(&time(*b)));
    let unseen: Vec<usize> = entrants.iter().enumerate().filter(|(at, e)| e.well && time(*at) == f64::INFINITY).map(|(at, _)| at).collect();
    let known = entrants.iter().enumerate().any(|(at, e)| e.well && time(at) < f64::INFINITY);
    if unseen.is_empty() || (known && mix::draw(dice, &["explore"]) % 1_000_000 >= u64::from(explore)) {
        return (places, None);
    }
    let count = unseen.len() as u64;
    let chosen = usize::try_from(mix::draw(dice, &["which"]) % count).ok().and_then(|at| unseen.get(at)).copied();
    if let Some(chosen) = chosen {
        places.retain(|at| *at != chosen);
        places.insert(0, chosen);
    }
    (places, chosen)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn pace(first_ms: u64, per_token_ms: f64) -> Pace {
        Pace { first_token: Some(Duration::from_millis(first_ms)), seconds_per_token: Some(per_token_ms / 1000.0) }
    }

    fn run(paces: &[Pace], goal: Goal, tokens: i64, explore: u32, dice: u64) -> Vec<usize> {
        let entrants: Vec<Entrant> = paces.iter().map(|pace| Entrant { pace: *pace, well: true }).collect();
        order(&entrants, goal, tokens, explore, dice).0
    }

    #[test]
    fn the_fastest_depends_on_what_is_asked() {
        let field = [pace(100, 50.0), pace(900, 5.0), pace(500, 20.0)];
        for (goal, tokens, wanted) in
            [(Goal::FirstToken, 500, [0, 2, 1]), (Goal::Throughput, 500, [1, 2, 0]), (Goal::Whole, 500, [1, 2, 0]), (Goal::Whole, 2, [0, 2, 1])]
        {
            assert_eq!(run(&field, goal, tokens, 0, 7), wanted, "{goal:?} {tokens}");
        }
    }

    #[test]
    fn unseen_targets_are_explored_in_their_share_and_come_last_otherwise() {
        let field = [pace(100, 50.0), Pace::default(), pace(50, 5.0), Pace::default()];
        let mut firsts = [0u32; 4];
        for dice in 0..20_000 {
            let order = run(&field, Goal::Whole, 100, 100_000, dice);
            firsts[order[0]] += 1;
            if order[0] == 2 {
                assert_eq!(order, [2, 0, 1, 3]);
            }
        }
        assert_eq!(firsts[0], 0);
        assert!((850..=1150).contains(&firsts[1]) && (850..=1150).contains(&firsts[3]), "a tenth, shared: {firsts:?}");
        assert_eq!(run(&field, Goal::Whole, 100, 0, 3)[0], 2, "no exploring where none is wanted");
        let unknown = (0..2_000).map(|dice| run(&[Pace::default(); 2], Goal::Whole, 1, 0, dice)[0]).filter(|at| *at == 0).count();
        assert!((850..=1150).contains(&unknown), "with nothing known, all take turns: {unknown}");
    }

    #[test]
    fn a_resting_target_is_not_explored() {
        let entrants = [Entrant { pace: pace(1, 1.0), well: true }, Entrant { pace: Pace::default(), well: false }];
        assert!((0..100).all(|dice| order(&entrants, Goal::Whole, 1, 1_000_000, dice).0[0] == 0));
    }
}
