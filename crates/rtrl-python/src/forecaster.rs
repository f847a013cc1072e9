//! Forecasters: learners whose labels arrive late.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use pythonize::{depythonize, pythonize};
use rtrl_model::{Forecaster as Model, StoredLearner, Supplies, Threads};
use serde_json::Value;

use crate::array::{Labels, StepShape, array};
use crate::describe::threads;
use crate::error::{raise, raise_description};
use crate::guard::{Guard, Revive};
use crate::learner::{Learner, Owned as OwnedLearner, StepReport, sample, samples};
use crate::precision::{Either, Number, each, map};

/// A forecaster in one of the precisions, and how many threads it was given.
#[derive(Debug, Clone)]
struct Owned {
    model: Either<Model<f32>, Model<f64>>,
    threads: Threads,
}

/// The compiled part of `rtrl.Forecaster`.
#[pyclass(frozen, module = "rtrl._rtrl")]
#[derive(Debug)]
pub(crate) struct Forecaster {
    guard: Guard<Owned>,
}

impl Owned {
    fn read(stored: StoredLearner, threads: Threads) -> PyResult<Self> {
        let model = match stored.precision() {
            "f64" => Either::F64(stored.forecaster(&Supplies { threads, ..Supplies::default() })),
            _ => Either::F32(stored.forecaster(&Supplies { threads, ..Supplies::default() })),
        };
        let model = map!(model, forecaster => forecaster.map_err(raise)?);
        Ok(Self { model, threads })
    }

    fn to_bytes(&self) -> PyResult<Vec<u8>> {
        each!(&self.model, forecaster => forecaster.to_bytes(&Value::Null)).map_err(raise)
    }
}

impl Revive for Owned {
    fn revived(&self) -> PyResult<Self> {
        let stored = StoredLearner::from_bytes(self.to_bytes()?).map_err(raise)?;
        Self::read(stored, self.threads)
    }
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
    fn observe(
        &self,
        x: &Bound<'_, PyAny>,
        label: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<StepReport>> {
        each!(&mut self.guard.take()?.model, forecaster => observe(forecaster, x, label))
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

    fn copy(&self) -> PyResult<Self> {
        Ok(Self::from_owned(self.guard.take()?.clone()))
    }

    fn save(&self, py: Python<'_>, path: PathBuf, application: &Bound<'_, PyAny>) -> PyResult<()> {
        let application: Value = depythonize(application).map_err(raise_description)?;
        let taken = self.guard.take()?;
        each!(&taken.model, forecaster => py.detach(|| forecaster.save(&path, &application)))
            .map_err(raise)
    }

    #[staticmethod]
    fn load(
        py: Python<'_>,
        path: PathBuf,
        count: Option<usize>,
    ) -> PyResult<(Self, Bound<'_, PyAny>)> {
        let stored = py.detach(|| StoredLearner::open(&path)).map_err(raise)?;
        let application = pythonize(py, stored.application()).map_err(raise_description)?;
        let owned = py.detach(|| Owned::read(stored, threads(count)))?;
        Ok((Self::from_owned(owned), application))
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
    fn from_bytes(bytes: Vec<u8>) -> PyResult<Self> {
        let stored = StoredLearner::from_bytes(bytes).map_err(raise)?;
        Ok(Self::from_owned(Owned::read(stored, Threads::Auto)?))
    }
}

fn shapes<T: Number>(forecaster: &Model<T>) -> (StepShape, StepShape) {
    let (streams, network) = (forecaster.learner().streams(), forecaster.learner().network());
    let shape = |width| StepShape { streams, width };
    (shape(network.inputs()), shape(network.outputs()))
}

fn observe<T: Number>(
    forecaster: &mut Model<T>,
    x: &Bound<'_, PyAny>,
    label: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<StepReport>> {
    let (py, shapes) = (x.py(), shapes(forecaster));
    let (x, label) = sample::<T>(shapes, x, label)?;
    let x = x.numbers()?;
    let labels = match &label {
        Some(label) => Labels::of(label.numbers()?),
        None => Labels::None,
    };
    let report = py.detach(|| forecaster.observe_streams(&samples(x, &labels, shapes)));
    let report = report.map_err(raise)?;
    report.map(|report| StepReport::of(py, &report, shapes.1)).transpose()
}

fn forecast<'py, T: Number>(
    py: Python<'py>,
    forecaster: &mut Model<T>,
) -> PyResult<Bound<'py, PyAny>> {
    let (_, shape) = shapes(forecaster);
    let mut all = Vec::with_capacity(shape.streams * shape.width);
    for b in 0..shape.streams {
        all.extend_from_slice(forecaster.forecast_stream(b).map_err(raise)?);
    }
    Ok(array(py, all, shape.dimensions())?.into_any())
}
