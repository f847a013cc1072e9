//! Prequential scores: every value is forecast before it is seen, and every forecaster is scored on
//! the same values.
//!
//! ```
//! use rtrl_lab::baselines::{Autoregression, Persistence};
//! use rtrl_lab::prequential::Scores;
//!
//! # fn main() -> Result<(), rtrl_lab::Error> {
//! let mut autoregression = Autoregression::new(2)?;
//! let mut baselines = [Persistence::default()];
//! // The first 20 forecasts do not count.
//! let mut scores = Scores::new(1 + baselines.len(), 20);
//! for t in 0..200 {
//!     let value = (f64::from(t) * 0.3).sin();
//!     scores.take(&mut autoregression, &mut baselines, &[], Some(value))?;
//! }
//! let errors: Vec<f64> = scores.settled.iter().filter_map(|sums| sums.rmse()).collect();
//! assert!(errors[0] < 1e-3 && errors[1] > 0.2);
//! # Ok(())
//! # }
//! ```

use serde::{Deserialize, Serialize};

use crate::{Error, bits};

/// Forecasts the next value of a series.
pub trait SeriesForecaster {
    /// Takes a row, the inputs and the target of a step, if it has one, and returns the forecast of
    /// the target that was made before the target was seen; `None` as long as there is no forecast.
    ///
    /// # Errors
    /// [`Error::Scale`] for values that cannot be standardised, [`Error::Model`] for errors of the
    /// forecaster's model.
    fn observe(&mut self, inputs: &[f64], target: Option<f64>) -> Result<Option<f64>, Error>;
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

/// The errors of a forecaster and its baselines on the same values. They can be stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scores {
    skip: u64,
    /// Of the last row, one of each forecaster.
    #[serde(skip)]
    forecasts: Vec<f64>,
    /// Over all forecasts, one for each forecaster.
    pub running: Vec<ErrorSums>,
    /// Over all forecasts except the skipped ones at the start.
    pub settled: Vec<ErrorSums>,
}

impl Scores {
    /// No errors yet of `forecasters` forecasters; the settled sums exclude the first `skip` forecasts.
    pub fn new(forecasters: usize, skip: u64) -> Self {
        let sums = vec![ErrorSums::default(); forecasters];
        let forecasts = Vec::with_capacity(forecasters);
        Self { skip, forecasts, running: sums.clone(), settled: sums }
    }

    /// Shows every forecaster a row, adds the errors of its forecasts, and returns the forecast of
    /// the first. Rows without a target, or for which some forecaster has no forecast, do not
    /// count.
    ///
    /// # Errors
    /// The first error of a forecaster; the forecasters before it have seen the row.
    pub fn take<B: SeriesForecaster>(
        &mut self,
        first: &mut impl SeriesForecaster,
        baselines: &mut [B],
        inputs: &[f64],
        target: Option<f64>,
    ) -> Result<Option<f64>, Error> {
        self.forecasts.clear();
        let forecast = first.observe(inputs, target)?;
        self.forecasts.extend(forecast);
        for baseline in &mut *baselines {
            self.forecasts.extend(baseline.observe(inputs, target)?);
        }
        if let Some(target) = target
            && self.forecasts.len() == 1 + baselines.len()
        {
            self.add(target);
        }
        Ok(forecast)
    }

    /// Adds the errors of the forecasts of a value.
    fn add(&mut self, actual: f64) {
        let sums = self.running.iter_mut().zip(&mut self.settled);
        for (forecast, (running, settled)) in self.forecasts.iter().zip(sums) {
            running.add(forecast - actual);
            if running.count() > self.skip {
                settled.add(forecast - actual);
            }
        }
    }

    /// The forecasts of the last row, one of each forecaster if the row counts.
    pub fn forecasts(&self) -> &[f64] {
        &self.forecasts
    }

    /// The smallest settled root mean square error that is finite.
    pub fn least(&self) -> Option<f64> {
        let errors = self.settled.iter().filter_map(ErrorSums::rmse);
        errors.filter(|rmse| rmse.is_finite()).min_by(f64::total_cmp)
    }

    /// Number of values that were forecast, the skipped ones included.
    pub fn count(&self) -> u64 {
        self.running.first().map_or(0, ErrorSums::count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::Persistence;

    /// Always one number, from the second row on.
    #[derive(Clone, Copy)]
    struct Constant(Option<f64>, f64);

    impl SeriesForecaster for Constant {
        fn observe(&mut self, _: &[f64], _: Option<f64>) -> Result<Option<f64>, Error> {
            Ok(self.0.replace(self.1))
        }
    }

    #[test]
    fn errors_are_those_of_the_formulas_and_skipped_ones_do_not_count() {
        let mut scores = Scores::new(2, 1);
        let (mut last, mut zero) = (Persistence::default(), [Constant(None, 0.0)]);
        let mut forecasts = Vec::new();
        for value in [5.0, 1.0, 4.0, 0.0] {
            forecasts.push(scores.take(&mut last, &mut zero, &[], Some(value)).unwrap());
        }
        // Persistence is wrong by 4, -3 and 4, the constant by -1, -4 and 0; the first ones are
        // skipped.
        assert_eq!(forecasts, [None, Some(5.0), Some(1.0), Some(4.0)]);
        assert_eq!((scores.count(), scores.forecasts()), (3, [4.0, 0.0].as_slice()));
        assert_eq!(scores.running.iter().map(ErrorSums::count).collect::<Vec<_>>(), [3, 3]);
        assert_eq!(scores.running[0].rmse(), Some((41.0f64 / 3.0).sqrt()));
        assert_eq!(scores.settled[0].rmse(), Some(12.5f64.sqrt()));
        assert_eq!([0, 1].map(|i| scores.settled[i].mae()), [Some(3.5), Some(2.0)]);
        assert_eq!(scores.least(), Some(8.0f64.sqrt()));
    }

    #[test]
    fn stored_scores_continue_with_the_same_bits() {
        let mut last = Persistence::default();
        let (mut scores, mut before) = (Scores::new(1, 2), None);
        for value in [1.0, 0.1, f64::MAX, 0.3, -f64::MAX, 0.7] {
            let none: &mut [Persistence] = &mut [];
            scores.take(&mut last, none, &[], Some(value)).unwrap();
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
        let mut scores = Scores::new(all.len(), skip);
        let (first, baselines) = all.split_first_mut().unwrap();
        scores.take(first, baselines, &[], Some(target)).unwrap();
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
        let mut scores = Scores::new(2, 0);
        let (mut early, mut late) = (Constant(Some(1.0), 1.0), [Constant(None, 1.0)]);
        scores.take(&mut early, &mut late, &[], Some(0.0)).unwrap();
        assert_eq!(scores.count(), 0);
        scores.take(&mut early, &mut late, &[], None).unwrap();
        assert_eq!(scores.count(), 0);
        scores.take(&mut early, &mut late, &[], Some(0.0)).unwrap();
        assert_eq!(scores.count(), 1);
    }
}
