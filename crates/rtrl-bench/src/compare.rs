//! Comparisons that cannot pass by accident.
//!
//! A tolerance check written as `difference > tolerance` passes when the difference is NaN. Here
//! everything that is not finite fails first, and a difference must be shown to be small.

use rtrl_model::store::case::{PerLayer, Table, Trace};

/// The first place where two sets of numbers differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where, as in `gradients[3][0][2]`.
    pub place: String,
    /// The value that was given.
    pub got: f64,
    /// The expected value.
    pub expected: f64,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: got {}, expected {}", self.place, self.got, self.expected)
    }
}

/// How close two numbers must be.
#[derive(Debug, Clone, Copy)]
pub enum Tolerance {
    /// The same bits, those of a zero's sign included.
    Bits,
    /// Equal by `==`: the same bits except for the sign of zero.
    Exact,
    /// Within this factor of the larger of 1 and the expected absolute value.
    Relative(f64),
}

impl Tolerance {
    fn holds(self, got: f64, expected: f64) -> bool {
        if !got.is_finite() || !expected.is_finite() {
            return false;
        }
        match self {
            Self::Bits => got.to_bits() == expected.to_bits(),
            Self::Exact => got == expected,
            Self::Relative(factor) => (got - expected).abs() <= factor * expected.abs().max(1.0),
        }
    }
}

/// Compares two numbers.
///
/// # Errors
/// The difference, if they differ by more than the tolerance or either is not finite.
pub fn number(
    place: impl FnOnce() -> String,
    got: f64,
    expected: f64,
    tolerance: Tolerance,
) -> Result<(), Difference> {
    if tolerance.holds(got, expected) {
        return Ok(());
    }
    Err(Difference { place: place(), got, expected })
}

/// Compares two lists of numbers.
///
/// # Errors
/// The first difference; lists of different lengths differ in `len`.
pub fn list(
    name: &str,
    got: &[f64],
    expected: &[f64],
    tolerance: Tolerance,
) -> Result<(), Difference> {
    length(name, got.len(), expected.len())?;
    let mut pairs = got.iter().zip(expected).enumerate();
    pairs.try_for_each(|(i, (&got, &expected))| {
        number(|| format!("{name}[{i}]"), got, expected, tolerance)
    })
}

/// Compares two tables.
///
/// # Errors
/// As [`list`].
pub fn table(
    name: &str,
    got: &[Vec<f64>],
    expected: &[Vec<f64>],
    tolerance: Tolerance,
) -> Result<(), Difference> {
    length(name, got.len(), expected.len())?;
    let mut rows = got.iter().zip(expected).enumerate();
    rows.try_for_each(|(i, (got, expected))| {
        list(&format!("{name}[{i}]"), got, expected, tolerance)
    })
}

/// Compares two stacks of tables.
///
/// # Errors
/// As [`list`].
pub fn stack(
    name: &str,
    got: &[Vec<Vec<f64>>],
    expected: &[Vec<Vec<f64>>],
    tolerance: Tolerance,
) -> Result<(), Difference> {
    length(name, got.len(), expected.len())?;
    let mut tables = got.iter().zip(expected).enumerate();
    tables.try_for_each(|(i, (got, expected))| {
        table(&format!("{name}[{i}]"), got, expected, tolerance)
    })
}

/// Compares two traces.
///
/// # Errors
/// The first difference.
pub fn trace(got: &Trace, expected: &Trace, tolerance: Tolerance) -> Result<(), Difference> {
    table("outputs", &got.outputs, &expected.outputs, tolerance)?;
    list("losses", &got.losses, &expected.losses, tolerance)?;
    layers("gradients", &got.gradients, &expected.gradients, tolerance)?;
    stack("weights", &got.weights, &expected.weights, tolerance)?;
    layers("sensitivities", &got.sensitivities, &expected.sensitivities, tolerance)
}

/// Compares lists of tables, one table for each layer.
fn layers(
    name: &str,
    got: &[PerLayer<Table>],
    expected: &[PerLayer<Table>],
    tolerance: Tolerance,
) -> Result<(), Difference> {
    length(name, got.len(), expected.len())?;
    let mut stacks = got.iter().zip(expected).enumerate();
    stacks.try_for_each(|(i, (got, expected))| {
        stack(&format!("{name}[{i}]"), got, expected, tolerance)
    })
}

fn length(name: &str, got: usize, expected: usize) -> Result<(), Difference> {
    let place = || format!("{name}.len");
    number(place, got as f64, expected as f64, Tolerance::Exact)
}

/// The largest absolute difference of two lists divided by the largest absolute value of the
/// second.
///
/// Infinite if anything is not finite, the lengths differ, or the second is all zero and the first
/// is not.
pub fn relative_to_largest(got: &[f64], expected: &[f64]) -> f64 {
    let mut all = got.iter().chain(expected);
    if got.len() != expected.len() || !all.all(|value| value.is_finite()) {
        return f64::INFINITY;
    }
    let largest = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let differences = got.iter().zip(expected).map(|(got, expected)| (got - expected).abs());
    let difference = differences.fold(0.0, f64::max);
    if difference == 0.0 { 0.0 } else { difference / largest }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOSE: Tolerance = Tolerance::Relative(1e300);

    #[test]
    fn what_is_not_finite_never_passes() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for tolerance in [Tolerance::Bits, Tolerance::Exact, LOOSE] {
                assert!(list("bad", &[bad], &[1.0], tolerance).is_err());
                assert!(list("bad", &[1.0], &[bad], tolerance).is_err());
                assert!(list("bad", &[bad], &[bad], tolerance).is_err());
            }
            assert_eq!(relative_to_largest(&[bad], &[1.0]), f64::INFINITY);
            assert_eq!(relative_to_largest(&[1.0], &[bad]), f64::INFINITY);
        }
    }

    #[test]
    fn lists_of_different_lengths_differ() {
        let difference = list("x", &[1.0, 2.0], &[1.0], LOOSE).unwrap_err();
        assert_eq!(difference.place, "x.len");
        assert_eq!(relative_to_largest(&[1.0, 2.0], &[1.0]), f64::INFINITY);
    }

    #[test]
    fn the_tolerance_is_relative_above_one_and_absolute_below() {
        let tolerance = Tolerance::Relative(1e-3);
        assert!(list("x", &[0.0009, 1000.9], &[0.0, 1000.0], tolerance).is_ok());
        assert!(list("x", &[0.0011], &[0.0], tolerance).is_err());
        assert!(list("x", &[1001.1], &[1000.0], tolerance).is_err());
    }

    #[test]
    fn exact_means_exact() {
        assert!(list("x", &[0.0, 1.0], &[-0.0, 1.0], Tolerance::Exact).is_ok());
        assert!(list("x", &[0.0, 1.0], &[-0.0, 1.0], Tolerance::Bits).is_err());
        assert!(list("x", &[-0.0, 1.0], &[-0.0, 1.0], Tolerance::Bits).is_ok());
        assert!(list("x", &[1.0 + f64::EPSILON], &[1.0], Tolerance::Exact).is_err());
    }

    #[test]
    fn the_place_of_a_difference_is_named() {
        let difference = stack("p", &[vec![vec![1.0, 2.0]]], &[vec![vec![1.0, 3.0]]], LOOSE);
        assert!(difference.is_ok());
        let difference =
            stack("p", &[vec![vec![1.0, 2.0]]], &[vec![vec![1.0, 3.0]]], Tolerance::Exact);
        assert_eq!(difference.unwrap_err().to_string(), "p[0][0][1]: got 2, expected 3");
    }
}
