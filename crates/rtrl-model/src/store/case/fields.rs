//! A trace, and the values of a few fields of a case.

use serde::{Deserialize, Serialize};

use super::layer::{LayerState, PerLayer, Table};

/// What an implementation computed for a case.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// y after each step, T x (units of all layers).
    pub outputs: Table,
    /// The loss of each step, T values.
    pub losses: Vec<f64>,
    /// `sum over k of e_k p^k_ij` of each step: the negative gradient, T x layers x rows x columns.
    pub gradients: Vec<PerLayer<Table>>,
    /// W of each layer at the end, rows x columns.
    pub weights: PerLayer<Table>,
    /// p of the outputs at the end, `[k][layer][i][j]`.
    pub sensitivities: Vec<PerLayer<Table>>,
}

/// The start of a new sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Reset {
    /// The step before which it happens, from 0.
    pub before_step: usize,
    /// The new state of each layer.
    pub layers: PerLayer<LayerState>,
}

/// A regime as written in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegimeName {
    /// Weights change while the network runs.
    RealTime,
    /// Weights change between epochs.
    Epochwise,
}

/// A timing as written in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimingName {
    /// Before the next step.
    Immediate,
    /// After the next step's outputs and sensitivities.
    AfterNextStep,
}
