//! Recursive least squares: the best linear predictor of all samples so far.

use rtrl_kernel::{Isa, subtract_square, sum_rows};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::Quantity;

/// How recursive least squares weights past samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct LeastSquares {
    /// λ: a sample that is i samples old counts λ^i.
    pub(crate) forgetting: f64,
    /// The penalty of the squared distance from the initial weights.
    pub(crate) ridge: f64,
}

impl LeastSquares {
    /// Fails unless λ is above 0 and at most 1, and the ridge and its inverse are finite and
    /// positive.
    pub(crate) fn check(self, features: usize) -> Result<(), Error> {
        let Self { forgetting, ridge } = self;
        if !(forgetting > 0.0 && forgetting <= 1.0 && (1.0 / forgetting).is_finite()) {
            let (what, expected) = ("forgetting factor", "above 0 and at most 1".to_owned());
            return Err(Error::Setting { what, expected, got: forgetting.to_string() });
        }
        if ridge > 0.0 && ridge.is_finite() && (features as f64 / ridge).is_finite() {
            return Ok(());
        }
        let expected = "a finite number above 0 whose inverse is finite".to_owned();
        Err(Error::Setting { what: "ridge", expected, got: ridge.to_string() })
    }
}

/// A linear model `w · x`, fitted to all samples seen, in double precision.
///
/// After samples `(x_1, d_1) ... (x_t, d_t)` the weights w minimise `sum over i of λ^(t-i) (d_i - w
/// · x_i)² + λ^t ridge |w - w_0|²`, where `w_0` are the initial weights. An update takes a few k²
/// operations for k features and allocates nothing. Every sum runs in index order, so the bits are
/// the same on every machine.
///
/// Let P be the inverse of `sum over i of λ^(t-i) x_i x_iᵀ + λ^t ridge I`. An update computes
///
/// ```text
/// g = P x,   s = 1 / (λ + x · g),   w ← w + s g (d - w · x),   P ← (P - s g gᵀ) / λ
/// ```
///
/// The elements (i, j) and (j, i) of P come from the same operations, so P stays exactly symmetric,
/// on which the stability of the recursion rests (Verhaegen, Automatica 25(3), 1989). Source:
/// Haykin, *Adaptive Filter Theory*, chapter on the RLS algorithm.
///
/// **Wind-up.** In directions that no sample excites, P would grow by the factor 1/λ at each update
/// without bound, and the first sample in such a direction would change the weights violently
/// (Åström & Wittenmark, *Adaptive Control*, 1995, "estimator windup"). So an update forgets only
/// while the trace of P is at most its initial value, `k / ridge`. Otherwise it uses λ = 1, with
/// which P does not grow. The trace never exceeds `k / (λ ridge)`. As a consequence, old samples
/// may count more than the formula says until new ones have reduced P.
#[derive(Debug, Clone)]
pub struct RecursiveLeastSquares {
    isa: Isa,
    settings: LeastSquares,
    pub(crate) weights: Vec<f64>,
    /// P, row-major.
    pub(crate) inverse: Vec<f64>,
    gain: Vec<f64>,
    /// The results of an update, until all of them are known to be finite.
    next_weights: Vec<f64>,
    next_inverse: Vec<f64>,
    /// The trace of P at the start, summed as that of every update.
    start_trace: f64,
}

impl RecursiveLeastSquares {
    /// What [`Error::Memory`] names if P does not fit in memory. A readout that learns by its
    /// gradient needs no P.
    pub const MEMORY: &'static str = "recursive least squares";

    /// A model that starts from `weights`, one for each feature, with the forgetting factor λ,
    /// above 0 and at most 1, and the penalty `ridge`, above 0.
    ///
    /// # Errors
    /// [`Error::Setting`] for a constant out of its range, no features or a weight that is not
    /// finite; [`Error::Memory`] if the k x k numbers of P do not fit in memory; that of
    /// [`Isa::from_env`].
    pub fn new(weights: Vec<f64>, forgetting: f64, ridge: f64) -> Result<Self, Error> {
        Self::with_isa(weights, forgetting, ridge, Isa::from_env()?)
    }

