//! The Jacobian of a record, with zeros in the columns of forced states.
//!
//! In a layer of n units with cells, the states are n outputs and then n cells. A cell is passed on
//! to its own unit only, so a column of a cell has two numbers that are not 0. Of such a layer,
//! these are stored instead of the columns:
//!
//! ```text
//! whole    [k][l]                        all columns
//! cells    [k][l], then kept[k]          the columns of the outputs; J[k][n + k mod n]
//! ```
//!
//! Rows are padded to whole rows of lanes; those that get no shorter without the cells are stored
//! whole. The second form halves what a step writes, a backward pass reads and the chain
//! multiplies. A window still has room for all columns, and a file holds all of them.
//!
//! Both forms give the same bits, since a product with 0 does not change a sum, with one exception:
//! a sum that underflows to -0 becomes +0 by a product that is +0. So a zero may differ in sign.

use pulp::Simd;

use crate::jacobian::Jacobian;
use crate::simd::{Real, Work, at_least, compiled, is_zero, lanes, load, store};
use crate::step::Step;

/// Which coefficients are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    states: usize,
    /// Cells whose columns are not stored; 0 if all columns are.
    cells: usize,
}

impl Form {
    /// All columns.
    pub(super) fn whole(states: usize) -> Self {
        Self { states, cells: 0 }
    }

    /// The form for a Jacobian between `states` states: the shorter one.
    #[inline]
    pub(super) fn of<T: Real>(jacobian: &Jacobian<'_, T>, states: usize) -> Self {
        let cells = jacobian.cells(states).unwrap_or(0);
        let form = Self { states, cells };
        // Few units have rows of as many lanes with their cells as without.
        let is_shorter = form.stride::<T>() < Self::whole(states).stride::<T>();
        if is_shorter { form } else { Self::whole(states) }
    }

    /// Columns that are stored.
    #[inline(always)]
    fn columns(self) -> usize {
        self.states - self.cells
    }

    /// Numbers from one row to the next.
    #[inline(always)]
    fn stride<T: Real>(self) -> usize {
        self.columns().next_multiple_of(T::LANES)
    }

    /// Numbers of a Jacobian, whole rows of lanes.
    #[inline(always)]
    pub(super) fn len<T: Real>(self) -> usize {
        self.states * self.stride::<T>() + (2 * self.cells).next_multiple_of(T::LANES)
    }

    /// The Jacobian that consists of these values.
    #[inline(always)]
    pub(super) fn of_values<T: Real>(self, values: &[T]) -> RecordJacobian<'_, T> {
        let stride = self.stride::<T>();
        let (columns, kept) = values.split_at(self.states * stride);
        RecordJacobian { columns, stride, kept: &kept[..2 * self.cells] }
    }
}

/// The Jacobian of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordJacobian<'a, T> {
    /// `[k][l]`, rows `stride` apart, padded with zeros of either sign.
    pub(super) columns: &'a [T],
    pub(super) stride: usize,
    /// What each state keeps of the cell of its unit, where the columns are those of the outputs;
    /// else empty.
    pub(super) kept: &'a [T],
}

impl<T: Real> RecordJacobian<'_, T> {
    /// Number of cells whose columns are not stored.
    #[inline(always)]
    pub(super) fn cells(&self) -> usize {
        self.kept.len() / 2
    }

    /// Writes row k, one number for each state.
    pub(super) fn read_row(&self, k: usize, row: &mut [T]) {
        let columns = row.len() - self.cells();
        let (row, of_cells) = row.split_at_mut(columns);
        row.copy_from_slice(&self.columns[k * self.stride..][..columns]);
        of_cells.fill(T::ZERO);
        if let Some(&kept) = self.kept.get(k) {
            of_cells[k % columns] = kept;
        }
    }

    /// Writes the adjoints of the cells before the record to their places in `below`, from those
    /// `above` of all states after it: a sum over the output and the cell of each unit, then the
    /// error, if there is one. `CHAINS` as in `backward.rs`.
    #[inline(always)]
    pub(super) fn go_back_to_cells<S: Simd, const CHAINS: usize>(
        &self,
        simd: S,
        above: &[T],
        error: &[T],
        below: &mut [T],
    ) {
        let cells = self.cells();
        let (to_outputs, to_cells) = self.kept.split_at(cells);
        let (outputs, above) = above.split_at(cells);
        let error = error.get(cells..).unwrap_or_default();
        let below = &mut below[cells..][..cells];
        let zero = T::splat(simd, T::ZERO);
        for at in (0..cells).step_by(lanes::<S, T>()) {
            let (kept, adjoint) = (load(simd, to_cells, at), load(simd, above, at));
            let output = T::fused(simd, load(simd, outputs, at), load(simd, to_outputs, at), zero);
            // Whether rows k and k + n of the Jacobian are in the same chain.
            let sum = if cells.is_multiple_of(CHAINS) {
                T::fused(simd, adjoint, kept, output)
            } else {
                T::sum(simd, output, T::fused(simd, adjoint, kept, zero))
            };
            let sum = at_least(simd, sum, T::NEGLIGIBLE);
            let has_error = at < error.len();
            let sum = if has_error { T::sum(simd, sum, load(simd, error, at)) } else { sum };
            store(simd, below, at, sum);
        }
    }
}

