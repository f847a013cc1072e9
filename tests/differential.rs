//! The eager engine against the reference, equal by `==`, and against itself, equal in every bit,
//! on every instruction set, with any number of threads, in both precisions. Then every engine by
//! the check that is for custom engines too, and wrong engines, which it must catch.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod wrong;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
use rtrl_bench::compare::{Tolerance, trace};
use rtrl_bench::differential::{Feature, Offer, Options, Problem, Report, check, replay};
use rtrl_bench::generators::{Recipe, chains, recipes};
use rtrl_bench::reference::{self, Fault};
use rtrl_kernel::{Deferred, Eager, Engine, Layout, Pace};
use rtrl_model::store::case::{Case, Trace};
use rtrl_model::{EngineChoice, Isa, Real, Threads};
use serde_json::json;

use self::wrong::{Forgetful, Plain, Wrong};
use crate::tested;

fn eager<T: Real>(case: &Case, isa: Isa, threads: Threads) -> Trace {
    let learner = case.learner::<T>(isa).unwrap().engine(EngineChoice::Eager).threads(threads);
    case.run(learner).unwrap()
}

/// One thread on every instruction set, and several: how many changes from case to case and from
/// set to set.
fn compare_all<T: Real>(case: &Case) -> Result<(), TestCaseError> {
    let expected = reference::run::<T>(case);
    let first = eager::<T>(case, Isa::scalar(), Threads::SERIAL);
    for (turn, isa) in tested::sets().into_iter().enumerate() {
        let several = [2, 3, 7][(turn + case.inputs + case.targets.len()) % 3];
        for count in [1, several] {
            let got = eager::<T>(case, isa, Threads::Exactly(count));
            let exact = trace(&got, &expected, Tolerance::Exact);
            exact.and(trace(&got, &first, Tolerance::Bits)).map_err(|difference| {
                let what = format!("{} on {isa}, {count} threads: {difference}", T::NAME);
                TestCaseError::fail(what)
            })?;
        }
    }
    Ok(())
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_eager_engine_gives_the_bits_of_the_reference(recipe in recipes(40, 8)) {
        let case = recipe.case();
        compare_all::<f64>(&case)?;
        compare_all::<f32>(&case)?;
    }

    #[test]
    fn small_networks_over_longer_runs(recipe in recipes(6, 60)) {
        let case = recipe.case();
        compare_all::<f64>(&case)?;
        compare_all::<f32>(&case)?;
    }

    #[test]
    fn gated_cells_and_layers(case in chains(9, 12)) {
        compare_all::<f64>(&case)?;
        compare_all::<f32>(&case)?;
    }
}

/// Negative control: the random chains find every broken term, even with the loosest tolerance in
/// use, and none where nothing is broken.
#[test]
fn random_chains_find_a_broken_term() {
    let find = |fault| {
        let config = ProptestConfig { max_shrink_iters: 0, ..config() };
        let mut runner =
            TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let result = runner.run(&chains(9, 12), |case| {
            let got = eager::<f64>(&case, Isa::best(), Threads::SERIAL);
            let expected = reference::run_with::<f64>(&case, fault);
            trace(&got, &expected, Tolerance::Relative(2e-4))
                .map_err(|difference| TestCaseError::fail(difference.to_string()))
        });
        match result {
            Ok(()) => false,
            Err(TestError::Fail(..)) => true,
            Err(other) => panic!("{fault:?}: {other}"),
        }
    };
    assert!(!find(Fault::None));
    for fault in Fault::ALL {
        assert!(find(fault), "{fault:?} was not noticed");
    }
}

/// Sensitivities of inputs that are tiny for three steps, and then 0, vanish, and are cleared after
/// step 64.
#[test]
fn vanishing_sensitivities_are_cleared_as_in_the_reference() {
    let recipe = Recipe {
        units: 3,
        inputs: 2,
        steps: 140,
        leaky: 1.0,
        targets: 1.0,
        density: 1.0,
        every: 1,
        ..Recipe::default()
    };
    let mut json = serde_json::to_value(recipe.contracting_case()).unwrap();
    for (t, row) in json["x"].as_array_mut().unwrap().iter_mut().enumerate() {
        for x in row.as_array_mut().unwrap() {
            *x = json!(if t < 3 { 1e-36 * x.as_f64().unwrap() } else { 0.0 });
        }
    }
    let case: Case = serde_json::from_value(json).unwrap();
    compare_all::<f32>(&case).unwrap();
    let got = eager::<f32>(&case, Isa::best(), Threads::SERIAL);
    let never = reference::run_with::<f32>(&case, Fault::Clearing);
    assert!(trace(&got, &never, Tolerance::Exact).is_err());
}

