//! Training that is killed while it saves checkpoints, and training that cannot save.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use rtrl_bench::training;
use rtrl_model::store::container::{Checkpoints, Latest};
use rtrl_model::{Generator, StoredLearner, Supplies};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_checkpoint_loop");
const KEEP: usize = 2;
const KILLS: usize = 500;

/// The step of the newest checkpoint, 0 if there is none yet; or what is wrong with the folder.
fn newest(folder: &Path) -> Result<u64, String> {
    let Latest { checkpoint, rejected } =
        Checkpoints::new(folder, "training", KEEP).unwrap().latest().unwrap();
    if let Some(reason) = rejected.first() {
        return Err(reason.to_string());
    }
    let Some((step, reader)) = checkpoint else { return Ok(0) };
    let stored = StoredLearner::new(reader).map_err(|error| error.to_string())?;
    let learner = stored.learner::<f32>(&Supplies::default()).map_err(|error| error.to_string())?;
    if learner.steps() != step {
        return Err(format!("step {} in the file of step {step}", learner.steps()));
    }
    Ok(step)
}

/// Files in the folder: checkpoints, and those that a process is writing or was writing when it was
/// killed.
fn names(folder: &Path) -> [Vec<OsString>; 2] {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let is_temporary = |name: &OsString| name.to_str().unwrap().starts_with(".rtrl-");
    let (writing, whole) = names.partition(is_temporary);
    [whole, writing]
}

/// How many files there are of both kinds.
fn files(folder: &Path) -> (usize, usize) {
    let [whole, writing] = names(folder);
    (whole.len(), writing.len())
}

/// The number after the last `word` of what a process printed.
fn last(printed: &str, word: &str) -> Option<u64> {
    // A line may have been cut.
    let whole = printed.rfind('\n').map_or("", |end| &printed[..end]);
    whole.lines().rev().find_map(|line| line.strip_prefix(word)?.trim().parse().ok())
}

/// The event after which a process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// It has printed this number of lines.
    Lines(usize),
    /// It has begun to write a checkpoint.
    Writing,
    /// It has saved one checkpoint more than are kept, and not yet removed the oldest.
    Surplus,
}

/// Inspects the folder before a process is killed.
const LOOKS: usize = 20_000;

/// Runs the program until the event, and kills it.
fn kill_at(folder: &Path, moment: Moment) -> String {
    let [_, left] = names(folder);
    let mut child = Command::new(PROGRAM).arg(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    let wait_for = |event: &dyn Fn() -> bool| {
        let _ = (0..LOOKS).any(|_| event());
    };
    match moment {
        Moment::Lines(count) => {
            for _ in 0..count {
                output.read_line(&mut printed).unwrap();
            }
        }
        Moment::Writing => {
            wait_for(&|| names(folder)[1].iter().any(|name| !left.contains(name)));
        }
        Moment::Surplus => wait_for(&|| files(folder).0 > KEEP),
    }
    child.kill().unwrap();
    output.read_to_string(&mut printed).unwrap();
    assert!(!child.wait().unwrap().success());
    printed
}

#[test]
fn a_killed_process_leaves_a_whole_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut generator = Generator::new(1);
    let (mut before, mut amid_saves, mut amid_removals, mut resumed) = (0, 0, 0, 0);
    for kill in 0..KILLS {
        let moment = match kill % 4 {
            0 => Moment::Lines(generator.below(3)),
            1 => Moment::Writing,
            2 => Moment::Surplus,
            _ => Moment::Lines(1 + generator.below(30)),
        };
        let printed = kill_at(folder, moment);
        if let Some(step) = last(&printed, "resumed") {
            resumed += 1;
            assert_eq!(step, before, "kill {kill}");
        }
        let now = newest(folder).unwrap_or_else(|reason| panic!("kill {kill}: {reason}"));
        // No reported step is lost.
        assert!(now >= last(&printed, "saved").unwrap_or(before), "kill {kill}: {now}\n{printed}");
        assert!(now >= before, "kill {kill}: from step {before} back to {now}");
        let (whole, writing) = files(folder);
        assert!(writing <= 1, "kill {kill}: {writing} temporary files");
        amid_removals += usize::from(whole > KEEP);
        amid_saves += writing;
        before = now;
    }
    println!(
        "{before} steps, {resumed} resumed; of {KILLS} kills {amid_saves} during a save, \
         {amid_removals} between a save and a removal"
    );
    // The kills happened where they were meant to.
    assert!(resumed >= KILLS / 2 && before > 100);
    assert!(amid_saves > 10 && amid_removals > 10);
    // An uninterrupted save removes the files that the kills have left.
    let last = Command::new(PROGRAM).arg(folder).args(["--steps", "1"]).output().unwrap();
    assert!(last.status.success());
    before += 1;
    assert_eq!((newest(folder), files(folder)), (Ok(before), (KEEP, 0)));
    // Nothing was lost: the result equals that of an uninterrupted run, byte for byte.
    let path = folder.join(format!("training-{before:012}.safetensors"));
    let bytes = fs::read(&path).unwrap();
    let mut whole = training::learner().unwrap();
    (0..before).for_each(|_| training::advance(&mut whole).unwrap());
    let undisturbed = folder.join("undisturbed");
    whole.save(&undisturbed, &Value::Null).unwrap();
    assert!(fs::read(&undisturbed).unwrap() == bytes);
    fs::remove_file(&undisturbed).unwrap();
    // Negative control: half a file is detected.
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(newest(folder).unwrap_err().contains("cut short"));
}

/// It resumes, reports each save that fails, and continues to its end.
#[cfg(unix)]
#[test]
fn a_read_only_folder_stops_no_run() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let home = tempfile::tempdir().unwrap();
    let (folder, program) = (home.path().join("runs"), home.path().join("program"));
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(home.path(), 0o755);
    // If this process copied it, a child that another test starts at that moment could still have
    // it open for writing, and it could not run.
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    let mut command = Command::new(&program);
    command.arg(&folder).args(["--steps", "2"]);
    assert!(command.status().unwrap().success());
    allow(&folder, 0o555);
    if fs::write(folder.join("probe"), "").is_ok() {
        // The superuser may write anywhere, so another user has to run it.
        fs::remove_file(folder.join("probe")).unwrap();
        command.uid(65_534).gid(65_534);
    }
    let before = fs::read_dir(&folder).unwrap().count();
    let output = command.output().unwrap();
    allow(&folder, 0o755);
    let (printed, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{errors}");
    assert_eq!(printed, "resumed 2\n");
    assert_eq!(errors.lines().filter(|line| line.starts_with("not saved")).count(), 2, "{errors}");
    assert!(errors.contains("ermission denied"), "{errors}");
    assert_eq!((newest(&folder), fs::read_dir(&folder).unwrap().count()), (Ok(2), before));
}
