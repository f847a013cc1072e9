//! The processes that run a command together: this one alone, or the ranks of an MPI program.

use std::io;
use std::sync::Arc;

use rtrl_model::{EngineChoice, Error, Learner, LearnerBuilder, Real, Threads};

/// The processes that run a command together, its *ranks*. They make the same calls in the same
/// order; each call that involves other ranks waits for them.
pub trait Ranks: Build<f32> + Build<f64> {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn count(&self) -> usize;

    /// The bytes that rank 0 passes, on every rank. Those of the others are ignored.
    ///
    /// # Errors
    /// Those of the exchange.
    fn share(&self, bytes: &[u8]) -> io::Result<Vec<u8>>;

    /// Called where the command has failed on this process, with its message and its exit code: the
    /// others may be waiting for it. Rank 0 has printed the message and written its files.
    fn fail(&self, message: &str, code: u8);
}

/// Builds the learners of a command.
pub trait Build<T: Real> {
    /// The learner that `builder` describes, with this engine. `threads` are those of this process.
    ///
    /// # Errors
    /// [`BuildError::Model`] with an error of [`LearnerBuilder::build`], [`BuildError::Ranks`] for
    /// one that involves other ranks.
    fn build(
        &self,
        builder: LearnerBuilder<T>,
        engine: EngineChoice,
        threads: Threads,
    ) -> Result<Learner<T>, BuildError>;
}

/// Why a learner could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// As in one process.
    #[error(transparent)]
    Model(#[from] Error),
    /// Ranks that differ, or the failure of another one.
    #[error(transparent)]
    Ranks(Box<dyn std::error::Error + Send + Sync>),
}

/// Fails if there are several ranks, which cannot do this.
pub(crate) fn check_alone(ranks: &dyn Ranks, what: &'static str) -> Result<(), Error> {
    match ranks.count() {
        1 => Ok(()),
        count => {
            let (expected, got) = ("one process".to_owned(), format!("{count} ranks"));
            Err(Error::Setting { what, expected, got })
        }
    }
}

/// This process alone.
pub fn alone() -> Arc<dyn Ranks> {
    Arc::new(Alone)
}

pub(crate) struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn count(&self) -> usize {
        1
    }

    fn share(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        Ok(bytes.to_vec())
    }

    fn fail(&self, _: &str, _: u8) {}
}

impl<T: Real> Build<T> for Alone {
    fn build(
        &self,
        builder: LearnerBuilder<T>,
        engine: EngineChoice,
        threads: Threads,
    ) -> Result<Learner<T>, BuildError> {
        Ok(builder.engine(engine).threads(threads).build()?)
    }
}
