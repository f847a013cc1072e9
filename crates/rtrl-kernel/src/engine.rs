//! What every engine offers: the one trait of the kernel.

use std::fmt::Debug;

use crate::columns::Columns;
use crate::error::check_length;
use crate::{Error, Layout, Real};

/// One time step as an engine sees it: everything that equation 5 needs besides p.
///
/// The Jacobian of the step is `J[k][l] = scale[k] * recurrent[k][l]`, rounded, to which for l = k
/// `diagonal[k]` is added, rounded again; column l is zero where unit l was forced. The immediate
/// influence of weight (i, j) is `injection[i] * lines[j]` on the state unit that row i drives. Simple
/// units have `scale = injection = f'(s(t))` and no diagonal; leaky ones, which keep a share `1 - a` of
/// their state, have `scale = injection = a f'(s(t))` and `diagonal = 1 - a`.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a, T> {
    /// The recurrent weights, row-major: row k starts at `k * stride` and has n values.
    pub recurrent: &'a [T],
    /// Distance between rows of `recurrent`, at least n.
    pub stride: usize,
    /// Factor of each row of the Jacobian, n values.
    pub scale: &'a [T],
    /// What each state unit passes on to itself beside its weights, n values; `None` where nothing is.
    pub diagonal: Option<&'a [T]>,
    /// Factor of the immediate influence, one value for each weight row.
    pub injection: &'a [T],
    /// z(t), one value for each column of the weight matrix (longer is allowed: padding).
    pub lines: &'a [T],
    /// Units whose output was replaced by a teacher's value at time t, n values.
    pub forced: &'a [bool],
}

impl<T> Step<'_, T> {
    /// Fails unless every slice, and the error, fit the layout.
    pub(crate) fn check(&self, layout: Layout, error: Option<&[T]>) -> Result<(), Error> {
        let states = layout.states();
        if let Some(error) = error {
            check_length("the error", states, error.len())?;
        }
        check_matrix("the recurrent matrix", states, states, self.stride, self.recurrent.len())?;
        if self.lines.len() < layout.lines() {
            check_length("the input lines", layout.lines(), self.lines.len())?;
        }
        check_length("the scale of the Jacobian", states, self.scale.len())?;
        if let Some(diagonal) = self.diagonal {
            check_length("the diagonal of the Jacobian", states, diagonal.len())?;
        }
        check_length("the injection", layout.rows(), self.injection.len())?;
        check_length("the forced set", states, self.forced.len())
    }
}

/// Fails unless `row` of `len` values is a row of p, and p is not lost.
pub(crate) fn check_row(
    columns: &Columns,
    lost: bool,
    state: usize,
    len: usize,
) -> Result<(), Error> {
    check_length("a row of sensitivities", columns.count(), len)?;
    let states = columns.layout().states();
    if state >= states {
        return Err(Error::State { states, got: state });
    }
    if lost { Err(Error::Lost) } else { Ok(()) }
}

/// Fails unless `got` values hold `rows` rows of `columns` values, `stride` apart.
pub(crate) fn check_matrix(
    what: &'static str,
    rows: usize,
    columns: usize,
    stride: usize,
    got: usize,
) -> Result<(), Error> {
    if stride < columns {
        return Err(Error::Length { what: "a row of the matrix", expected: columns, got: stride });
    }
    let needed = (rows - 1).saturating_mul(stride).saturating_add(columns);
    if got < needed { check_length(what, needed, got) } else { Ok(()) }
}

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
