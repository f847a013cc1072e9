//! The loops of the diagonal engine where all weight rows are alike: row i drives state i, all of
//! its weights learn, and it sees what all rows share of z and the i-th of equal parts after that.
//! No table of rows is read.

use pulp::Simd;

use crate::layout::Layout;
use crate::simd::{Real, Work, compiled, is_zero, lanes, load, numbers, register, store};

/// What rows that are alike have in common. Row i sees `z[start..start + shared]`, then
/// `width - shared` values from `start + shared + i (width - shared)` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Even {
    /// The number of weights in a row, at least 1.
    pub(super) width: usize,
    /// How many of them see what all rows see.
    shared: usize,
    /// Where what they see of z begins.
    start: usize,
}

impl Even {
    /// What the rows of a layout in which `learning` weights learn have in common, if they are alike.
    pub(super) fn of(layout: &Layout, learning: usize) -> Option<Self> {
        // In the first row, the own part continues what is shared.
        let [first, then] = layout.z(layout.rows() - 1);
        let shared = if then.is_empty() { 0 } else { first.len() };
        let width = layout.width(0);
        let even = Self { width, shared, start: layout.z(0)[0].start };
        let is_alike = |row: usize| {
            let drives = &layout.drives()[layout.drives_of(row)];
            let places = (0..width).map(|column| layout.place(row, column));
            layout.width(row) == width
                && places.eq(even.places(row))
                && matches!(drives, [drive] if drive.state as usize == row)
        };
        let all = width > 0 && shared <= width && learning == layout.weights();
        (all && (0..layout.rows()).all(is_alike)).then_some(even)
    }

    /// The places in z that row `row` sees.
    fn places(self, row: usize) -> impl Iterator<Item = usize> {
        let Self { width, shared, start } = self;
        let own = start + row * (width - shared);
        (start..start + shared).chain(own + shared..own + width)
    }
}

/// p through a step.
pub(crate) struct AdvanceEven<'a, T> {
    pub(super) even: Even,
    pub(super) p: &'a mut [T],
    pub(super) own: &'a [T],
    pub(super) injection: &'a [T],
    pub(super) z: &'a [T],
}

compiled!(pub(crate) AdvanceEvenLoop: AdvanceEven -> bool);

impl<T: Real> Work for AdvanceEven<'_, T> {
    /// Whether p is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        if self.even.width < lanes::<S, T>() { self.narrow(simd) } else { self.wide(simd) }
    }
}

impl<T: Real> AdvanceEven<'_, T> {
    /// Rows that are shorter than a register.
    #[inline(always)]
    fn narrow<S: Simd>(&mut self, simd: S) -> bool {
        let &mut Self { even: Even { width, shared, start }, ref mut p, own, injection, z } = self;
        let zero = T::splat(simd, T::ZERO);
        let (numbers, before) = (numbers::<S, T>(), T::splat(simd, T::from_f64(shared as f64)));
        let z = &z[start..];
        let all = load::<S, T>(simd, z, 0);
        let mut overflow = zero;
        for (row, p) in p.chunks_exact_mut(width).enumerate() {
            let own_z = load::<S, T>(simd, &z[row * (width - shared)..], 0);
            let z = T::where_greater(simd, before, numbers, all, own_z);
            let factors = (T::splat(simd, own[row]), T::splat(simd, injection[row]));
            let new = advanced::<S, T>(simd, load::<S, T>(simd, p, 0), z, factors);
            overflow = T::fused(simd, new, zero, overflow);
            store::<S, T>(simd, p, 0, new);
        }
        is_zero::<S, T>(overflow)
    }

    /// Rows of at least a register.
    #[inline(always)]
    fn wide<S: Simd>(&mut self, simd: S) -> bool {
        let &mut Self { even: Even { width, shared, start }, ref mut p, own, injection, z } = self;
        let (zero, numbers, lanes) = (T::splat(simd, T::ZERO), numbers::<S, T>(), lanes::<S, T>());
        let z = &z[start..];
        // What all rows see, and then what the first row sees of its own.
        let all = &z[..width];
        let before = |at: usize| T::splat(simd, T::from_f64(shared as f64 - at as f64));
        // The last register overlaps the one before it, and is computed before p changes.
        let last = width - lanes;
        let (end_all, end_before) = (register::<S, T>(all, last), before(last));
        let others = last.div_ceil(lanes);
        let (others_all, others_shared) =
            (T::vectors::<S>(&all[..others * lanes]), others.min(shared / lanes));
        let mut overflow = zero;
        for (row, p) in p.chunks_exact_mut(width).enumerate() {
            let own_z = &z[row * (width - shared)..][..width];
            let factors = (T::splat(simd, own[row]), T::splat(simd, injection[row]));
            let end_own = register::<S, T>(own_z, last);
            let end_z = T::where_greater(simd, end_before, numbers, end_all, end_own);
            let end = advanced::<S, T>(simd, register::<S, T>(p, last), end_z, factors);
            overflow = T::fused(simd, end, zero, overflow);
            let others = T::vectors_mut::<S>(&mut p[..others * lanes]);
            for (i, (p, &all)) in others.iter_mut().zip(others_all).enumerate() {
                let mut z = all;
                if i >= others_shared {
                    let own_z = register::<S, T>(own_z, i * lanes);
                    z = T::where_greater(simd, before(i * lanes), numbers, all, own_z);
                }
                *p = advanced::<S, T>(simd, *p, z, factors);
                overflow = T::fused(simd, *p, zero, overflow);
            }
            T::vectors_mut::<S>(&mut p[last..])[0] = end;
        }
        is_zero::<S, T>(overflow)
    }
}

