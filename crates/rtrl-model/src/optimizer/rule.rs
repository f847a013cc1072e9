//! The optimisers: what becomes of a gradient.

use rtrl_kernel::Real;

use crate::Error;
use crate::error::check_setting;

/// The rule that turns a gradient g into a change of the weights w.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Optimizer {
    /// `w -= learning_rate * g` (equation 6).
    Sgd {
        /// α
        learning_rate: f64,
    },
    /// Adam (Kingma & Ba 2015): `m = β1 m + (1 - β1) g`, `v = β2 v + (1 - β2) g²`,
    /// `w -= learning_rate / (1 - β1^u) * m / (sqrt(v) / sqrt(1 - β2^u) + epsilon)` at update u = 1, 2, …
    Adam {
        /// α
        learning_rate: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
    },
}

impl Optimizer {
    /// Plain gradient descent.
    pub fn sgd(learning_rate: f64) -> Self {
        Self::Sgd { learning_rate }
    }

    /// Adam with β1 = 0.9, β2 = 0.999, ε = 1e-8.
    pub fn adam(learning_rate: f64) -> Self {
        Self::Adam { learning_rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }

    /// Fails unless every constant is in its range, in the precision of the weights.
    pub(super) fn check<T: Real>(self) -> Result<(), Error> {
        let rounded = |value| T::from_f64(value).to_f64();
        let (learning_rate, adam) = match self {
            Self::Sgd { learning_rate } => (learning_rate, None),
            Self::Adam { learning_rate, beta1, beta2, epsilon } => {
                (learning_rate, Some((beta1, beta2, epsilon)))
            }
        };
        check_setting("the learning rate", rounded(learning_rate), 0.0)?;
        let Some((beta1, beta2, epsilon)) = adam else { return Ok(()) };
        for (what, beta) in [("Adam's beta1", beta1), ("Adam's beta2", beta2)] {
            if !(0.0..1.0).contains(&rounded(beta)) {
                let expected = format!("at least 0 and below 1 in {}", T::NAME);
                return Err(Error::Setting { what, expected, got: beta.to_string() });
            }
        }
        if rounded(epsilon) > 0.0 && rounded(epsilon).is_finite() {
            return Ok(());
        }
        let expected = format!("a finite number above 0 in {}", T::NAME);
        Err(Error::Setting { what: "Adam's epsilon", expected, got: epsilon.to_string() })
    }
}

/// The constants of one update in the precision of the weights.
pub(super) struct Rule<T> {
    /// The learning rate, divided by Adam's first bias correction.
    pub(super) rate: T,
    pub(super) beta1: T,
    pub(super) beta2: T,
    /// `1 - beta1` and `1 - beta2`, rounded after the subtraction.
    pub(super) rest1: T,
    pub(super) rest2: T,
    pub(super) epsilon: T,
    /// The square root of Adam's second bias correction.
    pub(super) root_bias: T,
}

impl<T: Real> Rule<T> {
    pub(super) fn new(optimizer: Optimizer, update: u64) -> Self {
        let (rate, beta1, beta2, epsilon) = match optimizer {
            Optimizer::Sgd { learning_rate } => (learning_rate, 0.0, 0.0, 0.0),
            Optimizer::Adam { learning_rate, beta1, beta2, epsilon } => {
                (learning_rate, beta1, beta2, epsilon)
            }
        };
        let correction =
            |beta: f64| if beta == 0.0 { 1.0 } else { 1.0 - libm::pow(beta, update as f64) };
        Self {
            rate: T::from_f64(rate / correction(beta1)),
            beta1: T::from_f64(beta1),
            beta2: T::from_f64(beta2),
            rest1: T::from_f64(1.0 - beta1),
            rest2: T::from_f64(1.0 - beta2),
            epsilon: T::from_f64(epsilon),
            root_bias: T::from_f64(correction(beta2).sqrt()),
        }
    }
}
