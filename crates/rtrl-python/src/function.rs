//! Losses and optimisers that are functions of Python.
//!
//! The model knows both by name only. The function of a loss is passed to every call that takes
//! steps, so that neither copies nor files nor cycles of references involve this module. An
//! optimiser runs in Python after the step: the model's update changes nothing.

use std::cell::RefCell;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use rtrl_model::{CustomOptimizer, Error, Loss, Optimizer, Targets};

use crate::array::{StepShape, Values, row};
use crate::error::CallbackError;
use crate::precision::Number;

/// The name of both in files.
const NAME: &str = "python";

/// [`Loss::saved_name`] of [`loss`].
pub(crate) const LOSS: &str = "custom:python";

/// The function of the steps that this thread takes.
struct Called {
    function: Py<PyAny>,
    /// The exception that it has raised.
    failure: Option<PyErr>,
}

thread_local! {
    static CALLED: RefCell<Option<Called>> = const { RefCell::new(None) };
}

/// A loss that calls the function of [`with_loss`].
pub(crate) fn loss<T: Number>() -> Loss<T> {
    Loss::custom(NAME, compare)
}

/// The loss of a name.
pub(crate) fn loss_of<T: Number>(name: &str) -> Result<Loss<T>, Error> {
    if name == LOSS { Ok(loss()) } else { name.parse() }
}

/// Takes steps whose loss is `function`, if there is one. Its exception is the cause of the one
/// that is returned, with the number of the step of the learner; other errors of a run have that of
/// the step within the run. Ctrl-C is returned as it is. `taken` is the number of steps of the
/// learner.
pub(crate) fn with_loss<M, R>(
    py: Python<'_>,
    function: Option<&Bound<'_, PyAny>>,
    model: &mut M,
    taken: impl FnOnce(&M) -> u64,
    steps: impl FnOnce(&mut M) -> PyResult<R>,
) -> PyResult<R> {
    let Some(function) = function else { return steps(model) };
    let called = Called { function: function.clone().unbind(), failure: None };
    let outer = CALLED.replace(Some(called));
    let result = steps(model);
    match CALLED.replace(outer).and_then(|called| called.failure) {
        Some(failure) if failure.is_instance_of::<PyException>(py) => {
            let step = taken(model);
            let error = CallbackError::new_err(format!("step {step}: the loss raised {failure}"));
            error.set_cause(py, Some(failure));
            Err(error)
        }
        Some(failure) => Err(failure),
        None => result,
    }
}

/// Calls the function. Where it fails, the loss is NaN, which ends the step before anything
/// changes.
fn compare<T: Number>(outputs: &[T], targets: Targets<'_, T>, errors: &mut [T]) -> T {
    let found = Python::attach(|py| {
        // It may take steps of another learner.
        let function = CALLED
            .with_borrow(|called| called.as_ref().map(|called| called.function.clone_ref(py)))?;
        match call(function.bind(py), outputs, targets, errors) {
            Ok(loss) => Some(loss),
            Err(failure) => {
                CALLED.with_borrow_mut(|called| {
                    called.as_mut().map(|called| called.failure = Some(failure))
                });
                None
            }
        }
    });
    T::from_f64(found.unwrap_or(f64::NAN))
}

/// L, and the errors of the outputs that have a target.
fn call<T: Number>(
    function: &Bound<'_, PyAny>,
    outputs: &[T],
    targets: Targets<'_, T>,
    errors: &mut [T],
) -> PyResult<f64> {
    let py = function.py();
    let missing = T::from_f64(f64::NAN);
    let labels: Vec<T> = (0..outputs.len()).map(|k| targets.get(k).unwrap_or(missing)).collect();
    let result = function.call1((row(py, outputs), row(py, &labels)))?;
    let (loss, found): (f64, Bound<'_, PyAny>) = result.extract()?;
    let found = Values::<T>::of(&found, "errors of the loss")?;
    StepShape { streams: 1, width: outputs.len() }.check("errors of the loss", found.shape())?;
    for (k, (error, &value)) in errors.iter_mut().zip(found.numbers()?).enumerate() {
        *error = targets.get(k).map_or(T::ZERO, |_| value);
    }
    Ok(loss)
}

/// An optimiser that leaves the weights to Python.
pub(crate) fn optimizer() -> Optimizer {
    Optimizer::custom(0.0, Still)
}

#[derive(Debug)]
struct Still;

impl CustomOptimizer for Still {
    fn name(&self) -> &str {
        NAME
    }

    fn direction(&self, _: u64, _: f64, _: f64, _: &mut [f64]) -> f64 {
        0.0
    }
}
