//! Saved models: a safetensors file with the weights and what is needed to use them.
//!
//! Tensors: `recurrent.weight` (units x (inputs, bias, units)), `state` (units), `connections` (as the
//! weights: 0 absent, 1 learning, 2 frozen) and, with a readout, `readout.weight` (outputs x (units,
//! inputs if seen, 1 if it has a bias)). The metadata has one key, `rtrl`, whose value is a JSON text;
//! see the project's `docs/model-file.md`. One key, because the format does not fix the order of
//! several.

use std::collections::HashMap;
use std::path::Path;

use rtrl_kernel::Real;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::store::description::{Description, Parts, connection_codes, connection_rows};
use crate::store::tensor::{Numbers, bytes, dtype, matrix_bytes, numbers};
use crate::{Activation, Error, Network, store};

/// The version of the format that is written. All up to this one can be read.
const VERSION: u32 = 1;

/// The JSON part of a saved model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    #[serde(flatten)]
    network: Description,
    /// What the program that saved the model wants to find again.
    application: serde_json::Value,
}

const FORMAT: &str = "rtrl-model";

/// A model that was read from a file.
#[derive(Debug, Clone)]
pub struct SavedModel {
    header: Header,
    precision: &'static str,
    parts: Parts,
}

/// Saves a network: its weights, shape, activations (by name), leaks, connections, and `state`, n values,
/// which is the initial state of the network that is read from the file.
///
/// To let the saved model start where the network did, pass [`Network::initial_state`]; to let it continue
/// where a run is now, the [`values`](crate::State::values) of that run's state, such as
/// `learner.state(0)?.values()`. `application` is stored as it is, for the program that saves the model.
///
/// # Errors
/// [`Error::StateLength`] or [`Error::NonFinite`] for the state; [`Error::File`] if the file cannot be
/// written (one that was there stays), [`Error::Format`] if the
/// model is too large for the file format.
pub fn save<T: Real>(
    network: &Network<T>,
    state: &[T],
    application: serde_json::Value,
    path: &Path,
) -> Result<(), Error> {
    store::replace(path, &to_bytes(network, state, application)?)
}

fn to_bytes<T: Real>(
    network: &Network<T>,
    state: &[T],
    application: serde_json::Value,
) -> Result<Vec<u8>, Error> {
    network.check_state(state)?;
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        network: Description::of(network),
        application,
    };
    let broken = |reason: String| Error::Format { what: "the model".to_owned(), reason };
    let header = serde_json::to_string(&header).map_err(|error| broken(error.to_string()))?;
    let dtype = dtype::<T>();
    let weights = network.weights();
    let shape = vec![weights.rows(), weights.columns()];
    let kinds = connection_codes(network);
    let mut tensors = vec![
        ("connections", Dtype::U8, shape.clone(), kinds),
        ("recurrent.weight", dtype, shape, matrix_bytes(weights)),
        ("state", dtype, vec![network.units()], bytes(state)),
    ];
    if let Some(readout) = network.readout_weights() {
        let shape = vec![readout.rows(), readout.columns()];
        tensors.push(("readout.weight", dtype, shape, matrix_bytes(readout)));
    }
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    let metadata = HashMap::from([("rtrl".to_owned(), header)]);
    views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|error| broken(error.to_string()))
}

impl SavedModel {
    /// Reads a saved model and checks that its parts fit together.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, [`Error::Format`] if it is not a saved model of a
    /// version that this library knows.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let named = |source| Error::File { path: path.to_owned(), source };
        let contents = std::fs::read(path).map_err(named)?;
        Self::from_bytes(&contents)
            .map_err(|reason| Error::Format { what: path.display().to_string(), reason })
    }

    fn from_bytes(contents: &[u8]) -> Result<Self, String> {
        let text = |error: safetensors::SafeTensorError| format!("not a safetensors file: {error}");
        let (_, metadata) = SafeTensors::read_metadata(contents).map_err(text)?;
        let header = metadata.metadata().as_ref().and_then(|keys| keys.get("rtrl"));
        let header = header.ok_or("the metadata has no key `rtrl`: not a saved model")?;
        let version: Version = serde_json::from_str(header).map_err(|e| e.to_string())?;
        if version.format != FORMAT || !(1..=VERSION).contains(&version.version) {
            let Version { format, version } = version;
            return Err(format!(
                "format {format:?} version {version}, expected {FORMAT:?} version 1 to {VERSION}"
            ));
        }
        let header: Header = serde_json::from_str(header).map_err(|e| e.to_string())?;
        let tensors = SafeTensors::deserialize(contents).map_err(text)?;
        let Description { units, .. } = header.network;
        let lines = header.network.lines();
        let lines = lines.ok_or("the number of units or inputs is out of range")?;
        let shape = [units, lines];
        let weights = numbers(&tensors, "recurrent.weight", Some(&shape))?;
        let precision = weights.precision;
        let connections = tensors.tensor("connections").map_err(text)?;
        if connections.dtype() != Dtype::U8 || connections.shape() != shape {
            return Err(format!("connections are {:?}, expected {shape:?}", connections.shape()));
        }
        let readout = header
            .network
            .has_readout()
            .then(|| numbers(&tensors, "readout.weight", None).map(Numbers::rows));
        let parts = Parts {
            weights: weights.rows(),
            connections: connection_rows(connections.data(), lines)?,
            state: numbers(&tensors, "state", Some(&[units]))?.values,
            readout: readout.transpose()?,
        };
        Ok(Self { header, precision, parts })
    }

    /// `f32` or `f64`: the precision in which the model was saved.
    pub fn precision(&self) -> &str {
        self.precision
    }

    /// What the program that saved the model stored beside it.
    pub fn application(&self) -> &serde_json::Value {
        &self.header.application
    }

    /// The network, exactly as it was saved if `T` is the precision of the file, else rounded.
    ///
    /// `custom` are the activations of one's own that the model uses, found by their names.
    ///
    /// # Errors
    /// [`Error::Setting`] for an activation that is neither built in nor given; otherwise those of
    /// [`NetworkBuilder::build`](crate::NetworkBuilder::build).
    pub fn network<T: Real>(&self, custom: &[Activation]) -> Result<Network<T>, Error> {
        self.header.network.builder(self.parts.clone(), custom)?.build()
    }
}

