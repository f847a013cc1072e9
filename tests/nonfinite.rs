//! Values that are not finite or too large never do any harm: in inputs, targets, states and weights, in custom functions, in p, in the optimiser and in the least squares. A learner that has seen them continues like its twin that has not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rtrl_model::{
    Activation, EngineChoice, Error, Generator, InitialWeights, Learner, LearnerBuilder, Loss,
    Matrix, Network, Optimizer, Pace, Quantity, Readout, ReadoutWeights, Real, Recoveries,
    Recovery, Regime, StepReport, Targets, Timing,
};

const UNITS: usize = 4;
const INPUTS: usize = 2;

/// What has the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Units,
    Readout,
    /// A readout that learns by least squares.
    Fitted,
}

#[derive(Debug, Clone, Copy)]
struct Setup {
    engine: EngineChoice,
    regime: Regime,
    output: Output,
    streams: usize,
    leaky: bool,
    recovery: Recovery,
}

impl Setup {
    fn outputs(self) -> usize {
        if self.output == Output::Units { UNITS } else { 3 }
    }

    fn builder<T: Real>(self, activation: Activation) -> LearnerBuilder<T> {
        let builder = Network::<T>::builder(UNITS, INPUTS)
            .activation(activation)
            .leak(if self.leaky { 0.6 } else { 1.0 })
            .weights(InitialWeights::Normal { gain: 0.5 })
            .seed(4);
        let layer = Readout::new(self.outputs())
            .with_inputs()
            .weights(ReadoutWeights::Normal { gain: 1.0 });
        let network = match self.output {
            Output::Units => builder,
            Output::Readout => builder.readout(layer),
            Output::Fitted => builder.readout(layer.recursive_least_squares(0.98, 0.1)),
        };
        Learner::builder(network.build().unwrap())
            .engine(self.engine)
            .regime(self.regime)
            .recovery(self.recovery)
            .optimizer(Optimizer::adam(0.01))
            .streams(self.streams)
    }

    /// A learner with this loss; `None` where the two do not go together.
    fn learner<T: Real>(self, activation: Activation, loss: &Loss<T>) -> Option<Learner<T>> {
        let logits = loss.takes_logits() && self.output == Output::Units;
        let activation = if logits { Activation::Identity } else { activation };
        let built = self.builder(activation).loss(loss.clone()).build();
        let fits = loss.name() == "squared-error" && self.regime != Regime::Epochwise;
        assert_eq!(built.is_ok(), self.output != Output::Fitted || fits, "{self:?}, {loss:?}");
        built.ok()
    }
}

fn regimes() -> [Regime; 4] {
    let regime = |timing, every| Regime::RealTime { timing, every };
    [
        Regime::real_time(),
        regime(Timing::AfterNextStep, 1),
        regime(Timing::Immediate, 2),
        Regime::Epochwise,
    ]
}

const ENGINES: [EngineChoice; 3] = [
    EngineChoice::Eager,
    EngineChoice::Deferred { window: Some(3), pace: Pace::Bursts },
    EngineChoice::Deferred { window: Some(3), pace: Pace::Even },
];

const RECOVERIES: [Recovery; 4] = [
    Recovery { reset_sensitivities: false, skip_updates: false },
    Recovery { reset_sensitivities: true, skip_updates: false },
    Recovery { reset_sensitivities: false, skip_updates: true },
    Recovery { reset_sensitivities: true, skip_updates: true },
];

fn setups() -> Vec<Setup> {
    let mut setups = Vec::new();
    for engine in ENGINES {
        for regime in regimes() {
            for output in [Output::Units, Output::Readout, Output::Fitted] {
                for (streams, leaky) in [(1, false), (3, false), (1, true), (3, true)] {
                    for recovery in RECOVERIES {
                        setups.push(Setup { engine, regime, output, streams, leaky, recovery });
                    }
                }
            }
        }
    }
    setups
}

fn losses<T: Real>() -> [Loss<T>; 5] {
    [
        Loss::SquaredError,
        Loss::BinaryCrossEntropy,
        Loss::SoftmaxCrossEntropy,
        Loss::Huber { delta: 0.3 },
        own_loss(Switch::default()),
    ]
}

