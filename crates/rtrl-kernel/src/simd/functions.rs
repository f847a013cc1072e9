//! exp, the logistic function, tanh and division by a constant, for a register at a time.
//!
//! Each is written once, for any instruction set, one lane of plain scalar code included. They use
//! nothing but operations that IEEE 754 rounds correctly, in one order and without branches, so
//! every set gives the same bits.
//!
//! All rest on `expm1(r) = r + r^2 q(r)` for `|r| <= ln(2) / 2`, with a polynomial q that makes the
//! largest relative error smallest (Remez), and on `x = k ln(2) + r`:
//!
//! ```text
//! exp(x)      = 2^k (1 + expm1(r))
//! logistic(x) = 1 / (1 + e) for x >= 0, else e / (1 + e);    e = exp(-|x|)
//! tanh(x)     = E / (E + 2), with the sign of x;             E = expm1(2 |x|) = 2^k expm1(r) + (2^k - 1)
//! ```
//!
//! k is rounded, and becomes an exponent, without a conversion to an integer: adding a large number
//! whose last bit counts 1 leaves k, and the bias of exponents, in the lowest bits of the sum
//! (Schraudolph, Neural Computation 11(4), 1999, and many since).

use pulp::Simd;

use super::vector::Vectorised;

/// The constants of the functions in one precision. Implemented for `f32` and `f64` only; not for
/// use outside the kernel.
pub trait Elementary: Vectorised + 'static {
    #[doc(hidden)]
    const HALF: Self;
    #[doc(hidden)]
    const TWO: Self;
    /// 1 / ln(2)
    #[doc(hidden)]
    const PER_LN_2: Self;
    /// ln(2), negative: the nearest number, and what that leaves.
    #[doc(hidden)]
    const MINUS_LN_2: [Self; 2];
    /// A number whose last bit counts 1, and that ends in the bias of exponents.
    #[doc(hidden)]
    const ROUNDER: Self;
    /// Coefficients of q, two neighbours at a time, those of the lowest powers first.
    #[doc(hidden)]
    const Q: &'static [[Self; 2]];
    /// Below the first, exp is 0; above the second, it is infinite.
    #[doc(hidden)]
    const EXP_ENDS: [Self; 2];
    /// Above this, tanh is 1.
    #[doc(hidden)]
    const TANH_END: Self;
}

impl Elementary for f32 {
    const HALF: Self = 0.5;
    const TWO: Self = 2.0;
    const PER_LN_2: Self = std::f32::consts::LOG2_E;
    const MINUS_LN_2: [Self; 2] = [-std::f32::consts::LN_2, 1.904_654_2e-9];
    const ROUNDER: Self = 12_582_912.0 + 127.0;
    const Q: &'static [[Self; 2]] =
        &[[0.5, 0.166_666_66], [0.041_666_362, 0.008_333_39], [0.001_394_062_8, 0.000_198_458_77]];
    const EXP_ENDS: [Self; 2] = [-104.0, 89.0];
    const TANH_END: Self = 10.0;
}

impl Elementary for f64 {
    const HALF: Self = 0.5;
    const TWO: Self = 2.0;
    const PER_LN_2: Self = std::f64::consts::LOG2_E;
    const MINUS_LN_2: [Self; 2] = [-std::f64::consts::LN_2, -2.319_046_813_846_299_6e-17];
    const ROUNDER: Self = 6_755_399_441_055_744.0 + 1023.0;
    const Q: &'static [[Self; 2]] = &[
        [0.500_000_000_000_000_6, 0.166_666_666_666_665_88],
        [0.041_666_666_666_576_76, 0.008_333_333_333_389_552],
        [0.001_388_888_893_156_434_5, 0.000_198_412_697_190_044_33],
        [2.480_150_527_441_242_7e-5, 2.755_740_754_746_744_6e-6],
        [2.762_603_765_473_203_5e-7, 2.505_377_273_573_201_5e-8],
    ];
    const EXP_ENDS: [Self; 2] = [-746.0, 710.0];
    const TANH_END: Self = 20.0;
}

