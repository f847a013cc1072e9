//! Moving p from the start of a full window to its end: `P <- G P + sum over records w of A_w B_w`.
//!
//! First the *chain*: G starts as the identity and is multiplied by the Jacobians, newest first;
//! what it was before record w is `A_w`. It is held transposed, in panels of states k, so that the
//! product `Gᵀ <- Jᵀ Gᵀ` works on each panel alone:
//!
//! ```text
//! chain[panel of k][stage][l][lane of k]     stage h: the identity = A_(h-1)
//!                                           stage w: after record w = A_(w-1)
//!                                           stage 0: after all      = G
//! ```
//!
//! Then the *columns*: a tile of `MR` states k by a few panels of p sums `G[k][l] p^l` over l,
//! ascending, and then `(A_w[k][i] injection_wi) z_wj` over the records w, oldest first; the factor
//! is rounded before it is multiplied by z. All panels of a tile belong to one weight row i. A
//! strip of a chain panel is the left operand of the tile without repacking.

use std::ops::Range;

use pulp::Simd;

use super::stored::RecordJacobian;
use super::window::{Patterns, Window};
use crate::panels::Placement;
use crate::simd::{Real, Work, at_least, compiled, lanes, normal};

/// Panels that are worked on together at most.
pub(super) const GROUP: usize = 3;

/// Size of the next group, so that no panel is left alone where two and two would do.
#[inline(always)]
pub(super) fn group(panels: usize) -> usize {
    match panels {
        0..=1 => panels,
        2 | 4 => 2,
        _ => GROUP,
    }
}

/// The sums of a tile.
pub(super) type Sums<V, const MR: usize, const PANELS: usize, const WIDE: usize> =
    [[[V; WIDE]; PANELS]; MR];

/// The rows that a tile reads: for each panel, WIDE registers of each row.
pub(super) type Rows<'a, V, const PANELS: usize, const WIDE: usize> = [&'a [[V; WIDE]]; PANELS];

/// `sums[r] += sum over l of left[l * stride + r] right[l]`, l ascending, fused.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
pub(super) fn accumulate<
    S: Simd,
    T: Real,
    const MR: usize,
    const PANELS: usize,
    const WIDE: usize,
>(
    simd: S,
    mut sums: Sums<T::Vector<S>, MR, PANELS, WIDE>,
    left: &[T],
    stride: usize,
    right: Rows<'_, T::Vector<S>, PANELS, WIDE>,
) -> Sums<T::Vector<S>, MR, PANELS, WIDE> {
    let len = right[0].len();
    let right = right.map(|rows| &rows[..len]);
    // One check for all: the last row of the strip is there.
    let left = if len == 0 { left } else { &left[..(len - 1) * stride + MR] };
    for l in 0..len {
        let left = &left[l * stride..l * stride + MR];
        for r in 0..MR {
            let factor = T::splat(simd, left[r]);
            for g in 0..PANELS {
                for v in 0..WIDE {
                    sums[r][g][v] = T::fused(simd, factor, right[g][l][v], sums[r][g][v]);
                }
            }
        }
    }
    sums
}

/// A part of the chain: some panels of k through some records.
pub(super) struct Chain<'a, T> {
    pub(super) window: &'a Window<T>,
    pub(super) records: Range<usize>,
    /// `[panel of k][stage][l][lane]`
    pub(super) panels: &'a mut [T],
}

compiled!(pub(super) ChainLoop: Chain -> ());

impl<T: Real> Work for Chain<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        let stage_len = self.window.states() * T::LANES;
        let panel_len = (self.window.capacity() + 1) * stage_len;
        let mut rest = &mut *self.panels;
        while !rest.is_empty() {
            let size = match 64 / size_of::<T::Vector<S>>() {
                1 => group(rest.len() / panel_len),
                _ => 1,
            };
            let (panels, behind) = rest.split_at_mut(size * panel_len);
            for record in self.records.clone().rev() {
                let jacobian = self.window.jacobian(record);
                let mut stages = panels.chunks_exact_mut(panel_len).map(|panel| {
                    let (new, old) = panel.split_at_mut((record + 1) * stage_len);
                    (&mut new[record * stage_len..], &old[..stage_len])
                });
                let mut next = || stages.next().unwrap_or_default();
                match (64 / size_of::<T::Vector<S>>(), size) {
                    (1, 3) => {
                        let stages = [next(), next(), next()];
                        multiply::<S, T, 8, 3, 1>(simd, jacobian, stages);
                    }
                    (1, 2) => multiply::<S, T, 8, 2, 1>(simd, jacobian, [next(), next()]),
                    (1, _) => multiply::<S, T, 8, 1, 1>(simd, jacobian, [next()]),
                    (2, _) => multiply::<S, T, 4, 1, 2>(simd, jacobian, [next()]),
                    (4, _) => multiply::<S, T, 4, 1, 4>(simd, jacobian, [next()]),
                    (8, _) => multiply::<S, T, 2, 1, 8>(simd, jacobian, [next()]),
                    _ => multiply::<S, T, 2, 1, 16>(simd, jacobian, [next()]),
                }
            }
            rest = behind;
        }
    }
}

