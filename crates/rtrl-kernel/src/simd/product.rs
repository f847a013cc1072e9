//! Matrix times vector in a fixed order: the forward pass and the readout.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::real::{Real, compiled};
use super::vector::{lanes, store};
use crate::error::{Error, check_length};

/// Rows that are summed at the same time, to hide the latency of the multiply-adds.
const ROWS: usize = 4;

/// Writes `out[k] = sum over j of matrix[k * c + j] * vector[j]` (equation 1), c being the length
/// of `vector`: a multiple of [`Real::LANES`], with zeros as padding in both.
///
/// Order of summation: L = [`Real::LANES`] logical lanes; lane r takes j = r, r + L, r + 2L, … by
/// fused multiply-adds from +0; then the upper half of the lanes is added to the lower half until
/// one is left.
///
/// # Errors
/// [`Error::Length`] if a slice does not fit.
pub fn product<T: Real>(isa: Isa, matrix: &[T], vector: &[T], out: &mut [T]) -> Result<(), Error> {
    check_length("the padding of the vector", 0, vector.len() % T::LANES)?;
    check_length("the padded matrix", out.len() * vector.len(), matrix.len())?;
    if vector.is_empty() {
        out.fill(T::ZERO);
    } else {
        T::run::<ProductLoop>(isa, Product { matrix, vector, rows: out.len(), out });
    }
    Ok(())
}

compiled!(pub(crate) ProductLoop: Product -> ());

pub(crate) struct Product<'a, T> {
    pub(super) matrix: &'a [T],
    pub(super) vector: &'a [T],
    /// Rows of the matrix.
    pub(super) rows: usize,
    /// As many values or more, up to a whole number of registers: those become 0.
    pub(super) out: &'a mut [T],
}

impl<T: Real> Work for Product<'_, T> {
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

impl<T: Real> Product<'_, T> {
    /// All rows, `NV` registers to the logical lanes: as many as a register has at a time, so that
    /// their products are written at once. What follows reads whole registers, which would wait for
    /// parts.
    #[inline(always)]
    fn rows<S: Simd, const NV: usize>(&mut self, simd: S) {
        let (vector, _) = T::vectors::<S>(self.vector).as_chunks::<NV>();
        let (width, lanes) = (vector.len(), lanes::<S, T>());
        let mut rows = &T::vectors::<S>(self.matrix).as_chunks::<NV>().0[..self.rows * width];
        if width == 0 {
            return self.out.fill(T::ZERO);
        }
        if lanes < ROWS {
            let (out, padding) = self.out.split_at_mut(self.rows);
            for (out, row) in out.iter_mut().zip(rows.chunks_exact(width)) {
                [*out] = add_lanes::<S, T, NV, 1>(simd, lanes_of::<S, T, NV, 1>(simd, row, vector));
            }
            return padding.fill(T::ZERO);
        }
        for out in self.out.chunks_mut(lanes) {
            let (block, below) = rows.split_at((lanes * width).min(rows.len()));
            rows = below;
            let mut fours = [T::splat(simd, T::ZERO); 4];
            for (four, block) in fours.iter_mut().zip(block.chunks(ROWS * width)) {
                *four = four_products::<S, T, NV>(simd, block, vector);
            }
            let [a, b, c, d] = fours;
            let products = match lanes {
                4 => a,
                8 => fold::<S, T>(simd, a, b, 1),
                _ => {
                    let (first, then) = (fold::<S, T>(simd, a, b, 2), fold::<S, T>(simd, c, d, 2));
                    fold::<S, T>(simd, first, then, 1)
                }
            };
            store::<S, T>(simd, out, 0, products);
        }
    }
}

/// The products of up to four rows, as [`fold_four`] leaves them.
#[inline(always)]
fn four_products<S: Simd, T: Real, const NV: usize>(
    simd: S,
    rows: &[[T::Vector<S>; NV]],
    vector: &[[T::Vector<S>; NV]],
) -> T::Vector<S> {
    let width = vector.len();
    if rows.len() == ROWS * width {
        return fold_four::<S, T, NV>(simd, lanes_of::<S, T, NV, ROWS>(simd, rows, vector));
    }
    let mut sums = [[T::splat(simd, T::ZERO); NV]; ROWS];
    for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(width)) {
        [*sum] = lanes_of::<S, T, NV, 1>(simd, row, vector);
    }
    fold_four::<S, T, NV>(simd, sums)
}

