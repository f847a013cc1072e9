//! The loops of the diagonal engine where all weight rows are alike: row i drives state i, all of
//! its weights learn, and it sees what all rows share of z and the i-th value after that. No table
//! of rows is read.
//!
//! p is one array without gaps. Rows of at least a register are computed in registers that start at
//! multiples of their length, whatever rows they are in ([`Period`]). If each row had registers of
//! its own, most would cross the end of a cache line, and storing these would take most of the time.

use pulp::Simd;

use super::period::{Period, Place};
use crate::layout::Layout;
use crate::simd::{Real, Work, compiled, is_zero, lanes, load, numbers, register, store};

/// What rows that are alike have in common. Row i sees `width - 1` values of z from `start` on,
/// and the i-th of the values after these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Even {
    /// The number of weights in a row, at least 1.
    pub(super) width: usize,
    /// Where what they see of z begins.
    start: usize,
}

impl Even {
    /// What the rows of a layout in which `learning` weights learn have in common, if they are alike.
    pub(super) fn of(layout: &Layout, learning: usize) -> Option<Self> {
        let width = layout.width(0);
        let even = Self { width, start: layout.z(0)[0].start };
        let is_alike = |row: usize| {
            let drives = &layout.drives()[layout.drives_of(row)];
            let places = (0..width).map(|column| layout.place(row, column));
            layout.width(row) == width
                && places.eq(even.places(row))
                && matches!(drives, [drive] if drive.state as usize == row)
        };
        let all = width > 0 && learning == layout.weights();
        (all && (0..layout.rows()).all(is_alike)).then_some(even)
    }

    /// The places in z that row `row` sees.
    fn places(self, row: usize) -> impl Iterator<Item = usize> {
        let own = self.start + self.width - 1;
        (self.start..own).chain(std::iter::once(own + row))
    }

    /// Room for [`AdvanceEven::seen`].
    pub(super) fn room<T: Real>(self) -> Vec<T> {
        vec![T::ZERO; self.width + T::LANES]
    }
}

/// p through a step.
pub(crate) struct AdvanceEven<'a, T> {
    pub(super) even: Even,
    pub(super) p: &'a mut [T],
    pub(super) own: &'a [T],
    pub(super) injection: &'a [T],
    pub(super) z: &'a [T],
    /// Becomes what the first row sees of z, and the beginning of that again.
    pub(super) seen: &'a mut [T],
}

compiled!(pub(crate) AdvanceEvenLoop: AdvanceEven -> bool);

impl<T: Real> Work for AdvanceEven<'_, T> {
    /// Whether p is finite.
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let mut checks = [T::splat(simd, T::ZERO); 2];
        let mut done = 0;
        if let Some(period) = Period::of(self.even.width, lanes::<S, T>()) {
            done = period.whole(self.own.len());
            self.in_periods(simd, period, done, &mut checks);
        }
        self.row_by_row(simd, done, &mut checks[0]);
        is_zero::<S, T>(T::sum(simd, checks[0], checks[1]))
    }
}

impl<T: Real> AdvanceEven<'_, T> {
    /// The rows before `done`, which make up whole periods.
    #[inline(always)]
    fn in_periods<S: Simd>(
        &mut self,
        simd: S,
        period: Period,
        done: usize,
        checks: &mut [T::Vector<S>; 2],
    ) {
        let &mut Self { even: Even { width, start }, ref mut p, own, injection, z, ref mut seen } =
            self;
        let z = &z[start..];
        seen[..width].copy_from_slice(&z[..width]);
        seen[width..][..lanes::<S, T>()].copy_from_slice(&z[..lanes::<S, T>()]);
        let rows = period.chunk::<T>();
        let factors = own[..done].chunks(rows).zip(injection[..done].chunks(rows));
        let chunks = p[..done * width].chunks_mut(rows * width).zip(factors);
        for ((p, (own, injection)), z) in chunks.zip(z[width - 1..][..done].chunks(rows)) {
            for place in period.places() {
                let seen = register::<S, T>(seen, place.column);
                let p = T::vectors_mut::<S>(p);
                if place.last == place.first && place.end > lanes::<S, T>() {
                    inside::<S, T>(simd, period, place, seen, p, [own, injection], checks);
                } else {
                    across::<S, T>(simd, period, place, seen, p, [own, injection, z], checks);
                }
            }
        }
    }

    /// The rows from `first` on, each by itself.
    #[inline(always)]
    fn row_by_row<S: Simd>(&mut self, simd: S, first: usize, check: &mut T::Vector<S>) {
        let &mut Self { even: Even { width, start }, ref mut p, own, injection, z, .. } = self;
        let (zero, numbers, lanes) = (T::splat(simd, T::ZERO), numbers::<S, T>(), lanes::<S, T>());
        let (all, own_z) = z[start..].split_at(width - 1);
        for at in (0..width).step_by(lanes) {
            let before = T::splat(simd, T::from_f64((width - 1 - at) as f64));
            let end = T::splat(simd, T::from_f64((width - at) as f64));
            let all = load::<S, T>(simd, all, at);
            let rows = p[first * width..].chunks_exact_mut(width);
            let factors = own.iter().zip(injection).zip(own_z).skip(first);
            for (p, ((&own, &injection), &own_z)) in rows.zip(factors) {
                let own_z = T::where_greater(simd, end, numbers, T::splat(simd, own_z), zero);
                let z = T::where_greater(simd, before, numbers, all, own_z);
                let factors = [T::splat(simd, own), T::splat(simd, injection)];
                let new = advanced::<S, T>(simd, load::<S, T>(simd, p, at), z, factors, check);
                store::<S, T>(simd, p, at, new);
            }
        }
    }
}