    /// [`RecursiveLeastSquares::new`] on this instruction set.
    pub(crate) fn with_isa(
        weights: Vec<f64>,
        forgetting: f64,
        ridge: f64,
        isa: Isa,
    ) -> Result<Self, Error> {
        let features = weights.len();
        let settings = LeastSquares { forgetting, ridge };
        settings.check(features)?;
        if features == 0 {
            let (expected, got) = ("at least 1".to_owned(), "0".to_owned());
            return Err(Error::Setting { what: "number of features", expected, got });
        }
        check_finite("weight", &weights)?;
        let [mut inverse, next_inverse] = squares(features)?;
        inverse.iter_mut().step_by(features + 1).for_each(|diagonal| *diagonal = 1.0 / ridge);
        Ok(Self {
            isa,
            settings,
            gain: vec![0.0; features],
            next_weights: weights.clone(),
            next_inverse,
            start_trace: trace(&inverse, features),
            weights,
            inverse,
        })
    }

    /// The prediction `w · x` for the features `x`.
    ///
    /// # Errors
    /// [`Error::Setting`] if `x` has another length than the weights.
    pub fn predict(&self, x: &[f64]) -> Result<f64, Error> {
        self.check_features(x)?;
        Ok(dot(&self.weights, x))
    }

    /// Fits the model to a sample: features `x` with `value`.
    ///
    /// # Errors
    /// [`Error::Setting`] if `x` has another length than the weights; [`Error::Fit`] if the gain,
    /// the weights or P would not be finite, or `λ + x · P x` is not above 0. Nothing has changed
    /// then.
    pub fn update(&mut self, x: &[f64], value: f64) -> Result<(), Error> {
        self.check_features(x)?;
        self.prepare(x, value).map_err(|quantity| Error::Fit { quantity })?;
        self.commit();
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// w, one value per feature.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// P, features x features, row by row; symmetric.
    pub fn inverse(&self) -> &[f64] {
        &self.inverse
    }

    /// Continues from the weights and the P of an earlier model with the same settings.
    ///
    /// # Errors
    /// [`Error::Setting`] unless both have the lengths of this model's and are finite, and P is
    /// exactly symmetric. Nothing has changed then.
    pub fn restore(&mut self, weights: &[f64], inverse: &[f64]) -> Result<(), Error> {
        self.check_features(weights)?;
        let (expected, got) = (self.inverse.len(), inverse.len());
        if expected != got {
            let (expected, got) = (expected.to_string(), got.to_string());
            return Err(Error::Setting { what: "size of the inverse", expected, got });
        }
        check_finite("weight", weights)?;
        check_finite("element of the inverse", inverse)?;
        check_symmetric(inverse, weights.len())?;
        self.weights.copy_from_slice(weights);
        self.inverse.copy_from_slice(inverse);
        Ok(())
    }

    /// Fails unless P is exactly symmetric.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_symmetric(&self.inverse, self.weights.len())
    }

    /// Computes an update without applying it; `x` has the length of the weights.
    ///
    /// # Errors
    /// What is not finite.
    pub(crate) fn prepare(&mut self, x: &[f64], value: f64) -> Result<(), Quantity> {
        // P is symmetric: its columns are its rows, and adding up rows keeps the order of each sum.
        let fits = sum_rows(self.isa, &self.inverse, x, &mut self.gain);
        if fits.is_err() {
            return Err(Quantity::Gain);
        }
        let forgetting = self.forgetting_now();
        let denominator = forgetting + dot(&self.gain, x);
        let scale = 1.0 / denominator;
        if !(denominator > 0.0 && denominator.is_finite() && scale.is_finite()) {
            return Err(Quantity::Gain);
        }
        let error = value - dot(&self.weights, x);
        let mut finite = true;
        for (next, (weight, gain)) in
            self.next_weights.iter_mut().zip(self.weights.iter().zip(&self.gain))
        {
            *next = weight + gain * scale * error;
            finite &= next.is_finite();
        }
        if !finite {
            return Err(Quantity::Weights);
        }
        let factors = (scale, 1.0 / forgetting);
        let next = &mut self.next_inverse;
        match subtract_square(self.isa, &self.inverse, &self.gain, factors, next) {
            Ok(true) => Ok(()),
            _ => Err(Quantity::Inverse),
        }
    }

