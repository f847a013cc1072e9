//! The gradient of a share of the panels, from the adjoints: one read of p.
//!
//! For column (i, j): the sum over records w of `(adjoint(w+1)_i injection_wi) z_wj`, and the sum
//! over k of `adjoint(0)_k p^k`. Order of summation: one chain from +0 over the records of each
//! window, oldest first, and four for p, k in chain k mod 4, each ascending and fused, then
//! (0 + 1) + (2 + 3). The results are added to the sums one after the other: the older window, the
//! newer one, p.
//!
//! Records are read first, for all panels, since their z remain in the nearest cache; p is then one
//! stream of memory, which a prefetcher recognises.

use std::ops::Range;

use pulp::Simd;

use super::chains::add_chains;
use super::flush::{Rows, accumulate, group};
use super::window::{Patterns, Window};
use crate::panels::Placement;
use crate::simd::{Real, Work, compiled, is_zero};

/// Independent chains: they hide the latency of the multiply-adds while a panel is read in order.
const CHAINS: usize = 4;

/// Short panels of one register a row that are read together: they share the factors.
const TOGETHER: usize = 4;

/// Rows that a short panel has at most.
const SHORT: usize = 32;

/// Bytes of p that are read in ascending order whatever the direction: as long as a hardware
/// prefetcher needs to run ahead. A share of p of at most this size is in the caches. Blocks of it
/// have [`TOGETHER`] panels, so that a sweep begins with what the one before read last.
const BLOCK: usize = 256 << 10;

/// A window with its adjoints.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowAdjoint<'a, T> {
    pub(super) window: &'a Window<T>,
    /// `[record][weight row]`: `adjoint(w+1)_i injection_wi`.
    pub(super) factors: &'a [T],
    /// Number of weight rows.
    pub(super) rows: usize,
    /// adjoint(0), n values: what reaches the state at the start of the window.
    pub(super) start: &'a [T],
}

/// Panels `first …`, to be read.
pub(super) struct Sweep<'a, T> {
    pub(super) placement: &'a Placement,
    pub(super) patterns: &'a Patterns,
    /// The window that is filling.
    pub(super) newer: WindowAdjoint<'a, T>,
    /// The window before, which counts for the panels from `flushed` on.
    pub(super) older: Option<WindowAdjoint<'a, T>>,
    pub(super) flushed: usize,
    pub(super) first: usize,
    pub(super) p: &'a [T],
    /// The gradient of each column, to which that of these errors is added.
    pub(super) sums: &'a mut [T],
    /// Whether the blocks of panels are read from the last to the first: every other sweep finds in
    /// the caches what the one before has left there.
    pub(super) descending: bool,
}

compiled!(pub(super) SweepLoop: Sweep -> bool);

impl<T: Real> Work for Sweep<'_, T> {
    /// Whether the gradient is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        match 64 / size_of::<T::Vector<S>>() {
            1 => self.panels::<S, 1>(simd),
            2 => self.panels::<S, 2>(simd),
            4 => self.panels::<S, 4>(simd),
            8 => self.panels::<S, 8>(simd),
            _ => self.panels::<S, 16>(simd),
        }
    }
}

