//! Sums of squares in one order, value by value, computed many values at a time.
//!
//! A chain of additions takes as long as its latencies. But numbers from `2^E` to `2^(E+1)` are all
//! multiples of the same unit. While the sum stays between these, adding a square to it adds the
//! square rounded to a multiple of the unit, whatever the sum is, unless the square lies half-way
//! between two of them. Such multiples are added without rounding, so their order does not matter.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::real::{Real, compiled};
use super::vector::lanes;
use crate::error::{Error, check_length};

/// Registers whose squares are added at a time.
const BLOCK: usize = 4;

/// The sum of the squares of `values`: one chain of fused multiply-adds from +0, in their order.
pub fn sum_of_squares<T: Real>(isa: Isa, values: &[T]) -> T {
    let mut sum = T::ZERO;
    T::run::<SquaresLoop>(isa, Squares { values, sum: &mut sum });
    sum
}

/// Writes `errors[k] = targets[k] - outputs[k]` (equation 3), and returns their [`sum_of_squares`].
///
/// # Errors
/// [`Error::Length`] if a slice does not fit.
pub fn squared_errors<T: Real>(
    isa: Isa,
    targets: &[T],
    outputs: &[T],
    errors: &mut [T],
) -> Result<T, Error> {
    check_length("the targets", outputs.len(), targets.len())?;
    check_length("the errors", outputs.len(), errors.len())?;
    let mut sum = T::ZERO;
    T::run::<ErrorsLoop>(isa, Errors { targets, outputs, into: errors, sum: &mut sum });
    Ok(sum)
}

compiled!(pub(crate) ErrorsLoop: Errors -> ());

pub(crate) struct Errors<'a, T> {
    targets: &'a [T],
    outputs: &'a [T],
    into: &'a mut [T],
    sum: &'a mut T,
}

impl<T: Real> Work for Errors<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        let whole = in_blocks::<S, T>(self.into.len());
        let (mut sum, mut first) = (T::ZERO, 0);
        if whole > 0 {
            let blocks = &mut self.into[..whole];
            let given = self.targets.iter().zip(self.outputs);
            for (error, (&target, &output)) in blocks.iter_mut().zip(given) {
                *error = target - output;
            }
            (sum, first) = (blocks_of_squares::<S, T>(simd, blocks), whole);
        }
        let given = self.targets[first..].iter().zip(&self.outputs[first..]);
        for (error, (&target, &output)) in self.into[first..].iter_mut().zip(given) {
            *error = target - output;
            sum = error.mul_add(*error, sum);
        }
        *self.sum = sum;
    }
}

compiled!(pub(crate) SquaresLoop: Squares -> ());

pub(crate) struct Squares<'a, T> {
    values: &'a [T],
    sum: &'a mut T,
}

impl<T: Real> Work for Squares<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        let (blocks, rest) = self.values.split_at(in_blocks::<S, T>(self.values.len()));
        let sum = blocks_of_squares::<S, T>(simd, blocks);
        *self.sum = one_by_one(sum, rest);
    }
}

/// How many of `len` values are in whole blocks, if blocks pay.
#[inline(always)]
fn in_blocks<S: Simd, T: Real>(len: usize) -> usize {
    let block = BLOCK * lanes::<S, T>();
    if lanes::<S, T>() < 4 { 0 } else { len / block * block }
}

/// Adds the squares of `values` to `sum`, one after the other, by the multiply-add of the
/// instruction set; elsewhere this would be a call of the C library.
#[inline(always)]
fn one_by_one<T: Real>(mut sum: T, values: &[T]) -> T {
    for value in values {
        sum = value.mul_add(*value, sum);
    }
    sum
}

/// The sum of the squares of whole blocks.
#[inline(always)]
fn blocks_of_squares<S: Simd, T: Real>(simd: S, values: &[T]) -> T {
    let mut sum = T::ZERO;
    let mut binade = Binade::of(sum);
    for block in values.chunks_exact(BLOCK * lanes::<S, T>()) {
        let after = sum + binade.rounded_squares::<S>(simd, block);
        if after < binade.end {
            sum = after;
        } else {
            sum = one_by_one(sum, block);
            binade = Binade::of(sum);
        }
    }
    sum
}

/// The numbers around a sum that are multiples of the same unit.
struct Binade<T> {
    /// The smallest.
    first: T,
    /// The first above them.
    end: T,
    /// Half of their unit.
    half: T,
}

impl<T: Real> Binade<T> {
    /// Those around `sum`. Empty (`end` is 0) below [`Real::NEGLIGIBLE`], where half a unit might
    /// not be a number.
    fn of(sum: T) -> Self {
        let exponent = f64::from_bits(sum.to_f64().to_bits() & f64::INFINITY.to_bits());
        let first = if sum < T::NEGLIGIBLE { T::ZERO } else { T::from_f64(exponent) };
        Self { first, end: first + first, half: first * T::HALF_UNIT }
    }

