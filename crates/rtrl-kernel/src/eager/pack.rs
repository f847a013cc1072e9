//! The Jacobian of one step, packed for the inner loops of `tile.rs`.
//!
//! Rows of p that have not been computed, and so are 0, or that belong to forced units, are not
//! read; rows with slope 0 and nothing on the diagonal are not computed. The other rows are divided
//! into strips, one tile of rows each:
//!
//! ```text
//! whole    coefficients[l][r] = J[k][l]        for every l that is read
//! shared   coefficients[e][r], from[e]         for the l that some row of the strip needs
//! own      coefficients[e][r], from[e][r]      for the coefficients that are not 0
//! ```
//!
//! Four neighbours share a list where they have zeros in the same columns: rows of an LSTM see the
//! outputs of all units but only their own cells, and rows of a layer see no other layer but the
//! one below. Where the next four have the same list, all eight are one strip, if the registers
//! suffice.
//!
//! A row is sparse if few of its coefficients differ from 0, for example if most connections are
//! absent. Sparse rows share a list only if it is no longer than each of their own. Otherwise each
//! row of the strip has its own list; all lists are as long as the longest, with zeros at the end.
//! Rows are sorted by their number of coefficients, so few such zeros are needed.
//!
//! Omitting or adding zero coefficients changes no sum: p is finite, so the product is +-0, and x
//! +-0 = x for any x except -0. A sum starts from +0 and is -0 only if a product has underflowed.
//! Another zero coefficient may then make it +0, which compares equal and changes only the signs of
//! other zeros. Which coefficients are omitted depends only on the numbers, not on the machine, so
//! even those signs are the same everywhere.

use bytemuck::Zeroable;
use bytemuck::allocation::try_zeroed_vec;
use pulp::Simd;

use super::lists::{fill_own, fill_shared, list_row, list_union};
use crate::error::Error;
use crate::layout::Drive;
use crate::simd::{Isa, Real, Work, compiled};
use crate::step::Step;

/// Heights of the strips for which lists are made: 4 rows of 2 registers hide the latency. They are
/// those of every instruction set, since the columns that are left out depend on them.
const LISTED_HEIGHTS: &[usize] = &[4, 2, 1];

/// A row is sparse if at most this many in [`SPARSE_OF`] of the coefficients that are read differ
/// from 0: a multiply-add of a sparse tile loads its operand and a place, and takes twice the time
/// of a dense one.
const SPARSE_MOST: usize = 3;

/// See [`SPARSE_MOST`].
const SPARSE_OF: usize = 8;

/// Neighbours share a list if at most this many in [`SHARED_OF`] of the columns that are read are
/// in it: tiles of whole rows are higher, and take a little less time for each multiply-add.
const SHARED_MOST: usize = 7;

/// See [`SHARED_MOST`].
const SHARED_OF: usize = 8;

/// Heights of strips of whole rows for an instruction set.
///
/// The first is the height of a tile, as high as the registers allow: AVX2 has 16, of which 6 x 2
/// hold sums, 2 the old row, 1 a coefficient and 1 is left; the others have 32. What remains of the
/// rows is taken by the largest that fits, so that no strip is padded.
fn whole_heights(isa: Isa) -> &'static [usize] {
    if isa.name() == "v3" { &[6, 4, 2, 1] } else { &[8, 4, 2, 1] }
}

/// Rows of p that are computed together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strip {
    /// Number of rows.
    pub(crate) height: usize,
    /// Coefficients of each.
    pub(crate) len: usize,
    pub(crate) columns: Columns,
}

/// Which old rows a strip reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    /// All that are read.
    Whole,
    /// Those of one list.
    Shared,
    /// Those of its own list for each row.
    Own,
}

