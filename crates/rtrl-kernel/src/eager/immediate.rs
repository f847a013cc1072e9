//! The immediate influence of the weights, arranged so that adding it takes one load and one
//! multiply-add.
//!
//! In equation 5 the row of p that weight row i drives gains `injection[i] * z[j]` in the columns
//! (i, j) and nothing elsewhere. The columns of one weight row are neighbours in the panels, so for
//! any register of a panel the z[j] that belong in its lanes are neighbours too, in a copy of z
//! with zeros before and after it:
//!
//! ```text
//! lanes of the panels    | … row i-1 | (i,0) (i,1) …    (i,c-1) | row i+1 …
//! copy of z        0 0 0 0 0 0 0 0 0 | z[0]  z[1]  …    z[c-1]  | 0 0 0 0 0 0 0
//!                              [ a register that straddles the start ]
//! ```
//!
//! One copy serves all rows that see the same z, in the columns that learn.

use std::collections::HashMap;

use crate::panels::Placement;
use crate::simd::Real;

/// Panels that are worked on together at most: by `small.rs`.
const MOST_PANELS: usize = 3;

/// A drive of a weight row that has columns in a panel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touch {
    panel: usize,
    /// The row of p that is driven, of all rows of all panels.
    pub(super) row: usize,
    /// The state that is driven.
    pub(super) state: usize,
    /// The number of the drive.
    pub(super) drive: usize,
    /// Where the z[j] for the panel start.
    start: usize,
}

impl Touch {
    /// The z[j] for the panel in [`Immediate::copies_of_z`], a row of lanes.
    #[inline(always)]
    pub(super) fn z_in<T: Real>(self, copies: &[T]) -> &[T] {
        &copies[self.start..][..T::LANES]
    }
}

/// Copies of z, with their places.
#[derive(Debug, Clone)]
pub(crate) struct Immediate<T> {
    values: Vec<T>,
    /// For each weight row: where in `values` the number for lane 0 would lie, modulo 2^64.
    origins: Vec<usize>,
    /// Runs to copy: from this place in z, to this place in `values`, this many values.
    runs: Vec<(usize, usize, usize)>,
    /// Panel by panel, the drives of the weight rows that have columns in it.
    touches: Vec<Touch>,
    /// Touches of panel b: `touches[ends[b] .. ends[b + 1]]`.
    ends: Vec<usize>,
    /// First and last weight row of each panel.
    rows: Vec<(usize, usize)>,
}

impl<T: Real> Immediate<T> {
    /// Makes room for the columns.
    pub(crate) fn new(placement: &Placement) -> Self {
        let layout = placement.layout();
        let front = MOST_PANELS * T::LANES;
        let back = (MOST_PANELS + 1) * T::LANES;
        let mut origins = vec![0; layout.rows()];
        // Where the copies begin, by what they hold.
        let mut copies = HashMap::new();
        let (mut runs, mut touches) = (Vec::new(), Vec::new());
        let mut end = 0;
        let segments = (0..placement.panels()).flat_map(|panel| {
            placement.segments(panel).iter().map(move |segment| (panel * T::LANES, segment))
        });
        let mut lane = 0;
        let mut list = segments.peekable();
        for (row, origin) in origins.iter_mut().enumerate() {
            let begin = list.peek().map_or(lane, |(first, s)| first + s.lane);
            let mut seen: Vec<(usize, usize)> = Vec::new();
            while let Some((first, segment)) = list.next_if(|(_, segment)| segment.row == row) {
                lane = first + segment.lane + segment.len;
                for z in layout.seen(row, segment.column..segment.column + segment.len) {
                    match seen.last_mut() {
                        Some((start, len)) if *start + *len == z.start => *len += z.len(),
                        _ => seen.push((z.start, z.len())),
                    }
                }
            }
            let next = end + front;
            let start = *copies.entry(seen).or_insert_with_key(|seen| {
                let mut to = next;
                for &(z, len) in seen {
                    runs.push((z, to, len));
                    to += len;
                }
                end = to + back;
                next
            });
            *origin = start.wrapping_sub(begin);
            let panels = begin / T::LANES..lane.div_ceil(T::LANES).max(begin / T::LANES);
            for panel in panels.filter(|_| lane > begin) {
                let start = origin.wrapping_add(panel * T::LANES);
                touches.extend(layout.drives_of(row).map(|drive| {
                    let state = layout.drives()[drive].state as usize;
                    Touch { panel, row: panel * layout.states() + state, state, drive, start }
                }));
            }
        }
        let ends = |panel| {
            let segments = placement.segments(panel);
            (segments[0].row, segments[segments.len() - 1].row)
        };
        let rows = (0..placement.panels()).map(ends).collect();
        touches.sort_by_key(|touch| touch.panel);
        let ends = (0..=placement.panels())
            .map(|panel| touches.partition_point(|touch| touch.panel < panel))
            .collect();
        Self { values: vec![T::ZERO; end], origins, runs, touches, ends, rows }
    }

