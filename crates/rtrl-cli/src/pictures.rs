//! Pictures as SVG, coloured by classes of the page's style sheet.
//!
//! They are markup and not drawn by plotters: they have no axes, and the style sheet can colour
//! markup for both themes.

use maud::{Markup, html};

/// Rows and columns of weights beyond which none are drawn.
pub(crate) const MOST_WEIGHTS: usize = 130;

/// The classes of Hinton diagrams and rasters.
pub(crate) const STYLE: &str = "
.hinton, .raster { display: block; width: 100%; height: auto; } .raster { min-width: 40rem; }
.hinton .frame { fill: none; stroke: var(--line); } .ground { fill: var(--line); fill-opacity: .35; }
.plus { fill: #dc2626; } .minus { fill: #2563eb; } .edge { stroke: var(--soft); stroke-width: .8; }
.on { fill: #2578eb; } svg .name { font-size: 11px; } svg .to-the-left { text-anchor: end; }
";

/// Side of a cell of the Hinton diagram.
const CELL: f64 = 14.0;

/// Room for the names of rows, at the left, and of columns, above, in units of the picture.
pub(crate) const MARGIN: f64 = 64.0;
const ABOVE: f64 = 48.0;

/// Width of a step in a raster.
pub(crate) const STEP: usize = 8;

/// The names of the rows and columns of a matrix.
pub(crate) struct Names {
    pub(crate) rows: Vec<String>,
    pub(crate) columns: Vec<String>,
}

/// Weights as squares, whose area is the weight: red above zero, blue below.
/// `blocks` are the columns with a separating line.
pub(crate) fn hinton(rows: &[Vec<f64>], blocks: &[usize], names: Option<&Names>) -> Markup {
    let largest = rows.iter().flatten().fold(0.0f64, |most, weight| most.max(weight.abs()));
    let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
    let (width, height) =
        (CELL * rows.first().map_or(0, Vec::len) as f64, CELL * rows.len() as f64);
    let (margin, above_all) = if names.is_some() { (MARGIN, ABOVE) } else { (0.0, 0.0) };
    // Names must not be larger than the surrounding text.
    let scale_up = if names.is_some() { 1.4 } else { 2.0 };
    let natural = format!("max-width:{}px", scale_up * (margin + width));
    let view = format!("{} {} {} {}", -margin, -above_all, margin + width, above_all + height);
    html! {
        svg.hinton viewBox=(view) style=(natural) role="img" aria-label="weights" {
            rect.frame width=(width) height=(height) {}
            @if let Some(names) = names { (beside(&names.rows, CELL)) (above(&names.columns)) }
            rect.ground width=(width) height=(height) {}
            @for (i, row) in rows.iter().enumerate() {
                @for (j, &weight) in row.iter().enumerate() {
                    @let side = (CELL - 2.0) * (weight.abs() * scale).sqrt();
                    @if side > 0.2 {
                        rect class=(if weight < 0.0 { "minus" } else { "plus" })
                            x=(place(CELL * (j as f64 + 0.5) - 0.5 * side))
                            y=(place(CELL * (i as f64 + 0.5) - 0.5 * side))
                            width=(place(side)) height=(place(side)) { title { (format!("{weight:.4}")) } }
                    }
                }
            }
            @for &column in blocks {
                @let x = CELL * column as f64;
                line.edge x1=(x) x2=(x) y1="0" y2=(height) {}
            }
        }
    }
}

/// Names at the left of rows of this height.
fn beside(names: &[String], height: f64) -> Markup {
    html! {
        @for (row, name) in names.iter().enumerate() {
            text.name.to-the-left x="-5" y=(place(height * (row as f64 + 0.5) + 3.5)) { (name) }
        }
    }
}

/// Names above the columns of a Hinton diagram, to be read from below.
fn above(names: &[String]) -> Markup {
    html! {
        @for (column, name) in names.iter().enumerate() {
            @let x = place(CELL * (column as f64 + 0.5) + 3.5);
            text.name transform=(format!("translate({x} -5) rotate(-90)")) { (name) }
        }
    }
}

/// A coordinate with as many decimals as can be seen.
pub(crate) fn place(value: f64) -> String {
    format!("{value:.2}")
}

/// The activity of every unit (row) at every step (column), from the smallest to the largest value.
/// Without names there is no margin.
pub(crate) fn raster(states: &[Vec<f64>], names: &[String]) -> Markup {
    let values = || states.iter().flatten().copied();
    let low = values().fold(f64::INFINITY, f64::min);
    let span = (values().fold(f64::NEG_INFINITY, f64::max) - low).max(f64::MIN_POSITIVE);
    let units = states.first().map_or(0, Vec::len);
    let tall = if units > 32 { 3 } else { 12 };
    let (width, height) = (STEP * states.len(), tall * units);
    let margin = if names.is_empty() { 0.0 } else { MARGIN };
    let view = format!("{} 0 {} {height}", -margin, margin + width as f64);
    html! {
        svg.raster viewBox=(view) role="img" aria-label="activities of the units" {
            rect.ground width=(width) height=(height) {}
            (beside(names, tall as f64))
            @for (t, state) in states.iter().enumerate() {
                @for (k, y) in state.iter().enumerate().filter(|(_, y)| **y > low) {
                    rect.on x=(STEP * t) y=(tall * k) width="7.6" height=(tall)
                        fill-opacity=(place((y - low) / span)) {}
                }
            }
        }
    }
}
