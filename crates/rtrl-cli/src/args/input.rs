//! Which columns of a series are read, and how.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::numbers::{lag, listed};

/// The columns of a series, and what is wrong or missing in them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct InputArgs {
    /// The columns to forecast, separated by commas: names, numbers from 1, or ranges such as 2-5.
    /// A column of text alone is forecast as a class, with a probability for each class
    #[arg(long, value_name = "COLUMNS", required = true)]
    pub(crate) target: Vec<String>,

    /// The input columns, separated by commas: names, numbers, ranges such as 2-5, and, after a !,
    /// columns to leave out [default: the targets; with --horizon 0 all others]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) inputs: Vec<String>,

    /// The column with the time of each row; it is not an input by default
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time: Option<String>,

    /// The column that names the group of each row. Groups are series of their own, such as those
    /// of several sensors, whose rows are interleaved: each has a state of its own, which starts at
    /// its first row, and all share the weights. It is not an input by default
    #[arg(long, value_name = "COLUMN")]
    pub(crate) group: Option<String>,

    /// Most groups, each of which takes memory for its sensitivities
    #[arg(long, value_name = "N", default_value = "1000", requires = "group", value_parser = listed)]
    pub(crate) most_groups: NonZeroU32,

    /// The groups of an earlier part of the run, or of the run of a model
    #[arg(skip)]
    pub(crate) groups: Vec<String>,

    /// The first line is a row, not a header; columns are chosen by their numbers
    #[arg(long)]
    pub(crate) no_header: bool,

    /// A column of text, such as wind, or wind=N,E,S,W to name its classes, which are otherwise
    /// those of the first 1000 rows. Each class of an input becomes an input: 1 in the rows of this
    /// class, else 0. If the column is the target, its class is forecast, even if it is a number
    #[arg(long, value_name = "COLUMN[=CLASSES]", value_parser = classes)]
    pub(crate) classes: Vec<Classes>,

    /// Whether columns are named, and neither numbers, ranges nor exceptions, as in a model
    #[arg(skip)]
    pub(crate) names_only: bool,

    /// The classes that an earlier part of the run has learnt, by the names of their columns
    #[arg(skip)]
    pub(crate) learnt: BTreeMap<String, Vec<String>>,

    /// Distances, such as 1,12, to earlier rows whose inputs are added to those of each row
    #[arg(long, value_name = "ROWS", value_delimiter = ',', value_parser = lag)]
    pub(crate) lags: Vec<NonZeroUsize>,

    /// What replaces an empty cell of an input
    #[arg(long, value_enum, default_value_t = Missing::Error)]
    pub(crate) missing: Missing,

    /// What happens at a wrong row
    #[arg(long, value_enum, default_value_t = OnError::Stop)]
    pub(crate) on_error: OnError,
}

/// A column of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Classes {
    pub(crate) column: String,
    /// Its classes; `None` if they are to be learnt.
    pub(crate) classes: Option<Vec<String>>,
}

/// A column of text and its classes.
fn classes(text: &str) -> Result<Classes, String> {
    let Some((column, classes)) = text.split_once('=') else {
        return Ok(Classes { column: text.to_owned(), classes: None });
    };
    let classes: Vec<String> = classes.split(',').map(|class| class.trim().to_owned()).collect();
    let is_repeated = |place: usize| classes[..place].contains(&classes[place]);
    if classes.iter().any(String::is_empty) || (0..classes.len()).any(is_repeated) {
        return Err("expected different classes, separated by commas".to_owned());
    }
    Ok(Classes { column: column.to_owned(), classes: Some(classes) })
}

/// What replaces an empty cell of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Missing {
    /// Nothing: the row is wrong
    Error,
    /// The last value of the input; 0 before the first one
    Last,
    /// 0
    Zero,
    /// The mean of the input so far; 0 before the first value
    Mean,
}

/// What happens at a wrong row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    /// The run stops; what has been learnt is kept
    Stop,
    /// The row is skipped as if it did not exist, and counted
    Skip,
}
