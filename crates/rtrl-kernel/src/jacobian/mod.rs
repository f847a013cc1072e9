//! The Jacobian of a step: the only place that defines `J[k][l]` and its rounding.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | what a Jacobian is, and its coefficients |
//! | `loops.rs` | many of them at once |

mod loops;

use std::ops::Range;

use pulp::Simd;

use self::loops::{Diagonal, DiagonalLoop, Gather, GatherLoop, sum_blocks};
use crate::error::{Error, check_length, check_matrix};
use crate::simd::{Isa, Real};

/// The largest number of blocks of weights: a GRU whose reset gate follows the product has three.
const MOST_BLOCKS: usize = 3;

/// The derivative of each state at t + 1 with respect to each state at t, as if no unit had been
/// forced: a sum of scaled blocks of weights, and a diagonal.
///
/// `J[k][l] = sum over blocks b of scale_b[k] * weights_b[k][l]`: the first product rounded, each
/// further one added by a fused multiply-add; where l = k, `diagonal[k]` is added last and rounded.
/// Entries are formed on demand, so an engine that needs few of them pays for few.
///
/// In a layer that is divided into heads, the blocks hold only the weights between the units of one
/// head: see [`Jacobian::with_heads`].
#[derive(Debug, Clone, Copy)]
pub struct Jacobian<'a, T> {
    blocks: [Option<Block<'a, T>>; MOST_BLOCKS],
    diagonal: Option<&'a [T]>,
    heads: Option<Band>,
}

/// The places of the weights of a layer in heads.
#[derive(Debug, Clone, Copy)]
struct Band {
    /// Number of units. State k is the output of unit k, or the cell of unit `k - units`.
    units: usize,
    /// Units of a head.
    size: usize,
    /// The first state, where this is a part of a Jacobian: the slices are those of the whole.
    first: usize,
}

