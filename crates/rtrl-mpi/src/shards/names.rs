//! The folders and files of checkpoints, and which shards are stale.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rtrl_model::store::container;

use crate::Error;
use crate::error::file;

/// The folder of the checkpoints of a run, and their name.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    folder: PathBuf,
    name: String,
}

const END: &str = ".safetensors";
const RANK: &str = "rank-";

impl Names {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        Self { folder: folder.to_owned(), name: name.to_owned() }
    }

    /// The manifest of a step, under the name that [`container::Checkpoints`] gives it.
    pub(crate) fn manifest(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{}-{step:012}{END}", self.name))
    }

    /// The shard of a rank.
    pub(crate) fn shard(&self, rank: usize, step: u64, generation: u64) -> PathBuf {
        self.rank(rank).join(format!("{step:012}-{generation:016x}{END}"))
    }

    /// Each rank has a folder, so that none lists or cleans up the files that another one writes.
    fn rank(&self, rank: usize) -> PathBuf {
        self.shards().join(format!("{RANK}{rank}"))
    }

    fn shards(&self) -> PathBuf {
        self.folder.join(format!("{}-shards", self.name))
    }

    /// Makes the folder of a rank, so that it survives a power failure.
    ///
    /// # Errors
    /// As [`container::Checkpoints::new`].
    pub(crate) fn make_folder(&self, rank: usize) -> Result<(), Error> {
        container::Checkpoints::new(&self.rank(rank), &self.name, 1)?;
        Ok(())
    }

    /// The steps of which there are manifests, ascending.
    ///
    /// # Errors
    /// [`rtrl_model::Error::File`] if the folder cannot be read.
    pub(crate) fn steps(&self) -> Result<Vec<u64>, Error> {
        let names = list(&self.folder).map_err(|source| file(&self.folder, source))?;
        let step = |name: &String| {
            let digits = name.strip_prefix(&*self.name)?.strip_prefix('-')?.strip_suffix(END)?;
            let step = digits.parse().ok()?;
            // One step has one name.
            (self.manifest(step).file_name()?.to_str()? == name).then_some(step)
        };
        let mut steps: Vec<u64> = names.iter().filter_map(step).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Removes stale shards from the folders of the ranks that `takes` selects. A failure is of no
    /// consequence: the next save tries again.
    pub(crate) fn remove_stale(
        &self,
        steps: &[u64],
        saved: Option<(u64, u64)>,
        takes: impl Fn(usize) -> bool,
    ) {
        let number = |name: &String| name.strip_prefix(RANK)?.parse().ok();
        let ranks = list(&self.shards()).unwrap_or_default();
        for rank in ranks.iter().filter_map(number).filter(|&rank| takes(rank)) {
            let folder = self.rank(rank);
            for name in list(&folder).unwrap_or_default() {
                if parse_shard(&name).is_some_and(|shard| is_stale(shard, steps, saved)) {
                    let _ = fs::remove_file(folder.join(name));
                }
            }
        }
    }
}

/// The name of the engine of a stream in a shard.
pub(super) fn engine(stream: usize) -> String {
    format!("stream.{stream}")
}

/// The name of an engine's tensor in a shard.
pub(super) fn tensor(stream: usize, name: &str) -> String {
    format!("{}.{name}", engine(stream))
}

/// Whether no manifest can name a shard of this step and generation, given the steps that have a
/// manifest and what was saved last.
fn is_stale((step, generation): (u64, u64), steps: &[u64], saved: Option<(u64, u64)>) -> bool {
    !steps.contains(&step) || saved.is_some_and(|last| last.0 == step && last.1 != generation)
}

/// Step and generation of a shard.
fn parse_shard(name: &str) -> Option<(u64, u64)> {
    let (step, generation) = name.strip_suffix(END)?.split_once('-')?;
    Some((step.parse().ok()?, u64::from_str_radix(generation, 16).ok()?))
}

/// The names in a folder that are text.
fn list(folder: &Path) -> io::Result<Vec<String>> {
    let name = |entry: io::Result<fs::DirEntry>| entry.map(|e| e.file_name().into_string().ok());
    fs::read_dir(folder)?.filter_map(|entry| name(entry).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_stale_that_no_manifest_names() {
        for (shard, stale, after) in [
            ((5, 1), false, false), // of an older checkpoint that is kept
            ((7, 2), false, true),  // of the same step, by an earlier save
            ((7, 3), false, false), // just saved
            ((6, 4), true, true),   // a save that was killed, or was removed
        ] {
            assert_eq!(is_stale(shard, &[5, 7], None), stale);
            assert_eq!(is_stale(shard, &[5, 7], Some((7, 3))), after);
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::new(folder.path(), "run");
        names.make_folder(3).unwrap();
        let shard = names.shard(3, 12, u64::MAX);
        let name = shard.file_name().unwrap().to_str().unwrap();
        assert_eq!(parse_shard(name), Some((12, u64::MAX)));
        for step in [7, 2_000_000_000_000] {
            fs::write(names.manifest(step), "").unwrap();
        }
        for other in ["run-7.safetensors", "runs-000000000007.safetensors", "run-x.safetensors"] {
            fs::write(folder.path().join(other), "").unwrap();
        }
        assert_eq!(names.steps().unwrap(), [7, 2_000_000_000_000]);
        fs::write(&shard, "").unwrap();
        names.remove_stale(&[12], None, |_| true);
        names.remove_stale(&[7], None, |rank| rank != 3);
        assert!(shard.exists());
        names.remove_stale(&[7], None, |rank| rank == 3);
        assert!(!shard.exists());
    }
}
