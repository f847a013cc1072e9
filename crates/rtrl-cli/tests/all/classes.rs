//! Targets that are classes, in `rtrl train`, `rtrl run` and `rtrl generate`.

use std::fs;

use approx::assert_abs_diff_eq;
use rtrl_model::Generator;
use rtrl_model::store::network::SavedModel;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{fails, has_words, is_page, json, printed, run, with_series};

/// Labels that follow from the last two, but for one in ten that is drawn.
fn labels(rows: usize, seed: u64) -> Vec<&'static str> {
    let mut generator = Generator::new(seed);
    let mut last = [0, 1];
    let next = |_| {
        let drawn = (3.0 * generator.between(0.0, 1.0)).floor();
        let class = if generator.between(0.0, 1.0) < 0.9 {
            (last[0] + 2 * last[1]) % 3
        } else {
            [0.0, 1.0, 2.0].iter().position(|&class| class == drawn).unwrap()
        };
        last = [last[1], class];
        ["ash", "elm", "oak"][class]
    };
    (0..rows).map(next).collect()
}

/// A series of labels and a column that says nothing.
fn series(rows: usize, seed: u64) -> String {
    let lines = labels(rows, seed).into_iter().enumerate();
    let lines = lines.map(|(t, label)| format!("{},{label}\n", t % 5));
    format!("x,tree\n{}", lines.collect::<String>())
}

const TRAIN: [&str; 4] = ["train", "series", "--target", "tree"];

#[test]
fn text_is_forecast_as_a_class() {
    let folder = with_series(&series(6000, 1));
    let outputs = ["--json", "json", "--predictions", "out", "--report", "page"];
    let (table, noted) = run(folder.path(), &[&TRAIN[..], &outputs].concat());
    let words = ["accuracy", "log loss", "AUC", "class frequencies", "precision", "recall"];
    has_words(&table, &words);
    has_words(&table, &["smallest log loss: exact RTRL", "next tree: "]);
    has_words(&noted, &["log loss", "      4096 ", " elm "]);
    is_page(&fs::read_to_string(folder.path().join("page")).unwrap(), 5);
    let json = json(folder.path());
    let number = |value: &Value| value.as_f64().unwrap();
    let (ours, still) = (number(&json["log_loss"]), number(&json["still"]["log_loss"]));
    // At best: 0.93 of the labels are known, 0.31 nats.
    assert!(number(&json["accuracy"]) > 0.85 && ours < 0.6 && ours < still, "{json}");
    assert!(number(&json["auc"]) > 0.9);
    // Negative control: what knows nothing of the order is at chance.
    let frequencies = &json["frequencies"];
    assert!(number(&frequencies["log_loss"]) > 1.0 && number(&frequencies["accuracy"]) < 0.5);
    assert_abs_diff_eq!(number(&json["persistence"]["auc"]), 0.5, epsilon = 0.1);
    assert_eq!(json["options"]["classes"]["tree"], serde_json::json!(["ash", "elm", "oak"]));
    assert_eq!(json["options"]["predict"], "class");
    assert_eq!(json["options"]["readout"], "gradient");
    // The scores are those of the predictions.
    let lines = fs::read_to_string(folder.path().join("out")).unwrap();
    assert!(lines.starts_with("row,target,prediction,p.ash,p.elm,p.oak,next\n1,"));
    let cells: Vec<Vec<&str>> = lines.lines().map(|line| line.split(',').collect()).collect();
    assert!(cells[1][2..6].iter().all(|cell| cell.is_empty()) && !cells[1][6].is_empty());
    let counted = &cells[302..];
    let right = counted.iter().filter(|row| row[1] == row[2]).count();
    assert_eq!(json["accuracy"], right as f64 / counted.len() as f64);
    let place = |row: &[&str]| cells[0].iter().position(|name| name[2..] == *row[1]).unwrap();
    let surprisal = |row: &Vec<&str>| -row[place(row)].parse::<f64>().unwrap().ln();
    let loss = counted.iter().map(surprisal).sum::<f64>() / counted.len() as f64;
    assert!((loss - ours).abs() < 1e-9, "{loss} {ours}");
    let oaks: Vec<_> = counted.iter().filter(|row| row[1] == "oak").collect();
    let recall = oaks.iter().filter(|row| row[2] == "oak").count() as f64 / oaks.len() as f64;
    assert_eq!(json["per_class"][2]["recall"], recall);
    assert!(cells[1..].windows(2).all(|pair| pair[0][6] == pair[1][2]), "next is the next");
}

