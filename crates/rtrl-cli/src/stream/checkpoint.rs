//! Checkpoints of a stream: when they are written, and how a run continues from one.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rtrl_model::Real;
use rtrl_model::store::StoredLearners;
use rtrl_model::store::learners;
use serde::Deserialize;
use serde_json::Value;

use crate::args::{CheckpointArgs, Every};
use crate::error::Error;
use crate::input::{Row, Series};
use crate::signals::Stop;
use crate::stream::forecasters::Forecasters;
use crate::stream::history::History;
pub(crate) use crate::stream::kept::Manner;
use crate::stream::kept::{self, Kept};
use crate::stream::lock::Lock;
pub(crate) use crate::stream::lock::lock_path;
use crate::stream::predictions::Predictions;
use crate::stream::seen::Seen;

/// Writes the checkpoints of a run. No other process can use the same file meanwhile.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    every: Every,
    settings: Value,
    seen: Seen,
    /// When the last checkpoint was written, or the run began.
    time: Instant,
    /// The row of the last checkpoint, if there is one.
    saved: Option<u64>,
    _lock: Lock,
}

/// A checkpoint that was found.
#[derive(Debug)]
pub(crate) struct Found {
    kept: Kept<'static>,
    stored: StoredLearners,
}

/// The place of checkpoints, which no other process can use, and what it holds already.
#[derive(Debug)]
pub(crate) struct Opened {
    path: PathBuf,
    every: Every,
    found: Option<Found>,
    lock: Lock,
}

/// Opens the checkpoint of a run, if the user wants any. There is nothing to continue from unless
/// the user wants to resume and the file exists.
///
/// # Errors
/// [`Error::InUse`], [`Error::CheckpointExists`] unless it is to be resumed, and errors of files.
pub(crate) fn open(args: &CheckpointArgs) -> Result<Option<Opened>, Error> {
    let Some(path) = args.checkpoint.clone() else { return Ok(None) };
    let lock = Lock::take(&path)?;
    let exists = path.try_exists();
    let exists = exists.map_err(|source| Error::File { path: path.clone(), source })?;
    if exists && !args.resume {
        return Err(Error::CheckpointExists { path });
    }
    let found = if exists { Some(Found::read(&path)?) } else { None };
    Ok(Some(Opened { path, every: args.every(), found, lock }))
}

impl Opened {
    /// The settings of the run that has written the checkpoint, if there is one.
    pub(crate) fn settings(&self) -> Option<&Value> {
        self.found.as_ref().map(|found| found.kept.settings.as_ref())
    }

    /// The groups of that run.
    pub(crate) fn groups(&self) -> Vec<String> {
        self.found.as_ref().map(|found| found.kept.groups.to_vec()).unwrap_or_default()
    }

    /// The keeper of a run with these settings, and what the run continues from.
    ///
    /// # Errors
    /// [`Error::OtherCommand`] and [`Error::OtherSettings`] unless the checkpoint has the same ones.
    pub(crate) fn keeper(self, settings: Value) -> Result<(Keeper, Option<Found>), Error> {
        let Self { path, every, found, lock } = self;
        let (mut seen, mut saved) = (Seen::default(), None);
        if let Some(found) = &found {
            let command =
                |settings: &Value| settings["command"].as_str().unwrap_or_default().to_owned();
            let [expected, got] = [&settings, &*found.kept.settings].map(command);
            if got != expected {
                return Err(Error::OtherCommand { path, got, expected });
            }
            let settings = difference(&settings, &found.kept.settings);
            if let Some((setting, got, expected)) = found.kept.other_version().or(settings) {
                return Err(Error::OtherSettings { path, setting, got, expected });
            }
            (seen, saved) = (found.kept.seen, Some(found.rows()));
        }
        Ok((
            Keeper { path, every, settings, seen, time: Instant::now(), saved, _lock: lock },
            found,
        ))
    }
}

impl Found {
    fn read(path: &Path) -> Result<Self, Error> {
        let stored = StoredLearners::open(path)?;
        let kept = Kept::deserialize(stored.application())
            .map_err(|error| format!("not a checkpoint of a stream: {error}"))
            .map_err(Error::format(path.display().to_string()))?;
        Ok(Self { kept, stored })
    }

