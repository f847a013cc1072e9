//! Gated recurrent units whose reset gate follows the product.

use rtrl_kernel::{Gru, Real};

use super::CellStep;
use crate::Error;

/// [`Units::forward`](super::Units::forward).
pub(super) fn forward<T: Real>(step: CellStep<'_, T>) -> Result<bool, Error> {
    let n = step.units;
    let gru = Gru {
        sums: &step.sums[..4 * n],
        outputs: &step.outputs[..n],
        next: &mut step.next[..n],
        slopes: &mut step.slopes[..4 * n],
        kept: &mut step.kept[..n],
    };
    Ok(gru.run(step.isa)?)
}
