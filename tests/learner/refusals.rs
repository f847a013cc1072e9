//! Input, sums and updates that are refused.

use rtrl_model::{
    Activation, Clipping, Error, InitialWeights, Learner, Network, Optimizer, Quantity, Readout,
    ReadoutWeights, Regime, Targets, Timing,
};

use super::{UNITS, network, small, stream, weights};

#[test]
fn bad_input_is_named_and_leaves_the_learner_as_it_was() {
    let (mut learner, mut undisturbed) = (small::<f64>(), small::<f64>());
    for (x, targets) in stream(6) {
        let nan = f64::NAN;
        assert!(matches!(
            learner.step(&[0.0; 3], Targets::None),
            Err(Error::InputLength { expected: 2, got: 3 })
        ));
        assert!(matches!(
            learner.step(&x, Targets::All(&[0.0; 2])),
            Err(Error::TargetLength { expected: 3, got: 2 })
        ));
        let bad = learner.step(&[0.0, nan], Targets::None).unwrap_err();
        assert!(matches!(bad, Error::NonFinite { quantity: Quantity::Input, index: 1, .. }));
        let bad = learner.step(&x, Targets::Some(&[None, None, Some(nan)])).unwrap_err();
        assert!(matches!(bad, Error::NonFinite { quantity: Quantity::Target, index: 2, .. }));
        let bad = learner.step(&x, Targets::All(&[f64::MAX, 0.0, 0.0])).unwrap_err();
        assert!(matches!(bad, Error::NonFinite { quantity: Quantity::Loss, .. }));
        assert!(learner.peek(&[nan, 0.0]).is_err());
        assert!(learner.reset(&[nan; UNITS]).is_err());
        assert!(learner.reset(&[0.0; 2]).is_err());
        assert!(matches!(learner.end_epoch(&[0.0; UNITS]), Err(Error::Regime { .. })));
        let report = learner.step(&x, Targets::Some(&targets)).unwrap();
        let same = undisturbed.step(&x, Targets::Some(&targets)).unwrap();
        assert_eq!((report.step, report.outputs), (same.step, same.outputs));
        assert_eq!(report.gradient.unwrap().recurrent(), same.gradient.unwrap().recurrent());
    }
    assert_eq!(learner.network().weights(), undisturbed.network().weights());
}

/// A sum that overflows is refused even if clipping would make it finite again.
#[test]
fn a_gradient_that_is_not_finite_never_becomes_a_change() {
    let network = || {
        let weights = InitialWeights::given(vec![vec![0.0; 3]]);
        let readout = Readout::new(1).with_inputs();
        Network::<f32>::builder(1, 1).weights(weights).readout(readout).build().unwrap()
    };
    let clipping = Clipping { value: Some(0.5), norm: None };
    let mut learner = Learner::builder(network()).clipping(clipping).build().unwrap();
    let error = learner.step(&[1e38], Targets::All(&[1e10])).unwrap_err();
    assert!(matches!(error, Error::NonFinite { quantity: Quantity::Gradient, .. }), "{error}");
    assert_eq!(learner.steps(), 0);
    let report = learner.step(&[1.0], Targets::None).unwrap();
    assert_eq!(report.gradient.unwrap().readout().unwrap().to_rows(), vec![vec![0.0; 3]]);

    let every = 2;
    let regime = Regime::RealTime { timing: Timing::Immediate, every };
    let learner = Learner::builder(network()).clipping(clipping).regime(regime);
    let mut learner = learner.build().unwrap();
    learner.step(&[3e38], Targets::All(&[1.0])).unwrap();
    let error = learner.step(&[3e38], Targets::All(&[1.0])).unwrap_err();
    assert!(matches!(error, Error::UpdateRefused { quantity: Quantity::Gradient, .. }), "{error}");
    assert_eq!(learner.network().readout_weights().unwrap().to_rows(), vec![vec![0.0; 3]]);
}

/// A rectifier must not turn NaN into 0, nor tanh an infinite sum into 1.
#[test]
fn a_sum_that_is_not_finite_is_an_error_whatever_the_activation() {
    for (activation, weights, x) in [
        (Activation::Relu, vec![1e30, -1e30, 0.0], [1e30; 2]),
        (Activation::Tanh, vec![1e30, 1e30, 0.0], [1e30; 2]),
    ] {
        let network = Network::<f32>::builder(1, 2)
            .bias(false)
            .activation(activation)
            .weights(InitialWeights::given(vec![weights]))
            .build();
        let network = network.unwrap();
        let error = network.forward(&mut network.state(), &x).unwrap_err();
        assert!(matches!(error, Error::NonFinite { quantity: Quantity::Sum, index: 0, .. }));
    }
}

