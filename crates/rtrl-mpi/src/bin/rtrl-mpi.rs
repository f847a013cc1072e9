//! `rtrl train` on the ranks of an MPI program.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use mpi::traits::{Communicator, Equivalence};
use rtrl_model::{EngineChoice, Error, Learner, LearnerBuilder, Real, Threads};
use rtrl_mpi::{Ranks, mpi};

fn main() -> ExitCode {
    let ranks = match Ranks::start() {
        Ok(ranks) => ranks,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let program: Arc<dyn rtrl_cli::Ranks> = Arc::new(Program(ranks.clone()));
    let code = rtrl_cli::run(std::env::args_os(), &program);
    if code != 0 && ranks.rank() == 0 && ranks.count() > 1 {
        // The others wait for this rank, which may have failed alone.
        ranks.world().abort(code.into());
    }
    ExitCode::from(code)
}

/// The ranks, as the program sees them.
struct Program(Ranks);

impl rtrl_cli::Ranks for Program {
    fn rank(&self) -> usize {
        self.0.rank()
    }

    fn count(&self) -> usize {
        self.0.count()
    }

    fn share(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.0.share(bytes).map_err(io::Error::other)
    }
}

impl<T: Real + Equivalence> rtrl_cli::Build<T> for Program {
    fn build(
        &self,
        builder: LearnerBuilder<T>,
        engine: EngineChoice,
        threads: Threads,
    ) -> Result<Learner<T>, Error> {
        self.0.build(builder, engine, threads).map_err(|error| match error {
            rtrl_mpi::Error::Model(error) => error,
            other => Error::Format { what: "the ranks".to_owned(), reason: other.to_string() },
        })
    }
}
