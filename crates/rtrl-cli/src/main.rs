//! The `rtrl` program.
//!
//! `args/` turns the command line into plain data; each command has a module that does the work.
//! Exit codes: 0 for success, 2 for a wrong command line, 1 for everything else that goes wrong.

mod args;
mod chart;
mod error;
mod inspect;
mod outputs;
mod page;
mod paper;
mod pictures;
mod tasks;
mod trace;
mod train;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let result = match Args::parse().command {
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
