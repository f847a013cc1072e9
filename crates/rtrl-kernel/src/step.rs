//! One time step as an engine sees it.

use crate::error::{Error, check_length};
use crate::jacobian::Jacobian;
use crate::layout::Layout;
use crate::simd::Real;

/// Whether any unit is forced. All flags are looked at, which is done in registers, not only those
/// up to the first that is set.
#[inline]
pub fn any_forced(forced: &[bool]) -> bool {
    forced.iter().fold(false, |any, &forced| any | forced)
}

/// One time step as an engine sees it: everything that equation 5 needs in addition to p.
///
/// The Jacobian of the step is [`Step::jacobian`] with zeros in the columns of forced units. The
/// immediate influence of weight (i, j) is `injection[d] * z[j]` on the state that drive d of row i
/// leads to ([`Layout::drives`]). Simple units, each driven by its own row, have the Jacobian
/// `f'(s(t))[k] * w[k][l]` and the injection `f'(s(t))`; leaky ones, which keep a fraction `1 - a`
/// of their output, have `a f'(s(t))` in both places and the diagonal `1 - a`.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a, T> {
    /// The derivative of each state with respect to each previous state, n x n, as if no unit had
    /// been forced.
    pub jacobian: Jacobian<'a, T>,
    /// Factor of the immediate influence, one value for each drive.
    pub injection: &'a [T],
    /// z(t), what the weight rows see, [`Layout::z_len`] values (longer is allowed: padding).
    pub z: &'a [T],
    /// Units whose output was replaced by a teacher's value at time t, n values.
    pub forced: &'a [bool],
}

impl<T: Real> Step<'_, T> {
    /// `J[k][l]` of the step: zero where unit l was forced. All engines round it in this way.
    pub fn coefficient(&self, k: usize, l: usize) -> T {
        if self.forced[l] { T::ZERO } else { self.jacobian.coefficient(k, l) }
    }

    /// Fails unless every slice, and the error, fit the layout.
    ///
    /// # Errors
    /// [`Error::Length`] that names the slice.
    pub fn check(&self, layout: &Layout, error: Option<&[T]>) -> Result<(), Error> {
        let states = layout.states();
        if let Some(error) = error {
            check_length("error", states, error.len())?;
        }
        self.jacobian.check(states)?;
        if self.z.len() < layout.z_len() {
            check_length("z", layout.z_len(), self.z.len())?;
        }
        check_length("injection", layout.drives().len(), self.injection.len())?;
        check_length("forced set", states, self.forced.len())
    }
}
