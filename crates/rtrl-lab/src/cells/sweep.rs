//! All cells and seeds on several problems, several runs at a time.

use rtrl_model::Cell;

use super::stream::scale;
use super::{Problem, Score};
use crate::Error;
use crate::jobs::in_order;
use crate::scale::RunningScale;

/// A run of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// The problem.
    pub problem: Problem,
    /// The cell.
    pub cell: Cell,
    /// The seed, from 1.
    pub seed: u64,
}

/// The scores of a cell on a problem.
#[derive(Debug)]
pub struct Row {
    /// The problem.
    pub problem: Problem,
    /// The cell.
    pub cell: Cell,
    /// One score for each of the seeds 1, 2, …
    pub scores: Vec<Score>,
}

impl Row {
    /// The mean of a score over the seeds, and the standard deviation of these scores: the root of
    /// their mean squared distance from it.
    pub fn mean_and_deviation(&self, score: impl Fn(&Score) -> f64) -> (f64, f64) {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let scores: Vec<f64> = self.scores.iter().map(score).collect();
        let middle = mean(&scores);
        let square = |score| (score - middle) * (score - middle);
        let squares: Vec<f64> = scores.iter().map(square).collect();
        (middle, mean(&squares).sqrt())
    }
}

/// Runs every cell on every problem with the seeds 1 to `seeds`, on all threads, and calls `ended`
/// after each run. The rows and their scores are in the same order, whichever run ends first.
///
/// # Errors
/// [`Error::Run`] with the task and the seed of a run that failed.
pub fn sweep(
    problems: &[Problem],
    seeds: u32,
    ended: impl Fn(Job, Score) + Sync,
) -> Result<Vec<Row>, Error> {
    let scaled = problems.iter().map(|problem| (*problem, scale(problem)));
    let of_cells = |scaled| [Cell::Simple, Cell::Gru, Cell::Lstm].map(|cell| (scaled, cell));
    let rows: Vec<_> = scaled.flat_map(of_cells).collect();
    let jobs = rows.iter().flat_map(|&((problem, scale), cell)| {
        (1..=u64::from(seeds)).map(move |seed| (Job { problem, cell, seed }, scale))
    });
    let run = |(job, scale): &(Job, RunningScale)| {
        let (task, seed) = (job.problem.task.name, job.seed);
        let score = job.problem.run_standardised(*scale, job.cell, seed);
        let score = score.map_err(|source| Error::Run { task, seed, source: Box::new(source) })?;
        ended(*job, score);
        Ok(score)
    };
    let mut scores = in_order(&jobs.collect::<Vec<_>>(), &run)?.into_iter();
    let row = |((problem, _), cell)| Row {
        problem,
        cell,
        scores: scores.by_ref().take(seeds as usize).collect(),
    };
    Ok(rows.into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use std::sync::Mutex;

    use super::*;
    use crate::cells::PROBLEMS;

    /// Two short problems, each with its own number of steps.
    fn short() -> [Problem; 2] {
        [PROBLEMS[0], PROBLEMS[3]].map(|problem| Problem { steps: 300, ..problem.quick() })
    }

    #[test]
    fn every_run_is_done_once_and_the_scores_are_in_order() {
        let seen = Mutex::new(Vec::new());
        let rows = sweep(&short(), 3, |job, score| {
            seen.lock().unwrap().push((job.problem.task.name, job.cell.name(), job.seed, score));
        });
        let rows = rows.unwrap();
        let seen = seen.into_inner().unwrap();
        assert_eq!((rows.len(), seen.len()), (6, 18));
        let names = ["simple", "gru", "lstm"];
        for (place, row) in rows.iter().enumerate() {
            let (task, cell) = (short()[place / 3].task.name, names[place % 3]);
            assert_eq!((row.problem.task.name, row.cell.name(), row.scores.len()), (task, cell, 3));
            for (score, seed) in row.scores.iter().zip(1..) {
                assert!(seen.contains(&(task, cell, seed, *score)));
                assert_eq!(row.problem.run(row.cell, seed).unwrap(), *score);
            }
        }
    }

    #[test]
    fn a_run_that_fails_is_named() {
        let empty = Problem { units: 0, ..short()[1] };
        let error = sweep(&[empty], 1, |_, _| {}).unwrap_err();
        assert!(matches!(&error, Error::Run { task: "henon", seed: 1, .. }), "{error}");
    }

    #[test]
    fn means_and_deviations_are_those_of_the_seeds() {
        let score = |learning| Score { learning, held_out: 1.0 };
        let scores = vec![score(1.0), score(2.0), score(6.0)];
        let row = Row { problem: PROBLEMS[0], cell: Cell::Gru, scores };
        let (mean, deviation) = row.mean_and_deviation(|score| score.learning);
        assert_abs_diff_eq!(mean, 3.0, epsilon = 1e-12);
        assert_abs_diff_eq!(deviation * deviation, 14.0 / 3.0, epsilon = 1e-12);
        assert_eq!(row.mean_and_deviation(|score| score.held_out), (1.0, 0.0));
    }
}
