//! The reach of every weight row: the states in which its sensitivities can differ from 0.

use std::collections::HashMap;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::Pattern;
use crate::error::{Error, check_length};
use crate::layout::Layout;

/// Weight rows whose sensitivities can differ from 0 in the same states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The states, ascending.
    pub states: Vec<u32>,
    /// The weight rows, ascending.
    pub rows: Vec<u32>,
    /// Number of weights that learn in these rows.
    pub weights: usize,
    /// Number of entries of the Jacobian between the states.
    pub entries: usize,
    /// Number of drives of those rows that drive more than two states: rows below another layer.
    pub through: usize,
    /// Whether each row reaches a single state, so that only the diagonal of the Jacobian matters.
    pub diagonal: bool,
}

/// The size of a [`Reach`], on which the cost of its block depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    /// Number of states.
    pub states: usize,
    /// Number of weight rows.
    pub rows: usize,
    /// As [`Reach::weights`].
    pub weights: usize,
    /// As [`Reach::entries`].
    pub entries: usize,
    /// As [`Reach::through`].
    pub through: usize,
    /// As [`Reach::diagonal`].
    pub diagonal: bool,
}

impl Reach {
    /// Its size.
    pub fn extent(&self) -> Extent {
        let &Self { ref states, ref rows, weights, entries, through, diagonal } = self;
        let (states, rows) = (states.len(), rows.len());
        Extent { states, rows, weights, entries, through, diagonal }
    }
}

impl Extent {
    /// The size of two reaches together that have no state in common.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            states: self.states + other.states,
            rows: self.rows + other.rows,
            weights: self.weights + other.weights,
            entries: self.entries + other.entries,
            through: self.through + other.through,
            diagonal: false,
        }
    }
}

/// The weight rows with a weight that learns, divided by their reach. All rows that reach a single
/// state are together. They are sorted by their first row.
///
/// States that depend on each other in a circle have the same reach: it is computed once for each
/// strongly connected component of the graph of `pattern`.
///
/// # Errors
/// [`Error::Length`] if the mask or the pattern does not fit the layout.
pub fn reaches(layout: &Layout, learns: &[bool], pattern: &Pattern) -> Result<Vec<Reach>, Error> {
    check_length("mask of learning weights", layout.weights(), learns.len())?;
    check_length("pattern of the Jacobian", layout.states(), pattern.states())?;
    let closures = Closures::of(pattern);
    let mut groups = Groups::new(layout.states());
    for row in 0..layout.rows() {
        let learning = &learns[layout.offset(row)..][..layout.width(row)];
        let weights = learning.iter().filter(|&&learns| learns).count();
        if weights > 0 {
            let place = groups.find(closures.of_row(layout, row), &closures);
            let drives = layout.drives_of(row).len();
            let reach = &mut groups.reaches[place];
            reach.rows.push(number(row));
            reach.weights += weights;
            reach.through += if drives > 2 { drives } else { 0 };
        }
    }
    let mut reaches = groups.reaches;
    for reach in reaches.iter_mut().filter(|reach| !reach.diagonal) {
        reach.entries = pattern.entries_between(&reach.states);
    }
    Ok(reaches)
}

/// What each strongly connected component of states reaches.
struct Closures {
    /// The component of each state.
    component: Vec<u32>,
    /// The states that each component reaches, its own included, ascending.
    states: Vec<Vec<u32>>,
}

