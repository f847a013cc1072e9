//! Layers of up to [`MOST`] simple units: everything has a constant length.
//!
//! No row is left out and nothing depends on lists, so that a step of a few units costs little more than
//! its arithmetic. The order of sums is that of `tile.rs`. A forced unit has zeros in its column of the
//! Jacobian instead of being left out, which gives the same sums, since every sensitivity is finite.

use pulp::Simd;

use crate::tile::{Packed, Part};
use crate::{Layout, Real};

/// Units at most.
const MOST: usize = 16;

/// Whether a layer takes this path.
pub(crate) fn fits(layout: Layout) -> bool {
    layout.states() <= MOST && layout.rows() == layout.states()
}

/// One step for all panels of a part of a small layer.
#[inline(always)]
pub(crate) fn advance<S: Simd, T: Real>(simd: S, part: Part<'_, T>) {
    macro_rules! by_size {
        ($($n:literal)*) => {
            match part.packed.columns.layout().states() {
                $($n => advance_units::<S, T, $n>(simd, part),)*
                units => unreachable!("a layer of {units} units is not small"),
            }
        };
    }
    by_size!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

/// [`advance`] for exactly N units.
#[inline(always)]
fn advance_units<S: Simd, T: Real, const N: usize>(simd: S, part: Part<'_, T>) {
    let Part { packed, first, p, slots, scratch } = part;
    let (rows, _) = scratch.as_chunks_mut::<N>();
    let Some(jacobian) = rows.first_chunk_mut::<N>() else {
        unreachable!("the scratch holds the Jacobian")
    };
    scale_rows(packed, jacobian);
    let Some(injection) = packed.step.injection.first_chunk() else {
        unreachable!("the step was checked")
    };
    let layer = Layer { packed, first, jacobian, injection, error: error_of(packed) };
    let (p, slots) = (T::vectors_mut::<S>(p), T::vectors_mut::<S>(slots));
    // The last group may have a panel that is not there.
    let panels = packed.columns.panels().saturating_sub(first);
    let registers = slots.len().min(panels * (64 / size_of::<T::Vector<S>>()));
    // Two registers of each row halve the loads of coefficients.
    let pairs = registers / 2 * 2;
    for register in (0..pairs).step_by(2) {
        layer.advance::<S, 2>(simd, p, slots, register);
    }
    if pairs < registers {
        layer.advance::<S, 1>(simd, p, slots, pairs);
    }
}

/// `J[k][l] = scale[k] * recurrent[k][l]`, with zeros in the columns of forced units.
#[inline(always)]
fn scale_rows<T: Real, const N: usize>(packed: &Packed<'_, T>, jacobian: &mut [[T; N]; N]) {
    let step = packed.step;
    for (k, row) in jacobian.iter_mut().enumerate() {
        let Some(weights) = step.recurrent[k * step.stride..].first_chunk::<N>() else {
            unreachable!("the step was checked")
        };
        for l in 0..N {
            row[l] = step.scale[k] * weights[l];
        }
    }
    for (l, _) in step.forced.iter().enumerate().filter(|&(_, &forced)| forced) {
        for row in jacobian.iter_mut() {
            row[l] = T::ZERO;
        }
    }
}

/// e(t + 1), zeros where there is no target.
#[inline(always)]
fn error_of<T: Real, const N: usize>(packed: &Packed<'_, T>) -> [T; N] {
    packed.target_error.and_then(|error| error.first_chunk().copied()).unwrap_or([T::ZERO; N])
}

/// What all panels of a layer of N units need of a step.
struct Layer<'a, T, const N: usize> {
    packed: &'a Packed<'a, T>,
    /// First panel of the part.
    first: usize,
    jacobian: &'a [[T; N]; N],
    injection: &'a [T; N],
    error: [T; N],
}

