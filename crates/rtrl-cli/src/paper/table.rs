//! The table at the end, as text and as JSON.

use rtrl_lab::paper::{Experiment, Outcome, Results};
use serde::Serialize;

use crate::error::Error;

/// An experiment with its runs.
pub(crate) type Row = Results<Outcome>;

/// The columns of [`settings`].
pub(crate) const SETTINGS: &str = "task       units  alpha     r  forced";

/// The columns after them.
const HEADER: &str = "    solved  median steps  (range)\n";

/// The table as text.
pub(crate) fn text(rows: &[Row]) -> String {
    let lines = rows.iter().map(line);
    std::iter::once(format!("{SETTINGS}{HEADER}")).chain(lines).collect()
}

/// The settings of an experiment, in columns.
pub(crate) fn settings(experiment: &Experiment) -> String {
    let Experiment { task, units, learning_rate, bound, forced, .. } = experiment;
    let forced = if *forced { "yes" } else { "no" };
    format!("{:<10}{units:>6}{learning_rate:>7}{bound:>6}{forced:>8}", task.name)
}

fn line(row: &Row) -> String {
    let (solved, median, range) = results(row);
    let range = range.map_or(String::new(), |range| format!("  ({range})"));
    format!("{}{solved:>10}{median:>14}{range}\n", settings(row.experiment))
}

/// How many runs are solved of how many, the median of their steps, or a dash, and the range.
pub(crate) fn results(row: &Row) -> (String, String, Option<String>) {
    let solved = format!("{}/{}", row.solved(), row.outcomes.len());
    let median = row.median_steps().map_or("-".to_owned(), |steps| format!("{steps:.0}"));
    let range = row.range().map(|(least, most)| format!("{least} to {most}"));
    (solved, median, range)
}

/// A row as JSON.
#[derive(Debug, Serialize)]
struct Summary {
    task: &'static str,
    units: usize,
    learning_rate: f64,
    bound: f64,
    forced: bool,
    limit: u64,
    solved: usize,
    median_steps: Option<f64>,
    /// A number for each of the seeds 1, 2, …; null where the run failed.
    steps: Vec<Option<u64>>,
}

fn summarise(row: &Row) -> Summary {
    let Experiment { task, units, learning_rate, bound, forced, limit, .. } = *row.experiment;
    let (solved, median_steps) = (row.solved(), row.median_steps());
    let steps = row.outcomes.iter().map(|outcome| outcome.steps).collect();
    let task = task.name;
    Summary { task, units, learning_rate, bound, forced, limit, solved, median_steps, steps }
}

/// The JSON file.
pub(crate) fn json(rows: &[Row]) -> Result<Vec<u8>, Error> {
    let summaries: Vec<_> = rows.iter().map(summarise).collect();
    serde_json::to_vec_pretty(&summaries).map_err(Error::format("the table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ranges_are_those_of_the_runs_that_succeeded() {
        let row = |steps: &[Option<u64>]| Row {
            experiment: &rtrl_lab::paper::TABLE[0],
            outcomes: steps.iter().map(|&steps| Outcome { steps, record: None }).collect(),
        };
        let three = line(&row(&[Some(30), None, Some(10), Some(20)]));
        assert!(three.ends_with("3/4            20  (10 to 30)\n"), "{three:?}");
        let even = line(&row(&[Some(30), Some(20)]));
        assert!(even.ends_with("2/2            25  (20 to 30)\n"), "{even:?}");
        let none = line(&row(&[None]));
        assert!(none.ends_with("0/1             -\n"), "{none:?}");
    }
}
