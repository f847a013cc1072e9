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
        let (optimizer, rate, clip) = (args.optimizer, args.learning_rate(), args.clip);
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
    // Before a leak is listed for each unit and weights are drawn, which would take long.
    layers::<T>(args, inputs, |layer| layer).check_memory()?;
    let network = layers(args, inputs, |layer| match args.leak() {
        Some(leak) => layer.leaks(leak.of_units(args.units())),
        None => layer,
    });
    let network = network.readout(args.readout.rule()?.readout()).seed(args.seed);
    Ok(network.build()?)
}

/// All layers, with what `leaky` adds to each.
fn layers<T: Real>(
    args: &TrainArgs,
    inputs: usize,
    leaky: impl Fn(NetworkBuilder<T>) -> NetworkBuilder<T>,
) -> NetworkBuilder<T> {
    let mut network = leaky(describe(Network::<T>::builder(args.units(), inputs), args));
    for _ in 1..args.layers() {
        network = leaky(describe(network.layer(args.units()), args));
    }
    network
}

/// Describes the last layer, except for its leaks.
fn describe<T: Real>(layer: NetworkBuilder<T>, args: &TrainArgs) -> NetworkBuilder<T> {
    let layer = layer.cell(args.cell).weights(InitialWeights::Orthogonal { gain: args.gain });
    match args.activation() {
        Some(activation) => layer.activation(activation),
        None => layer,
    }
}
