//! The backward pass through a window, newest record first:
//! `adjoint(w) = J_wᵀ adjoint(w+1) + e(w)`.
//!
//! `adjoint(w)` is the negative derivative of the summed losses with respect to the state before
//! record w. Jacobians are stored by rows, so `Jᵀ adjoint` is a sum of rows and reads memory in
//! order.
//!
//! Order of summation, for each element: up to [`NARROW`] rows of lanes, four chains, row k of J in
//! chain k mod 4, each ascending and fused, then (0 + 1) + (2 + 3); above, one chain. That depends
//! on the shape and the precision only.

use pulp::Simd;

use super::chains::add_chains;
use super::factors::Runs;
use super::stored::RecordJacobian;
use super::sweep::WindowAdjoint;
use super::window::Window;
use crate::error::Error;
use crate::layout::Layout;
use crate::simd::{Buffer, Isa, Real, Work, at_least, compiled, lanes, load};

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

    /// Goes back through `window`, with `above` reaching the state after its last record, or with
    /// the errors that the window holds.
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
        let (factors, with_errors) = (self.factors.values_mut(), above.is_none());
        T::run::<BackwardLoop>(
            isa,
            Backward { window, runs, layout, adjoints, factors, with_errors },
        );
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
/// `adjoints` is `[len + 1][stride]`: what reaches the state after the last record is given in the
/// last row; the others are computed, row w being that before record w. Errors that have not been
/// read are added on the way if `with_errors`. `factors` is `[record][weight row]`.
pub(super) struct Backward<'a, T> {
    window: &'a Window<T>,
    runs: &'a Runs,
    layout: &'a Layout,
    adjoints: &'a mut [T],
    factors: &'a mut [T],
    with_errors: bool,
}

compiled!(pub(super) BackwardLoop: Backward -> ());

impl<T: Real> Work for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        let (window, stride) = (self.window, self.window.stride());
        let newest = self.error_before(window.len());
        add_error::<S, T>(simd, newest, &mut self.adjoints[window.len() * stride..]);
        match stride / lanes::<S, T>() {
            1 => self.records(simd, one_register::<S, T>),
            2 => self.records(simd, two_registers::<S, T>),
            _ if stride <= NARROW * T::LANES => self.records(simd, registers::<S, T, 4>),
            _ => self.records(simd, registers::<S, T, 1>),
        }
        self.runs.write(simd, self.layout, window, &self.adjoints[stride..], self.factors);
    }
}

impl<'a, T: Real> Backward<'a, T> {
    /// Goes through all records; `go_back` takes a Jacobian, the adjoints after it, an error to be
    /// added to the result, and room for that.
    #[inline(always)]
    fn records<S: Simd>(
        &mut self,
        simd: S,
        go_back: impl Fn(S, RecordJacobian<'_, T>, &[T], &[T], &mut [T]),
    ) {
        let (window, stride) = (self.window, self.window.stride());
        for record in (0..window.len()).rev() {
            let error = self.error_before(record);
            let (below, above) = self.adjoints.split_at_mut((record + 1) * stride);
            let (below, above) = (&mut below[record * stride..], &above[..stride]);
            go_back(simd, window.jacobian(record), &above[..window.states()], error, below);
        }
    }

    /// The errors that reach the state before a record, if they count.
    #[inline(always)]
    fn error_before(&self, record: usize) -> &'a [T] {
        match record.checked_sub(1) {
            Some(before) if self.with_errors => self.window.error(before),
            _ => &[],
        }
    }
}

/// Adds as many errors as there are to adjoints.
#[inline(always)]
fn add_error<S: Simd, T: Real>(simd: S, error: &[T], adjoints: &mut [T]) {
    let places = T::vectors_mut::<S>(adjoints).iter_mut();
    for (at, place) in (0..error.len()).step_by(lanes::<S, T>()).zip(places) {
        *place = T::sum(simd, *place, load(simd, error, at));
    }
}

/// `below = error + Jᵀ above` where a row of J has one register.
#[inline(always)]
fn one_register<S: Simd, T: Real>(
    simd: S,
    jacobian: RecordJacobian<'_, T>,
    above: &[T],
    error: &[T],
    below: &mut [T],
) {
    transposed_row::<S, T, 1>(simd, T::vectors::<S>(jacobian.columns), above, error, below);
}

/// [`one_register`] where a row has two, or one if half of the states are cells.
#[inline(always)]
fn two_registers<S: Simd, T: Real>(
    simd: S,
    jacobian: RecordJacobian<'_, T>,
    above: &[T],
    error: &[T],
    below: &mut [T],
) {
    let columns = T::vectors::<S>(jacobian.columns);
    if jacobian.cells() == 0 {
        return transposed_row::<S, T, 2>(simd, columns, above, error, below);
    }
    let (outputs, error_of_outputs) = outputs(jacobian, error, below);
    transposed_row::<S, T, 1>(simd, columns, above, error_of_outputs, outputs);
    jacobian.go_back_to_cells::<S, 4>(simd, above, error, below);
}

