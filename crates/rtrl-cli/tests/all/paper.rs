//! `rtrl paper` and `rtrl tasks` as a user meets them.

use std::fs;
use std::path::Path;
use std::process::Output;

use rtrl_lab::paper::TABLE;
use rtrl_model::EngineChoice;
use rtrl_model::store::network::SavedModel;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{self, has_words, is_page};

fn rtrl(arguments: &[&str]) -> Output {
    let output = common::rtrl().args(arguments).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!message.contains("panicked"), "{message}");
    output
}

/// What a command that succeeds prints.
fn printed(arguments: &[&str]) -> String {
    let output = rtrl(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A command line that is wrong in a way that the message names.
fn refused(arguments: &[&str], words: &[&str]) {
    let output = rtrl(arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{message}");
    has_words(&message, words);
}

/// The JSON rows of the experiments with these tasks.
fn rows(arguments: &[&str]) -> Vec<Value> {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rows.json");
    printed(&[&["paper"], arguments, &["--json", file.to_str().unwrap()]].concat());
    serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap()
}

#[test]
fn the_quick_experiments_succeed_and_fail_as_expected() {
    let rows = rows(&["--quick", "--seeds", "4"]);
    assert_eq!(rows.len(), 18);
    for row in &rows {
        let forced = row["forced"].as_bool().unwrap();
        let small_rate = row["learning_rate"] == 1.0;
        let expected = match row["task"].as_str().unwrap() {
            "xor-2" if row["units"] == 3 => 1..=4,
            "0011" if !forced && small_rate => 0..=0,
            "sine" if !forced => 0..=0,
            _ => 4..=4,
        };
        let solved = row["solved"].as_u64().unwrap();
        assert!(expected.contains(&solved), "{row}");
        let steps = row["steps"].as_array().unwrap();
        assert_eq!(steps.len(), 4);
        assert_eq!(steps.iter().filter(|steps| !steps.is_null()).count() as u64, solved);
        assert!(steps.iter().filter_map(Value::as_u64).all(|s| s < row["limit"].as_u64().unwrap()));
    }
}

/// Negative control of the table: with the delay that the network cannot bridge nothing is solved.
#[test]
fn a_turing_machine_is_learnt_with_two_steps_of_delay_and_not_with_one() {
    let solved = |task, seeds| -> u64 {
        rows(&[task, "--seeds", seeds]).iter().map(|row| row["solved"].as_u64().unwrap()).sum()
    };
    assert!(solved("turing-2", "2") >= 3);
    assert_eq!(solved("turing-1", "1"), 0);
}

#[test]
fn the_table_names_settings_and_results() {
    let table = printed(&["paper", "0101", "xor-3", "--seeds", "3"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    let columns = "task units alpha r forced solved median steps (range)";
    assert_eq!(lines[0].join(" "), columns);
    assert_eq!(lines.len(), 4, "{table}");
    assert_eq!(lines[1][..6], ["xor-3", "6", "2", "1", "no", "3/3"]);
    assert_eq!(lines[3][..6], ["0101", "1", "1", "0.1", "yes", "3/3"]);
}

#[test]
fn a_run_does_not_depend_on_the_instruction_set_or_the_threads() {
    let table = |isa: &str, threads: &str| {
        let mut command = common::rtrl();
        command.args(["paper", "xor-4", "0011", "--seeds", "3"]);
        command.env("RTRL_ISA", isa).env("RAYON_NUM_THREADS", threads);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let first = table("scalar", "1");
    assert!(first.contains("3/3"), "{first}");
    assert_eq!(first, table("", "3"));
}

#[test]
fn engines_are_compared_run_by_run() {
    let arguments = ["paper", "--compare", "--seeds", "2", "--window", "5", "sequence", "0011"];
    let table = printed(&arguments);
    assert_eq!(table.lines().filter(|line| line.starts_with("sequence")).count(), 3);
    assert!(table.lines().filter(|l| l.starts_with("sequence")).all(|l| l.contains("2/2")));
    // A single precision rounds so much that the runs part.
    let single = printed(&[&arguments[..], &["--precision", "f32"]].concat());
    assert_ne!(table, single);
}

#[test]
fn unknown_names_are_refused_with_those_that_there_are() {
    refused(&["paper", "warp"], &["\"warp\"", "xor-2", "turing-1"]);
    refused(&["paper", "henon"], &["\"henon\"", "sequence"]);
    refused(&["tasks", "emit", "warp", "--steps", "1"], &["\"warp\"", "xor-2", "mackey-glass"]);
    refused(&["tasks", "emit", "add", "--steps", "-1"], &["'-1'", "a whole number from 0 to"]);
    refused(&["paper", "--seeds", "0"], &["--seeds"]);
    for option in ["--json", "--report", "--save"] {
        refused(&["paper", "--compare", option, "x"], &[option]);
    }
}

/// The page of a run, and what was printed with it.
fn page(arguments: &[&str]) -> (String, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("page.html");
    let printed = printed(&[&["paper"], arguments, &["--report", path(&file)]].concat());
    (fs::read_to_string(&file).unwrap(), printed)
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// The curves among the lines of the charts: those in a colour of runs.
fn curves(page: &str, colour: &str) -> usize {
    let lines = page.split("<polyline").skip(1).filter_map(|line| line.split('>').next());
    lines.filter(|line| line.contains(&format!("stroke=\"{colour}\""))).count()
}

#[test]
fn the_page_shows_every_run_of_the_table_and_changes_none() {
    let arguments = ["xor-2", "0011", "--seeds", "3"];
    let (page, printed_with) = page(&arguments);
    assert_eq!(printed_with, printed(&[&["paper"], &arguments[..]].concat()));
    // 0011 without forcing at α = 1 is never learnt, and all else with these seeds but some of 3
    // units.
    let rows = rows(&arguments);
    let solved: u64 = rows.iter().map(|row| row["solved"].as_u64().unwrap()).sum();
    let count = |colour| u64::try_from(curves(&page, colour)).unwrap();
    assert_eq!((count("#2578EB"), count("#EA7814")), (solved, 6 * 3 - solved));
    for task in ["xor-2", "0011"] {
        assert_eq!(page.matches(&format!("<section id=\"{task}\">")).count(), 1);
        assert!(page.contains(&format!("href=\"#{task}\"")));
    }
    assert_eq!((page.matches("<section").count(), page.matches("<h3>").count()), (2, 6));
    assert!(page.contains("Failure is expected: without teacher forcing"));
    // Every row of the table is on the page, with its median.
    for row in &rows {
        let results = format!("<td>{}/3</td>", row["solved"]);
        let median =
            row["median_steps"].as_f64().map_or("-".to_owned(), |steps| format!("{steps:.0}"));
        assert!(page.contains(&format!("{results}<td>{median}</td>")), "{row}");
    }
}

/// Ten experiments: for each a diagram of weights, rasters of inputs and units or strips by
/// themselves.
#[test]
fn the_page_looks_into_a_run_of_each_experiment_and_asks_for_nothing() {
    let (page, _) = page(&["xor-2", "0011", "sine", "--seeds", "1"]);
    let count = |class: &str| page.matches(&format!("<svg class=\"{class}\"")).count();
    assert_eq!((count("hinton"), count("raster"), count("strips")), (10, 13, 17));
    assert_eq!(page.matches("<strong>Seed 1</strong>").count(), 10);
    is_page(&page, 50);
}

/// The runs that take longest leave a page of some kilobytes a run.
#[test]
fn a_page_stays_small() {
    let bytes = |seeds| page(&["sine", "0011", "--seeds", seeds]).0.len();
    let (few, many) = (bytes("2"), bytes("8"));
    assert!(few < 300_000 && many - few < 6 * 8_000, "{few} {many}");
}

/// What `rtrl inspect` finds in a network of a folder.
fn inspected(folder: &Path, name: &str, task: &str) -> Value {
    let found = folder.join("found.json");
    printed(&["inspect", path(&folder.join(name)), "--task", task, "--json", path(&found)]);
    let findings = serde_json::from_slice(&fs::read(&found).unwrap()).unwrap();
    fs::remove_file(found).unwrap();
    findings
}

#[test]
fn every_run_leaves_its_network() {
    let folder = TempDir::new().unwrap();
    let nets = folder.path().join("new/nets");
    let arguments = ["paper", "sequence", "--seeds", "2", "--save", path(&nets)];
    let table = printed(&arguments);
    assert_eq!(table, printed(&arguments[..4]));
    let names = || fs::read_dir(&nets).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(names().count(), 6);
    for experiment in TABLE.iter().filter(|one| one.task.name == "sequence") {
        for seed in 1..=2 {
            let name = format!(
                "sequence-units2-rate{}-free-seed{seed}.safetensors",
                experiment.learning_rate
            );
            let saved = SavedModel::read(&nets.join(&name)).unwrap();
            let mut run = experiment.start::<f64>(seed, EngineChoice::Auto).unwrap();
            run.advance(u64::MAX).unwrap();
            let (network, expected) = (saved.network::<f64>(&[]).unwrap(), run.network());
            assert_eq!(network.weights(), expected.weights());
            assert_eq!(network.initial_state(), run.state().unwrap().values());
            assert_eq!(saved.application()["steps"], run.steps());
            assert_eq!(inspected(&nets, &name, "sequence")["task"]["right"]["same"], 20_000);
        }
    }
    // Again: what is there is replaced.
    printed(&arguments);
    assert_eq!(names().count(), 6);
}

/// A task without inputs starts anywhere in its period, and a network that was forced now runs on
/// its own outputs.
#[test]
fn forced_networks_are_right_by_themselves() {
    let folder = TempDir::new().unwrap();
    let nets = folder.path();
    printed(&["paper", "0011", "0101", "sine", "--seeds", "3", "--save", path(nets)]);
    for seed in 1..=3 {
        for (name, task, states) in [("0011-units2", "0011", 4), ("0101-units1", "0101", 2)] {
            let name = format!("{name}-rate1-forced-seed{seed}.safetensors");
            let findings = inspected(nets, &name, task);
            let right = &findings["task"]["right"];
            assert_eq!(right["same"], right["steps"], "{name}");
            assert!(findings["task"]["moved"].as_u64().unwrap() < states);
            assert_eq!(
                findings["task"]["machine"]["transitions"].as_array().unwrap().len() as u64,
                states
            );
            assert_eq!(findings["held"][0]["input"], "none");
        }
    }
    let wave = inspected(nets, "sine-units2-rate4-forced-seed1.safetensors", "sine");
    assert!(wave["task"]["machine"].is_null() && wave["task"]["right"].is_null());
    // Negative control: what has never learnt the oscillation is not right wherever it starts.
    let failed = inspected(nets, "0011-units2-rate1-free-seed1.safetensors", "0011");
    let share = |key: &str| failed["task"]["right"][key].as_f64().unwrap();
    assert!(share("same") < 0.8 * share("steps"));
}

#[test]
fn outputs_that_cannot_be_are_noticed_before_anything_runs() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| path(&folder.path().join(name)).to_owned();
    fs::write(at("file"), "x").unwrap();
    fs::create_dir_all(at("taken/0101-units1-rate1-free-seed1.safetensors")).unwrap();
    let here = path(folder.path());
    let wrong = [
        ("--report", at("no/page.html"), "no"),
        ("--report", here.to_owned(), "is a folder"),
        ("--save", at("file"), "got a file, expected a folder"),
        ("--save", at("file/below"), "file"),
        ("--save", at("taken"), "is a folder"),
    ];
    for (option, value, word) in wrong {
        let output = rtrl(&["paper", "0101", "--json", &at("rows.json"), option, &value]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{message}");
        assert!(message.contains(word), "{message}");
        // Runs that have ended would have left their rows, and one that had begun would be named.
        assert!(!fs::exists(at("rows.json")).unwrap() && !message.contains("0101, seed"));
    }
    refused(
        &["paper", "--json", &at("x"), "--report", &at("./x")],
        &["--json and --report", "same"],
    );
    assert_eq!(fs::read(at("file")).unwrap(), b"x");
}

#[test]
fn a_file_that_cannot_be_written_is_noticed_before_anything_runs() {
    let output = rtrl(&["paper", "0101", "--json", "no/rows.json"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no"));
}

#[test]
fn every_task_that_is_listed_can_be_written() {
    let list = printed(&["tasks", "list"]);
    assert_eq!(list.lines().count(), 18);
    for line in list.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let columns = words[1].parse::<usize>().unwrap() + words[2].parse::<usize>().unwrap();
        let emit = |seed| printed(&["tasks", "emit", words[0], "--steps", "300", "--seed", seed]);
        let text = emit("5");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().len(), columns);
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), 300, "{}", words[0]);
        let cells = records.iter().flatten().filter(|cell| !cell.is_empty());
        let finite = cells.map(|cell| cell.parse::<f64>().unwrap().is_finite());
        let finite: Vec<bool> = finite.collect();
        assert!(finite.len() >= 290 && finite.iter().all(|&finite| finite), "{}", words[0]);
        assert_eq!(text, emit("5"));
        let random = !["0101", "0011", "sine"].contains(&words[0]);
        assert_eq!(text != emit("6"), random, "{}", words[0]);
    }
}

#[test]
fn absent_targets_are_empty_cells() {
    let text = printed(&["tasks", "emit", "xor-3", "--steps", "4", "--seed", "1"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "first,second,xor");
    assert!(lines[1].ends_with(',') && lines[2].ends_with(','), "{text}");
    assert!(!lines[3].ends_with(',') && !lines[4].ends_with(','), "{text}");
}

#[test]
fn tasks_of_which_nothing_is_quick_are_refused() {
    refused(&["paper", "turing-1", "turing-2", "--quick"], &["--quick", "turing-1, turing-2"]);
}

/// The page used to be refused, and a folder in its place was noticed only when all was done.
#[test]
fn the_page_may_stand_in_the_folder_of_the_networks_but_not_for_it() {
    let folder = TempDir::new().unwrap();
    let nets = folder.path().join("nets");
    let page = nets.join("page.html");
    let run = ["paper", "0101", "--seeds", "1", "--save", path(&nets), "--report"];
    let output = rtrl(&[&run[..], &[path(&nets)]].concat());
    assert!(!output.status.success() && fs::read_dir(&nets).unwrap().count() == 0);
    printed(&[&run[..], &[path(&page)]].concat());
    assert!(page.exists() && fs::read_dir(&nets).unwrap().count() == 3);
}
