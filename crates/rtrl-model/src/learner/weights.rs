//! Reading and replacing weights, rates and the state of the optimiser.

use rtrl_kernel::Real;

use super::Learner;
use crate::{Error, Matrix, RecursiveLeastSquares, UpdateSettings};

impl<T: Real> Learner<T> {
    /// Replaces W, n x c values row by row; absent weights stay 0, and frozen ones are unchanged.
    /// State and p are kept: p still refers to the weights of each past step.
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

    /// Replaces R, outputs x (units, inputs if seen, 1 if it has a bias) values row by row. If it
    /// learns by least squares, past samples count as before.
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

    /// The fits of a readout that learns by recursive least squares, one for each output; none for
    /// any other readout.
    pub fn readout_fits(&self) -> &[RecursiveLeastSquares] {
        self.fit.as_ref().map_or(&[], |fit| &fit.outputs)
    }

    /// Replaces the weights and the P of every fit, and with them R, by those of
    /// [`Learner::readout_fits`] of a learner with the same settings and shape.
    ///
    /// # Errors
    /// [`Error::Length`] for another number of fits, otherwise as
    /// [`RecursiveLeastSquares::restore`] and [`Error::NonFinite`]; nothing has changed.
    pub fn restore_readout_fits(&mut self, fits: &[(Vec<f64>, Vec<f64>)]) -> Result<(), Error> {
        let (expected, got) = (self.readout_fits().len(), fits.len());
        if got != expected {
            return Err(Error::Length { what: "list of fits", expected, got });
        }
        let (Some(fit), Some(readout)) = (&mut self.fit, &mut self.network.readout) else {
            return Ok(());
        };
        let mut restored = fit.clone();
        for (output, (weights, inverse)) in restored.outputs.iter_mut().zip(fits) {
            output.restore(weights, inverse)?;
        }
        let weights = fits.iter().flat_map(|(weights, _)| weights);
        let weights: Vec<T> = weights.map(|&weight| T::from_f64(weight)).collect();
        readout.weights.replace(self.steps, "readout matrix", &weights)?;
        *fit = restored;
        Ok(())
    }

    /// The settings of the updates, with the current rates.
    pub fn update_settings(&self) -> &UpdateSettings {
        self.updater.settings()
    }

    /// Replaces the learning rate, which the schedule multiplies as before. It also applies to a
    /// readout without a separate rate.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is finite and not negative; nothing has changed.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<(), Error> {
        self.updater.set_learning_rate(rate)
    }

    /// Replaces the learning rate of the readout; `None` for that of the other weights.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is finite and not negative and there is a readout; nothing has
    /// changed.
    pub fn set_readout_learning_rate(&mut self, rate: Option<f64>) -> Result<(), Error> {
        self.updater.set_readout_learning_rate(rate)
    }

    /// The optimiser's state next to [`Learner::updates`]: matrices of the shape of the weights,
    /// named `recurrent.momentum`, `readout.second_moment` and so on; empty for plain gradient
    /// descent.
    pub fn optimizer_state(&self) -> impl Iterator<Item = (String, &Matrix<T>)> {
        self.updater.state()
    }

    /// Replaces the optimiser's state by [`Learner::optimizer_state`] and [`Learner::updates`] of a
    /// learner with the same settings and shape.
    ///
    /// # Errors
    /// [`Error::Setting`] for missing or unknown names, impossible numbers or more than 2^53
    /// updates, [`Error::Shape`]; nothing has changed.
    pub fn restore_optimizer(
        &mut self,
        updates: u64,
        state: &[(String, Matrix<T>)],
    ) -> Result<(), Error> {
        self.updater.restore(&self.network, updates, state)
    }
}