impl Band {
    /// The units of the head of state k.
    fn seen(&self, k: usize) -> Range<usize> {
        let first = k % self.units / self.size * self.size;
        first..first + self.size
    }
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
        Self { blocks, diagonal: None, heads: None }
    }

    /// The same with `diagonal[k]` added to `J[k][k]`, n values: the influence of each state on
    /// itself that is not a weight. For `None` nothing is added.
    #[inline(always)]
    pub fn with_diagonal(self, diagonal: Option<&'a [T]>) -> Self {
        Self { diagonal, ..self }
    }

    /// The same for a layer of `units` units in heads of `size` neighbours. In place of a column
    /// for each state, the blocks have one for each unit of the head: row k sees the outputs of the
    /// head of unit `k % units`, in columns 0 to `size - 1`; its other coefficients are 0.
    ///
    /// If there is a diagonal for more states than units, those after the outputs are cells, and
    /// `diagonal[k]` is what the outputs and cells pass on of the cell of their unit: it is added
    /// to `J[k][units + k % units]`.
    ///
    /// Units with cells that all see each other are one head of `units`. Given their whole Jacobian
    /// in one block, the deferred engine neither writes nor multiplies the columns of the cells if
    /// rows take fewer lanes without them: from 9 units on in `f32`, from 5 in `f64`.
    #[inline(always)]
    pub fn with_heads(self, units: usize, size: usize) -> Self {
        let (units, size) = (units.max(1), size.max(1));
        Self { heads: Some(Band { units, size, first: 0 }), ..self }
    }

    /// Whether the diagonal is that of the cells of a layer in heads.
    fn has_cells(&self, heads: &Band) -> bool {
        self.diagonal.is_some_and(|diagonal| diagonal.len() > heads.units)
    }

    /// Fails unless all parts fit `states` states.
    pub(crate) fn check(&self, states: usize) -> Result<(), Error> {
        if let Some(heads) = &self.heads {
            return self.check_heads(heads, states);
        }
        for Block { weights, stride, scale } in self.blocks.iter().flatten() {
            check_matrix("recurrent matrix", states, states, *stride, weights.len())?;
            check_length("scale of the Jacobian", states, scale.len())?;
        }
        let Some(diagonal) = self.diagonal else { return Ok(()) };
        check_length("diagonal of the Jacobian", states, diagonal.len())
    }

    /// [`Jacobian::check`] of a layer in heads, or of a part of one.
    #[cold]
    fn check_heads(&self, heads: &Band, states: usize) -> Result<(), Error> {
        let end = heads.first + states;
        let fits = |what, len: usize| check_length(what, end, len.min(end));
        check_length("the units of the last head", 0, heads.units % heads.size)?;
        for Block { weights, stride, scale } in self.blocks.iter().flatten() {
            check_matrix("recurrent matrix", end, heads.size, *stride, weights.len())?;
            fits("scale of the Jacobian", scale.len())?;
        }
        self.diagonal.map_or(Ok(()), |diagonal| fits("diagonal of the Jacobian", diagonal.len()))
    }

    /// Writes row k, n coefficients, to the k-th of `rows` and calls `done` with it, one row after
    /// the other. This is the definition of all coefficients.
    #[inline(always)]
    pub fn write<'r>(
        &self,
        rows: impl Iterator<Item = &'r mut [T]>,
        mut done: impl FnMut(&mut [T]),
    ) {
        let ([Some(block), None, None], None) = (&self.blocks, &self.heads) else {
            return self.write_sum(rows, done);
        };
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

    /// [`Jacobian::write`] into n rows of whole rows of lanes. Behind column n there is 0 times the
    /// scale afterwards: a zero if the scale is finite.
    #[inline(always)]
    pub(crate) fn write_padded<S: Simd>(&self, simd: S, n: usize, rows: &mut [T]) {
        let stride = n.next_multiple_of(T::LANES);
        match (&self.blocks, &self.heads) {
            ([Some(a), None, None], None) => sum_blocks(simd, [a], n, rows),
            ([Some(a), Some(b), None], None) => sum_blocks(simd, [a, b], n, rows),
            ([Some(a), Some(b), Some(c)], None) => sum_blocks(simd, [a, b, c], n, rows),
            _ => {
                for (k, row) in rows.chunks_exact_mut(stride).enumerate() {
                    let (row, padding) = row.split_at_mut(n);
                    self.write_run(k, 0, row);
                    padding.fill(T::ZERO);
                }
                return;
            }
        }
        if let Some(diagonal) = self.diagonal {
            for (k, (row, &own)) in rows.chunks_exact_mut(stride).zip(diagonal).enumerate() {
                row[k] += own;
            }
        }
    }

    /// The number of units, if this is the Jacobian of a whole layer of units with a cell each,
    /// given as a single head, between `states` states: outputs, then cells.
    pub(crate) fn cells(&self, states: usize) -> Option<usize> {
        let is_one_block = matches!(self.blocks, [Some(_), None, None]);
        let heads = self.heads.filter(|heads| is_one_block && self.has_cells(heads))?;
        let Band { units, size, first } = heads;
        (size == units && first == 0 && states == 2 * units).then_some(units)
    }

    /// Writes the coefficients of a layer with [cells](Jacobian::cells): the columns of its outputs
    /// to `rows`, as [`Jacobian::write_padded`] does, and what each state keeps of the cell of its
    /// unit to `kept`.
    #[inline(always)]
    pub(crate) fn write_cells<S: Simd>(
        &self,
        simd: S,
        units: usize,
        rows: &mut [T],
        kept: &mut [T],
    ) {
        if let Some(block) = &self.blocks[0] {
            sum_blocks(simd, [block], units, rows);
        }
        for (place, &own) in kept.iter_mut().zip(self.diagonal.unwrap_or_default()) {
            *place = T::ZERO + own;
        }
    }

    /// Row k from column `first` on, as many coefficients as `run` has room for.
    #[inline(always)]
    fn write_run(&self, k: usize, first: usize, run: &mut [T]) {
        if let Some(heads) = &self.heads {
            return self.write_head(heads, k + heads.first, first + heads.first, run);
        }
        match &self.blocks[0] {
            Some(block) => block.write(k, first, run),
            None => run.fill(T::ZERO),
        }
        for block in self.blocks[1..].iter().flatten() {
            block.add(k, first, run);
        }
        if let Some(diagonal) = self.diagonal
            && let Some(own) = k.checked_sub(first).and_then(|place| run.get_mut(place))
        {
            *own += diagonal[k];
        }
    }

    /// [`Jacobian::write_run`] of a layer in heads.
    #[inline(always)]
    fn write_head(&self, heads: &Band, k: usize, first: usize, run: &mut [T]) {
        run.fill(T::ZERO);
        let seen = heads.seen(k);
        let places = seen.start.max(first)..seen.end.min(first + run.len());
        if !places.is_empty() {
            let column = places.start - seen.start;
            let inner = &mut run[places.start - first..places.end - first];
            if let Some(block) = &self.blocks[0] {
                block.write(k, column, inner);
            }
            for block in self.blocks[1..].iter().flatten() {
                block.add(k, column, inner);
            }
        }
        let Some(diagonal) = self.diagonal else { return };
        let own = if self.has_cells(heads) { heads.units + k % heads.units } else { k };
        if let Some(own) = own.checked_sub(first).and_then(|own| run.get_mut(own)) {
            *own += diagonal[k];
        }
    }

    /// The Jacobian between the states of a run, without a copy.
    pub(crate) fn part(&self, states: Range<usize>) -> Self {
        if let Some(heads) = self.heads {
            return self.part_of_heads(heads, states);
        }
        let block = |block: &Block<'a, T>| {
            let weights = &block.weights[states.start * block.stride + states.start..];
            Block { weights, stride: block.stride, scale: &block.scale[states.clone()] }
        };
        let blocks = self.blocks.each_ref().map(|place| place.as_ref().map(block));
        let diagonal = self.diagonal.map(|diagonal| &diagonal[states.clone()]);
        Self { blocks, diagonal, heads: None }
    }

    /// [`Jacobian::part`] of a layer in heads: within one head there are no others.
    fn part_of_heads(&self, heads: Band, states: Range<usize>) -> Self {
        let states = heads.first + states.start..heads.first + states.end;
        let seen = heads.seen(states.start);
        if self.has_cells(&heads) || states.start < seen.start || states.end > seen.end {
            let heads = Some(Band { first: states.start, ..heads });
            return Self { heads, ..*self };
        }
        let block = |block: &Block<'a, T>| {
            let first = states.start * block.stride + states.start - seen.start;
            let (weights, scale) = (&block.weights[first..], &block.scale[states.clone()]);
            Block { weights, stride: block.stride, scale }
        };
        let blocks = self.blocks.each_ref().map(|place| place.as_ref().map(block));
        let diagonal = self.diagonal.map(|diagonal| &diagonal[states.clone()]);
        Self { blocks, diagonal, heads: None }
    }

    /// Writes the coefficients between the states of these runs, row by row without gaps.
    pub(crate) fn gather(&self, isa: Isa, runs: &[Range<usize>], into: &mut [T]) {
        T::run::<GatherLoop>(isa, Gather { jacobian: *self, runs, into });
    }

    /// Writes `J[k][k]` for every state k.
    pub(crate) fn write_diagonal(&self, isa: Isa, into: &mut [T]) {
        T::run::<DiagonalLoop>(isa, Diagonal { jacobian: *self, into });
    }

    /// Whether there is exactly one block, with a column for each state.
    pub(crate) fn is_single(&self) -> bool {
        matches!((&self.blocks, &self.heads), ([Some(_), None, None], None))
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
        let mut value = [T::ZERO];
        self.write_run(k, l, &mut value);
        value[0]
    }

    /// Whether row k is zero whatever the weights are.
    pub(crate) fn is_zero(&self, k: usize) -> bool {
        let k = k + self.heads.map_or(0, |heads| heads.first);
        self.blocks.iter().flatten().all(|block| block.scale[k] == T::ZERO)
            && self.diagonal.is_none_or(|diagonal| diagonal[k] == T::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;

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
            for isa in tested::sets() {
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

    /// A layer of units with cells that all see each other has rows of the same coefficients.
    #[test]
    fn one_head_with_cells_has_the_coefficients_of_the_definition() {
        for units in [1, 4, 7] {
            let states = 2 * units;
            let number = |i: usize| libm::sin(i as f64 * 1.3);
            let [weights, scale, diagonal] =
                [(0, states * (units + 1)), (70, states), (90, states)]
                    .map(|(first, len)| (first..first + len).map(number).collect::<Vec<_>>());
            let jacobian = Jacobian::scaled(&weights, units + 1, &scale)
                .with_diagonal(Some(&diagonal))
                .with_heads(units, units);
            assert_eq!(jacobian.cells(states), Some(units));
            assert_eq!(jacobian.cells(states - 1), None);
            let mut rows = vec![7.0; states * states];
            jacobian.write(rows.chunks_mut(states), |_| ());
            for (k, l) in (0..states).flat_map(|k| (0..states).map(move |l| (k, l))) {
                let expected = if l < units {
                    scale[k] * weights[k * (units + 1) + l]
                } else if l == units + k % units {
                    diagonal[k]
                } else {
                    0.0
                };
                assert_eq!(rows[k * states + l], expected);
                assert_eq!(jacobian.coefficient(k, l), expected);
            }
        }
    }

    /// The coefficients of a layer of 6 units in heads of 2, with and without cells, in loops.
    #[test]
    fn heads_have_the_coefficients_of_the_definition() {
        const UNITS: usize = 6;
        let number = |i: usize| libm::sin(i as f64 * 1.3);
        for cells in [false, true] {
            let states = if cells { 2 * UNITS } else { UNITS };
            let [a, b] = [3, 4].map(|stride| (0..states * stride).map(number).collect::<Vec<_>>());
            let scale: Vec<f64> = (0..states).map(|k| number(k + 50)).collect();
            let diagonal: Vec<f64> = (0..states).map(|k| number(k + 90)).collect();
            let terms = [(&a[..], 3, &scale[..]), (&b, 4, &scale)];
            let jacobian = Jacobian::sum(terms).with_diagonal(Some(&diagonal));
            let jacobian = jacobian.with_heads(UNITS, 2);
            jacobian.check(states).unwrap();
            let expected = |k: usize, l: usize| {
                let (unit, own) = (k % UNITS, if cells { UNITS + k % UNITS } else { k });
                let mut value = 0.0;
                if l < UNITS && l / 2 == unit / 2 {
                    value = scale[k] * a[k * 3 + l % 2];
                    value = scale[k].mul_add(b[k * 4 + l % 2], value);
                }
                if l == own { value + diagonal[k] } else { value }
            };
            for isa in tested::sets() {
                let mut own = vec![0.0; states];
                jacobian.write_diagonal(isa, &mut own);
                for (k, &value) in own.iter().enumerate() {
                    assert_eq!(value, expected(k, k));
                }
                for states in [0..states, 1..5, 2..4, 3..4, 4..states] {
                    let (part, len) = (jacobian.part(states.clone()), states.len());
                    part.check(len).unwrap();
                    let mut own = vec![0.0; len];
                    part.write_diagonal(isa, &mut own);
                    let mut rows = vec![7.0; len * len];
                    part.write(rows.chunks_mut(len), |_| ());
                    let inner = part.part(len / 2..len);
                    for (k, l) in (0..len).flat_map(|k| (0..len).map(move |l| (k, l))) {
                        let whole = expected(states.start + k, states.start + l);
                        assert_eq!((part.coefficient(k, l), rows[k * len + l]), (whole, whole));
                        assert!(k != l || own[k] == whole);
                        if k >= len / 2 && l >= len / 2 {
                            assert_eq!(inner.coefficient(k - len / 2, l - len / 2), whole);
                        }
                    }
                }
                let runs = [0..1, 3..states];
                let places = || runs.iter().cloned().flatten();
                let mut gathered = vec![7.0; places().count().pow(2)];
                jacobian.gather(isa, &runs, &mut gathered);
                let pairs = places().flat_map(|k| places().map(move |l| (k, l)));
                assert!(pairs.zip(&gathered).all(|((k, l), &value)| value == expected(k, l)));
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
        let scaled = |stride, scale| Jacobian::scaled(&weights, stride, scale);
        let bad = [
            scaled(2, &[0.0; 6]).with_heads(6, 2).check(6),
            scaled(1, &[0.0; 6]).with_heads(6, 4).check(6),
            scaled(1, &[0.0; 5]).with_heads(6, 1).check(6),
            scaled(1, &[0.0; 6]).with_diagonal(Some(&[0.0; 5])).with_heads(6, 1).check(6),
        ];
        for checked in bad {
            assert!(matches!(checked, Err(Error::Length { .. })), "{checked:?}");
        }
        assert_eq!(scaled(1, &[0.0; 6]).with_heads(6, 1).check(6), Ok(()));
    }
}
