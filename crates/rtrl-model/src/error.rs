//! What can go wrong in a network or a learner.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::checkpoint::Fault;

/// A quantity that must be finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// A value of the external input.
    Input,
    /// A target.
    Target,
    /// The weighted sum s of a unit.
    Sum,
    /// The output of a unit.
    UnitOutput,
    /// The derivative of a unit's activation.
    Slope,
    /// An output of the readout.
    Output,
    /// The error of a unit or an output.
    Error,
    /// The loss of a step.
    Loss,
    /// p.
    Sensitivities,
    /// The gradient of the error.
    Gradient,
    /// The joint norm of the gradient.
    GradientNorm,
    /// What the optimiser made of the gradient.
    Weights,
}

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Input => "input",
            Self::Target => "target",
            Self::Sum => "weighted sum of unit",
            Self::UnitOutput => "output of unit",
            Self::Slope => "slope of unit",
            Self::Output => "output",
            Self::Error => "error",
            Self::Loss => "loss",
            Self::Sensitivities => "sensitivities",
            Self::Gradient => "gradient",
            Self::GradientNorm => "norm of the gradient",
            Self::Weights => "weights after the update",
        })
    }
}

/// An error of the model. Each variant says what was expected and what came.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The input has another length than the network's.
    #[error("input has {got} values, the network takes {expected}")]
    InputLength {
        /// Inputs of the network.
        expected: usize,
        /// Values that came.
        got: usize,
    },
    /// The targets have another length than the network's outputs.
    #[error("{got} targets came, the network has {expected} outputs")]
    TargetLength {
        /// Outputs of the network.
        expected: usize,
        /// Targets that came.
        got: usize,
    },
    /// A state has another length than the network's.
    #[error("state has {got} values, the network has {expected} units")]
    StateLength {
        /// Units of the network.
        expected: usize,
        /// Values that came.
        got: usize,
    },
    /// A value that enters or leaves the forward pass is NaN or infinite. Nothing has changed.
    #[error("{quantity} {index} is {value} at step {step}, expected a finite number")]
    NonFinite {
        /// Number of the step, from 0.
        step: u64,
        /// What is not finite.
        quantity: Quantity,
        /// Its position, from 0.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// The sensitivities or the gradient left the range of the number type. The weights, the optimiser
    /// and the counters are untouched, the state has advanced, the sensitivities are lost until
    /// [`Learner::reset_sensitivities`](crate::Learner::reset_sensitivities) or a reset.
    #[error(
        "{quantity} overflowed at step {step}; the weights are unchanged, \
         the sensitivities must be reset before learning goes on"
    )]
    Overflow {
        /// Number of the step, from 0.
        step: u64,
        /// What overflowed.
        quantity: Quantity,
    },
    /// A step was asked for although the sensitivities are lost. Nothing has changed.
    #[error("step {step}: the sensitivities were lost in an overflow and have not been reset")]
    SensitivitiesLost {
        /// Number of the step, from 0.
        step: u64,
    },
    /// The optimiser's result is not finite. The update was refused and its gradient dropped; everything
    /// else of the step stands, and the learner goes on.
    #[error("update refused after step {step}: {quantity} not finite; the weights are unchanged")]
    UpdateRefused {
        /// Number of steps taken.
        step: u64,
        /// What is not finite.
        quantity: Quantity,
    },
    /// A call that belongs to another learning regime.
    #[error("`{call}` belongs to the {expected} regime, this learner is {got}")]
    Regime {
        /// The method.
        call: &'static str,
        /// The regime that it belongs to.
        expected: &'static str,
        /// The regime of the learner.
        got: &'static str,
    },
    /// A setting out of its range.
    #[error("{what} is {got}, expected {expected}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// What is allowed.
        expected: String,
        /// What came.
        got: String,
    },
    /// A matrix of the wrong shape.
    #[error("{what} is {} x {}, expected {} x {}", got.0, got.1, expected.0, expected.1)]
    Shape {
        /// The matrix.
        what: &'static str,
        /// Rows and columns that the network has.
        expected: (usize, usize),
        /// Rows and columns that came.
        got: (usize, usize),
    },
    /// The weights would need more memory than there is.
    #[error("{what} needs {bytes} bytes, which this machine cannot provide")]
    Memory {
        /// What does not fit.
        what: &'static str,
        /// Bytes that it takes.
        bytes: u128,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file or a text is not what it should be.
    #[error("{what}: {reason}")]
    Format {
        /// What was being read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint cannot be used, or what should become one does not follow its plan.
    #[error("{}: {fault}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// An error of the kernel.
    #[error(transparent)]
    Kernel(#[from] rtrl_kernel::Error),
}

/// Fails, naming the first one, unless every value is finite.
pub(crate) fn check_finite<T: rtrl_kernel::Real>(
    step: u64,
    quantity: Quantity,
    values: &[T],
) -> Result<(), Error> {
    if values.iter().fold(true, |all, value| all & value.is_finite()) {
        return Ok(());
    }
    let index = values.iter().position(|value| !value.is_finite()).unwrap_or_default();
    Err(Error::NonFinite { step, quantity, index, value: values[index].to_f64() })
}

/// Fails unless `value` is finite and at least `least`.
pub(crate) fn check_setting(what: &'static str, value: f64, least: f64) -> Result<(), Error> {
    if value.is_finite() && value >= least {
        return Ok(());
    }
    let expected = format!("a finite number of at least {least}");
    Err(Error::Setting { what, expected, got: value.to_string() })
}
