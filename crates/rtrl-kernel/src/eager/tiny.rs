//! Layers of up to [`MOST`] simple units, all of whose weights learn, each row in a panel of its
//! own.
//!
//! The arithmetic of so few units takes no longer than what is done around it. So panels are not
//! filled: panel i holds weight row i and nothing else, and its other lanes are empty. In return
//! the immediate influence concerns one row of each panel, in the lanes of z itself, and sums are
//! where a matrix of weights has them.
//!
//! ```text
//! panel i    row k = J[k] old, and row i + injection[i] z        sums[i] = sum over k of e[k] row k
//! ```
//!
//! The order of sums is that of `small.rs`. Such a layer takes no more than the calling thread.

use pulp::Simd;

use super::small::form_rows;
use crate::layout::Layout;
use crate::simd::{Real, Work, compiled, is_zero, lanes, load};
use crate::step::Step;

/// Units at most: with more, the empty lanes cost more than what is saved.
const MOST: usize = 8;

/// Whether a layer takes this path.
pub(super) fn fits<T: Real>(layout: &Layout, learns: &[bool]) -> bool {
    let fits_in_a_panel = (1..=T::LANES).contains(&layout.widest());
    layout.states() <= MOST
        && layout.is_simple()
        && fits_in_a_panel
        && learns.iter().all(|&learns| learns)
}

/// One step of all panels.
pub(crate) struct Tiny<'a, T> {
    pub(super) step: &'a Step<'a, T>,
    /// What every weight row sees.
    pub(super) z: &'a [T],
    /// e(t + 1), if there is a target.
    pub(super) error: Option<&'a [T]>,
    /// Whether the gradient is added to the sums (else it replaces them).
    pub(super) accumulate: bool,
    pub(super) p: &'a mut [T],
    pub(super) sums: &'a mut [T],
}

compiled!(pub(crate) TinyLoop: Tiny -> bool);

impl<T: Real> Work for Tiny<'_, T> {
    /// Whether the gradient is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        match self.step.forced.len() {
            1 => self.advance::<S, 1>(simd),
            2 => self.advance::<S, 2>(simd),
            3 => self.advance::<S, 3>(simd),
            4 => self.advance::<S, 4>(simd),
            5 => self.advance::<S, 5>(simd),
            6 => self.advance::<S, 6>(simd),
            7 => self.advance::<S, 7>(simd),
            8 => self.advance::<S, 8>(simd),
            units => unreachable!("a layer of {units} units is not tiny"),
        }
    }
}

impl<T: Real> Tiny<'_, T> {
    /// A step of N units.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn advance<S: Simd, const N: usize>(&mut self, simd: S) -> bool {
        let (Some(&injection), Some(forced)) =
            (self.step.injection.first_chunk(), self.step.forced.first_chunk())
        else {
            unreachable!("the step was checked")
        };
        let error: Option<&[T; N]> = self.error.and_then(|error| error.first_chunk());
        // Loaded one by one, as they have just been written: a whole register would wait for them.
        let mut errors = [T::splat(simd, T::ZERO); N];
        for k in 0..N {
            errors[k] = T::splat(simd, error.map_or(T::ZERO, |error| error[k]));
        }
        let mut layer = Layer { jacobian: [[T::ZERO; N]; N], injection };
        form_rows(self.step, forced, &mut layer.jacobian);
        // Else the compiler keeps every coefficient in a register of its own, and most of these on
        // the stack.
        let layer = std::hint::black_box(&layer);
        let z = lanes_of_z::<S, T>(simd, self.z);
        let row = 64 / size_of::<T::Vector<S>>();
        let p = &mut T::vectors_mut::<S>(self.p)[..N * N * row];
        let sums = &mut T::vectors_mut::<S>(self.sums)[..N * row];
        let z = &T::vectors::<S>(&z[..T::LANES])[..row];
        // The gradient of a register is a chain as long as its products, and is computed beside
        // those of the next one.
        layer.advance(simd, p, (0, row), z, None);
        let mut overflow = T::splat(simd, T::ZERO);
        for (before, sum) in sums.iter_mut().enumerate() {
            let chain = if before + 1 < N * row {
                layer.advance(simd, p, (before + 1, row), z, Some(&errors))
            } else {
                gradient::<S, T, N>(simd, p, (before, row), &errors)
            };
            *sum = if self.accumulate { T::sum(simd, *sum, chain) } else { chain };
            // 0 times what is not finite is NaN, and stays so.
            overflow = T::fused(simd, *sum, T::splat(simd, T::ZERO), overflow);
        }
        is_zero::<S, T>(overflow)
    }
}

/// What all panels of a layer of N units need of a step.
struct Layer<T, const N: usize> {
    jacobian: [[T; N]; N],
    injection: [T; N],
}

impl<T: Real, const N: usize> Layer<T, N> {
    /// `sum over l of J[k][l] old[l]` in place of register `register` of all rows, of `row`
    /// registers to a row, and the immediate influence. With errors, returns the gradient of the
    /// register before.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
    fn advance<S: Simd>(
        &self,
        simd: S,
        p: &mut [T::Vector<S>],
        (register, row): (usize, usize),
        z: &[T::Vector<S>],
        errors: Option<&[T::Vector<S>; N]>,
    ) -> T::Vector<S> {
        let (panel, v) = (register / row, register % row);
        let (start, before) =
            (place::<N>(register, row), place::<N>(register.saturating_sub(1), row));
        let mut acc = [T::splat(simd, T::ZERO); N];
        let mut chain = T::splat(simd, T::ZERO);
        for l in 0..N {
            let old = p[start + l * row];
            for k in 0..N {
                acc[k] = T::fused(simd, T::splat(simd, self.jacobian[k][l]), old, acc[k]);
            }
            if let Some(errors) = errors {
                chain = T::fused(simd, errors[l], p[before + l * row], chain);
            }
        }
        for k in 0..N {
            p[start + k * row] = acc[k];
        }
        let driven = &mut p[start + panel * row];
        *driven = T::fused(simd, T::splat(simd, self.injection[panel]), z[v], *driven);
        chain
    }
}

