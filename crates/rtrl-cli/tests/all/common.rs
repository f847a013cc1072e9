//! What the tests of the program share.

use assert_cmd::Command;

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
