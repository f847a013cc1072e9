//! Eigenvalues and singular values, by faer.

use faer::Mat;
use rtrl_model::Error as ModelError;
use serde::Serialize;

use crate::Error;

/// An eigenvalue of a real matrix.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Eigenvalue {
    /// The real part.
    pub real: f64,
    /// The imaginary part.
    pub imaginary: f64,
}

impl Eigenvalue {
    /// Its distance from 0.
    pub fn modulus(self) -> f64 {
        libm::hypot(self.real, self.imaginary)
    }
}

/// The eigenvalues of a square matrix, the largest first by their modulus.
///
/// # Errors
/// [`ModelError::Shape`] if the matrix is not square, [`Error::Decomposition`] if they cannot be
/// found.
pub fn eigenvalues(rows: &[Vec<f64>]) -> Result<Vec<Eigenvalue>, Error> {
    let what = "the eigenvalues";
    let matrix = matrix(what, rows, rows.len())?;
    let found = matrix.eigenvalues().map_err(|_| Error::Decomposition { what })?;
    let eigenvalue = |value: &faer::c64| Eigenvalue { real: value.re, imaginary: value.im };
    let mut values: Vec<Eigenvalue> = found.iter().map(eigenvalue).collect();
    if values.iter().any(|value| !value.modulus().is_finite()) {
        return Err(Error::Decomposition { what });
    }
    values.sort_by(|a, b| {
        let by_modulus = b.modulus().total_cmp(&a.modulus());
        by_modulus.then(b.real.total_cmp(&a.real)).then(b.imaginary.total_cmp(&a.imaginary))
    });
    Ok(values)
}

/// The largest modulus of the eigenvalues of a square matrix.
///
/// # Errors
/// As [`eigenvalues`].
pub fn spectral_radius(rows: &[Vec<f64>]) -> Result<f64, Error> {
    Ok(eigenvalues(rows)?.first().map_or(0.0, |largest| largest.modulus()))
}

/// The singular values of a matrix, the largest first.
///
/// # Errors
/// [`ModelError::Shape`] if the rows are not equally long, [`Error::Decomposition`] if they cannot
/// be found.
pub fn singular_values(rows: &[Vec<f64>]) -> Result<Vec<f64>, Error> {
    let what = "the singular values";
    let matrix = matrix(what, rows, rows.first().map_or(0, Vec::len))?;
    match matrix.singular_values() {
        Ok(values) if values.iter().all(|value| value.is_finite()) => Ok(values),
        _ => Err(Error::Decomposition { what }),
    }
}

/// The matrix for faer, whose columns are checked.
pub(super) fn matrix(
    what: &'static str,
    rows: &[Vec<f64>],
    columns: usize,
) -> Result<Mat<f64>, Error> {
    if let Some(odd) = rows.iter().map(Vec::len).find(|&length| length != columns) {
        let (expected, got) = ((rows.len(), columns), (rows.len(), odd));
        return Err(ModelError::Shape { what, expected, got }.into());
    }
    if rows.iter().flatten().any(|value| !value.is_finite()) {
        return Err(Error::Decomposition { what });
    }
    Ok(Mat::from_fn(rows.len(), columns, |i, j| rows[i][j]))
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    /// Compares real and imaginary parts with those of known eigenvalues.
    fn compare(found: &[Eigenvalue], expected: &[(f64, f64)]) {
        let parts: Vec<f64> = found.iter().flat_map(|e| [e.real, e.imaginary]).collect();
        let expected: Vec<f64> = expected.iter().flat_map(|&(re, im)| [re, im]).collect();
        assert_abs_diff_eq!(parts[..], expected[..], epsilon = 1e-12);
    }

    #[test]
    fn a_rotation_has_a_pair_and_a_line_of_its_own() {
        let (c, s) = (0.8, 0.6);
        let rows = [vec![c, -s, 0.0], vec![s, c, 0.0], vec![5.0, 0.0, -2.0]];
        let values = eigenvalues(&rows).unwrap();
        compare(&values, &[(-2.0, 0.0), (c, s), (c, -s)]);
        assert_abs_diff_eq!(spectral_radius(&rows).unwrap(), 2.0, epsilon = 1e-12);
    }

    #[test]
    fn one_number_is_its_own_eigenvalue() {
        compare(&eigenvalues(&[vec![-3.0]]).unwrap(), &[(-3.0, 0.0)]);
        assert!(eigenvalues(&[]).unwrap().is_empty());
    }

    #[test]
    fn singular_values_are_lengths() {
        let values = singular_values(&[vec![0.0, 3.0, 0.0], vec![-4.0, 0.0, 0.0]]).unwrap();
        assert_abs_diff_eq!(values[..], [4.0, 3.0], epsilon = 1e-12);
        assert!(singular_values(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_has_no_decomposition_is_refused() {
        for uneven in
            [eigenvalues(&[vec![1.0, 2.0]]).err(), singular_values(&[vec![1.0], vec![]]).err()]
        {
            assert!(matches!(uneven, Some(Error::Model(ModelError::Shape { .. }))), "{uneven:?}");
        }
        let infinite = [vec![f64::INFINITY]];
        assert!(matches!(eigenvalues(&infinite), Err(Error::Decomposition { .. })));
        assert!(matches!(singular_values(&infinite), Err(Error::Decomposition { .. })));
    }
}
