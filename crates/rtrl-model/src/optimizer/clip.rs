//! Limits on a gradient.

use rtrl_kernel::Real;
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

/// How the components of one gradient are limited.
pub(super) struct Clip<T> {
    value: Option<T>,
    factor: T,
}

impl<T: Real> Clip<T> {
    /// How `clipping` limits this gradient; `None` where it does not.
    ///
    /// # Errors
    /// What is not finite.
    pub(super) fn new(
        clipping: Clipping,
        gradient: &Gradient<T>,
    ) -> Result<Option<Self>, Quantity> {
        let value = clipping.value.map(T::from_f64);
        // A limit would make a finite number of an infinite one.
        let finite = |layer: &Matrix<T>| layer.padded().iter().fold(true, |a, g| a & g.is_finite());
        if value.is_some() && !gradient.matrices().all(finite) {
            return Err(Quantity::Gradient);
        }
        let mut clip = Self { value, factor: T::ONE };
        if let Some(limit) = clipping.norm {
            let squares = gradient.matrices().map(|layer| clip.sum_of_squares(layer.padded()));
            let norm = squares.sum::<f64>().sqrt();
            if !norm.is_finite() {
                return Err(Quantity::GradientNorm);
            }
            clip.factor = T::from_f64((limit / (norm + 1e-6)).min(1.0));
        }
        let limits = clip.value.is_some() || clip.factor != T::ONE;
        Ok(limits.then_some(clip))
    }

    /// One component, limited.
    pub(super) fn limit(&self, gradient: T) -> T {
        let within = match self.value {
            Some(limit) if gradient > limit => limit,
            Some(limit) if gradient < -limit => -limit,
            _ => gradient,
        };
        within * self.factor
    }

    /// The sum of squares in double precision, in eight lanes that are then added pairwise.
    fn sum_of_squares(&self, gradient: &[T]) -> f64 {
        let mut lanes = [0.0; 8];
        for values in gradient.as_chunks::<8>().0 {
            for (lane, &value) in lanes.iter_mut().zip(values) {
                let value = self.limit(value).to_f64();
                *lane += value * value;
            }
        }
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}
