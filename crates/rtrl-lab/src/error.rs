//! The errors of the lab.

use thiserror::Error;

/// An error of the lab. Each variant holds what was expected and what was given.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The mean or the deviation of the values so far is not finite.
    #[error("the values so far are too large to standardise")]
    Scale,
    /// A network whose number of inputs differs from the task's, or that has too few outputs.
    #[error(
        "task {task}: got a model with {} and {}, expected {} and at least {}",
        counted(got.0, "input"), counted(got.1, "output"),
        counted(expected.0, "input"), counted(expected.1, "output")
    )]
    TaskShape {
        /// The name of the task.
        task: &'static str,
        /// Inputs and targets of the task.
        expected: (usize, usize),
        /// Inputs and outputs of the network.
        got: (usize, usize),
    },
    /// Eigenvalues, singular values or principal components cannot be found.
    #[error("cannot compute {what}: the matrix is not finite, or the iteration does not converge")]
    Decomposition {
        /// What was looked for.
        what: &'static str,
    },
    /// Eigenvalues of the weights of gated units, which have a matrix for each gate.
    #[error(
        "eigenvalues of the weights between units: got {cell} units, which have a matrix for each \
        gate, expected simple units"
    )]
    GatedEigenvalues {
        /// The cell.
        cell: &'static str,
    },
    /// The inputs of a run take too many values to be the symbols of a machine.
    #[error("input: got more than {most} different vectors, expected at most {most} symbols")]
    Symbols {
        /// Symbols that are allowed.
        most: usize,
    },
    /// A tangent vector of length 1 overflows in one step.
    #[error("tangent vector at step {step}: got a length of {length}, expected a finite number")]
    Tangent {
        /// Number of the step, from 0.
        step: u64,
        /// The length after it.
        length: f64,
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

/// A count and what it counts: `1 input`, `2 inputs`.
fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}
