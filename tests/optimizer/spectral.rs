//! The limit on the spectral norm of the recurrent weights.

use rtrl_model::{Cell, InitialWeights, Learner, Matrix, Network, Optimizer, Targets};

use super::{COLUMNS, INPUTS, STEPS, UNITS, mask, network, step, table, weights};

/// The largest singular value of the recurrent block of W, by power iteration on its square.
fn spectral_norm(weights: &Matrix<f64>) -> f64 {
    let rows = weights.to_rows();
    let block: Vec<&[f64]> = rows.iter().map(|row| &row[INPUTS + 1..]).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut v = vec![1.0; UNITS];
    for _ in 0..5000 {
        let image: Vec<f64> = block.iter().map(|row| dot(row, &v)).collect();
        for (j, v) in v.iter_mut().enumerate() {
            *v = block.iter().zip(&image).map(|(row, image)| row[j] * image).sum();
        }
        let length = dot(&v, &v).sqrt();
        for v in &mut v {
            *v /= length;
        }
    }
    block.iter().map(|row| dot(row, &v).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn the_spectral_limit_scales_the_recurrent_weights_and_nothing_else() {
    let builder = || Learner::builder(network()).optimizer(Optimizer::momentum(0.5, 0.9));
    let mut free = builder().build().unwrap();
    let limit = 0.9 * spectral_norm(free.network().weights());
    let mut limited = builder().spectral_limit(limit).build().unwrap();
    let mut loose = builder().spectral_limit(1e6).build().unwrap();
    // Initial weights are unchanged.
    assert_eq!(weights(&limited), weights(&free));
    step(&mut free, 0);
    step(&mut limited, 0);
    let (before, after) = (free.network().weights(), limited.network().weights());
    let factor = limit / spectral_norm(before);
    assert!(factor < 0.95);
    for (i, j) in (0..UNITS).flat_map(|i| (0..COLUMNS).map(move |j| (i, j))) {
        let expected = before[(i, j)] * if j > INPUTS { factor } else { 1.0 };
        assert!((after[(i, j)] - expected).abs() < 1e-14, "weight {i}, {j}");
    }
    assert_eq!(free.network().readout_weights(), limited.network().readout_weights());
    for t in 1..STEPS {
        step(&mut free, t);
        step(&mut limited, t);
        assert!(spectral_norm(limited.network().weights()) < limit * (1.0 + 1e-13), "step {t}");
    }
    (0..STEPS).for_each(|t| drop(step(&mut loose, t)));
    assert_eq!(weights(&loose), weights(&free));
}

/// With frozen weights the limit also holds; only the weights that learn are scaled.
#[test]
fn the_spectral_limit_leaves_frozen_weights_alone() {
    let (present, frozen) = (mask(11), mask(12));
    let network = Network::<f64>::builder(UNITS, INPUTS)
        .weights(InitialWeights::given(table(UNITS, COLUMNS, 1)))
        .connections(present.clone())
        .frozen(frozen.concat().iter().map(|frozen| !frozen).collect::<Vec<_>>())
        .build()
        .unwrap();
    let before = network.weights().clone();
    let builder = |limit| {
        Learner::builder(network.clone()).optimizer(Optimizer::sgd(2.0)).spectral_limit(limit)
    };
    let refused = builder(0.1).build().unwrap_err().to_string();
    assert!(refused.contains("at least that of the frozen weights"), "{refused}");
    let limit = 0.95 * spectral_norm(&before);
    let mut free = builder(1e6).build().unwrap();
    let mut limited = builder(limit).build().unwrap();
    for t in 0..STEPS {
        let targets = [0.9, -0.9, 0.9, -0.9, 0.9];
        for learner in [&mut free, &mut limited] {
            learner.step(&[0.5, 0.1 * t as f64], Targets::All(&targets)).unwrap();
        }
        let after = limited.network().weights();
        assert!(spectral_norm(after) < limit * (1.0 + 1e-13), "step {t}");
        for (i, j) in (0..UNITS).flat_map(|i| (0..COLUMNS).map(move |j| (i, j))) {
            let learns = present[i][j] && frozen[i][j];
            assert!(learns || after[(i, j)] == before[(i, j)], "weight {i}, {j}");
        }
    }
    // Negative control: without the limit it would not hold.
    assert!(spectral_norm(free.network().weights()) > limit);
}

/// No limit is defined where the state returns through several matrices.
#[test]
fn a_spectral_limit_of_other_networks_is_refused() {
    let network = || Network::<f64>::builder(4, INPUTS);
    for (network, got) in [
        (network().layer(3), "2 layers"),
        (network().cell(Cell::Gru), "gru units"),
        (network().heads_of(2), "2 heads"),
    ] {
        let learner = Learner::builder(network.build().unwrap()).spectral_limit(1.0);
        let refused = learner.build().unwrap_err().to_string();
        let expected = format!(
            "spectral limit: got {got}, expected one layer of simple units without heads, whose \
             state returns through a single matrix"
        );
        assert_eq!(refused, expected);
    }
}
