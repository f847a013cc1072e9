//! Layers of up to [`MOST`] simple units: everything has a constant length.
//!
//! No row is omitted and nothing depends on lists, so a step of a few units costs little more than
//! its arithmetic. Old rows are read in place, and all new ones are computed before the first is
//! stored:
//!
//! ```text
//! AVX-512   up to 6 units   all rows x 3 panels      up to 18 sums, 3 old rows, 1 coefficient
//!           7 and 8 units   all rows x 2 panels      up to 16 sums
//!           9 to 12 units   half the rows x 3        the first half waits until the second is done
//!           13 to 16 units  half the rows x 2
//! others                    4 rows x 2 registers     all but the last rows wait
//! ```
//!
//! Up to [`FEW`] units, the immediate influence and the gradient follow when all products are done:
//! all panels are in the level-1 cache, and to ask of every row in registers whether it is driven
//! takes longer. With more units they are added while the rows are in registers.
//!
//! The order of sums is that of `tile.rs`. A forced unit has zeros in its column of the Jacobian
//! instead of being left out, which gives the same sums, since every sensitivity is finite.

use pulp::Simd;

use super::immediate::Immediate;
use super::share::Share;
use crate::layout::Layout;
use crate::simd::{Real, is_zero};
use crate::step::{Step, any_forced};

/// Units at most.
const MOST: usize = 16;

/// The largest number of units for which immediate influence and gradient follow after all
/// products.
const FEW: usize = 12;

/// Whether a layer takes this path.
pub(crate) fn fits(layout: &Layout) -> bool {
    layout.states() <= MOST && layout.is_simple()
}

/// One step for all panels of a share of a small layer. Returns whether its gradient is finite.
#[inline(always)]
pub(crate) fn advance<S: Simd, T: Real>(simd: S, share: &mut Share<'_, T>) -> bool {
    macro_rules! by_size {
        ($($n:literal in passes of $tall:literal,)*) => {
            match share.packed.placement.layout().states() {
                $($n => advance_units::<S, T, $n, $tall>(simd, share),)*
                units => unreachable!("a layer of {units} units is not small"),
            }
        };
    }
    by_size!(
        1 in passes of 1,
        2 in passes of 2,
        3 in passes of 3,
        4 in passes of 4,
        5 in passes of 5,
        6 in passes of 6,
        7 in passes of 7,
        8 in passes of 8,
        9 in passes of 5,
        10 in passes of 5,
        11 in passes of 6,
        12 in passes of 6,
        13 in passes of 7,
        14 in passes of 7,
        15 in passes of 8,
        16 in passes of 8,
    )
}

/// [`advance`] for exactly N units, TALL rows at a time with AVX-512.
#[inline(always)]
fn advance_units<S: Simd, T: Real, const N: usize, const TALL: usize>(
    simd: S,
    share: &mut Share<'_, T>,
) -> bool {
    let &mut Share { packed, first, ref mut p, ref mut sums, .. } = share;
    let (step, immediate) = (packed.step, packed.immediate);
    let (Some(&injection), Some(forced)) =
        (step.injection.first_chunk(), step.forced.first_chunk())
    else {
        unreachable!("the step was checked")
    };
    let error = packed.target_error.and_then(|error| error.first_chunk().copied());
    let error = error.unwrap_or([T::ZERO; N]);
    let mut jacobian = [[T::ZERO; N]; N];
    form_rows(step, forced, &mut jacobian);
    let accumulate = packed.accumulate;
    let layer = Layer { jacobian, injection, error, immediate, first, accumulate };
    // Else the compiler keeps every coefficient in a register of its own, and most of these on the
    // stack.
    let layer = std::hint::black_box(&layer);
    // The last share may have panels that are not there.
    let panels = packed.placement.panels().saturating_sub(first).min(sums.len() / T::LANES);
    let row = 64 / size_of::<T::Vector<S>>();
    let p = &mut T::vectors_mut::<S>(p)[..panels * N * row];
    let sums = &mut T::vectors_mut::<S>(sums)[..panels * row];
    let mut overflow = T::splat(simd, T::ZERO);
    if row > 1 {
        layer.advance_all::<S, 2, 4>(simd, p, sums, &mut overflow);
    } else if TALL > 6 {
        layer.advance_all::<S, 2, TALL>(simd, p, sums, &mut overflow);
    } else {
        layer.advance_all::<S, 3, TALL>(simd, p, sums, &mut overflow);
    }
    if N <= FEW {
        layer.add_immediate(simd, p);
        layer.gradient(simd, p, sums, &mut overflow);
    }
    is_zero::<S, T>(overflow)
}

