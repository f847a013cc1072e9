//! `rtrl train`: one pass of online forecasting over a series.
//!
//! Row by row: `input/` reads the numbers → the network of `network.rs` and the baselines of
//! `rtrl_lab` forecast the row in `stream/`, then see it and learn from it →
//! `rtrl_lab::prequential` accumulates their errors. At the end `summary.rs` prints the table and
//! `report.rs` draws the page.

mod network;
mod report;
mod summary;

use std::collections::BTreeMap;
use std::sync::Arc;

use rtrl_lab::forecast::Horizon;
use rtrl_model::{Real, store};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{InputArgs, Precision, Predict, ReadoutRule, TrainArgs};
use crate::error::Error;
use crate::input::{self, Series, Skipped};
use crate::model;
use crate::outputs;
use crate::ranks::{Build, Ranks, check_alone};
use crate::signals::Stop;
use crate::stream::checkpoint::{self, Found, Manner, Opened};
use crate::stream::flow::Flow;
use crate::stream::forecasters::Forecasters;
use crate::stream::history::History;
use crate::stream::predictions::{Lines, Predictions};
use crate::stream::progress::Progress;
use crate::stream::subject::Subject;

pub(crate) fn run(args: &TrainArgs, ranks: &Arc<dyn Ranks>) -> Result<(), Error> {
    args.check()?;
    if args.checkpoint.checkpoint.is_some() {
        check_alone(&**ranks, "--checkpoint")?;
    }
    let partial = args.save.as_deref().and_then(outputs::partial);
    let lock = args.checkpoint.checkpoint.as_deref().map(checkpoint::lock_path);
    let files = [
        ("--save", args.save.as_ref()),
        ("--save", partial.as_ref()),
        ("--report", args.report.as_ref()),
        ("--json", args.json.as_ref()),
        ("--predictions", args.predictions.as_ref()),
        ("--checkpoint", args.checkpoint.checkpoint.as_ref()),
        ("the lock of --checkpoint", lock.as_ref()),
    ];
    let is_file = !input::is_standard_input(&args.file);
    outputs::check(is_file.then_some(("the series", &args.file)), &files)?;
    match args.precision {
        Precision::F32 => train::<f32>(args, ranks, &**ranks),
        Precision::F64 => train::<f64>(args, ranks, &**ranks),
    }
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Outcome<T: Real> {
    pub(crate) subject: Subject,
    /// The names of the groups; none without a column of them.
    pub(crate) groups: Vec<String>,
    pub(crate) skipped: Skipped,
    pub(crate) forecasters: Forecasters<T>,
    pub(crate) rows_per_second: f64,
    /// The forecasts of the row after the last, if its inputs are known.
    pub(crate) next: Option<Vec<f64>>,
    /// The error that stopped the run before the end of the series.
    pub(crate) stopped: Option<Box<Error>>,
}

fn train<T: Real>(
    args: &TrainArgs,
    ranks: &Arc<dyn Ranks>,
    build: &dyn Build<T>,
) -> Result<(), Error> {
    let stop = Stop::watch(ranks)?;
    let opened = checkpoint::open(&args.checkpoint)?;
    let columns = columns(args, opened.as_ref());
    let mut series = stop.or(Series::open(&args.file, &columns, args.horizon, true, ranks))?;
    // A model finds its columns by their names, and a checkpoint the classes of its columns.
    if args.save.is_some() || !series.classes().is_empty() && args.checkpoint.checkpoint.is_some() {
        series.check_names()?;
    }
    let subject = Subject::of(&series);
    let predict = predict(args, &series, &subject)?;
    let options = options(args, &series, predict)?;
    let settings = json!({
        "command": "train",
        "series": input::name(&args.file).display().to_string(),
        "target": subject.name(),
        "seed": args.seed,
        "options": options,
        "baselines": args.baselines.of(subject.is_class())?,
        "predictions": args.predictions.is_some(),
        "format": args.predictions.as_ref().map(|_| args.format),
        "report": args.report.is_some(),
        checkpoint::ON_ERROR: args.input.on_error,
        checkpoint::MOST_GROUPS: args.input.most_groups,
    });
    let (keeper, found) = opened.map(|opened| opened.keeper(settings)).transpose()?.unzip();
    let (horizon, threads) = (args.horizon, args.threads());
    let manner = Manner { predict: predict.into(), horizon, threads };
    let mut bytes = None;
    let (forecasters, history) = if let Some(found) = found.flatten() {
        bytes = found.predictions();
        resume(args, found, manner, (&mut series, &stop))?
    } else {
        let size = (series.width(), series.outputs());
        (network::forecasters(args, size, manner, build)?, None)
    };
    series.set_group_bytes(forecasters.group_bytes());
    let history = args.report.as_ref().map(|_| history.unwrap_or_default());
    let predictions = predictions(args, &subject, bytes)?;
    let progress = Progress::new(series.bytes(), args.verbosity, &forecasters.scores);
    if args.verbosity.verbose {
        progress.note(&forecasters.ours.learner().engine_plan()?.to_string());
    }
    let mut flow = Flow {
        series: &mut series,
        subject,
        forecasters,
        predictions,
        history,
        keeper,
        progress,
        verbose: args.verbosity.verbose,
    };
    let stopped = flow.run(&stop);
    let Flow { mut forecasters, subject, history, keeper, progress, .. } = flow;
    let rows = forecasters.rows;
    if let (Some(_), Some(keeper)) = (&stopped, &keeper) {
        keeper.way_to_resume().iter().for_each(|way| progress.note(way));
    }
    match stopped {
        Some(error) if rows < 2 => return Err(*error),
        None if rows < 2 => return Err(Error::Rows { path: input::name(&args.file), got: rows }),
        _ => {}
    }
    let groups = series.groups().to_vec();
    let next = if groups.is_empty() { forecasters.next(0).map(<[f64]>::to_vec) } else { None };
    let rows_per_second = progress.rows_per_second();
    let skipped = series.skipped().clone();
    let mut outcome =
        Outcome { subject, groups, skipped, forecasters, rows_per_second, next, stopped };
    let written = write_files(args, &options, &outcome, history.as_ref()).and_then(|files| {
        for line in &files {
            progress.note(line);
        }
        if ranks.rank() == 0 { summary::print(args, &outcome) } else { Ok(()) }
    });
    Error::ended(outcome.stopped.take(), rows, written)
}

/// What the readout forecasts.
fn predict(args: &TrainArgs, series: &Series, subject: &Subject) -> Result<Predict, Error> {
    let default = if series.sees_target() { Predict::Change } else { Predict::Value };
    match args.predict {
        None if subject.is_class() => Ok(Predict::Class),
        Some(predict) if subject.is_class() => {
            let got = if predict == Predict::Change { "change" } else { "value" };
            let (target, expected) = ("a class", "a column of numbers, or no such option");
            Err(Error::OtherKind { option: "--predict", got, target, expected })
        }
        given => Ok(given.unwrap_or(default)),
    }
}

/// The columns of the series. A run that is resumed has learnt its classes and knows its groups.
fn columns(args: &TrainArgs, opened: Option<&Opened>) -> InputArgs {
    let settings = opened.and_then(Opened::settings);
    let learnt = settings.and_then(|run| BTreeMap::deserialize(&run["options"]["classes"]).ok());
    let groups = opened.map(Opened::groups).unwrap_or_default();
    InputArgs { learnt: learnt.unwrap_or_default(), groups, ..args.input.clone() }
}

/// The forecasters and the history of a checkpoint.
fn resume<T: Real>(
    args: &TrainArgs,
    found: Found,
    manner: Manner,
    (series, stop): (&mut Series, &Stop),
) -> Result<(Forecasters<T>, Option<History>), Error> {
    if !args.checkpoint.from_now {
        found.skip(series, stop)?;
    }
    found.restore(manner)
}

/// The file of predictions, which continues after so many bytes of a run that is resumed.
fn predictions(
    args: &TrainArgs,
    subject: &Subject,
    bytes: Option<u64>,
) -> Result<Option<Predictions>, Error> {
    let Some(path) = &args.predictions else { return Ok(None) };
    let columns = subject.columns(args.horizon == Horizon::NextRow);
    let has = [args.input.time.is_some(), args.input.group.is_some()];
    let layout = Lines { format: args.format, has, columns, live: false };
    match bytes {
        Some(bytes) => Predictions::resume(path, layout, bytes),
        None => Predictions::to_file(path, layout),
    }
    .map(Some)
}

/// Writes the files of a run and returns a line about each.
fn write_files<T: Real>(
    args: &TrainArgs,
    options: &Value,
    outcome: &Outcome<T>,
    history: Option<&History>,
) -> Result<Vec<String>, Error> {
    let mut files = Vec::new();
    if let Some(path) = &args.save {
        let place = outputs::place(path, outcome.stopped.is_some());
        save(&place, args, options, outcome)?;
        files.push(outputs::saved(path, &place));
    }
    if let Some(path) = &args.json {
        store::replace(path, &summary::json(args, options, outcome)?)?;
        files.push(outputs::confirmation("errors", path));
    }
    if let (Some(path), Some(history)) = (&args.report, history) {
        store::replace(path, report::draw(args, outcome, history)?.as_bytes())?;
        files.push(outputs::confirmation("report", path));
    }
    Ok(files)
}

/// The options of a run with their defaults.
fn options(args: &TrainArgs, series: &Series, predict: Predict) -> Result<Value, Error> {
    let is_class = predict == Predict::Class;
    let readout = args.readout.rule(is_class)?;
    let (forgetting, ridge) = match readout {
        ReadoutRule::Gradient => (None, None),
        ReadoutRule::LeastSquares { forgetting, ridge } => (Some(forgetting), Some(ridge)),
    };
    let (engine, window, even_paced) = args.engine.names();
    let mut options = json!({
        "inputs": series.inputs(),
        "classes": series.classes(),
        "lags": args.input.lags,
        "missing": args.input.missing,
        "time": series.time(),
        "no_header": args.input.no_header,
        "horizon": u8::from(args.horizon == Horizon::NextRow),
        "predict": predict,
        "cell": args.cell.to_string(),
        "layers": args.layers,
        "units": args.units,
        "heads_of": args.heads_of,
        "activation": args.activation().map(|activation| activation.name().to_owned()),
        "leak": args.leak(),
        "gain": args.gain,
        "optimizer": args.optimizer,
        "learning_rate": args.learning_rate(is_class),
        "clip": args.clip,
        "engine": engine,
        "window": window,
        "even_paced": even_paced,
        "readout": readout.name(),
        "forgetting": forgetting,
        "ridge": ridge,
        "precision": args.precision,
        "skip": args.skip,
    });
    if let Some(group) = series.group() {
        options["group"] = group.into();
    }
    Ok(options)
}

/// Saves the network with the options of its run.
fn save<T: Real>(
    path: &std::path::Path,
    args: &TrainArgs,
    options: &Value,
    outcome: &Outcome<T>,
) -> Result<(), Error> {
    let mut application = options.clone();
    application["program"] = "rtrl train".into();
    application["targets"] = outcome.subject.targets.clone().into();
    application["seed"] = args.seed.into();
    model::save(path, application, &outcome.groups, &outcome.forecasters)
}
