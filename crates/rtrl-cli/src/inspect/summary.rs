//! The output of `rtrl inspect`.

use rtrl_lab::inspect::{
    Agreement, Eigenvalue, Extracted, Findings, Held, LayerShape, OnRun, OnTask, SETTLING, Shape,
    Transition, bits,
};

use crate::number::counted;

/// Entries of a list that are printed; the JSON file has all.
const MOST: usize = 8;

/// The summary.
pub(crate) fn text(findings: &Findings) -> String {
    let mut lines = shape(&findings.model);
    lines.push(
        "\nweights                Frobenius norm   largest singular value   largest weight"
            .to_owned(),
    );
    for block in &findings.weights {
        lines.push(format!(
            "  {:<17}{:>18.4}{:>25.4}{:>17.4}",
            block.name, block.frobenius_norm, block.spectral_norm, block.largest
        ));
    }
    match (&findings.eigenvalues, &findings.no_eigenvalues) {
        (Some(values), _) => {
            lines.push("\neigenvalues of the weights between units, by modulus".to_owned());
            lines.extend(shortened(values.iter().map(|value| format!("  {}", complex(*value)))));
        }
        (None, reason) => {
            lines.push(format!("\nno eigenvalues: {}", reason.as_deref().unwrap_or_default()));
        }
    }
    match (&findings.run, &findings.no_run) {
        (Some(run), _) => lines.extend(on_run(run)),
        (None, reason) => {
            lines.push(format!("\nno run: {}", reason.as_deref().unwrap_or_default()));
        }
    }
    findings.held.iter().for_each(|held| lines.extend(while_held(held)));
    if let Some(task) = &findings.task {
        lines.extend(on_task(task));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The network in a line or two.
pub(crate) fn shape(model: &Shape) -> Vec<String> {
    let Shape { inputs, outputs, precision, .. } = model;
    let layers: Vec<String> = model.layers.iter().map(layer).collect();
    let layers = layers.join(", then ");
    let bias = if model.bias { "a bias" } else { "no bias" };
    let (inputs, outputs) = (counted(*inputs, "input"), counted(*outputs, "output"));
    let readout = if model.readout { format!(", a readout of {outputs}") } else { String::new() };
    let (learning, frozen) = (model.learning_weights, model.frozen_weights);
    vec![
        format!("{layers}, {inputs}, {bias}{readout}, saved as {precision}"),
        format!(
            "{learning} weights learn, {frozen} are frozen, {} are absent",
            model.absent_weights
        ),
    ]
}

/// A layer in words.
fn layer(layer: &LayerShape) -> String {
    let LayerShape { cell, units, heads_of, activations, leaks } = layer;
    let kind = if activations.is_empty() { (*cell).to_owned() } else { kinds(activations) };
    let leaks =
        leaks.map_or(String::new(), |[low, high]| format!(" with leaks {low:.4} to {high:.4}"));
    let heads = heads_of.map_or(String::new(), |units| format!(" in heads of {units}"));
    format!("{}{heads}{leaks}", counted(*units, &format!("{kind} unit")))
}

/// The names that occur, each once.
fn kinds(names: &[String]) -> String {
    let mut kinds: Vec<&str> = names.iter().map(String::as_str).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.join("/")
}

/// A complex number with its modulus.
pub(crate) fn complex(value: Eigenvalue) -> String {
    let Eigenvalue { real, imaginary } = value;
    let modulus = value.modulus();
    if imaginary == 0.0 {
        return format!("{real:.4}   (modulus {modulus:.4})");
    }
    let sign = if imaginary < 0.0 { '-' } else { '+' };
    format!("{real:.4} {sign} {:.4}i   (modulus {modulus:.4})", imaginary.abs())
}

/// The first lines, and how many more there are.
fn shortened(lines: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = lines.len().saturating_sub(MOST);
    let mut shown: Vec<String> = lines.take(MOST).collect();
    if more > 0 {
        shown.push(format!("  and {more} more"));
    }
    shown
}

fn on_run(run: &OnRun) -> Vec<String> {
    let [least, mean, most] = run.jacobian_radius;
    let shares =
        run.variance_shares.iter().take(MOST).map(|share| format!("{:.1} %", 100.0 * share));
    let shares: Vec<String> = shares.collect();
    vec![
        format!("\nrun of {} steps", run.steps),
        format!("  largest Lyapunov exponent        {}", exponent(run.lyapunov_exponent)),
        format!("  spectral radius of the Jacobian  {least:.4} to {most:.4}, mean {mean:.4}"),
        format!(
            "  principal components             {}",
            if shares.is_empty() {
                "none: the state is constant".to_owned()
            } else {
                shares.join(", ")
            }
        ),
    ]
}

/// The exponent with its meaning.
pub(crate) fn exponent(exponent: Option<f64>) -> String {
    match exponent {
        None => "-infinity: small changes die out within finitely many steps".to_owned(),
        Some(value) if value.abs() < 1e-3 => format!("{value:.4}: small changes last"),
        Some(value) if value < 0.0 => format!("{value:.4}: small changes of the state die out"),
        Some(value) => format!("{value:.4}: small changes of the state grow"),
    }
}

fn while_held(held: &Held) -> Vec<String> {
    let mut lines =
        vec![format!("\nwhile the input is held at {}, from {} starts", held.input, held.starts)];
    lines.extend(shortened(held.fixed_points.iter().map(|point| {
        let kind = if point.stable { "stable" } else { "unstable" };
        let (state, radius) = (numbers(&point.state), point.spectral_radius);
        format!("  {kind} fixed point  {state}   spectral radius {radius:.4}")
    })));
    lines.extend(shortened(held.cycles.iter().map(|cycle| {
        let what = if cycle.period == 1 {
            "fixed point".to_owned()
        } else {
            format!("cycle of period {}", cycle.period)
        };
        let state = cycle.states.first().map_or(String::new(), |state| numbers(state));
        format!("  {what}  {state}   reached in {}", counted(cycle.starts, "run"))
    })));
    if held.aperiodic > 0 {
        let runs = counted(held.aperiodic, "run");
        lines.push(format!("  not settled after {SETTLING} steps: {runs}"));
    }
    if held.divergent > 0 {
        lines.push(format!("  divergent: {}", counted(held.divergent, "run")));
    }
    lines
}

/// A state, shortened.
fn numbers(state: &[f64]) -> String {
    let shown: Vec<String> = state.iter().take(MOST).map(|y| format!("{y:.3}")).collect();
    format!("({}{})", shown.join(", "), if state.len() > MOST { ", ..." } else { "" })
}

fn on_task(task: &OnTask) -> Vec<String> {
    let mut lines = vec![format!("\ntask {}", task.task)];
    if let Some(right) = task.right {
        lines.push(format!("  the network is right in {}{}", share(right), moved(task)));
    }
    match (&task.machine, &task.no_machine) {
        (Some(machine), _) => lines.extend(the_machine(machine, task.outputs)),
        (None, reason) => {
            lines.push(format!("  no machine: {}", reason.as_deref().unwrap_or_default()));
        }
    }
    lines
}

/// A fraction in per cent with the counts.
pub(crate) fn share(agreement: Agreement) -> String {
    let Agreement { steps, same } = agreement;
    format!("{:.3} % of the steps ({same} of {steps})", 100.0 * agreement.share())
}

/// By how many steps the targets of a task were shifted.
pub(crate) fn moved(task: &OnTask) -> String {
    match task.moved {
        0 => String::new(),
        steps => format!(", with the targets shifted by {}", counted(steps, "step")),
    }
}

/// The size of a machine and how well it agrees with the network.
pub(crate) fn verdict(machine: &Extracted) -> String {
    format!(
        "{} (boxes: {}); it agrees with the network in {} not used to build it{}",
        counted(machine.transitions.len(), "state"),
        machine.boxes,
        share(machine.agreement),
        if machine.explains_all { "" } else { "; the limit of boxes was reached" }
    )
}

fn the_machine(machine: &Extracted, outputs: &[&str]) -> Vec<String> {
    let sentences = machine.in_words(outputs).into_iter();
    let mut lines = vec![format!("  the machine: {}", verdict(machine))];
    lines.extend(sentences.map(|sentence| format!("  {sentence}")));
    lines.extend(table(machine));
    lines
}

/// A transition as next state and bits, or `-` if it never occurred.
pub(crate) fn cell(transition: Option<&Transition>) -> String {
    transition.map_or("-".to_owned(), |step| format!("{} / {}", step.next, bits(&step.outputs)))
}

/// The name of the reduced machine.
pub(crate) fn reduced(machine: &Extracted) -> &'static str {
    if machine.smallest { "the smallest machine" } else { "a machine for the observed steps" }
}

/// The transitions of the reduced machine: one row per state, one column per symbol.
fn table(machine: &Extracted) -> Vec<String> {
    let cells =
        |row: &Vec<Option<Transition>>| row.iter().map(|step| cell(step.as_ref())).collect();
    let rows: Vec<Vec<String>> = machine.reduced.iter().map(cells).collect();
    let cells = rows.iter().flatten().chain(&machine.symbols);
    let width = 3 + cells.map(String::len).max().unwrap_or_default();
    let line = |head: &str, cells: &[String]| {
        cells.iter().fold(format!("  {head:<7}"), |line, cell| format!("{line}{cell:>width$}"))
    };
    let mut lines = vec![
        format!("  {}: next state / output bits, - where never observed", reduced(machine)),
        line("state", &machine.symbols),
    ];
    lines.extend(rows.iter().enumerate().map(|(state, row)| line(&state.to_string(), row)));
    lines
}
