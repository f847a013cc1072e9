//! Which derivatives of a step can differ from 0, from the connections alone.
//!
//! These are the places of J and R in `derivatives.rs`: a state depends on the states of its own
//! layer that its rows see or that it keeps a share of, and on those below that the units it sees
//! depend on, in the same step.

use rtrl_kernel::Real;

use super::{Connection, Connections, Layer, Network};
use crate::Cell;

impl<T: Real> Network<T> {
    /// How many entries of the Jacobian can differ from 0, and how many weights learn. Of several
    /// layers, the entries between layers are all counted.
    pub(crate) fn weight_counts(&self) -> (usize, usize) {
        let below = |layer: &Layer<T>| {
            let seen = layer.outputs.start + (layer.cells.start - self.units());
            (layer.outputs.len() + layer.cells.len()) * seen
        };
        let present = self.layers.iter().map(|layer| self.own_entries(layer) + below(layer)).sum();
        (present, self.connections.count(Connection::Learning))
    }

    /// Entries of the Jacobian between the states of one layer that can differ from 0.
    fn own_entries(&self, layer: &Layer<T>) -> usize {
        let (cell, n, first) = (layer.cell(), layer.units(), layer.columns.first_unit());
        let seen = layer.columns.seen;
        let keeps = layer.leaks().is_some() || cell == Cell::Gru;
        let blocks = |unit: usize| (0..cell.blocks()).map(move |block| (block, block * n + unit));
        let exists = |row: usize, j: usize| {
            self.connections.get(layer.rows.start + row, first + j) != Connection::Absent
        };
        let of_unit = |unit: usize| {
            let sees = |j: &usize, of_cell: bool| {
                let mut drives = blocks(unit).filter(|&(b, _)| !of_cell || cell.drives_cell(b));
                drives.any(|(_, row)| exists(row, *j)) || keeps && *j == unit % seen
            };
            let outputs = (0..seen).filter(|j| sees(j, false)).count();
            if cell.has_cells() {
                outputs + (0..seen).filter(|j| sees(j, true)).count() + 2
            } else {
                outputs
            }
        };
        (0..n).map(of_unit).sum()
    }
}

/// The places of J, states x states, and of R, states x units, that can differ from 0.
#[derive(Debug, Clone)]
pub(super) struct Derivable {
    jacobian: Vec<Places>,
    reach: Vec<Places>,
}

impl Derivable {
    /// Those of a network with `states` states.
    pub(super) fn of<T: Real>(
        layers: &[Layer<T>],
        connections: &Connections,
        states: usize,
    ) -> Self {
        let none = || vec![Places::default(); states];
        let mut all = Self { jacobian: none(), reach: none() };
        let mut below: Option<&Layer<T>> = None;
        for layer in layers {
            for unit in 0..layer.units() {
                let output = layer.outputs.start + unit;
                all.form_row(layer, below, connections, (unit, output));
                if layer.cell().has_cells() {
                    let cell = layer.cells.start + unit;
                    all.form_row(layer, below, connections, (unit, cell));
                    all.jacobian[cell].insert(cell);
                    all.jacobian[output].insert(cell);
                }
                if layer.leaks().is_some() || layer.cell() == Cell::Gru {
                    all.jacobian[output].insert(output);
                }
            }
            below = Some(layer);
        }
        all
    }

    /// What a state of unit `unit` of `layer` depends on through its weights.
    fn form_row<T: Real>(
        &mut self,
        layer: &Layer<T>,
        below: Option<&Layer<T>>,
        connections: &Connections,
        (unit, state): (usize, usize),
    ) {
        let (cell, n, first) = (layer.cell(), layer.units(), layer.columns.first_unit());
        let seen = layer.seen_by(unit);
        let is_cell = layer.cells.contains(&state);
        let blocks = (0..cell.blocks()).filter(|&block| !is_cell || cell.drives_cell(block));
        let rows: Vec<_> = blocks.map(|block| layer.rows.start + block * n + unit).collect();
        let sees = |column: usize| {
            rows.iter().any(|&row| connections.get(row, column) != Connection::Absent)
        };
        for (_, output) in (first..).zip(seen).filter(|&(column, _)| sees(column)) {
            self.jacobian[state].insert(output);
        }
        let Some(below) = below else { return };
        for j in (0..below.units()).filter(|&j| sees(j)) {
            let unit = below.outputs.start + j;
            let (jacobian, reach) = (self.jacobian[unit].clone(), self.reach[unit].clone());
            self.jacobian[state].add(&jacobian);
            self.reach[state].add(&reach);
            self.reach[state].insert(unit);
        }
    }

    /// Whether state `state`, of a layer above that of unit `unit`, depends on its output in the
    /// same step.
    pub(super) fn sees(&self, state: usize, unit: usize) -> bool {
        self.reach[state].contains(unit)
    }

    /// The rows of J: for each state, ascending, the states that it depends on.
    pub(super) fn jacobian(&self) -> Vec<Vec<u32>> {
        self.jacobian.iter().map(Places::list).collect()
    }
}

/// A set of numbers: the words of a bit set that are not 0, ascending, each with its number.
#[derive(Debug, Clone, Default)]
struct Places(Vec<(usize, u64)>);

impl Places {
    fn insert(&mut self, place: usize) {
        *self.word(place / 64) |= 1 << (place % 64);
    }

    fn contains(&self, place: usize) -> bool {
        let found = self.0.binary_search_by_key(&(place / 64), |word| word.0);
        found.is_ok_and(|at| self.0[at].1 >> (place % 64) & 1 == 1)
    }

    fn add(&mut self, other: &Self) {
        for &(number, bits) in &other.0 {
            *self.word(number) |= bits;
        }
    }

    /// The word of this number.
    fn word(&mut self, number: usize) -> &mut u64 {
        let at = self.0.binary_search_by_key(&number, |word| word.0).unwrap_or_else(|at| {
            self.0.insert(at, (number, 0));
            at
        });
        &mut self.0[at].1
    }

    /// The places, ascending.
    fn list(&self) -> Vec<u32> {
        let of_word = |&(number, bits): &(usize, u64)| {
            let places = (0..64).filter(move |bit| bits >> bit & 1 == 1);
            // A network with more states than fit has been refused.
            places.map(move |bit| u32::try_from(number * 64 + bit).unwrap_or(u32::MAX))
        };
        self.0.iter().flat_map(of_word).collect()
    }
}
