//! Streams that overflow, and sums over streams that do.

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::{
    Activation, EngineChoice, Error, InitialWeights, Learner, LearnerBuilder, Network, Optimizer,
    Readout, ReadoutWeights, Recovery, Regime, Targets, Timing,
};

use super::ENGINES;

/// Sensitivities grow by a factor of 1e10 a step in a stream whose input is 1, and not at all in
/// one whose input is 0.
fn wild(recovery: Recovery) -> Learner<f32> {
    wild_builder().recovery(recovery).build().unwrap()
}

fn wild_builder() -> LearnerBuilder<f32> {
    let slope = |s: f64| if s > 0.5 { 1e10 } else { 0.0 };
    let network = Network::<f32>::builder(1, 1)
        .activation(Activation::custom("wild", |_| 0.0, slope))
        .weights(InitialWeights::given(vec![vec![1.0, 0.0, 1.0]]))
        .build()
        .unwrap();
    Learner::builder(network).optimizer(Optimizer::sgd(1e-30)).streams(3)
}

/// One linear unit whose weights are 0.
fn linear() -> Network<f64> {
    let weights = InitialWeights::given(vec![vec![0.0; 3]]);
    let builder = Network::builder(1, 1).activation(Activation::Identity);
    builder.weights(weights).build().unwrap()
}

/// Each stream's gradient is finite, but not their sum.
#[test]
fn a_sum_of_streams_that_overflows_is_refused_and_does_not_wait() {
    let network = linear();
    for timing in [Timing::Immediate, Timing::AfterNextStep] {
        let mut learner = Learner::builder(network.clone())
            .regime(Regime::RealTime { timing, every: 1 })
            .streams(2)
            .build()
            .unwrap();
        let (x, d) = ([1.5e154], [-1.1e154]);
        let samples = [Some((&x[..], Targets::All(&d[..]))); 2];
        let error = learner.step_streams(&samples).unwrap_err();
        assert!(matches!(error, Error::UpdateRefused { .. }), "{error}");
        assert_eq!((learner.steps(), learner.updates()), (1, 0));
        learner.reset(&[0.0]).unwrap();
        let (x, d) = ([1.0], [0.5]);
        learner.step_streams(&[Some((&x[..], Targets::All(&d[..]))); 2]).unwrap();
        let late = timing == Timing::AfterNextStep;
        assert_eq!(learner.updates(), u64::from(!late), "{timing:?}");
        assert_eq!(learner.finish().unwrap(), late, "{timing:?}");
        assert_eq!(learner.updates(), 1, "{timing:?}");
        assert!(learner.network().weights().to_rows()[0].iter().all(|w| w.is_finite()));
    }
}

/// It must not pass the check before the engines' share of it has been added: a rule that maps it
/// to finite directions would change the weights.
#[test]
fn an_accumulated_sum_of_streams_that_overflows_is_refused_too() {
    let network = linear();
    let (x, d) = ([1.5e154], [-1.1e154]);
    let with = Some((&x[..], Targets::All(&d[..])));
    let without = Some((&x[..], Targets::None));
    for timing in [Timing::Immediate, Timing::AfterNextStep] {
        let regime = Regime::RealTime { timing, every: 2 };
        let builder = Learner::builder(network.clone()).regime(regime).streams(2);
        let mut learner = builder.build().unwrap();
        learner.step_streams(&[without; 2]).unwrap();
        let error = learner.step_streams(&[with; 2]).unwrap_err();
        assert!(matches!(error, Error::UpdateRefused { .. }), "{timing:?}: {error}");
        assert!(!learner.finish().unwrap(), "{timing:?}");
    }
    let mut learner =
        Learner::builder(network).regime(Regime::Epochwise).streams(2).build().unwrap();
    learner.step_streams(&[with; 2]).unwrap();
    let error = learner.accumulated_gradient().unwrap_err();
    assert!(matches!(error, Error::UpdateRefused { .. }), "{error}");
    let gradient = learner.accumulated_gradient().unwrap().unwrap();
    assert!(gradient.recurrent().to_rows().concat().iter().all(|&g| g == 0.0));
}

