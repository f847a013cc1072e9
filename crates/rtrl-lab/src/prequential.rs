//! Prequential scores: every target is forecast before it is seen, and every forecaster is scored on
//! the same targets.
//!
//! ```
//! use rtrl_lab::baselines::{Autoregression, PerTarget, Persistence};
//! use rtrl_lab::prequential::{Scores, SeriesRow};
//!
//! # fn main() -> Result<(), rtrl_lab::Error> {
//! let mut autoregression = PerTarget::new(Autoregression::new(2)?);
//! let mut baselines = [PerTarget::new(Persistence::default())];
//! // The first 20 forecasts do not count.
//! let mut scores = Scores::of_values(1 + baselines.len(), 1, 20);
//! for t in 0..200 {
//!     let value = (f64::from(t) * 0.3).sin();
//!     let row = SeriesRow { group: 0, inputs: &[], targets: &[Some(value)] };
//!     scores.take(&mut autoregression, &mut baselines, row)?;
//! }
//! let errors: Vec<f64> = scores.settled.iter().filter_map(|sums| sums.rmse()).collect();
//! assert!(errors[0] < 1e-3 && errors[1] > 0.2);
//! # Ok(())
//! # }
//! ```

use serde::{Deserialize, Serialize};

use crate::labels::{ClassSums, label};
use crate::scale::RunningScale;
use crate::{Error, bits};

/// A row of a series: the inputs of a step and its targets, each `None` if it is missing.
///
/// Where the target is a class, `targets` has one number for each class: 1 for the class of the
/// row, 0 for the others, or none at all.
#[derive(Debug, Clone, Copy)]
pub struct SeriesRow<'a> {
    /// The group of the row: groups are series of their own, whose rows are interleaved. They are
    /// numbered from 0 in the order of their first rows.
    pub group: usize,
    /// The inputs.
    pub inputs: &'a [f64],
    /// The targets.
    pub targets: &'a [Option<f64>],
}

/// Forecasts the targets of the next row of a series.
pub trait SeriesForecaster {
    /// Takes a row and appends to `forecasts` those of its targets, one for each, that were made
    /// before the targets were seen; `None` as long as there is no forecast of a target. The
    /// forecasts of classes are their probabilities.
    ///
    /// # Errors
    /// [`Error::Scale`] for values that cannot be standardised, [`Error::Model`] for errors of the
    /// forecaster's model.
    fn observe(
        &mut self,
        row: SeriesRow<'_>,
        forecasts: &mut Vec<Option<f64>>,
    ) -> Result<(), Error>;
}

/// Accumulated errors of one forecaster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorSums {
    count: u64,
    #[serde(with = "bits")]
    squares: f64,
    #[serde(with = "bits")]
    absolutes: f64,
}

impl ErrorSums {
    /// Adds an error, forecast minus target.
    pub fn add(&mut self, error: f64) {
        self.count += 1;
        self.squares += error * error;
        self.absolutes += error.abs();
    }

    /// The errors that were added after `earlier`, up to rounding.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            count: self.count - earlier.count,
            squares: self.squares - earlier.squares,
            absolutes: self.absolutes - earlier.absolutes,
        }
    }

    /// Number of errors.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The root mean square error; `None` without errors.
    pub fn rmse(&self) -> Option<f64> {
        (self.count > 0).then(|| (self.squares / self.count as f64).sqrt())
    }

    /// The mean absolute error; `None` without errors.
    pub fn mae(&self) -> Option<f64> {
        (self.count > 0).then(|| self.absolutes / self.count as f64)
    }
}

