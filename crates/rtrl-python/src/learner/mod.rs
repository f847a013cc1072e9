//! Learners.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | what Python calls |
//! | `step.rs` | a step, and steps over whole arrays |
//! | `batch.rs` | the arrays of one or several steps |
//! | `ahead.rs` | predictions and free runs, which change nothing |
//! | `weights.rs` | weights, gradients and sensitivities by layer |
//! | `describe.rs` | a learner in numbers and words |

mod ahead;
mod batch;
mod describe;
mod step;
mod weights;

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use rtrl_model::store::StoredLearners;
use rtrl_model::{Learner as Model, Threads};

pub(crate) use self::batch::{Arguments, Batch, shapes};
pub(crate) use self::describe::describe;
pub(crate) use self::step::StepReport;
use crate::array::{StepShape, Values, array};
use crate::describe::{LearnerDescription, application_of, threads};
use crate::error::raise;
use crate::function::with_loss;
use crate::guard::{Guard, Taken};
use crate::network::{Network, Network32Or64, copied};
use crate::precision::{Either, Number, each, map};
use crate::saved::{self, supplies};

/// A learner in one of the precisions.
pub(crate) type Owned = saved::Owned<Model<f32>, Model<f64>>;

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

/// One of several learners in a file, as the program `rtrl` writes them.
fn among(path: &Path, name: &str, threads: Threads) -> PyResult<Owned> {
    let mut stored = StoredLearners::open(path).map_err(raise)?;
    let model = match stored.precision(name) {
        Some("f64") => Either::F64(stored.take(name, &supplies(threads)).map_err(raise)?),
        _ => Either::F32(stored.take(name, &supplies(threads)).map_err(raise)?),
    };
    Ok(Owned { model, threads })
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
    #[pyo3(signature = (x, targets, streams, loss))]
    fn step(
        &self,
        x: &Bound<'_, PyAny>,
        targets: Option<&Bound<'_, PyAny>>,
        streams: Option<&Bound<'_, PyAny>>,
        loss: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<StepReport> {
        let arguments = Arguments { x, targets, streams };
        each!(&mut self.take()?.model, learner => {
            with_loss(x.py(), loss, learner, Model::steps, |learner| step::step(learner, arguments))
        })
    }

    /// Steps over whole arrays; the outputs and the losses.
    #[pyo3(signature = (x, targets, streams, loss))]
    fn run<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        targets: Option<&Bound<'py, PyAny>>,
        streams: Option<&Bound<'py, PyAny>>,
        loss: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let arguments = Arguments { x, targets, streams };
        each!(&mut self.take()?.model, learner => {
            with_loss(x.py(), loss, learner, Model::steps, |learner| step::run(learner, arguments))
        })
    }

    /// The arrays of a run, checked and converted.
    #[pyo3(signature = (x, targets, streams))]
    fn arrays<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        targets: Option<&Bound<'py, PyAny>>,
        streams: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let arguments = Arguments { x, targets, streams };
        each!(&self.take()?.model, learner => {
            Batch::of_run(learner, arguments)?.into_arrays(x.py())
        })
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
    #[pyo3(signature = (state, stream))]
    fn reset(
        &self,
        py: Python<'_>,
        state: Option<&Bound<'_, PyAny>>,
        stream: Option<usize>,
    ) -> PyResult<()> {
        each!(&mut self.take()?.model, learner => {
            let states = states(learner, state)?;
            py.detach(|| match stream {
                Some(stream) => learner.reset_stream(stream, &states),
                None => learner.reset(&states),
            })
        })
        .map_err(raise)
    }

    /// Sets p = 0.
    fn reset_sensitivities(&self) -> PyResult<()> {
        each!(&mut self.take()?.model, learner => learner.reset_sensitivities()).map_err(raise)
    }

    /// Applies the accumulated gradient and starts new sequences.
    #[pyo3(signature = (state))]
    fn end_epoch(&self, py: Python<'_>, state: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        each!(&mut self.take()?.model, learner => {
            let states = states(learner, state)?;
            py.detach(|| learner.end_epoch(&states))
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

    fn engine_plan<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        each!(&self.take()?.model, learner => describe::engine_plan(py, learner))
    }

    fn kinds_of_blocks(&self) -> PyResult<Vec<describe::KindOfBlock>> {
        Ok(each!(&self.take()?.model, learner => describe::kinds_of_blocks(learner)))
    }

    /// How many threads Python asked for.
    fn threads(&self) -> PyResult<Option<usize>> {
        Ok(self.take()?.threads())
    }

    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        let taken = self.take()?;
        Ok(Self::from_owned(py.detach(|| Owned::clone(&taken))))
    }

    fn save(&self, py: Python<'_>, path: PathBuf, application: &str) -> PyResult<()> {
        let (taken, application) = (self.take()?, application_of(application)?);
        py.detach(|| taken.save(&path, &application))
    }

    /// Reads a checkpoint, or one learner of a file of several.
    #[staticmethod]
    #[pyo3(signature = (path, count, name))]
    fn load(
        py: Python<'_>,
        path: PathBuf,
        count: Option<usize>,
        name: Option<&str>,
    ) -> PyResult<Self> {
        let owned = py.detach(|| match name {
            Some(name) => among(&path, name, threads(count)),
            None => Owned::load(&path, threads(count)),
        });
        Ok(Self::from_owned(owned?))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let taken = self.take()?;
        let bytes = py.detach(|| taken.to_bytes())?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[staticmethod]
    #[pyo3(signature = (bytes, count))]
    fn from_bytes(py: Python<'_>, bytes: Vec<u8>, count: Option<usize>) -> PyResult<Self> {
        Ok(Self::from_owned(py.detach(|| Owned::from_bytes(bytes, threads(count)))?))
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
