//! One of the sequences that share the weights: its state, forced set and sensitivities.

use rtrl_kernel::{Engine, Real, Spec, Step};

use crate::error::{Quantity, check_finite};
use crate::gradient::Gradient;
use crate::network::Derivatives;
use crate::{Error, Loss, Network, State, Targets};

/// Everything that belongs to one sequence, including the buffers of a step.
#[derive(Debug, Clone)]
pub(super) struct Stream<T: Real> {
    pub(super) state: State<T>,
    pub(super) engine: Box<dyn Engine<T>>,
    /// e(t+1) of the outputs.
    pub(super) errors: Vec<T>,
    /// e(t+1) of the states, 0 for cells; empty where it is that of the outputs.
    state_errors: Vec<T>,
    /// L(t+1)
    pub(super) loss: T,
    /// Whether the current step has a target.
    pub(super) has_target: bool,
    /// The gradient of the last step. Where the engine accumulates, that of W is the last sum read.
    pub(super) gradient: Gradient<T>,
    gradient_is_zero: bool,
    /// Whether p was lost in an overflow.
    pub(super) lost: bool,
    /// The decay of p, if there is one.
    fading: Option<Fading<T>>,
    /// The derivatives of a step, where slopes and weights are not all that it takes.
    derivatives: Option<Derivatives<T>>,
    /// A failure of the engine that has not been handled yet.
    pub(super) failure: Option<rtrl_kernel::Error>,
}

/// Which gradients a step reads from the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// None: the engine accumulates.
    Nothing,
    /// That of the step, if it has a target.
    Step,
    /// The sum of all since the last reading.
    Sum,
}

impl<T: Real> Stream<T> {
    /// A sequence that starts in the initial state of the network.
    pub(super) fn new(
        network: &Network<T>,
        engine: Box<dyn Engine<T>>,
        decay: T,
    ) -> Result<Self, Error> {
        let derivatives = match engine.spec() {
            _ if network.has_plain_jacobian() => None,
            // Of a network of which no weight learns.
            Spec::Blocks(blocks) if blocks.is_empty() => {
                Some(Derivatives::new(network, decay, false)?.unformed())
            }
            spec => {
                let is_deferred = matches!(spec, Spec::Deferred { .. });
                Some(Derivatives::new(network, decay, is_deferred)?)
            }
        };
        let fades = decay != T::ONE && derivatives.is_none();
        let states = network.layout().states();
        // Without a readout, the errors of the outputs are those of the states where there are no
        // others.
        let is_direct = network.readout.is_none() && states == network.outputs();
        Ok(Self {
            state: network.state(),
            engine,
            errors: vec![T::ZERO; network.outputs()],
            state_errors: vec![T::ZERO; if is_direct { 0 } else { states }],
            loss: T::ZERO,
            has_target: false,
            gradient: Gradient::zeros(network)?,
            gradient_is_zero: true,
            lost: false,
            fading: fades.then(|| Fading::new(decay, network)),
            derivatives,
            failure: None,
        })
    }

    /// Equations 1 to 4, and the errors carried back through the readout. State and p are
    /// unchanged.
    #[inline]
    pub(super) fn compare(
        &mut self,
        network: &Network<T>,
        loss: &Loss<T>,
        step: u64,
        input: &[T],
        targets: &Targets<'_, T>,
    ) -> Result<(), Error> {
        // A loss that bounds errors is finite only if the targets are: they need no check of their
        // own, unless something else is wrong, which they come before.
        targets.check_length(self.errors.len())?;
        if self.lost || !loss.bounds_errors() {
            self.check_targets(network, loss, step, targets)?;
        }
        if let Err(error) = self.state.compute(network, step, input) {
            return self.check_targets(network, loss, step, targets).and(Err(error));
        }
        self.has_target = targets.any();
        let outputs = self.state.tape.outputs();
        self.loss = loss.compare(network.isa, outputs, targets, &mut self.errors)?;
        if !(loss.bounds_errors() && self.loss.is_finite()) {
            if loss.bounds_errors() {
                self.check_targets(network, loss, step, targets)?;
            }
            check_finite(step, Quantity::Error, &self.errors)?;
            check_finite(step, Quantity::Loss, &[self.loss])?;
        }
        match &network.readout {
            Some(readout) => {
                let top = network.units() - readout.units..network.units();
                readout.propagate(&self.errors, &mut self.state_errors[top]);
                check_finite(step, Quantity::Error, &self.state_errors)?;
                self.compare_readout(step)
            }
            None if self.state_errors.is_empty() => Ok(()),
            None => {
                self.state_errors[..self.errors.len()].copy_from_slice(&self.errors);
                Ok(())
            }
        }
    }

