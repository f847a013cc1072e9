//! The deferred engine against the eager one, in lockstep: the same p and the same gradients up to
//! rounding; and against itself: the same bits on every instruction set, with any number of
//! threads, and after it has been stored and restored in the middle of a window.
use rtrl_kernel::{
    Deferred, Eager, Engine, Error, Isa, Jacobian, Layout, Pace, Quantity, Real, Snapshot, Step,
    Threads,
};

use crate::held::{p, saved};
use crate::numerals::Numerals;
use crate::random::{self, Numbers, learns};
use crate::tested;

fn gradient<T: Real>(engine: &mut dyn Engine<T>, layout: &Layout) -> Vec<T> {
    let stride = layout.widest();
    let mut gradient = vec![T::ZERO; layout.rows() * stride];
    engine.gradient(&mut gradient, stride).unwrap();
    gradient
}

/// The largest difference, relative to the largest element; infinite if something is not finite.
fn difference<T: Real>(got: &[T], expected: &[T]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let mut largest = f64::MIN_POSITIVE;
    let mut worst = 0.0f64;
    for (&got, &expected) in got.iter().zip(expected) {
        if !got.is_finite() || !expected.is_finite() {
            return f64::INFINITY;
        }
        largest = largest.max(expected.abs().to_f64());
        worst = worst.max((got - expected).abs().to_f64());
    }
    worst / largest
}

const SHAPES: [(usize, usize, usize); 6] =
    [(1, 1, 1), (3, 1, 9), (17, 1, 26), (5, 3, 11), (9, 2, 30), (33, 1, 50)];

/// The worst difference of p and of the gradients over some steps; `distort` may falsify the steps
/// of the deferred engine.
fn lockstep<T: Real>(
    shape: (usize, usize, usize),
    density: f64,
    (records, pace): (usize, Pace),
    (isa, threads): (Isa, Threads),
    distort: impl Fn(&mut Numerals<T>),
) -> f64 {
    let (states, gates, width) = shape;
    let layout = Layout::stacked(states, gates, width).unwrap();
    let mut numbers = Numbers((states * 31 + width) as u64);
    let learns = learns(&layout, &mut numbers, density);
    let mut eager = Eager::<T>::new(&layout, &learns, isa, threads).unwrap();
    let mut deferred = Deferred::<T>::new(&layout, &learns, records, pace, isa, threads).unwrap();
    let mut worst = 0.0f64;
    for t in 0..23 {
        let mut numerals = random::numerals(&layout, &mut numbers, t, 1);
        if t == 13 {
            eager.reset().unwrap();
            deferred.reset().unwrap();
        }
        eager.advance(&numerals.step(), numerals.error.as_deref()).unwrap();
        distort(&mut numerals);
        deferred.advance(&numerals.step(), numerals.error.as_deref()).unwrap();
        // Each time at another place of the windows.
        if t % 3 == 1 {
            worst = worst.max(difference(&p(&deferred, states), &p(&eager, states)));
        }
        if t % 3 != 2 {
            let expected = gradient(&mut eager, &layout);
            worst = worst.max(difference(&gradient(&mut deferred, &layout), &expected));
        }
    }
    worst
}

#[test]
fn equals_the_eager_engine_up_to_rounding() {
    for isa in tested::sets() {
        for shape in SHAPES {
            for records in [1, 2, 5, 40] {
                for pace in [Pace::Bursts, Pace::Even] {
                    for density in [0.3, 1.0] {
                        let threads = Threads::Exactly(1 + (shape.0 + records) % 3);
                        let (window, place) = ((records, pace), (isa, threads));
                        let worst = lockstep::<f64>(shape, density, window, place, |_| ());
                        assert!(worst <= 1e-13, "{worst}: {shape:?}, {window:?}, {isa}");
                        let worst = lockstep::<f32>(shape, density, window, place, |_| ());
                        assert!(worst <= 1e-4, "{worst}: {shape:?}, {window:?}, {isa}");
                    }
                }
            }
        }
    }
}

/// The check must see a broken term: forced columns that are kept, the weights of another step, and
/// a diagonal that is left out.
#[test]
fn a_broken_term_is_seen() {
    let place = (Isa::best(), Threads::SERIAL);
    for window in [(5, Pace::Bursts), (5, Pace::Even), (40, Pace::Bursts)] {
        let keep_forced = |step: &mut Numerals<f64>| step.forced.fill(false);
        assert!(lockstep(SHAPES[2], 1.0, window, place, keep_forced) > 1e-3);
        let other_weights = |step: &mut Numerals<f64>| step.blocks[0].weights.rotate_left(1);
        assert!(lockstep(SHAPES[2], 1.0, window, place, other_weights) > 1e-3);
        let no_diagonal = |step: &mut Numerals<f64>| step.diagonal = None;
        assert!(lockstep(SHAPES[2], 1.0, window, place, no_diagonal) > 1e-3);
    }
}

