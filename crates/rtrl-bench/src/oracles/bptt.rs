//! Backpropagation through time: the errors are carried back through the unrolled network.

use rtrl_model::Cell;
use rtrl_model::store::case::{Case, Layer, Table};

use super::forward::{Forward, LayerStep};
use super::{learning, present_weights, zeros};

/// Backpropagation through time.
pub fn bptt(case: &Case) -> Vec<Table> {
    let weights = present_weights(case);
    let run = Forward::run(case, &weights);
    let mut sums = zeros(case);
    // dL/dy and dL/dc of every layer by way of later steps.
    let mut later: Vec<Adjoint> = case.layers.iter().map(Adjoint::zero).collect();
    for (t, step) in run.0.iter().enumerate().rev() {
        let mut arriving = errors(case, &run, t, &later);
        for l in (0..step.len()).rev() {
            let (layer, adjoint) = (&case.layers[l], &arriving[l]);
            let (by_sums, mut before) = backward(layer, &step[l], adjoint);
            for (i, &delta) in by_sums.iter().enumerate() {
                for (j, z) in step[l].z.iter().enumerate() {
                    sums[l][i][j] += delta * z.re;
                }
            }
            let by_z = |j: usize| {
                by_sums.iter().zip(&weights[l]).map(|(delta, row)| delta * row[j].re).sum::<f64>()
            };
            let recurrent = step[l].z.len() - layer.units;
            for (unit, y) in before.y.iter_mut().enumerate() {
                *y += by_z(recurrent + unit);
            }
            if let Some(below) = l.checked_sub(1) {
                for (j, y) in arriving[below].y.iter_mut().enumerate() {
                    *y += by_z(j);
                }
            }
            later[l] = before;
        }
    }
    only_learning(case, &sums)
}

/// dL/dy and dL/dc of a layer.
#[derive(Clone)]
struct Adjoint {
    y: Vec<f64>,
    c: Vec<f64>,
}

impl Adjoint {
    fn zero(layer: &Layer) -> Self {
        Self { y: vec![0.0; layer.units], c: vec![0.0; layer.units] }
    }
}

/// dL/dy and dL/dc after step t, by the losses of that step and of later steps. A value that the
/// teacher replaces has no influence on later steps.
fn errors(case: &Case, run: &Forward, t: usize, later: &[Adjoint]) -> Vec<Adjoint> {
    let mut arriving = later.to_vec();
    let places = arriving.iter_mut().flat_map(|adjoint| &mut adjoint.y);
    for ((place, y), target) in places.zip(run.outputs(t)).zip(&case.targets[t]) {
        let Some(d) = target else { continue };
        let by_later = if case.teacher_forcing { 0.0 } else { *place };
        *place = by_later + (y.re - d);
    }
    arriving
}

/// dL/ds of every row of a layer, and dL/dy and dL/dc before the step at fixed s.
fn backward(layer: &Layer, step: &LayerStep, after: &Adjoint) -> (Vec<f64>, Adjoint) {
    let mut before = Adjoint::zero(layer);
    let mut by_sums = vec![0.0; layer.rows()];
    for k in 0..layer.units {
        match layer.cell {
            Cell::Simple => {
                let (leak, s) = (layer.leak_of(k), step.s[k].re);
                by_sums[k] = after.y[k] * leak * slope(layer.activation_of(k), s);
                before.y[k] = after.y[k] * (1.0 - leak);
            }
            Cell::Gru => gru(k, step, after, &mut by_sums, &mut before),
            Cell::Lstm => lstm(k, step, after, &mut by_sums, &mut before),
        }
    }
    (by_sums, before)
}

/// Unit k of a GRU, gate by gate from y' = (1 - u) v + u y backwards.
fn gru(k: usize, step: &LayerStep, after: &Adjoint, by_sums: &mut [f64], before: &mut Adjoint) {
    let n = step.held.len();
    let s = |block: usize| step.s[block * n + k].re;
    let (r, u) = (logistic(s(0)), logistic(s(1)));
    let inner = s(2) + r * s(3);
    let by_u = after.y[k] * (step.held[k].re - inner.tanh());
    let by_inner = after.y[k] * (1.0 - u) * slope("tanh", inner);
    by_sums[k] = by_inner * s(3) * slope("logistic", s(0));
    by_sums[n + k] = by_u * slope("logistic", s(1));
    by_sums[2 * n + k] = by_inner;
    by_sums[3 * n + k] = by_inner * r;
    before.y[k] = after.y[k] * u;
}

/// Unit k of an LSTM, from y' = o tanh(c') backwards.
fn lstm(k: usize, step: &LayerStep, after: &Adjoint, by_sums: &mut [f64], before: &mut Adjoint) {
    let n = step.held.len();
    let s = |block: usize| step.s[block * n + k].re;
    let (c, next) = (step.c[k].re, step.next.c[k].re);
    let by_c = after.c[k] + after.y[k] * logistic(s(3)) * slope("tanh", next);
    by_sums[k] = by_c * s(2).tanh() * slope("logistic", s(0));
    by_sums[n + k] = by_c * c * slope("logistic", s(1));
    by_sums[2 * n + k] = by_c * logistic(s(0)) * slope("tanh", s(2));
    by_sums[3 * n + k] = after.y[k] * next.tanh() * slope("logistic", s(3));
    before.c[k] = by_c * logistic(s(1));
}

fn logistic(s: f64) -> f64 {
    1.0 / (1.0 + (-s).exp())
}

fn slope(name: &str, s: f64) -> f64 {
    match name {
        "logistic" => 0.25 / ((s / 2.0).cosh() * (s / 2.0).cosh()),
        "tanh" => 1.0 / (s.cosh() * s.cosh()),
        "identity" => 1.0,
        "softplus" => 1.0 / (1.0 + (-s).exp()),
        other => panic!("{other} is not smooth"),
    }
}

fn only_learning(case: &Case, sums: &[Table]) -> Vec<Table> {
    let mut gradient = zeros(case);
    for (l, i, j) in learning(case) {
        gradient[l][i][j] = sums[l][i][j];
    }
    gradient
}
