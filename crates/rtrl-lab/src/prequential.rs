//! Prequential scores: every target is forecast before it is seen, and every forecaster is scored
//! on the same targets.
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
//! let errors: Vec<f64> = scores.settled().iter().filter_map(|sums| sums.rmse()).collect();
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
/// * Several targets: [`Scores::targets`] has the errors of each target in its own unit. In those
///   of all of them together, each error is divided by the standard deviation of all values of its
///   target so far ([`RunningScale`]), so that the units do not matter. The deviation is that of
///   the moment at which the errors are asked for, so that the first values, whose deviation says
///   little, have no more weight in the end than any others.
/// * A class: the surprisal `-ln p` of the class of each row, whose mean is the log loss;
///   [`Scores::classes`] has everything else.
///
/// The first forecasts of each target in each group may be skipped: they count in
/// [`Scores::running`] only, not among the errors that have settled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    skip: u64,
    /// Rows of which a target was forecast by all.
    count: u64,
    /// Of the last row, those of one forecaster after the other.
    #[serde(skip)]
    forecasts: Vec<Option<f64>>,
    /// One for each target that is a number, or one for the class.
    targets: Vec<TargetErrors>,
    /// All values of each of several targets so far; none if there is one.
    scales: Vec<RunningScale>,
    /// One for each forecaster; none of numbers.
    classes: Vec<ClassSums>,
    /// Of each group, the errors of each target.
    groups: Vec<Vec<GroupErrors>>,
}

/// The errors of all forecasters of one target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetErrors {
    /// Over all forecasts, one for each forecaster.
    running: Vec<ErrorSums>,
    /// Over all forecasts except the skipped ones, one for each forecaster.
    pub settled: Vec<ErrorSums>,
}

/// The errors of the first forecaster of one target in one group.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct GroupErrors {
    /// Forecasts, the skipped ones included.
    count: u64,
    settled: ErrorSums,
}

impl Scores {
    /// No errors yet of `forecasters` forecasters of `targets` numbers; the settled sums exclude
    /// the first `skip` forecasts of each target in each group.
    pub fn of_values(forecasters: usize, targets: usize, skip: u64) -> Self {
        let several = if targets == 1 { 0 } else { targets };
        let scales = vec![RunningScale::default(); several];
        Self { scales, ..Self::new(forecasters, targets, skip) }
    }

    /// No errors yet of `forecasters` forecasters of one of `classes` classes.
    pub fn of_classes(forecasters: usize, classes: usize, skip: u64) -> Self {
        let classes = vec![ClassSums::new(classes); forecasters];
        Self { classes, ..Self::new(forecasters, 1, skip) }
    }

