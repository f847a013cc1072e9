//! The state of a network, and the forward pass that advances it (equations 1 and 2).

use rtrl_kernel::{Isa, Real, product};

use super::{Layer, Network};
use crate::cell::CellStep;
use crate::error::{Quantity, check_finite};
use crate::readout::ReadoutLayer;
use crate::{Error, Matrix, Targets};

/// The state that a network carries from step to step: y(t), the forced set, and the buffers of a step.
///
/// Each sequence, free run or instrument has its own. [`Network::state`] creates one, and [`Network::forward`] advances it; a clone continues independently.
#[derive(Debug, Clone)]
pub struct State<T> {
    pub(crate) units: usize,
    /// y(t), padded with anything.
    pub(crate) values: Vec<T>,
    /// The forced set T(t); empty unless a learner forces units.
    pub(crate) teacher: Teacher<T>,
    /// The outputs of the last step.
    pub(crate) outputs: Vec<T>,
    /// The slopes of the last step, padded with anything.
    pub(crate) slopes: Vec<T>,
    /// Buffers of the current step, which counts once it is accepted.
    pub(crate) tape: Tape<T>,
    pub(crate) steps: u64,
}

/// The shape of a network: n, the columns of W, the outputs, and the columns of R (0 without a readout).
const SHAPE: [&str; 4] = ["units", "weights a unit", "outputs", "readout weights an output"];

impl<T: Real> State<T> {
    pub(super) fn new(network: &Network<T>) -> Self {
        let units = network.units();
        let padded = vec![T::ZERO; units.next_multiple_of(T::LANES)];
        let mut values = padded.clone();
        values[..units].copy_from_slice(network.initial_state());
        Self {
            units,
            values,
            teacher: Teacher::absent(units),
            outputs: vec![T::ZERO; network.outputs()],
            slopes: padded,
            tape: Tape::new(network),
            steps: 0,
        }
    }

    /// y(t), one value a unit.
    pub fn values(&self) -> &[T] {
        &self.values[..self.units]
    }

    /// The outputs of the last step; 0 before the first one.
    pub fn outputs(&self) -> &[T] {
        &self.outputs
    }

    /// dy(t)/ds(t-1) of the last step, one value a unit: f'(s), times a where units leak; 0 before the
    /// first one.
    pub fn slopes(&self) -> &[T] {
        &self.slopes[..self.units]
    }

    /// Number of steps since the sequence began.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Starts a new sequence: y as given, one value a unit, and no unit forced. Outputs and slopes remain
    /// those of the last step.
    ///
    /// # Errors
    /// [`Error::StateLength`] or [`Error::NonFinite`]; nothing has changed.
    pub fn restart(&mut self, values: &[T]) -> Result<(), Error> {
        if values.len() != self.units {
            return Err(Error::StateLength { expected: self.units, got: values.len() });
        }
        check_finite(0, Quantity::UnitOutput, values)?;
        self.values[..self.units].copy_from_slice(values);
        self.teacher.forced.fill(false);
        self.steps = 0;
        Ok(())
    }

    /// Becomes equal to `other`, a state of the same network, without allocating.
    ///
    /// # Errors
    /// [`Error::StateShape`]; nothing has changed.
    pub fn copy_from(&mut self, other: &Self) -> Result<(), Error> {
        other.check_shape(self.shape())?;
        self.values.copy_from_slice(&other.values);
        self.teacher.copy_from(&other.teacher);
        self.outputs.copy_from_slice(&other.outputs);
        self.slopes.copy_from_slice(&other.slopes);
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
        self.tape.run(network, step, &self.values[..self.units], &self.teacher, input)
    }

    /// Advances to t + 1 by accepting the step on the tape.
    #[inline]
    pub(crate) fn accept(&mut self) {
        self.outputs.copy_from_slice(self.tape.outputs());
        std::mem::swap(&mut self.values, &mut self.tape.next);
        std::mem::swap(&mut self.slopes, &mut self.tape.slopes);
        self.steps += 1;
    }

    /// Fails unless this is a state of a network of the same shape.
    pub(super) fn check(&self, network: &Network<T>) -> Result<(), Error> {
        let features = network.readout.as_ref().map_or(0, |readout| readout.weights.columns());
        let expected = [network.units(), network.weights.columns(), network.outputs(), features];
        self.check_shape(expected)
    }

    /// Fails, naming the first number that differs, unless this is a state of the `expected` shape.
    fn check_shape(&self, expected: [usize; 4]) -> Result<(), Error> {
        let mut pairs = SHAPE.into_iter().zip(expected.into_iter().zip(self.shape()));
        match pairs.find(|(_, (expected, got))| expected != got) {
            Some((what, (expected, got))) => Err(Error::StateShape { what, expected, got }),
            None => Ok(()),
        }
    }

    /// The numbers that [`SHAPE`] names.
    fn shape(&self) -> [usize; 4] {
        [self.units, self.tape.columns, self.outputs.len(), self.tape.seen]
    }
}

