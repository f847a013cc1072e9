//! Which weight is in which lane of which panel.
//!
//! A *column* of p is one weight (i, j) that can learn. Columns are arranged in the order of the
//! weight matrix (i, then j) in *panels* of [`Real::LANES`] lanes; a panel stores that many values
//! of p^k for every state k. Only this file knows the assignment, a table that is built once.
//!
//! ```text
//! p[panel][k][lane]      panel 0: columns 0 .. 15     one row of a panel = 64 bytes
//!                        panel 1: columns 16 .. 31    lanes without a column stay zero
//! ```
//!
//! The eager engine packs columns without gaps; the deferred one starts a new panel for each weight
//! row.

use std::ops::Range;

use pulp::Simd;

use crate::error::{Error, check_length};
use crate::layout::Layout;
use crate::simd::{Isa, Real, Work, compiled, lanes, load, store};

/// A run of columns that are neighbours both in a panel and in a row of the weight matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Row of the weight matrix.
    pub(crate) row: usize,
    /// First column of the weight matrix.
    pub(crate) column: usize,
    /// First lane of the panel.
    pub(crate) lane: usize,
    /// Number of columns.
    pub(crate) len: usize,
}

impl Segment {
    /// The lane after the last.
    fn end(self) -> usize {
        self.lane + self.len
    }

    /// Whether `next` continues where this one ends, in the same row of the weight matrix.
    fn is_followed_by(self, next: Self) -> bool {
        (self.row, self.column + self.len) == (next.row, next.column)
    }
}

/// The assignment of columns to lanes.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    layout: Layout,
    weights: usize,
    segments: Vec<Segment>,
    /// Segments of panel b: `segments[ends[b - 1] .. ends[b]]`.
    ends: Vec<usize>,
    /// The first panel that begins with weight row i or a later one; finally the number of panels.
    starts: Vec<usize>,
    /// Segments joined where one continues the last, with lanes counted through all panels.
    runs: Vec<Segment>,
    /// Lanes from one weight row to the next, if every weight learns.
    row_len: Option<usize>,
}

impl Placement {
    /// Packs the columns of the weights that learn, `lanes` to a panel, without gaps.
    ///
    /// `learns` has one entry for each weight, row by row.
    pub(crate) fn dense(layout: &Layout, learns: &[bool], lanes: usize) -> Result<Self, Error> {
        let row_len = layout.widest();
        Self::pack(layout, learns, lanes, row_len, |_, _| false)
    }

    /// Packs the columns; each weight row starts a new panel.
    pub(crate) fn by_row(layout: &Layout, learns: &[bool], lanes: usize) -> Result<Self, Error> {
        let row_len = layout.widest().next_multiple_of(lanes);
        Self::pack(layout, learns, lanes, row_len, |last, row| last.row != row)
    }

    /// Packs the columns; a panel ends when it is full, or where `parts` says so of its last
    /// segment and the next weight row. If every weight learns, that makes `row_len` sums to a row.
    fn pack(
        layout: &Layout,
        learns: &[bool],
        lanes: usize,
        row_len: usize,
        parts: impl Fn(Segment, usize) -> bool,
    ) -> Result<Self, Error> {
        check_length("mask of learning weights", layout.weights(), learns.len())?;
        let (segments, ends, starts, runs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let even = layout.is_uniform() && learns.iter().all(|&learns| learns);
        let row_len = even.then_some(row_len);
        let rows = layout.rows();
        let mut placement =
            Self { layout: layout.clone(), weights: 0, segments, ends, starts, runs, row_len };
        for row in 0..rows {
            let first = placement.layout.offset(row);
            let learns = &learns[first..][..placement.layout.width(row)];
            for (column, _) in learns.iter().enumerate().filter(|&(_, &learns)| learns) {
                let lane = match placement.segments.last() {
                    Some(last) if last.end() < lanes && !parts(*last, row) => last.end(),
                    _ => 0,
                };
                placement.push(Segment { row, column, lane, len: 1 });
            }
        }
        let begins: Vec<_> =
            (0..placement.panels()).map(|b| placement.segments(b)[0].row).collect();
        placement.starts = (0..=rows).map(|row| begins.partition_point(|&b| b < row)).collect();
        placement.join(lanes);
        Ok(placement)
    }

    fn push(&mut self, column: Segment) {
        if column.lane == 0 {
            self.ends.push(self.segments.len());
        }
        match self.segments.last_mut() {
            Some(last) if column.lane > 0 && last.is_followed_by(column) => last.len += 1,
            _ => self.segments.push(column),
        }
        self.weights += 1;
        if let Some(end) = self.ends.last_mut() {
            *end = self.segments.len();
        }
    }

    /// Makes the runs.
    fn join(&mut self, lanes: usize) {
        for panel in 0..self.panels() {
            for place in 0..self.segments(panel).len() {
                let segment = self.segments(panel)[place];
                let segment = Segment { lane: panel * lanes + segment.lane, ..segment };
                match self.runs.last_mut() {
                    Some(last) if last.is_followed_by(segment) && last.end() == segment.lane => {
                        last.len += segment.len;
                    }
                    _ => self.runs.push(segment),
                }
            }
        }
    }

    /// The sizes of the layer.
    #[inline]
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Fails unless `len` values are a row of p, there is such a state and p is not lost.
    pub(crate) fn check_row(&self, lost: bool, state: usize, len: usize) -> Result<(), Error> {
        check_length("row of sensitivities", self.weights, len)?;
        let states = self.layout.states();
        if state >= states {
            return Err(Error::State { states, got: state });
        }
        if lost { Err(Error::Lost) } else { Ok(()) }
    }

    /// Number of weights that learn, q.
    pub(crate) fn weights(&self) -> usize {
        self.weights
    }

    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.ends.len()
    }

