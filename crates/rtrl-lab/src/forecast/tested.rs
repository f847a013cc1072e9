//! What the tests of forecasters share.

use rtrl_model::{Learner, Loss, Network, Optimizer, Readout, Real};

use super::{Horizon, NetworkForecaster, Predict};
use crate::Error;
use crate::baselines::{PerTarget, Persistence};
use crate::prequential::{Scores, SeriesForecaster, SeriesRow};

pub(super) const NO_BASELINES: [PerTarget<Persistence>; 0] = [];

impl<T: Real> NetworkForecaster<T> {
    /// Takes a row of one target and returns its forecast.
    pub(super) fn take(&mut self, input: f64, target: Option<f64>) -> Result<Option<f64>, Error> {
        let mut forecasts = Vec::new();
        self.observe(SeriesRow { group: 0, inputs: &[input], targets: &[target] }, &mut forecasts)?;
        Ok(forecasts[0])
    }
}

/// Scores a row of one target.
pub(super) fn score(
    scores: &mut Scores,
    network: &mut NetworkForecaster<f64>,
    input: f64,
    target: Option<f64>,
) {
    let row = SeriesRow { group: 0, inputs: &[input], targets: &[target] };
    scores.take(network, &mut NO_BASELINES.clone(), row).unwrap();
}

pub(super) fn forecaster(predict: Predict, rate: f64) -> NetworkForecaster<f64> {
    let readout = Readout::new(1).with_inputs().recursive_least_squares(1.0, 1e-3);
    let network = Network::builder(6, 1).readout(readout).seed(1).build().unwrap();
    let learner = Learner::builder(network).optimizer(Optimizer::sgd(rate)).build().unwrap();
    NetworkForecaster::new(learner, predict, Horizon::NextRow).unwrap()
}

pub(super) fn wave(t: usize) -> f64 {
    40.0 + 3.0 * libm::sin(0.3 * t as f64)
}

/// A network of two targets, or of two classes.
pub(super) fn pair(predict: Predict) -> NetworkForecaster<f64> {
    let readout = Readout::new(2).with_inputs();
    let (readout, loss) = match predict {
        Predict::Class => (readout, Loss::SoftmaxCrossEntropy),
        _ => (readout.recursive_least_squares(1.0, 1e-3), Loss::SquaredError),
    };
    let network = Network::builder(6, 1).readout(readout).seed(1).build().unwrap();
    let learner = Learner::builder(network).loss(loss).optimizer(Optimizer::sgd(0.05));
    NetworkForecaster::new(learner.build().unwrap(), predict, Horizon::SameRow).unwrap()
}
