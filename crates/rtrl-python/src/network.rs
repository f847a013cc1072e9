//! Networks.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use rtrl_model::store::network::{self as store, SavedModel};
use rtrl_model::store::torch::{self, Prefixes};
use rtrl_model::{Activation, Connection, Network as Model};
use serde_json::Value;

use crate::array::{StepShape, Values, array, by_layer, row};
use crate::describe::{NetworkDescription, application_of};
use crate::error::raise;
use crate::precision::{Either, Number, each, map};

/// A network in one of the precisions.
pub(crate) type Network32Or64 = Either<Model<f32>, Model<f64>>;

/// The compiled part of `rtrl.Network`.
#[pyclass(frozen, module = "rtrl._rtrl")]
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) inner: Network32Or64,
}

impl Network {
    /// The precision of a file or of a description.
    fn of<E>(
        double: bool,
        single: impl FnOnce() -> Result<Model<f32>, E>,
        twice: impl FnOnce() -> Result<Model<f64>, E>,
    ) -> Result<Self, E> {
        let inner = if double { Either::F64(twice()?) } else { Either::F32(single()?) };
        Ok(Self { inner })
    }

    fn from_saved(saved: &SavedModel) -> PyResult<Self> {
        let double = saved.precision() == "f64";
        let network = Self::of(double, || saved.network(&[]), || saved.network(&[]));
        network.map_err(raise)
    }
}

#[pymethods]
impl Network {
    #[new]
    fn new(py: Python<'_>, description: &Bound<'_, PyAny>, double: bool) -> PyResult<Self> {
        let described = NetworkDescription::read(description)?;
        py.detach(|| {
            let inner = if double {
                Either::F64(described.build()?)
            } else {
                Either::F32(described.build()?)
            };
            Ok(Self { inner })
        })
    }

    /// The outputs of a run from the initial state.
    fn run<'py>(&self, x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.inner, network => run(network, x))
    }

    /// The weights by layer.
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        each!(&self.inner, network => {
            by_layer(py, network, network.weights(), network.readout_weights())
        })
    }

    /// y(t0), then c(t0).
    fn initial_state<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        each!(&self.inner, network => row(py, network.initial_state()).into_any())
    }

    /// The network in numbers.
    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        each!(&self.inner, network => describe(py, network))
    }

    /// Writes a model file.
    fn save(&self, py: Python<'_>, path: PathBuf, application: &str) -> PyResult<()> {
        let application = application_of(application)?;
        each!(&self.inner, network => py.detach(|| {
            store::save(network, network.initial_state(), application, &path)
        }))
        .map_err(raise)
    }

    /// Reads a model file.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| Self::from_saved(&SavedModel::read(&path).map_err(raise)?))
    }

    /// A model file in memory.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = each!(&self.inner, network => py.detach(|| {
            store::to_bytes(network, network.initial_state(), Value::Null)
        }));
        Ok(PyBytes::new(py, &bytes.map_err(raise)?))
    }

    /// Reads a model file in memory.
    #[staticmethod]
    fn from_bytes(bytes: Vec<u8>) -> PyResult<Self> {
        Self::from_saved(&SavedModel::from_bytes(bytes).map_err(raise)?)
    }

    /// The weights as a safetensors file with the names of `PyTorch`.
    fn to_torch<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = each!(&self.inner, network => torch::to_bytes(network)).map_err(raise)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// A network with the weights of such a file, under these prefixes.
    #[staticmethod]
    #[pyo3(signature = (bytes, layers, readout, nonlinearity, double))]
    fn from_torch(
        bytes: &[u8],
        layers: &str,
        readout: Option<&str>,
        nonlinearity: &str,
        double: bool,
    ) -> PyResult<Self> {
        let nonlinearity: Activation = nonlinearity.parse().map_err(raise)?;
        let prefixes = Prefixes { layers, readout };
        let single = || torch::from_bytes(bytes, prefixes, &nonlinearity)?.build();
        let twice = || torch::from_bytes(bytes, prefixes, &nonlinearity)?.build();
        Self::of(double, single, twice).map_err(raise)
    }
}

fn run<'py, T: Number>(network: &Model<T>, x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = x.py();
    let x = Values::<T>::of(x, "input")?;
    let steps = StepShape { streams: 1, width: network.inputs() }.steps("input", x.shape())?;
    let numbers = x.numbers()?;
    let outputs = py.detach(|| network.run(&mut network.state(), steps, numbers)).map_err(raise)?;
    Ok(array(py, outputs, vec![steps, network.outputs()])?.into_any())
}

fn describe<'py, T: Number>(py: Python<'py>, network: &Model<T>) -> PyResult<Bound<'py, PyDict>> {
    let facts = PyDict::new(py);
    let layers = network.layers().iter().map(|layer| {
        let heads_of = (layer.heads() > 1).then(|| layer.units() / layer.heads());
        (layer.cell().name(), layer.units(), heads_of)
    });
    facts.set_item("layers", layers.collect::<Vec<_>>())?;
    facts.set_item("nonlinearity", network.activation(0).map(Activation::name))?;
    facts.set_item("dtype", T::DTYPE)?;
    facts.set_item("inputs", network.inputs())?;
    facts.set_item("outputs", network.outputs())?;
    facts.set_item("units", network.units())?;
    facts.set_item("states", network.layout().states())?;
    facts.set_item("bias", network.has_bias())?;
    facts.set_item("readout", network.readout_weights().is_some())?;
    let readout = network.readout_weights().map_or(0, |weights| weights.rows() * weights.columns());
    let learning = network.connections().count(Connection::Learning);
    facts.set_item("parameters", learning + readout)?;
    Ok(facts)
}

/// A copy of a network in the same precision.
pub(crate) fn copied(network: &Network32Or64) -> Network {
    Network { inner: map!(network, network => network.clone()) }
}
