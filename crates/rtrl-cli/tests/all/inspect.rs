//! `rtrl inspect` as a user meets it: networks whose behaviour is known, and everything that can be
//! wrong with a model or a task.

use std::fs;
use std::path::Path;
use std::process::Output;

use rtrl_lab::paper::{Progress, TABLE};
use rtrl_model::{
    Activation, Cell, EngineChoice, InitialWeights, Learner, Network, Optimizer, Readout, Targets,
    store,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{has_words, is_page, rtrl};

fn save(network: &Network<f64>, path: &Path) {
    store::network::save(network, network.initial_state(), Value::Null, path).unwrap();
}

/// The network of a seed that has learnt an experiment of the paper.
fn learnt(task: &str, seed: u64) -> Network<f64> {
    let experiment = TABLE.iter().find(|experiment| experiment.task.name == task).unwrap();
    let mut run = experiment.start::<f64>(seed, EngineChoice::Auto).unwrap();
    assert!(matches!(run.advance(u64::MAX).unwrap(), Progress::Solved { .. }));
    run.network().clone()
}

/// Runs `rtrl inspect` in `folder`, on the file `model` there, and asks for both outputs.
fn inspect(folder: &TempDir, options: &[&str]) -> Output {
    let mut command = rtrl();
    command.current_dir(folder.path());
    command.args(["inspect", "model", "--json", "json", "--report", "page"]).args(options);
    command.output().unwrap()
}

/// The summary, the JSON file and the page of a network.
fn found(network: &Network<f64>, options: &[&str]) -> (String, Value, String) {
    let folder = TempDir::new().unwrap();
    save(network, &folder.path().join("model"));
    let output = inspect(&folder, options);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let json = serde_json::from_str(&read("json")).unwrap();
    (String::from_utf8(output.stdout).unwrap(), json, read("page"))
}

/// Fails with the code and a message that has all words, and leaves no file.
fn fails(folder: &TempDir, options: &[&str], code: i32, words: &[&str]) {
    let before = fs::read_dir(folder.path()).unwrap().count();
    let output = inspect(folder, options);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{message}");
    has_words(&message, words);
    assert!(!message.contains("panicked") && output.stdout.is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before, "files left");
}

/// What was not found of the machine that recognises a sequence: an a leads to one state from
/// either, a b to the other, and only a b is ever recognised.
fn missing_of_sequence(task: &Value) -> Vec<&'static str> {
    let machine = &task["machine"];
    let (transitions, comparison) = (&machine["transitions"], &machine["comparison"]);
    let at = |state: u64, symbol: usize| &transitions[usize::try_from(state).unwrap()][symbol];
    let waiting = at(0, 0)["next"].as_u64().unwrap_or(u64::MAX);
    let leads = |state: u64, symbol: usize, next: u64, recognised: bool| {
        let to = at(state, symbol);
        to["next"] == next && to["outputs"][0] == recognised
    };
    let count = |list: &Value| list.as_array().map(Vec::len);
    let from_all = |right: &dyn Fn(u64) -> bool| (0..2).all(right);
    let found = [
        ("agreement", machine["agreement"]["same"] == 10_000),
        ("symbols", machine["symbols"] == serde_json::json!(["a", "b", "c", "d"])),
        ("two states", count(transitions) == Some(2)),
        ("right", task["right"]["same"] == 20_000),
        ("a", from_all(&|state| at(state, 0)["next"] == waiting)),
        ("b", waiting < 2 && from_all(&|state| leads(state, 1, 1 - waiting, state == waiting))),
        ("c and d", from_all(&|s| leads(s, 2, s, false) && leads(s, 3, s, false))),
        ("equivalent", comparison["verdict"] == "equivalent"),
        ("compared", (&comparison["taken"], &comparison["watched"]) == (&8.into(), &8.into())),
        ("reduced", count(&machine["reduced"]) == Some(2)),
    ];
    found.into_iter().filter(|(_, found)| !found).map(|(name, _)| name).collect()
}

