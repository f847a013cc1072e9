//! The input of a command: a series that is read row by row, from a file or standard input.
//!
//! | file | subject |
//! |---|---|
//! | `source.rs` | the bytes of a file or of standard input, decompressed |
//! | `shared.rs` | bytes that rank 0 reads for all ranks |
//! | `zstd.rs` | decompresses zstd |
//! | `table.rs` | named columns and rows of cells, whatever their format |
//! | `records.rs` | rows of cells between separators, with bounded memory |
//! | `objects.rs` | rows of JSON lines |
//! | `malformed.rs` | rows that cannot be split into cells, and their limits |
//! | `columns.rs` | columns, chosen by name, number, range or exception |
//! | `cells.rs` | numbers and classes in cells |
//! | `classes.rs` | the classes of columns of text, given or learnt |
//! | `groups.rs` | the groups of rows, which are series of their own |
//! | `features.rs` | the inputs of a network, and what replaces missing ones |
//! | `lags.rs` | the inputs of earlier rows |
//! | `targets.rs` | the targets: numbers, or a class |
//! | `series.rs` | the targets and the inputs of each row; wrong rows |
//! | `shown.rs` | names and cells, short enough for messages |

mod cells;
mod classes;
mod columns;
mod features;
mod groups;
mod lags;
mod malformed;
mod objects;
mod records;
mod series;
mod shared;
mod shown;
mod source;
mod table;
mod targets;
mod zstd;

pub(crate) use self::series::{Row, Series, Skipped};
pub(crate) use self::shown::listed;
pub(crate) use self::source::{is_standard_input, name};
