//! Which columns of p each rank holds.

use std::ops::Range;

use rtrl_model::Layout;

/// A run of columns that are neighbours in a row of the weight matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Row of the weight matrix.
    pub(crate) row: usize,
    /// First column of the weight matrix.
    pub(crate) column: usize,
    /// Number of columns.
    pub(crate) len: usize,
}

/// The division of the weights that learn among ranks: whole weight rows, one contiguous range of
/// rows for each rank.
#[derive(Debug, Clone)]
pub(crate) struct Division {
    /// The weights that learn, in the order of the weight matrix.
    pub(crate) runs: Vec<Run>,
    /// The weight row after the last of each rank.
    ends: Vec<usize>,
    /// The column of p after the last of each rank.
    columns: Vec<usize>,
}

impl Division {
    /// Divides the weights that `learns` marks, row by row, among `ranks` ranks. A row costs as
    /// much as its panels of `lanes` columns: each is read, multiplied and moved for every state.
    ///
    /// A rank ends with the row that brings the cost up to its share or beyond. So rank 0 has a
    /// column if there is any, and ranks beyond the number of rows have none.
    pub(crate) fn new(layout: &Layout, learns: &[bool], lanes: usize, ranks: usize) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        let mut counts = Vec::with_capacity(layout.rows());
        for row in 0..layout.rows() {
            let learns = &learns[layout.offset(row)..][..layout.width(row)];
            for (column, _) in learns.iter().enumerate().filter(|&(_, &learns)| learns) {
                match runs.last_mut() {
                    Some(run) if (run.row, run.column + run.len) == (row, column) => run.len += 1,
                    _ => runs.push(Run { row, column, len: 1 }),
                }
            }
            counts.push(learns.iter().filter(|&&learns| learns).count());
        }
        let cost = |row: usize| counts[row].div_ceil(lanes) as u128;
        let all: u128 = (0..counts.len()).map(cost).sum();
        let (mut row, mut column, mut reached) = (0, 0, 0);
        let (mut ends, mut columns) = (Vec::new(), Vec::new());
        for rank in 1..=ranks {
            let goal = (all * rank as u128).div_ceil(ranks as u128);
            while row < counts.len() && (reached < goal || rank == ranks) {
                reached += cost(row);
                column += counts[row];
                row += 1;
            }
            ends.push(row);
            columns.push(column);
        }
        Self { runs, ends, columns }
    }

    /// The weight rows of a rank.
    pub(crate) fn rows(&self, rank: usize) -> Range<usize> {
        start(&self.ends, rank)..self.ends[rank]
    }

    /// The columns of p of a rank.
    pub(crate) fn columns(&self, rank: usize) -> Range<usize> {
        start(&self.columns, rank)..self.columns[rank]
    }

    /// Number of weights that learn, q.
    pub(crate) fn weights(&self) -> usize {
        self.columns.last().copied().unwrap_or_default()
    }

    /// `learns` without the weights of other ranks.
    pub(crate) fn own(&self, layout: &Layout, learns: &[bool], rank: usize) -> Vec<bool> {
        let rows = self.rows(rank);
        let offset = |row| if row == layout.rows() { learns.len() } else { layout.offset(row) };
        let own = offset(rows.start)..offset(rows.end);
        learns.iter().enumerate().map(|(w, &learns)| learns && own.contains(&w)).collect()
    }
}

fn start(ends: &[usize], rank: usize) -> usize {
    rank.checked_sub(1).map_or(0, |before| ends[before])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(division: &Division, ranks: usize) -> Vec<Range<usize>> {
        (0..ranks).map(|rank| division.rows(rank)).collect()
    }

    #[test]
    fn equal_rows_are_divided_evenly() {
        let layout = Layout::simple(10, 12).unwrap();
        let division = Division::new(&layout, &[true; 120], 16, 4);
        assert_eq!(rows(&division, 4), [0..3, 3..5, 5..8, 8..10]);
        assert_eq!(division.columns(2), 60..96);
        assert_eq!((division.weights(), division.runs.len()), (120, 10));
    }

    #[test]
    fn ranks_beyond_the_rows_have_none_and_rank_0_has_one_if_there_is_any() {
        let layout = Layout::simple(2, 3).unwrap();
        let division = Division::new(&layout, &[true; 6], 16, 3);
        assert_eq!(rows(&division, 3), [0..1, 1..2, 2..2]);
        let last = [false, false, false, false, true, false];
        let division = Division::new(&layout, &last, 16, 3);
        assert_eq!(rows(&division, 3), [0..2, 2..2, 2..2]);
        assert_eq!(division.runs, [Run { row: 1, column: 1, len: 1 }]);
        assert_eq!(division.own(&layout, &last, 0), last);
        let none = Division::new(&layout, &[false; 6], 16, 2);
        assert_eq!((rows(&none, 2), none.weights()), (vec![0..0, 0..2], 0));
    }

    #[test]
    fn the_masks_of_all_ranks_are_the_whole_mask() {
        let layout = Layout::stacked(3, 4, 7).unwrap();
        let learns: Vec<bool> = (0..84).map(|w| w % 5 != 2 && w % 7 != 3).collect();
        for ranks in 1..9 {
            let division = Division::new(&layout, &learns, 8, ranks);
            let masks: Vec<_> = (0..ranks).map(|r| division.own(&layout, &learns, r)).collect();
            for (rank, mask) in masks.iter().enumerate() {
                let count = mask.iter().filter(|&&own| own).count();
                assert_eq!(count, division.columns(rank).len());
            }
            let owners = |w: usize| masks.iter().filter(|mask| mask[w]).count();
            assert!((0..84).all(|w| owners(w) == usize::from(learns[w])));
        }
    }
}
