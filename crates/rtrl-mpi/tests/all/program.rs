//! `rtrl train` on several ranks.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::launch::{alone, mpirun};

/// A series of two columns and a group.
fn series(folder: &Path) {
    let mut text = "g,x,y\n".to_owned();
    for t in 0..120u32 {
        let (x, y) = (f64::from(t * 7 % 11) / 11.0, f64::from(t * t % 13) / 13.0);
        let _ = writeln!(text, "{},{x},{y}", ["a", "b"][(t % 5 / 3) as usize]);
    }
    fs::write(folder.join("series.csv"), text).unwrap();
}

/// The arguments of a run that writes its files to `folder` under names that begin with `name`.
fn arguments(folder: &Path, name: &str, options: &[&str]) -> Vec<OsString> {
    let path = |end: &str| folder.join(format!("{name}{end}")).into_os_string();
    let words = ["train", "--target", "y", "--skip", "10", "--threads", "1", "--quiet"];
    let mut list: Vec<OsString> = words.iter().chain(options).map(OsString::from).collect();
    list.extend(["--save".into(), path(".model"), "--predictions".into(), path(".csv")]);
    list
}

/// The files of a run: its model and its predictions.
fn files(folder: &Path, name: &str) -> [Vec<u8>; 2] {
    [".model", ".csv"].map(|end| fs::read(folder.join(format!("{name}{end}"))).unwrap())
}

/// The program on several ranks, with the series on standard input.
fn on_ranks(count: usize, arguments: &[OsString], folder: &Path) -> Output {
    let series = fs::File::open(folder.join("series.csv")).unwrap();
    let mut command: Command = mpirun(count, Path::new(env!("CARGO_BIN_EXE_rtrl-mpi")));
    command.args(arguments).stdin(Stdio::from(series)).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The files have the bytes of one process with the undivided engine, which a network of one layer
/// has there too; more layers have those of one rank.
#[test]
fn the_files_are_those_of_one_process() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    series(folder);
    let cases: [(&[&str], bool); 7] = [
        (&["--units", "5"], true),
        (&["--units", "6", "--heads-of", "2", "--precision", "f64"], true),
        (&["--units", "17", "--optimizer", "adam", "--readout", "gradient"], true),
        (&["--units", "4", "--cell", "lstm", "--precision", "f64", "--engine", "deferred"], true),
        (&["--units", "6", "--group", "g", "--horizon", "0", "--inputs", "x"], true),
        (&["--units", "4", "--layers", "2", "--engine", "deferred"], false),
        (&["--units", "64", "--heads-of", "8", "--engine", "deferred"], false),
    ];
    for (options, is_whole) in cases {
        let mut arguments_of_one = vec!["rtrl".into()];
        arguments_of_one.extend(arguments(folder, "whole", options));
        arguments_of_one.push(folder.join("series.csv").into_os_string());
        assert_eq!(rtrl_cli::run(arguments_of_one, &rtrl_cli::alone()), 0);
        let mut expected = is_whole.then(|| files(folder, "whole"));
        for count in [1, 2, 3] {
            let name = format!("{count}");
            let mut arguments = arguments(folder, &name, options);
            arguments.push("-".into());
            let output = on_ranks(count, &arguments, folder);
            let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
            assert!(output.status.success(), "{options:?} on {count} ranks: {stderr}");
            assert_eq!(stdout.matches("persistence").count(), 1, "{options:?}: {stdout}");
            let got = files(folder, &name);
            let expected = expected.get_or_insert_with(|| got.clone());
            assert!(got == *expected, "{options:?} on {count} ranks");
        }
        // Negative control: another seed gives other files.
        let mut other = arguments(folder, "other", options);
        other.extend(["--seed", "2", "-"].map(OsString::from));
        assert!(on_ranks(2, &other, folder).status.success());
        let (got, expected) = (files(folder, "other"), expected.unwrap());
        assert!(got[0] != expected[0] && got[1] != expected[1], "{options:?}");
    }
}

