//! Gated recurrent units whose reset gate follows the product.

use rtrl_kernel::{Gru, Real};

use super::CellStep;
use crate::Error;

/// [`Units::forward`](super::Units::forward).
pub(super) fn forward<T: Real>(step: CellStep<'_, T>) -> Result<bool, Error> {
    let CellStep { isa, units: n, sums, outputs, next, slopes, kept, .. } = step;
    let gru = Gru {
        sums: &sums[..4 * n],
        outputs: &outputs[..n],
        next: &mut next[..n],
        slopes: &mut slopes[..4 * n],
        kept: &mut kept[..n],
    };
    Ok(gru.run(isa)?)
}
