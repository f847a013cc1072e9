//! Comparisons of matrices and traces with a tolerance: the traits of the crate `approx`, behind
//! the feature `approx`.
//!
//! Two values are equal if they have the same shape and every pair of numbers is equal by the same
//! trait. NaN equals nothing. Infinity equals infinity in [`RelativeEq`] and [`UlpsEq`], and in
//! [`UlpsEq`] also the largest finite number: where a result may overflow, check that it is finite
//! first.

use approx::{AbsDiffEq, RelativeEq, UlpsEq};
use rtrl_kernel::Real;

use crate::Matrix;
use crate::store::case::{PerLayer, Table, Trace};

impl<T: Real + AbsDiffEq<Epsilon = T>> AbsDiffEq for Matrix<T> {
    type Epsilon = T;

    fn default_epsilon() -> T {
        T::default_epsilon()
    }

    fn abs_diff_eq(&self, other: &Self, epsilon: T) -> bool {
        has_equal_elements(self, other, |a, b| a.abs_diff_eq(b, epsilon))
    }
}

impl<T: Real + RelativeEq<Epsilon = T>> RelativeEq for Matrix<T> {
    fn default_max_relative() -> T {
        T::default_max_relative()
    }

    fn relative_eq(&self, other: &Self, epsilon: T, max_relative: T) -> bool {
        has_equal_elements(self, other, |a, b| a.relative_eq(b, epsilon, max_relative))
    }
}

impl<T: Real + UlpsEq<Epsilon = T>> UlpsEq for Matrix<T> {
    fn default_max_ulps() -> u32 {
        T::default_max_ulps()
    }

    fn ulps_eq(&self, other: &Self, epsilon: T, max_ulps: u32) -> bool {
        has_equal_elements(self, other, |a, b| a.ulps_eq(b, epsilon, max_ulps))
    }
}

impl AbsDiffEq for Trace {
    type Epsilon = f64;

    fn default_epsilon() -> f64 {
        f64::default_epsilon()
    }

    fn abs_diff_eq(&self, other: &Self, epsilon: f64) -> bool {
        has_equal_numbers(self, other, |a, b| a.abs_diff_eq(b, epsilon))
    }
}

impl RelativeEq for Trace {
    fn default_max_relative() -> f64 {
        f64::default_max_relative()
    }

    fn relative_eq(&self, other: &Self, epsilon: f64, max_relative: f64) -> bool {
        has_equal_numbers(self, other, |a, b| a.relative_eq(b, epsilon, max_relative))
    }
}

impl UlpsEq for Trace {
    fn default_max_ulps() -> u32 {
        f64::default_max_ulps()
    }

    fn ulps_eq(&self, other: &Self, epsilon: f64, max_ulps: u32) -> bool {
        has_equal_numbers(self, other, |a, b| a.ulps_eq(b, epsilon, max_ulps))
    }
}

/// Whether two matrices have the same shape and equal elements.
fn has_equal_elements<T: Real>(
    one: &Matrix<T>,
    other: &Matrix<T>,
    equal: impl Fn(&T, &T) -> bool,
) -> bool {
    let shape = |matrix: &Matrix<T>| (matrix.rows(), matrix.columns());
    let mut rows = one.iter_rows().zip(other.iter_rows());
    shape(one) == shape(other) && rows.all(|(one, other)| is_equal_list(one, other, &equal))
}

/// Whether two traces have the same shapes and equal numbers.
fn has_equal_numbers(one: &Trace, other: &Trace, equal: impl Fn(&f64, &f64) -> bool) -> bool {
    let list = |one: &Vec<f64>, other: &Vec<f64>| is_equal_list(one, other, &equal);
    let table = |one: &Table, other: &Table| is_equal_list(one, other, list);
    let layers = |one: &PerLayer<Table>, other: &PerLayer<Table>| is_equal_list(one, other, table);
    table(&one.outputs, &other.outputs)
        && list(&one.losses, &other.losses)
        && is_equal_list(&one.gradients, &other.gradients, layers)
        && layers(&one.weights, &other.weights)
        && is_equal_list(&one.sensitivities, &other.sensitivities, layers)
}

fn is_equal_list<V>(one: &[V], other: &[V], equal: impl Fn(&V, &V) -> bool) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
}

#[cfg(test)]
mod tests {
    use approx::{
        abs_diff_eq, abs_diff_ne, assert_abs_diff_eq, assert_relative_eq, assert_ulps_eq,
        relative_eq, ulps_eq,
    };

    use super::*;

    fn matrix<T: Real>(rows: usize, columns: usize, values: &[f64]) -> Matrix<T> {
        Matrix::from_table("a test's matrix", rows, columns, &values.into()).unwrap()
    }

