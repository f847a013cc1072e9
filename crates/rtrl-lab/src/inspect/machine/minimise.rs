//! Merging boxes that behave alike, by Moore's algorithm.

use std::collections::BTreeMap;

use super::Transition;

/// Merges boxes from which every sequence of symbols leads to the same bits (Moore,
/// *Gedanken-Experiments on Sequential Machines*, 1956). Returns the state of each box and the
/// transitions of the states, which are numbered as they are reached from the box `start`, symbol
/// by symbol; those that are not reached are last.
pub(super) fn minimise(
    rows: &[Vec<Transition>],
    start: usize,
) -> (Vec<usize>, Vec<Vec<Transition>>) {
    let step = |transition: &Transition| Some((transition.outputs.clone(), transition.next));
    let steps: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(step).collect()).collect();
    let classes = classes(&steps);
    let order = in_order(rows, &classes, start);
    let states: Vec<usize> = classes.iter().map(|class| order[class]).collect();
    let transitions = merged(rows, &states);
    (states, transitions)
}

/// The class of each row, where a symbol leads to an answer and another row, or nothing is known of
/// it: rows of a class have the same answers now and whatever follows.
pub(super) fn classes<A: Ord + Clone>(rows: &[Vec<Option<(A, usize)>>]) -> Vec<usize> {
    let answers = |row: &Vec<Option<(A, usize)>>| -> Vec<Option<A>> {
        row.iter().map(|step| step.as_ref().map(|(answer, _)| answer.clone())).collect()
    };
    let mut classes = numbered(rows.iter().map(answers));
    loop {
        let behaviour = |(class, row): (&usize, &Vec<Option<(A, usize)>>)| {
            let next = row.iter().map(|step| step.as_ref().map(|(_, next)| classes[*next]));
            (*class, next.collect::<Vec<_>>())
        };
        let finer = numbered(classes.iter().zip(rows).map(behaviour));
        if finer.iter().max() == classes.iter().max() {
            return finer;
        }
        classes = finer;
    }
}

/// Numbers from 0 for what is different.
fn numbered<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<usize> {
    let mut numbers = BTreeMap::new();
    let number = |key| {
        let next = numbers.len();
        *numbers.entry(key).or_insert(next)
    };
    keys.map(number).collect()
}

/// The number of each class in the order in which they are reached, breadth first.
fn in_order(rows: &[Vec<Transition>], classes: &[usize], start: usize) -> BTreeMap<usize, usize> {
    let mut order = BTreeMap::new();
    let mut queue = vec![start];
    queue.extend(0..rows.len());
    let mut position = 0;
    // What is reached goes before the boxes that only fill up the queue.
    let mut reached = 1;
    while position < queue.len() {
        let at = queue[position];
        position += 1;
        reached = reached.max(position);
        let number = order.len();
        if order.contains_key(&classes[at]) {
            continue;
        }
        order.insert(classes[at], number);
        for transition in &rows[at] {
            queue.insert(reached, transition.next);
            reached += 1;
        }
    }
    order
}

/// The transitions between states, with their counts summed over the boxes.
fn merged(rows: &[Vec<Transition>], states: &[usize]) -> Vec<Vec<Transition>> {
    let count = states.iter().max().map_or(0, |last| last + 1);
    let mut merged: Vec<Vec<Transition>> = vec![Vec::new(); count];
    for (row, &state) in rows.iter().zip(states) {
        let place = &mut merged[state];
        if place.is_empty() {
            let moved = |transition: &Transition| Transition {
                next: states[transition.next],
                ..transition.clone()
            };
            *place = row.iter().map(moved).collect();
        } else {
            place.iter_mut().zip(row).for_each(|(sum, transition)| sum.seen += transition.seen);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(entries: [(usize, bool); 2]) -> Vec<Transition> {
        let transition = |(next, bit)| Transition { next, outputs: vec![bit], seen: 1 };
        entries.map(transition).to_vec()
    }

    /// Parity of the ones, with each state there twice, and a box that nothing leads to.
    #[test]
    fn what_behaves_alike_is_one_state() {
        let rows = [
            row([(2, false), (3, true)]),
            row([(3, true), (0, false)]),
            row([(0, false), (1, true)]),
            row([(1, true), (2, false)]),
            row([(0, true), (0, true)]),
        ];
        let (states, transitions) = minimise(&rows, 1);
        assert_eq!(states, [1, 0, 1, 0, 2]);
        assert_eq!(transitions.len(), 3);
        assert_eq!(transitions[0][0], Transition { next: 0, outputs: vec![true], seen: 2 });
        assert_eq!(transitions[0][1], Transition { next: 1, outputs: vec![false], seen: 2 });
        assert_eq!(transitions[1][1].next, 0);
    }

    /// A counter of three ones in a row needs two rounds to be told apart.
    #[test]
    fn what_differs_only_later_stays_apart() {
        let rows = [
            row([(0, false), (1, false)]),
            row([(0, false), (2, false)]),
            row([(0, false), (3, false)]),
            row([(0, false), (0, true)]),
        ];
        assert_eq!(minimise(&rows, 0).0, [0, 1, 2, 3]);
    }
}
