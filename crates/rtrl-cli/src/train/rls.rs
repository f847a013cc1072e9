//! Recursive least squares: the best linear predictor so far, after every sample.

/// A linear model `w · x`, fitted to all samples seen with a ridge penalty, in double precision.
///
/// Each update costs a few k² operations for k features. Source: Haykin, *Adaptive Filter Theory*,
/// chapter on the RLS algorithm, with forgetting factor 1.
#[derive(Debug, Clone)]
pub(crate) struct RecursiveLeastSquares {
    weights: Vec<f64>,
    /// The inverse of (sum of x xᵀ + ridge · I), row-major.
    inverse: Vec<f64>,
    gain: Vec<f64>,
}

impl RecursiveLeastSquares {
    /// A model of `features` features that starts at 0, with penalty `ridge · |w|²`, ridge > 0.
    pub(crate) fn new(features: usize, ridge: f64) -> Self {
        let mut inverse = vec![0.0; features * features];
        inverse.iter_mut().step_by(features + 1).for_each(|diagonal| *diagonal = 1.0 / ridge);
        Self { weights: vec![0.0; features], inverse, gain: vec![0.0; features] }
    }

    /// The prediction for `x`, one value a feature.
    pub(crate) fn predict(&self, x: &[f64]) -> f64 {
        dot(&self.weights, x)
    }

    /// Takes in that `x` went with `value`.
    pub(crate) fn update(&mut self, x: &[f64], value: f64) {
        for (gain, row) in self.gain.iter_mut().zip(self.inverse.chunks_exact(x.len())) {
            *gain = dot(row, x);
        }
        let scale = 1.0 / (1.0 + dot(&self.gain, x));
        let error = value - self.predict(x);
        for (weight, gain) in self.weights.iter_mut().zip(&self.gain) {
            *weight += gain * scale * error;
        }
        let rows = self.inverse.chunks_exact_mut(x.len());
        for (row, &left) in rows.zip(&self.gain) {
            for (place, &right) in row.iter_mut().zip(&self.gain) {
                *place -= scale * (left * right);
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtrl_model::Generator;

    #[test]
    fn finds_the_weights_of_a_linear_rule() {
        let mut generator = Generator::new(1);
        let mut model = RecursiveLeastSquares::new(3, 1e-9);
        for _ in 0..50 {
            let x = [1.0, generator.normal(), generator.normal()];
            model.update(&x, 0.5 - 2.0 * x[1] + 3.0 * x[2]);
        }
        assert!((model.predict(&[1.0, 1.0, 1.0]) - 1.5).abs() < 1e-8);
    }

    /// With one feature the ridge solution is known: sum of x d over (sum of x² + ridge).
    #[test]
    fn the_penalty_is_the_ridge() {
        let mut model = RecursiveLeastSquares::new(1, 2.0);
        model.update(&[1.0], 3.0);
        model.update(&[2.0], 1.0);
        assert!((model.predict(&[1.0]) - 5.0 / 7.0).abs() < 1e-14);
    }
}
