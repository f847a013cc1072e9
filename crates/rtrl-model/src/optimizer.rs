//! From a gradient to a change of the weights.
//!
//! The chain: clip by value, then clip by the joint norm of all gradients, then the optimiser. Formulas
//! and defaults are those of `torch.optim` and `torch.nn.utils.clip_grad_norm_`.

use rtrl_kernel::{Isa, Real, descend};

use crate::error::{Quantity, check_setting};
use crate::gradient::Gradient;
use crate::network::Layers;
use crate::{Error, Matrix};

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
    fn check<T: Real>(self) -> Result<(), Error> {
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

/// Limits on a gradient; by default there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Clipping {
    /// Largest absolute value of a component.
    pub value: Option<f64>,
    /// Largest joint Euclidean norm of the gradients of units and readout.
    pub norm: Option<f64>,
}

impl Clipping {
    fn check(self) -> Result<(), Error> {
        for (what, limit) in [("the clip value", self.value), ("the clip norm", self.norm)] {
            check_setting(what, limit.unwrap_or(0.0), 0.0)?;
        }
        Ok(())
    }
}

/// An optimiser with its state.
#[derive(Debug, Clone)]
pub(crate) struct Updater<T> {
    optimizer: Optimizer,
    clipping: Clipping,
    updates: u64,
    layers: Vec<LayerState<T>>,
}

/// The state of the optimiser for one layer, and room for the next one: an update that fails must
/// leave no trace.
#[derive(Debug, Clone)]
struct LayerState<T> {
    /// The first and second moment, where the optimiser has them, now and after the update.
    moments: Option<[Moments<T>; 2]>,
    next_weights: Matrix<T>,
}

#[derive(Debug, Clone)]
struct Moments<T> {
    now: Matrix<T>,
    next: Matrix<T>,
}

impl<T: Real> Moments<T> {
    fn zeros(like: &Matrix<T>) -> Result<Self, Error> {
        let zeros = || Matrix::zeros(like.rows(), like.columns());
        Ok(Self { now: zeros()?, next: zeros()? })
    }
}

impl<T: Real> Updater<T> {
    /// An optimiser for these layers.
    pub(crate) fn new(
        optimizer: Optimizer,
        clipping: Clipping,
        layers: &Layers<T>,
    ) -> Result<Self, Error> {
        optimizer.check::<T>()?;
        clipping.check()?;
        let adaptive = matches!(optimizer, Optimizer::Adam { .. });
        let layer = |like: &Matrix<T>| {
            let moments = || Ok::<_, Error>([Moments::zeros(like)?, Moments::zeros(like)?]);
            let next_weights = Matrix::zeros(like.rows(), like.columns())?;
            Ok(LayerState { moments: adaptive.then(moments).transpose()?, next_weights })
        };
        let layers = layers.matrices().map(layer).collect::<Result<_, Error>>()?;
        Ok(Self { optimizer, clipping, updates: 0, layers })
    }

    /// Number of updates so far.
    pub(crate) fn updates(&self) -> u64 {
        self.updates
    }

    /// Changes the weights of every layer, or, if anything would not be finite, none of them.
    ///
    /// # Errors
    /// What is not finite.
    pub(crate) fn apply(
        &mut self,
        layers: &mut Layers<T>,
        gradient: &Gradient<T>,
    ) -> Result<(), Quantity> {
        let (clip, isa) = (self.clip(gradient)?, layers.isa);
        let rule = Rule::new(self.optimizer, self.updates + 1);
        let places = self.layers.iter_mut().zip(layers.matrices()).zip(gradient.matrices());
        for ((layer, weights), gradient) in places {
            if !layer.prepare(isa, &rule, &clip, weights.padded(), gradient.padded()) {
                return Err(Quantity::Weights);
            }
        }
        for (layer, weights) in self.layers.iter_mut().zip(layers.matrices_mut()) {
            layer.commit(weights);
        }
        self.updates += 1;
        Ok(())
    }