    /// Fails if the targets are not those of a step, or p is lost.
    #[inline(never)]
    fn check_targets(
        &self,
        network: &Network<T>,
        loss: &Loss<T>,
        step: u64,
        targets: &Targets<'_, T>,
    ) -> Result<(), Error> {
        loss.check_targets(step, network, targets)?;
        if self.lost { Err(Error::SensitivitiesLost { step }) } else { Ok(()) }
    }

    /// dL/dR of this step, zero without a target.
    fn compare_readout(&mut self, step: u64) -> Result<(), Error> {
        let Some(gradient) = &mut self.gradient.readout else { return Ok(()) };
        self.gradient_is_zero = false;
        let features = &self.state.tape.features;
        for (o, &error) in self.errors.iter().enumerate() {
            for (place, &feature) in gradient.row_mut(o).iter_mut().zip(features) {
                *place = -(error * feature);
            }
        }
        check_finite(step, Quantity::Gradient, gradient.padded())
    }

    /// Skips a step: there is no target, loss or error.
    pub(super) fn sit_out(&mut self) {
        self.has_target = false;
        self.loss = T::ZERO;
        self.errors.fill(T::ZERO);
        if let Some(gradient) = &mut self.gradient.readout {
            gradient.padded_mut().fill(T::ZERO);
        }
    }

    /// Reads the gradient that the stream has accumulated, between steps or in a step that it
    /// skips. It is 0 where p is lost: the gradient was lost with it.
    pub(super) fn read_accumulated(&mut self, read: Read) {
        if self.lost {
            self.gradient.clear();
        } else {
            self.read_gradient(read);
        }
    }

    /// Equations 5 and 6: moves p, y and, with teacher forcing, the forced set to t + 1. An error
    /// is kept in `failure`.
    #[inline]
    pub(super) fn advance(
        &mut self,
        network: &Network<T>,
        forcing: Option<&Targets<'_, T>>,
        read: Read,
    ) {
        let tape = &self.state.tape;
        let (jacobian, injection) = if let Some(derivatives) = &mut self.derivatives {
            if let Err(failure) = derivatives.form(network, tape.slopes(), tape.kept()) {
                return self.fail(failure);
            }
            (derivatives.jacobian(), derivatives.injection())
        } else {
            let diagonal = network.diagonal(tape.kept());
            let (scale, diagonal) = match &mut self.fading {
                Some(fading) => fading.fade(tape.slopes(), diagonal),
                None => (tape.slopes(), diagonal),
            };
            (network.jacobian_of(scale, diagonal), tape.slopes())
        };
        let forced = self.state.teacher.forced.as_slice();
        let step = Step { jacobian, injection, z: &tape.z, forced };
        let errors = if self.state_errors.is_empty() { &self.errors } else { &self.state_errors };
        let errors = errors.as_slice();
        let gradient = &mut self.gradient.recurrent;
        let advanced = match (read, self.has_target) {
            (Read::Step, true) => {
                let stride = gradient.stride();
                self.engine.advance_into(&step, errors, (gradient.padded_mut(), stride))
            }
            (_, has_target) => {
                self.engine.advance(&step, has_target.then_some(errors)).map(|()| false)
            }
        };
        match advanced {
            Ok(true) => self.gradient_is_zero = false,
            Ok(false) => self.read_gradient(read),
            Err(overflow @ rtrl_kernel::Error::NonFinite { .. }) => {
                // The gradient may be half written.
                self.gradient_is_zero = false;
                self.fail(overflow);
            }
            Err(other) => return self.fail(other),
        }
        self.state.accept();
        if let Some(targets) = forcing {
            self.state.teacher.take_over(targets);
        }
    }

