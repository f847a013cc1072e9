//! A run that is stored and resumed equals the uninterrupted run, bit for bit: stored at every step, in every combination of engine, precision, optimiser, timing, streams and readout.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::num::NonZeroU64;

use rtrl_bench::training;
use rtrl_model::kernel::{self, Eager, Engine, Layout, Sink, Source, Spec, Step};
use rtrl_model::store::container::{self, Dtype, Plan, Reader, Tensor};
use rtrl_model::{
    Activation, Clipping, CustomOptimizer, EngineChoice, EngineFactory, Error, Forecaster,
    Generator, InitialWeights, Isa, Learner, LearnerBuilder, Loss, Network, Optimizer, Pace,
    RateSchedule, Readout, ReadoutWeights, Real, Recovery, Regime, StoredLearner, Supplies,
    Targets, Threads, Timing, UpdateSettings,
};
use serde_json::json;

use crate::tested;

const STEPS: usize = 300;
const UNITS: usize = 4;
const INPUTS: usize = 2;
const OUTPUTS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Layer {
    None,
    Gradient,
    LeastSquares,
}

/// The parameters of a run.
#[derive(Debug, Clone)]
struct Run {
    engine: EngineChoice,
    regime: Regime,
    updates: UpdateSettings,
    layer: Layer,
    streams: usize,
    leaky: bool,
    step_gradients: bool,
    decay: f64,
}

fn wave() -> Activation {
    Activation::custom("wave", libm::sin, libm::cos)
}

fn network<T: Real>(run: &Run) -> Network<T> {
    let mut mask = vec![vec![true; INPUTS + 1 + UNITS]; UNITS];
    mask[1][0] = false;
    let mut frozen = vec![vec![false; INPUTS + 1 + UNITS]; UNITS];
    frozen[2][4] = true;
    let mut network = Network::<T>::builder(UNITS, INPUTS)
        .activations([Activation::Tanh, wave(), Activation::Logistic, Activation::Tanh])
        .connections(mask)
        .frozen(frozen)
        .weights(InitialWeights::Orthogonal { gain: 0.8 })
        .seed(5);
    if run.leaky {
        network = network.leaks([0.5, 1.0, 0.3, 0.9]);
    }
    let readout = Readout::new(OUTPUTS).with_inputs().weights(ReadoutWeights::Normal { gain: 0.5 });
    match run.layer {
        Layer::None => network,
        Layer::Gradient => network.readout(readout),
        Layer::LeastSquares => network.readout(readout.recursive_least_squares(0.98, 0.5)),
    }
    .build()
    .unwrap()
}

fn builder<T: Real>(run: &Run) -> LearnerBuilder<T> {
    without_engine(run).engine(run.engine)
}

fn without_engine<T: Real>(run: &Run) -> LearnerBuilder<T> {
    Learner::builder(network::<T>(run))
        .regime(run.regime)
        .updates(run.updates.clone())
        .step_gradients(run.step_gradients)
        .teacher_forcing(run.layer == Layer::None)
        .sensitivity_decay(run.decay)
        .streams(run.streams)
        .recovery(Recovery { reset_sensitivities: true, skip_updates: true })
}

/// Everything custom, `threads` threads, and for each number of steps another instruction set.
fn supplies<T: Real>(threads: usize, steps: usize) -> Supplies<T> {
    let sets = tested::sets();
    Supplies {
        isa: Some(sets[steps % sets.len()]),
        activations: vec![wave()],
        schedule: Some(schedule()),
        optimizer: Some(Optimizer::custom(1.0, TwoAverages)),
        threads: Threads::Exactly(threads),
        ..Supplies::default()
    }
}

fn schedule() -> RateSchedule {
    RateSchedule::custom("slower", |update| 1.0 / (1.0 + update as f64 / 64.0))
}

