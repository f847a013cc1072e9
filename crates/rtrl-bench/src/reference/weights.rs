//! Numbers for each weight of all layers.

use rtrl_model::Real;

/// `[l][i][j]`: a number for weight (i, j) of layer l.
pub(super) type Weights<T> = Vec<Vec<Vec<T>>>;

/// The same numbers in the precision `T`.
pub(super) fn numbers<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| T::from_f64(value)).collect()
}
