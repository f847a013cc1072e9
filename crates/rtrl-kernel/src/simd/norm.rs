//! The norm of a gradient, each component within a limit.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::real::{Real, compiled};
use super::vector::{lanes, store};

/// The sum of the squares of a matrix of weights in double precision, each limited to the absolute
/// value `limit`: eight lanes, column j in lane j mod 8, which are then added pairwise. The rows of
/// `values` are `stride` apart, with zeros between them.
pub fn limited_squares<T: Real>(isa: Isa, limit: Option<T>, values: &[T], stride: usize) -> f64 {
    T::run::<LimitedSquaresLoop>(isa, LimitedSquares { limit, values, stride })
}

compiled!(pub(crate) LimitedSquaresLoop: LimitedSquares -> f64);

pub(crate) struct LimitedSquares<'a, T> {
    limit: Option<T>,
    values: &'a [T],
    stride: usize,
}

impl<T: Real> Work for LimitedSquares<'_, T> {
    type Output = f64;

    /// Plain loops, which the compiler vectorises for the set.
    #[inline(always)]
    fn run<S: Simd>(&mut self, _: S) -> f64 {
        let &mut Self { limit, values, stride } = self;
        // Rows that begin in the first lane need not be told apart.
        let row = if stride.is_multiple_of(8) { values.len() } else { stride };
        let mut lanes = [0.0; 8];
        for row in values.chunks(row.max(1)) {
            lanes = match limit {
                Some(limit) => squares_of_row::<T, true>(lanes, row, limit),
                None => squares_of_row::<T, false>(lanes, row, T::ZERO),
            };
        }
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// The largest number of values of which [`rough_squares`] says how large their squares can be.
pub const MOST_ROUGH: usize = 1 << 20;

/// About the sum of the squares of `values`, in a fraction of the time of [`limited_squares`]:
/// rounded in the precision of the values, in an order that depends on the instruction set. If it
/// is finite, all values are, and for up to [`MOST_ROUGH`] of them the exact sum is at most 33/32
/// of it, apart from squares that are not normal numbers.
pub fn rough_squares<T: Real>(isa: Isa, values: &[T]) -> f64 {
    T::run::<RoughSquaresLoop>(isa, RoughSquares { values })
}

compiled!(pub(crate) RoughSquaresLoop: RoughSquares -> f64);

pub(crate) struct RoughSquares<'a, T> {
    values: &'a [T],
}

impl<T: Real> Work for RoughSquares<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> f64 {
        let (whole, rest) = self.values.split_at(self.values.len() / T::LANES * T::LANES);
        let mut sums = [T::splat(simd, T::ZERO); 4];
        let (fours, last) = T::vectors::<S>(whole).as_chunks::<4>();
        for four in fours {
            for (sum, &value) in sums.iter_mut().zip(four) {
                *sum = T::fused(simd, value, value, *sum);
            }
        }
        for (sum, &value) in sums.iter_mut().zip(last) {
            *sum = T::fused(simd, value, value, *sum);
        }
        let [a, b, c, d] = sums;
        let sum = T::sum(simd, T::sum(simd, a, b), T::sum(simd, c, d));
        let (mut lanes, mut count) = ([T::ZERO; 16], lanes::<S, T>());
        store::<S, T>(simd, &mut lanes[..count], 0, sum);
        // Pairwise: a chain of additions would take as long as the sum of a small network.
        while count > 1 {
            count /= 2;
            for lane in 0..count {
                lanes[lane] += lanes[lane + count];
            }
        }
        let [total, ..] = lanes;
        rest.iter().fold(total, |total, value| value.mul_add(*value, total)).to_f64()
    }
}

/// `lanes` and the squares of a row, limited if so. By value, the lanes stay in registers.
#[inline(always)]
fn squares_of_row<T: Real, const LIMITED: bool>(
    mut lanes: [f64; 8],
    row: &[T],
    limit: T,
) -> [f64; 8] {
    let limit = LIMITED.then_some(limit);
    let (eights, rest) = row.as_chunks::<8>();
    for values in eights {
        lanes = add_squares(lanes, values, limit);
    }
    let mut last = [T::ZERO; 8];
    last[..rest.len()].copy_from_slice(rest);
    if rest.is_empty() { lanes } else { add_squares(lanes, &last, limit) }
}

