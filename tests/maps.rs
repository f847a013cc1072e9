//! Every module has a row in the map of its parent's documentation.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules that a file declares, but for those of tests, and does not name in its
/// documentation.
fn missing(source: &str) -> Vec<&str> {
    let docs: Vec<&str> = source.lines().filter(|line| line.starts_with("//!")).collect();
    let named = |module: &str| {
        let names = ["`", "/", "@"]
            .iter()
            .flat_map(|before| [".rs`", "/`", "`"].map(|after| format!("{before}{module}{after}")))
            .collect::<Vec<_>>();
        docs.iter().any(|line| names.iter().any(|name| line.contains(name)))
    };
    let (mut modules, mut for_tests) = (Vec::new(), false);
    for line in source.lines() {
        let declared = line.split_once("mod ").filter(|(before, _)| !before.contains("//"));
        match declared.and_then(|(_, rest)| rest.strip_suffix(';')) {
            Some(module) if !for_tests => modules.push(module),
            _ => {}
        }
        for_tests = line.starts_with("#[cfg(test)]");
    }
    modules.retain(|module| !named(module));
    modules
}

/// All files of these names below `folder`.
fn find(folder: &Path, names: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, names, found);
        } else if names.iter().any(|name| path.ends_with(name)) {
            found.push(path);
        }
    }
}

#[test]
fn every_module_has_a_row_in_the_map_of_its_parent() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for entry in fs::read_dir(crates).unwrap() {
        find(&entry.unwrap().path().join("src"), &["lib.rs", "main.rs", "mod.rs"], &mut files);
    }
    assert!(files.len() > 10, "{files:?}");
    let odd: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let source = fs::read_to_string(file).unwrap();
            missing(&source)
                .iter()
                .map(|module| format!("{}: {module}", file.display()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(odd.is_empty(), "no row in the map for:\n{}", odd.join("\n"));
}

#[test]
fn a_module_without_a_row_is_noticed() {
    let map = "//! | `a.rs` | |\n//! [`mod@d`]\n//! | `arrow.rs` | |\n";
    let source = "mod a;\npub mod b;\n#[cfg(test)]\nmod c;\nmod d;\n// mod e;\nmod row;\n";
    assert_eq!(missing(&format!("{map}{source}")), ["b", "row"]);
}
