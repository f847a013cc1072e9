//! Layers in heads against layers of which the other weights are masked: the same network, whose
//! absent weights take no room.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use rtrl_bench::compare::{Difference, Tolerance, list, table, trace};
use rtrl_bench::generators::{Recipe, contracting, in_heads};
use rtrl_bench::heads::{expanded, expanded_rows};
use rtrl_bench::reference::{self, Fault};
use rtrl_kernel::{Diagonal, build};
use rtrl_model::store::case::{Case, Trace};
use rtrl_model::store::network::{SavedModel, save};
use rtrl_model::{
    Activation, Cell, Clipping, EngineChoice, Generator, InitialWeights, Isa, Learner,
    LearnerBuilder, Matrix, Network, NetworkBuilder, Optimizer, Pace, Readout, Real, Regime,
    Sample, Spec, StoredLearner, Supplies, Targets, Threads, Timing,
};
use serde_json::json;

use crate::structure::blocks;
use crate::tested;

const INPUTS: usize = 2;

/// Networks with heads: what they are, and the network.
fn networks<T: Real>(isa: Isa) -> Vec<(&'static str, Network<T>)> {
    let start = |units: usize, head: usize| {
        let weights = InitialWeights::Normal { gain: 0.7 };
        Network::<T>::builder(units, INPUTS).heads_of(head).weights(weights).seed(9)
    };
    let above = |builder: NetworkBuilder<T>, units: usize, cell: Cell| {
        let weights = InitialWeights::Normal { gain: 0.7 };
        builder.layer(units).cell(cell).weights(weights)
    };
    let state = |units: usize| (0..units).map(|unit| 0.1 * unit as f64 - 0.3).collect::<Vec<_>>();
    let mixed = [Activation::Tanh, Activation::Logistic, Activation::Identity];
    let leaks = (0..12).map(|unit| 0.4 + 0.05 * f64::from(unit));
    let masked = start(12, 3).connections(drawn(12 * 6, 0.7)).frozen(drawn(12 * 6, 0.2));
    let lstm = |units, head| start(units, head).cell(Cell::Lstm);
    let builders = [
        ("masked", masked.activations(mixed.into_iter().cycle().take(12)).leaks(leaks)),
        ("diagonal", start(21, 1).initial_state(state(21))),
        ("leaky diagonal", start(5, 1).leak(0.3).bias(false)),
        ("large heads", start(40, 20)),
        ("gru", start(8, 2).cell(Cell::Gru).initial_state(state(8))),
        ("masked gru", start(9, 3).cell(Cell::Gru).connections(drawn(36 * 6, 0.6))),
        ("gru diagonal", start(7, 1).cell(Cell::Gru)),
        ("lstm", lstm(8, 4).initial_state(state(8)).initial_cells(state(8)).forget_bias(1.0)),
        ("masked lstm", lstm(6, 2).connections(drawn(24 * 5, 0.6))),
        ("lstm diagonal", lstm(5, 1)),
        ("heads below", above(start(12, 4).leak(0.6), 5, Cell::Gru)),
        ("heads above", above(start(4, 4).cell(Cell::Lstm), 6, Cell::Lstm).heads_of(2)),
        ("three", above(above(lstm(6, 3), 8, Cell::Simple).heads_of(2), 4, Cell::Gru).heads_of(1)),
        ("readout", start(6, 3).readout(Readout::new(2).with_inputs())),
    ];
    builders.map(|(name, builder)| (name, builder.isa(isa).build().unwrap())).into()
}

/// The loops for rows that are alike are lost in silence, since others have the same bits.
#[test]
fn units_that_see_themselves_have_even_rows() {
    let even = |builder: NetworkBuilder<f32>| {
        let network = builder.build().unwrap();
        let plan = Learner::builder(network.clone()).build().unwrap().engine_plan().unwrap();
        let [block] = plan.blocks.as_slice() else { panic!("{plan:?}") };
        assert_eq!(block.engine, Spec::Diagonal);
        // The layout of a block of everything is that of the network.
        assert_eq!(block.states, network.layout().states());
        let engine = Diagonal::<f32>::new(network.layout(), &network.learning(), network.isa());
        engine.unwrap().has_even_rows()
    };
    for (units, inputs) in [(7, 1), (40, 16), (128, 8)] {
        let layer = || Network::builder(units, inputs).heads_of(1);
        assert!(even(layer()));
        assert!(even(layer().bias(false).leak(0.5)));
        assert!(!even(
            layer().frozen((0..units * (inputs + 2)).map(|w| w == 0).collect::<Vec<_>>())
        ));
    }
    assert!(!even(Network::builder(7, 1).heads_of(1).cell(Cell::Gru)));
}