    /// The runs of columns in panel `panel`, by lane.
    #[inline]
    pub(crate) fn segments(&self, panel: usize) -> &[Segment] {
        let start = if panel == 0 { 0 } else { self.ends[panel - 1] };
        &self.segments[start..self.ends[panel]]
    }

    /// The runs of columns, with lanes counted through all panels.
    pub(crate) fn runs(&self) -> &[Segment] {
        &self.runs
    }

    /// The panels that begin with weight row `row`.
    pub(crate) fn panels_of_row(&self, row: usize) -> Range<usize> {
        self.starts[row]..self.starts[row + 1]
    }

    /// The weight row of the first column of panel `panel`.
    #[inline]
    pub(crate) fn row_of_panel(&self, panel: usize) -> usize {
        self.segments(panel)[0].row
    }

    /// Writes the negative of each weight's sum to its place in a matrix of weights. Zeros become
    /// +0 in all loops. If every weight learns and rows are padded to whole rows of lanes, the
    /// padding becomes 0.
    pub(crate) fn read_negative<T: Real>(
        &self,
        isa: Isa,
        sums: &[T],
        into: &mut [T],
        stride: usize,
    ) {
        let (rows, columns) = (self.layout.rows(), self.layout.widest());
        match self.row_len {
            // Sums and matrix have the same gaps: none.
            Some(row_len) if stride == columns && row_len == columns => {
                read_negative_rows(isa, sums, &mut into[..rows * columns]);
            }
            Some(row_len) if columns > 0 && stride == columns.next_multiple_of(T::LANES) => {
                // A row is read together with the values after it, of which there may be too few
                // at the end.
                let mut whole = rows;
                while whole > 0
                    && (sums.len() < (whole - 1) * row_len + stride || into.len() < whole * stride)
                {
                    whole -= 1;
                }
                let (into, below) = into.split_at_mut(whole * stride);
                T::run::<ReadNegativeLoop>(
                    isa,
                    ReadNegative { sums, row_len, columns, stride, into },
                );
                for row in whole..rows {
                    let into = below[(row - whole) * stride..].iter_mut();
                    for (into, &sum) in into.zip(&sums[row * row_len..][..columns]) {
                        *into = T::ZERO - sum;
                    }
                }
            }
            _ => self.scatter_negative(isa, sums, into, stride),
        }
    }

    /// Writes the negative of each weight's sum to its place in a matrix of weights.
    fn scatter_negative<T: Real>(&self, isa: Isa, sums: &[T], into: &mut [T], stride: usize) {
        let placement = self;
        T::run::<ScatterNegativeLoop>(isa, ScatterNegative { placement, sums, stride, into });
    }

