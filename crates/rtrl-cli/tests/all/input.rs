//! The formats, columns and damages of the series that `rtrl train` reads.

mod columns;

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
    // As a class, a truth value is what JSON calls it, and a number is itself however it is written.
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

/// Lines that do not belong into the table, and what is said about them.
const BAD_LINES: [(&[u8], &str); 36] = [
    (b"d,1,2,bad", "column \"y\": got \"bad\", expected a finite number"),
    (b"d,1,2,NaN", "got \"NaN\""),
    (b"d,1,inf,2", "column \"b\": got \"inf\""),
    (b"d,1,2,1e999", "got \"1e999\""),
    (b"d,1e200,2,3", "column \"a\": got \"1e200\", expected a number from -1e100 to 1e100"),
    (b"d,1,2,\"3,5\"", "got \"3,5\""),
    (b"d,1,2,1 000", "got \"1 000\""),
    (b"d,1,2,1_000", "got \"1_000\""),
    (b"d,1,2,0x1F", "got \"0x1F\""),
    (b"d,1,2,5 kg", "got \"5 kg\""),
    (b"d,1,2,$5", "got \"$5\""),
    (b"d,1,2,--5", "got \"--5\""),
    (b"d,1,2,5.5.5", "got \"5.5.5\""),
    (b"d,1,2,2001-02-03", "got \"2001-02-03\""),
    (b"d,1,2,true", "got \"true\""),
    (b"d,1,2,\xe2\x88\x925", "got \"\u{2212}5\""),
    (b"d,1,2,\xc2\xa05", "got \"\\u{a0}5\""),
    (b"d,1,2,\xff5", "got \"\u{fffd}5\""),
    (b"d,1,2,5\0", "got \"5\\0\""),
    (b"d,1,2,\x1b[2J", "got \"\\u{1b}[2J\""),
    (b"d,1,2,\"1\"2", "got \"1\\\"2\""),
    (b"d,1,2,1\"2\"", "got \"1\\\"2\\\"\""),
    (b"d,,2,3", "column \"a\": got \"\""),
    (b"day,a,b,y", "column \"y\": got \"y\""),
    (b"d,1,2", "got 3 cells, expected 4"),
    (b"d,1,2,3,4", "got 5 cells"),
    (b"d,1,2,3d,1,2,3", "got 7 cells"),
    (b"d;1;2;3", "got 1 cell,"),
    (b"d\t1\t2\t3", "got 1 cell,"),
    (b"# comment", "got 1 cell,"),
    (b"<html>", "got 1 cell,"),
    (b" ", "got 1 cell,"),
    (b"", "got an empty line"),
    (b"{\"y\": 1}", "got 1 cell,"),
    (b"d,1,2,\"3", "got a quote that is never closed"),
    (b"Segmentation fault, core dumped", "got 2 cells"),
];

/// The same for JSON lines.
const BAD_OBJECTS: [(&[u8], &str); 9] = [
    (b"{\"a\": 1, \"b\": 2, \"y\": ", "byte 21: EOF"),
    (b"[1, 2, 3]", "expected an object"),
    (b"3", "expected an object"),
    (b"{\"a\": 1, \"b\": 2, \"y\": [3]}", "expected a number, a text, a boolean or null"),
    (b"{\"a\": 1, \"b\": 2, \"y\": NaN}", "byte 23: expected value"),
    (b"{\"a\": 1, \"b\": 2, \"y\": \"high\"}", "column \"y\": got \"high\""),
    (b"{\"a\": 1, \"y\": 3}", "column \"b\": got \"\""),
    (b"{\"a\": 1, \"a\": 2, \"b\": 2, \"y\": 3}", "got key \"a\" twice"),
    (b"{\"a\": 1, \"b\": 2, \"y\": 3} {}", "trailing"),
];

/// Wrong rows stop a run, which keeps what it has learnt, or they are skipped and counted.
#[test]
fn damaged_rows_are_named_or_skipped() {
    let (table, objects) = (table(","), objects());
    let (expected, _) = results(table.as_bytes(), &["--inputs", "a,b,y"]);
    let lines = BAD_LINES.map(|bad| (table.as_str(), 12, bad));
    let objects = BAD_OBJECTS.map(|bad| (objects.as_str(), 11, bad));
    for (text, line, (bad, words)) in lines.into_iter().chain(objects) {
        let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let (before, after) = text.as_bytes().split_at(start);
        let damaged = [before, bad, b"\n", after].concat();
        let folder = TempDir::new().unwrap();
        let stopped = train(folder.path(), &damaged, &["--inputs", "a,b,y"]);
        let message = String::from_utf8(stopped.stderr).unwrap();
        let place = &format!("error: series: line {line}");
        assert_eq!(stopped.status.code(), Some(1), "{message}");
        has_words(&message, &[place.as_str(), words, "10 rows before"]);
        // A cell has a column, an object a byte; other rows have no cell to blame.
        let counts = ["cell, expected 4", "cells, expected 4"];
        let blamed = [&counts[..], &["column \"", ", byte ", "an empty line", "a quote"]].concat();
        assert!(blamed.iter().any(|place| message.contains(place)), "{message}");
        assert!(message.len() < 600, "{message}");
        let (model, json) = results(&damaged, &["--inputs", "a,b,y", "--on-error", "skip"]);
        assert!(model == expected, "{words}: {json}");
        assert_eq!((&json["rows"], &json["skipped"]), (&ROWS.into(), &1.into()), "{words}");
    }
}

/// Damage after which nothing can be read stops a run even if wrong rows are skipped.
#[test]
fn damaged_files_are_refused() {
    let text = table(",").repeat(50).into_bytes();
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 20].to_vec();
    let flipped = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        bytes
    };
    let utf_16: Vec<u8> = "y\n1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, words) in [
        (cut(gzip(&text)), "line "),
        (flipped(gzip(&text)), "line "),
        (cut(zstd(&text)), "damaged zstd file"),
        (flipped(zstd(&text)), "damaged zstd file"),
        ([&gzip(&text)[..], b"rest"].concat(), "line "),
        ([b"\xff\xfe", utf_16.as_slice()].concat(), "got UTF-16 text, expected UTF-8 text"),
        (b"PK\x03\x04rest".to_vec(), "got a zip archive"),
        (Vec::new(), "the file is empty"),
        (b"\n\n".to_vec(), "the file is empty"),
        (b"x,y,y\n1,2,3\n".to_vec(), "\"y\" 2 times"),
        (b"{\"y\": 1\n".to_vec(), "line 1, byte"),
        (b"{}\n{}\n".to_vec(), "line 1: got an object without keys"),
    ] {
        let folder = TempDir::new().unwrap();
        let output = train(folder.path(), &bytes, &["--on-error", "skip"]);
        assert_eq!(output.status.code(), Some(1), "{words}");
        let message = String::from_utf8(output.stderr).unwrap();
        has_words(&message, &["error: series: ", words]);
    }
}

#[test]
fn skipped_rows_are_counted_at_the_end() {
    let folder = TempDir::new().unwrap();
    let text = format!("{}d,1,2,bad\nd,1\nd,1,2,3\n", table(","));
    let output = train(folder.path(), text.as_bytes(), &["--on-error", "skip"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let first = "skipped 2 rows with errors, the first: series: line 22, column \"y\": got \"bad\"";
    has_words(&printed, &["21 rows, 20 forecasts", first]);
    assert!(
        !String::from_utf8(train(folder.path(), table(",").as_bytes(), &[]).stdout)
            .unwrap()
            .contains("skipped")
    );
}
