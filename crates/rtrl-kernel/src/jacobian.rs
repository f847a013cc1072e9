//! The Jacobian of a step: the only place that defines `J[k][l]` and its rounding.

use std::ops::Range;

use pulp::Simd;

use crate::error::{Error, check_length, check_matrix};
use crate::simd::{Isa, Real, Work, compiled};

/// The largest number of blocks of weights: a GRU whose reset gate follows the product has three.
const MOST_BLOCKS: usize = 3;

/// The derivative of each state at t + 1 with respect to each state at t, as if no unit had been
/// forced: a sum of scaled blocks of weights, and a diagonal.
///
/// `J[k][l] = sum over blocks b of scale_b[k] * weights_b[k][l]`: the first product rounded, each
/// further one added by a fused multiply-add; where l = k, `diagonal[k]` is added last and rounded.
/// Entries are formed on demand, so an engine that needs few of them pays for few.
#[derive(Debug, Clone, Copy)]
pub struct Jacobian<'a, T> {
    blocks: [Option<Block<'a, T>>; MOST_BLOCKS],
    diagonal: Option<&'a [T]>,
}

/// A matrix of weights between states, each row of which has a factor.
#[derive(Debug, Clone, Copy)]
struct Block<'a, T> {
    weights: &'a [T],
    stride: usize,
    scale: &'a [T],
}

impl<T: Real> Block<'_, T> {
    /// Writes `scale[k] * weights[k][l]`, rounded, for l = first, first + 1, ….
    #[inline(always)]
    fn write(&self, k: usize, first: usize, row: &mut [T]) {
        let weights = &self.weights[k * self.stride + first..][..row.len()];
        let scale = self.scale[k];
        for (place, &weight) in row.iter_mut().zip(weights) {
            *place = scale * weight;
        }
    }

    /// Adds `scale[k] * weights[k][l]` by a fused multiply-add, in the same way.
    #[inline(always)]
    fn add(&self, k: usize, first: usize, row: &mut [T]) {
        let weights = &self.weights[k * self.stride + first..][..row.len()];
        let scale = self.scale[k];
        for (place, &weight) in row.iter_mut().zip(weights) {
            *place = scale.mul_add(weight, *place);
        }
    }
}

impl<'a, T: Real> Jacobian<'a, T> {
    /// `scale[k] * weights[k * stride + l]`, for n values of `scale` and n rows of n weights:
    /// simple units.
    #[inline(always)]
    pub fn scaled(weights: &'a [T], stride: usize, scale: &'a [T]) -> Self {
        Self::sum([(weights, stride, scale)])
    }

    /// The sum of up to three such products, each given as `(weights, stride, scale)`: a GRU whose
    /// reset gate follows the product has three, a diagonal recurrence none.
    #[inline(always)]
    pub fn sum<const B: usize>(terms: [(&'a [T], usize, &'a [T]); B]) -> Self {
        const { assert!(B <= MOST_BLOCKS, "too many blocks") };
        let mut blocks = [None; MOST_BLOCKS];
        for (place, (weights, stride, scale)) in blocks.iter_mut().zip(terms) {
            *place = Some(Block { weights, stride, scale });
        }
        Self { blocks, diagonal: None }
    }

    /// The same with `diagonal[k]` added to `J[k][k]`, n values: the influence of each state on
    /// itself that is not a weight. For `None` nothing is added.
    #[inline(always)]
    pub fn with_diagonal(self, diagonal: Option<&'a [T]>) -> Self {
        Self { diagonal, ..self }
    }

    /// Fails unless all parts fit `states` states.
    pub(crate) fn check(&self, states: usize) -> Result<(), Error> {
        for Block { weights, stride, scale } in self.blocks.iter().flatten() {
            check_matrix("recurrent matrix", states, states, *stride, weights.len())?;
            check_length("scale of the Jacobian", states, scale.len())?;
        }
        let Some(diagonal) = self.diagonal else { return Ok(()) };
        check_length("diagonal of the Jacobian", states, diagonal.len())
    }

