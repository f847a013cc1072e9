//! Networks and learners described by plain Python objects.

use pyo3::prelude::*;
use pythonize::depythonize;
use rtrl_model::kernel::Pace;
use rtrl_model::{
    Activation, Cell, EngineChoice, InitialWeights, Learner, LearnerBuilder, Network,
    NetworkBuilder, Readout, ReadoutWeights, Real, Recovery, Regime, Threads, UpdateSettings,
};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{ArgumentError, raise, raise_description};
use crate::function;
use crate::precision::Number;

/// Rows of a table.
type Rows<V> = Vec<Vec<V>>;

/// A network, as `rtrl.Network` describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetworkDescription {
    inputs: usize,
    bias: bool,
    seed: u64,
    layers: Vec<LayerDescription>,
    readout: Option<ReadoutDescription>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerDescription {
    cell: String,
    units: usize,
    heads_of: Option<usize>,
    activations: Option<Vec<String>>,
    leaks: Option<Vec<f64>>,
    connections: Option<Rows<bool>>,
    frozen: Option<Rows<bool>>,
    weights: Start,
    forget_bias: Option<f64>,
    initial_state: Option<Vec<f64>>,
    initial_cells: Option<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadoutDescription {
    outputs: usize,
    inputs: bool,
    bias: bool,
    weights: Start,
    least_squares: Option<LeastSquares>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeastSquares {
    forgetting: f64,
    ridge: f64,
}

/// Initial weights.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Start {
    Zero,
    Uniform { bound: f64 },
    Normal { gain: f64 },
    Orthogonal { gain: f64 },
    Torch,
    Given { values: Rows<f64> },
}

impl NetworkDescription {
    pub(crate) fn read(description: &Bound<'_, PyAny>) -> PyResult<Self> {
        depythonize(description).map_err(raise_description)
    }

    pub(crate) fn build<T: Real>(self) -> PyResult<Network<T>> {
        self.builder()?.build().map_err(raise)
    }

    fn builder<T: Real>(self) -> PyResult<NetworkBuilder<T>> {
        let mut layers = self.layers.into_iter();
        let first = layers.next();
        let units = first.as_ref().map_or(0, |layer| layer.units);
        let mut builder = Network::builder(units, self.inputs).bias(self.bias).seed(self.seed);
        if let Some(first) = first {
            builder = first.apply(builder)?;
        }
        for layer in layers {
            builder = builder.layer(layer.units);
            builder = layer.apply(builder)?;
        }
        match self.readout {
            Some(readout) => Ok(builder.readout(readout.build()?)),
            None => Ok(builder),
        }
    }
}

impl LayerDescription {
    /// Applies the settings to the layer added last.
    fn apply<T: Real>(self, mut builder: NetworkBuilder<T>) -> PyResult<NetworkBuilder<T>> {
        builder = builder.cell(self.cell.parse::<Cell>().map_err(raise)?);
        builder = builder.weights(self.weights.of_units()?);
        if let Some(units) = self.heads_of {
            builder = builder.heads_of(units);
        }
        if let Some(names) = self.activations {
            let parse = |name: &String| name.parse::<Activation>().map_err(raise);
            let activations: PyResult<Vec<_>> = names.iter().map(parse).collect();
            builder = builder.activations(activations?);
        }
        if let Some(leaks) = self.leaks {
            builder = builder.leaks(leaks);
        }
        if let Some(present) = self.connections {
            builder = builder.connections(present);
        }
        if let Some(frozen) = self.frozen {
            builder = builder.frozen(frozen);
        }
        if let Some(bias) = self.forget_bias {
            builder = builder.forget_bias(bias);
        }
        if let Some(outputs) = self.initial_state {
            builder = builder.initial_state(outputs);
        }
        if let Some(cells) = self.initial_cells {
            builder = builder.initial_cells(cells);
        }
        Ok(builder)
    }
}

impl Start {
    fn of_units(self) -> PyResult<InitialWeights> {
        Ok(match self {
            Self::Uniform { bound } => InitialWeights::Uniform { bound },
            Self::Normal { gain } => InitialWeights::Normal { gain },
            Self::Orthogonal { gain } => InitialWeights::Orthogonal { gain },
            Self::Torch => InitialWeights::Torch,
            Self::Given { values } => InitialWeights::given(values),
            Self::Zero => return Err(refused("weights", "those of a layer", "Zero")),
        })
    }

    fn of_readout(self) -> PyResult<ReadoutWeights> {
        Ok(match self {
            Self::Zero => ReadoutWeights::Zero,
            Self::Normal { gain } => ReadoutWeights::Normal { gain },
            Self::Given { values } => ReadoutWeights::given(values),
            other => {
                let expected = "Zero, Normal or an array for a readout";
                return Err(refused("weights", expected, &format!("{other:?}")));
            }
        })
    }
}

fn refused(what: &'static str, expected: &str, got: &str) -> PyErr {
    let (expected, got) = (expected.to_owned(), got.to_owned());
    raise(rtrl_model::Error::Setting { what, expected, got })
}

impl ReadoutDescription {
    fn build(self) -> PyResult<Readout> {
        let mut readout = Readout::new(self.outputs).weights(self.weights.of_readout()?);
        if self.inputs {
            readout = readout.with_inputs();
        }
        if !self.bias {
            readout = readout.without_bias();
        }
        if let Some(LeastSquares { forgetting, ridge }) = self.least_squares {
            readout = readout.recursive_least_squares(forgetting, ridge);
        }
        Ok(readout)
    }
}

/// A learner, as `rtrl.Learner` describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LearnerDescription {
    updates: UpdateSettings,
    loss: String,
    streams: usize,
    regime: Regime,
    teacher_forcing: bool,
    engine: Engine,
    threads: Option<usize>,
    recovery: Recovery,
    sensitivity_decay: f64,
    step_gradients: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Engine {
    name: String,
    window: Option<usize>,
    even_paced: bool,
}

impl LearnerDescription {
    pub(crate) fn read(description: &Bound<'_, PyAny>) -> PyResult<Self> {
        depythonize(description).map_err(raise_description)
    }

    pub(crate) fn threads(&self) -> Threads {
        threads(self.threads)
    }

    pub(crate) fn build<T: Number>(mut self, network: Network<T>) -> PyResult<Learner<T>> {
        let threads = self.threads();
        self.updates.supply(None, Some(&function::optimizer())).map_err(raise)?;
        let builder: LearnerBuilder<T> = Learner::builder(network)
            .updates(self.updates)
            .loss(function::loss_of(&self.loss).map_err(raise)?)
            .streams(self.streams)
            .regime(self.regime)
            .teacher_forcing(self.teacher_forcing)
            .engine(self.engine.choice()?)
            .threads(threads)
            .recovery(self.recovery)
            .sensitivity_decay(self.sensitivity_decay)
            .step_gradients(self.step_gradients);
        builder.build().map_err(raise)
    }
}

impl Engine {
    fn choice(self) -> PyResult<EngineChoice> {
        let named = self.name.parse::<EngineChoice>().map_err(raise)?;
        let pace = if self.even_paced { Pace::Even } else { Pace::Bursts };
        match named {
            EngineChoice::Deferred { .. } => {
                Ok(EngineChoice::Deferred { window: self.window, pace })
            }
            other if self.window.is_none() && !self.even_paced => Ok(other),
            _ => Err(refused("engine", "deferred with a window or a pace", &self.name)),
        }
    }
}

/// The data of an application, which Python passes as JSON.
pub(crate) fn application_of(text: &str) -> PyResult<Value> {
    serde_json::from_str(text)
        .map_err(|error| ArgumentError::new_err(format!("application: {error}")))
}

/// As many threads as Python asks for.
pub(crate) fn threads(count: Option<usize>) -> Threads {
    count.map_or(Threads::Auto, Threads::Exactly)
}
