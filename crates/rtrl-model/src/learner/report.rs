//! The results of a step.

use super::Recoveries;
use crate::Gradient;

/// The results of one step.
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
    /// `None` where gradients accumulate over several steps, unless
    /// [`LearnerBuilder::step_gradients`](crate::LearnerBuilder::step_gradients) asks for them, and in a step
    /// in which it overflowed, or p did, and a [`Recovery`](crate::Recovery) let the learner continue.
    pub gradient: Option<&'a Gradient<T>>,
    /// Whether weights changed in this step.
    pub updated: bool,
    /// How often a [`Recovery`](crate::Recovery) was needed so far, this step included.
    pub recoveries: Recoveries,
}
