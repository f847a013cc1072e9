//! Merging states that no observed step distinguishes.

use std::collections::btree_map::Entry::{Occupied, Vacant};
use std::collections::{BTreeMap, BTreeSet};

use rtrl_model::Error;

use super::{Machine, Trace, Transition};

/// The largest number of states to merge: more would take too many trials.
const MOST_STATES: usize = 128;

/// Mergers that are tried in search of the fewest states.
const MOST_TRIALS: usize = 20_000;

/// The result of [`Machine::reduced`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduced {
    /// The transition for each state and symbol; `None` if it was never observed.
    pub transitions: Vec<Vec<Option<Transition>>>,
    /// Whether no machine has fewer states. Otherwise the search was stopped.
    pub smallest: bool,
}

impl Machine {
    /// The smallest machine that behaves like this one in the first `steps` steps of a trace. It
    /// has no transitions that these steps do not use.
    ///
    /// First each state is split by the symbol that led to it, because a state may combine
    /// situations that no common symbol follows. Two states may be merged if no bits contradict
    /// each other when their successors for the same symbols are merged too. Since this is not an
    /// equivalence relation, the smallest machine has to be searched for, by the method of A. L.
    /// Oliveira & J. P. M. Silva, *Efficient Algorithms for the Inference of Minimum Size DFAs*,
    /// Machine Learning 44, 2001. If the search takes more than 20 000 mergers, it returns the
    /// first machine found; machines of more than 128 states are not reduced.
    ///
    /// # Errors
    /// [`Error::Setting`] if the symbols of the trace are not those of the machine.
    pub fn reduced(&self, trace: &Trace<'_>, steps: usize) -> Result<Reduced, Error> {
        self.check_symbols(trace)?;
        Ok(match reduce(&self.split(trace, steps)) {
            // Splitting may cost more than merging brings back, if the search was too long.
            Some((transitions, smallest))
                if smallest || transitions.len() <= self.transitions.len() =>
            {
                Reduced { transitions, smallest }
            }
            _ => Reduced { transitions: self.watched(), smallest: false },
        })
    }

    /// The transitions that were watched.
    fn watched(&self) -> Vec<Vec<Option<Transition>>> {
        let watched = |step: &Transition| (step.seen > 0).then(|| step.clone());
        self.transitions.iter().map(|row| row.iter().map(watched).collect()).collect()
    }

    /// The machine whose states are those of this one with the symbols that led there, as far as
    /// the steps of a trace lead.
    fn split(&self, trace: &Trace<'_>, steps: usize) -> Vec<Vec<Transition>> {
        let nothing = Transition { next: 0, outputs: Vec::new(), seen: 0 };
        let mut rows = vec![vec![nothing.clone(); self.symbols.len()]];
        let mut numbers = BTreeMap::new();
        let (mut at, mut state) = (0, self.locate(trace.state(0)));
        for step in 0..steps.min(trace.steps()) {
            let symbol = trace.symbol(step);
            let Transition { next, outputs, .. } = &self.transitions[state][symbol];
            let number = *numbers.entry((*next, symbol)).or_insert_with(|| {
                rows.push(vec![nothing.clone(); self.symbols.len()]);
                rows.len() - 1
            });
            let seen = rows[at][symbol].seen + 1;
            rows[at][symbol] = Transition { next: number, outputs: outputs.clone(), seen };
            (at, state) = (number, *next);
        }
        rows
    }
}

/// A machine with as few states as can be found, and whether these are the fewest; nothing if there
/// are too many to begin with.
fn reduce(rows: &[Vec<Transition>]) -> Option<(Vec<Vec<Option<Transition>>>, bool)> {
    if rows.len() > MOST_STATES {
        return None;
    }
    let whole = Merged { classes: (0..rows.len()).collect(), kept: vec![0] };
    let mut search = Search { rows, limit: 0, trials: 0 };
    while search.trials < MOST_TRIALS {
        search.limit += 1;
        if let Some(merged) = search.finish(&whole) {
            return Some((merged.rows(rows), true));
        }
    }
    // As many states as there are: whatever is tried first succeeds.
    search = Search { rows, limit: rows.len(), trials: 0 };
    search.finish(&whole).map(|merged| (merged.rows(rows), false))
}

