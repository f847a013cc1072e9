//! Checkpoints of a stream: when they are written, and how a run continues from one.

use std::borrow::Cow;
use std::iter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rtrl_model::Real;
use rtrl_model::store::StoredLearners;
use rtrl_model::store::learners;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{CheckpointArgs, Every, OnError};
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

/// Settings that say which rows are wrong, by their names among all settings.
pub(crate) const ON_ERROR: &str = "on_error";
pub(crate) const MOST_GROUPS: &str = "most_groups";

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
    /// [`Error::OtherCommand`] and [`Error::OtherSettings`] unless the checkpoint has the same
    /// ones.
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
            let settings = difference(&settings, &accepting(&found.kept.settings, &settings));
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

/// The settings of an earlier run that `ours` must equal. A run that stops at a wrong row has seen
/// none of them, so it may continue with settings by which fewer rows are wrong.
fn accepting(theirs: &Value, ours: &Value) -> Value {
    let mut expected = theirs.clone();
    if theirs[ON_ERROR] == json!(OnError::Stop) {
        expected[ON_ERROR] = ours[ON_ERROR].clone();
        if ours[MOST_GROUPS].as_u64() > theirs[MOST_GROUPS].as_u64() {
            expected[MOST_GROUPS] = ours[MOST_GROUPS].clone();
        }
    }
    expected
}

/// The first setting that differs: what messages call it, the one and the other.
fn difference(ours: &Value, theirs: &Value) -> Option<(String, String, String)> {
    let (path, got, expected) = first_difference(ours, theirs)?;
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let called = match names.as_slice() {
        [name @ ("series" | "model" | "weights")] => (*name).to_owned(),
        // What a model says about its series is no option of `rtrl run`.
        ["description", names @ ..] => names.join(" "),
        ["options", flag, names @ ..] | [flag, names @ ..] => {
            let flag = format!("--{}", flag.replace('_', "-"));
            iter::once(flag.as_str()).chain(names.iter().copied()).collect::<Vec<_>>().join(" ")
        }
        [] => String::new(),
    };
    Some((called, got, expected))
}

/// The path of the first value that differs, the one and the other.
fn first_difference(ours: &Value, theirs: &Value) -> Option<(Vec<String>, String, String)> {
    let (Value::Object(ours), Value::Object(theirs)) = (ours, theirs) else {
        let shown = |value: &Value| if value.is_null() { "none".into() } else { value.to_string() };
        return (ours != theirs).then(|| (Vec::new(), shown(ours), shown(theirs)));
    };
    ours.keys().chain(theirs.keys()).find_map(|name| {
        let [ours, theirs] = [ours, theirs].map(|all| all.get(name).unwrap_or(&Value::Null));
        let (mut path, got, expected) = first_difference(ours, theirs)?;
        path.insert(0, name.clone());
        Some((path, got, expected))
    })
}

/// The path of the series in the settings of a run.
fn series_path(settings: &Value) -> PathBuf {
    settings["series"].as_str().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_that_differs_is_named() {
        let run = json!({
            "series": "s", "seed": 1, "options": {"no_header": false, "leak": null},
            "description": {"units": 3, "classes": {"tree": ["elm"]}},
        });
        assert_eq!(difference(&run, &run.clone()), None);
        for (pointer, value, expected) in [
            ("/series", json!("t"), ["series", "\"s\"", "\"t\""]),
            ("/seed", json!(2), ["--seed", "1", "2"]),
            ("/options/leak", json!(0.5), ["--leak", "none", "0.5"]),
            ("/options/no_header", json!(true), ["--no-header", "false", "true"]),
            ("/description/units", json!(4), ["units", "3", "4"]),
            ("/description/classes/tree", json!([]), ["classes tree", "[\"elm\"]", "[]"]),
        ] {
            let mut other = run.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_eq!(difference(&run, &other), Some(expected.map(str::to_owned).into()));
        }
        let mut more = run.clone();
        more["skip"] = 1.into();
        let expected = ["--skip", "none", "1"].map(str::to_owned);
        assert_eq!(difference(&run, &more), Some(expected.into()));
    }

    #[test]
    fn a_run_that_has_seen_no_wrong_row_may_accept_more() {
        let run = |on_error, most| json!({ ON_ERROR: on_error, MOST_GROUPS: most });
        let fits = |theirs, ours| accepting(&theirs, &ours) == ours;
        assert!(fits(run("stop", 2), run("skip", 2)) && fits(run("stop", 2), run("stop", 3)));
        assert!(!fits(run("stop", 2), run("skip", 1)) && !fits(run("skip", 2), run("stop", 2)));
        assert!(!fits(run("skip", 2), run("skip", 3)) && fits(run("skip", 2), run("skip", 2)));
    }
}
