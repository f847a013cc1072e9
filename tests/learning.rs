//! Networks learn: pipelined exclusive or, which no network without hidden units can solve, and the
//! Add task, which requires memory that a random network does not have.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::num::NonZeroUsize;

use rtrl_lab::tasks::{AddTask, PipelinedXor};
use rtrl_model::{
    Activation, InitialWeights, Learner, Loss, Network, Optimizer, Readout, ReadoutWeights, Real,
    Regime, Targets, Timing,
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
        .regime(Regime::RealTime { timing: Timing::AfterNextStep, every: 1 })
        .optimizer(Optimizer::sgd(1.0))
        .build()
        .unwrap()
}

/// The steps until 1000 targets in a row are met within 0.5 while the network learns, if it takes
/// no more than 10 000.
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

/// Negative control: with the hidden units fixed the output unit alone cannot do it.
#[test]
fn exclusive_or_needs_the_hidden_units_to_learn() {
    let mut hidden = vec![vec![true; COLUMNS]; UNITS];
    hidden[0] = vec![false; COLUMNS];
    let steps: Vec<_> = (1..=10).map(|seed| solved(learner(seed, hidden.clone()), seed)).collect();
    assert!(steps.iter().all(Option::is_none), "{steps:?}");
}

/// The mean loss of the last 5000 of 40 000 steps of the Add task, in nats: half the units and ten
/// times the rate of the example `add`, which takes six times as many steps.
fn add_loss(seed: u64, recurrent_rate: f64) -> f64 {
    let network = Network::<f32>::builder(16, 2)
        .weights(InitialWeights::Orthogonal { gain: 1.0 })
        .readout(Readout::new(2).weights(ReadoutWeights::Normal { gain: 1.0 }))
        .seed(seed)
        .build()
        .unwrap();
    let mut learner = Learner::builder(network)
        .loss(Loss::SoftmaxCrossEntropy)
        .optimizer(Optimizer::sgd(recurrent_rate))
        .readout_learning_rate(0.01)
        .build()
        .unwrap();
    let mut task = AddTask::new(1000 + seed);
    let mut sum = 0.0;
    for step in 0..40_000 {
        let (input, label) = task.draw();
        let label = label.map(|label| label.map(f32::from_f64));
        let targets = label.as_ref().map_or(Targets::None, |label| Targets::All(label));
        let loss = learner.step(&input.map(f32::from_f64), targets).unwrap().loss;
        if step >= 35_000 {
            sum += f64::from(loss);
        }
    }
    sum / 5000.0
}

/// Below the optimum with one coin, and near the optimum with both.
#[test]
fn the_add_task_is_learnt() {
    let losses = [1, 2, 3].map(|seed| add_loss(seed, 0.01));
    let [_, nearer, both] = AddTask::floors();
    let near_both = both + 0.25 * (nearer - both);
    assert!(losses.iter().all(|&loss| loss < near_both), "{losses:?}");
}

/// Negative control: the readout alone does not even reach the optimum with one coin.
#[test]
fn the_add_task_needs_the_recurrent_weights_to_learn() {
    let losses = [1, 2, 3].map(|seed| add_loss(seed, 0.0));
    let [_, nearer, _] = AddTask::floors();
    assert!(losses.iter().all(|&loss| loss > nearer), "{losses:?}");
}
