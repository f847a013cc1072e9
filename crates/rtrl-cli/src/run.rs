//! `rtrl run`: a saved model forecasts a stream and may continue to learn from it.

use rtrl_lab::forecast::Horizon;
use rtrl_model::Real;
use serde_json::json;

use crate::args::RunArgs;
use crate::error::Error;
use crate::input::{self, Series};
use crate::model::Model;
use crate::number::{counted, number};
use crate::outputs;
use crate::ranks::alone;
use crate::signals::Stop;
use crate::stream::checkpoint::{self, Opened};
use crate::stream::flow::Flow;
use crate::stream::forecasters::Forecasters;
use crate::stream::predictions::{Lines, Predictions};
use crate::stream::progress::Progress;
use crate::stream::subject::Subject;

pub(crate) fn run(args: &RunArgs) -> Result<(), Error> {
    let partial = args.save.as_deref().and_then(outputs::partial);
    let lock = args.checkpoint.checkpoint.as_deref().map(checkpoint::lock_path);
    let files = [
        ("--checkpoint", args.checkpoint.checkpoint.as_ref()),
        ("the lock of --checkpoint", lock.as_ref()),
        ("--save", args.save.as_ref()),
        ("--save", partial.as_ref()),
    ];
    // The model may be replaced by --save.
    outputs::check(Some(("the model", &args.model)), &files[..2])?;
    let is_file = !input::is_standard_input(&args.file);
    outputs::check(is_file.then_some(("the series", &args.file)), &files)?;
    let model = Model::read(&args.model)?;
    match model.precision() {
        "f32" => forecast::<f32>(args, &model),
        _ => forecast::<f64>(args, &model),
    }
}

fn forecast<T: Real>(args: &RunArgs, model: &Model) -> Result<(), Error> {
    let stop = Stop::watch(&alone())?;
    let described = &model.described;
    let manner = model.manner(args.threads());
    let horizon = manner.horizon;
    let opened = checkpoint::open(&args.checkpoint)?;
    let mut columns = described.columns(args.on_error);
    if let Some(groups) = opened.as_ref().map(Opened::groups).filter(|groups| !groups.is_empty()) {
        columns.groups = groups;
    }
    columns.most_groups = args.most_groups;
    let mut series = stop.or(Series::open(&args.file, &columns, horizon, args.learn, &alone()))?;
    let settings = json!({
        "command": "run",
        "series": input::name(&args.file).display().to_string(),
        "model": args.model.display().to_string(),
        "description": model.lasting(),
        "learn": args.learn,
        checkpoint::ON_ERROR: args.on_error,
        checkpoint::MOST_GROUPS: args.most_groups,
        // A run that learns has its own weights.
        "weights": if args.learn { None } else { Some(model.digest()?) },
    });
    let (keeper, found) = opened.map(|opened| opened.keeper(settings)).transpose()?.unzip();
    let forecasters = if let Some(found) = found.flatten() {
        if !args.checkpoint.from_now {
            found.skip(&mut series, &stop)?;
        }
        let (resumed, _) = found.restore::<T>(manner)?;
        let ours = if args.learn { resumed.ours } else { resumed.ours.without_learning() };
        Forecasters { ours, ..resumed }
    } else {
        let fresh = Forecasters::new(model.forecaster::<T>(args.learn, manner)?, vec![], 0);
        Forecasters { errors: described.errors.clone(), ..fresh }
    };
    let subject = Subject::of(&series);
    let columns = subject.columns(horizon == Horizon::NextRow);
    let has = [described.time.is_some(), described.group.is_some()];
    let layout = Lines { format: args.format, has, columns, live: args.live };
    series.set_group_bytes(forecasters.group_bytes());
    let predictions = Predictions::to_output(layout)?;
    let progress = Progress::new(series.bytes(), args.verbosity, &forecasters.scores);
    if args.verbosity.verbose && args.learn {
        progress.note(&forecasters.ours.learner().engine_plan()?.to_string());
    }
    let mut flow = Flow {
        series: &mut series,
        subject,
        forecasters,
        predictions: Some(predictions),
        history: None,
        keeper,
        progress,
        verbose: args.verbosity.verbose,
    };
    let stopped = flow.run(&stop);
    let Flow { forecasters, progress, keeper, .. } = flow;
    let mut notes = Vec::new();
    let mut written = Ok(());
    if let Some(path) = &args.save {
        let place = outputs::place(path, stopped.is_some());
        written = model.save(&place, args.learn, series.groups(), &forecasters);
        if written.is_ok() {
            notes.push(outputs::saved(path, &place));
        }
    }
    if let Some(first) = &series.skipped().first {
        let rows = counted(series.skipped().count, "row");
        notes.push(format!("skipped {rows} with errors, the first: {first}"));
    }
    notes.push(summary(&forecasters));
    if let (Some(_), Some(keeper)) = (&stopped, &keeper) {
        notes.extend(keeper.way_to_resume());
    }
    if let (Some(Error::Closed), Ok(())) = (stopped.as_deref(), &written) {
        // As a process that SIGPIPE has ended, without a message.
        return Err(Error::Closed);
    }
    for line in notes {
        progress.note(&line);
    }
    Error::ended(stopped, forecasters.rows, written)
}

/// The errors of all forecasts.
fn summary<T: Real>(forecasters: &Forecasters<T>) -> String {
    let scores = &forecasters.scores;
    let sums = scores.together(scores.running());
    let (rows, count) = (forecasters.rows, scores.count());
    let errors = match scores.classes().first() {
        Some(classes) => {
            let [accuracy, loss, auc] =
                [classes.accuracy(), scores.loss(&sums), classes.auc()].map(number);
            format!("accuracy {accuracy}, log loss {loss}, AUC {auc}")
        }
        None => format!("RMSE {}, MAE {}", number(sums.rmse()), number(sums.mae())),
    };
    let scaled = if scores.targets().is_empty() { "" } else { " in standard deviations" };
    format!("{rows} rows, {count} forecasts: {errors}{scaled}")
}
