//! `rtrl trace` as a user meets it.

// The comparison of all tests, in a crate that this one does not depend on.
#[path = "../../../rtrl-bench/src/compare.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests here need a part of it")]
mod compare;

use std::fs;
use std::path::{Path, PathBuf};

use rtrl_model::store::case::{Case, Trace};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::compare::{Difference, Tolerance};
use crate::common::{has_words, rtrl};

fn case_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/twenty-columns.json")
}

/// Runs `rtrl trace` on `case` and returns the exit code, stderr and the trace, if one was written.
fn trace(case: &str, options: &[&str]) -> (i32, String, Option<String>) {
    let folder = TempDir::new().unwrap();
    let (file, out) = (folder.path().join("case.json"), folder.path().join("trace.json"));
    fs::write(&file, case).unwrap();
    let mut command = rtrl();
    command.arg("trace").arg(&file).args(options).arg("--out").arg(&out);
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!message.contains("panicked"), "{message}");
    (output.status.code().unwrap(), message, fs::read_to_string(&out).ok())
}

const PRECISIONS: [(&str, f64); 2] = [("f64", 1e-9), ("f32", 2e-4)];

/// The trace of `case`, which must be one.
fn traced(case: &str, precision: &str) -> Trace {
    let (code, message, written) = trace(case, &["--engine", "eager", "--precision", precision]);
    assert_eq!(code, 0, "{message}");
    serde_json::from_str(&written.unwrap()).unwrap()
}

/// Compares a trace with what the case of the file expects.
fn compared(got: &Trace, tolerance: f64) -> Result<(), Difference> {
    let text = fs::read_to_string(case_file()).unwrap();
    let expected = Case::from_json(&text).unwrap().expect.unwrap();
    compare::trace(got, &expected, Tolerance::Relative(tolerance))
}

#[test]
fn the_trace_has_what_the_case_expects() {
    let text = fs::read_to_string(case_file()).unwrap();
    for (precision, tolerance) in PRECISIONS {
        assert_eq!(compared(&traced(&text, precision), tolerance), Ok(()), "{precision}");
    }
}

/// A number of a trace.
type Place = fn(&mut Trace) -> &mut f64;

/// Negative control: the trace of a case with another learning rate, and a trace with one wrong
/// number, in each of its tables.
#[test]
fn a_wrong_trace_is_noticed() {
    let text = fs::read_to_string(case_file()).unwrap();
    let mut case: Value = serde_json::from_str(&text).unwrap();
    case["learning_rate"] = json!(0.051);
    for (precision, tolerance) in PRECISIONS {
        let other = traced(&case.to_string(), precision);
        assert!(compared(&other, tolerance).is_err(), "{precision}");
        let right = traced(&text, precision);
        let faults: [(&str, Place); 5] = [
            ("outputs", |trace| &mut trace.outputs[7][2]),
            ("losses", |trace| &mut trace.losses[7]),
            ("gradients", |trace| &mut trace.gradients[7][0][2][19]),
            ("weights", |trace| &mut trace.weights[0][2][19]),
            ("sensitivities", |trace| &mut trace.sensitivities[2][0][2][19]),
        ];
        for (table, number) in faults {
            for wrong in [1.0 + 3.0 * tolerance, f64::NAN, f64::INFINITY] {
                let mut trace = right.clone();
                let number = number(&mut trace);
                *number += wrong * number.abs().max(1.0) - number.abs().max(1.0);
                let difference = compared(&trace, tolerance).unwrap_err();
                assert!(difference.place.starts_with(table), "{table}: {difference}");
            }
        }
    }
}

/// The case with one change is refused with these words, and nothing is written.
fn refused(change: impl FnOnce(&mut Value), words: &[&str]) {
    let mut case: Value = serde_json::from_str(&fs::read_to_string(case_file()).unwrap()).unwrap();
    change(&mut case);
    let (code, message, written) = trace(&case.to_string(), &[]);
    assert_eq!((code, written), (1, None), "{message}");
    has_words(&message, words);
}

#[test]
fn cases_with_a_wrong_shape_are_refused() {
    refused(
        |case| case["weights"] = json!([[0.5]]),
        &["weight matrix: got 1 x 1, expected 3 x 20"],
    );
    refused(|case| case["x"][1] = json!([1.0]), &["x: got", "x 1, expected"]);
    refused(|case| case["targets"][0] = json!([null]), &["targets: got"]);
    refused(
        |case| case["initial_state"] = json!([0.0]),
        &["state: got 1 value, expected 3, one per unit"],
    );
    refused(|case| case["connections"] = json!([[1]]), &["connection mask: got 1 x 1"]);
    refused(|case| case["activation"] = json!("swish"), &["swish"]);
    refused(|case| case["activation"] = json!(["tanh", "tanh"]), &["expected 1 or 3"]);
    refused(|case| case["units"] = json!(0), &["units"]);
    refused(|case| case["units"] = json!(-1), &["units"]);
    refused(|case| case["inputs"] = json!(4), &["expected 3 x 8"]);
    refused(|case| case["update_every"] = json!(0), &["update_every: got 0, expected at least 1"]);
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
    let mut command = rtrl();
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
        let mut command = rtrl();
        let output = command.arg("trace").arg(case).arg("--out").arg(out).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stderr).unwrap().contains(named));
    }
}
