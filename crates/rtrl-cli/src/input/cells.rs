//! Numbers and classes in the cells of a row.

use super::shown::{listed, shortened};
use super::table::Table;
use crate::error::Error;

/// The largest magnitude of a number, of which sums of squares are finite.
const LARGEST: f64 = 1e100;

/// The number of a cell; `None` if it is empty.
pub(super) fn number(table: &Table, place: usize) -> Result<Option<f64>, Error> {
    let value = match table.number(place) {
        Some(value) => Ok(value),
        None => match table.cell(place) {
            cell if cell.is_empty() => return Ok(None),
            cell => cell.parse(),
        },
    };
    match value {
        Ok(value) if value.abs() <= LARGEST => Ok(Some(value)),
        Ok(value) if value.is_finite() => {
            let expected = format!("a number from -{LARGEST:e} to {LARGEST:e}");
            Err(cell_error(table, place, expected))
        }
        _ => Err(cell_error(table, place, "a finite number".to_owned())),
    }
}

/// The index of a cell's class; `None` if the cell is empty.
pub(super) fn class(
    table: &Table,
    place: usize,
    classes: &[String],
) -> Result<Option<usize>, Error> {
    let cell = table.cell(place);
    if cell.is_empty() {
        return Ok(None);
    }
    let index = classes.iter().position(|class| *class == cell);
    let expected = || format!("one of {}", listed(classes).join(", "));
    index.map(Some).ok_or_else(|| cell_error(table, place, expected()))
}

/// The error of a cell that is not what it should be.
pub(super) fn cell_error(table: &Table, place: usize, expected: String) -> Error {
    Error::Cell {
        path: table.path().to_owned(),
        line: table.line(),
        column: shortened(&table.names()[place]),
        got: shortened(&table.cell(place)),
        expected,
    }
}