/// The errors of a forecaster and its baselines on the same targets. They can be stored.
///
/// * One target: the errors are forecast minus target.
/// * Several targets: the errors of all of them together, each divided by the standard deviation of
///   its target over the values before ([`RunningScale`]), so that the units do not matter;
///   [`Scores::targets`] has the errors of each target in its own unit.
/// * A class: the surprisal `-ln p` of the class of each row, whose mean is the log loss;
///   [`Scores::classes`] has everything else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    skip: u64,
    /// Rows of which a target was forecast by all.
    count: u64,
    /// Of the last row, those of one forecaster after the other.
    #[serde(skip)]
    forecasts: Vec<Option<f64>>,
    /// Over all forecasts, one for each forecaster.
    pub running: Vec<ErrorSums>,
    /// Over all forecasts except the skipped ones at the start.
    pub settled: Vec<ErrorSums>,
    /// The settled errors of each group; none unless groups are told apart.
    groups: Option<Vec<Vec<ErrorSums>>>,
    kind: Kind,
}

/// What is forecast.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Value,
    Values(Vec<TargetErrors>),
    /// One for each forecaster.
    Class(Vec<ClassSums>),
}

/// The errors of one of several targets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetErrors {
    scale: RunningScale,
    count: u64,
    /// Over all forecasts of this target except the skipped ones at the start, one for each
    /// forecaster.
    pub settled: Vec<ErrorSums>,
}

impl Scores {
    /// No errors yet of `forecasters` forecasters of `targets` numbers; the settled sums exclude the
    /// first `skip` forecasts of each target.
    pub fn of_values(forecasters: usize, targets: usize, skip: u64) -> Self {
        let settled = vec![ErrorSums::default(); forecasters];
        let target = TargetErrors { scale: RunningScale::default(), count: 0, settled };
        let kind = if targets == 1 { Kind::Value } else { Kind::Values(vec![target; targets]) };
        Self::new(forecasters, skip, kind)
    }

    /// No errors yet of `forecasters` forecasters of one of `classes` classes.
    pub fn of_classes(forecasters: usize, classes: usize, skip: u64) -> Self {
        Self::new(forecasters, skip, Kind::Class(vec![ClassSums::new(classes); forecasters]))
    }

    fn new(forecasters: usize, skip: u64, kind: Kind) -> Self {
        let sums = vec![ErrorSums::default(); forecasters];
        let (running, forecasts) = (sums.clone(), Vec::new());
        Self { skip, count: 0, forecasts, running, settled: sums, groups: None, kind }
    }

    /// Also sums the errors of each group.
    #[must_use]
    pub fn by_group(self) -> Self {
        Self { groups: Some(Vec::new()), ..self }
    }

    /// The settled errors of each group, of one forecaster after the other, if groups are told
    /// apart.
    pub fn groups(&self) -> &[Vec<ErrorSums>] {
        self.groups.as_deref().unwrap_or_default()
    }

    /// Adds an error of forecaster `i`, which counts among the settled ones if it `settles`.
    fn add_error(&mut self, group: usize, i: usize, error: f64, settles: bool) {
        self.running[i].add(error);
        if !settles {
            return;
        }
        self.settled[i].add(error);
        if let Some(groups) = &mut self.groups {
            if groups.len() <= group {
                groups.resize(group + 1, vec![ErrorSums::default(); self.settled.len()]);
            }
            groups[group][i].add(error);
        }
    }

    /// Shows every forecaster a row and adds the errors of its forecasts. Targets that are missing,
    /// or for which some forecaster has no forecast, do not count.
    ///
    /// # Errors
    /// The first error of a forecaster; the forecasters before it have seen the row.
    pub fn take<B: SeriesForecaster>(
        &mut self,
        first: &mut impl SeriesForecaster,
        baselines: &mut [B],
        row: SeriesRow<'_>,
    ) -> Result<(), Error> {
        self.forecasts.clear();
        first.observe(row, &mut self.forecasts)?;
        for baseline in &mut *baselines {
            baseline.observe(row, &mut self.forecasts)?;
        }
        let forecasts = std::mem::take(&mut self.forecasts);
        let mut kind = std::mem::replace(&mut self.kind, Kind::Value);
        let counts = match &mut kind {
            Kind::Value => self.add_value(row, &forecasts),
            Kind::Values(targets) => self.add_values(row, &forecasts, targets),
            Kind::Class(classes) => self.add_class(row, &forecasts, classes),
        };
        (self.forecasts, self.kind) = (forecasts, kind);
        self.count += u64::from(counts);
        Ok(())
    }

