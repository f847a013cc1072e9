//! One time step as an engine sees it.

use crate::error::{Error, check_length, check_matrix};
use crate::layout::Layout;

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
