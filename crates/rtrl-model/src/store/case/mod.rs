//! Conformance cases and traces: how implementations are compared with each other.
//!
//! A [`Case`] is a small network with its inputs, targets and settings; a [`Trace`] is what an
//! implementation computed for it. Both are JSON files, described field by field in
//! `docs/conformance.md`.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | a case |
//! | `fields.rs` | a trace, and the values of a few fields |
//! | `layer.rs` | a layer of a case |
//! | `form.rs` | how cases are written: with a list of layers, or in the short form |
//! | `run.rs` | the network and the learner of a case, and a run of it |

mod fields;
mod form;
mod layer;
mod run;

use rtrl_kernel::Isa;
use serde::{Deserialize, Serialize};

pub use self::fields::{RegimeName, Reset, TimingName, Trace};
use self::form::{Form, ResetForm};
pub use self::layer::{ActivationNames, Layer, LayerState, Leak, PerLayer, Table};
use crate::Error;
use crate::error::check_count;
use crate::matrix::check_shape;

/// A conformance case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Case {
    /// The name of the case.
    pub name: String,
    /// m
    pub inputs: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// The layers, the one that sees the inputs first. [`PerLayer::One`] is written in the short
    /// form.
    pub layers: PerLayer<Layer>,
    /// When the weights change.
    pub regime: RegimeName,
    /// When an update of the real-time regime is applied.
    pub update_timing: TimingName,
    /// Whether targets replace the outputs that they are for in z(t); for one layer only.
    pub teacher_forcing: bool,
    /// α
    pub learning_rate: f64,
    /// u: the weights change at every u-th step.
    pub update_every: usize,
    /// Where new sequences begin.
    pub resets: Vec<Reset>,
    /// The inputs, T x m.
    pub x: Table,
    /// The targets, T x (units of all layers): row t belongs to the outputs of step t; null is no
    /// target.
    pub targets: Vec<Vec<Option<f64>>>,
    /// What a correct implementation computes.
    pub expect: Option<Trace>,
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

    /// Number of units of all layers: columns of the targets and outputs.
    pub fn units(&self) -> usize {
        self.layers.iter().map(|layer| layer.units).sum()
    }

    /// Number of inputs of layer `l`: those of the case, or the units of the layer below.
    pub fn inputs_of(&self, l: usize) -> usize {
        l.checked_sub(1).map_or(self.inputs, |below| self.layers[below].units)
    }

    /// The column of the first unit in the tables of layer `l`, after inputs and bias.
    fn first_unit(&self, l: usize) -> usize {
        self.inputs_of(l) + usize::from(self.bias)
    }

    /// Whether weight (i, j) of layer `l` exists: its cell has it, it is not between heads, and the
    /// mask does not remove it.
    pub fn is_present(&self, l: usize, i: usize, j: usize) -> bool {
        let (layer, inputs) = (&self.layers[l], self.inputs_of(l));
        let (sees_inputs, sees_units) = layer.cell.sees(i / layer.units);
        let is_seen = match j.checked_sub(self.first_unit(l)) {
            Some(unit) => sees_units && layer.sees(i, unit),
            None => sees_inputs || j >= inputs,
        };
        is_seen && layer.connections.as_ref().is_none_or(|mask| mask[i][j] == 1)
    }

    /// Whether weight (i, j) of layer `l` exists and may change.
    pub fn learns(&self, l: usize, i: usize, j: usize) -> bool {
        let is_frozen = self.layers[l].frozen.as_ref().is_some_and(|mask| mask[i][j] == 1);
        self.is_present(l, i, j) && !is_frozen
    }

    /// Fails unless the network can be described and everything else has the right shape.
    ///
    /// # Errors
    /// As [`Case::from_json`].
    pub fn check(&self) -> Result<(), Error> {
        self.network::<f64>(Isa::scalar())?;
        if self.teacher_forcing && self.layers.len() > 1 {
            let expected = "false where there are several layers".to_owned();
            let got = "true".to_owned();
            return Err(Error::Setting { what: "teacher_forcing", expected, got });
        }
        check_count("update_every", self.update_every)?;
        check_shape("x", (self.x.len(), self.inputs), &self.x)?;
        check_shape("targets", (self.x.len(), self.units()), &self.targets)?;
        self.check_resets()
    }

    fn check_resets(&self) -> Result<(), Error> {
        let (mut earliest, steps) = (0, self.x.len());
        for reset in &self.resets {
            if reset.before_step < earliest || reset.before_step >= steps {
                let expected = format!("steps below {steps}, in ascending order");
                let got = reset.before_step.to_string();
                return Err(Error::Setting { what: "before_step of a reset", expected, got });
            }
            earliest = reset.before_step + 1;
            self.check_states(&reset.layers)?;
        }
        Ok(())
    }

    fn check_states(&self, states: &[LayerState]) -> Result<(), Error> {
        if states.len() != self.layers.len() {
            let (expected, got) = (self.layers.len().to_string(), states.len().to_string());
            return Err(Error::Setting { what: "number of layers in a reset", expected, got });
        }
        for (layer, LayerState { state, cell }) in self.layers.iter().zip(states) {
            layer::check_state(layer.units, state)?;
            layer.check_cell("cell of a reset", cell.as_deref())?;
        }
        Ok(())
    }
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
            heads_of: only.and_then(|layer| layer.heads_of),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The example of `docs/conformance.md`.
    fn layered() -> Value {
        let (_, text) =
            include_str!("../../../../../docs/conformance.md").split_once("```json").unwrap();
        serde_json::from_str(text.split_once("```").unwrap().0).unwrap()
    }

    fn short() -> Value {
        json!({
            "name": "short", "units": 2, "inputs": 1, "bias": true, "activation": "tanh",
            "regime": "epochwise", "update_timing": "immediate", "teacher_forcing": true,
            "learning_rate": 0.5, "initial_state": [0.0, 0.0],
            "weights": [[1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0]],
            "resets": [{"before_step": 1, "state": [0.1, 0.2]}],
            "x": [[0.5], [0.6]], "targets": [[0.5, null], [null, 0.25]],
        })
    }

    fn refused(mut case: Value, change: impl FnOnce(&mut Value)) -> String {
        change(&mut case);
        Case::from_json(&case.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn both_forms_are_written_as_they_are_read() {
        for written in [short(), layered()] {
            let case = Case::from_json(&written.to_string()).unwrap();
            let again = serde_json::to_string(&case).unwrap();
            assert_eq!(Case::from_json(&again).unwrap(), case);
            let again: Value = serde_json::from_str(&again).unwrap();
            let names = |case: &Value| case.as_object().unwrap().keys().cloned().collect();
            let (again, written): (Vec<String>, Vec<String>) = (names(&again), names(&written));
            assert_eq!(again, written);
        }
    }

    #[test]
    fn the_layered_form_describes_every_layer() {
        let case = Case::from_json(&layered().to_string()).unwrap();
        assert_eq!((case.units(), case.inputs_of(0), case.inputs_of(1)), (2, 1, 1));
        let [simple, lstm] = &*case.layers else { panic!("two layers") };
        assert_eq!((simple.rows(), simple.leak_of(0), simple.activation_of(0)), (1, 0.5, "tanh"));
        assert_eq!((lstm.rows(), lstm.initial_cell.as_deref()), (4, Some(&[-0.1][..])));
    }

    #[test]
    fn columns_that_a_gru_lacks_are_absent() {
        let mut case = layered();
        case["layers"][1]["cell"] = json!("gru");
        case["layers"][1].as_object_mut().unwrap().remove("initial_cell");
        case["layers"][1]["frozen"] = json!([[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]);
        let case = Case::from_json(&case.to_string()).unwrap();
        let present = |i| [0, 1, 2].map(|j| case.is_present(1, i, j));
        assert_eq!(present(0), [true; 3]);
        assert_eq!((present(2), present(3)), ([true, true, false], [false, true, true]));
        assert!(!case.learns(1, 1, 0) && case.is_present(1, 1, 0) && case.learns(1, 1, 1));
    }

    /// Tables keep a column for every unit, and what they hold between heads counts as absent.
    #[test]
    fn heads_are_read_in_both_forms() {
        let mut written = short();
        written["heads_of"] = json!(1);
        let case = Case::from_json(&written.to_string()).unwrap();
        let present = |i| [0, 1, 2, 3].map(|j| case.is_present(0, i, j));
        assert_eq!(
            [present(0), present(1)],
            [[true, true, true, false], [true, true, false, true]]
        );
        let network = case.network::<f64>(Isa::scalar()).unwrap();
        assert_eq!((network.layers()[0].heads(), network.weights().columns()), (2, 3));
        assert_eq!(network.weights().to_rows(), [[1.0; 3], [2.0; 3]]);
        let trace = case.run(case.learner::<f64>(Isa::scalar()).unwrap()).unwrap();
        let rows = &trace.weights[0];
        assert!(rows[0][2] != 0.0 && rows[0][3] == 0.0 && rows[1][2] == 0.0 && rows[1][3] != 0.0);
        let again: Value = serde_json::to_value(&case).unwrap();
        assert_eq!(again["heads_of"], 1);
        let mut layered = layered();
        layered["layers"][1]["heads_of"] = json!(1);
        let again = Case::from_json(&layered.to_string()).unwrap();
        assert_eq!(again.layers[1].heads_of, Some(1));
        assert_eq!(serde_json::to_value(&again).unwrap()["layers"][1]["heads_of"], 1);
    }

    #[test]
    fn heads_that_do_not_make_up_a_layer_are_refused() {
        for heads_of in [0, 3, 4] {
            let message = refused(short(), |case| case["heads_of"] = json!(heads_of));
            let expected = format!("units of a head: got {heads_of}, expected a divisor of 2");
            assert_eq!(message, expected);
        }
        let next_to = refused(layered(), |case| case["heads_of"] = json!(1));
        assert!(next_to.contains("`heads_of` next to `layers`"), "{next_to}");
        let short_row = refused(short(), |case| {
            case["heads_of"] = json!(1);
            case["weights"] = json!([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]);
        });
        assert_eq!(short_row, "weight matrix: got 2 x 3, expected 2 x 4");
    }

    #[test]
    fn forms_that_do_not_fit_together_are_refused() {
        let both = refused(layered(), |case| case["units"] = json!(2));
        assert!(both.contains("`units` next to `layers`"), "{both}");
        let neither = refused(short(), |case| drop(case.as_object_mut().unwrap().remove("units")));
        assert!(neither.contains("missing field `units`"), "{neither}");
        let reset = json!([{"before_step": 1, "state": [0.0, 0.0]}]);
        assert!(refused(layered(), |case| case["resets"] = reset).contains("layers"));
        let reset = json!([{"before_step": 1, "layers": [{"state": [0.0, 0.0]}]}]);
        assert!(refused(short(), |case| case["resets"] = reset.clone()).contains("state"));
        let count = refused(layered(), |case| case["resets"] = reset);
        assert!(count.contains("number of layers in a reset: got 1, expected 2"), "{count}");
    }

    #[test]
    fn layers_that_do_not_fit_together_are_refused() {
        let layer = |l: usize, field: &'static str, value: Value| {
            refused(layered(), |case| case["layers"][l][field] = value)
        };
        assert!(layer(1, "leak", json!(0.5)).contains("none in a layer of lstm cells"));
        assert!(layer(1, "activation", json!("relu")).contains("none in a layer of lstm cells"));
        assert!(layer(0, "activation", json!(["relu", "relu"])).contains("expected 1 or 1"));
        assert!(layer(0, "activation", json!("swish")).contains("swish"));
        assert!(layer(0, "initial_cell", json!([0.0])).contains("none in a layer of simple"));
        assert!(layer(1, "initial_cell", json!([0.0, 0.0])).contains("got 2 values, expected 1"));
        assert!(layer(0, "units", json!(2)).contains("1 x 3, expected 2 x 4"));
        assert!(layer(1, "cell", json!("rnn")).contains("layers[1].cell"));
        assert!(
            layer(1, "connections", json!([[1, 1, 2], [1, 1, 1], [1, 1, 1], [1, 1, 1]]))
                .contains("0 or 1")
        );
        assert!(refused(layered(), |case| case["layers"] = json!([])).contains("number of layers"));
        let forced = refused(layered(), |case| case["teacher_forcing"] = json!(true));
        assert!(forced.contains("teacher_forcing: got true"), "{forced}");
    }
}
