//! Why a checkpoint cannot be used.

use thiserror::Error;

/// What is wrong with a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends too early, for example because writing it was interrupted.
    #[error("cut short: got {got} bytes, expected at least {expected}")]
    CutShort {
        /// Bytes according to its header, or those of the header if it is incomplete.
        expected: u64,
        /// Bytes of the file.
        got: u64,
    },
    /// The file continues after its last tensor.
    #[error("too long: got {got} bytes, expected {expected}")]
    TooLong {
        /// Bytes according to its header.
        expected: u64,
        /// Bytes of the file.
        got: u64,
    },
    /// The file was never a checkpoint, or its header is damaged.
    #[error("not a model or a checkpoint, or damaged: {reason}")]
    Foreign {
        /// What is wrong.
        reason: String,
    },
    /// The file has a version that this library does not read.
    #[error("got format version {got}, expected {expected}")]
    Version {
        /// The version of the file.
        got: u64,
        /// The version that can be read.
        expected: u32,
    },
    /// The contents have changed since the file was written.
    #[error("damaged: got the SHA-256 {got}, expected {expected}")]
    Checksum {
        /// The checksum in the file, in hexadecimal digits.
        expected: String,
        /// The checksum of its bytes.
        got: String,
    },
    /// A tensor does not match the plan or the request.
    #[error("tensor `{name}`: got {got}, expected {expected}")]
    Tensor {
        /// Its name.
        name: String,
        /// What was planned or requested.
        expected: String,
        /// What was given or is in the file.
        got: String,
    },
}