    /// Writes row k, n coefficients, to the k-th of `rows` and calls `done` with it, one row after
    /// the other. This is the definition of all coefficients.
    #[inline(always)]
    pub fn write<'r>(
        &self,
        rows: impl Iterator<Item = &'r mut [T]>,
        mut done: impl FnMut(&mut [T]),
    ) {
        let [Some(block), None, None] = &self.blocks else { return self.write_sum(rows, done) };
        for (k, row) in rows.enumerate() {
            block.write(k, 0, row);
            if let Some(diagonal) = self.diagonal {
                row[k] += diagonal[k];
            }
            done(row);
        }
    }

    /// [`Jacobian::write`] of any number of blocks.
    #[inline(always)]
    fn write_sum<'r>(
        &self,
        rows: impl Iterator<Item = &'r mut [T]>,
        mut done: impl FnMut(&mut [T]),
    ) {
        for (k, row) in rows.enumerate() {
            self.write_run(k, 0, row);
            done(row);
        }
    }

    /// Row k from column `first` on, as many coefficients as `run` has room for.
    #[inline(always)]
    fn write_run(&self, k: usize, first: usize, run: &mut [T]) {
        match &self.blocks[0] {
            Some(block) => block.write(k, first, run),
            None => run.fill(T::ZERO),
        }
        self.blocks[1..].iter().flatten().for_each(|block| block.add(k, first, run));
        if let Some(diagonal) = self.diagonal
            && let Some(own) = k.checked_sub(first).and_then(|place| run.get_mut(place))
        {
            *own += diagonal[k];
        }
    }

    /// The Jacobian between the states of a run, without a copy.
    pub(crate) fn part(&self, states: Range<usize>) -> Self {
        let block = |block: &Block<'a, T>| {
            let weights = &block.weights[states.start * block.stride + states.start..];
            Block { weights, stride: block.stride, scale: &block.scale[states.clone()] }
        };
        let blocks = self.blocks.each_ref().map(|place| place.as_ref().map(block));
        Self { blocks, diagonal: self.diagonal.map(|diagonal| &diagonal[states.clone()]) }
    }

    /// Writes the coefficients between the states of these runs, row by row without gaps.
    pub(crate) fn gather(&self, isa: Isa, runs: &[Range<usize>], into: &mut [T]) {
        T::run::<GatherLoop>(isa, Gather { jacobian: *self, runs, into });
    }

    /// Writes `J[k][k]` for every state k.
    pub(crate) fn write_diagonal(&self, isa: Isa, into: &mut [T]) {
        T::run::<DiagonalLoop>(isa, Diagonal { jacobian: *self, into });
    }

    /// Whether there is exactly one block.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.blocks, [Some(_), None, None])
    }

    /// [`Jacobian::write`] of a single block for N states, in loops of constant length.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    pub(crate) fn write_array<const N: usize>(&self, rows: &mut [[T; N]; N]) {
        let [Some(Block { weights, stride, scale }), ..] = self.blocks else {
            unreachable!("there is one block")
        };
        let Some(scale) = scale.first_chunk::<N>() else { unreachable!("the step was checked") };
        for k in 0..N {
            let Some(weights) = weights[k * stride..].first_chunk::<N>() else {
                unreachable!("the step was checked")
            };
            for l in 0..N {
                rows[k][l] = scale[k] * weights[l];
            }
        }
        if let Some(diagonal) = self.diagonal.and_then(|diagonal| diagonal.first_chunk::<N>()) {
            for k in 0..N {
                rows[k][k] += diagonal[k];
            }
        }
    }

    /// `J[k][l]`
    pub fn coefficient(&self, k: usize, l: usize) -> T {
        let at = |values: &'a [T]| &values[k..=k];
        let one = |block: &Block<'a, T>| {
            let weights = &block.weights[k * block.stride + l..];
            Block { weights, stride: 1, scale: at(block.scale) }
        };
        let blocks = self.blocks.each_ref().map(|block| block.as_ref().map(one));
        let mut value = [T::ZERO];
        let diagonal = self.diagonal.filter(|_| k == l).map(at);
        Self { blocks, diagonal }.write(std::iter::once(&mut value[..]), |_| ());
        value[0]
    }

    /// Whether row k is zero whatever the weights are.
    pub(crate) fn is_zero(&self, k: usize) -> bool {
        self.blocks.iter().flatten().all(|block| block.scale[k] == T::ZERO)
            && self.diagonal.is_none_or(|diagonal| diagonal[k] == T::ZERO)
    }
}

/// The coefficients between some states.
pub(crate) struct Gather<'a, T> {
    jacobian: Jacobian<'a, T>,
    runs: &'a [Range<usize>],
    into: &'a mut [T],
}

