//! Options that contradict each other, and labels that are no probabilities.

use rtrl_model::{
    Activation, Error, Learner, LearnerBuilder, Loss, Network, Readout, Regime, Targets,
};

use super::{INPUTS, OUTPUTS, UNITS, quartic};

#[test]
fn what_does_not_fit_together_is_refused() {
    let plain = || Network::<f64>::builder(UNITS, INPUTS);
    let read = || plain().readout(Readout::new(OUTPUTS)).build().unwrap();
    let layer = Readout::new(OUTPUTS).recursive_least_squares(0.99, 0.1);
    let fitted = || plain().readout(layer.clone()).build().unwrap();
    let units = || plain().build().unwrap();
    let logits = || plain().activation(Activation::Identity).build().unwrap();
    let refused = |builder: LearnerBuilder<f64>| match builder.build() {
        Err(Error::Setting { what, .. }) => what,
        other => panic!("expected a setting to be refused, got {other:?}"),
    };
    let learner = Learner::builder;
    assert_eq!(refused(learner(fitted()).regime(Regime::Epochwise)), "regime");
    for loss in [Loss::Huber { delta: 1.0 }, Loss::SoftmaxCrossEntropy, quartic(1.0)] {
        assert_eq!(refused(learner(fitted()).loss(loss)), "loss");
    }
    assert_eq!(
        refused(learner(fitted()).readout_learning_rate(0.1)),
        "learning rate of the readout"
    );
    for decay in [0.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
        let refused = refused(learner(units()).sensitivity_decay(decay));
        assert_eq!(refused, "decay of the sensitivities");
    }
    assert_eq!(refused(learner(read()).teacher_forcing(true)), "teacher forcing");
    for loss in [Loss::BinaryCrossEntropy, Loss::SoftmaxCrossEntropy] {
        refused(learner(units()).loss(loss.clone()));
        learner(logits()).loss(loss.clone()).teacher_forcing(true).build().unwrap();
        learner(read()).loss(loss).build().unwrap();
    }
    for delta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(learner(units()).loss(Loss::Huber { delta })), "Huber's delta");
    }
    for loss in [Loss::SquaredError, Loss::Huber { delta: 1.0 }, quartic(1.0)] {
        learner(units()).loss(loss).teacher_forcing(true).build().unwrap();
    }
    let mut three = learner(units()).streams(3).build().unwrap();
    let error = three.step_streams(&[Some((&[0.0; INPUTS][..], Targets::None)); 2]).unwrap_err();
    assert!(matches!(error, Error::StreamCount { expected: 3, got: 2 }), "{error}");
}

#[test]
fn labels_that_are_no_probabilities_change_nothing() {
    let network = Network::<f64>::builder(UNITS, INPUTS).readout(Readout::new(2)).build().unwrap();
    for loss in [Loss::BinaryCrossEntropy, Loss::SoftmaxCrossEntropy] {
        let mut learner = Learner::builder(network.clone()).loss(loss.clone()).build().unwrap();
        let twin = learner.clone();
        for labels in [[-0.1, 1.1], [1.5, 0.0]] {
            let error = learner.step(&[0.5; INPUTS], Targets::All(&labels)).unwrap_err();
            assert!(matches!(error, Error::Labels { step: 0, .. }), "{error}");
        }
        if let Loss::SoftmaxCrossEntropy = loss {
            for labels in [[Some(0.5), Some(0.4)], [Some(1.0), None]] {
                let error = learner.step(&[0.5; INPUTS], Targets::Some(&labels)).unwrap_err();
                assert!(matches!(error, Error::Labels { step: 0, .. }), "{error}");
            }
        }
        let weights = |mut learner: Learner<f64>| {
            for _ in 0..5 {
                learner.step(&[0.5; INPUTS], Targets::All(&[1.0, 0.0])).unwrap();
            }
            learner.into_network().weights().clone()
        };
        assert_eq!(weights(learner), weights(twin));
    }
}
