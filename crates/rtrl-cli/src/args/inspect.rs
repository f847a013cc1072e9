//! The arguments of `rtrl inspect`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// The model: a safetensors file written by `rtrl train --save`, `rtrl paper --save` or the
    /// library
    pub(crate) model: PathBuf,

    /// Run the network on this task and extract a finite-state machine [default: run it without
    /// input]
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,

    /// Steps to observe; with a task, as many again to check the machine
    #[arg(long, value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(10..=100_000))]
    steps: u32,

    /// Seed of the task, the initial states and the tangent
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = super::numbers::seed)]
    pub(crate) seed: u64,

    /// Write the results to this JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write a report with charts to this HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

impl InspectArgs {
    /// The steps to watch.
    pub(crate) fn steps(&self) -> usize {
        usize::try_from(self.steps).unwrap_or(usize::MAX)
    }
}
