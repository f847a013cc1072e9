//! The state of a network, and the forward pass that advances it (equations 1 and 2).

use std::sync::Arc;

use rtrl_kernel::{Forward, Function, Heads, Isa, Real, clear_subnormals, head_products, product};

use super::shape::Shape;
use super::teacher::Teacher;
use super::{Layer, Network};
use crate::cell::CellStep;
use crate::error::{Quantity, check_finite, check_finite_from};
use crate::readout::ReadoutLayer;
use crate::{Error, Matrix};

/// The state that a network carries from step to step: y(t), the forced set, and the buffers of a
/// step. Each sequence, free run or instrument has its own. [`Network::state`] creates one, and
/// [`Network::forward`] advances it; a clone continues independently.
#[derive(Debug, Clone)]
pub struct State<T> {
    shape: Arc<Shape>,
    pub(crate) states: usize,
    /// y(t) of all units, then c(t) of all cells, padded with anything.
    pub(crate) values: Vec<T>,
    /// The forced set T(t); empty unless a learner forces units.
    pub(crate) teacher: Teacher<T>,
    /// The outputs of the last step.
    pub(crate) outputs: Vec<T>,
    /// Number of slopes.
    pub(crate) drives: usize,
    /// The slopes of the last step, padded with anything.
    pub(crate) slopes: Vec<T>,
    /// What gated units kept in the last step.
    pub(crate) kept: Vec<T>,
    /// Buffers of the current step, which counts once it is accepted.
    pub(crate) tape: Tape<T>,
    pub(crate) steps: u64,
}

impl<T: Real> State<T> {
    pub(super) fn new(network: &Network<T>) -> Self {
        let states = network.layout.states();
        let tape = Tape::new(network);
        let mut values = tape.next.clone();
        values[..states].copy_from_slice(network.initial_state());
        Self {
            shape: network.shape.clone(),
            states,
            values,
            teacher: Teacher::absent(states),
            outputs: vec![T::ZERO; network.outputs()],
            drives: tape.drives,
            slopes: tape.slopes.clone(),
            kept: tape.kept.clone(),
            tape,
            steps: 0,
        }
    }

    /// y(t), one value a unit, layer after layer; then c(t), one value for each unit that has a
    /// cell.
    pub fn values(&self) -> &[T] {
        &self.values[..self.states]
    }

    /// The outputs of the last step; 0 before the first one.
    pub fn outputs(&self) -> &[T] {
        &self.outputs
    }

    /// The derivatives of the last step with respect to the sums of the weight rows; 0 before the
    /// first one. Layer after layer: of simple units dy(t)/ds(t-1), which is f'(s), times a where
    /// units leak; of a GRU those of y by the rows r, u, v and w; of an LSTM, for the rows i, f and
    /// g, those of y and of c side by side, then those of y by the rows o.
    pub fn slopes(&self) -> &[T] {
        &self.slopes[..self.drives]
    }

    /// Number of steps since the sequence began.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Starts a new sequence: a state like [`State::values`], and no unit forced. Outputs and
    /// slopes remain those of the last step.
    ///
    /// # Errors
    /// [`Error::StateLength`] or [`Error::NonFinite`]; nothing has changed.
    pub fn restart(&mut self, values: &[T]) -> Result<(), Error> {
        if values.len() != self.states {
            return Err(Error::StateLength { expected: self.states, got: values.len() });
        }
        check_finite(0, Quantity::UnitOutput, values)?;
        self.values[..self.states].copy_from_slice(values);
        self.teacher.forced.fill(false);
        self.steps = 0;
        Ok(())
    }

    /// Becomes equal to `other`, a state of the same network, without allocating.
    ///
    /// # Errors
    /// [`Error::StateShape`]; nothing has changed.
    pub fn copy_from(&mut self, other: &Self) -> Result<(), Error> {
        self.shape.check(&other.shape)?;
        self.values.copy_from_slice(&other.values);
        self.teacher.copy_from(&other.teacher);
        self.outputs.copy_from_slice(&other.outputs);
        self.slopes.copy_from_slice(&other.slopes);
        self.kept.copy_from_slice(&other.kept);
        self.steps = other.steps;
        Ok(())
    }