/// The registers of p in a place where they are within a row and do not reach its end.
#[inline(always)]
fn inside<S: Simd, T: Real>(
    simd: S,
    period: Period,
    place: Place,
    z: T::Vector<S>,
    p: &mut [T::Vector<S>],
    [own, injection]: [&[T]; 2],
    checks: &mut [T::Vector<S>; 2],
) {
    let Period { registers, rows, .. } = period;
    let factors = own.chunks_exact(2 * rows).zip(injection.chunks_exact(2 * rows));
    for (p, (own, injection)) in p.chunks_exact_mut(2 * registers).zip(factors) {
        for half in 0..2 {
            let p = &mut p[half * registers + place.register];
            let row = half * rows + place.first;
            let factors = [T::splat(simd, own[row]), T::splat(simd, injection[row])];
            *p = advanced::<S, T>(simd, *p, z, factors, &mut checks[half]);
        }
    }
}

/// The registers of p in a place with the end of a row. What they see of z is `seen`, but in the lane
/// of the last column.
#[inline(always)]
fn across<S: Simd, T: Real>(
    simd: S,
    period: Period,
    place: Place,
    seen: T::Vector<S>,
    p: &mut [T::Vector<S>],
    [own, injection, z]: [&[T]; 3],
    checks: &mut [T::Vector<S>; 2],
) {
    let Period { registers, rows, .. } = period;
    let numbers = numbers::<S, T>();
    let half = T::splat(simd, T::from_f64(0.5));
    let last = T::splat(simd, T::from_f64(1.0 - place.end as f64));
    let from_last = T::magnitude(simd, T::sum(simd, numbers, last));
    let end = T::splat(simd, T::from_f64(place.end as f64));
    let own = own.chunks_exact(2 * rows).zip(injection.chunks_exact(2 * rows));
    let chunks = p.chunks_exact_mut(2 * registers).zip(own).zip(z.chunks_exact(2 * rows));
    for ((p, (own, injection)), z) in chunks {
        for at in 0..2 {
            let p = &mut p[at * registers + place.register];
            let (first, last) = (at * rows + place.first, at * rows + place.last);
            let z = T::where_greater(simd, half, from_last, T::splat(simd, z[first]), seen);
            let factors = [
                mixed::<S, T>(simd, end, numbers, [own[first], own[last]]),
                mixed::<S, T>(simd, end, numbers, [injection[first], injection[last]]),
            ];
            *p = advanced::<S, T>(simd, *p, z, factors, &mut checks[at]);
        }
    }
}

/// The first value in the lanes before `end`, and the second in the others.
#[inline(always)]
fn mixed<S: Simd, T: Real>(
    simd: S,
    end: T::Vector<S>,
    numbers: T::Vector<S>,
    [first, then]: [T; 2],
) -> T::Vector<S> {
    T::where_greater(simd, end, numbers, T::splat(simd, first), T::splat(simd, then))
}

/// The next values of a register of p, from the coefficients of its states and the injections.
/// `check` becomes NaN if they are not finite.
#[inline(always)]
fn advanced<S: Simd, T: Real>(
    simd: S,
    p: T::Vector<S>,
    z: T::Vector<S>,
    [own, injection]: [T::Vector<S>; 2],
    check: &mut T::Vector<S>,
) -> T::Vector<S> {
    let new = T::fused(simd, injection, z, T::product(simd, own, p));
    *check = T::fused(simd, new, T::splat(simd, T::ZERO), *check);
    new
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
        let &mut Self { width, stride, error, .. } = self;
        let mut checks = [T::splat(simd, T::ZERO); 2];
        if stride == width {
            let mut done = 0;
            if let Some(period) = Period::of(width, lanes::<S, T>()) {
                done = period.whole(error.len());
                self.in_periods(simd, period, done, &mut checks);
            }
            self.one_by_one(simd, done, &mut checks[0]);
        } else {
            self.row_by_row(simd, &mut checks[0]);
        }
        is_zero::<S, T>(T::sum(simd, checks[0], checks[1]))
    }
}