    /// Takes over what the engine has computed. An error is kept in `failure`.
    #[inline]
    pub(super) fn read_gradient(&mut self, read: Read) {
        if read == Read::Nothing {
            return;
        }
        if read == Read::Step && !self.has_target {
            if !std::mem::replace(&mut self.gradient_is_zero, true) {
                self.gradient.clear();
            }
            return;
        }
        self.gradient_is_zero = false;
        let recurrent = &mut self.gradient.recurrent;
        let stride = recurrent.stride();
        if let Err(failure) = self.engine.gradient(recurrent.padded_mut(), stride) {
            self.fail(failure);
        }
    }

    /// Fails if p is lost.
    pub(super) fn check_lost(&self) -> Result<(), Error> {
        if self.lost { Err(rtrl_kernel::Error::Lost.into()) } else { Ok(()) }
    }

    /// Sets p = 0. An error is kept in `failure`.
    pub(super) fn reset_engine(&mut self) {
        if let Err(failure) = self.engine.reset() {
            self.fail(failure);
        }
    }

    /// Separate from the path of a step, because always keeping a result costs a small network a
    /// tenth of its time.
    #[cold]
    fn fail(&mut self, failure: rtrl_kernel::Error) {
        self.failure = Some(failure);
    }
}

/// A decay of p, with buffers for the factors of the Jacobian that it changes.
#[derive(Debug, Clone)]
struct Fading<T> {
    decay: T,
    scale: Vec<T>,
    diagonal: Vec<T>,
}

impl<T: Real> Fading<T> {
    fn new(decay: T, network: &Network<T>) -> Self {
        let room = |len: usize| vec![T::ZERO; len];
        let drives = network.layout().drives().len();
        Self { decay, scale: room(drives), diagonal: room(network.units()) }
    }

    /// The factors of `decay J`, each product rounded.
    fn fade(&mut self, scale: &[T], diagonal: Option<&[T]>) -> (&[T], Option<&[T]>) {
        let decay = self.decay;
        let scaled = |places: &mut [T], factors: &[T]| {
            places.iter_mut().zip(factors).for_each(|(place, &factor)| *place = decay * factor);
        };
        scaled(&mut self.scale, scale);
        if let Some(diagonal) = diagonal {
            scaled(&mut self.diagonal, diagonal);
        }
        (&self.scale, diagonal.map(|_| self.diagonal.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cell, Learner, Readout};

    /// Whether the derivatives of the first step are formed, and the outputs of 20 steps.
    fn steps(network: Network<f64>) -> (bool, Vec<f64>) {
        let mut learner = Learner::builder(network).build().unwrap();
        let mut step = |x: f64| learner.step(&[x], Targets::All(&[0.5])).unwrap().outputs[0];
        let outputs = (0..20).map(|t| step(libm::sin(f64::from(t)))).collect();
        let derivatives = learner.streams[0].derivatives.as_ref().unwrap();
        let states = learner.network().layout().states();
        let mut rows = vec![0.0; states * states];
        derivatives.jacobian().write(rows.chunks_exact_mut(states), |_| ());
        (rows.iter().any(|&value| value != 0.0), outputs)
    }

    /// The readout of a frozen network learns, which takes no derivatives of the units.
    #[test]
    fn derivatives_are_formed_only_where_a_weight_of_the_units_learns() {
        let layers = || Network::builder(3, 1).layer(2).readout(Readout::new(1)).seed(1);
        let lstm = || Network::builder(3, 1).cell(Cell::Lstm).readout(Readout::new(1)).seed(1);
        for build in [layers, lstm] {
            let (is_formed, learnt) = steps(build().build().unwrap());
            assert!(is_formed);
            let (is_formed, frozen) = steps(build().build().unwrap().freeze());
            assert!(!is_formed);
            assert!(frozen[0] == learnt[0] && frozen[19] != learnt[19] && frozen[19] != 0.0);
        }
    }
}
