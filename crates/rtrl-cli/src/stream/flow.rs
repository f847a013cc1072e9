//! The loop over the rows of a stream.

use rtrl_model::Real;

use crate::error::Error;
use crate::input::Series;
use crate::signals::Stop;
use crate::stream::checkpoint::Keeper;
use crate::stream::forecasters::Forecasters;
use crate::stream::history::History;
use crate::stream::predictions::Predictions;
use crate::stream::progress::Progress;
use crate::stream::subject::Subject;

/// A stream, its forecasters and its outputs.
pub(crate) struct Flow<'a, T: Real> {
    pub(crate) series: &'a mut Series,
    pub(crate) subject: Subject,
    pub(crate) forecasters: Forecasters<T>,
    pub(crate) predictions: Option<Predictions>,
    pub(crate) history: Option<History>,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) progress: Progress,
    /// Whether to say when a checkpoint is written.
    pub(crate) verbose: bool,
}

/// Why the loop ends before the end of the series.
struct End {
    error: Box<Error>,
    /// Whether everything that the last row has changed is complete, so that a checkpoint can be
    /// written.
    is_complete: bool,
}

impl End {
    /// An error between two rows.
    fn between(error: Error) -> Self {
        Self { error: Box::new(error), is_complete: true }
    }

    /// An error after which a row may have changed only a part.
    fn within(error: impl Into<Error>) -> Self {
        Self { error: Box::new(error.into()), is_complete: false }
    }
}

impl<T: Real> Flow<'_, T> {
    /// Takes every row up to the end of the series, to a row that is wrong or to a signal, and
    /// writes a checkpoint there. Returns the first error, after which what has been learnt is as
    /// good as before.
    pub(crate) fn run(&mut self, stop: &Stop) -> Option<Box<Error>> {
        let mut end = loop {
            if let Some(signal) = stop.error() {
                break Some(End::between(signal));
            }
            match self.step(stop) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(end) => break Some(end),
            }
        };
        self.progress.finish();
        if let Err(unwritten) = self.flush() {
            let is_complete = unwritten.is_complete && end.as_ref().is_none_or(|e| e.is_complete);
            let error = end.map_or(unwritten.error, |end| end.error);
            end = Some(End { error, is_complete });
        }
        let saved = if end.as_ref().is_none_or(|e| e.is_complete) { self.save() } else { Ok(()) };
        end.map(|end| end.error).or(saved.err().map(Box::new))
    }

    /// Takes a row; false at the end.
    fn step(&mut self, stop: &Stop) -> Result<bool, End> {
        let row = match self.series.next_row() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(false),
            // A signal interrupts the wait for a row.
            Err(error) => return Err(End::between(stop.error().unwrap_or(error))),
        };
        let forecasters = &mut self.forecasters;
        let counted = forecasters.scores.count();
        forecasters.take(row).map_err(End::within)?;
        if let Some(history) = &mut self.history
            && forecasters.scores.count() > counted
        {
            history.add(forecasters.rows, row, &forecasters.scores);
        }
        self.progress.take(row, forecasters.rows, &self.subject, &forecasters.scores);
        if let Some(keeper) = &mut self.keeper {
            keeper.take(row);
        }
        if let Some(predictions) = &mut self.predictions {
            let values = self.subject.values(row, forecasters);
            let written = predictions.take(forecasters.rows, [&row.time, &row.group_name], &values);
            written.map_err(|error| unwritten(predictions, error))?;
        }
        if self.keeper.as_ref().is_some_and(|keeper| keeper.is_due(forecasters.rows)) {
            self.flush()?;
            self.save().map_err(End::within)?;
        }
        Ok(true)
    }

    /// Writes out all predictions.
    fn flush(&mut self) -> Result<(), End> {
        let Some(predictions) = &mut self.predictions else { return Ok(()) };
        predictions.flush().map_err(|error| unwritten(predictions, error))
    }

    /// Writes a checkpoint, if the user wants any. All predictions must have been written out.
    fn save(&mut self) -> Result<(), Error> {
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        let groups = self.series.groups();
        keeper.save(&self.forecasters, groups, self.predictions.as_ref(), self.history.as_ref())?;
        if self.verbose {
            let (rows, path) = (self.forecasters.rows, keeper.path().display());
            self.progress.note(&format!("wrote the checkpoint of row {rows} to {path}"));
        }
        Ok(())
    }
}

/// The end of a run whose predictions cannot be written. A checkpoint needs those of a file; those
/// of standard output are no part of it.
fn unwritten(predictions: &Predictions, error: Error) -> End {
    if predictions.is_file() { End::within(error) } else { End::between(error) }
}