/// Two classes of numbers, or of JSON, of the same row.
#[test]
fn numbers_and_truth_values_are_classes_if_the_user_says_so() {
    let folder = TempDir::new().unwrap();
    let mut generator = Generator::new(2);
    let (mut csv, mut lines, mut last) = (vec!["a,y\n".to_owned()], Vec::new(), false);
    for _ in 0..3000 {
        let bit = generator.bit();
        let (a, y) = (u8::from(bit), bit ^ last);
        csv.push(format!("{a},{}\n", u8::from(y)));
        lines.push(format!("{{\"a\":{a},\"y\":{y}}}\n"));
        last = bit;
    }
    fs::write(folder.path().join("csv"), csv.concat()).unwrap();
    fs::write(folder.path().join("jsonl"), lines.concat()).unwrap();
    let options = ["--target", "y", "--horizon", "0", "--json", "json"];
    let scores = |file, more: &[&str]| {
        printed(folder.path(), &[&["train", file], &options[..], more].concat());
        let mut json = json(folder.path());
        let classes = json["options"]["classes"]["y"].take();
        (json["log_loss"].clone(), json["auc"].as_f64(), classes)
    };
    let (loss, auc, classes) = scores("jsonl", &[]);
    assert!(auc.unwrap() > 0.95, "{auc:?}");
    assert_eq!(classes, serde_json::json!(["false", "true"]));
    let numbers = scores("csv", &["--classes", "y"]);
    assert_eq!(numbers, (loss, auc, serde_json::json!(["0", "1"])));
    // In the other order, the second class is the other one, of the same difficulty.
    let (_, other, classes) = scores("csv", &["--classes", "y=1,0"]);
    assert_eq!(classes, serde_json::json!(["1", "0"]));
    assert!(other.unwrap() > 0.95);
    // Numbers are numbers otherwise.
    printed(folder.path(), &[&["train", "csv"], &options[..]].concat());
    assert!(json(folder.path())["rmse"].is_number());
}

#[test]
fn a_model_of_classes_runs_and_generates() {
    let folder = with_series(&series(4000, 1));
    printed(folder.path(), &[&TRAIN[..], &["--save", "model", "--predictions", "first"]].concat());
    let first = fs::read_to_string(folder.path().join("first")).unwrap();
    let next = first.trim_end().rsplit_once(',').unwrap().1;
    let (head, rest) = (series(1, 1), series(900, 7));
    let rest = head.lines().next().unwrap().to_owned() + &rest[head.find('\n').unwrap()..];
    fs::write(folder.path().join("rest"), &rest).unwrap();
    let (out, noted) = run(folder.path(), &["run", "model", "rest"]);
    let row: Vec<&str> = out.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(row[2], next, "{out}");
    has_words(&noted, &["900 rows, 900 forecasts: accuracy 0.9", "log loss 0.", "AUC 0.9"]);
    let learnt = printed(folder.path(), &["run", "model", "rest", "--learn", "--save", "more"]);
    assert_ne!(learnt, out);
    assert_ne!(weights(&folder, "model"), weights(&folder, "more"));
    // Without its column, or its label, a row is predicted.
    fs::write(folder.path().join("none"), "x,tree\n1,elm\n2,\n").unwrap();
    fails(folder.path(), &["run", "model", "none"], 1, &["line 3, column \"tree\"", "got \"\""]);
    let lines = printed(folder.path(), &["run", "model", "rest", "--format", "jsonl"]);
    let line: Value = serde_json::from_str(lines.lines().nth(5).unwrap()).unwrap();
    assert!(line["p.oak"].is_number() && line["prediction"].is_string(), "{line}");
    // It runs on the most probable label.
    let generated = printed(folder.path(), &["generate", "model", "--steps", "30"]);
    assert!(generated.starts_with("row,prediction,p.ash,p.elm,p.oak\n"));
    let labels: Vec<&str> =
        generated.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!((labels.len(), labels[0]), (30, next));
    fs::write(folder.path().join("fed"), format!("tree\n{}\n", labels.join("\n"))).unwrap();
    let fed = printed(folder.path(), &["run", "model", "fed"]);
    let fed: Vec<&str> = fed.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(fed, labels);
    let text = printed(folder.path(), &["inspect", "model", "--series", "series", "--steps", "50"]);
    has_words(&text, &["16", "tanh"]);
}

/// The weights of a model of classes.
fn weights(folder: &TempDir, name: &str) -> Vec<Vec<f64>> {
    let model = SavedModel::read(&folder.path().join(name)).unwrap();
    model.network::<f32>(&[]).unwrap().weights().to_rows()
}

/// A row without a label is a step without a target.
#[test]
fn labels_may_be_missing() {
    let folder = with_series(&series(2000, 1));
    let text = fs::read_to_string(folder.path().join("series")).unwrap();
    let lines = text.lines().enumerate();
    let lines = lines.map(|(t, line)| match line.split_once(',') {
        Some((x, _)) if t % 3 == 2 => format!("{x},\n"),
        _ => format!("{line}\n"),
    });
    fs::write(folder.path().join("series"), lines.collect::<String>()).unwrap();
    let out = ["--missing", "zero", "--predictions", "out", "--json", "json"];
    printed(folder.path(), &[&TRAIN[..], &out].concat());
    let lines = fs::read_to_string(folder.path().join("out")).unwrap();
    let third: Vec<&str> = lines.lines().nth(2).unwrap().split(',').collect();
    assert!(third[1].is_empty() && !third[2].is_empty() && !third[3].is_empty(), "{third:?}");
    let json = json(folder.path());
    let rows: u64 = (0..3).map(|k| json["per_class"][k]["rows"].as_u64().unwrap()).sum();
    // Of 2000 rows every third has no label, the first is not forecast and 300 are skipped.
    assert_eq!((json["rows"].as_u64(), rows), (Some(2000), 2000 - 667 - 1 - 300));
    fails(folder.path(), &TRAIN, 1, &["line 3", "--missing"]);
}