/// The project's engines, on every instruction set and in both precisions, by the public call.
fn check_ours<T: Real>(
    options: Options,
    engine: impl Fn(&Layout, &[bool], Isa) -> Result<Box<dyn Engine<T>>, rtrl_kernel::Error>,
) {
    for isa in tested::sets() {
        let report = check::<T>(options, |layout, learns| engine(layout, learns, isa));
        let report = report.into_result().unwrap();
        assert!(report.not_offered.is_empty(), "{report}");
    }
}

#[test]
fn the_eager_engine_is_exactly_right() {
    fn eager<T: Real>() {
        let options = Options { tolerance: Some(0.0), ..Options::default() };
        check_ours::<T>(options, |layout, learns, isa| {
            Ok(Box::new(Eager::new(layout, learns, isa, Threads::Exactly(2))?))
        });
    }
    eager::<f32>();
    eager::<f64>();
}

#[test]
fn the_deferred_engine_is_right_up_to_rounding() {
    fn deferred<T: Real>() {
        // Each window is flushed more than once.
        for (window, steps) in [(1, 12), (5, 24), (32, 100)] {
            for pace in [Pace::Bursts, Pace::Even] {
                let options = Options { cases: 48, steps, ..Options::default() };
                check_ours::<T>(options, |layout, learns, isa| {
                    let threads = Threads::Exactly(2);
                    Ok(Box::new(Deferred::new(layout, learns, window, pace, isa, threads)?))
                });
            }
        }
    }
    deferred::<f32>();
    deferred::<f64>();
}

/// Every feature that a report can count is tested.
#[test]
fn a_check_tries_everything() {
    let report = check::<f64>(Options::default(), |layout, learns| {
        Ok(Box::new(Eager::new(layout, learns, Isa::best(), Threads::SERIAL)?))
    });
    for feature in Feature::ALL {
        let count = report.exercised.get(&feature).copied().unwrap_or_default();
        assert!(count >= 5, "{}: {count} times in {report}", feature.name());
    }
}

/// A function that builds an engine, or fails.
type Made = Result<Box<dyn Engine<f64>>, rtrl_kernel::Error>;

fn plain(wrong: Wrong) -> impl Fn(&Layout, &[bool]) -> Made {
    move |layout, learns| Ok(Box::new(Plain::new(layout, learns, wrong)))
}

#[test]
fn a_right_engine_in_plain_loops_is_right() {
    let report = check(Options::default(), plain(Wrong::Nothing)).into_result().unwrap();
    assert_eq!(report.not_offered.iter().collect::<Vec<_>>(), [&Offer::Sensitivities]);
}

/// Negative controls: each engine is caught; its case, stored and replayed, fails in the same way,
/// and a right engine passes it.
#[test]
fn wrong_engines_are_caught() {
    for wrong in [
        Wrong::ForcedColumn,
        Wrong::ImmediateInfluence,
        Wrong::SecondDrive,
        Wrong::OtherGates,
        Wrong::OnePart,
        Wrong::Sign,
        Wrong::ReadTwice,
        Wrong::NoReset,
        Wrong::ResetDropsErrors,
        Wrong::NoTargetRepeatsError,
        Wrong::LoadAdds,
        Wrong::SharedCopy,
        Wrong::TouchesFrozenWeights,
        Wrong::NotFinite,
        Wrong::Count,
        Wrong::Panics,
    ] {
        let report = check(Options::default(), plain(wrong));
        assert!(!report.is_ok(), "{wrong:?} was not noticed");
        println!("{wrong:?}: {report}");
        replays(&report, plain(wrong), plain(Wrong::Nothing));
    }
}

