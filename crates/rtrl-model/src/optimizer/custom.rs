//! Custom optimisers.

use std::fmt;
use std::sync::Arc;

use rtrl_kernel::{Limit, Real};
use serde::{Deserialize, Serialize};

use super::moments::Moments;
use crate::{Error, Matrix};

/// A custom rule that turns the gradient of a weight into a direction; see
/// [`Optimizer::custom`](super::Optimizer::custom).
///
/// The rule is applied weight by weight, in double precision whatever the precision of the network.
/// Results are the same on every machine if those of the function are.
pub trait CustomOptimizer: fmt::Debug + Send + Sync {
    /// The name of the rule in files.
    fn name(&self) -> &str;

    /// Names of the numbers that the rule keeps for each weight, for example `momentum`. Each is a
    /// matrix of the shape of the weights that starts at 0 and is stored in checkpoints.
    fn moments(&self) -> &[&'static str] {
        &[]
    }

    /// The direction d of a weight in update u = 1, 2, ...: `w -= rate * d`.
    ///
    /// `gradient` has been clipped. `moments` holds the numbers of this weight, in the order of
    /// [`CustomOptimizer::moments`], to be replaced. If a direction or a moment is not finite in
    /// the precision of the network, the update is refused and nothing has changed.
    fn direction(&self, update: u64, weight: f64, gradient: f64, moments: &mut [f64]) -> f64;
}

/// A custom rule, of which a file stores only the name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomRule {
    name: String,
    /// `None` in settings that were read from a file.
    #[serde(skip)]
    rule: Option<Arc<dyn CustomOptimizer>>,
}

impl fmt::Debug for CustomRule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CustomRule({})", self.name)
    }
}

/// Rules of one name are the same rule.
impl PartialEq for CustomRule {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl CustomRule {
    pub(super) fn new(rule: impl CustomOptimizer + 'static) -> Self {
        Self { name: rule.name().to_owned(), rule: Some(Arc::new(rule)) }
    }

    /// Takes over the rule of `other` if it has the same name.
    pub(super) fn supply(&mut self, other: &Self) {
        if *self == *other {
            self.rule.clone_from(&other.rule);
        }
    }

    /// The rule itself.
    ///
    /// # Errors
    /// [`Error::Setting`] if it was read from a file and has not been supplied, or if two of its
    /// moments have one name.
    pub(super) fn get(&self) -> Result<&Arc<dyn CustomOptimizer>, Error> {
        let refused = |expected: &str, got: String| {
            Err(Error::Setting { what: "optimiser", expected: expected.to_owned(), got })
        };
        let Some(rule) = &self.rule else {
            let got = format!("{:?}, which was read from a file", self.name);
            return refused("a custom rule that has been supplied", got);
        };
        let names = rule.moments();
        match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            Some((_, name)) => refused("moments of different names", format!("{name:?} twice")),
            None => Ok(rule),
        }
    }
}

/// The moments of a custom rule for one matrix of weights.
#[derive(Debug, Clone)]
pub(super) struct CustomState<T> {
    rule: Arc<dyn CustomOptimizer>,
    pub(super) moments: Vec<Moments<T>>,
    /// Whether a weight learns, row by row; the rule is not called for others.
    learning: Vec<bool>,
    /// Room for the moments of one weight.
    scratch: Vec<f64>,
    /// The directions of the last update.
    pub(super) direction: Matrix<T>,
}

impl<T: Real> CustomState<T> {
    pub(super) fn new(
        rule: &CustomRule,
        weights: &Matrix<T>,
        learning: Vec<bool>,
    ) -> Result<Self, Error> {
        let rule = Arc::clone(rule.get()?);
        let moments = rule.moments().iter().map(|name| Moments::zeros(name, weights));
        let moments = moments.collect::<Result<Vec<_>, _>>()?;
        let direction = weights.zeros_like()?;
        Ok(Self { scratch: vec![0.0; moments.len()], rule, moments, learning, direction })
    }

    /// Computes the directions from the gradient after `limit`, and the next moments; returns
    /// whether these are finite. `weights` and `gradient` are padded like the matrix.
    pub(super) fn find_direction(
        &mut self,
        update: u64,
        limit: Option<Limit<T>>,
        weights: &[T],
        gradient: &[T],
    ) -> bool {
        let (columns, stride) = (self.direction.columns(), self.direction.stride());
        let rows = self.direction.rows();
        let places = (0..rows).flat_map(|i| (0..columns).map(move |j| i * stride + j));
        let direction = self.direction.padded_mut();
        match limit {
            Some(limit) => {
                for (place, &gradient) in direction.iter_mut().zip(gradient) {
                    *place = limit.apply(gradient);
                }
            }
            None => direction.copy_from_slice(gradient),
        }
        let mut finite = true;
        for (place, _) in places.zip(&self.learning).filter(|(_, learns)| **learns) {
            for (value, moment) in self.scratch.iter_mut().zip(&self.moments) {
                *value = moment.now.padded()[place].to_f64();
            }
            let (weight, gradient) = (weights[place].to_f64(), direction[place].to_f64());
            let found = self.rule.direction(update, weight, gradient, &mut self.scratch);
            direction[place] = T::from_f64(found);
            for (&value, moment) in self.scratch.iter().zip(&mut self.moments) {
                let value = T::from_f64(value);
                finite &= value.is_finite();
                // As with the other optimisers.
                let value = if value.abs() < T::SMALLEST { value * T::ZERO } else { value };
                moment.next.padded_mut()[place] = value;
            }
        }
        finite
    }
}