/// What the inner loops need of a step, in buffers that are used again.
#[derive(Debug, Clone)]
pub(crate) struct Packing<T> {
    /// Rows of p that are read: computed, and not those of a forced unit.
    pub(crate) read: Vec<usize>,
    /// Rows of p that are computed.
    pub(crate) written: Vec<usize>,
    /// Rows of p that are not computed and become zero.
    pub(crate) cleared: Vec<usize>,
    /// e(t + 1) of the rows in `written`, zeros where there is no target.
    pub(crate) error: Vec<T>,
    /// The rows in `written`, strip by strip.
    pub(crate) order: Vec<usize>,
    pub(crate) strips: Vec<Strip>,
    /// The coefficients of the strips.
    pub(crate) coefficients: Vec<T>,
    /// The lists, strip by strip: places among the rows that are read.
    pub(crate) from: Vec<u32>,
    /// The Jacobian as if no unit had been forced, row by row.
    jacobian: Vec<T>,
    /// Whether a weight row drives a state with a factor other than 0.
    driven: Vec<bool>,
    /// Coefficients of each row of the Jacobian that are not 0, forced columns included.
    counts: Vec<usize>,
    /// `written` at the step before.
    previous: Vec<usize>,
    /// Whether the strips and `from` are those of `written` with all rows read.
    complete: bool,
    whole_heights: &'static [usize],
}

/// A `states` x `states` matrix of zeros.
fn square<V: Zeroable>(states: usize) -> Result<Vec<V>, Error> {
    let count = states as u128 * states as u128;
    let zeros = usize::try_from(count).ok().and_then(|count| try_zeroed_vec(count).ok());
    zeros.ok_or(Error::Memory { bytes: count.saturating_mul(size_of::<V>() as u128) })
}

impl<T: Real> Packing<T> {
    /// Room for the steps of `states` units.
    ///
    /// # Errors
    /// [`Error::Memory`] if the Jacobian does not fit in memory.
    pub(crate) fn new(states: usize, isa: Isa) -> Result<Self, Error> {
        let rows = || Vec::with_capacity(states);
        Ok(Self {
            read: rows(),
            written: rows(),
            cleared: rows(),
            error: Vec::with_capacity(states),
            order: rows(),
            strips: Vec::with_capacity(states),
            coefficients: square(states)?,
            from: square(states)?,
            jacobian: square(states)?,
            driven: vec![false; states],
            counts: vec![0; states],
            previous: rows(),
            complete: false,
            whole_heights: whole_heights(isa),
        })
    }

    /// Packs a step. `skipped` tells which rows of p have not been computed and are 0, and is
    /// brought up to date.
    pub(crate) fn pack(
        &mut self,
        isa: Isa,
        drives: &[Drive],
        step: &Step<'_, T>,
        error: Option<&[T]>,
        skipped: &mut [bool],
    ) {
        self.choose_rows(drives, step, error, skipped);
        T::run::<PackLoop>(isa, Pack { packing: self, step });
    }

    /// Decides which rows are read, computed and cleared.
    fn choose_rows(
        &mut self,
        drives: &[Drive],
        step: &Step<'_, T>,
        error: Option<&[T]>,
        skipped: &mut [bool],
    ) {
        let n = skipped.len();
        self.driven.fill(false);
        for (drive, &injection) in drives.iter().zip(step.injection) {
            self.driven[drive.state as usize] |= injection != T::ZERO;
        }
        self.read.clear();
        self.read.extend((0..n).filter(|&l| !step.forced[l] && !skipped[l]));
        std::mem::swap(&mut self.written, &mut self.previous);
        self.written.clear();
        self.cleared.clear();
        self.error.clear();
        for (k, skipped) in skipped.iter_mut().enumerate() {
            *skipped = !self.driven[k] && step.jacobian.is_zero(k);
            if *skipped {
                self.cleared.push(k);
            } else {
                self.written.push(k);
                self.error.push(error.map_or(T::ZERO, |error| error[k]));
            }
        }
    }

    /// Forms the Jacobian and counts its coefficients that are not 0. Returns whether there are as
    /// many as before.
    #[inline(always)]
    fn form(&mut self, step: &Step<'_, T>) -> bool {
        let mut same = true;
        let rows = self.jacobian.chunks_exact_mut(self.counts.len());
        let mut counts = self.counts.iter_mut();
        step.jacobian.write(rows, |row| {
            let mut present = 0u32;
            for &mut coefficient in row {
                present += u32::from(coefficient != T::ZERO);
            }
            let Some(count) = counts.next() else { return };
            same &= *count == present as usize;
            *count = present as usize;
        });
        same
    }

