//! The page that `rtrl inspect` writes.

use maud::{Markup, PreEscaped, html};
use rtrl_lab::inspect::{Extracted, Findings, Held, OnTask, SETTLING};
use rtrl_model::{Cell, Layer, Network};

use super::graph::{self, graph};
use super::pictures::{plane, trajectory};
use super::summary::{cell, exponent, moved, reduced, shape, share, verdict};
use crate::number::counted;
use crate::page;
use crate::pictures::{self, MOST_WEIGHTS, hinton, raster};

/// Steps of a run that are drawn.
const STEPS_SHOWN: usize = 80;

/// States of a run whose way is drawn.
const STATES_SHOWN: usize = 400;

/// States of units that are listed.
const LISTED: usize = 6;

const STYLE: &str = "
.two { display: flex; flex-wrap: wrap; gap: 1rem 2rem; } .two > div { flex: 1 1 18rem; min-width: 0; }
.square { display: block; width: 100%; height: auto; max-width: 24rem; }
.graph { display: block; width: 100%; max-width: 44rem; height: auto; margin: 0 auto; }
.grid { stroke: var(--line); } .circle { fill: none; stroke: var(--soft); stroke-dasharray: 4 3; }
.inside { fill: #2578eb; } .outside { fill: #ea7814; }
.way { fill: none; stroke: var(--soft); stroke-width: .5; stroke-opacity: .5; }
.state { fill: #2578eb; fill-opacity: .6; }
.arrow { fill: none; stroke: var(--soft); stroke-width: 1.3; } .tip { fill: var(--soft); }
.node { fill: var(--ground); stroke: var(--ink); stroke-width: 1.6; }
svg .number { text-anchor: middle; font-size: 14px; font-weight: 650; }
svg .label { font-size: 12px; paint-order: stroke; stroke: var(--ground); stroke-width: 3px; }
.wide { overflow-x: auto; } .wide table { width: auto; } .wide td { white-space: nowrap; }
";

/// The page.
pub(crate) fn draw(model: &str, findings: &Findings, network: &Network<f64>) -> String {
    let body = html! {
        style { (PreEscaped(pictures::STYLE)) (PreEscaped(STYLE)) }
        @for line in shape(&findings.model) { p.soft { (line) "." } }
        (weights(findings, network))
        (dynamics(findings))
        @if let Some(task) = &findings.task { (on_task(task)) }
        (rest(&findings.held))
    };
    page::whole(model, &body)
}

fn weights(findings: &Findings, network: &Network<f64>) -> Markup {
    let is_small = |rows: usize, columns: usize| rows.max(columns) <= MOST_WEIGHTS;
    html! {
        h2 { "Weights" }
        @for (number, layer) in (1..).zip(network.layers()) {
            @if is_small(layer.rows().len(), layer.width()) {
                p.soft {
                    @if network.layers().len() > 1 { "Layer " (number) ". " }
                    "A square's area is the weight, red above zero, blue below. Rows are "
                    (rows(layer)) "; columns are "
                    (counted(layer.inputs(), "input")) ", the bias if there is one, then the "
                    (counted(layer.units() / layer.heads(), "unit"))
                    @if layer.heads() > 1 { " of the row's head" }
                    "."
                }
                (hinton(&rows_of(network, layer), &[layer.inputs(), layer.width() - layer.units() / layer.heads()], None))
            } @else { p.soft { "Too many weights to draw." } }
        }
        @if let Some(readout) = network.readout_weights() {
            @if is_small(readout.rows(), readout.columns()) {
                p.soft { "The readout: units, inputs if it sees them, bias if it has one." }
                (hinton(&readout.to_rows(), &[last_units(network)], None))
            }
        }
        div.wide { table {
            thead { tr { th { "block" } th { "Frobenius norm" } th { "largest singular value" } th { "largest weight" } } }
            tbody {
                @for block in &findings.weights {
                    tr { td { (block.name) } @for value in [block.frobenius_norm, block.spectral_norm, block.largest] {
                        td { (format!("{value:.4}")) }
                    } }
                }
            }
        } }
    }
}

/// What the rows of a layer are.
fn rows(layer: &Layer<f64>) -> String {
    match layer.cell() {
        Cell::Simple => "units".to_owned(),
        Cell::Gru => format!("the gates r, u, v and w of {} units each", layer.units()),
        Cell::Lstm => format!("the gates i, f, g and o of {} units each", layer.units()),
    }
}

/// The weight rows of a layer, without the zeros after them.
fn rows_of(network: &Network<f64>, layer: &Layer<f64>) -> Vec<Vec<f64>> {
    layer.rows().map(|row| network.weights().row(row)[..layer.width()].to_vec()).collect()
}

/// Units of the last layer.
fn last_units(network: &Network<f64>) -> usize {
    network.layers().last().map_or(0, Layer::units)
}

fn dynamics(findings: &Findings) -> Markup {
    html! {
        div.two {
            @if let Some(eigenvalues) = &findings.eigenvalues { div {
                h2 { "Eigenvalues" }
                p.soft { "Eigenvalues of the weights between units, with the unit circle; those outside are orange." }
                (plane(eigenvalues))
            } }
            @if let Some(principal) = &findings.principal {
                div {
                    h2 { "States" }
                    p.soft { "States along the first two principal components; the size of a point shows the third." }
                    (trajectory(&principal.coordinates[..principal.coordinates.len().min(STATES_SHOWN)]))
                }
            }
        }
        @if let Some(run) = &findings.run {
            @let [least, mean, most] = run.jacobian_radius;
            table { tbody {
                tr { td { "Largest Lyapunov exponent over " (run.steps) " steps" } td { (exponent(run.lyapunov_exponent)) } }
                tr { td { "Spectral radius of the Jacobian" } td { (format!("{least:.4} to {most:.4}, mean {mean:.4}")) } }
                tr { td { "Shares of the principal components" } td {
                    @for (place, share) in run.variance_shares.iter().take(LISTED).enumerate() {
                        @if place > 0 { ", " } (format!("{:.1} %", 100.0 * share))
                    }
                } }
            } }
        }
        @if let Some(reason) = &findings.no_run { p { "No run: " (reason) "." } }
        @if let Some(watched) = &findings.watched {
            @let states = &watched.run.states;
            h2 { "Activity" }
            p.soft { "The state over the first observed steps (columns), from the smallest value to the largest: \
                a row for each unit, and below them one for each cell of an LSTM unit." }
            div.scroll { (raster(&states[..states.len().min(STEPS_SHOWN)], &[])) }
        }
    }
}

fn on_task(task: &OnTask) -> Markup {
    html! {
        h2 { "The finite-state machine" }
        p { "Task " (task.task) "."
            @if let Some(right) = task.right { " The network is right in " (share(right)) (moved(task)) "." }
        }
        @match &task.machine {
            Some(machine) => (the_machine(machine, task)),
            None => p { "No machine: " (task.no_machine.as_deref().unwrap_or_default()) "." },
        }
    }
}

fn the_machine(machine: &Extracted, task: &OnTask) -> Markup {
    html! {
        p { (verdict(machine)) "." }
        @for sentence in machine.in_words(task.outputs) { p { (capital(&sentence)) "." } }
        p.soft { (capital(reduced(machine))) ". Arrows are labelled with symbols / output bits (" (task.outputs.join(", ")) "). \
            In the table: next state / bits, or - if never observed." }
        @if machine.reduced.len() <= graph::MOST_STATES { div.wide { (graph(&machine.symbols, &machine.reduced)) } }
        @else { p.soft { "Too many states for a graph." } }
        div.wide { table {
            thead { tr { th { "state" } @for symbol in &machine.symbols { th { (symbol) } } } }
            tbody {
                @for (state, row) in machine.reduced.iter().enumerate() {
                    tr { td { (state) } @for step in row {
                        td { (cell(step.as_ref())) }
                    } }
                }
            }
        } }
    }
}

/// The sentence with a capital letter.
fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn rest(held: &[Held]) -> Markup {
    let start = |state: &[f64]| {
        let shown: Vec<String> = state.iter().take(LISTED).map(|y| format!("{y:.3}")).collect();
        shown.join(", ") + if state.len() > LISTED { ", ..." } else { "" }
    };
    html! {
        h2 { "Fixed points and cycles" }
        @for held in held {
            p { "While the input is held at " strong { (held.input) } ", from " (held.starts) " starts" }
            div.wide { table { tbody {
                @for point in held.fixed_points.iter().take(LISTED) {
                    tr { td { (if point.stable { "stable" } else { "unstable" }) " fixed point" }
                        td { (start(&point.state)) } td { (format!("radius {:.4}", point.spectral_radius)) } }
                }
                @for cycle in held.cycles.iter().take(LISTED).filter(|cycle| cycle.period > 1) {
                    tr { td { "cycle of period " (cycle.period) }
                        td { (cycle.states.first().map_or(String::new(), |state| start(state))) }
                        td { (counted(cycle.starts, "run")) } }
                }
                @if held.aperiodic > 0 {
                    tr { td { "not settled after " (SETTLING) " steps" } td {}
                        td { (counted(held.aperiodic, "run")) } }
                }
                @if held.divergent > 0 { tr { td { "divergent" } td {} td { (counted(held.divergent, "run")) } } }
            } } }
        }
    }
}
