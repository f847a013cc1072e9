//! Cells: how the units of a layer turn the sums of their weight rows into their next state.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the kinds of cells, and a step of one |
//! | `simple.rs` | simple units (equation 2), each with its activation |
//! | `leaks.rs` | leaky units, which keep a share of their state (equation 2') |

mod leaks;
mod simple;

use rtrl_kernel::{Isa, Real};

pub(crate) use self::leaks::Leaks;
pub(crate) use self::simple::Simple;
use crate::Error;

/// The cell of a layer, without its weights.
#[derive(Debug, Clone)]
pub(crate) enum Cell<T> {
    Simple(Simple<T>),
}

/// One step of a layer, between the weighted sums and the next state.
///
/// The slices begin with the values of the layer and may be longer.
pub(crate) struct CellStep<'a, T> {
    pub(crate) isa: Isa,
    /// `W z(t)`, one value for each weight row.
    pub(crate) sums: &'a [T],
    /// y(t) of the layer, with the teacher's values where units are forced.
    pub(crate) outputs: &'a [T],
    /// The state at t + 1, to be written.
    pub(crate) next: &'a mut [T],
    /// The derivative of each driven state with respect to the sum of the row that drives it, one value
    /// for each drive, to be written.
    pub(crate) slopes: &'a mut [T],
}

impl<T: Real> Cell<T> {
    /// Computes the next state and the slopes. Returns whether everything is finite.
    ///
    /// # Errors
    /// [`Error::Kernel`] if lengths do not fit.
    #[inline]
    pub(crate) fn forward(&self, step: CellStep<'_, T>) -> Result<bool, Error> {
        match self {
            Self::Simple(cell) => cell.forward(step),
        }
    }
}
