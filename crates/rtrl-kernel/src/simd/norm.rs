//! The norm of a gradient, each component within a limit.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::real::{Real, compiled};

/// The sum of the squares of a matrix of weights in double precision, each limited to the absolute value
/// `limit`: eight lanes, column j in lane j mod 8, which are then added pairwise. The rows of `values` are
/// `stride` apart, with zeros between them.
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
