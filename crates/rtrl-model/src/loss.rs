//! The loss and the errors of the outputs (equations 3 and 4, and their counterparts for other
//! losses).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rtrl_kernel::{Isa, Real};

use crate::{Activation, Error, Network, Targets};

/// The loss L of a step as a function of the outputs o and their targets d (the paper writes J for
/// it).
///
/// The error of an output is `e_k = -dL/do_k`, and 0 without a target. L is a sum over the outputs,
/// not a mean, and all sums run over k ascending.
///
/// The cross-entropies take *logits*: outputs of a readout, or of units whose activation is the
/// identity, not outputs of units that saturate. Their labels are probabilities and may be soft.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Loss<T> {
    /// `L = 1/2 sum of (d - o)²`, `e = d - o` (equations 3 and 4).
    #[default]
    SquaredError,
    /// Every output is an independent yes-or-no question: `L = sum of max(o, 0) - o d + ln(1 +
    /// exp(-|o|))`, `e = d - logistic(o)`, with d from 0 to 1.
    ///
    /// Without a readout, only identity units may have targets, and there must be at least one.
    BinaryCrossEntropy,
    /// One of several classes: `L = -sum of d ln softmax(o)`, `e_k = d_k - softmax(o)_k sum of d`,
    /// with d from 0 to 1, all or none of them present, and a sum of 1 (within 1e-3).
    ///
    /// Without a readout all units must be identity units.
    SoftmaxCrossEntropy,
    /// Squares near the target, absolute values far from it (Huber 1964; `torch.nn.HuberLoss`):
    /// with `r = d - o`, L sums `r² / 2` where `|r| <= delta`, else `delta (|r| - delta / 2)`; e is
    /// r, limited to `[-delta, delta]`.
    Huber {
        /// The largest |r| that is squared; above 0.
        delta: f64,
    },
    /// A custom loss; see [`Loss::custom`].
    Custom(CustomLoss<T>),
}

/// Returns L for outputs and targets, and writes the errors.
type Compare<T> = dyn Fn(&[T], Targets<'_, T>, &mut [T]) -> T + Send + Sync;

/// A custom loss with its error.
#[derive(Clone)]
pub struct CustomLoss<T> {
    name: Arc<str>,
    compare: Arc<Compare<T>>,
}

impl<T> fmt::Debug for CustomLoss<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CustomLoss({})", self.name)
    }
}

/// How much the sum of the labels of a softmax may differ from 1: enough for labels rounded to
/// three digits.
const SUM_TOLERANCE: f64 = 1e-3;

