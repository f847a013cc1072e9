//! What can go wrong in the lab.

use thiserror::Error;

/// An error of the lab. Each variant says what was expected and what it got.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The mean or the deviation of the values so far is not finite.
    #[error("the values up to here are too large to be standardised")]
    Scale,
    /// A network that takes other inputs or has fewer outputs than a task.
    #[error(
        "task {task} has {} inputs and {} targets, the model takes {} inputs and has {} outputs",
        expected.0, expected.1, got.0, got.1
    )]
    TaskShape {
        /// The name of the task.
        task: &'static str,
        /// Inputs and targets of the task.
        expected: (usize, usize),
        /// Inputs and outputs of the network.
        got: (usize, usize),
    },
    /// A run of an experiment ended in an error.
    #[error("{task}, seed {seed}: {source}")]
    Run {
        /// The name of the task.
        task: &'static str,
        /// The seed.
        seed: u64,
        /// What went wrong.
        source: Box<rtrl_model::Error>,
    },
    /// An error of the model.
    #[error(transparent)]
    Model(#[from] rtrl_model::Error),
}
