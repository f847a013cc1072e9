//! Rows that cannot be split into cells.

use std::io;

use thiserror::Error;

/// Most bytes of a row.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// Most cells of a row.
pub(super) const MOST_CELLS: usize = 1 << 16;

/// Most lines of a row, whose cells may hold line ends if they are quoted.
pub(super) const MOST_LINES: u64 = 100;

/// Why the next row cannot be read.
#[derive(Debug, Error)]
pub(super) enum Malformed {
    /// The bytes cannot be read.
    #[error("line {line}: {source}")]
    Unreadable { line: u64, source: io::Error },
    /// A quote that is still open at the end.
    #[error("line {line}: got a quote that is never closed")]
    Quote { line: u64 },
    /// A row with too many lines.
    #[error("line {line}: got more than {MOST_LINES} lines in a row, expected a closing quote")]
    Lines { line: u64 },
    /// A row with too much text.
    #[error(
        "line {line}: got more than {MOST_BYTES} bytes in a row, expected at most {MOST_BYTES}"
    )]
    Length { line: u64 },
    /// A row with too many cells.
    #[error("line {line}: got more than {MOST_CELLS} cells, expected at most {MOST_CELLS}")]
    Cells { line: u64 },
    /// An empty line before another row, which would shift time.
    #[error("line {line}: got an empty line, expected a row")]
    Empty { line: u64 },
    /// A line that is no JSON object.
    #[error("line {line}, byte {byte}: {reason}")]
    Json { line: u64, byte: usize, reason: String },
}
