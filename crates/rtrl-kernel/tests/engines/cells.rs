//! Layers of units with a cell each: the deferred engine stores their Jacobians without the columns
//! of the cells, and has the bits of all columns.

use rtrl_kernel::{
    Deferred, Drive, Engine, Isa, Jacobian, Layout, Pace, Real, Snapshot, Step, Threads,
};

use crate::random::{Numbers, learns};
use crate::tested;

/// Units, from few, whose rows have as many lanes without their cells, to so many that their
/// adjoints are summed in one chain; multiples of four and others.
const UNITS: [usize; 7] = [1, 7, 9, 12, 17, 33, 40];

/// The windows of all tests.
const WINDOW: usize = 5;

/// Rows as those of an LSTM: four for each unit, of which the first three drive its output and its
/// cell, the last its output.
fn layout(units: usize) -> Layout {
    let count = u32::try_from(units).unwrap();
    let drives = (0..4 * count).flat_map(|row| {
        let output = Drive { row, state: row % count };
        let cell = Drive { row, state: count + row % count };
        std::iter::once(output).chain((row < 3 * count).then_some(cell))
    });
    Layout::new(2 * units, vec![0..units + 3; 4 * units], drives.collect()).unwrap()
}

/// The numbers of a step.
struct Numerals<T> {
    units: usize,
    weights: Vec<T>,
    scale: Vec<T>,
    kept: Vec<T>,
    /// The Jacobian with all columns.
    whole: Vec<T>,
    ones: Vec<T>,
    injection: Vec<T>,
    z: Vec<T>,
    forced: Vec<bool>,
    error: Option<Vec<T>>,
}

impl<T: Real> Numerals<T> {
    fn new(layout: &Layout, numbers: &mut Numbers, t: usize) -> Self {
        let (states, units) = (layout.states(), layout.states() / 2);
        let mut numerals = Self {
            units,
            weights: numbers.list(states * (units + 1)),
            scale: numbers.list(states),
            kept: numbers.list(states),
            whole: vec![T::ZERO; states * states],
            ones: vec![T::ONE; states],
            injection: numbers.list(layout.drives().len()),
            z: numbers.list(layout.z_len()),
            forced: (0..states).map(|_| t.is_multiple_of(2) && numbers.next() > 0.6).collect(),
            error: (t % 4 != 1).then(|| numbers.list(states)),
        };
        let mut whole = std::mem::take(&mut numerals.whole);
        numerals.step(false).jacobian.write(whole.chunks_exact_mut(states), |_| ());
        numerals.whole = whole;
        numerals
    }

    /// The step, with all columns in one matrix if `is_whole`.
    fn step(&self, is_whole: bool) -> Step<'_, T> {
        let units = self.units;
        let jacobian = if is_whole {
            Jacobian::scaled(&self.whole, 2 * units, &self.ones)
        } else {
            Jacobian::scaled(&self.weights, units + 1, &self.scale)
                .with_diagonal(Some(&self.kept))
                .with_heads(units, units)
        };
        Step { jacobian, injection: &self.injection, z: &self.z, forced: &self.forced }
    }
}

/// Whether a step gives all columns in one matrix, and whether the engine is stored and loaded
/// after it.
type Course = fn(usize) -> (bool, bool);

/// The bits of all gradients, and of p in the end; `distort` may falsify a step.
fn bits<T: Real>(
    units: usize,
    pace: Pace,
    (isa, threads): (Isa, usize),
    course: Course,
    distort: impl Fn(&mut Numerals<T>),
) -> Vec<u64> {
    let layout = layout(units);
    let mut numbers = Numbers(units as u64);
    let learns = learns(&layout, &mut numbers, 0.0);
    let threads = Threads::Exactly(threads);
    let mut engine = Deferred::<T>::new(&layout, &learns, WINDOW, pace, isa, threads).unwrap();
    let stride = layout.widest();
    let mut bits = Vec::new();
    let mut read = |values: &[T]| bits.extend(values.iter().map(|value| value.to_f64().to_bits()));
    for t in 0..13 {
        let mut numerals = Numerals::new(&layout, &mut numbers, t);
        distort(&mut numerals);
        let (is_whole, is_stored) = course(t);
        engine.advance(&numerals.step(is_whole), numerals.error.as_deref()).unwrap();
        if is_stored {
            let mut snapshot = Snapshot::default();
            engine.save(&mut snapshot).unwrap();
            engine.load(&mut snapshot).unwrap();
        }
        if t % 3 != 2 {
            let mut gradient = vec![T::ZERO; layout.rows() * stride];
            engine.gradient(&mut gradient, stride).unwrap();
            read(&gradient);
        }
    }
    let mut row = vec![T::ZERO; engine.weights()];
    for k in 0..layout.states() {
        engine.sensitivities(k, &mut row).unwrap();
        read(&row);
    }
    bits
}

fn columns_of_cells_need_not_be_stored<T: Real>() {
    let without: [(&str, Course); 3] = [
        ("without them", |_| (false, false)),
        ("now and then", |t| (t % 3 == 1, false)),
        ("stored", |t| (false, t % 4 == 2)),
    ];
    for (units, pace) in UNITS.iter().flat_map(|&n| [(n, Pace::Bursts), (n, Pace::Even)]) {
        let scalar = (Isa::scalar(), 1);
        let expected = bits::<T>(units, pace, scalar, |_| (true, false), |_| ());
        for isa in tested::sets() {
            for (name, course) in without {
                let got = bits::<T>(units, pace, (isa, 1 + units % 3), course, |_| ());
                assert!(got == expected, "{units} units, {pace:?}, {isa}: {name}");
            }
        }
    }
}

#[test]
fn the_columns_of_cells_need_not_be_stored() {
    columns_of_cells_need_not_be_stored::<f32>();
    columns_of_cells_need_not_be_stored::<f64>();
}

/// The check must see what one unit keeps of its cell, in its output and in its cell, and a cell
/// that is not forced although it should be.
#[test]
fn a_broken_column_of_a_cell_is_seen() {
    let place = (Isa::best(), 1);
    let course: Course = |_| (false, false);
    for units in [9, 40] {
        let right = bits::<f64>(units, Pace::Bursts, place, course, |_| ());
        let change = |k: usize| move |step: &mut Numerals<f64>| step.kept[k] *= 1.5;
        for k in [0, units - 1, units, 2 * units - 1] {
            assert!(bits(units, Pace::Bursts, place, course, change(k)) != right, "{k} of {units}");
        }
        let free = |step: &mut Numerals<f64>| step.forced[units..].fill(false);
        assert!(bits(units, Pace::Bursts, place, course, free) != right);
    }
}
