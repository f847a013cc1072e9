//! The arrays of one or several steps.

use std::ops::Range;

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use rtrl_model::{Error, Learner, Sample};

use crate::array::{Labels, StepShape, Values, mask};
use crate::error::raise;
use crate::precision::Number;

/// The shapes of the inputs and of the targets of a step.
pub(crate) fn shapes<T: Number>(learner: &Learner<T>) -> (StepShape, StepShape) {
    let (streams, network) = (learner.streams(), learner.network());
    let shape = |width| StepShape { streams, width };
    (shape(network.inputs()), shape(network.outputs()))
}

/// What Python passes to a step or to a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguments<'a, 'py> {
    pub(crate) x: &'a Bound<'py, PyAny>,
    pub(crate) targets: Option<&'a Bound<'py, PyAny>>,
    /// Which streams take part.
    pub(crate) streams: Option<&'a Bound<'py, PyAny>>,
}

/// The arrays of one or several steps, checked.
#[derive(Debug)]
pub(crate) struct Batch<'py, T: Number> {
    shapes: (StepShape, StepShape),
    pub(crate) steps: usize,
    x: Values<'py, T>,
    targets: Option<Values<'py, T>>,
    /// Which streams take part, steps x streams; all without it.
    present: Option<Vec<bool>>,
}

impl<'py, T: Number> Batch<'py, T> {
    /// Those of one step.
    pub(crate) fn of_step(learner: &Learner<T>, arguments: Arguments<'_, 'py>) -> PyResult<Self> {
        Self::of(learner, arguments, |shape, what, got| shape.check(what, got).map(|()| 1))
    }

    /// Those of a run, all with the same number of steps.
    pub(crate) fn of_run(learner: &Learner<T>, arguments: Arguments<'_, 'py>) -> PyResult<Self> {
        Self::of(learner, arguments, StepShape::steps)
    }

    /// `count` checks the shape of an array and returns its number of steps.
    fn of(
        learner: &Learner<T>,
        Arguments { x, targets, streams }: Arguments<'_, 'py>,
        count: impl Fn(StepShape, &str, &[usize]) -> PyResult<usize>,
    ) -> PyResult<Self> {
        let (inputs, outputs) = shapes(learner);
        let x = Values::of(x, "input")?;
        let steps = count(inputs, "input", x.shape())?;
        let same = |what, got| {
            let error = Error::Length { what, expected: steps, got };
            if got == steps { Ok(()) } else { Err(raise(error)) }
        };
        let targets = targets.map(|targets| Values::of(targets, "target")).transpose()?;
        if let Some(targets) = &targets {
            same("target of a run", count(outputs, "target", targets.shape())?)?;
        }
        let present = streams.map(|streams| mask(streams, "streams")).transpose()?;
        if let Some((_, shape)) = &present {
            let one_each = StepShape { width: 1, ..inputs };
            same("streams of a run", count(one_each, "streams", shape)?)?;
        }
        let present = present.map(|(present, _)| present);
        Ok(Self { shapes: (inputs, outputs), steps, x, targets, present })
    }

    /// Those of a part.
    pub(crate) fn rows(&self, steps: Range<usize>) -> PyResult<Rows<'_, T>> {
        let (inputs, outputs) = self.shapes;
        let part = |width| steps.start * inputs.streams * width..steps.end * inputs.streams * width;
        let labels = match &self.targets {
            Some(targets) => Labels::of(&targets.numbers()?[part(outputs.width)]),
            None => Labels::None,
        };
        Ok(Rows {
            x: &self.x.numbers()?[part(inputs.width)],
            labels,
            present: self.present.as_ref().map(|present| &present[part(1)]),
            widths: (inputs.width, outputs.width),
        })
    }

    /// Inputs, targets and streams as arrays that need no further conversion.
    pub(super) fn into_arrays(self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let shape = [self.steps, self.shapes.0.streams];
        let present = self.present.map(|present| PyArray1::from_vec(py, present).reshape(shape));
        let targets = self.targets.map(|targets| targets.into_array(py)).transpose()?;
        (self.x.into_array(py)?, targets, present.transpose()?).into_pyobject(py)
    }
}

/// The numbers of one or several steps.
#[derive(Debug)]
pub(crate) struct Rows<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) labels: Labels<'a, T>,
    pub(crate) present: Option<&'a [bool]>,
    /// Inputs and outputs of a stream.
    widths: (usize, usize),
}

impl<T: Number> Rows<'_, T> {
    /// The samples of the streams in step `t`.
    pub(crate) fn samples(
        &self,
        t: usize,
        streams: usize,
    ) -> impl Iterator<Item = Option<Sample<'_, T>>> {
        let (inputs, outputs) = self.widths;
        (t * streams..(t + 1) * streams).map(move |row| {
            let present = self.present.is_none_or(|present| present[row]);
            let targets = self.labels.range(row * outputs..(row + 1) * outputs);
            present.then(|| (&self.x[row * inputs..][..inputs], targets))
        })
    }
}
