//! Sums of scaled rows: vector times matrix, in a fixed order.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::real::{Real, compiled};
use super::vector::{load, store};
use crate::error::{Error, check_length, check_matrix};

/// Registers that are summed at the same time, to hide the latency of the multiply-adds.
const WIDE: usize = 8;

/// Writes `out[l] = sum over j of factors[j] * matrix[j * stride + l]`: one chain of fused
/// multiply-adds from +0 for each l, j ascending.
///
/// # Errors
/// [`Error::Length`] if the matrix is too small.
pub fn combine<T: Real>(
    isa: Isa,
    factors: &[T],
    matrix: &[T],
    stride: usize,
    out: &mut [T],
) -> Result<(), Error> {
    if factors.is_empty() || out.is_empty() {
        out.fill(T::ZERO);
        return Ok(());
    }
    check_matrix("the rows to be combined", factors.len(), out.len(), stride, matrix.len())?;
    T::run::<CombineLoop>(isa, Combine { factors, matrix, stride, fused: true, out });
    Ok(())
}

/// Writes `out[l] = sum over j of rows[j * k + l] * factors[j]` for the k numbers of `out`: sums
/// from +0, j ascending, of rounded products.
///
/// # Errors
/// [`Error::Length`] unless there are k numbers in `rows` for each factor.
pub fn sum_rows<T: Real>(isa: Isa, rows: &[T], factors: &[T], out: &mut [T]) -> Result<(), Error> {
    let stride = out.len();
    check_length("the rows to be added up", factors.len() * stride, rows.len())?;
    T::run::<CombineLoop>(isa, Combine { factors, matrix: rows, stride, fused: false, out });
    Ok(())
}

compiled!(pub(crate) CombineLoop: Combine -> ());

pub(crate) struct Combine<'a, T> {
    factors: &'a [T],
    matrix: &'a [T],
    stride: usize,
    /// Whether a product is added before it is rounded.
    fused: bool,
    out: &'a mut [T],
}

impl<T: Real> Work for Combine<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        if self.fused { self.all::<S, true>(simd) } else { self.all::<S, false>(simd) }
    }
}

impl<T: Real> Combine<'_, T> {
    #[inline(always)]
    fn all<S: Simd, const FUSED: bool>(&mut self, simd: S) {
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let mut at = 0;
        while at + WIDE * lanes <= self.out.len() {
            self.block::<S, FUSED, WIDE>(simd, at);
            at += WIDE * lanes;
        }
        while at < self.out.len() {
            self.block::<S, FUSED, 1>(simd, at);
            at += lanes;
        }
    }

    /// `NB` registers from `at` on.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn block<S: Simd, const FUSED: bool, const NB: usize>(&mut self, simd: S, at: usize) {
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let width = self.out.len();
        let mut sums = [T::splat(simd, T::ZERO); NB];
        for (j, &factor) in self.factors.iter().enumerate() {
            let (row, factor) = (&self.matrix[j * self.stride..][..width], T::splat(simd, factor));
            for v in 0..NB {
                let values = load::<S, T>(simd, row, at + v * lanes);
                sums[v] = if FUSED {
                    T::fused(simd, factor, values, sums[v])
                } else {
                    T::sum(simd, sums[v], T::product(simd, values, factor))
                };
            }
        }
        for v in 0..NB {
            store::<S, T>(simd, self.out, at + v * lanes, sums[v]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested::sets;

    fn check<T: Real>() {
        let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.7) * 3.0);
        for (rows, width, stride) in [(1, 1, 1), (3, 7, 9), (4, 16, 16), (5, 150, 160)] {
            let factors: Vec<T> = (500..500 + rows).map(number).collect();
            // The last row need not be followed by anything.
            let matrix: Vec<T> = (0..(rows - 1) * stride + width).map(number).collect();
            let expected: Vec<T> = (0..width)
                .map(|l| {
                    (0..rows)
                        .fold(T::ZERO, |sum, j| factors[j].mul_add(matrix[j * stride + l], sum))
                })
                .collect();
            let packed: Vec<T> =
                matrix.chunks(stride).flat_map(|row| &row[..width]).copied().collect();
            let sum = |l: usize| {
                (0..rows).fold(T::ZERO, |sum, j| sum + packed[j * width + l] * factors[j])
            };
            let rounded: Vec<T> = (0..width).map(sum).collect();
            assert!(rows == 1 || rounded != expected);
            for isa in sets() {
                let mut out = vec![T::ONE; width];
                combine(isa, &factors, &matrix, stride, &mut out).unwrap();
                assert_eq!(out, expected, "{isa}, {rows} x {width}");
                out.fill(T::ONE);
                sum_rows(isa, &packed, &factors, &mut out).unwrap();
                assert_eq!(out, rounded, "{isa}, {rows} x {width}");
            }
        }
        let mut out = [T::ONE; 3];
        combine(Isa::best(), &[], &[], 3, &mut out).unwrap();
        assert_eq!(out, [T::ZERO; 3]);
        assert_eq!(sum_rows::<T>(Isa::best(), &[], &[T::ONE], &mut []), Ok(()));
    }

    #[test]
    fn every_instruction_set_sums_in_the_documented_order() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn a_matrix_that_is_too_small_is_refused() {
        let refused = combine(Isa::scalar(), &[1.0f32; 2], &[0.0; 5], 3, &mut [0.0; 3]);
        assert!(matches!(refused, Err(Error::Length { .. })), "{refused:?}");
        let refused = sum_rows(Isa::scalar(), &[1.0f64; 5], &[1.0; 2], &mut [0.0; 3]);
        assert!(matches!(refused, Err(Error::Length { .. })), "{refused:?}");
    }
}
