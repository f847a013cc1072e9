//! What can go wrong in the kernel.

use std::fmt;

use thiserror::Error;

/// An error of the kernel. Each variant says what was expected and what came.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice has another length than the shape asks for.
    #[error("{what} has {got} values, expected {expected}")]
    Length {
        /// The argument.
        what: &'static str,
        /// The length that the shape asks for.
        expected: usize,
        /// The length that came.
        got: usize,
    },
    /// There is no such state unit.
    #[error("there is no state unit {got}, the layer has {states}")]
    State {
        /// State units of the layer.
        states: usize,
        /// The number that came, from 0.
        got: usize,
    },
    /// Nothing of something of which there must be at least one.
    #[error("got 0 {what}, expected at least 1")]
    Zero {
        /// What there is none of.
        what: &'static str,
    },
    /// A layout without states or without weight rows.
    #[error("got {states} states and {rows} weight rows, expected at least one of each")]
    Layout {
        /// States asked for.
        states: usize,
        /// Weight rows asked for.
        rows: usize,
    },
    /// A drive of a weight row or a state that does not exist, or that is not in order.
    #[error(
        "got drive {number} from row {row} to state {state}, expected ascending drives from rows below \
         {rows} to states below {states}"
    )]
    Drive {
        /// The place of the drive in the list, from 0.
        number: usize,
        /// Its weight row.
        row: u32,
        /// Its state.
        state: u32,
        /// Weight rows of the layout.
        rows: usize,
        /// States of the layout.
        states: usize,
    },
    /// The sensitivities would need more bytes than can be addressed or than the system gives.
    #[error("the engine needs {bytes} bytes at once, which this machine cannot provide")]
    Memory {
        /// Bytes of the buffer, as an exact number (it may exceed the address space).
        bytes: u128,
    },
    /// The instruction set is unknown, or this processor does not have it.
    #[error("instruction set {requested:?} is not available here, expected one of {available}")]
    Isa {
        /// The name that came.
        requested: String,
        /// The names that this machine has.
        available: String,
    },
    /// The threads could not be started.
    #[error("{requested} threads could not be started: {reason}")]
    Threads {
        /// Number of threads asked for.
        requested: usize,
        /// What the system answered.
        reason: String,
    },
    /// A value left the range of its type during the update. The sensitivities are lost: the engine
    /// must be reset before it advances again.
    #[error("{quantity} became non-finite; the sensitivities are lost until they are reset")]
    NonFinite {
        /// What overflowed.
        quantity: Quantity,
    },
    /// The engine was advanced although its sensitivities were lost in an earlier step.
    #[error("the sensitivities were lost in an earlier step and have not been reset")]
    Lost,
    /// The engine lacks an optional method of the trait.
    #[error("this engine does not support {what}")]
    Unsupported {
        /// What the method does.
        what: &'static str,
    },
    /// A stored tensor that does not fit the engine.
    #[error("tensor `{name}` is {}, expected {}", shape(*got), shape(Some(*expected)))]
    Tensor {
        /// Its name.
        name: String,
        /// Rows and columns that the engine takes.
        expected: [usize; 2],
        /// Rows and columns that are stored; `None` if there is no such tensor.
        got: Option<[usize; 2]>,
    },
    /// A stored tensor holds NaN or an infinity.
    #[error("tensor `{name}` has a number in row {row} that is not finite")]
    NonFiniteTensor {
        /// Its name.
        name: String,
        /// The first such row, from 0.
        row: usize,
    },
    /// The sink or the source failed. It keeps the reason.
    #[error("the engine could not be saved or loaded: its sink or source failed")]
    Storage,
}

/// What an engine keeps finite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// p.
    Sensitivities,
    /// The gradient of the errors that have not been read.
    Gradient,
}

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Sensitivities => "sensitivities",
            Self::Gradient => "gradient",
        })
    }
}

/// A shape as messages show it.
fn shape(shape: Option<[usize; 2]>) -> String {
    shape.map_or("missing".to_owned(), |[rows, columns]| format!("{rows} x {columns}"))
}

/// Fails unless `got` equals `expected`.
pub(crate) fn check_length(what: &'static str, expected: usize, got: usize) -> Result<(), Error> {
    if got == expected { Ok(()) } else { Err(Error::Length { what, expected, got }) }
}

/// Fails unless `got` values hold `rows` rows of `columns` values, `stride` apart.
pub(crate) fn check_matrix(
    what: &'static str,
    rows: usize,
    columns: usize,
    stride: usize,
    got: usize,
) -> Result<(), Error> {
    if stride < columns {
        return Err(Error::Length { what: "a row of the matrix", expected: columns, got: stride });
    }
    let needed = (rows - 1).saturating_mul(stride).saturating_add(columns);
    if got < needed { check_length(what, needed, got) } else { Ok(()) }
}