/// The part of the header that every version has.
#[derive(Deserialize)]
struct Version {
    format: String,
    version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InitialWeights, Readout, ReadoutWeights};
    use serde_json::json;

    fn network<T: Real>() -> Network<T> {
        let mut connections = vec![vec![true; 6]; 3];
        connections[0][1] = false;
        let mut frozen = vec![vec![false; 6]; 3];
        frozen[2][4] = true;
        let own = Activation::custom("half", |s| s / 2.0, |_| 0.5);
        Network::<T>::builder(3, 2)
            .activations([Activation::Tanh, own, Activation::Relu])
            .leaks([0.3, 1.0, 1.0 / 3.0])
            .weights(InitialWeights::Normal { gain: 1.0 })
            .connections(connections)
            .frozen(frozen)
            .readout(Readout::new(2).with_inputs().weights(ReadoutWeights::Normal { gain: 1.0 }))
            .initial_state(vec![0.1, 0.2, 0.3])
            .seed(4)
            .build()
            .unwrap()
    }

    fn stored<T: Real>(network: &Network<T>, application: serde_json::Value) -> Vec<u8> {
        to_bytes(network, network.initial_state(), application).unwrap()
    }

    fn check<T: Real>() {
        let network = network::<T>();
        let bytes = stored(&network, json!({"column": "x"}));
        assert_eq!(bytes, stored(&network, json!({"column": "x"})));
        let saved = SavedModel::from_bytes(&bytes).unwrap();
        assert_eq!((saved.precision(), saved.application()), (T::NAME, &json!({"column": "x"})));
        assert!(matches!(saved.network::<T>(&[]), Err(Error::Setting { what: "activation", .. })));
        let own = Activation::custom("half", |s| s / 2.0, |_| 0.5);
        let loaded = saved.network::<T>(&[own]).unwrap();
        assert_eq!(loaded.weights(), network.weights());
        assert_eq!(loaded.connections(), network.connections());
        assert!(network.leaks().is_some());
        assert_eq!(loaded.leaks(), network.leaks());
        let mut states = [loaded.state(), network.state()];
        for _ in 0..3 {
            let [ours, theirs] = &mut states;
            let x = [T::ONE, T::ZERO];
            assert_eq!(loaded.forward(ours, &x).unwrap(), network.forward(theirs, &x).unwrap());
        }
    }

    #[test]
    fn a_saved_network_comes_back_as_it_was() {
        check::<f32>();
        check::<f64>();
    }

    /// A model that is saved in the middle of a run continues there.
    #[test]
    fn the_state_of_a_run_is_where_the_saved_network_starts() {
        let network = network::<f64>();
        let mut state = network.state();
        network.forward(&mut state, &[1.0, -0.5]).unwrap();
        let bytes = to_bytes(&network, state.values(), json!(null)).unwrap();
        let own = Activation::custom("half", |s| s / 2.0, |_| 0.5);
        let loaded = SavedModel::from_bytes(&bytes).unwrap().network::<f64>(&[own]).unwrap();
        assert_ne!(loaded.initial_state(), network.initial_state());
        let expected = network.forward(&mut state, &[0.25, 0.5]).unwrap();
        assert_eq!(loaded.forward(&mut loaded.state(), &[0.25, 0.5]).unwrap(), expected);
        let short = to_bytes(&network, &[], json!(null));
        assert!(matches!(short, Err(Error::StateLength { got: 0, .. })));
    }

    #[test]
    fn what_is_special_about_a_readout_comes_back() {
        let readout =
            Readout::new(2).with_inputs().without_bias().recursive_least_squares(0.97, 0.1);
        let readout = readout.weights(ReadoutWeights::Normal { gain: 1.0 });
        // 14 units and 2 inputs leave no padding where a bias could hide.
        let network = Network::<f32>::builder(14, 2).readout(readout).build().unwrap();
        assert!(!network.readout_has_bias());
        assert_eq!(network.readout_weights().unwrap().columns(), 16);
        let saved = SavedModel::from_bytes(&stored(&network, json!(null))).unwrap();
        let loaded = saved.network::<f32>(&[]).unwrap();
        assert!(!loaded.readout_has_bias());
        let expected = network.forward(&mut network.state(), &[1.0, -1.0]).unwrap().to_vec();
        let mut state = loaded.state();
        assert_eq!(loaded.forward(&mut state, &[1.0, -1.0]).unwrap(), expected);
        let settings = |network: &Network<f32>| network.readout.as_ref().unwrap().least_squares;
        assert_eq!(settings(&loaded), settings(&network));
        let features = state.values().iter().chain(&[1.0, -1.0]);
        let row = loaded.readout_weights().unwrap().row(0).iter();
        let sum: f32 = row.zip(features).map(|(weight, feature)| weight * feature).sum();
        assert!((expected[0] - sum).abs() < 1e-6);
    }

    /// Files of the first version say nothing about the bias of the readout, which always had one.
    #[test]
    fn a_file_that_is_silent_about_the_bias_has_one() {
        let network = network::<f32>();
        let mut bytes = stored(&network, json!(null));
        let field = br#"\"readout_bias\":true,"#;
        let place = bytes.windows(field.len()).position(|w| w == field).unwrap();
        bytes.drain(place..place + field.len());
        // The header keeps its length.
        let end = bytes.windows(2).position(|w| w == b"}}").unwrap();
        bytes.splice(end..end, vec![b' '; field.len()]);
        let own = Activation::custom("half", |s| s / 2.0, |_| 0.5);
        let loaded = SavedModel::from_bytes(&bytes).unwrap().network::<f32>(&[own]).unwrap();
        assert!(loaded.readout_has_bias());
        assert_eq!(loaded.readout_weights(), network.readout_weights());
    }

    /// A function of one's own may have the name of a built-in one and is still not mistaken for it.
    #[test]
    fn a_custom_activation_is_never_replaced_by_a_built_in_one() {
        let own = Activation::custom("tanh", |s| s, |_| 1.0);
        let network = Network::<f64>::builder(1, 0).activation(own.clone()).build().unwrap();
        let saved = SavedModel::from_bytes(&stored(&network, json!(null))).unwrap();
        assert!(saved.network::<f64>(&[]).is_err());
        assert!(saved.network::<f64>(&[own]).is_ok());
    }

    /// Written before units could leak: one unit and one input in double precision.
    #[test]
    fn a_file_without_leaks_can_still_be_read() {
        let header = concat!(
            r#"{"__metadata__":{"rtrl":"{\"format\":\"rtrl-model\",\"version\":1,\"units\":1,"#,
            r#"\"inputs\":1,\"bias\":false,\"activations\":[\"identity\"],"#,
            r#"\"readout_sees_inputs\":null,\"application\":null}"},"#,
            r#""recurrent.weight":{"dtype":"F64","shape":[1,2],"data_offsets":[0,16]},"#,
            r#""state":{"dtype":"F64","shape":[1],"data_offsets":[16,24]},"#,
            r#""connections":{"dtype":"U8","shape":[1,2],"data_offsets":[24,26]}}   "#,
        );
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend([2.0f64, 0.5, 8.0].into_iter().flat_map(f64::to_le_bytes));
        file.extend([1, 1]);
        let network = SavedModel::from_bytes(&file).unwrap().network::<f64>(&[]).unwrap();
        assert_eq!(network.leaks(), None);
        assert_eq!(network.forward(&mut network.state(), &[3.0]).unwrap(), [10.0]);
        // What has no leaks is written as it was then.
        assert_eq!(stored(&network, json!(null))[8..][..header.len()], *header.as_bytes());
    }

    #[test]
    fn every_cut_of_a_file_is_an_error() {
        let bytes = stored(&network::<f32>(), json!(null));
        for len in 0..bytes.len() {
            assert!(SavedModel::from_bytes(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_later_version_is_refused_by_name() {
        let bytes = stored(&network::<f32>(), json!(null));
        let place = bytes.windows(11).position(|w| w == b"version\\\":1").unwrap();
        let mut later = bytes.clone();
        later[place + 10] = b'9';
        let reason = SavedModel::from_bytes(&later).unwrap_err();
        assert!(reason.contains("version 9"), "{reason}");
    }
}
