//! The last few checkpoints of a run, in a folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Plan, Reader, Writer, writer};
use crate::Error;
use crate::error::zero;
use crate::store::{self, Disk, Storage};

/// Checkpoints of one run: `NAME-STEP.safetensors` in a folder, where STEP is the number of the
/// step in at least 12 digits.
///
/// ```
/// use rtrl_model::store::container::Checkpoints;
/// use rtrl_model::{Learner, Network, StoredLearner, Supplies, Targets};
/// use serde_json::json;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let checkpoints = Checkpoints::new(folder.path(), "run", 3)?;
/// let mut learner = Learner::builder(Network::<f64>::builder(4, 1).build()?).build()?;
/// for _ in 0..10 {
///     learner.step(&[0.5], Targets::All(&[0.1, 0.2, 0.3, 0.4]))?;
///     learner.save_in(&checkpoints, &json!({"note": "every step"}))?;
/// }
///
/// // After a crash: the newest valid checkpoint continues bit for bit.
/// let (step, reader) = checkpoints.latest()?.checkpoint.ok_or("no checkpoint")?;
/// let resumed = StoredLearner::new(reader)?.learner::<f64>(&Supplies::default())?;
/// assert_eq!(step, 10);
/// assert_eq!(resumed.first_difference(&learner)?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Checkpoints {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    name: String,
    keep: usize,
}

/// A checkpoint that survives a power failure.
#[derive(Debug)]
pub struct Saved {
    /// Its path.
    pub path: PathBuf,
    /// Why an older one could not be removed. The next save tries again.
    pub not_removed: Option<Error>,
}

/// The result of [`Checkpoints::latest`].
#[derive(Debug)]
pub struct Latest {
    /// The newest valid checkpoint, with the number of its step.
    pub checkpoint: Option<(u64, Reader)>,
    /// Newer invalid ones, the newest first: each error names its file and the reason.
    pub rejected: Vec<Error>,
}

impl Checkpoints {
    /// The checkpoints `name` in `folder`, of which the last `keep` are kept. The folder is created
    /// if it does not exist.
    ///
    /// # Errors
    /// [`Error::Setting`] unless the name can be part of a file name, [`Error::File`] if the folder
    /// cannot be created.
    pub fn new(folder: &Path, name: &str, keep: usize) -> Result<Self, Error> {
        store::make_folder(folder)
            .map_err(|source| Error::File { path: folder.to_owned(), source })?;
        Self::new_in(Arc::new(Disk), folder, name, keep)
    }

    pub(super) fn new_in(
        storage: Arc<dyn Storage>,
        folder: &Path,
        name: &str,
        keep: usize,
    ) -> Result<Self, Error> {
        if keep == 0 {
            return Err(zero("number of checkpoints to keep"));
        }
        if name.is_empty() || name.contains(['/', '\\', '\0']) {
            return Err(Error::Setting {
                what: "name of the checkpoints",
                expected: "at least one character, but no / or \\".to_owned(),
                got: format!("{name:?}"),
            });
        }
        Ok(Self { storage, folder: folder.to_owned(), name: name.to_owned(), keep })
    }

    /// Saves a checkpoint of a step, replacing an existing one, and then removes all except the
    /// last ones up to this step. Those of later steps are kept, for a run that has returned to an
    /// earlier step.
    ///
    /// # Errors
    /// As [`save`](super::save). All checkpoints are then unchanged, unless only the sync of the
    /// folder failed: then the new one exists too, but may not survive a power failure.
    pub fn save(
        &self,
        step: u64,
        plan: &Plan,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
    ) -> Result<Saved, Error> {
        let path = self.path(step);
        store::replace_in(&*self.storage, &path, None, |sink| {
            writer::stream(sink, &path, plan, write)
        })?;
        // Only now, when the new one can no longer be lost.
        let not_removed = self.remove_older(step).err();
        Ok(Saved { path, not_removed })
    }

    /// Opens the newest valid checkpoint: that of the highest step. A run that has returned to an
    /// earlier step must use another name or remove the later files, or it will find these.
    ///
    /// # Errors
    /// [`Error::File`] if the folder cannot be read.
    pub fn latest(&self) -> Result<Latest, Error> {
        let mut steps = self.steps()?;
        loop {
            let (latest, vanished) = self.newest_of(&steps);
            // Another process may have saved a new one and removed those of this list.
            if latest.checkpoint.is_some() || !vanished {
                return Ok(latest);
            }
            let now = self.steps()?;
            if now == steps {
                return Ok(latest);
            }
            steps = now;
        }
    }

    /// The newest of `steps`, which ascend, and whether one was no longer there.
    fn newest_of(&self, steps: &[u64]) -> (Latest, bool) {
        let mut latest = Latest { checkpoint: None, rejected: Vec::new() };
        let mut vanished = false;
        for &step in steps.iter().rev() {
            match Reader::open_in(&*self.storage, &self.path(step)) {
                Ok(reader) => {
                    latest.checkpoint = Some((step, reader));
                    break;
                }
                Err(reason) => {
                    vanished |= matches!(&reason, Error::File { source, .. }
                        if source.kind() == io::ErrorKind::NotFound);
                    latest.rejected.push(reason);
                }
            }
        }
        (latest, vanished)
    }

