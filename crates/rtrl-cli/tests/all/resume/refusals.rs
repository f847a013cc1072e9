//! What does not fit a checkpoint, and a second process that uses it.

use std::fs;
use std::process::{Command, Output};

use rtrl_model::Supplies;
use rtrl_model::store::{StoredLearners, learners};
use tempfile::TempDir;

use super::{folder, left, message, on_standard_input, signal, train, wait_for, waiting};
use crate::common::{has_words, program};

#[test]
fn a_second_process_is_refused_with_the_first_one_named() {
    let folder = folder();
    let mut first = waiting(&mut on_standard_input(folder.path(), &[]), "y\n1\n2\n3\n");
    wait_for(&folder.path().join("checkpoint"));
    let output = train(folder.path(), &["--resume"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    has_words(&message(&output), &["checkpoint", &format!("process {}", first.id())]);
    assert!(!folder.path().join("predictions").exists());
    signal(&first, "KILL");
    first.wait().unwrap();
    // The lock of a process that has ended is none.
    fs::remove_file(folder.path().join("checkpoint")).ok();
    assert!(train(folder.path(), &["--resume"]).output().unwrap().status.success());
}

#[test]
fn what_does_not_fit_a_checkpoint_is_refused() {
    let folder = folder();
    let run = |options: &[&str]| train(folder.path(), options).output().unwrap();
    assert!(run(&[]).status.success());
    let refused = |output: Output, words: &[&str]| {
        assert_eq!(output.status.code(), Some(1));
        has_words(&message(&output), words);
    };
    let kept = || (left(folder.path()), fs::read(folder.path().join("checkpoint")).unwrap());
    let before = kept();
    refused(run(&[]), &["checkpoint", "earlier run", "--resume"]);
    refused(
        run(&["--resume", "--leak", "0.5"]),
        &["--resume: got --leak 0.5, expected \"spread\""],
    );
    refused(run(&["--resume", "--baselines", "none"]), &["got --baselines []"]);
    refused(run(&["--resume", "--seed", "2"]), &["got --seed 2, expected 1"]);
    let words = ["got --format \"jsonl\", expected \"csv\" as in the checkpoint"];
    refused(run(&["--resume", "--format", "jsonl"]), &words);
    // Another number in a row that it has seen, and a row less.
    let series = folder.path().join("series");
    let text = fs::read_to_string(&series).unwrap();
    let place = text.len() / 2 + text[text.len() / 2..].find('\n').unwrap() + 1;
    let other = format!("{}-{}", &text[..place], text[place..].trim_start_matches('-'));
    let other = if other == text { text.replacen("0.", "1.", 1) } else { other };
    let (shorter, _) = text.trim_end().rsplit_once('\n').unwrap();
    for text in [&other, shorter] {
        fs::write(&series, text).unwrap();
        refused(run(&["--resume"]), &["series", "other rows", "2000 rows", "--from-now"]);
    }
    fs::write(&series, &text).unwrap();
    let predictions = folder.path().join("predictions");
    fs::write(&predictions, &before.0[0][..100]).unwrap();
    refused(run(&["--resume"]), &["predictions", "got 100 bytes"]);
    fs::write(&predictions, [&before.0[0][..], b"torn li"].concat()).unwrap();
    assert!(kept().1 == before.1);
    assert!(run(&["--resume"]).status.success());
    assert!(left(folder.path()) == before.0);
    // A damaged checkpoint is no reason to start anew.
    fs::write(folder.path().join("checkpoint"), &before.1[..1000]).unwrap();
    refused(run(&["--resume"]), &["checkpoint", "cut short"]);
}

/// Which rows are wrong was once no setting, and the message said that the rows had changed.
#[test]
fn what_makes_a_row_wrong_is_named() {
    let folder = TempDir::new().unwrap();
    let write = |rows: &[&str]| {
        let text = format!("site,y\n{}\n", rows.join("\n"));
        fs::write(folder.path().join("series"), text).unwrap();
    };
    let run = |options: &[&str]| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(["train", "series", "--target", "y", "--quiet"]);
        command.args(["--group", "site", "--checkpoint", "kept", "--predictions", "out"]);
        command.args(options).output().unwrap()
    };
    let refused = |output: Output, words: &str| {
        assert_eq!(output.status.code(), Some(1));
        has_words(&message(&output), &["kept: --resume: ", words, " as in the checkpoint"]);
    };
    let rows = ["a,1", "b,2", "c,3", "a,bad", "a,4", "b,5"];
    write(&rows);
    let skip = |most: &'static str| ["--on-error", "skip", "--most-groups", most];
    assert!(run(&skip("2")).status.success());
    let resume = |options: &[&str]| run(&[&["--resume"], options].concat());
    assert!(resume(&skip("2")).status.success());
    refused(resume(&skip("3")), "got --most-groups 3, expected 2");
    refused(resume(&skip("2")[2..]), "got --on-error \"stop\", expected \"skip\"");
    // A run that stops at a wrong row has seen none, so that it can continue with more.
    let out = || fs::read_to_string(folder.path().join("out")).unwrap();
    fs::remove_file(folder.path().join("kept")).unwrap();
    assert!(run(&skip("3")).status.success());
    let expected = out();
    fs::remove_file(folder.path().join("kept")).unwrap();
    has_words(&message(&run(&["--most-groups", "2"])), &["line 4, column \"site\": got \"c\""]);
    refused(resume(&["--most-groups", "1"]), "got --most-groups 1, expected 2");
    has_words(&message(&resume(&["--most-groups", "3"])), &["line 5, column \"y\": got \"bad\""]);
    assert!(resume(&skip("3")).status.success());
    assert_eq!(out(), expected);
}

/// The same of `rtrl run`.
#[test]
fn what_makes_a_row_wrong_is_named_in_a_run_of_a_model() {
    let folder = folder();
    assert!(train(folder.path(), &[]).output().unwrap().status.success());
    let run = |options: &[&str]| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(["run", "model", "series", "--quiet"]);
        command.args(["--checkpoint", "other", "--on-error", "skip"]).args(options);
        command.output().unwrap()
    };
    assert!(run(&[]).status.success());
    assert!(run(&["--resume"]).status.success());
    let output = run(&["--resume", "--most-groups", "4"]);
    assert_eq!(output.status.code(), Some(1));
    let words = "--resume: got --most-groups 4, expected 1000 as in the checkpoint";
    has_words(&message(&output), &[words]);
}

