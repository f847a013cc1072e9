//! Overflows during learning: lost sensitivities, refused updates, and the automatic recoveries
//! from them.

use rtrl_kernel::Real;
use serde::{Deserialize, Serialize};

use super::Learner;
use super::stream::Read;
use crate::Error;
use crate::error::Quantity;

/// What the learner does automatically when learning overflows. By default it returns an error.
/// Values that are not finite in inputs, targets or the forward pass are always an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Instead of [`Error::Overflow`](crate::Error::Overflow), sets p of the stream to 0 and
    /// continues: past inputs get no more credit. The gradients of that step, and those that the
    /// engine has accumulated, are dropped, and the step is not counted.
    pub reset_sensitivities: bool,
    /// Instead of [`Error::UpdateRefused`](crate::Error::UpdateRefused), keeps the weights and
    /// continues; the gradient of that update is dropped. Likewise instead of
    /// [`Error::Fit`](crate::Error::Fit): the readout is not fitted to that sample.
    pub skip_updates: bool,
}

/// How often a [`Recovery`] was needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recoveries {
    /// Streams whose p was set to 0 after an overflow.
    pub resets: u64,
    /// Updates that were skipped, and steps in which least squares refused a sample.
    pub skipped_updates: u64,
}

impl<T: Real> Learner<T> {
    /// Marks the streams that have failed as lost, and drops the accumulated gradients.
    ///
    /// # Errors
    /// The first of their failures.
    #[cold]
    pub(super) fn lose(&mut self) -> Result<(), Error> {
        let mut first = None;
        for (b, stream) in self.streams.iter_mut().enumerate() {
            if !self.accumulator.each_step && !stream.lost && stream.failure.is_none() {
                stream.read_gradient(Read::Sum);
            }
            let Some(failure) = stream.failure.take() else { continue };
            stream.lost |= matches!(failure, rtrl_kernel::Error::NonFinite { .. });
            first = first.or(Some((b, failure)));
        }
        self.accumulator.drop_sum();
        let Some((b, failure)) = first else { return Ok(()) };
        let several = self.streams.len() > 1;
        Err(in_stream(several.then_some(b), self.overflow(failure)))
    }

    /// The error of the model for an error of an engine.
    fn overflow(&self, failure: rtrl_kernel::Error) -> Error {
        let rtrl_kernel::Error::NonFinite { quantity } = failure else { return failure.into() };
        Error::Overflow { step: self.steps, quantity: quantity.into() }
    }

    /// Sets p = 0 in every stream.
    pub(super) fn reset_engines(&mut self) -> Result<(), Error> {
        let streams = 0..self.streams.len();
        streams.map(|b| self.reset_engine(b)).fold(Ok(()), Result::and)
    }

    /// Sets p = 0 in one stream.
    pub(super) fn reset_engine(&mut self, b: usize) -> Result<(), Error> {
        self.streams[b].reset_engine();
        let result = if self.streams[b].failure.is_some() { self.lose() } else { Ok(()) };
        self.streams[b].lost = false;
        result
    }

    /// y as given in every stream, no unit forced; p stays.
    pub(super) fn restart(&mut self, states: &[T]) -> Result<(), Error> {
        let len = self.network.layout().states();
        let one_for_all = states.len() == len;
        for (stream, own) in self.streams.iter_mut().zip(states.chunks(len).cycle()) {
            stream.state.restart(if one_for_all { states } else { own })?;
        }
        Ok(())
    }

    /// Recovers from `error` where the [`Recovery`] allows it. Returns false: no weight has
    /// changed.
    ///
    /// # Errors
    /// `error` itself where it does not.
    #[cold]
    pub(super) fn recover(&mut self, error: Error) -> Result<bool, Error> {
        match error.cause() {
            Error::Overflow { .. } if self.recovery.reset_sensitivities => {
                let mut resets = 0;
                for b in 0..self.streams.len() {
                    if self.streams[b].lost {
                        // Its accumulated gradient was dropped when p was lost.
                        self.reset_engine(b)?;
                        resets += 1;
                    }
                }
                // At the end of an epoch the reset has been done.
                self.recoveries.resets += resets.max(1);
                Ok(false)
            }
            Error::UpdateRefused { .. } | Error::Fit { .. } if self.recovery.skip_updates => {
                self.recoveries.skipped_updates += 1;
                Ok(false)
            }
            _ => Err(error),
        }
    }

    pub(super) fn refused(&self, quantity: Quantity) -> Error {
        Error::UpdateRefused { step: self.steps, quantity }
    }
}

/// Names the stream of an error, where there are several.
pub(crate) fn in_stream(stream: Option<usize>, error: Error) -> Error {
    match stream {
        Some(stream) => Error::InStream { stream, source: Box::new(error) },
        None => error,
    }
}