/// Everything that happens at one step: a sample for each stream, now and then a reset or the end of an
/// epoch. It is drawn from the number of the step alone.
fn advance<T: Real>(learner: &mut Learner<T>, run: &Run, step: usize) {
    let mut generator = Generator::new(1000 + step as u64);
    let outputs = learner.network().outputs();
    let drawn: Vec<_> = (0..run.streams)
        .map(|_| {
            let x: Vec<T> = (0..INPUTS).map(|_| T::from_f64(generator.normal())).collect();
            let mut target = || {
                let value = T::from_f64(generator.between(-0.7, 0.7));
                (generator.below(3) > 0).then_some(value)
            };
            (x, (0..outputs).map(|_| target()).collect::<Vec<_>>())
        })
        .collect();
    let samples: Vec<_> =
        drawn.iter().map(|(x, d)| Some((x.as_slice(), Targets::Some(d)))).collect();
    learner.step_streams(&samples).unwrap();
    let state = [T::from_f64(0.1); UNITS];
    if step % 37 == 36 {
        learner.reset_stream(step % run.streams, &state).unwrap();
    }
    if run.regime == Regime::Epochwise && step % 25 == 24 {
        learner.end_epoch(&state).unwrap();
    }
}

/// Bytes of a checkpoint, which hold all that there is of a learner, and its last outputs.
fn bytes<T: Real>(learner: &Learner<T>, folder: &std::path::Path) -> Vec<u8> {
    let path = folder.join("whole.safetensors");
    learner.save(&path, &json!(null)).unwrap();
    std::fs::read(path).unwrap()
}

fn resumed<T: Real>(learner: &Learner<T>, folder: &std::path::Path, threads: usize) -> Learner<T> {
    let path = folder.join("cut.safetensors");
    learner.save(&path, &json!({"row": 7})).unwrap();
    let stored = StoredLearner::open(&path).unwrap();
    assert_eq!((stored.precision(), stored.steps()), (T::NAME, learner.steps()));
    assert_eq!(stored.application(), &json!({"row": 7}));
    let steps = usize::try_from(stored.steps()).unwrap();
    stored.learner(&supplies(threads, steps)).unwrap()
}

/// A run that is stored and resumed after every step, against the uninterrupted run; and at some steps a run that continues from there to the end.
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
            assert!(bytes(&cut_at_every_step, folder) == bytes(&whole, folder), "step {step}");
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
    let expected = bytes(&whole, folder);
    for learner in late_starters.iter().chain([&cut_at_every_step]) {
        assert!(bytes(learner, folder) == expected, "{run:?}");
    }
}

fn real_time(timing: Timing, every: usize) -> Regime {
    Regime::RealTime { timing, every }
}

/// Averages of the gradient of two lengths; the direction is the shorter one and a part of the longer.
#[derive(Debug)]
struct TwoAverages;

