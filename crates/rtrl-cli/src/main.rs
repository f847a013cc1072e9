//! The `rtrl` program.
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
mod run;
mod signals;
mod stream;
mod tasks;
mod trace;
mod train;

use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::error::Error;

fn main() -> ExitCode {
    let command = Args::of_process().command;
    let log = command.log();
    let result = match command {
        Command::Train(args) => train::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Paper(args) => paper::run(&args),
        Command::Tasks(command) => tasks::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, Error::Closed) {
                outputs::note(&log.line("error", &error.to_string()));
            }
            ExitCode::from(error.exit_code())
        }
    }
}
