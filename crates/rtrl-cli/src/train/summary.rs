//! The output of a run.

use serde::Serialize;
use serde_json::Value;

use crate::args::TrainArgs;
use crate::error::Error;
use crate::outputs;
use crate::train::{FORECASTERS, NAMES, Outcome};

/// The errors of all forecasters.
type Scores = rtrl_lab::prequential::Scores<FORECASTERS>;

/// Prints a line at rows 1, 2, 4, 8, … to standard error.
pub(crate) fn print_progress(row: u64, scores: &Scores) {
    let rmse = |index: usize| number(scores.running[index].rmse());
    let (ours, persistence) = (rmse(0), rmse(1));
    outputs::note(&format!(
        "row {row:>9}   rmse so far {ours:>10}   persistence {persistence:>10}"
    ));
}

/// Prints the table at the end.
pub(crate) fn print(args: &TrainArgs, outcome: &Outcome) -> Result<(), Error> {
    outputs::print(&table(args, outcome))
}

fn table(args: &TrainArgs, outcome: &Outcome) -> String {
    let Outcome { target, rows, skipped, scores, rows_per_second, mishaps, next, .. } = outcome;
    let (first, forecasts) = (args.skip.saturating_add(1), scores.count());
    let title = format!("{rows} rows, {forecasts} forecasts; errors from forecast {first} on");
    let mut lines = vec![title];
    if forecasts <= args.skip {
        lines.push("too few forecasts: choose a smaller --skip".to_owned());
    }
    lines.push(format!("{:<32}{:>12}{:>12}", "", "RMSE", "MAE"));
    for (name, sums) in NAMES.iter().zip(&scores.settled) {
        lines.push(format!("{name:<32}{:>12}{:>12}", number(sums.rmse()), number(sums.mae())));
    }
    lines.push(format!("\n{}", verdict(args, scores)));
    if *mishaps > 0 {
        lines.push(format!(
            "at {mishaps} rows an overflow kept the network from learning: \
             choose a smaller --learning-rate or --gain"
        ));
    }
    if let Some(first) = &skipped.first {
        lines.push(format!("skipped {} rows with errors, the first: {first}", skipped.count));
    }
    if next.is_some() {
        lines.push(format!("next {target}: {}", number(*next)));
    }
    lines.push(format!("{rows_per_second:.0} rows per second\n"));
    lines.join("\n")
}

/// The forecasters with the smallest error.
fn verdict(args: &TrainArgs, scores: &Scores) -> String {
    let Some(least) = scores.least() else {
        return format!("no error to compare with --skip {}", args.skip);
    };
    let best = NAMES.iter().zip(&scores.settled).filter(|(_, sums)| sums.rmse() == Some(least));
    let names: Vec<&str> = best.map(|(name, _)| *name).collect();
    format!("smallest RMSE: {}", names.join(" and "))
}

/// A number with five significant digits, or a dash.
pub(crate) fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value == 0.0 || (1e-3..1e5).contains(&value.abs()) => {
            let below = [1.0, 10.0, 100.0, 1e3, 1e4].into_iter().filter(|&p| value.abs() < p);
            format!("{value:.*}", below.count())
        }
        Some(value) => format!("{value:.4e}"),
        None => "-".to_owned(),
    }
}

/// The same numbers as JSON, and what they are about; null if no forecast counts.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    version: &'static str,
    rows: u64,
    /// Rows with errors, which do not count as rows.
    skipped: u64,
    rmse: Option<f64>,
    mae: Option<f64>,
    persistence_rmse: Option<f64>,
    persistence_mae: Option<f64>,
    ar_rmse: Option<f64>,
    ar_mae: Option<f64>,
    still_rmse: Option<f64>,
    still_mae: Option<f64>,
    rows_per_second: f64,
    /// The error that stopped the run; null after the last row.
    stopped: Option<String>,
    target: &'a str,
    seed: u64,
    options: &'a Value,
}

/// The JSON file of a run with these options.
pub(crate) fn json(args: &TrainArgs, options: &Value, outcome: &Outcome) -> Result<Vec<u8>, Error> {
    let [ours, persistence, ar, still] = &outcome.scores.settled;
    let summary = Summary {
        version: env!("CARGO_PKG_VERSION"),
        rows: outcome.rows,
        skipped: outcome.skipped.count,
        rmse: ours.rmse(),
        mae: ours.mae(),
        persistence_rmse: persistence.rmse(),
        persistence_mae: persistence.mae(),
        ar_rmse: ar.rmse(),
        ar_mae: ar.mae(),
        still_rmse: still.rmse(),
        still_mae: still.mae(),
        rows_per_second: outcome.rows_per_second,
        stopped: outcome.stopped.as_ref().map(ToString::to_string),
        target: &outcome.target,
        seed: args.seed,
        options,
    };
    let failed = |error: serde_json::Error| rtrl_model::Error::Format {
        what: "the summary".to_owned(),
        reason: error.to_string(),
    };
    Ok(serde_json::to_vec_pretty(&summary).map_err(failed)?)
}
