//! The features that a check counts, and the methods that an engine may leave out.

use std::fmt;

/// A feature that the cases of a check test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "`Feature::name` describes each of them")]
#[non_exhaustive]
pub enum Feature {
    Step,
    NoTarget,
    Forced,
    ZeroSlope,
    NoBlock,
    SeveralBlocks,
    Diagonal,
    Mask,
    ManyDrives,
    SeveralStates,
    SeveralRows,
    UnequalRows,
    TwoParts,
    EmptyGradient,
    Gradient,
    Sum,
    Sensitivities,
    Reset,
    UnreadReset,
    Resume,
    Copy,
    Network,
    Gated,
    Layered,
    Heads,
    Epochwise,
    LateUpdate,
    TeacherForcing,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::Step,
        Self::NoTarget,
        Self::Forced,
        Self::ZeroSlope,
        Self::NoBlock,
        Self::SeveralBlocks,
        Self::Diagonal,
        Self::Mask,
        Self::ManyDrives,
        Self::SeveralStates,
        Self::SeveralRows,
        Self::UnequalRows,
        Self::TwoParts,
        Self::EmptyGradient,
        Self::Gradient,
        Self::Sum,
        Self::Sensitivities,
        Self::Reset,
        Self::UnreadReset,
        Self::Resume,
        Self::Copy,
        Self::Network,
        Self::Gated,
        Self::Layered,
        Self::Heads,
        Self::Epochwise,
        Self::LateUpdate,
        Self::TeacherForcing,
    ];

    /// Its name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "steps",
            Self::NoTarget => "steps without a target",
            Self::Forced => "steps with forced units",
            Self::ZeroSlope => "steps with zero slopes",
            Self::NoBlock => "Jacobians without blocks",
            Self::SeveralBlocks => "Jacobians of several blocks",
            Self::Diagonal => "Jacobians with a diagonal",
            Self::Mask => "masks",
            Self::ManyDrives => "layouts with rows that do not drive one state",
            Self::SeveralStates => "layouts with rows that drive several states",
            Self::SeveralRows => "layouts with states that several rows drive",
            Self::UnequalRows => "layouts with rows that see different z",
            Self::TwoParts => "layouts with rows that see two parts of z",
            Self::EmptyGradient => "gradients without an error",
            Self::Gradient => "gradients of one step",
            Self::Sum => "gradients of several steps",
            Self::Sensitivities => "readings of p",
            Self::Reset => "resets",
            Self::UnreadReset => "resets with unread errors",
            Self::Resume => "resumptions from what was saved",
            Self::Copy => "copies",
            Self::Network => "networks",
            Self::Gated => "networks of gated units",
            Self::Layered => "networks of several layers",
            Self::Heads => "networks in heads",
            Self::Epochwise => "epochwise networks",
            Self::LateUpdate => "networks with late updates",
            Self::TeacherForcing => "networks with teacher forcing",
        }
    }
}

/// An optional part of the engine trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Offer {
    /// [`Engine::sensitivities`](rtrl_kernel::Engine::sensitivities)
    Sensitivities,
    /// [`Engine::save`](rtrl_kernel::Engine::save) and [`Engine::load`](rtrl_kernel::Engine::load)
    Storage,
}

impl fmt::Display for Offer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Sensitivities => "sensitivities",
            Self::Storage => "save and load",
        })
    }
}
