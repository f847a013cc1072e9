//! Blocks of weights that reach few states: against the reference and against one engine for all
//! states, on every instruction set and with several threads; stored and resumed; and blocks that
//! lack a state, which must be found.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
use rtrl_bench::compare::{Tolerance, trace};
use rtrl_bench::generators::{Structure, contracting, structured};
use rtrl_bench::reference;
use rtrl_kernel::{Block, Pattern, Reach, build, reaches};
use rtrl_model::store::case::{Case, Trace};
use rtrl_model::{
    Cell, EngineChoice, Generator, Isa, Learner, Network, NetworkBuilder, Optimizer, Pace, Real,
    Spec, StoredLearner, Supplies, Targets, Threads,
};
use serde_json::json;

use crate::conformance::cases;
use crate::tested;

/// The blocks of a network, whatever they cost, with `inner` in each that is not diagonal.
pub(crate) fn blocks<T: Real>(network: &Network<T>, inner: &Spec) -> Vec<Block> {
    let states = network.layout().states();
    let full = || Pattern::new(vec![(0..).take(states).collect(); states]).unwrap();
    let pattern = network.pattern().unwrap().unwrap_or_else(full);
    let block = |reach: Reach| Block {
        states: reach.states,
        rows: reach.rows,
        weights: reach.weights,
        engine: if reach.diagonal { Spec::Diagonal } else { inner.clone() },
    };
    let reaches = reaches(network.layout(), &network.learning(), &pattern).unwrap();
    reaches.into_iter().map(block).collect()
}

/// The run of a case with this engine on all states.
fn run<T: Real>(case: &Case, spec: &Spec, isa: Isa, threads: Threads) -> Trace {
    let network = case.network::<T>(isa).unwrap();
    let engine = build(spec, network.layout(), &network.learning(), isa, threads).unwrap();
    case.run(case.learner::<T>(isa).unwrap().custom_engine(engine)).unwrap()
}

/// The run of a case in blocks.
fn divided<T: Real>(case: &Case, inner: &Spec, isa: Isa, threads: Threads) -> Trace {
    let blocks = blocks(&case.network::<T>(isa).unwrap(), inner);
    run::<T>(case, &Spec::Blocks(blocks), isa, threads)
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() }
}

