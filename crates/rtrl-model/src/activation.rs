//! Activation functions with their derivatives (equation 2).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rtrl_kernel::Real;

use crate::Error;

/// The function f of a unit: `y(t+1) = f(s(t))`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Activation {
    /// `1 / (1 + exp(-s))`
    Logistic,
    /// The hyperbolic tangent.
    Tanh,
    /// `max(0, s)`, with derivative 0 at 0.
    Relu,
    /// `s` itself.
    Identity,
    /// `ln(1 + exp(s))`
    Softplus,
    /// The user's own; see [`Activation::custom`].
    Custom(CustomActivation),
}

/// A function of the user's and its derivative.
#[derive(Clone)]
pub struct CustomActivation {
    name: Arc<str>,
    value: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
    derivative: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
}

impl fmt::Debug for CustomActivation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CustomActivation({})", self.name)
    }
}

impl Activation {
    /// A function of one's own: its value and its derivative at s.
    ///
    /// Both are evaluated in double precision and rounded. Results are the same on every machine as far
    /// as the two functions are. A saved model keeps the name only; whoever loads it supplies the
    /// functions again.
    pub fn custom(
        name: &str,
        value: impl Fn(f64) -> f64 + Send + Sync + 'static,
        derivative: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        let (value, derivative) = (Arc::new(value), Arc::new(derivative));
        Self::Custom(CustomActivation { name: name.into(), value, derivative })
    }

    /// The name under which a saved model finds it: lower case for the built-in functions, `custom:` and
    /// the given name for one's own.
    pub fn saved_name(&self) -> String {
        match self {
            Self::Custom(custom) => format!("custom:{}", custom.name),
            built_in => built_in.name().to_owned(),
        }
    }

    /// The name: lower case for the built-in functions.
    pub fn name(&self) -> &str {
        match self {
            Self::Logistic => "logistic",
            Self::Tanh => "tanh",
            Self::Relu => "relu",
            Self::Identity => "identity",
            Self::Softplus => "softplus",
            Self::Custom(custom) => &custom.name,
        }
    }

    /// `(f(s), f'(s))`
    pub fn evaluate<T: Real>(&self, s: T) -> (T, T) {
        match self {
            Self::Logistic => {
                let y = logistic(s);
                (y, y * (T::ONE - y))
            }
            Self::Tanh => {
                let y = s.tanh();
                (y, T::ONE - y * y)
            }
            Self::Relu if s > T::ZERO => (s, T::ONE),
            Self::Relu => (T::ZERO, T::ZERO),
            Self::Identity => (s, T::ONE),
            Self::Softplus => {
                let positive = if s > T::ZERO { s } else { T::ZERO };
                (positive + (-s.abs()).exp().ln_1p(), logistic(s))
            }
            Self::Custom(custom) => {
                let s = s.to_f64();
                (T::from_f64((custom.value)(s)), T::from_f64((custom.derivative)(s)))
            }
        }
    }
}

fn logistic<T: Real>(s: T) -> T {
    T::ONE / (T::ONE + (-s).exp())
}

impl FromStr for Activation {
    type Err = Error;

    /// A built-in function by its name.
    fn from_str(name: &str) -> Result<Self, Error> {
        let known = [Self::Logistic, Self::Tanh, Self::Relu, Self::Identity, Self::Softplus];
        known.into_iter().find(|known| known.name() == name).ok_or_else(|| Error::Setting {
            what: "activation",
            expected: "logistic, tanh, relu, identity or softplus".to_owned(),
            got: format!("{name:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_values() {
        let own = Activation::custom("cube", |s| s * s * s, |s| 3.0 * s * s);
        let names = ["logistic", "tanh", "relu", "identity", "softplus"];
        let built_in = names.iter().map(|name| name.parse::<Activation>().unwrap());
        for activation in built_in.chain([own]) {
            for s in [-3.0, -0.7, 0.3, 2.0] {
                let h = 1e-6;
                let value = |s| activation.evaluate::<f64>(s).0;
                let slope = (value(s + h) - value(s - h)) / (2.0 * h);
                let (_, derivative) = activation.evaluate::<f64>(s);
                assert!((slope - derivative).abs() < 1e-8, "{} at {s}", activation.name());
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        for name in ["logistic", "tanh", "softplus"] {
            let activation: Activation = name.parse().unwrap();
            for s in [-1e30f32, -200.0, 200.0, 1e30] {
                let (value, slope) = activation.evaluate(s);
                assert!(value.is_finite() && slope.is_finite(), "{name} at {s}");
            }
        }
    }

    #[test]
    fn relu_is_flat_at_zero() {
        assert_eq!(Activation::Relu.evaluate(0.0f64), (0.0, 0.0));
    }

    #[test]
    fn unknown_names_are_refused() {
        let message = "swish".parse::<Activation>().unwrap_err().to_string();
        assert!(message.contains("swish") && message.contains("softplus"), "{message}");
    }
}
