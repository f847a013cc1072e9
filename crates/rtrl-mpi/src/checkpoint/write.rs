//! Writing the shard of a rank.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use rtrl_model::kernel::{self, Sink};
use rtrl_model::store::container::{self, Plan, Tensor, Writer};
use rtrl_model::{Learner, Real};
use serde_json::json;

use super::part::Part;
use super::{ShardEntry, names};
use crate::alike::hex;
use crate::error::file;
use crate::{Error, Ranks};

/// Writes the columns of this rank, of all streams, to `path`, which is replaced whole.
pub(super) fn shard<T: Real>(
    ranks: &Ranks,
    path: &Path,
    learner: &Learner<T>,
) -> Result<ShardEntry, Error> {
    let _columns = Part::Columns.begin(ranks);
    let mut tensors = Vec::new();
    for stream in 0..learner.streams() {
        learner.engine(stream)?.save(&mut Planning { stream, tensors: &mut tensors })?;
    }
    let weights = tensors.first().map_or(0, |p: &Tensor| p.shape[1]);
    let contents = json!({"kind": "shard", "rank": ranks.rank(), "ranks": ranks.count()});
    let plan = Plan::new(&contents, tensors)?;
    container::save(path, &plan, |writer| {
        for stream in 0..learner.streams() {
            let mut writing = Writing { stream, writer, row: Vec::new(), failure: None };
            let saved = learner.engine(stream)?.save(&mut writing);
            writing.failure.map_or(Ok(()), Err)?;
            saved?;
        }
        Ok(())
    })?;
    Ok(ShardEntry { weights, checksum: checksum(path)? })
}

/// The last bytes of a container, which hold the checksum of the others.
pub(super) fn checksum(path: &Path) -> Result<String, Error> {
    let mut bytes = [0; 32];
    let mut read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-32))?;
        file.read_exact(&mut bytes)
    };
    read().map_err(|source| file(path, source))?;
    Ok(hex(&bytes))
}

/// Plans the tensors of a stream.
struct Planning<'a> {
    stream: usize,
    tensors: &'a mut Vec<Tensor>,
}

impl<T: Real> Sink<T> for Planning<'_> {
    fn tensor(
        &mut self,
        name: &str,
        shape: [usize; 2],
        _: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), kernel::Error> {
        self.tensors.push(Tensor::numbers::<T>(names::tensor(self.stream, name), shape));
        Ok(())
    }
}

/// Writes the tensors of a stream row by row.
struct Writing<'a, 'w, T> {
    stream: usize,
    writer: &'a mut Writer<'w>,
    row: Vec<T>,
    /// Why a row was not written.
    failure: Option<rtrl_model::Error>,
}

impl<T: Real> Sink<T> for Writing<'_, '_, T> {
    fn tensor(
        &mut self,
        name: &str,
        [rows, columns]: [usize; 2],
        fill: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), kernel::Error> {
        let name = names::tensor(self.stream, name);
        self.row.resize(columns, T::ZERO);
        for row in 0..rows {
            fill(row, &mut self.row);
            if let Err(failure) = self.writer.numbers(&name, &self.row) {
                self.failure = Some(failure);
                return Err(kernel::Error::Storage);
            }
        }
        Ok(())
    }
}
