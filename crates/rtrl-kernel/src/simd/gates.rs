//! The elementwise part of a step of gated cells, with its derivatives.
//!
//! Every unit is computed in one lane, in the order of operations that the functions state, so the
//! bits do not depend on the instruction set.

use pulp::Simd;

use super::activate::{Function, difference};
use super::isa::{Isa, Work};
use super::real::{Real, compiled};
use super::vector::{is_zero, load, store};
use crate::error::{Error, check_length};

/// A step of n units of a GRU whose reset gate follows the product, from the weighted sums of their
/// four rows (r, u, v, w) to their outputs:
///
/// ```text
/// r = σ(s_r)    u = σ(s_u)    v = tanh(fma(r, s_w, s_v))    y' = fma(u, y, (1 - u) v)
/// ```
#[derive(Debug)]
pub struct Gru<'a, T> {
    /// The sums of all rows r, then u, v and w: 4 n values.
    pub sums: &'a [T],
    /// y(t), n values.
    pub outputs: &'a [T],
    /// y(t+1), n values, to be written.
    pub next: &'a mut [T],
    /// The derivatives of y(t+1) with respect to the sums, in their order, to be written. With
    /// `g = (1 - u) (1 - v²)`: `(g s_w) r (1 - r)`, `(y - v) u (1 - u)`, `g` and `g r`.
    pub slopes: &'a mut [T],
    /// The derivative of y(t+1) with respect to y(t) at fixed sums, u, n values, to be written.
    pub kept: &'a mut [T],
}

impl<T: Real> Gru<'_, T> {
    /// Computes the step. Returns whether all sums are finite; everything else is then so too.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice does not fit.
    pub fn run(self, isa: Isa) -> Result<bool, Error> {
        let n = self.outputs.len();
        check_length("the sums", 4 * n, self.sums.len())?;
        check_length("the next outputs", n, self.next.len())?;
        check_length("the slopes", 4 * n, self.slopes.len())?;
        check_length("the kept shares", n, self.kept.len())?;
        Ok(T::run::<GruLoop>(isa, self))
    }
}

compiled!(pub(crate) GruLoop: Gru -> bool);

impl<T: Real> Work for Gru<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let Self { sums, outputs, next, slopes, kept } = self;
        let n = outputs.len();
        let (zero, one) = (T::splat(simd, T::ZERO), T::splat(simd, T::ONE));
        let mut overflow = zero;
        for at in (0..n).step_by(size_of::<T::Vector<S>>() / size_of::<T>()) {
            let [s_r, s_u, s_v, s_w] = blocks::<S, T>(simd, sums, n, at);
            let y = load::<S, T>(simd, outputs, at);
            for sum in [s_r, s_u, s_v, s_w] {
                overflow = T::fused(simd, sum, zero, overflow);
            }
            let (r, slope_r) = Function::Logistic.of::<S, T>(simd, s_r);
            let (u, slope_u) = Function::Logistic.of::<S, T>(simd, s_u);
            let (v, slope_v) = Function::Tanh.of::<S, T>(simd, T::fused(simd, r, s_w, s_v));
            let rest = difference::<S, T>(simd, one, u);
            let g = T::product(simd, rest, slope_v);
            let moved = difference::<S, T>(simd, y, v);
            let by_r = T::product(simd, T::product(simd, g, s_w), slope_r);
            let by_u = T::product(simd, moved, slope_u);
            store::<S, T>(simd, next, at, T::fused(simd, u, y, T::product(simd, rest, v)));
            store::<S, T>(simd, kept, at, u);
            let values = [by_r, by_u, g, T::product(simd, g, r)];
            for (block, value) in slopes.chunks_exact_mut(n).zip(values) {
                store::<S, T>(simd, block, at, value);
            }
        }
        is_zero::<S, T>(overflow)
    }
}

/// A step of n units of an LSTM, from the weighted sums of their four rows (i, f, g, o) to their
/// state:
///
/// ```text
/// i = σ(s_i)    f = σ(s_f)    g = tanh(s_g)    o = σ(s_o)
/// c' = fma(f, c, i g)    y' = o tanh(c')
/// ```
#[derive(Debug)]
pub struct Lstm<'a, T> {
    /// The sums of all rows i, then f, g and o: 4 n values.
    pub sums: &'a [T],
    /// c(t), n values.
    pub cells: &'a [T],
    /// y(t+1), n values, to be written.
    pub next: &'a mut [T],
    /// c(t+1), n values, to be written.
    pub next_cells: &'a mut [T],
    /// The derivatives with respect to the sums, 7 n values, to be written: for all rows i, then f
    /// and g, of y(t+1) and c(t+1) of their unit, side by side; for the rows o of y(t+1) alone.
    ///
    /// `c'` changes by `g i (1 - i)`, `c f (1 - f)` and `i (1 - g²)`, y' by `a = o (1 - tanh(c')²)`
    /// times that, and by `tanh(c') o (1 - o)`.
    pub slopes: &'a mut [T],
    /// The derivatives of c(t+1) and then of y(t+1) with respect to c(t) at fixed sums, f and
    /// `a f`, 2 n values, to be written.
    pub kept: &'a mut [T],
}

