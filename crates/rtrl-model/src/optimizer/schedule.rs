//! How the learning rate changes with the number of updates.

use std::f64::consts::PI;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::check_setting;

/// The factor of the learning rate at update u = 0, 1, …, computed in double precision without any
/// function of the platform. Updates are counted, not steps. Refused updates do not count, and a
/// reset of the state does not affect the count.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RateSchedule {
    /// 1
    #[default]
    Constant,
    /// `factor^floor(u / every)`, as `torch.optim.lr_scheduler.StepLR`.
    Step {
        /// Updates from one step to the next.
        every: NonZeroU64,
        /// The factor of each step.
        factor: f64,
    },
    /// `1 / (1 + decay u)` (Robbins & Monro 1951).
    InverseTime {
        /// The growth of the denominator per update.
        decay: f64,
    },
    /// `floor + (1 - floor) (1 + cos(π u / updates)) / 2` for u < `updates`, then `floor`: half a
    /// cosine, without restarts (Loshchilov & Hutter 2017).
    Cosine {
        /// U, updates until the floor is reached.
        updates: NonZeroU64,
        /// The last factor, from 0 to 1.
        floor: f64,
    },
    /// A custom schedule; see [`RateSchedule::custom`].
    Custom(CustomSchedule),
}

/// A custom schedule, of which a file stores only the name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomSchedule {
    name: String,
    /// `None` in settings that were read from a file.
    #[serde(skip)]
    factor: Option<Arc<dyn Fn(u64) -> f64 + Send + Sync>>,
}

impl fmt::Debug for CustomSchedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CustomSchedule({})", self.name)
    }
}

impl RateSchedule {
    /// A custom schedule: the factor at update u. An update whose factor is negative or not finite
    /// is refused.
    ///
    /// Results are the same on every machine if those of the function are. A file stores only the
    /// name; a program that reads it supplies the function, with
    /// [`UpdateSettings::supply`](super::UpdateSettings::supply).
    pub fn custom(name: &str, factor: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Custom(CustomSchedule { name: name.to_owned(), factor: Some(Arc::new(factor)) })
    }

    /// Fails unless every constant is in its range and a custom function has been supplied.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Constant => Ok(()),
            Self::Step { factor, .. } => check_setting("factor of the schedule", *factor, 0.0),
            Self::InverseTime { decay } => check_setting("decay of the schedule", *decay, 0.0),
            Self::Cosine { floor, .. } if (0.0..=1.0).contains(floor) => Ok(()),
            Self::Cosine { floor, .. } => Err(Error::Setting {
                what: "floor of the schedule",
                expected: "a number from 0 to 1".to_owned(),
                got: floor.to_string(),
            }),
            Self::Custom(custom) => custom.check(),
        }
    }

    /// The factor at update `update`, from 0; `None` unless it is finite and not negative.
    #[inline]
    pub(super) fn factor(&self, update: u64) -> Option<f64> {
        if let Self::Constant = self { Some(1.0) } else { self.varying(update) }
    }

    /// [`RateSchedule::factor`] of a schedule that may vary.
    #[inline(never)]
    fn varying(&self, update: u64) -> Option<f64> {
        let u = update as f64;
        let factor = match self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => libm::pow(*factor, (update / every.get()) as f64),
            Self::InverseTime { decay } => 1.0 / (1.0 + decay * u),
            Self::Cosine { updates, floor } if update < updates.get() => {
                let cosine = libm::cos(PI * u / updates.get() as f64);
                floor + (1.0 - floor) * (1.0 + cosine) / 2.0
            }
            Self::Cosine { floor, .. } => *floor,
            Self::Custom(CustomSchedule { factor, .. }) => factor.as_ref()?(update),
        };
        (factor.is_finite() && factor >= 0.0).then_some(factor)
    }

    /// Takes over the function of `other` if it has the same name.
    pub(super) fn supply(&mut self, other: Option<&Self>) -> Result<(), Error> {
        let Self::Custom(custom) = self else { return Ok(()) };
        if let Some(Self::Custom(other)) = other
            && other.name == custom.name
            && other.factor.is_some()
        {
            custom.factor.clone_from(&other.factor);
        }
        custom.check()
    }
}

impl CustomSchedule {
    fn check(&self) -> Result<(), Error> {
        if self.factor.is_some() {
            return Ok(());
        }
        let expected = "a schedule whose function has been supplied".to_owned();
        let got = format!("{:?}, which was read from a file", self.name);
        Err(Error::Setting { what: "schedule of the learning rate", expected, got })
    }
}