/// A mask of this density.
fn drawn(len: usize, density: f64) -> Vec<bool> {
    let mut dice = Generator::new(len as u64);
    (0..len).map(|_| dice.uniform() < density).collect()
}

/// What computes the sensitivities.
#[derive(Debug, Clone)]
enum Engine {
    Chosen(EngineChoice),
    /// One engine for all states.
    Whole(Spec),
    /// A block for each reach, whatever it costs.
    Reaches(Spec),
}

fn engines() -> Vec<Engine> {
    let deferred = |window, pace| Spec::Deferred { window, pace };
    vec![
        Engine::Chosen(EngineChoice::Auto),
        Engine::Chosen(EngineChoice::Eager),
        Engine::Chosen(EngineChoice::Deferred { window: Some(5), pace: Pace::Even }),
        Engine::Whole(Spec::Eager),
        Engine::Whole(deferred(4, Pace::Bursts)),
        Engine::Whole(deferred(4, Pace::Even)),
        Engine::Reaches(Spec::Eager),
        Engine::Reaches(deferred(3, Pace::Bursts)),
    ]
}

impl Engine {
    fn learner<T: Real>(&self, network: &Network<T>, threads: Threads) -> LearnerBuilder<T> {
        let builder = Learner::builder(network.clone()).threads(threads);
        let spec = match self {
            Self::Chosen(choice) => return builder.engine(*choice),
            Self::Whole(spec) => spec.clone(),
            Self::Reaches(inner) => Spec::Blocks(blocks(network, inner)),
        };
        let (layout, learning) = (network.layout(), network.learning());
        builder.custom_engine(build(&spec, layout, &learning, network.isa(), threads).unwrap())
    }
}

/// A step of every stream with random inputs and targets; some steps, streams and outputs have
/// none. Returns the loss.
fn advance<T: Real>(learner: &mut Learner<T>, t: u64) -> f64 {
    let mut numbers = Generator::new(t);
    let outputs = learner.network().outputs();
    let mut list = |len: usize| -> Vec<T> {
        (0..len).map(|_| T::from_f64(numbers.between(-1.0, 1.0))).collect()
    };
    let streams = learner.streams();
    let (inputs, targets) = (list(INPUTS * streams), list(outputs * streams));
    let some: Vec<Option<T>> = targets
        .iter()
        .zip(0..)
        .map(|(&target, k): (_, u64)| (!(k + t).is_multiple_of(3)).then_some(target))
        .collect();
    let sample = |stream: usize| -> Sample<'_, T> {
        let targets = match (t + stream as u64) % 4 {
            0 => Targets::None,
            1 => Targets::All(&targets[stream * outputs..][..outputs]),
            _ => Targets::Some(&some[stream * outputs..][..outputs]),
        };
        (&inputs[stream * INPUTS..][..INPUTS], targets)
    };
    let samples: Vec<_> = (0..streams).map(|stream| Some(sample(stream))).collect();
    learner.step_streams(&samples).unwrap().loss.to_f64()
}

/// Everything that a learner of a network with heads has in common with that of the masked network:
/// its outputs, weights and sensitivities. `shift` is that of [`expanded`].
fn compare(got: &Learner<f64>, expected: &Learner<f64>, shift: usize) -> Result<(), Difference> {
    let close = Tolerance::Relative(1e-12);
    let network = got.network();
    let same = |name, got: &Matrix<f64>, expected: &Matrix<f64>| {
        table(name, &expanded_rows(network, got, shift), &expected.to_rows(), close)
    };
    same("weights", network.weights(), expected.network().weights())?;
    for stream in 0..got.streams() {
        let values = |learner: &Learner<f64>| learner.state(stream).unwrap().values().to_vec();
        list("state", &values(got), &values(expected), close)?;
        let jacobian = |learner: &Learner<f64>| learner.jacobian(stream).unwrap().to_rows();
        table("jacobian", &jacobian(got), &jacobian(expected), close)?;
        for state in 0..network.layout().states() {
            let p = |learner: &Learner<f64>| learner.stream_sensitivities(stream, state).unwrap();
            same("sensitivities", &p(got), &p(expected))?;
        }
    }
    Ok(())
}