impl<T: Real, const N: usize> Layer<'_, T, N> {
    /// Advances NV registers of every row, from register `register` of the part on.
    #[inline(always)]
    fn advance<S: Simd, const NV: usize>(
        &self,
        simd: S,
        p: &mut [T::Vector<S>],
        slots: &mut [T::Vector<S>],
        register: usize,
    ) {
        // Registers in a row of a panel. Where it is 1, neighbours are in neighbouring panels.
        let row = 64 / size_of::<T::Vector<S>>();
        let start = register / row * (N * row) + register % row;
        let len = if row == 1 { NV * N } else { (N - 1) * row + NV };
        let p = &mut p[start..start + len];
        let mut old = [[T::splat(simd, T::ZERO); NV]; N];
        for (l, old) in old.iter_mut().enumerate() {
            for (v, old) in old.iter_mut().enumerate() {
                *old = p[place::<N>(l, v, row)];
            }
        }
        let mut sums = [T::splat(simd, T::ZERO); NV];
        // As many sums at a time as hide the latency and fit in the registers: 32 with AVX-512, of which 8
        // units leave room for their old rows, else 16.
        if row == 1 && N > 8 {
            self.rows::<S, NV, 8>(simd, 0, 0, register, &old, p, &mut sums);
            self.rows::<S, NV, 8>(simd, N - 8, 8, register, &old, p, &mut sums);
        } else {
            for new in (0..N).step_by(4) {
                let top = new.min(N.saturating_sub(4));
                self.rows::<S, NV, 4>(simd, top, new, register, &old, p, &mut sums);
            }
        }
        if N <= 8 {
            let (first, last) = self.weight_rows::<S, NV>(register);
            for k in first..=last {
                let mut values = [T::splat(simd, T::ZERO); NV];
                for (v, value) in values.iter_mut().enumerate() {
                    *value = p[place::<N>(k, v, row)];
                }
                self.add_immediate(simd, k, register, &mut values);
                for (v, value) in values.into_iter().enumerate() {
                    p[place::<N>(k, v, row)] = value;
                }
            }
            sums = self.gradient(simd, p);
        }
        for (slot, &sum) in slots[register..register + NV].iter_mut().zip(&sums) {
            *slot = if self.packed.accumulate { T::sum(simd, *slot, sum) } else { sum };
        }
    }

    /// Up to TALL rows from `top` on. Those before `new` have been done already; they are only computed
    /// again, so that every loop has a constant length.
    ///
    /// With more than 8 units the immediate influence and the gradient are added while the rows are in
    /// registers. With fewer, few rows would profit, and asking each costs more.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "one loop, split off for its constant lengths")]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn rows<S: Simd, const NV: usize, const TALL: usize>(
        &self,
        simd: S,
        top: usize,
        new: usize,
        register: usize,
        old: &[[T::Vector<S>; NV]; N],
        p: &mut [T::Vector<S>],
        sums: &mut [T::Vector<S>; NV],
    ) {
        let row = 64 / size_of::<T::Vector<S>>();
        let mut acc = [[T::splat(simd, T::ZERO); NV]; TALL];
        let jacobian = &self.jacobian[top..(top + TALL).min(N)];
        for l in 0..N {
            for r in 0..TALL {
                if r < N {
                    let coefficient = T::splat(simd, jacobian[r][l]);
                    for v in 0..NV {
                        acc[r][v] = T::fused(simd, coefficient, old[l][v], acc[r][v]);
                    }
                }
            }
        }
        let (first, last) = self.weight_rows::<S, NV>(register);
        for r in 0..TALL {
            let k = top + r;
            if r >= N || k < new {
                continue;
            }
            if N > 8 {
                if k >= first && k <= last {
                    self.add_immediate(simd, k, register, &mut acc[r]);
                }
                let error = T::splat(simd, self.error[k]);
                for v in 0..NV {
                    sums[v] = T::fused(simd, error, acc[r][v], sums[v]);
                }
            }
            for v in 0..NV {
                p[place::<N>(k, v, row)] = acc[r][v];
            }
        }
    }

    /// First and last weight row with a column in the panels of NV registers.
    #[inline(always)]
    fn weight_rows<S: Simd, const NV: usize>(&self, register: usize) -> (usize, usize) {
        let row = 64 / size_of::<T::Vector<S>>();
        let panel = |register| self.first + register / row;
        self.packed.immediate.rows(panel(register), panel(register + NV - 1))
    }

    /// Adds `injection[k] z[j]` to row k.
    #[inline(always)]
    fn add_immediate<S: Simd, const NV: usize>(
        &self,
        simd: S,
        k: usize,
        register: usize,
        values: &mut [T::Vector<S>; NV],
    ) {
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let slot = self.first * T::LANES + register * lanes;
        let lines = self.packed.immediate.lines(k, slot, NV * lanes);
        let factor = T::splat(simd, self.injection[k]);
        for (value, &lines) in values.iter_mut().zip(T::vectors::<S>(lines)) {
            *value = T::fused(simd, factor, lines, *value);
        }
    }

    /// `sum over k of e[k] p[k]`
    #[inline(always)]
    fn gradient<S: Simd, const NV: usize>(
        &self,
        simd: S,
        p: &[T::Vector<S>],
    ) -> [T::Vector<S>; NV] {
        let row = 64 / size_of::<T::Vector<S>>();
        let mut sums = [T::splat(simd, T::ZERO); NV];
        for k in 0..N {
            let error = T::splat(simd, self.error[k]);
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = T::fused(simd, error, p[place::<N>(k, v, row)], *sum);
            }
        }
        sums
    }
}

/// Index of register `v` of row `k` among those that are worked on together.
#[inline(always)]
fn place<const N: usize>(k: usize, v: usize, row: usize) -> usize {
    if row == 1 { v * N + k } else { k * row + v }
}
