//! The arguments of `rtrl tasks`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Subcommand;

use super::examples;
use super::numbers::{listed, whole};

#[derive(Debug, Subcommand)]
pub(crate) enum TasksCommand {
    /// List all tasks
    #[command(after_help = examples::LIST)]
    List,
    /// Write the inputs and targets of a task as CSV, with empty cells for missing targets
    #[command(after_help = examples::EMIT)]
    Emit(EmitArgs),
    /// Compare simple units, GRU and LSTM on tasks, all with exact gradients
    #[command(after_help = examples::COMPARE)]
    Compare(CompareArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct EmitArgs {
    /// Name of the task, as listed by `rtrl tasks list`
    #[arg(value_name = "NAME")]
    pub(crate) task: String,

    /// Number of steps (rows)
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(crate) steps: u64,

    /// Seed of the stream
    #[arg(long, default_value_t = 1, value_name = "S", value_parser = whole)]
    pub(crate) seed: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// Compare only on these tasks [default: add, recall, mackey-glass, henon and lorenz]
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<String>,

    /// Number of runs of each cell on each task
    #[arg(long, default_value = "5", value_name = "K", value_parser = listed)]
    pub(crate) seeds: NonZeroU32,

    /// Small networks and few steps, to see that everything works
    #[arg(long)]
    pub(crate) quick: bool,

    /// Write the scores of every run to this JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
