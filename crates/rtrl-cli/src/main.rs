//! The `rtrl` program in one process; `lib.rs` has the map.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(rtrl_cli::run(std::env::args_os(), &rtrl_cli::alone()))
}
