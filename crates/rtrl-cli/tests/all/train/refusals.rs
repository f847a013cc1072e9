//! Command lines and series that `rtrl train` refuses.

use super::{fails, sunspots, train};
use crate::common::rtrl;

#[test]
fn files_that_are_no_series_are_refused() {
    let target = ["--target", "y"];
    for text in ["", "\n", "\n\n", "\u{feff}"] {
        fails(text, &target, 1, &["the file is empty, expected a header and rows"]);
    }
    fails("", &["--target", "1", "--no-header"], 1, &["the file is empty, expected rows"]);
    fails("x,z\n1,2\n", &target, 1, &["\"y\"", "x, z"]);
    fails("y\n", &target, 1, &["0 rows", "at least 2"]);
    fails("y\n1\n", &target, 1, &["1 row of data", "at least 2"]);
    fails("x,y\n1,2\n3,four\n", &target, 1, &["line 3", "\"y\"", "\"four\""]);
    fails("x,y\n1,2\n3,\n", &target, 1, &["line 3", "\"y\"", "\"\""]);
    for cell in ["NaN", "inf", "-Infinity", "1e999"] {
        fails(&format!("y\n1\n{cell}\n2\n"), &target, 1, &["line 3", cell, "finite"]);
    }
    fails("x,y\n1,2\n1,2,3\n", &target, 1, &["line 3", "3 cells", "expected 2"]);
    fails("x,y\n1,2\n1\n", &target, 1, &["line 3", "1 cell,", "expected 2"]);
    fails("y\n1e200\n-1e200\n1e200\n", &target, 1, &["line 2", "\"1e200\"", "-1e100 to 1e100"]);
}

/// The file was once called empty, even if its first row only had missing cells.
#[test]
fn a_header_without_names_is_told_from_an_empty_file() {
    for text in [",,\n1,2,3\n", "\"\"\n1\n", " \n1\n"] {
        fails(text, &["--target", "1"], 1, &["line 1: got a header without names"]);
    }
    for text in ["{}\n{\"y\": 1}\n", "{\"\": 1}\n"] {
        fails(text, &["--target", "1"], 1, &["line 1: got an object without keys"]);
    }
    let options = ["--target", "2", "--no-header", "--missing", "last"];
    let (code, message) = train(",,\n1,2,3\n2,4,5\n", &options);
    assert_eq!(code, 0, "{message}");
}

#[test]
fn a_bad_cell_in_a_column_that_is_not_used_does_no_harm() {
    let (code, message) = train("x,y\n?,1\n,2\n?,3\n", &["--target", "y"]);
    assert_eq!(code, 0, "{message}");
}

#[test]
fn files_that_could_be_misread_are_refused() {
    let target = ["--target", "y"];
    fails("x,y\n1,2\n\n\n3,4\n", &target, 1, &["line 3: got an empty line"]);
    fails("y\n1\n2\n\n\nbad\n", &target, 1, &["line 4: got an empty line"]);
    fails("y,y\n1,2\n3,4\n", &target, 1, &["\"y\"", "2 times"]);
    fails("x,y\n1,2\n3,4\n", &["--target", "y", "--inputs", "x,x"], 2, &["\"x\"", "twice"]);
    for text in ["y\n1\n2\n3\n\n\n", "\u{feff}y\r\n1\r\n2\r\n3", "\"y\"\n\"1\"\n 2 \n3\n"] {
        assert_eq!(train(text, &target).0, 0, "{text:?}");
    }
    assert_eq!(train("x, y\n1,2\n3,4\n", &["--target", "y", "--inputs", "x, y"]).0, 0);
}

