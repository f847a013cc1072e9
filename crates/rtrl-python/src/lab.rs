//! The lab: tasks, the paper's experiments and instruments.

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pythonize::pythonize;
use rtrl_lab::inspect::{Findings, Inputs, Watching};
use rtrl_lab::paper::{Experiment, TABLE};
use rtrl_lab::tasks::{self, CATALOGUE};
use rtrl_model::{EngineChoice, Error};

use crate::array::{StepShape, Values};
use crate::error::{OutOfMemoryError, raise, raise_description, raise_lab};
use crate::network::Network;
use crate::precision::{Either, each};

/// The names of all tasks, with a line about each, their inputs and their targets.
#[pyfunction]
pub(crate) fn all_tasks() -> Vec<(&'static str, &'static str, Vec<&'static str>, Vec<&'static str>)>
{
    let described = |entry: &tasks::Entry| {
        let task = entry.start(0);
        (entry.name, entry.about, task.inputs().to_vec(), task.targets().to_vec())
    };
    CATALOGUE.iter().map(described).collect()
}

/// The first steps of a task: inputs and targets, NaN where there is none.
#[pyfunction]
pub(crate) fn draw<'py>(
    py: Python<'py>,
    name: &str,
    steps: usize,
    seed: u64,
) -> PyResult<Bound<'py, PyTuple>> {
    let entry = find(name)?;
    let task = entry.start(seed);
    let (width, outputs) = (task.inputs().len(), task.targets().len());
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    let refused = inputs.try_reserve_exact(steps.saturating_mul(width)).is_err()
        || targets.try_reserve_exact(steps.saturating_mul(outputs)).is_err();
    if refused {
        return Err(OutOfMemoryError::new_err(format!("cannot allocate {steps} steps of a task")));
    }
    py.detach(|| {
        let mut task = entry.start(seed);
        let (mut input, mut drawn) = (vec![0.0; width], vec![None; outputs]);
        for step in 0..steps {
            task.draw_into(&mut input, &mut drawn);
            inputs.extend_from_slice(&input);
            targets.extend(drawn.iter().map(|target| target.unwrap_or(f64::NAN)));
            if step % STEPS_BETWEEN_SIGNALS == STEPS_BETWEEN_SIGNALS - 1 {
                Python::attach(signals)?;
            }
        }
        Ok::<_, PyErr>(())
    })?;
    let inputs = PyArray1::from_vec(py, inputs).reshape([steps, width])?;
    let targets = PyArray1::from_vec(py, targets).reshape([steps, outputs])?;
    PyTuple::new(py, [inputs.into_any(), targets.into_any()])
}

fn signals(py: Python<'_>) -> PyResult<()> {
    py.check_signals()
}

/// Steps of a task between two looks at Python's signals.
const STEPS_BETWEEN_SIGNALS: usize = 1 << 16;

fn find(name: &str) -> PyResult<&'static tasks::Entry> {
    tasks::find(name).ok_or_else(|| {
        let names: Vec<_> = CATALOGUE.iter().map(|entry| entry.name).collect();
        let (expected, got) = (names.join(", "), format!("{name:?}"));
        raise(Error::Setting { what: "task", expected, got })
    })
}

/// The experiments of the paper: task, units, learning rate, forced, limit of steps, quick.
#[pyfunction]
pub(crate) fn experiments() -> Vec<(&'static str, usize, f64, bool, u64, bool)> {
    let described =
        |e: &Experiment| (e.task.name, e.units, e.learning_rate, e.forced, e.limit, e.quick);
    TABLE.iter().map(described).collect()
}

/// Runs an experiment: the steps until its success begins, or `None` if it fails.
#[pyfunction]
pub(crate) fn run_experiment(py: Python<'_>, number: usize, seed: u64) -> PyResult<Option<u64>> {
    let Some(experiment) = TABLE.get(number) else {
        let (expected, got) = (format!("a number below {}", TABLE.len()), number.to_string());
        return Err(raise(Error::Setting { what: "experiment", expected, got }));
    };
    py.detach(|| experiment.run::<f64>(seed, EngineChoice::Auto)).map_err(raise)
}

/// All instruments applied to a network that runs on a task, on rows or on zeros.
#[pyfunction]
pub(crate) fn inspect<'py>(
    py: Python<'py>,
    network: &Network,
    inputs: Option<&Bound<'py, PyAny>>,
    task: Option<&str>,
    steps: usize,
    seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let (network, precision) = match &network.inner {
        Either::F64(network) => (network.clone(), "f64"),
        Either::F32(_) => (each!(&network.inner, single => doubled(single))?, "f32"),
    };
    let rows = inputs.map(|rows| rows_of(rows, network.inputs())).transpose()?;
    let inputs = match (task, &rows) {
        (Some(task), _) => Inputs::Task(find(task)?),
        (None, Some(rows)) => Inputs::Rows(rows),
        (None, None) => Inputs::Zeros,
    };
    let watching = Watching { steps, seed };
    let findings = py.detach(|| Findings::gather(&network, precision, inputs, watching));
    let findings = findings.map_err(raise_lab)?;
    let states = findings.watched.as_ref().map(|watched| watched.run.states.clone());
    PyTuple::new(
        py,
        [
            pythonize(py, &findings).map_err(raise_description)?,
            states.into_pyobject(py)?.into_any(),
        ],
    )
    .map(Bound::into_any)
}

/// The same network in double precision.
fn doubled<T: crate::precision::Number>(
    network: &rtrl_model::Network<T>,
) -> PyResult<rtrl_model::Network<f64>> {
    use rtrl_model::store::network::{SavedModel, to_bytes};
    let bytes = to_bytes(network, network.initial_state(), serde_json::Value::Null);
    SavedModel::from_bytes(bytes.map_err(raise)?)
        .and_then(|saved| saved.network(&[]))
        .map_err(raise)
}

fn rows_of(rows: &Bound<'_, PyAny>, width: usize) -> PyResult<Vec<Vec<f64>>> {
    let values = Values::<f64>::of(rows, "input")?;
    let steps = StepShape { streams: 1, width }.steps("input", values.shape())?;
    let numbers = values.numbers()?;
    Ok((0..steps).map(|t| numbers[t * width..][..width].to_vec()).collect())
}
