//! The sizes of a recurrent layer, and which weight rows drive which states.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Error;

/// The largest number of weights: no machine has the memory for more.
const MOST_WEIGHTS: u128 = 1 << 46;

/// Weight row `row` has immediate influence on state `state`: equation 5's δ, generalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drive {
    /// The weight row.
    pub row: u32,
    /// The state.
    pub state: u32,
}

/// The sizes of a recurrent layer: its states, its weight rows, what each row sees of z, and which
/// states it drives.
///
/// A simple unit has one state and one weight row, which drives it. Each unit of a gated cell has
/// several rows, and a row may drive several states. Rows of different layers see different parts
/// of z.
///
/// A layout is cheap to clone: its tables are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(Arc<Tables>);

#[derive(Debug, PartialEq, Eq)]
struct Tables {
    states: usize,
    /// The parts of z that each row sees, joined where the second continues the first.
    rows: Vec<[Range<usize>; 2]>,
    /// The first weight of each row, weights counted row by row; then the number of weights.
    offsets: Vec<usize>,
    drives: Vec<Drive>,
    /// The first drive of each row; then the number of drives.
    starts: Vec<usize>,
    z_len: usize,
    widest: usize,
    uniform: bool,
    simple: bool,
}

impl Layout {
    /// `states` states and a weight row for each of `rows`, the part of z that it sees. `drives`
    /// are sorted, by row and then by state.
    ///
    /// # Errors
    /// [`Error::Layout`] without states or rows, [`Error::Drive`] for a drive of a row or state
    /// that is not there or not in order, [`Error::Memory`] if z or the weights are more than can
    /// be counted.
    pub fn new(states: usize, rows: Vec<Range<usize>>, drives: Vec<Drive>) -> Result<Self, Error> {
        Self::divided(states, rows.into_iter().map(|z| [z, 0..0]).collect(), drives)
    }

    /// [`Layout::new`] where each row sees two parts of z, one after the other: in a layer that is
    /// divided into heads, what all rows share, and what those of its head see in addition.
    ///
    /// # Errors
    /// As [`Layout::new`].
    pub fn divided(
        states: usize,
        rows: Vec<[Range<usize>; 2]>,
        drives: Vec<Drive>,
    ) -> Result<Self, Error> {
        if states == 0 || rows.is_empty() {
            return Err(Error::Layout { states, rows: rows.len() });
        }
        check_drives(states, rows.len(), &drives)?;
        let ends = rows.iter().flatten().map(|part| part.end as u128);
        if let Some(bytes) = ends.max().filter(|&end| end > MOST_WEIGHTS) {
            return Err(Error::Memory { bytes });
        }
        let rows: Vec<_> = rows.into_iter().map(joined).collect();
        let width = |[first, then]: &[Range<usize>; 2]| first.len() + then.len();
        let weights = rows.iter().map(|z| width(z) as u128).sum::<u128>();
        if weights > MOST_WEIGHTS {
            return Err(Error::Memory { bytes: weights });
        }
        let offsets = std::iter::once(0)
            .chain(rows.iter().scan(0, |end, z| {
                *end += width(z);
                Some(*end)
            }))
            .collect();
        let starts = (0..=rows.len())
            .map(|row| drives.partition_point(|d| (d.row as usize) < row))
            .collect();
        let z_len = rows.iter().flatten().map(|part| part.end).max().unwrap_or(0);
        let widest = rows.iter().map(width).max().unwrap_or(0);
        let uniform = rows.iter().all(|z| *z == rows[0]) && rows[0][1].is_empty();
        let identical = drives.iter().all(|drive| drive.row == drive.state);
        let simple = uniform && identical && (rows.len(), drives.len()) == (states, states);
        let tables =
            Tables { states, rows, offsets, drives, starts, z_len, widest, uniform, simple };
        Ok(Self(Arc::new(tables)))
    }

    /// Simple units: each has one weight row, which sees all of z, of length `width`, and drives
    /// it.
    ///
    /// # Errors
    /// As [`Layout::new`].
    pub fn simple(units: usize, width: usize) -> Result<Self, Error> {
        Self::stacked(units, 1, width)
    }

