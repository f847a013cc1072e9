//! Many runs of many experiments, several at a time.

use rayon::prelude::*;
use rtrl_lab::paper::Experiment;
use rtrl_model::Error as ModelError;

use crate::error::Error;
use crate::paper::live::Live;

/// An experiment and what its runs came to.
#[derive(Debug)]
pub(crate) struct Row<R> {
    pub(crate) experiment: &'static Experiment,
    /// For seeds 1, 2, …
    pub(crate) outcomes: Vec<R>,
}

/// A run on its way.
pub(crate) struct Job<'l> {
    pub(crate) experiment: &'static Experiment,
    pub(crate) seed: u64,
    live: &'l Live,
    place: usize,
}

impl Job<'_> {
    /// The run has taken so many steps more.
    pub(crate) fn advance(&self, steps: u64) {
        self.live.advance(steps);
    }

    /// The run has ended, so many steps before its limit.
    pub(crate) fn end(&self, solved: bool, left: u64) {
        self.live.end(self.place, solved, left);
    }
}

/// Number of runs of an experiment: half as many as there are seeds where they take long.
pub(crate) fn count(experiment: &Experiment, seeds: u32) -> u32 {
    if experiment.quick { seeds } else { seeds.div_ceil(2) }
}

/// Runs every experiment with seeds 1 to `seeds`, or to half of that where its runs take long.
pub(crate) fn all<R: Send>(
    experiments: &[&'static Experiment],
    seeds: u32,
    run: impl Fn(&Job<'_>) -> Result<R, ModelError> + Sync,
) -> Result<Vec<Row<R>>, Error> {
    let live = Live::new(experiments.iter().map(|one| (*one, count(one, seeds))));
    let row = |(place, experiment): (usize, &&'static Experiment)| {
        let experiment = *experiment;
        let outcomes =
            (0..count(experiment, seeds)).into_par_iter().with_max_len(1).map(|before| {
                let job = Job { experiment, seed: u64::from(before) + 1, live: &live, place };
                let failed =
                    |source| Error::Run { task: experiment.task.name, seed: job.seed, source };
                run(&job).map_err(failed)
            });
        Ok(Row { experiment, outcomes: outcomes.collect::<Result<_, _>>()? })
    };
    let rows = experiments.par_iter().enumerate().with_max_len(1).map(row);
    let rows = rows.collect::<Result<_, _>>();
    live.clear();
    rows
}