impl CustomOptimizer for TwoAverages {
    fn name(&self) -> &'static str {
        "two-averages"
    }
    fn moments(&self) -> &[&'static str] {
        &["short", "long"]
    }
    fn direction(&self, update: u64, weight: f64, gradient: f64, moments: &mut [f64]) -> f64 {
        moments[0] = 0.5 * moments[0] + gradient;
        moments[1] = 0.95 * moments[1] + gradient;
        moments[0] + moments[1] / (1.0 + update as f64) + 0.01 * weight
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

const EVEN: EngineChoice = EngineChoice::Deferred { window: Some(7), pace: Pace::Even };
const BURSTS: EngineChoice = EngineChoice::Deferred { window: Some(9), pace: Pace::Bursts };

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

/// Every optimiser with both engines.
#[test]
fn every_optimiser_resumes() {
    for updates in optimisers() {
        for engine in [EngineChoice::Eager, EVEN] {
            let run = Run {
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

fn plain() -> Run {
    Run {
        engine: BURSTS,
        regime: real_time(Timing::Immediate, 1),
        updates: UpdateSettings::default(),
        layer: Layer::Gradient,
        streams: 1,
        leaky: false,
        step_gradients: false,
        decay: 1.0,
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

/// The fixture is a file of the current version: `checkpoint_loop FOLDER --steps 30 --keep 1` made it. A change
/// of the format that breaks it needs another version.
#[test]
fn files_of_the_present_version_stay_readable() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/checkpoints/version-2.safetensors");
    let stored = StoredLearner::open(std::path::Path::new(path)).unwrap();
    let mut resumed = stored.learner::<f32>(&Supplies::default()).unwrap();
    let mut whole = training::learner().unwrap();
    for _ in 0..30 {
        training::advance(&mut whole).unwrap();
    }
    for _ in 0..40 {
        assert_eq!(resumed.first_difference(&whole).unwrap(), None);
        training::advance(&mut resumed).unwrap();
        training::advance(&mut whole).unwrap();
    }
}

/// The fixture is a file of the first version, which no release has written.
#[test]
fn files_of_another_version_are_refused_by_number() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/checkpoints/version-1.safetensors");
    let error = StoredLearner::open(std::path::Path::new(path)).unwrap_err().to_string();
    let expected = r#"format "rtrl-checkpoint" version 1, expected "rtrl" version 2"#;
    assert!(error.ends_with(expected), "{error}");
}

/// A custom engine that is stored: the exact one, which counts its steps.
#[derive(Debug, Clone)]
struct Counting {
    exact: Eager<f64>,
    steps: f64,
    name: &'static str,
}

impl Counting {
    fn new(layout: &Layout, learns: &[bool], name: &'static str) -> Self {
        let exact = Eager::new(layout, learns, Isa::best(), Threads::SERIAL).unwrap();
        Self { exact, steps: 0.0, name }
    }
}

impl Engine<f64> for Counting {
    fn advance(
        &mut self,
        step: &Step<'_, f64>,
        error: Option<&[f64]>,
    ) -> Result<(), kernel::Error> {
        self.steps += 1.0;
        self.exact.advance(step, error)
    }

    fn gradient(&mut self, into: &mut [f64], stride: usize) -> Result<(), kernel::Error> {
        self.exact.gradient(into, stride)?;
        for value in into {
            *value /= self.steps;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), kernel::Error> {
        self.exact.reset()
    }

    fn weights(&self) -> usize {
        self.exact.weights()
    }

    fn save(&self, to: &mut dyn Sink<f64>) -> Result<(), kernel::Error> {
        to.tensor("steps", [1, 1], &mut |_, row| row[0] = self.steps)?;
        self.exact.save(to)
    }

    fn load(&mut self, from: &mut dyn Source<f64>) -> Result<(), kernel::Error> {
        from.read("steps", [1, 1], &mut |_, row| self.steps = row[0])?;
        self.exact.load(from)
    }

    fn spec(&self) -> Spec {
        Spec::Custom { name: self.name.to_owned(), exact: false }
    }

    fn boxed_clone(&self) -> Box<dyn Engine<f64>> {
        Box::new(self.clone())
    }
}

#[test]
fn a_custom_engine_resumes_through_its_factory() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run { streams: 2, ..plain() };
    let engine = |network: &Network<f64>| {
        Box::new(Counting::new(network.layout(), &network.learning(), "counting"))
    };
    let mut whole = without_engine(&run).custom_engine(engine(&network(&run))).build().unwrap();
    let path = folder.path().join("custom.safetensors");
    let open = || StoredLearner::open(&path).unwrap();
    let with = |name: &'static str| Supplies::<f64> {
        engine: Some(EngineFactory::new(move |layout, learns, stored| {
            assert_eq!(stored, "counting");
            Ok(Box::new(Counting::new(layout, learns, name)))
        })),
        ..supplies(1, 0)
    };
    let mut cut = whole.clone();
    for step in 0..20 {
        cut.save(&path, &json!(null)).unwrap();
        cut = open().learner(&with("counting")).unwrap();
        advance(&mut whole, &run, step);
        advance(&mut cut, &run, step);
        assert_eq!(whole.network().weights(), cut.network().weights(), "step {step}");
    }
    let message = open().learner(&supplies::<f64>(1, 0)).unwrap_err().to_string();
    assert!(message.contains("no factory") && message.contains("counting"), "{message}");
    let message = open().learner(&with("other")).unwrap_err().to_string();
    assert!(message.contains("\"other\""), "{message}");
}

/// A custom engine with only the required methods.
#[derive(Debug, Clone)]
struct Forgetful(usize);

impl Engine<f64> for Forgetful {
    fn advance(&mut self, _: &Step<'_, f64>, _: Option<&[f64]>) -> Result<(), kernel::Error> {
        Ok(())
    }

    fn gradient(&mut self, _: &mut [f64], _: usize) -> Result<(), kernel::Error> {
        Ok(())
    }

    fn reset(&mut self) -> Result<(), kernel::Error> {
        Ok(())
    }

    fn weights(&self) -> usize {
        self.0
    }

    fn boxed_clone(&self) -> Box<dyn Engine<f64>> {
        Box::new(self.clone())
    }
}

#[test]
fn what_cannot_be_resumed_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let learner = builder::<f32>(&plain()).build().unwrap();
    learner.save(&path, &json!(null)).unwrap();
    let open = || StoredLearner::open(&path).unwrap();
    let message = open().learner::<f64>(&supplies(1, 0)).unwrap_err().to_string();
    assert!(message.contains("f32") && message.contains("f64"), "{message}");
    let message = open().learner::<f32>(&Supplies::default()).unwrap_err().to_string();
    assert!(message.contains("wave"), "{message}");
    assert!(open().forecaster::<f32>(&supplies(1, 0)).is_err());
    let updates = Optimizer::custom(0.02, TwoAverages).into();
    builder::<f32>(&Run { updates, ..plain() }).build().unwrap().save(&path, &json!(null)).unwrap();
    open().learner::<f32>(&supplies(1, 0)).unwrap();
    let none = Supplies { optimizer: None, ..supplies(1, 0) };
    let message = open().learner::<f32>(&none).unwrap_err().to_string();
    assert!(message.contains("two-averages"), "{message}");
    learner.save(&path, &json!(null)).unwrap();
    let own = without_engine::<f64>(&plain()).custom_engine(Box::new(Forgetful(6))).build();
    assert!(matches!(own, Err(Error::Setting { .. })));
    let columns = learner.network().learning().iter().filter(|&&learns| learns).count();
    let own = without_engine::<f64>(&plain())
        .custom_engine(Box::new(Forgetful(columns)))
        .build()
        .unwrap();
    let error = own.save(&path, &json!(null)).unwrap_err();
    let unsupported = kernel::Error::Unsupported { what: "being saved" };
    assert!(matches!(&error, Error::Kernel(cause) if *cause == unsupported), "{error}");
    let other = Plan::new(&json!({"steps": 1}), vec![]).unwrap();
    container::save(&path, &other, |_| Ok(())).unwrap();
    let message = StoredLearner::new(Reader::open(&path).unwrap()).unwrap_err().to_string();
    assert!(message.contains("not the checkpoint of a learner"), "{message}");
}

/// A rule whose moment is negative, under a name that ends like that of Adam's squares.
#[derive(Debug)]
struct Negative;

impl CustomOptimizer for Negative {
    fn name(&self) -> &'static str {
        "negative"
    }
    fn moments(&self) -> &[&'static str] {
        &["my_second_moment"]
    }
    fn direction(&self, _: u64, _: f64, gradient: f64, moments: &mut [f64]) -> f64 {
        moments[0] = 0.9 * moments[0] - gradient.abs() - 1.0;
        gradient / moments[0]
    }
}

/// A custom rule's moment may have any name: only the library's own second moments are squares.
#[test]
fn a_custom_moment_may_be_negative_under_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("negative.safetensors");
    let run = Run { updates: Optimizer::custom(0.02, Negative).into(), ..plain() };
    let mut whole = builder::<f64>(&run).build().unwrap();
    (0..6).for_each(|step| advance(&mut whole, &run, step));
    whole.save(&path, &json!(null)).unwrap();
    let optimizer = Some(Optimizer::custom(1.0, Negative));
    let supplies = Supplies { optimizer, ..supplies(1, 0) };
    let mut resumed = StoredLearner::open(&path).unwrap().learner::<f64>(&supplies).unwrap();
    assert!(resumed.optimizer_state().all(|(_, moment)| moment.row(0)[0] < 0.0));
    advance(&mut whole, &run, 6);
    advance(&mut resumed, &run, 6);
    assert_eq!(resumed.first_difference(&whole).unwrap(), None);
}

/// A learner accepts the numbers of updates that a file may hold, and no others.
#[test]
fn updates_that_are_restored_can_be_saved_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("updates.safetensors");
    let mut learner = builder::<f64>(&plain()).build().unwrap();
    let state: Vec<_> =
        learner.optimizer_state().map(|(name, moment)| (name, moment.clone())).collect();
    learner.restore_optimizer(1 << 53, &state).unwrap();
    learner.save(&path, &json!(null)).unwrap();
    let resumed = StoredLearner::open(&path).unwrap().learner::<f64>(&supplies(1, 0)).unwrap();
    assert_eq!(resumed.updates(), 1 << 53);
    let error = learner.restore_optimizer((1 << 53) + 1, &state).unwrap_err();
    assert!(matches!(error, Error::Setting { what: "number of updates", .. }), "{error}");
    assert_eq!(learner.updates(), 1 << 53);
}

