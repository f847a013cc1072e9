//! Saved models: a container with the weights and what is needed to use them.
//!
//! The project's `docs/model-file.md` describes the tensors. Checkpoints hold a network under the
//! same names.

use std::path::Path;

use rtrl_kernel::Real;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::container::{self, Dtype, Plan, Reader, Tensor, Writer};
use super::description::{Description, Parts, connection_codes, connection_rows};
use super::fields::{Field, Visit, Walk, planned, write};
use crate::{Activation, Error, Learner, Network};

const RECURRENT: &str = "recurrent.weight";
const READOUT: &str = "readout.weight";
const STATE: &str = "state";
const CONNECTIONS: &str = "connections";

/// The header of a saved model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    kind: Kind,
    precision: String,
    network: Description,
    /// Data of the program that saved the model.
    application: Value,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Network,
}

/// A model that was read from a file.
#[derive(Debug, Clone)]
pub struct SavedModel {
    contents: Contents,
    parts: Parts,
    /// The weights and the P of every fit of the readout.
    fits: Vec<(Vec<f64>, Vec<f64>)>,
}

/// Saves a network: its weights, shape, activations (by name), leaks, connections, and `state`,
/// values like those of [`State::values`](crate::State::values), which is the initial state of the
/// network that is read from the file.
///
/// To let the saved model start where the network did, pass [`Network::initial_state`]; to let it
/// continue where a run is now, the [`values`](crate::State::values) of that run's state, such as
/// `learner.state(0)?.values()`. `application` is stored as it is, for the program that saves the
/// model.
///
/// # Errors
/// [`Error::StateLength`] or [`Error::NonFinite`] for the state; [`Error::File`] if the file cannot
/// be written (an earlier one is then unchanged), [`Error::Format`] if the model is too large for
/// the format.
pub fn save<T: Real>(
    network: &Network<T>,
    state: &[T],
    application: Value,
    path: &Path,
) -> Result<(), Error> {
    save_with(network, (state, &[]), application, |plan, write| container::save(path, plan, write))
}

/// [`save`] to memory. [`SavedModel::from_bytes`] reads it.
///
/// # Errors
/// As [`save`], without those of files.
pub fn to_bytes<T: Real>(
    network: &Network<T>,
    state: &[T],
    application: Value,
) -> Result<Vec<u8>, Error> {
    save_with(network, (state, &[]), application, |plan, write| container::to_bytes(plan, write))
}

/// [`save`] of the network of a learner as it is now, in the state of its first stream. A readout
/// that learns by recursive least squares is stored with its second moments, so that another
/// learner can continue to fit it ([`Learner::restore_readout_fits`]). Sensitivities and the
/// optimiser's state are in checkpoints only.
///
/// # Errors
/// As [`save`].
pub fn save_learnt<T: Real>(
    learner: &Learner<T>,
    application: Value,
    path: &Path,
) -> Result<(), Error> {
    let fits = learner.readout_fits().iter().map(|fit| (fit.weights(), fit.inverse()));
    let fits: Vec<_> = fits.collect();
    let parts = (learner.state(0)?.values(), fits.as_slice());
    save_with(learner.network(), parts, application, |plan, write| {
        container::save(path, plan, write)
    })
}

