//! Several targets at once, in `rtrl train`, `rtrl run` and `rtrl generate`.

use std::fs;

use serde_json::Value;

use crate::common::{cells, fails, has_words, is_page, json, run, with_series};

/// Two waves of different size and a third column; every seventh `b` is missing if `gaps`.
fn series(rows: usize, gaps: bool) -> String {
    let row = |t: usize| {
        let phase = 0.3 * t as f64;
        let b = if gaps && t % 7 == 6 {
            String::new()
        } else {
            format!("{}", 200.0 * (0.7 * phase).cos() + t as f64 % 3.0)
        };
        format!("{},{b},{}\n", phase.sin(), t % 5)
    };
    format!("a,b,c\n{}", (0..rows).map(row).collect::<String>())
}

const TRAIN: [&str; 4] = ["train", "series", "--target", "a,b"];

#[test]
fn several_targets_are_forecast_by_one_network() {
    let folder = with_series(&series(1200, false));
    let outputs = ["--json", "json", "--predictions", "out", "--report", "page"];
    let (table, noted) = run(folder.path(), &[&TRAIN[..], &outputs].concat());
    has_words(&table, &["exact RTRL", "persistence", "ar", "still", "all, in standard deviations"]);
    has_words(&table, &["next a: ", "next b: "]);
    has_words(&noted, &["rmse", "      1024 "]);
    is_page(&fs::read_to_string(folder.path().join("page")).unwrap(), 7);
    let json = json(folder.path());
    assert_eq!((&json["target"], &json["rows"]), (&"a, b".into(), &1200.into()));
    let lines = fs::read_to_string(folder.path().join("out")).unwrap();
    let header = "row,a.target,a.prediction,a.low,a.high,a.next,b.target,b.prediction,b.low,b.high";
    assert!(lines.starts_with(header), "{lines}");
    let rows = cells(&lines);
    for (j, (name, column)) in [("a", 1), ("b", 6)].into_iter().enumerate() {
        let target = &json["targets"][j];
        assert_eq!(target["target"], name);
        let errors = rows[301..].iter().map(|row| row[column].unwrap() - row[column + 1].unwrap());
        let rmse = (errors.map(|e| e * e).sum::<f64>() / 899.0).sqrt();
        assert!((target["rmse"].as_f64().unwrap() / rmse - 1.0).abs() < 1e-9, "{name}");
        let persistence = target["persistence_rmse"].as_f64().unwrap();
        assert!(rmse < 0.5 * persistence, "{name}: {rmse} and {persistence}");
        let inside = rows[100..].iter();
        let inside =
            inside.filter(|row| row[column + 2] <= row[column] && row[column] <= row[column + 3]);
        assert!((900..1100).contains(&inside.count()), "{name}");
        let next = rows.windows(2).all(|pair| pair[0][column + 4] == pair[1][column + 1]);
        assert!(next, "{name}");
    }
    // The baselines of a target are those that it has alone.
    let alone = ["train", "series", "--target", "b", "--json", "json"];
    run(folder.path(), &alone);
    let alone = crate::common::json(folder.path());
    for key in ["persistence_rmse", "ar_rmse", "ar_mae"] {
        assert_eq!(json["targets"][1][key], alone[key], "{key}");
    }
    assert!(alone.get("targets").is_none());
}

/// In standard deviations, so a change of units changes nothing. Powers of two are exact.
#[test]
fn the_error_of_all_targets_has_no_unit() {
    let folder = with_series(&series(900, false));
    let train = [&TRAIN[..], &["--json", "json", "--predict", "value"]].concat();
    run(folder.path(), &train);
    let first = json(folder.path());
    let text = series(900, false);
    let larger = text.lines().map(|line| match line.split_once(',') {
        Some((a, rest)) if a != "a" => format!("{},{rest}\n", 1024.0 * a.parse::<f64>().unwrap()),
        _ => format!("{line}\n"),
    });
    fs::write(folder.path().join("series"), larger.collect::<String>()).unwrap();
    run(folder.path(), &train);
    let second = json(folder.path());
    for key in ["persistence_rmse", "ar_rmse"] {
        assert_eq!(first[key], second[key], "{key}");
        let of = |json: &Value| json["targets"][0][key].as_f64().unwrap();
        assert_eq!(1024.0 * of(&first), of(&second), "{key}");
    }
}