/// The products of `R` rows, in logical lanes.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
fn lanes_of<S: Simd, T: Real, const NV: usize, const R: usize>(
    simd: S,
    rows: &[[T::Vector<S>; NV]],
    vector: &[[T::Vector<S>; NV]],
) -> [[T::Vector<S>; NV]; R] {
    let width = vector.len();
    let mut each: [&[[T::Vector<S>; NV]]; R] = [&[]; R];
    for r in 0..R {
        each[r] = &rows[r * width..(r + 1) * width];
    }
    let mut sums = [[T::splat(simd, T::ZERO); NV]; R];
    for (j, z) in vector.iter().enumerate() {
        for r in 0..R {
            let row = &each[r][j];
            for v in 0..NV {
                sums[r][v] = T::fused(simd, row[v], z[v], sums[r][v]);
            }
        }
    }
    sums
}

/// The sum of the logical lanes of each of `R` rows: the upper half is added to the lower half
/// until one is left.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
pub(super) fn add_lanes<S: Simd, T: Real, const NV: usize, const R: usize>(
    simd: S,
    sums: [[T::Vector<S>; NV]; R],
) -> [T; R] {
    let mut fours = [[T::ZERO; 4]; R];
    for r in 0..R {
        fours[r] = halve_to_four::<S, T, NV>(simd, &sums[r]);
    }
    // Else the compiler takes the lanes of all rows together, by three times as many instructions,
    // or reads two rows at once before both are written.
    let fours: [&[T; 4]; R] = std::array::from_fn(|r| std::hint::black_box(&fours[r]));
    fours.map(|&[a, b, c, d]| (a + c) + (b + d))
}

/// Four rows on the way to the sums of their logical lanes, in the order of [`add_lanes`]: a
/// quarter of a register is left of each.
#[inline(always)]
pub(super) fn fold_four<S: Simd, T: Real, const NV: usize>(
    simd: S,
    [a, b, c, d]: [[T::Vector<S>; NV]; 4],
) -> T::Vector<S> {
    let half = lanes::<S, T>() / 2;
    let [a, b] = [halve_to_one::<S, T, NV>(simd, a), halve_to_one::<S, T, NV>(simd, b)];
    let [c, d] = [halve_to_one::<S, T, NV>(simd, c), halve_to_one::<S, T, NV>(simd, d)];
    let first = fold_in_turn::<S, T>(simd, a, c, half);
    let then = fold_in_turn::<S, T>(simd, b, d, half);
    fold_in_turn::<S, T>(simd, first, then, half / 2)
}

/// [`fold`], but what is left of both registers takes turns: it takes one shuffle instead of two.
#[inline(always)]
fn fold_in_turn<S: Simd, T: Real>(
    simd: S,
    first: T::Vector<S>,
    then: T::Vector<S>,
    half: usize,
) -> T::Vector<S> {
    let lanes = lanes::<S, T>();
    let (mut both, mut kept, mut moved) = ([T::ZERO; 32], [T::ZERO; 16], [T::ZERO; 16]);
    T::vectors_mut::<S>(&mut both[..lanes])[0] = first;
    T::vectors_mut::<S>(&mut both[lanes..2 * lanes])[0] = then;
    for lane in 0..lanes {
        let is_upper = lane / half % 2 == 1;
        kept[lane] = both[if is_upper { lanes + lane } else { lane }];
        moved[lane] = both[if is_upper { lanes + lane - half } else { lane + half }];
    }
    let kept = T::vectors::<S>(&kept[..lanes])[0];
    let moved = T::vectors::<S>(&moved[..lanes])[0];
    T::sum(simd, kept, moved)
}

