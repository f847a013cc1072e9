//! Many coefficients at once, compiled for each instruction set.

use std::ops::Range;

use pulp::Simd;

use super::{Block, Jacobian};
use crate::simd::{Real, Work, compiled, lanes, load};

/// The sum of the blocks, n columns of n rows, without the diagonal: a register at a time, with 0
/// times the scale behind the columns.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
pub(super) fn sum_blocks<S: Simd, T: Real, const B: usize>(
    simd: S,
    blocks: [&Block<'_, T>; B],
    n: usize,
    rows: &mut [T],
) {
    for (k, row) in rows.chunks_exact_mut(n.next_multiple_of(T::LANES)).enumerate() {
        let (mut weights, mut scales) = ([&[][..]; B], [T::splat(simd, T::ZERO); B]);
        for b in 0..B {
            weights[b] = &blocks[b].weights[k * blocks[b].stride..][..n];
            scales[b] = T::splat(simd, blocks[b].scale[k]);
        }
        for (at, place) in (0..n).step_by(lanes::<S, T>()).zip(T::vectors_mut::<S>(row)) {
            let mut sum = T::product(simd, scales[0], load(simd, weights[0], at));
            for b in 1..B {
                sum = T::fused(simd, scales[b], load(simd, weights[b], at), sum);
            }
            *place = sum;
        }
    }
}

/// The coefficients between some states.
pub(super) struct Gather<'a, T> {
    pub(super) jacobian: Jacobian<'a, T>,
    pub(super) runs: &'a [Range<usize>],
    pub(super) into: &'a mut [T],
}

compiled!(pub(super) GatherLoop: Gather -> ());

impl<T: Real> Work for Gather<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, _: S) {
        let Self { jacobian, runs, into } = self;
        let mut rest = &mut **into;
        for rows in &**runs {
            for k in rows.clone() {
                for columns in &**runs {
                    let (run, below) = std::mem::take(&mut rest).split_at_mut(columns.len());
                    jacobian.write_run(k, columns.start, run);
                    rest = below;
                }
            }
        }
    }
}

/// The coefficients on the diagonal.
pub(super) struct Diagonal<'a, T> {
    pub(super) jacobian: Jacobian<'a, T>,
    pub(super) into: &'a mut [T],
}

compiled!(pub(super) DiagonalLoop: Diagonal -> ());

impl<T: Real> Work for Diagonal<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, _: S) {
        let jacobian = &self.jacobian;
        let Some(heads) = jacobian.heads.filter(|heads| !jacobian.has_cells(heads)) else {
            for (k, place) in self.into.iter_mut().enumerate() {
                jacobian.write_run(k, k, std::slice::from_mut(place));
            }
            return;
        };
        self.into.fill(T::ZERO);
        for (number, block) in jacobian.blocks.iter().flatten().enumerate() {
            let weights = &block.weights[heads.first * block.stride..];
            let scale = &block.scale[heads.first..][..self.into.len()];
            // Heads of one unit have one column each, and no column need be counted.
            if heads.size == 1 && number == 0 {
                let weights = weights.iter().step_by(block.stride);
                for ((place, &scale), &weight) in self.into.iter_mut().zip(scale).zip(weights) {
                    *place = scale * weight;
                }
                continue;
            }
            // The column of a unit in its head, without a division for each.
            let mut column = heads.first % heads.size;
            for (k, place) in self.into.iter_mut().enumerate() {
                let weight = weights[k * block.stride + column];
                let product = scale[k] * weight;
                *place = if number == 0 { product } else { scale[k].mul_add(weight, *place) };
                column = if column + 1 == heads.size { 0 } else { column + 1 };
            }
        }
        if let Some(diagonal) = jacobian.diagonal {
            let places = self.into.iter_mut().zip(&diagonal[heads.first..]);
            places.for_each(|(place, &kept)| *place += kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;

    struct Padded<'a, T> {
        jacobian: Jacobian<'a, T>,
        n: usize,
        rows: &'a mut [T],
    }

    compiled!(PaddedLoop: Padded -> ());

    impl<T: Real> Work for Padded<'_, T> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(&mut self, simd: S) {
            self.jacobian.write_padded(simd, self.n, self.rows);
        }
    }

    fn padded_rows_have_the_bits_of_the_coefficients<T: Real>() {
        let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.3));
        for n in [1, 3, 16, 17] {
            let values: [Vec<T>; 3] =
                [0, 1, 2].map(|b| (0..n * (n + b)).map(|i| number(i + 31 * b)).collect());
            let scales: [Vec<T>; 3] =
                [0, 1, 2].map(|b| (0..n).map(|k| number(k + 50 + 17 * b)).collect());
            let own: Vec<T> = (0..n).map(|k| number(k + 90)).collect();
            let term = |b: usize| (&values[b][..], n + b, &scales[b][..]);
            let sums = [
                Jacobian::sum([]),
                Jacobian::sum([term(0)]),
                Jacobian::sum([term(0), term(1)]),
                Jacobian::sum([term(0), term(1), term(2)]),
            ];
            for (blocks, diagonal) in (0..4).flat_map(|b| [(b, None), (b, Some(&own[..]))]) {
                let jacobian = sums[blocks].with_diagonal(diagonal);
                for isa in tested::sets() {
                    let stride = n.next_multiple_of(T::LANES);
                    let mut rows = crate::simd::Buffer::numbers((n * stride) as u128).unwrap();
                    let rows = rows.values_mut();
                    T::run::<PaddedLoop>(isa, Padded { jacobian, n, rows });
                    for (k, row) in rows.chunks_exact(stride).enumerate() {
                        let bits = |value: T| value.to_f64().to_bits();
                        for (l, &value) in row[..n].iter().enumerate() {
                            let expected = bits(jacobian.coefficient(k, l));
                            assert_eq!(bits(value), expected, "{blocks} blocks, n = {n}, {isa}");
                        }
                        assert!(row[n..].iter().all(|&value| value == T::ZERO));
                    }
                }
            }
        }
    }

    #[test]
    fn padded_rows_are_those_of_the_definition() {
        padded_rows_have_the_bits_of_the_coefficients::<f32>();
        padded_rows_have_the_bits_of_the_coefficients::<f64>();
    }
}
