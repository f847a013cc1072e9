//! The output of a run.

use rtrl_lab::labels::{ClassSums, most_probable};
use rtrl_lab::prequential::{ErrorSums, Scores};
use rtrl_model::Real;
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{BaselineName, TrainArgs};
use crate::error::Error;
use crate::number::{counted, number};
use crate::outputs;
use crate::stream::forecasters::Forecasters;
use crate::train::Outcome;

/// Most classes of which the table has a line; the JSON file has all.
const MOST_CLASSES: usize = 20;

/// Prints the table at the end.
pub(crate) fn print<T: Real>(args: &TrainArgs, outcome: &Outcome<T>) -> Result<(), Error> {
    outputs::print(&table(args, outcome))
}

fn table<T: Real>(args: &TrainArgs, outcome: &Outcome<T>) -> String {
    let Outcome { forecasters, skipped, rows_per_second, .. } = outcome;
    let (rows, scores) = (forecasters.rows, &forecasters.scores);
    let (scored, forecasts) = (scored(args, outcome), scores.count());
    let groups = match outcome.groups.len() {
        0 => String::new(),
        count => format!(" of {}", counted(count as u64, "group")),
    };
    let mut lines = vec![format!("{rows} rows{groups}, {forecasts} forecasts; errors {scored}")];
    if scores.settled().iter().all(|sums| sums.count() == 0) {
        lines.push("too few forecasts: choose a smaller --skip".to_owned());
    }
    if outcome.subject.is_class() {
        lines.extend(class_errors(outcome));
    } else if scores.targets().is_empty() {
        lines.push(format!("{:<32}{:>12}{:>12}", "", "RMSE", "MAE"));
        for (name, sums) in forecasters.titles().iter().zip(scores.settled()) {
            lines.push(format!("{name:<32}{:>12}{:>12}", number(sums.rmse()), number(sums.mae())));
        }
    } else {
        lines.extend(target_errors(outcome));
    }
    lines.push(format!("\n{}", verdict(args, outcome)));
    let mishaps = forecasters.ours.mishaps();
    if mishaps > 0 {
        lines.push(format!(
            "at {} an overflow kept the network from learning: \
             choose a smaller --learning-rate or --gain",
            counted(mishaps, "row")
        ));
    }
    if let Some(first) = &skipped.first {
        let rows = counted(skipped.count, "row");
        lines.push(format!("skipped {rows} with errors, the first: {first}"));
    }
    lines.extend(next(outcome).map(|(target, next)| format!("next {target}: {next}")));
    lines.push(format!("{rows_per_second:.0} rows per second\n"));
    lines.join("\n")
}

/// Which forecasts count in the errors.
pub(super) fn scored<T: Real>(args: &TrainArgs, outcome: &Outcome<T>) -> String {
    let of_each = if outcome.groups.is_empty() { "" } else { " of each group" };
    format!("from forecast {}{of_each} on", args.skip.saturating_add(1))
}

/// The forecasts of the next row: each target, and its value or the most probable class.
pub(super) fn next<T: Real>(outcome: &Outcome<T>) -> impl Iterator<Item = (&str, String)> {
    let subject = &outcome.subject;
    let shown = |next: &Vec<f64>| {
        if subject.is_class() {
            return vec![subject.classes[most_probable(next)].clone()];
        }
        next.iter().map(|&next| number(Some(next))).collect()
    };
    let next = outcome.next.as_ref().map(shown).unwrap_or_default();
    subject.targets.iter().map(String::as_str).zip(next)
}