impl<T: Real> Loss<T> {
    /// A custom loss: `compare(outputs, targets, errors)` writes `e_k = -dL/do_k` into `errors`,
    /// which is 0 before, and returns L.
    ///
    /// It is called only in steps with a target. Results are the same on every machine if those of
    /// the function are. Values that are not finite are refused, as in any loss. A saved model
    /// stores only the name; a program that loads it supplies the function.
    pub fn custom(
        name: &str,
        compare: impl Fn(&[T], Targets<'_, T>, &mut [T]) -> T + Send + Sync + 'static,
    ) -> Self {
        Self::Custom(CustomLoss { name: name.into(), compare: Arc::new(compare) })
    }

    /// The name: lower case for the built-in losses.
    pub fn name(&self) -> &str {
        match self {
            Self::SquaredError => "squared-error",
            Self::BinaryCrossEntropy => "binary-cross-entropy",
            Self::SoftmaxCrossEntropy => "softmax-cross-entropy",
            Self::Huber { .. } => "huber",
            Self::Custom(custom) => &custom.name,
        }
    }

    /// The text under which a saved model finds it: the name, with its delta `huber:0.5`, and
    /// `custom:` before the name of a custom one.
    pub fn saved_name(&self) -> String {
        match self {
            Self::Huber { delta } => format!("huber:{delta}"),
            Self::Custom(custom) => format!("custom:{}", custom.name),
            plain => plain.name().to_owned(),
        }
    }

    /// Whether the outputs must be logits, and the targets probabilities.
    pub fn takes_logits(&self) -> bool {
        matches!(self, Self::BinaryCrossEntropy | Self::SoftmaxCrossEntropy)
    }

    /// Fails unless the loss can be used with these layers.
    ///
    /// # Errors
    /// [`Error::Setting`] for Huber's delta, and for a cross-entropy without logits.
    pub(crate) fn check(&self, layers: &Network<T>) -> Result<(), Error> {
        let mut units = (0..layers.units()).map(|unit| layers.activation(unit));
        let (what, expected, got) = match self {
            Self::Huber { delta } => return check_delta::<T>(*delta),
            Self::BinaryCrossEntropy if layers.readout.is_none() && !units.any(is_identity) => {
                ("number of identity units", "at least 1", "0")
            }
            Self::SoftmaxCrossEntropy if layers.readout.is_none() => {
                let Some(odd) = units.find(|&unit| !is_identity(unit)) else { return Ok(()) };
                ("activation", "identity", odd.map_or("gated", Activation::name))
            }
            _ => return Ok(()),
        };
        let expected = format!("{expected} or a readout, since {} takes logits", self.name());
        Err(Error::Setting { what, expected, got: got.to_owned() })
    }

    /// Fails unless the targets of a step fit the layers and the loss.
    ///
    /// # Errors
    /// [`Error::TargetLength`], [`Error::NonFinite`] or [`Error::Labels`].
    pub(crate) fn check_targets(
        &self,
        step: u64,
        layers: &Network<T>,
        targets: &Targets<'_, T>,
    ) -> Result<(), Error> {
        targets.check(step, layers.outputs())?;
        if self.takes_logits() { self.check_labels(step, layers, targets) } else { Ok(()) }
    }

    /// Fails unless the targets can be probabilities of these outputs.
    #[inline(never)]
    fn check_labels(
        &self,
        step: u64,
        layers: &Network<T>,
        targets: &Targets<'_, T>,
    ) -> Result<(), Error> {
        if !targets.any() {
            return Ok(());
        }
        let outputs = layers.outputs();
        check_range(step, outputs, targets)?;
        match self {
            Self::SoftmaxCrossEntropy => check_distribution(step, outputs, targets),
            _ if layers.readout.is_none() => check_units(step, layers, targets),
            _ => Ok(()),
        }
    }

    /// Whether errors are finite wherever the loss is: those of a sum of squares are.
    #[inline]
    pub(crate) fn bounds_errors(&self) -> bool {
        matches!(self, Self::SquaredError)
    }

    /// Writes `e_k = -dL/do_k`, 0 without a target, and returns L. Unless the loss bounds the
    /// errors ([`Loss::bounds_errors`]), the targets have been checked; the results have not.
    ///
    /// # Errors
    /// [`Error::Kernel`] if lengths do not fit.
    pub(crate) fn compare(
        &self,
        isa: Isa,
        outputs: &[T],
        targets: &Targets<'_, T>,
        errors: &mut [T],
    ) -> Result<T, Error> {
        let loss = match self {
            Self::SquaredError => {
                T::from_f64(0.5) * targets.squared_errors(isa, outputs, errors)?
            }
            Self::BinaryCrossEntropy => each(outputs, targets, errors, binary_cross_entropy),
            Self::SoftmaxCrossEntropy => softmax_cross_entropy(outputs, targets, errors),
            Self::Huber { delta } => {
                let delta = T::from_f64(*delta);
                each(outputs, targets, errors, |o, d| huber(delta, o, d))
            }
            Self::Custom(custom) => {
                errors.fill(T::ZERO);
                if targets.any() { (custom.compare)(outputs, *targets, errors) } else { T::ZERO }
            }
        };
        Ok(loss)
    }
}

/// The sum of the losses of the outputs that have a target; `of` returns the loss and the error of
/// one output and its target.
///
/// This and the softmax are separate functions: inlined, their registers would double the few
/// nanoseconds of the squared error.
#[inline(never)]
fn each<T: Real>(
    outputs: &[T],
    targets: &Targets<'_, T>,
    errors: &mut [T],
    of: impl Fn(T, T) -> (T, T),
) -> T {
    let mut sum = T::ZERO;
    for (k, (error, &output)) in errors.iter_mut().zip(outputs).enumerate() {
        *error = T::ZERO;
        if let Some(target) = targets.get(k) {
            let (loss, by) = of(output, target);
            sum += loss;
            *error = by;
        }
    }
    sum
}

/// `exp` is applied only to nonpositive numbers, so nothing overflows.
fn binary_cross_entropy<T: Real>(output: T, target: T) -> (T, T) {
    let above = if output > T::ZERO { output } else { T::ZERO };
    let loss = above - output * target + (-output.abs()).exp().ln_1p();
    (loss, target - output.logistic())
}

fn huber<T: Real>(delta: T, output: T, target: T) -> (T, T) {
    let (half, rest) = (T::from_f64(0.5), target - output);
    if rest.abs() <= delta {
        return (half * rest * rest, rest);
    }
    let limited = if rest > T::ZERO { delta } else { -delta };
    (delta * (rest.abs() - half * delta), limited)
}

/// With `o_m` the first of the largest outputs, `ln softmax(o)_k = (o_k - o_m) - ln(1 + S)`, where
/// S sums `exp(o_k - o_m)` over all k but m: no term overflows, and a small S is not lost next to
/// the 1.
#[inline(never)]
fn softmax_cross_entropy<T: Real>(outputs: &[T], targets: &Targets<'_, T>, errors: &mut [T]) -> T {
    if !targets.any() {
        errors.fill(T::ZERO);
        return T::ZERO;
    }
    let top = largest(outputs);
    let mut others = T::ZERO;
    for (k, (error, &output)) in errors.iter_mut().zip(outputs).enumerate() {
        *error = (output - outputs[top]).exp();
        if k != top {
            others += *error;
        }
    }
    let (whole, log) = (T::ONE + others, others.ln_1p());
    let (mut loss, mut labels) = (T::ZERO, T::ZERO);
    for (k, &output) in outputs.iter().enumerate() {
        let target = targets.get(k).unwrap_or(T::ZERO);
        // An impossible label has no term, however far off its logit is.
        if target != T::ZERO {
            loss += target * (log - (output - outputs[top]));
        }
        labels += target;
    }
    for (k, error) in errors.iter_mut().enumerate() {
        *error = targets.get(k).unwrap_or(T::ZERO) - *error / whole * labels;
    }
    loss
}

/// The first place of the largest value.
fn largest<T: Real>(values: &[T]) -> usize {
    let mut top = 0;
    for (k, &value) in values.iter().enumerate() {
        if value > values[top] {
            top = k;
        }
    }
    top
}

/// Whether the output of the unit is its weighted sum.
fn is_identity(activation: Option<&Activation>) -> bool {
    matches!(activation, Some(Activation::Identity))
}

/// Fails unless delta is finite and above 0 in the precision of the outputs.
fn check_delta<T: Real>(delta: f64) -> Result<(), Error> {
    let rounded = T::from_f64(delta);
    if rounded > T::ZERO && rounded.is_finite() {
        return Ok(());
    }
    let expected = format!("a finite number above 0 in {}", T::NAME);
    Err(Error::Setting { what: "Huber's delta", expected, got: delta.to_string() })
}

fn check_range<T: Real>(step: u64, outputs: usize, targets: &Targets<'_, T>) -> Result<(), Error> {
    let mut present = (0..outputs).filter_map(|k| Some((k, targets.get(k)?)));
    let Some((k, label)) = present.find(|(_, d)| !(T::ZERO..=T::ONE).contains(d)) else {
        return Ok(());
    };
    let got = format!("{label} for output {k}");
    Err(Error::Labels { step, expected: "a number from 0 to 1", got })
}

/// Binary cross-entropy without a readout: only units that do not saturate may have targets.
fn check_units<T: Real>(
    step: u64,
    layers: &Network<T>,
    targets: &Targets<'_, T>,
) -> Result<(), Error> {
    let mut units = (0..layers.units()).map(|unit| (unit, layers.activation(unit)));
    let odd = units.find(|&(k, unit)| targets.get(k).is_some() && !is_identity(unit));
    let Some((k, unit)) = odd else { return Ok(()) };
    let activation = unit.map_or("gated", Activation::name);
    let got = format!("a label for unit {k}, whose activation is {activation}");
    Err(Error::Labels { step, expected: "identity units, whose outputs are logits", got })
}

/// Softmax: with labels for only some classes the others would be undefined, and a sum other than 1
/// would silently scale the step.
fn check_distribution<T: Real>(
    step: u64,
    outputs: usize,
    targets: &Targets<'_, T>,
) -> Result<(), Error> {
    let present = (0..outputs).filter(|&k| targets.get(k).is_some()).count();
    if present != outputs {
        let got = format!("{present} of {outputs}");
        return Err(Error::Labels { step, expected: "all or none with softmax", got });
    }
    let labels = (0..outputs).filter_map(|k| targets.get(k));
    let sum = labels.fold(0.0, |sum, label| sum + label.to_f64());
    if (sum - 1.0).abs() <= SUM_TOLERANCE {
        return Ok(());
    }
    let got = format!("a sum of {sum}");
    Err(Error::Labels { step, expected: "1 within 0.001", got })
}

impl<T: Real> FromStr for Loss<T> {
    type Err = Error;