compiled!(pub(crate) GatherLoop: Gather -> ());

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
pub(crate) struct Diagonal<'a, T> {
    jacobian: Jacobian<'a, T>,
    into: &'a mut [T],
}

compiled!(pub(crate) DiagonalLoop: Diagonal -> ());

impl<T: Real> Work for Diagonal<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, _: S) {
        for (k, place) in self.into.iter_mut().enumerate() {
            self.jacobian.write_run(k, k, std::slice::from_mut(place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 3;

    /// Three blocks with different strides, and a diagonal, in numbers that round.
    fn values() -> ([Vec<f64>; 3], [[f64; N]; 3], [f64; N]) {
        let weights =
            [3, 4, 7].map(|stride| (0..N * stride).map(|i| libm::sin(i as f64)).collect());
        let scale = [0.3, 1.7, -0.9].map(|s| std::array::from_fn(|k| s / (1.0 + k as f64)));
        (weights, scale, [0.1, 0.2, 0.3])
    }

    #[test]
    fn rows_and_coefficients_are_those_of_the_definition() {
        let ([a, b, c], scale, diagonal) = values();
        let terms = [(&a[..], 3, &scale[0][..]), (&b, 4, &scale[1]), (&c, 7, &scale[2])];
        for diagonal in [None, Some(&diagonal[..])] {
            let jacobian = Jacobian::sum(terms).with_diagonal(diagonal);
            jacobian.check(N).unwrap();
            let mut rows = [7.0; N * 5];
            jacobian.write(rows.chunks_mut(5).map(|row| &mut row[..N]), |_| ());
            for k in 0..N {
                assert_eq!(rows[k * 5 + N..][..2], [7.0; 2]);
                for l in 0..N {
                    let mut expected = scale[0][k] * a[k * 3 + l];
                    expected = scale[1][k].mul_add(b[k * 4 + l], expected);
                    expected = scale[2][k].mul_add(c[k * 7 + l], expected);
                    let kept = diagonal.filter(|_| l == k).map_or(0.0, |diagonal| diagonal[k]);
                    let value = rows[k * 5 + l];
                    assert_eq!((value, jacobian.coefficient(k, l)), (expected + kept, value));
                }
            }
        }
    }

    #[test]
    fn parts_have_the_coefficients_of_the_whole() {
        let ([a, b, c], scale, diagonal) = values();
        let terms = [(&a[..], 3, &scale[0][..]), (&b, 4, &scale[1]), (&c, 7, &scale[2])];
        for diagonal in [None, Some(&diagonal[..])] {
            for isa in Isa::available() {
                let jacobian = Jacobian::sum(terms).with_diagonal(diagonal);
                let part = jacobian.part(1..3);
                part.check(2).unwrap();
                let mut gathered = [0.0; 4];
                jacobian.gather(isa, &[0..1, 2..3], &mut gathered);
                let mut own = [0.0; N];
                jacobian.write_diagonal(isa, &mut own);
                for k in 0..2 {
                    for l in 0..2 {
                        let (whole, apart) = ((k + 1, l + 1), (2 * k, 2 * l));
                        assert_eq!(part.coefficient(k, l), jacobian.coefficient(whole.0, whole.1));
                        assert_eq!(gathered[2 * k + l], jacobian.coefficient(apart.0, apart.1));
                    }
                }
                assert_eq!(own, [0, 1, 2].map(|k| jacobian.coefficient(k, k)));
            }
        }
    }

    #[test]
    fn without_blocks_only_the_diagonal_is_left() {
        let jacobian = Jacobian::sum([]).with_diagonal(Some(&[0.0, 2.0]));
        assert_eq!((jacobian.coefficient(1, 1), jacobian.coefficient(1, 0)), (2.0, 0.0));
        assert_eq!((jacobian.is_zero(0), jacobian.is_zero(1)), (true, false));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let weights = [0.0; 6];
        let bad = [
            Jacobian::scaled(&weights[..3], 2, &[0.0; 2]),
            Jacobian::scaled(&weights, 1, &[0.0; 2]),
            Jacobian::scaled(&weights, 3, &[0.0; 3]),
            Jacobian::scaled(&weights, 3, &[0.0; 2]).with_diagonal(Some(&[0.0])),
        ];
        for jacobian in bad {
            assert!(matches!(jacobian.check(2), Err(Error::Length { .. })), "{jacobian:?}");
        }
    }
}
