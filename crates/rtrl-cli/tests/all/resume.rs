//! Checkpoints of `rtrl train` and `rtrl run`: a run that is stopped anywhere and resumed leaves
//! the files of the run that nobody stopped.
#![cfg(unix)]

mod heads;
mod refusals;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rtrl_model::Generator;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{has_words, program};

const ROWS: usize = 2000;

/// What is left of a run in `folder`, in this order: predictions, model, errors, report.
const OUTPUTS: [&str; 4] = ["predictions", "model", "errors", "report"];

/// A folder with a series, some targets of which are missing.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut generator = Generator::new(1);
    let row = |t: usize| {
        let x = (0.3 * t as f64).sin() + 0.1 * generator.normal();
        if t % 50 == 49 { format!("{x},\n") } else { format!("{x},{}\n", x * x) }
    };
    fs::write(
        folder.path().join("series"),
        format!("x,y\n{}", (0..ROWS).map(row).collect::<String>()),
    )
    .unwrap();
    folder
}

fn train(folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.env_remove("RTRL_ISA").current_dir(folder);
    command.args(["train", "series", "--target", "y", "--inputs", "x", "--units", "6"]);
    command.args(["--skip", "100", "--predictions", "predictions", "--save", "model"]);
    command.args(["--json", "errors", "--report", "report", "--checkpoint", "checkpoint"]);
    command.args(options);
    command
}

/// The files of a run, without what a clock decides.
fn left(folder: &Path) -> Vec<Vec<u8>> {
    let read = |name| fs::read(folder.join(name)).unwrap();
    let mut files: Vec<_> = OUTPUTS.iter().map(read).collect();
    let mut errors: Value = serde_json::from_slice(&files[2]).unwrap();
    errors["rows_per_second"] = Value::Null;
    files[2] = errors.to_string().into_bytes();
    let report = String::from_utf8(files[3].clone()).unwrap();
    let (before, after) = report.split_once(" rows per second").unwrap();
    let (before, _) = before.rsplit_once(' ').unwrap();
    files[3] = format!("{before}{after}").into_bytes();
    files
}

