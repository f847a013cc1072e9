//! Streams that are added to a learner that runs, and steps of one stream.

use super::*;
use rtrl_model::{StoredLearner, Supplies};
use serde_json::Value;

/// The streams that step, one in each step; a new one is the next number.
fn turns(steps: usize) -> Vec<usize> {
    let mut generator = Generator::new(11);
    let (mut known, mut turns) = (1, Vec::new());
    for step in 0..steps {
        if known < 4 && step % 9 == 8 {
            turns.push(known);
            known += 1;
        } else {
            turns.push(generator.below(known));
        }
    }
    turns
}

/// All engines, with and without a readout, which learns in either way, and with sums of several
/// steps.
fn builders() -> Vec<(&'static str, LearnerBuilder<f64>)> {
    let readout = Readout::new(2).with_inputs().weights(ReadoutWeights::Normal { gain: 1.0 });
    let build = |readout: Option<Readout>, layers: Layers| {
        let network = layers.builder::<f64>();
        let network = match readout {
            Some(readout) => network.readout(readout).build(),
            None => network.build(),
        };
        let rate = Optimizer::adam(0.01);
        Learner::builder(network.unwrap()).optimizer(rate).threads(Threads::SERIAL)
    };
    let fitted = readout.clone().recursive_least_squares(0.99, 0.1);
    let deferred = |pace| EngineChoice::Deferred { window: Some(3), pace };
    let late = Regime::RealTime { every: 1, timing: Timing::AfterNextStep };
    let every = Regime::RealTime { every: 3, timing: Timing::Immediate };
    vec![
        ("eager", build(None, SIMPLE).engine(EngineChoice::Eager)),
        ("bursts", build(Some(readout.clone()), SIMPLE).engine(deferred(Pace::Bursts))),
        ("even", build(Some(fitted), SIMPLE).engine(deferred(Pace::Even))),
        ("chain", build(Some(readout.clone()), Layers::Chain)),
        ("decay", build(None, SIMPLE).sensitivity_decay(0.9)),
        ("late", build(Some(readout.clone()), SIMPLE).regime(late)),
        ("sums", build(Some(readout.clone()), SIMPLE).regime(every)),
        ("deferred sums", build(Some(readout), SIMPLE).regime(every).engine(deferred(Pace::Even))),
        ("epochwise", build(None, SIMPLE).regime(Regime::Epochwise)),
    ]
}

/// The same learner from a file.
fn stored(learner: &Learner<f64>) -> Learner<f64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("learner");
    learner.save(&path, &Value::Null).unwrap();
    StoredLearner::open(&path).unwrap().learner(&Supplies::default()).unwrap()
}

/// Steps a learner that was built with all streams and one whose streams are added, which is stored
/// now and then, and returns the first difference.
fn difference(builder: &LearnerBuilder<f64>, odd: Option<usize>) -> Option<String> {
    let mut whole = builder.clone().streams(4).build().unwrap();
    let mut growing = builder.clone().build().unwrap();
    let outputs = growing.network().outputs();
    let mut generator = Generator::new(5);
    for (step, &turn) in turns(90).iter().enumerate() {
        if turn == growing.streams() {
            assert_eq!(growing.add_stream().unwrap(), turn);
        }
        let (x, d) = sample(&mut generator, outputs);
        let mut samples = vec![None; 4];
        samples[turn] = Some((x.as_slice(), Targets::Some(&d)));
        let expected = whole.step_streams(&samples).unwrap();
        let turn = if odd == Some(step) { (turn + 1) % growing.streams() } else { turn };
        let report = growing.step_stream(turn, &x, Targets::Some(&d)).unwrap();
        if odd.is_none() {
            let places = turn * outputs..(turn + 1) * outputs;
            assert_eq!(report.outputs, &expected.outputs[places.clone()], "{step}");
            assert_eq!(report.errors, &expected.errors[places], "{step}");
            assert_eq!((report.loss, report.updated), (expected.loss, expected.updated));
            assert_eq!(report.gradient.is_some(), expected.gradient.is_some());
        }
        if step % 13 == 12 {
            growing = stored(&growing);
        }
    }
    assert_eq!(growing.streams(), 4);
    // Only epochs have not changed any weight.
    if growing.updates() == 0 {
        let rest = growing.network().initial_state().to_vec();
        for learner in [&mut whole, &mut growing] {
            learner.end_epoch(&rest).unwrap();
        }
    }
    growing.first_difference(&whole).unwrap()
}

#[test]
fn a_stream_that_is_added_is_one_that_has_skipped_all_steps() {
    for (name, builder) in builders() {
        assert_eq!(difference(&builder, None), None, "{name}");
    }
}

/// Negative control: a step of another stream.
#[test]
fn a_step_of_another_stream_is_noticed() {
    for (name, builder) in builders() {
        assert!(difference(&builder, Some(60)).is_some(), "{name}");
    }
}

/// The first stream has lost p, and has gradients that were not read: neither is the new stream's.
#[test]
fn a_new_stream_has_nothing_of_the_first() {
    let network = Network::<f64>::builder(2, 1).activation(rtrl_model::Activation::Identity);
    let network = network.weights(InitialWeights::Orthogonal { gain: 1e60 }).build().unwrap();
    let mut learner = Learner::builder(network).build().unwrap();
    while learner.step(&[1.0], Targets::None).is_ok() {}
    let added = learner.add_stream().unwrap();
    learner.step_stream(added, &[1.0], Targets::None).unwrap();
    let error = learner.step_stream(7, &[1.0], Targets::None).unwrap_err();
    assert!(matches!(error, Error::NoStream { streams: 2, got: 7 }), "{error}");
    let error = learner.step_stream(1, &[], Targets::None).unwrap_err().to_string();
    assert!(error.contains("stream 1"), "{error}");
    assert!(learner.step_streams(&[None]).is_err());
}