    #[test]
    fn every_element_must_be_near() {
        let values = [1.0, -2.0, 3.0, 4.0, 0.0, 1000.0];
        let one = matrix::<f64>(2, 3, &values);
        assert_abs_diff_eq!(one, one);
        for place in 0..6 {
            let mut moved = values;
            moved[place] += 1e-6;
            let other = matrix::<f64>(2, 3, &moved);
            assert_abs_diff_eq!(one, other, epsilon = 2e-6);
            assert!(abs_diff_ne!(one, other, epsilon = 0.5e-6), "place {place}");
            let is_near = relative_eq!(one, other, epsilon = 0.0, max_relative = 2e-9);
            assert_eq!(is_near, place == 5, "place {place}");
            assert!(!ulps_eq!(one, other, epsilon = 0.0, max_ulps = 4), "place {place}");
        }
        let next = values.map(|value| f64::from_bits(value.to_bits() + 1));
        assert_ulps_eq!(one, matrix::<f64>(2, 3, &next), epsilon = 0.0, max_ulps = 1);
        let single = matrix::<f32>(2, 3, &values);
        let other = matrix::<f32>(2, 3, &values.map(|value| value * 1.000_000_1));
        assert_relative_eq!(single, other, max_relative = 2.0 * f32::EPSILON);
        assert!(!relative_eq!(single, other, epsilon = 0.0, max_relative = 0.5 * f32::EPSILON));
    }

    #[test]
    fn matrices_of_other_shapes_and_nan_are_not_equal() {
        let values = [0.0; 6];
        let one = matrix::<f64>(2, 3, &values);
        for other in [matrix(3, 2, &values), matrix(1, 6, &values), matrix(1, 3, &[0.0; 3])] {
            assert!(!abs_diff_eq!(one, other, epsilon = 1e300));
            assert!(!relative_eq!(one, other, epsilon = 1e300));
            assert!(!ulps_eq!(one, other, max_ulps = u32::MAX));
        }
        let mut nan = one.clone();
        nan.row_mut(1)[2] = f64::NAN;
        for (one, other) in [(&one, &nan), (&nan, &one), (&nan, &nan)] {
            assert!(!abs_diff_eq!(one, other, epsilon = 1e300));
            assert!(!relative_eq!(one, other, epsilon = 1e300, max_relative = 1e300));
            assert!(!ulps_eq!(one, other, max_ulps = u32::MAX));
        }
    }

    /// What the documentation says of it.
    #[test]
    fn infinity_may_pass_for_a_number() {
        let with = |value: f64| {
            let mut matrix = matrix::<f64>(1, 1, &[0.0]);
            matrix.row_mut(0)[0] = value;
            matrix
        };
        let infinite = with(f64::INFINITY);
        assert_relative_eq!(infinite, infinite);
        assert_ulps_eq!(infinite, with(f64::MAX), max_ulps = 1);
        assert!(!abs_diff_eq!(infinite, infinite, epsilon = 1e300));
    }

    fn trace() -> Trace {
        let layers = || PerLayer::One(vec![vec![0.5, -1.5]]);
        Trace {
            outputs: vec![vec![0.25], vec![0.75]],
            losses: vec![1.0, 2.0],
            gradients: vec![layers(), layers()],
            weights: layers(),
            sensitivities: vec![layers()],
        }
    }

    #[test]
    fn every_number_of_a_trace_must_be_near() {
        let numbers: [fn(&mut Trace) -> &mut f64; 5] = [
            |trace| &mut trace.outputs[1][0],
            |trace| &mut trace.losses[1],
            |trace| &mut trace.gradients[1][0][0][1],
            |trace| &mut trace.weights[0][0][1],
            |trace| &mut trace.sensitivities[0][0][0][1],
        ];
        assert_ulps_eq!(trace(), trace(), max_ulps = 0);
        for (place, number) in numbers.into_iter().enumerate() {
            let mut other = trace();
            *number(&mut other) += 1e-6;
            assert_abs_diff_eq!(trace(), other, epsilon = 2e-6);
            assert_relative_eq!(trace(), other, max_relative = 2e-6);
            assert!(abs_diff_ne!(trace(), other, epsilon = 0.5e-6), "{place}");
            *number(&mut other) = f64::NAN;
            assert!(!relative_eq!(trace(), other, max_relative = 1e300), "{place}");
            assert!(!ulps_eq!(other, other, max_ulps = u32::MAX), "{place}");
        }
    }

    #[test]
    fn traces_of_other_shapes_are_not_equal() {
        let changes: [fn(&mut Trace); 6] = [
            |trace| drop(trace.outputs.pop()),
            |trace| trace.outputs[0].push(0.0),
            |trace| trace.losses.truncate(1),
            |trace| drop(trace.gradients.pop()),
            |trace| trace.weights[0][0].push(0.0),
            |trace| trace.sensitivities.clear(),
        ];
        for (place, change) in changes.into_iter().enumerate() {
            let mut other = trace();
            change(&mut other);
            assert!(!abs_diff_eq!(trace(), other, epsilon = 1e300), "{place}");
        }
    }
}
