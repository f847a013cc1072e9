//! When the weights change.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::check_count;

/// The learning regime (Williams & Zipser 1989, sections 2.1 to 2.3). Teacher forcing is a separate
/// switch and combines with either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regime {
    /// The basic algorithm: the weights are constant while the gradient accumulates;
    /// [`Learner::end_epoch`](crate::Learner::end_epoch) applies the sum.
    Epochwise,
    /// The weights change while the network runs.
    RealTime {
        /// When a gradient is applied.
        timing: Timing,
        /// The weights change at every step whose number, from 1, is a multiple of this; in
        /// between, gradients accumulate. At least 1.
        every: usize,
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
        Self::RealTime { timing: Timing::Immediate, every: 1 }
    }

    /// Fails unless the interval between updates is at least 1.
    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Self::Epochwise => Ok(()),
            Self::RealTime { every, .. } => check_count("interval between updates", every),
        }
    }

    /// The name in case files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epochwise => "epochwise",
            Self::RealTime { .. } => "real-time",
        }
    }

    /// Whether gradients of several steps accumulate before they are applied.
    pub(crate) fn accumulates(self) -> bool {
        match self {
            Self::Epochwise => true,
            Self::RealTime { every, .. } => every > 1,
        }
    }
}

impl Default for Regime {
    fn default() -> Self {
        Self::real_time()
    }
}
