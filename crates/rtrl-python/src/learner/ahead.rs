//! Predictions and free runs, which change nothing.

use pyo3::prelude::*;
use rtrl_model::{Error, Learner};

use super::batch::shapes;
use crate::array::{Values, array, row};
use crate::error::{OutOfMemoryError, raise};
use crate::precision::Number;

/// The outputs that the next step, or the next steps, would compute for these inputs.
pub(super) fn predict<'py, T: Number>(
    learner: &Learner<T>,
    x: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = x.py();
    let (inputs, outputs) = shapes(learner);
    let x = Values::<T>::of(x, "input")?;
    let (steps, mut shape) = match inputs.check("input", x.shape()) {
        Ok(()) if x.shape().len() <= inputs.dimensions().len() => (1, Vec::new()),
        one => {
            let several = inputs.steps("input", x.shape());
            let steps = several.map_err(|error| one.err().unwrap_or(error))?;
            (steps, vec![steps])
        }
    };
    let x = x.numbers()?;
    let predicted = py.detach(|| {
        let network = learner.network();
        let states = (0..inputs.streams).map(|b| Ok(learner.state(b)?.clone()));
        let mut states = states.collect::<Result<Vec<_>, Error>>()?;
        let mut predicted = Vec::new();
        for t in 0..steps {
            for (b, state) in states.iter_mut().enumerate() {
                let first = (t * inputs.streams + b) * inputs.width;
                predicted.extend_from_slice(network.forward(state, &x[first..][..inputs.width])?);
            }
        }
        Ok(predicted)
    });
    shape.extend(outputs.dimensions());
    Ok(array(py, predicted.map_err(raise)?, shape)?.into_any())
}

/// The outputs of a free run of `steps` steps. `input` is called with the number of the step and
/// the last outputs, and returns the next input; without it, the outputs are the next input.
pub(super) fn generate<'py, T: Number>(
    py: Python<'py>,
    learner: &Learner<T>,
    steps: usize,
    input: Option<&Bound<'py, PyAny>>,
    stream: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let network = learner.network();
    let (inputs, outputs) = (network.inputs(), network.outputs());
    if input.is_none() && inputs > 0 && inputs != outputs {
        return Err(raise(Error::Setting {
            what: "free run without an input function",
            expected: format!("a network with {inputs} outputs, one per input"),
            got: outputs.to_string(),
        }));
    }
    let mut state = learner.state(stream).map_err(raise)?.clone();
    let (mut next, mut rows) = (vec![T::ZERO; inputs], Vec::<T>::new());
    if rows.try_reserve_exact(steps.saturating_mul(outputs)).is_err() {
        let message = format!("cannot allocate {steps} steps of a free run");
        return Err(OutOfMemoryError::new_err(message));
    }
    for step in 0..steps {
        if let Some(input) = input {
            let given = input.call1((step, row(py, state.outputs())))?;
            next = Values::of(&given, "input")?.numbers()?.to_vec();
        } else if inputs > 0 {
            next.copy_from_slice(state.outputs());
        }
        let forward = || network.forward(&mut state, &next).map(|outputs| rows.extend(outputs));
        py.detach(forward).map_err(raise)?;
        py.check_signals()?;
    }
    Ok(array(py, rows, vec![steps, outputs])?.into_any())
}
