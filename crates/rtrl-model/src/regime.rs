//! When the weights change.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

/// The learning regime (Williams & Zipser 1989, sections 2.1 to 2.3). Teacher forcing goes with either
/// and is a switch of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regime {
    /// The basic algorithm: the weights stand still while the gradient adds up;
    /// [`Learner::end_epoch`](crate::Learner::end_epoch) applies the sum.
    Epochwise,
    /// The weights change while the network runs.
    RealTime {
        /// When a gradient is applied.
        timing: Timing,
        /// The weights change at every step whose number is a multiple of this; between, gradients add up.
        every: NonZeroUsize,
    },
}

/// When a gradient of the real-time regime is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timing {
    /// Before the next step runs.
    #[default]
    Immediate,
    /// The paper's order: the next y and p are computed with the old weights, then it is applied.
    /// [`Learner::finish`](crate::Learner::finish) applies the last one.
    AfterNextStep,
}

impl Regime {
    /// Real-time learning with an update after every step.
    pub fn real_time() -> Self {
        Self::RealTime { timing: Timing::Immediate, every: NonZeroUsize::MIN }
    }

    /// The name as it stands in case files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epochwise => "epochwise",
            Self::RealTime { .. } => "real-time",
        }
    }

    /// Whether gradients of several steps add up before they are applied.
    pub(crate) fn accumulates(self) -> bool {
        match self {
            Self::Epochwise => true,
            Self::RealTime { every, .. } => every.get() > 1,
        }
    }
}

impl Default for Regime {
    fn default() -> Self {
        Self::real_time()
    }
}
