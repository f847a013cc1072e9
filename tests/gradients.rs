//! Epochwise gradients against backpropagation through time and the complex step.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use rtrl_bench::compare::relative_to_largest;
use rtrl_bench::generators::Recipe;
use rtrl_bench::oracles::{bptt, complex_step};
use rtrl_bench::reference::{self, Fault};
use rtrl_model::store::case::{ActivationNames, Case, Trace};
use rtrl_model::{Cell, EngineChoice, Isa};

/// 50 steps, one epoch, masks and forcing on; each simple unit leaks with the probability `leaky`.
fn recipe(seed: u64, leaky: f64) -> Recipe {
    Recipe {
        units: 16,
        steps: 50,
        seed,
        leaky,
        targets: 0.3,
        forcing: true,
        density: 0.5,
        frozen: 0.4,
        epochwise: true,
        ..Recipe::default()
    }
}

/// The case with smooth activations.
fn smooth(mut case: Case) -> Case {
    let smooth = ["tanh", "logistic", "softplus", "identity"];
    for layer in case.layers.iter_mut().filter(|layer| layer.cell == Cell::Simple) {
        let names = (0..layer.units).map(|k| smooth[k % 4].to_owned()).collect();
        layer.activation = Some(ActivationNames::Each(names));
    }
    case
}

fn case(seed: u64, leaky: f64) -> Case {
    smooth(recipe(seed, leaky).case())
}

/// dL/dw of the whole epoch.
fn gradient(case: &Case, engine: EngineChoice) -> Vec<f64> {
    let learner = case.learner::<f64>(Isa::best()).unwrap().engine(engine);
    summed(&case.run(learner).unwrap())
}

/// dL/dw of the whole epoch of a trace.
fn summed(trace: &Trace) -> Vec<f64> {
    let weights = trace.weights.concat().concat();
    let mut total = vec![0.0; weights.len()];
    for step in &trace.gradients {
        let step = step.concat().concat();
        total.iter_mut().zip(step).for_each(|(sum, g)| *sum -= g);
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
                let difference = relative_to_largest(&got, &oracle.concat().concat());
                assert!(difference <= 1e-12, "{engine:?}, {name}, seed {seed}: {difference:e}");
            }
        }
    }
}

/// The reference computes the gradient of the unrolled network for chains of all cells.
#[test]
fn the_reference_agrees_with_the_unrolled_network_for_cells_and_layers() {
    use Cell::{Gru, Lstm, Simple};
    let chains: [&[(Cell, usize)]; 8] = [
        &[(Gru, 5)],
        &[(Lstm, 5)],
        &[(Simple, 4), (Simple, 3)],
        &[(Gru, 3), (Gru, 4)],
        &[(Lstm, 3), (Lstm, 4)],
        &[(Gru, 3), (Lstm, 2)],
        &[(Lstm, 2), (Simple, 3), (Gru, 3)],
        &[(Simple, 1), (Gru, 1), (Lstm, 1), (Simple, 1)],
    ];
    for (seed, chain) in (1..).zip(chains) {
        let case = smooth(recipe(seed, 0.6).chain(chain));
        let got = summed(&reference::run::<f64>(&case));
        for (name, oracle) in [("bptt", bptt(&case)), ("complex step", complex_step(&case))] {
            let difference = relative_to_largest(&got, &oracle.concat().concat());
            assert!(difference <= 1e-12, "{chain:?}, {name}: {difference:e}");
        }
    }
}

/// Negative controls: a missing gate term, a missing drive of y next to c, and a missing drive of
/// the layer above are no rounding.
#[test]
fn a_missing_term_of_a_cell_or_chain_is_caught() {
    let faults = [Fault::Gate, Fault::Kept, Fault::OutputDrive, Fault::LayerAbove];
    let case = smooth(recipe(1, 0.0).chain(&[(Cell::Lstm, 3), (Cell::Gru, 3)]));
    for fault in faults {
        let got = summed(&reference::run_with::<f64>(&case, fault));
        for oracle in [bptt(&case), complex_step(&case)] {
            let difference = relative_to_largest(&got, &oracle.concat().concat());
            assert!(difference > 1e-3, "{fault:?}: {difference:e}");
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
        assert!(relative_to_largest(&got, &bptt(&wrong).concat().concat()) > 1e-3);
        assert!(relative_to_largest(&got, &complex_step(&wrong).concat().concat()) > 1e-3);
    }
}
