//! The report: for each task its table, the learning curves of all runs, and the details of one of
//! them.

use maud::{Markup, PreEscaped, html};
use plotters::style::RGBColor;
use rtrl_lab::paper::{Experiment, LAST, Moment, Outcome, Record};

use crate::chart::{Axes, Line, NARROW, css, lines};
use crate::error::Error;
use crate::page;
use crate::paper::remarks;
use crate::paper::strips::{self, Strip, strips};
use crate::paper::table::{Row, results};
use crate::pictures::{self, Names, hinton, raster};

/// Legible in the light and the dark theme.
const SOLVED: RGBColor = RGBColor(37, 120, 235);
const FAILED: RGBColor = RGBColor(234, 120, 20);

/// The opacity of a curve among others.
const FAINT: f64 = 0.4;

const STYLE: &str = "
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: 1rem 0; } a { color: #2578eb; }
section { border-top: 1px solid var(--line); margin-top: 2.5rem; } h3 { font-size: 1rem; margin: 2rem 0 .3rem; }
.wide { overflow-x: auto; } .wide td { white-space: nowrap; } table { margin: .6rem 0; }
th { vertical-align: bottom; } @media (max-width: 30rem) { table { font-size: .8rem; } .wide th, .wide td { padding: .35rem .2rem; white-space: normal; } }
.curves svg { display: block; width: 100%; max-width: 36rem; height: auto; }
.scroll { margin: .5rem 0; } .scroll p { margin: .4rem 0 .1rem; } dt { font-weight: 650; margin-top: .4rem; }
dd { margin: 0; } .expected { border-left: 3px solid #ea7814; padding-left: .6rem; }
";

/// The page. Rows of the same task follow each other.
pub(crate) fn draw(rows: &[Row]) -> Result<String, Error> {
    let tasks: Vec<&[Row]> = rows.chunk_by(|a, b| task(a) == task(b)).collect();
    let sections = tasks.iter().map(|rows| section(rows)).collect::<Result<Vec<_>, _>>()?;
    let body = html! {
        style { (PreEscaped(pictures::STYLE)) (PreEscaped(strips::STYLE)) (PreEscaped(STYLE)) }
        p {
            "Small recurrent networks learn, while they run, by exact real-time recurrent learning: the experiments \
            of R. J. Williams and D. Zipser, A Learning Algorithm for Continually Running Fully Recurrent Neural \
            Networks, Neural Computation 1(2), 1989."
        }
        nav { @for rows in &tasks { a href=(format!("#{}", task(&rows[0]))) { (task(&rows[0])) } } }
        (guide())
        @for section in sections { (section) }
    };
    Ok(page::whole("The experiments of Williams and Zipser, 1989", &body))
}

fn task(row: &Row) -> &'static str {
    row.experiment.task.name
}

/// How to read the page.
fn guide() -> Markup {
    html! {
        h2 { "How to read this page" }
        dl {
            dt { "Tables" }
            dd {
                "All units are logistic, and weights change at every step. \u{3b1} is the learning rate; the initial weights \
                are uniform in (-r, r) and depend on the seed of the run. Forced: during learning, a unit with a target \
                passes on the target instead of its own output (teacher forcing). Steps are the steps before the first \
                of the right ones; median and range are those of the solved runs."
            }
            dt { "Learning curves" }
            dd {
                "One line for every run of the table: the root-mean-square error of the outputs over short intervals \
                (25 steps, later a sixteenth of the steps so far), before teacher forcing. The axis of steps is \
                logarithmic. A line ends when its run is solved or reaches the limit of steps. The strong line is the \
                run that is shown below."
            }
            dt { "One run" }
            dd {
                "The solved run with the median number of steps (of two, the shorter), or if none is solved, seed \
                1. Its last " (LAST) " steps, one per column: the inputs, the outputs (blue) against the targets \
                (grey; the bottom of a strip is 0, its top 1), and all units, from pale for 0 to full blue for 1. An \
                input affects the units one column further to the right."
            }
            dt { "Weights" }
            dd {
                "The weights at the end of the same run. A row holds the weights into a unit, a column those from an input, the \
                bias or a unit. The area of a square is the size of the weight, red above zero and blue below, the \
                largest fills its cell."
            }
        }
    }
}

/// All experiments with a task.
fn section(rows: &[Row]) -> Result<Markup, Error> {
    let experiment = rows[0].experiment;
    let axes = axes(rows);
    let parts = rows.iter().map(|row| part(row, &axes)).collect::<Result<Vec<_>, _>>()?;
    Ok(html! {
        section id=(experiment.task.name) {
            h2 { (experiment.task.name) }
            p { "The task: " (experiment.task.about) "." }
            p.soft { (remarks::criterion(experiment)) " It has failed after " (experiment.limit) " steps." }
            (table(rows))
            @for part in parts { (part) }
        }
    })
}

fn table(rows: &[Row]) -> Markup {
    html! {
        div.wide { table {
            thead { tr { @for head in ["units", "\u{3b1}", "r", "forced", "solved", "median steps", "range"] { th { (head) } } } }
            tbody { @for row in rows {
                @let Experiment { units, learning_rate, bound, forced, .. } = row.experiment;
                @let (solved, median, range) = results(row);
                tr {
                    td { (units) } td { (learning_rate) } td { (bound) } td { (if *forced { "yes" } else { "no" }) }
                    td { (solved) } td { (median) } td { (range.unwrap_or("-".to_owned())) }
                }
            } }
        } }
    }
}

/// An experiment: its curves, and one of its runs.
fn part(row: &Row, axes: &Axes<'_>) -> Result<Markup, Error> {
    let Experiment { units, learning_rate, forced, .. } = row.experiment;
    let forced = if *forced { "forced" } else { "not forced" };
    let shown = row.typical();
    let failed = row.outcomes.iter().filter(|outcome| outcome.steps.is_none()).count();
    let curves = lines(&curves(&row.outcomes, shown), axes)?;
    let key = [("solved", SOLVED, row.outcomes.len() - failed), ("not solved", FAILED, failed)];
    Ok(html! {
        h3 { (units) " unit" @if *units > 1 { "s" } ", \u{3b1} = " (learning_rate) ", " (forced) }
        @if let Some(reason) = remarks::failures(row.experiment).filter(|_| failed > 0) {
            p.expected { (reason) }
        }
        div.key {
            @for (name, colour, count) in key.iter().filter(|(_, _, count)| *count > 0) {
                span { i style=(format!("background:{}", css(*colour))) {} (count) " " (name) }
            }
        }
        div.curves { (PreEscaped(curves)) }
        @if let Some(record) = row.outcomes.get(shown).and_then(|outcome| outcome.record.as_ref()) {
            p { strong { "Seed " (shown + 1) } (how_it_ended(&row.outcomes[shown])) }
            (inside(row.experiment, record))
        }
    })
}

fn how_it_ended(outcome: &Outcome) -> String {
    match outcome.steps {
        Some(1) => ", right after 1 step, at its end:".to_owned(),
        Some(steps) => format!(", right after {steps} steps, at its end:"),
        None => ", not solved, at its end:".to_owned(),
    }
}

/// A line for every run: failures above the others, the chosen run on top.
fn curves(outcomes: &[Outcome], shown: usize) -> Vec<Line> {
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_by_key(|&place| (place == shown, outcomes[place].steps.is_none()));
    let line = |place: usize| {
        let outcome = &outcomes[place];
        let solved = outcome.steps.is_some();
        let (name, colour) = if solved { ("solved", SOLVED) } else { ("not solved", FAILED) };
        let opacity = if place == shown { 1.0 } else { FAINT };
        let points = outcome.record.as_ref().map_or(Vec::new(), |record| record.curve.points());
        Line { name, colour, opacity, points }
    };
    order.into_iter().map(line).collect()
}

/// The same axes for all experiments with a task, so that their curves can be compared.
fn axes(rows: &[Row]) -> Axes<'static> {
    let records = rows.iter().flat_map(|row| &row.outcomes).filter_map(|run| run.record.as_ref());
    let points: Vec<_> = records.flat_map(|record| record.curve.points()).collect();
    let right = points.iter().fold(100.0f64, |most, point| most.max(point.0));
    let top = points.iter().fold(0.1f64, |most, point| most.max(point.1));
    let ends = [(10.0, right), (0.0, 1.05 * top)];
    Axes { labels: ["steps", "error"], ends, logarithmic: true, size: NARROW }
}