    /// The weights that [`RecursiveLeastSquares::commit`] would make current.
    pub(crate) fn prepared_weights(&self) -> &[f64] {
        &self.next_weights
    }

    /// Applies the prepared update.
    pub(crate) fn commit(&mut self) {
        std::mem::swap(&mut self.weights, &mut self.next_weights);
        std::mem::swap(&mut self.inverse, &mut self.next_inverse);
    }

    /// λ, or 1 while P is larger than it was at the start.
    fn forgetting_now(&self) -> f64 {
        let wound_up = trace(&self.inverse, self.weights.len()) > self.start_trace;
        if wound_up { 1.0 } else { self.settings.forgetting }
    }

    fn check_features(&self, x: &[f64]) -> Result<(), Error> {
        if x.len() == self.weights.len() {
            return Ok(());
        }
        let (expected, got) = (self.weights.len().to_string(), x.len().to_string());
        Err(Error::Setting { what: "number of features", expected, got })
    }
}

/// The sum of the diagonal of a k x k matrix.
fn trace(matrix: &[f64], k: usize) -> f64 {
    matrix.iter().step_by(k + 1).fold(0.0, |sum, diagonal| sum + diagonal)
}

/// Two matrices of k x k zeros. Both are reserved before one is written.
fn squares(k: usize) -> Result<[Vec<f64>; 2], Error> {
    let bytes = (k as u128 * k as u128).saturating_mul(16);
    let refused = || Error::Memory { what: RecursiveLeastSquares::MEMORY, bytes };
    let len = k.checked_mul(k).ok_or_else(refused)?;
    let mut both = [const { Vec::new() }; 2];
    for values in &mut both {
        values.try_reserve_exact(len).map_err(|_| refused())?;
    }
    for values in &mut both {
        values.resize(len, 0.0);
    }
    Ok(both)
}

