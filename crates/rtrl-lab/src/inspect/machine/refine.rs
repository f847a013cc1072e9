//! Cutting boxes until each symbol leads from a box to one behaviour.

use std::collections::BTreeMap;

use super::partition::{Cut, Partition};
use super::{Trace, minimise};

/// Boxes, and the observed states in them.
pub(super) struct Refined {
    pub(super) partition: Partition,
    /// The box of each state that was watched, the one after the last step included.
    pub(super) boxes: Vec<usize>,
    /// Whether every symbol leads from every box to the same bits, now and whatever follows.
    pub(super) explains_all: bool,
}

/// Cuts boxes until all steps from a box at a symbol have the same bits, and then until they lead
/// to boxes that do not differ in what follows, or until there are `most` boxes. The box and symbol
/// with most steps to explain come first.
pub(super) fn refine(trace: &Trace<'_>, steps: usize, most: usize) -> Refined {
    let answers = dense(&(0..steps).map(|step| trace.answer(step)).collect::<Vec<_>>());
    let mut partition = Partition::whole();
    let mut boxes = vec![0; steps + 1];
    loop {
        let classes = classes(trace, &boxes, &answers, partition.boxes());
        let place = |t: usize| (answers[t], classes[boxes[t + 1]]);
        let places = dense(&(0..steps).map(place).collect::<Vec<_>>());
        let worst = |outcomes: &[usize]| worst(trace, &boxes[..steps], outcomes);
        let by_answers = worst(&answers).map(|samples| (samples, &answers));
        let Some((samples, outcomes)) =
            by_answers.or_else(|| worst(&places).map(|samples| (samples, &places)))
        else {
            return Refined { partition, boxes, explains_all: true };
        };
        let cut = best_cut(trace, &samples, outcomes).filter(|_| partition.boxes() < most);
        let Some(cut) = cut else { return Refined { partition, boxes, explains_all: false } };
        let old = boxes[samples[0]];
        let new = partition.cut(old, cut);
        for (step, place) in boxes.iter_mut().enumerate() {
            if *place == old && !cut.is_below(trace.state(step)) {
                *place = new;
            }
        }
    }
}

/// The class of each box: boxes from which all watched symbols lead to the same answers, as far as
/// the commonest step from each counts.
fn classes(trace: &Trace<'_>, boxes: &[usize], answers: &[usize], count: usize) -> Vec<usize> {
    let mut outcomes = vec![vec![BTreeMap::<_, usize>::new(); trace.alphabet().len()]; count];
    for (step, &answer) in answers.iter().enumerate() {
        let place = &mut outcomes[boxes[step]][trace.symbol(step)];
        *place.entry((answer, boxes[step + 1])).or_default() += 1;
    }
    let commonest = |counts: &BTreeMap<(usize, usize), usize>| {
        counts.iter().max_by_key(|&(_, &count)| count).map(|(&outcome, _)| outcome)
    };
    let rows: Vec<Vec<_>> =
        outcomes.iter().map(|row| row.iter().map(commonest).collect()).collect();
    minimise::classes(&rows)
}

/// Numbers from 0 for what is different.
fn dense<K: Ord + Copy>(keys: &[K]) -> Vec<usize> {
    let mut numbers = BTreeMap::new();
    let number = |&key: &K| {
        let next = numbers.len();
        *numbers.entry(key).or_insert(next)
    };
    keys.iter().map(number).collect()
}

/// The steps from one box at one symbol, where most of them have another outcome than the commonest
/// one; nothing if none has.
fn worst(trace: &Trace<'_>, boxes: &[usize], outcomes: &[usize]) -> Option<Vec<usize>> {
    let mut groups: BTreeMap<(usize, usize), BTreeMap<usize, usize>> = BTreeMap::new();
    for (step, (&at, &outcome)) in boxes.iter().zip(outcomes).enumerate() {
        let group = groups.entry((at, trace.symbol(step))).or_default();
        *group.entry(outcome).or_default() += 1;
    }
    let unexplained = |counts: &BTreeMap<usize, usize>| {
        counts.values().sum::<usize>() - counts.values().max().copied().unwrap_or_default()
    };
    let group = groups.iter().max_by_key(|(_, counts)| unexplained(counts));
    let (&(at, symbol), _) = group.filter(|(_, counts)| unexplained(counts) > 0)?;
    let is_in = |&step: &usize| boxes[step] == at && trace.symbol(step) == symbol;
    Some((0..boxes.len()).filter(is_in).collect())
}

/// The cut after which the outcomes on either side are purest (Gini's index), and of equal ones the
/// one in the widest gap; nothing if all states are the same.
fn best_cut(trace: &Trace<'_>, samples: &[usize], outcomes: &[usize]) -> Option<Cut> {
    let units = trace.state(samples[0]).len();
    let cuts = (0..units).filter_map(|unit| best_cut_of(unit, trace, samples, outcomes));
    let better = |a: Rated, b: Rated| {
        let wins = (b.purity, b.gap) > (a.purity, a.gap);
        if wins { b } else { a }
    };
    cuts.reduce(better).map(|rated| rated.cut)
}

#[derive(Clone, Copy)]
struct Rated {
    cut: Cut,
    /// The sum of squared counts of outcomes on each side over the number of steps there.
    purity: f64,
    gap: f64,
}

fn best_cut_of(
    unit: usize,
    trace: &Trace<'_>,
    samples: &[usize],
    outcomes: &[usize],
) -> Option<Rated> {
    let mut sorted: Vec<(f64, usize)> =
        samples.iter().map(|&step| (trace.state(step)[unit], outcomes[step])).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut above = Counts::default();
    for &(_, outcome) in &sorted {
        above.add(outcome);
    }
    let mut below = Counts::default();
    let mut best: Option<Rated> = None;
    for pair in sorted.windows(2) {
        let [(low, outcome), (high, _)] = *pair else { continue };
        above.remove(outcome);
        below.add(outcome);
        let gap = high - low;
        if gap <= 0.0 {
            continue;
        }
        let purity = below.purity() + above.purity();
        if best.is_none_or(|best| (purity, gap) > (best.purity, best.gap)) {
            // Rounding must not lift the threshold to the upper value.
            let middle = low + 0.5 * gap;
            let threshold = if middle < high { middle } else { low };
            best = Some(Rated { cut: Cut { unit, threshold }, purity, gap });
        }
    }
    best
}

/// How often each outcome is on one side, with the sum of the squares.
#[derive(Default)]
struct Counts {
    of_each: BTreeMap<usize, usize>,
    squares: usize,
    steps: usize,
}

impl Counts {
    fn add(&mut self, outcome: usize) {
        let count = self.of_each.entry(outcome).or_default();
        self.squares += 2 * *count + 1;
        *count += 1;
        self.steps += 1;
    }

    fn remove(&mut self, outcome: usize) {
        let count = self.of_each.entry(outcome).or_default();
        *count -= 1;
        self.squares -= 2 * *count + 1;
        self.steps -= 1;
    }

    fn purity(&self) -> f64 {
        self.squares as f64 / self.steps as f64
    }
}
