//! A run that is stored and resumed equals the uninterrupted run, bit for bit: stored at every
//! step, in every combination of engine, precision, optimiser, timing, streams and readout.
//!
//! | file | subject |
//! |---|---|
//! | `resume.rs` | runs that are stored and resumed, cut at every step |
//! | `versions.rs` | files of this version and of another, and of another kind |
//! | `custom.rs` | custom engines and optimisers, and what cannot be resumed |
//! | `forged.rs` | files made by hand, with a checksum that is right |
//! | `claims.rs` | files whose header claims more than their tensors show |
//! | `memory.rs` | memory that a file makes room for, and a full disk |
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[cfg(target_os = "linux")]
mod claims;
mod custom;
mod forged;
mod memory;
mod resume;
mod versions;

use rtrl_model::store::container;
use rtrl_model::store::container::{Dtype, Plan, Reader, Tensor};
use rtrl_model::{
    Activation, Cell, CustomOptimizer, EngineChoice, Generator, InitialWeights, Learner,
    LearnerBuilder, Network, NetworkBuilder, Optimizer, Pace, RateSchedule, Readout,
    ReadoutWeights, Real, Recovery, Regime, StoredLearner, Supplies, Targets, Threads, Timing,
    UpdateSettings,
};
use serde_json::json;

use crate::tested;

const STEPS: usize = 300;
const UNITS: usize = 4;
const INPUTS: usize = 2;
const OUTPUTS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Layer {
    None,
    Gradient,
    LeastSquares,
}

/// The layers of the network.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cells {
    /// One layer of simple units.
    Simple,
    /// One layer of gated units.
    Gated(Cell),
    /// An LSTM below leaky simple units and a GRU.
    Chain,
}

/// The parameters of a run.
#[derive(Debug, Clone)]
struct Run {
    cells: Cells,
    engine: EngineChoice,
    regime: Regime,
    updates: UpdateSettings,
    layer: Layer,
    streams: usize,
    leaky: bool,
    step_gradients: bool,
    decay: f64,
}

fn wave() -> Activation {
    Activation::custom("wave", libm::sin, libm::cos)
}

/// A layer of which a weight is absent and another one frozen.
fn masked<T: Real>(builder: NetworkBuilder<T>, cell: Cell, inputs: usize) -> NetworkBuilder<T> {
    let table = |value| vec![vec![value; inputs + 1 + UNITS]; cell.blocks() * UNITS];
    let (mut mask, mut frozen) = (table(true), table(false));
    mask[1][0] = false;
    frozen[2][4] = true;
    let weights = InitialWeights::Orthogonal { gain: 0.8 };
    builder.cell(cell).connections(mask).frozen(frozen).weights(weights)
}

fn simple<T: Real>(run: &Run, builder: NetworkBuilder<T>, inputs: usize) -> NetworkBuilder<T> {
    let activations = [Activation::Tanh, wave(), Activation::Logistic, Activation::Tanh];
    let builder = masked(builder, Cell::Simple, inputs).activations(activations);
    if run.leaky { builder.leaks([0.5, 1.0, 0.3, 0.9]) } else { builder }
}

fn network<T: Real>(run: &Run) -> Network<T> {
    let first = Network::<T>::builder(UNITS, INPUTS).seed(5);
    let network = match run.cells {
        Cells::Simple => simple(run, first, INPUTS),
        Cells::Gated(cell) => masked(first, cell, INPUTS),
        Cells::Chain => {
            let lstm = masked(first, Cell::Lstm, INPUTS).initial_cells(vec![0.5; UNITS]);
            let leaky = simple(run, lstm.layer(UNITS), UNITS);
            masked(leaky.layer(UNITS), Cell::Gru, UNITS)
        }
    };
    let readout = Readout::new(OUTPUTS).with_inputs().weights(ReadoutWeights::Normal { gain: 0.5 });
    match run.layer {
        Layer::None => network,
        Layer::Gradient => network.readout(readout),
        Layer::LeastSquares => network.readout(readout.recursive_least_squares(0.98, 0.5)),
    }
    .build()
    .unwrap()
}

fn builder<T: Real>(run: &Run) -> LearnerBuilder<T> {
    without_engine(run).engine(run.engine)
}

fn without_engine<T: Real>(run: &Run) -> LearnerBuilder<T> {
    Learner::builder(network::<T>(run))
        .regime(run.regime)
        .updates(run.updates.clone())
        .step_gradients(run.step_gradients)
        .teacher_forcing(run.layer == Layer::None && run.cells != Cells::Chain)
        .sensitivity_decay(run.decay)
        .streams(run.streams)
        .recovery(Recovery { reset_sensitivities: true, skip_updates: true })
}

/// Everything custom, `threads` threads, and for each number of steps another instruction set.
fn supplies<T: Real>(threads: usize, steps: usize) -> Supplies<T> {
    let sets = tested::sets();
    Supplies {
        isa: Some(sets[steps % sets.len()]),
        activations: vec![wave()],
        schedule: Some(schedule()),
        optimizer: Some(Optimizer::custom(1.0, TwoAverages)),
        threads: Threads::Exactly(threads),
        ..Supplies::default()
    }
}