/// Compares every network and engine over a run, in several regimes.
fn compare_all(shift: usize) -> Result<(), String> {
    let regimes =
        [Regime::real_time(), Regime::RealTime { every: 3, timing: Timing::AfterNextStep }];
    for (name, network) in networks::<f64>(Isa::best()) {
        let masked = expanded(&network, shift).build().unwrap();
        let can_force = network.layers().len() == 1 && network.readout_weights().is_none();
        for (number, engine) in engines().iter().enumerate() {
            let set = |learner: LearnerBuilder<f64>| {
                let learner = learner.regime(regimes[number % 2]).optimizer(Optimizer::sgd(0.02));
                let norm = (number % 3 == 2).then_some(0.1);
                let learner = learner.clipping(Clipping { value: None, norm });
                let decay = if number == 0 { 0.9 } else { 1.0 };
                let learner = learner.sensitivity_decay(decay);
                // An engine that is given is that of a single stream.
                let streams = if matches!(engine, Engine::Chosen(_)) { 2 } else { 1 };
                let learner = learner.streams(streams).step_gradients(true);
                learner.teacher_forcing(can_force && number % 3 == 1).build().unwrap()
            };
            let mut got = set(engine.learner(&network, Threads::SERIAL));
            let mut expected = set(Learner::builder(masked.clone()).engine(EngineChoice::Eager));
            for t in 0..16 {
                let losses = [&mut got, &mut expected].map(|learner| advance(learner, t));
                let close = Tolerance::Relative(1e-12);
                list("loss", &losses[..1], &losses[1..], close)
                    .and_then(|()| compare(&got, &expected, shift))
                    .map_err(|error| format!("{name}, {engine:?}, step {t}: {error}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn heads_are_the_masked_network() {
    compare_all(0).unwrap();
}

/// Negative control: heads that see their neighbours are found.
#[test]
fn heads_with_a_wrong_offset_are_found() {
    compare_all(1).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    /// Random chains of layers in heads, against the paper in loops.
    #[test]
    fn random_heads_equal_the_reference(case in in_heads(12, 20)) {
        let case = contracting(case);
        compare_random::<f64>(&case, 1e-12).map_err(TestCaseError::fail)?;
        compare_random::<f32>(&case, 1e-4).map_err(TestCaseError::fail)?;
    }
}

/// Negative control: a reference without one term of the recurrent sum, or with other heads, is
/// found.
#[test]
fn another_reference_is_noticed() {
    let recipe = Recipe { density: 0.8, forcing: true, ..Recipe::default() };
    let heads = |size: usize| {
        let mut case = recipe.chain(&[(Cell::Gru, 6), (Cell::Lstm, 4)]);
        case.layers.iter_mut().for_each(|layer| layer.heads_of = Some(size));
        contracting(case)
    };
    let case = heads(2);
    compare_random::<f64>(&case, 1e-12).unwrap();
    let broken = reference::run_with::<f64>(&case, Fault::RecurrentSum);
    compare_with::<f64>(&case, &broken, 1e-12).unwrap_err();
    compare_with::<f64>(&case, &reference::run::<f64>(&heads(1)), 1e-12).unwrap_err();
}

/// Fails unless the eager engine equals the reference, and the others do up to rounding.
fn compare_random<T: Real>(case: &Case, rounding: f64) -> Result<(), String> {
    compare_with::<T>(case, &reference::run::<T>(case), rounding)
}

fn compare_with<T: Real>(case: &Case, expected: &Trace, rounding: f64) -> Result<(), String> {
    let deferred =
        [Pace::Bursts, Pace::Even].map(|pace| EngineChoice::Deferred { window: Some(6), pace });
    let close = deferred.into_iter().chain([EngineChoice::Auto]);
    let close = close.map(|engine| (engine, Tolerance::Relative(rounding)));
    for (engine, tolerance) in close.chain([(EngineChoice::Eager, Tolerance::Exact)]) {
        let learner = case.learner::<T>(Isa::best()).unwrap().engine(engine);
        let got = case.run(learner.threads(Threads::SERIAL)).unwrap();
        trace(&got, expected, tolerance)
            .map_err(|difference| format!("{engine:?} in {}: {difference}", T::NAME))?;
    }
    Ok(())
}

/// The same bits on every instruction set and for every number of threads.
fn compare_bits<T: Real>() {
    let run = |isa: Isa, threads: usize| -> Vec<(String, Learner<T>)> {
        let threads = Threads::Exactly(threads);
        let each = |(name, network): (&'static str, Network<T>)| {
            engines().into_iter().map(move |engine| {
                let mut learner = engine.learner(&network, threads).build().unwrap();
                for t in 0..9 {
                    advance(&mut learner, t);
                }
                (format!("{name}, {engine:?}"), learner)
            })
        };
        networks::<T>(isa).into_iter().flat_map(each).collect()
    };
    let first = run(Isa::scalar(), 1);
    for isa in tested::sets() {
        for threads in [1, 3] {
            for ((name, learner), (_, first)) in run(isa, threads).iter().zip(&first) {
                let difference = learner.first_difference(first).unwrap();
                assert_eq!(difference, None, "{name}, {isa}, {threads} threads");
            }
        }
    }
}

#[test]
fn heads_have_the_same_bits_everywhere() {
    compare_bits::<f32>();
    compare_bits::<f64>();
}

/// A run that is stored and resumed after every step is the run that is not; a saved model has the
/// same heads.
fn stored_and_resumed<T: Real>() {
    let folder = tempfile::tempdir().unwrap();
    let (path, model) = (folder.path().join("learner"), folder.path().join("model"));
    for (name, network) in networks::<T>(Isa::best()) {
        for engine in engines() {
            let learner = engine.learner(&network, Threads::SERIAL);
            let mut whole = learner.optimizer(Optimizer::adam(0.01)).build().unwrap();
            let mut cut = whole.clone();
            for t in 0..7 {
                cut.save(&path, &json!(null)).unwrap();
                cut = StoredLearner::open(&path).unwrap().learner(&Supplies::default()).unwrap();
                advance(&mut whole, t);
                advance(&mut cut, t);
                let difference = cut.first_difference(&whole).unwrap();
                assert_eq!(difference, None, "{name}, {engine:?}, step {t}");
            }
        }
        save(&network, network.initial_state(), json!(null), &model).unwrap();
        let read: Network<T> = SavedModel::read(&model).unwrap().network(&[]).unwrap();
        let heads = |network: &Network<T>| -> Vec<usize> {
            network.layers().iter().map(rtrl_model::Layer::heads).collect()
        };
        assert_eq!(heads(&read), heads(&network), "{name}");
        assert_eq!(read.weights(), network.weights(), "{name}");
        assert_eq!(read.connections(), network.connections(), "{name}");
    }
}

#[test]
fn a_run_in_heads_that_is_stored_after_every_step_is_the_whole_run() {
    stored_and_resumed::<f32>();
    stored_and_resumed::<f64>();
}

/// Nothing is as large as units x units: neither W nor anything of the engine.
#[test]
fn absent_weights_take_no_room() {
    let units = 8192;
    for (head, cell) in [(1, Cell::Simple), (8, Cell::Gru), (8, Cell::Lstm)] {
        let network = Network::<f32>::builder(units, 3).heads_of(head).cell(cell).build().unwrap();
        let (rows, columns) = (cell.blocks() * units, 4 + head);
        let weights = network.weights();
        assert_eq!((weights.rows(), weights.columns()), (rows, columns));
        let learner = Learner::builder(network).build().unwrap();
        let plan = learner.engine_plan().unwrap();
        let weights: usize = plan.blocks.iter().map(|block| block.weights).sum();
        let absent = if cell == Cell::Gru { units * (head + 3) } else { 0 };
        assert_eq!(weights, rows * columns - absent);
        // p, its gradient, and the Jacobians of the blocks.
        let numbers = learner.state_bytes() / size_of::<f32>();
        assert!(numbers < 4 * weights * (2 * head).max(2), "{cell}: {numbers}, {weights}");
        assert!(numbers < units * units, "{cell}: {numbers}");
    }
}
