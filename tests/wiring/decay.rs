//! A decay of p, against loops, and against the learner's own J where units are gated.

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::{
    Cell, EngineChoice, InitialWeights, Learner, LearnerBuilder, Matrix, Network, Regime, Targets,
};

use super::{COLUMNS, ENGINES, INPUTS, STEPS, UNITS};
use crate::fixtures::table;

/// The largest difference of a learner's p from `p' = J decay p + B`, in loops.
fn decay_difference(engine: EngineChoice, leak: f64, decay: f64, by_hand: f64) -> f64 {
    let w = table(UNITS, COLUMNS, 1);
    let network = Network::<f64>::builder(UNITS, INPUTS)
        .leak(leak)
        .weights(InitialWeights::given(w.clone()))
        .build()
        .unwrap();
    let mut learner = Learner::builder(network)
        .regime(Regime::Epochwise)
        .engine(engine)
        .sensitivity_decay(decay)
        .build()
        .unwrap();
    let mut y = [0.0; UNITS];
    let mut p = vec![vec![0.0; UNITS * COLUMNS]; UNITS];
    let mut worst: f64 = 0.0;
    for x in table(STEPS, INPUTS, 3) {
        learner.step(&x, Targets::All(&[0.1; UNITS])).unwrap();
        let z: Vec<f64> = x.iter().copied().chain([1.0]).chain(y.iter().copied()).collect();
        let before = p.clone();
        for k in 0..UNITS {
            let s: f64 = w[k].iter().zip(&z).map(|(w, z)| w * z).sum();
            let slope = leak * (1.0 - s.tanh() * s.tanh());
            y[k] = (1.0 - leak) * y[k] + leak * s.tanh();
            for column in 0..UNITS * COLUMNS {
                let kept = (1.0 - leak) * before[k][column];
                let passed: f64 =
                    (0..UNITS).map(|l| w[k][INPUTS + 1 + l] * before[l][column]).sum();
                p[k][column] = by_hand * (kept + slope * passed);
                if column / COLUMNS == k {
                    p[k][column] += slope * z[column % COLUMNS];
                }
            }
            let row = learner.sensitivities(k).unwrap().to_rows().concat();
            worst = worst.max(relative_to_largest(&row, &p[k]));
        }
    }
    worst
}

#[test]
fn p_decays_as_asked() {
    for engine in ENGINES {
        for leak in [1.0, 0.4] {
            for decay in [1.0, 0.9, 0.5, 1e-3] {
                let difference = decay_difference(engine, leak, decay, decay);
                assert!(difference < 1e-12, "{engine:?} {leak} {decay}: {difference:e}");
            }
            // Negative control.
            assert!(decay_difference(engine, leak, 0.9, 1.0) > 1e-3);
        }
    }
}

/// The same for gated units and layers, where J is the learner's, and B is what the p of a learner
/// without a decay gains in the step: `B = p' - J p`.
fn decay_difference_of(layers: &[Cell], engine: EngineChoice, decay: f64, by_hand: f64) -> f64 {
    let first = Network::<f64>::builder(UNITS, INPUTS).cell(layers[0]);
    let network = layers[1..].iter().fold(first, |below, &cell| below.layer(3).cell(cell));
    let network = network.weights(InitialWeights::Torch).build().unwrap();
    let states = network.layout().states();
    let builder = Learner::builder(network).regime(Regime::Epochwise).engine(engine);
    let mut plain = builder.clone().build().unwrap();
    let mut fading = builder.sensitivity_decay(decay).build().unwrap();
    let p_of = |learner: &Learner<f64>| -> Vec<Vec<f64>> {
        (0..states).map(|k| learner.sensitivities(k).unwrap().to_rows().concat()).collect()
    };
    let passed = |jacobian: &Matrix<f64>, p: &[Vec<f64>], k: usize, column: usize| -> f64 {
        (0..states).map(|l| jacobian[(k, l)] * p[l][column]).sum()
    };
    let mut p = p_of(&plain);
    let mut worst: f64 = 0.0;
    for x in table(STEPS, INPUTS, 3) {
        let before = [p_of(&plain), p.clone()];
        for learner in [&mut plain, &mut fading] {
            learner.step(&x, Targets::None).unwrap();
        }
        let (jacobian, after, got) = (plain.jacobian(0).unwrap(), p_of(&plain), p_of(&fading));
        for k in 0..states {
            for column in 0..p[k].len() {
                let [plain, fading] = [0, 1].map(|i| passed(&jacobian, &before[i], k, column));
                p[k][column] = by_hand * fading + after[k][column] - plain;
            }
            worst = worst.max(relative_to_largest(&got[k], &p[k]));
        }
    }
    worst
}

#[test]
fn p_of_gated_units_and_layers_decays_as_asked() {
    for layers in [&[Cell::Gru][..], &[Cell::Lstm], &[Cell::Lstm, Cell::Gru]] {
        for engine in ENGINES {
            for decay in [0.9, 1e-3] {
                let difference = decay_difference_of(layers, engine, decay, decay);
                assert!(difference < 1e-12, "{layers:?} {engine:?} {decay}: {difference:e}");
            }
            // Negative control.
            assert!(decay_difference_of(layers, engine, 0.9, 1.0) > 1e-3);
        }
    }
}

/// Bits of the weights after a few steps.
fn bits(learner: LearnerBuilder<f32>) -> Vec<u64> {
    let mut learner = learner.build().unwrap();
    for t in 0..40 {
        learner.step(&[0.1 * t as f32, 0.5], Targets::All(&[0.3; UNITS])).unwrap();
    }
    learner.network().weights().to_rows().concat().into_iter().map(f64::to_bits).collect()
}

#[test]
fn a_decay_of_one_is_none() {
    let network = Network::<f32>::builder(UNITS, INPUTS).leak(0.7).build().unwrap();
    for engine in ENGINES {
        let learner = || Learner::builder(network.clone()).engine(engine);
        assert_eq!(bits(learner().sensitivity_decay(1.0)), bits(learner()));
        assert_ne!(bits(learner().sensitivity_decay(0.99)), bits(learner()));
    }
}
