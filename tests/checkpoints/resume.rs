//! Runs that are stored and resumed, cut at every step.

use std::num::NonZeroU64;

use rtrl_model::{
    Activation, Cell, Clipping, EngineChoice, Error, Forecaster, Generator, InitialWeights,
    Learner, Loss, Network, Optimizer, RateSchedule, Real, Recovery, Regime, StoredLearner,
    Supplies, Targets, Timing, UpdateSettings,
};
use serde_json::json;

use super::{
    BURSTS, Cells, EVEN, Layer, Run, STEPS, TwoAverages, UNITS, advance, builder, plain, real_time,
    resumed, schedule, supplies,
};

/// Bytes of a checkpoint, which hold all that there is of a learner, and its last outputs.
fn bytes<T: Real>(learner: &Learner<T>) -> Vec<u8> {
    learner.to_bytes(&json!(null)).unwrap()
}

/// A run that is stored and resumed after every step, against the uninterrupted run; and at some
/// steps a run that continues from there to the end.
fn split_run_is_whole_run<T: Real>(run: &Run) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut whole = builder::<T>(run).build().unwrap();
    let mut cut_at_every_step = whole.clone();
    let mut late_starters = Vec::new();
    for step in 0..STEPS {
        cut_at_every_step = resumed(&cut_at_every_step, folder, 1 + step % 2);
        if step % 17 == 5 {
            assert_eq!(cut_at_every_step.first_difference(&whole).unwrap(), None, "step {step}");
            assert!(bytes(&cut_at_every_step) == bytes(&whole), "step {step}");
        }
        if step % 59 == 13 {
            late_starters.push(resumed(&whole, folder, 1));
        }
        advance(&mut whole, run, step);
        advance(&mut cut_at_every_step, run, step);
        for learner in &mut late_starters {
            advance(learner, run, step);
        }
        let values = |learner: &Learner<T>, b| learner.state(b).unwrap().values().to_vec();
        let same = |learner: &Learner<T>| {
            learner.network().weights() == whole.network().weights()
                && (0..run.streams).all(|b| values(learner, b) == values(&whole, b))
        };
        assert!(same(&cut_at_every_step), "step {step}: {run:?}");
        assert!(late_starters.iter().all(same), "step {step}: {run:?}");
    }
    let expected = bytes(&whole);
    for learner in late_starters.iter().chain([&cut_at_every_step]) {
        assert!(bytes(learner) == expected, "{run:?}");
    }
}

fn optimisers() -> [UpdateSettings; 7] {
    let clipping = Clipping { value: Some(0.5), norm: Some(0.8) };
    let step = RateSchedule::Step { every: NonZeroU64::new(50).unwrap(), factor: 0.7 };
    [
        UpdateSettings { clipping, ..Optimizer::sgd(0.05).into() },
        UpdateSettings { schedule: schedule(), ..Optimizer::momentum(0.02, 0.9).into() },
        UpdateSettings { schedule: step, ..Optimizer::rmsprop(0.002).into() },
        UpdateSettings { clipping, ..Optimizer::adam(0.005).into() },
        UpdateSettings::adamw(0.005),
        Optimizer::sgd(0.05).into(),
        Optimizer::custom(0.02, TwoAverages).into(),
    ]
}

/// Every engine with every timing; optimisers, readouts, streams and the rest go round.
fn runs() -> Vec<Run> {
    let regimes = [
        real_time(Timing::Immediate, 1),
        real_time(Timing::AfterNextStep, 1),
        real_time(Timing::Immediate, 4),
        real_time(Timing::AfterNextStep, 3),
        Regime::Epochwise,
    ];
    let layers = [Layer::Gradient, Layer::LeastSquares, Layer::None];
    let mut runs = Vec::new();
    for engine in [EngineChoice::Eager, BURSTS, EVEN, EngineChoice::Auto] {
        for regime in regimes {
            let number = runs.len();
            let layer = match layers[number % 3] {
                Layer::LeastSquares if regime == Regime::Epochwise => Layer::Gradient,
                layer => layer,
            };
            runs.push(Run {
                cells: Cells::Simple,
                engine,
                regime,
                updates: optimisers()[number % 6].clone(),
                layer,
                streams: 1 + 2 * (number / 2 % 2),
                leaky: number % 4 == 1,
                step_gradients: number % 5 == 2,
                decay: if number % 7 == 3 { 0.9 } else { 1.0 },
            });
        }
    }
    runs
}

