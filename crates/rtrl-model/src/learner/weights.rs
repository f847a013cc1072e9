//! Weights, rates and the memory of the optimiser, read and replaced from outside.

use rtrl_kernel::Real;

use super::Learner;
use crate::{Error, Matrix, UpdateSettings};

impl<T: Real> Learner<T> {
    /// Replaces W, n x c values row by row; absent weights stay 0, and frozen ones what they are. State and p are kept: p is then what the
    /// run so far has made of it, with the weights of each step.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::NonFinite`], with nothing changed.
    pub fn set_weights(&mut self, weights: &[T]) -> Result<(), Error> {
        let network = &mut self.network;
        let before = network.weights.clone();
        network.weights.replace(self.steps, "weight matrix", weights)?;
        network.clear_absent();
        network.restore_frozen(&before);
        Ok(())
    }

    /// Replaces R, outputs x (units, inputs if seen, 1 if it has a bias) values row by row. Where it learns by
    /// least squares, what has been seen so far counts as before.
    ///
    /// # Errors
    /// [`Error::Length`] (of 0 without a readout) or [`Error::NonFinite`], with nothing changed.
    pub fn set_readout_weights(&mut self, weights: &[T]) -> Result<(), Error> {
        let what = "readout matrix";
        let Some(readout) = &mut self.network.readout else {
            return Err(Error::Length { what, expected: 0, got: weights.len() });
        };
        readout.weights.replace(self.steps, what, weights)?;
        self.fit.as_mut().map_or(Ok(()), |fit| fit.set_weights(&readout.weights))
    }

    /// How gradients become changes of the weights, with the rates of now.
    pub fn update_settings(&self) -> &UpdateSettings {
        self.updater.settings()
    }

    /// Replaces the learning rate, which the schedule multiplies as before. A readout follows unless it has a
    /// rate of its own.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is finite and not negative; nothing has changed.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<(), Error> {
        self.updater.set_learning_rate(rate)
    }

    /// Replaces the learning rate of the readout; `None` for that of the other weights.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is finite and not negative and there is a readout; nothing has changed.
    pub fn set_readout_learning_rate(&mut self, rate: Option<f64>) -> Result<(), Error> {
        self.updater.set_readout_learning_rate(rate)
    }

    /// The optimiser's state next to [`Learner::updates`]: matrices of the shape of the weights, named
    /// `recurrent.momentum`, `readout.second_moment` and alike; nothing for plain gradient descent.
    pub fn optimizer_state(&self) -> impl Iterator<Item = (String, &Matrix<T>)> {
        self.updater.state()
    }

    /// Replaces the optimiser's state by [`Learner::optimizer_state`] and [`Learner::updates`] of a learner
    /// with the same settings and shape.
    ///
    /// # Errors
    /// [`Error::Setting`] for names that are missing or unknown, for numbers that no such matrix holds and
    /// for more than 2^53 updates, [`Error::Shape`]; nothing has changed.
    pub fn restore_optimizer(
        &mut self,
        updates: u64,
        state: &[(String, Matrix<T>)],
    ) -> Result<(), Error> {
        self.updater.restore(&self.network, updates, state)
    }
}
