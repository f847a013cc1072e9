//! The formats and columns of the series that `rtrl train` reads.

mod columns;
mod damage;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Output;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{has_words, rtrl};

/// Rows of a good series.
const ROWS: usize = 20;

fn value(row: usize, column: usize) -> f64 {
    ((row * (column + 3)) % 11) as f64 / 4.0
}

/// A table with the columns day, a, b and y.
fn table(separator: &str) -> String {
    let row = |row: usize| {
        let [a, b, y] = [0, 1, 2].map(|column| value(row, column));
        [format!("d{row}"), a.to_string(), b.to_string(), y.to_string()].join(separator) + "\n"
    };
    ["day", "a", "b", "y"].join(separator) + "\n" + &(0..ROWS).map(row).collect::<String>()
}

/// The same table as JSON lines.
fn objects() -> String {
    let row = |row: usize| {
        let [a, b, y] = [0, 1, 2].map(|column| value(row, column));
        format!("{{\"day\": \"d{row}\", \"a\": {a:?}, \"b\": \"{b}\", \"y\": {y:e}}}\n")
    };
    (0..ROWS).map(row).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// `rtrl train` on `series` in `folder`, with a small network, on the target y unless the options
/// name one.
fn train(folder: &Path, bytes: &[u8], options: &[&str]) -> Output {
    fs::write(folder.join("series"), bytes).unwrap();
    let mut command = rtrl();
    command.current_dir(folder).args(["train", "series", "--units", "2", "--skip", "5"]);
    command.args(["--save", "model", "--json", "json"]);
    if !options.contains(&"--target") {
        command.args(["--target", "y"]);
    }
    command.args(options).output().unwrap()
}

/// The model and the errors after a run that succeeds.
fn results(bytes: &[u8], options: &[&str]) -> (Vec<u8>, Value) {
    let folder = TempDir::new().unwrap();
    let output = train(folder.path(), bytes, options);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = fs::read(folder.path().join("json")).unwrap();
    let json = serde_json::from_slice(&json).unwrap();
    (fs::read(folder.path().join("model")).unwrap(), json)
}

/// The table with every cell in quotes and other line ends.
fn quoted() -> String {
    let quote = |line: &str| format!("\"{}\"\r", line.replace(',', "\",\""));
    table(",").lines().map(quote).collect()
}

#[test]
fn all_formats_are_the_same_series() {
    let options = ["--inputs", "a,b,y"];
    let (expected, _) = results(table(",").as_bytes(), &options);
    for text in [
        table(","),
        table(";"),
        table("\t"),
        table(" , ").replace('\n', "\r\n"),
        quoted(),
        format!("\u{feff}{}", table(",")),
        objects(),
        format!("\u{feff}{}\n\n", objects().replace('\n', "\r\n").trim_end()),
        objects().replace('\n', "\r"),
    ] {
        let plain = text.as_bytes();
        let halves = plain.split_at(100);
        for bytes in [
            plain.to_vec(),
            gzip(plain),
            zstd(plain),
            [gzip(halves.0), gzip(halves.1)].concat(),
            [zstd(halves.0), zstd(halves.1)].concat(),
        ] {
            assert!(results(&bytes, &options).0 == expected, "{text}");
        }
    }
    // Negative control.
    assert!(results(table(",").replace("2.5", "2.25").as_bytes(), &options).0 != expected);
}

/// Blanks around a key were once part of the name of a column, which no list of inputs could name.
#[test]
fn blanks_around_keys_are_no_part_of_names() {
    let (expected, _) = results(objects().as_bytes(), &["--inputs", "a,b"]);
    let text = objects().replace("\"a\"", "\" a \"").replace("\"b\"", "\"\\tb\"");
    let text = text.replace("\"y\"", "\"y \"");
    for (target, inputs) in [("y", "a,b"), (" y", " a , b"), ("4", "a-b"), ("y", "!day,!4")] {
        let found = results(text.as_bytes(), &["--target", target, "--inputs", inputs]);
        assert!(found.0 == expected, "{inputs}");
    }
    // Blanks within a name belong to it.
    let text = objects().replace("\"a\"", "\"a 1\"");
    let (_, json) = results(text.as_bytes(), &["--inputs", "a 1, b"]);
    assert_eq!(json["options"]["inputs"], serde_json::json!(["a 1", "b"]));
    let folder = TempDir::new().unwrap();
    let text = objects().replace("\"b\"", "\"a \"");
    let output = train(folder.path(), text.as_bytes(), &["--inputs", "a"]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    has_words(&message, &["got column \"a\" 2 times", "expected once"]);
}

/// Those of JSON: `true` is 1 in a column of numbers, and a class in a column of text.
#[test]
fn truth_values_are_numbers_or_classes() {
    let lines = |yes: &str, no: &str| -> String {
        let row = |row: usize| {
            let flag = if row.is_multiple_of(3) { yes } else { no };
            format!("{{\"flag\": {flag}, \"y\": {}}}\n", value(row, 2))
        };
        (0..ROWS).map(row).collect()
    };
    let model = |text: &str, options: &[&str]| {
        results(text.as_bytes(), &[&["--inputs", "flag"], options].concat())
    };
    let truths = lines("true", "false");
    assert!(model(&truths, &[]).0 == model(&lines("1", "0"), &[]).0);
    assert!(model(&truths, &[]).0 != model(&lines("0", "1"), &[]).0);
    // Quoted, they are text, as in cells between commas.
    let folder = TempDir::new().unwrap();
    let fails = |text: &str, options: &[&str], words: &str| {
        let options = [&["--inputs", "flag"], options].concat();
        let output = train(folder.path(), text.as_bytes(), &options);
        assert_eq!(output.status.code(), Some(1));
        has_words(&String::from_utf8(output.stderr).unwrap(), &["column \"flag\"", words]);
    };
    fails(&lines("\"true\"", "0"), &[], "got \"true\", expected a finite number");
    fails("flag,y\ntrue,1\n", &[], "got \"true\", expected a finite number");
    // As a class, a truth value is what JSON calls it, and a number is itself however it is
    // written.
    let classes = ["--classes", "flag"];
    let (text, json) = model(&truths, &classes);
    assert_eq!(json["options"]["classes"]["flag"], serde_json::json!(["false", "true"]));
    assert!(text == model(&lines("\"true\"", "\"false\""), &classes).0);
    fails(&truths, &["--classes", "flag=0,1"], "got \"true\", expected one of 0, 1");
    let (_, json) = model(&lines("1.0", "0e1"), &classes);
    assert_eq!(json["options"]["classes"]["flag"], serde_json::json!(["0", "1"]));
}

#[test]
fn standard_input_may_be_compressed() {
    for bytes in [gzip(objects().as_bytes()), zstd(table("\t").as_bytes())] {
        let mut command = rtrl();
        command.args(["train", "-", "--target", "y", "--units", "2", "--skip", "5"]);
        let output = command.write_stdin(bytes).output().unwrap();
        has_words(&String::from_utf8(output.stdout).unwrap(), &["20 rows, 19 forecasts"]);
    }
}

#[test]
fn missing_inputs_are_filled_in() {
    let with = |cell: &str| table(",").replace("\nd7,2.5,", &format!("\nd7,{cell},"));
    let text = with("");
    assert_ne!(text, table(","));
    let folder = TempDir::new().unwrap();
    let output = train(folder.path(), text.as_bytes(), &["--inputs", "a"]);
    let message = String::from_utf8(output.stderr).unwrap();
    has_words(&message, &["line 9, column \"a\": got \"\"", "--missing last", "7 rows before"]);
    let errors = |text: &str, missing: &str| {
        results(text.as_bytes(), &["--inputs", "a", "--missing", missing]).1["rmse"].clone()
    };
    let mean = (0..7).map(|row| value(row, 0)).sum::<f64>() / 7.0;
    for (missing, cell) in [("last", value(6, 0)), ("zero", 0.0), ("mean", mean)] {
        let (found, expected) = (errors(&text, missing), errors(&with(&cell.to_string()), "error"));
        let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
        assert!((found - expected).abs() < 1e-6, "{missing}: {found} {expected}");
        assert_ne!(errors(&table(","), "error"), found, "{missing}");
    }
}

/// Classes and lags are the same as columns that hold their inputs.
#[test]
fn classes_and_lags_are_inputs() {
    let winds = ["N", "E", "S", "E", "N"];
    let row = |row: usize| {
        let wind = winds[row % winds.len()];
        let is = |class| u8::from(wind == class);
        let [a, y] = [0, 2].map(|column| value(row, column));
        let before = value(row.saturating_sub(2), 0);
        let indicators = format!("{},{},{}", is("E"), is("N"), is("S"));
        format!("{wind},{indicators},{a},{before},{y}\n")
    };
    let text = "wind,E,N,S,a,a2,y\n".to_owned() + &(0..40).map(row).collect::<String>();
    let errors = |options: &[&str]| {
        let (_, json) = results(text.as_bytes(), options);
        (json["rmse"].to_string(), json["options"].clone())
    };
    let (expected, _) = errors(&["--inputs", "E,N,S,a"]);
    for classes in ["wind", "wind=E,N,S", "1=E, N,S"] {
        let (found, options) = errors(&["--inputs", "wind,a", "--classes", classes]);
        assert_eq!(found, expected, "{classes}");
        assert_eq!(options["classes"], serde_json::json!({"wind": ["E", "N", "S"]}));
    }
    let (expected, _) = errors(&["--inputs", "a,a2"]);
    let (found, options) = errors(&["--inputs", "a", "--lags", "2"]);
    assert_eq!((found, &options["lags"]), (expected, &serde_json::json!([2])));
    // Negative control.
    assert_ne!(errors(&["--inputs", "a", "--lags", "1"]).0, errors(&["--inputs", "a,a2"]).0);
    let folder = TempDir::new().unwrap();
    for (options, words) in [
        (
            ["--inputs", "a", "--classes", "wind"],
            "--classes: got column \"wind\", expected an input",
        ),
        (["--inputs", "a", "--predict", "class"], "invalid value 'class' for '--predict"),
        (["--inputs", "a", "--classes", "a=1,"], "expected different classes"),
        (["--inputs", "a", "--lags", "0"], "expected a whole number from 1 to 100000"),
    ] {
        let output = train(folder.path(), text.as_bytes(), &options);
        assert_eq!(output.status.code(), Some(2));
        has_words(&String::from_utf8(output.stderr).unwrap(), &[words]);
    }
}

/// A model knows its columns, classes and lags.
#[test]
fn a_model_reads_the_same_inputs() {
    let winds = ["N", "S", "E"];
    let row = |row: usize| format!("{},{},{}\n", winds[row % 3], value(row, 0), value(row, 2));
    let text = "wind,a,y\n".to_owned() + &(0..40).map(row).collect::<String>();
    let folder = TempDir::new().unwrap();
    let options = ["--inputs", "wind,a", "--classes", "wind", "--lags", "1,3"];
    assert!(train(folder.path(), text.as_bytes(), &options).status.success());
    let run = |text: &str| {
        let mut command = rtrl();
        command.current_dir(folder.path()).args(["run", "model", "-"]).write_stdin(text);
        command.output().unwrap()
    };
    let output = run(&text);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 41);
    // The columns are found by their names, and the classes are those of the model.
    let output = run("y,a,wind\n1,1,N\n1,1,W\n");
    let message = String::from_utf8(output.stderr).unwrap();
    has_words(&message, &["line 3, column \"wind\": got \"W\", expected one of E, N, S"]);
    let options = ["--lags", "2"];
    assert!(train(folder.path(), text.as_bytes(), &options).status.success());
    let mut command = rtrl();
    command.current_dir(folder.path()).args(["generate", "model", "--steps", "3"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    has_words(&message, &["the inputs y, all 2 rows before, expected only its target y"]);
}
