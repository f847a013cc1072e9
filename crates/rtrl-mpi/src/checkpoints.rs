//! Checkpoints of sharded learners: one shard a rank, and one manifest.
//!
//! The manifest of a step is the checkpoint that rank 0 writes of its learner, without the columns
//! of p; its application data name the shards by their checksums. It is written last, when all
//! shards are durable, and replaced whole. Each save has a random *generation*, which is part of
//! the names of its shards, so that no save changes a shard of another one.
//!
//! ```text
//! FOLDER/NAME-000000001200.safetensors                              the manifest of step 1200
//! FOLDER/NAME-shards/rank-3/000000001200-0f3c….safetensors          the columns of rank 3
//! ```

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

use mpi::traits::Equivalence;
use rtrl_model::store::container::{self, Reader};
use rtrl_model::{EngineFactory, Isa, Learner, Real, StoredLearner, Supplies, Threads, kernel};
use serde::Deserialize;
use serde_json::Value;

use crate::sharded::Sharded;
use crate::shards::{self, Manifest, Names, Part, ShardEntry, SharedShards};
use crate::{Error, Ranks, alike};

/// The last few checkpoints of a sharded run, in a folder that all ranks see.
///
/// A kill at any moment leaves a checkpoint that verifies: the old one or the new one. Any number
/// of ranks can resume it, bit for bit. Two runs must not use the same name in the same folder.
#[derive(Debug)]
pub struct Checkpoints {
    ranks: Ranks,
    names: Names,
    manifests: container::Checkpoints,
}

/// The result of [`Checkpoints::latest`].
#[derive(Debug)]
pub struct Latest<T: Real> {
    /// The learner of the newest valid checkpoint, and the data of the program.
    pub found: Option<(Learner<T>, Value)>,
    /// Why newer ones are not valid, the newest first.
    pub rejected: Vec<Error>,
}

impl Checkpoints {
    /// The checkpoints `name` in `folder`, of which the last `keep` are kept. Folders are created
    /// if they do not exist.
    ///
    /// # Errors
    /// Those of [`container::Checkpoints::new`] on this rank, or [`Error::OtherRank`].
    pub fn new(ranks: &Ranks, folder: &Path, name: &str, keep: usize) -> Result<Self, Error> {
        let names = Names::new(folder, name);
        let made = || {
            let manifests = container::Checkpoints::new(folder, name, keep)?;
            names.make_folder(ranks.rank())?;
            Ok(manifests)
        };
        let manifests = ranks.agree(made())?;
        Ok(Self { ranks: ranks.clone(), names, manifests })
    }

    /// Saves a learner that [`Ranks::build`] or [`Checkpoints::latest`] has returned, under the
    /// step [`Learner::steps`], and removes all except the last ones. `application` is that of rank
    /// 0.
    ///
    /// The columns of p are written row by row, without a second copy in memory.
    ///
    /// # Errors
    /// [`Error::Model`] if a file cannot be written, or if a stream has lost its sensitivities
    /// (reset them first); [`Error::OtherRank`] on the other ranks. All earlier checkpoints are
    /// unchanged. If stale files cannot be removed, the next save tries again.
    pub fn save<T: Real>(&self, learner: &Learner<T>, application: &Value) -> Result<(), Error> {
        let (ranks, step) = (&self.ranks, learner.steps());
        self.remove_stale(None)?;
        let generation = self.generation()?;
        let path = self.names.shard(ranks.rank(), step, generation);
        let written = shards::write(ranks, &path, learner);
        let shards = ranks.agree(written).and_then(|entry| self.entries(&entry));
        let shards = shards.inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        let manifest = Manifest { generation, shards, application: application.clone() };
        ranks.agree(self.save_manifest(learner, &manifest))?;
        self.remove_stale(Some((step, generation)))
    }

    /// Writes the manifest on rank 0.
    fn save_manifest<T: Real>(
        &self,
        learner: &Learner<T>,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        if self.ranks.rank() > 0 {
            return Ok(());
        }
        let application = serde_json::to_value(manifest).map_err(|error| Error::Shard {
            path: self.names.manifest(learner.steps()),
            reason: error.to_string(),
        })?;
        let _shared = Part::Shared.begin(&self.ranks);
        learner.save_in(&self.manifests, &application)?;
        Ok(())
    }