    /// The sum of the squares of a block, each rounded to a multiple of the unit. It is too large
    /// to stay in the binade, or NaN, if a square is half-way between two multiples, or is not
    /// finite.
    #[inline(always)]
    fn rounded_squares<S: Simd>(&self, simd: S, block: &[T]) -> T {
        let (first, minus_one) = (T::splat(simd, self.first), T::splat(simd, -T::ONE));
        let (end, half) = (T::splat(simd, self.end), T::splat(simd, self.half));
        let minus_first = T::splat(simd, -self.first);
        let mut total = T::splat(simd, T::ZERO);
        for &value in T::vectors::<S>(block) {
            let rounded = T::sum(simd, T::fused(simd, value, value, first), minus_first);
            let negative = T::product(simd, rounded, minus_one);
            let rest = T::magnitude(simd, T::fused(simd, value, value, negative));
            let rounded = T::where_equal(simd, rest, half, end, rounded);
            total = T::sum(simd, total, rounded);
        }
        let (mut totals, mut count) = ([T::ZERO; 16], lanes::<S, T>());
        T::vectors_mut::<S>(&mut totals[..count])[0] = total;
        while count > 1 {
            count /= 2;
            for lane in 0..count {
                totals[lane] += totals[lane + count];
            }
        }
        totals[0]
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "rounding to f32")]
mod tests {
    use super::*;
    use crate::simd::tested;

    fn bits<T: Real>(value: T) -> u64 {
        value.to_f64().to_bits()
    }

    /// Values of which the sum of squares stays small, or grows by much or little, is half-way
    /// between two numbers for some or for all, or is not finite.
    fn series<T: Real>() -> Vec<Vec<T>> {
        let number = |i: usize| libm::sin(i as f64 * 1.7) * 3.0;
        let of = |value: &dyn Fn(usize) -> f64| (0..1500).map(|i| T::from_f64(value(i))).collect();
        // A sum, and the root of half of its unit.
        let (first, root) = if T::LANES == 16 { (1.0, -12.0) } else { (1.5, -26.0) };
        let root = libm::exp2(root);
        let at = |place: usize, odd: f64| move |i| if i == place { odd } else { number(i) };
        vec![
            of(&number),
            of(&|i| number(i) * 1e-3 + 1.0),
            of(&|_| 0.0),
            of(&|i| number(i) * T::NEGLIGIBLE.sqrt().to_f64()),
            of(&|i| number(i) * T::SMALLEST.to_f64()),
            of(&|i| libm::exp2((i % 40) as f64 - 20.0) * number(i)),
            // Most squares are halves of the unit.
            of(&|i| match i % 8 {
                0 if i == 0 => first,
                0 => number(i) * root,
                _ => root,
            }),
            of(&|i| if i == 0 { 1.0 } else { libm::exp2(-12.0) * (i % 3) as f64 }),
            of(&|i| (i % 5) as f64 / 4.0),
            of(&at(1000, f64::INFINITY)),
            of(&at(700, f64::NAN)),
            of(&at(700, T::SMALLEST.to_f64().recip().sqrt() * 1.9)),
            of(&at(800, 1e30)),
        ]
    }

    /// In the order of the definition.
    fn in_order<T: Real>(values: &[T]) -> T {
        values.iter().fold(T::ZERO, |sum, value| value.mul_add(*value, sum))
    }

    fn check<T: Real>() {
        for (number, values) in series::<T>().iter().enumerate() {
            for len in [0, 1, 4, 19, 63, 64, 65, 200, values.len()] {
                let values = &values[..len];
                let expected = bits(in_order(values));
                let outputs = vec![T::ZERO; len];
                for isa in tested::sets() {
                    let place = format!("series {number}, {len} values on {isa}");
                    assert_eq!(bits(sum_of_squares(isa, values)), expected, "{place}");
                    let mut errors = vec![T::ONE; len];
                    let sum = squared_errors(isa, values, &outputs, &mut errors).unwrap();
                    assert_eq!(bits(sum), expected, "{place}");
                    assert!(
                        errors.iter().zip(values).all(|(a, b)| bits(*a) == bits(*b)),
                        "{place}"
                    );
                }
            }
        }
    }

    #[test]
    fn squares_are_summed_as_if_one_by_one() {
        check::<f32>();
        check::<f64>();
    }

    /// Halves are rounded to even numbers, so they depend on the sum.
    fn check_halves<T: Real>(first: T) {
        let values = &series::<T>()[6][1..];
        let of = |value: &T| (*value * *value + first) - first;
        let rounded = values.iter().fold(first, |sum, value| sum + of(value));
        let chain = values.iter().fold(first, |sum, value| value.mul_add(*value, sum));
        assert_ne!(rounded, chain);
    }

    #[test]
    fn some_squares_of_the_test_are_halves() {
        check_halves::<f32>(1.0);
        check_halves::<f64>(2.25);
    }

    #[test]
    fn errors_are_differences() {
        let number = |i: usize| (libm::sin(i as f64 * 1.7) * 3.0) as f32;
        for len in [3, 150] {
            let targets: Vec<f32> = (0..len).map(number).collect();
            let outputs: Vec<f32> = (100..100 + len).map(number).collect();
            for isa in tested::sets() {
                let mut errors = vec![1.0; len];
                let sum = squared_errors(isa, &targets, &outputs, &mut errors).unwrap();
                let differences = targets.iter().zip(&outputs).map(|(d, y)| d - y);
                assert!(differences.eq(errors.iter().copied()), "{len} values on {isa}");
                assert_eq!(sum.to_bits(), in_order(&errors).to_bits(), "{len} values on {isa}");
            }
        }
    }

    #[test]
    fn slices_that_do_not_fit_are_refused() {
        for (targets, errors) in [(2, 3), (3, 2)] {
            let (targets, errors) = (&[0.0f32; 3][..targets], &mut [0.0; 3][..errors]);
            let refused = squared_errors(Isa::scalar(), targets, &[0.0; 3], errors);
            assert!(matches!(refused, Err(Error::Length { expected: 3, got: 2, .. })));
        }
    }
}
