//! Limits on a gradient.

use rtrl_kernel::{Isa, Limit, Real, limited_squares};
use serde::{Deserialize, Serialize};

use crate::error::{Quantity, check_setting};
use crate::gradient::Gradient;
use crate::{Error, Matrix};

/// Limits on a gradient; by default there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clipping {
    /// Largest absolute value of a component.
    pub value: Option<f64>,
    /// Largest joint Euclidean norm of the gradients of units and readout.
    pub norm: Option<f64>,
}

impl Clipping {
    /// Fails unless every limit is in its range.
    pub(super) fn check(self) -> Result<(), Error> {
        for (what, limit) in [("clip value", self.value), ("clip norm", self.norm)] {
            check_setting(what, limit.unwrap_or(0.0), 0.0)?;
        }
        Ok(())
    }
}

/// How `clipping` limits this gradient; `None` where it does not.
///
/// # Errors
/// What is not finite.
pub(super) fn limit<T: Real>(
    isa: Isa,
    clipping: Clipping,
    gradient: &Gradient<T>,
) -> Result<Option<Limit<T>>, Quantity> {
    let value = clipping.value.map(T::from_f64);
    // A limit would make a finite number of an infinite one.
    let finite = |layer: &Matrix<T>| layer.padded().iter().fold(true, |a, g| a & g.is_finite());
    if value.is_some() && !gradient.matrices().all(finite) {
        return Err(Quantity::Gradient);
    }
    let factor = match clipping.norm {
        Some(most) => T::from_f64((most / (norm(isa, value, gradient)? + 1e-6)).min(1.0)),
        None => T::ONE,
    };
    let limits = value.is_some() || factor != T::ONE;
    Ok(limits.then_some(Limit { value, factor }))
}

/// The joint Euclidean norm of all layers, in double precision, after components have been limited.
fn norm<T: Real>(isa: Isa, value: Option<T>, gradient: &Gradient<T>) -> Result<f64, Quantity> {
    let squares = |layer: &Matrix<T>| limited_squares(isa, value, layer.padded(), layer.stride());
    let norm = gradient.matrices().map(squares).sum::<f64>().sqrt();
    if norm.is_finite() { Ok(norm) } else { Err(Quantity::GradientNorm) }
}
