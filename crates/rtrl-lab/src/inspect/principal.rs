//! Principal components of the states of a run.

use rtrl_model::Error as ModelError;

use super::spectrum::matrix;
use crate::Error;

/// The directions in which the states vary most.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// The variance along each component, the largest first.
    pub variances: Vec<f64>,
    /// The coordinates of each state along the first three components, relative to the mean; 0 if
    /// there are fewer. The largest coordinate in magnitude along each component is positive.
    pub coordinates: Vec<[f64; 3]>,
}

impl Principal {
    /// The fraction of the variance along each component; empty if nothing varies.
    pub fn shares(&self) -> Vec<f64> {
        let whole: f64 = self.variances.iter().sum();
        let varies = whole > 0.0;
        self.variances.iter().filter(|_| varies).map(|variance| variance / whole).collect()
    }
}

/// Principal components of at least 2 states, by the singular value decomposition of their
/// differences from the mean.
///
/// # Errors
/// [`ModelError::Setting`] for fewer states, [`ModelError::Shape`] if they are not equally long,
/// [`Error::Decomposition`] if the components cannot be found.
pub fn principal_components(states: &[Vec<f64>]) -> Result<Principal, Error> {
    let what = "the principal components";
    if states.len() < 2 {
        let (expected, got) = ("at least 2".to_owned(), states.len().to_string());
        return Err(ModelError::Setting { what: "number of states", expected, got }.into());
    }
    let mut centred = matrix(what, states, states[0].len())?;
    for column in centred.col_iter_mut() {
        let mean = column.as_ref().iter().sum::<f64>() / states.len() as f64;
        column.iter_mut().for_each(|value| *value -= mean);
    }
    let parts = centred.thin_svd().map_err(|_| Error::Decomposition { what })?;
    let (left, lengths) = (parts.U(), parts.S().column_vector());
    // The differences that rounding of the mean can cause for identical states.
    let largest = states.iter().flatten().fold(0.0f64, |most, y| most.max(y.abs()));
    let noise = 8.0 * f64::EPSILON * states.len() as f64 * largest;
    let scale = (states.len() - 1) as f64;
    let variance = |&length: &f64| if length > noise { length * length / scale } else { 0.0 };
    let variances: Vec<f64> = lengths.iter().map(variance).collect();
    if variances.iter().any(|variance| !variance.is_finite()) {
        return Err(Error::Decomposition { what });
    }
    let mut coordinates = vec![[0.0; 3]; states.len()];
    for component in 0..variances.len().min(3) {
        let along = |t: usize| left[(t, component)] * lengths[component];
        let furthest = (0..states.len())
            .map(along)
            .fold(0.0f64, |most, value| if value.abs() > most.abs() { value } else { most });
        for (t, place) in coordinates.iter_mut().enumerate() {
            place[component] = if furthest < 0.0 { -along(t) } else { along(t) };
        }
    }
    Ok(Principal { variances, coordinates })
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    /// Points on two lines that cross at right angles, at known distances.
    #[test]
    fn known_directions_and_variances_come_out() {
        let (u, v) = ([0.6, 0.8, 0.0], [-0.8, 0.6, 0.0]);
        let at = |a: f64, b: f64| (0..3).map(|k| 5.0 + a * u[k] + b * v[k]).collect::<Vec<f64>>();
        let states = [at(3.0, 0.0), at(-3.0, 0.0), at(0.0, 1.0), at(0.0, -1.0)];
        let found = principal_components(&states).unwrap();
        assert_abs_diff_eq!(found.variances[..], [6.0, 2.0 / 3.0, 0.0], epsilon = 1e-12);
        let at = &found.coordinates;
        for (got, expected) in [
            (found.shares()[0], 0.9),
            (at[0][0].abs(), 3.0),
            (at[2][0], 0.0),
            (at[0][0] + at[1][0], 0.0),
            (at[3][1].abs(), 1.0),
            (at[3][2], 0.0),
        ] {
            assert_abs_diff_eq!(got, expected, epsilon = 1e-12);
        }
    }

    #[test]
    fn one_unit_has_one_component_and_rest_has_none() {
        let found = principal_components(&[vec![1.0], vec![4.0], vec![1.0]]).unwrap();
        assert_eq!(found.variances.len(), 1);
        assert_abs_diff_eq!(found.coordinates[1][0], 2.0, epsilon = 1e-12);
        let still = principal_components(&vec![vec![0.1, 0.2]; 1000]).unwrap();
        assert!(still.shares().is_empty() && still.variances == [0.0; 2]);
    }

    #[test]
    fn too_few_or_uneven_states_are_refused() {
        assert!(principal_components(&[vec![1.0]]).is_err());
        let uneven = principal_components(&[vec![1.0], vec![]]);
        assert!(matches!(uneven, Err(Error::Model(ModelError::Shape { .. }))));
    }
}