    /// [`Network::forward`].
    pub(super) fn forward(&mut self, network: &Network<T>, input: &[T]) -> Result<&[T], Error> {
        self.check(network)?;
        self.compute(network, self.steps, input)?;
        self.accept();
        self.teacher.forced.fill(false);
        Ok(&self.outputs)
    }

    /// Computes the step on the tape; nothing else changes.
    ///
    /// # Errors
    /// [`Error::InputLength`] or [`Error::NonFinite`] of step `step`.
    #[inline]
    pub(crate) fn compute(
        &mut self,
        network: &Network<T>,
        step: u64,
        input: &[T],
    ) -> Result<(), Error> {
        self.tape.run(network, step, &self.values[..self.states], &self.teacher, input)
    }

    /// Advances to t + 1 by accepting the step on the tape.
    #[inline]
    pub(crate) fn accept(&mut self) {
        self.outputs.copy_from_slice(self.tape.outputs());
        std::mem::swap(&mut self.values, &mut self.tape.next);
        std::mem::swap(&mut self.slopes, &mut self.tape.slopes);
        std::mem::swap(&mut self.kept, &mut self.tape.kept);
        self.steps += 1;
    }

    /// Fails unless this is a state of a network of the same shape.
    pub(super) fn check(&self, network: &Network<T>) -> Result<(), Error> {
        if Arc::ptr_eq(&network.shape, &self.shape) {
            return Ok(());
        }
        network.shape.check(&self.shape)
    }
}

/// The buffers of one forward pass: everything that equations 1 and 2 compute.
#[derive(Debug, Clone)]
pub(crate) struct Tape<T> {
    /// Number of units of all layers.
    units: usize,
    /// Number of slopes.
    drives: usize,
    /// z(t) of one layer after the other, padded with zeros.
    pub(crate) z: Vec<T>,
    /// s(t), one value a weight row, padded with zeros.
    sums: Vec<T>,
    /// y(t+1) and c(t+1), padded with anything.
    next: Vec<T>,
    /// See [`State::slopes`]; padded with anything.
    slopes: Vec<T>,
    /// What gated units keep of their state.
    kept: Vec<T>,
    /// What the readout sees, padded; empty without one.
    pub(crate) features: Vec<T>,
    /// o(t+1); empty without a readout.
    readout: Vec<T>,
}

impl<T: Real> Tape<T> {
    fn new(network: &Network<T>) -> Self {
        let padded = |len: usize| vec![T::ZERO; len.next_multiple_of(T::LANES)];
        let total = |len: fn(&Layer<T>) -> usize| network.layers.iter().map(len).sum::<usize>();
        let readout = network.readout_weights();
        let drives = total(|layer| layer.slopes.len());
        Self {
            units: network.units(),
            drives,
            z: vec![T::ZERO; network.layers.last().map_or(0, |layer| layer.z.end)],
            sums: padded(network.weights.rows()),
            next: padded(network.layout.states()),
            slopes: padded(drives),
            kept: vec![T::ZERO; total(|layer| layer.kept.len())],
            features: vec![T::ZERO; readout.map_or(0, Matrix::stride)],
            readout: vec![T::ZERO; readout.map_or(0, Matrix::rows)],
        }
    }

    /// Computes z(t), s(t), y(t+1), a f'(s(t)) and o(t+1), and checks that the input and the
    /// results are finite. Changes nothing but itself.
    fn run(
        &mut self,
        network: &Network<T>,
        step: u64,
        state: &[T],
        teacher: &Teacher<T>,
        input: &[T],
    ) -> Result<(), Error> {
        if input.len() != network.inputs() {
            return Err(Error::InputLength { expected: network.inputs(), got: input.len() });
        }
        if let Some((layer, function)) = network.lone_layer() {
            if !self.run_lone(network, (layer, function), state, teacher, input)? {
                return self.name_non_finite(layer, step, input);
            }
        } else {
            self.run_layers(network, step, state, teacher, input)?;
        }
        match &network.readout {
            Some(readout) => self.read_out(readout, network.isa, step, input),
            None => Ok(()),
        }
    }

