//! The forward pass through all layers, with the Jacobian and the drives of the step.
#![allow(clippy::needless_range_loop, reason = "indices are those of the equations")]

use std::ops::Range;

use rtrl_model::store::case::{Case, Layer, LayerState};
use rtrl_model::{Cell, Real};

use super::cell::CellStep;
use super::fault::Fault;
use super::normal;
use super::weights::{Weights, numbers};

/// The layers of a network: their weights and states.
///
/// States are numbered through all layers: first the outputs y, then the c of LSTM layers.
pub(super) struct Chain<'a, T> {
    case: &'a Case,
    fault: Fault,
    /// w[l][i][j]
    pub(super) w: Weights<T>,
    layers: Vec<LayerOf<T>>,
    /// `d_k(t)` for the units of T(t), if there is teacher forcing.
    pub(super) forced: Vec<Option<T>>,
}

/// The state of one layer.
struct LayerOf<T> {
    /// The numbers of its states y.
    outputs: Range<usize>,
    /// The numbers of its states c; empty but for an LSTM.
    cells: Range<usize>,
    y: Vec<T>,
    c: Vec<T>,
    /// The derivatives of the step before, for a fault.
    slopes: Option<Vec<Vec<Option<T>>>>,
}

/// What one step has computed for equation 14.
pub(super) struct Pass<T> {
    /// `[k][m]`: the derivative of state k at t + 1 with respect to state m at t.
    pub(super) jacobian: Vec<Vec<T>>,
    /// `[k][m]`: the derivative of state k with respect to output m of a layer below in the same
    /// step.
    reach: Vec<Vec<T>>,
    /// `[k][l][i]`: the derivative of state k at t + 1 with respect to the sum of row i of layer l,
    /// if the row drives the state.
    pub(super) drives: Vec<Vec<Vec<Option<T>>>>,
    /// `[l][j]`: what the rows of layer l see.
    pub(super) z: Vec<Vec<T>>,
    /// Whether state m at t is an output that was forced.
    pub(super) forced: Vec<bool>,
}

impl<'a, T: Real> Chain<'a, T> {
    pub(super) fn new(case: &'a Case, fault: Fault) -> Self {
        let weight = |l: usize, i: usize, j: usize| {
            let weight = case.layers[l].weights[i][j];
            if case.is_present(l, i, j) { T::from_f64(weight) } else { T::ZERO }
        };
        let row = |l: usize, i: usize| {
            (0..case.layers[l].weights[i].len()).map(|j| weight(l, i, j)).collect()
        };
        let rows = |l: usize| (0..case.layers[l].rows()).map(|i| row(l, i)).collect();
        let initial = |layer: &Layer| {
            let (state, cell) = (layer.initial_state.clone(), layer.initial_cell.clone());
            LayerState { state, cell }
        };
        let mut chain = Self {
            case,
            fault,
            w: (0..case.layers.len()).map(rows).collect(),
            layers: Vec::new(),
            forced: Vec::new(),
        };
        chain.reset(&case.layers.map(initial));
        chain
    }

