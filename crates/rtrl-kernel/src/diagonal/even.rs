//! The loops of the diagonal engine where all weight rows are alike: row i drives state i, all of
//! its weights learn, and it sees what all rows share of z and the i-th value after that. No table
//! of rows is read.
//!
//! p is one array without gaps. Where rows are at least as long as a register, whole periods of them
//! ([`Period`]), if these are short, are computed in registers that start at multiples of their length, whatever rows
//! these are in. If each row had registers of its own, as the other rows and
//! those of a gradient with gaps have, most would cross the end of a cache line, and storing these
//! would take most of the time.

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
        if let Some(period) = Period::of::<T>(self.even.width, lanes::<S, T>()) {
            done = period.whole(self.own.len());
            self.in_periods(simd, period, done, &mut checks);
        }
        if self.even.width < lanes::<S, T>() {
            self.narrow(simd, &mut checks[0]);
        } else {
            self.row_by_row(simd, done, &mut checks[0]);
        }
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

    /// Rows that are shorter than a register.
    #[inline(always)]
    fn narrow<S: Simd>(&mut self, simd: S, check: &mut T::Vector<S>) {
        let &mut Self { even: Even { width, start }, ref mut p, own, injection, z, .. } = self;
        let (zero, numbers) = (T::splat(simd, T::ZERO), numbers::<S, T>());
        let (all, own_z) = z[start..].split_at(width - 1);
        let all = load::<S, T>(simd, all, 0);
        let before = T::splat(simd, T::from_f64((width - 1) as f64));
        let end = T::splat(simd, T::from_f64(width as f64));
        let factors = own.iter().zip(injection).zip(own_z);
        for (p, ((&own, &injection), &own_z)) in p.chunks_exact_mut(width).zip(factors) {
            let own_z = T::where_greater(simd, end, numbers, T::splat(simd, own_z), zero);
            let z = T::where_greater(simd, before, numbers, all, own_z);
            let factors = [T::splat(simd, own), T::splat(simd, injection)];
            let new = advanced::<S, T>(simd, load::<S, T>(simd, p, 0), z, factors, check);
            store::<S, T>(simd, p, 0, new);
        }
    }

    /// The rows from `first` on, of at least a register each.
    #[inline(always)]
    fn row_by_row<S: Simd>(&mut self, simd: S, first: usize, check: &mut T::Vector<S>) {
        let &mut Self { even: Even { width, start }, ref mut p, own, injection, z, .. } = self;
        let (numbers, lanes) = (numbers::<S, T>(), lanes::<S, T>());
        let (all, own_z) = z[start..].split_at(width - 1);
        // The last register overlaps the one before it, and is computed before p changes.
        let last = width - lanes;
        let others = last.next_multiple_of(lanes);
        let (all, end) = (T::vectors::<S>(&all[..others]), load::<S, T>(simd, all, last));
        let before = T::splat(simd, T::from_f64((lanes - 1) as f64));
        let rows = p[first * width..].chunks_exact_mut(width);
        let factors = own.iter().zip(injection).zip(own_z).skip(first);
        for (p, ((&own, &injection), &own_z)) in rows.zip(factors) {
            let factors = [T::splat(simd, own), T::splat(simd, injection)];
            let z = T::where_greater(simd, before, numbers, end, T::splat(simd, own_z));
            let old = register::<S, T>(p, last);
            let new = advanced::<S, T>(simd, old, z, factors, check);
            for (p, &z) in T::vectors_mut::<S>(&mut p[..others]).iter_mut().zip(all) {
                *p = advanced::<S, T>(simd, *p, z, factors, check);
            }
            store::<S, T>(simd, p, last, new);
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
        for at in 0..2 {
            let p = &mut p[at * registers + place.register];
            let row = at * rows + place.first;
            let factors = [T::splat(simd, own[row]), T::splat(simd, injection[row])];
            *p = advanced::<S, T>(simd, *p, z, factors, &mut checks[at]);
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
    let near = T::splat(simd, T::from_f64(0.5));
    let last = T::splat(simd, T::from_f64(1.0 - place.end as f64));
    let from_last = T::magnitude(simd, T::sum(simd, numbers, last));
    let end = T::splat(simd, T::from_f64(place.end as f64));
    let own = own.chunks_exact(2 * rows).zip(injection.chunks_exact(2 * rows));
    let chunks = p.chunks_exact_mut(2 * registers).zip(own).zip(z.chunks_exact(2 * rows));
    for ((p, (own, injection)), z) in chunks {
        for at in 0..2 {
            let p = &mut p[at * registers + place.register];
            let (first, last) = (at * rows + place.first, at * rows + place.last);
            let z = T::where_greater(simd, near, from_last, T::splat(simd, z[first]), seen);
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
            if let Some(period) = Period::of::<T>(width, lanes::<S, T>()) {
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
                    for at in 0..2 {
                        let error = &error[at * rows..];
                        let errors = [-error[place.first], -error[place.last]];
                        let minus = mixed::<S, T>(simd, end, numbers, errors);
                        let register = at * registers + place.register;
                        into[register] =
                            negative::<S, T>(simd, minus, p[register], &mut checks[at]);
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
    use crate::simd::Buffer;
    use crate::simd::tested;
    use crate::{Diagonal, Drive, Engine, Error, Isa, Jacobian, Quantity, Step};

    /// A layout of rows that each drive a state and see `shared` values of z and `part` values of their own,
    /// of which the first is `step` after that of the row before.
    fn layout(rows: usize, shared: usize, part: usize, step: usize) -> Layout {
        let own = |row: usize| 3 + shared + row * step..3 + shared + row * step + part;
        let parts = (0..rows).map(|row| [3..3 + shared, own(row)]).collect();
        let drives = (0..).take(rows).map(|k| Drive { row: k, state: k }).collect();
        Layout::divided(rows, parts, drives).unwrap()
    }

    #[test]
    fn rows_with_one_value_of_their_own_in_the_last_column_are_alike() {
        let (rows, even) = (5, Some(Even { width: 4, start: 3 }));
        assert_eq!(Even::of(&layout(rows, 3, 1, 1), rows * 4), even);
        assert_eq!(Even::of(&layout(rows, 3, 1, 1), rows * 4 - 1), None);
        assert_eq!(Even::of(&layout(rows, 3, 1, 2), rows * 4), None);
        for shared in [0, 2] {
            let part = 4 - shared;
            assert_eq!(Even::of(&layout(rows, shared, part, part), rows * 4), None);
        }
    }

    /// Rows that are alike, next to the same rows with a gap in z, which takes the other loops.
    fn check<T: Real>(isa: Isa, rows: usize, width: usize) {
        let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.7));
        let layouts = [1, 2].map(|step| layout(rows, width - 1, 1, step));
        let alike = [true, rows == 1];
        assert_eq!(layouts.each_ref().map(|of| Even::of(of, rows * width).is_some()), alike);
        let learns = vec![true; rows * width];
        let mut engines = layouts.map(|layout| Diagonal::<T>::new(&layout, &learns, isa).unwrap());
        let numbers = |count, from| (from..from + count).map(number).collect::<Vec<T>>();
        // Every third value of z is a zero, of either sign.
        let seen = |i: usize| match i % 6 {
            1 => T::ZERO,
            4 => -T::ZERO,
            _ => number(i),
        };
        for t in 0..6 {
            let shared: Vec<T> = (7 * t..7 * t + width - 1).map(seen).collect();
            let values: Vec<T> = (10 * t..10 * t + rows).map(seen).collect();
            let mut z = [vec![T::ONE; 3], vec![T::ONE; 3]].map(|z| [&z[..], &shared].concat());
            for &own in &values {
                z[0].push(own);
                z[1].extend([own, T::ONE]);
            }
            let (own, injection) = (numbers(rows, t), numbers(rows, t + 40));
            let forced: Vec<bool> = (0..rows).map(|k| t % 2 == 1 && (k + t) % 3 == 0).collect();
            let error = numbers(rows, t + 80);
            // The two read gradients in rows of either kind, which start on a cache line or not.
            let strides = [width, width.next_multiple_of(T::LANES), width + 1];
            let (stride, start) = (strides[t % 3], t % 2);
            let results = [0, 1].map(|place| {
                let jacobian = Jacobian::sum([]).with_diagonal(Some(&own));
                let (z, forced) = (z[place].as_slice(), forced.as_slice());
                let step = Step { jacobian, injection: &injection, z, forced };
                engines[place].advance(&step, Some(&error)).unwrap();
                let mut gradient = Buffer::<T>::numbers((start + rows * stride) as u128).unwrap();
                let gradient = &mut gradient.values_mut()[start..][..rows * stride];
                engines[place].gradient(gradient, stride).unwrap();
                let mut all = gradient.to_vec();
                let mut p = vec![T::ZERO; rows * width];
                for state in [0, rows / 2, rows - 1] {
                    engines[place].sensitivities(state, &mut p).unwrap();
                    all.extend(&p);
                }
                all.into_iter().map(|value| value.to_f64().to_bits())
            });
            let [even, apart] = results.map(Iterator::collect::<Vec<_>>);
            assert!(even == apart, "{isa}, {rows} x {width}, step {t}");
        }
    }

    /// Some fill more than a chunk, some have periods that are too long.
    #[test]
    fn rows_that_are_alike_have_the_bits_of_others() {
        for isa in tested::sets() {
            for (rows, width) in [
                (1, 1),
                (5, 3),
                (3, 16),
                (40, 18),
                (7, 32),
                (70, 37),
                (40, 67),
                (1000, 18),
                (2007, 18),
            ] {
                check::<f32>(isa, rows, width);
                check::<f64>(isa, rows, width);
            }
        }
    }

    /// An overflow of any one number of p, or of the gradient, in rows of any kind.
    #[test]
    fn an_overflow_is_found() {
        for isa in tested::sets() {
            for (rows, width) in [(1, 18), (5, 18), (7, 3), (3, 16), (4, 16), (64, 18), (64, 37)] {
                check_overflow::<f32>(isa, rows, width, f32::MAX);
                check_overflow::<f64>(isa, rows, width, f64::MAX);
            }
        }
    }

    /// `most` is the largest number.
    fn check_overflow<T: Real>(isa: Isa, rows: usize, width: usize, most: T) {
        let layout = layout(rows, width - 1, 1, 1);
        assert!(Even::of(&layout, rows * width).is_some());
        let number = T::from_f64;
        let mut engine = Diagonal::<T>::new(&layout, &vec![true; rows * width], isa).unwrap();
        let (own, forced) = (vec![T::ONE; rows], vec![false; rows]);
        let mut gradient = vec![T::ZERO; rows * width.next_multiple_of(T::LANES)];
        let mut z = vec![number(0.25); layout.z_len()];
        let (mut injection, mut error) = (vec![T::ONE; rows], vec![T::ONE; rows]);
        let overflow = |quantity| Err(Error::NonFinite { quantity });
        for row in 0..rows {
            for column in 0..width {
                // Only this number of p is large.
                let seen = 3 + column + if column + 1 == width { row } else { 0 };
                injection[row] = most;
                let mut run = |seen_there: f64, error_there: f64, stride: usize| {
                    (z[seen], error[row]) = (number(seen_there), number(error_there));
                    engine.reset().unwrap();
                    let jacobian = Jacobian::sum([]).with_diagonal(Some(&own));
                    let step = Step { jacobian, injection: &injection, z: &z, forced: &forced };
                    let result = engine.advance(&step, Some(&error));
                    (z[seen], error[row]) = (number(0.25), T::ONE);
                    result?;
                    engine.gradient(&mut gradient[..rows * stride], stride)
                };
                let what = format!("{isa}, {rows} x {width}: row {row}, column {column}");
                assert_eq!(run(2.0, 1.0, width), overflow(Quantity::Sensitivities), "{what}");
                for stride in [width, width.next_multiple_of(T::LANES)] {
                    assert_eq!(run(1.0, 1.0, stride), Ok(()), "{what}, {stride}");
                    assert_eq!(run(1.0, 2.0, stride), overflow(Quantity::Gradient), "{what}");
                }
                injection[row] = T::ONE;
            }
        }
    }
}