/// The root mean square of the errors in some rows of both targets, each in standard deviations of
/// its target in all rows.
fn together(all: &[Vec<Option<f64>>], scored: &[Vec<Option<f64>>]) -> f64 {
    let (mut squares, mut count) = (0.0, 0.0);
    for column in [1, 6] {
        let values: Vec<f64> = all.iter().filter_map(|row| row[column]).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squared = values.iter().map(|value| (value - mean) * (value - mean));
        let variance = squared.sum::<f64>() / values.len() as f64;
        for row in scored {
            let Some(error) = row[column + 1].zip(row[column]).map(|(f, t)| f - t) else {
                continue;
            };
            (squares, count) = (squares + error * error / variance, count + 1.0);
        }
    }
    f64::sqrt(squares / count)
}

/// Errors of the first rows were once divided by the deviation of only a few values, and kept so in
/// the sum, even in a run of a model in which the deviation was known.
#[test]
fn errors_of_all_targets_are_in_deviations_of_all_values_so_far() {
    let folder = with_series(&series(600, true));
    let write = |name: &str, lines: &[&str]| {
        fs::write(folder.path().join(name), lines.join("\n") + "\n").unwrap();
    };
    let text = series(600, true);
    let lines: Vec<&str> = text.lines().collect();
    // The lines of progress agree with the predictions of all rows, of which a model knows the
    // first.
    let agree = |noted: &str, rows: &[Vec<Option<f64>>], known: usize| {
        let (mut last, mut found) = (0, 0);
        for line in noted.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let Some(row) = line["row"].as_u64() else { continue };
            let row = usize::try_from(row).unwrap();
            let all = &rows[..known + row];
            for (key, from) in [("rmse", 0), ("since_last", last)] {
                let expected = together(all, &all[known + from..]);
                let got = line[key].as_f64();
                assert_eq!(got.is_none(), expected.is_nan(), "{line}");
                assert!(got.is_none_or(|got| (got / expected - 1.0).abs() < 1e-9), "{key}: {line}");
            }
            (last, found) = (row, found + 1);
        }
        found
    };
    let log = ["--log", "json", "--missing", "last", "--predictions", "out"];
    let train = [&TRAIN[..], &log].concat();
    let noted = run(folder.path(), &[&train[..], &["--json", "json"]].concat()).1;
    let read = |name: &str| cells(&fs::read_to_string(folder.path().join(name)).unwrap());
    let rows = read("out");
    assert_eq!(agree(&noted, &rows, 0), 10);
    // 300 forecasts of each target do not count; every seventh of the second one is missing.
    let mut settled = rows.clone();
    settled[..301].iter_mut().for_each(|row| row[1] = None);
    settled[..351].iter_mut().for_each(|row| row[6] = None);
    let rmse = json(folder.path())["rmse"].as_f64().unwrap();
    assert!((rmse / together(&rows, &settled) - 1.0).abs() < 1e-9, "{rmse}");
    // A model of the first rows runs on the rest.
    write("series", &lines[..=200]);
    run(folder.path(), &[&train[..], &["--save", "model"]].concat());
    let first = read("out");
    write("rest", &[&lines[..1], &lines[201..]].concat());
    for learn in [&[][..], &["--learn"]] {
        let command = [&["run", "model", "rest", "--log", "json"][..], learn].concat();
        let (out, noted) = run(folder.path(), &command);
        let rows = [first.clone(), cells(&out)].concat();
        assert_eq!(agree(&noted, &rows, 200), 9);
        let said = noted.rsplit_once("RMSE ").unwrap().1.split_once(',').unwrap().0;
        let (got, expected) = (said.parse::<f64>().unwrap(), together(&rows, &rows[200..]));
        assert!((got / expected - 1.0).abs() < 1e-3, "{got} {expected}");
        // A run that is resumed says the same.
        let resumed = [&command[..], &["--checkpoint", "kept", "--resume"]].concat();
        for end in [203, 400, 601] {
            write("rest", &[&lines[..1], &lines[201..end]].concat());
            let noted = run(folder.path(), &resumed).1;
            assert_eq!(noted.contains(&format!("RMSE {said}, ")), end == 601, "{noted}");
        }
        fs::remove_file(folder.path().join("kept")).unwrap();
    }
}

