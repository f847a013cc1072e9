//! The forecasters of a stream: a network and its baselines.

use rtrl_lab::baselines::{Autoregression, PerTarget, Persistence};
use rtrl_lab::class_baselines::{Frequencies, LastLabel};
use rtrl_lab::forecast::{Horizon, NetworkForecaster};
use rtrl_lab::interval::RecentErrors;
use rtrl_lab::prequential::{Scores, SeriesForecaster, SeriesRow};
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
    Persistence(PerTarget<Persistence>),
    /// Linear autoregression.
    Autoregression(Box<PerTarget<Autoregression>>),
    /// The last class.
    LastLabel(LastLabel),
    /// The shares of the classes so far.
    Frequencies(Frequencies),
    /// The same network with fixed recurrent weights.
    Still(Box<NetworkForecaster<T>>),
}

impl<T: Real> Baseline<T> {
    /// Its name on the command line.
    pub(crate) fn name(&self) -> BaselineName {
        match self {
            Self::Persistence(_) | Self::LastLabel(_) => BaselineName::Persistence,
            Self::Autoregression(_) => BaselineName::Ar,
            Self::Frequencies(_) => BaselineName::Frequencies,
            Self::Still(_) => BaselineName::Still,
        }
    }
}

/// A baseline's name in tables.
pub(crate) fn title(name: BaselineName) -> &'static str {
    match name {
        BaselineName::Persistence => "persistence",
        BaselineName::Ar => "RLS-AR(12)",
        BaselineName::Frequencies => "class frequencies",
        BaselineName::Still => "same, recurrent weights fixed",
    }
}

impl<T: Real> SeriesForecaster for Baseline<T> {
    fn observe(
        &mut self,
        row: SeriesRow<'_>,
        forecasts: &mut Vec<Option<f64>>,
    ) -> Result<(), rtrl_lab::Error> {
        match self {
            Self::Persistence(baseline) => baseline.observe(row, forecasts),
            Self::Autoregression(baseline) => baseline.observe(row, forecasts),
            Self::LastLabel(baseline) => baseline.observe(row, forecasts),
            Self::Frequencies(baseline) => baseline.observe(row, forecasts),
            Self::Still(baseline) => baseline.observe(row, forecasts),
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
    /// The last errors of the network, for each target that is a number.
    pub(crate) errors: Vec<RecentErrors>,
    /// Rows so far.
    pub(crate) rows: u64,
    /// Of the last row, that of each number: nine targets in ten are in theirs, if errors continue
    /// as they were.
    pub(crate) intervals: Vec<Option<[f64; 2]>>,
}

impl<T: Real> Forecasters<T> {
    /// Forecasters that have seen no row but those of the model; the settled scores exclude the
    /// first `skip` forecasts of each target in each group.
    pub(crate) fn new(ours: NetworkForecaster<T>, baselines: Vec<Baseline<T>>, skip: u64) -> Self {
        let (targets, outputs) = (ours.target_scales().len(), ours.network().outputs());
        let all = 1 + baselines.len();
        let scores = match targets {
            0 => Scores::of_classes(all, outputs, skip),
            _ => Scores::of_values(all, targets, skip).after(ours.target_scales()),
        };
        Self::with(ours, baselines, scores, vec![RecentErrors::default(); targets], 0)
    }

    /// Forecasters after some rows.
    pub(crate) fn with(
        ours: NetworkForecaster<T>,
        baselines: Vec<Baseline<T>>,
        scores: Scores,
        errors: Vec<RecentErrors>,
        rows: u64,
    ) -> Self {
        let intervals = vec![None; errors.len()];
        Self { ours, baselines, scores, errors, rows, intervals }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// As [`Scores::take`].
    pub(crate) fn take(&mut self, row: &Row) -> Result<(), rtrl_lab::Error> {
        let (ours, baselines) = (&mut self.ours, &mut self.baselines);
        let observed = SeriesRow { group: row.group, inputs: &row.inputs, targets: &row.targets };
        self.scores.take(ours, baselines, observed)?;
        let places = self.errors.iter_mut().zip(&mut self.intervals);
        let values = self.scores.forecasts().iter().zip(&row.targets);
        for ((errors, interval), (&forecast, &target)) in places.zip(values) {
            *interval = forecast.and_then(|forecast| errors.interval(forecast, COVERAGE));
            if let (Some(target), Some(forecast)) = (target, forecast) {
                errors.add(target - forecast);
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The forecasts of the next row of a group, unless the inputs of that row are needed for them.
    pub(crate) fn next(&mut self, group: usize) -> Option<&[f64]> {
        let is_known = self.ours.horizon() == Horizon::NextRow;
        is_known.then(|| self.ours.forecast(group).ok()).flatten()
    }

    /// The memory that a group takes.
    pub(crate) fn group_bytes(&self) -> usize {
        let still = self.baselines.iter().filter_map(|baseline| match baseline {
            Baseline::Still(still) => Some(still.learner()),
            _ => None,
        });
        let learners = std::iter::once(self.ours.learner()).chain(still);
        learners.map(|learner| learner.state_bytes() / learner.streams()).sum()
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

    /// The place of a baseline among the scores, if it is one of them.
    pub(crate) fn place(&self, name: BaselineName) -> Option<usize> {
        Some(1 + self.baselines.iter().position(|baseline| baseline.name() == name)?)
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
            let row = Row { inputs: vec![1.0], targets: vec![None], ..Row::default() };
            forecasters.take(&row).unwrap();
            assert_eq!(forecasters.next(0).is_some(), is_known, "{horizon:?}");
        }
    }
}