/// `new = jacobianᵀ old` for some panels of k.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn multiply<S: Simd, T: Real, const MR: usize, const PANELS: usize, const WIDE: usize>(
    simd: S,
    jacobian: RecordJacobian<'_, T>,
    stages: [(&mut [T], &[T]); PANELS],
) {
    let states = stages[0].0.len() / T::LANES;
    let mut stages = stages.map(|(new, old)| {
        let (new, _) = T::vectors_mut::<S>(new).as_chunks_mut::<WIDE>();
        (new, T::vectors::<S>(old).as_chunks::<WIDE>().0)
    });
    let old = stages.each_ref().map(|(_, old)| *old);
    let RecordJacobian { columns, stride, kept } = jacobian;
    let zero = T::splat(simd, T::ZERO);
    let cells = jacobian.cells();
    for first in (0..states - cells).step_by(MR) {
        let sums = [[[zero; WIDE]; PANELS]; MR];
        let sums = accumulate::<S, T, MR, PANELS, WIDE>(simd, sums, &columns[first..], stride, old);
        for (g, (new, _)) in stages.iter_mut().enumerate() {
            let rows = &mut new[first..states - cells];
            if let Some(rows) = rows.first_chunk_mut::<MR>() {
                for r in 0..MR {
                    write_stage::<S, T, WIDE>(simd, &mut rows[r], sums[r][g]);
                }
                continue;
            }
            // A copy: a tile that is whole remains in registers.
            for (row, sums) in rows.iter_mut().zip(sums) {
                write_stage::<S, T, WIDE>(simd, row, sums[g]);
            }
        }
    }
    for cell in 0..cells {
        let to_output = T::splat(simd, kept[cell]);
        let to_cell = T::splat(simd, kept[cells + cell]);
        for (g, (new, _)) in stages.iter_mut().enumerate() {
            for v in 0..WIDE {
                let sum = T::fused(simd, to_output, old[g][cell][v], zero);
                let sum = T::fused(simd, to_cell, old[g][cells + cell][v], sum);
                new[cells + cell][v] = at_least(simd, sum, T::NEGLIGIBLE);
            }
        }
    }
}

/// Writes a row of a stage.
#[inline(always)]
fn write_stage<S: Simd, T: Real, const WIDE: usize>(
    simd: S,
    row: &mut [T::Vector<S>; WIDE],
    sums: [T::Vector<S>; WIDE],
) {
    for v in 0..WIDE {
        row[v] = at_least(simd, sums[v], T::NEGLIGIBLE);
    }
}

/// Writes a row of p, and takes note of what is not finite.
#[inline(always)]
fn write_row<S: Simd, T: Real, const WIDE: usize>(
    simd: S,
    row: &mut [T::Vector<S>; WIDE],
    sums: [T::Vector<S>; WIDE],
    checks: &mut [T::Vector<S>; WIDE],
) {
    for v in 0..WIDE {
        row[v] = normal::<S, T>(simd, sums[v]);
        checks[v] = T::fused(simd, T::splat(simd, T::ZERO), sums[v], checks[v]);
    }
}

/// A part of the columns.
pub(super) struct Flush<'a, T> {
    pub(super) placement: &'a Placement,
    pub(super) patterns: &'a Patterns,
    pub(super) window: &'a Window<T>,
    /// The finished chain.
    pub(super) chain: &'a [T],
    pub(super) first: usize,
    pub(super) p: &'a mut [T],
    /// Room for [`scratch_rows`] rows of lanes; the first of them, zero at the start, is NaN in the
    /// end if a sensitivity has overflowed.
    pub(super) scratch: &'a mut [T],
}

/// Rows of lanes that a part needs as scratch: one for the check, the strips of A, and old panels.
pub(super) fn scratch_rows(states: usize, lanes: usize, records: usize) -> u128 {
    1 + states.div_ceil(lanes) as u128 * records as u128 + (GROUP * states) as u128
}

compiled!(pub(super) FlushLoop: Flush -> ());

impl<T: Real> Work for Flush<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        let panel_len = self.window.states() * T::LANES;
        let end = self.placement.panels().min(self.first + self.p.len() / panel_len);
        let (mut panel, mut row) = (self.first, None);
        while panel < end {
            let this = self.placement.row_of_panel(panel);
            if row != Some(this) {
                self.pack_records(simd, this);
                row = Some(this);
            }
            let rest = self.placement.panels_of_row(this).end.min(end) - panel;
            let size = match 64 / size_of::<T::Vector<S>>() {
                1 => group(rest),
                _ => 1,
            };
            match (64 / size_of::<T::Vector<S>>(), size) {
                (1, 3) => self.panels::<S, 8, 3, 1>(simd, panel),
                (1, 2) => self.panels::<S, 8, 2, 1>(simd, panel),
                (1, _) => self.panels::<S, 8, 1, 1>(simd, panel),
                (2, _) => self.panels::<S, 4, 1, 2>(simd, panel),
                (4, _) => self.panels::<S, 4, 1, 4>(simd, panel),
                (8, _) => self.panels::<S, 2, 1, 8>(simd, panel),
                _ => self.panels::<S, 2, 1, 16>(simd, panel),
            }
            panel += size;
        }
    }
}

