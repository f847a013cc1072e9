//! `rtrl train` on the ranks of an MPI program.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use std::{env, io, thread};

use mpi::traits::{Communicator, Equivalence};
use rtrl_cli::BuildError;
use rtrl_model::{EngineChoice, Learner, LearnerBuilder, Real, Threads};
use rtrl_mpi::{Error, Ranks, mpi};

/// The variable with the seconds that a rank other than 0 waits for rank 0 to end the run, after it
/// has failed.
const PATIENCE: &str = "RTRL_MPI_PATIENCE";

fn main() -> ExitCode {
    let program = patience().and_then(|patience| {
        let ranks = Ranks::start().map_err(|error| error.to_string())?;
        Ok(Arc::new(Program { ranks, patience }))
    });
    match program {
        Ok(program) => {
            let program: Arc<dyn rtrl_cli::Ranks> = program;
            ExitCode::from(rtrl_cli::run(env::args_os(), &program))
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What the variable says, or a minute.
fn patience() -> Result<Duration, String> {
    let Some(text) = env::var_os(PATIENCE) else { return Ok(Duration::from_mins(1)) };
    let text = text.to_string_lossy();
    let refused = |_| format!("{PATIENCE}: got {text:?}, expected a whole number of seconds");
    text.parse().map(Duration::from_secs).map_err(refused)
}

/// The ranks, as the program sees them.
struct Program {
    ranks: Ranks,
    patience: Duration,
}

impl rtrl_cli::Ranks for Program {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn count(&self) -> usize {
        self.ranks.count()
    }

    fn share(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.ranks.share(bytes).map_err(io::Error::other)
    }

    fn fail(&self, message: &str, code: u8) {
        if self.count() == 1 {
            return;
        }
        if self.rank() != 0 {
            // If rank 0 has failed as well, it ends the run when its files are written.
            thread::sleep(self.patience);
            eprintln!("rank {}: {message}", self.rank());
        }
        self.ranks.world().abort(code.into());
    }
}

impl<T: Real + Equivalence> rtrl_cli::Build<T> for Program {
    fn build(
        &self,
        builder: LearnerBuilder<T>,
        engine: EngineChoice,
        threads: Threads,
    ) -> Result<Learner<T>, BuildError> {
        self.ranks.build(builder, engine, threads).map_err(|error| match error {
            Error::Model(error) => BuildError::Model(error),
            other => BuildError::Ranks(Box::new(other)),
        })
    }
}
