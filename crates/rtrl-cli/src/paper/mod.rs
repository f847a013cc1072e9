//! `rtrl paper`: the experiments of Williams & Zipser 1989.
//!
//! `runs.rs` shares all runs of all experiments out over the threads → `live.rs` shows how far they are →
//! `table.rs` sums them up, or `comparison.rs` where two engines are compared.

mod comparison;
mod live;
mod runs;
mod table;

use rtrl_model::paper::{Comparison, Experiment, Progress, TABLE};
use rtrl_model::{EngineChoice, Real, file};

use crate::args::{PaperArgs, Precision};
use crate::error::Error;
use crate::outputs;
use crate::paper::runs::Job;

/// Steps of a run between two looks at how far it is.
const STRIDE: u64 = 10_000;

pub(crate) fn run(args: &PaperArgs) -> Result<(), Error> {
    match args.precision {
        Precision::F32 => run_in::<f32>(args),
        Precision::F64 => run_in::<f64>(args),
    }
}

fn run_in<T: Real>(args: &PaperArgs) -> Result<(), Error> {
    let experiments = select(args)?;
    if args.compare {
        let engines = [EngineChoice::Eager, args.engine.compared()?];
        let rows = runs::all(&experiments, args.seeds.get(), |job| compare::<T>(job, engines))?;
        return outputs::print(&comparison::text(&rows));
    }
    let engine = args.engine.choice()?;
    if let Some(path) = &args.json {
        file::check_writable(path)?;
    }
    let rows = runs::all(&experiments, args.seeds.get(), |job| solve::<T>(job, engine))?;
    if let Some(path) = &args.json {
        file::replace(path, &table::json(&rows)?)?;
    }
    outputs::print(&table::text(&rows))
}

/// The experiments that were asked for.
fn select(args: &PaperArgs) -> Result<Vec<&'static Experiment>, Error> {
    let known = || {
        let mut names: Vec<_> = TABLE.iter().map(|experiment| experiment.task.name).collect();
        names.dedup();
        names
    };
    if let Some(name) = args.tasks.iter().find(|name| !known().contains(&name.as_str())) {
        return Err(Error::Task { name: name.clone(), known: known() });
    }
    let named = |experiment: &Experiment| {
        args.tasks.is_empty() || args.tasks.iter().any(|name| name == experiment.task.name)
    };
    let chosen = TABLE.iter().filter(|experiment| named(experiment));
    Ok(chosen.filter(|experiment| experiment.quick || !args.quick).collect())
}

/// The steps before the success of a run began, `None` if it failed.
fn solve<T: Real>(job: &Job<'_>, engine: EngineChoice) -> Result<Option<u64>, rtrl_model::Error> {
    let mut run = job.experiment.start::<T>(job.seed, engine)?;
    loop {
        let before = run.steps();
        let progress = run.advance(STRIDE)?;
        job.advance(run.steps() - before);
        let solved = match progress {
            Progress::Running => continue,
            Progress::Solved { steps } => Some(steps),
            Progress::Failed => None,
        };
        job.end(solved.is_some(), job.experiment.limit - run.steps());
        return Ok(solved);
    }
}

/// One run by two engines.
fn compare<T: Real>(
    job: &Job<'_>,
    engines: [EngineChoice; 2],
) -> Result<Comparison, rtrl_model::Error> {
    let comparison = job.experiment.compare::<T>(job.seed, engines)?;
    job.end(comparison.steps[0].is_some(), job.experiment.limit);
    Ok(comparison)
}
