//! A step on one thread allocates nothing; with several, nothing but jobs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use rtrl_model::{
    Cell, Clipping, EngineChoice, Forecaster, GradientNorm, InitialWeights, Learner,
    LearnerBuilder, Loss, Network, Observer, Optimizer, Pace, RateSchedule, Readout, Real,
    RecursiveLeastSquares, Regime, RunningLoss, StepTime, Targets, Threads, Timing, UpdateSettings,
};

/// The layers of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Layers {
    One(Cell),
    /// An LSTM and simple units below a GRU.
    Chain,
    /// Simple units in heads, below LSTM units in heads.
    Divided,
    /// LSTM units in heads.
    DividedLstm,
    /// Simple units in two heads whose members are not neighbours, and some that see only
    /// themselves.
    Heads,
}

const LAYERS: [Layers; 7] = [
    Layers::One(Cell::Simple),
    Layers::One(Cell::Gru),
    Layers::One(Cell::Lstm),
    Layers::Chain,
    Layers::Divided,
    Layers::DividedLstm,
    Layers::Heads,
];

fn network<T: Real>(layers: Layers) -> Network<T> {
    let first = |units| {
        let weights = InitialWeights::Normal { gain: 0.8 };
        Network::<T>::builder(units, 3).weights(weights)
    };
    let layers = match layers {
        Layers::One(cell) => first(20).cell(cell),
        Layers::Chain => first(7).cell(Cell::Lstm).layer(5).leak(0.5).layer(9).cell(Cell::Gru),
        Layers::Divided => first(40).heads_of(8).layer(6).cell(Cell::Lstm).heads_of(3),
        Layers::DividedLstm => first(40).cell(Cell::Lstm).heads_of(8),
        Layers::Heads => first(80).connections(heads(80)),
    };
    layers.readout(Readout::new(2).with_inputs()).build().unwrap()
}

/// The mask of [`Layers::Heads`].
fn heads(units: usize) -> Vec<bool> {
    let sees = |i: usize, l: usize| {
        if i.is_multiple_of(5) { i == l } else { !l.is_multiple_of(5) && i % 2 == l % 2 }
    };
    let row = |i: usize| (0..4 + units).map(move |j| j < 4 || sees(i, j - 4));
    (0..units).flat_map(row).collect()
}

/// The heads are blocks of their own, or the test would miss these.
#[test]
fn heads_are_blocks() {
    let learner = learner::<f32>(Layers::Heads, 1, Regime::real_time(), EngineChoice::Eager);
    assert_eq!(learner.engine_plan().unwrap().blocks.len(), 3);
}

fn learner<T: Real>(
    layers: Layers,
    threads: usize,
    regime: Regime,
    engine: EngineChoice,
) -> Learner<T> {
    let builder = Learner::builder(network(layers))
        .regime(regime)
        .updates(UpdateSettings::adamw(1e-3))
        .clipping(Clipping { value: Some(1.0), norm: Some(1.0) })
        .schedule(RateSchedule::InverseTime { decay: 0.1 })
        .engine(engine)
        .threads(Threads::Exactly(threads));
    let limited = layers == Layers::One(Cell::Simple);
    if limited { builder.spectral_limit(0.5) } else { builder }.build().unwrap()
}

/// Allocations of the calling thread in 200 steps, after some for warming up.
fn allocations<T: Real>(mut learner: Learner<T>) -> u64 {
    let (x, d) = ([T::ONE; 3], [T::ZERO; 2]);
    let some = [Some(T::ONE), None];
    let mut steps = |count: usize| {
        for _ in 0..count {
            learner.peek(&x).unwrap();
            learner.step(&x, Targets::All(&d)).unwrap();
            learner.step(&x, Targets::Some(&some)).unwrap();
            learner.step(&x, Targets::None).unwrap();
        }
    };
    steps(20);
    allocation_counter::measure(|| steps(200)).count_total
}

