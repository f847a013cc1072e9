//! Which weights exist and which of them learn.

use std::ops::Range;

use super::initial::Columns;
use crate::{Cell, Error, Table};

/// The kind of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// No weight: its value is 0 for ever, and it has no sensitivities.
    Absent,
    /// A weight that acts but never changes, and has no sensitivities.
    Frozen,
    /// A weight that learns.
    Learning,
}

/// The kind of every weight: weight rows x (inputs, bias, units).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    columns: usize,
    kinds: Vec<Connection>,
}

impl Connections {
    /// Every weight learns.
    ///
    /// # Errors
    /// [`Error::Memory`] if the table does not fit in memory.
    pub(crate) fn full(rows: usize, columns: usize) -> Result<Self, Error> {
        let bytes = rows as u128 * columns as u128;
        let refused = Error::Memory { what: "the table of connections", bytes };
        let Some(len) = rows.checked_mul(columns) else { return Err(refused) };
        let mut kinds = Vec::new();
        if kinds.try_reserve_exact(len).is_err() {
            return Err(refused);
        }
        kinds.resize(len, Connection::Learning);
        Ok(Self { columns, kinds })
    }

    /// Marks the places where a layer whose weight rows are `rows` has no weights.
    pub(super) fn mark_absent(&mut self, cell: Cell, columns: Columns, rows: Range<usize>) {
        for (number, row) in rows.enumerate() {
            let (sees_inputs, sees_units) = cell.sees(number / columns.units);
            if !sees_inputs {
                self.set(row, 0..columns.inputs, Connection::Absent);
            }
            if !sees_units {
                self.set(row, columns.first_unit()..columns.count(), Connection::Absent);
            }
            self.set(row, columns.count()..self.columns, Connection::Absent);
        }
    }

    /// Marks as `kind` every place where `mask`, of the weight rows `rows` with `width` columns,
    /// says `value`.
    pub(crate) fn mark(
        &mut self,
        what: &'static str,
        (rows, width): (Range<usize>, usize),
        mask: &Table<bool>,
        value: bool,
        kind: Connection,
    ) -> Result<(), Error> {
        let mut mask = mask.values(what, (rows.len(), width))?;
        for row in rows {
            let places = &mut self.kinds[row * self.columns..][..width];
            for (place, &marked) in places.iter_mut().zip(mask.by_ref()) {
                if marked == value && *place != Connection::Absent {
                    *place = kind;
                }
            }
        }
        Ok(())
    }

    /// Sets a part of a row.
    fn set(&mut self, row: usize, columns: Range<usize>, kind: Connection) {
        self.kinds[row * self.columns..][columns].fill(kind);
    }

    /// Freezes every weight that learns.
    pub(crate) fn freeze(&mut self) {
        let learning = self.kinds.iter_mut().filter(|kind| **kind == Connection::Learning);
        learning.for_each(|kind| *kind = Connection::Frozen);
    }

    /// The kind of weight (i, j).
    pub fn get(&self, i: usize, j: usize) -> Connection {
        self.kinds[i * self.columns + j]
    }

    /// For each weight, row by row, whether it learns.
    pub(crate) fn learning(&self) -> Vec<bool> {
        self.kinds.iter().map(|&kind| kind == Connection::Learning).collect()
    }

    /// Number of weights of this kind.
    pub fn count(&self, kind: Connection) -> usize {
        self.kinds.iter().filter(|&&place| place == kind).count()
    }
}
