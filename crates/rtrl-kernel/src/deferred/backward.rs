//! The backward pass through a window: `adjoint(w) = J_wᵀ adjoint(w+1) + e(w)`, newest record first.
//!
//! `adjoint(w)` is the negative derivative of the summed losses with respect to the state before
//! record w. Jacobians are stored by rows, so `Jᵀ adjoint` is a sum of rows and reads memory in
//! order.
//!
//! Order of summation, for each element: up to [`NARROW`] rows of lanes, four chains, row k of J in chain
//! k mod 4, each ascending and fused, then (0 + 1) + (2 + 3); above, one chain. That depends on the shape
//! and the precision only.

use pulp::Simd;

use super::chains::add_chains;
use super::factors::Runs;
use super::sweep::WindowAdjoint;
use super::window::Window;
use crate::error::Error;
use crate::layout::Layout;
use crate::simd::{Buffer, Isa, Real, Work, at_least, compiled};

/// Rows of lanes up to which four chains hide the latency; above, the many columns do.
const NARROW: usize = 4;

/// Room for the way back through the windows.
#[derive(Debug, Clone)]
pub(super) struct Adjoints<T> {
    runs: Runs,
    pub(super) newer: Back<T>,
    pub(super) older: Back<T>,
}

/// The adjoints and factors of a backward pass through one window.
#[derive(Debug, Clone)]
pub(super) struct Back<T> {
    /// `[record + 1][stride]`, see [`Backward`].
    adjoints: Buffer<T>,
    /// See [`WindowAdjoint`].
    factors: Buffer<T>,
    rows: usize,
}

impl<T: Real> Back<T> {
    fn new(layout: &Layout, window: &Window<T>, capacity: usize) -> Result<Self, Error> {
        let adjoints = (capacity as u128 + 1) * window.stride() as u128;
        let factors = capacity as u128 * layout.rows() as u128;
        let rows = layout.rows();
        Ok(Self { adjoints: Buffer::numbers(adjoints)?, factors: Buffer::numbers(factors)?, rows })
    }

    /// Goes back through `window`, with `above` reaching the state after its last record, or with the
    /// errors that the window holds.
    fn go_back(
        &mut self,
        isa: Isa,
        (runs, layout): (&Runs, &Layout),
        window: &Window<T>,
        above: Option<&[T]>,
    ) {
        let stride = window.stride();
        let top = window.len() * stride;
        let adjoints = &mut self.adjoints.values_mut()[..top + stride];
        match above {
            Some(above) => adjoints[top..].copy_from_slice(above),
            None => adjoints[top..].fill(T::ZERO),
        }
        T::run::<BackwardLoop>(isa, Backward { window, adjoints, with_errors: above.is_none() });
        let (above, factors) = (&self.adjoints.values()[stride..], self.factors.values_mut());
        runs.factors(isa, layout, window, above, factors);
    }

    pub(super) fn bytes(&self) -> usize {
        self.adjoints.bytes() + self.factors.bytes()
    }

    /// The way back through `window`, for a sweep.
    pub(super) fn view<'a>(&'a self, window: &'a Window<T>) -> WindowAdjoint<'a, T> {
        WindowAdjoint {
            window,
            factors: self.factors.values(),
            rows: self.rows,
            start: &self.adjoints.values()[..window.states()],
        }
    }
}

impl<T: Real> Adjoints<T> {
    /// Room for windows like `window`: two of them, or one.
    pub(super) fn new(layout: &Layout, window: &Window<T>, has_older: bool) -> Result<Self, Error> {
        let capacity = window.capacity();
        let older = if has_older { capacity } else { 0 };
        let back = |capacity| Back::new(layout, window, capacity);
        Ok(Self { runs: Runs::new(layout), newer: back(capacity)?, older: back(older)? })
    }

    /// Goes back through both windows, or the newer alone.
    pub(super) fn go_back(
        &mut self,
        isa: Isa,
        layout: &Layout,
        newer: &Window<T>,
        older: Option<&Window<T>>,
        above: Option<&[T]>,
    ) {
        let rows = (&self.runs, layout);
        self.newer.go_back(isa, rows, newer, above);
        if let Some(older) = older {
            let above = &self.newer.adjoints.values()[..newer.stride()];
            self.older.go_back(isa, rows, older, Some(above));
        }
    }
}