/// Writes the Jacobian of a step in this form; says whether all of it is finite.
pub(super) struct Write<'a, T> {
    pub(super) step: &'a Step<'a, T>,
    pub(super) form: Form,
    pub(super) jacobian: &'a mut [T],
}

compiled!(pub(super) WriteLoop: Write -> bool);

impl<T: Real> Work for Write<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let Step { jacobian, forced, .. } = self.step;
        let (columns, stride) = (self.form.columns(), self.form.stride::<T>());
        let (rows, kept) = self.jacobian.split_at_mut(self.form.states * stride);
        if self.form.cells == 0 {
            jacobian.write_padded(simd, columns, rows);
        } else {
            jacobian.write_cells(simd, columns, rows, kept);
            kept[self.form.states..].fill(T::ZERO);
        }
        if forced.contains(&true) {
            let (forced, of_cells) = forced.split_at(columns);
            for row in rows.chunks_exact_mut(stride) {
                for (place, &forced) in row.iter_mut().zip(forced) {
                    *place = if forced { T::ZERO } else { *place };
                }
                // 0 times a scale that is not finite, which may meet forced units only.
                row[columns..].fill(T::ZERO);
            }
            for (place, &forced) in kept.iter_mut().zip(of_cells.iter().cycle()) {
                *place = if forced { T::ZERO } else { *place };
            }
        }
        is_finite(simd, self.jacobian)
    }
}

/// Whether all of `values` are finite, which are whole registers.
#[inline(always)]
fn is_finite<S: Simd, T: Real>(simd: S, values: &[T]) -> bool {
    let zero = T::splat(simd, T::ZERO);
    // 0 times what is not finite is NaN, and stays so.
    let mut checks = [zero; 4];
    let (quads, rest) = T::vectors::<S>(values).as_chunks::<4>();
    for quad in quads {
        for (check, &value) in checks.iter_mut().zip(quad) {
            *check = T::fused(simd, value, zero, *check);
        }
    }
    for &value in rest {
        checks[0] = T::fused(simd, value, zero, checks[0]);
    }
    let [a, b, c, d] = checks;
    is_zero::<S, T>(T::sum(simd, T::sum(simd, a, b), T::sum(simd, c, d)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of cells whose columns are not stored, in a layer of `units` LSTM units.
    fn cells<T: Real>(units: usize) -> usize {
        let (states, numbers) = (2 * units, vec![T::ZERO; 4 * units * units]);
        let (weights, scale) = (&numbers[..], &numbers[..states]);
        let whole = Form::whole(states).len::<T>();
        let two = Jacobian::sum([(weights, units, scale); 2]);
        let one = Jacobian::scaled(weights, units, scale);
        let [one, two] =
            [one, two].map(|sum| sum.with_diagonal(Some(scale)).with_heads(units, units));
        let all = Jacobian::scaled(weights, states, scale);
        for (jacobian, states) in [(two, states), (all, states), (one.part(0..units), units)] {
            assert_eq!(Form::of(&jacobian, states).cells, 0);
        }
        let form = Form::of(&one, states);
        assert_eq!(form.len::<T>() < whole, form.cells > 0);
        form.cells
    }

    #[test]
    fn columns_of_cells_are_left_out_where_rows_get_shorter() {
        assert_eq!([1, 8, 9, 40].map(cells::<f32>), [0, 0, 9, 40]);
        assert_eq!([1, 4, 5, 40].map(cells::<f64>), [0, 0, 5, 40]);
    }
}
