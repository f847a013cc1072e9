//! A machine as a graph: its states on a circle, an arrow for every observed transition.

use std::collections::BTreeMap;

use maud::{Markup, html};
use rtrl_lab::inspect::{Transition, bits};

use crate::pictures::place;

/// States beyond which a graph cannot be read.
pub(crate) const MOST_STATES: usize = 24;

/// Radius of a state.
const NODE: f64 = 16.0;

/// Transitions of states (rows) for symbols (columns), if they were observed.
type Rows = [Vec<Option<Transition>>];

/// The graph. Transitions between the same states share an arrow, with their symbols and bits next
/// to it.
pub(crate) fn graph(symbols: &[String], rows: &Rows) -> Markup {
    let count = rows.len();
    let radius = if count < 2 { 0.0 } else { (28.0 * count as f64).max(110.0) };
    let half = radius + 140.0;
    // Two states are next to each other.
    let tall = if count < 3 { 90.0 } else { half };
    let at = |state: usize| {
        let angle = std::f64::consts::TAU * state as f64 / count as f64 - std::f64::consts::PI;
        (radius * angle.cos(), radius * angle.sin())
    };
    // So wide that the labels of many states can be read.
    let least = if count > 8 { place(1.8 * half) } else { "0".to_owned() };
    let view = [-half, -tall, 2.0 * half, 2.0 * tall].map(place).join(" ");
    html! {
        svg.graph viewBox=(view) style=(format!("min-width:{least}px")) role="img" aria-label="the machine as a graph" {
            defs {
                marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" {
                    path.tip d="M0 0L8 4L0 8z" {}
                }
            }
            @for ((from, to), labels) in arrows(symbols, rows) {
                @let arrow = Arrow::between(at(from), at(to), from == to);
                path.arrow d=(arrow.path) marker-end="url(#tip)" {}
                @for (line, label) in labels.iter().enumerate() {
                    text.label text-anchor=(arrow.anchor) x=(place(arrow.label.0)) y=(place(arrow.label.1 + 12.0 * line as f64)) { (label) }
                }
            }
            @for state in 0..count {
                @let (x, y) = at(state);
                circle.node cx=(place(x)) cy=(place(y)) r=(NODE) {}
                text.number x=(place(x)) y=(place(y + 5.0)) { (state) }
            }
        }
    }
}

/// The symbols at which a machine answers with the same bits.
type Answers<'a> = BTreeMap<&'a [bool], Vec<&'a str>>;

/// The labels of each arrow: a line for all symbols with the same bits.
fn arrows(symbols: &[String], rows: &Rows) -> BTreeMap<(usize, usize), Vec<String>> {
    let mut arrows: BTreeMap<(usize, usize), Answers<'_>> = BTreeMap::new();
    for (from, row) in rows.iter().enumerate() {
        for (symbol, step) in symbols.iter().zip(row) {
            let Some(step) = step else { continue };
            let arrow = arrows.entry((from, step.next)).or_default();
            arrow.entry(&step.outputs).or_default().push(symbol);
        }
    }
    let label = |(outputs, symbols): (&[bool], Vec<&str>)| {
        format!("{} / {}", symbols.join(", "), bits(outputs))
    };
    let labels = |(arrow, lines): (_, Answers<'_>)| (arrow, lines.into_iter().map(label).collect());
    arrows.into_iter().map(labels).collect()
}

/// An arrow and the place of its first label.
struct Arrow {
    path: String,
    label: (f64, f64),
    /// The side of that position on which the label is.
    anchor: &'static str,
}

impl Arrow {
    /// A bow to the right-hand side, so that the way back has another; a loop outwards for a state
    /// itself.
    fn between(from: (f64, f64), to: (f64, f64), is_loop: bool) -> Self {
        if is_loop {
            return Self::around(from);
        }
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        let (along, across) = ((dx / length, dy / length), (-dy / length, dx / length));
        let bow = 0.16 * length;
        let middle =
            (0.5 * (from.0 + to.0) + bow * across.0, 0.5 * (from.1 + to.1) + bow * across.1);
        let start = (from.0 + NODE * along.0, from.1 + NODE * along.1);
        let end = (to.0 - NODE * along.0, to.1 - NODE * along.1);
        let path = path(start, middle, middle, end);
        // A third of the way: in the middle, labels of crossing arrows would overlap.
        let third = |from: f64, middle: f64, to: f64| 0.36 * from + 0.62 * middle + 0.02 * to;
        let label = (
            third(from.0, middle.0, to.0) + 6.0 * across.0,
            third(from.1, middle.1, to.1) + 6.0 * across.1,
        );
        Self { path, label, anchor: "middle" }
    }

    fn around(at: (f64, f64)) -> Self {
        let length = at.0.hypot(at.1);
        let out = if length > 0.0 { (at.0 / length, at.1 / length) } else { (0.0, -1.0) };
        let side = (-out.1, out.0);
        let point = |far: f64, wide: f64| {
            (at.0 + far * out.0 + wide * side.0, at.1 + far * out.1 + wide * side.1)
        };
        let path =
            path(point(12.0, -10.0), point(60.0, -34.0), point(60.0, 34.0), point(12.0, 10.0));
        let anchor = match out.0 {
            x if x < -0.3 => "end",
            x if x > 0.3 => "start",
            _ => "middle",
        };
        Self { path, label: point(56.0, 0.0), anchor }
    }
}

fn path(start: (f64, f64), first: (f64, f64), second: (f64, f64), end: (f64, f64)) -> String {
    let point = |(x, y): (f64, f64)| format!("{} {}", place(x), place(y));
    format!("M{}C{} {} {}", point(start), point(first), point(second), point(end))
}
