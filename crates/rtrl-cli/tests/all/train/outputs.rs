//! The files that `rtrl train` writes.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use assert_cmd::Command;
use rtrl_model::store::network::SavedModel;
use tempfile::TempDir;

use super::sunspots;
use crate::common::{has_words, program, rtrl};

/// If standard output is closed early, the model is still saved.
#[cfg(unix)]
#[test]
fn the_model_is_saved_although_nobody_reads_the_table() {
    let folder = TempDir::new().unwrap();
    let model = folder.path().join("model");
    let script = format!(
        "'{}' train '{}' --target sunspots --save '{}' | head -1; exit ${{PIPESTATUS[0]}}",
        assert_cmd::cargo::cargo_bin("rtrl").display(),
        sunspots().display(),
        model.display()
    );
    Command::new("bash").arg("-c").arg(script).assert().success();
    assert!(SavedModel::read(&model).is_ok());
}

/// The rate was once that of the learner alone.
#[test]
fn the_rate_is_that_of_the_whole_run() {
    let folder = TempDir::new().unwrap();
    let [json, checkpoint] = ["json", "checkpoint"].map(|name| folder.path().join(name));
    let pause = Duration::from_millis(400);
    let mut command = std::process::Command::new(program());
    command.args(["train", "-", "--target", "y", "--quiet", "--json"]).arg(&json);
    command.args(["--every", "1", "--checkpoint"]).arg(&checkpoint);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"y\n1\n2\n").unwrap();
    // The clock starts before the first row.
    while !checkpoint.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(pause);
    input.write_all(b"3\n4\n").unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
    let json: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let rate = json["rows_per_second"].as_f64().unwrap();
    assert!(rate > 0.0 && rate <= 4.0 / pause.as_secs_f64(), "{rate}");
}

#[test]
fn no_output_may_be_the_input_or_another_output() {
    let folder = TempDir::new().unwrap();
    let series = folder.path().join("series.csv");
    let text = "y\n1\n2\n3\n";
    fs::write(&series, text).unwrap();
    let twice = folder.path().join("twice");
    for (first, second) in [(&series, &twice), (&twice, &twice)] {
        let mut command = rtrl();
        command.current_dir(folder.path()).arg("train").arg("series.csv").args(["--target", "y"]);
        command.arg("--json").arg(first).arg("--save").arg(second);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().contains("same file"));
    }
    assert_eq!(fs::read_to_string(&series).unwrap(), text);
}

/// Both would write it from its start.
#[cfg(unix)]
#[test]
fn no_output_may_be_the_file_that_standard_output_goes_to() {
    let folder = TempDir::new().unwrap();
    let series = folder.path().join("series.csv");
    fs::write(&series, "y\n1\n2\n3\n").unwrap();
    let results = folder.path().join("results");
    for option in ["--predictions", "--save", "--json", "--report"] {
        let mut command = std::process::Command::new(program());
        command.arg("train").arg(&series).args(["--target", "y", option, "/dev/stdout"]);
        let piped = command.output().unwrap();
        assert!(piped.status.success() && !piped.stdout.is_empty(), "{option}");
        command.stdout(fs::File::create(&results).unwrap()).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{option}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("standard output") && message.contains("same file"), "{message}");
        assert_eq!(fs::metadata(&results).unwrap().len(), 0);
    }
}

/// Two paths to one file that did not exist yet were once taken for two files, and the model was
/// lost.
#[cfg(unix)]
#[test]
fn links_to_nothing_yet_are_the_files_that_they_lead_to() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("series.csv"), "y\n1\n2\n3\n").unwrap();
    for (link, target) in [("first", "second"), ("second", "file")] {
        std::os::unix::fs::symlink(target, folder.path().join(link)).unwrap();
    }
    for link in ["first", "second"] {
        let mut command = rtrl();
        command.current_dir(folder.path()).args(["train", "series.csv", "--target", "y"]);
        let output = command.args(["--save", link, "--json", "file"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        has_words(&String::from_utf8(output.stderr).unwrap(), &["--save", "--json", "same file"]);
    }
}

/// An output to a named pipe once waited for a reader for ever.
#[cfg(unix)]
#[test]
fn a_named_pipe_is_no_output() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("series.csv"), "y\n1\n2\n3\n").unwrap();
    Command::new("mkfifo").arg(folder.path().join("pipe")).assert().success();
    let mut command = rtrl();
    command.current_dir(folder.path()).args(["train", "series.csv", "--target", "y"]);
    command.args(["--save", "pipe"]).timeout(std::time::Duration::from_mins(1));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    has_words(&String::from_utf8(output.stderr).unwrap(), &["pipe", "expected a file"]);
}

/// `/dev/stdout` may refer to a file that others write to as well.
#[cfg(unix)]
#[test]
fn standard_output_as_a_file_is_added_to() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    fs::write(&log, "earlier\n").unwrap();
    let stdout = fs::OpenOptions::new().append(true).open(&log).unwrap();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("rtrl"));
    command.arg("train").arg(sunspots()).args(["--target", "sunspots", "--json", "/dev/stdout"]);
    assert!(command.stdout(stdout).status().unwrap().success());
    let text = fs::read_to_string(&log).unwrap();
    has_words(&text, &["earlier", "\"rmse\"", "rows per second"]);
}

/// A device has no old model that could be lost, so a run that is stopped writes to it as well.
#[cfg(unix)]
#[test]
fn a_model_can_be_written_to_a_device() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("series"), "y\n1\n2\n3\n").unwrap();
    fs::write(path("bad"), "y\n1\n2\n3\nfour\n").unwrap();
    let train = |series: &str, save: &str, output: fs::File| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("rtrl"));
        command.current_dir(folder.path()).args(["train", series, "--target", "y", "--quiet"]);
        command.args(["--save", save]).stdout(output).status().unwrap().code()
    };
    let output = || {
        fs::write(path("output"), "").unwrap();
        fs::OpenOptions::new().append(true).open(path("output")).unwrap()
    };
    assert_eq!(train("series", "model", output()), Some(0));
    for (series, code, model) in [("series", 0, "model"), ("bad", 1, "model.partial")] {
        assert_eq!(train(series, "/dev/null", output()), Some(code));
        assert_eq!(train(series, "/dev/stdout", output()), Some(code));
        let found = fs::read(path("output")).unwrap();
        assert_eq!(train(series, "model", output()), Some(code));
        assert!(found.starts_with(&fs::read(path(model)).unwrap()), "{series}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_the_work_begins() {
    let folder = TempDir::new().unwrap();
    for path in [folder.path().join("no/model"), folder.path().to_owned()] {
        for output in ["--save", "--report", "--json"] {
            let mut command = rtrl();
            command.args(["train", sunspots().to_str().unwrap(), "--target", "sunspots"]);
            let output = command.arg(output).arg(&path).output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            assert!(output.stdout.is_empty());
            let message = String::from_utf8(output.stderr).unwrap();
            assert!(message.contains(path.to_str().unwrap()), "{message}");
            assert!(message.contains("folder"), "{message}");
        }
    }
}

#[test]
fn a_file_that_was_there_stays_when_a_run_learns_nothing() {
    let folder = TempDir::new().unwrap();
    let (series, model) = (folder.path().join("series.csv"), folder.path().join("model"));
    fs::write(&series, "y\n1\ntwo\n3\n").unwrap();
    fs::write(&model, "precious").unwrap();
    let mut command = rtrl();
    command.arg("train").arg(&series).args(["--target", "y", "--save"]).arg(&model);
    command.assert().code(1);
    assert_eq!(fs::read_to_string(&model).unwrap(), "precious");
}