    /// `blocks` weight rows for each state, stacked: row i sees all of z, of length `width`, and
    /// drives state `i % states`.
    ///
    /// # Errors
    /// As [`Layout::new`].
    pub fn stacked(states: usize, blocks: usize, width: usize) -> Result<Self, Error> {
        let count = states as u128 * blocks as u128;
        let bytes = count.saturating_mul(width.max(1) as u128);
        let (Ok(rows), true) = (u32::try_from(count), bytes <= MOST_WEIGHTS) else {
            return Err(Error::Memory { bytes });
        };
        let drives = (0..blocks).flat_map(|_| 0..states).zip(0..rows);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "there are at most as many states as rows"
        )]
        let drives = drives.map(|(state, row)| Drive { row, state: state as u32 }).collect();
        Self::new(states, vec![0..width; rows as usize], drives)
    }

    /// Number of states, n.
    pub fn states(&self) -> usize {
        self.0.states
    }

    /// Number of weight rows.
    pub fn rows(&self) -> usize {
        self.0.rows.len()
    }

    /// Length of z.
    pub fn z_len(&self) -> usize {
        self.0.z_len
    }

    /// The parts of z that weight row `row` sees, one after the other. The second is empty where
    /// the row sees one part, or two of which one continues the other.
    pub fn z(&self, row: usize) -> [Range<usize>; 2] {
        self.0.rows[row].clone()
    }

    /// The place in z of what weight (`row`, `column`) is multiplied by.
    pub fn place(&self, row: usize, column: usize) -> usize {
        let [first, then] = &self.0.rows[row];
        match column.checked_sub(first.len()) {
            Some(column) => then.start + column,
            None => first.start + column,
        }
    }

    /// The parts of z that some neighbouring columns of a row see, in order and without empty ones.
    pub(crate) fn seen(
        &self,
        row: usize,
        columns: Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let [first, then] = self.z(row);
        let split = first.len();
        let before = columns.start.min(split)..columns.end.min(split);
        let after = columns.start.max(split) - split..columns.end.max(split) - split;
        let parts = [(first.start, before), (then.start, after)];
        let parts = parts.map(|(start, part)| start + part.start..start + part.end);
        parts.into_iter().filter(|part| !part.is_empty())
    }

    /// Number of weights in row `row`.
    pub fn width(&self, row: usize) -> usize {
        self.offset(row + 1) - self.offset(row)
    }

    /// The largest number of weights in a row.
    pub fn widest(&self) -> usize {
        self.0.widest
    }

    /// Number of weights, absent ones included.
    pub fn weights(&self) -> usize {
        self.0.offsets[self.rows()]
    }

    /// The number of weights in the rows above row `row`: where it begins in a list of all weights.
    pub fn offset(&self, row: usize) -> usize {
        self.0.offsets[row]
    }

    /// Every drive, in order.
    pub fn drives(&self) -> &[Drive] {
        &self.0.drives
    }

    /// The numbers of the drives of weight row `row`.
    #[inline]
    pub fn drives_of(&self, row: usize) -> Range<usize> {
        self.0.starts[row]..self.0.starts[row + 1]
    }

    /// Whether the layer consists of simple units whose rows see the same part of z.
    #[inline]
    pub(crate) fn is_simple(&self) -> bool {
        self.0.simple
    }

    /// Whether all rows see the same part of z, in one piece.
    pub(crate) fn is_uniform(&self) -> bool {
        self.0.uniform
    }
}

/// The same parts of z: one if the other is empty or continues it.
fn joined([first, then]: [Range<usize>; 2]) -> [Range<usize>; 2] {
    if first.is_empty() {
        return [then, 0..0];
    }
    if then.is_empty() || first.end == then.start {
        return [first.start..first.end + then.len(), 0..0];
    }
    [first, then]
}

