//! The output of a run.

use rtrl_lab::prequential::ErrorSums;
use rtrl_model::Real;
use serde::Serialize;
use serde_json::Value;

use crate::args::{BaselineName, TrainArgs};
use crate::error::Error;
use crate::number::{counted, number};
use crate::outputs;
use crate::train::Outcome;

/// Prints the table at the end.
pub(crate) fn print<T: Real>(args: &TrainArgs, outcome: &Outcome<T>) -> Result<(), Error> {
    outputs::print(&table(args, outcome))
}

fn table<T: Real>(args: &TrainArgs, outcome: &Outcome<T>) -> String {
    let Outcome { target, forecasters, skipped, rows_per_second, next, .. } = outcome;
    let (rows, scores) = (forecasters.rows, &forecasters.scores);
    let (first, forecasts) = (args.skip.saturating_add(1), scores.count());
    let title = format!("{rows} rows, {forecasts} forecasts; errors from forecast {first} on");
    let mut lines = vec![title];
    if forecasts <= args.skip {
        lines.push("too few forecasts: choose a smaller --skip".to_owned());
    }
    lines.push(format!("{:<32}{:>12}{:>12}", "", "RMSE", "MAE"));
    for (name, sums) in forecasters.titles().iter().zip(&scores.settled) {
        lines.push(format!("{name:<32}{:>12}{:>12}", number(sums.rmse()), number(sums.mae())));
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
    if next.is_some() {
        lines.push(format!("next {target}: {}", number(*next)));
    }
    lines.push(format!("{rows_per_second:.0} rows per second\n"));
    lines.join("\n")
}

/// The forecasters with the smallest error.
fn verdict<T: Real>(args: &TrainArgs, outcome: &Outcome<T>) -> String {
    let (titles, scores) = (outcome.forecasters.titles(), &outcome.forecasters.scores);
    let Some(least) = scores.least() else {
        return format!("no error to compare with --skip {}", args.skip);
    };
    let best = titles.iter().zip(&scores.settled).filter(|(_, sums)| sums.rmse() == Some(least));
    let names: Vec<&str> = best.map(|(name, _)| *name).collect();
    format!("smallest RMSE: {}", names.join(" and "))
}

/// The same numbers as JSON, and what they are about; null if no forecast counts or there is no
/// such baseline.
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
    /// The same network with fixed recurrent weights.
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
pub(crate) fn json<T: Real>(
    args: &TrainArgs,
    options: &Value,
    outcome: &Outcome<T>,
) -> Result<Vec<u8>, Error> {
    let forecasters = &outcome.forecasters;
    let ours = forecasters.scores.settled.first();
    let [persistence, ar, still] = BaselineName::ALL.map(|name| forecasters.settled(name));
    let summary = Summary {
        version: env!("CARGO_PKG_VERSION"),
        rows: forecasters.rows,
        skipped: outcome.skipped.count,
        rmse: ours.and_then(ErrorSums::rmse),
        mae: ours.and_then(ErrorSums::mae),
        persistence_rmse: persistence.and_then(ErrorSums::rmse),
        persistence_mae: persistence.and_then(ErrorSums::mae),
        ar_rmse: ar.and_then(ErrorSums::rmse),
        ar_mae: ar.and_then(ErrorSums::mae),
        still_rmse: still.and_then(ErrorSums::rmse),
        still_mae: still.and_then(ErrorSums::mae),
        rows_per_second: outcome.rows_per_second,
        stopped: outcome.stopped.as_ref().map(ToString::to_string),
        target: &outcome.target,
        seed: args.seed,
        options,
    };
    serde_json::to_vec_pretty(&summary).map_err(Error::format("the summary"))
}
