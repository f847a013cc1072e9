//! What the learner promises beside the numbers of the conformance cases: the readout, the optimisers,
//! looking ahead, and that bad input or an overflow leaves no damage.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::{
    Activation, Clipping, Error, Generator, InitialWeights, Isa, Learner, Matrix, Network,
    Optimizer, Quantity, Readout, ReadoutWeights, Real, Regime, Targets,
};

const UNITS: usize = 5;
const INPUTS: usize = 2;
const OUTPUTS: usize = 3;

fn table(rows: usize, columns: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut generator = Generator::new(seed);
    let mut row = || (0..columns).map(|_| generator.between(-0.7, 0.7)).collect();
    (0..rows).map(|_| row()).collect()
}

/// A network with a readout on units and inputs.
fn network<T: Real>(recurrent: &[Vec<f64>], readout: &[Vec<f64>]) -> Network<T> {
    let readout =
        Readout::new(OUTPUTS).with_inputs().weights(ReadoutWeights::Given(readout.to_vec()));
    Network::<T>::builder(UNITS, INPUTS)
        .weights(InitialWeights::Given(recurrent.to_vec()))
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
    let mut network = network::<f64>(recurrent, readout);
    let mut loss = 0.0;
    for (x, targets) in stream(12) {
        let outputs = network.forward(&x).unwrap();
        let errors = outputs.iter().zip(targets).filter_map(|(o, d)| Some(d? - o));
        loss += 0.5 * errors.map(|e| e * e).sum::<f64>();
    }
    loss
}

/// Central differences of `loss` with respect to one of the two tables.
fn differences(loss: impl Fn(&[Vec<f64>]) -> f64, at: &[Vec<f64>]) -> Vec<f64> {
    let h = 1e-5;
    let mut moved = at.to_vec();
    let mut list = Vec::new();
    for i in 0..at.len() {
        for j in 0..at[i].len() {
            moved[i][j] = at[i][j] + h;
            let above = loss(&moved);
            moved[i][j] = at[i][j] - h;
            list.push((above - loss(&moved)) / (2.0 * h));
            moved[i][j] = at[i][j];
        }
    }
    list
}