    /// A built-in loss by its [`Loss::saved_name`].
    fn from_str(name: &str) -> Result<Self, Error> {
        let delta = name.strip_prefix("huber:").and_then(|delta| delta.parse().ok());
        if let Some(delta) = delta {
            return check_delta::<T>(delta).map(|()| Self::Huber { delta });
        }
        let plain = [Self::SquaredError, Self::BinaryCrossEntropy, Self::SoftmaxCrossEntropy];
        plain.into_iter().find(|loss| loss.name() == name).ok_or_else(|| Error::Setting {
            what: "loss",
            expected: "squared-error, binary-cross-entropy, softmax-cross-entropy or huber:DELTA"
                .to_owned(),
            got: format!("{name:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};

    use super::*;
    use crate::{Network, Readout};

    const OUTPUTS: [f64; 4] = [1.5, -0.25, 0.75, -3.0];
    const LABELS: [f64; 4] = [1.0, 0.25, 0.0, 0.9];
    /// A little more than 1 in sum, as rounded labels may be.
    const CLASSES: [f64; 4] = [0.1, 0.2, 0.65, 0.0505];

    /// J and e.
    fn compare<T: Real>(loss: &Loss<T>, outputs: &[T], targets: Targets<'_, T>) -> (T, Vec<T>) {
        // The errors of a previous step must not matter.
        let mut errors = vec![T::from_f64(7.0); outputs.len()];
        let value = loss.compare(Isa::scalar(), outputs, &targets, &mut errors).unwrap();
        (value, errors)
    }

    /// The fourth power of the error.
    fn quartic() -> Loss<f64> {
        Loss::custom("quartic", |outputs: &[f64], targets, errors: &mut [f64]| {
            let mut sum = 0.0;
            for (k, error) in errors.iter_mut().enumerate() {
                if let Some(target) = targets.get(k) {
                    let rest = target - outputs[k];
                    *error = rest * rest * rest;
                    sum += rest * *error / 4.0;
                }
            }
            sum
        })
    }

    fn all() -> [(Loss<f64>, [f64; 4]); 5] {
        [
            (Loss::SquaredError, LABELS),
            (Loss::BinaryCrossEntropy, LABELS),
            (Loss::SoftmaxCrossEntropy, CLASSES),
            (Loss::Huber { delta: 0.6 }, LABELS),
            (quartic(), LABELS),
        ]
    }

    /// A class whose label is 0 has no term, although its logit is so far off that the term would
    /// be NaN.
    #[test]
    fn impossible_classes_cost_nothing() {
        let labels = [1.0f32, 0.0];
        let (loss, errors) =
            compare(&Loss::SoftmaxCrossEntropy, &[3e38, -3e38], Targets::All(&labels));
        assert_eq!((loss, errors), (0.0, vec![0.0; 2]));
    }

    #[test]
    fn errors_are_the_negative_derivatives_of_the_loss() {
        for (loss, labels) in all() {
            let (_, errors) = compare(&loss, &OUTPUTS, Targets::All(&labels));
            for k in 0..4 {
                let moved = |by: f64| {
                    let mut outputs = OUTPUTS;
                    outputs[k] += by;
                    compare(&loss, &outputs, Targets::All(&labels)).0
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((slope + errors[k]).abs() < 1e-8, "{} {k}: {slope}", loss.name());
            }
        }
    }

    #[test]
    fn an_output_without_a_target_has_no_part_in_it() {
        for (loss, labels) in all() {
            assert_eq!(compare(&loss, &OUTPUTS, Targets::None), (0.0, vec![0.0; 4]));
            if matches!(loss, Loss::SoftmaxCrossEntropy) {
                continue;
            }
            let some = [Some(labels[0]), None, None, Some(labels[3])];
            let (value, errors) = compare(&loss, &OUTPUTS, Targets::Some(&some));
            let (_, whole) = compare(&loss, &OUTPUTS, Targets::All(&labels));
            assert_eq!(errors, [whole[0], 0.0, 0.0, whole[3]], "{}", loss.name());
            let alone = |k| compare(&loss, &OUTPUTS[k..=k], Targets::All(&labels[k..=k])).0;
            assert!((value - alone(0) - alone(3)).abs() < 1e-14, "{}", loss.name());
        }
    }

    #[test]
    fn the_squared_error_has_the_bits_of_equations_3_and_4() {
        let (outputs, targets) = ([0.1f32, -0.7, 0.3], [Some(0.9f32), None, Some(-0.2)]);
        let (value, errors) = compare(&Loss::SquaredError, &outputs, Targets::Some(&targets));
        let expected = [0.9 - 0.1, 0.0, -0.2f32 - 0.3];
        assert_eq!(errors, expected);
        assert_eq!(value, 0.5 * expected[2].mul_add(expected[2], expected[0] * expected[0]));
    }

    /// From torch 2.15, in float64:
    ///
    /// ```python
    /// o = torch.tensor([1.5, -0.25, 0.75, -3.0], dtype=torch.float64, requires_grad=True)
    /// d = torch.tensor([1.0, 0.25, 0.0, 0.9], dtype=torch.float64)
    /// q = torch.tensor([0.1, 0.2, 0.65, 0.0505], dtype=torch.float64)
    /// for J in (F.binary_cross_entropy_with_logits(o, d, reduction="sum"),
    ///           F.cross_entropy(o[None], q[None], reduction="sum"),
    ///           F.huber_loss(o, d, delta=0.6, reduction="sum")):
    ///     print(J.item(), (-torch.autograd.grad(J, o)[0]).tolist())
    /// ```
    #[test]
    #[allow(clippy::unreadable_literal, reason = "as torch prints them")]
    fn values_and_errors_are_those_of_torch() {
        let binary = [0.18242552380635635, -0.18782349911420193, -0.679178699175393];
        let softmax = [-0.5037111517542531, 0.09509073245465335, 0.3648270443945359];
        let pinned = [
            (Loss::BinaryCrossEntropy, LABELS, 4.725311055550238, binary, 0.8525741268224333),
            (Loss::SoftmaxCrossEntropy, CLASSES, 1.570161875695745, softmax, 0.04379337490506373),
            (Loss::Huber { delta: 0.6 }, LABELS, 2.68, [-0.5, 0.5, -0.6], 0.6),
        ];
        for (loss, labels, value, [a, b, c], d) in pinned {
            let (got, errors) = compare(&loss, &OUTPUTS, Targets::All(&labels));
            assert_abs_diff_eq!(got, value, epsilon = 1e-14);
            assert_abs_diff_eq!(errors[..], [a, b, c, d], epsilon = 1e-14);
        }
    }

    fn check_extremes<T: Real>() {
        let outputs = [-1e30, 1e30, 500.0, -500.0, 0.0].map(T::from_f64);
        let (half, fifth) = (T::from_f64(0.5), T::from_f64(0.2));
        for loss in
            [Loss::BinaryCrossEntropy, Loss::Huber { delta: 1e-3 }, Loss::Huber { delta: 2.0 }]
        {
            for label in [T::ZERO, half, T::ONE] {
                let (value, errors) = compare(&loss, &outputs, Targets::All(&[label; 5]));
                assert!(value.is_finite() && errors.iter().all(|e| e.is_finite()), "{loss:?}");
                assert!(errors.iter().all(|e| e.abs() <= T::from_f64(2.0)), "{loss:?} {errors:?}");
            }
        }
        let (value, errors) =
            compare(&Loss::SoftmaxCrossEntropy, &outputs, Targets::All(&[fifth; 5]));
        assert!(value.is_finite(), "{value}");
        assert_eq!(errors[0], fifth);
        assert!((errors[1] + T::from_f64(0.8)).abs() < T::from_f64(1e-6), "{errors:?}");
    }

    #[test]
    fn extreme_outputs_stay_finite() {
        check_extremes::<f32>();
        check_extremes::<f64>();
    }

    /// A sure and right answer still has a loss that is above 0, also in single precision.
    #[test]
    fn small_losses_are_not_lost() {
        let (value, _) = compare(&Loss::BinaryCrossEntropy, &[40.0f32], Targets::All(&[1.0]));
        assert_relative_eq!(value, (-40.0f32).exp(), max_relative = 1e-5);
        let sure = [40.0f32, 0.0];
        let (value, _) = compare(&Loss::SoftmaxCrossEntropy, &sure, Targets::All(&[1.0, 0.0]));
        assert_relative_eq!(value, (-40.0f32).exp(), max_relative = 1e-5);
    }

    fn network(activations: [Activation; 2], readout: bool) -> Network<f64> {
        let mut builder = Network::builder(2, 0).activations(activations);
        if readout {
            builder = builder.readout(Readout::new(2));
        }
        builder.build().unwrap()
    }

    #[test]
    fn labels_that_no_distribution_has_are_refused() {
        let layers = network([Activation::Tanh, Activation::Tanh], true);
        let refused = |loss: &Loss<f64>, targets: Targets<'_, f64>| {
            loss.check_targets(3, &layers, &targets).err().map(|error| error.to_string())
        };
        let message = |text: &str| Some(format!("step 3, labels: got {text}"));
        let (binary, softmax) = (Loss::BinaryCrossEntropy, Loss::SoftmaxCrossEntropy);
        for loss in [&binary, &softmax] {
            let range = refused(loss, Targets::All(&[0.0, 1.5]));
            assert_eq!(range, message("1.5 for output 1, expected a number from 0 to 1"));
            assert!(refused(loss, Targets::Some(&[Some(-1e-9), None])).is_some());
            assert_eq!(refused(loss, Targets::None), None);
            assert_eq!(refused(loss, Targets::Some(&[None, None])), None);
            assert_eq!(refused(loss, Targets::All(&[0.3, 0.7])), None);
            assert!(refused(loss, Targets::All(&[0.3, f64::NAN])).is_some());
            assert!(refused(loss, Targets::All(&[0.3])).is_some());
        }
        let part = [Some(1.0), None];
        assert_eq!(refused(&binary, Targets::Some(&part)), None);
        let expected = message("1 of 2, expected all or none with softmax");
        assert_eq!(refused(&softmax, Targets::Some(&part)), expected);
        assert_eq!(refused(&softmax, Targets::All(&[0.3, 0.7004])), None);
        let expected = message("a sum of 1.25, expected 1 within 0.001");
        assert_eq!(refused(&softmax, Targets::All(&[0.5, 0.75])), expected);
        assert_eq!(refused(&Loss::SquaredError, Targets::All(&[-3.0, 5.0])), None);
    }

    #[test]
    fn cross_entropies_are_refused_without_logits() {
        let fits = |loss: Loss<f64>, activations, readout| {
            loss.check(&network(activations, readout)).map_err(|error| error.to_string())
        };
        let (binary, softmax) = (|| Loss::BinaryCrossEntropy, || Loss::SoftmaxCrossEntropy);
        let (saturated, mixed) =
            ([Activation::Tanh, Activation::Logistic], [Activation::Identity, Activation::Tanh]);
        let linear = [Activation::Identity, Activation::Identity];
        for loss in [binary, softmax as fn() -> Loss<f64>] {
            assert!(fits(loss(), saturated.clone(), true).is_ok());
            assert!(fits(loss(), saturated.clone(), false).is_err());
            assert!(fits(loss(), linear.clone(), false).is_ok());
        }
        assert!(fits(binary(), mixed.clone(), false).is_ok());
        let message = fits(softmax(), mixed.clone(), false).unwrap_err();
        assert!(message.contains("got tanh, expected identity or a readout"), "{message}");
        assert!(fits(Loss::SquaredError, saturated, false).is_ok());
        let layers = network(mixed, false);
        let check = |targets: [Option<f64>; 2]| {
            Loss::BinaryCrossEntropy.check_targets(0, &layers, &Targets::Some(&targets))
        };
        assert!(check([Some(1.0), None]).is_ok());
        assert!(matches!(check([None, Some(1.0)]), Err(Error::Labels { .. })));
    }

    #[test]
    fn deltas_that_mean_nothing_are_refused() {
        let layers = network([Activation::Tanh, Activation::Tanh], false);
        for delta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Loss::Huber { delta }.check(&layers).is_err(), "{delta}");
        }
        assert!(Loss::Huber { delta: 1e-3 }.check(&layers).is_ok());
        assert!(check_delta::<f32>(1e-60).is_err());
    }

    #[test]
    fn names_lead_back_to_the_losses() {
        for (loss, _) in all() {
            let name = loss.saved_name();
            match name.parse::<Loss<f64>>() {
                Ok(read) => assert_eq!(read.saved_name(), name),
                Err(error) => assert_eq!(name, "custom:quartic", "{error}"),
            }
        }
        for name in ["huber", "huber:-1", "huber:x", "mse", ""] {
            assert!(name.parse::<Loss<f32>>().is_err(), "{name}");
        }
    }
}
