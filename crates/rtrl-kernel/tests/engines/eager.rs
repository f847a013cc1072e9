//! The eager engine against loops, on every instruction set and with several threads: layouts that
//! the model does not use yet, rows that are skipped and return, and what an engine guarantees
//! about errors.
use rtrl_kernel::{
    Deferred, Eager, Engine, Error, Isa, Jacobian, Layout, Pace, Quantity, Real, Snapshot, Step,
    Threads,
};

use crate::loops::Loops;
use crate::numerals::Numerals;
use crate::random::{self, Numbers, learns};
use crate::tested;

/// Whether the weight from unit l to unit k is 0: in rows 0, 1 and 2 of four with the probability
/// `1 - kept`, in row 3 never.
fn absent(k: usize, l: usize, kept: f64) -> bool {
    let mut numbers = Numbers((k * 1009 + l) as u64);
    k % 4 != 3 && (0..3).map(|_| numbers.next()).last() > Some(2.0 * kept - 1.0)
}

/// Fails unless the engine equals the loops; `kept` is the fraction of the recurrent weights that are not 0.
fn compare<T: Real>(layout: &Layout, density: f64, kept: f64, isa: Isa, threads: Threads) {
    let difference = first_difference::<T>(layout, (density, kept), (isa, threads), |_| ());
    assert_eq!(difference, None, "{layout:?}, {isa}, {}", T::NAME);
}

/// Where the engine first differs from the loops over some steps in which units are forced, slopes vanish and
/// a diagonal is there now and then; `distort` may falsify the steps of the engine.
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
    // A third of the diagonal is 0 and meets weights and scales of 0 elsewhere. It comes and goes while the
    // weights that are 0 stay the same.
    let mut diagonal: Vec<T> = numbers.list(n);
    (t % 3..n).step_by(3).for_each(|k| diagonal[k] = T::ZERO);
    numerals.diagonal = (t % 6 > 2).then_some(diagonal);
    numerals
}

