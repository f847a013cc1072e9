//! The gradient of a share of the panels, from the adjoints: one read of p.
//!
//! For column (i, j): `sum over records w of (adjoint(w+1)_i injection_wi) z_wj  +  sum over k of adjoint(0)_k p^k`.
//! Order of summation: four chains, term number u (records oldest first, then k) in chain u mod 4 of its
//! sum, each ascending and fused; then (0 + 1) + (2 + 3).

use pulp::Simd;

use super::chains::add_chains;
use super::window::{Patterns, Window};
use crate::panels::Placement;
use crate::simd::{Real, Work, compiled, is_zero};

/// Independent chains: they hide the latency of the multiply-adds, while one panel is read in order.
const CHAINS: usize = 4;

/// Bytes of p that are read in ascending order whatever the direction: as long as a hardware prefetcher
/// needs to run ahead.
const BLOCK: usize = 256 << 10;

/// A window with what came back through it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed<'a, T> {
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
    pub(super) newer: Passed<'a, T>,
    /// The window before, which counts for the panels from `flushed` on.
    pub(super) older: Option<Passed<'a, T>>,
    pub(super) flushed: usize,
    pub(super) first: usize,
    pub(super) p: &'a [T],
    /// The gradient of each column, to which that of these errors is added.
    pub(super) sums: &'a mut [T],
    /// Whether the blocks of panels are read from the last to the first: every other sweep finds in the caches what
    /// the one before has left there.
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
        let block = (BLOCK / (panel_len * size_of::<T>())).max(1);
        let blocks = count.div_ceil(block);
        let zero = T::splat(simd, T::ZERO);
        let mut overflow = zero;
        for step in 0..blocks {
            let first = block * if self.descending { blocks - 1 - step } else { step };
            for panel in first..count.min(first + block) {
                let p = &self.p[panel * panel_len..][..panel_len];
                let sum = self.panel::<S, WIDE>(simd, self.first + panel, p);
                let sums = &mut self.sums[panel * T::LANES..][..T::LANES];
                for (place, sum) in T::vectors_mut::<S>(sums).iter_mut().zip(sum) {
                    *place = T::sum(simd, *place, sum);
                    overflow = T::fused(simd, *place, zero, overflow);
                }
            }
        }
        is_zero::<S, T>(overflow)
    }

    /// The gradient of one panel.
    #[inline(always)]
    fn panel<S: Simd, const WIDE: usize>(
        &mut self,
        simd: S,
        panel: usize,
        p: &[T],
    ) -> [T::Vector<S>; WIDE] {
        let row = self.placement.row_of_panel(panel);
        let pattern = self.patterns.of_panel(panel);
        let mut sums = [[T::splat(simd, T::ZERO); WIDE]; CHAINS];
        let mut start = self.newer.start;
        if let Some(older) = self.older.filter(|_| panel >= self.flushed) {
            sums = add_records(simd, &older, row, pattern, sums);
            start = older.start;
        }
        sums = add_records(simd, &self.newer, row, pattern, sums);
        let rows = T::vectors::<S>(p).as_chunks().0;
        sums = add_products(simd, (start, 1), rows, sums);
        add_chains::<S, T, CHAINS, WIDE>(simd, sums)
    }
}

/// Adds the immediate influence of all records of a window.
#[inline(always)]
fn add_records<S: Simd, T: Real, const WIDE: usize>(
    simd: S,
    passed: &Passed<'_, T>,
    row: usize,
    pattern: usize,
    sums: [[T::Vector<S>; WIDE]; CHAINS],
) -> [[T::Vector<S>; WIDE]; CHAINS] {
    let window = passed.window;
    let lines = T::vectors::<S>(window.lines(pattern)).as_chunks().0;
    add_products::<S, T, WIDE>(simd, (&passed.factors[row..], passed.rows), lines, sums)
}

/// Adds `factors[u * stride] * rows[u]` for every u, in turn to each chain.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn add_products<S: Simd, T: Real, const WIDE: usize>(
    simd: S,
    (factors, stride): (&[T], usize),
    rows: &[[T::Vector<S>; WIDE]],
    mut sums: [[T::Vector<S>; WIDE]; CHAINS],
) -> [[T::Vector<S>; WIDE]; CHAINS] {
    // One check for all: the last factor is there.
    let Some(last) = rows.len().checked_sub(1) else { return sums };
    let factors = &factors[..=last * stride];
    let (quads, rest) = rows.as_chunks::<CHAINS>();
    for (u, quad) in quads.iter().enumerate() {
        for chain in 0..CHAINS {
            let factor = T::splat(simd, factors[(u * CHAINS + chain) * stride]);
            for v in 0..WIDE {
                sums[chain][v] = T::fused(simd, factor, quad[chain][v], sums[chain][v]);
            }
        }
    }
    let first = quads.len() * CHAINS;
    for chain in 0..CHAINS {
        if let Some(row) = rest.get(chain) {
            let factor = T::splat(simd, factors[(first + chain) * stride]);
            for v in 0..WIDE {
                sums[chain][v] = T::fused(simd, factor, row[v], sums[chain][v]);
            }
        }
    }
    sums
}
