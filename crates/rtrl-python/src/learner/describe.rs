//! A learner in numbers and words.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use rtrl_model::kernel::{Block, Pace, Spec};
use rtrl_model::{BlockPlan, EnginePlan, Learner, Optimizer, Regime, Timing};

use crate::error::raise;
use crate::function::LOSS;
use crate::precision::Number;

pub(crate) fn describe<'py, T: Number>(
    py: Python<'py>,
    learner: &Learner<T>,
) -> PyResult<Bound<'py, PyDict>> {
    let facts = PyDict::new(py);
    facts.set_item("dtype", T::DTYPE)?;
    facts.set_item("inputs", learner.network().inputs())?;
    facts.set_item("outputs", learner.network().outputs())?;
    facts.set_item("states", learner.network().layout().states())?;
    facts.set_item("streams", learner.streams())?;
    facts.set_item("loss", learner.loss().saved_name())?;
    facts.set_item("regime", regime(learner.regime()))?;
    facts.set_item("engine", engine(&learner.engine_spec()))?;
    let optimizer = &learner.update_settings().optimizer;
    facts.set_item("has_loss_function", learner.loss().saved_name() == LOSS)?;
    facts.set_item("has_optimizer_function", matches!(optimizer, Optimizer::Custom { .. }))?;
    facts.set_item("least_squares", !learner.readout_fits().is_empty())?;
    facts.set_item("learning_rate", optimizer.learning_rate())?;
    facts.set_item("engine_bytes", learner.state_bytes())?;
    facts.set_item("steps", learner.steps())?;
    facts.set_item("updates", learner.updates())?;
    let recoveries = learner.recoveries();
    facts.set_item("resets", recoveries.resets)?;
    facts.set_item("skipped_updates", recoveries.skipped_updates)?;
    Ok(facts)
}

/// The blocks, each with its engine, states, weight rows and weights that learn; bytes of p and of
/// all, and operations; the same in words.
pub(super) fn engine_plan<'py, T: Number>(
    py: Python<'py>,
    learner: &Learner<T>,
) -> PyResult<Bound<'py, PyTuple>> {
    let plan = learner.engine_plan().map_err(raise)?;
    let block =
        |block: &BlockPlan| (engine(&block.engine), block.states, block.rows, block.weights);
    let blocks: Vec<_> = plan.blocks.iter().map(block).collect();
    let EnginePlan { sensitivity_bytes, bytes, operations, .. } = plan;
    (blocks, sensitivity_bytes, bytes, operations, plan.to_string()).into_pyobject(py)
}

/// Equal blocks that follow each other: their number and engine, and the states, weight rows and
/// weights that learn of one.
pub(super) type KindOfBlock = (usize, String, usize, usize, usize);

/// The blocks of a divided network. Nothing for a network that is not divided.
pub(super) fn kinds_of_blocks<T: Number>(learner: &Learner<T>) -> Vec<KindOfBlock> {
    let Spec::Blocks(blocks) = learner.engine_spec() else { return Vec::new() };
    if blocks.len() < 2 {
        return Vec::new();
    }
    let alike = blocks.chunk_by(|a, b| numbers(a) == numbers(b) && a.engine == b.engine);
    let kind = |alike: &[Block]| {
        let (states, rows, weights) = numbers(&alike[0]);
        (alike.len(), engine(&alike[0].engine), states, rows, weights)
    };
    alike.map(kind).collect()
}

/// States, weight rows and weights that learn.
fn numbers(block: &Block) -> (usize, usize, usize) {
    (block.states.len(), block.rows.len(), block.weights)
}

fn regime(regime: Regime) -> String {
    match regime {
        Regime::Epochwise => "epochwise".to_owned(),
        Regime::RealTime { timing, every } => {
            let after = if timing == Timing::AfterNextStep { ", after the next step" } else { "" };
            match every {
                1 => format!("real-time{after}"),
                _ => format!("real-time, every {every} steps{after}"),
            }
        }
    }
}

fn engine(spec: &Spec) -> String {
    match spec {
        Spec::Eager => "eager".to_owned(),
        Spec::Deferred { window, pace } => {
            let pace = if *pace == Pace::Even { ", even pace" } else { "" };
            format!("deferred, window {window}{pace}")
        }
        Spec::Diagonal => "diagonal".to_owned(),
        Spec::Blocks(blocks) => match &blocks[..] {
            [] => "none".to_owned(),
            [block] => engine(&block.engine),
            blocks => format!("{} blocks", blocks.len()),
        },
        Spec::Custom { name, .. } => name.clone(),
    }
}
