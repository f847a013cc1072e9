//! Baseline forecasters. They use only the past of the target, not the inputs, and ignore rows
//! without a target.

use std::collections::VecDeque;

use rtrl_model::RecursiveLeastSquares;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::prequential::{SeriesForecaster, SeriesRow};

/// Forecasts the next value of one target from its past.
pub trait Baseline: Clone {
    /// Takes a value and returns its forecast, made before it was seen; `None` as long as there is
    /// none.
    ///
    /// # Errors
    /// [`Error::Model`] for errors of the forecaster's model.
    fn observe(&mut self, value: f64) -> Result<Option<f64>, Error>;
}

/// A baseline for each target of each group of a series.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PerTarget<B> {
    /// One that has seen no value.
    fresh: B,
    each: Vec<B>,
}

impl<B: Baseline> PerTarget<B> {
    /// Copies of `fresh`, which has seen no value, for targets whose number is that of the first
    /// row.
    pub fn new(fresh: B) -> Self {
        Self { fresh, each: Vec::new() }
    }
}

impl<B: Baseline> SeriesForecaster for PerTarget<B> {
    fn observe(
        &mut self,
        row: SeriesRow<'_>,
        forecasts: &mut Vec<Option<f64>>,
    ) -> Result<(), Error> {
        let first = row.group * row.targets.len();
        if self.each.len() < first + row.targets.len() {
            self.each.resize(first + row.targets.len(), self.fresh.clone());
        }
        for (baseline, target) in self.each[first..].iter_mut().zip(row.targets) {
            forecasts.push(match *target {
                Some(target) => baseline.observe(target)?,
                None => None,
            });
        }
        Ok(())
    }
}

/// Forecasts that the next value equals the last one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Persistence {
    last: Option<f64>,
}

impl Baseline for Persistence {
    fn observe(&mut self, value: f64) -> Result<Option<f64>, Error> {
        Ok(self.last.replace(value))
    }
}

/// Ridge penalty of the autoregression, for values whose largest is about 1.
const RIDGE: f64 = 1e-6;

/// A linear autoregression of order k: a linear function of a constant and the last k values,
/// fitted by recursive least squares without forgetting, with a ridge penalty of 1e-6.
///
/// Values are measured in units of the largest among the first 2 k, so that the penalty is
/// comparable for all series. Until there are 2 k values the forecast is the last value. Only
/// values with k predecessors enter the fit.
///
/// It can be stored and continues with the same bits, if the format keeps them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct Autoregression {
    order: usize,
    model: RecursiveLeastSquares,
    /// The last values, newest first.
    past: VecDeque<f64>,
    /// The unit, once it is known.
    unit: Option<f64>,
    /// 1, then the last values, newest first, in units of `unit`.
    features: Vec<f64>,
}

/// What an autoregression stores.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    order: usize,
    past: VecDeque<f64>,
    unit: Option<f64>,
    weights: Vec<f64>,
    inverse: Vec<f64>,
}

impl From<Autoregression> for Stored {
    fn from(from: Autoregression) -> Self {
        let Autoregression { order, model, past, unit, .. } = from;
        let (weights, inverse) = (model.weights().to_vec(), model.inverse().to_vec());
        Self { order, past, unit, weights, inverse }
    }
}

impl TryFrom<Stored> for Autoregression {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let Stored { order, past, unit, weights, inverse } = stored;
        // Confirms the order before memory is reserved for it.
        if weights.len() != order.saturating_add(1) || past.len() > 2 * order {
            let expected = format!("{order} past values and one weight more");
            let got = format!("{} past values and {} weights", past.len(), weights.len());
            let what = "stored autoregression";
            return Err(Error::Model(rtrl_model::Error::Setting { what, expected, got }));
        }
        let mut new = Self::new(order)?;
        new.model.restore(&weights, &inverse)?;
        Ok(Self { past, unit, ..new })
    }
}

impl Autoregression {
    /// An autoregression on the last `order` values.
    ///
    /// # Errors
    /// [`rtrl_model::Error::Setting`] for an order of 0, [`rtrl_model::Error::Memory`] for one that
    /// does not fit in memory.
    pub fn new(order: usize) -> Result<Self, Error> {
        if order == 0 {
            let (expected, got) = ("at least 1".to_owned(), "0".to_owned());
            return Err(Error::Model(rtrl_model::Error::Setting {
                what: "order of the autoregression",
                expected,
                got,
            }));
        }
        let features = vec![1.0; order.saturating_add(1)];
        let model = RecursiveLeastSquares::new(vec![0.0; features.len()], 1.0, RIDGE)?;
        Ok(Self { order, model, past: VecDeque::new(), unit: None, features })
    }

    /// Finds the unit and catches up on the values that were collected.
    fn begin(&mut self) -> Result<(), Error> {
        let largest = self.past.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        let unit = if largest > 0.0 { largest } else { 1.0 };
        for newest in (0..self.past.len() - self.order).rev() {
            self.measure(newest + 1, unit);
            self.fit(self.past[newest] / unit)?;
        }
        self.unit = Some(unit);
        self.past.truncate(self.order);
        Ok(())
    }

