//! The output of a comparison of two engines.

use rtrl_lab::paper::{Comparison, Results};

use crate::paper::table::{SETTINGS, settings};

/// A line for each experiment, followed by one for each run in which the steps of the engines
/// differ.
pub(crate) fn text(rows: &[Results<Comparison>]) -> String {
    let header = format!("{SETTINGS}  equal steps  first diverged after\n");
    let lines = rows.iter().map(|row| format!("{}{}", line(row), differences(row)));
    std::iter::once(header).chain(lines).collect()
}

fn line(row: &Results<Comparison>) -> String {
    let equal = format!("{}/{}", row.equal(), row.outcomes.len());
    format!("{}{equal:>13}{:>22}\n", settings(row.experiment), steps(row.first_diverged()))
}

fn differences(row: &Results<Comparison>) -> String {
    let runs = (1..).zip(&row.outcomes).filter(|(_, run)| !run.is_equal());
    let line = |(seed, run): (u32, &Comparison)| {
        let [eager, deferred] = run.steps.map(steps);
        let diverged = steps(run.diverged);
        format!("  seed {seed}: eager {eager}, deferred {deferred}, diverged after {diverged}\n")
    };
    runs.map(line).collect()
}

/// A number of steps or a dash.
fn steps(steps: Option<u64>) -> String {
    steps.map_or("-".to_owned(), |steps| steps.to_string())
}
