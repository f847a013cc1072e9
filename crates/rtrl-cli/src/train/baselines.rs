//! Forecasters that a recurrent network has to beat.

use std::collections::VecDeque;

use rtrl_model::rls::RecursiveLeastSquares;

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

/// Ridge penalty of the autoregression, for values in units of the first one that is not 0.
const RIDGE: f64 = 1e-6;

/// A linear function of a constant and the last [`ORDER`] values, fitted by recursive least squares.
pub(crate) struct Autoregression {
    model: RecursiveLeastSquares,
    /// The last values, newest first; absent ones count as 0.
    past: VecDeque<f64>,
    features: [f64; ORDER + 1],
    /// The absolute value of the first value that is not 0, once there was one.
    unit: Option<f64>,
    begun: bool,
}

impl Default for Autoregression {
    fn default() -> Self {
        let mut features = [0.0; ORDER + 1];
        features[0] = 1.0;
        Self {
            model: RecursiveLeastSquares::new(ORDER + 1, RIDGE),
            past: VecDeque::from([0.0; ORDER]),
            features,
            unit: None,
            begun: false,
        }
    }
}

impl Forecaster for Autoregression {
    fn observe(&mut self, row: &Row) -> Result<Option<f64>, Error> {
        if self.unit.is_none() && row.target != 0.0 {
            self.unit = Some(row.target.abs());
        }
        let unit = self.unit.unwrap_or(1.0);
        let value = row.target / unit;
        let forecast = self.begun.then(|| self.model.predict(&self.features) * unit);
        if self.begun {
            self.model.update(&self.features, value);
        }
        self.begun = true;
        self.past.pop_back();
        self.past.push_front(value);
        for (feature, &value) in self.features[1..].iter_mut().zip(&self.past) {
            *feature = value;
        }
        Ok(forecast)
    }
}
