//! The flags of `rtrl run` and `rtrl generate`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use rtrl_model::Threads;

use super::input::OnError;
use super::numbers::{listed, threads, whole};
use super::stream::{CheckpointArgs, Format, VerbosityArgs};

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The model: a file written by `rtrl train --save` or `rtrl run --save`. It contains the
    /// columns, their scales and what is forecast
    pub(crate) model: PathBuf,

    /// The series, in any format that `rtrl train` reads; - for standard input
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,

    /// Continue to learn from every row that has a target
    #[arg(long)]
    pub(crate) learn: bool,

    /// Save the model as it is after the last row. A run that is stopped saves it to OUT.partial
    #[arg(long, value_name = "OUT")]
    pub(crate) save: Option<PathBuf>,

    /// Most groups of a model with groups, each of which takes memory for its sensitivities
    #[arg(long, value_name = "N", default_value = "1000", value_parser = listed)]
    pub(crate) most_groups: NonZeroU32,

    /// What happens at a wrong row
    #[arg(long, value_enum, default_value_t = OnError::Stop)]
    pub(crate) on_error: OnError,

    /// Format of the predictions on standard output
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    pub(crate) format: Format,

    /// Write each prediction at once, not in blocks
    #[arg(long)]
    pub(crate) live: bool,

    #[command(flatten)]
    pub(crate) checkpoint: CheckpointArgs,

    /// Number of threads [default: depends on the size of the network]
    #[arg(long, value_parser = threads)]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) verbosity: VerbosityArgs,
}

impl RunArgs {
    /// The threads of a learner.
    pub(crate) fn threads(&self) -> Threads {
        super::exactly(self.threads)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct GenerateArgs {
    /// The model: a file written by `rtrl train --save` or `rtrl run --save`, of a series whose
    /// only inputs are its targets
    pub(crate) model: PathBuf,

    /// Number of rows
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(crate) steps: u64,

    /// The group to continue, of a model with groups
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,

    /// Format of the rows on standard output
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    pub(crate) format: Format,
}
