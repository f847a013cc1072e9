//! The flags of `rtrl paper`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use super::numbers::listed;
use super::{EngineArgs, Precision};

#[derive(Debug, clap::Args)]
pub(crate) struct PaperArgs {
    /// Run only the experiments with these tasks [default: all]
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<String>,

    /// Number of runs of each experiment; long experiments have half as many
    #[arg(long, default_value = "20", value_name = "K", value_parser = listed)]
    pub(crate) seeds: NonZeroU32,

    /// Leave out the long experiments, those of the Turing machine
    #[arg(long)]
    pub(crate) quick: bool,

    /// Run everything with both engines and report where their runs diverge
    #[arg(long, conflicts_with_all = ["json", "report", "save"])]
    pub(crate) compare: bool,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    /// Floating-point precision
    #[arg(long, value_enum, default_value_t = Precision::F64)]
    pub(crate) precision: Precision,

    /// Write the steps of every run to this JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write a report with the learning curves of all runs to this HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Save the trained network of every run as a safetensors file in this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) save: Option<PathBuf>,
}