/// All results of an engine over some steps.
fn outputs<T: Real>(
    engine: &mut dyn Engine<T>,
    layout: &Layout,
    steps: std::ops::Range<usize>,
) -> Vec<T> {
    let mut all = Vec::new();
    for t in steps {
        let numerals = random::numerals(layout, &mut Numbers(t as u64 * 7 + 1), t, 1);
        engine.advance(&numerals.step(), numerals.error.as_deref()).unwrap();
        if t % 5 == 3 {
            all.extend(gradient(engine, layout));
        }
        if t % 7 == 2 {
            all.extend(p(engine, layout.states()));
        }
    }
    all
}

fn same_bits<T: Real>(pace: Pace) {
    // The last is wide enough for every kind of block of the backward pass.
    for (states, gates, width) in SHAPES.into_iter().chain([(130, 1, 9)]) {
        let layout = Layout::stacked(states, gates, width).unwrap();
        // Rows with gaps of their own, and rows that are alike, which are worked on together.
        for alike in [false, true] {
            let learns = |w: usize| if alike { w % width != 3 } else { w % 7 != 3 };
            let learns: Vec<bool> = (0..layout.weights()).map(learns).collect();
            same_bits_of::<T>(&layout, &learns, pace);
        }
    }
}

fn same_bits_of<T: Real>(layout: &Layout, learns: &[bool], pace: Pace) {
    let states = layout.states();
    let make = |isa, threads| Deferred::<T>::new(layout, learns, 6, pace, isa, threads).unwrap();
    let bits = |outputs: Vec<T>| bytemuck::cast_slice::<_, u8>(&outputs).to_vec();
    let steps = 0..if states > 100 { 13 } else { 20 };
    let first = &mut make(Isa::scalar(), Threads::SERIAL);
    let expected = bits(outputs(first, layout, steps.clone()));
    for isa in tested::sets() {
        for count in [1, 2, 3] {
            if (isa, count) == (Isa::scalar(), 1) {
                continue;
            }
            let engine = &mut make(isa, Threads::Exactly(count));
            let got = bits(outputs(engine, layout, steps.clone()));
            assert!(got == expected, "{layout:?}, {isa}, {count} threads");
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_instruction_set_or_the_threads() {
    for pace in [Pace::Bursts, Pace::Even] {
        same_bits::<f32>(pace);
        same_bits::<f64>(pace);
    }
}

#[test]
fn restored_in_the_middle_of_a_window_it_goes_on_with_the_same_bits() {
    let layout = Layout::simple(17, 26).unwrap();
    let learns: Vec<bool> = (0..17 * 26).map(|w| w % 7 != 3).collect();
    for pace in [Pace::Bursts, Pace::Even] {
        let make = |threads| {
            let isa = Isa::best();
            Deferred::<f32>::new(&layout, &learns, 6, pace, isa, threads).unwrap()
        };
        for cut in 0..20 {
            let mut engine = make(Threads::SERIAL);
            outputs(&mut engine, &layout, 0..cut);
            let mut other = make(Threads::Exactly(2));
            outputs(&mut other, &layout, 30..33);
            assert_eq!(other.spec(), engine.spec());
            other.load(&mut saved(&engine)).unwrap();
            assert_eq!(saved(&other), saved(&engine));
            let expected = outputs(&mut engine, &layout, cut..30);
            assert!(outputs(&mut other, &layout, cut..30) == expected, "{pace:?}, cut at {cut}");
        }
    }
}

/// Each stored tensor, missing, one row too long, one column too narrow and with a NaN in it.
#[test]
fn what_does_not_belong_to_the_engine_is_refused() {
    let layout = Layout::simple(2, 3).unwrap();
    let isa = Isa::best();
    let make =
        |pace| Deferred::<f64>::new(&layout, &[true; 6], 3, pace, isa, Threads::SERIAL).unwrap();
    let mut even = make(Pace::Even);
    outputs(&mut even, &layout, 0..5);
    let whole = saved(&even);
    let names: Vec<_> = whole.tensors.keys().cloned().collect();
    assert_eq!(names.len(), 9, "{names:?}");
    for name in &names {
        let ([rows, columns], values) = whole.tensors[name].clone();
        let change = |tensor| {
            let mut odd = whole.clone();
            odd.tensors.insert(name.clone(), tensor);
            odd
        };
        let mut nan = values.clone();
        nan[rows * columns - 1] = f64::NAN;
        let longer = ([rows + 1, columns], [&values[..], &values[..columns]].concat());
        let narrower = ([rows, columns - 1], values[rows..].to_vec());
        refused(&even.load(&mut change(longer)), &even);
        refused(&even.load(&mut change(narrower)), &even);
        let error = even.load(&mut change(([rows, columns], nan)));
        assert_eq!(error, Err(Error::NonFiniteTensor { name: name.clone(), row: rows - 1 }));
        let optional = ["gradient", "previous.errors"];
        if !optional.contains(&name.as_str()) {
            let mut missing = whole.clone();
            missing.tensors.remove(name);
            refused(&even.load(&mut missing), &even);
        }
    }
    even.load(&mut whole.clone()).unwrap();
    assert_eq!(saved(&even), whole);
    let mut bursts = make(Pace::Bursts);
    refused(&bursts.load(&mut whole.clone()), &bursts);
    let mut short = whole;
    for (_, (shape, values)) in short.tensors.iter_mut().filter(|(name, _)| name.starts_with("pr"))
    {
        let rows = shape[0] / 3 * 2;
        *shape = [rows, shape[1]];
        values.truncate(rows * shape[1]);
    }
    refused(&even.load(&mut short), &even);
}

fn step() -> Step<'static, f64> {
    let jacobian = Jacobian::scaled(&[0.5; 4], 2, &[1.0; 2]);
    Step { jacobian, injection: &[1.0; 2], z: &[1.0; 3], forced: &[false; 2] }
}

/// A failed load is a typed error, and p is lost until a reset.
fn refused(result: &Result<(), Error>, engine: &Deferred<f64>) {
    assert!(matches!(result, Err(Error::Tensor { .. })), "{result:?}");
    let mut engine = engine.clone();
    assert_eq!(engine.advance(&step(), None), Err(Error::Lost));
    assert_eq!(engine.save(&mut Snapshot::default()), Err(Error::Lost));
    assert_eq!(engine.gradient(&mut [0.0; 6], 3), Err(Error::Lost));
    engine.reset().unwrap();
    let mut gradient = [1.0; 6];
    engine.gradient(&mut gradient, 3).unwrap();
    assert_eq!(gradient, [0.0; 6]);
    engine.advance(&step(), None).unwrap();
}

/// 2⁶⁰: growth by it overflows float32 within a few steps.
const LARGE: f32 = (1u64 << 60) as f32;

/// 2¹⁰⁰: the product with the other overflows by itself.
const LARGER: f32 = (1u128 << 100) as f32;

/// A step of a layer of one unit and one input.
fn lone(jacobian: Jacobian<'static, f32>) -> Step<'static, f32> {
    Step { jacobian, injection: &[1.0], z: &[1.0, 1.0], forced: &[false] }
}

#[test]
fn overflow_loses_p_until_it_is_reset() {
    let layout = Layout::simple(1, 2).unwrap();
    let step = lone(Jacobian::scaled(&[LARGE], 1, &[1.0]));
    for pace in [Pace::Bursts, Pace::Even] {
        let mut engine =
            Deferred::new(&layout, &[true; 2], 2, pace, Isa::best(), Threads::SERIAL).unwrap();
        let mut before = saved(&engine);
        let lost = (0..12).find_map(|_| engine.advance(&step, None).err());
        assert_eq!(lost, Some(Error::NonFinite { quantity: Quantity::Sensitivities }));
        assert_eq!(engine.advance(&step, None), Err(Error::Lost));
        assert_eq!(engine.save(&mut Snapshot::default()), Err(Error::Lost));
        let mut loaded = engine.clone();
        loaded.load(&mut before).unwrap();
        loaded.advance(&step, None).unwrap();
        assert_eq!(engine.sensitivities(0, &mut [0.0; 2]), Err(Error::Lost));
        assert_eq!(engine.gradient(&mut [0.0; 2], 2), Err(Error::Lost));
        engine.reset().unwrap();
        engine.advance(&step, Some(&[1.0])).unwrap();
        let mut gradient = [0.0; 2];
        engine.gradient(&mut gradient, 2).unwrap();
        assert_eq!(gradient, [-1.0, -1.0]);
        // Before a window is full, the gradient shows it.
        let mut engine =
            Deferred::new(&layout, &[true; 2], 9, pace, Isa::best(), Threads::SERIAL).unwrap();
        for _ in 0..4 {
            engine.advance(&step, None).unwrap();
        }
        let overflow = Err(Error::NonFinite { quantity: Quantity::Sensitivities });
        assert_eq!(engine.sensitivities(0, &mut [0.0; 2]), overflow);
        engine.advance(&step, Some(&[1.0])).unwrap();
        let lost = engine.gradient(&mut gradient, 2);
        assert_eq!(lost, Err(Error::NonFinite { quantity: Quantity::Gradient }));
        assert_eq!(gradient, [-1.0, -1.0]);
        assert_eq!(engine.advance(&step, None), Err(Error::Lost));
        // A Jacobian that overflows by itself.
        engine.reset().unwrap();
        let step = Step { jacobian: Jacobian::scaled(&[LARGE], 1, &[LARGER]), ..step };
        assert_eq!(engine.advance(&step, None), overflow);
    }
}

/// With the window that such a layer gets by default: p and 55 % more, even-paced 80 %.
#[test]
fn memory_is_p_and_about_half_as_much() {
    let layout = Layout::simple(256, 265).unwrap();
    let learns = vec![true; 256 * 265];
    let p = 256 * learns.len() * size_of::<f32>();
    for (pace, percent) in [(Pace::Bursts, 155), (Pace::Even, 180)] {
        let (isa, threads) = (Isa::best(), Threads::SERIAL);
        let engine = Deferred::<f32>::new(&layout, &learns, 64, pace, isa, threads).unwrap();
        let bytes = engine.state_bytes();
        assert!(bytes > p && bytes * 100 <= p * percent, "{pace:?}: {bytes} of {p}");
    }
}

/// If the backward pass of errors overflows at the end of a sequence, the reset reports it, and the
/// next sequence is unaffected.
#[test]
fn an_overflow_does_not_outlive_its_sequence() {
    let layout = Layout::simple(1, 2).unwrap();
    let wild = lone(Jacobian::scaled(&[LARGE], 1, &[1.0]));
    let tame = Step { jacobian: Jacobian::scaled(&[0.5], 1, &[1.0]), ..wild };
    let isa = Isa::best();
    let mut engine =
        Deferred::new(&layout, &[true; 2], 16, Pace::Bursts, isa, Threads::SERIAL).unwrap();
    for _ in 0..4 {
        engine.advance(&wild, Some(&[1.0])).unwrap();
    }
    assert_eq!(engine.reset(), Err(Error::NonFinite { quantity: Quantity::Gradient }));
    for _ in 0..3 {
        engine.advance(&tame, Some(&[1.0])).unwrap();
    }
    let mut gradient = [0.0; 2];
    engine.gradient(&mut gradient, 2).unwrap();
    assert_eq!(gradient, [-4.25, -4.25]);
    // A coefficient that equation 5 omits may be anything.
    let forced =
        Step { jacobian: Jacobian::scaled(&[f32::MAX], 1, &[8.0]), forced: &[true], ..wild };
    engine.advance(&forced, None).unwrap();
}

/// An overflow of the sum is reported at the flush at the latest: everything stored is finite.
#[test]
fn a_sum_that_overflows_is_reported_at_the_flush() {
    let layout = Layout::simple(1, 2).unwrap();
    let step = lone(Jacobian::scaled(&[1.0], 1, &[1.0]));
    let isa = Isa::best();
    let mut engine =
        Deferred::<f32>::new(&layout, &[true; 2], 2, Pace::Bursts, isa, Threads::SERIAL).unwrap();
    let told = (0..5).find_map(|_| engine.advance(&step, Some(&[3e38])).err());
    assert_eq!(told, Some(Error::NonFinite { quantity: Quantity::Gradient }));
    assert_eq!(engine.save(&mut Snapshot::default()), Err(Error::Lost));
}

#[test]
fn a_window_of_no_steps_is_refused() {
    let layout = Layout::simple(2, 3).unwrap();
    let (isa, threads) = (Isa::best(), Threads::SERIAL);
    let engine = Deferred::<f32>::new(&layout, &[true; 6], 0, Pace::Bursts, isa, threads);
    assert_eq!(engine.err(), Some(Error::Zero { what: "steps in a window" }));
}

#[test]
fn a_window_that_does_not_fit_in_memory_is_refused() {
    let (isa, threads) = (Isa::best(), Threads::SERIAL);
    for n in [1, 17] {
        let (layout, learns) = (Layout::simple(n, n).unwrap(), vec![true; n * n]);
        for steps in [usize::MAX, usize::MAX / 2, 1 << 50] {
            for pace in [Pace::Bursts, Pace::Even] {
                let engine = Deferred::<f64>::new(&layout, &learns, steps, pace, isa, threads);
                assert!(matches!(engine, Err(Error::Memory { .. })), "{n} units, {steps} steps");
            }
        }
    }
}