/// Inputs, outputs and units of the last steps, and the weights.
fn inside(experiment: &Experiment, record: &Record) -> Markup {
    let stream = experiment.task.start(0);
    let (inputs, targets) = (stream.inputs(), stream.targets());
    let unit = |k: usize| match targets.get(k) {
        Some(target) => format!("{target} {}", k + 1),
        None => format!("{}", k + 1),
    };
    let units: Vec<String> = (0..experiment.units).map(unit).collect();
    let given = inputs.iter().copied().chain(["bias"]).map(str::to_owned);
    let numbers = (1..=experiment.units).map(|k| k.to_string());
    let names = Names { rows: units.clone(), columns: given.chain(numbers).collect() };
    let moments = || record.moments.iter();
    // The values at t: the outputs of the previous step, and the input of the next.
    let states: Vec<_> = moments().take(LAST).map(|moment| moment.state.clone()).collect();
    let entering: Vec<_> = moments().skip(1).map(|moment| moment.input.clone()).collect();
    let strip = |(k, name): (usize, &&'static str)| learning(name, k, moments().take(LAST));
    let learning: Vec<_> = targets.iter().enumerate().map(strip).collect();
    html! {
        div.scroll {
            @if !inputs.is_empty() {
                p.soft { "Inputs" }
                (raster(&entering, &inputs.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()))
            }
            p.soft { "Outputs against targets, while the network learns" }
            (strips(&learning))
            p.soft { "Units" }
            (raster(&states, &units))
            @if !record.alone.is_empty() {
                p.soft { "The next " (LAST) " steps without targets and with fixed weights" }
                (strips(&[alone(targets[0], record)]))
            }
        }
        p.soft { "Weights" }
        (hinton(&record.weights, &[inputs.len(), inputs.len() + 1], Some(&names)))
    }
}

/// An output with its target.
fn learning<'r>(
    name: &'static str,
    place: usize,
    moments: impl Iterator<Item = &'r Moment>,
) -> Strip<'static> {
    let (outputs, targets) = moments.map(|m| (m.state[place], m.targets[place])).unzip();
    Strip { name, outputs, targets }
}

/// The first output of the steps after the end.
fn alone(name: &'static str, record: &Record) -> Strip<'static> {
    let outputs = record.alone.iter().map(|outputs| outputs[0]).collect();
    Strip { name, outputs, targets: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(steps: &[Option<u64>]) -> Vec<Outcome> {
        steps.iter().map(|&steps| Outcome { steps, record: None }).collect()
    }

    #[test]
    fn every_run_has_its_line_and_the_one_that_is_shown_lies_on_top() {
        let lines = curves(&outcomes(&[Some(3), None, Some(1), Some(2)]), 3);
        let names: Vec<_> = lines.iter().map(|line| (line.name, line.opacity)).collect();
        let faint = |name| (name, FAINT);
        let expected = [faint("solved"), faint("solved"), faint("not solved"), ("solved", 1.0)];
        assert_eq!(names, expected);
    }
}