/// The readout's part of a sum overflows while the engine still holds the part of W.
#[test]
fn what_belongs_to_a_dropped_sum_is_dropped_in_the_engines() {
    let weights = |step_gradients| {
        let readout = Readout::new(1).without_bias();
        let readout = readout.weights(ReadoutWeights::given(vec![vec![1e-19]]));
        let network = Network::<f32>::builder(1, 1)
            .bias(false)
            .activation(Activation::Identity)
            .weights(InitialWeights::given(vec![vec![1.0, 0.0]]))
            .readout(readout)
            .build()
            .unwrap();
        let mut learner = Learner::builder(network)
            .regime(Regime::RealTime { timing: Timing::Immediate, every: 4 })
            .optimizer(Optimizer::sgd(1e-3))
            .engine(EngineChoice::Eager)
            .step_gradients(step_gradients)
            .build()
            .unwrap();
        let mut step = |x: f32, d: f32| learner.step(&[x], Targets::All(&[d])).map(drop);
        step(2e19, 1e19).unwrap();
        assert!(matches!(step(2e19, 1e19), Err(Error::UpdateRefused { .. })));
        step(1.0, 1.0).unwrap();
        step(1.0, 1.0).unwrap();
        learner.network().weights().to_rows().concat()
    };
    assert!(relative_to_largest(&weights(false), &weights(true)) < 1e-6);
}

/// A stream that has lost its p and skips steps does not stop the others from learning.
#[test]
fn an_epoch_ends_although_a_stream_has_lost_its_sensitivities() {
    for engine in ENGINES {
        let builder = wild_builder().regime(Regime::Epochwise).engine(engine);
        let mut learner = builder.build().unwrap();
        let (calm, loud, d) = ([0.0f32], [1.0f32], [0.5f32]);
        let taught = Some((&calm[..], Targets::All(&d)));
        let loud = [None, Some((&loud[..], Targets::None)), None];
        let error = (0..20).find_map(|_| learner.step_streams(&loud).err()).unwrap();
        assert!(matches!(error, Error::InStream { stream: 1, .. }), "{error}");
        for _ in 0..12 {
            learner.step_streams(&[taught, None, taught]).unwrap();
        }
        assert!(learner.step_streams(&[taught; 3]).is_err());
        assert!(learner.accumulated_gradient().unwrap().is_some(), "{engine:?}");
        learner.end_epoch(&[0.0]).unwrap();
        assert_eq!(learner.updates(), 1);
        learner.step_streams(&[taught; 3]).unwrap();
    }
}

/// Such an update may be skipped; the step then reports no gradient rather than an infinite one.
#[test]
fn a_step_never_reports_a_gradient_that_is_not_finite() {
    let network = linear();
    let regimes = [
        Regime::Epochwise,
        Regime::RealTime { timing: Timing::Immediate, every: 2 },
        Regime::RealTime { timing: Timing::Immediate, every: 1 },
        Regime::RealTime { timing: Timing::AfterNextStep, every: 1 },
    ];
    for regime in regimes {
        let mut learner = Learner::builder(network.clone())
            .regime(regime)
            .streams(2)
            .step_gradients(true)
            .recovery(Recovery { reset_sensitivities: false, skip_updates: true })
            .build()
            .unwrap();
        for (x, d, reported) in [(1.0, 0.5, true), (1.5e154, -1.1e154, false), (1.0, 0.5, true)] {
            let (x, d) = ([x], [d]);
            let samples = [Some((&x[..], Targets::All(&d[..]))); 2];
            let report = learner.step_streams(&samples).unwrap();
            assert_eq!(report.gradient.is_some(), reported, "{regime:?}");
            assert_eq!(report.recoveries.skipped_updates, u64::from(report.step > 0));
            learner.reset(&[0.0]).unwrap();
        }
    }
}

#[test]
fn an_overflow_loses_p_of_one_stream_only() {
    let (calm, loud) = ([0.0f32], [1.0f32]);
    let samples = [&calm, &loud, &calm].map(|x: &[f32; 1]| Some((&x[..], Targets::None)));
    let mut learner = wild(Recovery::default());
    let mut steps = 0;
    let error = loop {
        match learner.step_streams(&samples) {
            Ok(_) => steps += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::InStream { stream: 1, .. }), "{error}");
    assert!(matches!(error.cause(), Error::Overflow { .. }), "{error}");
    assert_eq!(learner.steps(), steps);
    let error = learner.step_streams(&samples).unwrap_err();
    assert!(matches!(error.cause(), Error::SensitivitiesLost { .. }), "{error}");
    let [first, _, last] = samples;
    learner.step_streams(&[first, None, last]).unwrap();
    learner.reset_stream(1, &[0.0]).unwrap();
    learner.step_streams(&samples).unwrap();

    let recovery = Recovery { reset_sensitivities: true, skip_updates: false };
    let mut learner = wild(recovery);
    let mut resets = 0;
    for _ in 0..20 {
        resets = learner.step_streams(&samples).unwrap().recoveries.resets;
    }
    assert!((3..=6).contains(&resets), "{resets}");
    assert_eq!(learner.recoveries().resets, resets);
    assert_eq!(learner.steps(), 20 - resets);
}
