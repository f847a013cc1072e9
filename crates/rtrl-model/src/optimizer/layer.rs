//! The state of the optimiser for one matrix of weights, and its next values.

use rtrl_kernel::{Isa, Real, descend};

use super::clip::Clip;
use super::custom::CustomState;
use super::moments::Moments;
use super::rule::{Optimizer, Rule};
use crate::{Error, Matrix};

/// The state of the optimiser for one layer, and buffers for the next one, because a failed update
/// must change nothing.
#[derive(Debug, Clone)]
pub(super) struct LayerState<T> {
    /// The moments that the optimiser has.
    first: Option<Moments<T>>,
    second: Option<Moments<T>>,
    /// Those of a custom rule.
    custom: Option<CustomState<T>>,
    /// 1 where weight decay acts, else 0; `None` without decay.
    decays: Option<Matrix<T>>,
    pub(super) next_weights: Matrix<T>,
}

/// What multiplies the directions and the weights of one layer in one update.
pub(super) struct Rates<T> {
    /// The learning rate, divided by Adam's first bias correction.
    pub(super) step: T,
    /// The learning rate times the weight decay.
    pub(super) decay: T,
}

impl<T: Real> Rates<T> {
    /// The rates of a layer whose learning rate is `rate` in this update.
    pub(super) fn new(rate: f64, weight_decay: f64, rule: &Rule<T>) -> Self {
        Self { step: T::from_f64(rate / rule.bias), decay: T::from_f64(rate * weight_decay) }
    }
}

impl<T: Real> LayerState<T> {
    /// A state of zeros for `weights`; `decays` says where weight decay acts, and `learning` which
    /// weights learn, row by row.
    pub(super) fn new(
        optimizer: &Optimizer,
        weights: &Matrix<T>,
        decays: Option<Matrix<T>>,
        learning: impl FnOnce() -> Vec<bool>,
    ) -> Result<Self, Error> {
        let (first, second) = match optimizer {
            Optimizer::Sgd { .. } | Optimizer::Custom { .. } => (None, None),
            Optimizer::Momentum { .. } => (Some("momentum"), None),
            Optimizer::RmsProp { .. } => (None, Some("second_moment")),
            Optimizer::Adam { .. } => (Some("first_moment"), Some("second_moment")),
        };
        let custom = match optimizer {
            Optimizer::Custom { rule, .. } => Some(CustomState::new(rule, weights, learning())?),
            _ => None,
        };
        let first = first.map(|name| Moments::zeros(name, weights)).transpose()?;
        let second = second.map(|name| Moments::squares(name, weights)).transpose()?;
        let next_weights = Matrix::zeros(weights.rows(), weights.columns())?;
        Ok(Self { first, second, custom, decays, next_weights })
    }

    /// Computes the next weights and moments; says whether all of them are finite.
    #[inline]
    pub(super) fn prepare(
        &mut self,
        isa: Isa,
        rule: &Rule<T>,
        (clip, rates): (Option<&Clip<T>>, &Rates<T>),
        weights: &[T],
        gradient: &[T],
    ) -> bool {
        if !self.has_moments() && self.decays.is_none() && clip.is_none() {
            let next = self.next_weights.padded_mut();
            // All three have the same shape.
            return descend(isa, rates.step, weights, gradient, next).unwrap_or(false);
        }
        self.prepare_moments(rule, (clip, rates), weights, gradient)
    }

    /// [`LayerState::prepare`] of everything but plain descent.
    fn prepare_moments(
        &mut self,
        rule: &Rule<T>,
        (clip, rates): (Option<&Clip<T>>, &Rates<T>),
        weights: &[T],
        gradient: &[T],
    ) -> bool {
        let finite = self.find_direction(rule, clip, gradient);
        let found = self.custom.as_mut().is_none_or(|custom| {
            custom.find_direction(rule.update, weights, &mut self.next_weights)
        });
        finite & found & self.follow_direction(rates, weights)
    }

    fn has_moments(&self) -> bool {
        self.first.is_some() || self.second.is_some() || self.custom.is_some()
    }

    /// Writes the direction, not yet multiplied by the rate, to the buffer of the next weights, and
    /// the next moments; says whether the moments are finite.
    fn find_direction(&mut self, rule: &Rule<T>, clip: Option<&Clip<T>>, gradient: &[T]) -> bool {
        let direction = self.next_weights.padded_mut();
        for (place, &gradient) in direction.iter_mut().zip(gradient) {
            *place = clip.map_or(gradient, |clip| clip.limit(gradient));
        }
        let mut finite = true;
        let second = rule.second.as_ref().zip(self.second.as_mut());
        let second = second.map(|(scale, moments)| {
            let average = &scale.average;
            finite &= moments.advance(direction, |v, g| average.decay * v + average.rest * g * g);
            (scale, moments.next.padded())
        });
        if let Some((average, moments)) = rule.first.as_ref().zip(self.first.as_mut()) {
            finite &= moments.advance(direction, |m, g| average.decay * m + average.rest * g);
            direction.copy_from_slice(moments.next.padded());
        }
        if let Some((scale, moments)) = second {
            for (place, &v) in direction.iter_mut().zip(moments) {
                *place = *place / (v.sqrt() / scale.root_bias + scale.epsilon);
            }
        }
        finite
    }

    /// Computes the next weights from the direction; returns whether they are finite.
    fn follow_direction(&mut self, rates: &Rates<T>, weights: &[T]) -> bool {
        let places = self.next_weights.padded_mut().iter_mut().zip(weights);
        let mut finite = true;
        match &self.decays {
            None => {
                for (next, &weight) in places {
                    *next = weight - rates.step * *next;
                    finite &= next.is_finite();
                }
            }
            Some(decays) => {
                for ((next, &weight), &decays) in places.zip(decays.padded()) {
                    let decayed = weight - rates.decay * decays * weight;
                    *next = decayed - rates.step * *next;
                    finite &= next.is_finite();
                }
            }
        }
        finite
    }

    /// Applies the prepared update.
    pub(super) fn commit(&mut self, weights: &mut Matrix<T>) {
        std::mem::swap(weights, &mut self.next_weights);
        if self.has_moments() {
            for moments in self.all_moments_mut() {
                std::mem::swap(&mut moments.now, &mut moments.next);
            }
        }
    }

    /// The moments, in the order of the file.
    pub(super) fn moments(&self) -> impl Iterator<Item = &Moments<T>> {
        let custom = self.custom.iter().flat_map(|custom| &custom.moments);
        self.first.iter().chain(&self.second).chain(custom)
    }

    /// The names of [`LayerState::moments`], and the present matrices, to be replaced.
    pub(super) fn moments_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Matrix<T>)> {
        self.all_moments_mut().map(|moments| (moments.name, &mut moments.now))
    }

    fn all_moments_mut(&mut self) -> impl Iterator<Item = &mut Moments<T>> {
        let custom = self.custom.iter_mut().flat_map(|custom| &mut custom.moments);
        self.first.iter_mut().chain(&mut self.second).chain(custom)
    }
}
