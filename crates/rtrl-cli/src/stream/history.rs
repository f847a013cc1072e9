//! What a report shows of a stream: the last rows, and rows at equal distances from all of it.

use std::collections::VecDeque;

use rtrl_lab::labels::label;
use rtrl_lab::prequential::Scores;
use serde::{Deserialize, Serialize};

use crate::input::Row;

/// Rows of the chart that shows single forecasts.
const CLOSE_UP: usize = 240;

/// Most rows of the charts that show everything; twice as many are kept before every second one is
/// dropped.
const MOST: usize = 2048;

/// Most targets of which a report shows the forecasts.
pub(crate) const MOST_TARGETS: usize = 4;

/// A row of the first group, or of a series without groups, that was forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// Number of the row, from 1.
    pub(crate) row: u64,
    /// The first targets; 1 for a class.
    pub(crate) actual: Vec<Option<f64>>,
    /// The forecasts of the network: of the first targets, or the probability of the row's class.
    pub(crate) forecasts: Vec<Option<f64>>,
}

/// The settled losses of all forecasters up to a row of any group; none while no error counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Losses {
    /// Number of the row, from 1.
    pub(crate) row: u64,
    pub(crate) losses: Vec<f64>,
}

/// Rows for charts, in bounded memory. The rows of several groups do not make one line, so that the
/// charts of single forecasts show the first group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    /// The last rows.
    pub(crate) last: VecDeque<Shown>,
    /// Rows from the first to the last one.
    pub(crate) whole: Thinned<Shown>,
    pub(crate) losses: Thinned<Losses>,
}

impl History {
    /// Adds a row of which a target was forecast by all.
    pub(crate) fn add(&mut self, number: u64, row: &Row, scores: &Scores) {
        let losses: Vec<f64> =
            scores.settled().iter().filter_map(|sums| scores.loss(sums)).collect();
        // What is not finite has no place in a chart nor in a checkpoint.
        let is_finite = losses.iter().all(|loss| loss.is_finite());
        let losses = if is_finite { losses } else { Vec::new() };
        self.losses.add(Losses { row: number, losses });
        if row.group > 0 {
            return;
        }
        let finite = |value: &Option<f64>| value.filter(|value| value.is_finite());
        let first = |values: &[Option<f64>]| values.iter().take(MOST_TARGETS).map(finite).collect();
        let is_class = !scores.classes().is_empty();
        let (actual, forecasts) = match label(&row.targets).filter(|_| is_class) {
            Some(class) => (vec![Some(1.0)], vec![scores.forecasts()[class]]),
            None => (first(&row.targets), first(scores.forecasts())),
        };
        let shown = Shown { row: number, actual, forecasts };
        if self.last.len() == CLOSE_UP {
            self.last.pop_front();
        }
        self.last.push_back(shown.clone());
        self.whole.add(shown);
    }
}

/// Items at equal distances from all that there have been.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Thinned<T> {
    /// Every `stride`-th item.
    pub(crate) items: Vec<T>,
    pub(crate) stride: u64,
    /// Items so far, those that were left out included.
    count: u64,
}

impl<T> Default for Thinned<T> {
    fn default() -> Self {
        Self { items: Vec::new(), stride: 1, count: 0 }
    }
}

impl<T> Thinned<T> {
    fn add(&mut self, item: T) {
        if self.count.is_multiple_of(self.stride) {
            self.items.push(item);
        }
        self.count += 1;
        if self.items.len() == 2 * MOST {
            let mut is_odd = true;
            self.items.retain(|_| {
                is_odd = !is_odd;
                !is_odd
            });
            self.stride *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use rtrl_lab::baselines::{PerTarget, Persistence};
    use rtrl_lab::prequential::SeriesRow;

    use super::*;

    /// Every second row from the third on is one of another group.
    #[test]
    fn rows_are_bounded_and_at_equal_distances() {
        let (mut history, mut scores) = (History::default(), Scores::of_values(1, 1, 3));
        let none: &mut [PerTarget<Persistence>] = &mut [];
        let mut persistence = PerTarget::new(Persistence::default());
        for row in 0..40_000u32 {
            let (targets, group) = (vec![Some(f64::from(row % 7))], row as usize % 2);
            let observed = SeriesRow { group, inputs: &[], targets: &targets };
            scores.take(&mut persistence, none, observed).unwrap();
            if row > 1 {
                history.add(row.into(), &Row { targets, group, ..Row::default() }, &scores);
            }
            let lengths = [history.whole.items.len(), history.losses.items.len()];
            assert!(lengths.iter().all(|&length| length < 2 * MOST));
            assert!(history.last.len() <= CLOSE_UP);
        }
        assert_eq!((history.whole.stride, history.whole.count), (8, 19_999));
        assert_eq!((history.losses.stride, history.losses.count), (16, 39_998));
        let rows: Vec<u64> = history.whole.items.iter().map(|shown| shown.row).collect();
        assert_eq!(rows, (2..40_000).step_by(16).collect::<Vec<_>>());
        let rows: Vec<u64> = history.losses.items.iter().map(|losses| losses.row).collect();
        assert_eq!(rows, (2..40_000).step_by(16).collect::<Vec<_>>());
        let last: Vec<u64> = history.last.iter().map(|shown| shown.row).collect();
        assert_eq!(last, (40_000 - 480..40_000).step_by(2).collect::<Vec<_>>());
        // Three forecasts of each group do not count.
        let lengths = [0, 1].map(|place| history.losses.items[place].losses.len());
        assert_eq!(lengths, [0, 1]);
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
    }
}