/// States, some of them merged.
#[derive(Clone)]
struct Merged {
    /// The smallest state that each is merged with.
    classes: Vec<usize>,
    /// Classes that are states of the result for sure. They cannot be merged with each other.
    kept: Vec<usize>,
}

/// The search for a machine of at most `limit` states.
struct Search<'a> {
    rows: &'a [Vec<Transition>],
    limit: usize,
    trials: usize,
}

impl Search<'_> {
    /// Merges what follows on the states that are kept with these, or keeps it as well, to the end;
    /// nothing if more states than the limit were needed, or trials are used up.
    fn finish(&mut self, merged: &Merged) -> Option<Merged> {
        let Some((state, ways)) = self.narrowest(merged) else { return Some(merged.clone()) };
        for Folded { classes, .. } in ways {
            let kept = merged.kept.iter().map(|&state| classes[state]).collect();
            let found = self.finish(&Merged { classes, kept });
            if found.is_some() || self.trials >= MOST_TRIALS && self.limit < self.rows.len() {
                return found;
            }
        }
        if merged.kept.len() >= self.limit {
            return None;
        }
        let mut more = merged.clone();
        more.kept.push(state);
        self.finish(&more)
    }

    /// The state of the fringe with the fewest ways to continue, and these. One without any is the
    /// first found.
    fn narrowest(&mut self, merged: &Merged) -> Option<(usize, Vec<Folded>)> {
        let mut narrowest: Option<(usize, Vec<Folded>)> = None;
        for state in merged.fringe(self.rows) {
            let ways = self.ways(merged, state);
            if ways.is_empty() {
                return Some((state, ways));
            }
            if narrowest.as_ref().is_none_or(|(_, least)| ways.len() < least.len()) {
                narrowest = Some((state, ways));
            }
        }
        narrowest
    }

    /// The ways to merge a state with one that is kept; what the most transitions speak for first.
    fn ways(&mut self, merged: &Merged, state: usize) -> Vec<Folded> {
        self.trials += merged.kept.len();
        let fold = |&other: &usize| folded(self.rows, together(&merged.classes, state, other));
        let mut ways: Vec<Folded> = merged.kept.iter().filter_map(fold).collect();
        ways.sort_by_key(|way| way.transitions);
        ways
    }
}

impl Merged {
    /// The classes that watched transitions lead to from those that are kept, these left out.
    fn fringe(&self, rows: &[Vec<Transition>]) -> BTreeSet<usize> {
        let is_kept = |class: &usize| self.kept.contains(class);
        let inside = rows.iter().zip(&self.classes).filter(|(_, class)| is_kept(class));
        let watched = inside.flat_map(|(row, _)| row).filter(|transition| transition.seen > 0);
        watched.map(|step| self.classes[step.next]).filter(|class| !is_kept(class)).collect()
    }

    /// The transitions between the classes that are kept, numbered in that order.
    fn rows(&self, rows: &[Vec<Transition>]) -> Vec<Vec<Option<Transition>>> {
        let number = |state: usize| self.kept.iter().position(|&kept| kept == self.classes[state]);
        let symbols = rows.first().map_or(0, Vec::len);
        let mut merged = vec![vec![None; symbols]; self.kept.len()];
        for (state, row) in rows.iter().enumerate() {
            let Some(class) = number(state) else { continue };
            let watched = row.iter().enumerate().filter(|(_, step)| step.seen > 0);
            for (symbol, step) in watched {
                let place: &mut Option<Transition> = &mut merged[class][symbol];
                let seen = step.seen + place.as_ref().map_or(0, |place| place.seen);
                let next = number(step.next).unwrap_or_default();
                *place = Some(Transition { next, seen, ..step.clone() });
            }
        }
        merged
    }
}

