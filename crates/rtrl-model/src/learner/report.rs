//! The results of a step.

use super::Recoveries;
use crate::Gradient;

/// The results of one step.
#[derive(Debug)]
pub struct StepReport<'a, T> {
    /// Number of the step, from 0.
    pub step: u64,
    /// The outputs at t + 1: of the readout if there is one, else y(t+1). With several streams,
    /// those of one stream after the other.
    pub outputs: &'a [T],
    /// e(t+1) = -dL(t+1)/do, in the order of `outputs`, 0 without a target.
    pub errors: &'a [T],
    /// L(t+1), summed over the streams.
    pub loss: T,
    /// dL(t+1)/dw of this step alone, summed over the streams, before clipping; zero without a
    /// target. `None` if gradients accumulate over several steps without
    /// [`LearnerBuilder::step_gradients`](crate::LearnerBuilder::step_gradients), and in a step in
    /// which the gradient or p overflowed and a [`Recovery`](crate::Recovery) let the learner
    /// continue.
    pub gradient: Option<&'a Gradient<T>>,
    /// Whether weights changed in this step.
    pub updated: bool,
    /// How often a [`Recovery`](crate::Recovery) was needed so far, including this step.
    pub recoveries: Recoveries,
}
