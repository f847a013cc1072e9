//! Several streams in one learner against the same number of learners, whose gradients are summed
//! and whose weights are set by hand.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod added;
mod failures;

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::{
    Cell, EngineChoice, Error, Generator, Gradient, InitialWeights, Learner, LearnerBuilder,
    Matrix, Network, NetworkBuilder, Optimizer, Pace, Readout, ReadoutWeights, Real, Regime,
    Targets, Threads, Timing,
};

const UNITS: usize = 6;
const INPUTS: usize = 2;
const STREAMS: usize = 8;
const RATE: f64 = 0.05;

/// The layers of the network.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Layers {
    One(Cell),
    /// Four LSTM units below a GRU.
    Chain,
}

const SIMPLE: Layers = Layers::One(Cell::Simple);

impl Layers {
    /// A layer of `units` units whose unit 1 does not see the first of `inputs` inputs, in all of
    /// its rows, and whose last row does not see the bias.
    fn masked<T: Real>(
        builder: NetworkBuilder<T>,
        cell: Cell,
        (units, inputs): (usize, usize),
    ) -> NetworkBuilder<T> {
        let mut mask = vec![vec![true; inputs + 1 + units]; cell.blocks() * units];
        mask.iter_mut().skip(1).step_by(units).for_each(|row| row[0] = false);
        mask[cell.blocks() * units - 1][inputs] = false;
        let weights = InitialWeights::Orthogonal { gain: 0.9 };
        builder.cell(cell).weights(weights).connections(mask)
    }

    fn builder<T: Real>(self) -> NetworkBuilder<T> {
        let first = |units| Network::builder(units, INPUTS).seed(3);
        match self {
            Self::One(cell) => Self::masked(first(UNITS), cell, (UNITS, INPUTS)),
            Self::Chain => {
                let below = Self::masked(first(4), Cell::Lstm, (4, INPUTS));
                Self::masked(below.layer(UNITS), Cell::Gru, (UNITS, 4))
            }
        }
    }
}

fn network<T: Real>(layers: Layers, readout: bool) -> Network<T> {
    let builder = layers.builder();
    let weights = ReadoutWeights::Normal { gain: 1.0 };
    let layer = Readout::new(2).with_inputs().weights(weights);
    if readout { builder.readout(layer) } else { builder }.build().unwrap()
}

/// The input and the targets of one stream at one step; some targets are absent, some steps have
/// none.
fn sample(generator: &mut Generator, outputs: usize) -> (Vec<f64>, Vec<Option<f64>>) {
    let x = (0..INPUTS).map(|_| generator.normal()).collect();
    let silent = generator.below(4) == 0;
    let mut target = || {
        let value = generator.between(-0.8, 0.8);
        (generator.below(3) > 0 && !silent).then_some(value)
    };
    (x, (0..outputs).map(|_| target()).collect())
}

/// Flat W and R of a learner.
fn weights(learner: &Learner<f64>) -> [Vec<f64>; 2] {
    let network = learner.network();
    let readout = network.readout_weights();
    [network.weights().to_rows().concat(), readout.map_or(vec![], |r| r.to_rows().concat())]
}

fn alone(network: &Network<f64>, forcing: bool, engine: EngineChoice) -> Learner<f64> {
    Learner::builder(network.clone())
        .regime(Regime::Epochwise)
        .step_gradients(true)
        .teacher_forcing(forcing)
        .engine(engine)
        .build()
        .unwrap()
}

