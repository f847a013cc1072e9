//! The outputs of a network and a learner, and gradients through the readout.

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::{Learner, Network, Real, Regime, Targets};

use super::{OUTPUTS, UNITS, network, small, stream, weights};
use crate::fixtures::differences;

/// The loss of a run with these weights, by the forward pass alone.
fn loss(recurrent: &[Vec<f64>], readout: &[Vec<f64>]) -> f64 {
    let network = network::<f64>(recurrent, readout);
    let (mut state, mut loss) = (network.state(), 0.0);
    for (x, targets) in stream(12) {
        let outputs = network.forward(&mut state, &x).unwrap();
        let errors = outputs.iter().zip(targets).filter_map(|(o, d)| Some(d? - o));
        loss += 0.5 * errors.map(|e| e * e).sum::<f64>();
    }
    loss
}

#[test]
fn gradients_through_the_readout_are_those_of_the_loss() {
    let (recurrent, readout) = weights();
    let mut learner = Learner::builder(network::<f64>(&recurrent, &readout))
        .regime(Regime::Epochwise)
        .step_gradients(true)
        .build()
        .unwrap();
    let mut sums = [vec![0.0; UNITS * 8], vec![0.0; OUTPUTS * 8]];
    for (x, targets) in stream(12) {
        let report = learner.step(&x, Targets::Some(&targets)).unwrap();
        let matrices =
            [report.gradient.unwrap().recurrent(), report.gradient.unwrap().readout().unwrap()];
        for (sum, matrix) in sums.iter_mut().zip(matrices) {
            let values = matrix.to_rows().concat();
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
    let expected = [
        differences(|moved| loss(moved, &readout), &recurrent),
        differences(|moved| loss(&recurrent, moved), &readout),
    ];
    for (got, expected) in sums.iter().zip(&expected) {
        assert!(relative_to_largest(got, expected) < 1e-8);
    }
    // Negative control: the tolerance detects one wrong component.
    sums[0][3] *= 1.0 + 1e-3;
    assert!(relative_to_largest(&sums[0], &expected[0]) > 1e-8);
}

#[test]
fn peek_shows_the_next_output_and_changes_nothing() {
    let (mut learner, mut undisturbed) = (small::<f64>(), small::<f64>());
    for (x, targets) in stream(10) {
        learner.peek(&[9.0, -9.0]).unwrap();
        let ahead = learner.peek(&x).unwrap().to_vec();
        let report = learner.step(&x, Targets::Some(&targets)).unwrap();
        assert_eq!(report.outputs, ahead);
        let same = undisturbed.step(&x, Targets::Some(&targets)).unwrap();
        assert_eq!(report.outputs, same.outputs);
    }
    assert_eq!(learner.network().weights(), undisturbed.network().weights());
}

#[test]
fn a_network_alone_puts_out_what_a_learner_does_without_targets() {
    let mut learner = small::<f32>();
    let mut state = learner.state(0).unwrap().clone();
    for (x, _) in stream(10) {
        let x: Vec<f32> = x.into_iter().map(f32::from_f64).collect();
        let outputs = learner.network().forward(&mut state, &x).unwrap();
        assert_eq!(outputs, learner.clone().step(&x, Targets::None).unwrap().outputs);
        learner.step(&x, Targets::None).unwrap();
    }
}

#[test]
fn peek_takes_the_teacher_for_a_unit_that_is_forced() {
    let network = Network::<f64>::builder(3, 1).seed(2).build().unwrap();
    let mut learner = Learner::builder(network).teacher_forcing(true).build().unwrap();
    learner.step(&[0.3], Targets::Some(&[Some(0.9), None, Some(-0.9)])).unwrap();
    let ahead = learner.peek(&[0.1]).unwrap().to_vec();
    assert_eq!(learner.step(&[0.1], Targets::None).unwrap().outputs, ahead);
}

#[test]
fn a_clone_is_independent_of_the_original() {
    let mut learner = small::<f32>();
    let x = [0.1, -0.2];
    for _ in 0..5 {
        learner.step(&x, Targets::All(&[0.5; 3])).unwrap();
    }
    let mut clone = learner.clone();
    clone.step(&x, Targets::All(&[0.1; 3])).unwrap();
    let mut again = learner.clone();
    learner.step(&x, Targets::All(&[0.5; 3])).unwrap();
    again.step(&x, Targets::All(&[0.5; 3])).unwrap();
    assert_eq!(learner.network().weights(), again.network().weights());
    assert_ne!(learner.network().weights(), clone.network().weights());
}
