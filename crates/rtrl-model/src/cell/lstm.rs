//! Units with a long short-term memory.

use rtrl_kernel::{Lstm, Real};

use super::CellStep;
use crate::Error;

/// [`Units::forward`](super::Units::forward).
pub(super) fn forward<T: Real>(step: CellStep<'_, T>) -> Result<bool, Error> {
    let n = step.units;
    let (next, cells) = step.next.split_at_mut(step.first_cell);
    let lstm = Lstm {
        sums: &step.sums[..4 * n],
        cells: &step.cells[..n],
        next: &mut next[..n],
        next_cells: &mut cells[..n],
        slopes: &mut step.slopes[..7 * n],
        kept: &mut step.kept[..2 * n],
    };
    Ok(lstm.run(step.isa)?)
}