/// e to the power of x. The result may be subnormal, and is infinite where it is too large.
#[inline(always)]
pub(crate) fn exp<S: Simd, T: Elementary>(simd: S, x: T::Vector<S>) -> T::Vector<S> {
    let [low, high] = T::EXP_ENDS.map(|end| T::splat(simd, end));
    let x = T::where_greater(simd, low, x, low, x);
    let x = T::where_greater(simd, x, high, high, x);
    let (k, rest) = reduce::<S, T>(simd, x);
    let rest = T::sum(simd, rest, T::splat(simd, T::ONE));
    // 2^k may have no exponent of its own, so its root goes first: that product is exact.
    let (rounder, minus) = (T::splat(simd, T::ROUNDER), T::splat(simd, -T::ROUNDER));
    let first = T::fused(simd, k, T::splat(simd, T::HALF), rounder);
    let minus_first = T::fused(simd, T::sum(simd, first, minus), T::splat(simd, -T::ONE), k);
    let second = T::sum(simd, minus_first, rounder);
    let rest = T::product(simd, rest, T::as_exponent(simd, first));
    T::product(simd, rest, T::as_exponent(simd, second))
}

/// `exp(-|x|)`
#[inline(always)]
pub(crate) fn exp_of_minus_magnitude<S: Simd, T: Elementary>(
    simd: S,
    x: T::Vector<S>,
) -> T::Vector<S> {
    let minus_one = T::splat(simd, -T::ONE);
    exp::<S, T>(simd, T::product(simd, T::magnitude(simd, x), minus_one))
}

/// `1 / (1 + exp(-x))`
#[inline(always)]
pub(crate) fn logistic<S: Simd, T: Elementary>(simd: S, x: T::Vector<S>) -> T::Vector<S> {
    let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
    let e = exp_of_minus_magnitude::<S, T>(simd, x);
    let above = T::where_greater(simd, zero, x, e, one);
    over_sum::<S, T>(simd, above, one, e)
}

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<S: Simd, T: Elementary>(simd: S, x: T::Vector<S>) -> T::Vector<S> {
    let (minus_one, two) = (T::splat(simd, -T::ONE), T::splat(simd, T::TWO));
    let end = T::splat(simd, T::TANH_END);
    let magnitude = T::magnitude(simd, x);
    let magnitude = T::where_greater(simd, magnitude, end, end, magnitude);
    let (k, rest) = reduce::<S, T>(simd, T::product(simd, magnitude, two));
    let power = T::as_exponent(simd, T::sum(simd, k, T::splat(simd, T::ROUNDER)));
    let e = T::fused(simd, power, rest, T::sum(simd, power, minus_one));
    T::with_sign(simd, over_sum::<S, T>(simd, e, two, e), x)
}

/// `a / (b + c)`, almost as if rounded once: the quotient by the rounded sum is corrected by what
/// the rounding of the sum (b > c, else it does not matter) and its own have left. Without it, tanh
/// is up to 2.5 units off.
#[inline(always)]
fn over_sum<S: Simd, T: Elementary>(
    simd: S,
    a: T::Vector<S>,
    b: T::Vector<S>,
    c: T::Vector<S>,
) -> T::Vector<S> {
    let (one, minus_one) = (T::splat(simd, T::ONE), T::splat(simd, -T::ONE));
    let sum = T::sum(simd, b, c);
    let left = T::sum(simd, T::fused(simd, sum, minus_one, b), c);
    let inverse = T::quotient(simd, one, sum);
    let quotient = T::product(simd, a, inverse);
    let negative = T::product(simd, quotient, minus_one);
    let rest = T::fused(simd, negative, left, T::fused(simd, negative, sum, a));
    T::fused(simd, rest, inverse, quotient)
}

/// k and expm1(r) for `x = k ln(2) + r`, k being the integer nearest to x / ln(2).
#[inline(always)]
fn reduce<S: Simd, T: Elementary>(simd: S, x: T::Vector<S>) -> (T::Vector<S>, T::Vector<S>) {
    let rounded = T::fused(simd, x, T::splat(simd, T::PER_LN_2), T::splat(simd, T::ROUNDER));
    let k = T::sum(simd, rounded, T::splat(simd, -T::ROUNDER));
    let [near, left] = T::MINUS_LN_2.map(|part| T::splat(simd, part));
    let r = T::fused(simd, k, left, T::fused(simd, k, near, x));
    let square = T::product(simd, r, r);
    let zero = T::splat(simd, T::ZERO);
    // Even and odd powers apart: two short chains instead of a long one.
    let (mut even, mut odd) = (zero, zero);
    for &[low, high] in T::Q.iter().rev() {
        even = T::fused(simd, even, square, T::splat(simd, low));
        odd = T::fused(simd, odd, square, T::splat(simd, high));
    }
    let q = T::fused(simd, r, odd, even);
    (k, T::fused(simd, square, q, r))
}

