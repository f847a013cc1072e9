//! Forecasts and free runs against the reference, which replays everything from the start.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;

use rtrl_bench::generators::Recipe;
use rtrl_bench::reference;
use rtrl_model::store::case::{Case, TimingName};
use rtrl_model::{
    Cell, EngineChoice, Error, Forecaster, Isa, Learner, Network, Real, StoredLearner, Supplies,
    Targets,
};

const STEPS: usize = 30;

fn case(forcing: bool) -> Case {
    recipe(forcing).case()
}

/// Networks of all cells, of several layers and in heads: what they are, and the case.
fn cases() -> Vec<(&'static str, Case)> {
    let chain = [(Cell::Lstm, 3), (Cell::Simple, 4), (Cell::Gru, 2)];
    let mut heads = recipe(false).chain(&[(Cell::Gru, 4), (Cell::Lstm, 6)]);
    heads.layers.iter_mut().for_each(|layer| layer.heads_of = Some(2));
    vec![
        ("simple", case(false)),
        ("simple, forced", case(true)),
        ("gru, forced", recipe(true).chain(&[(Cell::Gru, 5)])),
        ("lstm", recipe(false).chain(&[(Cell::Lstm, 4)])),
        ("lstm, forced", recipe(true).chain(&[(Cell::Lstm, 4)])),
        ("chain", recipe(false).chain(&chain)),
        ("heads", heads),
    ]
}

fn recipe(forcing: bool) -> Recipe {
    Recipe {
        units: 5,
        steps: STEPS,
        seed: 11,
        mixed: true,
        leaky: 0.6,
        targets: 0.7,
        forcing,
        density: 0.8,
        frozen: 0.2,
        ..Recipe::default()
    }
}

fn learner<T: Real>(case: &Case) -> Learner<T> {
    let learner = case.learner::<T>(Isa::best()).unwrap();
    learner.engine(EngineChoice::Eager).build().unwrap()
}

fn numbers<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| T::from_f64(value)).collect()
}

fn labels<T: Real>(values: &[Option<f64>]) -> Vec<Option<T>> {
    values.iter().map(|value| value.map(T::from_f64)).collect()
}

fn exact<T: Real>(values: &[T]) -> Vec<f64> {
    values.iter().map(|value| value.to_f64()).collect()
}

/// The last output of the reference if only the first `labelled` of the first `steps` steps have
/// targets.
fn replayed<T: Real>(case: &Case, steps: usize, labelled: usize) -> Vec<f64> {
    let mut case = case.clone();
    case.x.truncate(steps);
    case.targets.truncate(steps);
    case.targets[labelled..].iter_mut().flatten().for_each(|target| *target = None);
    reference::run::<T>(&case).outputs.pop().unwrap()
}

/// Whether every forecast of a run is that of the reference; `labelled` says how many of the first
/// steps had labels when `calls` calls have been made.
fn forecasts_agree<T: Real>(
    case: &Case,
    horizon: usize,
    labelled: impl Fn(usize) -> usize,
) -> bool {
    let mut forecaster = Forecaster::new(learner::<T>(case), horizon).unwrap();
    (0..STEPS).all(|t| {
        let label = t.checked_sub(horizon).map(|pair| labels(&case.targets[pair]));
        let label = label.as_deref().map_or(Targets::None, Targets::Some);
        let report = forecaster.observe(&numbers::<T>(&case.x[t]), label).unwrap();
        assert_eq!(report.is_some(), t >= horizon);
        let forecast = exact(forecaster.forecast().unwrap());
        assert_eq!(exact(forecaster.forecast().unwrap()), forecast);
        forecast == replayed::<T>(case, t + 1, labelled(t + 1))
    })
}

#[test]
fn forecasts_are_those_of_an_explicit_replay() {
    for (name, case) in cases() {
        for horizon in [1, 2, 5, 29] {
            let pairs = |calls: usize| calls.saturating_sub(horizon);
            assert!(forecasts_agree::<f64>(&case, horizon, pairs), "{name}, {horizon}");
            assert!(forecasts_agree::<f32>(&case, horizon, pairs), "{name}, {horizon}");
        }
        // Negative control: one label more.
        assert!(!forecasts_agree::<f64>(&case, 2, |calls| calls.saturating_sub(1)), "{name}");
    }
}