    /// Copies the lanes that hold a column, from `panels` (a row of lanes of each panel) to `row`.
    pub(crate) fn gather<'a, T: Real>(&self, panels: impl Iterator<Item = &'a [T]>, row: &mut [T]) {
        let mut rest = row;
        for (panel, lanes) in panels.enumerate().take(self.panels()) {
            let (row, behind) = rest.split_at_mut(self.width(panel));
            row.copy_from_slice(&lanes[..row.len()]);
            rest = behind;
        }
    }

    /// The inverse of [`Placement::gather`].
    pub(crate) fn spread<'a, T: Real>(&self, row: &[T], panels: impl Iterator<Item = &'a mut [T]>) {
        let mut rest = row;
        for (panel, lanes) in panels.enumerate().take(self.panels()) {
            let (row, behind) = rest.split_at(self.width(panel));
            lanes[..row.len()].copy_from_slice(row);
            rest = behind;
        }
    }

    /// Number of columns in panel `panel`; the lanes after them are padding.
    pub(crate) fn width(&self, panel: usize) -> usize {
        self.segments(panel).last().map_or(0, |last| last.end())
    }
}

/// `into = 0 - sums`, where a matrix has its weights in the lanes of their sums. Sums of padding
/// must be 0.
pub(crate) fn read_negative_rows<T: Real>(isa: Isa, sums: &[T], into: &mut [T]) {
    let sums = &sums[..into.len()];
    T::run::<NegateLoop>(isa, Negate { sums, into });
}

/// Rows of sums, every `row_len` sums one, on their way to padded rows.
pub(crate) struct ReadNegative<'a, T> {
    sums: &'a [T],
    row_len: usize,
    columns: usize,
    stride: usize,
    into: &'a mut [T],
}

compiled!(pub(crate) ReadNegativeLoop: ReadNegative -> ());

impl<T: Real> Work for ReadNegative<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        let &mut Self { sums, row_len, columns, stride, ref mut into } = self;
        let (zero, minus_one) = (T::splat(simd, T::ZERO), T::splat(simd, -T::ONE));
        // The values after a row are read and multiplied by 0.
        let negated = T::LANES - (stride - columns);
        let factors = T::vectors::<S>(&T::NEGATE_SOME[16 - negated..][..T::LANES]);
        for (row, into) in into.chunks_exact_mut(stride).enumerate() {
            let sums = &sums[row * row_len..][..stride];
            let (into, last_into) = into.split_at_mut(stride - T::LANES);
            let (sums, last_sums) = sums.split_at(stride - T::LANES);
            let places = T::vectors_mut::<S>(into).iter_mut();
            for (into, &sum) in places.zip(T::vectors::<S>(sums)) {
                *into = T::fused(simd, sum, minus_one, zero);
            }
            let last = T::vectors::<S>(last_sums).iter().zip(factors);
            for (into, (&sum, &factor)) in T::vectors_mut::<S>(last_into).iter_mut().zip(last) {
                *into = T::fused(simd, sum, factor, zero);
            }
        }
    }
}

/// Sums on their way to rows of which any weights may be missing.
pub(crate) struct ScatterNegative<'a, T> {
    placement: &'a Placement,
    sums: &'a [T],
    stride: usize,
    into: &'a mut [T],
}

compiled!(pub(crate) ScatterNegativeLoop: ScatterNegative -> ());

impl<T: Real> Work for ScatterNegative<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        let Self { placement, sums, stride, into } = self;
        for run in &placement.runs {
            let into = &mut into[run.row * *stride + run.column..][..run.len];
            let sums = &sums[run.lane..][..run.len];
            match (&mut *into, sums) {
                // With a mask that leaves out every other weight, say.
                ([into], &[sum]) => *into = T::ZERO - sum,
                _ => negate(simd, sums, into),
            }
        }
    }
}

/// Sums on their way to a matrix that has them in the same order, without gaps.
pub(crate) struct Negate<'a, T> {
    sums: &'a [T],
    into: &'a mut [T],
}

compiled!(pub(crate) NegateLoop: Negate -> ());

impl<T: Real> Work for Negate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        negate(simd, self.sums, self.into);
    }
}

