//! Scenarios: how much of the full work a network leaves to do, and the kind of its units.

use rtrl_model::Cell;

/// A kind of network. Units are simple and in one layer unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scenario {
    /// Every product is done.
    Dense,
    /// Only some of the connections, at random.
    Mask { density: f64 },
    /// Every second unit has slope 0.
    Silent,
    /// Every second unit is forced.
    Forced,
    /// All of it, but the weights change only at every n-th step.
    EveryU { steps: usize },
    /// All of it, but there are targets only at every n-th step.
    SparseTargets { steps: usize },
    /// All of it; the deferred engine flushes its windows at once, and each step is timed
    /// separately.
    Bursts,
    /// The same, with the flush spread over the steps.
    EvenPaced,
    /// All of it, in one layer of gated recurrent units.
    Gru,
    /// All of it, in one layer of units with a long short-term memory.
    Lstm,
    /// All of it, in two layers of half the units each.
    Chain,
}

impl Scenario {
    /// Those in which the update of p can save work.
    pub(crate) const PARTIAL: [Self; 4] =
        [Self::Mask { density: 0.1 }, Self::Mask { density: 0.5 }, Self::Silent, Self::Forced];

    /// Those in which a whole step can save work, each with a number of units.
    pub(crate) const RARE: [(Self, usize); 3] = [
        (Self::EveryU { steps: 64 }, 64),
        (Self::EveryU { steps: 64 }, 128),
        (Self::SparseTargets { steps: 8 }, 256),
    ];

    /// Those that are not one layer of simple units.
    pub(crate) const CELLS: [Self; 3] = [Self::Gru, Self::Lstm, Self::Chain];

    /// The kind of units.
    pub(crate) fn cell(self) -> Cell {
        match self {
            Self::Gru => Cell::Gru,
            Self::Lstm => Cell::Lstm,
            _ => Cell::default(),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Mask { .. } => "mask",
            Self::Silent => "silent",
            Self::Forced => "forced",
            Self::EveryU { .. } => "every-u",
            Self::SparseTargets { .. } => "sparse-targets",
            Self::Bursts => "bursts",
            Self::EvenPaced => "even-paced",
            Self::Gru => "gru",
            Self::Lstm => "lstm",
            Self::Chain => "chain",
        }
    }

    pub(crate) fn density(self) -> f64 {
        if let Self::Mask { density } = self { density } else { 1.0 }
    }

    pub(crate) fn update_every(self) -> usize {
        if let Self::EveryU { steps } = self { steps } else { 1 }
    }

    pub(crate) fn target_every(self) -> usize {
        if let Self::SparseTargets { steps } = self { steps } else { 1 }
    }

    /// Whether unit k has slope 0, and whether it is forced.
    pub(crate) fn is_silent_or_forced(self, k: usize) -> (bool, bool) {
        let every_second = k.is_multiple_of(2);
        (self == Self::Silent && every_second, self == Self::Forced && every_second)
    }
}