    /// Divides the rows that are computed into strips, and lists their columns.
    #[inline(always)]
    fn divide(&mut self) {
        let Self { read, written, order, counts, strips, from, jacobian, whole_heights, .. } = self;
        let most = read.len() * SPARSE_MOST / SPARSE_OF;
        order.clear();
        order.extend(written.iter().copied().filter(|&k| counts[k] > most));
        let dense = order.len();
        order.extend(written.iter().copied().filter(|&k| counts[k] <= most));
        order[dense..].sort_unstable_by_key(|&k| (counts[k], k));
        strips.clear();
        let mut lists = Lists { from, last: 0, next: 0, tallest: whole_heights[0] };
        let values = |k: usize| &jacobian[k * counts.len()..][..counts.len()];
        let (mut whole, mut done) = (0, 0);
        while done < dense {
            let height = strip_height(LISTED_HEIGHTS, dense - done);
            let rows = &order[done..done + height];
            let len = list_union(jacobian, counts.len(), (rows, read.as_slice()), lists.free());
            if len * SHARED_OF <= read.len() * SHARED_MOST {
                push_whole(strips, whole_heights, done - whole, read.len());
                lists.share(strips, height, len);
                whole = done + height;
            }
            done += height;
        }
        push_whole(strips, whole_heights, done - whole, read.len());
        while done < order.len() {
            let height = strip_height(LISTED_HEIGHTS, order.len() - done);
            let rows = &order[done..done + height];
            // They are sorted: the last of a strip is the longest.
            let len = counts[rows[height - 1]];
            let alike = counts[rows[0]] == len
                && list_union(jacobian, counts.len(), (rows, read.as_slice()), lists.free()) == len;
            if alike {
                lists.share(strips, height, len);
            } else {
                let list = &mut lists.free()[..height * len];
                for (r, &k) in rows.iter().enumerate() {
                    list_row(values(k), read, list, (r, height));
                }
                strips.push(Strip { height, len, columns: Columns::Own });
                lists.next += height * len;
            }
            done += height;
        }
    }

    /// Packs the coefficients of every strip. Returns whether the lists hold, if all rows are read.
    #[inline(always)]
    fn fill(&mut self) -> bool {
        let Self { read, order, strips, coefficients, from, jacobian, counts, .. } = self;
        let (mut coefficients, mut from) = (coefficients.as_mut_slice(), from.as_slice());
        let mut rows = order.as_slice();
        let mut hold = true;
        for &Strip { height, len, columns } in &*strips {
            let (strip, below) = rows.split_at(height);
            let (place, rest) = coefficients.split_at_mut(height * len);
            (rows, coefficients) = (below, rest);
            match columns {
                Columns::Whole => match height {
                    8 => fill_whole::<T, 8>(jacobian, counts.len(), read, strip, place),
                    6 => fill_whole::<T, 6>(jacobian, counts.len(), read, strip, place),
                    4 => fill_whole::<T, 4>(jacobian, counts.len(), read, strip, place),
                    2 => fill_whole::<T, 2>(jacobian, counts.len(), read, strip, place),
                    _ => fill_whole::<T, 1>(jacobian, counts.len(), read, strip, place),
                },
                Columns::Shared => {
                    let (list, rest) = from.split_at(len);
                    from = rest;
                    hold &= match height {
                        8 => fill_shared::<T, 8>(jacobian, counts, (read, list), strip, place),
                        4 => fill_shared::<T, 4>(jacobian, counts, (read, list), strip, place),
                        2 => fill_shared::<T, 2>(jacobian, counts, (read, list), strip, place),
                        _ => fill_shared::<T, 1>(jacobian, counts, (read, list), strip, place),
                    };
                }
                Columns::Own => {
                    let (list, rest) = from.split_at(height * len);
                    from = rest;
                    for (r, &k) in strip.iter().enumerate() {
                        let values = &jacobian[k * counts.len()..][..counts.len()];
                        hold &= fill_own(values, read, counts[k], place, list, (r, height));
                    }
                }
            }
        }
        hold
    }
}

/// The lists of the strips, one after the other.
struct Lists<'a> {
    from: &'a mut [u32],
    /// Where the list of the last strip with a shared one begins, and where the next list will.
    last: usize,
    next: usize,
    /// The height of the tallest tile.
    tallest: usize,
}

