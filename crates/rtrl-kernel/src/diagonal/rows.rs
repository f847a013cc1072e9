//! The loops of the diagonal engine over weight rows of any length, of which any weights may be
//! missing.

use pulp::Simd;

use crate::simd::{Real, Work, compiled, is_zero, load, store};

/// A weight row with weights that learn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Its number.
    pub(super) number: usize,
    /// Its first lane of p.
    pub(super) lane: usize,
    /// The state that it drives, and the number of the drive.
    pub(super) state: usize,
    pub(super) drive: usize,
    /// The end of its runs.
    pub(super) end: usize,
}

/// Weights of a row that learn and are neighbours, as is what they see of z.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(super) column: u32,
    pub(super) len: u32,
    /// Where what they see of z begins.
    pub(super) z: usize,
}

/// p through a step.
pub(crate) struct Advance<'a, T> {
    pub(super) rows: &'a [Row],
    pub(super) runs: &'a [Run],
    pub(super) p: &'a mut [T],
    pub(super) own: &'a [T],
    pub(super) injection: &'a [T],
    pub(super) z: &'a [T],
}

compiled!(pub(crate) AdvanceLoop: Advance -> bool);

impl<T: Real> Work for Advance<'_, T> {
    /// Whether p is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let Self { rows, runs, p, own, injection, z } = self;
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let mut overflow = T::splat(simd, T::ZERO);
        let (mut first, mut odd) = (0, T::ZERO);
        for row in &**rows {
            let mut rest = &mut p[row.lane..];
            let (own, injection) = (own[row.state], injection[row.drive]);
            let (owns, injections) = (T::splat(simd, own), T::splat(simd, injection));
            for run in &runs[first..row.end] {
                let (p, after) = std::mem::take(&mut rest).split_at_mut(run.len as usize);
                rest = after;
                let z = &z[run.z..][..p.len()];
                if let ([p], &[z]) = (&mut *p, z) {
                    *p = injection.mul_add(z, own * *p);
                    odd = p.mul_add(T::ZERO, odd);
                    continue;
                }
                for at in (0..p.len()).step_by(lanes) {
                    let old = T::product(simd, owns, load::<S, T>(simd, p, at));
                    let new = T::fused(simd, injections, load::<S, T>(simd, z, at), old);
                    overflow = T::fused(simd, new, T::splat(simd, T::ZERO), overflow);
                    store::<S, T>(simd, p, at, new);
                }
            }
            first = row.end;
        }
        odd == T::ZERO && is_zero::<S, T>(overflow)
    }
}

/// The gradient of an error on its way to the sums.
pub(crate) struct Collect<'a, T> {
    pub(super) rows: &'a [Row],
    pub(super) runs: &'a [Run],
    pub(super) p: &'a [T],
    pub(super) sums: &'a mut [T],
    pub(super) error: &'a [T],
    /// Whether it is added to the sums (else it replaces them).
    pub(super) summed: bool,
}

compiled!(pub(crate) CollectLoop: Collect -> bool);

impl<T: Real> Work for Collect<'_, T> {
    /// Whether the sums are finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let &mut Self { rows, runs, p, ref mut sums, error, summed } = self;
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let zero = T::splat(simd, T::ZERO);
        let mut overflow = zero;
        let mut first = 0;
        for row in rows {
            let (mut p, mut rest) = (&p[row.lane..], &mut sums[row.lane..]);
            let error = T::splat(simd, error[row.state]);
            for run in &runs[first..row.end] {
                let (old, after) = p.split_at(run.len as usize);
                let (sums, below) = std::mem::take(&mut rest).split_at_mut(old.len());
                (p, rest) = (after, below);
                for at in (0..old.len()).step_by(lanes) {
                    let mut sum = T::fused(simd, error, load::<S, T>(simd, old, at), zero);
                    if summed {
                        sum = T::sum(simd, load::<S, T>(simd, sums, at), sum);
                    }
                    overflow = T::fused(simd, sum, zero, overflow);
                    store::<S, T>(simd, sums, at, sum);
                }
            }
            first = row.end;
        }
        is_zero::<S, T>(overflow)
    }
}

/// The gradient of one error on its way to a matrix of weights.
pub(crate) struct Read<'a, T> {
    pub(super) rows: &'a [Row],
    pub(super) runs: &'a [Run],
    pub(super) p: &'a [T],
    pub(super) error: &'a [T],
    pub(super) into: &'a mut [T],
    pub(super) stride: usize,
}

compiled!(pub(crate) ReadLoop: Read -> bool);

impl<T: Real> Work for Read<'_, T> {
    /// Whether the gradient is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let &mut Self { rows, runs, p, error, ref mut into, stride } = self;
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let zero = T::splat(simd, T::ZERO);
        let mut overflow = zero;
        let (mut first, mut odd) = (0, T::ZERO);
        for row in rows {
            let error = error[row.state];
            let minus = T::splat(simd, -error);
            let (into, mut p) = (&mut into[row.number * stride..], &p[row.lane..]);
            for run in &runs[first..row.end] {
                let (old, after) = p.split_at(run.len as usize);
                p = after;
                let into = &mut into[run.column as usize..][..old.len()];
                if let ([into], &[old]) = (&mut *into, old) {
                    // Zeros become +0, as in all loops.
                    *into = (-error).mul_add(old, T::ZERO);
                    odd = into.mul_add(T::ZERO, odd);
                    continue;
                }
                for at in (0..old.len()).step_by(lanes) {
                    let value = T::fused(simd, minus, load::<S, T>(simd, old, at), zero);
                    overflow = T::fused(simd, value, zero, overflow);
                    store::<S, T>(simd, into, at, value);
                }
            }
            first = row.end;
        }
        odd == T::ZERO && is_zero::<S, T>(overflow)
    }
}
