//! Models that describe a series: its columns and their scales, what is forecast and how the
//! network learns, so that `rtrl run` needs to be told nothing twice.

use std::collections::BTreeMap;
use std::iter;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;

use rtrl_lab::forecast::{Horizon, Memory, NetworkForecaster};
use rtrl_lab::interval::RecentErrors;
use rtrl_model::store::network::{self, SavedModel};
use rtrl_model::{Clipping, Learner, Loss, Network, Real, Threads};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::args::{Classes, EngineArgs, InputArgs, Missing, OnError, OptimizerName, Predict};
use crate::error::Error;
use crate::ranks::{Alone, Build};
use crate::stream::checkpoint::Manner;
use crate::stream::forecasters::Forecasters;

/// The fields of a description that change from row to row.
const MEMORY: &str = "memory";
const ERRORS: &str = "errors";
const GROUPS: &str = "groups";

/// What errors call a description.
const DESCRIPTION: &str = "the description of the series";

/// What a model says about its series; other fields are only for the reader.
#[derive(Debug, Deserialize)]
pub(crate) struct Description {
    pub(crate) targets: Vec<String>,
    pub(crate) inputs: Vec<String>,
    /// The classes of each column of text.
    pub(crate) classes: BTreeMap<String, Vec<String>>,
    pub(crate) lags: Vec<NonZeroUsize>,
    pub(crate) time: Option<String>,
    /// The column of the group, if there is one.
    pub(crate) group: Option<String>,
    /// The groups so far.
    #[serde(default)]
    groups: Vec<Group>,
    no_header: bool,
    missing: Missing,
    /// Rows from the inputs to their target.
    horizon: u8,
    predict: Predict,
    optimizer: OptimizerName,
    learning_rate: f64,
    clip: f64,
    engine: String,
    window: Option<NonZeroUsize>,
    even_paced: bool,
    pub(crate) memory: Memory,
    /// One for each target that is a number.
    pub(crate) errors: Vec<RecentErrors>,
}

/// A group of a series.
#[derive(Debug, Deserialize, Serialize)]
struct Group {
    name: String,
    /// The state of the network after its last row.
    state: Vec<f64>,
}

impl Description {
    /// The names of the groups so far.
    pub(crate) fn group_names(&self) -> Vec<String> {
        self.groups.iter().map(|group| group.name.clone()).collect()
    }

    /// The number of targets that are numbers.
    fn values(&self) -> usize {
        if self.predict == Predict::Class { 0 } else { self.targets.len() }
    }

    /// The classes of the target; none if it is a number.
    pub(crate) fn target_classes(&self) -> &[String] {
        let first = self.targets.first().filter(|_| self.predict == Predict::Class);
        first.and_then(|target| self.classes.get(target)).map_or(&[], Vec::as_slice)
    }

    /// The columns of the series, as arguments.
    pub(crate) fn columns(&self, on_error: OnError) -> InputArgs {
        let classes = self.classes.iter().map(|(column, classes)| Classes {
            column: column.clone(),
            classes: Some(classes.clone()),
        });
        InputArgs {
            target: self.targets.clone(),
            inputs: self.inputs.clone(),
            time: self.time.clone(),
            group: self.group.clone(),
            most_groups: NonZeroU32::MIN,
            groups: self.group_names(),
            no_header: self.no_header,
            names_only: true,
            classes: classes.collect(),
            learnt: BTreeMap::new(),
            lags: self.lags.clone(),
            missing: self.missing,
            on_error,
        }
    }
}

/// How the weights of a network learn.
#[derive(Debug)]
pub(crate) struct Learning<'a> {
    pub(crate) optimizer: OptimizerName,
    pub(crate) rate: f64,
    pub(crate) clip: f64,
    pub(crate) engine: &'a EngineArgs,
    pub(crate) threads: Threads,
    /// Whether a class is forecast.
    pub(crate) is_class: bool,
}

impl Learning<'_> {
    /// A learner of a network.
    pub(crate) fn learner<T: Real>(
        &self,
        network: Network<T>,
        ranks: &dyn Build<T>,
    ) -> Result<Learner<T>, Error> {
        let loss = if self.is_class { Loss::SoftmaxCrossEntropy } else { Loss::SquaredError };
        let builder = Learner::builder(network)
            .loss(loss)
            .updates(self.optimizer.settings(self.rate))
            .clipping(Clipping { norm: Some(self.clip), value: None });
        Ok(ranks.build(builder, self.engine.choice()?, self.threads)?)
    }
}

/// A model from a file.
#[derive(Debug)]
pub(crate) struct Model {
    saved: SavedModel,
    pub(crate) described: Description,
}