#[test]
fn a_run_cut_at_any_step_is_the_whole_run_in_single_precision() {
    runs().iter().for_each(split_run_is_whole_run::<f32>);
}

#[test]
fn a_run_cut_at_any_step_is_the_whole_run_in_double_precision() {
    runs().iter().for_each(split_run_is_whole_run::<f64>);
}

/// Gated cells and layers with every engine, in one precision each.
#[test]
fn a_run_of_gated_cells_and_layers_cut_at_any_step_is_the_whole_run() {
    let cells = [Cells::Gated(Cell::Gru), Cells::Gated(Cell::Lstm), Cells::Chain];
    for (number, run) in runs().into_iter().enumerate() {
        let run = Run { cells: cells[number % 3], ..run };
        if number % 2 == 0 {
            split_run_is_whole_run::<f32>(&run);
        } else {
            split_run_is_whole_run::<f64>(&run);
        }
    }
}

/// Every optimiser with both engines.
#[test]
fn every_optimiser_resumes() {
    for updates in optimisers() {
        for engine in [EngineChoice::Eager, EVEN] {
            let run = Run {
                cells: Cells::Simple,
                engine,
                regime: real_time(Timing::AfterNextStep, 2),
                updates: updates.clone(),
                layer: Layer::Gradient,
                streams: 2,
                leaky: true,
                step_gradients: false,
                decay: 1.0,
            };
            split_run_is_whole_run::<f32>(&run);
        }
    }
}

/// Negative control: a field that is not restored is detected.
#[test]
#[should_panic(expected = "step 14")]
fn sensitivities_that_are_lost_on_the_way_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let run = plain();
    let mut whole = builder::<f64>(&run).build().unwrap();
    for step in 0..14 {
        advance(&mut whole, &run, step);
    }
    let mut cut = resumed(&whole, folder.path(), 1);
    cut.reset_sensitivities().unwrap();
    for learner in [&mut whole, &mut cut] {
        advance(learner, &run, 14);
    }
    assert_eq!(whole.network().weights(), cut.network().weights(), "step 14");
}

#[test]
fn a_forecaster_resumes_with_the_inputs_that_wait() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forecaster.safetensors");
    let learner = builder::<f32>(&Run { streams: 2, ..plain() }).build().unwrap();
    let mut whole = Forecaster::new(learner, 5).unwrap();
    let mut cut = whole.clone();
    let mut generator = Generator::new(3);
    for t in 0..60 {
        let mut draw = || f32::from_f64(generator.uniform());
        let (x, label) = ([draw(), draw()], [draw(), draw()]);
        let sample = Some((&x[..], Targets::All(&label)));
        // The second stream skips some calls.
        let samples = [sample, sample.filter(|_| t % 4 > 0)];
        cut.save(&path, &json!(null)).unwrap();
        let stored = StoredLearner::open(&path).unwrap();
        assert_eq!(stored.horizon(), Some(5));
        cut = stored.forecaster(&supplies(1, 0)).unwrap();
        for forecaster in [&mut whole, &mut cut] {
            forecaster.observe_streams(&samples).unwrap();
        }
        for b in 0..2 {
            let expected = whole.forecast_stream(b).unwrap();
            assert_eq!(expected, cut.forecast_stream(b).unwrap());
        }
    }
    let stored = StoredLearner::open(&path).unwrap();
    assert!(matches!(stored.learner::<f32>(&supplies(1, 0)), Err(Error::Setting { .. })));
}

#[test]
fn losses_come_back_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loss.safetensors");
    let own = || {
        Loss::<f64>::custom("doubled", |outputs, targets, errors| {
            let mut sum = 0.0;
            for (k, error) in errors.iter_mut().enumerate() {
                *error = targets.get(k).map_or(0.0, |d| 2.0 * (d - outputs[k]));
                sum += *error * *error / 4.0;
            }
            sum
        })
    };
    let losses = [Loss::SquaredError, Loss::BinaryCrossEntropy, Loss::Huber { delta: 0.3 }, own()];
    for loss in losses {
        let mut learner = builder::<f64>(&plain()).loss(loss).build().unwrap();
        learner.step(&[0.5, -0.5], Targets::All(&[0.2, 0.9])).unwrap();
        learner.save(&path, &json!(null)).unwrap();
        let supplies = Supplies { loss: Some(own()), ..supplies(1, 0) };
        let mut resumed = StoredLearner::open(&path).unwrap().learner(&supplies).unwrap();
        let expected = learner.step(&[0.1, 0.2], Targets::All(&[0.3, 0.4])).unwrap().loss;
        let got = resumed.step(&[0.1, 0.2], Targets::All(&[0.3, 0.4])).unwrap().loss;
        assert_eq!(got, expected);
    }
    let refused = StoredLearner::open(&path).unwrap().learner::<f64>(&supplies(1, 0));
    assert!(matches!(refused, Err(Error::Setting { .. })), "{refused:?}");
}

