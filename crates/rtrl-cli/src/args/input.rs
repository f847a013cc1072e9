//! Which columns of a series are read, and how.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The columns of a series, and what is wrong or missing in them.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// The column to forecast, by its name or its number, from 1
    #[arg(long, value_name = "COLUMN")]
    pub(crate) target: String,

    /// The input columns, separated by commas: names, numbers, ranges such as 2-5, and, after a !,
    /// columns that are no inputs [default: the target; with --horizon 0 all others]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) inputs: Vec<String>,

    /// The column that says when a row was; it is no input by default
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time: Option<String>,

    /// The first line is a row; columns are chosen by their numbers
    #[arg(long)]
    pub(crate) no_header: bool,

    /// What an empty cell of an input is
    #[arg(long, value_enum, default_value_t = Missing::Error)]
    pub(crate) missing: Missing,

    /// What happens at a row that is wrong
    #[arg(long, value_enum, default_value_t = OnError::Stop)]
    pub(crate) on_error: OnError,
}

/// What an empty cell of an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Missing {
    /// An error in its row
    Error,
    /// The last value of the input; 0 before the first one
    Last,
    /// 0
    Zero,
    /// The mean of the input so far; 0 before the first value
    Mean,
}

/// What happens at a row that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// The run stops; what has been learnt is kept
    Stop,
    /// The row is skipped as if it did not exist, and counted
    Skip,
}
