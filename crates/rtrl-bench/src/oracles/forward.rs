//! The forward pass of all layers in complex numbers.

use num_complex::Complex64;
use rtrl_model::Cell;
use rtrl_model::store::case::{Case, Layer, LayerState};

/// One layer in one step.
pub(super) struct LayerStep {
    /// What the rows see.
    pub(super) z: Vec<Complex64>,
    /// The sums of the rows.
    pub(super) s: Vec<Complex64>,
    /// c before the step; empty but for an LSTM.
    pub(super) c: Vec<Complex64>,
    /// y before the step, with the teacher's value where a unit is forced.
    pub(super) held: Vec<Complex64>,
    /// c and y after the step.
    pub(super) next: State,
}

/// c and y of a layer.
#[derive(Clone)]
pub(super) struct State {
    pub(super) c: Vec<Complex64>,
    pub(super) y: Vec<Complex64>,
}

/// The values of a whole run, `[t][l]`.
pub(super) struct Forward(pub(super) Vec<Vec<LayerStep>>);

impl Forward {
    pub(super) fn run(case: &Case, weights: &[Vec<Vec<Complex64>>]) -> Self {
        let mut states: Vec<State> = case.layers.iter().map(initial).collect();
        let mut steps = Vec::new();
        for (x, targets) in case.x.iter().zip(&case.targets) {
            let step = layers(case, weights, &states, x);
            states = step.iter().map(|layer| layer.next.clone()).collect();
            let outputs = states.iter_mut().flat_map(|state| &mut state.y);
            for (y, target) in outputs.zip(targets) {
                *y = target.filter(|_| case.teacher_forcing).map_or(*y, real);
            }
            steps.push(step);
        }
        Self(steps)
    }

    /// y of all layers after step t.
    pub(super) fn outputs(&self, t: usize) -> impl Iterator<Item = Complex64> {
        self.0[t].iter().flat_map(|layer| layer.next.y.iter().copied())
    }

    pub(super) fn loss(&self, case: &Case) -> Complex64 {
        let outputs = (0..self.0.len()).flat_map(|t| self.outputs(t));
        let pairs = outputs.zip(case.targets.iter().flatten());
        pairs.filter_map(|(y, target)| target.map(|d| (d - y) * (d - y) * 0.5)).sum()
    }
}

fn real(value: f64) -> Complex64 {
    Complex64::new(value, 0.0)
}

fn initial(layer: &Layer) -> State {
    let state = LayerState { state: layer.initial_state.clone(), cell: layer.initial_cell.clone() };
    let zero = vec![0.0; layer.units];
    let c = match layer.cell {
        Cell::Lstm => state.cell.unwrap_or(zero),
        _ => Vec::new(),
    };
    let complex = |values: Vec<f64>| values.into_iter().map(real).collect();
    State { c: complex(c), y: complex(state.state) }
}

/// One step of every layer, each of which sees the new outputs of the one below.
fn layers(
    case: &Case,
    weights: &[Vec<Vec<Complex64>>],
    states: &[State],
    x: &[f64],
) -> Vec<LayerStep> {
    let mut input: Vec<Complex64> = x.iter().copied().map(real).collect();
    let mut steps = Vec::new();
    for ((layer, rows), State { c, y }) in case.layers.iter().zip(weights).zip(states) {
        let bias = case.bias.then_some(Complex64::ONE);
        let z: Vec<_> = input.iter().copied().chain(bias).chain(y.iter().copied()).collect();
        let sum = |row: &Vec<Complex64>| row.iter().zip(&z).map(|(w, z)| w * z).sum();
        let s: Vec<Complex64> = rows.iter().map(sum).collect();
        let next = match layer.cell {
            Cell::Simple => simple(layer, &s, y),
            Cell::Gru => gru(&s, y),
            Cell::Lstm => lstm(&s, c),
        };
        input.clone_from(&next.y);
        steps.push(LayerStep { z, s, c: c.clone(), held: y.clone(), next });
    }
    steps
}

fn simple(layer: &Layer, s: &[Complex64], y: &[Complex64]) -> State {
    let unit = |k: usize| {
        let leak = layer.leak_of(k);
        leak * value(layer.activation_of(k), s[k]) + (1.0 - leak) * y[k]
    };
    State { c: Vec::new(), y: (0..y.len()).map(unit).collect() }
}

fn gru(s: &[Complex64], y: &[Complex64]) -> State {
    let n = y.len();
    let unit = |k: usize| {
        let (r, u) = (logistic(s[k]), logistic(s[n + k]));
        (1.0 - u) * (s[2 * n + k] + r * s[3 * n + k]).tanh() + u * y[k]
    };
    State { c: Vec::new(), y: (0..n).map(unit).collect() }
}

fn lstm(s: &[Complex64], c: &[Complex64]) -> State {
    let n = c.len();
    let next = |k: usize| logistic(s[n + k]) * c[k] + logistic(s[k]) * s[2 * n + k].tanh();
    let c: Vec<_> = (0..n).map(next).collect();
    let y = (0..n).map(|k| logistic(s[3 * n + k]) * c[k].tanh()).collect();
    State { c, y }
}

fn logistic(s: Complex64) -> Complex64 {
    1.0 / (1.0 + (-s).exp())
}

fn value(name: &str, s: Complex64) -> Complex64 {
    match name {
        "logistic" => logistic(s),
        "tanh" => s.tanh(),
        "identity" => s,
        "softplus" => (1.0 + s.exp()).ln(),
        other => panic!("{other} is not smooth"),
    }
}
