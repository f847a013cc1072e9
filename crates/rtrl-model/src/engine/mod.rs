//! The choice of the engine that computes the sensitivities.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | eager or deferred, and with which window |
//! | `blocks.rs` | which blocks a network has, and whether they pay |
//! | `stored.rs` | the engine in a file |
//! | `plan.rs` | what was decided, as a report |

mod blocks;
mod plan;
mod stored;

use rtrl_kernel::cost::{self, DeferredCost};
use rtrl_kernel::{Layout, Pace, Real, Spec};

pub use self::plan::{BlockPlan, EnginePlan};
pub(crate) use self::stored::StoredEngine;
use crate::error::zero;
use crate::{Error, Network, Regime};

/// The engine that computes the sensitivities. Both are exact; they differ in speed, memory and
/// rounding.
///
/// Where the connections keep the sensitivities of some weights at 0 in some units for ever, the
/// network is divided into blocks that hold only the others, if that is cheaper; the choice then
/// applies within each block. Weights of units that no other unit sees take no engine at all but
/// one number each. [`Learner::engine_plan`](crate::Learner::engine_plan) reports the result.
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

    /// [`EngineChoice::select`] for a whole layer.
    fn for_weights(layout: &Layout, present: usize, learning: usize, regime: Regime) -> Self {
        let states = layout.states();
        let simple = layout.drives().len() == states;
        Self::select(Size { states, simple, present, learning, through: 0 }, regime)
    }

    /// The engine that [`EngineChoice::Auto`] selects: a function of the shape, the number of
    /// weights and the regime, never of the machine, so that results have the same bits everywhere.
    /// It is the same for both precisions.
    ///
    /// It compares the operations of a step (`docs/performance.md`). The eager engine
    /// multiplies only the recurrent weights that are present, each with a row of p, one number
    /// for each of the weights that learn; the deferred engine multiplies whole Jacobians.
    fn select(size: Size, regime: Regime) -> Self {
        let window = window_for(size.states, regime);
        let eager_is_faster = size.eager() < size.deferred(window, regime);
        // Up to this size the eager engine keeps simple units in registers, and counting operations
        // says little.
        let small = if is_seldom_read(regime) { 8 } else { 15 };
        let is_small = size.states <= small && size.simple;
        if is_small || eager_is_faster { Self::Eager } else { Self::DEFERRED }
    }

    /// The window of the deferred engine for a shape and a regime, in both precisions.
    ///
    /// A longer window makes flushes rarer, but it also makes the backward pass of each reading
    /// longer, and its Jacobians fill the caches.
    pub fn default_window(layout: &Layout, regime: Regime) -> usize {
        window_for(layout.states(), regime)
    }

    /// The engine that a learner of this network and regime builds, with all its settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a window of 0 steps.
    pub fn spec<T: Real>(self, network: &Network<T>, regime: Regime) -> Result<Spec, Error> {
        let whole = self.undivided(network, regime)?;
        Ok(match blocks::divide(self, network, regime)? {
            Some(blocks) => Spec::Blocks(blocks),
            None => whole,
        })
    }

    /// The engine of all weight rows and states together, also where [`EngineChoice::spec`] divides
    /// them into blocks.
    ///
    /// # Errors
    /// [`Error::Setting`] for a window of 0 steps.
    pub fn undivided<T: Real>(self, network: &Network<T>, regime: Regime) -> Result<Spec, Error> {
        if let Self::Deferred { window: Some(0), .. } = self {
            return Err(zero("window"));
        }
        let (present, learning) = network.weight_counts();
        let layout = network.layout();
        let states = layout.states();
        let simple = layout.drives().len() == states;
        Ok(self.settle(Size { states, simple, present, learning, through: 0 }, regime))
    }

    /// The engine of a layer or block of this size.
    fn settle(self, size: Size, regime: Regime) -> Spec {
        match self {
            Self::Auto => Self::select(size, regime).settle(size, regime),
            Self::Eager => Spec::Eager,
            Self::Deferred { window, pace } => {
                let window = window.unwrap_or_else(|| window_for(size.states, regime));
                Spec::Deferred { window, pace }
            }
        }
    }
}