impl<T: Real> Sweep<'_, T> {
    /// All panels, `WIDE` registers to a row.
    #[inline(always)]
    fn panels<S: Simd, const WIDE: usize>(&mut self, simd: S) -> bool {
        let panel_len = self.placement.layout().states() * T::LANES;
        let count = self.placement.panels().saturating_sub(self.first);
        let count = count.min(self.p.len() / panel_len);
        let flushed = self.flushed.saturating_sub(self.first).min(count);
        if let Some(older) = self.older {
            self.records::<S, WIDE>(simd, older, flushed..count);
        }
        self.records::<S, WIDE>(simd, self.newer, 0..count);
        let Some(older) = self.older else {
            return self.products::<S, WIDE>(simd, self.newer.start, 0..count);
        };
        let low = self.products::<S, WIDE>(simd, self.newer.start, 0..flushed);
        self.products::<S, WIDE>(simd, older.start, flushed..count) & low
    }

    /// Adds the immediate influence of all records of a window to the sums of `panels`, which are
    /// counted from the first of the share.
    #[inline(always)]
    fn records<S: Simd, const WIDE: usize>(
        &mut self,
        simd: S,
        adjoint: WindowAdjoint<'_, T>,
        panels: Range<usize>,
    ) {
        let Some(last) = adjoint.window.len().checked_sub(1) else { return };
        let mut panel = panels.start;
        while panel < panels.end {
            let row = self.placement.row_of_panel(self.first + panel);
            let end = (self.placement.panels_of_row(row).end - self.first).min(panels.end);
            let apart = self.placement.panels_of_row(row).len();
            // A share may begin or end within a row, which is then by itself.
            let whole = if end - panel == apart { (panels.end - panel) / apart } else { 1 };
            let (alike, of_row) = (whole.min(self.patterns.rows_alike(row)), panel..end);
            let taken = match (WIDE, alike) {
                (1, 8..) => 8,
                (1 | 2 | 4, 4..) => 4,
                (8 | 16, 2..) => 2,
                _ => 1,
            };
            let factors = &adjoint.factors[row..][..last * adjoint.rows + taken];
            match taken {
                8 => self.rows::<S, 8, WIDE>(simd, adjoint, factors, of_row),
                4 => self.rows::<S, 4, WIDE>(simd, adjoint, factors, of_row),
                2 => self.rows::<S, 2, WIDE>(simd, adjoint, factors, of_row),
                _ => self.rows::<S, 1, WIDE>(simd, adjoint, factors, of_row),
            }
            panel = end + (taken - 1) * apart;
        }
    }

    /// [`Sweep::records`] of `MR` weight rows that see the same of z; `panels` are those of the
    /// first, and `factors` begin with its factor in the oldest record.
    #[inline(always)]
    fn rows<S: Simd, const MR: usize, const WIDE: usize>(
        &mut self,
        simd: S,
        adjoint: WindowAdjoint<'_, T>,
        factors: &[T],
        panels: Range<usize>,
    ) {
        let apart = panels.len();
        let mut panel = panels.start;
        while panel < panels.end {
            let size = if WIDE == 1 { group(panels.end - panel) } else { 1 };
            match size {
                3 => self.tile::<S, MR, 3, WIDE>(simd, adjoint, factors, panel, apart),
                2 => self.tile::<S, MR, 2, WIDE>(simd, adjoint, factors, panel, apart),
                _ => self.tile::<S, MR, 1, WIDE>(simd, adjoint, factors, panel, apart),
            }
            panel += size;
        }
    }

    /// [`Sweep::rows`] of `PANELS` panels of the first row, and of those `apart` after them of the
    /// next.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn tile<S: Simd, const MR: usize, const PANELS: usize, const WIDE: usize>(
        &mut self,
        simd: S,
        adjoint: WindowAdjoint<'_, T>,
        factors: &[T],
        panel: usize,
        apart: usize,
    ) {
        let mut z: Rows<'_, T::Vector<S>, PANELS, WIDE> = [&[]; PANELS];
        for (g, z) in z.iter_mut().enumerate() {
            let pattern = self.patterns.of_panel(self.first + panel + g);
            *z = T::vectors::<S>(adjoint.window.z(pattern)).as_chunks().0;
        }
        let sums = [[[T::splat(simd, T::ZERO); WIDE]; PANELS]; MR];
        let sums = accumulate::<S, T, MR, PANELS, WIDE>(simd, sums, factors, adjoint.rows, z);
        let places = T::vectors_mut::<S>(self.sums).as_chunks_mut::<WIDE>().0;
        for r in 0..MR {
            let places = &mut places[panel + r * apart..][..PANELS];
            for g in 0..PANELS {
                for v in 0..WIDE {
                    places[g][v] = T::sum(simd, places[g][v], sums[r][g][v]);
                }
            }
        }
    }

    /// Adds `sum over k of start[k] p^k` to the sums of `panels`, which are counted from the first
    /// of the share. Returns whether they are finite.
    #[inline(always)]
    fn products<S: Simd, const WIDE: usize>(
        &mut self,
        simd: S,
        start: &[T],
        panels: Range<usize>,
    ) -> bool {
        let states = self.placement.layout().states();
        let p = T::vectors::<S>(self.p).as_chunks::<WIDE>().0;
        let sums = T::vectors_mut::<S>(self.sums).as_chunks_mut::<WIDE>().0;
        let panel_bytes = states * T::LANES * size_of::<T>();
        let block = match BLOCK / panel_bytes {
            all if all >= panels.len() => TOGETHER,
            block => block.max(1),
        };
        let are_short = WIDE == 1 && states <= SHORT;
        let blocks = panels.len().div_ceil(block);
        let mut overflow = T::splat(simd, T::ZERO);
        for step in 0..blocks {
            let number = if self.descending { blocks - 1 - step } else { step };
            let mut panel = panels.start + number * block;
            let last = panels.end.min(panel + block);
            while panel < last {
                let (rows, places) = (&p[panel * states..], &mut sums[panel..]);
                if are_short && last - panel >= TOGETHER {
                    let sums = product::<S, T, TOGETHER, WIDE>(simd, start, rows);
                    overflow = add::<S, T, TOGETHER, WIDE>(simd, places, sums, overflow);
                    panel += TOGETHER;
                } else {
                    let sums = product::<S, T, 1, WIDE>(simd, start, rows);
                    overflow = add::<S, T, 1, WIDE>(simd, places, sums, overflow);
                    panel += 1;
                }
            }
        }
        is_zero::<S, T>(overflow)
    }
}

