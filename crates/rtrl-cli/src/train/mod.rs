//! `rtrl train`: one pass of online forecasting over a CSV file.
//!
//! Row by row: `input/` reads the numbers → the network of `network.rs` and the baselines of
//! `rtrl_lab` forecast the row, then see it and learn from it → `rtrl_lab::prequential` accumulates
//! their errors. At the end `summary.rs` prints the table and `report.rs` draws the page.

mod network;
mod report;
mod summary;

use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use rtrl_lab::baselines::{Autoregression, Persistence};
use rtrl_lab::forecast::{Horizon, NetworkForecaster, Predict};
use rtrl_lab::prequential::{Scores, SeriesForecaster};
use rtrl_model::{Layout, Real, store};
use serde_json::Value;

use crate::args::{Precision, ReadoutRule, TrainArgs};
use crate::error::Error;
use crate::input::{self, Series, Skipped};
use crate::outputs;

/// Number of forecasters.
const FORECASTERS: usize = 4;

/// The names of the forecasters, in the order of all lists of them.
const NAMES: [&str; FORECASTERS] =
    ["exact RTRL", "persistence", "RLS-AR(12)", "same, recurrent weights still"];

/// Order of the linear autoregression, which its name repeats.
const ORDER: usize = 12;

pub(crate) fn run(args: &TrainArgs) -> Result<(), Error> {
    let files = [
        ("--save", args.save.as_ref()),
        ("--report", args.report.as_ref()),
        ("--json", args.json.as_ref()),
    ];
    let is_file = !input::is_standard_input(&args.file);
    outputs::check(is_file.then_some(("the series", &args.file)), &files)?;
    match args.precision {
        Precision::F32 => train::<f32>(args),
        Precision::F64 => train::<f64>(args),
    }
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The name of the target.
    pub(crate) target: String,
    pub(crate) rows: u64,
    pub(crate) skipped: Skipped,
    pub(crate) scores: Scores<FORECASTERS>,
    pub(crate) rows_per_second: f64,
    /// Rows at which an overflow kept the network from learning.
    pub(crate) mishaps: u64,
    /// The forecast of the row after the last, if its inputs are known.
    pub(crate) next: Option<f64>,
    /// The error that stopped the run before the end of the series.
    pub(crate) stopped: Option<Box<Error>>,
}

fn train<T: Real>(args: &TrainArgs) -> Result<(), Error> {
    let mut series = Series::open(&args.file, &args.input, args.horizon)?;
    let inputs = series.inputs();
    let units = args.units();
    let states = if args.cell.has_cells() { 2 } else { 1 };
    let blocks = args.cell.blocks() / states;
    // The first layer alone; all of them are checked when their engine is built.
    Layout::stacked(units.saturating_mul(states), blocks, inputs.len() + 1 + units)
        .and_then(|layout| layout.check_memory::<T>())
        .map_err(rtrl_model::Error::from)?;
    let predict = args
        .predict
        .map_or(if series.sees_target() { Predict::Change } else { Predict::Value }, Predict::from);
    let mut ours = network::forecaster::<T>(args, inputs.len(), predict, true)?;
    let mut still = network::forecaster::<T>(args, inputs.len(), predict, false)?;
    let mut outcome = pass(args, &mut series, &mut ours, &mut still)?;
    let options = options(args, &inputs, predict)?;
    if let Some(path) = &args.save {
        save(path, args, (series.target(), &options), &ours)?;
        outputs::confirm("model", path);
    }
    if let Some(path) = &args.json {
        store::replace(path, &summary::json(args, &options, &outcome)?)?;
        outputs::confirm("errors", path);
    }
    if let Some(path) = &args.report {
        let page = report::draw(args, &outcome, ours.network())?;
        store::replace(path, page.as_bytes())?;
        outputs::confirm("report", path);
    }
    summary::print(args, &outcome)?;
    match outcome.stopped.take() {
        Some(source) => Err(Error::Stopped { source, rows: outcome.rows }),
        None => Ok(()),
    }
}

