//! `rtrl run`, `rtrl generate` and the predictions of `rtrl train`, as a pipeline meets them.

mod outputs;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rtrl_model::store::network::SavedModel;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{cells, fails, has_words, json, printed, program, rtrl};

/// Rows of a series with two columns besides its target.
fn rows(from: u32, to: u32) -> String {
    let row = |t: u32| {
        let phase = f64::from(t) * 0.3;
        format!("{t},{},{}\n", phase.sin(), (0.7 * phase).cos() + 0.01 * f64::from(t % 7))
    };
    format!("time,x,y\n{}", (from..to).map(row).collect::<String>())
}

/// A folder with a model that has learnt from rows 0 to 600, and the predictions of that run.
fn trained(options: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("first.csv"), rows(0, 600)).unwrap();
    fs::write(folder.path().join("rest.csv"), rows(600, 900)).unwrap();
    let mut command = rtrl();
    command.current_dir(folder.path()).args(["train", "first.csv", "--target", "y"]);
    command.args(["--save", "model", "--predictions", "first.out"]).args(options);
    command.assert().success();
    folder
}

/// The root mean square of target minus prediction.
fn rmse(rows: &[Vec<Option<f64>>]) -> f64 {
    let errors = rows.iter().filter_map(|row| Some(row[1]? - row[2]?));
    let (count, sum) = errors.fold((0, 0.0), |(count, sum), e: f64| (count + 1, sum + e * e));
    (sum / f64::from(count)).sqrt()
}

#[test]
fn predictions_have_a_line_for_each_row() {
    let folder = trained(&["--skip", "50"]);
    let text = fs::read_to_string(folder.path().join("first.out")).unwrap();
    assert!(text.starts_with("row,target,prediction,low,high,next\n"), "{text}");
    let rows = cells(&text);
    assert_eq!(rows.len(), 600);
    for (place, row) in rows.iter().enumerate() {
        assert_eq!((row.len(), row[0]), (6, Some(place as f64 + 1.0)));
        // The first row is not forecast, and an interval needs 20 errors.
        assert_eq!((row[2].is_some(), row[3].is_some()), (place > 0, place > 20), "{place}");
        let next = rows.get(place + 1).map_or(row[5], |next| next[2]);
        assert_eq!(row[5], next, "the next forecast is that of the next row");
    }
    let inside = rows[100..].iter().filter(|row| row[3] <= row[1] && row[1] <= row[4]).count();
    assert!((400..500).contains(&inside), "{inside} of 500");
    // The errors are those of the table.
    let again = ["train", "first.csv", "--target", "y", "--skip", "0", "--json", "json"];
    printed(folder.path(), &again);
    let json = json(folder.path());
    let expected = json["rmse"].as_f64().unwrap();
    assert!((rmse(&rows) / expected - 1.0).abs() < 1e-9, "{expected}");
}

/// Nothing has to be said twice, and the model continues where it was.
#[test]
fn a_model_continues_on_further_rows() {
    for options in [
        &["--inputs", "x,y"][..],
        &["--readout", "gradient", "--cell", "gru", "--units", "5", "--precision", "f64"],
        &["--horizon", "0", "--window", "3"],
    ] {
        let folder = trained(options);
        let first = cells(&fs::read_to_string(folder.path().join("first.out")).unwrap());
        let still = cells(&printed(folder.path(), &["run", "model", "rest.csv"]));
        let learnt = printed(folder.path(), &["run", "model", "rest.csv", "--learn"]);
        let learnt = cells(&learnt);
        assert_eq!((still.len(), learnt.len()), (300, 300));
        if let Some(next) = first[599].get(5) {
            assert_eq!((still[0][2], learnt[0][2]), (*next, *next), "{options:?}");
        }
        // The interval is known from the first row on.
        assert!(still[0][3].is_some() && learnt[0][3].is_some());
        assert_ne!(still[299], learnt[299], "{options:?}");
        let error = rmse(&learnt);
        assert!(error < 1.1 * rmse(&first[300..]), "{options:?}: {error}");
    }
}

