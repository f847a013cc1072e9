//! Networks in heads: `--heads-of`, from the command line to every file that says so.

use std::fs;
use std::path::Path;

use rtrl_model::store::network::SavedModel;
use tempfile::TempDir;

use super::{fails, train};
use crate::common::{cells, has_words, json, printed, run, with_series};

/// Rows of a wave that two numbers of the past decide.
fn wave(rows: usize) -> String {
    let row =
        |t: usize| format!("{:.6}\n", (0.37 * t as f64).sin() + 0.5 * (0.11 * t as f64).cos());
    "y\n".to_owned() + &(0..rows).map(row).collect::<String>()
}

const TRAIN: [&str; 5] = ["train", "series", "--target", "y", "--save=model"];

/// The layers of the model in a folder: their units and heads.
fn layers(folder: &Path) -> Vec<(usize, usize)> {
    let network = SavedModel::read(&folder.join("model")).unwrap().network::<f32>(&[]).unwrap();
    network.layers().iter().map(|layer| (layer.units(), layer.heads())).collect()
}

#[test]
fn heads_are_in_the_plan_the_model_and_the_reports() {
    let folder = with_series(&wave(500));
    let folder = folder.path();
    let files = ["--json=json", "--report=report", "--verbose"];
    let heads = ["--units", "64", "--heads-of", "8"];
    let (_, noted) = run(folder, &[&TRAIN[..], &files, &heads].concat());
    has_words(
        &noted,
        &["sensitivities: 8 blocks", "8 x eager: 8 states, 8 weight rows, 80 weights"],
    );
    assert_eq!(layers(folder), [(64, 8)]);
    assert_eq!(json(folder)["options"]["heads_of"], 8);
    let model = SavedModel::read(&folder.join("model")).unwrap();
    assert_eq!(model.application()["heads_of"], 8);
    assert_eq!(model.network::<f32>(&[]).unwrap().weights().columns(), 1 + 1 + 8);
    let page = fs::read_to_string(folder.join("report")).unwrap();
    has_words(
        &page,
        &["64 tanh units in heads of 8", "640 recurrent weights", "8 units of the row's head"],
    );
    let inspected = printed(folder, &["inspect", "model", "--json=json", "--report=report"]);
    has_words(&inspected, &["64 tanh units in heads of 8 with leaks", "640 weights learn"]);
    assert_eq!(json(folder)["model"]["layers"][0]["heads_of"], 8);
    has_words(&fs::read_to_string(folder.join("report")).unwrap(), &["in heads of 8"]);

    let (_, noted) = run(folder, &[&TRAIN[..], &files, &["--units", "64"]].concat());
    has_words(&noted, &["sensitivities: 1 block"]);
    assert_eq!(json(folder)["options"]["heads_of"], serde_json::Value::Null);
    assert_eq!(layers(folder), [(64, 1)]);
    assert!(!printed(folder, &["inspect", "model"]).contains("heads"));
}

/// A model in heads forecasts, learns and runs freely as any other.
#[test]
fn a_model_in_heads_is_used_as_any_other() {
    let folder = with_series(&wave(800));
    let folder = folder.path();
    for (options, expected) in [
        (&["--heads-of", "2"][..], vec![(8, 4)]),
        (&["--heads-of", "1", "--cell", "gru", "--readout", "gradient"], vec![(8, 8)]),
        (&["--heads-of", "4", "--cell", "lstm", "--layers", "2"], vec![(8, 2); 2]),
        (
            &["--heads-of", "2", "--engine", "deferred", "--window", "5", "--even-paced"],
            vec![(8, 4)],
        ),
    ] {
        run(folder, &[&TRAIN[..], &["--units", "8"], options].concat());
        fs::rename(folder.join("model"), folder.join("first")).unwrap();
        let learn = ["run", "first", "series", "--learn", "--save=model"];
        let learnt = printed(folder, &learn);
        assert_eq!(layers(folder), expected, "{options:?}");
        let forecast = printed(folder, &["run", "first", "series"]);
        assert_ne!(learnt, forecast, "{options:?}");
        for text in [learnt, forecast] {
            let errors =
                cells(&text).into_iter().skip(700).map(|row| row[1].unwrap() - row[2].unwrap());
            let largest = errors.fold(0.0, |largest: f64, error| largest.max(error.abs()));
            assert!(largest > 0.0 && largest < 0.3, "{options:?}: {largest}");
        }
        let generated = printed(folder, &["generate", "model", "--steps", "20"]);
        assert_eq!(generated.lines().count(), 21, "{options:?}");
    }
}

