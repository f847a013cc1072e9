//! The forward pass of a layer that is divided into heads: the products of the weight rows with
//! what their heads see.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::product::{add_lanes, fold, fold_four};
use super::real::{Real, compiled, numbers};
use super::vector::{Vectorised, lanes, load};
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

    /// The length of z: the values that are shared, the outputs of all units, and padding, so that
    /// what the last head sees can be read in whole rows of lanes.
    fn z_len<T: Real>(&self) -> usize {
        let padded = self.width.div_ceil(T::LANES).saturating_mul(T::LANES);
        (self.units - self.size).saturating_add(padded)
    }
}

/// [`product`](crate::product) of every weight row with what its head sees of `z`, in the same
/// order of summation: the first `width - size` values, which all heads share, and after these the
/// outputs of its own units among those of all. `units - size` values and a row padded to a
/// multiple of [`Real::LANES`] make up the length of `z`; what follows the outputs is ignored.
///
/// Row i of `matrix`, `width` values in rows `stride` apart, is that of unit `i % units`. What
/// follows them is read too, as far as a padded row, and multiplied by 0, so it must be finite.
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
    check_matrix("the matrix", out.len(), heads.width, stride, matrix.len())?;
    let least = (out.len() - 1).saturating_mul(stride).saturating_add(padded);
    check_length("the padded matrix", least, matrix.len().min(least))?;
    T::run::<ProductsLoop>(isa, Products { heads, matrix, stride, z, out });
    Ok(())
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
        let &mut Self { heads, mut matrix, stride, z, .. } = self;
        for out in self.out.chunks_exact_mut(heads.units) {
            if heads.size == 1 {
                let rows = Lone::<S, T, NV>::new(simd, heads, (matrix, stride), z);
                products_of::<S, T, NV, _>(simd, rows, out);
            } else {
                let rows = Rows { matrix, stride, heads, z, row: 0, start: 0, place: 0 };
                products_of::<S, T, NV, _>(simd, rows, out);
            }
            matrix = matrix.get(heads.units * stride..).unwrap_or_default();
        }
    }
}

/// The rows of a block of W, one after the other.
trait NextRows<S: Simd, T: Real, const NV: usize> {
    /// The products of the next `R` rows with what they see of z, in logical lanes.
    fn lanes_of<const R: usize>(&mut self, simd: S) -> [[T::Vector<S>; NV]; R];

    /// Four rows on the way to their products: see [`fold_four`].
    #[inline(always)]
    fn four(&mut self, simd: S) -> T::Vector<S> {
        fold_four::<S, T, NV>(simd, self.lanes_of(simd))
    }
}

/// The products of the rows of a block.
#[inline(always)]
fn products_of<S: Simd, T: Real, const NV: usize, I: NextRows<S, T, NV>>(
    simd: S,
    mut rows: I,
    out: &mut [T],
) {
    // As many rows as a register has lanes, if these are at least four.
    let lanes = lanes::<S, T>();
    let whole = if lanes < ROWS { 0 } else { out.len() / lanes * lanes };
    let (registers, rest) = out.split_at_mut(whole);
    for out in T::vectors_mut::<S>(registers) {
        // In a loop, the fours would not stay in registers.
        let first = rows.four(simd);
        *out = match lanes {
            4 => first,
            8 => fold::<S, T>(simd, first, rows.four(simd), 1),
            _ => {
                let first = fold::<S, T>(simd, first, rows.four(simd), 2);
                let third = rows.four(simd);
                let then = fold::<S, T>(simd, third, rows.four(simd), 2);
                fold::<S, T>(simd, first, then, 1)
            }
        };
    }
    let (fours, rest) = rest.as_chunks_mut::<ROWS>();
    for out in fours {
        *out = add_lanes::<S, T, NV, ROWS>(simd, rows.lanes_of(simd));
    }
    for out in rest {
        [*out] = add_lanes::<S, T, NV, 1>(simd, rows.lanes_of(simd));
    }
}

/// Rows that see the output of one unit, which is in their last column.
struct Lone<'a, S: Simd, T: Real, const NV: usize> {
    /// The next rows and their distance, and the length of one that is padded.
    rows: &'a [T],
    stride: usize,
    padded: usize,
    /// What whole rows of lanes see, and the rest without the own output.
    shared: Lanes<'a, S, T, NV>,
    last: [T::Vector<S>; NV],
    /// The distance of each lane of the rest from that of the own output.
    distance: [T::Vector<S>; NV],
    /// The outputs of the next rows.
    outputs: &'a [T],
}

