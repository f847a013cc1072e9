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

/// A row that was forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// Number of the row, from 1.
    pub(crate) row: u64,
    /// The first targets; 1 for a class; none of groups but the first.
    pub(crate) actual: Vec<Option<f64>>,
    /// The forecasts of the network: of the first targets, or the probability of the row's class.
    pub(crate) forecasts: Vec<Option<f64>>,
    /// The settled losses of all forecasters up to the row; none while no error counts.
    pub(crate) losses: Vec<f64>,
}

/// Rows for charts, in bounded memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    /// The last rows.
    pub(crate) last: VecDeque<Shown>,
    /// Every `stride`-th row.
    pub(crate) thinned: Vec<Shown>,
    /// Distance of the rows above.
    pub(crate) stride: u64,
    /// Rows so far.
    count: u64,
}

impl Default for History {
    fn default() -> Self {
        Self { last: VecDeque::new(), thinned: Vec::new(), stride: 1, count: 0 }
    }
}

impl History {
    /// Adds a row of which a target was forecast by all.
    pub(crate) fn add(&mut self, number: u64, row: &Row, scores: &Scores) {
        // What is not finite has no place in a chart nor in a checkpoint.
        let finite = |value: &Option<f64>| value.filter(|value| value.is_finite());
        let first = |values: &[Option<f64>]| values.iter().take(MOST_TARGETS).map(finite).collect();
        let is_class = !scores.classes().is_empty();
        let (actual, forecasts) = match label(&row.targets).filter(|_| is_class) {
            // The rows of several groups do not make one line.
            _ if row.group > 0 => (Vec::new(), Vec::new()),
            Some(class) => (vec![Some(1.0)], vec![scores.forecasts()[class]]),
            None => (first(&row.targets), first(scores.forecasts())),
        };
        let losses: Vec<f64> = scores.settled.iter().filter_map(|sums| scores.loss(sums)).collect();
        let is_finite = losses.iter().all(|loss| loss.is_finite());
        let losses = if is_finite { losses } else { Vec::new() };
        let shown = Shown { row: number, actual, forecasts, losses };
        if self.count.is_multiple_of(self.stride) {
            self.thinned.push(shown.clone());
        }
        self.count += 1;
        if self.last.len() == CLOSE_UP {
            self.last.pop_front();
        }
        self.last.push_back(shown);
        if self.thinned.len() == 2 * MOST {
            let mut is_odd = true;
            self.thinned.retain(|_| {
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

    #[test]
    fn rows_are_bounded_and_at_equal_distances() {
        let (mut history, mut scores) = (History::default(), Scores::of_values(1, 1, 3));
        let none: &mut [PerTarget<Persistence>] = &mut [];
        let mut persistence = PerTarget::new(Persistence::default());
        for row in 0..20_000u32 {
            let targets = vec![Some(f64::from(row % 7))];
            let observed = SeriesRow { group: 0, inputs: &[], targets: &targets };
            scores.take(&mut persistence, none, observed).unwrap();
            if row > 0 {
                history.add(row.into(), &Row { targets, ..Row::default() }, &scores);
            }
            assert!(history.thinned.len() < 2 * MOST && history.last.len() <= CLOSE_UP);
        }
        assert_eq!((history.stride, history.count), (8, 19_999));
        let rows: Vec<u64> = history.thinned.iter().map(|shown| shown.row).collect();
        let expected: Vec<u64> = (1..20_000).step_by(8).collect();
        assert_eq!(rows, expected);
        let last: Vec<u64> = history.last.iter().map(|shown| shown.row).collect();
        assert_eq!(last, (20_000 - 240..20_000).collect::<Vec<_>>());
        assert_eq!((history.thinned[0].losses.len(), history.thinned[1].losses.len()), (0, 1));
        let text = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
    }
}