#[test]
fn wrong_labels_and_options_are_refused() {
    let folder = with_series(&series(1500, 1));
    let path = folder.path().join("series");
    let text = fs::read_to_string(&path).unwrap();
    // A label that is not among the first 1000 rows, or not among those given.
    fs::write(&path, format!("{text}1,fir\n2,ash\n")).unwrap();
    let words = ["line 1502, column \"tree\": got \"fir\", expected one of ash, elm, oak"];
    fails(folder.path(), &TRAIN, 1, &words);
    let skip = ["--on-error", "skip", "--json", "json"];
    let table = printed(folder.path(), &[&TRAIN[..], &skip].concat());
    has_words(&table, &["skipped 1 row with errors", "line 1502"]);
    assert_eq!(json(folder.path())["skipped"], 1);
    let given = [&TRAIN[..], &["--classes", "tree=ash,elm"]].concat();
    fails(folder.path(), &given, 1, &["got \"oak\", expected one of ash, elm"]);
    for (options, code, words) in [
        (&["--readout", "rls"][..], 2, ["--readout: got least squares", "--readout gradient"]),
        (&["--ridge", "2"], 2, ["--ridge: got least squares", "probabilities of classes"]),
        (&["--predict", "value"], 2, ["--predict: got value for a class", "numbers"]),
        (&["--baselines", "ar"], 2, ["--baselines: got ar for a class", "frequencies"]),
        (&["--classes", "tree=ash"], 1, ["got only the class \"ash\"", "at least 2 classes"]),
        (&["--classes", "z"], 1, ["got column \"z\"", "expected one of x, tree"]),
        (&["--inputs", "tree", "--classes", "x"], 2, ["got column \"x\"", "input or the target"]),
    ] {
        fails(folder.path(), &[&TRAIN[..], options].concat(), code, &words);
    }
    let both = ["train", "series", "--target", "x,tree"];
    fails(folder.path(), &both, 2, &["--target", "column of text \"tree\"", "alone"]);
    let numbers = ["train", "series", "--target", "x", "--baselines", "frequencies"];
    fails(folder.path(), &numbers, 2, &["--baselines: got frequencies for numbers", "ar"]);
    // A first row with an error does not hide that the target is text.
    fs::write(&path, text.replacen('\n', "\nbad\n", 1)).unwrap();
    let skip = [&TRAIN[..], &["--on-error", "skip"]].concat();
    has_words(&printed(folder.path(), &skip), &["log loss", "skipped 1 row"]);
    // Names of all kinds are no classes, unless the user says so.
    let names: Vec<String> = (0..150).map(|t| format!("{t},name {t}\n")).collect();
    fs::write(&path, format!("x,tree\n{}", names.concat())).unwrap();
    fails(folder.path(), &TRAIN, 1, &["150 different texts", "--classes tree"]);
    printed(folder.path(), &[&TRAIN[..], &["--classes", "tree"]].concat());
    // Text after numbers is wrong.
    fs::write(&path, "x,tree\n1,1\n2,2\n3,elm\n").unwrap();
    fails(folder.path(), &TRAIN, 1, &["line 4", "got \"elm\", expected a finite number"]);
}

/// The checkpoint has the classes, also those that the rest of the series lacks.
#[test]
fn a_run_of_classes_is_resumed() {
    let folder = with_series(&series(2400, 1));
    let path = folder.path().join("series");
    let text = fs::read_to_string(&path).unwrap();
    let outputs = ["--predictions", "out", "--save", "model", "--report", "page", "--json", "json"];
    let train = [&TRAIN[..], &outputs].concat();
    printed(folder.path(), &train);
    let read = |name| fs::read(folder.path().join(name)).unwrap();
    let whole = ["out", "model"].map(read);
    let kept = ["--checkpoint", "kept", "--resume", "--every", "500"];
    let resumed = [&train[..], &kept].concat();
    let lines: Vec<&str> = text.lines().collect();
    for rows in [700, 701, 1900, 2400] {
        fs::write(&path, lines[..=rows].join("\n") + "\n").unwrap();
        printed(folder.path(), &resumed);
    }
    assert!(["out", "model"].map(read) == whole);
    has_words(&String::from_utf8_lossy(&read("json")), &["\"rows\": 2400"]);
    // Negative control: another order of classes is another run.
    let other = [&resumed[..], &["--classes", "tree=oak,elm,ash"]].concat();
    fails(folder.path(), &other, 1, &["--resume: got --classes tree [\"oak\""]);
}
