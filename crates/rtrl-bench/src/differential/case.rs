//! A case as data: everything that a run of it needs, to be stored and replayed.

use std::fmt;
use std::ops::Range;

use rtrl_kernel::{Drive, Error, Layout, Real};
use rtrl_model::store::case as network;
use serde::{Deserialize, Serialize};

use super::numerals::{Block, Numerals};

/// The largest number of blocks of a Jacobian.
const MOST_BLOCKS: usize = 3;

/// The largest padding of a row of the gradient.
const MOST_PADDING: usize = 64;

/// One case of a differential test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// An engine, called directly.
    Engine(EngineCase),
    /// A whole network that learns with the engine. It is a conformance case
    /// (`docs/conformance.md`).
    Network(Box<network::Case>),
}

/// A layout, which weights learn, and the calls that the engine gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineCase {
    /// Number of states, n.
    pub states: usize,
    /// The parts of z that each weight row sees, one after the other.
    pub rows: Vec<[Range<usize>; 2]>,
    /// Row and state of each drive, in order.
    pub drives: Vec<(u32, u32)>,
    /// Which weights learn.
    pub learns: Vec<bool>,
    /// The calls, in order.
    pub events: Vec<Event>,
}

/// A call of an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// [`Engine::advance`](rtrl_kernel::Engine::advance).
    Advance(Numerals<f64>),
    /// [`Engine::gradient`](rtrl_kernel::Engine::gradient) with this stride.
    Gradient {
        /// Distance between the rows of the gradient.
        stride: usize,
    },
    /// [`Engine::sensitivities`](rtrl_kernel::Engine::sensitivities) of every state.
    Sensitivities,
    /// [`Engine::reset`](rtrl_kernel::Engine::reset).
    Reset,
    /// The engine is saved, and another one loads it and replaces it.
    Resume {
        /// Whether the other one has been used before, so that loading must replace its state.
        used: bool,
    },
    /// A copy replaces the engine.
    Copy,
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(case) => {
                let (states, rows, steps) = (case.states, case.rows.len(), case.steps());
                write!(out, "states: {states}, weight rows: {rows}, steps: {steps}")
            }
            Self::Network(case) => {
                write!(out, "a network, units: {}, steps: {}", case.units(), case.x.len())
            }
        }
    }
}

impl EngineCase {
    /// The layout.
    ///
    /// # Errors
    /// Those of [`Layout::divided`].
    pub fn layout(&self) -> Result<Layout, Error> {
        let drives = self.drives.iter().map(|&(row, state)| Drive { row, state });
        Layout::divided(self.states, self.rows.clone(), drives.collect())
    }

    /// Number of calls of [`Event::Advance`].
    pub fn steps(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Advance(_))).count()
    }

    /// The layout, if everything in the case fits it.
    ///
    /// # Errors
    /// Those of [`Layout::divided`], and [`Error::Length`] for a mask, step or stride that does not
    /// fit.
    pub(super) fn checked(&self) -> Result<Layout, Error> {
        let layout = self.layout()?;
        check("the mask", layout.weights(), self.learns.len())?;
        for event in &self.events {
            match event {
                Event::Advance(numerals) => {
                    check(
                        "the Jacobian",
                        numerals.blocks.len().min(MOST_BLOCKS),
                        numerals.blocks.len(),
                    )?;
                    numerals.step().check(&layout, numerals.error.as_deref())?;
                }
                Event::Gradient { stride } => {
                    let widest = layout.widest().max(1);
                    let expected = (*stride).clamp(widest, widest + MOST_PADDING);
                    check("the stride", expected, *stride)?;
                }
                _ => {}
            }
        }
        Ok(layout)
    }
}

fn check(what: &'static str, expected: usize, got: usize) -> Result<(), Error> {
    if got == expected { Ok(()) } else { Err(Error::Length { what, expected, got }) }
}

impl Numerals<f64> {
    /// The same numbers, rounded to `T`.
    pub(super) fn rounded<T: Real>(&self) -> Numerals<T> {
        let list = |values: &[f64]| values.iter().map(|&value| T::from_f64(value)).collect();
        let block =
            |block: &Block<f64>| Block { weights: list(&block.weights), scale: list(&block.scale) };
        Numerals {
            blocks: self.blocks.iter().map(block).collect(),
            stride: self.stride,
            diagonal: self.diagonal.as_deref().map(list),
            injection: list(&self.injection),
            z: list(&self.z),
            forced: self.forced.clone(),
            error: self.error.as_deref().map(list),
        }
    }
}
