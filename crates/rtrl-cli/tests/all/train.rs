//! `rtrl train` as a user meets it: what a run learns, says and saves.

mod heads;
mod outputs;
mod refusals;

use std::fs;
use std::path::{Path, PathBuf};

use rtrl_model::store::network::SavedModel;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{has_words, is_page, rtrl};

fn sunspots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/sunspots-monthly.csv")
}

/// Runs `rtrl train` on a file with `text` and returns the exit code and what it said on stderr.
/// Outputs are asked for, and there must be none after a failure, unless it is in the midst of the
/// series.
fn train(text: &str, options: &[&str]) -> (i32, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("series.csv");
    fs::write(&file, text).unwrap();
    let mut command = rtrl();
    command.arg("train").arg(&file).args(options);
    for output in ["save", "report", "json"] {
        command.arg(format!("--{output}")).arg(folder.path().join(output));
    }
    let output = command.output().unwrap();
    let left = fs::read_dir(folder.path()).unwrap().count();
    let message = String::from_utf8(output.stderr).unwrap();
    let has_results = output.status.success() || message.contains("the results are those of");
    assert_eq!(left, if has_results { 4 } else { 1 }, "files left");
    assert!(!message.contains("panicked"), "{message}");
    (output.status.code().unwrap(), message)
}

fn fails(text: &str, options: &[&str], code: i32, words: &[&str]) {
    let (got, message) = train(text, options);
    assert_eq!(got, code, "{message}");
    has_words(&message, words);
}

#[test]
fn sunspots_are_forecast_better_than_by_the_baselines() {
    for seed in ["1", "2", "3"] {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let assert = rtrl()
            .args(["train", sunspots().to_str().unwrap(), "--target", "sunspots", "--units", "16"])
            .args(["--seed", seed])
            .args(["--save".as_ref(), path("m").as_os_str()])
            .args(["--report".as_ref(), path("r").as_os_str()])
            .args(["--json".as_ref(), path("j").as_os_str()])
            .assert()
            .success();
        let printed = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
        let words = ["exact RTRL", "persistence", "RLS-AR(12)", "rows per second"];
        has_words(&printed, &words);
        assert!(!printed.contains("row  "), "progress among the results: {printed}");
        let noted = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        has_words(&noted, &["      2048 ", "wrote the model to", &path("m").to_string_lossy()]);
        has_words(&noted, &["wrote the errors to", "wrote the report to"]);
        let json = serde_json::from_str(&fs::read_to_string(path("j")).unwrap()).unwrap();
        assert_eq!(odd_results(&json), [""; 0], "seed {seed}: {json}");
        let page = fs::read_to_string(path("r")).unwrap();
        has_words(
            &page,
            &[
                "Leaks spread from 0.1 to 1, gain 1",
                "sgd with rate 0.02",
                "forgetting 0.999, ridge 1",
            ],
        );
        is_page(&page, 5);
        let saved = SavedModel::read(&path("m")).unwrap();
        let network = saved.network::<f32>(&[]).unwrap();
        assert_eq!((network.units(), network.inputs(), network.outputs()), (16, 1, 1));
        assert_eq!(saved.application()["targets"], serde_json::json!(["sunspots"]));
    }
}

/// A chaotic laser, where learning the recurrent weights matters, as the README says.
#[test]
fn a_laser_is_forecast_better_by_learning() {
    let laser = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/santa-fe-laser.csv");
    let text = fs::read_to_string(laser).unwrap().replace("intensity", "y");
    let json = errors(&text, &[]);
    let keys = ["rmse", "still_rmse", "ar_rmse", "persistence_rmse"];
    let [ours, still, ar, last] = keys.map(|key| json[key].as_f64().unwrap());
    assert!(ours < 12.0 && still > 15.0 && ar > 20.0 && last > 45.0, "{json}");
    assert_eq!(json["rows"], 10_093);
}

/// Results that must only be above 0.
const POSITIVE: [&str; 6] =
    ["mae", "persistence_mae", "ar_mae", "still_rmse", "still_mae", "rows_per_second"];

/// The results of a run over the sunspots that are not what they should be.
fn odd_results(json: &Value) -> Vec<&'static str> {
    let number = |key: &str| json[key].as_f64().unwrap();
    let right = [
        ("rows", number("rows") == 2820.0),
        ("rmse", number("rmse") <= 15.6),
        ("persistence_rmse", (number("persistence_rmse") - 16.924).abs() < 1e-3),
        ("ar_rmse", (number("ar_rmse") - 15.6).abs() < 0.1),
    ];
    let right = right.into_iter().chain(POSITIVE.map(|key| (key, number(key) > 0.0)));
    right.filter(|(_, right)| !right).map(|(key, _)| key).collect()
}

