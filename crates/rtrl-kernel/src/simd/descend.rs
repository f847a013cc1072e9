//! One step of gradient descent for all weights at once (equation 6).

use pulp::Simd;

use super::isa::Isa;
use super::real::{Real, Work, compiled};
use super::vector::is_zero;
use crate::error::{Error, check_length};

/// Writes `next[i] = weights[i] - rate * gradient[i]`, rounded twice. Returns whether all of it is finite.
///
/// Lengths are a multiple of [`Real::LANES`].
///
/// # Errors
/// [`Error::Length`] if a slice does not fit.
pub fn descend<T: Real>(
    isa: Isa,
    rate: T,
    weights: &[T],
    gradient: &[T],
    next: &mut [T],
) -> Result<bool, Error> {
    check_length("the padding of the weights", 0, weights.len() % T::LANES)?;
    check_length("the gradient", weights.len(), gradient.len())?;
    check_length("the next weights", weights.len(), next.len())?;
    Ok(T::run::<DescendLoop>(isa, Descend { rate, weights, gradient, next }))
}

compiled!(pub(crate) DescendLoop: Descend -> bool);

pub(crate) struct Descend<'a, T> {
    rate: T,
    weights: &'a [T],
    gradient: &'a [T],
    next: &'a mut [T],
}

impl<T: Real> Work for Descend<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let (zero, minus_one) = (T::splat(simd, T::ZERO), T::splat(simd, -T::ONE));
        let rate = T::splat(simd, self.rate);
        let weights = T::vectors::<S>(self.weights).iter();
        let places = weights.zip(T::vectors::<S>(self.gradient));
        // 0 times what is not finite is NaN, and stays so.
        let mut overflow = zero;
        for (next, (&weight, &gradient)) in T::vectors_mut::<S>(self.next).iter_mut().zip(places) {
            let change = T::product(simd, rate, gradient);
            *next = T::fused(simd, change, minus_one, weight);
            overflow = T::fused(simd, *next, zero, overflow);
        }
        is_zero::<S, T>(overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;

    fn check<T: Real>() {
        let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.7) * 3.0);
        let weights: Vec<T> = (0..48).map(number).collect();
        let gradient: Vec<T> = (100..148).map(number).collect();
        let rate = T::from_f64(0.1);
        let pairs = weights.iter().zip(&gradient);
        let expected: Vec<T> = pairs.map(|(&w, &g)| w - rate * g).collect();
        for isa in tested::sets() {
            let mut next = vec![T::ZERO; 48];
            assert_eq!(descend(isa, rate, &weights, &gradient, &mut next), Ok(true));
            assert_eq!(next, expected, "{isa}");
            let huge = T::from_f64(f64::from(f32::MAX)) * T::from_f64(f64::from(f32::MAX));
            let mut gradient = gradient.clone();
            gradient[47] = huge * huge * huge * huge * huge;
            assert_eq!(descend(isa, rate, &weights, &gradient, &mut next), Ok(false), "{isa}");
        }
    }

    #[test]
    fn every_instruction_set_rounds_twice_and_notices_an_overflow() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn slices_that_do_not_fit_are_refused() {
        let refused = descend(Isa::scalar(), 0.1, &[0.0f32; 16], &[0.0; 16], &mut [0.0; 15]);
        assert!(matches!(refused, Err(Error::Length { expected: 16, got: 15, .. })));
    }
}
