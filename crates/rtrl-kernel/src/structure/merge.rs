//! Reaches that are cheaper together.

use std::cmp::Ordering;

use super::{Pattern, Reach};

/// Merges reaches where that lowers the sum of their costs, as `cost` counts them. A row stays
/// exact in a block with more states than it reaches; the sensitivities there are 0.
///
/// One reach after the other, in the order of `reaches`, joins that of the ones before it with
/// which it saves most, or none.
pub fn merge(reaches: Vec<Reach>, pattern: &Pattern, cost: impl Fn(&Reach) -> u128) -> Vec<Reach> {
    let mut merged: Vec<(Reach, u128)> = Vec::with_capacity(reaches.len());
    for reach in reaches {
        let alone = cost(&reach);
        let mut best: Option<(usize, Reach, u128, u128)> = None;
        for (place, (other, others)) in merged.iter().enumerate() {
            let most = best.as_ref().map_or(0, |(.., most)| *most);
            let saved = |together: u128| (others + alone).saturating_sub(together);
            let mut both = union(other, &reach);
            // Counting entries takes longest. There are no fewer than in either.
            if saved(cost(&both)) <= most {
                continue;
            }
            if ![other, &reach].iter().any(|part| part.states.len() == both.states.len()) {
                both.entries = pattern.entries_between(&both.states);
            }
            let together = cost(&both);
            if saved(together) > most {
                best = Some((place, both, together, saved(together)));
            }
        }
        match best {
            Some((place, both, together, _)) => merged[place] = (both, together),
            None => merged.push((reach, alone)),
        }
    }
    merged.into_iter().map(|(reach, _)| reach).collect()
}

/// The rows of both in all of their states. The number of entries is the larger one of both, which
/// is right if one has all states of the other.
fn union(a: &Reach, b: &Reach) -> Reach {
    let (states, rows) = (merged(&a.states, &b.states), merged(&a.rows, &b.rows));
    let (weights, entries) = (a.weights + b.weights, a.entries.max(b.entries));
    Reach { states, rows, weights, entries, diagonal: false }
}

/// Two ascending lists as one, without repetitions.
fn merged(mut a: &[u32], mut b: &[u32]) -> Vec<u32> {
    let mut list = Vec::with_capacity(a.len() + b.len());
    while let (Some((&first, rest)), Some((&other, behind))) = (a.split_first(), b.split_first()) {
        list.push(first.min(other));
        match first.cmp(&other) {
            Ordering::Less => a = rest,
            Ordering::Greater => b = behind,
            Ordering::Equal => (a, b) = (rest, behind),
        }
    }
    list.extend(a.iter().chain(b));
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;
    use crate::structure::reaches;

    #[test]
    fn reaches_are_merged_where_that_is_cheaper() {
        // A circle of 0 to 2 with three units that lead into it, one of them through another.
        let rows = vec![vec![2, 3, 5], vec![0], vec![1], vec![], vec![], vec![4]];
        let pattern = Pattern::new(rows).unwrap();
        let reaches = reaches(&Layout::simple(6, 2).unwrap(), &[true; 12], &pattern).unwrap();
        assert_eq!(reaches.len(), 4);
        let cost =
            |overhead| move |reach: &Reach| overhead + (reach.entries * reach.weights) as u128;
        assert_eq!(merge(reaches.clone(), &pattern, cost(0)), reaches);
        let one = merge(reaches.clone(), &pattern, cost(1000));
        let (states, rows) = (&one[0].states, &one[0].rows);
        assert_eq!(
            (one.len(), states.as_slice(), rows.as_slice()),
            (1, &[0, 1, 2, 3, 4, 5][..], &[0, 1, 2, 3, 4, 5][..])
        );
        assert_eq!((one[0].weights, one[0].entries), (12, 6));
        let some = merge(reaches, &pattern, cost(10));
        assert_eq!(some.iter().map(|reach| reach.rows.len()).collect::<Vec<_>>(), [4, 2]);
    }
}
