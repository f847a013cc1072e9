//! That networks learn: pipelined exclusive or, which no network without hidden units can do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::num::NonZeroUsize;

use rtrl_model::tasks::PipelinedXor;
use rtrl_model::{
    Activation, InitialWeights, Learner, Network, Optimizer, Regime, Targets, Timing,
};

const UNITS: usize = 4;
const COLUMNS: usize = 2 + 1 + UNITS;

/// The settings of the paper: logistic units, its order of updates, α = 1, weights in (-1, 1).
fn learner(seed: u64, frozen: Vec<Vec<bool>>) -> Learner<f64> {
    let network = Network::<f64>::builder(UNITS, 2)
        .activation(Activation::Logistic)
        .weights(InitialWeights::Uniform { bound: 1.0 })
        .initial_state(vec![0.5; UNITS])
        .frozen(frozen)
        .seed(seed)
        .build()
        .unwrap();
    Learner::builder(network)
        .regime(Regime::RealTime { timing: Timing::AfterNextStep, every: NonZeroUsize::MIN })
        .optimizer(Optimizer::sgd(1.0))
        .build()
        .unwrap()
}

/// The steps until 1000 targets in a row are met within 0.5 while learning goes on, if it takes no more
/// than 10 000.
fn solved(mut learner: Learner<f64>, seed: u64) -> Option<usize> {
    let mut task = PipelinedXor::new(NonZeroUsize::new(2).unwrap(), 1000 + seed);
    let mut in_a_row = 0;
    for step in 0..10_000 {
        let (input, target) = task.draw();
        let mut targets = [None; UNITS];
        targets[0] = target;
        let error = learner.step(&input, Targets::Some(&targets)).unwrap().errors[0];
        in_a_row = if error.abs() < 0.5 { in_a_row + 1 } else { 0 };
        if in_a_row == 1000 {
            return Some(step + 1);
        }
    }
    None
}

#[test]
fn exclusive_or_is_learnt() {
    let none = vec![vec![false; COLUMNS]; UNITS];
    let steps: Vec<_> = (1..=10).map(|seed| solved(learner(seed, none.clone()), seed)).collect();
    println!("steps: {steps:?}");
    assert!(steps.iter().flatten().count() >= 9, "{steps:?}");
}

/// Negative control: with the hidden units held still the output unit alone cannot do it.
#[test]
fn exclusive_or_needs_the_hidden_units_to_learn() {
    let mut hidden = vec![vec![true; COLUMNS]; UNITS];
    hidden[0] = vec![false; COLUMNS];
    let steps: Vec<_> = (1..=10).map(|seed| solved(learner(seed, hidden.clone()), seed)).collect();
    assert!(steps.iter().all(Option::is_none), "{steps:?}");
}
