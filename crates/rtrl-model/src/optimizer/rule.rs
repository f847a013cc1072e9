//! The optimisers: from a gradient to a change of the weights.

use rtrl_kernel::{Average, Real, Scale};
use serde::{Deserialize, Serialize};

use super::bias::{RunningPower, bias_correction};
use super::custom::{CustomOptimizer, CustomRule};
use crate::Error;
use crate::error::check_setting;

/// The rule that turns a gradient g into a change of the weights w.
///
/// Formulas and defaults are those of `torch.optim`. Momenta and moments start at 0. The rate is
/// multiplied by the factor of the [`RateSchedule`](super::RateSchedule).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Optimizer {
    /// `w -= learning_rate * g` (equation 6).
    Sgd {
        /// α
        learning_rate: f64,
    },
    /// Gradient descent with momentum, without dampening or Nesterov momentum (Polyak 1964):
    /// `m = momentum m + g`, `w -= learning_rate * m`.
    Momentum {
        /// α
        learning_rate: f64,
        /// μ, the decay of the momentum.
        momentum: f64,
    },
    /// `RMSProp` (Tieleman & Hinton 2012): `v = α v + (1 - α) g²`,
    /// `w -= learning_rate * g / (sqrt(v) + epsilon)`.
    RmsProp {
        /// The rate, which equation 6 calls α.
        learning_rate: f64,
        /// Decay of the second moment, torch's `alpha`.
        alpha: f64,
        /// Added to the denominator. A gradient of which g² would be subnormal, below about 1e-18
        /// in single precision, counts as 0 in v: choose a larger epsilon.
        epsilon: f64,
    },
    /// Adam (Kingma & Ba 2015): `m = β1 m + (1 - β1) g`, `v = β2 v + (1 - β2) g²`, `w -=
    /// learning_rate / (1 - β1^u) * m / (sqrt(v) / sqrt(1 - β2^u) + epsilon)` at update u = 1, 2, …
    Adam {
        /// α
        learning_rate: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator. A gradient of which g² would be subnormal, below about 1e-18
        /// in single precision, counts as 0 in v: choose a larger epsilon.
        epsilon: f64,
    },
    /// A custom rule; see [`Optimizer::custom`].
    Custom {
        /// The rate, which multiplies the direction of the rule.
        learning_rate: f64,
        /// The rule, of which a file stores only the name.
        rule: CustomRule,
    },
}

impl Optimizer {
    /// Plain gradient descent.
    pub fn sgd(learning_rate: f64) -> Self {
        Self::Sgd { learning_rate }
    }

    /// Gradient descent with this momentum, commonly 0.9.
    pub fn momentum(learning_rate: f64, momentum: f64) -> Self {
        Self::Momentum { learning_rate, momentum }
    }

    /// `RMSProp` with α = 0.99, ε = 1e-8.
    pub fn rmsprop(learning_rate: f64) -> Self {
        Self::RmsProp { learning_rate, alpha: 0.99, epsilon: 1e-8 }
    }

    /// Adam with β1 = 0.9, β2 = 0.999, ε = 1e-8.
    pub fn adam(learning_rate: f64) -> Self {
        Self::Adam { learning_rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }

    /// A custom rule, whose directions are multiplied by the rate.
    ///
    /// Clipping, schedules, weight decay and the rate of the readout work as with any optimiser. A
    /// checkpoint contains the rule's moments and its name; a program that reads it supplies the
    /// rule ([`Supplies`](crate::Supplies)).
    ///
    /// ```
    /// use rtrl_model::{CustomOptimizer, Learner, Network, Optimizer};
    ///
    /// /// Only the sign of the momentum counts (Chen et al. 2023).
    /// #[derive(Debug)]
    /// struct Lion;
    ///
    /// impl CustomOptimizer for Lion {
    ///     fn name(&self) -> &str {
    ///         "lion"
    ///     }
    ///     fn moments(&self) -> &[&'static str] {
    ///         &["momentum"]
    ///     }
    ///     fn direction(&self, _: u64, _: f64, gradient: f64, moments: &mut [f64]) -> f64 {
    ///         let direction = 0.9 * moments[0] + 0.1 * gradient;
    ///         moments[0] = 0.99 * moments[0] + 0.01 * gradient;
    ///         if direction == 0.0 { 0.0 } else { direction.signum() }
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), rtrl_model::Error> {
    /// let network = Network::<f32>::builder(4, 1).build()?;
    /// let learner = Learner::builder(network).optimizer(Optimizer::custom(1e-4, Lion)).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn custom(learning_rate: f64, rule: impl CustomOptimizer + 'static) -> Self {
        Self::Custom { learning_rate, rule: CustomRule::new(rule) }
    }

