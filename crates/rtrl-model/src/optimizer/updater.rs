//! The weights' way from one update to the next: all of them change, or none.

use rtrl_kernel::{Isa, Real, descend};

use super::clip::Clip;
use super::rule::Rule;
use super::{Clipping, Optimizer};
use crate::error::Quantity;
use crate::gradient::Gradient;
use crate::network::Layers;
use crate::{Error, Matrix};

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
        let (clip, isa) = (Clip::new(self.clipping, gradient)?, layers.isa);
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
