//! Series that `rtrl train` cannot read to the end, or must not misread.

use std::fs;
use std::path::Path;
use std::process::Output;

use rtrl_model::store::network::SavedModel;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{has_words, rtrl};

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
        has_words(&message(&text("x,y\n1,1\n1\n")), &["line 3: got 1 cell, expected 2"]);
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
    let good: Vec<_> = (0..50).map(|t| format!("{}\n", t * t % 11)).collect();
    let good = good.concat();
    let whole = train(folder.path(), format!("y\n{good}").as_bytes(), &outputs);
    assert_eq!(whole.status.code(), Some(0));
    let model = fs::read(folder.path().join("model")).unwrap();
    for (rest, words) in [
        ("bad\n1\n", ["line 52, column \"y\"", "\"bad\"", "50 rows"]),
        ("1,2\n", ["line 52", "2 cells", "50 rows"]),
        ("\n3\n", ["line 52", "empty line", "50 rows"]),
        ("1e300\n", ["line 52, column \"y\"", "1e100", "50 rows"]),
    ] {
        for output in ["json", "report"] {
            fs::remove_file(folder.path().join(output)).unwrap();
        }
        let stopped = train(folder.path(), format!("y\n{good}{rest}").as_bytes(), &outputs);
        assert_eq!(stopped.status.code(), Some(1));
        let message = String::from_utf8(stopped.stderr).unwrap();
        has_words(&message, &words);
        has_words(&message, &["series.csv", "wrote the model"]);
        has_words(&String::from_utf8(stopped.stdout).unwrap(), &["50 rows, 49 forecasts"]);
        assert!(fs::read(folder.path().join("model")).unwrap() == model, "{rest}");
        let partial = folder.path().join("model.partial");
        SavedModel::read(&partial).unwrap();
        assert!(fs::read(partial).unwrap() == model, "{rest}");
        let json = fs::read(folder.path().join("json")).unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["rows"], 50);
        assert!(json["stopped"].as_str().unwrap().contains("line 52"), "{json}");
    }
    let whole = train(folder.path(), format!("y\n{good}").as_bytes(), &outputs);
    assert_eq!(whole.status.code(), Some(0));
    assert!(!folder.path().join("model.partial").exists(), "the model is whole now");
}

/// Neither the error that stops a run nor that of a result which cannot be written hides the other.
#[cfg(target_os = "linux")]
#[test]
fn results_that_are_lost_are_named_beside_the_bad_cell() {
    let folder = TempDir::new().unwrap();
    let stopped = train(folder.path(), b"y\n1\n2\n3\nbad\n", &["--json", "/dev/full"]);
    assert_eq!(stopped.status.code(), Some(1));
    let message = String::from_utf8(stopped.stderr).unwrap();
    has_words(&message, &["line 5, column \"y\"", "3 rows before are lost", "/dev/full"]);
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
    // A name could otherwise change the terminal.
    let control = message("x\u{1b}[2J,z\n1,2\n");
    has_words(&control, &["expected one of x\\u{1b}[2J, z"]);
    let cell = message(&format!("y\n1\n{}\n", "bad".repeat(10_000)));
    assert!(cell.len() < most, "{} bytes", cell.len());
    has_words(&cell, &["line 3", "badbad"]);
}

/// The errors of `rtrl tasks emit | rtrl train`, by the names in the JSON file.
fn piped(task: &str, options: &[&str]) -> Value {
    let folder = TempDir::new().unwrap();
    let json = folder.path().join("json");
    let emitted = rtrl().args(["tasks", "emit", task, "--steps", "20000"]).output().unwrap();
    assert!(emitted.status.success());
    let mut command = rtrl();
    command.args(["train", "-", "--predict", "value", "--json"]).arg(&json).args(options);
    command.write_stdin(emitted.stdout).assert().success();
    serde_json::from_slice(&fs::read(json).unwrap()).unwrap()
}

/// The targets of a task belong to their own row, and some rows have none.
#[test]
fn the_stream_of_a_task_can_be_trained_on() {
    let options = ["--target", "xor", "--leak", "1", "--readout", "gradient"];
    let options = [&options[..], &["--learning-rate", "0.01", "--skip", "10000"]].concat();
    let error = |horizon: &[&str]| {
        let json = piped("xor-2", &[&options[..], horizon].concat());
        assert_eq!(json["rows"], 20_000);
        json["rmse"].as_f64().unwrap()
    };
    let same = error(&["--horizon", "0"]);
    assert!(same < 0.1, "{same}");
    // Negative control: one of the two inputs says nothing about the answer.
    let blind = error(&["--inputs", "first", "--horizon", "0"]);
    assert!(blind > 0.4, "{blind}");
}

#[test]
fn the_target_is_no_input_of_its_own_row() {
    let folder = TempDir::new().unwrap();
    let text = b"x,y\n1,2\n3,\n5,6\n7,8\n";
    let output = train(folder.path(), text, &["--horizon", "0", "--inputs", "x,y"]);
    assert_eq!(output.status.code(), Some(2));
    has_words(&String::from_utf8(output.stderr).unwrap(), &["--inputs", "\"y\"", "--horizon 0"]);
    let output = train(folder.path(), text, &["--horizon", "0", "--skip", "0"]);
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8(output.stdout).unwrap();
    has_words(&printed, &["4 rows, 2 forecasts"]);
    assert!(!printed.contains("next y"), "{printed}");
    let output = train(folder.path(), text, &["--inputs", "x", "--skip", "0"]);
    assert_eq!(output.status.code(), Some(0));
    has_words(&String::from_utf8(output.stdout).unwrap(), &["4 rows, 2 forecasts", "next y"]);
    let output = train(folder.path(), text, &["--horizon", "2"]);
    has_words(&String::from_utf8(output.stderr).unwrap(), &["'2'", "expected 0 or 1"]);
}

/// The header says which separator is meant.
#[test]
fn cells_are_separated_by_commas_semicolons_or_tabs() {
    let folder = TempDir::new().unwrap();
    let model = |text: &str| {
        let output = train(folder.path(), text.as_bytes(), &["--save", "model"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(folder.path().join("model")).unwrap()
    };
    let text = "\"a,;\tb\"|y|z\n1|2|x\n2|3|x\n3|5|x\n";
    let commas = model(&text.replace('|', ","));
    for separator in [";", "\t"] {
        assert!(model(&text.replace('|', separator)) == commas, "{separator:?}");
    }
    // A quoted name of two lines.
    let lines = text.replacen("\tb", "\n\tb", 1);
    for separator in [";", "\t", ","] {
        model(&lines.replace('|', separator));
    }
    // A quote inside a cell opens nothing.
    model(&text.replacen("\"a,;\tb\"", "5\" pipe", 1).replace('|', ","));
    // Commas in cells are no separators there, and no decimal points.
    let decimal = message("x;y\n1;2\n2;3\n3;4,5\n");
    has_words(&decimal, &["line 4, column \"y\"", "\"4,5\"", "finite number"]);
    // A header with as many commas as semicolons is separated by commas.
    has_words(&message("x;z,w\n1,2\n"), &["expected one of x;z, w"]);
}
