//! A layer: its cell, and where its parts are in everything that a network holds.

use std::ops::Range;

use super::initial::Columns;
use crate::cell::Cell;

/// A layer of a network. Its weights are rows of W.
#[derive(Debug, Clone)]
pub(crate) struct Layer<T> {
    pub(crate) cell: Cell<T>,
    /// What its weight rows see.
    pub(crate) columns: Columns,
    /// Its weight rows.
    pub(crate) rows: Range<usize>,
    /// Its part of the state.
    pub(crate) states: Range<usize>,
    /// Where its z starts, padded as a row of W is.
    pub(crate) z: usize,
}