fn schedule() -> RateSchedule {
    RateSchedule::custom("slower", |update| 1.0 / (1.0 + update as f64 / 64.0))
}

/// Everything that happens at one step: a sample for each stream, now and then a reset or the end
/// of an epoch. It is drawn from the number of the step alone.
fn advance<T: Real>(learner: &mut Learner<T>, run: &Run, step: usize) {
    let mut generator = Generator::new(1000 + step as u64);
    let outputs = learner.network().outputs();
    let drawn: Vec<_> = (0..run.streams)
        .map(|_| {
            let x: Vec<T> = (0..INPUTS).map(|_| T::from_f64(generator.normal())).collect();
            let mut target = || {
                let value = T::from_f64(generator.between(-0.7, 0.7));
                (generator.below(3) > 0).then_some(value)
            };
            (x, (0..outputs).map(|_| target()).collect::<Vec<_>>())
        })
        .collect();
    let samples: Vec<_> =
        drawn.iter().map(|(x, d)| Some((x.as_slice(), Targets::Some(d)))).collect();
    learner.step_streams(&samples).unwrap();
    let state = vec![T::from_f64(0.1); learner.network().layout().states()];
    if step % 37 == 36 {
        learner.reset_stream(step % run.streams, &state).unwrap();
    }
    if run.regime == Regime::Epochwise && step % 25 == 24 {
        learner.end_epoch(&state).unwrap();
    }
}

/// The learner that is stored and read again: in memory, and every tenth step by a file, whose way
/// to the disk takes a hundred times as long.
fn resumed<T: Real>(learner: &Learner<T>, folder: &std::path::Path, threads: usize) -> Learner<T> {
    let application = json!({"row": 7});
    let stored = if learner.steps().is_multiple_of(10) {
        let path = folder.join("cut.safetensors");
        learner.save(&path, &application).unwrap();
        StoredLearner::open(&path).unwrap()
    } else {
        StoredLearner::from_bytes(learner.to_bytes(&application).unwrap()).unwrap()
    };
    assert_eq!((stored.precision(), stored.steps()), (T::NAME, learner.steps()));
    assert_eq!(stored.application(), &application);
    let steps = usize::try_from(stored.steps()).unwrap();
    stored.learner(&supplies(threads, steps)).unwrap()
}

fn real_time(timing: Timing, every: usize) -> Regime {
    Regime::RealTime { timing, every }
}

/// Averages of the gradient of two lengths; the direction is the shorter one and a part of the
/// longer.
#[derive(Debug)]
struct TwoAverages;

impl CustomOptimizer for TwoAverages {
    fn name(&self) -> &'static str {
        "two-averages"
    }
    fn moments(&self) -> &[&'static str] {
        &["short", "long"]
    }
    fn direction(&self, update: u64, weight: f64, gradient: f64, moments: &mut [f64]) -> f64 {
        moments[0] = 0.5 * moments[0] + gradient;
        moments[1] = 0.95 * moments[1] + gradient;
        moments[0] + moments[1] / (1.0 + update as f64) + 0.01 * weight
    }
}

const EVEN: EngineChoice = EngineChoice::Deferred { window: Some(7), pace: Pace::Even };
const BURSTS: EngineChoice = EngineChoice::Deferred { window: Some(9), pace: Pace::Bursts };

fn plain() -> Run {
    Run {
        cells: Cells::Simple,
        engine: BURSTS,
        regime: real_time(Timing::Immediate, 1),
        updates: UpdateSettings::default(),
        layer: Layer::Gradient,
        streams: 1,
        leaky: false,
        step_gradients: false,
        decay: 1.0,
    }
}

/// The tensors of a file, with their bytes.
type Tensors = Vec<(Tensor, Vec<u8>)>;

/// Changes the contents and the tensors of a file.
type Forge = fn(&mut serde_json::Value, &mut Tensors);

/// Copies a checkpoint with other contents.
fn rewrite(from: &std::path::Path, to: &std::path::Path, forge: Forge) {
    let mut reader = Reader::open(from).unwrap();
    let mut contents = reader.contents().clone();
    let announced: Vec<Tensor> = reader.tensors().cloned().collect();
    let mut tensors: Vec<(Tensor, Vec<u8>)> = Vec::new();
    for tensor in announced {
        let count = tensor.shape.iter().product();
        let bytes = if tensor.dtype == Dtype::U8 {
            let mut bytes = vec![0; count];
            reader.bytes(&tensor.name, 0, &mut bytes).unwrap();
            bytes
        } else {
            let mut numbers = vec![0.0f64; count];
            reader.numbers(&tensor.name, 0, &mut numbers).unwrap();
            numbers.into_iter().flat_map(f64::to_le_bytes).collect()
        };
        tensors.push((tensor, bytes));
    }
    forge(&mut contents, &mut tensors);
    let plan = Plan::new(&contents, tensors.iter().map(|t| t.0.clone()).collect()).unwrap();
    container::save(to, &plan, |writer| {
        tensors.iter().try_for_each(|(tensor, bytes)| {
            if tensor.dtype == Dtype::U8 {
                return writer.bytes(&tensor.name, bytes);
            }
            let numbers = bytes.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b));
            writer.numbers(&tensor.name, &numbers.collect::<Vec<_>>())
        })
    })
    .unwrap();
}
