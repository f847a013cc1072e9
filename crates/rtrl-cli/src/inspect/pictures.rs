//! Pictures as SVG, coloured by classes of the page's style sheet.
//!
//! They are written as markup and not through plotters: none has an axis to be divided and labelled, and
//! the style sheet can colour markup for light and dark ground.

use maud::{Markup, html};
use rtrl_model::inspect::Eigenvalue;

/// Rows and columns of weights beyond which none are drawn.
pub(crate) const MOST_WEIGHTS: usize = 130;

/// Side of a cell of the Hinton diagram.
const CELL: f64 = 14.0;

/// Weights as squares, whose area is the weight: red above zero, blue below.
/// `blocks` are the columns at which a line stands.
pub(crate) fn hinton(rows: &[Vec<f64>], blocks: &[usize]) -> Markup {
    let largest = rows.iter().flatten().fold(0.0f64, |most, weight| most.max(weight.abs()));
    let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
    let (width, height) =
        (CELL * rows.first().map_or(0, Vec::len) as f64, CELL * rows.len() as f64);
    let natural = format!("max-width:{}px", 2.0 * width);
    html! {
        svg.hinton viewBox=(format!("0 0 {width} {height}")) style=(natural) role="img" aria-label="weights" {
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

/// A coordinate with as many decimals as can be seen.
pub(crate) fn place(value: f64) -> String {
    format!("{value:.2}")
}

/// Eigenvalues in the complex plane, with the unit circle.
pub(crate) fn plane(eigenvalues: &[Eigenvalue]) -> Markup {
    let furthest = eigenvalues.iter().fold(1.0f64, |most, value| most.max(value.modulus()));
    let unit = 150.0 / (1.1 * furthest);
    html! {
        svg.square viewBox="-160 -160 320 320" role="img" aria-label="eigenvalues in the complex plane" {
            line.grid x1="-160" x2="160" y1="0" y2="0" {}
            line.grid y1="-160" y2="160" x1="0" x2="0" {}
            circle.circle r=(place(unit)) {}
            @for value in eigenvalues {
                circle class=(if value.modulus() < 1.0 { "inside" } else { "outside" }) r="4"
                    cx=(place(unit * value.real)) cy=(place(-unit * value.imaginary)) {
                    title { (super::summary::complex(*value)) }
                }
            }
        }
    }
}

/// The way of a state along its first two principal components; the third makes points larger.
pub(crate) fn trajectory(points: &[[f64; 3]]) -> Markup {
    let largest =
        |axis: usize| points.iter().fold(0.0f64, |most, point| most.max(point[axis].abs()));
    let scale = 150.0 / largest(0).max(largest(1)).max(f64::MIN_POSITIVE);
    let depth = largest(2).max(f64::MIN_POSITIVE);
    let at = |point: &[f64; 3]| (place(scale * point[0]), place(-scale * point[1]));
    let way: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x},{y}")).collect();
    html! {
        svg.square viewBox="-160 -160 320 320" role="img" aria-label="states along two principal components" {
            line.grid x1="-160" x2="160" y1="0" y2="0" {}
            line.grid y1="-160" y2="160" x1="0" x2="0" {}
            polyline.way points=(way.join(" ")) {}
            @for point in points {
                @let (x, y) = at(point);
                circle.state cx=(x) cy=(y) r=(place(2.2 + 1.2 * point[2] / depth)) {}
            }
        }
    }
}

/// The activity of every unit (row) at every step (column), from the smallest to the largest value.
pub(crate) fn raster(states: &[Vec<f64>]) -> Markup {
    let values = || states.iter().flatten().copied();
    let low = values().fold(f64::INFINITY, f64::min);
    let span = (values().fold(f64::NEG_INFINITY, f64::max) - low).max(f64::MIN_POSITIVE);
    let units = states.first().map_or(0, Vec::len);
    let tall = if units > 32 { 3 } else { 12 };
    let (width, height) = (8 * states.len(), tall * units);
    html! {
        svg.raster viewBox=(format!("0 0 {width} {height}")) role="img" aria-label="activities of the units" {
            rect.ground width=(width) height=(height) {}
            @for (t, state) in states.iter().enumerate() {
                @for (k, y) in state.iter().enumerate() {
                    rect.on x=(8 * t) y=(tall * k) width="7.6" height=(tall)
                        fill-opacity=(place((y - low) / span)) {}
                }
            }
        }
    }
}
