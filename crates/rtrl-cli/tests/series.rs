//! Series that `rtrl train` cannot read to the end, or must not misread.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use rtrl_model::store::network::SavedModel;
use serde_json::Value;
use tempfile::TempDir;

use self::common::{has_words, rtrl};

/// `rtrl train` on the column y of `series.csv` in `folder`.
fn train(folder: &Path, text: &[u8], options: &[&str]) -> Output {
    fs::write(folder.join("series.csv"), text).unwrap();
    let mut command = rtrl();
    command.current_dir(folder).args(["train", "series.csv", "--target", "y"]);
    command.args(options).output().unwrap()
}

/// The message of a run that fails.
fn message(text: &str) -> String {
    let folder = TempDir::new().unwrap();
    let output = train(folder.path(), text.as_bytes(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    stderr[stderr.find("error: ").unwrap()..].to_owned()
}

/// Lines once had numbers one too small in files with CRLF, and empty lines were skipped in files
/// with CR.
#[test]
fn every_line_end_counts_one_line() {
    for end in ["\n", "\r\n", "\r"] {
        let text = |lines: &str| lines.replace('\n', end);
        has_words(&message(&text("y\n1\nbad\n")), &["series.csv: line 3, column \"y\"", "bad"]);
        has_words(&message(&text("x,y\n\"a\nb\",1\n2,bad\n")), &["line 4, column \"y\""]);
        has_words(&message(&text("x,y\n1,1\n1\n")), &["line 3: got 1 cells, expected 2"]);
        has_words(&message(&text("y\n1\n\n2\n")), &["line 3: got an empty line"]);
    }
}

/// An open quote once made the rest of the file a part of the last row.
#[test]
fn a_quote_that_stays_open_is_an_error() {
    let message = message("x,y\na,1\nb,2\nc,3\n\"d,4\ne,5\n");
    has_words(&message, &["series.csv: line 5", "quote", "3 rows before"]);
}

/// A bad cell once threw away everything that was learnt before it.
#[test]
fn what_was_learnt_before_a_bad_cell_is_kept() {
    let folder = TempDir::new().unwrap();
    let outputs = ["--save", "model", "--json", "json", "--report", "report", "--skip", "3"];
    let good: String = (0..50).map(|t| format!("{}\n", t * t % 11)).collect();
    let whole = train(folder.path(), format!("y\n{good}").as_bytes(), &outputs);
    assert_eq!(whole.status.code(), Some(0));
    let model = fs::read(folder.path().join("model")).unwrap();
    for (rest, words) in [
        ("bad\n1\n", ["line 52, column \"y\"", "\"bad\"", "50 rows"]),
        ("1,2\n", ["line 52", "2 cells", "50 rows"]),
        ("\n3\n", ["line 52", "empty line", "50 rows"]),
        ("1e300\n", ["line 52", "too large", "50 rows"]),
    ] {
        for output in ["model", "json", "report"] {
            fs::remove_file(folder.path().join(output)).unwrap();
        }
        let stopped = train(folder.path(), format!("y\n{good}{rest}").as_bytes(), &outputs);
        assert_eq!(stopped.status.code(), Some(1));
        let message = String::from_utf8(stopped.stderr).unwrap();
        has_words(&message, &words);
        has_words(&message, &["series.csv", "wrote the model"]);
        has_words(&String::from_utf8(stopped.stdout).unwrap(), &["50 rows, 49 forecasts"]);
        SavedModel::read(&folder.path().join("model")).unwrap();
        // The row that cannot be standardised is still learnt from.
        if rest != "1e300\n" {
            assert!(fs::read(folder.path().join("model")).unwrap() == model, "{rest}");
        }
        let json = fs::read(folder.path().join("json")).unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["rows"], 50);
        assert!(json["stopped"].as_str().unwrap().contains("line 52"), "{json}");
    }
}

/// A line of commas once took memory many times its size, and the error listed every column.
#[test]
fn long_lines_and_long_names_are_limited() {
    let most = 600;
    for text in [format!("y\n1\n2\n{}\n", ",".repeat(3 << 20)), "y".repeat(3 << 20)] {
        let message = message(&text);
        assert!(message.len() < most, "{} bytes", message.len());
        has_words(&message, &["series.csv: line", "more than"]);
    }
    let names: Vec<String> = (0..5000).map(|name| format!("x{name}")).collect();
    let unknown = message(&format!("{}\n", names.join(",")));
    assert!(unknown.len() < most, "{} bytes", unknown.len());
    has_words(&unknown, &["\"y\"", "x0, x1", "more"]);
    let cell = message(&format!("y\n1\n{}\n", "bad".repeat(10_000)));
    assert!(cell.len() < most, "{} bytes", cell.len());
    has_words(&cell, &["line 3", "badbad"]);
}
