//! What a step tells.

use serde::{Deserialize, Serialize};

use crate::Gradient;

/// What one step computed.
#[derive(Debug)]
pub struct StepReport<'a, T> {
    /// Number of the step, from 0.
    pub step: u64,
    /// The outputs at t + 1: of the readout if there is one, else y(t+1). With several streams, those of one
    /// stream after the other.
    pub outputs: &'a [T],
    /// e(t+1) = -dJ(t+1)/do, as `outputs`, 0 where there is no target.
    pub errors: &'a [T],
    /// J(t+1), summed over the streams.
    pub loss: T,
    /// dJ(t+1)/dw of this step alone, summed over the streams, before clipping; zero without a target.
    /// `None` where gradients add up over several steps, unless
    /// [`LearnerBuilder::step_gradients`](crate::LearnerBuilder::step_gradients) asks for them, and in a step
    /// in which p overflowed and was set to 0.
    pub gradient: Option<&'a Gradient<T>>,
    /// Whether weights changed in this step.
    pub updated: bool,
    /// What a [`Recovery`] has mended so far, this step included.
    pub mended: Mended,
}

/// What the learner does by itself when learning leaves the range of the number type. By default each is an
/// error. Values that are not finite in inputs, targets or the forward pass are always one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Instead of [`Error::Overflow`](crate::Error::Overflow), sets p of the stream to 0 and goes on: past
    /// inputs get no more credit. The gradients of that step, and those that have added up in the engine, are
    /// dropped, and the step is not counted.
    pub reset_sensitivities: bool,
    /// Instead of [`Error::UpdateRefused`](crate::Error::UpdateRefused), leaves the weights as they are and
    /// goes on; the gradient of that update is dropped. Likewise instead of [`Error::Fit`](crate::Error::Fit):
    /// the readout is not fitted to that sample.
    pub skip_updates: bool,
}

/// How often a [`Recovery`] had something to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mended {
    /// Streams whose p was set to 0 after an overflow.
    pub resets: u64,
    /// Updates that were skipped, and steps in which least squares refused a sample.
    pub skipped_updates: u64,
}
