//! Fixed points: states that do not change under a constant input.

use faer::linalg::solvers::Solve;
use rtrl_model::Generator;

use super::spectrum::matrix;
use super::{Dynamics, Eigenvalue, eigenvalues};
use crate::Error;

/// The largest number of Newton steps per start.
const ITERATIONS: usize = 100;

/// The largest number of halvings of a Newton step that does not reduce the difference.
const HALVINGS: usize = 30;

/// The largest difference between F(y) and y, relative to 1 + the largest |y|.
const TOLERANCE: f64 = 1e-12;

/// States closer than this, relative to 1 + the largest |y|, are the same.
const SAME: f64 = 1e-6;

/// A state with `F(y, x) = y`.
#[derive(Debug, Clone, PartialEq)]
pub struct FixedPoint {
    /// y, n values.
    pub state: Vec<f64>,
    /// The eigenvalues of the Jacobian there, the largest first by their modulus.
    pub eigenvalues: Vec<Eigenvalue>,
    /// How many starts ended here.
    pub starts: usize,
}

impl FixedPoint {
    /// The largest modulus of the eigenvalues.
    pub fn spectral_radius(&self) -> f64 {
        self.eigenvalues.first().map_or(0.0, |largest| largest.modulus())
    }

    /// Whether the network returns after a small disturbance: all eigenvalues are inside the unit
    /// circle.
    pub fn is_stable(&self) -> bool {
        self.spectral_radius() < 1.0
    }
}

