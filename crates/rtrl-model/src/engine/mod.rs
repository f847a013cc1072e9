//! The choice of the engine that computes the sensitivities.

use rtrl_kernel::cost::{self, DeferredCost};
use rtrl_kernel::{Engine, Layout, Pace, Real, Spec, Threads, build};

use crate::error::zero;
use crate::{Error, Network, Regime};

/// The engine that computes the sensitivities. Both are exact; they differ in speed, memory and
/// rounding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineChoice {
    /// The engine with fewer weighted operations. The choice depends on shape, weights and regime,
    /// never on the machine. [`EngineChoice::for_shape`] returns it for a layer in which every
    /// weight learns.
    #[default]
    Auto,
    /// Equation 5 at every step.
    Eager,
    /// Equation 5 once per window of steps.
    Deferred {
        /// Steps in a window; `None` for that of [`EngineChoice::default_window`].
        window: Option<usize>,
        /// When the work of a full window is done.
        pace: Pace,
    },
}

/// Steps between readings of the gradient above which their cost is negligible.
const SELDOM: usize = 8;

/// The largest number of units, the window if gradients are read often, and the window if seldom.
const WINDOWS: [(usize, usize, usize); 4] =
    [(24, 16, 32), (40, 24, 48), (80, 40, 64), (160, 48, 64)];

/// The windows of all larger layers.
const LARGE: (usize, usize, usize) = (usize::MAX, 64, 64);

impl EngineChoice {
    /// The deferred engine with its default window, in bursts.
    pub const DEFERRED: Self = Self::Deferred { window: None, pace: Pace::Bursts };

    /// The engine that [`EngineChoice::Auto`] selects for a layer in which every weight learns.
    pub fn for_shape(layout: &Layout, regime: Regime) -> Self {
        Self::for_weights(layout, layout.states().saturating_pow(2), layout.weights(), regime)
    }

    /// The engine that [`EngineChoice::Auto`] selects: a function of the shape, the number of
    /// weights and the regime, never of the machine, so that results have the same bits everywhere.
    /// It is the same for both precisions.
    ///
    /// It compares the operations of a step (`docs/performance.md`). The eager engine
    /// multiplies only the recurrent weights that are `present`, each with a row of p, one number
    /// for each of the `learning` weights; the deferred engine multiplies whole Jacobians.
    fn for_weights(layout: &Layout, present: usize, learning: usize, regime: Regime) -> Self {
        let n = layout.states();
        let window = Self::default_window(layout, regime);
        let DeferredCost { gradient, flush } = DeferredCost::new(n, learning, window);
        let gradient = if is_seldom_read(regime) { 0 } else { gradient };
        // Measured: an operation of the eager engine takes two sevenths of the time of a deferred
        // one.
        let eager_is_faster = 2 * cost::eager(present, learning) < 7 * (gradient + flush);
        // Up to this size the eager engine keeps simple units in registers, and counting operations
        // says little.
        let small = if is_seldom_read(regime) { 8 } else { 15 };
        let is_small = n <= small && layout.drives().len() == n;
        if is_small || eager_is_faster { Self::Eager } else { Self::DEFERRED }
    }

    /// The window of the deferred engine for a shape and a regime, in both precisions.
    ///
    /// A longer window makes flushes rarer, but it also makes the backward pass of each reading
    /// longer, and its Jacobians fill the caches.
    pub fn default_window(layout: &Layout, regime: Regime) -> usize {
        let row = WINDOWS.into_iter().find(|row| layout.states() <= row.0);
        let (_, often, seldom) = row.unwrap_or(LARGE);
        if is_seldom_read(regime) { seldom } else { often }
    }

    /// The engine with its window, for this network and regime.
    pub(crate) fn settle<T: Real>(self, network: &Network<T>, regime: Regime) -> Self {
        let layout = network.layout();
        match self {
            Self::Auto => {
                let (present, learning) = network.weight_counts();
                Self::for_weights(layout, present, learning, regime).settle(network, regime)
            }
            Self::Eager => Self::Eager,
            Self::Deferred { window, pace } => {
                let window = window.unwrap_or_else(|| Self::default_window(layout, regime));
                Self::Deferred { window: Some(window), pace }
            }
        }
    }

    /// The engine of a network, p = 0.
    pub(crate) fn make<T: Real>(
        self,
        network: &Network<T>,
        regime: Regime,
        threads: Threads,
    ) -> Result<Box<dyn Engine<T>>, Error> {
        let (layout, learning, isa) = (network.layout(), network.learning(), network.isa());
        let spec = match self.settle(network, regime) {
            Self::Deferred { window: Some(0), .. } => return Err(zero("window")),
            Self::Deferred { window: Some(window), pace } => Spec::Deferred { window, pace },
            _ => Spec::Eager,
        };
        Ok(build(&spec, layout, &learning, isa, threads)?)
    }

    /// Floating-point operations of a step of one stream.
    pub(crate) fn flops<T: Real>(self, network: &Network<T>, regime: Regime) -> u128 {
        let (n, learning) = (network.layout().states(), network.weight_counts().1);
        match self.settle(network, regime) {
            Self::Deferred { window: Some(window), .. } => {
                DeferredCost::new(n, learning, window).total()
            }
            _ => cost::eager(n * n, learning),
        }
    }
}

/// Whether gradients accumulate over enough steps that the time of reading them hardly matters.
fn is_seldom_read(regime: Regime) -> bool {
    match regime {
        Regime::Epochwise => true,
        Regime::RealTime { every, .. } => every >= SELDOM,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timing;

    #[test]
    fn auto_goes_by_the_shape_and_by_how_often_gradients_are_read() {
        let choice = |units, regime| {
            EngineChoice::for_shape(&Layout::simple(units, units + 9).unwrap(), regime)
        };
        let every = |steps| Regime::RealTime { timing: Timing::Immediate, every: steps };
        assert_eq!(choice(15, Regime::real_time()), EngineChoice::Eager);
        assert_eq!(choice(16, Regime::real_time()), EngineChoice::DEFERRED);
        assert_eq!(choice(15, every(7)), EngineChoice::Eager);
        assert_eq!(choice(9, every(8)), EngineChoice::DEFERRED);
        assert_eq!(choice(8, Regime::Epochwise), EngineChoice::Eager);
    }

    #[test]
    fn auto_is_eager_where_few_weights_learn_or_exist() {
        let layout = Layout::simple(128, 137).unwrap();
        let choice = |present, learning| {
            EngineChoice::for_weights(&layout, present, learning, Regime::real_time())
        };
        assert_eq!(choice(128 * 128, 128 * 137), EngineChoice::DEFERRED);
        assert_eq!(choice(128 * 128, 137), EngineChoice::Eager);
        assert_eq!(choice(819, 877), EngineChoice::Eager);
        assert_eq!(choice(0, 0), EngineChoice::Eager);
    }

    #[test]
    fn names_are_read_and_unknown_ones_are_refused() {
        let read = |name: &str| name.parse::<EngineChoice>().unwrap();
        assert_eq!(read("auto"), EngineChoice::Auto);
        assert_eq!(read("eager"), EngineChoice::Eager);
        assert_eq!(read("deferred"), EngineChoice::DEFERRED);
        let message = "lazy".parse::<EngineChoice>().unwrap_err().to_string();
        assert!(message.contains("deferred") && message.contains("lazy"), "{message}");
    }
}
