//! The forward pass of a layer that is divided into heads: what the weight rows of each head see,
//! and their products with it.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::product::add_lanes;
use super::real::{Real, compiled};
use super::vector::Vectorised;
use crate::error::{Error, check_length, check_matrix};

/// Rows that are summed at the same time, to hide the latency of the multiply-adds.
const ROWS: usize = 4;

/// A layer whose units are divided into heads of neighbours: a unit sees those of its own head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Number of units, n.
    pub units: usize,
    /// Units of a head; divides `units`.
    pub size: usize,
    /// Columns of a weight row: what is shared by all heads, then the units of the row's head.
    pub width: usize,
}

impl Heads {
    /// Fails unless whole heads make up the layer, and the rows have room for one.
    fn check(&self) -> Result<(), Error> {
        check_length("the units that are left over by heads", 0, self.units % self.size.max(1))?;
        check_length("the units of a head", self.size.max(1), self.size)?;
        check_length("the units of all heads", self.units.max(1), self.units)?;
        check_length("the units in a row", self.size, self.size.min(self.width))
    }

    /// The length of z: that of one head after the other, the last one padded as a row of W is.
    fn z_len<T: Real>(&self) -> usize {
        let before = (self.units / self.size - 1).saturating_mul(self.width);
        before.saturating_add(self.width.div_ceil(T::LANES).saturating_mul(T::LANES))
    }
}

/// Writes what the heads of a layer see to `z`: for each head, in order, the values that are
/// `shared` and the `outputs` of its units, `width` values; then the padding of the last head.
///
/// `shared` is a multiple of [`Real::LANES`] long, with zeros after its `width - size` values.
///
/// # Errors
/// [`Error::Length`] if a slice does not fit.
pub fn spread<T: Real>(
    isa: Isa,
    heads: Heads,
    shared: &[T],
    outputs: &[T],
    z: &mut [T],
) -> Result<(), Error> {
    heads.check()?;
    let padded = (heads.width - heads.size).next_multiple_of(T::LANES);
    check_length("what the heads share", padded, shared.len())?;
    check_length("the outputs of the heads", heads.units, outputs.len())?;
    check_length("z of all heads", heads.z_len::<T>(), z.len())?;
    T::run::<SpreadLoop>(isa, Spread { heads, shared, outputs, z });
    Ok(())
}

/// [`product`](crate::product) of every weight row with the part of `z` that its head sees, in the
/// same order of summation. Row i of `matrix`, `stride` values with zeros after `width`, is that of
/// unit `i % units`, and `z` is that of [`spread`].
///
/// # Errors
/// [`Error::Length`] if a slice does not fit.
pub fn head_products<T: Real>(
    isa: Isa,
    heads: Heads,
    (matrix, stride): (&[T], usize),
    z: &[T],
    out: &mut [T],
) -> Result<(), Error> {
    heads.check()?;
    check_length("the rows of the last block", 0, out.len() % heads.units.max(1))?;
    check_length("z of all heads", heads.z_len::<T>(), z.len())?;
    if out.is_empty() {
        return Ok(());
    }
    let padded = heads.width.next_multiple_of(T::LANES);
    check_matrix("the padded matrix", out.len(), padded, stride, matrix.len())?;
    T::run::<ProductsLoop>(isa, Products { heads, matrix, stride, z, out });
    Ok(())
}

pub(crate) struct Spread<'a, T> {
    heads: Heads,
    shared: &'a [T],
    outputs: &'a [T],
    z: &'a mut [T],
}

compiled!(pub(crate) SpreadLoop: Spread -> ());

impl<T: Real> Work for Spread<'_, T> {
    type Output = ();

    /// The padding of what is shared is overwritten by the units and by the next head.
    #[inline(always)]
    fn run<S: Simd>(&mut self, _: S) {
        let Self { heads: Heads { size, width, .. }, shared, outputs, z } = self;
        let shared = T::vectors::<S>(shared);
        let padded = size_of_val(shared) / size_of::<T>();
        for (head, outputs) in outputs.chunks_exact(*size).enumerate() {
            let z = &mut z[head * *width..];
            for (place, &values) in T::vectors_mut::<S>(&mut z[..padded]).iter_mut().zip(shared) {
                *place = values;
            }
            for (place, &output) in z[*width - *size..].iter_mut().zip(outputs) {
                *place = output;
            }
        }
        z[outputs.len() / *size * *width..].fill(T::ZERO);
    }
}

pub(crate) struct Products<'a, T> {
    heads: Heads,
    matrix: &'a [T],
    stride: usize,
    z: &'a [T],
    out: &'a mut [T],
}

compiled!(pub(crate) ProductsLoop: Products -> ());

impl<T: Real> Work for Products<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) {
        match 64 / size_of::<T::Vector<S>>() {
            1 => self.rows::<S, 1>(simd),
            2 => self.rows::<S, 2>(simd),
            4 => self.rows::<S, 4>(simd),
            8 => self.rows::<S, 8>(simd),
            _ => self.rows::<S, 16>(simd),
        }
    }
}

impl<T: Real> Products<'_, T> {
    /// All rows, `NV` registers to the logical lanes.
    #[inline(always)]
    fn rows<S: Simd, const NV: usize>(&mut self, simd: S) {
        let &mut Self { heads: Heads { units, size, width }, mut matrix, stride, z, .. } = self;
        for out in self.out.chunks_exact_mut(units) {
            let mut rows = Rows { matrix, stride, z, size, width, start: 0, place: 0 };
            matrix = matrix.get(units * stride..).unwrap_or_default();
            let (groups, rest) = out.as_chunks_mut::<ROWS>();
            for out in groups {
                let four = [
                    rows.take::<S, NV>(),
                    rows.take::<S, NV>(),
                    rows.take::<S, NV>(),
                    rows.take::<S, NV>(),
                ];
                *out = lane_sums::<S, T, NV, ROWS>(simd, four);
            }
            for out in rest {
                [*out] = lane_sums::<S, T, NV, 1>(simd, [rows.take::<S, NV>()]);
            }
        }
    }
}

