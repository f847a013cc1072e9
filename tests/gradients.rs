//! Epochwise gradients against backpropagation through time and the complex step.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use rtrl_bench::compare::relative_to_largest;
use rtrl_bench::generators::Recipe;
use rtrl_bench::oracles::{bptt, complex_step};
use rtrl_model::store::case::{ActivationNames, Case};
use rtrl_model::{EngineChoice, Isa};

/// 16 units, each of them leaky with the probability `leaky`, 50 steps, one epoch, masks and forcing on, smooth activations.
fn case(seed: u64, leaky: f64) -> Case {
    let recipe = Recipe {
        units: 16,
        inputs: 3,
        steps: 50,
        seed,
        bias: true,
        mixed: false,
        leaky,
        targets: 0.3,
        forcing: true,
        density: 0.5,
        frozen: 0.4,
        epochwise: true,
        late: false,
        every: 1,
        resets: false,
    };
    let mut case = recipe.case();
    let smooth = ["tanh", "logistic", "softplus", "identity"];
    let names = (0..16).map(|k| smooth[k % 4].to_owned()).collect();
    case.layers[0].activation = Some(ActivationNames::Each(names));
    case
}

/// dL/dw of the whole epoch.
fn gradient(case: &Case, engine: EngineChoice) -> Vec<f64> {
    let learner = case.learner::<f64>(Isa::best()).unwrap().engine(engine);
    let trace = case.run(learner).unwrap();
    let mut total = vec![0.0; case.layers[0].weights.concat().len()];
    for step in &trace.gradients {
        total.iter_mut().zip(step[0].iter().flatten()).for_each(|(sum, g)| *sum -= g);
    }
    total
}

#[test]
fn the_summed_gradient_is_that_of_the_unrolled_network() {
    for (seed, leaky) in (1..=5).zip([0.0, 0.6].into_iter().cycle()) {
        let case = case(seed, leaky);
        for engine in [EngineChoice::Eager, EngineChoice::DEFERRED] {
            let got = gradient(&case, engine);
            for (name, oracle) in [("bptt", bptt(&case)), ("complex step", complex_step(&case))] {
                let difference = relative_to_largest(&got, &oracle.concat());
                assert!(difference <= 1e-12, "{engine:?}, {name}, seed {seed}: {difference:e}");
            }
        }
    }
}

/// Negative control: without forcing, or without leaks, the gradient differs.
#[test]
fn a_wrong_gradient_is_caught() {
    let case = case(1, 0.6);
    let got = gradient(&case, EngineChoice::Eager);
    let mut without_leaks = case.clone();
    without_leaks.layers[0].leak = None;
    for wrong in [Case { teacher_forcing: false, ..case }, without_leaks] {
        assert!(relative_to_largest(&got, &bptt(&wrong).concat()) > 1e-3);
        assert!(relative_to_largest(&got, &complex_step(&wrong).concat()) > 1e-3);
    }
}
