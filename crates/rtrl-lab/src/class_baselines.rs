//! Baseline forecasters of a class. They use only the past of the class, not the inputs.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::labels::label;
use crate::prequential::{SeriesForecaster, SeriesRow};

/// Forecasts each class with its share of the rows of its group so far, where every class counts as
/// if it had been seen once before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Frequencies {
    classes: usize,
    /// How often each class was seen, of one group after the other.
    counts: Vec<u64>,
}

impl Frequencies {
    /// No rows yet of one of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: Vec::new() }
    }
}

impl SeriesForecaster for Frequencies {
    fn observe(
        &mut self,
        row: SeriesRow<'_>,
        forecasts: &mut Vec<Option<f64>>,
    ) -> Result<(), Error> {
        let first = row.group * self.classes;
        if self.counts.len() < first + self.classes {
            self.counts.resize(first + self.classes, 1);
        }
        let counts = &mut self.counts[first..][..self.classes];
        let sum = counts.iter().sum::<u64>() as f64;
        forecasts.extend(counts.iter().map(|&count| Some(count as f64 / sum)));
        if let Some(count) = label(row.targets).and_then(|class| counts.get_mut(class)) {
            *count += 1;
        }
        Ok(())
    }
}

/// The least probability of the last class, so that it is the most probable one.
const LIKELY: f64 = 0.51;

/// Forecasts that the next class of a group equals its last one. Its probability is the share of
/// rows so far whose class was that of the row of the group before, where one such row and one
/// other count as seen before, but at least 0.51. The other classes share the rest evenly.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastLabel {
    classes: usize,
    /// The last class of each group.
    last: Vec<Option<usize>>,
    repeated: u64,
    rows: u64,
}

impl LastLabel {
    /// No rows yet of one of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, last: Vec::new(), repeated: 1, rows: 2 }
    }
}

impl SeriesForecaster for LastLabel {
    fn observe(
        &mut self,
        row: SeriesRow<'_>,
        forecasts: &mut Vec<Option<f64>>,
    ) -> Result<(), Error> {
        if self.last.len() <= row.group {
            self.last.resize(row.group + 1, None);
        }
        let last = &mut self.last[row.group];
        let share = (self.repeated as f64 / self.rows as f64).max(LIKELY);
        let rest = (1.0 - share) / self.classes.saturating_sub(1).max(1) as f64;
        let forecast = |class| last.map(|last| if class == last { share } else { rest });
        forecasts.extend((0..self.classes).map(forecast));
        let Some(class) = label(row.targets) else { return Ok(()) };
        if let Some(before) = last.replace(class) {
            self.rows += 1;
            self.repeated += u64::from(before == class);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    /// The forecasts of a class, one row after the other.
    fn forecasts(
        forecaster: &mut impl SeriesForecaster,
        labels: &[Option<usize>],
    ) -> Vec<Vec<Option<f64>>> {
        let row = |&label: &Option<usize>| {
            let target = |class| label.map(|label| if class == label { 1.0 } else { 0.0 });
            let (targets, mut forecast) = ([0, 1, 2].map(target), Vec::new());
            let row = SeriesRow { group: 0, inputs: &[], targets: &targets };
            forecaster.observe(row, &mut forecast).unwrap();
            forecast
        };
        labels.iter().map(row).collect()
    }

    #[test]
    fn frequencies_are_those_so_far() {
        let found = forecasts(&mut Frequencies::new(3), &[Some(1), None, Some(1), Some(2)]);
        let expected = [[1.0, 1.0, 1.0].map(|p| p / 3.0), [0.25, 0.5, 0.25]];
        assert_eq!(found[0], expected[0].map(Some));
        assert_eq!([&found[1], &found[2]], [&expected[1].map(Some); 2]);
        assert_eq!(found[3], [0.2, 0.6, 0.2].map(Some));
    }

    #[test]
    fn the_last_class_is_the_most_probable() {
        let labels = [Some(1), Some(1), None, Some(1), Some(1), Some(0), Some(2), Some(0)];
        let found = forecasts(&mut LastLabel::new(3), &labels);
        assert_eq!(found[0], [None; 3]);
        // One of two rows repeats the class, then two of three, three of four and so on.
        let shares = [0.51, 2.0 / 3.0, 2.0 / 3.0, 0.75, 0.8, 4.0 / 6.0, 4.0 / 7.0];
        for (place, (share, forecast)) in shares.into_iter().zip(&found[1..]).enumerate() {
            let last = labels[..=place].iter().flatten().next_back().unwrap();
            assert!((forecast[*last].unwrap() - share).abs() < 1e-12, "{place}: {forecast:?}");
            let sum: f64 = forecast.iter().flatten().sum();
            assert_abs_diff_eq!(sum, 1.0, epsilon = 1e-12);
        }
    }

    #[test]
    fn groups_do_not_mix() {
        let (mut frequencies, mut last) = (Frequencies::new(2), LastLabel::new(2));
        let mut observe = |group, class: usize| {
            let targets = [0, 1].map(|k| Some(if k == class { 1.0 } else { 0.0 }));
            let row = SeriesRow { group, inputs: &[], targets: &targets };
            let (mut a, mut b) = (Vec::new(), Vec::new());
            frequencies.observe(row, &mut a).unwrap();
            last.observe(row, &mut b).unwrap();
            (a[0], b[0])
        };
        assert_eq!(observe(1, 0), (Some(0.5), None));
        assert_eq!(observe(0, 1), (Some(0.5), None));
        assert_eq!(observe(1, 0), (Some(2.0 / 3.0), Some(0.51)));
        assert_eq!(observe(0, 1).0, Some(1.0 / 3.0));
    }
}
