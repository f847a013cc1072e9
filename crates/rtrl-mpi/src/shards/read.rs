//! Reading columns from the shards of any number of ranks.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rtrl_model::Real;
use rtrl_model::kernel::{self, Source};
use rtrl_model::store::container::{Reader, Tensor};

use super::names::{self, Names};
use super::part::{SENSITIVITIES, is_of_columns, is_of_z};
use super::{Manifest, write};
use crate::Error;

/// The shards of a checkpoint, for the engines of all streams, which are loaded one after the
/// other.
#[derive(Debug, Clone)]
pub(crate) struct SharedShards(Arc<Mutex<Shards>>);

#[derive(Debug)]
struct Shards {
    names: Names,
    step: u64,
    manifest: Manifest,
    /// The shards that hold columns of this rank, once they have been opened.
    open: Option<Vec<Shard>>,
    /// The stream that is loaded next.
    stream: usize,
    /// Why the last engine could not be loaded.
    failure: Option<Error>,
}

/// An open shard.
#[derive(Debug)]
struct Shard {
    columns: Range<usize>,
    reader: Reader,
}

impl SharedShards {
    pub(crate) fn new(names: Names, step: u64, manifest: Manifest) -> Self {
        let (open, stream, failure) = (None, 0, None);
        Self(Arc::new(Mutex::new(Shards { names, step, manifest, open, stream, failure })))
    }

    /// Why an engine could not be loaded, if there was one.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.lock().failure.take()
    }

    /// Fails unless as many engines have been loaded as there are streams: each was then loaded
    /// from the shards of its own stream, since a learner loads them in order, and those that are
    /// lost not at all.
    pub(crate) fn check_streams(&self, streams: usize) -> Result<(), Error> {
        let shards = self.lock();
        if shards.stream == streams {
            return Ok(());
        }
        let got = shards.stream;
        let reason = format!("got sensitivities of {got} streams, expected those of {streams}");
        Err(Error::Shard { path: shards.names.manifest(shards.step), reason })
    }

    /// Loads the engine of the next stream, with `states` states and `weights` weights that learn,
    /// from its `columns` in the shards, and from `from`, which has the tensors that all ranks
    /// share.
    ///
    /// # Errors
    /// Those of `load`, and [`kernel::Error::Storage`], with the reason kept for
    /// [`SharedShards::failure`].
    pub(crate) fn load<T: Real>(
        &self,
        [states, weights]: [usize; 2],
        columns: Range<usize>,
        from: &mut dyn Source<T>,
        load: impl FnOnce(&mut dyn Source<T>) -> Result<(), kernel::Error>,
    ) -> Result<(), kernel::Error> {
        let mut shards = self.lock();
        let stream = shards.stream;
        shards.stream += 1;
        let opened = match shards.open.take() {
            Some(open) => Ok(open),
            None => shards.open_those_of(&columns, weights),
        };
        let mut open = opened.map_err(|failure| shards.fail(failure))?;
        let mut source =
            StreamSource { states, columns, stream, shards: &mut open, from, failure: None };
        let loaded = load(&mut source);
        if let Some(failure) = source.failure {
            return Err(shards.fail(failure));
        }
        shards.open = Some(open);
        loaded
    }

    fn lock(&self) -> MutexGuard<'_, Shards> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shards {
    fn fail(&mut self, failure: Error) -> kernel::Error {
        self.failure = Some(failure);
        kernel::Error::Storage
    }

    /// Opens and verifies the shards that hold some of `columns`. All shards together must hold
    /// `weights` columns.
    fn open_those_of(&self, columns: &Range<usize>, weights: usize) -> Result<Vec<Shard>, Error> {
        let got =
            self.manifest.shards.iter().fold(0, |sum: usize, s| sum.saturating_add(s.weights));
        if got != weights {
            let path = self.names.manifest(self.step);
            let reason = format!("got shards of {got} columns, expected {weights}");
            return Err(Error::Shard { path, reason });
        }
        let (mut open, mut end) = (Vec::new(), 0usize);
        for (rank, entry) in self.manifest.shards.iter().enumerate() {
            let start = end;
            end = start.saturating_add(entry.weights);
            if start.max(columns.start) >= end.min(columns.end) {
                continue;
            }
            let path = self.names.shard(rank, self.step, self.manifest.generation);
            let reader = Reader::open(&path)?;
            let got = write::checksum(&path)?;
            if got != entry.checksum {
                let reason = format!("got the checksum {got}, expected {}", entry.checksum);
                return Err(Error::Shard { path, reason });
            }
            open.push(Shard { columns: start..end, reader });
        }
        Ok(open)
    }
}

