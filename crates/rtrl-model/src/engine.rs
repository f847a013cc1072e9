//! Which engine carries the sensitivities, and who decides.

use std::num::NonZeroUsize;

use rtrl_kernel::{Deferred, Eager, Engine, Layout, Pace, Real, Threads};

use crate::{Error, Network, Regime};

/// Which engine carries the sensitivities. Both are exact; they differ in speed, memory and rounding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineChoice {
    /// What [`EngineChoice::for_shape`] finds the fastest.
    #[default]
    Auto,
    /// Equation 5 at every step.
    Eager,
    /// p is computed only when a window of steps is full.
    Deferred {
        /// Steps in a window; `None` for that of [`EngineChoice::default_window`].
        window: Option<NonZeroUsize>,
        /// When the work of a full window is done.
        pace: Pace,
    },
}

/// Units up to which the eager engine is the faster one when the weights change at every step.
const EAGER_UNITS: usize = 20;

/// Units up to which it is when gradients add up over many steps.
const EAGER_UNITS_ADDING: usize = 12;

impl EngineChoice {
    /// The deferred engine with its default window, in bursts.
    pub const DEFERRED: Self = Self::Deferred { window: None, pace: Pace::Bursts };

    /// The engine that [`EngineChoice::Auto`] stands for: a function of the shape, the precision and the
    /// regime, never of the machine, so that results keep their bits wherever they are computed.
    pub fn for_shape<T: Real>(layout: Layout, regime: Regime) -> Self {
        let most = if regime.accumulates() { EAGER_UNITS_ADDING } else { EAGER_UNITS };
        if layout.states() <= most { Self::Eager } else { Self::DEFERRED }
    }

    /// The window of the deferred engine for a shape.
    ///
    /// A longer one makes the flush rarer and the way back through it longer, and its Jacobians fill the
    /// caches.
    pub fn default_window<T: Real>(layout: Layout) -> NonZeroUsize {
        let steps = if layout.states() <= 64 { 32 } else { 64 };
        NonZeroUsize::new(steps).unwrap_or(NonZeroUsize::MIN)
    }

    pub(crate) fn make<T: Real>(
        self,
        network: &Network<T>,
        regime: Regime,
        threads: Threads,
    ) -> Result<Box<dyn Engine<T>>, Error> {
        let (layout, learning, isa) = (network.layout(), network.learning(), network.isa());
        match self {
            Self::Auto => Self::for_shape::<T>(layout, regime).make(network, regime, threads),
            Self::Eager => Ok(Box::new(Eager::new(layout, &learning, isa, threads)?)),
            Self::Deferred { window, pace } => {
                let window = window.unwrap_or_else(|| Self::default_window::<T>(layout));
                Ok(Box::new(Deferred::new(layout, &learning, window, pace, isa, threads)?))
            }
        }
    }
}

impl std::str::FromStr for EngineChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "auto" => Ok(Self::Auto),
            "eager" => Ok(Self::Eager),
            "deferred" => Ok(Self::DEFERRED),
            _ => Err(Error::Setting {
                what: "engine",
                expected: "auto, eager or deferred".to_owned(),
                got: format!("{name:?}"),
            }),
        }
    }
}
