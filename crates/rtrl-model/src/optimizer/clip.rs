//! Limits on a gradient.

use rtrl_kernel::{Isa, Limit, MOST_ROUGH, Real, limited_squares, rough_squares};
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
        Some(most) if is_below(isa, most, gradient) => T::ONE,
        Some(most) => T::from_f64((most / (norm(isa, value, gradient)? + 1e-6)).min(1.0)),
        None => T::ONE,
    };
    let limits = value.is_some() || factor != T::ONE;
    Ok(limits.then_some(Limit { value, factor }))
}

/// Whether the joint norm is so much below `most` that a rough sum shows it. A limit on the
/// components would only lower it.
fn is_below<T: Real>(isa: Isa, most: f64, gradient: &Gradient<T>) -> bool {
    let (mut len, mut squares) = (0, 0.0);
    for layer in gradient.matrices() {
        len += layer.padded().len();
        squares += rough_squares(isa, layer.padded());
    }
    // A twentieth leaves room for what the sum has rounded off, and 10^-3 for squares that have
    // vanished and for what is added to the norm.
    len <= MOST_ROUGH && most >= 1e-3 && squares.is_finite() && squares <= 0.95 * most * most
}

/// The joint Euclidean norm of all layers, in double precision, after components have been limited.
fn norm<T: Real>(isa: Isa, value: Option<T>, gradient: &Gradient<T>) -> Result<f64, Quantity> {
    let squares = |layer: &Matrix<T>| limited_squares(isa, value, layer.padded(), layer.stride());
    let norm = gradient.matrices().map(squares).sum::<f64>().sqrt();
    if norm.is_finite() { Ok(norm) } else { Err(Quantity::GradientNorm) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Network, Readout};

    /// A gradient of two matrices, of which all numbers are `size`.
    fn gradient<T: Real>(size: f64) -> Gradient<T> {
        let network = Network::<T>::builder(5, 2).readout(Readout::new(3)).build().unwrap();
        let mut gradient = Gradient::zeros(&network).unwrap();
        for matrix in std::iter::once(&mut gradient.recurrent).chain(&mut gradient.readout) {
            for row in 0..matrix.rows() {
                matrix.row_mut(row).fill(T::from_f64(size));
            }
        }
        gradient
    }

    /// The factor is that of the exact norm, whether a rough one shows it or not.
    fn the_factor_is_that_of_the_norm<T: Real>() {
        let isa = Isa::best();
        let (mut below, mut limited) = (0, 0);
        for most in [1e-6, 1.0, 1e6] {
            let count =
                gradient::<T>(1.0).matrices().map(|m| m.rows() * m.columns()).sum::<usize>();
            let each = most / (count as f64).sqrt();
            for share in [0.0, 1e-9, 0.5, 0.9, 0.97, 0.98, 0.999, 1.0, 1.001, 1.5, 1e3] {
                for value in [None, Some(0.9 * each)] {
                    let gradient = gradient::<T>(each * share);
                    let clipping = Clipping { value, norm: Some(most) };
                    let limit = limit(isa, clipping, &gradient).unwrap();
                    let value = value.map(T::from_f64);
                    let norm = norm(isa, value, &gradient).unwrap();
                    let expected = T::from_f64((most / (norm + 1e-6)).min(1.0));
                    assert_eq!(limit.map_or(T::ONE, |limit| limit.factor), expected);
                    let is_below = is_below(isa, most, &gradient);
                    assert!(!is_below || norm <= 0.98 * most, "{share} of {most}");
                    assert!(is_below || most < 1e-3 || share > 0.97, "{share} of {most}");
                    below += usize::from(is_below);
                    limited += usize::from(expected < T::ONE);
                }
            }
        }
        assert!(below > 8 && limited > 8, "{below}, {limited}");
        for odd in [f64::NAN, f64::INFINITY, 1e170] {
            for most in [1.0, 1e200, f64::MAX] {
                assert!(!is_below(isa, most, &gradient::<T>(odd)), "{odd}, {most}");
            }
        }
    }

    #[test]
    fn factors_are_those_of_the_exact_norm() {
        the_factor_is_that_of_the_norm::<f32>();
        the_factor_is_that_of_the_norm::<f64>();
    }
}
