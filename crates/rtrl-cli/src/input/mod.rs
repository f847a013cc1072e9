//! The input of a command: a series that is read row by row, from a file or standard input.
//!
//! | file | subject |
//! |---|---|
//! | `series.rs` | the columns that are used, and the numbers of each row |
//! | `records.rs` | bytes split into records of cells, with bounded memory |

mod records;
pub(crate) mod series;
