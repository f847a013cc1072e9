//! A step, and steps over whole arrays.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use rtrl_model::{Error, Learner};

use super::batch::{Arguments, Batch, shapes};
use crate::array::{StepShape, array, row};
use crate::error::{OutOfMemoryError, raise};
use crate::precision::Number;

/// What came of a step.
#[pyclass(frozen, get_all, module = "rtrl._rtrl")]
#[derive(Debug)]
pub(crate) struct StepReport {
    step: u64,
    outputs: Py<PyAny>,
    errors: Py<PyAny>,
    loss: f64,
    updated: bool,
}

#[pymethods]
impl StepReport {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let outputs = self.outputs.bind(py).repr()?;
        let Self { step, loss, updated, .. } = self;
        let updated = if *updated { "True" } else { "False" };
        Ok(format!("StepReport(step={step}, loss={loss}, outputs={outputs}, updated={updated})"))
    }
}

impl StepReport {
    /// A report of the model as Python objects.
    pub(crate) fn of<T: Number>(
        py: Python<'_>,
        report: &rtrl_model::StepReport<'_, T>,
        shape: StepShape,
    ) -> PyResult<Self> {
        let numbers = |values: &[T]| match shape.streams {
            1 => Ok(row(py, values).into_any().unbind()),
            _ => {
                Ok::<_, PyErr>(array(py, values.to_vec(), shape.dimensions())?.into_any().unbind())
            }
        };
        Ok(Self {
            step: report.step,
            outputs: numbers(report.outputs)?,
            errors: numbers(report.errors)?,
            loss: report.loss.to_f64(),
            updated: report.updated,
        })
    }
}

/// [`Learner::step`] or [`Learner::step_streams`].
pub(super) fn step<T: Number>(
    learner: &mut Learner<T>,
    arguments: Arguments<'_, '_>,
) -> PyResult<StepReport> {
    let (py, (inputs, outputs)) = (arguments.x.py(), shapes(learner));
    let batch = Batch::<T>::of_step(learner, arguments)?;
    let rows = batch.rows(0..1)?;
    let report = py.detach(|| match (inputs.streams, rows.present) {
        (1, None) => learner.step(rows.x, rows.labels.targets()),
        (streams, _) => learner.step_streams(&rows.samples(0, streams).collect::<Vec<_>>()),
    });
    StepReport::of(py, &report.map_err(raise)?, outputs)
}

/// Steps over whole arrays, in parts between which Python handles its signals.
pub(super) fn run<'py, T: Number>(
    learner: &mut Learner<T>,
    arguments: Arguments<'_, 'py>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = arguments.x.py();
    let batch = Batch::<T>::of_run(learner, arguments)?;
    let (steps, (_, outputs)) = (batch.steps, shapes(learner));
    let (mut all, mut losses) = (Vec::new(), Vec::new());
    let len = steps.saturating_mul(outputs.streams * outputs.width);
    if all.try_reserve_exact(len).is_err() || losses.try_reserve_exact(steps).is_err() {
        return Err(OutOfMemoryError::new_err(format!("cannot allocate {len} outputs of a run")));
    }
    let (mut done, mut part) = (0, FIRST_PART);
    while done < steps {
        let end = steps.min(done.saturating_add(part));
        let (start, rows) = (Instant::now(), batch.rows(done..end)?);
        py.detach(|| {
            let mut samples = Vec::with_capacity(outputs.streams);
            for t in 0..end - done {
                samples.clear();
                samples.extend(rows.samples(t, outputs.streams));
                let report = learner.step_streams(&samples).map_err(|error| at(done + t, error))?;
                all.extend_from_slice(report.outputs);
                losses.push(report.loss);
            }
            Ok::<_, Error>(())
        })
        .map_err(raise)?;
        done = end;
        py.check_signals()?;
        part = next_part(part, start.elapsed());
    }
    let mut shape = vec![steps];
    shape.extend(outputs.dimensions());
    let results = [array(py, all, shape)?.into_any(), row(py, &losses).into_any()];
    PyTuple::new(py, results)
}

/// The error of a step of a run.
fn at(step: usize, source: Error) -> Error {
    Error::AtStep { step, source: Box::new(source) }
}

/// Steps of the first part of a run.
const FIRST_PART: usize = 16;

/// The time of a part: short for whoever waits, long compared with what is between two parts.
const PART: Duration = Duration::from_millis(20);

/// Steps of the next part, after one that took this time.
fn next_part(part: usize, taken: Duration) -> usize {
    if taken < PART / 2 {
        part.saturating_mul(2)
    } else if taken > 2 * PART {
        (part / 2).max(1)
    } else {
        part
    }
}
