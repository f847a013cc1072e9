//! What every engine offers: the one trait of the kernel.

use std::fmt::Debug;

use crate::error::Error;
use crate::simd::Real;
use crate::step::Step;

/// What an engine holds beside the stored p, as numbers that do not depend on the machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pending<T> {
    /// `sum e p` of errors that have not been read, one value a column; empty if there are none.
    pub gradient: Vec<T>,
    /// What has happened since the stored p, a record a step, oldest first: the Jacobian (n x n), the
    /// injection (one value a weight row), z (c) and the errors that have not been read (n).
    pub window: Vec<T>,
    /// Such records of the window before, where p is being moved to its end little by little.
    pub previous: Vec<T>,
}

/// A way to carry the sensitivities `p^k_ij = dy_k/dw_ij` through time and to read gradients off them.
///
/// The learner calls [`Engine::advance`] once a step and [`Engine::gradient`] when it wants the
/// gradient of the errors given since the last call. An engine may put off work between the two, as
/// long as both return what equation 5 defines. Implement this trait to try a rule of your own in a
/// learner and to compare it with the exact one.
pub trait Engine<T: Real>: Debug + Send + Sync {
    /// Moves p from t to t + 1 (equation 5).
    ///
    /// `error` holds e(t + 1), n values, zero for units without a target; its gradient is added to
    /// what [`Engine::gradient`] will return. `None` means that there is no target at this step.
    ///
    /// # Errors
    /// [`Error::Length`] before anything has changed; [`Error::NonFinite`] if p or the gradient
    /// overflows, after which p and the errors that have not been read are lost and only
    /// [`Engine::reset`] helps; [`Error::Lost`] until then.
    fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error>;

    /// Writes `dJ/dw_ij = -sum_k e_k p^k_ij` (equation 6), summed over the errors given since the
    /// last call, to `into[i * stride + j]`. Places of weights that do not learn are left alone; what
    /// pads a row may become 0.
    ///
    /// # Errors
    /// [`Error::Length`] if `into` does not hold the weight matrix; [`Error::NonFinite`] and
    /// [`Error::Lost`] as for [`Engine::advance`], where the engine computes the gradient here.
    fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), Error>;

    /// Sets p to zero, as at t0. Errors whose gradient has not been read stay counted.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the gradient of those errors has overflowed. It is dropped, and the reset is
    /// done all the same.
    fn reset(&mut self) -> Result<(), Error>;

    /// Writes row k of p(t): `dy_k/dw` for every weight that learns, in the order of the weight
    /// matrix. Does not disturb the run.
    ///
    /// # Errors
    /// [`Error::Length`] if `row` is not one value a column, [`Error::State`] if there is no unit
    /// `state`, [`Error::Lost`] after an overflow; where the engine computes them here, [`Error::NonFinite`]
    /// if they have overflowed, and [`Error::Memory`].
    fn sensitivities(&self, state: usize, row: &mut [T]) -> Result<(), Error>;

    /// Writes row k of p as it is stored: that of an older time where an engine puts off its work.
    ///
    /// # Errors
    /// As [`Engine::sensitivities`].
    fn stored(&self, state: usize, row: &mut [T]) -> Result<(), Error>;

    /// Replaces row k of the stored p.
    ///
    /// An engine like the saved one, to which every row of [`Engine::stored`] and then
    /// [`Engine::pending`] are given back, continues as that one would, bit for bit.
    ///
    /// # Errors
    /// As [`Engine::sensitivities`], and [`Error::NonFinite`] if `row` is not finite; p is then as it was.
    fn restore(&mut self, state: usize, row: &[T]) -> Result<(), Error>;

    /// What the engine holds beside the stored p.
    fn pending(&self) -> Pending<T>;

    /// Replaces what the engine holds beside the stored p: the inverse of [`Engine::pending`].
    ///
    /// The engine must have the shape, the window and the pace of the one that gave it; one with a longer
    /// window goes on exactly, but with other rounding.
    ///
    /// # Errors
    /// [`Error::Length`] if it does not fit the shape and the window, [`Error::NonFinite`] if it is not
    /// finite, [`Error::Lost`] after an overflow; the engine is then as it was.
    fn resume(&mut self, pending: &Pending<T>) -> Result<(), Error>;

    /// Number of columns of p: the weights that learn.
    fn columns(&self) -> usize;

    /// Bytes that p and whatever stands in for it occupy.
    fn state_bytes(&self) -> usize;

    /// A copy with the same state.
    fn boxed_clone(&self) -> Box<dyn Engine<T>>;
}

impl<T: Real> Clone for Box<dyn Engine<T>> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}