fn regimes() -> [Regime; 3] {
    let every = 4;
    [
        Regime::real_time(),
        Regime::RealTime { timing: Timing::AfterNextStep, every },
        Regime::Epochwise,
    ]
}

fn engines() -> [EngineChoice; 3] {
    let even = EngineChoice::Deferred { window: Some(7), pace: Pace::Even };
    [EngineChoice::Eager, EngineChoice::DEFERRED, even]
}

#[test]
fn a_serial_step_allocates_nothing() {
    for layers in LAYERS {
        for (regime, engine) in regimes().into_iter().flat_map(|r| engines().map(|e| (r, e))) {
            let what = format!("{layers:?}, {regime:?}, {engine:?}");
            assert_eq!(allocations(learner::<f32>(layers, 1, regime, engine)), 0, "{what}");
            assert_eq!(allocations(learner::<f64>(layers, 1, regime, engine)), 0, "{what}");
        }
    }
}

/// Leaky units with two outputs.
fn leaky<T: Real>(readout: Readout, engine: EngineChoice) -> LearnerBuilder<T> {
    let network = Network::<T>::builder(20, 3).leak(0.5).readout(readout).build().unwrap();
    Learner::builder(network).engine(engine).threads(Threads::SERIAL)
}

/// Allocations in 200 calls, after some for warming up.
fn counted(mut call: impl FnMut()) -> u64 {
    (0..40).for_each(|_| call());
    allocation_counter::measure(|| (0..200).for_each(|_| call())).count_total
}

fn losses<T: Real>() -> [Loss<T>; 5] {
    let own = Loss::custom("own", |outputs, targets: Targets<'_, T>, errors| {
        errors[0] = targets.get(0).map_or(T::ZERO, |target| target - outputs[0]);
        errors[0] * errors[0] * T::from_f64(0.5)
    });
    let huber = Loss::Huber { delta: 0.5 };
    [Loss::SquaredError, Loss::BinaryCrossEntropy, Loss::SoftmaxCrossEntropy, huber, own]
}

/// Every third step of every other stream has no target. The second stream also steps alone.
fn steps_of_streams<T: Real>(builder: LearnerBuilder<T>) -> u64 {
    let mut learner = builder.streams(3).build().unwrap();
    let (x, d) = ([T::ONE; 3], [T::ONE, T::ZERO]);
    counted(|| {
        let targets =
            if learner.steps().is_multiple_of(3) { Targets::None } else { Targets::All(&d) };
        let resting = learner.steps().is_multiple_of(2);
        let last = (!resting).then_some((&x[..], targets));
        let samples = [Some((&x[..], targets)), Some((&x, Targets::All(&d))), last];
        learner.step_streams(&samples).unwrap();
        learner.step_stream(1, &x, targets).unwrap();
    })
}