impl<T: Real> ReadEven<'_, T> {
    /// The rows before `done`, which make up whole periods, in a matrix without gaps.
    #[inline(always)]
    fn in_periods<S: Simd>(
        &mut self,
        simd: S,
        period: Period,
        done: usize,
        checks: &mut [T::Vector<S>; 2],
    ) {
        let &mut Self { width, p, error, ref mut into, .. } = self;
        let Period { registers, rows, .. } = period;
        let (numbers, chunk) = (numbers::<S, T>(), period.chunk::<T>());
        let into = into[..done * width].chunks_mut(chunk * width);
        let chunks = p[..done * width].chunks(chunk * width).zip(error[..done].chunks(chunk));
        for (into, (p, error)) in into.zip(chunks) {
            for place in period.places() {
                let end = T::splat(simd, T::from_f64(place.end as f64));
                let into = T::vectors_mut::<S>(into).chunks_exact_mut(2 * registers);
                let p = T::vectors::<S>(p).chunks_exact(2 * registers);
                for ((into, p), error) in into.zip(p).zip(error.chunks_exact(2 * rows)) {
                    for half in 0..2 {
                        let error = &error[half * rows..];
                        let errors = [-error[place.first], -error[place.last]];
                        let minus = mixed::<S, T>(simd, end, numbers, errors);
                        let register = half * registers + place.register;
                        into[register] =
                            negative::<S, T>(simd, minus, p[register], &mut checks[half]);
                    }
                }
            }
        }
    }

    /// The rows from `first` on in a matrix without gaps: registers with the errors of all rows that
    /// they have a part of.
    #[inline(always)]
    fn one_by_one<S: Simd>(&mut self, simd: S, first: usize, check: &mut T::Vector<S>) {
        let &mut Self { width, p, error, ref mut into, .. } = self;
        let (numbers, lanes) = (numbers::<S, T>(), lanes::<S, T>());
        let into = &mut into[first * width..error.len() * width];
        let (p, mut errors) = (&p[first * width..][..into.len()], error[first..].iter());
        // The error of the row of the first lane, and where its end is, counted from there.
        let mut minus = T::splat(simd, -errors.next().copied().unwrap_or(T::ZERO));
        let mut end = width;
        for at in (0..into.len()).step_by(lanes) {
            let mut mixed = minus;
            while end < lanes {
                let Some(&next) = errors.next() else { break };
                let before = T::splat(simd, T::from_f64(end as f64));
                (minus, end) = (T::splat(simd, -next), end + width);
                mixed = T::where_greater(simd, before, numbers, mixed, minus);
            }
            end = end.wrapping_sub(lanes);
            let value = negative::<S, T>(simd, mixed, load::<S, T>(simd, p, at), check);
            store::<S, T>(simd, into, at, value);
        }
    }

    /// Rows with gaps between them.
    #[inline(always)]
    fn row_by_row<S: Simd>(&mut self, simd: S, check: &mut T::Vector<S>) {
        let &mut Self { width, p, error, ref mut into, stride } = self;
        let rows = p.chunks_exact(width).zip(error);
        for ((p, &error), into) in rows.zip(into.chunks_mut(stride)) {
            let minus = T::splat(simd, -error);
            for at in (0..width).step_by(lanes::<S, T>()) {
                let value = negative::<S, T>(simd, minus, load::<S, T>(simd, p, at), check);
                store::<S, T>(simd, &mut into[..width], at, value);
            }
        }
    }
}

/// A register of the gradient. Zeros become +0, as in all loops. `check` becomes NaN if it is not
/// finite.
#[inline(always)]
fn negative<S: Simd, T: Real>(
    simd: S,
    minus: T::Vector<S>,
    p: T::Vector<S>,
    check: &mut T::Vector<S>,
) -> T::Vector<S> {
    let zero = T::splat(simd, T::ZERO);
    let value = T::fused(simd, minus, p, zero);
    *check = T::fused(simd, value, zero, *check);
    value
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
        let expected = (part == 1 || rows == 1).then_some(Even { width: len, start: 3 });
        assert_eq!(Even::of(&even, rows * len), expected);
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
            for (rows, len) in [(1, 1), (5, 3), (3, 16), (40, 18), (7, 32), (70, 37)] {
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
