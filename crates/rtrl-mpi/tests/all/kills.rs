//! Ranks that are killed at random moments, while they save at every step.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rtrl_model::{Generator, Learner, Supplies};
use rtrl_mpi::{Checkpoints, Ranks};
use serde_json::Value;

use crate::launch::{alone, argument, as_rank, command};
use crate::tasks::{ENGINES, TASKS, state_bits};

const TEST: &str = "kills::a_killed_rank_leaves_a_whole_checkpoint";

/// The variable with the number of kills, and the number without it.
const VARIABLE: &str = "RTRL_MPI_KILLS";
const KILLS: usize = 12;

/// Resumes the run, or starts it, and saves at every step; prints what it does.
fn train(ranks: &Ranks, folder: &Path) {
    let (task, engine) = (TASKS[0], ENGINES[1]);
    let checkpoints = Checkpoints::new(ranks, folder, "run", 1).unwrap();
    println!("pid {} {}", ranks.rank(), std::process::id());
    let latest = checkpoints.latest(&Supplies::default()).unwrap();
    assert!(latest.rejected.is_empty(), "{:?}", latest.rejected);
    let found = latest.found.map(|(learner, _)| learner);
    let mut learner: Learner<f32> = found.unwrap_or_else(|| task.sharded(ranks, engine));
    // One process has the same bits after as many steps.
    let mut whole: Learner<f32> = task.whole(engine);
    while whole.steps() < learner.steps() {
        task.advance(&mut whole).unwrap();
    }
    assert!(state_bits(&learner) == state_bits(&whole));
    let report = |word: &str, step: u64| {
        if ranks.rank() == 0 {
            println!("{word} {step}");
        }
    };
    report("resumed", learner.steps());
    loop {
        let expected = task.advance(&mut whole).unwrap();
        assert!(task.advance(&mut learner).unwrap() == expected);
        checkpoints.save(&learner, &Value::Null).unwrap();
        report("saved", learner.steps());
    }
}

#[test]
fn a_killed_rank_leaves_a_whole_checkpoint() {
    if let Some(ranks) = as_rank(TEST) {
        return train(&ranks, &PathBuf::from(argument()));
    }
    let _alone = alone();
    let kills = std::env::var(VARIABLE).map_or(KILLS, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut generator = Generator::new(1);
    let (mut saved, mut unreported) = (0, 0);
    for kill in 0..kills {
        let count = [2, 3, 4, 1][kill % 4];
        let printed = kill_one(folder.path(), count, &mut generator);
        assert!(!printed.contains("panicked"), "kill {kill}:\n{printed}");
        let step = |word: &str| -> Option<u64> {
            let after = |line: &str| line.split(word).nth(1)?.trim().parse().ok();
            printed.lines().rev().find_map(after)
        };
        if let Some(resumed) = step("resumed ") {
            // What was reported as saved was found, or a step whose report was lost.
            assert!(resumed >= saved, "kill {kill}: {resumed}, {saved}");
            unreported += u64::from(resumed > saved);
            saved = resumed;
        }
        saved = saved.max(step("saved ").unwrap_or(0));
    }
    println!("{kills} kills; {saved} steps; {unreported} killed between a save and its report");
    assert!(saved > 0);
}

/// Starts ranks, and kills one of them after some lines or in the midst of a save.
fn kill_one(folder: &Path, count: usize, generator: &mut Generator) -> String {
    let mut command = command(TEST, count, folder.to_str().unwrap());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (mut printed, mut pids) = (String::new(), HashMap::new());
    let mut left = None;
    while left != Some(0) {
        let start = printed.len();
        assert!(output.read_line(&mut printed).unwrap() > 0, "ended early:\n{printed}");
        let line = &printed[start..];
        // The first line of a rank begins with the name of the test.
        let pid = line.split("pid ").nth(1).and_then(|pid| pid.trim().split_once(' '));
        if let Some((rank, pid)) = pid {
            pids.insert(rank.to_owned(), pid.to_owned());
        }
        if pids.len() == count {
            left = Some(left.unwrap_or_else(|| 1 + generator.below(8)) - 1);
        }
    }
    // A moment within a step or a save, which take about a hundred times as long as a turn.
    for _ in 0..generator.below(200) {
        let _ = std::fs::read_dir(folder).unwrap().count();
    }
    let pid = &pids[&generator.below(count).to_string()];
    assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
    output.read_to_string(&mut printed).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(!child.wait().unwrap().success());
    printed + &errors
}
