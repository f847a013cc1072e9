//! What can go wrong in the program.

use std::path::PathBuf;

use thiserror::Error;

/// An error that ends the program, with exit code 2 if the command line itself is wrong, else 1.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// Two arguments name the same file.
    #[error("{first} and {second} are the same file, {}", path.display())]
    SameFile {
        /// The one argument.
        first: &'static str,
        /// The other argument.
        second: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A column is named twice among the inputs.
    #[error("column {column:?} is named twice in --inputs")]
    RepeatedInput {
        /// The name.
        column: String,
    },
    /// A constant of least squares for a readout that learns otherwise.
    #[error("{option} goes with --readout rls, the readout learns by its gradient")]
    NeedsLeastSquares {
        /// The option.
        option: &'static str,
    },
    /// A column that was asked for is there more than once.
    #[error("{}: column {column:?} stands {count} times in the header, expected once", path.display())]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
        /// How often it is there.
        count: usize,
    },
    /// A file could not be opened or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no CSV table.
    #[error("{}: {reason}", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// A column that was asked for is not there.
    #[error("{}: no column {column:?}, the columns are {}", path.display(), available.join(", "))]
    Column {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        column: String,
        /// The names in the header.
        available: Vec<String>,
    },
    /// A cell of a column that is used is no finite number.
    #[error(
        "{}: line {line}, column {column:?}: expected a finite number, got {got:?}",
        path.display()
    )]
    Cell {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The cell.
        got: String,
    },
    /// Too few rows for a single forecast.
    #[error("{}: {got} rows of data, expected at least 2", path.display())]
    Rows {
        /// The file.
        path: PathBuf,
        /// Rows below the header.
        got: u64,
    },
    /// Values so large that their deviation is not finite.
    #[error("line {line}: the values up to here are too large to be standardised")]
    Scale {
        /// The line, from 1.
        line: u64,
    },
    /// There is no such task.
    #[error("no task {name:?}, the tasks are {}", known.join(", "))]
    Task {
        /// The name that came.
        name: String,
        /// The names that there are.
        known: Vec<&'static str>,
    },
    /// `--quick` leaves out all tasks that were named.
    #[error("--quick leaves out {}, so that nothing is left to run", tasks.join(", "))]
    NothingQuick {
        /// The names that came.
        tasks: Vec<String>,
    },
    /// A model with functions of somebody's own.
    #[error("the model has units with a function of its own, {name}, which only its program knows")]
    OwnActivation {
        /// The name of the function.
        name: String,
    },
    /// Standard output could not be written.
    #[error("standard output: {0}")]
    Print(std::io::Error),
    /// A chart could not be drawn.
    #[error("the report could not be drawn: {0}")]
    Chart(String),
    /// An error of the lab.
    #[error(transparent)]
    Lab(#[from] rtrl_lab::Error),
    /// An error of the model.
    #[error(transparent)]
    Model(#[from] rtrl_model::Error),
}

impl Error {
    /// The exit code of the program.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::SameFile { .. }
            | Self::RepeatedInput { .. }
            | Self::NeedsLeastSquares { .. }
            | Self::Task { .. }
            | Self::NothingQuick { .. } => 2,
            _ => 1,
        }
    }
}