fn replays(
    report: &Report,
    wrong: impl Fn(&Layout, &[bool]) -> Made,
    right: impl Fn(&Layout, &[bool]) -> Made,
) {
    let json = report.failure.as_ref().unwrap().to_json();
    let again = replay(&json, wrong).unwrap();
    assert_eq!(again.failure, report.failure, "{report}");
    assert!(replay(&json, right).unwrap().is_ok(), "{report}");
}

#[test]
fn a_load_that_forgets_the_window_is_caught() {
    let deferred = |layout: &Layout, learns: &[bool]| {
        let window = 5;
        Deferred::new(layout, learns, window, Pace::Even, Isa::best(), Threads::SERIAL)
    };
    let wrong = |layout: &Layout, learns: &[bool]| -> Made {
        Ok(Box::new(Forgetful(Box::new(deferred(layout, learns)?))))
    };
    let report = check(Options::default(), wrong);
    println!("{report}");
    replays(&report, wrong, |layout, learns| Ok(Box::new(deferred(layout, learns)?)));
}

/// An engine whose spec is not exact is measured, and judged only with a tolerance.
#[test]
fn an_estimator_is_judged_by_its_own_tolerance() {
    let vague = |layout: &Layout, learns: &[bool]| -> Made {
        Ok(Box::new(Plain::new(layout, learns, Wrong::Vague)))
    };
    let options = Options { cases: 12, ..Options::default() };
    let report = check(options, vague);
    let worst = report.worst.clone().unwrap().difference;
    assert!(!report.is_ok() && report.failure.is_none() && worst > 1e-3, "{report}");
    assert!(report.to_string().starts_with("not judged"), "{report}");
    let judged = |tolerance| check(Options { tolerance: Some(tolerance), ..options }, vague);
    assert!(judged(2.0 * worst).is_ok());
    assert!(judged(f64::INFINITY).is_ok());
    assert!(!judged(0.5 * worst).is_ok());
}

/// An engine whose spec is exact only for some layouts is not judged by these alone.
#[test]
fn every_case_is_judged_or_none() {
    let options = Options { cases: 12, ..Options::default() };
    for small_are_exact in [false, true] {
        let report = check(options, |layout, learns| {
            let exact = (layout.states() == 1) == small_are_exact;
            let wrong = if exact { Wrong::Nothing } else { Wrong::Vague };
            Ok(Box::new(Plain::<f64>::new(layout, learns, wrong)))
        });
        assert!(report.failure.is_none() && !report.is_ok(), "{report}");
    }
}

/// Bits are compared where a tolerance would hide losses of saving.
#[test]
fn a_save_that_rounds_is_caught() {
    for tolerance in [Some(1e-3), Some(f64::INFINITY)] {
        let report = check(Options { tolerance, ..Options::default() }, plain(Wrong::SavesRounded));
        let failure = report.failure.as_ref().unwrap();
        assert_eq!(failure.problem, Problem::OtherBits, "{report}");
        replays(&report, plain(Wrong::SavesRounded), plain(Wrong::Nothing));
    }
}

#[test]
fn text_that_is_no_failure_is_refused() {
    let report = check(Options::default(), plain(Wrong::Sign));
    let json = report.failure.unwrap().to_json();
    let single = replay::<f32>(&json, |layout, learns| {
        Ok(Box::new(Eager::new(layout, learns, Isa::best(), Threads::SERIAL)?))
    });
    assert_eq!(single.unwrap_err().to_string(), "got a failure in f64, expected f32");
    let mut bad = vec![json[1..].to_owned()];
    for (field, value) in [("/states", json!(99)), ("/events/1/gradient/stride", json!(u64::MAX))] {
        let mut other: serde_json::Value = serde_json::from_str(&json).unwrap();
        *other["case"]["engine"].pointer_mut(field).unwrap() = value;
        bad.push(other.to_string());
    }
    for bad in bad {
        assert!(replay(&bad, plain(Wrong::Nothing)).is_err(), "{bad}");
    }
}

#[test]
fn the_documentation_shows_the_engine_of_the_example() {
    let example = include_str!("../crates/rtrl-bench/examples/check_rule.rs");
    let (_, engine) = example.split_once("/// Equations 5 and 6").unwrap();
    let (engine, _) = engine.split_once("fn main()").unwrap();
    assert!(include_str!("../docs/conformance.md").contains(engine.trim_end()));
}
