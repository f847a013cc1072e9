//! The inner loops: one part of the panels through one time step.
//!
//! For a group of panels that fills the registers:
//!
//! 1. copy the old rows that take part into a scratch (p is updated in place);
//! 2. strip by strip of the Jacobian, a tile of MR rows x NV registers:
//!    `acc[r][v] = sum over l of J[k + r][l] * old[l][v]`, l ascending, each step one fused
//!    multiply-add, then stored over row k + r;
//! 3. add the immediate influence `injection[i] * z[j]` to the row that weight row i drives;
//! 4. while the panels are hot, their part of the gradient: `sum over k of e[k] * p[k]`, k ascending.
//!
//! ```text
//! registers of a tile, AVX-512 (MR = 8, NV = 2, a group is 2 panels)
//!            old[l]: b0 b1           one load each
//! J[k  ][l] splat a: c00 c01         16 accumulators
//! J[k+1][l] splat a: c10 c11
//!   ...              ...
//! J[k+7][l] splat a: c70 c71
//! ```
//!
//! Every function here is inlined into one that pulp compiles for an instruction set; anything that is
//! not (a closure without `#[inline(always)]`, say) would silently lose the set and run a hundred times
//! slower.

use pulp::{Simd, WithSimd};

use crate::Real;
use crate::columns::Columns;

/// Panels that are worked on together at most.
pub(crate) const GROUP: usize = 2;

/// Height of the strip that starts with `rows` rows still to come: the largest of 8, 4, 2, 1 that
/// fits, so that no strip is padded.
pub(crate) fn strip_height(rows: usize) -> usize {
    [8, 4, 2, 1].into_iter().find(|&height| height <= rows).unwrap_or(1)
}

/// What all panels need of one step, packed once.
#[derive(Debug)]
pub(crate) struct Packed<'a, T> {
    pub(crate) columns: &'a Columns,
    /// Rows of p that are read: neither zero nor belonging to a forced unit.
    pub(crate) read: &'a [usize],
    /// Rows of p that are computed: the others become zero.
    pub(crate) written: &'a [usize],
    /// Rows of p that are not computed but may hold something.
    pub(crate) cleared: &'a [usize],
    /// The Jacobian of `written` x `read` in strips; a strip of height h is `[read][h]`.
    pub(crate) jacobian: &'a [T],
    pub(crate) injection: &'a [T],
    pub(crate) lines: &'a [T],
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
    /// Room for the old rows of a group.
    pub(crate) scratch: &'a mut [T],
}

impl<T: Real> WithSimd for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
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

/// Where the registers of a tile lie in a group of panels.
#[derive(Clone, Copy)]
struct Place {
    /// First register of the tile, counted over the rows of all panels in the group.
    first: usize,
    /// Registers in a row of a panel.
    row: usize,
    /// Registers in a panel.
    panel: usize,
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
    let registers = T::vectors::<S>(slots).len();
    for first in (0..registers).step_by(NV) {
        let place = Place { first, row, panel: states * row };
        let old = copy_rows::<S, T, NV>(packed.read, place, group, scratch);
        advance_tiles::<S, T, NV>(simd, packed, place, T::vectors_mut::<S>(group), old);
    }
    for (index, part) in group.chunks_exact_mut(states * T::LANES).enumerate() {
        clear_rows(packed.cleared, part);
        add_immediate(packed, panel + index, part);
    }
    for first in (0..registers).step_by(NV) {
        let place = Place { first, row, panel: states * row };
        let slots = &mut T::vectors_mut::<S>(slots)[first..first + NV];
        gradient::<S, T, NV>(simd, packed, place, T::vectors::<S>(group), slots);
    }
}

/// Copies the rows that are read out of the way of the new ones.
#[inline(always)]
fn copy_rows<'s, S: Simd, T: Real, const NV: usize>(
    read: &[usize],
    place: Place,
    group: &[T],
    scratch: &'s mut [T],
) -> &'s [[T::Vector<S>; NV]] {
    let group = T::vectors::<S>(group);
    let (old, _) = T::vectors_mut::<S>(scratch).as_chunks_mut::<NV>();
    let old = &mut old[..read.len()];
    for (old, &row) in old.iter_mut().zip(read) {
        for (v, old) in old.iter_mut().enumerate() {
            *old = group[place.of(row, v)];
        }
    }
    old
}

/// `p[k] <- sum over l of J[k][l] old[l]` for every row that is written.
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
        let height = strip_height(rows.len());
        let (strip, strips) = jacobian.split_at(height * packed.read.len());
        let (written, below) = rows.split_at(height);
        match height {
            8 => tile::<S, T, 8, NV>(simd, strip, old, place, written, group),
            4 => tile::<S, T, 4, NV>(simd, strip, old, place, written, group),
            2 => tile::<S, T, 2, NV>(simd, strip, old, place, written, group),
            _ => tile::<S, T, 1, NV>(simd, strip, old, place, written, group),
        }
        (rows, jacobian) = (below, strips);
    }
}

/// The tile of MR rows and NV registers: the loop in which all the time goes.
#[inline(always)]
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
    for (acc, &row) in acc.iter().zip(written) {
        for (v, &value) in acc.iter().enumerate() {
            group[place.of(row, v)] = value;
        }
    }
}

/// Sets rows that are not computed to zero.
#[inline(always)]
fn clear_rows<T: Real>(cleared: &[usize], panel: &mut [T]) {
    for &row in cleared {
        panel[row * T::LANES..(row + 1) * T::LANES].fill(T::ZERO);
    }
}

/// `p^k_ij += injection[i] z[j]` where weight row i drives unit k.
#[inline(always)]
fn add_immediate<T: Real>(packed: &Packed<'_, T>, panel: usize, p: &mut [T]) {
    for segment in packed.columns.segments(panel) {
        let factor = packed.injection[segment.row];
        let row = packed.columns.layout().owner(segment.row) * T::LANES + segment.lane;
        let lines = &packed.lines[segment.line..segment.line + segment.len];
        for (p, &line) in p[row..row + segment.len].iter_mut().zip(lines) {
            *p = factor.mul_add(line, *p);
        }
    }
}

/// `slots (+)= sum over k of e[k] p[k]`.
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
    let mut acc = [T::splat(simd, T::ZERO); NV];
    for (&row, &error) in packed.written.iter().zip(packed.error) {
        let error = T::splat(simd, error);
        for (v, acc) in acc.iter_mut().enumerate() {
            *acc = T::fused(simd, error, group[place.of(row, v)], *acc);
        }
    }
    for (slot, &acc) in slots.iter_mut().zip(&acc) {
        *slot = if packed.accumulate { T::sum(simd, *slot, acc) } else { acc };
    }
}