    fn new(forecasters: usize, targets: usize, skip: u64) -> Self {
        let sums = vec![ErrorSums::default(); forecasters];
        let target = TargetErrors { running: sums.clone(), settled: sums };
        Self {
            skip,
            count: 0,
            forecasts: Vec::new(),
            targets: vec![target; targets],
            scales: Vec::new(),
            classes: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Lets the values of several targets be followed by those of the rows: `scales` has one scale
    /// for each target.
    #[must_use]
    pub fn after(mut self, scales: &[RunningScale]) -> Self {
        self.scales.iter_mut().zip(scales).for_each(|(place, scale)| *place = *scale);
        self
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
        let counts = if self.classes.is_empty() {
            self.add_values(row, &forecasts)
        } else {
            self.add_class(row, &forecasts)
        };
        self.forecasts = forecasts;
        self.count += u64::from(counts);
        Ok(())
    }

    /// Adds the errors of the forecasts of values; returns whether any of them counts.
    fn add_values(&mut self, row: SeriesRow<'_>, forecasts: &[Option<f64>]) -> bool {
        let (width, mut counts) = (self.targets.len(), false);
        for (j, value) in row.targets.iter().enumerate().take(width) {
            let Some(value) = *value else { continue };
            let forecasts = || forecasts.iter().skip(j).step_by(width);
            if forecasts().all(Option::is_some) {
                self.add_errors(row.group, j, forecasts().flatten().map(|f| f - value));
                counts = true;
            }
            if let Some(scale) = self.scales.get_mut(j) {
                scale.add(value);
            }
        }
        counts
    }

    /// Adds the surprisal of the class of a row; returns whether it counts.
    fn add_class(&mut self, row: SeriesRow<'_>, forecasts: &[Option<f64>]) -> bool {
        let Some(class) = label(row.targets) else { return false };
        if forecasts.iter().any(Option::is_none) {
            return false;
        }
        let each = || forecasts.chunks_exact(row.targets.len());
        let surprisals = each()
            .map(|probabilities| -libm::log(probabilities[class].unwrap_or_default().max(LEAST)));
        if self.add_errors(row.group, 0, surprisals) {
            let sums = self.classes.iter_mut().zip(each());
            sums.for_each(|(sums, probabilities)| sums.add(probabilities, class));
        }
        true
    }

    /// Adds an error of each forecaster of target `j`; returns whether they have settled.
    fn add_errors(&mut self, group: usize, j: usize, errors: impl Iterator<Item = f64>) -> bool {
        if self.groups.len() <= group {
            let none = vec![GroupErrors::default(); self.targets.len()];
            self.groups.resize(group + 1, none);
        }
        let (target, of_group) = (&mut self.targets[j], &mut self.groups[group][j]);
        let settles = of_group.count >= self.skip;
        of_group.count += 1;
        for (i, error) in errors.enumerate() {
            target.running[i].add(error);
            if settles {
                target.settled[i].add(error);
                if i == 0 {
                    of_group.settled.add(error);
                }
            }
        }
        settles
    }

    /// The forecasts of the last row by the first forecaster.
    pub fn forecasts(&self) -> &[Option<f64>] {
        let forecasters = self.targets.first().map_or(1, |target| target.running.len().max(1));
        &self.forecasts[..self.forecasts.len() / forecasters]
    }

    /// The errors of the first forecaster over all forecasts of each target.
    pub fn running(&self) -> Vec<ErrorSums> {
        let first = |target: &TargetErrors| target.running.first().copied().unwrap_or_default();
        self.targets.iter().map(first).collect()
    }

    /// The errors of each forecaster over all forecasts except the skipped ones, of all targets
    /// together.
    pub fn settled(&self) -> Vec<ErrorSums> {
        let forecasters = self.targets.first().map_or(0, |target| target.settled.len());
        let of_targets = |i| self.targets.iter().map(move |target| target.settled[i]);
        (0..forecasters).map(|i| self.together(of_targets(i))).collect()
    }

    /// The same of the first forecaster in each group that has had a forecast.
    pub fn groups(&self) -> Vec<ErrorSums> {
        let of_targets =
            |group: &Vec<GroupErrors>| self.together(group.iter().map(|target| target.settled));
        self.groups.iter().map(of_targets).collect()
    }

    /// The errors of all targets together, from those of each one.
    pub fn together(&self, targets: impl IntoIterator<Item = ErrorSums>) -> ErrorSums {
        let mut all = ErrorSums::default();
        for (j, sums) in targets.into_iter().enumerate() {
            let unit = self.scales.get(j).map_or(1.0, RunningScale::deviation);
            all.count += sums.count;
            all.squares += sums.squares / unit / unit;
            all.absolutes += sums.absolutes / unit;
        }
        all
    }

    /// The loss by which forecasters are compared: the log loss of classes, else the root mean
    /// square error; `None` without errors.
    pub fn loss(&self, sums: &ErrorSums) -> Option<f64> {
        if self.classes.is_empty() { sums.rmse() } else { sums.mae() }
    }

    /// The smallest settled loss that is finite.
    pub fn least(&self) -> Option<f64> {
        let losses = self.settled().into_iter().filter_map(|sums| self.loss(&sums));
        losses.filter(|loss| loss.is_finite()).min_by(f64::total_cmp)
    }

    /// The errors of each of several targets; none if there is one.
    pub fn targets(&self) -> &[TargetErrors] {
        if self.scales.is_empty() { &[] } else { &self.targets }
    }

    /// How well each forecaster has told the classes apart; none if no class is forecast.
    pub fn classes(&self) -> &[ClassSums] {
        &self.classes
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
    use approx::assert_abs_diff_eq;

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
        assert_eq!(scores.running()[0].rmse(), Some((41.0f64 / 3.0).sqrt()));
        let settled = scores.settled();
        assert_eq!(settled[0].rmse(), Some(12.5f64.sqrt()));
        assert_eq!([0, 1].map(|i| settled[i].mae()), [Some(3.5), Some(2.0)]);
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
            before.get_or_insert(scores.running()[0]);
        }
        let sums = scores.running()[0];
        assert_eq!(
            (scores.count(), sums.squares, scores.settled()[0].count),
            (5, f64::INFINITY, 3)
        );
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
            (scores.count(), scores.settled()[0].rmse(), scores.settled()[0].mae()),
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
            scores.settled()
        };
        let each: Vec<_> = scores.targets().iter().map(|target| target.settled.clone()).collect();
        assert_eq!(each, [alone(&[1.0, 2.0, 4.0, 3.0]), alone(&[500.0, 100.0, 900.0])]);
        // In units of the deviations of 1, 2, 4 and 3, and of 500, 100 and 900.
        let (first, second) = ((2.0 * 2.0 + 1.0) / 1.25, 800.0 * 800.0 / (320_000.0 / 3.0));
        let expected = f64::sqrt((first + second) / 3.0);
        let rmse = scores.settled()[0].rmse().unwrap();
        assert!((rmse - expected).abs() < 1e-12, "{rmse} {expected}");
        assert_eq!(scores.together(each.iter().map(|sums| sums[0])), scores.settled()[0]);
        assert_eq!(scores.count(), 3);
        let text = serde_json::to_string(&scores).unwrap();
        let stored: Scores = serde_json::from_str(&text).unwrap();
        assert_eq!(stored.targets()[1].settled, scores.targets()[1].settled);
    }

