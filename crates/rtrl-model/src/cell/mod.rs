//! Cells: how the units of a layer turn the sums of their weight rows into their next state.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the kinds of cells, and a step of one |
//! | `simple.rs` | simple units (equation 2), each with its activation |
//! | `leaks.rs` | leaky units, which keep a fraction of their output (equation 2') |
//! | `gru.rs`, `lstm.rs` | gated units |

mod gru;
mod leaks;
mod lstm;
mod simple;

use std::fmt;
use std::str::FromStr;

use rtrl_kernel::{Isa, Real};
use serde::{Deserialize, Serialize};

pub(crate) use self::leaks::Leaks;
pub(crate) use self::simple::Simple;
use crate::Error;

/// The cell of a layer: what its units are.
///
/// The weight rows of a layer are in blocks, one row a unit in each. With z what the layer sees,
/// `(inputs, 1 if bias, y(t))`, σ the logistic function and all products elementwise:
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cell {
    /// One row: `y(t+1) = (1 - a) y(t) + a f(W z)`, with an activation f and a leak a for each
    /// unit.
    #[default]
    Simple,
    /// Four blocks of rows, r, u, v and w: `r = σ(W_r z)`, `u = σ(W_u z)`,
    /// `y(t+1) = (1 - u) tanh(W_v z + r (W_w z)) + u y(t)`. `W_v` has no columns for y, and `W_w`
    /// none for inputs: the reset gate follows the product, as in `torch.nn.GRU` (Cho et al. 2014,
    /// in the variant of Appleyard et al. 2016).
    Gru,
    /// Four blocks of rows, i, f, g and o, and a cell c in each unit:
    /// `c(t+1) = σ(W_f z) c(t) + σ(W_i z) tanh(W_g z)`, `y(t+1) = σ(W_o z) tanh(c(t+1))`, as in
    /// `torch.nn.LSTM` (Hochreiter & Schmidhuber 1997; Gers et al. 2000).
    Lstm,
}

impl Cell {
    /// The name: lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Gru => "gru",
            Self::Lstm => "lstm",
        }
    }

    /// Weight rows of a unit: W consists of this number of blocks, each of one row per unit.
    pub fn blocks(self) -> usize {
        match self {
            Self::Simple => 1,
            Self::Gru | Self::Lstm => 4,
        }
    }

    /// Whether a unit has a cell c besides its output.
    pub fn has_cells(self) -> bool {
        self == Self::Lstm
    }

    /// States of a unit: its output, and its cell if it has one.
    pub fn states(self) -> usize {
        if self.has_cells() { 2 } else { 1 }
    }

    /// Drives of the rows of a unit within their layer: derivatives that a step writes.
    pub(crate) fn drives(self) -> usize {
        match self {
            Self::Simple => 1,
            Self::Gru => 4,
            Self::Lstm => 7,
        }
    }

    /// Whether the rows of block `block` drive the cell c of their unit, next to its output.
    pub(crate) fn drives_cell(self, block: usize) -> bool {
        self == Self::Lstm && block < 3
    }

    /// The place of the drive of unit `unit`'s output by its row in block `block`, in a layer of
    /// `units` units; that of its cell, where there is one, is the next.
    pub(crate) fn slope(self, units: usize, block: usize, unit: usize) -> usize {
        match self {
            Self::Lstm if block < 3 => 2 * (block * units + unit),
            Self::Lstm => 6 * units + unit,
            _ => block * units + unit,
        }
    }

    /// Shares that a unit passes on to itself and that change from step to step.
    pub(crate) fn kept(self) -> usize {
        match self {
            Self::Simple => 0,
            Self::Gru => 1,
            Self::Lstm => 2,
        }
    }

    /// Whether the rows of block `block` see the inputs, and whether they see the units. All see
    /// the bias.
    pub fn sees(self, block: usize) -> (bool, bool) {
        match (self, block) {
            (Self::Gru, 2) => (true, false),
            (Self::Gru, 3) => (false, true),
            _ => (true, true),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Cell {
    type Err = Error;

    /// A cell by its name.
    fn from_str(name: &str) -> Result<Self, Error> {
        let known = [Self::Simple, Self::Gru, Self::Lstm];
        known.into_iter().find(|known| known.name() == name).ok_or_else(|| Error::Setting {
            what: "cell",
            expected: "simple, gru or lstm".to_owned(),
            got: format!("{name:?}"),
        })
    }
}

/// The units of a layer, without their weights.
#[derive(Debug, Clone)]
pub(crate) enum Units<T> {
    Simple(Simple<T>),
    Gru,
    Lstm,
}

/// One step of a layer, between the weighted sums and the next state.
///
/// The slices begin with the values of the layer and may be longer.
pub(crate) struct CellStep<'a, T> {
    pub(crate) isa: Isa,
    /// Number of units, n.
    pub(crate) units: usize,
    /// `W z(t)`, one value for each weight row.
    pub(crate) sums: &'a [T],
    /// y(t) of the layer, with the teacher's values where units are forced.
    pub(crate) outputs: &'a [T],
    /// c(t) of the layer; empty without cells.
    pub(crate) cells: &'a [T],
    /// The state at t + 1, to be written: that of the outputs is first.
    pub(crate) next: &'a mut [T],
    /// Where the cells are in `next`.
    pub(crate) first_cell: usize,
    /// The derivative of each driven state with respect to the sum of the row that drives it, one
    /// value for each drive, to be written.
    pub(crate) slopes: &'a mut [T],
    /// What units pass on to themselves besides their weights, to be written.
    pub(crate) kept: &'a mut [T],
}

impl<T: Real> Units<T> {
    /// What the units are.
    pub(crate) fn cell(&self) -> Cell {
        match self {
            Self::Simple(_) => Cell::Simple,
            Self::Gru => Cell::Gru,
            Self::Lstm => Cell::Lstm,
        }
    }

    /// The simple units, if they are.
    pub(crate) fn simple(&self) -> Option<&Simple<T>> {
        match self {
            Self::Simple(simple) => Some(simple),
            Self::Gru | Self::Lstm => None,
        }
    }

    /// Computes the next state and the derivatives. Returns whether everything is finite.
    ///
    /// # Errors
    /// [`Error::Kernel`] if lengths do not fit.
    #[inline(always)]
    pub(crate) fn forward(&self, step: CellStep<'_, T>) -> Result<bool, Error> {
        match self {
            Self::Simple(simple) => simple.forward(step),
            Self::Gru => gru::forward(step),
            Self::Lstm => lstm::forward(step),
        }
    }
}