/// The files of a run that nobody stops, and the time that it takes.
fn undisturbed() -> (Vec<Vec<u8>>, Duration) {
    let folder = folder();
    let start = Instant::now();
    let output = train(folder.path(), &[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (left(folder.path()), start.elapsed())
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.unwrap().success(), "{name}");
}

/// Most stops of one run, before it may come to its end.
const MOST_STOPS: u32 = 4;

/// Runs that are stopped by a signal at random moments, until there have been `stops` stops.
fn stopped_at_random(name: &str, code: Option<i32>, stops: u32) {
    let (expected, time) = undisturbed();
    let mut generator = Generator::new(stops.into());
    let (mut stopped, mut runs, mut resumed) = (0, 0, 0);
    while stopped < stops {
        let (folder, before) = (folder(), stopped);
        loop {
            let rows = ["7", "60", "500"][runs % 3];
            runs += 1;
            let mut child = train(folder.path(), &["--every", rows, "--resume", "--quiet"])
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            if stopped - before < MOST_STOPS {
                std::thread::sleep(time.mul_f64(generator.between(0.0, 1.5)));
                signal(&child, name);
            }
            let status = child.wait().unwrap();
            if status.success() {
                break;
            }
            // Before the program waits for signals, they end it as they do any other.
            assert!(status.code() == code || status.code().is_none(), "{name}: {status}");
            stopped += 1;
            resumed += u32::from(folder.path().join("checkpoint").exists());
        }
        for (name, (found, expected)) in
            OUTPUTS.iter().zip(left(folder.path()).iter().zip(&expected))
        {
            assert!(found == expected, "{name} after {stopped} stops");
        }
    }
    assert!(resumed > 0, "no run was stopped after a checkpoint");
    println!("{name}: {stopped} stops, {resumed} of them after a checkpoint");
}

/// How many stops of each kind: a few, or as many as the environment says.
fn stops() -> u32 {
    std::env::var("RTRL_STOPS").map_or(5, |stops| stops.parse().unwrap())
}

#[test]
fn a_killed_run_continues_bit_for_bit() {
    stopped_at_random("KILL", None, stops());
}

#[test]
fn an_interrupted_run_continues_bit_for_bit() {
    stopped_at_random("INT", Some(130), stops());
}

#[test]
fn a_terminated_run_continues_bit_for_bit() {
    stopped_at_random("TERM", Some(143), stops());
}

/// A run on standard input, which has read `text` and waits for more.
fn waiting(command: &mut Command, text: &str) -> Child {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    child
}

/// Waits until a file is not empty.
fn wait_for(path: &Path) {
    while fs::read(path).map_or(true, |found| found.is_empty()) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn on_standard_input(folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.env_remove("RTRL_ISA").current_dir(folder);
    command.args(["train", "-", "--target", "y", "--checkpoint", "checkpoint", "--every", "3"]);
    command.args(options);
    command
}

fn message(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// While it waits for a row that may never come.
#[test]
fn a_signal_ends_the_wait_for_a_row() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = TempDir::new().unwrap();
        let checkpoint = folder.path().join("checkpoint");
        fs::write(folder.path().join("model"), "old").unwrap();
        let mut command = on_standard_input(folder.path(), &["--save", "model"]);
        let child = waiting(&mut command, "y\n1\n2\n3\n");
        wait_for(&checkpoint);
        signal(&child, name);
        let mut child = child;
        let input = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(input);
        let said = message(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        has_words(&said, &[&format!("SIG{name} has stopped the run"), "--resume", "model.partial"]);
        assert_eq!(fs::read(folder.path().join("model")).unwrap(), b"old");
    }
}

/// Also before the first row: while it waits for the header, for the rows that have classes, and
/// for those that a checkpoint has seen.
#[test]
fn a_signal_ends_the_wait_before_the_first_row() {
    let series = "wind,y\nN,1\nS,2\nN,3\n";
    for (text, options) in [
        ("", &[][..]),
        (series, &["--inputs", "wind", "--classes", "wind"]),
        ("y\n1\n2\n", &["--resume"]),
    ] {
        let folder = TempDir::new().unwrap();
        if options.contains(&"--resume") {
            let mut command = on_standard_input(folder.path(), &["--baselines", "none"]);
            let mut child = waiting(&mut command, "y\n1\n2\n3\n");
            drop(child.stdin.take());
            assert!(child.wait().unwrap().success());
        }
        let mut command = on_standard_input(folder.path(), &["--baselines", "none"]);
        let mut child = waiting(command.args(options), text);
        let input = child.stdin.take();
        std::thread::sleep(Duration::from_millis(300));
        signal(&child, "INT");
        let output = child.wait_with_output().unwrap();
        drop(input);
        let said = message(&output);
        assert_eq!(output.status.code(), Some(130), "{options:?}: {said}");
        assert_eq!(said.trim(), "error: SIGINT has stopped the run", "{options:?}");
        // Classes that were learnt from a part of their rows are not kept.
        let is_kept = folder.path().join("checkpoint").exists();
        assert_eq!(is_kept, options.contains(&"--resume"), "{options:?}");
    }
}

/// A run that has ended is resumed when there are more rows.
#[test]
fn a_longer_series_is_continued() {
    let (expected, _) = undisturbed();
    let folder = folder();
    let series = folder.path().join("series");
    let whole = fs::read_to_string(&series).unwrap();
    for rows in [30, 700, ROWS] {
        let part: Vec<&str> = whole.lines().take(1 + rows).collect();
        fs::write(&series, part.join("\n") + "\n").unwrap();
        assert!(train(folder.path(), &["--resume"]).output().unwrap().status.success());
    }
    assert!(left(folder.path()) == expected);
}

/// A number that overflows in the midst of its row leaves nothing to resume.
#[test]
fn a_checkpoint_is_announced_only_if_there_is_one() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("series"), "x,y\n1,1\n2,2\n3,1\n4,1e90\n5,1\n").unwrap();
    for (every, row) in [("3", Some("holds row 3:")), ("4", None)] {
        let output = train(folder.path(), &["--baselines", "none", "--every", every]);
        let output = { output }.output().unwrap();
        let said = message(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        has_words(&said, &["the results are those of the 3 rows before"]);
        assert_eq!(said.contains("holds row"), row.is_some(), "{said}");
        assert!(row.is_none_or(|row| said.contains(row)), "{said}");
        assert_eq!(folder.path().join("checkpoint").exists(), row.is_some());
        fs::remove_file(folder.path().join("checkpoint")).ok();
    }
}

/// The first line after a resumption is about the rows since then.
#[test]
fn progress_continues_with_the_errors_since_the_checkpoint() {
    let folder = folder();
    let series = folder.path().join("series");
    let whole = fs::read_to_string(&series).unwrap();
    let part: Vec<&str> = whole.lines().take(1 + 30).collect();
    fs::write(&series, part.join("\n")).unwrap();
    let run = |options: &[&str]| {
        let options = [&["--baselines", "none"], options].concat();
        let output = train(folder.path(), &options).output().unwrap();
        assert!(output.status.success(), "{}", message(&output));
        message(&output)
    };
    run(&[]);
    fs::write(&series, &whole).unwrap();
    let said = run(&["--resume"]);
    let line: Vec<&str> =
        said.lines().find(|line| line.contains("  32  ")).unwrap().split_whitespace().collect();
    let predictions = fs::read_to_string(folder.path().join("predictions")).unwrap();
    let squares = predictions.lines().skip(31).take(2).map(|line| {
        let cells: Vec<f64> = line.split(',').take(3).map(|cell| cell.parse().unwrap()).collect();
        (cells[1] - cells[2]).powi(2)
    });
    let expected = (squares.sum::<f64>() / 2.0).sqrt();
    let recent: f64 = line[2].parse().unwrap();
    assert!((recent / expected - 1.0).abs() < 1e-2, "{recent} {expected}: {said}");
    assert_ne!(line[1], line[2]);
}

/// A live stream has no earlier rows.
#[test]
fn a_live_stream_continues_with_its_next_row() {
    let outputs = |pieces: &[&str]| {
        let folder = TempDir::new().unwrap();
        for (place, piece) in pieces.iter().enumerate() {
            let resume: &[&str] = if place == 0 { &[] } else { &["--resume", "--from-now"] };
            let mut command = on_standard_input(folder.path(), resume);
            command.args(["--predictions", "predictions", "--skip", "0", "--save", "model"]);
            let mut child = waiting(&mut command, piece);
            drop(child.stdin.take());
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", message(&output));
        }
        ["predictions", "model"].map(|name| fs::read(folder.path().join(name)).unwrap())
    };
    let whole = outputs(&["y\n1\n2\n3\n5\n4\n6\n"]);
    assert!(outputs(&["y\n1\n2\n", "y\n3\n", "y\n5\n4\n6\n"]) == whole);
    assert!(outputs(&["y\n1\n2\n", "y\n3\n", "y\n5\n4\n7\n"]) != whole);
}

/// `rtrl run` repeats on standard output what it has printed since the last checkpoint, and no
/// more, whether it learns or not.
#[test]
fn a_model_that_runs_is_resumed() {
    let folder = folder();
    assert!(train(folder.path(), &[]).output().unwrap().status.success());
    let series = folder.path().join("series");
    let text = fs::read_to_string(&series).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut outputs = Vec::new();
    for learn in [&["--learn"][..], &[]] {
        let run = |lines: &[&str], options: &[&str]| {
            fs::write(&series, lines.join("\n")).unwrap();
            let mut command = Command::new(program());
            command.current_dir(folder.path()).args(["run", "model", "series", "--quiet"]);
            let output = command.args(learn).args(options).output().unwrap();
            assert!(output.status.success(), "{}", message(&output));
            String::from_utf8(output.stdout).unwrap()
        };
        let whole = run(&lines, &[]);
        let live = [&lines[..1], &lines[801..]].concat();
        let later: [(&[&str], &[&str]); 2] = [(&lines, &[]), (&live, &["--from-now"])];
        for (rows, from_now) in later {
            let kept = ["--checkpoint", "other"];
            let first = run(&lines[..801], &kept);
            let second = run(rows, &[&kept[..], &["--resume"], from_now].concat());
            let (_, rest) = second.split_once('\n').unwrap();
            assert!(format!("{first}{rest}") == whole, "{learn:?} {from_now:?}");
            fs::remove_file(folder.path().join("other")).unwrap();
        }
        outputs.push(whole);
    }
    assert_ne!(outputs[0], outputs[1]);
}

/// The classes that the first run has learnt are those of the run, also for rows that follow.
#[test]
fn classes_are_learnt_once() {
    let outputs = |pieces: &[&str], options: &[&str]| {
        let folder = TempDir::new().unwrap();
        for (place, piece) in pieces.iter().enumerate() {
            let resume: &[&str] = if place == 0 { &[] } else { &["--resume", "--from-now"] };
            let mut command = on_standard_input(folder.path(), options);
            command.args(["--inputs", "wind", "--on-error", "skip", "--save", "model"]);
            let mut child = waiting(command.args(resume), piece);
            drop(child.stdin.take());
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{piece:?}: {}", message(&output));
        }
        fs::read(folder.path().join("model")).unwrap()
    };
    let whole = "wind,y\nN,1\nS,2\nN,3\nE,7\nN,5\n";
    let pieces = ["wind,y\nN,1\nS,2\n", "wind,y\nN,3\n", "wind,y\nE,7\nN,5\n"];
    let expected = outputs(&[whole], &["--classes", "wind=N,S"]);
    for column in ["wind", "1"] {
        assert!(outputs(&pieces, &["--classes", column]) == expected, "{column}");
    }
    // A live stream is not read ahead for classes that are known.
    let folder = TempDir::new().unwrap();
    let checkpoint = folder.path().join("checkpoint");
    let command = |resume: &[&str]| {
        let mut command = on_standard_input(folder.path(), &["--inputs", "wind"]);
        command.args(["--classes", "wind"]).args(resume);
        command
    };
    let mut first = waiting(&mut command(&[]), pieces[0]);
    drop(first.stdin.take());
    assert!(first.wait().unwrap().success());
    let before = fs::read(&checkpoint).unwrap();
    let text = "wind,y\nN,3\nN,5\nS,2\n";
    let mut second = waiting(&mut command(&["--resume", "--from-now"]), text);
    let start = Instant::now();
    while fs::read(&checkpoint).unwrap() == before {
        assert!(start.elapsed() < Duration::from_mins(1), "no row has been taken");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());
}