/// The next input, made of the outputs.
fn feedback<T: Real>(outputs: &[T], input: &mut [T]) {
    for (input, &output) in input.iter_mut().zip(outputs) {
        *input = output * T::from_f64(0.5);
    }
}

fn generated<T: Real>() {
    for (name, mut case) in cases() {
        let mut learner = learner::<T>(&case);
        for (x, d) in case.x.iter().zip(&case.targets) {
            learner.step(&numbers::<T>(x), Targets::Some(&labels(d))).unwrap();
        }
        let before = learner.clone();
        let rows = learner.generate(0, 12, |_, outputs, input| feedback(outputs, input)).unwrap();
        assert_eq!(rows.len(), 12);
        for row in rows {
            let last = numbers::<T>(&reference::run::<T>(&case).outputs.pop().unwrap());
            let mut input = vec![T::ZERO; case.inputs];
            feedback(&last, &mut input);
            case.x.push(exact(&input));
            case.targets.push(vec![None; case.units()]);
            assert_eq!(exact(&row), reference::run::<T>(&case).outputs.pop().unwrap(), "{name}");
        }
        // Nothing has changed.
        for mut learner in [learner, before] {
            let report = learner.step(&numbers::<T>(&case.x[3]), Targets::None).unwrap();
            let outputs = exact(report.outputs);
            case.x.truncate(STEPS);
            case.targets.truncate(STEPS);
            case.x.push(case.x[3].clone());
            case.targets.push(vec![None; case.units()]);
            assert_eq!(outputs, reference::run::<T>(&case).outputs.pop().unwrap(), "{name}");
        }
    }
}

#[test]
fn a_free_run_is_that_of_the_reference_and_changes_nothing() {
    generated::<f64>();
    generated::<f32>();
}

#[test]
fn a_refused_call_may_be_repeated() {
    let case = case(false);
    let mut forecaster = Forecaster::new(learner::<f64>(&case), 1).unwrap();
    let mut undisturbed = forecaster.clone();
    for (x, d) in case.x.iter().zip(&case.targets) {
        let bad = [f64::NAN; 3];
        assert!(matches!(forecaster.observe(&bad, Targets::None), Err(Error::NonFinite { .. })));
        assert!(forecaster.observe(&[0.0], Targets::None).is_err());
        if forecaster.learner().steps() > 0 {
            assert!(forecaster.observe(x, Targets::All(&[f64::INFINITY; 5])).is_err());
        }
        forecaster.observe(x, Targets::Some(d)).unwrap();
        undisturbed.observe(x, Targets::Some(d)).unwrap();
        assert_eq!(forecaster.forecast().unwrap(), undisturbed.forecast().unwrap());
    }
    // After a reset the inputs of the old sequence are no longer pending.
    forecaster.reset(&[0.0; 5]).unwrap();
    assert!(forecaster.observe(&case.x[0], Targets::None).unwrap().is_none());
}

