//! The interface of all engines.

use std::fmt::Debug;

use crate::error::Error;
use crate::simd::Real;
use crate::spec::Spec;
use crate::step::Step;
use crate::store::{Sink, Source};

/// Carries the sensitivities `p^k_ij = dy_k/dw_ij` from step to step and computes gradients from
/// them.
///
/// The learner calls [`Engine::advance`] or [`Engine::advance_into`] once per step, and
/// [`Engine::gradient`] when it needs the gradient of the errors since the last call. An engine may
/// defer work between the two, as long as the results are those that equation 5 defines. Implement
/// this trait to use a custom learning rule in a learner and to compare it with the exact one.
///
/// ```
/// use rtrl_kernel::{Isa, Jacobian, Layout, Spec, Step, Threads, build};
///
/// # fn main() -> Result<(), rtrl_kernel::Error> {
/// // One unit y' = f(w0 x + w1 y), of which both weights learn. In this step f' is 0.5, x = 2, y = 1.
/// let layout = Layout::simple(1, 2)?;
/// let mut engine = build::<f64>(&Spec::Eager, &layout, &[true; 2], Isa::best(), Threads::SERIAL)?;
/// let (recurrent, slope) = ([0.8], [0.5]);
/// let jacobian = Jacobian::scaled(&recurrent, 1, &slope);
/// let step = Step { jacobian, injection: &slope, z: &[2.0, 1.0], forced: &[false] };
/// engine.advance(&step, None)?; // p = 0.5 z = (1, 0.5)
/// engine.advance(&step, Some(&[0.1]))?; // p = 0.5 * 0.8 p + 0.5 z = (1.4, 0.7)
///
/// let mut gradient = [0.0; 2];
/// engine.gradient(&mut gradient, 2)?; // -e p
/// assert!((gradient[0] + 0.14).abs() < 1e-15 && (gradient[1] + 0.07).abs() < 1e-15);
/// # Ok(())
/// # }
/// ```
pub trait Engine<T: Real>: Debug + Send + Sync {
    /// Moves p from t to t + 1 (equation 5).
    ///
    /// `error` holds e(t + 1), n values, zero for units without a target; its gradient is added to
    /// what [`Engine::gradient`] will return. `None` means that there is no target at this step.
    ///
    /// # Errors
    /// [`Error::Length`] before anything has changed; [`Error::NonFinite`] if p or the gradient
    /// overflows, after which p and the errors that have not been read are lost; [`Error::Lost`]
    /// from then on until [`Engine::reset`].
    fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error>;

    /// [`Engine::advance`] with an error, followed by [`Engine::gradient`], if the engine can do
    /// both in one call. Returns true if it has done both; false if [`Engine::gradient`] must
    /// still be called. Only advances by default.
    ///
    /// `into` is a matrix of weights with its stride.
    ///
    /// # Errors
    /// As [`Engine::advance`], and [`Error::Length`] if `into` does not hold the weight matrix,
    /// where the engine checks it. After [`Error::NonFinite`], `into` holds anything.
    fn advance_into(
        &mut self,
        step: &Step<'_, T>,
        error: &[T],
        into: (&mut [T], usize),
    ) -> Result<bool, Error> {
        let _ = into;
        self.advance(step, Some(error)).map(|()| false)
    }

    /// Writes `dL/dw_ij = -sum_k e_k p^k_ij` (equation 6), summed over the errors given since the
    /// last call, to `into[i * stride + j]`. Entries of weights that do not learn are unchanged;
    /// the padding of a row may become 0.
    ///
    /// # Errors
    /// [`Error::Length`] if `into` does not hold the weight matrix; [`Error::Lost`] after an
    /// overflow, since the errors that had not been read are lost as well; [`Error::NonFinite`] as
    /// for [`Engine::advance`], where the engine computes the gradient here.
    fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), Error>;

    /// Sets p to zero, as at t0. Errors whose gradient has not been read still count.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the gradient of those errors has overflowed. It is dropped, and the
    /// reset is done.
    fn reset(&mut self) -> Result<(), Error>;

    /// Number of weights that learn: the columns of p.
    fn weights(&self) -> usize;

    /// Writes row k of p(t): `dy_k/dw` for every weight that learns, in the order of the weight
    /// matrix. Does not affect the run.
    ///
    /// # Errors
    /// [`Error::Length`] if `row` does not have one value per column, [`Error::State`] if there is
    /// no state `state`, [`Error::Lost`] after an overflow; where the engine computes them here,
    /// [`Error::NonFinite`] if they have overflowed, and [`Error::Memory`]. [`Error::Unsupported`]
    /// by default.
    fn sensitivities(&self, state: usize, row: &mut [T]) -> Result<(), Error> {
        let _ = (state, row);
        Err(Error::Unsupported { what: "reading its sensitivities" })
    }

    /// Passes the whole state of the engine to `to`. The engine chooses the order and the names,
    /// which must not depend on the machine or the number of threads.
    ///
    /// # Errors
    /// [`Error::Lost`] after an overflow, and those of the sink. [`Error::Unsupported`] by default.
    fn save(&self, to: &mut dyn Sink<T>) -> Result<(), Error> {
        let _ = to;
        Err(Error::Unsupported { what: "being saved" })
    }

    /// Replaces the whole state of the engine by what [`Engine::save`] passed on.
    ///
    /// An engine with the same layout and [`Engine::spec`] then continues like the saved one, bit
    /// for bit. After loading, [`Engine::save`] must pass on tensors of the same names and shapes
    /// as before: a checkpoint with a tensor that its engine would not save again is refused.
    ///
    /// # Errors
    /// [`Error::Tensor`], [`Error::NonFiniteTensor`] or [`Error::Number`] for tensors that do not
    /// match the engine, and those of the source; p is then lost as after an overflow.
    /// [`Error::Unsupported`] by default.
    fn load(&mut self, from: &mut dyn Source<T>) -> Result<(), Error> {
        let _ = from;
        Err(Error::Unsupported { what: "being loaded" })
    }

    /// The engine that can load what this one saves. By default it is a custom one that is not
    /// exact, with the name of its type. Other compilers may spell this name differently, so an
    /// engine that implements [`Engine::save`] should choose its own name.
    fn spec(&self) -> Spec {
        Spec::Custom { name: std::any::type_name::<Self>().to_owned(), exact: false }
    }

    /// Bytes of p or of what replaces it; by default the size of the engine itself, without the
    /// memory that it points to.
    fn state_bytes(&self) -> usize {
        size_of_val(self)
    }

    /// A copy with the same state.
    fn boxed_clone(&self) -> Box<dyn Engine<T>>;
}

impl<T: Real> Clone for Box<dyn Engine<T>> {
    fn clone(&self) -> Self {
        self.boxed_clone()
    }
}