    /// Removes all except the last ones up to `step`. The next save repeats a removal that a power
    /// failure has undone.
    fn remove_older(&self, step: u64) -> Result<(), Error> {
        let steps = self.steps()?;
        let up_to = steps.iter().rev().filter(|&&other| other <= step);
        let mut removed = Ok(());
        for &older in up_to.skip(self.keep) {
            let path = self.path(older);
            match self.storage.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    removed = Err(Error::File { path, source: error });
                }
                _ => {}
            }
        }
        removed
    }

    /// The steps of which there are files, ascending.
    fn steps(&self) -> Result<Vec<u64>, Error> {
        let named = |source| Error::File { path: self.folder.clone(), source };
        let names = self.storage.list(&self.folder).map_err(named)?;
        let mut steps: Vec<u64> =
            names.iter().filter_map(|name| self.step(name.to_str()?)).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// The step of a file that is called `name`.
    fn step(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&*self.name)?.strip_prefix('-')?;
        let step = digits.strip_suffix(".safetensors")?.parse().ok()?;
        // One step has one name.
        (self.file_name(step) == name).then_some(step)
    }

    fn file_name(&self, step: u64) -> String {
        format!("{}-{step:012}.safetensors", self.name)
    }

    fn path(&self, step: u64) -> PathBuf {
        self.folder.join(self.file_name(step))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::store::container::{Fault, Tensor};

    fn save(checkpoints: &Checkpoints, step: u64) -> Saved {
        let plan = Plan::new(&json!(step), vec![Tensor::bytes("a", [3])]).unwrap();
        checkpoints.save(step, &plan, |writer| writer.bytes("a", &[1, 2, 3])).unwrap()
    }

    fn found(checkpoints: &Checkpoints) -> (Option<u64>, Vec<Error>) {
        let Latest { checkpoint, rejected } = checkpoints.latest().unwrap();
        let step = checkpoint.map(|(step, reader)| {
            assert_eq!(reader.contents(), &json!(step));
            step
        });
        (step, rejected)
    }

    fn series(keep: usize) -> (tempfile::TempDir, Checkpoints) {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(&folder.path().join("runs/a"), "net", keep).unwrap();
        (folder, checkpoints)
    }

    #[test]
    fn the_last_ones_are_kept() {
        let (_folder, checkpoints) = series(2);
        assert_eq!(found(&checkpoints).0, None);
        for step in [1, 20, 999_999_999_999, 1_000_000_000_000, u64::MAX] {
            let saved = save(&checkpoints, step);
            assert!(saved.path.is_file() && saved.not_removed.is_none());
            assert_eq!(found(&checkpoints).0, Some(step));
        }
        assert_eq!(checkpoints.steps().unwrap(), [1_000_000_000_000, u64::MAX]);
    }

    #[test]
    fn what_does_not_verify_is_passed_over_and_named() {
        let (_folder, checkpoints) = series(3);
        let paths = [1, 2, 3].map(|step| save(&checkpoints, step).path);
        fs::write(&paths[2], &fs::read(&paths[2]).unwrap()[..100]).unwrap();
        let mut damaged = fs::read(&paths[1]).unwrap();
        *damaged.last_mut().unwrap() ^= 1;
        fs::write(&paths[1], damaged).unwrap();
        let (step, rejected) = found(&checkpoints);
        assert_eq!(step, Some(1));
        let [
            Error::Container { path: newest, fault: Fault::CutShort { .. } },
            Error::Container { path: newer, fault: Fault::Checksum { .. } },
        ] = &rejected[..]
        else {
            panic!("{rejected:?}")
        };
        assert_eq!((newest, newer), (&paths[2], &paths[1]));
    }

    #[test]
    fn later_steps_stay_when_a_run_goes_back() {
        let (_folder, checkpoints) = series(1);
        save(&checkpoints, 9);
        save(&checkpoints, 5);
        save(&checkpoints, 6);
        assert_eq!(checkpoints.steps().unwrap(), [6, 9]);
        save(&checkpoints, 9);
        assert_eq!(checkpoints.steps().unwrap(), [9]);
    }

    #[test]
    fn other_files_are_left_alone() {
        let (_folder, checkpoints) = series(1);
        let others = [
            "net-000000000001.txt",
            "net-1.safetensors",
            "net-+00000000001.safetensors",
            "net-2-000000000001.safetensors",
            "other-000000000001.safetensors",
            ".rtrl-mine.tmp",
        ];
        let abandoned = ".rtrl-0123456789abcdef.tmp";
        for name in others.iter().chain([&abandoned]) {
            fs::write(checkpoints.folder.join(name), "").unwrap();
        }
        save(&checkpoints, 2);
        assert_eq!(found(&checkpoints).0, Some(2));
        assert!(others.iter().all(|name| checkpoints.folder.join(name).exists()));
        assert!(!checkpoints.folder.join(abandoned).exists());
    }

    #[test]
    fn names_and_folders_that_cannot_be_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "a/b", "a\\b", "\0"] {
            let refused = Checkpoints::new(folder.path(), name, 1);
            assert!(matches!(refused, Err(Error::Setting { .. })));
        }
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Checkpoints::new(&file, "net", 1), Err(Error::File { .. })));
    }
}
