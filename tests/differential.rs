//! The eager engine against the reference, equal by `==`, and against itself, equal in every bit, on
//! every instruction set, with any number of threads, in both precisions.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use rtrl_bench::compare::{Tolerance, trace};
use rtrl_bench::generators::{Recipe, recipes};
use rtrl_bench::reference::{self, Fault};
use rtrl_model::store::case::{Case, Trace};
use rtrl_model::{EngineChoice, Isa, Real, Threads};

fn eager<T: Real>(case: &Case, isa: Isa, threads: Threads) -> Trace {
    let learner = case.learner::<T>(isa).unwrap().engine(EngineChoice::Eager).threads(threads);
    case.run(learner).unwrap()
}

fn compare_all<T: Real>(case: &Case) -> Result<(), TestCaseError> {
    let expected = reference::run::<T>(case);
    let first = eager::<T>(case, Isa::scalar(), Threads::SERIAL);
    for isa in Isa::available() {
        for count in [1, 2, 3, 7] {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

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
}

/// A case in which every term of the algorithm matters.
fn full_case() -> Case {
    let recipe = Recipe {
        units: 6,
        inputs: 3,
        steps: 20,
        seed: 5,
        bias: true,
        mixed: true,
        leaky: 0.7,
        targets: 0.5,
        forcing: true,
        density: 1.0,
        frozen: 0.0,
        epochwise: false,
        late: false,
        every: 1,
        resets: true,
    };
    recipe.case()
}

/// Negative control: breaking any one term is noticed, even with the loosest tolerance in use.
#[test]
fn a_broken_term_is_caught() {
    let case = full_case();
    let got = eager::<f64>(&case, Isa::best(), Threads::SERIAL);
    let compare = |fault| {
        let expected = reference::run_with::<f64>(&case, fault);
        trace(&got, &expected, Tolerance::Relative(2e-4))
    };
    assert_eq!(compare(Fault::None), Ok(()));
    for fault in [
        Fault::ForcedColumns,
        Fault::ImmediateInfluence,
        Fault::Slope,
        Fault::Error,
        Fault::Reset,
        Fault::RecurrentSum,
        Fault::Leak,
    ] {
        assert!(compare(fault).is_err(), "{fault:?} was not noticed");
    }
}