impl Model {
    /// Reads a model.
    ///
    /// # Errors
    /// [`Error::NotOfASeries`] for a model that does not describe a series; otherwise those of
    /// [`SavedModel::read`].
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let saved = SavedModel::read(path)?;
        let refused = |reason| Error::NotOfASeries { path: path.to_owned(), reason };
        let described = Description::deserialize(saved.application());
        let described = described.map_err(|error| refused(error.to_string()))?;
        if described.horizon > 1 {
            return Err(refused(format!("got horizon {}, expected 0 or 1", described.horizon)));
        }
        let (got, expected) = (described.errors.len(), described.values());
        if got != expected {
            return Err(refused(format!("got the errors of {got} targets, expected {expected}")));
        }
        Ok(Self { saved, described })
    }

    /// `f32` or `f64`.
    pub(crate) fn precision(&self) -> &str {
        self.saved.precision()
    }

    /// What the model says about its series and does not change from row to row.
    pub(crate) fn lasting(&self) -> Value {
        let mut application = self.saved.application().clone();
        if let Some(fields) = application.as_object_mut() {
            fields.retain(|name, _| ![MEMORY, ERRORS, GROUPS].contains(&name.as_str()));
        }
        application
    }

    /// The beginning of a hash of all weights.
    pub(crate) fn digest(&self) -> Result<String, Error> {
        let network = self.saved.network::<f64>(&[])?;
        let mut hash = Sha256::new();
        for weights in iter::once(network.weights()).chain(network.readout_weights()) {
            for value in weights.iter_rows().flatten() {
                hash.update(value.to_bits().to_le_bytes());
            }
        }
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
        Ok(format!("{:016x}", u64::from_be_bytes([a, b, c, d, e, f, g, h])))
    }

    /// How the network forecasts.
    pub(crate) fn manner(&self, threads: Threads) -> Manner {
        let Description { predict, horizon, .. } = self.described;
        let horizon = if horizon == 0 { Horizon::SameRow } else { Horizon::NextRow };
        Manner { predict: predict.into(), horizon, threads }
    }

    /// A forecaster that continues where the model was saved; `learns` says whether its weights and
    /// scales still change.
    pub(crate) fn forecaster<T: Real>(
        &self,
        learns: bool,
        manner: Manner,
    ) -> Result<NetworkForecaster<T>, Error> {
        let Manner { predict, horizon, threads } = manner;
        let Description { optimizer, learning_rate, clip, window, even_paced, .. } = self.described;
        let engine = EngineArgs::named(&self.described.engine, window, even_paced)?;
        let is_class = self.described.predict == Predict::Class;
        let (rate, engine) = (learning_rate, &engine);
        let learning = Learning { optimizer, rate, clip, engine, threads, is_class };
        let network = self.saved.network::<T>(&[])?;
        let network = if learns { network } else { network.freeze() };
        let mut learner = learning.learner(network, &Alone)?;
        learner.restore_readout_fits(self.saved.readout_fits())?;
        for (stream, group) in self.described.groups.iter().enumerate() {
            if stream > 0 {
                learner.add_stream()?;
            }
            let state: Vec<T> = group.state.iter().map(|&value| T::from_f64(value)).collect();
            learner.reset_stream(stream, &state)?;
        }
        let forecaster = NetworkForecaster::new(learner, predict, horizon)?;
        let forecaster = forecaster.remember(self.described.memory.clone())?;
        Ok(if learns { forecaster } else { forecaster.without_learning() })
    }

    /// Saves the model after more rows. Unless it `learns`, it differs only in what it remembers of
    /// them: weights that were frozen for the run learn again later.
    pub(crate) fn save<T: Real>(
        &self,
        path: &Path,
        learns: bool,
        groups: &[String],
        forecasters: &Forecasters<T>,
    ) -> Result<(), Error> {
        let application = self.saved.application().clone();
        if learns {
            return save(path, application, groups, forecasters);
        }
        let application = with_memory(application, groups, forecasters)?;
        let state = forecasters.ours.learner().state(0)?.values();
        Ok(self.saved.save_in_state(state, application, path)?)
    }
}

/// Saves a network with the description of its series: `application` says everything that does not
/// change from row to row.
pub(crate) fn save<T: Real>(
    path: &Path,
    application: Value,
    groups: &[String],
    forecasters: &Forecasters<T>,
) -> Result<(), Error> {
    let application = with_memory(application, groups, forecasters)?;
    Ok(network::save_learnt(forecasters.ours.learner(), application, path)?)
}

/// A description of a series with what changes from row to row.
fn with_memory<T: Real>(
    mut application: Value,
    groups: &[String],
    forecasters: &Forecasters<T>,
) -> Result<Value, Error> {
    let fields = [
        (MEMORY, serde_json::to_value(forecasters.ours.memory())),
        (ERRORS, serde_json::to_value(&forecasters.errors)),
    ];
    for (name, value) in fields {
        application[name] = value.map_err(Error::format(DESCRIPTION))?;
    }
    if !groups.is_empty() {
        let learner = forecasters.ours.learner();
        let group = |(stream, name): (usize, &String)| -> Result<_, Error> {
            let state = learner.state(stream)?.values().iter().map(|value| value.to_f64());
            Ok(Group { name: name.clone(), state: state.collect() })
        };
        let groups = groups.iter().enumerate().map(group).collect::<Result<Vec<_>, _>>()?;
        let groups = serde_json::to_value(groups);
        application[GROUPS] = groups.map_err(Error::format(DESCRIPTION))?;
    }
    Ok(application)
}
