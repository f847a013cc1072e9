//! The eager engine against loops, on every instruction set and with several threads: layouts that
//! the model does not use yet, and rows that are skipped and return.
use rtrl_kernel::{Eager, Engine, Isa, Jacobian, Layout, Real, Snapshot, Step, Threads};

use crate::loops::Loops;
use crate::numerals::Numerals;
use crate::random::{self, Numbers, learns};
use crate::tested;

/// Instead of a fraction of weights: those within each block of 12 neighbours.
const BLOCKS: f64 = f64::INFINITY;

/// Whether the weight from unit l to unit k is 0: in rows 0, 1 and 2 of four with the probability
/// `1 - kept`, in row 3 never.
fn absent(k: usize, l: usize, kept: f64) -> bool {
    if kept == BLOCKS {
        return k / 12 != l / 12;
    }
    let mut numbers = Numbers((k * 1009 + l) as u64);
    k % 4 != 3 && (0..3).map(|_| numbers.next()).last() > Some(2.0 * kept - 1.0)
}

/// Fails unless the engine equals the loops; `kept` is the fraction of the recurrent weights that
/// are not 0.
fn compare<T: Real>(layout: &Layout, density: f64, kept: f64, isa: Isa, threads: Threads) {
    let difference = first_difference::<T>(layout, (density, kept), (isa, threads), |_| ());
    assert_eq!(difference, None, "{layout:?}, {isa}, {}", T::NAME);
}

/// Where the engine first differs from the loops over some steps in which units are forced, slopes
/// vanish and a diagonal is there now and then; `distort` may falsify the steps of the engine.
fn first_difference<T: Real>(
    layout: &Layout,
    (density, kept): (f64, f64),
    (isa, threads): (Isa, Threads),
    distort: impl Fn(&mut Numerals<T>),
) -> Option<String> {
    let (n, stride) = (layout.states(), layout.widest());
    let mut numbers = Numbers(layout.rows() as u64 * 31 + layout.z_len() as u64);
    let learns = learns(layout, &mut numbers, density);
    let mut engine = Eager::<T>::new(layout, &learns, isa, threads).unwrap();
    let mut loops = Loops::<T>::new(layout, &learns);
    for t in 0..13 {
        let mut numerals = eventful(layout, &mut numbers, t, kept);
        loops.advance(&numerals);
        distort(&mut numerals);
        engine.advance(&numerals.step(), numerals.error.as_deref()).unwrap();
        let mut row = vec![T::ZERO; engine.weights()];
        for k in 0..n {
            engine.sensitivities(k, &mut row).unwrap();
            if row != loops.row(k) {
                return Some(format!("p, step {t}, unit {k}"));
            }
        }
        if t % 3 == 2 {
            let mut gradient = vec![T::ZERO; layout.rows() * stride];
            engine.gradient(&mut gradient, stride).unwrap();
            if gradient != loops.take_gradient(stride) {
                return Some(format!("gradient, step {t}"));
            }
        }
    }
    None
}

/// The numbers of a step in which slopes vanish and units are forced now and then.
fn eventful<T: Real>(layout: &Layout, numbers: &mut Numbers, t: usize, kept: f64) -> Numerals<T> {
    let n = layout.states();
    let mut numerals = random::numerals::<T>(layout, numbers, t, 1);
    if t % 5 <= 2 {
        numerals.blocks[0].scale = numbers.list(n);
        numerals.injection = numbers.list(layout.drives().len());
        numerals.forced.fill(false);
    }
    // Which weights are 0 changes every second step, to as many in each row as before.
    let stride = numerals.stride;
    for (w, weight) in numerals.blocks[0].weights.iter_mut().enumerate() {
        if absent(w / stride, (w % stride + t / 2) % n, kept) {
            *weight = T::ZERO;
        }
    }
    // A third of the diagonal is 0 and meets weights and scales of 0 elsewhere. It comes and goes
    // while the weights that are 0 stay the same.
    let mut diagonal: Vec<T> = numbers.list(n);
    (t % 3..n).step_by(3).for_each(|k| diagonal[k] = T::ZERO);
    numerals.diagonal = (t % 6 > 2).then_some(diagonal);
    numerals
}

#[test]
fn equals_the_loops() {
    for isa in tested::sets() {
        for (states, gates, width) in [(1, 1, 1), (3, 1, 9), (8, 1, 17), (5, 3, 11), (13, 2, 30)] {
            let layout = Layout::stacked(states, gates, width).unwrap();
            for density in [1.1, 0.3] {
                for count in [1, 2, 5] {
                    compare::<f32>(&layout, density, 1.0, isa, Threads::Exactly(count));
                    compare::<f64>(&layout, density, 1.0, isa, Threads::Exactly(count));
                }
            }
        }
    }
}

/// A fault in the step of an engine.
type Fault = fn(&mut Numerals<f64>);

