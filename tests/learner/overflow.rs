//! An overflow of p or of a gradient.

use rtrl_model::{
    Activation, EngineChoice, Error, InitialWeights, Isa, Learner, LearnerBuilder, Loss, Network,
    Optimizer, Pace, Quantity, Recovery, Regime, Targets, Timing,
};

/// Outputs remain small while the sensitivities grow by the factor `slope` per step: the derivative
/// does not match the value. Two units, one input.
fn wild(regime: Regime, slope: f64) -> LearnerBuilder<f32> {
    let activation = Activation::custom("wild", f64::sin, move |_| slope);
    let network = Network::<f32>::builder(2, 1)
        .activation(activation)
        .weights(InitialWeights::given(vec![vec![1.0; 4]; 2]))
        .isa(Isa::best())
        .build()
        .unwrap();
    let optimizer = Optimizer::sgd(1e-35);
    Learner::builder(network).regime(regime).optimizer(optimizer)
}

/// Steps without a target until p overflows; the number of good steps.
fn overflow(learner: &mut Learner<f32>) -> u64 {
    for _ in 0..100 {
        let step = learner.steps();
        match learner.step(&[0.5], Targets::None) {
            Ok(_) => {}
            Err(Error::Overflow { step: at, quantity: Quantity::Sensitivities }) => {
                assert_eq!((at, learner.steps()), (step, step));
                return step;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("p does not overflow");
}

#[test]
fn after_an_overflow_the_weights_stand_the_state_has_moved_and_a_reset_helps() {
    let window = Some(2);
    let deferred = [Pace::Bursts, Pace::Even].map(|pace| EngineChoice::Deferred { window, pace });
    for engine in [EngineChoice::Eager].into_iter().chain(deferred) {
        let mut learner = wild(Regime::real_time(), 50.0).engine(engine).build().unwrap();
        let network = learner.network().clone();
        let mut state = network.state();
        let steps = overflow(&mut learner);
        for _ in 0..=steps {
            network.forward(&mut state, &[0.5]).unwrap();
        }
        assert_eq!(learner.state(0).unwrap().values(), state.values());
        assert_eq!(learner.network().weights(), network.weights());
        assert!(matches!(
            learner.step(&[0.5], Targets::None),
            Err(Error::SensitivitiesLost { step }) if step == steps
        ));
        assert_eq!(learner.state(0).unwrap().values(), state.values());
        learner.reset_sensitivities().unwrap();
        let report = learner.step(&[0.5], Targets::All(&[0.0, 0.0])).unwrap();
        assert_eq!(report.step, steps);
    }
}

/// The deferred engine detects at a step with a target what a full window would have shown later.
#[test]
fn a_gradient_that_overflows_in_the_window_is_reported_before_anything_changes() {
    let learner = wild(Regime::real_time(), 1e10).engine(EngineChoice::DEFERRED);
    let mut learner = learner.build().unwrap();
    for _ in 0..6 {
        learner.step(&[0.5], Targets::None).unwrap();
    }
    let before = learner.clone();
    let error = learner.step(&[0.5], Targets::All(&[9.0, 9.0])).unwrap_err();
    let expected = Error::Overflow { step: 6, quantity: Quantity::Gradient };
    assert_eq!(error.to_string(), expected.to_string());
    assert_eq!(learner.network().weights(), before.network().weights());
    assert_ne!(learner.state(0).unwrap().values(), before.state(0).unwrap().values());
    assert_eq!((learner.steps(), learner.updates()), (6, 0));
    learner.reset_sensitivities().unwrap();
    assert!(learner.step(&[0.5], Targets::All(&[0.0, 0.0])).unwrap().updated);
}

/// Gradients that the learner has accumulated or that are pending before an overflow are still
/// applied after it; those that the engine has accumulated are lost with p.
#[test]
fn an_overflow_keeps_gradients_that_the_learner_holds() {
    let late = Regime::RealTime { timing: Timing::AfterNextStep, every: 1 };
    for (regime, in_learner) in
        [(Regime::Epochwise, true), (Regime::Epochwise, false), (late, true)]
    {
        let apply = |mut learner: Learner<f32>| {
            match regime {
                Regime::Epochwise => learner.end_epoch(&[0.0; 2]).unwrap(),
                Regime::RealTime { .. } => assert!(learner.finish().unwrap()),
            }
            learner.into_network().weights().to_rows()
        };
        let mut learner = wild(regime, 1e30).step_gradients(in_learner).build().unwrap();
        let before = learner.network().weights().to_rows();
        learner.step(&[0.5], Targets::All(&[9.0, -9.0])).unwrap();
        let undisturbed = apply(learner.clone());
        assert_eq!(overflow(&mut learner), 1);
        learner.reset_sensitivities().unwrap();
        assert_eq!(&apply(learner), if in_learner { &undisturbed } else { &before });
        assert_ne!(undisturbed, before);
    }
}

/// A step in which p overflowed and was set to 0 has no gradient, in particular not that of the
/// previous step.
#[test]
fn a_recovered_overflow_reports_no_gradient() {
    let recovery = Recovery { reset_sensitivities: true, skip_updates: false };
    let mut learner = wild(Regime::real_time(), 1e30).recovery(recovery).build().unwrap();
    let report = learner.step(&[0.5], Targets::All(&[1.0; 2])).unwrap();
    assert!(report.gradient.is_some());
    let report = learner.step(&[0.5], Targets::All(&[1.0; 2])).unwrap();
    assert_eq!((report.recoveries.resets, report.gradient.is_none()), (1, true));
}

/// Of several faults of a step, this order decides which is reported: the length of the targets, a
/// target that is not finite, lost sensitivities, the input, the loss.
#[test]
fn the_first_of_several_faults_is_reported() {
    let (nan, large) = (f32::NAN, f32::MAX);
    for loss in [Loss::SquaredError, Loss::Huber { delta: 1.0 }] {
        let mut learner = wild(Regime::real_time(), 50.0).loss(loss).build().unwrap();
        overflow(&mut learner);
        for is_lost in [true, false] {
            for input in [[0.5f32], [nan]] {
                let mut fault = |targets: &[f32]| {
                    learner.step(&input, Targets::All(targets)).map(|_| ()).unwrap_err()
                };
                let error = fault(&[nan]);
                assert!(matches!(error, Error::TargetLength { expected: 2, got: 1 }), "{error}");
                let error = fault(&[large, nan]);
                assert!(
                    matches!(error, Error::NonFinite { quantity: Quantity::Target, index: 1, .. }),
                    "{error}"
                );
                let (error, bad_input) = (fault(&[large, -large]), input[0].is_nan());
                let is_right = match &error {
                    Error::SensitivitiesLost { .. } => is_lost,
                    Error::NonFinite { quantity: Quantity::Input, .. } => !is_lost && bad_input,
                    Error::NonFinite { quantity: Quantity::Error | Quantity::Loss, .. } => {
                        !is_lost && !bad_input
                    }
                    _ => false,
                };
                assert!(is_right, "{error}: lost {is_lost}, input {input:?}");
            }
            learner.reset_sensitivities().unwrap();
        }
    }
}
