//! Columns that are numbers: their scales, and the outputs of a network that forecast them.

use super::Predict;
use crate::Error;
use crate::scale::RunningScale;

/// The running scales of some columns.
#[derive(Debug)]
pub(super) struct Scales {
    each: Vec<RunningScale>,
    /// Those after the next row.
    next: Vec<RunningScale>,
}

impl From<Vec<RunningScale>> for Scales {
    fn from(each: Vec<RunningScale>) -> Self {
        Self { next: each.clone(), each }
    }
}

impl Scales {
    /// One for each column.
    pub(super) fn each(&self) -> &[RunningScale] {
        &self.each
    }

    /// Adds the values of a row that are not missing, or, unless the scales learn, only makes sure
    /// that they could be added.
    ///
    /// # Errors
    /// [`Error::Scale`] if a scale cannot take its value; then none does.
    pub(super) fn take(
        &mut self,
        values: impl Iterator<Item = Option<f64>>,
        learns: bool,
    ) -> Result<(), Error> {
        self.next.clone_from(&self.each);
        for (scale, value) in self.next.iter_mut().zip(values) {
            let Some(value) = value else { continue };
            scale.add(value);
            if !(scale.mean() * scale.deviation()).is_finite() {
                return Err(Error::Scale);
            }
        }
        if learns {
            std::mem::swap(&mut self.each, &mut self.next);
        }
        Ok(())
    }

    /// Converts the outputs for all columns to values; `present` are the last values.
    pub(super) fn decode(&self, predict: Predict, present: &[Option<f64>], outputs: &mut [f64]) {
        for ((output, scale), &present) in outputs.iter_mut().zip(&self.each).zip(present) {
            *output = base(predict, scale, present) + *output * scale.deviation();
        }
    }

    /// The output for a value of column `j`.
    pub(super) fn encode(
        &self,
        predict: Predict,
        j: usize,
        present: Option<f64>,
        value: f64,
    ) -> f64 {
        let scale = &self.each[j];
        (value - base(predict, scale, present)) / scale.deviation()
    }
}

/// The value for an output of 0.
fn base(predict: Predict, scale: &RunningScale, present: Option<f64>) -> f64 {
    match (predict, present) {
        (Predict::Change, Some(present)) => present,
        _ => scale.mean(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tested::{forecaster, pair, score, wave};
    use super::*;
    use crate::prequential::{Scores, SeriesForecaster, SeriesRow};

    fn error(predict: Predict, series: impl Iterator<Item = f64>) -> f64 {
        let mut network = forecaster(predict, 1e-3);
        let mut scores = Scores::of_values(1, 1, 200);
        for value in series {
            score(&mut scores, &mut network, value, Some(value));
        }
        assert_eq!(network.mishaps(), 0);
        scores.settled()[0].rmse().unwrap()
    }

    /// Persistence has 0.63.
    #[test]
    fn a_wave_is_learnt_as_value_and_as_change() {
        for predict in [Predict::Value, Predict::Change] {
            let error = error(predict, (0..400).map(wave));
            assert!(error < 0.3, "{predict:?}: {error}");
        }
    }

    /// The negative control of the test above: the same values in an order that nothing can be
    /// learnt from.
    #[test]
    fn shuffled_values_are_not() {
        let mut generator = rtrl_model::Generator::new(5);
        let order = (0..400).map(|_| 40.0 + 3.0 * libm::sin(generator.between(0.0, 120.0)));
        let error = error(Predict::Value, order);
        assert!(error > 1.0, "{error}");
    }

    #[test]
    fn values_that_cannot_be_standardised_are_refused() {
        let mut network = forecaster(Predict::Value, 1e-3);
        network.take(0.0, Some(f64::MAX)).unwrap();
        assert!(matches!(network.take(0.0, Some(-f64::MAX)), Err(Error::Scale)));
        let row = SeriesRow { group: 0, inputs: &[], targets: &[Some(1.0)] };
        let short = network.observe(row, &mut Vec::new());
        let refused = rtrl_model::Error::InputLength { expected: 1, got: 0 };
        assert_eq!(short.unwrap_err().to_string(), refused.to_string());
    }

    /// If only the readout learns, by least squares, each output forecasts as if it were alone,
    /// whatever is missing of the other.
    #[test]
    fn a_target_that_is_missing_is_none_of_its_output() {
        let forecasts = |missing: bool| {
            let mut network = pair(Predict::Value);
            network.learner.set_learning_rate(0.0).unwrap();
            let mut all = Vec::new();
            for t in 0..60 {
                let second = (!missing || t % 3 > 0).then(|| -wave(t));
                let targets = [Some(wave(t + 1)), second];
                let row = SeriesRow { group: 0, inputs: &[wave(t)], targets: &targets };
                network.observe(row, &mut all).unwrap();
            }
            assert_eq!(network.mishaps(), 0);
            all.chunks(2).map(|pair| [pair[0], pair[1]].map(|f| f.map(f64::to_bits))).collect()
        };
        let (whole, missing): (Vec<_>, Vec<_>) = (forecasts(false), forecasts(true));
        assert!(whole.iter().zip(&missing).all(|(a, b)| a[0] == b[0]));
        assert_ne!(whole[59][1], missing[59][1]);
    }
}