/// One term each, of the last unit, drive, line or error.
const FAULTS: [(&str, Fault); 8] = [
    ("a forced column that is kept", |step| step.forced.fill(false)),
    ("a weight", |step| *first_of_last_row(step) += 0.5),
    ("a weight that is left out", |step| *first_of_last_row(step) = 0.0),
    ("a slope", |step| *step.blocks[0].scale.last_mut().unwrap() += 1e-9),
    ("the diagonal", |step| step.diagonal = None),
    ("an injection", |step| *step.injection.last_mut().unwrap() += 1e-9),
    ("a line", |step| *step.z.last_mut().unwrap() += 1e-9),
    ("an error", |step| step.error.iter_mut().for_each(|e| *e.last_mut().unwrap() += 1e-9)),
];

/// The weight from the first unit to the last.
fn first_of_last_row(step: &mut Numerals<f64>) -> &mut f64 {
    let last = step.forced.len() - 1;
    &mut step.blocks[0].weights[last * step.stride]
}

/// Negative control: one broken term is noticed, in layers of each kind: small ones, large ones,
/// and large ones whose rows have few weights.
#[test]
fn each_broken_term_is_noticed() {
    for (states, gates, width, kept) in
        [(8, 1, 17, 1.0), (5, 3, 11, 1.0), (20, 2, 23, 1.0), (35, 1, 40, 0.2)]
    {
        let layout = Layout::stacked(states, gates, width).unwrap();
        for isa in tested::sets() {
            for count in [1, 3] {
                let (weights, place) = ((1.1, kept), (isa, Threads::Exactly(count)));
                for (name, fault) in FAULTS {
                    let difference = first_difference(&layout, weights, place, fault);
                    assert!(difference.is_some(), "{name} was not noticed: {layout:?}, {isa}");
                }
            }
        }
    }
}

/// The bits of all gradients and of the last p over some steps from p = 0, in which sums are zero
/// at first and later products underflow, so that zeros of both signs appear.
fn bits_from_zero<T: Real>(
    layout: &Layout,
    learns: &[bool],
    isa: Isa,
    threads: Threads,
) -> Vec<Vec<u8>> {
    let (n, width) = (layout.states(), layout.z_len());
    let mut engine = Eager::<T>::new(layout, learns, isa, threads).unwrap();
    let stride = width.next_multiple_of(T::LANES);
    let mut numbers = Numbers(n as u64);
    let mut rows = Vec::new();
    let mut bits = |row: &[T]| rows.push(bytemuck::cast_slice(row).to_vec());
    for t in 0..6 {
        // Its square is 0 in this precision.
        let tiny = T::from_f64(if T::NAME == "f32" { 1e-30 } else { 1e-200 });
        let shrink = if t > 0 { tiny } else { T::ONE };
        let scaled = |list: Vec<T>| list.into_iter().map(|x| x * shrink).collect::<Vec<T>>();
        let (recurrent, scale) = (numbers.list::<T>(n * n), scaled(numbers.list(n)));
        let (injection, mut z) = (numbers.list::<T>(layout.rows()), numbers.list::<T>(width));
        z[width - n.min(width)..].fill(if t == 0 { T::ZERO } else { shrink });
        let error: Vec<T> = numbers.list(n);
        let step = Step {
            jacobian: Jacobian::scaled(&recurrent, n, &scale),
            injection: &injection,
            z: &z,
            forced: &vec![false; n],
        };
        engine.advance(&step, Some(&error)).unwrap();
        let mut gradient = vec![T::ZERO; layout.rows() * stride];
        engine.gradient(&mut gradient, stride).unwrap();
        bits(&gradient);
    }
    for k in 0..n {
        let mut row = vec![T::ZERO; engine.weights()];
        engine.sensitivities(k, &mut row).unwrap();
        bits(&row);
    }
    rows
}

/// `==` does not see the sign of a zero, on which it once depended how many threads there were and
/// how wide the registers.
#[test]
fn even_zeros_have_the_same_bits_everywhere() {
    /// Returns how many zeros there are with a plus and with a minus.
    fn check<T: Real>(units: usize, width: usize, kept: f64) -> [usize; 2] {
        let layout = Layout::simple(units, width).unwrap();
        let mut numbers = Numbers(7);
        let learns: Vec<bool> = (0..units * width).map(|_| numbers.next() < kept).collect();
        let expected = bits_from_zero::<T>(&layout, &learns, Isa::scalar(), Threads::SERIAL);
        for isa in tested::sets() {
            for count in [1, 2, 3, 5] {
                let got = bits_from_zero::<T>(&layout, &learns, isa, Threads::Exactly(count));
                let place = got.iter().zip(&expected).position(|(got, expected)| got != expected);
                assert_eq!(place, None, "{units} x {width}, {}, {isa}, {count} threads", T::NAME);
            }
        }
        let values = expected.iter().flat_map(|row| row.chunks_exact(size_of::<T>()));
        let values = values.map(|bytes| bytemuck::pod_read_unaligned::<T>(bytes).to_f64());
        let zeros: Vec<f64> = values.filter(|&value| value == 0.0).collect();
        [false, true].map(|minus| zeros.iter().filter(|v| v.is_sign_negative() == minus).count())
    }
    for units in [1, 2, 4, 7, 8, 9, 12, 13, 16, 17, 19, 33] {
        for kept in [1.1, 0.6] {
            let found =
                [check::<f32>(units, units + 2, kept), check::<f64>(units, units + 2, kept)];
            // Without zeros of both signs nothing has been tested. Fewer units have none with a
            // minus.
            assert!(
                units < 4 || found.as_flattened().iter().all(|&zeros| zeros > 0),
                "{units}: {found:?}"
            );
        }
    }
}