/// Tells custom functions when to misbehave; clones share one switch.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicUsize>);

impl Switch {
    fn set(&self, fault: usize) {
        self.0.store(fault, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Half the squared error; with the switch at 1, 2 or 3 its value, at 4, 5 or 6 its last error is not finite.
fn own_loss<T: Real>(switch: Switch) -> Loss<T> {
    let bad = |fault: usize| bad::<T>()[(fault - 1) % 3];
    Loss::custom("own", move |outputs, targets, errors| {
        let mut sum = T::ZERO;
        for (k, error) in errors.iter_mut().enumerate() {
            *error = targets.get(k).map_or(T::ZERO, |target| target - outputs[k]);
            sum += T::from_f64(0.5) * *error * *error;
        }
        match switch.get() {
            0 => sum,
            fault @ 1..=3 => bad(fault),
            fault => {
                errors[outputs.len() - 1] = bad(fault);
                sum
            }
        }
    })
}

fn bad<T: Real>() -> [T; 3] {
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(T::from_f64)
}

fn largest<T: Real>() -> T {
    T::from_f64(if T::NAME == "f32" { f64::from(f32::MAX) } else { f64::MAX })
}

/// The inputs and targets of all streams at step `t`.
type Drawn<T> = Vec<(Vec<T>, Vec<Option<T>>)>;

fn draw<T: Real>(setup: Setup, loss: &Loss<T>, t: usize) -> Drawn<T> {
    let stream = |b: usize| {
        let mut generator = Generator::new((100 * t + b) as u64);
        let mut number = || T::from_f64(generator.between(0.0, 0.8));
        let x = (0..INPUTS).map(|_| number()).collect();
        let target = |k: usize| match loss {
            Loss::SoftmaxCrossEntropy => {
                Some(if k == t % setup.outputs() { T::ONE } else { T::ZERO })
            }
            _ => (k != (t + b) % setup.outputs()).then(&mut number),
        };
        (x, (0..setup.outputs()).map(target).collect())
    };
    (0..setup.streams).map(stream).collect()
}

fn step<'l, T: Real>(
    learner: &'l mut Learner<T>,
    drawn: &Drawn<T>,
    targets: bool,
) -> Result<StepReport<'l, T>, Error> {
    let of = |d| if targets { Targets::Some(d) } else { Targets::None };
    let samples: Vec<_> =
        drawn.iter().map(|(x, d)| Some((x.as_slice(), of(d.as_slice())))).collect();
    learner.step_streams(&samples)
}

/// The whole visible state of a learner, except p.
#[derive(Debug, Clone, PartialEq)]
struct Shown<T: Real> {
    weights: Matrix<T>,
    readout: Option<Matrix<T>>,
    optimizer: Vec<(String, Matrix<T>)>,
    states: Vec<Vec<T>>,
    updates: u64,
}

fn show<T: Real>(learner: &Learner<T>) -> Shown<T> {
    let matrices = learner.optimizer_state();
    Shown {
        weights: learner.network().weights().clone(),
        readout: learner.network().readout_weights().cloned(),
        optimizer: matrices.map(|(name, matrix)| (name, matrix.clone())).collect(),
        states: (0..learner.streams())
            .map(|b| learner.state(b).unwrap().values().to_vec())
            .collect(),
        updates: learner.updates(),
    }
}

impl<T: Real> Shown<T> {
    fn is_finite(&self) -> bool {
        let moments = self.optimizer.iter().map(|(_, matrix)| matrix);
        let mut rows = std::iter::once(&self.weights)
            .chain(&self.readout)
            .chain(moments)
            .flat_map(Matrix::iter_rows)
            .chain(self.states.iter().map(Vec::as_slice));
        rows.all(|row| row.iter().all(|value| value.is_finite()))
    }
}

/// Whether two learners take the same ten steps and then have the same state, including p and accumulated or pending gradients.
fn same<T: Real>(
    setup: Setup,
    loss: &Loss<T>,
    [mut one, mut other]: [Learner<T>; 2],
    from: usize,
) -> bool {
    let mut equal = true;
    for t in from..from + 10 {
        let drawn = draw(setup, loss, t);
        let (a, b) =
            (step(&mut one, &drawn, true).unwrap(), step(&mut other, &drawn, true).unwrap());
        equal &= (a.outputs, a.errors, a.loss) == (b.outputs, b.errors, b.loss);
        equal &= a.updated == b.updated;
        equal &= a.gradient.map(|g| (g.recurrent(), g.readout()))
            == b.gradient.map(|g| (g.recurrent(), g.readout()));
        equal &= show(&one) == show(&other);
    }
    for (b, unit) in (0..setup.streams).flat_map(|b| (0..UNITS).map(move |unit| (b, unit))) {
        let row = |learner: &Learner<T>| learner.stream_sensitivities(b, unit).unwrap();
        equal &= row(&one) == row(&other);
    }
    for learner in [&mut one, &mut other] {
        match setup.regime {
            Regime::Epochwise => learner.end_epoch(&[T::ZERO; UNITS]).unwrap(),
            Regime::RealTime { .. } => drop(learner.finish().unwrap()),
        }
    }
    assert!(show(&one).is_finite());
    equal & (show(&one) == show(&other))
}

/// A learner that has taken this many good steps.
fn started<T: Real>(setup: Setup, loss: &Loss<T>, learner: Learner<T>, steps: usize) -> Learner<T> {
    let mut learner = learner;
    for t in 0..steps {
        step(&mut learner, &draw(setup, loss, t), true).unwrap();
    }
    learner
}

/// The error itself, which names stream `b` if and only if there are several.
fn in_stream(setup: Setup, b: usize, error: &Error) -> &Error {
    match error {
        Error::InStream { stream, source } => {
            assert!(setup.streams > 1 && *stream == b);
            source
        }
        other => {
            assert_eq!(setup.streams, 1);
            other
        }
    }
}

fn bad_numbers<T: Real>() {
    for setup in setups() {
        for loss in losses::<T>() {
            let Some(learner) = setup.learner(Activation::Tanh, &loss) else { continue };
            let mut learner = started(setup, &loss, learner, 5);
            let twin = learner.clone();
            for bad in bad::<T>() {
                for b in 0..setup.streams {
                    refuse_samples(setup, &loss, &mut learner, (b, bad));
                }
                refuse_settings(setup, &mut learner, bad);
            }
            assert_eq!(learner.recoveries(), Recoveries::default());
            assert!(same(setup, &loss, [learner, twin], 5), "{setup:?}, {loss:?}");
        }
    }
}

/// A bad number in every place of the sample of stream `b`.
fn refuse_samples<T: Real>(
    setup: Setup,
    loss: &Loss<T>,
    learner: &mut Learner<T>,
    (b, bad): (usize, T),
) {
    let (good, steps) = (draw(setup, loss, 5), learner.steps());
    let mut refuse = |drawn: &Drawn<T>, place: (Quantity, usize)| {
        let error = step(learner, drawn, true).unwrap_err();
        match in_stream(setup, b, &error) {
            Error::NonFinite { step, quantity, index, .. } => {
                assert_eq!((*step, (*quantity, *index)), (steps, place));
            }
            other => panic!("{other}"),
        }
        assert_eq!(learner.steps(), steps);
    };
    for i in 0..INPUTS {
        let mut drawn = good.clone();
        drawn[b].0[i] = bad;
        refuse(&drawn, (Quantity::Input, i));
    }
    for k in 0..setup.outputs() {
        let mut drawn = good.clone();
        drawn[b].1[k] = Some(bad);
        refuse(&drawn, (Quantity::Target, k));
    }
}

/// A bad number in states and weights from outside.
fn refuse_settings<T: Real>(setup: Setup, learner: &mut Learner<T>, bad: T) {
    let refused = |done: Result<(), Error>, at: usize| {
        let error = done.unwrap_err();
        assert!(matches!(error, Error::NonFinite { index, .. } if index == at), "{error}");
    };
    let mut state = [T::ZERO; UNITS];
    state[2] = bad;
    refused(learner.reset(&state), 2);
    refused(learner.reset_stream(setup.streams - 1, &state), 2);
    if setup.regime == Regime::Epochwise {
        refused(learner.end_epoch(&state), 2);
    }
    let mut weights = vec![T::ZERO; UNITS * (INPUTS + 1 + UNITS)];
    weights[9] = bad;
    refused(learner.set_weights(&weights), 9);
    if setup.output != Output::Units {
        let mut weights = vec![T::ZERO; setup.outputs() * (UNITS + INPUTS + 1)];
        weights[5] = bad;
        refused(learner.set_readout_weights(&weights), 5);
    }
    assert!(learner.peek(&[T::ZERO, bad]).is_err());
}

#[test]
fn bad_numbers_are_named_and_change_nothing() {
    bad_numbers::<f32>();
    bad_numbers::<f64>();
}

/// Whether a call that failed may have moved the state.
fn has_moved(error: &Error) -> bool {
    matches!(
        error.cause(),
        Error::Overflow { .. } | Error::UpdateRefused { .. } | Error::Fit { .. }
    )
}

/// The largest number is finite, so its effect depends on its position.
fn largest_numbers<T: Real>() {
    let mut seen = [0; 3];
    for setup in setups() {
        for loss in losses::<T>() {
            let Some(learner) = setup.learner(Activation::Tanh, &loss) else { continue };
            let learner = started(setup, &loss, learner, 5);
            for place in 0..INPUTS + setup.outputs() {
                for huge in [largest::<T>(), -largest::<T>()] {
                    let mut drawn = draw(setup, &loss, 5);
                    let (x, d) = &mut drawn[setup.streams - 1];
                    match place.checked_sub(INPUTS) {
                        None => x[place] = huge,
                        Some(k) => d[k] = Some(huge),
                    }
                    let mut disturbed = learner.clone();
                    let done = step(&mut disturbed, &drawn, true).map(drop);
                    let shown = show(&disturbed);
                    assert!(shown.is_finite(), "{setup:?}, {loss:?}, place {place}");
                    match done {
                        Ok(()) => seen[0] += 1,
                        Err(error) if has_moved(&error) => {
                            seen[1] += 1;
                            let before = show(&learner);
                            assert_eq!(shown.weights, before.weights, "{error}");
                            assert_eq!(shown.optimizer, before.optimizer, "{error}");
                            assert_eq!(shown.updates, before.updates, "{error}");
                        }
                        Err(error) => {
                            seen[2] += 1;
                            assert_eq!(shown, show(&learner), "{error}");
                            let both = [disturbed, learner.clone()];
                            assert!(same(setup, &loss, both, 5), "{setup:?}, {loss:?}, {error}");
                        }
                    }
                }
            }
        }
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}

#[test]
fn the_largest_numbers_leave_finite_weights() {
    largest_numbers::<f32>();
    largest_numbers::<f64>();
}

fn bad_functions<T: Real>() {
    for setup in setups() {
        for own in 0..2 {
            let switch = Switch::default();
            let (value, slope) = (switch.clone(), switch.clone());
            let fault = |fault: usize| bad::<f64>()[(fault - 1) % 3];
            let activation = Activation::custom(
                "own",
                move |s| if (1..=3).contains(&value.get()) { fault(value.get()) } else { s.sin() },
                move |s| if slope.get() > 3 { fault(slope.get()) } else { s.cos() },
            );
            let (activation, loss) = match own {
                0 => (activation, Loss::SquaredError),
                _ => (Activation::Tanh, own_loss::<T>(switch.clone())),
            };
            let Some(learner) = setup.learner(activation, &loss) else { continue };
            let mut learner = started(setup, &loss, learner, 4);
            let twin = learner.clone();
            for fault in 1..=6 {
                switch.set(fault);
                let error = step(&mut learner, &draw(setup, &loss, 4), true).unwrap_err();
                let Error::NonFinite { quantity, .. } = in_stream(setup, 0, &error) else {
                    panic!("{error}")
                };
                let expected = match (own, fault > 3) {
                    (0, false) => Quantity::UnitOutput,
                    (0, true) => Quantity::Slope,
                    (_, false) => Quantity::Loss,
                    (_, true) => Quantity::Error,
                };
                assert_eq!(*quantity, expected);
            }
            switch.set(0);
            assert_eq!(learner.recoveries(), Recoveries::default());
            assert!(same(setup, &loss, [learner, twin], 4), "{setup:?}, {loss:?}");
        }
    }
}

#[test]
fn functions_that_give_no_numbers_are_named_and_change_nothing() {
    bad_functions::<f32>();
    bad_functions::<f64>();
}

#[test]
fn no_network_starts_with_what_is_not_finite() {
    fn refused<T: Real>(bad: f64) {
        let mut weights = vec![vec![0.0; UNITS + INPUTS + 1]; UNITS];
        weights[2][3] = bad;
        let builder = || Network::<T>::builder(UNITS, INPUTS);
        assert!(builder().weights(InitialWeights::given(weights)).build().is_err());
        let readout = vec![vec![bad; UNITS + 1]];
        let readout = Readout::new(1).weights(ReadoutWeights::given(readout));
        assert!(builder().readout(readout).build().is_err());
        let readout = Readout::new(1).weights(ReadoutWeights::Normal { gain: bad });
        assert!(builder().readout(readout).build().is_err());
        assert!(builder().initial_state(vec![0.0, bad, 0.0, 0.0]).build().is_err());
        for weights in [
            InitialWeights::Normal { gain: bad },
            InitialWeights::Orthogonal { gain: bad },
            InitialWeights::Uniform { bound: bad },
        ] {
            assert!(builder().weights(weights.clone()).build().is_err(), "{weights:?} {bad}");
        }
    }
    for bad in bad::<f64>() {
        refused::<f32>(bad);
        refused::<f64>(bad);
    }
    // Finite, but not in single precision.
    refused::<f32>(1e300);
}

/// Sensitivities grow about ten thousandfold at every step of a stream whose input is 9.
fn expanding() -> Activation {
    let slope = |s: f64| if s.abs() > 5.0 { 1e4 } else { 0.4 * s.cos() };
    Activation::custom("expanding", |s| 0.4 * s.sin(), slope)
}

/// A learner that has just made an update; nothing has accumulated since.
fn ready<T: Real>(setup: Setup, activation: Activation, optimizer: Optimizer) -> Learner<T> {
    let mut learner = setup.builder(activation).optimizer(optimizer).build().unwrap();
    // Rows whose products with themselves do not vanish.
    let column = |j: usize| if j < INPUTS { 1.0 } else { 0.3 + 0.02 * j as f64 };
    let weights = (0..UNITS).flat_map(|_| (0..INPUTS + 1 + UNITS).map(column));
    learner.set_weights(&weights.map(T::from_f64).collect::<Vec<_>>()).unwrap();
    let mut learner = started(setup, &Loss::SquaredError, learner, 4);
    if setup.regime == Regime::Epochwise {
        learner.end_epoch(&[T::ZERO; UNITS]).unwrap();
    }
    learner
}

/// Steps without a target, in which p of the last stream grows until it overflows. Returns the learner, and
/// how it was before that step.
fn overflown<T: Real>(setup: Setup) -> [Learner<T>; 2] {
    let last = setup.streams - 1;
    let mut learner = ready::<T>(setup, expanding(), Optimizer::adam(0.01));
    let mut drawn = draw(setup, &Loss::SquaredError, 4);
    drawn[last].0.fill(T::from_f64(9.0));
    for _ in 0..200 {
        let before = learner.clone();
        match step(&mut learner, &drawn, false) {
            Ok(report) if report.recoveries == Recoveries::default() => {
                assert!(!report.outputs.is_empty());
            }
            Ok(report) => {
                assert!(setup.recovery.reset_sensitivities);
                assert!(!report.updated);
                return [learner, before];
            }
            Err(error) => {
                assert!(!setup.recovery.reset_sensitivities);
                let error = in_stream(setup, last, &error);
                assert!(
                    matches!(error, Error::Overflow { step, .. } if *step == before.steps()),
                    "{error}"
                );
                return [learner, before];
            }
        }
    }
    panic!("p does not overflow in {setup:?}");
}

/// The learner that never overflowed, brought to the state of the other after a reset of p.
fn twin_of<T: Real>(setup: Setup, before: &Learner<T>, state: &[T]) -> Learner<T> {
    let last = setup.streams - 1;
    let mut drawn = draw(setup, &Loss::SquaredError, 4);
    drawn[last].0.fill(T::from_f64(9.0));
    let mut moved = before.clone();
    moved.reset_stream(last, before.state(last).unwrap().values()).unwrap();
    step(&mut moved, &drawn, false).unwrap();
    assert_eq!(moved.state(last).unwrap().values(), state);
    // Several streams have taken the step; a single one has nothing left of it but its state.
    let mut twin = if setup.streams > 1 { moved } else { before.clone() };
    twin.reset_stream(last, state).unwrap();
    twin
}

fn overflows<T: Real>() {
    let fits = |s: &Setup| s.output != Output::Fitted || s.regime != Regime::Epochwise;
    for setup in setups().into_iter().filter(fits) {
        let [mut learner, before] = overflown::<T>(setup);
        let (shown, last) = (show(&learner), setup.streams - 1);
        assert!(shown.is_finite());
        assert_eq!(learner.steps(), before.steps());
        let rest = |learner: &Learner<T>| Shown { states: vec![], ..show(learner) };
        assert_eq!(rest(&learner), rest(&before), "{setup:?}");
        let state = shown.states[last].clone();
        if setup.recovery.reset_sensitivities {
            assert_eq!(learner.recoveries(), Recoveries { resets: 1, skipped_updates: 0 });
        } else {
            let error = step(&mut learner, &draw(setup, &Loss::SquaredError, 5), true).unwrap_err();
            let error = in_stream(setup, last, &error);
            assert!(matches!(error, Error::SensitivitiesLost { .. }), "{error}");
            assert_eq!(show(&learner), shown);
            assert_eq!(learner.recoveries(), Recoveries::default());
            learner.reset_stream(last, &state).unwrap();
        }
        if setup.streams > 1 {
            // The twin has counted the step that overflowed. A step that all streams skip is only counted.
            learner.step_streams(&vec![None; setup.streams]).unwrap();
        }
        let twin = twin_of(setup, &before, &state);
        assert_eq!(learner.steps(), twin.steps());
        assert!(same(setup, &Loss::SquaredError, [learner, twin], 5), "{setup:?}");
    }
}

#[test]
fn an_overflow_of_p_costs_p_alone() {
    overflows::<f32>();
    overflows::<f64>();
}

fn optimizers() -> [Optimizer; 4] {
    [
        Optimizer::sgd(0.01),
        Optimizer::momentum(0.01, 0.9),
        Optimizer::rmsprop(0.01),
        Optimizer::adam(0.01),
    ]
}

/// Takes the steps from one update to the next, with targets that make gradients large or without any.
fn until_update<T: Real>(
    setup: Setup,
    learner: &mut Learner<T>,
    targets: bool,
) -> Result<bool, Error> {
    let mut drawn = draw::<T>(setup, &Loss::SquaredError, 4);
    for target in drawn.iter_mut().flat_map(|(_, d)| d) {
        *target = Some(T::from_f64(1e6));
    }
    let (steps, late) = match setup.regime {
        Regime::Epochwise => (3, false),
        Regime::RealTime { timing, every } => (every, timing == Timing::AfterNextStep),
    };
    let mut updated = false;
    for _ in 0..steps {
        updated = step(learner, &drawn, targets)?.updated;
    }
    match setup.regime {
        Regime::Epochwise => learner.end_epoch(&[T::ZERO; UNITS]).map(|()| false),
        Regime::RealTime { .. } if late => learner.finish(),
        Regime::RealTime { .. } => Ok(updated),
    }
}

fn refused_updates<T: Real>() {
    for setup in setups().into_iter().filter(|setup| setup.output != Output::Fitted) {
        for optimizer in optimizers() {
            let mut learner = ready::<T>(setup, Activation::Tanh, optimizer.clone());
            learner.finish().unwrap();
            let mut twin = learner.clone();
            until_update(setup, &mut twin, false).unwrap();
            learner.set_learning_rate(largest::<T>().to_f64() / 2.0).unwrap();
            let done = until_update(setup, &mut learner, true);
            if setup.recovery.skip_updates {
                assert!(!done.unwrap(), "{setup:?}, {optimizer:?}");
                assert_eq!(learner.recoveries(), Recoveries { resets: 0, skipped_updates: 1 });
            } else {
                let error = done.unwrap_err();
                let weights = Quantity::Weights;
                assert!(
                    matches!(error, Error::UpdateRefused { quantity, .. } if quantity == weights),
                    "{error}"
                );
                assert_eq!(learner.recoveries(), Recoveries::default());
            }
            assert_eq!(show(&learner), show(&twin), "{setup:?}, {optimizer:?}");
            learner.set_learning_rate(0.01).unwrap();
            let both = [learner, twin];
            assert!(same(setup, &Loss::SquaredError, both, 6), "{setup:?}, {optimizer:?}");
        }
    }
}

#[test]
fn an_update_that_overflows_is_left_out() {
    refused_updates::<f32>();
    refused_updates::<f64>();
}

/// An input whose square overflows: the least squares refuse that sample, and take in those of the other
/// streams; W learns on.
#[test]
fn a_sample_that_least_squares_refuse_is_left_out() {
    let fitted = setups().into_iter().filter(|setup| {
        setup.output == Output::Fitted && setup.regime != Regime::Epochwise && !setup.leaky
    });
    for setup in fitted {
        let last = setup.streams - 1;
        let mut learner = ready::<f64>(setup, Activation::Tanh, Optimizer::sgd(0.01));
        learner.finish().unwrap();
        learner.set_readout_weights(&[0.0; 3 * (UNITS + INPUTS + 1)]).unwrap();
        let mut twin = learner.clone();
        let mut drawn = draw(setup, &Loss::SquaredError, 4);
        drawn[last].0[0] = 1e160;
        let done = step(&mut learner, &drawn, true).map(|report| report.updated);
        if setup.recovery.skip_updates {
            assert!(done.unwrap() || setup.regime != Regime::real_time());
            assert_eq!(learner.recoveries(), Recoveries { resets: 0, skipped_updates: 1 });
        } else {
            let error = done.unwrap_err();
            let error = in_stream(setup, last, &error);
            assert!(matches!(error, Error::Fit { quantity: Quantity::Gain }), "{error}");
        }
        // R is 0, so the units got no error, and their weights no gradient.
        drawn[last].1.fill(None);
        step(&mut twin, &drawn, true).unwrap();
        for t in 5..15 {
            assert_eq!(show(&learner).readout, show(&twin).readout, "{setup:?}");
            assert_eq!(show(&learner).weights, show(&twin).weights, "{setup:?}");
            assert!(show(&learner).is_finite());
            for learner in [&mut learner, &mut twin] {
                step(learner, &draw(setup, &Loss::SquaredError, t), true).unwrap();
            }
        }
    }
}

/// Negative control: a small change of a weight and the loss of p are detected.
#[test]
fn the_comparison_notices_a_small_change() {
    for engine in ENGINES {
        for regime in regimes() {
            let recovery = Recovery::default();
            let setup =
                Setup { engine, regime, output: Output::Units, streams: 3, leaky: false, recovery };
            let loss = Loss::SquaredError;
            let learner = setup.learner::<f64>(Activation::Tanh, &loss).unwrap();
            let learner = started(setup, &loss, learner, 5);
            assert!(same(setup, &loss, [learner.clone(), learner.clone()], 5));
            let mut forgetful = learner.clone();
            forgetful.reset_stream(1, learner.state(1).unwrap().values()).unwrap();
            assert!(!same(setup, &loss, [learner.clone(), forgetful], 5));
            let mut nudged = learner.clone();
            let mut weights = learner.network().weights().to_rows().concat();
            weights[3] += 1e-12;
            nudged.set_weights(&weights).unwrap();
            assert!(!same(setup, &loss, [learner, nudged], 5));
        }
    }
}