/// Streams whose labels arrive independently, against a learner that is given the pairs by hand.
#[test]
fn each_stream_has_its_own_inputs_that_wait() {
    let case = case(true);
    let learner = case.learner::<f64>(Isa::best()).unwrap().streams(2).build().unwrap();
    let (mut by_hand, horizon) = (learner.clone(), 3);
    let mut forecaster = Forecaster::new(learner, horizon).unwrap();
    let mut waiting = [VecDeque::new(), VecDeque::new()];
    let mut reports = 0;
    for t in 0..STEPS {
        let shift = |b: usize| (t + 7 * b) % STEPS;
        // The second stream skips every third call.
        let present = |b: usize| b == 0 || t % 3 > 0;
        let x = [0, 1].map(|b| &case.x[shift(b)]);
        let d = [0, 1].map(|b| Targets::Some(&case.targets[shift(b)]));
        let samples = [0, 1].map(|b| present(b).then(|| (&x[b][..], d[b])));
        let mut bad = samples;
        bad[0] = Some((&[f64::NAN; 3], Targets::None));
        let error = forecaster.observe_streams(&bad).unwrap_err();
        assert!(matches!(error, Error::InStream { stream: 0, .. }), "{error}");
        let report = forecaster.observe_streams(&samples).unwrap().map(|report| report.loss);
        let pairs = [0, 1].map(|b| {
            let complete = present(b) && waiting[b].len() == horizon;
            complete.then(|| waiting[b].pop_front().unwrap())
        });
        let pairs = [0, 1].map(|b| pairs[b].map(|x: &Vec<f64>| (&x[..], d[b])));
        let expected =
            (pairs.iter().any(Option::is_some)).then(|| by_hand.step_streams(&pairs).unwrap().loss);
        assert_eq!(report, expected, "{t}");
        reports += usize::from(report.is_some());
        for b in 0..2 {
            if present(b) {
                waiting[b].push_back(x[b]);
            }
            let mut state = by_hand.state(b).unwrap().clone();
            for x in &waiting[b] {
                by_hand.network().forward(&mut state, x).unwrap();
            }
            assert_eq!(forecaster.forecast_stream(b).unwrap(), state.outputs(), "{t} {b}");
        }
    }
    assert_eq!(reports, STEPS - horizon);
    assert!(forecaster.forecast_stream(2).is_err());
    assert!(matches!(
        forecaster.observe(&case.x[0], Targets::None),
        Err(Error::StreamCount { expected: 2, got: 1 })
    ));
    // A reset of one stream drops its inputs alone.
    forecaster.reset_stream(1, &[0.0; 5]).unwrap();
    let last = forecaster.learner().state(1).unwrap().outputs().to_vec();
    assert_eq!(forecaster.forecast_stream(1).unwrap(), last);
}

#[test]
fn the_learner_of_a_forecaster_can_be_reached() {
    let mut case = case(false);
    case.update_timing = TimingName::AfterNextStep;
    let mut forecaster = Forecaster::new(learner::<f64>(&case), 1).unwrap();
    for (x, d) in case.x.iter().zip(&case.targets) {
        forecaster.observe(x, Targets::Some(d)).unwrap();
    }
    let updates = forecaster.learner().updates();
    assert!(forecaster.learner_mut().finish().unwrap());
    assert_eq!(forecaster.learner().updates(), updates + 1);
    let before = forecaster.forecast().unwrap().to_vec();
    forecaster.learner_mut().set_weights(&vec![0.0; 5 * (3 + 1 + 5)]).unwrap();
    assert_ne!(forecaster.forecast().unwrap(), before);
}

#[test]
fn a_stream_that_is_added_has_no_pending_inputs() {
    let network = Network::<f64>::builder(3, 1).build().unwrap();
    let mut forecaster = Forecaster::new(Learner::builder(network).build().unwrap(), 2).unwrap();
    forecaster.observe(&[0.1], Targets::None).unwrap();
    assert_eq!(forecaster.learner_mut().add_stream().unwrap(), 1);
    let bytes = forecaster.to_bytes(&serde_json::Value::Null).unwrap();
    let stored = StoredLearner::from_bytes(bytes).unwrap();
    let twin: Forecaster<f64> = stored.forecaster(&Supplies::default()).unwrap();
    for mut forecaster in [forecaster, twin] {
        let fresh = forecaster.forecast_stream(1).unwrap().to_vec();
        for x in [0.2, 0.3] {
            forecaster.observe_streams(&[Some((&[x], Targets::None)), None]).unwrap();
        }
        assert_eq!(forecaster.forecast_stream(1).unwrap(), fresh);
        assert_ne!(forecaster.forecast().unwrap(), fresh);
        forecaster.reset_stream(1, &[0.5; 3]).unwrap();
    }
}