impl<'a, S: Simd, T: Real, const NV: usize> Lone<'a, S, T, NV> {
    #[inline(always)]
    fn new(simd: S, heads: Heads, (matrix, stride): (&'a [T], usize), z: &'a [T]) -> Self {
        let (shared, outputs) = z.split_at(heads.width - 1);
        let (shared, rest) = shared.split_at(shared.len() / T::LANES * T::LANES);
        let (mut last, mut distance) = ([T::splat(simd, T::ZERO); NV], [numbers::<S, T>(); NV]);
        for (v, (last, distance)) in last.iter_mut().zip(&mut distance).enumerate() {
            let at = v * lanes::<S, T>();
            *last = load::<S, T>(simd, rest, at.min(rest.len()));
            let from = T::splat(simd, T::from_f64(at as f64 - rest.len() as f64));
            *distance = T::magnitude(simd, T::sum(simd, *distance, from));
        }
        let padded = shared.len() + T::LANES;
        let shared = T::vectors::<S>(shared).as_chunks::<NV>().0;
        Self { rows: matrix, stride, padded, shared, last, distance, outputs }
    }
}

impl<S: Simd, T: Real, const NV: usize> NextRows<S, T, NV> for Lone<'_, S, T, NV> {
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn lanes_of<const R: usize>(&mut self, simd: S) -> [[T::Vector<S>; NV]; R] {
        let half = T::splat(simd, T::from_f64(0.5));
        let mut sums = [[T::splat(simd, T::ZERO); NV]; R];
        let count = self.shared.len();
        let mut rows: [Lanes<'_, S, T, NV>; R] = [&[]; R];
        for r in 0..R {
            rows[r] = T::vectors::<S>(&self.rows[..self.padded]).as_chunks::<NV>().0;
            self.rows = self.rows.get(self.stride..).unwrap_or_default();
        }
        for (i, shared) in self.shared.iter().enumerate() {
            for r in 0..R {
                for v in 0..NV {
                    sums[r][v] = T::fused(simd, rows[r][i][v], shared[v], sums[r][v]);
                }
            }
        }
        let (outputs, others) = self.outputs.split_at(R);
        self.outputs = others;
        for r in 0..R {
            let own = T::splat(simd, outputs[r]);
            for v in 0..NV {
                let seen = T::where_greater(simd, half, self.distance[v], own, self.last[v]);
                sums[r][v] = T::fused(simd, rows[r][count][v], seen, sums[r][v]);
            }
        }
        sums
    }
}

/// Rows that see the outputs of several units.
struct Rows<'a, T> {
    matrix: &'a [T],
    stride: usize,
    heads: Heads,
    z: &'a [T],
    /// Where the next row begins.
    row: usize,
    /// Where the outputs of its head begin, among those of all units.
    start: usize,
    /// The number of the next row in its head.
    place: usize,
}

/// Values in logical lanes of `NV` registers.
type Lanes<'a, S, T, const NV: usize> = &'a [[<T as Vectorised>::Vector<S>; NV]];

impl<'a, T: Real> Rows<'a, T> {
    /// The next row, and z from as many values on as there are outputs before those of its head,
    /// whose own outputs are in their columns.
    #[inline(always)]
    fn take<S: Simd, const NV: usize>(&mut self) -> [Lanes<'a, S, T, NV>; 2] {
        let padded = self.heads.width.next_multiple_of(T::LANES);
        let weights = &self.matrix[self.row..self.row + padded];
        let own = &self.z[self.start..self.start + padded];
        self.row += self.stride;
        let (size, next) = (self.heads.size, self.place + 1);
        if next == size {
            (self.start, self.place) = (self.start + size, 0);
        } else {
            self.place = next;
        }
        [weights, own].map(|values| T::vectors::<S>(values).as_chunks::<NV>().0)
    }
}

