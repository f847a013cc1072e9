//! The guarantees of the learner that the conformance cases do not cover: the readout, looking ahead, bad input and overflow.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::{
    Activation, Clipping, Connection, Engine, EngineChoice, Error, Forecaster,
    InitialWeights, Isa, LargestSensitivity, Learner, LearnerBuilder, Network, Optimizer, Pace,
    Quantity, Readout, ReadoutWeights, Real, Recovery, Regime, Step, Table, Targets, Threads,
    Timing, kernel,
};

use crate::fixtures::{differences, table};

const UNITS: usize = 5;
const INPUTS: usize = 2;
const OUTPUTS: usize = 3;

/// A network with a readout on units and inputs.
fn network<T: Real>(recurrent: &[Vec<f64>], readout: &[Vec<f64>]) -> Network<T> {
    let readout =
        Readout::new(OUTPUTS).with_inputs().weights(ReadoutWeights::given(readout.to_vec()));
    Network::<T>::builder(UNITS, INPUTS)
        .weights(InitialWeights::given(recurrent.to_vec()))
        .readout(readout)
        .build()
        .unwrap()
}

fn weights() -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    (table(UNITS, INPUTS + 1 + UNITS, 1), table(OUTPUTS, UNITS + INPUTS + 1, 2))
}

/// Inputs and targets of a few steps; some targets are absent.
fn stream(steps: usize) -> Vec<(Vec<f64>, Vec<Option<f64>>)> {
    let (x, d) = (table(steps, INPUTS, 3), table(steps, OUTPUTS, 4));
    let present = |t: usize, d: Vec<f64>| {
        d.into_iter().enumerate().map(|(o, d)| (!(t + o).is_multiple_of(3)).then_some(d)).collect()
    };
    x.into_iter().zip(d.into_iter().enumerate().map(|(t, d)| present(t, d))).collect()
}

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