    /// The rate before any schedule.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::Sgd { learning_rate }
            | Self::Momentum { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. }
            | Self::Adam { learning_rate, .. }
            | Self::Custom { learning_rate, .. } => *learning_rate,
        }
    }

    pub(super) fn learning_rate_mut(&mut self) -> &mut f64 {
        match self {
            Self::Sgd { learning_rate }
            | Self::Momentum { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. }
            | Self::Adam { learning_rate, .. }
            | Self::Custom { learning_rate, .. } => learning_rate,
        }
    }

    /// Gives a custom rule that was read from a file its functions, if `other` has the same name.
    pub(super) fn supply(&mut self, other: &Self) {
        if let (Self::Custom { rule, .. }, Self::Custom { rule: other, .. }) = (self, other) {
            rule.supply(other);
        }
    }

    /// Fails unless a custom rule has been supplied.
    pub(super) fn check_rule(&self) -> Result<(), Error> {
        match self {
            Self::Custom { rule, .. } => rule.get().map(drop),
            _ => Ok(()),
        }
    }

    /// Fails unless every constant is in its range, in the precision of the weights, and a custom
    /// rule has been supplied.
    pub(super) fn check<T: Real>(&self) -> Result<(), Error> {
        check_rate::<T>("learning rate", self.learning_rate())?;
        match *self {
            Self::Sgd { .. } => Ok(()),
            Self::Custom { .. } => self.check_rule(),
            Self::Momentum { momentum, .. } => check_decay::<T>("momentum", momentum),
            Self::RmsProp { alpha, epsilon, .. } => {
                check_decay::<T>("RMSProp's alpha", alpha)?;
                check_epsilon::<T>("RMSProp's epsilon", epsilon)
            }
            Self::Adam { beta1, beta2, epsilon, .. } => {
                check_decay::<T>("Adam's beta1", beta1)?;
                check_decay::<T>("Adam's beta2", beta2)?;
                check_epsilon::<T>("Adam's epsilon", epsilon)
            }
        }
    }
}

/// Fails unless `rate` is finite and not negative in the precision of the weights.
pub(super) fn check_rate<T: Real>(what: &'static str, rate: f64) -> Result<(), Error> {
    check_setting(what, T::from_f64(rate).to_f64(), 0.0)
}

fn check_decay<T: Real>(what: &'static str, decay: f64) -> Result<(), Error> {
    if (0.0..1.0).contains(&T::from_f64(decay).to_f64()) {
        return Ok(());
    }
    let expected = format!("at least 0 and below 1 in {}", T::NAME);
    Err(Error::Setting { what, expected, got: decay.to_string() })
}

fn check_epsilon<T: Real>(what: &'static str, epsilon: f64) -> Result<(), Error> {
    let rounded = T::from_f64(epsilon);
    if rounded > T::ZERO && rounded.is_finite() {
        return Ok(());
    }
    let expected = format!("a finite number above 0 in {}", T::NAME);
    Err(Error::Setting { what, expected, got: epsilon.to_string() })
}

/// The constants of one update in the precision of the weights. What all optimisers have in common:
/// a direction, which is g or its first moment, perhaps divided by the root of the second moment.
pub(super) struct Rule<T> {
    pub(super) first: Option<Average<T>>,
    pub(super) second: Option<Scale<T>>,
    /// Adam's first bias correction, by which the rate is divided.
    pub(super) bias: f64,
    /// The number of the update, from 1.
    pub(super) update: u64,
}

/// `1 - decay` is rounded after the subtraction.
fn average<T: Real>(decay: f64) -> Average<T> {
    Average { decay: T::from_f64(decay), rest: T::from_f64(1.0 - decay) }
}

impl<T: Real> Rule<T> {
    /// The rule of `optimizer` at update `update`, from 1; `power` is that of the second moment's
    /// decay.
    pub(super) fn new(optimizer: &Optimizer, update: u64, power: &mut RunningPower) -> Self {
        match *optimizer {
            Optimizer::Sgd { .. } | Optimizer::Custom { .. } => {
                Self { first: None, second: None, bias: 1.0, update }
            }
            Optimizer::Momentum { momentum, .. } => {
                let first = Average { decay: T::from_f64(momentum), rest: T::ONE };
                Self { first: Some(first), second: None, bias: 1.0, update }
            }
            Optimizer::RmsProp { alpha, epsilon, .. } => {
                let epsilon = T::from_f64(epsilon);
                let average = average(alpha);
                let second = Some(Scale { average, root_bias: T::ONE, epsilon });
                Self { first: None, second, bias: 1.0, update }
            }
            Optimizer::Adam { beta1, beta2, epsilon, .. } => {
                let root_bias = power.root_of_correction(beta2, update);
                let epsilon = T::from_f64(epsilon);
                let second = Some(Scale { average: average(beta2), root_bias, epsilon });
                let bias = bias_correction(beta1, update);
                Self { first: Some(average(beta1)), second, bias, update }
            }
        }
    }
}