#[test]
fn a_missing_file_is_named() {
    let output = rtrl().args(["train", "no/such.csv", "--target", "y"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no/such.csv"));
}

#[test]
fn a_wrong_command_line_ends_with_code_2() {
    let text = "y\n1\n2\n3\n";
    fails(text, &["--target", "y", "--units", "0"], 2, &["--units", "number from 1 to 4294967295"]);
    fails(text, &["--target", "y", "--units", "-3"], 2, &["-3"]);
    fails(text, &["--target", "y", "--units", "many"], 2, &["many"]);
    fails(text, &["--target", "y", "--units", "18446744073709551615"], 2, &["from 1 to"]);
    fails(text, &[], 2, &["--target"]);
    fails(text, &["--target", "y", "--activation", "swish"], 2, &["swish", "tanh"]);
    fails(text, &["--target", "y", "--engine", "warp"], 2, &["warp", "eager"]);
    fails(text, &["--target", "y", "--learning-rate", "nan"], 2, &["nan", "finite"]);
    fails(text, &["--target", "y", "--clip", "0"], 2, &["clip"]);
    fails(text, &["--target", "y", "--sped", "1"], 2, &["--sped"]);
}

/// Negative numbers were once taken for unknown options, and numbers that are far too large were
/// accepted.
#[test]
fn numbers_out_of_range_are_refused_with_their_range() {
    for (option, value, words) in [
        ("--seed", "-1", ["'-1'", "whole number from 0 to"]),
        ("--learning-rate", "-1", ["'-1'", "above 0 and at most 1000"]),
        ("--learning-rate", "1e30", ["'1e30'", "above 0 and at most 1000"]),
        ("--units", "-1", ["'-1'", "whole number from 1 to"]),
        ("--layers", "0", ["'0'", "whole number from 1 to"]),
        ("--layers", "4294967295", ["'4294967295'", "whole number from 1 to 1000000"]),
        ("--window", "0", ["'0'", "whole number from 1 to"]),
        ("--threads", "0", ["'0'", "4 for each core"]),
        ("--threads", "1000000", ["'1000000'", "4 for each core"]),
        ("--activation", "sigmoid", ["logistic, tanh, relu", "called logistic"]),
    ] {
        let options = ["--target", "y", option, value];
        fails("y\n1\n2\n3\n", &options, 2, &[&[option][..], &words].concat());
    }
}

/// Options that were given twice, or to no effect, once changed the inputs or nothing at all.
#[test]
fn options_without_sense_are_refused() {
    for (options, words) in [
        (&["--lags", "1,2,1"][..], ["--lags: got lag 1 twice", "expected each once"]),
        (&["--lags", "3", "--lags", "3"], ["--lags: got lag 3 twice", "expected each once"]),
        (
            &["--inputs", "x", "--classes", "x=a,b", "--classes", "1"],
            ["--classes: got column \"x\" twice", "expected each once"],
        ),
        (&["--format", "jsonl"], ["required arguments", "--predictions <FILE>"]),
    ] {
        let options = [&["--target", "y"], options].concat();
        fails("x,y\na,1\nb,2\na,3\n", &options, 2, &words);
    }
}

#[test]
fn settings_out_of_range_are_told_with_their_range() {
    let refused = |option, value, code, words: &[&str]| {
        fails("y\n1\n2\n3\n", &["--target", "y", option, value], code, words);
    };
    for option in ["--leak", "--forgetting"] {
        for value in ["0", "-0.5", "1.5", "nan", "inf", "half"] {
            let given = format!("{option}={value}");
            let words = [option, value, "above 0 and at most 1"];
            fails("y\n1\n2\n3\n", &["--target", "y", &given], 2, &words);
        }
    }
    for value in ["0", "nan", "inf", "none"] {
        refused("--ridge", value, 2, &["--ridge", value, "above 0"]);
    }
    refused("--readout", "lms", 2, &["lms", "gradient", "rls"]);
    let optimizers = ["lion", "sgd", "momentum", "rmsprop", "adam", "adamw"];
    refused("--optimizer", "lion", 2, &optimizers);
    // A leak that is 0 in single precision, and a penalty whose inverse is not finite.
    refused("--leak", "1e-60", 1, &["leak", "f32"]);
    refused("--ridge", "1e-320", 1, &["ridge", "inverse"]);
}

#[test]
fn the_constants_of_least_squares_are_for_least_squares() {
    for option in ["--forgetting", "--ridge"] {
        let options = ["--target", "y", "--readout", "gradient", option, "1"];
        fails("y\n1\n2\n3\n", &options, 2, &[option, "--readout rls"]);
    }
}

#[test]
fn a_network_that_does_not_fit_in_memory_says_how_many_bytes_it_needs() {
    let text = "y\n1\n2\n3\n";
    fails(text, &["--target", "y", "--units", "100000"], 1, &["4000080000000000 bytes"]);
    let gru = ["--target", "y", "--cell", "gru", "--units", "100000"];
    fails(text, &gru, 1, &["12000280000000000 bytes"]);
    fails(text, &["--target", "y", "--units", "4294967295"], 1, &["bytes"]);
    // Each layer would fit.
    let layers = ["--target", "y", "--units", "1000", "--layers", "64"];
    fails(text, &layers, 1, &["32528642048000 bytes"]);
}

/// The weights of heads fit, and the square of their number does not.
#[test]
fn least_squares_that_do_not_fit_in_memory_suggest_a_gradient() {
    let heads = ["--target", "y", "--units", "2000000", "--heads-of", "1", "--baselines", "none"];
    let text = "y\n1\n2\n3\n";
    fails(text, &heads, 1, &["64000128000064 bytes", "least squares; --readout gradient"]);
}

#[test]
fn an_unknown_instruction_set_is_refused() {
    let mut command = rtrl();
    command.args(["train", sunspots().to_str().unwrap(), "--target", "sunspots"]);
    let output = command.env("RTRL_ISA", "v9").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("v9") && message.contains("scalar"), "{message}");
}
