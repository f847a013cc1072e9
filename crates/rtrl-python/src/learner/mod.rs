//! Learners.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | what Python calls |
//! | `step.rs` | a step, and steps over whole arrays |
//! | `ahead.rs` | predictions and free runs, which change nothing |
//! | `weights.rs` | weights, gradients and sensitivities by layer |
//! | `describe.rs` | a learner in numbers and words |

mod ahead;
mod describe;
mod step;
mod weights;

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use pythonize::{depythonize, pythonize};
use rtrl_model::store::StoredLearners;
use rtrl_model::{Learner as Model, StoredLearner, Supplies, Threads};
use serde_json::Value;

pub(crate) use self::describe::describe;
pub(crate) use self::step::{StepReport, sample, samples};
use crate::array::{StepShape, Values, array};
use crate::describe::{LearnerDescription, threads};
use crate::error::{raise, raise_description};
use crate::guard::{Guard, Revive, Taken};
use crate::network::{Network, Network32Or64, copied};
use crate::precision::{Either, Number, each, map};

/// A learner in one of the precisions, and how many threads it was given.
#[derive(Debug, Clone)]
pub(crate) struct Owned {
    pub(crate) model: Either<Model<f32>, Model<f64>>,
    pub(crate) threads: Threads,
}

/// The compiled part of `rtrl.Learner`.
#[pyclass(frozen, module = "rtrl._rtrl")]
#[derive(Debug)]
pub(crate) struct Learner {
    guard: Guard<Owned>,
}

impl Learner {
    pub(crate) fn from_owned(owned: Owned) -> Self {
        Self { guard: Guard::new(owned) }
    }

    /// The learner, for one call.
    pub(crate) fn take(&self) -> PyResult<Taken<'_, Owned>> {
        self.guard.take()
    }
}

impl Owned {
    /// The learner of a file.
    fn read(stored: StoredLearner, threads: Threads) -> PyResult<Self> {
        let model = match stored.precision() {
            "f64" => Either::F64(stored.learner(&Supplies { threads, ..Supplies::default() })),
            _ => Either::F32(stored.learner(&Supplies { threads, ..Supplies::default() })),
        };
        let model = map!(model, learner => learner.map_err(raise)?);
        Ok(Self { model, threads })
    }

    /// One of several learners in a file, as the program `rtrl` writes them, and the data of the
    /// program.
    fn among(path: &Path, name: &str, threads: Threads) -> PyResult<(Self, Value)> {
        let mut stored = StoredLearners::open(path).map_err(raise)?;
        let application = stored.application().clone();
        let model = match stored.precision(name) {
            Some("f64") => {
                Either::F64(stored.take(name, &Supplies { threads, ..Supplies::default() }))
            }
            _ => Either::F32(stored.take(name, &Supplies { threads, ..Supplies::default() })),
        };
        let model = map!(model, learner => learner.map_err(raise)?);
        Ok((Self { model, threads }, application))
    }

    fn to_bytes(&self) -> PyResult<Vec<u8>> {
        each!(&self.model, learner => learner.to_bytes(&Value::Null)).map_err(raise)
    }
}

impl Revive for Owned {
    fn revived(&self) -> PyResult<Self> {
        let stored = StoredLearner::from_bytes(self.to_bytes()?).map_err(raise)?;
        Self::read(stored, self.threads)
    }
}

#[pymethods]
impl Learner {
    #[new]
    fn new(py: Python<'_>, network: &Network, description: &Bound<'_, PyAny>) -> PyResult<Self> {
        let described = LearnerDescription::read(description)?;
        let threads = described.threads();
        let network: Network32Or64 = copied(&network.inner).inner;
        let model =
            py.detach(|| Ok::<_, PyErr>(map!(network, network => described.build(network)?)))?;
        Ok(Self::from_owned(Owned { model, threads }))
    }

    /// One step; the result says what came of it.
    fn step(
        &self,
        x: &Bound<'_, PyAny>,
        target: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<StepReport> {
        each!(&mut self.take()?.model, learner => step::step(learner, x, target))
    }

    /// Steps over whole arrays; the outputs and the losses.
    fn run<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        targets: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        each!(&mut self.take()?.model, learner => step::run(learner, x, targets))
    }