/// The tensors of one stream for the columns of a rank.
struct StreamSource<'a, T> {
    states: usize,
    columns: Range<usize>,
    stream: usize,
    shards: &'a mut [Shard],
    from: &'a mut dyn Source<T>,
    /// Why a row was not provided.
    failure: Option<Error>,
}

impl<T: Real> Source<T> for StreamSource<'_, T> {
    fn shape(&self, name: &str) -> Option<[usize; 2]> {
        if !is_of_columns(name) {
            return self.from.shape(name);
        }
        // A rank without columns has no shard to ask.
        let stored = names::tensor(self.stream, name);
        let is_stored = self.shards.iter().any(|shard| shard.reader.find(&stored).is_some());
        let rows = if name == SENSITIVITIES { self.states } else { 1 };
        (is_stored || name == SENSITIVITIES).then_some([rows, self.columns.len()])
    }

    fn rows(&mut self, name: &str, take: &mut dyn FnMut(usize, &[T])) -> Result<(), kernel::Error> {
        if is_of_columns(name) {
            let read = self.rows_of_columns(name, take);
            return read.map_err(|failure| self.fail(failure.into()));
        }
        if !is_of_z(name) {
            return self.from.rows(name, take);
        }
        let Self { stream, shards, from, failure, .. } = self;
        let (stored, mut other) = (names::tensor(*stream, name), Vec::new());
        from.rows(name, &mut |row, values| {
            let mut whole = values.to_vec();
            for shard in shards.iter_mut() {
                other.resize(whole.len(), T::ZERO);
                match shard.reader.numbers(&stored, row * whole.len(), &mut other) {
                    Ok(()) => fill_gaps(&mut whole, &other),
                    Err(reason) => *failure = Some(reason.into()),
                }
            }
            take(row, &whole);
        })?;
        if failure.is_some() { Err(kernel::Error::Storage) } else { Ok(()) }
    }
}

impl<T: Real> StreamSource<'_, T> {
    fn fail(&mut self, failure: Error) -> kernel::Error {
        self.failure = Some(failure);
        kernel::Error::Storage
    }

    /// Passes every row of a tensor with a value for each column to `take`. Every shard has p; one
    /// without another tensor holds zeros.
    fn rows_of_columns(
        &mut self,
        name: &str,
        take: &mut dyn FnMut(usize, &[T]),
    ) -> Result<(), rtrl_model::Error> {
        let Some([rows, count]) = Source::<T>::shape(self, name) else { return Ok(()) };
        let Self { columns, stream, shards, .. } = self;
        let is_p = name == SENSITIVITIES;
        let name = names::tensor(*stream, name);
        for shard in shards.iter().filter(|shard| is_p || shard.reader.find(&name).is_some()) {
            shard.reader.expect(&Tensor::numbers::<T>(&name, [rows, shard.columns.len()]))?;
        }
        let mut values = vec![T::ZERO; count];
        for row in 0..rows {
            for Shard { columns: stored, reader } in shards.iter_mut() {
                if reader.find(&name).is_none() {
                    continue;
                }
                let both = stored.start.max(columns.start)..stored.end.min(columns.end);
                let first = row * stored.len() + both.start - stored.start;
                let places = both.start - columns.start..both.end - columns.start;
                reader.numbers(&name, first, &mut values[places])?;
            }
            take(row, &values);
        }
        Ok(())
    }
}

/// Replaces zeros by the values of another rank, which are the same where both ranks know them.
fn fill_gaps<T: Real>(whole: &mut [T], other: &[T]) {
    for (place, &value) in whole.iter_mut().zip(other) {
        // -0 is a value.
        if place.to_f64().to_bits() == 0 {
            *place = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_and_values_stay() {
        let mut whole = [0.0, -0.0, 1.0, 0.0];
        fill_gaps(&mut whole, &[2.0, 2.0, 2.0, -0.0]);
        assert_eq!(whole.map(f64::to_bits), [2.0, -0.0, 1.0, -0.0].map(f64::to_bits));
    }
}
