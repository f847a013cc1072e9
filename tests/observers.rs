//! The results of the built-in observers, against the same computed by hand.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use approx::assert_abs_diff_eq;
use rtrl_lab::inspect::SpectralRadius;
use rtrl_model::{
    Activation, Cell, Error, Generator, GradientNorm, InitialWeights, LargestSensitivity, Learner,
    Network, Observer, Readout, ReadoutWeights, Regime, RunningLoss, StepTime, Targets,
};

const UNITS: usize = 4;

/// Layers of simple units, of LSTM units, and of a GRU above LSTM units.
const LAYERS: [&[Cell]; 3] = [&[Cell::Simple], &[Cell::Lstm], &[Cell::Lstm, Cell::Gru]];

fn learner(layers: &[Cell], regime: Regime, streams: usize) -> Learner<f64> {
    let readout = Readout::new(2).weights(ReadoutWeights::Normal { gain: 1.0 });
    let first = Network::<f64>::builder(UNITS, 1).cell(layers[0]);
    let network = layers[1..].iter().fold(first, |below, &cell| below.layer(UNITS).cell(cell));
    let network = network.readout(readout).seed(3).build().unwrap();
    Learner::builder(network).regime(regime).streams(streams).build().unwrap()
}

/// A learner of simple units.
fn simple(regime: Regime) -> Learner<f64> {
    learner(LAYERS[0], regime, 1)
}

/// Takes a step of all streams with `observer`; every third step has no target. Returns the
/// loss, the norm of the gradient and whether there was a target.
fn observed(
    learner: &mut Learner<f64>,
    t: usize,
    observer: &mut dyn Observer<f64>,
) -> (f64, f64, bool) {
    let mut generator = Generator::new(t as u64);
    let (x, d) = ([generator.normal()], [generator.normal(), generator.normal()]);
    let some = !t.is_multiple_of(3);
    let targets = if some { Targets::All(&d) } else { Targets::None };
    let report = learner.step_observed(&x, targets, &mut [observer]).unwrap();
    let squares = report.gradient.map_or(0.0, |gradient| {
        let matrices = [gradient.recurrent(), gradient.readout().unwrap()];
        let values = matrices.into_iter().flat_map(|matrix| matrix.to_rows().concat());
        values.map(|value| value * value).sum()
    });
    (report.loss, squares.sqrt(), some)
}

#[test]
fn a_running_loss_is_the_weighted_mean_of_steps_with_a_target() {
    for keep in [0.8, 1.0] {
        let (mut learner, mut running) =
            (simple(Regime::real_time()), RunningLoss::new(keep).unwrap());
        let mut losses = Vec::new();
        assert_eq!(running.mean(), None);
        for t in 0..30 {
            let (loss, _, some) = observed(&mut learner, t, &mut running);
            if some {
                losses.push(loss);
            }
            let weight = |age: usize| keep.powi(i32::try_from(age).unwrap());
            let weights = (0..losses.len()).rev().map(weight);
            let sum: f64 = weights.clone().zip(&losses).map(|(weight, loss)| weight * loss).sum();
            let expected = (!losses.is_empty()).then(|| sum / weights.sum::<f64>());
            assert_eq!(running.mean().is_some(), expected.is_some());
            let difference = running.mean().unwrap_or(0.0) - expected.unwrap_or(0.0);
            assert!(difference.abs() < 1e-12, "step {t}: {difference:e}");
        }
    }
    for keep in [0.0, -0.5, 1.5, f64::NAN] {
        assert!(matches!(RunningLoss::new(keep), Err(Error::Setting { .. })), "{keep}");
    }
}

#[test]
fn a_step_that_is_an_error_is_not_observed() {
    let (mut learner, mut running) = (simple(Regime::real_time()), RunningLoss::new(0.5).unwrap());
    observed(&mut learner, 1, &mut running);
    let mean = running.mean();
    let targets = Targets::All(&[9.0, 9.0]);
    assert!(learner.step_observed(&[f64::NAN], targets, &mut [&mut running]).is_err());
    assert_eq!(running.mean(), mean);
    // Negative control: a good one is.
    learner.step_observed(&[0.0], targets, &mut [&mut running]).unwrap();
    assert_ne!(running.mean(), mean);
}

#[test]
fn the_norm_is_that_of_all_gradients() {
    for layers in LAYERS {
        let mut seen = GradientNorm::default();
        let mut real_time = learner(layers, Regime::real_time(), 1);
        for t in 0..10 {
            let (_, norm, _) = observed(&mut real_time, t, &mut seen);
            assert!((seen.last().unwrap() - norm).abs() <= 1e-14 * norm, "{layers:?}");
        }
        observed(&mut learner(layers, Regime::Epochwise, 1), 1, &mut seen);
        assert_eq!(seen.last(), None);
    }
}

