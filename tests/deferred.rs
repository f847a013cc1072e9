//! The deferred engine against the eager one in whole runs: the same weights, up to rounding.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use rtrl_bench::compare::{Tolerance, trace};
use rtrl_bench::generators::{Recipe, recipes};
use rtrl_model::store::case::{Case, Trace};
use rtrl_model::{EngineChoice, Isa, Pace, Threads};

fn run(case: &Case, engine: EngineChoice, threads: usize) -> Trace {
    let threads = Threads::Exactly(threads);
    let learner = case.learner::<f64>(Isa::best()).unwrap();
    case.run(learner.engine(engine).threads(threads)).unwrap()
}

fn windows() -> impl Strategy<Value = (EngineChoice, usize)> {
    let steps = prop_oneof![Just(1), Just(2), Just(5), Just(32), Just(1000)];
    let pace = prop_oneof![Just(Pace::Bursts), Just(Pace::Even)];
    (steps, pace, 1usize..=3).prop_map(|(steps, pace, threads)| {
        (EngineChoice::Deferred { window: Some(steps), pace }, threads)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn weights_agree_after_two_hundred_steps(
        mut recipe in recipes(24, 200),
        (engine, threads) in windows(),
    ) {
        // Without targets no weight would move.
        recipe.targets = recipe.targets.max(0.05);
        let case = recipe.contracting_case();
        let expected = run(&case, EngineChoice::Eager, 1);
        let got = run(&case, engine, threads);
        let result = trace(&got, &expected, Tolerance::Relative(1e-12));
        prop_assert!(result.is_ok(), "{engine:?}: {}", result.unwrap_err());
    }
}

/// Negative control: with a learning rate that differs in the ninth digit the weights diverge.
#[test]
fn another_learning_rate_is_noticed() {
    let recipe = Recipe { steps: 200, resets: true, ..Recipe::default() };
    let mut case = recipe.contracting_case();
    let expected = run(&case, EngineChoice::Eager, 1);
    case.learning_rate *= 1.0 + 1e-9;
    let got = run(&case, EngineChoice::DEFERRED, 1);
    assert!(trace(&got, &expected, Tolerance::Relative(1e-12)).is_err());
}
