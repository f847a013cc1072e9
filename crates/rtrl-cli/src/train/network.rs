//! The network that the arguments describe.

use rtrl_lab::forecast::{NetworkForecaster, Predict};
use rtrl_lab::scale::RunningScale;
use rtrl_model::{Clipping, InitialWeights, Learner, Network, Real};
use serde_json::json;

use crate::args::TrainArgs;
use crate::error::Error;

/// A fresh network; `learns` says whether its recurrent weights learn or are fixed.
pub(crate) fn forecaster<T: Real>(
    args: &TrainArgs,
    inputs: usize,
    predict: Predict,
    learns: bool,
) -> Result<NetworkForecaster<T>, Error> {
    let units = args.units();
    let mut network = Network::<T>::builder(units, inputs)
        .activation(args.activation.clone())
        .weights(InitialWeights::Orthogonal { gain: args.gain })
        .leak(args.leak)
        .readout(args.readout.rule()?.readout())
        .seed(args.seed);
    if !learns {
        network = network.frozen(vec![vec![true; inputs + 1 + units]; units]);
    }
    let learner = Learner::builder(network.build()?)
        .updates(args.optimizer.settings(args.learning_rate()?))
        .clipping(Clipping { norm: Some(args.clip), value: None })
        .engine(args.engine.choice()?)
        .threads(args.threads())
        .build()?;
    Ok(NetworkForecaster::new(learner, predict)?)
}

/// Means and deviations, for a saved model.
pub(crate) fn scales<T: Real>(forecaster: &NetworkForecaster<T>) -> serde_json::Value {
    let numbers = |s: &RunningScale| json!({"mean": s.mean(), "deviation": s.deviation()});
    let inputs: Vec<_> = forecaster.input_scales().iter().map(numbers).collect();
    json!({"target": numbers(forecaster.target_scale()), "inputs": inputs})
}