const EQUIVALENT: &str = "quivalent to the task's machine: no sequence";

#[test]
fn a_network_that_has_learnt_sequences_shows_its_machine() {
    let (printed, json, page) = found(&learnt("sequence", 1), &["--task", "sequence"]);
    assert_eq!(missing_of_sequence(&json["task"]), [""; 0], "{}", json["task"]);
    let words = ["2 logistic units, 4 inputs", "the machine: 2 states", "100.000 %", EQUIVALENT];
    has_words(&printed, &words);
    assert!(page.contains(EQUIVALENT));
    // Hinton diagram, eigenvalues, states, activity, machine.
    is_page(&page, 5);
}

/// Negative control: the same network with what it sees of an a, or of its own unit, the wrong way
/// round.
#[test]
fn a_wrong_weight_is_seen_in_the_machine() {
    let network = learnt("sequence", 1);
    let rows = network.weights().to_rows();
    let broken = |row: usize, column: usize| {
        let mut rows = rows.clone();
        rows[row][column] *= -1.0;
        let weights = InitialWeights::given(rows);
        let builder = Network::builder(2, 4).activation(Activation::Logistic).weights(weights);
        builder.initial_state(network.initial_state().to_vec()).build().unwrap()
    };
    assert_eq!(rows[0].len(), 7, "four inputs, a bias and two units");
    for (row, column) in [(0, 0), (0, 6), (1, 0), (1, 5)] {
        let (printed, json, page) = found(&broken(row, column), &["--task", "sequence"]);
        let missing = missing_of_sequence(&json["task"]);
        println!("{row}, {column}: {missing:?}");
        assert!(missing.contains(&"right") && missing.contains(&"equivalent"), "{missing:?}");
        assert!(!printed.contains(EQUIVALENT) && !page.contains(EQUIVALENT), "{row}, {column}");
    }
}

/// Units that are never above 1/2 miss the b after an a: nothing shorter shows it.
#[test]
fn a_network_that_does_not_do_the_task_shows_where() {
    let weights = InitialWeights::given(vec![vec![0.0; 5]]);
    let network = Network::builder(1, 4).bias(false).weights(weights).build().unwrap();
    let (printed, json, page) = found(&network, &["--task", "sequence"]);
    let comparison = &json["task"]["machine"]["comparison"];
    assert_eq!(comparison["verdict"], "differs");
    assert_eq!((&comparison["task_states"], &comparison["taken"]), (&2.into(), &4.into()));
    let difference = serde_json::json!(
        {"symbols": [0, 1], "task": [true], "machine": [false], "network": [false]}
    );
    assert_eq!(comparison["difference"], difference);
    let words = "fter all earlier symbols and then  a b  the task expects 1, the machine gives 0, the network 0";
    assert!(printed.contains("differs from the task's machine\n") && printed.contains(words));
    assert!(page.contains(words));
}

/// Without an input the network does not know the phase of the task's oscillation.
#[test]
fn a_task_without_symbols_is_not_compared() {
    let network = Network::builder(1, 0).build().unwrap();
    let (printed, json, _) = found(&network, &["--task", "0101", "--steps", "50"]);
    assert!(json["task"]["machine"]["comparison"].is_null());
    assert!(printed.contains("not compared with the task's own machine: "), "{printed}");
}

/// One tanh unit that sees itself, from 0.5.
fn latch(weight: f64) -> Network<f64> {
    let weights = InitialWeights::given(vec![vec![weight]]);
    let builder = Network::builder(1, 0).bias(false).weights(weights);
    builder.initial_state(vec![0.5]).build().unwrap()
}