/// `lanes` and the squares of one row of lanes.
#[inline(always)]
fn add_squares<T: Real>(mut lanes: [f64; 8], values: &[T; 8], limit: Option<T>) -> [f64; 8] {
    for (lane, &value) in lanes.iter_mut().zip(values) {
        let value = within(value, limit).to_f64();
        *lane += value * value;
    }
    lanes
}

/// `value`, or the limit of the same sign that it is beyond.
#[inline(always)]
pub(super) fn within<T: Real>(value: T, limit: Option<T>) -> T {
    match limit {
        Some(limit) if value > limit => limit,
        Some(limit) if value < -limit => -limit,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested::sets;

    fn rough_squares_are_near<T: Real>(most: T) {
        for len in [0, 1, 7, 16, 24, 80, 3000] {
            let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.7) * 3.0);
            let mut values: Vec<T> = (0..len).map(number).collect();
            let exact: f64 = values.iter().map(|value| value.to_f64() * value.to_f64()).sum();
            for isa in sets() {
                let got = rough_squares(isa, &values);
                assert!((got - exact).abs() <= exact * 1e-5, "{got}, {exact}: {len} on {isa}");
            }
            for at in [0, len / 2, len.saturating_sub(1)].into_iter().filter(|&at| at < len) {
                for odd in [T::from_f64(f64::NAN), T::from_f64(f64::NEG_INFINITY), most] {
                    let before = std::mem::replace(&mut values[at], odd);
                    for isa in sets() {
                        assert!(!rough_squares(isa, &values).is_finite(), "{odd} on {isa}");
                    }
                    values[at] = before;
                }
            }
        }
    }

    /// The worst are equal values whose squares are lost in part when they are added to their sum.
    #[test]
    fn the_most_values_are_off_by_less_than_a_thirty_second() {
        for isa in sets() {
            for value in [1.0f32, 1.2, 1.375, 1.9] {
                let got = rough_squares(isa, &vec![value; MOST_ROUGH]);
                let exact = f64::from(value) * f64::from(value) * MOST_ROUGH as f64;
                assert!(exact <= 33.0 / 32.0 * got, "{got} of {exact} with {value} on {isa}");
            }
        }
    }

    #[test]
    fn rough_squares_are_near_and_finite_only_if_all_are() {
        rough_squares_are_near(f32::MAX);
        rough_squares_are_near(f64::MAX);
    }

    const LEN: usize = 48;

    #[test]
    fn squares_are_summed_in_eight_lanes() {
        let number = |i: usize| libm::sin(i as f64 * 1.7) * 3.0;
        let values: Vec<f32> = (0..LEN).map(|i| f32::from_f64(number(i))).collect();
        let expected = |limit: Option<f32>| {
            let mut lanes = [0.0f64; 8];
            for (i, &value) in values.iter().enumerate() {
                let value = f64::from(within(value, limit));
                lanes[i % 8] += value * value;
            }
            let [a, b, c, d, e, f, g, h] = lanes;
            ((a + e) + (c + g)) + ((b + f) + (d + h))
        };
        for isa in sets() {
            for limit in [None, Some(0.5)] {
                let got = limited_squares(isa, limit, &values, 24);
                assert_eq!(got.to_bits(), expected(limit).to_bits(), "{limit:?} on {isa}");
                // The same matrix of 18 columns, without the gaps.
                let (mut padded, mut packed) = (vec![0.0; LEN], Vec::new());
                for (row, padded) in values.chunks(24).zip(padded.chunks_mut(24)) {
                    padded[..18].copy_from_slice(&row[..18]);
                    packed.extend_from_slice(&row[..18]);
                }
                let padded = limited_squares(isa, limit, &padded, 24);
                let packed = limited_squares(isa, limit, &packed, 18);
                assert_eq!(packed.to_bits(), padded.to_bits(), "{limit:?} on {isa}");
            }
        }
    }
}