#[test]
fn a_slope_or_an_output_that_is_not_finite_is_named() {
    let quantity = |network: Network<f64>| {
        let mut state = network.state();
        let error = network.forward(&mut state, &[1.0]).unwrap_err();
        assert_eq!(state.values(), network.initial_state());
        match error {
            Error::NonFinite { quantity, .. } => quantity,
            other => panic!("{other}"),
        }
    };
    let builder = || Network::<f64>::builder(1, 1);
    let steep = Activation::custom("steep", |s| s, |_| f64::INFINITY);
    assert_eq!(quantity(builder().activation(steep).build().unwrap()), Quantity::Slope);
    let absent = Activation::custom("absent", |_| f64::NAN, |_| 0.0);
    assert_eq!(quantity(builder().activation(absent).build().unwrap()), Quantity::UnitOutput);
    let readout = Readout::new(1).weights(ReadoutWeights::given(vec![vec![1e308, 1e308]]));
    let large = Activation::custom("large", |_| 1e10, |_| 0.0);
    let network = builder().activation(large).readout(readout).build().unwrap();
    assert_eq!(quantity(network), Quantity::Output);
}

/// A refused late update keeps the gradient of the current step, and an epoch that ends in a
/// refusal is still reset.
#[test]
fn a_refused_update_leaves_the_rest_of_the_schedule() {
    let every = 1;
    let late = Regime::RealTime { timing: Timing::AfterNextStep, every };
    let learner = |regime| {
        let weights = InitialWeights::given(vec![vec![0.0, 0.0, 0.0]]);
        let network = Network::<f32>::builder(1, 1).weights(weights).build().unwrap();
        let optimizer = Optimizer::sgd(1e38);
        Learner::builder(network).regime(regime).optimizer(optimizer).build().unwrap()
    };
    let mut refusing = learner(late);
    refusing.step(&[1.0], Targets::All(&[1e3])).unwrap();
    let error = refusing.step(&[1.0], Targets::All(&[1e-3])).unwrap_err();
    assert!(matches!(error, Error::UpdateRefused { .. }));
    assert_eq!((refusing.steps(), refusing.updates()), (2, 0));
    assert!(refusing.finish().unwrap());
    assert!(!refusing.finish().unwrap());
    assert_eq!(refusing.updates(), 1);

    let mut epochwise = learner(Regime::Epochwise);
    epochwise.step(&[1.0], Targets::All(&[1e3])).unwrap();
    assert!(matches!(epochwise.end_epoch(&[0.25]), Err(Error::UpdateRefused { .. })));
    assert_eq!(epochwise.state(0).unwrap().values(), [0.25]);
    assert_eq!(epochwise.sensitivities(0).unwrap().to_rows(), vec![vec![0.0; 3]]);
    epochwise.end_epoch(&[0.0]).unwrap();
    assert_eq!(epochwise.updates(), 0);
}

#[test]
fn an_update_that_is_not_finite_is_refused_and_the_rest_stands() {
    for optimizer in [
        Optimizer::sgd(1e38),
        Optimizer::momentum(1e38, 0.9),
        Optimizer::rmsprop(1e38),
        Optimizer::adam(1e38),
    ] {
        let (recurrent, readout) = weights();
        let mut learner = Learner::builder(network::<f32>(&recurrent, &readout))
            .optimizer(optimizer)
            .build()
            .unwrap();
        let before = learner.network().weights().clone();
        let state = learner.state(0).unwrap().values().to_vec();
        let error = learner.step(&[1.0, 1.0], Targets::All(&[1e3; 3])).unwrap_err();
        assert!(matches!(error, Error::UpdateRefused { step: 1, quantity: Quantity::Weights }));
        assert_eq!(learner.network().weights(), &before);
        assert_ne!(learner.state(0).unwrap().values(), state);
        assert_eq!((learner.steps(), learner.updates()), (1, 0));
        learner.step(&[1.0, 1.0], Targets::None).unwrap();
    }
}