    /// Rows of the run so far.
    pub(crate) fn rows(&self) -> u64 {
        self.kept.rows
    }

    /// Bytes of the file of predictions.
    pub(crate) fn predictions(&self) -> Option<u64> {
        self.kept.predictions
    }

    /// Skips the rows that the run has seen.
    ///
    /// # Errors
    /// [`Error::OtherRows`] unless they are the same; errors of the series and signals.
    pub(crate) fn skip(&self, series: &mut Series, stop: &Stop) -> Result<(), Error> {
        let (mut seen, rows) = (Seen::default(), self.rows());
        let other = || Error::OtherRows { path: series_path(&self.kept.settings), rows };
        for _ in 0..rows {
            seen.take(stop.or(series.next_row())?.ok_or_else(other)?);
        }
        if seen == self.kept.seen { Ok(()) } else { Err(other()) }
    }

    /// The forecasters and the history of the run.
    pub(crate) fn restore<T: Real>(
        mut self,
        manner: Manner,
    ) -> Result<(Forecasters<T>, Option<History>), Error> {
        let history = self.kept.history.take().map(Cow::into_owned);
        Ok((self.kept.forecasters(&mut self.stored, manner)?, history))
    }
}

impl Keeper {
    /// Takes note of a row.
    pub(crate) fn take(&mut self, row: &Row) {
        self.seen.take(row);
    }

    /// Whether a checkpoint should be written after so many rows.
    pub(crate) fn is_due(&self, rows: u64) -> bool {
        match self.every {
            Every::Rows(every) => rows - self.saved.unwrap_or_default() >= every,
            Every::Time(every) => self.time.elapsed() >= every,
        }
    }

    /// Writes a checkpoint. The predictions before it survive whatever happens after it.
    pub(crate) fn save<T: Real>(
        &mut self,
        forecasters: &Forecasters<T>,
        groups: &[String],
        predictions: Option<&Predictions>,
        history: Option<&History>,
    ) -> Result<(), Error> {
        let predictions = predictions.map(Predictions::keep).transpose()?;
        let kept = Kept::of(forecasters, (&self.settings, self.seen), groups, predictions, history);
        let application = serde_json::to_value(&kept).map_err(Error::format("the checkpoint"))?;
        learners::save(&self.path, &kept::learners(forecasters), &application)?;
        (self.time, self.saved) = (Instant::now(), Some(forecasters.rows));
        Ok(())
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How to continue the run, if there is a checkpoint.
    pub(crate) fn way_to_resume(&self) -> Option<String> {
        let (row, path) = (self.saved?, self.path.display());
        Some(format!("{path} holds row {row}: the same command with --resume continues there"))
    }
}

/// The first setting that differs: its name, the one and the other.
fn difference(ours: &Value, theirs: &Value) -> Option<(String, String, String)> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let names = ours.keys().chain(theirs.keys());
            names.into_iter().find_map(|name| {
                let of = |settings: &serde_json::Map<String, Value>| {
                    settings.get(name).cloned().unwrap_or_default()
                };
                let (inner, got, expected) = difference(&of(ours), &of(theirs))?;
                Some((if inner.is_empty() { name.clone() } else { inner }, got, expected))
            })
        }
        _ if ours == theirs => None,
        _ => Some((String::new(), ours.to_string(), theirs.to_string())),
    }
}

/// The path of the series in the settings of a run.
fn series_path(settings: &Value) -> PathBuf {
    settings["series"].as_str().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_setting_that_differs_is_named() {
        let found = |ours, theirs| difference(&ours, &theirs);
        let run = json!({"target": "y", "options": {"units": 3, "leak": null}});
        assert_eq!(found(run.clone(), run.clone()), None);
        let mut other = run.clone();
        other["options"]["leak"] = 0.5.into();
        let expected = ["leak", "null", "0.5"].map(str::to_owned);
        assert_eq!(found(run.clone(), other), Some(expected.into()));
        let more = json!({"target": "y", "options": {"units": 3, "leak": null}, "skip": 1});
        let expected = ["skip", "null", "1"].map(str::to_owned);
        assert_eq!(found(run, more), Some(expected.into()));
    }
}