impl Closures {
    fn of(pattern: &Pattern) -> Self {
        let n = pattern.states();
        let mut graph = DiGraph::<(), (), u32>::with_capacity(n, pattern.entries());
        for _ in 0..n {
            graph.add_node(());
        }
        for k in 0..n {
            for &l in pattern.row(k).iter().filter(|&&l| l as usize != k) {
                graph.add_edge(NodeIndex::from(l), NodeIndex::from(number(k)), ());
            }
        }
        // Each component comes after all that it leads to.
        let components = kosaraju_scc(&graph);
        let mut component = vec![0; n];
        for (c, members) in components.iter().enumerate() {
            for state in members {
                component[state.index()] = number(c);
            }
        }
        let mut states: Vec<Vec<u32>> = Vec::with_capacity(components.len());
        let mut union = Union::new(n);
        for (c, members) in components.iter().enumerate() {
            for &member in members {
                union.add(number(member.index()));
                for next in graph.neighbors(member) {
                    let of_next = component[next.index()] as usize;
                    // A state that is in the set came there with all that it leads to.
                    if of_next != c && !union.contains(number(next.index())) {
                        states[of_next].iter().for_each(|&state| union.add(state));
                    }
                }
            }
            states.push(union.take());
        }
        Self { component, states }
    }

    /// The components of the states that a row drives, ascending. A row without drives has
    /// sensitivities of 0 in all states; any will do.
    fn of_row(&self, layout: &Layout, row: usize) -> Vec<u32> {
        let driven = layout.drives()[layout.drives_of(row)].iter();
        let mut list: Vec<_> = driven.map(|drive| self.component[drive.state as usize]).collect();
        if list.is_empty() {
            list.push(self.component[0]);
        }
        list.sort_unstable();
        list.dedup();
        list
    }
}

/// A set of states that is built up and taken, again and again.
struct Union {
    contains: Vec<bool>,
    list: Vec<u32>,
}

impl Union {
    fn new(states: usize) -> Self {
        Self { contains: vec![false; states], list: Vec::new() }
    }

    fn contains(&self, state: u32) -> bool {
        self.contains[state as usize]
    }

    fn add(&mut self, state: u32) {
        if !std::mem::replace(&mut self.contains[state as usize], true) {
            self.list.push(state);
        }
    }

    /// The set, ascending; leaves an empty one.
    fn take(&mut self) -> Vec<u32> {
        let mut list = std::mem::take(&mut self.list);
        for &state in &list {
            self.contains[state as usize] = false;
        }
        list.sort_unstable();
        list
    }
}

/// Rows as they are divided.
struct Groups {
    reaches: Vec<Reach>,
    /// The reach of the rows that drive these components.
    of_components: HashMap<Vec<u32>, usize>,
    /// The reach with these states.
    of_states: HashMap<Vec<u32>, usize>,
    /// The reach of all rows that reach a single state.
    diagonal: Option<usize>,
    union: Union,
}

impl Groups {
    fn new(states: usize) -> Self {
        Self {
            reaches: Vec::new(),
            of_components: HashMap::new(),
            of_states: HashMap::new(),
            diagonal: None,
            union: Union::new(states),
        }
    }

    /// The place of the reach of a row that drives these components.
    fn find(&mut self, components: Vec<u32>, closures: &Closures) -> usize {
        let known = self.of_components.get(&components).copied();
        let place = known.unwrap_or_else(|| self.place(&components, closures));
        self.of_components.insert(components, place);
        place
    }

    /// The reach that these components make together.
    fn place(&mut self, components: &[u32], closures: &Closures) -> usize {
        for &component in components {
            for &state in &closures.states[component as usize] {
                self.union.add(state);
            }
        }
        let states = self.union.take();
        let next = self.reaches.len();
        let is_single = states.len() == 1;
        let known = if is_single {
            *self.diagonal.get_or_insert(next)
        } else {
            *self.of_states.entry(states.clone()).or_insert(next)
        };
        if known == next {
            let (weights, entries, through, diagonal) = (0, 0, 0, is_single);
            let rows = Vec::new();
            self.reaches.push(Reach { states, rows, weights, entries, through, diagonal });
        } else if is_single {
            let all = &mut self.reaches[known].states;
            if let Err(place) = all.binary_search(&states[0]) {
                all.insert(place, states[0]);
            }
        }
        if is_single {
            self.reaches[known].entries = self.reaches[known].states.len();
        }
        known
    }
}

