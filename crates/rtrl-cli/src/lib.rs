//! The `rtrl` program, as a library: `main.rs` runs it in one process, and `rtrl-mpi` on the ranks
//! of an MPI program.
//!
//! Exit codes: 0 for success, 2 for a wrong command line, 130 and 143 if SIGINT and SIGTERM have
//! stopped it, 141 if nobody reads the output of `rtrl run` or `rtrl generate`, 1 for everything
//! else that goes wrong.
//!
//! | file | subject |
//! |---|---|
//! | `args/` | the command line as plain data |
//! | `input/` | a series, read row by row from a file or standard input |
//! | `stream/` | rows in, predictions out: the common parts of `train` and `run` |
//! | `train/` | `rtrl train`: online forecasting of a series |
//! | `run.rs` | `rtrl run`: a saved model on a stream |
//! | `generate.rs` | `rtrl generate`: a saved model on its own forecasts |
//! | `model.rs` | models that describe a series: what they are saved with, and how they are read |
//! | `inspect/` | `rtrl inspect`: the analysis of a saved network |
//! | `paper/` | `rtrl paper`: the experiments of the paper |
//! | `tasks/` | `rtrl tasks`: the task generators, their streams, and cells compared on them |
//! | `trace.rs` | `rtrl trace`: runs a conformance case |
//! | `page.rs` | the common parts of all HTML pages |
//! | `chart.rs`, `pictures.rs` | charts and pictures as SVG |
//! | `outputs.rs` | output files, checked before a command starts, and standard output |
//! | `signals.rs` | signals that end a run |
//! | `ranks.rs` | the processes that run a command together |
//! | `number.rs` | numbers in tables and sentences |
//! | `error.rs`, `exit.rs` | errors, and what they do: exit codes |

mod args;
mod chart;
mod error;
mod exit;
mod generate;
mod input;
mod inspect;
mod model;
mod number;
mod outputs;
mod page;
mod paper;
mod pictures;
mod ranks;
mod run;
mod signals;
mod stream;
mod tasks;
mod trace;
mod train;

use std::ffi::OsString;
use std::sync::Arc;

use crate::args::{Args, Command};
use crate::error::Error;
pub use crate::ranks::{Build, BuildError, Ranks, alone};

/// Runs the program with the arguments of a command line, of which the first is its name. Returns
/// its exit code. Several ranks run only `rtrl train`; each of them calls this, and rank 0 alone
/// reads the series, prints and writes files. A failure of any rank ends in [`Ranks::fail`].
pub fn run(arguments: impl IntoIterator<Item = OsString>, ranks: &Arc<dyn Ranks>) -> u8 {
    let is_first = ranks.rank() == 0;
    let (message, code) = match Args::read(arguments) {
        Ok(Args { command }) => {
            let log = command.log();
            let Err(error) = perform(command, ranks) else { return 0 };
            let message = log.line("error", &error.to_string());
            if is_first && !matches!(error, Error::Closed) {
                outputs::note(&message);
            }
            (message, error.exit_code())
        }
        Err(error) => {
            if is_first {
                // There is nowhere else to say it.
                let _ = error.print();
            }
            (error.to_string(), u8::try_from(error.exit_code()).unwrap_or(1))
        }
    };
    if code != 0 {
        ranks.fail(&message, code);
    }
    code
}

fn perform(command: Command, ranks: &Arc<dyn Ranks>) -> Result<(), Error> {
    if !matches!(command, Command::Train(_)) {
        ranks::check_alone(&**ranks, "commands other than train")?;
    }
    match command {
        Command::Train(args) => train::run(&args.of_rank(ranks.rank()), ranks),
        Command::Run(args) => run::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Paper(args) => paper::run(&args),
        Command::Tasks(command) => tasks::run(&command),
    }
}
