//! The errors of the kernel.

use std::fmt;

use thiserror::Error;

/// An error of the kernel. Each variant holds what was expected and what was given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice does not have the length that the shape requires.
    #[error("{what}: got {got} values, expected {expected}")]
    Length {
        /// The argument.
        what: &'static str,
        /// The length that the shape requires.
        expected: usize,
        /// The length of the slice.
        got: usize,
    },
    /// The number of a state is too large.
    #[error("got state {got}, expected a number below {states}")]
    State {
        /// States of the layer.
        states: usize,
        /// The number that was given, from 0.
        got: usize,
    },
    /// A count is 0 that must be at least 1.
    #[error("got 0 {what}, expected at least 1")]
    Zero {
        /// What is counted.
        what: &'static str,
    },
    /// A layout without states or without weight rows.
    #[error("got {states} states and {rows} weight rows, expected at least one of each")]
    Layout {
        /// Number of states.
        states: usize,
        /// Number of weight rows.
        rows: usize,
    },
    /// A drive whose weight row or state does not exist, or that is out of order.
    #[error(
        "got drive {number} from row {row} to state {state}, expected ascending drives from rows below \
         {rows} to states below {states}"
    )]
    Drive {
        /// Position of the drive in the list, from 0.
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
    /// A row of a pattern that is not ascending, or that names a state that does not exist.
    #[error(
        "row {row} of the pattern: got {last} as its last state, expected ascending numbers below {states}"
    )]
    Entry {
        /// The row, from 0.
        row: usize,
        /// The last number in it.
        last: u32,
        /// States of the pattern.
        states: usize,
    },
    /// A weight row that drives more states than the engine supports.
    #[error("row {row} drives states: got {got}, expected at most {expected}")]
    Drives {
        /// The weight row.
        row: usize,
        /// The most that are supported.
        expected: usize,
        /// How many it drives.
        got: usize,
    },
    /// A block that does not fit the layout, or lacks what it must have.
    #[error("block {block}, {field}: got {got}, expected {expected}")]
    Block {
        /// The block, from 0.
        block: usize,
        /// Which field of it.
        field: &'static str,
        /// What the field must be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A weight row that learns and is in none of the blocks.
    #[error("got row {row} in no block, expected every row with a weight that learns")]
    NoBlock {
        /// The weight row.
        row: usize,
    },
    /// The sensitivities need more bytes than can be addressed or than the system provides.
    #[error("cannot allocate {bytes} bytes for the engine; use fewer units or learning weights")]
    Memory {
        /// Bytes of the buffer; they may exceed the address space.
        bytes: u128,
    },
    /// The instruction set is unknown, or this processor lacks it.
    #[error("got instruction set {requested:?}, expected one that this machine has: {available}")]
    Isa {
        /// The name that was given.
        requested: String,
        /// The names that this machine has.
        available: String,
    },
    /// The threads could not be started.
    #[error("cannot start {requested} threads: {reason}")]
    Threads {
        /// Number of threads.
        requested: usize,
        /// The error of the system.
        reason: String,
    },
    /// A value overflowed during the update. The sensitivities are lost: the engine
    /// must be reset before it advances again.
    #[error("{quantity} overflowed; the sensitivities are lost, reset them to continue")]
    NonFinite {
        /// What overflowed.
        quantity: Quantity,
    },
    /// The engine was advanced although its sensitivities were lost in an earlier step.
    #[error("the sensitivities were lost in an earlier step, reset them to continue")]
    Lost,
    /// The engine lacks an optional method of the trait.
    #[error("this engine does not support {what}")]
    Unsupported {
        /// What the method does.
        what: &'static str,
    },
    /// A stored tensor that does not match the engine.
    #[error("tensor `{name}`: got {}, expected {}", shape(*got), shape(Some(*expected)))]
    Tensor {
        /// Its name.
        name: String,
        /// Rows and columns that the engine expects.
        expected: [usize; 2],
        /// Rows and columns that are stored; `None` if there is no such tensor.
        got: Option<[usize; 2]>,
    },
    /// A stored tensor holds NaN or an infinity.
    #[error("tensor `{name}`, row {row}: got NaN or an infinity, expected finite numbers")]
    NonFiniteTensor {
        /// Its name.
        name: String,
        /// The first row with such a number, from 0.
        row: usize,
    },
    /// A stored tensor holds a number that no engine stores.
    #[error("tensor `{name}`, row {row}: got {got}, expected {expected}")]
    Number {
        /// Its name.
        name: String,
        /// The row with the number, from 0.
        row: usize,
        /// What an engine stores.
        expected: &'static str,
        /// The number.
        got: String,
    },
    /// The sink or the source failed. It holds the reason.
    #[error("cannot save or load the engine: its sink or source failed")]
    Storage,
}

/// A quantity that an engine keeps finite.
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

/// A shape in a message.
fn shape(shape: Option<[usize; 2]>) -> String {
    shape.map_or("none".to_owned(), |[rows, columns]| format!("{rows} x {columns}"))
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
        return Err(Error::Length { what: "row of the matrix", expected: columns, got: stride });
    }
    let needed = (rows - 1).saturating_mul(stride).saturating_add(columns);
    if got < needed { check_length(what, needed, got) } else { Ok(()) }
}
