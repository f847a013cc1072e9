//! The paper in loops: the reference for everything fast. It uses the symbols of Williams & Zipser
//! (1989) and is never optimised. Sums run in the order that `docs/equations.md` defines, so the
//! engines must give the same bits in both precisions.
#![allow(clippy::needless_range_loop, reason = "indices are the paper's")]

use rtrl_model::Real;
use rtrl_model::store::case::{Case, RegimeName, Table, TimingName, Trace};

/// A term of the algorithm to break, in order to test that a comparison detects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is broken.
    None,
    /// Sensitivities of forced units are not taken as zero.
    ForcedColumns,
    /// The immediate influence of a weight is omitted.
    ImmediateInfluence,
    /// The slope f' of the previous step is used.
    Slope,
    /// The error is taken against the value that was forced.
    Error,
    /// A reset does not clear p.
    Reset,
    /// One unit is omitted from the recurrent sum.
    RecurrentSum,
    /// The part that a leaky unit keeps is omitted from the recurrent sum.
    Leak,
}

/// Runs `case` in the precision `T`.
pub fn run<T: Real>(case: &Case) -> Trace {
    run_with::<T>(case, Fault::None)
}

/// Runs `case` with one term broken.
pub fn run_with<T: Real>(case: &Case, fault: Fault) -> Trace {
    let mut network = Reference::<T>::new(case, fault);
    let mut trace = Trace::default();
    for t in 0..case.x.len() {
        if let Some(reset) = case.resets.iter().find(|reset| reset.before_step == t) {
            if case.regime == RegimeName::Epochwise {
                network.apply_sum();
            }
            network.reset(&reset.layers[0].state);
        }
        network.step(&numbers(&case.x[t]), &case.targets[t]);
        trace.outputs.push(exact(&network.y));
        trace.losses.push(network.loss.to_f64());
        trace.gradients.push(case.layers.map(|_| table(&network.descent)));
    }
    let p = network.p.iter().map(|p| case.layers.map(|_| table(p)));
    trace.sensitivities = p.collect();
    match case.regime {
        RegimeName::Epochwise => network.apply_sum(),
        RegimeName::RealTime => network.apply_waiting(),
    }
    trace.weights = case.layers.map(|_| table(&network.w));
    trace
}

/// The network and the state of learning.
struct Reference<'a, T> {
    case: &'a Case,
    fault: Fault,
    n: usize,
    /// Number of columns of W.
    c: usize,
    /// w[i][j]
    w: Vec<Vec<T>>,
    /// Whether w[i][j] learns.
    learns: Vec<Vec<bool>>,
    /// a[k]
    a: Vec<T>,
    /// 1 - a[k]
    kept: Vec<T>,
    /// y[k]
    y: Vec<T>,
    /// p[k][i][j]
    p: Vec<Vec<Vec<T>>>,
    /// `d_k(t)` for the units of T(t), if there is teacher forcing.
    forced: Vec<Option<T>>,
    /// The slopes of the previous step, for a fault.
    slopes: Vec<T>,
    loss: T,
    /// `sum over k of e_k p^k_ij` of the last step.
    descent: Vec<Vec<T>>,
    /// What has accumulated since the last update.
    sum: Vec<Vec<T>>,
    /// The pending gradient.
    waiting: Option<Vec<Vec<T>>>,
    steps: usize,
}

impl<'a, T: Real> Reference<'a, T> {
    fn new(case: &'a Case, fault: Fault) -> Self {
        let layer = &case.layers[0];
        let n = layer.units;
        let c = case.inputs + usize::from(case.bias) + n;
        let learns = |i, j| case.learns(0, i, j);
        let weight = |i: usize, j: usize| {
            if case.is_present(0, i, j) { T::from_f64(layer.weights[i][j]) } else { T::ZERO }
        };
        let a: Vec<T> = (0..n).map(|k| T::from_f64(layer.leak_of(k))).collect();
        let zeros = vec![vec![T::ZERO; c]; n];
        Self {
            case,
            fault,
            n,
            c,
            w: (0..n).map(|i| (0..c).map(|j| weight(i, j)).collect()).collect(),
            learns: (0..n).map(|i| (0..c).map(|j| learns(i, j)).collect()).collect(),
            kept: a.iter().map(|&a| T::ONE - a).collect(),
            a,
            y: numbers(&layer.initial_state),
            p: vec![zeros.clone(); n],
            forced: vec![None; n],
            slopes: vec![T::ONE; n],
            loss: T::ZERO,
            descent: zeros.clone(),
            sum: zeros,
            waiting: None,
            steps: 0,
        }
    }

    fn step(&mut self, x: &[T], targets: &[Option<f64>]) {
        let z = self.z(x);
        let s: Vec<T> = self.w.iter().map(|row| in_lanes(row, &z)).collect();
        let f: Vec<(T, T)> = (0..self.n).map(|k| self.leaky(k, &z, s[k])).collect();
        self.p = self.next_p(&z, &f);
        let e = self.errors(&f, targets);
        self.loss = T::from_f64(0.5) * e.iter().fold(T::ZERO, |sum, &e| e.mul_add(e, sum));
        self.y = f.iter().map(|&(y, _)| y).collect();
        self.slopes = f.iter().map(|&(_, slope)| slope).collect();
        for (k, target) in targets.iter().enumerate() {
            self.forced[k] = target.filter(|_| self.case.teacher_forcing).map(T::from_f64);
        }
        self.learn(&e);
    }

    /// z(t): inputs, bias, units, with the teacher's values for forced units.
    fn z(&self, x: &[T]) -> Vec<T> {
        let bias = self.case.bias.then_some(T::ONE);
        let units = self.y.iter().zip(&self.forced).map(|(&y, forced)| forced.unwrap_or(y));
        x.iter().copied().chain(bias).chain(units).collect()
    }

