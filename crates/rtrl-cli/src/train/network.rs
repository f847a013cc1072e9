//! The network that the arguments describe, and its baselines.

use rtrl_lab::baselines::{Autoregression, Persistence};
use rtrl_lab::forecast::NetworkForecaster;
use rtrl_model::{InitialWeights, Network, NetworkBuilder, Real};

use crate::args::{BaselineName, TrainArgs};
use crate::error::Error;
use crate::model::Learning;
use crate::stream::checkpoint::Manner;
use crate::stream::forecasters::{Baseline, Forecasters, ORDER};

/// A fresh network and the baselines that the user wants.
pub(crate) fn forecasters<T: Real>(
    args: &TrainArgs,
    inputs: usize,
    manner: Manner,
) -> Result<Forecasters<T>, Error> {
    let Manner { predict, horizon, threads } = manner;
    let network = network::<T>(args, inputs)?;
    let forecaster = |network: Network<T>| -> Result<_, Error> {
        let (optimizer, rate, clip) = (args.optimizer, args.learning_rate()?, args.clip);
        let engine = &args.engine;
        let learner = Learning { optimizer, rate, clip, engine, threads }.learner(network)?;
        Ok(NetworkForecaster::new(learner, predict, horizon)?)
    };
    let mut baselines = Vec::with_capacity(args.baselines.0.len());
    for name in &args.baselines.0 {
        baselines.push(match name {
            BaselineName::Persistence => Baseline::Persistence(Persistence::default()),
            BaselineName::Ar => Baseline::Autoregression(Box::new(Autoregression::new(ORDER)?)),
            BaselineName::Still => Baseline::Still(Box::new(forecaster(network.clone().freeze())?)),
        });
    }
    Ok(Forecasters::new(forecaster(network)?, baselines, args.skip))
}

fn network<T: Real>(args: &TrainArgs, inputs: usize) -> Result<Network<T>, Error> {
    let mut network = describe(Network::<T>::builder(args.units(), inputs), args);
    for _ in 1..args.layers() {
        network = describe(network.layer(args.units()), args);
    }
    // Before the weights are drawn, which would take long.
    network.check_memory()?;
    let network = network.readout(args.readout.rule()?.readout()).seed(args.seed);
    Ok(network.build()?)
}

/// Describes the last layer.
fn describe<T: Real>(layer: NetworkBuilder<T>, args: &TrainArgs) -> NetworkBuilder<T> {
    let mut layer = layer.cell(args.cell).weights(InitialWeights::Orthogonal { gain: args.gain });
    if let Some(activation) = args.activation() {
        layer = layer.activation(activation);
    }
    if let Some(leak) = args.leak() {
        layer = layer.leak(leak);
    }
    layer
}