    /// Adds the errors of the forecasts of one value; returns whether they count.
    fn add_value(&mut self, row: SeriesRow<'_>, forecasts: &[Option<f64>]) -> bool {
        let target = row.targets.first().copied().flatten();
        let Some(target) = target.filter(|_| forecasts.iter().all(Option::is_some)) else {
            return false;
        };
        let settles = self.count >= self.skip;
        for (i, forecast) in forecasts.iter().flatten().enumerate() {
            self.add_error(row.group, i, forecast - target, settles);
        }
        true
    }

    /// Adds the errors of the forecasts of several values.
    fn add_values(
        &mut self,
        row: SeriesRow<'_>,
        forecasts: &[Option<f64>],
        targets: &mut [TargetErrors],
    ) -> bool {
        let (width, mut counts) = (targets.len(), false);
        for (j, (target, value)) in targets.iter_mut().zip(row.targets).enumerate() {
            let Some(value) = *value else { continue };
            let forecasts = || forecasts.iter().skip(j).step_by(width);
            if forecasts().all(Option::is_some) {
                let settles = target.count >= self.skip;
                let unit = target.scale.deviation();
                for (i, forecast) in forecasts().flatten().enumerate() {
                    self.add_error(row.group, i, (forecast - value) / unit, settles);
                    if settles {
                        target.settled[i].add(forecast - value);
                    }
                }
                target.count += 1;
                counts = true;
            }
            target.scale.add(value);
        }
        counts
    }

    /// Adds the surprisal of the class of a row.
    fn add_class(
        &mut self,
        row: SeriesRow<'_>,
        forecasts: &[Option<f64>],
        classes: &mut [ClassSums],
    ) -> bool {
        let Some(class) = label(row.targets) else { return false };
        if forecasts.iter().any(Option::is_none) {
            return false;
        }
        let settles = self.count >= self.skip;
        for (i, forecast) in forecasts.chunks_exact(row.targets.len()).enumerate() {
            let surprisal = -libm::log(forecast[class].unwrap_or_default().max(LEAST));
            self.add_error(row.group, i, surprisal, settles);
            if settles {
                classes[i].add(forecast, class);
            }
        }
        true
    }

    /// The forecasts of the last row by the first forecaster.
    pub fn forecasts(&self) -> &[Option<f64>] {
        let forecasters = self.running.len().max(1);
        &self.forecasts[..self.forecasts.len() / forecasters]
    }

    /// The loss by which forecasters are compared: the log loss of classes, else the root mean
    /// square error; `None` without errors.
    pub fn loss(&self, sums: &ErrorSums) -> Option<f64> {
        match self.kind {
            Kind::Class(_) => sums.mae(),
            _ => sums.rmse(),
        }
    }

    /// The smallest settled loss that is finite.
    pub fn least(&self) -> Option<f64> {
        let losses = self.settled.iter().filter_map(|sums| self.loss(sums));
        losses.filter(|loss| loss.is_finite()).min_by(f64::total_cmp)
    }

    /// The errors of each of several targets; none if there is one.
    pub fn targets(&self) -> &[TargetErrors] {
        if let Kind::Values(targets) = &self.kind { targets } else { &[] }
    }

    /// How well each forecaster has told the classes apart; none if no class is forecast.
    pub fn classes(&self) -> &[ClassSums] {
        if let Kind::Class(classes) = &self.kind { classes } else { &[] }
    }

    /// Number of rows of which a target was forecast, the skipped ones included.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// The least probability that counts: the surprisal of an impossible class is about 709.
const LEAST: f64 = f64::MIN_POSITIVE;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::{PerTarget, Persistence};

    /// Always one number, from the second row on.
    #[derive(Clone, Copy)]
    struct Constant(Option<f64>, f64);

    impl SeriesForecaster for Constant {
        fn observe(
            &mut self,
            row: SeriesRow<'_>,
            forecasts: &mut Vec<Option<f64>>,
        ) -> Result<(), Error> {
            forecasts.resize(forecasts.len() + row.targets.len(), self.0.replace(self.1));
            Ok(())
        }
    }