impl<S: Simd, T: Real, const NV: usize> NextRows<S, T, NV> for Rows<'_, T> {
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn lanes_of<const R: usize>(&mut self, simd: S) -> [[T::Vector<S>; NV]; R] {
        let mut rows: [[Lanes<'_, S, T, NV>; 2]; R] = [[&[]; 2]; R];
        for r in 0..R {
            rows[r] = self.take::<S, NV>();
        }
        lane_sums::<S, T, NV, R>(simd, self.heads, self.z, rows)
    }
}

/// The products of `R` rows, each with what it sees of `z`, in logical lanes.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn lane_sums<S: Simd, T: Real, const NV: usize, const R: usize>(
    simd: S,
    Heads { size, width, .. }: Heads,
    z: &[T],
    rows: [[Lanes<'_, S, T, NV>; 2]; R],
) -> [[T::Vector<S>; NV]; R] {
    let (zero, numbers, lanes) = (T::splat(simd, T::ZERO), numbers::<S, T>(), lanes::<S, T>());
    let mut sums = [[zero; NV]; R];
    let z = T::vectors::<S>(&z[..width.next_multiple_of(T::LANES)]).as_chunks::<NV>().0;
    for (i, all) in z.iter().enumerate() {
        if (i + 1) * T::LANES <= width - size {
            for r in 0..R {
                for v in 0..NV {
                    sums[r][v] = T::fused(simd, rows[r][0][i][v], all[v], sums[r][v]);
                }
            }
            continue;
        }
        if i * T::LANES >= width - size && (i + 1) * T::LANES <= width {
            for r in 0..R {
                let [weights, own] = rows[r];
                for v in 0..NV {
                    sums[r][v] = T::fused(simd, weights[i][v], own[i][v], sums[r][v]);
                }
            }
            continue;
        }
        for v in 0..NV {
            // How many lanes of the register come before the own outputs, and before the row's end.
            let at = i * T::LANES + v * lanes;
            let limit = |end: usize| T::splat(simd, T::from_f64(end as f64 - at as f64));
            let (shared, end) = (limit(width - size), limit(width));
            for r in 0..R {
                let [weights, own] = rows[r];
                let own = T::where_greater(simd, end, numbers, own[i][v], zero);
                let seen = T::where_greater(simd, shared, numbers, all[v], own);
                sums[r][v] = T::fused(simd, weights[i][v], seen, sums[r][v]);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{product, tested};

    fn number<T: Real>(i: usize) -> T {
        T::from_f64(libm::sin(i as f64 * 1.7) * 3.0)
    }

    fn bits<T: Real>(values: &[T]) -> Vec<u64> {
        values.iter().map(|value| value.to_f64().to_bits()).collect()
    }

    fn check<T: Real>() {
        // Some with whole registers of rows, whole rows of lanes that are shared, or an empty rest.
        let one = [(1, 1, 0, 1), (6, 1, 17, 1), (37, 1, 15, 1), (37, 1, 16, 3), (37, 1, 33, 1)];
        let several = [(9, 3, 5, 4), (8, 8, 2, 1), (40, 20, 33, 2)];
        for (units, size, shared, blocks) in one.into_iter().chain(several) {
            let heads = Heads { units, size, width: shared + size };
            let padded = heads.width.next_multiple_of(T::LANES);
            let stride = padded + T::LANES;
            let matrix: Vec<T> = (0..blocks * units * stride)
                .map(|i| if i % stride < heads.width { number(i) } else { T::ZERO })
                .collect();
            let known: Vec<T> = (0..shared).map(|i| number(i + 500)).collect();
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
            let mut z: Vec<T> = known.iter().chain(&outputs).copied().collect();
            z.resize(heads.z_len::<T>(), T::from_f64(f64::NAN));
            for isa in tested::sets() {
                let mut out = vec![T::ONE; blocks * units];
                head_products(isa, heads, (&matrix, stride), &z, &mut out).unwrap();
                assert_eq!(bits(&out), bits(&expected), "{isa}, {heads:?}");
                // The same rows without gaps, of which the last one is padded.
                let rows = matrix.chunks(stride).flat_map(|row| &row[..heads.width]);
                let mut packed: Vec<T> = rows.copied().collect();
                packed.resize(packed.len() + padded - heads.width, T::ONE);
                let mut out = vec![T::ONE; blocks * units];
                head_products(isa, heads, (&packed, heads.width), &z, &mut out).unwrap();
                assert_eq!(bits(&out), bits(&expected), "{isa}, {heads:?}, packed");
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
            let (matrix, z, mut out) = ([0.0f32; 80], [0.0; 18], [0.0; 4]);
            assert!(head_products(isa, heads, (&matrix, 16), &z, &mut out).is_err());
        }
        let heads = heads(4, 2, 4);
        assert!(head_products(isa, heads, (&[0.0f32; 28], 4), &[0.0; 18], &mut [0.0; 4]).is_ok());
        for (matrix, stride, z, out) in
            [(27, 4, 18, 4), (28, 3, 18, 4), (28, 4, 17, 4), (28, 4, 18, 3)]
        {
            let (matrix, z, mut out) = (vec![0.0f32; matrix], vec![0.0; z], vec![0.0; out]);
            assert!(head_products(isa, heads, (&matrix, stride), &z, &mut out).is_err());
        }
    }
}
