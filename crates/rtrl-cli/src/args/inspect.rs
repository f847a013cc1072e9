//! The arguments of `rtrl inspect`.

use std::path::PathBuf;

use super::numbers::{observed, whole};

#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// The model: a safetensors file written by `rtrl train --save`, `rtrl paper --save` or the
    /// library; or the checkpoint of one learner, written by the library
    pub(crate) model: PathBuf,

    /// Run the network on this task and extract a finite-state machine [default: run it without
    /// input, or on --series]
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,

    /// Run the network on this series, in any format that `rtrl train` reads; - for standard input.
    /// The model must be one of `rtrl train`, which contains the columns and their scales
    #[arg(long, value_name = "FILE", conflicts_with = "task")]
    pub(crate) series: Option<PathBuf>,

    /// Number of steps to observe; with a task, the machine is checked on the same number of
    /// further steps
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = observed)]
    pub(crate) steps: usize,

    /// Seed of the task's stream and of everything that the instruments draw at random
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = whole)]
    pub(crate) seed: u64,

    /// Write the results to this JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write a report with charts to this HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}