/// Units whose output is replaced by a teacher's value in z(t).
#[derive(Debug, Clone)]
pub(crate) struct Teacher<T> {
    /// Whether k is in T(t).
    pub(crate) forced: Vec<bool>,
    /// `d_k(t)` where forced.
    pub(crate) values: Vec<T>,
}

impl<T: Real> Teacher<T> {
    fn absent(units: usize) -> Self {
        Self { forced: vec![false; units], values: vec![T::ZERO; units] }
    }

    /// Replaces the outputs of forced units by the teacher's values.
    #[inline]
    fn replace(&self, outputs: &mut [T]) {
        let taught = self.forced.iter().zip(&self.values);
        for (output, (&forced, &value)) in outputs.iter_mut().zip(taught) {
            if forced {
                *output = value;
            }
        }
    }

    /// Becomes T(t+1) with its values.
    pub(crate) fn take_over(&mut self, targets: &Targets<'_, T>) {
        for (k, (forced, value)) in self.forced.iter_mut().zip(&mut self.values).enumerate() {
            *forced = targets.get(k).is_some();
            *value = targets.get(k).unwrap_or(T::ZERO);
        }
    }

    fn copy_from(&mut self, other: &Self) {
        self.forced.copy_from_slice(&other.forced);
        self.values.copy_from_slice(&other.values);
    }
}

/// The buffers of one forward pass: everything that equations 1 and 2 compute.
#[derive(Debug, Clone)]
pub(crate) struct Tape<T> {
    units: usize,
    /// Columns of W.
    columns: usize,
    /// Columns of R; 0 without a readout.
    seen: usize,
    /// z(t), padded with zeros.
    pub(crate) z: Vec<T>,
    /// s(t), padded with zeros.
    sums: Vec<T>,
    /// y(t+1), padded with anything.
    next: Vec<T>,
    /// f'(s(t)), times a where units leak, padded with anything.
    slopes: Vec<T>,
    /// What the readout sees, padded; empty without one.
    pub(crate) features: Vec<T>,
    /// o(t+1); empty without a readout.
    readout: Vec<T>,
}

impl<T: Real> Tape<T> {
    fn new(network: &Network<T>) -> Self {
        let units = network.units();
        let padded = vec![T::ZERO; units.next_multiple_of(T::LANES)];
        let readout = network.readout_weights();
        Self {
            units,
            columns: network.weights.columns(),
            seen: readout.map_or(0, Matrix::columns),
            z: vec![T::ZERO; network.weights.stride()],
            sums: padded.clone(),
            next: padded.clone(),
            slopes: padded,
            features: vec![T::ZERO; readout.map_or(0, Matrix::stride)],
            readout: vec![T::ZERO; readout.map_or(0, Matrix::rows)],
        }
    }

    /// Computes z(t), s(t), y(t+1), a f'(s(t)) and o(t+1), and checks that the input and the results are
    /// finite. Changes nothing but itself.
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
        for layer in &network.layers {
            if !self.run_layer(network, layer, state, teacher, input)? {
                return self.name_non_finite(step, input);
            }
        }
        match &network.readout {
            Some(readout) => self.read_out(readout, network.isa, step, input),
            None => Ok(()),
        }
    }

    /// Computes the step of one layer. Returns whether it is finite.
    #[inline]
    fn run_layer(
        &mut self,
        network: &Network<T>,
        layer: &Layer<T>,
        state: &[T],
        teacher: &Teacher<T>,
        input: &[T],
    ) -> Result<bool, Error> {
        let (columns, stride) = (layer.columns, network.weights.stride());
        let z = &mut self.z[layer.z..][..stride];
        fill_z(z, columns.first_unit(), input, &state[layer.states.clone()]);
        teacher.replace(&mut z[columns.first_unit()..]);
        let weights = &network.weights.padded()[layer.rows.start * stride..layer.rows.end * stride];
        product(network.isa, weights, z, &mut self.sums[layer.rows.clone()])?;
        layer.cell.forward(CellStep {
            isa: network.isa,
            sums: &self.sums[layer.rows.start..],
            outputs: &z[columns.first_unit()..],
            next: &mut self.next[layer.states.start..],
            slopes: &mut self.slopes[layer.states.start..],
        })
    }

    /// Names the first value that is not finite. One of the input makes every sum so.
    #[cold]
    fn name_non_finite(&self, step: u64, input: &[T]) -> Result<(), Error> {
        check_finite(step, Quantity::Input, input)?;
        check_finite(step, Quantity::Sum, &self.sums)?;
        check_finite(step, Quantity::UnitOutput, self.next())?;
        check_finite(step, Quantity::Slope, self.slopes())
    }

    fn read_out(
        &mut self,
        readout: &ReadoutLayer<T>,
        isa: Isa,
        step: u64,
        input: &[T],
    ) -> Result<(), Error> {
        let (units, rest) = self.features.split_at_mut(self.units);
        units.copy_from_slice(&self.next[..self.units]);
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

    /// dy(t+1)/ds(t): f'(s(t)), times a where units leak.
    pub(crate) fn slopes(&self) -> &[T] {
        &self.slopes[..self.units]
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
    use crate::Readout;

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