    /// The outputs for inputs that are not taken.
    fn predict<'py>(&self, x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.take()?.model, learner => ahead::predict(learner, x))
    }

    /// The outputs of a free run.
    #[pyo3(signature = (steps, input, stream))]
    fn generate<'py>(
        &self,
        py: Python<'py>,
        steps: usize,
        input: Option<&Bound<'py, PyAny>>,
        stream: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.take()?.model, learner => ahead::generate(py, learner, steps, input, stream))
    }

    /// The outputs of the last step.
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.take()?.model, learner => {
            let outputs = |b| Ok(learner.state(b).map_err(raise)?.outputs());
            all_streams(py, learner, learner.network().outputs(), outputs)
        })
    }

    /// y(t) and c(t).
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.take()?.model, learner => {
            let values = |b| Ok(learner.state(b).map_err(raise)?.values());
            all_streams(py, learner, learner.network().layout().states(), values)
        })
    }

    /// Starts new sequences.
    fn reset(&self, state: Option<&Bound<'_, PyAny>>, stream: Option<usize>) -> PyResult<()> {
        each!(&mut self.take()?.model, learner => {
            let states = states(learner, state)?;
            match stream {
                Some(stream) => learner.reset_stream(stream, &states),
                None => learner.reset(&states),
            }
        })
        .map_err(raise)
    }

    /// Sets p = 0.
    fn reset_sensitivities(&self) -> PyResult<()> {
        each!(&mut self.take()?.model, learner => learner.reset_sensitivities()).map_err(raise)
    }

    /// Applies the accumulated gradient and starts new sequences.
    fn end_epoch(&self, state: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        each!(&mut self.take()?.model, learner => {
            let states = states(learner, state)?;
            learner.end_epoch(&states)
        })
        .map_err(raise)
    }

    /// Applies a pending gradient.
    fn finish(&self) -> PyResult<bool> {
        each!(&mut self.take()?.model, learner => learner.finish()).map_err(raise)
    }

    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        each!(&self.take()?.model, learner => weights::weights(py, learner))
    }

    fn set_weights(&self, values: &Bound<'_, PyDict>) -> PyResult<()> {
        each!(&mut self.take()?.model, learner => weights::set(learner, values))
    }

    fn gradient<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        each!(&self.take()?.model, learner => weights::gradient(py, learner))
    }

    fn accumulated_gradient<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        each!(&mut self.take()?.model, learner => weights::accumulated(py, learner))
    }

    fn sensitivities<'py>(
        &self,
        py: Python<'py>,
        unit: usize,
        stream: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        each!(&self.take()?.model, learner => weights::sensitivities(py, learner, unit, stream))
    }

    fn jacobian<'py>(&self, py: Python<'py>, stream: usize) -> PyResult<Bound<'py, PyAny>> {
        each!(&self.take()?.model, learner => weights::jacobian(py, learner, stream))
    }

    fn set_learning_rate(&self, rate: f64) -> PyResult<()> {
        each!(&mut self.take()?.model, learner => learner.set_learning_rate(rate)).map_err(raise)
    }

    fn network(&self) -> PyResult<Network> {
        let inner = map!(&self.take()?.model, learner => learner.network().clone());
        Ok(Network { inner })
    }

    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        each!(&self.take()?.model, learner => describe(py, learner))
    }

    fn copy(&self) -> PyResult<Self> {
        Ok(Self::from_owned(self.take()?.clone()))
    }

    fn save(&self, py: Python<'_>, path: PathBuf, application: &Bound<'_, PyAny>) -> PyResult<()> {
        let application: Value = depythonize(application).map_err(raise_description)?;
        each!(&self.take()?.model, learner => py.detach(|| learner.save(&path, &application)))
            .map_err(raise)
    }

    /// Reads a checkpoint, or one learner of a file of several, and the data of the program that
    /// saved it.
    #[staticmethod]
    fn load<'py>(
        py: Python<'py>,
        path: PathBuf,
        count: Option<usize>,
        name: Option<&str>,
    ) -> PyResult<(Self, Bound<'py, PyAny>)> {
        let threads = threads(count);
        let (owned, application) = match name {
            Some(name) => py.detach(|| Owned::among(&path, name, threads))?,
            None => py.detach(|| {
                let stored = StoredLearner::open(&path).map_err(raise)?;
                let application = stored.application().clone();
                Ok::<_, PyErr>((Owned::read(stored, threads)?, application))
            })?,
        };
        let application = pythonize(py, &application).map_err(raise_description)?;
        Ok((Self::from_owned(owned), application))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let taken = self.take()?;
        let bytes = py.detach(|| taken.to_bytes())?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[staticmethod]
    fn from_bytes(bytes: Vec<u8>) -> PyResult<Self> {
        let stored = StoredLearner::from_bytes(bytes).map_err(raise)?;
        Ok(Self::from_owned(Owned::read(stored, Threads::Auto)?))
    }
}

/// The state that Python gives, or the initial one.
fn states<T: Number>(learner: &Model<T>, state: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<T>> {
    match state {
        Some(state) => Ok(Values::of(state, "state")?.numbers()?.to_vec()),
        None => Ok(learner.network().initial_state().to_vec()),
    }
}

/// Values of each stream, one row a stream.
fn all_streams<'py, 'l, T: Number>(
    py: Python<'py>,
    learner: &'l Model<T>,
    width: usize,
    values: impl Fn(usize) -> PyResult<&'l [T]>,
) -> PyResult<Bound<'py, PyAny>> {
    let shape = StepShape { streams: learner.streams(), width };
    let mut all = Vec::with_capacity(shape.streams * width);
    for b in 0..shape.streams {
        all.extend_from_slice(values(b)?);
    }
    Ok(array(py, all, shape.dimensions())?.into_any())
}
