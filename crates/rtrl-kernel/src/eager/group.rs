//! One share of the panels through one time step, group by group.
//!
//! For a group of panels that fills the registers:
//!
//! 1. read the old rows in place, or gather those that are read;
//! 2. compute the new rows, strip by strip of the Jacobian, in the tiles of `tile.rs`;
//! 3. add the immediate influence to the few rows that have one in these panels;
//! 4. while the panels are in the cache, compute their share of the gradient:
//!    `sum over k of e[k] * p[k]`, k ascending.
//!
//! p is updated in place, except for one spare group per thread: every group moves by one place
//! into the room of its neighbour, down in one step and up in the next, so the old rows need not be
//! copied first.
//!
//! ```text
//! step 1   | spare | G0 | G1 | G2 |      G0 goes into the spare room, G1 into G0's, …
//! step 2   | G0 | G1 | G2 | spare |      G2 goes into the spare room, G1 into G2's, …
//! ```
//!
//! Small layers take the path of `small.rs`, in which the old rows stay in registers.
//!
//! Every function here is inlined into one that pulp compiles for an instruction set; a function or
//! closure without `#[inline(always)]` would silently lose the set and run a hundred times slower.

use pulp::Simd;

use super::ahead::is_far;
use super::pack::{Columns, Packing, Strip};
use super::share::{GROUP, Packed, Share};
use super::tile::{Place, Rows, own_tile, shared_tile, tile};
use crate::simd::{Real, prefetch};

impl<T: Real> Share<'_, T> {
    /// One step for the panels of a share. Returns whether the gradient is finite.
    #[inline(always)]
    pub(super) fn advance<S: Simd>(&mut self, simd: S) -> bool {
        // Registers in a row of a panel: 64 bytes on every instruction set.
        match 64 / size_of::<T::Vector<S>>() {
            1 => self.advance_groups::<S, GROUP, 1>(simd),
            2 => self.advance_groups::<S, 1, 2>(simd),
            _ => self.advance_groups::<S, 1, 4>(simd),
        }
    }

    /// Moves every group by one place into the spare one and through the step on its way, in tiles
    /// of `PANELS` panels and `WIDE` registers of each.
    #[inline(always)]
    fn advance_groups<S: Simd, const PANELS: usize, const WIDE: usize>(&mut self, simd: S) -> bool {
        let &mut Self { packed, first, ref mut p, ref mut sums, ref mut scratch } = self;
        let panel_len = packed.placement.layout().states() * T::LANES;
        let group_len = GROUP * panel_len;
        let (groups, far) = (p.len() / group_len - 1, is_far(p));
        for step in 0..groups {
            let group = if packed.spare_first { step } else { groups - 1 - step };
            let (below, pair) = p.split_at_mut(group * group_len);
            let (low, pair) = pair.split_at_mut(group_len);
            let (high, above) = pair.split_at_mut(group_len);
            let (old, new, next) = if packed.spare_first {
                (high, low, above.get(..group_len))
            } else {
                (low, high, below.len().checked_sub(group_len).map(|start| &below[start..]))
            };
            let next = next.filter(|_| far);
            for panel in (0..GROUP).step_by(PANELS) {
                let place = panel * panel_len..(panel + PANELS) * panel_len;
                let panel = group * GROUP + panel;
                let sums = &mut sums[panel * T::LANES..(panel + PANELS) * T::LANES];
                let next = next.map(|next| &next[place.clone()]);
                let panels = Panels {
                    first: first + panel,
                    old: &old[place.clone()],
                    new: &mut new[place],
                    next,
                };
                advance_group::<S, T, PANELS, WIDE>(simd, packed, panels, sums, scratch);
            }
        }
        let mut finite = true;
        for sum in sums.iter_mut() {
            finite &= sum.is_finite();
        }
        finite
    }
}

/// Panels that go through the step together.
struct Panels<'a, T> {
    /// Number of the first.
    first: usize,
    old: &'a [T],
    new: &'a mut [T],
    /// The old ones that come after these, if they are worth asking for.
    next: Option<&'a [T]>,
}