/// `sum over k of e[k] p[k]` of a register.
#[inline(always)]
fn gradient<S: Simd, T: Real, const N: usize>(
    simd: S,
    p: &[T::Vector<S>],
    (register, row): (usize, usize),
    errors: &[T::Vector<S>; N],
) -> T::Vector<S> {
    let mut chain = T::splat(simd, T::ZERO);
    for (k, &error) in errors.iter().enumerate() {
        chain = T::fused(simd, error, p[place::<N>(register, row) + k * row], chain);
    }
    chain
}

/// Where register `register` of the first row is, of `row` registers to a row of a panel.
#[inline(always)]
fn place<const N: usize>(register: usize, row: usize) -> usize {
    register / row * N * row + register % row
}

/// z, of at most a row of lanes, with zeros after it.
#[inline(always)]
fn lanes_of_z<S: Simd, T: Real>(simd: S, z: &[T]) -> [T; 16] {
    let mut whole = [T::ZERO; 16];
    let registers = T::vectors_mut::<S>(&mut whole[..T::LANES]);
    for (v, register) in registers.iter_mut().enumerate() {
        let at = v * lanes::<S, T>();
        if at < z.len() {
            *register = load::<S, T>(simd, z, at);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::super::{Eager, Path};
    use super::*;
    use crate::engine::Engine;
    use crate::jacobian::Jacobian;
    use crate::simd::{Isa, tested};
    use crate::threads::{Threads, Workers};

    const STEPS: usize = 70;

    fn number<T: Real>(i: usize) -> T {
        T::from_f64(libm::sin(i as f64 * 1.7) * 0.5)
    }

    fn list<T: Real>(len: usize, first: usize) -> Vec<T> {
        (first..first + len).map(number).collect()
    }

    /// p, unit by unit, and the gradients of a run on one path. Some steps have no error, in others
    /// a unit is forced, and z ends in numbers that no row sees.
    fn run<T: Real>(path: Path, (n, columns): (usize, usize), isa: Isa) -> (Vec<T>, Vec<T>) {
        let (layout, learns) = (Layout::simple(n, columns).unwrap(), vec![true; n * columns]);
        let workers = Workers::new(Threads::SERIAL, 0).unwrap();
        let mut engine = Eager::on_path(path, (&layout, &learns), isa, workers).unwrap();
        let (mut gradients, mut gradient) = (Vec::new(), vec![T::ONE; n * T::LANES]);
        for t in 0..STEPS {
            let (weights, z) = (list::<T>(n * n, t), list::<T>(columns + 3, 2 * t));
            let (slopes, kept) = (list::<T>(n, 3 * t), list::<T>(n, 5 * t));
            let forced: Vec<bool> = (0..n).map(|k| t % 5 == 2 && k == t % n).collect();
            let diagonal = (t % 2 == 0).then_some(kept.as_slice());
            let jacobian = Jacobian::scaled(&weights, n, &slopes).with_diagonal(diagonal);
            let step = Step { jacobian, injection: &slopes, z: &z, forced: &forced };
            let error = list(n, 7 * t);
            engine.advance(&step, (t % 3 > 0).then_some(&error)).unwrap();
            if t % 4 == 0 {
                engine.gradient(&mut gradient, T::LANES).unwrap();
                gradients.extend_from_slice(&gradient);
            }
        }
        let mut p = vec![T::ZERO; n * n * columns];
        for (k, row) in p.chunks_exact_mut(n * columns).enumerate() {
            engine.sensitivities(k, row).unwrap();
        }
        (p, gradients)
    }

    fn check<T: Real>() {
        for isa in tested::sets() {
            for n in 1..=MOST {
                for columns in [n, (n + 3).min(T::LANES), T::LANES] {
                    let tiny = run::<T>(Path::Tiny, (n, columns), isa);
                    let small = run::<T>(Path::Small, (n, columns), isa);
                    assert!(tiny == small, "{n} units, {columns} columns on {isa}");
                    assert!(tiny.0.iter().all(|&p| p != T::ZERO));
                    let other = run::<T>(Path::Tiny, (n, columns), Isa::scalar());
                    let bits = |p: &[T]| bytemuck::cast_slice::<_, u8>(p).to_vec();
                    assert_eq!(bits(&tiny.0), bits(&other.0), "{n} units on {isa}");
                    assert_eq!(bits(&tiny.1), bits(&other.1), "{n} units on {isa}");
                }
            }
        }
    }

    #[test]
    fn tiny_layers_have_the_numbers_of_small_ones() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn only_rows_that_fit_and_learn_are_tiny() {
        let fits = |n: usize, columns, learns: bool| {
            let layout = Layout::simple(n, columns).unwrap();
            fits::<f32>(&layout, &vec![learns; n * columns])
        };
        assert!(fits(1, 1, true) && fits(8, 16, true));
        assert!(!fits(9, 16, true) && !fits(8, 17, true) && !fits(8, 16, false));
        assert!(!fits(2, 0, true));
    }
}