/// The readout is fitted as if the run had never stopped, if only the readout learns.
#[test]
fn a_readout_is_fitted_as_without_a_stop() {
    let options = ["--learning-rate", "1e-300", "--optimizer", "sgd"];
    let folder = trained(&options);
    fs::write(folder.path().join("whole.csv"), rows(0, 900)).unwrap();
    let train = ["train", "whole.csv", "--target", "y", "--predictions", "whole.out"];
    printed(folder.path(), &[&train[..], &options].concat());
    let whole = cells(&fs::read_to_string(folder.path().join("whole.out")).unwrap());
    let run = cells(&printed(folder.path(), &["run", "model", "rest.csv", "--learn"]));
    for (whole, run) in whole[600..].iter().zip(&run) {
        assert_eq!(whole[1..], run[1..]);
    }
}

/// One pass in two halves, saved in between, learns from both.
#[test]
fn a_model_that_has_learnt_more_is_saved() {
    let folder = trained(&[]);
    let run = ["run", "model", "rest.csv", "--learn", "--save", "more"];
    let first = printed(folder.path(), &run);
    let [before, after] =
        ["model", "more"].map(|name| SavedModel::read(&folder.path().join(name)).unwrap());
    let [before, after] = [before, after].map(|model| model.network::<f32>(&[]).unwrap());
    assert_ne!(before.weights(), after.weights());
    // Saved without learning, only the state is another.
    printed(folder.path(), &["run", "model", "rest.csv", "--save", "moved"]);
    let moved = SavedModel::read(&folder.path().join("moved")).unwrap();
    let moved = moved.network::<f32>(&[]).unwrap();
    assert_eq!(moved.weights(), before.weights());
    assert_eq!(moved.connections(), before.connections());
    assert_ne!(moved.initial_state(), before.initial_state());
    // It learns later as the first model does, from where it is.
    let learn = ["rest.csv", "--learn", "--save", "later"];
    for model in ["model", "moved"] {
        printed(folder.path(), &[&["run", model][..], &learn].concat());
        let later = SavedModel::read(&folder.path().join("later")).unwrap();
        let weights = later.network::<f32>(&[]).unwrap();
        assert_ne!(weights.weights(), before.weights(), "{model}");
        assert!(!later.readout_fits().is_empty(), "{model}");
    }
    let again = printed(folder.path(), &["run", "model", "rest.csv", "--learn"]);
    assert_eq!(first, again);
}

#[test]
fn predictions_as_json_lines_have_the_same_values() {
    let folder = trained(&[]);
    let csv = printed(folder.path(), &["run", "model", "rest.csv"]);
    let names: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let jsonl = printed(folder.path(), &["run", "model", "rest.csv", "--format", "jsonl"]);
    let values: Vec<Vec<Option<f64>>> = jsonl
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| names.iter().map(|name| line[*name].as_f64()).collect())
        .collect();
    assert_eq!(values, cells(&csv));
}

/// A row whose target is missing is predicted all the same.
#[test]
fn a_target_that_is_missing_is_predicted() {
    let folder = trained(&["--horizon", "0"]);
    let text = "time,x,y\n600,0.5,\n601,0.25,1.0\n";
    fs::write(folder.path().join("rest.csv"), text).unwrap();
    let rows = cells(&printed(folder.path(), &["run", "model", "rest.csv"]));
    assert_eq!(rows.len(), 2);
    assert!(rows[0][1].is_none() && rows[0][2].is_some() && rows[1][1] == Some(1.0));
}