/// Layers of more than 16 units whose rows have few weights run loops of their own.
#[test]
fn equals_the_loops_where_weights_are_absent() {
    for isa in tested::sets() {
        for (states, gates, width) in [(17, 1, 20), (35, 1, 40), (20, 2, 23)] {
            let layout = Layout::stacked(states, gates, width).unwrap();
            for (density, kept) in [(1.1, 0.1), (-0.6, 0.2), (1.1, 0.5), (1.1, 0.0), (1.1, BLOCKS)]
            {
                for count in [1, 3] {
                    compare::<f32>(&layout, density, kept, isa, Threads::Exactly(count));
                    compare::<f64>(&layout, density, kept, isa, Threads::Exactly(count));
                }
            }
        }
    }
}

/// An engine with its loops, in a layer of one row a unit.
struct Pair<T: Real> {
    layout: Layout,
    engine: Eager<T>,
    loops: Loops<T>,
    numbers: Numbers,
}

impl<T: Real> Pair<T> {
    fn new(units: usize, threads: usize) -> Self {
        let layout = Layout::simple(units, units + 3).unwrap();
        let learns = vec![true; layout.weights()];
        let engine = Self::engine(&layout, threads);
        Self { loops: Loops::new(&layout, &learns), engine, layout, numbers: Numbers(11) }
    }

    fn engine(layout: &Layout, threads: usize) -> Eager<T> {
        let learns = vec![true; layout.weights()];
        Eager::new(layout, &learns, Isa::best(), Threads::Exactly(threads)).unwrap()
    }

    fn advance(&mut self, has_error: bool) {
        let mut numerals = random::numerals::<T>(&self.layout, &mut self.numbers, 0, 1);
        numerals.error = has_error.then(|| self.numbers.list(self.layout.states()));
        self.loops.advance(&numerals);
        self.engine.advance(&numerals.step(), numerals.error.as_deref()).unwrap();
    }

    fn read(&mut self) -> Vec<T> {
        let stride = self.layout.widest();
        // What was there before is overwritten.
        let mut gradient = vec![T::from_f64(7.0); self.layout.rows() * stride];
        self.engine.gradient(&mut gradient, stride).unwrap();
        gradient
    }

    /// Reads a gradient that is that of the loops, and not 0 everywhere.
    fn read_some(&mut self) {
        let gradient = self.read();
        assert_eq!(gradient, self.loops.take_gradient(self.layout.widest()));
        assert!(gradient.iter().any(|&value| value != T::ZERO));
    }

    /// Reads a gradient that is 0 everywhere.
    fn read_zeros(&mut self) {
        assert!(self.read().iter().all(|&value| value == T::ZERO), "{:?}", self.layout);
    }
}

/// The sums are not cleared when they are read.
#[test]
fn a_gradient_that_has_been_read_does_not_return() {
    fn check<T: Real>(units: usize, threads: usize) {
        let mut pair = Pair::<T>::new(units, threads);
        pair.advance(true);
        pair.advance(true);
        pair.read_some();
        pair.read_zeros();
        // A step without an error between two readings, and one between an error and its reading.
        pair.advance(true);
        pair.read_some();
        pair.advance(false);
        pair.read_zeros();
        pair.advance(true);
        pair.advance(false);
        pair.read_some();
        // The first error after zeros, and after a reading.
        for _ in 0..2 {
            pair.advance(true);
            pair.read_some();
        }
        let mut saved = Snapshot::default();
        pair.engine.save(&mut saved).unwrap();
        assert!(!saved.tensors.contains_key("gradient"));
        // Both an engine that has sums of its own, and a new one.
        pair.advance(true);
        pair.engine.load(&mut saved).unwrap();
        pair.read_zeros();
        pair.engine = Pair::engine(&pair.layout, threads);
        pair.engine.load(&mut saved).unwrap();
        pair.read_zeros();
    }
    for units in [5, 12, 40] {
        for threads in [1, 3] {
            check::<f32>(units, threads);
            check::<f64>(units, threads);
        }
    }
}

/// Errors that have not been read are saved, and return once.
#[test]
fn a_gradient_that_was_saved_is_read_once() {
    for units in [5, 40] {
        let mut pair = Pair::<f32>::new(units, 1);
        pair.advance(true);
        pair.read_some();
        pair.advance(true);
        let mut saved = Snapshot::default();
        pair.engine.save(&mut saved).unwrap();
        pair.read();
        pair.engine.load(&mut saved).unwrap();
        pair.read_some();
        pair.read_zeros();
    }
}