/// What the choice of an engine depends on.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Number of states, n.
    states: usize,
    /// Whether these are simple units, each driven by one weight row.
    simple: bool,
    /// Entries of the Jacobian that can differ from 0.
    present: usize,
    /// Weights that learn, q.
    learning: usize,
    /// Drives of rows below another layer. 0 counts them as those of other rows.
    through: usize,
}

/// What the deferred engine takes for one drive of a row below another layer, in one row of a
/// Jacobian or one record, in weighted operations: it looks each of them up. Measured with chains
/// of 2 and 4 layers.
const LOOKUP: u128 = 230;

impl Size {
    /// Operations of a step of the eager engine, weighted so that they compare with those of the
    /// deferred one. Measured: an operation of the eager engine takes two fifths of the time of a
    /// deferred one.
    fn eager(self) -> u128 {
        2 * cost::eager(self.present, self.learning)
    }

    /// Operations of a step of the deferred engine, weighted.
    fn deferred(self, window: usize, regime: Regime) -> u128 {
        let DeferredCost { gradient, flush } =
            DeferredCost::new(self.states, self.learning, window);
        let (states, through) = (self.states as u128, self.through as u128);
        if is_seldom_read(regime) {
            return 5 * flush + LOOKUP * through * states;
        }
        5 * (gradient + flush) + LOOKUP * through * (states + window as u128 / 2)
    }
}

/// [`EngineChoice::default_window`] for a number of states.
fn window_for(states: usize, regime: Regime) -> usize {
    let row = WINDOWS.into_iter().find(|row| states <= row.0);
    let (_, often, seldom) = row.unwrap_or(LARGE);
    if is_seldom_read(regime) { seldom } else { often }
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
    use crate::{Cell, Learner, Timing};

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
    fn auto_goes_by_operations_where_units_are_not_simple() {
        let choice = |cell, units| {
            let network = Network::<f32>::builder(units, 8).cell(cell).build().unwrap();
            EngineChoice::Auto.undivided(&network, Regime::real_time()).unwrap()
        };
        for cell in [Cell::Gru, Cell::Lstm] {
            assert_eq!(choice(cell, 9), Spec::Eager);
            assert!(matches!(choice(cell, 10), Spec::Deferred { .. }));
        }
        // Of 64 units, with all weights but these of the connections.
        let layout = Layout::simple(64, 73).unwrap();
        let choice =
            |present| EngineChoice::for_weights(&layout, present, 64 * 73, Regime::real_time());
        assert_eq!(choice(800), EngineChoice::Eager);
        assert_eq!(choice(820), EngineChoice::DEFERRED);
    }

    #[test]
    fn a_spec_is_that_of_the_engine_that_a_learner_builds() {
        let even = EngineChoice::Deferred { window: None, pace: Pace::Even };
        for (units, choice) in
            [(4, EngineChoice::Auto), (16, EngineChoice::Auto), (4, EngineChoice::Eager), (4, even)]
        {
            let network = Network::<f32>::builder(units, 2).build().unwrap();
            let spec = choice.spec(&network, Regime::real_time()).unwrap();
            let learner = Learner::builder(network).engine(choice).build().unwrap();
            assert_eq!(learner.engine(0).unwrap().spec(), spec);
        }
        let chain = Network::<f32>::builder(32, 2).layer(32).build().unwrap();
        let spec = |choice: EngineChoice| choice.spec(&chain, Regime::real_time()).unwrap();
        assert!(matches!(spec(EngineChoice::Eager), Spec::Blocks(_)));
        let undivided = EngineChoice::Eager.undivided(&chain, Regime::real_time());
        assert_eq!(undivided.unwrap(), Spec::Eager);
        let network = Network::<f32>::builder(4, 2).build().unwrap();
        let none = EngineChoice::Deferred { window: Some(0), pace: Pace::Bursts };
        assert!(matches!(none.spec(&network, Regime::Epochwise), Err(Error::Setting { .. })));
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