/// A table without the column of the target has rows to predict; the time of a row is passed on.
#[test]
fn rows_without_targets_are_predicted_with_their_time() {
    let folder = trained(&["--horizon", "0", "--time", "time"]);
    let path = folder.path().join("rest.csv");
    fs::write(&path, "time,x,y\nt 1,0.5,\n\"t, 2\",0.25,\n").unwrap();
    let whole = printed(folder.path(), &["run", "model", "rest.csv"]);
    assert!(whole.starts_with("row,time,target,prediction,low,high\n1,t 1,,"), "{whole}");
    assert!(whole.contains("\n2,\"t, 2\",,"), "{whole}");
    fs::write(&path, "x,time\n0.5,t 1\n0.25,\"t, 2\"\n").unwrap();
    assert_eq!(printed(folder.path(), &["run", "model", "rest.csv"]), whole);
    let lines = printed(folder.path(), &["run", "model", "rest.csv", "--format", "jsonl"]);
    has_words(&lines, &["{\"row\":2,\"time\":\"t, 2\",\"target\":null,\"prediction\":"]);
    // A row that is wrong is skipped if the user says so.
    fs::write(&path, "x,time\n0.5,t 1\nbad,t\n0.25,\"t, 2\"\n").unwrap();
    assert_eq!(printed(folder.path(), &["run", "model", "rest.csv", "--on-error", "skip"]), whole);
    // To learn, it needs the target.
    let learn = ["run", "model", "rest.csv", "--learn"];
    fails(folder.path(), &learn, 1, &["column \"y\""]);
}

#[test]
fn a_model_runs_on_its_own_forecasts() {
    let folder = trained(&[]);
    let first = cells(&fs::read_to_string(folder.path().join("first.out")).unwrap());
    let text = printed(folder.path(), &["generate", "model", "--steps", "40"]);
    assert!(text.starts_with("row,prediction\n"));
    let rows = cells(&text);
    assert_eq!((rows.len(), rows[0][1]), (40, first[599][5]));
    let values: Vec<f64> = rows.iter().map(|row| row[1].unwrap()).collect();
    // Generating is running on what was generated.
    let fed: Vec<String> = values.iter().map(|value| format!("{value:?}\n")).collect();
    fs::write(folder.path().join("rest.csv"), format!("y\n{}", fed.concat())).unwrap();
    let run = cells(&printed(folder.path(), &["run", "model", "rest.csv"]));
    let predicted: Vec<f64> = run.iter().map(|row| row[2].unwrap()).collect();
    assert_eq!(predicted, values);
    for steps in ["-1", "many"] {
        let generate = ["generate", "model", "--steps", steps];
        fails(folder.path(), &generate, 2, &[steps, "a whole number from 0 to"]);
    }
    let folder = trained(&["--inputs", "x,y"]);
    let generate = ["generate", "model", "--steps", "4"];
    fails(folder.path(), &generate, 1, &["inputs x, y", "only its target y"]);
}

/// Results go to standard output, everything else to standard error, and --quiet leaves nothing.
#[test]
fn standard_output_has_predictions_only() {
    let folder = trained(&[]);
    let run = ["run", "model", "rest.csv"];
    let output = rtrl().current_dir(folder.path()).args(run).output().unwrap();
    let noted = String::from_utf8(output.stderr).unwrap();
    has_words(&noted, &["rmse", "since last", "       256 ", "300 rows, 300 forecasts: RMSE"]);
    let quiet = rtrl().current_dir(folder.path()).args(run).arg("--quiet").output().unwrap();
    assert_eq!((quiet.stdout, quiet.stderr.len()), (output.stdout, 0));
}

