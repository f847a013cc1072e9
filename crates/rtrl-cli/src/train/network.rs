//! The network that the arguments describe.

use rtrl_lab::forecast::{NetworkForecaster, Predict};
use rtrl_lab::scale::RunningScale;
use rtrl_model::{Clipping, InitialWeights, Learner, Network, NetworkBuilder, Real};
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
    let mut network = Network::<T>::builder(args.units(), inputs);
    for layer in 0..args.layers() {
        let inputs = if layer == 0 { inputs } else { args.units() };
        network = if layer == 0 { network } else { network.layer(args.units()) };
        network = describe(network, args, (!learns).then_some(inputs));
    }
    let network = network.readout(args.readout.rule()?.readout()).seed(args.seed);
    let learner = Learner::builder(network.build()?)
        .updates(args.optimizer.settings(args.learning_rate()?))
        .clipping(Clipping { norm: Some(args.clip), value: None })
        .engine(args.engine.choice()?)
        .threads(args.threads())
        .build()?;
    Ok(NetworkForecaster::new(learner, predict, args.horizon)?)
}

/// Describes the last layer. Its weights are frozen if the number of its inputs is given.
fn describe<T: Real>(
    layer: NetworkBuilder<T>,
    args: &TrainArgs,
    frozen: Option<usize>,
) -> NetworkBuilder<T> {
    let mut layer = layer.cell(args.cell).weights(InitialWeights::Orthogonal { gain: args.gain });
    if let Some(activation) = args.activation() {
        layer = layer.activation(activation);
    }
    if let Some(leak) = args.leak() {
        layer = layer.leak(leak);
    }
    if let Some(inputs) = frozen {
        let (rows, width) = (args.cell.blocks() * args.units(), inputs + 1 + args.units());
        layer = layer.frozen(vec![vec![true; width]; rows]);
    }
    layer
}

/// Means and deviations, for a saved model.
pub(crate) fn scales<T: Real>(forecaster: &NetworkForecaster<T>) -> serde_json::Value {
    let numbers = |s: &RunningScale| json!({"mean": s.mean(), "deviation": s.deviation()});
    let inputs: Vec<_> = forecaster.input_scales().iter().map(numbers).collect();
    json!({"target": numbers(forecaster.target_scale()), "inputs": inputs})
}
