//! Values that are not finite or too large never do any harm: in inputs, targets, states and
//! weights, in custom functions, in p, in the optimiser and in the least squares. A learner that
//! has seen them continues like its twin that has not.
//!
//! | file | subject |
//! |---|---|
//! | `samples.rs` | inputs, targets, states and weights that are not finite or too large |
//! | `functions.rs` | custom functions that give no numbers |
//! | `overflow.rs` | an overflow of p |
//! | `updates.rs` | updates and fits that overflow |
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod functions;
mod overflow;
mod samples;
mod updates;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rtrl_model::{
    Activation, Cell, EngineChoice, Error, Generator, InitialWeights, Learner, LearnerBuilder,
    Loss, Matrix, Network, NetworkBuilder, Optimizer, Pace, Readout, ReadoutWeights, Real,
    Recovery, Regime, StepReport, Targets, Timing,
};

/// Units of the last layer.
const UNITS: usize = 4;
const INPUTS: usize = 2;

/// The layers of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cells {
    Simple,
    Leaky,
    Gru,
    Lstm,
    /// Three simple units below LSTM units.
    Chain,
}

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
    cells: Cells,
    recovery: Recovery,
}

impl Setup {
    fn outputs(self) -> usize {
        if self.output == Output::Units { self.units() } else { 3 }
    }

    /// Units of all layers.
    fn units(self) -> usize {
        if self.cells == Cells::Chain { 3 + UNITS } else { UNITS }
    }

    /// Values of a state.
    fn states(self) -> usize {
        let has_cells = matches!(self.cells, Cells::Lstm | Cells::Chain);
        self.units() + if has_cells { UNITS } else { 0 }
    }

    /// The layers; simple units have this activation.
    fn layers<T: Real>(self, activation: Activation) -> NetworkBuilder<T> {
        let weights = InitialWeights::Normal { gain: 0.5 };
        let first = |units| Network::<T>::builder(units, INPUTS).weights(weights.clone()).seed(4);
        match self.cells {
            Cells::Simple => first(UNITS).activation(activation),
            Cells::Leaky => first(UNITS).activation(activation).leak(0.6),
            Cells::Gru => first(UNITS).cell(Cell::Gru),
            Cells::Lstm => first(UNITS).cell(Cell::Lstm),
            Cells::Chain => {
                let below = first(3).activation(activation);
                below.layer(UNITS).cell(Cell::Lstm).weights(weights)
            }
        }
    }

    fn builder<T: Real>(self, activation: Activation) -> LearnerBuilder<T> {
        let builder = self.layers::<T>(activation);
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
        let fits = match (self.output, self.cells) {
            (Output::Fitted, _) => {
                loss.name() == "squared-error" && self.regime != Regime::Epochwise
            }
            (Output::Units, Cells::Gru | Cells::Lstm) => !logits,
            (Output::Units, Cells::Chain) => loss.name() != "softmax-cross-entropy",
            _ => true,
        };
        assert_eq!(built.is_ok(), fits, "{self:?}, {loss:?}");
        // The targets of the gated units would be refused.
        built.ok().filter(|_| !logits || self.cells != Cells::Chain)
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

/// Numbers of streams, with the layers of their network.
const LAYERS: [(usize, Cells); 7] = [
    (1, Cells::Simple),
    (3, Cells::Simple),
    (1, Cells::Leaky),
    (3, Cells::Leaky),
    (1, Cells::Gru),
    (3, Cells::Lstm),
    (3, Cells::Chain),
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
                for (streams, cells) in LAYERS {
                    for recovery in RECOVERIES {
                        setups.push(Setup { engine, regime, output, streams, cells, recovery });
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

/// Half the squared error; with the switch at 1, 2 or 3 its value, at 4, 5 or 6 its last error is
/// not finite.
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

/// Whether two learners take the same ten steps and then have the same state, including p and
/// accumulated or pending gradients.
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
    for (b, unit) in (0..setup.streams).flat_map(|b| (0..setup.states()).map(move |unit| (b, unit)))
    {
        let row = |learner: &Learner<T>| learner.stream_sensitivities(b, unit).unwrap();
        equal &= row(&one) == row(&other);
    }
    for learner in [&mut one, &mut other] {
        match setup.regime {
            Regime::Epochwise => learner.end_epoch(&vec![T::ZERO; setup.states()]).unwrap(),
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

/// A learner that has just made an update; nothing has accumulated since.
fn ready<T: Real>(setup: Setup, activation: Activation, optimizer: Optimizer) -> Learner<T> {
    let mut learner = setup.builder(activation).optimizer(optimizer).build().unwrap();
    // Rows whose products with themselves do not vanish.
    let column = |j: usize| if j < INPUTS { 1.0 } else { 0.3 + 0.02 * j as f64 };
    let matrix = learner.network().weights();
    let (rows, columns) = (matrix.rows(), matrix.columns());
    let weights = (0..rows).flat_map(|_| (0..columns).map(column));
    learner.set_weights(&weights.map(T::from_f64).collect::<Vec<_>>()).unwrap();
    let mut learner = started(setup, &Loss::SquaredError, learner, 4);
    if setup.regime == Regime::Epochwise {
        learner.end_epoch(&vec![T::ZERO; setup.states()]).unwrap();
    }
    learner
}

/// Negative control: a small change of a weight and the loss of p are detected.
#[test]
fn the_comparison_notices_a_small_change() {
    for engine in ENGINES {
        for regime in regimes() {
            let (output, recovery) = (Output::Units, Recovery::default());
            let cells = if engine == EngineChoice::Eager { Cells::Simple } else { Cells::Chain };
            let setup = Setup { engine, regime, output, streams: 3, cells, recovery };
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