    /// Shows a row without inputs to all.
    fn take<B: SeriesForecaster>(
        scores: &mut Scores,
        first: &mut impl SeriesForecaster,
        baselines: &mut [B],
        targets: &[Option<f64>],
    ) {
        scores.take(first, baselines, SeriesRow { group: 0, inputs: &[], targets }).unwrap();
    }

    fn persistence() -> PerTarget<Persistence> {
        PerTarget::new(Persistence::default())
    }

    #[test]
    fn errors_are_those_of_the_formulas_and_skipped_ones_do_not_count() {
        let mut scores = Scores::of_values(2, 1, 1);
        let (mut last, mut zero) = (persistence(), [Constant(None, 0.0)]);
        let mut forecasts = Vec::new();
        for value in [5.0, 1.0, 4.0, 0.0] {
            take(&mut scores, &mut last, &mut zero, &[Some(value)]);
            forecasts.extend_from_slice(scores.forecasts());
        }
        // Persistence is wrong by 4, -3 and 4, the constant by -1, -4 and 0; the first ones are
        // skipped.
        assert_eq!(forecasts, [None, Some(5.0), Some(1.0), Some(4.0)]);
        assert_eq!(scores.count(), 3);
        assert_eq!(scores.running.iter().map(ErrorSums::count).collect::<Vec<_>>(), [3, 3]);
        assert_eq!(scores.running[0].rmse(), Some((41.0f64 / 3.0).sqrt()));
        assert_eq!(scores.settled[0].rmse(), Some(12.5f64.sqrt()));
        assert_eq!([0, 1].map(|i| scores.settled[i].mae()), [Some(3.5), Some(2.0)]);
        assert_eq!(scores.least(), Some(8.0f64.sqrt()));
    }

    #[test]
    fn stored_scores_continue_with_the_same_bits() {
        let mut last = persistence();
        let (mut scores, mut before) = (Scores::of_values(1, 1, 2), None);
        for value in [1.0, 0.1, f64::MAX, 0.3, -f64::MAX, 0.7] {
            let none: &mut [Constant] = &mut [];
            take(&mut scores, &mut last, none, &[Some(value)]);
            let text = serde_json::to_string(&scores).unwrap();
            scores = serde_json::from_str(&text).unwrap();
            before.get_or_insert(scores.running[0]);
        }
        let sums = scores.running[0];
        assert_eq!((scores.count(), sums.squares, scores.settled[0].count), (5, f64::INFINITY, 3));
        assert_eq!(sums.since(&before.unwrap()).count(), 5);
        assert!(sums.absolutes.is_infinite() || sums.absolutes > f64::MAX / 2.0);
    }

    /// Scores of constants.
    fn constants(values: &[f64], skip: u64, target: f64) -> Scores {
        let mut all: Vec<_> = values.iter().map(|&v| Constant(Some(v), v)).collect();
        let mut scores = Scores::of_values(all.len(), 1, skip);
        let (first, baselines) = all.split_first_mut().unwrap();
        take(&mut scores, first, baselines, &[Some(target)]);
        scores
    }

    #[test]
    fn without_a_forecast_that_counts_there_is_no_score() {
        let scores = constants(&[2.0], 5, 1.0);
        assert_eq!(
            (scores.count(), scores.settled[0].rmse(), scores.settled[0].mae()),
            (1, None, None)
        );
        assert_eq!(scores.least(), None);
    }

    /// Otherwise a forecaster that overflows could win.
    #[test]
    fn an_error_that_is_not_finite_is_not_the_least() {
        let scores = constants(&[f64::NAN, f64::NEG_INFINITY, 3.0], 0, 1.0);
        assert_eq!(scores.least(), Some(2.0));
        let scores = constants(&[f64::NAN, f64::NEG_INFINITY], 0, 1.0);
        assert_eq!(scores.least(), None);
    }

