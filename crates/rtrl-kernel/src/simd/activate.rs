//! Activation functions of many units at once, with their derivatives (equation 2).

use pulp::Simd;

use super::functions::{exp_of_minus_magnitude, logistic, tanh};
use super::isa::{Isa, Work};
use super::real::{Real, compiled};
use super::vector::is_zero;
use crate::error::{Error, check_length};

/// A function f with a derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `1 / (1 + exp(-s))`
    Logistic,
    /// The hyperbolic tangent.
    Tanh,
    /// `max(0, s)`, with derivative 0 at 0.
    Relu,
    /// `s` itself.
    Identity,
    /// `ln(1 + exp(s))`
    Softplus,
}

impl Function {
    /// `(f(s), f'(s))`, with the bits that [`activate`] gives.
    pub fn evaluate<T: Real>(self, s: T) -> (T, T) {
        let (mut value, mut slope) = ([T::ZERO], [T::ZERO]);
        let (sums, values, slopes) = (&[s], &mut value, &mut slope);
        T::run::<ActivateLoop>(Isa::scalar(), Activate { function: self, sums, values, slopes });
        (value[0], slope[0])
    }

    /// The function and its derivative for one register.
    #[inline(always)]
    pub(super) fn of<S: Simd, T: Real>(
        self,
        simd: S,
        s: T::Vector<S>,
    ) -> (T::Vector<S>, T::Vector<S>) {
        let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
        match self {
            Self::Logistic => {
                let y = logistic::<S, T>(simd, s);
                (y, T::product(simd, y, difference::<S, T>(simd, one, y)))
            }
            Self::Tanh => {
                let y = tanh::<S, T>(simd, s);
                (y, difference::<S, T>(simd, one, T::product(simd, y, y)))
            }
            Self::Relu => {
                let slope = T::where_greater(simd, s, zero, one, zero);
                (T::where_greater(simd, s, zero, s, zero), slope)
            }
            Self::Identity => (s, one),
            Self::Softplus => {
                let mut y = exp_of_minus_magnitude::<S, T>(simd, s);
                for lane in bytemuck::cast_slice_mut::<_, T>(std::slice::from_mut(&mut y)) {
                    *lane = lane.ln_1p();
                }
                let positive = T::where_greater(simd, s, zero, s, zero);
                (T::sum(simd, positive, y), logistic::<S, T>(simd, s))
            }
        }
    }
}

/// `a - b`
#[inline(always)]
pub(super) fn difference<S: Simd, T: Real>(
    simd: S,
    a: T::Vector<S>,
    b: T::Vector<S>,
) -> T::Vector<S> {
    T::fused(simd, b, T::splat(simd, -T::ONE), a)
}

/// Writes `values[k] = f(sums[k])` and `slopes[k] = f'(sums[k])` (equation 2). Returns whether all
/// sums are finite; values and slopes then are so too.
///
/// Lengths that are a multiple of [`Real::LANES`] are the fastest.
///
/// # Errors
/// [`Error::Length`] if the slices are not equally long.
pub fn activate<T: Real>(
    isa: Isa,
    function: Function,
    sums: &[T],
    values: &mut [T],
    slopes: &mut [T],
) -> Result<bool, Error> {
    check_length("the values", sums.len(), values.len())?;
    check_length("the slopes", sums.len(), slopes.len())?;
    Ok(T::run::<ActivateLoop>(isa, Activate { function, sums, values, slopes }))
}

compiled!(pub(crate) ActivateLoop: Activate -> bool);

pub(crate) struct Activate<'a, T> {
    pub(super) function: Function,
    pub(super) sums: &'a [T],
    pub(super) values: &'a mut [T],
    pub(super) slopes: &'a mut [T],
}

impl<T: Real> Work for Activate<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        match self.function {
            Function::Logistic => self.each(simd, Function::Logistic),
            Function::Tanh => self.each(simd, Function::Tanh),
            Function::Relu => self.each(simd, Function::Relu),
            Function::Identity => self.each(simd, Function::Identity),
            Function::Softplus => self.each(simd, Function::Softplus),
        }
    }
}