/// Takes every row once, up to the first that is wrong.
fn pass<T: Real>(
    args: &TrainArgs,
    series: &mut Series,
    ours: &mut NetworkForecaster<T>,
    still: &mut NetworkForecaster<T>,
) -> Result<Outcome, Error> {
    let mut persistence = Persistence::default();
    let mut autoregression = Autoregression::new(ORDER)?;
    let mut scores = Scores::new(args.skip);
    if args.report.is_some() {
        scores = scores.keep_records();
    }
    let mut forecasters: [&mut dyn SeriesForecaster; FORECASTERS] =
        [ours, &mut persistence, &mut autoregression, still];
    let bar = progress_bar(series.bytes());
    let start = Instant::now();
    let mut rows = 0;
    let stopped = loop {
        match take_row(series, &mut scores, &mut forecasters, &bar) {
            Ok(true) => rows += 1,
            Ok(false) => break None,
            Err(error) => break Some(Box::new(error)),
        }
    };
    bar.finish_and_clear();
    match stopped {
        Some(error) if rows < 2 => return Err(*error),
        None if rows < 2 => return Err(Error::Rows { path: input::name(&args.file), got: rows }),
        _ => {}
    }
    let rows_per_second = rows as f64 / start.elapsed().as_secs_f64();
    let next = (args.horizon == Horizon::NextRow).then(|| ours.forecast());
    let mishaps = ours.mishaps();
    let (target, skipped) = (series.target().to_owned(), series.skipped().clone());
    Ok(Outcome { target, rows, skipped, scores, rows_per_second, mishaps, next, stopped })
}

/// Takes the next row; false at the end.
fn take_row(
    series: &mut Series,
    scores: &mut Scores<FORECASTERS>,
    forecasters: &mut [&mut dyn SeriesForecaster; FORECASTERS],
    bar: &ProgressBar,
) -> Result<bool, Error> {
    let Some(row) = series.next_row()? else { return Ok(false) };
    scores.take(forecasters, &row.inputs, row.target)?;
    bar.set_position(row.position);
    if row.number.is_power_of_two() {
        bar.suspend(|| summary::print_progress(row.number, scores));
    }
    Ok(true)
}

/// A bar for so many bytes, hidden if their number is not known.
fn progress_bar(bytes: Option<u64>) -> ProgressBar {
    let Some(bytes) = bytes else { return ProgressBar::hidden() };
    let style = "{wide_bar} {percent:>3} %  {eta} left";
    let bar = ProgressBar::new(bytes);
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The options of a run with their defaults.
fn options(args: &TrainArgs, inputs: &[String], predict: Predict) -> Result<Value, Error> {
    let (forgetting, ridge) = match args.readout.rule()? {
        ReadoutRule::Gradient => (None, None),
        ReadoutRule::LeastSquares { forgetting, ridge } => (Some(forgetting), Some(ridge)),
    };
    Ok(serde_json::json!({
        "inputs": inputs,
        "missing": args.input.missing.name(),
        "horizon": u8::from(args.horizon == Horizon::NextRow),
        "predict": if predict == Predict::Change { "change" } else { "value" },
        "cell": args.cell.to_string(),
        "layers": args.layers,
        "units": args.units,
        "activation": args.activation().map(|activation| activation.name().to_owned()),
        "leak": args.leak(),
        "gain": args.gain,
        "optimizer": args.optimizer.name(),
        "learning_rate": args.learning_rate()?,
        "clip": args.clip,
        "readout": args.readout.rule()?.name(),
        "forgetting": forgetting,
        "ridge": ridge,
        "precision": format!("{:?}", args.precision).to_lowercase(),
        "skip": args.skip,
    }))
}

/// Saves the network with the target and the options of its run.
fn save<T: Real>(
    path: &Path,
    args: &TrainArgs,
    (target, options): (&str, &Value),
    ours: &NetworkForecaster<T>,
) -> Result<(), Error> {
    let mut application = options.clone();
    application["program"] = "rtrl train".into();
    application["target"] = target.into();
    application["seed"] = args.seed.into();
    application["scales"] = network::scales(ours);
    Ok(store::network::save(ours.network(), ours.state()?.values(), application, path)?)
}
