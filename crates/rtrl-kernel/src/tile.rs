//! The inner loops: one part of the panels through one time step.
//!
//! For a group of panels that fills the registers:
//!
//! 1. copy the old rows that take part into a scratch (p is updated in place);
//! 2. strip by strip of the Jacobian, a tile of MR rows x NV registers:
//!    `acc[r][v] = sum over l of J[k + r][l] * old[l][v]`, l ascending, each step one fused
//!    multiply-add, then stored over row k + r;
//! 3. add the immediate influence to the few rows that have one in these panels;
//! 4. while the panels are hot, their part of the gradient: `sum over k of e[k] * p[k]`, k ascending.
//!
//! ```text
//! registers of a tile, AVX-512 (MR = 8, NV = 2, a group is 2 panels): 16 + 2 + 1
//!            old[l]: b0 b1           one load each
//! J[k  ][l] splat a: c00 c01         16 accumulators
//! J[k+1][l] splat a: c10 c11
//!   ...              ...
//! J[k+7][l] splat a: c70 c71
//! ```
//!
//! Small layers take the path of `small.rs`, in which the old rows stay in registers.
//!
//! Every function here is inlined into one that pulp compiles for an instruction set; anything that is
//! not (a closure without `#[inline(always)]`, say) would silently lose the set and run a hundred times
//! slower.

use pulp::{Simd, WithSimd};

use crate::columns::Columns;
use crate::immediate::Immediate;
use crate::small;
use crate::{Isa, Real, Step};

/// Panels that are worked on together at most.
pub(crate) const GROUP: usize = 2;

/// Heights of the strips of the Jacobian, for an instruction set.
///
/// The first is the height of a tile, as high as the registers allow: AVX2 has 16, of which 6 x 2 hold
/// sums, 2 the old row, 1 a coefficient and 1 is left; the others have 32. What remains of the rows is
/// taken by the largest that fits, so that no strip is padded.
pub(crate) fn strip_heights(isa: Isa) -> &'static [usize] {
    if isa.name() == "v3" { &[6, 4, 2, 1] } else { &[8, 4, 2, 1] }
}

/// Height of the strip that starts with `rows` rows still to come.
#[inline(always)]
pub(crate) fn strip_height(heights: &[usize], rows: usize) -> usize {
    heights.iter().copied().find(|&height| height <= rows).unwrap_or(1)
}

/// What all panels need of one step.
#[derive(Debug)]
pub(crate) struct Packed<'a, T> {
    pub(crate) columns: &'a Columns,
    pub(crate) immediate: &'a Immediate<T>,
    pub(crate) step: &'a Step<'a, T>,
    /// Whether the layer takes the path of `small.rs`, which needs none of the lists below.
    pub(crate) small: bool,
    /// e(t + 1), if there is a target.
    pub(crate) target_error: Option<&'a [T]>,
    /// Rows of p that are read: neither zero nor belonging to a forced unit.
    pub(crate) read: &'a [usize],
    /// Rows of p that are computed: the others become zero.
    pub(crate) written: &'a [usize],
    /// Rows of p that are not computed but may hold something.
    pub(crate) cleared: &'a [usize],
    /// The Jacobian of `written` x `read` in strips; a strip of height h is `[read][h]`.
    pub(crate) jacobian: &'a [T],
    /// Heights of the strips.
    pub(crate) heights: &'a [usize],
    /// e(t + 1) of the rows in `written`, zeros where there is no target.
    pub(crate) error: &'a [T],
    /// Whether the gradient is added to the slots (else it replaces them).
    pub(crate) accumulate: bool,
}

/// One thread's part of the panels.
pub(crate) struct Part<'a, T> {
    pub(crate) packed: &'a Packed<'a, T>,
    /// Number of the first panel of this part.
    pub(crate) first: usize,
    pub(crate) p: &'a mut [T],
    /// The gradient of each column of these panels.
    pub(crate) slots: &'a mut [T],
    /// Room for the old rows of a group, or for the Jacobian of a small layer.
    pub(crate) scratch: &'a mut [T],
}