/// What was not found of y = tanh(2 y): two stable points and an unstable one.
fn missing_of_latch(json: &Value) -> Vec<&'static str> {
    let held = &json["held"][0];
    let points = held["fixed_points"].as_array().unwrap();
    let stable: Vec<&Value> = points.iter().map(|point| &point["stable"]).collect();
    let found = [
        ("points", stable == [true, false, true]),
        ("cycles", held["cycles"].as_array().unwrap().len() == 2),
        ("eigenvalue", json["eigenvalues"][0]["real"] == 2.0),
        ("exponent", json["run"]["lyapunov_exponent"].as_f64().unwrap() < -1.0),
    ];
    found.into_iter().filter(|(_, found)| !found).map(|(name, _)| name).collect()
}

#[test]
fn a_latch_shows_its_points() {
    let (printed, json, _) = found(&latch(2.0), &[]);
    assert_eq!(missing_of_latch(&json), [""; 0], "{json}");
    assert!(json["task"].is_null() && !printed.contains("task"));
    assert!(printed.contains("the state is constant") && printed.contains("unstable fixed point"));
}

/// A stable fixed point once stood next to runs that "neither rest nor come round".
#[test]
fn runs_that_are_too_slow_for_a_stable_point_say_so() {
    let weights = InitialWeights::given(vec![vec![0.9998]]);
    let builder = Network::builder(1, 0).bias(false).activation(Activation::Identity);
    let (printed, json, page) = found(&builder.weights(weights).build().unwrap(), &[]);
    assert_eq!(json["held"][0]["fixed_points"][0]["stable"], true);
    let words = "not settled after 5000 steps: 64 runs";
    has_words(&printed, &["  stable fixed point", words]);
    has_words(&page, &["not settled after 5000 steps"]);
}

/// A model could once not be observed on the series that it was trained on.
#[test]
fn a_model_runs_on_its_own_series() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, row: &dyn Fn(u32) -> String| {
        let text = format!("day,y,x\n{}", (0..400).map(row).collect::<String>());
        fs::write(folder.path().join(name), text).unwrap();
    };
    write("series", &|t| format!("{t},{},{}\n", t * t % 7, if t % 2 == 0 { 6 } else { 4 }));
    // The mean of x, which is standardised to 0.
    write("mean", &|t| format!("{t},{},5\n", t % 5));
    write("short", &|t| if t < 109 { format!("{t},1,1\n") } else { String::new() });
    let mut train = rtrl();
    train.current_dir(folder.path()).args(["train", "series", "--target", "y", "--inputs", "x"]);
    train.args(["--time", "day", "--units", "3", "--save", "model"]).assert().success();
    let run = |options: &[&str]| {
        let output = inspect(&folder, options);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json = fs::read(folder.path().join("json")).unwrap();
        let run = serde_json::from_slice::<Value>(&json).unwrap()["run"].clone();
        assert_eq!(run["steps"], 300);
        [&run["lyapunov_exponent"], &run["jacobian_radius"][1]].map(|value| value.as_f64().unwrap())
    };
    let zeros = run(&["--steps", "300"]);
    let differences = |other: [f64; 2]| [0, 1].map(|place| (other[place] - zeros[place]).abs());
    let mean = differences(run(&["--steps", "300", "--series", "mean"]));
    assert!(mean.iter().all(|&difference| difference < 1e-12), "{mean:?}");
    // Inputs that alternate hold the units where their slopes are smaller.
    let own = differences(run(&["--series", "series"]));
    assert!(own.iter().all(|&difference| difference > 1e-4), "{own:?}");
    let all = fs::read(folder.path().join("json")).unwrap();
    let refused = |options: &[&str], code, words: &[&str]| {
        let output = inspect(&folder, options);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{message}");
        has_words(&message, words);
        assert!(fs::read(folder.path().join("json")).unwrap() == all);
    };
    refused(&["--series", "short"], 1, &["number of rows", "at least 110", "109"]);
    refused(&["--series", "none"], 1, &["none: "]);
    refused(&["--series", "json"], 2, &["--series and --json", "same file"]);
    refused(&["--series", "series", "--task", "henon"], 2, &["--task", "cannot be used with"]);
    save(&latch(2.0), &folder.path().join("model"));
    refused(&["--series", "series"], 1, &["model: got a model that does not describe a series"]);
}

