//! The loops of the diagonal engine where all weight rows are alike: row i drives state i, all of
//! its weights learn, and it sees what all rows share of z and the i-th value after that. No table
//! of rows is read.
//!
//! p is one array without gaps. Where rows are at least as long as a register, whole periods of
//! them ([`Period`]), if these are short, are computed in registers that start at multiples of
//! their length, whatever rows these are in. If each row had registers of its own, as the other
//! rows and those of a gradient with gaps have, most would cross the end of a cache line, and
//! storing these would take most of the time.

use pulp::Simd;

use super::period::{Period, Place};
use super::reading::{ReadEven, mixed, negative};
use crate::layout::Layout;
use crate::simd::{Real, Work, compiled, is_zero, lanes, load, numbers, prefetch, register, store};

/// Halves of periods by which the gradient is prefetched.
const AHEAD: usize = 4;

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
    /// What the rows of a layout in which `learning` weights learn have in common, if they are
    /// alike.
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
    /// The gradient of an error with the next p, to be written in the same call.
    pub(super) reading: Option<Reading<'a, T>>,
}

/// A gradient on its way to a matrix of weights without gaps.
pub(crate) struct Reading<'a, T> {
    pub(super) error: &'a [T],
    /// Room for the negative error.
    pub(super) minus: &'a mut [T],
    pub(super) into: &'a mut [T],
}

compiled!(pub(crate) AdvanceEvenLoop: AdvanceEven -> [bool; 2]);

/// What becomes NaN if p, or the gradient, is not finite.
struct Checks<V> {
    p: [V; 2],
    gradient: [V; 2],
}

impl<T: Real> Work for AdvanceEven<'_, T> {
    /// Whether p is finite, and whether the gradient is, if it is read.
    type Output = [bool; 2];

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> [bool; 2] {
        let width = self.even.width;
        let period = Period::of::<T>(width, lanes::<S, T>());
        let done = period.map_or(0, |period| period.whole(self.own.len()));
        let zeros = [T::splat(simd, T::ZERO); 2];
        let mut checks = Checks { p: zeros, gradient: zeros };
        let reading = self.reading.take();
        let Some(Reading { error, minus, into }) = reading else {
            self.advance::<S, false>(simd, (period, done), (&[], &mut []), &mut checks);
            return [is_zero::<S, T>(T::sum(simd, checks.p[0], checks.p[1])), true];
        };
        let minus = &mut minus[..done];
        for (minus, &error) in minus.iter_mut().zip(error) {
            *minus = -error;
        }
        let (whole, into) = into.split_at_mut(done * width);
        self.advance::<S, true>(simd, (period, done), (minus, whole), &mut checks);
        let (p, error) = (&self.p[done * width..], &error[done..]);
        let rest = ReadEven { width, p, error, into, stride: width }.run(simd);
        let p = is_zero::<S, T>(T::sum(simd, checks.p[0], checks.p[1]));
        let gradient = is_zero::<S, T>(T::sum(simd, checks.gradient[0], checks.gradient[1]));
        [p, gradient & rest]
    }
}