/// Errors of all ranks, and of rank 0 alone, end all ranks with one message.
#[test]
fn errors_end_all_ranks() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    series(folder);
    let none = folder.join("none.csv").into_os_string();
    let model = folder.join("run").into_os_string();
    let cases: [(&[&str], OsString, &str); 5] = [
        (&[], none, "none.csv: No such file"),
        (&["--engine", "loud"], "-".into(), "invalid value"),
        (&["--checkpoint", "run"], "-".into(), "--checkpoint: got 3 ranks, expected one process"),
        (&["--even-paced"], "-".into(), "pace: got even, expected bursts"),
        (&["--report", "/dev/full"], "-".into(), "/dev/full"),
    ];
    for (options, file, message) in cases {
        let mut arguments = arguments(folder, "failed", options);
        arguments.push(file);
        let output = on_ranks(3, &arguments, folder);
        let stderr = text(&output.stderr);
        assert!(!output.status.success(), "{options:?}");
        assert_eq!(stderr.matches(message).count(), 1, "{options:?}: {stderr}");
    }
    let output = on_ranks(2, &["run".into(), model], folder);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("commands other than train: got 2 ranks"), "{stderr}");
}

/// Ranks with other arguments are found, and rank 0 says in what they differ.
#[test]
fn ranks_that_differ_are_named() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    series(folder);
    let refused = |first: &[&str], second: &[&str]| {
        let program = Path::new(env!("CARGO_BIN_EXE_rtrl-mpi"));
        let mut command: Command = mpirun(1, program);
        command.args(arguments(folder, "failed", first)).arg("-");
        command.args([":", "-n", "1"]).arg(program);
        command.args(arguments(folder, "failed", second)).arg("-");
        let series = fs::File::open(folder.join("series.csv")).unwrap();
        let output = command.stdin(Stdio::from(series)).output().unwrap();
        assert!(!output.status.success(), "{second:?}");
        text(&output.stderr)
    };
    let units = ["--units", "6"];
    for (other, differs) in [
        (&["--seed", "2"][..], "error: rank 1, weights: got"),
        (&["--heads-of", "2"], "error: rank 1, connections: got"),
    ] {
        let stderr = refused(&units, &[&units, other].concat());
        assert_eq!(stderr.matches(differs).count(), 1, "{other:?}: {stderr}");
        assert!(stderr.contains("as on rank 0"), "{other:?}: {stderr}");
    }
    assert!(!folder.join("failed.model").exists());
}

/// The others would wait for it for ever.
#[test]
fn a_rank_that_fails_alone_ends_the_others() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    series(folder);
    let program = env!("CARGO_BIN_EXE_rtrl-mpi");
    let run = |variable: &str, seconds: &str| {
        let mut arguments = arguments(folder, "run", &[]);
        arguments.push("-".into());
        let series = fs::File::open(folder.join("series.csv")).unwrap();
        let mut command = mpirun(1, Path::new(program));
        command.args(&arguments).args([":", "-n", "1", "env", variable, program]);
        command.args(&arguments).stdin(Stdio::from(series)).env("RTRL_MPI_PATIENCE", seconds);
        command.output().unwrap()
    };
    let output = run("RTRL_ISA=odd", "0");
    let stderr = text(&output.stderr);
    assert!(!output.status.success() && stderr.contains("rank 1: error: "), "{stderr}");
    assert!(stderr.contains("odd") && !stderr.contains("rank 0: error: "), "{stderr}");
    // Negative control: with the same sets everywhere, the same command succeeds.
    let output = run("RTRL_ISA=", "0");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = run("RTRL_ISA=", "soon");
    let stderr = text(&output.stderr);
    let refused = "error: RTRL_MPI_PATIENCE: got \"soon\", expected a whole number of seconds";
    assert!(!output.status.success() && stderr.contains(refused), "{stderr}");
}

/// Rows before a wrong one are learnt from, as in one process.
#[test]
fn a_wrong_row_ends_all_ranks_after_the_rows_before_it() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    series(folder);
    let path = folder.join("series.csv");
    let wrong = fs::read_to_string(&path).unwrap() + "a,odd,1\n";
    fs::write(&path, wrong).unwrap();
    let mut arguments = arguments(folder, "run", &["--inputs", "x,y"]);
    arguments.push("-".into());
    let output = on_ranks(3, &arguments, folder);
    let stderr = text(&output.stderr);
    assert!(!output.status.success() && stderr.contains("line 122, column \"x\""), "{stderr}");
    assert!(stderr.contains("the results are those of the 120 rows before"), "{stderr}");
    assert!(folder.join("run.model.partial").exists());
}