/// The first option that differs was once named instead.
#[test]
fn a_checkpoint_of_another_command_is_refused() {
    let folder = folder();
    assert!(train(folder.path(), &[]).output().unwrap().status.success());
    let run = |checkpoint: &str| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(["run", "model", "series", "--resume", "--quiet"]);
        command.args(["--checkpoint", checkpoint]).output().unwrap()
    };
    let refused = |output: Output, words: &[&str]| {
        assert_eq!(output.status.code(), Some(1));
        has_words(&message(&output), words);
    };
    refused(run("checkpoint"), &["got the checkpoint of `rtrl train`, expected one of `rtrl run`"]);
    assert!(run("other").status.success());
    fs::rename(folder.path().join("other"), folder.path().join("checkpoint")).unwrap();
    let output = train(folder.path(), &["--resume"]).output().unwrap();
    refused(output, &["got the checkpoint of `rtrl run`, expected one of `rtrl train`"]);
}

/// Another version may compute other bits.
#[test]
fn a_checkpoint_of_another_version_is_refused() {
    let folder = folder();
    let options = ["--baselines", "none"];
    assert!(train(folder.path(), &options).output().unwrap().status.success());
    let path = folder.path().join("checkpoint");
    let mut stored = StoredLearners::open(&path).unwrap();
    let learner = stored.take::<f32>("network", &Supplies::default()).unwrap();
    let mut application = stored.application().clone();
    for (version, refused) in [(env!("CARGO_PKG_VERSION"), false), ("0.0.9", true)] {
        application["version"] = version.into();
        learners::save(&path, &[("network", &learner)], &application).unwrap();
        let output =
            train(folder.path(), &[&options[..], &["--resume"]].concat()).output().unwrap();
        assert_eq!(output.status.success(), !refused);
        if refused {
            let expected = format!("got version {}", env!("CARGO_PKG_VERSION"));
            has_words(&message(&output), &["checkpoint", "--resume", &expected, "0.0.9"]);
        }
    }
}

/// A model that was trained anew at the same path may give the same number of inputs another
/// meaning.
#[test]
fn a_model_of_another_series_does_not_fit_a_checkpoint() {
    let folder = folder();
    let model = |options: &[&str]| {
        fs::remove_file(folder.path().join("checkpoint")).ok();
        let options = [&["--baselines", "none"], options].concat();
        assert!(train(folder.path(), &options).output().unwrap().status.success());
    };
    let run = |options: &[&str]| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(["run", "model", "series", "--learn", "--quiet"]);
        command.args(["--checkpoint", "other"]).args(options).output().unwrap()
    };
    model(&[]);
    assert!(run(&["--save", "model"]).status.success());
    let kept = fs::read(folder.path().join("other")).unwrap();
    for (options, words) in [
        (["--predict", "change"], ["got predict \"change\"", "\"value\""]),
        (["--horizon", "0"], ["got horizon 0", "1"]),
        (["--seed", "2"], ["got seed 2", "1"]),
    ] {
        model(&options);
        let output = run(&["--resume"]);
        assert_eq!(output.status.code(), Some(1), "{options:?}");
        has_words(&message(&output), &[&["--resume"], &words[..]].concat());
        assert!(fs::read(folder.path().join("other")).unwrap() == kept);
    }
    // What the run itself has saved is its model still.
    model(&[]);
    assert!(run(&["--resume", "--save", "model"]).status.success());
    assert!(run(&["--resume"]).status.success());
}