    /// y(t+1) and dy(t+1)/ds(t) of unit k: (2'), which is (2) where a is 1.
    fn leaky(&self, k: usize, z: &[T], s: T) -> (T, T) {
        let (value, slope) = self.activation(k, s);
        let held = z[self.c - self.n + k];
        (self.a[k].mul_add(value, self.kept[k] * held), self.a[k] * slope)
    }

    /// Equation 5, or (5') with leaky units.
    fn next_p(&self, z: &[T], f: &[(T, T)]) -> Vec<Vec<Vec<T>>> {
        let first = self.c - self.n;
        let mut next = vec![vec![vec![T::ZERO; self.c]; self.n]; self.n];
        for k in 0..self.n {
            let slope = if self.fault == Fault::Slope { self.slopes[k] } else { f[k].1 };
            for i in 0..self.n {
                for j in 0..self.c {
                    if !self.learns[i][j] {
                        continue;
                    }
                    let mut sum = T::ZERO;
                    for l in 0..self.n {
                        let forced = self.forced[l].is_some() && self.fault != Fault::ForcedColumns;
                        let left_out = self.fault == Fault::RecurrentSum && l == self.n - 1;
                        if !forced && !left_out {
                            let mut v = slope * self.w[k][first + l];
                            if l == k && self.fault != Fault::Leak {
                                v += self.kept[k];
                            }
                            sum = v.mul_add(self.p[l][i][j], sum);
                        }
                    }
                    if i == k && self.fault != Fault::ImmediateInfluence {
                        sum = slope.mul_add(z[j], sum);
                    }
                    next[k][i][j] = sum;
                }
            }
        }
        next
    }

    /// Equation 3.
    fn errors(&self, f: &[(T, T)], targets: &[Option<f64>]) -> Vec<T> {
        let error = |k: usize| {
            let output = match (self.fault, self.forced[k]) {
                (Fault::Error, Some(forced)) => forced,
                _ => f[k].0,
            };
            targets[k].map_or(T::ZERO, |d| T::from_f64(d) - output)
        };
        (0..self.n).map(error).collect()
    }

    /// Equation 6 and the regimes.
    fn learn(&mut self, e: &[T]) {
        for i in 0..self.n {
            for j in 0..self.c {
                let mut sum = T::ZERO;
                for k in 0..self.n {
                    sum = e[k].mul_add(self.p[k][i][j], sum);
                }
                self.descent[i][j] = sum;
            }
        }
        self.apply_waiting();
        for (sum, descent) in self.sum.iter_mut().flatten().zip(self.descent.iter().flatten()) {
            *sum += *descent;
        }
        self.steps += 1;
        let due = self.steps.is_multiple_of(self.case.update_every);
        if self.case.regime == RegimeName::RealTime && due {
            match self.case.update_timing {
                TimingName::Immediate => self.apply_sum(),
                TimingName::AfterNextStep => {
                    let zeros = vec![vec![T::ZERO; self.c]; self.n];
                    self.waiting = Some(std::mem::replace(&mut self.sum, zeros));
                }
            }
        }
    }

    fn apply_sum(&mut self) {
        let zeros = vec![vec![T::ZERO; self.c]; self.n];
        let sum = std::mem::replace(&mut self.sum, zeros);
        self.apply(&sum);
    }

    fn apply_waiting(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.apply(&waiting);
        }
    }

    fn apply(&mut self, descent: &[Vec<T>]) {
        let rate = T::from_f64(self.case.learning_rate);
        for (w, &descent) in self.w.iter_mut().flatten().zip(descent.iter().flatten()) {
            *w += rate * descent;
        }
    }

    fn reset(&mut self, state: &[f64]) {
        self.y = numbers(state);
        self.forced.fill(None);
        if self.fault != Fault::Reset {
            self.p.iter_mut().flatten().flatten().for_each(|p| *p = T::ZERO);
        }
    }

    /// (f(s), f'(s)) of unit k.
    fn activation(&self, k: usize, s: T) -> (T, T) {
        let logistic = s.logistic();
        let positive = if s > T::ZERO { s } else { T::ZERO };
        match self.case.layers[0].activation_of(k) {
            "logistic" => (logistic, logistic * (T::ONE - logistic)),
            "tanh" => (s.tanh(), T::ONE - s.tanh() * s.tanh()),
            "relu" => (positive, if s > T::ZERO { T::ONE } else { T::ZERO }),
            "identity" => (s, T::ONE),
            "softplus" => (positive + (-s.abs()).exp().ln_1p(), logistic),
            other => unreachable!("a checked case has no activation {other}"),
        }
    }
}

/// Equation 1 in the promised order: logical lanes, then halves.
fn in_lanes<T: Real>(w: &[T], z: &[T]) -> T {
    let mut lanes = vec![T::ZERO; T::LANES];
    for j in 0..w.len() {
        lanes[j % T::LANES] = w[j].mul_add(z[j], lanes[j % T::LANES]);
    }
    while lanes.len() > 1 {
        let half = lanes.len() / 2;
        for lane in 0..half {
            lanes[lane] = lanes[lane] + lanes[lane + half];
        }
        lanes.truncate(half);
    }
    lanes[0]
}

fn numbers<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| T::from_f64(value)).collect()
}

fn table<T: Real>(rows: &[Vec<T>]) -> Table {
    rows.iter().map(|row| exact(row)).collect()
}

fn exact<T: Real>(values: &[T]) -> Vec<f64> {
    values.iter().map(|value| value.to_f64()).collect()
}
