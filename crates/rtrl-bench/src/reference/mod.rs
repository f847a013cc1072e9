//! The paper in loops: the reference for everything fast.
//!
//! It uses the symbols of Williams & Zipser (1989) and is never optimised. Sums run in the order
//! that `docs/equations.md` defines, so the eager engine must give equal numbers in both
//! precisions, and the deferred engine the same up to rounding.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | equations 3, 5 and 6, the regimes, and a run of a case |
//! | `chain.rs` | the forward pass of all layers, with the Jacobian and drives of the step |
//! | `cell.rs` | a step of one layer |
//! | `weights.rs` | one number for each weight of all layers |
//! | `fault.rs` | terms that can be broken |
#![allow(clippy::needless_range_loop, reason = "indices are the paper's")]

mod cell;
mod chain;
mod fault;
mod weights;

use rtrl_model::Real;
use rtrl_model::store::case::{Case, LayerState, PerLayer, RegimeName, Table, TimingName, Trace};

use self::chain::{Chain, Pass};
pub use self::fault::Fault;
use self::weights::{Weights, numbers};

/// Steps after which the eager engine clears p of subnormal numbers.
const CLEARING: usize = 64;

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
            network.reset(&reset.layers);
        }
        network.step(&numbers(&case.x[t]), &case.targets[t]);
        trace.outputs.push(network.chain.outputs().map(Real::to_f64).collect());
        trace.losses.push(network.loss.to_f64());
        trace.gradients.push(network.tables(&network.descent));
    }
    let of_outputs = &network.p[..case.units()];
    trace.sensitivities = of_outputs.iter().map(|p| network.tables(p)).collect();
    match case.regime {
        RegimeName::Epochwise => network.apply_sum(),
        RegimeName::RealTime => network.apply_waiting(),
    }
    trace.weights = network.tables(&network.chain.w);
    trace
}

/// The network and the state of learning.
struct Reference<'a, T> {
    case: &'a Case,
    fault: Fault,
    /// The layers: their weights and states.
    chain: Chain<'a, T>,
    /// p[k][l][i][j]: the states k of all layers, first the outputs, then the c of LSTM layers.
    p: Vec<Weights<T>>,
    loss: T,
    /// `sum over k of e_k p^k_ij` of the last step.
    descent: Weights<T>,
    /// What has accumulated since the last update.
    sum: Weights<T>,
    /// The pending gradient.
    waiting: Option<Weights<T>>,
    steps: usize,
    /// Steps since p was last 0 or cleared of subnormal numbers.
    since_clearing: usize,
}

impl<'a, T: Real> Reference<'a, T> {
    fn new(case: &'a Case, fault: Fault) -> Self {
        let chain = Chain::new(case, fault);
        let zeros = zeros(&chain.w);
        Self {
            case,
            fault,
            p: vec![zeros.clone(); chain.states()],
            chain,
            loss: T::ZERO,
            descent: zeros.clone(),
            sum: zeros,
            waiting: None,
            steps: 0,
            since_clearing: 0,
        }
    }

    /// Numbers of the weights as tables, in the form of the case.
    fn tables(&self, numbers: &Weights<T>) -> PerLayer<Table> {
        let exact = |row: &Vec<T>| row.iter().map(|value| value.to_f64()).collect();
        let table = |l: usize| numbers[l].iter().map(exact).collect();
        self.case.layers.map_numbered(|l, _| table(l))
    }

    fn step(&mut self, x: &[T], targets: &[Option<f64>]) {
        let pass = self.chain.forward(x);
        self.p = self.next_p(&pass);
        let e = self.errors(targets);
        self.loss = T::from_f64(0.5) * e.iter().fold(T::ZERO, |sum, &e| e.mul_add(e, sum));
        self.chain.force(targets);
        self.learn(&e);
        self.since_clearing += 1;
        let clears = self.since_clearing.is_multiple_of(CLEARING);
        if clears && self.fault != Fault::Clearing {
            self.p.iter_mut().flat_map(flat_mut).for_each(|p| *p = normal(*p));
        }
    }

