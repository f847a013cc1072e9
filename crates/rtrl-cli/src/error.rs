//! What can go wrong in the program.

use std::path::PathBuf;

use thiserror::Error;

/// An error that ends the program with exit code 1.
#[derive(Debug, Error)]
pub(crate) enum Error {
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
    /// A chart could not be drawn.
    #[error("the report could not be drawn: {0}")]
    Chart(String),
    /// An error of the model.
    #[error(transparent)]
    Model(#[from] rtrl_model::Error),
}