    fn clip(&self, gradient: &Gradient<T>) -> Result<Clip<T>, Quantity> {
        let value = self.clipping.value.map(T::from_f64);
        // A limit would make a finite number of an infinite one.
        let finite = |layer: &Matrix<T>| layer.padded().iter().fold(true, |a, g| a & g.is_finite());
        if value.is_some() && !gradient.matrices().all(finite) {
            return Err(Quantity::Gradient);
        }
        let mut clip = Clip { value, factor: T::ONE };
        if let Some(limit) = self.clipping.norm {
            let squares = gradient.matrices().map(|layer| clip.sum_of_squares(layer.padded()));
            let norm = squares.sum::<f64>().sqrt();
            if !norm.is_finite() {
                return Err(Quantity::GradientNorm);
            }
            clip.factor = T::from_f64((limit / (norm + 1e-6)).min(1.0));
        }
        Ok(clip)
    }
}

impl<T: Real> LayerState<T> {
    /// Computes the next weights and moments; says whether all of them are finite.
    fn prepare(
        &mut self,
        isa: Isa,
        rule: &Rule<T>,
        clip: &Clip<T>,
        weights: &[T],
        gradient: &[T],
    ) -> bool {
        let next = self.next_weights.padded_mut();
        if self.moments.is_none() && clip.is_none() {
            // All three have the same shape.
            return descend(isa, rule.rate, weights, gradient, next).unwrap_or(false);
        }
        let places = next.iter_mut().zip(weights).zip(gradient);
        let mut finite = true;
        let Some([first, second]) = &mut self.moments else {
            for ((next, &weight), &gradient) in places {
                *next = weight - rule.rate * clip.limit(gradient);
                finite &= next.is_finite();
            }
            return finite;
        };
        let first = first.next.padded_mut().iter_mut().zip(first.now.padded());
        let second = second.next.padded_mut().iter_mut().zip(second.now.padded());
        for (((next, &weight), &gradient), ((m, &m_now), (v, &v_now))) in
            places.zip(first.zip(second))
        {
            let gradient = clip.limit(gradient);
            *m = rule.beta1 * m_now + rule.rest1 * gradient;
            *v = rule.beta2 * v_now + rule.rest2 * gradient * gradient;
            *next = weight - rule.rate * (*m / (v.sqrt() / rule.root_bias + rule.epsilon));
            finite &= m.is_finite() & v.is_finite() & next.is_finite();
        }
        finite
    }

    /// Makes what was prepared current.
    fn commit(&mut self, weights: &mut Matrix<T>) {
        std::mem::swap(weights, &mut self.next_weights);
        for moments in self.moments.iter_mut().flatten() {
            std::mem::swap(&mut moments.now, &mut moments.next);
        }
    }
}

/// The constants of one update in the precision of the weights.
struct Rule<T> {
    /// The learning rate, divided by Adam's first bias correction.
    rate: T,
    beta1: T,
    beta2: T,
    /// `1 - beta1` and `1 - beta2`, rounded after the subtraction.
    rest1: T,
    rest2: T,
    epsilon: T,
    /// The square root of Adam's second bias correction.
    root_bias: T,
}

impl<T: Real> Rule<T> {
    fn new(optimizer: Optimizer, update: u64) -> Self {
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

/// How the components of one gradient are limited.
struct Clip<T> {
    value: Option<T>,
    factor: T,
}

impl<T: Real> Clip<T> {
    /// Whether nothing is limited.
    fn is_none(&self) -> bool {
        self.value.is_none() && self.factor == T::ONE
    }

    fn limit(&self, gradient: T) -> T {
        let within = match self.value {
            Some(limit) if gradient > limit => limit,
            Some(limit) if gradient < -limit => -limit,
            _ => gradient,
        };
        within * self.factor
    }

    /// The sum of squares in double precision, in eight lanes that are then added pairwise.
    fn sum_of_squares(&self, gradient: &[T]) -> f64 {
        let mut lanes = [0.0; 8];
        for values in gradient.as_chunks::<8>().0 {
            for (lane, &value) in lanes.iter_mut().zip(values) {
                let value = self.limit(value).to_f64();
                *lane += value * value;
            }
        }
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}
