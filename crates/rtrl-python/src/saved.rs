//! Learners and forecasters in one of the precisions: their files, threads and forks.

use std::path::Path;

use pyo3::prelude::*;
use rtrl_model::{Error, Forecaster, Learner, StoredLearner, Supplies, Threads};
use serde_json::Value;

use crate::error::raise;
use crate::function;
use crate::guard::Revive;
use crate::precision::{Either, Number, each};

/// A learner or a forecaster.
pub(crate) trait Model: Clone {
    /// Reads it from a file.
    fn of(stored: StoredLearner, threads: Threads) -> Result<Self, Error>;
    fn to_bytes(&self) -> Result<Vec<u8>, Error>;
    fn save(&self, path: &Path, application: &Value) -> Result<(), Error>;
}

impl<T: Number> Model for Learner<T> {
    fn of(stored: StoredLearner, threads: Threads) -> Result<Self, Error> {
        stored.learner(&supplies(threads))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.to_bytes(&Value::Null)
    }

    fn save(&self, path: &Path, application: &Value) -> Result<(), Error> {
        self.save(path, application)
    }
}

impl<T: Number> Model for Forecaster<T> {
    fn of(stored: StoredLearner, threads: Threads) -> Result<Self, Error> {
        stored.forecaster(&supplies(threads))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.to_bytes(&Value::Null)
    }

    fn save(&self, path: &Path, application: &Value) -> Result<(), Error> {
        self.save(path, application)
    }
}

/// Everything that a file holds by name only.
pub(crate) fn supplies<T: Number>(threads: Threads) -> Supplies<T> {
    Supplies {
        loss: Some(function::loss()),
        optimizer: Some(function::optimizer()),
        threads,
        ..Supplies::default()
    }
}

/// A model in one of the precisions, and how many threads it was given.
#[derive(Debug, Clone)]
pub(crate) struct Owned<A, B> {
    pub(crate) model: Either<A, B>,
    pub(crate) threads: Threads,
}

impl<A: Model, B: Model> Owned<A, B> {
    /// Reads a checkpoint.
    pub(crate) fn load(path: &Path, threads: Threads) -> PyResult<Self> {
        Self::read(StoredLearner::open(path).map_err(raise)?, threads)
    }

    /// Reads a checkpoint in memory.
    pub(crate) fn from_bytes(bytes: Vec<u8>, threads: Threads) -> PyResult<Self> {
        Self::read(StoredLearner::from_bytes(bytes).map_err(raise)?, threads)
    }

    fn read(stored: StoredLearner, threads: Threads) -> PyResult<Self> {
        let model = match stored.precision() {
            "f64" => Either::F64(B::of(stored, threads).map_err(raise)?),
            _ => Either::F32(A::of(stored, threads).map_err(raise)?),
        };
        Ok(Self { model, threads })
    }

    /// A checkpoint in memory.
    pub(crate) fn to_bytes(&self) -> PyResult<Vec<u8>> {
        each!(&self.model, model => model.to_bytes()).map_err(raise)
    }

    /// Writes a checkpoint, with the data of a program.
    pub(crate) fn save(&self, path: &Path, application: &Value) -> PyResult<()> {
        each!(&self.model, model => model.save(path, application)).map_err(raise)
    }

    /// How many threads Python asked for.
    pub(crate) fn threads(&self) -> Option<usize> {
        match self.threads {
            Threads::Auto => None,
            Threads::Exactly(count) => Some(count),
        }
    }
}

impl<A: Model, B: Model> Revive for Owned<A, B> {
    fn revived(&self) -> PyResult<Self> {
        Self::from_bytes(self.to_bytes()?, self.threads)
    }
}