fn check_finite(what: &'static str, values: &[f64]) -> Result<(), Error> {
    let odd = values.iter().find(|value| !value.is_finite());
    let Some(odd) = odd else { return Ok(()) };
    Err(Error::Setting { what, expected: "a finite number".to_owned(), got: odd.to_string() })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// Fails unless the k x k numbers of `inverse` are exactly symmetric.
fn check_symmetric(inverse: &[f64], k: usize) -> Result<(), Error> {
    let odd = (0..k * k).find(|&at| inverse[at] != inverse[at % k * k + at / k]);
    let Some(at) = odd else { return Ok(()) };
    let got = format!("an asymmetric matrix at row {}, column {}", at / k, at % k);
    Err(Error::Setting { what: "inverse", expected: "a symmetric one".to_owned(), got })
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;
    use crate::Generator;

    fn model(features: usize, forgetting: f64, ridge: f64) -> RecursiveLeastSquares {
        RecursiveLeastSquares::new(vec![0.0; features], forgetting, ridge).unwrap()
    }

    /// A sample of `d = 0.5 - 2 a + 3 b`, times `factor`.
    fn sample(generator: &mut Generator, factor: f64) -> ([f64; 3], f64) {
        let x = [1.0, generator.normal(), generator.normal()];
        (x, factor * (0.5 - 2.0 * x[1] + 3.0 * x[2]))
    }

    /// Everything of a model that an update changes, as bits.
    fn bits(model: &RecursiveLeastSquares) -> Vec<u64> {
        model.weights().iter().chain(model.inverse()).map(|value| value.to_bits()).collect()
    }

    #[test]
    fn finds_the_weights_of_a_linear_rule() {
        let mut generator = Generator::new(1);
        let mut model = model(3, 1.0, 1e-9);
        for _ in 0..50 {
            let (x, value) = sample(&mut generator, 1.0);
            model.update(&x, value).unwrap();
        }
        assert_abs_diff_eq!(model.predict(&[1.0, 1.0, 1.0]).unwrap(), 1.5, epsilon = 1e-8);
    }

    /// With one feature the ridge solution is known: sum of x d over (sum of x² + ridge).
    #[test]
    fn the_penalty_is_the_ridge() {
        let mut model = model(1, 1.0, 2.0);
        model.update(&[1.0], 3.0).unwrap();
        model.update(&[2.0], 1.0).unwrap();
        assert_abs_diff_eq!(model.predict(&[1.0]).unwrap(), 5.0 / 7.0, epsilon = 1e-14);
    }

    /// `R P = I` and `R w = b`, with the weighted sums R and b accumulated as they are defined.
    #[test]
    fn weights_solve_the_exponentially_weighted_normal_equations() {
        let (forgetting, ridge, start) = (0.9, 0.01, [0.3, -1.0, 2.0]);
        let mut model = RecursiveLeastSquares::new(start.to_vec(), forgetting, ridge).unwrap();
        let mut generator = Generator::new(2);
        let (mut moments, mut products) = ([[0.0; 3]; 3], [0.0; 3]);
        for i in 0..3 {
            moments[i][i] = ridge;
            products[i] = ridge * start[i];
        }
        for _ in 0..40 {
            let (x, exact) = sample(&mut generator, 1.0);
            let value = exact + generator.normal();
            model.update(&x, value).unwrap();
            for i in 0..3 {
                products[i] = forgetting * products[i] + value * x[i];
                for j in 0..3 {
                    moments[i][j] = forgetting * moments[i][j] + x[i] * x[j];
                }
            }
            for (i, row) in moments.iter().enumerate() {
                assert!((dot(row, model.weights()) - products[i]).abs() < 1e-10);
                for j in 0..3 {
                    let column: Vec<f64> = (0..3).map(|k| model.inverse()[3 * k + j]).collect();
                    let unit = if i == j { 1.0 } else { 0.0 };
                    assert!((dot(row, &column) - unit).abs() < 1e-10);
                }
            }
        }
    }

    #[test]
    fn forgetting_follows_a_rule_that_changes() {
        let mut generator = Generator::new(3);
        let mut models = [model(3, 0.9, 1e-3), model(3, 1.0, 1e-3)];
        for t in 0..300 {
            let (x, value) = sample(&mut generator, if t < 200 { 1.0 } else { -1.0 });
            for model in &mut models {
                model.update(&x, value).unwrap();
            }
        }
        let wrong = models.map(|model| (model.predict(&[1.0, 1.0, 1.0]).unwrap() + 1.5).abs());
        assert!(wrong[0] < 1e-3 && wrong[1] > 0.5, "{wrong:?}");
    }

    #[test]
    fn an_update_that_fails_changes_nothing() {
        let mut model = model(2, 0.99, 1e-3);
        for x in [[1.0, 0.5], [0.3, -2.0], [1.0, 1.0]] {
            model.update(&x, 1.0).unwrap();
        }
        let before = bits(&model);
        let huge = f64::MAX;
        let (gain, weights) = (Quantity::Gain, Quantity::Weights);
        let bad = [
            ([f64::NAN, 0.0], 1.0, gain),
            ([1.0, f64::INFINITY], 1.0, gain),
            ([huge, huge], 1.0, gain),
            ([1.0, 1.0], f64::NAN, weights),
            ([1.0, 1.0], f64::INFINITY, weights),
        ];
        for (x, value, expected) in bad {
            let result = model.update(&x, value);
            let Err(Error::Fit { quantity }) = result else { panic!("{x:?}: {result:?}") };
            assert_eq!(quantity, expected, "{x:?}");
            assert_eq!(bits(&model), before, "{x:?}");
        }
        assert!(matches!(model.update(&[1.0], 1.0), Err(Error::Setting { .. })));
        assert!(model.predict(&[1.0, 2.0, 3.0]).is_err());
        assert_eq!(bits(&model), before);
        model.update(&[1.0, 1.0], 1.0).unwrap();
    }

    /// Rounding may have made P indefinite; then the denominator tells.
    #[test]
    fn a_denominator_that_is_not_positive_is_refused() {
        let mut model = model(2, 1.0, 1.0);
        model.restore(&[1.0, 2.0], &[-1.0, 0.0, 0.0, 1.0]).unwrap();
        for x in [[1.0, 0.0], [2.0, 1.0]] {
            let before = bits(&model);
            assert!(matches!(model.update(&x, 5.0), Err(Error::Fit { quantity: Quantity::Gain })));
            assert_eq!(bits(&model), before);
        }
    }

    /// Gain and weights are finite, but not the product of two gains.
    #[test]
    fn an_inverse_that_overflows_is_refused() {
        let mut model = model(2, 1.0, 1.0);
        model.restore(&[0.0, 0.0], &[1.0, 1e200, 1e200, 1.0]).unwrap();
        let before = bits(&model);
        let result = model.update(&[1.0, 0.0], 1e-10);
        assert!(matches!(result, Err(Error::Fit { quantity: Quantity::Inverse })), "{result:?}");
        assert_eq!(bits(&model), before);
    }

    #[test]
    fn the_inverse_stays_exactly_symmetric() {
        let mut generator = Generator::new(4);
        let mut model = model(5, 0.97, 1e-4);
        for _ in 0..2000 {
            let x: Vec<f64> = (0..5).map(|_| generator.normal() * 100.0).collect();
            model.update(&x, generator.normal()).unwrap();
        }
        for i in 0..5 {
            for j in 0..5 {
                let (here, there) = (model.inverse()[5 * i + j], model.inverse()[5 * j + i]);
                assert_eq!(here.to_bits(), there.to_bits());
            }
        }
    }

    /// Without the guard P would be infinite after 71 000 of these steps.
    #[test]
    fn a_million_silent_steps_do_not_wind_up() {
        let (forgetting, ridge) = (0.99, 0.1);
        for x in [[0.0, 0.0], [1.0, 0.0]] {
            let mut model = model(2, forgetting, ridge);
            model.update(&[1.0, 1.0], 1.0).unwrap();
            for _ in 0..1_000_000 {
                model.update(&x, 0.5).unwrap();
                assert!(trace(model.inverse(), 2) <= 2.0 / (forgetting * ridge) * (1.0 + 1e-12));
            }
            // Neither is anything lost that the silence did not speak of.
            let before = model.weights()[1];
            model.update(&[1.0, 1.0], 1.0).unwrap();
            let step = (model.weights()[1] - before).abs();
            assert!(step < 1.0, "{x:?}: {step}");
        }
    }

    #[test]
    fn a_restored_model_goes_on_as_if_it_had_not_stopped() {
        let mut generator = Generator::new(5);
        let mut whole = model(3, 0.95, 0.1);
        let mut after = model(3, 0.95, 0.1);
        for t in 0..100 {
            let (x, value) = sample(&mut generator, 1.0);
            whole.update(&x, value).unwrap();
            if t == 50 {
                after.restore(whole.weights(), whole.inverse()).unwrap();
            } else if t > 50 {
                after.update(&x, value).unwrap();
            }
        }
        assert_eq!(bits(&whole), bits(&after));
    }

    #[test]
    fn what_no_model_can_have_is_not_restored() {
        let mut model = model(2, 1.0, 1.0);
        let before = bits(&model);
        let unit = [1.0, 0.0, 0.0, 1.0];
        assert!(model.restore(&[0.0; 3], &unit).is_err());
        assert!(model.restore(&[0.0; 2], &unit[..3]).is_err());
        assert!(model.restore(&[0.0, f64::NAN], &unit).is_err());
        assert!(model.restore(&[0.0; 2], &[1.0, 0.0, 0.0, f64::INFINITY]).is_err());
        let message = model.restore(&[0.0; 2], &[1.0, 0.5, 0.4, 1.0]).unwrap_err().to_string();
        let expected = "got an asymmetric matrix at row 0, column 1, expected a symmetric one";
        assert_eq!(message, format!("inverse: {expected}"));
        assert_eq!(bits(&model), before);
    }

    #[test]
    fn settings_out_of_their_range_are_refused() {
        let new = |features, forgetting, ridge| {
            RecursiveLeastSquares::new(vec![0.0; features], forgetting, ridge).map(drop)
        };
        for forgetting in [0.0, -0.5, 1.0 + 1e-9, f64::NAN, 1e-320] {
            assert!(matches!(new(2, forgetting, 1.0), Err(Error::Setting { .. })), "{forgetting}");
        }
        for ridge in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-310] {
            assert!(matches!(new(2, 1.0, ridge), Err(Error::Setting { .. })), "{ridge}");
        }
        assert!(matches!(new(0, 1.0, 1.0), Err(Error::Setting { .. })));
        assert!(RecursiveLeastSquares::new(vec![f64::NAN], 1.0, 1.0).is_err());
        assert!(squares(usize::MAX).is_err() && squares(1 << 31).is_err());
    }
}
