//! Sensitivities that fade: rounding would keep them subnormal for ever, so the engines turn them
//! into 0, at the same steps on every machine and in a run that is stored and resumed.

use rtrl_kernel::{
    Deferred, Diagonal, Drive, Eager, Engine, Error, Isa, Jacobian, Layout, Pace, Real, Snapshot,
    Step, Threads,
};

use crate::held::{p, saved};
use crate::random::Numbers;
use crate::tested;

/// Steps between two clearings of the eager and the diagonal engine.
const PERIOD: usize = 64;

/// The step after which nothing is left: the last but one clearing finds small numbers, the last
/// none that are not subnormal.
const GONE: usize = 4 * PERIOD;

/// The numbers of a step: after some in which p is tiny, but not subnormal, it fades.
struct Fading<T> {
    recurrent: Vec<T>,
    scale: Vec<T>,
    diagonal: Vec<T>,
    injection: Vec<T>,
    z: Vec<T>,
    error: Vec<T>,
}

impl<T: Real> Fading<T> {
    fn at(t: usize, units: usize) -> Self {
        let mut numbers = Numbers(t as u64 * 7 + 1);
        let starts = t < 3;
        let tiny = T::SMALLEST * T::from_f64(if starts { 1e8 } else { 0.0 });
        let mut fading = Self {
            recurrent: numbers.list(units * units),
            scale: vec![T::from_f64(0.01); units],
            diagonal: vec![T::from_f64(0.8); units],
            injection: numbers.list::<T>(units).into_iter().map(|value| value * tiny).collect(),
            z: numbers.list(units + 2),
            error: numbers.list(units),
        };
        // A row that vanishes at once, and one that is 0 now and then, and read again afterwards.
        let last = units - 1;
        fading.diagonal[last] = T::ZERO;
        fading.scale[last] = T::from_f64(1e-6);
        if t % 9 == 4 {
            (fading.diagonal[1], fading.scale[1]) = (T::ZERO, T::ZERO);
        }
        fading
    }

    fn advance(&self, engine: &mut dyn Engine<T>) {
        engine.advance(&self.step(&vec![false; self.scale.len()]), Some(&self.error)).unwrap();
    }

    fn step<'a>(&'a self, forced: &'a [bool]) -> Step<'a, T> {
        let jacobian = Jacobian::scaled(&self.recurrent, self.scale.len(), &self.scale);
        let jacobian = jacobian.with_diagonal(Some(&self.diagonal));
        Step { jacobian, injection: &self.injection, z: &self.z, forced }
    }
}

/// The engines that are compared.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Eager,
    Diagonal,
    Deferred(usize, Pace),
}

impl Kind {
    fn engine<T: Real>(self, units: usize, isa: Isa, threads: usize) -> Box<dyn Engine<T>> {
        let layout = Layout::simple(units, units + 2).unwrap();
        let learns: Vec<bool> = (0..layout.weights()).map(|w| w % 7 != 3).collect();
        let threads = Threads::Exactly(threads);
        match self {
            Self::Eager => Box::new(Eager::<T>::new(&layout, &learns, isa, threads).unwrap()),
            Self::Diagonal => Box::new(Diagonal::<T>::new(&layout, &learns, isa).unwrap()),
            Self::Deferred(window, pace) => {
                let engine = Deferred::<T>::new(&layout, &learns, window, pace, isa, threads);
                Box::new(engine.unwrap())
            }
        }
    }

    /// Whether p is cleared after step `t`, counted from 1.
    fn clears(self, t: usize) -> bool {
        !matches!(self, Self::Deferred(..)) && t.is_multiple_of(PERIOD)
    }
}

/// The bits of p and of the gradient after every step until nothing is left; `between` may replace
/// the engine after each.
fn run<T: Real>(
    kind: Kind,
    units: usize,
    mut engine: Box<dyn Engine<T>>,
    between: impl Fn(Box<dyn Engine<T>>) -> Box<dyn Engine<T>>,
) -> Vec<Vec<u8>> {
    let is_subnormal = |&v: &T| v != T::ZERO && v.abs() < T::SMALLEST;
    let (mut bits, mut faded) = (Vec::new(), false);
    for t in 1..=GONE {
        Fading::<T>::at(t - 1, units).advance(&mut *engine);
        let p = p(&*engine, units);
        let any = p.iter().any(is_subnormal);
        assert!(!(any && kind.clears(t)), "{kind:?}, {units} units, step {t}");
        faded |= any;
        assert!(t < GONE || p.iter().all(|&v| v == T::ZERO), "{kind:?}, {units} units");
        bits.push(bytemuck::cast_slice(&p).to_vec());
        if t % 5 == 0 {
            let stride = units + 2;
            let mut gradient = vec![T::ZERO; units * stride];
            engine.gradient(&mut gradient, stride).unwrap();
            bits.push(bytemuck::cast_slice(&gradient).to_vec());
        }
        engine = between(engine);
    }
    assert!(faded, "nothing was subnormal: {kind:?}, {units} units");
    bits
}