impl<T: Real> Flush<'_, T> {
    /// Adds up the columns of every A that a weight row drives, times the injections, into the
    /// scratch: `[panel of k][record][lane]`.
    #[inline(always)]
    fn pack_records<S: Simd>(&mut self, simd: S, row: usize) {
        let layout = self.placement.layout();
        let drives = layout.drives_of(row);
        if drives.is_empty() {
            return self.scratch[T::LANES..].fill(T::ZERO);
        }
        for (drive, is_first) in drives.clone().zip((0..).map(|number| number == 0)) {
            let state = layout.drives()[drive].state as usize;
            self.pack_drive(simd, drive, state, is_first);
        }
    }

    /// [`Flush::pack_records`] for one drive; the first replaces what was there.
    #[inline(always)]
    fn pack_drive<S: Simd>(&mut self, simd: S, drive: usize, state: usize, is_first: bool) {
        let (states, records) = (self.window.states(), self.window.capacity());
        let (zero, wide) = (T::splat(simd, T::ZERO), T::LANES / lanes::<S, T>());
        let chains = T::vectors::<S>(self.chain).chunks_exact((records + 1) * states * wide);
        let strips = T::vectors_mut::<S>(&mut self.scratch[T::LANES..]);
        let (injections, drives) = (self.window.injections(), self.window.drives());
        for (chain, strips) in chains.zip(strips.chunks_exact_mut(records * wide)) {
            let columns = chain[(states + state) * wide..].chunks(states * wide);
            let factors = injections[drive..].iter().step_by(drives);
            for (strip, (column, &factor)) in
                strips.chunks_exact_mut(wide).zip(columns.zip(factors))
            {
                let factor = T::splat(simd, factor);
                for (place, &value) in strip.iter_mut().zip(column) {
                    let sum = if is_first { zero } else { *place };
                    *place = normal::<S, T>(simd, T::fused(simd, value, factor, sum));
                }
            }
        }
    }

    /// Moves `PANELS` panels of one weight row, the first being panel `panel`.
    #[inline(always)]
    fn panels<S: Simd, const MR: usize, const PANELS: usize, const WIDE: usize>(
        &mut self,
        simd: S,
        panel: usize,
    ) {
        let (states, records) = (self.window.states(), self.window.capacity());
        let panel_len = states * T::LANES;
        let panels_of_k = states.div_ceil(T::LANES);
        let (check, scratch) = self.scratch.split_at_mut(T::LANES);
        let (strips, old) = scratch.split_at_mut(panels_of_k * records * T::LANES);
        let p = &mut self.p[(panel - self.first) * panel_len..][..PANELS * panel_len];
        let old = &mut old[..PANELS * panel_len];
        old.copy_from_slice(p);
        let old_rows = T::vectors::<S>(old).as_chunks::<WIDE>().0;
        let mut old: Rows<'_, _, PANELS, WIDE> = [&[]; PANELS];
        let mut z = old;
        for g in 0..PANELS {
            old[g] = &old_rows[g * states..(g + 1) * states];
            let pattern = self.patterns.of_panel(panel + g);
            z[g] = T::vectors::<S>(self.window.z(pattern)).as_chunks().0;
        }
        let (new, _) = T::vectors_mut::<S>(p).as_chunks_mut::<WIDE>();
        let zero = T::splat(simd, T::ZERO);
        let mut checks = [[zero; WIDE]; 2];
        for first in (0..states).step_by(MR) {
            let (panel_of_k, lane) = (first / T::LANES, first % T::LANES);
            let chain = &self.chain[panel_of_k * (records + 1) * panel_len..][..panel_len];
            let strip = &strips[panel_of_k * records * T::LANES..][..records * T::LANES];
            let sums: Sums<_, MR, PANELS, WIDE> = [[[zero; WIDE]; PANELS]; MR];
            let sums = accumulate(simd, sums, &chain[lane..], T::LANES, old);
            let sums = accumulate(simd, sums, &strip[lane..], T::LANES, z);
            for g in 0..PANELS {
                let rows = &mut new[g * states..][..states][first..];
                if let Some(rows) = rows.first_chunk_mut::<MR>() {
                    for r in 0..MR {
                        write_row::<S, T, WIDE>(simd, &mut rows[r], sums[r][g], &mut checks[r % 2]);
                    }
                    continue;
                }
                // A copy: a tile that is whole remains in registers.
                for (row, sums) in rows.iter_mut().zip(sums) {
                    write_row::<S, T, WIDE>(simd, row, sums[g], &mut checks[0]);
                }
            }
        }
        for checks in checks {
            for (place, check) in T::vectors_mut::<S>(check).iter_mut().zip(checks) {
                *place = T::sum(simd, *place, check);
            }
        }
    }
}