fn save_with<T: Real, O>(
    network: &Network<T>,
    (state, fits): (&[T], &[FitView<'_>]),
    application: Value,
    save: impl FnOnce(&Plan, &dyn Fn(&mut Writer<'_>) -> Result<(), Error>) -> Result<O, Error>,
) -> Result<O, Error> {
    network.check_state(state)?;
    let walk: &Walk<'_, T> = &|visit| {
        visit_network(network, state, visit)?;
        for (o, (weights, inverse)) in fits.iter().enumerate() {
            visit(&fit_field(o, "weight"), Field::Doubles(weights))?;
            visit(&fit_field(o, "inverse"), Field::Doubles(inverse))?;
        }
        Ok(())
    };
    let contents = Contents {
        kind: Kind::Network,
        precision: T::NAME.to_owned(),
        network: Description::of(network),
        application,
    };
    let plan = Plan::new(&contents, planned(walk)?.tensors)?;
    save(&plan, &|writer| write(walk, writer))
}

/// The name of a field of output `o`'s fit, as in checkpoints.
fn fit_field(o: usize, name: &str) -> String {
    format!("fit.{o}.{name}")
}

/// Visits the fields of a network that starts in `state`.
///
/// # Errors
/// Those of the visitor.
pub(crate) fn visit_network<T: Real>(
    network: &Network<T>,
    state: &[T],
    visit: &mut Visit<'_, T>,
) -> Result<(), Error> {
    let weights = network.weights();
    visit(RECURRENT, Field::Matrix(weights))?;
    if let Some(readout) = network.readout_weights() {
        visit(READOUT, Field::Matrix(readout))?;
    }
    visit(STATE, Field::Numbers(state))?;
    let shape = [weights.rows(), weights.columns()];
    visit(CONNECTIONS, Field::Codes(shape, connection_codes(network)))
}

/// What a file holds, by the `kind` of its contents.
const KINDS: [(&str, &str); 3] = [
    ("network", "a saved model"),
    ("learner", "the checkpoint of a learner"),
    ("learners", "the checkpoint of several learners"),
];

/// Fails if the contents of a file are of another kind than `expected`.
pub(super) fn check_kind(reader: &Reader, expected: &str) -> Result<(), Error> {
    let name = |kind: &str| KINDS.iter().find(|(known, _)| *known == kind).map(|(_, name)| name);
    let got = reader.contents().get("kind").and_then(Value::as_str);
    match (got.and_then(name), name(expected)) {
        (Some(got), Some(expected)) if got != expected => {
            Err(reader.refuse(format!("got {got}, expected {expected}")))
        }
        _ => Ok(()),
    }
}

impl SavedModel {
    /// Reads a saved model and checks that its parts are consistent.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, [`Error::Container`] if it is damaged or has
    /// another format or version, [`Error::Format`] if it is not a saved model.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::new(Reader::open(path)?)
    }

    /// Reads what [`to_bytes`] returned.
    ///
    /// # Errors
    /// As [`SavedModel::read`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        Self::new(Reader::from_bytes(bytes)?)
    }

    fn new(mut reader: Reader) -> Result<Self, Error> {
        check_kind(&reader, "network")?;
        let contents = Contents::deserialize(reader.contents());
        let contents = contents.map_err(|error| reader.refuse(format!("not a model: {error}")))?;
        let parts = read_parts(&mut reader, &contents.network, &contents.precision)?;
        let fits = read_fits(&mut reader, &contents.network)?;
        let expected = 3 + usize::from(contents.network.readout.is_some()) + 2 * fits.len();
        let got = reader.tensors().count();
        if got != expected {
            return Err(reader.refuse(format!("got {got} tensors, expected {expected}")));
        }
        Ok(Self { contents, parts, fits })
    }

    /// `f32` or `f64`: the precision in which the model was saved.
    pub fn precision(&self) -> &str {
        &self.contents.precision
    }

    /// Data of the program that saved the model.
    pub fn application(&self) -> &Value {
        &self.contents.application
    }

    /// The weights and the P of every fit of the readout, for [`Learner::restore_readout_fits`];
    /// none if the model was saved without a learner.
    pub fn readout_fits(&self) -> &[(Vec<f64>, Vec<f64>)] {
        &self.fits
    }

    /// The network, exactly as it was saved if `T` is the precision of the file, else rounded.
    ///
    /// `custom` are the custom activations of the model, found by their names.
    ///
    /// # Errors
    /// [`Error::Setting`] for an activation that is neither built in nor given; otherwise those of
    /// [`NetworkBuilder::build`](crate::NetworkBuilder::build).
    pub fn network<T: Real>(&self, custom: &[Activation]) -> Result<Network<T>, Error> {
        self.contents.network.builder(self.parts.clone(), custom)?.build()
    }

    /// Saves the model again in another state and with other data of its program, as [`save`] does:
    /// what a run that does not learn leaves of it.
    ///
    /// # Errors
    /// As [`SavedModel::network`] without custom activations, and as [`save`].
    pub fn save_in_state<T: Real>(
        &self,
        state: &[T],
        application: Value,
        path: &Path,
    ) -> Result<(), Error> {
        let fits = self.fits.iter().map(|(weights, inverse)| (&weights[..], &inverse[..]));
        let fits: Vec<_> = fits.collect();
        save_with(&self.network::<T>(&[])?, (state, &fits), application, |plan, write| {
            container::save(path, plan, write)
        })
    }
}

/// Reads the numbers of a network. The file confirms each shape before memory is reserved for it.
///
/// # Errors
/// [`Error::Container`] for a tensor that is missing or of another shape, [`Error::Format`] for
/// invalid sizes, lists, precisions or codes.
pub(super) fn read_parts(
    reader: &mut Reader,
    network: &Description,
    precision: &str,
) -> Result<Parts, Error> {
    let read = match precision {
        "f32" => rows::<f32>,
        "f64" => rows::<f64>,
        other => return Err(reader.refuse(format!("got precision {other:?}, expected f32 or f64"))),
    };
    let shape = network.shape().map_err(|reason| reader.refuse(reason))?;
    let [rows, width] = shape;
    reader.expect(&Tensor::bytes(CONNECTIONS, shape))?;
    let mut codes = vec![0; rows * width];
    reader.bytes(CONNECTIONS, 0, &mut codes)?;
    let connections = connection_rows(&codes, width).map_err(|reason| reader.refuse(reason))?;
    let weights = read(reader, RECURRENT, &shape)?;
    let readout = network
        .readout
        .as_ref()
        .map(|readout| read(reader, READOUT, &[readout.outputs, network.features()]));
    let readout = readout.transpose()?;
    let state = read(reader, STATE, &[network.states()])?.concat();
    Ok(Parts { weights, connections, state, readout })
}

/// The weights and the P of a fit.
type Fit = (Vec<f64>, Vec<f64>);

/// The same, borrowed.
type FitView<'a> = (&'a [f64], &'a [f64]);

/// Reads the fits of a readout, if the file has any.
///
/// # Errors
/// [`Error::Container`] for a tensor that is missing or of another shape.
fn read_fits(reader: &mut Reader, network: &Description) -> Result<Vec<Fit>, Error> {
    let readout = network.readout.as_ref().filter(|readout| readout.least_squares.is_some());
    let outputs = readout.map_or(0, |readout| readout.outputs);
    if reader.find(&fit_field(0, "weight")).is_none() {
        return Ok(Vec::new());
    }
    let features = network.features();
    let mut read = |name: String, len: usize| -> Result<Vec<f64>, Error> {
        reader.expect(&Tensor::numbers::<f64>(name.as_str(), [len]))?;
        let mut numbers = vec![0.0; len];
        reader.numbers(&name, 0, &mut numbers)?;
        Ok(numbers)
    };
    let fit = |o| {
        let weights = read(fit_field(o, "weight"), features)?;
        Ok((weights, read(fit_field(o, "inverse"), features.saturating_mul(features))?))
    };
    (0..outputs).map(fit).collect()
}

/// A tensor as rows as long as its last dimension.
fn rows<T: Real>(reader: &mut Reader, name: &str, shape: &[usize]) -> Result<Vec<Vec<f64>>, Error> {
    reader.expect(&Tensor {
        name: name.to_owned(),
        dtype: Dtype::of::<T>(),
        shape: shape.into(),
    })?;
    let columns = shape.last().copied().unwrap_or(1);
    let count: usize = shape.iter().product();
    let mut row = vec![T::ZERO; columns];
    let read = |first| {
        reader.numbers(name, first, &mut row)?;
        Ok(row.iter().map(|value| value.to_f64()).collect())
    };
    (0..count).step_by(columns.max(1)).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InitialWeights, Readout, ReadoutWeights};
    use serde_json::json;
    use sha2::{Digest, Sha256};

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

    /// The bytes of a saved model.
    fn to_bytes<T: Real>(
        network: &Network<T>,
        state: &[T],
        application: Value,
    ) -> Result<Vec<u8>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        save(network, state, application, &path)?;
        Ok(std::fs::read(path).unwrap())
    }

    fn read(bytes: &[u8]) -> Result<SavedModel, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        std::fs::write(&path, bytes).unwrap();
        SavedModel::read(&path)
    }

    fn stored<T: Real>(network: &Network<T>, application: serde_json::Value) -> Vec<u8> {
        to_bytes(network, network.initial_state(), application).unwrap()
    }

    fn check<T: Real>() {
        let network = network::<T>();
        let bytes = stored(&network, json!({"column": "x"}));
        assert_eq!(bytes, stored(&network, json!({"column": "x"})));
        let saved = read(&bytes).unwrap();
        assert_eq!((saved.precision(), saved.application()), (T::NAME, &json!({"column": "x"})));
        assert!(matches!(saved.network::<T>(&[]), Err(Error::Setting { what: "activation", .. })));
        let own = Activation::custom("half", |s| s / 2.0, |_| 0.5);
        let loaded = saved.network::<T>(&[own]).unwrap();
        assert_eq!(loaded.weights(), network.weights());
        assert_eq!(loaded.connections(), network.connections());
        assert!(network.layers()[0].leaks().is_some());
        assert_eq!(loaded.layers()[0].leaks(), network.layers()[0].leaks());
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
        let loaded = read(&bytes).unwrap().network::<f64>(&[own]).unwrap();
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
        let saved = read(&stored(&network, json!(null))).unwrap();
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

    /// The second moments of a readout that learns by least squares are saved as well.
    #[test]
    fn a_readout_continues_to_be_fitted_where_it_was() {
        let readout = Readout::new(2).recursive_least_squares(0.97, 0.1);
        let network = Network::<f32>::builder(3, 1).readout(readout).build().unwrap();
        let mut learner = Learner::builder(network.freeze()).build().unwrap();
        let step = |learner: &mut Learner<f32>, t: u8| {
            let x = f32::from(t % 5);
            learner.step(&[x], crate::Targets::All(&[x, 1.0 - x])).unwrap();
        };
        (0..20).for_each(|t| step(&mut learner, t));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        save_learnt(&learner, json!(null), &path).unwrap();
        let saved = SavedModel::read(&path).unwrap();
        let mut resumed = Learner::builder(saved.network(&[]).unwrap()).build().unwrap();
        resumed.restore_readout_fits(saved.readout_fits()).unwrap();
        let refused = resumed.restore_readout_fits(&saved.readout_fits()[..1]);
        assert!(matches!(refused, Err(Error::Length { expected: 2, got: 1, .. })));
        let mut forgetful = Learner::builder(saved.network(&[]).unwrap()).build().unwrap();
        for t in 20..40 {
            for learner in [&mut learner, &mut resumed, &mut forgetful] {
                step(learner, t);
            }
        }
        let readout = |learner: &Learner<f32>| learner.network().readout_weights().cloned();
        assert_eq!(readout(&resumed), readout(&learner));
        assert_ne!(readout(&forgetful), readout(&learner));
        // In another state, everything else is as it was.
        let state = [0.5f32, 0.25, 0.0];
        saved.save_in_state(&state, json!("moved"), &path).unwrap();
        let moved = SavedModel::read(&path).unwrap();
        let [moved_network, network] = [&moved, &saved].map(|s| s.network::<f32>(&[]).unwrap());
        assert_eq!(moved.application(), &json!("moved"));
        assert_eq!(
            (moved_network.initial_state(), moved.readout_fits()),
            (&state[..], saved.readout_fits())
        );
        assert_eq!(moved_network.connections(), network.connections());
        assert_eq!(moved_network.weights(), network.weights());
    }

    /// A custom function may have the name of a built-in one and is not mistaken for it.
    #[test]
    fn a_custom_activation_is_never_replaced_by_a_built_in_one() {
        let own = Activation::custom("tanh", |s| s, |_| 1.0);
        let network = Network::<f64>::builder(1, 0).activation(own.clone()).build().unwrap();
        let saved = read(&stored(&network, json!(null))).unwrap();
        assert!(saved.network::<f64>(&[]).is_err());
        assert!(saved.network::<f64>(&[own]).is_ok());
    }

    /// A model of the first version, which no release has written.
    #[test]
    fn a_file_of_an_earlier_format_is_refused_by_version() {
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
        let message = read(&file).unwrap_err().to_string();
        let expected = r#"format "rtrl-model" version 1, expected "rtrl" version 2"#;
        assert!(message.ends_with(expected), "{message}");
    }

    #[test]
    fn every_flipped_bit_is_an_error() {
        let bytes = stored(&network::<f32>(), json!(null));
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << (place % 8);
            assert!(read(&damaged).is_err(), "byte {place}");
        }
    }

    /// A correctly signed file with other contents or numbers.
    fn forged(contents: &Value, weight: f32, readout: bool) -> Result<SavedModel, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let single = |name: &str, shape: [usize; 2]| Tensor::numbers::<f32>(name, shape);
        let mut tensors = vec![single(RECURRENT, [1, 2])];
        tensors.extend(readout.then(|| single(READOUT, [1, 2])));
        tensors.push(Tensor::numbers::<f32>(STATE, [1]));
        tensors.push(Tensor::bytes(CONNECTIONS, [1, 2]));
        let plan = Plan::new(contents, tensors).unwrap();
        container::save(&path, &plan, |writer| {
            writer.numbers(RECURRENT, &[0.5, weight])?;
            if readout {
                writer.numbers(READOUT, &[1.0f32, 2.0])?;
            }
            writer.numbers(STATE, &[0.0f32])?;
            writer.bytes(CONNECTIONS, &[1, 1])
        })?;
        SavedModel::read(&path)
    }

    #[test]
    fn a_network_that_is_not_fully_described_is_refused() {
        let readout =
            json!({"outputs": 1, "sees_inputs": false, "bias": true, "least_squares": null});
        let contents = |network: Value| json!({"kind": "network", "precision": "f32", "network": network, "application": 0});
        let network = |readout: &Value| {
            let tanh = ["tanh"];
            json!({"units": 1, "inputs": 1, "bias": false, "activations": tanh, "readout": readout})
        };
        assert!(forged(&contents(network(&readout)), 1.0, true).is_ok());
        assert!(forged(&contents(network(&json!(null))), 1.0, false).is_ok());
        // The readout would be dropped.
        let message = forged(&contents(network(&json!(null))), 1.0, true).unwrap_err().to_string();
        assert!(message.ends_with("got 4 tensors, expected 3"), "{message}");
        assert!(forged(&contents(network(&readout)), 1.0, false).is_err());
        let mut fields = network(&json!(null));
        fields["least_squares"] = json!({"forgetting": 0.9, "ridge": 0.1});
        assert!(forged(&contents(fields), 1.0, false).is_err());
        for activations in [json!([]), json!(["tanh", "relu"])] {
            let mut fields = network(&readout);
            fields["activations"] = activations;
            assert!(forged(&contents(fields), 1.0, true).is_err());
        }
        let mut learner = contents(network(&readout));
        learner["kind"] = json!("learner");
        assert!(forged(&learner, 1.0, true).is_err());
    }

    /// Another tool may sign a file with a NaN: reading it fails, not the network that is built of
    /// it.
    #[test]
    fn a_weight_that_is_not_finite_is_refused() {
        let bytes = stored(&network::<f32>(), json!(null));
        let mut odd = bytes[..bytes.len() - 32].to_vec();
        let metadata = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let start = 8 + metadata.0 + metadata.1.info(RECURRENT).unwrap().data_offsets.0;
        odd[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        let checksum: [u8; 32] = Sha256::digest(&odd).into();
        odd.extend(checksum);
        let message = read(&odd).unwrap_err().to_string();
        assert!(message.ends_with("NaN, expected finite numbers"), "{message}");
    }

    /// Any safetensors reader opens a saved model, and finds the checksum as one more tensor.
    #[test]
    fn a_plain_safetensors_reader_opens_a_model() {
        let bytes = stored(&network::<f32>(), json!(null));
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names = tensors.names();
        names.sort_unstable();
        let expected = ["checksum", "connections", "readout.weight", "recurrent.weight", "state"];
        assert_eq!(names, expected);
        assert_eq!(tensors.tensor("readout.weight").unwrap().shape(), [2, 6]);
    }

    #[test]
    fn every_cut_of_a_file_is_an_error() {
        let bytes = stored(&network::<f32>(), json!(null));
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_later_version_is_refused_by_name() {
        let bytes = stored(&network::<f32>(), json!(null));
        let place = bytes.windows(11).position(|w| w == b"version\\\":2").unwrap();
        let mut later = bytes.clone();
        later[place + 10] = b'9';
        let reason = read(&later).unwrap_err().to_string();
        assert!(reason.contains("version 9, expected 2"), "{reason}");
    }
}