/// The largest |p| of all streams, row by row.
fn largest(learner: &Learner<f64>) -> f64 {
    let states = learner.network().layout().states();
    let rows = |b| (0..states).map(move |k| learner.stream_sensitivities(b, k).unwrap());
    let values = (0..learner.streams()).flat_map(rows).flat_map(|row| row.to_rows().concat());
    values.fold(0.0, |most, p| most.max(p.abs()))
}

#[test]
fn the_largest_sensitivity_is_looked_for_at_every_third_step() {
    LAYERS.into_iter().for_each(the_largest_sensitivity_of);
}

fn the_largest_sensitivity_of(layers: &[Cell]) {
    let mut learner = learner(layers, Regime::real_time(), 2);
    let mut seen = LargestSensitivity::new(3).unwrap();
    assert_eq!(seen.last(), None);
    let mut expected = None;
    let mut generator = Generator::new(1);
    for t in 0..12 {
        let x = [[generator.normal()], [generator.normal()]];
        let targets = [Targets::None, Targets::All(&[0.5, -0.5])];
        let samples = [0, 1].map(|b| Some((&x[b][..], targets[b])));
        let loss = learner.step_streams(&samples).unwrap().loss;
        // A report of the same step: the observer uses only the learner.
        let report = rtrl_model::StepReport {
            step: t,
            outputs: &[],
            errors: &[],
            loss,
            gradient: None,
            updated: true,
            recoveries: learner.recoveries(),
        };
        seen.observe(&learner, &report);
        if t.is_multiple_of(3) {
            expected = Some(largest(&learner));
        } else {
            assert_ne!(expected, Some(largest(&learner)));
        }
        assert_eq!(seen.last(), expected, "{layers:?}, step {t}");
    }
}

/// What it makes of the times is tested where they can be chosen, in `observer.rs`.
#[test]
fn there_is_a_step_time_from_the_second_step_on() {
    let (mut learner, mut time) = (simple(Regime::real_time()), StepTime::default());
    observed(&mut learner, 0, &mut time);
    assert_eq!((time.mean(), time.longest()), (None, Duration::ZERO));
    for t in 1..20 {
        observed(&mut learner, t, &mut time);
        assert!(time.mean().unwrap() <= time.longest());
    }
}

/// Two linear units that turn their state by an angle and stretch it, without leak or with it.
#[test]
fn the_spectral_radius_is_that_of_the_jacobian() {
    let (re, im) = (0.6, 1.1);
    for leak in [1.0, 0.25] {
        let rows = vec![vec![0.3, re, -im], vec![-0.2, im, re]];
        let network = Network::<f64>::builder(2, 1)
            .bias(false)
            .activation(Activation::Identity)
            .leak(leak)
            .weights(InitialWeights::given(rows))
            .build()
            .unwrap();
        let mut learner = Learner::builder(network).build().unwrap();
        let mut seen = SpectralRadius::new(2).unwrap();
        assert_eq!(seen.last(), None);
        let radius = (1.0 - leak + leak * re).hypot(leak * im);
        for x in [0.5, -0.5, 0.1] {
            learner.step_observed(&[x], Targets::None, &mut [&mut seen]).unwrap();
            assert_abs_diff_eq!(seen.last().unwrap(), radius, epsilon = 1e-12);
        }
        // Observed at the first and the third step: a change before the fourth is not detected.
        learner.set_weights(&[0.0; 6]).unwrap();
        learner.step_observed(&[0.0], Targets::None, &mut [&mut seen]).unwrap();
        assert!(seen.last().unwrap() > 0.9);
        learner.step_observed(&[0.0], Targets::None, &mut [&mut seen]).unwrap();
        assert_abs_diff_eq!(seen.last().unwrap(), 1.0 - leak, epsilon = 1e-12);
    }
}

/// Of a GRU and an LSTM too: one unit without inputs, whose state stays 0, where J is known.
#[test]
fn the_spectral_radius_of_gated_units_is_that_of_their_jacobian() {
    let weights =
        |w: f64, rows: [f64; 4]| InitialWeights::given(rows.map(|share| vec![share * w]).to_vec());
    // All gates are 1/2: J of a GRU is u + (1 - u) r w, that of an LSTM [[o f, o i w], [f, i w]].
    for (cell, weights, radius) in [
        (Cell::Gru, weights(3.0, [0.0, 0.0, 0.0, 1.0]), 0.5 + 0.25 * 3.0),
        (Cell::Lstm, weights(3.0, [0.0, 0.0, 1.0, 0.0]), 0.5 + 0.25 * 3.0),
    ] {
        let builder = Network::<f64>::builder(1, 0).bias(false).cell(cell).weights(weights);
        let mut learner = Learner::builder(builder.build().unwrap()).build().unwrap();
        let mut seen = SpectralRadius::new(1).unwrap();
        learner.step_observed(&[], Targets::None, &mut [&mut seen]).unwrap();
        assert_abs_diff_eq!(seen.last().unwrap(), radius, epsilon = 1e-12);
    }
}