/// Columns, ranges and exceptions choose targets as they choose inputs.
#[test]
fn targets_are_chosen_in_many_ways() {
    let folder = with_series(&series(60, false));
    let targets = |target: &[&str]| {
        let train = [&["train", "series", "--skip", "5", "--json", "json"], target].concat();
        run(folder.path(), &train);
        let json = json(folder.path());
        (json["target"].as_str().unwrap().to_owned(), json["rmse"].clone())
    };
    let expected = targets(&["--target", "a,b"]);
    for target in [
        &["--target", "1-2"][..],
        &["--target", "a-b"],
        &["--target", "!c"],
        &["--target", "a", "--target", "2"],
    ] {
        assert_eq!(targets(target), expected, "{target:?}");
    }
    let all = targets(&["--target", "c,a", "--horizon", "0"]);
    assert_eq!(
        (all.0.as_str(), json(folder.path())["options"]["inputs"][0].as_str()),
        ("c, a", Some("b"))
    );
    let refused = |options: &[&str], code, words: &[&str]| {
        fails(folder.path(), &[&["train", "series"], options].concat(), code, words);
    };
    refused(&["--target", "a,a"], 2, &["--target: got column \"a\" twice"]);
    refused(&["--target", "a,bb"], 1, &["got column \"bb\", expected one of a, b, c"]);
    refused(&["--target", "!1-3"], 2, &["--target: got no column"]);
    let same = ["--target", "a,b", "--horizon", "0", "--inputs", "b,c"];
    refused(&same, 2, &["the target \"b\"", "--horizon 0"]);
    // A name with a comma is one name.
    fs::write(folder.path().join("series"), "\"x,y\",z\n1,2\n2,3\n3,5\n").unwrap();
    assert_eq!(targets(&["--target", "x,y"]).0, "x,y");
    let lines = ["--target", "x,y", "--target", "z", "--predictions", "out"];
    assert_eq!(targets(&lines).0, "x,y, z");
    let out = fs::read_to_string(folder.path().join("out")).unwrap();
    assert!(out.starts_with("row,\"x,y.target\",\"x,y.prediction\""), "{out}");
}