    /// Takes z(t).
    pub(crate) fn fill(&mut self, z: &[T]) {
        for &(from, to, len) in &self.runs {
            let (to, from) = (&mut self.values[to..to + len], &z[from..from + len]);
            // With a mask, runs are too short to be worth a call of memcpy.
            if let ([to], &[from]) = (&mut *to, from) {
                *to = from;
            } else {
                to.copy_from_slice(from);
            }
        }
    }

    /// The touches of all panels.
    #[inline(always)]
    pub(super) fn touches(&self) -> &[Touch] {
        &self.touches
    }

    /// The touches of panel `panel`.
    #[inline(always)]
    pub(super) fn touches_of(&self, panel: usize) -> &[Touch] {
        &self.touches[self.ends[panel]..self.ends[panel + 1]]
    }

    /// All copies of z, with the zeros around them.
    #[inline(always)]
    pub(super) fn copies_of_z(&self) -> &[T] {
        &self.values
    }

    /// The first and last weight row with a column in panel `panel`.
    #[inline(always)]
    pub(crate) fn rows(&self, panel: usize) -> (usize, usize) {
        self.rows[panel]
    }

    /// The z[j] of weight row `row` for `len` lanes from `lane` on, 0 where a lane is another
    /// row's. The row must lie in the range of [`Immediate::rows`] for the lane's panel.
    #[inline(always)]
    pub(crate) fn z(&self, row: usize, lane: usize, len: usize) -> &[T] {
        let start = self.origins[row].wrapping_add(lane);
        &self.values[start..start + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    /// Every lane of every group holds the z of its own row and zeros for the other rows of the
    /// group.
    fn check(learns: &[bool], layout: &Layout) {
        let placement = Placement::dense(layout, learns, f64::LANES).unwrap();
        let mut immediate = Immediate::<f64>::new(&placement);
        let z: Vec<f64> = (0..layout.z_len()).map(|j| 1.0 + j as f64).collect();
        immediate.fill(&z);
        for first in (0..placement.panels()).step_by(MOST_PANELS) {
            let last = (first + MOST_PANELS - 1).min(placement.panels() - 1);
            for panel in first..=last {
                let (low, high) = immediate.rows(panel);
                for row in low..=high {
                    let mut expected = vec![0.0; f64::LANES];
                    for segment in placement.segments(panel).iter().filter(|s| s.row == row) {
                        for offset in 0..segment.len {
                            let place = placement.layout().place(row, segment.column + offset);
                            expected[segment.lane + offset] = z[place];
                        }
                    }
                    let got = immediate.z(row, panel * f64::LANES, f64::LANES);
                    assert_eq!(got, expected, "panel {panel}, row {row}");
                }
            }
        }
    }

    #[test]
    fn each_row_has_its_z_in_its_lanes_and_zeros_elsewhere() {
        for (rows, columns) in [(1, 1), (3, 5), (7, 8), (4, 30), (9, 3)] {
            let layout = Layout::simple(rows, columns).unwrap();
            let count = rows * columns;
            check(&vec![true; count], &layout);
            for step in [2, 3, 7] {
                let mask: Vec<bool> =
                    (0..count).map(|w| w % step != 1 && w / columns != 1).collect();
                if mask.contains(&true) {
                    check(&mask, &layout);
                }
            }
        }
    }
}
