//! How a case is written in a file: with a list of layers, or in the short form of one simple
//! layer.

use serde::{Deserialize, Serialize};

use super::{
    ActivationNames, Case, CellName, Layer, LayerState, Leak, PerLayer, RegimeName, Reset, Table,
    TimingName, Trace,
};

/// The fields of a file in either form. The short form has the fields of its layer on the top
/// level, and the other one has `layers`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    units: Option<usize>,
    inputs: usize,
    bias: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activation: Option<ActivationNames>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leak: Option<Leak>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<Layer>>,
    regime: RegimeName,
    update_timing: TimingName,
    teacher_forcing: bool,
    learning_rate: f64,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    update_every: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    initial_state: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights: Option<Table>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connections: Option<Vec<Vec<u8>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen: Option<Vec<Vec<u8>>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resets: Vec<ResetForm>,
    x: Table,
    targets: Vec<Vec<Option<f64>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<Trace>,
}

/// A reset with the state of its only layer, or with a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetForm {
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
    fn take_layers(&mut self) -> Result<PerLayer<Layer>, String> {
        let Some(layers) = self.layers.take() else { return self.take_only_layer() };
        let next_to = [
            ("units", self.units.is_some()),
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
            cell: CellName::Simple,
            units: self.units.ok_or_else(|| missing("units"))?,
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

impl TryFrom<Form> for Case {
    type Error = String;

    fn try_from(mut form: Form) -> Result<Self, String> {
        let layers = form.take_layers()?;
        let is_short = matches!(layers, PerLayer::One(_));
        let resets = form.resets.into_iter().map(|reset| reset.read(is_short));
        Ok(Self {
            name: form.name,
            inputs: form.inputs,
            bias: form.bias,
            layers,
            regime: form.regime,
            update_timing: form.update_timing,
            teacher_forcing: form.teacher_forcing,
            learning_rate: form.learning_rate,
            update_every: form.update_every,
            resets: resets.collect::<Result<_, _>>()?,
            x: form.x,
            targets: form.targets,
            expect: form.expect,
        })
    }
}

impl ResetForm {
    /// The reset, if it has the form of its case.
    fn read(self, is_short: bool) -> Result<Reset, String> {
        let layers = match (self.state, self.layers) {
            (Some(state), None) if is_short => PerLayer::One(LayerState { state, cell: None }),
            (None, Some(layers)) if !is_short => PerLayer::Each(layers),
            _ if is_short => return Err("reset: expected the field `state` only".to_owned()),
            _ => return Err("reset: expected the field `layers` only, as in the case".to_owned()),
        };
        Ok(Reset { before_step: self.before_step, layers })
    }
}

impl From<Case> for Form {
    fn from(case: Case) -> Self {
        let (only, layers) = match case.layers {
            PerLayer::One(layer) => (Some(layer), None),
            PerLayer::Each(layers) => (None, Some(layers)),
        };
        let only = only.as_ref();
        let tanh = || ActivationNames::All("tanh".to_owned());
        Self {
            name: case.name,
            units: only.map(|layer| layer.units),
            inputs: case.inputs,
            bias: case.bias,
            activation: only.map(|layer| layer.activation.clone().unwrap_or_else(tanh)),
            leak: only.and_then(|layer| layer.leak.clone()),
            layers,
            regime: case.regime,
            update_timing: case.update_timing,
            teacher_forcing: case.teacher_forcing,
            learning_rate: case.learning_rate,
            update_every: case.update_every,
            initial_state: only.map(|layer| layer.initial_state.clone()),
            weights: only.map(|layer| layer.weights.clone()),
            connections: only.and_then(|layer| layer.connections.clone()),
            frozen: only.and_then(|layer| layer.frozen.clone()),
            resets: case.resets.into_iter().map(ResetForm::from).collect(),
            x: case.x,
            targets: case.targets,
            expect: case.expect,
        }
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
