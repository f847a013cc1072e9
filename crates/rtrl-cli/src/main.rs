//! The `rtrl` program.
//!
//! Exit codes: 0 for success, 2 for a wrong command line, 1 for everything else that goes wrong.
//!
//! | file | subject |
//! |---|---|
//! | `args/` | the command line as plain data |
//! | `input/` | a series, read row by row from a file or standard input |
//! | `train/` | `rtrl train`: online forecasting over a CSV file |
//! | `inspect/` | `rtrl inspect`: the analysis of a saved network |
//! | `paper/` | `rtrl paper`: the experiments of the paper |
//! | `tasks.rs` | `rtrl tasks`: the task generators and their streams |
//! | `trace.rs` | `rtrl trace`: runs a conformance case |
//! | `page.rs` | the common parts of all HTML pages |
//! | `chart.rs`, `pictures.rs` | charts and pictures as SVG |
//! | `outputs.rs` | output files, checked before a command starts, and standard output |
//! | `error.rs` | errors and their exit codes |

mod args;
mod chart;
mod error;
mod input;
mod inspect;
mod outputs;
mod page;
mod paper;
mod pictures;
mod tasks;
mod trace;
mod train;

use std::process::ExitCode;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let result = match Args::of_process().command {
        Command::Train(args) => train::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Paper(args) => paper::run(&args),
        Command::Tasks(command) => tasks::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