    #[test]
    fn a_row_without_a_target_or_a_forecast_does_not_count() {
        let mut scores = Scores::of_values(2, 1, 0);
        let (mut early, mut late) = (Constant(Some(1.0), 1.0), [Constant(None, 1.0)]);
        take(&mut scores, &mut early, &mut late, &[Some(0.0)]);
        assert_eq!(scores.count(), 0);
        take(&mut scores, &mut early, &mut late, &[None]);
        assert_eq!(scores.count(), 0);
        take(&mut scores, &mut early, &mut late, &[Some(0.0)]);
        assert_eq!(scores.count(), 1);
    }

    /// The errors of each target are those of the target alone; together they have no units.
    #[test]
    fn several_targets_are_scored_alone_and_together() {
        let rows = [(1.0, Some(500.0)), (2.0, None), (4.0, Some(100.0)), (3.0, Some(900.0))];
        let mut scores = Scores::of_values(2, 2, 1);
        let (mut first, mut zero) = (persistence(), [Constant(Some(0.0), 0.0)]);
        for (a, b) in rows {
            take(&mut scores, &mut first, &mut zero, &[Some(a), b]);
        }
        let alone = |values: &[f64]| {
            let mut scores = Scores::of_values(2, 1, 1);
            let (mut first, mut zero) = (persistence(), [Constant(Some(0.0), 0.0)]);
            for &value in values {
                take(&mut scores, &mut first, &mut zero, &[Some(value)]);
            }
            scores.settled
        };
        let each: Vec<_> = scores.targets().iter().map(|target| target.settled.clone()).collect();
        assert_eq!(each, [alone(&[1.0, 2.0, 4.0, 3.0]), alone(&[500.0, 100.0, 900.0])]);
        // In units of the deviations of 1 and 2, of 1, 2 and 4, and of 500 and 100.
        let errors = [2.0 / 0.5, 1.0 / (14.0f64 / 9.0).sqrt(), 800.0 / 200.0];
        let expected = (errors.iter().map(|error| error * error).sum::<f64>() / 3.0).sqrt();
        let rmse = scores.settled[0].rmse().unwrap();
        assert!((rmse - expected).abs() < 1e-12, "{rmse} {expected}");
        assert_eq!(scores.count(), 3);
        let text = serde_json::to_string(&scores).unwrap();
        let stored: Scores = serde_json::from_str(&text).unwrap();
        assert_eq!(stored.targets()[1].settled, scores.targets()[1].settled);
    }

    #[test]
    fn a_class_is_scored_by_its_surprisal() {
        let mut scores = Scores::of_classes(1, 2, 1);
        let none: &mut [Constant] = &mut [];
        for targets in [[Some(1.0), Some(0.0)], [None, None], [Some(0.0), Some(1.0)]] {
            take(&mut scores, &mut Constant(Some(0.25), 0.25), none, &targets);
        }
        assert_eq!((scores.count(), scores.settled[0].count()), (2, 1));
        assert!((scores.loss(&scores.running[0]).unwrap() - 4.0f64.ln()).abs() < 1e-15);
        assert_eq!(scores.least(), scores.loss(&scores.settled[0]));
        assert_eq!(scores.classes()[0].accuracy(), Some(0.0));
    }

    #[test]
    fn groups_are_summed_apart() {
        let mut scores = Scores::of_values(1, 1, 1).by_group();
        let (mut last, none) = (persistence(), &mut [] as &mut [Constant]);
        for (group, value) in [(0, 1.0), (1, 10.0), (0, 2.0), (1, 30.0), (0, 5.0)] {
            let row = SeriesRow { group, inputs: &[], targets: &[Some(value)] };
            scores.take(&mut last, none, row).unwrap();
        }
        let rmse: Vec<_> = scores.groups().iter().map(|sums| sums[0].rmse()).collect();
        assert_eq!(rmse, [Some(3.0), Some(20.0)]);
        assert_eq!((scores.count(), scores.settled[0].count()), (3, 2));
        assert!(Scores::of_values(1, 1, 1).groups().is_empty());
    }
}
