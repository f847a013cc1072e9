//! Units with a long short-term memory.

use rtrl_kernel::{Lstm, Real};

use super::CellStep;
use crate::Error;

/// [`Units::forward`](super::Units::forward).
pub(super) fn forward<T: Real>(step: CellStep<'_, T>) -> Result<bool, Error> {
    let CellStep { isa, units: n, sums, cells, next, first_cell, slopes, kept, .. } = step;
    let (next, next_cells) = next.split_at_mut(first_cell);
    let lstm = Lstm {
        sums: &sums[..4 * n],
        cells: &cells[..n],
        next: &mut next[..n],
        next_cells: &mut next_cells[..n],
        slopes: &mut slopes[..7 * n],
        kept: &mut kept[..2 * n],
    };
    Ok(lstm.run(isa)?)
}
