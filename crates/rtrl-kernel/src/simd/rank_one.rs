//! The update of recursive least squares: a symmetric matrix less one of rank one. Every operation
//! is rounded by itself, with nothing fused.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::real::{Real, compiled};
use super::vector::{load, store};
use crate::error::{Error, check_length};

/// Writes `next[i * k + j] = (matrix[i * k + j] - scale * (vector[i] * vector[j])) * growth` for
/// the k numbers of `vector`. Returns whether all of it is finite.
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
            let next: Vec<T> = (0..k * k)
                .map(|at| (matrix[at] - scale * (vector[at / k] * vector[at % k])) * growth)
                .collect();
            for isa in sets() {
                let mut found = vec![T::ONE; k * k];
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
        let refused = subtract_square(isa, &[1.0f64; 5], &[1.0; 2], (1.0, 1.0), &mut [0.0; 4]);
        assert!(matches!(refused, Err(Error::Length { .. })));
        assert_eq!(subtract_square::<f32>(isa, &[], &[], (1.0, 1.0), &mut []), Ok(true));
    }
}