impl<T: Real> Activate<'_, T> {
    /// All units, with a function that is known when this is compiled.
    #[inline(always)]
    fn each<S: Simd>(&mut self, simd: S, function: Function) -> bool {
        let Self { sums, values, slopes, .. } = self;
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let full = sums.len() - sums.len() % lanes;
        let (sums, last_sums) = sums.split_at(full);
        let (values, last_values) = values.split_at_mut(full);
        let (slopes, last_slopes) = slopes.split_at_mut(full);
        let zero = T::splat(simd, T::ZERO);
        // 0 times what is not finite is NaN, and stays so.
        let mut overflow = zero;
        let values = T::vectors_mut::<S>(values).iter_mut();
        let slopes = T::vectors_mut::<S>(slopes).iter_mut();
        for (&sum, (value, slope)) in T::vectors::<S>(sums).iter().zip(values.zip(slopes)) {
            overflow = T::fused(simd, sum, zero, overflow);
            (*value, *slope) = function.of::<S, T>(simd, sum);
        }
        if !last_sums.is_empty() {
            let mut sum = zero;
            bytemuck::cast_slice_mut(std::slice::from_mut(&mut sum))[..last_sums.len()]
                .copy_from_slice(last_sums);
            overflow = T::fused(simd, sum, zero, overflow);
            let (value, slope) = function.of::<S, T>(simd, sum);
            for (last, register) in [(last_values, value), (last_slopes, slope)] {
                let register: &[T] = bytemuck::cast_slice(std::slice::from_ref(&register));
                last.copy_from_slice(&register[..last.len()]);
            }
        }
        is_zero::<S, T>(overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;

    const ALL: [Function; 5] = [
        Function::Logistic,
        Function::Tanh,
        Function::Relu,
        Function::Identity,
        Function::Softplus,
    ];

    /// Numbers of all sizes, and where functions bend.
    fn sums<T: Real>() -> Vec<T> {
        let small = (-3000..3000).map(|i| f64::from(i) * 0.0113);
        let large =
            (-1000..1000).map(|i| libm::exp2(f64::from(i) / 8.5) * f64::from(i % 2 * 2 + 1));
        small.chain(large).flat_map(|s| [T::from_f64(s), T::from_f64(-s)]).collect()
    }

    fn same_bits<T: Real>() {
        let sums = sums::<T>();
        for function in ALL {
            for isa in tested::sets() {
                for len in [1, 3, 17, sums.len()] {
                    let sums = &sums[..len];
                    let (mut values, mut slopes) = (vec![T::ZERO; len], vec![T::ZERO; len]);
                    assert_eq!(activate(isa, function, sums, &mut values, &mut slopes), Ok(true));
                    for (k, &s) in sums.iter().enumerate() {
                        let expected = function.evaluate(s);
                        let got = (values[k], slopes[k]);
                        let bits =
                            |(y, slope)| [y, slope].map(|v: T| bytemuck::bytes_of(&v).to_vec());
                        assert_eq!(bits(got), bits(expected), "{function:?}({s}) on {isa}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_scalar_function() {
        same_bits::<f32>();
        same_bits::<f64>();
    }

    #[test]
    fn one_value_is_the_function_of_the_number_type() {
        for s in sums::<f32>() {
            assert_eq!(Function::Tanh.evaluate(s).0.to_bits(), Real::tanh(s).to_bits());
            assert_eq!(Function::Logistic.evaluate(s).0.to_bits(), s.logistic().to_bits());
        }
    }

    #[test]
    fn a_sum_that_is_not_finite_is_noticed_wherever_it_stands() {
        for isa in tested::sets() {
            for function in ALL {
                for (place, bad) in [(0, f32::NAN), (15, f32::INFINITY), (18, f32::NEG_INFINITY)] {
                    let mut sums = [0.5f32; 19];
                    sums[place] = bad;
                    let finite = activate(isa, function, &sums, &mut [0.0; 19], &mut [0.0; 19]);
                    assert_eq!(finite, Ok(false), "{function:?}, {bad} at {place} on {isa}");
                }
            }
        }
    }

    #[test]
    fn slices_that_do_not_fit_are_refused() {
        let isa = Isa::scalar();
        let refused = activate(isa, Function::Tanh, &[0.0f32; 3], &mut [0.0; 2], &mut [0.0; 3]);
        assert!(matches!(refused, Err(Error::Length { expected: 3, got: 2, .. })));
    }
}