/// Blocks of eager engines against the reference, equal by `==`, and against each other in every
/// bit.
fn compare_eager<T: Real>(case: &Case) -> Result<(), TestCaseError> {
    let expected = reference::run::<T>(case);
    let first = divided::<T>(case, &Spec::Eager, Isa::scalar(), Threads::SERIAL);
    for isa in tested::sets() {
        for count in [1, 2, 5] {
            let got = divided::<T>(case, &Spec::Eager, isa, Threads::Exactly(count));
            let exact = trace(&got, &expected, Tolerance::Exact);
            exact.and(trace(&got, &first, Tolerance::Bits)).map_err(|difference| {
                let what = format!("{} on {isa}, {count} threads: {difference}", T::NAME);
                TestCaseError::fail(what)
            })?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn eager_blocks_equal_the_reference(case in structured(9, 12)) {
        compare_eager::<f64>(&case)?;
        compare_eager::<f32>(&case)?;
    }

    #[test]
    fn deferred_blocks_equal_one_deferred_engine(case in structured(9, 30)) {
        let (case, isa) = (contracting(case), Isa::best());
        for pace in [Pace::Bursts, Pace::Even] {
            let whole = run::<f64>(&case, &Spec::Deferred { window: 7, pace }, isa, Threads::SERIAL);
            let inner = Spec::Deferred { window: 5, pace };
            let got = divided::<f64>(&case, &inner, isa, Threads::Exactly(2));
            trace(&got, &whole, Tolerance::Relative(1e-12))
                .map_err(|difference| TestCaseError::fail(format!("{pace:?}: {difference}")))?;
        }
    }
}

/// Negative control: random structures find a block that lacks one state of its reach.
#[test]
fn a_reach_with_a_state_less_is_found() {
    let find = |left_out: bool| {
        let config = ProptestConfig { max_shrink_iters: 0, ..config() };
        let mut runner =
            TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let result = runner.run(&structured(9, 12), |case| {
            let mut blocks = blocks(&case.network::<f64>(Isa::best()).unwrap(), &Spec::Eager);
            let mut large = blocks.iter_mut().filter(|block| block.engine == Spec::Eager);
            if let Some(block) = large.next().filter(|_| left_out) {
                block.states.pop();
            }
            let got = run::<f64>(&case, &Spec::Blocks(blocks), Isa::best(), Threads::SERIAL);
            let expected = reference::run::<f64>(&case);
            trace(&got, &expected, Tolerance::Relative(2e-4))
                .map_err(|difference| TestCaseError::fail(difference.to_string()))
        });
        matches!(result, Err(TestError::Fail(..)))
    };
    assert!(!find(false));
    assert!(find(true));
}

/// Every conformance case, in blocks and by one engine; most of those with a mask or with layers
/// have several blocks.
#[test]
fn conformance_cases_in_blocks() {
    let mut several = 0;
    for (path, case) in cases() {
        let expected = case.expect.as_ref().expect("a case in the project has expected values");
        let isa = Isa::best();
        several += usize::from(blocks(&case.network::<f64>(isa).unwrap(), &Spec::Eager).len() > 1);
        let whole = run::<f64>(&case, &Spec::Eager, isa, Threads::SERIAL);
        let got = divided::<f64>(&case, &Spec::Eager, isa, Threads::Exactly(2));
        let check = |got: &Trace, expected: &Trace, tolerance| {
            trace(got, expected, tolerance).unwrap_or_else(|difference| {
                panic!("{}: {difference}", path.display());
            });
        };
        check(&got, &whole, Tolerance::Exact);
        check(&got, expected, Tolerance::Relative(1e-9));
        let deferred = Spec::Deferred { window: 5, pace: Pace::Even };
        let whole = run::<f64>(&case, &deferred, isa, Threads::SERIAL);
        let got = divided::<f64>(&case, &deferred, isa, Threads::SERIAL);
        check(&got, &whole, Tolerance::Relative(1e-12));
        check(&got, expected, Tolerance::Relative(1e-9));
    }
    assert!(several >= 5, "only {several} cases have several blocks");
}

/// A network of one layer with a structure, or a chain.
fn network<T: Real>(cell: Cell, structure: Option<Structure>) -> NetworkBuilder<T> {
    let Some(structure) = structure else {
        return Network::builder(6, 2).cell(cell).layer(5).cell(cell);
    };
    let units = 12;
    let row = |row: usize| {
        let seen = (0..units).map(move |l| structure.depends(units, row % units, l));
        [true; 3].into_iter().chain(seen)
    };
    let mask: Vec<bool> = (0..cell.blocks() * units).flat_map(row).collect();
    Network::builder(units, 2).cell(cell).connections(mask)
}

/// A step of a run with random inputs and targets; some steps have no target.
fn advance<T: Real>(learner: &mut Learner<T>, t: u64) {
    let mut numbers = Generator::new(t);
    let mut list = |len: usize| -> Vec<T> {
        (0..len).map(|_| T::from_f64(numbers.between(-1.0, 1.0))).collect()
    };
    let (input, target) = (list(2), list(learner.network().outputs()));
    let targets = if t % 3 == 1 { Targets::None } else { Targets::All(&target) };
    learner.step(&input, targets).unwrap();
}

/// A run that is stored and resumed after every step is the run that is not.
fn stored_and_resumed<T: Real>() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("learner.safetensors");
    let engines = [
        Spec::Eager,
        Spec::Deferred { window: 4, pace: Pace::Bursts },
        Spec::Deferred { window: 4, pace: Pace::Even },
    ];
    let structures = Structure::ALL.into_iter().map(Some).chain([None]);
    for (number, structure) in structures.enumerate() {
        let cell = [Cell::Simple, Cell::Gru, Cell::Lstm][number % 3];
        for inner in &engines {
            let network = network::<T>(cell, structure).build().unwrap();
            let spec = Spec::Blocks(blocks(&network, inner));
            let (layout, learning) = (network.layout().clone(), network.learning());
            let engine = build(&spec, &layout, &learning, Isa::best(), Threads::SERIAL).unwrap();
            let learner = Learner::builder(network).optimizer(Optimizer::adam(0.01));
            let mut whole = learner.custom_engine(engine).build().unwrap();
            let mut cut = whole.clone();
            for t in 0..14 {
                let supplies =
                    Supplies { threads: Threads::Exactly(1 + number % 2), ..Supplies::default() };
                cut.save(&path, &json!(null)).unwrap();
                cut = StoredLearner::open(&path).unwrap().learner(&supplies).unwrap();
                assert_eq!(cut.engine_plan().unwrap(), whole.engine_plan().unwrap());
                advance(&mut whole, t);
                advance(&mut cut, t);
                assert_eq!(cut.first_difference(&whole).unwrap(), None, "{structure:?}, step {t}");
            }
        }
    }
}

#[test]
fn a_run_in_blocks_that_is_stored_after_every_step_is_the_whole_run() {
    stored_and_resumed::<f32>();
    stored_and_resumed::<f64>();
}

/// Networks that `Auto` divides, against one eager engine, step by step; with each named engine
/// too.
#[test]
fn chosen_blocks_learn_as_one_engine_does() {
    let heads = || {
        let row = |i: usize| (0..51).map(move |j| j < 3 || (j - 3) / 8 == i / 8);
        Network::<f64>::builder(48, 2).connections((0..48).flat_map(row).collect::<Vec<_>>())
    };
    let chain = || Network::<f64>::builder(24, 2).layer(24);
    let networks: [&dyn Fn() -> NetworkBuilder<f64>; 2] = [&heads, &chain];
    for network in networks {
        let network = network().build().unwrap();
        let (layout, learning) = (network.layout().clone(), network.learning());
        let whole = build(&Spec::Eager, &layout, &learning, Isa::best(), Threads::SERIAL).unwrap();
        let mut whole = Learner::builder(network.clone()).custom_engine(whole).build().unwrap();
        let choices = [EngineChoice::Eager, EngineChoice::Auto, EngineChoice::DEFERRED];
        let mut learners =
            choices.map(|choice| Learner::builder(network.clone()).engine(choice).build().unwrap());
        for t in 0..50 {
            advance(&mut whole, t);
            for (learner, choice) in learners.iter_mut().zip(choices) {
                assert!(learner.engine_plan().unwrap().blocks.len() > 1, "{choice:?}");
                advance(learner, t);
                let weights = |learner: &Learner<f64>| learner.network().weights().clone();
                let (got, expected) = (weights(learner), weights(&whole));
                if choice == EngineChoice::Eager {
                    assert_eq!(got, expected, "step {t}");
                }
                for (got, expected) in got.iter_rows().flatten().zip(expected.iter_rows().flatten())
                {
                    assert!((got - expected).abs() <= 1e-12, "{choice:?}, step {t}");
                }
            }
        }
        assert!(learners[0].state_bytes() < whole.state_bytes());
    }
}

/// An overflow in a block loses all of p; a checkpoint of the lost learner is resumed as lost.
#[test]
fn a_lost_learner_is_stored_and_resumed() {
    // Outputs stay small while p grows.
    let weight = |w: usize| if w % 15 < 3 { 1e-9 } else { 1.0 };
    let network = network::<f32>(Cell::Simple, Some(Structure::Heads))
        .activation(rtrl_model::Activation::Identity)
        .weights(rtrl_model::InitialWeights::given((0..12 * 15).map(weight).collect::<Vec<_>>()))
        .build()
        .unwrap();
    let spec = Spec::Blocks(blocks(&network, &Spec::Eager));
    let (layout, learning) = (network.layout().clone(), network.learning());
    let engine = build(&spec, &layout, &learning, Isa::best(), Threads::SERIAL).unwrap();
    let mut learner = Learner::builder(network).custom_engine(engine).build().unwrap();
    let (input, target) = ([f32::MAX / 1e3; 2], vec![0.0; 12]);
    assert!((0..9).any(|_| learner.step(&input, Targets::None).is_err()));
    assert!(learner.sensitivities(0).is_err(), "the run must lose its sensitivities");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("learner.safetensors");
    learner.save(&path, &json!(null)).unwrap();
    let mut resumed: Learner<f32> =
        StoredLearner::open(&path).unwrap().learner(&Supplies::default()).unwrap();
    assert!(resumed.step(&[0.0; 2], Targets::All(&target)).is_err());
    for learner in [&mut learner, &mut resumed] {
        learner.reset(&[0.0; 12]).unwrap();
        learner.step(&[0.1; 2], Targets::All(&target)).unwrap();
    }
    assert_eq!(resumed.first_difference(&learner).unwrap(), None);
}
