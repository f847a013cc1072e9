//! Runs in heads.

use std::fs;
use std::path::Path;

use super::{ROWS, folder, left, message, train};
use crate::common::has_words;

/// A run in heads continues where its series ended, and in no other heads.
#[test]
fn a_run_in_heads_continues_bit_for_bit() {
    let finished = |folder: &Path, options: &[&str]| {
        let output = train(folder, options).output().unwrap();
        assert!(output.status.success(), "{}", message(&output));
    };
    let (whole, part) = (folder(), folder());
    let heads = ["--heads-of", "2", "--cell", "gru"];
    finished(whole.path(), &heads);
    let series = part.path().join("series");
    let text = fs::read_to_string(&series).unwrap();
    let half: String = text.split_inclusive('\n').take(ROWS / 2).collect();
    fs::write(&series, half).unwrap();
    finished(part.path(), &heads);
    fs::write(&series, text).unwrap();
    for (other, expected) in [
        (&["--heads-of", "3"][..], "got --heads-of 3, expected 2 as in the checkpoint"),
        (&[], "got --heads-of none, expected 2 as in the checkpoint"),
    ] {
        let options = [&["--resume", "--cell", "gru"], other].concat();
        let output = train(part.path(), &options).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        has_words(&message(&output), &[expected]);
    }
    finished(part.path(), &[&heads[..], &["--resume"]].concat());
    assert!(left(part.path()) == left(whole.path()));
}
