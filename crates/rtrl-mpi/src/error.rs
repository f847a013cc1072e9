//! The errors of sharded learners.

use std::path::PathBuf;

use thiserror::Error;

/// An error of a sharded learner. After an error that several ranks agree on, every rank has
/// returned one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the model, the same as without MPI.
    #[error(transparent)]
    Model(#[from] rtrl_model::Error),
    /// MPI cannot be used.
    #[error("cannot start MPI: got {got}, expected {expected}")]
    Start {
        /// What is needed.
        expected: &'static str,
        /// What there is.
        got: String,
    },
    /// A rank differs from rank 0 in something that must be the same everywhere.
    #[error("rank {rank}, {what}: got {got}, expected {expected} as on rank 0")]
    Differs {
        /// The first rank that differs.
        rank: usize,
        /// What differs, by its path in the description of a learner.
        what: String,
        /// The value on rank 0.
        expected: String,
        /// The value on that rank.
        got: String,
    },
    /// Another rank has failed, so this one stops as well.
    #[error("rank {rank}: {reason}")]
    OtherRank {
        /// The first rank that has failed.
        rank: usize,
        /// The message of its error.
        reason: String,
    },
    /// A shard does not belong to its manifest, or a manifest is none.
    #[error("{}: {reason}", path.display())]
    Shard {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<rtrl_model::kernel::Error> for Error {
    fn from(error: rtrl_model::kernel::Error) -> Self {
        Self::Model(error.into())
    }
}

/// An error about a file that the system has refused.
pub(crate) fn file(path: &std::path::Path, source: std::io::Error) -> Error {
    Error::Model(rtrl_model::Error::File { path: path.to_owned(), source })
}
