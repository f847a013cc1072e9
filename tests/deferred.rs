//! Every engine in whole runs of simple units, gated cells and chains of layers, stored and resumed
//! on the way: the bits of the uninterrupted run on another instruction set and number of threads,
//! and the values of the reference, up to rounding.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use proptest::prelude::*;
use rtrl_bench::compare::{Tolerance, trace};
use rtrl_bench::generators::{Recipe, chains, contracting, recipes};
use rtrl_bench::reference;
use rtrl_model::store::case::{Case, Trace};
use rtrl_model::{
    Cell, EngineChoice, Error, Isa, Learner, Pace, Real, StoredLearner, Supplies, Threads,
};
use serde_json::json;

use crate::tested;

fn run<T: Real>(case: &Case, engine: EngineChoice) -> Trace {
    let learner = case.learner::<T>(Isa::scalar()).unwrap().engine(engine);
    case.run(learner.threads(Threads::SERIAL)).unwrap()
}

/// How a run is interrupted.
#[derive(Debug, Clone)]
struct Cuts {
    /// Before which steps the learner is stored and resumed.
    steps: Vec<usize>,
    isa: Isa,
    threads: usize,
}

impl Cuts {
    /// The run with a resumed learner after each cut.
    fn run<T: Real>(&self, case: &Case, engine: EngineChoice) -> Trace {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.safetensors");
        let learner = case.learner::<T>(self.isa).unwrap().engine(engine);
        let learner = learner.threads(Threads::Exactly(self.threads));
        let resume = |step, learner: &mut Learner<T>| {
            if self.steps.contains(&step) {
                *learner = self.resumed(learner, &path)?;
            }
            Ok(())
        };
        case.run_with(learner, resume).unwrap()
    }

    fn resumed<T: Real>(&self, learner: &Learner<T>, path: &Path) -> Result<Learner<T>, Error> {
        learner.save(path, &json!(null))?;
        let threads = Threads::Exactly(self.threads);
        let supplies = Supplies { isa: Some(self.isa), threads, ..Supplies::default() };
        StoredLearner::open(path)?.learner(&supplies)
    }
}

fn engines() -> impl Strategy<Value = EngineChoice> {
    let windows = [1, 2, 5, 32, 1000].map(Some);
    let window = prop_oneof![prop::sample::select(windows.to_vec()), Just(None)];
    let pace = prop_oneof![Just(Pace::Bursts), Just(Pace::Even)];
    let deferred = (window, pace);
    prop_oneof![
        1 => Just(EngineChoice::Eager),
        1 => Just(EngineChoice::Auto),
        4 => deferred.prop_map(|(window, pace)| EngineChoice::Deferred { window, pace }),
    ]
}

/// Up to three cuts in a run of `steps` steps.
fn cuts(steps: usize) -> impl Strategy<Value = Cuts> {
    let cuts = prop::collection::vec(0..steps, 0..=3);
    let isa = prop::sample::select(tested::sets());
    (cuts, isa, 1usize..=2).prop_map(|(steps, isa, threads)| Cuts { steps, isa, threads })
}

/// Whether the engine has the bits of the uninterrupted run and the values of the reference.
fn agrees<T: Real>(
    case: &Case,
    engine: EngineChoice,
    cuts: &Cuts,
    tolerance: f64,
) -> Result<(), TestCaseError> {
    let fail = |what: &str, difference| {
        let precision = T::NAME;
        TestCaseError::fail(format!("{what}, {engine:?}, {cuts:?}, {precision}: {difference}"))
    };
    let uninterrupted = run::<T>(case, engine);
    let got = cuts.run::<T>(case, engine);
    trace(&got, &uninterrupted, Tolerance::Bits).map_err(|d| fail("uninterrupted", d))?;
    let tolerance = match engine {
        EngineChoice::Eager => Tolerance::Exact,
        _ => Tolerance::Relative(tolerance),
    };
    trace(&got, &reference::run::<T>(case), tolerance).map_err(|d| fail("reference", d))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn simple_units_agree_with_the_reference_after_two_hundred_steps(
        mut recipe in recipes(24, 200), engine in engines(), cuts in cuts(200),
    ) {
        // Without targets no weight would move.
        recipe.targets = recipe.targets.max(0.05);
        agrees::<f64>(&recipe.contracting_case(), engine, &cuts, 1e-12)?;
    }

    #[test]
    fn chains_agree_with_the_reference_after_sixty_steps(
        case in chains(9, 60), engine in engines(), cuts in cuts(60),
    ) {
        let case = contracting(case);
        agrees::<f64>(&case, engine, &cuts, 1e-12)?;
        agrees::<f32>(&case, engine, &cuts, 2e-4)?;
    }
}

/// Negative control: with a learning rate that differs in the ninth digit the weights diverge.
#[test]
fn another_learning_rate_is_noticed() {
    let recipe = Recipe { steps: 200, resets: true, ..Recipe::default() };
    let mut case = recipe.contracting_case();
    let expected = run::<f64>(&case, EngineChoice::Eager);
    case.learning_rate *= 1.0 + 1e-9;
    let got = run::<f64>(&case, EngineChoice::DEFERRED);
    assert!(trace(&got, &expected, Tolerance::Relative(1e-12)).is_err());
}

/// Negative control: a learner that forgets p when it is resumed is noticed.
#[test]
fn a_cut_that_loses_p_is_noticed() {
    let case = Recipe::default().chain(&[(Cell::Gru, 3), (Cell::Lstm, 2)]);
    let engine = EngineChoice::DEFERRED;
    let learner = || case.learner::<f64>(Isa::best()).unwrap().engine(engine);
    let forget = |step, learner: &mut Learner<f64>| match step {
        7 => learner.reset_sensitivities(),
        _ => Ok(()),
    };
    let got = case.run_with(learner(), forget).unwrap();
    assert!(trace(&got, &run::<f64>(&case, engine), Tolerance::Relative(1e-6)).is_err());
}