/// The next values of a register of p, from the coefficient of its state and the injection.
#[inline(always)]
fn advanced<S: Simd, T: Real>(
    simd: S,
    p: T::Vector<S>,
    z: T::Vector<S>,
    (own, injection): (T::Vector<S>, T::Vector<S>),
) -> T::Vector<S> {
    T::fused(simd, injection, z, T::product(simd, own, p))
}

/// The gradient of one error on its way to a matrix of weights.
pub(crate) struct ReadEven<'a, T> {
    pub(super) width: usize,
    pub(super) p: &'a [T],
    pub(super) error: &'a [T],
    pub(super) into: &'a mut [T],
    pub(super) stride: usize,
}

compiled!(pub(crate) ReadEvenLoop: ReadEven -> bool);

impl<T: Real> Work for ReadEven<'_, T> {
    /// Whether the gradient is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let &mut Self { width, p, error, ref mut into, stride } = self;
        let len = width * error.len();
        if stride == width {
            return packed::<S, T>(simd, width, &p[..len], error, &mut into[..len]);
        }
        let zero = T::splat(simd, T::ZERO);
        let mut overflow = zero;
        let lanes = lanes::<S, T>();
        let rows = p.chunks_exact(width).zip(error);
        for ((p, &error), into) in rows.zip(into.chunks_mut(stride)) {
            let into = &mut into[..width];
            // The last register overlaps the one before it, or is shorter.
            let (mut at, minus) = (0, T::splat(simd, -error));
            let last = width.saturating_sub(lanes);
            loop {
                let value = negative::<S, T>(simd, minus, load::<S, T>(simd, p, at));
                overflow = T::fused(simd, value, zero, overflow);
                store::<S, T>(simd, into, at, value);
                if at == last {
                    break;
                }
                at = (at + lanes).min(last);
            }
        }
        is_zero::<S, T>(overflow)
    }
}

/// A register of the gradient. Zeros become +0, as in all loops.
#[inline(always)]
fn negative<S: Simd, T: Real>(simd: S, minus: T::Vector<S>, p: T::Vector<S>) -> T::Vector<S> {
    T::fused(simd, minus, p, T::splat(simd, T::ZERO))
}