/// `a / b`, rounded once, for a number `b` and its `reciprocal`, which must be the number nearest
/// to `1 / b`: a chain of 5 operations, none of which occupies the divider. The second quotient is
/// within one unit in the last place, and one more correction makes it the nearest number
/// (Markstein, IBM Journal of Research and Development 34(1), 1990), if neither a nor the quotient
/// is close to the ends of the range.
#[inline(always)]
pub(crate) fn by_reciprocal<S: Simd, T: Vectorised>(
    simd: S,
    a: T::Vector<S>,
    [b, reciprocal]: [T::Vector<S>; 2],
) -> T::Vector<S> {
    let minus_b = T::product(simd, b, T::splat(simd, -T::ONE));
    let mut quotient = T::product(simd, a, reciprocal);
    for _ in 0..2 {
        let rest = T::fused(simd, quotient, minus_b, a);
        quotient = T::fused(simd, rest, reciprocal, quotient);
    }
    quotient
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "exponents, and rounding to f32")]
mod tests {
    use pulp::Simd;

    use crate::simd::isa::{Isa, Work};
    use crate::simd::real::{Real, compiled};
    use crate::simd::tested;

    /// Distance of `value` from `exact` in units in the last place of numbers like `exact` with
    /// `digits` binary digits, the smallest of which have the exponent `least`.
    fn ulps(value: f64, exact: f64, digits: i32, least: i32) -> f64 {
        if value == exact {
            return 0.0;
        }
        let exponent = (((exact.to_bits() >> 52) & 0x7FF) as i32 - 1023).max(least);
        libm::scalbn(libm::fabs(value - exact), digits - 1 - exponent)
    }

    /// A function in both precisions, and by libm.
    type Oracle = (&'static str, fn(f32) -> f32, fn(f64) -> f64, fn(f64) -> f64);

    fn oracles() -> [Oracle; 3] {
        let logistic = |x: f64| {
            let e = libm::exp(-x.abs());
            if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
        };
        [
            ("exp", Real::exp, Real::exp, libm::exp),
            ("logistic", Real::logistic, Real::logistic, logistic),
            ("tanh", Real::tanh, Real::tanh, libm::tanh),
        ]
    }

    #[test]
    fn single_precision_is_within_two_units_in_the_last_place() {
        for (name, function, _, oracle) in oracles() {
            // Every 4099th number, of either sign.
            for bits in (0..f32::INFINITY.to_bits()).step_by(4099) {
                for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                    let exact = oracle(f64::from(x));
                    if exact.abs() > f64::from(f32::MAX) {
                        assert_eq!(function(x), exact as f32, "{name}({x})");
                        continue;
                    }
                    let off = ulps(f64::from(function(x)), exact, 24, -126);
                    assert!(off <= 2.0, "{name}({x}) is {off} units off");
                }
            }
        }
    }

    /// libm itself is within one.
    #[test]
    fn double_precision_is_within_three_units_of_libm() {
        for (name, _, function, oracle) in oracles() {
            for i in 0..200_000 {
                let near = f64::from(i - 100_000) * 2.3e-4;
                let far = f64::from(i - 100_000) * 7.07e-3;
                let tiny = libm::exp2(-f64::from(i) * 5e-3);
                for x in [near, far, tiny, -tiny] {
                    let off = ulps(function(x), oracle(x), 53, -1022);
                    assert!(off <= 3.0, "{name}({x}) is {off} units off");
                }
            }
        }
    }

    fn check_limits<T: Real>() {
        let [infinity, nan] = [f64::INFINITY, f64::NAN].map(T::from_f64);
        assert_eq!([-infinity, infinity].map(T::exp), [T::ZERO, infinity]);
        assert_eq!([-infinity, infinity].map(T::logistic), [T::ZERO, T::ONE]);
        assert_eq!([-infinity, infinity].map(T::tanh), [-T::ONE, T::ONE]);
        assert!([nan.exp(), nan.logistic(), nan.tanh()].iter().all(|y| y.to_f64().is_nan()));
        assert_eq!(T::ONE / (-T::ZERO).tanh(), -infinity);
    }