/// Values in logical lanes of `NV` registers.
type Lanes<'a, S, T, const NV: usize> = &'a [[<T as Vectorised>::Vector<S>; NV]];

/// The rows of a block of W, one after the other, with what each sees.
struct Rows<'a, T> {
    matrix: &'a [T],
    stride: usize,
    z: &'a [T],
    size: usize,
    width: usize,
    /// Where z of the next row begins.
    start: usize,
    /// The number of the next row in its head.
    place: usize,
}

impl<'a, T: Real> Rows<'a, T> {
    /// The next row and what it sees.
    #[inline(always)]
    fn take<S: Simd, const NV: usize>(&mut self) -> [Lanes<'a, S, T, NV>; 2] {
        let padded = self.width.next_multiple_of(T::LANES);
        let (row, seen) = (&self.matrix[..padded], &self.z[self.start..][..padded]);
        self.matrix = self.matrix.get(self.stride..).unwrap_or_default();
        self.place += 1;
        if self.place == self.size {
            (self.start, self.place) = (self.start + self.width, 0);
        }
        [T::vectors::<S>(row).as_chunks::<NV>().0, T::vectors::<S>(seen).as_chunks::<NV>().0]
    }
}

/// The products of `R` rows, each with what it sees.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn lane_sums<S: Simd, T: Real, const NV: usize, const R: usize>(
    simd: S,
    rows: [[Lanes<'_, S, T, NV>; 2]; R],
) -> [T; R] {
    let mut sums = [[T::splat(simd, T::ZERO); NV]; R];
    for r in 0..R {
        let [row, seen] = rows[r];
        for (row, seen) in row.iter().zip(seen) {
            for v in 0..NV {
                sums[r][v] = T::fused(simd, row[v], seen[v], sums[r][v]);
            }
        }
    }
    add_lanes::<S, T, NV, R>(simd, sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{product, tested};

    fn number<T: Real>(i: usize) -> T {
        T::from_f64(libm::sin(i as f64 * 1.7) * 3.0)
    }

    fn check<T: Real>() {
        for (units, size, shared, blocks) in
            [(1, 1, 0, 1), (6, 1, 17, 1), (9, 3, 5, 4), (8, 8, 2, 1), (40, 20, 33, 2)]
        {
            let heads = Heads { units, size, width: shared + size };
            let padded = heads.width.next_multiple_of(T::LANES);
            let stride = padded + T::LANES;
            let matrix: Vec<T> = (0..blocks * units * stride)
                .map(|i| if i % stride < heads.width { number(i) } else { T::ZERO })
                .collect();
            let mut known: Vec<T> = (0..shared).map(|i| number(i + 500)).collect();
            let outputs: Vec<T> = (0..units).map(|i| number(i + 900)).collect();
            let seen = |unit: usize| -> Vec<T> {
                let own = &outputs[unit / size * size..][..size];
                let mut z: Vec<T> = known[..shared].iter().chain(own).copied().collect();
                z.resize(padded, T::ZERO);
                z
            };
            let expected: Vec<T> = (0..blocks * units)
                .map(|row| {
                    let mut sum = [T::ZERO];
                    let row_of = &matrix[row * stride..][..padded];
                    product(Isa::scalar(), row_of, &seen(row % units), &mut sum).unwrap();
                    sum[0]
                })
                .collect();
            known.resize(shared.next_multiple_of(T::LANES), T::ZERO);
            for isa in tested::sets() {
                let mut z = vec![T::from_f64(f64::NAN); heads.z_len::<T>()];
                spread(isa, heads, &known, &outputs, &mut z).unwrap();
                let mut out = vec![T::ONE; blocks * units];
                head_products(isa, heads, (&matrix, stride), &z, &mut out).unwrap();
                assert_eq!(out, expected, "{isa}, {heads:?}");
            }
        }
    }

    #[test]
    fn rows_see_what_is_shared_and_their_own_head() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let isa = Isa::scalar();
        let heads = |units, size, width| Heads { units, size, width };
        for heads in [heads(5, 2, 4), heads(4, 0, 4), heads(0, 2, 4), heads(4, 2, 1)] {
            assert!(spread(isa, heads, &[0.0f32; 16], &[0.0; 4], &mut [0.0; 20]).is_err());
        }
        let heads = heads(4, 2, 4);
        assert!(spread(isa, heads, &[0.0f32; 16], &[0.0; 4], &mut [0.0; 20]).is_ok());
        for (shared, outputs, z) in [(2, 4, 20), (16, 3, 20), (16, 4, 19)] {
            let (shared, outputs, mut z) = (vec![0.0f32; shared], vec![0.0; outputs], vec![0.0; z]);
            assert!(spread(isa, heads, &shared, &outputs, &mut z).is_err());
        }
        for (matrix, stride, z, out) in
            [(63, 16, 20, 4), (64, 12, 20, 4), (64, 16, 19, 4), (64, 16, 20, 3)]
        {
            let (matrix, z, mut out) = (vec![0.0f32; matrix], vec![0.0; z], vec![0.0; out]);
            assert!(head_products(isa, heads, (&matrix, stride), &z, &mut out).is_err());
        }
    }
}