/// One step for `PANELS` panels.
#[inline(always)]
fn advance_group<S: Simd, T: Real, const PANELS: usize, const WIDE: usize>(
    simd: S,
    packed: &Packed<'_, T>,
    panels: Panels<'_, T>,
    sums: &mut [T],
    scratch: &mut [T],
) {
    let Panels { first: panel, old, new, next } = panels;
    let states = packed.placement.layout().states();
    let row = 64 / size_of::<T::Vector<S>>();
    let last = (panel + PANELS).min(packed.placement.panels()) - 1;
    if panel > last {
        return;
    }
    let (old, new) = (T::vectors::<S>(old), T::vectors_mut::<S>(new));
    let sums = T::vectors_mut::<S>(sums);
    let scratch = T::vectors_mut::<S>(scratch);
    for first in (0..sums.len()).step_by(PANELS * WIDE) {
        let place = Place { first, row, panel: states * row };
        // Where all rows are read, they are read where they stand.
        let old: Rows<'_, _, PANELS, WIDE> = if packed.packing.read.len() == states && row == WIDE {
            std::array::from_fn(|g| old[g * states * row..(g + 1) * states * row].as_chunks().0)
        } else {
            copy_rows(&packed.packing.read, place, old, scratch)
        };
        advance_tiles::<S, T, PANELS, WIDE>(simd, packed, place, new, old, next);
        let wide = PANELS * WIDE;
        clear_rows::<S, T>(simd, &packed.packing.cleared, place, wide, new);
        add_immediate::<S, T, PANELS, WIDE>(simd, packed, place, (panel, last), new);
        gradient::<S, T, PANELS, WIDE>(simd, packed, place, new, &mut sums[first..first + wide]);
    }
}

/// Gathers the rows that are read.
#[inline(always)]
fn copy_rows<'s, V: Copy, const PANELS: usize, const WIDE: usize>(
    read: &[usize],
    place: Place,
    old: &[V],
    scratch: &'s mut [V],
) -> Rows<'s, V, PANELS, WIDE> {
    let (rows, _) = scratch.as_chunks_mut::<WIDE>();
    for g in 0..PANELS {
        for (copy, &row) in rows[g * read.len()..].iter_mut().zip(read) {
            for (w, copy) in copy.iter_mut().enumerate() {
                *copy = old[place.of(row, g * WIDE + w)];
            }
        }
    }
    let rows = &*rows;
    std::array::from_fn(|g| &rows[g * read.len()..(g + 1) * read.len()])
}

/// Sets rows that are not computed to zero.
#[inline(always)]
fn clear_rows<S: Simd, T: Real>(
    simd: S,
    cleared: &[usize],
    place: Place,
    wide: usize,
    new: &mut [T::Vector<S>],
) {
    for &row in cleared {
        for v in 0..wide {
            new[place.of(row, v)] = T::splat(simd, T::ZERO);
        }
    }
}

/// `p[k] <- sum over l of J[k][l] old[l]` for every row that is written, strip by strip.
#[inline(always)]
fn advance_tiles<S: Simd, T: Real, const PANELS: usize, const WIDE: usize>(
    simd: S,
    packed: &Packed<'_, T>,
    place: Place,
    new: &mut [T::Vector<S>],
    old: Rows<'_, T::Vector<S>, PANELS, WIDE>,
    next: Option<&[T]>,
) {
    let Packing { read, strips, .. } = packed.packing;
    let mut asked = read.chunks(read.len().div_ceil(strips.len().max(1)).max(1));
    let mut rows = packed.packing.order.as_slice();
    let mut coefficients = packed.packing.coefficients.as_slice();
    let mut from = packed.packing.from.as_slice();
    for &Strip { height, len, columns } in strips {
        if let (Some(next), Some(asked)) = (next, asked.next()) {
            prefetch_rows(next, packed.placement.layout().states(), asked);
        }
        let (written, below) = rows.split_at(height);
        let (strip, strips) = coefficients.split_at(height * len);
        (rows, coefficients) = (below, strips);
        match columns {
            Columns::Whole => match height {
                8 => tile::<S, T, 8, PANELS, WIDE>(simd, strip, old, place, written, new),
                6 => tile::<S, T, 6, PANELS, WIDE>(simd, strip, old, place, written, new),
                4 => tile::<S, T, 4, PANELS, WIDE>(simd, strip, old, place, written, new),
                2 => tile::<S, T, 2, PANELS, WIDE>(simd, strip, old, place, written, new),
                _ => tile::<S, T, 1, PANELS, WIDE>(simd, strip, old, place, written, new),
            },
            Columns::Shared => {
                let (list, below) = from.split_at(len);
                from = below;
                let strip = (strip, list);
                match height {
                    8 => {
                        shared_tile::<S, T, 8, PANELS, WIDE>(simd, strip, old, place, written, new);
                    }
                    4 => {
                        shared_tile::<S, T, 4, PANELS, WIDE>(simd, strip, old, place, written, new);
                    }
                    2 => {
                        shared_tile::<S, T, 2, PANELS, WIDE>(simd, strip, old, place, written, new);
                    }
                    _ => {
                        shared_tile::<S, T, 1, PANELS, WIDE>(simd, strip, old, place, written, new);
                    }
                }
            }
            Columns::Own => {
                let (list, below) = from.split_at(height * len);
                from = below;
                let strip = (strip, list);
                match height {
                    4 => own_tile::<S, T, 4, PANELS, WIDE>(simd, strip, old, place, written, new),
                    2 => own_tile::<S, T, 2, PANELS, WIDE>(simd, strip, old, place, written, new),
                    _ => own_tile::<S, T, 1, PANELS, WIDE>(simd, strip, old, place, written, new),
                }
            }
        }
    }
}