    /// The learner of the newest valid checkpoint, which continues as the saved one would have, bit
    /// for bit, also on another number of ranks. A checkpoint of which any rank rejects a file that
    /// it needs is rejected by all.
    ///
    /// `supplies` as for [`StoredLearner::learner`]; its factory of engines is not used.
    ///
    /// # Errors
    /// [`Error::Model`] if the folder cannot be read, [`Error::Differs`] if the ranks have read
    /// different learners.
    pub fn latest<T: Real + Equivalence>(
        &self,
        supplies: &Supplies<T>,
    ) -> Result<Latest<T>, Error> {
        let mut latest = Latest { found: None, rejected: Vec::new() };
        for step in self.steps()?.into_iter().rev() {
            match self.ranks.agree(self.read(step, supplies)) {
                Ok(found) => {
                    alike::check(&self.ranks, &found.0)?;
                    latest.found = Some(found);
                    break;
                }
                Err(reason) => latest.rejected.push(reason),
            }
        }
        Ok(latest)
    }

    /// This rank's part of a checkpoint.
    fn read<T: Real + Equivalence>(
        &self,
        step: u64,
        supplies: &Supplies<T>,
    ) -> Result<(Learner<T>, Value), Error> {
        let path = self.names.manifest(step);
        let stored = StoredLearner::new(Reader::open(&path)?)?;
        let manifest = Manifest::deserialize(stored.application());
        let manifest = manifest.map_err(|error| Error::Shard {
            path,
            reason: format!("not the manifest of a sharded learner: {error}"),
        })?;
        let application = manifest.application.clone();
        let shards = SharedShards::new(self.names.clone(), step, manifest);
        let supplies = self.supply(supplies, &shards)?;
        // A learner that has been read is compared with what it would save.
        let _shared = Part::Shared.begin(&self.ranks);
        let learner = stored.learner(&supplies).map_err(Error::from);
        // The engine's error says only that its source has failed.
        let learner = shards.failure().map_or(learner, Err)?;
        shards.check_streams(learner.streams())?;
        Ok((learner, application))
    }

    /// Supplies with a factory of sharded engines.
    fn supply<T: Real + Equivalence>(
        &self,
        supplies: &Supplies<T>,
        shards: &SharedShards,
    ) -> Result<Supplies<T>, Error> {
        let threads = supplies.threads;
        let isa = supplies.isa.map_or_else(Isa::from_env, Ok)?;
        let (ranks, shards) = (self.ranks.clone(), shards.clone());
        let engine = EngineFactory::new(move |layout, learns, name| {
            let spec = shards::spec_of(name)?;
            let build = |layout: &_, own: &_| kernel::build(&spec, layout, own, isa, threads);
            match Sharded::new(&ranks, layout, learns, build) {
                Ok(engine) => Ok(Box::new(engine.with_shards(shards.clone())) as _),
                Err(Error::Model(error)) => Err(error),
                Err(_) => Err(kernel::Error::Unsupported { what: "being sharded" }.into()),
            }
        });
        // Streams take their steps one after the other; see `Ranks::build`.
        Ok(Supplies { engine: Some(engine), threads: Threads::SERIAL, ..supplies.clone() })
    }

    /// The steps that rank 0 sees, ascending: another machine may see a folder as it was.
    fn steps(&self) -> Result<Vec<u64>, Error> {
        let found = if self.ranks.rank() == 0 { self.names.steps() } else { Ok(Vec::new()) };
        let steps = self.ranks.agree(found)?;
        let sent: Vec<u8> = steps.iter().flat_map(|step| step.to_le_bytes()).collect();
        let received = self.ranks.share(&sent)?;
        Ok(received.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect())
    }

    /// A number that no other save has.
    fn generation(&self) -> Result<u64, Error> {
        let random = RandomState::new().build_hasher().finish();
        let first = self.ranks.share(&random.to_le_bytes())?;
        Ok(first.as_chunks().0.first().map_or(0, |&bytes| u64::from_le_bytes(bytes)))
    }

    /// The entries of all ranks.
    fn entries(&self, own: &ShardEntry) -> Result<Vec<ShardEntry>, Error> {
        let all = self.ranks.gather(&serde_json::to_vec(own).unwrap_or_default())?;
        let entry = |(rank, text): (usize, &Vec<u8>)| {
            serde_json::from_slice(text)
                .map_err(|error| Error::OtherRank { rank, reason: error.to_string() })
        };
        all.iter().enumerate().map(entry).collect()
    }

    /// Removes the shards that no manifest names: those of steps without one, and those of the step
    /// that has just been saved with another generation.
    fn remove_stale(&self, saved: Option<(u64, u64)>) -> Result<(), Error> {
        let steps = self.steps()?;
        let (rank, count) = (self.ranks.rank(), self.ranks.count());
        self.names.remove_stale(&steps, saved, |owner| owner % count == rank);
        Ok(())
    }
}

impl Checkpoints {
    /// The file of rank 0 for a step.
    pub fn manifest(&self, step: u64) -> PathBuf {
        self.names.manifest(step)
    }
}