/// A learner whose p is lost is stored as such.
#[test]
fn lost_sensitivities_stay_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lost.safetensors");
    let wild = || Activation::custom("wild", libm::sin, |_| 1e30);
    let network = Network::<f32>::builder(1, 1).activation(wild());
    let network = network.weights(InitialWeights::given(vec![vec![1.0; 3]])).build().unwrap();
    let mut learner = Learner::builder(network).build().unwrap();
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
    let before = bytes(&learner, folder);
    let jacobian = learner.jacobian(0).unwrap();
    let (good, bad) = ([0.5f32; 2], [f32::NAN; 2]);
    let mut samples = [Some((&good[..], Targets::All(&good[..]))); 3];
    samples[2] = Some((&bad, Targets::All(&good)));
    assert!(learner.step_streams(&samples).is_err());
    samples[2] = Some((&good, Targets::All(&[f32::MAX; 2])));
    assert!(learner.step_streams(&samples).is_err());
    assert!(bytes(&learner, folder) == before);
    assert_eq!(learner.jacobian(0).unwrap(), jacobian);
    let resumed = resumed(&learner, folder, 1);
    assert_eq!(resumed.jacobian(0).unwrap(), jacobian);
    assert_eq!(resumed.sensitivities(1).unwrap(), learner.sensitivities(1).unwrap());
}