/// The errors of the forecasts of a class, and those of the network by class.
fn class_errors<T: Real>(outcome: &Outcome<T>) -> Vec<String> {
    let scores = &outcome.forecasters.scores;
    let mut lines = vec![format!("{:<32}{:>12}{:>12}{:>12}", "", "accuracy", "log loss", "AUC")];
    let all = scores.settled().into_iter().zip(scores.classes());
    for (name, (sums, classes)) in outcome.forecasters.titles().iter().zip(all) {
        let [accuracy, loss, auc] =
            [classes.accuracy(), scores.loss(&sums), classes.auc()].map(number);
        lines.push(format!("{name:<32}{accuracy:>12}{loss:>12}{auc:>12}"));
    }
    let Some(ours) = scores.classes().first() else { return lines };
    let [rows, precision, recall] = ["rows", "precision", "recall"];
    lines.push(format!("\n{:<32}{rows:>12}{precision:>12}{recall:>12}", "class"));
    let names = &outcome.subject.classes;
    for (k, name) in names.iter().enumerate().take(MOST_CLASSES) {
        let [precision, recall] = [ours.precision(k), ours.recall(k)].map(number);
        let rows = ours.rows(k);
        lines.push(format!("{name:<32}{rows:>12}{precision:>12}{recall:>12}"));
    }
    if names.len() > MOST_CLASSES {
        lines
            .push(format!("{} more classes are in the file of --json", names.len() - MOST_CLASSES));
    }
    lines
}

/// The root mean square errors of several targets, and those of all of them together.
fn target_errors<T: Real>(outcome: &Outcome<T>) -> Vec<String> {
    let (forecasters, scores) = (&outcome.forecasters, &outcome.forecasters.scores);
    let baselines = forecasters.names().into_iter().map(BaselineName::name);
    let titles = std::iter::once("exact RTRL").chain(baselines);
    let row = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        cells.fold(format!("{name:<32}"), |line, cell| format!("{line}{cell:>12}"))
    };
    let rmse = |sums: &ErrorSums| number(sums.rmse());
    let mut lines = vec![row("RMSE", &mut titles.map(str::to_owned))];
    for (name, target) in outcome.subject.targets.iter().zip(scores.targets()) {
        lines.push(row(name, &mut target.settled.iter().map(rmse)));
    }
    lines.push(row("all, in standard deviations", &mut scores.settled().iter().map(rmse)));
    lines
}

/// The forecasters with the smallest error.
fn verdict<T: Real>(args: &TrainArgs, outcome: &Outcome<T>) -> String {
    let (titles, scores) = (outcome.forecasters.titles(), &outcome.forecasters.scores);
    let Some(least) = scores.least() else {
        return format!("no error to compare with --skip {}", args.skip);
    };
    let best = titles.iter().zip(scores.settled());
    let best = best.filter(|(_, sums)| scores.loss(sums) == Some(least));
    let names: Vec<&str> = best.map(|(name, _)| *name).collect();
    let loss = if outcome.subject.is_class() { "log loss" } else { "RMSE" };
    format!("smallest {loss}: {}", names.join(" and "))
}

/// The same numbers as JSON, and what they are about.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    version: &'static str,
    rows: u64,
    /// Rows with errors, which do not count as rows.
    skipped: u64,
    #[serde(flatten)]
    errors: Errors,
    rows_per_second: f64,
    /// The error that stopped the run; null after the last row.
    stopped: Option<String>,
    target: String,
    /// The errors of each of several targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<OfTarget<'a>>,
    /// The errors of the network in each group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Value>,
    seed: u64,
    options: &'a Value,
}

/// The errors of all forecasters.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Errors {
    Values(ValueErrors),
    Class(Box<ClassErrors>),
}

/// The errors of forecasts of numbers; null if no forecast counts or there is no such baseline.
#[derive(Debug, Serialize)]
struct ValueErrors {
    rmse: Option<f64>,
    mae: Option<f64>,
    persistence_rmse: Option<f64>,
    persistence_mae: Option<f64>,
    ar_rmse: Option<f64>,
    ar_mae: Option<f64>,
    /// The same network with fixed recurrent weights.
    still_rmse: Option<f64>,
    still_mae: Option<f64>,
}

#[derive(Debug, Serialize)]
struct OfTarget<'a> {
    target: &'a str,
    #[serde(flatten)]
    errors: ValueErrors,
}

/// The errors of forecasts of a class; null if there is no such baseline.
#[derive(Debug, Serialize)]
struct ClassErrors {
    #[serde(flatten)]
    ours: OfForecaster,
    persistence: Option<OfForecaster>,
    frequencies: Option<OfForecaster>,
    still: Option<OfForecaster>,
}