impl<T: Real> WithSimd for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.packed.small {
            return small::advance(simd, self);
        }
        // Registers in a row of a panel: 64 bytes on every instruction set.
        match 64 / size_of::<T::Vector<S>>() {
            1 => self.advance::<S, GROUP, GROUP>(simd),
            2 => self.advance::<S, 1, 2>(simd),
            _ => self.advance::<S, 1, 4>(simd),
        }
    }
}

impl<T: Real> Part<'_, T> {
    /// Advances all panels, `PANELS` at a time, in tiles `NV` registers wide.
    #[inline(always)]
    fn advance<S: Simd, const PANELS: usize, const NV: usize>(self, simd: S) {
        let Self { packed, first, p, slots, scratch } = self;
        let states = packed.columns.layout().states();
        let panel_len = states * T::LANES;
        let mut groups = p.chunks_exact_mut(PANELS * panel_len);
        let mut slot_groups = slots.chunks_exact_mut(PANELS * T::LANES);
        let mut panel = first;
        for (group, slots) in groups.by_ref().zip(slot_groups.by_ref()) {
            advance_group::<S, T, NV>(simd, packed, panel, group, slots, scratch);
            panel += PANELS;
        }
        let rest = groups.into_remainder().chunks_exact_mut(panel_len);
        let rest_slots = slot_groups.into_remainder().chunks_exact_mut(T::LANES);
        for (group, slots) in rest.zip(rest_slots) {
            // Only AVX-512 has groups of several panels, and there a panel is one register wide.
            advance_group::<S, T, 1>(simd, packed, panel, group, slots, scratch);
            panel += 1;
        }
    }
}

/// Where the registers of a tile lie.
#[derive(Clone, Copy)]
struct Place {
    /// First register of the tile, counted over the rows of all panels in the group.
    first: usize,
    /// Registers in a row of a panel.
    row: usize,
    /// Registers in a panel.
    panel: usize,
    /// First slot of the group.
    slot: usize,
    /// First and last weight row with a column in the group.
    rows: (usize, usize),
}

impl Place {
    /// Index of the tile's register `v` in row `row` of p.
    #[inline(always)]
    fn of(self, row: usize, v: usize) -> usize {
        let register = self.first + v;
        register / self.row * self.panel + row * self.row + register % self.row
    }
}

/// One step for one group of panels: `slots.len() / LANES` of them, the first being panel `panel`.
#[inline(always)]
fn advance_group<S: Simd, T: Real, const NV: usize>(
    simd: S,
    packed: &Packed<'_, T>,
    panel: usize,
    group: &mut [T],
    slots: &mut [T],
    scratch: &mut [T],
) {
    let states = packed.columns.layout().states();
    let row = 64 / size_of::<T::Vector<S>>();
    let rows = packed.immediate.rows(panel, panel + slots.len() / T::LANES - 1);
    let group = T::vectors_mut::<S>(group);
    let slots = T::vectors_mut::<S>(slots);
    for first in (0..slots.len()).step_by(NV) {
        let place = Place { first, row, panel: states * row, slot: panel * T::LANES, rows };
        let old = copy_rows::<S, T, NV>(packed.read, place, group, scratch);
        clear_rows::<S, T, NV>(simd, packed.cleared, place, group);
        advance_tiles::<S, T, NV>(simd, packed, place, group, old);
        add_immediate::<S, T, NV>(simd, packed, place, group);
        gradient::<S, T, NV>(simd, packed, place, group, &mut slots[first..first + NV]);
    }
}

/// Copies the rows that are read out of the way of the new ones.
#[inline(always)]
fn copy_rows<'s, S: Simd, T: Real, const NV: usize>(
    read: &[usize],
    place: Place,
    group: &[T::Vector<S>],
    scratch: &'s mut [T],
) -> &'s [[T::Vector<S>; NV]] {
    let (old, _) = T::vectors_mut::<S>(scratch).as_chunks_mut::<NV>();
    let old = &mut old[..read.len()];
    for (old, &row) in old.iter_mut().zip(read) {
        for (v, old) in old.iter_mut().enumerate() {
            *old = group[place.of(row, v)];
        }
    }
    old
}