    /// Sets the features to the past values from index `newest` on.
    fn measure(&mut self, newest: usize, unit: f64) {
        let past = self.past.iter().skip(newest);
        for (feature, value) in self.features[1..].iter_mut().zip(past) {
            *feature = value / unit;
        }
    }

    /// Fits the value that followed the features. A value out of range leaves the fit unchanged,
    /// and the forecasts continue.
    fn fit(&mut self, value: f64) -> Result<(), Error> {
        match self.model.update(&self.features, value) {
            Ok(()) | Err(rtrl_model::Error::Fit { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}

impl Baseline for Autoregression {
    fn observe(&mut self, target: f64) -> Result<Option<f64>, Error> {
        let mut forecast = self.past.front().copied();
        if let Some(unit) = self.unit {
            self.measure(0, unit);
            forecast = Some(self.model.predict(&self.features)? * unit);
            self.fit(target / unit)?;
            self.past.pop_back();
        }
        self.past.push_front(target);
        if self.unit.is_none() && self.past.len() == 2 * self.order {
            self.begin()?;
        }
        Ok(forecast)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forecasts of a series, from the second value on.
    fn forecasts(forecaster: &mut impl Baseline, series: &[f64]) -> Vec<f64> {
        series.iter().filter_map(|&value| forecaster.observe(value).unwrap()).collect()
    }

    #[test]
    fn persistence_repeats_the_last_value() {
        assert_eq!(forecasts(&mut Persistence::default(), &[3.0, -1.0, 4.0]), [3.0, -1.0]);
    }

    /// A missing value of one target is none of another.
    #[test]
    fn targets_do_not_mix() {
        let mut both = PerTarget::new(Persistence::default());
        let mut forecasts = Vec::new();
        for targets in [[Some(1.0), Some(2.0)], [None, Some(3.0)], [Some(4.0), None]] {
            both.observe(SeriesRow { group: 0, inputs: &[], targets: &targets }, &mut forecasts)
                .unwrap();
        }
        assert_eq!(forecasts, [None, None, None, Some(2.0), Some(1.0), None]);
    }

    /// `x(t+1) = 1.5 x(t) - 0.9 x(t-1) + 2`, from values whose size the fit does not know.
    fn oscillation(size: f64) -> Vec<f64> {
        let mut series = vec![size, 0.0];
        for t in 1..60 {
            series.push(1.5 * series[t] - 0.9 * series[t - 1] + 2.0 * size);
        }
        series
    }

    #[test]
    fn an_autoregression_of_its_order_learns_a_linear_series() {
        for size in [1e-3, 1.0, 1e6] {
            let series = oscillation(size);
            let found = forecasts(&mut Autoregression::new(2).unwrap(), &series);
            let error = (found[58] - series[59]).abs() / size;
            assert!(error < 1e-3, "{size}: {error:e}");
        }
    }

    /// The negative control of the test above: one value is not enough to know what follows.
    #[test]
    fn an_autoregression_of_a_lower_order_does_not() {
        let series = oscillation(1.0);
        let found = forecasts(&mut Autoregression::new(1).unwrap(), &series);
        let errors = found[30..].iter().zip(&series[31..]).map(|(a, b)| (a - b).abs());
        let largest = errors.fold(0.0, f64::max);
        assert!(largest > 0.1, "{largest}");
    }

    #[test]
    fn the_first_forecasts_are_the_last_values() {
        let series = oscillation(1.0);
        let found = forecasts(&mut Autoregression::new(12).unwrap(), &series);
        assert_eq!(found[..23], series[..23]);
        assert_ne!(found[23], series[23]);
    }

    #[test]
    fn a_stored_autoregression_continues_with_the_same_bits() {
        let series = oscillation(1.0);
        let mut whole = Autoregression::new(3).unwrap();
        let expected = forecasts(&mut whole, &series);
        for stop in [1, 5, 6, 30] {
            let mut first = Autoregression::new(3).unwrap();
            let mut found = forecasts(&mut first, &series[..stop]);
            let text = serde_json::to_string(&first).unwrap();
            let mut rest: Autoregression = serde_json::from_str(&text).unwrap();
            found.extend(forecasts(&mut rest, &series[stop..]));
            assert_eq!(found, expected, "{stop}");
        }
        let text = serde_json::to_string(&whole).unwrap();
        let odd = text.replace("\"order\":3", "\"order\":4");
        let error = serde_json::from_str::<Autoregression>(&odd).unwrap_err().to_string();
        assert!(error.contains("expected 4 past values"), "{error}");
    }

    #[test]
    fn an_order_of_0_is_refused() {
        let error = Autoregression::new(0).unwrap_err().to_string();
        assert!(error.contains("order") && error.contains("at least 1"), "{error}");
    }

    #[test]
    fn values_that_the_fit_cannot_take_do_not_end_the_forecasts() {
        let mut series = oscillation(1.0);
        series[40] = f64::MAX;
        let found = forecasts(&mut Autoregression::new(2).unwrap(), &series);
        assert_eq!(found.len(), series.len() - 1);
    }
}