/// Adds the upper half of every `2 * half` lanes of two registers to the lower half; what is left
/// of both makes up one register.
#[inline(always)]
pub(super) fn fold<S: Simd, T: Real>(
    simd: S,
    first: T::Vector<S>,
    then: T::Vector<S>,
    half: usize,
) -> T::Vector<S> {
    let lanes = lanes::<S, T>();
    let (mut both, mut lower, mut upper) = ([T::ZERO; 32], [T::ZERO; 16], [T::ZERO; 16]);
    T::vectors_mut::<S>(&mut both[..lanes])[0] = first;
    T::vectors_mut::<S>(&mut both[lanes..2 * lanes])[0] = then;
    // The compiler makes a shuffle of each of the two.
    for lane in 0..lanes {
        let place = lane / half * 2 * half + lane % half;
        lower[lane] = both[place];
        upper[lane] = both[place + half];
    }
    let lower = T::vectors::<S>(&lower[..lanes])[0];
    let upper = T::vectors::<S>(&upper[..lanes])[0];
    T::sum(simd, lower, upper)
}

/// Adds the upper half of the logical lanes to the lower half until they are in one register.
#[inline(always)]
fn halve_to_one<S: Simd, T: Real, const NV: usize>(
    simd: S,
    mut registers: [T::Vector<S>; NV],
) -> T::Vector<S> {
    let mut width = NV;
    while width > 1 {
        width /= 2;
        for v in 0..width {
            registers[v] = T::sum(simd, registers[v], registers[v + width]);
        }
    }
    registers[0]
}

/// Adds the upper half of the logical lanes to the lower half until four are left.
#[inline(always)]
fn halve_to_four<S: Simd, T: Real, const NV: usize>(simd: S, sums: &[T::Vector<S>; NV]) -> [T; 4] {
    let mut registers = *sums;
    let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
    let mut width = NV;
    while width > 1 && width * lanes > 4 {
        width /= 2;
        for v in 0..width {
            registers[v] = T::sum(simd, registers[v], registers[v + width]);
        }
    }
    let mut values = [T::ZERO; 16];
    let mut count = 0;
    for register in &registers[..width] {
        for bytes in bytemuck::bytes_of(register).chunks_exact(size_of::<T>()) {
            values[count] = bytemuck::pod_read_unaligned(bytes);
            count += 1;
        }
    }
    while count > 4 {
        count /= 2;
        for lane in 0..count {
            values[lane] += values[lane + count];
        }
    }
    [values[0], values[1], values[2], values[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;

    /// The documented order, in loops.
    fn in_loops<T: Real>(row: &[T], vector: &[T]) -> T {
        let mut lanes = vec![T::ZERO; T::LANES];
        for (j, (&w, &z)) in row.iter().zip(vector).enumerate() {
            lanes[j % T::LANES] = w.mul_add(z, lanes[j % T::LANES]);
        }
        while lanes.len() > 1 {
            let upper = lanes.split_off(lanes.len() / 2);
            lanes.iter_mut().zip(upper).for_each(|(low, high)| *low += high);
        }
        lanes[0]
    }

    fn check<T: Real>() {
        for (rows, width) in [(1, 1), (3, 2), (4, 1), (9, 3), (17, 1), (37, 2)] {
            let cols = width * T::LANES;
            let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.7) * 3.0);
            let matrix: Vec<T> = (0..rows * cols).map(number).collect();
            let vector: Vec<T> = (0..cols).map(|j| number(j + 1000)).collect();
            let expected: Vec<T> = matrix.chunks(cols).map(|row| in_loops(row, &vector)).collect();
            for isa in tested::sets() {
                let mut out = vec![T::ZERO; rows];
                product(isa, &matrix, &vector, &mut out).unwrap();
                assert_eq!(out, expected, "{isa}, {rows} rows, {cols} columns");
            }
        }
    }

    #[test]
    fn every_instruction_set_sums_in_the_documented_order() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn slices_that_do_not_fit_are_refused() {
        let unpadded = product(Isa::scalar(), &[0.0f32; 15], &[0.0; 15], &mut [0.0]);
        assert!(matches!(unpadded, Err(Error::Length { expected: 0, got: 15, .. })));
        let short = product(Isa::scalar(), &[0.0f32; 16], &[0.0; 16], &mut [0.0; 2]);
        assert!(matches!(short, Err(Error::Length { expected: 32, got: 16, .. })));
    }
}