#[test]
fn several_layers_and_gated_cells_are_divided() {
    let folder = with_series("y\n1\n2\n3\n4\n");
    for cell in ["simple", "gru", "lstm"] {
        let options = ["--units", "6", "--layers", "3", "--heads-of", "2", "--cell", cell];
        run(folder.path(), &[&TRAIN[..], &options].concat());
        assert_eq!(layers(folder.path()), [(6, 3); 3], "{cell}");
        printed(folder.path(), &["inspect", "model", "--report=report"]);
        let page = fs::read_to_string(folder.path().join("report")).unwrap();
        has_words(
            &page,
            &["1 input, the bias if there is one, then the 2 units of the row's head"],
        );
    }
}

/// Each head has units that remember for short and for long.
#[test]
fn leaks_are_dealt_to_the_heads_of_every_layer() {
    let folder = with_series("y\n1\n2\n3\n4\n");
    let options = ["--units", "6", "--layers", "2", "--heads-of", "2"];
    run(folder.path(), &[&TRAIN[..], &options].concat());
    let model = SavedModel::read(&folder.path().join("model")).unwrap();
    let network = model.network::<f32>(&[]).unwrap();
    let leaks = [1.0_f32 / 10.0, 1.0, 1.0 / 7.0, 1.0, 1.0 / 4.0, 1.0];
    assert_eq!(network.layers().iter().map(|l| l.leaks().unwrap()).collect::<Vec<_>>(), [leaks; 2]);
}

#[test]
fn heads_that_do_not_make_up_a_layer_are_refused() {
    let text = "y\n1\n2\n3\n";
    let refused = |heads: &str, words: &[&str]| {
        let option = format!("--heads-of={heads}");
        fails(text, &["--target", "y", "--units", "6", &option], 2, words);
    };
    for heads in ["4", "5", "7", "4294967295"] {
        let got = format!("--heads-of: got {heads}, expected a divisor of the 6 units of a layer");
        refused(heads, &[&got]);
    }
    for heads in ["0", "-1", "4294967296", "two", "2.0"] {
        refused(heads, &["--heads-of", heads, "whole number from 1 to 4294967295"]);
    }
    for heads in ["1", "2", "3", "6"] {
        let option = format!("--heads-of={heads}");
        let (code, message) = train(text, &["--target", "y", "--units", "6", &option]);
        assert_eq!(code, 0, "{message}");
    }
}

/// All units in one head are the same network as without heads.
#[test]
fn one_head_is_no_division() {
    let folder = with_series(&wave(300));
    let predictions = |options: &[&str]| {
        let files = ["--predictions=out", "--baselines", "none", "--report=report"];
        run(folder.path(), &[&TRAIN[..], &files, options].concat());
        fs::read_to_string(folder.path().join("out")).unwrap()
    };
    let whole = predictions(&["--units", "8"]);
    let is_divided =
        || fs::read_to_string(folder.path().join("report")).unwrap().contains("in heads of");
    assert_eq!(predictions(&["--units", "8", "--heads-of", "8"]), whole);
    assert!(!is_divided());
    assert_ne!(predictions(&["--units", "8", "--heads-of", "4"]), whole);
    assert!(is_divided());
}

/// Thousands of units fit in memory in heads, and say how much they need if they do not.
#[test]
fn the_memory_of_heads_is_that_of_their_weights() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("series"), "y\n1\n2\n3\n").unwrap();
    let options = ["--units", "100000", "--heads-of", "4", "--readout", "gradient", "--verbose"];
    let (_, noted) = run(folder.path(), &[&TRAIN[..], &options].concat());
    has_words(&noted, &["sensitivities: 8334 blocks", "12 states"]);
    let text = "y\n1\n2\n3\n";
    let gru = ["--target", "y", "--cell", "gru", "--units", "400000", "--heads-of", "200000"];
    fails(text, &gru, 1, &["bytes"]);
}
