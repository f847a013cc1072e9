//! The examples at the end of each `--help`.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::common::{program, rtrl};

/// The help of a command.
fn help(command: &[String]) -> String {
    let output = rtrl().args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The indented lines after a title, up to an empty line.
fn below<'a>(text: &'a str, title: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = text.lines().skip_while(move |line| !line.starts_with(title)).skip(1);
    lines.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "))
}

/// A command and all commands below it.
fn commands(command: Vec<String>) -> Vec<Vec<String>> {
    let text = help(&command);
    let names = below(&text, "Commands:").filter(|line| !line.starts_with(' '));
    let names = names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help");
    let inner = names.flat_map(|name| commands([&command[..], &[name.to_owned()]].concat()));
    let inner: Vec<_> = inner.collect();
    [vec![command], inner].concat()
}

/// Runs a line of a shell in `folder`, which has the folder `tests` of the repository.
fn succeeds(folder: &Path, line: &str) -> bool {
    let programs = program().parent().unwrap().display().to_string();
    let output = Command::new("bash")
        .current_dir(folder)
        .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()))
        .args(["-c", &format!("set -o pipefail; {line}")])
        .output()
        .unwrap();
    print!("{line}\n{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

/// The pipeline of the README, whose other commands are checked with all of the workspace.
#[test]
fn the_pipeline_of_the_readme_runs() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let lines: Vec<&str> = readme.split('`').filter(|code| code.starts_with("rtrl ")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(succeeds(Path::new("."), lines[0]), "{lines:?}");
}

#[test]
fn the_examples_of_every_command_run() {
    let commands = commands(Vec::new());
    let known: Vec<String> = commands.iter().map(|command| command.join(" ")).collect();
    for name in ["", "train", "run", "generate", "trace", "inspect", "paper", "tasks emit"] {
        assert!(known.iter().any(|known| known == name), "{name}: {known:?}");
    }
    for command in commands {
        let folder = TempDir::new().unwrap();
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
        std::os::unix::fs::symlink(tests, folder.path().join("tests")).unwrap();
        let (text, name) = (help(&command), format!("rtrl {}", command.join(" ")));
        let examples: Vec<&str> = below(&text, "Examples").collect();
        assert!(examples.iter().any(|line| line.contains(&name)), "{name}: {text}");
        for line in examples {
            // The help of a terminal with 80 columns shows it in one line.
            assert!(line.len() <= 78, "{line}");
            assert!(succeeds(folder.path(), line), "{name}: {line}");
        }
    }
    // Negative control.
    assert!(!succeeds(Path::new("."), "rtrl train none.csv --target y | cat"));
}