fn check<T: Real>(kind: Kind, units: usize) {
    let expected = run(kind, units, kind.engine::<T>(units, Isa::scalar(), 1), |engine| engine);
    let same = |got: Vec<Vec<u8>>, what: &dyn std::fmt::Display| {
        let place = got.iter().zip(&expected).position(|(got, expected)| got != expected);
        assert_eq!(place, None, "{kind:?}, {units} units, {}: {what}", T::NAME);
    };
    for isa in tested::sets() {
        for threads in [1, 3] {
            let engine = kind.engine::<T>(units, isa, threads);
            same(run(kind, units, engine, |engine| engine), &format!("{isa}, {threads} threads"));
        }
        let spare = kind.engine::<T>(units, isa, 2);
        let resume = |engine: Box<dyn Engine<T>>| {
            let mut resumed = spare.clone();
            resumed.load(&mut saved(&*engine)).unwrap();
            assert!(saved(&*resumed) == saved(&*engine), "{kind:?}, {units} units, {isa}");
            resumed
        };
        let engine = kind.engine::<T>(units, isa, 1);
        same(run(kind, units, engine, resume), &format!("{isa}, resumed"));
    }
}

#[test]
fn what_fades_in_the_eager_engine_becomes_zero_at_the_same_steps_everywhere() {
    for units in [4, 13, 17] {
        check::<f32>(Kind::Eager, units);
        check::<f64>(Kind::Eager, units);
    }
}

#[test]
fn what_fades_in_the_diagonal_engine_becomes_zero_at_the_same_steps_everywhere() {
    for units in [4, 17] {
        check::<f32>(Kind::Diagonal, units);
        check::<f64>(Kind::Diagonal, units);
    }
}

#[test]
fn what_fades_in_the_deferred_engine_becomes_zero_at_the_same_steps_everywhere() {
    for pace in [Pace::Bursts, Pace::Even] {
        for units in [4, 17] {
            check::<f32>(Kind::Deferred(2, pace), units);
            check::<f64>(Kind::Deferred(2, pace), units);
        }
    }
}

/// Both engines clear p after the same steps, also where an error has not been read: they stay
/// equal.
#[test]
fn the_diagonal_engine_equals_the_eager_one_across_clearings() {
    fn check<T: Real>(units: usize) {
        let place = (units, Isa::best(), 1);
        let [mut eager, mut diagonal] =
            [Kind::Eager, Kind::Diagonal].map(|kind| kind.engine::<T>(place.0, place.1, place.2));
        let stride = units + 2;
        for t in 1..=GONE {
            let mut fading = Fading::<T>::at(t - 1, units);
            // Errors of this size make numbers that count of subnormal ones.
            fading.error.iter_mut().for_each(|error| *error = *error * T::from_f64(1e6));
            fading.recurrent.fill(T::ZERO);
            let mut gradients = [(); 2].map(|()| vec![T::ZERO; units * stride]);
            for (engine, gradient) in [&mut eager, &mut diagonal].into_iter().zip(&mut gradients) {
                fading.advance(&mut **engine);
                if t % 5 == 0 {
                    engine.gradient(gradient, stride).unwrap();
                }
            }
            assert_eq!(gradients[0], gradients[1], "step {t}");
            assert_eq!(p(&*eager, units), p(&*diagonal, units), "step {t}");
        }
    }
    check::<f32>(5);
    check::<f64>(17);
}

/// Rows that are alike are also cleared where their gradient is written in the step.
#[test]
fn a_step_with_its_gradient_clears_what_a_step_without_it_clears() {
    fn check<T: Real>(units: usize) {
        let rows = (0..units).map(|k| [0..2, 2 + k..3 + k]).collect();
        let drives = (0..).take(units).map(|k| Drive { row: k, state: k }).collect();
        let layout = Layout::divided(units, rows, drives).unwrap();
        let new = || Diagonal::<T>::new(&layout, &vec![true; 3 * units], Isa::best()).unwrap();
        let (mut apart, mut together, mut faded) = (new(), new(), false);
        for t in 1..=GONE {
            let fading = Fading::<T>::at(t - 1, units);
            let forced = vec![false; units];
            let (step, error) = (fading.step(&forced), fading.error.as_slice());
            let mut gradients = [(); 2].map(|()| vec![T::ONE; 3 * units]);
            apart.advance(&step, Some(error)).unwrap();
            apart.gradient(&mut gradients[0], 3).unwrap();
            assert_eq!(together.advance_into(&step, error, (&mut gradients[1], 3)), Ok(true));
            assert_eq!(gradients[0], gradients[1], "step {t}");
            let p = [&apart, &together].map(|engine| p(engine, units));
            assert_eq!(p[0], p[1], "step {t}");
            assert_eq!(saved(&apart), saved(&together), "step {t}");
            let any = p[1].iter().any(|&v| v != T::ZERO && v.abs() < T::SMALLEST);
            assert!(!any || t % PERIOD != 0, "step {t}");
            faded |= any;
        }
        assert!(faded, "nothing was subnormal: {units} units");
    }
    check::<f32>(4);
    check::<f64>(17);
}

