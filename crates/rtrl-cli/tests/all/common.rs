//! What the tests of the program share.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// The program, on the instruction set that it chooses.
pub(crate) fn rtrl() -> Command {
    let mut command = Command::cargo_bin("rtrl").unwrap();
    command.env_remove("RTRL_ISA");
    command
}

/// The path of the program, for tests that talk to it while it runs.
pub(crate) fn program() -> std::path::PathBuf {
    assert_cmd::cargo::cargo_bin("rtrl")
}

/// A folder with the file `series`.
pub(crate) fn with_series(text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("series"), text).unwrap();
    folder
}

/// What a command in the folder prints, which must succeed, and what it says on standard error.
pub(crate) fn run(folder: &Path, args: &[&str]) -> (String, String) {
    let output = rtrl().current_dir(folder).args(args).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {message}");
    (String::from_utf8(output.stdout).unwrap(), message)
}

/// What a command in the folder prints, which must succeed.
pub(crate) fn printed(folder: &Path, args: &[&str]) -> String {
    run(folder, args).0
}

/// Fails unless a command in the folder ends with this exit code and a message that has all words.
pub(crate) fn fails(folder: &Path, args: &[&str], code: i32, words: &[&str]) {
    let output = rtrl().current_dir(folder).args(args).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    has_words(&message, words);
}

/// The content of the file `json` in the folder.
pub(crate) fn json(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("json")).unwrap()).unwrap()
}

/// The cells of lines below their header: numbers, or nothing.
pub(crate) fn cells(lines: &str) -> Vec<Vec<Option<f64>>> {
    let number = |cell: &str| (!cell.is_empty()).then(|| cell.parse().unwrap());
    lines.lines().skip(1).map(|line| line.split(',').map(number).collect()).collect()
}

/// Fails unless `text` has all words.
pub(crate) fn has_words(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

/// Fails unless `page` is a page with this number of pictures that loads nothing from elsewhere.
pub(crate) fn is_page(page: &str, pictures: usize) {
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert_eq!(page.matches("<svg").count(), pictures);
    // The name of the format of a picture, which no browser looks up.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for request in ["http:", "https:", "src=", "@import", "<script", "<link"] {
        assert!(!page.contains(request), "{request}");
    }
    // A page may refer to itself.
    for (reference, own) in [("href=", "href=\"#"), ("url(", "url(#")] {
        assert_eq!(page.matches(reference).count(), page.matches(own).count(), "{reference}");
    }
}