/// The largest relative difference of outputs and weights over a run. With `rest`, streams skip
/// about every third step; `faulty` is a stream that loses its p on the way.
fn difference(
    (readout, every, rest): (bool, u64, bool),
    learner: LearnerBuilder<f64>,
    faulty: Option<usize>,
) -> f64 {
    let mut together = learner.build().unwrap();
    let network = together.network().clone();
    let forcing = !readout && network.layers().len() == 1;
    let mut single = vec![alone(&network, forcing, EngineChoice::Eager); STREAMS];
    let [mut w, mut r] = weights(&together);
    let (mut sum_w, mut sum_r) = (vec![0.0; w.len()], vec![0.0; r.len()]);
    let mut generator = Generator::new(17);
    let mut worst: f64 = 0.0;
    let mut outputs = vec![vec![0.0; network.outputs()]; STREAMS];
    for step in 1..=60 {
        let drawn: Vec<_> =
            (0..STREAMS).map(|_| sample(&mut generator, network.outputs())).collect();
        let samples: Vec<_> = drawn.iter().map(|(x, d)| (x.as_slice(), Targets::Some(d))).collect();
        let resting: Vec<bool> = (0..STREAMS).map(|_| rest && generator.below(3) == 0).collect();
        for (b, &(x, d)) in samples.iter().enumerate() {
            if resting[b] {
                continue;
            }
            let report = single[b].step(x, d).unwrap();
            outputs[b] = report.outputs.to_vec();
            let gradient = report.gradient.unwrap();
            let add = |sum: &mut [f64], rows: Vec<Vec<f64>>| {
                sum.iter_mut().zip(rows.concat()).for_each(|(sum, value)| *sum += value);
            };
            add(&mut sum_w, gradient.recurrent().to_rows());
            add(&mut sum_r, gradient.readout().map_or(vec![], rtrl_model::Matrix::to_rows));
        }
        let samples = samples.into_iter().zip(&resting);
        let samples: Vec<_> = samples.map(|(sample, rests)| (!rests).then_some(sample)).collect();
        let report = together.step_streams(&samples).unwrap();
        worst = worst.max(relative_to_largest(report.outputs, &outputs.concat()));
        assert!(
            report
                .errors
                .chunks(network.outputs())
                .zip(&resting)
                .all(|(errors, &rests)| { !rests || errors.iter().all(|&error| error == 0.0) })
        );
        if step % every == 0 {
            for (w, sum) in [(&mut w, &mut sum_w), (&mut r, &mut sum_r)] {
                w.iter_mut().zip(sum.iter()).for_each(|(w, sum)| *w -= RATE * sum);
                sum.fill(0.0);
            }
            for one in &mut single {
                one.set_weights(&w).unwrap();
                if readout {
                    one.set_readout_weights(&r).unwrap();
                }
            }
        }
        if step % 13 == 0 {
            let state = vec![0.3; network.layout().states()];
            let stream = generator.below(STREAMS);
            single[stream].reset(&state).unwrap();
            together.reset_stream(stream, &state).unwrap();
        }
        if let Some(stream) = faulty.filter(|_| step == 20) {
            let state = together.state(stream).unwrap().values().to_vec();
            together.reset_stream(stream, &state).unwrap();
        }
    }
    let [got_w, got_r] = weights(&together);
    worst = worst.max(relative_to_largest(&got_w, &w));
    if readout { worst.max(relative_to_largest(&got_r, &r)) } else { worst }
}

fn streams(layers: Layers, readout: bool, every: usize) -> LearnerBuilder<f64> {
    Learner::builder(network(layers, readout))
        .regime(Regime::RealTime { timing: Timing::Immediate, every })
        .teacher_forcing(!readout && layers != Layers::Chain)
        .optimizer(Optimizer::sgd(RATE))
        .streams(STREAMS)
}

const ENGINES: [EngineChoice; 3] = [
    EngineChoice::Eager,
    EngineChoice::Deferred { window: Some(7), pace: Pace::Bursts },
    EngineChoice::Deferred { window: Some(5), pace: Pace::Even },
];

/// Whether there is a readout, the steps from one update to the next, and whether streams skip
/// steps.
fn settings() -> Vec<(bool, usize, bool)> {
    [false, true]
        .map(|rest| [(false, 1), (true, 1), (false, 4), (true, 4)].map(|(r, e)| (r, e, rest)))
        .concat()
}

#[test]
fn eight_streams_are_eight_learners_with_summed_gradients() {
    for engine in ENGINES {
        for (readout, every, rest) in settings() {
            for threads in [1, 2, 3, 16] {
                let learner = streams(SIMPLE, readout, every).engine(engine);
                let learner = learner.threads(Threads::Exactly(threads));
                let difference = difference((readout, every as u64, rest), learner, None);
                assert!(difference < 1e-12, "{engine:?} {readout} {every}: {difference:e}");
            }
        }
    }
}

