//! A step, and steps over whole arrays.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use rtrl_model::{Error, Learner, Sample};

use crate::array::{Labels, StepShape, Values, array, row};
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

/// The shapes of the inputs and of the targets of a step.
pub(super) fn shapes<T: Number>(learner: &Learner<T>) -> (StepShape, StepShape) {
    let (streams, network) = (learner.streams(), learner.network());
    let shape = |width| StepShape { streams, width };
    (shape(network.inputs()), shape(network.outputs()))
}

/// The input and the targets of a step, checked.
pub(crate) fn sample<'py, T: Number>(
    (inputs, outputs): (StepShape, StepShape),
    x: &Bound<'py, PyAny>,
    target: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Values<'py, T>, Option<Values<'py, T>>)> {
    let x = Values::of(x, "input")?;
    inputs.check("input", x.shape())?;
    let target = target.map(|target| Values::of(target, "target")).transpose()?;
    if let Some(target) = &target {
        outputs.check("target", target.shape())?;
    }
    Ok((x, target))
}

/// One sample for each stream.
pub(crate) fn samples<'a, T: Number>(
    x: &'a [T],
    labels: &'a Labels<'_, T>,
    (inputs, outputs): (StepShape, StepShape),
) -> Vec<Option<Sample<'a, T>>> {
    let of_stream = |b: usize| {
        let targets = labels.range(b * outputs.width..(b + 1) * outputs.width);
        Some((&x[b * inputs.width..][..inputs.width], targets))
    };
    (0..inputs.streams).map(of_stream).collect()
}

/// [`Learner::step`] or [`Learner::step_streams`].
pub(super) fn step<T: Number>(
    learner: &mut Learner<T>,
    x: &Bound<'_, PyAny>,
    target: Option<&Bound<'_, PyAny>>,
) -> PyResult<StepReport> {
    let (py, shapes) = (x.py(), shapes(learner));
    let (x, target) = sample::<T>(shapes, x, target)?;
    let x = x.numbers()?;
    let labels = match &target {
        Some(target) => Labels::of(target.numbers()?),
        None => Labels::None,
    };
    let report = py.detach(|| match shapes.0.streams {
        1 => learner.step(x, labels.targets()),
        _ => learner.step_streams(&samples(x, &labels, shapes)),
    });
    StepReport::of(py, &report.map_err(raise)?, shapes.1)
}

/// [`Learner::run`] in parts, between which Python handles its signals.
pub(super) fn run<'py, T: Number>(
    learner: &mut Learner<T>,
    x: &Bound<'py, PyAny>,
    targets: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = x.py();
    let (inputs, outputs) = shapes(learner);
    let x = Values::<T>::of(x, "input")?;
    let steps = inputs.steps("input", x.shape())?;
    let targets = targets.map(|targets| Values::<T>::of(targets, "target")).transpose()?;
    if let Some(targets) = &targets {
        let got = outputs.steps("target", targets.shape())?;
        if got != steps {
            let what = "target of a run";
            return Err(raise(Error::Length { what, expected: steps, got }));
        }
    }
    let x = x.numbers()?;
    let targets = targets.as_ref().map(Values::numbers).transpose()?;
    let (width, label_width) = (inputs.streams * inputs.width, outputs.streams * outputs.width);
    let (mut all, mut losses) = (Vec::new(), Vec::new());
    let len = steps.saturating_mul(label_width);
    if all.try_reserve_exact(len).is_err() || losses.try_reserve_exact(steps).is_err() {
        return Err(OutOfMemoryError::new_err(format!("cannot allocate {len} outputs of a run")));
    }
    let (mut done, mut part) = (0, FIRST_PART);
    while done < steps {
        let count = part.min(steps - done);
        let start = Instant::now();
        let result = py.detach(|| {
            let labels =
                targets.map(|targets| &targets[done * label_width..][..count * label_width]);
            let labels = labels.map_or(Labels::None, Labels::of);
            learner.run(count, &x[done * width..][..count * width], labels.targets())
        });
        let run = result.map_err(|error| raise(later(done, error)))?;
        all.extend_from_slice(&run.outputs);
        losses.extend_from_slice(&run.losses);
        done += count;
        py.check_signals()?;
        part = next_part(part, start.elapsed());
    }
    let mut shape = vec![steps];
    shape.extend(outputs.dimensions());
    let results = [array(py, all, shape)?.into_any(), row(py, &losses).into_any()];
    PyTuple::new(py, results)
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

/// The error of a part that begins after `done` steps.
fn later(done: usize, error: Error) -> Error {
    match error {
        Error::AtStep { step, source } => Error::AtStep { step: done + step, source },
        other => other,
    }
}