impl<T: Real> Lstm<'_, T> {
    /// Computes the step. Returns whether all sums are finite; everything else is then so too.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice does not fit.
    pub fn run(self, isa: Isa) -> Result<bool, Error> {
        let n = self.cells.len();
        check_length("the sums", 4 * n, self.sums.len())?;
        check_length("the next outputs", n, self.next.len())?;
        check_length("the next cells", n, self.next_cells.len())?;
        check_length("the slopes", 7 * n, self.slopes.len())?;
        check_length("the kept shares", 2 * n, self.kept.len())?;
        Ok(T::run::<LstmLoop>(isa, self))
    }
}

compiled!(pub(crate) LstmLoop: Lstm -> bool);

impl<T: Real> Work for Lstm<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let Self { sums, cells, next, next_cells, slopes, kept } = self;
        let n = cells.len();
        let zero = T::splat(simd, T::ZERO);
        let mut overflow = zero;
        let (kept_cells, kept_outputs) = kept.split_at_mut(n);
        let (pairs, slopes_o) = slopes.split_at_mut(6 * n);
        for at in (0..n).step_by(size_of::<T::Vector<S>>() / size_of::<T>()) {
            let [s_i, s_f, s_g, s_o] = blocks::<S, T>(simd, sums, n, at);
            let c = load::<S, T>(simd, cells, at);
            for sum in [s_i, s_f, s_g, s_o] {
                overflow = T::fused(simd, sum, zero, overflow);
            }
            let (i, slope_i) = Function::Logistic.of::<S, T>(simd, s_i);
            let (f, slope_f) = Function::Logistic.of::<S, T>(simd, s_f);
            let (g, slope_g) = Function::Tanh.of::<S, T>(simd, s_g);
            let (o, slope_o) = Function::Logistic.of::<S, T>(simd, s_o);
            let next_c = T::fused(simd, f, c, T::product(simd, i, g));
            let (t, slope_t) = Function::Tanh.of::<S, T>(simd, next_c);
            let a = T::product(simd, o, slope_t);
            store::<S, T>(simd, next_cells, at, next_c);
            store::<S, T>(simd, next, at, T::product(simd, o, t));
            store::<S, T>(simd, kept_cells, at, f);
            store::<S, T>(simd, kept_outputs, at, T::product(simd, a, f));
            store::<S, T>(simd, slopes_o, at, T::product(simd, t, slope_o));
            let of_cells = [
                T::product(simd, g, slope_i),
                T::product(simd, c, slope_f),
                T::product(simd, i, slope_g),
            ];
            for (block, of_cell) in pairs.chunks_exact_mut(2 * n).zip(of_cells) {
                let of_output = T::product(simd, a, of_cell);
                store_pairs::<S, T>(&mut block[2 * at..], of_output, of_cell);
            }
        }
        is_zero::<S, T>(overflow)
    }
}

/// The registers at `at` of four blocks of n values.
#[inline(always)]
fn blocks<S: Simd, T: Real>(simd: S, values: &[T], n: usize, at: usize) -> [T::Vector<S>; 4] {
    std::array::from_fn(|block| load::<S, T>(simd, &values[block * n..][..n], at))
}

