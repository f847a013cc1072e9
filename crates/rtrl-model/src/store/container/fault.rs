//! Why a file is not a checkpoint that can be used.

use thiserror::Error;

/// What is wrong with a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends too early, as one does that was not written to its end.
    #[error("cut short: {got} bytes, expected {expected}")]
    CutShort {
        /// Bytes that its header announces; while that is unknown, the least there must be.
        expected: u64,
        /// Bytes that there are.
        got: u64,
    },
    /// The file goes on where it should end.
    #[error("{got} bytes, expected {expected}")]
    TooLong {
        /// Bytes that its header announces.
        expected: u64,
        /// Bytes that there are.
        got: u64,
    },
    /// The file was never a checkpoint, or its header is damaged.
    #[error("not a model or a checkpoint: {reason}")]
    Foreign {
        /// What gives it away.
        reason: String,
    },
    /// The file has a version that this library does not read.
    #[error("format version {got}, expected {expected}")]
    Version {
        /// The version of the file.
        got: u64,
        /// The version that can be read.
        expected: u32,
    },
    /// The contents are not those that were written.
    #[error("damaged: the SHA-256 of its contents is {got}, expected {expected}")]
    Checksum {
        /// What the file says, in hexadecimal digits.
        expected: String,
        /// What its bytes give.
        got: String,
    },
    /// A tensor is not what was announced or asked for.
    #[error("tensor `{name}`: {got}, expected {expected}")]
    Tensor {
        /// Its name.
        name: String,
        /// What was announced or asked for.
        expected: String,
        /// What came or is there.
        got: String,
    },
}