/// A product of Jacobians, or an error times one, counts as 0 where it would soon be subnormal, and
/// not before.
#[test]
fn the_deferred_engine_omits_what_is_negligible_and_no_more() {
    /// p of an immediate influence of 1 in the second of six steps, each of which multiplies by
    /// `factor`, and the gradient of an error of 1 in the last.
    fn fade<T: Real>(engine: &mut dyn Engine<T>, factor: T) -> [T; 2] {
        for t in 0..6 {
            let one_if = |is: bool| if is { T::ONE } else { T::ZERO };
            let (diagonal, injection) = ([factor], [one_if(t == 1)]);
            let step = Step {
                jacobian: Jacobian::sum([]).with_diagonal(Some(&diagonal)),
                injection: &injection,
                z: &[T::ONE],
                forced: &[false],
            };
            engine.advance(&step, Some(&[one_if(t == 5)])).unwrap();
        }
        let [mut p, mut gradient] = [[T::ONE]; 2];
        engine.gradient(&mut gradient, 1).unwrap();
        engine.sensitivities(0, &mut p).unwrap();
        [p[0], -gradient[0]]
    }
    fn check<T: Real>(kept: f64, omitted: f64) {
        let layout = Layout::simple(1, 1).unwrap();
        let [kept, omitted] = [kept, omitted].map(T::from_f64);
        for isa in tested::sets() {
            for pace in [Pace::Bursts, Pace::Even] {
                // A window that is full, and one that is not.
                for window in [6, 9] {
                    let deferred = |factor| {
                        let threads = Threads::Exactly(1);
                        let made = Deferred::<T>::new(&layout, &[true], window, pace, isa, threads);
                        fade(&mut made.unwrap(), factor)
                    };
                    let what = format!("{isa}, {pace:?}, {window}, {}", T::NAME);
                    let four_times = kept * kept * kept * kept;
                    for value in deferred(kept) {
                        let ratio = (value.to_f64() / four_times.to_f64() - 1.0).abs();
                        assert!(ratio < 1e-6, "{value}: {what}");
                    }
                    assert_eq!(deferred(omitted)[1], T::ZERO, "{what}");
                }
            }
            let mut eager = Eager::<T>::new(&layout, &[true], isa, Threads::SERIAL).unwrap();
            assert!(fade(&mut eager, omitted).iter().all(|&value| value > T::SMALLEST));
        }
    }
    // To the fourth power 2^-96 and 2^-104, 2^-952 and 2^-968.
    check::<f32>(2f64.powi(-24), 2f64.powi(-26));
    check::<f64>(2f64.powi(-238), 2f64.powi(-242));
}

/// A reset starts the count again.
#[test]
fn a_reset_engine_is_like_a_new_one() {
    for kind in [Kind::Eager, Kind::Diagonal] {
        let [mut used, new] = [0, 1].map(|_| kind.engine::<f32>(4, Isa::best(), 1));
        for t in 0..70 {
            Fading::at(t, 4).advance(&mut *used);
        }
        used.gradient(&mut [0.0; 24], 6).unwrap();
        assert_ne!(saved(&*used), saved(&*new));
        used.reset().unwrap();
        assert_eq!(saved(&*used), saved(&*new));
    }
}

#[test]
fn stored_numbers_that_no_engine_stores_are_refused() {
    let mut engine = Kind::Eager.engine::<f64>(17, Isa::best(), 1);
    Fading::at(0, 17).advance(&mut *engine);
    let whole = saved(&*engine);
    let mut refused = |name: &str, place: usize, value: f64, expected: &str| {
        let mut odd = whole.clone();
        odd.tensors.get_mut(name).unwrap().1[place] = value;
        let error = engine.load(&mut odd).unwrap_err();
        assert!(matches!(error, Error::Number { .. }), "{error:?}");
        let expected = format!("tensor `{name}`, row 0: got {value}, expected {expected}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(engine.save(&mut Snapshot::default()), Err(Error::Lost));
    };
    for steps in [64.0, -1.0, 0.5, 1e300] {
        refused("since_clearing", 0, steps, "a whole number below 64");
    }
    refused("skipped", 3, 1.0, "0, since a sensitivity in its row is not");
    refused("skipped", 3, -1.0, "0, since a sensitivity in its row is not");
    let (name, mut zeros) = ("sensitivities", whole.clone());
    zeros.tensors.get_mut(name).unwrap().1.fill(0.0);
    zeros.tensors.get_mut("skipped").unwrap().1[5] = 0.5;
    let error = engine.load(&mut zeros).unwrap_err().to_string();
    assert_eq!(error, "tensor `skipped`, row 0: got 0.5, expected 0 or 1");
    engine.load(&mut whole.clone()).unwrap();
    assert_eq!(saved(&*engine), whole);
}
