//! Conformance cases and traces: how implementations are compared with each other.
//!
//! A [`Case`] is a small network with its inputs, targets and settings; a [`Trace`] is what an
//! implementation computed for it. Both are JSON files, described field by field in
//! `docs/conformance.md`.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | a case and a trace as data |
//! | `run.rs` | the network and the learner of a case, and a run of it |

mod run;

use rtrl_kernel::Isa;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::check_count;
use crate::matrix::check_shape;

/// A conformance case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case is called.
    pub name: String,
    /// n
    pub units: usize,
    /// m
    pub inputs: usize,
    /// Whether there is a bias line.
    pub bias: bool,
    /// The activation of all units, or of each.
    pub activation: ActivationNames,
    /// The leak of all units, or of each; absent means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leak: Option<Leak>,
    /// When the weights change.
    pub regime: RegimeName,
    /// When an update of the real-time regime is applied.
    pub update_timing: TimingName,
    /// Whether targets replace the outputs that they are for in z(t).
    pub teacher_forcing: bool,
    /// α
    pub learning_rate: f64,
    /// u: the weights change at every u-th step.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub update_every: usize,
    /// y(t0), n values.
    pub initial_state: Vec<f64>,
    /// W, n x c.
    pub weights: Vec<Vec<f64>>,
    /// 1 where a weight exists, n x c; absent means everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<Vec<u8>>>,
    /// 1 where a weight never changes, n x c; absent means nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Vec<Vec<u8>>>,
    /// Where new sequences begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resets: Vec<Reset>,
    /// The inputs, T x m.
    pub x: Vec<Vec<f64>>,
    /// The targets, T x n: row t belongs to the output of step t; null is no target.
    pub targets: Vec<Vec<Option<f64>>>,
    /// What a correct implementation computes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Trace>,
}

/// What an implementation computed for a case.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// y after each step, T x n.
    pub outputs: Vec<Vec<f64>>,
    /// J of each step, T values.
    pub losses: Vec<f64>,
    /// `sum over k of e_k p^k_ij` of each step: the negative gradient, T x n x c.
    pub gradients: Vec<Vec<Vec<f64>>>,
    /// W at the end, n x c.
    pub weights: Vec<Vec<f64>>,
    /// p at the end, `[k][i][j]`.
    pub sensitivities: Vec<Vec<Vec<f64>>>,
}

/// The start of a new sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// The step before which it happens, from 0.
    pub before_step: usize,
    /// The new state, n values.
    pub state: Vec<f64>,
}

/// One activation for all units or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "activation must be a name or a list of names")]
pub enum ActivationNames {
    /// The name for all units.
    All(String),
    /// The name of each unit.
    Each(Vec<String>),
}

/// One leak for all units or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "leak must be a number or a list of numbers")]
pub enum Leak {
    /// a of all units.
    All(f64),
    /// a of each unit.
    Each(Vec<f64>),
}

/// A regime as it stands in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegimeName {
    /// Weights change while the network runs.
    RealTime,
    /// Weights change between epochs.
    Epochwise,
}

/// A timing as it stands in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimingName {
    /// Before the next step.
    Immediate,
    /// After the next step's outputs and sensitivities.
    AfterNextStep,
}

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(value: &usize) -> bool {
    *value == 1
}

impl Case {
    /// Reads a case from its JSON text and checks the shapes of everything in it.
    ///
    /// # Errors
    /// [`Error::Format`] if the text is not a case, [`Error::Shape`], [`Error::StateLength`] or
    /// [`Error::Setting`] if its parts do not fit together.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let format = |reason| Error::Format { what: "not a conformance case".to_owned(), reason };
        let mut reader = serde_json::Deserializer::from_str(text);
        let case: Self = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| format(error.to_string()))?;
        reader.end().map_err(|error| format(error.to_string()))?;
        case.check()?;
        Ok(case)
    }

    /// Fails unless the network can be built and everything else has the right shape.
    ///
    /// # Errors
    /// As [`Case::from_json`].
    pub fn check(&self) -> Result<(), Error> {
        self.network::<f64>(Isa::scalar())?;
        check_count("update_every", self.update_every)?;
        let steps = self.x.len();
        check_shape("x", (steps, self.inputs), &self.x)?;
        check_shape("targets", (steps, self.units), &self.targets)?;
        let mut earliest = 0;
        for reset in &self.resets {
            if reset.before_step < earliest || reset.before_step >= steps {
                let expected = format!("steps below {steps}, in ascending order");
                let got = reset.before_step.to_string();
                return Err(Error::Setting { what: "a reset's before_step", expected, got });
            }
            earliest = reset.before_step + 1;
            if reset.state.len() != self.units {
                let got = reset.state.len();
                return Err(Error::StateLength { expected: self.units, got });
            }
        }
        Ok(())
    }
}
