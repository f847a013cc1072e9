//! `rtrl trace` as a user meets it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use rtrl_model::store::case::{Case, Trace};
use serde_json::{Value, json};
use tempfile::TempDir;

fn case_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/twenty-columns.json")
}

/// Runs `rtrl trace` on `case` and returns the exit code, stderr and the trace, if one was written.
fn trace(case: &str, options: &[&str]) -> (i32, String, Option<String>) {
    let folder = TempDir::new().unwrap();
    let (file, out) = (folder.path().join("case.json"), folder.path().join("trace.json"));
    fs::write(&file, case).unwrap();
    let mut command = Command::cargo_bin("rtrl").unwrap();
    command.arg("trace").arg(&file).args(options).arg("--out").arg(&out);
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!message.contains("panicked"), "{message}");
    (output.status.code().unwrap(), message, fs::read_to_string(&out).ok())
}

#[test]
fn the_trace_has_what_the_case_expects() {
    let text = fs::read_to_string(case_file()).unwrap();
    let expected = Case::from_json(&text).unwrap().expect.unwrap();
    for (precision, tolerance) in [("f64", 1e-9), ("f32", 2e-4)] {
        let (code, message, written) =
            trace(&text, &["--engine", "eager", "--precision", precision]);
        assert_eq!(code, 0, "{message}");
        let got: Trace = serde_json::from_str(&written.unwrap()).unwrap();
        let (got, expected) = (flat(&got), flat(&expected));
        assert_eq!(got.len(), expected.len());
        for (place, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let close = (got - expected).abs() <= tolerance * expected.abs().max(1.0);
            assert!(close, "{got} instead of {expected} at {place} in {precision}");
        }
    }
}

/// All numbers of a trace in a row.
fn flat(trace: &Trace) -> Vec<f64> {
    let stacks = trace.gradients.iter().chain(&trace.sensitivities).chain([&trace.weights]);
    let tables = stacks.flat_map(|layers| layers.iter());
    let rows = std::iter::once(&trace.outputs).chain(tables).flatten();
    rows.flatten().chain(&trace.losses).copied().collect()
}

/// The case with one change is refused with these words, and nothing is written.
fn refused(change: impl FnOnce(&mut Value), words: &[&str]) {
    let mut case: Value = serde_json::from_str(&fs::read_to_string(case_file()).unwrap()).unwrap();
    change(&mut case);
    let (code, message, written) = trace(&case.to_string(), &[]);
    assert_eq!((code, written), (1, None), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is missing in: {message}");
    }
}

#[test]
fn cases_with_a_wrong_shape_are_refused() {
    refused(
        |case| case["weights"] = json!([[0.5]]),
        &["the weight matrix is 1 x 1, expected 3 x 20"],
    );
    refused(|case| case["x"][1] = json!([1.0]), &["x is", "x 1, expected"]);
    refused(|case| case["targets"][0] = json!([null]), &["targets is"]);
    refused(
        |case| case["initial_state"] = json!([0.0]),
        &["state: got 1 value, expected 3, one a unit"],
    );
    refused(|case| case["connections"] = json!([[1]]), &["connection mask is 1 x 1"]);
    refused(|case| case["activation"] = json!("swish"), &["swish"]);
    refused(|case| case["activation"] = json!(["tanh", "tanh"]), &["expected 1 or 3"]);
    refused(|case| case["units"] = json!(0), &["units"]);
    refused(|case| case["units"] = json!(-1), &["units"]);
    refused(|case| case["inputs"] = json!(4), &["expected 3 x 8"]);
    refused(|case| case["update_every"] = json!(0), &["update_every is 0, expected at least 1"]);
    refused(|case| case["learning_rate"] = json!(-1.0), &["learning rate"]);
    refused(|case| case["update_evry"] = json!(2), &["update_evry"]);
    refused(|case| case["resets"] = json!([{"before_step": 9999, "state": [0, 0, 0]}]), &["9999"]);
    refused(|case| drop(case.as_object_mut().unwrap().remove("weights")), &["weights"]);
}

#[test]
fn what_is_no_case_at_all_is_refused() {
    for text in ["", "{", "[]", "null", "not json"] {
        let (code, message, written) = trace(text, &[]);
        assert_eq!((code, written), (1, None), "{message}");
        assert!(message.contains("case.json"), "{message}");
    }
}

#[test]
fn the_trace_may_not_replace_the_case() {
    let folder = TempDir::new().unwrap();
    let case = folder.path().join("case.json");
    fs::copy(case_file(), &case).unwrap();
    let mut command = Command::cargo_bin("rtrl").unwrap();
    command.arg("trace").arg(&case).arg("--out").arg(&case).assert().code(2);
    assert_eq!(fs::read(&case).unwrap(), fs::read(case_file()).unwrap());
}

#[test]
fn a_wrong_command_line_ends_with_code_2() {
    let text = fs::read_to_string(case_file()).unwrap();
    assert_eq!(trace(&text, &["--engine", "warp"]).0, 2);
    assert_eq!(trace(&text, &["--precision", "f16"]).0, 2);
}

#[test]
fn files_that_cannot_be_read_or_written_are_named() {
    let case = case_file();
    for (case, out, named) in [
        (Path::new("no/case.json"), Path::new("trace.json"), "no/case.json"),
        (case.as_path(), Path::new("no/trace.json"), "no/trace.json"),
    ] {
        let mut command = Command::cargo_bin("rtrl").unwrap();
        let output = command.arg("trace").arg(case).arg("--out").arg(out).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stderr).unwrap().contains(named));
    }
}
