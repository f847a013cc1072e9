//! Engines in a container, without their learners.

use std::path::Path;

use rtrl_kernel::{Engine, Real};
use serde_json::Value;

use super::container::{self, Plan, Tensor};
use super::fields::{EngineField, Field, Planned, Walk, planned, write};
use crate::Error;

/// Writes the tensors of engines to a container at `path`, which is replaced whole, row by row. The
/// name of a tensor is that of its engine, a dot, and the name that [`Engine::save`] gives it.
/// Returns all tensors.
///
/// # Errors
/// [`Error::Kernel`] if an engine cannot be saved; those of [`container::save`].
pub fn save_engines<T: Real>(
    path: &Path,
    contents: &Value,
    engines: &[(String, &dyn Engine<T>)],
) -> Result<Vec<Tensor>, Error> {
    let walk: &Walk<'_, T> = &|visit| {
        engines.iter().try_for_each(|&(ref name, engine)| {
            // An engine that is lost refuses to be saved.
            visit(name, Field::Engine(EngineField { engine, states: 0, lost: false }))
        })
    };
    let Planned { tensors, .. } = planned(walk)?;
    let plan = Plan::new(contents, tensors.clone())?;
    container::save(path, &plan, |writer| write(walk, writer))?;
    Ok(tensors)
}