    /// The [`Network::lone_layer`], in one call of the kernel. Returns whether it is finite.
    #[inline]
    fn run_lone(
        &mut self,
        network: &Network<T>,
        (layer, function): (&Layer<T>, Function),
        state: &[T],
        teacher: &Teacher<T>,
        input: &[T],
    ) -> Result<bool, Error> {
        let first = layer.columns.first_unit();
        fill_z(&mut self.z, first, input, state);
        teacher.replace(&mut self.z[first..]);
        let step = Forward {
            function,
            matrix: network.weights.padded(),
            vector: &self.z,
            units: self.units,
            sums: &mut self.sums,
            values: &mut self.next,
            slopes: &mut self.slopes,
        };
        Ok(step.apply(network.isa)?)
    }

    /// All layers of any network, from the first one upwards.
    #[inline(never)]
    fn run_layers(
        &mut self,
        network: &Network<T>,
        step: u64,
        state: &[T],
        teacher: &Teacher<T>,
        input: &[T],
    ) -> Result<(), Error> {
        for layer in &network.layers {
            if !self.run_layer(network, layer, state, teacher, input)? {
                return self.name_non_finite(layer, step, input);
            }
        }
        // What has faded would stay subnormal, and slow every step that follows.
        Ok(clear_subnormals(network.isa, &mut self.next)?)
    }

    /// Computes the step of one layer. Returns whether it is finite.
    #[inline(always)]
    fn run_layer(
        &mut self,
        network: &Network<T>,
        layer: &Layer<T>,
        state: &[T],
        teacher: &Teacher<T>,
        input: &[T],
    ) -> Result<bool, Error> {
        let (columns, stride) = (layer.columns, network.weights.stride());
        let (first, outputs) = (columns.first_unit(), layer.outputs.clone());
        let z = &mut self.z[layer.z.clone()];
        let input = if outputs.start == 0 { input } else { &self.next[..outputs.start] };
        let input = &input[input.len() - columns.inputs..];
        let sums = &mut self.sums[layer.rows.clone()];
        fill_z(z, first, input, &state[outputs.clone()]);
        teacher.replace(&mut z[first..]);
        let weights = &network.weights.padded()[layer.rows.start * stride..];
        if layer.heads() == 1 {
            product(network.isa, &weights[..layer.rows.len() * stride], z, sums)?;
        } else {
            let (units, size, width) = (columns.units, columns.seen, columns.count());
            let z = &z[..units - size + width.next_multiple_of(T::LANES)];
            let heads = Heads { units, size, width };
            head_products(network.isa, heads, (weights, stride), z, sums)?;
        }
        layer.units.forward(CellStep {
            isa: network.isa,
            units: columns.units,
            sums: &self.sums[layer.rows.start..],
            outputs: &self.z[layer.z.clone()][first..],
            cells: &state[layer.cells.clone()],
            next: &mut self.next[outputs.start..],
            first_cell: layer.cells.start - outputs.start,
            slopes: &mut self.slopes[layer.slopes.start..],
            kept: &mut self.kept[layer.kept.clone()],
        })
    }

    /// Names the first value that is not finite. One of the input makes every sum so.
    #[cold]
    fn name_non_finite(&self, layer: &Layer<T>, step: u64, input: &[T]) -> Result<(), Error> {
        check_finite(step, Quantity::Input, input)?;
        let (units, first) = (layer.columns.units, layer.outputs.start);
        for sums in self.sums[layer.rows.clone()].chunks(units) {
            check_finite_from(first, step, Quantity::Sum, sums)?;
        }
        let slopes = &self.slopes[layer.slopes.start..][..units];
        check_finite_from(first, step, Quantity::UnitOutput, &self.next[first..][..units])?;
        check_finite_from(first, step, Quantity::Slope, slopes)
    }

