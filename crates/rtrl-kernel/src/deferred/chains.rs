//! Sums in several chains, which hide the latency of the multiply-adds.

use pulp::Simd;

use crate::simd::Real;

/// The sum of one or four chains, in the order (0 + 1) + (2 + 3).
#[inline(always)]
pub(super) fn add_chains<S: Simd, T: Real, const CHAINS: usize, const NV: usize>(
    simd: S,
    mut chains: [[T::Vector<S>; NV]; CHAINS],
) -> [T::Vector<S>; NV] {
    let mut count = CHAINS;
    while count > 1 {
        count /= 2;
        for chain in 0..count {
            let (low, high) = (chains[2 * chain], chains[2 * chain + 1]);
            for v in 0..NV {
                chains[chain][v] = T::sum(simd, low[v], high[v]);
            }
        }
    }
    chains[0]
}
