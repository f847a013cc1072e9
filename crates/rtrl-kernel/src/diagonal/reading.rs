//! The gradient of rows that are alike, in a pass of its own.

use pulp::Simd;

use super::period::Period;
use crate::simd::{Real, Work, compiled, is_zero, lanes, load, numbers, store};

/// The gradient of one error on its way to a matrix of weights.
pub(crate) struct ReadEven<'a, T> {
    pub(super) width: usize,
    pub(super) p: &'a [T],
    pub(super) error: &'a [T],
    pub(super) into: &'a mut [T],
    pub(super) stride: usize,
}

compiled!(pub(crate) ReadEvenLoop: ReadEven -> bool);

impl<T: Real> Work for ReadEven<'_, T> {
    /// Whether the gradient is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let &mut Self { width, stride, error, .. } = self;
        let mut checks = [T::splat(simd, T::ZERO); 2];
        if stride == width {
            let mut done = 0;
            if let Some(period) = Period::of::<T>(width, lanes::<S, T>()) {
                done = period.whole(error.len());
                self.in_periods(simd, period, done, &mut checks);
            }
            self.one_by_one(simd, done, &mut checks[0]);
        } else {
            self.row_by_row(simd, &mut checks[0]);
        }
        is_zero::<S, T>(T::sum(simd, checks[0], checks[1]))
    }
}

impl<T: Real> ReadEven<'_, T> {
    /// The rows before `done`, which make up whole periods, in a matrix without gaps.
    #[inline(always)]
    fn in_periods<S: Simd>(
        &mut self,
        simd: S,
        period: Period,
        done: usize,
        checks: &mut [T::Vector<S>; 2],
    ) {
        let &mut Self { width, p, error, ref mut into, .. } = self;
        let Period { registers, rows, .. } = period;
        let (numbers, chunk) = (numbers::<S, T>(), period.chunk::<T>());
        let into = into[..done * width].chunks_mut(chunk * width);
        let chunks = p[..done * width].chunks(chunk * width).zip(error[..done].chunks(chunk));
        for (into, (p, error)) in into.zip(chunks) {
            for place in period.places() {
                let end = T::splat(simd, T::from_f64(place.end as f64));
                let into = T::vectors_mut::<S>(into).chunks_exact_mut(2 * registers);
                let p = T::vectors::<S>(p).chunks_exact(2 * registers);
                for ((into, p), error) in into.zip(p).zip(error.chunks_exact(2 * rows)) {
                    for at in 0..2 {
                        let error = &error[at * rows..];
                        let errors = [-error[place.first], -error[place.last]];
                        let minus = mixed::<S, T>(simd, end, numbers, errors);
                        let register = at * registers + place.register;
                        into[register] =
                            negative::<S, T>(simd, minus, p[register], &mut checks[at]);
                    }
                }
            }
        }
    }

    /// The rows from `first` on in a matrix without gaps: registers with the errors of all rows
    /// that they have a part of.
    #[inline(always)]
    fn one_by_one<S: Simd>(&mut self, simd: S, first: usize, check: &mut T::Vector<S>) {
        let &mut Self { width, p, error, ref mut into, .. } = self;
        let (numbers, lanes) = (numbers::<S, T>(), lanes::<S, T>());
        let into = &mut into[first * width..error.len() * width];
        let (p, mut errors) = (&p[first * width..][..into.len()], error[first..].iter());
        // The error of the row of the first lane, and where its end is, counted from there.
        let mut minus = T::splat(simd, -errors.next().copied().unwrap_or(T::ZERO));
        let mut end = width;
        for at in (0..into.len()).step_by(lanes) {
            let mut mixed = minus;
            while end < lanes {
                let Some(&next) = errors.next() else { break };
                let before = T::splat(simd, T::from_f64(end as f64));
                (minus, end) = (T::splat(simd, -next), end + width);
                mixed = T::where_greater(simd, before, numbers, mixed, minus);
            }
            end = end.wrapping_sub(lanes);
            let value = negative::<S, T>(simd, mixed, load::<S, T>(simd, p, at), check);
            store::<S, T>(simd, into, at, value);
        }
    }

    /// Rows with gaps between them.
    #[inline(always)]
    fn row_by_row<S: Simd>(&mut self, simd: S, check: &mut T::Vector<S>) {
        let &mut Self { width, p, error, ref mut into, stride } = self;
        let rows = p.chunks_exact(width).zip(error);
        for ((p, &error), into) in rows.zip(into.chunks_mut(stride)) {
            let minus = T::splat(simd, -error);
            for at in (0..width).step_by(lanes::<S, T>()) {
                let value = negative::<S, T>(simd, minus, load::<S, T>(simd, p, at), check);
                store::<S, T>(simd, &mut into[..width], at, value);
            }
        }
    }
}

/// A register of the gradient. Zeros become +0, as in all loops. `check` becomes NaN if it is not
/// finite.
#[inline(always)]
pub(super) fn negative<S: Simd, T: Real>(
    simd: S,
    minus: T::Vector<S>,
    p: T::Vector<S>,
    check: &mut T::Vector<S>,
) -> T::Vector<S> {
    let zero = T::splat(simd, T::ZERO);
    let value = T::fused(simd, minus, p, zero);
    *check = T::fused(simd, value, zero, *check);
    value
}

/// The first value in the lanes before `end`, and the second in the others.
#[inline(always)]
pub(super) fn mixed<S: Simd, T: Real>(
    simd: S,
    end: T::Vector<S>,
    numbers: T::Vector<S>,
    [first, then]: [T; 2],
) -> T::Vector<S> {
    T::where_greater(simd, end, numbers, T::splat(simd, first), T::splat(simd, then))
}