fn wild() -> Activation {
    Activation::custom("wild", libm::sin, |_| 1e30)
}

/// A network whose p overflows within a few steps.
fn overflowing() -> Network<f32> {
    let weights = InitialWeights::given(vec![vec![1.0; 3]]);
    Network::<f32>::builder(1, 1).activation(wild()).weights(weights).build().unwrap()
}

/// A learner whose p is lost is stored as such.
#[test]
fn lost_sensitivities_stay_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lost.safetensors");
    let mut learner = Learner::builder(overflowing()).build().unwrap();
    while learner.step(&[0.5], Targets::None).is_ok() {}
    learner.save(&path, &json!(null)).unwrap();
    let supplies = Supplies { activations: vec![wild()], ..Supplies::default() };
    let mut resumed = StoredLearner::open(&path).unwrap().learner::<f32>(&supplies).unwrap();
    assert!(resumed.sensitivities(0).is_err() && resumed.largest_sensitivity().is_err());
    let error = resumed.step(&[0.5], Targets::None).unwrap_err();
    assert!(matches!(error, Error::SensitivitiesLost { .. }), "{error}");
    for learner in [&mut learner, &mut resumed] {
        learner.reset_sensitivities().unwrap();
        learner.step(&[0.5], Targets::All(&[0.1])).unwrap();
    }
    assert_eq!(learner.network().weights(), resumed.network().weights());
}

/// A refused step changes nothing: the checkpoint is the same, byte for byte.
#[test]
fn a_refused_step_changes_nothing_that_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = Run { streams: 3, ..plain() };
    let mut learner = builder::<f32>(&run).build().unwrap();
    (0..5).for_each(|step| advance(&mut learner, &run, step));
    let before = bytes(&learner);
    let jacobian = learner.jacobian(0).unwrap();
    let (good, bad) = ([0.5f32; 2], [f32::NAN; 2]);
    let mut samples = [Some((&good[..], Targets::All(&good[..]))); 3];
    samples[2] = Some((&bad, Targets::All(&good)));
    assert!(learner.step_streams(&samples).is_err());
    samples[2] = Some((&good, Targets::All(&[f32::MAX; 2])));
    assert!(learner.step_streams(&samples).is_err());
    assert!(bytes(&learner) == before);
    assert_eq!(learner.jacobian(0).unwrap(), jacobian);
    let resumed = resumed(&learner, folder, 1);
    assert_eq!(resumed.jacobian(0).unwrap(), jacobian);
    assert_eq!(resumed.sensitivities(1).unwrap(), learner.sensitivities(1).unwrap());
}

/// Two learners are told apart by the name of what differs.
#[test]
fn a_difference_has_a_name() {
    let run = Run { streams: 2, ..plain() };
    let mut ours = builder::<f32>(&run).build().unwrap();
    (0..5).for_each(|step| advance(&mut ours, &run, step));
    let mut theirs = ours.clone();
    assert_eq!(ours.first_difference(&theirs).unwrap(), None);
    theirs.reset_stream(1, &[0.1; UNITS]).unwrap();
    let name = ours.first_difference(&theirs).unwrap().unwrap();
    assert!(name.starts_with("stream.1.engine."), "{name}");
    theirs.set_learning_rate(0.5).unwrap();
    advance(&mut theirs, &run, 5);
    advance(&mut ours, &run, 5);
    assert_eq!(ours.first_difference(&theirs).unwrap().unwrap(), "readout.weight");
}

#[test]
fn recoveries_stay_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recovered.safetensors");
    let recovery = Recovery { reset_sensitivities: true, skip_updates: false };
    let mut learner = Learner::builder(overflowing()).recovery(recovery).build().unwrap();
    while learner.recoveries().resets < 3 {
        learner.step(&[0.5], Targets::None).unwrap();
    }
    learner.save(&path, &json!(null)).unwrap();
    let supplies = Supplies { activations: vec![wild()], ..Supplies::default() };
    let resumed = StoredLearner::open(&path).unwrap().learner::<f32>(&supplies).unwrap();
    assert_eq!(resumed.recoveries(), learner.recoveries());
}