/// With each engine, a different number of threads.
#[test]
fn eight_streams_of_gated_units_and_layers_are_eight_learners() {
    for layers in [Layers::One(Cell::Gru), Layers::One(Cell::Lstm), Layers::Chain] {
        for (threads, engine) in (1..).zip(ENGINES) {
            for (readout, every, rest) in settings() {
                let learner = streams(layers, readout, every).engine(engine);
                let learner = learner.threads(Threads::Exactly(threads));
                let difference = difference((readout, every as u64, rest), learner, None);
                let what = (layers, engine, readout, every, rest);
                assert!(difference < 1e-12, "{what:?}: {difference:e}");
            }
        }
    }
}

/// Negative control: each stream that forgets what it has seen is noticed, whichever it is.
#[test]
fn each_stream_that_loses_its_sensitivities_is_noticed() {
    for engine in ENGINES {
        for (readout, every, rest) in settings() {
            for stream in 0..STREAMS {
                let layers = if rest { Layers::Chain } else { SIMPLE };
                let learner = streams(layers, readout, every).engine(engine);
                let learner = learner.threads(Threads::SERIAL);
                let difference = difference((readout, every as u64, rest), learner, Some(stream));
                let what = (readout, every, rest, stream);
                assert!(difference > 1e-9, "{engine:?} {what:?}: {difference:e}");
            }
        }
    }
}

/// Bits of the weights after a few steps.
fn bits<T: Real>(layers: Layers, engine: EngineChoice, threads: usize) -> Vec<u64> {
    let mut learner = Learner::builder(network::<T>(layers, true))
        .engine(engine)
        .threads(Threads::Exactly(threads))
        .streams(STREAMS)
        .build()
        .unwrap();
    let mut generator = Generator::new(5);
    for _ in 0..40 {
        let values: Vec<[T; 2]> = (0..2 * STREAMS)
            .map(|_| [T::from_f64(generator.normal()), T::from_f64(generator.normal())])
            .collect();
        let (x, d) = values.split_at(STREAMS);
        let samples: Vec<_> =
            x.iter().zip(d).map(|(x, d)| Some((&x[..], Targets::All(d)))).collect();
        learner.step_streams(&samples).unwrap();
    }
    let rows = learner.network().weights().to_rows().concat();
    rows.into_iter().map(f64::to_bits).collect()
}

#[test]
fn threads_do_not_change_a_bit() {
    for (layers, engine) in
        [SIMPLE, Layers::Chain].into_iter().flat_map(|layers| ENGINES.map(|e| (layers, e)))
    {
        assert_eq!(bits::<f32>(layers, engine, 1), bits::<f32>(layers, engine, 2));
        assert_eq!(bits::<f64>(layers, engine, 1), bits::<f64>(layers, engine, 3));
    }
}

#[test]
fn a_wrong_sample_in_one_stream_is_named_and_leaves_all_as_they_were() {
    let mut learner = streams(SIMPLE, true, 1).build().unwrap();
    let mut undisturbed = learner.clone();
    let (good, bad) = ([0.5, -0.5], [0.5, f64::NAN]);
    let mut samples = vec![Some((&good[..], Targets::All(&good[..]))); STREAMS];
    samples[5] = Some((&bad, Targets::All(&good)));
    let error = learner.step_streams(&samples).unwrap_err();
    assert_eq!(error.to_string(), "stream 5: step 0, input 1: got NaN, expected a finite number");
    assert!(matches!(error.cause(), Error::NonFinite { index: 1, .. }));
    samples[5] = Some((&good, Targets::All(&good)));
    let error = learner.step_streams(&samples[1..]).unwrap_err();
    assert!(matches!(error, Error::StreamCount { expected: 8, got: 7 }), "{error}");
    let error = learner.step(&good, Targets::None).unwrap_err();
    assert!(matches!(error, Error::StreamCount { expected: 8, got: 1 }), "{error}");
    let error = learner.reset_stream(8, &[0.0; UNITS]).unwrap_err();
    assert!(matches!(error, Error::NoStream { streams: 8, got: 8 }), "{error}");
    learner.step_streams(&samples).unwrap();
    undisturbed.step_streams(&samples).unwrap();
    assert_eq!(weights(&learner), weights(&undisturbed));
}

