//! The groups of a series: series of their own whose rows are interleaved.

use std::collections::HashMap;

use super::cells::cell_error;
use super::table::Table;
use crate::error::Error;
use crate::number::bytes;

/// The groups so far, numbered in the order of their first rows.
pub(super) struct Groups {
    /// The place of their column, if there is one.
    pub(super) place: Option<usize>,
    names: Vec<String>,
    numbers: HashMap<String, usize>,
    most: usize,
    /// The memory that each takes, if it is known.
    pub(super) bytes: usize,
}

impl Groups {
    /// Groups of which some are known already.
    pub(super) fn new(place: Option<usize>, names: Vec<String>, most: usize) -> Self {
        let numbers = names.iter().cloned().zip(0..).collect();
        let most = most.max(names.len());
        Self { place, names, numbers, most, bytes: 0 }
    }

    /// The names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of the group of the table's row; that of a new one is the next number.
    pub(super) fn find(&self, table: &Table) -> Result<usize, Error> {
        let Some(place) = self.place else { return Ok(0) };
        let cell = table.cell(place);
        if cell.is_empty() {
            return Err(cell_error(table, place, "a group".to_owned()));
        }
        if let Some(&number) = self.numbers.get(&*cell) {
            return Ok(number);
        }
        let (most, bytes) = (self.most, bytes(self.bytes));
        if self.names.len() < most {
            return Ok(self.names.len());
        }
        let expected =
            format!("one of the first {most} groups; --most-groups allows more, of {bytes} each");
        Err(cell_error(table, place, expected))
    }

    /// Makes the group of the table's row known.
    pub(super) fn accept(&mut self, table: &Table, number: usize) {
        let Some(place) = self.place else { return };
        if number == self.names.len() {
            let name = table.cell(place).into_owned();
            self.numbers.insert(name.clone(), number);
            self.names.push(name);
        }
    }
}
