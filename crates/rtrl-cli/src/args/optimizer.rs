//! The optimisers by name.

use clap::ValueEnum;
use rtrl_model::{Optimizer, UpdateSettings};
use serde::{Deserialize, Serialize};

/// The optimiser of a training run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OptimizerName {
    /// Plain gradient descent
    Sgd,
    /// Gradient descent with momentum 0.9
    Momentum,
    /// Gradient descent, each component divided by its running root mean square
    Rmsprop,
    /// Adam with its usual constants
    Adam,
    /// Adam with weight decay 0.01
    Adamw,
}

impl OptimizerName {
    /// The name, as on the command line.
    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// The default learning rate: the rate of momentum grows tenfold while a gradient lasts, and
    /// the other optimisers divide each component by its size. The errors of classes are at most 1.
    pub(super) fn learning_rate(self, is_class: bool) -> f64 {
        match self {
            Self::Sgd if is_class => 0.05,
            Self::Sgd => 0.02,
            Self::Momentum => 0.002,
            Self::Rmsprop | Self::Adam | Self::Adamw => 0.0005,
        }
    }

    /// The optimiser with this learning rate.
    pub(crate) fn settings(self, rate: f64) -> UpdateSettings {
        match self {
            Self::Sgd => Optimizer::sgd(rate).into(),
            Self::Momentum => Optimizer::momentum(rate, 0.9).into(),
            Self::Rmsprop => Optimizer::rmsprop(rate).into(),
            Self::Adam => Optimizer::adam(rate).into(),
            Self::Adamw => UpdateSettings::adamw(rate),
        }
    }
}
