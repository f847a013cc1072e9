//! What a run prints.

use serde::Serialize;

use crate::args::TrainArgs;
use crate::error::Error;
use crate::train::Outcome;
use crate::train::score::{NAMES, Scores};

/// The line at rows 1, 2, 4, 8, …
pub(crate) fn print_progress(row: u64, scores: &Scores) {
    let rmse = |index: usize| number(scores.running[index].rmse());
    println!("row {row:>9}   rmse so far {:>10}   persistence {:>10}", rmse(0), rmse(1));
}

/// The table at the end.
pub(crate) fn print(args: &TrainArgs, outcome: &Outcome) {
    let Outcome { rows, scores, rows_per_second, next } = outcome;
    let first = args.skip + 1;
    println!("\n{rows} rows, {} forecasts; errors from forecast {first} on", scores.count());
    if scores.count() <= args.skip {
        println!("too few forecasts for that: choose a smaller --skip");
    }
    println!("{:<32}{:>12}{:>12}", "", "RMSE", "MAE");
    for (name, sums) in NAMES.iter().zip(&scores.settled) {
        println!("{name:<32}{:>12}{:>12}", number(sums.rmse()), number(sums.mae()));
    }
    println!("\n{}", verdict(scores));
    println!("next {}: {}", args.target, number(Some(*next)));
    println!("{rows_per_second:.0} rows per second");
}

/// Who won, in words.
fn verdict(scores: &Scores) -> String {
    let best =
        scores.settled.iter().zip(NAMES).filter_map(|(sums, name)| Some((sums.rmse()?, name)));
    match best.min_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, name)) => format!("smallest RMSE: {name}"),
        None => "no error to compare".to_owned(),
    }
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

/// The same numbers for machines; null where no forecast counts.
#[derive(Debug, Serialize)]
struct Summary {
    rows: u64,
    rmse: Option<f64>,
    mae: Option<f64>,
    persistence_rmse: Option<f64>,
    persistence_mae: Option<f64>,
    ar_rmse: Option<f64>,
    ar_mae: Option<f64>,
    still_rmse: Option<f64>,
    still_mae: Option<f64>,
    rows_per_second: f64,
}

/// The JSON file.
pub(crate) fn json(outcome: &Outcome) -> Result<Vec<u8>, Error> {
    let [ours, persistence, ar, still] = &outcome.scores.settled;
    let summary = Summary {
        rows: outcome.rows,
        rmse: ours.rmse(),
        mae: ours.mae(),
        persistence_rmse: persistence.rmse(),
        persistence_mae: persistence.mae(),
        ar_rmse: ar.rmse(),
        ar_mae: ar.mae(),
        still_rmse: still.rmse(),
        still_mae: still.mae(),
        rows_per_second: outcome.rows_per_second,
    };
    let failed = |error: serde_json::Error| rtrl_model::Error::Format {
        what: "the summary".to_owned(),
        reason: error.to_string(),
    };
    Ok(serde_json::to_vec_pretty(&summary).map_err(failed)?)
}