/// Negative control: a network that learns less is noticed, and so are a row that is missing,
/// another series and results of 0.
#[test]
fn wrong_results_are_noticed() {
    let text = sunspots_as_y();
    let right = errors(&text, &["--seed", "1", "--units", "16"]);
    assert_eq!(odd_results(&right), [""; 0], "{right}");
    let weak = errors(&text, &["--leak", "1", "--readout", "gradient"]);
    assert_eq!(odd_results(&weak), ["rmse"], "{weak}");
    let (shorter, _) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(odd_results(&errors(shorter, &[])).contains(&"rows"));
    let larger = |line: &str| match line.split_once(',') {
        Some((month, y)) if y != "y" => format!("{month},{}\n", 1.1 * y.parse::<f64>().unwrap()),
        _ => format!("{line}\n"),
    };
    let odd = odd_results(&errors(&text.lines().map(larger).collect::<String>(), &[]));
    assert!(odd.contains(&"persistence_rmse") && odd.contains(&"ar_rmse"), "{odd:?}");
    for key in POSITIVE {
        let mut nothing = right.clone();
        nothing[key] = 0.0.into();
        assert_eq!(odd_results(&nothing), [key]);
    }
}

/// The sunspots in a column `y`.
fn sunspots_as_y() -> String {
    fs::read_to_string(sunspots()).unwrap().replace("month,sunspots", "month,y")
}

/// The RMSE and that of the same network with fixed recurrent weights.
fn sunspot_errors(options: &[&str]) -> [f64; 2] {
    let json = errors(&sunspots_as_y(), options);
    ["rmse", "still_rmse"].map(|key| json[key].as_f64().unwrap())
}

/// Half a leak and least squares are enough to come near the autoregression, whose error is 15.62;
/// without a leak, or with a readout that learns by its gradient, it is not reached.
#[test]
fn leaky_units_and_least_squares_both_help_on_sunspots() {
    for seed in ["1", "2", "3"] {
        let rmse = |leak, readout, rate| {
            let learning = ["--optimizer", "adam", "--learning-rate", rate];
            let network = ["--seed", seed, "--leak", leak, "--readout", readout];
            sunspot_errors(&[network.as_slice(), &learning].concat())
        };
        for error in rmse("0.5", "rls", "0.0001") {
            assert!(error <= 15.75, "seed {seed}: {error}");
        }
        for other in [rmse("1", "rls", "0.0001"), rmse("0.5", "gradient", "0.001")] {
            assert!(other.iter().all(|&error| error > 15.75), "seed {seed}: {other:?}");
        }
    }
}

/// The default options are not for sunspots only: without a memory of several rows that is learnt,
/// the errors are 0.5, which is chance, and 0.33.
#[test]
fn default_options_learn_an_exclusive_or_and_a_map() {
    let mut bits = vec![0_u32; 4];
    let mut register = 0xace1_u32;
    for _ in 0..20_000 {
        // A linear feedback shift register of 16 bits, of which 7 are drawn for each row.
        for _ in 0..7 {
            let bit = (register ^ (register >> 2) ^ (register >> 3) ^ (register >> 5)) & 1;
            register = (register >> 1) | (bit << 15);
        }
        bits.push(register & 1);
    }
    let row = |lags: &[u32]| format!("{},{}\n", lags[4], lags[2] ^ lags[0]);
    let exclusive = "x,y\n".to_owned() + &bits.windows(5).map(row).collect::<String>();
    let henon = rtrl().args(["tasks", "emit", "henon", "--steps", "20000"]).output().unwrap();
    let henon = String::from_utf8(henon.stdout).unwrap().replace("x,next_x", "y,next");
    for seed in ["1", "2", "3"] {
        let rmse = |text: &str, options: &[&str], key: &str| {
            errors(text, &[&["--seed", seed], options].concat())[key].as_f64().unwrap()
        };
        let bits = rmse(&exclusive, &["--inputs", "x", "--predict", "value"], "rmse");
        let map = rmse(&henon, &[], "rmse");
        assert!(bits <= 0.2 && map <= 0.1, "seed {seed}: {bits} and {map}");
        // Negative control.
        let still = rmse(&exclusive, &["--inputs", "x", "--predict", "value"], "still_rmse");
        assert!(still > 0.4, "seed {seed}: {still}");
    }
}

