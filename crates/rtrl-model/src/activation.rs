//! Activation functions with their derivatives (equation 2).

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use rtrl_kernel::{Function, Isa, Real, activate};

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
    /// A custom function; see [`Activation::custom`].
    Custom(CustomActivation),
}

/// A custom function and its derivative.
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
    /// A custom function: its value and its derivative at s.
    ///
    /// Both are evaluated in double precision and rounded. Results are the same on every machine if
    /// those of the two functions are. A saved model stores only the name; a program that loads it
    /// supplies the functions.
    pub fn custom(
        name: &str,
        value: impl Fn(f64) -> f64 + Send + Sync + 'static,
        derivative: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        let (value, derivative) = (Arc::new(value), Arc::new(derivative));
        Self::Custom(CustomActivation { name: name.into(), value, derivative })
    }

    /// The name in a saved model: lower case for the built-in functions, `custom:` and the given
    /// name for a custom one.
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
        match self.kind() {
            Kind::BuiltIn(function) => function.evaluate(s),
            Kind::Custom(custom) => custom.evaluate(s),
        }
    }

    /// The function, built-in or custom, for evaluating many units.
    fn kind(&self) -> Kind<'_> {
        Kind::BuiltIn(match self {
            Self::Logistic => Function::Logistic,
            Self::Tanh => Function::Tanh,
            Self::Relu => Function::Relu,
            Self::Identity => Function::Identity,
            Self::Softplus => Function::Softplus,
            Self::Custom(custom) => return Kind::Custom(custom),
        })
    }
}

/// A function of the kernel or a custom one.
enum Kind<'a> {
    BuiltIn(Function),
    Custom(&'a CustomActivation),
}

impl CustomActivation {
    fn evaluate<T: Real>(&self, s: T) -> (T, T) {
        let s = s.to_f64();
        (T::from_f64((self.value)(s)), T::from_f64((self.derivative)(s)))
    }
}

/// Neighbouring units with the same built-in function, or a unit with a custom one.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) function: Option<Function>,
    units: Range<usize>,
}

/// Divides the units into runs. If all have the same built-in function, it is evaluated for the
/// padding too, in whole registers.
pub(crate) fn runs(activations: &[Activation], padded: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (unit, activation) in activations.iter().enumerate() {
        let function = match activation.kind() {
            Kind::BuiltIn(function) => Some(function),
            Kind::Custom(_) => None,
        };
        match runs.last_mut() {
            Some(last) if function.is_some() && last.function == function => {
                last.units.end = unit + 1;
            }
            _ => runs.push(Run { function, units: unit..unit + 1 }),
        }
    }
    if let [Run { function: Some(_), units }] = runs.as_mut_slice() {
        units.end = padded;
    }
    runs
}

/// Evaluates all runs: equation 2 and f'. Returns whether everything is finite.
///
/// # Errors
/// [`Error::Kernel`] if the lengths differ.
#[inline]
pub(crate) fn evaluate<T: Real>(
    isa: Isa,
    (runs, activations): (&[Run], &[Activation]),
    sums: &[T],
    values: &mut [T],
    slopes: &mut [T],
) -> Result<bool, Error> {
    let mut finite = true;
    for Run { function, units } in runs {
        let places = (&mut values[units.clone()], &mut slopes[units.clone()]);
        if let Some(function) = *function {
            finite &= activate(isa, function, &sums[units.clone()], places.0, places.1)?;
            continue;
        }
        for k in units.clone() {
            (values[k], slopes[k]) = activations[k].evaluate(sums[k]);
            finite &= sums[k].is_finite() & values[k].is_finite() & slopes[k].is_finite();
        }
    }
    Ok(finite)
}

impl FromStr for Activation {
    type Err = Error;

    /// A built-in function, by name.
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