#[test]
fn equals_the_loops() {
    for isa in tested::sets() {
        for (states, gates, lines) in [(1, 1, 1), (3, 1, 9), (8, 1, 17), (5, 3, 11), (13, 2, 30)] {
            let layout = Layout::stacked(states, gates, lines).unwrap();
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

/// Negative control: one broken term is noticed, in layers of each kind: small ones, large ones, and large
/// ones whose rows have few weights.
#[test]
fn each_broken_term_is_noticed() {
    for (states, gates, lines, kept) in
        [(8, 1, 17, 1.0), (5, 3, 11, 1.0), (20, 2, 23, 1.0), (35, 1, 40, 0.2)]
    {
        let layout = Layout::stacked(states, gates, lines).unwrap();
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

/// The bits of all gradients and of the last p over some steps from p = 0, in which sums are zero at
/// first and later products underflow, so that zeros of both signs appear.
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

/// `==` does not see the sign of a zero, on which it once depended how many threads there were and how
/// wide the registers.
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
            // Without zeros of both signs nothing has been tested. Fewer units have none with a minus.
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
        for (states, gates, lines) in [(17, 1, 20), (35, 1, 40), (20, 2, 23)] {
            let layout = Layout::stacked(states, gates, lines).unwrap();
            for (density, kept) in [(1.1, 0.1), (-0.6, 0.2), (1.1, 0.5), (1.1, 0.0)] {
                for count in [1, 3] {
                    compare::<f32>(&layout, density, kept, isa, Threads::Exactly(count));
                    compare::<f64>(&layout, density, kept, isa, Threads::Exactly(count));
                }
            }
        }
    }
}

/// Values for a layer of two units and three lines.
struct Small {
    recurrent: [f32; 4],
    scale: [f32; 2],
    z: [f32; 3],
}

impl Small {
    fn engine() -> Eager<f32> {
        let layout = Layout::simple(2, 3).unwrap();
        Eager::new(&layout, &[true; 6], Isa::best(), Threads::SERIAL).unwrap()
    }

    fn step(&self) -> Step<'_, f32> {
        Step {
            jacobian: Jacobian::scaled(&self.recurrent, 2, &self.scale),
            injection: &self.scale,
            z: &self.z,
            forced: &[false; 2],
        }
    }
}

const TAME: Small =
    Small { recurrent: [0.1, 0.2, 0.3, 0.4], scale: [0.5, 0.25], z: [1.0, -1.0, 2.0] };

#[test]
fn a_restored_engine_continues_as_the_saved_one() {
    let mut engine = Small::engine();
    engine.advance(&TAME.step(), None).unwrap();
    engine.advance(&TAME.step(), Some(&[0.5, 2.0])).unwrap();
    let mut saved = Snapshot::default();
    engine.save(&mut saved).unwrap();
    assert!(saved.tensors.keys().eq(["gradient", "sensitivities"]));
    let mut other = Small::engine();
    assert_eq!(other.spec(), engine.spec());
    other.advance(&TAME.step(), None).unwrap();
    other.load(&mut saved).unwrap();
    let mut gradients = [[0.0f32; 6]; 2];
    for (engine, gradient) in [&mut engine, &mut other].into_iter().zip(&mut gradients) {
        engine.advance(&TAME.step(), Some(&[1.0, -1.0])).unwrap();
        engine.gradient(gradient, 3).unwrap();
    }
    assert!(gradients[0].iter().all(|&g| g != 0.0));
    assert_eq!(gradients[0], gradients[1]);
}

#[test]
fn slices_that_do_not_fit_are_refused_before_anything_changes() {
    let mut engine = Small::engine();
    engine.advance(&TAME.step(), None).unwrap();
    let mut before = [0.0; 6];
    engine.sensitivities(0, &mut before).unwrap();
    let refused = |error| matches!(error, Err(Error::Length { .. }));
    let good = TAME.step();
    let scaled = |weights, stride, scale| Jacobian::scaled(weights, stride, scale);
    for bad in [
        Step { jacobian: scaled(&[0.0; 3], 2, &[0.0; 2]), ..good },
        Step { jacobian: scaled(&[0.0; 4], 2, &[0.0]), ..good },
        Step { jacobian: scaled(&[0.0; 4], 1, &[0.0; 2]), ..good },
        Step { jacobian: scaled(&[0.0; 4], usize::MAX, &[0.0; 2]), ..good },
        Step { jacobian: good.jacobian.with_diagonal(Some(&[0.0; 3])), ..good },
        Step { injection: &[0.0; 3], ..good },
        Step { z: &[0.0; 2], ..good },
        Step { forced: &[false; 3], ..good },
    ] {
        assert!(refused(engine.advance(&bad, None)));
    }
    assert!(refused(engine.advance(&good, Some(&[0.0; 3]))));
    assert!(refused(engine.gradient(&mut [0.0; 5], 3)));
    assert!(refused(engine.sensitivities(0, &mut [0.0; 5])));
    assert!(refused(engine.gradient(&mut [0.0; 6], 2)));
    let unit = Err(Error::State { states: 2, got: 2 });
    assert_eq!(engine.sensitivities(2, &mut [0.0; 6]), unit);
    let mut after = [0.0; 6];
    engine.sensitivities(0, &mut after).unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_load_that_fails_loses_p_until_a_reset() {
    let odd = [([2, 5], vec![0.0f32; 10]), ([2, 6], vec![f32::INFINITY; 12])];
    for tensor in odd {
        let mut engine = Small::engine();
        engine.advance(&TAME.step(), Some(&[1.0, 1.0])).unwrap();
        let tensors = [("sensitivities".to_owned(), tensor)].into();
        assert!(engine.load(&mut Snapshot { tensors }).is_err());
        assert_eq!(engine.advance(&TAME.step(), None), Err(Error::Lost));
        assert_eq!(engine.gradient(&mut [0.0; 6], 3), Err(Error::Lost));
        engine.reset().unwrap();
        let mut gradient = [1.0; 6];
        engine.gradient(&mut gradient, 3).unwrap();
        assert_eq!(gradient, [0.0; 6]);
        engine.advance(&TAME.step(), None).unwrap();
    }
}

#[test]
fn an_overflow_is_told_apart_and_stays_until_a_reset() {
    let wild = Small { scale: [1e30, 1e30], ..TAME };
    for (error, quantity) in
        [(None, Quantity::Sensitivities), (Some([1e30; 2]), Quantity::Gradient)]
    {
        let mut engine = Small::engine();
        let error = error.as_ref().map(<[f32; 2]>::as_slice);
        let mut result = engine.advance(&wild.step(), error);
        if quantity == Quantity::Sensitivities {
            result = engine.advance(&wild.step(), None);
        }
        assert_eq!(result, Err(Error::NonFinite { quantity }));
        assert_eq!(engine.advance(&TAME.step(), None), Err(Error::Lost));
        assert_eq!(engine.sensitivities(0, &mut [0.0; 6]), Err(Error::Lost));
        let mut untouched = [7.0; 6];
        assert_eq!(engine.gradient(&mut untouched, 3), Err(Error::Lost));
        assert_eq!(untouched, [7.0; 6]);
        assert_eq!(engine.save(&mut Snapshot::default()), Err(Error::Lost));
        engine.reset().unwrap();
        engine.advance(&TAME.step(), Some(&[1.0, 1.0])).unwrap();
        let mut gradient = [0.0; 6];
        engine.gradient(&mut gradient, 3).unwrap();
        assert_eq!(gradient, [-0.5, 0.5, -1.0, -0.25, 0.25, -0.5]);
    }
}

#[test]
fn a_shape_that_does_not_fit_in_memory_says_how_many_bytes_it_needs() {
    let layout = Layout::simple(100_000, 100_002).unwrap();
    let bytes = 4_000_080_000_000_000;
    assert_eq!(layout.check_memory::<f32>(), Err(Error::Memory { bytes }));
    assert!(matches!(Layout::simple(usize::MAX, usize::MAX), Err(Error::Memory { .. })));
    assert!(matches!(Layout::simple(1 << 63, 2), Err(Error::Memory { .. })));
}

#[test]
fn nothing_to_learn_is_nothing_to_do() {
    let layout = Layout::simple(2, 3).unwrap();
    let mut engine = Eager::<f32>::new(&layout, &[false; 6], Isa::best(), Threads::SERIAL).unwrap();
    engine.advance(&TAME.step(), Some(&[1.0, 1.0])).unwrap();
    let mut gradient = [7.0; 6];
    engine.gradient(&mut gradient, 3).unwrap();
    assert_eq!((engine.weights(), gradient), (0, [7.0; 6]));
}

/// Lanes without a weight are not loaded, and an overflow leaves NaN in them.
#[test]
fn an_engine_that_has_overflowed_can_be_loaded() {
    let layout = Layout::simple(2, 3).unwrap();
    let wild = Small { scale: [1e30, 1e30], ..TAME };
    let engines = || -> [Box<dyn Engine<f32>>; 2] {
        let (isa, threads) = (Isa::best(), Threads::SERIAL);
        let late = Deferred::new(&layout, &[true; 6], 2, Pace::Bursts, isa, threads).unwrap();
        [Box::new(Small::engine()), Box::new(late)]
    };
    for (mut good, mut bad) in engines().into_iter().zip(engines()) {
        good.advance(&TAME.step(), None).unwrap();
        let mut saved = Snapshot::default();
        good.save(&mut saved).unwrap();
        assert!((0..9).any(|_| bad.advance(&wild.step(), None).is_err()), "{bad:?}");
        bad.load(&mut saved).unwrap();
        let mut gradients = [[0.0f32; 6]; 2];
        for (engine, gradient) in [good, bad].into_iter().zip(&mut gradients) {
            let mut engine = engine;
            for _ in 0..3 {
                engine.advance(&TAME.step(), Some(&[1.0, -1.0])).unwrap();
            }
            engine.gradient(gradient, 3).unwrap();
        }
        assert_eq!(gradients[0], gradients[1]);
    }
}

#[test]
fn rows_without_weights_have_an_empty_gradient() {
    let layout = Layout::simple(2, 0).unwrap();
    let mut engine = Eager::<f32>::new(&layout, &[], Isa::best(), Threads::SERIAL).unwrap();
    assert_eq!(engine.gradient(&mut [], 0), Ok(()));
}