/// Asks for these rows of every panel.
#[inline(always)]
fn prefetch_rows<T: Real>(panels: &[T], states: usize, rows: &[usize]) {
    for panel in panels.chunks_exact(states * T::LANES) {
        for &row in rows {
            prefetch(&panel[row * T::LANES..]);
        }
    }
}

/// Adds `injection[d] z[j]` for every drive d of every weight row with a column in these panels.
///
/// A row is added to all lanes of the panels in which it has columns, with z = 0 in the lanes of
/// other rows, and to no other panel: adding 0 turns -0 into +0, so it must not depend on which
/// panels are worked on together.
#[inline(always)]
fn add_immediate<S: Simd, T: Real, const PANELS: usize, const WIDE: usize>(
    simd: S,
    packed: &Packed<'_, T>,
    place: Place,
    (first, last): (usize, usize),
    new: &mut [T::Vector<S>],
) {
    for (g, panel) in (first..=last).enumerate() {
        for &touch in packed.immediate.touches_of(panel) {
            let factor = T::splat(simd, packed.step.injection[touch.drive]);
            let z = T::vectors::<S>(touch.z_in(packed.immediate.copies_of_z()));
            for v in g * WIDE..(g + 1) * WIDE {
                let place_of_state = place.of(touch.state, v);
                let z = z[(place.first + v) % place.row];
                new[place_of_state] = T::fused(simd, factor, z, new[place_of_state]);
            }
        }
    }
}

/// `sums (+)= sum over k of e[k] p[k]`, while the panels are in the cache.
///
/// It runs at steps without a target too, where it gives zero, or NaN if a sensitivity has
/// overflowed.
#[inline(always)]
fn gradient<S: Simd, T: Real, const PANELS: usize, const WIDE: usize>(
    simd: S,
    packed: &Packed<'_, T>,
    place: Place,
    new: &[T::Vector<S>],
    sums: &mut [T::Vector<S>],
) {
    let mut chains = [[T::splat(simd, T::ZERO); WIDE]; PANELS];
    let Packing { written, error, .. } = packed.packing;
    let states = packed.placement.layout().states();
    if written.len() == states && place.row == WIDE {
        let panels: Rows<'_, _, PANELS, WIDE> =
            std::array::from_fn(|g| &new.as_chunks().0[g * states..][..states]);
        for (k, &error) in error[..states].iter().enumerate() {
            let error = T::splat(simd, error);
            for g in 0..PANELS {
                for w in 0..WIDE {
                    chains[g][w] = T::fused(simd, error, panels[g][k][w], chains[g][w]);
                }
            }
        }
    } else {
        for (&row, &error) in written.iter().zip(error) {
            let error = T::splat(simd, error);
            for (v, sum) in chains.as_flattened_mut().iter_mut().enumerate() {
                *sum = T::fused(simd, error, new[place.of(row, v)], *sum);
            }
        }
    }
    for (sum, &chain) in sums.iter_mut().zip(chains.as_flattened()) {
        *sum = if packed.accumulate { T::sum(simd, *sum, chain) } else { chain };
    }
}
