//! Prequential scores: every value is forecast before it is seen, and every forecaster is scored on
//! the same values.
//!
//! ```
//! use rtrl_lab::baselines::{Autoregression, Persistence};
//! use rtrl_lab::prequential::Scores;
//!
//! # fn main() -> Result<(), rtrl_lab::Error> {
//! let (mut persistence, mut autoregression) = (Persistence::default(), Autoregression::new(2)?);
//! // The first 20 forecasts do not count.
//! let mut scores = Scores::new(20);
//! for t in 0..200 {
//!     let value = f64::from(t) * 0.3;
//!     scores.take(&mut [&mut persistence, &mut autoregression], &[], Some(value.sin()))?;
//! }
//! let [persistence, autoregression] = scores.settled.map(|errors| errors.rmse().unwrap());
//! assert!(persistence > 0.2 && autoregression < 1e-3);
//! # Ok(())
//! # }
//! ```

use crate::Error;

/// Forecasts the next value of a series.
pub trait SeriesForecaster {
    /// Takes a row, the inputs and the target of a step, if it has one, and returns the forecast of
    /// the target that was made before the target was seen; `None` as long as there is no forecast.
    ///
    /// # Errors
    /// [`Error::Scale`] for values that cannot be standardised, [`Error::Model`] for errors of the forecaster's model.
    fn observe(&mut self, inputs: &[f64], target: Option<f64>) -> Result<Option<f64>, Error>;
}

/// Accumulated errors of one forecaster.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ErrorSums {
    count: u64,
    squares: f64,
    absolutes: f64,
}

impl ErrorSums {
    /// Adds an error, forecast minus target.
    pub fn add(&mut self, error: f64) {
        self.count += 1;
        self.squares += error * error;
        self.absolutes += error.abs();
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

/// A value and its forecasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record<const N: usize> {
    /// The value.
    pub actual: f64,
    /// One forecast for each forecaster.
    pub forecasts: [f64; N],
}

/// The errors of N forecasters on the same values.
#[derive(Debug, Clone)]
pub struct Scores<const N: usize> {
    skip: u64,
    count: u64,
    /// Over all forecasts.
    pub running: [ErrorSums; N],
    /// Over all forecasts except the skipped ones at the start.
    pub settled: [ErrorSums; N],
    /// Every forecast, if they are kept.
    pub records: Option<Vec<Record<N>>>,
}

impl<const N: usize> Scores<N> {
    /// No errors yet; the settled sums exclude the first `skip` forecasts.
    pub fn new(skip: u64) -> Self {
        let sums = [ErrorSums::default(); N];
        Self { skip, count: 0, running: sums, settled: sums, records: None }
    }

    /// Keeps every forecast in [`Scores::records`].
    #[must_use]
    pub fn keep_records(mut self) -> Self {
        self.records = Some(Vec::new());
        self
    }

    /// Shows every forecaster a row and adds the errors of its forecasts. Rows without a target, or
    /// for which some forecaster has no forecast, do not count.
    ///
    /// # Errors
    /// The first error of a forecaster; the forecasters before it have seen the row.
    pub fn take(
        &mut self,
        forecasters: &mut [&mut dyn SeriesForecaster; N],
        inputs: &[f64],
        target: Option<f64>,
    ) -> Result<(), Error> {
        let mut forecasts = [0.0; N];
        let mut complete = true;
        for (place, forecaster) in forecasts.iter_mut().zip(forecasters) {
            match forecaster.observe(inputs, target)? {
                Some(forecast) => *place = forecast,
                None => complete = false,
            }
        }
        if let (true, Some(target)) = (complete, target) {
            self.add(target, forecasts);
        }
        Ok(())
    }

    /// Adds the errors of the forecasts of a value.
    pub fn add(&mut self, actual: f64, forecasts: [f64; N]) {
        self.count += 1;
        for (index, forecast) in forecasts.into_iter().enumerate() {
            self.running[index].add(forecast - actual);
            if self.count > self.skip {
                self.settled[index].add(forecast - actual);
            }
        }
        if let Some(records) = &mut self.records {
            records.push(Record { actual, forecasts });
        }
    }

    /// The smallest settled root mean square error that is finite.
    pub fn least(&self) -> Option<f64> {
        let errors = self.settled.iter().filter_map(ErrorSums::rmse);
        errors.filter(|rmse| rmse.is_finite()).min_by(f64::total_cmp)
    }

    /// Number of values that were forecast, the skipped ones included.
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::Persistence;

    /// Always one number, from the second row on.
    struct Constant(Option<f64>, f64);

    impl SeriesForecaster for Constant {
        fn observe(&mut self, _: &[f64], _: Option<f64>) -> Result<Option<f64>, Error> {
            Ok(self.0.replace(self.1))
        }
    }

    #[test]
    fn errors_are_those_of_the_formulas_and_skipped_ones_do_not_count() {
        let mut scores = Scores::new(1).keep_records();
        let (mut last, mut zero) = (Persistence::default(), Constant(None, 0.0));
        for value in [5.0, 1.0, 4.0, 0.0] {
            scores.take(&mut [&mut last, &mut zero], &[], Some(value)).unwrap();
        }
        // Persistence is wrong by 4, -3 and 4, the constant by -1, -4 and 0; the first ones are
        // skipped.
        assert_eq!(scores.count(), 3);
        assert_eq!(scores.running.map(|sums| sums.count()), [3, 3]);
        assert_eq!(scores.running[0].rmse(), Some((41.0f64 / 3.0).sqrt()));
        assert_eq!(scores.settled[0].rmse(), Some(12.5f64.sqrt()));
        assert_eq!(scores.settled.map(|sums| sums.mae()), [Some(3.5), Some(2.0)]);
        assert_eq!(scores.least(), Some(8.0f64.sqrt()));
        let records = scores.records.unwrap();
        assert_eq!(records[2], Record { actual: 0.0, forecasts: [4.0, 0.0] });
        assert_eq!(records.len(), 3);
    }

    #[test]
    fn without_a_forecast_that_counts_there_is_no_score() {
        let mut scores = Scores::<1>::new(5);
        scores.add(1.0, [2.0]);
        assert_eq!((scores.settled[0].rmse(), scores.settled[0].mae()), (None, None));
        assert_eq!((scores.least(), scores.records), (None, None));
    }

    /// Otherwise a forecaster that overflows could win.
    #[test]
    fn an_error_that_is_not_finite_is_not_the_least() {
        let mut scores = Scores::new(0);
        scores.add(1.0, [f64::NAN, f64::NEG_INFINITY, 3.0]);
        assert_eq!(scores.least(), Some(2.0));
        scores.add(1.0, [0.0, 0.0, f64::INFINITY]);
        assert_eq!(scores.least(), None);
    }

    #[test]
    fn a_row_without_a_target_or_a_forecast_does_not_count() {
        let mut scores = Scores::new(0);
        let (mut early, mut late) = (Constant(Some(1.0), 1.0), Constant(None, 1.0));
        scores.take(&mut [&mut early, &mut late], &[], Some(0.0)).unwrap();
        assert_eq!(scores.count(), 0);
        scores.take(&mut [&mut early, &mut late], &[], None).unwrap();
        assert_eq!(scores.count(), 0);
        scores.take(&mut [&mut early, &mut late], &[], Some(0.0)).unwrap();
        assert_eq!(scores.count(), 1);
    }
}
