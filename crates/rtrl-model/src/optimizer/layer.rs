//! The state of the optimiser for one matrix of weights, and its next values.

use rtrl_kernel::{Isa, Limit, Real, Update, descend};

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
    /// Whether there are neither moments nor a decay.
    is_plain: bool,
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
        let next_weights = weights.zeros_like()?;
        let has_moments = first.is_some() || second.is_some() || custom.is_some();
        let is_plain = !has_moments && decays.is_none();
        Ok(Self { first, second, custom, decays, next_weights, is_plain })
    }

    /// Computes the next weights and moments; says whether all of them are finite.
    #[inline]
    pub(super) fn prepare(
        &mut self,
        isa: Isa,
        rule: &Rule<T>,
        (limit, rates): (Option<Limit<T>>, &Rates<T>),
        weights: &[T],
        gradient: &[T],
    ) -> bool {
        if self.is_plain && limit.is_none() {
            let next = self.next_weights.padded_mut();
            // All matrices have the same shape.
            return descend(isa, rates.step, weights, gradient, next).unwrap_or(false);
        }
        self.prepare_all(isa, rule, (limit, rates), weights, gradient)
    }

    /// [`LayerState::prepare`] of everything but plain descent.
    #[inline(never)]
    fn prepare_all(
        &mut self,
        isa: Isa,
        rule: &Rule<T>,
        (limit, rates): (Option<Limit<T>>, &Rates<T>),
        weights: &[T],
        gradient: &[T],
    ) -> bool {
        let (gradient, limit, finite) = match &mut self.custom {
            Some(custom) => {
                let finite = custom.find_direction(rule.update, limit, weights, gradient);
                (custom.direction.padded(), None, finite)
            }
            None => (gradient, limit, true),
        };
        let decays = self.decays.as_ref();
        let next = &mut self.next_weights;
        let update = Update {
            width: next.columns(),
            stride: next.stride(),
            rate: rates.step,
            weights,
            gradient,
            limit,
            first: rule.first.zip(self.first.as_mut().map(Moments::for_update)),
            second: rule.second.zip(self.second.as_mut().map(Moments::for_update)),
            decay: decays.map(|mask| (rates.decay, mask.padded())),
            next: next.padded_mut(),
        };
        update.apply(isa).unwrap_or(false) & finite
    }

    /// Applies the prepared update.
    #[inline]
    pub(super) fn commit(&mut self, weights: &mut Matrix<T>) {
        std::mem::swap(weights, &mut self.next_weights);
        if !self.is_plain {
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