/// The number of a row or state, of which a layout has no more than fit.
fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reaches of simple units with these rows of the pattern: states and rows of each.
    fn divided(rows: &[&[u32]]) -> Vec<(Vec<u32>, Vec<u32>, bool)> {
        let pattern = Pattern::new(rows.iter().map(|row| row.to_vec()).collect()).unwrap();
        let layout = Layout::simple(rows.len(), 3).unwrap();
        let learns = vec![true; rows.len() * 3];
        let reaches = reaches(&layout, &learns, &pattern).unwrap();
        for reach in &reaches {
            assert_eq!(reach.weights, 3 * reach.rows.len());
            assert!(!reach.diagonal || reach.entries == reach.states.len());
        }
        reaches.into_iter().map(|reach| (reach.states, reach.rows, reach.diagonal)).collect()
    }

    #[test]
    fn a_chain_of_circles_has_a_reach_for_each() {
        // 0 and 2 form a circle, which leads to that of 1 and 3.
        let reaches = divided(&[&[2], &[2, 3], &[0, 2], &[1]]);
        let expected = [(vec![0, 1, 2, 3], vec![0, 2], false), (vec![1, 3], vec![1, 3], false)];
        assert_eq!(reaches, expected);
    }

    #[test]
    fn rows_that_reach_one_state_are_together() {
        let reaches = divided(&[&[0, 3], &[1], &[0, 1, 2], &[]]);
        let expected = [
            (vec![0, 2], vec![0], false),
            (vec![1, 2], vec![1], false),
            (vec![2], vec![2], true),
            (vec![0, 2, 3], vec![3], false),
        ];
        assert_eq!(reaches, expected);
        let diagonal = divided(&[&[0], &[1], &[], &[3]]);
        assert_eq!(diagonal, [(vec![0, 1, 2, 3], vec![0, 1, 2, 3], true)]);
    }

    #[test]
    fn rows_may_drive_several_states_or_none() {
        let drive = |row, state| crate::layout::Drive { row, state };
        let drives = vec![drive(0, 1), drive(0, 2), drive(2, 2), drive(3, 0)];
        let layout = Layout::new(3, vec![0..2; 4], drives).unwrap();
        let pattern = Pattern::new(vec![vec![0], vec![1], vec![2]]).unwrap();
        let mut learns = [true; 8];
        learns[4..6].fill(false);
        let reaches = reaches(&layout, &learns, &pattern).unwrap();
        let rows: Vec<_> = reaches.iter().map(|r| (r.states.clone(), r.rows.clone())).collect();
        // Row 2 has no weight that learns.
        assert_eq!(rows, [(vec![1, 2], vec![0]), (vec![0], vec![1, 3])]);
    }

    /// The closure of a random graph by following every edge, again and again.
    #[test]
    fn reaches_are_closed_and_no_larger() {
        let mut state = 1u64;
        for seed in 1..200usize {
            let n = 2 + seed % 29;
            let mut draw = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                usize::try_from(state >> 40).unwrap() % n < 1 + seed % 3
            };
            let drawn: Vec<bool> = (0..n * n).map(|_| draw()).collect();
            let has = |k: usize, l: usize| drawn[k * n + l];
            let rows = (0..n).map(|k| (0..n).filter(|&l| has(k, l)).map(number).collect());
            let pattern = Pattern::new(rows.collect()).unwrap();
            let layout = Layout::simple(n, 1).unwrap();
            let reaches = reaches(&layout, &vec![true; n], &pattern).unwrap();
            for row in 0..n {
                let mut reached = vec![false; n];
                reached[row] = true;
                for _ in 0..n {
                    for k in 0..n {
                        reached[k] |= (0..n).any(|l| reached[l] && has(k, l));
                    }
                }
                let expected: Vec<_> = (0..n).filter(|&k| reached[k]).map(number).collect();
                let reach = reaches.iter().find(|r| r.rows.contains(&number(row))).unwrap();
                if reach.diagonal {
                    assert_eq!(expected, [number(row)]);
                } else {
                    assert_eq!(reach.states, expected, "row {row} of seed {seed}");
                }
            }
        }
    }
}
