//! The trained networks as files.

use std::path::Path;

use rtrl_lab::paper::{Experiment, Run};
use rtrl_model::{Real, store};

use crate::error::Error;

/// The name of a network's file, which no other run of [`TABLE`](rtrl_lab::paper::TABLE) has.
fn name(experiment: &Experiment, seed: u64) -> String {
    let Experiment { task, units, learning_rate, forced, .. } = experiment;
    let forced = if *forced { "forced" } else { "free" };
    format!("{}-units{units}-rate{learning_rate}-{forced}-seed{seed}.safetensors", task.name)
}

/// Creates the folder if necessary, and fails unless all networks can be saved in it. Call this
/// before the runs.
pub(crate) fn check(
    folder: &Path,
    experiments: &[&'static Experiment],
    runs: impl Fn(&Experiment) -> u32,
) -> Result<(), Error> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    if folder.is_file() {
        return Err(Error::NotAFolder { path: folder.to_owned() });
    }
    std::fs::create_dir_all(folder).map_err(failed)?;
    for experiment in experiments {
        for seed in 1..=runs(experiment) {
            store::check_writable(&folder.join(name(experiment, u64::from(seed))))?;
        }
    }
    Ok(())
}

/// Saves the network of a finished run, with the number of steps if it was solved.
pub(crate) fn save<T: Real>(
    folder: &Path,
    experiment: &Experiment,
    seed: u64,
    run: &Run<T>,
    solved: Option<u64>,
) -> Result<(), rtrl_model::Error> {
    let application = serde_json::json!({
        "program": "rtrl paper",
        "task": experiment.task.name,
        "seed": seed,
        "learning_rate": experiment.learning_rate,
        "bound": experiment.bound,
        "forced": experiment.forced,
        "steps": run.steps(),
        "steps_before_success": solved,
    });
    let path = folder.join(name(experiment, seed));
    store::network::save(run.network(), run.state()?.values(), application, &path)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rtrl_lab::paper::TABLE;

    use super::*;

    #[test]
    fn no_two_runs_share_a_file() {
        let seeds = 1..=20;
        let names = TABLE.iter().flat_map(|one| seeds.clone().map(move |seed| name(one, seed)));
        assert_eq!(names.collect::<HashSet<_>>().len(), 20 * TABLE.len());
    }
}
