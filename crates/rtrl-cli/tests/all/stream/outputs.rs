//! Outputs that cannot be written, and models that must not be lost.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use rtrl_model::store::network::SavedModel;

use super::{rows, trained};
use crate::common::{has_words, program, rtrl};

fn bash(folder: &Path, script: &str) -> (i32, String) {
    let output = Command::new("bash")
        .current_dir(folder)
        .args(["-c", &script.replace("rtrl", &format!("'{}'", program().display()))])
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// As of a process that SIGPIPE has ended, and without a word.
#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_a_run_quietly() {
    let folder = trained(&[]);
    // More than a pipe holds.
    fs::write(folder.path().join("rest.csv"), rows(600, 6000)).unwrap();
    let run = "rtrl run model rest.csv --quiet --learn --save model | head -n 3 >&2";
    let (code, message) = bash(folder.path(), &format!("{run}; exit ${{PIPESTATUS[0]}}"));
    assert_eq!(code, 141, "{message}");
    assert_eq!(message.lines().count(), 3, "{message}");
}

/// What has been learnt survives predictions that nobody reads, whether the last lines cannot leave
/// or those in the midst of the stream.
#[cfg(target_os = "linux")]
#[test]
fn a_run_whose_predictions_are_lost_keeps_its_checkpoint() {
    let folder = trained(&[]);
    fs::write(folder.path().join("long.csv"), rows(600, 6000)).unwrap();
    let run = |series: &str| {
        format!("rtrl run model {series} --learn --save more --checkpoint {series}.kept")
    };
    for (series, script, status) in [
        ("rest.csv", format!("{} --quiet > /dev/full", run("rest.csv")), 1),
        ("long.csv", format!("{} --every 5 > /dev/full", run("long.csv")), 1),
        // The reader is gone before the first line is written.
        ("rest.csv", format!("(sleep 0.3; exec {}) | true", run("rest.csv")), 141),
        ("long.csv", format!("{} | head -n 3 > /dev/null", run("long.csv")), 141),
    ] {
        let (code, message) = bash(folder.path(), &format!("{script}; exit ${{PIPESTATUS[0]}}"));
        assert_eq!(code, status, "{script}: {message}");
        // A closed output is no reason for a message.
        let says = status == 1 && !script.contains("--quiet");
        assert_eq!(message.contains("wrote the model to more.partial"), says, "{message}");
        assert_eq!(message.contains("error: standard output: "), status == 1, "{message}");
        let path = |name: &str| folder.path().join(name);
        fs::remove_file(path("more.partial")).unwrap();
        let resumed = run(series).replace("more", "rest");
        let (code, message) = bash(folder.path(), &format!("{resumed} --resume > out"));
        assert_eq!(code, 0, "{script}: {message}");
        fs::remove_file(path(&format!("{series}.kept"))).unwrap();
        // Nothing that was learnt is learnt again.
        let left = fs::read_to_string(path("out")).unwrap();
        let first = left.lines().nth(1).and_then(|line| line.split(',').next()?.parse().ok());
        let rows = if series == "rest.csv" { 300 } else { 5400 };
        assert!(first.unwrap_or(rows + 1) > rows.min(4), "{script}: row {first:?}");
        assert_eq!(left.lines().count() == 1, series == "rest.csv", "{script}");
        let model = SavedModel::read(&path("rest")).unwrap().network::<f32>(&[]).unwrap();
        let (code, _) = bash(folder.path(), &format!("rtrl run model {series} --learn --save w"));
        let whole = SavedModel::read(&path("w")).unwrap().network::<f32>(&[]).unwrap();
        assert!(code == 0 && model.weights() == whole.weights(), "{script}");
    }
}

/// What cannot be written is an error, and old files are as they were.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_old_files_stay() {
    let folder = trained(&[]);
    let old = fs::read(folder.path().join("model")).unwrap();
    let full = "No space left on device";
    for (script, place) in [
        ("rtrl run model rest.csv --learn --save model > /dev/full", "standard output"),
        ("rtrl generate model --steps 3 > /dev/full", "standard output"),
        ("rtrl train rest.csv --target y --save model --predictions /dev/full", "/dev/full"),
        ("rtrl train rest.csv --target y --save model --json /dev/full", "/dev/full"),
    ] {
        let (code, message) = bash(folder.path(), script);
        assert_eq!(code, 1, "{script}: {message}");
        has_words(&message, &[place, full]);
        if !script.contains("--json") {
            assert!(fs::read(folder.path().join("model")).unwrap() == old, "{script}");
        }
    }
}

#[test]
fn outputs_that_cannot_be_are_refused_before_the_first_row() {
    let folder = trained(&[]);
    let old = fs::read(folder.path().join("first.out")).unwrap();
    for output in ["--predictions", "--checkpoint", "--save"] {
        let train = ["train", "first.csv", "--target", "y", "--predictions", "first.out"];
        let train = if output == "--predictions" { &train[..4] } else { &train[..] };
        let mut command = rtrl();
        command.current_dir(folder.path()).args(train).args([output, "no/file"]);
        let result = command.output().unwrap();
        assert_eq!(result.status.code(), Some(1), "{output}");
        has_words(&String::from_utf8(result.stderr).unwrap(), &["no/file"]);
        assert!(fs::read(folder.path().join("first.out")).unwrap() == old, "{output}");
    }
}

/// A model is replaced only by that of a run which has come to its end.
#[test]
fn a_run_that_is_stopped_leaves_the_old_model() {
    let folder = trained(&[]);
    let old = fs::read(folder.path().join("model")).unwrap();
    let file = folder.path().join("rest.csv");
    OpenOptions::new().append(true).open(&file).unwrap().write_all(b"1,2,three\n").unwrap();
    for command in [
        &["train", "rest.csv", "--target", "y", "--save", "model"][..],
        &["run", "model", "rest.csv", "--learn", "--save", "model"],
    ] {
        let output = rtrl().current_dir(folder.path()).args(command).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let message = String::from_utf8(output.stderr).unwrap();
        has_words(&message, &["line 302", "\"three\"", "wrote the model to model.partial"]);
        assert!(fs::read(folder.path().join("model")).unwrap() == old);
        let partial = folder.path().join("model.partial");
        assert!(SavedModel::read(&partial).is_ok());
        fs::remove_file(partial).unwrap();
    }
}