impl Lists<'_> {
    /// Room for the next list.
    #[inline(always)]
    fn free(&mut self) -> &mut [u32] {
        &mut self.from[self.next..]
    }

    /// A strip of `height` rows with the list of `len` columns that stands in the free room. Where
    /// the strip before it has the same one, they become one strip, if there is a tile for it.
    #[inline(always)]
    fn share(&mut self, strips: &mut Vec<Strip>, height: usize, len: usize) {
        let same = |strip: &&mut Strip| {
            let columns = [self.last, self.next].map(|start| &self.from[start..start + len]);
            strip.columns == Columns::Shared
                && strip.len == len
                && (strip.height, height, self.tallest) == (4, 4, 8)
                && columns[0] == columns[1]
        };
        if let Some(strip) = strips.last_mut().filter(same) {
            strip.height = 8;
            return;
        }
        strips.push(Strip { height, len, columns: Columns::Shared });
        (self.last, self.next) = (self.next, self.next + len);
    }
}

/// Strips for `rows` rows that are read whole.
#[inline(always)]
fn push_whole(strips: &mut Vec<Strip>, heights: &[usize], mut rows: usize, len: usize) {
    while rows > 0 {
        let height = strip_height(heights, rows);
        strips.push(Strip { height, len, columns: Columns::Whole });
        rows -= height;
    }
}

/// Height of the strip that starts with `rows` rows still to come.
#[inline(always)]
fn strip_height(heights: &[usize], rows: usize) -> usize {
    heights.iter().copied().find(|&height| height <= rows).unwrap_or(1)
}

/// The part of the packing that goes over the whole matrix, for an instruction set.
pub(crate) struct Pack<'a, T> {
    packing: &'a mut Packing<T>,
    step: &'a Step<'a, T>,
}

compiled!(pub(crate) PackLoop: Pack -> ());

impl<T: Real> Work for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, _: S) {
        let Self { packing, step } = self;
        // Which coefficients are 0 seldom changes. Where a row has as many others as before, and
        // those that were not 0 still are not, the lists are still right.
        let all = packing.read.len() == packing.counts.len();
        let same = packing.form(step) && packing.written == packing.previous;
        let listed = same && all && packing.complete;
        packing.complete = all;
        if !(listed && packing.fill()) {
            packing.divide();
            packing.fill();
        }
    }
}