    /// The deviations are those of the values before the first row, too.
    #[test]
    fn errors_of_several_targets_count_in_deviations_that_are_known_before() {
        let mut known = [RunningScale::default(); 2];
        let mut deviations = [RunningScale::default(); 2];
        for (value, j) in [(0.0, 0), (8.0, 0), (10.0, 1), (50.0, 1)] {
            known[j].add(value);
            deviations[j].add(value);
        }
        let mut scores = Scores::of_values(1, 2, 0).after(&known);
        let none: &mut [Constant] = &mut [];
        take(&mut scores, &mut Constant(Some(0.0), 0.0), none, &[Some(4.0), Some(30.0)]);
        deviations[0].add(4.0);
        deviations[1].add(30.0);
        let errors = [4.0 / deviations[0].deviation(), 30.0 / deviations[1].deviation()];
        let expected = (errors.iter().map(|error| error * error).sum::<f64>() / 2.0).sqrt();
        let rmse = scores.loss(&scores.together(scores.running())).unwrap();
        assert!((rmse - expected).abs() < 1e-12, "{rmse} {expected}");
        // One target is scored in its own unit.
        let mut alone = Scores::of_values(1, 1, 0).after(&known[..1]);
        take(&mut alone, &mut Constant(Some(0.0), 0.0), none, &[Some(4.0)]);
        assert_eq!(alone.settled()[0].rmse(), Some(4.0));
    }

    #[test]
    fn a_class_is_scored_by_its_surprisal() {
        let mut scores = Scores::of_classes(1, 2, 1);
        let none: &mut [Constant] = &mut [];
        for targets in [[Some(1.0), Some(0.0)], [None, None], [Some(0.0), Some(1.0)]] {
            take(&mut scores, &mut Constant(Some(0.25), 0.25), none, &targets);
        }
        assert_eq!((scores.count(), scores.settled()[0].count()), (2, 1));
        let loss = scores.loss(&scores.running()[0]).unwrap();
        assert_abs_diff_eq!(loss, 4.0f64.ln(), epsilon = 1e-15);
        assert_eq!(scores.least(), scores.loss(&scores.settled()[0]));
        assert_eq!(scores.classes()[0].accuracy(), Some(0.0));
    }

    /// The first forecasts of a group do not count, however late it begins.
    #[test]
    fn groups_are_summed_apart() {
        let mut scores = Scores::of_values(1, 1, 1);
        let (mut last, none) = (persistence(), &mut [] as &mut [Constant]);
        for (group, value) in
            [(0, 1.0), (1, 10.0), (0, 2.0), (1, 30.0), (0, 5.0), (2, 0.0), (1, 50.0), (2, 9.0)]
        {
            let row = SeriesRow { group, inputs: &[], targets: &[Some(value)] };
            scores.take(&mut last, none, row).unwrap();
        }
        let rmse: Vec<_> = scores.groups().iter().map(ErrorSums::rmse).collect();
        assert_eq!(rmse, [Some(3.0), Some(20.0), None]);
        let counts = (scores.count(), scores.running()[0].count(), scores.settled()[0].count());
        assert_eq!(counts, (5, 5, 2));
    }
}