/// Goes through all records of `window`.
///
/// `adjoints` is `[len + 1][stride]`: what reaches the state after the last record is given in the last
/// row; the others are computed, row w being that before record w. Errors that have not been read are
/// added on the way if `with_errors`.
pub(super) struct Backward<'a, T> {
    window: &'a Window<T>,
    adjoints: &'a mut [T],
    with_errors: bool,
}

compiled!(pub(super) BackwardLoop: Backward -> ());

impl<T: Real> Work for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        let &mut Self { window, ref mut adjoints, with_errors } = self;
        let stride = window.stride();
        for record in (0..window.len()).rev() {
            let (below, above) = adjoints.split_at_mut((record + 1) * stride);
            let (below, above) = (&mut below[record * stride..], &mut above[..stride]);
            if with_errors {
                for (adjoint, &error) in above.iter_mut().zip(window.error(record)) {
                    *adjoint += error;
                }
            }
            let jacobian = T::vectors::<S>(window.jacobian(record));
            let below = T::vectors_mut::<S>(below);
            let rows = &above[..window.states()];
            if stride <= NARROW * T::LANES {
                transposed_product::<S, T, 4>(simd, jacobian, rows, below);
            } else {
                transposed_product::<S, T, 1>(simd, jacobian, rows, below);
            }
        }
    }
}

/// `below = sum over k of rows[k] jacobian[k]`, in `CHAINS` chains.
#[inline(always)]
fn transposed_product<S: Simd, T: Real, const CHAINS: usize>(
    simd: S,
    jacobian: &[T::Vector<S>],
    rows: &[T],
    below: &mut [T::Vector<S>],
) {
    let wide = below.len();
    let mut first = 0;
    while first < wide {
        let rest = wide - first;
        // As many registers as keep their sums: 16 of 32 with AVX-512, 8 of 16 with AVX2.
        let most = if size_of::<T::Vector<S>>() == 64 { 16 } else { 8 } / CHAINS;
        let taken = match rest.min(most) {
            16.. => block::<S, T, CHAINS, 16>(simd, jacobian, wide, first, rows, below),
            8.. => block::<S, T, CHAINS, 8>(simd, jacobian, wide, first, rows, below),
            4.. => block::<S, T, CHAINS, 4>(simd, jacobian, wide, first, rows, below),
            2.. => block::<S, T, CHAINS, 2>(simd, jacobian, wide, first, rows, below),
            _ => block::<S, T, CHAINS, 1>(simd, jacobian, wide, first, rows, below),
        };
        first += taken;
    }
}

/// `NB` registers from `first` on; gives back NB.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn block<S: Simd, T: Real, const CHAINS: usize, const NB: usize>(
    simd: S,
    jacobian: &[T::Vector<S>],
    wide: usize,
    first: usize,
    rows: &[T],
    below: &mut [T::Vector<S>],
) -> usize {
    let mut sums = [[T::splat(simd, T::ZERO); NB]; CHAINS];
    let (quads, rest) = rows.as_chunks::<CHAINS>();
    let mut place = first;
    for quad in quads {
        for chain in 0..CHAINS {
            let factor = T::splat(simd, quad[chain]);
            let jacobian = &jacobian[place..place + NB];
            place += wide;
            for v in 0..NB {
                sums[chain][v] = T::fused(simd, factor, jacobian[v], sums[chain][v]);
            }
        }
    }
    for (sums, &row) in sums.iter_mut().zip(rest) {
        let factor = T::splat(simd, row);
        let jacobian = &jacobian[place..place + NB];
        place += wide;
        for v in 0..NB {
            sums[v] = T::fused(simd, factor, jacobian[v], sums[v]);
        }
    }
    let sums = add_chains::<S, T, CHAINS, NB>(simd, sums);
    for (below, &sum) in below[first..].iter_mut().zip(&sums) {
        *below = at_least(simd, sum, T::NEGLIGIBLE);
    }
    NB
}