/// `strip[l][r] = J[k][l]`
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn fill_whole<T: Real, const MR: usize>(
    jacobian: &[T],
    states: usize,
    read: &[usize],
    rows: &[usize],
    strip: &mut [T],
) {
    let rows: [&[T]; MR] = std::array::from_fn(|r| &jacobian[rows[r] * states..][..states]);
    for (place, &l) in strip.as_chunks_mut::<MR>().0.iter_mut().zip(read) {
        for r in 0..MR {
            place[r] = rows[r][l];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jacobian::Jacobian;

    const N: usize = 24;

    /// A packing of rows with three weights each, and the places that it lists for row 0.
    fn pack(
        packing: &mut Packing<f64>,
        places: [usize; 3],
        diagonal: Option<&[f64]>,
        forced: &[bool; N],
    ) -> Vec<(u32, f64)> {
        let mut weights = [0.0; N * N];
        for k in 0..N {
            for (weight, place) in [2.0, 3.0, 4.0].into_iter().zip(places) {
                weights[k * N + (place + k) % N] = weight;
            }
        }
        let step = Step {
            jacobian: Jacobian::scaled(&weights, N, &[0.5; N]).with_diagonal(diagonal),
            injection: &[0.0; N],
            z: &[],
            forced,
        };
        packing.pack(Isa::best(), &[], &step, None, &mut [false; N]);
        assert!(packing.strips.iter().all(|strip| strip.columns == Columns::Own && strip.len == 3));
        assert_eq!(packing.order[0], 0);
        let list = packing.from.iter().zip(&packing.coefficients).step_by(4).take(3);
        list.map(|(&from, &coefficient)| (from, coefficient)).collect()
    }

    /// Neither more numbers than can be counted, nor more bytes.
    #[test]
    fn a_jacobian_that_does_not_fit_in_memory_is_refused() {
        for exponent in [31, 40] {
            let refused = square::<f32>(1 << exponent).err();
            assert_eq!(refused, Some(Error::Memory { bytes: 4 << (2 * exponent) }));
        }
    }

    #[test]
    fn lists_follow_the_weights_and_the_forced_units() {
        let mut packing = Packing::new(N, Isa::best()).unwrap();
        let free = [false; N];
        let expected = [(1, 1.0), (5, 1.5), (9, 2.0)];
        for _ in 0..2 {
            assert_eq!(pack(&mut packing, [1, 5, 9], None, &free), expected);
            assert!(packing.complete);
        }
        // As many weights as before, at other places.
        assert_eq!(pack(&mut packing, [1, 6, 9], None, &free), [(1, 1.0), (6, 1.5), (9, 2.0)]);
        let mut forced = free;
        (forced[0], forced[6]) = (true, true);
        // Old rows are counted without those of forced units; the list ends with a zero.
        assert_eq!(pack(&mut packing, [1, 6, 9], None, &forced), [(0, 1.0), (7, 2.0), (0, 0.0)]);
        assert_eq!(pack(&mut packing, [1, 6, 9], None, &free), [(1, 1.0), (6, 1.5), (9, 2.0)]);
    }

    /// Blocks of 12 units, and of 3, which are sparse: rows of a block have the same columns.
    #[test]
    fn neighbours_with_the_same_columns_share_a_list() {
        for isa in crate::simd::tested::sets() {
            for (block, len) in [(12, 12), (8, 8), (3, 3)] {
                let weight = |i: usize| if i / N / block == i % N / block { 2.0 } else { 0.0 };
                let weights: Vec<f64> = (0..N * N).map(weight).collect();
                let step = Step {
                    jacobian: Jacobian::scaled(&weights, N, &[0.5; N]),
                    injection: &[0.0; N],
                    z: &[],
                    forced: &[false; N],
                };
                let mut packing = Packing::new(N, isa).unwrap();
                packing.pack(isa, &[], &step, None, &mut [false; N]);
                let strips = packing.strips.iter().map(|strip| (strip.height, strip.columns));
                // The registers of AVX2 suffice for 4 rows.
                let heights: &[usize] = match block {
                    12 if isa.name() != "v3" => &[8, 4, 8, 4],
                    8 if isa.name() != "v3" => &[8; 3],
                    _ => &[4; 6],
                };
                let shares = if block == 3 { Columns::Own } else { Columns::Shared };
                let expected = heights.iter().map(|&height| (height, shares));
                assert!(strips.eq(expected), "{block}, {isa}: {:?}", packing.strips);
                assert!(packing.strips.iter().all(|strip| strip.len == len));
            }
        }
    }

    #[test]
    fn lists_follow_the_diagonal() {
        let mut packing = Packing::new(N, Isa::best()).unwrap();
        let free = [false; N];
        let diagonal = Some([0.25; N].as_slice());
        // Two weights and the diagonal, then three weights: as many coefficients, at other places.
        for _ in 0..2 {
            let expected = [(0, 0.25), (5, 1.5), (9, 2.0)];
            assert_eq!(pack(&mut packing, [5, 5, 9], diagonal, &free), expected);
            let expected = [(1, 1.0), (5, 1.5), (9, 2.0)];
            assert_eq!(pack(&mut packing, [1, 5, 9], None, &free), expected);
        }
        // A weight on the diagonal, with and without it.
        let expected = |own| [(0, own), (5, 1.5), (9, 2.0)];
        assert_eq!(pack(&mut packing, [0, 5, 9], None, &free), expected(1.0));
        assert_eq!(pack(&mut packing, [0, 5, 9], diagonal, &free), expected(1.25));
        assert!(packing.complete);
        // Old rows are counted without that of the forced unit, whose own coefficient is not read.
        let mut forced = free;
        forced[0] = true;
        let expected = [(4, 1.5), (8, 2.0), (0, 0.0)];
        assert_eq!(pack(&mut packing, [0, 5, 9], diagonal, &forced), expected);
    }

    #[test]
    fn a_row_that_only_the_diagonal_keeps_is_computed() {
        let (weights, nothing, mut diagonal) = ([1.0; N * N], [0.0; N], [0.0; N]);
        diagonal[3] = 0.5;
        let step = Step {
            jacobian: Jacobian::scaled(&weights, N, &nothing).with_diagonal(Some(&diagonal)),
            injection: &nothing,
            z: &[],
            forced: &[false; N],
        };
        let (mut packing, mut zero) = (Packing::<f64>::new(N, Isa::best()).unwrap(), [false; N]);
        packing.pack(Isa::best(), &[], &step, None, &mut zero);
        assert_eq!((packing.written.as_slice(), zero[3], zero[4]), ([3].as_slice(), false, true));
    }

    #[test]
    fn rows_with_most_of_their_weights_are_dense() {
        let mut packing = Packing::<f32>::new(N, Isa::scalar()).unwrap();
        let mut weights = [1.0; N * N];
        // The last 7 rows keep 9 of 24 weights, the most that a sparse row may have, in the same
        // columns.
        for row in weights.chunks_mut(N).skip(N - 7) {
            row[9..].fill(0.0);
        }
        let step = Step {
            jacobian: Jacobian::scaled(&weights, N, &[1.0; N]),
            injection: &[0.0; N],
            z: &[],
            forced: &[false; N],
        };
        packing.pack(Isa::scalar(), &[], &step, None, &mut [false; N]);
        let strips =
            packing.strips.iter().map(|s| (s.height, s.len, s.columns)).collect::<Vec<_>>();
        let dense = [8, 8, 1].map(|height| (height, N, Columns::Whole));
        let sparse = [4, 2, 1].map(|height| (height, 9, Columns::Shared));
        assert_eq!(strips, [dense, sparse].concat());
    }

    /// Strips of rows that see the first half of all rows and themselves, like the cells of an
    /// LSTM.
    fn pack_cells(packing: &mut Packing<f64>, weights: &[f64], forced: &[bool; N]) -> Vec<Strip> {
        let (scale, diagonal) = ([0.5; N], [0.25; N]);
        let step = Step {
            jacobian: Jacobian::scaled(weights, N, &scale).with_diagonal(Some(&diagonal)),
            injection: &[0.0; N],
            z: &[],
            forced,
        };
        packing.pack(Isa::scalar(), &[], &step, None, &mut [false; N]);
        let mut coefficients = packing.coefficients.as_slice();
        let (mut list, mut rows) = (packing.from.as_slice(), packing.order.as_slice());
        for &Strip { height, len, columns } in &packing.strips {
            assert_eq!(columns, Columns::Shared);
            for (e, values) in coefficients.chunks(height).take(len).enumerate() {
                for (value, &k) in values.iter().zip(rows) {
                    let l = packing.read[list[e] as usize];
                    assert_eq!(*value, step.jacobian.coefficient(k, l), "J[{k}][{l}]");
                }
            }
            coefficients = &coefficients[height * len..];
            (list, rows) = (&list[len..], &rows[height..]);
        }
        packing.strips.clone()
    }

    #[test]
    fn neighbours_share_the_columns_that_one_of_them_needs() {
        let mut packing = Packing::new(N, Isa::scalar()).unwrap();
        let mut weights = [0.0; N * N];
        weights.chunks_mut(N).for_each(|row| row[..N / 2].fill(2.0));
        let free = [false; N];
        let lens = |strips: Vec<Strip>| strips.iter().map(|strip| strip.len).collect::<Vec<_>>();
        for _ in 0..2 {
            let expected = [12, 12, 16, 16, 16];
            assert_eq!(lens(pack_cells(&mut packing, &weights, &free)), expected);
        }
        // As many coefficients in each row, one of them in a column that was not needed.
        (weights[1], weights[N - 1]) = (0.0, 2.0);
        for _ in 0..2 {
            let expected = [13, 12, 16, 16, 16];
            assert_eq!(lens(pack_cells(&mut packing, &weights, &free)), expected);
        }
        // As many coefficients in each row, but one column is no longer needed.
        (weights[1], weights[N - 1]) = (2.0, 0.0);
        assert_eq!(lens(pack_cells(&mut packing, &weights, &free))[0], 12);
        let mut forced = free;
        (forced[1], forced[13]) = (true, true);
        let expected = [11, 11, 14, 15, 15];
        assert_eq!(lens(pack_cells(&mut packing, &weights, &forced)), expected);
    }
}
