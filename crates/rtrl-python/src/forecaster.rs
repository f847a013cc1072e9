//! Forecasters: learners whose labels arrive late.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use rtrl_model::Forecaster as Model;

use crate::array::array;
use crate::describe::{application_of, threads};
use crate::error::raise;
use crate::function::with_loss;
use crate::guard::Guard;
use crate::learner::{Arguments, Batch, Learner, Owned as OwnedLearner, StepReport, shapes};
use crate::precision::{Number, each, map};
use crate::saved;

/// A forecaster in one of the precisions.
type Owned = saved::Owned<Model<f32>, Model<f64>>;

/// The compiled part of `rtrl.Forecaster`.
#[pyclass(frozen, module = "rtrl._rtrl")]
#[derive(Debug)]
pub(crate) struct Forecaster {
    guard: Guard<Owned>,
}

impl Forecaster {
    fn from_owned(owned: Owned) -> Self {
        Self { guard: Guard::new(owned) }
    }
}

#[pymethods]
impl Forecaster {
    #[new]
    fn new(learner: &Learner, horizon: usize) -> PyResult<Self> {
        let OwnedLearner { model, threads } = learner.take()?.clone();
        let model = map!(model, learner => Model::new(learner, horizon).map_err(raise)?);
        Ok(Self::from_owned(Owned { model, threads }))
    }

    /// Takes an input and the label of the one `horizon` calls ago.
    #[pyo3(signature = (x, targets, streams, loss))]
    fn observe(
        &self,
        x: &Bound<'_, PyAny>,
        targets: Option<&Bound<'_, PyAny>>,
        streams: Option<&Bound<'_, PyAny>>,
        loss: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<StepReport>> {
        let arguments = Arguments { x, targets, streams };
        each!(&mut self.guard.take()?.model, forecaster => {
            let steps = |forecaster: &Model<_>| forecaster.learner().steps();
            with_loss(x.py(), loss, forecaster, steps, |forecaster| observe(forecaster, arguments))
        })
    }

    /// The forecast of the label that arrives in `horizon` calls.
    fn forecast<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&mut self.guard.take()?.model, forecaster => forecast(py, forecaster))
    }

    fn horizon(&self) -> PyResult<usize> {
        Ok(each!(&self.guard.take()?.model, forecaster => forecaster.horizon()))
    }

    /// A copy of the learner.
    fn learner(&self) -> PyResult<Learner> {
        let taken = self.guard.take()?;
        let model = map!(&taken.model, forecaster => forecaster.learner().clone());
        Ok(Learner::from_owned(OwnedLearner { model, threads: taken.threads }))
    }

    /// Starts new sequences from the initial state.
    fn reset(&self) -> PyResult<()> {
        each!(&mut self.guard.take()?.model, forecaster => {
            let state = forecaster.learner().network().initial_state().to_vec();
            forecaster.reset(&state)
        })
        .map_err(raise)
    }

    /// How many threads Python asked for.
    fn threads(&self) -> PyResult<Option<usize>> {
        Ok(self.guard.take()?.threads())
    }

    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        let taken = self.guard.take()?;
        Ok(Self::from_owned(py.detach(|| Owned::clone(&taken))))
    }

    fn save(&self, py: Python<'_>, path: PathBuf, application: &str) -> PyResult<()> {
        let (taken, application) = (self.guard.take()?, application_of(application)?);
        py.detach(|| taken.save(&path, &application))
    }

    #[staticmethod]
    #[pyo3(signature = (path, count))]
    fn load(py: Python<'_>, path: PathBuf, count: Option<usize>) -> PyResult<Self> {
        Ok(Self::from_owned(py.detach(|| Owned::load(&path, threads(count)))?))
    }

    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        each!(&self.guard.take()?.model, forecaster => {
            crate::learner::describe(py, forecaster.learner())
        })
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let taken = self.guard.take()?;
        let bytes = py.detach(|| taken.to_bytes())?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[staticmethod]
    #[pyo3(signature = (bytes, count))]
    fn from_bytes(py: Python<'_>, bytes: Vec<u8>, count: Option<usize>) -> PyResult<Self> {
        Ok(Self::from_owned(py.detach(|| Owned::from_bytes(bytes, threads(count)))?))
    }
}

fn observe<T: Number>(
    forecaster: &mut Model<T>,
    arguments: Arguments<'_, '_>,
) -> PyResult<Option<StepReport>> {
    let (py, (inputs, outputs)) = (arguments.x.py(), shapes(forecaster.learner()));
    let batch = Batch::<T>::of_step(forecaster.learner(), arguments)?;
    let rows = batch.rows(0..1)?;
    let report = py.detach(|| {
        let samples: Vec<_> = rows.samples(0, inputs.streams).collect();
        forecaster.observe_streams(&samples)
    });
    report.map_err(raise)?.map(|report| StepReport::of(py, &report, outputs)).transpose()
}

fn forecast<'py, T: Number>(
    py: Python<'py>,
    forecaster: &mut Model<T>,
) -> PyResult<Bound<'py, PyAny>> {
    let (_, shape) = shapes(forecaster.learner());
    let mut all = Vec::with_capacity(shape.streams * shape.width);
    for b in 0..shape.streams {
        all.extend_from_slice(forecaster.forecast_stream(b).map_err(raise)?);
    }
    Ok(array(py, all, shape.dimensions())?.into_any())
}
