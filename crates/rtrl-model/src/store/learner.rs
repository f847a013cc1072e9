//! Learners and forecasters in a container: everything that the run needs to continue bit for bit.
//!
//! The project's `docs/checkpoint.md` describes the tensors. [`Learner::visit`] names the fields.

use std::collections::HashMap;
use std::path::Path;

use rtrl_kernel::Real;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::container::{self, Checkpoints, Plan, Reader, Saved, Tensor, Writer};
use super::description::Description;
use super::fields::{Field, Planned, Reading, Visit, planned, write};
use super::network::{check_kind, read_parts, visit_network};
use super::supplies::Supplies;
use crate::learner::{Settings, stream_field};
use crate::{Activation, Error, Learner, Network};

/// The header of a checkpoint, apart from the tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    kind: Kind,
    precision: String,
    network: Description,
    /// The number of weights that learn, which are the columns of p.
    learning_weights: usize,
    learner: Settings,
    /// Counts and flags by their names.
    counts: Map<String, Value>,
    /// The pending inputs, if it is a forecaster.
    forecast: Option<ForecastContents>,
    application: Value,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Learner,
}

/// What the header says about one of several learners, apart from its counts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredParts {
    precision: String,
    network: Description,
    /// The number of weights that learn, which are the columns of p.
    learning_weights: usize,
    learner: Settings,
}

impl StoredParts {
    /// `f32` or `f64`.
    pub(super) fn precision(&self) -> &str {
        &self.precision
    }