    #[test]
    fn limits_are_reached_and_nan_stays() {
        check_limits::<f32>();
        check_limits::<f64>();
    }

    compiled!(QuotientsLoop: Quotients -> ());

    /// Replaces whole registers of numbers by their quotients by `by`.
    struct Quotients<'a, T> {
        by: T,
        reciprocal: T,
        values: &'a mut [T],
    }

    impl<T: Real> Work for Quotients<'_, T> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(&mut self, simd: S) {
            let by = [self.by, self.reciprocal].map(|number| T::splat(simd, number));
            for value in T::vectors_mut::<S>(self.values) {
                *value = super::by_reciprocal::<S, T>(simd, *value, by);
            }
        }
    }

    /// The quotients of `values` by `by`, with this reciprocal.
    fn by_reciprocal<T: Real>(isa: Isa, values: &[T], by: T, reciprocal: T) -> Vec<T> {
        let mut values = values.to_vec();
        T::run::<QuotientsLoop>(isa, Quotients { by, reciprocal, values: &mut values });
        values
    }

    /// Square roots of normal numbers: 512 from the smallest to the largest, and as many next to
    /// either end. `above` is the number that follows another one.
    fn roots<T: Real>(above: fn(T) -> T) -> Vec<T> {
        let smallest = T::SMALLEST.sqrt();
        // The largest number is a little below 4 / the smallest; this is the end of the roots.
        let largest = T::from_f64(2.0) / smallest;
        let unit = above(T::ONE) - T::ONE;
        let below_largest = largest * (T::ONE - unit * T::from_f64(256.0));
        let exponents = 2.0 * libm::log2(largest.to_f64());
        let spread = |i: i32| libm::exp2((f64::from(i) / 512.0 - 0.5) * exponents * 0.9999);
        let following = |first| std::iter::successors(Some(first), move |&last| Some(above(last)));
        let mut roots: Vec<T> = (0..512).map(|i| T::from_f64(spread(i))).collect();
        roots.extend(following(smallest).take(512).chain(following(below_largest).take(512)));
        roots
    }

    /// The square roots of bias corrections: those of a decay of 0.999, numbers next to the
    /// smallest, 2^-27, and 1.
    fn root_biases<T: Real>(above: fn(T) -> T) -> Vec<T> {
        let updates = (1..100).chain([1_000, 5_000, 30_000]);
        let root = |update| (1.0 - libm::pow(0.999, f64::from(update))).sqrt();
        let least = T::from_f64(libm::exp2(-27.0));
        let next = std::iter::successors(Some(least), |&last| Some(above(last)));
        next.take(20)
            .chain(updates.map(|update| T::from_f64(root(update))))
            .chain([T::ONE])
            .collect()
    }

    fn check_quotients<T: Real>(above: fn(T) -> T) {
        let (roots, mut misses, mut others) = (roots(above), 0, 0);
        for by in root_biases(above) {
            let reciprocal = T::ONE / by;
            let expected: Vec<T> = roots.iter().map(|&root| root / by).collect();
            let pairs = roots.iter().zip(&expected);
            misses += pairs.filter(|&(&root, &quotient)| root * reciprocal != quotient).count();
            for isa in tested::sets() {
                let got = by_reciprocal(isa, &roots, by, reciprocal);
                let odd = (0..roots.len()).find(|&i| got[i] != expected[i]);
                assert_eq!(odd.map(|i| (roots[i], got[i])), None, "by {by} on {isa}");
                // The numbers of the test notice a divisor that is off by one unit.
                others +=
                    usize::from(by_reciprocal(isa, &roots, above(by), reciprocal) != expected);
                let zero = by_reciprocal(isa, &[T::ZERO; 16], by, reciprocal);
                assert!(zero.iter().all(|&zero| T::ONE / zero == T::ONE / T::ZERO), "{isa}");
            }
        }
        // The corrections matter.
        assert!(misses > 10_000 && others > 100, "{misses}, {others}");
    }

    #[test]
    fn a_reciprocal_gives_the_rounded_quotient() {
        check_quotients::<f32>(f32::next_up);
        check_quotients::<f64>(f64::next_up);
    }
}
