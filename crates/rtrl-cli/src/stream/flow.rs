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

/// A stream and everything that it leaves behind.
pub(crate) struct Flow<'a, T: Real> {
    pub(crate) series: &'a mut Series,
    pub(crate) forecasters: Forecasters<T>,
    pub(crate) predictions: Option<Predictions>,
    pub(crate) history: Option<History>,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) progress: Progress,
    /// Whether to say when a checkpoint is written.
    pub(crate) verbose: bool,
}

/// Why the loop ends.
enum End {
    /// The series has ended.
    Whole,
    /// An error between two rows: everything that the row before it has changed is complete.
    Between(Error),
    /// An error after which a row may have changed only a part.
    Within(Error),
}

impl<T: Real> Flow<'_, T> {
    /// Takes every row up to the end of the series, to a row that is wrong or to a signal, and
    /// writes a checkpoint there. Returns what ended the run before the end of the series.
    ///
    /// # Errors
    /// Those of the last checkpoint and of the predictions.
    pub(crate) fn run(&mut self, stop: &Stop) -> Result<Option<Error>, Error> {
        let end = loop {
            if let Some(signal) = stop.error() {
                break End::Between(signal);
            }
            match self.step(stop) {
                Ok(true) => {}
                Ok(false) => break End::Whole,
                Err(end) => break end,
            }
        };
        self.progress.finish();
        let stopped = match end {
            End::Within(error) => return Ok(Some(error)),
            End::Whole => None,
            End::Between(error) => Some(error),
        };
        self.save()?;
        if let Some(predictions) = &mut self.predictions {
            predictions.flush()?;
        }
        Ok(stopped)
    }

    /// Takes a row; false at the end.
    fn step(&mut self, stop: &Stop) -> Result<bool, End> {
        let row = match self.series.next_row() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(false),
            // A signal interrupts the wait for a row.
            Err(error) => return Err(End::Between(stop.error().unwrap_or(error))),
        };
        let counted = self.forecasters.scores.count();
        let prediction = self.forecasters.take(row);
        let prediction = prediction.map_err(|error| End::Within(error.into()))?;
        if let Some(predictions) = &mut self.predictions {
            let next = self.forecasters.ours.forecast();
            let values = prediction.values(next);
            predictions.take(prediction.row, &row.time, &values).map_err(End::Within)?;
        }
        if let (Some(history), Some(target)) = (&mut self.history, prediction.target)
            && self.forecasters.scores.count() > counted
        {
            history.add(prediction.row, target, &self.forecasters.scores);
        }
        self.progress.take(row.position, &prediction, &self.forecasters.scores);
        if let Some(keeper) = &mut self.keeper {
            keeper.take(row);
            if keeper.is_due(prediction.row) {
                self.save().map_err(End::Within)?;
            }
        }
        Ok(true)
    }

    /// Writes a checkpoint, if the user wants any.
    fn save(&mut self) -> Result<(), Error> {
        let Some(keeper) = &mut self.keeper else { return Ok(()) };
        keeper.save(&self.forecasters, self.predictions.as_mut(), self.history.as_ref())?;
        if self.verbose {
            let (rows, path) = (self.forecasters.rows, keeper.path().display());
            self.progress.note(&format!("wrote the checkpoint of row {rows} to {path}"));
        }
        Ok(())
    }
}
