//! The results of the runs of an experiment.

use super::{Comparison, Experiment, Record};

/// The outcome of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Steps before its success began; `None` where it failed.
    pub steps: Option<u64>,
    /// What was recorded of it, if anything.
    pub record: Option<Record>,
}

/// An experiment and the outcomes of its runs.
#[derive(Debug)]
pub struct Results<R> {
    /// The experiment.
    pub experiment: &'static Experiment,
    /// One outcome for each of the seeds 1, 2, …
    pub outcomes: Vec<R>,
}

impl Results<Outcome> {
    /// Number of runs that succeeded.
    pub fn solved(&self) -> usize {
        self.steps().count()
    }

    /// The fewest and the most steps of the runs that succeeded; `None` where all failed.
    pub fn range(&self) -> Option<(u64, u64)> {
        Some((self.steps().min()?, self.steps().max()?))
    }

    /// The median of the steps of the runs that succeeded; `None` where all failed.
    pub fn median_steps(&self) -> Option<f64> {
        let mut steps: Vec<u64> = self.steps().collect();
        steps.sort_unstable();
        let upper = *steps.get(steps.len() / 2)?;
        let lower = steps[(steps.len() - 1) / 2];
        Some(0.5 * (lower as f64 + upper as f64))
    }

    /// The index of a typical run: the successful one with the median number of steps (of two, the
    /// shorter), or the first if all failed.
    pub fn typical(&self) -> usize {
        let steps = |(place, outcome): (usize, &Outcome)| Some((outcome.steps?, place));
        let mut solved: Vec<_> = self.outcomes.iter().enumerate().filter_map(steps).collect();
        solved.sort_unstable();
        solved.get(solved.len().saturating_sub(1) / 2).map_or(0, |&(_, place)| place)
    }

    /// The steps of the runs that succeeded.
    fn steps(&self) -> impl Iterator<Item = u64> {
        self.outcomes.iter().filter_map(|outcome| outcome.steps)
    }
}

impl Results<Comparison> {
    /// Number of runs in which both engines needed the same steps.
    pub fn equal(&self) -> usize {
        self.outcomes.iter().filter(|run| run.is_equal()).count()
    }

    /// The fewest steps after which the engines diverged in some run; `None` where they never did.
    pub fn first_diverged(&self) -> Option<u64> {
        self.outcomes.iter().filter_map(|run| run.diverged).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::TABLE;

    fn results(steps: &[Option<u64>]) -> Results<Outcome> {
        let outcomes = steps.iter().map(|&steps| Outcome { steps, record: None }).collect();
        Results { experiment: &TABLE[0], outcomes }
    }

    #[test]
    fn medians_and_ranges_are_those_of_the_runs_that_succeeded() {
        let three = results(&[Some(30), None, Some(10), Some(20)]);
        let found = (three.solved(), three.median_steps(), three.range());
        assert_eq!(found, (3, Some(20.0), Some((10, 30))));
        let even = results(&[Some(30), Some(21)]);
        assert_eq!((even.median_steps(), even.range()), (Some(25.5), Some((21, 30))));
        let none = results(&[None]);
        assert_eq!((none.solved(), none.median_steps(), none.range()), (0, None, None));
    }

    #[test]
    fn the_typical_run_is_the_median_of_those_that_succeeded() {
        assert_eq!(results(&[Some(30), None, Some(10), Some(20)]).typical(), 3);
        assert_eq!(results(&[None, Some(30), Some(20)]).typical(), 2);
        assert_eq!(results(&[None, None]).typical(), 0);
    }

    #[test]
    fn comparisons_are_counted() {
        let run = |steps, diverged| Comparison { steps, diverged };
        let outcomes = vec![
            run([Some(5), Some(5)], None),
            run([Some(5), Some(6)], Some(9)),
            run([None, None], Some(4)),
        ];
        let results = Results { experiment: &TABLE[0], outcomes };
        assert_eq!((results.equal(), results.first_diverged()), (2, Some(4)));
    }
}