    /// Number of states of all layers.
    pub(super) fn states(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.cells.end)
    }

    /// y of all layers.
    pub(super) fn outputs(&self) -> impl Iterator<Item = T> {
        self.layers.iter().flat_map(|layer| layer.y.iter().copied())
    }

    /// Forces the units that have a target, if the case says so.
    pub(super) fn force(&mut self, targets: &[Option<f64>]) {
        for (forced, target) in self.forced.iter_mut().zip(targets) {
            *forced = target.filter(|_| self.case.teacher_forcing).map(T::from_f64);
        }
    }

    /// The states as given, and nothing forced.
    pub(super) fn reset(&mut self, states: &[LayerState]) {
        self.layers.clear();
        self.forced = vec![None; self.case.units()];
        let (mut outputs, mut cells) = (0..0, self.case.units()..self.case.units());
        for (layer, LayerState { state, cell }) in self.case.layers.iter().zip(states) {
            let c = match layer.cell {
                Cell::Lstm => cell.clone().unwrap_or(vec![0.0; layer.units]),
                _ => Vec::new(),
            };
            outputs = outputs.end..outputs.end + layer.units;
            cells = cells.end..cells.end + c.len();
            self.layers.push(LayerOf {
                outputs: outputs.clone(),
                cells: cells.clone(),
                y: numbers(state),
                c: numbers(&c),
                slopes: None,
            });
        }
    }

    /// Equations 1, 2, 16 and 19 for every layer, which sees the new outputs of the layer below
    /// (13).
    pub(super) fn forward(&mut self, x: &[T]) -> Pass<T> {
        let mut pass = self.empty_pass();
        let mut input = x.to_vec();
        for l in 0..self.layers.len() {
            let layer = &self.layers[l];
            let teacher = layer.y.iter().zip(&self.forced[layer.outputs.clone()]);
            let y: Vec<T> = teacher.map(|(&y, forced)| forced.unwrap_or(y)).collect();
            let bias = self.case.bias.then_some(T::ONE);
            let z: Vec<T> = input.into_iter().chain(bias).chain(y.iter().copied()).collect();
            let rows = self.w[l].iter().enumerate();
            let s: Vec<T> = rows.map(|(i, row)| self.sum(l, i, row, &z)).collect();
            let step = CellStep::new(&self.case.layers[l], &s, &y, &layer.c);
            pass.z.push(z);
            input = self.finish(l, step, &mut pass);
        }
        for state in self.layers.iter_mut().flat_map(|layer| layer.y.iter_mut().chain(&mut layer.c))
        {
            *state = normal(*state);
        }
        pass
    }

    /// Equation 1 for row i of layer l. A row of a layer in heads has no columns for the units of
    /// other heads.
    fn sum(&self, l: usize, i: usize, row: &[T], z: &[T]) -> T {
        let layer = &self.case.layers[l];
        let size = layer.heads_of.unwrap_or(layer.units);
        let recurrent = z.len() - layer.units;
        let first = recurrent + (i % layer.units) / size * size;
        let [fixed, own] = [0..recurrent, first..first + size];
        let seen = |of: &[T]| [&of[fixed.clone()], &of[own.clone()]].concat();
        in_lanes(&seen(row), &seen(z))
    }

    /// A pass through no layer.
    fn empty_pass(&self) -> Pass<T> {
        let (states, outputs) = (self.states(), self.case.units());
        let no_drives: Vec<_> = self.w.iter().map(|rows| vec![None; rows.len()]).collect();
        let is_forced = |m: usize| self.forced.get(m).is_some_and(Option::is_some);
        Pass {
            jacobian: vec![vec![T::ZERO; states]; states],
            reach: vec![vec![T::ZERO; outputs]; states],
            drives: vec![no_drives; states],
            z: Vec::new(),
            forced: (0..states).map(is_forced).collect(),
        }
    }

    /// Adds the derivatives of layer l to the pass and takes over its next state. Returns its new
    /// y.
    fn finish(&mut self, l: usize, mut step: CellStep<T>, pass: &mut Pass<T>) -> Vec<T> {
        let slopes = self.layers[l].slopes.replace(step.slopes.clone());
        if self.fault == Fault::Slope {
            step.slopes = slopes.unwrap_or(step.slopes);
        }
        let layer = &self.layers[l];
        for (place, k) in layer.outputs.clone().chain(layer.cells.clone()).enumerate() {
            self.add_jacobian(l, k, (&step.slopes[place], &step.kept[place]), pass);
            self.add_drives(l, k, &step.slopes[place], pass);
        }
        let layer = &mut self.layers[l];
        layer.c = step.state.split_off(layer.y.len());
        layer.y.clone_from(&step.state);
        step.state
    }

    /// Row k of the Jacobian, of a state of layer l, by (15) and (24), and of `reach`.
    fn add_jacobian(
        &self,
        l: usize,
        k: usize,
        (slopes, kept): (&[Option<T>], &[Option<T>]),
        pass: &mut Pass<T>,
    ) {
        let layer = &self.layers[l];
        let recurrent = pass.z[l].len() - layer.y.len();
        for (unit, m) in layer.outputs.clone().enumerate() {
            pass.jacobian[k][m] = self.through(l, slopes, recurrent + unit);
        }
        for (kept, m) in kept.iter().zip(layer.outputs.clone().chain(layer.cells.clone())) {
            if let (Some(kept), true) = (kept, self.fault != Fault::Kept) {
                pass.jacobian[k][m] += *kept;
            }
        }
        let Some(below) = l.checked_sub(1) else { return };
        let states_below = (0..layer.outputs.start).chain(self.case.units()..layer.cells.start);
        for (j, y) in self.layers[below].outputs.clone().enumerate() {
            let by_input = self.through(l, slopes, j);
            pass.reach[k][y] = by_input;
            for m in 0..self.layers[below].outputs.start {
                pass.reach[k][m] = by_input.mul_add(pass.reach[y][m], pass.reach[k][m]);
            }
            for m in states_below.clone() {
                pass.jacobian[k][m] = by_input.mul_add(pass.jacobian[y][m], pass.jacobian[k][m]);
            }
        }
    }

    /// `sum over i of slope_i w_ij`, the first product rounded and each further one added fused.
    fn through(&self, l: usize, slopes: &[Option<T>], j: usize) -> T {
        let mut sum = None;
        for (i, slope) in slopes.iter().enumerate() {
            let Some(slope) = *slope else { continue };
            let is_left_out = self.fault == Fault::Gate && i / self.layers[l].y.len() == 1;
            if !is_left_out {
                let w = self.w[l][i][j];
                sum = Some(sum.map_or(slope * w, |sum| slope.mul_add(w, sum)));
            }
        }
        sum.unwrap_or(T::ZERO)
    }

    /// The derivative of state k of layer l with respect to the sum of every row: of those of the
    /// layers below by (25), through the output of their unit.
    fn add_drives(&self, l: usize, k: usize, slopes: &[Option<T>], pass: &mut Pass<T>) {
        let layer = &self.layers[l];
        let is_lstm_output = !layer.c.is_empty() && layer.outputs.contains(&k);
        let is_broken = self.fault == Fault::OutputDrive && is_lstm_output;
        let left_out = if is_broken { 3 * layer.y.len() } else { 0 };
        pass.drives[k][l].clone_from_slice(slopes);
        pass.drives[k][l][..left_out].fill(None);
        if self.fault == Fault::LayerAbove {
            return;
        }
        for below in 0..l {
            let outputs = &self.layers[below].outputs;
            for i in 0..self.w[below].len() {
                let y = outputs.start + i % outputs.len();
                let slope = pass.drives[y][below][i];
                pass.drives[k][below][i] = slope.map(|slope| pass.reach[k][y] * slope);
            }
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
