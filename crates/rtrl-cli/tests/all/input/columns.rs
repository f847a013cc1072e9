//! Columns of a series, as the user chooses them and as a model finds them again.

use std::fs;
use std::path::Path;
use std::process::Output;

use rtrl_model::store::network::SavedModel;
use tempfile::TempDir;

use super::{ROWS, results, table, train};
use crate::common::{has_words, rtrl};

#[test]
fn columns_are_chosen_in_many_ways() {
    let names = results(table(",").as_bytes(), &["--inputs", "a,b,y"]);
    for inputs in ["2-4", "a-y", "2,b,4", "!day", "!1"] {
        let found = results(table(",").as_bytes(), &["--inputs", inputs]);
        assert!(found.0 == names.0, "{inputs}: {}", found.1);
    }
    // Without a header, the same columns have their numbers as names.
    let (_, rows) = table(",").split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let rows = rows.as_bytes();
    let (_, numbers) = results(rows, &["--no-header", "--target", "4", "--inputs", "2-4"]);
    assert_eq!(numbers["rmse"], names.1["rmse"]);
    assert_eq!((&numbers["target"], &numbers["rows"]), (&"4".into(), &ROWS.into()));
    assert_eq!(numbers["options"]["inputs"], serde_json::json!(["2", "3", "4"]));
    // With --horizon 0, all columns but the target and the time are inputs.
    let same = results(table(",").as_bytes(), &["--horizon", "0", "--time", "day"]);
    assert_eq!(same.1["options"]["inputs"], serde_json::json!(["a", "b"]));
    let same =
        results(table(",").as_bytes(), &["--horizon", "0", "--inputs", "!day", "--target", "4"]);
    assert_eq!(same.1["options"]["inputs"], serde_json::json!(["a", "b"]));
    assert_eq!(same.1["target"], "y");
}

#[test]
fn unknown_columns_are_told_the_nearest_one() {
    let folder = TempDir::new().unwrap();
    let message = |options: &[&str]| {
        let output = train(folder.path(), b"temperature,humidity,y\n1,2,3\n4,5,6\n", options);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = message(&["--target", "temprature"]);
    assert_eq!(code, 1);
    let words = ["series: got column \"temprature\"", "temperature, humidity, y", "did you mean"];
    has_words(&text, &words);
    has_words(&message(&["--inputs", "2-9"]).1, &["got column \"2-9\""]);
    has_words(&message(&["--time", "when"]).1, &["got column \"when\""]);
    let (code, text) = message(&["--inputs", "!1-3"]);
    assert_eq!(code, 2);
    has_words(&text, &["--inputs: got no column"]);
}

/// `rtrl run` of the model in `folder` on `text`.
fn run(folder: &Path, text: &str) -> Output {
    let mut command = rtrl();
    command.current_dir(folder).args(["run", "model", "-"]).write_stdin(text).output().unwrap()
}

/// A model once kept the time column as the user had written it, and looked for its columns as if a
/// user had named them: a number, a range or an exception could stand in for a name.
#[test]
fn a_model_finds_its_columns_by_their_names_only() {
    let folder = TempDir::new().unwrap();
    let text = "day,x,y\nd1,1,2\nd2,2,3\nd3,1,4\n";
    let options = ["--time", "1", "--inputs", "2-3", "--target", "3"];
    assert!(train(folder.path(), text.as_bytes(), &options).status.success());
    let model = SavedModel::read(&folder.path().join("model")).unwrap();
    assert_eq!(model.application()["time"], "day");
    let output = run(folder.path(), "y,day,x\n2,d1,1\n");
    let printed = String::from_utf8(output.stdout).unwrap();
    has_words(&printed, &["row,time,target,", "\n1,d1,2.0,"]);
    for (header, inputs, other) in [
        ("a,2,y", "2", "a,b,y"),
        ("a-b,c,y", "a-b", "a,b,y"),
        ("!a,c,y", "!a", "a,b,y"),
        ("c,3,y", "3", "c,b,y"),
    ] {
        let text = format!("{header}\n1,2,3\n2,3,4\n3,5,1\n");
        let output = train(folder.path(), text.as_bytes(), &["--inputs", inputs]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(run(folder.path(), &text).status.success(), "{header}");
        let output = run(folder.path(), &text.replace(header, other));
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{header}: {message}");
        has_words(&message, &[&format!("got column {inputs:?}, expected one of")]);
    }
    // A series without a header is one of numbers, as the model's was.
    let options = ["--no-header", "--target", "2", "--inputs", "1"];
    assert!(train(folder.path(), b"1,2\n2,3\n3,5\n", &options).status.success());
    assert!(run(folder.path(), "1,2\n2,3\n3,5\n").status.success());
}

/// A model could once be trained on columns that it could not find again.
#[test]
fn a_model_is_not_saved_without_unique_names() {
    let folder = TempDir::new().unwrap();
    for (header, options, words) in [
        ("x,x,y", ["--inputs", "1", "--target", "3"], "got column \"x\" 2 times"),
        ("x,day,day", ["--time", "2", "--target", "1"], "got column \"day\" 2 times"),
        (",,y", ["--inputs", "y", "--target", "2"], "got column \"\" 2 times"),
    ] {
        let text = format!("{header}\n1,2,3\n2,3,4\n3,5,1\n");
        let output = train(folder.path(), text.as_bytes(), &options);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{header}: {message}");
        has_words(&message, &["series: ", words, "in the header, expected once"]);
        // The errors of a run do not need names.
        let mut command = rtrl();
        command.current_dir(folder.path()).args(["train", "series"]).args(options);
        assert!(command.output().unwrap().status.success(), "{header}");
    }
}

/// A name that is not UTF-8 once ended the program with a panic.
#[cfg(target_os = "linux")]
#[test]
fn a_file_may_have_any_name() {
    use std::os::unix::ffi::OsStrExt;

    let folder = TempDir::new().unwrap();
    let name = |text: &[u8]| std::ffi::OsStr::from_bytes(text).to_owned();
    let (series, model) = (name(b"series\xff"), name(b"model\xff"));
    fs::write(folder.path().join(&series), "y\n1\n2\n3\n").unwrap();
    let mut train = rtrl();
    train.args(["train", "--target", "y", "--checkpoint", "first", "--report", "report"]);
    train.arg("--save").arg(&model).arg(&series);
    let mut run = rtrl();
    run.args(["run", "--checkpoint", "second"]).arg(&model).arg(&series);
    for mut command in [train, run] {
        let output = command.current_dir(folder.path()).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
        let output = command.arg("--resume").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
