//! Gradients by methods other than forward sensitivities, in double precision.
//!
//! Both take an epochwise case of one epoch with smooth activations and return the derivative of
//! the summed loss with respect to every weight that learns (0 for the others), n x c.

use num_complex::Complex64;
use rtrl_model::store::case::Case;

/// Backpropagation through time: the errors are carried back through the unrolled network.
pub fn bptt(case: &Case) -> Vec<Vec<f64>> {
    let run = Forward::run(case, &present_weights(case));
    let (n, c) = (case.units(), case.layers[0].weights[0].len());
    let mut gradient = vec![vec![0.0; c]; n];
    // dJ_total / dy_k(t+1) by way of later steps.
    let mut later = vec![0.0; n];
    for (t, z) in run.z.iter().enumerate().rev() {
        let forced_next = |k: usize| case.teacher_forcing && case.targets[t][k].is_some();
        // dJ_total / dy_k(t+1), and dJ_total / ds_k(t).
        let mut arriving = vec![0.0; n];
        let mut delta = vec![0.0; n];
        for k in 0..n {
            let now = case.targets[t][k].map_or(0.0, |d| run.y[t][k].re - d);
            arriving[k] = now + if forced_next(k) { 0.0 } else { later[k] };
            delta[k] = arriving[k] * leak(case, k) * slope(case, k, run.s[t][k].re);
        }
        for (i, row) in gradient.iter_mut().enumerate() {
            for (j, place) in row.iter_mut().enumerate() {
                *place += delta[i] * z[j].re;
            }
        }
        let weight = |i: usize, l: usize| {
            if present(case, i, c - n + l) { case.layers[0].weights[i][c - n + l] } else { 0.0 }
        };
        for (l, later) in later.iter_mut().enumerate() {
            let by_weights: f64 = (0..n).map(|i| weight(i, l) * delta[i]).sum();
            *later = by_weights + (1.0 - leak(case, l)) * arriving[l];
        }
    }
    only_learning(case, gradient)
}

/// The complex step: `dL/dw = Im L(w + ih) / h` without cancellation (Squire & Trapp 1998).
pub fn complex_step(case: &Case) -> Vec<Vec<f64>> {
    const H: f64 = 1e-40;
    let mut weights = present_weights(case);
    let (n, c) = (case.units(), case.layers[0].weights[0].len());
    let mut gradient = vec![vec![0.0; c]; n];
    for i in 0..n {
        for j in 0..c {
            if learns(case, i, j) {
                weights[i][j].im = H;
                gradient[i][j] = Forward::run(case, &weights).loss(case).im / H;
                weights[i][j].im = 0.0;
            }
        }
    }
    gradient
}

/// The values of a whole run.
struct Forward {
    z: Vec<Vec<Complex64>>,
    s: Vec<Vec<Complex64>>,
    y: Vec<Vec<Complex64>>,
}

impl Forward {
    fn run(case: &Case, weights: &[Vec<Complex64>]) -> Self {
        let real = |value: &f64| Complex64::new(*value, 0.0);
        let mut acting: Vec<Complex64> = case.layers[0].initial_state.iter().map(real).collect();
        let mut run = Self { z: Vec::new(), s: Vec::new(), y: Vec::new() };
        for (x, targets) in case.x.iter().zip(&case.targets) {
            let bias = case.bias.then_some(Complex64::ONE);
            let z: Vec<_> = x.iter().map(real).chain(bias).chain(acting).collect();
            let s: Vec<Complex64> =
                weights.iter().map(|row| row.iter().zip(&z).map(|(w, z)| w * z).sum()).collect();
            let held = &z[z.len() - case.units()..];
            let leaky = |(k, (&s, held)): (usize, (&Complex64, &Complex64))| {
                leak(case, k) * value(case, k, s) + (1.0 - leak(case, k)) * held
            };
            let y: Vec<_> = s.iter().zip(held).enumerate().map(leaky).collect();
            let teacher = |(y, target): (&Complex64, &Option<f64>)| match target {
                Some(d) if case.teacher_forcing => real(d),
                _ => *y,
            };
            acting = y.iter().zip(targets).map(teacher).collect();
            run.z.push(z);
            run.s.push(s);
            run.y.push(y);
        }
        run
    }

    fn loss(&self, case: &Case) -> Complex64 {
        let pairs = self.y.iter().flatten().zip(case.targets.iter().flatten());
        pairs.filter_map(|(y, target)| target.map(|d| (d - y) * (d - y) * 0.5)).sum()
    }
}

fn name(case: &Case, k: usize) -> &str {
    case.layers[0].activation_of(k)
}

fn leak(case: &Case, k: usize) -> f64 {
    case.layers[0].leak_of(k)
}

fn value(case: &Case, k: usize, s: Complex64) -> Complex64 {
    match name(case, k) {
        "logistic" => 1.0 / (1.0 + (-s).exp()),
        "tanh" => s.tanh(),
        "identity" => s,
        "softplus" => (1.0 + s.exp()).ln(),
        other => panic!("{other} is not smooth"),
    }
}

fn slope(case: &Case, k: usize, s: f64) -> f64 {
    match name(case, k) {
        "logistic" => 0.25 / ((s / 2.0).cosh() * (s / 2.0).cosh()),
        "tanh" => 1.0 / (s.cosh() * s.cosh()),
        "identity" => 1.0,
        "softplus" => 1.0 / (1.0 + (-s).exp()),
        other => panic!("{other} is not smooth"),
    }
}

fn present(case: &Case, i: usize, j: usize) -> bool {
    case.is_present(0, i, j)
}

fn learns(case: &Case, i: usize, j: usize) -> bool {
    case.learns(0, i, j)
}

fn present_weights(case: &Case) -> Vec<Vec<Complex64>> {
    let weight =
        |i: usize, j: usize, w: f64| Complex64::new(if present(case, i, j) { w } else { 0.0 }, 0.0);
    let rows = case.layers[0].weights.iter().enumerate();
    rows.map(|(i, row)| row.iter().enumerate().map(|(j, &w)| weight(i, j, w)).collect()).collect()
}

fn only_learning(case: &Case, mut gradient: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for (i, row) in gradient.iter_mut().enumerate() {
        for (j, place) in row.iter_mut().enumerate() {
            if !learns(case, i, j) {
                *place = 0.0;
            }
        }
    }
    gradient
}