impl<T: Real> AdvanceEven<'_, T> {
    /// All rows, of which those before `done` make up whole periods. Their gradient is read, too,
    /// if `READ` says so.
    #[inline(always)]
    fn advance<S: Simd, const READ: bool>(
        &mut self,
        simd: S,
        (period, done): (Option<Period>, usize),
        reading: (&[T], &mut [T]),
        checks: &mut Checks<T::Vector<S>>,
    ) {
        if let Some(period) = period {
            self.in_periods::<S, READ>(simd, (period, done), reading, checks);
        }
        if self.even.width < lanes::<S, T>() {
            self.narrow(simd, &mut checks.p[0]);
        } else {
            self.row_by_row(simd, done, &mut checks.p[0]);
        }
    }

    /// The rows before `done`.
    #[inline(always)]
    fn in_periods<S: Simd, const READ: bool>(
        &mut self,
        simd: S,
        (period, done): (Period, usize),
        (mut minus, mut into): (&[T], &mut [T]),
        checks: &mut Checks<T::Vector<S>>,
    ) {
        let &mut Self {
            even: Even { width, start },
            ref mut p,
            own,
            injection,
            z,
            ref mut seen,
            ..
        } = self;
        let z = &z[start..];
        seen[..width].copy_from_slice(&z[..width]);
        seen[width..][..lanes::<S, T>()].copy_from_slice(&z[..lanes::<S, T>()]);
        let rows = period.chunk::<T>();
        let factors = own[..done].chunks(rows).zip(injection[..done].chunks(rows));
        let chunks = p[..done * width].chunks_mut(rows * width).zip(factors);
        for ((p, (own, injection)), z) in chunks.zip(z[width - 1..][..done].chunks(rows)) {
            let (chunk, others) = minus.split_at(if READ { own.len() } else { 0 });
            let (read, below) = into.split_at_mut(chunk.len() * width);
            (minus, into) = (others, below);
            for place in period.places() {
                let seen = register::<S, T>(seen, place.column);
                let (p, read) = (T::vectors_mut::<S>(p), T::vectors_mut::<S>(read));
                let (of_rows, place) = ([own, injection, z, chunk], (period, place));
                match (place.1.end > lanes::<S, T>(), place.1.last > place.1.first) {
                    (true, _) => {
                        each::<S, T, READ, 0, false>(simd, place, seen, of_rows, p, read, checks);
                    }
                    (false, false) => {
                        each::<S, T, READ, 0, true>(simd, place, seen, of_rows, p, read, checks);
                    }
                    (false, true) => {
                        each::<S, T, READ, 1, true>(simd, place, seen, of_rows, p, read, checks);
                    }
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

/// The registers of p in a place, and their gradient if it is to be read. They have parts of `NEXT`
/// rows after the first one. What they see of z is `seen`, but, if they have the `END` of the first
/// row, in the lane of its last column.
#[inline(always)]
fn each<S: Simd, T: Real, const READ: bool, const NEXT: usize, const END: bool>(
    simd: S,
    (period, place): (Period, Place),
    seen: T::Vector<S>,
    [own, injection, z, minus]: [&[T]; 4],
    p: &mut [T::Vector<S>],
    into: &mut [T::Vector<S>],
    checks: &mut Checks<T::Vector<S>>,
) {
    let Period { registers, rows, .. } = period;
    let numbers = numbers::<S, T>();
    let near = T::splat(simd, T::from_f64(0.5));
    let last = T::splat(simd, T::from_f64(1.0 - place.end as f64));
    let from_last = T::magnitude(simd, T::sum(simd, numbers, last));
    let end = T::splat(simd, T::from_f64(place.end as f64));
    // Lists that are equally long need one check of an index for all of them.
    let halves = own.len() / rows;
    let few = halves.saturating_sub(1);
    let (most, last) = (few * rows + 1 + NEXT, few * registers + 1);
    let (own, injection) = (&own[place.first..][..most], &injection[place.first..][..most]);
    let (z, p) = (&z[place.first..][..most], &mut p[place.register..][..last]);
    let minus = if READ { &minus[place.first..][..most] } else { minus };
    let into = if READ { &mut into[place.register..][..last] } else { into };
    let (mut row, mut at) = (0, 0);
    for _ in 0..halves / 2 {
        for half in 0..2 {
            if row + NEXT >= most || at >= last {
                return;
            }
            let own_z = T::splat(simd, z[row]);
            let z = if END { T::where_greater(simd, near, from_last, own_z, seen) } else { seen };
            let mut factors = [T::splat(simd, own[row]), T::splat(simd, injection[row])];
            if NEXT == 1 {
                factors = [
                    mixed::<S, T>(simd, end, numbers, [own[row], own[row + NEXT]]),
                    mixed::<S, T>(simd, end, numbers, [injection[row], injection[row + NEXT]]),
                ];
            }
            let new = advanced::<S, T>(simd, p[at], z, factors, &mut checks.p[half]);
            p[at] = new;
            if READ {
                let mut factor = T::splat(simd, minus[row]);
                if NEXT == 1 {
                    factor = mixed::<S, T>(simd, end, numbers, [minus[row], minus[row + NEXT]]);
                }
                // Nothing else prefetches what is only written.
                prefetch(into.get(at + AHEAD * registers..).unwrap_or_default());
                into[at] = negative::<S, T>(simd, factor, new, &mut checks.gradient[half]);
            }
            (row, at) = (row + rows, at + registers);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Buffer;
    use crate::simd::tested;
    use crate::{Diagonal, Drive, Engine, Error, Isa, Jacobian, Quantity, Step};

    /// A layout of rows that each drive a state and see `shared` values of z and `part` values of
    /// their own, of which the first is `step` after that of the row before.
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
                let mut gradient = Buffer::<T>::numbers((start + rows * stride) as u128).unwrap();
                let gradient = &mut gradient.values_mut()[start..][..rows * stride];
                let into = (&mut *gradient, stride);
                let read = engines[place].advance_into(&step, &error, into).unwrap();
                assert_eq!(read, alike[place] && stride == width);
                if !read {
                    engines[place].gradient(gradient, stride).unwrap();
                }
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
                    let into = &mut gradient[..rows * stride];
                    let result = engine.advance_into(&step, &error, (&mut *into, stride));
                    (z[seen], error[row]) = (number(0.25), T::ONE);
                    if result? { Ok(()) } else { engine.gradient(into, stride) }
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