/// Searches for stable and unstable fixed points under a constant input, from `starts` random
/// states.
///
/// It uses Newton's method on `F(y, x) - y`; each step is halved until it reduces the difference.
/// Starts that do not converge are ignored, so an empty result does not prove that there are none.
/// The points are sorted by their states.
///
/// # Errors
/// [`InputLength`](rtrl_model::Error::InputLength) or [`NonFinite`](rtrl_model::Error::NonFinite)
/// for the input; [`Error::Decomposition`].
pub fn fixed_points(
    dynamics: &mut Dynamics,
    input: &[f64],
    starts: usize,
    seed: u64,
) -> Result<Vec<FixedPoint>, Error> {
    dynamics.check_input(input)?;
    let mut generator = Generator::new(seed);
    let mut points: Vec<FixedPoint> = Vec::new();
    for _ in 0..starts {
        let start = dynamics.draw_state(&mut generator);
        let Some(state) = newton(dynamics, input, start) else { continue };
        if let Some(point) = points.iter_mut().find(|point| is_same(&point.state, &state)) {
            point.starts += 1;
            continue;
        }
        let eigenvalues = eigenvalues(&dynamics.jacobian(&state, input)?)?;
        points.push(FixedPoint { state, eigenvalues, starts: 1 });
    }
    let by_state = |a: &FixedPoint, b: &FixedPoint| {
        let mut orders = a.state.iter().zip(&b.state).map(|(a, b)| a.total_cmp(b));
        orders.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    points.sort_by(by_state);
    Ok(points)
}

/// Whether two states are one.
pub(super) fn is_same(a: &[f64], b: &[f64]) -> bool {
    let distance = a.iter().zip(b).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
    distance < SAME * (1.0 + largest(a))
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// The fixed point that a start leads to, if any.
fn newton(dynamics: &mut Dynamics, input: &[f64], start: Vec<f64>) -> Option<Vec<f64>> {
    let mut state = start;
    let mut difference = difference(dynamics, &state, input)?;
    for _ in 0..ITERATIONS {
        if largest(&difference) <= TOLERANCE * (1.0 + largest(&state)) {
            return Some(state);
        }
        let step = newton_step(dynamics, &state, input, &difference)?;
        (state, difference) = shortened(dynamics, &state, input, &difference, &step)?;
    }
    None
}

/// F(y, x) - y
fn difference(dynamics: &mut Dynamics, state: &[f64], input: &[f64]) -> Option<Vec<f64>> {
    let mut next = state.to_vec();
    dynamics.advance(&mut next, input).ok()?;
    next.iter_mut().zip(state).for_each(|(next, y)| *next -= y);
    Some(next)
}

/// d with `(I - J) d = F(y, x) - y`.
fn newton_step(
    dynamics: &mut Dynamics,
    state: &[f64],
    input: &[f64],
    difference: &[f64],
) -> Option<Vec<f64>> {
    let mut rows = dynamics.jacobian(state, input).ok()?;
    for (k, row) in rows.iter_mut().enumerate() {
        for value in row.iter_mut() {
            *value = -*value;
        }
        row[k] += 1.0;
    }
    let system = matrix("the Newton step", &rows, rows.len()).ok()?;
    let right = faer::Mat::from_fn(rows.len(), 1, |k, _| difference[k]);
    let solution = system.partial_piv_lu().solve(&right);
    let step: Vec<f64> = (0..rows.len()).map(|k| solution[(k, 0)]).collect();
    step.iter().all(|d| d.is_finite()).then_some(step)
}

/// The state and its difference after the step, or the first of its halves that brings the norm
/// down.
fn shortened(
    dynamics: &mut Dynamics,
    state: &[f64],
    input: &[f64],
    before: &[f64],
    step: &[f64],
) -> Option<(Vec<f64>, Vec<f64>)> {
    let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
    let mut share = 1.0;
    for _ in 0..HALVINGS {
        let tried: Vec<f64> = state.iter().zip(step).map(|(y, d)| y + share * d).collect();
        match difference(dynamics, &tried, input) {
            Some(after) if norm(&after) < norm(before) => return Some((tried, after)),
            _ => share *= 0.5,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rtrl_model::{Activation, InitialWeights, Network};

    use super::super::dynamics::autonomous;
    use approx::assert_abs_diff_eq;

    use super::*;

    /// y = logistic(w y + b): for w = 8, b = -4 three points symmetric to 1/2, by bisection.
    #[test]
    fn one_logistic_unit_has_one_or_three() {
        let unit = |w: f64, b: f64| {
            let weights = InitialWeights::given(vec![vec![b, w]]);
            let builder = Network::builder(1, 0).activation(Activation::Logistic);
            Dynamics::of(&builder.weights(weights).build().unwrap())
        };
        let points = fixed_points(&mut unit(8.0, -4.0), &[], 40, 1).unwrap();
        let f = |y: f64| 1.0 / (1.0 + (-8.0 * y + 4.0f64).exp());
        let (mut low, mut high) = (0.0, 0.4);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if f(middle) > middle { low = middle } else { high = middle }
        }
        let states: Vec<f64> = points.iter().map(|point| point.state[0]).collect();
        assert_eq!(states.len(), 3);
        for (state, expected) in states.iter().zip([low, 0.5, 1.0 - low]) {
            assert_abs_diff_eq!(*state, expected, epsilon = 1e-9);
        }
        assert_eq!(
            points.iter().map(FixedPoint::is_stable).collect::<Vec<_>>(),
            [true, false, true]
        );
        // f' = 8 y (1 - y) = 2 in the middle.
        assert_abs_diff_eq!(points[1].spectral_radius(), 2.0, epsilon = 1e-9);
        let points = fixed_points(&mut unit(2.0, -1.0), &[], 40, 1).unwrap();
        assert_eq!(points.len(), 1);
        assert!(points[0].is_stable() && points[0].starts == 40);
    }

    #[test]
    fn a_held_input_moves_the_point() {
        let weights = InitialWeights::given(vec![vec![1.0, 0.5]]);
        let builder = Network::builder(1, 1).bias(false).activation(Activation::Identity);
        let mut linear = Dynamics::of(&builder.leak(0.25).weights(weights).build().unwrap());
        let points = fixed_points(&mut linear, &[3.0], 5, 1).unwrap();
        assert_eq!(points.len(), 1);
        // y = 3 + y / 2, whatever the leak, which makes the eigenvalue 0.75 + 0.25 / 2.
        assert_abs_diff_eq!(points[0].state[0], 6.0, epsilon = 1e-9);
        assert_abs_diff_eq!(points[0].spectral_radius(), 0.875, epsilon = 1e-12);
        let error = fixed_points(&mut linear, &[], 5, 1).unwrap_err();
        assert!(matches!(error, Error::Model(rtrl_model::Error::InputLength { .. })), "{error}");
        assert!(fixed_points(&mut linear, &[f64::NAN], 5, 1).is_err());
    }

    #[test]
    fn a_map_without_a_fixed_point_has_none() {
        let weights = InitialWeights::given(vec![vec![1.0, 1.0]]);
        let builder = Network::builder(1, 0).activation(Activation::Identity);
        let mut shift = Dynamics::of(&builder.weights(weights).build().unwrap());
        assert!(fixed_points(&mut shift, &[], 10, 1).unwrap().is_empty());
    }

    /// The unstable point that no run ever finds.
    #[test]
    fn an_oscillator_has_an_unstable_point_inside() {
        let mut flip = autonomous(Activation::Tanh, &[&[0.0, -3.0], &[3.0, 0.0]]);
        let points = fixed_points(&mut flip, &[], 30, 2).unwrap();
        let zero = points.iter().find(|point| largest(&point.state) < 1e-9).unwrap();
        assert_abs_diff_eq!(zero.spectral_radius(), 3.0, epsilon = 1e-9);
        assert!(!zero.is_stable());
    }
}
