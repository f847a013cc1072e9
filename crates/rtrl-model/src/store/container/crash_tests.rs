//! Power failures at every operation of a save, and operations that fail.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::{Checkpoints, Plan, Saved, Tensor};
use crate::Error;
use crate::store::simulated::{Failing, Files, Flaw, Simulated, State};

/// The number of the save whose state a checkpoint holds; 0 before the first one.
type Which = u8;

fn checkpoints(disk: &Simulated, keep: usize) -> Checkpoints {
    Checkpoints::new_in(Arc::new(disk.clone()), Path::new("runs"), "net", keep).unwrap()
}

fn save(checkpoints: &Checkpoints, step: u64, which: Which) -> Result<Saved, Error> {
    let values = [f64::from(which), 2.0];
    let tensors = vec![Tensor::numbers::<f64>("a", [2]), Tensor::bytes("b", [1])];
    let plan = Plan::new(&json!(which), tensors)?;
    checkpoints.save(step, &plan, |writer| {
        writer.numbers("a", &values)?;
        writer.bytes("b", &[which])
    })
}

/// Which state is found, after it has been read.
fn latest(checkpoints: &Checkpoints) -> Which {
    let Some((_, mut reader)) = checkpoints.latest().unwrap().checkpoint else { return 0 };
    let (mut a, mut b) = ([0.0f64; 2], [0]);
    reader.numbers("a", 0, &mut a).unwrap();
    reader.bytes("b", 0, &mut b).unwrap();
    assert_eq!((a, reader.contents()), ([f64::from(b[0]), 2.0], &json!(b[0])));
    b[0]
}

fn is_checkpoint(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.starts_with("runs/net-"))
}

/// What has been explored.
#[derive(Debug, Default)]
struct Explored {
    operations: usize,
    crashes: usize,
    seen: HashSet<Files>,
}

impl Explored {
    /// Checks every disk that a power failure may leave at one of these states.
    fn all(&mut self, history: &[State], keep: usize, allowed: &[Which]) -> Result<(), String> {
        self.operations += history.len() - 1;
        // Which states are allowed depends on the save.
        self.seen.clear();
        for (operation, state) in history.iter().enumerate() {
            let mut outcome = Ok(());
            state.crashes(&mut |mut files| {
                self.crashes += 1;
                // Of a temporary file only its presence matters: nobody ever reads one.
                files.iter_mut().filter(|(path, _)| !is_checkpoint(path)).for_each(|(_, file)| {
                    file.clear();
                });
                if outcome.is_ok() && !self.seen.contains(&files) {
                    outcome = recovers(&files, keep, allowed);
                    self.seen.insert(files);
                }
            });
            outcome.map_err(|reason| format!("crash after operation {operation}: {reason}"))?;
        }
        Ok(())
    }
}

/// Fails unless an allowed state is found and a run continues from there.
fn recovers(files: &Files, keep: usize, allowed: &[Which]) -> Result<(), String> {
    let disk = Simulated::new(files, Flaw::None);
    let checkpoints = checkpoints(&disk, keep);
    let found = latest(&checkpoints);
    if !allowed.contains(&found) {
        return Err(format!("found state {found}, expected one of {allowed:?}"));
    }
    save(&checkpoints, 100, 100).unwrap();
    assert_eq!(latest(&checkpoints), 100);
    // What the failure interrupted has been removed.
    assert!(disk.files().keys().all(|path| is_checkpoint(path)), "{:?}", disk.files().keys());
    Ok(())
}

/// Saves these steps one after the other and lets the power fail everywhere. During a save, its
/// state or the one before must be found; after it, its own.
fn explore(flaw: Flaw, keep: usize, steps: &[u64]) -> Result<Explored, String> {
    let disk = Simulated::new(&Files::new(), flaw);
    let checkpoints = checkpoints(&disk, keep);
    let mut explored = Explored::default();
    for (which, &step) in (1..).zip(steps) {
        save(&checkpoints, step, which).unwrap();
        let at = |reason| format!("save {which}, {reason}");
        let history = disk.take_history();
        explored.all(&history, keep, &[which - 1, which]).map_err(at)?;
        let end = &history[history.len() - 1..];
        explored.all(end, keep, &[which]).map_err(|reason| at(format!("reported, {reason}")))?;
    }
    Ok(explored)
}