/// Without --learn, the weights are those of the model: of another one they must not be mixed with
/// the state of a checkpoint.
#[test]
fn a_model_that_was_trained_on_does_not_fit_the_checkpoint_of_a_still_run() {
    let folder = folder();
    let model = |series: &str| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(["train", series, "--target", "y", "--quiet"]);
        assert!(command.args(["--save", "model"]).output().unwrap().status.success());
    };
    let run = |options: &[&str]| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(["run", "model", "short", "--quiet"]);
        command.args(["--checkpoint", "still", "--save", "model"]).args(options).output().unwrap()
    };
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("short", "y\n1\n3\n2\n5\n");
    write("long", "y\n1\n3\n2\n5\n4\n7\n");
    model("short");
    assert!(run(&[]).status.success());
    assert!(run(&["--resume"]).status.success(), "its own model, in another state");
    model("long");
    let kept = fs::read(folder.path().join("model")).unwrap();
    let output = run(&["--resume"]);
    assert_eq!(output.status.code(), Some(1));
    has_words(&message(&output), &["--resume: got weights"]);
    assert!(fs::read(folder.path().join("model")).unwrap() == kept);
}

/// Learnt classes are kept by the names of their columns.
#[test]
fn columns_of_text_with_the_same_name_have_no_checkpoint() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("series"), "w,w,y\nA,N,1\nB,M,2\nA,N,3\n").unwrap();
    let mut command = Command::new(program());
    command.current_dir(folder.path()).args(["train", "series", "--target", "y"]);
    command.args(["--inputs", "1-2", "--classes", "1", "--classes", "2"]);
    let output = command.args(["--checkpoint", "kept"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    has_words(&message(&output), &["w"]);
}

/// Nothing of a device can be cut off, and nothing needs to be.
#[cfg(unix)]
#[test]
fn predictions_on_a_device_go_on() {
    let folder = folder();
    let run = |options: &[&str]| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(["train", "series", "--target", "y", "--quiet"]);
        command.args(["--missing", "last", "--predictions", "/dev/null", "--checkpoint", "device"]);
        command.args(options).output().unwrap()
    };
    for options in [&[][..], &["--resume"]] {
        let output = run(options);
        assert!(output.status.success(), "{}", message(&output));
    }
}

/// Only a lock is taken for the lock of a checkpoint, and neither the lock nor the checkpoint may
/// be a file that the run reads or writes.
#[test]
fn files_with_the_names_of_a_checkpoint_stay_as_they_are() {
    let folder = TempDir::new().unwrap();
    let (series, model) = ("y\n1\n2\n3\n", folder.path().join("model.lock"));
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("data.lock", series);
    write("Cargo.lock", "version = 4");
    let rtrl = |args: &[&str]| {
        let mut command = Command::new(program());
        command.current_dir(folder.path()).args(args).output().unwrap()
    };
    let train = ["train", "data.lock", "--target", "y", "--save", "model.lock"];
    assert!(rtrl(&train).status.success());
    let old = fs::read(&model).unwrap();
    let run = ["run", "model.lock", "data.lock", "--save", "model.lock"];
    for (args, checkpoint, code, words) in [
        (&train[..], "data", 2, &["the series", "the lock of --checkpoint", "same file"][..]),
        (&train, "model", 2, &["--save", "the lock of --checkpoint", "same file"]),
        (&train, "Cargo", 1, &["Cargo.lock", "expected an empty file or the number of a process"]),
        (&run[..3], "model", 2, &["the model", "the lock of --checkpoint", "same file"]),
        (&run, "model.lock", 2, &["the model", "--checkpoint", "same file"]),
    ] {
        for resume in [&[][..], &["--resume"]] {
            let output = rtrl(&[args, &["--checkpoint", checkpoint], resume].concat());
            assert_eq!(output.status.code(), Some(code), "{checkpoint}: {}", message(&output));
            has_words(&message(&output), words);
            assert_eq!(fs::read(folder.path().join("data.lock")).unwrap(), series.as_bytes());
            assert_eq!(fs::read(folder.path().join("Cargo.lock")).unwrap(), b"version = 4");
            assert!(fs::read(&model).unwrap() == old);
        }
    }
    // What a process that has ended has left is a lock.
    for (text, name) in [("", "empty"), ("123\n", "earlier")] {
        write(&format!("{name}.lock"), text);
        let output = rtrl(&[&train[..], &["--checkpoint", name]].concat());
        assert!(output.status.success(), "{}", message(&output));
    }
}
