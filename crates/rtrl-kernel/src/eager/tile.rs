//! The tiles: the inner loops over a strip of the Jacobian.
//!
//! `acc[r][v] = sum over l of J[k + r][l] * old[l][v]` for MR rows and NV registers, l ascending,
//! each step one fused multiply-add, then stored as row k + r of the new panels.
//!
//! ```text
//! registers of a tile, AVX-512 (MR = 8, NV = 2, a group is 2 panels): 16 + 2 + 1
//!            old[l]: b0 b1           one load each
//! J[k  ][l] splat a: c00 c01         16 accumulators
//! J[k+1][l] splat a: c10 c11
//!   ...              ...
//! J[k+7][l] splat a: c70 c71
//! ```

use pulp::Simd;

use crate::simd::Real;

/// Where the registers of a tile lie.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// First register of the tile, counted over the rows of all panels in the group.
    pub(super) first: usize,
    /// Registers in a row of a panel.
    pub(super) row: usize,
    /// Registers in a panel.
    pub(super) panel: usize,
}

impl Place {
    /// Index of the tile's register `v` in row `row` of p.
    #[inline(always)]
    pub(super) fn of(self, row: usize, v: usize) -> usize {
        let register = self.first + v;
        register / self.row * self.panel + row * self.row + register % self.row
    }
}

/// The old rows of a tile: for each panel, WIDE registers of each row.
pub(super) type Rows<'a, V, const PANELS: usize, const WIDE: usize> = [&'a [[V; WIDE]]; PANELS];

/// The tile of MR rows: the loop in which all the time goes.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
pub(super) fn tile<S: Simd, T: Real, const MR: usize, const PANELS: usize, const WIDE: usize>(
    simd: S,
    strip: &[T],
    old: Rows<'_, T::Vector<S>, PANELS, WIDE>,
    place: Place,
    written: &[usize],
    new: &mut [T::Vector<S>],
) {
    let mut acc = [[[T::splat(simd, T::ZERO); WIDE]; PANELS]; MR];
    let (strip, _) = strip.as_chunks::<MR>();
    let old = old.map(|rows| &rows[..strip.len()]);
    for l in 0..strip.len() {
        for r in 0..MR {
            let coefficient = T::splat(simd, strip[l][r]);
            for g in 0..PANELS {
                for w in 0..WIDE {
                    acc[r][g][w] = T::fused(simd, coefficient, old[g][l][w], acc[r][g][w]);
                }
            }
        }
    }
    store::<S, T, MR, PANELS, WIDE>(&acc, place, written, new);
}

/// The tile of MR rows with one list of old rows.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
pub(super) fn shared_tile<
    S: Simd,
    T: Real,
    const MR: usize,
    const PANELS: usize,
    const WIDE: usize,
>(
    simd: S,
    (strip, list): (&[T], &[u32]),
    old: Rows<'_, T::Vector<S>, PANELS, WIDE>,
    place: Place,
    written: &[usize],
    new: &mut [T::Vector<S>],
) {
    let mut acc = [[[T::splat(simd, T::ZERO); WIDE]; PANELS]; MR];
    let read = old[0].len();
    let old = old.map(|rows| &rows[..read]);
    for (strip, &l) in strip.as_chunks::<MR>().0.iter().zip(list) {
        let rows: [&[T::Vector<S>; WIDE]; PANELS] = std::array::from_fn(|g| &old[g][l as usize]);
        for r in 0..MR {
            let coefficient = T::splat(simd, strip[r]);
            for g in 0..PANELS {
                for w in 0..WIDE {
                    acc[r][g][w] = T::fused(simd, coefficient, rows[g][w], acc[r][g][w]);
                }
            }
        }
    }
    store::<S, T, MR, PANELS, WIDE>(&acc, place, written, new);
}

/// The tile of MR sparse rows, each with its own list of old rows.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
pub(super) fn own_tile<
    S: Simd,
    T: Real,
    const MR: usize,
    const PANELS: usize,
    const WIDE: usize,
>(
    simd: S,
    (strip, lists): (&[T], &[u32]),
    old: Rows<'_, T::Vector<S>, PANELS, WIDE>,
    place: Place,
    written: &[usize],
    new: &mut [T::Vector<S>],
) {
    let mut acc = [[[T::splat(simd, T::ZERO); WIDE]; PANELS]; MR];
    let (strip, lists) = (strip.as_chunks::<MR>().0, lists.as_chunks::<MR>().0);
    let read = old[0].len();
    let old = old.map(|rows| &rows[..read]);
    for (strip, list) in strip.iter().zip(lists) {
        for r in 0..MR {
            let l = list[r] as usize;
            let coefficient = T::splat(simd, strip[r]);
            for g in 0..PANELS {
                for w in 0..WIDE {
                    acc[r][g][w] = T::fused(simd, coefficient, old[g][l][w], acc[r][g][w]);
                }
            }
        }
    }
    store::<S, T, MR, PANELS, WIDE>(&acc, place, written, new);
}

/// Writes the sums of a tile to the rows they belong to.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn store<S: Simd, T: Real, const MR: usize, const PANELS: usize, const WIDE: usize>(
    acc: &[[[T::Vector<S>; WIDE]; PANELS]; MR],
    place: Place,
    written: &[usize],
    new: &mut [T::Vector<S>],
) {
    let Some(written) = written.first_chunk::<MR>() else {
        unreachable!("a strip has as many rows as its height")
    };
    for r in 0..MR {
        for g in 0..PANELS {
            for w in 0..WIDE {
                new[place.of(written[r], g * WIDE + w)] = acc[r][g][w];
            }
        }
    }
}