/// Each line on standard error is a JSON object, also that of an error.
#[test]
fn logs_are_json_if_the_user_wants() {
    let folder = trained(&[]);
    let logged = |args: &[&str], code: i32| {
        let args = [args, &["--log", "json", "--verbose"]].concat();
        let output = rtrl().current_dir(folder.path()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let lines = String::from_utf8(output.stderr).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    let lines = logged(&["run", "model", "rest.csv"], 0);
    let rows: Vec<_> = lines.iter().filter_map(|line| line["row"].as_u64()).collect();
    assert_eq!(rows, [1, 2, 4, 8, 16, 32, 64, 128, 256]);
    for key in ["rmse", "since_last", "target", "forecast", "rows_per_second"] {
        assert!(lines[3][key].is_number(), "{key}: {}", lines[3]);
    }
    has_words(lines.last().unwrap()["note"].as_str().unwrap(), &["300 rows, 300 forecasts"]);
    let train = ["train", "first.csv", "--checkpoint", "kept", "--target"];
    let lines = logged(&[&train[..], &["x,y"]].concat(), 0);
    assert!(lines[4]["forecast"].as_array().is_some_and(|both| both.len() == 2), "{}", lines[4]);
    has_words(lines.last().unwrap()["note"].as_str().unwrap(), &["checkpoint of row 600"]);
    let lines = logged(&["train", "none.csv", "--target", "y"], 1);
    has_words(lines[0]["error"].as_str().unwrap(), &["none.csv"]);
}

#[test]
fn a_model_that_describes_no_series_is_refused() {
    let folder = trained(&[]);
    let network = SavedModel::read(&folder.path().join("model")).unwrap();
    let network = network.network::<f32>(&[]).unwrap();
    let path = folder.path().join("other");
    let state = network.initial_state();
    rtrl_model::store::network::save(&network, state, serde_json::json!(null), &path).unwrap();
    for command in [&["run", "other"][..], &["generate", "other", "--steps", "1"]] {
        fails(folder.path(), command, 1, &["other", "rtrl train", "series"]);
    }
}

/// Each prediction leaves before the next row arrives.
#[test]
fn live_predictions_are_written_at_once() {
    let folder = trained(&[]);
    let mut child = Command::new(program())
        .current_dir(folder.path())
        .args(["run", "model", "--live", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || output.lines().try_for_each(|line| send.send(line.unwrap())));
    // Waits for ever only if nothing is ever written.
    let next = || receive.recv_timeout(Duration::from_mins(2)).unwrap();
    let text = rows(600, 620);
    let mut lines = text.lines();
    writeln!(input, "{}", lines.next().unwrap()).unwrap();
    assert!(next().starts_with("row,"));
    for (row, line) in (1..).zip(lines) {
        writeln!(input, "{line}").unwrap();
        assert!(next().starts_with(&format!("{row},")), "{row}");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// What is compared changes neither the network nor its errors.
#[test]
fn baselines_are_chosen() {
    let folder = trained(&[]);
    let train = ["train", "first.csv", "--target", "y", "--json", "json", "--save"];
    let mut rmse = Vec::new();
    for (baselines, titles) in [
        ("all", &["persistence", "RLS-AR(12)", "weights fixed"][..]),
        ("still,persistence", &["persistence", "weights fixed"]),
        ("none", &[]),
    ] {
        let args = [&train[..], &[baselines, "--baselines", baselines]].concat();
        let table = printed(folder.path(), &args);
        for title in ["persistence", "RLS-AR(12)", "weights fixed"] {
            assert_eq!(table.contains(title), titles.contains(&title), "{baselines}: {table}");
        }
        let json = json(folder.path());
        for key in ["persistence_rmse", "ar_rmse", "still_rmse"] {
            let name = key.trim_end_matches("_rmse");
            let chosen = baselines == "all" || baselines.contains(name);
            assert_eq!(json[key].is_number(), chosen, "{baselines} {key}");
        }
        rmse.push(json["rmse"].clone());
    }
    assert!(rmse.iter().all(|other| other.is_number() && *other == rmse[0]), "{rmse:?}");
    let model = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert!(model("all") == model("none"));
    let unknown = [&train[..], &["m", "--baselines", "arma"]].concat();
    fails(folder.path(), &unknown, 2, &["persistence, ar, frequencies and still"]);
}