    /// Equation 5, or (5') with leaky units, (14) in general.
    fn next_p(&self, pass: &Pass<T>) -> Vec<Weights<T>> {
        let mut next = vec![zeros(&self.chain.w); self.p.len()];
        for k in 0..self.p.len() {
            for (l, layer) in self.chain.w.iter().enumerate() {
                for (i, row) in layer.iter().enumerate() {
                    for j in 0..row.len() {
                        if self.case.learns(l, i, j) {
                            next[k][l][i][j] = self.next_p_kij(pass, k, (l, i, j));
                        }
                    }
                }
            }
        }
        next
    }

    /// `p^k_ij(t + 1)` for weight (i, j) of layer l.
    fn next_p_kij(&self, pass: &Pass<T>, k: usize, (l, i, j): (usize, usize, usize)) -> T {
        let mut sum = T::ZERO;
        for m in 0..self.p.len() {
            let forced = pass.forced[m] && self.fault != Fault::ForcedColumns;
            let left_out = self.fault == Fault::RecurrentSum && m == self.p.len() - 1;
            if !forced && !left_out {
                sum = pass.jacobian[k][m].mul_add(self.p[m][l][i][j], sum);
            }
        }
        match pass.drives[k][l][i] {
            Some(drive) if self.fault != Fault::ImmediateInfluence => {
                drive.mul_add(pass.z[l][j], sum)
            }
            _ => sum,
        }
    }

    /// Equation 3.
    fn errors(&self, targets: &[Option<f64>]) -> Vec<T> {
        let outputs = self.chain.outputs().zip(self.chain.forced.iter().copied());
        let error = |((output, teacher), target): ((T, Option<T>), &Option<f64>)| {
            let is_wrong = self.fault == Fault::Error;
            let output = teacher.filter(|_| is_wrong).unwrap_or(output);
            target.map_or(T::ZERO, |d| T::from_f64(d) - output)
        };
        outputs.zip(targets).map(error).collect()
    }

    /// Equation 6 and the regimes.
    fn learn(&mut self, e: &[T]) {
        self.descent = zeros(&self.chain.w);
        for (e, p) in e.iter().zip(&self.p) {
            for (sum, p) in flat_mut(&mut self.descent).zip(flat(p)) {
                *sum = e.mul_add(*p, *sum);
            }
        }
        self.apply_waiting();
        for (sum, descent) in flat_mut(&mut self.sum).zip(flat(&self.descent)) {
            *sum += *descent;
        }
        self.steps += 1;
        let due = self.steps.is_multiple_of(self.case.update_every);
        if self.case.regime == RegimeName::RealTime && due {
            match self.case.update_timing {
                TimingName::Immediate => self.apply_sum(),
                TimingName::AfterNextStep => {
                    let zeros = zeros(&self.sum);
                    self.waiting = Some(std::mem::replace(&mut self.sum, zeros));
                }
            }
        }
    }

    fn apply_sum(&mut self) {
        let zeros = zeros(&self.sum);
        let sum = std::mem::replace(&mut self.sum, zeros);
        self.apply(&sum);
    }

    fn apply_waiting(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.apply(&waiting);
        }
    }

    fn apply(&mut self, descent: &Weights<T>) {
        let rate = T::from_f64(self.case.learning_rate);
        for (w, &descent) in flat_mut(&mut self.chain.w).zip(flat(descent)) {
            let after = *w + rate * descent;
            if after != *w {
                *w = normal(after);
            }
        }
    }

    fn reset(&mut self, layers: &[LayerState]) {
        self.chain.reset(layers);
        if self.fault != Fault::Reset {
            self.p.iter_mut().flat_map(flat_mut).for_each(|p| *p = T::ZERO);
        }
        self.since_clearing = 0;
    }
}

/// `value`, but 0 with its sign if it is subnormal.
fn normal<T: Real>(value: T) -> T {
    if value.abs() < T::SMALLEST { value * T::ZERO } else { value }
}

fn flat<T>(numbers: &Weights<T>) -> impl Iterator<Item = &T> {
    numbers.iter().flatten().flatten()
}

fn flat_mut<T>(numbers: &mut Weights<T>) -> impl Iterator<Item = &mut T> {
    numbers.iter_mut().flatten().flatten()
}

fn zeros<T: Real>(like: &Weights<T>) -> Weights<T> {
    let row = |row: &Vec<T>| vec![T::ZERO; row.len()];
    like.iter().map(|layer| layer.iter().map(row).collect()).collect()
}