/// Changes the contents and the bytes of the tensors.
type Forge = fn(&mut serde_json::Value, &mut [(Tensor, Vec<u8>)]);

/// Files that were made by hand, with a checksum that is right: each is refused, none is a panic.
#[test]
fn contents_that_contradict_the_tensors_are_refused() {
    let regime = real_time(Timing::AfterNextStep, 4);
    let updates = UpdateSettings::adamw(0.005);
    let run = Run { regime, updates, step_gradients: true, ..plain() };
    refuse_forgeries(
        &run,
        &[
            ("columns", |contents, _| contents["columns"] = json!(7)),
            ("streams", |contents, _| contents["learner"]["streams"] = json!(1000)),
            ("units", |contents, _| contents["network"]["units"] = json!(1u64 << 40)),
            ("inputs", |contents, _| contents["network"]["inputs"] = json!(u64::MAX)),
            ("a field", |contents, _| contents["network"]["colour"] = json!("red")),
            ("another field", |contents, _| contents["colour"] = json!("red")),
            ("an unknown count", |contents, _| contents["counts"]["colours"] = json!(1)),
            ("a precision", |contents, _| contents["precision"] = json!("f16")),
            ("forced", |_, tensors| tensor(tensors, "stream.0.forced")[0] = 1),
            ("sum", |_, tensors| put(tensor(tensors, "sum.recurrent"), ABSENT, 1.0)),
            ("waiting", |_, tensors| put(tensor(tensors, "waiting.recurrent"), ABSENT, 1.0)),
            ("a moment", |_, tensors| {
                put(tensor(tensors, "optimizer.recurrent.first_moment"), ABSENT, 1.0);
            }),
            ("a negative moment", |_, tensors| {
                put(tensor(tensors, "optimizer.readout.second_moment"), 0, -1.0);
            }),
            ("a missing tensor", |_, tensors| rename(tensors, "stream.0.slopes")),
            ("a missing part of a window", |_, tensors| {
                rename(tensors, "stream.0.engine.window.z");
            }),
        ],
    );
    let run = Run { layer: Layer::LeastSquares, ..plain() };
    refuse_forgeries(
        &run,
        &[("inverse", |_, tensors| put(tensor(tensors, "fit.0.inverse"), 1, 9.0))],
    );
}

/// No run reaches these counts.
#[test]
fn counts_that_no_run_reaches_are_refused() {
    refuse_forgeries(
        &plain(),
        &[
            ("steps", |contents, _| contents["counts"]["steps"] = json!(u64::MAX / 2)),
            ("more steps", |contents, _| contents["counts"]["steps"] = json!(u64::MAX)),
            ("negative steps", |contents, _| contents["counts"]["steps"] = json!(-1)),
            ("updates", |contents, _| contents["counts"]["updates"] = json!(u64::MAX / 2)),
            ("accumulated steps", |contents, _| {
                contents["counts"]["accumulator.steps"] = json!(u64::MAX);
            }),
            ("a stream's steps", |contents, _| {
                contents["counts"]["stream.0.steps"] = json!(u64::MAX);
            }),
            ("resets", |contents, _| {
                contents["counts"]["recoveries.resets"] = json!(u64::MAX);
            }),
            ("skipped updates", |contents, _| {
                contents["counts"]["recoveries.skipped_updates"] = json!(u64::MAX);
            }),
            ("a flag", |contents, _| contents["counts"]["accumulator.due"] = json!(2)),
            ("no count", |contents, _| {
                contents["counts"].as_object_mut().unwrap().remove("updates");
            }),
        ],
    );
}

