//! The forecasters of a stream: a network and its baselines.

use rtrl_lab::baselines::{Autoregression, Persistence};
use rtrl_lab::forecast::{Horizon, NetworkForecaster};
use rtrl_lab::interval::RecentErrors;
use rtrl_lab::prequential::{ErrorSums, Scores, SeriesForecaster};
use rtrl_model::Real;

use crate::args::BaselineName;
use crate::input::Row;

/// Order of the linear autoregression, which its title repeats.
pub(crate) const ORDER: usize = 12;

/// The share of targets that the interval of a prediction should contain.
const COVERAGE: f64 = 0.9;

/// The network's name in tables.
pub(crate) const TITLE: &str = "exact RTRL";

/// A forecaster to compare with.
#[derive(Debug)]
pub(crate) enum Baseline<T: Real> {
    /// The last value.
    Persistence(Persistence),
    /// Linear autoregression.
    Autoregression(Box<Autoregression>),
    /// The same network with fixed recurrent weights.
    Still(Box<NetworkForecaster<T>>),
}

impl<T: Real> Baseline<T> {
    /// Its name on the command line.
    pub(crate) fn name(&self) -> BaselineName {
        match self {
            Self::Persistence(_) => BaselineName::Persistence,
            Self::Autoregression(_) => BaselineName::Ar,
            Self::Still(_) => BaselineName::Still,
        }
    }
}

/// A baseline's name in tables.
pub(crate) fn title(name: BaselineName) -> &'static str {
    match name {
        BaselineName::Persistence => "persistence",
        BaselineName::Ar => "RLS-AR(12)",
        BaselineName::Still => "same, recurrent weights fixed",
    }
}

impl<T: Real> SeriesForecaster for Baseline<T> {
    fn observe(
        &mut self,
        inputs: &[f64],
        target: Option<f64>,
    ) -> Result<Option<f64>, rtrl_lab::Error> {
        match self {
            Self::Persistence(baseline) => baseline.observe(inputs, target),
            Self::Autoregression(baseline) => baseline.observe(inputs, target),
            Self::Still(baseline) => baseline.observe(inputs, target),
        }
    }
}

/// A network and its baselines with their errors so far.
#[derive(Debug)]
pub(crate) struct Forecasters<T: Real> {
    pub(crate) ours: NetworkForecaster<T>,
    pub(crate) baselines: Vec<Baseline<T>>,
    /// The network's errors first, then those of the baselines.
    pub(crate) scores: Scores,
    /// The last errors of the network.
    pub(crate) errors: RecentErrors,
    /// Rows so far.
    pub(crate) rows: u64,
}

/// What is known about a row once it has been taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prediction {
    /// Number of the row, from 1.
    pub(crate) row: u64,
    pub(crate) target: Option<f64>,
    /// The network's forecast of the target, made before it was seen.
    pub(crate) forecast: Option<f64>,
    /// The interval that contains nine targets in ten, if errors continue as they were.
    pub(crate) interval: Option<[f64; 2]>,
}

impl Prediction {
    /// The names of [`Prediction::values`]; the last one only where the next row is forecast.
    pub(crate) fn columns(has_next: bool) -> &'static [&'static str] {
        let all = &["target", "prediction", "low", "high", "next"];
        if has_next { all } else { &all[..4] }
    }

    /// The values of a line; `next` is the forecast of the row after it.
    pub(crate) fn values(&self, next: Option<f64>) -> [Option<f64>; 5] {
        let [low, high] = self.interval.map_or([None; 2], |interval| interval.map(Some));
        [self.target, self.forecast, low, high, next]
    }
}

impl<T: Real> Forecasters<T> {
    /// Forecasters that have seen no row; the settled scores exclude the first `skip` forecasts.
    pub(crate) fn new(ours: NetworkForecaster<T>, baselines: Vec<Baseline<T>>, skip: u64) -> Self {
        let scores = Scores::new(1 + baselines.len(), skip);
        Self { ours, baselines, scores, errors: RecentErrors::default(), rows: 0 }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// As [`Scores::take`].
    pub(crate) fn take(&mut self, row: &Row) -> Result<Prediction, rtrl_lab::Error> {
        let (ours, baselines) = (&mut self.ours, &mut self.baselines);
        let forecast = self.scores.take(ours, baselines, &row.inputs, row.target)?;
        let interval = forecast.and_then(|forecast| self.errors.interval(forecast, COVERAGE));
        if let (Some(target), Some(forecast)) = (row.target, forecast) {
            self.errors.add(target - forecast);
        }
        self.rows += 1;
        Ok(Prediction { row: self.rows, target: row.target, forecast, interval })
    }

    /// The forecast of the next row, unless the inputs of that row are needed for it.
    pub(crate) fn next(&mut self) -> Option<f64> {
        (self.ours.horizon() == Horizon::NextRow).then(|| self.ours.forecast())
    }

    /// The names of the baselines.
    pub(crate) fn names(&self) -> Vec<BaselineName> {
        self.baselines.iter().map(Baseline::name).collect()
    }

    /// The titles of all forecasters, in the order of the scores.
    pub(crate) fn titles(&self) -> Vec<&'static str> {
        let baselines = self.baselines.iter().map(|baseline| title(baseline.name()));
        std::iter::once(TITLE).chain(baselines).collect()
    }

    /// The settled errors of a baseline, if it is one of them.
    pub(crate) fn settled(&self, name: BaselineName) -> Option<&ErrorSums> {
        let place = self.baselines.iter().position(|baseline| baseline.name() == name)?;
        self.scores.settled.get(1 + place)
    }
}

#[cfg(test)]
mod tests {
    use rtrl_lab::forecast::Predict;
    use rtrl_model::{Learner, Network, Readout};

    use super::*;

    /// A forward pass whose result nobody sees would double the time of rows that are not learnt.
    #[test]
    fn the_next_row_is_forecast_only_from_the_rows_before_it() {
        for (horizon, is_known) in [(Horizon::SameRow, false), (Horizon::NextRow, true)] {
            let network = Network::<f32>::builder(2, 1).readout(Readout::new(1)).build().unwrap();
            let learner = Learner::builder(network).build().unwrap();
            let ours = NetworkForecaster::new(learner, Predict::Value, horizon).unwrap();
            let mut forecasters = Forecasters::new(ours, vec![], 0);
            forecasters.take(&Row { inputs: vec![1.0], ..Row::default() }).unwrap();
            assert_eq!(forecasters.next().is_some(), is_known, "{horizon:?}");
        }
    }
}
