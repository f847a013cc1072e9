//! A layer: its units, and where its parts are in everything that a network holds.

use std::ops::Range;

use rtrl_kernel::{Drive, Real};

use super::initial::Columns;
use crate::cell::{Leaks, Units};
use crate::{Activation, Cell};

/// A layer of a network. Its weights are rows of W.
#[derive(Debug, Clone)]
pub struct Layer<T> {
    pub(crate) units: Units<T>,
    /// What its weight rows see.
    pub(crate) columns: Columns,
    /// Its weight rows.
    pub(crate) rows: Range<usize>,
    /// Its outputs among those of all units, which are first in the state.
    pub(crate) outputs: Range<usize>,
    /// Its cells c in the state, after all outputs; empty where units have none.
    pub(crate) cells: Range<usize>,
    /// The derivatives of its step by its own rows.
    pub(crate) slopes: Range<usize>,
    /// The shares that its units keep, where they change from step to step.
    pub(crate) kept: Range<usize>,
    /// Where its z is: inputs, bias, outputs, and padding, so that a padded row can be read from
    /// `units - seen` values on.
    pub(crate) z: Range<usize>,
}

impl<T: Real> Layer<T> {
    /// What the units are.
    pub fn cell(&self) -> Cell {
        self.units.cell()
    }

    /// Number of units.
    pub fn units(&self) -> usize {
        self.columns.units
    }

    /// Number of inputs: the external ones of the first layer, the units of the layer below of any
    /// other.
    pub fn inputs(&self) -> usize {
        self.columns.inputs
    }

    /// Its rows of [`Network::weights`](crate::Network::weights): blocks of one row a unit.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Number of heads: groups of neighbours that see each other only; 1 if all units do.
    pub fn heads(&self) -> usize {
        self.columns.units / self.columns.seen
    }

    /// The outputs that the rows of its unit `unit` see, among the units of the network: those of
    /// the unit's head.
    pub fn seen_by(&self, unit: usize) -> Range<usize> {
        let first = self.outputs.start + self.columns.first_seen(unit);
        first..first + self.columns.seen
    }

    /// The columns of its rows: inputs, bias, units of the row's head. Rows of W that are longer
    /// hold zeros after them.
    pub fn width(&self) -> usize {
        self.columns.count()
    }

    /// Its outputs among the units of the network, and in a state.
    pub fn outputs(&self) -> Range<usize> {
        self.outputs.clone()
    }

    /// Its cells c in a state; empty where units have none.
    pub fn cells(&self) -> Range<usize> {
        self.cells.clone()
    }

    /// The activation of every unit; empty for gated units.
    pub fn activations(&self) -> &[Activation] {
        self.units.simple().map_or(&[], |simple| &simple.activations)
    }

    /// The leak a of every unit; `None` where all are 1 and no unit keeps a share of its state, and
    /// for gated units.
    pub fn leaks(&self) -> Option<&[T]> {
        self.units.simple()?.leaks.as_ref().map(Leaks::rates)
    }
}

/// For networks.
impl<T: Real> Layer<T> {
    /// The places of a layer with this cell and these columns on top of `below`.
    pub(super) fn above(below: Option<&Self>, units: Units<T>, columns: Columns) -> Self {
        let (cell, n) = (units.cell(), columns.units);
        let after = |part: fn(&Self) -> &Range<usize>, len: usize| {
            let start = below.map_or(0, |layer| part(layer).end);
            start..start + len
        };
        Self {
            rows: after(|layer| &layer.rows, cell.blocks() * n),
            outputs: after(|layer| &layer.outputs, n),
            // Shifted by the number of all outputs when it is known.
            cells: after(|layer| &layer.cells, if cell.has_cells() { n } else { 0 }),
            slopes: after(|layer| &layer.slopes, cell.drives() * n),
            kept: after(|layer| &layer.kept, cell.kept() * n),
            z: 0..0,
            units,
            columns,
        }
    }

    /// The length of its z, if rows of W take `stride` values.
    pub(super) fn z_len(&self, stride: usize) -> usize {
        self.units() - self.columns.seen + stride.max(self.width().next_multiple_of(T::LANES))
    }

    /// The parts of z that the rows of unit `unit` see, if rows of W have `columns` values: what
    /// all rows share, and the outputs of its head. The zeros at the end of longer rows meet
    /// whatever follows in z.
    pub(super) fn z_of(&self, unit: usize, columns: usize) -> [Range<usize>; 2] {
        let shared = self.z.start + self.columns.first_unit();
        let own = shared + self.columns.first_seen(unit);
        [self.z.start..shared, own..own + columns - self.columns.first_unit()]
    }

    /// The drives of its rows, in a network of `units` units and `states` states: each drives
    /// states of its own unit, and through its output those of the layers above that see this:
    /// `sees` says so of a state and a unit.
    pub(super) fn drives(
        &self,
        units: usize,
        states: usize,
        sees: impl Fn(usize, usize) -> bool,
    ) -> impl Iterator<Item = Drive> {
        let (cell, n) = (self.cell(), self.units());
        let (outputs, cells) = (self.outputs.clone(), self.cells.clone());
        self.rows.clone().flat_map(move |row| {
            let (block, unit) = ((row - self.rows.start) / n, (row - self.rows.start) % n);
            let output = outputs.start + unit;
            let own = cell.drives_cell(block).then_some(cells.start + unit);
            let above = |states: std::ops::Range<usize>| {
                states.filter(|&state| sees(state, output)).collect::<Vec<_>>()
            };
            let list = std::iter::once(output)
                .chain(above(outputs.end..units))
                .chain(own)
                .chain(above(cells.end..states));
            list.map(move |state| Drive { row: number(row), state: number(state) })
                .collect::<Vec<_>>()
        })
    }

    /// The column of the bias, if there is one.
    pub(crate) fn bias_column(&self) -> Option<usize> {
        self.columns.bias.then_some(self.columns.inputs)
    }
}

/// The number of a row or state; a network with more than fit has been refused.
fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