/// Negative control: a weight too small for two stable points, and one close to that of the latch.
#[test]
fn what_is_no_latch_is_noticed() {
    let missing = |weight| missing_of_latch(&found(&latch(weight), &[]).1);
    assert_eq!(missing(0.9), ["points", "cycles", "eigenvalue", "exponent"]);
    assert_eq!(missing(2.0 + 1e-12), ["eigenvalue"]);
}

#[test]
fn the_same_seed_gives_the_same_findings() {
    let network = learnt("xor-2", 1);
    let options = ["--task", "xor-2", "--steps", "500", "--seed", "7"];
    let [first, second] = [(); 2].map(|()| found(&network, &options));
    assert_eq!(first, second);
    assert_eq!(first.1["task"]["machine"]["symbols"].as_array().unwrap().len(), 4);
}

/// Everything but the machine works where inputs are no symbols; with a readout; with leaks.
#[test]
fn a_task_of_numbers_has_no_machine() {
    let builder = Network::builder(3, 1).leak(0.5).readout(Readout::new(1));
    let (printed, json, _) =
        found(&builder.build().unwrap(), &["--task", "henon", "--steps", "50"]);
    assert!(json["task"]["machine"].is_null() && json["task"]["right"].is_null());
    assert!(printed.contains("more than 64 different vectors"), "{printed}");
    assert!(
        printed.contains("leaks 0.5000 to 0.5000") && printed.contains("a readout of 1 output,")
    );
}

#[test]
fn a_network_that_diverges_is_described_all_the_same() {
    let builder = Network::builder(1, 0).bias(false).activation(Activation::Identity);
    let weights = InitialWeights::given(vec![vec![3.0]]);
    let network = builder.weights(weights).initial_state(vec![1.0]).build().unwrap();
    let (printed, json, page) = found(&network, &[]);
    assert!(json["run"].is_null() && json["held"][0]["divergent"] == 64);
    assert!(printed.contains("no run: ") && printed.contains("divergent: 64 runs"));
    assert!(page.contains("No run: "));
}