/// Adds sums to their places. Returns `overflow`, or NaN where one of them is not finite.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn add<S: Simd, T: Real, const PANELS: usize, const WIDE: usize>(
    simd: S,
    places: &mut [[T::Vector<S>; WIDE]],
    sums: [[T::Vector<S>; WIDE]; PANELS],
    mut overflow: T::Vector<S>,
) -> T::Vector<S> {
    let zero = T::splat(simd, T::ZERO);
    let places = &mut places[..PANELS];
    for panel in 0..PANELS {
        for v in 0..WIDE {
            let sum = T::sum(simd, places[panel][v], sums[panel][v]);
            places[panel][v] = sum;
            overflow = T::fused(simd, sum, zero, overflow);
        }
    }
    overflow
}

/// For each of `PANELS` panels, one after the other in `rows`: `sum over k of factors[k] * row k`,
/// k mod 4 being the chain.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn product<S: Simd, T: Real, const PANELS: usize, const WIDE: usize>(
    simd: S,
    factors: &[T],
    rows: &[[T::Vector<S>; WIDE]],
) -> [[T::Vector<S>; WIDE]; PANELS] {
    let states = factors.len();
    let mut panels = [[].as_slice().as_chunks::<CHAINS>(); PANELS];
    for panel in 0..PANELS {
        panels[panel] = rows[panel * states..][..states].as_chunks::<CHAINS>();
    }
    let mut sums = [[[T::splat(simd, T::ZERO); WIDE]; CHAINS]; PANELS];
    let (fours, last) = factors.as_chunks::<CHAINS>();
    let quads = panels.map(|(quads, _)| &quads[..fours.len()]);
    for (quad, four) in fours.iter().enumerate() {
        for chain in 0..CHAINS {
            let factor = T::splat(simd, four[chain]);
            for panel in 0..PANELS {
                for v in 0..WIDE {
                    let value = quads[panel][quad][chain][v];
                    sums[panel][chain][v] = T::fused(simd, factor, value, sums[panel][chain][v]);
                }
            }
        }
    }
    for chain in 0..CHAINS {
        let Some(&factor) = last.get(chain) else { break };
        let factor = T::splat(simd, factor);
        for panel in 0..PANELS {
            for v in 0..WIDE {
                let value = panels[panel].1[chain][v];
                sums[panel][chain][v] = T::fused(simd, factor, value, sums[panel][chain][v]);
            }
        }
    }
    let mut totals = [[T::splat(simd, T::ZERO); WIDE]; PANELS];
    for panel in 0..PANELS {
        totals[panel] = add_chains::<S, T, CHAINS, WIDE>(simd, sums[panel]);
    }
    totals
}