/// Writes the lanes of two registers side by side, as many as there is room for.
#[inline(always)]
fn store_pairs<S: Simd, T: Real>(into: &mut [T], first: T::Vector<S>, second: T::Vector<S>) {
    let first: &[T] = bytemuck::cast_slice(std::slice::from_ref(&first));
    let second: &[T] = bytemuck::cast_slice(std::slice::from_ref(&second));
    let lanes = first.iter().zip(second);
    for (pair, (&first, &second)) in into.chunks_exact_mut(2).zip(lanes) {
        pair[0] = first;
        pair[1] = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;

    /// Next outputs and cells, slopes, and kept shares.
    type Results<T> = [Vec<T>; 4];

    fn gru<T: Real>(isa: Isa, sums: &[T], outputs: &[T]) -> (bool, Results<T>) {
        let n = outputs.len();
        let [mut next, mut slopes, mut kept] = [n, 4 * n, n].map(|len| vec![T::ONE; len]);
        let step = Gru { sums, outputs, next: &mut next, slopes: &mut slopes, kept: &mut kept };
        (step.run(isa).unwrap(), [next, vec![], slopes, kept])
    }

    fn lstm<T: Real>(isa: Isa, sums: &[T], cells: &[T]) -> (bool, Results<T>) {
        let n = cells.len();
        let [mut next, mut next_cells, mut slopes, mut kept] =
            [n, n, 7 * n, 2 * n].map(|len| vec![T::ONE; len]);
        let step = Lstm {
            sums,
            cells,
            next: &mut next,
            next_cells: &mut next_cells,
            slopes: &mut slopes,
            kept: &mut kept,
        };
        (step.run(isa).unwrap(), [next, next_cells, slopes, kept])
    }

    fn same_bits<T: Real>() {
        for n in [1, 3, 16, 21] {
            let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.7) * 4.0);
            let sums: Vec<T> = (0..4 * n).map(number).collect();
            let state: Vec<T> = (900..900 + n).map(number).collect();
            let expected = (gru(Isa::scalar(), &sums, &state), lstm(Isa::scalar(), &sums, &state));
            assert!(expected.0.0 && expected.1.0);
            for isa in tested::sets() {
                let got = (gru(isa, &sums, &state), lstm(isa, &sums, &state));
                assert_eq!(got, expected, "{n} units on {isa}");
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        same_bits::<f32>();
        same_bits::<f64>();
    }

    /// Central differences in each sum and in the state.
    fn check_slopes(cell: impl Fn(&[f64], &[f64]) -> Results<f64>, of_sums: &[(usize, usize)]) {
        let (sums, state, h) = ([0.4, -0.7, 0.3, 1.2], [0.6], 1e-6);
        let results = |results: Results<f64>| [results[0].clone(), results[1].clone()].concat();
        let [_, _, slopes, kept] = cell(&sums, &state);
        for (&(row, result), slope) in of_sums.iter().zip(slopes) {
            let beside = |h: f64| {
                let mut sums = sums;
                sums[row] += h;
                results(cell(&sums, &state))[result]
            };
            let expected = (beside(h) - beside(-h)) / (2.0 * h);
            assert!((slope - expected).abs() < 1e-9, "sum {row}, result {result}");
        }
        let [above, below] = [h, -h].map(|h| results(cell(&sums, &[state[0] + h])));
        let moved: Vec<f64> = above.iter().zip(below).map(|(a, b)| (a - b) / (2.0 * h)).collect();
        for (kept, moved) in kept.iter().rev().zip(&moved) {
            assert!((kept - moved).abs() < 1e-9);
        }
    }

    #[test]
    fn slopes_are_derivatives() {
        let isa = Isa::best();
        check_slopes(|sums, y| gru(isa, sums, y).1, &[(0, 0), (1, 0), (2, 0), (3, 0)]);
        let drives = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)];
        check_slopes(|sums, c| lstm(isa, sums, c).1, &drives);
    }

    #[test]
    fn a_sum_that_is_not_finite_is_noticed() {
        for isa in tested::sets() {
            for place in 0..12 {
                let mut sums = [0.5f32; 12];
                assert!(gru(isa, &sums, &[0.0; 3]).0 && lstm(isa, &sums, &[0.0; 3]).0);
                sums[place] = f32::NAN;
                assert!(!gru(isa, &sums, &[0.0; 3]).0 && !lstm(isa, &sums, &[0.0; 3]).0);
            }
        }
    }

    /// The largest sums and states do not make anything infinite.
    #[test]
    fn extremes_stay_finite() {
        for signs in 0..32 {
            let number = |bit: usize| if signs >> bit & 1 == 0 { f32::MAX } else { f32::MIN };
            let (sums, state) = ([0, 1, 2, 3].map(number), [number(4)]);
            let isa = Isa::best();
            for (finite, results) in [gru(isa, &sums, &state), lstm(isa, &sums, &state)] {
                assert!(finite && results.iter().flatten().all(|value| value.is_finite()));
            }
        }
    }

    #[test]
    fn slices_that_do_not_fit_are_refused() {
        let mut room = [0.0f32; 8];
        let (next, rest) = room.split_at_mut(1);
        let (slopes, kept) = rest.split_at_mut(4);
        let short = Gru { sums: &[0.0; 3], outputs: &[0.0], next, slopes, kept };
        assert!(matches!(short.run(Isa::scalar()), Err(Error::Length { expected: 4, got: 3, .. })));
    }
}