/// Lists of one value for all units, and readouts that are half described.
#[test]
fn a_network_that_is_not_fully_described_is_refused() {
    let run = Run { leaky: true, ..plain() };
    refuse_forgeries(
        &run,
        &[
            ("one activation", |contents, _| {
                contents["network"]["activations"] = json!(["tanh"]);
            }),
            ("one leak", |contents, _| contents["network"]["leaks"] = json!([0.5])),
            ("no readout", |contents, _| contents["network"]["readout"] = json!(null)),
            ("a readout without outputs", |contents, _| {
                contents["network"]["readout"]["outputs"] = json!(0);
            }),
            ("half a readout", |contents, _| {
                contents["network"]["readout"] = json!({"outputs": 2, "sees_inputs": true});
            }),
            ("least squares without a readout", |contents, _| {
                contents["network"]["readout"] =
                    json!({"least_squares": {"forgetting": 0.9, "ridge": 0.1}});
            }),
        ],
    );
}

/// Weight (1, 0), which is absent.
const ABSENT: usize = 7;

fn tensor<'a>(tensors: &'a mut [(Tensor, Vec<u8>)], name: &str) -> &'a mut [u8] {
    &mut tensors.iter_mut().find(|(tensor, _)| tensor.name == name).unwrap().1
}

fn rename(tensors: &mut [(Tensor, Vec<u8>)], name: &str) {
    tensors.iter_mut().find(|(tensor, _)| tensor.name == name).unwrap().0.name += "s";
}

fn put(bytes: &mut [u8], place: usize, value: f64) {
    bytes[place * 8..][..8].copy_from_slice(&value.to_le_bytes());
}

fn refuse_forgeries(run: &Run, forgeries: &[(&str, Forge)]) {
    let folder = tempfile::tempdir().unwrap();
    let (path, forged) = (folder.path().join("original"), folder.path().join("forged"));
    let mut learner = builder::<f64>(run).build().unwrap();
    (0..6).for_each(|step| advance(&mut learner, run, step));
    learner.save(&path, &json!(null)).unwrap();
    let read = |forge| {
        rewrite(&path, &forged, forge);
        StoredLearner::open(&forged).and_then(|stored| stored.learner::<f64>(&supplies(1, 0)))
    };
    assert!(read(|_, _| {}).is_ok());
    for &(what, forge) in forgeries {
        assert!(read(forge).is_err(), "{what}");
    }
}

/// Memory is reserved in proportion to what the file holds, whatever its header claims.
#[test]
fn memory_follows_the_bytes_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, forged) = (folder.path().join("original"), folder.path().join("forged"));
    let mut forecaster = Forecaster::new(builder(&plain()).build().unwrap(), 5).unwrap();
    for _ in 0..3 {
        forecaster.observe(&[0.1f64, 0.2], Targets::None).unwrap();
    }
    forecaster.save(&path, &json!(null)).unwrap();
    rewrite(&path, &forged, |contents, _| contents["forecast"]["horizon"] = json!(1u64 << 30));
    let mut read = None;
    let used = allocation_counter::measure(|| {
        let stored = StoredLearner::open(&forged).unwrap();
        read = Some(stored.forecaster::<f64>(&supplies(1, 0)));
    });
    let mut forecaster = read.unwrap().unwrap();
    assert!(used.bytes_max < 4 << 20, "{} bytes", used.bytes_max);
    forecaster.observe(&[0.1, 0.2], Targets::None).unwrap();
}

