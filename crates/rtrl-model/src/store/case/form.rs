//! How a case is written in a file: with a list of layers, or in the short form of one simple
//! layer.

use serde::{Deserialize, Serialize};

use super::fields::{RegimeName, Reset, TimingName, Trace};
use super::layer::{ActivationNames, Layer, LayerState, Leak, PerLayer, Table};
use crate::Cell;

/// The fields of a file in either form. The short form has the fields of its layer on the top
/// level, and the other one has `layers`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) units: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) heads_of: Option<usize>,
    pub(super) inputs: usize,
    pub(super) bias: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) activation: Option<ActivationNames>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) leak: Option<Leak>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) layers: Option<Vec<Layer>>,
    pub(super) regime: RegimeName,
    pub(super) update_timing: TimingName,
    pub(super) teacher_forcing: bool,
    pub(super) learning_rate: f64,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(super) update_every: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) initial_state: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) weights: Option<Table>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) connections: Option<Vec<Vec<u8>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) frozen: Option<Vec<Vec<u8>>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) resets: Vec<ResetForm>,
    pub(super) x: Table,
    pub(super) targets: Vec<Vec<Option<f64>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expect: Option<Trace>,
}

/// A reset with the state of its only layer, or with a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetForm {
    before_step: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerState>>,
}

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(value: &usize) -> bool {
    *value == 1
}

impl Form {
    /// The layers, if the file has exactly the fields of one form.
    pub(super) fn take_layers(&mut self) -> Result<PerLayer<Layer>, String> {
        let Some(layers) = self.layers.take() else { return self.take_only_layer() };
        let next_to = [
            ("units", self.units.is_some()),
            ("heads_of", self.heads_of.is_some()),
            ("activation", self.activation.is_some()),
            ("leak", self.leak.is_some()),
            ("weights", self.weights.is_some()),
            ("connections", self.connections.is_some()),
            ("frozen", self.frozen.is_some()),
            ("initial_state", self.initial_state.is_some()),
        ];
        match next_to.iter().find(|(_, is_there)| *is_there) {
            Some((field, _)) => Err(format!("got `{field}` next to `layers`, expected in a layer")),
            None => Ok(PerLayer::Each(layers)),
        }
    }

    fn take_only_layer(&mut self) -> Result<PerLayer<Layer>, String> {
        Ok(PerLayer::One(Layer {
            cell: Cell::Simple,
            units: self.units.ok_or_else(|| missing("units"))?,
            heads_of: self.heads_of,
            activation: Some(self.activation.take().ok_or_else(|| missing("activation"))?),
            leak: self.leak.take(),
            weights: self.weights.take().ok_or_else(|| missing("weights"))?,
            connections: self.connections.take(),
            frozen: self.frozen.take(),
            initial_state: self.initial_state.take().ok_or_else(|| missing("initial_state"))?,
            initial_cell: None,
        }))
    }
}

fn missing(field: &str) -> String {
    format!("missing field `{field}`, expected without `layers`")
}

impl ResetForm {
    /// The reset, if it has the form of its case.
    pub(super) fn read(self, is_short: bool) -> Result<Reset, String> {
        let layers = match (self.state, self.layers) {
            (Some(state), None) if is_short => PerLayer::One(LayerState { state, cell: None }),
            (None, Some(layers)) if !is_short => PerLayer::Each(layers),
            _ if is_short => return Err("reset: expected the field `state` only".to_owned()),
            _ => return Err("reset: expected the field `layers` only, as in the case".to_owned()),
        };
        Ok(Reset { before_step: self.before_step, layers })
    }
}

impl From<Reset> for ResetForm {
    fn from(reset: Reset) -> Self {
        let (state, layers) = match reset.layers {
            PerLayer::One(layer) => (Some(layer.state), None),
            PerLayer::Each(layers) => (None, Some(layers)),
        };
        Self { before_step: reset.before_step, state, layers }
    }
}