/// The checkpoint of a learner shows the weights that it has learnt.
#[test]
fn the_network_of_a_checkpoint_is_that_of_the_model() {
    let folder = TempDir::new().unwrap();
    let network = Network::<f32>::builder(6, 1).heads_of(3).seed(4).build().unwrap();
    let mut learner = Learner::builder(network).optimizer(Optimizer::sgd(0.1)).build().unwrap();
    for t in 0..50 {
        learner.step(&[(t % 3) as f32], Targets::All(&[0.5; 6])).unwrap();
    }
    let checkpoint = folder.path().join("model");
    let shown = || {
        let output = inspect(&folder, &["--steps", "200"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json = fs::read_to_string(folder.path().join("json")).unwrap();
        (String::from_utf8(output.stdout).unwrap(), json)
    };
    learner.save(&checkpoint, &Value::Null).unwrap();
    let of_checkpoint = shown();
    let (learnt, application) = (learner.network(), Value::Null);
    store::network::save(learnt, learnt.initial_state(), application, &checkpoint).unwrap();
    assert_eq!(of_checkpoint, shown());
    has_words(&of_checkpoint.0, &["6 tanh units in heads of 3", "saved as f32"]);
    // Negative control: the weights before the steps are others.
    let before = Network::<f32>::builder(6, 1).heads_of(3).seed(4).build().unwrap();
    store::network::save(&before, before.initial_state(), Value::Null, &checkpoint).unwrap();
    assert_ne!(of_checkpoint, shown());
}

#[test]
fn what_is_no_model_is_refused() {
    let folder = TempDir::new().unwrap();
    fails(&folder, &[], 1, &["model"]);
    fs::write(folder.path().join("model"), "y\n1\n2\n3\n4\n").unwrap();
    let words = ["model: not a model or a checkpoint", "not the length of a safetensors header"];
    fails(&folder, &[], 1, &words);
    let own = Activation::custom("half", |s| s / 2.0, |_| 0.5);
    let network = Network::<f64>::builder(1, 0).activation(own).build().unwrap();
    save(&network, &folder.path().join("model"));
    fails(&folder, &[], 1, &["custom:half", "expected built-in activations"]);
}

#[test]
fn a_task_that_does_not_fit_is_refused() {
    let folder = TempDir::new().unwrap();
    save(&Network::builder(2, 4).build().unwrap(), &folder.path().join("model"));
    fails(
        &folder,
        &["--task", "sequences"],
        2,
        &["\"sequences\"", "sequence", "turing-2", "xor-2"],
    );
    let words =
        ["xor-2", "got a model with 4 inputs and 2 outputs", "2 inputs and at least 1 output"];
    fails(&folder, &["--task", "xor-2"], 1, &words);
    let words = ["got a model with 4 inputs and 2 outputs", "4 inputs and at least 4 outputs"];
    fails(&folder, &["--task", "turing-2"], 1, &words);
    for steps in ["0", "9", "100001", "many"] {
        let words = [steps, "--steps", "expected a whole number from 10 to 100000"];
        fails(&folder, &["--steps", steps], 2, &words);
    }
}

#[test]
fn no_output_may_be_the_model() {
    let folder = TempDir::new().unwrap();
    let model = folder.path().join("model");
    save(&Network::builder(2, 0).build().unwrap(), &model);
    let before = fs::read(&model).unwrap();
    let mut command = rtrl();
    let output = command.current_dir(folder.path()).args(["inspect", "model", "--json", "./model"]);
    assert_eq!(output.output().unwrap().status.code(), Some(2));
    assert_eq!(fs::read(&model).unwrap(), before);
}

/// Everything that is known of a simple unit, except the eigenvalues of its weights.
#[test]
fn gated_units_and_layers_are_described() {
    let gru = Network::builder(3, 4).cell(Cell::Gru).readout(Readout::new(1));
    let lstm = Network::builder(2, 4).cell(Cell::Lstm);
    let stack = Network::builder(2, 4).cell(Cell::Lstm).layer(3).leak(0.5).readout(Readout::new(1));
    let networks = [
        (gru, "3 gru units, 4 inputs", "r units", 3, "got gru units"),
        (lstm, "2 lstm units, 4 inputs", "f inputs", 4, "got lstm units"),
        (stack, "2 lstm units, then 3 tanh units with leaks", "layer 2 units", 7, "lstm units"),
    ];
    for (network, shape, block, states, reason) in networks {
        let network = network.weights(InitialWeights::Torch).seed(3).build().unwrap();
        let (printed, json, page) = found(&network, &["--task", "sequence", "--steps", "200"]);
        has_words(&printed, &[shape, block, reason, "no eigenvalues: ", "the machine: "]);
        assert!(json["eigenvalues"].is_null() && json["model"]["states"] == states);
        assert!(json["run"]["lyapunov_exponent"].is_number(), "{printed}");
        assert_eq!(json["run"]["variance_shares"].as_array().unwrap().len(), states);
        assert_eq!(json["held"].as_array().unwrap().len(), 4);
        for held in json["held"].as_array().unwrap() {
            let point = &held["fixed_points"][0]["state"];
            assert_eq!(point.as_array().unwrap().len(), states);
        }
        // A Hinton diagram for each layer and the readout, states, activity, and perhaps the graph.
        let diagrams = network.layers().len() + usize::from(network.readout_weights().is_some());
        assert_eq!(page.matches("<svg class=\"hinton\"").count(), diagrams);
        is_page(&page, diagrams + 2 + usize::from(page.contains("<svg class=\"graph\"")));
    }
}
