//! Damaged rows and files: named, or skipped and counted.

use tempfile::TempDir;

use super::{ROWS, gzip, objects, results, table, train, zstd};
use crate::common::has_words;

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
