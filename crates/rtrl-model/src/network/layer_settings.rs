//! The settings of one layer and their checks.

use rtrl_kernel::Real;

use super::initial::{Columns, InitialWeights};
use crate::cell::{Simple, Units};
use crate::{Activation, Cell, Error, Matrix, Table};

/// The settings of one layer.
#[derive(Debug, Clone)]
pub(super) struct LayerSettings {
    pub(super) units: usize,
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