/// `J[k][l]`, with zeros in the columns of forced units.
#[inline(always)]
pub(super) fn form_rows<T: Real, const N: usize>(
    step: &Step<'_, T>,
    forced: &[bool; N],
    jacobian: &mut [[T; N]; N],
) {
    step.jacobian.write_array(jacobian);
    if any_forced(forced) {
        for l in (0..N).filter(|&l| forced[l]) {
            for row in &mut *jacobian {
                row[l] = T::ZERO;
            }
        }
    }
}

/// What all panels of a layer of N units need of a step.
struct Layer<'a, T, const N: usize> {
    jacobian: [[T; N]; N],
    injection: [T; N],
    error: [T; N],
    immediate: &'a Immediate<T>,
    /// First panel of the share.
    first: usize,
    accumulate: bool,
}

impl<T: Real, const N: usize> Layer<'_, T, N> {
    /// Advances NV registers of every row at a time, and TALL rows. With few units, `J p` is all
    /// that is done.
    #[inline(always)]
    fn advance_all<S: Simd, const NV: usize, const TALL: usize>(
        &self,
        simd: S,
        p: &mut [T::Vector<S>],
        sums: &mut [T::Vector<S>],
        overflow: &mut T::Vector<S>,
    ) {
        let mut register = 0;
        while register + NV <= sums.len() {
            self.advance::<S, NV, TALL>(simd, p, sums, register, overflow);
            register += NV;
        }
        if register + 2 <= sums.len() {
            self.advance::<S, 2, TALL>(simd, p, sums, register, overflow);
            register += 2;
        }
        if register < sums.len() {
            self.advance::<S, 1, TALL>(simd, p, sums, register, overflow);
        }
    }

    /// Advances NV registers of every row, from register `register` of the share on.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn advance<S: Simd, const NV: usize, const TALL: usize>(
        &self,
        simd: S,
        p: &mut [T::Vector<S>],
        sums: &mut [T::Vector<S>],
        register: usize,
        overflow: &mut T::Vector<S>,
    ) {
        // Registers in a row of a panel. Where it is 1, neighbours are in neighbouring panels.
        let row = 64 / size_of::<T::Vector<S>>();
        let start = register / row * (N * row) + register % row;
        let len = if row == 1 { NV * N } else { (N - 1) * row + NV };
        let p = &mut p[start..start + len];
        let mut chains = [T::splat(simd, T::ZERO); NV];
        // New rows that wait until the old ones are no longer needed.
        let mut waiting = [[T::splat(simd, T::ZERO); NV]; N];
        let mut top = 0;
        while top + TALL < N {
            let mut acc = self.multiply::<S, NV, TALL>(simd, top, p);
            self.finish(simd, top, register, &mut acc, &mut chains);
            waiting[top..top + TALL].copy_from_slice(&acc);
            top += TALL;
        }
        let mut acc = self.multiply::<S, NV, TALL>(simd, top, p);
        self.finish(simd, top, register, &mut acc, &mut chains);
        for k in 0..N {
            for v in 0..NV {
                p[place::<N>(k, v, row)] = if k < top { waiting[k][v] } else { acc[k - top][v] };
            }
        }
        if N > FEW {
            for (sum, &chain) in sums[register..register + NV].iter_mut().zip(&chains) {
                self.store_gradient(simd, chain, sum, overflow);
            }
        }
    }

    /// `sum over l of J[k][l] old[l]` for TALL rows from `top` on.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn multiply<S: Simd, const NV: usize, const TALL: usize>(
        &self,
        simd: S,
        top: usize,
        old: &[T::Vector<S>],
    ) -> [[T::Vector<S>; NV]; TALL] {
        let row = 64 / size_of::<T::Vector<S>>();
        let mut acc = [[T::splat(simd, T::ZERO); NV]; TALL];
        for l in 0..N {
            for r in 0..TALL {
                if top + r < N {
                    let coefficient = T::splat(simd, self.jacobian[top + r][l]);
                    for v in 0..NV {
                        let old = old[place::<N>(l, v, row)];
                        acc[r][v] = T::fused(simd, coefficient, old, acc[r][v]);
                    }
                }
            }
        }
        acc
    }

    /// The immediate influence and the gradient of TALL rows from `top` on, in registers, with more
    /// than [`FEW`] units.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn finish<S: Simd, const NV: usize, const TALL: usize>(
        &self,
        simd: S,
        top: usize,
        register: usize,
        acc: &mut [[T::Vector<S>; NV]; TALL],
        chains: &mut [T::Vector<S>; NV],
    ) {
        if N <= FEW {
            return;
        }
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let lane = self.first * T::LANES + register * lanes;
        let panel = |v| self.first + (register + v) * lanes / T::LANES;
        let rows: [(usize, usize); NV] = std::array::from_fn(|v| self.immediate.rows(panel(v)));
        let (first, last) = (rows[0].0, rows[NV - 1].1);
        for r in 0..TALL {
            let k = top + r;
            if k < N {
                if k >= first && k <= last {
                    let z = self.immediate.z(k, lane, NV * lanes);
                    let z = T::vectors::<S>(z);
                    let factor = T::splat(simd, self.injection[k]);
                    // Adding 0 turns -0 into +0, so it must not depend on which panels come
                    // together.
                    for v in 0..NV {
                        if k >= rows[v].0 && k <= rows[v].1 {
                            acc[r][v] = T::fused(simd, factor, z[v], acc[r][v]);
                        }
                    }
                }
                let error = T::splat(simd, self.error[k]);
                for v in 0..NV {
                    chains[v] = T::fused(simd, error, acc[r][v], chains[v]);
                }
            }
        }
    }

    /// Adds `injection[k] z[j]` to row k in the columns of weight row k.
    #[inline(always)]
    fn add_immediate<S: Simd>(&self, simd: S, p: &mut [T::Vector<S>]) {
        let row = 64 / size_of::<T::Vector<S>>();
        let copies = self.immediate.copies_of_z();
        for &touch in self.immediate.touches() {
            // Other shares have the other panels: their rows are not in p.
            let place = touch.row.wrapping_sub(self.first * N).wrapping_mul(row);
            let factor = T::splat(simd, self.injection[touch.drive]);
            let z = T::vectors::<S>(touch.z_in(copies));
            for (w, &z) in z.iter().enumerate() {
                if let Some(p) = p.get_mut(place.wrapping_add(w)) {
                    *p = T::fused(simd, factor, z, *p);
                }
            }
        }
    }

    /// `sum over k of e[k] p[k]` into the sums.
    #[inline(always)]
    fn gradient<S: Simd>(
        &self,
        simd: S,
        p: &[T::Vector<S>],
        sums: &mut [T::Vector<S>],
        overflow: &mut T::Vector<S>,
    ) {
        let row = 64 / size_of::<T::Vector<S>>();
        for (p, sums) in p.chunks_exact(N * row).zip(sums.chunks_exact_mut(row)) {
            for (v, sum) in sums.iter_mut().enumerate() {
                let mut chain = T::splat(simd, T::ZERO);
                for k in 0..N {
                    chain = T::fused(simd, T::splat(simd, self.error[k]), p[k * row + v], chain);
                }
                self.store_gradient(simd, chain, sum, overflow);
            }
        }
    }

    /// `sum (+)= chain`; `overflow` becomes NaN if that is not finite.
    #[inline(always)]
    fn store_gradient<S: Simd>(
        &self,
        simd: S,
        chain: T::Vector<S>,
        sum: &mut T::Vector<S>,
        overflow: &mut T::Vector<S>,
    ) {
        *sum = if self.accumulate { T::sum(simd, *sum, chain) } else { chain };
        *overflow = T::fused(simd, *sum, T::splat(simd, T::ZERO), *overflow);
    }
}

/// Index of register `v` of row `k` among those that are worked on together.
#[inline(always)]
fn place<const N: usize>(k: usize, v: usize, row: usize) -> usize {
    if row == 1 { v * N + k } else { k * row + v }
}
