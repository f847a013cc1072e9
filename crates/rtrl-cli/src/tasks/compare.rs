//! `rtrl tasks compare`: simple units, GRU and LSTM on the same tasks.
//!
//! `rtrl_lab::cells::sweep` does all runs; each leaves a line on standard error when it ends. The
//! table follows on standard output.

use rtrl_lab::cells::{Job, PROBLEMS, Problem, Row, Score, sweep};
use rtrl_model::store;
use serde_json::json;

use crate::args::CompareArgs;
use crate::error::Error;
use crate::outputs;

pub(crate) fn run(args: &CompareArgs) -> Result<(), Error> {
    let problems = select(args)?;
    outputs::check(None, &[("--json", args.json.as_ref())])?;
    let rows = sweep(&problems, args.seeds.get(), note_run)?;
    if let Some(path) = &args.json {
        store::replace(path, &as_json(&rows)?)?;
        outputs::confirm("scores", path);
    }
    outputs::print(&text(&rows))
}

/// The problems that were requested.
fn select(args: &CompareArgs) -> Result<Vec<Problem>, Error> {
    let name = |problem: &Problem| problem.task.name;
    let known = || PROBLEMS.iter().map(name);
    if let Some(unknown) = args.tasks.iter().find(|task| !known().any(|name| name == *task)) {
        return Err(Error::Task { name: unknown.clone(), known: known().collect() });
    }
    let named = |problem: &&Problem| {
        args.tasks.is_empty() || args.tasks.iter().any(|task| task == name(problem))
    };
    let chosen = PROBLEMS.iter().filter(named);
    Ok(chosen.map(|problem| if args.quick { problem.quick() } else { *problem }).collect())
}

/// Says on standard error that a run has ended.
fn note_run(Job { problem, cell, seed }: Job, score: Score) {
    let (task, measure) = (problem.task.name, problem.measure.name());
    let Score { learning, held_out } = score;
    outputs::note(&format!(
        "{task}, {cell}, seed {seed}: {learning:.5} {measure} while learning, {held_out:.5} held out"
    ));
}

/// The table as text: a line for each problem and cell.
fn text(rows: &[Row]) -> String {
    let header = "task          cell    units  streams   steps  error        \
                  while learning      held out\n";
    let line = |row: &Row| {
        let Problem { task, units, streams, steps, measure, .. } = row.problem;
        let learning = spread(row, |score| score.learning);
        let held_out = spread(row, |score| score.held_out);
        format!(
            "{:<14}{:<8}{units:>5}{streams:>9}{steps:>8}  {:<13}{learning:<20}{held_out}\n",
            task.name,
            row.cell.name(),
            measure.name(),
        )
    };
    std::iter::once(header.to_owned()).chain(rows.iter().map(line)).collect()
}

/// The mean over the seeds and the standard deviation between them.
fn spread(row: &Row, score: impl Fn(&Score) -> f64) -> String {
    let (mean, deviation) = row.mean_and_deviation(score);
    format!("{mean:.4} +- {deviation:.4}")
}

/// The JSON file: the settings of every problem and cell, and a score for each seed.
fn as_json(rows: &[Row]) -> Result<Vec<u8>, Error> {
    let row = |row: &Row| {
        let problem = &row.problem;
        let scores = |score: fn(&Score) -> f64| row.scores.iter().map(score).collect::<Vec<_>>();
        json!({
            "task": problem.task.name,
            "cell": row.cell.name(),
            "units": problem.units,
            "streams": problem.streams,
            "steps": problem.steps,
            "scored": problem.scored,
            "restart": problem.restart,
            "learning_rate": problem.learning_rate,
            "forget_bias": problem.forget_bias,
            "error": problem.measure.name(),
            "learning": scores(|score| score.learning),
            "held_out": scores(|score| score.held_out),
        })
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    serde_json::to_vec_pretty(&rows).map_err(Error::format("the table"))
}
