//! `rtrl tasks compare` as a user meets it.

use std::fs;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{has_words, rtrl};

fn compare(folder: &TempDir, options: &[&str]) -> Output {
    let mut command = rtrl();
    command.current_dir(folder.path()).args(["tasks", "compare"]).args(options);
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!message.contains("panicked"), "{message}");
    output
}

#[test]
fn the_table_the_file_and_the_notes_agree() {
    let folder = TempDir::new().unwrap();
    let options = ["henon", "recall", "--quick", "--seeds", "2", "--json", "scores.json"];
    let output = compare(&folder, &options);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{notes}");
    let table = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    let rows: Vec<Value> =
        serde_json::from_slice(&fs::read(folder.path().join("scores.json")).unwrap()).unwrap();
    assert_eq!((lines.len(), rows.len(), notes.lines().count()), (7, 6, 13), "{table}{notes}");
    let names = ["simple", "gru", "lstm"];
    for (place, (line, row)) in lines[1..].iter().zip(&rows).enumerate() {
        let task = ["recall", "henon"][place / 3];
        assert_eq!(line[..2], [task, names[place % 3]]);
        assert_eq!((&row["task"], &row["cell"]), (&task.into(), &names[place % 3].into()));
        for (scores, columns) in [("learning", [6, 4]), ("held_out", [3, 1])] {
            let scores = row[scores].as_array().unwrap();
            let [first, second] = [0, 1].map(|seed: usize| scores[seed].as_f64().unwrap());
            let expected = [0.5 * (first + second), 0.5 * (first - second).abs()];
            for (column, expected) in columns.into_iter().zip(expected) {
                let shown: f64 = line[line.len() - column].parse().unwrap();
                assert!((shown - expected).abs() < 6e-5, "{line:?} {row}");
            }
            let end = if columns[1] == 1 { "held out" } else { "while learning" };
            assert!(notes.contains(&format!("{first:.5}")) && notes.contains(end), "{notes}");
        }
    }
}

#[test]
fn scores_do_not_depend_on_the_instruction_set_or_the_threads() {
    let table = |isa: &str, threads: &str, seeds: &str| {
        let mut command = rtrl();
        command.args(["tasks", "compare", "lorenz", "--quick", "--seeds", seeds]);
        command.env("RTRL_ISA", isa).env("RAYON_NUM_THREADS", threads);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let first = table("scalar", "1", "1");
    assert_eq!(first.lines().count(), 4);
    assert_eq!(first, table("", "3", "1"));
    assert_eq!(table("", "1", "2"), table("", "3", "2"));
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    let folder = TempDir::new().unwrap();
    let wrong: [(&[&str], i32, &[&str]); 4] = [
        (&["xor-2"], 2, &["\"xor-2\"", "recall", "mackey-glass"]),
        (&["--seeds", "0"], 2, &["--seeds", "1"]),
        (&["--json", "no/scores.json"], 1, &["no"]),
        (&["--steps", "5"], 2, &["--steps"]),
    ];
    for (options, code, words) in wrong {
        let output = compare(&folder, options);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{message}");
        has_words(&message, words);
        assert!(!message.contains("seed 1"), "{message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
