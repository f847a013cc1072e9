//! The errors of networks and learners.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::store::container::Fault;

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
    /// The weights after an update.
    Weights,
    /// The learning rate with the factor of its schedule, which must not be negative either.
    LearningRate,
    /// The largest singular value of the recurrent weights.
    SpectralNorm,
    /// The gain of recursive least squares, whose denominator must also be above 0.
    Gain,
    /// The inverse of the second moments, of recursive least squares.
    Inverse,
}

impl Quantity {
    /// Why an update was refused for it.
    fn fault(self) -> &'static str {
        if self == Self::LearningRate { "negative or not finite" } else { "not finite" }
    }
}

impl From<rtrl_kernel::Quantity> for Quantity {
    fn from(quantity: rtrl_kernel::Quantity) -> Self {
        match quantity {
            rtrl_kernel::Quantity::Sensitivities => Self::Sensitivities,
            rtrl_kernel::Quantity::Gradient => Self::Gradient,
        }
    }
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
            Self::LearningRate => "learning rate",
            Self::SpectralNorm => "largest singular value of the recurrent weights",
            Self::Gain => "gain of the least squares",
            Self::Inverse => "inverse of the second moments",
        })
    }
}

/// An error of the model. Each variant holds what was expected and what was given.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The input has the wrong length.
    #[error("input: got {}, expected {expected}, one per input", count(*got, "value"))]
    InputLength {
        /// Inputs of the network.
        expected: usize,
        /// Values that were given.
        got: usize,
    },
    /// The targets have the wrong length.
    #[error("targets: got {}, expected {expected}, one per output", count(*got, "value"))]
    TargetLength {
        /// Outputs of the network.
        expected: usize,
        /// Targets that were given.
        got: usize,
    },
    /// A state has the wrong length.
    #[error("state: got {}, expected {expected}, one per unit and cell", count(*got, "value"))]
    StateLength {
        /// Units of the network, and cells of units that have one.
        expected: usize,
        /// Values that were given.
        got: usize,
    },
    /// A state of a network of another shape. Nothing has changed.
    #[error("state: got one of a network with {got} {what}, expected {expected}")]
    StateShape {
        /// The number that differs.
        what: &'static str,
        /// That of the network.
        expected: usize,
        /// That of the network that the state was made for.
        got: usize,
    },
    /// A value that enters or leaves the forward pass is NaN or infinite. Nothing has changed.
    #[error("step {step}, {quantity} {index}: got {value}, expected a finite number")]
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
    /// Targets that the loss cannot take. Nothing has changed.
    #[error("step {step}, labels: got {got}, expected {expected}")]
    Labels {
        /// Number of the step, from 0.
        step: u64,
        /// What the loss takes.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// The sensitivities or the gradient left the range of the number type. The weights, the
    /// optimiser and the counters are untouched, the state has advanced, the sensitivities are lost
    /// until
    /// [`Learner::reset_sensitivities`](crate::Learner::reset_sensitivities) or a reset.
    #[error(
        "step {step}: {quantity} overflowed; the weights are unchanged, \
         reset the sensitivities to continue"
    )]
    Overflow {
        /// Number of the step, from 0.
        step: u64,
        /// What overflowed.
        quantity: Quantity,
    },
    /// A step was requested while the sensitivities are lost. Nothing has changed.
    #[error("step {step}: the sensitivities were lost in an overflow; reset them to continue")]
    SensitivitiesLost {
        /// Number of the step, from 0.
        step: u64,
    },
    /// The optimiser's result, or what it needs, is out of range. The update was refused and its
    /// gradient dropped; everything else of the step is done, and the learner continues.
    #[error(
        "update refused after {step} steps: {quantity} {}; the weights are unchanged",
        quantity.fault()
    )]
    UpdateRefused {
        /// Number of steps taken.
        step: u64,
        /// What is out of range.
        quantity: Quantity,
    },
    /// The number of samples is not that of the streams. Nothing has changed.
    #[error("samples: got {got}, expected {expected}, one per stream")]
    StreamCount {
        /// Streams of the learner.
        expected: usize,
        /// Samples that were given.
        got: usize,
    },
    /// The number of a stream is too large.
    #[error("got stream {got}, expected a number below {streams}")]
    NoStream {
        /// Streams of the learner.
        streams: usize,
        /// The number that was given.
        got: usize,
    },
    /// An error of one of several streams.
    #[error("stream {stream}: {source}")]
    InStream {
        /// Number of the stream, from 0.
        stream: usize,
        /// What went wrong in it.
        source: Box<Error>,
    },
    /// The error of one step of a run over whole arrays.
    #[error("step {step} of the run: {source}")]
    AtStep {
        /// Number of the step in the run, from 0.
        step: usize,
        /// What went wrong in it.
        source: Box<Error>,
    },
    /// A sample that recursive least squares refuses; the fit is unchanged. In a learner, the rest
    /// of the step is done.
    #[error("sample refused: {quantity} not finite or not above 0; the fit is unchanged")]
    Fit {
        /// What is not finite, or not above 0.
        quantity: Quantity,
    },
    /// A call that belongs to another learning regime.
    #[error("`{call}`: got a learner with the {got} regime, expected {expected}")]
    Regime {
        /// The method.
        call: &'static str,
        /// The regime that it belongs to.
        expected: &'static str,
        /// The regime of the learner.
        got: &'static str,
    },
    /// A setting out of its range.
    #[error("{what}: got {got}, expected {expected}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        got: String,
    },
    /// The number of values is not that of what they are for.
    #[error("{what}: got {}, expected {expected}", count(*got, "value"))]
    Length {
        /// What they were for.
        what: &'static str,
        /// Values that it has.
        expected: usize,
        /// Values that were given.
        got: usize,
    },
    /// A matrix of the wrong shape.
    #[error("{what}: got {} x {}, expected {} x {}", got.0, got.1, expected.0, expected.1)]
    Shape {
        /// The matrix.
        what: &'static str,
        /// Rows and columns that the network has.
        expected: (usize, usize),
        /// Rows and columns that were given.
        got: (usize, usize),
    },
    /// The weights would need more memory than there is.
    #[error("cannot allocate {bytes} bytes for {what}")]
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
    /// A checkpoint or a saved model cannot be used, or does not follow its plan while it is
    /// written.
    #[error("{}: {fault}", path.display())]
    Container {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// An error of the kernel.
    #[error(transparent)]
    Kernel(#[from] rtrl_kernel::Error),
}

/// "1 value", "3 values".
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl Error {
    /// Whether the state of the network has advanced despite the error.
    pub(crate) fn has_moved(&self) -> bool {
        matches!(
            self.cause(),
            Self::Overflow { .. } | Self::UpdateRefused { .. } | Self::Fit { .. }
        )
    }

    /// The error itself, whichever stream and step of a run it arose in.
    pub fn cause(&self) -> &Self {
        match self {
            Self::InStream { source, .. } | Self::AtStep { source, .. } => source.cause(),
            other => other,
        }
    }
}

/// The error of a step of a run.
pub(crate) fn at_step(step: usize, error: Error) -> Error {
    Error::AtStep { step, source: Box::new(error) }
}

/// Fails unless `got` values fill an array of this shape.
pub(crate) fn check_length(what: &'static str, shape: [usize; 3], got: usize) -> Result<(), Error> {
    let expected = shape.iter().fold(1, |len: usize, &size| len.saturating_mul(size));
    if got == expected { Ok(()) } else { Err(Error::Length { what, expected, got }) }
}

/// Fails, naming the first one, unless every value is finite.
pub(crate) fn check_finite<T: rtrl_kernel::Real>(
    step: u64,
    quantity: Quantity,
    values: &[T],
) -> Result<(), Error> {
    check_finite_from(0, step, quantity, values)
}

/// [`check_finite`] of values of which the first one has the number `first`.
pub(crate) fn check_finite_from<T: rtrl_kernel::Real>(
    first: usize,
    step: u64,
    quantity: Quantity,
    values: &[T],
) -> Result<(), Error> {
    if values.iter().fold(true, |all, value| all & value.is_finite()) {
        return Ok(());
    }
    let index = values.iter().position(|value| !value.is_finite()).unwrap_or_default();
    let value = values[index].to_f64();
    Err(Error::NonFinite { step, quantity, index: first + index, value })
}

/// The largest count that is accepted, in a file and from a caller. No run reaches it, and `f64`
/// holds all counts up to it.
pub(crate) const MOST_COUNTED: u64 = 1 << 53;

/// Fails unless `value` is at least 1.
pub(crate) fn check_count(what: &'static str, value: usize) -> Result<(), Error> {
    if value > 0 { Ok(()) } else { Err(zero(what)) }
}

/// The error of a count that must not be 0.
pub(crate) fn zero(what: &'static str) -> Error {
    Error::Setting { what, expected: "at least 1".to_owned(), got: "0".to_owned() }
}

/// Fails unless `value` is finite and at least `least`.
pub(crate) fn check_setting(what: &'static str, value: f64, least: f64) -> Result<(), Error> {
    if value.is_finite() && value >= least {
        return Ok(());
    }
    let expected = format!("a finite number of at least {least}");
    Err(Error::Setting { what, expected, got: value.to_string() })
}
