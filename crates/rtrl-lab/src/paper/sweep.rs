//! Many runs of many experiments, several at a time.

use rtrl_model::Error as ModelError;

use super::Experiment;
use super::results::Results;
use crate::Error;
use crate::jobs::in_order;

/// A run of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// The experiment.
    pub experiment: &'static Experiment,
    /// Its index in the list of experiments, from 0.
    pub place: usize,
    /// The seed of the run, from 1.
    pub seed: u64,
}

impl Experiment {
    /// Number of runs in a [`sweep`] over `seeds` seeds: half as many for slow experiments.
    pub fn runs(&self, seeds: u32) -> u32 {
        if self.quick { seeds } else { seeds.div_ceil(2) }
    }
}

/// Runs every experiment with the seeds 1 to [`Experiment::runs`], on all threads; `run` does one
/// of these runs. Outcomes are in the order of the seeds, whichever run ends first.
///
/// # Errors
/// [`Error::Run`] with the task and the seed of a run that failed.
pub fn sweep<R: Send>(
    experiments: &[&'static Experiment],
    seeds: u32,
    run: impl Fn(Job) -> Result<R, ModelError> + Sync,
) -> Result<Vec<Results<R>>, Error> {
    let jobs = experiments.iter().enumerate().flat_map(|(place, experiment)| {
        let seeds = 1..=u64::from(experiment.runs(seeds));
        seeds.map(move |seed| Job { experiment, place, seed })
    });
    let named = |job: &Job| {
        let (task, seed) = (job.experiment.task.name, job.seed);
        run(*job).map_err(|source| Error::Run { task, seed, source: Box::new(source) })
    };
    let mut outcomes = in_order(&jobs.collect::<Vec<_>>(), &named)?.into_iter();
    let row = |experiment: &&'static Experiment| {
        let runs = experiment.runs(seeds) as usize;
        Results { experiment, outcomes: outcomes.by_ref().take(runs).collect() }
    };
    Ok(experiments.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::TABLE;

    #[test]
    fn every_run_is_done_once_and_the_outcomes_are_in_order() {
        let slow = TABLE.iter().find(|one| !one.quick).unwrap();
        let experiments = [&TABLE[0], slow];
        let done = sweep(&experiments, 7, |job| {
            assert!(std::ptr::eq(job.experiment, experiments[job.place]));
            Ok((job.place, job.seed))
        });
        let done = done.unwrap();
        let expected =
            |place, seeds: u64| (1..=seeds).map(|seed| (place, seed)).collect::<Vec<_>>();
        assert_eq!(done[0].outcomes, expected(0, 7));
        assert_eq!(done[1].outcomes, expected(1, 4));
    }

    #[test]
    fn a_run_that_fails_is_named() {
        let fail = |job: Job| match job.seed {
            3 => Err(ModelError::InputLength { expected: 1, got: 2 }),
            _ => Ok(()),
        };
        let error = sweep(&[&TABLE[0]], 4, fail).unwrap_err();
        let task = TABLE[0].task.name;
        assert!(matches!(&error, Error::Run { task: of, seed: 3, .. } if *of == task), "{error}");
    }
}