/// The gradient in a matrix without gaps: whole registers, each with the errors of all rows that it
/// has a part of. Storing each row by itself would take two stores for most registers.
#[inline(always)]
fn packed<S: Simd, T: Real>(simd: S, width: usize, p: &[T], error: &[T], into: &mut [T]) -> bool {
    let (zero, numbers, lanes) = (T::splat(simd, T::ZERO), numbers::<S, T>(), lanes::<S, T>());
    let mut overflow = zero;
    let mut errors = error.iter().map(|&error| T::splat(simd, -error));
    // The errors of the row that has the first lane, and where its end is, counted from there.
    let (mut minus, mut end) = (errors.next().unwrap_or(zero), width);
    for at in (0..into.len()).step_by(lanes) {
        let mut mixed = minus;
        while end < lanes {
            let Some(next) = errors.next() else { break };
            let before = T::splat(simd, T::from_f64(end as f64));
            (minus, end) = (next, end + width);
            mixed = T::where_greater(simd, before, numbers, mixed, minus);
        }
        end = end.wrapping_sub(lanes);
        let value = negative::<S, T>(simd, mixed, load::<S, T>(simd, p, at));
        overflow = T::fused(simd, value, zero, overflow);
        store::<S, T>(simd, into, at, value);
    }
    is_zero::<S, T>(overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;
    use crate::{Diagonal, Drive, Engine, Error, Isa, Jacobian, Quantity, Step};

    /// Rows that are alike, next to the same rows with a gap in z, which takes the other loops.
    fn check<T: Real>(isa: Isa, rows: usize, (shared, len): (usize, usize)) {
        let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.7));
        let part = len - shared;
        let layout = |step: usize| {
            let own = |row: usize| 3 + shared + row * step..3 + shared + row * step + part;
            let parts = (0..rows).map(|row| [3..3 + shared, own(row)]).collect();
            let drives = (0..).take(rows).map(|k| Drive { row: k, state: k }).collect();
            Layout::divided(rows, parts, drives).unwrap()
        };
        let (even, apart) = (layout(part), layout(part + 1));
        let shared = if rows == 1 { 0 } else { shared };
        let expected = Even { width: len, shared, start: 3 };
        assert_eq!(Even::of(&even, rows * len), Some(expected));
        assert_eq!(Even::of(&even, rows * len - 1), None);
        assert_eq!(Even::of(&apart, rows * len).is_some(), rows == 1);
        let learns = vec![true; rows * len];
        let mut engines =
            [even, apart].map(|layout| Diagonal::<T>::new(&layout, &learns, isa).unwrap());
        let numbers = |count, from| (from..from + count).map(number).collect::<Vec<T>>();
        for t in 0..4 {
            let (all, values) = (numbers(shared, 7 * t), numbers(rows * part, 10 * t));
            let mut z = [vec![T::ONE; 3], vec![T::ONE; 3]].map(|z| [&z[..], &all[..]].concat());
            for own in values.chunks(part) {
                z[0].extend(own);
                z[1].extend(own.iter().chain(&[T::ONE]));
            }
            let (own, injection) = (numbers(rows, t), numbers(rows, t + 40));
            let error = numbers(rows, t + 80);
            // The two read gradients in rows of either kind.
            let strides = [len, len.next_multiple_of(T::LANES), len + 1];
            let stride = strides[t % 3];
            let results = [0, 1].map(|place| {
                let jacobian = Jacobian::sum([]).with_diagonal(Some(&own));
                let (z, forced) = (z[place].as_slice(), vec![false; rows]);
                let step = Step { jacobian, injection: &injection, z, forced: &forced };
                engines[place].advance(&step, Some(&error)).unwrap();
                let mut gradient = vec![T::ZERO; rows * stride];
                engines[place].gradient(&mut gradient, stride).unwrap();
                let mut p = vec![T::ZERO; rows * len];
                engines[place].sensitivities(rows - 1, &mut p).unwrap();
                [gradient, p].concat().into_iter().map(|value| value.to_f64().to_bits())
            });
            let [even, apart] = results.map(Iterator::collect::<Vec<_>>);
            assert_eq!(even, apart, "{isa}, {rows} x {len}, step {t}");
        }
    }

    #[test]
    fn rows_that_are_alike_have_the_bits_of_others() {
        for isa in tested::sets() {
            for (rows, len) in [(1, 1), (5, 3), (3, 16), (40, 18), (2, 32), (3, 37)] {
                for shared in [0, len / 2, len - 1] {
                    check::<f32>(isa, rows, (shared, len));
                    check::<f64>(isa, rows, (shared, len));
                }
            }
        }
    }

    /// An overflow of the last number of p, and of the gradient, in rows of any kind.
    #[test]
    fn an_overflow_is_found() {
        for isa in tested::sets() {
            for (rows, len) in [(1, 18), (5, 18), (7, 3), (3, 16usize)] {
                for stride in [len, len.next_multiple_of(16)] {
                    check_overflow(isa, rows, len, stride);
                }
            }
        }
    }

    fn check_overflow(isa: Isa, rows: usize, len: usize, stride: usize) {
        let parts = (0..rows).map(|row| [0..len - 1, len - 1 + row..len + row]).collect();
        let drives = (0..).take(rows).map(|k| Drive { row: k, state: k }).collect();
        let layout = Layout::divided(rows, parts, drives).unwrap();
        let learns = vec![true; rows * len];
        assert!(Even::of(&layout, rows * len).is_some());
        let injection = vec![f32::MAX; rows];
        let (own, forced) = (vec![1.0; rows], vec![false; rows]);
        let (z, error) = (vec![1.0; layout.z_len()], vec![1.0; rows]);
        let run = |z: &[f32], error: &[f32]| {
            let mut engine = Diagonal::<f32>::new(&layout, &learns, isa).unwrap();
            let jacobian = Jacobian::sum([]).with_diagonal(Some(&own));
            let step = Step { jacobian, injection: &injection, z, forced: &forced };
            engine.advance(&step, Some(error))?;
            engine.gradient(&mut vec![0.0; rows * stride], stride)
        };
        let overflow = |quantity| Err(Error::NonFinite { quantity });
        let what = format!("{isa}, {rows} x {len}, stride {stride}");
        assert_eq!(run(&z, &error), Ok(()), "{what}");
        for (place, row) in [(layout.z_len() - 1, rows - 1), (len - 1, 0)] {
            let (mut other_z, mut other_error) = (z.clone(), error.clone());
            other_z[place] = 2.0;
            assert_eq!(run(&other_z, &error), overflow(Quantity::Sensitivities), "{row}: {what}");
            other_error[row] = 2.0;
            assert_eq!(run(&z, &other_error), overflow(Quantity::Gradient), "{row}: {what}");
        }
    }
}