/// A first save, a second one, saves that remove the oldest, and one that replaces its own step.
const STEPS: [u64; 5] = [1, 2, 3, 3, 4];

#[test]
fn a_power_failure_leaves_the_old_or_the_new_state() {
    for keep in [1, 2] {
        let explored = explore(Flaw::None, keep, &STEPS).unwrap();
        let Explored { operations, crashes, .. } = explored;
        println!("keep {keep}: {operations} operations, {crashes} crashes");
        assert!(operations > 50 && crashes > 10_000, "{operations} {crashes}");
    }
}

/// Negative control: whatever is left out of the write sequence is found.
#[test]
fn a_missing_sync_is_caught() {
    // The second save adds a file, or replaces the one that is there.
    for (flaw, second) in [(Flaw::NoFileSync, 2), (Flaw::LateFileSync, 1), (Flaw::NoFolderSync, 2)]
    {
        let violation = explore(flaw, 1, &[1, second]).unwrap_err();
        println!("{flaw:?}: {violation}");
        // Not only is a save lost that had been reported: there are crashes that leave neither
        // state.
        let disk = Simulated::new(&Files::new(), Flaw::None);
        save(&checkpoints(&disk, 1), 1, 1).unwrap();
        let disk = Simulated::new(&disk.files(), flaw);
        save(&checkpoints(&disk, 1), second, 2).unwrap();
        let neither = Explored::default().all(&disk.take_history(), 1, &[1, 2]).unwrap_err();
        assert!(neither.contains("found state 0"), "{flaw:?}: {neither}");
    }
}

/// Whatever fails, and however long: an error, the old state, and the next save works. A power
/// failure after that changes nothing about it. (Before, it is one of those explored above.)
#[test]
fn an_operation_that_fails_leaves_the_old_state() {
    let prepare = |keep| {
        let disk = Simulated::new(&Files::new(), Flaw::None);
        let checkpoints = checkpoints(&disk, keep);
        save(&checkpoints, 1, 1).unwrap();
        disk.take_history();
        disk.fail(None);
        (disk, checkpoints)
    };
    let (disk, unharmed) = prepare(1);
    save(&unharmed, 2, 2).unwrap();
    let operations = disk.operations();
    let kinds = [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::Other];
    let mut errors = 0;
    for kind in kinds {
        for place in 0..operations {
            for failing in [Failing::Only(place, kind), Failing::From(place, kind)] {
                let (disk, checkpoints) = prepare(1);
                disk.fail(Some(failing));
                let saved = save(&checkpoints, 2, 2);
                disk.fail(None);
                let history = disk.take_history();
                let found = latest(&checkpoints);
                match saved {
                    Ok(_) => assert_eq!(found, 2),
                    Err(Error::File { source, .. }) => {
                        errors += 1;
                        assert_eq!(source.kind(), kind);
                        // The last operation that can fail a save makes the new name safe.
                        assert!(found == 1 || disk.files().len() == 2, "{failing:?}");
                    }
                    Err(other) => panic!("{other}"),
                }
                if let Failing::Only(_, ErrorKind::StorageFull) = failing {
                    let end = &history[history.len() - 1..];
                    Explored::default().all(end, 1, &[1, 2]).unwrap();
                }
                save(&checkpoints, 3, 3).unwrap();
                assert_eq!(latest(&checkpoints), 3);
                assert_eq!(disk.files().len(), 1);
            }
        }
    }
    assert!(errors > 3 * 2 * 4, "{errors}");
}

#[test]
fn a_removal_that_fails_is_reported_and_done_again() {
    let disk = Simulated::new(&Files::new(), Flaw::None);
    let checkpoints = checkpoints(&disk, 1);
    save(&checkpoints, 1, 1).unwrap();
    disk.fail(None);
    save(&checkpoints, 2, 2).unwrap();
    disk.fail(Some(Failing::Only(disk.operations() - 1, ErrorKind::PermissionDenied)));
    let saved = save(&checkpoints, 3, 3).unwrap();
    let Some(Error::File { path, .. }) = saved.not_removed else { panic!("nothing reported") };
    assert_eq!(path, Path::new("runs/net-000000000002.safetensors"));
    assert_eq!(disk.files().len(), 2);
    disk.fail(None);
    assert!(save(&checkpoints, 4, 4).unwrap().not_removed.is_none());
    assert_eq!(disk.files().len(), 1);
}