/// The errors of one forecaster of a class; null if no forecast counts.
#[derive(Debug, Serialize)]
struct OfForecaster {
    accuracy: Option<f64>,
    log_loss: Option<f64>,
    auc: Option<f64>,
    per_class: Value,
}

impl ValueErrors {
    /// Of forecasters in the order of the scores.
    fn of<T: Real>(forecasters: &Forecasters<T>, settled: &[ErrorSums]) -> Self {
        let [persistence, ar, still] = BaselineName::OF_NUMBERS
            .map(|name| forecasters.place(name).and_then(|place| settled.get(place)));
        let ours = settled.first();
        Self {
            rmse: ours.and_then(ErrorSums::rmse),
            mae: ours.and_then(ErrorSums::mae),
            persistence_rmse: persistence.and_then(ErrorSums::rmse),
            persistence_mae: persistence.and_then(ErrorSums::mae),
            ar_rmse: ar.and_then(ErrorSums::rmse),
            ar_mae: ar.and_then(ErrorSums::mae),
            still_rmse: still.and_then(ErrorSums::rmse),
            still_mae: still.and_then(ErrorSums::mae),
        }
    }
}

impl OfForecaster {
    fn of(scores: &Scores, place: usize, names: &[String]) -> Option<Self> {
        let classes = scores.classes().get(place)?;
        let loss = scores.settled().get(place).and_then(|sums| scores.loss(sums));
        let class = |k: usize| Self::class(classes, k, &names[k]);
        Some(Self {
            accuracy: classes.accuracy(),
            log_loss: loss,
            auc: classes.auc(),
            per_class: (0..names.len()).map(class).collect(),
        })
    }

    fn class(classes: &ClassSums, k: usize, name: &str) -> Value {
        let (rows, precision, recall) = (classes.rows(k), classes.precision(k), classes.recall(k));
        json!({ "class": name, "rows": rows, "precision": precision, "recall": recall })
    }
}

/// The forecasts of each group that count, and the loss of the network.
fn groups<T: Real>(outcome: &Outcome<T>) -> Vec<Value> {
    let scores = &outcome.forecasters.scores;
    let loss = if outcome.subject.is_class() { "log_loss" } else { "rmse" };
    let group = |(name, sums): (&String, ErrorSums)| json!({ "group": name, "forecasts": sums.count(), loss: scores.loss(&sums) });
    let sums = scores.groups().into_iter().chain(std::iter::repeat(ErrorSums::default()));
    outcome.groups.iter().zip(sums).map(group).collect()
}

/// The JSON file of a run with these options.
pub(crate) fn json<T: Real>(
    args: &TrainArgs,
    options: &Value,
    outcome: &Outcome<T>,
) -> Result<Vec<u8>, Error> {
    let Outcome { forecasters, subject, .. } = outcome;
    let scores = &forecasters.scores;
    let errors = match OfForecaster::of(scores, 0, &subject.classes) {
        Some(ours) => {
            let baseline = |name| {
                let place = forecasters.place(name)?;
                OfForecaster::of(scores, place, &subject.classes)
            };
            let [persistence, frequencies, still] = BaselineName::OF_CLASS.map(baseline);
            Errors::Class(Box::new(ClassErrors { ours, persistence, frequencies, still }))
        }
        None => Errors::Values(ValueErrors::of(forecasters, &scores.settled())),
    };
    let targets = subject.targets.iter().zip(scores.targets()).map(|(target, errors)| OfTarget {
        target,
        errors: ValueErrors::of(forecasters, &errors.settled),
    });
    let summary = Summary {
        version: env!("CARGO_PKG_VERSION"),
        rows: forecasters.rows,
        skipped: outcome.skipped.count,
        errors,
        rows_per_second: outcome.rows_per_second,
        stopped: outcome.stopped.as_ref().map(ToString::to_string),
        target: subject.name(),
        targets: targets.collect(),
        groups: groups(outcome),
        seed: args.seed,
        options,
    };
    serde_json::to_vec_pretty(&summary).map_err(Error::format("the summary"))
}
