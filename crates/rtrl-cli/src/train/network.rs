//! The network that the arguments describe, and its baselines.

use rtrl_lab::baselines::{Autoregression, PerTarget, Persistence};
use rtrl_lab::class_baselines::{Frequencies, LastLabel};
use rtrl_lab::forecast::{NetworkForecaster, Predict};
use rtrl_model::{InitialWeights, Network, NetworkBuilder, Readout, Real, RecursiveLeastSquares};

use crate::args::{BaselineName, TrainArgs};
use crate::error::Error;
use crate::model::Learning;
use crate::ranks::{Build, BuildError};
use crate::stream::checkpoint::Manner;
use crate::stream::forecasters::{Baseline, Forecasters, ORDER};

/// A fresh network with so many inputs and outputs, and the baselines that the user wants.
pub(crate) fn forecasters<T: Real>(
    args: &TrainArgs,
    (inputs, outputs): (usize, usize),
    manner: Manner,
    ranks: &dyn Build<T>,
) -> Result<Forecasters<T>, Error> {
    let Manner { predict, horizon, threads } = manner;
    let is_class = predict == Predict::Class;
    let readout = args.readout.rule(is_class)?.readout(outputs);
    let network = network::<T>(args, inputs, readout)?;
    let forecaster = |network: Network<T>| -> Result<_, Error> {
        let (optimizer, rate, clip) = (args.optimizer, args.learning_rate(is_class), args.clip);
        let engine = &args.engine;
        let learning = Learning { optimizer, rate, clip, engine, threads, is_class };
        let learner = learning.learner(network, ranks).map_err(with_way_out)?;
        Ok(NetworkForecaster::new(learner, predict, horizon)?)
    };
    let names = args.baselines.of(is_class)?;
    let mut baselines = Vec::with_capacity(names.len());
    for name in names {
        baselines.push(match name {
            BaselineName::Persistence if is_class => Baseline::LastLabel(LastLabel::new(outputs)),
            BaselineName::Persistence => {
                Baseline::Persistence(PerTarget::new(Persistence::default()))
            }
            BaselineName::Ar => {
                let autoregression = PerTarget::new(Autoregression::new(ORDER)?);
                Baseline::Autoregression(Box::new(autoregression))
            }
            BaselineName::Frequencies => Baseline::Frequencies(Frequencies::new(outputs)),
            BaselineName::Still => Baseline::Still(Box::new(forecaster(network.clone().freeze())?)),
        });
    }
    Ok(Forecasters::new(forecaster(network)?, baselines, args.skip))
}

/// Says which option needs less memory, if least squares of the readout need too much.
fn with_way_out(error: Error) -> Error {
    const WHAT: &str = RecursiveLeastSquares::MEMORY;
    match error {
        Error::Build(BuildError::Model(memory @ rtrl_model::Error::Memory { what: WHAT, .. })) => {
            Error::LeastSquaresMemory(memory)
        }
        other => other,
    }
}

fn network<T: Real>(
    args: &TrainArgs,
    inputs: usize,
    readout: Readout,
) -> Result<Network<T>, Error> {
    // Before a leak is listed for each unit and weights are drawn, which would take long.
    layers::<T>(args, inputs, |layer| layer).check_memory()?;
    let head = args.heads_of().unwrap_or(args.units());
    let network = layers(args, inputs, |layer| match args.leak() {
        Some(leak) => layer.leaks(leak.of_units(args.units(), head)),
        None => layer,
    });
    Ok(network.readout(readout).seed(args.seed).build()?)
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
    let layer = match args.heads_of() {
        Some(units) => layer.heads_of(units),
        None => layer,
    };
    match args.activation() {
        Some(activation) => layer.activation(activation),
        None => layer,
    }
}