/// What is missing of one target is predicted, and does not count for that target alone.
#[test]
fn a_value_may_be_missing_of_one_target() {
    let folder = with_series(&series(1400, true));
    let options = ["--missing", "last", "--json", "json", "--predictions", "out", "--skip", "100"];
    run(folder.path(), &[&TRAIN[..], &options].concat());
    let json = json(folder.path());
    let rows = cells(&fs::read_to_string(folder.path().join("out")).unwrap());
    assert!(rows[6][6].is_none() && rows[6][7].is_some() && rows[6][1].is_some());
    // The first row is not forecast; 100 forecasts of each target do not count.
    let counted = |column: usize| {
        let errors = rows[1..].iter().filter_map(|row| Some(row[column]? - row[column + 1]?));
        let errors: Vec<f64> = errors.skip(100).collect();
        (errors.len(), (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt())
    };
    for (j, (column, count)) in [(1, 1299), (6, 1099)].into_iter().enumerate() {
        let (found, rmse) = counted(column);
        let expected = json["targets"][j]["rmse"].as_f64().unwrap();
        assert_eq!(found, count);
        assert!((rmse / expected - 1.0).abs() < 1e-9, "{rmse} {expected}");
    }
    fails(folder.path(), &TRAIN, 1, &["line 8, column \"b\"", "--missing"]);
}

#[test]
fn a_model_of_several_targets_runs_and_generates() {
    for options in [&[][..], &["--readout", "gradient", "--cell", "lstm", "--precision", "f64"]] {
        let folder = with_series(&series(800, false));
        let save = ["--save", "model", "--predictions", "out"];
        run(folder.path(), &[&TRAIN[..], &save, options].concat());
        let first = cells(&fs::read_to_string(folder.path().join("out")).unwrap());
        let next = [first[799][5], first[799][10]];
        let generated = run(folder.path(), &["generate", "model", "--steps", "40"]).0;
        assert!(generated.starts_with("row,a.prediction,b.prediction\n"));
        let values = cells(&generated);
        assert_eq!(values[0][1..], next);
        // Generating is running on what was generated.
        let fed = values.iter().map(|row| format!("{:?},{:?}\n", row[2].unwrap(), row[1].unwrap()));
        fs::write(folder.path().join("fed"), format!("b,a\n{}", fed.collect::<String>())).unwrap();
        let (out, noted) = run(folder.path(), &["run", "model", "fed"]);
        has_words(&noted, &["40 rows, 40 forecasts: RMSE 0.000", "in standard deviations"]);
        let predicted = cells(&out).into_iter().map(|row| [row[2], row[7]]);
        assert!(predicted.eq(values.iter().map(|row| [row[1], row[2]])));
        assert!(cells(&out)[0][3].is_some(), "the interval is known");
        // With learning, the predictions change; without a target, it needs inputs.
        let learnt = run(folder.path(), &["run", "model", "series", "--learn", "--save", "more"]).0;
        assert_ne!(learnt, run(folder.path(), &["run", "model", "series"]).0);
        run(folder.path(), &["run", "more", "fed"]);
        fs::write(folder.path().join("fed"), "b\n1\n2\n").unwrap();
        fails(folder.path(), &["run", "model", "fed"], 1, &["column \"a\""]);
    }
    let folder = with_series(&series(60, false));
    let train = ["--inputs", "a,c", "--save", "model", "--skip", "9"];
    run(folder.path(), &[&TRAIN[..], &train].concat());
    let words = ["inputs a, c", "only its targets a, b"];
    fails(folder.path(), &["generate", "model", "--steps", "1"], 1, &words);
    // A table without a target that is no input still has predictions of it.
    fs::write(folder.path().join("rest"), "a,c\n1,2\n2,3\n").unwrap();
    let out = cells(&run(folder.path(), &["run", "model", "rest"]).0);
    assert!(out[1][6].is_none() && out[1][7].is_some());
    fails(folder.path(), &["run", "model", "rest", "--learn"], 1, &["column \"b\""]);
}

#[test]
fn a_run_of_several_targets_is_resumed() {
    let folder = with_series(&series(1500, true));
    let path = folder.path().join("series");
    let text = fs::read_to_string(&path).unwrap();
    let outputs =
        ["--predictions", "out", "--save", "model", "--report", "page", "--missing", "mean"];
    let train = [&TRAIN[..], &outputs].concat();
    run(folder.path(), &train);
    let read = |name| fs::read(folder.path().join(name)).unwrap();
    let whole = ["out", "model"].map(read);
    let resumed = [&train[..], &["--checkpoint", "kept", "--resume"]].concat();
    let lines: Vec<&str> = text.lines().collect();
    for rows in [7, 500, 1500] {
        fs::write(&path, lines[..=rows].join("\n") + "\n").unwrap();
        run(folder.path(), &resumed);
    }
    assert!(["out", "model"].map(read) == whole);
    let other: Vec<&str> =
        resumed.iter().map(|&arg| if arg == "a,b" { "b,a" } else { arg }).collect();
    fails(folder.path(), &other, 1, &["--resume: got --inputs [\"b\",\"a\"]"]);
}
