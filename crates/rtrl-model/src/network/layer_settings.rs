//! The settings of one layer and their checks.

use std::ops::Range;

use rtrl_kernel::Real;

use super::initial::{Columns, InitialWeights};
use super::{Connection, Connections};
use crate::cell::{Simple, Units};
use crate::{Activation, Cell, Error, Matrix, Table};

/// The masks, in messages.
const PRESENT: &str = "connection mask";
const FROZEN: &str = "mask of frozen weights";

/// Fails unless a layer of `units` units can be divided into heads of `head`.
pub(crate) fn check_head(units: usize, head: usize) -> Result<(), Error> {
    if units == 0 || units.checked_rem(head) == Some(0) {
        return Ok(());
    }
    let (expected, got) = (format!("a divisor of {units}"), head.to_string());
    Err(Error::Setting { what: "units of a head", expected, got })
}

/// The settings of one layer.
#[derive(Debug, Clone)]
pub(super) struct LayerSettings {
    pub(super) units: usize,
    /// Units of a head; `None` if all units see each other.
    pub(super) head: Option<usize>,
    pub(super) cell: Cell,
    pub(super) activations: Option<Vec<Activation>>,
    pub(super) leaks: Option<Vec<f64>>,
    pub(super) present: Option<Table<bool>>,
    pub(super) frozen: Option<Table<bool>>,
    pub(super) weights: InitialWeights,
    pub(super) forget_bias: Option<f64>,
    pub(super) outputs: Option<Vec<f64>>,
    pub(super) cells: Option<Vec<f64>>,
}

impl LayerSettings {
    pub(super) fn new(units: usize) -> Self {
        Self {
            units,
            head: None,
            cell: Cell::Simple,
            activations: None,
            leaks: None,
            present: None,
            frozen: None,
            weights: InitialWeights::Orthogonal { gain: 1.0 },
            forget_bias: None,
            outputs: None,
            cells: None,
        }
    }

    /// What its weight rows see, if it has `inputs` inputs.
    ///
    /// # Errors
    /// [`Error::Setting`] for heads that do not make up the layer.
    pub(super) fn columns(&self, inputs: usize, bias: bool) -> Result<Columns, Error> {
        let (units, seen) = (self.units, self.head.unwrap_or(self.units));
        check_head(units, seen)?;
        Ok(Columns { inputs, bias, units, seen })
    }

    /// The units; they are `alone` if there is no other layer.
    pub(super) fn make_units<T: Real>(
        &self,
        columns: Columns,
        alone: bool,
    ) -> Result<Units<T>, Error> {
        let n = self.units;
        if n == 0 {
            let (expected, got) = ("at least 1".to_owned(), "0".to_owned());
            return Err(Error::Setting { what: "number of units", expected, got });
        }
        columns.check::<T>()?;
        self.check_cell(columns)?;
        match self.cell {
            Cell::Gru => return Ok(Units::Gru),
            Cell::Lstm => return Ok(Units::Lstm),
            Cell::Simple => {}
        }
        let room = if alone { n.next_multiple_of(T::LANES) } else { n };
        let activations = self.activations.as_deref().unwrap_or(&[Activation::Tanh]);
        let leaks = self.leaks.as_deref().unwrap_or(&[1.0]);
        Ok(Units::Simple(Simple::new(n, activations, leaks, room)?))
    }

    /// Fails for settings that units of this cell do not have.
    fn check_cell(&self, columns: Columns) -> Result<(), Error> {
        let (gated, lstm) = (self.cell != Cell::Simple, self.cell == Cell::Lstm);
        let misplaced = [
            (self.activations.is_some() && gated, "activation", "simple units"),
            (self.leaks.is_some() && gated, "leak", "simple units"),
            (self.cells.is_some() && !lstm, "initial cells", "lstm units"),
            (self.forget_bias.is_some() && !lstm, "forget bias", "lstm units"),
        ];
        if let Some(&(_, what, units)) = misplaced.iter().find(|(is_misplaced, ..)| *is_misplaced) {
            let (expected, got) = (units.to_owned(), format!("{} units", self.cell));
            return Err(Error::Setting { what, expected, got });
        }
        if self.forget_bias.is_some() && !columns.bias {
            let (expected, got) = ("units with a bias".to_owned(), "units without".to_owned());
            return Err(Error::Setting { what: "forget bias", expected, got });
        }
        Ok(())
    }

    /// Marks which of its weights, whose rows are `rows`, are absent or frozen.
    pub(super) fn connect(
        &self,
        columns: Columns,
        rows: Range<usize>,
        connections: &mut Connections,
    ) -> Result<(), Error> {
        connections.mark_absent(self.cell, columns, rows.clone());
        let shape = || (rows.clone(), columns.count());
        if let Some(present) = &self.present {
            connections.mark(PRESENT, shape(), present, false, Connection::Absent)?;
        }
        if let Some(frozen) = &self.frozen {
            connections.mark(FROZEN, shape(), frozen, true, Connection::Frozen)?;
        }
        Ok(())
    }

    /// Number of weights that learn. Takes no more memory than the masks that are given.
    ///
    /// # Errors
    /// [`Error::Memory`] for more units than can be counted, [`Error::Shape`] or [`Error::Length`]
    /// for a mask of another shape.
    pub(super) fn learning(&self, columns: Columns) -> Result<u128, Error> {
        columns.check::<u8>()?;
        if self.present.is_some() || self.frozen.is_some() {
            let rows = self.cell.blocks() * self.units;
            for (mask, what) in [(&self.present, PRESENT), (&self.frozen, FROZEN)] {
                let Some(mask) = mask else { continue };
                mask.values(what, (rows, columns.count())).map(drop)?;
            }
            let mut connections = Connections::full(rows, columns.count())?;
            self.connect(columns, 0..rows, &mut connections)?;
            return Ok(connections.count(Connection::Learning) as u128);
        }
        let seen = |block| {
            let (sees_inputs, sees_units) = self.cell.sees(block);
            let inputs = if sees_inputs { columns.inputs as u128 } else { 0 };
            let units = if sees_units { columns.seen as u128 } else { 0 };
            inputs + u128::from(columns.bias) + units
        };
        let of_unit: u128 = (0..self.cell.blocks()).map(seen).sum();
        Ok(of_unit * columns.units as u128)
    }

    /// The weights at the start, weight rows x columns.
    pub(super) fn start_weights<T: Real>(
        &self,
        columns: Columns,
        seed: u64,
    ) -> Result<Matrix<T>, Error> {
        let mut weights: Matrix<T> = self.weights.matrix(self.cell, columns, seed)?;
        if let Some(bias) = self.forget_bias {
            for row in self.units..2 * self.units {
                let weight = &mut weights.row_mut(row)[columns.inputs];
                *weight = T::from_f64(weight.to_f64() + bias);
            }
        }
        weights.checked("initial weight")
    }
}