/// [`one_register`] where a row has any number of registers.
#[inline(always)]
fn registers<S: Simd, T: Real, const CHAINS: usize>(
    simd: S,
    jacobian: RecordJacobian<'_, T>,
    above: &[T],
    error: &[T],
    below: &mut [T],
) {
    let columns = T::vectors::<S>(jacobian.columns);
    let (outputs, error_of_outputs) = outputs(jacobian, error, below);
    transposed_product::<S, T, CHAINS>(simd, columns, above, error_of_outputs, outputs);
    if jacobian.cells() > 0 {
        jacobian.go_back_to_cells::<S, CHAINS>(simd, above, error, below);
    }
}

/// The places of the stored columns, rounded up to whole rows of lanes, and their errors.
#[inline(always)]
fn outputs<'a, 'b, T: Real>(
    jacobian: RecordJacobian<'_, T>,
    error: &'a [T],
    below: &'b mut [T],
) -> (&'b mut [T], &'a [T]) {
    let is_part = jacobian.cells() > 0;
    let len = if is_part { error.len().min(jacobian.cells()) } else { error.len() };
    (&mut below[..jacobian.stride], &error[..len])
}

/// [`transposed_product`] in four chains where a row has `NB` registers.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn transposed_row<S: Simd, T: Real, const NB: usize>(
    simd: S,
    jacobian: &[T::Vector<S>],
    above: &[T],
    error: &[T],
    below: &mut [T],
) {
    let mut sums = [[T::splat(simd, T::ZERO); NB]; 4];
    let (quads, rest) = jacobian.as_chunks::<NB>().0.as_chunks::<4>();
    let (factors, last) = above.as_chunks::<4>();
    for (rows, factors) in quads.iter().zip(factors) {
        for chain in 0..4 {
            let factor = T::splat(simd, factors[chain]);
            for v in 0..NB {
                sums[chain][v] = T::fused(simd, factor, rows[chain][v], sums[chain][v]);
            }
        }
    }
    for (sums, (row, &factor)) in sums.iter_mut().zip(rest.iter().zip(last)) {
        let factor = T::splat(simd, factor);
        for v in 0..NB {
            sums[v] = T::fused(simd, factor, row[v], sums[v]);
        }
    }
    finish::<S, T, 4, NB>(simd, sums, error, T::vectors_mut::<S>(below));
}

/// `below = error + sum over k of rows[k] jacobian[k]`, in `CHAINS` chains; negligible sums are 0.
#[inline(always)]
fn transposed_product<S: Simd, T: Real, const CHAINS: usize>(
    simd: S,
    jacobian: &[T::Vector<S>],
    rows: &[T],
    error: &[T],
    below: &mut [T],
) {
    let below = T::vectors_mut::<S>(below);
    let wide = below.len();
    let mut first = 0;
    while first < wide {
        let rest = wide - first;
        // As many registers as keep their sums: 16 of 32 with AVX-512, 8 of 16 with AVX2.
        let most = if size_of::<T::Vector<S>>() == 64 { 16 } else { 8 } / CHAINS;
        let taken = match rest.min(most) {
            16.. => block::<S, T, CHAINS, 16>(simd, jacobian, first, rows, error, below),
            8.. => block::<S, T, CHAINS, 8>(simd, jacobian, first, rows, error, below),
            4.. => block::<S, T, CHAINS, 4>(simd, jacobian, first, rows, error, below),
            2.. => block::<S, T, CHAINS, 2>(simd, jacobian, first, rows, error, below),
            _ => block::<S, T, CHAINS, 1>(simd, jacobian, first, rows, error, below),
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
    first: usize,
    rows: &[T],
    error: &[T],
    below: &mut [T::Vector<S>],
) -> usize {
    let wide = below.len();
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
    let error = error.get(first * lanes::<S, T>()..).unwrap_or_default();
    finish::<S, T, CHAINS, NB>(simd, sums, error, &mut below[first..]);
    NB
}

/// Adds up the chains, and then the error; negligible sums count as 0.
#[inline(always)]
fn finish<S: Simd, T: Real, const CHAINS: usize, const NB: usize>(
    simd: S,
    chains: [[T::Vector<S>; NB]; CHAINS],
    error: &[T],
    below: &mut [T::Vector<S>],
) {
    let sums = add_chains::<S, T, CHAINS, NB>(simd, chains);
    let (zero, least) = (T::splat(simd, T::ZERO), T::splat(simd, T::NEGLIGIBLE));
    for (v, (below, &sum)) in below.iter_mut().zip(&sums).enumerate() {
        let at = v * lanes::<S, T>();
        // Where there is no error the sum remains as it is: 0 may have a sign.
        if at >= error.len() {
            *below = at_least(simd, sum, T::NEGLIGIBLE);
            continue;
        }
        // `at_least` of the sum, plus the error, which is added while the sum is compared.
        let error = load(simd, error, at);
        let (kept, cleared) = (T::sum(simd, sum, error), T::fused(simd, sum, zero, error));
        *below = T::where_greater(simd, least, T::magnitude(simd, sum), cleared, kept);
    }
}
