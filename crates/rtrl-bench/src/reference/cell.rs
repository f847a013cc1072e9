//! One step of a layer, from the weighted sums of its rows to its next state, with its derivatives.

use rtrl_model::store::case::Layer;
use rtrl_model::{Cell, Real};

/// The next state of a layer and how it depends on the sums and on the state before.
///
/// A state is y, and of an LSTM y and then c. `None` is a derivative that is zero by the equations;
/// it has no part in any sum.
pub(super) struct CellStep<T> {
    /// The next state.
    pub(super) state: Vec<T>,
    /// `[k][i]`: the derivative of state k with respect to the sum of row i.
    pub(super) slopes: Vec<Vec<Option<T>>>,
    /// `[k][l]`: the derivative of state k with respect to state l before, at fixed sums.
    pub(super) kept: Vec<Vec<Option<T>>>,
}

impl<T: Real> CellStep<T> {
    /// The step for the sums `s` of all rows. `y` is the output before, with the teacher's value
    /// where a unit is forced, and `c` the state c of an LSTM before.
    pub(super) fn new(layer: &Layer, s: &[T], y: &[T], c: &[T]) -> Self {
        let states = y.len() + c.len();
        let mut step = Self {
            state: vec![T::ZERO; states],
            slopes: vec![vec![None; layer.rows()]; states],
            kept: vec![vec![None; states]; states],
        };
        for k in 0..layer.units {
            match layer.cell {
                Cell::Simple => step.simple(layer, k, s, y),
                Cell::Gru => step.gru(k, s, y),
                Cell::Lstm => step.lstm(k, s, c),
            }
        }
        step
    }

    /// (2'), which is (2) where the leak is 1.
    fn simple(&mut self, layer: &Layer, k: usize, s: &[T], y: &[T]) {
        let a = T::from_f64(layer.leak_of(k));
        let kept = T::ONE - a;
        let (value, slope) = activation(layer.activation_of(k), s[k]);
        self.state[k] = a.mul_add(value, kept * y[k]);
        self.slopes[k][k] = Some(a * slope);
        self.kept[k][k] = Some(kept);
    }

    /// (16) and (17).
    fn gru(&mut self, k: usize, s: &[T], y: &[T]) {
        let n = y.len();
        let [r, u] = [s[k].logistic(), s[n + k].logistic()];
        let v = r.mul_add(s[3 * n + k], s[2 * n + k]).tanh();
        let g = (T::ONE - u) * (T::ONE - v * v);
        self.state[k] = u.mul_add(y[k], (T::ONE - u) * v);
        self.slopes[k][k] = Some(g * s[3 * n + k] * (r * (T::ONE - r)));
        self.slopes[k][n + k] = Some((y[k] - v) * (u * (T::ONE - u)));
        self.slopes[k][2 * n + k] = Some(g);
        self.slopes[k][3 * n + k] = Some(g * r);
        self.kept[k][k] = Some(u);
    }

    /// (19) and (20).
    fn lstm(&mut self, k: usize, s: &[T], c: &[T]) {
        let n = c.len();
        let [i, f, o] = [s[k].logistic(), s[n + k].logistic(), s[3 * n + k].logistic()];
        let g = s[2 * n + k].tanh();
        let next = f.mul_add(c[k], i * g);
        let t = next.tanh();
        let a = o * (T::ONE - t * t);
        self.state[k] = o * t;
        self.state[n + k] = next;
        let to_c = [g * (i * (T::ONE - i)), c[k] * (f * (T::ONE - f)), i * (T::ONE - g * g)];
        for (block, slope) in to_c.into_iter().enumerate() {
            self.slopes[k][block * n + k] = Some(a * slope);
            self.slopes[n + k][block * n + k] = Some(slope);
        }
        self.slopes[k][3 * n + k] = Some(t * (o * (T::ONE - o)));
        self.kept[k][n + k] = Some(a * f);
        self.kept[n + k][n + k] = Some(f);
    }
}

/// (f(s), f'(s))
fn activation<T: Real>(name: &str, s: T) -> (T, T) {
    let logistic = s.logistic();
    let positive = if s > T::ZERO { s } else { T::ZERO };
    match name {
        "logistic" => (logistic, logistic * (T::ONE - logistic)),
        "tanh" => (s.tanh(), T::ONE - s.tanh() * s.tanh()),
        "relu" => (positive, if s > T::ZERO { T::ONE } else { T::ZERO }),
        "identity" => (s, T::ONE),
        "softplus" => (positive + (-s.abs()).exp().ln_1p(), logistic),
        other => unreachable!("a checked case has no activation {other}"),
    }
}
