//! Weights that change, that do not, and that are set.

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::{InitialWeights, Learner, Network, Optimizer, Readout, Targets};

use super::{INPUTS, OUTPUTS, UNITS, small, stream};
use crate::fixtures::table;

/// A step whose targets are all absent is a step without a target: moments are unchanged, no
/// gradient is pending.
#[test]
fn without_a_target_the_optimiser_does_nothing() {
    let (mut learner, mut undisturbed) = (small::<f64>(), small::<f64>());
    for (x, targets) in stream(6) {
        for learner in [&mut learner, &mut undisturbed] {
            learner.step(&x, Targets::Some(&targets)).unwrap();
        }
        let before = learner.network().weights().clone();
        let report = learner.step(&x, Targets::Some(&[None; OUTPUTS])).unwrap();
        assert!(!report.updated && report.loss == 0.0);
        assert_eq!(report.gradient.unwrap().recurrent().to_rows(), vec![vec![0.0; 8]; UNITS]);
        undisturbed.step(&x, Targets::None).unwrap();
        assert_eq!(learner.network().weights(), &before);
        assert_eq!(learner.network().weights(), undisturbed.network().weights());
    }
    assert_eq!(learner.updates(), 6);
}

#[test]
fn absent_and_frozen_weights_never_change_under_any_optimiser() {
    let columns = INPUTS + 1 + UNITS;
    let mask = |seed| -> Vec<Vec<bool>> {
        let rows = table(UNITS, columns, seed);
        rows.into_iter().map(|row| row.into_iter().map(|value| value > 0.0).collect()).collect()
    };
    let (present, frozen) = (mask(11), mask(12));
    for optimizer in [
        Optimizer::sgd(0.1),
        Optimizer::momentum(0.1, 0.9),
        Optimizer::rmsprop(0.1),
        Optimizer::adam(0.1),
    ] {
        let network = Network::<f64>::builder(UNITS, INPUTS)
            .weights(InitialWeights::Uniform { bound: 0.5 })
            .connections(present.clone())
            .frozen(frozen.clone())
            .build()
            .unwrap();
        let before = network.weights().clone();
        let mut learner = Learner::builder(network).optimizer(optimizer).build().unwrap();
        for (x, _) in stream(10) {
            learner.step(&x, Targets::All(&[0.3; UNITS])).unwrap();
        }
        for i in 0..UNITS {
            for j in 0..columns {
                let after = learner.network().weights()[(i, j)];
                let learns = present[i][j] && !frozen[i][j];
                assert_eq!(after != before[(i, j)], learns, "weight {i}, {j}");
                assert!(present[i][j] || after == 0.0, "weight {i}, {j}");
            }
        }
    }
}

/// Least squares continue from weights that are set from outside.
#[test]
fn a_fitted_readout_goes_on_from_weights_that_are_set() {
    let readout = Readout::new(1).recursive_least_squares(1.0, 1e6);
    let network = Network::<f64>::builder(2, 1).readout(readout).build().unwrap();
    let mut learner = Learner::builder(network).build().unwrap();
    learner.set_readout_weights(&[1.0, 2.0, 3.0]).unwrap();
    // With this large penalty they hardly change.
    learner.step(&[0.5], Targets::All(&[0.0])).unwrap();
    let rows = learner.network().readout_weights().unwrap().to_rows();
    assert!(relative_to_largest(&rows[0], &[1.0, 2.0, 3.0]) < 1e-4, "{rows:?}");
}

#[test]
fn frozen_and_absent_weights_cannot_be_set() {
    let mut masks = [vec![vec![true; 3]], vec![vec![false; 3]]];
    (masks[0][0][0], masks[1][0][1]) = (false, true);
    let [present, frozen] = masks;
    let network = Network::<f64>::builder(1, 1)
        .weights(InitialWeights::given(vec![vec![0.5; 3]]))
        .connections(present)
        .frozen(frozen)
        .build()
        .unwrap();
    let mut learner = Learner::builder(network).build().unwrap();
    learner.set_weights(&[9.0; 3]).unwrap();
    assert_eq!(learner.network().weights().to_rows(), [[0.0, 0.5, 9.0]]);
}
