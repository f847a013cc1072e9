//! Reaches that are cheaper together.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::{Extent, Pattern, Reach};

/// Merges reaches where that lowers the sum of their costs, as `cost` counts them. A row stays
/// exact in a block with more states than it reaches; the sensitivities there are 0.
///
/// One reach after the other, in the order of `reaches`, joins that of the ones before it with
/// which it saves most, or none. Where several save the same, it joins the first.
pub fn merge(reaches: Vec<Reach>, pattern: &Pattern, cost: impl Fn(Extent) -> u128) -> Vec<Reach> {
    let mut merged = Merged::default();
    for reach in reaches {
        let alone = cost(reach.extent());
        let common = merged.common(&reach);
        let mut best: Option<(usize, u128, Option<Reach>)> = None;
        for &place in &common {
            let (other, others) = &merged.list[place];
            let saved = |both: &Reach| (others + alone).saturating_sub(cost(both.extent()));
            let most = best.as_ref().map_or(0, |(_, most, _)| *most);
            let mut both = union(other, &reach);
            // Counting entries takes longest. There are no fewer than in either.
            if saved(&both) <= most {
                continue;
            }
            if ![other, &reach].iter().any(|part| part.states.len() == both.states.len()) {
                both.entries = pattern.entries_between(&both.states);
            }
            let saved = saved(&both);
            if saved > most {
                best = Some((place, saved, Some(both)));
            }
        }
        for (extent, others, place) in merged.apart(&common) {
            let saved = (others + alone).saturating_sub(cost(extent.and(reach.extent())));
            let is_better = match &best {
                Some((first, most, _)) => saved > *most || saved == *most && place < *first,
                None => saved > 0,
            };
            if is_better {
                best = Some((place, saved, None));
            }
        }
        if let Some((place, _, both)) = best {
            let other = &merged.list[place].0;
            let both = both.unwrap_or_else(|| {
                let Extent { entries, .. } = other.extent().and(reach.extent());
                Reach { entries, ..union(other, &reach) }
            });
            let together = cost(both.extent());
            merged.replace(place, both, together);
        } else {
            merged.push(reach, alone);
        }
    }
    merged.list.into_iter().map(|(reach, _)| reach).collect()
}

/// Reaches that have been merged, so far.
#[derive(Default)]
struct Merged {
    /// The reaches and their costs.
    list: Vec<(Reach, u128)>,
    /// The cost and the places of those of the same extent.
    alike: BTreeMap<Extent, (u128, BTreeSet<usize>)>,
    /// For each state, the places of those that have it.
    having: Vec<Vec<usize>>,
}

impl Merged {
    /// The places of the reaches that have a state of `reach`, ascending.
    fn common(&self, reach: &Reach) -> Vec<usize> {
        let (mut found, mut missing) = (vec![false; self.list.len()], self.list.len());
        for places in reach.states.iter().filter_map(|&state| self.having.get(state as usize)) {
            for &place in places {
                missing -= usize::from(!std::mem::replace(&mut found[place], true));
            }
            if missing == 0 {
                break;
            }
        }
        (0..found.len()).filter(|&place| found[place]).collect()
    }

    /// The extents of the other reaches, with their cost and the first place of each. Because
    /// reaches are closed, no entry of the Jacobian leads from one of these to `reach`, or back.
    fn apart(&self, common: &[usize]) -> impl Iterator<Item = (Extent, u128, usize)> {
        self.alike.iter().filter_map(move |(&extent, (cost, places))| {
            let mut places = places.iter().filter(|place| common.binary_search(place).is_err());
            Some((extent, *cost, *places.next()?))
        })
    }

    fn push(&mut self, reach: Reach, cost: u128) {
        self.list.push((Reach { states: vec![], rows: vec![], ..reach }, 0));
        self.replace(self.list.len() - 1, reach, cost);
    }

    /// Puts `reach`, which has all that was there, in a place.
    fn replace(&mut self, place: usize, reach: Reach, cost: u128) {
        let old = &self.list[place].0;
        if let Some((_, places)) = self.alike.get_mut(&old.extent()) {
            places.remove(&place);
            if places.is_empty() {
                self.alike.remove(&old.extent());
            }
        }
        let (_, places) = self.alike.entry(reach.extent()).or_insert((cost, BTreeSet::new()));
        places.insert(place);
        let most = reach.states.last().map_or(0, |&last| last as usize + 1);
        self.having.resize(self.having.len().max(most), Vec::new());
        for state in &reach.states {
            if old.states.binary_search(state).is_err() {
                self.having[*state as usize].push(place);
            }
        }
        self.list[place] = (reach, cost);
    }
}

/// The rows of both in all of their states. The number of entries is the larger one of both, which
/// is right if one has all states of the other.
fn union(a: &Reach, b: &Reach) -> Reach {
    Reach {
        states: merged(&a.states, &b.states),
        rows: merged(&a.rows, &b.rows),
        weights: a.weights + b.weights,
        entries: a.entries.max(b.entries),
        through: a.through + b.through,
        diagonal: false,
    }
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
            |overhead| move |extent: Extent| overhead + (extent.entries * extent.weights) as u128;
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