/// `into = 0 - sums`, as long as `into` is.
#[inline(always)]
fn negate<S: Simd, T: Real>(simd: S, sums: &[T], into: &mut [T]) {
    let (zero, minus_one) = (T::splat(simd, T::ZERO), T::splat(simd, -T::ONE));
    let (len, lanes) = (into.len(), lanes::<S, T>());
    for (into, &sum) in T::vectors_mut::<S>(into).iter_mut().zip(T::vectors::<S>(sums)) {
        *into = T::fused(simd, sum, minus_one, zero);
    }
    if len % lanes > 0 {
        // The last register overlaps the one before it.
        let last = len.saturating_sub(lanes);
        let sum = load::<S, T>(simd, &sums[..len], last);
        store::<S, T>(simd, into, last, T::fused(simd, sum, minus_one, zero));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;

    #[test]
    fn columns_keep_the_order_of_the_weights_and_segments_never_straddle_a_panel_or_a_row() {
        let layout = Layout::simple(3, 5).unwrap();
        let mut learns = [true; 15];
        learns[6] = false;
        let placement = Placement::dense(&layout, &learns, 8).unwrap();
        assert_eq!((placement.weights(), placement.panels()), (14, 2));
        let runs = |panel| {
            let list = placement.segments(panel).iter();
            list.map(|s| (s.row, s.column, s.lane, s.len)).collect::<Vec<_>>()
        };
        assert_eq!(runs(0), [(0, 0, 0, 5), (1, 0, 5, 1), (1, 2, 6, 2)]);
        assert_eq!(runs(1), [(1, 4, 0, 1), (2, 0, 1, 5)]);
        assert_eq!((placement.width(0), placement.width(1)), (8, 6));
    }

    #[test]
    fn packed_by_row_no_panel_holds_two_rows() {
        let layout = Layout::simple(3, 5).unwrap();
        let mut learns = [true; 15];
        learns[6] = false;
        let placement = Placement::by_row(&layout, &learns, 4).unwrap();
        let runs = |panel| {
            let list = placement.segments(panel).iter();
            list.map(|s| (s.row, s.column, s.lane, s.len)).collect::<Vec<_>>()
        };
        assert_eq!((placement.weights(), placement.panels()), (14, 5));
        assert_eq!(runs(0), [(0, 0, 0, 4)]);
        assert_eq!(runs(1), [(0, 4, 0, 1)]);
        assert_eq!(runs(2), [(1, 0, 0, 1), (1, 2, 1, 3)]);
        assert_eq!(runs(3), [(2, 0, 0, 4)]);
        assert_eq!(placement.width(4), 1);
        assert_eq!((placement.panels_of_row(0), placement.panels_of_row(1)), (0..2, 2..3));
    }

    /// Negatives in the order of the weights, 0 where they are padding or do not learn, whatever
    /// loop reads them; and no value after the matrix changes.
    #[test]
    fn sums_go_to_their_weights_with_any_stride_and_mask() {
        for (rows, columns) in [(1, 1), (4, 9), (5, 3), (3, 16), (6, 25)] {
            let layout = Layout::simple(rows, columns).unwrap();
            let masks = [1, 2, 7].map(|every| {
                (0..rows * columns).map(|w| every == 1 || w % every != 0).collect::<Vec<_>>()
            });
            let strides = [columns.next_multiple_of(16), columns, columns + 3];
            for (learns, stride) in masks.iter().flat_map(|mask| strides.map(|s| (mask, s))) {
                for pack in [Placement::dense, Placement::by_row] {
                    let placement = pack(&layout, learns, 16).unwrap();
                    let sums: Vec<f32> =
                        (1u8..=200).map(f32::from).take(placement.panels() * 16).collect();
                    let mut row = vec![0.0; placement.weights()];
                    placement.gather(sums.chunks_exact(16), &mut row);
                    let mut values = row.iter().map(|sum| -sum);
                    let mut expected = vec![0.0; rows * stride];
                    for w in (0..rows * columns).filter(|&w| learns[w]) {
                        expected[w / columns * stride + w % columns] = values.next().unwrap();
                    }
                    expected.extend([5.0; 40]);
                    for isa in tested::sets() {
                        let mut got = vec![0.0; rows * stride];
                        got.extend([5.0; 40]);
                        placement.read_negative(isa, &sums, &mut got[..rows * stride], stride);
                        assert_eq!(got, expected, "{rows} x {columns} of {stride} on {isa}");
                        placement.read_negative(isa, &sums, &mut got, stride);
                        assert_eq!(got, expected, "{rows} x {columns} of {stride} on {isa}");
                    }
                }
            }
        }
    }

    #[test]
    fn no_learning_weight_means_no_panel() {
        let placement = Placement::dense(&Layout::simple(2, 3).unwrap(), &[false; 6], 16).unwrap();
        assert_eq!((placement.weights(), placement.panels()), (0, 0));
    }
}
