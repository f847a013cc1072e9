//! `rtrl paper`: the experiments of Williams & Zipser 1989.
//!
//! `rtrl_lab::paper::sweep` runs all experiments → `live.rs` shows their progress → `table.rs`
//! prints the results, or `comparison.rs` those of two engines. `report.rs` draws the records, with
//! `strips.rs` and the words of `remarks.rs`; `nets.rs` saves the networks.

mod comparison;
mod live;
mod nets;
mod remarks;
mod report;
mod strips;
mod table;

use rtrl_lab::paper::{
    Comparison, Experiment, Job, Outcome, Progress, Record, Results, TABLE, sweep,
};
use rtrl_model::{EngineChoice, Real, store};

use crate::args::{PaperArgs, Precision};
use crate::error::Error;
use crate::outputs;
use crate::paper::live::Live;

/// Steps of a run between two updates of its progress.
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
        let rows =
            shown(&experiments, args.seeds.get(), |job, live| compare::<T>(job, live, engines))?;
        return outputs::print(&comparison::text(&rows));
    }
    let engine = args.engine.choice()?;
    let seeds = args.seeds.get();
    // This creates the folder, which may also be that of the other files.
    if let Some(folder) = &args.save {
        nets::check(folder, &experiments, |experiment| experiment.runs(seeds))?;
    }
    let files = [("--json", args.json.as_ref()), ("--report", args.report.as_ref())];
    outputs::check(None, &files)?;
    let rows = shown(&experiments, seeds, |job, live| solve::<T>(job, live, engine, args))?;
    if let Some(path) = &args.json {
        store::replace(path, &table::json(&rows)?)?;
        outputs::confirm("steps", path);
    }
    if let Some(path) = &args.report {
        store::replace(path, report::draw(&rows)?.as_bytes())?;
        outputs::confirm("report", path);
    }
    outputs::print(&table::text(&rows))
}

/// A sweep that shows its progress.
fn shown<R: Send>(
    experiments: &[&'static Experiment],
    seeds: u32,
    run: impl Fn(Job, &Live) -> Result<R, rtrl_model::Error> + Sync,
) -> Result<Vec<Results<R>>, Error> {
    let live = Live::new(experiments.iter().map(|one| (*one, one.runs(seeds))));
    let results = sweep(experiments, seeds, |job| run(job, &live));
    live.clear();
    Ok(results?)
}

/// The experiments that were requested.
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
    let chosen: Vec<_> = chosen.filter(|experiment| experiment.quick || !args.quick).collect();
    if chosen.is_empty() {
        return Err(Error::NothingQuick { tasks: args.tasks.clone() });
    }
    Ok(chosen)
}

/// A run, recorded if there is a report, with its network saved if requested.
fn solve<T: Real>(
    job: Job,
    live: &Live,
    engine: EngineChoice,
    args: &PaperArgs,
) -> Result<Outcome, rtrl_model::Error> {
    let mut run = job.experiment.start::<T>(job.seed, engine)?;
    let mut record = args.report.as_ref().map(|_| Record::new());
    loop {
        let before = run.steps();
        let progress = match &mut record {
            Some(record) => record.advance(&mut run, STRIDE)?,
            None => run.advance(STRIDE)?,
        };
        live.advance(run.steps() - before);
        let steps = match progress {
            Progress::Running => continue,
            Progress::Solved { steps } => Some(steps),
            Progress::Failed => None,
        };
        if let Some(folder) = &args.save {
            nets::save(folder, job.experiment, job.seed, &run, steps)?;
        }
        live.end(job.place, steps.is_some(), job.experiment.limit - run.steps());
        return Ok(Outcome { steps, record });
    }
}

/// One run by two engines.
fn compare<T: Real>(
    job: Job,
    live: &Live,
    engines: [EngineChoice; 2],
) -> Result<Comparison, rtrl_model::Error> {
    let comparison = job.experiment.compare::<T>(job.seed, engines)?;
    live.end(job.place, comparison.steps[0].is_some(), job.experiment.limit);
    Ok(comparison)
}
