//! The loops of the diagonal engine where all weight rows are alike: row i drives state i, all of
//! its weights learn, and it sees the i-th of equal parts of z, one after the other. p and z then
//! have the same places, and no table of rows is read.

use pulp::Simd;

use crate::layout::Layout;
use crate::simd::{Real, Work, compiled, is_zero, load, store};

/// The number of weights in a row, if all rows of a layout in which `learning` weights learn are
/// alike.
pub(crate) fn width(layout: &Layout, learning: usize) -> Option<usize> {
    let width = layout.width(0);
    let is_alike = |row: usize| {
        let drives = &layout.drives()[layout.drives_of(row)];
        let start = layout.z(0).start + row * width;
        layout.z(row) == (start..start + width)
            && matches!(drives, [drive] if drive.state as usize == row)
    };
    let all = learning == layout.weights() && (0..layout.rows()).all(is_alike);
    all.then_some(width)
}

/// p through a step.
pub(crate) struct AdvanceEven<'a, T> {
    pub(crate) width: usize,
    pub(crate) p: &'a mut [T],
    pub(crate) own: &'a [T],
    pub(crate) injection: &'a [T],
    pub(crate) z: &'a [T],
}

compiled!(pub(crate) AdvanceEvenLoop: AdvanceEven -> bool);

impl<T: Real> Work for AdvanceEven<'_, T> {
    /// Whether p is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let &mut Self { width, ref mut p, own, injection, z } = self;
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let zero = T::splat(simd, T::ZERO);
        let mut overflow = zero;
        let rows = p.chunks_exact_mut(width).zip(z.chunks_exact(width));
        for ((p, z), (&own, &injection)) in rows.zip(own.iter().zip(injection)) {
            let (owns, injections) = (T::splat(simd, own), T::splat(simd, injection));
            if width < lanes {
                let new = advanced::<S, T>(simd, (p, z), 0, owns, injections);
                overflow = T::fused(simd, new, zero, overflow);
                store::<S, T>(simd, p, 0, new);
                continue;
            }
            // The last register overlaps the one before it, and is computed before p changes.
            let (mut at, last) = (0, width - lanes);
            let end = advanced::<S, T>(simd, (p, z), last, owns, injections);
            overflow = T::fused(simd, end, zero, overflow);
            while at < last {
                let new = advanced::<S, T>(simd, (p, z), at, owns, injections);
                overflow = T::fused(simd, new, zero, overflow);
                T::vectors_mut::<S>(&mut p[at..at + lanes])[0] = new;
                at += lanes;
            }
            T::vectors_mut::<S>(&mut p[last..last + lanes])[0] = end;
        }
        is_zero::<S, T>(overflow)
    }
}

/// The next values of a register of p.
#[inline(always)]
fn advanced<S: Simd, T: Real>(
    simd: S,
    (p, z): (&[T], &[T]),
    at: usize,
    own: T::Vector<S>,
    injection: T::Vector<S>,
) -> T::Vector<S> {
    let old = T::product(simd, own, load::<S, T>(simd, p, at));
    T::fused(simd, injection, load::<S, T>(simd, z, at), old)
}

/// The gradient of one error on its way to a matrix of weights.
pub(crate) struct ReadEven<'a, T> {
    pub(crate) width: usize,
    pub(crate) p: &'a [T],
    pub(crate) error: &'a [T],
    pub(crate) into: &'a mut [T],
    pub(crate) stride: usize,
}

compiled!(pub(crate) ReadEvenLoop: ReadEven -> bool);

impl<T: Real> Work for ReadEven<'_, T> {
    /// Whether the gradient is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let &mut Self { width, p, error, ref mut into, stride } = self;
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let zero = T::splat(simd, T::ZERO);
        let mut overflow = zero;
        let rows = p.chunks_exact(width).zip(error);
        for ((p, &error), into) in rows.zip(into.chunks_mut(stride)) {
            let into = &mut into[..width];
            // The last register overlaps the one before it, or is shorter.
            let (mut at, minus) = (0, T::splat(simd, -error));
            let last = width.saturating_sub(lanes);
            loop {
                let old = load::<S, T>(simd, p, at);
                // Zeros become +0, as in all loops.
                let value = T::fused(simd, minus, old, zero);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tested;
    use crate::{Diagonal, Drive, Engine, Isa, Jacobian, Step};

    /// Rows that are alike, next to the same rows with a gap in z, which takes the other loops.
    fn check<T: Real>(isa: Isa, rows: usize, len: usize) {
        let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.7));
        let layout = |step: usize| {
            let parts = (0..rows).map(|row| 3 + row * step..3 + row * step + len).collect();
            let drives = (0..).take(rows).map(|k| Drive { row: k, state: k }).collect();
            Layout::new(rows, parts, drives).unwrap()
        };
        let (even, apart) = (layout(len), layout(len + 1));
        assert_eq!((width(&even, rows * len), width(&even, rows * len - 1)), (Some(len), None));
        assert_eq!(width(&apart, rows * len), (rows == 1).then_some(len));
        let learns = vec![true; rows * len];
        let mut engines =
            [even, apart].map(|layout| Diagonal::<T>::new(&layout, &learns, isa).unwrap());
        let numbers = |count, from| (from..from + count).map(number).collect::<Vec<T>>();
        for t in 0..4 {
            let values = numbers(rows * len, 10 * t);
            let mut z = [vec![T::ONE; 3], vec![T::ONE; 3]];
            for part in values.chunks(len) {
                z[0].extend(part);
                z[1].extend(part.iter().chain(&[T::ONE]));
            }
            let (own, injection) = (numbers(rows, t), numbers(rows, t + 40));
            let error = numbers(rows, t + 80);
            let stride = len.next_multiple_of(T::LANES);
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
            for (rows, len) in [(1, 1), (5, 3), (3, 16), (4, 18), (2, 32), (3, 37)] {
                check::<f32>(isa, rows, len);
                check::<f64>(isa, rows, len);
            }
        }
    }

    #[test]
    fn an_overflow_is_found() {
        let layout = Layout::simple(1, 18).unwrap();
        let mut engine = Diagonal::<f32>::new(&layout, &[true; 18], Isa::best()).unwrap();
        let jacobian = Jacobian::sum([]).with_diagonal(Some(&[1.0]));
        let mut z = [1.0; 18];
        let forced = [false];
        let mut advance = |z: &[f32], error: f32| {
            let step = Step { jacobian, injection: &[f32::MAX], z, forced: &forced };
            engine.advance(&step, Some(&[error])).and_then(|()| engine.gradient(&mut [0.0; 32], 32))
        };
        assert_eq!(advance(&z, 1.0), Ok(()));
        z[17] = 2.0;
        assert!(advance(&z, 1.0).is_err());
        let mut engine = Diagonal::<f32>::new(&layout, &[true; 18], Isa::best()).unwrap();
        let step = Step { jacobian, injection: &[f32::MAX], z: &[1.0; 18], forced: &forced };
        engine.advance(&step, Some(&[2.0])).unwrap();
        assert!(engine.gradient(&mut [0.0; 32], 32).is_err());
    }
}