    pub(super) fn of<T: Real>(learner: &Learner<T>) -> Self {
        Self {
            precision: T::NAME.to_owned(),
            network: Description::of(learner.network()),
            learning_weights: learner.network().weight_counts().1,
            learner: Settings::of(learner),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForecastContents {
    horizon: usize,
    /// Inputs that wait, for each stream.
    waiting: Vec<usize>,
}

/// Pending inputs of a forecaster, stream by stream.
#[derive(Debug, Clone)]
pub(crate) struct Waiting<T> {
    contents: ForecastContents,
    inputs: Vec<T>,
}

const WAITING: &str = "forecast.inputs";

/// Values in a file for each pending input of a network with `inputs` inputs. A network without
/// inputs also has one, a 0, so that the length of the file confirms the number of pending inputs:
/// a forecast takes a step for each.
pub(crate) fn stored_width(inputs: usize) -> usize {
    inputs.max(1)
}

impl<T> Waiting<T> {
    pub(crate) fn new(horizon: usize, counts: Vec<usize>, inputs: Vec<T>) -> Self {
        Self { contents: ForecastContents { horizon, waiting: counts }, inputs }
    }

    /// Calls between an input and its label.
    pub(crate) fn horizon(&self) -> usize {
        self.contents.horizon
    }

    /// Inputs that wait, for each stream.
    pub(crate) fn counts(&self) -> &[usize] {
        &self.contents.waiting
    }

    /// All inputs, stream by stream.
    pub(crate) fn inputs(&self) -> &[T] {
        &self.inputs
    }
}

impl<T: Real> Learner<T> {
    /// Saves everything that the run needs to continue bit for bit to one file. `application` is
    /// stored unchanged, for the program.
    ///
    /// p and windows are written row by row, without a second copy in memory.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Container`]; an earlier file is then unchanged.
    /// [`Error::Kernel`] if a custom engine cannot be saved.
    pub fn save(&self, path: &Path, application: &Value) -> Result<(), Error> {
        self.save_with(None, application, |plan, write| container::save(path, plan, write))
    }

    /// [`Learner::save`] to memory. [`StoredLearner::from_bytes`] reads it.
    ///
    /// # Errors
    /// [`Error::Kernel`] if a custom engine cannot be saved.
    pub fn to_bytes(&self, application: &Value) -> Result<Vec<u8>, Error> {
        self.save_with(None, application, |plan, write| container::to_bytes(plan, write))
    }

    /// [`Learner::save`] into a series of checkpoints, of which the last few are kept, under the
    /// step [`Learner::steps`].
    ///
    /// # Errors
    /// As [`Learner::save`]; all earlier checkpoints are unchanged.
    pub fn save_in(&self, series: &Checkpoints, application: &Value) -> Result<Saved, Error> {
        self.save_with(None, application, |plan, write| series.save(self.steps(), plan, write))
    }

    /// The precision, the shape of the network and all settings, as a checkpoint states them: two
    /// learners with equal descriptions and weights take the same steps. What is custom is
    /// described by its name.
    ///
    /// # Errors
    /// [`Error::Format`] if a setting cannot be written as JSON.
    pub fn description(&self) -> Result<Value, Error> {
        serde_json::to_value(StoredParts::of(self)).map_err(|error| Error::Format {
            what: "description of a learner".to_owned(),
            reason: error.to_string(),
        })
    }

    pub(crate) fn save_with<O>(
        &self,
        waiting: Option<&Waiting<T>>,
        application: &Value,
        save: impl FnOnce(&Plan, &dyn Fn(&mut Writer<'_>) -> Result<(), Error>) -> Result<O, Error>,
    ) -> Result<O, Error> {
        let walk = |visit: &mut Visit<'_, T>| self.visit_all(waiting, visit);
        let Planned { tensors, counts } = planned(&walk)?;
        let contents = Contents {
            kind: Kind::Learner,
            precision: T::NAME.to_owned(),
            network: Description::of(self.network()),
            learning_weights: self.network().weight_counts().1,
            learner: Settings::of(self),
            counts,
            forecast: waiting.map(|waiting| waiting.contents.clone()),
            application: application.clone(),
        };
        let plan = Plan::new(&contents, tensors)?;
        save(&plan, &|writer| write(&walk, writer))
    }

    pub(super) fn visit_all(
        &self,
        waiting: Option<&Waiting<T>>,
        visit: &mut Visit<'_, T>,
    ) -> Result<(), Error> {
        visit_network(self.network(), self.network().initial_state(), visit)?;
        self.visit(visit)?;
        match waiting {
            Some(waiting) => visit(WAITING, Field::Numbers(&waiting.inputs)),
            None => Ok(()),
        }
    }
}

/// A checkpoint of a learner or a forecaster.
#[derive(Debug)]
pub struct StoredLearner {
    reader: Reader,
    contents: Contents,
}

impl StoredLearner {
    /// Reads the header of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Format`] if it does not hold a learner.
    pub fn new(reader: Reader) -> Result<Self, Error> {
        check_kind(&reader, "learner")?;
        let contents = Contents::deserialize(reader.contents());
        let contents = contents
            .map_err(|error| reader.refuse(format!("not the checkpoint of a learner: {error}")))?;
        Ok(Self { reader, contents })
    }

    /// A learner among several in a file.
    pub(super) fn among(reader: Reader, stored: StoredParts, counts: Map<String, Value>) -> Self {
        let StoredParts { precision, network, learning_weights, learner } = stored;
        let (kind, forecast, application) = (Kind::Learner, None, Value::Null);
        let contents = Contents {
            kind,
            precision,
            network,
            learning_weights,
            learner,
            counts,
            forecast,
            application,
        };
        Self { reader, contents }
    }

    /// Opens the checkpoint at `path`.
    ///
    /// # Errors
    /// Those of [`Reader::open`], and [`Error::Format`] if it does not hold a learner.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::new(Reader::open(path)?)
    }

    /// Reads the header of what [`Learner::to_bytes`] returned.
    ///
    /// # Errors
    /// As [`StoredLearner::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        Self::new(Reader::from_bytes(bytes)?)
    }

    /// `f32` or `f64`.
    pub fn precision(&self) -> &str {
        &self.contents.precision
    }

    /// Data of the program that saved it.
    pub fn application(&self) -> &Value {
        &self.contents.application
    }

    /// Number of steps taken when it was saved.
    pub fn steps(&self) -> u64 {
        self.contents.counts.get("steps").and_then(Value::as_u64).unwrap_or_default()
    }

    /// Calls between an input and its label, if it is a forecaster's.
    pub fn horizon(&self) -> Option<usize> {
        self.contents.forecast.as_ref().map(|forecast| forecast.horizon)
    }

    /// The network with its present weights, without what the learner remembers: exactly as it was
    /// saved, or rounded if `T` is less precise than the file. It starts in the initial state of
    /// the network.
    ///
    /// `custom` are the custom activations of the network, found by their names.
    ///
    /// # Errors
    /// As [`SavedModel::read`](super::network::SavedModel::read) and
    /// [`SavedModel::network`](super::network::SavedModel::network).
    pub fn network<T: Real>(mut self, custom: &[Activation]) -> Result<Network<T>, Error> {
        let Contents { network, precision, .. } = &self.contents;
        let parts = read_parts(&mut self.reader, network, precision)?;
        network.builder(parts, custom)?.build()
    }

    /// The learner, which continues as the saved one would have, bit for bit.
    ///
    /// # Errors
    /// [`Error::Setting`] if the precision is not that of the file, it is a forecaster's, something
    /// custom has not been supplied or numbers contradict the settings; [`Error::Container`] and
    /// [`Error::Format`] if tensors are inconsistent; those of
    /// [`LearnerBuilder::build`](crate::LearnerBuilder::build).
    pub fn learner<T: Real>(mut self, supplies: &Supplies<T>) -> Result<Learner<T>, Error> {
        if self.contents.forecast.is_some() {
            let (expected, got) = ("a learner's".to_owned(), "a forecaster's".to_owned());
            return Err(Error::Setting { what: "checkpoint", expected, got });
        }
        self.take(supplies, None)
    }

    /// The learner of a forecaster, with its pending inputs.
    ///
    /// # Errors
    /// As [`StoredLearner::learner`].
    pub(crate) fn forecasting<T: Real>(
        mut self,
        supplies: &Supplies<T>,
    ) -> Result<(Learner<T>, Waiting<T>), Error> {
        let Some(contents) = self.contents.forecast.take() else {
            let (expected, got) = ("a forecaster's".to_owned(), "a learner's".to_owned());
            return Err(Error::Setting { what: "checkpoint", expected, got });
        };
        let count = contents.waiting.iter().fold(0usize, |sum, &count| sum.saturating_add(count));
        let count = count.saturating_mul(stored_width(self.contents.network.inputs));
        let tensor = Tensor::numbers::<T>(WAITING, [count]);
        self.check_precision::<T>()?;
        self.reader.expect(&tensor)?;
        let mut inputs = vec![T::ZERO; count];
        self.reader.numbers(WAITING, 0, &mut inputs)?;
        let learner = self.take(supplies, Some(&tensor))?;
        Ok((learner, Waiting { contents, inputs }))
    }

    fn take<T: Real>(
        &mut self,
        supplies: &Supplies<T>,
        waiting: Option<&Tensor>,
    ) -> Result<Learner<T>, Error> {
        self.check_precision::<T>()?;
        let mut learner = self.build(supplies)?;
        let Self { reader, contents } = self;
        let mut reading = Reading { reader, counts: &contents.counts };
        learner.visit_mut(&mut |name, field| reading.take(name, field))?;
        learner.check_fields()?;
        self.check_complete(&learner, waiting)?;
        Ok(learner)
    }

    fn check_precision<T: Real>(&self) -> Result<(), Error> {
        if self.contents.precision == T::NAME {
            return Ok(());
        }
        let (expected, got) = (T::NAME.to_owned(), self.contents.precision.clone());
        Err(Error::Setting { what: "precision of the checkpoint", expected, got })
    }

    /// Fails unless the file has the large tensors for which a learner reserves memory when it is
    /// built. Only the memory of a custom engine is unknown.
    fn check_sizes<T: Real>(&self) -> Result<(), Error> {
        let Contents { network, learning_weights, learner, .. } = &self.contents;
        if let Some(readout) = network.readout.as_ref().filter(|r| r.least_squares.is_some()) {
            let count = network.features().saturating_mul(network.features());
            for o in 0..readout.outputs {
                self.reader.expect(&Tensor::numbers::<f64>(format!("fit.{o}.inverse"), [count]))?;
            }
        }
        let rows = network.shape().map_or(0, |[rows, _]| rows);
        let stored = self.reader.tensors().map(|tensor| tensor.shape.iter().product::<usize>());
        learner.engine.check_claims(stored.sum(), network.states())?;
        let spec = learner.engine.unchecked([network.states(), rows])?;
        for b in 0..learner.streams() {
            self.reader
                .expect(&Tensor::numbers::<T>(stream_field(b, "state"), [network.states()]))?;
            for (name, shape) in spec.sensitivities(network.states(), *learning_weights) {
                let name = stream_field(b, &format!("engine.{name}"));
                self.reader.expect(&Tensor::numbers::<T>(name, shape))?;
            }
        }
        Ok(())
    }

    /// A fresh learner with the settings of the stored one.
    fn build<T: Real>(&mut self, supplies: &Supplies<T>) -> Result<Learner<T>, Error> {
        let Self { reader, contents } = self;
        let parts = read_parts(reader, &contents.network, &contents.precision)?;
        self.check_sizes::<T>()?;
        let Contents { network, learning_weights, learner, .. } = &self.contents;
        let mut network = network.builder::<T>(parts, &supplies.activations)?;
        if let Some(isa) = supplies.isa {
            network = network.isa(isa);
        }
        let network = network.build()?;
        let expected = network.weight_counts().1;
        if *learning_weights != expected {
            let reason = format!("got {learning_weights} weights that learn, expected {expected}");
            return Err(self.reader.refuse(reason));
        }
        learner.build(network, supplies)
    }

    /// Fails unless the learner, saved again, gives a file with the same tensors and counts, so
    /// that nothing in the file was ignored.
    fn check_complete<T: Real>(
        &self,
        learner: &Learner<T>,
        waiting: Option<&Tensor>,
    ) -> Result<(), Error> {
        let Planned { tensors, counts } = planned(&|visit| learner.visit_all(None, visit))?;
        let known: HashMap<_, _> =
            tensors.iter().chain(waiting).map(|tensor| (&tensor.name, tensor)).collect();
        let known = |tensor: &Tensor| known.get(&tensor.name) == Some(&tensor);
        if let Some(odd) = self.reader.tensors().find(|tensor| !known(tensor)) {
            return Err(self.reader.refuse(format!("got an unexpected tensor `{}`", odd.name)));
        }
        match self.contents.counts.keys().find(|&name| !counts.contains_key(name)) {
            Some(odd) => Err(self.reader.refuse(format!("got an unexpected count `{odd}`"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::network::{SavedModel, to_bytes};
    use crate::{Forecaster, Network, Optimizer, Targets};

    fn learner() -> Learner<f64> {
        let network = Network::builder(3, 1).seed(1).build().unwrap();
        let mut learner = Learner::builder(network).build().unwrap();
        for x in [0.1, 0.2, 0.3] {
            learner.step(&[x], Targets::All(&[0.5; 3])).unwrap();
        }
        learner
    }

    #[test]
    fn learners_in_memory_continue_bit_for_bit() {
        let mut learner = learner();
        let bytes = learner.to_bytes(&Value::from("note")).unwrap();
        let stored = StoredLearner::from_bytes(bytes).unwrap();
        assert_eq!((stored.steps(), stored.application()), (3, &Value::from("note")));
        let mut twin: Learner<f64> = stored.learner(&Supplies::default()).unwrap();
        assert!(twin.gradient().is_none());
        for learner in [&mut learner, &mut twin] {
            learner.step(&[0.4], Targets::All(&[-0.5; 3])).unwrap();
        }
        assert_eq!(learner.network().weights(), twin.network().weights());
        let gradients = [&learner, &twin].map(|l| l.gradient().unwrap().recurrent());
        assert_eq!(gradients[0], gradients[1]);
    }

    #[test]
    fn forecasters_in_memory_keep_their_pending_inputs() {
        let mut forecaster = Forecaster::new(learner(), 2).unwrap();
        forecaster.observe(&[0.7], Targets::None).unwrap();
        let bytes = forecaster.to_bytes(&Value::Null).unwrap();
        let stored = StoredLearner::from_bytes(bytes).unwrap();
        let mut twin: Forecaster<f64> = stored.forecaster(&Supplies::default()).unwrap();
        assert_eq!(forecaster.forecast().unwrap(), twin.forecast().unwrap());
    }

    #[test]
    fn the_network_of_a_checkpoint_has_the_weights_of_now() {
        let learner = learner();
        let bytes = learner.to_bytes(&Value::Null).unwrap();
        let stored = || StoredLearner::from_bytes(bytes.clone()).unwrap();
        let network: Network<f64> = stored().network(&[]).unwrap();
        assert_eq!(network.weights(), learner.network().weights());
        assert_eq!(network.initial_state(), learner.network().initial_state());
        let rounded: Network<f32> = stored().network(&[]).unwrap();
        let rows = learner.network().weights().to_rows().concat();
        let expected: Vec<f64> = rows.into_iter().map(|w| f32::from_f64(w).to_f64()).collect();
        assert_eq!(rounded.weights().to_rows().concat(), expected);
        // That of a forecaster, and with a function that is not stored.
        let half = || Activation::custom("half", |s| s / 2.0, |_| 0.5);
        let network = Network::<f64>::builder(2, 1).activation(half()).build().unwrap();
        let forecaster = Forecaster::new(Learner::builder(network).build().unwrap(), 2).unwrap();
        let bytes = forecaster.to_bytes(&Value::Null).unwrap();
        let stored = || StoredLearner::from_bytes(bytes.clone()).unwrap();
        let network = stored().network::<f64>(&[half()]).unwrap();
        assert_eq!(network.weights(), forecaster.learner().network().weights());
        let refused = stored().network::<f64>(&[]).unwrap_err();
        assert!(matches!(refused, Error::Setting { what: "activation", .. }), "{refused}");
    }

    #[test]
    fn damaged_bytes_and_other_kinds_are_refused() {
        let learner = learner();
        let mut bytes = learner.to_bytes(&Value::Null).unwrap();
        let refused = SavedModel::from_bytes(bytes.clone()).unwrap_err().to_string();
        assert!(refused.starts_with("checkpoint in memory: got the checkpoint"), "{refused}");
        *bytes.last_mut().unwrap() ^= 1;
        assert!(matches!(StoredLearner::from_bytes(bytes), Err(Error::Container { .. })));
        let state = learner.network().initial_state();
        let bytes = to_bytes(learner.network(), state, Value::Null).unwrap();
        let network: Network<f64> = SavedModel::from_bytes(bytes).unwrap().network(&[]).unwrap();
        assert_eq!(network.weights(), learner.network().weights());
    }

    #[test]
    fn a_description_tells_learners_apart() {
        let describe = |units, rate| {
            let network = Network::<f64>::builder(units, 1).build().unwrap();
            let learner = Learner::builder(network).optimizer(Optimizer::sgd(rate)).build();
            learner.unwrap().description().unwrap()
        };
        assert_eq!(describe(3, 0.1), describe(3, 0.1));
        assert_ne!(describe(3, 0.1), describe(4, 0.1));
        let (a, b) = (describe(3, 0.1), describe(3, 0.2));
        assert!(a["precision"] == b["precision"] && a["network"] == b["network"]);
        assert_ne!(a["learner"]["updates"], b["learner"]["updates"]);
    }
}
