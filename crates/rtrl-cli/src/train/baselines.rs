//! Forecasters that a recurrent network has to beat.

use std::collections::VecDeque;

use rtrl_model::RecursiveLeastSquares;

use crate::error::Error;
use crate::train::forecast::Forecaster;
use crate::train::series::Row;

/// The next value is the last one.
#[derive(Debug, Default)]
pub(crate) struct Persistence {
    last: Option<f64>,
}

impl Forecaster for Persistence {
    fn observe(&mut self, row: &Row) -> Result<Option<f64>, Error> {
        Ok(self.last.replace(row.target))
    }
}

/// Past values of the linear autoregression.
pub(crate) const ORDER: usize = 12;

/// Values that are collected before the first fit, to find a unit for them.
const START: usize = 2 * ORDER;

/// Ridge penalty of the autoregression, for values whose largest is about 1.
const RIDGE: f64 = 1e-6;

/// A linear function of a constant and the last [`ORDER`] values, fitted by recursive least squares.
///
/// Values are measured in units of the largest among the first [`START`], so that the penalty means the
/// same for every series; until these are there the forecast is the last value. Only values that have
/// [`ORDER`] values before them enter the fit.
pub(crate) struct Autoregression {
    model: RecursiveLeastSquares,
    /// The last values, newest first.
    past: VecDeque<f64>,
    /// The unit, once it is known.
    unit: Option<f64>,
}

/// 1, then the last [`ORDER`] values, newest first, in units of `unit`.
fn features(past: impl Iterator<Item = f64>, unit: f64) -> [f64; ORDER + 1] {
    let mut features = [0.0; ORDER + 1];
    features[0] = 1.0;
    for (feature, value) in features[1..].iter_mut().zip(past) {
        *feature = value / unit;
    }
    features
}

impl Autoregression {
    pub(crate) fn new() -> Result<Self, Error> {
        let model = RecursiveLeastSquares::new(vec![0.0; ORDER + 1], 1.0, RIDGE)?;
        Ok(Self { model, past: VecDeque::with_capacity(START + 1), unit: None })
    }

    /// Finds the unit and catches up on the values that were collected.
    fn begin(&mut self) -> Result<(), Error> {
        let largest = self.past.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        let unit = if largest > 0.0 { largest } else { 1.0 };
        for newest in (0..self.past.len() - ORDER).rev() {
            let before = self.past.iter().skip(newest + 1).copied();
            let features = features(before, unit);
            self.fit(&features, self.past[newest] / unit)?;
        }
        self.unit = Some(unit);
        self.past.truncate(ORDER);
        Ok(())
    }

    /// Takes in a sample. One that is out of range leaves the fit as it was, and the forecasts go on.
    fn fit(&mut self, features: &[f64], value: f64) -> Result<(), Error> {
        match self.model.update(features, value) {
            Ok(()) | Err(rtrl_model::Error::Fit { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}

impl Forecaster for Autoregression {
    fn observe(&mut self, row: &Row) -> Result<Option<f64>, Error> {
        let mut forecast = self.past.front().copied();
        if let Some(unit) = self.unit {
            let features = features(self.past.iter().copied(), unit);
            forecast = Some(self.model.predict(&features)? * unit);
            self.fit(&features, row.target / unit)?;
            self.past.pop_back();
        }
        self.past.push_front(row.target);
        if self.unit.is_none() && self.past.len() == START {
            self.begin()?;
        }
        Ok(forecast)
    }
}
