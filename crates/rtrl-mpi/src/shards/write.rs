//! Writing the shard of a rank.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use rtrl_model::store::save_engines;
use rtrl_model::{Error as ModelError, Learner, Real};
use serde_json::json;

use super::part::{self, Part};
use super::{ShardEntry, names};
use crate::alike::hex;
use crate::error::file;
use crate::{Error, Ranks};

/// Writes the columns of this rank, of all streams, to `path`, which is replaced whole.
pub(crate) fn shard<T: Real>(
    ranks: &Ranks,
    path: &Path,
    learner: &Learner<T>,
) -> Result<ShardEntry, Error> {
    let _columns = Part::Columns.begin(ranks);
    let mut engines = Vec::with_capacity(learner.streams());
    for stream in 0..learner.streams() {
        let engine = learner.engine(stream)?;
        let spec = engine.spec();
        if !part::is_sharded(&spec) {
            let (expected, got) = ("a sharded one".to_owned(), format!("{spec:?}"));
            return Err(ModelError::Setting { what: "engine to be saved", expected, got }.into());
        }
        engines.push((names::engine(stream), engine));
    }
    let contents = json!({"kind": "shard", "rank": ranks.rank(), "ranks": ranks.count()});
    let tensors = save_engines(path, &contents, &engines)?;
    let weights = tensors.first().map_or(0, |p| p.shape[1]);
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