/// Sets rows that are not computed to zero.
#[inline(always)]
fn clear_rows<S: Simd, T: Real, const NV: usize>(
    simd: S,
    cleared: &[usize],
    place: Place,
    group: &mut [T::Vector<S>],
) {
    for &row in cleared {
        for v in 0..NV {
            group[place.of(row, v)] = T::splat(simd, T::ZERO);
        }
    }
}

/// `p[k] <- sum over l of J[k][l] old[l]` for every row that is written, strip by strip.
#[inline(always)]
fn advance_tiles<S: Simd, T: Real, const NV: usize>(
    simd: S,
    packed: &Packed<'_, T>,
    place: Place,
    group: &mut [T::Vector<S>],
    old: &[[T::Vector<S>; NV]],
) {
    let mut rows = packed.written;
    let mut jacobian = packed.jacobian;
    while !rows.is_empty() {
        let height = strip_height(packed.heights, rows.len());
        let (strip, strips) = jacobian.split_at(height * packed.read.len());
        let (written, below) = rows.split_at(height);
        match height {
            8 => tile::<S, T, 8, NV>(simd, strip, old, place, written, group),
            6 => tile::<S, T, 6, NV>(simd, strip, old, place, written, group),
            4 => tile::<S, T, 4, NV>(simd, strip, old, place, written, group),
            2 => tile::<S, T, 2, NV>(simd, strip, old, place, written, group),
            _ => tile::<S, T, 1, NV>(simd, strip, old, place, written, group),
        }
        (rows, jacobian) = (below, strips);
    }
}

/// The tile of MR rows and NV registers: the loop in which all the time goes.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn tile<S: Simd, T: Real, const MR: usize, const NV: usize>(
    simd: S,
    strip: &[T],
    old: &[[T::Vector<S>; NV]],
    place: Place,
    written: &[usize],
    group: &mut [T::Vector<S>],
) {
    let mut acc = [[T::splat(simd, T::ZERO); NV]; MR];
    let (strip, _) = strip.as_chunks::<MR>();
    for (coefficients, old) in strip.iter().zip(old) {
        for r in 0..MR {
            let coefficient = T::splat(simd, coefficients[r]);
            for v in 0..NV {
                acc[r][v] = T::fused(simd, coefficient, old[v], acc[r][v]);
            }
        }
    }
    let Some(written) = written.first_chunk::<MR>() else { return };
    for r in 0..MR {
        for v in 0..NV {
            group[place.of(written[r], v)] = acc[r][v];
        }
    }
}

/// Adds `injection[i] z[j]` for every weight row i with a column in the group.
#[inline(always)]
fn add_immediate<S: Simd, T: Real, const NV: usize>(
    simd: S,
    packed: &Packed<'_, T>,
    place: Place,
    group: &mut [T::Vector<S>],
) {
    let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
    for row in place.rows.0..=place.rows.1 {
        let state = packed.columns.layout().owner(row);
        let factor = T::splat(simd, packed.step.injection[row]);
        for v in 0..NV {
            let slot = place.slot + (place.first + v) * lanes;
            let lines = T::vectors::<S>(packed.immediate.lines(row, slot, lanes))[0];
            let place = &mut group[place.of(state, v)];
            *place = T::fused(simd, factor, lines, *place);
        }
    }
}

/// `slots (+)= sum over k of e[k] p[k]`, while the panels are in the cache.
///
/// It runs at steps without a target too, where it gives zero, or NaN if a sensitivity has overflowed.
#[inline(always)]
fn gradient<S: Simd, T: Real, const NV: usize>(
    simd: S,
    packed: &Packed<'_, T>,
    place: Place,
    group: &[T::Vector<S>],
    slots: &mut [T::Vector<S>],
) {
    let mut sums = [T::splat(simd, T::ZERO); NV];
    for (&row, &error) in packed.written.iter().zip(packed.error) {
        let error = T::splat(simd, error);
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = T::fused(simd, error, group[place.of(row, v)], *sum);
        }
    }
    for (slot, &sum) in slots.iter_mut().zip(&sums) {
        *slot = if packed.accumulate { T::sum(simd, *slot, sum) } else { sum };
    }
}
