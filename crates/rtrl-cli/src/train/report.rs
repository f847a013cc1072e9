//! The report of a run: one self-contained HTML file.

use maud::{Markup, PreEscaped, html};
use plotters::style::RGBColor;
use rtrl_lab::forecast::Horizon;
use rtrl_lab::labels::ClassSums;
use rtrl_model::{Network, Real};

use crate::args::{BaselineName, Leak, ReadoutRule, TrainArgs};
use crate::chart::{Axes, Line, css, heat_map, lines};
use crate::error::Error;
use crate::input;
use crate::number::{counted, number};
use crate::page;
use crate::stream::forecasters::{TITLE, title};
use crate::stream::history::{History, MOST_TARGETS, Shown};
use crate::train::{Outcome, summary};

/// The colour of the network's forecasts, legible in the light and the dark theme, as are all.
const OURS: RGBColor = RGBColor(37, 120, 235);

/// A baseline's colour.
fn colour(name: BaselineName) -> RGBColor {
    match name {
        BaselineName::Persistence => RGBColor(140, 140, 150),
        BaselineName::Ar | BaselineName::Frequencies => RGBColor(234, 120, 20),
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
    let of_group = outcome
        .groups
        .get(..1)
        .map_or_else(String::new, |first| format!(" of group {}", input::listed(first).concat()));
    let last = format!("The last rows{of_group}");
    let whole = match history.whole.stride {
        1 => format!("The whole series{of_group}"),
        stride => format!("The whole series{of_group}, one forecast in {stride}"),
    };
    let file = input::name(&args.file);
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    let ahead = match args.horizon {
        Horizon::SameRow => "from the inputs of its row",
        Horizon::NextRow => "one row ahead",
    };
    let subject = &outcome.subject;
    let title = format!("{} in {file}, {ahead}", subject.name());
    let loss = if subject.is_class() { "log loss so far" } else { "RMSE so far" };
    let body = html! {
        p.soft {
            (forecasters.rows) " rows, learnt in one pass by exact real-time recurrent learning: "
            (args.described_units()) ", "
            (network.connections().count(rtrl_model::Connection::Learning))
            " recurrent weights that learn, seed " (args.seed) ", "
            (format!("{:.0}", outcome.rows_per_second)) " rows per second."
        }
        p.soft { (settings(args, subject.is_class())?) }
        (errors(args, outcome))
        @for (j, target) in subject.targets.iter().enumerate().take(MOST_TARGETS) {
            (figure(&last, &forecasts(&history.last, outcome, j), target)?)
            (figure(&whole, &forecasts(&history.whole.items, outcome, j), target)?)
        }
        (figure("Running error against the baselines", &running(outcome, history), loss)?)
        (weights(args, network)?)
    };
    Ok(page::whole(&title, &body))
}

/// How the network learnt, in words.
fn settings(args: &TrainArgs, is_class: bool) -> Result<String, Error> {
    let TrainArgs { gain, clip, .. } = args;
    let start = match args.leak() {
        Some(Leak::All(leak)) => format!("Leak {leak}, gain {gain}"),
        Some(Leak::Spread) => format!("Leaks spread from 0.1 to 1, gain {gain}"),
        None => format!("Gain {gain}"),
    };
    let (optimizer, rate) = (args.optimizer.name(), args.learning_rate(is_class));
    let readout = match args.readout.rule(is_class)? {
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
    let (least, settled) = (scores.least(), scores.settled());
    let measures =
        if outcome.subject.is_class() { ["log loss", "accuracy"] } else { ["RMSE", "MAE"] };
    let values = |place: usize| {
        let sums = &settled[place];
        let second = scores.classes().get(place).map_or(sums.mae(), ClassSums::accuracy);
        [scores.loss(sums), second].map(number)
    };
    html! {
        table {
            thead { tr { th { "forecaster" } @for measure in measures { th { (measure) } } } }
            tbody {
                @for (place, (name, sums)) in titles.iter().zip(&settled).enumerate() {
                    tr.best[least.is_some() && scores.loss(sums) == least] {
                        td { (name) } @for value in values(place) { td { (value) } }
                    }
                }
            }
        }
        p.soft {
            "Errors " (summary::scored(args, outcome)) ", of the same rows for all; the smallest is set in bold."
            @if !scores.targets().is_empty() {
                " They are in standard deviations of their target."
            }
            @for (target, next) in summary::next(outcome) {
                @if outcome.subject.is_class() { " Next class of " } @else { " Next value of " }
                (target) ": " (next) "."
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

/// A line through the points of the rows that have one: the number of the row and a value.
fn line(
    (name, colour): (&'static str, RGBColor),
    points: impl Iterator<Item = (u64, Option<f64>)>,
) -> Line {
    let points = points.filter_map(|(row, value)| Some((row as f64, value?)));
    Line { name, colour, opacity: 1.0, points: points.collect() }
}

/// The values of target `j` and their forecasts by the network, or the probabilities of the
/// classes.
fn forecasts<'a, T: Real>(
    rows: impl IntoIterator<Item = &'a Shown> + Copy,
    outcome: &Outcome<T>,
    j: usize,
) -> Vec<Line> {
    let points = |values: fn(&Shown) -> &[Option<f64>]| {
        let point = move |shown: &'a Shown| (shown.row, values(shown).get(j).copied().flatten());
        rows.into_iter().map(point)
    };
    let forecast = |name| line((name, OURS), points(|shown| &shown.forecasts));
    if outcome.subject.is_class() {
        return vec![forecast("probability of the class by exact RTRL")];
    }
    let actual = line(("actual", ACTUAL), points(|shown| &shown.actual));
    vec![actual, forecast("forecast by exact RTRL")]
}

/// The loss of each forecaster up to every row, from the first forecast that counts.
fn running<T: Real>(outcome: &Outcome<T>, history: &History) -> Vec<Line> {
    let baselines = outcome.forecasters.names();
    let baselines = baselines.into_iter().map(|name| (title(name), colour(name)));
    let lines = baselines.enumerate().map(|(index, named)| (index + 1, named));
    // The network's line is above the others.
    let lines = lines.chain([(0, (TITLE, OURS))]);
    let points = |index| {
        let losses = history.losses.items.iter();
        losses.map(move |losses| (losses.row, losses.losses.get(index).copied()))
    };
    lines.map(|(index, named)| line(named, points(index))).collect()
}

fn weights<T: Real>(args: &TrainArgs, network: &Network<T>) -> Result<Markup, Error> {
    let seen = match args.heads_of() {
        Some(head) => format!("{} of the row's head", counted(head, "unit")),
        None => counted(network.units(), "unit"),
    };
    let recurrent = heat_map(&network.weights().to_rows())?;
    let readout = network.readout_weights().map(|readout| heat_map(&readout.to_rows()));
    let readout = readout.transpose()?;
    Ok(html! {
        h2 { "Final weights" }
        p.soft {
            "Rows are units; columns are " (counted(network.inputs(), "input")) ", the bias, then the "
            (seen) ". Red is positive, blue negative, full colour the largest weight. \
            Large matrices are averaged in blocks."
        }
        div.heat { (PreEscaped(recurrent)) }
        @if let Some(readout) = readout {
            p.soft { "The readout: units, inputs, bias." }
            div.heat { (PreEscaped(readout)) }
        }
    })
}
