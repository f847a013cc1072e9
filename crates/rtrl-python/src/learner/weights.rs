//! Weights, gradients and sensitivities by layer.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use rtrl_model::{Gradient, Learner, Network};

use crate::array::{READOUT, Values, by_layer, layer_key, matrix};
use crate::error::{ArgumentError, raise, wrong_shape};
use crate::precision::Number;

pub(super) fn weights<'py, T: Number>(
    py: Python<'py>,
    learner: &Learner<T>,
) -> PyResult<Bound<'py, PyDict>> {
    let network = learner.network();
    by_layer(py, network, network.weights(), network.readout_weights())
}

/// Replaces the matrices that are given, all or none.
pub(super) fn set<T: Number>(learner: &mut Learner<T>, values: &Bound<'_, PyDict>) -> PyResult<()> {
    let network = learner.network();
    let columns = network.weights().columns();
    let mut recurrent: Vec<T> = network.weights().iter_rows().flatten().copied().collect();
    let mut readout = None;
    for (key, value) in values {
        let key: String = key.extract()?;
        let value = Values::<T>::of(&value, "weights")?;
        if let (READOUT, Some(weights)) = (key.as_str(), network.readout_weights()) {
            check(&key, &value, [weights.rows(), weights.columns()])?;
            readout = Some(value.numbers()?.to_vec());
            continue;
        }
        let mut layers = network.layers().iter().enumerate();
        let Some((_, layer)) = layers.find(|(number, _)| layer_key(*number) == key) else {
            let message = format!("weights: got the key {key:?}, expected {}", keys(network));
            return Err(ArgumentError::new_err(message));
        };
        check(&key, &value, [layer.rows().len(), layer.width()])?;
        for (row, numbers) in layer.rows().zip(value.numbers()?.chunks_exact(layer.width())) {
            recurrent[row * columns..][..layer.width()].copy_from_slice(numbers);
        }
    }
    let before: Vec<T> = network.weights().iter_rows().flatten().copied().collect();
    learner.set_weights(&recurrent).map_err(raise)?;
    let Some(readout) = readout else { return Ok(()) };
    learner.set_readout_weights(&readout).map_err(|error| {
        // These were accepted before.
        let restored = learner.set_weights(&before);
        raise(restored.err().unwrap_or(error))
    })
}

fn check<T: Number>(key: &str, value: &Values<'_, T>, expected: [usize; 2]) -> PyResult<()> {
    if value.shape() == expected {
        return Ok(());
    }
    let [rows, columns] = expected;
    Err(wrong_shape(&format!("weights of {key}"), value.shape(), &format!("({rows}, {columns})")))
}

fn keys<T: Number>(network: &Network<T>) -> String {
    let mut keys: Vec<_> = (0..network.layers().len()).map(layer_key).collect();
    keys.extend(network.readout_weights().map(|_| READOUT.to_owned()));
    keys.join(", ")
}

/// The gradient of the last step.
pub(super) fn gradient<'py, T: Number>(
    py: Python<'py>,
    learner: &Learner<T>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    learner.gradient().map(|gradient| parts(py, learner.network(), gradient)).transpose()
}

/// The gradient that has accumulated since the last update.
pub(super) fn accumulated<'py, T: Number>(
    py: Python<'py>,
    learner: &mut Learner<T>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let gradient = learner.accumulated_gradient().map_err(raise)?.cloned();
    gradient.map(|gradient| parts(py, learner.network(), &gradient)).transpose()
}

fn parts<'py, T: Number>(
    py: Python<'py>,
    network: &Network<T>,
    gradient: &Gradient<T>,
) -> PyResult<Bound<'py, PyDict>> {
    by_layer(py, network, gradient.recurrent(), gradient.readout())
}

/// The derivatives of one state by all weights.
pub(super) fn sensitivities<'py, T: Number>(
    py: Python<'py>,
    learner: &Learner<T>,
    unit: usize,
    stream: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let p = py.detach(|| learner.stream_sensitivities(stream, unit)).map_err(raise)?;
    by_layer(py, learner.network(), &p, None)
}

/// The Jacobian of the last step.
pub(super) fn jacobian<'py, T: Number>(
    py: Python<'py>,
    learner: &Learner<T>,
    stream: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let jacobian = learner.jacobian(stream).map_err(raise)?;
    Ok(matrix(py, &jacobian, 0..jacobian.rows(), jacobian.columns())?.into_any())
}