#[test]
fn gradients_through_the_readout_are_those_of_the_loss() {
    let (recurrent, readout) = weights();
    let mut learner = Learner::builder(network::<f64>(&recurrent, &readout))
        .regime(Regime::Epochwise)
        .build()
        .unwrap();
    let mut sums = [vec![0.0; UNITS * 8], vec![0.0; OUTPUTS * 8]];
    for (x, targets) in stream(12) {
        let report = learner.step(&x, Targets::Some(&targets)).unwrap();
        let matrices = [report.gradient.recurrent(), report.gradient.readout().unwrap()];
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
    // Negative control: the tolerance would notice one wrong component.
    sums[0][3] *= 1.0 + 1e-3;
    assert!(relative_to_largest(&sums[0], &expected[0]) > 1e-8);
}

/// Adam and the clipping as their authors write them, on one flat list.
#[test]
fn updates_follow_the_formulas() {
    let (recurrent, readout) = weights();
    let clipping = Clipping { value: Some(0.05), norm: Some(0.1) };
    let mut learner = Learner::builder(network::<f64>(&recurrent, &readout))
        .optimizer(Optimizer::adam(0.02))
        .clipping(clipping)
        .build()
        .unwrap();
    let mut w = [recurrent.concat(), readout.concat()].concat();
    let (mut m, mut v) = (vec![0.0; w.len()], vec![0.0; w.len()]);
    for (t, (x, targets)) in stream(10).into_iter().enumerate() {
        let report = learner.step(&x, Targets::Some(&targets)).unwrap();
        let flat = |matrix: &Matrix<f64>| matrix.to_rows().concat();
        let gradient = report.gradient;
        let mut g = [flat(gradient.recurrent()), flat(gradient.readout().unwrap())].concat();
        for g in &mut g {
            *g = g.clamp(-0.05, 0.05);
        }
        let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
        let update = i32::try_from(t).unwrap() + 1;
        for i in 0..w.len() {
            let g = g[i] * (0.1 / (norm + 1e-6)).min(1.0);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let corrected = (v[i] / (1.0 - 0.999f64.powi(update))).sqrt() + 1e-8;
            w[i] -= 0.02 * (m[i] / (1.0 - 0.9f64.powi(update))) / corrected;
        }
        let network = learner.network();
        let got = [flat(network.weights()), flat(network.readout_weights().unwrap())].concat();
        let difference = relative_to_largest(&got, &w);
        assert!(difference < 1e-13, "update {update}: {difference:e}");
    }
    assert_eq!(learner.updates(), 10);
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
    let mut network = learner.network().clone();
    for (x, _) in stream(10) {
        let x: Vec<f32> = x.into_iter().map(f32::from_f64).collect();
        let outputs = network.forward(&x).unwrap().to_vec();
        assert_eq!(learner.step(&x, Targets::None).unwrap().outputs, outputs);
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
        assert_eq!(report.gradient.recurrent(), same.gradient.recurrent());
    }
    assert_eq!(learner.network().weights(), undisturbed.network().weights());
}

/// Outputs stay small while the sensitivities grow fifty-fold a step: a derivative that is not that of
/// the value.
#[test]
fn after_an_overflow_the_weights_stand_and_a_reset_helps() {
    let wild = Activation::custom("wild", f64::sin, |_| 50.0);
    let network = Network::<f32>::builder(2, 1)
        .activation(wild)
        .weights(InitialWeights::Given(vec![vec![1.0; 4]; 2]))
        .isa(Isa::best())
        .build()
        .unwrap();
    let mut learner = Learner::builder(network).optimizer(Optimizer::sgd(0.0)).build().unwrap();
    let mut steps = 0;
    let error = loop {
        match learner.step(&[0.5], Targets::None) {
            Ok(_) => steps += 1,
            Err(error) => break error,
        }
        assert!(steps < 100, "p does not overflow");
    };
    let quantity = Quantity::Sensitivities;
    assert!(
        matches!(error, Error::Overflow { step, quantity: q } if step == steps && q == quantity)
    );
    assert_eq!(learner.network().weights().to_rows(), vec![vec![1.0; 4]; 2]);
    assert!(learner.network().state().iter().all(|y| y.is_finite()));
    assert!(matches!(
        learner.step(&[0.5], Targets::None),
        Err(Error::SensitivitiesLost { step }) if step == steps
    ));
    learner.reset_sensitivities();
    let report = learner.step(&[0.5], Targets::All(&[0.0, 0.0])).unwrap();
    assert_eq!(report.step, steps);
}

#[test]
fn an_update_that_is_not_finite_is_refused_and_the_rest_stands() {
    for optimizer in [Optimizer::sgd(1e38), Optimizer::adam(1e38)] {
        let (recurrent, readout) = weights();
        let mut learner = Learner::builder(network::<f32>(&recurrent, &readout))
            .optimizer(optimizer)
            .build()
            .unwrap();
        let before = learner.network().weights().clone();
        let state = learner.network().state().to_vec();
        let error = learner.step(&[1.0, 1.0], Targets::All(&[1e3; 3])).unwrap_err();
        assert!(matches!(error, Error::UpdateRefused { step: 1, quantity: Quantity::Weights }));
        assert_eq!(learner.network().weights(), &before);
        assert_ne!(learner.network().state(), state);
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
    for optimizer in [Optimizer::sgd(0.1), Optimizer::adam(0.1)] {
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
    assert_eq!(setting(Network::<f64>::builder(0, 1).build()), "the number of units");
    assert_eq!(
        setting(builder().activations([Activation::Tanh, Activation::Relu]).build()),
        "the number of activations"
    );
    assert_eq!(
        setting(builder().readout(Readout::new(0)).build()),
        "the number of readout outputs"
    );
    assert_eq!(
        setting(builder().weights(InitialWeights::Given(vec![vec![f64::NAN; 5]; 3])).build()),
        "the weight matrix"
    );
    for (units, inputs) in
        [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX), (1 << 20, 1)]
    {
        let vast = Network::<f64>::builder(units, inputs).build();
        assert!(matches!(vast, Err(Error::Memory { .. })), "{units} units, {inputs} inputs");
    }
    let narrow = builder().weights(InitialWeights::Given(vec![vec![0.0; 4]; 3])).build();
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
        assert!(matches!(learner.build(), Err(Error::Setting { what: "the learning rate", .. })));
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