/// The accumulated gradient is the sum of the gradients of the steps, as often as it is read, and
/// reading it changes nothing.
#[test]
fn the_accumulated_gradient_can_be_read_before_it_is_applied() {
    let regimes = [Regime::Epochwise, Regime::RealTime { timing: Timing::Immediate, every: 12 }];
    for (engine, regime, readout) in ENGINES
        .into_iter()
        .flat_map(|engine| regimes.map(|regime| (engine, regime)))
        .flat_map(|(engine, regime)| [true, false].map(|readout| (engine, regime, readout)))
    {
        let builder = || streams(SIMPLE, readout, 1).regime(regime).engine(engine).streams(3);
        let mut watched = builder().step_gradients(true).build().unwrap();
        let mut undisturbed = builder().build().unwrap();
        let mut learner = builder().build().unwrap();
        let outputs = learner.network().outputs();
        let mut generator = Generator::new(9);
        let mut sums: Vec<f64> = Vec::new();
        for t in 0..12 {
            let drawn: Vec<_> = (0..3).map(|_| sample(&mut generator, outputs)).collect();
            let samples: Vec<_> =
                drawn.iter().map(|(x, d)| Some((&x[..], Targets::Some(d)))).collect();
            let report = watched.step_streams(&samples).unwrap();
            let flat = |gradient: &Gradient<f64>| {
                let readout = gradient.readout().map_or(vec![], Matrix::to_rows);
                [gradient.recurrent().to_rows(), readout].concat().concat()
            };
            let gradient = flat(report.gradient.unwrap());
            sums.resize(gradient.len(), 0.0);
            sums.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
            learner.step_streams(&samples).unwrap();
            undisturbed.step_streams(&samples).unwrap();
            for _ in 0..(t % 3) {
                let gradient = learner.accumulated_gradient().unwrap().unwrap();
                if t < 11 {
                    let difference = relative_to_largest(&flat(gradient), &sums);
                    assert!(difference < 1e-12, "{engine:?} {regime:?} {t}: {difference:e}");
                } else {
                    // In the real-time regime it has just been applied.
                    let applied = flat(gradient).iter().all(|&g| g == 0.0);
                    assert_eq!(applied, regime != Regime::Epochwise);
                }
            }
        }
        if regime == Regime::Epochwise {
            learner.end_epoch(&[0.0; UNITS]).unwrap();
            undisturbed.end_epoch(&[0.0; UNITS]).unwrap();
        }
        let ([w, r], [expected_w, expected_r]) = (weights(&learner), weights(&undisturbed));
        assert!(relative_to_largest(&w, &expected_w) < 1e-13);
        assert!(!readout || relative_to_largest(&r, &expected_r) < 1e-13);
        assert_ne!(w, network::<f64>(SIMPLE, readout).weights().to_rows().concat());
    }
    let mut single = streams(SIMPLE, false, 1).build().unwrap();
    assert!(single.accumulated_gradient().unwrap().is_none());
}

/// A stream that skips a step does not advance and does not affect the others, bit for bit. It
/// first takes a few steps without a target: its p is not 0 when it begins to skip.
#[test]
fn a_stream_that_sits_out_is_left_as_it_was() {
    for engine in ENGINES {
        for (layers, every) in [(SIMPLE, 1), (SIMPLE, 4), (Layers::Chain, 1), (Layers::Chain, 4)] {
            let learner = || streams(layers, true, every).engine(engine).streams(2);
            let mut pair = learner().build().unwrap();
            let mut single = learner().streams(1).build().unwrap();
            let mut generator = Generator::new(8);
            for t in 0..30 {
                let (x, d) = sample(&mut generator, 2);
                let one = Some((&x[..], Targets::Some(&d)));
                let other = (t < 5).then_some((&x[..], Targets::None));
                let before = pair.clone();
                pair.step_streams(&[one, other]).unwrap();
                single.step_streams(&[one]).unwrap();
                assert_eq!(weights(&pair), weights(&single), "{engine:?} {every} {t}");
                let values = |learner: &Learner<f64>| learner.state(1).unwrap().values().to_vec();
                let p = |learner: &Learner<f64>| {
                    let row = |k| learner.stream_sensitivities(1, k).unwrap().to_rows();
                    let states = learner.network().layout().states();
                    (0..states).flat_map(row).flatten().collect::<Vec<f64>>()
                };
                if t >= 5 {
                    assert_eq!(values(&pair), values(&before), "{engine:?} {every} {t}");
                    assert_eq!(p(&pair), p(&before), "{engine:?} {every} {t}");
                }
                assert!(p(&pair).iter().any(|&p| p != 0.0), "{engine:?} {every} {t}");
            }
        }
    }
}