fn small<T: Real>() -> Learner<T> {
    let (recurrent, readout) = weights();
    Learner::builder(network::<T>(&recurrent, &readout))
        .optimizer(Optimizer::adam(0.01))
        .build()
        .unwrap()
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

/// Outputs remain small while the sensitivities grow by the factor `slope` per step: the derivative does not match the value. Two units, one input.
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
fn a_gradient_that_overflows_in_the_window_is_told_before_anything_changes() {
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

/// Gradients that the learner has accumulated or that are pending before an overflow are still applied after it; those that the engine has accumulated are lost with p.
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

/// A step whose targets are all absent is a step without a target: moments are unchanged, no gradient is pending.
#[test]
fn without_a_target_the_optimiser_stands_still() {
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
fn peek_takes_the_teacher_for_a_unit_that_is_forced() {
    let network = Network::<f64>::builder(3, 1).seed(2).build().unwrap();
    let mut learner = Learner::builder(network).teacher_forcing(true).build().unwrap();
    learner.step(&[0.3], Targets::Some(&[Some(0.9), None, Some(-0.9)])).unwrap();
    let ahead = learner.peek(&[0.1]).unwrap().to_vec();
    assert_eq!(learner.step(&[0.1], Targets::None).unwrap().outputs, ahead);
}

/// A refused late update keeps the gradient of the current step, and an epoch that ends in a refusal is still reset.
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

/// A custom rule in a learner: the exact engine, which resets p before every step.
#[derive(Debug, Clone)]
struct OneStep(kernel::Eager<f64>);

impl Engine<f64> for OneStep {
    fn advance(
        &mut self,
        step: &Step<'_, f64>,
        error: Option<&[f64]>,
    ) -> Result<(), kernel::Error> {
        self.0.reset()?;
        self.0.advance(step, error)
    }
    fn gradient(&mut self, into: &mut [f64], stride: usize) -> Result<(), kernel::Error> {
        self.0.gradient(into, stride)
    }
    fn reset(&mut self) -> Result<(), kernel::Error> {
        self.0.reset()
    }
    fn weights(&self) -> usize {
        self.0.weights()
    }
    fn boxed_clone(&self) -> Box<dyn Engine<f64>> {
        Box::new(self.clone())
    }
}

#[test]
fn an_engine_of_ones_own_can_be_compared_with_the_exact_one() {
    let network = Network::<f64>::builder(UNITS, INPUTS).build().unwrap();
    let own = |columns: &[bool]| {
        let engine =
            kernel::Eager::new(network.layout(), columns, network.isa(), Threads::SERIAL).unwrap();
        Learner::builder(network.clone()).custom_engine(Box::new(OneStep(engine))).build()
    };
    let mut exact = Learner::builder(network.clone()).build().unwrap();
    let mut forgetful = own(&network.learning()).unwrap();
    let mut differs = Vec::new();
    for (x, _) in stream(4) {
        let targets = Targets::All(&[0.4; UNITS]);
        let rows = |report: rtrl_model::StepReport<'_, f64>| {
            report.gradient.unwrap().recurrent().to_rows()
        };
        let exact = rows(exact.step(&x, targets).unwrap()).concat();
        let own = rows(forgetful.step(&x, targets).unwrap()).concat();
        differs.push(relative_to_largest(&own, &exact) > 1e-3);
    }
    assert_eq!(differs, [false, true, true, true]);
    let mut fewer = network.learning();
    fewer[0] = false;
    let error = own(&fewer).unwrap_err().to_string();
    let columns = UNITS * (INPUTS + 1 + UNITS);
    assert!(
        error.contains(&format!("expected {columns}, one for each weight that learns")),
        "{error}"
    );
}

/// A learner of several streams, with the inputs and targets of a run of 20 steps.
fn runnable(streams: usize) -> (Learner<f32>, Vec<f32>, Vec<Option<f32>>) {
    let (recurrent, readout) = weights();
    let learner = Learner::builder(network::<f32>(&recurrent, &readout)).streams(streams);
    let drawn: Vec<_> = stream(20 * streams);
    let x = drawn.iter().flat_map(|(x, _)| x).map(|&x| f32::from_f64(x)).collect();
    let d = drawn.iter().flat_map(|(_, d)| d).map(|d| d.map(f32::from_f64)).collect();
    (learner.build().unwrap(), x, d)
}

#[test]
fn a_run_over_arrays_is_the_loop_over_its_steps() {
    for streams in [1, 3] {
        let (mut learner, x, d) = runnable(streams);
        let all: Vec<f32> = d.iter().map(|d| d.unwrap_or(0.25)).collect();
        let mut looped = learner.clone();
        for targets in [Targets::Some(&d), Targets::All(&all), Targets::None] {
            let run = learner.run(20, &x, targets).unwrap();
            let (mut outputs, mut losses) = (Vec::new(), Vec::new());
            for t in 0..20 {
                let sample = |b| {
                    let row = (t * streams + b) * OUTPUTS..(t * streams + b + 1) * OUTPUTS;
                    let targets = match targets {
                        Targets::None => Targets::None,
                        Targets::All(values) => Targets::All(&values[row]),
                        Targets::Some(values) => Targets::Some(&values[row]),
                    };
                    Some((&x[(t * streams + b) * INPUTS..][..INPUTS], targets))
                };
                let samples: Vec<_> = (0..streams).map(sample).collect();
                let report = looped.step_streams(&samples).unwrap();
                outputs.extend_from_slice(report.outputs);
                losses.push(report.loss);
            }
            assert_eq!((run.outputs, run.losses), (outputs, losses));
            assert_eq!(learner.network().weights(), looped.network().weights());
        }
        assert!(learner.updates() == 40 && learner.steps() == 60);
    }
}

#[test]
fn a_run_that_fails_names_its_step_and_keeps_what_came_before() {
    let (mut learner, mut x, d) = runnable(2);
    let mut looped = learner.clone();
    x[(13 * 2 + 1) * INPUTS + 1] = f32::NAN;
    let error = learner.run(20, &x, Targets::Some(&d)).unwrap_err();
    let expected =
        "step 13 of the run: stream 1: step 13, input 1: got NaN, expected a finite number";
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error.cause(), Error::NonFinite { .. }));
    looped.run(13, &x[..13 * 2 * INPUTS], Targets::Some(&d[..13 * 2 * OUTPUTS])).unwrap();
    assert_eq!(learner.steps(), 13);
    assert_eq!(learner.network().weights(), looped.network().weights());
    for (x, d, message) in [
        (&x[1..], &d[..], "input of a run: got 79 values, expected 80"),
        (&x[..], &d[1..], "target of a run: got 119 values, expected 120"),
    ] {
        let error = learner.run(20, x, Targets::Some(d)).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    assert_eq!(learner.steps(), 13);
}

#[test]
fn a_network_runs_over_arrays_as_it_does_step_by_step() {
    let (learner, mut x, _) = runnable(1);
    let network = learner.network();
    let (mut whole, mut single) = (network.state(), network.state());
    let outputs = network.run(&mut whole, 20, &x).unwrap();
    let steps = x.chunks(INPUTS).map(|x| network.forward(&mut single, x).unwrap().to_vec());
    assert_eq!(outputs, steps.collect::<Vec<_>>().concat());
    assert_eq!(whole.values(), single.values());
    x[4 * INPUTS] = f32::INFINITY;
    let mut state = network.state();
    let error = network.run(&mut state, 20, &x).unwrap_err();
    assert!(matches!(error, Error::AtStep { step: 4, .. }), "{error}");
    assert_eq!(state.steps(), 4);
    assert!(network.run(&mut state, 19, &x).is_err());
}

#[test]
fn a_network_of_flat_arrays_is_that_of_rows() {
    let (recurrent, readout) = weights();
    let present: Vec<Vec<bool>> =
        recurrent.iter().map(|row| row.iter().map(|w| *w > -0.4).collect()).collect();
    let frozen: Vec<Vec<bool>> =
        recurrent.iter().map(|row| row.iter().map(|w| *w > 0.4).collect()).collect();
    let build = |weights, read, present: Table<bool>, frozen: Table<bool>| {
        Network::<f64>::builder(UNITS, INPUTS)
            .weights(InitialWeights::Given(weights))
            .connections(present)
            .frozen(frozen)
            .readout(Readout::new(OUTPUTS).with_inputs().weights(ReadoutWeights::Given(read)))
            .build()
    };
    let flat = (recurrent.concat(), readout.concat(), present.concat(), frozen.concat());
    let rows = build(recurrent.into(), readout.into(), present.into(), frozen.into()).unwrap();
    let (w, r, p, f) = flat;
    let same =
        build(w.clone().into(), r.clone().into(), p.clone().into(), f.clone().into()).unwrap();
    assert_eq!(rows.weights(), same.weights());
    assert_eq!(rows.readout_weights(), same.readout_weights());
    assert_eq!(rows.connections(), same.connections());
    assert!(rows.connections().count(Connection::Frozen) > 0);
    let cut = |values: &[f64]| Table::from(&values[1..]);
    let refused = [
        build(cut(&w), r.clone().into(), p.clone().into(), f.clone().into()),
        build(w.clone().into(), cut(&r), p.clone().into(), f.clone().into()),
        build(w.clone().into(), r.clone().into(), p[1..].into(), f.clone().into()),
        build(w.into(), r.into(), p.into(), f[1..].into()),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert!(
            matches!(error, Error::Length { expected, got, .. } if got + 1 == expected),
            "{error}"
        );
    }
}

#[test]
fn a_choice_of_engine_next_to_a_custom_one_is_refused() {
    let network = Network::<f64>::builder(UNITS, INPUTS).build().unwrap();
    let (layout, learning) = (network.layout(), network.learning());
    let engine = kernel::Eager::new(layout, &learning, network.isa(), Threads::SERIAL).unwrap();
    let builder = Learner::builder(network).custom_engine(Box::new(engine));
    assert!(builder.clone().build().is_ok());
    let error = builder.engine(EngineChoice::Auto).build().unwrap_err().to_string();
    assert_eq!(error, "engine: got two choices, expected `engine` or `custom_engine`");
}

#[test]
fn counts_of_zero_are_refused() {
    let builder = || Learner::builder(Network::<f64>::builder(UNITS, INPUTS).build().unwrap());
    let every = |every| Regime::RealTime { timing: Timing::Immediate, every };
    let window = |steps| EngineChoice::Deferred { window: Some(steps), pace: Pace::Even };
    let build = |builder: LearnerBuilder<f64>| builder.build().map(drop);
    let forecaster = |horizon| Forecaster::new(builder().build()?, horizon).map(drop);
    for (what, call) in [
        ("number of streams", &(|n| build(builder().streams(n))) as &dyn Fn(usize) -> _),
        ("interval between updates", &|n| build(builder().regime(every(n)))),
        ("window", &|n| build(builder().engine(window(n)))),
        ("horizon", &forecaster),
        ("interval between observations", &|n| LargestSensitivity::new(n as u64).map(drop)),
    ] {
        call(1).unwrap();
        let error = call(0).unwrap_err();
        assert_eq!(error.to_string(), format!("{what}: got 0, expected at least 1"));
    }
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

#[test]
fn what_does_not_fit_together_is_refused_when_built() {
    let setting = |result: Result<Network<f64>, Error>| match result {
        Err(Error::Setting { what, .. }) => what,
        other => panic!("expected a setting to be refused, got {other:?}"),
    };
    let builder = || Network::<f64>::builder(3, 1);
    assert_eq!(setting(Network::<f64>::builder(0, 1).build()), "number of units");
    assert_eq!(
        setting(builder().activations([Activation::Tanh, Activation::Relu]).build()),
        "number of activations"
    );
    assert_eq!(setting(builder().readout(Readout::new(0)).build()), "number of readout outputs");
    assert_eq!(
        setting(builder().weights(InitialWeights::given(vec![vec![f64::NAN; 5]; 3])).build()),
        "weight matrix"
    );
    for (units, inputs) in
        [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX), (1 << 20, 1)]
    {
        let vast = Network::<f64>::builder(units, inputs).build();
        assert!(matches!(vast, Err(Error::Memory { .. })), "{units} units, {inputs} inputs");
    }
    let narrow = builder().weights(InitialWeights::given(vec![vec![0.0; 4]; 3])).build();
    assert!(matches!(narrow, Err(Error::Shape { expected: (3, 5), got: (3, 4), .. })));
    assert!(matches!(builder().initial_state(vec![0.0]).build(), Err(Error::StateLength { .. })));
    let forced = Learner::builder(builder().readout(Readout::new(1)).build().unwrap())
        .teacher_forcing(true)
        .build();
    assert!(matches!(forced, Err(Error::Setting { what: "teacher forcing", .. })));
    for optimizer in
        [Optimizer::sgd(f64::NAN), Optimizer::sgd(-1.0), Optimizer::adam(f64::INFINITY)]
    {
        let learner = Learner::builder(builder().build().unwrap()).optimizer(optimizer);
        assert!(matches!(learner.build(), Err(Error::Setting { what: "learning rate", .. })));
    }
}

#[test]
fn a_clone_goes_its_own_way_from_the_same_place() {
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

/// A step in which p overflowed and was set to 0 has no gradient, in particular not that of the previous step.
#[test]
fn a_recovered_overflow_reports_no_gradient() {
    let recovery = Recovery { reset_sensitivities: true, skip_updates: false };
    let mut learner = wild(Regime::real_time(), 1e30).recovery(recovery).build().unwrap();
    let report = learner.step(&[0.5], Targets::All(&[1.0; 2])).unwrap();
    assert!(report.gradient.is_some());
    let report = learner.step(&[0.5], Targets::All(&[1.0; 2])).unwrap();
    assert_eq!((report.recoveries.resets, report.gradient.is_none()), (1, true));
}
