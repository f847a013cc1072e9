//! The arguments of `rtrl inspect`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// The model: a safetensors file that `rtrl train --save`, `rtrl paper --save` or the
    /// library has written
    pub(crate) model: PathBuf,

    /// Let the network run on this task, and look for the finite-state machine in it [default: let it run
    /// without input]
    #[arg(long, value_name = "NAME")]
    pub(crate) task: Option<String>,

    /// Steps to watch; with a task, as many again to check the machine on
    #[arg(long, value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(10..=100_000))]
    steps: u32,

    /// Seed of the task, the starts and the tangent
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Write what was found to this JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write a page with pictures to this HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

impl InspectArgs {
    /// The steps to watch.
    pub(crate) fn steps(&self) -> usize {
        usize::try_from(self.steps).unwrap_or(usize::MAX)
    }
}