/// The classes with those of two states as one, called by the smaller number.
fn together(classes: &[usize], a: usize, b: usize) -> Vec<usize> {
    let (a, b) = (classes[a], classes[b]);
    classes.iter().map(|&class| if class == a || class == b { a.min(b) } else { class }).collect()
}

/// Classes from which no symbol leads to two of them.
struct Folded {
    classes: Vec<usize>,
    /// Transitions that are left: the fewer, the more were found to be the same.
    transitions: usize,
}

/// Merges classes until every symbol that was watched leads from a class to one class; nothing if
/// it leads to different bits.
fn folded(rows: &[Vec<Transition>], mut classes: Vec<usize>) -> Option<Folded> {
    'again: loop {
        let mut outcomes: BTreeMap<(usize, usize), &Transition> = BTreeMap::new();
        for (row, &class) in rows.iter().zip(&classes) {
            for (symbol, transition) in row.iter().enumerate().filter(|(_, step)| step.seen > 0) {
                let other = match outcomes.entry((class, symbol)) {
                    Vacant(place) => *place.insert(transition),
                    Occupied(place) => *place.get(),
                };
                if other.outputs != transition.outputs {
                    return None;
                }
                if classes[other.next] != classes[transition.next] {
                    classes = together(&classes, other.next, transition.next);
                    continue 'again;
                }
            }
        }
        let transitions = outcomes.len();
        return Some(Folded { classes, transitions });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bit and the next state at each of two symbols, where it was watched.
    fn row(entries: [Option<(usize, bool)>; 2]) -> Vec<Transition> {
        let transition = |entry: Option<(usize, bool)>| {
            let (next, bit) = entry.unwrap_or_default();
            Transition { next, outputs: vec![bit], seen: usize::from(entry.is_some()) }
        };
        entries.map(transition).to_vec()
    }

    /// Parity of the ones, with states of which less and less was watched.
    #[test]
    fn what_nothing_tells_apart_is_one_state() {
        let rows = [
            row([Some((2, false)), Some((1, true))]),
            row([Some((3, true)), None]),
            row([None, Some((4, true))]),
            row([None, Some((0, false))]),
            row([Some((1, true)), None]),
        ];
        let (reduced, smallest) = reduce(&rows).unwrap();
        assert!(smallest);
        let even = [(0, false, 1), (1, true, 2)];
        let odd = [(1, true, 2), (0, false, 1)];
        let step = |(next, bit, seen)| Some(Transition { next, outputs: vec![bit], seen });
        assert_eq!(reduced, [even.map(step), odd.map(step)]);
    }

    /// States that a single bit, two symbols later, tells apart.
    #[test]
    fn what_was_watched_to_differ_stays_apart() {
        let bit = |last| {
            let (first, second) = (row([Some((2, false)), Some((1, false))]), (3, false));
            let ends = [row([None, Some((0, false))]), row([Some((0, false)), Some((0, last))])];
            [vec![first, row([Some(second), Some((1, false))])], ends.to_vec()].concat()
        };
        let states = |rows: &[Vec<Transition>]| reduce(rows).unwrap().0.len();
        assert_eq!(states(&bit(false)), 1);
        assert_eq!(states(&bit(true)), 4);
    }

    #[test]
    fn what_is_too_large_is_left_as_it_is() {
        let rows: Vec<_> = (0..=MOST_STATES).map(|n| row([Some((n + 1, false)), None])).collect();
        let chain = |length: usize| {
            let mut rows = rows[..length].to_vec();
            rows.push(row([None, None]));
            rows
        };
        assert_eq!(reduce(&chain(MOST_STATES - 1)).unwrap().0.len(), 1);
        assert_eq!(reduce(&chain(MOST_STATES)), None);
    }
}