    fn read_out(
        &mut self,
        readout: &ReadoutLayer<T>,
        isa: Isa,
        step: u64,
        input: &[T],
    ) -> Result<(), Error> {
        let top = self.units - readout.units..self.units;
        let (units, rest) = self.features.split_at_mut(readout.units);
        units.copy_from_slice(&self.next[top]);
        let seen = if readout.inputs { input } else { &[] };
        rest[..seen.len()].copy_from_slice(seen);
        if readout.bias {
            rest[seen.len()] = T::ONE;
        }
        product(isa, readout.weights.padded(), &self.features, &mut self.readout)?;
        check_finite(step, Quantity::Output, &self.readout)
    }

    /// y(t+1)
    fn next(&self) -> &[T] {
        &self.next[..self.units]
    }

    /// See [`State::slopes`].
    #[inline]
    pub(crate) fn slopes(&self) -> &[T] {
        &self.slopes[..self.drives]
    }

    /// What gated units keep of their state.
    #[inline]
    pub(crate) fn kept(&self) -> &[T] {
        &self.kept
    }

    /// The outputs at t + 1.
    pub(crate) fn outputs(&self) -> &[T] {
        if self.readout.is_empty() { self.next() } else { &self.readout }
    }
}

/// z(t): the inputs, 1 if there is room for a bias before the units from `first_unit` on, and y(t).
fn fill_z<T: Real>(z: &mut [T], first_unit: usize, input: &[T], outputs: &[T]) {
    let (external, units) = z.split_at_mut(first_unit);
    external[..input.len()].copy_from_slice(input);
    external[input.len()..].fill(T::ONE);
    units[..outputs.len()].copy_from_slice(outputs);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, InitialWeights, Readout};

    fn network(units: usize) -> Network<f64> {
        let readout = Readout::new(2).with_inputs();
        Network::builder(units, 1).readout(readout).seed(4).build().unwrap()
    }

    #[test]
    fn states_of_one_network_move_independently() {
        let network = network(3);
        let mut first = network.state();
        network.forward(&mut first, &[0.5]).unwrap();
        let mut second = first.clone();
        network.forward(&mut first, &[1.0]).unwrap();
        assert_ne!(first.values(), second.values());
        assert_eq!((first.steps(), second.steps()), (2, 1));
        network.forward(&mut second, &[1.0]).unwrap();
        assert_eq!(first.values(), second.values());
        assert_eq!(first.outputs(), second.outputs());
        assert_eq!(first.slopes(), second.slopes());
    }

    /// A lone unit that halves its output: 0 follows the smallest normal number.
    #[test]
    fn a_state_that_vanishes_becomes_zero() {
        let smallest = f32::MIN_POSITIVE;
        let network = Network::<f32>::builder(1, 0)
            .bias(false)
            .activation(Activation::Identity)
            .weights(InitialWeights::given(vec![vec![0.5]]))
            .initial_state(vec![f64::from(-smallest) * 4.0])
            .build()
            .unwrap();
        let mut state = network.state();
        for expected in [-2.0 * smallest, -smallest, -0.0] {
            let output = network.forward(&mut state, &[]).unwrap()[0];
            assert_eq!(output.to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        let network = network(3);
        let mut state = network.state();
        network.forward(&mut state, &[0.5]).unwrap();
        let before = state.clone();
        for input in [&[f64::NAN][..], &[], &[0.0; 2]] {
            assert!(network.forward(&mut state, input).is_err());
            assert_eq!(state.values(), before.values());
            assert_eq!(state.outputs(), before.outputs());
            assert_eq!(state.slopes(), before.slopes());
            assert_eq!(state.steps(), 1);
        }
        assert!(state.restart(&[0.0; 2]).is_err() && state.restart(&[f64::NAN; 3]).is_err());
        assert_eq!(state.values(), before.values());
    }

    #[test]
    fn a_state_of_another_network_is_refused() {
        let (small, large) = (network(3), network(4));
        let plain = Network::<f64>::builder(3, 1).build().unwrap();
        let mut state = small.state();
        for (other, message) in [
            (&large, "state: got one of a network with 3 units, expected 4"),
            (&plain, "state: got one of a network with 2 outputs, expected 3"),
        ] {
            let error = other.forward(&mut state, &[0.5]).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(other.jacobian(&state).is_err());
            assert!(state.copy_from(&other.state()).is_err());
        }
        small.forward(&mut state, &[0.5]).unwrap();
    }
}
