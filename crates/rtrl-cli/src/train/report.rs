//! The report of a run: one self-contained HTML file.

use maud::{Markup, PreEscaped, html};
use plotters::style::RGBColor;
use rtrl_lab::forecast::Horizon;
use rtrl_lab::prequential::ErrorSums;
use rtrl_model::{Network, Real};

use crate::args::{ReadoutRule, TrainArgs};
use crate::chart::{Axes, Line, css, heat_map, lines};
use crate::error::Error;
use crate::input;
use crate::page;
use crate::train::summary::number;
use crate::train::{FORECASTERS, NAMES, Outcome};

/// A value and its forecasts.
type Record = rtrl_lab::prequential::Record<FORECASTERS>;

/// Rows of the chart that shows single forecasts.
const CLOSE_UP: usize = 240;

/// One colour for each forecaster, legible in the light and the dark theme.
const COLOURS: [RGBColor; FORECASTERS] = [
    RGBColor(37, 120, 235),
    RGBColor(140, 140, 150),
    RGBColor(234, 120, 20),
    RGBColor(22, 160, 90),
];

/// The colour of the series itself.
const ACTUAL: RGBColor = RGBColor(140, 140, 150);

/// The page of a run.
pub(crate) fn draw<T: Real>(
    args: &TrainArgs,
    outcome: &Outcome,
    network: &Network<T>,
) -> Result<String, Error> {
    let records = outcome.scores.records.as_deref().unwrap_or_default();
    let file = input::name(&args.file);
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    let ahead = match args.horizon {
        Horizon::SameRow => "from the inputs of its row",
        Horizon::NextRow => "one row ahead",
    };
    let title = format!("{} in {file}, {ahead}", outcome.target);
    let body = html! {
        p.soft {
            (outcome.rows) " rows, learnt in one pass by exact real-time recurrent learning: "
            (args.described_units()) " units, "
            (network.connections().count(rtrl_model::Connection::Learning))
            " recurrent weights that learn, seed " (args.seed) ", "
            (format!("{:.0}", outcome.rows_per_second)) " rows per second."
        }
        p.soft { (settings(args)?) }
        (errors(args, outcome))
        (figure("The last rows", &close_up(records), &outcome.target)?)
        (figure("The whole series", &whole(records), &outcome.target)?)
        (figure("Running error against the baselines", &running(records, args.skip), "RMSE so far")?)
        (weights(network)?)
    };
    Ok(page::whole(&title, &body))
}

/// How the network learnt, in words.
fn settings(args: &TrainArgs) -> Result<String, Error> {
    let TrainArgs { gain, clip, .. } = args;
    let start = match args.leak() {
        Some(leak) => format!("Leak {leak}, gain {gain}"),
        None => format!("Gain {gain}"),
    };
    let (optimizer, rate) = (args.optimizer.name(), args.learning_rate()?);
    let readout = match args.readout.rule()? {
        ReadoutRule::Gradient => "the same way".to_owned(),
        ReadoutRule::LeastSquares { forgetting, ridge } => {
            format!("by recursive least squares, forgetting {forgetting}, ridge {ridge}")
        }
    };
    Ok(format!(
        "{start}. Recurrent weights learn by {optimizer} with rate {rate}, the norm of the \
         gradient limited to {clip}; the readout {readout}."
    ))
}

fn errors(args: &TrainArgs, outcome: &Outcome) -> Markup {
    let sums = &outcome.scores.settled;
    let least = outcome.scores.least();
    html! {
        table {
            thead { tr { th { "forecaster" } th { "RMSE" } th { "MAE" } } }
            tbody {
                @for (name, sums) in NAMES.iter().zip(sums) {
                    tr.best[least.is_some() && sums.rmse() == least] {
                        td { (name) } td { (number(sums.rmse())) } td { (number(sums.mae())) }
                    }
                }
            }
        }
        p.soft {
            "From forecast " (args.skip.saturating_add(1)) " on, the same rows for all; the smallest error is set in bold."
            @if outcome.next.is_some() {
                " Next value of " (outcome.target) ": " (number(outcome.next)) "."
            }
        }
    }
}

fn figure(title: &str, content: &[Line], y_label: &str) -> Result<Markup, Error> {
    let picture = lines(content, &Axes::around(content, ["row", y_label]))?;
    Ok(html! {
        h2 { (title) }
        div.key {
            @for line in content {
                span { i style=(format!("background:{}", css(line.colour))) {} (line.name) }
            }
        }
        div.scroll { (PreEscaped(picture)) }
    })
}

/// A line through one value of each record; record 0 forecasts row 2.
fn line(
    name: &'static str,
    colour: RGBColor,
    records: &[Record],
    first: usize,
    mut value: impl FnMut(&Record) -> f64,
) -> Line {
    let point = |(index, record): (usize, &Record)| ((first + index + 2) as f64, value(record));
    Line { name, colour, opacity: 1.0, points: records.iter().enumerate().map(point).collect() }
}

fn close_up(records: &[Record]) -> [Line; 2] {
    let first = records.len().saturating_sub(CLOSE_UP);
    let records = &records[first..];
    [
        line("actual", ACTUAL, records, first, |record| record.actual),
        line("forecast by exact RTRL", COLOURS[0], records, first, |record| record.forecasts[0]),
    ]
}

fn whole(records: &[Record]) -> [Line; 2] {
    [
        line("actual", ACTUAL, records, 0, |record| record.actual),
        line("forecast by exact RTRL", COLOURS[0], records, 0, |record| record.forecasts[0]),
    ]
}

/// The root mean square error of each forecaster up to every row, from the first forecast that
/// counts.
fn running(records: &[Record], skip: u64) -> Vec<Line> {
    let start = usize::try_from(skip).unwrap_or(usize::MAX).min(records.len());
    [1, 2, 3, 0]
        .into_iter()
        .map(|index| {
            let mut sums = ErrorSums::default();
            let rmse = |record: &Record| {
                sums.add(record.forecasts[index] - record.actual);
                sums.rmse().unwrap_or_default()
            };
            line(NAMES[index], COLOURS[index], &records[start..], start, rmse)
        })
        .collect()
}

fn weights<T: Real>(network: &Network<T>) -> Result<Markup, Error> {
    let recurrent = heat_map(&network.weights().to_rows())?;
    let readout = network.readout_weights().map(|readout| heat_map(&readout.to_rows()));
    let readout = readout.transpose()?;
    Ok(html! {
        h2 { "Final weights" }
        p.soft {
            "Rows are units; columns are " (network.inputs()) " input(s), the bias, then the "
            (network.units()) " units. Red is positive, blue negative, full colour the largest weight. \
            Large matrices are averaged in blocks."
        }
        div.heat { (PreEscaped(recurrent)) }
        @if let Some(readout) = readout {
            p.soft { "The readout: units, input(s), bias." }
            div.heat { (PreEscaped(readout)) }
        }
    })
}