#[test]
fn a_saved_model_names_the_options_of_its_run() {
    let folder = TempDir::new().unwrap();
    let (series, model) = (folder.path().join("series.csv"), folder.path().join("model"));
    fs::write(&series, "y\n1\n2\n3\n4\n").unwrap();
    let saved = |options: &[&str]| {
        let mut command = rtrl();
        command.arg("train").arg(&series).args(["--target", "y", "--save"]).arg(&model);
        command.args(options).assert().success();
        let header = String::from_utf8_lossy(&fs::read(&model).unwrap()).into_owned();
        (SavedModel::read(&model).unwrap(), header)
    };
    let options = ["--leak", "0.25", "--forgetting", "0.5", "--ridge", "2", "--optimizer", "adamw"];
    let (model, header) = saved(&options);
    assert!(header.contains(r#"\"least_squares\":{\"forgetting\":0.5,\"ridge\":2.0}"#));
    let named = model.application();
    let expected = serde_json::json!(["rls", 0.5, 2.0, 0.25, 1.0, "adamw", 5e-4]);
    let keys = ["readout", "forgetting", "ridge", "leak", "gain", "optimizer", "learning_rate"];
    assert_eq!(serde_json::json!(keys.map(|key| &named[key])), expected);
    assert_eq!(model.network::<f32>(&[]).unwrap().layers()[0].leaks(), Some([0.25; 16].as_slice()));
    let (model, header) = saved(&["--leak", "1", "--readout", "gradient"]);
    assert!(header.contains(r#"\"least_squares\":null"#));
    let expected = serde_json::json!(["gradient", null, null, 1.0, 1.0, "sgd", 0.02]);
    assert_eq!(serde_json::json!(keys.map(|key| &model.application()[key])), expected);
    assert_eq!(model.network::<f32>(&[]).unwrap().layers()[0].leaks(), None);
    let (model, _) = saved(&["--units", "4"]);
    assert_eq!(model.application()["leak"], "spread");
    let leaks = [1.0 / 10.0, 1.0 / 5.5, 1.0, 1.0];
    assert_eq!(model.network::<f32>(&[]).unwrap().layers()[0].leaks(), Some(leaks.as_slice()));
}

/// The errors of a run say which run it was.
#[test]
fn the_json_file_names_the_run() {
    let json = errors("y\n1\n2\n3\n", &["--seed", "7", "--units", "3", "--cell", "gru"]);
    assert_eq!((&json["seed"], &json["target"]), (&7.into(), &"y".into()));
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    let keys = ["units", "cell", "leak", "inputs", "horizon", "predict", "learning_rate", "skip"];
    let expected = serde_json::json!([3, "gru", null, ["y"], 1, "change", 0.02, 300]);
    assert_eq!(serde_json::json!(keys.map(|key| &json["options"][key])), expected);
    assert_eq!(json["stopped"], Value::Null);
}

#[test]
fn gated_cells_and_layers_are_trained_and_saved() {
    let folder = TempDir::new().unwrap();
    let (series, model) = (folder.path().join("series.csv"), folder.path().join("model"));
    fs::write(&series, "y\n1\n2\n3\n4\n").unwrap();
    for (cell, states) in [("gru", 3 * 5), ("lstm", 3 * 10)] {
        let mut command = rtrl();
        command.arg("train").arg(&series).args(["--target", "y", "--units", "5", "--layers", "3"]);
        command.args(["--cell", cell, "--save"]).arg(&model).assert().success();
        let network = SavedModel::read(&model).unwrap().network::<f32>(&[]).unwrap();
        let layers = network.layers().iter().map(|layer| (layer.cell().name(), layer.units()));
        assert_eq!(layers.collect::<Vec<_>>(), [(cell, 5); 3]);
        assert_eq!(network.initial_state().len(), states);
    }
    let train = ["--target", "y", "--cell", "gru"];
    for option in [["--leak", "0.5"], ["--activation", "tanh"]] {
        let words = [&format!("{}: got gru units", option[0]), "expected --cell simple"];
        fails("y\n1\n2\n", &[&train[..], &option].concat(), 2, &words);
    }
    fails("y\n1\n", &["--target", "y", "--cell", "rnn"], 2, &["simple, gru or lstm"]);
}

/// The same seed gives the same model, byte for byte, on every instruction set and number of
/// threads; another seed or rate gives another.
#[test]
fn the_saved_model_does_not_depend_on_the_machine() {
    let folder = TempDir::new().unwrap();
    let model = |isa: &str, options: &[&str]| {
        let model = folder.path().join("model");
        let mut command = rtrl();
        command.args(["train", sunspots().to_str().unwrap(), "--target", "sunspots"]);
        command.args(["--units", "9", "--save"]).arg(&model).args(options);
        command.env("RTRL_ISA", isa).assert().success();
        fs::read(&model).unwrap()
    };
    let first = model("scalar", &["--threads", "1"]);
    for (isa, threads) in [("scalar", "3"), ("", "2"), ("", "1")] {
        assert!(model(isa, &["--threads", threads]) == first, "{isa:?}, {threads} threads");
    }
    // Negative control.
    for other in [["--seed", "2"], ["--learning-rate", "0.02001"]] {
        assert!(model("", &other) != first, "{other:?} makes no difference");
    }
}

#[test]
fn other_choices_work() {
    let row = |t: u32| {
        let phase = f64::from(t) * 0.3;
        format!("{t}, {} ,{}\n", phase.sin(), phase.cos())
    };
    let text = "time,load,heat\n".to_owned() + &(0..400).map(row).collect::<String>();
    for options in [
        vec!["--target", "load", "--inputs", "load,heat", "--precision", "f64"],
        vec!["--target", "load", "--inputs", "heat", "--activation", "logistic"],
        vec!["--target", "load", "--predict", "value", "--optimizer", "sgd", "--clip", "0.5"],
        vec!["--target", "heat", "--units", "1", "--engine", "eager", "--learning-rate", "0.01"],
        vec!["--target", "load", "--leak", "1", "--readout", "gradient", "--optimizer", "momentum"],
        vec!["--target", "load", "--leak", "0.5", "--readout", "rls", "--optimizer", "rmsprop"],
        vec!["--target", "heat", "--forgetting", "1", "--ridge", "0.1", "--optimizer", "adamw"],
    ] {
        let (code, message) = train(&text, &options);
        assert_eq!(code, 0, "{options:?}: {message}");
    }
}

/// The numbers of a run over `text`.
fn errors(text: &str, options: &[&str]) -> Value {
    let folder = TempDir::new().unwrap();
    let (series, json) = (folder.path().join("series.csv"), folder.path().join("json"));
    fs::write(&series, text).unwrap();
    let mut command = rtrl();
    command.arg("train").arg(&series).args(["--target", "y", "--json"]).arg(&json);
    command.args(options).assert().success();
    serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap()
}

/// The baseline must not be made worse than it is: a tiny first value once set the scale of its
/// penalty.
#[test]
fn the_autoregression_does_not_depend_on_the_first_value() {
    let mut noise = rtrl_model::Generator::new(1);
    let mut walk = 1e6;
    let mut text = String::new();
    for _ in 0..1000 {
        walk += 1000.0 * noise.normal();
        text += &walk.to_string();
        text.push('\n');
    }
    let plain = errors(&format!("y\n{text}"), &[])["ar_rmse"].as_f64().unwrap();
    let tiny = errors(&format!("y\n0.001\n{text}"), &[])["ar_rmse"].as_f64().unwrap();
    assert!((tiny / plain - 1.0).abs() < 0.1, "{tiny} and {plain}");
}

#[test]
fn a_network_that_diverges_is_put_right_and_the_run_goes_on() {
    let text = sunspots_as_y();
    for options in [["0.5", "1.5"], ["9", "3"]] {
        let [rate, gain] = options;
        let wild = ["--activation", "identity", "--optimizer", "sgd"];
        let output =
            rtrl_on(&text, &[&wild[..], &["--learning-rate", rate, "--gain", gain]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(printed.contains("an overflow kept the network from learning"), "{printed}");
    }
}

#[test]
fn a_tie_names_both_and_an_endless_skip_is_no_accident() {
    let output = rtrl_on("y\n5\n5\n5\n5\n", &["--skip", "0"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("smallest RMSE: exact RTRL and persistence"), "{printed}");
    let output = rtrl_on("y\n5\n6\n", &["--skip", "18446744073709551615"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    has_words(
        &printed,
        &["smaller --skip", "no error to compare with --skip 18446744073709551615"],
    );
}

fn rtrl_on(text: &str, options: &[&str]) -> std::process::Output {
    let folder = TempDir::new().unwrap();
    let series = folder.path().join("series.csv");
    fs::write(&series, text).unwrap();
    rtrl().arg("train").arg(&series).args(["--target", "y"]).args(options).output().unwrap()
}

#[test]
fn verbose_runs_say_which_engine_computes_what() {
    let run = |options: &[&str]| {
        let mut command = rtrl();
        command.args(["train", sunspots().to_str().unwrap(), "--target", "sunspots"]).args(options);
        let output = command.assert().success().get_output().clone();
        String::from_utf8(output.stderr).unwrap()
    };
    let small = ["--units", "4", "--layers", "2", "--baselines", "none"];
    let said = run(&[&small[..], &["--verbose", "--engine", "eager"]].concat());
    has_words(&said, &["sensitivities: 1 block,", "1 x eager: 8 states, 8 weight rows"]);
    let layers = ["--units", "24", "--layers", "2", "--baselines", "none", "-v"];
    let said = run(&layers);
    has_words(&said, &["sensitivities: 2 blocks,", ": 48 states, 24 weight rows", ": 24 states,"]);
    assert!(!run(&small).contains("sensitivities:"));
}