/// Fails unless the drives are in order and lead from one of `rows` rows to one of `states` states.
fn check_drives(states: usize, rows: usize, drives: &[Drive]) -> Result<(), Error> {
    let mut last = None;
    for (number, &drive) in drives.iter().enumerate() {
        let Drive { row, state } = drive;
        let exists = (row as usize) < rows && (state as usize) < states;
        if !exists || last.is_some_and(|last| last >= drive) {
            return Err(Error::Drive { number, row, state, rows, states });
        }
        last = Some(drive);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_layouts_are_refused() {
        assert_eq!(Layout::simple(0, 3), Err(Error::Layout { states: 0, rows: 0 }));
        assert_eq!(Layout::new(4, vec![], vec![]), Err(Error::Layout { states: 4, rows: 0 }));
        let drive = |row, state| Drive { row, state };
        for (bad, number) in [
            (vec![drive(0, 4)], 0),
            (vec![drive(0, 0), drive(2, 0)], 1),
            (vec![drive(1, 0), drive(0, 0)], 1),
            (vec![drive(1, 1), drive(1, 0)], 1),
            (vec![drive(1, 1), drive(1, 1)], 1),
        ] {
            let refused = Layout::new(4, vec![0..3; 2], bad.clone());
            let Drive { row, state } = bad[number];
            assert_eq!(refused, Err(Error::Drive { number, row, state, rows: 2, states: 4 }));
        }
        for parts in [[0..1 << 62, 0..1 << 62], [0..1, usize::MAX - 1..usize::MAX]] {
            let refused = Layout::divided(1, vec![parts], vec![drive(0, 0)]);
            assert!(matches!(refused, Err(Error::Memory { .. })), "{refused:?}");
        }
    }

    #[test]
    fn rows_may_see_different_parts_of_z_and_drive_several_states() {
        let drives = [(0, 0), (0, 2), (2, 1)].map(|(row, state)| Drive { row, state });
        let layout = Layout::new(3, vec![0..4, 2..2, 3..9], drives.to_vec()).unwrap();
        assert_eq!((layout.rows(), layout.z_len(), layout.weights()), (3, 9, 10));
        assert_eq!((layout.offset(1), layout.offset(2), layout.width(2)), (4, 4, 6));
        assert_eq!(
            (layout.drives_of(0), layout.drives_of(1), layout.drives_of(2)),
            (0..2, 2..2, 2..3)
        );
        assert!(!layout.is_simple() && !layout.is_uniform());
        assert_eq!((layout.z(2), layout.place(2, 1)), ([3..9, 0..0], 4));
        assert!(Layout::simple(3, 4).unwrap().is_simple());
        assert!(!Layout::stacked(3, 2, 4).unwrap().is_simple());
    }

    #[test]
    fn rows_may_see_two_parts_of_z() {
        let rows = vec![[0..3, 3..5], [0..3, 5..7], [2..2, 1..4], [4..6, 2..2]];
        let layout = Layout::divided(1, rows, vec![]).unwrap();
        let z = [[0..5, 0..0], [0..3, 5..7], [1..4, 0..0], [4..6, 0..0]];
        assert_eq!([0, 1, 2, 3].map(|row| layout.z(row)), z);
        assert_eq!([0, 1, 2, 3].map(|row| layout.width(row)), [5, 5, 3, 2]);
        assert_eq!((layout.z_len(), layout.widest(), layout.weights()), (7, 5, 15));
        for (row, [first, then]) in z.into_iter().enumerate() {
            let places: Vec<usize> = first.chain(then).collect();
            for start in 0..=places.len() {
                for end in start..=places.len() {
                    let seen: Vec<usize> = layout.seen(row, start..end).flatten().collect();
                    assert_eq!(seen, places[start..end]);
                }
            }
            let all = 0..places.len();
            assert_eq!(all.map(|column| layout.place(row, column)).collect::<Vec<_>>(), places);
        }
        let same = Layout::divided(2, vec![[0..3, 5..7]; 2], vec![]).unwrap();
        assert!(!same.is_uniform());
    }
}