#[test]
fn streams_leaks_losses_and_a_decay_allocate_nothing() {
    fn check<T: Real>() {
        for engine in engines() {
            for loss in losses() {
                let builder = leaky::<T>(Readout::new(2), engine).loss(loss.clone());
                let count = steps_of_streams(builder.sensitivity_decay(0.9));
                assert_eq!(count, 0, "{engine:?}, {loss:?}");
            }
            let fitted = Readout::new(2).with_inputs().recursive_least_squares(0.99, 0.1);
            assert_eq!(steps_of_streams(leaky::<T>(fitted, engine)), 0, "{engine:?}");
            for layers in LAYERS {
                let builder = Learner::builder(network::<T>(layers)).sensitivity_decay(0.9);
                let count = steps_of_streams(builder.engine(engine).threads(Threads::SERIAL));
                assert_eq!(count, 0, "{engine:?}, {layers:?}");
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn a_forward_pass_allocates_nothing() {
    for layers in LAYERS {
        let network = network::<f32>(layers);
        let mut state = network.state();
        let count = counted(|| {
            network.forward(&mut state, &[0.5; 3]).unwrap();
        });
        assert_eq!(count, 0, "{layers:?}");
    }
}

#[test]
fn a_forecast_allocates_nothing() {
    for engine in engines() {
        let learner = leaky::<f32>(Readout::new(2), engine).build().unwrap();
        let mut forecaster = Forecaster::new(learner, 4).unwrap();
        let count = counted(|| {
            forecaster.observe(&[0.5; 3], Targets::All(&[1.0, 0.0])).unwrap();
            forecaster.forecast().unwrap();
        });
        assert_eq!(count, 0, "{engine:?}");
    }
}

#[test]
fn the_cheap_observers_allocate_nothing() {
    let mut learner = leaky::<f32>(Readout::new(2), EngineChoice::Eager).build().unwrap();
    let mut loss = RunningLoss::new(0.9).unwrap();
    let (mut norm, mut time) = (GradientNorm::default(), StepTime::default());
    let count = counted(|| {
        let observers: &mut [&mut dyn Observer<f32>] = &mut [&mut loss, &mut norm, &mut time];
        learner.step_observed(&[0.5; 3], Targets::All(&[1.0, 0.0]), observers).unwrap();
    });
    assert_eq!(count, 0);
}

/// The thread pool puts the job of the second thread into a box, for p and for the gradient, and
/// its queue takes a block now and then; nothing else may.
#[test]
fn a_parallel_step_allocates_only_jobs() {
    for (layers, engine) in LAYERS.into_iter().flat_map(|l| engines().map(|e| (l, e))) {
        let count = allocations(learner::<f32>(layers, 2, Regime::real_time(), engine));
        assert!(count <= 2 * 600 + 30, "{layers:?}, {engine:?}: {count} allocations in 600 steps");
    }
}

#[test]
fn recursive_least_squares_allocates_nothing() {
    let mut model = RecursiveLeastSquares::new(vec![0.0; 9], 0.99, 0.1).unwrap();
    let mut update = |value: f64| model.update(&[value; 9], value).unwrap();
    let counted = allocation_counter::measure(|| (0..100).for_each(|t| update(f64::from(t))));
    assert_eq!(counted.count_total, 0);
}

/// A learner of units that see only themselves takes at most 20 times the memory of p.
#[test]
fn a_diagonal_learner_takes_little_memory() {
    let mut learner = None;
    let counted = allocation_counter::measure(|| {
        let network = Network::<f32>::builder(4096, 16).heads_of(1).build().unwrap();
        let optimizer = Optimizer::sgd(1e-4);
        learner = Some(Learner::builder(network).optimizer(optimizer).build().unwrap());
    });
    let p = 4096 * 18 * size_of::<f32>();
    let counted = f64::from(u32::try_from(counted.bytes_current).unwrap()) / p as f64;
    // Mapped on Linux, and so not counted: p and its sums.
    let taken = counted + if cfg!(target_os = "linux") { 2.0 } else { 0.0 };
    assert!((5.0..20.0).contains(&taken), "{taken:.1} times p");
    drop(learner);
}

/// Not even while it is built does a learner of heads take a bit for each pair of states.
#[test]
fn nothing_of_heads_grows_with_the_square_of_the_states() {
    for (cell, units, head) in [(Cell::Simple, 65536, 1), (Cell::Lstm, 32768, 8)] {
        let counted = allocation_counter::measure(|| {
            let network = Network::<f32>::builder(units, 1).heads_of(head).cell(cell);
            drop(Learner::builder(network.build().unwrap()).build().unwrap());
        });
        let states = (units * cell.states()) as u64;
        let most = states * states / 16;
        assert!(counted.bytes_max < most, "{cell}: {} bytes, {most}", counted.bytes_max);
    }
}

/// Negative control: the counter does count.
#[test]
fn an_allocation_is_counted() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![0u8; 100])));
    assert_eq!(counted.count_total, 1);
}
