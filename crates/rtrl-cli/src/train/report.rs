//! The report of a run: one self-contained HTML file.

use maud::{Markup, PreEscaped, html};
use plotters::style::RGBColor;
use rtrl_lab::forecast::Horizon;
use rtrl_model::{Network, Real};

use crate::args::{BaselineName, Leak, ReadoutRule, TrainArgs};
use crate::chart::{Axes, Line, css, heat_map, lines};
use crate::error::Error;
use crate::input;
use crate::number::{counted, number};
use crate::page;
use crate::stream::forecasters::{TITLE, title};
use crate::stream::history::{History, Shown};
use crate::train::Outcome;

/// The colour of the network's forecasts, legible in the light and the dark theme, as are all.
const OURS: RGBColor = RGBColor(37, 120, 235);

/// A baseline's colour.
fn colour(name: BaselineName) -> RGBColor {
    match name {
        BaselineName::Persistence => RGBColor(140, 140, 150),
        BaselineName::Ar => RGBColor(234, 120, 20),
        BaselineName::Still => RGBColor(22, 160, 90),
    }
}

/// The colour of the series itself.
const ACTUAL: RGBColor = RGBColor(140, 140, 150);

/// The page of a run.
pub(crate) fn draw<T: Real>(
    args: &TrainArgs,
    outcome: &Outcome<T>,
    history: &History,
) -> Result<String, Error> {
    let forecasters = &outcome.forecasters;
    let network = forecasters.ours.network();
    let whole = match history.stride {
        1 => "The whole series".to_owned(),
        stride => format!("The whole series, one forecast in {stride}"),
    };
    let file = input::name(&args.file);
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    let ahead = match args.horizon {
        Horizon::SameRow => "from the inputs of its row",
        Horizon::NextRow => "one row ahead",
    };
    let title = format!("{} in {file}, {ahead}", outcome.target);
    let body = html! {
        p.soft {
            (forecasters.rows) " rows, learnt in one pass by exact real-time recurrent learning: "
            (args.described_units()) " units, "
            (network.connections().count(rtrl_model::Connection::Learning))
            " recurrent weights that learn, seed " (args.seed) ", "
            (format!("{:.0}", outcome.rows_per_second)) " rows per second."
        }
        p.soft { (settings(args)?) }
        (errors(args, outcome))
        (figure("The last rows", &forecasts(&history.last), &outcome.target)?)
        (figure(&whole, &forecasts(&history.thinned), &outcome.target)?)
        (figure("Running error against the baselines", &running(outcome, history), "RMSE so far")?)
        (weights(network)?)
    };
    Ok(page::whole(&title, &body))
}

/// How the network learnt, in words.
fn settings(args: &TrainArgs) -> Result<String, Error> {
    let TrainArgs { gain, clip, .. } = args;
    let start = match args.leak() {
        Some(Leak::All(leak)) => format!("Leak {leak}, gain {gain}"),
        Some(Leak::Spread) => format!("Leaks spread from 0.1 to 1, gain {gain}"),
        None => format!("Gain {gain}"),
    };
    let (optimizer, rate) = (args.optimizer.name(), args.learning_rate());
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

fn errors<T: Real>(args: &TrainArgs, outcome: &Outcome<T>) -> Markup {
    let (titles, scores) = (outcome.forecasters.titles(), &outcome.forecasters.scores);
    let least = scores.least();
    html! {
        table {
            thead { tr { th { "forecaster" } th { "RMSE" } th { "MAE" } } }
            tbody {
                @for (name, sums) in titles.iter().zip(&scores.settled) {
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

/// A line through one value of each row that has it.
fn line<'a>(
    (name, colour): (&'static str, RGBColor),
    rows: impl IntoIterator<Item = &'a Shown>,
    value: impl Fn(&Shown) -> Option<f64>,
) -> Line {
    let point = |shown: &Shown| Some((shown.row as f64, value(shown)?));
    Line { name, colour, opacity: 1.0, points: rows.into_iter().filter_map(point).collect() }
}

/// The values of rows and their forecasts by the network.
fn forecasts<'a>(rows: impl IntoIterator<Item = &'a Shown> + Copy) -> [Line; 2] {
    [
        line(("actual", ACTUAL), rows, |shown| Some(shown.actual)),
        line(("forecast by exact RTRL", OURS), rows, |shown| Some(shown.forecast)),
    ]
}

/// The root mean square error of each forecaster up to every row, from the first forecast that
/// counts.
fn running<T: Real>(outcome: &Outcome<T>, history: &History) -> Vec<Line> {
    let baselines = outcome.forecasters.names();
    let baselines = baselines.into_iter().map(|name| (title(name), colour(name)));
    let lines = baselines.enumerate().map(|(index, named)| (index + 1, named));
    // The network's line is above the others.
    let lines = lines.chain([(0, (TITLE, OURS))]);
    lines
        .map(|(index, named)| line(named, &history.thinned, |row| row.rmse.get(index).copied()))
        .collect()
}

fn weights<T: Real>(network: &Network<T>) -> Result<Markup, Error> {
    let recurrent = heat_map(&network.weights().to_rows())?;
    let readout = network.readout_weights().map(|readout| heat_map(&readout.to_rows()));
    let readout = readout.transpose()?;
    Ok(html! {
        h2 { "Final weights" }
        p.soft {
            "Rows are units; columns are " (counted(network.inputs(), "input")) ", the bias, then the "
            (network.units()) " units. Red is positive, blue negative, full colour the largest weight. \
            Large matrices are averaged in blocks."
        }
        div.heat { (PreEscaped(recurrent)) }
        @if let Some(readout) = readout {
            p.soft { "The readout: units, inputs, bias." }
            div.heat { (PreEscaped(readout)) }
        }
    })
}
