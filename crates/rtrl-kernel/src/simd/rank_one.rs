//! The loops of recursive least squares: a symmetric matrix times a vector, and the matrix less one
//! of rank one. Every operation is rounded by itself, with nothing fused.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::real::{Real, compiled};
use super::vector::{load, store};
use crate::error::{Error, check_length};

/// Registers that are summed at the same time, to hide the latency of the additions.
const WIDE: usize = 4;

/// Writes `out[l] = sum over j of rows[j * k + l] * factors[j]` for the k numbers of `out`: sums from
/// +0, j ascending, of rounded products.
///
/// # Errors
/// [`Error::Length`] unless there are k numbers in `rows` for each factor.
pub fn sum_rows<T: Real>(isa: Isa, rows: &[T], factors: &[T], out: &mut [T]) -> Result<(), Error> {
    check_length("the rows to be added up", factors.len() * out.len(), rows.len())?;
    T::run::<SumRowsLoop>(isa, SumRows { rows, factors, out });
    Ok(())
}

compiled!(pub(crate) SumRowsLoop: SumRows -> ());

pub(crate) struct SumRows<'a, T> {
    rows: &'a [T],
    factors: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Work for SumRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let mut at = 0;
        while at + WIDE * lanes <= self.out.len() {
            self.block::<S, WIDE>(simd, at);
            at += WIDE * lanes;
        }
        while at < self.out.len() {
            self.block::<S, 1>(simd, at);
            at += lanes;
        }
    }
}

impl<T: Real> SumRows<'_, T> {
    /// `NB` registers from `at` on.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn block<S: Simd, const NB: usize>(&mut self, simd: S, at: usize) {
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let rows = self.rows.chunks_exact(self.out.len());
        let mut sums = [T::splat(simd, T::ZERO); NB];
        for (row, &factor) in rows.zip(self.factors) {
            let factor = T::splat(simd, factor);
            for v in 0..NB {
                let values = load::<S, T>(simd, row, at + v * lanes);
                sums[v] = T::sum(simd, sums[v], T::product(simd, values, factor));
            }
        }
        for v in 0..NB {
            store::<S, T>(simd, self.out, at + v * lanes, sums[v]);
        }
    }
}

/// Writes `next[i * k + j] = (matrix[i * k + j] - scale * (vector[i] * vector[j])) * growth` for the k
/// numbers of `vector`. Returns whether all of it is finite.
///
/// # Errors
/// [`Error::Length`] unless both matrices have k x k numbers.
pub fn subtract_square<T: Real>(
    isa: Isa,
    matrix: &[T],
    vector: &[T],
    (scale, growth): (T, T),
    next: &mut [T],
) -> Result<bool, Error> {
    let len = vector.len() * vector.len();
    check_length("the matrix", len, matrix.len())?;
    check_length("the next matrix", len, next.len())?;
    Ok(T::run::<SubtractLoop>(isa, Subtract { matrix, vector, scale, growth, next }))
}

compiled!(pub(crate) SubtractLoop: Subtract -> bool);

pub(crate) struct Subtract<'a, T> {
    matrix: &'a [T],
    vector: &'a [T],
    scale: T,
    growth: T,
    next: &'a mut [T],
}

impl<T: Real> Work for Subtract<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let k = self.vector.len();
        if k == 0 {
            return true;
        }
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        // To subtract a product is to add that with the negative factor, in all bits.
        let (minus, growth) = (T::splat(simd, -self.scale), T::splat(simd, self.growth));
        let zero = T::splat(simd, T::ZERO);
        // 0 times what is not finite is NaN, and stays so.
        let mut check = zero;
        let rows = self.next.chunks_exact_mut(k).zip(self.matrix.chunks_exact(k));
        for ((next, row), &left) in rows.zip(self.vector) {
            let left = T::splat(simd, left);
            for at in (0..k).step_by(lanes) {
                let right = load::<S, T>(simd, self.vector, at);
                let square = T::product(simd, minus, T::product(simd, left, right));
                let value = T::sum(simd, load::<S, T>(simd, row, at), square);
                let value = T::product(simd, value, growth);
                check = T::sum(simd, check, T::product(simd, value, zero));
                store::<S, T>(simd, next, at, value);
            }
        }
        super::is_zero::<S, T>(check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested::sets;

    fn numbers<T: Real>(first: usize, len: usize) -> Vec<T> {
        (first..first + len).map(|i| T::from_f64(libm::sin(i as f64 * 1.7) * 3.0)).collect()
    }

    fn check<T: Real>() {
        for k in [1, 3, 8, 17, 36, 80] {
            let (matrix, vector) = (numbers::<T>(0, k * k), numbers::<T>(900, k));
            let (scale, growth) = (T::from_f64(0.3), T::from_f64(1.01));
            let sums: Vec<T> = (0..k)
                .map(|l| (0..k).fold(T::ZERO, |sum, j| sum + matrix[j * k + l] * vector[j]))
                .collect();
            let next: Vec<T> = (0..k * k)
                .map(|at| (matrix[at] - scale * (vector[at / k] * vector[at % k])) * growth)
                .collect();
            for isa in sets() {
                let (mut out, mut found) = (vec![T::ONE; k], vec![T::ONE; k * k]);
                sum_rows(isa, &matrix, &vector, &mut out).unwrap();
                assert_eq!(out, sums, "{isa}, {k}");
                let factors = (scale, growth);
                assert!(subtract_square(isa, &matrix, &vector, factors, &mut found).unwrap());
                assert_eq!(found, next, "{isa}, {k}");
                for at in [0, k * k / 2, k * k - 1] {
                    for odd in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
                        let mut matrix = matrix.clone();
                        matrix[at] = T::from_f64(odd);
                        let finite = subtract_square(isa, &matrix, &vector, factors, &mut found);
                        assert_eq!(finite, Ok(false), "{isa}, {k}, {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_rounds_every_operation() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let isa = Isa::scalar();
        let (rows, mut out) = ([1.0f64; 5], [0.0; 3]);
        assert!(matches!(sum_rows(isa, &rows, &[1.0; 2], &mut out), Err(Error::Length { .. })));
        let refused = subtract_square(isa, &rows, &[1.0; 2], (1.0, 1.0), &mut [0.0; 4]);
        assert!(matches!(refused, Err(Error::Length { .. })));
        assert_eq!(subtract_square::<f32>(isa, &[], &[], (1.0, 1.0), &mut []), Ok(true));
        assert_eq!(sum_rows::<f32>(isa, &[], &[1.0], &mut []), Ok(()));
    }
}