/// A network without inputs: its waiting inputs have no values, but the file confirms their number.
#[test]
fn inputs_without_values_are_confirmed_by_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, forged) = (folder.path().join("original"), folder.path().join("forged"));
    let network = Network::<f64>::builder(2, 0).seed(4).build().unwrap();
    let learner = Learner::builder(network).build().unwrap();
    let mut whole = Forecaster::new(learner, 5).unwrap();
    for _ in 0..3 {
        whole.observe(&[], Targets::None).unwrap();
    }
    whole.save(&path, &json!(null)).unwrap();
    let read = |path| StoredLearner::open(path).unwrap().forecaster::<f64>(&Supplies::default());
    let mut resumed = read(&path).unwrap();
    for _ in 0..6 {
        assert_eq!(resumed.forecast().unwrap(), whole.forecast().unwrap());
        let observe = |forecaster: &mut Forecaster<f64>| {
            forecaster.observe(&[], Targets::All(&[0.3, -0.2])).unwrap().is_some()
        };
        assert_eq!(observe(&mut resumed), observe(&mut whole));
    }
    rewrite(&path, &forged, |contents, _| {
        contents["forecast"] = json!({"horizon": 1u64 << 60, "waiting": [1u64 << 60]});
    });
    let refused = read(&forged);
    assert!(matches!(refused, Err(Error::Container { .. })), "forged waiting count was accepted");
}

/// A stream whose p is lost takes as much of the file as any other.
#[test]
fn lost_streams_are_not_for_free() {
    let folder = tempfile::tempdir().unwrap();
    let (path, forged) = (folder.path().join("original"), folder.path().join("forged"));
    builder::<f64>(&plain()).build().unwrap().save(&path, &json!(null)).unwrap();
    rewrite(&path, &forged, |contents, tensors| {
        contents["counts"]["stream.0.lost"] = json!(true);
        rename(tensors, "stream.0.engine.sensitivities");
    });
    let refused = StoredLearner::open(&forged).unwrap().learner::<f64>(&supplies(1, 0));
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("`stream.0.engine.sensitivities`: got none"), "{message}");
}

/// p is longer than every buffer, so that the disk fails while the engine passes its rows on.
#[cfg(target_os = "linux")]
#[test]
fn the_error_of_a_full_disk_comes_through_the_engine() {
    let network = Network::<f64>::builder(40, 2).build().unwrap();
    let learner = Learner::builder(network).engine(EngineChoice::Eager).build().unwrap();
    let error = learner.save(std::path::Path::new("/dev/full"), &json!(null)).unwrap_err();
    let Error::File { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
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

/// Copies a checkpoint with other contents.
fn rewrite(from: &std::path::Path, to: &std::path::Path, forge: Forge) {
    let mut reader = Reader::open(from).unwrap();
    let mut contents = reader.contents().clone();
    let announced: Vec<Tensor> = reader.tensors().cloned().collect();
    let mut tensors: Vec<(Tensor, Vec<u8>)> = Vec::new();
    for tensor in announced {
        let count = tensor.shape.iter().product();
        let bytes = if tensor.dtype == Dtype::U8 {
            let mut bytes = vec![0; count];
            reader.bytes(&tensor.name, 0, &mut bytes).unwrap();
            bytes
        } else {
            let mut numbers = vec![0.0f64; count];
            reader.numbers(&tensor.name, 0, &mut numbers).unwrap();
            numbers.into_iter().flat_map(f64::to_le_bytes).collect()
        };
        tensors.push((tensor, bytes));
    }
    forge(&mut contents, &mut tensors);
    let plan = Plan::new(&contents, tensors.iter().map(|t| t.0.clone()).collect()).unwrap();
    container::save(to, &plan, |writer| {
        tensors.iter().try_for_each(|(tensor, bytes)| {
            if tensor.dtype == Dtype::U8 {
                return writer.bytes(&tensor.name, bytes);
            }
            let numbers = bytes.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b));
            writer.numbers(&tensor.name, &numbers.collect::<Vec<_>>())
        })
    })
    .unwrap();
}

#[test]
fn recoveries_stay_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recovered.safetensors");
    let wild = || Activation::custom("wild", libm::sin, |_| 1e30);
    let network = Network::<f32>::builder(1, 1).activation(wild());
    let network = network.weights(InitialWeights::given(vec![vec![1.0; 3]])).build().unwrap();
    let recovery = Recovery { reset_sensitivities: true, skip_updates: false };
    let mut learner = Learner::builder(network).recovery(recovery).build().unwrap();
    while learner.recoveries().resets < 3 {
        learner.step(&[0.5], Targets::None).unwrap();
    }
    learner.save(&path, &json!(null)).unwrap();
    let supplies = Supplies { activations: vec![wild()], ..Supplies::default() };
    let resumed = StoredLearner::open(&path).unwrap().learner::<f32>(&supplies).unwrap();
    assert_eq!(resumed.recoveries(), learner.recoveries());
}
